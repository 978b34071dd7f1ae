//! The plugins that are linked in: the one place where ecosystems are named.

use crate::{plugins::Source, report::Stop};
use std::sync::Arc;
use x2nix_cargo::CargoPlugin;
use x2nix_core::protocol::{Describe, Diagnostic, Plugin};
use x2nix_opam::OpamPlugin;

/// A plugin and what it says of itself.
pub(crate) struct Ecosystem {
    pub(crate) describe: Describe,
    pub(crate) plugin: Arc<dyn Plugin>,
    /// The file that it comes from; none where it is linked in.
    pub(crate) source: Option<Source>,
}

/// How many bytes are kept in the cache for a plugin that is linked in.
const LINKED_IN: u64 = 2 << 30;
/// The same for one from a file that asks for no size of its own.
const FROM_FILE: u64 = 64 << 20;

impl Ecosystem {
    /// How many bytes of what is fetched for the plugin are kept.
    pub(crate) fn cache(&self) -> u64 {
        match &self.source {
            None => LINKED_IN,
            Some(source) => match (source.capabilities.cache, source.file.manifest.asks.cache) {
                (Some(granted), _) => granted,
                (None, Some(_)) => 0,
                (None, None) => FROM_FILE,
            },
        }
    }
}

/// All plugins that are linked in.
pub(crate) fn linked_in() -> Vec<Ecosystem> {
    let plugins: Vec<Arc<dyn Plugin>> = vec![Arc::new(OpamPlugin), Arc::new(CargoPlugin)];
    let linked_in =
        |plugin: Arc<dyn Plugin>| Ecosystem { describe: plugin.describe(), plugin, source: None };
    plugins.into_iter().map(linked_in).collect()
}

/// The plugin of an ecosystem.
pub(crate) fn find<'e>(ecosystems: &'e [Ecosystem], name: &str) -> Result<&'e Ecosystem, Stop> {
    ecosystems.iter().find(|ecosystem| ecosystem.describe.ecosystem == name).ok_or_else(|| {
        let known: Vec<_> =
            ecosystems.iter().map(|ecosystem| ecosystem.describe.ecosystem.as_str()).collect();
        Diagnostic::error("cli::ecosystem", format!("there is no ecosystem {name:?}"))
            .help(format!("known ecosystems: {}", known.join(", ")))
            .into()
    })
}
