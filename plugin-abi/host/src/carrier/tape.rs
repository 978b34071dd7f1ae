//! A conversation as one JSON file, to be played again.

use crate::kept::write_atomically;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    collections::{HashMap, VecDeque},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use x2nix_protocol::{
    Diagnostic, PluginResult,
    message::{HostLine, Reply, whole},
};

/// The form of the file.
const VERSION: u32 = 1;

/// All that was said in one conversation.
#[derive(Debug, Clone, Default)]
pub struct Tape {
    label: String,
    calls: Vec<Call>,
}

#[derive(Debug, Clone, Default)]
struct Call {
    said: Said,
    /// What the plugin asked meanwhile.
    host: Vec<Said>,
}

#[derive(Debug, Clone, Default)]
struct Said {
    method: String,
    request: Vec<u8>,
    reply: Option<Reply>,
}

/// One call of a plugin, as a tape has it.
#[derive(Debug, Clone)]
pub struct TapedCall {
    /// The method.
    pub method: String,
    /// The request.
    pub request: Vec<u8>,
    /// What was answered; nothing where the plugin broke down.
    pub reply: Option<Reply>,
}

/// A file's form of the same.
#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    plugin: String,
    calls: Vec<FileCall>,
}

#[derive(Serialize, Deserialize)]
struct FileCall {
    #[serde(flatten)]
    said: FileSaid,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    host: Vec<FileSaid>,
}

/// A text is kept as the JSON that it is; one that is none, as `*-text`.
#[derive(Serialize, Deserialize)]
struct FileSaid {
    method: String,
    request: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused: Option<Value>,
    #[serde(default, rename = "answer-text", skip_serializing_if = "Option::is_none")]
    answer_text: Option<String>,
    #[serde(default, rename = "refused-text", skip_serializing_if = "Option::is_none")]
    refused_text: Option<String>,
}

impl Tape {
    /// An empty tape of a plugin.
    pub(super) fn new(label: &str) -> Self {
        Self { label: label.to_owned(), calls: Vec::new() }
    }

    /// Moves what another tape has to this one.
    pub(super) fn append(&mut self, other: &mut Self) {
        self.label.clone_from(&other.label);
        self.calls.append(&mut other.calls);
    }

    pub(super) fn begin(&mut self, method: &str, request: Vec<u8>) {
        let said = Said { method: method.to_owned(), request, reply: None };
        self.calls.push(Call { said, host: Vec::new() });
    }

    pub(super) fn end(&mut self, reply: Reply) {
        if let Some(call) = self.calls.last_mut() {
            call.said.reply = Some(reply);
        }
    }

    /// Reads the text of a tape.
    pub fn read(text: &[u8], file: &str) -> PluginResult<Self> {
        let refuse = |why: String| {
            Diagnostic::error("plugin::tape", format!("{file} is no kept conversation: {why}"))
        };
        let file: File = serde_json::from_slice(text).map_err(|error| refuse(error.to_string()))?;
        if file.version != VERSION {
            return Err(refuse(format!("its form is {}, not {VERSION}", file.version)).into());
        }
        let calls = file.calls.into_iter().map(|call| Call {
            said: call.said.into_said(),
            host: call.host.into_iter().map(FileSaid::into_said).collect(),
        });
        Ok(Self { label: file.plugin, calls: calls.collect() })
    }

    /// The text of this tape.
    pub fn text(&self) -> Vec<u8> {
        let calls = self.calls.iter().map(|call| FileCall {
            said: FileSaid::of(&call.said),
            host: call.host.iter().map(FileSaid::of).collect(),
        });
        let file = File { version: VERSION, plugin: self.label.clone(), calls: calls.collect() };
        let mut text = serde_json::to_vec_pretty(&file).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// Keeps this tape in a folder; nothing where it cannot be kept.
    pub fn keep(&self, folder: &Path) -> Option<PathBuf> {
        let text = self.text();
        let file = folder.join(name_of(&self.label, &text));
        std::fs::create_dir_all(folder).ok()?;
        write_atomically(&file, &text).ok()?;
        Some(file)
    }

    /// What the plugin was asked, in order.
    pub fn calls(&self) -> impl Iterator<Item = TapedCall> {
        self.calls.iter().map(|Call { said, .. }| TapedCall {
            method: said.method.clone(),
            request: said.request.clone(),
            reply: said.reply.clone(),
        })
    }

    /// How much was said: calls and bytes to the plugin, and from it to its host.
    pub fn size(&self) -> TapeSize {
        let mut size = TapeSize::default();
        let bytes = |said: &Said| {
            let reply = said.reply.as_ref().map_or(0, |reply| match reply {
                Ok(text) | Err(text) => text.len(),
            });
            said.request.len() + reply
        };
        for call in &self.calls {
            size.calls += 1;
            size.bytes += bytes(&call.said);
            size.host_calls += call.host.len();
            size.host_bytes += call.host.iter().map(bytes).sum::<usize>();
        }
        size
    }
}

/// How much was said in a conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TapeSize {
    /// Calls to the plugin.
    pub calls: usize,
    /// Bytes of their questions and answers.
    pub bytes: usize,
    /// Calls of the plugin to its host.
    pub host_calls: usize,
    /// Bytes of their questions and answers.
    pub host_bytes: usize,
}

impl FileSaid {
    fn of(said: &Said) -> Self {
        let json = |text: &[u8]| serde_json::from_slice::<Value>(text).ok();
        let split = |text: Option<&Vec<u8>>| {
            let Some(text) = text else { return (None, None) };
            match whole(text).as_deref().map_or_else(|| json(text), json) {
                Some(value) => (Some(value), None),
                None => (None, Some(String::from_utf8_lossy(text).into_owned())),
            }
        };
        let reply = said.reply.as_ref();
        let (answer, answer_text) = split(reply.and_then(|reply| reply.as_ref().ok()));
        let (refused, refused_text) = split(reply.and_then(|reply| reply.as_ref().err()));
        Self {
            method: said.method.clone(),
            request: json(&said.request).unwrap_or_default(),
            answer,
            refused,
            answer_text,
            refused_text,
        }
    }

    fn into_said(self) -> Said {
        let text = |value: Option<Value>, text: Option<String>| {
            value.map(|value| value.to_string().into_bytes()).or(text.map(String::into_bytes))
        };
        let answer = text(self.answer, self.answer_text).map(Ok);
        let reply = answer.or(text(self.refused, self.refused_text).map(Err));
        Said { method: self.method, request: self.request.to_string().into_bytes(), reply }
    }
}

/// A line back that is written down.
pub(super) struct Overheard<L> {
    pub(super) line: L,
    pub(super) tape: Arc<Mutex<Tape>>,
}

impl<L: HostLine> HostLine for Overheard<L> {
    fn call(&self, method: &str, request: &[u8]) -> Reply {
        let reply = self.line.call(method, request);
        let said = Said {
            method: method.to_owned(),
            request: request.to_vec(),
            reply: Some(reply.clone()),
        };
        let mut tape = self.tape.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(call) = tape.calls.last_mut() {
            call.host.push(said);
        }
        reply
    }

    fn cancelled(&self) -> bool {
        self.line.cancelled()
    }
}

/// A host that answers what its tape answered.
pub struct Replay(Mutex<HashMap<(String, String), VecDeque<Reply>>>);

impl Replay {
    /// The host of a tape.
    pub fn new(tape: &Tape) -> Self {
        let mut replies: HashMap<_, VecDeque<Reply>> = HashMap::new();
        for said in tape.calls.iter().flat_map(|call| &call.host) {
            let key = (said.method.clone(), canonical(&said.request));
            replies.entry(key).or_default().extend(said.reply.clone());
        }
        Self(Mutex::new(replies))
    }
}

impl HostLine for Replay {
    fn call(&self, method: &str, request: &[u8]) -> Reply {
        let mut replies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = replies.get_mut(&(method.to_owned(), canonical(request)));
        // The last one stays: a question may come once more, never with another answer.
        let reply = known.and_then(|replies| match replies.len() {
            0 | 1 => replies.front().cloned(),
            _ => replies.pop_front(),
        });
        reply.unwrap_or_else(|| {
            let request = String::from_utf8_lossy(request);
            let message = format!("the kept conversation has no `{method}` of {request}");
            let error = Diagnostic::error("plugin::replay", message);
            Err(serde_json::to_vec(&error).unwrap_or_default())
        })
    }
}

/// The text of a document with its keys sorted.
fn canonical(text: &[u8]) -> String {
    serde_json::from_slice::<Value>(text)
        .map_or_else(|_| String::from_utf8_lossy(text).into_owned(), |value| value.to_string())
}

/// A file name for a tape, from what it says.
fn name_of(label: &str, text: &[u8]) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '-' };
    let label: String = label.chars().map(plain).collect();
    let hash = URL_SAFE_NO_PAD.encode(&Sha256::digest(text)[..9]);
    format!("{label}-{hash}.json")
}
