//! Finds one source: in the folders, then behind its addresses.

use crate::{
    Error, Options, Origin, Revision, Source, fixed,
    folder::{Folders, Unfit},
    nar,
};
use std::{
    fs::{self, File},
    io::{self, Seek as _},
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use x2nix_plugin_host::{
    hash::{self, Algorithm, Hash},
    inputs::{Network, download},
};
use x2nix_protocol::Diagnostic;

/// A source that could not be brought, and all that was tried.
#[derive(Debug)]
pub struct Failure {
    /// The lock's name for it.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// What was tried, in order; empty where there was nothing to try.
    pub attempts: Vec<Attempt>,
}

/// One attempt to get a source.
#[derive(Debug)]
pub enum Attempt {
    /// A file is something else than the lock says.
    Mismatch {
        /// The file or its address.
        place: String,
        /// The hash that the lock has.
        expected: Hash,
        /// The hash that it has.
        found: Hash,
    },
    /// A file is larger than sources may be.
    TooLarge {
        /// The file.
        place: String,
        /// The limit, in bytes.
        limit: u64,
    },
    /// It could not be fetched.
    Unreachable(Box<Diagnostic>),
}

/// Where one may look.
pub(crate) struct Search<'a> {
    folders: Folders,
    /// The folders as they were given.
    tops: &'a [PathBuf],
    caches: &'a [String],
    network: &'a Network,
    algorithms: Vec<Algorithm>,
}

/// A file that has all the hashes.
pub(crate) enum Found {
    /// In a folder.
    File(PathBuf),
    /// Fetched; the file has no name.
    Fetched(File, String),
    /// The files of a revision, in a folder below one of the folders.
    Folder(PathBuf),
    /// The files of a revision, fetched.
    CheckedOut(TempDir, String),
}

impl<'a> Search<'a> {
    pub(crate) fn new(options: &'a Options, algorithms: Vec<Algorithm>) -> Self {
        let Options { folders, caches, network } = options;
        let tops = folders.as_slice();
        let folders = Folders::new(folders.clone(), algorithms.clone(), network.size);
        Self { folders, tops, caches, network, algorithms }
    }

    /// Finds a source, or says what was tried.
    pub(crate) fn find(&self, source: &Source) -> Result<Result<Found, Vec<Attempt>>, Error> {
        if let Some(revision) = &source.revision {
            return self.find_revision(source, revision);
        }
        let unfit = match self.folders.find(&names(source), &source.hashes)? {
            Ok(path) => return Ok(Ok(Found::File(path))),
            Err(unfit) => unfit,
        };
        let mut attempts: Vec<_> = unfit.into_iter().map(|it| self.unfit(source, it)).collect();
        if self.network.offline {
            return Ok(Err(attempts));
        }
        let cached = self.caches.iter().flat_map(|cache| {
            let at = |hash| cached_at(cache, hash);
            source.hashes.iter().map(at).collect::<Vec<_>>()
        });
        for url in cached.chain(source.urls.iter().cloned()) {
            match self.fetch(source, &url)? {
                Ok(file) => return Ok(Ok(Found::Fetched(file, url))),
                Err(attempt) => attempts.push(attempt),
            }
        }
        Ok(Err(attempts))
    }

    /// Finds the files of a revision: in a folder that is called as the commit, or behind the address.
    fn find_revision(
        &self,
        source: &Source,
        revision: &Revision,
    ) -> Result<Result<Found, Vec<Attempt>>, Error> {
        let mut attempts = Vec::new();
        for folder in self.tops.iter().map(|top| top.join(&revision.commit)) {
            let is_name = revision.commit.bytes().all(|byte| byte.is_ascii_hexdigit());
            if is_name && folder.is_dir() {
                let hash = nar::hash(&folder).map_err(|error| Error::Io {
                    what: format!("cannot read {}", folder.display()),
                    error,
                })?;
                match mismatch(source, &folder.display().to_string(), &[hash]) {
                    Some(mismatch) => attempts.push(mismatch),
                    None => return Ok(Ok(Found::Folder(folder))),
                }
            }
        }
        if self.network.offline {
            return Ok(Err(attempts));
        }
        for url in &source.urls {
            let fetched = fixed::check_out(self.network, url, revision)?;
            let fetched = fetched
                .map_err(Attempt::Unreachable)
                .and_then(|(folder, hash)| mismatch(source, url, &[hash]).map_or(Ok(folder), Err));
            match fetched {
                Ok(folder) => return Ok(Ok(Found::CheckedOut(folder, url.clone()))),
                Err(attempt) => attempts.push(attempt),
            }
        }
        Ok(Err(attempts))
    }

    fn unfit(&self, source: &Source, Unfit { path, hashes }: Unfit) -> Attempt {
        let place = path.display().to_string();
        let mismatch = hashes.and_then(|hashes| mismatch(source, &place, &hashes));
        mismatch.unwrap_or(Attempt::TooLarge { place, limit: self.network.size })
    }

    fn fetch(&self, source: &Source, url: &str) -> Result<Result<File, Attempt>, Error> {
        let mut file = match download(self.network, url) {
            Ok(file) => file,
            Err(error) => return Ok(Err(Attempt::Unreachable(error))),
        };
        let hashes = hash::copy(&mut file, &mut io::sink(), &self.algorithms, u64::MAX)
            .and_then(|hashes| file.rewind().map(|()| hashes.unwrap_or_default()))
            .map_err(|error| Error::Io { what: "cannot read what was fetched".into(), error })?;
        Ok(match mismatch(source, url, &hashes) {
            Some(mismatch) => Err(mismatch),
            None => Ok(file),
        })
    }
}

/// Where a cache has a file (`OpamHash.to_path`).
fn cached_at(cache: &str, hash: &Hash) -> String {
    let (cache, kind, hex) = (cache.trim_end_matches('/'), hash.algorithm.name(), hash.hex());
    format!("{cache}/{kind}/{}/{hex}", hex.get(..2).unwrap_or_default())
}

/// The names under which a source may lie in a folder: its hashes first, which say more.
fn names(source: &Source) -> Vec<String> {
    let mut names: Vec<_> = source.hashes.iter().flat_map(Hash::file_names).collect();
    names.push(source.name.clone());
    names.push(crate::store::safe_name(&source.name));
    let last = |url: &String| {
        let path = url.split(['?', '#']).next().unwrap_or_default();
        path.rsplit('/').next().unwrap_or_default().to_owned()
    };
    names.extend(source.urls.iter().map(last));
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| !name.is_empty() && seen.insert(name.clone()));
    names
}

/// The first hash of a source that a file does not have.
fn mismatch(source: &Source, place: &str, hashes: &[Hash]) -> Option<Attempt> {
    let expected = source.hashes.iter().find(|hash| !hashes.contains(hash))?.clone();
    let found = hashes.iter().find(|hash| hash.algorithm == expected.algorithm)?.clone();
    Some(Attempt::Mismatch { place: place.to_owned(), expected, found })
}

impl Found {
    /// Copies the file to a path, whose folder it makes, and gives its size.
    pub(crate) fn bring(&self, to: &Path) -> Result<u64, Error> {
        let copy = || {
            to.parent().map_or(Ok(()), fs::create_dir_all)?;
            match self {
                // Of the same file system: no copy. Nix reads it, and nobody writes it by this name.
                Self::File(path) if fs::hard_link(path, to).is_ok() => Ok(fs::metadata(to)?.len()),
                Self::File(path) => io::copy(&mut File::open(path)?, &mut File::create(to)?),
                Self::Fetched(file, _) => io::copy(&mut &*file, &mut File::create(to)?),
                Self::CheckedOut(folder, _) => {
                    let from = fixed::files_of(folder);
                    fs::rename(&from, to).or_else(|_| copy_folder(&from, to)).map(|()| 0)
                }
                Self::Folder(folder) => copy_folder(folder, to).map(|()| 0),
            }
        };
        copy().map_err(|error| Error::Io {
            what: "cannot copy a source to the temporary folder".into(),
            error,
        })
    }

    pub(crate) fn origin(&self) -> Origin {
        match self {
            Self::File(path) | Self::Folder(path) => Origin::File(path.clone()),
            Self::Fetched(_, url) | Self::CheckedOut(_, url) => Origin::Url(url.clone()),
        }
    }
}

/// Copies a folder, links as they are.
fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, from, to) = (entry.file_type()?, entry.path(), to.join(entry.file_name()));
        if kind.is_dir() {
            copy_folder(&from, &to)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&from)?, &to)?;
        } else {
            fs::copy(&from, &to)?; // with its permissions
        }
    }
    Ok(())
}
