//! The opam ecosystem: what opam files say, as facts.

#![deny(missing_docs)]

pub mod depexts;
pub mod filter;
pub mod formula;
mod mirage;
pub mod package;
mod plugin;
pub mod syntax;
pub mod version;

pub use plugin::OpamPlugin;
