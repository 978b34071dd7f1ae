//! Text to tokens, longest match first, as the rules of `opamLexer.mll` say.

use std::borrow::Cow;

use super::{EnvOp, Error, ErrorKind, Position, PrefixOp, RelOp, narrow};

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'a> {
    End,
    Ident(&'a str),
    String(Cow<'a, str>),
    Bool(bool),
    Int(i64),
    Colon,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    LeftParen,
    RightParen,
    And,
    Or,
    Rel(RelOp),
    Prefix(PrefixOp),
    Env(EnvOp),
}

impl Token<'_> {
    /// What the token is called in messages.
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::End => "the end of the file",
            Self::Ident(_) => "an identifier",
            Self::String(_) => "a string",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "an integer",
            Self::Colon => "`:`",
            Self::LeftBrace => "`{`",
            Self::RightBrace => "`}`",
            Self::LeftBracket => "`[`",
            Self::RightBracket => "`]`",
            Self::LeftParen => "`(`",
            Self::RightParen => "`)`",
            Self::And => "`&`",
            Self::Or => "`|`",
            Self::Rel(_) => "a comparison operator",
            Self::Prefix(PrefixOp::Not) => "`!`",
            Self::Prefix(PrefixOp::Defined) => "`?`",
            Self::Env(_) => "an environment update operator",
        }
    }
}

/// The bytes that a string may go over without a look: all but its end, escapes and line ends.
const PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    plain[b'"' as usize] = false;
    plain[b'\\' as usize] = false;
    plain[b'\n' as usize] = false;
    plain[b'\r' as usize] = false;
    plain
};

pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: u32,
    line_start: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, line: 1, line_start: 0 }
    }

    /// The next token and where it begins.
    pub(super) fn next(&mut self) -> Result<(Position, Token<'a>), Error> {
        self.skip_blanks()?;
        let start = self.position();
        let (length, token) = match self.rest() {
            [] => (0, Token::End),
            [b'"', b'"', b'"', ..] => {
                self.at += 3;
                return Ok((start, Token::String(self.string(start, b"\"\"\"")?)));
            }
            [b'"', ..] => {
                self.at += 1;
                return Ok((start, Token::String(self.string(start, b"\"")?)));
            }
            [b'{', ..] => (1, Token::LeftBrace),
            [b'}', ..] => (1, Token::RightBrace),
            [b'[', ..] => (1, Token::LeftBracket),
            [b']', ..] => (1, Token::RightBracket),
            [b'(', ..] => (1, Token::LeftParen),
            [b')', ..] => (1, Token::RightParen),
            [b'&', ..] => (1, Token::And),
            [b'|', ..] => (1, Token::Or),
            [b'?', ..] => (1, Token::Prefix(PrefixOp::Defined)),
            [b'!', b'=', ..] => (2, Token::Rel(RelOp::Neq)),
            [b'!', ..] => (1, Token::Prefix(PrefixOp::Not)),
            [b'<', b'=', ..] => (2, Token::Rel(RelOp::Leq)),
            [b'<', ..] => (1, Token::Rel(RelOp::Lt)),
            [b'>', b'=', ..] => (2, Token::Rel(RelOp::Geq)),
            [b'>', ..] => (1, Token::Rel(RelOp::Gt)),
            [b'~', ..] => (1, Token::Rel(RelOp::Geq)),
            [b'+', b'=', ..] => (2, Token::Env(EnvOp::PlusEq)),
            [b':', b'=', ..] => (2, Token::Env(EnvOp::ColonEq)),
            [b':', ..] => (1, Token::Colon),
            [b'=', b'+', b'=', ..] => (3, Token::Env(EnvOp::EqPlusEq)),
            [b'=', b'+', ..] => (2, Token::Env(EnvOp::EqPlus)),
            [b'=', b':', b'=', ..] => {
                return Err(Error::new(ErrorKind::Syntax, start, "`=:=` is not an operator"));
            }
            [b'=', b':', ..] => (2, Token::Env(EnvOp::EqColon)),
            [b'=', ..] => (1, Token::Rel(RelOp::Eq)),
            rest => self.word(start, rest)?,
        };
        self.at += length;
        Ok((start, token))
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn slice(&self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or_default()
    }

    fn position(&self) -> Position {
        Position { line: self.line, column: narrow(self.at - self.line_start + 1) }
    }

    /// Goes over a line end of this length.
    fn line_end(&mut self, length: usize) {
        self.at += length;
        self.line = self.line.saturating_add(1);
        self.line_start = self.at;
    }

    fn skip_blanks(&mut self) -> Result<(), Error> {
        loop {
            match self.rest() {
                [b' ' | b'\t', ..] => self.at += 1,
                [b'\n', ..] => self.line_end(1),
                [b'\r', b'\n', ..] => self.line_end(2),
                rest @ [b'#', ..] => self.at += rest.iter().take_while(|b| **b != b'\n').count(),
                [b'(', b'*', ..] => self.comment()?,
                _ => return Ok(()),
            }
        }
    }

    /// Goes over a comment; comments nest, and strings mean nothing in them.
    fn comment(&mut self) -> Result<(), Error> {
        let start = self.position();
        let mut depth = 0_usize;
        loop {
            match self.rest() {
                [] => {
                    return Err(Error::new(ErrorKind::Syntax, start, "this comment does not end"));
                }
                [b'(', b'*', ..] => {
                    depth += 1;
                    self.at += 2;
                }
                [b'*', b')', ..] => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                [b'\n', ..] => self.line_end(1),
                _ => self.at += 1,
            }
        }
    }

    /// The rest of a string whose opening quotes are behind.
    fn string(&mut self, start: Position, close: &[u8]) -> Result<Cow<'a, str>, Error> {
        let mut decoded = Vec::new();
        let mut copied = self.at;
        let begin = self.at;
        loop {
            self.at += self.rest().iter().take_while(|b| PLAIN[usize::from(**b)]).count();
            match self.rest() {
                [] => return Err(Error::new(ErrorKind::Syntax, start, "this string does not end")),
                rest if rest.starts_with(close) => break,
                [b'\n', ..] => self.line_end(1),
                [b'\r', b'\n', ..] => {
                    // A line end is one character, whatever it is in the file.
                    decoded.extend_from_slice(self.slice(copied, self.at).as_bytes());
                    self.at += 1;
                    copied = self.at;
                }
                [b'\\', ..] => {
                    decoded.extend_from_slice(self.slice(copied, self.at).as_bytes());
                    self.escape(&mut decoded)?;
                    copied = self.at;
                }
                _ => self.at += 1,
            }
        }
        let tail = self.slice(copied, self.at);
        self.at += close.len();
        if copied == begin {
            return Ok(Cow::Borrowed(tail));
        }
        decoded.extend_from_slice(tail.as_bytes());
        let text = String::from_utf8(decoded).map_err(|_| {
            let message = "the escapes in this string do not make UTF-8";
            Error::new(ErrorKind::Encoding, start, message)
        })?;
        Ok(Cow::Owned(text))
    }

    fn escape(&mut self, decoded: &mut Vec<u8>) -> Result<(), Error> {
        let start = self.position();
        let illegal = || Error::new(ErrorKind::Syntax, start, "this is not an escape sequence");
        self.at += 1;
        let (length, byte) = match self.rest() {
            [b'\n', ..] => {
                self.continued_line(1);
                return Ok(());
            }
            [b'\r', b'\n', ..] => {
                self.continued_line(2);
                return Ok(());
            }
            [byte @ (b'\\' | b'"' | b'\'' | b' '), ..] => (1, *byte),
            [b'n', ..] => (1, b'\n'),
            [b'r', ..] => (1, b'\r'),
            [b't', ..] => (1, b'\t'),
            [b'b', ..] => (1, 8),
            [b'x', high, low, ..] => match (hexadecimal(*high), hexadecimal(*low)) {
                (Some(high), Some(low)) => (3, high * 16 + low),
                _ => return Err(illegal()),
            },
            [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
                let digit = |byte: &u8| u16::from(byte - b'0');
                match u8::try_from(digit(a) * 100 + digit(b) * 10 + digit(c)) {
                    Ok(byte) => (3, byte),
                    Err(_) => return Err(illegal()),
                }
            }
            _ => return Err(illegal()),
        };
        decoded.push(byte);
        self.at += length;
        Ok(())
    }

    /// An escaped line end stands for nothing, and so do the blanks after it.
    fn continued_line(&mut self, line_end: usize) {
        self.line_end(line_end);
        while let [b' ' | b'\t', ..] = self.rest() {
            self.at += 1;
        }
    }

    /// A boolean, an integer or an identifier: the longest, and of equals the first of these.
    fn word(&self, start: Position, rest: &[u8]) -> Result<(usize, Token<'a>), Error> {
        let identifier = identifier_length(rest);
        let integer = integer_length(rest);
        let text = |length| self.slice(self.at, self.at + length);
        if integer > 0 && integer >= identifier {
            let digits = text(integer);
            let value = Some(digits.trim_start_matches('-'))
                .filter(|digits| digits.starts_with(|c: char| c.is_ascii_digit()))
                .and_then(|_| digits.replace('_', "").parse().ok());
            return match value {
                Some(value) => Ok((integer, Token::Int(value))),
                None => Err(Error::new(
                    ErrorKind::Syntax,
                    start,
                    "this is not an integer, or it is too large",
                )),
            };
        }
        if identifier > 0 {
            let token = match text(identifier) {
                "true" => Token::Bool(true),
                "false" => Token::Bool(false),
                name => Token::Ident(name),
            };
            return Ok((identifier, token));
        }
        let found = self.text.get(self.at..).and_then(|rest| rest.chars().next());
        let message = format!("{:?} cannot stand here", found.unwrap_or_default());
        Err(Error::new(ErrorKind::Syntax, start, message))
    }
}

fn hexadecimal(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The length of `-`, digits and underscores, or 0.
fn integer_length(bytes: &[u8]) -> usize {
    let sign = usize::from(bytes.first() == Some(&b'-'));
    let (_, digits) = bytes.split_at(sign);
    match digits.iter().take_while(|b| b.is_ascii_digit() || **b == b'_').count() {
        0 => 0,
        length => sign + length,
    }
}

/// The length of the longest identifier: words joined by `+`, and perhaps `:` and one more word.
fn identifier_length(bytes: &[u8]) -> usize {
    let after = |length: usize| bytes.get(length + 1..).unwrap_or_default();
    let mut length = word_or_underscore(bytes);
    if length == 0 {
        return 0;
    }
    while bytes.get(length) == Some(&b'+') {
        match word_or_underscore(after(length)) {
            0 => break,
            more => length += 1 + more,
        }
    }
    if bytes.get(length) == Some(&b':') {
        let (more, is_word) = word_run(after(length));
        if is_word {
            length += 1 + more;
        }
    }
    length
}

fn word_or_underscore(bytes: &[u8]) -> usize {
    match word_run(bytes) {
        (length, true) => length,
        _ => usize::from(bytes.first() == Some(&b'_')),
    }
}

/// How many characters of a word there are, and whether they have the letter that a word needs.
fn word_run(bytes: &[u8]) -> (usize, bool) {
    let mut has_letter = false;
    let length = bytes
        .iter()
        .take_while(|byte| {
            has_letter |= byte.is_ascii_alphabetic();
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
        })
        .count();
    (length, has_letter)
}
