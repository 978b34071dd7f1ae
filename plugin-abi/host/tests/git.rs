//! Revisions of git repositories, through the git program, from repositories on this machine.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use support::*;
use x2nix_plugin_host::inputs::{Limits, Locked, Network, OpenOptions, Place, Tree};
use x2nix_protocol::{Fault, PluginResult};

/// A repository in a folder, with a commit on `main` and a tag `v1` with a message.
struct Repository(tempfile::TempDir);

impl Repository {
    fn new() -> Self {
        let repository = Self(tempfile::tempdir().unwrap());
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository.commit("one");
        repository.git(&["tag", "-a", "-m", "a message", "v1"]);
        repository
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgSign=false"])
            .args(arguments)
            .current_dir(self.0.path())
            .env_remove("GIT_DIR")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .expect("these tests need git: install it");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A commit with that text in `d/f`; gives its id.
    fn commit(&self, text: &str) -> String {
        self.write("d/f", text);
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "-m", text]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn place(&self, revision: &str) -> String {
        format!("git+file://{}{revision}", self.0.path().display())
    }
}

fn get(place: &str, cache: &Path) -> PluginResult<Tree> {
    get_with(place, cache, Network::default(), None)
}

fn get_with(
    place: &str,
    cache: &Path,
    network: Network,
    locked: Option<&Locked>,
) -> PluginResult<Tree> {
    let options = OpenOptions { locked: locked.cloned(), ..OpenOptions::default() };
    opener(Some(cache)).with_network(network).open_place(&Place::parse(place)?, &options)
}

/// A git that cannot be run: whoever opens with it does not need one.
fn no_git() -> Network {
    Network { git: PathBuf::from("/nowhere/git"), ..Network::default() }
}

fn offline() -> Network {
    Network { offline: true, ..no_git() }
}

#[test]
fn a_branch_a_tag_and_a_commit_are_opened() {
    let repository = Repository::new();
    let first = repository.git(&["rev-parse", "HEAD"]);
    let second = repository.commit("two");
    repository.git(&["branch", "side/x", &first]);
    let cache = tempfile::tempdir().unwrap();
    let at = |revision: &str| {
        let tree = get(&repository.place(revision), cache.path()).unwrap();
        let location = tree.location().unwrap().to_owned();
        (tree.read("d/f"), location)
    };
    let is = |text: &str, location: &str| (found(text), repository.place(location));
    assert_eq!(at("#main"), is("two", &format!("#main:{second}")));
    assert_eq!(at(""), is("two", &format!("#HEAD:{second}")));
    assert_eq!(at("#side/x"), is("one", &format!("#side/x:{first}")));
    assert_eq!(at("#v1"), is("one", &format!("#v1:{first}")));
    assert_eq!(at("#refs/heads/main"), is("two", &format!("#refs/heads/main:{second}")));
    assert_eq!(at(&format!("#{first}")), is("one", &format!("#{first}")));
    // What a lock says leads to the same content, with an empty cache, after the branch moved.
    repository.commit("three");
    let cache = tempfile::tempdir().unwrap();
    let tree = get(&repository.place(&format!("#main:{second}")), cache.path()).unwrap();
    assert_eq!(tree.read("d/f"), found("two"));
    assert_eq!(fs::read_dir(cache.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn a_commit_that_only_history_has_is_fetched_from_servers_that_give_only_names() {
    let repository = Repository::new();
    let first = repository.git(&["rev-parse", "HEAD"]);
    repository.git(&["tag", "--delete", "v1"]);
    repository.commit("two");
    let cache = tempfile::tempdir().unwrap();
    // The old protocol, in which a server gives what has a name and nothing else.
    let git = cache.path().join("git");
    fs::write(&git, "#!/bin/sh\nexec git -c protocol.version=0 \"$@\"\n").unwrap();
    fs::set_permissions(&git, fs::Permissions::from_mode(0o755)).unwrap();
    let network = Network { git, ..Network::default() };
    let place = repository.place(&format!("#{first}"));
    let tree = get_with(&place, cache.path(), network, None).unwrap();
    assert_eq!(tree.read("d/f"), found("one"));
}

#[test]
fn a_revision_has_the_hash_of_a_folder_with_its_files() {
    let repository = Repository::new();
    repository.write("run", "#!/bin/sh\n");
    let path = repository.0.path().join("run");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    symlink("d/f", repository.0.path().join("link")).unwrap();
    repository.write("_build/x", "never part of it");
    repository.write("large", &"x".repeat(5000));
    // Neither settings of the repository nor of the user change what is in the archive.
    repository.write(".gitattributes", "*.txt text\n");
    repository.write("a.txt", "one\ntwo\n");
    repository.commit("two");
    repository.git(&["config", "core.autocrlf", "true"]);
    let cache = tempfile::tempdir().unwrap();
    let limits = Limits { file: 4000, ..Limits::default() };
    let opener = opener(Some(cache.path())).with_limits(limits);
    let place = Place::parse(&repository.place("#main")).unwrap();
    let options = OpenOptions::default();
    let tree = opener.open_place(&place, &options).unwrap();
    let folder = opener.open(repository.0.path(), &options).unwrap();
    assert_eq!(tree.hash().unwrap(), folder.hash().unwrap());
    assert_eq!(everything(&tree), everything(&folder));
}

#[test]
fn what_a_lock_names_is_kept_while_the_branch_moves() {
    let repository = Repository::new();
    let cache = tempfile::tempdir().unwrap();
    let place = repository.place("#main");
    let tree = get(&place, cache.path()).unwrap();
    let locked = Locked {
        location: tree.location().unwrap().to_owned(),
        hash: tree.hash().unwrap().to_owned(),
    };
    repository.commit("two");
    let kept = |network| get_with(&place, cache.path(), network, Some(&locked)).unwrap();
    for network in [Network::default(), no_git(), offline()] {
        let tree = kept(network);
        assert_eq!((tree.read("d/f"), tree.location()), (found("one"), Some(&*locked.location)));
    }
    // Without the cache, the commit is fetched again; it is still there.
    let empty = tempfile::tempdir().unwrap();
    let tree = get_with(&place, empty.path(), Network::default(), Some(&locked)).unwrap();
    assert_eq!((tree.read("d/f"), tree.notes().len()), (found("one"), 0));
    // An update follows the branch.
    assert_eq!(get(&place, cache.path()).unwrap().read("d/f"), found("two"));
    // Offline, the branch is what it was at the last time.
    let tree = get_with(&place, cache.path(), offline(), None).unwrap();
    assert_eq!(tree.read("d/f"), found("two"));
    // A commit that is gone: what there is now, and a note.
    let other = Repository::new();
    let gone = "0123456789abcdef0123456789abcdef01234567";
    let locked = Locked { location: other.place(&format!("#main:{gone}")), ..locked };
    let empty = tempfile::tempdir().unwrap();
    let place = other.place("#main");
    let other_text = other.commit("else");
    let tree = get_with(&place, empty.path(), Network::default(), Some(&locked)).unwrap();
    assert_eq!((tree.read("d/f"), &*tree.notes()[0].code), (found("else"), "input::moved"));
    assert!(tree.location().unwrap().ends_with(&other_text));
}

#[test]
fn a_known_commit_needs_no_git() {
    let repository = Repository::new();
    let commit = repository.git(&["rev-parse", "HEAD"]);
    let cache = tempfile::tempdir().unwrap();
    get(&repository.place("#main"), cache.path()).unwrap();
    let tree = get_with(&repository.place(&format!("#{commit}")), cache.path(), no_git(), None);
    assert_eq!(tree.unwrap().read("d/f"), found("one"));
}

#[test]
fn what_is_not_there_is_told() {
    let repository = Repository::new();
    let empty = tempfile::tempdir().unwrap();
    let gone = "0123456789abcdef0123456789abcdef01234567";
    let nowhere = format!("git+file://{}", empty.path().join("nowhere").display());
    for (place, network, code) in [
        (repository.place("#no-such-branch"), Network::default(), "input::git-revision"),
        (repository.place(&format!("#{gone}")), Network::default(), "input::git-revision"),
        (repository.place("#main"), no_git(), "input::no-git"),
        (repository.place("#main"), offline(), "input::offline"),
        (nowhere, Network::default(), "input::git"),
        (
            repository.place("#main"),
            Network { total: Duration::ZERO, ..Network::default() },
            "input::timeout",
        ),
    ] {
        let cache = tempfile::tempdir().unwrap();
        let error = get_with(&place, cache.path(), network, None).unwrap_err();
        assert_eq!((&*error.code, error.fault), (code, Fault::Access), "{place}: {error}");
        assert!(error.help.is_some());
    }
    let small = Network { size: 10, ..Network::default() };
    let error = get_with(&repository.place("#main"), empty.path(), small, None).unwrap_err();
    assert_eq!((&*error.code, error.fault), ("input::too-large", Fault::Input));
}

#[test]
fn nothing_that_git_reads_makes_it_run_a_program() {
    let repository = Repository::new();
    let trap = tempfile::tempdir().unwrap();
    let sprung = trap.path().join("sprung");
    let script = trap.path().join("script");
    fs::write(&script, format!("#!/bin/sh\ntouch '{}'\ncat\n", sprung.display())).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    repository.write(".gitattributes", "f filter=trap diff=trap\n");
    repository.write(".gitmodules", "[submodule \"s\"]\npath = s\nurl = ext::sh -c id\n");
    repository.commit("text");
    let script = script.to_str().unwrap();
    repository.git(&["config", "filter.trap.smudge", script]);
    repository.git(&["config", "core.fsmonitor", script]);
    repository.git(&["config", "uploadpack.packObjectsHook", script]);
    fs::create_dir_all(repository.0.path().join(".git/hooks")).unwrap();
    for hook in ["post-checkout", "reference-transaction", "pre-auto-gc"] {
        fs::copy(script, repository.0.path().join(".git/hooks").join(hook)).unwrap();
    }
    let cache = tempfile::tempdir().unwrap();
    let tree = get(&repository.place("#main"), cache.path()).unwrap();
    assert_eq!(tree.read("d/f"), found("text"));
    assert!(!sprung.exists());
}
