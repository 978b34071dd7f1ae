//! Monorepos: what is compiled with a project, and what builds it.

use crate::{
    opam_monorepo::locked,
    support::{Place, Run},
};
use serde_json::Value;

/// A source and its repository: two packages with the same number come from one archive.
fn source(repository: &str, archive: u32) -> String {
    format!(
        "dev-repo: \"git+https://host.example/{repository}.git\"\nurl {{ src: \"https://host.example/{repository}-{archive}.tbz\" checksum: \"sha256={archive:0<64}\" }}\n"
    )
}

/// A package that builds with dune.
fn dune(needs: &str, repository: &str, archive: u32) -> String {
    let build = "build: [\"dune\" \"build\" \"-p\" name]";
    format!("depends: [\"dune\" {needs}]\n{build}\n{}", source(repository, archive))
}

/// One that does not.
fn make(needs: &str, repository: &str, archive: u32) -> String {
    format!("depends: [{needs}]\nbuild: [[\"make\"]]\n{}", source(repository, archive))
}

/// Compilers, dune, libraries with ports, and a tool that has an older library of its own.
fn stock() -> Place {
    let place = Place::new();
    let packages: &[(&str, String)] = &[
        ("ocaml.5.4.1", "depends: [\"ocaml-base-compiler\" {= \"5.4.1\"}]".into()),
        ("ocaml.5.3.0", "depends: [\"ocaml-base-compiler\" {= \"5.3.0\"}]".into()),
        ("ocaml-base-compiler.5.4.1", format!("flags: compiler\n{}", make("", "ocaml", 541))),
        ("ocaml-base-compiler.5.3.0", format!("flags: compiler\n{}", make("", "ocaml", 530))),
        ("dune.3.24.2", make("\"ocaml\"", "dune", 324)),
        ("dune.3.17.2", make("\"ocaml\"", "dune", 317)),
        ("dune-configurator.3.24.2", dune("", "dune", 324)),
        ("base-bytes.base", "depends: [\"ocaml\" \"ocamlfind\"]".into()),
        ("ocamlfind.1.9.8", make("\"ocaml\"", "findlib", 198)),
        ("fmt.0.11.0", make("\"ocaml\"", "fmt", 11)),
        ("astring.1", dune("", "astring", 1)),
        ("bits.1", dune("\"base-bytes\" \"dune-configurator\"", "bits", 1)),
        ("gmp.6.3.0", dune("", "ocaml-gmp", 63)),
        ("conf-gmp.5", "flags: conf\nbuild: [[\"pkg-config\"]]\ndepexts: [[\"libgmp-dev\"] {os-family = \"debian\"}]".into()),
        ("conf-m4.1", "flags: conf\nbuild: [[\"m4\"]]\ndepexts: [[\"libgmp-dev\"] {os-family = \"debian\"}]".into()),
        ("zarith.1.14", dune("(\"gmp\" | \"conf-gmp\") \"conf-m4\"", "zarith", 114)),
        ("rng.2.0", dune("\"fmt\" \"bits\"", "crypto", 20)),
        ("rng.1.0", dune("\"fmt\"", "crypto", 10)),
        ("hash.1.0", dune("", "crypto", 10)),
        ("toolchain.1", make("\"ocaml\" {< \"5.4\"} \"fmt\"", "toolchain", 1)),
        ("configure.1", make("\"ocaml\" \"fmt\" \"astring\" \"opam-monorepo\" \"dune\" {< \"3.20\"}", "configure", 1)),
        ("opam-monorepo.0.4.3", make("", "opam-monorepo", 43)),
        ("old.1", make("", "old", 1)),
        ("uuidm.1", make("", "uuidm", 1)),
    ];
    let texts: Vec<_> = packages.iter().map(|(name, text)| (*name, text.as_str())).collect();
    place.repository("repo", &texts);
    let ports =
        [("fmt.0.11.0+dune", dune("", "fmt", 12)), ("base-bytes.base+dune", dune("", "bytes", 1))];
    let texts: Vec<_> = ports.iter().map(|(name, text)| (*name, text.as_str())).collect();
    place.repository("ports", &texts);
    place
}

/// The packages of one set, `NAME.VERSION`: what is placed so, in that context.
pub(crate) fn set(run: &Run, placement: &str, context: &str) -> Vec<String> {
    let answer = run.json();
    let packages = answer["packages"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let here = |it: &&Value| it["placement"] == placement && it["context"] == context;
    let named = packages.iter().filter(here);
    named
        .map(|it| format!("{}.{}", it["name"].as_str().unwrap(), it["version"].as_str().unwrap()))
        .collect()
}

fn dry_run(place: &Place, words: &str) -> Run {
    place.resolve(&format!("--repo repo --repo ports --dry-run --format json {words} .")).exits(0)
}

/// The shape of what the mirage tool writes.
fn unikernel(place: &Place, name: &str, needs: &str) {
    place.write(
        &format!("{name}.opam"),
        format!(
            "opam-version: \"2.0\"\nbuild: [make \"build\"]\ndepends: [\n{needs}\n\
             \"configure\" {{ build & >= \"1\" }}\n\"toolchain\" {{ build }}\n\"opam-monorepo\" {{ build }}\n]\n\
             x-opam-monorepo-opam-provided: [\"configure\" \"opam-monorepo\" \"toolchain\"]\n"
        ),
    );
}

#[test]
fn a_unikernel_has_two_sets_that_share_the_compiler() {
    let place = stock();
    unikernel(&place, "hello", "\"rng\" { ?monorepo }\n\"zarith\" { ?monorepo }");
    let run = dry_run(&place, "");
    assert_eq!(
        set(&run, "workspace", ""),
        [
            "base-bytes.base+dune",
            "bits.1",
            "dune-configurator.3.24.2",
            "fmt.0.11.0+dune",
            "gmp.6.3.0",
            "rng.2.0",
            "zarith.1.14"
        ]
    );
    // dune builds the workspace; what configures it was built with another.
    assert_eq!(set(&run, "derivation", ""), ["conf-m4.1", "dune.3.24.2", "hello.dev"]);
    assert_eq!(
        set(&run, "derivation", "host"),
        [
            "astring.1",
            "configure.1",
            "dune.3.17.2",
            "fmt.0.11.0",
            "ocaml.5.3.0",
            "ocaml-base-compiler.5.3.0",
            "toolchain.1"
        ]
    );
}

#[test]
fn a_unikernel_locks_to_whole_units() {
    let place = stock();
    unikernel(&place, "hello", "\"rng\" { ?monorepo }\n\"zarith\" { ?monorepo }");
    place.write("x2nix.toml", "[system]\n\"libgmp-dev\" = [\"gmp\"]\n");
    place.resolve("--repo repo --repo ports .").exits(0);
    place.x2nix("check").exits(0);
    place.resolve("--repo repo --repo ports --locked .").exits(0);
    let lock: Value = serde_json::from_str(&place.read("x2nix.lock.json")).unwrap();
    let unit = &lock["units"]["hello@dev"];
    let needs: Vec<_> = unit["depends"]
        .as_array()
        .unwrap()
        .iter()
        .map(|edge| edge["unit"].as_str().unwrap())
        .collect();
    assert!(needs.contains(&"hello-monorepo") && needs.contains(&"conf-m4@1"), "{needs:?}");
    assert!(needs.contains(&"dune@3.24.2") && !needs.contains(&"dune@3.17.2"), "{needs:?}");
    assert!(!needs.contains(&"conf-gmp@5"), "{needs:?}");
    let duniverse = &lock["units"]["hello-monorepo"]["recipe"];
    let folders: Vec<_> = duniverse["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["to"].as_str().unwrap())
        .collect();
    assert_eq!(folders, ["bits", "bytes", "crypto", "dune_", "fmt", "ocaml-gmp", "zarith"]);
    assert_eq!(duniverse["files"]["dune"], "(vendored_dirs *)\n");
    assert_eq!(lock["packages"]["rng@2.0"]["unit"], "hello-monorepo");
    assert_eq!(lock["units"]["fmt@0.11.0"]["recipe"]["kind"], "build");
}

#[test]
fn packages_of_one_repository_come_from_one_archive() {
    let place = stock();
    place.write("a.opam", "opam-version: \"2.0\"\ndepends: [\"dune\" \"rng\" \"hash\"]\n");
    let run = dry_run(&place, "--monorepo");
    assert_eq!(set(&run, "workspace", ""), ["fmt.0.11.0+dune", "hash.1.0", "rng.1.0"]);
}

#[test]
fn a_plain_monorepo_has_its_tests_and_one_version_of_each() {
    let place = stock();
    place.write(
        "a.opam",
        "opam-version: \"2.0\"\ndepends: [\"dune\" {< \"3.20\"} \"fmt\" \"astring\" {with-test} \"toolchain\" {build}]\n\
         x-opam-monorepo-opam-provided: \"toolchain\"\n",
    );
    let run = dry_run(&place, "--monorepo");
    assert_eq!(set(&run, "workspace", ""), ["astring.1", "fmt.0.11.0+dune"]);
    assert_eq!(set(&run, "derivation", ""), ["a.dev", "dune.3.17.2"]);
    assert_eq!(
        set(&run, "derivation", "host"),
        ["fmt.0.11.0", "ocaml.5.3.0", "ocaml-base-compiler.5.3.0", "toolchain.1"]
    );
    let run = dry_run(&place, "--monorepo --build-only");
    assert_eq!(set(&run, "workspace", ""), ["fmt.0.11.0+dune"]);
    // Without the flag it is a project as ever.
    let run = dry_run(&place, "--with-test");
    assert_eq!(set(&run, "workspace", ""), Vec::<String>::new());
}

#[test]
fn what_does_not_build_with_dune_is_named_with_its_port() {
    let place = stock();
    place.write("a.opam", "opam-version: \"2.0\"\ndepends: [\"dune\" \"uuidm\"]\n");
    let run = place.resolve("--repo repo --monorepo .").exits(1);
    run.says("uuidm").says("does not build with dune").says("opam-overlays has a port");
    place.write("a.opam", "opam-version: \"2.0\"\ndepends: [\"dune\" \"old\"]\n");
    place.resolve("--repo repo --monorepo .").exits(1).says("old").says("does not build with dune");
}

#[test]
fn options_and_fields_of_opam_monorepo_count() {
    let place = stock();
    place.write("a.opam", "opam-version: \"2.0\"\ndepends: [\"dune\" \"ocaml\" \"fmt\"]\n");
    let compiler = |run: &Run| {
        let host = set(run, "derivation", "host");
        host.into_iter().find(|it| it.starts_with("ocaml.")).unwrap()
    };
    assert_eq!(compiler(&dry_run(&place, "--monorepo")), "ocaml.5.4.1");
    assert_eq!(compiler(&dry_run(&place, "--monorepo --ocaml-version 5.3.0")), "ocaml.5.3.0");
    place.write(
        "a.opam",
        "opam-version: \"2.0\"\ndepends: [\"dune\" \"fmt\" {flavour = \"port\"} \"ocaml\"]\n\
         x-opam-monorepo-global-opam-vars: [[\"flavour\" \"port\"]]\n\
         x-opam-monorepo-cli-args: [\"--build-only\" \"--ocaml-version\" \"5.3.0\"]\n\
         x-opam-monorepo-opam-repositories: [\"file://$OPAM_MONOREPO_CWD/ports\"]\n",
    );
    let words = "--repo repo --monorepo --dry-run --format json .";
    let run = place.resolve(words).exits(0);
    assert_eq!(set(&run, "workspace", ""), ["fmt.0.11.0+dune"]);
    assert_eq!(compiler(&run), "ocaml.5.3.0");
    place.edit("a.opam", "[\"flavour\" \"port\"]", "\"flavour\"");
    place.resolve(words).exits(2).answers("opam::monorepo");
    place.write("a.opam", "opam-version: \"2.0\"\n");
    place.resolve("--repo repo --build-only .").exits(2).says("opam::monorepo");
}

#[test]
fn tagged_versions_go_first_where_other_targets_are_compiled_for() {
    let place = stock();
    place.repository(
        "tagged",
        &[
            ("num.1", &format!("tags: \"cross-compile\"\n{}", dune("", "num", 1))),
            ("num.2", &dune("", "num", 2)),
        ],
    );
    place.write("a.opam", "opam-version: \"2.0\"\ndepends: [\"dune\" \"num\"]\n");
    let run = dry_run(&place, "--repo tagged --monorepo");
    assert_eq!(set(&run, "workspace", ""), ["num.2"]);
    let run = dry_run(&place, "--repo tagged --monorepo --require-cross-compile");
    assert_eq!(set(&run, "workspace", ""), ["num.1"]);
}

#[test]
fn a_monorepo_is_written_as_a_lock_of_opam_monorepo() {
    let place = stock();
    place.write(
        "a.opam",
        "opam-version: \"2.0\"\ndepends: [\"dune\" \"rng\" \"hash\" \"toolchain\" {build} \"pinned\"]\n\
         depexts: [[\"a\\\"b\" \"c\"] {os-family = \"debian\" | os = \"\\\\\"}]\n\
         pin-depends: [\"pinned.dev\" \"file://$HERE/pinned\"]\n\
         x-opam-monorepo-opam-provided: \"toolchain\"\n\
         x-opam-monorepo-global-opam-vars: [[\"flavour\" \"port\"]]\n\
         x-opam-monorepo-opam-repositories: [\"file://$OPAM_MONOREPO_CWD/ports\"]\n",
    );
    let here = place.path(".").canonicalize().unwrap();
    place.edit("a.opam", "$HERE", here.to_str().unwrap());
    // What is pinned has a source, though its file does not say so.
    let pinned = dune("", "pinned", 7);
    let (pinned, _) = pinned.split_once("url {").unwrap();
    place.write("pinned/pinned.opam", format!("opam-version: \"2.0\"\n{pinned}"));
    let words = "--repo repo --repo ports --monorepo --build-only --ocaml-version 5.3.0 .";
    place.resolve(words).exits(0);
    place
        .x2nix("export --opam-locked")
        .exits(0)
        .says("fmt 0.11.0")
        .says("written: ./a.opam.locked");
    let text = place.read("a.opam.locked").replace(here.to_str().unwrap(), "$HERE");
    insta::assert_snapshot!(text);
    let locked = locked(&text);
    assert_eq!(locked["rng"], ("1.0".into(), "crypto".into()));
    assert_eq!(locked["toolchain"], ("1".into(), "-".into()));
    // Several packages are locked by the name of their project.
    place.write("b.opam", "opam-version: \"2.0\"\ndepends: [\"dune\" \"astring\"]\n");
    place.write("dune-project", "(lang dune 3.0)\n; (name no)\n(name whole)\n");
    place.resolve(words).exits(0);
    place.x2nix("export --opam-locked").exits(0).says("written: ./whole.opam.locked");
    assert!(place.read("whole.opam.locked").contains("root-packages: [\n  \"a\"\n  \"b\"\n]"));
}

#[test]
fn what_a_lock_of_opam_monorepo_cannot_say_is_told_of() {
    let place = stock();
    place.write("a.opam", "opam-version: \"2.0\"\ndepends: [\"dune\" \"fmt\"]\n");
    place.resolve("--repo repo .").exits(0);
    place.x2nix("export --opam-locked").exits(2).says("opam::export").says("--monorepo");
    // A folder of a repository has no address.
    place.repository(
        "own",
        &[("kept.1", "depends: [\"dune\"]\nbuild: [[\"dune\"]]\nurl { src: \"sources/kept\" }")],
    );
    place.write("own/sources/kept/dune-project", "(lang dune 3.0)\n");
    place.write("a.opam", "opam-version: \"2.0\"\ndepends: [\"dune\" \"kept\"]\n");
    place.resolve("--repo own --repo repo --monorepo .").exits(0);
    place.x2nix("export --opam-locked").exits(2).says("kept 1: its source has no address");
    // Patches and further files are not for opam-monorepo.
    let patched =
        dune("", "patched", 5) + "patches: [\"mend.patch\" \"not.patch\" {os = \"win32\"}]\n";
    place.repository("own", &[("kept.1", &patched)]);
    place.write("own/packages/kept/kept.1/files/mend.patch", "--- a/x\n+++ b/x\n");
    place.resolve("--repo own --repo repo --monorepo --update .").exits(0);
    let run = place.x2nix("export --opam-locked --output -").exits(0);
    run.says("does not bring the patch mend.patch").answers("\"kept\" {= \"1\" & ?vendor}");
}
