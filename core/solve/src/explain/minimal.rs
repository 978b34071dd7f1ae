//! Which facts exclude each other: a minimal set, found by a SAT solver under guards.
//!
//! Every fact has a guard ([`crate::formula`]); with all guards assumed the solver says that there is
//! no model, and names the guards that it needed for that. Such a *core* is true but seldom short,
//! and of the many minimal sets some read better than others. So the search goes from what the user
//! knows to what he does not:
//!
//! 1. **Few of the user's own words.** A root that the refusal does not need is left out.
//! 2. **Near.** Facts are let in by their distance from the roots, until there is no model; what lies
//!    deeper has no part in the story.
//! 3. **Plain.** What is left is written again without all other facts, so that each further question
//!    costs next to nothing, and each fact is left out for good if there still is no model. Facts that
//!    each version states in its own words (`ocaml = 5.2.0`, `ocaml = 5.2.1`, …) go first, whole
//!    families at a time: they are hard to read. Then what lies deeper goes before what lies near.
//!
//! After the last step every fact is needed: without it, the others have a model. All bounds are
//! numbers of conflicts; where one is reached, a fact stays that might have been left out.

use crate::{
    Stop,
    bound::Bound,
    formula::{Formula, Guarded, Key},
};
use batsat::{Solver, SolverInterface, SolverOpts, lbool};
use rustc_hash::{FxHashMap, FxHashSet};
use std::cmp::Reverse;
use x2nix_model::{CandidateId, Universe};
use x2nix_protocol::NameId;

/// How many conflicts the search may meet. Real requests meet a few hundred.
const CONFLICTS: u64 = 200_000;

/// A minimal set of facts that exclude each other; nothing if there is none within the bound.
pub(super) fn minimal<'u>(
    universe: &'u Universe,
    forbidden: &[Vec<CandidateId>],
) -> Option<Vec<Guarded<'u>>> {
    let mut whole = Sat::new(Formula::guarded(universe, forbidden, None));
    let roots = few_roots(&mut whole)?;
    let near = near(universe, forbidden, &mut whole, &roots)?;
    let keys: FxHashSet<_> = near.iter().map(|&(index, _)| whole.facts[index].key).collect();
    let depths: FxHashMap<_, _> =
        near.iter().map(|&(index, depth)| (whole.facts[index].key, depth)).collect();
    drop(whole);
    let mut small = Sat::new(Formula::guarded(universe, forbidden, Some(&keys)));
    let needed = plain(universe, &mut small, &depths)?;
    let mut facts: Vec<_> = needed.into_iter().map(|index| small.facts[index].clone()).collect();
    for fact in &mut facts {
        fact.owners.sort_unstable();
        fact.owners.dedup();
    }
    Some(facts)
}

/// All facts without the roots that the refusal does not need; of several the first are kept.
fn few_roots(sat: &mut Sat<'_>) -> Option<FxHashSet<usize>> {
    /// A project with more roots than this is not searched to the end.
    const TRIED: usize = 40;
    let all: Vec<usize> = (0..sat.facts.len()).collect();
    let is_root = |sat: &Sat<'_>, index: usize| matches!(sat.facts[index].key, Key::Root(_));
    let core = sat.core(&all)?;
    let mut roots: Vec<_> = core.into_iter().filter(|&index| is_root(sat, index)).collect();
    for root in roots.clone().into_iter().rev().take(TRIED) {
        if !roots.contains(&root) {
            continue;
        }
        let rest =
            |index: &usize| !is_root(sat, *index) || (*index != root && roots.contains(index));
        let rest: Vec<_> = all.iter().copied().filter(rest).collect();
        if let Some(core) = sat.core(&rest) {
            roots.retain(|root| core.contains(root));
        }
    }
    Some(roots.into_iter().collect())
}

/// The facts of a core that lies as near to some roots as possible, each with its distance.
fn near(
    universe: &Universe,
    forbidden: &[Vec<CandidateId>],
    sat: &mut Sat<'_>,
    roots: &FxHashSet<usize>,
) -> Option<Vec<(usize, usize)>> {
    let names = distances(universe, sat, roots);
    let far = usize::MAX;
    let depths: Vec<usize> = sat
        .facts
        .iter()
        .enumerate()
        .map(|(index, fact)| match fact.key {
            Key::Root(_) => {
                if roots.contains(&index) {
                    0
                } else {
                    far
                }
            }
            Key::Cycle(position) => {
                let members = forbidden[position].iter();
                let depth = |id: &CandidateId| names.get(&universe.candidate(*id).name).copied();
                members.map(|id| depth(id).unwrap_or(far)).max().unwrap_or(far)
            }
            Key::Excluded(name, _)
            | Key::Requires(name, _)
            | Key::Conflict(name, _)
            | Key::Class(name, _)
            | Key::OneVersion(name) => names.get(&name).copied().unwrap_or(far),
        })
        .collect();
    let deepest = depths.iter().copied().filter(|&depth| depth < far).max().unwrap_or(0);
    let within = |limit: usize| {
        (0..depths.len()).filter(|&index| depths[index] <= limit).collect::<Vec<_>>()
    };
    let core = (0..=deepest).find_map(|limit| sat.core(&within(limit)))?;
    Some(sat.smaller(core).into_iter().map(|index| (index, depths[index])).collect())
}

/// How many requirements lie between the roots and each name; the names of the roots have 1.
fn distances(
    universe: &Universe,
    sat: &Sat<'_>,
    roots: &FxHashSet<usize>,
) -> FxHashMap<NameId, usize> {
    let mut distances = FxHashMap::default();
    let mut mentioned: Vec<NameId> = Vec::new();
    for &root in roots {
        if let Key::Root(position) = sat.facts[root].key {
            Universe::leaves(&universe.roots[position].need, &mut |set, _| {
                mentioned.push(universe.set(set).name);
            });
        }
    }
    for depth in 1.. {
        let mut fresh = std::mem::take(&mut mentioned);
        fresh.sort_unstable();
        fresh.dedup();
        fresh.retain(|name| !distances.contains_key(name));
        if fresh.is_empty() {
            break;
        }
        for name in fresh {
            distances.insert(name, depth);
            for id in universe.candidates_of(name) {
                let candidate = universe.candidate(id);
                let requires = candidate.facts.requires.iter();
                for requirement in requires.filter(|requirement| !requirement.optional) {
                    Universe::leaves(&requirement.need, &mut |set, _| {
                        mentioned.push(universe.set(set).name);
                    });
                }
            }
        }
    }
    distances
}

/// What versions of one name state in words of their own, though it is of one shape.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Family {
    Requires(NameId, Vec<NameId>),
    Excluded(NameId),
    Alone(usize),
}

/// The facts that are left when each that can go is gone.
fn plain(
    universe: &Universe,
    sat: &mut Sat<'_>,
    depths: &FxHashMap<Key<'_>, usize>,
) -> Option<Vec<usize>> {
    let mut families: FxHashMap<Family, Vec<usize>> = FxHashMap::default();
    for (index, fact) in sat.facts.iter().enumerate() {
        let family = match fact.key {
            Key::Requires(name, need) => {
                let mut shape = Vec::new();
                Universe::leaves(need, &mut |set, _| shape.push(universe.set(set).name));
                Family::Requires(name, shape)
            }
            Key::Excluded(name, _) => Family::Excluded(name),
            _ => Family::Alone(index),
        };
        families.entry(family).or_default().push(index);
    }
    let depth = |index: usize| depths.get(&sat.facts[index].key).copied().unwrap_or_default();
    let mut families: Vec<_> = families.into_values().collect();
    families.sort_unstable_by_key(|family| {
        // A pair is no family yet.
        let size = if family.len() > 2 { family.len() } else { 1 };
        (Reverse(size), Reverse(depth(family[0])), Reverse(family[0]))
    });
    let all: Vec<_> = (0..sat.facts.len()).collect();
    let mut left = sat.core(&all)?;
    let whole_first = families.iter().filter(|family| family.len() > 1).cloned();
    let one_by_one = families.iter().flatten().map(|&index| vec![index]);
    let steps: Vec<_> = whole_first.chain(one_by_one).collect();
    for step in steps {
        if step.iter().any(|index| left.contains(index)) {
            let rest: Vec<_> = left.iter().copied().filter(|index| !step.contains(index)).collect();
            if let Some(core) = sat.core(&rest) {
                left = core;
            }
        }
    }
    Some(left)
}

/// A solver for guarded facts.
struct Sat<'u> {
    solver: Solver<Bound>,
    facts: Vec<Guarded<'u>>,
    by_guard: FxHashMap<batsat::Var, usize>,
}

impl<'u> Sat<'u> {
    fn new(formula: Formula<'u>) -> Self {
        let mut solver = Solver::new(SolverOpts::default(), Bound::new(CONFLICTS, Stop::default()));
        for _ in 0..formula.variables {
            solver.new_var(lbool::FALSE, true);
        }
        for mut clause in formula.clauses {
            // Without its guards nothing is refused.
            solver.add_clause_reuse(&mut clause);
        }
        let guards = formula.facts.iter().enumerate();
        let by_guard = guards.map(|(index, fact)| (fact.guard.var(), index)).collect();
        Self { solver, facts: formula.facts, by_guard }
    }

    /// Those of some facts that refuse every model, in order; nothing if there is a model.
    fn core(&mut self, facts: &[usize]) -> Option<Vec<usize>> {
        let guards: Vec<_> = facts.iter().map(|&index| self.facts[index].guard).collect();
        if self.solver.solve_limited(&guards) != lbool::FALSE {
            return None;
        }
        let core = self.solver.unsat_core().iter().map(|guard| self.by_guard[&guard.var()]);
        let mut core: Vec<_> = core.collect();
        core.sort_unstable();
        core.dedup();
        Some(core)
    }

    /// Asks again for less, as long as that helps.
    fn smaller(&mut self, mut core: Vec<usize>) -> Vec<usize> {
        const ROUNDS: usize = 5;
        for _ in 0..ROUNDS {
            match self.core(&core) {
                Some(smaller) if smaller.len() < core.len() => core = smaller,
                _ => break,
            }
        }
        core
    }
}
