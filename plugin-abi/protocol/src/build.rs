//! How chosen packages are built: artifacts and build units.
//!
//! A *unit* is one derivation. It is made of artifacts, and of steps that are lists of words; a word
//! joins parts whose kind is known ([`Part`]), so that whoever writes it out can quote each part for
//! what it is. No part is ever shell or Nix text.

use crate::{Blob, Diagnostic, NameId, Origin, Purpose, Role};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Asks how the chosen candidates are built.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct BuildRequest {
    /// What was chosen, names in the order of their numbers.
    pub chosen: Vec<Chosen>,
    /// What the user says system packages are, by the ecosystem's names for them; an empty list:
    /// nothing is needed. It goes before what the plugin knows of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub system: BTreeMap<String, Vec<SystemNeed>>,
    /// Packages that the user speaks of; the answer says which of the chosen ones they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub selections: Vec<Selection>,
}

/// Packages in the words of a root: a name, perhaps with a bound on the version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Selection {
    /// The words, such as `lwt>=5.6`.
    pub text: String,
    /// Where they are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// One chosen candidate.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Chosen {
    /// The name.
    pub name: NameId,
    /// The position in its list of candidates.
    pub candidate: u32,
    /// The parts of it that are switched on, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
}

/// The answer to [`BuildRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct BuildAnswer {
    /// What is to be fetched, by a key that the units use.
    #[serde(default)]
    pub artifacts: BTreeMap<String, Artifact>,
    /// The derivations, by a key that is unique in the lock, such as `lwt@5.9.1`.
    pub units: BTreeMap<String, Unit>,
    /// For each chosen package, in the order of the request, the unit that provides it.
    pub unit_of: Vec<Option<String>>,
    /// Further units of chosen packages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<FurtherUnit>,
    /// For each selection of the request, the positions of the chosen packages that it means.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub selected: Vec<Vec<u32>>,
    /// Why units cannot be built as they are. The host refuses what no override of the user settles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<BuildProblem>,
    /// What the user should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Diagnostic>,
    /// Packages whose sources are a part of their unit, which further units compile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub placed: Vec<Placed>,
    /// Further names for units, such as what the ecosystem's users call them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aliases: BTreeMap<String, String>,
}

/// A unit that a package is built as beside the one that provides it, such as for the machine that builds.
/// What the user changes of the package is changed of that unit, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FurtherUnit {
    /// The position of the package among the chosen ones.
    pub package: u32,
    /// The unit's key.
    pub unit: String,
}

/// A package whose sources lie in a folder of a unit that only brings sources together, to be compiled by
/// other units. What the user changes of the package is changed of that folder, and of those units. Where
/// several units bring it, it is placed several times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Placed {
    /// The position of the package among the chosen ones.
    pub package: u32,
    /// What [`BuildProblem`]s call it.
    pub name: String,
    /// The unit that brings its sources.
    pub unit: String,
    /// The folder there; the unit has a source that is placed so.
    pub folder: String,
    /// The units that compile it.
    pub compiled_by: Vec<String>,
    /// What these have from the package set of Nix because of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub system: Vec<SystemNeed>,
}

/// Why a unit cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BuildProblem {
    /// The unit's key, or the name of a package that is [`Placed`] in one.
    pub unit: String,
    /// What of it.
    pub part: UnitPart,
    /// For the user.
    pub diagnostic: Diagnostic,
}

/// A part of a unit that an override may replace.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum UnitPart {
    /// Its first source.
    Source,
    /// What it needs from the package set of Nix.
    System,
    /// Anything else.
    Other,
}

/// Something that a build starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Artifact {
    /// A file to fetch.
    Fetch {
        /// Where it is, the preferred place first.
        urls: Vec<String>,
        /// What it is called; no folder.
        name: String,
        /// Its hashes in SRI form, the strongest first: `sha256-…`. None: whoever makes the lock
        /// fetches the file and says which.
        hashes: Vec<String>,
    },
    /// A revision of a Git repository.
    Git {
        /// The address of the repository: `https://…`, `ssh://…`, `git://…`, `file://…`.
        url: String,
        /// A branch, a tag, or the whole id of a commit; `None`: what its `HEAD` is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<String>,
        /// What it is called; no folder.
        name: String,
        /// Whether its submodules belong to it.
        #[serde(default, skip_serializing_if = "crate::facts::is_default")]
        submodules: bool,
        /// The whole id of the commit; empty: whoever makes the lock looks which one that is.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        commit: String,
        /// The hash of its files, as Nix hashes a folder, in SRI form; empty: whoever makes the lock
        /// fetches them and says which.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        hash: String,
    },
    /// A folder of the project, relative to its top; `.` for all of it.
    Local {
        /// The folder.
        path: String,
    },
    /// A file or folder of another input, such as a source archive that lies in a repository.
    Input {
        /// The input's number.
        input: u32,
        /// The path in it.
        path: String,
    },
}

impl Artifact {
    /// Whether it names its content, so that a build gets that and nothing else. What lies in a
    /// project or an input is named by that.
    pub fn is_fixed(&self) -> bool {
        match self {
            Self::Fetch { hashes, .. } => !hashes.is_empty(),
            Self::Git { commit, hash, .. } => !commit.is_empty() && !hash.is_empty(),
            Self::Local { .. } | Self::Input { .. } => true,
        }
    }

    /// Whether it says the same as a fixed one, as far as it says anything.
    pub fn agrees(&self, fixed: &Self) -> bool {
        let mut open = fixed.clone();
        match (self, &mut open) {
            (Self::Fetch { hashes, .. }, Self::Fetch { hashes: known, .. }) => {
                known.clone_from(hashes);
            }
            (Self::Git { commit, hash, .. }, Self::Git { commit: known, hash: known_hash, .. }) => {
                if commit.is_empty() {
                    known.clear();
                }
                known_hash.clone_from(hash);
            }
            _ => {}
        }
        fixed.is_fixed() && open == *self
    }
}

/// One derivation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unit {
    /// Its name, and the attribute that it gets.
    pub name: String,
    /// Its version.
    pub version: String,
    /// How it comes into being.
    pub recipe: Recipe,
    /// The units that it needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends: Vec<UnitEdge>,
    /// What its dependants, near and far, find in their environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exports: Vec<EnvironmentOperation>,
    /// For people and for tools that take stock.
    #[serde(default)]
    pub meta: Meta,
}

/// One edge of the build graph.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct UnitEdge {
    /// The key of the needed unit.
    pub unit: String,
    /// Where it runs.
    #[serde(default, skip_serializing_if = "crate::facts::is_default")]
    pub role: Role,
    /// Why it is needed.
    #[serde(default, skip_serializing_if = "crate::facts::is_default")]
    pub purpose: Purpose,
}

/// How a unit comes into being.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Recipe {
    /// Taken from the package set of Nix.
    Provided {
        /// The attribute, dots between levels; `None`: there is nothing to take.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attribute: Option<String>,
    },
    /// Built.
    Build(Build),
}

/// How a unit is built.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Build {
    /// What is unpacked, in order; the first is where the steps run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// Files written into the source before anything else, by path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, Blob>,
    /// Patches, applied in order with `-p1`: paths in the source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<String>,
    /// What it needs from the package set of Nix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub system: Vec<SystemNeed>,
    /// The environment of its own build.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<EnvironmentOperation>,
    /// What is run, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
}

/// An artifact and the place it is unpacked to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    /// The artifact's key.
    pub artifact: String,
    /// The folder of it that is taken, once it is unpacked; empty for all of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub from: String,
    /// The folder or file that it becomes, relative to the source's top; empty for the top.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub to: String,
}

/// Something that the package set of Nix is to provide.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct SystemNeed {
    /// The attribute, dots between levels.
    pub attribute: String,
    /// Where it runs.
    #[serde(default, skip_serializing_if = "crate::facts::is_default")]
    pub role: Role,
}

/// A change of one environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnvironmentOperation {
    /// The variable.
    pub variable: String,
    /// What happens to it.
    pub operation: Operation,
    /// The value.
    pub value: Word,
    /// What stands between the value and what is there.
    #[serde(default = "colon", skip_serializing_if = "is_colon")]
    pub separator: String,
}

fn colon() -> String {
    ":".into()
}

fn is_colon(text: &str) -> bool {
    text == ":"
}

impl EnvironmentOperation {
    /// An operation on a list that is separated by `:`.
    pub fn new(variable: impl Into<String>, operation: Operation, value: Word) -> Self {
        Self { variable: variable.into(), operation, value, separator: colon() }
    }
}

/// What happens to an environment variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// It gets the value.
    Set,
    /// The value goes before what is there.
    Prepend,
    /// The value goes behind what is there.
    Append,
    /// As [`Operation::Prepend`], with a separator even where nothing is there.
    PrependSeparated,
    /// As [`Operation::Append`], with a separator even where nothing is there.
    AppendSeparated,
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// When it runs.
    pub phase: Phase,
    /// The program and its arguments.
    pub words: Vec<Word>,
}

/// When a step runs.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// First, before the patches are applied.
    Prepare,
    /// Then.
    Build,
    /// Then, where tests are wanted.
    Check,
    /// Last.
    Install,
    /// Not in a build, but where somebody enters a shell to work on the project by hand: a command runs in
    /// that shell itself, in the folder that it was entered in, so that `source` may change what is set there.
    Shell,
}

/// One argument: its parts joined.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Word(
    /// The parts.
    pub Vec<Part>,
);

impl Word {
    /// A word that is known now.
    pub fn text(text: impl Into<String>) -> Self {
        Self(vec![Part::Text(text.into())])
    }
}

/// One part of a word. As JSON, literal text is a plain string.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Part {
    /// Literal text.
    Text(String),
    /// Something that only the build knows.
    Late(LatePart),
}

/// A part that only the build knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LatePart {
    /// A path in the unit's own output; empty for its top.
    Out(String),
    /// A path in another unit's output; the unit must be among `depends`.
    Unit {
        /// The unit's key.
        unit: String,
        /// The path; empty for its top.
        path: String,
    },
    /// The text of a file in a unit's output, its own or that of one among `depends`, without the
    /// line ends at its end; nothing where there is no such file.
    Content {
        /// The unit's key.
        unit: String,
        /// The path.
        path: String,
    },
    /// The value of a variable of the build.
    Variable(BuildVariable),
}

/// A variable whose value only the build knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BuildVariable {
    /// How many processors the build may use.
    Jobs,
    /// The folder that the steps run in.
    SourceTop,
    /// The platform that the result is for, as Nix names it: `x86_64-linux`. With it, what differs between
    /// platforms in nothing else is one unit.
    Platform,
}

/// A unit for people, and for tools that take stock.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Meta {
    /// One line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where to read more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// Its licences, each an SPDX expression or, failing that, the author's own words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub licenses: Vec<String>,
    /// Its package URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
    /// The program that `nix run` starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub main_program: Option<String>,
    /// What those who use the result must know of it, such as which of its files is run, and how.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub info: BTreeMap<String, String>,
}
