//! The session's numbers: names, version sets and classes, announced as they turn up.

use crate::filter::{Bound, check};
use crate::formula::Formula;
use rustc_hash::FxHashMap;
use x2nix_protocol::{ClassId, Dictionary, Members, NameEntry, NameId, NameKind, SetEntry, SetId};

/// Where a name lives. Each name has versions of its own in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Side {
    /// In the main context: what is asked for, and in a monorepo the workspace.
    Main,
    /// Among the tools that build a monorepo.
    Host,
    /// It is no package but a source that packages of a monorepo are taken from.
    Source,
}

impl Side {
    /// The name of the context.
    fn context(self) -> &'static str {
        match self {
            Self::Main | Self::Source => "",
            Self::Host => "host",
        }
    }
}

/// All numbers that were given out, and those that were not announced yet.
#[derive(Default)]
pub(super) struct Numbers {
    names: Vec<(Side, Box<str>)>,
    name_ids: [FxHashMap<Box<str>, NameId>; 3],
    sets: Vec<(NameId, Formula<Bound>)>,
    set_ids: FxHashMap<(NameId, String), SetId>,
    class_ids: FxHashMap<Box<str>, ClassId>,
    fresh: Dictionary,
}

fn next(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl Numbers {
    /// The number of a name.
    pub(super) fn name(&mut self, side: Side, text: &str) -> NameId {
        let ids = &mut self.name_ids[side as usize];
        if let Some(&id) = ids.get(text) {
            return id;
        }
        let id = NameId(next(self.names.len()));
        self.names.push((side, text.into()));
        ids.insert(text.into(), id);
        let kind = if side == Side::Source { NameKind::Variable } else { NameKind::Package };
        let entry =
            NameEntry { text: text.into(), context: side.context().into(), kind, ecosystem: 0 };
        self.fresh.names.push(entry);
        id
    }

    /// The name behind a number, and where it lives; empty for a number that was never given out.
    pub(super) fn name_text(&self, id: NameId) -> (Side, &str) {
        self.names.get(id.index()).map_or((Side::Main, ""), |(side, name)| (*side, name))
    }

    /// The number of the versions of a name that a constraint admits.
    pub(super) fn set(&mut self, side: Side, name: &str, constraint: &Formula<Bound>) -> SetId {
        let name = self.name(side, name);
        let text = if constraint.is_empty() { String::new() } else { constraint.to_string() };
        if let Some(&id) = self.set_ids.get(&(name, text.clone())) {
            return id;
        }
        let id = SetId(next(self.sets.len()));
        self.sets.push((name, constraint.clone()));
        self.fresh.sets.push(SetEntry { name, text: text.clone() });
        self.set_ids.insert((name, text), id);
        id
    }

    /// The number of a conflict class.
    pub(super) fn class(&mut self, text: &str) -> ClassId {
        if let Some(&id) = self.class_ids.get(text) {
            return id;
        }
        let id = ClassId(next(self.class_ids.len()));
        self.class_ids.insert(text.into(), id);
        self.fresh.classes.push(text.into());
        id
    }

    /// What was not announced yet; it counts as announced from now on.
    pub(super) fn announce(&mut self) -> Dictionary {
        std::mem::take(&mut self.fresh)
    }

    /// The name that a set is of.
    pub(super) fn set_name(&self, id: SetId) -> Option<NameId> {
        self.sets.get(id.index()).map(|(name, _)| *name)
    }

    /// Which of some versions are in a set.
    pub(super) fn members<'v>(
        &self,
        id: SetId,
        versions: impl Iterator<Item = &'v str>,
    ) -> Members {
        let Some((_, constraint)) = self.sets.get(id.index()) else { return Members::default() };
        let fitting = (0..).zip(versions).filter(|(_, version)| check(constraint, version));
        Members::from_positions(fitting.map(|(position, _)| position))
    }
}
