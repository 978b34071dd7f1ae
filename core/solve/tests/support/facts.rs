//! A small universe as a plugin would tell it.

use super::small::{Formula, Name, Set, Small, Version};
use std::collections::HashMap;
use x2nix_model::{Ask, CandidateId, Universe, load};
use x2nix_protocol::{
    Candidate, ClassId, Conflict, Dictionary, FactsAnswer, FactsRequest, Leaf, Mark, Members,
    MembersAnswer, MembersRequest, NameEntry, NameId, Need, OpenAnswer, PackageFacts, PluginResult,
    Requirement, SetEntry, SetId,
};

/// Loads a small universe whose names are announced in the given order.
pub(crate) fn universe(small: &Small, order: &[usize]) -> Universe {
    let mut teller = Teller { small, order, sets: Vec::new(), set_ids: HashMap::new() };
    let names = order
        .iter()
        .map(|&name| NameEntry { text: Small::name_text(name), ..NameEntry::default() });
    let names = names.collect();
    let roots = small.roots.iter().map(|root| Requirement::new(teller.need(root))).collect();
    let mut dictionary = teller.news(0);
    dictionary.names = names;
    dictionary.classes = vec!["first".into(), "second".into()];
    let opened = OpenAnswer { dictionary, roots, ..OpenAnswer::default() };
    load(&mut teller, opened).expect("a small universe loads").0
}

/// The candidate at a position of a name, if the universe was told of it.
pub(crate) fn candidate(
    universe: &Universe,
    order: &[usize],
    name: usize,
    position: usize,
) -> CandidateId {
    let id = order.iter().position(|&other| other == name).expect("every name is in the order");
    let range = &universe.names[id].candidates;
    CandidateId(range.start + u32::try_from(position).expect("few"))
}

struct Teller<'s> {
    small: &'s Small,
    order: &'s [usize],
    sets: Vec<SetEntry>,
    set_ids: HashMap<Set, SetId>,
}

impl Teller<'_> {
    /// The sets that were announced since there were so many.
    fn news(&self, known: usize) -> Dictionary {
        Dictionary { sets: self.sets[known..].to_vec(), ..Dictionary::default() }
    }

    fn set(&mut self, set: Set) -> SetId {
        let id = SetId(u32::try_from(self.sets.len()).expect("few"));
        let name = self.order.iter().position(|&name| name == set.name).expect("in the order");
        *self.set_ids.entry(set).or_insert_with(|| {
            let name = NameId(u32::try_from(name).expect("few"));
            self.sets.push(SetEntry { name, text: format!("in {:03b}", set.bits) });
            id
        })
    }

    fn need(&mut self, formula: &Formula) -> Need {
        match formula {
            Formula::Leaf { set, post: false } => Need::Set(self.set(*set)),
            Formula::Leaf { set, post: true } => Need::Leaf(Leaf {
                set: self.set(*set),
                role: x2nix_protocol::Role::Host,
                post: true,
                features: Vec::new(),
            }),
            Formula::All(parts) => {
                Need::All { all: parts.iter().map(|part| self.need(part)).collect() }
            }
            Formula::Any(parts) => {
                Need::Any { any: parts.iter().map(|part| self.need(part)).collect() }
            }
        }
    }

    fn candidate(&mut self, text: String, version: &Version) -> Candidate {
        let mut requires: Vec<_> =
            version.requires.iter().map(|need| Requirement::new(self.need(need))).collect();
        for need in &version.optional {
            let need = self.need(need);
            requires.push(Requirement { optional: true, ..Requirement::new(need) });
        }
        let conflicts = version.conflicts.iter();
        Candidate {
            version: text,
            bucket: version.bucket.to_string(),
            marks: if version.avoid { vec![Mark::Avoid] } else { Vec::new() },
            excluded: version.excluded.then(|| "it is out of stock".into()),
            requires,
            conflicts: conflicts.map(|&set| Conflict { set: self.set(set), line: None }).collect(),
            classes: version
                .classes
                .iter()
                .map(|&class| ClassId(u32::try_from(class).expect("few")))
                .collect(),
            ..Candidate::default()
        }
    }

    fn package(&mut self, id: NameId) -> PackageFacts {
        let number = self.order[id.index()];
        let Name { granularity, versions } = &self.small.names[number];
        let candidates = versions.iter().enumerate().map(|(position, version)| {
            self.candidate(self.small.version_text(number, position), version)
        });
        PackageFacts {
            name: id,
            granularity: *granularity,
            candidates: candidates.collect(),
            similar: Vec::new(),
        }
    }
}

impl Ask for Teller<'_> {
    fn facts(&mut self, request: &FactsRequest) -> PluginResult<FactsAnswer> {
        let known = self.sets.len();
        let packages = request.names.iter().map(|&name| self.package(name)).collect();
        Ok(FactsAnswer { dictionary: self.news(known), packages, notes: Vec::new() })
    }

    fn members(&mut self, request: &MembersRequest) -> PluginResult<MembersAnswer> {
        let members = |set: &SetId| {
            let (set, _) = self.set_ids.iter().find(|(_, id)| *id == set).expect("announced");
            let count = u32::try_from(self.small.names[set.name].versions.len()).expect("few");
            Members::from_positions((0..count).filter(|position| set.bits >> position & 1 == 1))
        };
        Ok(MembersAnswer { sets: request.sets.iter().map(members).collect() })
    }
}
