//! The document: what a lock file says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use x2nix_protocol::{
    Artifact, Criterion, Edge, InputKind, Mark, Origin, Placement, Provided, Purpose, Role,
    SystemNeed, Unit,
};

/// The format that this crate writes. Older ones stay readable.
pub const LOCK_VERSION: u32 = 1;

/// A lock file: all that checking, explaining and building need, and nothing else.
///
/// Where platforms disagree about a package or a unit, its entry is kept once per platform under
/// `ID/PLATFORM`; where they agree, once under `ID`. See [`Lock::package`] and [`Lock::unit`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lock {
    /// The format; see [`LOCK_VERSION`].
    pub version: u32,
    /// The ecosystem whose plugin stated the facts.
    pub ecosystem: String,
    /// Which plugin that was.
    pub plugin: PluginIdentity,
    /// What was asked for.
    pub request: LockedRequest,
    /// What was read, in order of precedence.
    pub inputs: Vec<LockedInput>,
    /// The answers, by platform.
    pub platforms: BTreeMap<String, LockedPlatform>,
    /// What the solver chose, by `NAME@VERSION` (and `:CONTEXT`, where it is not the main one).
    pub packages: BTreeMap<String, LockedPackage>,
    /// What the user changed of how packages are built.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<LockedOverride>,
    /// What builds start from.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub artifacts: BTreeMap<String, Artifact>,
    /// The build graph.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub units: BTreeMap<String, Unit>,
    /// What was made of the project before it could be read, by name. An input of the kind
    /// `generated` has that name as its location.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub preparations: BTreeMap<String, LockedPreparation>,
}

/// Something that was made before the request could be read, and the packages that it took.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct LockedPreparation {
    /// Its packages as they were asked for.
    pub roots: Vec<String>,
    /// The hash of what was made, by platform.
    pub generated: BTreeMap<String, String>,
    /// The answers, by platform.
    pub platforms: BTreeMap<String, LockedPlatform>,
    /// What the solver chose, as [`Lock::packages`].
    pub packages: BTreeMap<String, LockedPackage>,
}

/// Which plugin stated the facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginIdentity {
    /// The plugin's own version.
    pub version: String,
    /// The protocol that it spoke.
    pub protocol: u32,
    /// The hash of its file in SRI form; none where it is linked in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// What it was allowed to do beside reading the inputs, sorted: `fetch=example.org`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<String>,
}

/// What was asked for, so that it can be asked again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct LockedRequest {
    /// Packages by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roots: Vec<String>,
    /// Variables that the user set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Options of the plugin.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, Vec<String>>,
    /// Packages taken from the package set of Nix.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub provided: BTreeMap<String, Provided>,
    /// Where the package set is that versions of such packages were read from, if any were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_set: Option<String>,
    /// What the user says system packages are, by the ecosystem's names for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub system: BTreeMap<String, Vec<SystemNeed>>,
    /// What needs what across ecosystems, where several are joined.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<Edge>,
    /// The policy that says what a good answer is.
    pub policy: String,
}

/// An override and what it was applied to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LockedOverride {
    /// The override.
    #[serde(flatten)]
    pub change: Override,
    /// The ids of the chosen packages that it means, sorted; empty where it means none any more.
    pub packages: Vec<String>,
}

/// A change that the user makes to how packages are built.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Override {
    /// Which packages, in the words of a root: `zarith`, `zarith>=1.13`.
    pub package: String,
    /// Why, for those who come later.
    pub reason: String,
    /// What they need from the package set of Nix beside what they say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<SystemNeed>,
    /// What they need from the package set of Nix instead of what they say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<Vec<SystemNeed>>,
    /// Patches that are applied after their own, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<OverridePatch>,
    /// Whether their tests are not run.
    #[serde(default, skip_serializing_if = "is_default")]
    pub skip_tests: bool,
    /// Variables that are set while they are built.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// What is unpacked in place of their first source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Artifact>,
    /// The attribute of the package set of Nix that is taken in their place, dots between levels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
}

/// A patch of an override.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OverridePatch {
    /// Its path, relative to the settings.
    pub path: String,
    /// The hash of its content in SRI form.
    pub hash: String,
}

/// One input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LockedInput {
    /// What it is.
    pub kind: InputKind,
    /// Where it is: an address, or a path as the user gave it, relative to the lock file where it
    /// was given so. `.` is the lock file's own folder.
    pub location: String,
    /// The hash of its content in SRI form; of a project, the hash of its manifests.
    pub hash: String,
}

/// The answer for one platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LockedPlatform {
    /// All variables that facts were evaluated under.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// The values that were chosen for the variables of formulas, by name (and `:CONTEXT`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    /// What was chosen of virtual names, by name (and `:CONTEXT`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub virtuals: BTreeMap<String, Vec<String>>,
    /// Whether the answer is proved to be the best.
    pub optimality: Optimality,
    /// How good it is, the most important first.
    pub criteria: Vec<CriterionValue>,
    /// What the user asked for, and what satisfies it.
    pub roots: Vec<LockedNeed>,
    /// The ids of its packages, sorted.
    pub packages: Vec<String>,
    /// Further names for units.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aliases: BTreeMap<String, String>,
}

/// Whether an answer is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Optimality {
    /// Proved: no answer is better by the criteria.
    #[serde(rename = "optimal")]
    Optimal,
    /// The best that was found.
    #[serde(rename = "best found")]
    BestFound,
}

/// A criterion and how much of it the answer has; less is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CriterionValue {
    /// The criterion.
    #[serde(flatten)]
    pub criterion: Criterion,
    /// How much.
    pub value: u64,
}

/// One chosen package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LockedPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its context, where it is not the main one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub context: String,
    /// Whether it is a derivation of its own or part of the project's workspace.
    #[serde(default)]
    pub placement: Placement,
    /// What the ecosystem says about the version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
    /// The parts of it that are switched on, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// The file that states its facts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The unit that builds it; none if it builds nothing or was only resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What it needs, and what satisfies that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends: Vec<LockedNeed>,
}

/// A formula and the chosen packages that satisfy it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LockedNeed {
    /// The formula in the ecosystem's words.
    pub need: String,
    /// The ids of the chosen packages that satisfy it; empty for an optional need that no chosen
    /// package touches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
    /// Where they run.
    #[serde(default, skip_serializing_if = "is_default")]
    pub role: Role,
    /// Why it is needed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub purpose: Purpose,
    /// Not needed before the owner is built.
    #[serde(default, skip_serializing_if = "is_default")]
    pub post: bool,
    /// Only an edge if the package is chosen anyway.
    #[serde(default, skip_serializing_if = "is_default")]
    pub optional: bool,
    /// Where it is written, where that is not the owner's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

impl LockedPreparation {
    /// A package's entry on a platform.
    pub fn package(&self, id: &str, platform: &str) -> Option<&LockedPackage> {
        self.packages.get(&format!("{id}/{platform}")).or_else(|| self.packages.get(id))
    }
}

/// What stands between the names of ecosystems that are joined in one lock.
pub const AND: char = '+';

impl Lock {
    /// The ecosystem that a package is of, where the lock has several: all but the first are the head of
    /// their packages' contexts.
    pub fn ecosystem_of(&self, package: &LockedPackage) -> &str {
        let mut parts = self.ecosystem.split(AND);
        let first = parts.next().unwrap_or_default();
        let head = package.context.split('/').next().unwrap_or_default();
        parts.find(|part| *part == head).unwrap_or(first)
    }

    /// A package's entry on a platform.
    pub fn package(&self, id: &str, platform: &str) -> Option<&LockedPackage> {
        self.packages.get(&format!("{id}/{platform}")).or_else(|| self.packages.get(id))
    }

    /// A unit's entry on a platform.
    pub fn unit(&self, id: &str, platform: &str) -> Option<&Unit> {
        self.units.get(&format!("{id}/{platform}")).or_else(|| self.units.get(id))
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape that serde asks for
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
