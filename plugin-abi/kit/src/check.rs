//! The checks.

use crate::{
    host::{Manner, Trees},
    scenario::{Expected, Scenario},
    split::Split,
};
use serde_json::Value;
use std::sync::Arc;
use x2nix_core::{Failure, lock, resolve};
use x2nix_plugin_host::carrier::{Carrier, Foreign, HostServer, Replay, Tape};
use x2nix_protocol::{
    Diagnostic, FactsRequest, Host, MembersRequest, NameId, Plugin, PluginResult, SetId,
    message::{Reply, method},
};

/// More calls than this are not refused one by one.
const REFUSALS: usize = 24;

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What.
    pub name: String,
    /// What is wrong, if anything is.
    pub wrong: Option<String>,
}

impl Check {
    fn new(name: impl Into<String>, result: Result<(), String>) -> Self {
        Self { name: name.into(), wrong: result.err() }
    }
}

/// Runs all checks.
pub fn conform(carrier: &Arc<dyn Carrier>, scenarios: &[Scenario]) -> Vec<Check> {
    let plugin: Arc<dyn Plugin> = match Foreign::new(Arc::clone(carrier)) {
        Ok(plugin) => Arc::new(plugin),
        Err(error) => return vec![Check::new("describes itself", Err(text_of(&error)))],
    };
    let mut checks = vec![
        Check::new("describes itself", describes(plugin.as_ref())),
        Check::new("refuses what it does not know", refuses(carrier.as_ref())),
    ];
    for scenario in scenarios {
        let named = |what: &str| format!("{}: {what}", scenario.name);
        let run = |plugin: &dyn Plugin| run(plugin, scenario, Manner::Good).0;
        let first = run(plugin.as_ref());
        checks.push(Check::new(named(&scenario.about), expected(scenario, &first)));
        let same = |again: &Outcome| {
            if *again == first {
                Ok(())
            } else {
                Err(format!("{} became {}", first.text(), again.text()))
            }
        };
        checks.push(Check::new(named("twice the same"), same(&run(plugin.as_ref()))));
        for (backwards, what) in [(false, "asked one by one"), (true, "asked backwards")] {
            let split = Split { plugin: Arc::clone(&plugin), backwards };
            checks.push(Check::new(named(what), same(&run(&split))));
        }
        checks.push(Check::new(named("a bad host"), endures(plugin.as_ref(), scenario)));
        checks.push(Check::new(named("unknown numbers"), numbers(plugin.as_ref(), scenario)));
    }
    checks
}

/// Plays a kept conversation again: each answer must be the one that was kept.
pub fn replay(carrier: &dyn Carrier, tape: &Tape) -> PluginResult<Vec<Check>> {
    let mut line = carrier.connect(Arc::new(Replay::new(tape)))?;
    let mut checks = Vec::new();
    for (number, call) in tape.calls().enumerate() {
        let reply = line.call(&call.method, &call.request);
        let over = reply.is_err();
        let result = match (&reply, &call.reply) {
            (Err(error), _) => Err(text_of(error)),
            (Ok(now), Some(then)) if *now == *then || values(now) == values(then) => Ok(()),
            (Ok(_), Some(_)) => Err("the answer is another one".to_owned()),
            (Ok(_), None) => Err("it had no answer before, and has one now".to_owned()),
        };
        checks.push(Check::new(format!("call {number}, {}", call.method), result));
        if over {
            break;
        }
    }
    Ok(checks)
}

fn values(reply: &Reply) -> Option<Result<Value, Value>> {
    let value = |text: &Vec<u8>| serde_json::from_slice(text).ok();
    match reply {
        Ok(text) => value(text).map(Ok),
        Err(text) => value(text).map(Err),
    }
}

fn text_of(error: &Diagnostic) -> String {
    format!("{}: {}", error.code, error.message)
}

fn describes(plugin: &dyn Plugin) -> Result<(), String> {
    let describe = plugin.describe();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if describe.ecosystem.is_empty() || !describe.ecosystem.chars().all(plain) {
        return Err(format!("{:?} is no name of an ecosystem", describe.ecosystem));
    }
    if !describe.policies.contains_key("default") {
        return Err("there is no policy `default`".into());
    }
    Ok(())
}

/// What comes over a line that no host of ours would send.
fn refuses(carrier: &dyn Carrier) -> Result<(), String> {
    let nothing = || Arc::new(HostServer(Arc::new(Trees::new(&[], Manner::Good))));
    let cases: [(&str, &[u8]); 6] = [
        ("x2nix-no-such-method", b"null"),
        (method::OPEN, b"{"),
        (method::OPEN, b"[1, 2, 3]"),
        (method::FACTS, br#"{"names":[]}"#),
        (method::MEMBERS, br#"{"sets":[0]}"#),
        (method::BUILD, br#"{"chosen":[]}"#),
    ];
    for (method, request) in cases {
        let shown = format!("`{method}` of {}", String::from_utf8_lossy(request));
        let mut line = carrier.connect(nothing()).map_err(|error| text_of(&error))?;
        match line.call(method, request) {
            Ok(Err(text)) => drop(
                serde_json::from_slice::<Diagnostic>(&text)
                    .map_err(|error| format!("{shown} is refused without a diagnostic: {error}"))?,
            ),
            Ok(Ok(_)) => return Err(format!("{shown}, before `open`, has an answer")),
            Err(error) => return Err(format!("{shown}: {}", text_of(&error))),
        }
    }
    Ok(())
}

/// What came of a scenario.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The chosen packages, and the text of the lock.
    Solved(Vec<String>, String),
    Unsolvable,
    Refused(String, String),
    Bug(String),
}

impl Outcome {
    fn text(&self) -> String {
        match self {
            Self::Solved(packages, _) => format!("[{}]", packages.join(", ")),
            Self::Unsolvable => "no answer".into(),
            Self::Refused(code, message) => format!("the error {code} ({message})"),
            Self::Bug(message) => format!("a bug ({message})"),
        }
    }
}

/// Runs a scenario; how often the host was asked comes with it.
fn run(plugin: &dyn Plugin, scenario: &Scenario, manner: Manner) -> (Outcome, usize) {
    let (trees, request) = scenario.request();
    let trees = Arc::new(Trees::new(&trees, manner).with_files(&scenario.elsewhere));
    let host: Arc<dyn Host> = Arc::clone(&trees) as Arc<dyn Host>;
    let outcome = match resolve(plugin, &host, &request) {
        Ok(resolution) => {
            let packages = resolution.lock.packages.values();
            let packages = packages.map(|it| format!("{} {}", it.name, it.version));
            let mut packages: Vec<_> = packages.collect();
            packages.sort();
            Outcome::Solved(packages, lock::write(&resolution.lock))
        }
        Err(Failure::Unsolvable { .. }) => Outcome::Unsolvable,
        Err(Failure::Refused(error)) => Outcome::Refused(error.code.clone(), error.message),
        Err(Failure::Bug(error)) => Outcome::Bug(error.to_string()),
    };
    (outcome, trees.calls())
}

fn expected(scenario: &Scenario, outcome: &Outcome) -> Result<(), String> {
    let fits = match (&scenario.expect, outcome) {
        (Expected::Packages(expected), Outcome::Solved(packages, _)) => expected == packages,
        (Expected::Unsolvable(expected), outcome) => {
            *expected == matches!(outcome, Outcome::Unsolvable)
        }
        (Expected::Error(expected), Outcome::Refused(code, _)) => expected == code,
        _ => false,
    };
    if fits { Ok(()) } else { Err(format!("it gives {}", outcome.text())) }
}

/// A host that refuses or gives rubbish is answered with an error or with less, never with a crash.
fn endures(plugin: &dyn Plugin, scenario: &Scenario) -> Result<(), String> {
    let calls = run(plugin, scenario, Manner::Good).1;
    let refusals = (0..calls.min(REFUSALS)).map(Manner::Refuse);
    let others = [Manner::Missing, Manner::Unreadable, Manner::Garbage, Manner::Cut];
    for manner in refusals.chain(others) {
        let broke = |code: &str| code.starts_with("plugin::") || code.starts_with("protocol::");
        match run(plugin, scenario, manner).0 {
            Outcome::Refused(code, message) if broke(&code) => {
                return Err(format!("with a host of manner {manner:?}: {code}: {message}"));
            }
            Outcome::Bug(message) => return Err(format!("with {manner:?}: {message}")),
            _ => {}
        }
    }
    Ok(())
}

/// Numbers that were never announced are refused.
fn numbers(plugin: &dyn Plugin, scenario: &Scenario) -> Result<(), String> {
    let (trees, request) = scenario.request();
    let trees = Trees::new(&trees, Manner::Good).with_files(&scenario.elsewhere);
    let question = x2nix_protocol::OpenRequest {
        inputs: request.inputs.iter().map(|it| it.input.clone()).collect(),
        roots: request.roots,
        platform: scenario.platform.clone(),
        environment: request.environment,
        options: request.options,
        ..x2nix_protocol::OpenRequest::default()
    };
    let Ok(mut opened) = plugin.open(Arc::new(trees), &question) else { return Ok(()) };
    let unknown = u32::MAX - 1;
    let facts = opened.session.facts(&FactsRequest { names: vec![NameId(unknown)] }).map(drop);
    let members = opened.session.members(&MembersRequest { sets: vec![SetId(unknown)] }).map(drop);
    for (what, result) in [("facts", facts), ("members", members)] {
        match result {
            Err(error) if error.code == "plugin::crash" => {
                return Err(format!("`{what}` of an unknown number: {}", error.message));
            }
            Err(_) => {}
            Ok(()) => return Err(format!("`{what}` of an unknown number has an answer")),
        }
    }
    Ok(())
}
