//! The neutral facts of packages, loaded and interned: the universe that the solver works on.
