//! The neutral facts of packages, loaded and interned: the universe that the solver works on.
//!
//! A [`Universe`] holds what plugins stated, checked and closed: every name that the roots can reach
//! has been asked for, every version set that matters knows its members. What follows (solving,
//! verifying, explaining) reads it and asks nobody.

#![deny(missing_docs)]

mod load;
mod text;
mod universe;

pub use load::{Ask, Keep, LoadError, Loader, load};
pub use universe::{Candidate, CandidateId, FeatureOf, Name, Universe, VersionSet};
