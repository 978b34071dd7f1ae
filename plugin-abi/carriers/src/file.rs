//! A plugin's file, looked at without running it.

use crate::{
    error::bad,
    known::{self, Identity},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};
use wasmparser::{Parser, Payload};
use x2nix_protocol::{Diagnostic, MANIFEST_SECTION, MANIFEST_SYMBOL, PluginManifest, PluginResult};

/// More than any plugin has, interpreter included.
const LARGEST: u64 = 512 << 20;

/// A plugin's file.
#[derive(Debug, Clone)]
pub struct PluginFile {
    /// Where it is.
    pub path: PathBuf,
    /// What to call it in messages: its file name.
    pub label: String,
    /// The hash of its content in SRI form.
    pub hash: String,
    /// What it is.
    pub form: Form,
    /// What it says of itself.
    pub manifest: PluginManifest,
}

/// What a plugin's file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// A shared library for this kind of machine: it runs with the user's rights.
    Native,
    /// A WebAssembly component: it runs in a sandbox.
    Component,
}

impl Form {
    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Native => "native library",
            Self::Component => "WebAssembly component",
        }
    }
}

impl PluginFile {
    /// Reads a file. With a cache, one that was read before and did not change since is not read again.
    pub fn read(path: &Path, cache: Option<&Path>) -> PluginResult<Self> {
        if let Some(known) = cache.and_then(|cache| known::find(cache, path)) {
            return Ok(Self { path: path.to_owned(), ..known });
        }
        let (content, identity) = content_of(path)?;
        let file = Self::of(path, &content)?;
        if let (Some(cache), Some(identity)) = (cache, identity) {
            known::keep(cache, &file, identity);
        }
        Ok(file)
    }

    /// Its content, which is still the one that has its hash.
    pub fn content(&self) -> PluginResult<Vec<u8>> {
        let (content, _) = content_of(&self.path)?;
        if hash_of(&content) == self.hash {
            Ok(content)
        } else {
            Err(bad(&self.label, "it changed while it was being loaded"))
        }
    }

    /// What to call a file in messages.
    pub(crate) fn label_of(path: &Path) -> String {
        path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
    }

    /// A file that is already read.
    pub fn of(path: &Path, content: &[u8]) -> PluginResult<Self> {
        let label = Self::label_of(path);
        if content.len() as u64 > LARGEST {
            return Err(bad(&label, "it is larger than a plugin may be"));
        }
        let form = match &content[..content.len().min(8)] {
            b"\0asm\x01\0\0\0" => {
                let what = "it is a WebAssembly module, not a component";
                return Err(Diagnostic::error("plugin::module", format!("plugin {label}: {what}"))
                    .help("make a component of it: x2nix plugin pack FILE --output PLUGIN.wasm")
                    .into());
            }
            [0, b'a', b's', b'm', ..] => Form::Component,
            _ => Form::Native,
        };
        let text = match form {
            Form::Component => component_manifest(content),
            Form::Native => native_manifest(content),
        };
        let text = text.map_err(|what| bad(&label, &what))?;
        let manifest: PluginManifest = serde_json::from_slice(&text)
            .map_err(|error| bad(&label, &format!("its manifest cannot be read: {error}")))?;
        Ok(Self { path: path.to_owned(), label, hash: hash_of(content), form, manifest })
    }
}

fn hash_of(content: &[u8]) -> String {
    format!("sha256-{}", BASE64.encode(Sha256::digest(content)))
}

/// The content of a file, one byte more than the most that a plugin may have; and what the file is, if it was
/// the same one before and after.
fn content_of(path: &Path) -> PluginResult<(Vec<u8>, Option<Identity>)> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| {
        let message = format!("cannot read the plugin {shown}: {error}");
        Diagnostic::error("plugin::unreadable", message)
            .help("check that it exists and that you may read it")
            .access()
    };
    let mut content = Vec::new();
    let mut file = File::open(path).map_err(unreadable)?;
    let identity = |file: &File| file.metadata().map(|about| Identity::of(&about));
    let before = identity(&file).map_err(unreadable)?;
    file.by_ref().take(LARGEST + 1).read_to_end(&mut content).map_err(unreadable)?;
    let after = identity(&file).map_err(unreadable)?;
    Ok((content, Some(after).filter(|after| *after == before)))
}

fn component_manifest(content: &[u8]) -> Result<Vec<u8>, String> {
    for payload in Parser::new(0).parse_all(content) {
        let payload = payload.map_err(|error| format!("it is no valid WebAssembly: {error}"))?;
        match payload {
            Payload::CustomSection(section) if section.name() == MANIFEST_SECTION => {
                return Ok(section.data().to_vec());
            }
            _ => {}
        }
    }
    Err(format!("it has no manifest (a custom section {MANIFEST_SECTION})"))
}

fn native_manifest(content: &[u8]) -> Result<Vec<u8>, String> {
    let neither = "it is neither a shared library nor a WebAssembly component";
    let file = object::File::parse(content).map_err(|error| format!("{neither} ({error})"))?;
    let found = file.dynamic_symbols().chain(file.symbols()).find_map(|symbol| {
        // Mach-O puts an underscore before the names of C.
        let name = symbol.name().ok()?;
        let ours = name == MANIFEST_SYMBOL || name.strip_prefix('_') == Some(MANIFEST_SYMBOL);
        let section = file.section_by_index(symbol.section_index().filter(|_| ours)?).ok()?;
        let start = usize::try_from(symbol.address().checked_sub(section.address())?).ok()?;
        let rest = section.data().ok()?.get(start..)?;
        Some(rest[..rest.iter().position(|&byte| byte == 0)?].to_vec())
    });
    found.ok_or_else(|| format!("it has no manifest (a symbol {MANIFEST_SYMBOL})"))
}
