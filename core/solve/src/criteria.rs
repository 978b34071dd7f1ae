//! How good an answer is.

use rustc_hash::FxHashSet;
use x2nix_model::{CandidateId, Universe};
use x2nix_protocol::{Criterion, Mark, Measure, NameId, NameKind, Scope};

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

/// What one candidate adds to a measure.
pub(crate) fn cost(universe: &Universe, measure: Measure, id: CandidateId) -> u64 {
    let name = universe.candidate(id).name;
    match measure {
        Measure::Avoided => u64::from(avoided(universe, id)),
        Measure::Lag => {
            wholesome(universe, universe.candidates_of(name).take_while(|&other| other < id))
        }
        Measure::Lead => {
            wholesome(universe, universe.candidates_of(name).rev().take_while(|&other| other > id))
        }
        Measure::Count => 1,
    }
}

/// Scores an answer by some criteria. Only packages count, not virtual names or variables.
pub fn score(universe: &Universe, chosen: &[CandidateId], criteria: &[Criterion]) -> Score {
    let requested = requested(universe);
    let packages =
        |id: &&CandidateId| universe.name(universe.candidate(**id).name).kind == NameKind::Package;
    criteria
        .iter()
        .map(|criterion| {
            let counts = |id: &&CandidateId| match criterion.over {
                Scope::All => true,
                Scope::Requested => requested.contains(&universe.candidate(**id).name),
            };
            let measured = chosen.iter().filter(packages).filter(counts);
            measured.map(|&id| cost(universe, criterion.measure, id)).sum()
        })
        .collect()
}
