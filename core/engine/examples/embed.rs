//! Embeds x2nix with an ecosystem that is a table in memory.
#![allow(clippy::print_stdout, clippy::wildcard_imports)]
use serde_json::{Value, json};
use std::sync::Arc;
use x2nix_core::{Request, lock, protocol::*, resolve};

struct Table;
/// Documents can be made as Rust values, or of their JSON.
fn document<T: serde::de::DeserializeOwned>(value: Value) -> PluginResult<T> {
    serde_json::from_value(value).map_err(|e| Diagnostic::error("table", e.to_string()).into())
}

impl Plugin for Table {
    fn describe(&self) -> Describe {
        document(json!({ "ecosystem": "table", "version": "1", "protocol": 1, "title": "A table",
            "platforms": "each", "policies": { "default": [{ "measure": "lag", "over": "all" }] } }))
        .expect("it is a description")
    }

    fn open(&self, _: Arc<dyn Host>, _: &OpenRequest) -> PluginResult<Opened> {
        let answer = document(json!({ "roots": [{ "need": 0 }], "dictionary": {
            "names": [{ "text": "app" }, { "text": "library" }],
            "sets": [{ "name": 0 }, { "name": 1, "text": ">= 2" }] } }))?;
        Ok(Opened { session: Box::new(Self), answer })
    }
}

impl Session for Table {
    fn facts(&mut self, request: &FactsRequest) -> PluginResult<FactsAnswer> {
        let app = json!([{ "version": "1", "requires": [{ "need": 1 }] }]);
        let library = json!([{ "version": "3" }, { "version": "2" }, { "version": "1" }]);
        let of =
            |name: &NameId| json!({ "name": name, "candidates": ([&app, &library][name.index()]) });
        document(json!({ "packages": request.names.iter().map(of).collect::<Vec<_>>() }))
    }
    fn members(&mut self, request: &MembersRequest) -> PluginResult<MembersAnswer> {
        let of = |set: &SetId| [json!([[0, 1]]), json!([[0, 2]])][set.index()].clone();
        document(json!({ "sets": request.sets.iter().map(of).collect::<Vec<_>>() }))
    }
    fn build(&mut self, request: &BuildRequest) -> PluginResult<BuildAnswer> {
        document(json!({ "units": {}, "unit_of": vec![(); request.chosen.len()] }))
    }
}

struct Nothing;
#[rustfmt::skip]
impl Host for Nothing {
    fn list(&self, _: &ListRequest) -> PluginResult<ListAnswer> { Ok(ListAnswer::default()) }
    fn read(&self, _: &ReadRequest) -> PluginResult<ReadAnswer> { Ok(ReadAnswer::default()) }
}

fn main() -> Result<(), String> {
    let host: Arc<dyn Host> = Arc::new(Nothing);
    let request = Request { platforms: vec!["x86_64-linux".into()], ..Request::default() };
    let resolution = resolve(&Table, &host, &request).map_err(|failure| format!("{failure:?}"))?;
    println!("{}", lock::write(&resolution.lock));
    Ok(())
}
