//! Nix as a syntax tree: what x2nix writes itself, and values from outside as the leaves.
//!
//! Only three things of a tree come from outside: literal text, names of attributes, and paths. Each has
//! a place of its own, and [`print`](Expr::print) quotes it for that place. Names of variables and
//! [`Binding::Verbatim`] are `&'static str`: they cannot come from outside.

mod print;

/// An expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A string.
    Text(Text),
    /// A path: relative to the file that holds it, or absolute.
    Path(String),
    /// A variable.
    Name(&'static str),
    /// `[ … ]`
    List(Vec<Expr>),
    /// `{ … }`
    Set(Vec<Binding>),
    /// `of.a.b`
    Select(Box<Expr>, Vec<String>),
    /// A function and its arguments.
    Call(Box<Expr>, Vec<Expr>),
    /// `parameter: body`
    Function(Parameter, Box<Expr>),
    /// `let … in body`
    Let(Vec<Binding>, Box<Expr>),
    /// `if a then b else c`
    If(Box<[Expr; 3]>),
    /// `a + b + …`
    Join(Vec<Expr>),
    /// `a // b`
    Update(Box<[Expr; 2]>),
    /// `of.a.b or other`
    Or(Box<[Expr; 2]>),
}

/// What a function takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parameter {
    /// Any value.
    Name(&'static str),
    /// A set with these attributes, perhaps with a default and words on it.
    Set(Vec<Field>),
}

/// An attribute that a function takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it is where it is not given.
    pub default: Option<Expr>,
    /// Words before it.
    pub comment: &'static str,
}

/// A line of a set or of a `let`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Binding {
    /// `a.b = value;`
    Is(Vec<String>, Expr),
    /// Words about what follows; a line each.
    Comment(&'static str),
    /// An empty line.
    Blank,
    /// Bindings that are text of this program's own, with an indentation of two.
    Verbatim(&'static str),
}

/// Text, with values in between.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text(Vec<Piece>);

/// A piece of [`Text`].
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Value(Expr),
}

impl Text {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds text as it is.
    pub fn push(&mut self, text: &str) -> &mut Self {
        if let Some(Piece::Literal(last)) = self.0.last_mut() {
            last.push_str(text);
        } else if !text.is_empty() {
            self.0.push(Piece::Literal(text.to_owned()));
        }
        self
    }

    /// Adds the value of an expression.
    pub fn push_value(&mut self, value: Expr) -> &mut Self {
        self.0.push(Piece::Value(value));
        self
    }

    /// Adds other text.
    pub fn append(&mut self, other: Self) -> &mut Self {
        for piece in other.0 {
            match piece {
                Piece::Literal(text) => self.push(&text),
                Piece::Value(value) => self.push_value(value),
            };
        }
        self
    }

    /// Whether it is the empty text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        let mut own = Self::new();
        own.push(text);
        own
    }
}

impl Expr {
    /// A string that is known now.
    pub fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// A list of strings.
    pub fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self::List(texts.into_iter().map(Self::text).collect())
    }

    /// A set of one attribute for each pair.
    pub fn set<'a>(pairs: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        Self::Set(pairs.into_iter().map(|(name, value)| Binding::new(name, value)).collect())
    }

    /// An attribute of this.
    #[must_use]
    pub fn get(self, name: &str) -> Self {
        match self {
            Self::Select(of, mut path) => {
                path.push(name.to_owned());
                Self::Select(of, path)
            }
            of => Self::Select(Box::new(of), vec![name.to_owned()]),
        }
    }

    /// This function with arguments.
    #[must_use]
    pub fn call(self, arguments: impl IntoIterator<Item = Self>) -> Self {
        Self::Call(Box::new(self), arguments.into_iter().collect())
    }

    /// A function of one argument.
    pub fn function(parameter: &'static str, body: Self) -> Self {
        Self::Function(Parameter::Name(parameter), Box::new(body))
    }
}

impl Binding {
    /// `name = value;`
    pub fn new(name: &str, value: Expr) -> Self {
        Self::Is(vec![name.to_owned()], value)
    }
}
