//! Working on a project by hand: what is vendored and generated for it is put into its folder when its shell
//! is entered, and dune is the workspace's.
//!
//! What was put there is no part of the project: `.x2nix/placed` says so to whoever reads the folder.

use crate::plugin::script;
use x2nix_protocol::{LatePart, Part, Phase, Purpose, Role, Step, Unit, UnitEdge, Word};

/// The key of the unit that has the scripts; no package can be called that.
pub(crate) const KEY: &str = "x2nix-workspace@runtime";

/// The file of a project's folder that says what the shell has put there: a line each, the path first.
pub(crate) const PLACED: &str = ".x2nix/placed";

/// The step of a shell, given a file that only the project's folder has, and the units of what is vendored,
/// of what is generated, and of dune.
pub(crate) fn step(
    mark: &str,
    duniverse: Option<&str>,
    configured: Option<&str>,
    dune: Option<&str>,
) -> Step {
    let of = |unit: Option<&str>, path: &str| match unit {
        Some(unit) => {
            let (unit, path) = (unit.to_owned(), path.to_owned());
            Word(vec![Part::Late(LatePart::Unit { unit, path })])
        }
        None => Word::default(),
    };
    let words = vec![
        Word::text("source"),
        of(Some(KEY), "share/x2nix-workspace/shell.bash"),
        Word::text(mark),
        of(duniverse, ""),
        of(configured, ""),
        of(dune, "bin"),
    ];
    Step { phase: Phase::Shell, words }
}

/// What a unit with such a step needs beside what it is built with.
pub(crate) fn edge() -> UnitEdge {
    UnitEdge { unit: KEY.into(), role: Role::Build, purpose: Purpose::Dev }
}

/// The unit of the scripts.
pub(crate) fn unit() -> Unit {
    script::unit(
        "x2nix-workspace",
        "Sets up the folder of a project to work in by hand",
        &[
            ("bin/x2nix-workspace", include_str!("shell/x2nix-workspace")),
            ("share/x2nix-workspace/shell.bash", include_str!("shell/shell.bash")),
        ],
    )
}
