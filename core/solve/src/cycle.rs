//! Cycles: packages that would each have to be built before the other.
//!
//! An edge counts unless it is `post`: needed, but not before its owner is built. Optional needs are
//! edges too where both ends are chosen: the builder must order them. Where a requirement can be
//! met in several ways, every chosen way is an edge, since a build sees all of them.

use petgraph::{algo::tarjan_scc, graph::DiGraph};
use rustc_hash::FxHashMap;
use x2nix_model::{CandidateId, Universe};

/// The cycles among chosen candidates: one for each strongly connected part, as short as a walk
/// through it finds; each starts at its smallest number.
pub(crate) fn cycles(universe: &Universe, chosen: &[CandidateId]) -> Vec<Vec<CandidateId>> {
    let mut graph = DiGraph::<CandidateId, ()>::with_capacity(chosen.len(), chosen.len() * 4);
    let nodes: FxHashMap<_, _> = chosen.iter().map(|&id| (id, graph.add_node(id))).collect();
    for &id in chosen {
        for requirement in &universe.candidate(id).facts.requires {
            Universe::leaves(&requirement.need, &mut |set, leaf| {
                if !Universe::is_post(leaf) {
                    let needed =
                        universe.set(set).members.iter().filter_map(|other| nodes.get(other));
                    for &node in needed {
                        graph.add_edge(nodes[&id], node, ());
                    }
                }
            });
        }
    }
    let mut found = Vec::new();
    for part in tarjan_scc(&graph) {
        let start = part.iter().copied().min_by_key(|&node| graph[node]);
        let Some(start) = start.filter(|&node| part.len() > 1 || graph.contains_edge(node, node))
        else {
            continue;
        };
        found.push(shortest_cycle(&graph, start).into_iter().map(|node| graph[node]).collect());
    }
    found.sort_unstable();
    found
}

/// The shortest cycle through a node that lies on one, by breadth-first search.
fn shortest_cycle(
    graph: &DiGraph<CandidateId, ()>,
    start: petgraph::graph::NodeIndex,
) -> Vec<petgraph::graph::NodeIndex> {
    let mut parents = FxHashMap::default();
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        let mut next: Vec<_> = graph.neighbors(node).collect();
        next.sort_unstable_by_key(|&node| graph[node]);
        for other in next {
            if other == start {
                let mut cycle = vec![node];
                let mut at = node;
                while at != start {
                    at = parents[&at];
                    cycle.push(at);
                }
                cycle.reverse();
                return cycle;
            }
            parents.entry(other).or_insert_with(|| {
                queue.push_back(other);
                node
            });
        }
    }
    vec![start]
}
