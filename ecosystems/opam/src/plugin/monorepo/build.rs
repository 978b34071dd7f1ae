//! From the two sets of a monorepo to units.
//!
//! The host's packages, and the bare ones of the workspace, are derivations as ever; where both have
//! the same version, they share it. The vendored packages that a root needs are one unit, the
//! [`duniverse`]. The root's own unit copies it, and one dune compiles all.
//!
//! A plain monorepo has one duniverse, for all packages of the project, which one dune compiles together.
//! Where the sets are separate, each root is a program of its own (a unikernel for one target, say) and
//! has a duniverse of what it needs.

use super::{
    duniverse::{self, folders},
    rules::{self, Verdict},
    shell,
};
use crate::mirage::{self, Configured, Made};
use crate::plugin::{
    build::{Builder, Choice, Contents, Package, View, derive, key, packages},
    dictionary::Side,
    session::OpamSession,
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};
use x2nix_protocol::{
    Artifact, Build, BuildAnswer, BuildVariable, EnvironmentOperation, LatePart, Meta, Operation,
    Part, Phase, Placed, PluginResult, Purpose, Recipe, Role, Source, Step, SystemNeed, Unit,
    UnitEdge, Word,
};

/// The folder of a project that has its vendored sources.
const DUNIVERSE: &str = "duniverse";

/// The artifact that is the project.
const PROJECT: &str = ".";

/// What a root, or all roots of a plain monorepo, are compiled with.
pub(in crate::plugin) struct Workspace<'s> {
    /// The packages of the project, sorted.
    pub(in crate::plugin) roots: Vec<&'s str>,
    /// The unit of the vendored sources, if there are any.
    pub(in crate::plugin) duniverse: Option<String>,
    /// The derivations that they need, by the name of the package: dune, the compiler, `conf-*`, and
    /// what the host provides.
    pub(in crate::plugin) edges: BTreeMap<&'s str, UnitEdge>,
    /// What the vendored packages need from the package set of Nix.
    pub(in crate::plugin) system: Vec<SystemNeed>,
}

/// What a workspace makes of a package.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Project,
    Vendored,
    Derivation,
}

/// Makes the units of a monorepo.
pub(in crate::plugin) fn build(
    session: &OpamSession,
    system: &BTreeMap<String, Vec<SystemNeed>>,
    chosen: &[Choice<'_>],
    answer: &mut BuildAnswer,
) -> PluginResult<()> {
    let packages = chosen.iter().copied().filter(|choice| choice.side != Side::Source);
    let contents = Contents::of(session, packages)?;
    units(session, system, chosen, &contents, answer)
}

fn units<'s>(
    session: &'s OpamSession,
    system: &'s BTreeMap<String, Vec<SystemNeed>>,
    chosen: &[Choice<'s>],
    contents: &'s Contents,
    answer: &mut BuildAnswer,
) -> PluginResult<()> {
    let on = |side: Side| {
        let here = chosen.iter().filter(move |choice| choice.side == side);
        here.map(|choice| (choice.name, choice.version))
    };
    let crosses = |name: &str| session.monorepo.as_ref().is_some_and(|it| it.crosses(name));
    let host: View<'s> = on(Side::Host).collect();
    // What a package of the workspace sees: its own side, and across it what the host provides.
    let across = host.iter().filter(|(name, _)| crosses(name));
    let view: View<'s> =
        on(Side::Main).chain(across.map(|(&name, &version)| (name, version))).collect();
    derive(session, system, Side::Host, host.clone(), host, contents, answer)?;

    let packages = packages(session, Side::Main, &view, contents)?;
    let places = places(session, on(Side::Main).map(|(name, _)| name), &packages)?;
    let is = |name: &str, place| places.get(name) == Some(&place);
    let derived = |name: &str| places.get(name).is_none_or(|place| *place == Place::Derivation);
    let seen: View<'s> =
        view.iter().filter(|(name, _)| derived(name)).map(|(&n, &v)| (n, v)).collect();
    let bare = on(Side::Main).filter(|(name, _)| is(name, Place::Derivation)).collect();
    derive(session, system, Side::Main, seen, bare, contents, answer)?;

    let positions: BTreeMap<&str, u32> = (0..)
        .zip(chosen)
        .filter(|(_, choice)| choice.side == Side::Main)
        .map(|(position, choice)| (choice.name, position))
        .collect();
    let position = |name: &str| positions.get(name).copied();
    let builder = Builder { session, chosen: view, packages, system, problems: RefCell::default() };
    let mut unit_of: BTreeMap<&str, String> = BTreeMap::new();
    for group in groups(session, &builder.chosen) {
        let reached = builder.reached(&group);
        let vendored = reached.iter().filter(|name| is(name, Place::Vendored));
        let vendored: Vec<&Package<'_>> =
            vendored.filter_map(|name| builder.packages.get(name)).collect();
        let (name, version) = names(session, &builder.chosen, &group);
        let roots: Vec<&str> =
            group.iter().copied().filter(|name| is(name, Place::Project)).collect();
        let own = key(&name, version);
        let compiled_by: Vec<String> =
            Some(own.clone()).filter(|_| !roots.is_empty()).into_iter().collect();
        let separate = session.monorepo.as_ref().is_some_and(|monorepo| monorepo.separate);
        let title = if separate { format!("{name}-monorepo") } else { DUNIVERSE.into() };
        let mut needs = BTreeSet::new();
        let duniverse = if vendored.is_empty() {
            None
        } else {
            let folders = folders(vendored.iter().copied())?;
            for folder in &folders {
                for package in &folder.packages {
                    let system = builder.system(package)?;
                    needs.extend(system.iter().cloned());
                    answer.placed.extend(position(package.owner.name).map(|position| Placed {
                        package: position,
                        name: package.key(),
                        unit: title.clone(),
                        folder: folder.name.clone(),
                        compiled_by: compiled_by.clone(),
                        system,
                    }));
                }
            }
            let (unit, mut artifacts) = duniverse::unit(&builder, &title, version, &folders)?;
            answer.units.insert(title.clone(), unit);
            answer.artifacts.append(&mut artifacts);
            Some(title.clone())
        };
        answer.problems.append(&mut builder.problems.take());
        for package in vendored {
            unit_of.entry(package.owner.name).or_insert_with(|| title.clone());
        }
        // A library of the system that is compiled here (gmp) is not looked for there (conf-gmp).
        let replaced = |name: &str| {
            let library = name.strip_prefix("conf-");
            library.is_some_and(|library| {
                let mut vendored = reached.iter().filter(|name| is(name, Place::Vendored));
                vendored.any(|name| {
                    let rest = library.strip_prefix(name);
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
                })
            })
        };
        let needed = |name: &&&str| derived(name) && !replaced(name);
        let edge = |name: &&'s str| {
            let unit = key(name, &builder.chosen[name].version);
            (*name, UnitEdge { unit, role: Role::Build, purpose: Purpose::Normal })
        };
        let workspace = Workspace {
            roots,
            duniverse,
            edges: reached.iter().filter(needed).map(edge).collect(),
            system: needs.into_iter().collect(),
        };
        if !workspace.roots.is_empty() {
            for root in &workspace.roots {
                unit_of.insert(root, own.clone());
            }
            let tests = session.monorepo.as_ref().is_some_and(|monorepo| monorepo.tests);
            answer.artifacts.insert(PROJECT.into(), Artifact::Local { path: ".".into() });
            let unikernel = session.unikernels.iter().find(|it| it.package == name);
            let unit = if let Some(unikernel) = unikernel {
                let it = unikernel_of(unikernel, &workspace, &builder, version, contents)?;
                mirage::add(it, &own, answer)
            } else {
                let root = workspace.roots.first().copied();
                let local = session.locals.iter().find(|it| Some(it.name.as_str()) == root);
                let mark = local.map_or("dune-project", |local| local.path.as_str());
                answer.units.entry(shell::KEY.to_owned()).or_insert_with(shell::unit);
                compile(&workspace, &name, version, tests, mark)
            };
            answer.units.insert(own, unit);
        }
    }
    let unit = |choice: &Choice<'s>| match choice.side {
        Side::Source => None,
        Side::Main if !derived(choice.name) => unit_of.get(choice.name).cloned(),
        Side::Main | Side::Host => Some(key(choice.name, &choice.version.version)),
    };
    answer.unit_of = chosen.iter().map(unit).collect();
    Ok(())
}

/// What a unikernel is made of.
fn unikernel_of<'a>(
    configured: &'a Configured,
    workspace: &'a Workspace<'_>,
    builder: &'a Builder<'_>,
    version: &'a str,
    contents: &'a Contents,
) -> PluginResult<Made<'a>> {
    let name = configured.package.as_str();
    let package = builder.packages.get(name);
    let opam = builder.chosen.get(name).and_then(|version| contents.get(version));
    let (mut synopsis, mut installed) = (None, None);
    if let Some(package) = package {
        synopsis = package.read(package.file.synopsis())?.map(String::from);
        installed = package.read(package.file.install())?.iter().find_map(mirage::installed);
    }
    // What configures it is none of its build, and what that is built with neither.
    let edges = workspace.edges.iter().filter(|(name, _)| **name != mirage::TOOL);
    Ok(Made {
        configured,
        version,
        opam: opam.unwrap_or_default(),
        synopsis,
        image: installed.unwrap_or_else(|| configured.image()),
        duniverse: workspace.duniverse.as_deref(),
        dune: workspace.edges.get("dune").map(|edge| edge.unit.as_str()),
        edges: edges.map(|(_, edge)| edge.clone()).collect(),
        system: workspace.system.clone(),
        project: PROJECT,
    })
}

/// What the workspace makes of some packages.
pub(super) fn places<'s>(
    session: &OpamSession,
    names: impl Iterator<Item = &'s str>,
    packages: &BTreeMap<&'s str, Package<'s>>,
) -> PluginResult<BTreeMap<&'s str, Place>> {
    names.map(|name| Ok((name, place(session, name, packages.get(name))?))).collect()
}

fn place(session: &OpamSession, name: &str, package: Option<&Package<'_>>) -> PluginResult<Place> {
    let Some(package) = package else { return Ok(Place::Derivation) };
    if session.locals.iter().any(|local| local.name == name) {
        return Ok(Place::Project);
    }
    let verdict = package.read(rules::verdict(name, &package.file, package.owner.local))?;
    Ok(if verdict == Verdict::Bare { Place::Derivation } else { Place::Vendored })
}

/// The roots that are compiled together.
pub(super) fn groups<'s>(session: &'s OpamSession, view: &View<'s>) -> Vec<Vec<&'s str>> {
    let is_asked = |name: &&str| session.is_requested(name);
    let (project, named): (Vec<_>, Vec<_>) = view
        .keys()
        .copied()
        .filter(is_asked)
        .partition(|name| session.locals.iter().any(|local| local.name == *name));
    if session.monorepo.as_ref().is_some_and(|monorepo| monorepo.separate) {
        let each = project.into_iter().map(|name| vec![name]);
        each.chain(Some(named).filter(|named| !named.is_empty())).collect()
    } else {
        vec![project.into_iter().chain(named).collect()]
    }
}

/// The name and version of what some roots are compiled to.
pub(super) fn names<'s>(
    session: &OpamSession,
    view: &View<'s>,
    group: &[&'s str],
) -> (String, &'s str) {
    let is_local = |name: &&&str| session.locals.iter().any(|local| local.name == **name);
    let project: Vec<_> = group.iter().filter(is_local).collect();
    let first = project.first().copied().or(group.first());
    let version = first.and_then(|name| view.get(name)).map_or("0", |it| it.version.as_str());
    match (project.as_slice(), first) {
        ([_] | [], Some(name)) => ((*name).to_owned(), version),
        _ => ("workspace".into(), version),
    }
}

/// The unit of a plain monorepo's own packages: dune compiles the project and its duniverse, and
/// installs the project's packages.
fn compile(workspace: &Workspace<'_>, name: &str, version: &str, tests: bool, mark: &str) -> Unit {
    let late = |part| Word(vec![Part::Late(part)]);
    let in_unit = |unit: &str, path: &str| {
        late(LatePart::Unit { unit: unit.to_owned(), path: path.to_owned() })
    };
    let mut build = Build {
        sources: vec![Source { artifact: PROJECT.into(), ..Source::default() }],
        system: workspace.system.clone(),
        ..Build::default()
    };
    let mut step = |phase, words: Vec<Word>| build.steps.push(Step { phase, words });
    let texts = |words: &[&str]| words.iter().copied().map(Word::text).collect::<Vec<_>>();
    let dune = |words: &[&str]| texts(&[&["dune"], words, &["--root", "."]].concat());
    let mut edges: Vec<_> = workspace.edges.values().cloned().collect();
    if let Some(duniverse) = &workspace.duniverse {
        step(Phase::Prepare, texts(&["rm", "-rf", DUNIVERSE]));
        let mut copy = texts(&["cp", "-R", "--preserve=mode,timestamps"]);
        copy.extend([in_unit(duniverse, ""), Word::text(DUNIVERSE)]);
        step(Phase::Prepare, copy);
        step(Phase::Prepare, texts(&["chmod", "-R", "u+w", DUNIVERSE]));
        let (role, purpose) = (Role::Build, Purpose::Normal);
        edges.push(UnitEdge { unit: duniverse.clone(), role, purpose });
    }
    let release = ["--profile", "release"];
    let jobs = [Word::text("-j"), late(LatePart::Variable(BuildVariable::Jobs))];
    let installs = workspace.roots.iter().map(|root| Word::text(format!("{root}.install")));
    let mut words = dune(&["build"]);
    words.extend(texts(&release).into_iter().chain(jobs.clone()).chain(installs));
    step(Phase::Build, words);
    if tests {
        let mut words = dune(&["build"]);
        words.extend(texts(&release).into_iter().chain(jobs).chain([Word::text("@runtest")]));
        step(Phase::Check, words);
    }
    let mut words = dune(&["install"]);
    words.extend([Word::text("--prefix"), late(LatePart::Out(String::new()))]);
    words.extend([Word::text("--libdir"), late(LatePart::Out("lib".into()))]);
    words.extend(workspace.roots.iter().map(|root| Word::text(*root)));
    step(Phase::Install, words);
    let own_dune = workspace.edges.get("dune").map(|edge| edge.unit.as_str());
    build.steps.push(shell::step(mark, workspace.duniverse.as_deref(), None, own_dune));
    edges.push(shell::edge());

    let set = |variable: &str, value: &str| {
        EnvironmentOperation::new(variable, Operation::Set, Word::text(value))
    };
    build.environment.push(set("DUNE_CACHE", "disabled"));
    // The host may have a dune of its own that its tools were built with.
    if let Some(dune) = workspace.edges.get("dune") {
        let bin = in_unit(&dune.unit, "bin");
        build.environment.push(EnvironmentOperation::new("PATH", Operation::Prepend, bin));
    }
    edges.sort_unstable();
    Unit {
        name: name.into(),
        version: version.into(),
        recipe: Recipe::Build(build),
        depends: edges,
        exports: Vec::new(),
        meta: Meta::default(),
    }
}
