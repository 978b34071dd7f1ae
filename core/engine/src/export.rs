//! Writing what a lock has chosen for another tool of its ecosystem.

use crate::{
    check::missing,
    resolve::{Opened, Request, chosen},
};
use std::sync::Arc;
use x2nix_lock::Lock;
use x2nix_model::CandidateId;
use x2nix_protocol::{Diagnostic, ExportAnswer, ExportRequest, Host, Plugin};

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
    let mut answer = opened.session.export(&ExportRequest { format: format.to_owned(), chosen })?;
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
