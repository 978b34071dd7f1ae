//! The story: a minimal set of facts, told from the user's words downwards.
//!
//! The facts of a set are a tree to the reader: what he asked for, what the versions that fit say,
//! what those say that they need, and so on. Each name is told once, where it is nearest to the
//! request. Then comes what makes it a contradiction, since that is the point: which class has only
//! one member, which name only one version, which cycle cannot be built.
//!
//! Only versions that the told requirements lead to are told of. Versions that say the same are one
//! sentence; where each of many versions says its own (`ocaml = 5.2.0`, `ocaml = 5.2.1`, …), that is
//! one sentence too, with an example, and its parts are kept for who wants all.

use super::{
    Part, Reason, ReasonKind,
    words::{self, list},
};
use crate::formula::{Guarded, Key};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::{BTreeMap, VecDeque};
use x2nix_model::{CandidateId, Universe};
use x2nix_protocol::{Granularity, NameId, Need, Origin};

/// Tells some facts.
pub(super) fn tell(
    universe: &Universe,
    facts: &[Guarded<'_>],
    forbidden: &[Vec<CandidateId>],
) -> Vec<Reason> {
    let relevant = relevant(universe, facts);
    let mut said: BTreeMap<NameId, Vec<Fact<'_>>> = BTreeMap::new();
    for fact in facts {
        let mut owners: Vec<_> =
            fact.owners.iter().copied().filter(|id| relevant.contains(id)).collect();
        if owners.is_empty() {
            owners.clone_from(&fact.owners);
        }
        let (Key::Excluded(name, _)
        | Key::Requires(name, _)
        | Key::Conflict(name, _)
        | Key::Class(name, _)) = fact.key
        else {
            continue;
        };
        said.entry(name).or_default().push(Fact { key: fact.key, owners });
    }
    let mut teller = Teller {
        universe,
        depths: depths(universe, facts),
        said,
        told: FxHashSet::default(),
        reasons: Vec::new(),
    };
    for (position, root) in universe.roots.iter().enumerate() {
        let missing = words::missing(universe, &[&root.need]);
        // What does not exist at all is told even if the refusal does not need it: to see one slip
        // after the other is no help.
        let lacking = !missing.is_empty() && matches!(root.need, Need::Set(_) | Need::Leaf(_));
        if lacking || facts.iter().any(|fact| fact.key == Key::Root(position)) {
            let text = format!("you asked for {}{missing}", words::formula(universe, &root.need));
            let origin = universe.requirement_origin(None, root);
            teller.reasons.push(Reason::new(0, ReasonKind::Root, text, origin));
            teller.descend(&[&root.need], 1);
        }
    }
    // Nothing is left to tell but what hangs on a cycle.
    for name in teller.said.keys().copied().collect::<Vec<_>>() {
        teller.name(name, 1);
    }
    teller.conclude(facts, forbidden);
    teller.reasons
}

/// A fact with the owners that are told of.
struct Fact<'u> {
    key: Key<'u>,
    owners: Vec<CandidateId>,
}

/// The candidates that the requirements among some facts lead to.
fn relevant(universe: &Universe, facts: &[Guarded<'_>]) -> FxHashSet<CandidateId> {
    let mut needs: FxHashMap<CandidateId, Vec<&Need>> = FxHashMap::default();
    let mut wanted: Vec<&Need> = Vec::new();
    for fact in facts {
        match fact.key {
            Key::Root(position) => wanted.push(&universe.roots[position].need),
            Key::Requires(_, need) => {
                fact.owners.iter().for_each(|&id| needs.entry(id).or_default().push(need));
            }
            _ => {}
        }
    }
    let mut found = FxHashSet::default();
    while let Some(need) = wanted.pop() {
        Universe::leaves(need, &mut |set, _| {
            for &id in &universe.set(set).members {
                if found.insert(id) {
                    wanted.extend(needs.get(&id).into_iter().flatten());
                }
            }
        });
    }
    found
}

/// How far each name is from the request, by way of the told requirements.
fn depths(universe: &Universe, facts: &[Guarded<'_>]) -> FxHashMap<NameId, usize> {
    let mut depths = FxHashMap::default();
    let mut queue = VecDeque::new();
    let mut visit = |need: &Need, depth: usize, queue: &mut VecDeque<_>| {
        Universe::leaves(need, &mut |set, _| {
            let name = universe.set(set).name;
            depths.entry(name).or_insert_with(|| {
                queue.push_back((name, depth));
                depth
            });
        });
    };
    for fact in facts {
        if let Key::Root(position) = fact.key {
            visit(&universe.roots[position].need, 1, &mut queue);
        }
    }
    while let Some((name, depth)) = queue.pop_front() {
        for fact in facts {
            if let Key::Requires(owner, need) = fact.key
                && owner == name
            {
                visit(need, depth + 1, &mut queue);
            }
        }
    }
    depths
}

/// What versions of one name say in the same shape.
struct Family<'u> {
    kind: ReasonKind,
    shape: Vec<NameId>,
    sayings: Vec<Saying<'u>>,
}

/// What some versions of one name say.
struct Saying<'u> {
    owners: Vec<CandidateId>,
    /// What comes after the subject.
    text: String,
    need: Option<&'u Need>,
    origin: Option<Origin>,
}

struct Teller<'u> {
    universe: &'u Universe,
    depths: FxHashMap<NameId, usize>,
    said: BTreeMap<NameId, Vec<Fact<'u>>>,
    told: FxHashSet<NameId>,
    reasons: Vec<Reason>,
}

impl<'u> Teller<'u> {
    /// Tells the names that formulas mention, as far as it is their turn.
    fn descend(&mut self, needs: &[&Need], depth: usize) {
        for (name, _) in words::leaves(self.universe, needs) {
            if self.depths.get(&name) == Some(&depth) {
                self.name(name, depth);
            }
        }
    }

    /// Tells what versions of a name say.
    fn name(&mut self, name: NameId, depth: usize) {
        if !self.told.insert(name) {
            return;
        }
        let Some(facts) = self.said.remove(&name) else { return };
        let mut first = true;
        for family in self.families(facts) {
            let needs: Vec<_> = family.sayings.iter().filter_map(|saying| saying.need).collect();
            let missing = match family.kind {
                ReasonKind::Requires => words::missing(self.universe, &needs),
                _ => String::new(),
            };
            if family.sayings.len() > 2 {
                let mut reason = self.merged(&family, depth);
                reason.text.push_str(&missing);
                self.reasons.push(reason);
                self.descend(&needs, depth + 1);
            } else {
                for saying in &family.sayings {
                    let (subject, many) = self.subject(&saying.owners, first);
                    let verb = verb(family.kind, many);
                    let needs: Vec<_> = saying.need.into_iter().collect();
                    let missing = match family.kind {
                        ReasonKind::Requires => words::missing(self.universe, &needs),
                        _ => String::new(),
                    };
                    let object = match family.kind {
                        ReasonKind::Requires => words::shortened(&saying.text),
                        _ => saying.text.clone(),
                    };
                    let text = format!("{subject} {verb} {object}{missing}");
                    let mut reason = Reason::new(depth, family.kind, text, saying.origin.clone());
                    reason.parts = vec![self.part(family.kind, saying)];
                    self.reasons.push(reason);
                    self.descend(&needs, depth + 1);
                    first = false;
                }
            }
            first = false;
        }
    }

    fn families(&self, facts: Vec<Fact<'u>>) -> Vec<Family<'u>> {
        let universe = self.universe;
        let mut families: Vec<Family<'u>> = Vec::new();
        for Fact { key, owners } in facts {
            let Some(&newest) = owners.first() else { continue };
            let facts = &universe.candidate(newest).facts;
            let (kind, shape, text, need, origin) = match key {
                Key::Excluded(_, reason) => {
                    let origin = universe.fact_origin(newest, facts.line);
                    (ReasonKind::Excluded, Vec::new(), reason.to_owned(), None, origin)
                }
                Key::Requires(_, need) => {
                    let requirement =
                        facts.requires.iter().find(|requirement| requirement.need == *need);
                    let origin = requirement.and_then(|requirement| {
                        universe.requirement_origin(Some(newest), requirement)
                    });
                    let mut shape = Vec::new();
                    Universe::leaves(need, &mut |set, _| shape.push(universe.set(set).name));
                    shape.dedup();
                    (ReasonKind::Requires, shape, universe.need_text(need), Some(need), origin)
                }
                Key::Conflict(_, set) => {
                    let conflict = facts.conflicts.iter().find(|conflict| conflict.set == set);
                    let origin =
                        conflict.and_then(|conflict| universe.fact_origin(newest, conflict.line));
                    let mut text = universe.set_text(set);
                    let members = &universe.set(set).members;
                    if members.len() > 1
                        && members.len() == universe.candidates_of(universe.set(set).name).count()
                        && !universe.set(set).text.is_empty()
                    {
                        text.push_str(", and that is every version there is");
                    }
                    (ReasonKind::Conflict, vec![universe.set(set).name], text, None, origin)
                }
                Key::Class(_, class) => {
                    let origin = universe.fact_origin(newest, None);
                    let text = format!("class {}", universe.class(class));
                    (ReasonKind::Class, Vec::new(), text, None, origin)
                }
                _ => continue,
            };
            let family =
                families.iter().position(|family| family.kind == kind && family.shape == shape);
            let index = family.unwrap_or_else(|| {
                families.push(Family { kind, shape, sayings: Vec::new() });
                families.len() - 1
            });
            let sayings = &mut families[index].sayings;
            match sayings.iter_mut().find(|saying| saying.text == text) {
                Some(saying) => saying.owners.extend(owners),
                None => sayings.push(Saying { owners, text, need, origin }),
            }
        }
        for family in &mut families {
            for saying in &mut family.sayings {
                saying.owners.sort_unstable();
                saying.owners.dedup();
            }
            family
                .sayings
                .sort_by(|a, b| a.owners.cmp(&b.owners).then_with(|| a.text.cmp(&b.text)));
        }
        families.sort_by_key(|family| {
            let first = &family.sayings[0];
            let line = first.origin.as_ref().and_then(|origin| origin.line);
            (family.kind, line, first.text.clone())
        });
        families
    }

    /// One sentence for what many versions say, each in its own words.
    fn merged(&self, family: &Family<'u>, depth: usize) -> Reason {
        let universe = self.universe;
        let mut owners: Vec<_> =
            family.sayings.iter().flat_map(|saying| saying.owners.iter().copied()).collect();
        owners.sort_unstable();
        owners.dedup();
        let (subject, many) = self.subject(&owners, true);
        let verb = verb(family.kind, many).trim_end_matches(':');
        let first = &family.sayings[0];
        let version = &universe.candidate(first.owners[0]).facts.version;
        // A package with features is named once.
        let of_another = |name: NameId| {
            let feature = universe.name(name).feature_of.as_ref();
            feature.is_some_and(|feature| family.shape.contains(&feature.name))
        };
        let shape = family.shape.iter().filter(|&&name| !of_another(name));
        let names: Vec<_> = shape.map(|&name| universe.name_text(name)).collect();
        let own = |saying: &Saying<'_>| {
            let [name] = names.as_slice() else { return false };
            saying.owners.iter().all(|&id| {
                saying.text == format!("{name} = {}", universe.candidate(id).facts.version)
            })
        };
        let object = match family.kind {
            ReasonKind::Excluded => {
                format!("for reasons of their own ({version}: {})", first.text)
            }
            _ if family.sayings.iter().all(own) => format!("{} of the same version", names[0]),
            _ => format!(
                "{}, each in a range of its own ({version}: {})",
                names.join(" | "),
                words::shortened(&first.text)
            ),
        };
        let text = format!("{subject} {verb} {object}");
        let mut reason = Reason::new(depth, family.kind, text, first.origin.clone());
        reason.parts = family.sayings.iter().map(|saying| self.part(family.kind, saying)).collect();
        reason
    }

    fn part(&self, kind: ReasonKind, saying: &Saying<'_>) -> Part {
        let (subject, many) = self.subject(&saying.owners, false);
        let missing = match (kind, saying.need) {
            (ReasonKind::Requires, Some(need)) => words::missing(self.universe, &[need]),
            _ => String::new(),
        };
        let text = format!("{subject} {} {}{missing}", verb(kind, many), saying.text);
        Part { text, origin: saying.origin.clone() }
    }

    /// Some versions of one name as the subject of a sentence, and whether they are many.
    fn subject(&self, owners: &[CandidateId], whole: bool) -> (String, bool) {
        let name = self.universe.name_text(self.universe.candidate(owners[0]).name);
        let versions = words::versions(self.universe, owners, whole);
        (format!("{name} {versions}"), owners.len() > 1)
    }

    /// Tells what makes the facts a contradiction.
    fn conclude(&mut self, facts: &[Guarded<'_>], forbidden: &[Vec<CandidateId>]) {
        let universe = self.universe;
        let mut classes = Vec::new();
        let mut single = Vec::new();
        for fact in facts {
            match fact.key {
                Key::Class(_, class) => classes.push(class),
                Key::OneVersion(name) => single.push(name),
                _ => {}
            }
        }
        classes.sort_unstable();
        classes.dedup();
        for class in classes {
            let class = universe.class(class);
            let text = format!("only one package of class {class} can be chosen");
            self.reasons.push(Reason::new(0, ReasonKind::Class, text, None));
        }
        let mut vague = Vec::new();
        for name in single {
            match self.disjoint(name, facts) {
                Some(text) => self.reasons.push(Reason::new(0, ReasonKind::OneVersion, text, None)),
                None => vague.push(name),
            }
        }
        if !vague.is_empty() {
            let one = vague.iter().all(|&name| universe.name(name).granularity == Granularity::One);
            let names: Vec<_> = vague.iter().map(|&name| universe.name_text(name)).collect();
            let (each, none) = match names.as_slice() {
                [_] => ("", "no single one fits"),
                _ => ("each of ", "none fits"),
            };
            let range = if one { "" } else { " in each compatible range" };
            let text = format!(
                "only one version of {each}{} can be chosen{range}, and {none} all of the above",
                list(&names, "and")
            );
            self.reasons.push(Reason::new(0, ReasonKind::OneVersion, text, None));
        }
        for fact in facts {
            if let Key::Cycle(position) = fact.key {
                self.cycle(&forbidden[position], facts);
            }
        }
    }

    /// Tells a cycle, and those of its edges that were not told.
    fn cycle(&mut self, members: &[CandidateId], facts: &[Guarded<'_>]) {
        let universe = self.universe;
        let text = |id: CandidateId| universe.candidate_text(id);
        let next = members.iter().cycle().skip(1);
        let story = match members {
            [alone] => format!("{} needs itself to be built first", text(*alone)),
            [one, other] => {
                format!("{} and {} need each other to be built first", text(*one), text(*other))
            }
            members => {
                let needs = members.iter().zip(next.clone());
                let needs = needs.map(|(&id, &next)| format!("{} needs {}", text(id), text(next)));
                format!("{}, each to be built first", list(&needs.collect::<Vec<_>>(), "and"))
            }
        };
        self.reasons.push(Reason::new(0, ReasonKind::Cycle, story, None));
        for (&id, &next) in members.iter().zip(next) {
            let requires = universe.candidate(id).facts.requires.iter();
            let edge = requires.into_iter().find(|requirement| {
                let mut leads = false;
                Universe::leaves(&requirement.need, &mut |set, leaf| {
                    leads |= !Universe::is_post(leaf) && universe.is_member(set, next);
                });
                leads
            });
            let Some(requirement) = edge else { continue };
            let told = facts.iter().any(|fact| {
                matches!(fact.key, Key::Requires(_, need) if *need == requirement.need)
                    && fact.owners.contains(&id)
            });
            if !told {
                let needed = words::formula(universe, &requirement.need);
                let may = if requirement.optional { "uses" } else { "requires" };
                let text = format!("{} {may} {needed}", text(id));
                let origin = universe.requirement_origin(Some(id), requirement);
                self.reasons.push(Reason::new(1, ReasonKind::Requires, text, origin));
            }
        }
    }

    /// Why no version fits, where just two plain requirements exclude each other.
    fn disjoint(&self, name: NameId, facts: &[Guarded<'_>]) -> Option<String> {
        let universe = self.universe;
        let mut sets = Vec::new();
        for fact in facts {
            let need = match fact.key {
                Key::Root(position) => &universe.roots[position].need,
                Key::Requires(_, need) => need,
                _ => continue,
            };
            let plain = matches!(need, Need::Set(_) | Need::Leaf(_));
            let mut nested = false;
            Universe::leaves(need, &mut |set, _| {
                if universe.set(set).name == name {
                    sets.push(set);
                    nested |= !plain;
                }
            });
            if nested {
                return None;
            }
        }
        sets.sort_unstable();
        sets.dedup();
        let &[a, b] = sets.as_slice() else { return None };
        let common = universe.set(a).members.iter().any(|&id| universe.is_member(b, id));
        let one = universe.name(name).granularity == Granularity::One;
        (!common && one).then(|| {
            format!(
                "only one version of {} can be chosen, and none is both {} and {}",
                universe.name_text(name),
                universe.set(a).text,
                universe.set(b).text
            )
        })
    }
}

fn verb(kind: ReasonKind, many: bool) -> &'static str {
    match (kind, many) {
        (ReasonKind::Excluded, _) => "cannot be chosen:",
        (ReasonKind::Class, false) => "is of",
        (ReasonKind::Class, true) => "are of",
        (ReasonKind::Conflict, false) => "conflicts with",
        (ReasonKind::Conflict, true) => "conflict with",
        (_, false) => "requires",
        (_, true) => "require",
    }
}
