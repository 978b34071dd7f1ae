//! The solver and the verifier against brute force, on small universes that are made up.
//!
//! A run can be repeated: the seed is fixed. `PROPTEST_CASES` and `PROPTEST_RNG_SEED` change how many
//! cases are tried, and which.
#![allow(clippy::expect_used, missing_docs)]

mod support;

use proptest::{
    prelude::*,
    test_runner::{Config, RngSeed},
};
use support::{
    brute::{self, Choice},
    facts,
    small::{Small, small},
};
use x2nix_model::{CandidateId, Universe};
use x2nix_protocol::{Criterion, Measure, Scope};
use x2nix_solve::{Answer, Explanation, Outcome, Preference, solve, verify};

/// Some policies.
const POLICIES: [&[Criterion]; 3] = [
    &[
        Criterion::new(Measure::Avoided, Scope::Requested),
        Criterion::new(Measure::Avoided, Scope::All),
        Criterion::new(Measure::Lag, Scope::Requested),
        Criterion::new(Measure::Lag, Scope::All),
        Criterion::new(Measure::Count, Scope::All),
    ],
    &[Criterion::new(Measure::Lead, Scope::All), Criterion::new(Measure::Avoided, Scope::All)],
    &[Criterion::new(Measure::Count, Scope::All)],
];

/// The order in which names are announced where it does not matter.
const ORDER: [usize; 5] = [0, 1, 2, 3, 4];

fn config() -> Config {
    let rng_seed = RngSeed::Fixed(2026);
    Config { cases: 2_000, rng_seed, failure_persistence: None, ..Config::default() }
}

fn outcome(universe: &Universe) -> Result<Answer, Explanation> {
    outcome_of(universe, &Preference { criteria: POLICIES[0], ..Preference::default() })
}

fn outcome_of(universe: &Universe, preference: &Preference<'_>) -> Result<Answer, Explanation> {
    match solve(universe, preference).expect("the verifier accepts what the solver says") {
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

/// Plain data as candidates, as far as the universe was told of them.
fn told(small: &Small, universe: &Universe, choice: &Choice) -> Vec<CandidateId> {
    let mut told = Vec::new();
    for (name, versions) in small.names.iter().map(|name| name.versions.len()).enumerate() {
        let positions = (0..versions).filter(|at| choice[name] >> at & 1 == 1);
        if universe.names[name].loaded {
            told.extend(positions.map(|at| facts::candidate(universe, &ORDER, name, at)));
        }
    }
    told.sort_unstable();
    told
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
    fn no_answer_is_better(
        small in small(),
        policy in prop::sample::select(POLICIES.to_vec()),
        kept in prop::collection::vec(any::<u8>(), 5),
    ) {
        let universe = facts::universe(&small, &ORDER);
        let kept: Choice = kept
            .iter()
            .zip(&small.names)
            .map(|(bits, name)| bits & bits >> 3 & ((1 << name.versions.len()) - 1))
            .collect();
        let preference = Preference {
            criteria: policy,
            kept: told(&small, &universe, &kept).into_iter().collect(),
            ..Preference::default()
        };
        if let Ok(answer) = outcome_of(&universe, &preference) {
            let chosen = choice(&small, &universe, &ORDER, &answer.chosen);
            let costs = |choice: &Choice| brute::costs(&small, &kept, policy, choice);
            let choices = brute::choices(&small);
            let best =
                choices.iter().filter(|choice| brute::holds_together(&small, choice)).map(costs).min();
            prop_assert_eq!(&costs(&chosen)[1..], &answer.score[..]);
            prop_assert!(answer.optimal, "{chosen:?} is not proved");
            prop_assert_eq!(Some(costs(&chosen)), best);
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
                let chosen = told(&small, &universe, choice);
                let all = choice.iter().map(|bits| bits.count_ones() as usize).sum::<usize>();
                if chosen.len() == all {
                    let found = verify(&universe, &chosen);
                    prop_assert_eq!(found.is_ok(), holds, "{:?}: {:?}", choice, found);
                } else {
                    prop_assert!(!holds, "{choice:?} was never asked for");
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
                prop_assert_eq!(first.score, second.score);
            }
            (Err(_), Err(_)) => {}
            (first, second) => prop_assert!(false, "{first:?}, but {second:?}"),
        }
    }
}
