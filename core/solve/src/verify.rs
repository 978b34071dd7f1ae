//! The verifier: does a set of candidates really answer the request?
//!
//! It is written over the facts and shares nothing with the encoding, so that a mistake in either
//! shows. It is the plain reading of what each fact means, and nothing clever.

use crate::cycle;
use rustc_hash::{FxHashMap, FxHashSet};
use x2nix_model::{CandidateId, Universe};
use x2nix_protocol::{ClassId, NameId, Need};

/// One way in which an answer does not hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Violation {
    /// A candidate that cannot be chosen.
    #[error("{0} cannot be chosen: {1}")]
    Excluded(String, String),
    /// A requirement that nothing chosen satisfies.
    #[error("{owner} requires {need}")]
    Unmet {
        /// Who requires it.
        owner: String,
        /// What.
        need: String,
    },
    /// A conflict between two chosen candidates.
    #[error("{0} conflicts with {1}")]
    Conflict(String, String),
    /// Two names of one class.
    #[error("{0} and {1} are both of class {2}")]
    Class(String, String, String),
    /// Two candidates that exclude each other by granularity.
    #[error("{0} and {1} cannot be chosen together")]
    Granularity(String, String),
    /// A cycle of candidates that each must be built before the next.
    #[error("dependency cycle: {0}")]
    Cycle(String),
    /// A candidate that no chain of requirements leads to.
    #[error("nothing needs {0}")]
    Superfluous(String),
}

/// Checks an answer against the facts.
///
/// # Errors
///
/// All ways in which it does not hold, in a fixed order.
pub fn verify(universe: &Universe, chosen: &[CandidateId]) -> Result<(), Vec<Violation>> {
    let answer = Answer::new(universe, chosen);
    let set = &answer.chosen;
    let text = |id: CandidateId| universe.candidate_text(id);
    let mut found = Vec::new();

    for root in universe.stated_roots() {
        if !root.optional && !holds(universe, &root.need, &answer) {
            let need = universe.need_text(&root.need);
            found.push(Violation::Unmet { owner: "the request".into(), need });
        }
    }
    let mut buckets: FxHashMap<(NameId, u32), CandidateId> = FxHashMap::default();
    let mut classes: FxHashMap<ClassId, CandidateId> = FxHashMap::default();
    let mut exclusive: FxHashMap<ClassId, CandidateId> = FxHashMap::default();
    for &id in chosen {
        let candidate = universe.candidate(id);
        if let Some(reason) = &candidate.facts.excluded {
            found.push(Violation::Excluded(text(id), reason.clone()));
        }
        for requirement in candidate.stated() {
            if !requirement.optional && !holds(universe, &requirement.need, &answer) {
                found.push(Violation::Unmet {
                    owner: text(id),
                    need: universe.need_text(&requirement.need),
                });
            }
        }
        for conflict in &candidate.facts.conflicts {
            let enemies = &universe.set(conflict.set).members;
            let others =
                enemies.iter().filter(|&&other| universe.candidate(other).name != candidate.name);
            found.extend(
                others
                    .filter(|other| set.contains(other))
                    .map(|&other| Violation::Conflict(text(id), text(other))),
            );
        }
        for &class in &candidate.facts.classes {
            if let Some(&other) = classes.get(&class) {
                if universe.candidate(other).name != candidate.name {
                    found.push(Violation::Class(
                        text(other),
                        text(id),
                        universe.class(class).into(),
                    ));
                }
            } else {
                classes.insert(class, id);
            }
        }
        for &class in &candidate.facts.exclusive {
            if let Some(other) = exclusive.insert(class, id) {
                found.push(Violation::Class(text(other), text(id), universe.class(class).into()));
            }
        }
        found.extend(feature(universe, id, &answer));
        if let Some(other) = buckets.insert((candidate.name, candidate.bucket), id) {
            found.push(Violation::Granularity(text(other), text(id)));
        }
    }
    for members in cycle::cycles(universe, chosen) {
        let names: Vec<_> = members.iter().map(|&id| text(id)).collect();
        found.push(Violation::Cycle(names.join(" -> ")));
    }
    let reached = reached(universe, set);
    found.extend(
        chosen
            .iter()
            .filter(|id| !reached.contains(id))
            .map(|&id| Violation::Superfluous(text(id))),
    );
    found.sort_unstable();
    found.dedup();
    if found.is_empty() { Ok(()) } else { Err(found) }
}

/// What was chosen, and which features of it are on.
struct Answer<'u> {
    chosen: FxHashSet<CandidateId>,
    on: FxHashSet<(CandidateId, &'u str)>,
}

impl<'u> Answer<'u> {
    fn new(universe: &'u Universe, chosen: &[CandidateId]) -> Self {
        let on = chosen.iter().filter_map(|&id| Some((universe.base(id), universe.feature(id)?)));
        Self { chosen: chosen.iter().copied().collect(), on: on.collect() }
    }
}

/// What does not hold of a feature that is on: its package is chosen and has it, and the features that
/// it switches on are on.
fn feature(universe: &Universe, id: CandidateId, answer: &Answer<'_>) -> Option<Violation> {
    let feature = universe.feature(id)?;
    let of = universe.base(id);
    if !universe.candidate(of).known {
        // Whoever solved will ask what it has, and solve again.
        return None;
    }
    let mut stated = universe.candidate(of).facts.features.iter();
    let missing = match stated.find(|it| it.name == feature) {
        _ if !answer.chosen.contains(&of) => universe.candidate_text(of),
        None => format!("a feature {feature}"),
        Some(stated) => {
            stated.enables.iter().find(|it| !answer.on.contains(&(of, it.as_str())))?.clone()
        }
    };
    Some(Violation::Unmet { owner: universe.candidate_text(id), need: missing })
}

/// Whether a formula holds among chosen candidates.
fn holds(universe: &Universe, need: &Need, answer: &Answer<'_>) -> bool {
    match need {
        Need::Set(set) => universe.set(*set).members.iter().any(|id| answer.chosen.contains(id)),
        Need::Leaf(leaf) => universe.set(leaf.set).members.iter().any(|&id| {
            let on = |name: &String| answer.on.contains(&(id, name.as_str()));
            answer.chosen.contains(&id) && leaf.features.iter().all(on)
        }),
        Need::All { all } => all.iter().all(|part| holds(universe, part, answer)),
        Need::Any { any } => any.iter().any(|part| holds(universe, part, answer)),
    }
}

/// The chosen candidates that some requirement of a reached owner mentions.
fn reached(universe: &Universe, chosen: &FxHashSet<CandidateId>) -> FxHashSet<CandidateId> {
    let mut reached = FxHashSet::default();
    let mut fresh = Vec::new();
    let mut visit = |need: &Need, fresh: &mut Vec<CandidateId>| {
        Universe::leaves(need, &mut |set, _| {
            for &id in &universe.set(set).members {
                if chosen.contains(&id) && reached.insert(id) {
                    fresh.push(id);
                }
            }
        });
    };
    for root in &universe.roots {
        visit(&root.need, &mut fresh);
    }
    while let Some(id) = fresh.pop() {
        for requirement in &universe.candidate(id).facts.requires {
            if !requirement.optional {
                visit(&requirement.need, &mut fresh);
            }
        }
    }
    reached
}
