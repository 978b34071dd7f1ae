//! `x2nix tree`: the dependency tree of a lock file.

use super::{lock_path, platform_of, read_lock};
use crate::report::{Format, Stop, answer, answer_json};
use clap::ArgMatches;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use x2nix_core::lock::{Lock, LockedNeed};

/// Runs the command.
pub(crate) fn run(matches: &ArgMatches, format: Format) -> Result<(), Stop> {
    let lock = read_lock(&lock_path(matches))?;
    let platform = platform_of(matches, &lock)?;
    let deepest = matches.get_one::<usize>("depth").copied().unwrap_or(usize::MAX);
    let lines = lines(&lock, &platform, deepest);
    match format {
        Format::Json => {
            let entries: Vec<Value> = lines
                .iter()
                .map(|line| json!({ "depth": line.depth, "package": line.id, "repeated": line.repeated }))
                .collect();
            answer_json(&json!({ "platform": platform, "tree": entries }))
        }
        Format::Text => {
            let mut text = String::new();
            for line in lines {
                let again = if line.repeated { " (see above)" } else { "" };
                text.push_str(&format!(
                    "{}{}{again}\n",
                    "  ".repeat(line.depth),
                    line.id.replacen('@', " ", 1)
                ));
            }
            answer(&text)
        }
    }
}

struct Line<'l> {
    depth: usize,
    id: &'l str,
    /// Its dependencies were shown before.
    repeated: bool,
}

/// The ids that satisfy some needs, each once, sorted.
fn ids<'l>(needs: impl IntoIterator<Item = &'l LockedNeed>) -> Vec<&'l str> {
    let ids: BTreeSet<&str> =
        needs.into_iter().flat_map(|need| &need.by).map(String::as_str).collect();
    ids.into_iter().collect()
}

/// The lines of the tree; a package's dependencies are shown where it turns up first.
fn lines<'l>(lock: &'l Lock, platform: &str, deepest: usize) -> Vec<Line<'l>> {
    let Some(answer) = lock.platforms.get(platform) else { return Vec::new() };
    let mut lines = Vec::new();
    let mut shown = BTreeSet::new();
    // An explicit stack, deepest first: a hostile lock may chain a million packages.
    let mut stack: Vec<(usize, &str)> =
        ids(&answer.roots).into_iter().rev().map(|id| (0, id)).collect();
    while let Some((depth, id)) = stack.pop() {
        let needed =
            lock.package(id, platform).map(|package| ids(&package.depends)).unwrap_or_default();
        let repeated = !needed.is_empty() && !shown.insert(id);
        lines.push(Line { depth, id, repeated });
        if !repeated && depth < deepest {
            stack.extend(needed.into_iter().rev().map(|id| (depth + 1, id)));
        }
    }
    lines
}
