//! From a lock file to Nix.
