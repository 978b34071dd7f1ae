//! The settings of an opam-nix or Hillingar flake, as the text of an `x2nix.toml`.
//!
//! # Reading without evaluating
//!
//! A flake is a program, and what it hands to opam-nix may be computed. Most flakes compute little:
//! they write a query down, merge two, and change a package here and there. So this crate parses the
//! flake and follows names to where they are bound, merges sets that are written out, and calls
//! nothing ([`reader`]). It looks for calls of opam-nix's and Hillingar's functions ([`calls`]), and
//! in the overlays for changes that only say data: more inputs, a patch, a variable ([`overlay`]).
//! Whatever else stands there is told of, with its line and what to do about it: no setting is lost in
//! silence, and nothing of the flake is run.
//!
//! The shapes are those of opam-nix's `DOCUMENTATION.md` and Hillingar's `mkUnikernelPackages`.

#![deny(missing_docs)]

mod calls;
mod inputs;
mod overlay;
mod reader;
mod settings;

use x2nix_protocol::{Diagnostic, Origin};

/// The largest flake that is read, in bytes.
pub const LARGEST: usize = 32 * 1024;

/// The stack to read one on. The syntax tree is as deep as the flake is nested, up to its size, and is
/// let go of level by level.
const STACK: usize = 256 * 1024 * 1024;

/// What a flake says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The settings: the text of an `x2nix.toml` for the project's folder.
    pub settings: String,
    /// The folder of the project, relative to the flake; `.` for the flake's own.
    pub project: String,
    /// What could not be carried over, each with its line and what to do.
    pub left: Vec<Diagnostic>,
}

/// Reads a flake and, where there is one, the text of its `flake.lock`.
///
/// `label` is what messages call the flake.
///
/// # Errors
///
/// Where the flake is no Nix, too large, or calls none of the functions that this crate knows.
pub fn import(flake: &str, lock: Option<&str>, label: &str) -> Result<Imported, Box<Diagnostic>> {
    if flake.len() > LARGEST {
        let message = format!(
            "{label} has {} bytes; a flake of settings is no larger than {LARGEST}",
            flake.len()
        );
        return Err(refuse("import::large", message, label, None));
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, || read(flake, lock, label));
        match thread.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(error) => {
                let message = format!("there is no memory to read {label}: {error}");
                Err(Box::new(Diagnostic::error("import::memory", message).access()))
            }
        }
    })
}

/// Brackets that may be open at once, and tokens that may follow each other without a bracket or a
/// semicolon: far more than people write, and few enough for the parser, whose time grows with the
/// square of either.
const NESTING: usize = 200;
const RUN: usize = 1000;

/// Where a flake is nested too deeply, or goes on too long, to be read.
fn too_deep(flake: &str) -> Option<usize> {
    use rnix::SyntaxKind::{
        TOKEN_COMMENT, TOKEN_INTERPOL_END, TOKEN_INTERPOL_START, TOKEN_L_BRACE, TOKEN_L_BRACK,
        TOKEN_L_PAREN, TOKEN_R_BRACE, TOKEN_R_BRACK, TOKEN_R_PAREN, TOKEN_SEMICOLON,
        TOKEN_WHITESPACE,
    };
    let (mut offset, mut depth, mut run) = (0, 0_usize, 0);
    for (kind, text) in rnix::tokenize(flake) {
        match kind {
            TOKEN_L_BRACE | TOKEN_L_BRACK | TOKEN_L_PAREN | TOKEN_INTERPOL_START => {
                (depth, run) = (depth + 1, 0);
            }
            TOKEN_R_BRACE | TOKEN_R_BRACK | TOKEN_R_PAREN | TOKEN_INTERPOL_END => {
                (depth, run) = (depth.saturating_sub(1), 0);
            }
            TOKEN_SEMICOLON => run = 0,
            TOKEN_WHITESPACE | TOKEN_COMMENT => {}
            _ => run += 1,
        }
        if depth > NESTING || run > RUN {
            return Some(offset);
        }
        offset += text.len();
    }
    None
}

fn read(flake: &str, lock: Option<&str>, label: &str) -> Result<Imported, Box<Diagnostic>> {
    if let Some(offset) = too_deep(flake) {
        let line = reader::line_at(flake, offset);
        let message = format!("{label} is nested too deeply to be read");
        return Err(refuse("import::deep", message, label, Some(line)));
    }
    let parsed = rnix::Root::parse(flake);
    if let Some(error) = parsed.errors().first() {
        let line = reader::error_offset(error).map(|offset| reader::line_at(flake, offset));
        return Err(refuse("import::syntax", format!("{label} is not Nix: {error}"), label, line));
    }
    let reader = reader::Reader::new(flake, &parsed.tree());
    let inputs = inputs::Inputs::read(&reader, lock, label)?;
    let mut settings = settings::Settings::new(label);
    if !calls::gather(&reader, &inputs, &mut settings) {
        let message = format!("{label} calls no function of opam-nix or Hillingar");
        return Err(refuse("import::nothing", message, label, None));
    }
    overlay::gather(&reader, &mut settings);
    Ok(settings.finish(&inputs))
}

fn refuse(code: &str, message: String, label: &str, line: Option<u32>) -> Box<Diagnostic> {
    let help = "give a flake.nix that uses opam-nix (buildOpamProject, queryToScope, …) or Hillingar (mkUnikernelPackages)";
    Box::new(Diagnostic::error(code, message).at(Origin::new(label, line)).help(help))
}
