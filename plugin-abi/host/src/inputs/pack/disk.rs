//! Packs on disk.

use super::{Index, Kind, Pack, Record};
use std::{
    fs::File,
    io::{self, Read, Seek as _, Write},
    path::Path,
};

/// What a file must begin with to be a pack; a newline catches transfers as text.
const MAGIC: [u8; 8] = *b"x2npack\n";

/// Raised whenever a pack of the same archive would come out different.
const VERSION: u32 = 1;

/// The bytes before the index.
const HEADER: usize = 80;

/// The bytes of the header before those that its checksum covers.
const UNCHECKED: usize = 16;

const RECORD: usize = 24;

/// What a pack is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::inputs) struct Identity {
    /// The SHA-256 of the archive.
    pub(in crate::inputs) archive: [u8; 32],
    /// The size above which it has no contents.
    pub(in crate::inputs) file_limit: u64,
}

/// Where the contents are.
#[derive(Debug)]
pub(super) enum Store {
    Memory(Vec<u8>),
    File { file: SharedFile, base: u64 },
}

impl Store {
    pub(super) fn read(&self, start: u64, length: u32) -> io::Result<Vec<u8>> {
        match self {
            Self::Memory(bytes) => {
                let start = usize::try_from(start).map_err(io::Error::other)?;
                let slice =
                    start.checked_add(length as usize).and_then(|end| bytes.get(start..end));
                slice.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
            }
            Self::File { file, base } => {
                let mut bytes = vec![0; length as usize];
                file.read_exact_at(&mut bytes, base + start)?;
                Ok(bytes)
            }
        }
    }

    fn length(&self) -> io::Result<u64> {
        match self {
            Self::Memory(bytes) => Ok(bytes.len() as u64),
            Self::File { file, base } => Ok(file.length()? - base),
        }
    }

    fn copy_to(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Memory(bytes) => out.write_all(bytes),
            Self::File { file, base } => file.copy_to(*base, out),
        }
    }
}

impl Pack {
    /// Writes the pack in the form that [`Pack::load`] reads.
    pub(in crate::inputs) fn save(&self, identity: &Identity, file: &mut File) -> io::Result<()> {
        let notes = serde_json::to_vec(&self.notes)?;
        let size = |length: usize| u32::try_from(length).map_err(io::Error::other);
        let mut head = Vec::with_capacity(
            HEADER + self.index.records.len() * RECORD + self.index.names.len() + notes.len(),
        );
        head.extend(MAGIC);
        head.extend(VERSION.to_le_bytes());
        head.extend([0; 4]); // the checksum, below
        head.extend(identity.archive);
        head.extend(identity.file_limit.to_le_bytes());
        head.extend(size(self.index.records.len())?.to_le_bytes());
        head.extend(size(self.index.names.len())?.to_le_bytes());
        head.extend(size(notes.len())?.to_le_bytes());
        head.extend([0; 4]);
        head.extend(self.store.length()?.to_le_bytes());
        for record in &self.index.records {
            record.encode(&mut head);
        }
        head.extend(self.index.names.as_bytes());
        head.extend(notes);
        let check = crc32fast::hash(&head[UNCHECKED..]);
        head[UNCHECKED - 4..UNCHECKED].copy_from_slice(&check.to_le_bytes());
        file.write_all(&head)?;
        self.store.copy_to(file)
    }

    /// Reads the index of a pack, if the file is a whole one of this archive.
    pub(in crate::inputs) fn load(path: &Path, identity: &Identity) -> Option<Self> {
        let mut file = File::open(path).ok()?;
        let length = file.metadata().ok()?.len();
        let mut header = [0; HEADER];
        file.read_exact(&mut header).ok()?;
        let mut fields = Fields(&header);
        if fields.take()? != MAGIC || u32::from_le_bytes(fields.take()?) != VERSION {
            return None;
        }
        let check = u32::from_le_bytes(fields.take()?);
        let archive: [u8; 32] = fields.take()?;
        let file_limit = u64::from_le_bytes(fields.take()?);
        if *identity != (Identity { archive, file_limit }) {
            return None;
        }
        let count = u32::from_le_bytes(fields.take()?) as usize;
        let names = u32::from_le_bytes(fields.take()?) as usize;
        let notes = u32::from_le_bytes(fields.take()?) as usize;
        fields.take::<4>()?;
        let contents = u64::from_le_bytes(fields.take()?);

        // The sizes are not to be trusted with an allocation before they fit the file's own.
        let index = count.checked_mul(RECORD)?.checked_add(names)?.checked_add(notes)?;
        let base = (HEADER as u64).checked_add(index as u64)?;
        if base.checked_add(contents)? != length {
            return None;
        }
        let mut bytes = vec![0; index];
        file.read_exact(&mut bytes).ok()?;
        let mut actual = crc32fast::Hasher::new();
        actual.update(&header[UNCHECKED..]);
        actual.update(&bytes);
        if actual.finalize() != check {
            return None;
        }

        let (records, rest) = bytes.split_at(count * RECORD);
        let (names, notes) = rest.split_at(names);
        let records = records.chunks_exact(RECORD).map(Record::decode).collect::<Option<_>>()?;
        let index = Index::new(records, str::from_utf8(names).ok()?.to_owned())?;
        let within = |r: &Record| match r.kind {
            Kind::File => r.start.checked_add(r.length.into()).is_some_and(|end| end <= contents),
            Kind::Folder | Kind::TooLarge | Kind::Link => true,
        };
        index.records.iter().all(within).then_some(())?;
        let notes = serde_json::from_slice(notes).ok()?;
        let store = Store::File { file: file.into(), base };
        Some(Self { index, store, limit: identity.file_limit, notes })
    }
}

impl Record {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.name.to_le_bytes());
        out.extend(self.name_length.to_le_bytes());
        out.extend(u16::from(self.kind as u8).to_le_bytes());
        out.extend(self.start.to_le_bytes());
        out.extend(self.length.to_le_bytes());
        out.extend(self.check.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        Some(Self {
            name: u32::from_le_bytes(fields.take()?),
            name_length: u16::from_le_bytes(fields.take()?),
            kind: match u16::from_le_bytes(fields.take()?) {
                0 => Kind::File,
                1 => Kind::Folder,
                2 => Kind::TooLarge,
                3 => Kind::Link,
                _ => return None,
            },
            start: u64::from_le_bytes(fields.take()?),
            length: u32::from_le_bytes(fields.take()?),
            check: u32::from_le_bytes(fields.take()?),
        })
    }
}

/// Takes fields of fixed width from the front of some bytes.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }
}

/// A file that several threads read at places of their own.
#[derive(Debug)]
pub(super) struct SharedFile {
    #[cfg(unix)]
    file: File,
    #[cfg(not(unix))]
    file: std::sync::Mutex<File>,
}

impl From<File> for SharedFile {
    fn from(file: File) -> Self {
        #[cfg(not(unix))]
        let file = file.into();
        Self { file }
    }
}

#[cfg(unix)]
impl SharedFile {
    fn read_exact_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, bytes, at)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn copy_to(&self, start: u64, out: &mut impl Write) -> io::Result<()> {
        let mut file = &self.file;
        file.seek(io::SeekFrom::Start(start))?;
        io::copy(&mut file, out).map(drop)
    }
}

#[cfg(not(unix))]
impl SharedFile {
    fn locked(&self) -> std::sync::MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn read_exact_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        let mut file = self.locked();
        file.seek(io::SeekFrom::Start(at))?;
        file.read_exact(bytes)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.locked().metadata()?.len())
    }

    fn copy_to(&self, start: u64, out: &mut impl Write) -> io::Result<()> {
        let mut file = self.locked();
        file.seek(io::SeekFrom::Start(start))?;
        io::copy(&mut *file, out).map(drop)
    }
}
