//! What would help where there is no answer: changes of the request, each tried by asking the plugin
//! again and solving anew.
//!
//! What can be tried within the facts that are there is [`x2nix_solve::suggest`]. Here is what only
//! the plugin can read: the same root without its bound, a known name for an unknown one, another
//! platform. The core knows no ecosystem's syntax; but in every one a plain name is a root, and a
//! root begins with its name. A guess that is wrong has no answer, and is not suggested.

use crate::resolve::{Opened, Request};
use std::sync::Arc;
use x2nix_protocol::{Diagnostic, Host, Need, Plugin};
use x2nix_solve::{
    Explanation, Fact, Preference, SUGGESTIONS, Suggestion, SuggestionKind, feasible,
    suggest as suggest_within,
};

/// The platforms that are tried where some version is not for the one that was asked for.
const PLATFORMS: [&str; 5] =
    ["x86_64-linux", "aarch64-linux", "aarch64-darwin", "x86_64-darwin", "i686-linux"];

/// Finds what would help a request that has no answer on a platform: a few suggestions, the best
/// first. It costs a few solves, so it is not part of [`crate::resolve`].
///
/// # Errors
///
/// Where the inputs cannot be read again.
pub fn suggest(
    plugin: &dyn Plugin,
    host: &Arc<dyn Host>,
    request: &Request,
    platform: &str,
    explanation: &Explanation,
) -> Result<Vec<Suggestion>, Box<Diagnostic>> {
    let tried = |request: &Request, platform: &str| {
        let opened =
            Opened::new(plugin, host, request, platform, request.previous.as_ref()).ok()?;
        let chosen = feasible(&opened.universe, &Preference::default())?;
        Some((opened, chosen))
    };
    let opened = Opened::new(plugin, host, request, platform, request.previous.as_ref())?;
    let mut found = Vec::new();
    for change in changes(&opened, request, explanation) {
        let mut changed = request.clone();
        changed.roots[change.position].clone_from(&change.root);
        if let Some((opened, chosen)) = tried(&changed, platform) {
            let universe = &opened.universe;
            let named = chosen
                .iter()
                .find(|&&id| universe.name(universe.candidate(id).name).text == change.name);
            let with = named.map_or_else(|| change.name.clone(), |&id| universe.candidate_text(id));
            let before = &request.roots[change.position];
            let text = format!("ask for {} instead of {before}: then {with} would do", change.root);
            found.push(Suggestion { kind: change.kind, text });
        }
    }
    found.extend(suggest_within(&opened.universe, &Preference::default(), explanation));
    let elsewhere = explanation.facts.iter().any(|fact| matches!(fact, Fact::Excluded(_)));
    let better = found.iter().filter(|known| known.kind < SuggestionKind::Platform).count();
    if elsewhere && request.platforms.len() == 1 && better < SUGGESTIONS {
        let other = PLATFORMS
            .into_iter()
            .find(|&other| other != platform && tried(request, other).is_some());
        found.extend(other.map(|other| Suggestion {
            kind: SuggestionKind::Platform,
            text: format!("resolve for another platform: there is an answer for {other}"),
        }));
    }
    found.sort_by_key(|suggestion| suggestion.kind);
    found.truncate(SUGGESTIONS);
    Ok(found)
}

/// Another word for a root.
struct Change {
    position: usize,
    root: String,
    /// The name that is asked for then.
    name: String,
    kind: SuggestionKind,
}

/// What could be written instead of the roots that take part in a refusal.
fn changes(opened: &Opened, request: &Request, explanation: &Explanation) -> Vec<Change> {
    /// Each costs a solve.
    const TRIED: usize = 4;
    /// How many names are tried for an unknown one.
    const SIMILAR: usize = 2;
    let universe = &opened.universe;
    let mut changes = Vec::new();
    for fact in &explanation.facts {
        let Fact::Root(position) = *fact else { continue };
        let set = match &universe.roots[position].need {
            Need::Set(set) => *set,
            Need::Leaf(leaf) => leaf.set,
            _ => continue,
        };
        let name = universe.name(universe.set(set).name);
        let word = request.roots.iter().enumerate().find_map(|(position, root)| {
            let bound = root.strip_prefix(name.text.as_str())?;
            let ends =
                !bound.starts_with(|next: char| next.is_alphanumeric() || "-_+".contains(next));
            ends.then_some((position, bound))
        });
        let Some((position, bound)) = word else { continue };
        if name.candidates.is_empty() {
            changes.extend(name.similar.iter().take(SIMILAR).map(|similar| Change {
                position,
                root: format!("{similar}{bound}"),
                name: similar.clone(),
                kind: SuggestionKind::Name,
            }));
        } else if !bound.is_empty() {
            changes.push(Change {
                position,
                root: name.text.clone(),
                name: name.text.clone(),
                kind: SuggestionKind::RootBound,
            });
        }
    }
    changes.truncate(TRIED);
    changes
}
