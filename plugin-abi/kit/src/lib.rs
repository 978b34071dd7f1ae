//! The conformance kit: what every plugin must do, checked against one.
//!
//! A plugin gets all its checks through its carrier, as it is used: it describes itself, refuses what
//! it cannot understand, and for each [`Scenario`] of its author gives the answer that is due: twice
//! the same, the same however the questions are cut and ordered, and no crash whatever its host does.

#![deny(missing_docs)]

mod check;
mod host;
mod scenario;
mod split;

pub use check::{Check, conform, replay};
pub use scenario::{Expected, Scenario, read_scenarios};
