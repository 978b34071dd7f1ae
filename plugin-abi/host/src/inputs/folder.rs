//! Folders as trees: read when asked, hashed when asked.
//!
//! The hash is that of [`digest`](super::digest): the inner digests are made by all processors; the
//! outer one is then over little. A link stands for its text, and what it leads to is in the hash
//! where it lies: reading refuses links to where the hash does not reach.

use super::{
    Hashed, LINK_TO_HIDDEN, Names,
    digest::{self, Record},
    path::{Hidden, is_name, join, shown},
    sri, too_large, unreadable,
};
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};
use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
};
use x2nix_protocol::{Blob, Diagnostic, Entry, FileContent, Origin, PluginResult};

#[derive(Debug)]
pub(super) struct Folder {
    /// The folder with all links in its own path resolved.
    root: PathBuf,
    label: String,
    hidden: Hidden,
    file_limit: u64,
}

/// Where a path ends once all links are followed.
enum Place {
    Inside(PathBuf),
    Missing,
    Refused(String),
}

impl Folder {
    pub(super) fn open(
        path: &Path,
        label: &str,
        hidden: Hidden,
        file_limit: u64,
    ) -> PluginResult<Self> {
        let root = fs::canonicalize(path).and_then(|root| {
            fs::read_dir(&root)?;
            Ok(root)
        });
        let root = root.map_err(|error| unreadable(label, &error))?;
        Ok(Self { root, label: label.to_owned(), hidden, file_limit })
    }

    pub(super) fn list(
        &self,
        folder: &str,
        wanted: &Names<'_>,
    ) -> PluginResult<Option<Vec<Entry>>> {
        let Ok(Place::Inside(place)) = self.place(folder) else {
            return Ok(None);
        };
        let mut entries = Vec::new();
        for entry in match fs::read_dir(&place) {
            Ok(entries) => entries,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(self.unreadable(folder, &error)),
        } {
            let entry = entry.map_err(|error| self.unreadable(folder, &error))?;
            let Some(name) =
                entry.file_name().to_str().filter(|name| is_name(name)).map(str::to_owned)
            else {
                continue;
            };
            let path = join(folder, &name);
            if self.hidden.hides(&path) || !wanted(&name) {
                continue;
            }
            let kind = entry.file_type().map_err(|error| self.unreadable(&path, &error))?;
            let folder = if kind.is_symlink() {
                match self.place(&path) {
                    Ok(Place::Missing) => continue,
                    Ok(Place::Inside(target)) => target.is_dir(),
                    Ok(Place::Refused(_)) | Err(_) => false,
                }
            } else if kind.is_dir() || kind.is_file() {
                kind.is_dir()
            } else {
                continue; // sockets and the like have no content
            };
            entries.push(Entry { name, folder });
        }
        entries.sort_unstable();
        Ok(Some(entries))
    }

    pub(super) fn read(&self, file: &str) -> FileContent {
        let content = self.place(file).and_then(|place| match place {
            Place::Inside(place) => self.content(&place),
            Place::Missing => Ok(FileContent::Missing),
            Place::Refused(reason) => Ok(FileContent::Unreadable(reason)),
        });
        match content {
            Ok(content) => content,
            Err(error) if is_missing(&error) => FileContent::Missing,
            Err(error) => FileContent::Unreadable(error.to_string()),
        }
    }

    fn content(&self, place: &Path) -> io::Result<FileContent> {
        // Asked before opening: to open a pipe is to wait for somebody to write to it.
        let about = fs::metadata(place)?;
        if !about.is_file() {
            return Ok(FileContent::Missing);
        }
        if about.len() > self.file_limit {
            return Ok(too_large(about.len(), self.file_limit));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(about.len()).unwrap_or(0));
        File::open(place)?.take(self.file_limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > self.file_limit {
            return Ok(too_large(bytes.len() as u64, self.file_limit));
        }
        Ok(FileContent::Found(Blob(bytes)))
    }

    /// Follows all links in a path, but not out of the folder.
    fn place(&self, path: &str) -> io::Result<Place> {
        if self.hidden.hides(path) {
            return Ok(Place::Missing);
        }
        let place = match fs::canonicalize(self.root.join(path)) {
            Ok(place) => place,
            Err(error) if is_missing(&error) => return Ok(Place::Missing),
            Err(error) => return Err(error),
        };
        let Ok(inner) = place.strip_prefix(&self.root) else {
            return Ok(Place::Refused("it is a link that leads out of this input".into()));
        };
        let reached = inner.to_str().is_some_and(|inner| {
            let inner = inner.replace(std::path::MAIN_SEPARATOR, "/");
            !self.hidden.hides(&inner) && (inner.is_empty() || inner.split('/').all(is_name))
        });
        Ok(if reached { Place::Inside(place) } else { Place::Refused(LINK_TO_HIDDEN.into()) })
    }

    pub(super) fn hash(&self) -> PluginResult<Hashed> {
        let mut walked = self.walk("", &self.root)?;
        walked.notes.sort_unstable_by(|a, b| a.origin.cmp(&b.origin));
        Ok(Hashed { sri: sri(&digest::of(&mut walked.records)), notes: walked.notes })
    }

    /// The records of all that lies in a folder.
    fn walk(&self, folder: &str, place: &Path) -> PluginResult<Walked> {
        let entries = fs::read_dir(place).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let entries = entries.map_err(|error| self.unreadable(folder, &error))?;
        let parts: Vec<_> = entries
            .into_par_iter()
            .map(|entry| self.visit(folder, &entry))
            .collect::<Vec<PluginResult<_>>>();
        let mut all = Walked::default();
        for part in parts {
            let part = part?;
            all.records.extend(part.records);
            all.notes.extend(part.notes);
        }
        Ok(all)
    }

    fn visit(&self, folder: &str, entry: &fs::DirEntry) -> PluginResult<Walked> {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| is_name(name)) else {
            let path = shown(&join(folder, &name.to_string_lossy()));
            let note = Diagnostic::warning(
                "input::unsafe-path",
                format!("left out {path}: its name has a backslash, or is not UTF-8"),
            );
            let note = note.at(Origin::new(format!("{}:{path}", self.label), None));
            return Ok(Walked { records: Vec::new(), notes: vec![note] });
        };
        let path = join(folder, name);
        if self.hidden.hides(&path) {
            return Ok(Walked::default());
        }
        let failed = |error: &io::Error| self.unreadable(&path, error);
        let kind = entry.file_type().map_err(|error| failed(&error))?;
        let place = entry.path();
        let (kind, digest) = if kind.is_dir() {
            let mut inner = self.walk(&path, &place)?;
            inner.records.push(Record { kind: b'd', path, digest: None });
            return Ok(inner);
        } else if kind.is_symlink() {
            let target = fs::read_link(&place).map_err(|error| failed(&error))?;
            (b'l', Sha256::digest(target.as_os_str().as_encoded_bytes()).into())
        } else if kind.is_file() {
            digest_of(&place).map_err(|error| failed(&error))?
        } else {
            return Ok(Walked::default());
        };
        let record = Record { kind, path, digest: Some(digest) };
        Ok(Walked { records: vec![record], notes: Vec::new() })
    }

    fn unreadable(&self, path: &str, error: &io::Error) -> Box<Diagnostic> {
        unreadable(&join(&self.label, path), error)
    }
}

#[derive(Default)]
struct Walked {
    records: Vec<Record>,
    notes: Vec<Diagnostic>,
}

/// The kind and the digest of a file.
fn digest_of(place: &Path) -> io::Result<(u8, [u8; 32])> {
    let mut file = File::open(place)?;
    let mut hasher = Sha256::new();
    let mut buffer = [0; 16 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let kind = digest::kind_of(is_executable(&file.metadata()?));
    Ok((kind, hasher.finalize().into()))
}

#[cfg(unix)]
fn is_executable(about: &fs::Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &fs::Metadata) -> bool {
    false
}

/// Whether an error only says that there is nothing of that name.
fn is_missing(error: &io::Error) -> bool {
    use ErrorKind::{InvalidFilename, InvalidInput, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | InvalidFilename | InvalidInput)
}
