//! The universe: names, candidates, version sets.

use std::ops::Range;
use x2nix_protocol::{
    self as protocol, ClassId, Granularity, Mark, NameId, NameKind, Need, Requirement, SetId,
};

/// The number of a candidate in its [`Universe`]. The candidates of one name are consecutive, the
/// newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CandidateId(pub u32);

impl CandidateId {
    /// The number as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A name and its candidates.
#[derive(Debug, Clone)]
pub struct Name {
    /// The name in the ecosystem's spelling.
    pub text: String,
    /// Its context; empty for the main one.
    pub context: String,
    /// What it stands for.
    pub kind: NameKind,
    /// Which of several ecosystems it is of.
    pub ecosystem: u32,
    /// Which of its versions may be chosen together.
    pub granularity: Granularity,
    /// Its candidates; empty for an unknown name, and for one that nothing reaches.
    pub candidates: Range<u32>,
    /// Whether the plugin was asked about it.
    pub loaded: bool,
    /// If it is unknown: known names that look like it, the nearest first.
    pub similar: Vec<String>,
    /// Where it is no name of the plugin but a feature of one: of which.
    pub feature_of: Option<FeatureOf>,
    /// The number by which the plugin knows it.
    pub asked_as: Option<NameId>,
}

/// A feature that is a name of its own; its candidates are those of its package, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureOf {
    /// The package.
    pub name: NameId,
    /// The feature.
    pub feature: String,
}

/// One version of a name, and what the plugin stated of it.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The name.
    pub name: NameId,
    /// Which bucket of its name it is in: candidates of one bucket exclude each other.
    pub bucket: u32,
    /// Whether a chain of requirements leads from the roots to it.
    pub reached: bool,
    /// Whether it is known what it needs. Where it is not, it counts as needing nothing, so that an
    /// answer with it is too good to be true and one without it is not.
    pub known: bool,
    /// What it requires as it was stated, where [`Candidate::facts`] has that reduced.
    pub stated: Option<Vec<Requirement>>,
    /// The facts, requirements in the terms of names alone.
    pub facts: protocol::Candidate,
}

impl Candidate {
    /// Takes it out of the choice.
    pub(crate) fn exclude(&mut self, reason: String) {
        self.reached = false;
        self.facts.excluded.get_or_insert(reason);
    }

    /// What it requires as it was stated.
    pub fn stated(&self) -> &[Requirement] {
        self.stated.as_deref().unwrap_or(&self.facts.requires)
    }
}

/// A set of versions of one name.
#[derive(Debug, Clone)]
pub struct VersionSet {
    /// The name.
    pub name: NameId,
    /// The set in the ecosystem's words; empty for all versions.
    pub text: String,
    /// Its candidates, the newest first.
    pub members: Vec<CandidateId>,
    /// Whether they are known: not for a set that only unreached candidates mention.
    pub known: bool,
}

/// All that is known for one request on one platform.
#[derive(Debug, Clone, Default)]
pub struct Universe {
    /// The names, by [`NameId`].
    pub names: Vec<Name>,
    /// The candidates, by [`CandidateId`].
    pub candidates: Vec<Candidate>,
    /// The version sets, by [`SetId`].
    pub sets: Vec<VersionSet>,
    /// The classes, by [`ClassId`].
    pub classes: Vec<String>,
    /// What the user asked for.
    pub roots: Vec<Requirement>,
    /// The same as it was stated, where that is reduced.
    pub stated_roots: Option<Vec<Requirement>>,
}

impl Universe {
    /// The version that a feature is of; a plain candidate itself.
    pub fn base(&self, id: CandidateId) -> CandidateId {
        let name = self.name(self.candidate(id).name);
        match &name.feature_of {
            Some(of) => {
                CandidateId(self.name(of.name).candidates.start + (id.0 - name.candidates.start))
            }
            None => id,
        }
    }

    /// What a version, or a feature of it, is of another version of the package.
    pub fn same_of(&self, id: CandidateId, other: CandidateId) -> CandidateId {
        let name = self.name(self.candidate(id).name);
        let package = self.name(self.candidate(other).name);
        CandidateId(name.candidates.start + (other.0 - package.candidates.start))
    }

    /// The feature that a candidate is, if it is one.
    pub fn feature(&self, id: CandidateId) -> Option<&str> {
        let of = self.name(self.candidate(id).name).feature_of.as_ref();
        of.map(|of| of.feature.as_str())
    }

    /// A copy that has only what was reduced, to try what would be if some of it were otherwise.
    #[must_use]
    pub fn reduced(&self) -> Self {
        let mut copy = self.clone();
        copy.stated_roots = None;
        for candidate in &mut copy.candidates {
            candidate.stated = None;
        }
        copy
    }

    /// What the user asked for, as it was stated.
    pub fn stated_roots(&self) -> &[Requirement] {
        self.stated_roots.as_deref().unwrap_or(&self.roots)
    }

    /// A name.
    pub fn name(&self, id: NameId) -> &Name {
        &self.names[id.index()]
    }

    /// A candidate.
    pub fn candidate(&self, id: CandidateId) -> &Candidate {
        &self.candidates[id.index()]
    }

    /// A version set.
    pub fn set(&self, id: SetId) -> &VersionSet {
        &self.sets[id.index()]
    }

    /// A class.
    pub fn class(&self, id: ClassId) -> &str {
        &self.classes[id.index()]
    }

    /// The candidates of a name, the newest first.
    pub fn candidates_of(
        &self,
        name: NameId,
    ) -> impl DoubleEndedIterator<Item = CandidateId> + use<> {
        self.name(name).candidates.clone().map(CandidateId)
    }

    /// Whether a candidate lies in a set.
    pub fn is_member(&self, set: SetId, candidate: CandidateId) -> bool {
        self.set(set).members.binary_search(&candidate).is_ok()
    }

    /// Takes candidates that were withdrawn out of the choice, all but those to keep.
    pub fn withdraw(&mut self, keep: impl Fn(CandidateId) -> bool) {
        for (id, candidate) in (0..).map(CandidateId).zip(&mut self.candidates) {
            if candidate.facts.marks.contains(&Mark::Yanked) && !keep(id) {
                candidate.reached = false;
                candidate.facts.excluded.get_or_insert_with(|| "it was withdrawn".into());
            }
        }
    }

    /// The members of a set that may be chosen at all, the newest first.
    pub fn choices(&self, set: SetId) -> impl DoubleEndedIterator<Item = CandidateId> + '_ {
        let members = self.set(set).members.iter().copied();
        members.filter(|&id| self.candidate(id).facts.excluded.is_none())
    }

    /// Calls `visit` with the set of every leaf of a formula.
    pub fn leaves<'n>(need: &'n Need, visit: &mut impl FnMut(SetId, &'n Need)) {
        match need {
            Need::Set(set) => visit(*set, need),
            Need::Leaf(leaf) => visit(leaf.set, need),
            Need::All { all: parts } | Need::Any { any: parts } => {
                for part in parts {
                    Self::leaves(part, visit);
                }
            }
        }
    }

    /// Whether a leaf is needed only after its owner is built.
    pub fn is_post(leaf: &Need) -> bool {
        matches!(leaf, Need::Leaf(leaf) if leaf.post)
    }
}
