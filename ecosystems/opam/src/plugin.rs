//! The plugin: a conversation about opam packages.
//!
//! ```text
//! open    project files and --root words  -> roots            (request)
//! facts   names -> opam files             -> candidates       (repository, facts)
//! members version sets                    -> which candidates (dictionary)
//! build   chosen packages                 -> units            (build, word)
//! ```

mod build;
mod dictionary;
mod environment;
mod facts;
mod repository;
mod request;
mod session;
mod word;

use session::OpamSession;
use std::{collections::BTreeMap, sync::Arc};
use x2nix_protocol::{
    Criterion, Describe, Host, Measure, OpenRequest, Opened, OptionSpec, OptionValue,
    PROTOCOL_VERSION, PlatformMode, Plugin, PluginResult, Scope,
};

/// The opam ecosystem.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpamPlugin;

impl Plugin for OpamPlugin {
    fn describe(&self) -> Describe {
        let flag = |name: &str, help: &str| OptionSpec {
            name: name.into(),
            help: help.into(),
            value: OptionValue::Flag,
        };
        Describe {
            ecosystem: "opam".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            protocol: PROTOCOL_VERSION,
            title: "OCaml packages of opam repositories".into(),
            purl_type: Some("opam".into()),
            platforms: PlatformMode::Each,
            options: vec![
                flag("with-test", "Include what the tests of the requested packages need"),
                flag("with-doc", "Include what the documentation of the requested packages needs"),
            ],
            policies: policies(),
        }
    }

    fn open(&self, host: Arc<dyn Host>, request: &OpenRequest) -> PluginResult<Opened> {
        let (session, answer) = OpamSession::open(host, request)?;
        Ok(Opened { session: Box::new(session), answer })
    }
}

/// What a good answer is. `default` is opam's own order (`OpamCudf`'s criteria for installing), with
/// the number of packages last.
fn policies() -> BTreeMap<String, Vec<Criterion>> {
    let criterion = |measure, over| Criterion { measure, over };
    let ranked = |measure| {
        vec![
            criterion(Measure::Avoided, Scope::Requested),
            criterion(Measure::Avoided, Scope::All),
            criterion(measure, Scope::Requested),
            criterion(measure, Scope::All),
            criterion(Measure::Count, Scope::All),
        ]
    };
    BTreeMap::from([
        ("default".into(), ranked(Measure::Lag)),
        ("newest".into(), ranked(Measure::Lag)),
        ("oldest".into(), ranked(Measure::Lead)),
    ])
}
