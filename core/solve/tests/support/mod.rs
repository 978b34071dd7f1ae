//! Small universes: how they are made up, and how the loader is told of them.

pub mod brute;
pub mod facts;
pub mod small;
