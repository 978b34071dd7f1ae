//! Preparations: a tool is resolved by itself, what it makes is one more input, and its units lie
//! beside those of the answer.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use x2nix_core::{
    Failure, Preparer, Request, RequestInput, lock::Lock, lock::check_claims, resolve,
};
use x2nix_protocol::*;

/// A plugin whose project says what it needs in a file that `tool` writes.
#[derive(Clone)]
struct Needy {
    /// What it asks for, whatever was made.
    always: bool,
    name: &'static str,
}

struct NeedySession {
    news: Dictionary,
}

const NAMES: [&str; 3] = ["tool", "library", "app"];

impl Plugin for Needy {
    fn describe(&self) -> Describe {
        Describe {
            ecosystem: "needy".into(),
            version: "1".into(),
            protocol: PROTOCOL_VERSION,
            title: "Needs a tool".into(),
            purl_type: None,
            platforms: PlatformMode::Each,
            finds_repositories: false,
            options: vec![],
            exports: vec![],
            policies: BTreeMap::from([("default".into(), vec![])]),
        }
    }

    fn open(&self, host: Arc<dyn Host>, request: &OpenRequest) -> PluginResult<Opened> {
        let session = Box::new(NeedySession { news: Dictionary::default() });
        let kind = |kind| request.inputs.iter().find(|input| input.kind == kind);
        let (project, made) = (kind(InputKind::Project), kind(InputKind::Generated));
        if project.is_some() && (made.is_none() || self.always) {
            let step = Step { phase: Phase::Install, words: vec![Word::text("tool")] };
            let recipe = Recipe::Build(Build { steps: vec![step], ..Build::default() });
            let preparation = Preparation {
                name: self.name.into(),
                roots: vec!["tool".into()],
                options: BTreeMap::new(),
                unit: unit("made", recipe, &[]),
                artifacts: BTreeMap::new(),
                origin: Some(Origin::new("config", Some(3))),
            };
            let answer = OpenAnswer { preparations: vec![preparation], ..OpenAnswer::default() };
            return Ok(Opened { session, answer });
        }
        let asked = match made {
            None => request.roots.clone(),
            Some(made) => {
                let question = ReadRequest { tree: made.tree, paths: vec!["needs".into()] };
                let files = host.read(&question)?.files;
                let [FileContent::Found(Blob(bytes))] = files.as_slice() else { panic!() };
                vec![String::from_utf8_lossy(bytes).trim().to_owned()]
            }
        };
        let mut answer = OpenAnswer::default();
        for (number, name) in (0..).zip(NAMES) {
            answer.dictionary.names.push(NameEntry { text: name.into(), ..NameEntry::default() });
            answer.dictionary.sets.push(SetEntry { name: NameId(number), text: String::new() });
        }
        for root in asked {
            let number = NAMES.iter().position(|name| *name == root).unwrap();
            answer.roots.push(Requirement::new(Need::Set(SetId(u32::try_from(number).unwrap()))));
        }
        Ok(Opened { session, answer })
    }
}

fn unit(name: &str, recipe: Recipe, needs: &[&str]) -> Unit {
    let edge =
        |unit: &&str| UnitEdge { unit: (*unit).into(), role: Role::Host, purpose: Purpose::Normal };
    Unit {
        name: name.into(),
        version: "1".into(),
        recipe,
        depends: needs.iter().map(edge).collect(),
        exports: vec![],
        meta: Meta::default(),
    }
}

impl Session for NeedySession {
    fn names(&mut self) -> PluginResult<NamesAnswer> {
        Ok(NamesAnswer { names: NAMES.map(str::to_owned).into() })
    }

    fn facts(&mut self, request: &FactsRequest) -> PluginResult<FactsAnswer> {
        let package = |&name: &NameId| {
            // Tool and app need the library.
            let requires = if NAMES[name.index()] == "library" {
                vec![]
            } else {
                vec![Requirement::new(Need::Set(SetId(1)))]
            };
            let candidate = Candidate { version: "1".into(), requires, ..Candidate::default() };
            PackageFacts {
                name,
                granularity: Granularity::One,
                candidates: vec![candidate],
                similar: vec![],
            }
        };
        let packages = request.names.iter().map(package).collect();
        Ok(FactsAnswer { dictionary: std::mem::take(&mut self.news), packages, notes: vec![] })
    }

    fn members(&mut self, request: &MembersRequest) -> PluginResult<MembersAnswer> {
        Ok(MembersAnswer {
            sets: request.sets.iter().map(|_| Members::from_positions([0])).collect(),
        })
    }

    fn build(&mut self, request: &BuildRequest) -> PluginResult<BuildAnswer> {
        let chosen: Vec<_> = request.chosen.iter().map(|it| NAMES[it.name.index()]).collect();
        // The library is built otherwise beside the tool than beside the app.
        let beside = if chosen.contains(&"tool") { "tool" } else { "app" };
        let mut answer = BuildAnswer::default();
        for name in chosen {
            let needs: &[&str] = if name == "library" { &["base"] } else { &["library"] };
            let path = Word(vec![Part::Late(LatePart::Unit {
                unit: needs[0].into(),
                path: beside.into(),
            })]);
            let step = Step { phase: Phase::Build, words: vec![Word::text("make"), path] };
            let recipe = Recipe::Build(Build { steps: vec![step], ..Build::default() });
            let mut built = unit(name, recipe, needs);
            let own = LatePart::Content { unit: name.into(), path: "lib".into() };
            let own = Word(vec![Part::Late(own)]);
            built.exports = vec![EnvironmentOperation::new("PLACES", Operation::Prepend, own)];
            answer.units.insert(name.into(), built);
            answer.unit_of.push(Some(name.into()));
        }
        let base = unit("base", Recipe::Provided { attribute: None }, &[]);
        answer.units.insert("base".into(), base);
        Ok(answer)
    }
}

/// Three trees: the project, and what is made.
struct Trees;

impl Host for Trees {
    fn list(&self, _: &ListRequest) -> PluginResult<ListAnswer> {
        Ok(ListAnswer::default())
    }

    fn read(&self, request: &ReadRequest) -> PluginResult<ReadAnswer> {
        let file = |path: &String| match (request.tree.0, path.as_str()) {
            (1, "needs") => FileContent::Found(Blob(b"app\n".to_vec())),
            _ => FileContent::Missing,
        };
        Ok(ReadAnswer { files: request.paths.iter().map(file).collect() })
    }
}

/// Says what it was asked to build.
#[derive(Default)]
struct Watching(Mutex<Vec<(Lock, String)>>);

impl Preparer for Watching {
    fn prepare(&self, lock: &Lock, unit: &str, _: &str) -> PluginResult<OpenedTree> {
        self.0.lock().unwrap().push((lock.clone(), unit.to_owned()));
        Ok(OpenedTree { tree: TreeId(1), location: unit.into(), hash: "sha256-made".into() })
    }
}

fn run(plugin: &Needy, preparer: Option<Arc<dyn Preparer>>) -> Result<Lock, Failure> {
    let input = Input { tree: TreeId(0), kind: InputKind::Project, label: "project".into() };
    let request = Request {
        inputs: vec![RequestInput { input, location: ".".into(), hash: None }],
        platforms: vec!["x86_64-linux".into()],
        build: true,
        preparer,
        ..Request::default()
    };
    let host: Arc<dyn Host> = Arc::new(Trees);
    resolve(plugin, &host, &request).map(|resolution| resolution.lock)
}

fn message(failure: &Failure) -> String {
    let Failure::Refused(diagnostic) = failure else { panic!("{failure:?}") };
    format!("{}: {}", diagnostic.code, diagnostic.message)
}

#[test]
fn a_tool_is_resolved_and_built_first() {
    let preparer = Arc::new(Watching::default());
    let plugin = Needy { always: false, name: "app-made" };
    let lock = run(&plugin, Some(preparer.clone())).unwrap();
    assert_eq!(check_claims(&lock), vec![]);

    let asked = preparer.0.lock().unwrap();
    let [(tool, unit)] = asked.as_slice() else { panic!() };
    assert_eq!(unit, "app-made");
    assert_eq!(tool.packages.keys().collect::<Vec<_>>(), ["library@1", "tool@1"]);
    assert_eq!(tool.units["app-made"].depends[0].unit, "tool");
    assert_eq!(tool.inputs[0].kind, InputKind::Project);

    // The answer is the project's, and the tool stands beside it.
    assert_eq!(lock.packages.keys().collect::<Vec<_>>(), ["app@1", "library@1"]);
    let made = &lock.preparations["app-made"];
    assert_eq!(made.roots, ["tool"]);
    assert_eq!(made.generated["x86_64-linux"], "sha256-made");
    assert_eq!(made.packages.keys().collect::<Vec<_>>(), ["library@1", "tool@1"]);
    let input = &lock.inputs[1];
    assert_eq!((input.kind, input.location.as_str()), (InputKind::Generated, "app-made"));

    // What is built in one way is one unit; what is not has a key of its own, and is spoken of by that.
    let units: Vec<_> = lock.units.keys().collect();
    assert_eq!(units, ["app", "app-made", "base", "library", "library:app-made", "tool"]);
    let tool = &lock.units["tool"];
    assert_eq!(tool.depends[0].unit, "library:app-made");
    let Recipe::Build(build) = &tool.recipe else { panic!() };
    let word = &build.steps[0].words[1].0[0];
    let late = LatePart::Unit { unit: "library:app-made".into(), path: "tool".into() };
    assert_eq!(*word, Part::Late(late));
    // So does a unit of itself, in what it exports.
    let late = LatePart::Content { unit: "library:app-made".into(), path: "lib".into() };
    assert_eq!(lock.units["library:app-made"].exports[0].value.0, [Part::Late(late)]);
    assert_eq!(
        lock.preparations["app-made"].packages["library@1"].unit.as_deref(),
        Some("library:app-made")
    );
}

#[test]
fn without_nix_it_is_said_what_is_missing() {
    let plugin = Needy { always: false, name: "app-made" };
    let failure = run(&plugin, None).unwrap_err();
    assert_eq!(
        message(&failure),
        "preparation::unavailable: app-made has to be made by Nix before this can be resolved"
    );
    let Failure::Refused(diagnostic) = failure else { panic!() };
    assert_eq!(diagnostic.fault, Fault::Access);
    assert_eq!(diagnostic.origin, Some(Origin::new("config", Some(3))));
}

#[test]
fn a_plugin_that_asks_for_ever_or_for_a_strange_name_is_refused() {
    let refused = |always, name| {
        let preparer: Arc<dyn Preparer> = Arc::new(Watching::default());
        message(&run(&Needy { always, name }, Some(preparer)).unwrap_err())
    };
    assert!(refused(true, "made").contains("asks again and again"));
    assert!(refused(false, "../made").contains("cannot be the name of a preparation"));
    assert!(refused(false, "").contains("cannot be the name of a preparation"));
    assert!(refused(false, "tool").contains("a package and a preparation are called tool"));
    assert!(refused(false, "app").contains("a package and a preparation are called app"));
}
