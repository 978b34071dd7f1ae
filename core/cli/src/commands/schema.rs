//! `x2nix schema`: the JSON Schemas of all documents.

use crate::report::{Stop, answer, answer_json};
use clap::ArgMatches;
use schemars::{Schema, schema_for};
use std::collections::BTreeMap;
use x2nix_core::{
    lock::Lock,
    protocol::{DOCUMENTS, Diagnostic},
};

/// All documents by name.
fn documents() -> BTreeMap<&'static str, fn() -> Schema> {
    let lock: (&'static str, fn() -> Schema) = ("lock", || schema_for!(Lock));
    DOCUMENTS.iter().map(|document| (document.name, document.schema)).chain([lock]).collect()
}

/// Runs the command.
pub(crate) fn run(matches: &ArgMatches) -> Result<(), Stop> {
    let documents = documents();
    let names = || documents.keys().copied().collect::<Vec<_>>();
    match matches.get_one::<String>("name") {
        None => answer(&(names().join("\n") + "\n")),
        Some(name) => match documents.get(name.as_str()) {
            Some(schema) => answer_json(&schema()),
            None => {
                Err(Diagnostic::error("schema::unknown", format!("there is no document {name:?}"))
                    .help(format!("known documents: {}", names().join(", ")))
                    .into())
            }
        },
    }
}
