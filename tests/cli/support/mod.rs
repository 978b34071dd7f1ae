//! What the scenarios share: a folder of one's own, small repositories, and the command.

use flate2::{Compression, write::GzEncoder};
use serde_json::Value;
use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};
use tempfile::TempDir;

/// A temporary folder to work in, with a cache of its own. Paths are relative to it, so that what is
/// written there is the same on every machine.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A place with a repository in the folder `repo`.
    pub(crate) fn with(packages: &[(&str, &str)]) -> Self {
        let place = Self::new();
        place.repository("repo", packages);
        place
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    pub(crate) fn write(&self, file: &str, content: impl AsRef<[u8]>) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }

    /// Replaces a piece of a file that must be there.
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let text = self.read(file);
        assert!(text.contains(from), "{from:?} is not in {file}:\n{text}");
        self.write(file, text.replacen(from, to, 1));
    }

    /// The names of what lies in a folder, sorted.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Writes a repository as a folder: `NAME.VERSION` and the text of its opam file, of which the
    /// `opam-version` may be left out.
    pub(crate) fn repository(&self, folder: &str, packages: &[(&str, &str)]) {
        self.write(&format!("{folder}/repo"), "opam-version: \"2.0\"\n");
        fs::create_dir_all(self.path(&format!("{folder}/packages"))).unwrap();
        for (package, text) in packages {
            self.write(&format!("{folder}/{}", opam_path(package)), opam(text));
        }
    }

    /// The same as an archive.
    pub(crate) fn archive(&self, file: &str, packages: &[(&str, &str)]) {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (package, text) in packages {
            let text = opam(text);
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, opam_path(package), text.as_bytes()).unwrap();
        }
        self.write(file, tar.into_inner().unwrap().finish().unwrap());
    }

    /// The command, to be run in this place: words are separated by spaces.
    pub(crate) fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_x2nix"));
        command.args(words.split_whitespace()).current_dir(self.0.path());
        command
            .env_clear()
            .env("XDG_CACHE_HOME", self.path(".cache"))
            .env("HOME", self.path(".home"));
        command
    }

    /// Runs the command.
    pub(crate) fn x2nix(&self, words: &str) -> Run {
        Run::of(&mut self.command(words))
    }

    /// Runs `resolve --ecosystem opam --platform x86_64-linux`.
    pub(crate) fn resolve(&self, words: &str) -> Run {
        self.x2nix(&format!("resolve --ecosystem opam --platform x86_64-linux {words}"))
    }

    /// What a request comes to in the repository `repo`: `NAME.VERSION` of each package, separated
    /// by spaces, or `UNSAT`.
    pub(crate) fn answer(&self, words: &str) -> String {
        self.resolve(&format!("--repo repo --dry-run --format json {words}")).answer()
    }
}

fn opam_path(package: &str) -> String {
    let (name, _) = package.split_once('.').unwrap();
    format!("packages/{name}/{package}/opam")
}

fn opam(text: &str) -> String {
    if text.starts_with("opam-version:") {
        return text.to_owned();
    }
    format!("opam-version: \"2.0\"\n{text}\n")
}

/// What a run of the command gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    /// The exit status; nothing where a signal ended it.
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
        let run = Self {
            status: status.code(),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        };
        assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
        run
    }

    /// Requires an exit status.
    #[track_caller]
    pub(crate) fn exits(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Requires something on standard error.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text:?} is not in\n{}", self.stderr);
        self
    }

    /// Requires something on standard output.
    #[track_caller]
    pub(crate) fn answers(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "{text:?} is not in\n{}", self.stdout);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }

    /// The code of the first error in a JSON answer.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        self.json()["errors"][0]["code"].as_str().unwrap().to_owned()
    }

    /// The packages of a JSON answer; see [`Place::answer`].
    #[track_caller]
    pub(crate) fn answer(&self) -> String {
        let document = self.json();
        match (self.status, document["status"].as_str()) {
            (Some(0), Some("solved")) => {}
            (Some(1), Some("unsolvable")) => return "UNSAT".into(),
            _ => panic!("{self:?}"),
        }
        let packages = document["packages"].as_array().unwrap().iter();
        let package = |package: &Value| {
            let text = |key: &str| package[key].as_str().unwrap().to_owned();
            format!("{}.{}", text("name"), text("version"))
        };
        packages.map(package).collect::<Vec<_>>().join(" ")
    }
}

/// The snapshot of the opam repository.
pub(crate) fn opam_repository() -> PathBuf {
    let beside = snapshots().join("opam-repository.tar.gz");
    let path = env::var_os("X2NIX_OPAM_REPOSITORY").map_or(beside, PathBuf::from);
    assert!(
        path.exists(),
        "there is no opam repository at {}: set X2NIX_OPAM_REPOSITORY to a .tar.gz or a folder of it",
        path.display()
    );
    fs::canonicalize(path).unwrap()
}

/// A file of what opam itself answers, beside the snapshot.
pub(crate) fn oracle(file: &str) -> PathBuf {
    let beside = snapshots().join("oracle");
    let path = env::var_os("X2NIX_OPAM_ORACLE").map_or(beside, PathBuf::from).join(file);
    assert!(
        path.exists(),
        "opam's own answers are not at {}: set X2NIX_OPAM_ORACLE to the folder that has them",
        path.display()
    );
    fs::canonicalize(path).unwrap()
}

fn snapshots() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/opam")
}

/// The variables that opam's answers were made under, as flags.
pub(crate) const DEBIAN: &str =
    "--env os-distribution=debian --env os-family=debian --env os-version=13";

/// A `.tar.gz` of one entry with these very bytes in its header.
pub(crate) fn tgz_entry(
    kind: tar::EntryType,
    name: &str,
    target: &str,
    content: &[u8],
    tar: &mut Vec<u8>,
) {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    tar.extend_from_slice(header.as_bytes());
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

/// Compresses a tar.
pub(crate) fn gzip(tar: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(tar).unwrap();
    gzip.finish().unwrap()
}
