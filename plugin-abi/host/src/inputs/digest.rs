//! The name of a tree: a hash over all that a plugin can see of it, and over nothing else.
//!
//! Not times, owners or the order in which a disk or an archive has the entries. The hash is the
//! SHA-256 of the line `x2nix tree 1` and of one record for each entry, sorted by the bytes of its
//! path from the top:
//!
//! | kind | what follows the kind's letter                            |
//! |------|-----------------------------------------------------------|
//! | `d`  | path, NUL: a folder                                       |
//! | `f`  | path, NUL, SHA-256 of the bytes: a file                   |
//! | `x`  | the same: a file that somebody may execute                |
//! | `l`  | path, NUL, SHA-256 of the target's text: a symbolic link  |
//!
//! No path has a NUL and a digest has a fixed length, so no two trees give the same records. A
//! folder is named so, and so is a git revision: the tar that git makes of it need not be the same
//! bytes with every version of git, and a checkout in a folder has the same name as its commit.

use sha2::{Digest as _, Sha256};

const VERSION: &[u8] = b"x2nix tree 1\n";

/// What the hash knows of one entry.
pub(super) struct Record {
    pub(super) kind: u8,
    pub(super) path: String,
    /// Nothing for a folder.
    pub(super) digest: Option<[u8; 32]>,
}

/// The hash over the records of all entries, in whatever order.
pub(super) fn of(records: &mut [Record]) -> [u8; 32] {
    records.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    let mut hasher = Sha256::new();
    hasher.update(VERSION);
    for record in records {
        hasher.update([record.kind]);
        hasher.update(&record.path);
        hasher.update([0]);
        hasher.update(record.digest.as_ref().map_or(&[][..], <[u8; 32]>::as_slice));
    }
    hasher.finalize().into()
}

/// The letter of a file.
pub(super) fn kind_of(executable: bool) -> u8 {
    if executable { b'x' } else { b'f' }
}
