//! How good an answer is.

use rustc_hash::FxHashSet;
use x2nix_model::{CandidateId, Universe};
use x2nix_protocol::{Criterion, Granularity, Mark, Measure, NameId, NameKind, Need, Scope, SetId};

/// The values of the criteria in their order; the lexicographically smallest is the best.
pub type Score = Vec<u64>;

/// Whether the ecosystem would rather not see a candidate chosen.
pub(crate) fn avoided(universe: &Universe, id: CandidateId) -> bool {
    universe.candidate(id).facts.marks.contains(&Mark::Avoid)
}

/// How many of some candidates can be chosen without regret: neither excluded nor avoided.
fn wholesome(universe: &Universe, candidates: impl Iterator<Item = CandidateId>) -> u64 {
    let fit = |&id: &CandidateId| {
        universe.candidate(id).facts.excluded.is_none() && !avoided(universe, id)
    };
    candidates.filter(fit).count() as u64
}

/// The names that a root requirement mentions.
pub(crate) fn requested(universe: &Universe) -> FxHashSet<NameId> {
    let mut names = FxHashSet::default();
    for root in &universe.roots {
        Universe::leaves(&root.need, &mut |set, _| {
            names.insert(universe.set(set).name);
        });
    }
    names
}

/// What one candidate adds to a measure. Where versions exclude each other by buckets, being in an older
/// bucket is no lag: a newer one can be there beside it.
pub(crate) fn cost(universe: &Universe, measure: Measure, id: CandidateId) -> u64 {
    let name = universe.candidate(id).name;
    let apart = universe.name(name).granularity == Granularity::Bucket;
    let rival = |other: &CandidateId| {
        !apart || universe.candidate(*other).bucket == universe.candidate(id).bucket
    };
    let all = universe.candidates_of(name);
    match measure {
        Measure::Avoided => u64::from(avoided(universe, id)),
        Measure::Lag => wholesome(universe, all.take_while(|&other| other < id).filter(rival)),
        Measure::Lead => {
            wholesome(universe, all.rev().take_while(|&other| other > id).filter(rival))
        }
        Measure::Count => 1,
        Measure::PassedOver => 0,
    }
}

/// Whether a criterion that may be about one ecosystem only counts a name.
pub(crate) fn is_within(universe: &Universe, ecosystem: Option<u32>, name: NameId) -> bool {
    ecosystem.is_none_or(|ecosystem| universe.name(name).ecosystem == ecosystem)
}

/// Scores an answer by some criteria. Only packages count, not virtual names or variables.
pub fn score(universe: &Universe, chosen: &[CandidateId], criteria: &[Criterion]) -> Score {
    let requested = requested(universe);
    let packages =
        |id: &&CandidateId| universe.name(universe.candidate(**id).name).kind == NameKind::Package;
    criteria
        .iter()
        .map(|criterion| {
            if criterion.measure == Measure::PassedOver {
                return passed_over(universe, chosen);
            }
            let counts = |id: &&CandidateId| {
                let name = universe.candidate(**id).name;
                let asked = criterion.over != Scope::Requested || requested.contains(&name);
                asked && is_within(universe, criterion.within, name)
            };
            let measured = chosen.iter().filter(packages).filter(counts);
            measured.map(|&id| cost(universe, criterion.measure, id)).sum()
        })
        .collect()
}

/// How many alternatives an answer passes over: of each formula that somebody needs, those before the
/// first that holds; of each set that spans buckets, the buckets before that of its newest chosen
/// member. What many say alike counts once.
fn passed_over(universe: &Universe, chosen: &[CandidateId]) -> u64 {
    let mut counter = PassedOver {
        universe,
        chosen: chosen.iter().copied().collect(),
        needs: FxHashSet::default(),
        sets: FxHashSet::default(),
        count: 0,
    };
    for root in universe.roots.iter().filter(|root| !root.optional) {
        counter.need(&root.need);
    }
    for &id in chosen {
        for requirement in universe.candidate(id).facts.requires.iter().filter(|it| !it.optional) {
            counter.need(&requirement.need);
        }
    }
    counter.count
}

struct PassedOver<'u> {
    universe: &'u Universe,
    chosen: FxHashSet<CandidateId>,
    needs: FxHashSet<&'u Need>,
    sets: FxHashSet<SetId>,
    count: u64,
}

impl<'u> PassedOver<'u> {
    fn need(&mut self, need: &'u Need) {
        match need {
            Need::Set(set) => self.set(*set),
            Need::Leaf(leaf) => self.set(leaf.set),
            Need::All { all } => all.iter().for_each(|part| self.need(part)),
            Need::Any { any } => {
                let held = any.iter().position(|part| self.holds(part));
                if self.needs.insert(need)
                    && let Some(held) = held
                {
                    self.count += held as u64;
                    self.need(&any[held]);
                }
            }
        }
    }

    fn set(&mut self, set: SetId) {
        if self.universe.name(self.universe.set(set).name).granularity != Granularity::Bucket
            || !self.sets.insert(set)
        {
            return;
        }
        let mut before = Vec::new();
        for id in self.universe.choices(set) {
            let bucket = self.universe.candidate(id).bucket;
            if self.chosen.contains(&id) {
                self.count += before.iter().filter(|&&other| other != bucket).count() as u64;
                return;
            }
            if !before.contains(&bucket) {
                before.push(bucket);
            }
        }
    }

    fn holds(&self, need: &Need) -> bool {
        match need {
            Need::Set(set) => self.universe.choices(*set).any(|id| self.chosen.contains(&id)),
            Need::Leaf(leaf) => self.universe.choices(leaf.set).any(|id| self.chosen.contains(&id)),
            Need::All { all } => all.iter().all(|part| self.holds(part)),
            Need::Any { any } => any.iter().any(|part| self.holds(part)),
        }
    }
}
