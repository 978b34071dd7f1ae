//! A host whose trees are data, and that can be told to misbehave.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicUsize, Ordering},
};
use x2nix_plugin_host::hash::Hash;
use x2nix_protocol::{
    Blob, Diagnostic, Entry, FetchAnswer, FetchRequest, Fetched, FileContent, Host, Hosts,
    ListAnswer, ListRequest, PluginResult, ReadAnswer, ReadRequest, TreeId,
};

/// How a host behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As it should.
    Good,
    /// This call, counted from 0, is refused.
    Refuse(usize),
    /// All files are missing.
    Missing,
    /// All files are there and cannot be read.
    Unreadable,
    /// All files hold bytes that are no text.
    Garbage,
    /// All files are cut off in their middle.
    Cut,
}

/// The trees of a scenario.
pub(crate) struct Trees {
    all: Vec<BTreeMap<String, String>>,
    /// What is elsewhere, by address.
    files: BTreeMap<String, String>,
    manner: Manner,
    calls: AtomicUsize,
}

impl Trees {
    pub(crate) fn new(trees: &[&BTreeMap<String, String>], manner: Manner) -> Self {
        let all = trees.iter().map(|&tree| tree.clone()).collect();
        Self { all, files: BTreeMap::new(), manner, calls: AtomicUsize::new(0) }
    }

    /// The same with files that are elsewhere.
    pub(crate) fn with_files(self, files: &BTreeMap<String, String>) -> Self {
        Self { files: files.clone(), ..self }
    }

    /// How often it was asked.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Counts a call, and refuses it if it is the one to refuse.
    fn count(&self) -> PluginResult<()> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if self.manner == Manner::Refuse(call) {
            let error =
                Diagnostic::error("kit::refused", "the host refuses, to see what comes of it");
            return Err(error.access().into());
        }
        Ok(())
    }

    /// What a file gives.
    fn content(&self, file: Option<&String>) -> FileContent {
        match (file, self.manner) {
            (None, _) | (_, Manner::Missing) => FileContent::Missing,
            (_, Manner::Unreadable) => FileContent::Unreadable("the host will not".into()),
            (_, Manner::Garbage) => FileContent::Found(Blob(vec![0xff, 0, 0xc3, b'"', b'{', 0x80])),
            (Some(text), Manner::Cut) => {
                FileContent::Found(Blob(text.as_bytes()[..text.len() / 2].to_vec()))
            }
            (Some(text), Manner::Good | Manner::Refuse(_)) => {
                FileContent::Found(Blob(text.clone().into_bytes()))
            }
        }
    }

    fn tree(&self, tree: TreeId) -> PluginResult<&BTreeMap<String, String>> {
        self.count()?;
        self.all.get(tree.0 as usize).ok_or_else(|| {
            Diagnostic::error("kit::tree", format!("there is no tree {}", tree.0)).into()
        })
    }
}

impl Host for Trees {
    fn list(&self, request: &ListRequest) -> PluginResult<ListAnswer> {
        let tree = self.tree(request.tree)?;
        let listing = |folder: &String| {
            let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
            let below = tree.keys().filter_map(|path| path.strip_prefix(&prefix));
            let entries: BTreeSet<_> = below
                .map(|path| match path.split_once('/') {
                    Some((name, _)) => Entry { name: name.into(), folder: true },
                    None => Entry { name: path.into(), folder: false },
                })
                .collect();
            let wanted = |entry: &Entry| request.wants(&entry.name);
            (!entries.is_empty()).then(|| entries.into_iter().filter(wanted).collect())
        };
        Ok(ListAnswer { listings: request.folders.iter().map(listing).collect() })
    }

    fn read(&self, request: &ReadRequest) -> PluginResult<ReadAnswer> {
        let tree = self.tree(request.tree)?;
        let content = |path| self.content(tree.get(path));
        Ok(ReadAnswer { files: request.paths.iter().map(content).collect() })
    }

    fn fetch_within(&self, request: &FetchRequest, _: &Hosts) -> PluginResult<FetchAnswer> {
        self.count()?;
        let fetched = |url: &String| match self.content(self.files.get(url)) {
            FileContent::Found(content) => {
                let hash = Hash::of_bytes(&content.0).to_string();
                Fetched::Found { content, hash }
            }
            FileContent::Missing => Fetched::Missing,
            FileContent::Unreadable(why) => {
                Fetched::Failed(Box::new(Diagnostic::error("kit::refused", why).access()))
            }
        };
        Ok(FetchAnswer { files: request.files.iter().map(|file| fetched(&file.url)).collect() })
    }
}
