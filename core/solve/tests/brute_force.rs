//! The solver and the verifier against brute force, on small universes that are made up.
//!
//! `PROPTEST_CASES` and `PROPTEST_RNG_SEED` are heard: the first counts in units of ten cases, the
//! second is fixed where it is not given, so that a run can be repeated.
#![allow(clippy::expect_used, missing_docs)]

mod support;

use proptest::{
    prelude::*,
    test_runner::{Config, RngSeed},
};
use std::collections::BTreeSet;
use support::{
    brute::{self, Choice},
    facts,
    small::{Small, small},
};
use x2nix_model::{CandidateId, Universe};
use x2nix_protocol::{Criterion, Measure, Scope};
use x2nix_solve::{Answer, Explanation, Outcome, Preference, solve, verify};

const CRITERIA: &[Criterion] = &[
    Criterion { measure: Measure::Avoided, over: Scope::All },
    Criterion { measure: Measure::Lag, over: Scope::All },
    Criterion { measure: Measure::Count, over: Scope::All },
];

/// The order in which names are announced where it does not matter.
const ORDER: [usize; 5] = [0, 1, 2, 3, 4];

fn config() -> Config {
    let given = Config::default();
    let rng_seed = match given.rng_seed {
        RngSeed::Random => RngSeed::Fixed(2026),
        fixed @ RngSeed::Fixed(_) => fixed,
    };
    Config { cases: given.cases * 10, rng_seed, failure_persistence: None, ..given }
}

fn outcome(universe: &Universe) -> Result<Answer, Explanation> {
    let preference = Preference { criteria: CRITERIA, ..Preference::default() };
    match solve(universe, &preference).expect("the verifier accepts what the solver says") {
        Outcome::Solved(answer) => Ok(answer),
        Outcome::Unsolvable(explanation) => Err(explanation),
    }
}

/// An answer as plain data.
fn choice(small: &Small, universe: &Universe, order: &[usize], chosen: &[CandidateId]) -> Choice {
    let mut choice = vec![0; small.names.len()];
    for &id in chosen {
        let name = universe.candidate(id).name;
        let position = id.0 - universe.name(name).candidates.start;
        choice[order[name.index()]] |= 1 << position;
    }
    choice
}

/// Plain data as an answer, where the universe was told of all of it.
fn answer(small: &Small, universe: &Universe, choice: &Choice) -> Option<Vec<CandidateId>> {
    let mut chosen = Vec::new();
    for (name, bits) in choice.iter().enumerate() {
        for position in (0..small.names[name].versions.len()).filter(|at| bits >> at & 1 == 1) {
            if !universe.names[name].loaded {
                return None;
            }
            chosen.push(facts::candidate(universe, &ORDER, name, position));
        }
    }
    chosen.sort_unstable();
    Some(chosen)
}

/// Name and version of everything chosen.
fn texts(universe: &Universe, answer: &Answer) -> BTreeSet<String> {
    answer.chosen.iter().map(|&id| universe.candidate_text(id)).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_answer_is_found_exactly_where_there_is_one(small in small()) {
        let universe = facts::universe(&small, &ORDER);
        let fits = |small: &Small| {
            brute::choices(small).iter().any(|choice| brute::holds_together(small, choice))
        };
        match outcome(&universe) {
            Ok(answer) => {
                let choice = choice(&small, &universe, &ORDER, &answer.chosen);
                prop_assert!(brute::holds_together(&small, &choice), "{choice:?} does not hold");
                prop_assert!(brute::wanted(&small, &choice), "{choice:?} has something unneeded");
            }
            Err(explanation) => {
                prop_assert!(!fits(&small), "there is an answer");
                prop_assert!(!explanation.reasons.is_empty(), "no reason is given");
                for (position, root) in universe.roots.iter().enumerate() {
                    let text = format!(
                        "without {} the rest has an answer",
                        universe.need_text(&root.need)
                    );
                    if explanation.suggestions.iter().any(|suggestion| suggestion.text == text) {
                        let mut rest = small.clone();
                        rest.roots.remove(position);
                        prop_assert!(fits(&rest), "{text}: no");
                    }
                }
            }
        }
    }

    #[test]
    fn the_verifier_agrees_with_brute_force(
        small in small(),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 8),
    ) {
        let universe = facts::universe(&small, &ORDER);
        let choices = brute::choices(&small);
        let good: Vec<_> =
            choices.iter().filter(|choice| brute::holds_together(&small, choice)).collect();
        for pick in &picks {
            let mut tried = vec![&choices[pick.index(choices.len())]];
            if !good.is_empty() {
                tried.push(good[pick.index(good.len())]);
            }
            for choice in tried {
                let holds = brute::holds_together(&small, choice) && brute::wanted(&small, choice);
                match answer(&small, &universe, choice) {
                    Some(chosen) => prop_assert_eq!(
                        verify(&universe, &chosen).is_ok(), holds,
                        "{:?}: {:?}", choice, verify(&universe, &chosen)
                    ),
                    None => prop_assert!(!holds, "{choice:?} was never asked for"),
                }
            }
        }
    }

    #[test]
    fn the_same_question_has_the_same_answer(
        small in small(),
        order in Just(ORDER.to_vec()).prop_shuffle(),
    ) {
        let universe = facts::universe(&small, &ORDER);
        let first = outcome(&universe);
        prop_assert_eq!(&outcome(&facts::universe(&small, &ORDER)), &first);
        let other = facts::universe(&small, &order);
        match (first, outcome(&other)) {
            (Ok(first), Ok(second)) => {
                prop_assert_eq!(texts(&universe, &first), texts(&other, &second));
                prop_assert_eq!(first.score, second.score);
            }
            (Err(_), Err(_)) => {}
            (first, second) => prop_assert!(false, "{first:?}, but {second:?}"),
        }
    }
}
