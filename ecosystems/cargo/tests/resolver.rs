//! Small registries, each about one thing: x2nix writes the very `Cargo.lock` that cargo does, or both
//! refuse.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/place.rs"]
mod place;
mod support;

use place::{APP, Place};
use std::collections::BTreeMap;
use support::{Wish, lock};

/// Resolves with both, and gives what both wrote.
fn same(manifest: &str, registry: &[&str]) -> String {
    same_in(&Place::new(manifest, registry))
}

fn same_in(place: &Place) -> String {
    let cargo = place.cargo_lock().expect("cargo has an answer");
    let own = lock(&place.project(), &Wish::default()).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(own.text, cargo, "x2nix, then cargo");
    own.text
}

/// Neither has an answer; gives why not.
fn refused(manifest: &str, registry: &[&str]) -> String {
    let place = Place::new(manifest, registry);
    assert_eq!(place.cargo_lock(), None);
    match lock(&place.project(), &Wish::default()) {
        Ok(answer) => panic!("it is answered: {}", answer.text),
        Err(why) => why,
    }
}

fn app(dependencies: &str) -> String {
    format!("{APP}[dependencies]\n{dependencies}")
}

fn versions(lock: &str, name: &str) -> Vec<String> {
    let blocks = lock.split("[[package]]");
    let of = blocks.filter(|block| block.contains(&format!("name = \"{name}\"\n")));
    of.filter_map(|block| Some(block.split_once("version = \"")?.1.split_once('"')?.0.to_owned()))
        .collect()
}

#[test]
fn the_newest_of_each_range_and_many_ranges_beside_each_other() {
    let text = same(
        &app("one = \"1\"\nrand = \"0.7\"\n"),
        &[
            "one 1.2.0; rand >=0.7,<0.9",
            "one 1.3.0-beta.1",
            "rand 0.7.3",
            "rand 0.7.4",
            "rand 0.8.5",
            "rand 0.9.0",
        ],
    );
    assert_eq!(versions(&text, "rand"), ["0.7.4", "0.8.5"]);
    assert_eq!(versions(&text, "one"), ["1.2.0"]);
}

#[test]
fn a_pin_further_away_holds_a_version_back() {
    let text = same(
        &app("one = \"1\"\ntwo = \"1\"\n"),
        &[
            "one 1.1.0; base =1.0.2",
            "one 1.0.0; base ^1",
            "two 1.5.0; base ^1",
            "base 1.0.1",
            "base 1.0.2",
            "base 1.9.0",
        ],
    );
    assert_eq!(versions(&text, "base"), ["1.0.2"]);
    assert_eq!(versions(&text, "one"), ["1.1.0"]);
}

#[test]
fn a_version_that_cannot_be_had_gives_way_to_an_older_one() {
    let text = same(
        &app("one = \"1\"\nbase = \"=1.0.0\"\n"),
        &["one 1.2.0; base ^1.5", "one 1.1.0; base ^1.0", "base 1.0.0", "base 1.6.0"],
    );
    assert_eq!(versions(&text, "one"), ["1.1.0"]);
}

#[test]
fn features_bring_optional_dependencies() {
    let text = same(
        &app(
            "one = { version = \"1\", features = [\"fancy\"] }\ntwo = { version = \"1\", default-features = false }\n",
        ),
        &[
            "one 1.0.0; extra ^1 optional; deep ^1; [fancy] dep:extra deep/more",
            "two 1.0.0; lost ^1 optional; [default] lost",
            "deep 1.0.0; more ^1 optional as:moore; [more] dep:moore",
            "more 1.0.0",
            "extra 1.0.0",
            "lost 1.0.0",
        ],
    );
    assert_eq!(versions(&text, "more"), ["1.0.0"]);
    assert_eq!(versions(&text, "lost"), Vec::<String>::new());
}

#[test]
fn a_weak_feature_counts_in_the_lock_file() {
    let text = same(
        &app("one = { version = \"1\", features = [\"std\"] }\n"),
        &["one 1.0.0; extra ^1 optional; [std] extra?/std; [x] dep:extra", "extra 1.0.0; [std]"],
    );
    assert_eq!(versions(&text, "extra"), ["1.0.0"]);
}

#[test]
fn the_newest_version_that_has_the_feature() {
    let text = same(
        &app("one = { version = \"1\", features = [\"gone\"] }\n"),
        &["one 1.0.0; [gone]", "one 1.1.0; [gone]", "one 1.2.0; [other]"],
    );
    assert_eq!(versions(&text, "one"), ["1.1.0"]);
}

#[test]
fn all_features_of_members_and_what_their_tests_need() {
    let text = same(
        &format!(
            "{APP}[dependencies]\na = {{ version = \"1\", optional = true }}\n[dev-dependencies]\nb = \"1\"\n[build-dependencies]\nc = \"1\"\n[target.'cfg(windows)'.dependencies]\nd = \"1\"\n[features]\nx = [\"dep:a\"]\n"
        ),
        &[
            "a 1.0.0; t ^1 dev",
            "b 1.0.0",
            "c 1.0.0",
            "d 1.0.0; e ^1 cfg:unix",
            "e 1.0.0",
            "t 1.0.0",
        ],
    );
    assert_eq!(versions(&text, "e"), ["1.0.0"]);
    assert_eq!(versions(&text, "t"), Vec::<String>::new());
}

#[test]
fn one_version_links_a_library() {
    let text = same(
        &app("new = \"1\"\nold-sys = \"1\"\n"),
        &[
            "new 1.1.0; old-sys ^2",
            "new 1.0.0",
            "old-sys 1.0.0; !links z",
            "old-sys 2.0.0; !links z",
        ],
    );
    assert_eq!(versions(&text, "new"), ["1.0.0"]);
    let why = refused(
        &app("a-sys = \"1\"\nb-sys = \"1\"\n"),
        &["a-sys 1.0.0; !links z", "b-sys 1.0.0; !links z"],
    );
    assert!(why.contains("links z"), "{why}");
}

#[test]
fn a_withdrawn_version_is_kept_where_the_lock_file_has_it() {
    let place = Place::new(&app("one = \"1\"\n"), &["one 1.0.0", "one 1.1.0; !yanked"]);
    let text = same_in(&place);
    assert_eq!(versions(&text, "one"), ["1.0.0"]);
    place.write("project/Cargo.lock", &text.replace("1.0.0", "1.1.0"));
    let kept = lock(&place.project(), &Wish::default()).unwrap();
    assert_eq!(versions(&kept.text, "one"), ["1.1.0"]);
    place.write("project/Cargo.lock", &text.replace("1.0.0", "1.1.0"));
    let wish = Wish { renewed: vec![String::new()], ..Wish::default() };
    assert_eq!(versions(&lock(&place.project(), &wish).unwrap().text, "one"), ["1.0.0"]);
}

#[test]
fn what_the_lock_file_has_stays_where_newer_versions_came() {
    let registry = ["one 1.0.0; rand >=0.7,<0.9", "rand 0.7.3"];
    let place = Place::new(&app("one = \"1\"\n"), &registry);
    let text = same_in(&place);
    place.publish("one 1.1.0; rand >=0.7,<0.9");
    place.publish("rand 0.8.5");
    place.publish("rand 0.7.4");
    place.write("project/Cargo.lock", &text);
    assert_eq!(lock(&place.project(), &Wish::default()).unwrap().text, text);
    let wish = Wish { renewed: vec!["rand".into()], ..Wish::default() };
    let renewed = lock(&place.project(), &wish).unwrap().text;
    assert_eq!(versions(&renewed, "one"), ["1.0.0"]);
    assert_eq!(versions(&renewed, "rand"), ["0.8.5"]);
}

#[test]
fn members_inherit_and_depend_on_each_other() {
    let place = Place::new(
        "[workspace]\nmembers = [\"crates/*\"]\nexclude = [\"crates/out\"]\nresolver = \"2\"\n[workspace.package]\nversion = \"3.1.4\"\nedition = \"2021\"\n[workspace.dependencies]\none = { version = \"1\", default-features = false }\nlib = { path = \"crates/lib\" }\n",
        &["one 1.0.0; extra ^1 optional; [default] extra", "extra 1.0.0", "only 1.0.0"],
    );
    let head = |name: &str| {
        format!(
            "[package]\nname = \"{name}\"\nversion.workspace = true\nedition.workspace = true\n[dependencies]\n"
        )
    };
    place.package(
        "crates/app",
        &format!("{}one.workspace = true\nlib.workspace = true\n", head("app")),
    );
    place.package("crates/lib", &format!("{}one = {{ workspace = true, default-features = true }}\n[dev-dependencies]\napp = {{ path = \"../app\" }}\n", head("lib")));
    place.package("crates/out", &format!("{APP}[dependencies]\nonly = \"1\"\n"));
    let text = same_in(&place);
    assert_eq!(versions(&text, "app"), ["3.1.4"]);
    assert_eq!(versions(&text, "extra"), ["1.0.0"]);
    assert_eq!(versions(&text, "only"), Vec::<String>::new());
}

#[test]
fn renamed_dependencies_of_two_ranges() {
    let text = same(
        &app(
            "old = { package = \"rand\", version = \"0.7\" }\nnew = { package = \"rand\", version = \"0.8\", features = [\"x\"] }\n",
        ),
        &["rand 0.7.3", "rand 0.8.5; [x]"],
    );
    assert_eq!(versions(&text, "rand"), ["0.7.3", "0.8.5"]);
}

#[test]
fn a_patch_takes_the_place_of_a_version() {
    let manifest = format!(
        "{}[patch.crates-io]\nbase = {{ path = \"own\" }}\nidle = {{ path = \"idle\" }}\n",
        app("one = \"1\"\nbase = \"1\"\n")
    );
    let place = Place::new(
        &manifest,
        &["one 1.0.0; base ^1 +f", "base 1.5.0; [f]", "new 1.0.0", "idle 1.0.0"],
    );
    place.package("own", "[package]\nname = \"base\"\nversion = \"1.6.0\"\nedition = \"2021\"\n[dependencies]\nnew = { version = \"1\", optional = true }\n[features]\nf = [\"dep:new\"]\n");
    place.package("idle", "[package]\nname = \"idle\"\nversion = \"2.0.0\"\nedition = \"2021\"\n");
    let text = same_in(&place);
    assert_eq!(versions(&text, "base"), ["1.6.0"]);
    assert_eq!(versions(&text, "new"), ["1.0.0"]);
    assert!(text.contains("[[patch.unused]]"), "{text}");
}

#[test]
fn replacements_are_refused_by_name() {
    let place = Place::new(
        &format!("{}[replace]\n\"one:1.0.0\" = {{ path = \"own\" }}\n", app("one = \"1\"\n")),
        &["one 1.0.0"],
    );
    let why = lock(&place.project(), &Wish::default()).err().unwrap();
    assert_eq!(
        why,
        "cargo::manifest: [replace] is not supported (it replaces one:1.0.0) (Cargo.toml:7)"
    );
}

#[test]
fn versions_for_a_newer_rust_are_passed_over_with_resolver_3() {
    let manifest = |more: &str| {
        format!(
            "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{more}[dependencies]\none = \"1\"\n"
        )
    };
    let registry = ["one 1.0.0", "one 1.1.0; !rust 1.90", "one 1.2.0; !rust 1.99"];
    let text = same(&manifest("rust-version = \"1.91\"\n"), &registry);
    assert_eq!(versions(&text, "one"), ["1.1.0"]);
    let place = Place::new(&manifest(""), &registry);
    let rustc = |version: &str| Wish {
        environment: BTreeMap::from([("rustc".to_owned(), version.to_owned())]),
        ..Wish::default()
    };
    let with = |version: &str| lock(&place.project(), &rustc(version)).unwrap().text;
    assert_eq!(versions(&with("1.95.0"), "one"), ["1.1.0"]);
    assert_eq!(versions(&with("1.99.0"), "one"), ["1.2.0"]);
    assert_eq!(
        versions(&same(&manifest("rust-version = \"1.85\"\n"), &["one 1.2.0; !rust 1.99"]), "one"),
        ["1.2.0"]
    );
}

#[test]
fn a_cycle_is_refused_and_one_through_tests_is_not() {
    let cycle = ["a 1.0.0; b ^1", "b 1.0.0; a ^1"];
    refused(&app("a = \"1\"\n"), &cycle);
    let place =
        Place::new(&format!("{APP}[dev-dependencies]\nhelp = {{ path = \"help\" }}\n"), &[]);
    place.package("help", "[package]\nname = \"help\"\nversion = \"0.2.0\"\nedition = \"2021\"\n[dependencies]\napp = { path = \"..\" }\n");
    same_in(&place);
}

#[test]
fn refusals_say_what_and_where() {
    let why = refused(&app("one_two = \"1\"\n"), &["one-two 1.0.0"]);
    assert!(why.contains("one_two"), "{why}");
    let why = refused(&app("one = { version = \"1\", features = [\"nope\"] }\n"), &["one 1.0.0"]);
    assert!(why.contains("it has no feature nope"), "{why}");
    let why = refused(&app("one = \"2\"\n"), &["one 1.0.0", "one 1.1.0"]);
    assert!(why.contains("requires one ^2"), "{why}");
    let why = refused(&app("one = \"1\"\n"), &["one 1.0.0; !yanked"]);
    assert!(why.contains("withdrawn"), "{why}");
    let why = refused(&app("one = \"1\"\n[features]\nx = [\"dep:none\"]\n"), &["one 1.0.0"]);
    assert!(
        why.starts_with(
            "cargo::manifest: the feature `x` includes `dep:none`, which is no dependency"
        ),
        "{why}"
    );
    let why = refused(&app("one = \"not a version\"\n"), &[]);
    assert!(why.contains("(Cargo.toml:6)"), "{why}");
}

#[test]
fn broken_entries_of_an_index_are_left_out() {
    let place = Place::new(&app("abcd = \"1\"\n"), &["abcd 1.0.0"]);
    let path = "registry/index/ab/cd/abcd";
    let text = std::fs::read_to_string(place.path(path)).unwrap();
    let newer = text.replace("1.0.0", "1.2.0").replace("\"v\":2", "\"v\":9");
    place.write(path, &format!("{text}{{\"name\": \n{newer}"));
    assert_eq!(versions(&same_in(&place), "abcd"), ["1.0.0"]);
}
