//! The plugins that are linked in: the one place where ecosystems are named.

use crate::{plugins::Source, report::Stop, user};
use std::{path::Path, sync::Arc};
use x2nix_cargo::CargoPlugin;
use x2nix_cargo_credentials::CargoCredentials;
use x2nix_core::{
    Joined,
    lock::AND,
    protocol::{Describe, Diagnostic, Plugin},
};
use x2nix_opam::OpamPlugin;
use x2nix_plugin_host::inputs::Credentials;

/// A plugin and what it says of itself.
#[derive(Clone)]
pub(crate) struct Ecosystem {
    pub(crate) describe: Describe,
    pub(crate) plugin: Arc<dyn Plugin>,
    /// The file that it comes from; none where it is linked in.
    pub(crate) source: Option<Arc<Source>>,
    /// Whose name the folder of the cache has in which is kept what is fetched for it.
    pub(crate) cached_as: String,
}

/// How many bytes are kept in the cache for a plugin that is linked in.
const LINKED_IN: u64 = 2 << 30;
/// The same for one from a file that asks for no size of its own.
const FROM_FILE: u64 = 64 << 20;

impl Ecosystem {
    pub(crate) fn new(plugin: Arc<dyn Plugin>, source: Option<Arc<Source>>) -> Self {
        let describe = plugin.describe();
        let cached_as = describe.ecosystem.clone();
        Self { describe, plugin, source, cached_as }
    }

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

impl Ecosystem {
    /// Who the user is to servers that ask for it, for what a plugin that is linked in has fetched.
    pub(crate) fn credentials(&self, project: Option<&Path>) -> Option<Arc<dyn Credentials>> {
        let name = self.describe.ecosystem.as_str();
        self.source.is_none().then(|| credentials(name, project)).flatten()
    }
}

/// Who the user is to servers that sources of an ecosystem come from.
pub(crate) fn credentials(name: &str, project: Option<&Path>) -> Option<Arc<dyn Credentials>> {
    let project = project.map(Path::to_owned);
    let of_cargo = || CargoCredentials::new(project, user::folder("CARGO_HOME", ".cargo"));
    name.split(AND)
        .any(|name| name == "cargo")
        .then(|| Arc::new(of_cargo()) as Arc<dyn Credentials>)
}

/// All plugins that are linked in.
pub(crate) fn linked_in() -> Vec<Ecosystem> {
    let plugins: Vec<Arc<dyn Plugin>> = vec![Arc::new(OpamPlugin), Arc::new(CargoPlugin)];
    plugins.into_iter().map(|plugin| Ecosystem::new(plugin, None)).collect()
}

/// The plugin of an ecosystem, or of several with `+` between their names.
pub(crate) fn find(ecosystems: &[Ecosystem], name: &str) -> Result<Ecosystem, Stop> {
    let find = |name: &str| {
        let mut known = ecosystems.iter();
        known
            .find(|it| it.describe.ecosystem == name)
            .cloned()
            .ok_or_else(|| unknown(ecosystems, name))
    };
    let parts: Vec<&str> = name.split(AND).collect();
    if let [only] = parts.as_slice() {
        return find(only);
    }
    let parts = parts.into_iter().map(find).collect::<Result<Vec<_>, _>>()?;
    let twice = |(place, it): (usize, &Ecosystem)| {
        parts[..place].iter().any(|known| known.describe.ecosystem == it.describe.ecosystem)
    };
    let mut sources = parts.iter().filter_map(|part| part.source.clone());
    let source = sources.next();
    if parts.iter().enumerate().any(twice) || sources.next().is_some() {
        let message = format!("{name:?} cannot be joined");
        return Err(Diagnostic::error("cli::ecosystem", message)
            .help("name each ecosystem once; one of the plugins may come from a file")
            .into());
    }
    // Those who know where packages come from are those who fetch.
    let fetching = parts.iter().find(|part| part.describe.finds_repositories);
    let cached_as = fetching.or(parts.first()).map(|part| part.cached_as.clone());
    let plugin = Joined::new(parts.into_iter().map(|part| part.plugin).collect());
    let joined = Ecosystem::new(Arc::new(plugin), source);
    Ok(Ecosystem { cached_as: cached_as.unwrap_or_default(), ..joined })
}

fn unknown(ecosystems: &[Ecosystem], name: &str) -> Stop {
    let known: Vec<_> =
        ecosystems.iter().map(|ecosystem| ecosystem.describe.ecosystem.as_str()).collect();
    Diagnostic::error("cli::ecosystem", format!("there is no ecosystem {name:?}"))
        .help(format!("known ecosystems: {}; `+` joins several", known.join(", ")))
        .into()
}
