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
pub(crate) mod monorepo;
mod repository;
mod request;
pub(crate) mod script;
mod session;
mod word;

use crate::mirage::{self, Unikernels, Unprepared};
use session::OpamSession;
use std::{collections::BTreeMap, sync::Arc};
use x2nix_protocol::{
    Criterion, Describe, Host, Measure, OpenAnswer, OpenRequest, Opened, OptionSpec, OptionValue,
    PROTOCOL_VERSION, PlatformMode, Plugin, PluginResult, ProvidedByOption, Scope,
};

/// The opam ecosystem.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpamPlugin;

impl Plugin for OpamPlugin {
    fn describe(&self) -> Describe {
        let flag = |name: &str, help: &str| OptionSpec {
            name: name.into(),
            help: help.into(),
            ..OptionSpec::default()
        };
        let texts = |name: &str, help: &str| OptionSpec {
            name: name.into(),
            help: help.into(),
            value: OptionValue::Texts,
            provides: BTreeMap::new(),
        };
        Describe {
            ecosystem: "opam".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            protocol: PROTOCOL_VERSION,
            title: "OCaml packages of opam repositories".into(),
            purl_type: Some("opam".into()),
            platforms: PlatformMode::Each,
            finds_repositories: false,
            options: [vec![
                flag("with-test", "Include what the tests of the requested packages need"),
                flag("with-doc", "Include what the documentation of the requested packages needs"),
                flag("with-dev-setup", "Include what the developers of the requested packages need"),
                flag("use-opam-locked", "Read NAME.opam.locked in place of NAME.opam where it is there"),
                flag("monorepo", "Compile the dependencies with the project, in one workspace, as opam-monorepo does"),
                flag("build-only", "In a monorepo, leave out what the tests need"),
                flag("require-cross-compile", "In a monorepo, where versions of a package are tagged cross-compile, take only those"),
                texts("ocaml-version", "In a monorepo, the version of the compiler"),
                texts("opam-provided", "In a monorepo, a package that is built apart, for the machine that builds"),
                OptionSpec {
                    name: "switch-export".into(),
                    help: "Ask for the packages in this file of the project, made by `opam switch export`".into(),
                    value: OptionValue::Texts,
                    ..OptionSpec::default()
                },
                OptionSpec {
                    name: COMPILER.into(),
                    help: "Where OCaml comes from: built from source, or nixpkgs' own, as `ocaml-system` [default: whatever fits; `ocaml-system` where it is provided]".into(),
                    value: OptionValue::OneOf(vec!["source".into(), "nixpkgs".into()]),
                    provides: BTreeMap::from([("nixpkgs".into(), vec![system_compiler()])]),
                },
            ], mirage::options()].concat(),
            exports: monorepo::export::specs(),
            policies: policies(),
        }
    }

    fn open(&self, host: Arc<dyn Host>, request: &OpenRequest) -> PluginResult<Opened> {
        let Unikernels { preparations, configured, notes } =
            mirage::unikernels(host.as_ref(), request)?;
        if !preparations.is_empty() {
            let answer = OpenAnswer { preparations, ..OpenAnswer::default() };
            return Ok(Opened { session: Box::new(Unprepared), answer });
        }
        let (session, mut answer) = OpamSession::open(host, request, configured)?;
        answer.notes.extend(notes);
        Ok(Opened { session: Box::new(session), answer })
    }
}

/// The option that says where the compiler comes from.
const COMPILER: &str = "compiler";

/// The package that stands for a compiler from outside of opam.
const SYSTEM_COMPILER: &str = "ocaml-system";

fn system_compiler() -> ProvidedByOption {
    ProvidedByOption { name: SYSTEM_COMPILER.into(), attribute: "ocaml".into() }
}

/// What a good answer is.
///
/// `opam`, the default, is opam's own order of criteria for installing (`OpamSolverConfig`), with the
/// number of packages last. `0install` looks at the requested packages first and at no marks, as
/// opam-0install does.
fn policies() -> BTreeMap<String, Vec<Criterion>> {
    use Measure::{Avoided, Count, Lag, Lead};
    use Scope::{All, Requested};
    let policy = |name: &str, criteria: &[(Measure, Scope)]| {
        let criteria = criteria.iter().map(|&(measure, over)| Criterion::new(measure, over));
        (name.to_owned(), criteria.collect())
    };
    let opam = [(Avoided, Requested), (Avoided, All), (Lag, Requested), (Lag, All), (Count, All)];
    BTreeMap::from([
        policy("default", &opam),
        policy("opam", &opam),
        policy("0install", &[(Lag, Requested), (Lag, All), (Count, All)]),
        policy("newest", &[(Avoided, All), (Lag, All), (Count, All)]),
        policy(
            "oldest",
            &[(Avoided, Requested), (Avoided, All), (Lead, Requested), (Lead, All), (Count, All)],
        ),
        policy("minimal", &[(Avoided, All), (Count, All), (Lag, Requested), (Lag, All)]),
    ])
}
