//! The encoding: the IR as names, solvables and version sets of resolvo.
//!
//! # The reductions
//!
//! - **A name with one version** is a name of resolvo; its candidates are the solvables, by the same
//!   numbers. Candidates that exclude each other only within a *bucket* (Cargo's ranges; npm, where
//!   every version is its own) get one name per bucket, as in `rand@0.8`; a set that spans buckets
//!   becomes a union over them, the bucket of the newest member first.
//! - **A formula** `a & (b | c)` is a list of requirements; a disjunction of plain leaves is a union.
//!   A disjunction with a conjunction inside becomes a *formula name*: one solvable for each
//!   alternative, which requires that alternative. Equal formulas share one name, so that a
//!   disjunction with thousands of owners is encoded once.
//! - **A conflict** with a set is a constraint: if that name is chosen, then outside the set.
//! - **A class** is a name too: one solvable for each of its member names, required by every
//!   candidate of that name. Only one solvable of a name can be chosen. A class of versions has one for
//!   each of its candidates.
//! - **A forbidden cycle** is one more root: a formula name whose solvables each exclude one member.
//!
//! # The safe subset
//!
//! Of resolvo 0.12 only single and union requirements, constraints and exclusions are used: soft
//! requirements and `allow_multiple` drop conditional requirements silently, and asynchronous
//! providers make the answer depend on timing. Roots are sorted, since their order decides ties. A
//! package that conflicts with itself trips a debug assertion, so such conflicts are left out (they
//! mean nothing in the IR).

// resolvo counts in u32, and loading bounds the candidates by it; everything else here is fewer.
#![allow(clippy::cast_possible_truncation)]

use crate::{Preference, criteria::avoided};
use resolvo::{
    Candidates, Condition, ConditionId, ConditionalRequirement, Dependencies, DependencyProvider,
    Interner, KnownDependencies, NameId as SolverName, Problem, Requirement as Wish, SolvableId,
    Solver, SolverCache, StringId, UnsolvableOrCancelled, VersionSetId, VersionSetUnionId,
};
use rustc_hash::FxHashMap;
use std::{any::Any, cell::RefCell, fmt::Display, hash::Hash};
use x2nix_model::{CandidateId, Universe};
use x2nix_protocol::{ClassId, Measure, NameId, Need, Requirement, SetId};

/// What resolvo says.
pub(crate) enum Verdict {
    /// The chosen candidates, in order of number.
    Solved(Vec<CandidateId>),
    /// There are none; [`crate::explain`] finds out why.
    Unsolvable,
    /// The search was stopped.
    Stopped,
}

/// A version set of resolvo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SolverSet {
    /// The members of a set in one bucket.
    In(SetId, u32),
    /// All but the members of a set, in one bucket.
    Outside(SetId, u32),
    /// All but one candidate.
    Not(CandidateId),
    /// All solvables of a name that is none of the universe's.
    Every(u32),
    /// The solvable of one member name of a class.
    Only(u32, u32),
}

/// A name of resolvo that is none of the universe's: a formula or a class.
struct Virtual {
    solvables: std::ops::Range<u32>,
}

/// A solvable of such a name.
struct VirtualSolvable {
    name: u32,
    dependencies: KnownDependencies,
}

#[derive(Default)]
struct Tables {
    sets: Vec<SolverSet>,
    set_ids: FxHashMap<SolverSet, VersionSetId>,
    unions: Vec<Vec<VersionSetId>>,
    union_ids: FxHashMap<Vec<VersionSetId>, VersionSetUnionId>,
    virtuals: Vec<Virtual>,
    solvables: Vec<VirtualSolvable>,
    formulas: FxHashMap<Need, u32>,
}

/// A problem for resolvo, made from a universe.
pub(crate) struct Encoding<'u> {
    universe: &'u Universe,
    preference: &'u Preference<'u>,
    /// Where the solver's names of each name begin; one more at the end.
    name_base: Vec<u32>,
    /// The name of each of the solver's names.
    name_of: Vec<NameId>,
    /// The member names of classes that have more than one loaded: virtual name and solvable.
    class_members: FxHashMap<(ClassId, NameId), (u32, u32)>,
    /// The same for classes of versions.
    exclusive_members: FxHashMap<(ClassId, CandidateId), (u32, u32)>,
    oldest_first: bool,
    tables: RefCell<Tables>,
    roots: Vec<Wish>,
}

impl<'u> Encoding<'u> {
    /// Encodes some roots, with cycles that may not be chosen whole.
    pub(crate) fn new(
        universe: &'u Universe,
        preference: &'u Preference<'u>,
        forbidden: &[Vec<CandidateId>],
        roots: &[Requirement],
    ) -> Self {
        let mut name_base = Vec::with_capacity(universe.names.len() + 1);
        let mut name_of = Vec::new();
        for (index, name) in (0..).zip(&universe.names) {
            name_base.push(name_of.len() as u32);
            let buckets =
                universe.candidates_of(NameId(index)).map(|id| universe.candidate(id).bucket + 1);
            let buckets = buckets.max().unwrap_or(1);
            debug_assert!(name.loaded || buckets == 1);
            name_of.extend((0..buckets).map(|_| NameId(index)));
        }
        name_base.push(name_of.len() as u32);
        let ranks = [Measure::Lag, Measure::Lead];
        let rank = preference.criteria.iter().find(|criterion| ranks.contains(&criterion.measure));
        let mut encoding = Self {
            universe,
            preference,
            name_base,
            name_of,
            class_members: FxHashMap::default(),
            exclusive_members: FxHashMap::default(),
            oldest_first: rank.is_some_and(|criterion| criterion.measure == Measure::Lead),
            tables: RefCell::default(),
            roots: Vec::new(),
        };
        encoding.add_classes();
        let mut wishes = Vec::new();
        for root in roots.iter().filter(|root| !root.optional) {
            encoding.wish(&root.need, &mut wishes);
        }
        for cycle in forbidden {
            let solvables = cycle
                .iter()
                .map(|&id| KnownDependencies {
                    requirements: Vec::new(),
                    constrains: vec![encoding.set(SolverSet::Not(id))],
                })
                .collect();
            let name = encoding.add_virtual(solvables);
            wishes.push(encoding.set(SolverSet::Every(name)).into());
        }
        wishes.sort_by_cached_key(|wish| encoding.wish_order(*wish));
        wishes.dedup();
        encoding.roots = wishes;
        encoding
    }

    /// Names in the order of their text: the order of roots decides ties, and numbers come from the
    /// order of the user's words.
    fn wish_order(&self, wish: Wish) -> (String, Wish) {
        let tables = self.tables.borrow();
        let set = match wish {
            Wish::Single(set) => Some(set),
            Wish::Union(union) => tables.unions[union.0 as usize].first().copied(),
        };
        let text = match set.map(|set| tables.sets[set.0 as usize]) {
            Some(SolverSet::In(set, _) | SolverSet::Outside(set, _)) => self.universe.set_text(set),
            _ => String::new(),
        };
        (text, wish)
    }

    /// Runs resolvo.
    pub(crate) fn solve(self) -> Verdict {
        let first_virtual = self.universe.candidates.len() as u32;
        let requirements = self.roots.iter().map(|&wish| wish.into()).collect();
        let mut solver = Solver::new(self);
        match solver.solve(Problem::new().requirements(requirements)) {
            Ok(solvables) => {
                let real = solvables
                    .into_iter()
                    .map(SolvableId::into_raw)
                    .filter(|&id| id < first_virtual);
                let mut chosen: Vec<_> = real.map(CandidateId).collect();
                chosen.sort_unstable();
                Verdict::Solved(chosen)
            }
            Err(UnsolvableOrCancelled::Unsolvable(_)) => Verdict::Unsolvable,
            Err(UnsolvableOrCancelled::Cancelled(_)) => Verdict::Stopped,
        }
    }

    fn add_classes(&mut self) {
        let mut names = Vec::new();
        let mut versions = Vec::new();
        for (id, candidate) in (0..).map(CandidateId).zip(&self.universe.candidates) {
            if candidate.reached {
                names.extend(candidate.facts.classes.iter().map(|&class| (class, candidate.name)));
                versions.extend(candidate.facts.exclusive.iter().map(|&class| (class, id)));
            }
        }
        self.class_members = self.one_of_each(names);
        self.exclusive_members = self.one_of_each(versions);
    }

    /// A virtual name for each class that has several members, with a solvable for each of them: one at most
    /// can be chosen.
    fn one_of_each<M: Copy + Ord + Hash>(
        &self,
        mut members: Vec<(ClassId, M)>,
    ) -> FxHashMap<(ClassId, M), (u32, u32)> {
        members.sort_unstable();
        members.dedup();
        let mut solvables = FxHashMap::default();
        for group in members.chunk_by(|a, b| a.0 == b.0).filter(|group| group.len() > 1) {
            let name =
                self.add_virtual(group.iter().map(|_| KnownDependencies::default()).collect());
            let first = self.tables.borrow().virtuals[name as usize].solvables.start;
            solvables
                .extend((first..).zip(group).map(|(solvable, &member)| (member, (name, solvable))));
        }
        solvables
    }

    /// Adds a name with one solvable for each of some dependencies.
    fn add_virtual(&self, solvables: Vec<KnownDependencies>) -> u32 {
        let mut tables = self.tables.borrow_mut();
        let name = tables.virtuals.len() as u32;
        let start = (self.universe.candidates.len() + tables.solvables.len()) as u32;
        tables.virtuals.push(Virtual { solvables: start..start + solvables.len() as u32 });
        let named =
            solvables.into_iter().map(|dependencies| VirtualSolvable { name, dependencies });
        tables.solvables.extend(named);
        name
    }

    fn set(&self, set: SolverSet) -> VersionSetId {
        let mut tables = self.tables.borrow_mut();
        if let Some(&id) = tables.set_ids.get(&set) {
            return id;
        }
        let id = VersionSetId(tables.sets.len() as u32);
        tables.sets.push(set);
        tables.set_ids.insert(set, id);
        id
    }

    fn union(&self, sets: Vec<VersionSetId>) -> Wish {
        if let [only] = sets[..] {
            return only.into();
        }
        let mut tables = self.tables.borrow_mut();
        if let Some(&id) = tables.union_ids.get(&sets) {
            return id.into();
        }
        let id = VersionSetUnionId(tables.unions.len() as u32);
        tables.unions.push(sets.clone());
        tables.union_ids.insert(sets, id);
        id.into()
    }

    /// The buckets that a set touches, that of its newest member first; one even if it is empty.
    fn buckets(&self, set: SetId) -> Vec<u32> {
        let mut buckets = Vec::new();
        for &id in &self.universe.set(set).members {
            let bucket = self.universe.candidate(id).bucket;
            if !buckets.contains(&bucket) {
                buckets.push(bucket);
            }
        }
        if buckets.is_empty() {
            buckets.push(0);
        }
        buckets
    }

    fn leaf(&self, set: SetId) -> impl Iterator<Item = VersionSetId> + '_ {
        self.buckets(set).into_iter().map(move |bucket| self.set(SolverSet::In(set, bucket)))
    }

    /// Appends what a formula asks for.
    fn wish(&self, need: &Need, wishes: &mut Vec<Wish>) {
        match need {
            Need::Set(set) => wishes.push(self.union(self.leaf(*set).collect())),
            Need::Leaf(leaf) => wishes.push(self.union(self.leaf(leaf.set).collect())),
            Need::All { all } => all.iter().for_each(|part| self.wish(part, wishes)),
            Need::Any { any } => {
                let mut sets = Vec::new();
                let plain = any.iter().all(|part| match part {
                    Need::Set(set) => {
                        sets.extend(self.leaf(*set));
                        true
                    }
                    Need::Leaf(leaf) => {
                        sets.extend(self.leaf(leaf.set));
                        true
                    }
                    _ => false,
                });
                if let [only] = any.as_slice() {
                    self.wish(only, wishes);
                } else if plain && !any.is_empty() {
                    wishes.push(self.union(sets));
                } else {
                    wishes.push(self.set(SolverSet::Every(self.formula(need, any))).into());
                }
            }
        }
    }

    /// The name of a disjunction that is not plain.
    fn formula(&self, need: &Need, alternatives: &[Need]) -> u32 {
        if let Some(&name) = self.tables.borrow().formulas.get(need) {
            return name;
        }
        let solvables = alternatives
            .iter()
            .map(|part| {
                let mut wishes = Vec::new();
                self.wish(part, &mut wishes);
                KnownDependencies {
                    requirements: wishes.into_iter().map(ConditionalRequirement::from).collect(),
                    constrains: Vec::new(),
                }
            })
            .collect();
        let name = self.add_virtual(solvables);
        self.tables.borrow_mut().formulas.insert(need.clone(), name);
        name
    }

    fn dependencies(&self, id: CandidateId) -> KnownDependencies {
        let candidate = self.universe.candidate(id);
        let mut wishes = Vec::new();
        for requirement in
            candidate.facts.requires.iter().filter(|requirement| !requirement.optional)
        {
            self.wish(&requirement.need, &mut wishes);
        }
        for &class in &candidate.facts.classes {
            if let Some(&(name, solvable)) = self.class_members.get(&(class, candidate.name)) {
                wishes.push(self.set(SolverSet::Only(name, solvable)).into());
            }
        }
        for &class in &candidate.facts.exclusive {
            if let Some(&(name, solvable)) = self.exclusive_members.get(&(class, id)) {
                wishes.push(self.set(SolverSet::Only(name, solvable)).into());
            }
        }
        let mut constrains = Vec::new();
        for conflict in &candidate.facts.conflicts {
            let set = self.universe.set(conflict.set);
            if set.name != candidate.name && !set.members.is_empty() {
                constrains.extend(
                    self.buckets(conflict.set)
                        .into_iter()
                        .map(|bucket| self.set(SolverSet::Outside(conflict.set, bucket))),
                );
            }
        }
        let requirements = wishes.into_iter().map(ConditionalRequirement::from).collect();
        KnownDependencies { requirements, constrains }
    }

    /// The first of the solver's names that are none of the universe's.
    fn first_virtual_name(&self) -> u32 {
        self.name_of.len() as u32
    }

    fn bucket_name(&self, name: NameId, bucket: u32) -> SolverName {
        SolverName::from_raw(self.name_base[name.index()] + bucket)
    }

    fn candidate(&self, solvable: SolvableId) -> Option<CandidateId> {
        let id = CandidateId(solvable.into_raw());
        (id.index() < self.universe.candidates.len()).then_some(id)
    }

    fn contains(&self, set: SolverSet, solvable: SolvableId) -> bool {
        match (set, self.candidate(solvable)) {
            (SolverSet::In(set, _), Some(id)) => self.universe.is_member(set, id),
            (SolverSet::Outside(set, _), Some(id)) => !self.universe.is_member(set, id),
            (SolverSet::Not(other), Some(id)) => other != id,
            (SolverSet::Every(_), _) => true,
            (SolverSet::Only(_, only), _) => only == solvable.into_raw(),
            _ => false,
        }
    }
}

/// resolvo's own messages are not shown: [`crate::explain`] writes them from the conflict. These
/// texts are for its traces.
impl Interner for Encoding<'_> {
    type NameId = SolverName;
    type SolvableId = SolvableId;

    fn display_solvable(&self, solvable: SolvableId) -> impl Display + '_ {
        match self.candidate(solvable) {
            Some(id) => self.universe.candidate_text(id),
            None => format!("alternative {}", solvable.into_raw()),
        }
    }

    fn display_name(&self, name: SolverName) -> impl Display + '_ {
        match self.name_of.get(name.into_raw() as usize) {
            Some(&id) => self.universe.name_text(id),
            None => format!("formula {}", name.into_raw()),
        }
    }

    fn display_version_set(&self, set: VersionSetId) -> impl Display + '_ {
        format!("{:?}", self.tables.borrow().sets[set.0 as usize])
    }

    fn display_string(&self, _: StringId) -> impl Display + '_ {
        "excluded"
    }

    fn version_set_name(&self, set: VersionSetId) -> SolverName {
        match self.tables.borrow().sets[set.0 as usize] {
            SolverSet::In(set, bucket) | SolverSet::Outside(set, bucket) => {
                self.bucket_name(self.universe.set(set).name, bucket)
            }
            SolverSet::Not(id) => {
                let candidate = self.universe.candidate(id);
                self.bucket_name(candidate.name, candidate.bucket)
            }
            SolverSet::Every(name) | SolverSet::Only(name, _) => {
                SolverName::from_raw(self.first_virtual_name() + name)
            }
        }
    }

    fn solvable_name(&self, solvable: SolvableId) -> SolverName {
        if let Some(id) = self.candidate(solvable) {
            let candidate = self.universe.candidate(id);
            return self.bucket_name(candidate.name, candidate.bucket);
        }
        let index = solvable.into_raw() as usize - self.universe.candidates.len();
        SolverName::from_raw(self.first_virtual_name() + self.tables.borrow().solvables[index].name)
    }

    fn version_sets_in_union(
        &self,
        union: VersionSetUnionId,
    ) -> impl Iterator<Item = VersionSetId> {
        self.tables.borrow().unions[union.0 as usize].clone().into_iter()
    }

    fn resolve_condition(&self, _: ConditionId) -> Condition {
        unreachable!("the encoding uses no conditions")
    }
}

impl DependencyProvider for Encoding<'_> {
    fn should_cancel_with_value(&self) -> Option<Box<dyn Any>> {
        self.preference.stop.is_asked_for().then(|| Box::new(()) as Box<dyn Any>)
    }

    async fn filter_candidates(
        &self,
        candidates: &[SolvableId],
        set: VersionSetId,
        inverse: bool,
    ) -> Vec<SolvableId> {
        let set = self.tables.borrow().sets[set.0 as usize];
        candidates.iter().copied().filter(|&id| self.contains(set, id) != inverse).collect()
    }

    async fn get_candidates(&self, name: SolverName) -> Option<Candidates> {
        let raw = name.into_raw();
        let Some(&id) = self.name_of.get(raw as usize) else {
            let tables = self.tables.borrow();
            let range =
                tables.virtuals[(raw - self.first_virtual_name()) as usize].solvables.clone();
            return Some(Candidates {
                candidates: range.map(SolvableId::from_raw).collect(),
                ..Candidates::default()
            });
        };
        let bucket = raw - self.name_base[id.index()];
        let mut found = Candidates::default();
        for candidate in self.universe.candidates_of(id) {
            let facts = self.universe.candidate(candidate);
            if facts.bucket == bucket {
                let solvable = SolvableId::from_raw(candidate.0);
                found.candidates.push(solvable);
                if facts.facts.excluded.is_some() {
                    found.excluded.push((solvable, StringId(candidate.0)));
                }
            }
        }
        Some(found)
    }

    async fn sort_candidates(&self, _: &SolverCache<Self>, solvables: &mut [SolvableId]) {
        solvables.sort_by_key(|&solvable| match self.candidate(solvable) {
            None => (false, false, solvable.into_raw()),
            Some(id) => {
                let age = if self.oldest_first { u32::MAX - id.0 } else { id.0 };
                (!self.preference.kept.contains(&id), avoided(self.universe, id), age)
            }
        });
    }

    async fn get_dependencies(&self, solvable: SolvableId) -> Dependencies {
        Dependencies::Known(if let Some(id) = self.candidate(solvable) {
            self.dependencies(id)
        } else {
            let index = solvable.into_raw() as usize - self.universe.candidates.len();
            self.tables.borrow().solvables[index].dependencies.clone()
        })
    }
}
