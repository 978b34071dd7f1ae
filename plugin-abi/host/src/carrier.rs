//! Carriers: what brings a plugin in.
//!
//! A linked-in plugin is called with Rust values, and could come to depend on what its values carry
//! beside their documents, such as sharing. [`through_json`] takes that away: whatever passes the
//! border, in either direction, becomes JSON text and is read back, as with a plugin that is foreign
//! code. What does not come back the same is a fault of the document's type, and an error.

use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;
use x2nix_protocol::{
    BuildAnswer, BuildRequest, Describe, Diagnostic, ExportAnswer, ExportRequest, FactsAnswer,
    FactsRequest, Host, ListAnswer, ListRequest, MembersAnswer, MembersRequest, NamesAnswer,
    OpenRequest, OpenTreeRequest, Opened, OpenedTree, Plugin, PluginResult, ReadAnswer,
    ReadRequest, Session,
};

/// The same plugin, talking through JSON text.
pub fn through_json(plugin: Arc<dyn Plugin>) -> impl Plugin {
    ThroughJson(plugin)
}

struct ThroughJson<T>(T);

impl Plugin for ThroughJson<Arc<dyn Plugin>> {
    fn describe(&self) -> Describe {
        let own = self.0.describe();
        // This call cannot fail; what is wrong here fails in `open`.
        copy(&own).unwrap_or(own)
    }

    fn open(&self, host: Arc<dyn Host>, request: &OpenRequest) -> PluginResult<Opened> {
        copy(&self.0.describe())?;
        let host = Arc::new(ThroughJson(host));
        let Opened { session, answer } = passed(request, |request| self.0.open(host, request))?;
        Ok(Opened { session: Box::new(ThroughJson(session)), answer: copy(&answer)? })
    }
}

impl Session for ThroughJson<Box<dyn Session>> {
    fn names(&mut self) -> PluginResult<NamesAnswer> {
        copy(&self.0.names()?)
    }

    fn facts(&mut self, request: &FactsRequest) -> PluginResult<FactsAnswer> {
        copy(&passed(request, |request| self.0.facts(request))?)
    }

    fn members(&mut self, request: &MembersRequest) -> PluginResult<MembersAnswer> {
        copy(&passed(request, |request| self.0.members(request))?)
    }

    fn build(&mut self, request: &BuildRequest) -> PluginResult<BuildAnswer> {
        copy(&passed(request, |request| self.0.build(request))?)
    }

    fn export(&mut self, request: &ExportRequest) -> PluginResult<ExportAnswer> {
        copy(&passed(request, |request| self.0.export(request))?)
    }
}

impl Host for ThroughJson<Arc<dyn Host>> {
    fn list(&self, request: &ListRequest) -> PluginResult<ListAnswer> {
        copy(&passed(request, |request| self.0.list(request))?)
    }

    fn read(&self, request: &ReadRequest) -> PluginResult<ReadAnswer> {
        copy(&passed(request, |request| self.0.read(request))?)
    }

    fn open(&self, request: &OpenTreeRequest) -> PluginResult<OpenedTree> {
        copy(&passed(request, |request| self.0.open(request))?)
    }
}

/// Calls with the copy of a request, and copies the error if there is one.
fn passed<Q: Document, A>(
    request: &Q,
    call: impl FnOnce(&Q) -> PluginResult<A>,
) -> PluginResult<A> {
    call(&copy(request)?).map_err(|error| copy(&error).unwrap_or_else(|failed| failed))
}

trait Document: Serialize + DeserializeOwned + PartialEq {}

impl<T: Serialize + DeserializeOwned + PartialEq> Document for T {}

/// The value as it comes out of its own text.
fn copy<T: Document>(value: &T) -> PluginResult<T> {
    let fault = |why: String| {
        let name = std::any::type_name::<T>();
        Diagnostic::error(
            "protocol::not-a-document",
            format!("{name} does not survive JSON: {why}"),
        )
        .help("this is a fault of x2nix; please report it")
    };
    let text = serde_json::to_string(value).map_err(|error| fault(error.to_string()))?;
    let back: T = serde_json::from_str(&text).map_err(|error| fault(error.to_string()))?;
    if back == *value { Ok(back) } else { Err(fault("it comes back different".into()).into()) }
}
