//! Development shells: one for each root, and what they run when they are entered.

use crate::support::{Project, lock};
use serde_json::json;
use std::fs;

#[test]
fn a_shell_is_set_up_as_its_root_says() {
    let root = |name: &str, path: &str| {
        json!({
            "name": name, "version": "dev", "depends": [{ "unit": "set@1", "purpose": "dev" }],
            "recipe": { "kind": "build", "sources": [{ "artifact": "." }], "steps": [
                { "phase": "install", "words": [["touch"], [{ "out": "made" }]] },
                { "phase": "shell", "words": [["source"], [{ "unit": { "unit": "set@1", "path": path } }], ["it's $x"]] },
            ] },
        })
    };
    let script = r#"echo 'SAID="a: $1"' > "$0/a"; echo 'SAID="b: $1"' > "$0/b""#;
    let set = json!({
        "name": "set", "version": "1",
        "recipe": { "kind": "build", "steps": [
            { "phase": "install", "words": [["sh"], ["-c"], [script], [{ "out": "" }]] },
        ] },
    });
    let units = json!({ "a@dev": root("a", "a"), "b@dev": root("b", "b"), "set@1": set });
    let artifacts = json!({ ".": { "kind": "local", "path": "." } });
    let mut lock = lock(&units, &artifacts);
    lock["platforms"]["x86_64-linux"]["aliases"] =
        json!({ "one": "a@dev", "other": "b@dev", "tool": "set@1" });
    let Some(project) = Project::new() else { return };
    project.lock(&lock);
    let project = project.stands_alone();
    assert_eq!(
        project.eval("builtins.attrNames x.devShells"),
        json!(["default", "one", "other", "tool"])
    );
    let says = |shell: &str| {
        let expression = format!(
            r#"pkgs.runCommand "in-shell" {{ inherit (x.devShells.{shell}) nativeBuildInputs; }} ''
              ${{x.devShells.{shell}.shellHook}}
              echo "$SAID" > $out
            ''"#
        );
        fs::read_to_string(project.build_expression(&expression)).unwrap()
    };
    assert_eq!(says("one"), "a: it's $x\n");
    assert_eq!(says("other"), "b: it's $x\n");
    // Two would be in each other's way.
    assert_eq!(says("default"), "\n");
    let hook = project.eval("x.devShells.default.shellHook");
    assert!(hook.as_str().unwrap().contains("devShells.NAME"), "{hook}");
    // What is built does not need what only a shell does.
    project.build("a");
}
