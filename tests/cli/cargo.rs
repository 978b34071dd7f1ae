//! Cargo projects: the example, and what is said of those that are not right.

#[path = "../../plugin-abi/host/tests/support/server.rs"]
mod server;

mod config;
mod credentials;
mod refused;

use crate::support::Place;
use serde_json::Value;
use server::{Reply, Server};
use std::process::Command;

fn example() -> Place {
    let place = Place::new();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/cargo");
    let copied = Command::new("cp").args(["-R", example]).arg(place.path("app")).status().unwrap();
    assert!(copied.success());
    place
}

#[test]
fn a_project_is_locked_and_cargo_gets_its_lock_file() {
    let place = example();
    place.x2nix("resolve --ecosystem cargo app").exits(0);
    let text = place.read("app/x2nix.lock.json");
    let lock: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        lock["packages"]["greeting@1.1.0"]["features"],
        serde_json::json!(["colour", "colours", "default"])
    );
    assert_eq!(
        lock["platforms"].as_object().unwrap().values().next().unwrap()["optimality"],
        "optimal"
    );
    place.x2nix("resolve --ecosystem cargo app --locked").exits(0);
    place.x2nix("check --lock app/x2nix.lock.json").exits(0);
    place.x2nix("why colours --lock app/x2nix.lock.json").exits(0).answers("greeting");

    // Another version would have other features; those of the chosen one are not in its way.
    let why_not = |version: &str| {
        let words = format!("why-not greeting={version} --lock app/x2nix.lock.json");
        let text = place.x2nix(&words).exits(0).stdout;
        text.lines().skip(2).map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    };
    let place_of = " (registry:gr/ee/greeting)";
    let lacks = "greeting[colour] 1.0.0 cannot be chosen: it has no feature colour ";
    assert_eq!(why_not("1.0.0"), [format!("{lacks}{place_of}")]);
    let withdrawn = "greeting 1.2.0 cannot be chosen: it was withdrawn ";
    assert_eq!(why_not("1.2.0"), [format!("{withdrawn}{place_of}")]);

    place.x2nix("export --cargo-lock --lock app/x2nix.lock.json").exits(0);
    let own = place.read("app/Cargo.lock");
    assert!(own.contains("name = \"colours\"\nversion = \"0.4.2\"\n"), "{own}");
    let accepted = Command::new(env!("CARGO"))
        .args(["update", "--workspace", "--locked", "--offline", "--quiet"])
        .current_dir(place.path("app"))
        .env("CARGO_HOME", place.path("home"))
        .status()
        .unwrap();
    assert!(accepted.success());
    assert_eq!(place.read("app/Cargo.lock"), own);

    // What cargo's lock file has is kept; what is to be chosen anew is not.
    place.edit("app/Cargo.lock", "0.4.2", "0.3.9");
    place.x2nix("resolve --ecosystem cargo app --dry-run").exits(0).answers("colours 0.3.9");
    place
        .x2nix("resolve --ecosystem cargo app --dry-run --update=colours")
        .exits(0)
        .answers("colours 0.4.2");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let refused = |from: &str, to: &str| {
        let place = example();
        place.edit("app/Cargo.toml", from, to);
        let run = place.x2nix("resolve --ecosystem cargo app --dry-run --format json").exits(2);
        let error: Value = serde_json::from_str(&run.stdout).unwrap();
        format!("{error}")
    };
    let error = refused("version = \"1\"", "version = \"one\"");
    assert!(error.contains("cargo::manifest") && error.contains("Cargo.toml"), "{error}");
    let error =
        refused("[dependencies]", "[replace]\n\"a:1.0.0\" = { path = \"a\" }\n[dependencies]");
    assert!(error.contains("[replace] is not supported"), "{error}");
    let error = refused(
        "version = \"1\"",
        "git = \"https://example.org/greeting\", branch = \"a\", tag = \"b\"",
    );
    assert!(error.contains("names more than one of branch, tag and rev"), "{error}");

    let place = example();
    place.write("app/x2nix.toml", "[provided.greeting]\nversion = \"1.1.0\"\nattribute = \"g\"\n");
    place.x2nix("resolve --ecosystem cargo app").exits(2).says("not taken from the package set");

    let place = example();
    place.edit("app/Cargo.toml", "\"colour\"", "\"color\"");
    let run = place.x2nix("resolve --ecosystem cargo app").exits(1);
    run.says("it has no feature color");
    place.edit("app/Cargo.toml", "greeting =", "greting =");
    place.x2nix("resolve --ecosystem cargo app").exits(1).says("greting");
}

/// A project that needs `needs`, whose index answers as a function says for a file and how often it was asked before.
fn with_index(
    needs: &str,
    answer: impl Fn(&str, usize) -> Reply + Send + 'static,
) -> (Place, Server) {
    let server = Server::new(move |asked, before| {
        let path = asked.line.split(' ').nth(1).unwrap_or_default();
        answer(path.strip_prefix("/index/").unwrap_or(path), before)
    });
    let place = Place::new();
    place.write("app/src/main.rs", "fn main() {}\n");
    place.write(
        "app/Cargo.toml",
        format!("[package]\nname = \"app\"\nversion = \"1.0.0\"\nedition = \"2021\"\n[dependencies]\n{needs}\n"),
    );
    let config = format!(
        "[source.crates-io]\nreplace-with = \"mirror\"\n[source.mirror]\nregistry = \"sparse+{}\"\n",
        server.url("index/")
    );
    place.write("app/.cargo/config.toml", config);
    (place, server)
}

fn entry(name: &str, version: &str, yanked: bool) -> String {
    let checksum = "0".repeat(64);
    format!(
        "{{\"name\":\"{name}\",\"vers\":\"{version}\",\"deps\":[],\"cksum\":\"{checksum}\",\"features\":{{}},\"yanked\":{yanked}}}\n"
    )
}

const DRY: &str = "resolve --ecosystem cargo app --dry-run";

#[test]
fn a_sparse_index_is_asked_once_and_serves_offline() {
    let (place, server) = with_index("serde_one = \"1\"\ntwo = \"0.3\"", |path, _| match path {
        "se/rd/serde_one" => Reply::new(
            200,
            entry("serde_one", "1.0.0", false) + &entry("serde_one", "1.1.0", false),
        )
        .header("ETag", "\"a\""),
        "3/t/two" => Reply::new(200, entry("two", "0.3.4", false)),
        _ => Reply::new(404, ""),
    });
    place.x2nix(DRY).exits(0).answers("serde_one 1.1.0").answers("two 0.3.4");
    assert_eq!(server.asked().len(), 2);
    place.x2nix(&format!("{DRY} --offline")).exits(0).answers("serde_one 1.1.0");
    assert!(server.asked().is_empty());
    // The server is asked whether it changed.
    place.x2nix(DRY).exits(0);
    assert!(server.asked().iter().any(|asked| asked.header("if-none-match") == Some("\"a\"")));
    let (fresh, server) = with_index("two = \"0.3\"", |_, _| Reply::new(500, ""));
    fresh.x2nix(&format!("{DRY} --offline")).exits(3).says("input::offline");
    assert!(server.asked().is_empty());
}

#[test]
fn a_bad_index_is_told_of_and_asked_a_few_times_only() {
    let good = || entry("two", "0.3.4", false);
    // It passes.
    let (place, server) = with_index("two = \"0.3\"", move |_, before| match before {
        0 => Reply::new(500, ""),
        _ => Reply::new(200, good()),
    });
    place.x2nix(DRY).exits(0).answers("two 0.3.4");
    assert_eq!(server.asked().len(), 2);
    // It does not.
    for status in [500, 503, 403] {
        let (place, server) = with_index("two = \"0.3\"", move |_, _| Reply::new(status, ""));
        let run = place.x2nix(DRY).exits(3).says(&status.to_string());
        assert!(run.stderr.contains("3/t/two"), "{}", run.stderr);
        assert!((1..=5).contains(&server.asked().len()), "{status}");
    }
    // Half a file.
    let (place, server) =
        with_index("two = \"0.3\"", move |_, _| Reply::new(200, good()).length(10_000));
    place.x2nix(DRY).exits(3);
    assert!((1..=5).contains(&server.asked().len()));
    // No index at all, and an entry among good ones.
    for (body, status) in [("<html>it works</html>".to_owned(), 1), (format!("{{\n{}", good()), 0)]
    {
        let (place, _server) =
            with_index("two = \"0.3\"", move |_, _| Reply::new(200, body.clone()));
        let run = place.x2nix(DRY).exits(status);
        let told = run.stderr.contains("an entry of two cannot be read");
        assert!(told && run.stderr.contains("3/t/two:1"), "{}", run.stderr);
    }
}

#[test]
fn what_an_index_does_not_have_is_named_with_what_looks_like_it() {
    let index = |path: &str, _| match path {
        "ma/ke/make_it" => Reply::new(200, entry("make_it", "1.2.0", false)),
        "go/ne/gone" => Reply::new(200, entry("gone", "1.0.0", true)),
        _ => Reply::new(404, ""),
    };
    let (place, _server) = with_index("make-it = \"1\"", index);
    place.x2nix(DRY).exits(1).says("make-it").says("make_it");
    let (place, _server) = with_index("nobody-has-this = \"1\"", index);
    place.x2nix(DRY).exits(1).says("nobody-has-this");
    let (place, _server) = with_index("make_it = \"3\"", index);
    place.x2nix(DRY).exits(1).says("1.2.0");
    let (place, _server) = with_index("gone = \"1\"", index);
    place.x2nix(DRY).exits(1).says("withdrawn");
    // Names that would be other places of the index.
    for name in ["..", "a/b", "a b", ""] {
        let (place, server) = with_index(&format!("\"{name}\" = \"1\""), index);
        place.x2nix(DRY).exits(2).says("Cargo.toml");
        assert!(server.asked().is_empty());
    }
}
