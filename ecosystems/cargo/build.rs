//! Hands on what cargo's own registry is called. The crate that knows it does not build for WebAssembly, but
//! this runs where the compiler does.

#![allow(clippy::print_stdout)] // that is how cargo is told

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=X2NIX_CARGO_REGISTRY={}", tame_index::CRATES_IO_INDEX);
    println!("cargo::rustc-env=X2NIX_CARGO_SPARSE={}", tame_index::CRATES_IO_HTTP_INDEX);
}
