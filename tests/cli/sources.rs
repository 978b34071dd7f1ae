//! Sources that do not name their content: what a branch or an unsigned archive is, is looked up once, and
//! kept in the lock. What comes of it is compared with Git's and Nix's own.

use super::{
    fetch as with_nix, hex, place as place_with_nix,
    server::{Reply, Server},
    support::{Place, Run},
};
use serde_json::{Value, json};
use std::{env, fs, path::Path, process::Command};

const RESOLVE: &str =
    "resolve --ecosystem opam --platform x86_64-linux --repo repo --root a --format json";

fn lock(place: &Place) -> Value {
    serde_json::from_str(&place.read("x2nix.lock.json")).unwrap()
}

fn artifact(place: &Place) -> Value {
    lock(place)["artifacts"]["a@1"].clone()
}

/// Runs with the programs of this machine at hand.
fn with_path(place: &Place, words: &str) -> Run {
    Run::of(place.command(words).env("PATH", env::var_os("PATH").unwrap()))
}

fn git(folder: &Path, words: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "protocol.file.allow=always", "-c", "user.name=x", "-c", "user.email=x"])
        .args(["-c", "commit.gpgSign=false"])
        .args(words)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("this test needs git: install it");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A repository of Git with what a checkout and an archive have differently, a link, a program, and a
/// submodule; and the package `a` whose source is its branch `main`.
fn repository(place: &Place) -> String {
    for (folder, files) in [
        ("inner", &[("inner.txt", "inner\n")][..]),
        (
            "outer",
            &[
                ("a.txt", "one\n"),
                ("left-out", "x\n"),
                (".gitattributes", "left-out export-ignore\na.txt export-subst\n"),
            ],
        ),
    ] {
        for (file, text) in files {
            place.write(&format!("{folder}/{file}"), text);
        }
        git(&place.path(folder), &["init", "--quiet", "--initial-branch=main"]);
        git(&place.path(folder), &["add", "--all"]);
        git(&place.path(folder), &["commit", "--quiet", "-m", "one"]);
    }
    let outer = place.path("outer");
    place.write("outer/sub/run", "#!/bin/sh\n");
    std::os::unix::fs::symlink("a.txt", outer.join("link")).unwrap();
    git(&outer, &["submodule", "--quiet", "add", "../inner", "mod"]);
    git(&outer, &["add", "--all"]);
    git(&outer, &["update-index", "--chmod=+x", "sub/run"]);
    git(&outer, &["commit", "--quiet", "-m", "two"]);
    package(place, "#main");
    git(&outer, &["rev-parse", "HEAD"])
}

fn package(place: &Place, revision: &str) {
    let url = format!("git+file://{}{revision}", place.path("outer").display());
    place.repository("repo", &[("a.1", &format!("build: [\"make\"]\nurl {{ src: \"{url}\" }}"))]);
}

#[test]
fn a_branch_is_locked_as_the_commit_that_it_is_and_reaches_the_store() {
    let Some(place) = place_with_nix() else { return };
    let first = repository(&place);
    with_path(&place, RESOLVE).exits(0);
    let locked = artifact(&place);
    assert_eq!(locked["kind"], "git");
    assert_eq!((&locked["revision"], &locked["commit"]), (&json!("main"), &json!(first)));
    assert_eq!((&locked["name"], &locked["submodules"]), (&json!("outer"), &json!(true)));

    // Its hash is Nix's own of what git itself checks out.
    let url = place.path("outer").display().to_string();
    git(&place.path(""), &["clone", "--quiet", "--recursive", &url, "clone"]);
    for left in ["clone/.git", "clone/mod/.git"] {
        let path = place.path(left);
        fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path)).unwrap();
    }
    let hash = Command::new("nix-hash")
        .args(["--type", "sha256", "--base64"])
        .arg(place.path("clone"))
        .output()
        .unwrap();
    let hash = String::from_utf8(hash.stdout).unwrap();
    assert_eq!(locked["hash"], format!("sha256-{}", hash.trim()));

    // The branch moves; the lock does not, without git and offline, until it is asked to.
    let two = super::fresh(); // no store has it yet
    place.write("outer/a.txt", &two);
    git(&place.path("outer"), &["commit", "--quiet", "-am", "three"]);
    let second = git(&place.path("outer"), &["rev-parse", "HEAD"]);
    place.x2nix(&format!("{RESOLVE} --offline")).exits(0);
    assert_eq!(artifact(&place), locked);
    let offline = with_path(&place, &format!("{RESOLVE} --offline --update")).exits(3);
    assert_eq!(offline.code(), "input::offline");
    offline.answers("the source of a@1");
    with_path(&place, &format!("{RESOLVE} --update=a")).exits(0);
    assert_eq!(artifact(&place)["commit"], second);
    assert_ne!(artifact(&place)["hash"], locked["hash"]);

    // Into the store from Git, where it is found again, and built without a network.
    let fetched = with_nix(&place, "fetch --format json").exits(0).json();
    assert_eq!(fetched["fetched"], 1);
    let path = fetched["sources"]["a@1"]["path"].as_str().unwrap();
    assert_eq!(fs::read(format!("{path}/a.txt")).unwrap(), two);
    assert_eq!(fs::read_to_string(format!("{path}/mod/inner.txt")).unwrap(), "inner\n");
    assert_eq!(
        with_nix(&place, "fetch --format json --offline").exits(0).json()["already_there"],
        1
    );
    let wanted = Command::new("nix-instantiate")
        .args(["--eval", "--json", "x2nix.nix", "-A", "units.\"a@1\".src.outPath", "--arg", "pkgs"])
        .arg(format!("import {} {{ }}", root("tests/nix/pkgs.nix")))
        .current_dir(place.path(""))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&wanted.stdout).trim(), format!("{path:?}"), "{wanted:?}");
}

fn root(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path).display().to_string()
}

#[test]
fn a_commit_comes_from_a_folder_that_is_called_like_it() {
    let Some(place) = place_with_nix() else { return };
    repository(&place);
    place.write("outer/fresh", super::fresh());
    git(&place.path("outer"), &["add", "--all"]);
    git(&place.path("outer"), &["commit", "--quiet", "-m", "fresh"]);
    let commit = git(&place.path("outer"), &["rev-parse", "HEAD"]);
    package(&place, &format!("#{commit}"));
    with_path(&place, RESOLVE).exits(0);
    let url = place.path("outer").display().to_string();
    let copy = format!("from/{commit}");
    git(&place.path(""), &["clone", "--quiet", "--recursive", &url, &copy]);
    fs::remove_dir_all(place.path(&format!("{copy}/.git"))).unwrap();
    fs::remove_file(place.path(&format!("{copy}/mod/.git"))).unwrap();
    fs::rename(place.path(&format!("{copy}/fresh")), place.path("fresh")).unwrap();
    let missing = with_nix(&place, "fetch --offline --from from --format json").exits(4);
    assert_eq!(missing.code(), "fetch::checksum");
    fs::rename(place.path("fresh"), place.path(&format!("{copy}/fresh"))).unwrap();
    let found = with_nix(&place, "fetch --offline --from from --format json").exits(0).json();
    assert_eq!(found["from_folders"], 1);
}

#[test]
fn an_archive_without_a_checksum_is_fetched_once() {
    let place = Place::new();
    let server = Server::new(|asked, number| match asked.line.split(' ').nth(1) {
        Some("/gone") => Reply::new(404, ""),
        _ if number < 3 => Reply::new(200, "first"),
        _ => Reply::new(200, "second"),
    });
    let source = |src: &str, mirror: &str| {
        let text = format!("build: [\"make\"]\nurl {{ src: \"{src}\" mirrors: \"{mirror}\" }}");
        place.repository("repo", &[("a.1", &text)]);
    };
    source(&server.url("gone"), &server.url("a.tar.gz"));
    place.x2nix(&format!("{RESOLVE} --dry-run")).exits(0);
    assert_eq!(server.asked().len(), 0);
    let offline = place.x2nix(&format!("{RESOLVE} --offline")).exits(3);
    assert_eq!(offline.code(), "input::offline");
    offline.answers("the source of a@1, which has no checksum");
    place.x2nix(RESOLVE).exits(0);
    assert_eq!(server.asked().len(), 2);
    let digest = |text: &str| {
        let bytes: Vec<u8> = (0..64)
            .step_by(2)
            .map(|i| u8::from_str_radix(&hex(text.as_bytes())[i..i + 2], 16).unwrap())
            .collect();
        format!(
            "sha256-{}",
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
        )
    };
    assert_eq!(artifact(&place)["hashes"], json!([digest("first")]));
    place.x2nix(&format!("{RESOLVE} --offline --locked")).exits(0);
    place.x2nix(RESOLVE).exits(0);
    place.x2nix(&format!("{RESOLVE} --update")).exits(0);
    assert_eq!(artifact(&place)["hashes"], json!([digest("second")]));
    source(&server.url("gone"), &server.url("gone"));
    place.x2nix(RESOLVE).exits(3).answers("the source of a@1, which has no checksum");
}

#[test]
fn what_cannot_be_fetched_is_refused_by_name() {
    for (src, what) in [
        ("hg+https://host.invalid/a", "a Mercurial repository"),
        ("darcs+https://host.invalid/a", "a Darcs repository"),
        ("https://host.invalid/a.git", "a Git repository without `git+`"),
        ("rsync+ssh://host.invalid/a", "another machine"),
        ("ftp://host.invalid/a.tgz", "has no checksum"),
        ("git+ext::sh%20-c%20id", "git can be reached by"),
        ("git+https://host.invalid/a#--upload-pack=id", "no name of a revision"),
    ] {
        let text = format!("build: [\"make\"]\nurl {{ src: \"{src}\" }}");
        let place = Place::with(&[("a.1", &text)]);
        let run = place.x2nix(RESOLVE);
        assert_eq!(run.status, Some(2), "{src}: {run:?}");
        run.answers(what).answers("a");
        place.x2nix(&format!("{RESOLVE} --dry-run")).exits(0);
    }
}

/// A package of nothing but files is installed by opam, too.
#[test]
fn files_beside_an_opam_file_are_a_package() {
    let place = Place::with(&[("a.1", ""), ("b.1", "depends: [\"a\"]")]);
    place.write("repo/packages/a/a.1/files/a.install", "etc: [\"a.conf\"]\n");
    place.write("repo/packages/a/a.1/files/a.conf", "x = 1\n");
    place.x2nix(&RESOLVE.replace("root a", "root b")).exits(0);
    let lock = lock(&place);
    let recipe = &lock["units"]["a@1"]["recipe"];
    assert_eq!(recipe["files"]["a.conf"], "x = 1\n");
    assert_eq!(recipe["steps"][0]["words"][1], json!(["install"]));
    assert_eq!(lock["units"]["b@1"]["recipe"]["steps"], Value::Null);
}

/// What `extra-files` names is there with that checksum; what it does not name is left out.
#[test]
fn files_beside_an_opam_file_have_their_checksums() {
    let (right, other) = (
        "md5=401b30e3b8b5d629635a5c613cdb7919",
        "sha256=\
        87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7",
    );
    // Of the two files beside it, `x` is "x\n", and `y` too.
    for (named, status, said) in [
        (format!("[\"x\" \"{right}\"]"), 0, ""),
        (format!("[[\"x\" \"{right}\"] [\"y\" \"{right}\"]]"), 0, ""),
        (format!("[\"x\" \"{other}\"]"), 2, "does not have the checksum sha256=8742"),
        (format!("[[\"x\" \"{right}\"] [\"z\" \"{right}\"]]"), 2, "the file `files/z` is missing"),
        (format!("[\"../opam\" \"{right}\"]"), 2, "the file `files/../opam` is missing"),
    ] {
        let place = Place::with(&[("a.1", &format!("build: [\"make\"]\nextra-files: {named}"))]);
        for file in ["x", "y"] {
            place.write(&format!("repo/packages/a/a.1/files/{file}"), "x\n");
        }
        let run = place.x2nix(RESOLVE).exits(status);
        if status == 0 {
            let files = &lock(&place)["units"]["a@1"]["recipe"]["files"];
            assert_eq!(files.get("y").is_some(), named.contains("\"y\""), "{files}");
            assert_eq!(files["x"], "x\n");
        } else {
            run.answers(said).answers("opam:");
        }
    }
}
