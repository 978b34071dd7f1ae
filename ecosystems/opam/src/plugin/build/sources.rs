//! What a package is unpacked from.

use super::{Artifacts, Builder, Package, readable};
use crate::package::{Source as Url, checksum::Checksum};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use x2nix_protocol::{Artifact, Blob, Build, OpenedTree, PluginResult, Source, UnitPart};

impl Builder<'_> {
    /// The package's own source and its extra ones.
    pub(in crate::plugin) fn sources(
        &self,
        package: &Package<'_>,
        build: &mut Build,
        artifacts: &mut Artifacts,
    ) -> PluginResult<()> {
        if package.owner.local {
            let key = self.local_source(package, artifacts);
            build.sources.push(Source { artifact: key, ..Source::default() });
            return Ok(());
        }
        let unit = package.key();
        if let Some(url) = package.read(package.file.url())? {
            let from = package.read(package.file.subpath())?.map(String::from).unwrap_or_default();
            if !from.is_empty() && !stays(&from) {
                return Err(package
                    .refuse("subpath", &format!("the folder {from:?} is outside its source")));
            }
            match self.artifact(package, &url, file_name(&url.src)) {
                Ok(artifact) => drop(artifacts.insert(unit.clone(), artifact)),
                Err(refusal) => self.problem(&unit, UnitPart::Source, *refusal),
            }
            build.sources.push(Source { artifact: unit.clone(), from, to: String::new() });
        }
        for extra in package.read(package.file.extra_sources())? {
            let name = extra.name.to_string();
            if !stays(&name) {
                let what = format!("the extra source {name:?} is outside its package");
                return Err(package.refuse("extra-source", &what));
            }
            let artifact = format!("{unit}/{name}");
            artifacts
                .insert(artifact.clone(), self.artifact(package, &extra.source, file_name(&name))?);
            build.sources.push(Source { artifact, from: String::new(), to: name });
        }
        Ok(())
    }

    /// The source of a package of the project, or of one that it pins.
    fn local_source(&self, package: &Package<'_>, artifacts: &mut Artifacts) -> String {
        let opened = &self.session.pinned.opened;
        let position = opened.iter().position(|opened| opened.tree == package.place.tree);
        let Some(position) = position else {
            artifacts.insert(".".into(), Artifact::Local { path: ".".into() });
            return ".".into();
        };
        let OpenedTree { location, hash, .. } = &opened[position];
        let artifact = if let Scheme::Git { url, revision } = Scheme::of(location) {
            // The host says with it which commit that was.
            let (revision, commit) = match revision.and_then(|name| name.split_once(':')) {
                Some((revision, commit)) => (Some(revision), commit),
                None => (revision, ""),
            };
            git(url, revision, commit)
        } else if location.contains("://") {
            let name = file_name(location);
            Artifact::Fetch { urls: vec![location.clone()], name, hashes: vec![hash.clone()] }
        } else {
            let input = u32::try_from(self.session.inputs.len() + position).unwrap_or(u32::MAX);
            Artifact::Input { input, path: ".".into() }
        };
        let key = package.key();
        artifacts.insert(key.clone(), artifact);
        key
    }

    /// What an address stands for: a folder of the repository, or a file to fetch.
    fn artifact(&self, package: &Package<'_>, url: &Url, name: String) -> PluginResult<Artifact> {
        if is_relative(&url.src) {
            let path =
                url.src.strip_prefix("./").unwrap_or(&url.src).trim_end_matches('/').to_owned();
            if !stays(&path) {
                return Err(package
                    .refuse("url", &format!("the source {path:?} is outside its repository")));
            }
            let inputs = &self.session.inputs;
            let opened = self.session.pinned.opened.iter().map(|opened| opened.tree);
            let mut trees = inputs.iter().map(|input| input.tree).chain(opened);
            let input = trees.position(|tree| tree == package.place.tree);
            let input = u32::try_from(input.unwrap_or_default()).unwrap_or(u32::MAX);
            return Ok(Artifact::Input { input, path });
        }
        match Scheme::of(&url.src) {
            Scheme::Git { url, revision } => Ok(git(url, revision, "")),
            Scheme::Web => Ok(file(url, name)),
            Scheme::Unfetched if !url.checksums.is_empty() => Ok(file(url, name)),
            Scheme::Unfetched => {
                let what = format!("the source {:?} has no checksum", url.src);
                Err(package.refuse("url", &what))
            }
            Scheme::Other(what) => {
                let help = "replace it by an archive, a Git repository or a folder: [[override]] with a `source` in x2nix.toml";
                let what = format!("the source {:?} is {what}, which cannot be fetched", url.src);
                Err(Box::new(package.refuse("url", &what).help(help)))
            }
        }
    }
}

impl Package<'_> {
    /// The files that lie beside the opam file: where it names some in `extra-files`, just those, and they
    /// have to have the checksums that it gives (`OpamAction.prepare_package_source`). Where it names none,
    /// all: opam before 2.3 completed the field by itself, and repositories of that time rest on it.
    pub(in crate::plugin) fn add_files(&self, build: &mut Build) -> PluginResult<()> {
        if self.owner.local {
            return Ok(());
        }
        for (name, content) in &self.files {
            let path = format!("{}/{name}", self.place.files());
            build.files.insert(name.clone(), readable(&path, content.clone())?);
        }
        let named = self.read(self.file.extra_files())?;
        if named.is_empty() {
            return Ok(());
        }
        for (name, checksum) in &named {
            let wrong = |what: &str| {
                let what = format!("the file `files/{name}` {what}");
                let help = "mend `extra-files` or the file; `opam lint` shows more";
                Err(Box::new(self.refuse("extra-files", &what).help(help)))
            };
            match build.files.get(&**name) {
                None => return wrong("is missing"),
                Some(Blob(bytes)) if !checksum.fits(bytes) => {
                    return wrong(&format!("does not have the checksum {checksum}"));
                }
                Some(_) => {}
            }
        }
        build.files.retain(|file, _| named.iter().any(|(name, _)| **name == **file));
        Ok(())
    }
}

/// How a source is reached (`OpamUrl.parse`, as opam files are read: the end of an address says nothing).
enum Scheme<'u> {
    /// A Git repository.
    Git { url: &'u str, revision: Option<&'u str> },
    /// A file that x2nix itself can fetch.
    Web,
    /// A file that only Nix can fetch.
    Unfetched,
    /// Something else: what it is.
    Other(&'static str),
}

impl<'u> Scheme<'u> {
    fn of(src: &'u str) -> Self {
        let git = |address: &'u str| match address.split_once('#') {
            Some((url, revision)) => Self::Git { url, revision: Some(revision) },
            None => Self::Git { url: address, revision: None },
        };
        if let Some(address) = src.strip_prefix("git+") {
            return git(address);
        }
        let scheme = src.split_once("://").map_or("", |(scheme, _)| scheme);
        match scheme.split('+').next().unwrap_or_default() {
            "git" => git(src),
            "hg" => Self::Other("a Mercurial repository"),
            "darcs" => Self::Other("a Darcs repository"),
            "http" | "https" if src.ends_with(".git") => {
                Self::Other("a Git repository without `git+` before its address")
            }
            "http" | "https" => Self::Web,
            "ftp" | "file" => Self::Unfetched,
            _ => Self::Other("at a place of another machine"),
        }
    }
}

/// A revision of a Git repository, submodules and all, as opam checks it out; the commit may be known.
fn git(url: &str, revision: Option<&str>, commit: &str) -> Artifact {
    let name = file_name(url);
    Artifact::Git {
        url: url.into(),
        revision: revision.map(String::from),
        name: name.strip_suffix(".git").filter(|name| !name.is_empty()).unwrap_or(&name).into(),
        submodules: true,
        commit: commit.into(),
        hash: String::new(),
    }
}

/// A file, with all checksums, the strongest first.
fn file(url: &Url, name: String) -> Artifact {
    let mut checksums: Vec<&Checksum> = url.checksums.iter().collect();
    checksums.sort_by_key(|checksum| std::cmp::Reverse(checksum.kind));
    let mirrors = url.mirrors.iter();
    let mirrors =
        mirrors.filter(|mirror| matches!(Scheme::of(mirror), Scheme::Web | Scheme::Unfetched));
    Artifact::Fetch {
        urls: std::iter::once(&url.src).chain(mirrors).map(ToString::to_string).collect(),
        name,
        hashes: checksums.into_iter().filter_map(sri).collect(),
    }
}

/// A checksum in SRI form.
fn sri(checksum: &Checksum) -> Option<String> {
    let digits = checksum.hex.as_bytes().chunks(2);
    let bytes = digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    Some(format!("{}-{}", checksum.kind.name(), BASE64.encode(bytes.collect::<Option<Vec<u8>>>()?)))
}

/// Whether a relative path stays below where it starts.
pub(in crate::plugin) fn stays(path: &str) -> bool {
    let parts = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    parts && !path.contains('\0')
}

/// Whether a source has no scheme: a folder below the top of its repository.
fn is_relative(src: &str) -> bool {
    !src.contains("://") && !src.starts_with("git+") && !src.contains('@')
}

/// A name for a fetched file that the store accepts.
fn file_name(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let base = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let plain: String = base
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "+-._?=".contains(c) { c } else { '-' })
        .collect();
    let plain = plain.trim_start_matches('.');
    if plain.is_empty() { "source".into() } else { plain.chars().take(200).collect() }
}
