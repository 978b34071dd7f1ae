//! A plugin behind documents alone.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use x2nix_plugin_host::carrier::{Carrier, Foreign, Tape, through_json};
use x2nix_protocol::{
    message::{HostLine, Line, Reply},
    *,
};

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
            finds_repositories: false,
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
        let list = ListRequest::new(TreeId(1), vec![]);
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

/// A plugin that answers each method with given bytes.
struct Raw(BTreeMap<&'static str, Vec<Vec<u8>>>, AtomicUsize);

struct RawLine(BTreeMap<&'static str, Vec<Vec<u8>>>);

impl Carrier for Raw {
    fn label(&self) -> &'static str {
        "raw.wasm"
    }

    fn connect(&self, _: Arc<dyn HostLine>) -> PluginResult<Box<dyn Line>> {
        // Another answer each time, where there are several.
        let time = self.1.fetch_add(1, Ordering::Relaxed);
        let turn = |answers: &Vec<Vec<u8>>| vec![answers[time % answers.len()].clone()];
        Ok(Box::new(RawLine(self.0.iter().map(|(name, it)| (*name, turn(it))).collect())))
    }
}

impl Line for RawLine {
    fn call(&mut self, method: &str, _: &[u8]) -> PluginResult<Reply> {
        Ok(Ok(self.0[method][0].clone()))
    }
}

#[test]
fn answers_that_are_none_name_plugin_call_and_place() {
    let describe = serde_json::to_vec(&Echo.describe()).unwrap();
    let other = String::from_utf8(describe.clone()).unwrap().replace("Echo", "Other").into_bytes();
    let open = |text: &[u8]| {
        let failures = tempfile::tempdir().unwrap();
        let raw = Raw(
            BTreeMap::from([("describe", vec![describe.clone()]), ("open", vec![text.to_vec()])]),
            AtomicUsize::new(0),
        );
        let plugin = Foreign::new(Arc::new(raw)).unwrap();
        let plugin = plugin.with_failures(Some(failures.path().to_owned()));
        let opened = plugin.open(Arc::new(Trees::default()), &OpenRequest::default());
        let error = opened.err().unwrap();
        assert_eq!(error.code, "plugin::answer");
        assert!(error.message.starts_with("plugin raw.wasm, call `open`: "), "{error}");
        // What was said is kept, whatever it is, and can be read again.
        let kept = std::fs::read_dir(failures.path()).unwrap().next().unwrap().unwrap().path();
        assert!(error.help.unwrap().contains(kept.to_str().unwrap()));
        Tape::read(&std::fs::read(&kept).unwrap(), "kept").unwrap();
        error.message
    };
    assert!(open(b"{").contains("EOF"));
    assert!(open(b"{\"roots\": [\"\xff\"]}").contains("at `roots[0]"));
    assert!(
        open(br#"{"roots": [], "dictionary": {"sets": [{"name": "x"}]}}"#)
            .contains("at `dictionary.sets[0].name`")
    );
    let deep = [b"{\"roots\": [{\"need\": ".to_vec(), br#"{"all":["#.repeat(10_000)].concat();
    assert!(open(&deep).contains("recursion limit"));
    assert!(open(br#"{"roots": []} more"#).contains("trailing"));

    let raw =
        Raw(BTreeMap::from([("describe", vec![describe.clone(), other])]), AtomicUsize::new(0));
    let plugin = Foreign::new(Arc::new(raw)).unwrap();
    let error = plugin.open(Arc::new(Trees::default()), &OpenRequest::default()).err().unwrap();
    assert!(error.message.contains("the same question has two answers"), "{error}");
    let old = String::from_utf8(describe).unwrap().replace("\"protocol\":1", "\"protocol\":0");
    let raw = Raw(BTreeMap::from([("describe", vec![old.into_bytes()])]), AtomicUsize::new(0));
    let error = Foreign::new(Arc::new(raw)).err().unwrap();
    assert!(error.message.contains("speaks protocol 0"), "{error}");
}
