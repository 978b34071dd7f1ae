//! The runtime: a unit of scripts that all builds of opam packages share, for what only a build knows.
//!
//! Its programs read what stands in `runtime/` of this crate:
//!
//! - `x2nix-opam` installs by `.install` files, runs commands whose filters or words depend on the
//!   `.config` files of other packages, and substitutes variables in files;
//! - `opam` stands in for the real one, for packages that ask it something while they build.

use crate::plugin::session::OpamSession;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use x2nix_protocol::{Blob, Build, LatePart, Meta, Part, Phase, Recipe, Step, Unit, Word};

/// The key of its unit; no package can be called that.
pub(in crate::plugin) const KEY: &str = "x2nix-opam@runtime";

const FILES: [(&str, &str); 4] = [
    ("bin/x2nix-opam", include_str!("../../../runtime/bin/x2nix-opam")),
    ("bin/opam", include_str!("../../../runtime/bin/opam")),
    ("share/x2nix-opam/syntax.awk", include_str!("../../../runtime/share/x2nix-opam/syntax.awk")),
    (
        "share/x2nix-opam/variables.bash",
        include_str!("../../../runtime/share/x2nix-opam/variables.bash"),
    ),
];

/// The program that steps call.
pub(in crate::plugin) fn program() -> Word {
    Word(vec![Part::Late(LatePart::Unit { unit: KEY.into(), path: "bin/x2nix-opam".into() })])
}

/// The file that has a variable of an installed package's `.config` file.
pub(super) fn variable_file(package: &str, variable: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+');
    (!variable.is_empty() && variable.chars().all(plain))
        .then(|| format!("nix-support/opam/{package}/variables/{variable}"))
}

/// The unit.
pub(super) fn unit(session: &OpamSession) -> Unit {
    let mut files: BTreeMap<String, Blob> = FILES
        .into_iter()
        .map(|(path, content)| (path.to_owned(), Blob(content.as_bytes().to_vec())))
        .collect();
    files.insert("share/x2nix-opam/variables".into(), Blob(variables(session).into_bytes()));
    let shell = |script: &str| ["bash", "-eu", "-c", script].map(Word::text).to_vec();
    let out = Word(vec![Part::Late(LatePart::Out(String::new()))]);
    let steps = vec![
        // The scripts' first line names the shell of the build, wherever that lies.
        Step {
            phase: Phase::Build,
            words: shell(
                "for f in bin/*; do sed -i \"1s|^#!.*|#!$BASH|\" \"$f\"; chmod +x \"$f\"; done",
            ),
        },
        Step {
            phase: Phase::Install,
            words: ["cp", "-R", "bin", "share"].map(Word::text).into_iter().chain([out]).collect(),
        },
    ];
    Unit {
        name: "x2nix-opam".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        recipe: Recipe::Build(Build { files, steps, ..Build::default() }),
        depends: Vec::new(),
        exports: Vec::new(),
        meta: Meta {
            description: Some("What only a build of an opam package knows".into()),
            licenses: vec!["ISC".into()],
            ..Meta::default()
        },
    }
}

/// The global variables, a line each.
fn variables(session: &OpamSession) -> String {
    let mut lines = String::new();
    for (name, value) in session.environment.all_in_build() {
        if !value.contains(['\n', '\t']) {
            let _ = writeln!(lines, "{name}\t{value}");
        }
    }
    lines
}
