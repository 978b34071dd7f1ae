//! Settings from a flake of another tool; what becomes of which flake is told beside the crate that
//! reads them.

use crate::support::Place;

const FLAKE: &str = r#"{
  outputs = { self, opam-nix }:
    let on = opam-nix.lib.x86_64-linux; in {
      packages.x86_64-linux = on.buildOpamProject {
        repos = [ ./repo ];
        resolveArgs = { with-test = true; best-effort = true; };
      } "mine" ./. { tool = "1"; };
    };
}"#;

#[test]
fn an_imported_project_resolves() {
    let place = Place::with(&[("tool.1", ""), ("tool.2", ""), ("checker.1", "")]);
    place
        .write("mine.opam", "opam-version: \"2.0\"\ndepends: [\"tool\" \"checker\" {with-test}]\n");
    place.write("flake.nix", FLAKE);
    place.x2nix("import").exits(0).says("flake.nix:6").says("one thing was left out");
    let run = place.x2nix("resolve --dry-run --format json").exits(0);
    assert_eq!(run.answer(), "checker.1 mine.dev tool.1");
    place.x2nix("import").exits(2).says("there is a ./x2nix.toml already");
    place.x2nix("import --output -").exits(0).answers("repositories = [\"repo\"]");
    let run = place.x2nix("import --output again.toml --format json").exits(0);
    assert_eq!(run.json()["left"][0]["code"], "import::left");
    assert_eq!(place.read("again.toml"), place.read("x2nix.toml"));
}

#[test]
fn a_project_in_a_folder_gets_its_settings_there() {
    let place = Place::new();
    place.write("flake.nix", FLAKE.replace("./.", "./ocaml"));
    std::fs::create_dir(place.path("ocaml")).unwrap();
    place.x2nix("import").exits(0);
    assert!(place.read("ocaml/x2nix.toml").contains("tool=1"));
}

#[test]
fn what_cannot_be_imported_is_refused() {
    let place = Place::new();
    place.x2nix("import").exits(3).says("there is no ./flake.nix");
    for (flake, says) in [
        (&b"{"[..], "is not Nix"),
        (b"{ }", "calls no function"),
        (b"\xff", "is not UTF-8"),
        (&vec![b' '; 100_000], "is larger than"),
    ] {
        place.write("flake.nix", flake);
        place.x2nix("import").exits(2).says(says);
    }
    place.write("flake.nix", FLAKE);
    place.write("flake.lock", "{");
    place.x2nix("import").exits(2).says("flake.lock:1");
    assert!(!place.path("x2nix.toml").exists());
}
