//! The words of a story: versions, formulas, and what is missing.

use x2nix_model::{CandidateId, Universe};
use x2nix_protocol::{NameId, Need, SetId};

/// Beyond this a formula is shortened; its full text stays among the parts of its reason.
const LONGEST: usize = 90;

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn list(items: &[String], last: &str) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., final_one] => format!("{} {last} {final_one}", first.join(", ")),
    }
}

/// Some versions of one name, oldest first: `1.0, 1.1 and 1.2`, or `1.0 to 2.3 (12 versions)`.
///
/// The candidates are given in order of number: the newest first. `whole` says how they stand to all
/// versions of the name, where that is not plain.
pub(crate) fn versions(universe: &Universe, candidates: &[CandidateId], whole: bool) -> String {
    const LISTED: usize = 3;
    let text = |id: &CandidateId| universe.candidate(*id).facts.version.clone();
    let (Some(newest), Some(oldest)) = (candidates.first(), candidates.last()) else {
        return String::new();
    };
    let name = universe.candidate(*newest).name;
    let all = universe.candidates_of(name).count();
    let count = candidates.len();
    if count <= LISTED {
        let texts: Vec<_> = candidates.iter().rev().map(text).collect();
        let mut listed = list(&texts, "and");
        if whole && count == all {
            listed.push_str(if all == 1 { " (the only version)" } else { " (all versions)" });
        }
        return listed;
    }
    let between = oldest.index() - newest.index() + 1;
    let counted = if count == all {
        format!("all {all} versions")
    } else if count == between {
        format!("{count} versions")
    } else {
        format!("{count} of {between} versions")
    };
    format!("{} to {} ({counted})", text(oldest), text(newest))
}

/// A formula, shortened if it is a long list of alternatives.
pub(crate) fn formula(universe: &Universe, need: &Need) -> String {
    shortened(&universe.need_text(need))
}

/// A long list of alternatives, cut after some of them.
pub(crate) fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    let alternatives: Vec<_> = text.split(" | ").collect();
    let mut shown = String::new();
    let mut count = 0;
    for alternative in &alternatives {
        if count > 0 && shown.chars().count() + alternative.chars().count() > LONGEST {
            break;
        }
        if count > 0 {
            shown.push_str(" | ");
        }
        shown.push_str(alternative);
        count += 1;
    }
    match alternatives.len() - count {
        0 => shown,
        rest => format!("{shown} | … ({rest} more)"),
    }
}

/// The sets of some formulas, name by name in the order in which they turn up.
pub(crate) fn leaves(universe: &Universe, needs: &[&Need]) -> Vec<(NameId, Vec<SetId>)> {
    let mut names: Vec<(NameId, Vec<SetId>)> = Vec::new();
    for need in needs {
        Universe::leaves(need, &mut |set, _| {
            let name = universe.set(set).name;
            match names.iter_mut().find(|(other, _)| *other == name) {
                Some((_, sets)) => sets.push(set),
                None => names.push((name, vec![set])),
            }
        });
    }
    names
}

/// What formulas ask for that does not exist at all: a tail of a sentence, or nothing.
pub(crate) fn missing(universe: &Universe, needs: &[&Need]) -> String {
    let mut leaves = leaves(universe, needs);
    let lacks = |sets: &[SetId]| sets.iter().all(|&set| universe.set(set).members.is_empty());
    let lacking = |leaves: &[(NameId, Vec<SetId>)]| -> Vec<NameId> {
        leaves.iter().filter(|(_, sets)| lacks(sets)).map(|&(name, _)| name).collect()
    };
    // Where no version fits, there is no word to be lost on its features.
    let all = lacking(&leaves);
    leaves.retain(|(name, _)| {
        let of = universe.name(*name).feature_of.as_ref();
        of.is_none_or(|of| !all.contains(&of.name))
    });
    let missing = lacking(&leaves);
    let text = |&name: &NameId| universe.name_text(name);
    match missing.as_slice() {
        [] => String::new(),
        &[name] if leaves.len() == 1 => {
            let known = universe.name(name);
            let all: Vec<_> = universe.candidates_of(name).collect();
            if !all.is_empty() {
                let are = if all.len() == 1 { "is" } else { "are" };
                let all = versions(universe, &all, false).replace("(all ", "(");
                return format!(", but no version fits: there {are} {all}");
            }
            let similar = match known.similar.as_slice() {
                [] => String::new(),
                similar => format!("; did you mean {}?", list(similar, "or")),
            };
            format!(", but there is no package of that name{similar}")
        }
        missing if missing.len() == leaves.len() => ", but there is none of these".into(),
        missing => {
            let names: Vec<_> = missing.iter().map(text).collect();
            format!("; there is no such {}", list(&names, "or"))
        }
    }
}
