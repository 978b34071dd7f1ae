//! Carriers: what brings a plugin in that is foreign code, and what makes a [`Plugin`] of it.
//!
//! A [`Carrier`] connects a [`Line`] for each conversation. [`Foreign`] speaks over it, and trusts
//! nothing that comes back: an answer that is too large, no document or not the one that is due is an
//! error that names the plugin, the call and the place in the document, and the whole conversation is
//! kept as a [`Tape`] from which it can be played again.
//!
//! [`through_json`] is the carrier of a plugin that is linked in. Such a plugin could come to depend
//! on what Rust values carry beside their documents, such as sharing; this takes that away.

mod tape;

pub use tape::{Replay, Tape, TapeSize, TapedCall};

use serde::de::DeserializeOwned;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use x2nix_protocol::{
    BuildAnswer, BuildRequest, Describe, DetailsAnswer, DetailsRequest, Diagnostic, ExportAnswer,
    ExportRequest, FactsAnswer, FactsRequest, FetchAnswer, FetchRequest, Host, ListAnswer,
    ListRequest, MembersAnswer, MembersRequest, NamesAnswer, OpenRequest, OpenTreeRequest, Opened,
    OpenedTree, PROTOCOL_OLDEST, PROTOCOL_VERSION, Plugin, PluginResult, ReadAnswer, ReadRequest,
    Session,
    message::{
        Document, HostLine, Line, ReadQuestion, Reply, Server, encode, method, reply,
        reply_with_files, unknown,
    },
};

/// The largest answer that is read.
const LARGEST_ANSWER: usize = 512 << 20;

/// Brings a plugin in.
pub trait Carrier: Send + Sync {
    /// What to call the plugin in messages.
    fn label(&self) -> &str;

    /// Begins a conversation; the plugin asks over the line back.
    fn connect(&self, back: Arc<dyn HostLine>) -> PluginResult<Box<dyn Line>>;
}

/// A plugin behind a carrier.
pub struct Foreign {
    carrier: Arc<dyn Carrier>,
    describe: Describe,
    /// Where conversations that failed are kept.
    failures: Option<PathBuf>,
    /// Where all that was said is written down.
    record: Option<Record>,
}

/// All that was said, in one tape.
pub type Record = Arc<Mutex<Tape>>;

impl Foreign {
    /// Asks the plugin who it is.
    pub fn new(carrier: Arc<dyn Carrier>) -> PluginResult<Self> {
        let mut talk = Talk::begin(carrier.as_ref(), Arc::new(Nobody), None)?;
        let describe: Describe = talk.ask(method::DESCRIBE, &())?;
        check_protocol(carrier.label(), describe.protocol)?;
        Ok(Self { carrier, describe, failures: None, record: None })
    }

    /// Keeps conversations that fail in this folder.
    #[must_use]
    pub fn with_failures(self, folder: Option<PathBuf>) -> Self {
        Self { failures: folder, ..self }
    }

    /// Writes down what is said, each conversation when it ends.
    #[must_use]
    pub fn with_record(self, record: Option<Record>) -> Self {
        Self { record, ..self }
    }
}

/// Whether this host speaks a plugin's protocol.
pub fn check_protocol(label: &str, protocol: u32) -> PluginResult<()> {
    if (PROTOCOL_OLDEST..=PROTOCOL_VERSION).contains(&protocol) {
        return Ok(());
    }
    let own = if PROTOCOL_OLDEST == PROTOCOL_VERSION {
        format!("protocol {PROTOCOL_VERSION}")
    } else {
        format!("protocols {PROTOCOL_OLDEST} to {PROTOCOL_VERSION}")
    };
    let help = if protocol > PROTOCOL_VERSION {
        "take a newer x2nix, or an older version of the plugin"
    } else {
        "take a newer version of the plugin"
    };
    let message = format!("plugin {label} speaks protocol {protocol}, this x2nix speaks {own}");
    Err(Diagnostic::error("plugin::protocol-version", message).help(help).into())
}

/// The same plugin, talking through JSON text.
pub fn through_json(plugin: Arc<dyn Plugin>) -> impl Plugin {
    let describe = plugin.describe();
    Foreign { carrier: Arc::new(LinkedIn(plugin)), describe, failures: None, record: None }
}

struct LinkedIn(Arc<dyn Plugin>);

impl Carrier for LinkedIn {
    fn label(&self) -> &'static str {
        "that is linked in"
    }

    fn connect(&self, back: Arc<dyn HostLine>) -> PluginResult<Box<dyn Line>> {
        Ok(Box::new(ServerLine(Server::new(Arc::clone(&self.0), back))))
    }
}

struct ServerLine(Server);

impl Line for ServerLine {
    fn call(&mut self, method: &str, request: &[u8]) -> PluginResult<Reply> {
        Ok(self.0.call(method, request))
    }
}

impl Plugin for Foreign {
    fn describe(&self) -> Describe {
        self.describe.clone()
    }

    fn open(&self, host: Arc<dyn Host>, request: &OpenRequest) -> PluginResult<Opened> {
        let mut talk = Talk::begin(self.carrier.as_ref(), host, self.failures.clone())?;
        talk.record.clone_from(&self.record);
        let again: Describe = talk.ask(method::DESCRIBE, &())?;
        if again != self.describe {
            let what = "it described itself otherwise before: the same question has two answers";
            return Err(talk.fault(method::DESCRIBE, what));
        }
        let answer = talk.ask(method::OPEN, request)?;
        Ok(Opened { session: Box::new(talk), answer })
    }
}

/// One conversation.
struct Talk {
    label: String,
    line: Box<dyn Line>,
    /// The line back.
    back: Arc<dyn HostLine>,
    tape: Arc<Mutex<Tape>>,
    failures: Option<PathBuf>,
    record: Option<Record>,
    /// Whether it failed; then nothing more is asked.
    over: bool,
}

impl Talk {
    fn begin(
        carrier: &dyn Carrier,
        host: Arc<dyn Host>,
        failures: Option<PathBuf>,
    ) -> PluginResult<Self> {
        let label = carrier.label().to_owned();
        let tape = Arc::new(Mutex::new(Tape::new(&label)));
        let back = tape::Overheard { line: HostServer(host), tape: Arc::clone(&tape) };
        let back: Arc<dyn HostLine> = Arc::new(back);
        let line = carrier.connect(Arc::clone(&back))?;
        Ok(Self { label, line, back, tape, failures, record: None, over: false })
    }

    fn ask<Q: Document, A: Document>(&mut self, method: &str, request: &Q) -> PluginResult<A> {
        if self.over {
            return Err(self.fault(method, "the conversation is over, since an answer was bad"));
        }
        if self.back.cancelled() {
            return Err(Diagnostic::cancelled().into());
        }
        let request = encode(request)?;
        let tape = Arc::clone(&self.tape);
        let tape = || tape.lock().unwrap_or_else(PoisonError::into_inner);
        tape().begin(method, request.clone());
        let reply = match self.line.call(method, &request) {
            Ok(reply) => reply,
            // It was not the plugin that failed.
            Err(_) if self.back.cancelled() => {
                self.over = true;
                return Err(Diagnostic::cancelled().into());
            }
            Err(error) => return Err(self.failed(*error)),
        };
        let answer = match &reply {
            Ok(text) => self.decode::<A>(method, text).map(Ok),
            Err(text) => self.decode::<Diagnostic>(method, text).map(|it| Err(Box::new(it))),
        };
        tape().end(reply);
        match answer {
            Ok(answer) => answer,
            Err(error) => Err(self.failed(*error)),
        }
    }

    fn decode<T: DeserializeOwned>(&self, method: &str, text: &[u8]) -> PluginResult<T> {
        if text.len() > LARGEST_ANSWER {
            let what = format!("{} bytes are more than is read of an answer", text.len());
            return Err(self.fault(method, &what));
        }
        serde_json::from_slice(text).map_err(|error| {
            // Once more, slowly, to say where.
            let mut reader = serde_json::Deserializer::from_slice(text);
            let place = match serde_path_to_error::deserialize::<_, T>(&mut reader) {
                Err(error) if error.path().iter().next().is_some() => {
                    format!("at `{}`: ", error.path())
                }
                _ => String::new(),
            };
            self.fault(
                method,
                &format!("the answer is not the document that is due: {place}{error}"),
            )
        })
    }

    fn fault(&self, method: &str, what: &str) -> Box<Diagnostic> {
        let message = format!("plugin {}, call `{method}`: {what}", self.label);
        let help = "this is a fault of the plugin; tell its authors";
        Diagnostic::error("plugin::answer", message).help(help).into()
    }

    /// Ends the conversation; keeps it for those who look for the fault.
    fn failed(&mut self, error: Diagnostic) -> Box<Diagnostic> {
        self.over = true;
        let tape = self.tape.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = self.failures.as_ref().and_then(|folder| tape.keep(folder)) else {
            return error.into();
        };
        let again = kept_help(&file);
        let help = error.help.as_ref().map_or(again.clone(), |help| format!("{help}; {again}"));
        error.help(help).into()
    }
}

/// What to do with a conversation that was kept.
pub fn kept_help(file: &Path) -> String {
    let shown = file.display();
    format!("the conversation is kept: x2nix plugin test PLUGIN --replay {shown}")
}

impl Drop for Talk {
    fn drop(&mut self) {
        if let Some(record) = &self.record {
            let mut tape = self.tape.lock().unwrap_or_else(PoisonError::into_inner);
            record.lock().unwrap_or_else(PoisonError::into_inner).append(&mut tape);
        }
    }
}

impl Session for Talk {
    fn names(&mut self) -> PluginResult<NamesAnswer> {
        self.ask(method::NAMES, &())
    }

    fn facts(&mut self, request: &FactsRequest) -> PluginResult<FactsAnswer> {
        self.ask(method::FACTS, request)
    }

    fn members(&mut self, request: &MembersRequest) -> PluginResult<MembersAnswer> {
        self.ask(method::MEMBERS, request)
    }

    fn details(&mut self, request: &DetailsRequest) -> PluginResult<DetailsAnswer> {
        self.ask(method::DETAILS, request)
    }

    fn build(&mut self, request: &BuildRequest) -> PluginResult<BuildAnswer> {
        self.ask(method::BUILD, request)
    }

    fn export(&mut self, request: &ExportRequest) -> PluginResult<ExportAnswer> {
        self.ask(method::EXPORT, request)
    }
}

/// The host's end of the line back.
pub struct HostServer(pub Arc<dyn Host>);

impl HostLine for HostServer {
    fn call(&self, method: &str, request: &[u8]) -> Reply {
        match method {
            method::LIST => asked(method, request, |request| self.0.list(&request)),
            method::READ => match question::<ReadQuestion>(method, request) {
                Ok(question) => {
                    let following = question.following;
                    reply_with_files(self.0.read(&question.request()), following)
                }
                Err(error) => reply::<()>(Err(error)),
            },
            method::OPEN => asked(method, request, |request| self.0.open(&request)),
            method::FETCH => asked(method, request, |request| self.0.fetch(&request)),
            other => reply::<()>(Err(unknown(other))),
        }
    }

    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}

fn asked<Q: Document, A: Document>(
    method: &str,
    request: &[u8],
    answer: impl FnOnce(Q) -> PluginResult<A>,
) -> Reply {
    reply(question(method, request).and_then(answer))
}

fn question<Q: Document>(method: &str, request: &[u8]) -> PluginResult<Q> {
    serde_json::from_slice(request).map_err(|error| {
        let message = format!("the question `{method}` to the host is not one: {error}");
        Box::new(Diagnostic::error("plugin::question", message))
    })
}

/// The host of a plugin that is only asked who it is.
struct Nobody;

impl Host for Nobody {
    fn list(&self, _: &ListRequest) -> PluginResult<ListAnswer> {
        Err(Self::refuse())
    }

    fn read(&self, _: &ReadRequest) -> PluginResult<ReadAnswer> {
        Err(Self::refuse())
    }

    fn open(&self, _: &OpenTreeRequest) -> PluginResult<OpenedTree> {
        Err(Self::refuse())
    }

    fn fetch(&self, _: &FetchRequest) -> PluginResult<FetchAnswer> {
        Err(Self::refuse())
    }
}

impl Nobody {
    fn refuse() -> Box<Diagnostic> {
        Diagnostic::error("plugin::early", "a plugin asks for nothing before `open`").into()
    }
}
