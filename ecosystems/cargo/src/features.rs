//! Which features are on in a build: cargo's second resolver of features.
//!
//! Versions are chosen as if everything were switched on together. What is on in one build is narrower,
//! and found out here, over the chosen versions, as cargo's `FeatureResolver` does it:
//!
//! - with resolver 2 and 3, what runs on the machine that builds (build scripts, macros and all that
//!   they need) has features of its own; dependencies of other platforms count for nothing, and neither
//!   do those of tests;
//! - with resolver 1, each crate has one set of features, to which everything adds;
//! - a weak feature `x?/f` switches `f` on once `x` is on, and not before.
//!
//! The order in which edges are followed does not matter: features only ever add up, and a weak one
//! waits for its dependency.

use crate::{
    summary::{DEFAULT, Dependency, FeatureValue, Kind, Summary},
    target::Target,
};
use std::collections::{BTreeMap, BTreeSet};

/// A chosen package, and where its dependencies lead.
pub(crate) struct Node {
    pub(crate) summary: Summary,
    pub(crate) is_macro: bool,
    /// For each dependency of the summary that is met, by its position: the package that meets it.
    pub(crate) edges: BTreeMap<usize, usize>,
}

/// What is built.
pub(crate) struct Build<'a> {
    pub(crate) nodes: &'a [Node],
    /// The members that are built, by position, with the features that are asked for.
    pub(crate) members: Vec<(usize, BTreeSet<String>)>,
    /// 1, 2 or 3.
    pub(crate) resolver: u8,
    pub(crate) target: &'a Target,
    pub(crate) host: &'a Target,
}

/// A package on the machine that builds, or where the result runs.
pub(crate) type Place = (usize, bool);

/// What is on.
pub(crate) struct Resolved {
    /// Features, by package and place; what is not here is not built.
    pub(crate) on: BTreeMap<Place, BTreeSet<String>>,
    /// Optional dependencies, by their name in the manifest.
    pub(crate) dependencies: BTreeSet<(Place, String)>,
}

/// Finds out what is on.
pub(crate) fn resolve(build: &Build<'_>) -> Resolved {
    let mut resolver = Resolver {
        build,
        on: BTreeMap::new(),
        dependencies: BTreeSet::new(),
        walked: BTreeSet::new(),
        waiting: BTreeMap::new(),
        tasks: Vec::new(),
    };
    for (member, features) in &build.members {
        let values: Vec<_> =
            features.iter().map(|feature| FeatureValue::Feature(feature.clone())).collect();
        resolver.tasks.push(Task::Package((*member, false), values.clone()));
        if resolver.apart() && build.nodes[*member].is_macro {
            resolver.tasks.push(Task::Package((*member, true), values));
        }
    }
    while let Some(task) = resolver.tasks.pop() {
        match task {
            Task::Package(place, values) => resolver.package(place, values),
            Task::Value(place, value) => resolver.value(place, value),
        }
    }
    Resolved { on: resolver.on, dependencies: resolver.dependencies }
}

enum Task {
    Package(Place, Vec<FeatureValue>),
    Value(Place, FeatureValue),
}

struct Resolver<'a> {
    build: &'a Build<'a>,
    on: BTreeMap<Place, BTreeSet<String>>,
    /// Optional dependencies that are on.
    dependencies: BTreeSet<(Place, String)>,
    walked: BTreeSet<Place>,
    /// Features of dependencies that are not on yet.
    waiting: BTreeMap<(Place, String), BTreeSet<String>>,
    tasks: Vec<Task>,
}

impl<'a> Resolver<'a> {
    /// Whether the machine that builds has features of its own.
    fn apart(&self) -> bool {
        self.build.resolver > 1
    }

    fn package(&mut self, place: Place, values: Vec<FeatureValue>) {
        self.on.entry(place).or_default();
        self.tasks.extend(values.into_iter().map(|value| Task::Value(place, value)));
        if self.walked.insert(place) {
            for (dependency, to) in self.followed(place) {
                if !dependency.optional {
                    let asked = asked(dependency);
                    self.tasks.push(Task::Package(to, asked));
                }
            }
        }
    }

    /// The dependencies that count for a package, and where they lead.
    fn followed(&self, (package, host): Place) -> Vec<(&'a Dependency, Place)> {
        let node = &self.build.nodes[package];
        let mut followed = Vec::new();
        for (position, &to) in &node.edges {
            let Some(dependency) = node.summary.dependencies.get(*position) else { continue };
            let on_host = host || dependency.kind == Kind::Build;
            let target = if on_host { self.build.host } else { self.build.target };
            let counts = !self.apart()
                || (dependency.kind != Kind::Dev
                    && dependency.target.as_ref().is_none_or(|platform| target.is(platform)));
            if counts {
                let to_host = self.apart() && (on_host || self.build.nodes[to].is_macro);
                followed.push((dependency, (to, to_host)));
            }
        }
        followed
    }

    fn value(&mut self, place: Place, value: FeatureValue) {
        match value {
            FeatureValue::Feature(feature) => self.feature(place, feature),
            FeatureValue::Dep(dep) => self.dependency(place, &dep),
            FeatureValue::DepFeature { dep, feature, weak } => {
                for (dependency, to) in self.followed(place) {
                    if dependency.name_in_toml != dep {
                        continue;
                    }
                    if dependency.optional {
                        let key = (place, dep.clone());
                        if weak && !self.dependencies.contains(&key) {
                            self.waiting.entry(key).or_default().insert(feature.clone());
                            continue;
                        }
                        self.dependency(place, &dep);
                        let summary = &self.build.nodes[place.0].summary;
                        if !weak && summary.features.contains_key(&dep) {
                            self.feature(place, dep.clone());
                        }
                    }
                    self.tasks.push(Task::Value(to, FeatureValue::parse(&feature)));
                }
            }
        }
    }

    fn feature(&mut self, place: Place, feature: String) {
        let summary = &self.build.nodes[place.0].summary;
        let Some(values) = summary.features.get(&feature) else { return };
        if self.on.entry(place).or_default().insert(feature) {
            self.tasks.extend(values.iter().map(|value| Task::Value(place, value.clone())));
        }
    }

    fn dependency(&mut self, place: Place, dep: &str) {
        let key = (place, dep.to_owned());
        if !self.dependencies.insert(key.clone()) {
            return;
        }
        let waiting = self.waiting.remove(&key).unwrap_or_default();
        for (dependency, to) in self.followed(place) {
            if dependency.name_in_toml == dep {
                let mut values = asked(dependency);
                values.extend(waiting.iter().map(|feature| FeatureValue::parse(feature)));
                self.tasks.push(Task::Package(to, values));
            }
        }
    }
}

fn asked(dependency: &Dependency) -> Vec<FeatureValue> {
    let features = dependency.features.iter().map(|feature| FeatureValue::parse(feature));
    let default = dependency.default_features.then(|| FeatureValue::Feature(DEFAULT.into()));
    features.chain(default).collect()
}
