//! The small language of formulas: `a >= 2 < 4 & (b | c@tools = 1 post +feature)`.
//!
//! `|` binds weaker than `&`. A leaf is a name, with `@CONTEXT` outside the main one; bounds that
//! must all hold; and words about the edge: `post`, `build`, `target`, `+FEATURE`.

use std::cmp::Ordering;
use x2nix_protocol::Role;

/// A formula as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Formula {
    Leaf(Edge),
    All(Vec<Formula>),
    Any(Vec<Formula>),
}

/// A leaf.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Edge {
    pub(crate) set: SetText,
    pub(crate) post: bool,
    pub(crate) role: Role,
    pub(crate) features: Vec<String>,
}

/// A name and bounds of its version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct SetText {
    pub(crate) name: String,
    pub(crate) bounds: Vec<(String, String)>,
}

impl SetText {
    /// The bounds as messages show them.
    pub(crate) fn text(&self) -> String {
        let bounds: Vec<_> =
            self.bounds.iter().map(|(operator, version)| format!("{operator} {version}")).collect();
        bounds.join(" ")
    }

    pub(crate) fn contains(&self, version: &str) -> bool {
        self.bounds.iter().all(|(operator, bound)| {
            let order = compare(version, bound);
            match operator.as_str() {
                "=" => order == Ordering::Equal,
                "!=" => order != Ordering::Equal,
                ">=" => order != Ordering::Less,
                "<=" => order != Ordering::Greater,
                ">" => order == Ordering::Greater,
                "<" => order == Ordering::Less,
                _ => panic!("{operator:?} is no operator"),
            }
        })
    }
}

/// The order of versions: part by part, numbers as numbers.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let parts = |version: &str| {
        let parts = version.split('.').map(|part| part.parse().map_err(|_| part.to_owned()));
        parts.collect::<Vec<Result<u64, String>>>()
    };
    parts(a).cmp(&parts(b))
}

/// Reads a formula.
pub(crate) fn parse(text: &str) -> Formula {
    let spaced = ["(", ")", "&", "|"]
        .iter()
        .fold(text.to_owned(), |text, mark| text.replace(mark, &format!(" {mark} ")));
    let words: Vec<_> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let formula = any(&mut rest);
    assert!(rest.is_empty(), "{text:?} is no formula: {rest:?} is left");
    formula
}

/// Reads a set.
pub(crate) fn parse_set(text: &str) -> SetText {
    match parse(text) {
        Formula::Leaf(edge) => edge.set,
        _ => panic!("{text:?} is no set"),
    }
}

fn joined(
    words: &mut &[&str],
    mark: &str,
    part: fn(&mut &[&str]) -> Formula,
    join: fn(Vec<Formula>) -> Formula,
) -> Formula {
    let mut parts = vec![part(words)];
    while words.first() == Some(&mark) {
        *words = &words[1..];
        parts.push(part(words));
    }
    if parts.len() == 1 { parts.remove(0) } else { join(parts) }
}

fn any(words: &mut &[&str]) -> Formula {
    joined(words, "|", all, Formula::Any)
}

fn all(words: &mut &[&str]) -> Formula {
    joined(words, "&", leaf, Formula::All)
}

fn leaf(words: &mut &[&str]) -> Formula {
    let (first, rest) = words.split_first().expect("a formula goes on");
    *words = rest;
    if *first == "(" {
        let inner = any(words);
        assert_eq!(words.first(), Some(&")"), "a formula has an open parenthesis");
        *words = &words[1..];
        return inner;
    }
    let mut edge =
        Edge { set: SetText { name: (*first).into(), bounds: vec![] }, ..Edge::default() };
    loop {
        match **words {
            ["post", ..] => edge.post = true,
            ["build", ..] => edge.role = Role::Build,
            ["target", ..] => edge.role = Role::Target,
            [word, ..] if word.starts_with('+') => edge.features.push(word[1..].into()),
            [operator, version, ..] if operator.starts_with(['<', '>', '=', '!']) => {
                edge.set.bounds.push(((*operator).into(), (*version).into()));
                *words = &words[1..];
            }
            _ => return Formula::Leaf(edge),
        }
        *words = &words[1..];
    }
}
