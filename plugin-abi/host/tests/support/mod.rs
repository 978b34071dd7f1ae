//! What the tests share: small archives, and the real one.
#![allow(dead_code, clippy::unwrap_used)] // each test program uses some of it

use flate2::{Compression, write::GzEncoder};
use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
};
use tar::{Builder, EntryType, Header};
use x2nix_plugin_host::inputs::{OpenOptions, Opener, Tree};
use x2nix_protocol::{Blob, Entry, FileContent};

/// A `.tar.gz` under construction.
pub(crate) struct Tgz(Builder<GzEncoder<Vec<u8>>>);

impl Tgz {
    pub(crate) fn new() -> Self {
        Self(Builder::new(GzEncoder::new(Vec::new(), Compression::fast())))
    }

    /// An entry with these very bytes as its name.
    pub(crate) fn entry(
        mut self,
        kind: EntryType,
        name: &[u8],
        target: &[u8],
        content: &[u8],
    ) -> Self {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target);
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    pub(crate) fn file(self, name: &str, content: &str) -> Self {
        self.entry(EntryType::Regular, name.as_bytes(), b"", content.as_bytes())
    }

    pub(crate) fn link(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, name.as_bytes(), target.as_bytes(), b"")
    }

    /// A file with a name of any length.
    pub(crate) fn long(mut self, name: &str, content: &str) -> Self {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        self.0.append_data(&mut header, name, content.as_bytes()).unwrap();
        self
    }

    /// A header alone, which says that so many bytes follow.
    pub(crate) fn declared(mut self, kind: EntryType, name: &str, size: u64) -> Self {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_cksum();
        self.0.get_mut().write_all(header.as_bytes()).unwrap();
        self
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.get_mut().write_all(bytes).unwrap();
        self
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap().finish().unwrap()
    }

    /// What a writer that stops here would leave, compressed properly.
    pub(crate) fn cut(mut self) -> Vec<u8> {
        let gzip =
            std::mem::replace(self.0.get_mut(), GzEncoder::new(Vec::new(), Compression::fast()));
        gzip.finish().unwrap()
    }

    pub(crate) fn save(self, path: &Path) {
        fs::write(path, self.bytes()).unwrap();
    }
}

pub(crate) fn open(path: &Path, cache: Option<&Path>) -> Tree {
    opener(cache).open(path, &OpenOptions::default()).unwrap()
}

pub(crate) fn opener(cache: Option<&Path>) -> Opener {
    Opener::new(cache.map(Path::to_owned))
}

pub(crate) fn found(text: &str) -> FileContent {
    FileContent::Found(Blob(text.into()))
}

/// The names in a folder, with a slash behind those of folders.
pub(crate) fn names(tree: &Tree, folder: &str) -> Vec<String> {
    let entries = tree.list(folder).unwrap().unwrap();
    let shown = |entry: Entry| entry.name + if entry.folder { "/" } else { "" };
    entries.into_iter().map(shown).collect()
}

/// Everything in a tree: the path of each folder and file, and what reading it gives.
pub(crate) fn everything(tree: &Tree) -> Vec<(String, Option<FileContent>)> {
    let mut all = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in tree.list(&folder).unwrap().unwrap() {
            let path =
                if folder.is_empty() { entry.name } else { format!("{folder}/{}", entry.name) };
            if entry.folder {
                folders.push(path.clone());
            }
            let content = (!entry.folder).then(|| tree.read(&path));
            all.push((path, content));
        }
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// The snapshot of the opam repository.
pub(crate) fn opam_repository() -> PathBuf {
    let beside =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/opam/opam-repository.tar.gz");
    let path = env::var_os("X2NIX_OPAM_REPOSITORY").map_or(beside, PathBuf::from);
    assert!(
        path.is_file(),
        "there is no opam repository at {}: set X2NIX_OPAM_REPOSITORY to an archive of it",
        path.display()
    );
    path
}

/// Options under which the opam repository's own top is kept.
pub(crate) fn opam() -> OpenOptions {
    OpenOptions { markers: vec!["packages".into(), "repo".into()], ..OpenOptions::default() }
}

/// The one file in a folder of the cache.
pub(crate) fn pack_in(cache: &Path) -> PathBuf {
    let packs: Vec<_> = fs::read_dir(cache.join("packs")).unwrap().collect();
    let [Ok(pack)] = &packs[..] else { panic!("{packs:?}") };
    pack.path()
}
