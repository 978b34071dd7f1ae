//! Archives as trees, kept as packs.
//!
//! An archive is named by the hash of its content, and that name is looked for in the cache. If its
//! pack is not there, or not whole, the archive is unpacked, and the pack is saved for the next
//! time. Saving is a favour: where it fails, all still works. The file appears under its name only
//! when it is complete, so processes that race for it each find nothing, or a whole pack.

use super::{
    Limits, Names, OpenOptions, Opener, Pack, cache::Cache, pack::Identity, path, path::Hidden,
    sri, unpack, unreadable,
};
use sha2::{Digest as _, Sha256};
use std::{
    fmt,
    fs::File,
    io::{self, Read, Seek as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use x2nix_protocol::{Diagnostic, Entry, FileContent, Origin, PluginResult};

#[derive(Debug)]
pub(super) struct Archive {
    source: Source,
    digest: [u8; 32],
    pack: Mutex<Arc<Pack>>,
    /// The folder that is the tree's top; empty for the archive's own.
    top: String,
    hidden: Hidden,
}

/// Where the bytes of an archive come from.
pub(super) trait Bytes: fmt::Debug + Send + Sync {
    /// The archive from its beginning.
    fn open(&self) -> PluginResult<File>;
}

/// What an archive is named by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// Its own bytes.
    Bytes,
    /// The tree that is in it; see [`digest`](super::digest).
    Tree,
}

/// What it takes to unpack the archive, and to do it again.
#[derive(Debug, Clone)]
pub(super) struct Source {
    bytes: Arc<dyn Bytes>,
    label: String,
    naming: Naming,
    cache: Option<Cache>,
    limits: Limits,
}

/// An archive that was found.
pub(super) struct Found {
    pub(super) source: Source,
    pub(super) pack: Pack,
    pub(super) digest: [u8; 32],
    /// Where it is, as a lock is to say it; empty for a file.
    pub(super) location: String,
    /// What the user should know of finding it.
    pub(super) notes: Vec<Diagnostic>,
}

impl Found {
    pub(super) fn at(self, location: &str) -> Self {
        Self { location: location.to_owned(), ..self }
    }

    pub(super) fn sri(&self) -> String {
        sri(&self.digest)
    }
}

/// An archive in a file.
#[derive(Debug)]
struct InFile {
    path: PathBuf,
    label: String,
}

impl Bytes for InFile {
    fn open(&self) -> PluginResult<File> {
        File::open(&self.path).map_err(|error| unreadable(&self.label, &error))
    }
}

/// Opens a file.
pub(super) fn open_file(opener: &Opener, path: &Path, label: &str) -> PluginResult<Found> {
    let bytes = InFile { path: path.to_owned(), label: label.to_owned() };
    let mut file = bytes.open()?;
    let source = Source::new(bytes, label, Naming::Bytes, opener);
    if opener.cache.is_none() {
        return source.unpack(file);
    }
    let mut hashing = Hashing { bytes: &mut file, hasher: Sha256::new() };
    let hashed = io::copy(&mut hashing, &mut io::sink());
    let digest = hashing.hasher.finalize().into();
    hashed.and_then(|_| file.rewind()).map_err(|error| unreadable(label, &error))?;
    match source.cached(digest) {
        Some(found) => Ok(found),
        None => source.unpack(file),
    }
}

impl Archive {
    pub(super) fn new(found: Found, hidden: Hidden, options: &OpenOptions) -> Self {
        let Found { source, pack, digest, .. } = found;
        let top = pack.only_folder();
        // A tree that git made has its top at the top.
        let top = top.filter(|_| source.naming == Naming::Bytes);
        let top = top.filter(|top| !options.markers.contains(top)).unwrap_or_default();
        Self { source, digest, pack: Mutex::new(Arc::new(pack)), top, hidden }
    }

    pub(super) fn sri(&self) -> String {
        sri(&self.digest)
    }

    /// What was left out, with the archive's name before the paths.
    pub(super) fn notes(&self, label: &str) -> Vec<Diagnostic> {
        let place = |note: &Diagnostic| match &note.origin {
            Some(origin) => Origin::new(format!("{label}:{}", origin.file), origin.line),
            None => Origin::new(label, None),
        };
        self.pack().notes().iter().map(|note| note.clone().at(place(note))).collect()
    }

    pub(super) fn list(&self, folder: &str, wanted: &Names<'_>) -> Option<Vec<Entry>> {
        if self.hidden.hides(folder) {
            return None;
        }
        let pack = self.pack();
        let place = pack.place(&path::join(&self.top, folder))?;
        if self.hidden.hides(self.below_top(&place)) {
            return None;
        }
        let mut entries = pack.list_wanted(&place, wanted)?;
        entries.retain(|entry| !self.hidden.hides(&path::join(folder, &entry.name)));
        Some(entries)
    }

    pub(super) fn read(&self, file: &str) -> FileContent {
        if file.is_empty() || self.hidden.hides(file) {
            return FileContent::Missing;
        }
        let pack = self.pack();
        let Some(place) = pack.place(&path::join(&self.top, file)) else {
            return FileContent::Missing;
        };
        if self.hidden.hides(self.below_top(&place)) {
            return FileContent::Unreadable(super::LINK_TO_HIDDEN.into());
        }
        pack.content(&place).unwrap_or_else(|_| match self.renewed(&pack) {
            Ok(pack) => pack.read(&place),
            Err(error) => FileContent::Unreadable(format!(
                "its content in the cache is damaged, and the archive cannot be read again: {error}"
            )),
        })
    }

    fn below_top<'a>(&self, place: &'a str) -> &'a str {
        place.strip_prefix(&self.top).map_or(place, |rest| rest.trim_start_matches('/'))
    }

    fn pack(&self) -> Arc<Pack> {
        Arc::clone(&self.pack.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A pack in place of one that turned out to be damaged; made once, whoever asks.
    fn renewed(&self, damaged: &Arc<Pack>) -> PluginResult<Arc<Pack>> {
        let mut current = self.pack.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, damaged) {
            let file = self.source.bytes.open()?;
            let (pack, digest) = self.source.read(file)?;
            if digest != self.digest {
                let message = "the archive changed while it was in use";
                return Err(Diagnostic::error("input::changed", message).into());
            }
            *current = Arc::new(pack);
        }
        Ok(Arc::clone(&current))
    }
}

impl Source {
    pub(super) fn new(
        bytes: impl Bytes + 'static,
        label: &str,
        naming: Naming,
        opener: &Opener,
    ) -> Self {
        let (cache, limits) = (opener.cache.clone(), opener.limits);
        Self { bytes: Arc::new(bytes), label: label.to_owned(), naming, cache, limits }
    }

    /// The archive of that name, if the cache has it.
    pub(super) fn cached(&self, digest: [u8; 32]) -> Option<Found> {
        let pack = self.cache.as_ref()?.pack(&self.identity(digest))?;
        Some(self.found(pack, digest))
    }

    /// Unpacks the archive, and saves the pack.
    pub(super) fn unpack(&self, file: File) -> PluginResult<Found> {
        let (pack, digest) = self.read(file)?;
        Ok(self.found(pack, digest))
    }

    fn found(&self, pack: Pack, digest: [u8; 32]) -> Found {
        Found { source: self.clone(), pack, digest, location: String::new(), notes: Vec::new() }
    }

    /// Reads the archive, and saves the pack.
    ///
    /// The name is that of the very bytes that were unpacked, even if the file changed since it was
    /// hashed for the first time: a pack must never stand under a name that is not its own.
    fn read(&self, mut file: File) -> PluginResult<(Pack, [u8; 32])> {
        let named = |error: Box<Diagnostic>| error.at(Origin::new(&self.label, None));
        let (pack, digest) = match self.naming {
            Naming::Tree => unpack::read_and_name(&mut file, &self.limits).map_err(named)?,
            Naming::Bytes => {
                let mut hashing = Hashing { bytes: &mut file, hasher: Sha256::new() };
                let pack = unpack::read_archive(&mut hashing, &self.limits).map_err(named)?;
                (pack, hashing.hasher.finalize().into())
            }
        };
        if let Some(cache) = &self.cache {
            let _ = cache.save(&pack, &self.identity(digest)); // a favour, see above
        }
        Ok((pack, digest))
    }

    fn identity(&self, archive: [u8; 32]) -> Identity {
        Identity { archive, file_limit: self.limits.file }
    }
}

/// Hashes a file while it is read.
struct Hashing<'a> {
    bytes: &'a mut File,
    hasher: Sha256,
}

impl Read for Hashing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}
