//! What was chosen, for cargo: its lock file; and for people and tests: which features are on.

use crate::{
    features::{self, Build, Node},
    lockfile::{self, LOCKFILE, Package},
    plugin::{ALL_FEATURES, CARGO_FEATURES, CARGO_LOCK, FEATURES, NO_DEFAULT_FEATURES},
    session::{CargoSession, Place, Told},
    source::{Registry, Source},
    summary::{DEFAULT, Summary},
    target::Target,
};
use rustc_hash::FxHashMap;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use x2nix_protocol::{
    Blob, Diagnostic, ExportAnswer, ExportRequest, FileContent, InputKind, NameId, PluginResult,
    ReadRequest,
};

/// A chosen package.
struct Chosen<'s> {
    name: String,
    source: Source,
    told: &'s Told,
    summary: Summary,
    /// The features that are on in the choice of versions.
    on: BTreeSet<String>,
    member: bool,
}

/// The chosen packages and what stands for what.
struct Graph<'s> {
    packages: Vec<Chosen<'s>>,
    /// The chosen versions of a name by their position in the list of what was told, the preferred one
    /// first, each with its package.
    by_name: FxHashMap<NameId, BTreeMap<u32, usize>>,
}

/// Writes what was chosen in a form.
pub(crate) fn export(
    session: &CargoSession,
    request: &ExportRequest,
) -> PluginResult<ExportAnswer> {
    let graph = Graph::new(session, request)?;
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

impl<'s> Graph<'s> {
    fn new(session: &'s CargoSession, request: &ExportRequest) -> PluginResult<Self> {
        let broken = |what: &str| Box::new(Diagnostic::error("cargo::protocol", what));
        let mut packages: Vec<Chosen<'s>> = Vec::new();
        let mut by_name: FxHashMap<NameId, BTreeMap<u32, usize>> = FxHashMap::default();
        let mut patched = Vec::new();
        for chosen in &request.chosen {
            let unknown = || broken("asked to export something that was never told of");
            let (name, source) = session.numbers.named(chosen.name).ok_or_else(unknown)?;
            let told = session.told.get(&chosen.name).ok_or_else(unknown)?;
            let told = told.get(chosen.candidate as usize).ok_or_else(unknown)?;
            if let Place::Patch(folder) = &told.place {
                patched.push((chosen.name, chosen.candidate, name, folder));
                continue;
            }
            let summary = session
                .summary(source, told)
                .map_err(|why| broken(&format!("{name} {} cannot be read: {why}", told.version)))?;
            let member = match &told.place {
                Place::Folder(folder) => session
                    .workspace
                    .as_ref()
                    .and_then(|workspace| workspace.locals.get(folder))
                    .is_some_and(|local| local.member),
                _ => false,
            };
            by_name.entry(chosen.name).or_default().insert(chosen.candidate, packages.len());
            packages.push(Chosen {
                name: name.clone(),
                source: source.clone(),
                told,
                summary,
                on: chosen.features.iter().cloned().collect(),
                member,
            });
        }
        // What takes the place of a version is the package in the folder.
        for (id, position, name, folder) in patched {
            let stand_in =
                |it: &Chosen<'_>| it.name == *name && it.source == Source::Path(folder.clone());
            let at = packages.iter().position(stand_in);
            let at = at.ok_or_else(|| broken("a patch is chosen without its package"))?;
            by_name.entry(id).or_default().insert(position, at);
        }
        Ok(Self { packages, by_name })
    }

    /// The dependencies of a package that are met, by their position in its summary, with the packages
    /// that meet them: of several that fit, the preferred one that has the features.
    fn edges(&self, session: &CargoSession, at: usize) -> BTreeMap<usize, usize> {
        let package = &self.packages[at];
        let mut edges = BTreeMap::new();
        for (dependency, asked) in package.summary.needed(&package.on, package.member) {
            let position =
                package.summary.dependencies.iter().position(|it| std::ptr::eq(it, dependency));
            let chosen = session
                .numbers
                .known(&dependency.package, &dependency.source)
                .and_then(|name| Some((self.by_name.get(&name)?, session.told.get(&name)?)));
            let (Some(position), Some((chosen, told))) = (position, chosen) else { continue };
            let fits = |(at, _): &(&u32, &usize)| {
                let told = told.get(**at as usize);
                told.is_some_and(|told| dependency.req.matches(&told.version))
            };
            let has = |(_, at): &(&u32, &usize)| asked.is_subset(&self.packages[**at].on);
            let fitting: Vec<_> = chosen.iter().filter(fits).collect();
            let best = fitting.iter().find(|it| has(it)).or(fitting.first());
            if let Some((_, to)) = best {
                edges.insert(position, **to);
            }
        }
        edges
    }

    fn lock(&self, session: &CargoSession) -> PluginResult<String> {
        let mut packages = Vec::with_capacity(self.packages.len());
        for (at, package) in self.packages.iter().enumerate() {
            let (source, checksum) = match (&package.told.place, &package.source) {
                (Place::Entry(entry), Source::Registry(registry)) => {
                    (Some(registry_source(session, registry)?), Some(entry.checksum.clone()))
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
            let Source::Path(folder) = &patch.source else { continue };
            let workspace = session.workspace.as_ref();
            let local = workspace.and_then(|workspace| workspace.locals.get(folder));
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
        let on = features::resolve(&Build { nodes, members, resolver, target: &target, host });
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
fn asked(session: &CargoSession, summary: &Summary) -> BTreeSet<String> {
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
        Registry::Default => default_registry(session),
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

#[cfg(not(target_family = "wasm"))]
#[allow(clippy::unnecessary_wraps)] // not so elsewhere
fn default_registry(_: &CargoSession) -> Option<String> {
    Some(format!("registry+{}", tame_index::CRATES_IO_INDEX))
}

#[cfg(target_family = "wasm")]
fn default_registry(session: &CargoSession) -> Option<String> {
    session.locked.registry.clone()
}
