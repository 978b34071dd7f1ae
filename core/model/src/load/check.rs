//! What comes from a plugin is looked at once, here: numbers that were never announced and extensions
//! that the core cannot reduce are refused, and the plugin's numbers become ours.

use super::{LoadError, Loader, broken};
use crate::Universe;
use x2nix_protocol::{self as protocol, Diagnostic, Need, Requirement, SetId};

impl Loader {
    /// Takes in what a plugin says of a candidate.
    pub(super) fn admit_candidate(
        &self,
        universe: &Universe,
        candidate: &mut protocol::Candidate,
    ) -> Result<(), LoadError> {
        for requirement in &mut candidate.requires {
            self.admit_requirement(requirement)?;
        }
        for feature in &mut candidate.features {
            for requirement in &mut feature.requires {
                self.admit_requirement(requirement)?;
            }
        }
        for conflict in &mut candidate.conflicts {
            self.admit_set(&mut conflict.set)?;
        }
        let mut classes = candidate.classes.iter().chain(&candidate.exclusive);
        match classes.find(|class| class.index() >= universe.classes.len()) {
            Some(class) => broken(format!("class {} was never announced", class.0)),
            None => Ok(()),
        }
    }

    fn admit_set(&self, set: &mut SetId) -> Result<(), LoadError> {
        let Some(&own) = self.sets.get(set.index()) else {
            return broken(format!("set {} was never announced", set.0));
        };
        *set = own;
        Ok(())
    }

    /// Takes in a requirement.
    pub(super) fn admit_requirement(&self, requirement: &mut Requirement) -> Result<(), LoadError> {
        let refused = if requirement.peer {
            Some("peer dependencies")
        } else if requirement.visible.is_some() {
            Some("visibility of dependencies")
        } else if requirement.platforms.is_some() {
            Some("dependencies for some platforms of a joint resolution")
        } else {
            None
        };
        if let Some(what) = refused {
            return Err(Box::new(Diagnostic::not_supported(what)).into());
        }
        self.admit_need(&mut requirement.need, 0)
    }

    fn admit_need(&self, need: &mut Need, depth: usize) -> Result<(), LoadError> {
        /// Deeper than any formula that a person writes, and far from the end of the stack.
        const DEEPEST: usize = 200;
        match need {
            Need::Set(set) => self.admit_set(set),
            Need::Leaf(leaf) => self.admit_set(&mut leaf.set),
            Need::All { .. } | Need::Any { .. } if depth == DEEPEST => {
                broken(format!("a formula is nested deeper than {DEEPEST} levels"))
            }
            Need::All { all: parts } | Need::Any { any: parts } => {
                parts.iter_mut().try_for_each(|part| self.admit_need(part, depth + 1))
            }
        }
    }
}
