//! The corner cases of opam's semantics, held against what opam itself answers.
//!
//! `results.txt` has, for each package of a small repository, what several solvers choose beside it;
//! the column of opam's own default counts, and its column of the same with tests.

use crate::support::{DEBIAN, Place, opam_repository, oracle};
use std::fs;

/// Where x2nix differs from opam, on purpose or because both are as good.
const OTHERWISE: &[(&str, &str)] = &[
    // opam drops a field that it cannot read and takes the rest of the file; x2nix says what is
    // wrong and leaves the version out, so that a damaged `depends` never means "needs nothing".
    ("avail-list", "UNSAT"),
    // The variables of a switch, such as `prefix`, have no value before the build.
    ("switchvar", "ok"),
];

/// Alternatives that are equally good: opam's choice among them is arbitrary.
const TIES: &[(&str, &[&str])] = &[
    ("or-pref", &["c.1", "d.1"]),
    ("and-in-or", &["c.1", "d.1"]),
    // opam counts an avoided version as the newest, and so takes `b.3~rc1` for outdated.
    ("or-test", &["c.1", "b.3~rc1"]),
];

#[test]
fn each_case_is_answered_as_opam_does() {
    let place = Place::new();
    let repository = oracle("corner-cases/repo");
    let results = fs::read_to_string(oracle("corner-cases/results.txt")).unwrap();
    let mut differences = Vec::new();
    let mut count = 0;
    for line in results.lines().skip(1) {
        let (answers, with_test) = line.split_once('|').unwrap();
        let answers: Vec<_> = answers.split_whitespace().collect();
        let case = answers[0];
        let with_test = with_test.split_whitespace().next().unwrap();
        for (flags, opam) in [("", answers[2]), ("--with-test", with_test)] {
            let ours = beside(&place, &repository.to_string_lossy(), case, flags);
            let otherwise = OTHERWISE.iter().find(|(name, _)| *name == case);
            let expected = otherwise.map_or(opam, |(_, answer)| answer);
            let tie = TIES.iter().find(|(name, answers)| {
                *name == case && answers.contains(&expected) && answers.contains(&ours.as_str())
            });
            if ours != expected && tie.is_none() {
                differences.push(format!("{case} {flags}: {ours}, not {expected}"));
            }
            count += 1;
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
    assert_eq!(count, 2 * 69, "the cases were not all there");
}

/// What is chosen beside a package: joined by `+`, `ok` for nothing.
fn beside(place: &Place, repository: &str, case: &str, flags: &str) -> String {
    let run = place.resolve(&format!(
        "--repo {repository} --root {case} {flags} {DEBIAN} --dry-run --format json"
    ));
    let answer = run.answer();
    let own = format!("{}.", case.split('.').next().unwrap());
    let others: Vec<_> = answer.split(' ').filter(|package| !package.starts_with(&own)).collect();
    if others.is_empty() { "ok".into() } else { others.join("+") }
}

#[test]
fn requests_on_the_real_repository_are_solvable_where_opam_says_so() {
    let place = Place::new();
    let repository = opam_repository();
    let sample = fs::read_to_string(oracle("sample.jsonl")).unwrap();
    let mut differences = Vec::new();
    for line in sample.lines() {
        let request: serde_json::Value = serde_json::from_str(line).unwrap();
        let roots: Vec<_> = request["roots"]
            .as_array()
            .unwrap()
            .iter()
            .map(|root| root.as_str().unwrap())
            .collect();
        let (solvable, run) = real(&place, &repository.to_string_lossy(), &roots);
        let opam = &request["mccs"];
        if opam["ok"] != solvable {
            differences.push(format!("{roots:?}: {solvable}"));
        }
        if solvable {
            // The avoided packages, and how far the answer lies behind the newest versions.
            let weight = |value: &serde_json::Value| value.as_u64().unwrap();
            let ours: Vec<_> =
                run["criteria"].as_array().unwrap().iter().map(|c| weight(&c["value"])).collect();
            let theirs: Vec<_> = opam["criteria"].as_array().unwrap().iter().map(weight).collect();
            if ours[..4] > theirs[..4] {
                differences.push(format!("{roots:?}: {ours:?}, opam has {theirs:?}"));
            }
        }
    }
    assert_eq!(sample.lines().count(), 40);
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn names_of_the_real_repository_are_solvable_where_opam_says_so() {
    let place = Place::new();
    let repository = opam_repository();
    let table = fs::read_to_string(oracle("solvable.tsv")).unwrap();
    let rows: Vec<_> = table.lines().skip(1).map(|line| line.split_once('\t').unwrap()).collect();
    for (word, solvable) in [("yes", true), ("no", false)] {
        // Thirty of them, evenly spread over the alphabet: always the same.
        let names: Vec<_> =
            rows.iter().filter(|row| row.1 == word).map(|&(name, _)| name).collect();
        for position in 0..30 {
            let name = names[position * names.len() / 30];
            let (ours, document) =
                real(&place, &repository.to_string_lossy(), &[name, "ocaml-base-compiler"]);
            assert_eq!(ours, solvable, "{name}: {document}");
        }
    }
}

/// Whether a request on the real repository has an answer, and the answer.
fn real(place: &Place, repository: &str, roots: &[&str]) -> (bool, serde_json::Value) {
    let roots = format!(" --root {}", roots.join(" --root "));
    let words = format!("--repo {repository} {DEBIAN} --dry-run --format json{roots}");
    let run = place.resolve(&words);
    (run.answer() != "UNSAT", run.json())
}
