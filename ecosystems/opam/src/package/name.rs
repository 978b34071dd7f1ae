//! Which texts are names and versions of packages.
//!
//! Reference: `src/format/opamPackage.ml`.

/// Why a text is no name or no version of a package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// A character that must not be there.
    #[error("{text:?} has the character {character:?}, which it must not have")]
    Character {
        /// The text.
        text: Box<str>,
        /// The character.
        character: char,
    },
    /// A name without a letter.
    #[error("the package name {0:?} has no letter")]
    NoLetter(Box<str>),
    /// A version without anything.
    #[error("a version must not be empty")]
    EmptyVersion,
}

/// Whether the text can be the name of a package: letters, digits, `-`, `_` and `+`, one letter at
/// least (`Name.of_string`).
pub fn check_name(text: &str) -> Result<(), InvalidName> {
    check_characters(text, |c| matches!(c, '-' | '_' | '+'))?;
    if text.contains(|c: char| c.is_ascii_alphabetic()) {
        Ok(())
    } else {
        Err(InvalidName::NoLetter(text.into()))
    }
}

/// Whether the text can be a version: letters, digits, `-`, `_`, `+`, `.` and `~`, one of them at
/// least (`Version.of_string`).
pub fn check_version(text: &str) -> Result<(), InvalidName> {
    if text.is_empty() {
        return Err(InvalidName::EmptyVersion);
    }
    check_characters(text, |c| matches!(c, '-' | '_' | '+' | '.' | '~'))
}

/// The name and the version in `name.version`, if both can be that (`OpamPackage.of_string_opt`).
pub fn split_package(text: &str) -> Option<(&str, &str)> {
    let (name, version) = text.split_once('.')?;
    (check_name(name).is_ok() && check_version(version).is_ok()).then_some((name, version))
}

fn check_characters(text: &str, also: impl Fn(char) -> bool) -> Result<(), InvalidName> {
    match text.chars().find(|c| !c.is_ascii_alphanumeric() && !also(*c)) {
        None => Ok(()),
        Some(character) => Err(InvalidName::Character { text: text.into(), character }),
    }
}
