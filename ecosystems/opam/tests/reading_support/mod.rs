//! Where the snapshot of the opam repository and the reference's readings of it are.

#![allow(dead_code, reason = "each test uses a part of this")]

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

fn beside_the_workspace(variable: &str, default: &str) -> PathBuf {
    let path = match std::env::var_os(variable) {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/opam/"))
            .join(default),
    };
    assert!(path.exists(), "{} is not there: set {variable}", path.display());
    path
}

/// The file of this name among the reference's readings.
pub(crate) fn oracle(name: &str) -> PathBuf {
    beside_the_workspace("X2NIX_OPAM_ORACLE", "oracle").join(name)
}

/// The lines of a compressed file.
pub(crate) fn lines_of(path: &Path) -> Vec<String> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).expect("compressed text");
    text.lines().map(str::to_owned).collect()
}

/// Every opam file of the snapshot, with its path.
pub(crate) fn snapshot() -> impl Iterator<Item = (String, Vec<u8>)> {
    let path = beside_the_workspace("X2NIX_OPAM_REPOSITORY", "opam-repository.tar.gz");
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    let mut files = Vec::new();
    for entry in archive.entries().expect("an archive") {
        let mut entry = entry.expect("an entry of the archive");
        let path = entry.path().expect("a path").to_string_lossy().into_owned();
        if path.starts_with("packages/") && path.ends_with("/opam") {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("the contents of a file");
            files.push((path, bytes));
        }
    }
    files.into_iter()
}

/// The package that an opam file of the snapshot is of, with its version.
pub(crate) fn package_of(path: &str) -> &str {
    path.split('/').rev().nth(1).unwrap_or_default()
}
