//! Writes a project's `Cargo.lock`, as `x2nix resolve` and `x2nix export --cargo-lock` do, without Nix.
//!
//! ```sh
//! cargo run -p x2nix-cargo --example cargo_lock -- PROJECT...
//! ```
#![allow(clippy::print_stdout, clippy::expect_used)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{path::PathBuf, time::Instant};

fn main() {
    for project in std::env::args_os().skip(1).map(PathBuf::from) {
        let start = Instant::now();
        match support::lock(&project, &support::Wish::default()) {
            Ok(answer) => {
                std::fs::write(project.join("Cargo.lock"), &answer.text)
                    .expect("it can be written");
                println!(
                    "{}\tlocked\t{} {:?} {:.2}s",
                    project.display(),
                    answer.lock.packages.len(),
                    answer.optimality(),
                    start.elapsed().as_secs_f64()
                );
            }
            Err(why) => println!("{}\trefused\t{}", project.display(), why.replace('\n', " / ")),
        }
    }
}
