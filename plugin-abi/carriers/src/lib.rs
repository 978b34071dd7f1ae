//! Brings plugins in from files: native libraries and WebAssembly components.
//!
//! [`PluginFile`] reads a file, its hash and what it says of itself, and runs none of it. [`Loader`]
//! connects it: a component in a sandbox of its own, a library in this process, or, isolated, in a
//! process of its own. What a plugin may do beside reading its inputs
//! is in [`grants`]; [`pack`] makes a component of a module.

#![deny(missing_docs)]

mod error;
mod file;
pub mod grants;
pub mod isolate;
mod known;
mod native;
pub mod pack;
mod validate;
mod wasm;

pub use file::{Form, PluginFile};
pub use wasm::Compiled;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use x2nix_plugin_host::carrier::{Carrier, Foreign};
use x2nix_protocol::PluginResult;

/// How much a plugin may use. A native library in this process is bound by none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: u64,
    /// How long it may compute for one answer; waiting for its host does not count.
    pub time: Duration,
    /// Bytes of one answer, and of one question to its host.
    pub message: usize,
    /// How many questions it may ask its host for one answer.
    pub questions: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 2 << 30,
            time: Duration::from_mins(1),
            message: 128 << 20,
            questions: 100_000,
        }
    }
}

/// Loads plugins.
#[derive(Debug, Clone, Default)]
pub struct Loader {
    /// How much they may use.
    pub limits: Limits,
    /// The cache: compiled components, and conversations that failed.
    pub cache: Option<PathBuf>,
    /// Whether each message is checked by its schema.
    pub validate: bool,
    /// For native libraries: the program and its arguments that serve one in a process of its own;
    /// see [`isolate::serve`].
    pub isolate: Option<Vec<std::ffi::OsString>>,
}

impl Loader {
    /// Reads a file, or what the cache has of it.
    pub fn read(&self, path: &Path) -> PluginResult<PluginFile> {
        PluginFile::read(path, self.cache.as_deref())
    }

    /// The carrier of a file.
    pub fn carrier(&self, file: &PluginFile) -> PluginResult<Arc<dyn Carrier>> {
        x2nix_plugin_host::carrier::check_protocol(&file.label, file.manifest.protocol)?;
        let carrier: Arc<dyn Carrier> = match (file.form, &self.isolate) {
            (Form::Component, _) => Arc::new(wasm::Component::new(file, self)?),
            (Form::Native, None) => {
                Arc::new(native::Native::open(&file.label, &file.path, self.limits.message)?)
            }
            (Form::Native, Some(program)) => {
                Arc::new(isolate::Isolated::new(file, program.clone(), self.limits))
            }
        };
        Ok(if self.validate { Arc::new(validate::Validated::new(carrier)?) } else { carrier })
    }

    /// Loads a file and asks it who it is; that must be who its manifest says.
    pub fn load(&self, file: &PluginFile) -> PluginResult<Foreign> {
        use x2nix_protocol::Plugin as _;
        let foreign = Foreign::new(self.carrier(file)?)?;
        let describe = foreign.describe();
        let manifest = &file.manifest;
        let said = (&describe.ecosystem, &describe.version, describe.protocol);
        if said != (&manifest.ecosystem, &manifest.version, manifest.protocol) {
            let what = format!(
                "it describes itself as {} {} with protocol {}, its manifest says {} {} with protocol {}",
                said.0, said.1, said.2, manifest.ecosystem, manifest.version, manifest.protocol
            );
            return Err(error::bad(&file.label, &what));
        }
        Ok(foreign.with_failures(self.cache.as_ref().map(|cache| cache.join("failures"))))
    }
}
