//! Distances: how many requirements lie between the user's own words and a package.
//!
//! What a root names is at distance 1, what that requires at 2, and so on; of several ways the
//! shortest counts. A feature is where its package is. All versions of one bucket have one distance,
//! since at most one of them is chosen: that of the nearest who may need any of them.

use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use x2nix_model::{CandidateId, Universe};
use x2nix_protocol::{NameId, Need};

/// The distance of each bucket that can be reached.
pub(crate) struct Distances(FxHashMap<(NameId, u32), u32>);

impl Distances {
    /// Walks from the roots over all that is known.
    pub(crate) fn new(universe: &Universe) -> Self {
        let mut walk = Walk { universe, found: FxHashMap::default(), queue: VecDeque::new() };
        for root in universe.roots.iter().filter(|root| !root.optional) {
            walk.visit(&root.need, None, 1);
        }
        let mut visited: FxHashMap<CandidateId, u32> = FxHashMap::default();
        while let Some((id, distance)) = walk.queue.pop_front() {
            if visited.get(&id).is_some_and(|&before| before <= distance) {
                continue;
            }
            visited.insert(id, distance);
            for requirement in &universe.candidate(id).facts.requires {
                if !requirement.optional {
                    walk.visit(&requirement.need, Some(id), distance);
                }
            }
        }
        Self(walk.found)
    }

    /// The distance of a candidate; that of nobody's need is beyond all others.
    pub(crate) fn of(&self, universe: &Universe, id: CandidateId) -> u32 {
        let candidate = universe.candidate(universe.base(id));
        self.0.get(&(candidate.name, candidate.bucket)).copied().unwrap_or(u32::MAX)
    }

    /// All distances that occur, the smallest first.
    pub(crate) fn all(&self) -> Vec<u32> {
        let mut all: Vec<u32> = self.0.values().copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

struct Walk<'u> {
    universe: &'u Universe,
    found: FxHashMap<(NameId, u32), u32>,
    queue: VecDeque<(CandidateId, u32)>,
}

impl Walk<'_> {
    fn visit(&mut self, need: &Need, owner: Option<CandidateId>, distance: u32) {
        Universe::leaves(need, &mut |set, _| {
            for id in self.universe.choices(set) {
                let base = self.universe.base(id);
                let within = owner.is_some_and(|owner| self.universe.base(owner) == base);
                let far = if within || owner.is_none() { distance } else { distance + 1 };
                let candidate = self.universe.candidate(base);
                let entry = self.found.entry((candidate.name, candidate.bucket)).or_insert(far);
                *entry = (*entry).min(far);
                if self.universe.candidate(id).known {
                    // A feature of the package itself is as near as that is, and comes first.
                    if within {
                        self.queue.push_front((id, far));
                    } else {
                        self.queue.push_back((id, far));
                    }
                }
            }
        });
    }
}
