//! Monorepos: what is compiled with a project, and what builds it.

use crate::support::{Place, Run, opam_repository};
use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf};

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
fn set(run: &Run, placement: &str, context: &str) -> Vec<String> {
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

/// What lies beside the opam repository, if it is there.
fn beside(name: &str) -> Option<PathBuf> {
    let found = opam_repository().parent()?.join(name);
    found.exists().then_some(found)
}

/// What a lock of opam-monorepo says of each package: its version, and its folder in the duniverse or `-`.
fn locked(text: &str) -> BTreeMap<String, (String, String)> {
    let mut found = BTreeMap::new();
    let (mut pins, mut folders) = (BTreeMap::new(), BTreeMap::new());
    let strings = |line: &str| -> Vec<String> {
        line.split('"').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let mut field = "";
    let mut entry: Vec<String> = Vec::new();
    for line in text.lines() {
        match line {
            _ if line.ends_with(": [") => field = line.trim_end_matches(": ["),
            "  [" => entry.clear(),
            "  ]" if field == "pin-depends" => {
                pins.insert(entry[0].clone(), entry[1].clone());
            }
            "  ]" => {
                folders.insert(entry[0].clone(), entry[1].clone());
            }
            _ if field == "depends" => {
                if let [name, version] = strings(line).as_slice() {
                    let vendored = line.ends_with(" & ?vendor}");
                    let mark = if vendored { "vendored" } else { "-" };
                    found.insert(name.clone(), (version.clone(), mark.to_owned()));
                }
            }
            _ => entry.extend(strings(line)),
        }
    }
    for (name, (version, folder)) in &mut found {
        if folder == "vendored" {
            folder.clone_from(&folders[&pins[&format!("{name}.{version}")]]);
        }
    }
    found
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
    place.write("pinned/pinned.opam", format!("opam-version: \"2.0\"\n{}", dune("", "pinned", 7)));
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

#[test]
fn the_real_tool_locks_the_same() {
    let (Some(ports), Some(mirage)) = (beside("opam-overlays.tar.gz"), beside("mirage")) else {
        return;
    };
    let zarith = beside("mirage-opam-overlays.tar.gz").unwrap();
    let main = opam_repository();
    let facts = include_str!("../monorepo/locked.tsv");
    for project in ["hello-unix", "hello-spt", "hello-hvt", "resolve-spt"] {
        let place = Place::new();
        let file = format!("{project}.opam");
        place.write(&file, std::fs::read(mirage.join(&file)).unwrap());
        let repositories =
            [&ports, &zarith, &main].map(|path| format!("--repo {}", path.display()));
        place.resolve(&format!("{} .", repositories.join(" "))).exits(0);
        let run = place.x2nix("export --opam-locked --output -").exits(0);
        let ours = locked(&run.stdout);
        let mut theirs = BTreeMap::new();
        for line in facts.lines().filter(|line| !line.starts_with('#')) {
            let [of, name, version, folder] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            if of == project {
                theirs.insert(name.to_owned(), (version.to_owned(), folder.to_owned()));
            }
        }
        // What is compiled with the unikernel is the same, version for version and folder for folder.
        let vendored = |set: &BTreeMap<String, (String, String)>| -> Vec<_> {
            let vendored = set.iter().filter(|(_, (_, folder))| folder != "-");
            vendored.map(|(name, is)| (name.clone(), is.clone())).collect()
        };
        assert_eq!(vendored(&ours), vendored(&theirs), "{project}");
        // The host is that of opam without the variable `monorepo`: it builds no opam-monorepo, whose
        // conf-pkg-config nothing else of a hosted unikernel needs, and has no ports to dune, of which
        // that of rresult needs `result`.
        let differ: Vec<_> = theirs
            .iter()
            .filter(|(name, is)| ours.get(*name) != Some(is))
            .map(|(name, (version, _))| format!("{name} {version}"))
            .collect();
        let expected: &[&str] = match project {
            "resolve-spt" => &["opam-monorepo 0.4.3"],
            "hello-unix" => &[
                "astring 0.8.5+dune",
                "conf-pkg-config 5",
                "fpath 0.7.3+dune",
                "opam-monorepo 0.4.3",
                "result 1.5",
                "rresult 0.7.0+dune",
            ],
            _ => &[
                "astring 0.8.5+dune",
                "fpath 0.7.3+dune",
                "opam-monorepo 0.4.3",
                "result 1.5",
                "rresult 0.7.0+dune",
            ],
        };
        assert_eq!(differ, expected, "{project}");
        assert!(ours.keys().all(|name| theirs.contains_key(name)), "{project}");
    }
}

#[test]
fn configured_unikernels_lock_against_the_real_repositories() {
    let (Some(ports), Some(mirage)) = (beside("opam-overlays.tar.gz"), beside("mirage")) else {
        return;
    };
    let zarith = beside("mirage-opam-overlays.tar.gz").unwrap();
    let main = opam_repository();
    for (name, own, tool) in [
        ("hello-unix", "mirage-unix", "mirage"),
        ("hello-spt", "mirage-solo5", "solo5"),
        ("hello-hvt", "mirage-solo5", "ocaml-solo5"),
        ("resolve-spt", "gmp", "ocaml-solo5"),
    ] {
        let place = Place::new();
        let file = format!("{name}.opam");
        place.write(&file, std::fs::read(mirage.join(&file)).unwrap());
        let repositories =
            [&ports, &zarith, &main].map(|path| format!("--repo {}", path.display()));
        let run = place.resolve(&format!("{} --dry-run --format json .", repositories.join(" ")));
        let run = run.exits(0);
        let has =
            |set: &[String], name: &str| set.iter().any(|it| it.split('.').next() == Some(name));
        let workspace = set(&run, "workspace", "");
        let host = set(&run, "derivation", "host");
        assert!(has(&workspace, own) && has(&workspace, "mirage-runtime"), "{workspace:?}");
        assert!(workspace.contains(&"base-bytes.base+dune".to_owned()), "{workspace:?}");
        assert!(has(&host, tool) && has(&host, "ocaml-base-compiler"), "{host:?}");
        assert!(!has(&host, "opam-monorepo") && !has(&workspace, "dune"), "{host:?}");
        assert!(!host.iter().any(|it| it.contains("+dune")), "{host:?}");
    }
}

/// What `mirage configure --no-dhcp` of mirage 4.11 makes of `examples/dns-unikernel`, but for the target's
/// own packages.
const NAME_SERVER: &str = r#"
  "arp" { ?monorepo & >= "4.0.0" & < "5.0.0" }
  "cmdliner-stdlib" { ?monorepo & >= "1.0.1" & < "2.0.0" }
  "dns" { ?monorepo }
  "dns-server" { ?monorepo }
  "duration" { ?monorepo & < "1.0.0" }
  "ethernet" { ?monorepo & >= "3.0.0" & < "4.0.0" }
  "lwt" { ?monorepo }
  "mirage" { build & >= "4.11.0" & < "4.12.0" }
  "mirage-bootvar" { ?monorepo & >= "1.0.0" & < "2.0.0" }
  "mirage-crypto-rng-mirage" { ?monorepo & >= "2.0.0" & < "3.0.0" }
  "mirage-logs" { ?monorepo & >= "3.0.0" & < "4.0.0" }
  "mirage-mtime" { ?monorepo & >= "5.2.0" & < "6.0.0" }
  "mirage-ptime" { ?monorepo & >= "5.1.0" & < "6.0.0" }
  "mirage-runtime" { ?monorepo & >= "4.11.0" & < "4.12.0" }
  "mirage-sleep" { ?monorepo & >= "4.1.0" & < "5.0.0" }
  "opam-monorepo" { build & >= "0.3.2" }
  "tar-mirage" { ?monorepo & >= "1.0.0" & < "4.0.0" }
  "tcpip" { ?monorepo & >= "9.0.0" & < "10.0.0" }
"#;

#[test]
fn the_name_server_of_the_examples_locks_against_the_real_repositories() {
    let (Some(ports), Some(mirage)) =
        (beside("opam-overlays.tar.gz"), beside("mirage-opam-overlays.tar.gz"))
    else {
        return;
    };
    let main = opam_repository();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/dns-unikernel");
    let place = Place::new();
    for file in ["config.ml", "unikernel.ml", "zones/example.org"] {
        place.write(file, std::fs::read(format!("{example}/{file}")).unwrap());
    }
    let solo5 = r#"
  "mirage-block-solo5" { ?monorepo & >= "0.8.0" & < "0.9.0" }
  "mirage-net-solo5" { ?monorepo & >= "0.8.0" & < "0.9.0" }
  "mirage-solo5" { ?monorepo & >= "0.10.0" & < "0.11.0" }
  "ocaml-solo5" { build & >= "0.8.2" & < "2.0.0" }
  "solo5" { build & >= "0.7.5" & < "0.13.0" }"#;
    let unix = r#"
  "mirage-block-unix" { ?monorepo & >= "2.12.0" & < "3.0.0" }
  "mirage-unix" { ?monorepo & >= "5.0.0" & < "6.0.0" }"#;
    for (target, own, provided) in [
        ("spt", solo5, r#""ocaml-solo5" "solo5""#),
        ("hvt", solo5, r#""ocaml-solo5" "solo5""#),
        ("unix", unix, ""),
    ] {
        place.write(
            &format!("mirage/nameserver-{target}.opam"),
            format!(
                "opam-version: \"2.0\"\ndepends: [{NAME_SERVER}{own}]\n\
                 x-opam-monorepo-opam-provided: [\"mirage\" \"opam-monorepo\" {provided}]\n"
            ),
        );
    }
    let repositories = [&ports, &mirage, &main].map(|path| format!("--repo {}", path.display()));
    let repositories = repositories.join(" ");
    place.resolve(&format!("{repositories} --target spt --target hvt --target unix .")).exits(0);
    let lock: Value = serde_json::from_str(&place.read("x2nix.lock.json")).unwrap();
    let packages = lock["packages"].as_object().unwrap();
    let version = |name: &str| {
        let start = format!("{name}@");
        let known = packages
            .iter()
            .find(|(id, it)| id.starts_with(&start) && it["placement"] == "workspace");
        known.unwrap_or_else(|| panic!("{name} is not in the workspace")).0.clone()
    };
    for name in ["dns-server", "tar-mirage", "mirage-block-solo5", "mirage-block-unix", "tcpip"] {
        version(name);
    }
    assert!(version("fmt").ends_with("+dune"), "{}", version("fmt"));
    for (target, image) in
        [("spt", "nameserver.spt"), ("hvt", "nameserver.hvt"), ("unix", "nameserver")]
    {
        let unit = &lock["units"][format!("nameserver-{target}@dev")];
        assert_eq!(unit["meta"]["info"]["image"], image);
        assert_eq!(
            lock["platforms"]["x86_64-linux"]["aliases"][target],
            format!("nameserver-{target}@dev")
        );
    }
    assert!(packages.keys().any(|id| id.starts_with("ocaml-solo5@")));
}
