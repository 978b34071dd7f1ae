//! Inputs: what the user points at, as read-only trees that are named by their content.
//!
//! An [`Opener`] turns a path into a [`Tree`]; [`Inputs`] numbers the trees of one session and
//! answers a plugin's questions about them. A folder and an archive of it list and read the same:
//!
//! - a path has `/` between plain names; anything else (`..`, an absolute path) leads nowhere;
//! - `.git` and `_build` are left out wherever they are, and so is what the caller excludes;
//! - a symbolic link is followed while it stays within the tree, and never out of it;
//! - a file above the limit of [`Limits::file`] is there, but cannot be read.
//!
//! The trees are for reading facts. They are no defence against somebody who changes a folder
//! between two looks at it: such a person could have written other facts in the first place.

mod archive;
mod folder;
mod pack;
mod path;
mod unpack;

pub use pack::Pack;
pub use unpack::{Limits, read_archive};

use archive::Archive;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use folder::Folder;
use path::Hidden;
use rayon::prelude::*;
use std::{fs, io, path::Path, path::PathBuf, sync::OnceLock};
use x2nix_protocol::{
    Diagnostic, Entry, FileContent, Host, ListAnswer, ListRequest, Origin, PluginResult,
    ReadAnswer, ReadRequest, TreeId,
};

/// Opens inputs.
#[derive(Debug, Clone, Default)]
pub struct Opener {
    cache: Option<PathBuf>,
    limits: Limits,
}

/// How one input is opened.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// What to call it in messages; empty: the path.
    pub label: String,
    /// Paths from the top that do not belong to it, such as the files that x2nix itself wrote.
    pub exclude: Vec<String>,
    /// Names that mark the top of an input. An archive whose entries all lie in one folder is read
    /// from within that folder, as hosts of repositories pack them, unless it has such a name.
    pub markers: Vec<String>,
}

impl Opener {
    /// Opens inputs, keeping what was learned of archives in `cache`, if there is one.
    pub fn new(cache: Option<PathBuf>) -> Self {
        Self { cache, limits: Limits::default() }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Opens a folder or an archive.
    pub fn open(&self, path: &Path, options: &OpenOptions) -> PluginResult<Tree> {
        let label = match options.label.as_str() {
            "" => path.display().to_string(),
            given => given.to_owned(),
        };
        let kind = fs::metadata(path).map_err(|error| unreadable(&label, &error))?.file_type();
        let hidden = Hidden::new(&options.exclude);
        let content = if kind.is_dir() {
            Content::Folder(Folder::open(path, &label, hidden, self.limits.file)?)
        } else if kind.is_file() {
            let cache = self.cache.as_deref();
            Content::Archive(Archive::open(path, &label, hidden, options, cache, &self.limits)?)
        } else {
            let error = io::Error::other("it is neither a folder nor a file");
            return Err(unreadable(&label, &error));
        };
        Ok(Tree { label, content, hash: OnceLock::new() })
    }
}

/// A read-only tree of files.
#[derive(Debug)]
pub struct Tree {
    label: String,
    content: Content,
    hash: OnceLock<PluginResult<Hashed>>,
}

#[derive(Debug)]
enum Content {
    Folder(Folder),
    Archive(Archive),
}

/// What reading a whole tree gives.
#[derive(Debug)]
struct Hashed {
    sri: String,
    notes: Vec<Diagnostic>,
}

impl Tree {
    /// What to call it in messages.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The hash of its content in SRI form; for an archive, of the archive's own bytes.
    ///
    /// A folder is read for this in full, once.
    pub fn hash(&self) -> PluginResult<&str> {
        let hash = self.hash.get_or_init(|| match &self.content {
            Content::Folder(folder) => folder.hash(),
            Content::Archive(archive) => Ok(Hashed { sri: archive.sri(), notes: Vec::new() }),
        });
        hash.as_ref().map(|hashed| hashed.sri.as_str()).map_err(Clone::clone)
    }

    /// What was left out and why. A folder's are known once it was hashed.
    pub fn notes(&self) -> Vec<Diagnostic> {
        let hashed = self.hash.get().and_then(|hash| hash.as_ref().ok());
        let mut notes = hashed.map(|hashed| hashed.notes.clone()).unwrap_or_default();
        if let Content::Archive(archive) = &self.content {
            notes.extend(archive.notes(&self.label));
        }
        notes
    }

    /// The entries of a folder in byte order; `None` where there is no such folder.
    pub fn list(&self, path: &str) -> PluginResult<Option<Vec<Entry>>> {
        match &self.content {
            _ if !path::is_plain(path) => Ok(None),
            Content::Folder(folder) => folder.list(path),
            Content::Archive(archive) => Ok(archive.list(path)),
        }
    }

    /// The content of a file.
    pub fn read(&self, path: &str) -> FileContent {
        match &self.content {
            _ if !path::is_plain(path) => FileContent::Missing,
            Content::Folder(folder) => folder.read(path),
            Content::Archive(archive) => archive.read(path),
        }
    }
}

/// The trees of one session, numbered in the order in which they were added.
#[derive(Debug, Default)]
pub struct Inputs {
    trees: Vec<Tree>,
}

impl Inputs {
    /// No trees.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tree and gives its number.
    pub fn add(&mut self, tree: Tree) -> TreeId {
        self.trees.push(tree);
        TreeId(u32::try_from(self.trees.len() - 1).unwrap_or(u32::MAX))
    }

    /// The trees in the order of their numbers.
    pub fn trees(&self) -> &[Tree] {
        &self.trees
    }

    fn tree(&self, id: TreeId) -> PluginResult<&Tree> {
        self.trees.get(id.0 as usize).ok_or_else(|| {
            Diagnostic::error(
                "host::unknown-tree",
                format!("the plugin asked for input number {}, which it was not given", id.0),
            )
            .help("this is a fault of the plugin; report it to its author")
            .into()
        })
    }
}

impl Host for Inputs {
    fn list(&self, request: &ListRequest) -> PluginResult<ListAnswer> {
        let tree = self.tree(request.tree)?;
        // Collected before the first error is looked for, so that it is always the same one.
        let listings: Vec<_> = request.folders.par_iter().map(|path| tree.list(path)).collect();
        Ok(ListAnswer { listings: listings.into_iter().collect::<Result<_, _>>()? })
    }

    fn read(&self, request: &ReadRequest) -> PluginResult<ReadAnswer> {
        let tree = self.tree(request.tree)?;
        Ok(ReadAnswer { files: request.paths.par_iter().map(|path| tree.read(path)).collect() })
    }
}

/// Why a link is not followed to where the tree's hash does not reach.
const LINK_TO_HIDDEN: &str = "it is a link to something that is left out of this input";

/// A SHA-256 in the form that Nix and browsers write it.
fn sri(digest: &[u8]) -> String {
    format!("sha256-{}", BASE64.encode(digest))
}

fn unreadable(label: &str, error: &io::Error) -> Box<Diagnostic> {
    let help = match error.kind() {
        io::ErrorKind::NotFound => "check the path",
        io::ErrorKind::PermissionDenied => "check the permissions",
        _ => "give a folder, or a .tar.gz archive, that can be read",
    };
    Diagnostic::error("input::unreadable", format!("cannot read {label}: {error}"))
        .access()
        .at(Origin::new(label, None))
        .help(help)
        .into()
}

fn too_large(size: u64, limit: u64) -> FileContent {
    FileContent::Unreadable(format!("it has {size} bytes, and at most {limit} are read"))
}
