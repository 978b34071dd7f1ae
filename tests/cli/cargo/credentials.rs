//! Registries that want to know who asks.

use super::{
    config::{NOTHING, both, x2nix},
    entry,
    server::{Reply, Server},
};
use crate::support::Place;
use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

const TOKEN: &str = "zE5aR-tOken";
const RESOLVE: &str = "resolve --ecosystem cargo app --build nothing --update";
const VARIABLE: &str = "CARGO_REGISTRIES_OUR_OWN_TOKEN";

/// A registry that tells nothing to who does not have the token; in the end, as `last` says.
fn registry(last: impl Fn() -> Reply + Send + 'static) -> Server {
    Server::new(move |asked, _| {
        if asked.header("authorization") != Some(TOKEN) {
            return Reply::new(401, "").header("WWW-Authenticate", "Cargo login_url=\"x:\"");
        }
        match asked.line.split(' ').nth(1) {
            Some("/index/config.json") => {
                Reply::new(200, "{\"dl\": \"http://127.0.0.1/\", \"auth-required\": true}")
            }
            Some("/index/3/o/own") => last(),
            Some("/index/3/t/too") => Reply::new(200, entry("too", "1.0.0", false)),
            _ => Reply::new(404, ""),
        }
    })
}

fn own() -> Reply {
    Reply::new(200, entry("own", "1.4.0", false))
}

/// A project that needs crates of the registry, which it names itself.
fn project(server: &Server) -> Place {
    let place = Place::new();
    place.write("app/src/main.rs", "fn main() {}\n");
    place.write(
        "app/Cargo.toml",
        "[package]\nname = \"app\"\nversion = \"1.0.0\"\nedition = \"2021\"\n[dependencies]\nown = { version = \"1\", registry = \"our-own\" }\ntoo = { version = \"1\", registry = \"our-own\" }\n",
    );
    let index = server.url("index/");
    place.write(
        "app/.cargo/config.toml",
        format!("[registries.our-own]\nindex = \"sparse+{index}\"\n"),
    );
    place
}

fn script(place: &Place, file: &str, text: &str) -> String {
    place.write(file, format!("#!/bin/sh\n{text}"));
    let path = place.path(file);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Answers as cargo's protocol has it.
fn helper(place: &Place, answer: &str) -> String {
    let text = format!(
        "[ \"$1\" = --cargo-plugin ] || exit 1\necho '{{\"v\":[1]}}'\nread -r request\n\
         case $request in *'\"our-own\"'*) echo '{answer}';; *) echo '{{\"Err\":{{\"kind\":\"not-found\"}}}}';; esac\n"
    );
    script(place, "helper", &text)
}

/// The token is nowhere but with its owner.
fn nowhere(place: &Place) {
    let kept = Command::new("grep")
        .args(["-rl", TOKEN, "app", ".cache"])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(kept.stdout).unwrap(), "");
}

#[test]
fn a_registry_is_told_what_cargo_would_tell_it() {
    let lines = "name = \"own\"\nversion = \"1.4.0\"\n";
    let global =
        |providers: &str| format!("[registry]\nglobal-credential-providers = [{providers}]\n");
    let server = registry(own);
    let place = project(&server);
    place.write("home/config.toml", global("\"cargo:token\""));
    both(&place, (VARIABLE, TOKEN), lines);
    nowhere(&place);

    let place = project(&server);
    place.write("home/config.toml", global("\"cargo:token\""));
    place.write("home/credentials.toml", format!("[registries.our-own]\ntoken = \"{TOKEN}\"\n"));
    both(&place, NOTHING, lines);
    nowhere(&place);

    // A program that knows it; one that does not goes before.
    let place = project(&server);
    let answer = format!(
        "{{\"Ok\":{{\"kind\":\"get\",\"token\":\"{TOKEN}\",\"cache\":\"session\",\"operation_independent\":true}}}}"
    );
    let helper = helper(&place, &answer);
    place.write("home/config.toml", global(&format!("\"{helper}\", \"cargo:token\"")));
    both(&place, NOTHING, lines);
    nowhere(&place);

    // By another name, and for this registry alone.
    let alias = format!("[credential-alias]\nknows = [\"{helper}\"]\n");
    let alone = "[registries.our-own]\ncredential-provider = \"knows\"\n";
    place.write("home/config.toml", format!("{alias}{alone}"));
    both(&place, NOTHING, lines);

    let place = project(&server);
    let writer = script(&place, "writer", &format!("echo {TOKEN}\n"));
    place.write("home/config.toml", global(&format!("\"cargo:token-from-stdout {writer}\"")));
    both(&place, NOTHING, lines);
    nowhere(&place);
    drop(server);

    // It is asked for once, and not for each file.
    let server = registry(own);
    let place = project(&server);
    x2nix(&place, RESOLVE, (VARIABLE, TOKEN)).exits(0);
    let asked = server.asked();
    let without = asked.iter().filter(|it| it.header("authorization").is_none()).count();
    assert!(without <= 2 && asked.len() <= 4, "{asked:?}");
    // What is in the cache needs nobody.
    x2nix(&place, &format!("{RESOLVE} --offline"), NOTHING).exits(0);
}

#[test]
fn who_is_not_known_is_told_how_to_log_in_and_no_secret_is_shown() {
    let server = registry(own);
    let place = project(&server);
    let run = x2nix(&place, RESOLVE, NOTHING).exits(3).says("401");
    run.says("cargo login --registry our-own").says(VARIABLE);
    let run = x2nix(&place, RESOLVE, (VARIABLE, "0ther")).exits(3);
    assert!(!run.stderr.contains("0ther"), "{}", run.stderr);
    run.says("does not take the token");
    let run = x2nix(&place, RESOLVE, (VARIABLE, "two\nlines")).exits(3);
    assert!(!run.stderr.contains("lines"), "{}", run.stderr);

    let with = |provider: &str| {
        let text = format!("[registry]\nglobal-credential-providers = [\"{provider}\"]\n");
        place.write("home/config.toml", text);
        x2nix(&place, RESOLVE, NOTHING).exits(3)
    };
    with("no-such-program").says("no-such-program cannot be run");
    with("cargo:libsecret").says("built into cargo");
    let refusing = "{\"Err\":{\"kind\":\"other\",\"message\":\"the vault is shut\"}}";
    with(&helper(&place, refusing)).says("the vault is shut");
    let run = with(&helper(&place, "s3cret, and no JSON")).says("does not speak version 1");
    assert!(!run.stderr.contains("s3cret"), "{}", run.stderr);
    with(&script(&place, "silent", "exit 0\n")).says("does not speak version 1");
    let text = format!("[registries.our-own]\ntoken = {TOKEN}\n");
    place.write("home/credentials.toml", text);
    let run = x2nix(&place, RESOLVE, NOTHING).exits(2).says("credentials.toml");
    assert!(!run.stderr.contains(TOKEN), "{}", run.stderr);
}

#[test]
fn a_secret_goes_nowhere_else_and_a_project_runs_nothing() {
    // Sent on to another server, which gets no token.
    let other = Server::new(|_, _| own());
    let elsewhere = other.url("own").replace("127.0.0.1", "localhost");
    let server = registry(move || Reply::new(302, "").header("Location", &elsewhere));
    let place = project(&server);
    x2nix(&place, RESOLVE, (VARIABLE, TOKEN)).exits(0);
    let asked = other.asked();
    assert!(!asked.is_empty() && asked.iter().all(|it| it.header("authorization").is_none()));
    drop(server);

    let server = registry(own);
    let place = project(&server);
    let trap = script(&place, "trap", "echo > sprung\n");
    let config = place.read("app/.cargo/config.toml");
    place.write("app/.cargo/config.toml", format!("{config}credential-provider = \"{trap}\"\n"));
    x2nix(&place, RESOLVE, (VARIABLE, TOKEN)).exits(0);
    x2nix(&place, RESOLVE, NOTHING).exits(3);
    assert!(!place.path("sprung").exists());
}
