//! Inputs: what the user points at, as read-only trees that are named by their content.
//!
//! An [`Opener`] turns a [`Place`] into a [`Tree`]; [`Inputs`] numbers the trees of one session and
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
mod cache;
mod compression;
mod digest;
mod folder;
mod pack;
mod path;
mod place;
mod remote;
mod unpack;

pub use pack::Pack;
pub use place::{GitPlace, Place};
pub use remote::{Credentials, Files, Network, Progress, check_out, download};
pub use unpack::{Limits, read_archive};

use archive::Archive;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use cache::Cache;
use folder::Folder;
use path::Hidden;
use rayon::prelude::*;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock},
};
use x2nix_protocol::{
    Diagnostic, Entry, FetchAnswer, FetchRequest, FileContent, Host, Hosts, ListAnswer,
    ListRequest, OpenTreeRequest, OpenedTree, Origin, PluginResult, ReadAnswer, ReadRequest,
    TreeId, UserAnswer, UserRequest,
};

/// Opens inputs.
#[derive(Debug, Clone, Default)]
pub struct Opener {
    cache: Option<Cache>,
    limits: Limits,
    network: Network,
    progress: Option<Arc<dyn Progress>>,
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
    /// What a lock says of this input, where its content is to be kept although upstream may have
    /// moved on. It is used without the network if the cache has it. Where nobody has it any more,
    /// what there is now is opened, with a note; compare [`Tree::hash`]. It means nothing for a
    /// folder or a file, whose content now is what the user wants.
    pub locked: Option<Locked>,
}

/// What a lock says of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// Where it was; see [`Tree::location`].
    pub location: String,
    /// The hash of its content; see [`Tree::hash`].
    pub hash: String,
}

impl OpenOptions {
    fn locked_digest(&self) -> Option<[u8; 32]> {
        let digest = BASE64.decode(self.locked.as_ref()?.hash.strip_prefix("sha256-")?);
        digest.ok()?.try_into().ok()
    }
}

impl Opener {
    /// Opens inputs, keeping what was learned of archives in `cache`, if there is one.
    pub fn new(cache: Option<PathBuf>) -> Self {
        Self { cache: cache.map(Cache::new), ..Self::default() }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The same with another use of the network.
    #[must_use]
    pub fn with_network(self, network: Network) -> Self {
        Self { network, ..self }
    }

    /// The same with somebody who is told how fetches go.
    #[must_use]
    pub fn with_progress(self, progress: Arc<dyn Progress>) -> Self {
        Self { progress: Some(progress), ..self }
    }

    /// The same, which reaches no other hosts than these.
    #[must_use]
    pub fn within(self, hosts: Hosts) -> Self {
        let network = Network { hosts, ..self.network };
        Self { network, ..self }
    }

    /// What fetches single files for an ecosystem, and keeps at most so many bytes of them in the cache.
    pub fn files(&self, ecosystem: &str, keep: u64) -> Files {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let name: String = ecosystem.chars().map(plain).collect();
        let folder = self.cache.as_ref().map(|cache| cache.files(&name));
        Files::new(self.clone(), folder, keep)
    }

    /// Opens what is at a place.
    pub fn open_place(&self, place: &Place, options: &OpenOptions) -> PluginResult<Tree> {
        let label = match options.label.as_str() {
            "" => place.text(),
            given => given.to_owned(),
        };
        let found = match place {
            Place::Path(path) => return self.open(path, options),
            Place::Url(url) => remote::open_url(self, url, &label, options)?,
            Place::Git(git) => remote::open_git(self, git, &label, options)?,
        };
        Ok(Tree::of_archive(label, found, options))
    }

    /// Opens a folder or an archive on this machine.
    pub fn open(&self, path: &Path, options: &OpenOptions) -> PluginResult<Tree> {
        let label = match options.label.as_str() {
            "" => path.display().to_string(),
            given => given.to_owned(),
        };
        let kind = fs::metadata(path).map_err(|error| unreadable(&label, &error))?.file_type();
        if kind.is_file() {
            let found = archive::open_file(self, path, &label)?;
            return Ok(Tree::of_archive(label, found, options));
        }
        if !kind.is_dir() {
            let error = io::Error::other("it is neither a folder nor a file");
            return Err(unreadable(&label, &error));
        }
        let hidden = Hidden::new(&options.exclude);
        let content = Content::Folder(Folder::open(path, &label, hidden, self.limits.file)?);
        let (location, notes) = (None, Vec::new());
        Ok(Tree { label, location, content, notes, hash: OnceLock::new() })
    }
}

/// A read-only tree of files.
#[derive(Debug)]
pub struct Tree {
    label: String,
    location: Option<String>,
    content: Content,
    /// What the user should know of opening it.
    notes: Vec<Diagnostic>,
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
    fn of_archive(label: String, mut found: archive::Found, options: &OpenOptions) -> Self {
        let location = Some(std::mem::take(&mut found.location)).filter(|text| !text.is_empty());
        let notes = std::mem::take(&mut found.notes);
        let archive = Archive::new(found, Hidden::new(&options.exclude), options);
        Self { label, location, content: Content::Archive(archive), notes, hash: OnceLock::new() }
    }

    /// What to call it in messages.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Where it was found, as a lock is to say it, so that the same content can be found again;
    /// nothing for a path on this machine, which only its user can name.
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    /// The hash of its content in SRI form; for an archive, of the archive's own bytes. A revision of
    /// git has the same hash as a folder with its files.
    ///
    /// A folder is read for this in full, once.
    pub fn hash(&self) -> PluginResult<&str> {
        let hash = self.hash.get_or_init(|| match &self.content {
            Content::Folder(folder) => folder.hash(),
            Content::Archive(archive) => Ok(Hashed { sri: archive.sri(), notes: Vec::new() }),
        });
        hash.as_ref().map(|hashed| hashed.sri.as_str()).map_err(Clone::clone)
    }

    /// What the user should know: what was left out and why. A folder's are known once it was hashed.
    pub fn notes(&self) -> Vec<Diagnostic> {
        let hashed = self.hash.get().and_then(|hash| hash.as_ref().ok());
        let mut notes = self.notes.clone();
        notes.extend(hashed.into_iter().flat_map(|hashed| hashed.notes.iter().cloned()));
        if let Content::Archive(archive) = &self.content {
            notes.extend(archive.notes(&self.label));
        }
        notes
    }

    /// The entries of a folder in byte order; `None` where there is no such folder.
    pub fn list(&self, path: &str) -> PluginResult<Option<Vec<Entry>>> {
        self.list_wanted(path, &|_| true)
    }

    /// Those of a folder's entries whose names are wanted.
    fn list_wanted(&self, path: &str, wanted: &Names<'_>) -> PluginResult<Option<Vec<Entry>>> {
        match &self.content {
            _ if !path::is_plain(path) => Ok(None),
            Content::Folder(folder) => folder.list(path, wanted),
            Content::Archive(archive) => Ok(archive.list(path, wanted)),
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

/// Says of the name of an entry whether it is wanted.
type Names<'w> = dyn Fn(&str) -> bool + 'w;

/// The trees of one session, numbered in the order in which they were added.
#[derive(Default)]
pub struct Inputs {
    trees: RwLock<Vec<Arc<Tree>>>,
    opened: Mutex<BTreeMap<String, OpenedTree>>,
    further: Option<Box<Further>>,
    files: Option<Files>,
    user: Option<Box<User>>,
}

/// Opens a place that a plugin learnt of, and says where it was found, as a lock is to say it. No other
/// hosts are reached.
pub type Further = dyn Fn(&str, &Hosts) -> PluginResult<(Tree, String)> + Send + Sync;

/// Looks up what the user has said for all projects.
pub type User = dyn Fn(&UserRequest) -> PluginResult<UserAnswer> + Send + Sync;

impl Inputs {
    /// No trees.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tree and gives its number.
    pub fn add(&self, tree: Tree) -> TreeId {
        let mut trees = self.trees.write().unwrap_or_else(PoisonError::into_inner);
        trees.push(Arc::new(tree));
        TreeId(u32::try_from(trees.len() - 1).unwrap_or(u32::MAX))
    }

    /// The same with a way to open what a plugin learns of.
    #[must_use]
    pub fn with_further(self, open: Box<Further>) -> Self {
        Self { further: Some(open), ..self }
    }

    /// The same with a way to fetch files.
    #[must_use]
    pub fn with_files(self, files: Files) -> Self {
        Self { files: Some(files), ..self }
    }

    /// The same with what the user has said for all projects.
    #[must_use]
    pub fn with_user(self, user: Box<User>) -> Self {
        Self { user: Some(user), ..self }
    }

    fn tree(&self, id: TreeId) -> PluginResult<Arc<Tree>> {
        let trees = self.trees.read().unwrap_or_else(PoisonError::into_inner);
        trees.get(id.0 as usize).cloned().ok_or_else(|| {
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
        let listings: Vec<_> = request
            .folders
            .par_iter()
            .map(|path| tree.list_wanted(path, &|name| request.wants(name)))
            .collect();
        Ok(ListAnswer { listings: listings.into_iter().collect::<Result<_, _>>()? })
    }

    fn read(&self, request: &ReadRequest) -> PluginResult<ReadAnswer> {
        let tree = self.tree(request.tree)?;
        Ok(ReadAnswer { files: request.paths.par_iter().map(|path| tree.read(path)).collect() })
    }

    fn open_within(&self, request: &OpenTreeRequest, hosts: &Hosts) -> PluginResult<OpenedTree> {
        let Some(further) = &self.further else {
            return Err(Box::new(Diagnostic::not_supported("opening further inputs")));
        };
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = opened.get(&request.place) {
            return Ok(known.clone());
        }
        let (tree, location) = further(&request.place, hosts)?;
        let hash = tree.hash()?.to_owned();
        let answer = OpenedTree { tree: self.add(tree), location, hash };
        opened.insert(request.place.clone(), answer.clone());
        Ok(answer)
    }

    fn fetch_within(&self, request: &FetchRequest, hosts: &Hosts) -> PluginResult<FetchAnswer> {
        match &self.files {
            Some(files) => files.fetch(request, hosts),
            None => Err(Box::new(Diagnostic::not_supported("fetching files"))),
        }
    }

    fn user(&self, request: &UserRequest) -> PluginResult<UserAnswer> {
        self.user.as_ref().map_or_else(|| Ok(UserAnswer::default()), |user| user(request))
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
        _ => "give a folder or an archive that can be read",
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
