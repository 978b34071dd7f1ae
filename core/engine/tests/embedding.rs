//! The example that embeds x2nix: it runs, it is short, and the docs show it as it is.
#![allow(clippy::unwrap_used)]

use std::{fs, path::Path, process::Command};

#[test]
fn the_example_runs_and_the_docs_show_it() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = fs::read_to_string(here.join("examples/embed.rs")).unwrap();
    assert!(example.lines().count() < 60);
    let docs = fs::read_to_string(here.join("../../docs/embedding.md")).unwrap();
    assert!(
        docs.contains(&format!("```rust\n{example}```\n")),
        "docs/embedding.md shows another example"
    );
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--package", "x2nix-core", "--example", "embed"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lock = x2nix_core::lock::read(&output.stdout, "the example's").unwrap();
    assert_eq!(lock.packages.keys().collect::<Vec<_>>(), ["app@1", "library@3"]);
}
