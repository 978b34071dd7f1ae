//! Loading: asking a plugin, wave by wave, for all that the roots can reach.
//!
//! One wave asks for the facts of every name that turned up and was not asked for before, then for
//! the members of every set that turned up. A candidate is *reached* if it lies in a set that the
//! roots or a reached candidate require; only reached candidates make new names turn up. So a
//! request loads what it can come to need and no more, in about as many calls as the longest
//! shortest chain of dependencies is long, and the answer depends on the facts alone, never on when
//! they arrived.
//!
//! # What is deferred
//!
//! A candidate may be told of without what it needs (see [`protocol::Candidate::deferred`]). Of such
//! candidates only the first choice of each set is asked about at once: the kept one, or else the newest. The others are
//! reached, but not *known*: they count as needing nothing. That makes the universe *relaxed*: every
//! answer of the whole is one of it. So where it has none, there is none; and where its best answer has
//! known candidates only, that is the best of all. An answer with others is not to be trusted:
//! [`Loader::learn`] asks about them, and it is solved again. In the end a fraction of an ecosystem is
//! known, and nothing was decided by what was asked first.
//!
//! A plugin is not trusted: numbers that it never announced, answers that do not fit their question
//! and extensions that the core cannot reduce are refused here, once, for all that follows.

mod check;
mod features;

use crate::{Candidate, CandidateId, Name, Universe, VersionSet};
use rustc_hash::FxHashMap;
use x2nix_protocol::{
    self as protocol, CandidatePlace, DetailsAnswer, DetailsRequest, Diagnostic, Dictionary,
    FactsAnswer, FactsRequest, Granularity, Mark, MembersAnswer, MembersRequest, NameId, NameKind,
    Need, OpenAnswer, PackageFacts, PluginResult, SetId,
};

/// Who answers questions: a plugin's session, or a universe of a test.
pub trait Ask {
    /// States all that is known of some names.
    fn facts(&mut self, request: &FactsRequest) -> PluginResult<FactsAnswer>;
    /// Says which candidates are in some sets.
    fn members(&mut self, request: &MembersRequest) -> PluginResult<MembersAnswer>;
    /// States what was deferred.
    fn details(&mut self, request: &DetailsRequest) -> PluginResult<DetailsAnswer> {
        let _ = request;
        Err(Box::new(Diagnostic::not_supported("details of candidates")))
    }
}

impl Ask for dyn protocol::Session + '_ {
    fn facts(&mut self, request: &FactsRequest) -> PluginResult<FactsAnswer> {
        protocol::Session::facts(self, request)
    }

    fn members(&mut self, request: &MembersRequest) -> PluginResult<MembersAnswer> {
        protocol::Session::members(self, request)
    }

    fn details(&mut self, request: &DetailsRequest) -> PluginResult<DetailsAnswer> {
        protocol::Session::details(self, request)
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

pub(crate) fn broken<T>(what: impl Into<String>) -> Result<T, LoadError> {
    Err(LoadError::Protocol(what.into()))
}

/// Which candidates are kept: those that a lock has.
pub type Keep = Box<dyn Fn(&Universe, CandidateId) -> bool + Send>;

/// Loads all that the roots of an opened session can reach, and the notes that came with it.
pub fn load(
    ask: &mut (impl Ask + ?Sized),
    opened: OpenAnswer,
) -> Result<(Universe, Vec<Diagnostic>), LoadError> {
    let (universe, _, notes) = Loader::load(ask, opened, Box::new(|_, _| false))?;
    Ok((universe, notes))
}

/// What loading has to remember, to learn more later.
pub struct Loader {
    /// Which candidates are kept.
    keep: Keep,
    /// Our numbers of the plugin's names and sets.
    names: Vec<NameId>,
    sets: Vec<SetId>,
    notes: Vec<Diagnostic>,
    /// Names that turned up and were not asked for yet.
    wanted_names: Vec<NameId>,
    /// Sets whose members are to be asked for.
    wanted_sets: Vec<SetId>,
    /// Sets that were wanted before or need not be, by number.
    set_seen: Vec<bool>,
    /// The plugin's numbers of sets.
    set_asked_as: FxHashMap<SetId, SetId>,
    /// Reached candidates whose facts are known and whose needs were not followed yet.
    fresh: Vec<CandidateId>,
    /// Sets whose members are reached, by number.
    set_used: Vec<bool>,
    /// Those of them of which some candidate is to be known.
    choices: Vec<SetId>,
    /// The names of features, in all and by package.
    features: FxHashMap<(NameId, String), NameId>,
    features_of: FxHashMap<NameId, Vec<NameId>>,
    /// Sets that were made of others: a bucket of one, the same of a feature, one candidate.
    parts: FxHashMap<(SetId, Option<NameId>, Option<u32>), SetId>,
    exact: FxHashMap<CandidateId, SetId>,
}

impl Loader {
    /// Loads all that the roots of an opened session can reach.
    ///
    /// # Errors
    ///
    /// Where the plugin says so, or breaks the protocol.
    pub fn load(
        ask: &mut (impl Ask + ?Sized),
        opened: OpenAnswer,
        keep: Keep,
    ) -> Result<(Universe, Self, Vec<Diagnostic>), LoadError> {
        let mut loader = Self {
            keep,
            names: Vec::new(),
            sets: Vec::new(),
            notes: opened.notes,
            wanted_names: Vec::new(),
            wanted_sets: Vec::new(),
            set_seen: Vec::new(),
            set_asked_as: FxHashMap::default(),
            fresh: Vec::new(),
            set_used: Vec::new(),
            choices: Vec::new(),
            features: FxHashMap::default(),
            features_of: FxHashMap::default(),
            parts: FxHashMap::default(),
            exact: FxHashMap::default(),
        };
        let mut universe = Universe::default();
        let universe_ref = &mut universe;
        loader.announce(universe_ref, opened.dictionary)?;
        let mut roots = opened.roots;
        for root in &mut roots {
            loader.admit_requirement(root)?;
            loader.want(universe_ref, &root.need);
        }
        loader.ask(universe_ref, ask)?;
        let lowered = roots.iter().map(|root| loader.lower(universe_ref, root));
        universe_ref.roots = lowered.collect::<Result<_, _>>()?;
        universe_ref.stated_roots = (universe_ref.roots != roots).then_some(roots);
        for root in universe_ref.roots.clone() {
            loader.follow(universe_ref, &root.need)?;
        }
        loader.run(universe_ref, ask)?;
        let notes = std::mem::take(&mut loader.notes);
        Ok((universe, loader, notes))
    }

    /// Asks about those of some candidates that are not known, and loads what they can reach.
    ///
    /// # Errors
    ///
    /// Where the plugin says so, or breaks the protocol.
    pub fn learn(
        &mut self,
        universe: &mut Universe,
        ask: &mut (impl Ask + ?Sized),
        candidates: &[CandidateId],
    ) -> Result<Vec<Diagnostic>, LoadError> {
        self.details(universe, ask, candidates)?;
        self.run(universe, ask)?;
        Ok(std::mem::take(&mut self.notes))
    }

    fn run(
        &mut self,
        universe: &mut Universe,
        ask: &mut (impl Ask + ?Sized),
    ) -> Result<(), LoadError> {
        loop {
            while !self.fresh.is_empty() {
                let fresh = std::mem::take(&mut self.fresh);
                for &id in &fresh {
                    let requires =
                        std::mem::take(&mut universe.candidates[id.index()].facts.requires);
                    for requirement in requires.iter().filter(|it| !it.optional) {
                        self.want(universe, &requirement.need);
                    }
                    universe.candidates[id.index()].facts.requires = requires;
                }
                self.ask(universe, ask)?;
                for id in fresh {
                    self.follow_candidate(universe, id)?;
                }
            }
            let unknown = self.first_choices(universe);
            if unknown.is_empty() {
                break;
            }
            self.details(universe, ask, &unknown)?;
        }
        self.load_conflicts(universe, ask)
    }

    /// Reduces what a candidate requires, and reaches that.
    fn follow_candidate(
        &mut self,
        universe: &mut Universe,
        id: CandidateId,
    ) -> Result<(), LoadError> {
        let stated = std::mem::take(&mut universe.candidates[id.index()].facts.requires);
        let mut lowered = Vec::with_capacity(stated.len());
        for requirement in &stated {
            // What is optional bounds nothing, whatever features it names.
            lowered.push(if requirement.optional {
                requirement.clone()
            } else {
                self.lower(universe, requirement)?
            });
        }
        for requirement in lowered.iter().filter(|it| !it.optional) {
            self.follow(universe, &requirement.need)?;
        }
        let candidate = &mut universe.candidates[id.index()];
        candidate.stated = (lowered != stated).then_some(stated);
        candidate.facts.requires = lowered;
        Ok(())
    }

    /// Reaches all members of all sets of a formula; of the alternatives of a choice, some candidate
    /// is to be known of one only.
    fn follow(&mut self, universe: &mut Universe, need: &Need) -> Result<(), LoadError> {
        let mut sets = Vec::new();
        self.choices_of(universe, need, true, &mut sets);
        for (set, chosen) in sets {
            if !std::mem::replace(&mut self.set_used[set.index()], true) {
                for id in universe.set(set).members.clone() {
                    self.reach(universe, id)?;
                }
            }
            if chosen {
                self.choices.push(set);
            }
        }
        Ok(())
    }

    fn choices_of(
        &self,
        universe: &Universe,
        need: &Need,
        chosen: bool,
        sets: &mut Vec<(SetId, bool)>,
    ) {
        match need {
            Need::Set(set) => sets.push((*set, chosen)),
            Need::Leaf(leaf) => sets.push((leaf.set, chosen)),
            Need::All { all } => {
                for part in all {
                    self.choices_of(universe, part, chosen, sets);
                }
            }
            Need::Any { any } => {
                let kept = |part: &&Need| {
                    let mut kept = false;
                    Universe::leaves(part, &mut |set, _| {
                        let mut members = universe.set(set).members.iter();
                        kept |= members.any(|&id| (self.keep)(universe, universe.base(id)));
                    });
                    kept
                };
                let first = any.iter().find(kept).or(any.first());
                for part in any {
                    let is_first = first.is_some_and(|first| std::ptr::eq(first, part));
                    self.choices_of(universe, part, chosen && is_first, sets);
                }
            }
        }
    }

    fn reach(&mut self, universe: &mut Universe, id: CandidateId) -> Result<(), LoadError> {
        let candidate = &mut universe.candidates[id.index()];
        if candidate.facts.excluded.is_some() || std::mem::replace(&mut candidate.reached, true) {
            return Ok(());
        }
        if !candidate.known && universe.feature(id).is_some() {
            let of = universe.base(id);
            self.reach(universe, of)?;
            if universe.candidate(of).known {
                self.fill(universe, id)?;
            }
        }
        if universe.candidate(id).known {
            self.fresh.push(id);
        }
        Ok(())
    }

    /// The first choices that are not known yet. A choice that is known and was excluded since is made
    /// anew.
    fn first_choices(&mut self, universe: &Universe) -> Vec<CandidateId> {
        let mut unknown = Vec::new();
        self.choices.sort_unstable();
        self.choices.dedup();
        for &set in &self.choices {
            let kept = universe.choices(set).find(|&id| (self.keep)(universe, universe.base(id)));
            let first = kept.or_else(|| universe.choices(set).next());
            unknown.extend(first.filter(|&id| !universe.candidate(id).known));
        }
        unknown
    }

    /// Takes in new dictionary entries.
    fn announce(
        &mut self,
        universe: &mut Universe,
        dictionary: Dictionary,
    ) -> Result<(), LoadError> {
        let many = || LoadError::Protocol("more than four thousand million names".into());
        for entry in dictionary.names {
            let id = u32::try_from(universe.names.len()).map_err(|_| many())?;
            let asked_as = u32::try_from(self.names.len()).map_err(|_| many())?;
            self.names.push(NameId(id));
            universe.names.push(Name {
                text: entry.text,
                context: entry.context,
                kind: entry.kind,
                ecosystem: entry.ecosystem,
                granularity: Granularity::One,
                candidates: 0..0,
                loaded: false,
                similar: Vec::new(),
                feature_of: None,
                asked_as: Some(NameId(asked_as)),
            });
        }
        for set in dictionary.sets {
            let Some(&name) = self.names.get(set.name.index()) else {
                return broken(format!(
                    "set {:?} is of name {}, which was never announced",
                    set.text, set.name.0
                ));
            };
            let id = SetId(u32::try_from(universe.sets.len()).map_err(|_| many())?);
            let asked_as = SetId(u32::try_from(self.sets.len()).map_err(|_| many())?);
            self.sets.push(id);
            self.set_asked_as.insert(id, asked_as);
            universe.sets.push(VersionSet {
                name,
                text: set.text,
                members: Vec::new(),
                known: false,
            });
        }
        universe.classes.extend(dictionary.classes);
        self.grow(universe);
        Ok(())
    }

    fn grow(&mut self, universe: &Universe) {
        self.set_seen.resize(universe.sets.len(), false);
        self.set_used.resize(universe.sets.len(), false);
    }

    /// Notes that the members of a formula's sets are wanted.
    fn want(&mut self, universe: &mut Universe, need: &Need) {
        Universe::leaves(need, &mut |set, _| {
            if !std::mem::replace(&mut self.set_seen[set.index()], true) {
                self.wanted_sets.push(set);
                let name = universe.set(set).name;
                let entry = &mut universe.names[name.index()];
                if !entry.loaded {
                    entry.loaded = true;
                    self.wanted_names.push(name);
                }
            }
        });
    }

    /// Asks for the names and sets that turned up.
    fn ask(
        &mut self,
        universe: &mut Universe,
        ask: &mut (impl Ask + ?Sized),
    ) -> Result<(), LoadError> {
        self.load_names(universe, ask)?;
        self.load_members(universe, ask)
    }

    fn load_names(
        &mut self,
        universe: &mut Universe,
        ask: &mut (impl Ask + ?Sized),
    ) -> Result<(), LoadError> {
        if self.wanted_names.is_empty() {
            return Ok(());
        }
        let mut names = std::mem::take(&mut self.wanted_names);
        names.sort_unstable();
        let asked = names.iter().filter_map(|&name| universe.name(name).asked_as).collect();
        let request = FactsRequest { names: asked };
        let answer = ask.facts(&request)?;
        if answer.packages.len() != request.names.len() {
            return broken("facts: as many packages as names are due");
        }
        self.announce(universe, answer.dictionary)?;
        self.notes.extend(answer.notes);
        for ((&name, &asked), package) in names.iter().zip(&request.names).zip(answer.packages) {
            if package.name != asked {
                return broken(format!("facts: name {} is due, {} came", asked.0, package.name.0));
            }
            self.add_package(universe, name, package)?;
        }
        Ok(())
    }

    fn add_package(
        &mut self,
        universe: &mut Universe,
        id: NameId,
        package: PackageFacts,
    ) -> Result<(), LoadError> {
        let overflow = || LoadError::Protocol("more than four thousand million candidates".into());
        let start = u32::try_from(universe.candidates.len()).map_err(|_| overflow())?;
        let count = u32::try_from(package.candidates.len()).map_err(|_| overflow())?;
        let name = &mut universe.names[id.index()];
        // A name that others provide may be provided by several at once.
        name.granularity =
            if name.kind == NameKind::Virtual { Granularity::Any } else { package.granularity };
        name.similar = package.similar;
        name.candidates = start..start.checked_add(count).ok_or_else(overflow)?;
        let granularity = name.granularity;
        let mut buckets: FxHashMap<String, u32> = FxHashMap::default();
        for (position, mut facts) in (0..count).zip(package.candidates) {
            self.admit_candidate(universe, &mut facts)?;
            let bucket = match granularity {
                Granularity::One => 0,
                Granularity::Any => position,
                Granularity::Bucket => {
                    let next = u32::try_from(buckets.len()).map_err(|_| overflow())?;
                    *buckets.entry(facts.bucket.clone()).or_insert(next)
                }
            };
            let known = !facts.deferred;
            let candidate =
                Candidate { name: id, bucket, reached: false, known, stated: None, facts };
            universe.candidates.push(candidate);
            let own = CandidateId(start + position);
            if universe.candidate(own).facts.marks.contains(&Mark::Yanked)
                && !(self.keep)(universe, own)
            {
                universe.candidates[own.index()].exclude("it was withdrawn".into());
            }
        }
        Ok(())
    }

    /// Asks for what was deferred of some candidates, or of those that features are of.
    fn details(
        &mut self,
        universe: &mut Universe,
        ask: &mut (impl Ask + ?Sized),
        candidates: &[CandidateId],
    ) -> Result<(), LoadError> {
        let mut wanted: Vec<_> = candidates.iter().map(|&id| universe.base(id)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        wanted.retain(|&id| !universe.candidate(id).known);
        if wanted.is_empty() {
            return Ok(());
        }
        let place = |&id: &CandidateId| {
            let name = universe.name(universe.candidate(id).name);
            let candidate = id.0 - name.candidates.start;
            name.asked_as.map(|name| CandidatePlace { name, candidate })
        };
        let request = DetailsRequest { candidates: wanted.iter().filter_map(place).collect() };
        let answer = ask.details(&request)?;
        if answer.candidates.len() != wanted.len() {
            return broken("details: as many candidates as were asked for are due");
        }
        self.announce(universe, answer.dictionary)?;
        self.notes.extend(answer.notes);
        for (&id, mut facts) in wanted.iter().zip(answer.candidates) {
            self.admit_candidate(universe, &mut facts)?;
            let candidate = &mut universe.candidates[id.index()];
            if facts.version != candidate.facts.version || facts.bucket != candidate.facts.bucket {
                return broken(format!(
                    "details: version {} is due, {} came",
                    candidate.facts.version, facts.version
                ));
            }
            candidate.known = true;
            candidate.facts = facts;
            if let Some(reason) = candidate.facts.excluded.clone() {
                candidate.exclude(reason);
            } else if candidate.reached {
                self.fresh.push(id);
            }
            self.features_known(universe, id)?;
        }
        Ok(())
    }

    fn load_members(
        &mut self,
        universe: &mut Universe,
        ask: &mut (impl Ask + ?Sized),
    ) -> Result<(), LoadError> {
        let mut sets = std::mem::take(&mut self.wanted_sets);
        sets.sort_unstable();
        let asked = sets.iter().filter_map(|set| self.set_asked_as.get(set).copied()).collect();
        let request = MembersRequest { sets: asked };
        if request.sets.is_empty() {
            return Ok(());
        }
        let answer = ask.members(&request)?;
        if answer.sets.len() != request.sets.len() {
            return broken("members: as many answers as sets are due");
        }
        for (&id, members) in sets.iter().zip(answer.sets) {
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
        Ok(())
    }

    /// Asks for the members of what only conflicts and optional needs name, among loaded names.
    fn load_conflicts(
        &mut self,
        universe: &mut Universe,
        ask: &mut (impl Ask + ?Sized),
    ) -> Result<(), LoadError> {
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
        self.load_members(universe, ask)
    }
}
