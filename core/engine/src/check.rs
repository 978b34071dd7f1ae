//! Checking: does a lock still hold?

use crate::resolve::{Opened, Request, generated_inputs, locked_inputs};
use std::{collections::BTreeSet, sync::Arc};
use x2nix_lock::Lock;
use x2nix_model::{CandidateId, Universe};
use x2nix_protocol::{Diagnostic, Host, Plugin};
use x2nix_solve::verify;

/// What checking a lock against its inputs found.
#[derive(Debug, Default)]
pub struct Checked {
    /// Inputs that are not what they were when the lock was written.
    pub stale: Vec<Diagnostic>,
    /// What no longer holds.
    pub violations: Vec<Diagnostic>,
}

/// Asks the plugin again and verifies what the lock has chosen.
///
/// # Errors
///
/// Where the inputs cannot be read or the plugin refuses them.
pub fn check(
    plugin: &dyn Plugin,
    host: &Arc<dyn Host>,
    request: &Request,
    lock: &Lock,
) -> Result<Checked, Box<Diagnostic>> {
    let mut checked = Checked::default();
    let mut manifests = Vec::new();
    let mut further = Vec::new();
    let mut generated = Vec::new();
    for platform in &request.platforms {
        let mut opened = Opened::new(plugin, host, request, platform, Some(lock))?;
        manifests = std::mem::take(&mut opened.manifests);
        further = std::mem::take(&mut opened.further);
        generated = generated_inputs(&opened.prepared, generated)?;
        check_platform(&opened, lock, platform, &mut checked.violations);
    }
    let inputs = locked_inputs(host.as_ref(), request, &manifests, generated, &further)?;
    for (was, is) in lock.inputs.iter().zip(&inputs) {
        if was.hash != is.hash {
            let message = format!("{} has changed since the lock was written", was.location);
            checked.stale.push(
                Diagnostic::error("check::stale", message).help(
                    "run `x2nix resolve` to bring the lock up to date; what still fits is kept",
                ),
            );
        }
    }
    Ok(checked)
}

fn check_platform(opened: &Opened, lock: &Lock, platform: &str, violations: &mut Vec<Diagnostic>) {
    let universe = &opened.universe;
    let mut chosen: Vec<CandidateId> = opened.locked(lock, platform).into_iter().collect();
    chosen.sort_unstable();
    violations.extend(missing(universe, lock, platform, &chosen));
    if let Err(found) = verify(universe, &chosen) {
        violations.extend(found.iter().map(|violation| {
            Diagnostic::error("check::violation", format!("on {platform}: {violation}"))
                .help("run `x2nix resolve` to find an answer that holds")
        }));
    }
}

/// Packages that a lock has for a platform and that are not among the candidates found for it.
pub(crate) fn missing(
    universe: &Universe,
    lock: &Lock,
    platform: &str,
    found: &[CandidateId],
) -> Option<Diagnostic> {
    /// More names would not tell more.
    const SHOWN: usize = 5;
    let packages = lock.platforms.get(platform).map(|answer| answer.packages.iter());
    let mut missing: BTreeSet<&str> = packages.into_iter().flatten().map(String::as_str).collect();
    for &id in found {
        missing.remove(universe.candidate_key(id).as_str());
    }
    let shown: Vec<_> = missing.iter().copied().take(SHOWN).collect();
    let rest = match missing.len().saturating_sub(SHOWN) {
        0 => String::new(),
        rest => format!(" and {rest} more"),
    };
    let message = format!(
        "locked for {platform}, but no longer asked for or no longer there: {}{rest}",
        shown.join(", ")
    );
    let help = "run `x2nix resolve` to bring the lock up to date; what still fits is kept";
    (!missing.is_empty()).then(|| Diagnostic::error("check::missing", message).help(help))
}
