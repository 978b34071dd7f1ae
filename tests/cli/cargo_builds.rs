//! Cargo projects all the way to what Nix builds of them, in its sandbox, beside what cargo itself makes of
//! them.
#![allow(clippy::unwrap_used)]

#[path = "cargo_builds/git.rs"]
mod git;
#[path = "cargo_builds/hostile.rs"]
mod hostile;
#[allow(dead_code)] // the other test programs use all of it
mod support;

use serde_json::Value;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use support::{Place, Run};

const TOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A place with the fixture in `project` and its registry in `registry`; none where there is no Nix or no
/// Rust to test with.
fn place() -> Option<Place> {
    let place = bare()?;
    run(
        &place,
        &format!(
            "cp -R '{TOP}/tests/cargo/fixture/project' . && '{TOP}/tests/cargo/fixture/registry' registry"
        ),
    );
    place.write(
        "project/.cargo/config.toml",
        "[source.crates-io]\nreplace-with = \"local\"\n\n[source.local]\nlocal-registry = \"../registry\"\n",
    );
    Some(place)
}

/// A place with nothing in it but `pkgs.nix`.
fn bare() -> Option<Place> {
    let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let toolchain = set("X2NIX_TOOLCHAIN");
    let found = Command::new("nix-build").arg("--version").output().is_ok()
        && toolchain.is_some()
        && set("X2NIX_RUST").is_some();
    let required = env::var_os("X2NIX_REQUIRE_NIX").is_some();
    assert!(found || !required, "X2NIX_REQUIRE_NIX is set, but there is no Nix, toolchain or Rust");
    let toolchain = toolchain.filter(|_| found)?;
    let place = Place::new();
    let pkgs = format!("{TOP}/tests/nix/pkgs.nix");
    place.write("pkgs.nix", format!("{{ ... }}: import {pkgs} {{ toolchain = {toolchain:?}; }}\n"));
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

/// What a command of Nix says of an attribute of the project's file, or why it does not.
fn nix(place: &Place, command: &str, attribute: &str) -> Result<String, String> {
    let Output { status, stdout, stderr } = Command::new(command)
        .current_dir(place.path("."))
        .args(["project/x2nix.nix", "-A", attribute])
        .args(["--option", "allow-import-from-derivation", "false"])
        .args(["--arg", "pkgs", "import ./pkgs.nix { }"])
        .args((command == "nix-build").then_some("--no-out-link"))
        .output()
        .unwrap();
    if status.success() {
        Ok(String::from_utf8(stdout).unwrap().trim_end().to_owned())
    } else {
        Err(String::from_utf8_lossy(&stderr).into_owned())
    }
}

fn build(place: &Place, attribute: &str) -> Result<PathBuf, String> {
    nix(place, "nix-build", attribute).map(PathBuf::from)
}

/// The derivation of an attribute.
fn derivation(place: &Place, attribute: &str) -> String {
    nix(place, "nix-instantiate", attribute).unwrap()
}

/// Runs a script in the place; it must succeed. Its standard output.
fn run(place: &Place, script: &str) -> String {
    let output =
        Command::new("bash").args(["-euc", script]).current_dir(place.path(".")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What a program of an output says.
fn says(output: &Path, program: &str) -> String {
    let output = Command::new(output.join("bin").join(program)).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// What the fixture says, built by cargo itself.
fn of_cargo(place: &Place) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--release", "--offline", "--quiet", "--bin", "app"])
        .current_dir(place.path("project"))
        .env("CARGO_HOME", place.path("home"))
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // It leaves a lock file and a folder with its mark.
    fs::remove_file(place.path("project/Cargo.lock")).unwrap();
    assert!(place.path("project/target/CACHEDIR.TAG").exists());
    String::from_utf8(output.stdout).unwrap()
}

fn lock(place: &Place) -> Value {
    serde_json::from_str(&place.read("project/x2nix.lock.json")).unwrap()
}

#[test]
fn crates_are_built_one_by_one_as_cargo_builds_them() {
    let Some(place) = place() else { return };
    let expected = of_cargo(&place);
    assert!(expected.contains("HELLO!!!\n") && expected.contains("named Lighthouse by 3\n"));
    x2nix(&place, "resolve --ecosystem cargo project").exits(0);
    let app = build(&place, "app").unwrap();
    assert_eq!(says(&app, "app"), expected);
    assert_eq!(says(&app, "second"), "second 2\n");
    // What lacks its features is not there, and neither is what was made for others.
    assert!(!app.join("bin/secret").exists() && !app.join("lib").exists());
    assert!(!app.join("nix-support").exists());

    // It refers to nothing of Rust: no library, no compiler.
    let toolchain = env::var("X2NIX_TOOLCHAIN").unwrap();
    let references = run(&place, &format!("nix-store --query --references {}", app.display()));
    assert_eq!(references, toolchain);

    // What is made for C is called as C looks for it, and refers to nothing of Rust either.
    let clib = build(&place, "clib").unwrap();
    assert_eq!(run(&place, &format!("ls {}/*", clib.display())), "libclib.a\nlibclib.so");
    run(
        &place,
        &format!("! nix-store --query --references {} | grep -v {toolchain}", clib.display()),
    );
    place.write("main.c", "#include <stdio.h>\nsize_t clib_length(void);\nint main(void) { printf(\"%zu\\n\", clib_length()); }\n");
    for library in ["libclib.a", "libclib.so"] {
        let link =
            format!("cc main.c {0}/lib/{library} -Wl,-rpath,{0}/lib -lm -o main", clib.display());
        assert_eq!(run(&place, &format!("{link} && ./main")), "8");
    }

    // Each crate is one derivation for each place and set of features.
    let lock = lock(&place);
    let units: Vec<&String> = lock["units"].as_object().unwrap().keys().collect();
    let expected = [
        "app@0.4.2",
        "app@0.4.2:library",
        "clib@0.4.2",
        "counted@2.0.0",
        "counted@2.0.0:build",
        "name-it@1.0.0:build",
        "shout@0.9.1",
        "shout@1.2.0",
        "stub-sys@0.3.0",
        "stub@0.3.1",
        "tokens@0.5.0:build",
        "words@0.4.2",
        "x2nix-cargo@runtime",
    ];
    assert_eq!(units, expected);
    let meta = &lock["units"]["app@0.4.2"]["meta"];
    assert_eq!(meta["licenses"], serde_json::json!(["MIT OR Apache-2.0"]));
    assert_eq!(meta["main_program"], "app");
    assert_eq!(lock["units"]["shout@1.2.0"]["meta"]["purl"], "pkg:cargo/shout@1.2.0");
    let edges = &lock["units"]["app@0.4.2"]["depends"];
    assert!(
        edges
            .as_array()
            .unwrap()
            .contains(&serde_json::json!({"unit": "name-it@1.0.0:build", "role": "build"}))
    );

    // On several platforms it is mostly the same unit.
    x2nix(&place, "resolve --ecosystem cargo --platform x86_64-linux --platform aarch64-linux --lock both.json --nix both.nix project").exits(0);
    let both: Value = serde_json::from_str(&place.read("both.json")).unwrap();
    assert_eq!(both["units"].as_object().unwrap().len(), units.len());

    // Another project with the same crate has the same derivation, and the other form of the file too.
    let shared = derivation(&place, "\"shout@1.2.0\"");
    let program = derivation(&place, "app");
    // The same again, bit by bit.
    run(&place, &format!("nix-store --realise --check {program} > /dev/null"));
    x2nix(&place, "emit --standalone --lock project/x2nix.lock.json --nix project/x2nix.nix")
        .exits(0);
    assert_eq!(derivation(&place, "app"), program);
    run(&place, "rm -r project/words project/clib project/x2nix.* project/app/src/{bin,lib.rs}");
    place.write("project/Cargo.toml", "[workspace]\nmembers = [\"app\"]\n[profile.release]\ncodegen-units = 1\npanic = \"abort\"\n");
    place.write("project/app/Cargo.toml", "[package]\nname = \"other\"\n[dependencies]\nshout = { version = \"1\", features = [\"loud\"] }\n");
    place.write(
        "project/app/src/main.rs",
        "extern crate shout;\nfn main() { println!(\"{}\", shout::shout(\"ho\")) }\n",
    );
    x2nix(&place, "resolve --ecosystem cargo project").exits(0);
    assert_eq!(derivation(&place, "shout"), shared);
    assert_eq!(says(&build(&place, "other").unwrap(), "other"), "HO!!!\n");
}

#[test]
fn a_workspace_is_built_as_a_whole_by_cargo() {
    let Some(place) = place() else { return };
    let expected = of_cargo(&place);
    x2nix(&place, "resolve --ecosystem cargo --build workspace project").exits(0);
    let app = build(&place, "app").unwrap();
    assert_eq!(says(&app, "app"), expected);
    assert!(app.join("bin/second").exists() && !app.join("bin/secret").exists());
    assert!(app.join("lib/libclib.a").exists() && app.join("lib/libclib.so").exists());
    let toolchain = env::var("X2NIX_TOOLCHAIN").unwrap();
    let references = run(&place, &format!("nix-store --query --references {}", app.display()));
    assert_eq!(references, toolchain);
    // With its tests.
    place.write("project/words/src/tests.rs", "");
    place.edit(
        "project/words/src/lib.rs",
        "/// What",
        "#[test]\nfn there_are_two() { assert_eq!(WORDS.len(), 3) }\n/// What",
    );
    build(&place, "app").unwrap();
    let error = build(&place, "checks.app").unwrap_err();
    assert!(error.contains("there_are_two"), "{error}");

    x2nix(&place, "resolve --ecosystem cargo --build workspace --features app/secret project")
        .exits(0);
    // The choice is kept in the lock, and in settings.
    place.write("project/x2nix.toml", "[options]\nbuild = \"nothing\"\n");
    run(&place, "rm project/x2nix.lock.json");
    x2nix(&place, "resolve --ecosystem cargo project").exits(0);
    assert!(lock(&place).get("units").is_none());
}

/// A crate that finds a library by pkg-config is used where the result runs, and where the build does.
#[test]
fn libraries_of_the_system_are_found_in_both_places() {
    let files = [
        (
            "Cargo.toml",
            "[package]\nname = \"odd\"\nversion = \"1.0.0\"\nedition = \"2021\"\nlinks = \"z\"\n",
        ),
        (
            "build.rs",
            r#"fn main() {
    let output = std::process::Command::new("pkg-config").args(["--libs", "zlib"]).output().expect("pkg-config");
    assert!(output.status.success(), "{output:?}");
    for word in String::from_utf8(output.stdout).expect("text").split_whitespace() {
        match word.split_at(2) {
            ("-l", name) => println!("cargo:rustc-link-lib={name}"),
            ("-L", folder) => println!("cargo:rustc-link-search=native={folder}"),
            _ => {}
        }
    }
}
"#,
        ),
        (
            "src/lib.rs",
            "unsafe extern \"C\" { fn zlibVersion() -> *const std::ffi::c_char; }
             pub fn version() -> String {
                 // SAFETY: it takes nothing and gives a string that stays.
                 unsafe { std::ffi::CStr::from_ptr(zlibVersion()) }.to_string_lossy().into_owned()
             }",
        ),
    ];
    let Some(place) = hostile::with_odd(&files, "\"features\":{},\"links\":\"z\"") else { return };
    place.edit(
        "project/words/Cargo.toml",
        "[build-dependencies]\n",
        "[build-dependencies]\nodd = \"1\"\n",
    );
    place.edit("project/words/build.rs", "tokens={}\"", "tokens={} zlib={}\"");
    place.edit(
        "project/words/build.rs",
        "counted::tokens());",
        "counted::tokens(), odd::version());",
    );
    place.edit(
        "project/app/src/main.rs",
        "fn main() {",
        "fn main() { println!(\"zlib {}\", odd::version());",
    );
    x2nix(&place, "resolve --ecosystem cargo project").exits(0);
    assert!(build(&place, "app").unwrap_err().contains("pkg-config"));

    let mut versions = Vec::new();
    for settings in [
        "[system]\nz = { host = [\"zlib\"], build = [\"pkg-config\"] }\n",
        "[[override]]\npackage = \"odd@1\"\nreason = \"it asks for it\"\ninputs = { host = [\"zlib\"], build = [\"pkg-config\"] }\n",
    ] {
        place.write("project/x2nix.toml", settings);
        x2nix(&place, "resolve --ecosystem cargo project").exits(0);
        let app = build(&place, "app").unwrap();
        let said = says(&app, "app");
        let (zlib, rest) = said.strip_prefix("zlib ").unwrap().split_once('\n').unwrap();
        assert!(rest.contains(&format!(" zlib={zlib} ")), "{said}");
        versions.push(app);
    }
    assert_eq!(versions[0], versions[1]);
    // Who is not of the project cannot be meant.
    place.write(
        "project/x2nix.toml",
        "[[override]]\npackage = \"odd>=2\"\nreason = \"x\"\nskip-tests = true\n",
    );
    x2nix(&place, "resolve --ecosystem cargo project").exits(0).says("odd>=2");
    place.write(
        "project/x2nix.toml",
        "[[override]]\npackage = \"odd one\"\nreason = \"x\"\nskip-tests = true\n",
    );
    x2nix(&place, "resolve --ecosystem cargo project").exits(2).says("does not name a crate");
    // Another compiler, by the name that the package set has for it.
    place.write("project/x2nix.toml", "[system]\nrustc = { build = [\"rustc-nightly\"] }\n");
    x2nix(&place, "resolve --ecosystem cargo project").exits(0);
    assert!(build(&place, "app").unwrap_err().contains("pkgs.rustc-nightly"));
}

#[test]
fn the_example_is_built_and_run() {
    let Some(place) = bare() else { return };
    run(&place, &format!("cp -R '{TOP}/examples/cargo' project"));
    x2nix(&place, "resolve --ecosystem cargo project").exits(0);
    let hello = build(&place, "hello").unwrap();
    assert_eq!(says(&hello, "hello"), "\u{1b}[33mHello\u{1b}[0m\n");
}

#[test]
fn a_program_of_ocaml_links_a_crate() {
    let Some(place) = bare() else { return };
    run(&place, &format!("cp -R '{TOP}'/examples/* . && mv ocaml-and-rust project"));
    x2nix(&place, "resolve project").exits(0);
    let salute = build(&place, "salute").unwrap();
    assert_eq!(says(&salute, "salute"), "Hello, says Rust. HELLO, says OCaml.\n");
    // What is in the program needs nothing of Rust any more.
    let references = run(&place, &format!("nix-store --query --references {}", salute.display()));
    assert!(!references.contains("salute-text") && !references.contains("rust"), "{references}");
    // What works by hand has the library as well.
    assert!(derivation(&place, "devShells.default").ends_with(".drv"));
}
