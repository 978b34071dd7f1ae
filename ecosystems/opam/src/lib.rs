//! The opam ecosystem: what opam files say, as facts.
