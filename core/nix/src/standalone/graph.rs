//! The build graph of a platform, as the reader sees it.

use fixedbitset::FixedBitSet;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use x2nix_lock::{Lock, LockedPackage};
use x2nix_protocol::{Purpose, Unit, UnitEdge};

/// Names that a scope has of its own.
const TAKEN: [&str; 4] = ["callPackage", "newScope", "overrideScope", "packages"];

/// The units that a platform's packages need.
pub(super) struct Graph<'a> {
    /// Those packages that a unit builds, by id.
    pub(super) packages: BTreeMap<&'a str, &'a LockedPackage>,
    /// The units, by key.
    pub(super) units: BTreeMap<&'a str, &'a Unit>,
    /// Further names for units: their keys.
    pub(super) aliases: BTreeMap<&'a str, &'a str>,
    /// What each unit is called in the scope.
    pub(super) attributes: BTreeMap<&'a str, &'a str>,
    /// The units in an order in which each stands before all that it needs, and their places in it.
    order: Vec<&'a str>,
    places: FxHashMap<&'a str, usize>,
    /// By place: the places of the units that a unit needs for normal use, near and far, and its own.
    closures: Vec<FixedBitSet>,
}

impl<'a> Graph<'a> {
    /// The graph of a lock that holds what it refers to, without cycles.
    pub(super) fn new(lock: &'a Lock, platform: &str) -> Self {
        let mut packages = BTreeMap::new();
        for id in lock.platforms.get(platform).iter().flat_map(|answer| &answer.packages) {
            if let Some(package) = lock.package(id, platform).filter(|one| one.unit.is_some()) {
                packages.insert(id.as_str(), package);
            }
        }
        let mut units = BTreeMap::new();
        let mut todo: Vec<&str> = packages.values().filter_map(|one| one.unit.as_deref()).collect();
        let answer = lock.platforms.get(platform);
        let aliases = answer.map(|answer| &answer.aliases).into_iter().flatten();
        let aliases: BTreeMap<&str, &str> =
            aliases.map(|(name, id)| (name.as_str(), id.as_str())).collect();
        todo.extend(aliases.values());
        while let Some(id) = todo.pop() {
            if units.contains_key(id) {
                continue;
            }
            let Some(unit) = lock.unit(id, platform) else { continue };
            units.insert(id, unit);
            todo.extend(unit.depends.iter().map(|edge| edge.unit.as_str()));
        }

        let order = order(&units);
        let places: FxHashMap<_, _> = order.iter().enumerate().map(|(at, id)| (*id, at)).collect();
        let mut closures = vec![FixedBitSet::with_capacity(order.len()); order.len()];
        for (at, id) in order.iter().enumerate().rev() {
            let mut closure = std::mem::take(&mut closures[at]);
            closure.insert(at);
            for needed in needs(units[id], &[Purpose::Normal]).filter_map(|id| places.get(id)) {
                closure.union_with(&closures[*needed]);
            }
            closures[at] = closure;
        }
        let attributes = attributes(&units);
        Self { packages, units, aliases, attributes, order, places, closures }
    }

    /// These units and all that they need for normal use, the nearest first.
    pub(super) fn reach<'b>(&self, ids: impl IntoIterator<Item = &'b str>) -> Vec<&'a str> {
        let mut all = FixedBitSet::with_capacity(self.order.len());
        for place in ids.into_iter().filter_map(|id| self.places.get(id)) {
            all.union_with(&self.closures[*place]);
        }
        all.ones().map(|place| self.order[place]).collect()
    }

    /// What stands for a unit in the scope.
    pub(super) fn attribute(&self, id: &str) -> &'a str {
        self.attributes.get(id).copied().unwrap_or_default()
    }
}

/// The units that a unit needs for these purposes.
pub(super) fn needs<'a>(
    unit: &'a Unit,
    purposes: &[Purpose],
) -> impl Iterator<Item = &'a str> + use<'a> {
    let purposes = purposes.to_vec();
    let wanted = move |edge: &&UnitEdge| purposes.contains(&edge.purpose);
    unit.depends.iter().filter(wanted).map(|edge| edge.unit.as_str())
}

/// By depth, the deepest chains of needs first, then by key.
fn order<'a>(units: &BTreeMap<&'a str, &'a Unit>) -> Vec<&'a str> {
    let mut depth: FxHashMap<&str, u32> = FxHashMap::default();
    // An explicit stack: chains may be long. A unit is left when what it needs has been.
    let mut stack: Vec<(&str, bool)> = units.keys().map(|id| (*id, false)).collect();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    while let Some((id, done)) = stack.pop() {
        let Some((id, unit)) = units.get_key_value(id) else { continue };
        if done {
            let below = needs(unit, &[Purpose::Normal]).filter_map(|id| depth.get(id));
            let own = below.max().map_or(0, |below| below + 1);
            depth.insert(id, own);
        } else if seen.insert(id) {
            stack.push((id, true));
            stack.extend(needs(unit, &[Purpose::Normal]).map(|id| (id, false)));
        }
    }
    let mut order: Vec<&str> = units.keys().copied().collect();
    order.sort_by_key(|id| (Reverse(depth.get(id).copied().unwrap_or_default()), *id));
    order
}

/// A unit's attribute is its name, or its key if others have the name, or the scope itself.
fn attributes<'a>(units: &BTreeMap<&'a str, &'a Unit>) -> BTreeMap<&'a str, &'a str> {
    let mut having: FxHashMap<&str, usize> = FxHashMap::default();
    for unit in units.values() {
        *having.entry(&unit.name).or_default() += 1;
    }
    let choose = |(id, unit): (&&'a str, &&'a Unit)| {
        let name = unit.name.as_str();
        let free = having[name] == 1 && !TAKEN.contains(&name);
        (*id, if free { name } else { id })
    };
    units.iter().map(choose).collect()
}
