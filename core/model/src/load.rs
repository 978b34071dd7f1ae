//! Loading: asking a plugin, wave by wave, for all that the roots can reach.
//!
//! One wave asks for the facts of every name that turned up and was not asked for before, then for
//! the members of every set that turned up. A candidate is *reached* if it lies in a set that the
//! roots or a reached candidate require; only reached candidates make new names turn up. So a
//! request loads what it can come to need and no more, in about as many calls as the longest
//! shortest chain of dependencies is long, and the answer depends on the facts alone, never on when
//! they arrived.
//!
//! A plugin is not trusted: numbers that it never announced, answers that do not fit their question
//! and extensions that the core cannot reduce are refused here, once, for all that follows.

use crate::{Candidate, CandidateId, Name, Universe, VersionSet};
use rustc_hash::FxHashMap;
use x2nix_protocol::{
    self as protocol, Diagnostic, Dictionary, FactsAnswer, FactsRequest, Granularity,
    MembersAnswer, MembersRequest, NameId, NameKind, Need, OpenAnswer, PackageFacts, PluginResult,
    Requirement, SetId,
};

/// Who answers questions: a plugin's session, or a universe of a test.
pub trait Ask {
    /// States all that is known of some names.
    fn facts(&mut self, request: &FactsRequest) -> PluginResult<FactsAnswer>;
    /// Says which candidates are in some sets.
    fn members(&mut self, request: &MembersRequest) -> PluginResult<MembersAnswer>;
}

impl Ask for dyn protocol::Session + '_ {
    fn facts(&mut self, request: &FactsRequest) -> PluginResult<FactsAnswer> {
        protocol::Session::facts(self, request)
    }

    fn members(&mut self, request: &MembersRequest) -> PluginResult<MembersAnswer> {
        protocol::Session::members(self, request)
    }
}

/// Why a universe could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The plugin said so.
    #[error(transparent)]
    Plugin(Box<Diagnostic>),
    /// The plugin's answer breaks the protocol.
    #[error("the plugin's answer breaks the protocol: {0}")]
    Protocol(String),
}

impl LoadError {
    /// The error as a message for the user.
    pub fn into_diagnostic(self) -> Diagnostic {
        match self {
            Self::Plugin(diagnostic) => *diagnostic,
            Self::Protocol(_) => Diagnostic::error("plugin::protocol", self.to_string())
                .help("this is a fault of the plugin: report it to its author"),
        }
    }
}

impl From<Box<Diagnostic>> for LoadError {
    fn from(diagnostic: Box<Diagnostic>) -> Self {
        Self::Plugin(diagnostic)
    }
}

fn broken<T>(what: impl Into<String>) -> Result<T, LoadError> {
    Err(LoadError::Protocol(what.into()))
}

/// Loads all that the roots of an opened session can reach, and the notes that came with it.
pub fn load(
    ask: &mut (impl Ask + ?Sized),
    opened: OpenAnswer,
) -> Result<(Universe, Vec<Diagnostic>), LoadError> {
    let mut loader = Loader { notes: opened.notes, ..Loader::default() };
    loader.announce(opened.dictionary)?;
    for root in &opened.roots {
        loader.check_requirement(root)?;
        loader.require(&root.need);
    }
    loader.universe.roots = opened.roots;
    while loader.has_work() {
        loader.load_names(ask)?;
        loader.load_members(ask)?;
        loader.reach();
    }
    loader.load_conflicts(ask)?;
    Ok((loader.universe, loader.notes))
}

#[derive(Default)]
struct Loader {
    universe: Universe,
    notes: Vec<Diagnostic>,
    /// Names that turned up and were not asked for yet.
    wanted_names: Vec<NameId>,
    /// Sets whose members are to be asked for and then reached.
    wanted_sets: Vec<SetId>,
    /// Sets that were wanted before, by number.
    set_seen: Vec<bool>,
    /// Sets whose members are known and not yet reached.
    fresh_sets: Vec<SetId>,
}

impl Loader {
    fn has_work(&self) -> bool {
        !self.wanted_names.is_empty() || !self.wanted_sets.is_empty()
    }

    /// Takes in new dictionary entries.
    fn announce(&mut self, dictionary: Dictionary) -> Result<(), LoadError> {
        let universe = &mut self.universe;
        universe.names.extend(dictionary.names.into_iter().map(|entry| Name {
            text: entry.text,
            context: entry.context,
            kind: entry.kind,
            granularity: Granularity::One,
            candidates: 0..0,
            loaded: false,
            similar: Vec::new(),
        }));
        for set in dictionary.sets {
            if set.name.index() >= universe.names.len() {
                return broken(format!(
                    "set {:?} is of name {}, which was never announced",
                    set.text, set.name.0
                ));
            }
            universe.sets.push(VersionSet {
                name: set.name,
                text: set.text,
                members: Vec::new(),
                known: false,
            });
        }
        universe.classes.extend(dictionary.classes);
        self.set_seen.resize(universe.sets.len(), false);
        Ok(())
    }

    /// Notes that the sets of a formula are wanted.
    fn require(&mut self, need: &Need) {
        Universe::leaves(need, &mut |set, _| {
            if !std::mem::replace(&mut self.set_seen[set.index()], true) {
                self.wanted_sets.push(set);
                let name = self.universe.set(set).name;
                let entry = &mut self.universe.names[name.index()];
                if !entry.loaded {
                    entry.loaded = true;
                    self.wanted_names.push(name);
                }
            }
        });
    }

    fn load_names(&mut self, ask: &mut (impl Ask + ?Sized)) -> Result<(), LoadError> {
        if self.wanted_names.is_empty() {
            return Ok(());
        }
        let mut names = std::mem::take(&mut self.wanted_names);
        names.sort_unstable();
        let request = FactsRequest { names };
        let answer = ask.facts(&request)?;
        if answer.packages.len() != request.names.len() {
            return broken("facts: as many packages as names are due");
        }
        self.announce(answer.dictionary)?;
        self.notes.extend(answer.notes);
        for (&name, package) in request.names.iter().zip(answer.packages) {
            if package.name != name {
                return broken(format!("facts: name {} is due, {} came", name.0, package.name.0));
            }
            self.add_package(package)?;
        }
        Ok(())
    }

    fn add_package(&mut self, package: PackageFacts) -> Result<(), LoadError> {
        for candidate in &package.candidates {
            self.check_candidate(candidate)?;
        }
        let universe = &mut self.universe;
        let overflow = || LoadError::Protocol("more than four thousand million candidates".into());
        let start = u32::try_from(universe.candidates.len()).map_err(|_| overflow())?;
        let count = u32::try_from(package.candidates.len()).map_err(|_| overflow())?;
        let name = &mut universe.names[package.name.index()];
        // A name that others provide may be provided by several at once.
        name.granularity =
            if name.kind == NameKind::Virtual { Granularity::Any } else { package.granularity };
        name.similar = package.similar;
        name.candidates = start..start.checked_add(count).ok_or_else(overflow)?;
        let mut buckets: FxHashMap<String, u32> = FxHashMap::default();
        for (position, facts) in (0..count).zip(package.candidates) {
            let bucket = match name.granularity {
                Granularity::One => 0,
                Granularity::Any => position,
                Granularity::Bucket => {
                    let next = u32::try_from(buckets.len()).map_err(|_| overflow())?;
                    *buckets.entry(facts.bucket.clone()).or_insert(next)
                }
            };
            universe.candidates.push(Candidate {
                name: package.name,
                bucket,
                reached: false,
                facts,
            });
        }
        Ok(())
    }

    fn check_candidate(&self, candidate: &protocol::Candidate) -> Result<(), LoadError> {
        if !candidate.features.is_empty() {
            return Err(Box::new(Diagnostic::not_supported("features")).into());
        }
        for requirement in &candidate.requires {
            self.check_requirement(requirement)?;
        }
        for conflict in &candidate.conflicts {
            self.check_set(conflict.set)?;
        }
        match candidate.classes.iter().find(|class| class.index() >= self.universe.classes.len()) {
            Some(class) => broken(format!("class {} was never announced", class.0)),
            None => Ok(()),
        }
    }

    fn check_set(&self, set: SetId) -> Result<(), LoadError> {
        if set.index() >= self.universe.sets.len() {
            return broken(format!("set {} was never announced", set.0));
        }
        Ok(())
    }

    fn check_requirement(&self, requirement: &Requirement) -> Result<(), LoadError> {
        let refused = if requirement.peer {
            Some("peer dependencies")
        } else if requirement.visible.is_some() {
            Some("visibility of dependencies")
        } else if requirement.platforms.is_some() {
            Some("dependencies for some platforms of a joint resolution")
        } else {
            None
        };
        if let Some(what) = refused {
            return Err(Box::new(Diagnostic::not_supported(what)).into());
        }
        self.check_need(&requirement.need, 0)
    }

    fn check_need(&self, need: &Need, depth: usize) -> Result<(), LoadError> {
        /// Deeper than any formula that a person writes, and far from the end of the stack.
        const DEEPEST: usize = 200;
        match need {
            Need::Set(set) => self.check_set(*set),
            Need::Leaf(leaf) if !leaf.features.is_empty() => {
                Err(Box::new(Diagnostic::not_supported("features")).into())
            }
            Need::Leaf(leaf) => self.check_set(leaf.set),
            Need::All { .. } | Need::Any { .. } if depth == DEEPEST => {
                broken(format!("a formula is nested deeper than {DEEPEST} levels"))
            }
            Need::All { all: parts } | Need::Any { any: parts } => {
                parts.iter().try_for_each(|part| self.check_need(part, depth + 1))
            }
        }
    }

    fn load_members(&mut self, ask: &mut (impl Ask + ?Sized)) -> Result<(), LoadError> {
        let mut sets = std::mem::take(&mut self.wanted_sets);
        sets.sort_unstable();
        let request = MembersRequest { sets };
        if request.sets.is_empty() {
            return Ok(());
        }
        let answer = ask.members(&request)?;
        if answer.sets.len() != request.sets.len() {
            return broken("members: as many answers as sets are due");
        }
        for (&id, members) in request.sets.iter().zip(answer.sets) {
            let universe = &mut self.universe;
            let set = &mut universe.sets[id.index()];
            let range = universe.names[set.name.index()].candidates.clone();
            set.known = true;
            let mut free = 0;
            for (start, length) in members.0 {
                let end = start.checked_add(length).filter(|&end| end <= range.end - range.start);
                let (Some(end), true, true) = (end, length > 0, start >= free) else {
                    return broken(format!(
                        "members: runs of set {:?} are out of order or of bounds",
                        set.text
                    ));
                };
                set.members
                    .extend((start..end).map(|position| CandidateId(range.start + position)));
                free = end;
            }
        }
        self.fresh_sets = request.sets;
        Ok(())
    }

    /// Marks the members of fresh sets as reached and notes what they require in turn.
    fn reach(&mut self) {
        for set in std::mem::take(&mut self.fresh_sets) {
            let members = std::mem::take(&mut self.universe.sets[set.index()].members);
            for &id in &members {
                let candidate = &mut self.universe.candidates[id.index()];
                if candidate.facts.excluded.is_some()
                    || std::mem::replace(&mut candidate.reached, true)
                {
                    continue;
                }
                let requires = std::mem::take(&mut candidate.facts.requires);
                for requirement in requires.iter().filter(|requirement| !requirement.optional) {
                    self.require(&requirement.need);
                }
                self.universe.candidates[id.index()].facts.requires = requires;
            }
            self.universe.sets[set.index()].members = members;
        }
    }

    /// Asks for the members of what only conflicts and optional needs name, among loaded names.
    fn load_conflicts(&mut self, ask: &mut (impl Ask + ?Sized)) -> Result<(), LoadError> {
        let universe = &self.universe;
        let mut wanted = Vec::new();
        let mut want = |set: SetId| {
            if universe.name(universe.set(set).name).loaded
                && !std::mem::replace(&mut self.set_seen[set.index()], true)
            {
                wanted.push(set);
            }
        };
        for candidate in universe.candidates.iter().filter(|candidate| candidate.reached) {
            for conflict in &candidate.facts.conflicts {
                want(conflict.set);
            }
            for requirement in
                candidate.facts.requires.iter().filter(|requirement| requirement.optional)
            {
                Universe::leaves(&requirement.need, &mut |set, _| want(set));
            }
        }
        self.wanted_sets = wanted;
        self.load_members(ask)?;
        self.fresh_sets.clear();
        Ok(())
    }
}
