//! Why there is no answer: a minimal set of facts that exclude each other, told from the user's own
//! words downwards.
//!
//! resolvo says that there is no answer, and gives a graph of the clauses that it happened to meet.
//! That graph is of the encoding: it is not minimal, it leaves out what excludes what, and its nodes
//! are virtual. So the question is asked again over *facts*, the things that somebody wrote down:
//! [`minimal`] finds a set of them of which none can be left out, and [`story`] tells it.
//!
//! A fact is what versions of one name say alike: a requirement, a conflict, that they cannot be
//! chosen, that they are of a class; or a rule: one version of a name, no cycle. The set is exact,
//! whatever the telling shortens: [`Explanation::facts`] can be checked, and a test does.

mod minimal;
mod story;
pub(crate) mod words;

use crate::{
    Suggestion,
    formula::{Guarded, Key},
};
use x2nix_model::{CandidateId, Universe};
use x2nix_protocol::{ClassId, NameId, Need, Origin, SetId};

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Explanation {
    /// Facts that exclude each other; without any one of them the others do not.
    pub facts: Vec<Fact>,
    /// The same told: a tree in the order in which it is read.
    pub reasons: Vec<Reason>,
    /// What would help; [`crate::suggest`] finds it, since it costs further solves.
    pub suggestions: Vec<Suggestion>,
}

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A requirement of the user, by its position.
    Root(usize),
    /// These cannot be chosen at all.
    Excluded(Vec<CandidateId>),
    /// Each of these requires something.
    Requires(Vec<CandidateId>, Need),
    /// None of these may be chosen beside a member of a set.
    Conflict(Vec<CandidateId>, SetId),
    /// These, of one name, are of a class, of which only one name may be chosen.
    Class(Vec<CandidateId>, ClassId),
    /// Versions of this name exclude each other, by its granularity.
    OneVersion(NameId),
    /// These need each other to be built first.
    Cycle(Vec<CandidateId>),
}

/// What a reason says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReasonKind {
    /// What the user asked for.
    Root,
    /// Versions cannot be chosen.
    Excluded,
    /// Versions require something.
    Requires,
    /// Versions conflict with something.
    Conflict,
    /// Packages are of a class that can have only one.
    Class,
    /// Only one version can be chosen.
    OneVersion,
    /// Packages need each other to be built first.
    Cycle,
}

impl ReasonKind {
    /// Its name for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Excluded => "excluded",
            Self::Requires => "requires",
            Self::Conflict => "conflict",
            Self::Class => "class",
            Self::OneVersion => "one-version",
            Self::Cycle => "cycle",
        }
    }
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// How deep it lies under the request.
    pub depth: usize,
    /// What it says.
    pub kind: ReasonKind,
    /// What holds: a sentence without a full stop.
    pub text: String,
    /// Where it is written; of several places the one of the newest version.
    pub origin: Option<Origin>,
    /// The same in full, where the text is shortened or sums up what many versions say.
    pub parts: Vec<Part>,
}

/// One of the facts that a reason sums up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What holds: a sentence without a full stop.
    pub text: String,
    /// Where it is written.
    pub origin: Option<Origin>,
}

impl Reason {
    fn new(depth: usize, kind: ReasonKind, text: String, origin: Option<Origin>) -> Self {
        Self { depth, kind, text, origin, parts: Vec::new() }
    }
}

/// Finds out why there is no answer, and tells it.
pub(crate) fn explain(universe: &Universe, forbidden: &[Vec<CandidateId>]) -> Explanation {
    let facts = minimal::minimal(universe, forbidden).unwrap_or_else(|| {
        // The bound was reached before anything was found: all that is sure is the request.
        let roots = 0..universe.roots.len();
        let guard = batsat::Lit::UNDEF;
        roots.map(|root| Guarded { key: Key::Root(root), owners: Vec::new(), guard }).collect()
    });
    let reasons = story::tell(universe, &facts, forbidden);
    let facts = facts
        .into_iter()
        .map(|Guarded { key, owners, .. }| match key {
            Key::Root(position) => Fact::Root(position),
            Key::Excluded(..) => Fact::Excluded(owners),
            Key::Requires(_, need) => Fact::Requires(owners, need.clone()),
            Key::Conflict(_, set) => Fact::Conflict(owners, set),
            Key::Class(_, class) => Fact::Class(owners, class),
            Key::OneVersion(name) => Fact::OneVersion(name),
            Key::Cycle(position) => Fact::Cycle(forbidden[position].clone()),
        })
        .collect();
    Explanation { facts, reasons, suggestions: Vec::new() }
}
