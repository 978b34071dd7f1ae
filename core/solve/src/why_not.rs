//! Why another version was not chosen: what stands between it and the packages that were.
//!
//! Nothing is solved: the version is held against the answer as it is. Each obstacle is a fact of the
//! version or of a chosen package, with its place.

use crate::criteria::avoided;
use rustc_hash::FxHashSet;
use x2nix_model::{CandidateId, Universe};
use x2nix_protocol::{Need, Origin, Requirement};

/// One thing that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Obstacle {
    /// What: a sentence without a full stop.
    pub text: String,
    /// Where it is written.
    pub origin: Option<Origin>,
}

/// What stands between a candidate and an answer; empty if it would fit, and the answer is only
/// better without it.
pub fn why_not(
    universe: &Universe,
    chosen: &[CandidateId],
    candidate: CandidateId,
) -> Vec<Obstacle> {
    let facts = &universe.candidate(candidate).facts;
    let name = universe.candidate(candidate).name;
    let text = universe.candidate_text(candidate);
    if let Some(reason) = &facts.excluded {
        let origin = universe.fact_origin(candidate, facts.line);
        return vec![Obstacle { text: format!("{text} cannot be chosen: {reason}"), origin }];
    }
    // The answer with this candidate in the place of the one that was chosen.
    let mut instead: FxHashSet<CandidateId> =
        chosen.iter().copied().filter(|&id| universe.candidate(id).name != name).collect();
    instead.insert(candidate);

    let mut found = Vec::new();
    let mut check = |owner: Option<CandidateId>, requirement: &Requirement| {
        if requirement.optional || holds(universe, &requirement.need, &instead) {
            return;
        }
        let subject = owner.map_or("you ask for".to_owned(), |id| {
            format!("{} needs", universe.candidate_text(id))
        });
        let mut text = format!("{subject} {}", universe.need_text(&requirement.need));
        if owner == Some(candidate) {
            let beside = beside(universe, &requirement.need, chosen);
            if !beside.is_empty() {
                text.push_str(&format!(", and {} is chosen", beside.join(", ")));
            }
        }
        found.push(Obstacle { text, origin: universe.requirement_origin(owner, requirement) });
    };
    for root in &universe.roots {
        check(None, root);
    }
    let others: Vec<_> =
        chosen.iter().copied().filter(|&id| universe.candidate(id).name != name).collect();
    for &id in others.iter().chain([&candidate]) {
        for requirement in &universe.candidate(id).facts.requires {
            check(Some(id), requirement);
        }
    }
    for &other in &others {
        for (owner, enemy) in [(other, candidate), (candidate, other)] {
            for conflict in &universe.candidate(owner).facts.conflicts {
                if universe.is_member(conflict.set, enemy) {
                    let (owner_text, set) =
                        (universe.candidate_text(owner), universe.set_text(conflict.set));
                    let text = format!(
                        "{owner_text} conflicts with {set}, and {} is that",
                        universe.candidate_text(enemy)
                    );
                    found.push(Obstacle {
                        text,
                        origin: universe.fact_origin(owner, conflict.line),
                    });
                }
            }
        }
        let classes = &universe.candidate(other).facts.classes;
        if let Some(&class) = facts.classes.iter().find(|class| classes.contains(class)) {
            let (other, class) = (universe.candidate_text(other), universe.class(class));
            found.push(Obstacle {
                text: format!("{text} and {other} are both of class {class}"),
                origin: None,
            });
        }
    }
    if found.is_empty() && avoided(universe, candidate) {
        let text = format!("{text} is marked to be avoided");
        found.push(Obstacle { text, origin: universe.fact_origin(candidate, None) });
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether a formula holds; what is not known of a version that was never in question counts as held.
fn holds(universe: &Universe, need: &Need, chosen: &FxHashSet<CandidateId>) -> bool {
    let leaf = |set| {
        !universe.set(set).known || universe.set(set).members.iter().any(|id| chosen.contains(id))
    };
    match need {
        Need::Set(set) => leaf(*set),
        Need::Leaf(needed) => leaf(needed.set),
        Need::All { all } => all.iter().all(|part| holds(universe, part, chosen)),
        Need::Any { any } => any.iter().any(|part| holds(universe, part, chosen)),
    }
}

/// What is chosen of the names that a formula mentions.
fn beside(universe: &Universe, need: &Need, chosen: &[CandidateId]) -> Vec<String> {
    let mut names = FxHashSet::default();
    Universe::leaves(need, &mut |set, _| {
        names.insert(universe.set(set).name);
    });
    let mentioned = chosen.iter().filter(|&&id| names.contains(&universe.candidate(id).name));
    mentioned.map(|&id| universe.candidate_text(id)).collect()
}
