//! The form that stands alone, beside the reader. Every other test of this program compares the two in what
//! it builds and evaluates; these are about what only it has.

use crate::{empty, support::Project};
use serde_json::{Value, json};

/// A unit on two platforms, and one that each has in its own version.
fn platforms() -> Value {
    let mut units = json!({
        "alike@1": empty("alike", &["far@1"]),
        "differs@1/x86_64-linux": empty("differs", &["alike@1"]),
        "differs@1/aarch64-linux": empty("differs", &["alike@1", "only@1"]),
        "far@1": empty("far", &[]),
        "only@1": empty("only", &[]),
    });
    for unit in units.as_object_mut().unwrap().values_mut() {
        unit["exports"] =
            json!([{ "variable": "V", "operation": "prepend", "value": [{ "out": "x" }] }]);
    }
    units["differs@1/aarch64-linux"]["version"] = json!("1-arm");
    let mut lock = crate::lock(&units, &json!({}));
    let answer = |packages: &[&str]| {
        let mut answer = lock["platforms"]["x86_64-linux"].clone();
        answer["packages"] = json!(packages);
        answer["roots"] = json!([{ "need": "differs", "by": ["differs@1"] }]);
        answer
    };
    let platforms = json!({
        "x86_64-linux": answer(&["alike@1", "differs@1", "far@1"]),
        "aarch64-linux": answer(&["alike@1", "differs@1", "far@1", "only@1"]),
    });
    lock["platforms"] = platforms;
    for name in ["alike", "differs", "far", "only"] {
        let id = format!("{name}@1");
        lock["packages"][&id] = json!({ "name": name, "version": "1", "unit": id });
    }
    for id in ["differs@1/x86_64-linux", "differs@1/aarch64-linux"] {
        lock["packages"].as_object_mut().unwrap().remove(id);
    }
    lock
}

#[test]
fn platforms_share_what_they_have_alike() {
    let Some(project) = Project::new() else { return };
    project.lock(&platforms());
    let project = project.stands_alone();
    let on = |system: &str, expression: &str| {
        project.eval(&format!(
            "let y = import ./x2nix.nix {{ inherit pkgs; system = \"{system}\"; }}; in {expression}"
        ))
    };
    let all = "builtins.mapAttrs (_: unit: unit.drvPath) y.units";
    for (system, version) in [("x86_64-linux", "1"), ("aarch64-linux", "1-arm")] {
        assert_eq!(on(system, "y.differs.version"), version);
        on(system, all);
    }
    assert_eq!(
        on("x86_64-linux", "builtins.attrNames y.packages"),
        json!(["alike", "differs", "far"])
    );
    let lock: x2nix_lock::Lock = serde_json::from_value(platforms()).unwrap();
    let text = x2nix_nix::standalone(&lock, "x2nix.lock.json").unwrap();
    for (times, part) in [(1, "pname = \"alike\""), (2, "pname = \"differs\"")] {
        assert_eq!(text.matches(part).count(), times, "{part}");
    }
}

#[test]
fn a_lock_that_contradicts_itself_is_refused() {
    let mut lock = platforms();
    lock["units"]["far@1"]["depends"] = json!([{ "unit": "alike@1" }]);
    lock["units"]["only@1"]["recipe"]["sources"] = json!([{ "artifact": "none" }]);
    let lock: x2nix_lock::Lock = serde_json::from_value(lock).unwrap();
    let refused = x2nix_nix::standalone(&lock, "x2nix.lock.json").unwrap_err();
    assert_eq!(refused.code, "lock::units");
    assert!(refused.also.iter().any(|other| other.code == "lock::dangling"), "{refused:?}");
}
