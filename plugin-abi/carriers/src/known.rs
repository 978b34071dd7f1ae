//! What was learnt of a plugin's file, kept in the cache for as long as the file stays as it is.
//!
//! Hashing a library takes longer than asking it something. So what a file gave is kept under its path, with
//! what the file system says of it: device, inode, size, and the times of its content and of its inode. A
//! program can set all of these but the last; a file that changed in any way has another one.
//!
//! A clock ticks, and what is written within one tick of it looks the same. So nothing is kept of a file that
//! changed in the last seconds, or that says that it will change in the future.

use crate::file::{Form, PluginFile};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{
    fs::{self, Metadata},
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use x2nix_plugin_host::kept::write_atomically;
use x2nix_protocol::PluginManifest;

/// Longer than a tick of the clock of any file system in use (FAT: two seconds).
const SETTLED: Duration = Duration::from_secs(3);

/// More than any record has.
const LARGEST: u64 = 1 << 20;

/// What the file system says of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    pub(crate) fn of(about: &Metadata) -> Self {
        Self {
            device: about.dev(),
            inode: about.ino(),
            size: about.size(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        }
    }

    /// Whether a further change would show.
    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let settled = now.saturating_sub(SETTLED).as_secs();
        [self.modified.0, self.changed.0]
            .iter()
            .all(|&time| u64::try_from(time).is_ok_and(|time| time < settled))
    }
}

#[derive(Serialize, Deserialize)]
struct Record {
    /// The file is named by a hash of it.
    path: String,
    identity: Identity,
    form: Form,
    hash: String,
    manifest: PluginManifest,
}

/// What is known of the file with this path, if it is still the same.
pub(crate) fn find(cache: &Path, path: &Path) -> Option<PluginFile> {
    let path = fs::canonicalize(path).ok()?;
    let kept = place(cache, &path);
    let about = fs::metadata(&kept).ok()?;
    if about.len() > LARGEST || !is_own(&about) {
        return None;
    }
    let text = fs::read(&kept).ok()?;
    let record: Record = serde_json::from_slice(&text).ok()?;
    let same = record.path.as_bytes() == path.as_os_str().as_bytes()
        && record.identity == Identity::of(&fs::metadata(&path).ok()?);
    same.then(|| PluginFile {
        label: PluginFile::label_of(&path),
        path,
        hash: record.hash,
        form: record.form,
        manifest: record.manifest,
    })
}

/// Keeps what is known of a file that was this one when it was read. A failure costs time, nothing else.
pub(crate) fn keep(cache: &Path, file: &PluginFile, identity: Identity) {
    let Ok(path) = fs::canonicalize(&file.path) else { return };
    let Some(text) = path.to_str().filter(|_| identity.is_settled()) else { return };
    let record = Record {
        path: text.to_owned(),
        identity,
        form: file.form,
        hash: file.hash.clone(),
        manifest: file.manifest.clone(),
    };
    let place = place(cache, &path);
    let text = serde_json::to_vec(&record).ok().filter(|text| text.len() as u64 <= LARGEST);
    if let (Some(folder), Some(text)) = (place.parent(), text) {
        let _ = fs::create_dir_all(folder);
        let _ = write_atomically(&place, &text);
    }
}

/// Whether a file of the cache is the user's, and nobody else's to write: what it says is believed.
pub(crate) fn is_own(about: &Metadata) -> bool {
    about.uid() == rustix::process::geteuid().as_raw() && about.mode() & 0o022 == 0
}

fn place(cache: &Path, path: &Path) -> PathBuf {
    let name = URL_SAFE_NO_PAD.encode(Sha256::digest(path.as_os_str().as_bytes()));
    cache.join("plugins").join(format!("{name}.json"))
}
