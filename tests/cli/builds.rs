//! Opam metadata all the way to what Nix builds of it, in its sandbox: each package looks for itself at
//! what it was given and fails if that is not what opam would have given it.
#![allow(clippy::unwrap_used)]

#[path = "builds/hostile.rs"]
mod hostile;
#[path = "builds/sources.rs"]
mod sources;
#[allow(dead_code)] // the other test programs use all of it
mod support;
#[path = "builds/unikraft.rs"]
mod unikraft;

use std::{
    env,
    path::PathBuf,
    process::{Command, Output},
};
use support::{Place, Run};

const NIX: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/nix/pkgs.nix");

/// A place with the repository `repo`; none where there is no Nix to test with.
fn place(packages: &[(&str, &str)]) -> Option<Place> {
    let toolchain = env::var("X2NIX_TOOLCHAIN").ok();
    let found = Command::new("nix-build").arg("--version").output().is_ok() && toolchain.is_some();
    let required = env::var_os("X2NIX_REQUIRE_NIX").is_some();
    assert!(found || !required, "X2NIX_REQUIRE_NIX is set, but there is no Nix or toolchain");
    let toolchain = toolchain.filter(|_| found)?;
    let place = Place::with(packages);
    place.write("pkgs.nix", format!("{{ ... }}: import {NIX} {{ toolchain = {toolchain:?}; }}\n"));
    Some(place)
}

/// Runs `x2nix` with the Nix of this test run.
fn x2nix(place: &Place, words: &str) -> Run {
    let mut command = place.command(words);
    for variable in ["PATH", "NIX_CONF_DIR"] {
        command.envs(env::var_os(variable).map(|value| (variable, value)));
    }
    Run::of(&mut command)
}

/// Resolves these roots.
fn resolve(place: &Place, roots: &[&str]) -> Run {
    let roots = roots.iter().flat_map(|root| [" --root ", root]).collect::<String>();
    x2nix(place, &format!("resolve --ecosystem opam --platform x86_64-linux --repo repo{roots} ."))
}

/// Builds one attribute of the lock: its output, or what was said.
fn build(place: &Place, attribute: &str) -> Result<PathBuf, String> {
    let Output { status, stdout, stderr } = Command::new("nix-build")
        .current_dir(place.path("."))
        .args(["x2nix.nix", "--no-out-link", "-A", attribute])
        .args(["--option", "allow-import-from-derivation", "false"])
        .args(["--arg", "pkgs", "import ./pkgs.nix { }"])
        .output()
        .unwrap();
    if status.success() {
        Ok(PathBuf::from(String::from_utf8(stdout).unwrap().trim_end()))
    } else {
        Err(String::from_utf8_lossy(&stderr).into_owned())
    }
}

/// Runs a script in the place; it must succeed. Its standard output.
fn run(place: &Place, script: &str) -> String {
    let output =
        Command::new("bash").args(["-euc", script]).current_dir(place.path(".")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
