//! The lock file: what was chosen and how it is built.
//!
//! The goals of the format, in order: *complete* (building needs nothing else), *readable*,
//! *canonical* (the same answer is the same bytes), *small diffs* (one line per fact that can
//! change), *checked* (by schema and by its own claims), and *readable for ever*: a version of the
//! format, once released, keeps its reader.

#![deny(missing_docs)]

mod assemble;
mod claims;
mod document;
mod text;

pub use assemble::{PlatformAnswer, assemble};
pub use claims::check_claims;
pub use document::*;
pub use text::{LARGEST, read, write};
pub use x2nix_protocol::Placement;

/// The JSON Schema of a lock (draft 2020-12), with an example.
pub fn schema() -> schemars::Schema {
    x2nix_protocol::schema_of::<Lock>(include_str!("../examples/lock.json"))
}
