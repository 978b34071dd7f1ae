//! The IR: names, versions, and what each version needs.
//!
//! The vocabulary is that of the Package Calculus: a dependency is a package, a name and a set of
//! versions, and everything richer reduces to it. Plugins state the richer form; the core owns the
//! reductions, and refuses by name what it cannot reduce yet. `docs/ir.md` has the reasoning.

use crate::{Diagnostic, Origin};
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl $name {
            /// The number as an index.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

id! {
    /// The number of a name in the session's dictionary.
    NameId
}
id! {
    /// The number of a version set in the session's dictionary.
    SetId
}
id! {
    /// The number of a class in the session's dictionary.
    ClassId
}

/// What was announced for the first time in this answer; see the crate's essay.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Dictionary {
    /// New names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<NameEntry>,
    /// New version sets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<SetEntry>,
    /// New classes: at most one name of a class may be chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
}

/// A name that packages may have.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
pub struct NameEntry {
    /// The name in the ecosystem's spelling.
    pub text: String,
    /// The space within which its granularity holds; empty for the main one. The same text in two
    /// contexts is two names, which may have different versions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub context: String,
    /// What the name stands for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub kind: NameKind,
    /// Which of several ecosystems it is of, from 0; what joins plugins numbers them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ecosystem: u32,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NameKind {
    /// Something that can be chosen and built.
    #[default]
    Package,
    /// A name that others provide: each candidate requires its provider, and several may hold.
    Virtual,
    /// A variable of formulas: its candidates are its values, one of which is chosen.
    Variable,
}

/// A set of versions of one name. Only the plugin knows what is in it; see [`Members`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct SetEntry {
    /// The name.
    pub name: NameId,
    /// The set in the ecosystem's own words, for messages: `>= 1.0 & < 2.0`; empty for all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// A formula over version sets: what must hold if its owner is chosen.
///
/// As JSON, a plain leaf is the number of its set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Need {
    /// A member of this set, in the owner's own role.
    Set(SetId),
    /// A member of a set, with more to say about the edge.
    Leaf(Leaf),
    /// Each of these; the empty list holds always.
    All {
        /// The parts.
        all: Vec<Need>,
    },
    /// At least one of these, the preferred one first; the empty list never holds.
    Any {
        /// The alternatives.
        any: Vec<Need>,
    },
}

impl<'de> Deserialize<'de> for Need {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Derived, each formula would be copied into a value of its own and read from there, once for
        // each form that it may have; and formulas are most of what plugins say.
        deserializer.deserialize_any(NeedVisitor)
    }
}

struct NeedVisitor;

impl<'de> Visitor<'de> for NeedVisitor {
    type Value = Need;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the number of a set, or an object with `set`, `all` or `any`")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Need, E> {
        let number = u32::try_from(number);
        number
            .map(|it| Need::Set(SetId(it)))
            .map_err(|_| de::Error::invalid_value(de::Unexpected::Other("a larger number"), &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Need, A::Error> {
        #[derive(Deserialize)]
        struct Members {
            set: Option<SetId>,
            #[serde(default)]
            role: Role,
            #[serde(default)]
            post: bool,
            #[serde(default)]
            features: Vec<String>,
            all: Option<Vec<Need>>,
            any: Option<Vec<Need>>,
        }
        let Members { set, role, post, features, all, any } =
            Members::deserialize(MapAccessDeserializer::new(map))?;
        match (set, all, any) {
            (Some(set), _, _) => Ok(Need::Leaf(Leaf { set, role, post, features })),
            (None, Some(all), _) => Ok(Need::All { all }),
            (None, None, Some(any)) => Ok(Need::Any { any }),
            (None, None, None) => Err(de::Error::custom("one of `set`, `all` and `any` is due")),
        }
    }
}

/// One edge of the dependency graph.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Leaf {
    /// A member of this set is needed.
    pub set: SetId,
    /// Where the needed package runs.
    #[serde(default, skip_serializing_if = "is_default")]
    pub role: Role,
    /// Needed, but not before the owner is built: such an edge may close a cycle.
    #[serde(default, skip_serializing_if = "is_default")]
    pub post: bool,
    /// Parts of the needed package that must be switched on (Cargo features, Python extras).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
}

/// Where a needed package runs, in the terms of cross compilation.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// On the machine that builds: a compiler, a code generator.
    Build,
    /// Where its owner runs: a library.
    #[default]
    Host,
    /// On the machine that its owner makes code for: a compiler's runtime library.
    Target,
}

/// Why a requirement is there.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// The package does not work without it.
    #[default]
    Normal,
    /// Its tests need it.
    Test,
    /// Its documentation needs it.
    Doc,
    /// Its developers need it.
    Dev,
}

/// One condition that holds if its owner is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Requirement {
    /// What must hold.
    pub need: Need,
    /// Why.
    #[serde(default, skip_serializing_if = "is_default")]
    pub purpose: Purpose,
    /// Only an edge if the package is chosen anyway; never a reason to choose it (opam's depopts).
    #[serde(default, skip_serializing_if = "is_default")]
    pub optional: bool,
    /// The needed package must be the one that the owner's own user sees (npm's peers).
    #[serde(default, skip_serializing_if = "is_default")]
    pub peer: bool,
    /// The needed package shows in the owner's interface, so that users of both must agree on its
    /// version; unset where the ecosystem does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visible: Option<bool>,
    /// The platforms on which it holds; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platforms: Option<Vec<String>>,
    /// The line in the owner's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The place, where it is not in the owner's file (the roots).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

impl Requirement {
    /// A plain requirement.
    pub fn new(need: Need) -> Self {
        Self {
            need,
            purpose: Purpose::Normal,
            optional: false,
            peer: false,
            visible: None,
            platforms: None,
            line: None,
            origin: None,
        }
    }
}

/// Versions that may not be chosen beside the owner. Its own name in it means nothing: a package
/// never conflicts with itself (opam's rule, `OpamSwitchState.universe`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Conflict {
    /// The versions.
    pub set: SetId,
    /// The line in the owner's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// Something the ecosystem says about a version that bears on choosing it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// Choose it only if nothing else fits: previews, deprecated versions.
    Avoid,
    /// Withdrawn: only where a lock has it already.
    Yanked,
    /// The project's own lock file, that of the ecosystem's tool, has it: it is kept where it fits.
    Locked,
}

/// Where a package is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// In a derivation.
    #[default]
    Derivation,
    /// In the project's workspace: its source is compiled together with the project's own.
    Workspace,
}

/// One version of a name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Candidate {
    /// The version's text. Versions that the ecosystem holds equal are one candidate.
    pub version: String,
    /// Where [`Granularity::Bucket`] holds: which bucket.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub bucket: String,
    /// Where it is built, if it is chosen.
    #[serde(default, skip_serializing_if = "is_default")]
    pub placement: Placement,
    /// What to know before choosing it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
    /// Why it cannot be chosen at all, if so; then it states nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excluded: Option<String>,
    /// The file that says all this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line of what excludes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// What it needs: all of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<Requirement>,
    /// What it does not live beside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
    /// Its classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassId>,
    /// Classes of which one *version* at most is chosen, be it of this name or another (Cargo's
    /// `links`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclusive: Vec<ClassId>,
    /// Parts that can be switched on, each with what it needs in turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<Feature>,
    /// What it needs, its conflicts, classes and features are not told here: they are asked for, with
    /// [`DetailsRequest`], if it comes into question. Its version, bucket, marks and whether it is
    /// excluded are told.
    #[serde(default, skip_serializing_if = "is_default")]
    pub deferred: bool,
}

/// A part of a package that can be switched on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// Others of the same package that it switches on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enables: Vec<String>,
    /// What it needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<Requirement>,
}

/// Which versions of one name may be chosen together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Granularity {
    /// One (opam, PyPI).
    #[default]
    One,
    /// One per [`Candidate::bucket`] (Cargo's semver-compatible ranges).
    Bucket,
    /// Any number, chosen edge by edge (npm).
    Any,
}

/// All that is known of one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PackageFacts {
    /// The name.
    pub name: NameId,
    /// Which of its versions may be chosen together.
    #[serde(default, skip_serializing_if = "is_default")]
    pub granularity: Granularity,
    /// Its versions, the newest first in the ecosystem's order; none for an unknown name.
    pub candidates: Vec<Candidate>,
    /// For an unknown name: known names that look like it, the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub similar: Vec<String>,
}

/// Asks for all that is known of names that were announced.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct FactsRequest {
    /// The names; none is asked for twice.
    pub names: Vec<NameId>,
}

/// The answer to [`FactsRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct FactsAnswer {
    /// What new numbers in this answer mean.
    #[serde(default)]
    pub dictionary: Dictionary,
    /// One for each name of the request, in its order.
    pub packages: Vec<PackageFacts>,
    /// What the user should know, such as a broken file that was left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Diagnostic>,
}

/// Asks for what was deferred.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct DetailsRequest {
    /// Candidates that were told of as [`Candidate::deferred`]; none is asked for twice.
    pub candidates: Vec<CandidatePlace>,
}

/// A candidate as both sides know it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct CandidatePlace {
    /// The name.
    pub name: NameId,
    /// The position in its list of candidates.
    pub candidate: u32,
}

/// The answer to [`DetailsRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct DetailsAnswer {
    /// What new numbers in this answer mean.
    #[serde(default)]
    pub dictionary: Dictionary,
    /// One for each candidate of the request, in its order, with all that is known of it.
    pub candidates: Vec<Candidate>,
    /// What the user should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Diagnostic>,
}

/// All names that the inputs know.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct NamesAnswer {
    /// The names, sorted.
    pub names: Vec<String>,
}

/// Asks which candidates lie in sets; the names of all of them were answered before.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct MembersRequest {
    /// The sets; none is asked for twice.
    pub sets: Vec<SetId>,
}

/// The answer to [`MembersRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct MembersAnswer {
    /// One for each set of the request, in its order.
    pub sets: Vec<Members>,
}

/// The members of a set: runs of positions in its name's list of candidates, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Members(
    /// First position and length of each run; runs neither touch nor overlap, and go upwards.
    pub Vec<(u32, u32)>,
);

impl Members {
    /// The members given by their positions, which go upwards.
    pub fn from_positions(positions: impl IntoIterator<Item = u32>) -> Self {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for position in positions {
            match runs.last_mut() {
                Some((start, length)) if *start + *length == position => *length += 1,
                _ => runs.push((position, 1)),
            }
        }
        Self(runs)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape that serde asks for
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
