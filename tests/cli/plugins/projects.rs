//! Projects that `plugin new` makes, and the tutorial.

use super::{WORKSPACE, support::Place};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Makes, builds and tests a project.
fn new_project(place: &Place, lang: &str, path: Option<&Path>) {
    let sdk = Path::new(WORKSPACE).join("plugin-abi/sdk");
    place.x2nix(&format!("plugin new toy --lang {lang} --sdk {}", sdk.display())).exits(0);
    let mut build = Command::new(place.path("toy/build"));
    build.env("X2NIX", env!("CARGO_BIN_EXE_x2nix"));
    if lang == "rust" {
        build.env("CARGO_TARGET_DIR", Path::new(WORKSPACE).join("target/new-plugin"));
    }
    if let Some(path) = path {
        let old = std::env::var("PATH").unwrap();
        build.env("PATH", format!("{}:{old}", path.display()));
    }
    let output = build.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for file in ["toy.wasm", "toy.so"] {
        if !place.path("toy").join(file).exists() {
            assert_eq!((file, ["python", "javascript"].contains(&lang)), ("toy.so", true));
            continue;
        }
        let run = place
            .x2nix(&format!("plugin test toy/{file} --trust-native --scenarios toy/scenarios"))
            .exits(0);
        assert!(run.stdout.lines().count() > 10, "{}", run.stdout);
    }
}

#[test]
fn a_new_project_in_rust_passes_the_kit() {
    new_project(&Place::new(), "rust", None);
}

#[test]
fn a_new_project_in_c_passes_the_kit() {
    new_project(&Place::new(), "c", None);
}

/// A tool that `tests/run` installs; without it the test says so and does nothing.
fn tool(variable: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable).map(PathBuf::from);
    assert!(
        folder.is_some() || std::env::var_os("X2NIX_REQUIRE_NIX").is_none(),
        "tests/run sets {variable}"
    );
    folder
}

#[test]
fn a_new_project_in_python_passes_the_kit() {
    let Some(tools) = tool("X2NIX_COMPONENTIZE_PY") else { return };
    new_project(&Place::new(), "python", Some(&tools));
}

#[test]
fn a_new_project_in_javascript_passes_the_kit() {
    let Some(tools) = tool("X2NIX_COMPONENTIZE_JS") else { return };
    new_project(&Place::new(), "javascript", Some(&tools));
}

/// Follows `docs/plugins.md` word by word: all its `sh` blocks, in a fresh folder.
#[test]
fn the_tutorial_holds() {
    let text = fs::read_to_string(Path::new(WORKSPACE).join("docs/plugins.md")).unwrap();
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut script = String::from("set -eu\n");
    for block in blocks {
        if block.contains("nix-build") {
            let Ok(toolchain) = std::env::var("X2NIX_TOOLCHAIN") else { continue };
            let stand_in =
                format!("import {WORKSPACE}/tests/nix/pkgs.nix {{ toolchain = \"{toolchain}\"; }}");
            assert!(block.contains("import <nixpkgs> { }"));
            script.push_str(&block.replace("import <nixpkgs> { }", &stand_in));
            script.push_str("cat result/share/greeting.txt\n");
        } else {
            script.push_str(block);
        }
    }
    let place = Place::new();
    let folder = Path::new(env!("CARGO_BIN_EXE_x2nix")).parent().unwrap();
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(place.path("."))
        .env("PATH", format!("{}:{}", folder.display(), std::env::var("PATH").unwrap()))
        .env("XDG_CACHE_HOME", place.path(".cache"))
        .env("X2NIX_SOURCE", WORKSPACE)
        .env("CARGO_TARGET_DIR", Path::new(WORKSPACE).join("target/new-plugin"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    if std::env::var_os("X2NIX_TOOLCHAIN").is_some() {
        assert!(String::from_utf8_lossy(&output.stdout).ends_with("Good morning"));
    }
    let lock: Value = serde_json::from_str(&place.read("x2nix.lock.json")).unwrap();
    assert_eq!(lock["units"]["greeting@2.0"]["depends"][0]["unit"], "name@1.5");
}
