//! Making a pack: what an archive says, entry by entry, becomes an index.

use super::{Index, Kind, Lost, Pack, Record, Store, key};
use crate::inputs::path::shown;
use std::{
    collections::BTreeMap,
    io::{self, Write as _},
};
use tempfile::{SpooledData, SpooledTempFile};
use x2nix_protocol::{Diagnostic, Origin, Severity};

/// Contents above this size wait in an unnamed temporary file instead of in memory.
const IN_MEMORY: usize = 64 << 20;

/// How many messages of one code are kept; a hostile archive could have millions.
const NOTES: usize = 10;

/// How many links are kept: each takes time to follow, and no honest archive has so many.
const LINKS: usize = 50_000;

/// Collects the entries of an archive in its order.
pub(in crate::inputs) struct Builder {
    records: Vec<Record>,
    names: String,
    contents: SpooledTempFile,
    written: u64,
    links: usize,
    notes: Notes,
    file_limit: u64,
    names_limit: u64,
}

/// Why an entry cannot be taken in.
#[derive(Debug)]
pub(in crate::inputs) enum Full {
    /// All names together take more room than is allowed.
    Names,
    /// The contents could not be put aside.
    Contents(io::Error),
}

impl Builder {
    pub(in crate::inputs) fn new(file_limit: u64, names_limit: u64) -> Self {
        Self {
            records: Vec::new(),
            names: String::new(),
            contents: SpooledTempFile::new(IN_MEMORY),
            written: 0,
            links: 0,
            notes: Notes::default(),
            file_limit,
            // Places of names are 32 bits wide.
            names_limit: names_limit.min(u64::from(u32::MAX)),
        }
    }

    /// A file with its bytes.
    pub(in crate::inputs) fn file(&mut self, path: &str, bytes: &[u8]) -> Result<(), Full> {
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.contents.write_all(bytes)?;
        let start = self.written;
        self.written += u64::from(length);
        self.add(path, Kind::File, start, length, crc32fast::hash(bytes))
    }

    /// A file that is too large to keep.
    pub(in crate::inputs) fn too_large(&mut self, path: &str, size: u64) -> Result<(), Full> {
        self.add(path, Kind::TooLarge, size, 0, 0)
    }

    /// A folder, which may or may not turn out to be empty.
    pub(in crate::inputs) fn folder(&mut self, path: &str) -> Result<(), Full> {
        self.add(path, Kind::Folder, 0, 0, 0)
    }

    /// A link; the target is seen from the folder that the link lies in.
    pub(in crate::inputs) fn link(&mut self, path: &str, target: &str) -> Result<(), Full> {
        self.links += 1;
        if self.links > LINKS {
            self.note("input::lost-link", path, "the archive has too many links");
            return Ok(());
        }
        let start = self.names.len() as u64;
        self.names.push_str(target);
        self.add(path, Kind::Link, start, u32::try_from(target.len()).unwrap_or(u32::MAX), 0)
    }

    /// Says that an entry is left out.
    pub(in crate::inputs) fn note(&mut self, code: &str, path: &str, reason: &str) {
        self.notes.add(code, path, reason);
    }

    fn add(
        &mut self,
        path: &str,
        kind: Kind,
        start: u64,
        length: u32,
        check: u32,
    ) -> Result<(), Full> {
        if (self.names.len() + path.len()) as u64 > self.names_limit {
            return Err(Full::Names);
        }
        let name = u32::try_from(self.names.len()).map_err(|_| Full::Names)?;
        let name_length = u16::try_from(path.len()).map_err(|_| Full::Names)?;
        self.names.push_str(&key(path));
        self.records.push(Record { name, name_length, kind, start, length, check });
        Ok(())
    }

    /// The pack.
    ///
    /// Settled here: of two entries with one name the last counts; an entry that others lie in is a
    /// folder; links that lead nowhere go; and folders that are not empty need no record.
    pub(in crate::inputs) fn finish(self) -> io::Result<Pack> {
        let Self { mut records, names, contents, file_limit, mut notes, .. } = self;
        let name = |record: &Record| {
            let start = record.name as usize;
            &names[start..start + usize::from(record.name_length)]
        };
        // A stable sort keeps the archive's order among equals; then the last moves into its place.
        records.sort_by(|a, b| name(a).cmp(name(b)));
        records.dedup_by(|later, kept| {
            let same = name(later) == name(kept);
            if same {
                *kept = *later;
            }
            same
        });
        let mut position = 0;
        let sorted = records.clone();
        records.retain(|record| {
            position += 1;
            let keep = record.kind == Kind::Folder || !has_children(&sorted, position - 1, &name);
            if !keep {
                let reason = "other entries of the archive lie in it, as in a folder";
                notes.add("input::odd-entry", name(record), reason);
            }
            keep
        });

        let index = Index::new(records, names).ok_or_else(|| io::Error::other("unsorted"))?;
        let lost: Vec<bool> =
            index.records.iter().map(|record| lost(&index, record, &mut notes)).collect();
        let mut lost = lost.into_iter();
        let mut kept = index.records.clone();
        kept.retain(|_| lost.next() != Some(true));
        let name = |record: &Record| index.name(record);
        let full: Vec<bool> = (0..kept.len()).map(|at| has_children(&kept, at, &name)).collect();
        let mut full = full.into_iter();
        kept.retain(|_| full.next() != Some(true));

        let (records, names) = compact(&index, &kept);
        let index = Index::new(records, names).ok_or_else(|| io::Error::other("unsorted"))?;
        let store = match contents.into_inner() {
            SpooledData::InMemory(bytes) => Store::Memory(bytes.into_inner()),
            SpooledData::OnDisk(file) => Store::File { file: file.into(), base: 0 },
        };
        Ok(Pack { index, store, limit: file_limit, notes: notes.finish() })
    }
}

/// Whether the next record lies in this one; in the index's order that is where it would be.
fn has_children<'a>(sorted: &[Record], at: usize, name: &impl Fn(&Record) -> &'a str) -> bool {
    let own = name(&sorted[at]);
    sorted
        .get(at + 1)
        .is_some_and(|next| name(next).strip_prefix(own).is_some_and(|rest| rest.starts_with('\0')))
}

/// Whether a record is a link that leads nowhere; if so, says it.
fn lost(index: &Index, record: &Record, notes: &mut Notes) -> bool {
    if record.kind != Kind::Link {
        return false;
    }
    let reason = match index.follow(index.name(record).to_owned()) {
        Ok(place) if index.exists(&place) => return false,
        Ok(_) | Err(Lost::Nowhere) => "points to nothing",
        Err(Lost::Outside) => "leads out of the archive",
        Err(Lost::InCircles) => "leads in circles",
    };
    let reason = format!("it is a link to {}, which {reason}", shown(index.target(record)));
    notes.add("input::lost-link", index.name(record), &reason);
    true
}

/// The records with nothing among the names that none of them uses.
fn compact(index: &Index, kept: &[Record]) -> (Vec<Record>, String) {
    let mut names = String::with_capacity(index.names.len());
    // The new text is no longer than the old, whose places fitted.
    let place = |names: &String| u32::try_from(names.len()).unwrap_or(u32::MAX);
    let records = kept.iter().map(|old| {
        let mut record = *old;
        record.name = place(&names);
        names.push_str(index.name(old));
        if record.kind == Kind::Link {
            record.start = place(&names).into();
            names.push_str(index.target(old));
        }
        record
    });
    let records = records.collect();
    (records, names)
}

/// Messages about what is left out, a bounded number of each code.
#[derive(Default)]
struct Notes {
    by_code: BTreeMap<String, (Vec<Diagnostic>, usize)>,
}

impl Notes {
    fn add(&mut self, code: &str, path: &str, reason: &str) {
        let (notes, more) = self.by_code.entry(code.to_owned()).or_default();
        if notes.len() == NOTES {
            *more += 1;
            return;
        }
        let path = shown(&path.replace('\0', "/"));
        let note = Diagnostic::warning(code, format!("left out {path}: {reason}"));
        notes.push(note.at(Origin::new(path, None)));
    }

    fn finish(self) -> Vec<Diagnostic> {
        let mut all = Vec::new();
        for (code, (notes, more)) in self.by_code {
            all.extend(notes);
            if more > 0 {
                let note = Diagnostic::warning(code, format!("left out {more} more like these"));
                all.push(Diagnostic { severity: Severity::Note, ..note });
            }
        }
        all
    }
}

impl From<io::Error> for Full {
    fn from(error: io::Error) -> Self {
        Self::Contents(error)
    }
}
