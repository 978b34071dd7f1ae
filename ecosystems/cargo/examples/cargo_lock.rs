//! Writes a project's `Cargo.lock`, as `x2nix resolve` and `x2nix export --cargo-lock` do, without Nix; and with
//! `--sources DIR`, a folder of unpacked crates, `cargo-features.json` too.
//!
//! ```sh
//! cargo run -p x2nix-cargo --example cargo_lock -- [--sources DIR] PROJECT...
//! ```
#![allow(clippy::print_stdout, clippy::expect_used)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use support::{Wish, lock};

fn main() {
    let mut words: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let mut sources = None;
    if words.first().is_some_and(|word| word == Path::new("--sources")) {
        sources = words.drain(..2).nth(1);
    }
    let mut refused = false;
    for project in words {
        match lock(&project, &Wish::default()) {
            Ok(answer) => {
                let (count, optimality) = (answer.lock.packages.len(), answer.optimality());
                std::fs::write(project.join("Cargo.lock"), answer.text).expect("it can be written");
                println!("{}\tlocked\t{count} {optimality:?}", project.display());
            }
            Err(why) => {
                refused = true;
                println!("{}\trefused\t{}", project.display(), why.replace('\n', " / "));
            }
        }
        let Some(sources) = &sources else { continue };
        let wish = Wish {
            format: "cargo-features".into(),
            repositories: vec![sources.clone()],
            ..Wish::default()
        };
        match lock(&project, &wish) {
            Ok(answer) => std::fs::write(project.join("cargo-features.json"), answer.text)
                .expect("it can be written"),
            Err(why) => {
                refused = true;
                println!("{}\tfeatures refused\t{}", project.display(), why.replace('\n', " / "));
            }
        }
    }
    std::process::exit(i32::from(refused));
}
