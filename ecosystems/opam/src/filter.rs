//! Filters: expressions over variables, and what they make of dependencies and commands.
//!
//! A filter is evaluated in three values: true (or another value), false, and *undefined*, which is
//! `None` here. A comparison with an undefined operand is undefined, and so is the negation of
//! something undefined, but `undefined | true` is true and `undefined & false` is false. Only in
//! the end does undefined become something else: false, for dependencies and availability, and the
//! empty string in a command.
//!
//! A dependency carries a formula of two kinds of atoms, filters and version constraints
//! ([`Condition`]). A filter that is false is neutral, as [`Verdict`] has it: `{with-test | = "1"}`
//! is `{= "1"}` without tests; and a dependency all of whose condition is false vanishes from the
//! formula that it stands in.
//!
//! Reference: `src/format/opamFilter.ml`, and `filter_ident_of_string` of `opamTypesBase.ml`.

mod interpolation;

pub use interpolation::{Piece, expand_string, pieces};

use std::cell::Cell;
use std::fmt;

use crate::formula::{Formula, Verdict};
use crate::package::name::{InvalidName, check_name, check_version};
use crate::syntax::{Position, RelOp};
use crate::version;

/// What a variable contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A boolean.
    Bool(bool),
    /// A string.
    String(String),
    /// A list of strings.
    List(Vec<String>),
}

impl Value {
    /// The value as text; a list is joined by spaces.
    pub fn into_text(self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::String(text) => text,
            Self::List(texts) => texts.join(" "),
        }
    }

    /// The boolean that the value is or spells.
    pub fn as_bool(&self) -> Option<bool> {
        let text = match self {
            Self::Bool(value) => return Some(*value),
            Self::String(text) => text,
            Self::List(texts) => match texts.as_slice() {
                [text] => text,
                _ => return None,
            },
        };
        text.parse().ok()
    }
}

/// Whose variable it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope<'a> {
    /// Nobody's: `os`
    Global,
    /// The package's own: `_:name`
    Own,
    /// Another package's: `ocaml:version`
    Package(&'a str),
}

/// A variable that an environment is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Variable<'a> {
    /// Whose it is.
    pub scope: Scope<'a>,
    /// What it is called.
    pub name: &'a str,
}

/// An environment: what it does not know is undefined.
pub type Env<'e> = dyn Fn(&Variable<'_>) -> Option<Value> + 'e;

/// A reference to a variable, perhaps of several packages at once, perhaps with a converter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterIdent {
    /// The packages before the colon; `None` is `_`, the package itself.
    pub packages: Vec<Option<Box<str>>>,
    /// The variable.
    pub variable: Box<str>,
    /// What stands for true and what for anything else, in `variable?true:false`.
    pub converter: Option<(Box<str>, Box<str>)>,
}

impl FilterIdent {
    /// Reads an identifier as it stands in a filter, or (with `interpolation`) between `%{` and
    /// `}%`, where `?package:variable:` lets the name of the package have a `+`
    /// (`filter_ident_of_string` and `filter_ident_of_string_interp`).
    pub fn parse(text: &str, interpolation: bool) -> Result<Self, InvalidName> {
        let plain = |variable: &str| Self {
            packages: Vec::new(),
            variable: variable.into(),
            converter: None,
        };
        let Some((before, last)) = text.rsplit_once(':') else {
            return Ok(plain(text));
        };
        match before.rsplit_once('?') {
            None => Ok(Self { packages: packages(before)?, ..plain(last) }),
            Some(("", qualified)) if interpolation => match qualified.rsplit_once(':') {
                None => Ok(plain(last)),
                Some((package, variable)) => {
                    check_name(package)?;
                    Ok(Self { packages: vec![Some(package.into())], ..plain(variable) })
                }
            },
            Some((qualified, if_true)) => {
                let (packages, variable) = match qualified.rsplit_once(':') {
                    None => (Vec::new(), qualified),
                    Some((names, variable)) => (packages(names)?, variable),
                };
                let converter = Some((if_true.into(), last.into()));
                Ok(Self { packages, variable: variable.into(), converter })
            }
        }
    }

    /// What the identifier stands for (`resolve_ident_raw`).
    pub fn resolve(&self, env: &Env<'_>) -> Option<Value> {
        // `pkg:enable` is how `pkg:installed?enable:disable` is abbreviated.
        let enable =
            !self.packages.is_empty() && self.converter.is_none() && &*self.variable == "enable";
        let (name, converter) = if enable {
            ("installed", Some(("enable", "disable")))
        } else {
            (&*self.variable, self.converter.as_ref().map(|(yes, no)| (&**yes, &**no)))
        };
        let ask = |package: &Option<Box<str>>| {
            let scope = package.as_deref().map_or(Scope::Own, Scope::Package);
            env(&Variable { scope, name })
        };
        let value = match self.packages.as_slice() {
            [] => env(&Variable { scope: Scope::Global, name }),
            [package] => ask(package),
            packages => all_of(packages.iter().map(ask)).map(Value::Bool),
        };
        match converter {
            None => value,
            Some((if_true, if_false)) => {
                let holds = value.and_then(|value| value.as_bool()) == Some(true);
                Some(Value::String(if holds { if_true } else { if_false }.to_owned()))
            }
        }
    }
}

/// Whether a variable holds for several packages: the first false settles it, and what is no
/// boolean is undefined unless a later one is known.
fn all_of(values: impl Iterator<Item = Option<Value>>) -> Option<bool> {
    let mut all = Some(true);
    for value in values {
        match value {
            Some(Value::Bool(true)) => {}
            value => all = value.and_then(|value| value.as_bool()),
        }
        if all == Some(false) {
            break;
        }
    }
    all
}

fn packages(names: &str) -> Result<Vec<Option<Box<str>>>, InvalidName> {
    let names = names.split('+').filter(|name| !name.is_empty());
    names
        .map(|name| match name {
            "_" => Ok(None),
            name => check_name(name).map(|()| Some(name.into())),
        })
        .collect()
}

impl fmt::Display for FilterIdent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, package) in self.packages.iter().enumerate() {
            let separator = if index > 0 { "+" } else { "" };
            write!(f, "{separator}{}", package.as_deref().unwrap_or("_"))?;
        }
        let colon = if self.packages.is_empty() { "" } else { ":" };
        write!(f, "{colon}{}", self.variable)?;
        match &self.converter {
            None => Ok(()),
            Some((if_true, if_false)) => write!(f, "?{if_true}:{if_false}"),
        }
    }
}

/// A filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// `true`
    Bool(bool),
    /// `"text"`, in which `%{variable}%` is expanded.
    String(Box<str>),
    /// `variable`
    Ident(FilterIdent),
    /// `left op right`, which compares as versions.
    Op(RelOp, Box<(Filter, Filter)>),
    /// `part & part & …`
    And(Vec<Filter>),
    /// `part | part | …`
    Or(Vec<Filter>),
    /// `!filter`
    Not(Box<Filter>),
    /// `?filter`: whether it is defined.
    Defined(Box<Filter>),
}

impl Filter {
    /// The value of the filter, or `None` if it is undefined; never a list (`OpamFilter.reduce`).
    pub fn reduce(&self, env: &Env<'_>) -> Option<Value> {
        match self {
            Self::Bool(value) => Some(Value::Bool(*value)),
            Self::String(text) => expanded(text, env),
            Self::Ident(ident) => match ident.resolve(env)? {
                Value::Bool(value) => Some(Value::Bool(value)),
                // What a variable contains may have variables in it.
                other => expanded(&other.into_text(), env),
            },
            Self::Op(op, operands) => {
                let left = operands.0.reduce(env);
                let right = operands.1.reduce(env);
                let order = version::compare(&left?.into_text(), &right?.into_text());
                Some(Value::Bool(op.holds(order)))
            }
            Self::And(parts) => fold(parts, env, false),
            Self::Or(parts) => fold(parts, env, true),
            Self::Not(inner) => Some(Value::Bool(!inner.reduce(env)?.as_bool()?)),
            Self::Defined(inner) => Some(Value::Bool(inner.reduce(env).is_some())),
        }
    }

    /// The filter as a boolean; `default` if it is undefined or anything else
    /// (`OpamFilter.eval_to_bool`).
    pub fn eval(&self, env: &Env<'_>, default: bool) -> bool {
        self.reduce(env).and_then(|value| value.as_bool()).unwrap_or(default)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, context: Context) -> fmt::Result {
        let (word, parts, inner, parentheses) = match self {
            Self::Bool(value) => return write!(f, "{value}"),
            Self::String(text) => return write_string(f, text),
            Self::Ident(ident) => return write!(f, "{ident}"),
            Self::Not(inner) | Self::Defined(inner) => {
                let sign = if matches!(self, Self::Not(_)) { '!' } else { '?' };
                let parentheses = context == Context::Operand;
                let (open, close) = if parentheses { ("(", ")") } else { ("", "") };
                write!(f, "{open}{sign}")?;
                inner.write(f, Context::Prefix)?;
                return f.write_str(close);
            }
            Self::Op(op, operands) => {
                let parentheses = matches!(context, Context::Operand | Context::Prefix);
                let (open, close) = if parentheses { ("(", ")") } else { ("", "") };
                f.write_str(open)?;
                operands.0.write(f, Context::Operand)?;
                write!(f, " {op} ")?;
                operands.1.write(f, Context::Operand)?;
                return f.write_str(close);
            }
            Self::And(parts) => {
                let parentheses = matches!(context, Context::Operand | Context::Prefix);
                (" & ", parts, Context::And, parentheses)
            }
            Self::Or(parts) => (" | ", parts, Context::Or, context != Context::Or),
        };
        let (open, close) = if parentheses { ("(", ")") } else { ("", "") };
        f.write_str(open)?;
        for (index, part) in parts.iter().enumerate() {
            f.write_str(if index > 0 { word } else { "" })?;
            part.write(f, inner)?;
        }
        f.write_str(close)
    }
}

/// What a filter is printed in, for the parentheses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    Or,
    And,
    Prefix,
    Operand,
}

fn write_string(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    // A carriage return as it stands would be read as part of the line end after it.
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\r', "\\r");
    write!(f, "\"{text}\"")
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, Context::Or)
    }
}

/// "And" or "or" from left to right: the absorbing boolean wins over undefined, which wins over
/// the rest; what is no boolean is undefined (`logop2`).
fn fold(parts: &[Filter], env: &Env<'_>, absorbing: bool) -> Option<Value> {
    let absorbs = |value: &Option<Value>| *value == Some(Value::Bool(absorbing));
    let mut parts = parts.iter().map(|part| part.reduce(env));
    let first = parts.next()?;
    parts.fold(first, |left, right| {
        if absorbs(&left) || absorbs(&right) {
            return Some(Value::Bool(absorbing));
        }
        let (left, right) = (left?.as_bool()?, right?.as_bool()?);
        Some(Value::Bool(if absorbing { left || right } else { left && right }))
    })
}

fn expanded(text: &str, env: &Env<'_>) -> Option<Value> {
    let text = expand_string(text, env).ok()?;
    Some(Value::String(text.into_owned()))
}

/// An atom of the condition of a dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Whether the dependency counts.
    Filter(Filter),
    /// Which versions will do; the bound is a string or an identifier.
    Constraint(RelOp, Filter),
}

/// A dependency as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilteredAtom {
    /// The package.
    pub name: Box<str>,
    /// What stands in braces after it.
    pub condition: Formula<Condition>,
    /// Where it stands.
    pub position: Position,
}

/// Dependencies as they are written.
pub type FilteredFormula = Formula<FilteredAtom>;

/// A bound on versions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Bound {
    /// The operator.
    pub op: RelOp,
    /// The version to the right of it.
    pub version: Box<str>,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.op, self.version)
    }
}

/// A dependency (or a conflict) that counts in some environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageAtom {
    /// The package.
    pub name: Box<str>,
    /// The versions of it.
    pub constraint: Formula<Bound>,
    /// Where it stands in the file.
    pub position: Position,
    /// Whether it counts only because `build` is true.
    pub build: bool,
    /// Whether it counts only because `post` is true.
    pub post: bool,
}

/// As `OpamFormula.to_string` prints an atom.
impl fmt::Display for PackageAtom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.constraint {
            Formula::Empty => f.write_str(&self.name),
            bound @ Formula::Atom(_) => write!(f, "{} {bound}", self.name),
            bounds => write!(f, "{} ({bounds})", self.name),
        }
    }
}

/// Whether a version meets a constraint (`OpamFormula.check_version_formula`).
pub fn check(constraint: &Formula<Bound>, version: &str) -> bool {
    constraint.holds(&mut |bound| bound.op.holds(version::compare(version, &bound.version)))
}

/// The dependencies that count in an environment.
///
/// This is `OpamFilter.filter_formula ~default:false` after what `get_dependencies_t` of
/// `opamSwitchState.ml` does first: a constraint whose bound is an undefined variable counts as a
/// filter that is false.
pub fn filter_depends(formula: &FilteredFormula, env: &Env<'_>) -> Formula<PackageAtom> {
    filter_formula(formula, env, &|| Verdict::False)
}

/// The conflicts that count in an environment (`get_conflicts_t` of `opamSwitchState.ml`): as
/// [`filter_depends`], but a bound that is an undefined variable bounds nothing.
pub fn filter_conflicts(formula: &FilteredFormula, env: &Env<'_>) -> Formula<PackageAtom> {
    filter_formula(formula, env, &|| Verdict::Formula(Formula::Empty))
}

fn filter_formula(
    formula: &FilteredFormula,
    env: &Env<'_>,
    undefined: &dyn Fn() -> Verdict<Bound>,
) -> Formula<PackageAtom> {
    formula.map(&mut |atom| {
        let (asked_build, asked_post) = (Cell::new(false), Cell::new(false));
        let verdict = filter_condition(&atom.condition, undefined, &|variable| {
            if variable.scope == Scope::Global {
                match variable.name {
                    "build" => asked_build.set(true),
                    "post" => asked_post.set(true),
                    _ => {}
                }
            }
            env(variable)
        });
        let constraint = match verdict {
            Verdict::False => return Formula::Empty,
            Verdict::True => Formula::Empty,
            Verdict::Formula(constraint) => constraint,
        };
        // A variable that was not asked for cannot matter.
        let only_with = |asked: &Cell<bool>, name: &str| {
            asked.get()
                && filter_condition(&atom.condition, undefined, &|variable| {
                    if variable.scope == Scope::Global && variable.name == name {
                        Some(Value::Bool(false))
                    } else {
                        env(variable)
                    }
                }) == Verdict::False
        };
        Formula::Atom(PackageAtom {
            build: only_with(&asked_build, "build"),
            post: only_with(&asked_post, "post"),
            name: atom.name.clone(),
            constraint,
            position: atom.position,
        })
    })
}

/// `OpamFilter.filter_constraints`.
fn filter_condition(
    condition: &Formula<Condition>,
    undefined: &dyn Fn() -> Verdict<Bound>,
    env: &Env<'_>,
) -> Verdict<Bound> {
    condition.partial_eval(&mut |atom| match atom {
        Condition::Filter(filter) if filter.eval(env, false) => Verdict::True,
        Condition::Filter(_) => Verdict::False,
        Condition::Constraint(op, bound) => match bound.reduce(env).map(Value::into_text) {
            None => undefined(),
            Some(version) if check_version(&version).is_ok() => {
                Verdict::Formula(Formula::Atom(Bound { op: *op, version: version.into() }))
            }
            Some(_) => Verdict::Formula(Formula::Empty),
        },
    })
}

/// A word of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// A string to expand.
    String(Box<str>),
    /// A variable to put in; a list gives as many arguments as it has.
    Ident(FilterIdent),
}

/// A word of a command and when it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// The word.
    pub word: Word,
    /// When it counts, if not always.
    pub filter: Option<Filter>,
}

/// A command and when it is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Its words.
    pub arguments: Vec<Argument>,
    /// When it is run, if not always.
    pub filter: Option<Filter>,
    /// Where it stands.
    pub position: Position,
}

impl Command {
    /// The words of the command in an environment, or nothing if it is not run or has no words
    /// (`OpamFilter.command`).
    pub fn eval(&self, env: &Env<'_>) -> Result<Option<Vec<String>>, InvalidName> {
        if !counts(self.filter.as_ref(), env) {
            return Ok(None);
        }
        let mut words = Vec::new();
        for argument in &self.arguments {
            if !counts(argument.filter.as_ref(), env) {
                continue;
            }
            match &argument.word {
                Word::String(text) => words.push(expand_string(text, env)?.into_owned()),
                Word::Ident(ident) => match ident.resolve(env) {
                    Some(Value::List(texts)) => words.extend(texts),
                    value => words.push(value.map(Value::into_text).unwrap_or_default()),
                },
            }
        }
        Ok(Some(words).filter(|words| !words.is_empty()))
    }
}

/// Whether an optional filter lets something through (`opt_eval_to_bool`).
pub fn counts(filter: Option<&Filter>, env: &Env<'_>) -> bool {
    filter.is_none_or(|filter| filter.eval(env, false))
}

/// The commands that are run in an environment (`OpamFilter.commands`).
pub fn commands(commands: &[Command], env: &Env<'_>) -> Result<Vec<Vec<String>>, InvalidName> {
    commands.iter().filter_map(|command| command.eval(env).transpose()).collect()
}
