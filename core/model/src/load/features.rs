//! Features, reduced to names.
//!
//! A feature `f` of a name `n` is a name of its own, `n[f]`, with one candidate for each candidate of
//! `n`, in the same order and the same buckets. `n[f]` at a version requires exactly that version of
//! `n`, the features that `f` switches on of the same version, and what `f` needs. So features add up
//! over all who ask for them, and which are on is read off the answer.
//!
//! An edge to `n` with features `f` and `g` becomes `n & n[f] & n[g]`. Since each of the three requires
//! the same version, the parts agree wherever one version of `n` can be chosen. Where a set spans
//! buckets they might not: there the edge becomes one alternative for each bucket, the newest first.
//!
//! Such a name is made when an edge first asks for it, and its candidates say what they need when they
//! are first reached: a package may have a thousand features of which a request touches three. A
//! version that is deferred may have any feature, until its details are known.

use super::{LoadError, Loader, broken};
use crate::{Candidate, CandidateId, FeatureOf, Name, Universe, VersionSet};
use x2nix_protocol::{self as protocol, Leaf, NameId, NameKind, Need, Requirement, SetId};

impl Loader {
    /// A requirement in the terms of names alone. Its sets know their members.
    pub(super) fn lower(
        &mut self,
        universe: &mut Universe,
        requirement: &Requirement,
    ) -> Result<Requirement, LoadError> {
        let need = self.lower_need(universe, &requirement.need)?;
        Ok(Requirement { need, ..requirement.clone() })
    }

    fn lower_need(&mut self, universe: &mut Universe, need: &Need) -> Result<Need, LoadError> {
        let parts = |loader: &mut Self, universe: &mut Universe, parts: &[Need]| {
            parts.iter().map(|part| loader.lower_need(universe, part)).collect::<Result<_, _>>()
        };
        Ok(match need {
            Need::Leaf(leaf) if !leaf.features.is_empty() => self.lower_leaf(universe, leaf)?,
            Need::Set(_) | Need::Leaf(_) => need.clone(),
            Need::All { all } => Need::All { all: parts(self, universe, all)? },
            Need::Any { any } => Need::Any { any: parts(self, universe, any)? },
        })
    }

    fn lower_leaf(&mut self, universe: &mut Universe, leaf: &Leaf) -> Result<Need, LoadError> {
        let name = universe.set(leaf.set).name;
        let mut buckets: Vec<u32> = Vec::new();
        for &id in &universe.set(leaf.set).members {
            let bucket = universe.candidate(id).bucket;
            if !buckets.contains(&bucket) {
                buckets.push(bucket);
            }
        }
        let mut features = Vec::new();
        for feature in &leaf.features {
            features.push(self.feature(universe, name, feature)?);
        }
        if buckets.len() < 2 {
            return self.joint(universe, leaf, &features, None);
        }
        let alternatives = buckets.into_iter();
        let any = alternatives
            .map(|bucket| self.joint(universe, leaf, &features, Some(bucket)))
            .collect::<Result<_, _>>()?;
        Ok(Need::Any { any })
    }

    /// A package with features, in one bucket or in all that its set has.
    fn joint(
        &mut self,
        universe: &mut Universe,
        leaf: &Leaf,
        features: &[NameId],
        bucket: Option<u32>,
    ) -> Result<Need, LoadError> {
        let set = self.part(universe, leaf.set, None, bucket)?;
        let mut all = vec![Need::Leaf(Leaf { set, ..leaf.clone() })];
        for &feature in features {
            let set = self.part(universe, leaf.set, Some(feature), bucket)?;
            all.push(Need::Leaf(Leaf { set, features: Vec::new(), ..leaf.clone() }));
        }
        Ok(Need::All { all })
    }

    /// Those members of a set that are in a bucket, or the candidates of a feature beside them.
    fn part(
        &mut self,
        universe: &mut Universe,
        set: SetId,
        feature: Option<NameId>,
        bucket: Option<u32>,
    ) -> Result<SetId, LoadError> {
        if feature.is_none() && bucket.is_none() {
            return Ok(set);
        }
        let key = (set, feature, bucket);
        if let Some(&known) = self.parts.get(&key) {
            return Ok(known);
        }
        let whole = universe.set(set);
        let (base, text) = (whole.name, whole.text.clone());
        let inside = |id: &&CandidateId| {
            bucket.is_none_or(|bucket| universe.candidate(**id).bucket == bucket)
        };
        let members: Vec<_> = whole.members.iter().filter(inside).copied().collect();
        let name = feature.unwrap_or(base);
        let shift = |id: CandidateId| {
            let position = id.0 - universe.name(base).candidates.start;
            CandidateId(universe.name(name).candidates.start + position)
        };
        let members = members.into_iter().map(shift).collect();
        let id = self.new_set(universe, VersionSet { name, text, members, known: true })?;
        self.parts.insert(key, id);
        Ok(id)
    }

    fn new_set(&mut self, universe: &mut Universe, set: VersionSet) -> Result<SetId, LoadError> {
        let Ok(id) = u32::try_from(universe.sets.len()) else {
            return broken("more than four thousand million sets");
        };
        universe.sets.push(set);
        self.grow(universe);
        self.set_seen[id as usize] = true;
        Ok(SetId(id))
    }

    /// The set of one candidate alone.
    fn exactly(&mut self, universe: &mut Universe, id: CandidateId) -> Result<SetId, LoadError> {
        if let Some(&known) = self.exact.get(&id) {
            return Ok(known);
        }
        let candidate = universe.candidate(id);
        let set = VersionSet {
            name: candidate.name,
            text: format!("= {}", candidate.facts.version),
            members: vec![id],
            known: true,
        };
        let set = self.new_set(universe, set)?;
        self.exact.insert(id, set);
        Ok(set)
    }

    /// The name of a feature.
    fn feature(
        &mut self,
        universe: &mut Universe,
        base: NameId,
        feature: &str,
    ) -> Result<NameId, LoadError> {
        let key = (base, feature.to_owned());
        if let Some(&known) = self.features.get(&key) {
            return Ok(known);
        }
        let (Ok(id), Ok(start)) =
            (u32::try_from(universe.names.len()), u32::try_from(universe.candidates.len()))
        else {
            return broken("more than four thousand million names");
        };
        let (id, owner) = (NameId(id), universe.name(base).clone());
        let count = owner.candidates.end - owner.candidates.start;
        let Some(end) = start.checked_add(count) else {
            return broken("more than four thousand million candidates");
        };
        universe.names.push(Name {
            text: format!("{}[{feature}]", owner.text),
            context: owner.context,
            kind: NameKind::Virtual,
            ecosystem: owner.ecosystem,
            granularity: owner.granularity,
            candidates: start..end,
            loaded: true,
            similar: Vec::new(),
            feature_of: Some(FeatureOf { name: base, feature: feature.to_owned() }),
            asked_as: None,
        });
        self.features.insert(key, id);
        self.features_of.entry(base).or_default().push(id);
        for of in universe.candidates_of(base) {
            let candidate = universe.candidate(of);
            let mut excluded = candidate.facts.excluded.clone();
            if candidate.known && !has(&candidate.facts, feature) {
                excluded.get_or_insert_with(|| lacks(feature));
            }
            let facts = protocol::Candidate {
                version: candidate.facts.version.clone(),
                bucket: candidate.facts.bucket.clone(),
                file: candidate.facts.file.clone(),
                excluded,
                ..protocol::Candidate::default()
            };
            let (bucket, known) = (candidate.bucket, false);
            let candidate =
                Candidate { name: id, bucket, reached: false, known, stated: None, facts };
            universe.candidates.push(candidate);
        }
        // Whatever the version says of its features, having one takes the version itself.
        for position in 0..count {
            let of = CandidateId(universe.name(base).candidates.start + position);
            let set = self.exactly(universe, of)?;
            let own = CandidateId(start + position);
            universe.candidates[own.index()].facts.requires =
                vec![Requirement::new(Need::Set(set))];
        }
        Ok(id)
    }

    /// Writes what one version of a feature needs, once its package's own facts are known.
    pub(super) fn fill(
        &mut self,
        universe: &mut Universe,
        id: CandidateId,
    ) -> Result<(), LoadError> {
        let Some(FeatureOf { name: base, feature }) =
            universe.name(universe.candidate(id).name).feature_of.clone()
        else {
            return Ok(());
        };
        let of = universe.base(id);
        let facts = &universe.candidate(of).facts;
        let Some(stated) = facts.features.iter().find(|it| it.name == feature).cloned() else {
            universe.candidates[id.index()].exclude(lacks(&feature));
            return Ok(());
        };
        let mut requires = universe.candidate(id).facts.requires.clone();
        for other in &stated.enables {
            if !has(&universe.candidate(of).facts, other) {
                let reason = format!("its feature {feature} switches on {other}, which it lacks");
                universe.candidates[id.index()].exclude(reason);
                return Ok(());
            }
            let name = self.feature(universe, base, other)?;
            let position = of.0 - universe.name(base).candidates.start;
            let other = CandidateId(universe.name(name).candidates.start + position);
            let set = self.exactly(universe, other)?;
            requires.push(Requirement::new(Need::Set(set)));
        }
        requires.extend(stated.requires);
        let candidate = &mut universe.candidates[id.index()];
        candidate.facts.requires = requires;
        candidate.known = true;
        Ok(())
    }

    /// Takes in that the facts of a version are known now: its features can say what they need.
    pub(super) fn features_known(
        &mut self,
        universe: &mut Universe,
        of: CandidateId,
    ) -> Result<(), LoadError> {
        let base = universe.candidate(of).name;
        let position = of.0 - universe.name(base).candidates.start;
        let names: Vec<NameId> = self.features_of.get(&base).cloned().unwrap_or_default();
        for name in names {
            let id = CandidateId(universe.name(name).candidates.start + position);
            if universe.candidate(id).reached {
                self.fill(universe, id)?;
                if universe.candidate(id).known {
                    self.fresh.push(id);
                }
            } else if let Some(FeatureOf { feature, .. }) = &universe.name(name).feature_of
                && !has(&universe.candidate(of).facts, feature)
            {
                let reason = lacks(feature);
                universe.candidates[id.index()].exclude(reason);
            }
        }
        Ok(())
    }
}

fn has(facts: &protocol::Candidate, feature: &str) -> bool {
    facts.features.iter().any(|it| it.name == feature)
}

fn lacks(feature: &str) -> String {
    format!("it has no feature {feature}")
}
