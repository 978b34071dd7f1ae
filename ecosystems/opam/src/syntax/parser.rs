//! Tokens to values, by recursive descent.
//!
//! From the loosest to the tightest: `|`, `&`, the prefix operators, options in braces, relational
//! and environment operators (which take atoms only). Values of a list follow one another without
//! a separator.

use super::lexer::{Lexer, Token};
use super::{Body, Error, ErrorKind, Item, LogOp, MAX_DEPTH, Position, Value, ValueKind};

pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    position: Position,
    token: Token<'a>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self, Error> {
        let mut lexer = Lexer::new(text);
        let (position, token) = lexer.next()?;
        Ok(Self { lexer, position, token })
    }

    /// Reads all items of the file into `items`, which keeps those before an error.
    pub(super) fn items(&mut self, items: &mut Vec<Item<'a>>) -> Result<(), Error> {
        while self.token != Token::End {
            items.push(self.item(0)?);
        }
        Ok(())
    }

    fn bump(&mut self) -> Result<Token<'a>, Error> {
        let (position, token) = self.lexer.next()?;
        self.position = position;
        Ok(std::mem::replace(&mut self.token, token))
    }

    fn unexpected(&self, expected: &'static str) -> Error {
        Error::expected(ErrorKind::Syntax, self.position, expected, self.token.describe())
    }

    /// One level deeper, if there may be one.
    fn deeper(&self, depth: u32) -> Result<u32, Error> {
        if depth < MAX_DEPTH {
            Ok(depth + 1)
        } else {
            let message = format!("this nests deeper than {MAX_DEPTH} levels");
            Err(Error::new(ErrorKind::Syntax, self.position, message))
        }
    }

    fn item(&mut self, depth: u32) -> Result<Item<'a>, Error> {
        let depth = self.deeper(depth)?;
        let position = self.position;
        let Token::Ident(name) = self.token else {
            return Err(self.unexpected("a field name"));
        };
        self.bump()?;
        if self.token == Token::Colon {
            self.bump()?;
            let body = Body::Field(self.value(depth)?);
            return Ok(Item { position, name, body });
        }
        let title = match self.token {
            Token::String(_) => match self.bump()? {
                Token::String(title) => Some(title),
                _ => None,
            },
            _ => None,
        };
        if self.token != Token::LeftBrace {
            return Err(self.unexpected("`:` or `{`"));
        }
        self.bump()?;
        let mut items = Vec::new();
        while self.token != Token::RightBrace {
            items.push(self.item(depth)?);
        }
        self.bump()?;
        Ok(Item { position, name, body: Body::Section { title, items } })
    }

    fn value(&mut self, depth: u32) -> Result<Value<'a>, Error> {
        self.chain(depth, LogOp::Or, |parser, depth| {
            parser.chain(depth, LogOp::And, Self::prefixed)
        })
    }

    /// One value, or several that the operator joins.
    fn chain(
        &mut self,
        depth: u32,
        operator: LogOp,
        part: impl Fn(&mut Self, u32) -> Result<Value<'a>, Error>,
    ) -> Result<Value<'a>, Error> {
        let token = if operator == LogOp::And { Token::And } else { Token::Or };
        let first = part(self, depth)?;
        if self.token != token {
            return Ok(first);
        }
        let position = first.position;
        let mut parts = vec![first];
        while self.token == token {
            self.bump()?;
            parts.push(part(self, depth)?);
        }
        Ok(Value { position, kind: ValueKind::Logop(operator, parts) })
    }

    fn prefixed(&mut self, depth: u32) -> Result<Value<'a>, Error> {
        let position = self.position;
        if let Token::Prefix(operator) = self.token {
            let depth = self.deeper(depth)?;
            self.bump()?;
            let inner = self.prefixed(depth)?;
            return Ok(Value { position, kind: ValueKind::Prefix(operator, Box::new(inner)) });
        }
        let mut value = Value { position, kind: self.simple(depth)? };
        let mut depth = depth;
        while self.token == Token::LeftBrace {
            // `a {} {} {}` nests to the left: each pair of braces is a level.
            depth = self.deeper(depth)?;
            let options = self.values(depth, &Token::RightBrace)?;
            value = Value { position, kind: ValueKind::Option(Box::new(value), options) };
        }
        Ok(value)
    }

    fn simple(&mut self, depth: u32) -> Result<ValueKind<'a>, Error> {
        match self.token {
            Token::LeftParen => Ok(ValueKind::Group(self.values(depth, &Token::RightParen)?)),
            Token::LeftBracket => Ok(ValueKind::List(self.values(depth, &Token::RightBracket)?)),
            Token::Rel(operator) => {
                self.bump()?;
                Ok(ValueKind::PrefixRelop(operator, Box::new(self.atom()?)))
            }
            _ => {
                let left = self.atom()?;
                match self.token {
                    Token::Rel(operator) => {
                        self.bump()?;
                        Ok(ValueKind::Relop(operator, Box::new((left, self.atom()?))))
                    }
                    Token::Env(operator) => {
                        self.bump()?;
                        Ok(ValueKind::EnvBinding(operator, Box::new((left, self.atom()?))))
                    }
                    _ => Ok(left.kind),
                }
            }
        }
    }

    /// Values in brackets, parentheses or braces; the opening one is the token at hand.
    fn values(&mut self, depth: u32, close: &Token<'_>) -> Result<Vec<Value<'a>>, Error> {
        let depth = self.deeper(depth)?;
        self.bump()?;
        let mut values = Vec::new();
        while self.token != *close {
            values.push(self.value(depth)?);
        }
        self.bump()?;
        Ok(values)
    }

    fn atom(&mut self) -> Result<Value<'a>, Error> {
        if !matches!(
            self.token,
            Token::Ident(_) | Token::Bool(_) | Token::Int(_) | Token::String(_)
        ) {
            return Err(self.unexpected("a value"));
        }
        let position = self.position;
        let kind = match self.bump()? {
            Token::Bool(value) => ValueKind::Bool(value),
            Token::Int(value) => ValueKind::Int(value),
            Token::String(value) => ValueKind::String(value),
            Token::Ident(name) => ValueKind::Ident(name),
            _ => return Err(self.unexpected("a value")),
        };
        Ok(Value { position, kind })
    }
}
