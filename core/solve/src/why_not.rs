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
    let refused = |id: CandidateId| {
        let facts = &universe.candidate(id).facts;
        let reason = facts.excluded.as_ref()?;
        let text = format!("{} cannot be chosen: {reason}", universe.candidate_text(id));
        Some(Obstacle { text, origin: universe.fact_origin(id, facts.line) })
    };
    if let Some(obstacle) = refused(candidate) {
        return vec![obstacle];
    }
    // The answer with this candidate in the place of the one that was chosen, and its features in that of
    // the other's. Where several are chosen beside each other, it takes the place of the one that it excludes.
    let is_other = |id: CandidateId| universe.candidate(id).name == name;
    let excluded =
        |id: CandidateId| universe.candidate(id).bucket == universe.candidate(candidate).bucket;
    let in_bucket = chosen.iter().any(|&id| is_other(id) && excluded(id));
    let replaced = |&id: &CandidateId| {
        let base = universe.base(id);
        is_other(base) && (!in_bucket || excluded(base))
    };
    let (old, others): (Vec<CandidateId>, Vec<CandidateId>) =
        chosen.iter().copied().partition(replaced);
    let own = with_features(universe, candidate, &old, &others);
    let instead: FxHashSet<CandidateId> = others.iter().chain(&own).copied().collect();

    let mut found: Vec<Obstacle> = own.iter().filter_map(|&id| refused(id)).collect();
    let mut check = |owner: Option<CandidateId>, requirement: &Requirement| {
        if requirement.optional || holds(universe, &requirement.need, &instead) {
            return;
        }
        let subject = owner.map_or("you ask for".to_owned(), |id| {
            format!("{} needs", universe.candidate_text(id))
        });
        let mut text = format!("{subject} {}", universe.need_text(&requirement.need));
        if owner.is_some_and(|owner| own.contains(&owner)) {
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
    for &id in others.iter().chain(&own) {
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

/// A version and those of its features that the others ask for, of those that were on, and what these
/// switch on.
fn with_features(
    universe: &Universe,
    candidate: CandidateId,
    old: &[CandidateId],
    others: &[CandidateId],
) -> Vec<CandidateId> {
    let needs = others.iter().flat_map(|&id| &universe.candidate(id).facts.requires);
    let mut wanted = FxHashSet::default();
    for requirement in universe.roots.iter().chain(needs) {
        Universe::leaves(&requirement.need, &mut |set, _| {
            wanted.insert(universe.set(set).name);
        });
    }
    let old = old.iter().filter(|&&id| wanted.contains(&universe.candidate(id).name));
    let mut own: Vec<CandidateId> = old.map(|&id| universe.same_of(id, candidate)).collect();
    own.push(candidate);
    let mut at = 0;
    while let Some(&id) = own.get(at) {
        at += 1;
        for requirement in &universe.candidate(id).facts.requires {
            Universe::leaves(&requirement.need, &mut |set, _| {
                let members = universe.set(set).members.iter();
                let of_it = members.copied().filter(|&id| universe.base(id) == candidate);
                own.extend(of_it);
            });
        }
        let mut seen = FxHashSet::default();
        own.retain(|&id| seen.insert(id));
    }
    own
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
    let plain = chosen.iter().filter(|&&id| universe.feature(id).is_none());
    let mentioned = plain.filter(|&&id| names.contains(&universe.candidate(id).name));
    mentioned.map(|&id| universe.candidate_text(id)).collect()
}
