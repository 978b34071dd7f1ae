//! A plain monorepo: its dependencies are vendored, a program of them writes OCaml while the project is
//! built, a library has a stub in C and needs a library of the system, a tool is built apart; it is built in
//! Nix's sandbox and run, and compiled by hand in the shell.
//!
//! `tests/monorepo` has the packages and the project.

use crate::{
    build, built, copy, package_set, said,
    support::{Place, Run},
};
use serde_json::Value;
use std::{path::Path, process::Command};

const SAYS: &str = "stamped for census: 120 orders of aeiou (tally 1.0)\n";

fn census() -> Place {
    let place = Place::new();
    copy(Path::new(&format!("{}/monorepo", crate::SOURCES)), &place.path("."));
    place
}

fn lock(place: &Place) -> Value {
    serde_json::from_str(&place.read("project/x2nix.lock.json")).unwrap()
}

/// Builds an expression over the project, `x`, and the package set, `pkgs`.
pub(crate) fn expression(place: &Place, text: &str) -> String {
    let whole = format!(
        "let pkgs = import ./pkgs.nix {{ }}; x = import ./project/x2nix.nix {{ inherit pkgs; }}; in {text}"
    );
    let mut command = Command::new("nix-build");
    command.current_dir(place.path(".")).args(["--no-out-link", "-E", &whole]);
    let run = Run::of(command.args(["--option", "allow-import-from-derivation", "false"])).exits(0);
    run.stdout.trim_end().to_owned()
}

/// Evaluates an expression to a string.
fn evaluated(place: &Place, text: &str) -> String {
    let whole = format!(
        "let pkgs = import ./pkgs.nix {{ }}; x = import ./project/x2nix.nix {{ inherit pkgs; }}; in {text}"
    );
    let mut command = Command::new("nix-instantiate");
    command.current_dir(place.path(".")).args(["--eval", "--strict", "--json", "-E", &whole]);
    serde_json::from_str(&Run::of(&mut command).exits(0).stdout).unwrap()
}

#[test]
fn a_monorepo_is_locked_built_and_run() {
    let place = census();
    place.resolve("project").exits(0);
    let lock = lock(&place);
    let packages = lock["packages"].as_object().unwrap();
    let workspace = packages.iter().filter(|(_, it)| it["placement"] == "workspace");
    let workspace: Vec<_> = workspace.map(|(id, _)| id.as_str()).collect();
    assert_eq!(workspace, ["alphabet-gen@1.0", "alphabet@1.0", "tally@1.0"]);
    assert!(packages.contains_key("stamp@1.0:host"), "{packages:?}");
    // Two of them are one source.
    let sources = lock["units"]["duniverse"]["recipe"]["sources"].as_array().unwrap();
    let folders: Vec<_> = sources.iter().map(|it| it["to"].as_str().unwrap()).collect();
    assert_eq!(folders, ["alphabet", "tally"]);

    let Some(()) = package_set(&place) else { return };
    let program = built(&place, "census").join("bin/census");
    assert_eq!(said(&program, &[]), SAYS);
    built(&place, "checks.census");
    let again = build(&place, "census", &["--check"]);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
}

#[test]
fn what_is_pinned_is_compiled_with_the_rest() {
    let place = census();
    copy(&place.path("repo/sources/tally"), &place.path("pinned"));
    place.write(
        "pinned/tally.opam",
        "opam-version: \"2.0\"\ndepends: [\"dune\" \"conf-gmp\"]\nbuild: [\"dune\" \"build\"]\nsubsts: [\"tally_version.ml\"]\n",
    );
    let opam = place.read("project/census.opam");
    place.write("project/census.opam", opam + "pin-depends: [\"tally.9.9\" \"../pinned\"]\n");
    place.resolve("project").exits(0);
    assert_eq!(lock(&place)["packages"]["tally@9.9"]["placement"], "workspace");
    let Some(()) = package_set(&place) else { return };
    // The patch is the repository's; without it the digits are those of nine.
    let says = SAYS.replace("120", "143").replace("tally 1.0", "tally 9.9");
    assert_eq!(said(&built(&place, "census").join("bin/census"), &[]), says);
}

#[test]
fn what_the_host_provides_can_be_said_on_the_command_line() {
    let place = census();
    place.resolve("project").exits(0);
    let sets = |place: &Place| {
        let lock = lock(place);
        (lock["packages"].clone(), lock["units"].clone())
    };
    let said = sets(&place);
    place.edit("project/census.opam", "x-opam-monorepo-opam-provided: [\"stamp\"]\n", "");
    place.resolve("project").exits(1).says("stamp").says("does not build with dune");
    place.resolve("--opam-provided stamp project").exits(0);
    assert_eq!(sets(&place), said);
}

#[test]
fn a_monorepo_is_compiled_by_hand_in_its_shell() {
    let place = census();
    let Some(()) = package_set(&place) else { return };
    place.resolve("project").exits(0);
    let by_hand = expression(
        &place,
        r#"pkgs.runCommand "by-hand" { inherit (x.devShells.default) nativeBuildInputs buildInputs; } ''
          enter() {
            ${x.devShells.default.shellHook}
          }
          # Elsewhere nothing is put in place.
          enter 2>&1 | grep "as census.opam is not here"
          cp -R ${x.census.src} project
          chmod -R u+w project
          cd project
          enter
          export HOME=$PWD
          dune build --root .
          dune runtest --root .
          ./_build/default/bin/census.exe > $out
          # What is changed by hand stays.
          echo 'let version = "mine"' >> duniverse/tally/tally.ml
          enter
          dune exec --root . ./bin/census.exe >> $out
          cut -f 1 .x2nix/placed >> $out
        ''"#,
    );
    let says = std::fs::read_to_string(by_hand).unwrap();
    assert_eq!(says, format!("{SAYS}{}duniverse\n", SAYS.replace("tally 1.0", "mine")));

    // What the shell has put there is no part of the project.
    let before = evaluated(&place, "x.census.drvPath");
    place.write("project/.x2nix/placed", "duniverse\t/store/duniverse\n");
    place.write("project/duniverse/tally/dune", "(library)\n");
    assert_eq!(evaluated(&place, "x.census.drvPath"), before);
    place.write("project/bin/more.ml", "");
    assert_ne!(evaluated(&place, "x.census.drvPath"), before);
}

#[test]
fn a_unikernel_is_compiled_by_hand_in_its_shell() {
    let place = crate::miniature();
    let Some(()) = package_set(&place) else { return };
    // The unikernel may lie in a folder of the project.
    for file in ["config.ml", "unikernel.ml"] {
        let text = place.read(&format!("project/{file}"));
        place.write(&format!("project/kernel/{file}"), text);
        std::fs::remove_file(place.path(&format!("project/{file}"))).unwrap();
    }
    let words = "--target spt --target unix --mirage-config kernel/config.ml --mirage-arg you";
    crate::resolve(&place, words);
    let lines = |from: &str| format!("HELLO! WORLD!, from {from}\nHELLO! YOU!, from {from}\n");
    assert_eq!(said(&built(&place, "unix").join("hello"), &[]), lines("the host"));
    let image = built(&place, "spt").join("hello.spt");
    let loader = built(&place, "spt-scope.mini").join("bin/mini-run");
    assert_eq!(said(&loader, &[image.to_str().unwrap()]), lines("mini"));

    // A shell for each; the one for all sets nothing up, as they would be in each other's way.
    let by_hand = |target: &str, file: &str| {
        expression(
            &place,
            &format!(
                r#"pkgs.runCommand "by-hand" {{ inherit (x.devShells.{target}) nativeBuildInputs buildInputs; }} ''
                  cp -R ${{x.{target}.src}} project
                  chmod -R u+w project
                  cd project
                  ${{x.devShells.{target}.shellHook}}
                  export HOME=$PWD
                  dune build --profile release --root . ./kernel/dist
                  cp kernel/dist/{file} $out
                ''"#
            ),
        )
    };
    let image = by_hand("spt", "hello.spt");
    assert_eq!(said(&loader, &[&image]), lines("mini"));
    assert_eq!(said(Path::new(&by_hand("unix", "hello")), &[]), lines("the host"));
    assert!(evaluated(&place, "x.devShells.default.shellHook").contains("devShells.NAME"));

    // What a shell has put there configures nothing.
    place.write("project/.x2nix/placed", "kernel/mirage/hello-spt.opam\t/store/configured\n");
    place.write("project/kernel/mirage/hello-spt.opam", "opam-version: \"2.0\"\n");
    let before = place.read("project/x2nix.lock.json");
    crate::resolve(&place, words);
    assert_eq!(place.read("project/x2nix.lock.json"), before);
}
