//! The reference of the protocol in `docs/protocol.md`: it is made of the schemas.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use std::{fmt::Write as _, fs, path::Path};
use x2nix_protocol::{DOCUMENTS, PROTOCOL_OLDEST, PROTOCOL_VERSION};

/// Makes the test write what it would compare.
const UPDATE: &str = "X2NIX_UPDATE_SCHEMAS";

const HEAD: &str = "\
# The protocol

Made from the schemas in `schemas/`; [plugins.md](plugins.md) tells how to write a plugin.

A message is the name of a method and a document as JSON; what comes back is a document, or a `diagnostic` that says why
there is none. Unknown members are skipped. A member that is not required may be left out.

| x2nix asks the plugin | question | answer |
|---|---|---|
| `describe` | `null` | `describe` |
| `open` | `open-request` | `open-answer` |
| `facts` | `facts-request` | `facts-answer` |
| `members` | `members-request` | `members-answer` |
| `details` | `details-request` | `details-answer` |
| `names` | `null` | `names-answer` |
| `build` | `build-request` | `build-answer` |
| `export` | `export-request` | `export-answer` |

| the plugin asks x2nix | question | answer |
|---|---|---|
| `list` | `list-request` | `list-answer` |
| `read` | `read-request` | `read-answer` |
| `open` | `open-tree-request` | `opened-tree` |
| `fetch` | `fetch-request` | `fetch-answer` |

A conversation begins with `open`; `describe` may come before. A plugin may ask while it answers, and at no other time.
";

/// A type in a few words.
fn kind(schema: &Value) -> String {
    if schema["$ref"] == "#" {
        return "the same".into();
    }
    if let Some(name) = schema["$ref"].as_str() {
        return format!("[{0}](#{1})", name.rsplit('/').next().unwrap(), anchor(name));
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(options) = schema[key].as_array() {
            let kinds: Vec<_> = options.iter().map(kind).collect();
            return kinds.join(" or ");
        }
    }
    if let Some(value) = schema.get("const") {
        return format!("`{value}`");
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    }
    match &schema["type"] {
        Value::String(name) if name == "array" && schema["items"].is_object() => {
            format!("list of {}", kind(&schema["items"]))
        }
        Value::String(name) if name == "array" => "list".into(),
        Value::String(name) if name == "object" => match &schema["additionalProperties"] {
            Value::Object(_) => format!("map to {}", kind(&schema["additionalProperties"])),
            _ => match schema["properties"].as_object() {
                Some(members) => {
                    let member = |(name, of): (&String, &Value)| format!("{name}: {}", kind(of));
                    format!("{{ {} }}", members.iter().map(member).collect::<Vec<_>>().join(", "))
                }
                None => "object".into(),
            },
        },
        Value::String(name) => name.clone(),
        Value::Array(names) => {
            let one = |name: &Value| {
                let mut alone = schema.clone();
                alone["type"] = name.clone();
                kind(&alone)
            };
            names.iter().map(one).collect::<Vec<_>>().join(" or ")
        }
        _ => "anything".into(),
    }
}

fn anchor(name: &str) -> String {
    name.rsplit('/').next().unwrap().to_lowercase()
}

fn line(text: &Value) -> String {
    text.as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}

fn section(text: &mut String, depth: &str, name: &str, schema: &Value) {
    write!(text, "\n{depth} {name}\n\n").unwrap();
    if schema["description"].is_string() {
        writeln!(text, "{}", line(&schema["description"])).unwrap();
    }
    let Some(members) = schema["properties"].as_object() else {
        let options = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
        match options {
            Some(options) => {
                text.push('\n');
                for option in options {
                    writeln!(text, "- {}: {}", kind(option), line(&option["description"])).unwrap();
                }
            }
            None => writeln!(text, "\n{}", kind(schema)).unwrap(),
        }
        return;
    };
    if members.is_empty() {
        return;
    }
    text.push_str("\n| member | type | |\n|---|---|---|\n");
    for (member, about) in members {
        let required = schema["required"].as_array();
        let required = required.is_some_and(|all| all.iter().any(|it| it == member));
        let required = if required { "; required" } else { "" };
        let about = (kind(about), line(&about["description"]));
        writeln!(text, "| `{member}` | {}{required} | {} |", about.0, about.1).unwrap();
    }
}

#[test]
fn the_reference_is_that_of_the_schemas() {
    let mut text = HEAD.to_owned();
    writeln!(text, "\nThis x2nix speaks the versions {PROTOCOL_OLDEST} to {PROTOCOL_VERSION}.")
        .unwrap();
    let mut parts = std::collections::BTreeMap::new();
    text.push_str("\n## Documents\n");
    for document in DOCUMENTS {
        let schema = document.schema().to_value();
        section(&mut text, "###", document.name, &schema);
        write!(text, "\n```json\n{}\n```\n", document.example.trim_end()).unwrap();
        for (name, part) in schema["$defs"].as_object().into_iter().flatten() {
            parts.insert(name.clone(), part.clone());
        }
    }
    text.push_str("\n## Parts\n");
    for (name, part) in &parts {
        section(&mut text, "###", name, part);
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.md");
    if std::env::var_os(UPDATE).is_some() {
        fs::write(file, text).unwrap();
    } else {
        assert_eq!(fs::read_to_string(file).unwrap_or_default(), text, "run it with {UPDATE}=1");
    }
}
