//! The Cargo ecosystem as a plugin in a file of its own.

x2nix_plugin::export!(x2nix_cargo::CargoPlugin, include_str!("../plugin.json"));
