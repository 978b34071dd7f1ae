//! The units of a platform as derivations.

use super::graph::{Graph, needs};
use super::shell::{effects, in_top, quote_value, steps, unit as in_scope};
use super::sources::{self, Sources, place, safe_name};
use crate::tree::{Binding, Expr, Text};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use std::collections::BTreeMap;
use x2nix_lock::Lock;
use x2nix_protocol::{Build, Meta, Phase, Purpose, Recipe, Role, Unit};

/// A unit as text: what it is called, and what it is.
#[derive(PartialEq, Eq)]
struct Written<'a> {
    attribute: &'a str,
    /// What it does to the environment of units that need it.
    exports: Expr,
    derivation: Expr,
}

/// What is written of a platform.
pub(super) struct Answer<'a> {
    units: BTreeMap<&'a str, Written<'a>>,
    /// Which of them are what: names of the result, and how the scope names them.
    names: Vec<(&'static str, Expr)>,
    shells: Expr,
}

impl<'a> Answer<'a> {
    pub(super) fn new(lock: &'a Lock, platform: &str, sources: &Sources<'a>) -> Self {
        let graph = Graph::new(lock, platform);
        let mut packages: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (id, package) in &graph.packages {
            packages.entry(package.unit.as_deref().unwrap_or_default()).or_default().push(id);
        }
        let write = |(id, unit): (&&'a str, &&'a Unit)| {
            let packages = packages.get(id).map_or(&[][..], Vec::as_slice);
            let derivation = match &unit.recipe {
                Recipe::Provided { attribute: Some(attribute) } => provided(id, unit, attribute),
                Recipe::Provided { attribute: None } => {
                    build(&graph, sources, id, unit, &Build::default(), packages)
                }
                Recipe::Build(recipe) => build(&graph, sources, id, unit, recipe, packages),
            };
            let exports = effects(&graph, Some(id), &unit.exports);
            (*id, Written { attribute: graph.attribute(id), exports, derivation })
        };
        let units = graph.units.iter().map(write).collect();

        let roots: Vec<&str> = lock.platforms.get(platform).map_or(Vec::new(), |answer| {
            let ids = answer.roots.iter().flat_map(|need| &need.by).map(String::as_str);
            ids.filter(|id| graph.packages.contains_key(id)).collect()
        });
        let names = names(&graph, &roots);
        let shells = shells(&graph, sources, &roots);
        Self { units, names, shells }
    }

    /// What platforms have in common: the units that all of them have, and have alike.
    pub(super) fn common(all: &[&Self]) -> Vec<&'a str> {
        let Some((first, others)) = all.split_first() else { return Vec::new() };
        let alike = |(id, written): &(&&str, &Written<'_>)| {
            others.iter().all(|other| other.units.get(**id) == Some(*written))
        };
        first.units.iter().filter(alike).map(|(id, _)| *id).collect()
    }

    /// A layer of a scope: those units that are `wanted`; none if there are none.
    pub(super) fn layer(&self, wanted: impl Fn(&str) -> bool) -> Option<Expr> {
        let units: Vec<_> =
            self.units.iter().filter(|(id, _)| wanted(id)).map(|(_, it)| it).collect();
        let has_exports = units.iter().filter(|unit| unit.exports != Expr::Set(Vec::new()));
        let exports = has_exports.map(|unit| (unit.attribute, unit.exports.clone()));
        let derivations = units.iter().map(|unit| (unit.attribute, unit.derivation.clone()));
        let body = Expr::set([("exports", Expr::set(exports)), ("units", Expr::set(derivations))]);
        (!units.is_empty()).then(|| Expr::function("self", Expr::function("exports", body)))
    }

    /// What a platform's answer is, made of these layers.
    pub(super) fn answer(&self, layers: Vec<Expr>) -> Expr {
        let mut parts = vec![("layers", Expr::List(layers))];
        parts.extend(self.names.iter().cloned());
        parts.push(("shells", self.shells.clone()));
        Expr::set(parts)
    }
}

/// Taken from the package set.
fn provided(id: &str, unit: &Unit, attribute: &str) -> Expr {
    let parts =
        [("id", id), ("name", &*unit.name), ("version", &*unit.version), ("attribute", attribute)];
    let parts = parts.map(|(name, value)| (name, Expr::text(value)));
    Expr::Name("provided").call([Expr::set(parts)])
}

fn build(
    graph: &Graph<'_>,
    sources: &Sources<'_>,
    id: &str,
    unit: &Unit,
    recipe: &Build,
    packages: &[&str],
) -> Expr {
    let near = |purposes: &[Purpose]| graph.reach(needs(unit, purposes));
    let (plain, tested) = (near(&[Purpose::Normal]), near(&[Purpose::Normal, Purpose::Test]));
    // What differs where tests are run.
    let either = |make: &dyn Fn(&[&str]) -> Expr| {
        let (plain, tested) = (make(&plain), make(&tested));
        if plain == tested {
            return plain;
        }
        Expr::If(Box::new([Expr::Name("final").get("doCheck"), tested, plain]))
    };
    let unpackers = || recipe.sources.iter().flat_map(|source| sources.unpackers(&source.artifact));
    let inputs = |is_native: bool| {
        either(&|near| {
            let mut inputs = brought(graph, [id].iter().chain(near), is_native);
            inputs.extend(unpackers().filter(|_| is_native));
            Expr::List(inputs)
        })
    };

    let mut set = vec![
        Binding::new("pname", safe_name(&unit.name)),
        Binding::new("version", safe_name(&unit.version)),
    ];
    if let Some(first) = recipe.sources.first() {
        set.push(Binding::new("src", sources.used(&first.artifact)));
    }
    set.push(Binding::new("nativeBuildInputs", inputs(true)));
    set.push(Binding::new("buildInputs", inputs(false)));
    let environment = effects(graph, None, &recipe.environment);
    let exports = either(&|near| attributes(graph, near));
    set.push(Binding::new(
        "postHook",
        Expr::Name("hook").call([environment, Expr::Name("exports"), exports]),
    ));

    let mut places = Text::new();
    for (at, source) in recipe.sources.iter().enumerate() {
        // The first goes by way of `src`, so that overrideAttrs may change it.
        let from = match at {
            0 => "\"$src\"".into(),
            _ => quote_value(sources.used(&source.artifact), ""),
        };
        places.append(place(from, source));
    }
    if !places.is_empty() {
        set.push(Binding::new("unpackPhase", Expr::Name("unpack").call([Expr::Text(places)])));
    }
    let prepare = prepare(graph, recipe);
    if !prepare.is_empty() {
        set.push(Binding::new("prePatch", Expr::Join(prepare)));
    }
    for (phase, attribute, name) in [
        (Phase::Build, "buildPhase", "Build"),
        (Phase::Check, "checkPhase", "Check"),
        (Phase::Install, "installPhase", "Install"),
    ] {
        let text = steps(graph, recipe.steps.iter().filter(|step| step.phase == phase));
        if !text.is_empty() {
            let run = Expr::Name("phase").call([Expr::text(name), Expr::Text(text)]);
            set.push(Binding::new(attribute, run));
        }
    }
    set.push(Binding::new("meta", meta(&unit.meta)));
    let mut about =
        vec![("unit", Expr::text(id)), ("packages", Expr::texts(packages.iter().copied()))];
    if !unit.meta.info.is_empty() {
        let info = unit.meta.info.iter().map(|(key, value)| (key.as_str(), Expr::text(value)));
        about.push(("info", Expr::set(info)));
    }
    set.push(Binding::Is(vec!["passthru".into(), "x2nix".into()], Expr::set(about)));

    let whole = Expr::Update(Box::new([Expr::Name("common"), Expr::Set(set)]));
    let make = Expr::Name("pkgs").get("stdenv").get("mkDerivation");
    make.call([Expr::function("final", whole)])
}

/// What comes before the build: files that are written, commands, patches.
fn prepare(graph: &Graph<'_>, recipe: &Build) -> Vec<Expr> {
    let mut parts = Vec::new();
    for (path, content) in &recipe.files {
        let content = match str::from_utf8(&content.0) {
            Ok(text) if !text.contains('\0') => Expr::text(text),
            _ => Expr::set([("base64", Expr::text(&BASE64.encode(&content.0)))]),
        };
        parts.push(Expr::Name("write").call([Expr::text(path), content]));
    }
    let mut text = steps(graph, recipe.steps.iter().filter(|step| step.phase == Phase::Prepare));
    for patch in &recipe.patches {
        text.push("patch -p1 -i ").append(in_top(patch)).push("\n");
    }
    if !text.is_empty() {
        parts.push(Expr::Text(text));
    }
    parts
}

/// What units bring from the package set, each thing once, sorted.
fn brought<'a>(
    graph: &Graph<'_>,
    ids: impl Iterator<Item = &'a &'a str>,
    is_native: bool,
) -> Vec<Expr> {
    let mut all = BTreeMap::new();
    for id in ids {
        let Some(unit) = graph.units.get(id) else { continue };
        match &unit.recipe {
            Recipe::Provided { attribute: Some(_) } => {
                all.insert(format!("unit {id}"), in_scope(graph, id));
            }
            Recipe::Provided { attribute: None } => {}
            Recipe::Build(recipe) => {
                for need in recipe.system.iter().filter(|n| (n.role == Role::Build) == is_native) {
                    let set = Expr::Name("pkgs");
                    let set = if is_native { set.get("buildPackages") } else { set };
                    let value = [set, Expr::text(id), Expr::text(&need.attribute)];
                    let key = format!("pkgs {}", need.attribute);
                    all.insert(key, Expr::Name("take").call(value));
                }
            }
        }
    }
    all.into_values().collect()
}

/// Those units that do something to others' environment, as the scope names them.
fn attributes(graph: &Graph<'_>, ids: &[&str]) -> Expr {
    let acts = |id: &&&str| graph.units.get(**id).is_some_and(|unit| !unit.exports.is_empty());
    Expr::texts(ids.iter().filter(acts).map(|id| graph.attribute(id)))
}

fn meta(meta: &Meta) -> Expr {
    let mut set = Vec::new();
    for (name, value) in [
        ("description", &meta.description),
        ("homepage", &meta.homepage),
        ("mainProgram", &meta.main_program),
    ] {
        set.extend(value.as_deref().map(|value| (name, Expr::text(value))));
    }
    if let Some(purl) = &meta.purl {
        set.push(("identifiers", Expr::Name("purlOf").call([Expr::text(purl)])));
    }
    if !meta.licenses.is_empty() {
        let licenses = Expr::texts(meta.licenses.iter().map(String::as_str));
        set.push(("license", Expr::Name("map").call([Expr::Name("license"), licenses])));
    }
    Expr::set(set)
}

/// What is what in the result, by name; of several with the same name, the first.
fn names(graph: &Graph<'_>, roots: &[&str]) -> Vec<(&'static str, Expr)> {
    let named = |ids: &mut dyn Iterator<Item = &str>| {
        let mut all: BTreeMap<&str, &str> = BTreeMap::new();
        for package in ids.filter_map(|id| graph.packages.get(id)) {
            let unit = package.unit.as_deref().unwrap_or_default();
            all.entry(&package.name).or_insert_with(|| graph.attribute(unit));
        }
        Expr::set(all.into_iter().map(|(name, attribute)| (name, Expr::text(attribute))))
    };
    let has_checks = |id: &&str| match recipe(graph, id) {
        Some(Recipe::Build(build)) => build.steps.iter().any(|step| step.phase == Phase::Check),
        _ => false,
    };
    let units = graph.attributes.iter().map(|(id, attribute)| (*id, Expr::text(attribute)));
    let aliases = graph.aliases.iter().map(|(name, id)| (*name, Expr::text(graph.attribute(id))));
    vec![
        ("aliases", Expr::set(aliases)),
        ("packages", named(&mut roots.iter().copied().chain(graph.packages.keys().copied()))),
        ("roots", named(&mut roots.iter().copied())),
        ("units", Expr::set(units)),
        ("checks", named(&mut roots.iter().copied().filter(has_checks))),
    ]
}

fn recipe<'a>(graph: &'a Graph<'_>, id: &str) -> Option<&'a Recipe> {
    unit_of(graph, id).map(|(_, unit)| &unit.recipe)
}

/// The unit of a package.
fn unit_of<'a>(graph: &Graph<'a>, id: &str) -> Option<(&'a str, &'a Unit)> {
    let key = graph.packages.get(id)?.unit.as_deref()?;
    graph.units.get_key_value(key).map(|(key, unit)| (*key, *unit))
}

/// The shells by name: of all roots, and of those that have a name of their own.
fn shells(graph: &Graph<'_>, sources: &Sources<'_>, roots: &[&str]) -> Expr {
    let mut shells = vec![("default", shell(graph, sources, roots))];
    for (name, key) in &graph.aliases {
        let named = roots.iter().copied();
        let named: Vec<&str> =
            named.filter(|id| unit_of(graph, id).is_some_and(|(unit, _)| unit == *key)).collect();
        if !named.is_empty() {
            shells.push((name, shell(graph, sources, &named)));
        }
    }
    Expr::set(shells)
}

/// A shell holds what the project's own roots need for any purpose, but not those roots.
fn shell(graph: &Graph<'_>, sources: &Sources<'_>, roots: &[&str]) -> Expr {
    let every = [Purpose::Normal, Purpose::Test, Purpose::Doc, Purpose::Dev];
    let (mut own, mut wanted) = (Vec::new(), Vec::new());
    for (key, unit) in roots.iter().filter_map(|id| unit_of(graph, id)) {
        if sources::of(unit).iter().any(|source| sources.is_local(&source.artifact)) {
            own.push(key);
            wanted.extend(needs(unit, &every));
        } else {
            wanted.push(key);
        }
    }
    let near: Vec<&str> = graph.reach(wanted).into_iter().filter(|id| !own.contains(id)).collect();
    let inputs = |is_native| Expr::List(brought(graph, own.iter().chain(&near), is_native));
    let hook = [Expr::Set(Vec::new()), Expr::Name("exports"), attributes(graph, &near)];
    let mut entering = Vec::new();
    for (at, key) in own.iter().enumerate() {
        if own[..at].contains(key) {
            continue;
        }
        let recipe = graph.units.get(key).map(|unit| &unit.recipe);
        let Some(Recipe::Build(build)) = recipe else { continue };
        let text = steps(graph, build.steps.iter().filter(|step| step.phase == Phase::Shell));
        if !text.is_empty() {
            entering.push(Expr::Text(text));
        }
    }
    let mut hook = Expr::Name("hook").call(hook);
    if !entering.is_empty() {
        hook = Expr::Join(vec![hook, Expr::Name("entered").call([Expr::List(entering)])]);
    }
    let set = Expr::set([
        ("nativeBuildInputs", inputs(true)),
        ("buildInputs", inputs(false)),
        ("shellHook", hook),
    ]);
    Expr::function("self", Expr::function("exports", set))
}
