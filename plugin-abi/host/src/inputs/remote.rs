//! Inputs that are elsewhere: archives behind an address, revisions of git repositories.
//!
//! Whatever comes from the network ends as a pack that is named by its content, like that of a file.
//! So only two questions are new: is the network needed at all, and how is it kept from doing harm.
//!
//! # When the network is asked
//!
//! 1. The lock names the content, and its pack is in the cache: **not at all**. A lock keeps its
//!    inputs even where upstream has moved on, until the user asks for an update.
//! 2. The place itself names the content (a commit), and the cache knows it: not at all.
//! 3. Offline: what the cache recorded for the place at the last time, or a refusal by name.
//! 4. Otherwise: an archive is asked for "if it changed since"; of a branch or tag, git asks what it
//!    is now, and fetches that commit if the cache does not know it.
//!
//! What the lock names and nobody has any more is no error here: what there is now is taken, and a
//! note says so. A caller that needs the locked content compares the hash.
//!
//! # Records
//!
//! What an address gave at the last time is a small file in the cache: a hint, checked by nothing
//! but its use. The content's hash in it leads to a pack, which proves itself.

mod files;
mod git;
mod http;
mod records;

pub use files::Files;
pub use git::check_out;
pub(super) use git::open as open_git;
pub use http::download;
pub(super) use http::open as open_url;

use super::path::shown;
use std::{fmt, path::PathBuf, sync::Arc, time::Duration};
use x2nix_protocol::{Diagnostic, Hosts, Origin, PluginResult};

/// How the network is used.
#[derive(Debug, Clone)]
pub struct Network {
    /// Use nothing that is not on this machine.
    pub offline: bool,
    /// What may be reached, redirections included.
    pub hosts: Hosts,
    /// The most bytes of one archive, or of what git fetches.
    pub size: u64,
    /// How long it may take to reach a server.
    pub connect: Duration,
    /// How long a server may be silent.
    pub silence: Duration,
    /// How long one fetch may take.
    pub total: Duration,
    /// How often a fetch is tried that fails in a way that may pass.
    pub attempts: u32,
    /// The pause after the first failure; each further one is twice as long.
    pub pause: Duration,
    /// How many redirections are followed.
    pub redirects: u32,
    /// Whether the proxies that the environment names are used.
    pub proxies: bool,
    /// The git program.
    pub git: PathBuf,
    /// What servers are told that want to know who asks.
    pub credentials: Option<Arc<dyn Credentials>>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            offline: false,
            hosts: Hosts::Any,
            size: 256 << 20,
            connect: Duration::from_secs(15),
            silence: Duration::from_secs(30),
            total: Duration::from_mins(15),
            attempts: 4,
            pause: Duration::from_millis(250),
            redirects: 8,
            proxies: true,
            git: PathBuf::from("git"),
            credentials: None,
        }
    }
}

/// Knows what to tell servers that want to know who asks. It is told to the server of the address that was asked
/// for, over an encrypted connection or on this machine, and to nobody else; nothing of it is kept.
pub trait Credentials: fmt::Debug + Send + Sync {
    /// What goes into the header `Authorization` of a request for an address, if anything does. Where it is not
    /// demanded, only what was demanded before in the same place.
    fn authorization(&self, url: &str, demanded: bool) -> PluginResult<Option<String>>;

    /// What the user can do where a server does not answer without it.
    fn help(&self, url: &str) -> Option<String>;
}

/// Is told how a fetch goes. Fetches go one after the other.
pub trait Progress: fmt::Debug + Send + Sync {
    /// A fetch begins; the size is known where the server said it.
    fn begins(&self, what: &str, size: Option<u64>);
    /// So many bytes have come in all.
    fn reached(&self, bytes: u64);
    /// The fetch is over, well or not.
    fn ends(&self);
}

fn offline(label: &str) -> Box<Diagnostic> {
    let message = format!("{label} is not in the cache, and the network is not to be used");
    failed("input::offline", label, &message)
        .help("run once without --offline, or give a folder or an archive that is here")
        .into()
}

/// What a lock names is no longer to be had.
fn moved(label: &str) -> Diagnostic {
    let message =
        format!("{label} has other content than the lock names, and the cache does not have that");
    Diagnostic::warning("input::moved", message)
        .at(Origin::new(label, None))
        .help("what it has now is used; check what changed before you keep the new lock")
}

/// Something could not be fetched.
fn failed(code: &str, label: &str, message: &str) -> Diagnostic {
    Diagnostic::error(code, shown_lines(message)).access().at(Origin::new(label, None))
}

fn too_large(label: &str, limit: u64) -> Box<Diagnostic> {
    let message = format!("{label} is larger than {} MiB, and is not fetched", limit >> 20);
    Diagnostic::error("input::too-large", message)
        .at(Origin::new(label, None))
        .help("fetch it yourself and give the file, or a folder of only what is needed")
        .into()
}

/// Foreign text of a few lines.
fn shown_lines(text: &str) -> String {
    text.lines().take(8).map(shown).collect::<Vec<_>>().join("\n")
}
