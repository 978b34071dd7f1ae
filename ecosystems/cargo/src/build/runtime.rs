//! The runtime: a unit of scripts that all builds of crates share, for what only a build knows.

use super::edge;
use crate::target::Target;
use std::collections::BTreeMap;
use x2nix_protocol::{
    Blob, Build, LatePart, Meta, Part, Phase, Recipe, Role, Step, SystemNeed, Unit, UnitEdge, Word,
};

/// The key of its unit; no crate has such a version.
pub(super) const KEY: &str = "x2nix-cargo@runtime";

const FILES: [(&str, &str); 3] = [
    ("bin/x2nix-cargo", include_str!("../../runtime/bin/x2nix-cargo")),
    ("share/x2nix-cargo/cfg.awk", include_str!("../../runtime/share/x2nix-cargo/cfg.awk")),
    (
        "share/x2nix-cargo/directives.awk",
        include_str!("../../runtime/share/x2nix-cargo/directives.awk"),
    ),
];

/// What platforms are to rustc.
const PLATFORMS: &str = "share/x2nix-cargo/platforms";

/// A step that calls its program.
pub(super) fn step(phase: Phase, words: Vec<Word>) -> Step {
    let program = LatePart::Unit { unit: KEY.into(), path: "bin/x2nix-cargo".into() };
    let program = Word(vec![Part::Late(program)]);
    Step { phase, words: std::iter::once(program).chain(words).collect() }
}

/// The edge that units have which call it.
pub(super) fn needed() -> UnitEdge {
    edge(KEY, Role::Build)
}

/// The unit, with the compiler that those have who call it.
pub(super) fn unit(compiler: Vec<SystemNeed>) -> Unit {
    let files: BTreeMap<String, Blob> = FILES
        .into_iter()
        .map(|(path, content)| (path.to_owned(), Blob(content.as_bytes().to_vec())))
        .chain([(PLATFORMS.to_owned(), Blob(Target::table().into_bytes()))])
        .collect();
    // The script's first line names the shell of the build, wherever that lies.
    let shell = "sed -i \"1s|^#!.*|#!$BASH|\" bin/x2nix-cargo; chmod +x bin/x2nix-cargo";
    let out = Word(vec![Part::Late(LatePart::Out(String::new()))]);
    let steps = vec![
        Step { phase: Phase::Build, words: ["bash", "-eu", "-c", shell].map(Word::text).to_vec() },
        Step {
            phase: Phase::Install,
            words: ["cp", "-R", "bin", "share"].map(Word::text).into_iter().chain([out]).collect(),
        },
    ];
    Unit {
        name: "x2nix-cargo".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        recipe: Recipe::Build(Build { files, steps, system: compiler, ..Build::default() }),
        depends: Vec::new(),
        exports: Vec::new(),
        meta: Meta {
            description: Some("Compiles crates as cargo does".into()),
            licenses: vec!["ISC".into()],
            ..Meta::default()
        },
    }
}
