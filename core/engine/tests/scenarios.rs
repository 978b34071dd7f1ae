//! Every scenario of `tests/scenarios/`, through the whole engine.
//!
//! `X2NIX_SCENARIO=NAME` runs one of them. `X2NIX_UPDATE_SCENARIOS=1` writes the explanations that
//! are given into the files that expect another one: read the difference before you keep it.

mod support;

use std::{fmt::Write as _, sync::Arc};
use support::{
    plugin::{EXPORT, PREVIOUS, ScenarioPlugin},
    request,
    scenario::{self, Expected, ExpectedAnswer, Scenario},
    shelf::Shelf,
};
use x2nix_core::{
    Failure,
    lock::{self, Lock},
    resolve,
    solve::Explanation,
    suggest,
};
use x2nix_plugin_host::carrier::through_json;
use x2nix_protocol::{Blob, Host, Placement, Plugin};

/// How the message about another explanation begins.
const SAYS: &str = "it says\n";

#[test]
fn every_scenario_ends_as_it_says() {
    let only = std::env::var("X2NIX_SCENARIO").ok();
    let update = std::env::var_os("X2NIX_UPDATE_SCENARIOS").is_some();
    let mut failed = String::new();
    for (name, text) in scenario::files() {
        if only.as_ref().is_none_or(|only| *only == name) {
            for message in run(&text) {
                if update && let Some(says) = message.strip_prefix(SAYS) {
                    scenario::update(&name, &text, says);
                }
                writeln!(failed, "{name}: {message}").expect("a string grows");
            }
        }
    }
    assert!(failed.is_empty(), "\n{failed}");
}

/// Runs one scenario; says what is wrong.
fn run(text: &str) -> Vec<String> {
    let scenario: Scenario = match toml::from_str(text) {
        Ok(scenario) => scenario,
        Err(error) => return vec![error.to_string()],
    };
    let host: Arc<dyn Host> = Arc::new(Shelf(text.to_owned()));
    let foreign = through_json(Arc::new(ScenarioPlugin));
    let linked_in = end(&ScenarioPlugin, &host, &scenario);
    let told = end(&foreign, &host, &scenario);
    let mut wrong = Vec::new();
    let names = |plugin: &dyn Plugin| x2nix_core::names(plugin, &host, &request(&scenario));
    if names(&foreign) != names(&ScenarioPlugin) {
        wrong.push("through JSON it has other names".into());
    }
    if told != linked_in {
        wrong.push(format!("through JSON it ends differently: {told:#?}"));
    }
    match (&scenario.expect, linked_in) {
        (Expected::Packages(packages), Ok(lock)) => {
            let packages = packages.clone();
            let expected = ExpectedAnswer { packages, ..ExpectedAnswer::default() };
            for platform in &scenario.platforms {
                wrong.extend(differences(&lock, platform, &expected));
            }
            wrong.extend(faults(&host, &scenario, &lock));
        }
        (Expected::Platforms(answers), Ok(lock)) => {
            for (platform, expected) in answers {
                wrong.extend(differences(&lock, platform, expected));
            }
            wrong.extend(faults(&host, &scenario, &lock));
        }
        (Expected::Unsolvable(expected), Err(End::Unsolvable(is)))
        | (Expected::Refused(expected), Err(End::Refused(is))) => {
            if expected.trim_end() != is {
                wrong.push(format!("{SAYS}{is}"));
            }
        }
        (_, Ok(lock)) => wrong.push(format!("it is answered: {:?}", lock.packages.keys())),
        (_, Err(end)) => wrong.push(format!("it ends with\n{}", end.text())),
    }
    wrong
}

/// How a scenario ends without a lock.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Refused(String),
    Unsolvable(String),
    Bug(String),
}

impl End {
    fn text(&self) -> &str {
        match self {
            Self::Refused(text) | Self::Unsolvable(text) | Self::Bug(text) => text,
        }
    }
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(diagnostic) => Self::Refused(diagnostic.message),
            Failure::Unsolvable { explanation, .. } => Self::Unsolvable(told(&explanation)),
            Failure::Bug(error) => Self::Bug(error.to_string()),
        }
    }
}

/// An explanation as text.
fn told(explanation: &Explanation) -> String {
    let mut lines = Vec::new();
    for reason in &explanation.reasons {
        let place = reason.origin.as_ref().map(|origin| format!(" ({origin})")).unwrap_or_default();
        lines.push(format!("{}{}{place}", "  ".repeat(reason.depth), reason.text));
    }
    lines.extend(explanation.suggestions.iter().map(|suggestion| suggestion.text.clone()));
    lines.join("\n")
}

/// Resolves what a scenario asks for, after what it asked for before.
fn end(plugin: &dyn Plugin, host: &Arc<dyn Host>, scenario: &Scenario) -> Result<Lock, End> {
    let mut request = request(scenario);
    if scenario.previous.is_some() {
        request.options.insert(PREVIOUS.into(), vec![]);
        request.previous = Some(resolve(plugin, host, &request)?.lock);
        request.options.clear();
    }
    let resolved = resolve(plugin, host, &request).map(|resolution| resolution.lock);
    resolved.map_err(|failure| match failure {
        Failure::Unsolvable { platform, mut explanation, .. } => {
            let help = suggest(plugin, host, &request, &platform, &explanation);
            explanation.suggestions = help.expect("what was opened opens again");
            End::Unsolvable(told(&explanation))
        }
        failure => failure.into(),
    })
}

/// How the answer on one platform differs from what is expected.
fn differences(lock: &Lock, platform: &str, expected: &ExpectedAnswer) -> Vec<String> {
    let Some(answer) = lock.platforms.get(platform) else {
        return vec![format!("there is no answer for {platform}")];
    };
    let mut wrong = Vec::new();
    if answer.packages != expected.packages {
        wrong.push(format!("on {platform} it has {:?}", answer.packages));
    }
    if answer.variables != expected.variables {
        wrong.push(format!("on {platform} it has the variables {:?}", answer.variables));
    }
    let in_workspace = |id: &&String| {
        lock.package(id, platform).is_some_and(|it| it.placement == Placement::Workspace)
    };
    let workspace: Vec<_> = answer.packages.iter().filter(in_workspace).cloned().collect();
    if workspace != expected.workspace {
        wrong.push(format!("on {platform} it has {workspace:?} in the workspace"));
    }
    for (id, expected) in &expected.features {
        let features = lock.package(id, platform).map(|package| &package.features);
        if features != Some(expected) {
            wrong.push(format!("on {platform} {id} has the features {features:?}"));
        }
    }
    let mut edges = Vec::new();
    for id in &answer.packages {
        let needs = lock.package(id, platform).map(|package| package.depends.as_slice());
        for by in needs.unwrap_or_default().iter().flat_map(|need| &need.by) {
            edges.push(format!("{id} -> {by}"));
        }
    }
    if !expected.edges.iter().all(|edge| edges.contains(edge))
        || expected.no_edges.iter().any(|edge| edges.contains(edge))
    {
        wrong.push(format!("on {platform} it has the edges {edges:?}"));
    }
    wrong
}

/// What a lock must stand: its own claims, its text, a check, and being made again.
fn faults(host: &Arc<dyn Host>, scenario: &Scenario, lock: &Lock) -> Vec<String> {
    let mut wrong: Vec<String> =
        lock::check_claims(lock).into_iter().map(|claim| claim.message).collect();
    let text = lock::write(lock);
    match lock::read(text.as_bytes(), "x2nix.lock.json") {
        Ok(read) if read == *lock => {}
        Ok(_) => wrong.push("the lock reads differently from how it was written".into()),
        Err(error) => wrong.push(format!("the lock does not read: {error}")),
    }
    let mut request = request(scenario);
    match x2nix_core::check(&ScenarioPlugin, host, &request, lock) {
        Ok(checked) => {
            let found = checked.stale.into_iter().chain(checked.violations);
            wrong.extend(found.map(|diagnostic| format!("checked: {}", diagnostic.message)));
        }
        Err(error) => wrong.push(format!("it cannot be checked: {error}")),
    }
    for (platform, answer) in &lock.platforms {
        let exported = x2nix_core::export(&ScenarioPlugin, host, &request, lock, platform, EXPORT);
        let lines = exported.as_ref().map(|exported| {
            let files = exported.files.values().map(|Blob(bytes)| String::from_utf8_lossy(bytes));
            files.map(|text| text.lines().count()).sum::<usize>()
        });
        let virtuals = answer.virtuals.values().map(Vec::len).sum::<usize>();
        let due = answer.packages.len() + answer.variables.len() + virtuals;
        if lines != Ok(due) {
            wrong.push(format!("exported: {exported:?}, where {due} lines are due"));
        }
    }
    request.previous = Some(lock.clone());
    match resolve(&ScenarioPlugin, host, &request).map_err(End::from) {
        Ok(again) if lock::write(&again.lock) == text => {}
        Ok(again) => wrong.push(format!("made again it is {}", lock::write(&again.lock))),
        Err(end) => wrong.push(format!("made again it ends with {}", end.text())),
    }
    wrong
}
