//! What one version of a crate says: its dependencies and features, whatever told of them.
//!
//! The map of features follows cargo's `Summary` (`build_feature_map`): an optional dependency that no
//! feature names with `dep:` is a feature of its own name. Every crate has a feature `default`, be it
//! empty, so that an edge may ask for it without knowing the crate.

use crate::source::Source;
use cargo_platform::Platform;
use cargo_util_schemas::manifest::RustVersion;
use semver::{Version, VersionReq};
use std::collections::{BTreeMap, BTreeSet};

/// The feature that is on unless it is turned off.
pub(crate) const DEFAULT: &str = "default";

/// When a dependency is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Normal,
    Build,
    Dev,
}

/// One dependency of a manifest.
#[derive(Debug, Clone)]
pub(crate) struct Dependency {
    /// What it is called in the manifest.
    pub(crate) name_in_toml: String,
    /// The crate.
    pub(crate) package: String,
    pub(crate) source: Source,
    pub(crate) req: VersionReq,
    pub(crate) kind: Kind,
    pub(crate) optional: bool,
    pub(crate) default_features: bool,
    pub(crate) features: Vec<String>,
    pub(crate) target: Option<Platform>,
}

impl Dependency {
    /// The features that its edge asks for.
    pub(crate) fn asked(&self) -> BTreeSet<String> {
        let default = self.default_features.then(|| DEFAULT.to_owned());
        self.features.iter().cloned().chain(default).collect()
    }
}

/// What a feature switches on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FeatureValue {
    /// Another feature.
    Feature(String),
    /// An optional dependency: `dep:name`.
    Dep(String),
    /// A feature of a dependency: `name/feature`, or `name?/feature`, which switches the dependency
    /// itself on in the choice of versions only.
    DepFeature { dep: String, feature: String, weak: bool },
}

impl FeatureValue {
    pub(crate) fn parse(text: &str) -> Self {
        match text.split_once('/') {
            Some((dep, feature)) => Self::DepFeature {
                dep: dep.strip_suffix('?').unwrap_or(dep).to_owned(),
                feature: feature.to_owned(),
                weak: dep.ends_with('?'),
            },
            None => match text.strip_prefix("dep:") {
                Some(dep) => Self::Dep(dep.to_owned()),
                None => Self::Feature(text.to_owned()),
            },
        }
    }
}

/// What one version of a crate says.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    pub(crate) name: String,
    pub(crate) version: Version,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) features: BTreeMap<String, Vec<FeatureValue>>,
    /// Whether nobody stated the feature `default`.
    pub(crate) default_is_implied: bool,
    pub(crate) links: Option<String>,
    pub(crate) rust_version: Option<RustVersion>,
}

/// Which versions of a crate exclude each other: those that a caret would hold compatible.
pub(crate) fn bucket(version: &Version) -> String {
    match (version.major, version.minor) {
        (0, 0) => format!("0.0.{}", version.patch),
        (0, minor) => format!("0.{minor}"),
        (major, _) => major.to_string(),
    }
}

/// The features of a manifest, with those that optional dependencies imply, and whether `default` is only
/// implied.
///
/// # Errors
///
/// What cargo would refuse, in words.
pub(crate) fn feature_map<'a>(
    stated: impl Iterator<Item = (&'a str, Vec<&'a str>)>,
    dependencies: &[Dependency],
) -> Result<(BTreeMap<String, Vec<FeatureValue>>, bool), String> {
    let mut map: BTreeMap<String, Vec<FeatureValue>> = stated
        .map(|(name, values)| {
            (name.to_owned(), values.into_iter().map(FeatureValue::parse).collect())
        })
        .collect();
    let named: BTreeSet<String> = map
        .values()
        .flatten()
        .filter_map(|value| match value {
            FeatureValue::Dep(dep) => Some(dep.clone()),
            _ => None,
        })
        .collect();
    let optional: BTreeSet<&str> = dependencies
        .iter()
        .filter(|dependency| dependency.optional)
        .map(|dependency| dependency.name_in_toml.as_str())
        .collect();
    for &name in &optional {
        if !map.contains_key(name) && !named.contains(name) {
            map.insert(name.to_owned(), vec![FeatureValue::Dep(name.to_owned())]);
        }
    }
    check(&map, &optional, dependencies)?;
    let implied = !map.contains_key(DEFAULT);
    map.entry(DEFAULT.to_owned()).or_default();
    Ok((map, implied))
}

fn check(
    map: &BTreeMap<String, Vec<FeatureValue>>,
    optional: &BTreeSet<&str>,
    dependencies: &[Dependency],
) -> Result<(), String> {
    let is_dependency =
        |name: &str| dependencies.iter().any(|dependency| dependency.name_in_toml == name);
    for (feature, values) in map {
        for value in values {
            let fault = match value {
                FeatureValue::Feature(other) if other == feature => "which is itself".to_owned(),
                FeatureValue::Feature(other) if map.contains_key(other) => continue,
                FeatureValue::Feature(other) if is_dependency(other) => {
                    format!(
                        "which is a dependency without a feature of that name; write `dep:{other}` for an optional one"
                    )
                }
                FeatureValue::Feature(_) => {
                    "which is neither a feature nor a dependency".to_owned()
                }
                FeatureValue::Dep(dep) if optional.contains(dep.as_str()) => continue,
                FeatureValue::Dep(dep) if is_dependency(dep) => {
                    "which is a dependency, but not optional".to_owned()
                }
                FeatureValue::Dep(_) => "which is no dependency".to_owned(),
                FeatureValue::DepFeature { dep, feature, weak } => {
                    if feature.contains('/') {
                        "which has several slashes".to_owned()
                    } else if dep.starts_with("dep:") {
                        "which has both `dep:` and `/`; leave out `dep:`".to_owned()
                    } else if !is_dependency(dep) {
                        "which is of no dependency".to_owned()
                    } else if *weak && !optional.contains(dep.as_str()) {
                        "which has a `?`, but the dependency is not optional".to_owned()
                    } else {
                        continue;
                    }
                }
            };
            return Err(format!("the feature `{feature}` includes `{}`, {fault}", text(value)));
        }
    }
    Ok(())
}

fn text(value: &FeatureValue) -> String {
    match value {
        FeatureValue::Feature(feature) => feature.clone(),
        FeatureValue::Dep(dep) => format!("dep:{dep}"),
        FeatureValue::DepFeature { dep, feature, weak } => {
            format!("{dep}{}/{feature}", if *weak { "?" } else { "" })
        }
    }
}

impl Summary {
    /// Whether a dependency of this name is optional.
    pub(crate) fn is_optional(&self, name_in_toml: &str) -> bool {
        self.dependencies.iter().any(|it| it.name_in_toml == name_in_toml && it.optional)
    }

    /// The dependencies that are needed while some features are on, each with the features that are
    /// asked of it: how cargo chooses versions, where a weak feature counts as a strong one.
    pub(crate) fn needed(
        &self,
        on: &BTreeSet<String>,
        tests: bool,
    ) -> Vec<(&Dependency, BTreeSet<String>)> {
        let mut asked: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for value in on.iter().filter_map(|feature| self.features.get(feature)).flatten() {
            match value {
                FeatureValue::Feature(_) => {}
                FeatureValue::Dep(dep) => drop(asked.entry(dep).or_default()),
                FeatureValue::DepFeature { dep, feature, .. } => {
                    asked.entry(dep).or_default().insert(feature.clone());
                }
            }
        }
        let mut needed = Vec::new();
        for dependency in &self.dependencies {
            if dependency.kind == Kind::Dev && !tests {
                continue;
            }
            let more = asked.get(dependency.name_in_toml.as_str());
            if dependency.optional && more.is_none() {
                continue;
            }
            let mut features = dependency.asked();
            features.extend(more.into_iter().flatten().cloned());
            needed.push((dependency, features));
        }
        needed
    }
}
