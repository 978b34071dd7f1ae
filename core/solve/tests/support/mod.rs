//! Small universes: how they are made up, and how the loader is told of them.

pub(crate) mod brute;
pub(crate) mod facts;
pub(crate) mod small;
