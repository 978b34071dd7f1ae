//! Expressions as text for people: what fits stands on a line, the rest is opened up, two columns deeper.

use super::{Binding, Expr, Parameter, Piece, Text};
use crate::escape::{nix_attribute, nix_path, nix_string};
use std::iter::Peekable;
use std::str::Chars;

/// The columns that are used where they suffice.
const WIDTH: usize = 100;

impl Expr {
    /// The expression as Nix text.
    pub fn print(&self) -> String {
        let mut printer = Printer { out: String::new(), indent: 0 };
        printer.expression(self);
        printer.out
    }
}

/// How tightly an expression holds together; what is looser than its place asks is put in brackets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Hold {
    /// `let`, `if`, functions.
    Loose,
    Update,
    Join,
    Call,
    /// What may be selected from or stand in a list.
    Tight,
}

fn hold(expression: &Expr) -> Hold {
    match expression {
        Expr::Let(..) | Expr::Function(..) | Expr::If(_) => Hold::Loose,
        Expr::Update(_) => Hold::Update,
        Expr::Path(_) => Hold::Join,
        Expr::Join(parts) if parts.len() > 1 => Hold::Join,
        Expr::Call(_, arguments) if !arguments.is_empty() => Hold::Call,
        Expr::Or(_) => Hold::Call,
        Expr::Integer(number) if *number < 0 => Hold::Call,
        _ => Hold::Tight,
    }
}

struct Printer {
    out: String,
    indent: usize,
}

impl Printer {
    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn line(&mut self) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n(' ', self.indent));
    }

    fn deeper(&mut self, print: impl FnOnce(&mut Self)) {
        self.indent += 2;
        print(self);
        self.indent -= 2;
    }

    /// The columns that are left on the line.
    fn room(&self) -> usize {
        let line = self.out.rfind('\n').map_or(0, |at| at + 1);
        // Some are kept for what closes around it.
        WIDTH.saturating_sub(self.out[line..].chars().count() + 2)
    }

    fn expression(&mut self, expression: &Expr) {
        let mut flat = String::new();
        if flatten(expression, &mut flat, self.room()).is_some() {
            return self.push(&flat);
        }
        match expression {
            Expr::Text(text) => self.text(text),
            Expr::List(items) => self.list(items),
            Expr::Set(bindings) => self.set(bindings),
            Expr::Select(of, path) => {
                self.held(of, Hold::Tight);
                self.push(&selection(path));
            }
            Expr::Call(function, arguments) => {
                self.held(function, Hold::Call);
                for argument in arguments {
                    self.push(" ");
                    self.held(argument, Hold::Tight);
                }
            }
            Expr::Function(parameter, body) => {
                self.parameter(parameter);
                match &**body {
                    Expr::Let(..) => self.line(),
                    _ => self.push(" "),
                }
                self.expression(body);
            }
            Expr::Let(bindings, body) => {
                self.push("let");
                self.deeper(|inner| inner.bindings(bindings));
                self.line();
                self.push("in");
                self.line();
                self.expression(body);
            }
            Expr::If(parts) => {
                self.push("if ");
                self.expression(&parts[0]);
                for (word, part) in ["then", "else"].into_iter().zip(&parts[1..]) {
                    self.line();
                    self.push(word);
                    self.deeper(|inner| {
                        inner.line();
                        inner.expression(part);
                    });
                }
            }
            Expr::Join(parts) => self.joined(parts, " + ", Hold::Call),
            Expr::Update(parts) => self.joined(&parts[..], " // ", Hold::Join),
            Expr::Or(parts) => self.joined(&parts[..], " or ", Hold::Tight),
            // These are always flat; where the line is too long, so be it.
            Expr::Null | Expr::Bool(_) | Expr::Integer(_) | Expr::Path(_) | Expr::Name(_) => {
                let _ = flatten(expression, &mut self.out, usize::MAX);
            }
        }
    }

    fn joined(&mut self, parts: &[Expr], operator: &str, least: Hold) {
        for (i, part) in parts.iter().enumerate() {
            if i > 0 {
                self.push(operator);
            }
            self.held(part, least);
        }
        if parts.is_empty() {
            self.push("\"\"");
        }
    }

    /// An expression, in brackets if it is looser than `least`.
    fn held(&mut self, expression: &Expr, least: Hold) {
        if hold(expression) >= least {
            return self.expression(expression);
        }
        self.push("(");
        self.expression(expression);
        self.push(")");
    }

    /// Items that are short fill lines; others have one each.
    fn list(&mut self, items: &[Expr]) {
        let mut flat = Vec::with_capacity(items.len());
        for item in items {
            let mut text = String::new();
            if hold(item) == Hold::Tight && flatten(item, &mut text, 40).is_some() {
                flat.push(text);
            }
        }
        self.push("[");
        self.deeper(|inner| {
            if flat.len() == items.len() {
                for (i, text) in flat.iter().enumerate() {
                    if i > 0 && inner.room() > text.chars().count() {
                        inner.push(" ");
                    } else {
                        inner.line();
                    }
                    inner.push(text);
                }
            } else {
                for item in items {
                    inner.line();
                    inner.held(item, Hold::Tight);
                }
            }
        });
        self.line();
        self.push("]");
    }

    fn set(&mut self, bindings: &[Binding]) {
        self.push("{");
        self.deeper(|inner| inner.bindings(bindings));
        self.line();
        self.push("}");
    }

    fn bindings(&mut self, bindings: &[Binding]) {
        for binding in bindings {
            match binding {
                Binding::Is(path, value) => {
                    self.line();
                    self.push(&attribute_path(path));
                    self.push(" = ");
                    self.expression(value);
                    self.push(";");
                }
                Binding::Blank => self.push("\n"),
                Binding::Comment(text) => {
                    for line in text.lines() {
                        self.line();
                        self.push("# ");
                        self.push(line);
                    }
                }
                Binding::Verbatim(text) => {
                    for line in text.trim_end().lines() {
                        self.out.push('\n');
                        self.push(line);
                    }
                }
            }
        }
    }

    fn parameter(&mut self, parameter: &Parameter) {
        match parameter {
            Parameter::Name(name) => self.push(name),
            Parameter::Set(fields) => {
                self.push("{");
                self.deeper(|inner| {
                    for field in fields {
                        for line in field.comment.lines() {
                            inner.line();
                            inner.push("# ");
                            inner.push(line);
                        }
                        inner.line();
                        inner.push(field.name);
                        if let Some(default) = &field.default {
                            inner.push(" ? ");
                            inner.expression(default);
                        }
                        inner.push(",");
                    }
                });
                self.line();
                self.push("}");
            }
        }
        self.push(":");
    }

    fn text(&mut self, text: &Text) {
        if !has_lines(text) {
            self.push("\"");
            for (at, piece) in text.0.iter().enumerate() {
                match piece {
                    Piece::Literal(literal) => {
                        push_literal(literal, at + 1 < text.0.len(), &mut self.out);
                    }
                    Piece::Value(value) => self.value(value),
                }
            }
            return self.push("\"");
        }
        self.push("''");
        self.deeper(|inner| inner.lines(text));
        if self.out.ends_with('\n') {
            self.line_start();
        }
        self.push("''");
    }

    fn value(&mut self, value: &Expr) {
        self.push("${");
        self.expression(value);
        self.push("}");
    }

    /// The inside of an indented string. Nix takes away the indentation that all lines share, and a last
    /// line of blanks, so that each line is written with this indentation, and a blank that could be
    /// taken for a part of it is written out.
    ///
    /// Two single quotes end the string or start an escape; a lone one must not stand before either.
    fn lines(&mut self, text: &Text) {
        self.out.push('\n');
        // Whether something stands on the line; the indentation is written with its first character.
        let mut started = false;
        let all_start_blank = text.all_start_blank();
        for (at, piece) in text.0.iter().enumerate() {
            let literal = match piece {
                Piece::Literal(literal) => literal,
                Piece::Value(value) => {
                    if !started {
                        self.line_start();
                    }
                    started = true;
                    self.value(value);
                    continue;
                }
            };
            let (mut fresh, is_last) = (at == 0, at + 1 == text.0.len());
            let mut rest = literal.chars().peekable();
            while let Some(c) = rest.next() {
                if c == '\n' {
                    self.out.push('\n');
                    (started, fresh) = (false, true);
                    continue;
                }
                if !started {
                    self.line_start();
                    started = true;
                }
                let next = rest.peek().copied();
                match c {
                    ' ' if fresh && (all_start_blank || is_blank(&rest)) => self.push("''\\ "),
                    '\r' => self.push("''\\r"),
                    '$' if next == Some('{') || (next.is_none() && !is_last) => {
                        self.push("''$");
                    }
                    '\'' if next == Some('\'') => {
                        rest.next();
                        self.push("'''");
                    }
                    // Before what is or may be written with two quotes.
                    '\'' if next.map_or(is_last, |c| matches!(c, '$' | '\r')) => {
                        self.push("''\\'");
                    }
                    c => self.out.push(c),
                }
                fresh = false;
            }
        }
    }

    fn line_start(&mut self) {
        self.out.extend(std::iter::repeat_n(' ', self.indent));
    }
}

/// Whether nothing but blanks is left on a line.
fn is_blank(rest: &Peekable<Chars<'_>>) -> bool {
    rest.clone().find(|c| *c != ' ').is_none_or(|c| c == '\n')
}

impl Text {
    /// Whether every line that is not empty starts with a blank.
    fn all_start_blank(&self) -> bool {
        let mut fresh = true;
        for piece in &self.0 {
            let Piece::Literal(literal) = piece else {
                if fresh {
                    return false;
                }
                continue;
            };
            for line in literal.split_inclusive('\n') {
                if fresh && !line.starts_with([' ', '\n']) {
                    return false;
                }
                fresh = line.ends_with('\n');
            }
        }
        true
    }
}

/// Whether text is written on lines of its own.
fn has_lines(text: &Text) -> bool {
    text.0.iter().any(|piece| matches!(piece, Piece::Literal(text) if text.contains('\n')))
}

fn attribute_path(path: &[String]) -> String {
    path.iter().map(|name| nix_attribute(name)).collect::<Vec<_>>().join(".")
}

fn selection(path: &[String]) -> String {
    format!(".{}", attribute_path(path))
}

/// Writes an expression on one line; none if it does not fit into `room` or has lines of its own.
fn flatten(expression: &Expr, out: &mut String, room: usize) -> Option<()> {
    let limit = out.len().saturating_add(room);
    match expression {
        Expr::Null => out.push_str("null"),
        Expr::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Expr::Integer(number) => out.push_str(&number.to_string()),
        Expr::Path(path) => out.push_str(&nix_path(path)),
        Expr::Name(name) => out.push_str(name),
        Expr::Text(text) if has_lines(text) && room != usize::MAX => return None,
        Expr::Text(text) => flat_text(text, out, room)?,
        Expr::List(items) if items.is_empty() => out.push_str("[ ]"),
        Expr::List(items) => {
            out.push_str("[ ");
            for item in items {
                flat_held(item, Hold::Tight, out, limit)?;
                out.push(' ');
            }
            out.push(']');
        }
        Expr::Set(bindings) if bindings.is_empty() => out.push_str("{ }"),
        Expr::Set(bindings) => {
            if bindings.len() > 3 && room != usize::MAX {
                return None;
            }
            out.push_str("{ ");
            for binding in bindings {
                let Binding::Is(path, value) = binding else { return None };
                out.push_str(&attribute_path(path));
                out.push_str(" = ");
                flat_held(value, Hold::Loose, out, limit)?;
                out.push_str("; ");
            }
            out.push('}');
        }
        Expr::Select(of, path) => {
            flat_held(of, Hold::Tight, out, limit)?;
            out.push_str(&selection(path));
        }
        Expr::Call(function, arguments) => {
            flat_held(function, Hold::Call, out, limit)?;
            for argument in arguments {
                out.push(' ');
                flat_held(argument, Hold::Tight, out, limit)?;
            }
        }
        Expr::Function(Parameter::Name(name), body) => {
            out.push_str(name);
            out.push_str(": ");
            flat_held(body, Hold::Loose, out, limit)?;
        }
        Expr::If(parts) => {
            for (word, part) in ["if ", " then ", " else "].into_iter().zip(&**parts) {
                out.push_str(word);
                flat_held(part, Hold::Loose, out, limit)?;
            }
        }
        Expr::Join(parts) => flat_joined(parts, " + ", Hold::Call, out, limit)?,
        Expr::Update(parts) => flat_joined(&parts[..], " // ", Hold::Join, out, limit)?,
        Expr::Or(parts) => flat_joined(&parts[..], " or ", Hold::Tight, out, limit)?,
        Expr::Function(Parameter::Set(_), _) | Expr::Let(..) => return None,
    }
    (out.len() <= limit).then_some(())
}

fn flat_joined(
    parts: &[Expr],
    operator: &str,
    least: Hold,
    out: &mut String,
    limit: usize,
) -> Option<()> {
    if parts.is_empty() {
        out.push_str("\"\"");
    }
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            out.push_str(operator);
        }
        flat_held(part, least, out, limit)?;
    }
    Some(())
}

fn flat_held(expression: &Expr, least: Hold, out: &mut String, limit: usize) -> Option<()> {
    let bracket = hold(expression) < least;
    if bracket {
        out.push('(');
    }
    let room = if limit == usize::MAX { limit } else { limit.checked_sub(out.len())? };
    flatten(expression, out, room)?;
    if bracket {
        out.push(')');
    }
    Some(())
}

/// Text between double quotes.
fn flat_text(text: &Text, out: &mut String, room: usize) -> Option<()> {
    let limit = out.len().saturating_add(room);
    out.push('"');
    for (at, piece) in text.0.iter().enumerate() {
        match piece {
            Piece::Literal(literal) => push_literal(literal, at + 1 < text.0.len(), out),
            Piece::Value(value) => {
                out.push_str("${");
                flat_held(value, Hold::Loose, out, limit)?;
                out.push('}');
            }
        }
    }
    out.push('"');
    (out.len() <= limit).then_some(())
}

/// Literal text inside of double quotes, perhaps before a value.
fn push_literal(literal: &str, before_value: bool, out: &mut String) {
    let quoted = nix_string(literal);
    let inside = &quoted[1..quoted.len() - 1];
    match inside.strip_suffix('$').filter(|_| before_value) {
        // It would hide the value.
        Some(start) => {
            out.push_str(start);
            out.push_str("\\$");
        }
        None => out.push_str(inside),
    }
}
