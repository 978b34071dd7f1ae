//! A plugin that does what no plugin should: what, says the root that it is asked for.

#![allow(clippy::wildcard_imports, clippy::semicolon_if_nothing_returned)] // as authors write

use std::{collections::BTreeMap, hint::black_box, sync::Arc};
use x2nix_plugin::*;

x2nix_plugin::export!(Hostile, include_str!("../plugin.json"));

struct Hostile;

/// Answers for one package that needs nothing.
struct Conversation(String);

impl Plugin for Hostile {
    fn describe(&self) -> Describe {
        Describe {
            ecosystem: "hostile".into(),
            version: "1".into(),
            protocol: PROTOCOL_VERSION,
            title: "No good".into(),
            purl_type: None,
            platforms: PlatformMode::Each,
            finds_repositories: false,
            options: vec![],
            exports: vec![],
            policies: BTreeMap::from([("default".into(), vec![])]),
        }
    }

    fn open(&self, host: Arc<dyn Host>, request: &OpenRequest) -> PluginResult<Opened> {
        let what = request.roots.first().map_or("good", String::as_str).to_owned();
        match what.as_str() {
            "loop" => loop {
                std::hint::spin_loop();
            },
            "allocate" => {
                let mut all: Vec<Vec<u8>> = Vec::new();
                loop {
                    all.push(black_box(vec![1; 1 << 24]));
                }
            }
            "recurse" => {
                let _ = black_box(deep(1));
            }
            "panic" => panic!("on purpose"),
            "abort" => std::process::abort(),
            "ask" => loop {
                host.list(&ListRequest::new(TreeId(0), vec![]))?;
            },
            "fetch" => {
                drop(host.open(&OpenTreeRequest { place: "https://example.net/a.tar.gz".into() })?)
            }
            "read" => drop(host.open(&OpenTreeRequest { place: "/etc".into() })?),
            "up" => drop(host.open(&OpenTreeRequest { place: "../..".into() })?),
            "token" => {
                let token = request.user_environment.get("HOSTILE_TOKEN").cloned();
                let message = format!("the token is {token:?}");
                return Err(Diagnostic::error("hostile::token", message).into());
            }
            _ => {}
        }
        let mut answer = OpenAnswer::default();
        if what == "large" {
            let note = Diagnostic::warning("hostile::large", "x".repeat(200 << 20));
            answer.notes.push(note);
        }
        let (context, kind) = (String::new(), NameKind::Package);
        answer.dictionary.names.push(NameEntry { text: what.clone(), context, kind, ecosystem: 0 });
        answer.dictionary.sets.push(SetEntry { name: NameId(0), text: String::new() });
        answer.roots.push(Requirement::new(Need::Set(SetId(0))));
        Ok(Opened { session: Box::new(Conversation(what)), answer })
    }
}

fn deep(number: u64) -> u64 {
    let all = black_box([number; 64]);
    if number == 0 { 0 } else { deep(all[3] + 1) + all[5] }
}

impl Session for Conversation {
    fn facts(&mut self, request: &FactsRequest) -> PluginResult<FactsAnswer> {
        let requires = match self.0.as_str() {
            // A number that was never announced.
            "numbers" => vec![Requirement::new(Need::Set(SetId(77)))],
            "nest" => {
                let nest = |need, _| Need::All { all: vec![need] };
                vec![Requirement::new((0..100_000).fold(Need::Set(SetId(0)), nest))]
            }
            _ => vec![],
        };
        let deferred = self.0.starts_with("other-") && self.0 != "other-name";
        let candidate =
            Candidate { version: "1".into(), requires, deferred, ..Candidate::default() };
        let facts = |&NameId(name): &NameId| PackageFacts {
            name: NameId(if self.0 == "other-name" { name + 1 } else { name }),
            granularity: Granularity::One,
            candidates: vec![candidate.clone()],
            similar: vec![],
        };
        let names = if self.0 == "too-few" { &[] } else { request.names.as_slice() };
        let packages = names.iter().map(facts).collect();
        Ok(FactsAnswer { packages, ..FactsAnswer::default() })
    }

    fn details(&mut self, request: &DetailsRequest) -> PluginResult<DetailsAnswer> {
        // Not what it said of them before.
        let of = |what: &str, then: &str, now: &str| {
            if self.0 == what { now.to_owned() } else { then.to_owned() }
        };
        let version = of("other-version", "1", "2");
        let bucket = of("other-bucket", "", "1");
        let candidate = Candidate { version, bucket, ..Candidate::default() };
        let candidates = vec![candidate; request.candidates.len()];
        Ok(DetailsAnswer { candidates, ..DetailsAnswer::default() })
    }

    fn members(&mut self, request: &MembersRequest) -> PluginResult<MembersAnswer> {
        // Positions that no list of candidates has.
        let first = if self.0 == "members" { 1000 } else { 0 };
        let sets = request.sets.iter().map(|_| Members::from_positions([first])).collect();
        Ok(MembersAnswer { sets })
    }

    fn build(&mut self, request: &BuildRequest) -> PluginResult<BuildAnswer> {
        Ok(BuildAnswer { unit_of: vec![None; request.chosen.len()], ..BuildAnswer::default() })
    }
}
