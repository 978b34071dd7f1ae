//! How long the SAT solver may try: so many conflicts, never so many seconds, so that the same facts
//! give the same answer on every machine.

use batsat::{Callbacks, Lit, clause};

/// Counts conflicts, and stops the solver at the bound.
pub(crate) struct Bound {
    left: u64,
}

impl Bound {
    /// Stops it after so many.
    pub(crate) fn new(conflicts: u64) -> Self {
        Self { left: conflicts }
    }
}

impl Callbacks for Bound {
    fn on_new_clause(&mut self, _: &[Lit], kind: clause::Kind) {
        if kind == clause::Kind::Learnt {
            self.left = self.left.saturating_sub(1);
        }
    }

    fn stop(&self) -> bool {
        self.left == 0
    }
}
