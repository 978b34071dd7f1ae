//! `x2nix check`: does a lock file still hold?

use super::{lock_path, read_lock};
use crate::{
    ecosystems::{self, Ecosystem},
    paths::folder_of,
    project::{locked_paths, open_inputs, unreadable},
    report::{Format, Stop, answer_json, done},
};
use clap::ArgMatches;
use serde_json::json;
use std::{path::Path, sync::Arc};
use x2nix_core::{
    Request,
    lock::{Lock, check_claims},
    protocol::{Diagnostic, Host, Origin},
};

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
    let folder = folder_of(&path);
    let wanted = locked_paths(&lock.inputs, folder);
    let missing: Vec<_> =
        wanted.iter().filter(|(_, path)| !path.exists()).map(|(_, path)| path).collect();
    let inputs_checked = missing.is_empty();
    if inputs_checked {
        let ecosystem = ecosystems::find(ecosystems, &lock.ecosystem)?;
        let (host, request) = reopen(&lock, &path)?;
        let checked = x2nix_core::check(ecosystem.plugin.as_ref(), &host, &request, &lock)?;
        found.extend(checked.stale);
        found.extend(checked.violations);
    }
    if !found.is_empty() {
        return Err(Stop::Failed(found));
    }
    tell(&lock, missing.first().map(|path| path.as_path()), format)
}

/// What a lock was made from, opened again, and the request that it answers.
pub(super) fn reopen(lock: &Lock, path: &Path) -> Result<(Arc<dyn Host>, Request), Stop> {
    let folder = folder_of(path);
    let opened = open_inputs(&locked_paths(&lock.inputs, folder), folder)?;
    let request = Request {
        inputs: opened.inputs,
        roots: lock.request.roots.clone(),
        platforms: lock.platforms.keys().cloned().collect(),
        environment: lock.request.environment.clone(),
        options: lock.request.options.clone(),
        provided: lock.request.provided.clone(),
        ..Request::default()
    };
    Ok((opened.host, request))
}

fn tell(lock: &Lock, missing: Option<&Path>, format: Format) -> Result<(), Stop> {
    if format == Format::Json {
        return answer_json(&json!({ "status": "holds", "inputs_checked": missing.is_none() }));
    }
    let count = lock.packages.len();
    done(
        &match missing {
            None => format!("the lock holds: {count} packages, checked against their inputs"),
            Some(missing) => format!(
                "the lock agrees with itself: {count} packages; {} is not here, so what it says was not checked",
                missing.display()
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
    let text = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    let bug = |error: &dyn std::fmt::Display| Stop::Bug(error.to_string());
    let document: serde_json::Value = serde_json::from_slice(&text).map_err(|error| bug(&error))?;
    let schema = serde_json::to_value(schemars::schema_for!(Lock)).map_err(|error| bug(&error))?;
    let validator = jsonschema::validator_for(&schema).map_err(|error| bug(&error))?;
    let report = |error: jsonschema::ValidationError<'_>| {
        let message = format!("{error}, at {}", error.instance_path());
        Diagnostic::error("check::schema", message).at(Origin::new(path.to_string_lossy(), None))
    };
    Ok(validator.iter_errors(&document).take(SHOWN).map(report).collect())
}
