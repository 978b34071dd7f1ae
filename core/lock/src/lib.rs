//! The lock file: what was chosen and how it is built.

#![deny(missing_docs)]

mod document;

pub use document::*;
