//! The universe as clauses.
//!
//! One variable says that a candidate is chosen. What it needs is a clause; the sets and formulas
//! inside are named by variables of their own, once each, however many candidates refer to them
//! (Tseitin's encoding, in the one direction that is needed). That at most one candidate of a bucket,
//! or one name of a class, is chosen is a ladder: linear in its rungs.

use batsat::{Lit, Var};
use rustc_hash::FxHashMap;
use x2nix_model::{CandidateId, Universe};
use x2nix_protocol::{ClassId, NameId, Need, SetId};

/// Clauses, and what their variables mean.
#[derive(Default)]
pub(super) struct Formula {
    /// How many variables there are, numbered from 0.
    pub(super) variables: u32,
    /// The clauses.
    pub(super) clauses: Vec<Vec<Lit>>,
    /// The variable of each candidate that can be chosen.
    pub(super) candidates: FxHashMap<CandidateId, Var>,
    /// Those candidates, grouped by what they exclude: one bucket of a name each.
    pub(super) groups: Vec<Vec<CandidateId>>,
}

impl Formula {
    /// The clauses of a universe; no model contains a forbidden set whole.
    pub(super) fn new(universe: &Universe, forbidden: &[Vec<CandidateId>]) -> Self {
        let mut writer = Writer {
            universe,
            formula: Self::default(),
            sets: [const { Vec::new() }; 2],
            formulas: FxHashMap::default(),
        };
        writer.sets.iter_mut().for_each(|sets| sets.resize(universe.sets.len(), None));
        writer.candidates();
        writer.classes();
        for root in universe.roots.iter().filter(|root| !root.optional) {
            writer.need(&root.need, None);
        }
        for index in 0..writer.formula.groups.len() {
            for position in 0..writer.formula.groups[index].len() {
                writer.facts(writer.formula.groups[index][position]);
            }
        }
        for cycle in forbidden {
            let literals = cycle.iter().map(|id| writer.chosen(*id).map(|literal| !literal));
            // A cycle through something that cannot be chosen is forbidden already.
            if let Some(clause) = literals.collect() {
                writer.formula.clauses.push(clause);
            }
        }
        writer.formula
    }
}

struct Writer<'u> {
    universe: &'u Universe,
    formula: Formula,
    /// For each set the literals "one of it is needed" and "one of it is chosen".
    sets: [Vec<Option<Lit>>; 2],
    /// The literals of nested formulas.
    formulas: FxHashMap<&'u Need, Lit>,
}

impl<'u> Writer<'u> {
    fn fresh(&mut self) -> Lit {
        let var = Var::unsafe_from_idx(self.formula.variables);
        self.formula.variables += 1;
        Lit::new(var, true)
    }

    fn add(&mut self, clause: impl IntoIterator<Item = Lit>) {
        self.formula.clauses.push(clause.into_iter().collect());
    }

    fn chosen(&self, id: CandidateId) -> Option<Lit> {
        self.formula.candidates.get(&id).map(|&var| Lit::new(var, true))
    }

    fn candidates(&mut self) {
        for name in 0..self.universe.names.len() {
            let Ok(name) = u32::try_from(name) else { return };
            let mut buckets: FxHashMap<u32, Vec<CandidateId>> = FxHashMap::default();
            for id in self.universe.candidates_of(NameId(name)) {
                let candidate = self.universe.candidate(id);
                if candidate.reached {
                    let var = self.fresh().var();
                    self.formula.candidates.insert(id, var);
                    buckets.entry(candidate.bucket).or_default().push(id);
                }
            }
            let mut buckets: Vec<_> = buckets.into_values().collect();
            buckets.sort_unstable();
            for bucket in buckets {
                let literals: Vec<_> = bucket.iter().filter_map(|&id| self.chosen(id)).collect();
                self.at_most_one(&literals);
                self.formula.groups.push(bucket);
            }
        }
    }

    /// A ladder: rung k says that one of the first k literals holds.
    fn at_most_one(&mut self, literals: &[Lit]) {
        let mut rung: Option<Lit> = None;
        for (position, &literal) in literals.iter().enumerate() {
            if let Some(below) = rung {
                self.add([!literal, !below]);
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
        let mut members: Vec<(ClassId, NameId, Lit)> = Vec::new();
        for group in &self.formula.groups {
            for &id in group {
                let candidate = self.universe.candidate(id);
                let literal = self.chosen(id);
                let classes = candidate.facts.classes.iter();
                members
                    .extend(classes.filter_map(|&class| Some((class, candidate.name, literal?))));
            }
        }
        members.sort_unstable();
        members.dedup();
        for class in members.chunk_by(|a, b| a.0 == b.0) {
            let mut names = Vec::new();
            for name in class.chunk_by(|a, b| a.1 == b.1) {
                let literal = self.fresh();
                for member in name {
                    self.add([!member.2, literal]);
                }
                names.push(literal);
            }
            self.at_most_one(&names);
        }
    }

    fn facts(&mut self, id: CandidateId) {
        let Some(literal) = self.chosen(id) else { return };
        let candidate = self.universe.candidate(id);
        for requirement in
            candidate.facts.requires.iter().filter(|requirement| !requirement.optional)
        {
            self.need(&requirement.need, Some(literal));
        }
        for conflict in &candidate.facts.conflicts {
            if self.universe.set(conflict.set).name != candidate.name
                && let Some(touched) = self.touched(conflict.set)
            {
                self.add([!literal, !touched]);
            }
        }
    }

    /// Writes that a formula holds if its owner does; always, if it has none.
    fn need(&mut self, need: &'u Need, owner: Option<Lit>) {
        if let Need::All { all } = need {
            return all.iter().for_each(|part| self.need(part, owner));
        }
        let holds = self.literal(need);
        self.add(owner.map(|owner| !owner).into_iter().chain([holds]));
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
                        self.add([!literal].into_iter().chain(parts));
                    }
                    _ => self.need(need, Some(literal)),
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
            self.add([!literal].into_iter().chain(members));
            literal
        };
        self.sets[0][set.index()] = Some(literal);
        literal
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
