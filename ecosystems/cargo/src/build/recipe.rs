//! A unit for each crate.

use super::{
    edge, is_word,
    plan::{Piece, Plan, kinds, manifest_of},
    profile::{Profile, Subject},
    runtime,
    sources::Crate,
    system::{self, Said},
    targets::Target,
};
use crate::{
    chosen::Graph,
    plugin::{CARGO, RUST_COMPILER},
    session::{CargoSession, Place},
    summary::Kind,
};
use std::collections::{BTreeMap, BTreeSet};
use x2nix_protocol::{
    Build, BuildAnswer, BuildProblem, BuildVariable, Diagnostic, EnvironmentOperation, FurtherUnit,
    LatePart, Meta, Operation, Part, Phase, PluginResult, Recipe, Role, Source, Step, Unit,
    UnitPart, Word,
};

/// Makes the units.
pub(super) fn build(
    session: &CargoSession,
    graph: &Graph<'_>,
    said: &Said,
) -> PluginResult<BuildAnswer> {
    let plan = Plan::new(session, graph)?;
    let profile = Profile::new(manifest_of(session, &plan.roots, &plan.crates, graph));
    let builder = Builder { plan: &plan, profile, said, keys: keys(graph) };
    let mut answer = BuildAnswer::default();
    let mut next: Vec<Piece> = plan.roots.iter().filter_map(|&at| plan.root(at)).collect();
    let mut made: BTreeSet<Piece> = next.iter().copied().collect();
    while let Some(piece) = next.pop() {
        let key = builder.key(piece);
        let unit = match builder.unit(piece) {
            Ok((unit, needed)) => {
                next.extend(needed.into_iter().filter(|&piece| made.insert(piece)));
                unit
            }
            Err(diagnostic) => {
                let (unit, part) = (key.clone(), UnitPart::Other);
                answer.problems.push(BuildProblem { unit, part, diagnostic: *diagnostic });
                builder.bare(piece)
            }
        };
        if let Some(of) = plan.crates.get(&piece.at) {
            let (key, _) = builder.source(piece, of);
            answer.artifacts.insert(key, of.artifact.clone());
        }
        answer.units.insert(key, unit);
    }
    if !answer.units.is_empty() {
        let compiler = system::tool(said, RUST_COMPILER);
        answer.units.insert(runtime::KEY.to_owned(), runtime::unit(compiler));
    }
    for (position, &at) in (0..).zip(&graph.of_chosen) {
        let root = plan.roots.contains(&at).then(|| plan.root(at)).flatten();
        let others = [false, true].map(|builder| Piece { at, builder, shown: false });
        // What the project shows goes first; it may be one of the others.
        let pieces = root.into_iter().chain(others.into_iter().filter(|it| Some(*it) != root));
        let mut keys = pieces.filter(|piece| made.contains(piece)).map(|it| builder.key(it));
        answer.unit_of.push(keys.next());
        answer.further.extend(keys.map(|unit| FurtherUnit { package: position, unit }));
    }
    Ok(answer)
}

/// What packages are called in keys: the same version from two sources is told apart by a number.
pub(super) fn keys(graph: &Graph<'_>) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let key = |package: &crate::chosen::Chosen<'_>| {
        let key = format!("{}@{}", package.name, package.told.version);
        let count = seen.entry(key.clone()).or_default();
        *count += 1;
        if *count == 1 { key } else { format!("{key}:{count}") }
    };
    graph.packages.iter().map(key).collect()
}

struct Builder<'p> {
    plan: &'p Plan<'p>,
    profile: Profile<'p>,
    said: &'p Said,
    /// By package.
    keys: Vec<String>,
}

impl Builder<'_> {
    /// The key of a piece's unit.
    fn key(&self, piece: Piece) -> String {
        let key = &self.keys[piece.at];
        let is_shown = || {
            self.plan.roots.contains(&piece.at)
                && self.plan.root(piece.at).is_some_and(|it| it.shown)
        };
        match piece {
            Piece { builder: true, .. } => format!("{key}:build"),
            Piece { shown: false, .. } if is_shown() => format!("{key}:library"),
            _ => key.clone(),
        }
    }

    /// The key of a piece's artifact, and the folder in it.
    fn source(&self, piece: Piece, made: &Crate) -> (String, String) {
        let own = || (self.keys[piece.at].clone(), String::new());
        made.shared.clone().unwrap_or_else(own)
    }

    fn bare(&self, piece: Piece) -> Unit {
        let package = self.plan.package(piece.at);
        let about = self.plan.crates.get(&piece.at).map(|it| &it.about);
        let purl = matches!(package.told.place, Place::Entry(_))
            .then(|| purl(&package.name, &package.told.version.to_string()))
            .flatten();
        let suffix = if piece.builder { "-for-build" } else { "" };
        Unit {
            name: format!("{}{suffix}", package.name),
            version: package.told.version.to_string(),
            recipe: Recipe::Build(Build::default()),
            depends: Vec::new(),
            exports: Vec::new(),
            meta: about.map_or_else(Meta::default, |about| about.meta(purl)),
        }
    }

    fn refuse(&self, piece: Piece, what: &str) -> Box<Diagnostic> {
        let package = self.plan.package(piece.at);
        let message = format!("{} {}: {what}", package.name, package.told.version);
        Box::new(
            Diagnostic::error("cargo::build", message)
                .help("`--build workspace` leaves it to cargo, `--build nothing` builds nothing"),
        )
    }

    /// The unit of a piece, and the pieces that it needs.
    fn unit(&self, piece: Piece) -> PluginResult<(Unit, Vec<Piece>)> {
        let plan = self.plan;
        let mut unit = self.bare(piece);
        let Some(made) = plan.crates.get(&piece.at) else {
            return Err(self.refuse(piece, "its source was not read"));
        };
        let code = plan.links(piece, Kind::Normal)?;
        let script = match made.targets.script {
            Some(_) => plan.links(piece, Kind::Build)?,
            None => Vec::new(),
        };
        let mut steps = vec![self.package(piece, made)?];
        let depends = |kind: &str, links: &[(String, Piece)]| {
            let words = links.iter().map(|(name, to)| {
                let late = LatePart::Unit { unit: self.key(*to), path: String::new() };
                Word(vec![Part::Text(format!("{name}=")), Part::Late(late)])
            });
            let words = ["depends", kind].map(Word::text).into_iter().chain(words);
            (!links.is_empty()).then(|| step(words.collect()))
        };
        steps.extend(depends("normal", &code));
        if let Some(path) = &made.targets.script {
            steps.extend(depends("build", &script));
            steps.push(texts(&["build-script", path, &made.targets.edition]));
        }
        if let Some(library) = &made.targets.library {
            let kinds: Vec<&str> = if piece.shown {
                library.kinds.iter().map(String::as_str).collect()
            } else {
                kinds(library)
            };
            if piece.shown && kinds.iter().any(|kind| *kind == "cdylib" || *kind == "staticlib") {
                unit.exports = found_by_c();
            }
            let mut words = vec!["library", &library.name, &library.path, &library.edition];
            words.extend(kinds);
            steps.push(texts(&words));
        }
        if piece.shown {
            for Target { name, path, edition, .. } in plan.programs(piece) {
                steps.push(texts(&["binary", name, path, edition]));
            }
            unit.meta.main_program = self.main_program(piece, made);
        }
        let (artifact, from) = self.source(piece, made);
        let mut build = Build {
            sources: vec![Source { artifact, from, ..Source::default() }],
            steps,
            ..Build::default()
        };
        if made.targets.script.is_some() {
            let features = plan.features(piece);
            let used = script.iter().map(|(_, to)| plan.package(to.at).name.as_str());
            let package = plan.package(piece.at);
            build.system =
                system::needs(package, |feature| features.contains(feature), used, self.said);
        }
        if made.local {
            // For whoever works on it by hand, and for build scripts that ask it something.
            build.system.extend(system::tool(self.said, CARGO));
            build.system.sort_unstable();
            build.system.dedup();
        }
        unit.recipe = Recipe::Build(build);
        unit.depends.push(runtime::needed());
        for (_, to) in code.iter().chain(&script) {
            let role = if to.builder { Role::Build } else { Role::Host };
            unit.depends.push(edge(&self.key(*to), role));
        }
        unit.depends.sort_unstable();
        unit.depends.dedup();
        Ok((unit, code.into_iter().chain(script).map(|(_, to)| to).collect()))
    }

    /// What is told of the crate.
    fn package(&self, piece: Piece, made: &Crate) -> PluginResult<Step> {
        let package = self.plan.package(piece.at);
        let subject = Subject {
            name: &package.name,
            version: &package.told.version,
            member: package.member || self.plan.roots.contains(&piece.at),
            builder: piece.builder,
        };
        let flags = self.profile.flags(&subject)?;
        let version = package.told.version.to_string();
        let mut facts: Vec<(&str, &str)> = vec![("name", &package.name), ("version", &version)];
        facts.extend(made.about.facts());
        if let Some(links) = &package.summary.links {
            if !is_word(links) {
                return Err(self.refuse(piece, &format!("it links {links:?}, which is no name")));
            }
            facts.push(("links", links));
        }
        facts.extend(made.local.then_some(("local", "1")));
        facts.extend((!piece.shown).then_some(("publish", "1")));
        facts.push(("opt-level", &flags.optimisation));
        facts.extend(flags.debug.then_some(("debug", "true")));
        facts.extend(flags.debug_assertions.then_some(("debug-assertions", "1")));
        let features = self.plan.features(piece);
        let stated = package.summary.features.keys().map(String::as_str);
        if let Some(odd) = features.iter().copied().chain(stated).find(|it| !is_word(it)) {
            return Err(self.refuse(piece, &format!("{odd:?} cannot be the name of a feature")));
        }
        facts.extend(features.iter().map(|feature| ("feature", *feature)));
        facts.extend(flags.words.iter().map(|word| ("flag", word.as_str())));
        let checked = made.local.then(|| self.checked(piece));
        for word in checked.iter().flatten() {
            facts.push(("flag", word));
        }
        let finally = flags.finally.iter().filter(|_| piece.shown);
        facts.extend(finally.map(|word| ("final-flag", word.as_str())));
        let script = self.profile.flags(&Subject { builder: true, ..subject })?;
        if made.targets.script.is_some() {
            facts.extend(script.words.iter().map(|word| ("build-flag", word.as_str())));
        }
        let platform = Part::Late(LatePart::Variable(BuildVariable::Platform));
        let platform = Word(vec![Part::Text("platform=".into()), platform]);
        let words = std::iter::once(Word::text("package"))
            .chain(facts.iter().map(|(key, value)| Word::text(format!("{key}={value}"))))
            .chain((!piece.builder).then_some(platform));
        Ok(step(words.collect()))
    }

    /// What may be asked with `cfg`, so that rustc warns of what is misspelt and of nothing else.
    fn checked(&self, piece: Piece) -> Vec<String> {
        let summary = &self.plan.package(piece.at).summary;
        let stated = summary.features.keys();
        let stated =
            stated.filter(|it| *it != crate::summary::DEFAULT || !summary.default_is_implied);
        let names: Vec<_> = stated.map(|feature| format!("{feature:?}")).collect();
        let values = format!("cfg(feature, values({}))", names.join(", "));
        ["cfg(docsrs,test)", &values].map(|it| format!("--check-cfg={it}")).into()
    }

    fn main_program(&self, piece: Piece, made: &Crate) -> Option<String> {
        let names: Vec<&str> = self.plan.programs(piece).map(|it| it.name.as_str()).collect();
        let own = self.plan.package(piece.at).name.as_str();
        let wanted = made.about.default_run.as_deref().unwrap_or(own);
        let only = match names.as_slice() {
            [only] => Some(*only),
            _ => None,
        };
        names.iter().copied().find(|name| *name == wanted).or(only).map(str::to_owned)
    }
}

/// What lets a C compiler find the libraries of the output by their names.
fn found_by_c() -> Vec<EnvironmentOperation> {
    let folder = Word(vec![Part::Late(LatePart::Out("lib".into()))]);
    vec![EnvironmentOperation::new("LIBRARY_PATH", Operation::Prepend, folder)]
}

fn step(words: Vec<Word>) -> Step {
    runtime::step(Phase::Build, words)
}

fn texts(words: &[&str]) -> Step {
    step(words.iter().copied().map(Word::text).collect())
}

/// The package URL of a crate.
pub(super) fn purl(name: &str, version: &str) -> Option<String> {
    let mut purl = packageurl::PackageUrl::new("cargo", name).ok()?;
    purl.with_version(version).ok()?;
    Some(purl.to_string())
}
