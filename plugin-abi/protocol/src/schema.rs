//! The JSON Schemas of the protocol's documents.

use crate::{
    BuildAnswer, BuildRequest, Describe, DetailsAnswer, DetailsRequest, Diagnostic, ExportAnswer,
    ExportRequest, FactsAnswer, FactsRequest, FetchAnswer, FetchRequest, ListAnswer, ListRequest,
    MembersAnswer, MembersRequest, NamesAnswer, OpenAnswer, OpenRequest, OpenTreeRequest,
    OpenedTree, PluginManifest, ReadAnswer, message::ReadQuestion,
};
use schemars::{
    JsonSchema, Schema, schema_for,
    transform::{RecursiveTransform, Transform},
};
use serde_json::Value;

/// A document of the protocol.
pub struct SchemaDocument {
    /// The name, as in `x2nix schema NAME`.
    pub name: &'static str,
    /// One such document, as JSON. Those of all documents tell of one request.
    pub example: &'static str,
    of: fn(&str) -> Schema,
}

impl SchemaDocument {
    /// Makes the schema (draft 2020-12).
    pub fn schema(&self) -> Schema {
        (self.of)(self.example)
    }
}

/// The schema of a type of documents, with an example, in words that need no Rust to be understood.
pub fn schema_of<T: JsonSchema>(example: &str) -> Schema {
    let mut schema = schema_for!(T);
    RecursiveTransform(|schema: &mut Schema| {
        if let Some(Value::String(text)) = schema.get_mut("description") {
            *text = without_links(text);
        }
    })
    .transform(&mut schema);
    if let Ok(example) = serde_json::from_str::<Value>(example) {
        schema.insert("examples".into(), Value::Array(vec![example]));
    }
    schema
}

/// A comment without what links to Rust: of ``[`Name`](crate::Name)`` the name is left.
fn without_links(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once("[`") {
        plain.push_str(before);
        let Some((name, after)) = link.split_once("`]") else {
            plain.push_str("[`");
            rest = link;
            continue;
        };
        plain.push('`');
        plain.push_str(name);
        plain.push('`');
        let target = after.strip_prefix('(').and_then(|target| target.split_once(')'));
        rest = target.map_or(after, |(_, after)| after);
    }
    plain + rest
}

macro_rules! documents {
    ($($name:literal => $type:ty),* $(,)?) => {
        /// Every document that crosses the border between x2nix and a plugin.
        pub const DOCUMENTS: &[SchemaDocument] = &[$(SchemaDocument {
            name: $name,
            example: include_str!(concat!("../examples/", $name, ".json")),
            of: schema_of::<$type>,
        }),*];

        #[cfg(test)]
        mod tests {
            use super::*;

            /// A document, written anew by its type, without what is there by default.
            fn again<T: serde::Serialize + serde::de::DeserializeOwned>(text: &str) -> Value {
                let document: T = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
                serde_json::to_value(document).expect("a document is JSON")
            }

            #[test]
            fn the_examples_say_nothing_that_their_types_do_not_know() {
                for (text, again) in [$((
                    include_str!(concat!("../examples/", $name, ".json")),
                    again::<$type> as fn(&str) -> Value,
                )),*] {
                    let once = again(text);
                    let written: Value = serde_json::from_str(text).expect("it is JSON");
                    let difference = unknown(&written, &once);
                    assert!(difference.is_none(), "{difference:?} of {text}");
                }
            }

            /// The first member that is in the one and not, or otherwise, in the other.
            fn unknown(written: &Value, read: &Value) -> Option<String> {
                match (written, read) {
                    (Value::Object(written), Value::Object(read)) => {
                        written.iter().find_map(|(name, value)| match read.get(name) {
                            Some(found) => unknown(value, found),
                            // What is there by default is not written.
                            None if value == "input" || value == "flag" => None,
                            None => Some(name.clone()),
                        })
                    }
                    (Value::Array(written), Value::Array(read)) if written.len() == read.len() => {
                        written.iter().zip(read).find_map(|(written, read)| unknown(written, read))
                    }
                    _ => (written != read).then(|| written.to_string()),
                }
            }

            #[test]
            fn links_of_comments_leave_their_names() {
                for (text, plain) in [
                    ("as its [`Describe`](crate::Describe) says", "as its `Describe` says"),
                    ("see [`A::b`].", "see `A::b`."),
                    ("[`A`] and [`B`](b) (c)", "`A` and `B` (c)"),
                    ("none, `x[` and [`y", "none, `x[` and [`y"),
                    ("", ""),
                ] {
                    assert_eq!(without_links(text), plain);
                }
            }
        }
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
    "read-request" => ReadQuestion,
    "read-answer" => ReadAnswer,
    "fetch-request" => FetchRequest,
    "fetch-answer" => FetchAnswer,
}
