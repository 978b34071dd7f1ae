//! The archive of a crate: its manifest, and which files there are.

use super::targets;
use crate::manifest::Manifest;
use flate2::read::GzDecoder;
use std::{
    collections::BTreeSet,
    io::{self, Read},
};
use tar::Archive;

/// No crate has more bytes, unpacked; what has is made to fill memory or time.
const MOST: u64 = 1 << 30;
/// No manifest has more.
const MANIFEST: u64 = 16 << 20;

/// What is read of an archive.
pub(super) struct Contents {
    pub(super) manifest: Manifest,
    /// The paths of its files; empty where the manifest says all that is asked of them.
    pub(super) files: BTreeSet<String>,
}

/// Reads an archive; `file` is what its manifest is called in messages.
pub(super) fn read(bytes: &[u8], file: &str) -> Result<Contents, String> {
    let told = |error: io::Error| format!("it is no archive of a crate: {error}");
    let mut archive = Archive::new(GzDecoder::new(bytes).take(MOST));
    let mut files = BTreeSet::new();
    let mut manifest = None;
    for entry in archive.entries().map_err(told)? {
        let mut entry = entry.map_err(told)?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let Some((_, path)) = path.split_once('/') else { continue };
        if path == "Cargo.toml" {
            let mut text = Vec::new();
            entry.by_ref().take(MANIFEST).read_to_end(&mut text).map_err(told)?;
            let read = Manifest::parse("", file, &text).map_err(|error| error.to_string())?;
            if targets::is_explicit(&read) {
                return Ok(Contents { manifest: read, files: BTreeSet::new() });
            }
            manifest = Some(read);
        }
        files.insert(path.to_owned());
    }
    match manifest {
        Some(manifest) => Ok(Contents { manifest, files }),
        None => Err("it has no Cargo.toml".to_owned()),
    }
}
