//! Cycles: packages that would each have to be built before the other.
//!
//! An edge counts unless it is `post`: needed, but not before its owner is built. Optional needs are
//! edges too where both ends are chosen: the builder must order them. Where a requirement can be
//! met in several ways, every chosen way is an edge, since a build sees all of them. What a feature
//! needs, its package needs; a cycle names the feature that closes it.

use petgraph::{
    algo::tarjan_scc,
    graph::{DiGraph, NodeIndex},
};
use rustc_hash::{FxHashMap, FxHashSet};
use x2nix_model::{CandidateId, Universe};

/// The cycles among chosen candidates: one for each strongly connected part, as short as a walk
/// through it finds; each starts at its smallest number.
pub(crate) fn cycles(universe: &Universe, chosen: &[CandidateId]) -> Vec<Vec<CandidateId>> {
    let mut graph = DiGraph::with_capacity(chosen.len(), chosen.len() * 4);
    let packages = chosen.iter().filter(|&&id| universe.feature(id).is_none());
    let nodes: FxHashMap<_, _> = packages.map(|&id| (id, graph.add_node(id))).collect();
    let of_chosen: FxHashSet<CandidateId> = chosen.iter().copied().collect();
    for &id in chosen {
        let Some(&from) = nodes.get(&universe.base(id)) else { continue };
        for requirement in &universe.candidate(id).facts.requires {
            Universe::leaves(&requirement.need, &mut |set, leaf| {
                if !Universe::is_post(leaf) {
                    let needed =
                        universe.set(set).members.iter().filter(|other| of_chosen.contains(other));
                    for &other in needed {
                        let of = universe.base(other);
                        // Features of one package need each other and it.
                        let within = of == universe.base(id) && (of != other || of != id);
                        if let (Some(&to), false) = (nodes.get(&of), within) {
                            graph.add_edge(from, to, id);
                        }
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
        let cycle = shortest_cycle(&graph, start);
        let next = cycle.iter().cycle().skip(1);
        // Who needs the next one: the package, or one of its features.
        let owner = |(&node, &next): (&NodeIndex, &NodeIndex)| {
            graph.edges_connecting(node, next).map(|edge| *edge.weight()).min()
        };
        found.push(cycle.iter().zip(next).filter_map(owner).collect());
    }
    found.sort_unstable();
    found
}

/// The shortest cycle through a node that lies on one, by breadth-first search.
fn shortest_cycle(graph: &DiGraph<CandidateId, CandidateId>, start: NodeIndex) -> Vec<NodeIndex> {
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
