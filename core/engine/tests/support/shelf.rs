//! A host with one tree of one file.

use x2nix_protocol::{
    Blob, Diagnostic, Entry, FileContent, Host, ListAnswer, ListRequest, PluginResult, ReadAnswer,
    ReadRequest, TreeId,
};

/// What the file is called.
pub(crate) const FILE: &str = "scenario.toml";
/// The tree.
pub(crate) const TREE: TreeId = TreeId(0);

/// Offers one file.
pub(crate) struct Shelf(pub(crate) String);

impl Shelf {
    fn check(tree: TreeId) -> PluginResult<()> {
        let known = tree == TREE;
        known.then_some(()).ok_or_else(|| Diagnostic::error("test::tree", "no such tree").into())
    }
}

impl Host for Shelf {
    fn list(&self, request: &ListRequest) -> PluginResult<ListAnswer> {
        Self::check(request.tree)?;
        let top = || {
            let entry = Entry { name: FILE.into(), folder: false };
            Some(entry).filter(|entry| request.wants(&entry.name)).into_iter().collect()
        };
        let listings = request.folders.iter().map(|folder| folder.is_empty().then(top)).collect();
        Ok(ListAnswer { listings })
    }

    fn read(&self, request: &ReadRequest) -> PluginResult<ReadAnswer> {
        Self::check(request.tree)?;
        let content = |path: &String| match path.as_str() {
            FILE => FileContent::Found(Blob(self.0.clone().into_bytes())),
            _ => FileContent::Missing,
        };
        Ok(ReadAnswer { files: request.paths.iter().map(content).collect() })
    }
}
