//! What artifacts are that do not name their content: fetched once, while a lock is made.

use crate::{Error, Revision, nar};
use std::{
    io,
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use x2nix_plugin_host::{
    hash::{self, Algorithm, Hash},
    inputs::{self, Network, download},
};
use x2nix_protocol::{Artifact, Diagnostic, PluginResult};

/// An artifact with the commit and the hash that it has now. The first address that answers counts.
pub fn fix(artifact: &Artifact, network: &Network) -> PluginResult<Artifact> {
    let mut fixed = artifact.clone();
    match &mut fixed {
        Artifact::Fetch { urls, hashes, .. } if hashes.is_empty() => {
            *hashes = vec![of_file(urls, network)?.to_string()];
        }
        Artifact::Git { url, revision, submodules, commit, hash, .. } => {
            let known = Some(commit.as_str()).filter(|commit| !commit.is_empty());
            let (name, submodules) = (revision.as_deref(), *submodules);
            let fetched = fetch_revision(network, url, name, known, submodules);
            let (_, found, content) = fetched.map_err(|error| told(&error))??;
            *commit = found;
            *hash = content.to_string();
        }
        Artifact::Fetch { .. } | Artifact::Local { .. } | Artifact::Input { .. } => {}
    }
    Ok(fixed)
}

fn told(error: &Error) -> Box<Diagnostic> {
    Diagnostic::error("input::unreadable", error.to_string())
        .access()
        .help("check that the folder for temporary files has room")
        .into()
}

fn of_file(urls: &[String], network: &Network) -> PluginResult<Hash> {
    let mut refused = None;
    for url in urls {
        match download(network, url) {
            Ok(mut file) => {
                let read = hash::copy(&mut file, &mut io::sink(), &[Algorithm::Sha256], u64::MAX);
                let hashes = read.map_err(|error| {
                    told(&Error::Io { what: format!("cannot read {url}"), error })
                })?;
                if let Some(hash) = hashes.into_iter().flatten().next() {
                    return Ok(hash);
                }
            }
            Err(error) => drop(refused.get_or_insert(error)),
        }
    }
    Err(refused.unwrap_or_else(|| {
        Diagnostic::error("fetch::missing", "it has no address to be fetched from").access().into()
    }))
}

/// The files of a commit, in a folder that lives as long as it is held, and their hash.
pub(crate) fn check_out(
    network: &Network,
    url: &str,
    revision: &Revision,
) -> Result<PluginResult<(TempDir, Hash)>, Error> {
    let Revision { commit, submodules } = revision;
    let fetched = fetch_revision(network, url, None, Some(commit), *submodules)?;
    Ok(fetched.map(|(folder, _, hash)| (folder, hash)))
}

/// Where in its folder a revision was put.
pub(crate) fn files_of(folder: &TempDir) -> PathBuf {
    folder.path().join("source")
}

type Fetched = (TempDir, String, Hash);

fn fetch_revision(
    network: &Network,
    url: &str,
    revision: Option<&str>,
    commit: Option<&str>,
    submodules: bool,
) -> Result<PluginResult<Fetched>, Error> {
    let io = |what: &str, error| Error::Io { what: what.to_owned(), error };
    let folder = tempfile::Builder::new().prefix("x2nix-git").tempdir();
    let folder = folder.map_err(|error| io("cannot make a temporary folder", error))?;
    let files = files_of(&folder);
    let make = |path: &Path| std::fs::create_dir(path);
    make(&files).map_err(|error| io("cannot make a temporary folder", error))?;
    let commit = match inputs::check_out(network, url, revision, commit, submodules, &files) {
        Ok(commit) => commit,
        Err(error) => return Ok(Err(error)),
    };
    let hash = nar::hash(&files).map_err(|error| io("cannot read what git fetched", error))?;
    Ok(Ok((folder, commit, hash)))
}
