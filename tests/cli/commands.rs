//! Which commands of an opam file a lock has, and in which phase.

use super::support::Place;
use serde_json::Value;

/// The phases and words of a root's steps, but for x2nix's own; resolved with tests.
fn steps(opam: &str) -> Vec<String> {
    let place = Place::with(&[("a.1", opam), ("assay.1", "")]);
    place.write("x2nix.toml", "repositories = [\"repo\"]\n");
    place.resolve(". --root a --with-test").exits(0);
    let lock: Value = serde_json::from_str(&place.read("x2nix.lock.json")).unwrap();
    let steps = lock["units"]["a@1"]["recipe"]["steps"].as_array().unwrap();
    let words = |step: &Value| {
        let words: Option<Vec<_>> =
            step["words"].as_array().unwrap().iter().map(|word| word[0].as_str()).collect();
        Some(format!("{}: {}", step["phase"].as_str()?, words?.join(" ")))
    };
    steps.iter().filter_map(words).collect()
}

#[test]
fn tests_that_the_build_command_runs_are_left_to_the_check_phase() {
    let opam = r#"
        depends: ["assay" {with-test}]
        build: [
          ["dune" "subst"] {dev}
          ["dune" "build" "-p" name "@install" "@runtest" {with-test}]
        ]
    "#;
    assert_eq!(
        steps(opam),
        ["build: dune build -p a @install", "check: dune build -p a @install @runtest"]
    );
}

#[test]
fn what_follows_a_command_that_tests_change_is_run_again() {
    let opam = r#"
        depends: ["assay" {with-test}]
        build: [
          ["make" "prepare"]
          ["./configure" "--%{with-test?enable:disable}%-tests"]
          ["make"]
          ["make" "test"] {with-test}
        ]
        run-test: ["make" "more-tests"]
        install: ["make" "install" "TESTED=%{with-test}%"]
    "#;
    assert_eq!(
        steps(opam),
        [
            "build: make prepare",
            "build: ./configure --disable-tests",
            "build: make",
            "check: ./configure --enable-tests",
            "check: make",
            "check: make test",
            "check: make more-tests",
            "install: make install TESTED=false",
        ]
    );
}

#[test]
fn a_build_that_tests_do_not_change_has_no_check() {
    assert_eq!(
        steps(r#"build: ["make"] install: ["make" "install"]"#),
        ["build: make", "install: make install"]
    );
}
