//! A plugin whose repository is an index elsewhere: a file for each name, which is fetched when the name is
//! asked for. A line of it is a version and what that needs: `1.0 other another`, newest first.

#![allow(clippy::wildcard_imports)] // as authors write

use std::{collections::BTreeMap, sync::Arc};
use x2nix_plugin::*;

x2nix_plugin::export!(Remote, include_str!("../plugin.json"));

struct Remote;

struct Conversation {
    host: Arc<dyn Host>,
    index: String,
    /// Names by number; the set of all versions of a name has the same number.
    names: Vec<String>,
    counts: BTreeMap<NameId, u32>,
}

impl Plugin for Remote {
    fn describe(&self) -> Describe {
        Describe {
            ecosystem: "remote".into(),
            version: "1".into(),
            protocol: PROTOCOL_VERSION,
            title: "An index elsewhere".into(),
            purl_type: None,
            platforms: PlatformMode::Each,
            finds_repositories: false,
            options: vec![],
            exports: vec![],
            policies: BTreeMap::from([("default".into(), vec![])]),
        }
    }

    fn open(&self, host: Arc<dyn Host>, request: &OpenRequest) -> PluginResult<Opened> {
        let index = request.environment.get("INDEX").cloned().unwrap_or_default();
        let (names, counts) = (Vec::new(), BTreeMap::new());
        let mut session = Box::new(Conversation { host, index, names, counts });
        let mut answer = OpenAnswer::default();
        for root in &request.roots {
            let set = session.number(root, &mut answer.dictionary);
            answer.roots.push(Requirement::new(Need::Set(set)));
        }
        answer.environment.clone_from(&request.environment);
        Ok(Opened { session, answer })
    }
}

impl Conversation {
    fn number(&mut self, name: &str, announced: &mut Dictionary) -> SetId {
        let number = self.names.iter().position(|known| known == name).unwrap_or_else(|| {
            let (context, kind) = (String::new(), NameKind::Package);
            let id = NameId(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
            announced.names.push(NameEntry { text: name.to_owned(), context, kind, ecosystem: 0 });
            announced.sets.push(SetEntry { name: id, text: String::new() });
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        SetId(u32::try_from(number).unwrap_or(u32::MAX))
    }
}

impl Session for Conversation {
    fn facts(&mut self, request: &FactsRequest) -> PluginResult<FactsAnswer> {
        let url = |name: &NameId| format!("{}/{}", self.index, self.names[name.0 as usize]);
        let file = |name| FetchFile { url: url(name), hash: None, limit: Some(1 << 20) };
        let files = request.names.iter().map(file).collect();
        let fetched = self.host.fetch(&FetchRequest { files })?;
        let mut answer = FactsAnswer::default();
        for (&name, fetched) in request.names.iter().zip(fetched.files) {
            let text = match fetched {
                Fetched::Found { content, .. } => String::from_utf8_lossy(&content.0).into_owned(),
                Fetched::Missing => String::new(),
                Fetched::Failed(error) => return Err(error),
            };
            let mut candidates = Vec::new();
            for line in text.lines() {
                let mut words = line.split_whitespace();
                let version = words.next().unwrap_or_default().to_owned();
                let needs = words.map(|need| self.number(need, &mut answer.dictionary));
                let requires = needs.map(|set| Requirement::new(Need::Set(set))).collect();
                candidates.push(Candidate { version, requires, ..Candidate::default() });
            }
            self.counts.insert(name, u32::try_from(candidates.len()).unwrap_or(u32::MAX));
            let similar = Vec::new();
            let granularity = Granularity::One;
            answer.packages.push(PackageFacts { name, granularity, candidates, similar });
        }
        Ok(answer)
    }

    fn members(&mut self, request: &MembersRequest) -> PluginResult<MembersAnswer> {
        let count = |set: &SetId| self.counts.get(&NameId(set.0)).copied().unwrap_or(0);
        let sets = request.sets.iter().map(|set| Members::from_positions(0..count(set)));
        Ok(MembersAnswer { sets: sets.collect() })
    }

    fn build(&mut self, request: &BuildRequest) -> PluginResult<BuildAnswer> {
        Ok(BuildAnswer { unit_of: vec![None; request.chosen.len()], ..BuildAnswer::default() })
    }
}
