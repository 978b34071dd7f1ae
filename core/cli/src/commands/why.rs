//! `x2nix why`: the shortest way from the request to a package.

use super::{lock_path, platform_of, read_lock};
use crate::report::{Format, Stop, answer, answer_json};
use clap::ArgMatches;
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use x2nix_core::{
    lock::{Lock, LockedNeed},
    protocol::Diagnostic,
};

/// One step of the way: who needs what, and which package that is.
struct Step<'l> {
    owner: Option<&'l str>,
    need: &'l LockedNeed,
    id: &'l str,
}

/// Runs the command.
pub(crate) fn run(matches: &ArgMatches, format: Format) -> Result<(), Stop> {
    let lock = read_lock(&lock_path(matches))?;
    let platform = platform_of(matches, &lock)?;
    let name = matches.get_one::<String>("name").map(String::as_str).unwrap_or_default();
    let steps = way(&lock, &platform, name).ok_or_else(|| {
        Diagnostic::error("why::not-chosen", format!("{name} was not chosen for {platform}"))
            .help("`x2nix tree` shows what was chosen")
    })?;
    match format {
        Format::Json => {
            let steps: Vec<_> = steps
                .iter()
                .map(|step| json!({ "owner": step.owner, "need": step.need.need, "by": step.id, "origin": step.need.origin }))
                .collect();
            answer_json(&json!({ "platform": platform, "package": name, "why": steps }))
        }
        Format::Text => {
            let mut text = String::new();
            for (depth, step) in steps.iter().enumerate() {
                let owner = step.owner.map_or("you asked for".to_owned(), |id| {
                    format!("{} needs", id.replacen('@', " ", 1))
                });
                let place = step
                    .need
                    .origin
                    .as_ref()
                    .map(|origin| format!("  ({origin})"))
                    .unwrap_or_default();
                let id = step.id.replacen('@', " ", 1);
                text.push_str(&format!(
                    "{}{owner} {}: {id}{place}\n",
                    "  ".repeat(depth),
                    step.need.need
                ));
            }
            answer(&text)
        }
    }
}

/// The shortest way from the roots to a package, by breadth-first search. Needs that only follow a
/// package that was chosen anyway are no reason.
fn way<'l>(lock: &'l Lock, platform: &str, name: &str) -> Option<Vec<Step<'l>>> {
    let answer = lock.platforms.get(platform)?;
    let mut came: BTreeMap<&str, Step<'l>> = BTreeMap::new();
    let mut queue = VecDeque::new();
    let mut visit =
        |owner: Option<&'l str>, needs: &'l [LockedNeed], queue: &mut VecDeque<&'l str>| {
            for need in needs.iter().filter(|need| !need.optional) {
                for id in &need.by {
                    came.entry(id).or_insert_with(|| {
                        queue.push_back(id);
                        Step { owner, need, id }
                    });
                }
            }
        };
    visit(None, &answer.roots, &mut queue);
    let mut found = None;
    while let Some(id) = queue.pop_front() {
        let package = lock.package(id, platform)?;
        if package.name == name {
            found = Some(id);
            break;
        }
        visit(Some(id), &package.depends, &mut queue);
    }
    let mut steps = Vec::new();
    let mut at = found;
    while let Some(step) = at.and_then(|id| came.remove(id)) {
        at = step.owner;
        steps.push(step);
    }
    steps.reverse();
    (!steps.is_empty()).then_some(steps)
}
