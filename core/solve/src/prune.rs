//! Pruning: leaving out what nothing needs.
//!
//! A solver that decides a union one way and then, after a conflict, another way may keep both. What
//! is needed is found again from the roots: first everything that some requirement needs without a
//! choice, to the end; then, one at a time, the first open disjunction whose alternatives are all
//! still unneeded gets its preferred chosen alternative, and so on. Where it counts how many alternatives
//! are passed over, a disjunction keeps its first chosen alternative, even if a later one is there anyway.
//! Dropping a package cannot break
//! a conflict, a class or a granularity, so what is left holds whenever the whole did.

use rustc_hash::FxHashSet;
use std::collections::VecDeque;
use x2nix_model::{CandidateId, Universe};
use x2nix_protocol::{Criterion, Measure, Need, SetId};

/// The part of `chosen` that the roots need, in order of number.
pub(crate) fn prune(
    universe: &Universe,
    chosen: &[CandidateId],
    criteria: &[Criterion],
) -> Vec<CandidateId> {
    let mut pruner = Pruner {
        universe,
        first: criteria.iter().any(|criterion| criterion.measure == Measure::PassedOver),
        chosen: chosen.iter().copied().collect(),
        kept: FxHashSet::default(),
        fresh: VecDeque::new(),
        open: VecDeque::new(),
    };
    for root in &universe.roots {
        pruner.need(&root.need);
    }
    pruner.run();
    let mut kept: Vec<_> = pruner.kept.into_iter().collect();
    kept.sort_unstable();
    kept
}

struct Pruner<'u> {
    universe: &'u Universe,
    /// Whether passing over an alternative counts.
    first: bool,
    chosen: FxHashSet<CandidateId>,
    kept: FxHashSet<CandidateId>,
    fresh: VecDeque<CandidateId>,
    /// Formulas that leave a choice, in the order in which they turned up.
    open: VecDeque<&'u Need>,
}

impl<'u> Pruner<'u> {
    fn run(&mut self) {
        loop {
            while let Some(id) = self.fresh.pop_front() {
                for requirement in &self.universe.candidate(id).facts.requires {
                    if !requirement.optional {
                        self.need(&requirement.need);
                    }
                }
            }
            let Some(need) = self.open.pop_front() else { return };
            if (self.first || !self.holds(need, &self.kept))
                && let Need::Any { any } = need
                && let Some(part) = any.iter().find(|part| self.holds(part, &self.chosen))
            {
                self.need(part);
            }
        }
    }

    /// Keeps what a formula needs; where there is a choice, later.
    fn need(&mut self, need: &'u Need) {
        match need {
            Need::Set(set) => self.keep(*set),
            Need::Leaf(leaf) => self.keep(leaf.set),
            Need::All { all } => all.iter().for_each(|part| self.need(part)),
            Need::Any { .. } => self.open.push_back(need),
        }
    }

    /// Keeps one chosen member of a set: where several are chosen, the newest.
    fn keep(&mut self, set: SetId) {
        let member = self.universe.choices(set).find(|id| self.chosen.contains(id));
        if let Some(id) = member
            && self.kept.insert(id)
        {
            self.fresh.push_back(id);
        }
    }

    fn holds(&self, need: &Need, among: &FxHashSet<CandidateId>) -> bool {
        match need {
            Need::Set(set) => self.universe.choices(*set).any(|id| among.contains(&id)),
            Need::Leaf(leaf) => self.universe.choices(leaf.set).any(|id| among.contains(&id)),
            Need::All { all } => all.iter().all(|part| self.holds(part, among)),
            Need::Any { any } => any.iter().any(|part| self.holds(part, among)),
        }
    }
}
