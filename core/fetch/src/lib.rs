//! Brings the sources of a lock file into the Nix store, so that building needs no network.
//!
//! A source belongs to a path in the store that follows from its name and its first hash; the emitted
//! Nix asks for that path, and Nix downloads nothing that is there. So [`fetch`] asks the store what is
//! missing, finds that in folders or behind its addresses, compares **every** hash that the lock has, and
//! adds what fits. Nix names what it adds by the content that it read itself: a file that changes after
//! it was compared gets another path, which is noticed.
//!
//! It runs few processes, however many sources there are: files go to Nix in batches, which also bound
//! what lies in the temporary folder.
//!
//! It also [`build`]s what has to be made before a lock can be written, and asks a package set for its
//! [`versions`].
//!
//! This is the one crate that runs the programs of Nix.

#![deny(missing_docs)]

mod fixed;
mod folder;
mod nar;
mod package_set;
mod search;
mod store;

pub use fixed::fix;
pub use package_set::{Found as FoundVersion, versions};
pub use search::{Attempt, Failure};
pub use store::{Store, build};
pub use x2nix_plugin_host::hash::{Algorithm, Hash};

use search::{Found, Search};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::PathBuf,
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};
use tempfile::TempDir;
use x2nix_plugin_host::inputs::Network;
use x2nix_protocol::Artifact;

/// As many sources are looked for at once; more would not be polite to a server.
const WORKERS: usize = 4;

/// After so many bytes, what was found goes to the store.
const BATCH_BYTES: u64 = 256 << 20;

/// Why nothing could be brought. What concerns one source alone is a [`Failure`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program of Nix is not there.
    #[error("there is no `{0}` on the PATH, and x2nix needs it for this")]
    NoNix(&'static str),
    /// A program of Nix failed.
    #[error("{program} failed: {said}")]
    Nix {
        /// The program.
        program: &'static str,
        /// What it said.
        said: String,
    },
    /// A program of Nix did something else than it was asked to.
    #[error("{program} answered something unexpected: {answer}")]
    Strange {
        /// The program.
        program: &'static str,
        /// What it printed.
        answer: String,
    },
    /// A file changed between the comparison of its hashes and its way into the store.
    #[error("{name} changed while it was brought into the store: it is {path} now")]
    Changed {
        /// The name of the source.
        name: String,
        /// Where it is now.
        path: String,
    },
    /// The lock has a source that cannot be verified.
    #[error("the artifact {id} of the lock has {}", match hash { Some(hash) => format!("the hash {hash:?}, which is none that x2nix knows"), None => "no hash".into() })]
    Hash {
        /// The artifact.
        id: String,
        /// What stands for a hash; nothing if there is none.
        hash: Option<String>,
    },
    /// A file or folder cannot be used.
    #[error("{what}: {error}")]
    Io {
        /// What was to be done.
        what: String,
        /// Why it was not.
        #[source]
        error: io::Error,
    },
}

/// What is to be brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The lock's name for it.
    pub id: String,
    /// What it is called there.
    pub name: String,
    /// Where it is to be had.
    pub urls: Vec<String>,
    /// All that it has to agree with; the first names it in the store. Never empty.
    pub hashes: Vec<Hash>,
    /// What it is of a Git repository, where it is a folder and not a file; the hash is the folder's.
    pub revision: Option<Revision>,
}

/// A commit of a Git repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The whole id of the commit.
    pub commit: String,
    /// Whether its submodules belong to it.
    pub submodules: bool,
}

impl Source {
    /// The sources among the artifacts of a lock.
    pub fn of_lock(artifacts: &BTreeMap<String, Artifact>) -> Result<Vec<Self>, Error> {
        let mut sources = Vec::new();
        for (id, artifact) in artifacts {
            let (urls, name, hashes, revision) = match artifact {
                Artifact::Fetch { urls, name, hashes } => {
                    (urls.clone(), name, hashes.as_slice(), None)
                }
                Artifact::Git { url, name, commit, submodules, hash, .. } => {
                    let revision = Revision { commit: commit.clone(), submodules: *submodules };
                    (vec![url.clone()], name, std::slice::from_ref(hash), Some(revision))
                }
                Artifact::Local { .. } | Artifact::Input { .. } => continue,
            };
            let read = |text: &String| {
                let bad = || Error::Hash { id: id.clone(), hash: Some(text.clone()) };
                Hash::of_sri(text).ok_or_else(bad)
            };
            let hashes = hashes.iter().map(read).collect::<Result<Vec<_>, _>>()?;
            if hashes.is_empty() {
                return Err(Error::Hash { id: id.clone(), hash: None });
            }
            sources.push(Self { id: id.clone(), name: name.clone(), urls, hashes, revision });
        }
        Ok(sources)
    }
}

/// Where sources may come from.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folders to look in first, the first wins.
    pub folders: Vec<PathBuf>,
    /// Addresses of caches that are laid out as opam's are, `sha256/ab/abcd…`: asked before a source's own.
    pub caches: Vec<String>,
    /// How the network is used; its `size` bounds files of folders too.
    pub network: Network,
}

/// Is told how it goes, from several threads.
pub trait Observer: Sync {
    /// So many sources are missing in the store.
    fn missing(&self, count: usize);
    /// A source is being looked for.
    fn begins(&self, name: &str);
    /// It was found, or not.
    fn ends(&self, name: &str);
}

/// Where a source was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In the store already.
    Store,
    /// In this file of a folder; of a revision, in this folder.
    File(PathBuf),
    /// Behind this address.
    Url(String),
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// What is in the store now, by the lock's name: the path, and where it was.
    pub present: BTreeMap<String, (String, Origin)>,
    /// What could not be brought, sorted by the lock's names.
    pub failures: Vec<Failure>,
}

/// Brings sources into the store: all that can be had, whatever fails beside it.
pub fn fetch(
    sources: &[Source],
    store: &Store,
    options: &Options,
    observer: &dyn Observer,
) -> Result<Report, Error> {
    let mut report = Report::default();
    let wanted = missing(sources, store, &mut report)?;
    observer.missing(wanted.len());
    let algorithms: BTreeSet<_> =
        wanted.iter().flat_map(|it| &it.source.hashes).map(|hash| hash.algorithm).collect();
    let search = Search::new(options, algorithms.into_iter().collect());
    let temporary = || {
        tempfile::Builder::new()
            .prefix("x2nix-fetch")
            .tempdir()
            .map_err(|error| Error::Io { what: "cannot make a temporary folder".into(), error })
    };
    let mut batch = Batch { folder: temporary()?, items: Vec::new(), bytes: 0 };

    // The workers find, this thread adds. A worker waits where this one is behind, so that what is
    // found and not yet added stays little.
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel(WORKERS);
        for _ in 0..WORKERS.min(wanted.len()) {
            let (sender, wanted, next, stop, search) =
                (sender.clone(), &wanted, &next, &stop, &search);
            scope.spawn(move || {
                while let Some(it) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    observer.begins(&it.source.name);
                    let found = search.find(&it.source);
                    observer.ends(&it.source.name);
                    if sender.send((it, found)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let take = || {
            for (it, found) in receiver {
                match found? {
                    Ok(found) => batch.take(it, &found)?,
                    Err(attempts) => {
                        let (id, name) = (it.source.id.clone(), it.source.name.clone());
                        report.failures.push(Failure { id, name, attempts });
                    }
                }
                if batch.items.len() >= store::BATCH || batch.bytes >= BATCH_BYTES {
                    batch.add(store, &mut report)?;
                    batch = Batch { folder: temporary()?, items: Vec::new(), bytes: 0 };
                }
            }
            batch.add(store, &mut report)
        };
        take().inspect_err(|_| stop.store(true, Ordering::Relaxed))
    })?;
    report.failures.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(report)
}

/// A source that the store does not have.
struct Wanted {
    source: Source,
    /// All names that the lock has for it.
    ids: Vec<String>,
    path: String,
}

/// What the store does not have, each path once; the rest is reported.
fn missing(sources: &[Source], store: &Store, report: &mut Report) -> Result<Vec<Wanted>, Error> {
    let mut by_path: BTreeMap<String, Wanted> = BTreeMap::new();
    for source in sources {
        let name = store::safe_name(&source.name);
        let path = match source.revision {
            None => store.path(&source.hashes[0], &name),
            Some(_) => store.folder_path(&source.hashes[0], &name),
        };
        let wanted = by_path.entry(path.clone()).or_insert_with(|| Wanted {
            source: source.clone(),
            ids: Vec::new(),
            path,
        });
        wanted.ids.push(source.id.clone());
        // The same file by the one hash: so it has to agree with what each of them says.
        let known = &mut wanted.source;
        known.hashes.extend(
            source
                .hashes
                .iter()
                .filter(|it| !known.hashes.contains(it))
                .cloned()
                .collect::<Vec<_>>(),
        );
        known.urls.extend(
            source.urls.iter().filter(|it| !known.urls.contains(it)).cloned().collect::<Vec<_>>(),
        );
    }
    let paths: Vec<_> = by_path.keys().map(String::as_str).collect();
    let absent: BTreeSet<_> = Store::missing(&paths)?.into_iter().collect();
    let (wanted, there): (Vec<_>, Vec<_>) =
        by_path.into_values().partition(|it| absent.contains(&it.path));
    for it in there {
        report.have(&it, &Origin::Store);
    }
    Ok(wanted)
}

impl Report {
    fn have(&mut self, wanted: &Wanted, origin: &Origin) {
        for id in &wanted.ids {
            self.present.insert(id.clone(), (wanted.path.clone(), origin.clone()));
        }
    }
}

/// Files that are verified and wait for the store.
struct Batch<'a> {
    folder: TempDir,
    items: Vec<(&'a Wanted, PathBuf, Origin)>,
    bytes: u64,
}

impl<'a> Batch<'a> {
    /// Puts a file under the name that it is to have in the store.
    fn take(&mut self, wanted: &'a Wanted, found: &Found) -> Result<(), Error> {
        let name = store::safe_name(&wanted.source.name);
        let path = store::staged(self.folder.path(), self.items.len(), &name);
        self.bytes += found.bring(&path)?;
        self.items.push((wanted, path, found.origin()));
        Ok(())
    }

    fn add(&self, store: &Store, report: &mut Report) -> Result<(), Error> {
        let mut by_kind: BTreeMap<(Algorithm, bool), Vec<_>> = BTreeMap::new();
        for item in &self.items {
            let source = &item.0.source;
            let kind = (source.hashes[0].algorithm, source.revision.is_some());
            by_kind.entry(kind).or_default().push(item);
        }
        for ((algorithm, folders), items) in by_kind {
            let files: Vec<_> = items.iter().map(|(_, file, _)| file.clone()).collect();
            let paths = store.add(algorithm, folders, &files)?;
            for ((wanted, _, origin), path) in items.into_iter().zip(paths) {
                if path != wanted.path {
                    return Err(Error::Changed { name: wanted.source.name.clone(), path });
                }
                report.have(wanted, origin);
            }
        }
        Ok(())
    }
}
