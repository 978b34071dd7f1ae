//! Sources and patches that try to get out of the folder that a build works in.

use crate::support::{Project, lock};
use serde_json::{Value, json};

/// A unit that starts from an archive, and says so if something got out of its folder.
fn unit(name: &str, patch: Option<&str>) -> Value {
    let watch =
        "if [ -e \"$NIX_BUILD_TOP/pwned\" ] || [ -e /build/pwned ]; then echo ESCAPED; exit 1; fi";
    let mut unit = json!({
        "name": name, "version": "1",
        "recipe": { "kind": "build", "sources": [{ "artifact": name }], "steps": [
            { "phase": "build", "words": [["sh"], ["-c"], [watch]] },
            { "phase": "install", "words": [["cp"], ["-R"], ["."], [{ "out": "all" }]] },
        ] },
    });
    if let Some(patch) = patch {
        unit["recipe"]["files"] = json!({ "evil.patch": patch });
        unit["recipe"]["patches"] = json!(["evil.patch"]);
    }
    unit
}

#[test]
fn nothing_gets_out_of_the_source() {
    let Some(project) = Project::new() else { return };
    project.run(
        "mkdir -p top/sub; echo a > top/a; ln -s .. top/up; ln -s /build top/sub/abs; touch pwned
         mkdir -p deep/er && cd deep/er
         tar -P -cf ../../dots.tar ../../pwned ../../top/a
         cd ../..
         tar -P -cf absolute.tar --transform 's,^pwned,/build/pwned,' pwned top/a
         tar -cf plain.tar top
         tar -cf link.tar top/up --transform 's,^pwned,top/up/up/pwned,'
         tar -rf link.tar --transform 's,^pwned,top/up/pwned,' pwned
         rm pwned",
    );
    let new = |path: &str| format!("--- /dev/null\n+++ {path}\n@@ -0,0 +1 @@\n+pwned\n");
    let patches = [
        ("climbs", new("b/../../pwned")),
        ("absolute-patch", new("/build/pwned")),
        ("doubled", new("b//build/pwned")),
        ("by-link", new("b/up/pwned")),
        ("by-far-link", new("b/sub/abs/pwned")),
    ];
    let mut units = serde_json::Map::new();
    let mut artifacts = serde_json::Map::new();
    let archives = ["dots", "absolute", "link"].map(|name| (name, format!("{name}.tar"), None));
    let patched =
        patches.iter().map(|(name, patch)| (*name, "plain.tar".to_owned(), Some(patch.as_str())));
    for (name, path, patch) in archives.into_iter().chain(patched) {
        units.insert(format!("{name}@1"), unit(name, patch));
        artifacts.insert(name.to_owned(), json!({ "kind": "local", "path": path }));
    }
    let names: Vec<String> = artifacts.keys().cloned().collect();
    project.lock(&lock(&Value::Object(units), &Value::Object(artifacts)));
    let project = project.stands_alone();
    for name in names {
        // What is built has kept to its folder; what is not was refused by tar or patch.
        match project.try_build(&name) {
            Ok(out) => assert!(out.join("all").is_dir(), "{name}"),
            Err(said) => {
                assert!(!said.contains("ESCAPED"), "{name}: {said}");
                let known = [
                    "tar: ",
                    "dangerous file name",
                    "symbolic link",
                    "FAILED",
                    "can't find file",
                    "No such file",
                    "nvalid file name",
                ];
                assert!(known.iter().any(|it| said.contains(it)), "{name}: {said}");
            }
        }
    }
}

#[test]
fn places_outside_are_refused_before_nix_sees_them() {
    for (what, code) in [
        (json!({ "sources": [{ "artifact": "a", "to": "../../x" }] }), "lock::path"),
        (json!({ "sources": [{ "artifact": "a", "to": "/x" }] }), "lock::path"),
        (json!({ "sources": [{ "artifact": "a", "from": "x/../.." }] }), "lock::path"),
        (json!({ "files": { "../x": "" } }), "lock::path"),
        (json!({ "files": { "/x": "" } }), "lock::path"),
        (json!({ "patches": ["../x"] }), "lock::path"),
        (
            json!({ "environment": [{ "variable": "A=1; x", "operation": "set", "value": [] }] }),
            "lock::variable",
        ),
        (json!({ "steps": [{ "phase": "build", "words": [["a\u{0}b"]] }] }), "lock::nul"),
    ] {
        let mut unit = json!({ "name": "u", "version": "1", "recipe": what });
        unit["recipe"]["kind"] = json!("build");
        let artifacts = json!({ "a": { "kind": "local", "path": "a" } });
        let lock = serde_json::from_value(lock(&json!({ "u@1": unit }), &artifacts)).unwrap();
        let refused = x2nix_nix::standalone(&lock, "x2nix.lock.json").unwrap_err();
        assert_eq!(refused.code, code, "{refused}");
    }
    let artifact = json!({ "kind": "fetch", "urls": ["https://x2nix.invalid/"], "name": "../../x", "hashes": ["sha256-"] });
    let lock = serde_json::from_value(lock(&json!({}), &json!({ "a": artifact }))).unwrap();
    assert_eq!(x2nix_nix::standalone(&lock, "x2nix.lock.json").unwrap_err().code, "lock::path");
}
