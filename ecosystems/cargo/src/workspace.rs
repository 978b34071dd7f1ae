//! The project: which packages are its members, and which others lie in folders.
//!
//! Members are the root's own package, what `members` names, and the packages that members depend on by
//! path and that lie below the root, as cargo finds them (`Workspace::find_path_deps`). Members are
//! chosen with all their features and with what their tests need, as cargo does for its lock file.

use crate::{
    git::{self, Repository},
    lockfile::Locked,
    manifest::{Inheritance, Manifest},
    source::{Source, join},
    summary::{Dependency, Kind, Summary},
};
use cargo_util_schemas::manifest::TomlWorkspace;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use x2nix_protocol::{
    Diagnostic, FileContent, Host, ListRequest, OpenTreeRequest, OpenedTree, Origin, PluginResult,
    ReadRequest, TreeId,
};

/// The name of a manifest.
const MANIFEST: &str = "Cargo.toml";

/// A package in a folder.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    pub(crate) summary: Summary,
    pub(crate) manifest: Manifest,
    pub(crate) member: bool,
}

/// The packages of a project.
pub(crate) struct Workspace {
    /// The manifest at the top.
    pub(crate) root: Manifest,
    /// The packages in folders, by their folder seen from the project; and those in Git, by their key.
    pub(crate) locals: BTreeMap<String, Local>,
    /// The repositories, by their place as a dependency names it.
    pub(crate) repositories: BTreeMap<String, Repository>,
    /// What is patched: the source, and what takes the place.
    pub(crate) patches: Vec<(String, Dependency)>,
    /// Trees that were opened beside the project.
    pub(crate) opened: Vec<OpenedTree>,
    /// The project's own tree.
    pub(crate) tree: TreeId,
    /// The trees of folders outside of it.
    beside: BTreeMap<String, TreeId>,
}

/// Reads files of the project and beside it.
struct Reader<'h> {
    host: &'h dyn Host,
    project: TreeId,
    opened: Vec<OpenedTree>,
    /// The trees of folders outside of the project.
    beside: BTreeMap<String, TreeId>,
}

impl Reader<'_> {
    fn manifest(&mut self, folder: &str) -> PluginResult<Option<Manifest>> {
        let (tree, path) = if folder.starts_with("..") {
            let tree = if let Some(&tree) = self.beside.get(folder) {
                tree
            } else {
                let opened = self.host.open(&OpenTreeRequest { place: folder.to_owned() })?;
                let tree = opened.tree;
                self.opened.push(opened);
                self.beside.insert(folder.to_owned(), tree);
                tree
            };
            (tree, MANIFEST.to_owned())
        } else {
            (self.project, within(folder, MANIFEST))
        };
        let answer = self.host.read(&ReadRequest { tree, paths: vec![path] })?;
        match answer.files.into_iter().next() {
            Some(FileContent::Found(bytes)) => {
                Manifest::parse(folder, &within(folder, MANIFEST), &bytes.0).map(Some)
            }
            Some(FileContent::Unreadable(why)) => Err(Box::new(
                Diagnostic::error("cargo::unreadable", format!("cannot read it: {why}"))
                    .at(Origin::new(within(folder, MANIFEST), None))
                    .access(),
            )),
            _ => Ok(None),
        }
    }

    /// The folders that a pattern of `members` names.
    fn members(&self, pattern: &str) -> PluginResult<Vec<String>> {
        let mut found = vec![String::new()];
        for part in pattern.split('/').filter(|part| !matches!(*part, "" | ".")) {
            if !part.contains(['*', '?', '[']) {
                for folder in &mut found {
                    *folder = join(folder, part).unwrap_or_default();
                }
                continue;
            }
            let pattern = glob::Pattern::new(part).map_err(|error| {
                let message = format!("cannot read the pattern {part:?} of members: {error}");
                Box::new(Diagnostic::error("cargo::manifest", message))
            })?;
            let request = ListRequest::new(self.project, found);
            let answer = self.host.list(&request)?;
            let mut next = Vec::new();
            for (folder, entries) in request.folders.iter().zip(answer.listings) {
                for entry in entries.into_iter().flatten() {
                    if entry.folder && pattern.matches(&entry.name) {
                        next.push(within(folder, &entry.name));
                    }
                }
            }
            found = next;
        }
        Ok(found)
    }
}

/// A path below a folder.
pub(crate) fn within(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// Whether a folder is another or lies below it.
fn is_below(folder: &str, top: &str) -> bool {
    top.is_empty()
        || folder == top
        || folder.strip_prefix(top).is_some_and(|rest| rest.starts_with('/'))
}

impl Workspace {
    /// Reads the manifests of a project; none where there is no manifest at its top.
    pub(crate) fn read(
        host: &dyn Host,
        project: TreeId,
        locked: &Locked,
    ) -> PluginResult<Option<Self>> {
        let mut reader = Reader { host, project, opened: Vec::new(), beside: BTreeMap::new() };
        let Some(root) = reader.manifest("")? else { return Ok(None) };
        if let Some(elsewhere) =
            root.toml.package().and_then(|package| package.workspace.as_deref())
        {
            let message = format!("this package belongs to the workspace at {elsewhere}");
            return Err(Box::new(
                Diagnostic::error("cargo::member", message)
                    .at(Origin::new(root.file.clone(), root.line_of("workspace")))
                    .help("run this in the workspace's own folder"),
            ));
        }
        let patches = root.patches()?;
        let mut finder = Finder {
            reader,
            workspace: root.toml.workspace.clone(),
            locals: BTreeMap::new(),
            queue: VecDeque::new(),
            seen: BTreeSet::new(),
            git: VecDeque::new(),
        };
        finder.find(&root)?;
        for (_, patch) in &patches {
            finder.want(patch, false, &root.file);
        }
        finder.run()?;
        let repositories = finder.fetch(host, locked)?;
        let Finder { reader, locals, .. } = finder;
        let Reader { opened, beside, .. } = reader;
        Ok(Some(Self { root, patches, locals, repositories, opened, tree: project, beside }))
    }

    /// Where the files of a package in a folder are: the tree, and the folder in it.
    pub(crate) fn place<'f>(&self, folder: &'f str) -> (TreeId, &'f str) {
        match self.beside.get(folder) {
            Some(&tree) => (tree, ""),
            None => (self.tree, folder),
        }
    }

    /// What the package in a folder may inherit.
    pub(crate) fn inheritance(&self, folder: &str) -> Option<Inheritance<'_>> {
        let workspace = self.root.toml.workspace.as_ref().filter(|_| !folder.starts_with(".."))?;
        Some(Inheritance { workspace, folder: "" })
    }

    /// A package that lies in a folder or in Git, by where it is from and its name.
    pub(crate) fn local(&self, source: &Source, name: &str) -> Option<(&String, &Local)> {
        let found = match source {
            Source::Path(folder) => self.locals.get_key_value(folder),
            Source::Git(place) => self.locals.get_key_value(&git::key(place, name)),
            Source::Registry(_) => None,
        };
        found.filter(|(_, local)| local.summary.name == name)
    }

    /// The members.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&String, &Local)> {
        self.locals.iter().filter(|(_, local)| local.member)
    }
}

struct Finder<'h> {
    reader: Reader<'h>,
    workspace: Option<TomlWorkspace>,
    locals: BTreeMap<String, Local>,
    /// Folders to look at: whether a member depends on it, or it is one itself, and who says so.
    queue: VecDeque<(String, bool, String)>,
    seen: BTreeSet<(String, bool)>,
    /// Packages of repositories: the place, the name, and who says so.
    git: VecDeque<(String, String, String)>,
}

impl Finder<'_> {
    fn find(&mut self, root: &Manifest) -> PluginResult<()> {
        if root.toml.package().is_some() {
            self.queue.push_back((String::new(), true, root.file.clone()));
        }
        let patterns = self.workspace.as_ref().and_then(|workspace| workspace.members.clone());
        for pattern in patterns.into_iter().flatten() {
            let is_pattern = pattern.contains(['*', '?', '[']);
            for folder in self.reader.members(&pattern)? {
                // What a pattern finds without a manifest is no member; what is named is one.
                let is_there = !is_pattern || self.reader.manifest(&folder)?.is_some();
                if is_there && !self.is_excluded(&folder) {
                    self.queue.push_back((folder, true, root.file.clone()));
                }
            }
        }
        self.run()
    }

    fn is_excluded(&self, folder: &str) -> bool {
        let Some(workspace) = &self.workspace else { return false };
        let named = |folders: &Option<Vec<String>>| {
            let tops = folders.iter().flatten().filter_map(|top| join("", top));
            tops.into_iter().any(|top| is_below(folder, &top))
        };
        named(&workspace.exclude) && !named(&workspace.members)
    }

    fn run(&mut self) -> PluginResult<()> {
        while let Some((folder, by_member, asked_by)) = self.queue.pop_front() {
            if !self.seen.insert((folder.clone(), by_member)) {
                continue;
            }
            let inside = !folder.starts_with("..");
            let is_top = folder.is_empty();
            let member = by_member
                && inside
                && (is_top || (self.workspace.is_some() && !self.is_excluded(&folder)));
            if let Some(known) = self.locals.get_mut(&folder) {
                if member && !known.member {
                    known.member = true;
                } else {
                    continue;
                }
            } else {
                let Some(manifest) = self.reader.manifest(&folder)? else {
                    let message = format!("there is no {}", within(&folder, MANIFEST));
                    return Err(Box::new(
                        Diagnostic::error("cargo::path", message)
                            .at(Origin::new(asked_by, None))
                            .help("a path dependency or member is a folder with a Cargo.toml"),
                    ));
                };
                if manifest.toml.package().is_none() {
                    continue;
                }
                let inherited = self
                    .workspace
                    .as_ref()
                    .filter(|_| inside)
                    .map(|workspace| Inheritance { workspace, folder: "" });
                let summary = manifest.summary(inherited)?;
                self.locals.insert(folder.clone(), Local { summary, manifest, member });
            }
            let Some(local) = self.locals.get(&folder) else { continue };
            let (member, file) = (local.member, local.manifest.file.clone());
            for dependency in local.summary.dependencies.clone() {
                self.want(&dependency, member, &file);
            }
        }
        Ok(())
    }

    /// Remembers to look at what a dependency names, if that is no registry.
    fn want(&mut self, dependency: &Dependency, member: bool, file: &str) {
        match &dependency.source {
            Source::Path(path) => self.queue.push_back((path.clone(), member, file.to_owned())),
            Source::Git(place) => {
                self.git.push_back((place.clone(), dependency.package.clone(), file.to_owned()));
            }
            Source::Registry(_) => {}
        }
    }

    /// Reads the packages of repositories, and those that they need there and in others.
    fn fetch(
        &mut self,
        host: &dyn Host,
        locked: &Locked,
    ) -> PluginResult<BTreeMap<String, Repository>> {
        let mut repositories: BTreeMap<String, Repository> = BTreeMap::new();
        while let Some((place, name, asked_by)) = self.git.pop_front() {
            let key = git::key(&place, &name);
            if self.locals.contains_key(&key) {
                continue;
            }
            if !repositories.contains_key(&place) {
                let opened = &mut self.reader.opened;
                let repository = Repository::open(host, locked, &place, &asked_by, opened)?;
                repositories.insert(place.clone(), repository);
            }
            let Some(repository) = repositories.get(&place) else { continue };
            let (manifest, summary) = repository.package(&place, &name).map_err(|mut error| {
                error.origin.get_or_insert_with(|| Origin::new(asked_by.clone(), None));
                error
            })?;
            let manifest = manifest.clone();
            for dependency in summary.dependencies.iter().filter(|it| it.kind != Kind::Dev) {
                self.want(dependency, false, &manifest.file);
            }
            self.locals.insert(key, Local { summary, manifest, member: false });
        }
        Ok(repositories)
    }
}
