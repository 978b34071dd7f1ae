//! The x2nix command.
