//! What a session is opened with, and what the user's own words require.

use crate::{
    Artifact, Diagnostic, Dictionary, Need, OpenedTree, Origin, Requirement, Selection, TreeId,
    Unit,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The question that opens a session.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct OpenRequest {
    /// What may be read, in order of precedence: the first repository wins.
    pub inputs: Vec<Input>,
    /// Packages asked for by name, in the ecosystem's own syntax (`lwt`, `lwt>=5.0`).
    #[serde(default)]
    pub roots: Vec<String>,
    /// The platform to resolve for, as Nix names it: `x86_64-linux`.
    pub platform: String,
    /// The ecosystem's variables that the user set; an empty value unsets one.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// The plugin's own options, by long name; a flag that is given has an empty list.
    #[serde(default)]
    pub options: BTreeMap<String, Vec<String>>,
    /// Those of the user's environment variables that the plugin asked for and was granted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub user_environment: BTreeMap<String, String>,
    /// Packages that the package set of Nix provides, by name: their version is fixed.
    #[serde(default)]
    pub provided: BTreeMap<String, Provided>,
    /// Packages that another ecosystem has to do with: one of its packages needs them, or they need one of
    /// its. They are no roots; the answer says what their words mean.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<Selection>,
    /// What the user says needs what across ecosystems. Only what joins plugins is given any: each plugin
    /// finds its side among its `mentions`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<Edge>,
}

/// A package of one ecosystem that needs one of another. Each side is written in the words of a root of its
/// ecosystem, behind the ecosystem's name: `opam:lwt>=5`, `cargo:serde@1`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Edge {
    /// The versions that need something.
    pub from: String,
    /// What they need.
    pub needs: String,
    /// Where the user said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// A package that is taken from the package set of Nix instead of being built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Provided {
    /// The version that it has there.
    pub version: String,
    /// Its attribute in the package set, dots between levels; `None`: it adds nothing to a build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    /// Whether nobody stated the version: it was read from the package set when the lock was made.
    #[serde(default, skip_serializing_if = "crate::facts::is_default")]
    pub read: bool,
    /// Where the user said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// One thing that the plugin may read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Input {
    /// The tree to read, by the host's number.
    pub tree: TreeId,
    /// What it is.
    pub kind: InputKind,
    /// What to call it in messages: the path or address that the user gave.
    pub label: String,
}

/// What an [`Input`] is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum InputKind {
    /// The user's project: its manifest states the roots.
    Project,
    /// A package repository.
    Repository,
    /// The source of a package that the project takes from elsewhere.
    Pin,
    /// What a [`Preparation`] made; its label is the preparation's name.
    Generated,
}

/// The answer to [`OpenRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct OpenAnswer {
    /// What the numbers in this answer mean.
    #[serde(default)]
    pub dictionary: Dictionary,
    /// What the user asked for; each with its origin.
    pub roots: Vec<Requirement>,
    /// All variables that facts are evaluated under, defaults included; recorded in the lock.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// The files that state the request: when one of them changes, the lock is stale.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manifests: Vec<Manifest>,
    /// What was opened beside the inputs of the request. They are numbered on from those.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opened: Vec<OpenedTree>,
    /// What the user should know, such as a broken file that was left out.
    #[serde(default)]
    pub notes: Vec<Diagnostic>,
    /// What has to be made before the request can be read. While there is any, the rest of the
    /// answer means nothing: the host makes them all and opens again, with one input of kind
    /// [`InputKind::Generated`] for each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preparations: Vec<Preparation>,
    /// What the mentions of the request mean, in their order: a set, or a formula over several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<Need>,
}

/// Something that a tool of the ecosystem has to make out of the project before anything can be said
/// of what the project needs: a manifest that a program writes.
///
/// The host resolves the tool's packages by themselves, builds them and then the unit with Nix, and
/// offers what the unit has put out as a further input. The lock keeps how that was made, and its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Preparation {
    /// What it is called, in the lock as the key of its unit: letters, digits and `-._+`.
    pub name: String,
    /// The packages that it needs, in the words of [`OpenRequest::roots`]. They are resolved in a
    /// session of their own, which sees the repositories and not the project.
    pub roots: Vec<String>,
    /// The plugin's options of that session.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, Vec<String>>,
    /// How it is made. The host adds edges to the units of the roots.
    pub unit: Unit,
    /// What the unit starts from.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub artifacts: BTreeMap<String, Artifact>,
    /// Where the project says that it is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// A file that states the request.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Manifest {
    /// The tree that it is in.
    pub tree: TreeId,
    /// Its path there.
    pub path: String,
}
