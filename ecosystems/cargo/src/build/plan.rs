//! What is built: which crates, where each runs, with which features, and what it links.

use super::{
    sources::{self, Crate},
    targets::{self, Target as Made},
};
use crate::{
    chosen::{Chosen, Graph},
    export::asked,
    features::{self, Node, Resolved},
    manifest::Manifest,
    session::{CargoSession, Place, parse_root},
    source::{Registry, Source},
    summary::{DEFAULT, Dependency, Kind},
    target::Target,
};
use semver::VersionReq;
use std::collections::{BTreeMap, BTreeSet};
use x2nix_protocol::{Diagnostic, PluginResult};

/// One build of a crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Piece {
    /// The package.
    pub(super) at: usize,
    /// Whether it runs where the build runs.
    pub(super) builder: bool,
    /// Whether it is what the project shows, and not what others link.
    pub(super) shown: bool,
}

/// All that is known before units are made.
pub(super) struct Plan<'g> {
    pub(super) graph: &'g Graph<'g>,
    pub(super) crates: BTreeMap<usize, Crate>,
    /// What the project shows.
    pub(super) roots: Vec<usize>,
    pub(super) target: Target,
    edges: Vec<BTreeMap<usize, usize>>,
    resolved: Resolved,
    /// Whether the machine that builds has features of its own.
    apart: bool,
}

impl<'g> Plan<'g> {
    /// Finds out what is built, and reads its sources.
    pub(super) fn new(session: &CargoSession, graph: &'g Graph<'g>) -> PluginResult<Self> {
        let platform = &session.request.platform;
        let target = Target::of(platform).ok_or_else(|| {
            let message = format!("it is not known what {platform} is to rustc");
            Box::new(
                Diagnostic::error("cargo::platform", message)
                    .help("`--build nothing` chooses versions all the same"),
            )
        })?;
        let edges: Vec<_> = (0..graph.packages.len()).map(|at| graph.edges(session, at)).collect();
        let roots = roots(session, graph)?;
        let reached = reached(graph, &edges, &roots, &target);
        let crates = sources::read(session, graph, reached.into_iter())?;
        let root = manifest_of(session, &roots, &crates, graph);
        let resolver = root.map_or(Ok(2), Manifest::resolver)?;
        let nodes: Vec<Node> = graph
            .packages
            .iter()
            .enumerate()
            .map(|(at, package)| Node {
                summary: package.summary.clone(),
                is_macro: crates.get(&at).is_some_and(is_macro),
                edges: edges[at].clone(),
            })
            .collect();
        let members = roots
            .iter()
            .map(|&at| {
                let package = &graph.packages[at];
                let mut features = asked(session, &package.summary);
                features.retain(|feature| package.on.contains(feature));
                (at, features)
            })
            .collect();
        let build =
            features::Build { nodes: &nodes, members, resolver, target: &target, host: &target };
        let resolved = features::resolve(&build);
        let apart = resolver > 1;
        Ok(Self { graph, crates, roots, target, edges, resolved, apart })
    }

    pub(super) fn package(&self, at: usize) -> &'g Chosen<'g> {
        &self.graph.packages[at]
    }

    /// The features of a build that the crate itself states.
    pub(super) fn features(&self, piece: Piece) -> BTreeSet<&str> {
        let summary = &self.package(piece.at).summary;
        let on = self.resolved.on.get(&(piece.at, self.apart && piece.builder));
        let stated = |feature: &&String| *feature != DEFAULT || !summary.default_is_implied;
        on.into_iter().flatten().filter(stated).map(String::as_str).collect()
    }

    /// What the project shows of a package.
    pub(super) fn root(&self, at: usize) -> Option<Piece> {
        let made = self.crates.get(&at)?;
        let piece = Piece { at, builder: is_macro(made), shown: false };
        let c_library = made.targets.library.iter().flat_map(|library| &library.kinds);
        let c_library = c_library.into_iter().any(|kind| kind == "cdylib" || kind == "staticlib");
        let programs = self.programs(piece).next().is_some();
        let shown = programs || c_library || made.targets.library.is_none();
        Some(Piece { shown: shown && !piece.builder, ..piece })
    }

    /// The programs for which the features are on.
    pub(super) fn programs(&self, piece: Piece) -> impl Iterator<Item = &Made> {
        let features = self.features(piece);
        let programs = self.crates.get(&piece.at).into_iter().flat_map(|it| &it.targets.programs);
        programs.filter(move |it| it.required.iter().all(|need| features.contains(need.as_str())))
    }

    /// What the code of a piece links (`Kind::Normal`) or its build script does (`Kind::Build`): what it calls
    /// each, and which piece that is.
    pub(super) fn links(&self, piece: Piece, kind: Kind) -> PluginResult<Vec<(String, Piece)>> {
        let package = self.package(piece.at);
        let mut links = BTreeSet::new();
        for (position, &to) in &self.edges[piece.at] {
            let Some(dependency) = package.summary.dependencies.get(*position) else { continue };
            if dependency.kind != kind || !self.counts(piece, dependency) {
                continue;
            }
            let Some(made) = self.crates.get(&to) else { continue };
            let Some(library) = made.targets.library.as_ref().filter(|it| !kinds(it).is_empty())
            else {
                continue;
            };
            let renamed = dependency.name_in_toml != dependency.package;
            let name = if renamed {
                dependency.name_in_toml.replace('-', "_")
            } else {
                library.name.clone()
            };
            if !targets::is_identifier(&name) {
                let message = format!("{} calls a dependency {name:?}", package.name);
                return Err(Box::new(Diagnostic::error("cargo::target", message)));
            }
            let builder = piece.builder || kind == Kind::Build || is_macro(made);
            links.insert((name, Piece { at: to, builder, shown: false }));
        }
        Ok(links.into_iter().collect())
    }

    /// Whether a dependency counts on the machine that its crate runs on, and is on.
    fn counts(&self, piece: Piece, dependency: &Dependency) -> bool {
        let place = (piece.at, self.apart && piece.builder);
        let on = || self.resolved.dependencies.contains(&(place, dependency.name_in_toml.clone()));
        dependency.target.as_ref().is_none_or(|platform| self.target.is(platform))
            && (!dependency.optional || on())
    }
}

/// What others link of a library: one form of Rust's own.
pub(super) fn kinds(library: &Made) -> Vec<&str> {
    let has = |wanted: &str| library.kinds.iter().any(|kind| kind == wanted);
    ["proc-macro", "lib", "rlib", "dylib"].into_iter().find(|kind| has(kind)).into_iter().collect()
}

fn is_macro(made: &Crate) -> bool {
    made.targets.library.as_ref().is_some_and(Made::is_macro)
}

/// The packages that are built for their own sake: the members, and what was asked for by name.
pub(super) fn roots(session: &CargoSession, graph: &Graph<'_>) -> PluginResult<Vec<usize>> {
    let packages = || graph.packages.iter().enumerate();
    let mut roots: Vec<usize> =
        packages().filter(|(_, package)| package.member).map(|(at, _)| at).collect();
    let mentions = session.request.mentions.iter().map(|said| &said.text);
    for text in session.request.roots.iter().chain(mentions) {
        let (name, req) = parse_root(text)?;
        let found = packages().filter(|(_, package)| {
            package.name == name
                && matches!(package.source, Source::Registry(Registry::Default))
                && (req == VersionReq::STAR || req.matches(&package.told.version))
        });
        let best = found.max_by(|(_, a), (_, b)| a.told.version.cmp(&b.told.version));
        roots.extend(best.map(|(at, _)| at));
    }
    roots.sort_unstable();
    roots.dedup();
    Ok(roots)
}

/// What could be built, whatever features turn out to be on.
fn reached(
    graph: &Graph<'_>,
    edges: &[BTreeMap<usize, usize>],
    roots: &[usize],
    target: &Target,
) -> BTreeSet<usize> {
    let mut reached: BTreeSet<usize> = roots.iter().copied().collect();
    let mut next = roots.to_vec();
    while let Some(at) = next.pop() {
        for (position, &to) in &edges[at] {
            let Some(dependency) = graph.packages[at].summary.dependencies.get(*position) else {
                continue;
            };
            let here = dependency.target.as_ref().is_none_or(|platform| target.is(platform));
            if here && dependency.kind != Kind::Dev && reached.insert(to) {
                next.push(to);
            }
        }
    }
    reached
}

/// The manifest whose profile and resolver count: that of the workspace, or of the only crate that was asked for.
pub(super) fn manifest_of<'m>(
    session: &'m CargoSession,
    roots: &[usize],
    crates: &'m BTreeMap<usize, Crate>,
    graph: &Graph<'_>,
) -> Option<&'m Manifest> {
    match (&session.workspace, roots) {
        (Some(workspace), _) => Some(&workspace.root),
        (None, [only]) if matches!(graph.packages[*only].told.place, Place::Entry(_)) => {
            crates.get(only)?.manifest.as_ref()
        }
        _ => None,
    }
}
