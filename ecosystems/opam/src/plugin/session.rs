//! A session: the state between its questions.

use super::{
    SYSTEM_COMPILER, build,
    dictionary::Numbers,
    environment::{Compiler, Environment, Owner},
    facts,
    repository::{Place, Repositories},
    request::{self, Local, Pinned, Root},
};
use crate::package::OpamFile;
use rustc_hash::{FxHashMap, FxHashSet};
use std::{collections::BTreeMap, sync::Arc};
use x2nix_protocol::{
    BuildAnswer, BuildRequest, Candidate, Diagnostic, FactsAnswer, FactsRequest, Granularity, Host,
    Input, InputKind, Manifest, MembersAnswer, MembersRequest, NameId, NamesAnswer, OpenAnswer,
    OpenRequest, Origin, PackageFacts, PluginResult, Provided, Requirement, Session,
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
    compiler: Option<Compiler>,
    pub(super) provided: BTreeMap<String, Provided>,
    pub(super) locals: Vec<Local>,
    pub(super) pinned: Pinned,
    requested: FxHashSet<String>,
    pub(super) numbers: Numbers,
    pub(super) versions: FxHashMap<NameId, Vec<Version>>,
}

impl OpamSession {
    /// Reads the request.
    pub(super) fn open(
        host: Arc<dyn Host>,
        request: &OpenRequest,
    ) -> PluginResult<(Self, OpenAnswer)> {
        let environment = Environment::new(request)?;
        let locked = request.options.contains_key("use-opam-locked");
        let locals = request::locals(host.as_ref(), &request.inputs, locked)?;
        let mut roots: Vec<Root> =
            request.roots.iter().map(|text| request::parse_root(text)).collect::<Result<_, _>>()?;
        for path in request.options.get("switch-export").into_iter().flatten() {
            roots.extend(request::exported(host.as_ref(), &request.inputs, path)?);
        }
        if locals.is_empty() && roots.is_empty() {
            return Err(Box::new(
                Diagnostic::error(
                    "opam::no-roots",
                    "nothing is asked for: there is no *.opam file and no --root",
                )
                .help("run this in a folder with a NAME.opam file, or name packages: --root lwt"),
            ));
        }
        let compiler = Compiler::of(request);
        if compiler == Some(Compiler::Nixpkgs) {
            roots.push(Root {
                name: SYSTEM_COMPILER.into(),
                constraint: crate::formula::Formula::Empty,
                origin: Origin::new("--compiler nixpkgs", None),
            });
        }
        let pinned = request::pinned(host.as_ref(), &locals)?;
        let repositories = Repositories::new(Arc::clone(&host), &request.inputs)?;
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
            locals,
            pinned,
        };
        let answer = session.open_answer(&roots);
        Ok((session, answer))
    }

    fn open_answer(&mut self, roots: &[Root]) -> OpenAnswer {
        let mut requirements = Vec::new();
        let mut manifests = Vec::new();
        for local in &self.locals {
            let set = self.numbers.set(&local.name, &crate::formula::Formula::Empty);
            let mut requirement = Requirement::new(x2nix_protocol::Need::Set(set));
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
            let set = self.numbers.set(&root.name, &root.constraint);
            let mut requirement = Requirement::new(x2nix_protocol::Need::Set(set));
            requirement.origin = Some(root.origin.clone());
            requirements.push(requirement);
        }
        OpenAnswer {
            dictionary: self.numbers.announce(),
            roots: requirements,
            environment: self.environment.globals.clone(),
            manifests,
            opened: self.pinned.opened.clone(),
            ..OpenAnswer::default()
        }
    }

    pub(super) fn owner<'a>(&self, name: &'a str, version: &'a str) -> Owner<'a> {
        Owner {
            name,
            version,
            requested: self.requested.contains(name),
            local: self.local(name).is_some(),
        }
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
        let names: Vec<String> =
            request.names.iter().map(|&id| self.numbers.name_text(id).to_owned()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let versions = self.places(&names)?;
        let places: Vec<&Place> =
            versions.iter().flatten().filter_map(|version| version.place.as_ref()).collect();
        let mut contents = self.repositories.read(&places)?.into_iter();
        let mut answer = FactsAnswer::default();
        for ((&id, name), versions) in request.names.iter().zip(names).zip(versions) {
            let mut candidates = Vec::new();
            let mut kept = Vec::new();
            for version in versions {
                let content = version.place.as_ref().and_then(|_| contents.next());
                let candidate = self.candidate(name, &version, content)?;
                candidates.push(candidate.unwrap_or_else(|note| {
                    let candidate = broken(&version, &note);
                    answer.notes.push(*note);
                    candidate
                }));
                kept.push(version);
            }
            let similar =
                if candidates.is_empty() { self.repositories.similar(name) } else { Vec::new() };
            self.versions.insert(id, kept);
            answer.packages.push(PackageFacts {
                name: id,
                granularity: Granularity::One,
                candidates,
                similar,
            });
        }
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
        Ok(NamesAnswer { names: self.repositories.names() })
    }

    fn build(&mut self, request: &BuildRequest) -> PluginResult<BuildAnswer> {
        build::build(self, request)
    }
}

impl OpamSession {
    /// What is known of one version; a message where its file is broken and it is left out. A
    /// broken file of the project itself is an error.
    fn candidate(
        &mut self,
        name: &str,
        version: &Version,
        content: Option<PluginResult<x2nix_protocol::Blob>>,
    ) -> PluginResult<PluginResult<Candidate>> {
        if name == SYSTEM_COMPILER && self.compiler == Some(Compiler::Source) {
            return Ok(Ok(Candidate {
                version: version.version.clone(),
                excluded: Some("`--compiler source` asks for one that is built".into()),
                file: version.place.as_ref().map(Place::file),
                ..Candidate::default()
            }));
        }
        let owner = self.owner(name, &version.version);
        let (Some(place), Some(content)) = (&version.place, content) else {
            return Ok(Ok(Candidate { version: version.version.clone(), ..Candidate::default() }));
        };
        let bytes = match content {
            Ok(bytes) => bytes,
            Err(note) if owner.local => return Err(note),
            Err(note) => return Ok(Err(note)),
        };
        let provided = self.provided.contains_key(name);
        let read = OpamFile::parse(&bytes.0).and_then(|file| {
            facts::candidate(&mut self.numbers, &self.environment, owner, provided, &file)
        });
        match read {
            Ok(mut candidate) => {
                candidate.file = Some(place.file());
                Ok(Ok(candidate))
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
