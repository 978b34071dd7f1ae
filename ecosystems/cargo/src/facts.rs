//! From what a crate says to facts.
//!
//! A dependency is an edge with features. A feature is one of the IR: what it switches on of its own
//! crate, and the edges that it adds. In the choice of versions a weak feature (`x?/f`) counts as a
//! strong one, as it does in cargo's own resolver (`Requirements::require_dep_feature`); which features
//! are on in a build is found out after the choice.

use crate::{
    dictionary::{Numbers, Wanted},
    summary::{Dependency, FeatureValue, Kind, Summary},
};
use std::collections::BTreeSet;
use x2nix_protocol::{Candidate, Feature, Leaf, Need, Purpose, Requirement, Role};

/// What is said of a version.
pub(crate) struct Facts<'a> {
    pub(crate) summary: &'a Summary,
    /// Whether what its tests need counts: it is a member.
    pub(crate) tests: bool,
    /// The lines of its dependencies, by their name in the manifest.
    pub(crate) line: &'a dyn Fn(&str) -> Option<u32>,
}

impl Facts<'_> {
    /// The requirements and features of the version, and its class.
    pub(crate) fn fill(&self, numbers: &mut Numbers, candidate: &mut Candidate) {
        let summary = self.summary;
        for dependency in self.counted().filter(|it| !it.optional) {
            let features = dependency.asked();
            candidate.requires.push(self.edge(numbers, dependency, features));
        }
        for (name, values) in &summary.features {
            candidate.features.push(self.feature(numbers, name, values));
        }
        if let Some(links) = &summary.links {
            candidate.exclusive.push(numbers.class(&format!("links {links}")));
        }
    }

    fn counted(&self) -> impl Iterator<Item = &Dependency> {
        let tests = self.tests;
        self.summary.dependencies.iter().filter(move |it| tests || it.kind != Kind::Dev)
    }

    fn feature(&self, numbers: &mut Numbers, name: &str, values: &[FeatureValue]) -> Feature {
        let mut enables = BTreeSet::new();
        let mut requires = Vec::new();
        for value in values {
            let (dep, more) = match value {
                FeatureValue::Feature(other) => {
                    enables.insert(other.clone());
                    continue;
                }
                FeatureValue::Dep(dep) => (dep, None),
                FeatureValue::DepFeature { dep, feature, weak } => {
                    if !weak
                        && self.summary.is_optional(dep)
                        && self.summary.features.contains_key(dep)
                        && dep != name
                    {
                        enables.insert(dep.clone());
                    }
                    (dep, Some(feature))
                }
            };
            for dependency in self.counted().filter(|it| it.name_in_toml == *dep) {
                let mut features = dependency.asked();
                features.extend(more.cloned());
                let requirement = self.edge(numbers, dependency, features);
                if !requires.contains(&requirement) {
                    requires.push(requirement);
                }
            }
        }
        Feature { name: name.to_owned(), enables: enables.into_iter().collect(), requires }
    }

    fn edge(
        &self,
        numbers: &mut Numbers,
        dependency: &Dependency,
        features: BTreeSet<String>,
    ) -> Requirement {
        let wanted = Wanted::Req(dependency.req.clone());
        let leaf = Leaf {
            set: numbers.set(&dependency.package, &dependency.source, wanted),
            role: if dependency.kind == Kind::Build { Role::Build } else { Role::Host },
            // A crate's tests may use what is made with the crate.
            post: dependency.kind == Kind::Dev,
            features: features.into_iter().collect(),
        };
        let mut requirement = Requirement::new(Need::Leaf(leaf));
        if dependency.kind == Kind::Dev {
            requirement.purpose = Purpose::Test;
        }
        requirement.line = (self.line)(&dependency.name_in_toml);
        requirement
    }
}
