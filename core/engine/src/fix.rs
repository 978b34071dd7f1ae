//! Sources that do not name their content: a branch, an archive without a checksum.
//!
//! A lock names all of it. So whoever calls the engine brings a [`Fixer`], which fetches such a source once;
//! what the lock before had of it is kept, and then nothing is fetched.

use crate::resolve::Request;
use x2nix_lock::Lock;
use x2nix_protocol::{Artifact, BuildAnswer, Diagnostic, PluginResult};

/// Learns what a source is that does not name its content.
pub trait Fixer: Send + Sync {
    /// The artifact with the commit and the hash of what is there now.
    ///
    /// # Errors
    ///
    /// Where it cannot be fetched.
    fn fix(&self, artifact: &Artifact) -> PluginResult<Artifact>;
}

/// Fixes all artifacts of an answer, or tells of all that cannot be.
pub(crate) fn fix(
    request: &Request,
    platform: &str,
    answer: &mut BuildAnswer,
) -> Result<(), Box<Diagnostic>> {
    let mut refused: Vec<Diagnostic> = Vec::new();
    for (key, artifact) in answer.artifacts.iter_mut().filter(|(_, it)| !it.is_fixed()) {
        let kept = request.previous.as_ref().and_then(|lock| kept(lock, key, platform));
        if let Some(kept) = kept.filter(|kept| artifact.agrees(kept)) {
            artifact.clone_from(kept);
            continue;
        }
        let fixed = match &request.fixer {
            Some(fixer) => fixer.fix(artifact),
            None => Err(Diagnostic::not_supported("fetching sources").into()),
        };
        match fixed {
            Ok(fixed) if fixed.is_fixed() && artifact.agrees(&fixed) => *artifact = fixed,
            Ok(_) => {
                let message = format!("the source of {key} was fetched, and has no hash");
                refused.push(Diagnostic::error("engine::fix", message));
            }
            Err(error) => refused.push(told(key, artifact, *error)),
        }
    }
    let mut refused = refused.into_iter();
    match refused.next() {
        None => Ok(()),
        Some(first) => Err(Box::new(Diagnostic { also: refused.collect(), ..first })),
    }
}

fn kept<'l>(lock: &'l Lock, key: &str, platform: &str) -> Option<&'l Artifact> {
    lock.artifacts.get(&format!("{key}/{platform}")).or_else(|| lock.artifacts.get(key))
}

fn told(key: &str, artifact: &Artifact, error: Diagnostic) -> Diagnostic {
    let why = match artifact {
        Artifact::Git { .. } => "a revision of Git, is fetched once to record its hash",
        _ => "which has no checksum, is fetched once to record one",
    };
    let message = format!("the source of {key}, {why}: {}", error.message);
    Diagnostic { message, ..error }
}
