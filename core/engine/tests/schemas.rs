//! The JSON Schemas of `schemas/`: they are those of the types, they are valid, and the documents of
//! the scenarios are valid by them.

mod support;

use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
};
use support::{
    plugin::{EXPORT, ScenarioPlugin},
    record::{Record, Recording},
    scenario,
    shelf::Shelf,
};
use x2nix_core::{Failure, resolve};
use x2nix_protocol::{
    Blob, DOCUMENTS, Diagnostic, FetchAnswer, FetchFile, FetchRequest, Fetched, Host,
    OpenTreeRequest, OpenedTree, TreeId,
};

/// Makes the test write what it would compare.
const UPDATE: &str = "X2NIX_UPDATE_SCHEMAS";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../schemas")
}

/// All schemas, by the name of their document.
fn schemas() -> BTreeMap<&'static str, Value> {
    let mut schemas: BTreeMap<_, _> =
        DOCUMENTS.iter().map(|document| (document.name, document.schema().to_value())).collect();
    schemas.insert("lock", x2nix_core::lock::schema().to_value());
    schemas
}

#[test]
fn the_schemas_are_those_of_the_types() {
    let update = std::env::var_os(UPDATE).is_some();
    let mut expected = BTreeMap::new();
    for (name, schema) in schemas() {
        let text = serde_json::to_string_pretty(&schema).expect("a schema is JSON") + "\n";
        expected.insert(format!("{name}.json"), text);
    }
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder()).expect("there are schemas") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        if update && !expected.contains_key(&name) {
            fs::remove_file(path).expect("a schema of nothing can go");
        } else {
            found.insert(name, fs::read_to_string(path).expect("a schema is text"));
        }
    }
    if update {
        for (name, text) in &expected {
            fs::write(folder().join(name), text).expect("a schema can be written");
        }
        return;
    }
    let names = expected.keys().chain(found.keys().filter(|name| !expected.contains_key(*name)));
    let drifted: Vec<_> = names.filter(|name| expected.get(*name) != found.get(*name)).collect();
    assert!(
        drifted.is_empty(),
        "{drifted:?} are not the schemas of the types any more; if the change is meant, run\n\
         {UPDATE}=1 cargo test -p x2nix-core --test schemas"
    );
}

#[test]
fn the_schemas_are_valid() {
    for (name, schema) in schemas() {
        assert!(
            schema["$schema"].as_str().is_some_and(|draft| draft.contains("2020-12")),
            "{name}"
        );
        if let Err(error) = jsonschema::draft202012::meta::validate(&schema) {
            panic!("{name}: {error}");
        }
        let examples = schema["examples"].as_array();
        let examples = examples.unwrap_or_else(|| panic!("{name} has no example"));
        let validator = jsonschema::draft202012::new(&schema).expect("a valid schema compiles");
        for example in examples {
            let errors: Vec<_> =
                validator.iter_errors(example).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{name}: {errors:?}");
        }
        undescribed(name, &schema);
    }
}

/// Every member has a description, or is of a type that has one.
fn undescribed(place: &str, schema: &Value) {
    for (name, part) in schema["$defs"].as_object().into_iter().flatten() {
        assert!(part["description"].is_string(), "{place}: {name} has no description");
        undescribed(&format!("{place}: {name}"), part);
    }
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        assert!(member["description"].is_string(), "{place}: {name} has no description");
    }
}

#[test]
fn the_documents_of_the_scenarios_are_valid_by_their_schemas() {
    let validators: BTreeMap<_, _> = schemas()
        .into_iter()
        .map(|(name, schema)| {
            (name, jsonschema::draft202012::new(&schema).expect("a valid schema compiles"))
        })
        .collect();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (scenario, text) in scenario::files() {
        let record: Record = Arc::new(Mutex::new(Vec::new()));
        let plugin = Recording { inner: ScenarioPlugin, record: Arc::clone(&record) };
        let host: Arc<dyn Host> = Arc::new(Shelf(text.clone()));
        let form = toml::from_str(&text).expect("a scenario has its form");
        let ended = resolve(&plugin, &host, &support::request(&form));
        let _ = x2nix_core::names(&plugin, &host, &support::request(&form));
        if let Ok(resolution) = &ended {
            let request = support::request(&form);
            let platform = &request.platforms[0];
            x2nix_core::export(&plugin, &host, &request, &resolution.lock, platform, EXPORT)
                .unwrap_or_else(|error| panic!("{scenario}: {error}"));
        }
        let last = match &ended {
            Ok(resolution) => ("lock", serde_json::to_value(&resolution.lock)),
            Err(Failure::Refused(diagnostic)) => ("diagnostic", serde_json::to_value(diagnostic)),
            Err(_) => ("diagnostic", serde_json::to_value(Diagnostic::error("a::code", "text"))),
        };
        let document = last.1.expect("a document is JSON");
        record.lock().expect("nobody panicked").push((last.0, document));
        for (name, document) in record.lock().expect("nobody panicked").iter() {
            *seen.entry(name).or_default() += 1;
            let errors: Vec<_> =
                validators[name].iter_errors(document).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{scenario}: {name}: {errors:?}\n{document:#}");
        }
    }
    // A scenario is one tree; what opens others is tried with the opam plugin (tests/cli).
    let (tree, place) = (TreeId(7), "git+file:///a#v1".to_owned());
    let opened = OpenedTree { tree, location: place.clone(), hash: "sha256-".into() };
    let file = FetchFile { url: "https://host.invalid/a".into(), ..FetchFile::default() };
    let hashed = FetchFile { hash: Some("sha256-".into()), limit: Some(9), ..file.clone() };
    let fetched = vec![
        Fetched::Found { content: Blob(vec![0xff]), hash: "sha256-".into() },
        Fetched::Missing,
        Fetched::Failed(Box::new(Diagnostic::error("a::code", "text"))),
    ];
    for (name, document) in [
        ("fetch-request", serde_json::to_value(FetchRequest { files: vec![file, hashed] })),
        ("fetch-answer", serde_json::to_value(FetchAnswer { files: fetched })),
        ("open-tree-request", serde_json::to_value(OpenTreeRequest { place })),
        ("opened-tree", serde_json::to_value(opened)),
        (
            "manifest",
            serde_json::from_str(r#"{ "protocol": 1, "ecosystem": "a", "version": "1" }"#),
        ),
    ] {
        assert!(validators[name].is_valid(&document.expect("a document is JSON")), "{name}");
        seen.insert(name, 1);
    }
    let unseen: Vec<_> = validators.keys().filter(|name| !seen.contains_key(*name)).collect();
    assert!(unseen.is_empty(), "no scenario has a document of {unseen:?}");
}

#[test]
fn what_is_no_document_is_not_valid() {
    let wrong = [
        ("facts-request", r#"{"names": ["a"]}"#),
        ("members-answer", r#"{"sets": [[[1]]]}"#),
        ("open-answer", r#"{"roots": [{"need": {"all": [{}]}}]}"#),
        ("describe", "{}"),
        ("lock", r#"{"version": 1}"#),
    ];
    let schemas = schemas();
    for (name, document) in wrong {
        let document: Value = serde_json::from_str(document).expect("it is JSON");
        assert!(!jsonschema::is_valid(&schemas[name], &document), "{name}: {document}");
    }
}
