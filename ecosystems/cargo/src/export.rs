//! What was chosen, for cargo: its lock file; and for people and tests: which features are on.

use crate::{
    chosen::Graph,
    features::{self, Build, Node},
    lockfile::{self, LOCKFILE, Package},
    plugin::{ALL_FEATURES, CARGO_FEATURES, CARGO_LOCK, FEATURES, NO_DEFAULT_FEATURES},
    session::{CargoSession, Place},
    source::{Registry, Source},
    summary::{DEFAULT, Summary},
    target::Target,
};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use x2nix_protocol::{
    Blob, Diagnostic, ExportAnswer, ExportRequest, FileContent, InputKind, PluginResult,
    ReadRequest,
};

/// Writes what was chosen in a form.
pub(crate) fn export(
    session: &CargoSession,
    request: &ExportRequest,
) -> PluginResult<ExportAnswer> {
    let graph = Graph::new(session, &request.chosen)?;
    let (name, text) = match request.format.as_str() {
        CARGO_LOCK => (LOCKFILE, graph.lock(session)?),
        CARGO_FEATURES => ("cargo-features.json", graph.features(session)?),
        other => {
            return Err(Box::new(Diagnostic::not_supported(&format!("the export {other:?}"))));
        }
    };
    let files = BTreeMap::from([(name.to_owned(), Blob(text.into_bytes()))]);
    Ok(ExportAnswer { files, notes: Vec::new() })
}

impl Graph<'_> {
    /// The text of a `Cargo.lock`.
    pub(crate) fn lock(&self, session: &CargoSession) -> PluginResult<String> {
        let mut packages = Vec::with_capacity(self.packages.len());
        for (at, package) in self.packages.iter().enumerate() {
            let (source, checksum) = match (&package.told.place, &package.source) {
                (Place::Entry(entry), Source::Registry(registry)) => {
                    (Some(registry_source(session, registry)?), Some(entry.checksum.clone()))
                }
                (_, Source::Git(place)) => {
                    let repositories = session.workspace.as_ref().map(|it| &it.repositories);
                    let repository = repositories.and_then(|it| it.get(place));
                    (repository.map(|it| it.source(place)), None)
                }
                _ => (None, None),
            };
            packages.push(Package {
                name: package.name.clone(),
                version: package.told.version.clone(),
                source,
                checksum,
                dependencies: self.edges(session, at).into_values().collect(),
            });
        }
        let mut unused = Vec::new();
        for (_, patch) in session.workspace.iter().flat_map(|workspace| &workspace.patches) {
            let workspace = session.workspace.as_ref();
            let local = workspace.and_then(|it| it.local(&patch.source, &patch.package));
            let local = local.map(|(_, local)| local);
            let used = self.packages.iter().any(|package| package.source == patch.source);
            if let (Some(local), false) = (local, used) {
                let summary = &local.summary;
                unused.push((summary.name.clone(), summary.version.to_string()));
            }
        }
        unused.sort();
        Ok(lockfile::write(&packages, &unused))
    }

    /// Which features of each crate are on in a build.
    fn features(&self, session: &CargoSession) -> PluginResult<String> {
        let platform = &session.request.platform;
        let target = Target::of(platform).ok_or_else(|| {
            let message = format!("it is not known what {platform} is to rustc");
            Box::new(Diagnostic::error("cargo::platform", message))
        })?;
        let macros = self.macros(session)?;
        let nodes: Vec<Node> = (0..self.packages.len())
            .map(|at| Node {
                summary: self.packages[at].summary.clone(),
                is_macro: macros[at],
                edges: self.edges(session, at),
            })
            .collect();
        let members = (0..self.packages.len()).filter(|&at| self.packages[at].member);
        let members = members.map(|at| (at, asked(session, &self.packages[at].summary))).collect();
        let resolver = session.workspace.as_ref().map_or(Ok(2), |it| it.root.resolver())?;
        let (nodes, host) = (&nodes, &target);
        let on = features::resolve(&Build { nodes, members, resolver, target: &target, host }).on;
        let mut lines: Vec<_> = on
            .iter()
            .map(|(&(at, on_host), features)| {
                let package = &self.packages[at];
                // Every crate has a default feature for us, but not every one states it.
                let features: Vec<_> = features
                    .iter()
                    .filter(|it| *it != DEFAULT || !package.summary.default_is_implied)
                    .collect();
                (
                    package.name.clone(),
                    package.told.version.clone(),
                    on_host,
                    json!({
                        "name": package.name,
                        "version": package.told.version.to_string(),
                        "for": if on_host { "host" } else { "target" },
                        "features": features,
                    }),
                )
            })
            .collect();
        lines.sort_by(|a, b| (&a.0, &a.1, a.2).cmp(&(&b.0, &b.1, b.2)));
        let lines: Vec<_> = lines.into_iter().map(|(.., line)| line).collect();
        let text = serde_json::to_string_pretty(&lines)
            .map_err(|error| Box::new(Diagnostic::error("cargo::protocol", error.to_string())))?;
        Ok(format!("{text}\n"))
    }

    /// Which packages are macros. A registry does not say; the sources do.
    fn macros(&self, session: &CargoSession) -> PluginResult<Vec<bool>> {
        let mut macros = vec![None; self.packages.len()];
        let mut open = Vec::new();
        for (at, package) in self.packages.iter().enumerate() {
            match (&package.told.place, &session.workspace) {
                (Place::Folder(folder), Some(workspace)) => {
                    let local = workspace.locals.get(folder);
                    macros[at] = Some(local.is_some_and(|local| local.manifest.is_macro()));
                }
                _ => open.push((at, format!("{}-{}", package.name, package.told.version))),
            }
        }
        for input in &session.request.inputs {
            if input.kind != InputKind::Repository {
                continue;
            }
            let paths = open.iter().map(|(_, folder)| format!("{folder}/Cargo.toml")).collect();
            let answer = session.host.read(&ReadRequest { tree: input.tree, paths })?;
            for ((at, folder), content) in open.iter().zip(answer.files) {
                if let FileContent::Found(bytes) = content {
                    let file = format!("{}:{folder}/Cargo.toml", input.label);
                    let manifest = crate::manifest::Manifest::parse(folder, &file, &bytes.0)?;
                    macros[*at] = Some(manifest.is_macro());
                }
            }
            open.retain(|(at, _)| macros[*at].is_none());
        }
        if let Some((_, first)) = open.first() {
            let message = format!("whether {first} is a macro is not known without its source");
            return Err(Box::new(
                Diagnostic::error("cargo::sources", message)
                    .help(
                        "name a folder with the crates unpacked, each as NAME-VERSION: --repo DIR",
                    )
                    .access(),
            ));
        }
        Ok(macros.into_iter().map(|it| it.unwrap_or(false)).collect())
    }
}

/// The features of a member that are asked for.
pub(crate) fn asked(session: &CargoSession, summary: &Summary) -> BTreeSet<String> {
    let options = &session.request.options;
    if options.contains_key(ALL_FEATURES) {
        return summary.features.keys().cloned().collect();
    }
    let named = options.get(FEATURES).into_iter().flatten();
    let named = named.flat_map(|text| text.split([',', ' ']));
    let named = named.filter(|name| summary.features.contains_key(*name)).map(str::to_owned);
    let default = (!options.contains_key(NO_DEFAULT_FEATURES)).then(|| DEFAULT.to_owned());
    named.chain(default).collect()
}

/// What a lock file calls a registry.
fn registry_source(session: &CargoSession, registry: &Registry) -> PluginResult<String> {
    let known = match registry {
        Registry::Default => Some(format!("registry+{}", env!("X2NIX_CARGO_REGISTRY"))),
        other => session.config.index(other).map(|index| {
            if index.starts_with("sparse+") { index } else { format!("registry+{index}") }
        }),
    };
    known.ok_or_else(|| {
        let message = "it is not known what a lock file calls this registry";
        Box::new(
            Diagnostic::error("cargo::registry", message)
                .help("a Cargo.lock that is there already says it"),
        )
    })
}
