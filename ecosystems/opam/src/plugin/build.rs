//! From chosen packages to build units.
//!
//! A package is built by the commands of its opam file, in an environment where its prefix is the
//! output of its own derivation. Packages that dune builds are installed by `dune install`, from the
//! `.install` file that dune made; others by their `install` commands. What needs more of opam than
//! that is refused by name.

use super::{
    environment::Owner,
    request::{readable, syntax_error},
    session::{OpamSession, Version},
    word::LateParts,
};
use crate::{
    filter::{
        Command, PackageAtom, Scope, Value, Variable, check, commands, counts, filter_depends,
    },
    formula::Formula,
    package::{OpamFile, Source as Url, checksum::Checksum},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};
use x2nix_protocol::{
    Artifact, Blob, Build, BuildAnswer, BuildRequest, BuildVariable, Chosen, Diagnostic,
    EnvironmentOperation, LatePart, ListRequest, Meta, Operation, Origin, Part, Phase,
    PluginResult, Purpose, ReadRequest, Recipe, Role, Source, Step, Unit, UnitEdge, Word,
};

/// Makes the units of the chosen packages.
pub(super) fn build(session: &OpamSession, request: &BuildRequest) -> PluginResult<BuildAnswer> {
    let mut builder = Builder { session, chosen: BTreeMap::new(), answer: BuildAnswer::default() };
    for chosen in &request.chosen {
        let (name, version) = builder.version(*chosen)?;
        builder.chosen.insert(name, version);
    }
    for chosen in &request.chosen {
        let (name, version) = builder.version(*chosen)?;
        let unit = builder.unit(name, version)?;
        let key = key(name, &version.version);
        builder.answer.units.insert(key.clone(), unit);
        builder.answer.unit_of.push(Some(key));
    }
    Ok(builder.answer)
}

fn key(name: &str, version: &str) -> String {
    format!("{name}@{version}")
}

struct Builder<'s> {
    session: &'s OpamSession,
    /// All chosen packages by name.
    chosen: BTreeMap<&'s str, &'s Version>,
    answer: BuildAnswer,
}

/// One package on its way to a unit.
struct Package<'p> {
    owner: Owner<'p>,
    version: &'p Version,
    file: OpamFile<'p>,
    path: String,
    /// The packages that its build sees.
    needs: BTreeSet<&'p str>,
}

impl Package<'_> {
    /// What this version of x2nix cannot build yet.
    fn refuse(&self, field: &str, what: &str) -> Box<Diagnostic> {
        let line = self.file.position(field).map(|position| position.line);
        let message =
            format!("{} {}: {what}: not supported yet", self.owner.name, self.owner.version);
        let name = self.owner.name;
        Box::new(
            Diagnostic::error("opam::build-not-supported", message).at(Origin::new(self.path.clone(), line)).help(
                format!(
                    "take it from the package set of Nix: [provided.{name}] with its version in x2nix.toml; `--dry-run` resolves without building"
                ),
            ),
        )
    }

    fn read<T>(&self, value: Result<T, crate::syntax::Error>) -> PluginResult<T> {
        value.map_err(|error| syntax_error(&error, &self.path))
    }
}

impl<'s> Builder<'s> {
    fn version(&self, chosen: Chosen) -> PluginResult<(&'s str, &'s Version)> {
        let versions = self.session.versions.get(&chosen.name);
        let version = versions
            .and_then(|versions| versions.get(chosen.candidate as usize))
            .ok_or_else(|| {
                Box::new(Diagnostic::error(
                    "opam::protocol",
                    "asked to build something that was never told of",
                ))
            })?;
        Ok((self.session.numbers.name_text(chosen.name), version))
    }

    fn unit(&mut self, name: &'s str, version: &'s Version) -> PluginResult<Unit> {
        let mut unit = Unit {
            name: name.into(),
            version: version.version.clone(),
            recipe: Recipe::Build(Build::default()),
            depends: Vec::new(),
            exports: Vec::new(),
            meta: Meta { purl: purl(name, &version.version), ..Meta::default() },
        };
        if let Some(provided) = self.session.provided.get(name) {
            unit.recipe = Recipe::Provided { attribute: provided.attribute.clone() };
            return Ok(unit);
        }
        let Some(place) = &version.place else { return Ok(unit) };
        let request = ReadRequest { tree: place.tree, paths: vec![place.path.clone()] };
        let content = self
            .session
            .host
            .read(&request)?
            .files
            .pop()
            .unwrap_or(x2nix_protocol::FileContent::Missing);
        let bytes = readable(&place.file(), content)?;
        let file =
            OpamFile::parse(&bytes.0).map_err(|error| syntax_error(&error, &place.file()))?;
        let owner = self.session.owner(name, &version.version);
        let mut package =
            Package { owner, version, file, path: place.file(), needs: BTreeSet::new() };
        unit.depends = self.edges(&mut package)?;
        let build = self.recipe(&package)?;
        if !build.steps.is_empty() {
            unit.exports = exports();
        }
        unit.recipe = Recipe::Build(build);
        unit.meta.description = package.file.synopsis().ok().flatten().map(String::from);
        unit.meta.homepage = package
            .file
            .homepage()
            .ok()
            .and_then(|pages| pages.into_iter().next())
            .map(String::from);
        unit.meta.licenses =
            package.file.license().unwrap_or_default().into_iter().map(String::from).collect();
        Ok(unit)
    }

    /// The chosen packages that must be there before this one is built: those that its dependencies
    /// name, but not afterwards (`post`), and those optional ones that were chosen anyway.
    fn edges<'p>(&self, package: &mut Package<'p>) -> PluginResult<Vec<UnitEdge>>
    where
        's: 'p,
    {
        let variables =
            |variable: &Variable<'_>| self.session.environment.depends(package.owner, variable);
        let untested = |variable: &Variable<'_>| match variable.name {
            "with-test" if variable.scope == Scope::Global => Some(Value::Bool(false)),
            _ => variables(variable),
        };
        let depends = package.read(package.file.depends())?;
        let depopts = package.read(package.file.depopts())?;
        let mut edges: BTreeMap<&'s str, UnitEdge> = BTreeMap::new();
        // The plainest reason comes first and stays: normal before test, host before build.
        let mut add = |formula: &Formula<PackageAtom>, purpose: Purpose| {
            formula.for_each(&mut |atom| {
                let Some((&name, version)) = self.chosen.get_key_value(&*atom.name) else { return };
                if atom.post
                    || name == package.owner.name
                    || !check(&atom.constraint, &version.version)
                {
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
        package.needs = edges.keys().copied().collect();
        Ok(edges.into_values().collect())
    }

    fn recipe(&mut self, package: &Package<'_>) -> PluginResult<Build> {
        let file = &package.file;
        for (field, present) in [
            ("substs", !package.read(file.substs())?.is_empty()),
            ("build-env", !package.read(file.build_env())?.is_empty()),
            ("setenv", !package.read(file.setenv())?.is_empty()),
            ("subpath", package.read(file.subpath())?.is_some()),
        ] {
            if present {
                return Err(package.refuse(field, &format!("the field `{field}`")));
            }
        }
        let globals = |variable: &Variable<'_>| self.session.environment.global(variable);
        for system in package.read(file.depexts())? {
            if system.filter.eval(&globals, false) {
                let names = system.names.join(", ");
                return Err(package.refuse("depexts", &format!("the system packages {names}")));
            }
        }
        let mut build = Build::default();
        self.sources(package, &mut build)?;
        self.files(package, &mut build)?;

        let late = LateParts::default();
        let variables = |variable: &Variable<'_>| self.variable(package, &late, variable);
        for patch in package.read(file.patches())? {
            if counts(patch.filter.as_ref(), &variables) {
                build.patches.push(patch.value.into());
            }
        }
        let build_commands = package.read(file.build())?;
        let install_commands = package.read(file.install())?;
        let mut steps = |field: &str, list: &[Command], phase: Phase| -> PluginResult<bool> {
            let run = commands(list, &variables).map_err(|error| {
                let line = file.position(field).map(|position| position.line);
                Box::new(
                    Diagnostic::error("opam::command", error.to_string())
                        .at(Origin::new(package.path.clone(), line)),
                )
            })?;
            let uses_dune =
                run.iter().any(|words| words.first().is_some_and(|word| word == "dune"));
            for words in run {
                let words = words.iter().map(|text| late.word(text)).collect::<Option<Vec<_>>>();
                let words =
                    words.ok_or_else(|| package.refuse(field, "a command with NUL characters"))?;
                build.steps.push(Step { phase, words });
            }
            Ok(uses_dune)
        };
        let uses_dune = steps("build", &build_commands, Phase::Build)?;
        if self.session.environment.tests(package.owner) {
            steps("run-test", &package.read(file.run_test())?, Phase::Check)?;
        }
        steps("install", &install_commands, Phase::Install)?;
        if uses_dune {
            build.steps.push(dune_install(package.owner.name));
        } else if !build_commands.is_empty() && install_commands.is_empty() {
            return Err(package
                .refuse("build", "a build that installs through a `.install` file, without dune"));
        }
        if !build.steps.is_empty() {
            build.environment = own_environment();
        }
        Ok(build)
    }

    /// What the package is unpacked from.
    fn sources(&mut self, package: &Package<'_>, build: &mut Build) -> PluginResult<()> {
        let Some(place) = &package.version.place else { return Ok(()) };
        if package.owner.local {
            self.answer.artifacts.insert(".".into(), Artifact::Local { path: ".".into() });
            build.sources.push(Source { artifact: ".".into(), to: String::new() });
            return Ok(());
        }
        let unit = key(package.owner.name, package.owner.version);
        if let Some(url) = package.read(package.file.url())? {
            let artifact = if is_relative(&url.src) {
                let path =
                    url.src.strip_prefix("./").unwrap_or(&url.src).trim_end_matches('/').to_owned();
                if !stays(&path) {
                    return Err(package.refuse("url", "a source outside its repository"));
                }
                let input = self
                    .session
                    .inputs
                    .iter()
                    .position(|input| input.tree == place.tree)
                    .unwrap_or_default();
                Artifact::Input { input: u32::try_from(input).unwrap_or(u32::MAX), path }
            } else {
                fetch(package, &url, file_name(&url.src))?
            };
            self.answer.artifacts.insert(unit.clone(), artifact);
            build.sources.push(Source { artifact: unit.clone(), to: String::new() });
        }
        for extra in package.read(package.file.extra_sources())? {
            let name = extra.name.to_string();
            if !stays(&name) {
                return Err(package.refuse(
                    "extra-source",
                    &format!("an extra source {name:?} outside its package"),
                ));
            }
            let artifact = format!("{unit}/{name}");
            let fetched = fetch(package, &extra.source, file_name(&name))?;
            self.answer.artifacts.insert(artifact.clone(), fetched);
            build.sources.push(Source { artifact, to: name });
        }
        Ok(())
    }

    /// The files that lie beside the opam file.
    fn files(&self, package: &Package<'_>, build: &mut Build) -> PluginResult<()> {
        let Some(place) = package.version.place.as_ref().filter(|_| !package.owner.local) else {
            return Ok(());
        };
        let top = format!("{}/files", place.folder());
        let mut folders = vec![top.clone()];
        let mut paths = Vec::new();
        while !folders.is_empty() {
            let request = ListRequest { tree: place.tree, folders: std::mem::take(&mut folders) };
            let listings = self.session.host.list(&request)?.listings;
            for (folder, listing) in request.folders.iter().zip(listings) {
                for entry in listing.unwrap_or_default() {
                    let path = format!("{folder}/{}", entry.name);
                    if entry.folder { folders.push(path) } else { paths.push(path) }
                }
            }
        }
        if paths.is_empty() {
            return Ok(());
        }
        let contents =
            self.session.host.read(&ReadRequest { tree: place.tree, paths: paths.clone() })?.files;
        for (path, content) in paths.into_iter().zip(contents) {
            let Blob(bytes) = readable(&path, content)?;
            build.files.insert(path[top.len() + 1..].to_owned(), Blob(bytes));
        }
        Ok(())
    }

    /// A variable as commands see it (`OpamPackageVar.resolve`), late where only the build knows.
    fn variable(
        &self,
        package: &Package<'_>,
        late: &LateParts,
        variable: &Variable<'_>,
    ) -> Option<Value> {
        let owner = package.owner;
        let name = match variable.scope {
            Scope::Global => None,
            Scope::Own => Some(owner.name),
            Scope::Package(name) => Some(name),
        };
        let version = match name {
            None => Some(owner.version),
            Some(name) if name == owner.name => Some(owner.version),
            Some(name) if package.needs.contains(name) => {
                self.chosen.get(name).map(|version| version.version.as_str())
            }
            Some(_) => None,
        };
        let text = |text: &str| Some(Value::String(text.into()));
        match variable.name {
            "name" => return text(name.unwrap_or(owner.name)),
            "version" => return text(version?),
            "installed" | "enable" if name.is_some() => {
                return Some(Value::Bool(version.is_some() && name != Some(owner.name)));
            }
            "pinned" => return Some(Value::Bool(owner.local)),
            "build" if name.is_none_or(|name| name == owner.name) => {
                return Some(late.value(LatePart::Variable(BuildVariable::SourceTop)));
            }
            "jobs" if name.is_none() => {
                return Some(late.value(LatePart::Variable(BuildVariable::Jobs)));
            }
            "make" if name.is_none() => return text("make"),
            "with-test" if name.is_none() => {
                return Some(Value::Bool(self.session.environment.tests(owner)));
            }
            _ => {}
        }
        if let Some(path) = directory(variable.name, name) {
            let other = name.filter(|&name| name != owner.name);
            return Some(late.value(match other {
                None => LatePart::Out(path.into_owned()),
                Some(name) => LatePart::Unit { unit: key(name, version?), path: path.into_owned() },
            }));
        }
        self.session.environment.depends(owner, variable).filter(|_| name.is_none())
    }
}

/// Where a directory variable points below a prefix; those of a package have a folder of its own
/// where several packages share one (`OpamPath.Switch`).
fn directory(variable: &str, package: Option<&str>) -> Option<Cow<'static, str>> {
    let (path, shared) = match variable {
        "prefix" => ("", false),
        "lib" | "libexec" => ("lib", true),
        "share" => ("share", true),
        "doc" => ("doc", true),
        "etc" => ("etc", true),
        "bin" => ("bin", false),
        "sbin" => ("sbin", false),
        "man" => ("man", false),
        "stublibs" => ("lib/stublibs", false),
        "toplevel" => ("lib/toplevel", false),
        _ => return None,
    };
    Some(match package.filter(|_| shared) {
        Some(package) => format!("{path}/{package}").into(),
        None => path.into(),
    })
}

/// What dependants find: libraries, stubs and programs.
fn exports() -> Vec<EnvironmentOperation> {
    let prepend = |variable: &str, path: &str| EnvironmentOperation {
        variable: variable.into(),
        operation: Operation::Prepend,
        value: Word(vec![Part::Late(LatePart::Out(path.into()))]),
    };
    vec![
        prepend("OCAMLPATH", "lib"),
        prepend("CAML_LD_LIBRARY_PATH", "lib/stublibs"),
        prepend("PATH", "bin"),
    ]
}

/// What every build of an opam package finds: where findlib installs, and no cache outside.
fn own_environment() -> Vec<EnvironmentOperation> {
    let set = |variable: &str, value: Word| EnvironmentOperation {
        variable: variable.into(),
        operation: Operation::Set,
        value,
    };
    vec![
        set("OCAMLFIND_DESTDIR", Word(vec![Part::Late(LatePart::Out("lib".into()))])),
        set("DUNE_CACHE", Word::text("disabled")),
    ]
}

/// Installs what dune's `.install` file of a package lists, in opam's layout of a prefix.
fn dune_install(name: &str) -> Step {
    let option = |option: &str, path: &str| {
        Word(vec![Part::Text(format!("--{option}=")), Part::Late(LatePart::Out(path.into()))])
    };
    let words = vec![
        Word::text("dune"),
        Word::text("install"),
        option("prefix", ""),
        option("libdir", "lib"),
        option("mandir", "man"),
        option("docdir", "doc"),
        option("etcdir", "etc"),
        Word::text(name),
    ];
    Step { phase: Phase::Install, words }
}

fn fetch(package: &Package<'_>, url: &Url, name: String) -> PluginResult<Artifact> {
    let scheme = url.src.split_once("://").map_or("", |(scheme, _)| scheme);
    if !matches!(scheme, "http" | "https" | "ftp" | "file") || url.src.ends_with(".git") {
        return Err(package.refuse("url", &format!("the source {:?}", url.src)));
    }
    let mut checksums: Vec<&Checksum> = url.checksums.iter().collect();
    checksums.sort_by_key(|checksum| std::cmp::Reverse(checksum.kind));
    let hashes: Vec<String> = checksums.into_iter().filter_map(sri).collect();
    if hashes.is_empty() {
        return Err(package.refuse("url", "a source without a checksum"));
    }
    let urls = std::iter::once(&url.src).chain(&url.mirrors).map(ToString::to_string).collect();
    Ok(Artifact::Fetch { urls, name, hashes })
}

/// A checksum in SRI form.
fn sri(checksum: &Checksum) -> Option<String> {
    let digits = checksum.hex.as_bytes().chunks(2);
    let bytes = digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    Some(format!("{}-{}", checksum.kind.name(), BASE64.encode(bytes.collect::<Option<Vec<u8>>>()?)))
}

/// Whether a relative path stays below where it starts.
fn stays(path: &str) -> bool {
    let parts = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    parts && !path.contains('\0')
}

/// Whether a source has no scheme: a folder below the top of its repository.
fn is_relative(src: &str) -> bool {
    !src.contains("://") && !src.starts_with("git+") && !src.contains('@')
}

/// A name for a fetched file that the store accepts.
fn file_name(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let base = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let plain: String = base
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "+-._?=".contains(c) { c } else { '-' })
        .collect();
    let plain = plain.trim_start_matches('.');
    if plain.is_empty() { "source".into() } else { plain.chars().take(200).collect() }
}

fn purl(name: &str, version: &str) -> Option<String> {
    let mut purl = packageurl::PackageUrl::new("opam", name).ok()?;
    purl.with_version(version).ok()?;
    Some(purl.to_string())
}
