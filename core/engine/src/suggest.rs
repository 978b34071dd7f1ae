//! What would help where there is no answer: changes of the request, each tried by asking the plugin
//! again and solving anew.
//!
//! What can be tried within the facts that are there is [`x2nix_solve::suggest`]. Here is what only
//! the plugin can read: the same root without its bound, a known name for an unknown one, another
//! platform. The core knows no ecosystem's syntax; but in every one a plain name is a root, and a
//! root begins with its name. A guess that is wrong has no answer, and is not suggested.

use crate::resolve::{Goal, Opened, Request, criteria_of, policy_of};
use rustc_hash::FxHashSet;
use std::{borrow::Cow, sync::Arc};
use x2nix_protocol::{Diagnostic, Host, Need, Plugin};
use x2nix_solve::{
    Explanation, Fact, Outcome, Preference, SUGGESTIONS, Suggestion, SuggestionKind, feasible,
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
        let mut opened =
            Opened::new(plugin, host, request, platform, request.previous.as_ref()).ok()?;
        loop {
            let chosen = feasible(&opened.universe, &Preference::default())?;
            // An answer counts once all that is in it is known.
            if !opened.learn(&chosen).ok()? {
                return Some((opened, chosen));
            }
        }
    };
    let mut opened = Opened::new(plugin, host, request, platform, request.previous.as_ref())?;
    // What was learnt on the way to the explanation has numbers that this universe lacks: it is gone once
    // more, and what it ends with speaks of this universe.
    let known = opened.universe.candidates.iter().all(|candidate| candidate.known);
    let explanation = if known {
        Cow::Borrowed(explanation)
    } else {
        let describe = plugin.describe();
        let criteria = criteria_of(&describe, policy_of(request))?;
        let (previous, elsewhere) = (request.previous.as_ref(), &FxHashSet::default());
        let goal = Goal { criteria, previous, request, platform, elsewhere };
        match opened.answer(host, &goal)? {
            Outcome::Unsolvable(explanation) => Cow::Owned(explanation),
            Outcome::Solved(_) => return Ok(Vec::new()),
        }
    };
    let explanation = explanation.as_ref();
    let mut found = Vec::new();
    for Change { words, kind } in changes(&opened, request, explanation) {
        let mut changed = request.clone();
        for word in &words {
            changed.roots[word.position].clone_from(&word.root);
        }
        let Some((opened, chosen)) = tried(&changed, platform) else { continue };
        let universe = &opened.universe;
        let chosen_of = |name: &str| {
            let mut chosen = chosen.iter();
            chosen.find(|&&id| universe.name(universe.candidate(id).name).text == name)
        };
        let mut asks = Vec::new();
        let mut fits = Vec::new();
        for Word { position, root, name } in &words {
            asks.push(format!("{root} instead of {}", request.roots[*position]));
            fits.extend(chosen_of(name).map(|&id| universe.candidate_text(id)));
        }
        let text = format!("ask for {}: then {} would do", asks.join(" and "), fits.join(" and "));
        found.push(Suggestion { kind, text });
    }
    found.extend(suggest_within(&opened.universe, &Preference::default(), explanation));
    let elsewhere = explanation.facts.iter().any(|fact| matches!(fact, Fact::Excluded(_)));
    let better = found.iter().filter(|known| known.kind < SuggestionKind::Platform).count();
    if elsewhere && request.platforms.len() == 1 && better < SUGGESTIONS {
        // Nothing is built for another platform only to say that it would have an answer.
        let unprepared = Request { preparer: None, ..request.clone() };
        let other = PLATFORMS
            .into_iter()
            .find(|&other| other != platform && tried(&unprepared, other).is_some());
        found.extend(other.map(|other| Suggestion {
            kind: SuggestionKind::Platform,
            text: format!("resolve for another platform: there is an answer for {other}"),
        }));
    }
    found.sort_by_key(|suggestion| suggestion.kind);
    found.truncate(SUGGESTIONS);
    Ok(found)
}

/// Other words for some roots.
struct Change {
    words: Vec<Word>,
    kind: SuggestionKind,
}

/// Another word for a root.
struct Word {
    position: usize,
    root: String,
    /// The name that is asked for then.
    name: String,
}

/// What could be written instead of the roots that take part in a refusal. All names that do not
/// exist are changed together: with one of them there is no answer.
fn changes(opened: &Opened, request: &Request, explanation: &Explanation) -> Vec<Change> {
    /// Each costs a solve.
    const TRIED: usize = 4;
    /// How many names are tried for an unknown one.
    const SIMILAR: usize = 2;
    let universe = &opened.universe;
    let mut unknown: [Vec<Word>; SIMILAR] = Default::default();
    let mut changes = Vec::new();
    let mut taken = Vec::new();
    for (index, root) in universe.roots.iter().enumerate() {
        let set = match &root.need {
            Need::Set(set) => *set,
            Need::Leaf(leaf) => leaf.set,
            _ => continue,
        };
        let name = universe.name(universe.set(set).name);
        let Some((position, bound)) = word_of(&request.roots, &name.text, &taken) else { continue };
        taken.push(position);
        if name.candidates.is_empty() {
            for (similar, words) in name.similar.iter().zip(&mut unknown) {
                let root = format!("{similar}{bound}");
                words.push(Word { position, root, name: similar.clone() });
            }
        } else if !bound.is_empty() && explanation.facts.contains(&Fact::Root(index)) {
            let word = Word { position, root: name.text.clone(), name: name.text.clone() };
            changes.push(Change { words: vec![word], kind: SuggestionKind::RootBound });
        }
    }
    let names = unknown.into_iter().filter(|words| !words.is_empty());
    let mut all: Vec<_> = names.map(|words| Change { words, kind: SuggestionKind::Name }).collect();
    all.append(&mut changes);
    all.truncate(TRIED);
    all
}

/// The first root that begins with a name and was not taken for another: its position, and what
/// follows the name.
fn word_of<'r>(roots: &'r [String], name: &str, taken: &[usize]) -> Option<(usize, &'r str)> {
    let part_of_name = |next: char| next.is_alphanumeric() || "-_+".contains(next);
    roots.iter().enumerate().find_map(|(position, root)| {
        let bound = root.strip_prefix(name)?;
        let whole = !bound.starts_with(part_of_name);
        (whole && !taken.contains(&position)).then_some((position, bound))
    })
}
