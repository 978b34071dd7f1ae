//! Variables in strings: `%{variable}%`.

use super::{Env, FilterIdent, Value};
use crate::package::name::InvalidName;
use std::borrow::Cow;

/// A part of a string that may have variables in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<'t> {
    /// Text as it stands.
    Text(&'t str),
    /// A variable, in `%{` and `}%`.
    Variable(FilterIdent),
}

/// Replaces `%{variable}%` by its value (by nothing, if it is undefined) and `%%` by `%`
/// (`OpamFilter.expand_string`). An unclosed `%{` stays; a package name that cannot be one is an
/// error.
pub fn expand_string<'t>(text: &'t str, env: &Env<'_>) -> Result<Cow<'t, str>, InvalidName> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let mut result = String::with_capacity(text.len());
    for piece in pieces(text)? {
        match piece {
            Piece::Text(text) => result.push_str(text),
            Piece::Variable(ident) => {
                result.push_str(&ident.resolve(env).map(Value::into_text).unwrap_or_default());
            }
        }
    }
    Ok(Cow::Owned(result))
}

/// The parts of a string: what [`expand_string`] joins.
pub fn pieces(text: &str) -> Result<Vec<Piece<'_>>, InvalidName> {
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    let find = |from: usize| from + part(from, text.len()).find('%').unwrap_or(text.len() - from);
    let mut pieces = Vec::new();
    let mut push = |piece| {
        if piece != Piece::Text("") {
            pieces.push(piece);
        }
    };
    let mut copied = 0;
    let mut next = find(0);
    while next < text.len() {
        let rest = part(next, text.len());
        let end = if rest.starts_with("%%") {
            push(Piece::Text(part(copied, next + 1)));
            next + 2
        } else if rest.starts_with("%{") {
            let end = next + interpolation_length(rest.as_bytes());
            push(Piece::Text(part(copied, next)));
            let whole = part(next, end);
            push(match whole.strip_prefix("%{").and_then(|inner| inner.strip_suffix("}%")) {
                None => Piece::Text(whole),
                Some(ident) => Piece::Variable(FilterIdent::parse(ident, true)?),
            });
            end
        } else {
            next = find(next + 1);
            continue;
        };
        copied = end;
        next = find(end);
    }
    push(Piece::Text(part(copied, text.len())));
    Ok(pieces)
}

/// How long an interpolation is, from `%{` to `}%` or to where it can no longer be closed. A `}`
/// takes the character after it along unless that is `%`, so `%{a}}%` goes on after its `}%`
/// (`string_interp_regex`).
fn interpolation_length(bytes: &[u8]) -> usize {
    let mut length = 2;
    loop {
        match bytes.get(length..).unwrap_or_default() {
            [] | [b'\n', ..] | [b'}', b'\n', ..] => return length,
            [b'}', b'%', ..] => return length + 2,
            [b'}', _, ..] => length += 2,
            _ => length += 1,
        }
    }
}
