//! Why there is no answer: a conflict, told from the user's own words downwards.
//!
//! resolvo gives a graph: who requires what, and where that ends. It is told as a tree of
//! [`Reason`]s. Versions of one name that say the same are told together; virtual names (formulas,
//! classes) are told as what they came from; a package that was told once is not told again.

use crate::{
    Preference,
    encode::{Encoding, Refusal, SolverSet, Verdict},
};
use petgraph::{graph::NodeIndex, visit::EdgeRef};
use resolvo::{
    Requirement as Wish,
    conflict::{ConflictCause, ConflictEdge, ConflictNode},
};
use rustc_hash::FxHashSet;
use std::collections::BTreeMap;
use x2nix_model::{CandidateId, Universe};
use x2nix_protocol::{NameId, Origin, Requirement, SetId};

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Explanation {
    /// The reasons: a tree in the order in which it is read.
    pub reasons: Vec<Reason>,
    /// What would help; each was verified by solving again.
    pub suggestions: Vec<Suggestion>,
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// How deep it lies under the request.
    pub depth: usize,
    /// What holds: a sentence without a full stop.
    pub text: String,
    /// Where it is written.
    pub origin: Option<Origin>,
}

/// Something that would help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// What to do: a sentence without a full stop.
    pub text: String,
}

/// Tells a conflict.
pub(crate) fn explain(
    universe: &Universe,
    preference: &Preference<'_>,
    refusal: &Refusal,
    forbidden: &[Vec<CandidateId>],
) -> Explanation {
    let mut teller = Teller { universe, refusal, told: FxHashSet::default(), reasons: Vec::new() };
    teller.tell_root();
    for cycle in forbidden {
        let names: Vec<_> = cycle.iter().map(|&id| universe.candidate_text(id)).collect();
        let text = format!("{} need each other to be built first", names.join(" and "));
        teller.reasons.push(Reason { depth: 0, text, origin: None });
    }
    Explanation { reasons: teller.reasons, suggestions: suggest(universe, preference, forbidden) }
}

/// Which one of the user's own requirements could be left out, so that the rest has an answer.
fn suggest(
    universe: &Universe,
    preference: &Preference<'_>,
    forbidden: &[Vec<CandidateId>],
) -> Vec<Suggestion> {
    /// More would be no help, and each costs a solve.
    const SHOWN: usize = 3;
    /// A project with more roots than this is not searched to the end.
    const TRIED: usize = 40;
    let mut suggestions = Vec::new();
    if universe.roots.len() < 2 {
        return suggestions;
    }
    for (position, root) in universe.roots.iter().enumerate().take(TRIED) {
        let mut rest = universe.roots.clone();
        rest.remove(position);
        if let Verdict::Solved(_) = Encoding::new(universe, preference, forbidden, &rest).solve() {
            let place =
                root.origin.as_ref().map(|origin| format!(" ({origin})")).unwrap_or_default();
            let text =
                format!("without {}{place} the rest has an answer", universe.need_text(&root.need));
            suggestions.push(Suggestion { text });
        }
        if suggestions.len() == SHOWN {
            break;
        }
    }
    suggestions
}

struct Teller<'a> {
    universe: &'a Universe,
    refusal: &'a Refusal,
    /// The nodes that were told.
    told: FxHashSet<NodeIndex>,
    reasons: Vec<Reason>,
}

/// Who says something: the user, or some versions of one name.
type Owner = Option<Vec<CandidateId>>;

/// What owners of one name say alike.
#[derive(Default)]
struct Saying {
    owners: Vec<CandidateId>,
    origin: Option<Origin>,
    targets: Vec<NodeIndex>,
    unresolved: bool,
}

impl Teller<'_> {
    fn tell_root(&mut self) {
        let root = self.refusal.graph.root_node;
        self.tell(None, &[(root, None)], 0);
    }

    /// Tells what some nodes say; `owner_of` names the candidate that a virtual node speaks for.
    fn tell(&mut self, owner: Owner, nodes: &[(NodeIndex, Option<CandidateId>)], depth: usize) {
        let mut sayings: BTreeMap<String, Saying> = BTreeMap::new();
        let mut virtual_nodes = Vec::new();
        for &(node, speaker) in nodes {
            for edge in self.refusal.graph.graph.edges(node) {
                self.hear(edge.weight(), edge.target(), speaker, &mut sayings, &mut virtual_nodes);
            }
        }
        for (text, saying) in sayings {
            let subject = match &owner {
                None => "the request".to_owned(),
                Some(_) => self.subject(&saying.owners),
            };
            let mut line = format!("{subject} {text}");
            if owner.is_none() {
                line = text.replacen("requires ", "you asked for ", 1);
            }
            if saying.unresolved {
                line.push_str(", which no version fits");
            }
            self.reasons.push(Reason { depth, text: line, origin: saying.origin });
            self.descend(&saying.targets, depth + 1);
        }
        if !virtual_nodes.is_empty() {
            self.tell(owner, &virtual_nodes, depth);
        }
    }

    /// Sorts one edge of the graph into what is said.
    fn hear(
        &self,
        edge: &ConflictEdge,
        target: NodeIndex,
        speaker: Option<CandidateId>,
        sayings: &mut BTreeMap<String, Saying>,
        virtual_nodes: &mut Vec<(NodeIndex, Option<CandidateId>)>,
    ) {
        let graph = &self.refusal.graph.graph;
        let (text, origin) = match *edge {
            ConflictEdge::Requires(wish) => match self.wish_text(wish) {
                Some(text) => (format!("requires {text}"), self.wish_origin(speaker, wish)),
                None => return,
            },
            ConflictEdge::Conflict(ConflictCause::Constrains(set)) => {
                match self.refusal.sets[set.0 as usize] {
                    SolverSet::Outside(set, _) => {
                        let text = format!("conflicts with {}", self.universe.set_text(set));
                        (text, self.conflict_origin(speaker, set))
                    }
                    _ => return,
                }
            }
            ConflictEdge::Conflict(ConflictCause::Excluded) => {
                let facts = speaker.map(|id| &self.universe.candidate(id).facts);
                let reason = facts.and_then(|facts| facts.excluded.clone()).unwrap_or_default();
                let line = facts.and_then(|facts| facts.line);
                let origin = speaker.and_then(|id| self.universe.fact_origin(id, line));
                (format!("cannot be chosen: {reason}"), origin)
            }
            ConflictEdge::Conflict(
                ConflictCause::ForbidMultipleInstances | ConflictCause::Locked(_),
            ) => return,
        };
        let saying = sayings.entry(text).or_default();
        saying.owners.extend(speaker);
        if saying.origin.is_none() {
            saying.origin = origin;
        }
        match graph[target] {
            ConflictNode::UnresolvedDependency => saying.unresolved = true,
            ConflictNode::Solvable(solvable)
                if solvable.into_raw() as usize >= self.universe.candidates.len() =>
            {
                virtual_nodes.push((target, speaker));
            }
            ConflictNode::Solvable(_) => saying.targets.push(target),
            ConflictNode::Root | ConflictNode::Excluded(_) => {}
        }
    }

    /// Tells the packages that were just mentioned, name by name.
    fn descend(&mut self, targets: &[NodeIndex], depth: usize) {
        let mut by_name: BTreeMap<NameId, Vec<(NodeIndex, CandidateId)>> = BTreeMap::new();
        for &node in targets {
            if let ConflictNode::Solvable(solvable) = self.refusal.graph.graph[node]
                && self.told.insert(node)
            {
                let id = CandidateId(solvable.into_raw());
                by_name.entry(self.universe.candidate(id).name).or_default().push((node, id));
            }
        }
        for group in by_name.into_values() {
            let ids = group.iter().map(|&(_, id)| id).collect();
            let nodes: Vec<_> = group.into_iter().map(|(node, id)| (node, Some(id))).collect();
            self.tell(Some(ids), &nodes, depth);
        }
    }

    fn subject(&self, owners: &[CandidateId]) -> String {
        let mut owners = owners.to_vec();
        owners.sort_unstable();
        owners.dedup();
        let Some(&first) = owners.first() else { return "the request".into() };
        let name = self.universe.name_text(self.universe.candidate(first).name);
        format!("{name} {}", self.universe.versions_text(&owners))
    }

    fn wish_sets(&self, wish: Wish) -> Vec<SolverSet> {
        let sets = match wish {
            Wish::Single(set) => vec![set],
            Wish::Union(union) => self.refusal.unions[union.0 as usize].clone(),
        };
        sets.into_iter().map(|set| self.refusal.sets[set.0 as usize]).collect()
    }

    /// What is asked for, in the ecosystem's words; nothing for what only the encoding asks for.
    fn wish_text(&self, wish: Wish) -> Option<String> {
        let mut parts = Vec::new();
        for set in self.wish_sets(wish) {
            let part = match set {
                SolverSet::In(set, _) => self.universe.set_text(set),
                SolverSet::Every(name) => {
                    self.universe.need_text(self.refusal.formulas.get(&name)?)
                }
                SolverSet::Only(name, _) => {
                    let class = self.refusal.classes.get(&name)?;
                    format!("to be the only one of class {}", self.universe.class(*class))
                }
                SolverSet::Outside(..) | SolverSet::Not(_) => return None,
            };
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        let mut text = parts.join(" | ");
        if let [SolverSet::In(set, _)] = self.wish_sets(wish)[..] {
            text.push_str(&self.unknown(set));
        }
        Some(text)
    }

    /// What to add where a name is unknown, or has no fitting version.
    fn unknown(&self, set: SetId) -> String {
        let set = self.universe.set(set);
        let name = self.universe.name(set.name);
        if !name.loaded || !set.members.is_empty() {
            return String::new();
        }
        if !name.candidates.is_empty() {
            let all: Vec<_> = self.universe.candidates_of(set.name).collect();
            return format!(" (there are {})", self.universe.versions_text(&all));
        }
        let similar = match name.similar.as_slice() {
            [] => String::new(),
            similar => format!("; did you mean {}?", similar.join(", ")),
        };
        format!(" (there is no package of that name{similar})")
    }

    fn wish_origin(&self, speaker: Option<CandidateId>, wish: Wish) -> Option<Origin> {
        let requirements: &[Requirement] = match speaker {
            None => &self.universe.roots,
            Some(id) => &self.universe.candidate(id).facts.requires,
        };
        let sets = self.wish_sets(wish);
        let names = |requirement: &Requirement| {
            let mut found = false;
            Universe::leaves(&requirement.need, &mut |set, _| {
                found |= sets
                    .iter()
                    .any(|other| matches!(other, SolverSet::In(other, _) if *other == set));
            });
            let formula = |set: &SolverSet| match set {
                SolverSet::Every(name) => {
                    self.refusal.formulas.get(name) == Some(&requirement.need)
                }
                _ => false,
            };
            found || sets.iter().any(formula)
        };
        let requirement = requirements.iter().find(|requirement| names(requirement))?;
        self.universe.requirement_origin(speaker, requirement)
    }

    fn conflict_origin(&self, speaker: Option<CandidateId>, set: SetId) -> Option<Origin> {
        let id = speaker?;
        let conflicts = &self.universe.candidate(id).facts.conflicts;
        let conflict = conflicts.iter().find(|conflict| conflict.set == set)?;
        self.universe.fact_origin(id, conflict.line)
    }
}
