//! Optimising: the best answer by the criteria, and a proof that it is.
//!
//! resolvo finds an answer by deciding greedily; the criteria are sums over all packages, and a sum
//! is often better when one package gives way. So the answer is sought again as a *lexicographic
//! MaxSAT* problem, independently of resolvo: [`crate::formula`] writes the universe as clauses, each
//! criterion becomes literals that cost something, and the criteria are minimised one after another
//! by the core-guided algorithm OLL (Andres et al., "Unsatisfiability-based optimization in clasp",
//! 2012; Morgado et al., "Core-guided MaxSAT with soft cardinality constraints", 2014).
//!
//! # The algorithm
//!
//! Assume that no literal of the criterion costs anything, and ask the SAT solver. If it finds a
//! model, that is the best. If not, it gives a *core*: assumptions that cannot hold together, so at
//! least one of them costs its weight. That much is a lower bound, and the core is replaced by a
//! weaker assumption: not *two* of them (later: three, ...). The first model that is found costs
//! exactly the lower bound, and is the best. Its assumptions are then made facts, which keeps this
//! criterion at its best while the next one is minimised.
//!
//! # Chains
//!
//! What a package costs is written in unary: one literal for "costs at least v" for each value v
//! that occurs, each worth the step from the value before. They imply each other downwards, and so
//! do the outputs of a cardinality constraint. So both are *chains*, of which only the first link
//! that is still believed is assumed; the next comes in when that one is given up. A request of a
//! hundred packages has thousands of links, and assumes a hundred.
//!
//! # Ties
//!
//! Alternatives of a formula are given in order of preference. Among the answers that are the best by
//! the criteria, the one is taken that passes over the fewest alternatives, in all formulas together:
//! the last criterion, whatever the policy. It says nothing about the others, so a search that gives
//! up in it leaves them proved. A policy may put it first ([`Measure::PassedOver`]); then the buckets that
//! a set spans are alternatives too, the newest first.
//!
//! # Bounds
//!
//! Work is bounded by a number of conflicts, never by a clock, so that the answer is the same on
//! every machine. Where the bound is reached, the best model so far is the answer, and is not called
//! optimal.

mod totalizer;

use crate::{Preference, Stop, bound::Bound, criteria, distance::Distances, formula::Formula};
use batsat::{Lit, Solver, SolverInterface, SolverOpts, Var, lbool};
use rustc_hash::{FxHashMap, FxHashSet};
use std::rc::Rc;
use totalizer::Totalizer;
use x2nix_model::{CandidateId, Universe};
use x2nix_protocol::{Criterion, Measure, NameKind, Scope};

/// How many conflicts one optimisation may meet. Real requests of opam meet a few thousand.
const CONFLICTS: u64 = 200_000;

/// The best answer that was found.
pub(crate) struct Best {
    /// The chosen candidates, in order of number; superfluous ones are possible.
    pub(crate) chosen: Vec<CandidateId>,
    /// Whether it is proved to be the best.
    pub(crate) optimal: bool,
}

/// Finds the best answer that contains none of the forbidden sets whole; nothing where the bound is
/// reached before any model is found, or there is no answer.
pub(crate) fn optimise(
    universe: &Universe,
    preference: &Preference<'_>,
    forbidden: &[Vec<CandidateId>],
) -> Option<Best> {
    let mut search = Search::new(Formula::new(universe, forbidden), preference.stop.clone());
    let mut best: Option<Best> = None;
    let mut passed_over = false;
    for criterion in stages(universe, preference) {
        let chains = match criterion {
            Counted::Candidates(cost) => search.costs(cost),
            Counted::PassedOver => {
                passed_over = true;
                let mut chains = search.alternatives();
                chains.append(&mut search.spans());
                chains
            }
        };
        let stage = search.minimise(chains);
        match stage {
            Stage::Best => {
                let chosen = search.model();
                best = Some(Best { chosen, optimal: true });
            }
            Stage::GaveUp => {
                if let Some(best) = &mut best {
                    best.optimal = false;
                }
                return best;
            }
        }
    }
    if let (Some(best), false) = (&mut best, passed_over) {
        let chains = search.alternatives();
        if let Stage::Best = search.minimise(chains) {
            best.chosen = search.model();
        }
    }
    best
}

/// What one stage counts.
enum Counted<'a> {
    /// What each candidate costs.
    Candidates(Box<dyn Fn(CandidateId) -> u64 + 'a>),
    /// Alternatives that are passed over.
    PassedOver,
}

/// What each stage counts, criterion by criterion. First comes what a lock has: leaving it costs.
fn stages<'a>(universe: &'a Universe, preference: &'a Preference<'_>) -> Vec<Counted<'a>> {
    let requested = Rc::new(criteria::requested(universe));
    // Another bucket of a name that is kept is a departure too: what was enough may stay enough.
    let kept_names: FxHashSet<_> =
        preference.kept.iter().map(|&id| universe.candidate(id).name).collect();
    let mut stages = Vec::new();
    if !kept_names.is_empty() {
        let cost = move |id: CandidateId| {
            let known = kept_names.contains(&universe.candidate(id).name);
            u64::from(known && !preference.kept.contains(&id))
        };
        stages.push(Counted::Candidates(Box::new(cost)));
    }
    for &Criterion { measure, over, within } in preference.criteria {
        if measure == Measure::PassedOver {
            stages.push(Counted::PassedOver);
            continue;
        }
        let cost = move |id: CandidateId| {
            let name = universe.candidate(id).name;
            let counts = universe.name(name).kind == NameKind::Package
                && criteria::is_within(universe, within, name);
            if counts { criteria::cost(universe, measure, id) } else { 0 }
        };
        match over {
            Scope::All => stages.push(Counted::Candidates(Box::new(cost))),
            Scope::Requested => {
                let requested = Rc::clone(&requested);
                let cost = move |id: CandidateId| {
                    if requested.contains(&universe.candidate(id).name) { cost(id) } else { 0 }
                };
                stages.push(Counted::Candidates(Box::new(cost)));
            }
            Scope::Nearest => {
                let distances = Rc::new(Distances::new(universe));
                for distance in distances.all() {
                    let distances = Rc::clone(&distances);
                    let cost = move |id: CandidateId| {
                        if distances.of(universe, id) == distance { cost(id) } else { 0 }
                    };
                    stages.push(Counted::Candidates(Box::new(cost)));
                }
            }
        }
    }
    stages
}

/// How minimising one criterion ended.
enum Stage {
    /// The solver holds a model that is the best.
    Best,
    /// The bound was reached.
    GaveUp,
}

/// Literals that each cost something, of which each implies the one before.
enum Chain {
    /// What the candidates of one name cost: the literals and what each adds.
    Steps(std::vec::IntoIter<(Lit, u64)>),
    /// How many of a core were given up, from the given number on; each costs the same.
    Counter { totalizer: Totalizer, next: usize, weight: u64 },
}

/// An assumption: this literal is false.
struct Belief {
    weight: u64,
    chain: usize,
}

struct Search {
    solver: Solver<Bound>,
    formula_vars: FxHashMap<CandidateId, Var>,
    groups: Vec<Vec<CandidateId>>,
    choices: Vec<(Lit, Vec<Lit>)>,
    spans: Vec<(Lit, Vec<Lit>)>,
    /// Whether the clauses are known to have no model at all.
    broken: bool,
}

impl Search {
    fn new(formula: Formula<'_>, stop: Stop) -> Self {
        let options = SolverOpts::default();
        let mut solver = Solver::new(options, Bound::new(CONFLICTS, stop));
        for _ in 0..formula.variables {
            solver.new_var(lbool::FALSE, true);
        }
        let mut broken = false;
        for mut clause in formula.clauses {
            broken |= !solver.add_clause_reuse(&mut clause);
        }
        Self {
            solver,
            formula_vars: formula.candidates,
            groups: formula.groups,
            choices: formula.choices,
            spans: formula.spans,
            broken,
        }
    }

    fn fresh(&mut self) -> Lit {
        Lit::new(self.solver.new_var(lbool::FALSE, true), true)
    }

    fn add(&mut self, clause: &[Lit]) {
        self.broken |= !self.solver.add_clause_reuse(&mut clause.to_vec());
    }

    /// The candidates of the last model.
    fn model(&self) -> Vec<CandidateId> {
        let holds = |var: Var| self.solver.value_var(var) == lbool::TRUE;
        let mut chosen: Vec<_> =
            self.formula_vars.iter().filter(|&(_, &var)| holds(var)).map(|(&id, _)| id).collect();
        chosen.sort_unstable();
        chosen
    }

    /// Minimises the sum of what some chains cost, and keeps it there from now on.
    fn minimise(&mut self, mut chains: Vec<Chain>) -> Stage {
        let mut beliefs: FxHashMap<Var, Belief> = FxHashMap::default();
        for chain in 0..chains.len() {
            self.advance(&mut chains, chain, &mut beliefs);
        }
        loop {
            if self.broken {
                return Stage::GaveUp;
            }
            let mut assumptions: Vec<_> = beliefs.keys().map(|&var| Lit::new(var, false)).collect();
            assumptions.sort_unstable();
            match self.solver.solve_limited(&assumptions) {
                answer if answer == lbool::TRUE => {
                    // The model stays readable: facts that it satisfies do not change it.
                    for assumption in assumptions {
                        self.add(&[assumption]);
                    }
                    return if self.solver.solve_limited(&[]) == lbool::TRUE {
                        Stage::Best
                    } else {
                        Stage::GaveUp
                    };
                }
                answer if answer == lbool::FALSE => {
                    let core = self.core(&beliefs);
                    if core.is_empty() {
                        return Stage::GaveUp;
                    }
                    self.relax(&core, &mut chains, &mut beliefs);
                }
                _ => return Stage::GaveUp,
            }
        }
    }

    /// One chain for each group of candidates that exclude each other.
    fn costs(&mut self, cost: impl Fn(CandidateId) -> u64) -> Vec<Chain> {
        let mut chains = Vec::new();
        for group in std::mem::take(&mut self.groups) {
            let costs: Vec<_> =
                group.iter().map(|&id| (cost(id), self.formula_vars[&id])).collect();
            let mut values: Vec<_> =
                costs.iter().map(|&(cost, _)| cost).filter(|&cost| cost > 0).collect();
            values.sort_unstable();
            values.dedup();
            let mut steps = Vec::new();
            let mut before: Option<(Lit, u64)> = None;
            for value in values {
                let literal = self.fresh();
                if let Some((lower, _)) = before {
                    self.add(&[!literal, lower]);
                }
                for &(_, var) in costs.iter().filter(|&&(cost, _)| cost == value) {
                    self.add(&[Lit::new(var, false), literal]);
                }
                steps.push((literal, value - before.map_or(0, |(_, value)| value)));
                before = Some((literal, value));
            }
            if !steps.is_empty() {
                chains.push(Chain::Steps(steps.into_iter()));
            }
            self.groups.push(group);
        }
        chains
    }

    /// One chain for each disjunction: each alternative that is passed over costs.
    fn alternatives(&mut self) -> Vec<Chain> {
        let choices = std::mem::take(&mut self.choices);
        self.passed_over(choices)
    }

    /// The same for each set that spans buckets.
    fn spans(&mut self) -> Vec<Chain> {
        let spans = std::mem::take(&mut self.spans);
        self.passed_over(spans)
    }

    fn passed_over(&mut self, choices: Vec<(Lit, Vec<Lit>)>) -> Vec<Chain> {
        let mut chains = Vec::new();
        for (holds, parts) in choices {
            let mut steps = Vec::new();
            let mut passed = holds;
            for &part in parts.iter().rev().skip(1).rev() {
                let literal = self.fresh();
                self.add(&[!passed, part, literal]);
                if passed != holds {
                    self.add(&[!literal, passed]);
                }
                steps.push((literal, 1));
                passed = literal;
            }
            if !steps.is_empty() {
                chains.push(Chain::Steps(steps.into_iter()));
            }
        }
        chains
    }

    /// Assumes the next link of a chain. Links that are false anyway end it; those that are true
    /// anyway are paid without asking.
    fn advance(
        &mut self,
        chains: &mut [Chain],
        chain: usize,
        beliefs: &mut FxHashMap<Var, Belief>,
    ) {
        loop {
            let link = match &mut chains[chain] {
                Chain::Steps(steps) => steps.next(),
                Chain::Counter { totalizer, next, weight } => {
                    let (count, weight) = (*next, *weight);
                    *next += 1;
                    totalizer.at_least(count, &mut self.solver).map(|literal| (literal, weight))
                }
            };
            let Some((literal, weight)) = link else { return };
            if self.solver.value_lvl_0(literal) != lbool::TRUE {
                beliefs.insert(literal.var(), Belief { weight, chain });
                return;
            }
        }
    }

    /// Assumptions that cannot hold together, made smaller while that is cheap.
    fn core(&mut self, beliefs: &FxHashMap<Var, Belief>) -> Vec<Var> {
        const ROUNDS: usize = 3;
        let read = |solver: &Solver<Bound>| {
            let mut core: Vec<_> = solver
                .unsat_core()
                .iter()
                .map(Lit::var)
                .filter(|var| beliefs.contains_key(var))
                .collect();
            core.sort_unstable();
            core
        };
        let mut core = read(&self.solver);
        for _ in 0..ROUNDS {
            if core.len() < 2 {
                break;
            }
            let assumptions: Vec<_> = core.iter().rev().map(|&var| Lit::new(var, false)).collect();
            if self.solver.solve_limited(&assumptions) != lbool::FALSE {
                break;
            }
            let smaller = read(&self.solver);
            if smaller.len() >= core.len() {
                break;
            }
            core = smaller;
        }
        core
    }

    /// Gives up a core: pays the smallest weight in it, and believes instead that no second of its
    /// literals holds.
    fn relax(
        &mut self,
        core: &[Var],
        chains: &mut Vec<Chain>,
        beliefs: &mut FxHashMap<Var, Belief>,
    ) {
        let Some(paid) = core.iter().map(|var| beliefs[var].weight).min() else { return };
        let literals: Vec<_> = core.iter().map(|&var| Lit::new(var, true)).collect();
        self.add(&literals);
        for var in core {
            if let Some(belief) = beliefs.get_mut(var) {
                belief.weight -= paid;
                if belief.weight == 0 {
                    let chain = belief.chain;
                    beliefs.remove(var);
                    self.advance(chains, chain, beliefs);
                }
            }
        }
        if literals.len() > 1 {
            let totalizer = Totalizer::new(&literals);
            chains.push(Chain::Counter { totalizer, next: 2, weight: paid });
            let newest = chains.len() - 1;
            self.advance(chains, newest, beliefs);
        }
    }
}
