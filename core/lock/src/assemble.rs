//! From answers to a lock.

use crate::{
    CriterionValue, LOCK_VERSION, Lock, LockedInput, LockedNeed, LockedPackage, LockedPlatform,
    LockedRequest, Optimality, PluginIdentity,
};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;
use x2nix_model::{CandidateId, Universe};
use x2nix_protocol::{BuildAnswer, Describe, NameKind, Need, Requirement, Role};

/// The answer for one platform and all that was asked for it.
pub struct PlatformAnswer<'a> {
    /// The platform.
    pub platform: &'a str,
    /// The facts.
    pub universe: &'a Universe,
    /// The variables that they were evaluated under.
    pub environment: &'a BTreeMap<String, String>,
    /// What was chosen, in order of number.
    pub chosen: &'a [CandidateId],
    /// How good that is.
    pub criteria: Vec<CriterionValue>,
    /// Whether that is proved to be the best.
    pub optimality: Optimality,
    /// How it is built, units by chosen package; nothing where only the answer was asked for.
    pub build: Option<BuildAnswer>,
}

/// Writes answers down as a lock.
pub fn assemble(
    plugin: &Describe,
    request: LockedRequest,
    inputs: Vec<LockedInput>,
    answers: Vec<PlatformAnswer<'_>>,
) -> Lock {
    let mut lock = Lock {
        version: LOCK_VERSION,
        ecosystem: plugin.ecosystem.clone(),
        plugin: PluginIdentity {
            grants: Vec::new(),
            version: plugin.version.clone(),
            protocol: plugin.protocol,
            hash: None,
        },
        request,
        inputs,
        platforms: BTreeMap::new(),
        packages: BTreeMap::new(),
        overrides: Vec::new(),
        artifacts: BTreeMap::new(),
        units: BTreeMap::new(),
        preparations: BTreeMap::new(),
    };
    for answer in answers {
        add(&mut lock, answer);
    }
    lock
}

/// Adds an entry under its id, or under `ID/PLATFORM` where another platform has a different one.
fn insert<T: PartialEq>(map: &mut BTreeMap<String, T>, id: String, platform: &str, entry: T) {
    match map.get(&id) {
        None => drop(map.insert(id, entry)),
        Some(present) if *present == entry => {}
        Some(_) => drop(map.insert(format!("{id}/{platform}"), entry)),
    }
}

fn add(lock: &mut Lock, answer: PlatformAnswer<'_>) {
    let view = View { universe: answer.universe, chosen: answer.chosen.iter().copied().collect() };
    let unit_of = answer.build.as_ref().map(|build| build.unit_of.as_slice()).unwrap_or_default();
    let mut variables = BTreeMap::new();
    let mut virtuals: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut packages = Vec::new();
    // Features are told of with their packages; what they need, those need.
    let mut features: FxHashMap<CandidateId, Vec<CandidateId>> = FxHashMap::default();
    let mut chosen = Vec::with_capacity(answer.chosen.len());
    for &id in answer.chosen {
        if answer.universe.feature(id).is_some() {
            features.entry(answer.universe.base(id)).or_default().push(id);
        } else {
            chosen.push(id);
        }
    }
    for (position, &id) in chosen.iter().enumerate() {
        let on = features.remove(&id).unwrap_or_default();
        let candidate = answer.universe.candidate(id);
        let name = answer.universe.name(candidate.name);
        match name.kind {
            NameKind::Package => {}
            NameKind::Virtual => {
                let key = answer.universe.name_key(candidate.name);
                virtuals.entry(key).or_default().push(candidate.facts.version.clone());
                continue;
            }
            NameKind::Variable => {
                let key = answer.universe.name_key(candidate.name);
                variables.insert(key, candidate.facts.version.clone());
                continue;
            }
        }
        let key = answer.universe.candidate_key(id);
        let entry = LockedPackage {
            name: name.text.clone(),
            version: candidate.facts.version.clone(),
            context: name.context.clone(),
            placement: candidate.facts.placement,
            marks: candidate.facts.marks.clone(),
            features: names_of(answer.universe, &on),
            file: candidate.facts.file.clone(),
            unit: unit_of.get(position).cloned().flatten(),
            depends: view.depends(id, &on),
        };
        packages.push(key.clone());
        insert(&mut lock.packages, key, answer.platform, entry);
    }
    packages.sort_unstable();
    let mut aliases = BTreeMap::new();
    if let Some(build) = answer.build {
        aliases = build.aliases;
        for (id, unit) in build.units {
            insert(&mut lock.units, id, answer.platform, unit);
        }
        lock.artifacts.extend(build.artifacts);
    }
    let platform = LockedPlatform {
        environment: answer.environment.clone(),
        variables,
        virtuals,
        optimality: answer.optimality,
        criteria: answer.criteria,
        roots: answer.universe.roots.iter().map(|root| view.need(root)).collect(),
        packages,
        aliases,
    };
    lock.platforms.insert(answer.platform.to_owned(), platform);
}

fn names_of(universe: &Universe, features: &[CandidateId]) -> Vec<String> {
    let mut names: Vec<_> =
        features.iter().filter_map(|&id| universe.feature(id)).map(str::to_owned).collect();
    names.sort_unstable();
    names
}

struct View<'a> {
    universe: &'a Universe,
    chosen: FxHashSet<CandidateId>,
}

impl View<'_> {
    /// What a package needs with some of its features, and what satisfies that.
    fn depends(&self, id: CandidateId, features: &[CandidateId]) -> Vec<LockedNeed> {
        let own = self.universe.candidate(id).facts.requires.iter();
        let mut depends: Vec<_> = own.map(|requirement| self.need(requirement)).collect();
        for &feature in features {
            for requirement in &self.universe.candidate(feature).facts.requires {
                let mut within = false;
                Universe::leaves(&requirement.need, &mut |set, _| {
                    let mut members = self.universe.set(set).members.iter();
                    within |= members.any(|&member| self.universe.base(member) == id);
                });
                let need = self.need(requirement);
                if !within && !depends.contains(&need) {
                    depends.push(need);
                }
            }
        }
        depends
    }

    fn need(&self, requirement: &Requirement) -> LockedNeed {
        let mut by = Vec::new();
        self.satisfied(&requirement.need, &mut by);
        by.sort_unstable();
        by.dedup();
        let (mut role, mut post) = (None, true);
        Universe::leaves(&requirement.need, &mut |_, leaf| {
            let (this, late) = match leaf {
                Need::Leaf(leaf) => (leaf.role, leaf.post),
                _ => (Role::default(), false),
            };
            // A formula of several roles counts as what it may come to be where its owner runs.
            role = Some(if role.is_none_or(|role| role == this) { this } else { Role::Host });
            post &= late;
        });
        LockedNeed {
            need: self.universe.need_text(&requirement.need),
            by,
            role: role.unwrap_or_default(),
            purpose: requirement.purpose,
            post: post && role.is_some(),
            optional: requirement.optional,
            origin: requirement.origin.clone(),
        }
    }

    /// The chosen packages that a formula mentions: of each set the newest, virtual names replaced
    /// by what provides them.
    fn satisfied(&self, need: &Need, by: &mut Vec<String>) {
        Universe::leaves(need, &mut |set, _| {
            let member = self.universe.set(set).members.iter().find(|id| self.chosen.contains(id));
            let Some(&id) = member else { return };
            if self.universe.feature(id).is_some() {
                return;
            }
            let candidate = self.universe.candidate(id);
            match self.universe.name(candidate.name).kind {
                NameKind::Package => by.push(self.universe.candidate_key(id)),
                NameKind::Variable => {}
                NameKind::Virtual => {
                    for requirement in &candidate.facts.requires {
                        self.satisfied(&requirement.need, by);
                    }
                }
            }
        });
    }
}
