//! Two ecosystems in one project: one solve, one lock, and edges across the border.

use crate::support::{Place, Run};
use insta::assert_snapshot;
use std::{collections::BTreeSet, process::Command};

/// The examples, of which one joins opam and Cargo.
fn place() -> Place {
    let place = Place::new();
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    for example in ["ocaml-and-rust", "hello", "cargo"] {
        let from = format!("{examples}/{example}");
        assert!(
            Command::new("cp").args(["-R", &from]).arg(place.path(".")).status().unwrap().success()
        );
    }
    // What a lock has is kept; here everything is chosen anew.
    std::fs::remove_file(place.path("ocaml-and-rust/x2nix.lock.json")).unwrap();
    place
}

const PROJECT: &str = "ocaml-and-rust";

fn resolve(place: &Place, words: &str) -> Run {
    place.x2nix(&format!("resolve --platform x86_64-linux {PROJECT} {words}"))
}

/// Replaces what needs what.
fn edges(place: &Place, edges: &[(&str, &str)]) {
    let file = format!("{PROJECT}/x2nix.toml");
    let text = place.read(&file);
    let (head, rest) = text.split_once("[[edge]]").unwrap();
    let tail = &rest[rest.find("[provided").unwrap()..];
    let edges = edges
        .iter()
        .map(|(from, needs)| format!("[[edge]]\nfrom = {from:?}\nneeds = {needs:?}\n\n"));
    place.write(&file, format!("{head}{}{tail}", edges.collect::<String>()));
}

/// The packages of an answer: `ECOSYSTEM NAME VERSION`.
fn packages(run: &Run) -> BTreeSet<String> {
    let answer = run.json();
    let packages = answer["packages"].as_array().unwrap().iter();
    let text = |it: &serde_json::Value, key: &str| it[key].as_str().unwrap().to_owned();
    packages
        .map(|it| format!("{} {} {}", text(it, "ecosystem"), text(it, "name"), text(it, "version")))
        .collect()
}

#[test]
fn a_project_of_two_ecosystems_is_one_lock() {
    let place = place();
    resolve(&place, "").exits(0);
    let lock = format!("{PROJECT}/x2nix.lock.json");
    let document: serde_json::Value = serde_json::from_str(&place.read(&lock)).unwrap();
    assert_eq!(document["ecosystem"], "opam+cargo");
    let edge = serde_json::json!({"unit": "salute-text@1.0.0"});
    let depends = document["units"]["salute@dev"]["depends"].as_array().unwrap();
    assert!(depends.contains(&edge), "{depends:?}");
    resolve(&place, "--locked").exits(0);
    place.x2nix(&format!("check --lock {lock}")).exits(0);
    place
        .x2nix(&format!("why greeting --lock {lock}"))
        .exits(0)
        .answers("salute")
        .answers("salute-text");
    // The exports of each are exports of both.
    place.x2nix(&format!("export --cargo-lock --lock {lock}")).exits(0);
    assert!(
        place
            .read(&format!("{PROJECT}/Cargo.lock"))
            .contains("name = \"greeting\"\nversion = \"1.1.0\"")
    );

    // Where no edge has a say, each has what it would have by itself.
    let both = packages(&resolve(&place, "--dry-run --format json").exits(0));
    edges(&place, &[]);
    let mut apart = BTreeSet::new();
    for name in ["opam", "cargo"] {
        if name == "cargo" {
            let file = format!("{PROJECT}/x2nix.toml");
            let text = place.read(&file);
            place.write(&file, &text[..text.find("[provided").unwrap()]);
        }
        let run = resolve(&place, &format!("--ecosystem {name} --dry-run --format json")).exits(0);
        apart.extend(packages(&run));
    }
    assert_eq!(both, apart);
}

#[test]
fn what_an_edge_says_is_part_of_the_solve() {
    let place = place();
    let all = |place: &Place| packages(&resolve(place, "--dry-run --format json").exits(0));
    // A crate that nobody else asks for comes with the package that needs it.
    edges(&place, &[("opam:salute", "cargo:colours@0.5")]);
    assert!(all(&place).contains("cargo colours 0.5.0"));
    // An edge of versions that can do without: those are taken.
    let newer = "opam-version: \"2.0\"\ndepends: [\"ocaml\" \"dune\"]\n";
    place.write("hello/repo/packages/shout/shout.2.0/opam", newer);
    assert!(all(&place).contains("opam shout 2.0"));
    edges(&place, &[("opam:shout>=2", "cargo:nowhere")]);
    let answer = all(&place);
    assert!(answer.contains("opam shout 1.0"), "{answer:?}");
    // The other way round, from a crate to a package.
    edges(&place, &[("cargo:greeting", "opam:shout<2")]);
    let answer = all(&place);
    assert!(answer.contains("opam shout 1.0"), "{answer:?}");
}

#[test]
fn a_conflict_across_the_border_is_explained() {
    let place = place();
    edges(&place, &[("opam:salute", "cargo:salute-text@2")]);
    let of_member = resolve(&place, "").exits(1).stderr;
    assert_snapshot!(of_member);
    edges(&place, &[("opam:shout", "cargo:greeting@=1.0.0")]);
    let of_both = resolve(&place, "").exits(1).stderr;
    assert_snapshot!(of_both);
    // Neither can be built before the other.
    edges(&place, &[("opam:salute", "cargo:salute-text"), ("cargo:salute-text", "opam:salute")]);
    let circle = resolve(&place, "").exits(1).stderr;
    assert_snapshot!(circle);
}

#[test]
fn what_is_wrong_with_edges_is_told_with_its_line() {
    let place = place();
    let refused = |edge: (&str, &str)| {
        edges(&place, &[edge]);
        let run = resolve(&place, "");
        format!("{}{}", run.status.unwrap_or(-1), run.stderr)
    };
    let text = [
        ("salute", "cargo:salute-text"),
        ("opam:salute", "npm:left-pad"),
        ("cargo:salute-text", "cargo:itoa"),
        ("opam:sal ute", "cargo:salute-text"),
        ("opam:salute", "cargo:salute text; rm"),
        ("opam:salute", "cargo:no-such-crate"),
        ("opam:nothing-of-the-kind", "cargo:salute-text"),
    ]
    .map(refused)
    .join("\n");
    assert_snapshot!(text);

    edges(&place, &[("opam:salute", "cargo:salute-text")]);
    resolve(&place, "--ecosystem opam").exits(2).says("ecosystem = \"opam+cargo\"");
    resolve(&place, "--ecosystem opam+opam").exits(2).says("cannot be joined");
    resolve(&place, "--ecosystem opam+").exits(2);
    resolve(&place, "").exits(0);
    edges(&place, &[("opam:salute", "cargo:greeting")]);
    place.x2nix(&format!("check --lock {PROJECT}/x2nix.lock.json")).exits(4).says("an edge");
}
