//! Twenty telling requests that have no answer, and what is said and suggested.
//!
//! Read a message as its user would before you accept a new one: is it true, is it all that he needs,
//! and is nothing said twice? [`every_unsolvable_request_of_the_repository`] holds all messages of the
//! real repository to one screen.

#![allow(clippy::unwrap_used)] // these are tests

#[allow(dead_code)] // other tests have use for the rest
mod support;

use insta::assert_snapshot;
use std::fs;
use support::{DEBIAN, Place, opam_repository, oracle};

/// The message of a request that has no answer, which fits one screen.
fn message(place: &Place, words: &str) -> String {
    let run = place.resolve(words).exits(1);
    assert_eq!(run.stdout, "");
    assert!(run.stderr.lines().count() < 40, "{}", run.stderr);
    run.stderr
}

fn small(packages: &[(&str, &str)], words: &str) -> String {
    message(&Place::with(packages), &format!("--repo repo {words}"))
}

fn real(words: &str) -> String {
    let repository = opam_repository();
    message(&Place::new(), &format!("--repo {} {DEBIAN} {words}", repository.display()))
}

const COMPILERS: &[(&str, &str)] = &[
    (
        "ocaml.4.14.2",
        "depends: \"ocaml-base-compiler\" {= \"4.14.2\"} | \"ocaml-variants\" {= \"4.14.2+fp\"}",
    ),
    (
        "ocaml.5.2.1",
        "depends: \"ocaml-base-compiler\" {= \"5.2.1\"} | \"ocaml-variants\" {= \"5.2.1+fp\"}",
    ),
    ("ocaml.5.3.0", "depends: \"ocaml-base-compiler\" {= \"5.3.0\"}"),
    (
        "ocaml-base-compiler.4.14.2",
        "depends: \"ocaml\" {= \"4.14.2\" & post}\nconflict-class: \"core\"",
    ),
    (
        "ocaml-base-compiler.5.2.1",
        "depends: \"ocaml\" {= \"5.2.1\" & post}\nconflict-class: \"core\"",
    ),
    (
        "ocaml-base-compiler.5.3.0",
        "depends: \"ocaml\" {= \"5.3.0\" & post}\nconflict-class: \"core\"",
    ),
    (
        "ocaml-variants.4.14.2+fp",
        "depends: \"ocaml\" {= \"4.14.2\" & post}\nconflict-class: \"core\"",
    ),
    (
        "ocaml-variants.5.2.1+fp",
        "depends: \"ocaml\" {= \"5.2.1\" & post}\nconflict-class: \"core\"",
    ),
];

fn compilers(more: &[(&str, &str)], words: &str) -> String {
    small(&[COMPILERS, more].concat(), words)
}

#[test]
fn a_root_whose_bound_is_too_new_for_another() {
    let more =
        [("old.1", "depends: \"ocaml\" {< \"5.0\"}"), ("old.2", "depends: \"ocaml\" {< \"5.0\"}")];
    assert_snapshot!(compilers(&more, "--root ocaml>=5.0 --root old"));
}

#[test]
fn two_bounds_of_one_name() {
    assert_snapshot!(compilers(&[], "--root ocaml<5.0 --root ocaml>=5.0"));
}

#[test]
fn two_compilers() {
    assert_snapshot!(compilers(&[], "--root ocaml-base-compiler --root ocaml-variants"));
}

#[test]
fn a_compiler_with_an_option_beside_one_without() {
    let more = [("frames.1", "depends: \"ocaml-variants\"")];
    assert_snapshot!(compilers(&more, "--root frames --root ocaml-base-compiler"));
}

#[test]
fn every_version_in_words_of_its_own() {
    let more =
        [("old.1", "depends: \"ocaml\" {< \"4.0\"}"), ("new.1", "depends: \"ocaml\" {> \"5.3\"}")];
    assert_snapshot!(compilers(&more, "--root old"));
    let more = [("only.1", "depends: \"never\""), ("never.1", "conflicts: \"ocaml\"")];
    assert_snapshot!(compilers(&more, "--root only --root ocaml-base-compiler"));
}

#[test]
fn many_versions_that_say_the_same() {
    let io: Vec<_> = (1..=9).map(|version| format!("io.{version}")).collect();
    let http: Vec<_> = (1..=9).map(|version| format!("http.{version}")).collect();
    let mut packages = vec![("log.1", "depends: \"io\" {< \"3\"}")];
    packages.extend(io.iter().map(|name| (name.as_str(), "")));
    packages.extend(http.iter().map(|name| (name.as_str(), "depends: [\n  \"io\" {>= \"5\"}\n]")));
    assert_snapshot!(small(&packages, "--root http>=3 --root log"));
}

#[test]
fn a_bound_of_the_project_itself() {
    let packages = [("io.1", ""), ("io.2", ""), ("log.1", "depends: \"io\" {>= \"2\"}")];
    let place = Place::with(&packages);
    place.write(
        "shop.opam",
        "opam-version: \"2.0\"\nsynopsis: \"A shop\"\ndepends: [\n  \"log\"\n  \"io\" {< \"2\"}\n]\n",
    );
    assert_snapshot!(message(&place, "--repo repo"));
}

#[test]
fn two_slips_at_once() {
    let packages = [("yojson.2", ""), ("lwt.5", ""), ("lwt.6", "")];
    assert_snapshot!(small(&packages, "--root yojsn --root ltw<6"));
}

#[test]
fn a_dependency_that_nobody_has() {
    let packages =
        [("shop.1", "depends: [\n  \"lwt\"\n  \"cohtpp\"\n]"), ("lwt.1", ""), ("cohttp.1", "")];
    assert_snapshot!(small(&packages, "--root shop"));
}

#[test]
fn a_version_that_is_not_there_any_more() {
    let packages = [("shop.1", "depends: \"io\" {< \"3\"}"), ("io.3", ""), ("io.4", "")];
    assert_snapshot!(small(&packages, "--root shop"));
}

#[test]
fn a_version_for_no_system_at_all() {
    let packages = [("gone.1", "available: false"), ("gone.2", "available: false")];
    assert_snapshot!(small(&packages, "--root gone"));
}

#[test]
fn a_version_for_another_processor() {
    let packages = [("arm.1", "available: arch = \"arm64\" & os = \"linux\"")];
    assert_snapshot!(small(&packages, "--root arm"));
}

#[test]
fn alternatives_of_which_each_is_refused() {
    let packages = [
        ("top.1", "depends: [\n  \"gmp\" | \"conf-gmp\" {>= \"3\"} | (\"mini\" & \"small\")\n]"),
        ("gmp.1", "available: os = \"win32\""),
        ("conf-gmp.1", ""),
        ("mini.1", ""),
        ("small.1", "conflicts: [\n  \"mini\"\n]"),
    ];
    assert_snapshot!(small(&packages, "--root top"));
}

#[test]
fn a_conflict_with_all_that_there_is() {
    let packages = [
        ("top.1", "depends: [\"io\"]\nconflicts: [\n  \"io\" {>= \"1\"}\n]"),
        ("io.1", ""),
        ("io.2", ""),
    ];
    assert_snapshot!(small(&packages, "--root top"));
}

#[test]
fn three_that_need_each_other_to_be_built() {
    let packages = [
        ("a.1", "depends: [\n  \"b\"\n]"),
        ("b.1", "depends: [\n  \"c\"\n]"),
        ("c.1", "depends: [\n  \"a\"\n]"),
    ];
    assert_snapshot!(small(&packages, "--root a"));
}

#[test]
fn a_long_way_down() {
    let needs = |number: usize| match number {
        9 => "depends: \"z\" {< \"2\"}".to_owned(),
        number => format!("depends: \"p{}\"", number + 1),
    };
    let chain: Vec<_> = (0..10).map(|number| (format!("p{number}.1"), needs(number))).collect();
    let mut packages: Vec<_> =
        chain.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    packages.extend([("z.1", ""), ("z.2", "")]);
    assert_snapshot!(small(&packages, "--root p0 --root z=2"));
}

#[test]
fn an_option_of_the_compiler_in_the_real_repository() {
    assert_snapshot!(real("--root ocaml-option-flambda --root ocaml-base-compiler"));
}

#[test]
fn an_unavailable_compiler_in_the_real_repository() {
    assert_snapshot!(real("--root base-num --root ocaml-base-compiler"));
}

#[test]
fn a_stale_bound_in_the_real_repository() {
    assert_snapshot!(real("--root disml --root ocaml-base-compiler"));
}

#[test]
fn an_old_program_and_a_new_compiler_in_the_real_repository() {
    assert_snapshot!(real("--root frama-c<20 --root ocaml-base-compiler>=5.0"));
}

#[test]
fn all_of_it() {
    let more = [("only.1", "depends: \"ocaml\" {< \"5.0\"}")];
    let place = Place::with(&[COMPILERS, &more].concat());
    let words = "--repo repo --root only --root ocaml-base-compiler>=5";
    assert_snapshot!(message(&place, &format!("{words} --verbose")));
    let answer = place.resolve(&format!("{words} --format json")).exits(1).json();
    assert_snapshot!(serde_json::to_string_pretty(&answer).unwrap());
}

#[test]
fn every_unsolvable_request_of_the_repository() {
    let answers = fs::read_to_string(oracle("solvable.tsv")).unwrap();
    let names = answers.lines().filter_map(|line| line.strip_suffix("\tno"));
    let (place, repository) = (Place::new(), opam_repository());
    let mut count = 0;
    for name in names {
        let words = format!(
            "--repo {} {DEBIAN} --root {name} --root ocaml-base-compiler --dry-run",
            repository.display()
        );
        let text = message(&place, &words);
        assert!(text.contains(&format!("you asked for {name}")), "{text}");
        assert!(text.contains("  help: "), "{text}");
        count += 1;
    }
    assert_eq!(count, 174);
}
