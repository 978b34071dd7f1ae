//! The user's configuration of cargo: which registries there are, and what stands in for them.
//!
//! It is spread over files: those of the project, of the folders around it, and of the user's own folder. As
//! for cargo, each value is that of the nearest file which states it, and a variable of the environment goes
//! before them all.

use crate::source::Registry;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use x2nix_protocol::{
    Diagnostic, FileContent, Host, Origin, PluginResult, ReadRequest, TreeId, UserAnswer,
    UserRequest,
};

/// Where cargo looks for it in a project, and in each folder around it; the first that is there counts.
const PLACES: [&str; 2] = [".cargo/config", ".cargo/config.toml"];

/// The same in the user's own folder, which has a variable and a name in the home.
const OWN_PLACES: [&str; 2] = ["config", "config.toml"];
const OWN: (&str, &str) = ("CARGO_HOME", ".cargo");

/// The variables that say the same as a file; between the two parts is the name of a registry.
const INDEX: (&str, &str) = ("CARGO_REGISTRIES_", "_INDEX");
const RUST_VERSIONS: &str = "CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS";

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
    include: Option<toml::Value>,
    patch: Option<toml::Value>,
    paths: Option<toml::Value>,
}

impl Toml {
    /// What is stated here, would change the answer, and is not read, with what to do about it.
    fn unread(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let stated = [
            (&self.include, "include", "state what it includes in this file"),
            (&self.patch, "[patch]", "state it in Cargo.toml"),
            (&self.paths, "paths", "say the same with [patch] in Cargo.toml"),
        ];
        stated.into_iter().filter_map(|(it, name, help)| it.is_some().then_some((name, help)))
    }
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

/// One file of the configuration.
#[derive(Debug)]
struct File {
    toml: Toml,
    /// What it is called in messages.
    label: String,
    /// The folder that its paths start from, with a slash at the end; nothing for the project.
    base: String,
}

/// The configuration.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// The nearest first.
    files: Vec<File>,
    environment: BTreeMap<String, String>,
    /// The file of the project, if it has one.
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
    /// Reads the configuration of a project and of its user.
    pub(crate) fn read(host: &dyn Host, project: Option<TreeId>) -> PluginResult<Self> {
        let mut config = Self::default();
        if let Some(tree) = project {
            let paths = PLACES.map(str::to_owned).to_vec();
            let files = host.read(&ReadRequest { tree, paths })?.files;
            for (place, content) in PLACES.into_iter().zip(files) {
                if let FileContent::Found(bytes) = content {
                    config.add(place, &bytes.0, String::new())?;
                    config.file = Some(place.to_owned());
                    break;
                }
            }
        }
        let (start, end) = INDEX;
        let UserAnswer { files, environment } = host.user(&UserRequest {
            around: PLACES.map(str::to_owned).into(),
            home: (OWN.0.to_owned(), OWN.1.to_owned()),
            files: OWN_PLACES.map(str::to_owned).into(),
            environment: vec![format!("{start}*{end}"), RUST_VERSIONS.to_owned()],
        })?;
        config.environment = environment;
        for (path, content) in files {
            // Paths start where the folder of the file is.
            let mut parts = path.rsplitn(3, '/');
            let base = parts.nth(2).unwrap_or_default();
            config.add(&path, &content, format!("{base}/"))?;
        }
        Ok(config)
    }

    fn add(&mut self, label: &str, content: &[u8], base: String) -> PluginResult<()> {
        let text = String::from_utf8_lossy(content);
        let toml = toml::from_str(&text).map_err(|error| {
            let message = error.message().trim().to_owned();
            Box::new(Diagnostic::error("cargo::config", message).at(Origin::new(label, None)))
        })?;
        self.files.push(File { toml, label: label.to_owned(), base });
        Ok(())
    }

    /// What of it counts for cargo, and is not read here.
    pub(crate) fn unread(&self) -> Vec<Diagnostic> {
        let stated =
            self.files.iter().flat_map(|file| file.toml.unread().map(move |it| (file, it)));
        let notes = stated.map(|(file, (name, help))| {
            Diagnostic::warning(
                "cargo::config",
                format!("`{name}` of cargo's configuration is not read"),
            )
            .at(Origin::new(file.label.clone(), None))
            .help(help)
        });
        notes.collect()
    }

    /// Whether versions for a newer Rust are passed over, where it says so.
    pub(crate) fn heeds_rust_version(&self) -> Option<bool> {
        let stated = |file: &File| file.toml.resolver.incompatible_rust_versions.clone();
        let set = self.environment.get(RUST_VERSIONS).cloned();
        Some(set.or_else(|| self.files.iter().find_map(stated))? == "fallback")
    }

    /// The address of a registry's index, as the lock file names it.
    pub(crate) fn index(&self, registry: &Registry) -> Option<String> {
        match registry {
            Registry::Default => None,
            Registry::Named(name) => self.index_of(name),
            Registry::Index(index) => Some(index.clone()),
        }
    }

    fn index_of(&self, name: &str) -> Option<String> {
        let (start, end) = INDEX;
        let variable = format!("{start}{}{end}", name.to_uppercase().replace('-', "_"));
        let stated = |file: &File| file.toml.registries.get(name)?.index.clone();
        let set = self.environment.get(&variable).cloned();
        set.or_else(|| self.files.iter().find_map(stated))
    }

    /// What is said of a source, put together from all files, with paths that start at the project.
    fn source(&self, name: &str) -> Option<SourceToml> {
        let mut stated = self.files.iter().filter_map(|file| {
            let source = file.toml.source.get(name)?;
            let path = |path: &String| {
                if path.starts_with('/') { path.clone() } else { format!("{}{path}", file.base) }
            };
            Some(SourceToml {
                replace_with: source.replace_with.clone(),
                registry: source.registry.clone(),
                local_registry: source.local_registry.as_ref().map(path),
                directory: source.directory.as_ref().map(path),
            })
        });
        let nearest = stated.next()?;
        Some(stated.fold(nearest, |near, far| SourceToml {
            replace_with: near.replace_with.or(far.replace_with),
            registry: near.registry.or(far.registry),
            local_registry: near.local_registry.or(far.local_registry),
            directory: near.directory.or(far.directory),
        }))
    }

    /// Where the index of a registry is read: what replaces it, to the end of the chain.
    pub(crate) fn place(&self, registry: &Registry) -> PluginResult<Option<IndexPlace>> {
        let own = self.index(registry).map(IndexPlace::Address);
        let names: BTreeSet<&String> =
            self.files.iter().flat_map(|file| file.toml.source.keys()).collect();
        let start = match registry {
            Registry::Default => Some(DEFAULT),
            Registry::Named(name) => Some(name.as_str()),
            Registry::Index(index) => {
                let is_meant = |name: &&&String| {
                    self.source(name).is_some_and(|it| it.registry.as_ref() == Some(index))
                };
                names.iter().find(is_meant).map(|name| name.as_str())
            }
        };
        let Some(mut at) = start.map(str::to_owned).filter(|name| names.contains(name)) else {
            return Ok(own);
        };
        let mut steps = 0;
        while let Some(source) = self.source(&at) {
            if let Some(next) = source.replace_with {
                steps += 1;
                if steps > names.len() {
                    return Err(self.fault(&at, format!("the source {at} replaces itself")));
                }
                if !names.contains(&next) && self.index_of(&next).is_none() {
                    let message = format!("{at} is replaced with {next}, which is not stated");
                    return Err(self.fault(&at, message));
                }
                at = next;
                continue;
            }
            if source.directory.is_some() {
                return Err(self.fault(&at, format!(
                    "the source {at} is a folder of unpacked crates, which does not say what versions there are"
                )));
            }
            return Ok(match (source.local_registry, source.registry) {
                (Some(folder), _) => Some(IndexPlace::Folder(folder)),
                (None, Some(address)) => Some(IndexPlace::Address(address)),
                (None, None) => own,
            });
        }
        Ok(self.index_of(&at).map(IndexPlace::Address))
    }

    /// What is wrong with a source, in the nearest file that speaks of it.
    fn fault(&self, source: &str, message: String) -> Box<Diagnostic> {
        let file = self.files.iter().find(|file| file.toml.source.contains_key(source));
        let label = file.map(|file| file.label.clone()).unwrap_or_default();
        Box::new(Diagnostic::error("cargo::config", message).at(Origin::new(label, None)))
    }
}
