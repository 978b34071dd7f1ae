//! The real repositories and the real opam-monorepo: the projects that mirage configured lock as that tool
//! locks them, and plain ones too. What it answered is in `tests/monorepo`.

use crate::{
    monorepo::set,
    support::{DEBIAN, Place, opam_repository},
};
use serde_json::Value;
use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

/// What lies beside the opam repository, if it is there.
fn beside(name: &str) -> Option<PathBuf> {
    let found = opam_repository().parent()?.join(name);
    found.exists().then_some(found)
}

/// The repositories that the real tool had, as flags, and the folder of the configured projects.
fn real() -> Option<(String, PathBuf)> {
    let ports = beside("opam-overlays.tar.gz")?;
    let zarith = beside("mirage-opam-overlays.tar.gz")?;
    let flags = [ports, zarith, opam_repository()].map(|path| format!("--repo {}", path.display()));
    Some((flags.join(" "), beside("mirage")?))
}

/// A configured project; the DNS client for unix is that for spt with what `lib/devices` of mirage 4.11.1 has
/// for unix.
fn configured(place: &Place, project: &str, mirage: &std::path::Path) {
    let file = format!("{project}.opam");
    let text = match project {
        "resolve-unix" => include_str!("../monorepo/resolve-unix.opam").to_owned(),
        _ => std::fs::read_to_string(mirage.join(&file)).unwrap(),
    };
    place.write(&file, text);
}

/// The lines of a table.
fn facts(table: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split('\t').collect())
}

/// What a lock of opam-monorepo says of each package: its version, and its folder in the duniverse or `-`.
pub(crate) fn locked(text: &str) -> BTreeMap<String, (String, String)> {
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
fn the_real_tool_locks_the_same() {
    let Some((repositories, mirage)) = real() else { return };
    for project in ["hello-unix", "hello-spt", "hello-hvt", "resolve-unix", "resolve-spt"] {
        let place = Place::new();
        configured(&place, project, &mirage);
        place.resolve(&format!("{repositories} .")).exits(0);
        let run = place.x2nix("export --opam-locked --output -").exits(0);
        let ours = locked(&run.stdout);
        let mut theirs = BTreeMap::new();
        for line in facts(include_str!("../monorepo/locked.tsv")) {
            if let [of, name, version, folder] = line[..]
                && of == project
            {
                theirs.insert(name.to_owned(), (version.to_owned(), folder.to_owned()));
            }
        }
        assert!(theirs.len() > 50, "{project}");
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
            "resolve-unix" => &["conf-pkg-config 5", "opam-monorepo 0.4.3"],
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
fn the_real_tool_vendors_the_same_for_plain_projects() {
    let Some((repositories, _)) = real() else { return };
    let mut theirs: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for line in facts(include_str!("../monorepo/plain.tsv")) {
        let [root, name, version] = line[..] else { panic!("{line:?}") };
        theirs.entry(root).or_default().push(format!("{name}.{version}"));
    }
    assert_eq!(theirs.len(), 8);
    for (root, mut theirs) in theirs {
        let place = Place::new();
        let needs = format!("opam-version: \"2.0\"\ndepends: [\"dune\" \"ocaml\" \"{root}\"]\n");
        place.write("p.opam", needs);
        let words = format!("{repositories} {DEBIAN} --monorepo --dry-run --format json .");
        let mut ours = set(&place.resolve(&words).exits(0), "workspace", "");
        ours.sort_unstable();
        theirs.sort_unstable();
        if root == "dream" {
            // The tool takes the newest of what the project names first; here the sum of all counts, and
            // an older dream does without much that would have to be older.
            assert!(ours.contains(&"dream.1.0.0~alpha1".into()), "{ours:?}");
            assert!(theirs.contains(&"dream.1.0.0~alpha3".into()), "{theirs:?}");
        } else {
            assert_eq!(ours, theirs, "{root}");
        }
    }
}

#[test]
fn the_two_sets_of_a_dns_client() {
    let Some((repositories, mirage)) = real() else { return };
    let mut text = String::new();
    for project in ["resolve-unix", "resolve-spt"] {
        let place = Place::new();
        configured(&place, project, &mirage);
        let words = format!("{repositories} --dry-run --format json .");
        let run = place.resolve(&words).exits(0);
        for (what, placement, context) in [
            ("the workspace", "workspace", ""),
            ("with nothing to compile there", "derivation", ""),
            ("the host", "derivation", "host"),
        ] {
            let set = set(&run, placement, context);
            writeln!(text, "{project}, {what}: {} packages\n  {}", set.len(), set.join("\n  "))
                .unwrap();
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn configured_unikernels_lock_against_the_real_repositories() {
    let Some((repositories, mirage)) = real() else { return };
    for (name, own, tool) in [
        ("hello-unix", "mirage-unix", "mirage"),
        ("hello-spt", "mirage-solo5", "solo5"),
        ("hello-hvt", "mirage-solo5", "ocaml-solo5"),
        ("resolve-spt", "gmp", "ocaml-solo5"),
    ] {
        let place = Place::new();
        configured(&place, name, &mirage);
        let run = place.resolve(&format!("{repositories} --dry-run --format json ."));
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
    let Some((repositories, _)) = real() else { return };
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
