//! What a package changes in environments.
//!
//! Reference: `setenv`, `build-env` and `x-env-path-rewrite` in `src/format/opamFile.ml`, and
//! `src/state/opamEnv.ml` for what the last does.

use super::OpamFile;
use super::read::{self, Result, expected};
use crate::filter::Env;
use crate::syntax::{EnvOp, RelOp, Value, ValueKind};

/// A change of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvUpdate {
    /// The variable.
    pub variable: Box<str>,
    /// How it is changed.
    pub op: EnvOp,
    /// By what; variables are to be expanded in it.
    pub value: Box<str>,
}

impl OpamFile<'_> {
    fn env_updates(&self, field: &str) -> Result<Vec<EnvUpdate>> {
        self.list(field, 2, |part| {
            let binding = match part.value.kind {
                // A binding may stand in the outer list as it is (`env_binding_t`).
                ValueKind::Relop(..) | ValueKind::EnvBinding(..) => part.value,
                _ => {
                    let mut bindings = part.parts()?;
                    match (bindings.next(), bindings.next()) {
                        (Some(binding), None) => binding.value,
                        _ => return Err(expected(part.value, "one environment update")),
                    }
                }
            };
            let (op, operands) = match &binding.kind {
                ValueKind::Relop(RelOp::Eq, operands) => (EnvOp::Eq, operands),
                ValueKind::EnvBinding(op, operands) => (*op, operands),
                _ => return Err(expected(binding, "an environment update")),
            };
            let variable = read::ident(&operands.0)?.into();
            Ok(EnvUpdate { variable, op, value: read::string(&operands.1)?.into() })
        })
    }

    /// What it changes in the environment of those that use it.
    pub fn setenv(&self) -> Result<Vec<EnvUpdate>> {
        self.env_updates("setenv")
    }

    /// What is changed in the environment for its build.
    pub fn build_env(&self) -> Result<Vec<EnvUpdate>> {
        self.env_updates("build-env")
    }

    /// What separates the parts of a variable that it changes: `:`, or `;` where
    /// `x-env-path-rewrite` says so for the system that `env` describes.
    pub fn env_separator(&self, variable: &str, env: &Env<'_>) -> char {
        let rules = self.extension("x-env-path-rewrite");
        let words = rules.and_then(|rules| rule(rules, variable));
        let found = words.and_then(|words| first(words, env));
        if found.is_some_and(|text| text == ";") { ';' } else { ':' }
    }
}

/// The separators of a rule `[VARIABLE separators format]` for a variable.
fn rule<'v, 'a>(rules: &'v Value<'a>, variable: &str) -> Option<&'v Value<'a>> {
    let is_it =
        |value: &Value<'_>| matches!(value.kind, ValueKind::Ident(name) if name == variable);
    let ValueKind::List(items) = &rules.kind else { return None };
    match items.first() {
        Some(first) if is_it(first) => items.get(1),
        _ => items.iter().find_map(|item| match &item.kind {
            ValueKind::List(words) if words.first().is_some_and(is_it) => words.get(1),
            _ => None,
        }),
    }
}

/// The first text whose filter holds.
fn first<'v>(value: &'v Value<'_>, env: &Env<'_>) -> Option<&'v str> {
    match &value.kind {
        ValueKind::String(text) => Some(text),
        ValueKind::Group(parts) => parts.iter().find_map(|part| first(part, env)),
        ValueKind::Option(inner, filter) => {
            let holds = read::filter(filter).is_ok_and(|filter| filter.eval(env, false));
            first(inner, env).filter(|_| holds)
        }
        _ => None,
    }
}
