//! What the user changes of how packages are built.
//!
//! An override is data: which packages, why, and what of their units is otherwise. It is applied when
//! the lock is written, so that the lock holds the result and Nix has nothing to decide. What a
//! plugin says cannot be built is refused here, unless an override replaces just that part.

use crate::resolve::Request;
use std::collections::{BTreeMap, BTreeSet};
use x2nix_lock::Override;
use x2nix_protocol::{
    Artifact, Blob, Build, BuildAnswer, Diagnostic, EnvironmentOperation, Operation, Origin, Phase,
    Placed, Recipe, Selection, Source, Step, SystemNeed, Unit, UnitPart, Word,
};

/// An override, with what a lock does not repeat of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestOverride {
    /// What is changed.
    pub change: Override,
    /// Where the user wrote it.
    pub origin: Option<Origin>,
    /// The content of its patches, in their order.
    pub patches: Vec<Blob>,
}

/// The folder, in a source, of the patches that overrides bring.
const PATCHES: &str = ".x2nix";

/// The end of the key of an artifact that takes the place of the plugin's.
pub(crate) const REPLACED: &str = "/override";

/// What is asked of the plugin: which packages the overrides mean.
pub(crate) fn selections(request: &Request) -> Vec<Selection> {
    let selection = |it: &RequestOverride| Selection {
        text: it.change.package.clone(),
        origin: it.origin.clone(),
    };
    request.overrides.iter().map(selection).collect()
}

/// Applies overrides to what a plugin said, and refuses what still cannot be built.
pub(crate) fn apply(request: &Request, answer: &mut BuildAnswer) -> Result<(), Box<Diagnostic>> {
    let mut settled: BTreeSet<(String, UnitPart)> = BTreeSet::new();
    let mut placed = std::mem::take(&mut answer.placed);
    let selected = std::mem::take(&mut answer.selected);
    // First what is compiled by other units, so that what is said of those themselves stays.
    for (it, selected) in request.overrides.iter().zip(&selected) {
        for &position in selected {
            settled.extend(change_placed(it, position, &mut placed, answer)?);
        }
    }
    for (it, selected) in request.overrides.iter().zip(selected) {
        for position in selected {
            if placed.iter().any(|placed| placed.package == position) {
                continue;
            }
            let unit = answer.unit_of.get(position as usize).cloned().flatten();
            let further = answer.further.iter().filter(|further| further.package == position);
            let ids: Vec<String> =
                unit.into_iter().chain(further.map(|it| it.unit.clone())).collect();
            for id in ids {
                let parts = change(it, &id, &mut answer.units, &mut answer.artifacts);
                settled.extend(parts.into_iter().map(|part| (id.clone(), part)));
            }
        }
    }
    let units = answer.units.values();
    let builds = units.filter_map(|unit| match &unit.recipe {
        Recipe::Build(build) => Some(build),
        Recipe::Provided { .. } => None,
    });
    let used: BTreeSet<&String> =
        builds.flat_map(|build| &build.sources).map(|source| &source.artifact).collect();
    answer.artifacts.retain(|key, _| used.contains(key));
    let problems = std::mem::take(&mut answer.problems);
    let problems = problems.into_iter().filter(|it| !settled.contains(&(it.unit.clone(), it.part)));
    let mut left = problems.map(|it| it.diagnostic);
    match left.next() {
        None => Ok(()),
        Some(first) => Err(Box::new(Diagnostic { also: left.collect(), ..first })),
    }
}

/// Changes one unit; the parts of it that are no longer the plugin's.
fn change(
    RequestOverride { change, patches, .. }: &RequestOverride,
    id: &str,
    units: &mut BTreeMap<String, Unit>,
    artifacts: &mut BTreeMap<String, Artifact>,
) -> Vec<UnitPart> {
    let Some(unit) = units.get_mut(id) else { return Vec::new() };
    if let Some(attribute) = &change.attribute {
        unit.recipe = Recipe::Provided { attribute: Some(attribute.clone()) };
        unit.depends.clear();
        unit.exports.clear();
        return vec![UnitPart::Source, UnitPart::System, UnitPart::Other];
    }
    let Recipe::Build(build) = &mut unit.recipe else { return Vec::new() };
    let mut settled = Vec::new();
    if let Some(system) = &change.system {
        build.system.clone_from(system);
        settled.push(UnitPart::System);
    }
    if let Some(source) = &change.source {
        replace_source(build, id, source, artifacts);
        settled.push(UnitPart::Source);
    }
    build.system.extend(change.inputs.iter().cloned());
    build.system.sort_unstable();
    build.system.dedup();
    for (patch, content) in change.patches.iter().zip(patches) {
        let path = format!("{PATCHES}/{}", patch.path);
        build.files.insert(path.clone(), content.clone());
        build.patches.push(path);
    }
    set_all(build, change);
    if change.skip_tests {
        build.steps.retain(|step| step.phase != Phase::Check);
    }
    settled
}

/// Changes a package, if its sources are only a part of a unit: its folder there, and the units that
/// compile it. Gives the parts that are no longer the plugin's, by what problems call the package.
fn change_placed(
    RequestOverride { change, origin, patches }: &RequestOverride,
    position: u32,
    all: &mut [Placed],
    answer: &mut BuildAnswer,
) -> Result<Vec<(String, UnitPart)>, Box<Diagnostic>> {
    let mut settled = Vec::new();
    let own: Vec<usize> = (0..all.len()).filter(|&at| all[at].package == position).collect();
    for at in own {
        let Placed { name, unit, folder, compiled_by, .. } = all[at].clone();
        if change.attribute.is_some() {
            let message =
                format!("{name} is compiled in a workspace, so no attribute can stand in for it");
            let diagnostic = Diagnostic::error("override::workspace", message)
                .help("change its `source`, its `patches` or what it needs; or let the ecosystem have it from elsewhere");
            return Err(Box::new(Diagnostic { origin: origin.clone(), ..diagnostic }));
        }
        if let Some(build) = build_of(answer, &unit) {
            let steps = change.patches.iter().zip(patches).map(|(patch, content)| {
                let path = format!("{PATCHES}/{}", patch.path);
                build.files.insert(format!("{folder}/{path}"), content.clone());
                let words = ["patch", "-p1", "-d", &folder, "-i", &path].map(Word::text).to_vec();
                Step { phase: Phase::Prepare, words }
            });
            let steps: Vec<Step> = steps.collect();
            // Those of the plugin come first.
            let end = build.steps.iter().rposition(|step| step.phase == Phase::Prepare);
            let end = end.map_or(0, |last| last + 1);
            build.steps.splice(end..end, steps);
            if let Some(source) = &change.source {
                let key = format!("{name}{REPLACED}");
                if let Some(main) = build.sources.iter_mut().find(|it| it.to == folder) {
                    main.artifact.clone_from(&key);
                    answer.artifacts.insert(key, source.clone());
                }
                // All packages of the folder have it now.
                let here = all.iter().filter(|it| it.unit == unit && it.folder == folder);
                settled.extend(here.map(|it| (it.name.clone(), UnitPart::Source)));
            }
        }
        let needs = |all: &[Placed], unit: &String| -> BTreeSet<SystemNeed> {
            let here = all.iter().filter(|it| it.compiled_by.contains(unit));
            here.flat_map(|it| it.system.iter().cloned()).collect()
        };
        let before: Vec<_> = compiled_by.iter().map(|unit| needs(all, unit)).collect();
        if let Some(system) = &change.system {
            all[at].system.clone_from(system);
            settled.push((name, UnitPart::System));
        }
        all[at].system.extend(change.inputs.iter().cloned());
        for (unit, before) in compiled_by.iter().zip(before) {
            let after = needs(all, unit);
            let Some(build) = build_of(answer, unit) else { continue };
            build.system.retain(|need| !before.contains(need));
            build.system.extend(after);
            build.system.sort_unstable();
            build.system.dedup();
            set_all(build, change);
        }
    }
    Ok(settled)
}

fn build_of<'a>(answer: &'a mut BuildAnswer, unit: &str) -> Option<&'a mut Build> {
    match &mut answer.units.get_mut(unit)?.recipe {
        Recipe::Build(build) => Some(build),
        Recipe::Provided { .. } => None,
    }
}

/// Sets the variables of an override.
fn set_all(build: &mut Build, change: &Override) {
    for (variable, value) in &change.environment {
        let value = Word::text(value.clone());
        let operation = EnvironmentOperation::new(variable, Operation::Set, value);
        if !build.environment.contains(&operation) {
            build.environment.push(operation);
        }
    }
}

fn replace_source(
    build: &mut Build,
    id: &str,
    source: &Artifact,
    artifacts: &mut BTreeMap<String, Artifact>,
) {
    // The artifact may be shared with units that are not meant.
    let key = format!("{id}{REPLACED}");
    artifacts.insert(key.clone(), source.clone());
    match build.sources.first_mut() {
        Some(first) => first.artifact = key,
        None => build.sources.push(Source { artifact: key, ..Source::default() }),
    }
}

/// Warnings about overrides that mean none of the packages on any platform, nor any `used` elsewhere.
pub(crate) fn unused(
    request: &Request,
    applied: &[BTreeSet<String>],
    used: &[bool],
) -> Vec<Diagnostic> {
    let overrides = request.overrides.iter().zip(applied).zip(used);
    let unused = overrides.filter(|((_, packages), used)| packages.is_empty() && !**used);
    let unused = unused.map(|((it, _), _)| {
        let message = format!(
            "the override of {} means none of the packages: {}",
            it.change.package, it.change.reason
        );
        let warning = Diagnostic::warning("override::unused", message)
            .help("remove it, or mend its name and bound");
        Diagnostic { origin: it.origin.clone(), ..warning }
    });
    unused.collect()
}
