//! What a plugin asks for, and what the user lets it do.

use super::{hostile_plugin, support::Place};
use serde_json::{Value, json};
use std::{
    io::Write as _,
    process::{Command, Stdio},
};

#[test]
fn what_a_plugin_asks_for_is_granted_or_it_does_not_run() {
    let place = Place::new();
    place.repository("repo", &[]);
    let words = format!(
        "resolve --ecosystem hostile --platform x86_64-linux --repo repo --root token --plugin {}",
        hostile_plugin().component.display()
    );
    let run = place.x2nix(&words).exits(2);
    assert!(run.stderr.contains("asks for env=HOSTILE_TOKEN, fetch=example.org"), "{}", run.stderr);
    assert!(
        run.stderr.contains("--allow env=HOSTILE_TOKEN --allow fetch=example.org"),
        "{}",
        run.stderr
    );
    let all =
        format!("{words} --allow env=HOSTILE_TOKEN --allow fetch=*.org --allow fetch=example.org");
    let mut command = place.command(&all);
    let output = command.env("HOSTILE_TOKEN", "secret").env("OTHER", "x").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("Some(\"secret\")"), "{told}");
    place.x2nix(&all.replace("--root token", "--root good")).exits(0);
    let lock: Value = serde_json::from_str(&place.read("x2nix.lock.json")).unwrap();
    assert_eq!(lock["plugin"]["grants"], json!(["env=HOSTILE_TOKEN", "fetch=example.org"]));
}

#[test]
fn a_plugin_runs_without_what_the_user_denies() {
    let place = Place::new();
    place.repository("repo", &[]);
    let words = |root: &str| {
        format!(
            "resolve --ecosystem hostile --platform x86_64-linux --repo repo --root {root} --plugin {}",
            hostile_plugin().component.display()
        )
    };
    let flags = "--deny env=HOSTILE_TOKEN --allow fetch=example.org";
    let mut command = place.command(&format!("{} {flags}", words("token")));
    let output = command.env("HOSTILE_TOKEN", "secret").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("the token is None"), "{told}");
    place.x2nix(&format!("{} {flags}", words("good"))).exits(0);
    let lock: Value = serde_json::from_str(&place.read("x2nix.lock.json")).unwrap();
    assert_eq!(lock["plugin"]["grants"], json!(["fetch=example.org"]));
    // The settings say the same.
    let settings = "[plugin.hostile]\ndeny = [\"env=HOSTILE_TOKEN\", \"fetch=*.org\", \"fetch=example.org\"]\n";
    place.write("x2nix.toml", settings);
    place.x2nix(&words("good")).exits(0);
    let lock: Value = serde_json::from_str(&place.read("x2nix.lock.json")).unwrap();
    assert_eq!(lock["plugin"].get("grants"), None);
}

#[test]
fn on_a_terminal_the_user_is_asked() {
    let place = Place::new();
    place.repository("repo", &[]);
    // `script` runs a command on a terminal of its own, and types what comes in.
    let on_a_terminal = |typed: &str| {
        let command = format!(
            "{} resolve --ecosystem hostile --platform x86_64-linux --repo repo --root good --lock out.json --plugin {}",
            env!("CARGO_BIN_EXE_x2nix"),
            hostile_plugin().component.display()
        );
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--command", &command, "/dev/null"])
            .env("XDG_CACHE_HOME", place.path(".cache"))
            .current_dir(place.path(""))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut keys = child.stdin.take().unwrap();
        keys.write_all(typed.as_bytes()).unwrap();
        // Open until it ends, since the end of the input would be that of the terminal.
        let output = child.wait_with_output().unwrap();
        drop(keys);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let question = "asks for env=HOSTILE_TOKEN, fetch=example.org";
    for no in ["n\n", "\n", "what?\n"] {
        let (status, said) = on_a_terminal(no);
        assert!(said.contains(question) && said.contains("[y/N]"), "{said}");
        assert!(status == Some(2) && said.contains("plugin::not-granted"), "{said}");
        assert!(!place.path("out.json").exists());
    }
    let (status, said) = on_a_terminal("y\n");
    assert_eq!(status, Some(0), "{said}");
    let lock: Value = serde_json::from_str(&place.read("out.json")).unwrap();
    assert_eq!(lock["plugin"]["grants"], json!(["env=HOSTILE_TOKEN", "fetch=example.org"]));
}
