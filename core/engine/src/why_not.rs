//! Why other versions of a package were not chosen.

use crate::resolve::{Opened, Request};
use std::sync::Arc;
use x2nix_lock::Lock;
use x2nix_model::CandidateId;
use x2nix_protocol::{Diagnostic, Host, NameId, Plugin};
use x2nix_solve::{Obstacle, why_not as obstacles};

/// What became of the versions of a package.
#[derive(Debug, Clone)]
pub struct WhyNot {
    /// The version that was chosen, if any.
    pub chosen: Option<String>,
    /// The versions that were asked about, the newest first.
    pub alternatives: Vec<Alternative>,
}

/// A version that was not chosen.
#[derive(Debug, Clone)]
pub struct Alternative {
    /// The version.
    pub version: String,
    /// Whether it is newer than the chosen one.
    pub newer: bool,
    /// What stands in its way; nothing, if it fits as it is: then the lock keeps another, or the answer is
    /// better without it.
    pub obstacles: Vec<Obstacle>,
}

/// Holds versions of a package against a lock: one version, or all that are newer than the chosen.
///
/// # Errors
///
/// Where the inputs cannot be read, or the package has no such version.
pub fn why_not(
    plugin: &dyn Plugin,
    host: &Arc<dyn Host>,
    request: &Request,
    lock: &Lock,
    platform: &str,
    (name, version): (&str, Option<&str>),
) -> Result<WhyNot, Box<Diagnostic>> {
    let mut opened = Opened::new(plugin, host, request, platform, Some(lock))?;
    let universe = &opened.universe;
    let mut chosen: Vec<CandidateId> = opened.locked(lock, platform).into_iter().collect();
    chosen.sort_unstable();
    let unknown = |message: String| {
        Box::new(
            Diagnostic::error("why-not::unknown", message)
                .help("`x2nix tree` shows what was chosen"),
        )
    };
    let mut names = (0..).map(NameId).take(universe.names.len());
    let id = names
        .find(|&id| universe.name(id).text == name && universe.name(id).loaded)
        .ok_or_else(|| unknown(format!("nothing that was in question asks for {name}")))?;
    let current = chosen.iter().copied().find(|&chosen| universe.candidate(chosen).name == id);
    let asked: Vec<CandidateId> = match version {
        Some(version) => universe
            .candidates_of(id)
            .filter(|&id| universe.candidate(id).facts.version == version)
            .collect(),
        None => universe.candidates_of(id).take_while(|&id| Some(id) != current).collect(),
    };
    if let (Some(version), true) = (version, asked.is_empty()) {
        let all: Vec<_> = universe.candidates_of(id).collect();
        return Err(unknown(format!(
            "{name} has no version {version}; it has {}",
            universe.versions_text(&all)
        )));
    }
    // What a version needs may never have been asked for.
    let open = asked.iter().filter(|&&id| universe.candidate(id).facts.excluded.is_none());
    let open: Vec<_> = open.copied().collect();
    opened.learn(&open)?;
    let universe = &opened.universe;
    let alternative = |id| Alternative {
        newer: current.is_some_and(|current| id < current),
        version: universe.candidate(id).facts.version.clone(),
        obstacles: obstacles(universe, &chosen, id),
    };
    Ok(WhyNot {
        chosen: current.map(|id| universe.candidate(id).facts.version.clone()),
        alternatives: asked
            .into_iter()
            .filter(|&id| Some(id) != current)
            .map(alternative)
            .collect(),
    })
}
