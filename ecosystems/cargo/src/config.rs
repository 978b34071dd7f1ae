//! The user's configuration of cargo, as far as it lies in the project: which registries there are, and
//! what stands in for them.

use crate::source::Registry;
use serde::Deserialize;
use std::collections::BTreeMap;
use x2nix_protocol::{Diagnostic, FileContent, Host, Origin, PluginResult, ReadRequest, TreeId};

/// Where cargo looks for it in a project.
const PLACES: [&str; 2] = [".cargo/config.toml", ".cargo/config"];

/// What cargo calls the registry that is meant where none is named.
const DEFAULT: &str = "crates-io";

/// What is read of the configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Toml {
    #[serde(default)]
    source: BTreeMap<String, SourceToml>,
    #[serde(default)]
    registries: BTreeMap<String, RegistryToml>,
    #[serde(default)]
    resolver: ResolverToml,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct SourceToml {
    replace_with: Option<String>,
    registry: Option<String>,
    local_registry: Option<String>,
    directory: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct RegistryToml {
    index: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ResolverToml {
    incompatible_rust_versions: Option<String>,
}

/// The configuration.
#[derive(Debug, Default)]
pub(crate) struct Config {
    toml: Toml,
    /// The file that it is from.
    pub(crate) file: Option<String>,
}

/// Where the index of a registry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IndexPlace {
    /// In a folder, relative to the project.
    Folder(String),
    /// At an address.
    Address(String),
}

impl Config {
    /// Reads the configuration of a project.
    pub(crate) fn read(host: &dyn Host, project: TreeId) -> PluginResult<Self> {
        let paths = PLACES.map(str::to_owned).to_vec();
        let files = host.read(&ReadRequest { tree: project, paths })?.files;
        for (place, content) in PLACES.into_iter().zip(files) {
            if let FileContent::Found(bytes) = content {
                let text = String::from_utf8_lossy(&bytes.0);
                let toml = toml::from_str(&text).map_err(|error| {
                    let message = error.message().trim().to_owned();
                    Box::new(
                        Diagnostic::error("cargo::config", message).at(Origin::new(place, None)),
                    )
                })?;
                return Ok(Self { toml, file: Some(place.to_owned()) });
            }
        }
        Ok(Self::default())
    }

    /// Whether versions for a newer Rust are passed over, where it says so.
    pub(crate) fn heeds_rust_version(&self) -> Option<bool> {
        let stated = self.toml.resolver.incompatible_rust_versions.as_deref()?;
        Some(stated == "fallback")
    }

    /// The address of a registry's index, as the lock file names it.
    pub(crate) fn index(&self, registry: &Registry) -> Option<String> {
        match registry {
            Registry::Default => None,
            Registry::Named(name) => self.toml.registries.get(name)?.index.clone(),
            Registry::Index(index) => Some(index.clone()),
        }
    }

    /// Where the index of a registry is read: what replaces it, to the end of the chain.
    pub(crate) fn place(&self, registry: &Registry) -> PluginResult<Option<IndexPlace>> {
        let own = self.index(registry).map(IndexPlace::Address);
        let start = match registry {
            Registry::Default => Some(DEFAULT),
            Registry::Named(name) => Some(name.as_str()),
            Registry::Index(index) => {
                let mut sources = self.toml.source.iter();
                sources
                    .find(|(_, it)| it.registry.as_ref() == Some(index))
                    .map(|(name, _)| name.as_str())
            }
        };
        let Some(mut at) = start.filter(|name| self.toml.source.contains_key(*name)) else {
            return Ok(own);
        };
        let mut steps = 0;
        while let Some(source) = self.toml.source.get(at) {
            if let Some(next) = &source.replace_with {
                steps += 1;
                if steps > self.toml.source.len() {
                    return Err(self.fault(format!("the source {at} replaces itself")));
                }
                if !self.toml.source.contains_key(next) && !self.toml.registries.contains_key(next)
                {
                    return Err(
                        self.fault(format!("{at} is replaced with {next}, which is not stated"))
                    );
                }
                at = next;
                continue;
            }
            if source.directory.is_some() {
                return Err(self.fault(format!(
                    "the source {at} is a folder of unpacked crates, which does not say what versions there are"
                )));
            }
            return Ok(match (&source.local_registry, &source.registry) {
                (Some(folder), _) => Some(IndexPlace::Folder(folder.clone())),
                (None, Some(address)) => Some(IndexPlace::Address(address.clone())),
                (None, None) => own,
            });
        }
        Ok(self.toml.registries.get(at).and_then(|it| it.index.clone()).map(IndexPlace::Address))
    }

    fn fault(&self, message: String) -> Box<Diagnostic> {
        let file = self.file.clone().unwrap_or_default();
        Box::new(Diagnostic::error("cargo::config", message).at(Origin::new(file, None)))
    }
}
