//! The lock file: written, kept, checked, and looked into.

use crate::support::Place;
use serde_json::Value;

const SHOP: &str = "opam-version: \"2.0\"\ndepends: [\n  \"web\"\n  \"json\" {>= \"2\"}\n]\n";

const STOCK: &[(&str, &str)] = &[
    ("web.1", "depends: [\"net\" \"log\" {post}]"),
    ("net.1", "depends: [\"log\"]"),
    ("net.2", "depends: [\"log\" (\"json\" | \"xml\")]"),
    ("log.1", ""),
    ("json.1", ""),
    ("json.2", ""),
    ("xml.1", ""),
];

/// A project that has its lock.
fn shop() -> Place {
    let place = Place::with(STOCK);
    place.write("shop.opam", SHOP);
    place.write("x2nix.toml", "repositories = [\"repo\"]\n");
    place.resolve("").exits(0).says("5 packages locked in ./x2nix.lock.json");
    place
}

fn locked(place: &Place) -> String {
    let lock: Value = serde_json::from_str(&place.read("x2nix.lock.json")).unwrap();
    let ids = lock["packages"].as_object().unwrap().keys().cloned();
    ids.collect::<Vec<_>>().join(" ")
}

#[test]
fn resolving_twice_changes_nothing() {
    let place = shop();
    let files = || (place.read("x2nix.lock.json"), place.read("x2nix.nix"));
    let before = files();
    assert!(!before.0.contains(&*place.path("").to_string_lossy()), "{}", before.0);
    place.resolve("").exits(0);
    assert_eq!(files(), before);
    // Not even from nothing, in another folder.
    assert_eq!(shop().read("x2nix.lock.json"), before.0);
    assert_eq!(
        place.names("."),
        [".cache", "repo", "shop.opam", "x2nix.lock.json", "x2nix.nix", "x2nix.toml"]
            .into_iter()
            .filter(|name| place.path(name).exists())
            .collect::<Vec<_>>()
    );
}

#[test]
fn a_lock_that_holds_passes() {
    let place = shop();
    place.x2nix("check").exits(0).says("5 packages, checked against their inputs");
    let json = place.x2nix("check --format json").exits(0).json();
    assert_eq!(json["status"], "holds");
    assert_eq!(json["inputs_checked"], true);
    place.resolve("--locked").exits(0);

    std::fs::rename(place.path("repo"), place.path("gone")).unwrap();
    place.x2nix("check").exits(0).says("repo is not here, so what it says was not checked");
    let json = place.x2nix("check --format json").exits(0).json();
    assert_eq!(json["inputs_checked"], false);
}

#[test]
fn a_repository_that_changed_makes_the_lock_stale() {
    let place = shop();
    place.write("repo/packages/net/net.3/opam", "opam-version: \"2.0\"\n");
    let run = place.x2nix("check").exits(4);
    run.says("check::stale").says("repo has changed").says("run `x2nix resolve`");
    assert_eq!(place.x2nix("check --format json").exits(4).code(), "check::stale");
    let before = place.read("x2nix.lock.json");
    place.resolve("--locked").exits(4).says("is not up to date");
    assert_eq!(place.read("x2nix.lock.json"), before);
    // What still fits stays, although there is something newer.
    place.resolve("").exits(0);
    assert!(locked(&place).contains("net@2"), "{}", locked(&place));
    place.x2nix("check").exits(0);
    place.resolve("--locked").exits(0);
}

#[test]
fn a_version_that_is_gone_breaks_the_lock() {
    let place = shop();
    std::fs::remove_dir_all(place.path("repo/packages/net/net.2")).unwrap();
    place.x2nix("check").exits(4).says("no longer there: net@2");
    place.resolve("").exits(0);
    assert!(locked(&place).contains("net@1"), "{}", locked(&place));
}

#[test]
fn a_project_that_changed_makes_the_lock_stale() {
    let place = shop();
    place.edit("shop.opam", "\"web\"", "\"web\" \"xml\"");
    let json = place.x2nix("check --format json").exits(4).json();
    let codes: Vec<_> = json["errors"].as_array().unwrap().iter().map(|e| &e["code"]).collect();
    assert_eq!(codes, ["check::stale", "check::violation"]);
    place.resolve("--locked").exits(4);
    place.resolve("").exits(0);
    assert!(locked(&place).contains("xml@1"), "{}", locked(&place));
    place.x2nix("check").exits(0);
}

#[test]
fn a_lock_that_was_edited_by_hand_is_found_out() {
    for (pointer, value, code, status) in [
        ("/packages/web@1/depends/0/by/0", "log@2", "lock::dangling", 4),
        ("/packages/web@1/unit", "web@7", "lock::dangling", 4),
        ("/platforms/x86_64-linux/roots/0/by/0", "shop@9", "lock::dangling", 4),
        ("/units/net@2/depends/0/unit", "web@1", "lock::units", 4),
        ("/artifacts/./path", "../../secret", "lock::path", 4),
        ("/packages/log@1", "", "lock::syntax", 2),
        ("/inputs/1/kind", "oracle", "lock::syntax", 2),
    ] {
        let place = shop();
        let mut lock: Value = serde_json::from_str(&place.read("x2nix.lock.json")).unwrap();
        let entry = lock.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}"));
        *entry = value.into();
        place.write("x2nix.lock.json", serde_json::to_string_pretty(&lock).unwrap());
        let run = place.x2nix("check --format json").exits(status);
        assert_eq!(run.code(), code, "{pointer}: {}", run.stdout);
    }
    // A choice that is none of the repository's, in words that hang together.
    let place = shop();
    let lock = place.read("x2nix.lock.json").replace("json@2", "json@1");
    let lock = lock.replace(
        "\"name\": \"json\",\n      \"version\": \"2\"",
        "\"name\": \"json\",\n      \"version\": \"1\"",
    );
    place.write("x2nix.lock.json", lock);
    place.x2nix("check").exits(4).says("check::violation").says("json");
}

#[test]
fn what_is_no_lock_is_refused() {
    let place = shop();
    let whole = place.read("x2nix.lock.json");
    for (text, code, status) in [
        (whole[..whole.len() / 2].to_owned(), "lock::syntax", 2),
        (String::new(), "lock::syntax", 2),
        ("[]".into(), "lock::syntax", 2),
        ("\u{0}\u{1}".into(), "lock::syntax", 2),
        ("[".repeat(100_000), "lock::syntax", 2),
        (whole.replacen("\"version\": 1", "\"version\": 2", 1), "lock::version", 2),
        (whole.replacen("\"version\": 1", "\"version\": 0", 1), "lock::version", 2),
    ] {
        place.write("x2nix.lock.json", &text);
        for command in ["check --format json", "tree --format=json", "why log --format json"] {
            assert_eq!(place.x2nix(command).exits(status).code(), code, "{command}");
        }
        place.x2nix("emit").exits(status).says(code);
        // Resolving, too: what was locked before would be lost unnoticed.
        place.resolve("").exits(status).says(code);
        assert_eq!(place.read("x2nix.lock.json"), text);
    }
    place.write("x2nix.lock.json", whole.replacen("\"version\": 1", "\"version\": 2", 1));
    place.x2nix("check").exits(2).says("format 2").says("use a newer x2nix");
    place.x2nix("check --lock nowhere.json").exits(3).says("there is no lock file nowhere.json");
    place.x2nix("check --lock repo").exits(3);
}

#[test]
fn updates_are_asked_for() {
    let place = shop();
    place.write("repo/packages/json/json.3/opam", "opam-version: \"2.0\"\n");
    place.write("repo/packages/log/log.2/opam", "opam-version: \"2.0\"\n");
    let all = |json: u8, log: u8| format!("json@{json} log@{log} net@2 shop@dev web@1");
    place.resolve("").exits(0);
    assert_eq!(locked(&place), all(2, 1));
    place.resolve("--update=log").exits(0);
    place.resolve("--update=lgo").exits(0).says("--update=lgo has no effect");
    assert_eq!(locked(&place), all(2, 2));
    place.resolve("--update").exits(0);
    assert_eq!(locked(&place), all(3, 2));
}

#[test]
fn the_tree_shows_what_needs_what() {
    let place = shop();
    let tree = place.x2nix("tree").exits(0).stdout;
    assert_eq!(
        tree,
        "shop dev\n  json 2\n  web 1\n    log 1\n    net 2\n      json 2\n      log 1\n"
    );
    assert_eq!(place.x2nix("tree --depth 1").stdout, "shop dev\n  json 2\n  web 1\n");
    let json = place.x2nix("tree --depth 0 --format json").exits(0).json();
    assert_eq!(json["tree"][0]["package"], "shop@dev");
    place.x2nix("tree --depth deep").exits(2);
}

#[test]
fn why_tells_the_shortest_way() {
    let place = shop();
    place
        .x2nix("why log")
        .exits(0)
        .answers("you asked for shop: shop dev  (shop.opam)\n  shop dev needs web: web 1\n    web 1 needs log: log 1\n");
    let json = place.x2nix("why log --format json").exits(0).json();
    let by: Vec<_> = json["why"].as_array().unwrap().iter().map(|step| &step["by"]).collect();
    assert_eq!(by, ["shop@dev", "web@1", "log@1"]);
    place.x2nix("why xml").exits(2).says("xml was not chosen").says("x2nix tree");
    assert_eq!(place.x2nix("why xml --format json").exits(2).code(), "why::not-chosen");
}

#[test]
fn the_nix_file_can_be_made_anew_and_elsewhere() {
    let place = shop();
    let nix = place.read("x2nix.nix");
    std::fs::remove_file(place.path("x2nix.nix")).unwrap();
    place.x2nix("emit").exits(0);
    assert_eq!(place.read("x2nix.nix"), nix);
    assert_eq!(place.x2nix("emit --nix -").exits(0).stdout, nix);
    place.write("deeper/keep", "");
    place.x2nix("emit --nix deeper/all.nix").exits(0);
    assert!(place.read("deeper/all.nix").contains("../x2nix.lock.json"));
}

#[test]
fn the_nix_file_can_stand_alone() {
    let place = shop();
    let lock = place.read("x2nix.lock.json");
    place.x2nix("emit --standalone").exits(0);
    let nix = place.read("x2nix.nix");
    assert!(nix.contains("pname = \"web\";") && !nix.contains("fromJSON"), "{nix}");
    assert_eq!(place.x2nix("emit --standalone --nix -").exits(0).stdout, nix);
    place.x2nix("emit --standalone --flake").exits(2).says("cannot be used with");
    // A lock that a merge has broken.
    place.edit("x2nix.lock.json", "\"unit\": \"log@1\"", "\"unit\": \"log@9\"");
    for form in ["emit", "emit --standalone"] {
        place.x2nix(form).exits(2).says("lock::dangling").says("log@9");
    }
    assert_eq!(place.read("x2nix.nix"), nix);
    place.write("x2nix.lock.json", lock);
    place.x2nix("doctor").answers("x2nix.nix is this version's, and of this lock");
    // What is resolved again keeps its form.
    place.edit("x2nix.nix", "pname = \"web\";", "pname = \"webs\";");
    place.x2nix("doctor").exits(4).says("write it anew with `x2nix emit --standalone`");
    place.resolve(". --update").exits(0);
    assert_eq!(place.read("x2nix.nix"), nix);
    place.x2nix("emit").exits(0);
    assert!(place.read("x2nix.nix").contains("importJSON"));
}

#[test]
fn default_nix_and_shell_nix_are_written_once() {
    let place = shop();
    place.x2nix("emit --default --nix ../x.nix").exits(0);
    assert!(place.read("default.nix").contains("./. + \"/../x.nix\""));
    place.x2nix("emit --default").exits(2).says("emit::default").says("default.nix already");
    for file in ["default.nix", "shell.nix"] {
        std::fs::remove_file(place.path(file)).unwrap();
    }
    place.x2nix("emit --default").exits(0);
    assert!(place.read("default.nix").contains("./. + \"/x2nix.nix\""));
    std::fs::remove_file(place.path("default.nix")).unwrap();
    place.x2nix("emit --default").exits(2).says("shell.nix already");
    assert!(!place.path("default.nix").exists());
}

#[test]
fn a_flake_is_written_once() {
    let place = shop();
    place.x2nix("emit --flake --nix ../x.nix").exits(2).says("outside of its folder");
    place.x2nix("emit --flake").exits(0);
    assert!(place.read("flake.nix").contains("x2nix.lock.json"));
    place.write("flake.nix", "mine");
    place.x2nix("emit --flake").exits(2).says("emit::flake").says("flake.nix already");
    assert_eq!(place.read("flake.nix"), "mine");
}

#[test]
fn outputs_go_where_they_are_sent() {
    let place = Place::with(STOCK);
    place.write("out/keep", "");
    place.resolve("--repo repo --root web --lock out/my.lock --nix out/my.nix").exits(0);
    assert!(place.read("out/my.nix").contains("my.lock"));
    place.x2nix("check --lock out/my.lock").exits(0);
    assert!(place.read("out/my.lock").contains("\"location\": \"../repo\""));

    let run = place.resolve("--repo repo --root web --lock - --nix /dev/null").exits(0);
    assert_eq!(run.json()["ecosystem"], "opam");
    place.resolve("--repo repo --root web --dry-run").exits(0).answers("log 1\nnet 2\nweb 1\n");
    assert!(!place.path("x2nix.lock.json").exists());
}

#[test]
fn settings_that_provide_another_version_make_the_lock_stale() {
    let place = Place::with(&[("tool.1", ""), ("tool.2", "")]);
    place.write("app.opam", "opam-version: \"2.0\"\ndepends: [\"tool\"]\n");
    place.write("x2nix.toml", "repositories = [\"repo\"]\n[provided.tool]\nversion = \"1\"\n");
    place.resolve(".").exits(0);
    place.x2nix("check").exits(0);
    place.edit("x2nix.toml", "\"1\"", "\"2\"");
    place
        .x2nix("check")
        .exits(4)
        .says("x2nix.toml has changed since the lock was written: what it provides");
}
