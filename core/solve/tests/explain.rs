//! Explanations against brute force, on small universes that are made up: the facts that are told
//! exclude each other, none of them could be left out, and what is suggested helps.
#![allow(clippy::expect_used, missing_docs)]

#[allow(dead_code)] // another test has use for the rest
mod support;

use proptest::{
    prelude::*,
    test_runner::{Config, RngSeed},
};
use support::{
    brute, facts,
    small::{Small, small},
};
use x2nix_model::{CandidateId, Universe};
use x2nix_protocol::Need;
use x2nix_solve::{Fact, Outcome, Preference, solve, suggest};

const ORDER: [usize; 5] = [0, 1, 2, 3, 4];

/// Some candidates, as bits by number.
type Choice = u32;

fn bits<'c>(ids: impl IntoIterator<Item = &'c CandidateId>) -> Choice {
    ids.into_iter().fold(0, |bits, id| bits | 1 << id.0)
}

fn holds(universe: &Universe, need: &Need, choice: Choice) -> bool {
    match need {
        Need::Set(set) => bits(&universe.set(*set).members) & choice != 0,
        Need::Leaf(leaf) => bits(&universe.set(leaf.set).members) & choice != 0,
        Need::All { all } => all.iter().all(|part| holds(universe, part, choice)),
        Need::Any { any } => any.iter().any(|part| holds(universe, part, choice)),
    }
}

/// Whether a choice is as some facts say.
fn fits(universe: &Universe, facts: &[&Fact], choice: Choice) -> bool {
    let mut classes = Vec::new();
    facts.iter().all(|fact| match fact {
        Fact::Root(position) => holds(universe, &universe.roots[*position].need, choice),
        Fact::Excluded(owners) => bits(owners) & choice == 0,
        Fact::Requires(owners, need) => bits(owners) & choice == 0 || holds(universe, need, choice),
        Fact::Conflict(owners, set) => {
            bits(owners) & choice == 0 || bits(&universe.set(*set).members) & choice == 0
        }
        Fact::Class(owners, class) => {
            let first = bits(owners) & choice == 0 || !classes.contains(class);
            classes.extend((bits(owners) & choice != 0).then_some(*class));
            first
        }
        Fact::OneVersion(name) => {
            let chosen = universe.candidates_of(*name).filter(|id| choice >> id.0 & 1 == 1);
            let mut buckets: Vec<_> = chosen.map(|id| universe.candidate(id).bucket).collect();
            let count = buckets.len();
            buckets.sort_unstable();
            buckets.dedup();
            count == buckets.len()
        }
        Fact::Cycle(members) => bits(members) & choice != bits(members),
    })
}

/// Whether anything is as some facts say.
fn possible(universe: &Universe, facts: &[&Fact]) -> bool {
    (0..1 << universe.candidates.len()).any(|choice| fits(universe, facts, choice))
}

/// Whether the universe states a fact.
fn stated(universe: &Universe, fact: &Fact) -> bool {
    let all = |owners: &[CandidateId], says: &dyn Fn(CandidateId) -> bool| {
        let name = owners.first().map(|&id| universe.candidate(id).name);
        owners.iter().all(|&id| Some(universe.candidate(id).name) == name && says(id))
    };
    let facts = |id: CandidateId| &universe.candidate(id).facts;
    match fact {
        Fact::Root(position) => *position < universe.roots.len(),
        Fact::Excluded(owners) => all(owners, &|id| facts(id).excluded.is_some()),
        Fact::Requires(owners, need) => all(owners, &|id| {
            facts(id).requires.iter().any(|other| !other.optional && other.need == *need)
        }),
        Fact::Conflict(owners, set) => {
            all(owners, &|id| facts(id).conflicts.iter().any(|conflict| conflict.set == *set))
        }
        Fact::Class(owners, class) => all(owners, &|id| facts(id).classes.contains(class)),
        Fact::OneVersion(_) | Fact::Cycle(_) => true,
    }
}

fn solvable(small: &Small) -> bool {
    brute::choices(small).iter().any(|choice| brute::holds_together(small, choice))
}

proptest! {
    #![proptest_config(Config {
        cases: 1_000,
        rng_seed: RngSeed::Fixed(2026),
        failure_persistence: None,
        ..Config::default()
    })]

    #[test]
    fn the_facts_exclude_each_other_and_none_is_superfluous(small in small()) {
        let universe = facts::universe(&small, &ORDER);
        let preference = Preference::default();
        let outcome = solve(&universe, &preference).expect("the verifier accepts the answer");
        let Outcome::Unsolvable(explanation) = outcome else { return Ok(()) };
        let facts: Vec<&Fact> = explanation.facts.iter().collect();
        for fact in &facts {
            prop_assert!(stated(&universe, fact), "nobody says {fact:?}");
        }
        prop_assert!(!possible(&universe, &facts), "{facts:#?} do not exclude each other");
        for left_out in 0..facts.len() {
            let mut rest = facts.clone();
            let fact = rest.remove(left_out);
            prop_assert!(possible(&universe, &rest), "{fact:?} is superfluous in {facts:#?}");
        }
        prop_assert!(!explanation.reasons.is_empty(), "nothing is told");

        let suggestions = suggest(&universe, &preference, &explanation);
        for (position, root) in universe.roots.iter().enumerate() {
            let text = format!("leave out {}: ", universe.need_text(&root.need));
            let suggested = suggestions.iter().any(|other| other.text.starts_with(&text));
            let mut rest = small.clone();
            rest.roots.remove(position);
            prop_assert!(!suggested || solvable(&rest), "{text} no");
        }
    }
}
