//! From a lock file to Nix, in two forms.
//!
//! What is emitted unless something else is asked for is a small fixed program, [`READER`], that reads
//! the lock's JSON and makes a derivation for each of its units. Only the path of the lock is written
//! into it, so that it does not change when the answer does, and no string of a package is ever Nix text.
//! [`standalone`](fn@standalone) writes the same derivations out, by way of a syntax tree ([`tree`]).

#![deny(missing_docs)]

pub mod escape;
mod standalone;
pub mod tree;

pub use standalone::{is_standalone, standalone};

mod expression;

pub use expression::{Packages, UnitExpression};

/// The fixed program, for a lock that lies beside it as `x2nix.lock.json`.
pub const READER: &str = include_str!("x2nix.nix");

/// The path of the lock as [`READER`] has it.
const LOCK_PATH: &str = "./. + \"/x2nix.lock.json\"";

/// The text of `x2nix.nix` for a lock at `lock_file`: a path relative to the folder that the text is
/// to lie in, or an absolute one.
pub fn emit(lock_file: &str) -> String {
    READER.replacen(LOCK_PATH, &escape::nix_path(lock_file), 1)
}

/// The flake that offers what a lock's roots are, for a lock and a Nix file beside it.
const FLAKE: &str = include_str!("flake.nix");

/// The path of the Nix file as [`FLAKE`] has it.
const NIX_PATH: &str = "./. + \"/x2nix.nix\"";

/// The text of `flake.nix` for a lock and a Nix file: paths relative to the flake's folder, below it,
/// since a flake sees nothing else.
pub fn flake(lock_file: &str, nix_file: &str) -> String {
    let text = FLAKE.replacen(LOCK_PATH, &escape::nix_path(lock_file), 1);
    text.replacen(NIX_PATH, &escape::nix_path(nix_file), 1)
}

/// What `nix-build` and `nix-shell` read in a folder.
const DEFAULT: &str = include_str!("default.nix");
const SHELL: &str = "# Made once by `x2nix emit --default`, for you to change.
{ ... }@arguments: (import ./default.nix arguments).devShells.default
";

/// The texts of `default.nix` and `shell.nix` for a Nix file: a path relative to their folder, or an
/// absolute one.
pub fn plain(nix_file: &str) -> [String; 2] {
    [DEFAULT.replacen(NIX_PATH, &escape::nix_path(nix_file), 1), SHELL.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_lock_is_the_reader_as_it_is() {
        assert_eq!(READER.matches(LOCK_PATH).count(), 1);
        assert_eq!(emit("x2nix.lock.json"), READER);
    }

    #[test]
    fn the_path_of_the_lock_is_written_as_nix_has_it() {
        let text = emit("locks/a \"b\" ${c}.json");
        assert!(text.contains(r#"lockFile ? ./. + "/locks/a \"b\" \${c}.json","#));
        assert!(!text.contains(LOCK_PATH));
    }

    #[test]
    fn the_flake_names_both_files_as_nix_has_them() {
        assert_eq!(flake("x2nix.lock.json", "x2nix.nix"), FLAKE);
        let text = flake("a \"b\".json", "${c}.nix");
        assert!(text.contains(r#"importJSON (./. + "/a \"b\".json")"#), "{text}");
        assert!(text.contains(r#"import (./. + "/\${c}.nix")"#), "{text}");
    }

    #[test]
    fn the_plain_files_name_the_nix_file_as_nix_has_it() {
        assert_eq!(plain("x2nix.nix")[0], DEFAULT);
        assert!(plain("${a}.nix")[0].contains(r#"import (./. + "/\${a}.nix")"#));
    }

    #[test]
    fn the_reader_says_whose_it_is() {
        assert!(READER.starts_with("# Made by `x2nix emit`; put changes into overrides.nix"));
    }
}
