//! The opam ecosystem as a plugin in a file of its own.

x2nix_plugin::export!(x2nix_opam::OpamPlugin, include_str!("../plugin.json"));
