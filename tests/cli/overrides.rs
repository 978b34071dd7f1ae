//! What `x2nix.toml` changes of how packages are built, and what `doctor` says of it.

use super::support::{Place, Run};
use serde_json::{Value, json};

/// A library of two versions, a program that needs it and a system package, and one that cannot be
/// built as it is.
const STOCK: &[(&str, &str)] = &[
    ("lib.1", "build: [\"make\"]"),
    (
        "lib.2",
        "build: [\"make\"]\nrun-test: [\"make\" \"test\"]\nurl { src: \"https://example.org/lib.tgz\" checksum: \"sha256=0000000000000000000000000000000000000000000000000000000000000000\" }",
    ),
    (
        "tool.1",
        "depends: [\"lib\"]\nbuild: [\"make\"]\ndepexts: [[\"libgmp-dev\"] {os-family = \"debian\"}]",
    ),
    ("odd.1", "build: [\"make\"]\ndepexts: [[\"libodd-dev\"] {os-family = \"debian\"}]"),
    ("git.1", "build: [\"make\"]\nurl { src: \"hg+https://example.org/git.git\" }"),
];

const HASH: &str = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn resolved(settings: &str, root: &str) -> (Place, Run) {
    let place = Place::with(STOCK);
    place.write("x2nix.toml", format!("repositories = [\"repo\"]\n{settings}"));
    let run = place.resolve(&format!(". --root {root} --with-test"));
    (place, run)
}

fn lock(place: &Place) -> Value {
    serde_json::from_str(&place.read("x2nix.lock.json")).unwrap()
}

#[test]
fn each_part_of_a_build_can_be_changed() {
    let place = Place::with(STOCK);
    place.write("mend/lib.patch", "--- a/x\n+++ b/x\n");
    place.write(
        "x2nix.toml",
        format!(
            r#"
            repositories = ["repo"]
            [[override]]
            package = "lib>=2"
            reason = "its tests need a network"
            inputs = {{ host = ["zlib"], build = ["perl"] }}
            patches = ["mend/lib.patch"]
            skip-tests = true
            environment = {{ CFLAGS = "-O3 $(x) ${{y}}" }}
            source = {{ url = "https://example.org/mine.tgz?x#y", hash = "{HASH}" }}
            [[override]]
            package = "tool"
            reason = "nothing of the system is needed"
            system = []
            "#
        ),
    );
    place.resolve(". --root tool --with-test").exits(0);
    let lock = lock(&place);
    let lib = &lock["units"]["lib@2"]["recipe"];
    assert_eq!(
        lib["system"],
        json!([{ "attribute": "perl", "role": "build" }, { "attribute": "zlib" }])
    );
    assert_eq!(lib["patches"], json!([".x2nix/mend/lib.patch"]));
    assert_eq!(lib["files"][".x2nix/mend/lib.patch"], "--- a/x\n+++ b/x\n");
    let last = lib["environment"].as_array().unwrap().last().unwrap();
    assert_eq!(
        *last,
        json!({ "variable": "CFLAGS", "operation": "set", "value": ["-O3 $(x) ${y}"] })
    );
    let phases: Vec<_> = lib["steps"].as_array().unwrap().iter().map(|it| &it["phase"]).collect();
    assert!(phases.contains(&&json!("build")) && !phases.contains(&&json!("check")), "{phases:?}");
    let source = &lock["artifacts"][lib["sources"][0]["artifact"].as_str().unwrap()];
    assert_eq!(
        *source,
        json!({ "kind": "fetch", "urls": ["https://example.org/mine.tgz?x#y"], "name": "mine.tgz", "hashes": [HASH] })
    );
    // What is no longer used is not to be fetched.
    assert_eq!(lock["artifacts"].as_object().unwrap().len(), 1);
    assert_eq!(lock["units"]["tool@1"]["recipe"].get("system"), None);
    assert_eq!(lock["overrides"][0]["packages"], json!(["lib@2"]));
    assert_eq!(lock["overrides"][0]["reason"], "its tests need a network");
    place.x2nix("check").exits(0);
    place.x2nix("doctor").answers("changes lib@2: its tests need a network");
    // The content of a patch is part of it.
    place.write("mend/lib.patch", "--- a/y\n+++ b/y\n");
    place
        .x2nix("check")
        .exits(4)
        .says("x2nix.toml has changed since the lock was written: an override");
    place.resolve(". --root tool --with-test --locked").exits(4);
}

#[test]
fn a_system_package_that_is_not_known_has_three_answers() {
    let (place, run) = resolved("", "odd");
    run.exits(2)
        .says("opam::depexts")
        .says("packages/odd/odd.1/opam:3")
        .says("libodd-dev")
        .says("[system] \"libodd-dev\" = [\"ATTRIBUTE\"]")
        .says("[[override]] package = \"odd\" with system")
        .says("an empty list ignores it");
    let needs = |settings: &str| {
        place.write("x2nix.toml", format!("repositories = [\"repo\"]\n{settings}"));
        place.resolve(". --root odd").exits(0);
        lock(&place)["units"]["odd@1"]["recipe"]["system"].clone()
    };
    assert_eq!(needs("[system]\nlibodd-dev = [\"oddlib\"]"), json!([{ "attribute": "oddlib" }]));
    assert_eq!(needs("[system]\nlibodd-dev = []"), Value::Null);
    let own = "[[override]]\npackage = \"odd\"\nreason = \"r\"\nsystem = { build = [\"oddlib\"] }";
    assert_eq!(needs(own), json!([{ "attribute": "oddlib", "role": "build" }]));
    // It goes before what x2nix knows of a name.
    let (place, run) = resolved("[system]\nlibgmp-dev = [\"mpir\"]", "tool");
    run.exits(0);
    let tool = &lock(&place)["units"]["tool@1"]["recipe"];
    assert_eq!(tool["system"], json!([{ "attribute": "mpir" }]));
}

#[test]
fn what_cannot_be_built_can_be_replaced() {
    let (_, run) = resolved("", "git");
    run.exits(2).says("opam::build").says("git 1");
    let (place, run) = resolved(
        "[[override]]\npackage = \"git\"\nreason = \"a copy\"\nsource = { path = \"vendor/git\" }",
        "git",
    );
    run.exits(0);
    assert_eq!(
        lock(&place)["artifacts"]["git@1/override"],
        json!({ "kind": "local", "path": "vendor/git" })
    );
    let (place, run) = resolved(
        "[[override]]\npackage = \"git\"\nreason = \"nixpkgs has it\"\nattribute = \"gitlib\"",
        "git",
    );
    run.exits(0);
    let unit = lock(&place)["units"]["git@1"].clone();
    assert_eq!(unit["recipe"], json!({ "kind": "provided", "attribute": "gitlib" }));
}

#[test]
fn an_override_that_no_longer_means_anything_is_told_of() {
    let settings =
        "[[override]]\npackage = \"lib<2\"\nreason = \"for the old one\"\nskip-tests = true";
    let (place, run) = resolved(settings, "lib");
    run.exits(0).says("override::unused").says("x2nix.toml:2").says("for the old one");
    place.x2nix("doctor").exits(4).says("no longer means any package: for the old one");
    let json = place.x2nix("doctor --format json").exits(4).json();
    assert!(json["errors"].as_array().unwrap().iter().any(|it| it["code"] == "doctor::override"));
    place.resolve(". --root lib=1").exits(0);
    place.x2nix("doctor").answers("changes lib@1: for the old one");
    place.write("x2nix.nix", "{ }");
    place.x2nix("doctor").exits(4).says("doctor::nix-file").says("x2nix emit");
    place.write("x2nix.toml", "repositories = [\"repo\"]");
    place.x2nix("doctor").exits(4).says("doctor::stale");
}

#[test]
fn broken_overrides_are_refused_with_their_line() {
    for (fields, says) in [
        ("reason = \" \"", "says no reason"),
        ("", "missing field `reason`"),
        ("reason = \"r\"\nsurprise = 1", "unknown field `surprise`"),
        ("reason = \"r\"\npatches = [\"../x.patch\"]", "outside of the project"),
        ("reason = \"r\"\npatches = [\"/x.patch\"]", "outside of the project"),
        ("reason = \"r\"\nsource = { path = \"../..\" }", "outside of the project"),
        ("reason = \"r\"\nsource = { url = \"https://x\", hash = \"md5-x\" }", "SRI form"),
        ("reason = \"r\"\nenvironment = { \"A=$(x)\" = \"\" }", "environment variable"),
    ] {
        let (_, run) = resolved(&format!("[[override]]\npackage = \"lib\"\n{fields}"), "lib");
        run.exits(2).says("settings::").says("x2nix.toml:").says(says);
    }
    let (_, run) = resolved("[[override]]\npackage = \"lib>>1\"\nreason = \"r\"", "lib");
    run.exits(2).says("opam::selection").says("x2nix.toml:2").says("lib>>1");
    let (_, run) = resolved(
        "[[override]]\npackage = \"lib\"\nreason = \"r\"\npatches = [\"no.patch\"]",
        "lib",
    );
    run.exits(3).says("input::unreadable").says("no.patch");
}

#[test]
fn what_the_guide_shows_is_read() {
    let guide = include_str!("../../docs/guide.md");
    let block = guide.split("```toml\n").find(|block| block.contains("[[override]]")).unwrap();
    let place = Place::with(STOCK);
    place.write("mend/zarith.patch", "");
    let settings = block.split("```").next().unwrap();
    place.write("x2nix.toml", format!("repositories = [\"repo\"]\n{settings}"));
    place.resolve(". --root odd").exits(0).says("the override of zarith>=1.13 means none");
    assert_eq!(
        lock(&place)["units"]["odd@1"]["recipe"]["system"],
        json!([{ "attribute": "oddlib" }])
    );
}

/// A workspace of two packages of one archive and a third, whose own words ask for an unknown system
/// package.
fn workspace(settings: &str) -> Place {
    let place = Place::new();
    let source = |repository: &str| {
        format!(
            "depends: [\"dune\"]\nbuild: [\"dune\" \"build\"]\ndev-repo: \"git+https://host.example/{repository}.git\"\nurl {{ src: \"https://host.example/{repository}.tbz\" checksum: \"md5=0123456789abcdef0123456789abcdef\" }}\n"
        )
    };
    let odd = "depexts: [[\"libodd-dev\"] {os-family = \"debian\"}]\npatches: [\"own.patch\" \"mend.patch\"]\nsubsts: [\"mend.patch\" \"config.ml\"]\n";
    let gmp = "depexts: [[\"libgmp-dev\"] {os-family = \"debian\"}]\n";
    place.repository(
        "repo",
        &[
            ("dune.3.17.2", ""),
            ("left.1", &source("pair")),
            ("right.1", &(source("pair") + gmp)),
            ("odd.1", &(source("odd") + odd)),
        ],
    );
    place.write(
        "app.opam",
        "opam-version: \"2.0\"\ndepends: [\"dune\" \"left\" \"right\" \"odd\"]\n",
    );
    place.write("mend/odd.patch", "--- a/x\n+++ b/x\n");
    let system = "[system]\n\"libgmp-dev\" = [\"gmp\"]\n";
    place.write("x2nix.toml", format!("repositories = [\"repo\"]\n{system}{settings}"));
    place
}

#[test]
fn one_package_of_a_workspace_can_be_changed() {
    let place = workspace(
        r#"
        [[override]]
        package = "odd"
        reason = "it is mended here"
        patches = ["mend/odd.patch"]
        environment = { ODD = "1" }
        system = []
        [[override]]
        package = "left"
        reason = "the next release"
        source = { url = "https://example.org/next.tgz", hash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" }
        inputs = ["zlib"]
        "#,
    );
    place.resolve(". --monorepo").exits(0);
    place.x2nix("check").exits(0);
    let lock = lock(&place);
    let duniverse = &lock["units"]["duniverse"]["recipe"];
    // The source is another for its folder, which both packages of the archive have, and for no other.
    assert_eq!(
        duniverse["sources"],
        json!([
            { "artifact": "odd@1", "to": "odd" },
            { "artifact": "left@1/override", "to": "pair" },
        ])
    );
    assert_eq!(
        lock["artifacts"]["left@1/override"]["urls"],
        json!(["https://example.org/next.tgz"])
    );
    // In its folder its own patches come first, and files are made before and after these.
    assert_eq!(duniverse["files"]["odd/.x2nix/mend/odd.patch"], "--- a/x\n+++ b/x\n");
    let steps = duniverse["steps"].as_array().unwrap();
    let words = |step: &Value| -> String {
        let words = step["words"].as_array().unwrap().iter();
        let words: Vec<_> = words.map(|word| word[0].as_str().unwrap_or("…").to_owned()).collect();
        words.join(" ")
    };
    let steps: Vec<_> = steps.iter().map(words).collect();
    let subst = |file: &str| {
        format!(
            "env -C odd OPAM_PACKAGE_NAME=odd OPAM_PACKAGE_VERSION=1 X2NIX_OPAM= OPAM_SWITCH_PREFIX= … subst {file}"
        )
    };
    assert_eq!(
        steps,
        [
            subst("mend.patch"),
            "patch -p1 -d odd -i own.patch".into(),
            "patch -p1 -d odd -i mend.patch".into(),
            subst("config.ml"),
            "rm -rf odd/.git odd/duniverse pair/.git pair/duniverse".into(),
            "patch -p1 -d odd -i .x2nix/mend/odd.patch".into(),
            "cp -R . …".into(),
        ]
    );
    assert_eq!(lock["units"]["duniverse"]["depends"][0]["unit"], "x2nix-opam@runtime");
    // What it is compiled with is said of what compiles it.
    let app = &lock["units"]["app@dev"]["recipe"];
    let set: Vec<_> =
        app["environment"].as_array().unwrap().iter().map(|it| &it["variable"]).collect();
    assert!(set.contains(&&json!("ODD")), "{set:?}");
    let needs: Vec<_> =
        app["system"].as_array().unwrap().iter().map(|it| &it["attribute"]).collect();
    assert_eq!(needs, [&json!("gmp"), &json!("zlib")]);
    assert_eq!(lock["overrides"][0]["packages"], json!(["odd@1"]));
    // The lock of opam-monorepo has the other source, too.
    let run = place.x2nix("export --opam-locked --output -").exits(0);
    run.answers("https://example.org/next.tgz");
}

#[test]
fn what_a_package_of_a_workspace_needs_of_the_system_is_known_or_told_of() {
    let place = workspace("");
    place.resolve(". --monorepo").exits(2).says("odd 1: it is not known").says("libodd-dev");
    place.edit("x2nix.toml", "[system]", "[system]\nlibodd-dev = [\"oddlib\"]");
    place.resolve(". --monorepo").exits(0);
    let lock = lock(&place);
    let system = &lock["units"]["app@dev"]["recipe"]["system"];
    assert_eq!(system, &json!([{ "attribute": "gmp" }, { "attribute": "oddlib" }]));
    // Nothing of the package set can take the place of what is compiled with the rest.
    let place = workspace(
        "[[override]]\npackage = \"odd\"\nreason = \"nixpkgs has it\"\nattribute = \"ocamlPackages.odd\"\n",
    );
    place.resolve(". --monorepo").exits(2).says("override::workspace").says("x2nix.toml");
}
