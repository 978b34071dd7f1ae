//! Folders, disks and pipes that do not play along: nothing is lost, and nothing is half written.

use crate::support::{Place, Run};
use std::{
    fs::{self, Permissions},
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

/// A place with a lock that is worth keeping.
fn locked() -> Place {
    let place = Place::with(&[("a.1", ""), ("b.1", "")]);
    place.resolve("--repo repo --root a").exits(0);
    place
}

/// Runs the command after some words of shell.
fn after(place: &Place, shell: &str, words: &str) -> Command {
    let x2nix = env!("CARGO_BIN_EXE_x2nix");
    let mut command = Command::new("/bin/sh");
    let script = format!("{shell}\nexec '{x2nix}' resolve --ecosystem opam --repo repo {words}");
    command.args(["-c", &script]).current_dir(place.path(""));
    command.env("XDG_CACHE_HOME", place.path(".cache"));
    command
}

#[test]
fn what_is_not_there_cannot_be_read() {
    let place = Place::with(&[("a.1", "")]);
    for words in ["--repo nowhere --root a", "--repo /dev/null --root a", "--repo repo nowhere"] {
        let run = place.resolve(words).exits(3).says("error[input::unreadable]");
        run.says("help: ");
        assert_eq!(place.resolve(&format!("{words} --format json")).code(), "input::unreadable");
    }
    place.x2nix("check").exits(3).says("lock::missing").says("make one with `x2nix resolve`");
}

#[test]
fn a_folder_that_may_not_be_read_is_not_empty() {
    let place = Place::with(&[("a.1", ""), ("a.2", "")]);
    let shut = |path: &str, mode| {
        fs::set_permissions(place.path(path), Permissions::from_mode(mode)).unwrap();
    };
    shut("repo/packages/a/a.2", 0o000);
    let readable = fs::read_dir(place.path("repo/packages/a/a.2")).is_ok();
    let mut command = place.command("resolve --ecosystem opam --repo repo --root a");
    if readable {
        // The superuser may read everything, until the right to is dropped.
        fs::set_permissions(place.path(""), Permissions::from_mode(0o755)).unwrap();
        let mut dropped = Command::new("setpriv");
        dropped.args(["--reuid=65534", "--clear-groups"]).arg(command.get_program());
        dropped.args(command.get_args()).current_dir(place.path("")).env_clear();
        command = dropped;
    }
    let run = Run::of(&mut command).exits(3).says("input::unreadable").says("ermission");
    assert_eq!(run.stdout, "");
    shut("repo/packages/a/a.2", 0o755);
}

#[test]
fn a_folder_that_is_no_repository_is_said_to_be_none() {
    let place = Place::new();
    place.write("plain/file", "");
    place.resolve("--repo plain --root a").exits(2).says("opam::repository").says("`packages`");
    place.write("file/packages", "not a folder");
    place.resolve("--repo file --root a").exits(2).says("opam::repository");
    place.repository("bare", &[]);
    place.resolve("--repo bare --root a").exits(1).says("there is no package of that name");
}

#[test]
fn outputs_that_cannot_be_written_leave_the_old_ones() {
    let place = locked();
    let before = place.read("x2nix.lock.json");
    place.write("taken/file", "");
    for words in ["--lock nowhere/lock", "--nix nowhere/nix", "--nix taken"] {
        place.resolve(&format!("--repo repo --root a {words}")).exits(3).says("output::write");
    }
    place.resolve("--repo repo --root a --lock taken").exits(3).says("taken");
    assert_eq!(place.names("taken"), ["file"]);
    assert_eq!(place.read("x2nix.lock.json"), before);
    assert!(!place.names(".").iter().any(|name| name.starts_with(".x2nix-")), "a file was left");
}

#[test]
fn a_full_disk_is_told() {
    let place = locked();
    let before = place.read("x2nix.lock.json");
    for words in ["--lock /dev/full", "--nix /dev/full"] {
        let run = place.resolve(&format!("--repo repo --root b {words}")).exits(3);
        run.says("output::write").says("make room on the disk");
    }
    let mut full = after(&place, "", "--root a --dry-run >/dev/full");
    Run::of(&mut full).exits(3).says("output::write");
    place.resolve("--repo repo --root a").exits(0);
    assert_eq!(place.read("x2nix.lock.json"), before);
}

#[test]
fn a_disk_that_fills_up_while_writing_leaves_the_old_file() {
    let place = locked();
    let before = place.read("x2nix.lock.json");
    // Files of this process may not grow: the kernel ends it when it tries.
    let ended = after(&place, "ulimit -f 0", "--root b --update").output().unwrap();
    assert!(!ended.status.success());
    assert_eq!(place.read("x2nix.lock.json"), before);
    place.x2nix("check").exits(0);
    place.resolve("--repo repo --root b --update").exits(0);
    assert_ne!(place.read("x2nix.lock.json"), before);
}

#[test]
fn a_kill_at_any_moment_leaves_a_whole_file() {
    let place = locked();
    let old = place.read("x2nix.lock.json");
    place.resolve("--repo repo --root b --lock other.json --nix other.nix").exits(0);
    let new = place.read("other.json");
    for turn in 0..40 {
        let mut command = place.command(
            "resolve --ecosystem opam --repo repo --root b --update --platform x86_64-linux",
        );
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_micros(turn * 500));
        let _ = child.kill();
        child.wait().unwrap();
        let text = place.read("x2nix.lock.json");
        assert!(text == old || text == new, "half a file: {text}");
        place.write("x2nix.lock.json", &old);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = locked();
    for words in ["schema lock", "completions bash", "tree --format json", "emit --nix -"] {
        let mut command = place.command(words);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::with_capacity(1, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert_eq!(errors, "", "{words}");
        assert!(child.wait().unwrap().success(), "{words}");
    }
}

#[test]
fn endless_files_are_not_read_to_the_end() {
    let place = Place::new();
    for command in ["check", "tree", "emit"] {
        place.x2nix(&format!("{command} --lock /dev/zero")).exits(2).says("lock::too-large");
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_done_without() {
    let place = Place::new();
    place.archive("repo.tar.gz", &[("a.1", "")]);
    place.write("file", "");
    let words = "resolve --ecosystem opam --repo repo.tar.gz --root a --dry-run";
    let mut command = place.command(words);
    let run = Run::of(command.env("XDG_CACHE_HOME", place.path("file/cache"))).exits(0);
    assert_eq!(run.stdout, "a 1\n");
    // One that is damaged is made anew.
    place.x2nix(words).exits(0);
    for (folder, _) in files(&place.path(".cache")) {
        fs::write(folder, "damaged").unwrap();
    }
    assert_eq!(place.x2nix(words).exits(0), run);
}

/// All files below a folder.
fn files(folder: &std::path::Path) -> Vec<(std::path::PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push((entry.path(), entry.metadata().unwrap().len()));
        }
    }
    found
}
