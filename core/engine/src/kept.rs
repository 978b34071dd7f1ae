//! What is kept: the choices of a lock, and those of the project's own lock file.

use rustc_hash::FxHashSet;
use x2nix_lock::Lock;
use x2nix_model::{CandidateId, Keep, Universe};
use x2nix_protocol::{Mark, NameKind};

/// What a lock has for a platform; for a platform that it does not know, what it has for any.
pub(crate) struct Kept {
    packages: FxHashSet<String>,
    /// Features that are on: the package and the feature.
    features: FxHashSet<(String, String)>,
    /// Virtual names and variables: the name and what was chosen of it.
    others: FxHashSet<(String, String)>,
    renewed: Vec<String>,
}

impl Kept {
    /// What a lock has. Names that are renewed are not kept for the project's own lock file's sake.
    pub(crate) fn new(lock: Option<&Lock>, platform: &str, renewed: &[String]) -> Self {
        let mut kept = Self {
            packages: FxHashSet::default(),
            features: FxHashSet::default(),
            others: FxHashSet::default(),
            renewed: renewed.to_vec(),
        };
        let Some(lock) = lock else { return kept };
        let answers: Vec<_> = match lock.platforms.get_key_value(platform) {
            Some(own) => vec![own],
            None => lock.platforms.iter().collect(),
        };
        for (platform, answer) in answers {
            for key in &answer.packages {
                let Some(package) = lock.package(key, platform) else { continue };
                kept.packages.insert(key.clone());
                let features = package.features.iter();
                kept.features.extend(features.map(|feature| (key.clone(), feature.clone())));
            }
            for (name, versions) in &answer.virtuals {
                kept.others.extend(versions.iter().map(|version| (name.clone(), version.clone())));
            }
            let variables = answer.variables.iter();
            kept.others.extend(variables.map(|(name, value)| (name.clone(), value.clone())));
        }
        kept
    }

    /// Whether the lock has a candidate.
    pub(crate) fn is_locked(&self, universe: &Universe, id: CandidateId) -> bool {
        let candidate = universe.candidate(id);
        if let Some(feature) = universe.feature(id) {
            let key = universe.candidate_key(universe.base(id));
            return self.features.contains(&(key, feature.to_owned()));
        }
        match universe.name(candidate.name).kind {
            NameKind::Package => self.packages.contains(&universe.candidate_key(id)),
            NameKind::Virtual | NameKind::Variable => {
                let key = (universe.name_key(candidate.name), candidate.facts.version.clone());
                self.others.contains(&key)
            }
        }
    }

    /// For loading: whether the lock, or the project's own, has a candidate.
    pub(crate) fn predicate(self) -> Keep {
        Box::new(move |universe, id| {
            is_own(universe, id, &self.renewed) || self.is_locked(universe, id)
        })
    }
}

/// Whether the project's own lock file has a candidate, and it is not to be chosen anew.
pub(crate) fn is_own(universe: &Universe, id: CandidateId, renewed: &[String]) -> bool {
    let candidate = universe.candidate(id);
    candidate.facts.marks.contains(&Mark::Locked)
        && !renewed
            .iter()
            .any(|name| name.is_empty() || *name == universe.name(candidate.name).text)
}
