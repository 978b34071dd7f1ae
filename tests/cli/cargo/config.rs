//! The user's own configuration of cargo: what it says counts as it does for cargo, which is asked as well.

use super::{
    entry, example,
    server::{Reply, Server},
};
use crate::support::{Place, Run};
use std::{env, path::Path, process::Command};

/// Runs x2nix as a user whose configuration is in `home`, with a variable more.
pub(super) fn x2nix(place: &Place, words: &str, variable: (&str, &str)) -> Run {
    let mut command = place.command(words);
    command.env("CARGO_HOME", place.path("home")).env(variable.0, variable.1);
    Run::of(&mut command)
}

/// What cargo writes for the same user, or nothing where it refuses.
fn cargo(place: &Place, variable: (&str, &str)) -> Option<String> {
    let mut command = Command::new(env!("CARGO"));
    let rustup = Path::new(&env::var_os("HOME").unwrap()).join(".rustup");
    command.args(["generate-lockfile", "--quiet"]).current_dir(place.path("app"));
    command.env("RUSTUP_HOME", env::var_os("RUSTUP_HOME").unwrap_or(rustup.into()));
    command.env("CARGO_HOME", place.path("home")).env(variable.0, variable.1);
    let done = command.status().unwrap().success();
    let text = done.then(|| place.read("app/Cargo.lock"));
    let _ = std::fs::remove_file(place.path("app/Cargo.lock"));
    text
}

/// Both give the same lock file, which has these lines.
#[track_caller]
pub(super) fn both(place: &Place, variable: (&str, &str), lines: &str) {
    x2nix(place, "resolve --ecosystem cargo app --build nothing --update", variable).exits(0);
    let words = "export --cargo-lock --lock app/x2nix.lock.json --output -";
    let own = x2nix(place, words, variable).exits(0).stdout;
    assert_eq!(cargo(place, variable).as_ref(), Some(&own));
    assert!(own.contains(lines), "{own}");
    x2nix(place, "check --lock app/x2nix.lock.json", variable).exits(0);
    let lock = place.read("app/x2nix.lock.json");
    assert!(!lock.contains("config"), "{lock}");
}

pub(super) const NOTHING: (&str, &str) = ("X", "");

/// The example without a configuration of its own; its registry is beside it.
fn without_own() -> Place {
    let place = example();
    std::fs::remove_dir_all(place.path("app/.cargo")).unwrap();
    std::fs::rename(place.path("app/registry"), place.path("registry")).unwrap();
    place
}

fn local(registry: &str) -> String {
    format!(
        "[source.crates-io]\nreplace-with = \"local\"\n[source.local]\nlocal-registry = \"{registry}\"\n"
    )
}

#[test]
fn what_stands_in_for_a_registry_is_taken_from_the_nearest_file() {
    let newest = "name = \"colours\"\nversion = \"0.4.2\"\n";
    let older = "name = \"colours\"\nversion = \"0.3.9\"\n";
    let place = without_own();
    place.write("home/config.toml", local("registry"));
    both(&place, NOTHING, newest);

    // Around the project, another registry; what it leaves open, the other file says.
    let copied = ["-R", "registry", "older"];
    let root = place.path("");
    assert!(Command::new("cp").args(copied).current_dir(root).status().unwrap().success());
    let index = place.read("older/index/co/lo/colours");
    place.write("older/index/co/lo/colours", index.lines().next().unwrap());
    let nearer = "[source.local]\nlocal-registry = \"older\"\n";
    place.write(".cargo/config.toml", nearer);
    both(&place, NOTHING, older);
    // Of two files in one folder, cargo takes the one without an ending.
    place.write(".cargo/config", nearer.replace("older", "registry"));
    both(&place, NOTHING, newest);
    // The project goes before them all.
    place.write("app/.cargo/config.toml", nearer.replace("older", "../older"));
    both(&place, NOTHING, older);
}

#[test]
fn registries_of_the_user_are_known_by_their_names() {
    let place = Place::new();
    let server = Server::new(|asked, _| match asked.line.split(' ').nth(1) {
        Some("/index/config.json") => Reply::new(200, "{\"dl\": \"http://127.0.0.1/\"}"),
        Some("/index/3/o/own") => Reply::new(200, entry("own", "1.4.0", false)),
        _ => Reply::new(404, ""),
    });
    let index = format!("sparse+{}", server.url("index/"));
    place.write("app/src/main.rs", "fn main() {}\n");
    place.write(
        "app/Cargo.toml",
        "[package]\nname = \"app\"\nversion = \"1.0.0\"\nedition = \"2021\"\n[dependencies]\nown = { version = \"1\", registry = \"our-own\" }\n",
    );
    let line = format!("name = \"own\"\nversion = \"1.4.0\"\nsource = \"{index}\"\n");
    place.write("home/config.toml", format!("[registries.our-own]\nindex = \"{index}\"\n"));
    both(&place, NOTHING, &line);
    // A variable says the same, and goes before a file.
    place.write(
        "home/config.toml",
        "[registries.our-own]\nindex = \"sparse+http://127.0.0.1:1/\"\n",
    );
    both(&place, ("CARGO_REGISTRIES_OUR_OWN_INDEX", &index), &line);
}

#[test]
fn a_bad_configuration_of_the_user_is_told_with_its_file() {
    let place = without_own();
    let resolve = || x2nix(&place, "resolve --ecosystem cargo app --dry-run", NOTHING);
    place.write("home/config.toml", "[source");
    resolve().exits(2).says("home/config.toml");
    place.write("home/config.toml", "[source.crates-io]\nreplace-with = \"nowhere\"\n");
    resolve().exits(2).says("home/config.toml").says("nowhere, which is not stated");
    let ring =
        "[source.crates-io]\nreplace-with = \"a\"\n[source.a]\nreplace-with = \"crates-io\"\n";
    place.write("home/config.toml", ring);
    resolve().exits(2).says("replaces itself");
}

#[test]
fn what_is_not_read_of_the_configuration_is_told() {
    let place = without_own();
    let stated = "paths = [\"x\"]\n[patch.crates-io]\ncolours = { path = \"x\" }\n";
    place.write("home/config.toml", format!("{stated}{}", local("registry")));
    x2nix(&place, "resolve --ecosystem cargo app --dry-run", NOTHING)
        .exits(0)
        .says("home/config.toml")
        .says("`[patch]` of cargo's configuration is not read")
        .says("state it in Cargo.toml")
        .says("`paths` of cargo's configuration is not read")
        .says("say the same with [patch] in Cargo.toml");
}
