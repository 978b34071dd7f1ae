//! The whole way from a universe to an answer.

use crate::{
    criteria::{Score, score},
    cycle,
    encode::{Encoding, Verdict},
    explain::{Explanation, explain},
    optimise::optimise,
    prune::prune,
    verify::{Violation, verify},
};
use rustc_hash::FxHashSet;
use std::{fmt, sync::Arc};
use x2nix_model::{CandidateId, Universe};
use x2nix_protocol::Criterion;

/// What makes one answer better than another.
#[derive(Debug, Clone, Default)]
pub struct Preference<'a> {
    /// The criteria, the most important first.
    pub criteria: &'a [Criterion],
    /// Candidates to keep if they fit: what a lock has already.
    pub kept: FxHashSet<CandidateId>,
    /// Whether to give up.
    pub stop: Stop,
}

/// Whether somebody wants the search to end without an answer; asked while it goes on.
#[derive(Clone, Default)]
pub struct Stop(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl Stop {
    /// Asks this.
    pub fn new(asked_for: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(asked_for)))
    }

    pub(crate) fn is_asked_for(&self) -> bool {
        self.0.as_ref().is_some_and(|asked_for| asked_for())
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stop").field(&self.is_asked_for()).finish()
    }
}

/// A set of candidates that satisfies the roots; verified, and nothing in it is superfluous.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What was chosen, in order of number.
    pub chosen: Vec<CandidateId>,
    /// How good it is, by the criteria in their order.
    pub score: Score,
    /// Whether it is proved that none is better.
    pub optimal: bool,
}

/// What solving leads to.
#[derive(Debug)]
pub enum Outcome {
    /// An answer.
    Solved(Answer),
    /// There is none, and this is why.
    Unsolvable(Explanation),
}

/// A fault of the solver or of its encoding: a bug of x2nix, never of its input. Or it was stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SolveError {
    /// An answer that the verifier does not accept.
    #[error("the solver's answer does not hold: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Unverified(Vec<Violation>),
    /// More cycles than any real request has.
    #[error("gave up after forbidding {0} dependency cycles")]
    Cycles(usize),
    /// Somebody wanted it; see [`Preference::stop`].
    #[error("the search was stopped")]
    Stopped,
}

/// Finds the best answer, or why there is none.
///
/// resolvo answers first: it says whether there is an answer at all, and why not. Then the answer is
/// improved as far as the bound of [`optimise`] allows. A cycle in either answer is forbidden and
/// everything is solved again.
///
/// # Errors
///
/// For a bug of this crate, or where it was stopped: see [`SolveError`].
pub fn solve(universe: &Universe, preference: &Preference<'_>) -> Result<Outcome, SolveError> {
    /// Each round forbids one more cycle; real requests need none or a few.
    const ROUNDS: usize = 1_000;
    let mut forbidden: Vec<Vec<CandidateId>> = Vec::new();
    for _ in 0..ROUNDS {
        let first = match Encoding::new(universe, preference, &forbidden, &universe.roots).solve() {
            Verdict::Solved(chosen) => prune(universe, &chosen, preference.criteria),
            Verdict::Stopped => return Err(SolveError::Stopped),
            Verdict::Unsolvable => {
                return Ok(Outcome::Unsolvable(explain(universe, &forbidden)));
            }
        };
        let cycles = cycle::cycles(universe, &first);
        if !cycles.is_empty() {
            forbidden.extend(cycles);
            continue;
        }
        let best = optimise(universe, preference, &forbidden);
        if preference.stop.is_asked_for() {
            return Err(SolveError::Stopped);
        }
        // Where nothing makes an answer better, every answer is the best.
        let all_are_best = preference.criteria.is_empty() && preference.kept.is_empty();
        let optimal = best.as_ref().map_or(all_are_best, |best| best.optimal);
        let improved = best.map(|best| prune(universe, &best.chosen, preference.criteria));
        let cycles = improved.as_deref().map(|it| cycle::cycles(universe, it)).unwrap_or_default();
        if !cycles.is_empty() {
            forbidden.extend(cycles);
            continue;
        }
        let judge = |chosen: Vec<CandidateId>| {
            let score = score(universe, &chosen, preference.criteria);
            verify(universe, &chosen)
                .map(|()| Answer { chosen, score, optimal })
                .map_err(SolveError::Unverified)
        };
        let first = judge(first)?;
        let Some(improved) = improved else { return Ok(Outcome::Solved(first)) };
        let improved = judge(improved)?;
        // Where the search gave up, it may have stopped before it reached what resolvo found.
        let better = optimal || improved.score < first.score;
        return Ok(Outcome::Solved(if better { improved } else { first }));
    }
    Err(SolveError::Cycles(forbidden.len()))
}
