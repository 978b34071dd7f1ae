//! The Nix store: where a file with a known hash belongs, what is there, and adding what is not.
//!
//! The path of a fixed output follows from its hash and its name alone: it is
//! `STORE/HASH-NAME`, where HASH is the SHA-256, folded to 20 bytes, of
//! `TYPE:sha256:INNER:STORE:NAME`. TYPE is `output:out` and INNER the SHA-256 of
//! `fixed:out:ALGORITHM:HEX:`. So no process of Nix is needed to know it.

use crate::Error;
use std::{
    ffi::OsStr,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use x2nix_plugin_host::hash::{Algorithm, Hash, base32, hex, sha256};

/// As many paths as go to one process; systems bound what a command line may hold.
pub(crate) const BATCH: usize = 256;

/// A Nix store, reached by the programs of Nix.
#[derive(Debug)]
pub struct Store {
    folder: String,
}

impl Store {
    /// Finds Nix on the PATH, and its store.
    pub fn open() -> Result<Self, Error> {
        let expression = ["--eval", "--strict", "--json", "--expr", "builtins.storeDir"];
        let answer = run("nix-instantiate", expression)?;
        match serde_json::from_str(&answer) {
            Ok(folder) => Ok(Self { folder }),
            Err(_) => Err(Error::Strange { program: "nix-instantiate", answer }),
        }
    }

    /// Where a file with a hash and a name belongs.
    pub(crate) fn path(&self, hash: &Hash, name: &str) -> String {
        let inner = sha256(&format!("fixed:out:{}:{}:", hash.algorithm.name(), hash.hex()));
        self.of(&format!("output:out:sha256:{}", hex(&inner)), name)
    }

    /// Where a folder with a hash, as Nix hashes folders, and a name belongs.
    pub(crate) fn folder_path(&self, hash: &Hash, name: &str) -> String {
        self.of(&format!("source:{}:{}", hash.algorithm.name(), hash.hex()), name)
    }

    /// The path of what is described so.
    fn of(&self, what: &str, name: &str) -> String {
        let whole = sha256(&format!("{what}:{}:{name}", self.folder));
        let mut folded = [0; 20];
        whole.iter().enumerate().for_each(|(place, byte)| folded[place % 20] ^= byte);
        format!("{}/{}-{name}", self.folder, base32(&folded))
    }

    /// Those of some paths that the store does not have.
    pub(crate) fn missing(paths: &[&str]) -> Result<Vec<String>, Error> {
        let mut missing = Vec::new();
        for paths in paths.chunks(BATCH) {
            let flags = ["--check-validity", "--print-invalid"];
            let answer = run("nix-store", flags.iter().chain(paths))?;
            missing.extend(answer.lines().map(str::to_owned));
        }
        Ok(missing)
    }

    /// Adds files, or folders, under the names that they have, and gives their paths in the store, in
    /// order.
    pub(crate) fn add(
        &self,
        algorithm: Algorithm,
        folders: bool,
        files: &[PathBuf],
    ) -> Result<Vec<String>, Error> {
        let recursive: &[&str] = if folders { &["--recursive"] } else { &[] };
        let flags = ["--add-fixed"].iter().chain(recursive).copied().chain([algorithm.name()]);
        let words = flags.map(OsStr::new).chain(files.iter().map(|file| file.as_os_str()));
        let answer = run("nix-store", words)?;
        let paths: Vec<_> = answer.lines().map(str::to_owned).collect();
        if paths.len() == files.len() && paths.iter().all(|path| path.starts_with(&self.folder)) {
            return Ok(paths);
        }
        Err(Error::Strange { program: "nix-store", answer })
    }
}

/// Builds what the expression in a file is, and gives where it is in the store.
///
/// Nothing keeps it there: it is to be read now.
pub fn build(expression: &Path) -> Result<PathBuf, Error> {
    let words = ["--no-out-link", "--option", "allow-import-from-derivation", "false"];
    let words = words.map(OsStr::new).into_iter().chain([expression.as_os_str()]);
    let answer = run("nix-build", words)?;
    let path = PathBuf::from(answer.lines().last().unwrap_or_default());
    if path.is_absolute() { Ok(path) } else { Err(Error::Strange { program: "nix-build", answer }) }
}

/// The name that a file gets in the store: what `lib.strings.sanitizeDerivationName` of nixpkgs makes
/// of it, since the emitted Nix asks for that.
pub(crate) fn safe_name(name: &str) -> String {
    /// As many bytes of a name as are kept, from its end.
    const LENGTH: usize = 207;
    let mut safe = String::new();
    let mut skipped = false;
    for char in name.trim_start_matches('.').chars() {
        let kept = char.is_ascii_alphanumeric() || "+._?=-".contains(char);
        if kept {
            safe.push(char);
        } else if !skipped {
            safe.push('-'); // one for all that are in a row
        }
        skipped = !kept;
    }
    let safe = &safe[safe.len().saturating_sub(LENGTH)..]; // all of it is ASCII
    if safe.is_empty() { "unknown".into() } else { safe.into() }
}

/// Runs a program of Nix and gives what it prints.
pub(crate) fn run<W: AsRef<OsStr>>(
    program: &'static str,
    words: impl IntoIterator<Item = W>,
) -> Result<String, Error> {
    let output = Command::new(program).args(words).stdin(Stdio::null()).output().map_err(
        |error| match error.kind() {
            ErrorKind::NotFound => Error::NoNix(program),
            _ => Error::Io { what: format!("cannot run {program}"), error },
        },
    )?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::Nix { program, said });
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// The place in `folder` from which a file gets `name` in the store. Files may have the same name, so
/// each has a folder of its own.
pub(crate) fn staged(folder: &Path, number: usize, name: &str) -> PathBuf {
    folder.join(number.to_string()).join(name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_that_nix_prints() {
        // nix-store --print-fixed-path ALGORITHM HEX hello.tar.gz
        let store = Store { folder: "/nix/store".into() };
        let golden = [
            (
                "md5-sZRqySSS0jR8YjW00mERhA==",
                "/nix/store/5af0f4qq2iam67cq7pksbhyly61riv4n-hello.tar.gz",
            ),
            (
                "sha1-9XLTlvrpIGYocU+yzgD3LpTyJY8=",
                "/nix/store/5mh6dfmgcyh0006msw5j8mcn1a5gd5rq-hello.tar.gz",
            ),
            (
                "sha256-WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=",
                "/nix/store/g4858g2zzns2ah5vmq7c9alxnqx17mbq-hello.tar.gz",
            ),
        ];
        // nix-store --add-fixed --recursive sha256, of a folder with nothing in it
        let empty = Hash::of_sri("sha256-pQpattmS9VmO3ZIQUFn66az8GSmB4IvYhTTCFn6SUmo=").unwrap();
        assert_eq!(
            store.folder_path(&empty, "source"),
            "/nix/store/0ccnxa25whszw7mgbgyzdm4nqc0zwnm8-source"
        );
        for (sri, path) in golden {
            assert_eq!(store.path(&Hash::of_sri(sri).unwrap(), "hello.tar.gz"), path);
        }
    }

    #[test]
    fn names_are_safe_as_nixpkgs_makes_them() {
        let cases = [
            ("dune-3.17.2.tbz", "dune-3.17.2.tbz"),
            ("../../etc/passwd", "-..-etc-passwd"),
            ("..", "unknown"),
            ("", "unknown"),
            (".hidden", "hidden"),
            ("a b//c\u{e9}\n~d", "a-b-c-d"),
            ("v1?x=+_", "v1?x=+_"),
        ];
        for (name, safe) in cases {
            assert_eq!(safe_name(name), safe);
        }
        assert_eq!(safe_name(&format!("{}.tar", "x".repeat(300))).len(), 207);
    }
}
