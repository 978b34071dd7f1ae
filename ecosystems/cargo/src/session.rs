//! A session: the state between its questions.

use crate::{
    config::{Config, IndexPlace},
    dictionary::{Numbers, Wanted},
    export,
    facts::Facts,
    git,
    lockfile::{LOCKFILE, Locked},
    plugin::RUSTC,
    registry::{Entry, Index, IndexTree, Registries},
    source::{Registry, Source},
    summary::{Summary, bucket},
    workspace::Workspace,
};
use cargo_util_schemas::{core::PartialVersion, manifest::RustVersion};
use rustc_hash::FxHashMap;
use semver::{Version, VersionReq};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use x2nix_protocol::{
    BuildAnswer, BuildRequest, Candidate, DetailsAnswer, DetailsRequest, Diagnostic, ExportAnswer,
    ExportRequest, FactsAnswer, FactsRequest, Granularity, Host, InputKind, Leaf, Manifest, Mark,
    Members, MembersAnswer, MembersRequest, Need, OpenAnswer, OpenRequest, OpenTreeRequest,
    OpenedTree, Origin, PackageFacts, Placement, PluginResult, Requirement, Selection, Session,
    TreeId,
};

/// One version that was told of.
pub(crate) struct Told {
    pub(crate) version: Version,
    pub(crate) place: Place,
    /// The file that says so, as messages name it.
    file: String,
}

/// Where a version is from.
pub(crate) enum Place {
    /// An entry of an index.
    Entry(Box<Entry>),
    /// A folder of the project, or beside it; or a package in Git, by its key.
    Folder(String),
    /// A package that takes the place of a version from elsewhere: where it is from.
    Patch(Source),
}

/// A conversation about crates.
pub(crate) struct CargoSession {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) request: OpenRequest,
    pub(crate) workspace: Option<Workspace>,
    pub(crate) config: Config,
    pub(crate) locked: Locked,
    pub(crate) registries: Registries,
    pub(crate) opened: Vec<OpenedTree>,
    pub(crate) numbers: Numbers,
    pub(crate) told: FxHashMap<x2nix_protocol::NameId, Vec<Told>>,
    /// Versions of Rust that the members promise to build with; versions of crates that fit fewer of
    /// them are taken only where nothing else fits.
    rust_versions: Vec<PartialVersion>,
}

impl CargoSession {
    /// Reads the request.
    pub(crate) fn open(
        host: Arc<dyn Host>,
        request: &OpenRequest,
    ) -> PluginResult<(Self, OpenAnswer)> {
        let project = request.inputs.iter().find(|input| input.kind == InputKind::Project);
        let project = project.map(|input| input.tree);
        let (mut workspace, mut locked) = (None, Locked::default());
        if let Some(tree) = project {
            locked = Locked::read(host.as_ref(), tree)?;
            workspace = Workspace::read(host.as_ref(), tree, &locked)?;
        }
        let config = Config::read(host.as_ref(), project)?;
        if workspace.is_none() && request.roots.is_empty() && request.mentions.is_empty() {
            return Err(Box::new(
                Diagnostic::error(
                    "cargo::no-roots",
                    "nothing is asked for: there is no Cargo.toml and no --root",
                )
                .help("run this in a folder with a Cargo.toml, or name crates: --root ripgrep"),
            ));
        }
        if let Some(name) = request.provided.keys().next() {
            let message = format!("[provided.{name}]: crates are not taken from the package set");
            return Err(Box::new(
                Diagnostic::error("cargo::provided", message)
                    .help("say what a crate needs of it: [system], or [[override]] with `inputs`"),
            ));
        }
        let mut opened =
            workspace.as_ref().map(|workspace| workspace.opened.clone()).unwrap_or_default();
        let indexes = indexes(host.as_ref(), request, &config, workspace.as_ref(), &mut opened)?;
        let rust_versions = rust_versions(workspace.as_ref(), &config, request)?;
        let mut session = Self {
            registries: Registries::new(Arc::clone(&host), indexes),
            opened,
            request: request.clone(),
            numbers: Numbers::default(),
            told: FxHashMap::default(),
            host,
            workspace,
            config,
            locked,
            rust_versions,
        };
        let notes = session.config.unread();
        let mut roots = session.members();
        for text in &request.roots {
            roots.push(session.root(text)?);
        }
        let mentions = request.mentions.iter().map(|said| session.mention(said));
        let mentions = mentions.collect::<PluginResult<_>>()?;
        let answer = OpenAnswer {
            roots,
            mentions,
            notes,
            environment: session.environment(),
            manifests: session.manifests(project),
            opened: session.opened.clone(),
            dictionary: session.numbers.announce(),
            ..OpenAnswer::default()
        };
        Ok((session, answer))
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let mut environment = self.request.environment.clone();
        environment.retain(|_, value| !value.is_empty());
        environment
    }

    fn manifests(&self, project: Option<TreeId>) -> Vec<Manifest> {
        let Some(tree) = project else { return Vec::new() };
        let locals = self.workspace.iter().flat_map(|workspace| workspace.locals.values());
        let files = locals.map(|local| local.manifest.file.clone());
        let root = self.workspace.iter().map(|workspace| workspace.root.file.clone());
        let lock = self.locked.is_there.then(|| LOCKFILE.to_owned());
        let files: BTreeSet<_> =
            files.chain(root).chain(lock).chain(self.config.file.clone()).collect();
        let inside =
            files.into_iter().filter(|path| !path.starts_with("..") && !path.starts_with("git+"));
        inside.map(|path| Manifest { tree, path }).collect()
    }

    /// The members, each with all its features.
    fn members(&mut self) -> Vec<Requirement> {
        let Some(workspace) = &self.workspace else { return Vec::new() };
        let members = workspace.members().map(|(folder, local)| {
            let wanted = Wanted::Exactly(local.summary.version.clone());
            let source = Source::Path(folder.clone());
            let leaf = Leaf {
                set: self.numbers.set(&local.summary.name, &source, wanted),
                role: x2nix_protocol::Role::Host,
                post: false,
                features: local.summary.features.keys().cloned().collect(),
            };
            let mut requirement = Requirement::new(Need::Leaf(leaf));
            requirement.origin = Some(Origin::new(local.manifest.file.clone(), None));
            requirement
        });
        members.collect()
    }

    /// A crate that was asked for by name: `serde`, `serde@1.0`, `serde>=1.0`.
    fn root(&mut self, text: &str) -> PluginResult<Requirement> {
        let (name, req) = parse_root(text)?;
        let need = self.named(name, &Source::Registry(Registry::Default), req);
        let mut requirement = Requirement::new(need);
        requirement.origin = Some(Origin::new(format!("--root {text}"), None));
        Ok(requirement)
    }

    /// What an edge from or to another ecosystem says of a crate: a member of the workspace, or else one
    /// of the registry.
    fn mention(&mut self, said: &Selection) -> PluginResult<Need> {
        let (name, req) = parse_root(&said.text).map_err(|mut error| {
            error.origin.clone_from(&said.origin);
            error
        })?;
        let members = self.workspace.iter().flat_map(Workspace::members);
        let own = members.filter(|(_, local)| local.summary.name == name);
        let source = own.map(|(folder, _)| Source::Path(folder.clone())).next();
        Ok(self.named(name, &source.unwrap_or(Source::Registry(Registry::Default)), req))
    }

    /// Some versions of a crate with what is on if nobody says otherwise.
    fn named(&mut self, name: &str, source: &Source, req: VersionReq) -> Need {
        Need::Leaf(Leaf {
            set: self.numbers.set(name, source, Wanted::Req(req)),
            role: x2nix_protocol::Role::Host,
            post: false,
            features: vec![crate::summary::DEFAULT.to_owned()],
        })
    }

    /// How many of the promised versions of Rust a version does not build with.
    fn misfits(&self, rust_version: Option<&RustVersion>) -> usize {
        let Some(needed) = rust_version else { return 0 };
        self.rust_versions.iter().filter(|promised| !needed.is_compatible_with(promised)).count()
    }

    /// The versions of a crate, the preferred one first.
    fn versions(&self, name: &str, source: &Source, entries: Vec<Entry>, file: &str) -> Vec<Told> {
        let mut told = Vec::new();
        for (source, local) in self.patches(name, source) {
            let version = local.summary.version.clone();
            let place = Place::Patch(source.clone());
            told.push(Told { version, place, file: local.manifest.file.clone() });
        }
        let patched: Vec<Version> = told.iter().map(|told| told.version.clone()).collect();
        let is_patched = |version: &Version| patched.contains(version);
        let kept = entries.into_iter().filter(|it| !is_patched(&it.version));
        told.extend(kept.map(|entry| Told {
            version: entry.version.clone(),
            place: Place::Entry(Box::new(entry)),
            file: file.to_owned(),
        }));
        let workspace = self.workspace.as_ref();
        if let Some((folder, local)) = workspace.and_then(|it| it.local(source, name))
            && !is_patched(&local.summary.version)
        {
            told.push(Told {
                version: local.summary.version.clone(),
                place: Place::Folder(folder.clone()),
                file: local.manifest.file.clone(),
            });
        }
        told.sort_by_cached_key(|told| {
            let misfits = match &told.place {
                Place::Entry(entry) => self.misfits(entry.rust_version.as_ref()),
                Place::Folder(_) | Place::Patch(_) => 0,
            };
            (misfits, Reverse(told.version.clone()))
        });
        told
    }

    /// The packages that take the place of a crate from a registry or a repository, with where they are from.
    fn patches(
        &self,
        name: &str,
        patched: &Source,
    ) -> impl Iterator<Item = (&Source, &crate::workspace::Local)> {
        let workspace = self.workspace.as_ref();
        let patches = workspace.into_iter().flat_map(|workspace| &workspace.patches);
        patches.filter_map(move |(source, patch)| {
            let meant = match patched {
                Source::Registry(Registry::Default) => source == "crates-io",
                Source::Registry(Registry::Named(name)) => source == name,
                Source::Registry(Registry::Index(index)) => source == index,
                Source::Git(place) => git::canonical(git::parts(place).0) == git::canonical(source),
                Source::Path(_) => false,
            };
            // What stands in for it may be from the same repository.
            if !meant || patch.package != name || patch.source == *patched {
                return None;
            }
            let (_, local) = workspace?.local(&patch.source, name)?;
            Some((&patch.source, local))
        })
    }

    /// What is told of a version at once.
    fn brief(&self, name: &str, source: &Source, told: &Told) -> Candidate {
        let mut candidate = Candidate {
            version: told.version.to_string(),
            bucket: bucket(&told.version),
            file: Some(told.file.clone()),
            deferred: true,
            ..Candidate::default()
        };
        match &told.place {
            Place::Entry(entry) => {
                if entry.yanked {
                    candidate.marks.push(Mark::Yanked);
                }
                let registered = matches!(source, Source::Registry(_));
                if registered && self.locked.has(name, &candidate.version) {
                    candidate.marks.push(Mark::Locked);
                }
            }
            Place::Folder(_) if matches!(source, Source::Git(_)) => {}
            Place::Folder(_) => candidate.placement = Placement::Workspace,
            // What is patched is another crate than what it stands in for.
            Place::Patch(source) => candidate.bucket.push_str(&format!(" from {source}")),
        }
        candidate
    }

    /// All that a version says.
    pub(crate) fn summary(
        &self,
        name: &str,
        source: &Source,
        told: &Told,
    ) -> Result<Summary, String> {
        match (&told.place, source) {
            (Place::Entry(entry), Source::Registry(registry)) => entry.summary(registry),
            (Place::Folder(folder), _) => self
                .workspace
                .as_ref()
                .and_then(|workspace| workspace.locals.get(folder))
                .map(|local| local.summary.clone())
                .ok_or_else(|| format!("there is no package in {folder}")),
            (Place::Patch(source), _) => self
                .workspace
                .as_ref()
                .and_then(|workspace| workspace.local(source, name))
                .map(|(_, local)| local.summary.clone())
                .ok_or_else(|| format!("there is no package in {source}")),
            (Place::Entry(_), _) => Err("it is in no registry".to_owned()),
        }
    }

    fn details_of(&mut self, place: x2nix_protocol::CandidatePlace) -> PluginResult<Candidate> {
        let (name, source) = self.numbers.named(place.name).cloned().ok_or_else(unknown)?;
        let told = self.told.get(&place.name).and_then(|told| told.get(place.candidate as usize));
        let told = told.ok_or_else(unknown)?;
        let mut candidate = self.brief(&name, &source, told);
        candidate.deferred = false;
        let summary = match self.summary(&name, &source, told) {
            Ok(summary) => summary,
            Err(why) => {
                candidate.excluded = Some(format!("its entry cannot be read: {why}"));
                return Ok(candidate);
            }
        };
        if let Place::Patch(source) = &told.place {
            // It is the package from there, and has what features that is asked for.
            let source = source.clone();
            let set = self.numbers.set(&name, &source, Wanted::Exactly(summary.version.clone()));
            let leaf = |features: Vec<String>| {
                let role = x2nix_protocol::Role::Host;
                Requirement::new(Need::Leaf(Leaf { set, role, post: false, features }))
            };
            candidate.requires.push(leaf(Vec::new()));
            let features = summary.features.keys().map(|feature| x2nix_protocol::Feature {
                name: feature.clone(),
                enables: Vec::new(),
                requires: vec![leaf(vec![feature.clone()])],
            });
            candidate.features = features.collect();
            return Ok(candidate);
        }
        let local = match &told.place {
            Place::Folder(folder) => {
                self.workspace.as_ref().and_then(|workspace| workspace.locals.get(folder))
            }
            _ => None,
        };
        let tests = local.is_some_and(|local| local.member);
        let line = |name: &str| local.and_then(|local| local.manifest.line_of(name));
        let facts = Facts { summary: &summary, tests, line: &line };
        facts.fill(&mut self.numbers, &mut candidate);
        Ok(candidate)
    }
}

impl Session for CargoSession {
    fn facts(&mut self, request: &FactsRequest) -> PluginResult<FactsAnswer> {
        let named = request.names.iter().map(|&id| self.numbers.named(id).cloned());
        let named: Vec<(String, Source)> = named.collect::<Option<_>>().ok_or_else(unknown)?;
        let wanted: Vec<(Registry, &str)> = named
            .iter()
            .filter_map(|(name, source)| match source {
                Source::Registry(registry) => Some((registry.clone(), name.as_str())),
                _ => None,
            })
            .collect();
        let mut found = self.registries.read(&wanted)?.into_iter();
        let mut answer = FactsAnswer::default();
        for (&id, (name, source)) in request.names.iter().zip(&named) {
            let mut entries = crate::registry::Found::default();
            if let Source::Registry(_) = source {
                entries = found.next().unwrap_or_default();
            }
            answer.notes.append(&mut entries.notes);
            let told = self.versions(name, source, entries.entries, &entries.file);
            let candidates: Vec<_> =
                told.iter().map(|told| self.brief(name, source, told)).collect();
            let similar = match source {
                Source::Registry(registry) if candidates.is_empty() => {
                    self.registries.similar(registry, name)?
                }
                _ => Vec::new(),
            };
            self.told.insert(id, told);
            let granularity = Granularity::Bucket;
            answer.packages.push(PackageFacts { name: id, granularity, candidates, similar });
        }
        answer.dictionary = self.numbers.announce();
        Ok(answer)
    }

    fn details(&mut self, request: &DetailsRequest) -> PluginResult<DetailsAnswer> {
        let mut candidates = Vec::with_capacity(request.candidates.len());
        for &place in &request.candidates {
            candidates.push(self.details_of(place)?);
        }
        let dictionary = self.numbers.announce();
        Ok(DetailsAnswer { dictionary, candidates, notes: Vec::new() })
    }

    fn members(&mut self, request: &MembersRequest) -> PluginResult<MembersAnswer> {
        let members = |&set| {
            let (name, wanted) = self.numbers.wanted(set).ok_or_else(unknown)?;
            let told = self.told.get(name).map(Vec::as_slice).unwrap_or_default();
            let inside = (0..).zip(told).filter(|(_, told)| wanted.matches(&told.version));
            Ok(Members::from_positions(inside.map(|(position, _)| position)))
        };
        Ok(MembersAnswer { sets: request.sets.iter().map(members).collect::<PluginResult<_>>()? })
    }

    fn build(&mut self, request: &BuildRequest) -> PluginResult<BuildAnswer> {
        crate::build::build(self, request)
    }

    fn export(&mut self, request: &ExportRequest) -> PluginResult<ExportAnswer> {
        export::export(self, request)
    }
}

/// A number was asked about that was never given out.
fn unknown() -> Box<Diagnostic> {
    Box::new(Diagnostic::error("cargo::protocol", "asked about something that was never told of"))
}

/// A crate and its versions, as roots and overrides name them.
pub(crate) fn parse_root(text: &str) -> PluginResult<(&str, VersionReq)> {
    let end = text.find(|letter: char| !(letter.is_ascii_alphanumeric() || "-_".contains(letter)));
    let (name, bound) = text.split_at(end.unwrap_or(text.len()));
    let bound = bound.strip_prefix('@').unwrap_or(bound).trim();
    let req = if bound.is_empty() { Ok(VersionReq::STAR) } else { VersionReq::parse(bound) };
    let req = req.ok().filter(|_| !name.is_empty()).ok_or_else(|| {
        let message = format!("{text:?} does not name a crate");
        Box::new(
            Diagnostic::error("cargo::root", message)
                .help("write a name and perhaps a version: serde, serde@1.0, 'serde>=1.0.100'"),
        )
    })?;
    Ok((name, req))
}

/// The indexes that registries are read from: what the configuration of cargo names, and folders that
/// the user gave for the registry that is meant where none is named.
fn indexes(
    host: &dyn Host,
    request: &OpenRequest,
    config: &Config,
    workspace: Option<&Workspace>,
    opened: &mut Vec<OpenedTree>,
) -> PluginResult<FxHashMap<Registry, Vec<Index>>> {
    let mut indexes: FxHashMap<Registry, Vec<Index>> = FxHashMap::default();
    for input in request.inputs.iter().filter(|input| input.kind == InputKind::Repository) {
        // Others are folders of sources.
        if let Some(index) = IndexTree::find(host, input.tree, &input.label)? {
            indexes.entry(Registry::Default).or_default().push(Index::Tree(index));
        }
    }
    let mut registries = BTreeSet::from([Registry::Default]);
    for local in workspace.iter().flat_map(|workspace| workspace.locals.values()) {
        for dependency in &local.summary.dependencies {
            if let Source::Registry(registry) = &dependency.source {
                registries.insert(registry.clone());
            }
        }
    }
    for registry in registries {
        if indexes.contains_key(&registry) {
            continue;
        }
        let index = match config.place(&registry)? {
            Some(IndexPlace::Folder(place)) => {
                let tree = host.open(&OpenTreeRequest { place: place.clone() })?;
                let index = IndexTree::find(host, tree.tree, &place)?;
                opened.push(tree);
                let empty = || {
                    let message = format!("{place} has no index of crates");
                    Box::new(Diagnostic::error("cargo::registry", message).access())
                };
                Some(Index::Tree(index.ok_or_else(empty)?))
            }
            Some(IndexPlace::Address(address)) => Some(Index::at(&address)?),
            None if registry == Registry::Default => default_index(),
            None => None,
        };
        indexes.entry(registry).or_default().extend(index);
    }
    Ok(indexes)
}

/// The index of the registry that is meant where none is named.
fn default_index() -> Option<Index> {
    Index::at(env!("X2NIX_CARGO_SPARSE")).ok()
}

/// The versions of Rust that versions of crates should build with, where that counts: with resolver 3,
/// or where the configuration says so.
fn rust_versions(
    workspace: Option<&Workspace>,
    config: &Config,
    request: &OpenRequest,
) -> PluginResult<Vec<PartialVersion>> {
    let Some(workspace) = workspace else { return Ok(Vec::new()) };
    let heeded = match config.heeds_rust_version() {
        Some(stated) => stated,
        None => workspace.root.resolver()? == 3,
    };
    if !heeded {
        return Ok(Vec::new());
    }
    let stated = workspace.members().filter_map(|(_, local)| local.summary.rust_version);
    let mut versions: Vec<PartialVersion> = stated.map(|version| version.to_partial()).collect();
    if versions.is_empty()
        && let Some(rustc) = request.environment.get(RUSTC)
    {
        let version = rustc.parse().map_err(|error| {
            let message = format!("the version of rustc {rustc:?} cannot be read: {error}");
            Box::new(
                Diagnostic::error("cargo::rustc", message)
                    .help(format!("give it as rustc states it: --env {RUSTC}=1.95.0")),
            )
        })?;
        versions.push(version);
    }
    Ok(versions)
}
