//! What the user reads where there is no answer.
//!
//! Each message is kept as it is printed: read it as its user would before accepting a new one.

use crate::support::{DEBIAN, Place, opam_repository};
use insta::assert_snapshot;

/// The message of a request that has no answer, which fits one screen.
fn message(place: &Place, words: &str) -> String {
    let run = place.resolve(words).exits(1);
    assert_eq!(run.stdout, "");
    assert!(run.stderr.lines().count() <= 40, "{}", run.stderr);
    assert!(!place.path("x2nix.lock.json").exists());
    run.stderr
}

fn small(packages: &[(&str, &str)], words: &str) -> String {
    message(&Place::with(packages), &format!("--repo repo {words}"))
}

fn real(words: &str) -> String {
    let repository = opam_repository();
    message(&Place::new(), &format!("--repo {} {DEBIAN} {words}", repository.display()))
}

#[test]
fn a_name_that_nobody_has() {
    let packages = [("lwt.1", ""), ("lwt_ppx.1", ""), ("dream.1", "depends: \"lwt-ppx\"")];
    assert_snapshot!(small(&packages, "--root ltw --root dream"));
}

#[test]
fn a_bound_that_no_version_fits() {
    let packages = [("b.1", ""), ("b.2", ""), ("b.3", "")];
    assert_snapshot!(small(&packages, "--root b>=4"));
}

#[test]
fn a_project_whose_own_bounds_exclude_each_other() {
    let place = Place::with(&[
        ("http.1", "depends: [\"io\" {< \"2\"}]"),
        ("http.2", "depends: [\"io\" {< \"2\"} \"tls\"]"),
        ("tls.1", ""),
        ("log.1", "depends: [\n  \"io\" {>= \"2\"}\n]"),
        ("io.1", ""),
        ("io.2", ""),
    ]);
    place.write(
        "shop.opam",
        "opam-version: \"2.0\"\nsynopsis: \"A shop\"\ndepends: [\n  \"http\"\n  \"log\" {>= \"1\"}\n]\n",
    );
    assert_snapshot!(message(&place, "--repo repo"));
}

#[test]
fn a_version_that_is_not_for_this_system() {
    let packages = [
        ("gui.1", "depends: \"cocoa\""),
        ("cocoa.1", "available: os = \"macos\""),
        ("cocoa.2", "available: os = \"macos\" & arch = \"arm64\""),
    ];
    assert_snapshot!(small(&packages, "--root gui"));
}

#[test]
fn packages_that_refuse_each_other() {
    let packages = [
        ("top.1", "depends: [\"a\" \"b\"]"),
        ("a.1", "conflicts: [\"b\"]"),
        ("a.2", "depends: \"c\""),
        ("c.1", "conflicts: [\"b\" {>= \"1\"}]"),
        ("b.1", ""),
    ];
    assert_snapshot!(small(&packages, "--root top"));
}

#[test]
fn two_of_one_class() {
    let packages = [
        ("shell.1", "conflict-class: \"login\""),
        ("desk.1", "conflict-class: \"login\""),
        ("both.1", "depends: [\"shell\" \"desk\"]"),
    ];
    assert_snapshot!(small(&packages, "--root both"));
}

#[test]
fn packages_that_need_each_other_to_be_built() {
    let packages = [("hen.1", "depends: \"egg\""), ("egg.1", "depends: \"hen\" {build}")];
    assert_snapshot!(small(&packages, "--root hen"));
    assert_snapshot!(small(&[("self.1", "depends: \"self\"")], "--root self"));
}

#[test]
fn a_choice_of_which_nothing_is_left() {
    let packages = [
        ("top.1", "depends: [(\"a\" & \"x\") | \"b\" {>= \"2\"} | \"none\"]"),
        ("a.1", ""),
        ("x.1", "conflicts: \"a\""),
        ("b.1", ""),
    ];
    assert_snapshot!(small(&packages, "--root top"));
}

#[test]
fn a_file_that_is_broken() {
    let packages = [("top.1", "depends: [\"a\"]"), ("a.1", "depends: [\"b\"")];
    assert_snapshot!(small(&packages, "--root top"));
}

#[test]
fn a_package_of_another_system_in_the_real_repository() {
    assert_snapshot!(real("--root osx-fsevents --root ocaml-base-compiler"));
}

#[test]
fn a_package_of_old_versions_in_the_real_repository() {
    assert_snapshot!(real("--root grpc-examples --root ocaml-base-compiler"));
}

#[test]
fn a_second_compiler_in_the_real_repository() {
    assert_snapshot!(real("--root ocaml-base-compiler --root ocaml-variants"));
}

#[test]
fn a_misspelt_name_in_the_real_repository() {
    assert_snapshot!(real("--root cohttp_lwt-unix --root yojsn"));
}

#[test]
fn bounds_of_two_roots_in_the_real_repository() {
    assert_snapshot!(real("--root lwt>=5.7 --root ocaml<4.03"));
}

#[test]
fn programs_get_the_same_reasons() {
    let place = Place::with(&[("a.1", "depends: [\n\"b\" {> \"1\"}]"), ("b.1", "")]);
    let run = place.resolve("--repo repo --root a --format json").exits(1);
    assert_eq!(run.stderr, "");
    let answer = run.json();
    assert_eq!(answer["status"], "unsolvable");
    assert_eq!(answer["platform"], "x86_64-linux");
    assert_eq!(answer["reasons"][0]["origin"]["file"], "--root a");
    assert_eq!(answer["reasons"][1]["origin"]["file"], "packages/a/a.1/opam");
    assert_eq!(answer["reasons"][1]["origin"]["line"], 3);
}

#[test]
fn a_long_story_is_cut_unless_all_is_asked_for() {
    let needs = |number: usize| format!("depends: [\"p{}\"]", number + 1);
    let names: Vec<_> = (0..60).map(|number| (format!("p{number}.1"), needs(number))).collect();
    let packages: Vec<_> =
        names.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let place = Place::with(&packages);
    let brief = place.resolve("--repo repo --root p0").exits(1).says("--verbose shows all");
    assert!(brief.stderr.lines().count() <= 40, "{}", brief.stderr);
    let all = place.resolve("--repo repo --root p0 --verbose").exits(1);
    all.says("p59 1").says("requires p60, but there is no package of that name");
}

#[test]
fn a_lock_survives_a_request_without_an_answer() {
    let place = Place::with(&[("a.1", "")]);
    place.resolve("--repo repo --root a").exits(0);
    let before = place.read("x2nix.lock.json");
    place.resolve("--repo repo --root a>1").exits(1);
    assert_eq!(place.read("x2nix.lock.json"), before);
}
