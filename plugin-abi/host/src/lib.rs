//! What a plugin may see of the world, and the carriers that bring a plugin in.
//!
//! - [`inputs`]: folders, archives, addresses and git revisions as content-hashed, read-only trees; the [`Host`] of a session.
//! - [`carrier`]: runs a linked-in plugin over documents alone, as a foreign one would run.
//! - [`hash`]: hashes, as locks and file names have them.
//! - [`kept`]: writes the files that x2nix leaves behind, whole or not at all.
//!
//! [`Host`]: x2nix_protocol::Host

pub mod carrier;
pub mod hash;
pub mod inputs;
pub mod kept;
