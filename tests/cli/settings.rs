//! What flags say can be said for good in `x2nix.toml`, so that `x2nix resolve` needs none.

use crate::support::{Place, Run};
use serde_json::{Value, json};

const STOCK: &[(&str, &str)] = &[
    ("lib.1", ""),
    ("lib.2", ""),
    ("checker.1", ""),
    ("mac.1", "available: os = \"macos\""),
    ("bsd.1", "available: os-distribution = \"bsd\""),
];

/// A project that needs `lib`, and `checker` for its tests.
fn project(settings: &str) -> Place {
    let place = Place::with(STOCK);
    place.write("mine.opam", "opam-version: \"2.0\"\ndepends: [\"lib\" \"checker\" {with-test}]\n");
    place.write("x2nix.toml", format!("repositories = [\"repo\"]\n{settings}"));
    place
}

fn resolve(place: &Place, words: &str) -> Run {
    place.x2nix(&format!("resolve --dry-run --format json {words}"))
}

const FULL: &str = r#"
ecosystem = "opam"
roots = ["lib=1", "bsd"]
platforms = ["x86_64-linux", "aarch64-linux"]
prefer = "oldest"
environment = { os-distribution = "bsd" }
[options]
with-test = true
"#;

#[test]
fn settings_say_what_flags_say() {
    let place = project(FULL);
    assert_eq!(resolve(&place, "").answer(), "bsd.1 checker.1 lib.1 mine.dev");
    place.x2nix("resolve").exits(0);
    let lock: Value = serde_json::from_str(&place.read("x2nix.lock.json")).unwrap();
    assert_eq!(lock["request"]["roots"], json!(["lib=1", "bsd"]));
    assert_eq!(lock["request"]["policy"], "oldest");
    assert_eq!(lock["platforms"].as_object().unwrap().len(), 2);
    place.x2nix("check").exits(0);
    place.edit("x2nix.toml", "\"bsd\"]", "\"bsd\", \"checker\"]");
    place.x2nix("check").exits(4).says("its roots");
}

#[test]
fn flags_go_before_settings() {
    let place = project(FULL);
    resolve(&place, "--env os-distribution=debian").exits(1);
    let lone = resolve(&place, "--platform x86_64-linux --root checker .");
    assert_eq!(lone.answer(), "bsd.1 checker.1 lib.1 mine.dev");
    // Packages by name, without the project: its roots are not wanted either.
    assert_eq!(resolve(&place, "--root lib").answer(), "lib.1");
}

#[test]
fn settings_that_the_ecosystem_does_not_have_are_refused() {
    for (settings, says) in [
        ("", "nobody says whose packages these are"),
        ("ecosystem = \"cobol\"", "there is no ecosystem \"cobol\""),
        ("ecosystem = \"opam\"\n[options]\nno-such = true", "has no option \"no-such\""),
        ("ecosystem = \"opam\"\n[options]\nwith-test = \"yes\"", "write true or false"),
        ("ecosystem = \"opam\"\nprefer = \"best\"", "there is no policy \"best\""),
        ("ecosystem = \"opam\"\nroots = [\"a b\"]", "a b"),
    ] {
        let place = project(settings);
        place.x2nix("resolve").exits(2).says(says);
        assert!(!place.path("x2nix.lock.json").exists());
    }
}
