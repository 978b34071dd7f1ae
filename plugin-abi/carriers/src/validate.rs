//! Each message of a conversation checked by its schema. The typed decoder of x2nix takes what it can
//! read; this finds what an author would rather know, such as a number where a text is due.

use crate::error::bad;
use jsonschema::Validator;
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};
use x2nix_plugin_host::carrier::Carrier;
use x2nix_protocol::{
    DOCUMENTS, Diagnostic, PluginResult,
    message::{HostLine, Line, Reply, method},
};

/// What the answer to each method of a plugin is, by its schema's name.
const ANSWERS: &[(&str, &str)] = &[
    (method::DESCRIBE, "describe"),
    (method::OPEN, "open-answer"),
    (method::NAMES, "names-answer"),
    (method::FACTS, "facts-answer"),
    (method::MEMBERS, "members-answer"),
    (method::DETAILS, "details-answer"),
    (method::BUILD, "build-answer"),
    (method::EXPORT, "export-answer"),
];

/// What a plugin asks its host.
const QUESTIONS: &[(&str, &str)] = &[
    (method::LIST, "list-request"),
    (method::READ, "read-request"),
    (method::OPEN, "open-tree-request"),
    (method::FETCH, "fetch-request"),
];

const REFUSAL: &str = "diagnostic";

/// A plugin whose messages are checked.
pub(crate) struct Validated {
    carrier: Arc<dyn Carrier>,
    schemas: Arc<Schemas>,
}

struct Schemas(BTreeMap<&'static str, Validator>);

impl Validated {
    pub(crate) fn new(carrier: Arc<dyn Carrier>) -> PluginResult<Self> {
        let compiled = DOCUMENTS.iter().map(|document| {
            let schema = document.schema().to_value();
            let validator = jsonschema::validator_for(&schema).map_err(|error| {
                let message = format!("the schema {} is broken: {error}", document.name);
                Diagnostic::error("plugin::schema", message).help("please report this")
            })?;
            Ok((document.name, validator))
        });
        let schemas = compiled.collect::<PluginResult<_>>()?;
        Ok(Self { carrier, schemas: Arc::new(Schemas(schemas)) })
    }
}

impl Schemas {
    /// What is wrong with a document, if anything is.
    fn wrong(&self, name: &str, text: &[u8]) -> Option<String> {
        let document: Value = match serde_json::from_slice(text) {
            Ok(document) => document,
            Err(error) => return Some(format!("it is not JSON: {error}")),
        };
        let error = self.0.get(name)?.iter_errors(&document).next()?;
        let place = error.instance_path().to_string();
        let place = if place.is_empty() { "the document".to_owned() } else { format!("`{place}`") };
        Some(format!("by the schema `{name}`, {place}: {error}"))
    }
}

impl Carrier for Validated {
    fn label(&self) -> &str {
        self.carrier.label()
    }

    fn connect(&self, back: Arc<dyn HostLine>) -> PluginResult<Box<dyn Line>> {
        let label = self.carrier.label().to_owned();
        let back = Back { line: back, schemas: Arc::clone(&self.schemas), label: label.clone() };
        let line = self.carrier.connect(Arc::new(back))?;
        Ok(Box::new(Checked { line, schemas: Arc::clone(&self.schemas), label }))
    }
}

struct Checked {
    line: Box<dyn Line>,
    schemas: Arc<Schemas>,
    label: String,
}

impl Line for Checked {
    fn call(&mut self, method: &str, request: &[u8]) -> PluginResult<Reply> {
        let reply = self.line.call(method, request)?;
        let wrong = match &reply {
            Ok(text) => schema_of(ANSWERS, method).and_then(|name| self.schemas.wrong(name, text)),
            Err(text) => self.schemas.wrong(REFUSAL, text),
        };
        match wrong {
            None => Ok(reply),
            Some(what) => {
                Err(bad(&self.label, &format!("the answer to `{method}` is wrong: {what}")))
            }
        }
    }
}

struct Back {
    line: Arc<dyn HostLine>,
    schemas: Arc<Schemas>,
    label: String,
}

impl HostLine for Back {
    fn call(&self, method: &str, request: &[u8]) -> Reply {
        let wrong = schema_of(QUESTIONS, method).and_then(|name| self.schemas.wrong(name, request));
        match wrong {
            None => self.line.call(method, request),
            Some(what) => {
                let what = format!("its question `{method}` is wrong: {what}");
                Err(serde_json::to_vec(&bad(&self.label, &what)).unwrap_or_default())
            }
        }
    }

    fn cancelled(&self) -> bool {
        self.line.cancelled()
    }
}

fn schema_of(table: &[(&str, &'static str)], method: &str) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == method).map(|(_, name)| *name)
}
