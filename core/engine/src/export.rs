//! Writing what a lock has chosen for another tool of its ecosystem.

use crate::{
    check::missing,
    overrides::REPLACED,
    resolve::{Opened, Request, chosen},
};
use std::{collections::BTreeMap, sync::Arc};
use x2nix_lock::Lock;
use x2nix_model::CandidateId;
use x2nix_protocol::{Artifact, Diagnostic, ExportAnswer, ExportRequest, Host, Plugin};

/// Asks the plugin for the answer of one platform in the form `format`.
///
/// # Errors
///
/// Where the inputs cannot be read, no longer have what the lock has, or cannot be said in that form.
pub fn export(
    plugin: &dyn Plugin,
    host: &Arc<dyn Host>,
    request: &Request,
    lock: &Lock,
    platform: &str,
    format: &str,
) -> Result<ExportAnswer, Box<Diagnostic>> {
    let mut opened = Opened::new(plugin, host, request, platform, Some(lock))?;
    let mut candidates: Vec<CandidateId> = opened.locked(lock, platform).into_iter().collect();
    candidates.sort_unstable();
    if let Some(missing) = missing(&opened.universe, lock, platform, &candidates) {
        return Err(Box::new(missing));
    }
    let chosen = chosen(&opened.universe, &candidates);
    let artifacts = artifacts(lock, platform);
    let format = format.to_owned();
    let mut answer = opened.session.export(&ExportRequest { format, chosen, artifacts })?;
    let outside = |path: &&String| {
        path.is_empty()
            || path.contains('\0')
            || path.split('/').any(|part| matches!(part, "" | "." | ".."))
    };
    if let Some(path) = answer.files.keys().find(outside) {
        let what = format!("export: the file {path:?} would lie outside of the project");
        return Err(Box::new(Diagnostic::error("plugin::protocol", what)));
    }
    answer.notes.splice(0..0, opened.notes);
    Ok(answer)
}

/// The sources of one platform, by the keys that the plugin gave them.
fn artifacts(lock: &Lock, platform: &str) -> BTreeMap<String, Artifact> {
    let own = format!("/{platform}");
    let platforms: Vec<String> = lock.platforms.keys().map(|it| format!("/{it}")).collect();
    let is_of_another =
        |key: &str| platforms.iter().any(|other| *other != own && key.ends_with(other.as_str()));
    // A platform's own goes before what all have, and what the user says before both.
    let mut found: BTreeMap<String, (u8, &Artifact)> = BTreeMap::new();
    for (key, artifact) in lock.artifacts.iter().filter(|(key, _)| !is_of_another(key)) {
        let (general, is_own) = match key.strip_suffix(&own) {
            Some(general) => (general, true),
            None => (key.as_str(), false),
        };
        let (name, is_said) = match general.strip_suffix(REPLACED) {
            Some(name) => (name, true),
            None => (general, false),
        };
        let rank = u8::from(is_own) + 2 * u8::from(is_said);
        if found.get(name).is_none_or(|(known, _)| *known < rank) {
            found.insert(name.to_owned(), (rank, artifact));
        }
    }
    found.into_iter().map(|(name, (_, artifact))| (name, artifact.clone())).collect()
}
