//! Fetching, while a lock is made, what does not name its content.

use crate::progress::Bar;
use std::sync::{Mutex, PoisonError};
use x2nix_core::{
    Fixer,
    protocol::{Artifact, PluginResult},
};
use x2nix_plugin_host::inputs::{Network, Progress as _};

/// Fetches by the network of this machine, each source once.
#[derive(Debug, Default)]
pub(crate) struct Fetcher {
    network: Network,
    /// What was fetched: several platforms ask for the same.
    known: Mutex<Vec<(Artifact, Artifact)>>,
}

impl Fetcher {
    /// One that may use the network, or may not.
    pub(crate) fn new(offline: bool) -> Self {
        Self { network: Network { offline, ..Network::default() }, known: Mutex::default() }
    }
}

impl Fixer for Fetcher {
    fn fix(&self, artifact: &Artifact) -> PluginResult<Artifact> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, fixed)) = known.iter().find(|(asked, _)| asked == artifact) {
            return Ok(fixed.clone());
        }
        let name = match artifact {
            Artifact::Fetch { name, .. } | Artifact::Git { name, .. } => name.as_str(),
            Artifact::Local { path } | Artifact::Input { path, .. } => path.as_str(),
        };
        let bar = Bar::default();
        bar.begins(&name.escape_debug().to_string(), None);
        let fixed = x2nix_fetch::fix(artifact, &self.network);
        bar.ends();
        let fixed = fixed?;
        known.push((artifact.clone(), fixed.clone()));
        Ok(fixed)
    }
}
