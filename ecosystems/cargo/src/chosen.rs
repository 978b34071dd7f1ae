//! The chosen packages, and which of them meets which dependency.

use crate::{
    session::{CargoSession, Place, Told},
    source::Source,
    summary::Summary,
};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use x2nix_protocol::{Diagnostic, NameId, PluginResult};

/// A chosen package.
pub(crate) struct Chosen<'s> {
    pub(crate) name: String,
    pub(crate) source: Source,
    pub(crate) told: &'s Told,
    pub(crate) summary: Summary,
    /// The features that are on in the choice of versions.
    pub(crate) on: BTreeSet<String>,
    pub(crate) member: bool,
}

/// The chosen packages and what stands for what.
pub(crate) struct Graph<'s> {
    pub(crate) packages: Vec<Chosen<'s>>,
    /// The chosen versions of a name by their position in the list of what was told, the preferred one
    /// first, each with its package.
    pub(crate) by_name: FxHashMap<NameId, BTreeMap<u32, usize>>,
    /// The package of each chosen version, in the order of the request.
    pub(crate) of_chosen: Vec<usize>,
}

impl<'s> Graph<'s> {
    /// Finds out what the numbers of a request stand for.
    pub(crate) fn new(
        session: &'s CargoSession,
        chosen_versions: &[x2nix_protocol::Chosen],
    ) -> PluginResult<Self> {
        let broken = |what: &str| Box::new(Diagnostic::error("cargo::protocol", what));
        let mut packages: Vec<Chosen<'s>> = Vec::new();
        let mut by_name: FxHashMap<NameId, BTreeMap<u32, usize>> = FxHashMap::default();
        let mut patched = Vec::new();
        for chosen in chosen_versions {
            let unknown = || broken("asked about something that was never told of");
            let (name, source) = session.numbers.named(chosen.name).ok_or_else(unknown)?;
            let told = session.told.get(&chosen.name).ok_or_else(unknown)?;
            let told = told.get(chosen.candidate as usize).ok_or_else(unknown)?;
            if let Place::Patch(source) = &told.place {
                patched.push((chosen.name, chosen.candidate, name, source));
                continue;
            }
            let summary = session
                .summary(name, source, told)
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
        // What takes the place of a version is the package from elsewhere.
        for (id, position, name, source) in patched {
            let stand_in = |it: &Chosen<'_>| it.name == *name && it.source == *source;
            let at = packages.iter().position(stand_in);
            let at = at.ok_or_else(|| broken("a patch is chosen without its package"))?;
            by_name.entry(id).or_default().insert(position, at);
        }
        let of = |it: &x2nix_protocol::Chosen| by_name.get(&it.name)?.get(&it.candidate).copied();
        let of_chosen = chosen_versions.iter().filter_map(of).collect();
        Ok(Self { packages, by_name, of_chosen })
    }

    /// The dependencies of a package that are met, by their position in its summary, with the packages
    /// that meet them: of several that fit, the preferred one that has the features.
    pub(crate) fn edges(&self, session: &CargoSession, at: usize) -> BTreeMap<usize, usize> {
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
}
