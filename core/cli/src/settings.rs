//! What the user says of a project for good: `x2nix.toml`.

use crate::{project::unreadable, report::Stop};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    path::{Component, Path},
};
use toml::Spanned;
use x2nix_core::{
    RequestOverride,
    lock::{Override, OverridePatch},
    protocol::{Artifact, Blob, Describe, Diagnostic, Edge, OptionValue, Origin, Role, SystemNeed},
};

/// The name of the settings file.
pub(crate) const SETTINGS: &str = "x2nix.toml";

/// What `x2nix.toml` says.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// The file itself, for messages.
    pub(crate) file: String,
    /// Whose packages these are.
    pub(crate) ecosystem: Option<String>,
    /// Packages that are wanted beside those of the project.
    pub(crate) roots: Vec<String>,
    /// The platforms to resolve for.
    pub(crate) platforms: Vec<String>,
    /// The policy that says what a good answer is.
    pub(crate) prefer: Option<String>,
    /// Variables of the ecosystem; an empty value unsets one.
    pub(crate) environment: BTreeMap<String, String>,
    /// Options of the ecosystem, by their long names.
    pub(crate) options: BTreeMap<String, OptionSetting>,
    /// Repositories, the first wins: addresses, or paths relative to the file.
    pub(crate) repositories: Vec<String>,
    /// Packages that the package set of Nix provides.
    pub(crate) provided: BTreeMap<String, ProvidedSetting>,
    /// What system packages are, by the ecosystem's names for them.
    pub(crate) system: BTreeMap<String, Vec<SystemNeed>>,
    /// What needs what across ecosystems.
    pub(crate) edges: Vec<Edge>,
    /// Changes of how packages are built.
    pub(crate) overrides: Vec<RequestOverride>,
    /// The package set of Nix to build with while locking: a path relative to the file.
    pub(crate) nixpkgs: Option<String>,
    /// Plugins in files, by ecosystem.
    pub(crate) plugins: BTreeMap<String, PluginSetting>,
}

/// What the user says of an ecosystem's plugin.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PluginSetting {
    /// Its file, relative to the settings.
    pub(crate) file: Option<String>,
    /// The hash of its file in SRI form; no other is run.
    pub(crate) hash: Option<String>,
    /// What it may do: `read=DIR`, `fetch=HOST`, `env=NAME`, `cache=BYTES`.
    #[serde(default)]
    pub(crate) allow: Vec<String>,
    /// What it runs without, although it asks for it.
    #[serde(default)]
    pub(crate) deny: Vec<String>,
    /// Whether it may be a native library; then the hash must be there.
    #[serde(default)]
    pub(crate) native: bool,
}

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Document {
    ecosystem: Option<String>,
    #[serde(default)]
    roots: Vec<String>,
    #[serde(default)]
    platforms: Vec<String>,
    prefer: Option<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    options: BTreeMap<String, OptionSetting>,
    #[serde(default)]
    repositories: Vec<String>,
    #[serde(default)]
    provided: BTreeMap<String, ProvidedSetting>,
    #[serde(default)]
    system: BTreeMap<String, Needs>,
    #[serde(default, rename = "edge")]
    edges: Vec<Spanned<EdgeSetting>>,
    #[serde(default, rename = "override")]
    overrides: Vec<Spanned<OverrideSetting>>,
    nixpkgs: Option<String>,
    #[serde(default, rename = "plugin")]
    plugins: BTreeMap<String, PluginSetting>,
}

/// The value of an option of the ecosystem.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum OptionSetting {
    /// A flag that is given or not.
    Flag(bool),
    /// One word.
    Text(String),
    /// Several.
    Texts(Vec<String>),
}

/// A package that the package set of Nix provides, as the user says it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProvidedSetting {
    /// Its version; without one, that which the attribute has.
    pub(crate) version: Option<String>,
    /// The attribute; without one, it adds nothing to a build.
    pub(crate) attribute: Option<String>,
}

/// Attributes of the package set of Nix; a plain list are libraries.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Needs {
    Host(Vec<String>),
    ByRole(NeedsByRole),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NeedsByRole {
    #[serde(default)]
    host: Vec<String>,
    #[serde(default)]
    build: Vec<String>,
}

impl Needs {
    fn into_needs(self) -> Vec<SystemNeed> {
        let NeedsByRole { host, build } = match self {
            Self::Host(host) => NeedsByRole { host, build: Vec::new() },
            Self::ByRole(needs) => needs,
        };
        let of = |role| move |attribute| SystemNeed { attribute, role };
        host.into_iter().map(of(Role::Host)).chain(build.into_iter().map(of(Role::Build))).collect()
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EdgeSetting {
    from: String,
    needs: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct OverrideSetting {
    package: String,
    reason: String,
    inputs: Option<Needs>,
    system: Option<Needs>,
    #[serde(default)]
    patches: Vec<String>,
    #[serde(default)]
    skip_tests: bool,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    source: Option<SourceSetting>,
    attribute: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum SourceSetting {
    Fetch(FetchSetting),
    Local(LocalSetting),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FetchSetting {
    url: String,
    hash: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LocalSetting {
    path: String,
}

impl Settings {
    /// Reads the settings of a folder; nothing where there is no such file.
    pub(crate) fn read(folder: &Path) -> Result<Self, Stop> {
        let file = folder.join(SETTINGS);
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(unreadable(&file, &error)),
        };
        let line = |offset: usize| {
            let lines = text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n');
            u32::try_from(1 + lines.count()).ok()
        };
        let document: Document = toml::from_str(&text).map_err(|error| {
            let line = error.span().and_then(|span| line(span.start));
            Diagnostic::error("settings::syntax", error.message().to_owned())
                .at(Origin::new(file.to_string_lossy(), line))
                .help("known settings: ecosystem, roots, platforms, prefer, [environment], [options], repositories = [\"…\"], nixpkgs = \"…\", [provided.NAME] with version and attribute, [system], [[edge]] with from and needs, [[override]], [plugin.ECOSYSTEM]")
        })?;
        let nothing = |it: &ProvidedSetting| it.version.is_none() && it.attribute.is_none();
        if let Some((name, _)) = document.provided.iter().find(|(_, it)| nothing(it)) {
            let message = format!("[provided.{name}] says neither a version nor an attribute");
            return Err(Diagnostic::error("settings::provided", message)
                .at(Origin::new(file.to_string_lossy(), None))
                .help("give the attribute of the package set that has it, and its version is read from there")
                .into());
        }
        let system = document.system.into_iter().map(|(name, needs)| (name, needs.into_needs()));
        let edges = document.edges.into_iter().map(|it| {
            let origin = Some(Origin::new(file.to_string_lossy(), line(it.span().start)));
            let EdgeSetting { from, needs } = it.into_inner();
            Edge { from, needs, origin }
        });
        let edges = edges.collect();
        let overrides = document.overrides.into_iter().map(|it| {
            let origin = Origin::new(file.to_string_lossy(), line(it.span().start));
            it.into_inner().read(folder, &origin)
        });
        Ok(Self {
            file: file.to_string_lossy().into_owned(),
            ecosystem: document.ecosystem,
            roots: document.roots,
            platforms: document.platforms,
            prefer: document.prefer,
            environment: document.environment,
            options: document.options,
            repositories: document.repositories,
            provided: document.provided,
            system: system.collect(),
            edges,
            overrides: overrides.collect::<Result<_, Stop>>()?,
            nixpkgs: document.nixpkgs,
            plugins: document.plugins,
        })
    }
}

impl Settings {
    /// The options as a plugin takes them.
    pub(crate) fn options(
        &self,
        describe: &Describe,
    ) -> Result<BTreeMap<String, Vec<String>>, Stop> {
        let refuse = |message: String, help: String| {
            let origin = Origin::new(self.file.clone(), None);
            Stop::from(Diagnostic::error("settings::option", message).at(origin).help(help))
        };
        let mut options = BTreeMap::new();
        for (name, setting) in &self.options {
            let Some(spec) = describe.options.iter().find(|spec| spec.name == *name) else {
                let known: Vec<_> = describe.options.iter().map(|it| it.name.as_str()).collect();
                let message = format!("[options]: {} has no option {name:?}", describe.ecosystem);
                return Err(refuse(message, format!("it has: {}", known.join(", "))));
            };
            let values = match (&spec.value, setting) {
                (OptionValue::Flag, OptionSetting::Flag(true)) => Vec::new(),
                (OptionValue::Flag, OptionSetting::Flag(false)) => continue,
                (OptionValue::OneOf(words), OptionSetting::Text(word)) if words.contains(word) => {
                    vec![word.clone()]
                }
                (OptionValue::Texts, OptionSetting::Text(text)) => vec![text.clone()],
                (OptionValue::Texts, OptionSetting::Texts(texts)) => texts.clone(),
                (kind, _) => {
                    let due = match kind {
                        OptionValue::Flag => "write true or false".to_owned(),
                        OptionValue::OneOf(words) => format!("write one of: {}", words.join(", ")),
                        OptionValue::Texts => "write a text or a list of texts".to_owned(),
                    };
                    let message =
                        format!("[options]: the value of {name:?} is not one that it takes");
                    return Err(refuse(message, due));
                }
            };
            options.insert(name.clone(), values);
        }
        Ok(options)
    }

    /// The overrides as a lock has them.
    pub(crate) fn changes(&self) -> impl Iterator<Item = &Override> {
        self.overrides.iter().map(|it| &it.change)
    }
}

impl OverrideSetting {
    fn read(self, folder: &Path, origin: &Origin) -> Result<RequestOverride, Stop> {
        let refuse = |message: String, help: &str| {
            Stop::from(
                Diagnostic::error("settings::override", message).at(origin.clone()).help(help),
            )
        };
        if self.reason.trim().is_empty() {
            let message = format!("the override of {} says no reason", self.package);
            return Err(refuse(message, "say why it is there: reason = \"…\""));
        }
        for variable in self.environment.keys() {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if variable.is_empty()
                || !variable.chars().all(plain)
                || variable.starts_with(|c: char| c.is_ascii_digit())
            {
                let message = format!("{variable:?} cannot be the name of an environment variable");
                return Err(refuse(message, "use letters, digits and `_`"));
            }
        }
        let inside = |path: &str| {
            let mut parts = Path::new(path).components();
            !path.is_empty() && parts.all(|part| matches!(part, Component::Normal(_)))
        };
        let mut patches = Vec::new();
        let mut contents = Vec::new();
        for path in self.patches {
            if !inside(&path) {
                let message = format!("the patch {path:?} is outside of the project");
                return Err(refuse(
                    message,
                    "put it beside or below x2nix.toml, and name it from there",
                ));
            }
            let file = folder.join(&path);
            let content = std::fs::read(&file).map_err(|error| unreadable(&file, &error))?;
            let hash = format!("sha256-{}", BASE64.encode(Sha256::digest(&content)));
            patches.push(OverridePatch { path, hash });
            contents.push(Blob(content));
        }
        let source = match self.source {
            None => None,
            Some(SourceSetting::Local(LocalSetting { path })) if inside(&path) => {
                Some(Artifact::Local { path })
            }
            Some(SourceSetting::Local(LocalSetting { path })) => {
                let message = format!("the source {path:?} is outside of the project");
                return Err(refuse(message, "put it below x2nix.toml, and name it from there"));
            }
            Some(SourceSetting::Fetch(FetchSetting { url, hash })) => {
                if !is_sri(&hash) {
                    let message = format!("the hash {hash:?} of {url} is not in SRI form");
                    return Err(refuse(
                        message,
                        "write it as sha256-BASE64 or sha512-BASE64; `nix hash to-sri` makes it",
                    ));
                }
                let last = url.split(['?', '#']).next().and_then(|it| it.rsplit('/').next());
                let name = last.filter(|it| !it.is_empty()).unwrap_or("source").to_owned();
                Some(Artifact::Fetch { urls: vec![url], name, hashes: vec![hash] })
            }
        };
        let change = Override {
            package: self.package,
            reason: self.reason,
            inputs: self.inputs.map(Needs::into_needs).unwrap_or_default(),
            system: self.system.map(Needs::into_needs),
            patches,
            skip_tests: self.skip_tests,
            environment: self.environment,
            source,
            attribute: self.attribute,
        };
        Ok(RequestOverride { change, origin: Some(origin.clone()), patches: contents })
    }
}

/// Whether a hash is one that the package set of Nix takes for a file.
fn is_sri(hash: &str) -> bool {
    let length = |name: &str| match name {
        "sha256" => Some(32),
        "sha512" => Some(64),
        _ => None,
    };
    hash.split_once('-').is_some_and(|(name, digest)| {
        BASE64.decode(digest).is_ok_and(|bytes| Some(bytes.len()) == length(name))
    })
}
