//! The universe as clauses.
//!
//! One variable says that a candidate is chosen. What it needs is a clause; the sets and formulas
//! inside are named by variables of their own, once each, however many candidates refer to them
//! (Tseitin's encoding, in the one direction that is needed). That at most one candidate of a bucket,
//! or one name of a class, is chosen is a ladder: linear in its rungs.
//!
//! # Guards
//!
//! To find out *which* facts exclude each other, each fact can be given a guard: a variable that
//! must hold for the fact to hold. A [`Key`] says what is one fact: what many versions of one name
//! say alike is one. Guarded clauses know excluded candidates too, since that they are excluded is
//! only one more fact. The definitions of sets and formulas need no guard: they state nothing unless
//! a fact uses them.

use batsat::{Lit, Var};
use rustc_hash::{FxHashMap, FxHashSet};
use x2nix_model::{CandidateId, Universe};
use x2nix_protocol::{ClassId, Granularity, NameId, Need, SetId};

/// What makes a fact one fact: who states it, and what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Key<'u> {
    /// A requirement of the user, by its position.
    Root(usize),
    /// Versions that cannot be chosen, and why.
    Excluded(NameId, &'u str),
    /// What versions require.
    Requires(NameId, &'u Need),
    /// What versions conflict with.
    Conflict(NameId, SetId),
    /// A class that versions are of.
    Class(NameId, ClassId),
    /// Versions that exclude each other.
    OneVersion(NameId),
    /// A cycle that is forbidden, by its position.
    Cycle(usize),
}

/// A fact with a guard.
#[derive(Debug, Clone)]
pub(crate) struct Guarded<'u> {
    /// What it is.
    pub(crate) key: Key<'u>,
    /// The candidates that state it, in order of number.
    pub(crate) owners: Vec<CandidateId>,
    /// The literal that makes it hold.
    pub(crate) guard: Lit,
}

/// Clauses, and what their variables mean.
#[derive(Default)]
pub(crate) struct Formula<'u> {
    /// How many variables there are, numbered from 0.
    pub(crate) variables: u32,
    /// The clauses.
    pub(crate) clauses: Vec<Vec<Lit>>,
    /// The variable of each candidate that can be chosen.
    pub(crate) candidates: FxHashMap<CandidateId, Var>,
    /// Those candidates, grouped by what they exclude: one bucket of a name each.
    pub(crate) groups: Vec<Vec<CandidateId>>,
    /// Disjunctions: the literal that makes one of the others hold, and those, the preferred one first.
    pub(crate) choices: Vec<(Lit, Vec<Lit>)>,
    /// The same for sets that span buckets: the literal that makes a member of one of the buckets
    /// chosen, and those of the buckets, that of the newest member first.
    pub(crate) spans: Vec<(Lit, Vec<Lit>)>,
    /// The facts that have a guard, in the order in which they turn up.
    pub(crate) facts: Vec<Guarded<'u>>,
}

impl<'u> Formula<'u> {
    /// The clauses of a universe; no model contains a forbidden set whole.
    pub(crate) fn new(universe: &'u Universe, forbidden: &[Vec<CandidateId>]) -> Self {
        Writer::new(universe, None).write(forbidden)
    }

    /// The same with a guard for every fact, or only some facts.
    pub(crate) fn guarded(
        universe: &'u Universe,
        forbidden: &[Vec<CandidateId>],
        only: Option<&FxHashSet<Key<'u>>>,
    ) -> Self {
        let guards = Guards {
            ids: FxHashMap::default(),
            only: only.cloned(),
            names: only.map(|keys| names(universe, forbidden, keys)),
        };
        Writer::new(universe, Some(guards)).write(forbidden)
    }
}

/// The names that some facts mention.
fn names(
    universe: &Universe,
    forbidden: &[Vec<CandidateId>],
    keys: &FxHashSet<Key<'_>>,
) -> FxHashSet<NameId> {
    let mut names = FxHashSet::default();
    for &key in keys {
        let need = match key {
            Key::Root(position) => Some(&universe.roots[position].need),
            Key::Requires(_, need) => Some(need),
            _ => None,
        };
        if let Some(need) = need {
            Universe::leaves(need, &mut |set, _| names.extend([universe.set(set).name]));
        }
        match key {
            Key::Root(_) => {}
            Key::Conflict(name, set) => names.extend([name, universe.set(set).name]),
            Key::Excluded(name, _)
            | Key::Requires(name, _)
            | Key::Class(name, _)
            | Key::OneVersion(name) => names.extend([name]),
            Key::Cycle(position) => {
                names.extend(forbidden[position].iter().map(|&id| universe.candidate(id).name));
            }
        }
    }
    names
}

struct Guards<'u> {
    ids: FxHashMap<Key<'u>, usize>,
    /// The facts that are written, if not all.
    only: Option<FxHashSet<Key<'u>>>,
    /// The names that are written, if not all.
    names: Option<FxHashSet<NameId>>,
}

/// What a clause stands under: its owner is chosen, its guard holds.
type Premises = [Option<Lit>; 2];

struct Writer<'u> {
    universe: &'u Universe,
    formula: Formula<'u>,
    guards: Option<Guards<'u>>,
    /// For each set the literals "one of it is needed" and "one of it is chosen".
    sets: [Vec<Option<Lit>>; 2],
    /// The literals of nested formulas.
    formulas: FxHashMap<&'u Need, Lit>,
}

impl<'u> Writer<'u> {
    fn new(universe: &'u Universe, guards: Option<Guards<'u>>) -> Self {
        Self {
            universe,
            formula: Formula::default(),
            guards,
            sets: [(); 2].map(|()| vec![None; universe.sets.len()]),
            formulas: FxHashMap::default(),
        }
    }

    fn write(mut self, forbidden: &[Vec<CandidateId>]) -> Formula<'u> {
        let universe = self.universe;
        self.candidates();
        self.classes();
        self.exclusive();
        for (position, root) in universe.roots.iter().enumerate().filter(|(_, root)| !root.optional)
        {
            if let Some(premises) = self.premises(None, Key::Root(position)) {
                self.need(&root.need, premises);
            }
        }
        for index in 0..self.formula.groups.len() {
            for position in 0..self.formula.groups[index].len() {
                self.facts(self.formula.groups[index][position]);
            }
        }
        for (position, cycle) in forbidden.iter().enumerate() {
            let literals = cycle.iter().map(|id| self.chosen(*id).map(|literal| !literal));
            // A cycle through something that cannot be chosen is forbidden already.
            if let Some(clause) = literals.collect::<Option<Vec<_>>>()
                && let Some(premises) = self.premises(None, Key::Cycle(position))
            {
                self.imply(premises, clause);
            }
        }
        self.formula
    }

    /// The premises of a fact; nothing if the fact is not to be written.
    fn premises(&mut self, owner: Option<CandidateId>, key: Key<'u>) -> Option<Premises> {
        let chosen = owner.and_then(|id| self.chosen(id));
        let Some(guards) = &mut self.guards else { return Some([chosen, None]) };
        if guards.only.as_ref().is_some_and(|only| !only.contains(&key)) {
            return None;
        }
        let next = self.formula.facts.len();
        let index = *guards.ids.entry(key).or_insert(next);
        if index == next {
            let guard = self.fresh();
            self.formula.facts.push(Guarded { key, owners: Vec::new(), guard });
        }
        let fact = &mut self.formula.facts[index];
        fact.owners.extend(owner);
        Some([chosen, Some(fact.guard)])
    }

    fn fresh(&mut self) -> Lit {
        let var = Var::unsafe_from_idx(self.formula.variables);
        self.formula.variables += 1;
        Lit::new(var, true)
    }

    fn add(&mut self, clause: impl IntoIterator<Item = Lit>) {
        self.formula.clauses.push(clause.into_iter().collect());
    }

    fn imply(&mut self, premises: Premises, conclusion: impl IntoIterator<Item = Lit>) {
        self.add(premises.into_iter().flatten().map(|premise| !premise).chain(conclusion));
    }

    fn chosen(&self, id: CandidateId) -> Option<Lit> {
        self.formula.candidates.get(&id).map(|&var| Lit::new(var, true))
    }

    fn candidates(&mut self) {
        for name in 0..self.universe.names.len() {
            let Ok(name) = u32::try_from(name).map(NameId) else { return };
            let names = self.guards.as_ref().and_then(|guards| guards.names.as_ref());
            if names.is_some_and(|names| !names.contains(&name)) {
                continue;
            }
            let mut buckets: FxHashMap<u32, Vec<CandidateId>> = FxHashMap::default();
            for id in self.universe.candidates_of(name) {
                let candidate = self.universe.candidate(id);
                let excluded = candidate.facts.excluded.is_some();
                if candidate.reached || (excluded && self.guards.is_some()) {
                    let var = self.fresh().var();
                    self.formula.candidates.insert(id, var);
                    buckets.entry(candidate.bucket).or_default().push(id);
                }
            }
            let mut buckets: Vec<_> = buckets.into_values().collect();
            buckets.sort_unstable();
            for bucket in buckets {
                let literals: Vec<_> = bucket.iter().filter_map(|&id| self.chosen(id)).collect();
                if literals.len() > 1
                    && let Some(premises) = self.premises(None, Key::OneVersion(name))
                {
                    self.at_most_one(&literals, premises);
                }
                self.formula.groups.push(bucket);
            }
        }
    }

    /// A ladder: rung k says that one of the first k literals holds.
    fn at_most_one(&mut self, literals: &[Lit], premises: Premises) {
        let mut rung: Option<Lit> = None;
        for (position, &literal) in literals.iter().enumerate() {
            if let Some(below) = rung {
                self.imply(premises, [!literal, !below]);
            }
            if position + 1 < literals.len() {
                let next = self.fresh();
                self.add([!literal, next]);
                if let Some(below) = rung {
                    self.add([!below, next]);
                }
                rung = Some(next);
            }
        }
    }

    fn classes(&mut self) {
        let mut members: Vec<(ClassId, NameId, CandidateId)> = Vec::new();
        for &id in self.formula.groups.iter().flatten() {
            let candidate = self.universe.candidate(id);
            let classes = candidate.facts.classes.iter();
            members.extend(classes.map(|&class| (class, candidate.name, id)));
        }
        members.sort_unstable();
        members.dedup();
        for class in members.chunk_by(|a, b| a.0 == b.0) {
            let mut names = Vec::new();
            for name in class.chunk_by(|a, b| a.1 == b.1) {
                let literal = self.fresh();
                for &(class, name, member) in name {
                    if let Some(premises) = self.premises(Some(member), Key::Class(name, class)) {
                        self.imply(premises, [literal]);
                    }
                }
                names.push(literal);
            }
            self.at_most_one(&names, [None; 2]);
        }
    }

    fn exclusive(&mut self) {
        let mut members: Vec<(ClassId, CandidateId)> = Vec::new();
        for &id in self.formula.groups.iter().flatten() {
            let classes = self.universe.candidate(id).facts.exclusive.iter();
            members.extend(classes.map(|&class| (class, id)));
        }
        members.sort_unstable();
        members.dedup();
        for class in members.chunk_by(|a, b| a.0 == b.0) {
            let mut literals = Vec::new();
            for &(class, member) in class {
                let literal = self.fresh();
                let name = self.universe.candidate(member).name;
                if let Some(premises) = self.premises(Some(member), Key::Class(name, class)) {
                    self.imply(premises, [literal]);
                }
                literals.push(literal);
            }
            self.at_most_one(&literals, [None; 2]);
        }
    }

    fn facts(&mut self, id: CandidateId) {
        let candidate = self.universe.candidate(id);
        if let Some(reason) = &candidate.facts.excluded {
            if let Some(premises) = self.premises(Some(id), Key::Excluded(candidate.name, reason)) {
                self.imply(premises, []);
            }
            return;
        }
        for requirement in
            candidate.facts.requires.iter().filter(|requirement| !requirement.optional)
        {
            let key = Key::Requires(candidate.name, &requirement.need);
            if let Some(premises) = self.premises(Some(id), key) {
                self.need(&requirement.need, premises);
            }
        }
        for conflict in &candidate.facts.conflicts {
            if self.universe.set(conflict.set).name != candidate.name
                && let Some(touched) = self.touched(conflict.set)
                && let Some(premises) =
                    self.premises(Some(id), Key::Conflict(candidate.name, conflict.set))
            {
                self.imply(premises, [!touched]);
            }
        }
    }

    /// Writes that a formula holds under some premises.
    fn need(&mut self, need: &'u Need, premises: Premises) {
        if let Need::All { all } = need {
            return all.iter().for_each(|part| self.need(part, premises));
        }
        let holds = self.literal(need);
        self.imply(premises, [holds]);
    }

    /// A literal that makes a formula hold.
    fn literal(&mut self, need: &'u Need) -> Lit {
        match need {
            Need::Set(set) => self.needed(*set),
            Need::Leaf(leaf) => self.needed(leaf.set),
            Need::All { .. } | Need::Any { .. } => {
                if let Some(&literal) = self.formulas.get(need) {
                    return literal;
                }
                let literal = self.fresh();
                self.formulas.insert(need, literal);
                match need {
                    Need::Any { any } => {
                        let parts: Vec<_> = any.iter().map(|part| self.literal(part)).collect();
                        self.add([!literal].into_iter().chain(parts.iter().copied()));
                        self.formula.choices.push((literal, parts));
                    }
                    _ => self.need(need, [Some(literal), None]),
                }
                literal
            }
        }
    }

    /// A literal that makes one of a set chosen.
    fn needed(&mut self, set: SetId) -> Lit {
        if let Some(literal) = self.sets[0][set.index()] {
            return literal;
        }
        let universe = self.universe;
        let members: Vec<_> =
            universe.set(set).members.iter().filter_map(|&id| self.chosen(id)).collect();
        let literal = if let [only] = members[..] {
            only
        } else {
            let literal = self.fresh();
            let buckets = self.buckets(set);
            if buckets.len() > 1 {
                let parts: Vec<Lit> = buckets
                    .into_iter()
                    .map(|bucket| {
                        let part = self.fresh();
                        self.add([!part].into_iter().chain(bucket));
                        part
                    })
                    .collect();
                self.add([!literal].into_iter().chain(parts.iter().copied()));
                self.formula.spans.push((literal, parts));
            } else {
                self.add([!literal].into_iter().chain(members));
            }
            literal
        };
        self.sets[0][set.index()] = Some(literal);
        literal
    }

    /// The members of a set by the buckets that it spans, that of its newest member first; nothing
    /// where buckets are no choice between older and newer.
    fn buckets(&self, set: SetId) -> Vec<Vec<Lit>> {
        let set = self.universe.set(set);
        if self.universe.name(set.name).granularity != Granularity::Bucket {
            return Vec::new();
        }
        let mut numbers: Vec<u32> = Vec::new();
        let mut buckets: Vec<Vec<Lit>> = Vec::new();
        for &id in &set.members {
            let Some(literal) = self.chosen(id) else { continue };
            let bucket = self.universe.candidate(id).bucket;
            if let Some(position) = numbers.iter().position(|&number| number == bucket) {
                buckets[position].push(literal);
            } else {
                numbers.push(bucket);
                buckets.push(vec![literal]);
            }
        }
        buckets
    }

    /// A literal that holds if one of a set is chosen; none if none can be.
    fn touched(&mut self, set: SetId) -> Option<Lit> {
        if let Some(literal) = self.sets[1][set.index()] {
            return Some(literal);
        }
        let universe = self.universe;
        let members: Vec<_> =
            universe.set(set).members.iter().filter_map(|&id| self.chosen(id)).collect();
        let literal = match members[..] {
            [] => return None,
            [only] => only,
            _ => {
                let literal = self.fresh();
                for member in members {
                    self.add([!member, literal]);
                }
                literal
            }
        };
        self.sets[1][set.index()] = Some(literal);
        Some(literal)
    }
}
