//! Registries: what versions of a crate there are, and what each says.
//!
//! An index has one file for each crate, with one line of JSON for each version. A folder may hold it as
//! the registry has it (`se/rd/serde`), below `index` (what cargo calls a local registry), or below
//! `.cache`, as cargo itself keeps what it has seen of a sparse index.
//!
//! A sparse index has the same files at addresses. Those of all crates that turn up together are fetched
//! together, by the host, which keeps them; offline it answers from what it has.
//!
//! Of most versions only little is ever asked, so that is read first, and the rest when a version comes
//! into question.

use crate::{
    source::{Registry, Source},
    summary::{Dependency, Kind, Summary, feature_map},
};
use cargo_util_schemas::{index::IndexPackage, manifest::RustVersion};
use rustc_hash::FxHashMap;
use semver::{Version, VersionReq};
use serde::Deserialize;
use std::{collections::BTreeSet, sync::Arc};
use x2nix_protocol::{
    Diagnostic, FetchFile, FetchRequest, Fetched, FileContent, Host, ListRequest, Origin,
    PluginResult, ReadRequest, TreeId,
};

/// The newest form of index entries that is understood: features in two tables.
const NEWEST: u32 = 2;

/// What is read of every version.
#[derive(Deserialize)]
struct Brief {
    vers: Version,
    #[serde(default)]
    yanked: Option<bool>,
    #[serde(default)]
    rust_version: Option<String>,
    #[serde(default)]
    v: Option<u32>,
    cksum: String,
}

/// One version in an index.
pub(crate) struct Entry {
    pub(crate) version: Version,
    pub(crate) yanked: bool,
    pub(crate) rust_version: Option<RustVersion>,
    pub(crate) checksum: String,
    line: Vec<u8>,
}

impl Entry {
    /// All that the entry says, or why it cannot be read.
    pub(crate) fn summary(&self, own: &Registry) -> Result<Summary, String> {
        let entry: IndexPackage<'_> =
            serde_json::from_slice(&self.line).map_err(|error| error.to_string())?;
        let mut dependencies = Vec::with_capacity(entry.deps.len());
        for stated in entry.deps {
            let package = stated.package.as_ref().unwrap_or(&stated.name).to_string();
            let req = VersionReq::parse(&stated.req)
                .map_err(|error| format!("cannot read `{} {}`: {error}", package, stated.req))?;
            let target = match &stated.target {
                Some(text) => Some(text.parse().map_err(|error| {
                    format!("cannot read the target {text:?} of {package}: {error}")
                })?),
                None => None,
            };
            let registry = match &stated.registry {
                Some(index) => Registry::Index(index.to_string()),
                None => own.clone(),
            };
            dependencies.push(Dependency {
                name_in_toml: stated.name.to_string(),
                package,
                source: Source::Registry(registry),
                req,
                kind: match stated.kind.as_deref() {
                    Some("dev") => Kind::Dev,
                    Some("build") => Kind::Build,
                    _ => Kind::Normal,
                },
                optional: stated.optional,
                default_features: stated.default_features,
                features: stated.features.iter().map(ToString::to_string).collect(),
                target,
            });
        }
        let tables = entry.features.iter().chain(entry.features2.iter().flatten());
        let stated =
            tables.map(|(name, values)| (&**name, values.iter().map(|it| &**it).collect()));
        let (features, default_is_implied) = feature_map(stated, &dependencies)?;
        Ok(Summary {
            name: entry.name.to_string(),
            version: entry.vers,
            dependencies,
            features,
            default_is_implied,
            links: entry.links.map(|links| links.to_string()),
            rust_version: entry.rust_version,
        })
    }
}

/// The path of a crate in an index.
pub(crate) fn index_path(name: &str) -> String {
    let name = name.to_lowercase();
    match name.len() {
        0 => name,
        1 => format!("1/{name}"),
        2 => format!("2/{name}"),
        3 => format!("3/{}/{name}", &name[..1]),
        _ => format!("{}/{}/{name}", &name[..2], &name[2..4]),
    }
}

/// A folder that holds an index.
#[derive(Debug, Clone)]
pub(crate) struct IndexTree {
    pub(crate) tree: TreeId,
    /// The folder of the index in the tree, with a slash at the end, or nothing.
    below: String,
    /// What it is called in messages.
    label: String,
}

impl IndexTree {
    /// Finds the index in a tree; none where it has no folder that an index would have.
    pub(crate) fn find(host: &dyn Host, tree: TreeId, label: &str) -> PluginResult<Option<Self>> {
        let request = ListRequest::new(tree, vec![String::new()]);
        let listed = host.list(&request)?.listings.into_iter().next().flatten();
        let has =
            |name: &str| listed.iter().flatten().any(|entry| entry.folder && entry.name == name);
        let below = [".cache", "index"].into_iter().find(|name| has(name));
        let mut entries = listed.iter().flatten();
        if below.is_none() && !entries.any(|entry| entry.folder && entry.name.len() <= 2) {
            return Ok(None);
        }
        let below = below.map(|name| format!("{name}/")).unwrap_or_default();
        Ok(Some(Self { tree, below, label: label.to_owned() }))
    }
}

/// Where an index is read.
#[derive(Debug, Clone)]
pub(crate) enum Index {
    /// In a folder.
    Tree(IndexTree),
    /// At an address, with a slash at its end.
    Sparse(String),
}

impl Index {
    /// The index at an address as cargo's configuration names it.
    pub(crate) fn at(address: &str) -> PluginResult<Self> {
        let Some(base) = address.strip_prefix("sparse+") else {
            let message = format!("the index {address} is a Git repository");
            return Err(Box::new(
                Diagnostic::error("cargo::registry", message)
                    .help("name the registry's sparse index: sparse+https://…"),
            ));
        };
        let slash = if base.ends_with('/') { "" } else { "/" };
        Ok(Self::Sparse(format!("{base}{slash}")))
    }
}

/// A file of an index: what it is called in messages, and its bytes.
type IndexFile = (String, Vec<u8>);

/// The registries that a project uses.
pub(crate) struct Registries {
    host: Arc<dyn Host>,
    indexes: FxHashMap<Registry, Vec<Index>>,
}

/// The versions of a crate, and what of its index could not be read.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) entries: Vec<Entry>,
    /// The file, as messages name it.
    pub(crate) file: String,
    pub(crate) notes: Vec<Diagnostic>,
}

impl Registries {
    pub(crate) fn new(host: Arc<dyn Host>, indexes: FxHashMap<Registry, Vec<Index>>) -> Self {
        Self { host, indexes }
    }

    /// Reads the entries of some crates, all at once. The first index that has a crate wins.
    pub(crate) fn read(&self, wanted: &[(Registry, &str)]) -> PluginResult<Vec<Found>> {
        let mut found: Vec<Option<Found>> = wanted.iter().map(|_| None).collect();
        let registries: BTreeSet<&Registry> = wanted.iter().map(|(registry, _)| registry).collect();
        for registry in registries {
            let indexes = self.indexes.get(registry).filter(|indexes| !indexes.is_empty());
            let Some(indexes) = indexes else {
                return Err(unknown(registry));
            };
            for index in indexes {
                let open = wanted.iter().enumerate().filter(|(at, (of, name))| {
                    of == registry && found[*at].is_none() && is_name(name)
                });
                let open: Vec<(usize, &str)> = open.map(|(at, (_, name))| (at, *name)).collect();
                let names: Vec<_> = open.iter().map(|(_, name)| *name).collect();
                for ((at, name), content) in open.iter().zip(self.files(index, &names)?) {
                    if let Some((file, bytes)) = content {
                        found[*at] = Some(parse(name, file, &bytes));
                    }
                }
            }
        }
        Ok(found.into_iter().map(Option::unwrap_or_default).collect())
    }

    /// The files of some crates in an index, with what they are called in messages.
    fn files(&self, index: &Index, names: &[&str]) -> PluginResult<Vec<Option<IndexFile>>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let mut files = Vec::with_capacity(names.len());
        match index {
            Index::Tree(index) => {
                let path = |name: &&str| format!("{}{}", index.below, index_path(name));
                let paths = names.iter().map(path).collect();
                let answer = self.host.read(&ReadRequest { tree: index.tree, paths })?;
                for (name, content) in names.iter().zip(answer.files) {
                    let file = format!("{}:{}", index.label, index_path(name));
                    files.push(match content {
                        FileContent::Found(bytes) => Some((file, bytes.0)),
                        FileContent::Missing => None,
                        FileContent::Unreadable(why) => {
                            return Err(Box::new(
                                Diagnostic::error("cargo::index", format!("cannot read it: {why}"))
                                    .at(Origin::new(file, None))
                                    .access(),
                            ));
                        }
                    });
                }
            }
            Index::Sparse(base) => {
                let url = |name: &&str| format!("{base}{}", index_path(name));
                let file = |name: &&str| FetchFile { url: url(name), hash: None, limit: None };
                let request = FetchRequest { files: names.iter().map(file).collect() };
                for (name, fetched) in names.iter().zip(self.host.fetch(&request)?.files) {
                    files.push(match fetched {
                        Fetched::Found { content, .. } => Some((url(name), content.0)),
                        Fetched::Missing => None,
                        Fetched::Failed(error) => return Err(error),
                    });
                }
            }
        }
        Ok(files)
    }

    /// The crates whose files lie near that of a name: those whose names begin with the same two letters, or are
    /// as short.
    fn around(&self, index: &IndexTree, name: &str) -> PluginResult<Vec<String>> {
        let path = index_path(name);
        let top = path.split('/').next().unwrap_or_default();
        let list = |folders| -> PluginResult<Vec<x2nix_protocol::Entry>> {
            let answer = self.host.list(&ListRequest::new(index.tree, folders))?;
            Ok(answer.listings.into_iter().flatten().flatten().collect())
        };
        let top = format!("{}{top}", index.below);
        let mut found = list(vec![top.clone()])?;
        let folders = found.iter().filter(|entry| entry.folder);
        let folders = folders.map(|entry| format!("{top}/{}", entry.name)).collect();
        found.extend(list(folders)?);
        Ok(found.into_iter().filter(|entry| !entry.folder).map(|entry| entry.name).collect())
    }

    /// Known crates whose names look like one, the nearest first.
    pub(crate) fn similar(&self, registry: &Registry, name: &str) -> PluginResult<Vec<String>> {
        const SHOWN: usize = 5;
        let mut known = BTreeSet::new();
        if !is_name(name) {
            return Ok(Vec::new());
        }
        for index in self.indexes.get(registry).into_iter().flatten() {
            let Index::Tree(index) = index else {
                // A sparse index cannot be listed; one slip is common enough to look for.
                let others = [name.replace('-', "_"), name.replace('_', "-")];
                let others: Vec<_> =
                    others.iter().map(String::as_str).filter(|it| *it != name).collect();
                let files = self.files(index, &others)?;
                let there = others.iter().zip(files).filter(|(_, file)| file.is_some());
                known.extend(there.map(|(other, _)| (*other).to_owned()));
                continue;
            };
            known.extend(self.around(index, name)?);
        }
        let swapped = |other: &str| other.replace('_', "-") == name.replace('_', "-");
        let mut near: Vec<(usize, String)> = known
            .into_iter()
            .map(|other| {
                let distance = strsim::damerau_levenshtein(&other, name);
                (if swapped(&other) { 0 } else { distance }, other)
            })
            .filter(|(distance, _)| *distance <= 3)
            .collect();
        near.sort();
        Ok(near.into_iter().take(SHOWN).map(|(_, name)| name).collect())
    }
}

/// Whether a text can be the name of a crate, and so part of a path.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !name.is_empty() && name.bytes().all(plain)
}

fn unknown(registry: &Registry) -> Box<Diagnostic> {
    let (message, help) = match registry {
        Registry::Default => (
            "there is no registry to choose crates from".to_owned(),
            "name a folder with its index: `--repo DIR`, or source replacement in .cargo/config.toml",
        ),
        Registry::Named(name) => (
            format!("the registry {name} is not known"),
            "state its index in .cargo/config.toml: [registries.NAME] index = \"…\"",
        ),
        Registry::Index(index) => (
            format!("the registry with the index {index} is not known"),
            "state its index in .cargo/config.toml: [registries.NAME] index = \"…\"",
        ),
    };
    Box::new(Diagnostic::error("cargo::registry", message).help(help))
}

/// Reads a file of an index.
fn parse(name: &str, file: String, bytes: &[u8]) -> Found {
    let mut found = Found { file, ..Found::default() };
    let lines: Vec<&[u8]> = match cached(bytes) {
        Some(lines) => lines,
        None => bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect(),
    };
    for (number, line) in (1..).zip(lines) {
        let brief: Brief = match serde_json::from_slice(line) {
            Ok(brief) => brief,
            Err(error) => {
                let message = format!("an entry of {name} cannot be read: {error}");
                found.notes.push(
                    Diagnostic::warning("cargo::index", message)
                        .at(Origin::new(found.file.clone(), Some(number)))
                        .help("this version is left out"),
                );
                continue;
            }
        };
        // What is newer than we know may mean anything.
        if brief.v.is_none_or(|form| form <= NEWEST) {
            found.entries.push(Entry {
                version: brief.vers,
                yanked: brief.yanked.unwrap_or(false),
                rust_version: brief.rust_version.and_then(|text| text.parse().ok()),
                checksum: brief.cksum,
                line: line.to_vec(),
            });
        }
    }
    found
}

/// The entries of a file as cargo keeps it: a version of its form, a revision, and then the version and
/// the line of each entry, with a zero byte after each.
fn cached(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    const FORM: u8 = 3;
    const HEAD: usize = 5;
    if *bytes.first()? != FORM {
        return None;
    }
    let mut parts = bytes.get(HEAD..)?.split(|byte| *byte == 0).skip(1);
    let mut lines = Vec::new();
    while let (Some(_), Some(line)) = (parts.next(), parts.next()) {
        lines.push(line);
    }
    Some(lines)
}

/// Where the archives of a registry's crates may be.
pub(crate) enum Archives {
    /// Files `NAME-VERSION.crate` at the top of a tree.
    Tree(TreeId),
    /// At addresses: the template that the registry states.
    Template(String),
}

/// What a registry says of itself.
#[derive(Deserialize)]
struct AboutRegistry {
    dl: String,
}

impl Registries {
    /// Where the archives of a registry's crates may be, the place to look at first before others.
    pub(crate) fn archives(&self, registry: &Registry) -> PluginResult<Vec<Archives>> {
        let mut places = Vec::new();
        for index in self.indexes.get(registry).into_iter().flatten() {
            let (file, bytes) = match index {
                Index::Tree(index) => {
                    places.push(Archives::Tree(index.tree));
                    let paths = vec![CONFIG.to_owned(), format!("{}{CONFIG}", index.below)];
                    let read = self.host.read(&ReadRequest { tree: index.tree, paths })?;
                    let found = read.files.into_iter().find_map(|content| match content {
                        FileContent::Found(bytes) => Some(bytes.0),
                        _ => None,
                    });
                    (format!("{}:{CONFIG}", index.label), found)
                }
                Index::Sparse(base) => {
                    let url = format!("{base}{CONFIG}");
                    let file = FetchFile { url: url.clone(), hash: None, limit: None };
                    let answer = self.host.fetch(&FetchRequest { files: vec![file] })?;
                    match answer.files.into_iter().next() {
                        Some(Fetched::Found { content, .. }) => (url, Some(content.0)),
                        Some(Fetched::Failed(error)) => return Err(error),
                        _ => (url, None),
                    }
                }
            };
            let Some(bytes) = bytes else { continue };
            let wrong = |what: String| {
                Box::new(
                    Diagnostic::error("cargo::registry", what)
                        .at(Origin::new(file.clone(), None))
                        .help(
                            "the registry says there where its crates are: \"dl\": \"https://…\"",
                        ),
                )
            };
            let about: AboutRegistry = serde_json::from_slice(&bytes)
                .map_err(|error| wrong(format!("cannot read it: {error}")))?;
            if !about.dl.starts_with("https://") && !about.dl.starts_with("http://") {
                return Err(wrong(format!("crates cannot be fetched from {:?}", about.dl)));
            }
            places.push(Archives::Template(about.dl));
        }
        Ok(places)
    }
}

/// The file in which a registry speaks of itself.
const CONFIG: &str = "config.json";

/// The address of a crate's archive.
pub(crate) fn address(template: &str, name: &str, version: &str, checksum: &str) -> String {
    const MARKS: [&str; 5] =
        ["{crate}", "{version}", "{prefix}", "{lowerprefix}", "{sha256-checksum}"];
    if !MARKS.iter().any(|mark| template.contains(mark)) {
        return format!("{}/{name}/{version}/download", template.trim_end_matches('/'));
    }
    let lower = index_path(name);
    let lower = lower.rsplit_once('/').map_or("", |(folders, _)| folders);
    let prefix = match name.len() {
        0..=2 => lower.to_owned(),
        3 => format!("3/{}", &name[..1]),
        _ => format!("{}/{}", &name[..2], &name[2..4]),
    };
    template
        .replace("{crate}", name)
        .replace("{version}", version)
        .replace("{prefix}", &prefix)
        .replace("{lowerprefix}", lower)
        .replace("{sha256-checksum}", checksum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_follow_the_registry() {
        let of = |template: &str| address(template, "Some_crate", "1.0.0", "abc");
        assert_eq!(of("https://a.invalid/dl"), "https://a.invalid/dl/Some_crate/1.0.0/download");
        assert_eq!(
            of("https://a.invalid/{prefix}/{lowerprefix}/{crate}-{version}?{sha256-checksum}"),
            "https://a.invalid/So/me/so/me/Some_crate-1.0.0?abc"
        );
    }
}
