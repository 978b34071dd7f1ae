//! From values of the grammar to what fields mean: one function for each kind of field.
//!
//! A list may be left out where it has one part, to the depth that the field has: `build: "make"`
//! is `build: [["make"]]`. [`Nested`] is a value with the number of lists that were left out.
//!
//! Reference: module `V` of `src/format/opamFormat.ml`.

use crate::filter::{
    Argument, Command, Condition, Filter, FilterIdent, FilteredAtom, FilteredFormula, Value as Var,
    Word, expand_string,
};
use crate::formula::Formula;
use crate::package::checksum::Checksum;
use crate::package::name::{InvalidName, check_name, check_version};
use crate::syntax::{Error, ErrorKind, LogOp, PrefixOp, RelOp, Value, ValueKind};

pub(super) type Result<T> = std::result::Result<T, Error>;

pub(super) fn error(value: &Value<'_>, message: impl Into<Box<str>>) -> Error {
    Error::new(ErrorKind::Field, value.position, message)
}

pub(super) fn expected(value: &Value<'_>, what: &'static str) -> Error {
    Error::expected(ErrorKind::Field, value.position, what, value.kind.describe())
}

fn invalid(value: &Value<'_>, reason: &InvalidName) -> Error {
    error(value, reason.to_string())
}

/// A value and how many lists around it were left out (`list_depth`).
#[derive(Clone, Copy)]
pub(super) struct Nested<'v, 'a> {
    pub(super) value: &'v Value<'a>,
    missing: usize,
}

impl<'v, 'a> Nested<'v, 'a> {
    /// A value where lists should nest this deep.
    pub(super) fn new(value: &'v Value<'a>, depth: usize) -> Self {
        Self { value, missing: depth.saturating_sub(list_depth(value)) }
    }

    /// The parts of the list that this is, or that was left out.
    pub(super) fn parts(self) -> Result<impl Iterator<Item = Self>> {
        let (parts, missing) = match (&self.value.kind, self.missing) {
            (_, 1..) => (std::slice::from_ref(self.value), self.missing - 1),
            (ValueKind::List(parts), _) => (parts.as_slice(), 0),
            _ => return Err(expected(self.value, "a list")),
        };
        Ok(parts.iter().map(move |value| Self { value, missing }))
    }

    /// Each part of the list, read.
    pub(super) fn list<T>(self, part: impl Fn(Self) -> Result<T>) -> Result<Vec<T>> {
        self.parts()?.map(part).collect()
    }

    /// The value and its options, which a list that was left out does not have (`option`).
    pub(super) fn options(self) -> (Self, &'v [Value<'a>]) {
        match &self.value.kind {
            ValueKind::Option(value, options) if self.missing == 0 => {
                (Self { value, missing: 0 }, options)
            }
            _ => (self, &[]),
        }
    }

    /// Two parts (`map_pair`).
    pub(super) fn pair(self) -> Result<(Self, Self)> {
        let mut parts = self.parts()?;
        match (parts.next(), parts.next(), parts.next()) {
            (Some(first), Some(second), None) => Ok((first, second)),
            _ => Err(expected(self.value, "a list of two values")),
        }
    }
}

/// How deep lists nest, going by the first parts.
fn list_depth(value: &Value<'_>) -> usize {
    match &value.kind {
        ValueKind::List(parts) => 1 + parts.first().map_or(0, list_depth),
        ValueKind::Option(value, _) => list_depth(value),
        _ => 0,
    }
}

pub(super) fn string<'v>(value: &'v Value<'_>) -> Result<&'v str> {
    match &value.kind {
        ValueKind::String(text) => Ok(text),
        _ => Err(expected(value, "a string")),
    }
}

/// A string without the blanks around it (`string_tr`).
pub(super) fn trimmed<'v>(value: &'v Value<'_>) -> Result<&'v str> {
    string(value).map(|text| text.trim_matches([' ', '\t', '\n', '\r', '\x0c']))
}

pub(super) fn ident<'a>(value: &Value<'a>) -> Result<&'a str> {
    match value.kind {
        ValueKind::Ident(name) => Ok(name),
        _ => Err(expected(value, "an identifier")),
    }
}

pub(super) fn strings(value: &Value<'_>) -> Result<Vec<Box<str>>> {
    Nested::new(value, 1).list(|part| string(part.value).map(Into::into))
}

pub(super) fn package_name(value: &Value<'_>) -> Result<Box<str>> {
    let name = string(value)?;
    check_name(name).map_err(|reason| invalid(value, &reason))?;
    Ok(name.into())
}

pub(super) fn package_version(value: &Value<'_>) -> Result<Box<str>> {
    let version = trimmed(value)?;
    check_version(version).map_err(|reason| invalid(value, &reason))?;
    Ok(version.into())
}

pub(super) fn checksum(value: &Value<'_>) -> Result<Checksum> {
    Checksum::parse(string(value)?).ok_or_else(|| error(value, "this is not a checksum"))
}

fn filter_ident(value: &Value<'_>, name: &str, interpolation: bool) -> Result<FilterIdent> {
    FilterIdent::parse(name, interpolation).map_err(|reason| invalid(value, &reason))
}

/// One filter, as it stands in braces; nothing is true (`filter`).
pub(super) fn filter(values: &[Value<'_>]) -> Result<Filter> {
    match values {
        [] => Ok(Filter::Bool(true)),
        [group @ Value { kind: ValueKind::Group(inner), .. }] => match inner.as_slice() {
            [value] => filter_value(value),
            _ => Err(expected(group, "one filter")),
        },
        [value] => filter_value(value),
        [_, second, ..] => Err(error(second, "expected one filter, found more")),
    }
}

/// The filter in the options of a value, if there are any (`opt filter`).
pub(super) fn optional_filter(options: &[Value<'_>]) -> Result<Option<Filter>> {
    if options.is_empty() { Ok(None) } else { filter(options).map(Some) }
}

fn filter_value(value: &Value<'_>) -> Result<Filter> {
    let parts = |values: &[Value<'_>]| values.iter().map(filter_value).collect::<Result<_>>();
    Ok(match &value.kind {
        ValueKind::Bool(value) => Filter::Bool(*value),
        ValueKind::String(text) => Filter::String(text.as_ref().into()),
        ValueKind::Int(number) => Filter::String(number.to_string().into()),
        ValueKind::Ident(name) => Filter::Ident(filter_ident(value, name, false)?),
        ValueKind::Group(values) => filter(values)?,
        ValueKind::Relop(op, operands) => {
            let operands = (filter_value(&operands.0)?, filter_value(&operands.1)?);
            Filter::Op(*op, Box::new(operands))
        }
        ValueKind::Logop(LogOp::And, values) => Filter::And(parts(values)?),
        ValueKind::Logop(LogOp::Or, values) => Filter::Or(parts(values)?),
        ValueKind::Prefix(PrefixOp::Not, inner) => Filter::Not(Box::new(filter_value(inner)?)),
        ValueKind::Prefix(PrefixOp::Defined, inner) => {
            Filter::Defined(Box::new(filter_value(inner)?))
        }
        _ => return Err(expected(value, "a filter")),
    })
}

/// `available`, a filter that a list may surround.
pub(super) fn listed_filter(value: &Value<'_>) -> Result<Filter> {
    match &value.kind {
        ValueKind::List(values) => filter(values),
        _ => filter(std::slice::from_ref(value)),
    }
}

/// Packages and their conditions (`package_formula`).
pub(super) fn package_formula(value: &Value<'_>, kind: LogOp) -> Result<FilteredFormula> {
    match &value.kind {
        ValueKind::List(values) => package_formula_items(values, kind),
        _ => package_formula_items(std::slice::from_ref(value), kind),
    }
}

/// Parts of a formula that stand side by side, joined by this operator.
pub(super) fn package_formula_items(values: &[Value<'_>], kind: LogOp) -> Result<FilteredFormula> {
    join(kind, values, &|value| package_formula_value(value, kind))
}

fn package_formula_value(value: &Value<'_>, kind: LogOp) -> Result<FilteredFormula> {
    let (name, condition) = match &value.kind {
        ValueKind::String(_) => (value, Formula::Empty),
        ValueKind::Option(name, condition) => (&**name, conditions(condition)?),
        ValueKind::Group(values) => return package_formula_items(values, kind).map(Formula::group),
        ValueKind::Logop(operator, values) => {
            return join(*operator, values, &|value| package_formula_value(value, kind));
        }
        _ => return Err(expected(value, "a package")),
    };
    let name = package_name(name)?;
    Ok(Formula::Atom(FilteredAtom { name, condition, position: value.position }))
}

fn join<A>(
    kind: LogOp,
    values: &[Value<'_>],
    part: &dyn Fn(&Value<'_>) -> Result<Formula<A>>,
) -> Result<Formula<A>> {
    let parts = values.iter().map(part).collect::<Result<Vec<_>>>()?;
    Ok(match kind {
        LogOp::And => Formula::all(parts),
        LogOp::Or => Formula::any(parts),
    })
}

/// The condition of a dependency (`filtered_constraints ext_version`).
fn conditions(values: &[Value<'_>]) -> Result<Formula<Condition>> {
    join(LogOp::And, values, &condition)
}

fn condition(value: &Value<'_>) -> Result<Formula<Condition>> {
    match &value.kind {
        ValueKind::PrefixRelop(op, bound) => {
            Ok(Formula::Atom(Condition::Constraint(*op, version_bound(bound)?)))
        }
        ValueKind::Logop(operator, values) => join(*operator, values, &condition),
        ValueKind::Group(values) => conditions(values).map(Formula::group),
        ValueKind::Prefix(PrefixOp::Not, inner) => Ok(condition(inner)?.neg(&|atom| match atom {
            Condition::Constraint(op, bound) => Condition::Constraint(op.negated(), bound),
            Condition::Filter(filter) => Condition::Filter(Filter::Not(Box::new(filter))),
        })),
        _ => filter(std::slice::from_ref(value)).map(|it| Formula::Atom(Condition::Filter(it))),
    }
}

/// A version that may have variables in it, or a variable (`ext_version`).
fn version_bound(value: &Value<'_>) -> Result<Filter> {
    match &value.kind {
        ValueKind::String(text) => {
            expand_string(text, &|_| Some(Var::String("-".to_owned())))
                .and_then(|version| check_version(&version))
                .map_err(|reason| invalid(value, &reason))?;
            Ok(Filter::String(text.as_ref().into()))
        }
        ValueKind::Ident(name) => Ok(Filter::Ident(filter_ident(value, name, false)?)),
        _ => Err(expected(value, "a version")),
    }
}

/// Commands, each a list of words.
pub(super) fn commands(value: &Value<'_>) -> Result<Vec<Command>> {
    Nested::new(value, 2).list(|command| {
        let (words, options) = command.options();
        let arguments = words.list(argument)?;
        let position = command.value.position;
        Ok(Command { arguments, filter: optional_filter(options)?, position })
    })
}

fn argument(argument: Nested<'_, '_>) -> Result<Argument> {
    let (word, options) = argument.options();
    let word = match &word.value.kind {
        ValueKind::String(text) => Word::String(text.as_ref().into()),
        ValueKind::Ident(name) => Word::Ident(filter_ident(word.value, name, true)?),
        _ => return Err(expected(word.value, "a string or an identifier")),
    };
    Ok(Argument { word, filter: optional_filter(options)? })
}

/// The deprecated field `ocaml-version`, as the filter that it stands for.
pub(super) fn ocaml_version(value: &Value<'_>) -> Result<Filter> {
    fn read(value: &Value<'_>) -> Result<Formula<(RelOp, Box<str>)>> {
        match &value.kind {
            ValueKind::PrefixRelop(op, bound) => match &bound.kind {
                ValueKind::Ident(name @ "system") => Ok(Formula::Atom((*op, (*name).into()))),
                _ => Ok(Formula::Atom((*op, string(bound)?.into()))),
            },
            ValueKind::Logop(operator, values) => join(*operator, values, &read),
            ValueKind::Prefix(PrefixOp::Not, inner) => {
                Ok(read(inner)?.neg(&|(op, version)| (op.negated(), version)))
            }
            ValueKind::Group(values) => join(LogOp::And, values, &read),
            _ => Err(expected(value, "a version constraint")),
        }
    }
    let formula = match &value.kind {
        ValueKind::List(values) => join(LogOp::And, values, &read)?,
        _ => read(value)?,
    };
    Ok(comparisons(&formula, "ocaml-version"))
}

/// The deprecated field `os`, as the filter that it stands for.
pub(super) fn os(value: &Value<'_>) -> Result<Filter> {
    fn read(value: &Value<'_>) -> Result<Formula<(RelOp, Box<str>)>> {
        match &value.kind {
            ValueKind::String(name) => Ok(Formula::Atom((RelOp::Eq, name.as_ref().into()))),
            ValueKind::Logop(operator, values) => join(*operator, values, &read),
            ValueKind::Prefix(PrefixOp::Not, inner) => {
                Ok(read(inner)?.neg(&|(op, name)| (op.negated(), name)))
            }
            ValueKind::Group(values) => join(LogOp::Or, values, &read),
            _ => Err(expected(value, "the name of an operating system")),
        }
    }
    let formula = match &value.kind {
        ValueKind::List(values) => join(LogOp::Or, values, &read)?,
        _ => read(value)?,
    };
    Ok(comparisons(&formula, "os"))
}

/// A formula of comparisons with a variable as a filter (`OpamFilter.of_formula`).
fn comparisons(formula: &Formula<(RelOp, Box<str>)>, variable: &str) -> Filter {
    let parts = |parts: &[Formula<_>]| parts.iter().map(|it| comparisons(it, variable)).collect();
    match formula {
        Formula::Empty => Filter::Bool(true),
        Formula::Atom((op, text)) => {
            let ident =
                FilterIdent { packages: Vec::new(), variable: variable.into(), converter: None };
            Filter::Op(*op, Box::new((Filter::Ident(ident), Filter::String(text.clone()))))
        }
        Formula::And(all) => Filter::And(parts(all)),
        Formula::Or(any) => Filter::Or(parts(any)),
    }
}
