//! The Cargo plugin in files of its own.

use super::{
    Built, WORKSPACE, built,
    server::{Reply, Server},
    support::Place,
};
use serde_json::Value;
use std::{fs, process::Command, sync::OnceLock};

fn cargo() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    built(&BUILT, "x2nix-cargo-plugin")
}

/// What carries the plugin, each with what else it needs to run.
fn carriers() -> [String; 3] {
    let Built { component, native } = cargo();
    [
        format!("--plugin {}", component.display()),
        format!("--plugin {} --trust-native", native.display()),
        format!("--plugin {} --trust-native --isolate --validate-plugin", native.display()),
    ]
}

/// The lock that a request gives, without what it says of the plugin.
fn lock(place: &Place, words: &str) -> Value {
    let words = format!("resolve --ecosystem cargo app --lock - --nix /dev/null {words}");
    let mut lock = place.x2nix(&words).exits(0).json();
    lock.as_object_mut().unwrap().remove("plugin").unwrap();
    lock
}

#[test]
fn a_project_gets_the_same_lock_whatever_carries_the_plugin() {
    let place = Place::new();
    let example = format!("{WORKSPACE}/examples/cargo");
    let copied = Command::new("cp").args(["-R", &example]).arg(place.path("app")).status().unwrap();
    assert!(copied.success());
    let linked_in = lock(&place, "");
    assert!(linked_in["units"].as_object().unwrap().contains_key("hello@0.1.0"));
    for carrier in carriers() {
        // Its registry is in the project, so nothing is fetched.
        assert_eq!(lock(&place, &format!("{carrier} --deny fetch=*")), linked_in, "{carrier}");
    }
}

#[test]
fn an_index_elsewhere_is_read_through_the_host_where_the_user_grants_it() {
    let entry = |name: &str, needs: &str| {
        let checksum = "0".repeat(64);
        format!(
            r#"{{"name":"{name}","vers":"1.0.0","deps":[{needs}],"cksum":"{checksum}","features":{{}},"yanked":false}}"#
        )
    };
    let second = r#"{"name":"second","req":"1","features":[],"optional":false,"default_features":true,"target":null,"kind":"normal"}"#;
    let server = Server::new(move |asked, _| match asked.line.split(' ').nth(1) {
        Some("/index/fi/rs/first") => Reply::new(200, entry("first", second)),
        Some("/index/se/co/second") => Reply::new(200, entry("second", "")),
        _ => Reply::new(404, ""),
    });
    let place = Place::new();
    place.write("app/src/main.rs", "fn main() {}\n");
    let manifest = "[package]\nname = \"app\"\nversion = \"1.0.0\"\nedition = \"2021\"\n[dependencies]\nfirst = \"1\"\n";
    place.write("app/Cargo.toml", manifest);
    let config = format!(
        "[source.crates-io]\nreplace-with = \"mirror\"\n[source.mirror]\nregistry = \"sparse+{}\"\n",
        server.url("index/")
    );
    place.write("app/.cargo/config.toml", config);
    let linked_in = lock(&place, "--build nothing");
    let packages: Vec<_> = linked_in["packages"].as_object().unwrap().keys().collect();
    assert_eq!(packages, ["app@1.0.0:path .", "first@1.0.0", "second@1.0.0"]);
    for carrier in carriers() {
        let with = |grants: &str| format!("--build nothing {carrier} {grants}");
        assert_eq!(lock(&place, &with("--allow fetch=127.0.0.1")), linked_in, "{carrier}");
        assert_eq!(lock(&place, &with("--allow fetch=*")), linked_in, "{carrier}");
        let refused = |grants: &str, status| {
            let words = format!("resolve --ecosystem cargo app --dry-run {}", with(grants));
            place.x2nix(&words).exits(status)
        };
        server.asked();
        refused("", 2).says("asks for fetch=*");
        for grants in ["--allow fetch=example.org", "--deny fetch=*"] {
            refused(grants, 2).says("may not fetch from 127.0.0.1");
        }
        assert!(server.asked().is_empty());
    }
}

#[test]
fn the_plugin_passes_the_kit() {
    let place = Place::new();
    let scenarios = format!("{WORKSPACE}/ecosystems/cargo/plugin/scenarios");
    let count = fs::read_dir(&scenarios).unwrap().count();
    for file in [&cargo().component, &cargo().native] {
        let words =
            format!("plugin test {} --trust-native --scenarios {scenarios}", file.display());
        let run = place.x2nix(&words).exits(0);
        assert!(run.stdout.lines().count() > 5 * count, "{}", run.stdout);
    }
}
