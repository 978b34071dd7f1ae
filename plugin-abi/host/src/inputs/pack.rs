//! Packs: an archive made ready for reading, in memory and on disk.
//!
//! A compressed archive can only be read from its beginning, and a repository has tens of thousands
//! of files of which one session needs a few thousand. So an archive is unpacked once, into one file
//! that can be read at any place:
//!
//! | bytes       | what                                                                         |
//! |-------------|------------------------------------------------------------------------------|
//! | header, 80  | magic, version, checksum of all up to the contents, the archive's hash, sizes |
//! | 24 × count  | one [`Record`] for each file, link and empty folder, sorted by name           |
//! | `names`     | the names, one behind the other; then the notes as JSON                       |
//! | `contents`  | the files, one behind the other, each with its own checksum in the record     |
//!
//! All numbers are little-endian. Nothing of an archive ever becomes a file of its own, so its names
//! cannot do harm. A pack is a cache: whatever is wrong with one, it is made again.
//!
//! # Names
//!
//! In the index a name has a NUL where the path has `/`. No path has a NUL, it is the least byte,
//! and so the plain order of bytes is the order of a walk through the tree: what lies in `a` follows
//! `a` at once, before `a-b`. That gives the three things asked for by binary search alone. A *file*
//! is a record of that name. A *folder* exists if the first name that is not below `folder\0` starts
//! with it, so only empty folders need records. A *listing* is the walk over that range which
//! searches for the end of each sub-folder, and it comes out sorted.

mod build;
mod disk;

pub(super) use build::{Builder, Full};
pub(super) use disk::Identity;

use super::{Names, path, too_large};
use disk::Store;
use x2nix_protocol::{Blob, Diagnostic, Entry, FileContent};

/// How many parts a path may have, those of all links on its way counted. Links can lead in circles,
/// and in detours whose length doubles with every link.
const STEPS: usize = 512;

/// The content of an archive: an index, and the files' bytes in memory or on disk.
#[derive(Debug)]
pub struct Pack {
    index: Index,
    store: Store,
    limit: u64,
    notes: Vec<Diagnostic>,
}

/// A content that is not what its checksum says.
#[derive(Debug)]
pub(super) struct Damaged;

impl Pack {
    /// What was left out of the archive and why; origins are paths in the archive.
    pub fn notes(&self) -> &[Diagnostic] {
        &self.notes
    }

    /// The entries of a folder in byte order; `None` where there is no such folder.
    pub fn list(&self, folder: &str) -> Option<Vec<Entry>> {
        self.list_wanted(folder, &|_| true)
    }

    /// Those of a folder's entries whose names are wanted.
    pub(super) fn list_wanted(&self, folder: &str, wanted: &Names<'_>) -> Option<Vec<Entry>> {
        if !path::is_plain(folder) {
            return None;
        }
        let key = self.index.follow(key(folder)).ok()?;
        let mut entries = self.index.list(&key, wanted)?;
        for entry in entries.iter_mut().filter(|_| self.index.links) {
            let key = self.index.follow(key_in(&key, &entry.name));
            entry.folder |= key.is_ok_and(|key| self.index.is_folder(&key));
        }
        Some(entries)
    }

    /// The content of a file.
    pub fn read(&self, file: &str) -> FileContent {
        match self.place(file) {
            Some(place) => self.content(&place).unwrap_or_else(|Damaged| {
                FileContent::Unreadable("its content in the cache is damaged".into())
            }),
            None => FileContent::Missing,
        }
    }

    /// Where a path ends once all links in it are followed.
    pub(super) fn place(&self, path: &str) -> Option<String> {
        if !path::is_plain(path) {
            return None;
        }
        Some(self.index.follow(key(path)).ok()?.replace('\0', "/"))
    }

    /// The content at a place.
    pub(super) fn content(&self, place: &str) -> Result<FileContent, Damaged> {
        let Some(record) = self.index.find(&key(place)) else {
            return Ok(FileContent::Missing);
        };
        match record.kind {
            Kind::Folder | Kind::Link => Ok(FileContent::Missing),
            Kind::TooLarge => Ok(too_large(record.start, self.limit)),
            Kind::File => {
                let bytes = self.store.read(record.start, record.length).map_err(|_| Damaged)?;
                if crc32fast::hash(&bytes) == record.check {
                    Ok(FileContent::Found(Blob(bytes)))
                } else {
                    Err(Damaged)
                }
            }
        }
    }

    /// The one folder that everything lies in, if it is so.
    pub(super) fn only_folder(&self) -> Option<String> {
        let [Entry { name, folder: true }] = &self.index.list("", &|_| true)?[..] else {
            return None;
        };
        (!self.index.list(name, &|_| true)?.is_empty()).then(|| name.clone())
    }
}

/// A path as the index has it.
fn key(path: &str) -> String {
    path.replace('/', "\0")
}

fn key_in(folder: &str, name: &str) -> String {
    match folder {
        "" => name.to_owned(),
        _ => format!("{folder}\0{name}"),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Bytes in the store.
    File,
    /// A folder with nothing in it.
    Folder,
    /// A file without its content; `start` is its size.
    TooLarge,
    /// A link; its target is text among the names.
    Link,
}

/// What the index says of one name. On disk: the fields in this order, `kind` padded to two bytes.
#[derive(Debug, Clone, Copy)]
struct Record {
    name: u32,
    name_length: u16,
    kind: Kind,
    start: u64,
    length: u32,
    check: u32,
}

/// Why a link leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    Nowhere,
    Outside,
    InCircles,
}

#[derive(Debug, Default)]
struct Index {
    records: Vec<Record>,
    names: String,
    /// Whether there are links at all; mostly there are none, and then a path is its own place.
    links: bool,
}

impl Index {
    /// An index, if its records are sorted and stay within the names.
    fn new(records: Vec<Record>, names: String) -> Option<Self> {
        let links = records.iter().any(|record| record.kind == Kind::Link);
        let index = Self { records, names, links };
        let mut last = None;
        for record in &index.records {
            let start = record.name as usize;
            let name = index.names.get(start..start + usize::from(record.name_length))?;
            if record.kind == Kind::Link {
                let start = usize::try_from(record.start).ok()?;
                index.names.get(start..start.checked_add(record.length as usize)?)?;
            }
            if last.is_some_and(|last| last >= name) {
                return None;
            }
            last = Some(name);
        }
        Some(index)
    }

    // The slices below were checked by `new`.

    fn name(&self, record: &Record) -> &str {
        let start = record.name as usize;
        &self.names[start..start + usize::from(record.name_length)]
    }

    fn target(&self, record: &Record) -> &str {
        let start = usize::try_from(record.start).unwrap_or(usize::MAX);
        &self.names[start..start + record.length as usize]
    }

    fn find(&self, key: &str) -> Option<&Record> {
        let at = self.records.binary_search_by(|record| self.name(record).cmp(key)).ok()?;
        Some(&self.records[at])
    }

    /// The records within a folder.
    fn within(&self, folder: &str) -> &[Record] {
        let (start, end) = match folder {
            "" => return &self.records,
            _ => (format!("{folder}\0"), format!("{folder}\x01")),
        };
        let start = self.records.partition_point(|record| self.name(record) < start.as_str());
        let rest = &self.records[start..];
        &rest[..rest.partition_point(|record| self.name(record) < end.as_str())]
    }

    fn is_folder(&self, key: &str) -> bool {
        key.is_empty()
            || self.find(key).is_some_and(|record| record.kind == Kind::Folder)
            || !self.within(key).is_empty()
    }

    fn list(&self, folder: &str, wanted: &Names<'_>) -> Option<Vec<Entry>> {
        let mut rest = self.within(folder);
        if rest.is_empty() && !self.is_folder(folder) {
            return None;
        }
        let skip = if folder.is_empty() { 0 } else { folder.len() + 1 };
        let mut entries = Vec::new();
        while let Some(first) = rest.first() {
            let name = self.name(first);
            let folder = match name[skip..].find('\0') {
                None => {
                    rest = &rest[1..];
                    entries.push((&name[skip..], first.kind == Kind::Folder));
                    continue;
                }
                Some(length) => &name[..skip + length],
            };
            // Most folders of a repository are small, so their end is looked for nearby first.
            let inside = |record: &Record| {
                self.name(record).strip_prefix(folder).is_some_and(|rest| rest.starts_with('\0'))
            };
            let mut reach = 1;
            while rest.get(reach).is_some_and(inside) {
                reach *= 2;
            }
            let near = &rest[reach / 2..reach.min(rest.len())];
            rest = &rest[reach / 2 + near.partition_point(inside)..];
            entries.push((&folder[skip..], true));
        }
        let entry = |(name, folder): (&str, bool)| Entry { name: name.to_owned(), folder };
        Some(entries.into_iter().filter(|(name, _)| wanted(name)).map(entry).collect())
    }

    /// Follows all links in a path, part by part as an operating system does. What the path ends at
    /// need not exist.
    fn follow(&self, path: String) -> Result<String, Lost> {
        if !self.links {
            return Ok(path);
        }
        let mut place = String::new();
        let mut parts: Vec<&str> = path.rsplit('\0').collect();
        let mut steps = 0;
        while let Some(part) = parts.pop() {
            steps += 1;
            if steps > STEPS {
                return Err(Lost::InCircles);
            }
            match part {
                // These stand for folders, so `file/..` leads nowhere.
                "" | "." | ".." if !self.is_folder(&place) => return Err(Lost::Nowhere),
                "" | "." => continue,
                ".." if place.is_empty() => return Err(Lost::Outside),
                ".." => {
                    place.truncate(place.rfind('\0').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let next = key_in(&place, part);
            match self.find(&next) {
                Some(record) if record.kind == Kind::Link => {
                    let target = self.target(record);
                    if target.starts_with('/') {
                        return Err(Lost::Outside);
                    }
                    parts.extend(target.rsplit('/'));
                }
                _ => place = next,
            }
        }
        Ok(place)
    }

    /// Whether there is anything of that name.
    fn exists(&self, key: &str) -> bool {
        self.find(key).is_some() || self.is_folder(key)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn pack(build: impl FnOnce(&mut Builder)) -> Pack {
        let mut builder = Builder::new(u64::MAX, u64::MAX);
        build(&mut builder);
        builder.finish().unwrap()
    }

    fn names(pack: &Pack, folder: &str) -> Vec<String> {
        let entries = pack.list(folder).unwrap();
        entries.iter().map(|e| format!("{}{}", e.name, if e.folder { "/" } else { "" })).collect()
    }

    #[test]
    fn lists_in_byte_order_with_names_around_the_separator() {
        let pack = pack(|b| {
            for name in ["a-b/x", "a/x", "a.b", "a/y/z/1", "a/y/z/2", "a/y/w", "b", "a/y/z/3"] {
                b.file(name, name.as_bytes()).unwrap();
            }
            b.folder("empty").unwrap();
            b.folder("a").unwrap();
        });
        assert_eq!(names(&pack, ""), ["a/", "a-b/", "a.b", "b", "empty/"]);
        assert_eq!(names(&pack, "a"), ["x", "y/"]);
        assert_eq!(names(&pack, "a/y"), ["w", "z/"]);
        assert_eq!(names(&pack, "a/y/z"), ["1", "2", "3"]);
        assert_eq!(names(&pack, "empty"), [""; 0]);
        assert!(pack.list("b").is_none());
        assert!(pack.list("a/").is_none());
        assert_eq!(pack.read("a.b"), FileContent::Found(Blob(b"a.b".to_vec())));
        assert_eq!(pack.read("a"), FileContent::Missing);
        assert!(pack.notes().is_empty());
    }

    #[test]
    fn the_last_of_two_wins_and_a_folder_wins_over_a_file() {
        let pack = pack(|b| {
            b.file("f", b"old").unwrap();
            b.file("d", b"file").unwrap();
            b.file("f", b"new").unwrap();
            b.file("d/x", b"in").unwrap();
        });
        assert_eq!(pack.read("f"), FileContent::Found(Blob(b"new".to_vec())));
        assert_eq!(pack.read("d"), FileContent::Missing);
        assert_eq!(pack.read("d/x"), FileContent::Found(Blob(b"in".to_vec())));
        assert_eq!(pack.notes().len(), 1);
    }

    #[test]
    fn links_are_followed_within_and_dropped_else() {
        let pack = pack(|b| {
            b.file("d/f", b"content").unwrap();
            b.link("d/near", "f").unwrap();
            b.link("far", "./d/../d/near").unwrap();
            b.link("folder", "d").unwrap();
            b.link("again", "folder/near").unwrap();
            b.link("d/up", "..").unwrap();
            b.link("out", "../f").unwrap();
            b.link("d/out", "../../x").unwrap();
            b.link("absolute", "/etc/passwd").unwrap();
            b.link("dangling", "nothing").unwrap();
            b.link("file-as-folder", "d/f/../f").unwrap();
            b.link("circle", "round").unwrap();
            b.link("round", "circle").unwrap();
        });
        let content = FileContent::Found(Blob(b"content".to_vec()));
        for path in ["d/near", "far", "folder/f", "again", "d/up/d/up/folder/near"] {
            assert_eq!(pack.read(path), content, "{path}");
        }
        for path in ["out", "d/out", "absolute", "dangling", "file-as-folder", "circle", "round"] {
            assert_eq!(pack.read(path), FileContent::Missing, "{path}");
        }
        assert_eq!(names(&pack, ""), ["again", "d/", "far", "folder/"]);
        assert_eq!(names(&pack, "folder"), ["f", "near", "up/"]);
        assert_eq!(pack.notes().len(), 7);
    }
}
