//! The command as its users meet it: each scenario makes its own folders, runs `x2nix` and looks at
//! the exit status, what was printed and what was written.
//!
//! Scenarios on the real opam repository take it from `X2NIX_OPAM_REPOSITORY`, or from beside the
//! workspace.

#![allow(clippy::unwrap_used)] // these are tests

mod bad_files;
mod bad_places;
mod cargo;
mod commands;
mod corner_cases;
mod determinism;
mod docs;
mod help;
mod import;
mod joined;
mod lock;
mod monorepo;
mod no_solution;
mod opam_monorepo;
mod overrides;
mod real;
mod requests;
mod settings;
mod support;
