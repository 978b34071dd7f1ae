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
pub struct Set {
    pub name: usize,
    pub bits: u8,
}

/// A formula.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Formula {
    Leaf { set: Set, post: bool },
    All(Vec<Formula>),
    Any(Vec<Formula>),
}

/// What one version says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub bucket: u8,
    pub excluded: bool,
    pub avoid: bool,
    pub requires: Vec<Formula>,
    pub optional: Vec<Formula>,
    pub conflicts: Vec<Set>,
    pub classes: Vec<usize>,
}

/// One name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    pub granularity: Granularity,
    pub versions: Vec<Version>,
}

/// All there is, and what is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Small {
    pub names: Vec<Name>,
    pub roots: Vec<Formula>,
}

fn set() -> impl Strategy<Value = Set> {
    (0..NAMES, 0..1_u8 << VERSIONS).prop_map(|(name, bits)| Set { name, bits })
}

fn formula() -> impl Strategy<Value = Formula> {
    let leaf =
        (set(), prop::bool::weighted(0.3)).prop_map(|(set, post)| Formula::Leaf { set, post });
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Formula::All),
            vec(inner, 0..4).prop_map(Formula::Any),
        ]
    })
}

fn version() -> impl Strategy<Value = Version> {
    (
        0..2_u8,
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.2),
        vec(formula(), 0..3),
        vec(formula(), 0..2),
        vec(set(), 0..2),
        vec(0..CLASSES, 0..2),
    )
        .prop_map(|(bucket, excluded, avoid, requires, optional, conflicts, classes)| Version {
            bucket,
            excluded,
            avoid,
            requires,
            optional,
            conflicts,
            classes,
        })
}

fn name() -> impl Strategy<Value = Name> {
    let granularity = prop_oneof![
        3 => Just(Granularity::One),
        1 => Just(Granularity::Bucket),
        1 => Just(Granularity::Any),
    ];
    (granularity, vec(version(), 0..=VERSIONS))
        .prop_map(|(granularity, versions)| Name { granularity, versions })
}

/// Small universes.
pub fn small() -> impl Strategy<Value = Small> {
    (vec(name(), NAMES), vec(formula(), 1..4)).prop_map(|(names, roots)| Small { names, roots })
}

impl Small {
    /// How a name is called.
    pub fn name_text(name: usize) -> String {
        ["ash", "birch", "cedar", "dogwood", "elm"][name].into()
    }

    /// A version as messages show it; the newest has the highest number.
    pub fn version_text(&self, name: usize, position: usize) -> String {
        (self.names[name].versions.len() - position).to_string()
    }
}
