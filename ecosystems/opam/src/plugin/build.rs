//! From chosen packages to build units.
//!
//! A package is built by the commands of its opam file, in an environment where its prefix is the
//! output of its own derivation:
//!
//! ```text
//! prepare  substs of patches                       (then the patches are applied)
//! build    the other substs, `build`, `build-doc`
//! check    the commands of `build` that `with-test` changes, `run-test`
//! install  the folders of a switch, `install`, the `.install` file, the record of the package
//! ```
//!
//! What is known when locking is written out. What only the build knows is left to the scripts of
//! the [`runtime`]: variables from a dependency's `.config` file, files to substitute in, and the
//! `.install` file, which a build makes.

mod commands;
mod environment;
pub(super) mod runtime;
pub(super) mod sources;
mod system;
mod variables;

use super::{
    dictionary::Side,
    environment::Owner,
    repository::{Files, Place},
    request::{BOUNDED, parse_bounded, readable, syntax_error},
    session::{OpamSession, Version},
};
use crate::{
    filter::{PackageAtom, Scope, Value, Variable, check, filter_depends},
    formula::Formula,
    package::OpamFile,
};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use x2nix_protocol::{
    Artifact, Blob, Build, BuildAnswer, BuildProblem, BuildRequest, Chosen, Diagnostic, Meta,
    Origin, PluginResult, Purpose, Recipe, Role, Selection, SystemNeed, TreeId, Unit, UnitEdge,
    UnitPart,
};

/// Makes the units of the chosen packages, and tells of all that cannot be built.
pub(super) fn build(session: &OpamSession, request: &BuildRequest) -> PluginResult<BuildAnswer> {
    let chosen: Vec<Choice<'_>> = request
        .chosen
        .iter()
        .map(|chosen| version(session, chosen))
        .collect::<PluginResult<_>>()?;
    let mut answer = BuildAnswer {
        selected: request
            .selections
            .iter()
            .map(|selection| selected(selection, &chosen))
            .collect::<PluginResult<_>>()?,
        ..BuildAnswer::default()
    };
    if session.monorepo.is_some() {
        super::monorepo::build::build(session, &request.system, &chosen, &mut answer)?;
    } else {
        let view: View<'_> = chosen.iter().map(|choice| (choice.name, choice.version)).collect();
        let contents = Contents::of(session, chosen.iter().copied())?;
        derive(session, &request.system, Side::Main, view.clone(), view, &contents, &mut answer)?;
        answer.unit_of = chosen.iter().map(|it| Some(key(it.name, &it.version.version))).collect();
    }
    add_runtime(session, &mut answer);
    Ok(answer)
}

/// Packages by name, each in one version.
pub(super) type View<'s> = BTreeMap<&'s str, &'s Version>;

/// A chosen version, and where it is chosen.
#[derive(Clone, Copy)]
pub(super) struct Choice<'s> {
    pub(super) side: Side,
    pub(super) name: &'s str,
    pub(super) version: &'s Version,
}

/// The opam files of what is built, by where they lie.
pub(super) struct Contents(BTreeMap<(TreeId, String), Blob>);

impl Contents {
    /// Reads the opam files of chosen versions.
    pub(super) fn of<'s>(
        session: &'s OpamSession,
        chosen: impl Iterator<Item = Choice<'s>>,
    ) -> PluginResult<Self> {
        let built = chosen.filter(|choice| !session.provided.contains_key(choice.name));
        let places: Vec<&Place> =
            built.filter_map(|choice| choice.version.place.as_ref()).collect();
        let mut contents = BTreeMap::new();
        for (place, content) in places.iter().zip(session.repositories.contents(&places)?) {
            let bytes = readable(&place.file(), content)?;
            contents.insert((place.tree, place.path.clone()), bytes);
        }
        Ok(Self(contents))
    }

    /// The bytes of one that is built.
    pub(super) fn get(&self, version: &Version) -> Option<&[u8]> {
        let place = version.place.as_ref()?;
        self.0.get(&(place.tree, place.path.clone())).map(|Blob(bytes)| bytes.as_slice())
    }
}

/// The packages of a view that are built, on their way to units.
pub(super) fn packages<'s>(
    session: &'s OpamSession,
    side: Side,
    view: &View<'s>,
    contents: &'s Contents,
) -> PluginResult<BTreeMap<&'s str, Package<'s>>> {
    let built = view.iter().filter(|(name, _)| !session.provided.contains_key(**name));
    let built: Vec<(&str, &Place, &[u8])> = built
        .filter_map(|(&name, &version)| {
            Some((name, version.place.as_ref()?, contents.get(version)?))
        })
        .collect();
    let places: Vec<&Place> = built.iter().map(|&(_, place, _)| place).collect();
    let files = session.repositories.files(&places)?;
    let mut packages = BTreeMap::new();
    for ((name, place, bytes), files) in built.into_iter().zip(files) {
        let package = Package::new(session, view, side, name, place, bytes)?;
        packages.insert(name, Package { files, ..package });
    }
    Ok(packages)
}

/// Makes derivations of the packages `wanted`, which see those of `view`; what has a unit keeps it.
pub(super) fn derive<'s>(
    session: &'s OpamSession,
    system: &'s BTreeMap<String, Vec<SystemNeed>>,
    side: Side,
    view: View<'s>,
    wanted: View<'s>,
    contents: &'s Contents,
    answer: &mut BuildAnswer,
) -> PluginResult<()> {
    let packages = packages(session, side, &view, contents)?;
    let builder = Builder { session, chosen: view, packages, system, problems: RefCell::default() };
    for (name, version) in wanted {
        let key = key(name, &version.version);
        if answer.units.contains_key(&key) {
            continue;
        }
        match builder.unit(name, version) {
            Ok((unit, mut artifacts)) => {
                answer.units.insert(key, unit);
                answer.artifacts.append(&mut artifacts);
            }
            Err(refusal) => {
                builder.problem(&key, UnitPart::Other, *refusal);
                answer.units.insert(key, bare_unit(name, version));
            }
        }
    }
    answer.problems.append(&mut builder.problems.into_inner());
    Ok(())
}

/// The unit that others run their commands with, if one of them does.
fn add_runtime(session: &OpamSession, answer: &mut BuildAnswer) {
    let mut edges = answer.units.values().flat_map(|unit| &unit.depends);
    if edges.any(|edge| edge.unit == runtime::KEY) {
        answer.units.insert(runtime::KEY.into(), runtime::unit(session));
    }
}

/// The positions of the packages that a selection means.
fn selected(selection: &Selection, chosen: &[Choice<'_>]) -> PluginResult<Vec<u32>> {
    let (wanted, constraint) = parse_bounded(&selection.text).map_err(|what| {
        let message = format!("{:?} is no package: {what}", selection.text);
        let origin = selection.origin.clone();
        Box::new(
            Diagnostic { origin, ..Diagnostic::error("opam::selection", message) }.help(BOUNDED),
        )
    })?;
    let positions = (0..).zip(chosen);
    let meant = positions
        .filter(|(_, it)| it.side != Side::Source && it.name == wanted)
        .filter(|(_, it)| check(&constraint, &it.version.version));
    Ok(meant.map(|(position, _)| position).collect())
}

pub(super) fn version<'s>(session: &'s OpamSession, chosen: &Chosen) -> PluginResult<Choice<'s>> {
    let versions = session.versions.get(&chosen.name);
    let version =
        versions.and_then(|versions| versions.get(chosen.candidate as usize)).ok_or_else(|| {
            let message = "asked to build something that was never told of";
            Box::new(Diagnostic::error("opam::protocol", message))
        })?;
    let (side, name) = session.numbers.name_text(chosen.name);
    Ok(Choice { side, name, version })
}

/// The key of a package's unit.
pub(super) fn key(name: &str, version: &str) -> String {
    format!("{name}@{version}")
}

pub(super) struct Builder<'s> {
    pub(super) session: &'s OpamSession,
    /// The packages that those which are built see, by name.
    pub(super) chosen: BTreeMap<&'s str, &'s Version>,
    /// Those that are built.
    pub(super) packages: BTreeMap<&'s str, Package<'s>>,
    /// What the user says system packages are.
    pub(super) system: &'s BTreeMap<String, Vec<SystemNeed>>,
    /// What cannot be built, unless the user overrides it.
    pub(super) problems: RefCell<Vec<BuildProblem>>,
}

/// What a unit is made of, by the lock's name for it.
pub(super) type Artifacts = BTreeMap<String, Artifact>;

/// One package on its way to a unit.
pub(super) struct Package<'p> {
    pub(super) owner: Owner<'p>,
    pub(super) place: &'p Place,
    pub(super) file: OpamFile<'p>,
    /// The text of that file.
    bytes: &'p [u8],
    /// The files beside its opam file.
    pub(super) files: Files,
    /// What its build sees, by name.
    pub(super) edges: BTreeMap<&'p str, UnitEdge>,
}

impl<'p> Package<'p> {
    fn new(
        session: &'p OpamSession,
        chosen: &BTreeMap<&'p str, &'p Version>,
        side: Side,
        name: &'p str,
        place: &'p Place,
        bytes: &'p [u8],
    ) -> PluginResult<Self> {
        let file = OpamFile::parse(bytes).map_err(|error| syntax_error(&error, &place.file()))?;
        let owner = session.owner(side, name, &chosen[name].version);
        let edges = BTreeMap::new();
        let mut package = Self { owner, place, file, bytes, files: Files::new(), edges };
        package.edges = package.needs(session, chosen)?;
        Ok(package)
    }

    pub(super) fn key(&self) -> String {
        key(self.owner.name, self.owner.version)
    }

    /// Something in this package's file, for messages.
    pub(super) fn at(&self, field: &str) -> Origin {
        Origin::new(self.place.file(), self.file.position(field).map(|position| position.line))
    }

    /// What cannot be built.
    pub(super) fn refuse(&self, field: &str, what: &str) -> Box<Diagnostic> {
        let Owner { name, version, .. } = self.owner;
        Box::new(
            Diagnostic::error("opam::build", format!("{name} {version}: {what}"))
                .at(self.at(field))
                .help(format!(
                    "take it from the package set of Nix: [provided.{name}] in x2nix.toml; `--dry-run` resolves without building"
                )),
        )
    }

    pub(super) fn read<T>(&self, value: Result<T, crate::syntax::Error>) -> PluginResult<T> {
        value.map_err(|error| syntax_error(&error, &self.place.file()))
    }

    /// Whether there is nothing to build and nothing to install: a package that only stands for
    /// others. Files beside it may be a `.install` file, so they count.
    fn is_empty(&self) -> bool {
        let nothing = |field: &str| self.file.field(field).is_none();
        ["build", "install", "substs", "setenv", "depexts"].into_iter().all(nothing)
            && self.files.is_empty()
            && self.file.url().is_ok_and(|url| url.is_none())
            && self.file.extra_sources().is_ok_and(|extra| extra.is_empty())
            && !self.owner.local
    }

    /// The chosen packages that must be there before this one is built: those that its dependencies
    /// name, but not afterwards (`post`), and those optional ones that were chosen anyway.
    fn needs(
        &self,
        session: &OpamSession,
        chosen: &BTreeMap<&'p str, &'p Version>,
    ) -> PluginResult<BTreeMap<&'p str, UnitEdge>> {
        let owner = self.owner;
        let variables = |variable: &Variable<'_>| session.environment.depends(owner, variable);
        let untested = |variable: &Variable<'_>| match variable.name {
            "with-test" if variable.scope == Scope::Global => Some(Value::Bool(false)),
            _ => variables(variable),
        };
        let depends = self.read(self.file.depends())?;
        let depopts = self.read(self.file.depopts())?;
        let mut edges: BTreeMap<&'p str, UnitEdge> = BTreeMap::new();
        // The plainest reason comes first and stays: normal before test, host before build.
        let mut add = |formula: &Formula<PackageAtom>, purpose: Purpose| {
            formula.for_each(&mut |atom| {
                let Some((&name, version)) = chosen.get_key_value(&*atom.name) else { return };
                if atom.post || name == owner.name || !check(&atom.constraint, &version.version) {
                    return;
                }
                let role = if atom.build { Role::Build } else { Role::Host };
                let edge = edges.entry(name).or_insert_with(|| UnitEdge {
                    unit: key(name, &version.version),
                    role,
                    purpose,
                });
                if purpose == edge.purpose && role == Role::Host {
                    edge.role = Role::Host;
                }
            });
        };
        add(&filter_depends(&depends, &untested), Purpose::Normal);
        add(&filter_depends(&depopts, &untested), Purpose::Normal);
        add(&filter_depends(&depends, &variables), Purpose::Test);
        Ok(edges)
    }
}

impl<'s> Builder<'s> {
    fn problem(&self, unit: &str, part: UnitPart, diagnostic: Diagnostic) {
        let problem = BuildProblem { unit: unit.into(), part, diagnostic };
        self.problems.borrow_mut().push(problem);
    }

    fn unit(&self, name: &'s str, version: &'s Version) -> PluginResult<(Unit, Artifacts)> {
        let mut artifacts = Artifacts::new();
        let mut unit = bare_unit(name, version);
        if let Some(provided) = self.session.provided.get(name) {
            unit.recipe = Recipe::Provided { attribute: provided.attribute.clone() };
            unit.exports = vec![environment::presence(name, version, provided.attribute.is_some())];
            return Ok((unit, artifacts));
        }
        let Some(package) = self.packages.get(name) else { return Ok((unit, artifacts)) };
        let file = &package.file;
        unit.meta.description = file.synopsis().ok().flatten().map(String::from);
        unit.meta.homepage =
            file.homepage().ok().and_then(|pages| pages.into_iter().next()).map(String::from);
        unit.meta.licenses =
            file.license().unwrap_or_default().into_iter().map(String::from).collect();

        let mut edges = package.edges.clone();
        if package.is_empty() {
            unit.exports = vec![environment::presence(name, version, false)];
        } else {
            // Packages farther away that its commands speak of.
            let far = RefCell::new(BTreeSet::new());
            unit.recipe = Recipe::Build(self.recipe(package, &mut artifacts, &far)?);
            unit.exports = self.exports(package, &far)?;
            for name in far.into_inner() {
                edges.entry(name).or_insert_with(|| UnitEdge {
                    unit: key(name, &self.chosen[name].version),
                    role: Role::Host,
                    purpose: Purpose::Normal,
                });
            }
            unit.depends.push(UnitEdge {
                unit: runtime::KEY.into(),
                role: Role::Build,
                purpose: Purpose::Normal,
            });
        }
        unit.depends.extend(edges.into_values());
        unit.depends.sort_unstable();
        Ok((unit, artifacts))
    }

    fn recipe(
        &self,
        package: &Package<'s>,
        artifacts: &mut Artifacts,
        far: &RefCell<BTreeSet<&'s str>>,
    ) -> PluginResult<Build> {
        let mut build = Build::default();
        self.sources(package, &mut build, artifacts)?;
        package.add_files(&mut build)?;
        if memmem(package.bytes, b"opamfile") {
            build.files.insert(variables::OPAM_FILE.into(), Blob(package.bytes.to_vec()));
        }
        build.system = self.system(package)?;
        build.environment = self.own_environment(package, far)?;
        self.commands(package, &mut build, far)?;
        let Owner { name, version, .. } = package.owner;
        let mut beside = Vec::new();
        if crate::mirage::wants_one_prefix(name) {
            let near: Vec<&str> = package.edges.keys().copied().collect();
            let needed = self.reached(&near).into_iter();
            for name in needed.filter(|name| crate::mirage::is_unikraft(name)) {
                far.borrow_mut().insert(name);
                beside.push(key(name, &self.chosen[name].version));
            }
        }
        crate::mirage::adjust(name, version, &beside, &mut build);
        Ok(build)
    }

    /// All that some packages need, near and far, and themselves. What lies beyond a derivation of another
    /// side is its own matter.
    pub(super) fn reached(&self, roots: &[&'s str]) -> BTreeSet<&'s str> {
        let mut seen: BTreeSet<&str> = roots.iter().copied().collect();
        let mut next: Vec<&str> = roots.to_vec();
        while let Some(name) = next.pop() {
            let edges = self.packages.get(name).map(|package| package.edges.keys().copied());
            next.extend(edges.into_iter().flatten().filter(|name| seen.insert(name)));
        }
        seen
    }
}

/// Whether some bytes have others in them.
fn memmem(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// A unit that nothing is known of yet.
fn bare_unit(name: &str, version: &Version) -> Unit {
    Unit {
        name: name.into(),
        version: version.version.clone(),
        recipe: Recipe::Build(Build::default()),
        depends: Vec::new(),
        exports: Vec::new(),
        meta: Meta { purl: purl(name, &version.version), ..Meta::default() },
    }
}

fn purl(name: &str, version: &str) -> Option<String> {
    let mut purl = packageurl::PackageUrl::new("opam", name).ok()?;
    purl.with_version(version).ok()?;
    Some(purl.to_string())
}
