//! Who a plugin is: what it says before it is given anything to read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The plugin's own account of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Describe {
    /// The ecosystem's name, as in `--ecosystem NAME`: lower-case letters, digits and `-`.
    pub ecosystem: String,
    /// The plugin's own version.
    pub version: String,
    /// The protocol that it speaks; see [`PROTOCOL_VERSION`](crate::PROTOCOL_VERSION).
    pub protocol: u32,
    /// One line for people.
    pub title: String,
    /// The type of this ecosystem's package URLs (`opam`, `cargo`, `npm`, `pypi`), if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purl_type: Option<String>,
    /// Whether one answer covers all platforms or each platform is solved by itself.
    pub platforms: PlatformMode,
    /// Command-line options of `resolve` that this plugin understands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<OptionSpec>,
    /// Whether it knows where packages come from where the user names no repository.
    #[serde(default, skip_serializing_if = "crate::facts::is_default")]
    pub finds_repositories: bool,
    /// Files that it can write for other tools: `export --NAME`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exports: Vec<ExportSpec>,
    /// What a good answer is, by the name of a policy; `default` must be among them.
    pub policies: BTreeMap<String, Vec<Criterion>>,
}

/// How an ecosystem resolves for several platforms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PlatformMode {
    /// One answer that holds on all of them (Cargo, PyPI).
    Joint,
    /// One answer each, the same versions preferred across them (opam).
    Each,
}

/// One option of the command line.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct OptionSpec {
    /// Its long name, without dashes.
    pub name: String,
    /// What it does, for `--help`.
    pub help: String,
    /// What it takes.
    #[serde(default)]
    pub value: OptionValue,
    /// What the package set of Nix provides where the option has one of these values (the empty text
    /// for a flag), unless the user says otherwise of the package. Versions are read from there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub provides: BTreeMap<String, Vec<ProvidedByOption>>,
}

/// A package that comes from the package set of Nix where an option says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProvidedByOption {
    /// The package.
    pub name: String,
    /// Its attribute in the package set, dots between levels.
    pub attribute: String,
}

/// A form in which an answer can be written for another tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExportSpec {
    /// Its name: the flag of `export`, without dashes.
    pub name: String,
    /// What it writes, for `--help`.
    pub help: String,
}

/// What an option takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OptionValue {
    /// Nothing: it is given or not.
    #[default]
    Flag,
    /// One of these words; the first is the default.
    OneOf(Vec<String>),
    /// Any text; may be given again.
    Texts,
}

/// One thing that makes an answer better; a policy is a list of them, the most important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Criterion {
    /// What is counted; less is better.
    pub measure: Measure,
    /// Over which of the chosen packages.
    pub over: Scope,
    /// Only over those of this one of several ecosystems; see `ecosystem` of a name. Passed over are
    /// alternatives of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<u32>,
}

impl Criterion {
    /// A criterion over all ecosystems that there are.
    pub const fn new(measure: Measure, over: Scope) -> Self {
        Self { measure, over, within: None }
    }
}

/// What a [`Criterion`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Packages at a version that is marked [`Mark::Avoid`](crate::Mark::Avoid).
    Avoided,
    /// For each package, how many newer versions exist that are neither excluded nor avoided; where
    /// versions exclude each other by buckets, in its bucket.
    Lag,
    /// For each package, how many older versions exist that are neither excluded nor avoided; where
    /// versions exclude each other by buckets, in its bucket.
    Lead,
    /// Packages.
    Count,
    /// For each requirement, how many alternatives are passed over before one that holds: of a
    /// formula, the ones before it; of a set that spans buckets, the newer buckets. It counts over
    /// all.
    PassedOver,
}

/// Over which of the chosen packages a [`Criterion`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Those that a root requirement names.
    Requested,
    /// All.
    All,
    /// All, the nearest first: what the roots require goes before what that requires in turn, and so
    /// on. A package that is needed at several distances counts at the smallest.
    Nearest,
}
