//! Commands whose words hold what only the build knows.
//!
//! Filters and interpolation give text; the path of an output is not text yet when locking. So a
//! value that comes late is given to them as a *mark*, a number between two NUL characters, and the
//! finished words are split at their marks again. No opam file can bring a mark of its own: NUL in a
//! command is refused first.

use crate::filter::Value;
use std::cell::RefCell;
use x2nix_protocol::{LatePart, Part, Word};

const MARK: char = '\0';

/// The late parts that were given out.
#[derive(Default)]
pub(super) struct LateParts {
    parts: RefCell<Vec<LatePart>>,
}

impl LateParts {
    /// A value that stands for a late part.
    pub(super) fn value(&self, part: LatePart) -> Value {
        let mut parts = self.parts.borrow_mut();
        parts.push(part);
        Value::String(format!("{MARK}{}{MARK}", parts.len() - 1))
    }

    /// The parts of a finished word; nothing if its marks are not ours.
    pub(super) fn word(&self, text: &str) -> Option<Word> {
        let parts = self.parts.borrow();
        let mut word = Vec::new();
        for (position, piece) in text.split(MARK).enumerate() {
            if position % 2 == 1 {
                word.push(Part::Late(parts.get(piece.parse::<usize>().ok()?)?.clone()));
            } else if !piece.is_empty() {
                word.push(Part::Text(piece.into()));
            }
        }
        if word.is_empty() {
            word.push(Part::Text(String::new()));
        }
        text.matches(MARK).count().is_multiple_of(2).then_some(Word(word))
    }
}
