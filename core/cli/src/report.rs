//! What the user is told, and how: text for people, JSON for programs.
//!
//! This is the one place that prints. Answers go to standard output, everything else to standard
//! error; with `--format json` a failure is an answer too, so that a program reads one stream.

#![allow(clippy::print_stderr)] // this module is where printing happens

use serde::Serialize;
use serde_json::json;
use std::{
    ffi::OsString,
    io::{ErrorKind, Write},
    process::ExitCode,
};
use x2nix_core::{
    Failure,
    protocol::{Diagnostic, Fault, Origin, Severity},
    solve::{Explanation, Part, Reason},
};

/// The form of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl Format {
    /// The form that some arguments ask for, even if they make no sense otherwise.
    pub(crate) fn of_arguments(arguments: &[OsString]) -> Self {
        let json = |it: &OsString| it == "json" || it == "jsonl";
        let joined = |it: &OsString| it == "--format=json" || it == "--format=jsonl";
        let apart = arguments.windows(2).any(|pair| pair[0] == "--format" && json(&pair[1]));
        if apart || arguments.iter().any(joined) { Self::Json } else { Self::Text }
    }
}

/// Why a command ends early, with its exit status.
#[derive(Debug)]
pub(crate) enum Stop {
    /// There is no answer: 1.
    Unsolvable { platform: String, explanation: Explanation, verbose: bool, notes: Vec<Diagnostic> },
    /// Input refused (2), or something that could not be read or found (3).
    Refused(Box<Diagnostic>),
    /// A check failed: 4.
    Failed(Vec<Diagnostic>),
    /// Wrong use (2), or help and version (0).
    Usage(Box<clap::Error>),
    /// A bug: 101.
    Bug(String),
}

impl From<Diagnostic> for Stop {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Refused(Box::new(diagnostic))
    }
}

impl From<Box<Diagnostic>> for Stop {
    fn from(diagnostic: Box<Diagnostic>) -> Self {
        Self::Refused(diagnostic)
    }
}

impl From<clap::Error> for Stop {
    fn from(error: clap::Error) -> Self {
        Self::Usage(Box::new(error))
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(diagnostic) => Self::Refused(diagnostic),
            Failure::Unsolvable { platform, explanation, notes } => {
                Self::Unsolvable { platform, explanation, verbose: false, notes }
            }
            Failure::Bug(error) => Self::Bug(error.to_string()),
        }
    }
}

impl Stop {
    /// Tells the user and gives the exit status.
    pub(crate) fn report(self, format: Format) -> ExitCode {
        let (status, text, document) = match self {
            Self::Usage(error) if !error.use_stderr() => {
                let _ = error.print();
                return ExitCode::SUCCESS;
            }
            Self::Usage(error) => {
                if format == Format::Text {
                    let _ = error.print();
                    return ExitCode::from(2);
                }
                let diagnostic =
                    Diagnostic::error("cli::usage", error.render().to_string().trim().to_owned());
                (2, String::new(), json!({ "status": "error", "errors": [diagnostic] }))
            }
            Self::Unsolvable { platform, explanation, verbose, notes } => {
                note_all(&notes, format);
                let document = unsolvable_document(&platform, &explanation, &notes);
                (1, unsolvable_text(&platform, &explanation, verbose), document)
            }
            Self::Refused(diagnostic) => {
                let status = if diagnostic.fault == Fault::Access { 3 } else { 2 };
                (
                    status,
                    diagnostic_text(&diagnostic),
                    json!({ "status": "error", "errors": [diagnostic] }),
                )
            }
            Self::Failed(diagnostics) => {
                let texts: Vec<_> = diagnostics.iter().map(diagnostic_text).collect();
                (4, texts.join(""), json!({ "status": "failed", "errors": diagnostics }))
            }
            Self::Bug(message) => {
                let message = format!(
                    "{message}; this is a bug of x2nix: please report it with the command and inputs"
                );
                let diagnostic = Diagnostic::error("x2nix::bug", message);
                (
                    101,
                    diagnostic_text(&diagnostic),
                    json!({ "status": "error", "errors": [diagnostic] }),
                )
            }
        };
        match format {
            Format::Text => eprint!("{text}"),
            Format::Json => drop(answer_json(&document)),
        }
        ExitCode::from(status)
    }
}

/// Writes an answer to standard output. A reader that has gone away is not an error.
pub(crate) fn answer(text: &str) -> Result<(), Stop> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Diagnostic::error(
            "output::write",
            format!("cannot write to standard output: {error}"),
        )
        .access()
        .into()),
        _ => Ok(()),
    }
}

/// Writes an answer for programs.
pub(crate) fn answer_json(document: &impl Serialize) -> Result<(), Stop> {
    let mut text =
        serde_json::to_string_pretty(document).map_err(|error| Stop::Bug(error.to_string()))?;
    text.push('\n');
    answer(&text)
}

/// Tells what the user should know beside the answer; for programs it is part of the answer.
pub(crate) fn note_all(notes: &[Diagnostic], format: Format) {
    /// A repository with more broken files than this is not helped by more lines.
    const SHOWN: usize = 10;
    if format == Format::Json {
        return;
    }
    for note in notes.iter().take(SHOWN) {
        eprint!("{}", diagnostic_text(note));
    }
    if notes.len() > SHOWN {
        eprintln!("… and {} more messages (--format json shows all)", notes.len() - SHOWN);
    }
}

/// Tells that something was done.
pub(crate) fn done(message: &str, format: Format) {
    if format == Format::Text {
        eprintln!("{message}");
    }
}

/// A message for people: what, where, and what to do.
pub(crate) fn diagnostic_text(diagnostic: &Diagnostic) -> String {
    let severity = match diagnostic.severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let mut text = format!("{severity}[{}]: {}\n", diagnostic.code, diagnostic.message);
    if let Some(origin) = &diagnostic.origin {
        text.push_str(&format!("  --> {origin}\n"));
    }
    if let Some(help) = &diagnostic.help {
        text.push_str(&format!("  help: {help}\n"));
    }
    for other in &diagnostic.also {
        text.push_str(&diagnostic_text(other));
    }
    text
}

/// Why there is no answer, on one screen.
fn unsolvable_text(platform: &str, explanation: &Explanation, verbose: bool) -> String {
    const SCREEN: usize = 24;
    let mut text = format!("error[solve::unsolvable]: there is no answer for {platform}\n");
    let mut line = |depth: usize, what: &str, origin: Option<&Origin>| {
        let place = origin.map(|origin| format!("  ({origin})")).unwrap_or_default();
        text.push_str(&format!("{}- {what}{place}\n", "  ".repeat(depth.min(12) + 1)));
    };
    let shown = if verbose { usize::MAX } else { SCREEN };
    for reason in explanation.reasons.iter().take(shown) {
        let origin = reason.origin.as_ref();
        match reason.parts.as_slice() {
            [part] if verbose => line(reason.depth, &part.text, origin),
            parts if verbose && !parts.is_empty() => {
                line(reason.depth, &format!("{}:", reason.text), None);
                for part in parts {
                    line(reason.depth + 1, &part.text, part.origin.as_ref());
                }
            }
            _ => line(reason.depth, &reason.text, origin),
        }
    }
    if explanation.reasons.len() > shown {
        text.push_str(&format!(
            "  … and {} more reasons (--verbose shows all)\n",
            explanation.reasons.len() - shown
        ));
    }
    for suggestion in &explanation.suggestions {
        text.push_str(&format!("  help: {}\n", suggestion.text));
    }
    text
}

fn unsolvable_document(
    platform: &str,
    explanation: &Explanation,
    notes: &[Diagnostic],
) -> serde_json::Value {
    let part = |part: &Part| json!({ "text": part.text, "origin": part.origin });
    let reason = |reason: &Reason| {
        json!({
            "depth": reason.depth, "kind": reason.kind.name(), "text": reason.text,
            "origin": reason.origin, "parts": reason.parts.iter().map(part).collect::<Vec<_>>(),
        })
    };
    let suggestions: Vec<_> =
        explanation.suggestions.iter().map(|suggestion| &suggestion.text).collect();
    json!({
        "status": "unsolvable", "platform": platform,
        "reasons": explanation.reasons.iter().map(reason).collect::<Vec<_>>(),
        "suggestions": suggestions, "notes": notes,
    })
}
