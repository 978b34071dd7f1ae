//! A plugin's file, looked at without running it.

use crate::error::bad;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
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
    /// Its content.
    pub content: Arc<[u8]>,
    /// The hash of its content in SRI form.
    pub hash: String,
    /// What it is.
    pub form: Form,
    /// What it says of itself.
    pub manifest: PluginManifest,
}

/// What a plugin's file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Reads a file.
    pub fn read(path: &Path) -> PluginResult<Self> {
        let shown = path.display();
        let unreadable = |error: std::io::Error| {
            Diagnostic::error(
                "plugin::unreadable",
                format!("cannot read the plugin {shown}: {error}"),
            )
            .help("check that it exists and that you may read it")
            .access()
        };
        let mut content = Vec::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(LARGEST + 1).read_to_end(&mut content).map_err(unreadable)?;
        Self::of(path, content)
    }

    /// A file that is already read.
    pub fn of(path: &Path, content: Vec<u8>) -> PluginResult<Self> {
        let label = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
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
            Form::Component => component_manifest(&content),
            Form::Native => native_manifest(&content),
        };
        let text = text.map_err(|what| bad(&label, &what))?;
        let manifest: PluginManifest = serde_json::from_slice(&text)
            .map_err(|error| bad(&label, &format!("its manifest cannot be read: {error}")))?;
        let hash = format!("sha256-{}", BASE64.encode(Sha256::digest(&content)));
        Ok(Self { path: path.to_owned(), label, content: content.into(), hash, form, manifest })
    }
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
