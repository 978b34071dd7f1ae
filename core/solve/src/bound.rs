//! How long the SAT solver may try: so many conflicts, never so many seconds, so that the same facts
//! give the same answer on every machine. Somebody may stop it before; then there is no answer.

use crate::Stop;
use batsat::{Callbacks, Lit, clause};

/// Counts conflicts, and stops the solver at the bound.
pub(crate) struct Bound {
    left: u64,
    stop: Stop,
}

impl Bound {
    /// Stops it after so many, or when somebody asks for it.
    pub(crate) fn new(conflicts: u64, stop: Stop) -> Self {
        Self { left: conflicts, stop }
    }
}

impl Callbacks for Bound {
    fn on_new_clause(&mut self, _: &[Lit], kind: clause::Kind) {
        if kind == clause::Kind::Learnt {
            self.left = self.left.saturating_sub(1);
        }
    }

    fn stop(&self) -> bool {
        self.left == 0 || self.stop.is_asked_for()
    }
}
