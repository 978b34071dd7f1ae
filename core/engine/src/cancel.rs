//! Giving up a request that runs.
//!
//! Whoever works for a request looks now and then whether it was cancelled, by asking its host: the engine
//! between its steps, the solver while it searches, the carriers while a plugin computes. A component is
//! interrupted within a few hundredths of a second, and so is a library in a process of its own. What is linked
//! in, or a library in this process, is refused by its host from then on, and ends with that.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use x2nix_protocol::{
    Diagnostic, FetchAnswer, FetchRequest, Host, Hosts, ListAnswer, ListRequest, OpenTreeRequest,
    OpenedTree, PluginResult, ReadAnswer, ReadRequest, UserAnswer, UserRequest,
};

/// Cancels requests, from any thread.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Cancels everything that works with a [`host`](Self::host) of this one.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The same host, until it is cancelled.
    #[must_use]
    pub fn host(&self, host: Arc<dyn Host>) -> Arc<dyn Host> {
        Arc::new(Cancellable { host, cancel: self.clone() })
    }
}

struct Cancellable {
    host: Arc<dyn Host>,
    cancel: Cancel,
}

impl Cancellable {
    fn host(&self) -> PluginResult<&dyn Host> {
        if self.cancelled() {
            return Err(Diagnostic::cancelled().into());
        }
        Ok(self.host.as_ref())
    }
}

impl Host for Cancellable {
    fn list(&self, request: &ListRequest) -> PluginResult<ListAnswer> {
        self.host()?.list(request)
    }

    fn read(&self, request: &ReadRequest) -> PluginResult<ReadAnswer> {
        self.host()?.read(request)
    }

    fn open_within(&self, request: &OpenTreeRequest, hosts: &Hosts) -> PluginResult<OpenedTree> {
        self.host()?.open_within(request, hosts)
    }

    fn fetch_within(&self, request: &FetchRequest, hosts: &Hosts) -> PluginResult<FetchAnswer> {
        self.host()?.fetch_within(request, hosts)
    }

    fn user(&self, request: &UserRequest) -> PluginResult<UserAnswer> {
        self.host()?.user(request)
    }

    fn cancelled(&self) -> bool {
        self.cancel.is_cancelled() || self.host.cancelled()
    }
}
