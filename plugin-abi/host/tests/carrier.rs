//! A plugin behind documents alone.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use x2nix_plugin_host::carrier::through_json;
use x2nix_protocol::*;

/// Answers from its host, and refuses what it is told to refuse.
struct Echo;

struct EchoSession(Arc<dyn Host>);

impl Plugin for Echo {
    fn describe(&self) -> Describe {
        Describe {
            ecosystem: "echo".into(),
            version: "1".into(),
            protocol: PROTOCOL_VERSION,
            title: "Echo".into(),
            purl_type: None,
            platforms: PlatformMode::Each,
            options: vec![],
            exports: vec![],
            policies: BTreeMap::from([("default".into(), vec![])]),
        }
    }

    fn open(&self, host: Arc<dyn Host>, request: &OpenRequest) -> PluginResult<Opened> {
        if request.roots.is_empty() {
            let error = Diagnostic::error("echo::empty", "no roots").at(Origin::new("f", Some(3)));
            return Err(error.access().help("give one").into());
        }
        let environment = request.roots.iter().map(|root| (root.clone(), String::new())).collect();
        let answer = OpenAnswer { environment, ..OpenAnswer::default() };
        Ok(Opened { session: Box::new(EchoSession(host)), answer })
    }
}

impl Session for EchoSession {
    fn facts(&mut self, _: &FactsRequest) -> PluginResult<FactsAnswer> {
        let read = self.0.read(&ReadRequest { tree: TreeId(0), paths: vec!["bytes".into()] })?;
        let FileContent::Found(Blob(bytes)) = &read.files[0] else { panic!() };
        let note = Diagnostic::warning("echo::bytes", format!("{bytes:?}"));
        Ok(FactsAnswer { notes: vec![note], ..FactsAnswer::default() })
    }

    fn members(&mut self, request: &MembersRequest) -> PluginResult<MembersAnswer> {
        let set = |set: &SetId| Members::from_positions([set.0, set.0 + 1]);
        Ok(MembersAnswer { sets: request.sets.iter().map(set).collect() })
    }

    fn build(&mut self, _: &BuildRequest) -> PluginResult<BuildAnswer> {
        let list = ListRequest { tree: TreeId(1), folders: vec![] };
        self.0.list(&list).map(|_| BuildAnswer::default())
    }
}

#[derive(Default)]
struct Trees(Mutex<Vec<String>>);

impl Host for Trees {
    fn list(&self, _: &ListRequest) -> PluginResult<ListAnswer> {
        Err(Diagnostic::error("test::list", "no such tree").into())
    }

    fn read(&self, request: &ReadRequest) -> PluginResult<ReadAnswer> {
        self.0.lock().unwrap().extend(request.paths.clone());
        Ok(ReadAnswer { files: vec![FileContent::Found(Blob(vec![0xff, 0]))] })
    }
}

#[test]
fn answers_errors_and_host_calls_come_through_the_same() {
    let trees = Arc::new(Trees::default());
    let plugin = through_json(Arc::new(Echo));
    assert_eq!(plugin.describe(), Echo.describe());
    let empty = OpenRequest::default();
    let error = plugin.open(trees.clone(), &empty).err().unwrap();
    assert_eq!(Some(error), Echo.open(trees.clone(), &empty).err());

    let request = OpenRequest { roots: vec!["a\u{0}\"\n".into()], ..OpenRequest::default() };
    let Opened { mut session, answer } = plugin.open(trees.clone(), &request).unwrap();
    assert!(answer.environment.contains_key("a\u{0}\"\n"));
    let facts = session.facts(&FactsRequest::default()).unwrap();
    assert_eq!(facts.notes[0].message, "[255, 0]");
    assert_eq!(*trees.0.lock().unwrap(), ["bytes"]);
    let members = session.members(&MembersRequest { sets: vec![SetId(4)] }).unwrap();
    assert_eq!(members.sets, [Members(vec![(4, 2)])]);
    assert_eq!(session.build(&BuildRequest::default()).unwrap_err().code, "test::list");
}
