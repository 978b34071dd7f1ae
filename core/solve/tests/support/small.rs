//! A small universe as plain data, and the strategies that make it up.

use proptest::{collection::vec, prelude::*};
use x2nix_protocol::Granularity;

/// The most names that a small universe has.
const NAMES: usize = 5;
/// The most versions that one of its names has.
const VERSIONS: usize = 3;
/// The classes that its packages may be of.
const CLASSES: usize = 2;

/// Some versions of a name, as bits by position; the newest version is position 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Set {
    pub(crate) name: usize,
    pub(crate) bits: u8,
}

/// A formula.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Formula {
    Leaf { set: Set, post: bool },
    All(Vec<Formula>),
    Any(Vec<Formula>),
}

/// What one version says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) bucket: u8,
    pub(crate) excluded: bool,
    pub(crate) avoid: bool,
    pub(crate) requires: Vec<Formula>,
    pub(crate) optional: Vec<Formula>,
    pub(crate) conflicts: Vec<Set>,
    pub(crate) classes: Vec<usize>,
}

/// One name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) granularity: Granularity,
    pub(crate) versions: Vec<Version>,
}

/// All there is, and what is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Small {
    pub(crate) names: Vec<Name>,
    pub(crate) roots: Vec<Formula>,
}

fn set() -> impl Strategy<Value = Set> {
    let all = (1_u8 << VERSIONS) - 1;
    let bits = prop_oneof![3 => Just(all), 4 => 1..=all, 1 => Just(0)];
    (0..NAMES, bits).prop_map(|(name, bits)| Set { name, bits })
}

fn formula() -> impl Strategy<Value = Formula> {
    let leaf =
        (set(), prop::bool::weighted(0.3)).prop_map(|(set, post)| Formula::Leaf { set, post });
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            1 => vec(inner.clone(), 0..3).prop_map(Formula::All),
            4 => vec(inner.clone(), 2..4).prop_map(Formula::Any),
            1 => vec(inner, 0..2).prop_map(Formula::Any),
        ]
    })
}

/// Mostly none, and at most so many.
fn few<T: Strategy>(of: T, most: usize) -> impl Strategy<Value = Vec<T::Value>>
where
    T::Value: Clone,
{
    prop_oneof![Just(0..=0), Just(0..=most)].prop_flat_map({
        let of = std::sync::Arc::new(of);
        move |count| vec(std::sync::Arc::clone(&of), count)
    })
}

fn version() -> impl Strategy<Value = Version> {
    (
        0..2_u8,
        prop::bool::weighted(0.05),
        prop::bool::weighted(0.2),
        vec(formula(), 0..3),
        few(formula(), 1),
        few(set(), 1),
        few(0..CLASSES, 2),
    )
        .prop_map(|(bucket, excluded, avoid, requires, optional, conflicts, classes)| {
            Version { bucket, excluded, avoid, requires, optional, conflicts, classes }
        })
}

fn name() -> impl Strategy<Value = Name> {
    let granularity = prop_oneof![
        3 => Just(Granularity::One),
        1 => Just(Granularity::Bucket),
        1 => Just(Granularity::Any),
    ];
    let versions = prop_oneof![9 => 1..=VERSIONS, 1 => 0..=0_usize];
    (granularity, versions.prop_flat_map(|count| vec(version(), count)))
        .prop_map(|(granularity, versions)| Name { granularity, versions })
}

/// Small universes.
pub(crate) fn small() -> impl Strategy<Value = Small> {
    (vec(name(), NAMES), vec(formula(), 1..4)).prop_map(|(names, roots)| Small { names, roots })
}

impl Small {
    /// How a name is called.
    pub(crate) fn name_text(name: usize) -> String {
        ["ash", "birch", "cedar", "dogwood", "elm"][name].into()
    }

    /// A version as messages show it; the newest has the highest number.
    pub(crate) fn version_text(&self, name: usize, position: usize) -> String {
        (self.names[name].versions.len() - position).to_string()
    }
}
