//! Any bytes as what a plugin states of a small universe: it is loaded or refused, and solved.
//!
//! Every answer verifies. Where the universe is small enough to try every choice, an answer is found
//! exactly where one verifies, and what is called the best has none better.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::collections::HashSet;
use x2nix_model::{Ask, CandidateId, LoadError, Universe, load};
use x2nix_protocol::{
    Candidate, ClassId, Conflict, Criterion, Dictionary, FactsAnswer, FactsRequest, Granularity,
    Leaf, Mark, Measure, Members, MembersAnswer, MembersRequest, NameEntry, NameId, NameKind, Need,
    OpenAnswer, PackageFacts, PluginResult, Requirement, Role, Scope, SetEntry, SetId,
};
use x2nix_solve::{Outcome, Preference, score, solve, suggest, verify, why_not};

/// The most names, and the most versions of one.
const NAMES: u32 = 6;
const VERSIONS: u32 = 4;
/// Most universes have fewer candidates than these: every choice among them can be tried.
const TRIED: usize = 8;

/// Bytes, one after the other; after the last, zeros.
struct Bytes<'b>(std::slice::Iter<'b, u8>);

impl Bytes<'_> {
    fn next(&mut self) -> u32 {
        self.0.next().copied().unwrap_or_default().into()
    }

    /// A number below a bound, or rarely the bound itself: what was never announced.
    fn number(&mut self, bound: u32) -> u32 {
        match self.next() {
            255 => bound,
            byte => byte % bound.max(1),
        }
    }

    /// Mostly none, and at most so many.
    fn few(&mut self, most: u32) -> u32 {
        (self.next() % (most + 3)).saturating_sub(2)
    }

    /// True once in so many.
    fn rarely(&mut self, once_in: u32) -> bool {
        self.next() % once_in == once_in - 1
    }
}

/// A plugin that makes up what it states, and remembers its sets to say which versions are in them.
struct Teller<'b> {
    bytes: Bytes<'b>,
    counts: Vec<u32>,
    classes: u32,
    /// Of each set: its name, and its versions as bits.
    sets: Vec<(u32, u32)>,
    /// How many of them are announced.
    announced: usize,
}

impl Teller<'_> {
    fn open(&mut self) -> OpenAnswer {
        let count = 1 + self.bytes.next() % NAMES;
        let mut names = Vec::new();
        for number in 0..count {
            let kind = match self.bytes.next() % 8 {
                6 => NameKind::Virtual,
                7 => NameKind::Variable,
                _ => NameKind::Package,
            };
            names.push(NameEntry { text: format!("n{number}"), kind, ..NameEntry::default() });
            self.counts.push(self.bytes.next() % (VERSIONS + 1));
        }
        self.classes = self.bytes.next() % 3;
        let mut roots = Vec::new();
        for _ in 0..=self.bytes.next() % 3 {
            let optional = self.bytes.rarely(16);
            roots.push(Requirement { optional, ..Requirement::new(self.need(0)) });
        }
        let classes = (0..self.classes).map(|class| format!("class {class}")).collect();
        let dictionary = Dictionary { names, classes, ..self.news() };
        OpenAnswer { dictionary, roots, ..OpenAnswer::default() }
    }

    /// The sets that came up since the last news.
    fn news(&mut self) -> Dictionary {
        let sets = self.sets[self.announced..].iter().map(|&(name, bits)| SetEntry {
            name: NameId(name),
            text: format!("in {bits:04b}"),
        });
        let sets = sets.collect();
        self.announced = self.sets.len();
        Dictionary { sets, ..Dictionary::default() }
    }

    fn set(&mut self) -> SetId {
        if !self.sets.is_empty() && self.bytes.rarely(4) {
            return SetId(self.bytes.number(u32::try_from(self.sets.len()).unwrap_or(u32::MAX)));
        }
        let name = self.bytes.number(u32::try_from(self.counts.len()).unwrap_or(u32::MAX));
        let bits = self.bytes.next();
        // Often all versions, as in most dependencies.
        self.sets.push((name, if bits & 16 == 0 { 15 } else { bits & 15 }));
        SetId(u32::try_from(self.sets.len() - 1).unwrap_or(u32::MAX))
    }

    fn need(&mut self, depth: u32) -> Need {
        let shape = self.bytes.next() % 8;
        if depth == 3 || shape < 4 {
            return match shape {
                3 => {
                    let role = if self.bytes.rarely(2) { Role::Build } else { Role::Host };
                    let post = self.bytes.rarely(2);
                    Need::Leaf(Leaf { set: self.set(), role, post, features: Vec::new() })
                }
                _ => Need::Set(self.set()),
            };
        }
        let parts = (0..self.bytes.next() % 4).map(|_| self.need(depth + 1)).collect();
        if shape == 7 { Need::All { all: parts } } else { Need::Any { any: parts } }
    }

    fn candidate(&mut self, version: u32) -> Candidate {
        let mut marks = Vec::new();
        if self.bytes.rarely(4) {
            marks.push(Mark::Avoid);
        }
        if self.bytes.rarely(16) {
            marks.push(Mark::Yanked);
        }
        let mut requires = Vec::new();
        for _ in 0..self.bytes.few(3) {
            let optional = self.bytes.rarely(4);
            requires.push(Requirement { optional, ..Requirement::new(self.need(0)) });
        }
        let conflicts = self.bytes.few(2);
        let classes = if self.classes == 0 { 0 } else { self.bytes.few(2) };
        Candidate {
            version: version.to_string(),
            bucket: (self.bytes.next() % 2).to_string(),
            marks,
            excluded: self.bytes.rarely(16).then(|| "it is out of stock".into()),
            requires,
            conflicts: (0..conflicts).map(|_| Conflict { set: self.set(), line: None }).collect(),
            classes: (0..classes).map(|_| ClassId(self.bytes.number(self.classes))).collect(),
            ..Candidate::default()
        }
    }
}

impl Ask for Teller<'_> {
    fn facts(&mut self, request: &FactsRequest) -> PluginResult<FactsAnswer> {
        let mut packages = Vec::new();
        for &name in &request.names {
            let granularity = match self.bytes.next() % 5 {
                3 => Granularity::Bucket,
                4 => Granularity::Any,
                _ => Granularity::One,
            };
            let count = self.counts[name.index()];
            let candidates = (0..count).map(|at| self.candidate(count - at)).collect();
            packages.push(PackageFacts { name, granularity, candidates, similar: Vec::new() });
        }
        Ok(FactsAnswer { dictionary: self.news(), packages, notes: Vec::new() })
    }

    fn members(&mut self, request: &MembersRequest) -> PluginResult<MembersAnswer> {
        let members = |set: &SetId| {
            let (name, bits) = self.sets[set.index()];
            let all = 0..self.counts[name as usize];
            Members::from_positions(all.filter(|at| bits >> at & 1 == 1))
        };
        let mut sets: Vec<_> = request.sets.iter().map(members).collect();
        if self.bytes.next() == 255
            && let Some(Members(runs)) = sets.last_mut()
        {
            runs.push((self.bytes.next(), self.bytes.next()));
        }
        Ok(MembersAnswer { sets })
    }
}

fn criteria(bytes: &mut Bytes<'_>) -> Vec<Criterion> {
    let criterion = |byte| Criterion {
        measure: [Measure::Avoided, Measure::Lag, Measure::Lead, Measure::Count][byte % 4],
        over: if byte & 4 == 0 { Scope::All } else { Scope::Requested },
    };
    (0..bytes.next() % 6).map(|_| criterion(bytes.next() as usize)).collect()
}

/// How many chosen candidates stand where a kept one could.
fn given_up(universe: &Universe, preference: &Preference<'_>, chosen: &[CandidateId]) -> usize {
    let place = |id: CandidateId| (universe.candidate(id).name, universe.candidate(id).bucket);
    let kept: HashSet<_> = preference.kept.iter().map(|&id| place(id)).collect();
    let given_up = |id: &&CandidateId| !preference.kept.contains(id) && kept.contains(&place(**id));
    chosen.iter().filter(given_up).count()
}

/// All choices that verify, if there are few enough candidates to try them.
fn good_choices(universe: &Universe) -> Option<Vec<Vec<CandidateId>>> {
    let all = (0..).map(CandidateId).take(universe.candidates.len());
    let fits = |id: &CandidateId| {
        let candidate = universe.candidate(*id);
        candidate.reached && candidate.facts.excluded.is_none()
    };
    let all: Vec<_> = all.filter(fits).collect();
    let subset = |bits: u32| {
        let taken = all.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1);
        taken.map(|(_, &id)| id).collect::<Vec<_>>()
    };
    let subsets = || (0..1 << all.len()).map(subset);
    (all.len() <= TRIED).then(|| subsets().filter(|it| verify(universe, it).is_ok()).collect())
}

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = Bytes(bytes.iter());
    let criteria = criteria(&mut bytes);
    let keep = bytes.next() | bytes.next() << 8;
    let mut teller =
        Teller { bytes, counts: Vec::new(), classes: 0, sets: Vec::new(), announced: 0 };
    let opened = teller.open();
    let mut universe = match load(&mut teller, opened) {
        Ok((universe, _)) => universe,
        Err(LoadError::Protocol(why)) => return assert!(!why.is_empty()),
        Err(LoadError::Plugin(diagnostic)) => panic!("the plugin states all: {diagnostic:?}"),
    };
    let all = (0..).map(CandidateId).take(universe.candidates.len());
    // Every fourth of the kept, or thereabouts: bits of a number that need not fit.
    let kept = all.clone().filter(|id| keep.rotate_left(id.0 * 3) & 3 == 3);
    let kept = kept.filter(|&id| universe.candidate(id).reached).collect();
    let preference = Preference { criteria: &criteria, kept, ..Preference::default() };
    universe.withdraw(|id| preference.kept.contains(&id));

    let outcome = solve(&universe, &preference).expect("the verifier accepts the answer");
    let good = good_choices(&universe);
    match outcome {
        Outcome::Solved(answer) => {
            assert_eq!(verify(&universe, &answer.chosen), Ok(()));
            assert_eq!(answer.score, score(&universe, &answer.chosen, &criteria));
            let cost = |chosen: &[CandidateId]| {
                (given_up(&universe, &preference, chosen), score(&universe, chosen, &criteria))
            };
            let best = good.iter().flatten().map(|chosen| cost(chosen)).min();
            if let Some(best) = best {
                assert!(answer.optimal, "{:?} is not proved", answer.chosen);
                assert_eq!(cost(&answer.chosen), best, "{:?}", answer.chosen);
            }
            for id in all.filter(|&id| universe.candidate(id).reached) {
                why_not(&universe, &answer.chosen, id);
            }
        }
        Outcome::Unsolvable(explanation) => {
            assert!(!explanation.reasons.is_empty(), "no reason is given");
            assert_eq!(good.iter().flatten().next(), None, "there is an answer");
            suggest(&universe, &preference, &explanation);
        }
    }
});
