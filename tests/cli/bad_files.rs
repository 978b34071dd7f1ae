//! Files that are broken or hostile: a clear message, the right exit status, and the rest is used.

use crate::support::{Place, gzip, tgz_entry};
use std::fs;
use tar::EntryType;

const HEAD: &str = "opam-version: \"2.0\"\n";

#[test]
fn a_broken_file_among_good_ones_is_reported_and_left_out() {
    let huge = format!("description: \"{}\"\n", "x".repeat(20 << 20));
    let deep = format!("depends: {}\"b\"{}\n", "(".repeat(10_000), ")".repeat(10_000));
    for (text, code, line) in [
        ("depends: [\n  \"b\" {>= \n]\n".into(), "opam::syntax", ":4"),
        ("synopsis: \"no end\n".into(), "opam::syntax", ":2"),
        ("depends: [\"b\" {with-test & }]\n".into(), "opam::syntax", ":2"),
        ("flags: [3]\n".into(), "opam::field", ":2"),
        (deep, "opam::syntax", ":2"),
        (huge, "opam::unreadable", ""),
        ("opam-version: \"2.0\"\n".into(), "opam::", ":2"),
    ] {
        let text = format!("{HEAD}{text}");
        let packages = [("a.1", ""), ("a.2", text.as_str())];
        let place = Place::with(&packages);
        place.archive("repo.tar.gz", &packages);
        for repo in ["repo", "repo.tar.gz"] {
            let run = place.resolve(&format!("--repo {repo} --root a --dry-run")).exits(0);
            let place = format!("--> packages/a/a.2/opam{line}\n");
            let run = run.says(&format!("warning[{code}")).says(&place).says("left out");
            assert_eq!(run.stdout, "a 1\n");
        }
        let json = place.resolve("--repo repo --root a --dry-run --format json").exits(0);
        assert_eq!(json.json()["notes"][0]["severity"], "warning");
        assert_eq!(json.stderr, "");
    }
}

#[test]
fn what_is_not_utf8_is_no_opam_file() {
    let place = Place::with(&[("a.1", "")]);
    place.write("repo/packages/a/a.2/opam", b"opam-version: \"2.0\"\nsynopsis: \"\xff\xfe\"\n");
    place
        .resolve("--repo repo --root a --dry-run")
        .exits(0)
        .says("opam::encoding")
        .says("a.2/opam:2")
        .answers("a 1\n");
    place.write("shop.opam", b"opam-version: \"2.0\"\nsynopsis: \"\xff\xfe\"\n");
    place.resolve("--repo repo").exits(2).says("opam::encoding").says("shop.opam:2");
}

#[test]
fn a_broken_project_is_refused_with_the_line() {
    for (text, code, line) in [
        ("depends: [\n  \"a\" {>= }\n]\n", "opam::syntax", 3),
        ("depends: [\n  \"a\" {>= \"1\"}\n", "opam::syntax", 4),
        ("synopsis: \"x\"\ndepends: [ 3 ]\n", "opam::field", 3),
        ("depends: \"a\"\navailable: [ = ]\n", "opam::syntax", 3),
    ] {
        let place = Place::with(&[("a.1", "")]);
        place.write("shop.opam", format!("{HEAD}{text}"));
        place.write("x2nix.lock.json", "as it was");
        for words in ["--repo repo --update", "--repo repo --update --dry-run"] {
            let run = place.resolve(words).exits(2);
            run.says(&format!("error[{code}]")).says(&format!("--> shop.opam:{line}\n"));
        }
        let json = place.resolve("--repo repo --update --format json").exits(2).json();
        assert_eq!(json["status"], "error");
        assert_eq!(json["errors"][0]["origin"]["line"], line);
        assert_eq!(place.read("x2nix.lock.json"), "as it was");
    }
}

#[test]
fn two_files_of_one_package_are_one_too_many() {
    let place = Place::with(&[]);
    place.write("shop.opam", HEAD);
    place.write("opam/shop.opam", HEAD);
    place.resolve("--repo repo").exits(2).says("opam::duplicate").says("described twice");
}

#[test]
fn a_cut_archive_is_refused_wherever_it_was_cut() {
    let place = Place::new();
    let text = format!("description: \"{}\"", "lorem ipsum ".repeat(400));
    place.archive("whole.tar.gz", &[("a.1", &text), ("b.1", &text), ("c.1", &text)]);
    let whole = fs::read(place.path("whole.tar.gz")).unwrap();
    place.resolve("--repo whole.tar.gz --root a --dry-run").exits(0);
    for part in [3, 12, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
        place.write("cut.tar.gz", &whole[..part]);
        let run = place.resolve("--repo cut.tar.gz --root a --format json").exits(2);
        assert!(run.code().starts_with("input::"), "{}", run.stdout);
    }
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 0x55;
    place.write("cut.tar.gz", damaged);
    place.resolve("--repo cut.tar.gz --root a").exits(2).says("--> cut.tar.gz");
    assert!(!place.path("x2nix.lock.json").exists());
}

#[test]
fn what_is_no_archive_is_refused() {
    let place = Place::new();
    for content in ["", "hello", "\x1f", "PK\x03\x04 and so on", "Rar!\x1a\x07"] {
        place.write("repo.tar.gz", content);
        let run = place.resolve("--repo repo.tar.gz --root a").exits(2);
        run.says("error[input::").says("repo.tar.gz").says("help: ");
    }
    place.write("repo.tar.gz", gzip(b"this is no tar"));
    place.resolve("--repo repo.tar.gz --root a").exits(2).says("error[input::");
}

#[test]
fn nothing_leaves_the_folder_of_an_archive() {
    let place = Place::new();
    place.write("secret/opam", "opam-version: \"2.0\"\nversion: \"stolen\"\n");
    let secret = place.path("secret/opam").to_string_lossy().into_owned();
    let mut tar = Vec::new();
    let mut file = |kind, name: &str, target: &str, content: &[u8]| {
        tgz_entry(kind, name, target, content, &mut tar);
    };
    let head = HEAD.as_bytes();
    file(EntryType::Regular, "packages/a/a.1/opam", "", head);
    file(EntryType::Regular, "../outside", "", b"x");
    file(EntryType::Regular, "packages/../../outside", "", b"x");
    file(EntryType::Regular, "/tmp/x2nix-was-here", "", b"x");
    file(EntryType::Symlink, "packages/a/a.2/opam", "../../../../secret/opam", b"");
    if secret.len() <= 100 {
        file(EntryType::Symlink, "packages/a/a.3/opam", &secret, b"");
    }
    file(EntryType::Link, "packages/a/a.4/opam", "../secret/opam", b"");
    file(EntryType::Symlink, "packages/a/a.5", "../../..", b"");
    place.write("repo/hostile.tar.gz", gzip(&tar));

    let run = place.resolve("--repo repo/hostile.tar.gz --root a --format json").exits(0);
    assert_eq!(run.answer(), "a.1");
    let notes = run.json()["notes"].to_string();
    for left_out in ["../outside", "/tmp/x2nix-was-here", "a.2", "a.4"] {
        assert!(notes.contains(left_out), "{left_out} in {notes}");
    }
    assert!(!notes.contains("stolen") && !run.stdout.contains("stolen"));
    assert!(!place.path("outside").exists() && !place.path("repo/outside").exists());
    assert_eq!(place.names("repo"), ["hostile.tar.gz"]);
}

#[test]
fn links_that_lead_out_of_a_folder_are_not_followed() {
    let place = Place::with(&[("a.1", "")]);
    place.write("secret", "opam-version: \"2.0\"\nversion: \"stolen\"\n");
    fs::create_dir_all(place.path("repo/packages/a/a.2")).unwrap();
    std::os::unix::fs::symlink(place.path("secret"), place.path("repo/packages/a/a.2/opam"))
        .unwrap();
    let run = place.resolve("--repo repo --root a --dry-run").exits(0).says("a.2/opam");
    assert_eq!(run.stdout, "a 1\n");
}

#[test]
fn broken_settings_are_refused_with_the_line() {
    let place = Place::with(&[("a.1", "")]);
    place.write("shop.opam", HEAD);
    for (text, line, word) in [
        ("repositories = [\"repo\"]\n[provided.x]\nversion = 3\n", 3, "string"),
        ("\nrepositories = \"repo\"\n", 2, "sequence"),
        ("\n\nreps = []\n", 3, "unknown field"),
        ("repositories = [\n", 1, ""),
    ] {
        place.write("x2nix.toml", text);
        let run = place.resolve("").exits(2).says("settings::syntax").says(word);
        run.says("x2nix.toml:").says("known settings");
        let json = place.resolve("--format json").exits(2).json();
        let place = &json["errors"][0]["origin"]["line"];
        assert!(place.as_u64().unwrap() >= line, "{text:?}: {json}");
    }
    place.write("x2nix.toml", b"repositories = [\"\xff\"]");
    let run = place.resolve("");
    assert!(matches!(run.status, Some(2 | 3)), "{run:?}");
    run.says("x2nix.toml");
}
