//! The JSON Schemas of the protocol's documents.

use crate::{
    BuildAnswer, BuildRequest, Describe, DetailsAnswer, DetailsRequest, Diagnostic, ExportAnswer,
    ExportRequest, FactsAnswer, FactsRequest, FetchAnswer, FetchRequest, ListAnswer, ListRequest,
    MembersAnswer, MembersRequest, NamesAnswer, OpenAnswer, OpenRequest, OpenTreeRequest,
    OpenedTree, PluginManifest, ReadAnswer, ReadRequest,
};
use schemars::{Schema, schema_for};

/// A document of the protocol: its name and how to make its schema.
pub struct SchemaDocument {
    /// The name, as in `x2nix schema NAME`.
    pub name: &'static str,
    /// Makes the schema (draft 2020-12).
    pub schema: fn() -> Schema,
}

macro_rules! documents {
    ($($name:literal => $type:ty),* $(,)?) => {
        /// Every document that crosses the border between x2nix and a plugin.
        pub const DOCUMENTS: &[SchemaDocument] =
            &[$(SchemaDocument { name: $name, schema: || schema_for!($type) }),*];
    };
}

documents! {
    "manifest" => PluginManifest,
    "describe" => Describe,
    "diagnostic" => Diagnostic,
    "open-request" => OpenRequest,
    "open-answer" => OpenAnswer,
    "facts-request" => FactsRequest,
    "facts-answer" => FactsAnswer,
    "members-request" => MembersRequest,
    "members-answer" => MembersAnswer,
    "details-request" => DetailsRequest,
    "details-answer" => DetailsAnswer,
    "names-answer" => NamesAnswer,
    "build-request" => BuildRequest,
    "build-answer" => BuildAnswer,
    "export-request" => ExportRequest,
    "export-answer" => ExportAnswer,
    "list-request" => ListRequest,
    "open-tree-request" => OpenTreeRequest,
    "opened-tree" => OpenedTree,
    "list-answer" => ListAnswer,
    "read-request" => ReadRequest,
    "read-answer" => ReadAnswer,
    "fetch-request" => FetchRequest,
    "fetch-answer" => FetchAnswer,
}
