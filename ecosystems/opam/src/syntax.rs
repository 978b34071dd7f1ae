//! The grammar of opam files: bytes to a tree of values with their positions.
//!
//! The tree borrows from the bytes: a string is copied only if it has an escape in it. A chain of
//! `&` or `|` is one node with many parts, and nothing may nest deeper than [`MAX_DEPTH`], so
//! whoever walks the tree (or drops it) may recurse.
//!
//! Reference: `src/opamLexer.mll` and `src/opamBaseParser.mly` of opam-file-format.

mod lexer;
mod parser;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

/// How deep lists, groups, options, sections and prefix operators may nest.
pub const MAX_DEPTH: u32 = 200;

/// The newest grammar that this module knows; a newer file that does not parse is reported as too
/// new rather than as malformed.
const GRAMMAR: (u32, u32) = (2, 2);

/// A place in a file. Lines and columns count from 1, columns in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// What kind of mistake an [`Error`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The bytes are not UTF-8.
    Encoding,
    /// The text is not in the grammar.
    Syntax,
    /// The `opam-version` is missing, misplaced or too new.
    FormatVersion,
    /// A field or section has a value that it cannot have.
    Field,
}

/// Why a file, or a field of it, could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{position}: {message}")]
pub struct Error {
    /// What kind of mistake this is.
    pub kind: ErrorKind,
    /// Where it is.
    pub position: Position,
    /// What is wrong, for people.
    pub message: Box<str>,
    /// What should have been there, if that can be said.
    pub expected: Option<&'static str>,
}

impl Error {
    /// A name of the kind of mistake that never changes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind {
            ErrorKind::Encoding => "opam::encoding",
            ErrorKind::Syntax => "opam::syntax",
            ErrorKind::FormatVersion => "opam::format-version",
            ErrorKind::Field => "opam::field",
        }
    }

    pub(crate) fn new(kind: ErrorKind, position: Position, message: impl Into<Box<str>>) -> Self {
        Self { kind, position, message: message.into(), expected: None }
    }

    pub(crate) fn expected(
        kind: ErrorKind,
        position: Position,
        expected: &'static str,
        found: &str,
    ) -> Self {
        let message = format!("expected {expected}, found {found}").into();
        Self { kind, position, message, expected: Some(expected) }
    }
}

/// A relational operator. `~` is read as `>=`, as the reference does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the operators'")]
pub enum RelOp {
    Eq,
    Neq,
    Geq,
    Gt,
    Leq,
    Lt,
}

impl RelOp {
    /// Whether `left op right` holds, given how left compares to right (`OpamFormula.check_relop`).
    #[must_use]
    pub fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Eq => order.is_eq(),
            Self::Neq => order.is_ne(),
            Self::Geq => order.is_ge(),
            Self::Gt => order.is_gt(),
            Self::Leq => order.is_le(),
            Self::Lt => order.is_lt(),
        }
    }

    /// The operator that holds exactly where this one does not.
    #[must_use]
    pub fn negated(self) -> Self {
        match self {
            Self::Eq => Self::Neq,
            Self::Neq => Self::Eq,
            Self::Geq => Self::Lt,
            Self::Gt => Self::Leq,
            Self::Leq => Self::Gt,
            Self::Lt => Self::Geq,
        }
    }
}

impl fmt::Display for RelOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eq => "=",
            Self::Neq => "!=",
            Self::Geq => ">=",
            Self::Gt => ">",
            Self::Leq => "<=",
            Self::Lt => "<",
        })
    }
}

/// A logical operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogOp {
    /// `&`
    And,
    /// `|`
    Or,
}

/// A prefix operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PrefixOp {
    /// `!`
    Not,
    /// `?`
    Defined,
}

/// How an environment variable is updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EnvOp {
    /// `=`: set.
    Eq,
    /// `+=`: put in front.
    PlusEq,
    /// `=+`: put at the end.
    EqPlus,
    /// `=+=`: put where an earlier value of this binding was, or in front.
    EqPlusEq,
    /// `:=`: put in front, with a separator even if the variable is empty.
    ColonEq,
    /// `=:`: put at the end, with a separator even if the variable is empty.
    EqColon,
}

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value<'a> {
    /// Where it begins.
    pub position: Position,
    /// What it is.
    pub kind: ValueKind<'a>,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueKind<'a> {
    /// `true` or `false`
    Bool(bool),
    /// `42`
    Int(i64),
    /// `"string"` or `"""string"""`
    String(Cow<'a, str>),
    /// `with-test`, `_:name`, `a+b:installed`
    Ident(&'a str),
    /// `[ value … ]`
    List(Vec<Value<'a>>),
    /// `( value … )`
    Group(Vec<Value<'a>>),
    /// `value { value … }`
    Option(Box<Value<'a>>, Vec<Value<'a>>),
    /// `atom op atom`
    Relop(RelOp, Box<(Value<'a>, Value<'a>)>),
    /// `op atom`
    PrefixRelop(RelOp, Box<Value<'a>>),
    /// `value & value & …`, of two parts or more
    Logop(LogOp, Vec<Value<'a>>),
    /// `!value` or `?value`
    Prefix(PrefixOp, Box<Value<'a>>),
    /// `atom += atom`
    EnvBinding(EnvOp, Box<(Value<'a>, Value<'a>)>),
}

impl ValueKind<'_> {
    /// What such a value is called in messages.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "an integer",
            Self::String(_) => "a string",
            Self::Ident(_) => "an identifier",
            Self::List(_) => "a list",
            Self::Group(_) => "a group",
            Self::Option(..) => "a value with options",
            Self::Relop(..) => "a comparison",
            Self::PrefixRelop(..) => "a constraint",
            Self::Logop(..) => "a logical expression",
            Self::Prefix(..) => "a prefixed expression",
            Self::EnvBinding(..) => "an environment update",
        }
    }
}

/// A field or a section, and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item<'a> {
    /// Where it begins.
    pub position: Position,
    /// The name of the field, or the kind of the section.
    pub name: &'a str,
    /// What it has.
    pub body: Body<'a>,
}

/// What a field or a section has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body<'a> {
    /// `name: value`
    Field(Value<'a>),
    /// `name { item … }` or `name "title" { item … }`
    Section {
        /// The title.
        title: Option<Cow<'a, str>>,
        /// The items.
        items: Vec<Item<'a>>,
    },
}

/// Reads the items of an opam file.
///
/// As in the reference's parser, a file of format 2.1 or newer says so in its first item and
/// nowhere else; the other rules about `opam-version` are those of each kind of file.
pub fn parse(bytes: &[u8]) -> Result<Vec<Item<'_>>, Error> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let (before, _) = bytes.split_at(error.valid_up_to());
        Error::new(ErrorKind::Encoding, position_after(before), "this is not UTF-8")
    })?;
    let mut items = Vec::new();
    match parser::Parser::new(text).and_then(|mut parser| parser.items(&mut items)) {
        Ok(()) => {}
        Err(error) => {
            return Err(match items.first().and_then(opam_version) {
                Some((position, version)) if major_minor(version) > GRAMMAR => {
                    too_new(position, version)
                }
                _ => error,
            });
        }
    }
    let mut later = items.iter();
    let declared = later.next().and_then(opam_version).map(|(_, version)| major_minor(version));
    for (position, version) in later.filter_map(opam_version) {
        if declared >= Some((2, 1)) {
            let message = "`opam-version` is given twice";
            return Err(Error::new(ErrorKind::FormatVersion, position, message));
        }
        if major_minor(version) > (2, 0) {
            let message = "`opam-version` above 2.0 must be the first field of the file";
            return Err(Error::new(ErrorKind::FormatVersion, position, message));
        }
    }
    Ok(items)
}

pub(crate) fn too_new(position: Position, version: &str) -> Error {
    let message = format!("the file is of format {version}, which is newer than is supported");
    Error::new(ErrorKind::FormatVersion, position, message)
}

/// The version and its position, if the item is an `opam-version` field.
fn opam_version<'i>(item: &'i Item<'_>) -> Option<(Position, &'i str)> {
    match &item.body {
        Body::Field(Value { position, kind: ValueKind::String(version) })
            if item.name == "opam-version" =>
        {
            Some((*position, version))
        }
        _ => None,
    }
}

/// The first two numbers of a version (`nopatch` of opamBaseParser.mly); what has none is 0.0.
pub(crate) fn major_minor(version: &str) -> (u32, u32) {
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
    let mut numbers = version.get(..end).unwrap_or_default().split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor),
        (Some(Ok(major)), _) => (major, 0),
        _ => (0, 0),
    }
}

fn position_after(bytes: &[u8]) -> Position {
    let lines = bytes.split(|byte| *byte == b'\n');
    let (count, last) = lines.fold((0, 0), |(count, _), line| (count + 1, line.len()));
    Position { line: narrow(count), column: narrow(last + 1) }
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
