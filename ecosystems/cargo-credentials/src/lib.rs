//! Who the user is to registries of crates, as cargo knows it: tokens in the environment and in
//! `credentials.toml`, and credential providers.
//!
//! Nothing is looked up before a server asks who it is that wants a file. A registry is known by the address
//! of its index, from the configuration of the project or of the user; what it is told goes to the server of
//! that index alone. Programs are run only where the user's own configuration names them: a project could
//! name anything.

#![deny(missing_docs)]

mod config;
mod provider;

use config::{Config, Registry};
use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};
use x2nix_plugin_host::inputs::Credentials;
use x2nix_protocol::{Diagnostic, PluginResult};

/// What cargo would tell the registries of a project.
pub struct CargoCredentials {
    /// The project.
    project: Option<PathBuf>,
    /// The user's own folder of cargo.
    home: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    config: Option<Config>,
    /// What is told, by the address of an index.
    tokens: BTreeMap<String, String>,
}

impl fmt::Debug for CargoCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No secret is ever shown.
        f.debug_struct("CargoCredentials").finish_non_exhaustive()
    }
}

impl CargoCredentials {
    /// For a project, if there is one, and the user's own folder of cargo.
    pub fn new(project: Option<PathBuf>, home: Option<PathBuf>) -> Self {
        Self { project, home, state: Mutex::default() }
    }

    /// Does something with the configuration, which is read at the first time.
    fn with<T>(
        &self,
        act: impl FnOnce(&Config, &mut BTreeMap<String, String>) -> PluginResult<T>,
    ) -> PluginResult<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let config = match state.config.take() {
            Some(config) => config,
            None => Config::read(self.project.as_deref(), self.home.as_deref())?,
        };
        let result = act(&config, &mut state.tokens);
        state.config = Some(config);
        result
    }
}

impl Credentials for CargoCredentials {
    fn authorization(&self, url: &str, demanded: bool) -> PluginResult<Option<String>> {
        if !demanded {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let registry = state.config.as_ref().and_then(|config| config.registry_of(url));
            return Ok(registry.and_then(|registry| state.tokens.get(&registry.index)).cloned());
        }
        self.with(|config, tokens| {
            let Some(registry) = config.registry_of(url) else { return Ok(None) };
            if let Some(token) = tokens.get(&registry.index) {
                return Ok(Some(token.clone()));
            }
            let token = provider::token(config, registry)?;
            // In a header, everything else could mean something.
            let sendable = |token: &String| token.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            if token.as_ref().is_some_and(|token| !sendable(token)) {
                let what = "its token has characters that cannot be sent";
                return Err(failed(registry, what).help("log in again: cargo login").into());
            }
            tokens.extend(token.clone().map(|token| (registry.index.clone(), token)));
            Ok(token)
        })
    }

    fn help(&self, url: &str) -> Option<String> {
        let help = self.with(|config, tokens| {
            let Some(registry) = config.registry_of(url) else { return Ok(None) };
            if tokens.contains_key(&registry.index) {
                return Ok(Some("it does not take the token that it was told".to_owned()));
            }
            Ok(Some(match &registry.name {
                Some(name) => {
                    let variable = config::variable(name, "TOKEN");
                    format!("log in: cargo login --registry {name}, or set {variable}")
                }
                None => "give the registry a name: [registries.NAME] index = \"…\"".to_owned(),
            }))
        });
        help.ok().flatten()
    }
}

/// Something about a registry went wrong; no secret is in it.
fn failed(registry: &Registry, what: &str) -> Diagnostic {
    let name = registry.name.as_deref().unwrap_or(&registry.index);
    Diagnostic::error("cargo::credentials", format!("the registry {name}: {what}")).access()
}
