//! Monorepos: dependencies that are compiled together with the project.
//!
//! opam-monorepo locks a project's dependencies so that their sources can be unpacked into a folder
//! `duniverse/` of the project, where one dune builds all. This module states the same in terms of
//! names and contexts. There are two sets of packages, solved at once:
//!
//! ```text
//! workspace  the main context: what the project needs with the variable `monorepo` defined
//! host       the context `host`: the compiler, and the tools that the project says opam provides
//! ```
//!
//! Where a name lives follows from who names it and how it is called ([`Monorepo::side`]): what a
//! workspace package needs is in the workspace, but compilers and `x-opam-monorepo-opam-provided` are
//! on the host, and so is all that these need in turn. So one name may have a version in each. Of the
//! versions in the workspace, [`rules`] tells which are
//!
//! - *vendored*: they build with dune, and their sources go into the duniverse;
//! - *bare*: they have nothing to compile there (dune itself, virtual packages, `conf-*`): derivations
//!   like those of the host;
//! - *excluded*: the rest. What does not build with dune cannot be in a workspace.
//!
//! Projects say in one of two ways that they want this. With `--monorepo`, the project's dependencies
//! are those of its opam files, tests included, and a package that is in both sets has one version, as
//! opam-monorepo carries what its first solution has vendored into the second. With dependencies
//! `{?monorepo}`, as the mirage tool writes them, the file is meant to be read twice: once by
//! opam-monorepo with the variable defined, without tests, preferring what compiles for other targets;
//! and once by opam without it, for the tools. Then the sets are *separate*, and share the compiler.
//!
//! All packages of one `dev-repo` come from one archive, as they share a folder. Each archive is a
//! variable ([`Side::Source`]) that its packages need, and the variables of one repository are a class,
//! of which one at most is chosen.
//!
//! Reference: `lib/opam_solve.ml`, `lib/opam.ml`, `lib/duniverse.ml` of opam-monorepo 0.4.

pub(super) mod build;
pub(super) mod duniverse;
pub(super) mod export;
mod rules;
pub(crate) mod shell;
mod source;

use super::{
    dictionary::Side,
    environment::{Compiler, Owner},
    facts,
    request::{Local, readable, syntax_error},
    session::OpamSession,
};
use crate::{
    filter::{Bound, PackageAtom, Scope, Value, Variable, filter_depends},
    formula::Formula,
    package::OpamFile,
    syntax::RelOp,
};
use rules::Verdict;
use source::Source;
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};
use x2nix_protocol::{
    Candidate, ClassId, Conflict, Diagnostic, FileContent, Host, Need, OpenRequest, Origin,
    Placement, PluginResult, ReadRequest, Requirement,
};

pub(super) use source::Settings;

/// The tool that this module stands in for: it is never built.
const OPAM_MONOREPO: &str = "opam-monorepo";

/// The compiler as it is released.
const BASE_COMPILER: &str = "ocaml-base-compiler";

/// The one version of a source.
pub(super) const IN_USE: &str = "in use";

/// What a request asks of its monorepo.
pub(super) struct Monorepo {
    /// Whether both sets are solved by themselves and share only the compiler.
    pub(super) separate: bool,
    /// Names that the host provides.
    provided: BTreeSet<String>,
    /// Whether what the tests of the project's packages need is in the workspace.
    pub(super) tests: bool,
    /// Whether versions that are tagged `cross-compile` go before others of their name.
    cross_compile: bool,
    /// The version of the compiler, if it is given.
    ocaml: Option<String>,
    /// The compiler that is asked for, unless the project asks for a variant of it.
    compiler: Option<&'static str>,
    /// The classes of sources, by the names that they have.
    sources: BTreeMap<String, ClassId>,
    /// Whether names have a version that the workspace can have.
    possible: RefCell<BTreeMap<String, bool>>,
}

impl Monorepo {
    /// What a request and a project's files ask of a monorepo, if they ask for one.
    pub(super) fn new(
        host: &dyn Host,
        request: &OpenRequest,
        locals: &[Local],
        environment: &super::environment::Environment,
    ) -> PluginResult<Option<(Self, Settings)>> {
        let mut separate = false;
        let mut variants = Compiler::of(request) == Some(Compiler::Nixpkgs);
        let mut settings = Settings::default();
        for local in locals {
            let paths = vec![local.path.clone()];
            let content = host.read(&ReadRequest { tree: local.tree, paths })?.files.pop();
            let shown = format!("{}{}", local.prefix, local.path);
            let bytes = readable(&shown, content.unwrap_or(FileContent::Missing))?;
            let file = OpamFile::parse(&bytes.0).map_err(|error| syntax_error(&error, &shown))?;
            let depends = file.depends().map_err(|error| syntax_error(&error, &shown))?;
            // What it needs, by whether the variable is defined: all else the same.
            let owner = Owner::of_project(&local.name, &local.version, Side::Main);
            let needs = |defined: bool| {
                let value = |variable: &Variable<'_>| match (variable.name, variable.scope) {
                    ("monorepo", Scope::Global) => defined.then_some(Value::Bool(true)),
                    _ => environment.depends(owner, variable),
                };
                filter_depends(&depends, &value)
            };
            depends.for_each(&mut |atom| variants |= rules::is_variant(&atom.name));
            separate |= needs(true) != needs(false);
            settings.add(&file, &shown)?;
        }
        let given = |option: &str| request.options.contains_key(option);
        if !separate && !given("monorepo") {
            let stray = ["build-only", "require-cross-compile", "ocaml-version", "opam-provided"];
            if let Some(option) = stray.into_iter().find(|option| given(option)) {
                let message = format!("--{option} is about a monorepo, and this is none");
                return Err(Box::new(
                    Diagnostic::error("opam::monorepo", message)
                        .help("add --monorepo to compile the dependencies with the project"),
                ));
            }
            return Ok(None);
        }
        let value = |option: &str| request.options.get(option).into_iter().flatten().cloned();
        let mut provided = std::mem::take(&mut settings.provided);
        provided.extend(value("opam-provided"));
        let argument = |name: &str| given(name) || settings.arguments.contains_key(name);
        let own = Self {
            separate,
            provided,
            tests: !separate && !argument("build-only"),
            cross_compile: separate || argument("require-cross-compile"),
            ocaml: value("ocaml-version")
                .next_back()
                .or_else(|| settings.arguments.get("ocaml-version").cloned()),
            compiler: (!variants).then_some(BASE_COMPILER),
            sources: BTreeMap::new(),
            possible: RefCell::default(),
        };
        Ok(Some((own, settings)))
    }

    /// Where a name lives that a package of one side speaks of.
    pub(super) fn side(&self, of: Side, name: &str) -> Side {
        if of == Side::Host || self.crosses(name) { Side::Host } else { Side::Main }
    }

    /// Whether a workspace has a name from its host.
    pub(super) fn crosses(&self, name: &str) -> bool {
        rules::is_compiler(name) || self.provided.contains(name)
    }
}

impl OpamSession {
    /// What is asked of the host beside what the workspace asks of it.
    pub(super) fn host_roots(&mut self) -> PluginResult<Vec<Requirement>> {
        let Some(monorepo) = &self.monorepo else {
            // The tool that configures a unikernel has the compiler of the unikernel's host, so that
            // nothing is built twice.
            let chosen = self.configures && self.compiler.is_none();
            return self.compiler_root(Side::Main, chosen.then_some(BASE_COMPILER));
        };
        let mut roots = Vec::new();
        if let Some(version) = &monorepo.ocaml {
            let bound = Formula::Atom(Bound { op: RelOp::Eq, version: version.as_str().into() });
            let mut root =
                Requirement::new(Need::Set(self.numbers.set(Side::Host, "ocaml", &bound)));
            root.origin = Some(Origin::new("--ocaml-version", None));
            roots.push(root);
        }
        let compiler = monorepo.compiler;
        roots.extend(self.compiler_root(Side::Host, compiler)?);
        let Some(monorepo) = &self.monorepo else { return Ok(roots) };
        if !monorepo.separate {
            return Ok(roots);
        }
        for local in &self.locals {
            let paths = vec![local.path.clone()];
            let content = self.host.read(&ReadRequest { tree: local.tree, paths })?.files.pop();
            let bytes = readable(&local.path, content.unwrap_or(FileContent::Missing))?;
            let wrong = |error| syntax_error(&error, &local.path);
            let file = OpamFile::parse(&bytes.0).map_err(wrong)?;
            let depends = file.depends().map_err(wrong)?;
            let owner = Owner::of_project(&local.name, &local.version, Side::Host);
            let counts = filter_depends(&depends, &|it| self.environment.depends(owner, it));
            let mut reader = facts::Reader {
                numbers: &mut self.numbers,
                side: &|_| Side::Host,
                adapt: &without_opam_monorepo,
            };
            let mut own = Vec::new();
            let counts = (reader.adapt)(counts);
            facts::requirements(&mut reader, &counts, &mut own);
            for mut root in own {
                root.origin = Some(Origin::new(local.path.clone(), root.line.take()));
                roots.push(root);
            }
        }
        Ok(roots)
    }

    /// Of compilers of one version, the one that is asked for (`mk_request` of `lib/opam_solve.ml`), if
    /// the package set has none.
    fn compiler_root(
        &mut self,
        side: Side,
        compiler: Option<&str>,
    ) -> PluginResult<Vec<Requirement>> {
        let system = self.provided.keys().any(|name| rules::is_compiler(name));
        let Some(compiler) = compiler.filter(|_| !system) else { return Ok(Vec::new()) };
        let known = self.repositories.versions(&[compiler])?;
        if known.iter().all(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let set = self.numbers.set(side, compiler, &Formula::Empty);
        let mut root = Requirement::new(Need::Set(set));
        root.origin = Some(Origin::new("a monorepo's compiler", None));
        Ok(vec![root])
    }

    /// A version as its side sees it.
    pub(super) fn candidate_of(
        &mut self,
        side: Side,
        owner: Owner<'_>,
        file: &OpamFile<'_>,
    ) -> Result<Candidate, crate::syntax::Error> {
        let provided = self.provided.contains_key(owner.name);
        let local = self.locals.iter().any(|local| local.name == owner.name);
        let Self { monorepo, numbers, environment, repositories, .. } = self;
        let Some(monorepo) = monorepo else {
            // The tool that configures a unikernel needs it only to lock, which is done here.
            let adapt = |formula| {
                if self.configures { without_opam_monorepo(formula) } else { formula }
            };
            let mut reader = facts::Reader { numbers, side: &|_| Side::Main, adapt: &adapt };
            let candidate = facts::candidate(&mut reader, environment, owner, provided, file)?;
            // It is a tool of the host, and repositories of ports are there for the workspace.
            if self.configures && candidate.excluded.is_none() && rules::is_port(owner.version) {
                return Ok(excluded(candidate, rules::PORT.into()));
            }
            return Ok(candidate);
        };
        let possible = |name: &str| monorepo.is_possible(repositories, name);
        let adapt = |formula| {
            let formula = without_opam_monorepo(formula);
            if side == Side::Main { compiled_here(formula, &possible) } else { formula }
        };
        let sides = |name: &str| monorepo.side(side, name);
        let mut reader = facts::Reader { numbers, side: &sides, adapt: &adapt };
        let mut candidate = facts::candidate(&mut reader, environment, owner, provided, file)?;
        if candidate.excluded.is_some() {
            return Ok(candidate);
        }
        if side == Side::Host {
            if rules::is_port(owner.version) {
                return Ok(excluded(candidate, rules::PORT.into()));
            }
            // What the workspace has vendored is what the host has, too.
            if !monorepo.separate && !monorepo.crosses(owner.name) {
                let others = rules::others(owner.version);
                let set = numbers.set(Side::Main, owner.name, &others);
                candidate.conflicts.push(Conflict { set, line: None });
            }
            return Ok(candidate);
        }
        if local || provided {
            return Ok(candidate);
        }
        match rules::verdict(owner.name, file, owner.local)? {
            Verdict::Bare => {}
            // A pin is what the user says it is.
            Verdict::NotDune if !owner.local => {
                return Ok(excluded(candidate, rules::not_dune(owner.name)));
            }
            Verdict::NotDune | Verdict::Vendored => {
                candidate.placement = Placement::Workspace;
                if let Some(source) = Source::of(file)?.filter(|_| !owner.local) {
                    let name = source.name();
                    let set = numbers.set(Side::Source, &name, &Formula::Empty);
                    candidate.requires.push(Requirement::new(Need::Set(set)));
                    let class = numbers.class(&source.class());
                    monorepo.sources.insert(name, class);
                }
            }
        }
        Ok(candidate)
    }

    /// The one version of a source.
    pub(super) fn source_candidate(&self, name: &str) -> Candidate {
        let class = self.monorepo.as_ref().and_then(|monorepo| monorepo.sources.get(name));
        let classes = class.copied().into_iter().collect();
        Candidate { version: IN_USE.into(), classes, ..Candidate::default() }
    }

    /// Of a name of which some versions are tagged `cross-compile`, only those count where that is
    /// required.
    pub(super) fn prefer_cross_compiled(&self, candidates: &mut [Candidate], tagged: &[bool]) {
        let required = self.monorepo.as_ref().is_some_and(|monorepo| monorepo.cross_compile);
        if !required || !tagged.contains(&true) {
            return;
        }
        for (candidate, _) in candidates.iter_mut().zip(tagged).filter(|(_, tagged)| !**tagged) {
            if candidate.excluded.is_none() {
                *candidate = excluded(std::mem::take(candidate), rules::NOT_CROSS.into());
            }
        }
    }
}

impl Monorepo {
    /// Whether a name has a version that the workspace can compile.
    fn is_possible(&self, repositories: &super::repository::Repositories, name: &str) -> bool {
        if let Some(&known) = self.possible.borrow().get(name) {
            return known;
        }
        let compiles = || {
            let places = repositories.versions(&[name]).ok()?.pop()?;
            let places: Vec<_> = places.iter().collect();
            let contents = repositories.read(&places).ok()?;
            Some(contents.into_iter().flatten().any(|bytes| {
                let file = OpamFile::parse(&bytes.0);
                let verdict = file.and_then(|file| rules::verdict(name, &file, false));
                matches!(verdict, Ok(Verdict::Vendored))
            }))
        };
        let known = compiles().unwrap_or(false);
        self.possible.borrow_mut().insert(name.to_owned(), known);
        known
    }
}

/// A version that cannot be chosen.
fn excluded(candidate: Candidate, why: String) -> Candidate {
    let Candidate { version, file, .. } = candidate;
    Candidate { version, file, excluded: Some(why), ..Candidate::default() }
}

/// A formula that does not ask for the tool that x2nix stands in for.
fn without_opam_monorepo(formula: Formula<PackageAtom>) -> Formula<PackageAtom> {
    let mut asks = false;
    formula.for_each(&mut |atom| asks |= &*atom.name == OPAM_MONOREPO);
    if !asks {
        return formula;
    }
    formula.map(&mut |atom| match &*atom.name {
        OPAM_MONOREPO => Formula::Empty,
        _ => Formula::Atom(atom.clone()),
    })
}

/// A formula that leaves a library of the system (`conf-gmp`) aside where it may be compiled in the
/// workspace instead (`gmp`): what is there on the host is of no use to another target.
fn compiled_here(
    formula: Formula<PackageAtom>,
    possible: &dyn Fn(&str) -> bool,
) -> Formula<PackageAtom> {
    let is_conf = |part: &Formula<PackageAtom>| matches!(part, Formula::Atom(atom) if atom.name.starts_with("conf-"));
    match formula {
        Formula::And(parts) => {
            Formula::And(parts.into_iter().map(|part| compiled_here(part, possible)).collect())
        }
        Formula::Or(parts) => {
            let compiled = |part: &Formula<PackageAtom>| match part {
                Formula::Atom(atom) => !is_conf(part) && possible(&atom.name),
                _ => false,
            };
            let both = parts.iter().any(is_conf) && parts.iter().any(compiled);
            let parts = parts.into_iter().filter(|part| !(both && is_conf(part)));
            Formula::Or(parts.map(|part| compiled_here(part, possible)).collect())
        }
        other => other,
    }
}
