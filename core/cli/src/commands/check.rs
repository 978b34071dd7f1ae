//! `x2nix check`: does a lock file still hold?

use super::{lock_bytes, lock_path, read_lock};
use crate::{
    ecosystems::{self, Ecosystem},
    package_set::{agree, wishes},
    paths::folder_of,
    plugins,
    preparer::{Builder, NO_NIX},
    project::{Wanted, open_inputs, unreadable},
    report::{Format, Stop, answer_json, done},
    settings::{SETTINGS, Settings},
};
use clap::ArgMatches;
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use x2nix_core::{
    Checked, Request,
    lock::{self, Lock, check_claims},
    protocol::{Diagnostic, Edge, Host, InputKind, Origin},
};
use x2nix_plugin_host::inputs::Place;

/// Runs the command.
pub(crate) fn run(
    ecosystems: &[Ecosystem],
    matches: &ArgMatches,
    format: Format,
) -> Result<(), Stop> {
    let path = lock_path(matches);
    let lock = read_lock(&path)?;
    let mut found = check_schema(&path)?;
    found.extend(check_claims(&lock));
    let ecosystem = &ecosystems::find(ecosystems, &lock.ecosystem)?;
    found.extend(check_settings(&lock, ecosystem, folder_of(&path))?);
    let wanted = wanted(&lock, &path)?;
    let missing = match first_missing(&wanted) {
        Some(path) => Some(format!("{} is not here", path.display())),
        None => match check_inputs(ecosystem, matches, &lock, &path, &wanted) {
            Ok(checked) => {
                found.extend(checked.stale);
                found.extend(checked.violations);
                None
            }
            // What is elsewhere may be out of reach, or something else now; the lock is no worse for it.
            Err(Stop::Refused(error)) if is_elsewhere(&error) || error.code == NO_NIX => {
                Some(error.message)
            }
            Err(stop) => return Err(stop),
        },
    };
    if !found.is_empty() {
        return Err(Stop::Failed(found));
    }
    tell(&lock, missing.as_deref(), format)
}

/// Asks the plugin again, over the inputs that the lock names.
fn check_inputs(
    ecosystem: &Ecosystem,
    matches: &ArgMatches,
    lock: &Lock,
    path: &Path,
    wanted: &[Wanted],
) -> Result<Checked, Stop> {
    let (host, request) = open(ecosystem, matches, lock, path, wanted)?;
    plugins::check_lock(ecosystem, lock)?;
    Ok(x2nix_core::check(ecosystem.plugin.as_ref(), &host, &request, lock)?)
}

/// Whether the settings beside the lock are still those that it was resolved with.
fn check_settings(
    lock: &Lock,
    ecosystem: &Ecosystem,
    folder: &Path,
) -> Result<Option<Diagnostic>, Stop> {
    let project = lock.inputs.iter().find(|input| input.kind == InputKind::Project);
    let Some(folder) = project.map(|project| folder.join(&project.location)) else {
        return Ok(None);
    };
    if !folder.exists() {
        return Ok(None);
    }
    let settings = Settings::read(&folder)?;
    let wishes = wishes(&settings, ecosystem, &lock.request.options);
    let what = if settings.ecosystem.as_ref().is_some_and(|name| *name != lock.ecosystem) {
        "its ecosystem"
    } else if !agree(&wishes, &lock.request.provided) {
        "what it provides"
    } else if settings.system != lock.request.system {
        "its [system]"
    } else if !settings.edges.iter().map(sides).eq(lock.request.edges.iter().map(sides)) {
        "an edge"
    } else if !settings.roots.iter().all(|root| lock.request.roots.contains(root)) {
        "its roots"
    } else if !settings
        .environment
        .iter()
        .all(|(key, value)| lock.request.environment.get(key) == Some(value))
    {
        "its [environment]"
    } else if !settings.changes().eq(lock.overrides.iter().map(|it| &it.change)) {
        "an override"
    } else {
        return Ok(None);
    };
    let message = format!("{SETTINGS} has changed since the lock was written: {what}");
    let help = "run `x2nix resolve` to bring the lock up to date; what still fits is kept";
    let origin = Origin::new(folder.join(SETTINGS).to_string_lossy(), None);
    Ok(Some(Diagnostic::error("check::stale", message).at(origin).help(help)))
}

fn sides(edge: &Edge) -> (&str, &str) {
    (&edge.from, &edge.needs)
}

fn wanted(lock: &Lock, path: &Path) -> Result<Vec<Wanted>, Stop> {
    lock.inputs.iter().map(|input| Wanted::of_lock(input, folder_of(path))).collect()
}

fn first_missing(wanted: &[Wanted]) -> Option<&Path> {
    wanted.iter().filter_map(Wanted::path).find(|path| !path.exists())
}

/// Whether a message is about an input that is not on this machine.
fn is_elsewhere(error: &Diagnostic) -> bool {
    let place = error.origin.as_ref().map(|origin| Place::parse(&origin.file));
    matches!(place, Some(Ok(Place::Url(_) | Place::Git(_))))
}

/// What a lock was made from, opened again, and the request that it answers.
pub(super) fn reopen(
    ecosystem: &Ecosystem,
    matches: &ArgMatches,
    lock: &Lock,
    path: &Path,
) -> Result<(Arc<dyn Host>, Request), Stop> {
    open(ecosystem, matches, lock, path, &wanted(lock, path)?)
}

fn open(
    ecosystem: &Ecosystem,
    matches: &ArgMatches,
    lock: &Lock,
    path: &Path,
    wanted: &[Wanted],
) -> Result<(Arc<dyn Host>, Request), Stop> {
    // Not all that open a lock again can be told to stay offline.
    let offline = matches!(matches.try_get_one::<bool>("offline"), Ok(Some(true)));
    let opened = open_inputs(ecosystem, wanted, folder_of(path), offline)?;
    let given = matches.get_one::<PathBuf>("nixpkgs").map(PathBuf::as_path);
    let folder = folder_of(path);
    let settings = Settings::read(folder)?;
    let request = Request {
        preparer: Some(Arc::new(Builder::new(&opened, path, folder, given, &settings))),
        inputs: opened.inputs,
        roots: lock.request.roots.clone(),
        platforms: lock.platforms.keys().cloned().collect(),
        environment: lock.request.environment.clone(),
        options: lock.request.options.clone(),
        provided: lock.request.provided.clone(),
        edges: lock.request.edges.clone(),
        ..Request::default()
    };
    Ok((opened.host, request))
}

fn tell(lock: &Lock, missing: Option<&str>, format: Format) -> Result<(), Stop> {
    if format == Format::Json {
        let checked = missing.is_none();
        return answer_json(
            &json!({ "status": "holds", "inputs_checked": checked, "not_checked": missing }),
        );
    }
    let count = lock.packages.len();
    done(
        &match missing {
            None => format!("the lock holds: {count} packages, checked against their inputs"),
            Some(missing) => format!(
                "the lock agrees with itself: {count} packages; {missing}, so what it says was not checked"
            ),
        },
        format,
    );
    Ok(())
}

/// Checks the file against the schema of lock files.
fn check_schema(path: &Path) -> Result<Vec<Diagnostic>, Stop> {
    /// More would only repeat the same mistake.
    const SHOWN: usize = 5;
    let text = lock_bytes(path).map_err(|error| unreadable(path, &error))?;
    let bug = |error: &dyn std::fmt::Display| Stop::Bug(error.to_string());
    let document: serde_json::Value = serde_json::from_slice(&text).map_err(|error| bug(&error))?;
    let schema = lock::schema().to_value();
    let validator = jsonschema::validator_for(&schema).map_err(|error| bug(&error))?;
    let report = |error: jsonschema::ValidationError<'_>| {
        let message = format!("{error}, at {}", error.instance_path());
        Diagnostic::error("check::schema", message).at(Origin::new(path.to_string_lossy(), None))
    };
    Ok(validator.iter_errors(&document).take(SHOWN).map(report).collect())
}
