//! The joint session: each question goes to the parts that it is about.

use super::numbers::Numbers;
use rustc_hash::FxHashMap;
use x2nix_model::Universe;
use x2nix_protocol::{
    BuildAnswer, BuildRequest, CandidatePlace, Describe, DetailsAnswer, DetailsRequest, Diagnostic,
    Edge, ExportAnswer, ExportRequest, FactsAnswer, FactsRequest, Members, MembersAnswer,
    MembersRequest, Need, PackageFacts, PluginResult, Requirement, Session, SetId,
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

    /// Asks each part at once for all that is asked of it; the answers stand where the questions stood.
    fn ask_each<T, A>(
        &mut self,
        asked: Vec<(usize, T)>,
        mut ask: impl FnMut(&mut Self, usize, Vec<T>) -> PluginResult<Vec<A>>,
    ) -> PluginResult<Vec<A>> {
        let mut answers: Vec<Option<A>> = asked.iter().map(|_| None).collect();
        let mut shares: Vec<_> = self.parts.iter().map(|_| (Vec::new(), Vec::new())).collect();
        for (place, (part, own)) in asked.into_iter().enumerate() {
            let (places, share) = &mut shares[part];
            places.push(place);
            share.push(own);
        }
        for (part, (places, share)) in shares.into_iter().enumerate() {
            if !share.is_empty() {
                for (place, told) in places.into_iter().zip(ask(self, part, share)?) {
                    answers[place] = Some(told);
                }
            }
        }
        Ok(answers.into_iter().flatten().collect())
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

impl Session for JoinedSession {
    fn facts(&mut self, request: &FactsRequest) -> PluginResult<FactsAnswer> {
        let asked = request.names.iter().map(|&name| self.numbers.name_of(name));
        let asked = asked.collect::<PluginResult<_>>()?;
        let mut answer = FactsAnswer::default();
        answer.packages = self.ask_each(asked, |session, part, names| {
            let mut told = session.session(part)?.facts(&FactsRequest { names })?;
            session.numbers.announce(part, told.dictionary, &mut answer.dictionary)?;
            answer.notes.append(&mut told.notes);
            for facts in &mut told.packages {
                session.numbers.package(part, facts)?;
            }
            Ok(told.packages)
        })?;
        self.add_bridges(&mut answer.packages)?;
        Ok(answer)
    }

    fn members(&mut self, request: &MembersRequest) -> PluginResult<MembersAnswer> {
        let open = request.sets.iter().filter(|set| !self.members.contains_key(set));
        let own = open.map(|&set| self.numbers.set_of(set).map(|(part, own, _)| (part, own)));
        let asked = own.collect::<PluginResult<_>>()?;
        let mut told = self
            .ask_each(asked, |session, part, sets| {
                Ok(session.session(part)?.members(&MembersRequest { sets })?.sets)
            })?
            .into_iter();
        let known = |set| self.members.get(set).cloned();
        let sets = request.sets.iter().filter_map(|set| known(set).or_else(|| told.next()));
        Ok(MembersAnswer { sets: sets.collect() })
    }

    fn details(&mut self, request: &DetailsRequest) -> PluginResult<DetailsAnswer> {
        let own = |asked: &CandidatePlace| {
            let (part, name) = self.numbers.name_of(asked.name)?;
            Ok((part, CandidatePlace { name, candidate: asked.candidate }))
        };
        let asked = request.candidates.iter().map(own).collect::<PluginResult<_>>()?;
        let mut answer = DetailsAnswer::default();
        answer.candidates = self.ask_each(asked, |session, part, candidates| {
            let mut told = session.session(part)?.details(&DetailsRequest { candidates })?;
            session.numbers.announce(part, told.dictionary, &mut answer.dictionary)?;
            answer.notes.append(&mut told.notes);
            for candidate in &mut told.candidates {
                session.numbers.candidate(part, candidate)?;
            }
            Ok(told.candidates)
        })?;
        for (asked, candidate) in request.candidates.iter().zip(&mut answer.candidates) {
            let more = self.waiting.remove(asked).into_iter().flatten();
            if candidate.excluded.is_none() {
                candidate.requires.extend(more);
            }
        }
        Ok(answer)
    }

    fn build(&mut self, request: &BuildRequest) -> PluginResult<BuildAnswer> {
        self.build_all(request)
    }

    fn export(&mut self, request: &ExportRequest) -> PluginResult<ExportAnswer> {
        self.export_from(request)
    }
}
