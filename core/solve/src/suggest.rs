//! What would help where there is no answer: changes that were tried, one at a time.
//!
//! Only what the minimal set of facts names can help, so only that is tried: leaving out a root, or
//! dropping a bound or a conflict of a package. Each trial changes a copy of the universe and solves
//! it anew, cycles included; what has no answer is not suggested. A bound is dropped within what was
//! loaded: versions that something else leads to. That is sound, for all that they need was loaded
//! with them.
//!
//! Changes of the request that only the plugin can read (another bound, name, platform) are tried by
//! whoever can ask it: `x2nix_core`.

use crate::{
    Preference,
    cycle::cycles,
    encode::{Encoding, Verdict},
    explain::{Explanation, Fact, words},
    prune::prune,
    verify::verify,
};
use rustc_hash::FxHashSet;
use x2nix_model::{CandidateId, Universe, VersionSet};
use x2nix_protocol::{NameId, Need, Origin, SetId};

/// What kind of change is suggested; the one to try first comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SuggestionKind {
    /// Another name for one that does not exist.
    Name,
    /// A root without its bound.
    RootBound,
    /// A bound of the user's own package.
    OwnBound,
    /// A variable of the environment.
    Environment,
    /// Another platform.
    Platform,
    /// A root less, of several that exclude each other.
    Choose,
    /// A bound of somebody else's package: needs a repository of one's own.
    Overlay,
    /// A root less, and the rest has an answer.
    LeaveOut,
}

/// Something that would help; it was verified by solving again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// The kind.
    pub kind: SuggestionKind,
    /// What to do: a sentence without a full stop.
    pub text: String,
}

/// More would be no help.
pub const SUGGESTIONS: usize = 3;

/// What of the request, or of the packages' own words, could go so that there is an answer.
pub fn suggest(
    universe: &Universe,
    preference: &Preference<'_>,
    explanation: &Explanation,
) -> Vec<Suggestion> {
    let mut found = drop_roots(universe, preference, explanation);
    found.extend(drop_bounds(universe, preference, explanation));
    found.sort_by_key(|suggestion| suggestion.kind);
    found.truncate(SUGGESTIONS);
    found
}

/// An answer, if there is one: verified, but not the best.
pub fn feasible(universe: &Universe, preference: &Preference<'_>) -> Option<Vec<CandidateId>> {
    const ROUNDS: usize = 50;
    let mut forbidden = Vec::new();
    for _ in 0..ROUNDS {
        let encoding = Encoding::new(universe, preference, &forbidden, &universe.roots);
        let Verdict::Solved(chosen) = encoding.solve() else { return None };
        let chosen = prune(universe, &chosen, preference.criteria);
        let found = cycles(universe, &chosen);
        if found.is_empty() {
            return verify(universe, &chosen).is_ok().then_some(chosen);
        }
        forbidden.extend(found);
    }
    None
}

/// An answer in which all is known: what is not counts as needing nothing, so another one may be none.
fn known_answer(universe: &Universe, preference: &Preference<'_>) -> Option<Vec<CandidateId>> {
    let known = |chosen: &Vec<CandidateId>| chosen.iter().all(|&id| universe.candidate(id).known);
    feasible(universe, preference).filter(known)
}

fn place(origin: Option<&Origin>) -> String {
    origin.map(|origin| format!(" ({origin})")).unwrap_or_default()
}

/// Some chosen packages of some names, as an example of what an answer is like.
fn example(universe: &Universe, chosen: &[CandidateId], names: &[NameId]) -> Option<String> {
    const SHOWN: usize = 2;
    let named = chosen.iter().filter(|&&id| names.contains(&universe.candidate(id).name));
    let texts: Vec<_> = named.take(SHOWN).map(|&id| universe.candidate_text(id)).collect();
    (!texts.is_empty()).then(|| words::list(&texts, "and"))
}

/// Which one of the user's requirements could be left out.
fn drop_roots(
    universe: &Universe,
    preference: &Preference<'_>,
    explanation: &Explanation,
) -> Vec<Suggestion> {
    const TRIED: usize = 6;
    let mut found = Vec::new();
    if universe.roots.len() < 2 {
        return found;
    }
    let roots = explanation.facts.iter().filter_map(|fact| match fact {
        Fact::Root(position) => Some(*position),
        _ => None,
    });
    let roots: Vec<_> = roots.collect();
    let requested = crate::criteria::requested(universe);
    let mut names: Vec<NameId> = explanation
        .facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::Class(owners, _) => Some(universe.candidate(*owners.first()?).name),
            _ => None,
        })
        .filter(|name| !requested.contains(name))
        .collect();
    names.dedup();
    let mut rest = universe.reduced();
    // The user's first words are the least likely to be the ones that he can do without.
    for &position in roots.iter().rev().take(TRIED) {
        let root = rest.roots.remove(position);
        if let Some(chosen) = known_answer(&rest, preference) {
            let what = match &root.origin {
                // A flag says all.
                Some(origin) if origin.file.starts_with("--") => origin.file.clone(),
                origin => format!("{}{}", universe.need_text(&root.need), place(origin.as_ref())),
            };
            let with = example(universe, &chosen, &names)
                .map(|with| format!(", for example with {with}"))
                .unwrap_or_default();
            let kind = match roots.len() {
                1 => SuggestionKind::LeaveOut,
                _ => SuggestionKind::Choose,
            };
            let text = format!("leave out {what}: the rest has an answer{with}");
            found.push(Suggestion { kind, text });
        }
        rest.roots.insert(position, root);
    }
    found
}

/// Which bound or conflict of a package could be dropped.
fn drop_bounds(
    universe: &Universe,
    preference: &Preference<'_>,
    explanation: &Explanation,
) -> Vec<Suggestion> {
    /// Each costs a solve.
    const TRIED: usize = 8;
    /// It is much to ask for, so it is not suggested in every variant.
    const OVERLAYS: usize = 2;
    let own_files: FxHashSet<&str> = universe
        .roots
        .iter()
        .filter_map(|root| root.origin.as_ref().map(|origin| origin.file.as_str()))
        .collect();
    let mut trials: Vec<_> = explanation
        .facts
        .iter()
        .filter_map(|fact| Trial::new(universe, fact, &own_files))
        .collect();
    trials.sort_by_key(|trial| (!trial.own, trial.owners.len()));
    let mut found = Vec::new();
    if trials.is_empty() {
        return found;
    }
    let mut changed = universe.reduced();
    let mut overlays = 0;
    for trial in trials.into_iter().take(TRIED) {
        if !trial.own && overlays == OVERLAYS {
            continue;
        }
        let (requirements, conflicts): (Vec<_>, Vec<_>) = trial
            .owners
            .iter()
            .map(|&id| {
                let facts = &mut changed.candidates[id.index()].facts;
                (facts.requires.clone(), facts.conflicts.clone())
            })
            .unzip();
        trial.apply(&mut changed);
        let answer = known_answer(&changed, preference);
        for ((&id, requires), conflicts) in trial.owners.iter().zip(requirements).zip(conflicts) {
            let facts = &mut changed.candidates[id.index()].facts;
            (facts.requires, facts.conflicts) = (requires, conflicts);
        }
        if let Some(suggestion) = answer.and_then(|chosen| trial.suggestion(universe, &chosen)) {
            overlays += usize::from(!trial.own);
            found.push(suggestion);
        }
    }
    found
}

/// What is dropped.
enum Dropped<'e> {
    Bounds(&'e Need),
    Conflict(SetId),
}

/// A bound or conflict that may be dropped.
struct Trial<'e> {
    owners: Vec<CandidateId>,
    dropped: Dropped<'e>,
    /// The names whose bounds or versions are let in.
    names: Vec<NameId>,
    /// Whether it stands in a file of the user's own.
    own: bool,
    origin: Option<Origin>,
}

impl<'e> Trial<'e> {
    fn new(universe: &Universe, fact: &'e Fact, own_files: &FxHashSet<&str>) -> Option<Self> {
        let (owners, dropped, names, origin) = match fact {
            Fact::Requires(owners, need) => {
                let newest = *owners.first()?;
                let leaves = words::leaves(universe, &[need]);
                let bound =
                    |sets: &[SetId]| sets.iter().any(|&set| !universe.set(set).text.is_empty());
                // Nobody wrote a feature as a package of its own.
                let package = |name: NameId| {
                    universe.name(name).feature_of.as_ref().map_or(name, |feature| feature.name)
                };
                let mut names = Vec::new();
                for (name, _) in leaves.into_iter().filter(|(_, sets)| bound(sets)) {
                    if !names.contains(&package(name)) {
                        names.push(package(name));
                    }
                }
                let requires = &universe.candidate(newest).facts.requires;
                let requirement = requires.iter().find(|other| other.need == *need)?;
                let origin = universe.requirement_origin(Some(newest), requirement);
                (owners, Dropped::Bounds(need), names, origin)
            }
            Fact::Conflict(owners, set) => {
                let newest = *owners.first()?;
                let conflicts = &universe.candidate(newest).facts.conflicts;
                let conflict = conflicts.iter().find(|conflict| conflict.set == *set)?;
                let origin = universe.fact_origin(newest, conflict.line);
                (owners, Dropped::Conflict(*set), vec![universe.set(*set).name], origin)
            }
            _ => return None,
        };
        if names.is_empty() {
            return None;
        }
        let file = universe.candidate(owners[0]).facts.file.as_deref();
        let own = file.is_some_and(|file| own_files.contains(file));
        Some(Self { owners: owners.clone(), dropped, names, own, origin })
    }

    fn apply(&self, universe: &mut Universe) {
        match self.dropped {
            Dropped::Bounds(need) => {
                let free = without_bounds(universe, need);
                for &id in &self.owners {
                    let requires = &mut universe.candidates[id.index()].facts.requires;
                    for requirement in requires.iter_mut().filter(|other| other.need == *need) {
                        requirement.need = free.clone();
                    }
                }
            }
            Dropped::Conflict(set) => {
                for &id in &self.owners {
                    let conflicts = &mut universe.candidates[id.index()].facts.conflicts;
                    conflicts.retain(|conflict| conflict.set != set);
                }
            }
        }
    }

    fn suggestion(&self, universe: &Universe, chosen: &[CandidateId]) -> Option<Suggestion> {
        let fits = example(universe, chosen, &self.names)?;
        let owner = universe.candidate(self.owners[0]);
        let owners = format!(
            "{} {}",
            universe.name_text(owner.name),
            words::versions(universe, &self.owners, false)
        );
        let place = place(self.origin.as_ref());
        let names: Vec<_> = self.names.iter().map(|&name| universe.name_text(name)).collect();
        let names = words::list(&names, "or");
        let change = match self.dropped {
            Dropped::Bounds(_) => format!("let {owners} take any {names}{place}"),
            Dropped::Conflict(set) => {
                format!("drop the conflict of {owners} with {}{place}", universe.set_text(set))
            }
        };
        let (kind, how) = if self.own {
            (SuggestionKind::OwnBound, "")
        } else {
            (SuggestionKind::Overlay, " in a repository of your own")
        };
        Some(Suggestion { kind, text: format!("{change}{how}: then {fits} would do") })
    }
}

/// A formula over the same names, with every version that was reached.
fn without_bounds(universe: &mut Universe, need: &Need) -> Need {
    match need {
        Need::Set(set) => Need::Set(all_versions(universe, *set)),
        Need::Leaf(leaf) => {
            let set = all_versions(universe, leaf.set);
            Need::Leaf(x2nix_protocol::Leaf { set, ..leaf.clone() })
        }
        Need::All { all } => {
            Need::All { all: all.iter().map(|part| without_bounds(universe, part)).collect() }
        }
        Need::Any { any } => {
            Need::Any { any: any.iter().map(|part| without_bounds(universe, part)).collect() }
        }
    }
}

fn all_versions(universe: &mut Universe, set: SetId) -> SetId {
    let name = universe.set(set).name;
    let members =
        universe.candidates_of(name).filter(|&id| universe.candidate(id).reached).collect();
    let id = SetId(u32::try_from(universe.sets.len()).unwrap_or(u32::MAX));
    universe.sets.push(VersionSet { name, text: String::new(), members, known: true });
    id
}
