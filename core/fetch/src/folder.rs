//! Folders that hold sources, by hash or by file name, in whatever layout.
//!
//! Layouts by hash differ in their folders (`sha256/ab/abcd…` is opam's, `sha256/abcd…`, `abcd…`), but
//! the file's own name always is the hash. So one index over the names of all files is enough for them
//! and for files that keep their own name; the checksum decides among several of one name.
//!
//! A link is followed where it ends at a file of the same folder, as opam's cache links one hash to
//! the other. What is neither, such as a device or a pipe, is not there.

use crate::Error;
use std::{
    collections::HashMap,
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
};
use x2nix_plugin_host::hash::{self, Algorithm, Hash};

/// As many files as an index holds: more is not a folder of sources.
const LARGEST: usize = 1_000_000;

/// Some folders, read once, when the first file is looked for.
#[derive(Debug)]
pub(crate) struct Folders {
    tops: Vec<PathBuf>,
    index: OnceLock<Result<Index, (PathBuf, io::ErrorKind, String)>>,
    /// What the files are that were looked at, by path; nothing for one that is too large.
    hashes: Mutex<HashMap<PathBuf, Option<Vec<Hash>>>>,
    algorithms: Vec<Algorithm>,
    largest: u64,
}

type Index = HashMap<OsString, Vec<PathBuf>>;

/// A file that has the name, and other content.
#[derive(Debug)]
pub(crate) struct Unfit {
    pub(crate) path: PathBuf,
    /// Its hashes; nothing where it is larger than the limit.
    pub(crate) hashes: Option<Vec<Hash>>,
}

impl Folders {
    /// Folders whose files are compared by these algorithms.
    pub(crate) fn new(tops: Vec<PathBuf>, algorithms: Vec<Algorithm>, largest: u64) -> Self {
        let (index, hashes) = (OnceLock::new(), Mutex::default());
        Self { tops, index, hashes, algorithms, largest }
    }

    /// The first file with one of the names that has all the hashes, or those that do not.
    pub(crate) fn find(
        &self,
        names: &[String],
        wanted: &[Hash],
    ) -> Result<Result<PathBuf, Vec<Unfit>>, Error> {
        let index = self.index()?;
        let mut unfit = Vec::new();
        let by_name = |name: &String| index.get(OsString::from(name).as_os_str());
        for path in names.iter().filter_map(by_name).flatten() {
            let hashes = self.hashes(path)?;
            if hashes.as_ref().is_some_and(|hashes| wanted.iter().all(|hash| hashes.contains(hash)))
            {
                return Ok(Ok(path.clone()));
            }
            unfit.push(Unfit { path: path.clone(), hashes });
        }
        Ok(Err(unfit))
    }

    fn hashes(&self, path: &Path) -> Result<Option<Vec<Hash>>, Error> {
        let lock = || self.hashes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(path) {
            return Ok(known.clone());
        }
        // Two threads may do the same here, which is only slow.
        let read =
            |mut file: File| hash::copy(&mut file, &mut io::sink(), &self.algorithms, self.largest);
        let hashes = File::open(path).and_then(read).map_err(|error| unreadable(path, error))?;
        lock().insert(path.to_owned(), hashes.clone());
        Ok(hashes)
    }

    fn index(&self) -> Result<&Index, Error> {
        let index = self.index.get_or_init(|| {
            let mut index = Index::new();
            let mut left = LARGEST;
            for folder in &self.tops {
                add(folder, &mut index, &mut left)
                    .map_err(|error| (folder.clone(), error.kind(), error.to_string()))?;
            }
            Ok(index)
        });
        index
            .as_ref()
            .map_err(|(folder, kind, why)| unreadable(folder, io::Error::new(*kind, why.clone())))
    }
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    Error::Io { what: format!("cannot read {}", path.display()), error }
}

/// Adds the files below a folder, in the order of their paths.
fn add(top: &Path, index: &mut Index, left: &mut usize) -> io::Result<()> {
    let top = fs::canonicalize(top)?;
    let mut folders = vec![top.clone()];
    while let Some(folder) = folders.pop() {
        let mut entries = fs::read_dir(&folder)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_unstable_by_key(fs::DirEntry::file_name);
        for entry in entries {
            *left = left.checked_sub(1).ok_or_else(|| {
                io::Error::other(format!(
                    "it has more than {LARGEST} files; give the folder of the sources"
                ))
            })?;
            let (kind, path) = (entry.file_type()?, entry.path());
            let file = if kind.is_symlink() {
                // A link that leads nowhere is no harm.
                fs::canonicalize(&path).ok().filter(|end| end.starts_with(&top) && end.is_file())
            } else {
                kind.is_file().then(|| path.clone())
            };
            if kind.is_dir() {
                folders.push(path);
            } else if let Some(file) = file {
                index.entry(entry.file_name()).or_default().push(file);
            }
        }
    }
    Ok(())
}
