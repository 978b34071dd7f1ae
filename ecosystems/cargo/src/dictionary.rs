//! The session's numbers: names, version sets and classes, announced as they turn up.

use crate::source::Source;
use rustc_hash::FxHashMap;
use semver::{Version, VersionReq};
use x2nix_protocol::{ClassId, Dictionary, NameEntry, NameId, SetEntry, SetId};

/// Which versions are in a set.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Wanted {
    /// Those that a requirement matches.
    Req(VersionReq),
    /// One.
    Exactly(Version),
}

impl Wanted {
    pub(crate) fn matches(&self, version: &Version) -> bool {
        match self {
            Self::Req(req) => req.matches(version),
            Self::Exactly(exactly) => exactly == version,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Req(req) if *req == VersionReq::STAR => String::new(),
            Self::Req(req) => req.to_string(),
            Self::Exactly(version) => format!("={version}"),
        }
    }
}

/// All numbers that were given out, and those that were not announced yet.
#[derive(Default)]
pub(crate) struct Numbers {
    names: Vec<(String, Source)>,
    name_ids: FxHashMap<(String, Source), NameId>,
    sets: Vec<(NameId, Wanted)>,
    set_ids: FxHashMap<(NameId, Wanted), SetId>,
    class_ids: FxHashMap<String, ClassId>,
    fresh: Dictionary,
}

fn next(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl Numbers {
    /// The number of a name.
    pub(crate) fn name(&mut self, name: &str, source: &Source) -> NameId {
        let key = (name.to_owned(), source.clone());
        if let Some(&id) = self.name_ids.get(&key) {
            return id;
        }
        let id = NameId(next(self.names.len()));
        let entry =
            NameEntry { text: key.0.clone(), context: source.context(), ..NameEntry::default() };
        self.fresh.names.push(entry);
        self.names.push(key.clone());
        self.name_ids.insert(key, id);
        id
    }

    /// What a number stands for.
    pub(crate) fn named(&self, id: NameId) -> Option<&(String, Source)> {
        self.names.get(id.index())
    }

    /// The number of a name, if it has one.
    pub(crate) fn known(&self, name: &str, source: &Source) -> Option<NameId> {
        self.name_ids.get(&(name.to_owned(), source.clone())).copied()
    }

    /// The number of some versions of a name.
    pub(crate) fn set(&mut self, name: &str, source: &Source, wanted: Wanted) -> SetId {
        let name = self.name(name, source);
        let key = (name, wanted);
        if let Some(&id) = self.set_ids.get(&key) {
            return id;
        }
        let id = SetId(next(self.sets.len()));
        self.fresh.sets.push(SetEntry { name, text: key.1.text() });
        self.sets.push(key.clone());
        self.set_ids.insert(key, id);
        id
    }

    /// What a set is of.
    pub(crate) fn wanted(&self, id: SetId) -> Option<&(NameId, Wanted)> {
        self.sets.get(id.index())
    }

    /// The number of a class.
    pub(crate) fn class(&mut self, text: &str) -> ClassId {
        if let Some(&id) = self.class_ids.get(text) {
            return id;
        }
        let id = ClassId(next(self.class_ids.len()));
        self.class_ids.insert(text.to_owned(), id);
        self.fresh.classes.push(text.to_owned());
        id
    }

    /// What was not announced yet; it counts as announced from now on.
    pub(crate) fn announce(&mut self) -> Dictionary {
        std::mem::take(&mut self.fresh)
    }
}
