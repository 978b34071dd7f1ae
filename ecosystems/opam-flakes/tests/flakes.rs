//! Flakes as people write them, and what becomes of them: a snapshot has the settings and, below a
//! line, what could not be carried over.

#![allow(clippy::unwrap_used)] // these are tests

use std::{fmt::Write as _, fs, path::Path};
use x2nix_opam_flakes::import;

fn told(flake: &str, lock: Option<&str>) -> String {
    match import(flake, lock, "flake.nix") {
        Ok(imported) => {
            let mut text = format!("{}--- in {}\n", imported.settings, imported.project);
            for note in imported.left {
                let line = note.origin.and_then(|origin| origin.line).unwrap_or_default();
                writeln!(text, "{line}: {}\n    {}", note.message, note.help.unwrap_or_default())
                    .unwrap();
            }
            text
        }
        Err(error) => {
            let line = error.origin.as_ref().and_then(|origin| origin.line);
            format!("{} {line:?}: {}", error.code, error.message)
        }
    }
}

#[test]
fn flakes_become_settings() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flakes");
    let mut names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .filter_map(|entry| {
            entry
                .unwrap()
                .file_name()
                .into_string()
                .unwrap()
                .strip_suffix(".nix")
                .map(str::to_owned)
        })
        .collect();
    names.sort();
    assert_eq!(names.len(), 5);
    for name in names {
        let flake = fs::read_to_string(folder.join(format!("{name}.nix"))).unwrap();
        let lock = fs::read_to_string(folder.join(format!("{name}.lock"))).ok();
        insta::assert_snapshot!(name, told(&flake, lock.as_deref()));
    }
}

#[test]
fn what_is_no_such_flake_is_refused() {
    let call = "{ outputs = { opam-nix, ... }: opam-nix.lib.x.queryToScope { } { a = \"*\"; }; }";
    for (flake, lock, says) in [
        ("", None, "import::syntax"),
        ("{", None, "import::syntax"),
        ("{ }", None, "import::nothing"),
        ("{ outputs = { self }: { }; }", None, "import::nothing"),
        (call, Some("{"), "import::flake-lock Some(1)"),
        (&"(".repeat(30_000), None, "import::deep Some(1)"),
        (&"[".repeat(30_000), None, "import::deep Some(1)"),
        (&" ".repeat(40_000), None, "import::large"),
    ] {
        let told = told(flake, lock);
        assert!(told.starts_with(says), "{told}");
    }
    // A lock of another shape says nothing.
    for lock in [
        "null",
        "[]",
        "{\"nodes\": 1, \"root\": {}}",
        "{\"nodes\": {\"root\": {\"inputs\": {\"opam-nix\": [\"opam-nix\"]}}}, \"root\": \"root\"}",
    ] {
        assert!(told(call, Some(lock)).contains("roots = [\"a\"]"));
    }
}

#[test]
fn deep_and_endless_flakes_end() {
    let deep = [
        format!("{{ x = {}; }}", "a ".repeat(15_000)),
        format!("{{ x = a{}; }}", " ++ a".repeat(6_000)),
        format!("{{ x = a{}; }}", ".a".repeat(15_000)),
        format!("{{ x = {} 1; }}", "a: ".repeat(10_000)),
        format!("{{ x = {} 1; }}", "- ".repeat(15_000)),
        format!("{{ x = {} 1; }}", "if a then b else ".repeat(2_000)),
        format!("{{ x = {} 1; }}", "let a = ".repeat(4_000)),
    ];
    for flake in &deep {
        assert!(told(flake, None).starts_with("import::"));
    }
    // Each name twice the one before: doubling is not followed to its end.
    let mut flake = "{ outputs = { opam-nix }: let x0 = { a = \"*\"; };".to_owned();
    for n in 1..60 {
        write!(flake, " x{n} = x{m} // x{m};", m = n - 1).unwrap();
    }
    flake.push_str(" in opam-nix.queryToScope { } x59; }");
    assert!(told(&flake, None).contains("ecosystem"));
}

#[test]
fn nothing_of_a_flake_is_more_than_text_in_the_settings() {
    let hostile = "a\\\"]\\n[options]\\nx = '''$(touch x) é \\u0001";
    let flake = format!(
        "{{ outputs = {{ opam-nix }}: opam-nix.queryToScope {{ resolveArgs.env.\"k\\ny\" = \"{hostile}\"; }} {{ \"{hostile}\" = \"{hostile}\"; }}; }}"
    );
    let settings = import(&flake, None, "flake\n.nix").unwrap().settings;
    let table: toml::Table = settings.parse().unwrap();
    let text = "a\"]\n[options]\nx = '''$(touch x) é \\u0001".replace("\\u0001", "u0001");
    assert_eq!(table["roots"][0].as_str(), Some(format!("{text}={text}").as_str()));
    assert_eq!(table["environment"]["k\ny"].as_str(), Some(text.as_str()));
    assert!(!table.contains_key("options"));
}
