//! From facts and a request to a verified answer, or to an explanation why there is none.
//!
//! ```text
//! universe -> encode -> resolvo -> decode -> optimise -> prune -> forbid cycles -> VERIFY -> answer
//!                          |
//!                          +-> conflict -> explain
//! ```
//!
//! The solver is never trusted: [`verify`] reads the universe, not the encoding, and an answer that
//! it does not accept is a bug that is reported as one, never a lock file.

#![deny(missing_docs)]

mod answer;
mod criteria;
mod cycle;
mod encode;
mod explain;
mod optimise;
mod prune;
mod verify;

pub use answer::{Answer, Outcome, Preference, SolveError, solve};
pub use criteria::{Score, score};
pub use explain::{Explanation, Reason, Suggestion};
pub use verify::{Violation, verify};
