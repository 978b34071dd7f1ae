//! Projects that have no answer: what is told of each, with who asked for what.

use super::{entry, server::Reply, with_index};
use crate::support::{Place, Run};
use std::time::Duration;

const CHECKSUM: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A project that needs `needs`, from a local registry: name, version, needs, features.
fn resolve(needs: &str, registry: &[(&str, &str, &str, &str)]) -> Run {
    let place = Place::new();
    place.write("app/src/main.rs", "fn main() {}\n");
    place.write(
        "app/Cargo.toml",
        format!("[package]\nname = \"app\"\nversion = \"1.0.0\"\nedition = \"2021\"\n[dependencies]\n{needs}\n"),
    );
    place.write(
        "app/.cargo/config.toml",
        "[source.crates-io]\nreplace-with = \"local\"\n[source.local]\nlocal-registry = \"registry\"\n",
    );
    place.write("app/registry/index/no/th/nothing", entry("nothing", "1.0.0", false));
    for (name, version, needs, features) in registry {
        let need = |text: &str| {
            let (name, feature) = text.split_once('/').unwrap_or((text, ""));
            let features: Vec<&str> =
                Some(feature).filter(|it| !it.is_empty()).into_iter().collect();
            serde_json::json!({ "name": name, "req": "1", "features": features, "optional": false, "default_features": true, "target": null, "kind": "normal" })
        };
        let needs: Vec<_> = needs.split_whitespace().map(need).collect();
        let features: serde_json::Map<_, _> = features
            .split_whitespace()
            .map(|name| (name.to_owned(), serde_json::json!([])))
            .collect();
        let line = serde_json::json!({ "name": name, "vers": version, "deps": needs, "cksum": CHECKSUM, "features": features, "yanked": false });
        let (start, rest) = name.split_at(2);
        place.write(&format!("app/registry/index/{start}/{}/{name}", &rest[..2]), line.to_string());
    }
    place.x2nix("resolve --ecosystem cargo app --dry-run --build nothing")
}

#[test]
fn a_feature_that_nobody_has_is_told_with_who_asked_for_it() {
    let deep = ("deep", "1.2.0", "", "known");
    let run = resolve("middle = \"1\"", &[("middle", "1.0.0", "deep/nope", ""), deep]).exits(1);
    run.says("middle 1.0.0 (the only version) requires deep[nope] ^1")
        .says("registry:mi/dd/middle")
        .says("deep[nope] 1.2.0 (the only version) cannot be chosen: it has no feature nope");
    let needs = "deep = { version = \"1\", features = [\"nope\"] }";
    resolve(needs, &[deep]).exits(1).says("requires deep[nope] ^1  (Cargo.toml:6)");
    resolve(&needs.replace("nope", "known"), &[deep]).exits(0);
}

#[test]
fn crates_that_need_each_other_are_told() {
    let ring = [("first", "1.0.0", "second", ""), ("second", "1.0.0", "first", "")];
    resolve("first = \"1\"", &ring)
        .exits(1)
        .says("first 1.0.0 and second 1.0.0 need each other to be built first")
        .says("second 1.0.0 requires first ^1  (registry:se/co/second)");
    resolve("lonely = \"1\"", &[("lonely", "1.0.0", "lonely", "")])
        .exits(1)
        .says("lonely 1.0.0 needs itself to be built first");
    resolve("app = { path = \".\" }", &[]).exits(1).says("needs itself to be built first");
    // Of the same name is not the same.
    resolve("app = \"1\"", &[]).exits(1).says("there is no package of that name");
}

#[test]
fn names_that_look_like_an_unknown_one_are_told_wherever_the_slip_is() {
    let there = [("serde", "1.0.0", "", ""), ("semver", "1.0.0", "", "")];
    for slip in ["sedre", "serd", "serdee", "serbe"] {
        resolve(&format!("{slip} = \"1\""), &there).exits(1).says(slip).says("serde");
    }
    let run = resolve("semantics = \"1\"", &there).exits(1);
    assert!(!run.stderr.contains("serde"), "{}", run.stderr);
    resolve("serde = \"=1.0.1\"", &there).exits(1).says("there is 1.0.0");
}

#[test]
fn an_index_that_sends_a_byte_now_and_then_is_given_up() {
    let (place, server) = with_index("one = \"1\"\ntwo = \"1\"", |_, _| {
        Reply::new(200, entry("one", "1.0.0", false)).drip(Duration::from_secs(2))
    });
    let run = place.x2nix("resolve --ecosystem cargo app --dry-run").exits(3);
    run.says("input::timeout").says("takes too long");
    assert!(server.asked().len() <= 2);
}

#[test]
fn what_was_learnt_on_the_way_counts_for_what_would_help() {
    let place = Place::new();
    place.write("app/src/main.rs", "fn main() {}\n");
    place.write("app/Cargo.toml", "[package]\nname = \"app\"\nversion = \"1.0.0\"\nedition = \"2021\"\n[dependencies]\nzsys = \"0.17\"\nwrap = \"0.18\"\n");
    place.write(
        "app/.cargo/config.toml",
        "[source.crates-io]\nreplace-with = \"local\"\n[source.local]\nlocal-registry = \"registry\"\n",
    );
    let line = |name: &str, version: &str, needs: Option<&str>, links: Option<&str>| {
        let need = |req| serde_json::json!({ "name": "zsys", "req": req, "features": [], "optional": false, "default_features": true, "target": null, "kind": "normal" });
        let needs: Vec<_> = needs.into_iter().map(need).collect();
        let line = serde_json::json!({ "name": name, "vers": version, "deps": needs, "cksum": CHECKSUM, "features": {}, "yanked": false, "links": links });
        format!("{line}\n")
    };
    let library = ["0.16.0", "0.16.1", "0.16.2", "0.17.0"];
    let library = library.map(|version| line("zsys", version, None, Some("z")));
    place.write("app/registry/index/zs/ys/zsys", library.concat());
    // What the older versions need is asked only once the newest has failed.
    let wrap = [("0.18.0", "^0.16.0"), ("0.18.1", "^0.16.1"), ("0.18.2", "^0.16.2")];
    let wrap = wrap.map(|(version, needs)| line("wrap", version, Some(needs), None));
    place.write("app/registry/index/wr/ap/wrap", wrap.concat());
    place
        .x2nix("resolve --ecosystem cargo app --dry-run --build nothing")
        .exits(1)
        .says("only one package of class links z can be chosen")
        .says("require zsys, each in a range of its own (0.18.2: zsys ^0.16.2)")
        .says("let app (path .) 1.0.0 take any zsys (Cargo.toml:6): then zsys 0.16");
}
