//! Writing an answer for another tool of the ecosystem, such as its own kind of lock file.

use crate::{Artifact, Blob, Chosen, Diagnostic};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Asks for an answer in a form of the ecosystem.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ExportRequest {
    /// The form: one of [`Describe::exports`](crate::Describe::exports).
    pub format: String,
    /// What was chosen, names in the order of their numbers.
    pub chosen: Vec<Chosen>,
    /// The sources as the lock has them, by the keys that the plugin gave them when it was asked how the
    /// packages are built: with what was fetched once to record it, and as the user's overrides say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub artifacts: BTreeMap<String, Artifact>,
}

/// The answer to [`ExportRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ExportAnswer {
    /// The files, by their path in the project.
    pub files: BTreeMap<String, Blob>,
    /// What the user should know, such as facts that the form cannot say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Diagnostic>,
}
