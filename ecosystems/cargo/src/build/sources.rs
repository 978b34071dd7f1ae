//! Where the sources of chosen crates are, and what their manifests say.
//!
//! An index does not say whether a crate is a macro, where its library lies or whether it has a build
//! script. So the sources are looked at when a lock is written: folders of the project, archives that lie
//! in a local registry, or those that the registry gives, which the host keeps.

use super::{
    about::About,
    archive,
    targets::{self, Targets},
};
use crate::{
    chosen::{Chosen, Graph},
    manifest::{Inheritance, Manifest},
    registry::{Archives, Entry, address},
    session::{CargoSession, Place},
    source::{Registry, Source},
    workspace::within,
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use x2nix_protocol::{
    Artifact, Diagnostic, FetchFile, FetchRequest, Fetched, FileContent, InputKind, ListRequest,
    PluginResult, ReadRequest, TreeId,
};

/// So many archives are fetched or read in one call: they are held in memory.
const BATCH: usize = 32;

/// What is known of a crate's source.
pub(super) struct Crate {
    pub(super) targets: Targets,
    pub(super) about: About,
    pub(super) artifact: Artifact,
    /// Whether it is a folder of the project, or beside it.
    pub(super) local: bool,
    /// Where several crates have one artifact: its key, and the folder in it.
    pub(super) shared: Option<(String, String)>,
    /// The manifest, of what is not of the project.
    pub(super) manifest: Option<Manifest>,
}

/// A crate whose archive is to be read.
struct Wanted<'g> {
    at: usize,
    label: String,
    package: &'g Chosen<'g>,
    entry: &'g Entry,
    registry: &'g Registry,
}

/// Reads the sources of some packages of a graph.
pub(super) fn read(
    session: &CargoSession,
    graph: &Graph<'_>,
    wanted: impl Iterator<Item = usize>,
) -> PluginResult<BTreeMap<usize, Crate>> {
    let mut crates = BTreeMap::new();
    let mut open: Vec<Wanted<'_>> = Vec::new();
    for at in wanted {
        let package = &graph.packages[at];
        match (&package.told.place, &package.source) {
            (Place::Entry(entry), Source::Registry(registry)) => {
                let label = format!("{}-{}", package.name, package.told.version);
                open.push(Wanted { at, label, package, entry, registry });
            }
            (Place::Folder(_), Source::Git(place)) => {
                crates.insert(at, in_git(session, place, &package.name)?);
            }
            (Place::Folder(folder), _) => {
                crates.insert(at, local(session, folder)?);
            }
            (Place::Patch(_) | Place::Entry(_), _) => {}
        }
    }
    unpacked(session, &mut open, &mut crates)?;
    let mut registries: Vec<&Registry> = open.iter().map(|it| it.registry).collect();
    registries.sort();
    registries.dedup();
    let mut missing = Vec::new();
    for registry in registries {
        let (mut own, rest): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|it| it.registry == registry);
        open = rest;
        for place in session.registries.archives(registry)? {
            for batch in std::mem::take(&mut own).chunks(BATCH) {
                own.extend(from_archives(session, &place, batch, &mut crates)?);
            }
        }
        missing.extend(own.into_iter().map(|it| it.label));
    }
    match missing.first() {
        None => Ok(crates),
        Some(first) => {
            let others = match missing.len() {
                1 => String::new(),
                count => format!(", nor are those of {} others", count - 1),
            };
            Err(Box::new(
                Diagnostic::error("cargo::sources", format!("the source of {first} is not there{others}"))
                    .help("put NAME-VERSION.crate beside the index, or give a folder with the crates unpacked, each as NAME-VERSION: --repo DIR; or build nothing: --build nothing")
                    .access(),
            ))
        }
    }
}

/// A package in a repository.
fn in_git(session: &CargoSession, place: &str, name: &str) -> PluginResult<Crate> {
    let gone = || Box::new(Diagnostic::error("cargo::protocol", "a repository is gone"));
    let workspace = session.workspace.as_ref().ok_or_else(gone)?;
    let repository = workspace.repositories.get(place).ok_or_else(gone)?;
    let (manifest, _) = repository.package(place, name)?;
    let files = files(session, repository.tree, &manifest.folder)?;
    let (key, artifact) = repository.artifact();
    let inherited = repository.inheritance(&manifest.folder);
    let described = described(manifest, inherited, &files, artifact, false)?;
    Ok(Crate { shared: Some((key, manifest.folder.clone())), ..described })
}

/// A package in a folder of the project, or beside it.
fn local(session: &CargoSession, folder: &str) -> PluginResult<Crate> {
    let gone = || Box::new(Diagnostic::error("cargo::protocol", "a folder is gone"));
    let workspace = session.workspace.as_ref().ok_or_else(gone)?;
    let manifest = &workspace.locals.get(folder).ok_or_else(gone)?.manifest;
    let (tree, top) = workspace.place(folder);
    let artifact = match session.opened.iter().find(|opened| opened.tree == tree) {
        Some(_) => Artifact::Input { input: number(session, tree), path: ".".into() },
        None => Artifact::Local { path: if top.is_empty() { ".".into() } else { top.to_owned() } },
    };
    let files = files(session, tree, top)?;
    described(manifest, workspace.inheritance(folder), &files, artifact, true)
}

fn described(
    manifest: &Manifest,
    inherited: Option<Inheritance<'_>>,
    files: &BTreeSet<String>,
    artifact: Artifact,
    local: bool,
) -> PluginResult<Crate> {
    let targets = targets::read(manifest, inherited, files)?;
    let about = About::read(manifest, inherited, files);
    let manifest = (!local).then(|| manifest.clone());
    Ok(Crate { targets, about, artifact, local, shared: None, manifest })
}

/// The files of a package that it matters to know of.
fn files(session: &CargoSession, tree: TreeId, top: &str) -> PluginResult<BTreeSet<String>> {
    let mut files = BTreeSet::new();
    let mut folders = vec![String::new(), "src".to_owned(), "src/bin".to_owned()];
    while !folders.is_empty() {
        let paths = folders.iter().map(|folder| match folder.as_str() {
            "" => top.to_owned(),
            folder => within(top, folder),
        });
        let request = ListRequest::new(tree, paths.collect());
        let listings = session.host.list(&request)?.listings;
        let mut next = Vec::new();
        for (folder, listing) in folders.iter().zip(listings) {
            for entry in listing.into_iter().flatten() {
                let path = within(folder, &entry.name);
                if !entry.folder {
                    files.insert(path);
                } else if folder == "src/bin" {
                    next.push(path);
                }
            }
        }
        folders = next;
    }
    Ok(files)
}

/// Takes the crates that lie unpacked in a folder that was given as a repository.
fn unpacked(
    session: &CargoSession,
    open: &mut Vec<Wanted<'_>>,
    crates: &mut BTreeMap<usize, Crate>,
) -> PluginResult<()> {
    for (number, input) in (0..).zip(&session.request.inputs) {
        if input.kind != InputKind::Repository || open.is_empty() {
            continue;
        }
        let tree = input.tree;
        let paths = open.iter().map(|it| format!("{}/Cargo.toml", it.label)).collect();
        let answer = session.host.read(&ReadRequest { tree, paths })?;
        for (wanted, content) in open.iter().zip(answer.files) {
            let FileContent::Found(bytes) = content else { continue };
            let file = format!("{}:{}/Cargo.toml", input.label, wanted.label);
            let manifest = Manifest::parse(&wanted.label, &file, &bytes.0)?;
            let files = files(session, tree, &wanted.label)?;
            let artifact = Artifact::Input { input: number, path: wanted.label.clone() };
            crates.insert(wanted.at, described(&manifest, None, &files, artifact, false)?);
        }
        open.retain(|it| !crates.contains_key(&it.at));
    }
    Ok(())
}

/// Reads some crates at one place; gives those that are not there.
fn from_archives<'g>(
    session: &CargoSession,
    place: &Archives,
    wanted: &[Wanted<'g>],
    crates: &mut BTreeMap<usize, Crate>,
) -> PluginResult<Vec<Wanted<'g>>> {
    let mut contents: Vec<Option<Vec<u8>>> = Vec::with_capacity(wanted.len());
    let mut artifacts = Vec::with_capacity(wanted.len());
    match place {
        Archives::Tree(tree) => {
            let paths: Vec<_> = wanted.iter().map(|it| format!("{}.crate", it.label)).collect();
            let read = session.host.read(&ReadRequest { tree: *tree, paths: paths.clone() })?;
            contents.extend(read.files.into_iter().map(|content| match content {
                FileContent::Found(bytes) => Some(bytes.0),
                _ => None,
            }));
            let input = number(session, *tree);
            artifacts.extend(paths.into_iter().map(|path| Artifact::Input { input, path }));
        }
        Archives::Template(template) => {
            let mut files = Vec::new();
            for it in wanted {
                let version = it.package.told.version.to_string();
                let url = address(template, &it.package.name, &version, &it.entry.checksum);
                let hash = sri(it.entry).ok_or_else(|| {
                    let message = format!(
                        "the index has {:?} as the checksum of {}",
                        it.entry.checksum, it.label
                    );
                    Box::new(Diagnostic::error("cargo::index", message))
                })?;
                files.push(FetchFile { url: url.clone(), hash: Some(hash.clone()), limit: None });
                artifacts.push(Artifact::Fetch {
                    urls: vec![url],
                    name: format!("{}.crate", it.label),
                    hashes: vec![hash],
                });
            }
            for fetched in session.host.fetch(&FetchRequest { files })?.files {
                contents.push(match fetched {
                    Fetched::Found { content, .. } => Some(content.0),
                    Fetched::Missing => None,
                    Fetched::Failed(error) => return Err(error),
                });
            }
        }
    }
    let mut missing = Vec::new();
    for ((it, bytes), artifact) in wanted.iter().zip(contents).zip(artifacts) {
        let Some(bytes) = bytes else {
            missing.push(Wanted { label: it.label.clone(), ..*it });
            continue;
        };
        let file = format!("{}/Cargo.toml", it.label);
        let wrong = |what: String| {
            let message = format!("the archive of {}: {what}", it.label);
            Box::new(Diagnostic::error("cargo::archive", message))
        };
        // What is fetched was checked by the host.
        if matches!(place, Archives::Tree(_)) && hex(&Sha256::digest(&bytes)) != it.entry.checksum {
            return Err(wrong("it does not have the checksum that the index states".to_owned()));
        }
        let read = archive::read(&bytes, &file).map_err(wrong)?;
        crates.insert(it.at, described(&read.manifest, None, &read.files, artifact, false)?);
    }
    Ok(missing)
}

/// The number of a tree among the inputs of the lock.
fn number(session: &CargoSession, tree: TreeId) -> u32 {
    let inputs = session.request.inputs.iter().map(|input| input.tree);
    let mut trees = inputs.chain(session.opened.iter().map(|opened| opened.tree));
    let position = trees.position(|it| it == tree).unwrap_or_default();
    u32::try_from(position).unwrap_or(u32::MAX)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The checksum of an entry in SRI form, if it is one.
pub(super) fn sri(entry: &Entry) -> Option<String> {
    let digits = entry.checksum.as_bytes();
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    Some(format!("sha256-{}", BASE64.encode(bytes?)))
}
