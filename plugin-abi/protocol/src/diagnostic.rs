//! Messages for the user: what is wrong, where, and what to do about it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How grave a [`Diagnostic`] is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing; nothing is lost.
    Note,
    /// Something was left out or guessed, and the answer may suffer.
    Warning,
    /// The request cannot go on.
    Error,
}

/// Which exit status an error leads to; see the command line's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The input is not what it should be: a bad file, flag or manifest (exit status 2).
    #[default]
    Input,
    /// Something could not be read, fetched or found (exit status 3).
    Access,
}

/// A place in an input, for messages.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Origin {
    /// Where it was read, as the user would name it: a path, or `repository:path`.
    pub file: String,
    /// The line, counted from 1; `None` where the whole file is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

impl Origin {
    /// A place in a file, with the line where it is known.
    pub fn new(file: impl Into<String>, line: Option<u32>) -> Self {
        Self { file: file.into(), line }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        match self.line {
            Some(line) => write!(f, ":{line}"),
            None => Ok(()),
        }
    }
}

/// One message: a stable code, what happened, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{message}")]
pub struct Diagnostic {
    /// A stable name such as `opam::syntax`, to search for and to filter by.
    pub code: String,
    /// How grave it is.
    pub severity: Severity,
    /// The exit status that it leads to, if it is an error.
    #[serde(default)]
    pub fault: Fault,
    /// What happened, in one or a few plain sentences.
    pub message: String,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What else is wrong, found at the same time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Diagnostic>,
}

impl Diagnostic {
    /// An error in what was given; see [`Fault::Input`].
    pub fn error(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            severity: Severity::Error,
            fault: Fault::Input,
            message: message.into(),
            origin: None,
            help: None,
            also: Vec::new(),
        }
    }

    /// A warning.
    pub fn warning(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// The refusal of an extension of the IR that the core cannot reduce yet.
    pub fn not_supported(what: &str) -> Self {
        Self::error("ir::not-supported-yet", format!("{what}: not supported yet"))
            .help("this plugin needs a newer x2nix, or a request without that feature")
    }

    /// What comes of a request that nobody waits for any more.
    pub fn cancelled() -> Self {
        Self::error("request::cancelled", "the request was cancelled").access()
    }

    /// The same message with a place.
    #[must_use]
    pub fn at(self, origin: Origin) -> Self {
        Self { origin: Some(origin), ..self }
    }

    /// The same message with advice.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// The same message as a failure to read, fetch or find something.
    #[must_use]
    pub fn access(self) -> Self {
        Self { fault: Fault::Access, ..self }
    }
}
