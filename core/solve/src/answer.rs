//! The whole way from a universe to an answer.

use crate::{
    criteria::{Score, score},
    cycle,
    encode::{Encoding, Verdict},
    explain::{self, Explanation},
    prune::prune,
    verify::{Violation, verify},
};
use rustc_hash::FxHashSet;
use x2nix_model::{CandidateId, Universe};
use x2nix_protocol::Criterion;

/// What makes one answer better than another.
#[derive(Debug, Clone, Default)]
pub struct Preference<'a> {
    /// The criteria, the most important first.
    pub criteria: &'a [Criterion],
    /// Candidates to keep if they fit: what a lock has already.
    pub kept: FxHashSet<CandidateId>,
}

/// A set of candidates that satisfies the roots; verified, and nothing in it is superfluous.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What was chosen, in order of number.
    pub chosen: Vec<CandidateId>,
    /// How good it is, by the criteria in their order.
    pub score: Score,
}

/// What solving leads to.
#[derive(Debug)]
pub enum Outcome {
    /// An answer.
    Solved(Answer),
    /// There is none, and this is why.
    Unsolvable(Explanation),
}

/// A fault of the solver or of its encoding: a bug of x2nix, never of its input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SolveError {
    /// An answer that the verifier does not accept.
    #[error("the solver's answer does not hold: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Unverified(Vec<Violation>),
    /// More cycles than any real request has.
    #[error("gave up after forbidding {0} dependency cycles")]
    Cycles(usize),
}

/// Finds an answer, or why there is none.
///
/// # Errors
///
/// Only for a bug of this crate: see [`SolveError`].
pub fn solve(universe: &Universe, preference: &Preference<'_>) -> Result<Outcome, SolveError> {
    /// Each round forbids one more cycle; real requests need none or a few.
    const ROUNDS: usize = 1_000;
    let mut forbidden: Vec<Vec<CandidateId>> = Vec::new();
    for _ in 0..ROUNDS {
        let encoding = Encoding::new(universe, preference, &forbidden, &universe.roots);
        let chosen = match encoding.solve() {
            Verdict::Solved(chosen) => chosen,
            Verdict::Unsolvable(conflict) => {
                return Ok(Outcome::Unsolvable(explain::explain(
                    universe, preference, &conflict, &forbidden,
                )));
            }
        };
        let chosen = prune(universe, &chosen);
        let cycles = cycle::cycles(universe, &chosen);
        if cycles.is_empty() {
            verify(universe, &chosen).map_err(SolveError::Unverified)?;
            let score = score(universe, &chosen, preference.criteria);
            return Ok(Outcome::Solved(Answer { chosen, score }));
        }
        forbidden.extend(cycles);
    }
    Err(SolveError::Cycles(forbidden.len()))
}
