//! One unit for the whole workspace, which cargo builds: the simple alternative.
//!
//! Each crate of a registry is a unit that is only its source, shared between projects. The workspace's unit
//! makes a folder of links to them, which stands in for the registry, and a `Cargo.lock` of what was chosen.

use super::{
    edge, plan,
    recipe::{keys, purl},
    runtime,
    sources::{self, Crate},
    system::{self, Said},
    targets::Target as Made,
};
use crate::{
    chosen::Graph,
    lockfile::LOCKFILE,
    plugin::{ALL_FEATURES, CARGO, FEATURES, NO_DEFAULT_FEATURES, RUST_COMPILER},
    session::{CargoSession, Place},
    source::{Registry, Source as From},
};
use std::collections::BTreeMap;
use x2nix_protocol::{
    Artifact, Blob, Build, BuildAnswer, Diagnostic, LatePart, Meta, Part, Phase, PluginResult,
    Recipe, Role, Source, Step, Unit, Word,
};

/// Makes the units.
pub(super) fn build(
    session: &CargoSession,
    graph: &Graph<'_>,
    said: &Said,
) -> PluginResult<BuildAnswer> {
    let refuse = |what: &str| {
        Box::new(
            Diagnostic::error("cargo::workspace", format!("a workspace as a whole {what}"))
                .help("`--build crates` builds each crate by itself"),
        )
    };
    if session.workspace.is_none() {
        return Err(refuse("is a project with a Cargo.toml, and there is none"));
    }
    if graph.packages.iter().any(|package| matches!(package.source, From::Git(_))) {
        return Err(refuse("has no crates from Git yet"));
    }
    let crates = sources::read(session, graph, 0..graph.packages.len())?;
    if crates.values().any(|it| matches!(it.artifact, Artifact::Input { .. }) && it.local) {
        return Err(refuse("has all its folders below its own, and this one has others beside it"));
    }
    let keys = keys(graph);
    let mut answer = BuildAnswer::default();
    let mut vendored = Vec::new();
    for (at, package) in graph.packages.iter().enumerate() {
        let Place::Entry(entry) = &package.told.place else { continue };
        if !matches!(package.source, From::Registry(Registry::Default)) {
            return Err(refuse(&format!(
                "knows one registry, and {} is from another",
                package.name
            )));
        }
        let Some(made) = crates.get(&at) else { continue };
        let key = keys[at].clone();
        answer.artifacts.insert(key.clone(), made.artifact.clone());
        answer.units.insert(key.clone(), source(&key, package, &entry.checksum, made));
        vendored.push((format!("{}-{}", package.name, package.told.version), key));
    }
    let roots = plan::roots(session, graph)?;
    let mut unit = unit(graph, &roots, &crates);
    let mut steps = Vec::new();
    let places = vendored.iter().map(|(name, key)| {
        let late = LatePart::Unit { unit: key.clone(), path: String::new() };
        Word(vec![Part::Text(format!("{name}=")), Part::Late(late)])
    });
    let words = std::iter::once(Word::text("vendor")).chain(places).collect();
    steps.push(runtime::step(Phase::Build, words));
    for (phase, command) in [(Phase::Build, "build"), (Phase::Check, "test")] {
        let words = cargo_words(session, command);
        steps.push(runtime::step(phase, words.into_iter().map(Word::text).collect()));
    }
    steps.push(runtime::step(Phase::Install, vec![Word::text("install")]));
    let mut system = system::tool(said, CARGO);
    for (at, package) in graph.packages.iter().enumerate() {
        if crates.get(&at).is_some_and(|it| it.targets.script.is_some()) {
            let used = package.summary.dependencies.iter();
            let used = used.filter(|it| it.kind == crate::summary::Kind::Build);
            let used = used.map(|it| it.package.as_str());
            system.extend(system::needs(
                package,
                |feature| package.on.contains(feature),
                used,
                said,
            ));
        }
    }
    system.sort_unstable();
    system.dedup();
    let lock = graph.lock(session)?;
    unit.recipe = Recipe::Build(Build {
        sources: vec![Source { artifact: PROJECT.into(), ..Source::default() }],
        files: BTreeMap::from([(LOCKFILE.to_owned(), Blob(lock.into_bytes()))]),
        system,
        steps,
        ..Build::default()
    });
    unit.depends = vendored.iter().map(|(_, key)| edge(key, Role::Host)).collect();
    unit.depends.push(runtime::needed());
    unit.depends.sort_unstable();
    answer.artifacts.insert(PROJECT.into(), Artifact::Local { path: ".".into() });
    let key = roots.first().map_or_else(|| PROJECT.to_owned(), |&at| keys[at].clone());
    let unit_of = |&at: &usize| match graph.packages[at].told.place {
        Place::Entry(_) => Some(keys[at].clone()).filter(|key| answer.units.contains_key(key)),
        _ => Some(key.clone()),
    };
    answer.unit_of = graph.of_chosen.iter().map(unit_of).collect();
    answer.units.insert(key, unit);
    answer.units.insert(runtime::KEY.into(), runtime::unit(system::tool(said, RUST_COMPILER)));
    Ok(answer)
}

/// The artifact that is the project.
const PROJECT: &str = ".";

/// The unit that is a crate's source.
fn source(key: &str, package: &crate::chosen::Chosen<'_>, checksum: &str, made: &Crate) -> Unit {
    let version = package.told.version.to_string();
    let words: Vec<Word> = ["source", checksum].map(Word::text).into();
    let steps: Vec<Step> = vec![runtime::step(Phase::Install, words)];
    let sources = vec![Source { artifact: key.to_owned(), ..Source::default() }];
    Unit {
        name: package.name.clone(),
        recipe: Recipe::Build(Build { sources, steps, ..Build::default() }),
        depends: vec![runtime::needed()],
        exports: Vec::new(),
        meta: made.about.meta(purl(&package.name, &version)),
        version,
    }
}

/// The unit of the workspace, without its recipe.
fn unit(graph: &Graph<'_>, roots: &[usize], crates: &BTreeMap<usize, Crate>) -> Unit {
    // The package at the top gives its name; of several below it, the first.
    let top = roots.iter().find(
        |&&at| matches!(&graph.packages[at].told.place, Place::Folder(folder) if folder.is_empty()),
    );
    let at = top.or(roots.first()).copied();
    let programs = roots.iter().filter_map(|at| crates.get(at)).flat_map(|it| &it.targets.programs);
    let names: Vec<&Made> = programs.collect();
    let mut meta =
        at.and_then(|at| crates.get(&at)).map_or_else(Meta::default, |it| it.about.meta(None));
    meta.main_program = match names.as_slice() {
        [only] => Some(only.name.clone()),
        _ => None,
    };
    Unit {
        name: at.map_or_else(|| "workspace".into(), |at| graph.packages[at].name.clone()),
        version: at.map_or_else(|| "0".into(), |at| graph.packages[at].told.version.to_string()),
        recipe: Recipe::Build(Build::default()),
        depends: Vec::new(),
        exports: Vec::new(),
        meta,
    }
}

/// What cargo is told.
fn cargo_words(session: &CargoSession, command: &str) -> Vec<String> {
    let options = &session.request.options;
    let mut words = ["workspace", command, "--release", "--workspace"].map(str::to_owned).to_vec();
    if options.contains_key(ALL_FEATURES) {
        words.push("--all-features".into());
    }
    if options.contains_key(NO_DEFAULT_FEATURES) {
        words.push("--no-default-features".into());
    }
    for features in options.get(FEATURES).into_iter().flatten() {
        words.extend(["--features".to_owned(), features.clone()]);
    }
    words
}
