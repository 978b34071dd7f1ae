//! Words and commands of a lock as shell text. Every literal goes through [`quote`].

use super::graph::Graph;
use crate::tree::{Binding, Expr, Text};
use std::collections::BTreeMap;
use x2nix_protocol::{BuildVariable, EnvironmentOperation, LatePart, Operation, Part, Step, Word};

/// The unit's own output.
const OUT: &str = "\"$out\"";
/// The folder that the steps run in.
const TOP: &str = "\"$x2nixTop\"";

/// A literal as part of a shell word. Between single quotes only the single quote means something.
pub(super) fn quote(text: &str) -> Text {
    format!("'{}'", inside(text)).as_str().into()
}

fn inside(text: &str) -> String {
    text.replace('\'', r"'\''")
}

/// The value of an expression, and a path below it, as part of a shell word.
pub(super) fn quote_value(value: Expr, path: &str) -> Text {
    let mut text = Text::from("'");
    text.push_value(value);
    if !path.is_empty() {
        text.push("/").push(&inside(path));
    }
    text.push("'");
    text
}

fn below(path: &str) -> Text {
    if path.is_empty() { Text::new() } else { quote(&format!("/{path}")) }
}

/// A path in the folder that the steps run in.
pub(super) fn in_top(path: &str) -> Text {
    in_folder(TOP, path)
}

/// A path in a folder that a variable of the shell has.
fn in_folder(folder: &'static str, path: &str) -> Text {
    let mut text = Text::from(folder);
    text.append(below(path));
    text
}

/// What a unit is in the scope.
pub(super) fn unit(graph: &Graph<'_>, id: &str) -> Expr {
    Expr::Name("self").get(graph.attribute(id))
}

/// A word as one shell word; its own output is that of the unit `others`, or the one that is built.
fn word(graph: &Graph<'_>, others: Option<&str>, word: &Word) -> Text {
    let mut text = Text::new();
    for part in &word.0 {
        text.append(match part {
            Part::Text(literal) => quote(literal),
            Part::Late(LatePart::Out(path)) => {
                others.map_or_else(|| in_folder(OUT, path), |id| quote_value(unit(graph, id), path))
            }
            Part::Late(LatePart::Unit { unit: id, path }) => quote_value(unit(graph, id), path),
            Part::Late(LatePart::Content { unit: id, path }) => {
                let mut text = Text::from("\"$(x2nixContent ");
                text.append(quote_value(unit(graph, id), path)).push(")\"");
                text
            }
            Part::Late(LatePart::Variable(BuildVariable::Jobs)) => "\"$NIX_BUILD_CORES\"".into(),
            Part::Late(LatePart::Variable(BuildVariable::SourceTop)) => in_top(""),
            Part::Late(LatePart::Variable(BuildVariable::Platform)) => {
                quote_value(Expr::Name("system"), "")
            }
        });
    }
    if text.is_empty() { "''".into() } else { text }
}

/// Commands, each on its line.
pub(super) fn steps<'a>(graph: &Graph<'_>, steps: impl Iterator<Item = &'a Step>) -> Text {
    let mut text = Text::new();
    for step in steps {
        text.push("x2nixRun ");
        for (at, one) in step.words.iter().enumerate() {
            text.push(if at > 0 { " " } else { "" });
            text.append(word(graph, None, one));
        }
        text.push("\n");
    }
    text
}

/// What operations do to one variable.
#[derive(Default)]
struct Effect<'a> {
    set: Option<Text>,
    before: Vec<Text>,
    after: Vec<Text>,
    keep: bool,
    separator: &'a str,
}

/// What the operations of a unit do, by variable. Its own output is in shell in its own build, and its
/// path for others.
pub(super) fn effects(
    graph: &Graph<'_>,
    others: Option<&str>,
    operations: &[EnvironmentOperation],
) -> Expr {
    let mut all: BTreeMap<&str, Effect<'_>> = BTreeMap::new();
    for EnvironmentOperation { variable, operation, value, separator } in operations {
        let value = word(graph, others, value);
        let effect = all.entry(variable).or_default();
        match operation {
            Operation::Set => *effect = Effect { set: Some(value), ..Effect::default() },
            Operation::Prepend | Operation::PrependSeparated => effect.before.insert(0, value),
            Operation::Append | Operation::AppendSeparated => effect.after.push(value),
        }
        effect.keep |=
            matches!(operation, Operation::PrependSeparated | Operation::AppendSeparated);
        effect.separator = separator;
    }
    Expr::Set(all.into_iter().map(|(variable, effect)| effect.binding(variable)).collect())
}

impl Effect<'_> {
    fn binding(self, variable: &str) -> Binding {
        let list = |texts: Vec<Text>| Expr::List(texts.into_iter().map(Expr::Text).collect());
        let mut parts = Vec::new();
        if let Some(set) = self.set {
            parts.push(("set", list(vec![set])));
        }
        for (name, texts) in [("before", self.before), ("after", self.after)] {
            if !texts.is_empty() {
                parts.push((name, list(texts)));
            }
        }
        if self.keep {
            parts.push(("keep", Expr::Bool(true)));
        }
        if self.separator != ":" {
            parts.push(("separator", Expr::text(self.separator)));
        }
        match <[_; 1]>::try_from(parts) {
            Ok([(name, value)]) => Binding::Is(vec![variable.to_owned(), name.to_owned()], value),
            Err(parts) => Binding::new(variable, Expr::set(parts)),
        }
    }
}
