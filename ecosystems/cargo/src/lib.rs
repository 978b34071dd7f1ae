//! The Cargo ecosystem: what manifests and registry indexes say, as facts.
//!
//! Manifests, index entries, lock files, `cfg(…)` and versions are read by the Cargo team's own crates;
//! what they mean is here.

#![deny(missing_docs)]

mod build;
mod chosen;
mod config;
mod dictionary;
mod export;
mod facts;
mod features;
mod git;
mod lockfile;
mod manifest;
mod plugin;
mod registry;
mod session;
mod source;
mod summary;
mod target;
mod workspace;

pub use plugin::CargoPlugin;
