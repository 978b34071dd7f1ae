//! Archives as trees: found by their magic bytes, kept as packs.
//!
//! The archive is named by the hash of its bytes, and that name is looked for in the cache. If its
//! pack is not there, or not whole, the archive is unpacked, and the pack is saved for the next
//! time. Saving is a favour: where it fails, all still works. The file appears under its name only
//! when it is complete, so processes that race for it each find nothing, or a whole pack.

use super::{
    Limits, OpenOptions, Pack, pack::Identity, path, path::Hidden, read_archive, sri, unreadable,
};
use sha2::{Digest as _, Sha256};
use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, Read, Seek as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use x2nix_protocol::{Diagnostic, Entry, FileContent, Origin, PluginResult};

const GZIP: &[u8] = &[0x1f, 0x8b];

/// What else archives begin with, to say what was given.
const OTHERS: [(&[u8], &str); 7] = [
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"BZh", "a bzip2 archive"),
    (b"PK\x03\x04", "a zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"LZIP", "an lzip archive"),
    (b"ustar", "a tar archive without compression"),
];

/// Where a tar has its magic bytes.
const USTAR: usize = 257;

#[derive(Debug)]
pub(super) struct Archive {
    source: Source,
    digest: [u8; 32],
    pack: Mutex<Arc<Pack>>,
    /// The folder that is the tree's top; empty for the archive's own.
    top: String,
    hidden: Hidden,
}

/// What it takes to unpack the archive again.
#[derive(Debug)]
struct Source {
    path: PathBuf,
    label: String,
    cache: Option<PathBuf>,
    limits: Limits,
}

impl Archive {
    pub(super) fn open(
        path: &Path,
        label: &str,
        hidden: Hidden,
        options: &OpenOptions,
        cache: Option<&Path>,
        limits: &Limits,
    ) -> PluginResult<Self> {
        let source = Source {
            path: path.to_owned(),
            label: label.to_owned(),
            cache: cache.map(Path::to_owned),
            limits: *limits,
        };
        let (pack, digest) = source.open()?;
        let top = pack.only_folder().filter(|top| !options.markers.contains(top));
        let pack = Mutex::new(Arc::new(pack));
        Ok(Self { source, digest, pack, top: top.unwrap_or_default(), hidden })
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

    pub(super) fn list(&self, folder: &str) -> Option<Vec<Entry>> {
        if self.hidden.hides(folder) {
            return None;
        }
        let pack = self.pack();
        let place = pack.place(&path::join(&self.top, folder))?;
        if self.hidden.hides(self.below_top(&place)) {
            return None;
        }
        let mut entries = pack.list(&place)?;
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
            let file = self.source.file()?;
            let (pack, digest) = self.source.unpack(file)?;
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
    /// The pack of the archive, from the cache if it is there.
    fn open(&self) -> PluginResult<(Pack, [u8; 32])> {
        let mut file = self.file()?;
        self.check_kind(&mut file)?;
        if let Some(cache) = &self.cache {
            let mut hashing = Hashing { file, hasher: Sha256::new() };
            io::copy(&mut hashing, &mut io::sink()).map_err(|error| self.unreadable(&error))?;
            let identity = self.identity(hashing.hasher.finalize().into());
            if let Some(pack) = Pack::load(&place_in(cache, &identity), &identity) {
                return Ok((pack, identity.archive));
            }
            file = hashing.file;
            file.rewind().map_err(|error| self.unreadable(&error))?;
        }
        self.unpack(file)
    }

    /// Unpacks the archive, and saves the pack.
    ///
    /// The hash is that of the very bytes that were unpacked, even if the file changed since it was
    /// hashed for the first time: a pack must never stand under a name that is not its own.
    fn unpack(&self, file: File) -> PluginResult<(Pack, [u8; 32])> {
        let mut hashing = Hashing { file, hasher: Sha256::new() };
        let named = |error: Box<Diagnostic>| error.at(Origin::new(&self.label, None));
        let pack = read_archive(&mut hashing, &self.limits).map_err(named)?;
        let identity = self.identity(hashing.hasher.finalize().into());
        if let Some(cache) = &self.cache {
            let _ = save(&pack, &identity, &place_in(cache, &identity)); // a favour, see above
        }
        Ok((pack, identity.archive))
    }

    fn file(&self) -> PluginResult<File> {
        File::open(&self.path).map_err(|error| self.unreadable(&error))
    }

    fn identity(&self, archive: [u8; 32]) -> Identity {
        Identity { archive, file_limit: self.limits.file }
    }

    /// Refuses what is no archive that can be read, and says what it is.
    fn check_kind(&self, file: &mut File) -> PluginResult<()> {
        let mut start = Vec::new();
        let read = file.take(USTAR as u64 + 8).read_to_end(&mut start);
        read.and_then(|_| file.rewind()).map_err(|error| self.unreadable(&error))?;
        if start.starts_with(GZIP) {
            return Ok(());
        }
        let begins = |magic: &[u8]| {
            start.starts_with(magic) || start.get(USTAR..).is_some_and(|tar| tar.starts_with(magic))
        };
        let kind = match OTHERS.iter().find(|(magic, _)| begins(magic)) {
            Some((_, kind)) => kind,
            None if start.is_empty() => "empty",
            None => "not an archive",
        };
        let message = format!("cannot read {}: it is {kind}", self.label);
        Err(Diagnostic::error("input::unsupported-archive", message)
            .at(Origin::new(&self.label, None))
            .help("give a folder, or a tar archive compressed with gzip (.tar.gz or .tgz)")
            .into())
    }

    fn unreadable(&self, error: &io::Error) -> Box<Diagnostic> {
        unreadable(&self.label, error)
    }
}

fn place_in(cache: &Path, identity: &Identity) -> PathBuf {
    let mut name = String::new();
    for byte in identity.archive {
        let _ = write!(name, "{byte:02x}"); // to a String, which cannot fail
    }
    cache.join("packs").join(name + ".pack")
}

fn save(pack: &Pack, identity: &Identity, place: &Path) -> io::Result<()> {
    let folder = place.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    pack.save(identity, file.as_file_mut())?;
    file.persist(place)?;
    Ok(())
}

/// Hashes a file while it is read.
struct Hashing {
    file: File,
    hasher: Sha256,
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}
