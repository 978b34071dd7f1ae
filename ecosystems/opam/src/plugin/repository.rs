//! Repositories: which versions a name has, and where their opam files lie.
//!
//! A repository is a tree with `packages/NAME/NAME.VERSION/opam`, or `packages/NAME.VERSION/opam`
//! without the middle folder. Of several repositories the first that has a version wins; versions
//! that are equal under opam's order are one version.

use super::request::Local;
use crate::package::name::{check_name, split_package};
use crate::version;
use rustc_hash::FxHashMap;
use std::{collections::BTreeMap, sync::Arc};
use x2nix_protocol::{
    Blob, Diagnostic, FileContent, Host, Input, InputKind, ListRequest, Origin, PluginResult,
    ReadRequest, TreeId,
};

/// All repositories of a request, in order of precedence.
pub(super) struct Repositories {
    host: Arc<dyn Host>,
    list: Vec<Repository>,
}

struct Repository {
    tree: TreeId,
    /// What to put before a path in messages; empty where there is only one repository.
    prefix: String,
    /// Names that have a folder of their own, sorted.
    names: Vec<String>,
    /// Versions that lie directly under `packages`.
    flat: FxHashMap<String, Vec<String>>,
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
                (0..names.len()).filter(|&index| repository.has_folder(names[index])).collect();
            let folders = known.iter().map(|&index| format!("packages/{}", names[index])).collect();
            let listings =
                self.host.list(&ListRequest { tree: repository.tree, folders })?.listings;
            for (index, listing) in known.into_iter().zip(listings) {
                let name = names[index];
                for entry in listing.unwrap_or_default() {
                    if let Some((package, version)) = split_package(&entry.name)
                        && entry.folder
                        && package == name
                    {
                        found[index].push(
                            repository
                                .place(version, format!("packages/{name}/{}/opam", entry.name)),
                        );
                    }
                }
            }
            for (index, name) in names.iter().enumerate() {
                for version in repository.flat.get(*name).into_iter().flatten() {
                    found[index]
                        .push(repository.place(version, format!("packages/{name}.{version}/opam")));
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

    /// Whether there are files beside the opam files at some places, in their order: one question for each
    /// tree.
    pub(super) fn have_files(&self, places: &[&Place]) -> PluginResult<Vec<bool>> {
        let mut found = vec![false; places.len()];
        for (tree, indices) in by_tree(places) {
            let folders = indices.iter().map(|&index| places[index].files()).collect();
            let listings = self.host.list(&ListRequest { tree, folders })?.listings;
            for (index, listing) in indices.into_iter().zip(listings) {
                found[index] = listing.is_some_and(|entries| !entries.is_empty());
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
    pub(super) fn names(&self) -> Vec<String> {
        let names = self
            .list
            .iter()
            .flat_map(|repository| repository.names.iter().chain(repository.flat.keys()));
        let mut names: Vec<_> = names.cloned().collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Known names that look like an unknown one, the nearest first.
    pub(super) fn similar(&self, name: &str) -> Vec<String> {
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
        let names = self
            .list
            .iter()
            .flat_map(|repository| repository.names.iter().chain(repository.flat.keys()));
        let mut scored: Vec<_> =
            names.map(|known| (alike(known), known)).filter(|(score, _)| *score >= ALIKE).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        scored.dedup_by(|a, b| a.1 == b.1);
        scored.into_iter().take(SHOWN).map(|(_, known)| known.clone()).collect()
    }
}

impl Repository {
    fn new(host: &dyn Host, input: &Input, prefix: String) -> PluginResult<Self> {
        let request = ListRequest { tree: input.tree, folders: vec!["packages".into()] };
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
        let mut names = Vec::new();
        let mut flat: FxHashMap<String, Vec<String>> = FxHashMap::default();
        for entry in listing.into_iter().filter(|entry| entry.folder) {
            match split_package(&entry.name) {
                Some((name, version)) => flat.entry(name.into()).or_default().push(version.into()),
                None if check_name(&entry.name).is_ok() => names.push(entry.name),
                None => {}
            }
        }
        names.sort_unstable();
        Ok(Self { tree: input.tree, prefix, names, flat })
    }

    fn has_folder(&self, name: &str) -> bool {
        self.names.binary_search_by(|known| known.as_str().cmp(name)).is_ok()
    }

    fn place(&self, version: &str, path: String) -> Place {
        Place { version: version.into(), tree: self.tree, path, prefix: self.prefix.clone() }
    }
}
