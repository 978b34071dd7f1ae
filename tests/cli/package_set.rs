//! What the package set of Nix provides: versions are read from it when the lock is made, with real
//! Nix, and kept after that.

use super::{fetch as with_nix, place, support::Place};
use serde_json::{Value, json};

/// A package set of two platforms that agree about one thing only.
const SET: &str = r#"{ system, config ? throw "is not asked for" }: {
  ocaml.version = "5.3.0";
  deep.er.tool.version = "2.1";
  deep.bare = { };
  odd.version = if system == "x86_64-linux" then "1" else "2";
}"#;

/// The compilers as the public repository has them, in small.
const COMPILERS: &[(&str, &str)] = &[
    ("app.1", "depends: [\"ocaml\"]\nbuild: [\"make\"]"),
    ("ocaml.5.2.0", OCAML_5_2),
    ("ocaml.5.3.0", OCAML_5_3),
    ("ocaml-base-compiler.5.3.0", BUILT),
    ("ocaml-variants.5.3.0", BUILT),
    ("ocaml-system.5.2.0", SYSTEM_5_2),
    ("ocaml-system.5.3.0", SYSTEM_5_3),
    ("tool.2.1", "build: [\"make\"]"),
    ("tool.3", "build: [\"make\"]"),
];
const BUILT: &str = "conflict-class: \"ocaml-core-compiler\"\nbuild: [make]";
const OCAML_5_2: &str = "depends: [\"ocaml-system\" {= \"5.2.0\"}]\nflags: conf";
const OCAML_5_3: &str = "depends: [\"ocaml-base-compiler\" {= \"5.3.0\"} | \"ocaml-variants\" | \"ocaml-system\" {= \"5.3.0\"}]\nbuild: [\"ocaml\" \"x.ml\"]";
const SYSTEM_5_2: &str = "conflict-class: \"ocaml-core-compiler\"\nflags: [compiler avoid-version]\navailable: sys-ocaml-version = \"5.2.0\"";
const SYSTEM_5_3: &str = "conflict-class: \"ocaml-core-compiler\"\nflags: [compiler avoid-version]\navailable: sys-ocaml-version = \"5.3.0\"";

const RESOLVE: &str = "resolve --ecosystem opam --platform x86_64-linux . --root app";

fn compilers(settings: &str) -> Option<Place> {
    let place = place()?;
    place.repository("repo", COMPILERS);
    place.write("set.nix", SET);
    place.write(
        "x2nix.toml",
        format!("repositories = [\"repo\"]\nnixpkgs = \"set.nix\"\n{settings}"),
    );
    Some(place)
}

fn lock(place: &Place) -> Value {
    serde_json::from_str(&place.read("x2nix.lock.json")).unwrap()
}

#[test]
fn the_compiler_of_the_package_set_is_asked_for_its_version_and_kept() {
    let Some(place) = compilers("") else { return };
    let resolve = format!("{RESOLVE} --compiler nixpkgs");
    with_nix(&place, &resolve).exits(0);
    let first = lock(&place);
    let provided = &first["request"]["provided"]["ocaml-system"];
    assert_eq!(provided["version"], "5.3.0");
    assert_eq!((&provided["attribute"], &provided["read"]), (&json!("ocaml"), &json!(true)));
    assert_eq!(first["request"]["package_set"], "set.nix");
    let environment = &first["platforms"]["x86_64-linux"]["environment"];
    for (name, value) in [("version", "5.3.0"), ("arch", "x86_64"), ("system", "linux")] {
        assert_eq!(environment[format!("sys-ocaml-{name}")], value);
    }
    assert_eq!(
        first["units"]["ocaml-system@5.3.0"]["recipe"],
        json!({ "kind": "provided", "attribute": "ocaml" })
    );
    // Builds that ask in other ways than by a variable know of it, too.
    assert_eq!(
        first["units"]["ocaml-system@5.3.0"]["exports"][0]["value"],
        json!(["ocaml-system=5.3.0=", { "out": "" }])
    );

    // From here on no Nix is needed, even where the set has moved on, until that is asked for.
    place.edit("set.nix", "5.3.0", "5.2.0");
    place.x2nix(&resolve).exits(0);
    assert_eq!(lock(&place), first);
    place.x2nix("check").exits(0);
    place.x2nix(&format!("{resolve} --locked")).exits(0);
    for update in ["--update", "--update=ocaml-system"] {
        let no_nix = place.x2nix(&format!("{resolve} {update} --format json")).exits(3);
        assert_eq!(no_nix.code(), "package-set::unreadable");
        no_nix.answers("install Nix, or state the version");
    }
    with_nix(&place, &format!("{resolve} --update=ocaml-system")).exits(0);
    assert_eq!(lock(&place)["request"]["provided"]["ocaml-system"]["version"], "5.2.0");

    // Who states the version needs no Nix either; `check` notices that it is another statement.
    place.write("x2nix.toml", "repositories = [\"repo\"]\n[provided.ocaml-system]\nversion = \"5.3.0\"\nattribute = \"ocaml\"\n");
    place.x2nix("check").exits(4).says("what it provides");
    place.x2nix(&resolve).exits(0);
    assert_eq!(lock(&place)["request"]["provided"]["ocaml-system"]["read"], Value::Null);
    assert_eq!(lock(&place)["request"]["package_set"], Value::Null);
}

#[test]
fn a_compiler_is_built_where_that_is_asked_for() {
    let settings = "[provided.ocaml-system]\nversion = \"5.3.0\"\nattribute = \"ocaml\"\n";
    let Some(place) = compilers(settings) else { return };
    place.x2nix(&format!("{RESOLVE} --compiler source")).exits(0);
    let lock = lock(&place);
    assert_eq!(
        lock["platforms"]["x86_64-linux"]["packages"],
        json!(["app@1", "ocaml-base-compiler@5.3.0", "ocaml@5.3.0"])
    );
    assert_eq!(lock["platforms"]["x86_64-linux"]["environment"]["sys-ocaml-version"], Value::Null);
    let roots = &lock["platforms"]["x86_64-linux"]["roots"];
    assert!(roots.as_array().unwrap().iter().any(|root| root["need"] == "ocaml-base-compiler"));
    // Who names one gets that.
    place.x2nix(&format!("{RESOLVE} --compiler source --root ocaml-variants --update")).exits(0);
    assert_eq!(
        self::lock(&place)["platforms"]["x86_64-linux"]["packages"],
        json!(["app@1", "ocaml-variants@5.3.0", "ocaml@5.3.0"])
    );
    let both = place.x2nix(&format!("{RESOLVE} --compiler source --root ocaml-system --update"));
    both.exits(1).says("`--compiler source` asks for one that is built");
}

#[test]
fn an_attribute_without_a_version_has_the_one_that_is_there() {
    let Some(place) = compilers("[provided.tool]\nattribute = \"deep.er.tool\"\n") else { return };
    let resolve = RESOLVE.replace("app", "tool");
    with_nix(&place, &resolve).exits(0);
    assert_eq!(lock(&place)["platforms"]["x86_64-linux"]["packages"], json!(["tool@2.1"]));
    with_nix(&place, "doctor").exits(0);
}

#[test]
fn what_cannot_be_read_is_told() {
    let Some(place) = compilers("") else { return };
    let settings = |text: &str| {
        place.write(
            "x2nix.toml",
            format!("repositories = [\"repo\"]\nnixpkgs = \"set.nix\"\n{text}"),
        );
    };
    let resolve = format!("{} --format json", RESOLVE.replace("app", "tool"));
    for (attribute, more, told) in [
        ("deep.er.none", "", "deep.er.none is not there"),
        ("deep.bare", "", "deep.bare has no version"),
        ("deep", "", "deep has no version"),
        ("", "", " is not there"),
        ("a\\\"; builtins.abort \\\"${x}", "", "is not there"),
        ("odd", "--platform aarch64-linux", "odd has several versions, by platform"),
    ] {
        settings(&format!("[provided.tool]\nattribute = \"{attribute}\"\n"));
        let run = with_nix(&place, &format!("{resolve} {more}")).exits(2);
        assert_eq!(run.code(), "package-set::attribute");
        run.answers(told);
    }
    settings("[provided.tool]\nattribute = \"ocaml\"\n");
    place.write("broken.nix", "{ system }: throw \"not for ${system}\"");
    for set in ["none.nix", "broken.nix", "a\"${b}"] {
        let mut command = place.command(&resolve);
        for variable in ["PATH", "NIX_CONF_DIR"] {
            command.envs(std::env::var_os(variable).map(|value| (variable, value)));
        }
        let run = super::support::Run::of(command.args(["--nixpkgs", set])).exits(3);
        assert_eq!(run.code(), "package-set::unreadable", "{set}");
    }
    settings("[provided.tool]\n");
    assert_eq!(with_nix(&place, &resolve).exits(2).code(), "settings::provided");
    assert!(!place.path("x2nix.lock.json").exists());
}
