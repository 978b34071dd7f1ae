//! The joint session: each question goes to the parts that it is about.

use super::numbers::Numbers;
use rustc_hash::FxHashMap;
use x2nix_model::Universe;
use x2nix_protocol::{
    BuildAnswer, BuildRequest, CandidatePlace, Describe, DetailsAnswer, DetailsRequest, Diagnostic,
    Edge, ExportAnswer, ExportRequest, FactsAnswer, FactsRequest, Members, MembersAnswer,
    MembersRequest, NameId, Need, PackageFacts, PluginResult, Requirement, Session, SetId,
};

/// One ecosystem of a joint session.
pub(super) struct Part {
    /// None where nothing is asked of it.
    pub(super) session: Option<Box<dyn Session>>,
    /// Where its inputs are among all.
    pub(super) inputs: Vec<u32>,
    /// The number of the first tree that it opened itself.
    pub(super) opened: u32,
}

/// An edge in joint numbers.
pub(super) struct Bridge {
    pub(super) edge: Edge,
    /// The versions that need something.
    pub(super) from: Vec<SetId>,
    pub(super) needs: Need,
}

impl Bridge {
    pub(super) fn new(edge: &Edge, from: &Need, needs: Need) -> Self {
        Self { edge: edge.clone(), from: sets(from), needs }
    }

    fn requirement(&self) -> Requirement {
        let origin = self.edge.origin.clone();
        Requirement { origin, ..Requirement::new(self.needs.clone()) }
    }
}

/// The sets of a formula, the preferred ones first.
pub(super) fn sets(need: &Need) -> Vec<SetId> {
    let mut sets = Vec::new();
    Universe::leaves(need, &mut |set, _| sets.push(set));
    sets
}

/// A conversation with several plugins.
pub(super) struct JoinedSession {
    pub(super) describes: Vec<Describe>,
    pub(super) parts: Vec<Part>,
    pub(super) numbers: Numbers,
    pub(super) bridges: Vec<Bridge>,
    /// What the sets of edges have in them.
    members: FxHashMap<SetId, Members>,
    /// What is to be added to versions of which more is told later.
    waiting: FxHashMap<CandidatePlace, Vec<Requirement>>,
}

fn broken(ecosystem: &str, what: &str) -> Box<Diagnostic> {
    Box::new(Diagnostic::error("plugin::protocol", format!("{ecosystem}: {what}")))
}

impl JoinedSession {
    pub(super) fn new(
        describes: Vec<Describe>,
        parts: Vec<Part>,
        numbers: Numbers,
        bridges: Vec<Bridge>,
    ) -> Self {
        let (members, waiting) = (FxHashMap::default(), FxHashMap::default());
        Self { describes, parts, numbers, bridges, members, waiting }
    }

    /// The session of a part.
    pub(super) fn session(&mut self, part: usize) -> PluginResult<&mut dyn Session> {
        match self.parts.get_mut(part).and_then(|part| part.session.as_mut()) {
            Some(session) => Ok(session.as_mut()),
            None => Err(broken(&self.describes[part].ecosystem, "nothing was asked of it")),
        }
    }

    /// Sorts what is asked about by the part that it is of, with its place in the question.
    fn by_part<T>(
        &self,
        asked: impl Iterator<Item = PluginResult<(usize, T)>>,
    ) -> PluginResult<Vec<(Vec<usize>, Vec<T>)>> {
        let mut parts: Vec<_> = self.parts.iter().map(|_| (Vec::new(), Vec::new())).collect();
        for (place, asked) in asked.enumerate() {
            let (part, own) = asked?;
            let (places, all) = &mut parts[part];
            places.push(place);
            all.push(own);
        }
        Ok(parts)
    }

    /// The members of a set of an edge; whoever asks for them again gets the same answer.
    pub(super) fn members_of(&mut self, set: SetId) -> PluginResult<Members> {
        if let Some(known) = self.members.get(&set) {
            return Ok(known.clone());
        }
        let (part, own, _) = self.numbers.set_of(set)?;
        let answer = self.session(part)?.members(&MembersRequest { sets: vec![own] })?;
        let members = answer.sets.into_iter().next().unwrap_or_default();
        self.members.insert(set, members.clone());
        Ok(members)
    }

    /// Adds what edges say to the facts of the versions that they are of.
    fn add_bridges(&mut self, packages: &mut [PackageFacts]) -> PluginResult<()> {
        let of: Vec<(SetId, Requirement)> = self
            .bridges
            .iter()
            .flat_map(|bridge| bridge.from.iter().map(|&set| (set, bridge.requirement())))
            .collect();
        for (set, requirement) in of {
            let (_, _, name) = self.numbers.set_of(set)?;
            let Some(facts) = packages.iter_mut().find(|facts| facts.name == name) else {
                continue;
            };
            for position in positions(&self.members_of(set)?) {
                let Some(candidate) = facts.candidates.get_mut(position as usize) else { continue };
                if candidate.deferred {
                    let place = CandidatePlace { name, candidate: position };
                    self.waiting.entry(place).or_default().push(requirement.clone());
                } else if candidate.excluded.is_none() {
                    candidate.requires.push(requirement.clone());
                }
            }
        }
        Ok(())
    }
}

/// The positions in a list of candidates.
pub(super) fn positions(members: &Members) -> impl Iterator<Item = u32> + '_ {
    members.0.iter().flat_map(|&(start, length)| start..start.saturating_add(length))
}

/// Puts answers of parts where the questions were.
fn place<T>(places: Vec<usize>, answers: Vec<T>, all: &mut [Option<T>]) {
    for (place, answer) in places.into_iter().zip(answers) {
        all[place] = Some(answer);
    }
}

impl Session for JoinedSession {
    fn facts(&mut self, request: &FactsRequest) -> PluginResult<FactsAnswer> {
        let asked = self.by_part(request.names.iter().map(|&name| self.numbers.name_of(name)))?;
        let mut answer = FactsAnswer::default();
        let mut packages: Vec<Option<PackageFacts>> = request.names.iter().map(|_| None).collect();
        for (part, (places, names)) in asked.into_iter().enumerate() {
            if names.is_empty() {
                continue;
            }
            let told = self.session(part)?.facts(&FactsRequest { names })?;
            self.numbers.announce(part, told.dictionary, &mut answer.dictionary)?;
            answer.notes.extend(told.notes);
            let mut own = told.packages;
            own.iter_mut().try_for_each(|facts| self.numbers.package(part, facts))?;
            place(places, own, &mut packages);
        }
        answer.packages = packages.into_iter().flatten().collect();
        self.add_bridges(&mut answer.packages)?;
        Ok(answer)
    }

    fn members(&mut self, request: &MembersRequest) -> PluginResult<MembersAnswer> {
        let mut sets: Vec<Option<Members>> =
            request.sets.iter().map(|set| self.members.get(set).cloned()).collect();
        let (open, numbers): (Vec<usize>, Vec<SetId>) = (0..)
            .zip(&request.sets)
            .filter(|(_, set)| !self.members.contains_key(set))
            .map(|(place, &set)| (place, set))
            .unzip();
        let own = |&set: &SetId| self.numbers.set_of(set).map(|(part, own, _)| (part, own));
        for (part, (places, own)) in self.by_part(numbers.iter().map(own))?.into_iter().enumerate()
        {
            if !own.is_empty() {
                let told = self.session(part)?.members(&MembersRequest { sets: own })?;
                let places = places.into_iter().map(|place| open[place]).collect();
                place(places, told.sets, &mut sets);
            }
        }
        Ok(MembersAnswer { sets: sets.into_iter().flatten().collect() })
    }

    fn details(&mut self, request: &DetailsRequest) -> PluginResult<DetailsAnswer> {
        let own = |asked: &CandidatePlace| {
            let (part, name) = self.numbers.name_of(asked.name)?;
            Ok((part, CandidatePlace { name, candidate: asked.candidate }))
        };
        let asked = self.by_part(request.candidates.iter().map(own))?;
        let mut answer = DetailsAnswer::default();
        let mut all = request.candidates.iter().map(|_| None).collect::<Vec<_>>();
        for (part, (places, candidates)) in asked.into_iter().enumerate() {
            if candidates.is_empty() {
                continue;
            }
            let told = self.session(part)?.details(&DetailsRequest { candidates })?;
            self.numbers.announce(part, told.dictionary, &mut answer.dictionary)?;
            answer.notes.extend(told.notes);
            let mut own = told.candidates;
            own.iter_mut().try_for_each(|candidate| self.numbers.candidate(part, candidate))?;
            place(places, own, &mut all);
        }
        for (asked, candidate) in request.candidates.iter().zip(&mut all) {
            let more = self.waiting.remove(asked).into_iter().flatten();
            if let Some(candidate) = candidate.as_mut().filter(|it| it.excluded.is_none()) {
                candidate.requires.extend(more);
            }
        }
        answer.candidates = all.into_iter().flatten().collect();
        Ok(answer)
    }

    fn build(&mut self, request: &BuildRequest) -> PluginResult<BuildAnswer> {
        self.build_all(request)
    }

    fn export(&mut self, request: &ExportRequest) -> PluginResult<ExportAnswer> {
        self.export_from(request)
    }
}

impl JoinedSession {
    /// The part that a name is of, and its number there.
    pub(super) fn name_of(&self, name: NameId) -> PluginResult<(usize, NameId)> {
        self.numbers.name_of(name)
    }
}
