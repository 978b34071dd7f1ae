//! A request that nobody waits for any more ends, wherever it is.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use x2nix_core::{Cancel, Failure, Request, protocol::*, resolve, solve};

/// An ecosystem of one package, in whose `facts` or `members` somebody cancels.
struct Toy {
    cancel: Cancel,
    during: &'static str,
    asked: Arc<AtomicU32>,
}

impl Plugin for Toy {
    fn describe(&self) -> Describe {
        Describe {
            ecosystem: "toy".into(),
            version: "1".into(),
            protocol: PROTOCOL_VERSION,
            title: "A toy".into(),
            purl_type: None,
            platforms: PlatformMode::Each,
            finds_repositories: false,
            options: vec![],
            exports: vec![],
            policies: [("default".into(), vec![])].into(),
        }
    }

    fn open(&self, host: Arc<dyn Host>, _: &OpenRequest) -> PluginResult<Opened> {
        let (context, kind) = (String::new(), NameKind::Package);
        let answer = OpenAnswer {
            dictionary: Dictionary {
                names: vec![NameEntry { text: "a".into(), context, kind, ecosystem: 0 }],
                sets: vec![SetEntry { name: NameId(0), text: String::new() }],
                classes: vec![],
            },
            roots: vec![Requirement::new(Need::Set(SetId(0)))],
            ..OpenAnswer::default()
        };
        let (cancel, during, asked) = (self.cancel.clone(), self.during, Arc::clone(&self.asked));
        Ok(Opened { session: Box::new(Talk { host, cancel, during, asked }), answer })
    }
}

struct Talk {
    host: Arc<dyn Host>,
    cancel: Cancel,
    during: &'static str,
    asked: Arc<AtomicU32>,
}

impl Talk {
    fn enter(&self, method: &str) -> PluginResult<()> {
        if method == self.during {
            self.cancel.cancel();
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.host.list(&ListRequest::new(TreeId(0), vec![])).map(drop)
    }
}

impl Session for Talk {
    fn facts(&mut self, request: &FactsRequest) -> PluginResult<FactsAnswer> {
        self.enter("facts")?;
        let candidate = Candidate { version: "1".into(), ..Candidate::default() };
        let package = |&name: &NameId| PackageFacts {
            name,
            granularity: Granularity::One,
            candidates: vec![candidate.clone()],
            similar: vec![],
        };
        let packages = request.names.iter().map(package).collect();
        Ok(FactsAnswer { packages, ..FactsAnswer::default() })
    }

    fn members(&mut self, request: &MembersRequest) -> PluginResult<MembersAnswer> {
        if self.during == "solving" {
            self.cancel.cancel();
        } else {
            self.enter("members")?;
        }
        let sets = request.sets.iter().map(|_| Members::from_positions([0])).collect();
        Ok(MembersAnswer { sets })
    }

    fn build(&mut self, request: &BuildRequest) -> PluginResult<BuildAnswer> {
        self.enter("build")?;
        Ok(BuildAnswer { unit_of: vec![None; request.chosen.len()], ..BuildAnswer::default() })
    }
}

struct Nothing;

impl Host for Nothing {
    fn list(&self, _: &ListRequest) -> PluginResult<ListAnswer> {
        Ok(ListAnswer::default())
    }

    fn read(&self, _: &ReadRequest) -> PluginResult<ReadAnswer> {
        Ok(ReadAnswer::default())
    }
}

#[test]
fn a_cancelled_request_ends_wherever_it_is() {
    let platforms = vec!["x86_64-linux".into()];
    let request = Request { platforms, build: true, ..Request::default() };
    for (during, calls) in
        [("never", Some(3)), ("facts", None), ("members", None), ("solving", None), ("build", None)]
    {
        let cancel = Cancel::default();
        let asked = Arc::new(AtomicU32::new(0));
        let plugin = Toy { cancel: cancel.clone(), during, asked: Arc::clone(&asked) };
        let host = cancel.host(Arc::new(Nothing));
        let result = resolve(&plugin, &host, &request);
        match (calls, result) {
            (Some(calls), Ok(_)) => assert_eq!(asked.load(Ordering::Relaxed), calls),
            (None, Err(Failure::Refused(error))) => {
                assert_eq!(error.code, "request::cancelled", "{during}");
                assert!(cancel.is_cancelled());
                // Nothing is asked after it.
                let most = [("facts", 1), ("members", 2), ("solving", 1), ("build", 3)];
                assert!(asked.load(Ordering::Relaxed) <= BTreeMap::from(most)[during]);
            }
            (_, result) => panic!("{during}: {result:?}"),
        }
    }
}

#[test]
fn the_search_stops_when_it_is_asked_to() {
    let universe = solve_universe();
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let stop = solve::Stop::new(move || count.fetch_add(1, Ordering::Relaxed) > 0);
    let preference = solve::Preference { stop, ..solve::Preference::default() };
    let result = solve::solve(&universe, &preference);
    assert!(matches!(result, Err(solve::SolveError::Stopped)), "{result:?}");
    assert!(solve::solve(&universe, &solve::Preference::default()).is_ok());
}

/// What the toy says.
fn solve_universe() -> x2nix_core::model::Universe {
    let cancel = Cancel::default();
    let plugin = Toy { cancel, during: "never", asked: Arc::default() };
    let mut opened = plugin.open(Arc::new(Nothing), &OpenRequest::default()).unwrap();
    x2nix_core::model::load(opened.session.as_mut(), opened.answer).unwrap().0
}
