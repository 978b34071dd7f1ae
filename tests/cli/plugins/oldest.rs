//! Versions of the protocol: the oldest works, others are refused by name.

use super::{WORKSPACE, compiled, support::Place};
use serde_json::Value;
use std::{fs, path::Path};

/// The oldest and the newest protocol of this x2nix, as its reference has it.
fn spoken() -> (u64, u64) {
    let text = fs::read_to_string(Path::new(WORKSPACE).join("docs/protocol.md")).unwrap();
    let (_, rest) = text.split_once("This x2nix speaks the versions ").unwrap();
    let (range, _) = rest.split_once(".\n").unwrap();
    let (oldest, newest) = range.split_once(" to ").unwrap();
    (oldest.parse().unwrap(), newest.parse().unwrap())
}

#[test]
fn a_plugin_of_the_oldest_protocol_works() {
    let place = Place::new();
    place.repository("repo", &[]);
    let files = compiled(&place, "oldest");
    let mut locks = Vec::new();
    for file in [&files.component, &files.native] {
        let shown = file.display();
        let about = place.x2nix(&format!("plugin inspect {shown} --format json")).exits(0).json();
        assert_eq!(about["protocol"].as_u64().unwrap(), spoken().0, "keep one of the oldest");
        let run = place
            .x2nix(&format!(
                "resolve --ecosystem oldest --platform x86_64-linux --repo repo --root any --lock - \
                 --nix /dev/null --trust-native --validate-plugin --plugin {shown}"
            ))
            .exits(0);
        let mut lock: Value = serde_json::from_str(&run.stdout).unwrap();
        lock.as_object_mut().unwrap().remove("plugin");
        assert_eq!(lock["packages"]["ancient@2"]["version"], "2", "{lock}");
        locks.push(lock);
    }
    assert_eq!(locks[0], locks[1]);
}

#[test]
fn another_protocol_is_refused_with_both_sides_and_the_fix() {
    let place = Place::new();
    let (oldest, newest) = spoken();
    place.write("empty.wasm", b"\0asm\x0d\0\x01\0");
    for (protocol, fix) in [
        (newest + 1, "take a newer x2nix, or an older version of the plugin"),
        (oldest - 1, "take a newer version of the plugin"),
    ] {
        let manifest = format!(
            r#"{{ "protocol": {protocol}, "ecosystem": "opam", "version": "9", "more": 1 }}"#
        );
        place.write("other.json", manifest);
        place.x2nix("plugin pack empty.wasm --manifest other.json --output other.wasm").exits(0);
        let run = place.resolve("--root lwt --dry-run --plugin other.wasm").exits(2);
        let both =
            format!("plugin other.wasm speaks protocol {protocol}, this x2nix speaks protocol");
        run.says("plugin::protocol-version").says(&both).says(fix);
    }
}
