//! Questions and answers as messages, for a plugin that is foreign code.
//!
//! A message is the name of a method and a JSON document; what comes back is a document, or the
//! [`Diagnostic`] that says why there is none. One conversation is one [`Line`] to a plugin and one
//! [`HostLine`] back, over which the plugin asks its host while it answers:
//!
//! ```text
//! x2nix  -- describe, open, names, facts, members, build, export -->  plugin
//! x2nix  <------------------ list, read, open, fetch ---------------  plugin
//! ```
//!
//! This is all that a carrier carries. The plugin's end is here: [`Server`] answers the messages of
//! one conversation with a [`Plugin`], and gives it a [`Host`] that asks over the line back. The other
//! end, with its limits and its distrust, is the host's.

mod files;

pub use files::{ReadQuestion, whole};

use crate::{
    Diagnostic, FetchAnswer, FetchRequest, Host, ListAnswer, ListRequest, OpenTreeRequest, Opened,
    OpenedTree, Plugin, PluginResult, ReadAnswer, ReadRequest, Session,
};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;

/// The answer to a message: the text of a document, or that of a diagnostic.
pub type Reply = Result<Vec<u8>, Vec<u8>>;

/// A line to a plugin.
pub trait Line: Send {
    /// Brings a message over and the answer back. An error is the line's own: the plugin crashed, or
    /// broke a limit.
    fn call(&mut self, method: &str, request: &[u8]) -> PluginResult<Reply>;
}

/// The line from a plugin back to its host.
pub trait HostLine: Send + Sync {
    /// Answers one message.
    fn call(&self, method: &str, request: &[u8]) -> Reply;

    /// Whether nobody waits for the answer any more; see [`Host::cancelled`].
    fn cancelled(&self) -> bool {
        false
    }
}

/// The methods of a plugin.
pub mod method {
    /// [`Plugin::describe`](crate::Plugin::describe); the request is `null`.
    pub const DESCRIBE: &str = "describe";
    /// [`Plugin::open`](crate::Plugin::open), and of a host [`Host::open`](crate::Host::open).
    pub const OPEN: &str = "open";
    /// [`Session::names`](crate::Session::names); the request is `null`.
    pub const NAMES: &str = "names";
    /// [`Session::facts`](crate::Session::facts).
    pub const FACTS: &str = "facts";
    /// [`Session::members`](crate::Session::members).
    pub const MEMBERS: &str = "members";
    /// [`Session::details`](crate::Session::details).
    pub const DETAILS: &str = "details";
    /// [`Session::build`](crate::Session::build).
    pub const BUILD: &str = "build";
    /// [`Session::export`](crate::Session::export).
    pub const EXPORT: &str = "export";
    /// [`Host::list`](crate::Host::list).
    pub const LIST: &str = "list";
    /// [`Host::read`](crate::Host::read).
    pub const READ: &str = "read";
    /// [`Host::fetch`](crate::Host::fetch).
    pub const FETCH: &str = "fetch";
}

/// A value that crosses the border.
pub trait Document: Serialize + DeserializeOwned + PartialEq {}

impl<T: Serialize + DeserializeOwned + PartialEq> Document for T {}

/// The text of a document. A debug build looks whether it comes back the same, since a plugin that
/// is linked in would not notice a type that loses something on its way.
pub fn encode<T: Document>(value: &T) -> PluginResult<Vec<u8>> {
    let fault = |why: &str| {
        let name = std::any::type_name::<T>();
        let message = format!("{name} does not survive JSON: {why}");
        Diagnostic::error("protocol::not-a-document", message)
            .help("this is a fault of x2nix or of the plugin's library; please report it")
    };
    let text = serde_json::to_vec(value).map_err(|error| fault(&error.to_string()))?;
    if cfg!(debug_assertions) {
        let back: T = serde_json::from_slice(&text).map_err(|error| fault(&error.to_string()))?;
        if back != *value {
            return Err(fault("it comes back different").into());
        }
    }
    Ok(text)
}

/// The host's answer to `read` as a reply, its contents behind the document where that may be.
pub fn reply_with_files(result: PluginResult<ReadAnswer>, following: bool) -> Reply {
    match result.as_ref().map(files::write) {
        Ok(Ok(text)) if following => Ok(text),
        _ => reply(result),
    }
}

fn decode<T: DeserializeOwned>(text: &[u8], what: &str) -> PluginResult<T> {
    serde_json::from_slice(text).map_err(|error| bad_message(what, &error.to_string()))
}

fn bad_message(what: &str, error: &str) -> Box<Diagnostic> {
    let message = format!("{what} is not what protocol {} says: {error}", crate::PROTOCOL_VERSION);
    Diagnostic::error("protocol::message", message)
        .help("take versions of x2nix and the plugin that speak the same protocol")
        .into()
}

/// A result as a reply.
pub fn reply<T: Document>(result: PluginResult<T>) -> Reply {
    let error = match result.and_then(|answer| encode(&answer)) {
        Ok(text) => return Ok(text),
        Err(error) => error,
    };
    // What cannot be said at all is said without its words.
    Err(serde_json::to_vec(&error).unwrap_or_else(|_| b"null".to_vec()))
}

/// The reply to a method that is not known.
pub fn unknown(method: &str) -> Box<Diagnostic> {
    Diagnostic::error("protocol::method", format!("there is no method {method:?}"))
        .help("take versions of x2nix and the plugin that speak the same protocol")
        .into()
}

/// The plugin's end of one conversation.
pub struct Server {
    plugin: Arc<dyn Plugin>,
    host: Arc<dyn Host>,
    session: Option<Box<dyn Session>>,
}

impl Server {
    /// Begins a conversation, whose plugin asks over a line back.
    pub fn new(plugin: Arc<dyn Plugin>, back: Arc<dyn HostLine>) -> Self {
        Self { plugin, host: Arc::new(Far(back)), session: None }
    }

    /// Answers one message.
    pub fn call(&mut self, method: &str, request: &[u8]) -> Reply {
        match method {
            method::DESCRIBE => reply(Ok(self.plugin.describe())),
            method::OPEN => reply(decode(request, "the question `open`").and_then(|request| {
                let Opened { session, answer } =
                    self.plugin.open(Arc::clone(&self.host), &request)?;
                self.session = Some(session);
                Ok(answer)
            })),
            method::NAMES => reply(self.session().and_then(Session::names)),
            method::FACTS => self.asked(request, method, |session, it| session.facts(it)),
            method::MEMBERS => self.asked(request, method, |session, it| session.members(it)),
            method::DETAILS => self.asked(request, method, |session, it| session.details(it)),
            method::BUILD => self.asked(request, method, |session, it| session.build(it)),
            method::EXPORT => self.asked(request, method, |session, it| session.export(it)),
            other => reply::<()>(Err(unknown(other))),
        }
    }

    fn asked<Q: Document, A: Document>(
        &mut self,
        request: &[u8],
        method: &str,
        answer: impl FnOnce(&mut dyn Session, &Q) -> PluginResult<A>,
    ) -> Reply {
        let question = decode(request, &format!("the question `{method}`"));
        reply(question.and_then(|question| answer(self.session()?, &question)))
    }

    fn session(&mut self) -> PluginResult<&mut (dyn Session + 'static)> {
        self.session.as_deref_mut().ok_or_else(|| {
            Diagnostic::error("protocol::order", "asked before `open`, or after it failed").into()
        })
    }
}

/// A host at the other end of a line.
struct Far(Arc<dyn HostLine>);

impl Far {
    fn ask<Q: Document, A: DeserializeOwned>(&self, method: &str, request: &Q) -> PluginResult<A> {
        match self.0.call(method, &encode(request)?) {
            Ok(text) => decode(&text, &format!("the host's answer to `{method}`")),
            Err(text) => Err(Self::refusal(method, &text)?),
        }
    }

    fn refusal(method: &str, text: &[u8]) -> PluginResult<Box<Diagnostic>> {
        decode(text, &format!("the host's refusal of `{method}`"))
    }
}

impl Host for Far {
    fn list(&self, request: &ListRequest) -> PluginResult<ListAnswer> {
        self.ask(method::LIST, request)
    }

    fn read(&self, request: &ReadRequest) -> PluginResult<ReadAnswer> {
        match self.0.call(method::READ, &encode(&ReadQuestion::of(request))?) {
            Ok(text) => files::read(&text)
                .map_err(|error| bad_message("the host's answer to `read`", &error)),
            Err(text) => Err(Self::refusal(method::READ, &text)?),
        }
    }

    fn open(&self, request: &OpenTreeRequest) -> PluginResult<OpenedTree> {
        self.ask(method::OPEN, request)
    }

    fn fetch(&self, request: &FetchRequest) -> PluginResult<FetchAnswer> {
        self.ask(method::FETCH, request)
    }
}
