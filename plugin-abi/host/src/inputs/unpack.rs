//! Reading a compressed tar archive, which may be broken or hostile, into a [`Pack`].
//!
//! The archive is read as a stream, and every length in it is a claim that is checked before it is
//! acted on: what is read in one piece is bounded, and the sum of all is. The reader takes the tar
//! apart itself, header by header, because it must be able to say where a damage is, must bound the
//! long names that a tar hides in entries of their own, and never writes files, which is what the
//! reading of tar archives is mostly about.

use super::{
    compression::{Format, START},
    digest,
    pack::{Builder, Full, Pack},
    path,
};
use sha2::{Digest as _, Sha256};
use std::{
    cell::Cell,
    io::{self, BufRead, BufReader, Read},
};
use tar::{EntryType, Header};
use x2nix_protocol::{Diagnostic, PluginResult};

/// A tar is made of blocks of this size.
const BLOCK: usize = 512;

/// The most that a long name or a list of extended attributes may take.
const EXTENSION: u64 = 1 << 20;

const BUFFER: usize = 128 << 10;

/// How much of an archive is read before it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole archive once it is decompressed.
    pub unpacked: u64,
    /// Entries, folders among them.
    pub entries: u64,
    /// Bytes of all paths together.
    pub names: u64,
    /// Bytes of one file; a larger one is listed, but cannot be read.
    pub file: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { unpacked: 2 << 30, entries: 2_000_000, names: 256 << 20, file: 16 << 20 }
    }
}

/// Reads a tar archive, compressed or not, into memory, or into an unnamed temporary file if it is
/// large.
///
/// It reads to the end of `bytes`, so whoever counts or hashes them has seen all.
pub fn read_archive(bytes: impl Read, limits: &Limits) -> PluginResult<Pack> {
    read(bytes, limits, None)
}

/// The same, and the hash of the tree in it; see [`digest`].
pub(super) fn read_and_name(bytes: impl Read, limits: &Limits) -> PluginResult<(Pack, [u8; 32])> {
    let mut seen = Vec::new();
    let pack = read(bytes, limits, Some(&mut seen))?;
    Ok((pack, digest::of(&mut seen)))
}

fn read(
    mut bytes: impl Read,
    limits: &Limits,
    seen: Option<&mut Vec<digest::Record>>,
) -> PluginResult<Pack> {
    let mut start = Vec::with_capacity(START);
    let peeked = (&mut bytes).take(START as u64).read_to_end(&mut start);
    peeked.map_err(|error| cannot_unpack(&error))?;
    let format = Format::of(&start).map_err(unsupported)?;
    let taken = Cell::new(0);
    let counted = Counted { bytes: start.chain(bytes), taken: &taken };
    let plain = format.plain(BufReader::with_capacity(BUFFER, counted));
    let mut tar = Tar {
        input: BufReader::with_capacity(BUFFER, plain.map_err(|error| cannot_unpack(&error))?),
        taken: &taken,
        position: 0,
        headers: 0,
        entry: String::new(),
        has_end: format.has_end(),
        seen,
        limits,
    };
    let mut builder = Builder::new(limits.file.min(u32::MAX.into()), limits.names);
    while let Some(entry) = tar.next_entry(&mut builder)? {
        tar.entry(&entry, &mut builder)?;
    }
    tar.finish()?;
    builder.finish().map_err(|error| cannot_unpack(&error))
}

/// What a tar says of one entry, long names resolved.
struct Head {
    kind: EntryType,
    size: u64,
    path: Vec<u8>,
    target: Vec<u8>,
    sparse: bool,
    executable: bool,
}

struct Tar<'a, R> {
    input: R,
    /// How many bytes of the compressed file were read.
    taken: &'a Cell<u64>,
    /// How many bytes of the tar were read.
    position: u64,
    /// How many headers were read.
    headers: u64,
    /// The path of the current entry, for messages.
    entry: String,
    /// Whether what the tar is compressed with tells where it ends.
    has_end: bool,
    /// What the hash of the tree needs of each entry, where it is wanted.
    seen: Option<&'a mut Vec<digest::Record>>,
    limits: &'a Limits,
}

impl<R: BufRead> Tar<'_, R> {
    /// The next entry that is one, with the attributes that came before it; `None` at the end.
    fn next_entry(&mut self, builder: &mut Builder) -> PluginResult<Option<Head>> {
        let (mut path, mut target, mut true_size) = (None, None, None);
        let mut sparse = false;
        while let Some(header) = self.header()? {
            let size = header.entry_size().map_err(|_| self.broken("a size is not a number"))?;
            let kind = header.entry_type();
            match kind {
                EntryType::GNULongName => path = Some(until_nul(self.extension(size)?)),
                EntryType::GNULongLink => target = Some(until_nul(self.extension(size)?)),
                EntryType::XHeader => {
                    let content = self.extension(size)?;
                    let damaged = "an extended header is damaged";
                    let attributes = attributes_of(&content).ok_or_else(|| self.broken(damaged))?;
                    for (key, value) in attributes {
                        match key {
                            b"path" => path = Some(value.to_vec()),
                            b"linkpath" => target = Some(value.to_vec()),
                            b"size" => {
                                let size = str::from_utf8(value).ok().and_then(|v| v.parse().ok());
                                true_size = Some(size.ok_or_else(|| self.broken(damaged))?);
                            }
                            key => sparse |= key.starts_with(b"GNU.sparse."),
                        }
                    }
                }
                EntryType::XGlobalHeader => self.skip(size)?,
                _ => {
                    if kind == EntryType::GNUSparse {
                        sparse = true;
                        self.sparse_map(&header)?;
                    }
                    let path = path.unwrap_or_else(|| header.path_bytes().into_owned());
                    let target = target.unwrap_or_else(|| {
                        header.link_name_bytes().unwrap_or_default().into_owned()
                    });
                    self.entry = path::shown(&String::from_utf8_lossy(&path));
                    let size = true_size.unwrap_or(size);
                    let executable = header.mode().is_ok_and(|mode| mode & 0o111 != 0);
                    return Ok(Some(Head { kind, size, path, target, sparse, executable }));
                }
            }
        }
        if path.is_some() || target.is_some() {
            builder.note("input::odd-entry", "the last entry", "it has a name and nothing else");
        }
        Ok(None)
    }

    /// Takes one entry in.
    fn entry(&mut self, head: &Head, builder: &mut Builder) -> PluginResult<()> {
        // Names are checked for every kind of entry, but what is not read has no need of one.
        let known = head.kind.is_file()
            || matches!(
                head.kind,
                EntryType::Continuous
                    | EntryType::Directory
                    | EntryType::Symlink
                    | EntryType::Link
                    | EntryType::GNUSparse
            );
        if !known {
            return self.skip(head.size);
        }
        let path = match plain_path(&head.path) {
            Ok(path) => path,
            Err(reason) => {
                builder.note("input::unsafe-path", &String::from_utf8_lossy(&head.path), reason);
                return self.skip(head.size);
            }
        };
        if path.is_empty() {
            return self.skip(head.size); // `./`, the top itself
        }
        // Before there was a kind for folders, a slash made one.
        let folder = head.kind == EntryType::Directory
            || (head.kind == EntryType::Regular && head.path.ends_with(b"/"));
        let added = if head.sparse {
            builder.note("input::odd-entry", &path, "it is stored as a file with holes");
            Ok(())
        } else if folder {
            self.saw(b'd', &path, None);
            builder.folder(&path)
        } else if matches!(head.kind, EntryType::Symlink | EntryType::Link) {
            match link_target(head, &path) {
                Ok(target) => {
                    self.saw(b'l', &path, Some(Sha256::digest(&target).into()));
                    builder.link(&path, &target)
                }
                Err(reason) => {
                    builder.note("input::lost-link", &path, reason);
                    Ok(())
                }
            }
        } else if head.size > self.limits.file.min(u32::MAX.into()) {
            let added = builder.too_large(&path, head.size);
            added.map_err(|full| self.full(&full))?;
            return self.skip_large(head, &path);
        } else {
            let content = self.body(head.size)?;
            if self.seen.is_some() {
                self.saw(
                    digest::kind_of(head.executable),
                    &path,
                    Some(Sha256::digest(&content).into()),
                );
            }
            return builder.file(&path, &content).map_err(|full| self.full(&full));
        };
        added.map_err(|full| self.full(&full))?;
        self.skip(head.size)
    }

    /// The next header; `None` at the end of the tar.
    fn header(&mut self) -> PluginResult<Option<Header>> {
        if self.at_end()? {
            return match self.position {
                0 => Err(self.broken("there is no tar in it")),
                // Some programs leave the end mark out. That nothing is lost, the compression's own
                // end proves; where there is none, the mark alone does.
                _ if self.has_end => Ok(None),
                _ => Err(self.unreadable(&io::ErrorKind::UnexpectedEof.into())),
            };
        }
        let mut header = Header::new_old();
        self.fill(header.as_mut_bytes())?;
        let bytes = header.as_bytes();
        if bytes.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        // The sum is made with blanks in the place where it stands itself.
        let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u32::from(byte)).sum::<u32>();
        let expected = sum(&bytes[..148]) + 8 * u32::from(b' ') + sum(&bytes[156..]);
        if header.cksum().ok() != Some(expected) {
            self.position -= BLOCK as u64;
            return Err(self.broken(match self.position {
                0 => "what is compressed in it is not a tar",
                _ => "a header is damaged",
            }));
        }
        self.headers += 1;
        if self.headers > self.limits.entries {
            return Err(self.too_large());
        }
        Ok(Some(header))
    }

    /// Skips the further blocks in which old GNU tar says where the holes of a file are.
    fn sparse_map(&mut self, header: &Header) -> PluginResult<()> {
        const MORE: usize = 504;
        let mut more = header.as_gnu().is_some_and(tar::GnuHeader::is_extended);
        while more {
            let mut block = [0; BLOCK];
            self.fill(&mut block)?;
            more = block[MORE] == 1;
        }
        Ok(())
    }

    /// The content of an entry that extends the next one.
    fn extension(&mut self, size: u64) -> PluginResult<Vec<u8>> {
        if size > EXTENSION {
            return Err(self.too_large());
        }
        self.body(size)
    }

    /// The content of an entry, up to the next header. The caller has bounded the size.
    fn body(&mut self, size: u64) -> PluginResult<Vec<u8>> {
        self.allow(size)?;
        let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0).min(BUFFER));
        let read = (&mut self.input).take(size).read_to_end(&mut content);
        self.position += content.len() as u64;
        read.map_err(|error| self.unreadable(&error))?;
        if (content.len() as u64) < size {
            return Err(self.unreadable(&io::ErrorKind::UnexpectedEof.into()));
        }
        self.skip_bytes(padding(size))?;
        Ok(content)
    }

    fn skip(&mut self, size: u64) -> PluginResult<()> {
        self.allow(size)?;
        self.skip_bytes(size.saturating_add(padding(size)))
    }

    /// Remembers an entry for the hash of the tree.
    fn saw(&mut self, kind: u8, path: &str, digest: Option<[u8; 32]>) {
        if let Some(seen) = &mut self.seen
            && !path::is_never_seen(path)
        {
            seen.push(digest::Record { kind, path: path.to_owned(), digest });
        }
    }

    /// Skips a file that is too large to keep; the hash of the tree has it all the same.
    fn skip_large(&mut self, head: &Head, path: &str) -> PluginResult<()> {
        if self.seen.is_none() {
            return self.skip(head.size);
        }
        self.allow(head.size)?;
        let mut hasher = Sha256::new();
        let mut left = head.size;
        while left > 0 {
            let bytes = self.input.fill_buf().map_or_else(Err, |bytes| {
                let bytes = &bytes[..bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
                hasher.update(bytes);
                Ok(bytes.len())
            });
            let count = match bytes {
                Ok(0) => return Err(self.unreadable(&io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => count,
                Err(error) => return Err(self.unreadable(&error)),
            };
            self.input.consume(count);
            self.position += count as u64;
            left -= count as u64;
        }
        self.saw(digest::kind_of(head.executable), path, Some(hasher.finalize().into()));
        self.skip_bytes(padding(head.size))
    }

    fn skip_bytes(&mut self, count: u64) -> PluginResult<()> {
        let skipped = io::copy(&mut (&mut self.input).take(count), &mut io::sink());
        let skipped = skipped.map_err(|error| self.unreadable(&error))?;
        self.position += skipped;
        if skipped < count {
            return Err(self.unreadable(&io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }

    fn fill(&mut self, block: &mut [u8; BLOCK]) -> PluginResult<()> {
        self.allow(BLOCK as u64)?;
        self.input.read_exact(block).map_err(|error| self.unreadable(&error))?;
        self.position += BLOCK as u64;
        Ok(())
    }

    /// Refuses what would go beyond the limit before any of it is read.
    fn allow(&self, size: u64) -> PluginResult<()> {
        match self.position.checked_add(size) {
            Some(end) if end <= self.limits.unpacked => Ok(()),
            _ => Err(self.too_large()),
        }
    }

    /// Reads what follows the end mark, so that the compressed file is checked to its end.
    fn finish(&mut self) -> PluginResult<()> {
        self.entry.clear();
        let rest = self.limits.unpacked.saturating_sub(self.position);
        let read = io::copy(&mut (&mut self.input).take(rest), &mut io::sink());
        read.map_err(|error| self.unreadable(&error))?;
        if self.at_end()? { Ok(()) } else { Err(self.too_large()) }
    }

    fn at_end(&mut self) -> PluginResult<bool> {
        let rest = self.input.fill_buf().map(<[u8]>::is_empty);
        rest.map_err(|error| self.unreadable(&error))
    }

    /// The place reached, for messages.
    fn place(&self) -> String {
        let inside = match self.entry.as_str() {
            "" => String::new(),
            entry => format!(", in or after {entry}"),
        };
        let (taken, position) = (self.taken.get(), self.position);
        format!("byte {position} of the tar in it (by byte {taken} of the file){inside}")
    }

    fn full(&self, full: &Full) -> Box<Diagnostic> {
        match full {
            Full::Names => self.too_large(),
            Full::Contents(error) => cannot_unpack(error),
        }
    }

    fn broken(&self, what: &str) -> Box<Diagnostic> {
        broken(format!("the archive is broken: {what}, at {}", self.place()))
    }

    fn unreadable(&self, error: &io::Error) -> Box<Diagnostic> {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                broken(format!("the archive is not whole: it ends at {}", self.place()))
            }
            // How decoders report what is not, or no longer, of their format.
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                self.broken("what is compressed in it is damaged")
            }
            io::ErrorKind::OutOfMemory => {
                let message = "the archive takes too much memory to decompress";
                Diagnostic::error("input::too-large", message)
                    .help("compress it anew with the usual settings, without a long window")
                    .into()
            }
            io::ErrorKind::Unsupported => {
                self.broken("it is compressed in a way that is not supported")
            }
            _ => cannot_unpack(error),
        }
    }

    fn too_large(&self) -> Box<Diagnostic> {
        let message = format!("the archive is too large to be read: stopped at {}", self.place());
        let Limits { unpacked, entries, .. } = self.limits;
        Diagnostic::error("input::too-large", message)
            .help(format!(
                "an archive may have {unpacked} bytes when unpacked and {entries} entries; \
                 give a folder instead, or an archive of only what is needed"
            ))
            .into()
    }
}

fn unsupported(kind: &str) -> Box<Diagnostic> {
    Diagnostic::error("input::unsupported-archive", format!("this cannot be read: it is {kind}"))
        .help("give a folder, or a tar archive: .tar.gz, .tar.xz, .tar.zst, .tar.bz2 or .tar")
        .into()
}

fn broken(message: String) -> Box<Diagnostic> {
    Diagnostic::error("input::broken-archive", message)
        .help("fetch or make the archive again; it may have been cut off on the way")
        .into()
}

fn cannot_unpack(error: &io::Error) -> Box<Diagnostic> {
    Diagnostic::error("input::unreadable", format!("cannot unpack the archive: {error}"))
        .access()
        .help("check that the disk works, and that the folder for temporary files has room")
        .into()
}

/// What fills the last block of an entry.
fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

/// The attributes of an extended header: `LENGTH KEY=VALUE` with a newline, LENGTH counting it all.
///
/// A value may be anything, newlines among it.
fn attributes_of(mut bytes: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut attributes = Vec::new();
    while !bytes.is_empty() {
        let blank = bytes.iter().position(|&byte| byte == b' ')?;
        let length: usize = str::from_utf8(&bytes[..blank]).ok()?.parse().ok()?;
        let (line, rest) = bytes.split_at_checked(length)?;
        let line = line.get(blank + 1..)?.strip_suffix(b"\n")?;
        let equals = line.iter().position(|&byte| byte == b'=')?;
        attributes.push((&line[..equals], &line[equals + 1..]));
        bytes = rest;
    }
    Some(attributes)
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len()));
    bytes
}

/// The path as a tree has it: `./a//b/` is `a/b`.
fn plain_path(bytes: &[u8]) -> Result<String, &'static str> {
    let text = str::from_utf8(bytes).map_err(|_| "its name is not UTF-8")?;
    if text.starts_with('/') {
        return Err("its path is absolute");
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err("its path leads upwards");
    }
    if !parts.iter().all(|part| path::is_name(part)) {
        return Err("its name has a backslash or a NUL");
    }
    let plain = parts.join("/");
    if path::is_plain(&plain) { Ok(plain) } else { Err("its path is too long or too deep") }
}

/// The target of a link as seen from the link's folder.
///
/// A hard link's target is a path from the top, so the way leads up there first.
fn link_target(head: &Head, path: &str) -> Result<String, &'static str> {
    let target = str::from_utf8(&head.target).map_err(|_| "the target of the link is not UTF-8")?;
    if target.is_empty() || target.len() > path::LENGTH || target.contains('\0') {
        return Err("the target of the link is no path");
    }
    if head.kind == EntryType::Symlink {
        return Ok(target.to_owned());
    }
    let up = "../".repeat(path.matches('/').count());
    plain_path(&head.target).map(|target| up + &target)
}

/// Counts the bytes that are read.
struct Counted<'a, R> {
    bytes: R,
    taken: &'a Cell<u64>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        self.taken.set(self.taken.get() + count as u64);
        Ok(count)
    }
}
