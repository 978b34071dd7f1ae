//! What a package is unpacked from.

use super::{Artifacts, Builder, Package, readable};
use crate::package::{Source as Url, checksum::Checksum};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use x2nix_protocol::{
    Artifact, Blob, Build, ListRequest, OpenedTree, PluginResult, ReadRequest, Source, UnitPart,
};

impl Builder<'_> {
    /// The package's own source and its extra ones.
    pub(super) fn sources(
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
        let artifact = if location.starts_with("git+") {
            let what = format!("building from the Git revision {location} is not supported yet");
            self.problem(&package.key(), UnitPart::Source, *package.refuse("name", &what));
            return package.key();
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
            let input = inputs.iter().position(|input| input.tree == package.place.tree);
            let input = u32::try_from(input.unwrap_or_default()).unwrap_or(u32::MAX);
            return Ok(Artifact::Input { input, path });
        }
        let scheme = url.src.split_once("://").map_or("", |(scheme, _)| scheme);
        if !matches!(scheme, "http" | "https" | "ftp" | "file") || url.src.ends_with(".git") {
            return Err(
                package.refuse("url", &format!("a source like {:?} is not supported yet", url.src))
            );
        }
        let mut checksums: Vec<&Checksum> = url.checksums.iter().collect();
        checksums.sort_by_key(|checksum| std::cmp::Reverse(checksum.kind));
        let hashes: Vec<String> = checksums.into_iter().filter_map(sri).collect();
        if hashes.is_empty() {
            return Err(package.refuse("url", "a source without a checksum is not supported yet"));
        }
        let mirrors = url.mirrors.iter().filter(|mirror| mirror.contains("://"));
        let urls = std::iter::once(&url.src).chain(mirrors).map(ToString::to_string).collect();
        Ok(Artifact::Fetch { urls, name, hashes })
    }

    /// The files that lie beside the opam file.
    pub(super) fn files(&self, package: &Package<'_>, build: &mut Build) -> PluginResult<()> {
        if package.owner.local {
            return Ok(());
        }
        let host = &self.session.host;
        let tree = package.place.tree;
        let top = format!("{}/files", package.place.folder());
        let mut folders = vec![top.clone()];
        let mut paths = Vec::new();
        while !folders.is_empty() {
            let request = ListRequest { tree, folders: std::mem::take(&mut folders) };
            let listings = host.list(&request)?.listings;
            for (folder, listing) in request.folders.iter().zip(listings) {
                for entry in listing.unwrap_or_default() {
                    let path = format!("{folder}/{}", entry.name);
                    if entry.folder { folders.push(path) } else { paths.push(path) }
                }
            }
        }
        if paths.is_empty() {
            return Ok(());
        }
        let contents = host.read(&ReadRequest { tree, paths: paths.clone() })?.files;
        for (path, content) in paths.into_iter().zip(contents) {
            let Blob(bytes) = readable(&path, content)?;
            build.files.insert(path[top.len() + 1..].to_owned(), Blob(bytes));
        }
        Ok(())
    }
}

/// A checksum in SRI form.
fn sri(checksum: &Checksum) -> Option<String> {
    let digits = checksum.hex.as_bytes().chunks(2);
    let bytes = digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    Some(format!("{}-{}", checksum.kind.name(), BASE64.encode(bytes.collect::<Option<Vec<u8>>>()?)))
}

/// Whether a relative path stays below where it starts.
fn stays(path: &str) -> bool {
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
