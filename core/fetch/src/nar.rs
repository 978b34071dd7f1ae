//! The hash that Nix gives a folder: the SHA-256 of its archive.
//!
//! A NAR is a row of strings, each with its length before it and padded to eight bytes; a folder's
//! entries stand in the order of their names' bytes. Of a file it keeps the content and whether its owner
//! may execute it, of a link where it leads, and nothing else.

use sha2::{Digest as _, Sha256};
use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::Path,
};
use x2nix_plugin_host::hash::Hash;

/// Deeper folders are not hashed: it goes into them by recursion.
const DEEPEST: usize = 512;

/// The hash of a file or folder as Nix makes it.
pub(crate) fn hash(path: &Path) -> io::Result<Hash> {
    let mut hasher = Nar(Sha256::new());
    hasher.string(b"nix-archive-1");
    hasher.entry(path, 0)?;
    Ok(Hash::sha256(hasher.0.finalize().into()))
}

struct Nar(Sha256);

impl Nar {
    fn string(&mut self, text: &[u8]) {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text);
        self.pad(text.len() as u64);
    }

    fn pad(&mut self, length: u64) {
        let missing = length.wrapping_neg() % 8;
        self.0.update(&[0; 8][..missing as usize]); // below eight
    }

    fn strings<const N: usize>(&mut self, texts: [&str; N]) {
        for text in texts {
            self.string(text.as_bytes());
        }
    }

    fn entry(&mut self, path: &Path, depth: usize) -> io::Result<()> {
        if depth > DEEPEST {
            return Err(io::Error::other("its folders are too deep"));
        }
        let about = fs::symlink_metadata(path)?;
        self.strings(["(", "type"]);
        if about.is_symlink() {
            self.strings(["symlink", "target"]);
            self.string(fs::read_link(path)?.as_os_str().as_bytes());
        } else if about.is_dir() {
            self.strings(["directory"]);
            let mut names = Vec::new();
            for entry in fs::read_dir(path)? {
                names.push(entry?.file_name());
            }
            names.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
            for name in names {
                self.strings(["entry", "(", "name"]);
                self.string(name.as_bytes());
                self.strings(["node"]);
                self.entry(&path.join(name), depth + 1)?;
                self.strings([")"]);
            }
        } else if about.is_file() {
            self.strings(["regular"]);
            if about.permissions().mode() & 0o100 != 0 {
                self.strings(["executable", ""]);
            }
            self.strings(["contents"]);
            self.file(path, about.len())?;
        } else {
            return Err(io::Error::other("it is no file, folder or link"));
        }
        self.strings([")"]);
        Ok(())
    }

    fn file(&mut self, path: &Path, length: u64) -> io::Result<()> {
        self.0.update(length.to_le_bytes());
        let mut file = File::open(path)?;
        let mut buffer = vec![0; 64 << 10];
        let mut left = length;
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            left = left
                .checked_sub(count as u64)
                .ok_or_else(|| io::Error::other("it grew while it was read"))?;
            self.0.update(&buffer[..count]);
        }
        if left != 0 {
            return Err(io::Error::other("it shrank while it was read"));
        }
        self.pad(length);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_folder_has_the_hash_that_nix_gives_it() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("top");
        fs::create_dir_all(top.join("sub/empty")).unwrap();
        fs::write(top.join("b"), "hello\n").unwrap();
        fs::write(top.join("B.txt"), [0_u8; 8]).unwrap();
        fs::write(top.join("sub/run"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(top.join("sub/run"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(top.join("none"), "").unwrap();
        symlink("../nowhere", top.join("link")).unwrap();
        // nix-hash --type sha256 --sri top
        assert_eq!(
            hash(&top).unwrap().to_string(),
            "sha256-mZ9LQSr/60JGrk6RHbmwbXeGWmsSA9hFFKYSresvkSs="
        );
        assert_eq!(
            hash(&top.join("b")).unwrap().to_string(),
            "sha256-HDfQGvQL4ugGkd48w99EN3ppmvuxfGjwgJZLL9Bx/BM="
        );
        assert!(hash(Path::new("/dev/null")).is_err());
    }
}
