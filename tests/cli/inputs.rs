//! Repositories that are elsewhere or compressed otherwise: addresses, git revisions, other archives.
#![allow(clippy::unwrap_used)]

#[path = "../../plugin-abi/host/tests/support/server.rs"]
mod server;
#[allow(dead_code)] // the other test program uses all of it
mod support;

use server::{Reply, Server};
use std::{fs, io::Write as _, path::Path, process::Command};
use support::{Place, Run};

const OLD: [(&str, &str); 2] = [("app.1", "depends: [\"lib\"]"), ("lib.1", "")];
const NEW: [(&str, &str); 3] = [("app.1", "depends: [\"lib\"]"), ("lib.1", ""), ("lib.2", "")];

/// A server that has the old repository at first, and then the new one.
fn moving(place: &Place) -> Server {
    place.archive("old.tar.gz", &OLD);
    place.archive("new.tar.gz", &NEW);
    let (old, new) =
        ["old.tar.gz", "new.tar.gz"].map(|file| fs::read(place.path(file)).unwrap()).into();
    Server::new(move |asked, number| {
        let (tag, body) = if number == 0 { ("\"1\"", &old) } else { ("\"2\"", &new) };
        match asked.header("if-none-match") {
            Some(known) if known == tag => Reply::new(304, ""),
            _ => Reply::new(200, body.clone()).header("ETag", tag),
        }
    })
}

/// Packages of the lock as `NAME.VERSION`.
fn locked(place: &Place) -> Vec<String> {
    let lock: serde_json::Value = serde_json::from_str(&place.read("x2nix.lock.json")).unwrap();
    lock["packages"].as_object().unwrap().keys().map(|id| id.replace('@', ".")).collect()
}

fn input(place: &Place) -> (String, String) {
    let lock: serde_json::Value = serde_json::from_str(&place.read("x2nix.lock.json")).unwrap();
    let text = |key: &str| lock["inputs"][0][key].as_str().unwrap().to_owned();
    (text("location"), text("hash"))
}

/// Runs with the programs of this machine at hand.
fn with_path(place: &Place, words: &str) -> Run {
    Run::of(place.command(words).env("PATH", std::env::var_os("PATH").unwrap()))
}

/// Runs with no program at hand; without a PATH, systems look in places of their own.
fn without_programs(place: &Place, words: &str) -> Run {
    Run::of(place.command(words).env("PATH", place.path("no-programs")))
}

const RESOLVE: &str = "resolve --ecosystem opam --platform x86_64-linux";

#[test]
fn a_repository_behind_an_address_stays_as_it_was_locked_until_an_update() {
    let place = Place::new();
    let server = moving(&place);
    let url = server.url("repo.tar.gz");
    place.write("x2nix.toml", format!("repositories = [\"{url}\"]\n"));
    place.resolve("--root app").exits(0);
    let (location, hash) = input(&place);
    assert_eq!(location, url);
    assert_eq!(locked(&place), ["app.1", "lib.1"]);
    let lock = place.read("x2nix.lock.json");
    assert_eq!(server.asked().len(), 1);

    // Again: the same bytes, and not a word to the server.
    place.resolve("--root app").exits(0);
    place.resolve("--root app --locked --offline").exits(0);
    place.resolve("--root app --update=lib").exits(0);
    assert_eq!(place.read("x2nix.lock.json"), lock);
    place.x2nix("check --format json").exits(0).answers("\"inputs_checked\": true");
    assert_eq!(server.asked().len(), 0);

    place.resolve("--root app --update").exits(0);
    assert_eq!(locked(&place), ["app.1", "lib.2"]);
    assert_ne!(input(&place).1, hash);
    assert_eq!(server.asked().len(), 1);

    // The old lock, on a machine that never saw its content: it holds as far as it goes.
    place.write("x2nix.lock.json", &lock);
    fs::remove_dir_all(place.path(".cache")).unwrap();
    let check = place.x2nix("check --format json").exits(0).answers("\"inputs_checked\": false");
    assert!(check.stdout.contains("no longer has the content"), "{}", check.stdout);
    place.x2nix("check").exits(0).says("was not checked");
    // To resolve with it says what happened, and keeps the versions that still fit.
    place.resolve("--root app").exits(0).says("input::moved");
    assert_eq!(locked(&place), ["app.1", "lib.1"]);
    place.write("x2nix.lock.json", &lock);
    place.resolve("--root app --locked").exits(4);
}

#[test]
fn offline_uses_what_the_cache_has_or_refuses_by_name() {
    let place = Place::new();
    let server = moving(&place);
    let url = server.url("repo.tar.gz");
    let words = format!("--root app --offline --dry-run --format json --repo {url}");
    assert_eq!(place.resolve(&words).exits(3).code(), "input::offline");
    place.resolve(&format!("--root app --dry-run --repo {url}")).exits(0);
    assert_eq!(place.resolve(&words).answer(), "app.1 lib.1");
    place.x2nix(&format!("sweep --ecosystem opam --offline --repo {url}")).exits(0);
    place.resolve(&format!("--root app --repo {url}")).exits(0);
    fs::remove_dir_all(place.path(".cache")).unwrap();
    place.x2nix("check --offline").exits(0).says("the network is not to be used");
    assert_eq!(place.resolve(&words).exits(3).code(), "input::offline");
}

#[test]
fn what_a_server_does_wrong_has_a_code_and_a_status() {
    let place = Place::new();
    let server = Server::new(|asked, _| match asked.line.split(' ').nth(1).unwrap() {
        "/loop" => Reply::new(302, "").header("Location", "/loop"),
        "/page" => Reply::new(200, "<!doctype html>"),
        "/large" => Reply::new(200, "").length(1 << 40),
        _ => Reply::new(404, ""),
    });
    for (path, status, code) in [
        ("nothing", 3, "input::http-status"),
        ("loop", 3, "input::redirects"),
        ("page", 2, "input::unsupported-archive"),
        ("large", 2, "input::too-large"),
    ] {
        let words = format!("--root app --format json --repo {}", server.url(path));
        assert_eq!(place.resolve(&words).exits(status).code(), code, "{path}");
    }
    // Nothing on standard error but the message: no terminal, no bar.
    let words = format!("--root app --repo {}", server.url("nothing"));
    let run = place.resolve(&words).exits(3).says("answers 404");
    assert!(run.stderr.starts_with("error[") && !run.stderr.contains('\u{1b}'), "{}", run.stderr);
    assert_eq!(place.names("."), [".cache"]);
}

#[test]
fn a_failure_that_passes_is_tried_again() {
    let place = Place::new();
    place.archive("repo.tar.gz", &OLD);
    let body = fs::read(place.path("repo.tar.gz")).unwrap();
    let server = Server::new(move |_, number| match number {
        0 => Reply::new(500, ""),
        _ => Reply::new(200, body.clone()),
    });
    let words = format!("--root app --dry-run --format json --repo {}", server.url("a"));
    assert_eq!(place.resolve(&words).answer(), "app.1 lib.1");
}

#[test]
fn the_proxy_of_the_environment_is_used() {
    let place = Place::new();
    let proxy = Server::new(|_, _| Reply::new(403, ""));
    let mut command =
        place.command("resolve --ecosystem opam --root app --repo http://host.invalid/a.tar.gz");
    Run::of(command.env("HTTP_PROXY", proxy.url(""))).exits(3);
    assert!(proxy.asked()[0].line.contains("host.invalid"));
}

#[test]
fn hostile_addresses_are_refused_before_anything_is_run() {
    let place = Place::with(&OLD);
    for address in [
        "git+ext::sh%20-c%20id",
        "git+--upload-pack=id",
        "git+https://-oProxyCommand=id/x",
        "git+file:///repo#--upload-pack=id",
        "ext::id",
        "ftp://host.invalid/a",
        "https://user:word@host.invalid/a",
    ] {
        let run = place.resolve(&format!("--root app --format json --repo {address}")).exits(2);
        assert!(run.code().starts_with("input::"), "{address}: {}", run.stdout);
        assert!(!run.stdout.contains("user:word"));
        place.write("x2nix.toml", format!("repositories = [\"{address}\"]\n"));
        place.resolve("--root app").exits(2).says("x2nix.toml");
    }
    let run = Run::of(
        place
            .command("resolve --ecosystem opam --root app --format json")
            .args(["--repo", "git+ext::sh -c id"]),
    );
    assert_eq!(run.exits(2).code(), "input::address");
}

fn git(folder: &Path, words: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgSign=false"])
        .args(words)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("this test needs git: install it");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_branch_of_a_git_repository_stays_as_it_was_locked_until_an_update() {
    let place = Place::with(&OLD);
    let folder = place.path("repo");
    git(&folder, &["init", "--quiet", "--initial-branch=main"]);
    git(&folder, &["add", "--all"]);
    git(&folder, &["commit", "--quiet", "-m", "old"]);
    let old = git(&folder, &["rev-parse", "HEAD"]);
    git(&folder, &["tag", "v1"]);
    let address = format!("git+file://{}", folder.display());
    let words = format!("{RESOLVE} --root app --repo {address}#main");
    with_path(&place, &words).exits(0);
    let (location, hash) = input(&place);
    assert_eq!(location, format!("{address}#main:{old}"));
    let lock = place.read("x2nix.lock.json");

    place.repository("repo", &NEW);
    git(&folder, &["add", "--all"]);
    git(&folder, &["commit", "--quiet", "-m", "new"]);
    // With the cache, git is not even needed.
    without_programs(&place, &words).exits(0);
    assert_eq!(place.read("x2nix.lock.json"), lock);
    // Without it, the commit that the lock names is fetched, not the branch.
    fs::remove_dir_all(place.path(".cache")).unwrap();
    with_path(&place, "check --format json").exits(0).answers("\"inputs_checked\": true");
    fs::remove_dir_all(place.path(".cache")).unwrap();
    with_path(&place, &words).exits(0);
    assert_eq!(place.read("x2nix.lock.json"), lock);

    with_path(&place, &format!("{words} --update")).exits(0);
    assert_eq!(locked(&place), ["app.1", "lib.2"]);
    // A tag and a commit; a folder of the same files has the same hash.
    for revision in ["v1", &old] {
        let words = format!("{RESOLVE} --root app --update --repo {address}#{revision}");
        with_path(&place, &words).exits(0);
        assert_eq!(
            (locked(&place), input(&place).1),
            (vec!["app.1".into(), "lib.1".into()], hash.clone())
        );
    }
    git(&folder, &["checkout", "--quiet", &old]);
    place.resolve("--root app --repo repo").exits(0);
    assert_eq!(input(&place), ("repo".into(), hash));

    let json = |revision: &str| {
        let words = format!("{RESOLVE} --root app --format json --repo {address}#{revision}");
        with_path(&place, &words).exits(3).code()
    };
    assert_eq!(json("nothing"), "input::git-revision");
    let words = format!("{RESOLVE} --root app --format json --repo {address}#other");
    assert_eq!(without_programs(&place, &words).exits(3).code(), "input::no-git");
}

#[test]
fn other_archives_give_the_same_answer() {
    let place = Place::new();
    place.archive("repo.tar.gz", &NEW);
    let mut tar = Vec::new();
    let gzip = fs::read(place.path("repo.tar.gz")).unwrap();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&gzip[..]), &mut tar).unwrap();
    let mut xz =
        lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).unwrap();
    xz.write_all(&tar).unwrap();
    place.write("repo.tar.xz", xz.finish().unwrap());
    place.write("repo.tar.zst", zstd::encode_all(&tar[..], 1).unwrap());
    place.write("repo.tar", &tar);
    for file in ["repo.tar.gz", "repo.tar.xz", "repo.tar.zst", "repo.tar"] {
        let words = format!("--root app --dry-run --format json --repo {file}");
        assert_eq!(place.resolve(&words).answer(), "app.1 lib.2", "{file}");
        let bytes = fs::read(place.path(file)).unwrap();
        place.write("cut", &bytes[..bytes.len() / 2]);
        let words = "--root app --dry-run --format json --repo cut";
        assert_eq!(place.resolve(words).exits(2).code(), "input::broken-archive", "{file}");
    }
    // A file that changed is what the user wants now, whatever the lock says.
    place.archive("repo.tar.gz", &OLD);
    place.resolve("--root app --repo repo.tar.gz").exits(0);
    place.archive("repo.tar.gz", &NEW[1..]);
    assert_eq!(place.resolve("--root lib --repo repo.tar.gz").exits(0).status, Some(0));
    assert_eq!(locked(&place), ["lib.1"]);
}

/// A project that takes `lib` from elsewhere, where that is in a version that no repository has.
const PINS: &str = "opam-version: \"2.0\"\nversion: \"0\"\ndepends: [\"lib\"]\npin-depends: [\n  [\"lib.3\" \"PLACE\"]\n]\n";

#[test]
fn a_pinned_package_comes_from_where_the_project_says_and_stays_at_its_commit() {
    let place = Place::with(&OLD);
    place.write("lib/lib.opam", "opam-version: \"2.0\"\nbuild: [\"make\"]\n");
    git(&place.path("lib"), &["init", "--quiet"]);
    git(&place.path("lib"), &["add", "."]);
    git(&place.path("lib"), &["commit", "--quiet", "--message", "one"]);
    let url = format!("git+file://{}", place.path("lib").display());
    place.write("p/p.opam", PINS.replace("PLACE", &url));
    let answer = "lib 3\np 0\n";
    let run = place.resolve("--repo repo p --dry-run").exits(0);
    assert_eq!(run.stdout, answer);

    // It is built from that commit, whatever comes after it.
    with_path(&place, &format!("{RESOLVE} --repo repo p")).exits(0);
    let lock = place.read("p/x2nix.lock.json");
    let artifact = &serde_json::from_str::<serde_json::Value>(&lock).unwrap()["artifacts"]["lib@3"];
    assert_eq!(artifact["commit"], git(&place.path("lib"), &["rev-parse", "HEAD"]));
    place.write("lib/more", "");
    git(&place.path("lib"), &["add", "."]);
    git(&place.path("lib"), &["commit", "--quiet", "--message", "two"]);
    with_path(&place, &format!("{RESOLVE} --repo repo p")).exits(0);
    assert_eq!(place.read("p/x2nix.lock.json"), lock);

    // The folder itself, relative to the project, is built from as it is.
    place.write("p/p.opam", PINS.replace("PLACE", "../lib"));
    place.resolve("--repo repo p").exits(0);
    let lock: serde_json::Value = serde_json::from_str(&place.read("p/x2nix.lock.json")).unwrap();
    assert_eq!(
        (&lock["inputs"][2]["kind"], &lock["inputs"][2]["location"]),
        (&"pin".into(), &"../lib".into())
    );
    assert_eq!(lock["artifacts"]["lib@3"]["input"], 2);
    place.x2nix("check --lock p/x2nix.lock.json").exits(0);
    place.write("lib/lib.opam", "opam-version: \"2.0\"\nbuild: [\"make\" \"all\"]\n");
    place.x2nix("check --lock p/x2nix.lock.json").exits(4).says("../lib has changed");
}

#[test]
fn a_pin_that_leads_nowhere_is_shown_in_the_file_that_states_it() {
    let place = Place::with(&OLD);
    for (target, code) in [
        ("../nowhere", "input::unreadable"),
        ("../p", "opam::pin-depends"),
        ("gopher://a", "input::address"),
    ] {
        place.write("p/p.opam", PINS.replace("PLACE", target));
        let run = place.resolve("--repo repo p --dry-run");
        let status = if code == "input::unreadable" { 3 } else { 2 };
        run.exits(status).says(code).says("p.opam:4");
    }
}
