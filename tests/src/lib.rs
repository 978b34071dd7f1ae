//! Whole-program tests of x2nix.
