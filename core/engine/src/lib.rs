//! The whole way from a plugin and its inputs to a lock file, as a library.
//!
//! [`resolve`] asks a plugin, solves, verifies and writes the answer down; [`check`] asks again and
//! says whether a lock still holds, [`export`] writes it for another tool. Nothing here prints, reads files or knows an ecosystem: files
//! come through the [`Host`](x2nix_protocol::Host) that the caller gives.

#![deny(missing_docs)]

mod cancel;
mod check;
mod export;
mod fix;
mod joined;
mod kept;
mod overrides;
mod prepare;
mod resolve;
mod suggest;
mod why_not;

pub use cancel::Cancel;
pub use check::{Checked, check};
pub use export::export;
pub use fix::Fixer;
pub use joined::Joined;
pub use overrides::RequestOverride;
pub use prepare::Preparer;
pub use resolve::{Failure, Request, RequestInput, Resolution, names, resolve};
pub use suggest::suggest;
pub use why_not::{Alternative, WhyNot, why_not};
pub use x2nix_lock as lock;
pub use x2nix_model as model;
pub use x2nix_protocol as protocol;
pub use x2nix_solve as solve;
