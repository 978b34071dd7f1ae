//! The documents that x2nix and its ecosystem plugins exchange, and the plugin trait.
//!
//! # One conversation
//!
//! A plugin states facts; the core decides. One resolution is one *session*, and it asks, in order:
//!
//! 1. [`Plugin::describe`]: who are you, which options do you take, what do you call best?
//! 2. [`Plugin::open`]: here are the inputs (read-only trees), the user's words and the platform;
//!    what do they require, and under which environment did you read that? A plugin whose project
//!    has to be run through a tool first answers with a [`Preparation`], and is opened again.
//! 3. [`Session::facts`]: which versions do these names have, and what does each need? Asked in
//!    waves, hundreds of names a call, until no new name turns up.
//! 4. [`Session::members`]: which of those versions lie in these version sets? And
//!    [`Session::details`]: what was left out at first of these versions, which came into question?
//! 5. [`Session::build`]: these were chosen; how is each one built?
//!
//! Later, [`Session::export`] may ask for what was chosen in a form of the ecosystem's own.
//!
//! Every question and answer is a plain value that serialises to JSON (schemas in `schemas/`), so a
//! plugin may be linked in, loaded from a library, or run as WebAssembly, with the same answer.
//!
//! # Identifiers
//!
//! Facts repeat the same few names and constraints tens of thousands of times, so they refer to
//! them by number. The plugin *announces* each name, version set and class in the [`Dictionary`] of
//! the first answer that uses it; numbers are dense and start at 0, in order of announcement, and
//! stay valid for the session. An answer that uses a number which was never announced is refused.

#![deny(missing_docs)]

pub mod abi;
mod build;
mod describe;
mod diagnostic;
mod export;
mod facts;
mod host;
mod manifest;
pub mod message;
mod open;
mod plugin;
mod schema;

pub use build::*;
pub use describe::*;
pub use diagnostic::*;
pub use export::*;
pub use facts::*;
pub use host::*;
pub use manifest::*;
pub use open::*;
pub use plugin::*;
pub use schema::{DOCUMENTS, SchemaDocument, schema_of};

/// The version of this protocol: the number that a plugin states in [`Describe::protocol`].
///
/// It is apart from the product's version. Adding an optional field keeps it; removing a field or
/// changing what one means raises it.
pub const PROTOCOL_VERSION: u32 = 1;

/// The oldest version of the protocol that this host still speaks.
pub const PROTOCOL_OLDEST: u32 = 1;
