//! The plugin: a conversation about crates.
//!
//! ```text
//! open     manifests of the project, --root words -> roots           (workspace, manifest)
//! facts    names -> versions in an index          -> candidates      (registry)
//! details  versions that come into question       -> what they need  (summary, facts)
//! members  requirements                           -> which versions  (dictionary)
//! build    chosen versions                        -> build units     (build, features)
//! export   chosen versions                        -> Cargo.lock      (export, lockfile, features)
//! ```

use crate::session::CargoSession;
use std::{collections::BTreeMap, sync::Arc};
use x2nix_protocol::{
    Criterion, Describe, ExportSpec, Host, Measure, OpenRequest, Opened, OptionSpec, OptionValue,
    PROTOCOL_VERSION, PlatformMode, Plugin, PluginResult, Scope,
};

/// The variable that has the version of rustc.
pub(crate) const RUSTC: &str = "rustc";

/// Options that say which features of the members are built.
pub(crate) const FEATURES: &str = "features";
pub(crate) const ALL_FEATURES: &str = "all-features";
pub(crate) const NO_DEFAULT_FEATURES: &str = "no-default-features";

/// The option that says how the project is built.
pub(crate) const BUILD: &str = "build";
/// A derivation for each crate.
pub(crate) const CRATES: &str = "crates";
/// One derivation for the project.
pub(crate) const WHOLE: &str = "workspace";
/// None: crates are only chosen.
pub(crate) const NOTHING: &str = "nothing";

/// What the programs are called in the package set of Nix, unless the user says otherwise.
pub(crate) const RUST_COMPILER: &str = "rustc";
pub(crate) const CARGO: &str = "cargo";

/// The exports.
pub(crate) const CARGO_LOCK: &str = "cargo-lock";
pub(crate) const CARGO_FEATURES: &str = "cargo-features";

/// The Cargo ecosystem.
#[derive(Debug, Clone, Copy, Default)]
pub struct CargoPlugin;

impl Plugin for CargoPlugin {
    fn describe(&self) -> Describe {
        let option = |name: &str, help: &str, value| OptionSpec {
            name: name.into(),
            help: help.into(),
            value,
            provides: BTreeMap::new(),
        };
        let export = |name: &str, help: &str| ExportSpec { name: name.into(), help: help.into() };
        Describe {
            ecosystem: "cargo".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            protocol: PROTOCOL_VERSION,
            title: "Rust crates of Cargo registries".into(),
            purl_type: Some("cargo".into()),
            platforms: PlatformMode::Joint,
            finds_repositories: true,
            options: vec![
                option(
                    BUILD,
                    "Build each crate by itself, the workspace as a whole with cargo, or nothing",
                    OptionValue::OneOf([CRATES, WHOLE, NOTHING].map(str::to_owned).into()),
                ),
                option(FEATURES, "Features of the members to build with", OptionValue::Texts),
                option(ALL_FEATURES, "Build with all features of the members", OptionValue::Flag),
                option(
                    NO_DEFAULT_FEATURES,
                    "Build without the default features of the members",
                    OptionValue::Flag,
                ),
            ],
            exports: vec![
                export(CARGO_LOCK, "Write Cargo.lock"),
                export(
                    CARGO_FEATURES,
                    "Write cargo-features.json: which features of each crate are on in a build",
                ),
            ],
            policies: policies(),
        }
    }

    fn open(&self, host: Arc<dyn Host>, request: &OpenRequest) -> PluginResult<Opened> {
        let (session, answer) = CargoSession::open(host, request)?;
        Ok(Opened { session: Box::new(session), answer })
    }
}

/// What a good answer is. The default is cargo's own idea: each edge gets the newest range that it admits,
/// and the newest version, nearer crates before those further away.
fn policies() -> BTreeMap<String, Vec<Criterion>> {
    let criterion = Criterion::new;
    let passed_over = criterion(Measure::PassedOver, Scope::All);
    let cargo = vec![passed_over, criterion(Measure::Lag, Scope::Nearest)];
    let fewest = vec![
        criterion(Measure::Count, Scope::All),
        passed_over,
        criterion(Measure::Lag, Scope::Nearest),
    ];
    let oldest = vec![criterion(Measure::Lead, Scope::Nearest)];
    [("default", cargo.clone()), ("cargo", cargo), ("minimal", fewest), ("oldest", oldest)]
        .map(|(name, criteria)| (name.to_owned(), criteria))
        .into()
}
