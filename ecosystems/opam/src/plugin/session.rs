//! A session: the state between its questions.

use super::{
    SYSTEM_COMPILER, build,
    dictionary::{Numbers, Side},
    environment::{Compiler, Environment, Owner},
    monorepo::{self, Monorepo},
    repository::{Place, Repositories},
    request::{self, Local, Pinned, Root},
};
use crate::{
    mirage::{self, CONFIGURES, Configured},
    package::OpamFile,
};
use rustc_hash::{FxHashMap, FxHashSet};
use std::{collections::BTreeMap, sync::Arc};
use x2nix_protocol::{
    BuildAnswer, BuildRequest, Candidate, Diagnostic, ExportAnswer, ExportRequest, FactsAnswer,
    FactsRequest, Granularity, Host, Input, InputKind, Manifest, MembersAnswer, MembersRequest,
    NameId, NamesAnswer, Need, OpenAnswer, OpenRequest, Origin, PackageFacts, PluginResult,
    Provided, Requirement, Session,
};

/// One version that was told of.
pub(super) struct Version {
    pub(super) version: String,
    /// Where its opam file lies; nowhere for what only the package set of Nix has.
    pub(super) place: Option<Place>,
}

/// A conversation about opam packages.
pub(super) struct OpamSession {
    pub(super) host: Arc<dyn Host>,
    pub(super) inputs: Vec<Input>,
    pub(super) repositories: Repositories,
    pub(super) environment: Environment,
    pub(super) compiler: Option<Compiler>,
    /// What is asked of a monorepo, if the project is to be one.
    pub(super) monorepo: Option<Monorepo>,
    pub(super) provided: BTreeMap<String, Provided>,
    pub(super) locals: Vec<Local>,
    pub(super) pinned: Pinned,
    /// Those packages of the project that are unikernels.
    pub(super) unikernels: Vec<Configured>,
    /// Whether this is about the tool that configures them.
    pub(super) configures: bool,
    requested: FxHashSet<String>,
    pub(super) numbers: Numbers,
    pub(super) versions: FxHashMap<NameId, Vec<Version>>,
}

impl OpamSession {
    /// Reads the request.
    pub(super) fn open(
        host: Arc<dyn Host>,
        request: &OpenRequest,
        unikernels: Vec<Configured>,
    ) -> PluginResult<(Self, OpenAnswer)> {
        let mut environment = Environment::new(request)?;
        let locked = request.options.contains_key("use-opam-locked");
        let locals = if unikernels.is_empty() {
            request::locals(host.as_ref(), &request.inputs, locked)?
        } else {
            request::configured(host.as_ref(), &unikernels)?
        };
        let mut roots: Vec<Root> =
            request.roots.iter().map(|text| request::parse_root(text)).collect::<Result<_, _>>()?;
        for path in request.options.get("switch-export").into_iter().flatten() {
            roots.extend(request::exported(host.as_ref(), &request.inputs, path)?);
        }
        let mentions: Vec<Root> =
            request.mentions.iter().map(request::mention).collect::<PluginResult<_>>()?;
        if locals.is_empty() && roots.is_empty() && mentions.is_empty() {
            if let Some(config) = mirage::config_of(host.as_ref(), &request.inputs)? {
                let message =
                    "nothing is asked for: there is a unikernel's config.ml, and no --target";
                let help = "give --target spt, or write `target = [\"spt\"]` below [options] in x2nix.toml; repeat it for several";
                let diagnostic = Diagnostic::error("opam::no-roots", message).at(config);
                return Err(Box::new(diagnostic.help(help)));
            }
            return Err(Box::new(
                Diagnostic::error(
                    "opam::no-roots",
                    "nothing is asked for: there is no *.opam file and no --root",
                )
                .help("run this in a folder with a NAME.opam file, or name packages: --root lwt"),
            ));
        }
        let compiler = Compiler::of(request);
        if let Some((name, option)) = compiler.and_then(|it| it.package(&roots)) {
            roots.push(Root {
                name: name.into(),
                constraint: crate::formula::Formula::Empty,
                origin: Origin::new(format!("--compiler {option}"), None),
            });
        }
        let mut pinned = request::pinned(host.as_ref(), &locals)?;
        let mut repositories = request.inputs.clone();
        let monorepo = Monorepo::new(host.as_ref(), request, &locals, &environment)?;
        let monorepo = match monorepo {
            Some((monorepo, settings)) => {
                environment.set_monorepo(monorepo.tests);
                environment.set_defaults(request, settings.variables);
                for (place, origin) in settings.repositories {
                    let (opened, input) = request::repository(host.as_ref(), place, origin)?;
                    repositories.push(input);
                    pinned.open(opened);
                }
                Some(monorepo)
            }
            None => None,
        };
        let repositories = Repositories::new(Arc::clone(&host), &repositories)?;
        let names =
            locals.iter().map(|local| &local.name).chain(roots.iter().map(|root| &root.name));
        let mut session = Self {
            requested: names.cloned().collect(),
            inputs: request.inputs.clone(),
            provided: request.provided.clone(),
            numbers: Numbers::default(),
            versions: FxHashMap::default(),
            host,
            repositories,
            environment,
            compiler,
            monorepo,
            locals,
            pinned,
            unikernels,
            configures: request.options.contains_key(CONFIGURES),
        };
        let mut answer = session.open_answer(&roots);
        answer.roots.extend(session.host_roots()?);
        answer.mentions = mentions.iter().map(|root| session.need(root)).collect();
        answer.dictionary = session.numbers.announce();
        Ok((session, answer))
    }

    fn open_answer(&mut self, roots: &[Root]) -> OpenAnswer {
        let mut requirements = Vec::new();
        let mut manifests = Vec::new();
        for local in &self.locals {
            let set = self.numbers.set(Side::Main, &local.name, &crate::formula::Formula::Empty);
            let mut requirement = Requirement::new(Need::Set(set));
            requirement.origin = Some(Origin::new(local.path.clone(), None));
            requirements.push(requirement);
            manifests.push(Manifest { tree: local.tree, path: local.path.clone() });
        }
        let exports = roots.iter().map(|root| &root.origin).filter(|origin| origin.line.is_some());
        let project = self.inputs.iter().find(|input| input.kind == InputKind::Project);
        for origin in exports {
            manifests.extend(
                project.map(|input| Manifest { tree: input.tree, path: origin.file.clone() }),
            );
        }
        for root in roots {
            let mut requirement = Requirement::new(self.need(root));
            requirement.origin = Some(root.origin.clone());
            requirements.push(requirement);
        }
        OpenAnswer {
            roots: requirements,
            environment: self.environment.globals.clone(),
            manifests,
            opened: self.pinned.opened.clone(),
            ..OpenAnswer::default()
        }
    }

    /// The versions that the user's words mean.
    fn need(&mut self, root: &Root) -> Need {
        let monorepo = self.monorepo.as_ref();
        let side = monorepo.map_or(Side::Main, |it| it.side(Side::Main, &root.name));
        Need::Set(self.numbers.set(side, &root.name, &root.constraint))
    }

    pub(super) fn owner<'a>(&self, side: Side, name: &'a str, version: &'a str) -> Owner<'a> {
        Owner {
            name,
            version,
            side,
            requested: side == Side::Main && self.requested.contains(name),
            local: self.local(name).is_some(),
        }
    }

    /// Whether the user asked for a package by name.
    pub(super) fn is_requested(&self, name: &str) -> bool {
        self.requested.contains(name)
    }

    /// The package of the project, or the pinned one, that is called so.
    pub(super) fn local(&self, name: &str) -> Option<&Local> {
        self.locals.iter().chain(&self.pinned.packages).find(|local| local.name == name)
    }

    /// Where the versions of some names lie: a project's own packages and those that are provided
    /// have one version, whatever the repositories say.
    fn places(&self, names: &[&str]) -> PluginResult<Vec<Vec<Version>>> {
        let found = self.repositories.versions(names)?;
        let choose = |(name, places): (&&str, Vec<Place>)| {
            if let Some(local) = self.local(name) {
                let place = Place::local(local);
                return vec![Version { version: local.version.clone(), place: Some(place) }];
            }
            if let Some(provided) = self.provided.get(*name) {
                let equal = |place: &Place| {
                    crate::version::compare(&place.version, &provided.version).is_eq()
                };
                let place = places.into_iter().find(equal);
                return vec![Version { version: provided.version.clone(), place }];
            }
            places
                .into_iter()
                .map(|place| Version { version: place.version.clone(), place: Some(place) })
                .collect()
        };
        Ok(names.iter().zip(found).map(choose).collect())
    }
}

impl Session for OpamSession {
    fn facts(&mut self, request: &FactsRequest) -> PluginResult<FactsAnswer> {
        let named = |&id: &NameId| {
            let (side, name) = self.numbers.name_text(id);
            (id, side, name.to_owned())
        };
        let (sources, named): (Vec<_>, Vec<_>) =
            request.names.iter().map(named).partition(|(_, side, _)| *side == Side::Source);
        let names: Vec<&str> = named.iter().map(|(_, _, name)| name.as_str()).collect();
        let versions = self.places(&names)?;
        let places: Vec<&Place> =
            versions.iter().flatten().filter_map(|version| version.place.as_ref()).collect();
        let mut contents = self.repositories.read(&places)?.into_iter();
        let mut answer = FactsAnswer::default();
        let facts = |name, candidates| PackageFacts {
            name,
            granularity: Granularity::One,
            candidates,
            similar: Vec::new(),
        };
        for (id, _, name) in sources {
            let version = Version { version: monorepo::IN_USE.into(), place: None };
            self.versions.insert(id, vec![version]);
            answer.packages.push(facts(id, vec![self.source_candidate(&name)]));
        }
        for ((id, side, name), versions) in named.iter().zip(versions) {
            let mut candidates = Vec::new();
            let mut tagged = Vec::new();
            for version in &versions {
                let content = version.place.as_ref().and_then(|_| contents.next());
                let owner = self.owner(*side, name, &version.version);
                let told = self.candidate(owner, version, content)?;
                let (candidate, tag) = told.unwrap_or_else(|note| {
                    let candidate = broken(version, &note);
                    answer.notes.push(*note);
                    (candidate, false)
                });
                candidates.push(candidate);
                tagged.push(tag);
            }
            if *side == Side::Main {
                self.prefer_cross_compiled(&mut candidates, &tagged);
            }
            self.versions.insert(*id, versions);
            let mut facts = facts(*id, candidates);
            if facts.candidates.is_empty() {
                facts.similar = self.repositories.similar(name)?;
            }
            answer.packages.push(facts);
        }
        answer.packages.sort_by_key(|package| package.name);
        answer.dictionary = self.numbers.announce();
        Ok(answer)
    }

    fn members(&mut self, request: &MembersRequest) -> PluginResult<MembersAnswer> {
        let members = |&set| {
            let versions = self.numbers.set_name(set).and_then(|name| self.versions.get(&name));
            let versions = versions.map(Vec::as_slice).unwrap_or_default();
            self.numbers.members(set, versions.iter().map(|version| version.version.as_str()))
        };
        Ok(MembersAnswer { sets: request.sets.iter().map(members).collect() })
    }

    fn names(&mut self) -> PluginResult<NamesAnswer> {
        Ok(NamesAnswer { names: self.repositories.names()? })
    }

    fn build(&mut self, request: &BuildRequest) -> PluginResult<BuildAnswer> {
        build::build(self, request)
    }

    fn export(&mut self, request: &ExportRequest) -> PluginResult<ExportAnswer> {
        monorepo::export::export(self, request)
    }
}

impl OpamSession {
    /// What is known of one version, and whether it is tagged `cross-compile`; a message where its
    /// file is broken and it is left out. A broken file of the project itself is an error.
    fn candidate(
        &mut self,
        owner: Owner<'_>,
        version: &Version,
        content: Option<PluginResult<x2nix_protocol::Blob>>,
    ) -> PluginResult<PluginResult<(Candidate, bool)>> {
        if owner.name == SYSTEM_COMPILER && self.compiler == Some(Compiler::Source) {
            let candidate = Candidate {
                version: version.version.clone(),
                excluded: Some("`--compiler source` asks for one that is built".into()),
                file: version.place.as_ref().map(Place::file),
                ..Candidate::default()
            };
            return Ok(Ok((candidate, false)));
        }
        let (Some(place), Some(content)) = (&version.place, content) else {
            let version = version.version.clone();
            return Ok(Ok((Candidate { version, ..Candidate::default() }, false)));
        };
        let bytes = match content {
            Ok(bytes) => bytes,
            Err(note) if owner.local => return Err(note),
            Err(note) => return Ok(Err(note)),
        };
        let read = OpamFile::parse(&bytes.0).and_then(|file| {
            let candidate = self.candidate_of(owner.side, owner, &file)?;
            Ok((candidate, file.tags()?.iter().any(|tag| &**tag == "cross-compile")))
        });
        match read {
            Ok((mut candidate, tagged)) => {
                candidate.file = Some(place.file());
                Ok(Ok((candidate, tagged)))
            }
            Err(error) => {
                let error = request::syntax_error(&error, &place.file());
                if owner.local {
                    return Err(error);
                }
                let severity = x2nix_protocol::Severity::Warning;
                let help =
                    "this version is left out; mend the repository to have it back".to_owned();
                Ok(Err(Box::new(Diagnostic { severity, help: Some(help), ..*error })))
            }
        }
    }
}

/// A version whose opam file is broken: it is there, but cannot be chosen.
fn broken(version: &Version, note: &Diagnostic) -> Candidate {
    let place = version.place.as_ref();
    Candidate {
        version: version.version.clone(),
        excluded: Some(format!("its opam file is broken: {}", note.message)),
        file: place.map(Place::file),
        line: note.origin.as_ref().and_then(|origin| origin.line),
        ..Candidate::default()
    }
}
