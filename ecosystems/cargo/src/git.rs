//! Crates in Git repositories.
//!
//! A repository is looked through for manifests, as cargo does, since a dependency names a package and not
//! its folder. What such a package depends on by path is in the same repository. The commit is that of the
//! project's `Cargo.lock`, or what the branch, tag or revision is now, which our lock then keeps.

use crate::{
    lockfile::Locked,
    manifest::{Inheritance, Manifest},
    source::Source,
    summary::Summary,
    workspace::within,
};
use std::collections::BTreeMap;
use x2nix_protocol::{
    Artifact, Diagnostic, FileContent, Host, ListRequest, OpenTreeRequest, OpenedTree, Origin,
    PluginResult, ReadRequest, TreeId,
};

/// As many folders of a repository are looked into.
const MOST_FOLDERS: usize = 20_000;

/// A repository at one commit.
pub(crate) struct Repository {
    pub(crate) tree: TreeId,
    url: String,
    /// The branch, tag or revision that was asked for.
    revision: Option<String>,
    pub(crate) commit: String,
    /// The manifests of its packages, by name, and those of its workspaces, by folder.
    packages: BTreeMap<String, Manifest>,
    workspaces: BTreeMap<String, Manifest>,
}

/// What [`Source::Git`] says: the address, and which revision is asked for (`branch`, `tag` or `rev`).
pub(crate) fn parts(place: &str) -> (&str, Option<&str>) {
    for key in ["?branch=", "?tag=", "?rev="] {
        if let Some((url, revision)) = place.rsplit_once(key) {
            return (url, Some(revision));
        }
    }
    (place, None)
}

/// An address without what makes no difference to cargo.
pub(crate) fn canonical(url: &str) -> &str {
    let url = url.trim_end_matches('/');
    url.strip_suffix(".git").unwrap_or(url)
}

/// The key of a package among those that lie in folders; no folder is called so.
pub(crate) fn key(place: &str, name: &str) -> String {
    format!("git+{place}\n{name}")
}

impl Repository {
    /// Opens a repository, and looks through it.
    pub(crate) fn open(
        host: &dyn Host,
        locked: &Locked,
        place: &str,
        asked_by: &str,
        opened: &mut Vec<OpenedTree>,
    ) -> PluginResult<Self> {
        let (url, revision) = parts(place);
        let mut text = format!("git+{url}");
        match (revision, locked.commit(place)) {
            (None, None) => {}
            (Some(revision), None) => text.push_str(&format!("#{revision}")),
            (Some(revision), Some(commit)) if revision == commit => {
                text.push_str(&format!("#{commit}"));
            }
            (revision, Some(commit)) => {
                text.push_str(&format!("#{}:{commit}", revision.unwrap_or("HEAD")));
            }
        }
        let tree = host.open(&OpenTreeRequest { place: text }).map_err(|mut error| {
            error.origin.get_or_insert_with(|| Origin::new(asked_by, None));
            error
        })?;
        let commit = tree.location.rsplit(['#', ':']).next().unwrap_or_default().to_owned();
        let mut repository = Self {
            tree: tree.tree,
            url: url.to_owned(),
            revision: revision.map(str::to_owned),
            commit,
            packages: BTreeMap::new(),
            workspaces: BTreeMap::new(),
        };
        // Two dependencies may name one revision in two ways.
        if !opened.iter().any(|it| it.tree == tree.tree) {
            opened.push(tree);
        }
        repository.look(host)?;
        Ok(repository)
    }

    /// Finds the manifests, those nearer to the top first.
    fn look(&mut self, host: &dyn Host) -> PluginResult<()> {
        let mut folders = vec![String::new()];
        let mut seen = 0;
        while !folders.is_empty() {
            seen += folders.len();
            if seen > MOST_FOLDERS {
                let message = format!("the repository {} has too many folders", self.url);
                return Err(Box::new(Diagnostic::error("cargo::git", message)));
            }
            let request = ListRequest::new(self.tree, folders);
            let listings = host.list(&request)?.listings;
            let (mut next, mut found) = (Vec::new(), Vec::new());
            for (folder, listing) in request.folders.iter().zip(listings) {
                for entry in listing.into_iter().flatten() {
                    if entry.folder && !entry.name.starts_with('.') && entry.name != "target" {
                        next.push(within(folder, &entry.name));
                    } else if !entry.folder && entry.name == "Cargo.toml" {
                        found.push(folder.clone());
                    }
                }
            }
            let paths = found.iter().map(|folder| within(folder, "Cargo.toml")).collect();
            let read = host.read(&ReadRequest { tree: self.tree, paths })?;
            for (folder, content) in found.iter().zip(read.files) {
                let FileContent::Found(bytes) = content else { continue };
                let file = format!("git+{}:{}", self.url, within(folder, "Cargo.toml"));
                // What cannot be read may be there for tests, and nobody depends on it.
                let Ok(manifest) = Manifest::parse(folder, &file, &bytes.0) else { continue };
                if manifest.toml.workspace.is_some() {
                    self.workspaces.insert(folder.clone(), manifest.clone());
                }
                let package = manifest.toml.package().and_then(|package| package.name.clone());
                if let Some(name) = package {
                    self.packages.entry(name.to_string()).or_insert(manifest);
                }
            }
            folders = next;
        }
        Ok(())
    }

    /// A package, and what it says.
    pub(crate) fn package(&self, place: &str, name: &str) -> PluginResult<(&Manifest, Summary)> {
        let Some(manifest) = self.packages.get(name) else {
            let message = format!("there is no package {name} in the repository {}", self.url);
            let known: Vec<_> = self.packages.keys().map(String::as_str).take(20).collect();
            return Err(Box::new(
                Diagnostic::error("cargo::git", message)
                    .help(format!("it has: {}", known.join(", "))),
            ));
        };
        let mut summary = manifest.summary(self.inheritance(&manifest.folder))?;
        for dependency in &mut summary.dependencies {
            if matches!(dependency.source, Source::Path(_)) {
                dependency.source = Source::Git(place.to_owned());
            }
        }
        Ok((manifest, summary))
    }

    /// What the package in a folder may inherit: of the workspace that is nearest above it.
    pub(crate) fn inheritance(&self, folder: &str) -> Option<Inheritance<'_>> {
        let mut at = folder;
        loop {
            if let Some(manifest) = self.workspaces.get(at) {
                let workspace = manifest.toml.workspace.as_ref()?;
                return Some(Inheritance { workspace, folder: &manifest.folder });
            }
            at = match at.rsplit_once('/') {
                Some((above, _)) => above,
                None if at.is_empty() => return None,
                None => "",
            };
        }
    }

    /// What it is called among artifacts, and the artifact.
    pub(crate) fn artifact(&self) -> (String, Artifact) {
        let name = canonical(&self.url).rsplit('/').next().unwrap_or_default();
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
        let name: String = name.trim_start_matches('.').chars().map(plain).collect();
        let name = if name.is_empty() { "source".to_owned() } else { name };
        let key = format!("{name}@{}", self.commit);
        let artifact = Artifact::Git {
            url: self.url.clone(),
            revision: self.revision.clone(),
            name,
            // cargo checks them out.
            submodules: true,
            commit: self.commit.clone(),
            hash: String::new(),
        };
        (key, artifact)
    }

    /// What a lock file calls it.
    pub(crate) fn source(&self, place: &str) -> String {
        format!("git+{place}#{}", self.commit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_an_address_and_perhaps_a_revision() {
        assert_eq!(parts("https://a.invalid/b?x=y"), ("https://a.invalid/b?x=y", None));
        assert_eq!(parts("https://a.invalid/b?branch=c/d"), ("https://a.invalid/b", Some("c/d")));
        assert_eq!(canonical("https://a.invalid/b.git/"), "https://a.invalid/b");
    }
}
