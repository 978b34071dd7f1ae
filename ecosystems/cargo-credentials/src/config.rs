//! What cargo's configuration says of registries and of how to be known to them.

use serde::Deserialize;
use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};
use x2nix_protocol::{Diagnostic, Origin, PluginResult};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Toml {
    #[serde(default)]
    registries: BTreeMap<String, RegistryToml>,
    #[serde(default)]
    source: BTreeMap<String, SourceToml>,
    #[serde(default)]
    registry: DefaultsToml,
    #[serde(default)]
    credential_alias: BTreeMap<String, Words>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RegistryToml {
    index: Option<String>,
    token: Option<String>,
    credential_provider: Option<Words>,
}

#[derive(Debug, Deserialize)]
struct SourceToml {
    registry: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct DefaultsToml {
    global_credential_providers: Option<Vec<String>>,
}

/// A program and its arguments: a list, or one text with spaces between them.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Words {
    Text(String),
    List(Vec<String>),
}

impl Words {
    fn words(&self) -> Vec<String> {
        match self {
            Self::Text(text) => text.split_whitespace().map(str::to_owned).collect(),
            Self::List(list) => list.clone(),
        }
    }
}

/// A registry that the configuration knows.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    /// Its name; none for one that only stands in for another.
    pub(crate) name: Option<String>,
    /// The address of its index, as the configuration has it.
    pub(crate) index: String,
}

/// The configuration.
pub(crate) struct Config {
    registries: Vec<Registry>,
    /// The user's own files, which alone say what is told and which programs are run.
    own: Vec<(PathBuf, Toml)>,
}

impl Config {
    /// Reads the files of a project, of the folders around it, and of the user.
    pub(crate) fn read(project: Option<&Path>, home: Option<&Path>) -> PluginResult<Self> {
        let mut around = Vec::new();
        let project = project.and_then(|project| fs::canonicalize(project).ok());
        for folder in project.iter().flat_map(|project| project.ancestors()) {
            around.extend(read(&folder.join(".cargo"), "config")?);
        }
        let mut own = Vec::new();
        if let Some(home) = home {
            own.extend(read(home, "credentials")?);
            own.extend(read(home, "config")?);
        }
        let mut registries: Vec<Registry> = Vec::new();
        for (name, value) in env::vars() {
            let name = name.strip_prefix(VARIABLES).and_then(|name| name.strip_suffix("_INDEX"));
            if let Some(name) = name {
                let name = Some(name.to_lowercase().replace('_', "-"));
                registries.push(Registry { name, index: value });
            }
        }
        for (_, toml) in around.iter().chain(&own) {
            for (name, stated) in &toml.registries {
                let Some(index) = &stated.index else { continue };
                if !registries.iter().any(|it| it.is_called(name)) {
                    let name = Some(name.clone());
                    registries.push(Registry { name, index: index.clone() });
                }
            }
        }
        let stated = around.iter().chain(&own).flat_map(|(_, toml)| toml.source.values());
        for index in stated.filter_map(|source| source.registry.clone()) {
            if !registries.iter().any(|it| it.index == index) {
                registries.push(Registry { name: None, index });
            }
        }
        Ok(Self { registries, own })
    }

    /// The registry whose server an address is at; of several there, the one with the most in common.
    pub(crate) fn registry_of(&self, url: &str) -> Option<&Registry> {
        let origin = origin(url)?;
        let common = |registry: &&Registry| {
            let pairs = registry.base().bytes().zip(url.bytes());
            pairs.take_while(|(one, other)| one == other).count()
        };
        let there = self.registries.iter().rev();
        let there = there.filter(|it| self::origin(it.base()).as_ref() == Some(&origin));
        there.max_by_key(common)
    }

    /// The token that the environment or the user's own files have for a registry.
    pub(crate) fn token(&self, registry: &Registry) -> Option<String> {
        let name = registry.name.as_deref()?;
        let stated = || self.stated(registry).find_map(|stated| stated.token.clone());
        env::var(variable(name, "TOKEN")).ok().or_else(stated).filter(|token| !token.is_empty())
    }

    /// The programs that may know the token, the first to be asked first; aliases are resolved.
    pub(crate) fn providers(&self, registry: &Registry) -> Vec<Vec<String>> {
        let set = |name: &str| env::var(variable(name, "CREDENTIAL_PROVIDER")).ok();
        let stated = || self.stated(registry).find_map(|stated| stated.credential_provider.clone());
        let set = registry.name.as_deref().and_then(set).map(Words::Text);
        if let Some(words) = set.or_else(stated) {
            return vec![self.resolved(words.words())];
        }
        let set = env::var("CARGO_REGISTRY_GLOBAL_CREDENTIAL_PROVIDERS").ok();
        let set = set.map(|text| text.split_whitespace().map(str::to_owned).collect());
        let stated = || {
            let mut files = self.own.iter();
            files.find_map(|(_, toml)| toml.registry.global_credential_providers.clone())
        };
        let all: Vec<String> = set.or_else(stated).unwrap_or_else(|| vec!["cargo:token".into()]);
        // The last one goes first.
        let words = all.into_iter().rev().map(|text| Words::Text(text).words());
        words.map(|words| self.resolved(words)).collect()
    }

    fn stated<'c>(&'c self, registry: &'c Registry) -> impl Iterator<Item = &'c RegistryToml> {
        let all = self.own.iter().flat_map(|(_, toml)| &toml.registries);
        all.filter(|(name, _)| registry.is_called(name)).map(|(_, stated)| stated)
    }

    /// The same with a program in place of an alias, and a path in place of one beside a file.
    fn resolved(&self, words: Vec<String>) -> Vec<String> {
        let Some(first) = words.first() else { return words };
        for (_, toml) in &self.own {
            if let Some(alias) = toml.credential_alias.get(first) {
                return alias.words().into_iter().chain(words.into_iter().skip(1)).collect();
            }
        }
        words
    }

    /// The folder that paths to programs start from.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.own.first().and_then(|(path, _)| path.parent()?.parent())
    }
}

impl Registry {
    /// The address of the index as it is asked.
    fn base(&self) -> &str {
        self.index.strip_prefix("sparse+").unwrap_or(&self.index)
    }

    /// In a variable, a name loses its small letters and its dashes.
    fn is_called(&self, name: &str) -> bool {
        self.name.as_ref().is_some_and(|own| variable(own, "") == variable(name, ""))
    }
}

const VARIABLES: &str = "CARGO_REGISTRIES_";

/// The variable that says something of a registry.
pub(crate) fn variable(name: &str, what: &str) -> String {
    format!("{VARIABLES}{}_{what}", name.to_uppercase().replace('-', "_"))
}

/// The server of an address: scheme, name and port.
fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let server = rest.split(['/', '?', '#', '\\']).next()?;
    Some(format!("{scheme}://{server}").to_ascii_lowercase())
}

/// A file of a folder, without an ending or with one.
fn read(folder: &Path, name: &str) -> PluginResult<Option<(PathBuf, Toml)>> {
    for name in [name.to_owned(), format!("{name}.toml")] {
        let path = folder.join(name);
        let Ok(text) = fs::read_to_string(&path) else { continue };
        // What the parser says may have a piece of the file in it, and so a secret.
        let toml = toml::from_str(&text).map_err(|_| {
            let shown = path.to_string_lossy().into_owned();
            Diagnostic::error("cargo::config", format!("{shown} cannot be read"))
                .at(Origin::new(shown, None))
                .help("cargo says what is wrong with it: cargo config get, cargo login")
        })?;
        return Ok(Some((path, toml)));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_of_the_registry_of_its_server_and_of_no_other() {
        let registry = |name: &str, index: &str| Registry {
            name: Some(name.to_owned()),
            index: index.to_owned(),
        };
        let registries = vec![
            registry("a", "sparse+https://crates.example.org/a/index/"),
            registry("b", "sparse+https://crates.example.org/b/index/"),
        ];
        let config = Config { registries, own: Vec::new() };
        for (url, name) in [
            ("https://crates.example.org/a/index/3/o/one", Some("a")),
            ("https://crates.example.org/b/dl/one", Some("b")),
            ("https://CRATES.example.org/b/dl/one", Some("a")),
            ("http://crates.example.org/a/index/3/o/one", None),
            ("https://crates.example.org:444/a/index/3/o/one", None),
            ("https://crates.example.org.evil.net/a/index/", None),
            ("https://crates.example.org@evil.net/a/index/", None),
            ("https://evil.net/https://crates.example.org/a/", None),
        ] {
            let found = config.registry_of(url).and_then(|it| it.name.as_deref());
            assert_eq!(found, name, "{url}");
        }
    }
}
