//! The form of a scenario file.

use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::PathBuf};

/// A universe, a request and what is expected.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Scenario {
    /// What it shows.
    pub(crate) about: String,
    /// What is asked for.
    pub(crate) roots: Vec<NeedText>,
    /// The platforms.
    #[serde(default = "linux")]
    pub(crate) platforms: Vec<String>,
    /// The policy; empty for the default.
    #[serde(default)]
    pub(crate) policy: String,
    /// What was asked for when the previous lock was made, if there is one.
    #[serde(default)]
    pub(crate) previous: Option<Vec<NeedText>>,
    /// What is said of names; those that are not here are plain packages.
    #[serde(default)]
    pub(crate) names: BTreeMap<String, NameText>,
    /// What is said of versions, by `NAME VERSION`.
    #[serde(default)]
    pub(crate) packages: BTreeMap<String, PackageText>,
    /// What must come of it.
    pub(crate) expect: Expected,
}

impl Scenario {
    /// What is asked for, and of what: now, or when the previous lock was made.
    pub(crate) fn at(mut self, previous: bool) -> Self {
        if previous {
            self.roots = self.previous.take().unwrap_or_default();
            self.packages.retain(|_, package| !package.new);
        } else {
            for package in self.packages.values_mut() {
                if let Some(now) = package.now.take() {
                    *package = *now;
                }
            }
        }
        self
    }
}

fn linux() -> Vec<String> {
    vec!["x86_64-linux".into()]
}

/// What is said of a name.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NameText {
    #[serde(default)]
    pub(crate) kind: Option<x2nix_protocol::NameKind>,
    #[serde(default)]
    pub(crate) granularity: x2nix_protocol::Granularity,
}

/// What is said of a version.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PackageText {
    #[serde(default)]
    pub(crate) requires: Vec<NeedText>,
    #[serde(default)]
    pub(crate) conflicts: Vec<String>,
    #[serde(default)]
    pub(crate) classes: Vec<String>,
    #[serde(default)]
    pub(crate) marks: Vec<x2nix_protocol::Mark>,
    #[serde(default)]
    pub(crate) placement: x2nix_protocol::Placement,
    #[serde(default)]
    pub(crate) excluded: Option<String>,
    /// It was not there yet when the previous lock was made.
    #[serde(default)]
    pub(crate) new: bool,
    /// What is said of it now, if that was different when the previous lock was made.
    #[serde(default)]
    pub(crate) now: Option<Box<PackageText>>,
    /// The platforms that it is for; excluded on others.
    #[serde(default)]
    pub(crate) only: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) features: BTreeMap<String, Vec<NeedText>>,
    /// Classes of which one version is chosen.
    #[serde(default)]
    pub(crate) exclusive: Vec<String>,
    /// What it needs is told only when it is asked for.
    #[serde(default)]
    pub(crate) deferred: bool,
}

/// A requirement: its formula, or a table where there is more to say.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum NeedText {
    Plain(String),
    More(MoreText),
}

/// A requirement of which there is more to say.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MoreText {
    pub(crate) need: String,
    #[serde(default)]
    pub(crate) optional: bool,
    #[serde(default)]
    pub(crate) peer: bool,
    #[serde(default)]
    pub(crate) visible: Option<bool>,
    #[serde(default)]
    pub(crate) platforms: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) purpose: x2nix_protocol::Purpose,
    /// The plugin states it on this platform only: its own reading, not the core's.
    #[serde(default)]
    pub(crate) only: Option<String>,
}

/// What must come of a scenario.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Expected {
    /// Exactly these packages, by their ids in the lock, on every platform.
    Packages(Vec<String>),
    /// Exactly this, platform by platform.
    Platforms(BTreeMap<String, ExpectedAnswer>),
    /// This message, and no answer.
    Refused(String),
    /// This explanation, and no answer: two spaces for each step down, then what is suggested.
    Unsolvable(String),
}

/// What must come of a scenario on one platform.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ExpectedAnswer {
    pub(crate) packages: Vec<String>,
    /// The variables of formulas.
    #[serde(default)]
    pub(crate) variables: BTreeMap<String, String>,
    /// The packages that are built in the workspace.
    #[serde(default)]
    pub(crate) workspace: Vec<String>,
    /// Edges `ID -> ID` that must be in the lock.
    #[serde(default)]
    pub(crate) edges: Vec<String>,
    /// Edges that must not be there.
    #[serde(default)]
    pub(crate) no_edges: Vec<String>,
    /// The features that are on, by id; of packages that are not here, it is not looked at.
    #[serde(default)]
    pub(crate) features: BTreeMap<String, Vec<String>>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios")
}

/// Writes the explanation that a scenario expects into its file, where it ends with one.
pub(crate) fn update(name: &str, text: &str, says: &str) {
    if let Some((before, _)) = text.split_once("unsolvable = ") {
        let text = format!("{before}unsolvable = \"\"\"\n{says}\n\"\"\"\n");
        fs::write(folder().join(format!("{name}.toml")), text).expect("a scenario can be written");
    }
}

/// All scenario files, by name.
pub(crate) fn files() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder()).expect("the scenarios are there") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            files.insert(name, fs::read_to_string(&path).expect("a scenario is text"));
        }
    }
    assert!(!files.is_empty(), "there are no scenarios");
    files
}
