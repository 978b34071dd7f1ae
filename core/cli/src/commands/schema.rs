//! `x2nix schema`: the JSON Schemas of all documents.

use crate::report::{Stop, answer, answer_json};
use clap::ArgMatches;
use std::collections::BTreeMap;
use x2nix_core::{
    lock,
    protocol::{DOCUMENTS, Diagnostic, SchemaDocument},
};

/// The document that is not part of the protocol.
const LOCK: &str = "lock";

/// Runs the command.
pub(crate) fn run(matches: &ArgMatches) -> Result<(), Stop> {
    let documents: BTreeMap<&str, Option<&SchemaDocument>> = DOCUMENTS
        .iter()
        .map(|document| (document.name, Some(document)))
        .chain([(LOCK, None)])
        .collect();
    let names = || documents.keys().copied().collect::<Vec<_>>();
    match matches.get_one::<String>("name") {
        None => answer(&(names().join("\n") + "\n")),
        Some(name) => match documents.get(name.as_str()) {
            Some(document) => {
                answer_json(&document.map_or_else(lock::schema, SchemaDocument::schema))
            }
            None => {
                Err(Diagnostic::error("schema::unknown", format!("there is no document {name:?}"))
                    .help(format!("known documents: {}", names().join(", ")))
                    .into())
            }
        },
    }
}
