//! Repositories: which versions a name has, and where their opam files lie.
//!
//! A repository is a tree with `packages/NAME/NAME.VERSION/opam`, or `packages/NAME.VERSION/opam`
//! without the middle folder. Of several repositories the first that has a version wins; versions
//! that are equal under opam's order are one version.

use super::request::Local;
use crate::package::name::{check_name, split_package};
use crate::version;
use rustc_hash::FxHashMap;
use std::{cell::OnceCell, collections::BTreeMap, sync::Arc};
use x2nix_protocol::{
    Blob, Diagnostic, FileContent, Host, Input, InputKind, ListRequest, Origin, PluginResult,
    ReadRequest, TreeId,
};

/// The folder of a repository that has all packages.
const TOP: &str = "packages";

/// Files by their paths.
pub(super) type Files = BTreeMap<String, FileContent>;

/// All repositories of a request, in order of precedence.
pub(super) struct Repositories {
    host: Arc<dyn Host>,
    list: Vec<Repository>,
}

struct Repository {
    tree: TreeId,
    /// What to put before a path in messages; empty where there is only one repository.
    prefix: String,
    /// Versions that lie directly under `packages`.
    flat: FxHashMap<String, Vec<String>>,
    /// Every name, sorted: asked for where it is needed, since thousands of names take longer to be sent than
    /// what a request has of them.
    names: OnceCell<Vec<String>>,
}

/// Where a version of a package is described.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) version: String,
    pub(super) tree: TreeId,
    /// The path of its opam file in its tree.
    pub(super) path: String,
    prefix: String,
}

impl Place {
    /// A version whose opam file is not in a repository.
    pub(super) fn local(local: &Local) -> Self {
        Self {
            version: local.version.clone(),
            tree: local.tree,
            path: local.path.clone(),
            prefix: local.prefix.clone(),
        }
    }

    /// How messages call its opam file.
    pub(super) fn file(&self) -> String {
        format!("{}{}", self.prefix, self.path)
    }

    /// The folder of what lies beside its opam file and goes into its source.
    pub(super) fn files(&self) -> String {
        format!("{}/files", self.folder())
    }

    /// The folder of its opam file, without `/` at the end.
    pub(super) fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}

/// The positions of places, by tree.
fn by_tree(places: &[&Place]) -> BTreeMap<TreeId, Vec<usize>> {
    let mut trees: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (index, place) in places.iter().enumerate() {
        trees.entry(place.tree).or_default().push(index);
    }
    trees
}

impl Repositories {
    /// Lists the repositories among some inputs.
    pub(super) fn new(host: Arc<dyn Host>, inputs: &[Input]) -> PluginResult<Self> {
        let inputs: Vec<_> =
            inputs.iter().filter(|input| input.kind == InputKind::Repository).collect();
        let mut list = Vec::new();
        for input in &inputs {
            let prefix = match inputs.len() {
                1 => String::new(),
                _ => format!("{}:", input.label.rsplit('/').next().unwrap_or(&input.label)),
            };
            list.push(Repository::new(host.as_ref(), input, prefix)?);
        }
        Ok(Self { host, list })
    }

    /// The versions of some names, the newest first.
    pub(super) fn versions(&self, names: &[&str]) -> PluginResult<Vec<Vec<Place>>> {
        let mut found: Vec<Vec<Place>> = vec![Vec::new(); names.len()];
        for repository in &self.list {
            let known: Vec<_> =
                (0..names.len()).filter(|&index| check_name(names[index]).is_ok()).collect();
            let folders = known.iter().map(|&index| format!("{TOP}/{}", names[index])).collect();
            let listings = self.host.list(&ListRequest::new(repository.tree, folders))?.listings;
            for (index, listing) in known.into_iter().zip(listings) {
                let name = names[index];
                for entry in listing.unwrap_or_default() {
                    if let Some((package, version)) = split_package(&entry.name)
                        && entry.folder
                        && package == name
                    {
                        found[index].push(
                            repository.place(version, format!("{TOP}/{name}/{}/opam", entry.name)),
                        );
                    }
                }
            }
            for (index, name) in names.iter().enumerate() {
                for version in repository.flat.get(*name).into_iter().flatten() {
                    found[index]
                        .push(repository.place(version, format!("{TOP}/{name}.{version}/opam")));
                }
            }
        }
        for places in &mut found {
            // A stable sort: of equal versions the first repository's, then the first in byte order.
            places.sort_by(|a, b| version::compare(&b.version, &a.version));
            places
                .dedup_by(|later, first| version::compare(&later.version, &first.version).is_eq());
        }
        Ok(found)
    }

    /// The files beside the opam files at some places, in their order, each by its path in its folder: a few
    /// questions for each tree.
    pub(super) fn files(&self, places: &[&Place]) -> PluginResult<Vec<Files>> {
        let mut found = vec![Files::new(); places.len()];
        for (tree, indices) in by_tree(places) {
            let mut folders: Vec<_> =
                indices.into_iter().map(|index| (index, places[index].files())).collect();
            let mut paths = Vec::new();
            while !folders.is_empty() {
                let asked = folders.iter().map(|(_, folder)| folder.clone()).collect();
                let listings = self.host.list(&ListRequest::new(tree, asked))?.listings;
                for ((index, folder), listing) in
                    std::mem::take(&mut folders).into_iter().zip(listings)
                {
                    for entry in listing.unwrap_or_default() {
                        let path = (index, format!("{folder}/{}", entry.name));
                        if entry.folder { folders.push(path) } else { paths.push(path) }
                    }
                }
            }
            if paths.is_empty() {
                continue;
            }
            let asked = paths.iter().map(|(_, path)| path.clone()).collect();
            let contents = self.host.read(&ReadRequest { tree, paths: asked })?.files;
            for ((index, path), content) in paths.into_iter().zip(contents) {
                let below = path[places[index].files().len() + 1..].to_owned();
                found[index].insert(below, content);
            }
        }
        Ok(found)
    }

    /// Reads the opam files at some places, in their order: one question for each tree.
    pub(super) fn contents(&self, places: &[&Place]) -> PluginResult<Vec<FileContent>> {
        let mut contents = vec![FileContent::Missing; places.len()];
        for (tree, indices) in by_tree(places) {
            let paths = indices.iter().map(|&index| places[index].path.clone()).collect();
            let files = self.host.read(&ReadRequest { tree, paths })?.files;
            for (index, content) in indices.into_iter().zip(files) {
                contents[index] = content;
            }
        }
        Ok(contents)
    }

    /// The same, with a message for each file that cannot be read and is left out.
    pub(super) fn read(&self, places: &[&Place]) -> PluginResult<Vec<PluginResult<Blob>>> {
        let contents = self.contents(places)?;
        let read = |(place, content): (&&Place, FileContent)| {
            let message = match content {
                FileContent::Found(bytes) => return Ok(bytes),
                FileContent::Unreadable(reason) => reason,
                FileContent::Missing => "there is no opam file".into(),
            };
            Err(Diagnostic::warning("opam::unreadable", message)
                .at(Origin::new(place.file(), None))
                .help("this version is left out; mend the repository to have it back")
                .into())
        };
        Ok(places.iter().zip(contents).map(read).collect())
    }

    /// Every name, sorted.
    pub(super) fn names(&self) -> PluginResult<Vec<String>> {
        let mut names = Vec::new();
        for repository in &self.list {
            names.extend_from_slice(repository.names(self.host.as_ref())?);
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// Known names that look like an unknown one, the nearest first.
    pub(super) fn similar(&self, name: &str) -> PluginResult<Vec<String>> {
        const SHOWN: usize = 3;
        const ALIKE: f64 = 0.75;
        let alike = |known: &str| {
            let (known, name) = (known.to_lowercase(), name.to_lowercase());
            let plain = |text: &str| text.replace(['-', '_'], "");
            if plain(&known) == plain(&name) {
                return 1.0;
            }
            // Two letters the wrong way round count little, even in a short name.
            let slips = match strsim::osa_distance(&known, &name) {
                1 if name.len() > 2 => 0.95,
                _ => 0.0,
            };
            strsim::jaro_winkler(&known, &name).max(slips)
        };
        let mut scored = Vec::new();
        for repository in &self.list {
            let names = repository.names(self.host.as_ref())?.iter();
            let names = names.map(|known| (alike(known), known));
            scored.extend(names.filter(|(score, _)| *score >= ALIKE));
        }
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        scored.dedup_by(|a, b| a.1 == b.1);
        Ok(scored.into_iter().take(SHOWN).map(|(_, known)| known.clone()).collect())
    }
}

impl Repository {
    fn new(host: &dyn Host, input: &Input, prefix: String) -> PluginResult<Self> {
        // No name has a dot, and every name with its version has one.
        let request = ListRequest {
            containing: ".".into(),
            ..ListRequest::new(input.tree, vec![TOP.into()])
        };
        let listing = host.list(&request)?.listings.pop().flatten().ok_or_else(|| {
            Box::new(
                Diagnostic::error(
                    "opam::repository",
                    "this is not an opam repository: it has no folder `packages`",
                )
                .at(Origin::new(input.label.clone(), None))
                .help("give the folder that has `packages` in it, or an archive of it"),
            )
        })?;
        let mut flat: FxHashMap<String, Vec<String>> = FxHashMap::default();
        for entry in listing.into_iter().filter(|entry| entry.folder) {
            if let Some((name, version)) = split_package(&entry.name) {
                flat.entry(name.into()).or_default().push(version.into());
            }
        }
        Ok(Self { tree: input.tree, prefix, flat, names: OnceCell::new() })
    }

    fn names(&self, host: &dyn Host) -> PluginResult<&[String]> {
        if let Some(names) = self.names.get() {
            return Ok(names);
        }
        let request = ListRequest::new(self.tree, vec![TOP.into()]);
        let listing = host.list(&request)?.listings.pop().flatten().unwrap_or_default();
        let folders = listing.into_iter().filter(|entry| entry.folder).map(|entry| entry.name);
        let mut names: Vec<_> = folders.filter(|name| check_name(name).is_ok()).collect();
        names.extend(self.flat.keys().cloned());
        names.sort_unstable();
        names.dedup();
        Ok(self.names.get_or_init(|| names))
    }

    fn place(&self, version: &str, path: String) -> Place {
        Place { version: version.into(), tree: self.tree, path, prefix: self.prefix.clone() }
    }
}
