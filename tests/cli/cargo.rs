//! Cargo projects: the example, and what is said of those that are not right.

use crate::support::Place;
use serde_json::Value;
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
