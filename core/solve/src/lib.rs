//! From facts and a request to a verified answer, or to an explanation why there is none.
//!
//! ```text
//! universe -> encode -> resolvo -> decode -> optimise -> prune -> forbid cycles -> VERIFY -> answer
//!                          |
//!                          +-> no answer: explain
//! ```
//!
//! The solver is never trusted: [`verify`] reads the universe, not the encoding, and an answer that
//! it does not accept is a bug that is reported as one, never a lock file.

#![deny(missing_docs)]

mod answer;
mod bound;
mod criteria;
mod cycle;
mod distance;
mod encode;
mod explain;
mod formula;
mod optimise;
mod prune;
mod suggest;
mod verify;
mod why_not;

pub use answer::{Answer, Outcome, Preference, SolveError, Stop, solve};
pub use criteria::{Score, score};
pub use explain::{Explanation, Fact, Part, Reason, ReasonKind};
pub use suggest::{SUGGESTIONS, Suggestion, SuggestionKind, feasible, suggest};
pub use verify::{Violation, verify};
pub use why_not::{Obstacle, why_not};
