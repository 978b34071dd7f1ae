//! `x2nix tree`: the dependency tree of a lock file.

use super::{lock_path, platform_of, read_lock};
use crate::report::{Format, Stop, answer, answer_json};
use clap::ArgMatches;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use x2nix_core::{
    lock::{Lock, LockedNeed},
    protocol::Diagnostic,
};

/// Runs the command.
pub(crate) fn run(matches: &ArgMatches, format: Format) -> Result<(), Stop> {
    let lock = read_lock(&lock_path(matches))?;
    let platform = platform_of(matches, &lock)?;
    let deepest = matches.get_one::<usize>("depth").copied().unwrap_or(usize::MAX);
    let lines = match matches.get_one::<String>("invert") {
        None => lines(&lock, &platform, deepest),
        Some(name) => inverted(&lock, &platform, name, deepest)?,
    };
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
    let needed = |id: &str| {
        lock.package(id, platform).map(|package| ids(&package.depends)).unwrap_or_default()
    };
    walk(ids(&answer.roots), needed, deepest)
}

/// The tree of what needs a package.
fn inverted<'l>(
    lock: &'l Lock,
    platform: &str,
    name: &str,
    deepest: usize,
) -> Result<Vec<Line<'l>>, Stop> {
    let packages =
        lock.platforms.get(platform).map(|answer| answer.packages.as_slice()).unwrap_or_default();
    let mut needed_by: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut roots = Vec::new();
    for id in packages {
        let Some(package) = lock.package(id, platform) else { continue };
        if package.name == name {
            roots.push(id.as_str());
        }
        for needed in ids(&package.depends) {
            needed_by.entry(needed).or_default().push(id);
        }
    }
    if roots.is_empty() {
        return Err(Diagnostic::error(
            "tree::not-chosen",
            format!("{name} was not chosen for {platform}"),
        )
        .help("`x2nix tree` without --invert shows what was chosen")
        .into());
    }
    Ok(walk(roots, |id| needed_by.get(id).cloned().unwrap_or_default(), deepest))
}

fn walk<'l>(
    roots: Vec<&'l str>,
    next: impl Fn(&str) -> Vec<&'l str>,
    deepest: usize,
) -> Vec<Line<'l>> {
    let mut lines = Vec::new();
    let mut shown = BTreeSet::new();
    // An explicit stack, deepest first: a hostile lock may chain a million packages.
    let mut stack: Vec<(usize, &str)> = roots.into_iter().rev().map(|id| (0, id)).collect();
    while let Some((depth, id)) = stack.pop() {
        let below = next(id);
        let repeated = !below.is_empty() && !shown.insert(id);
        lines.push(Line { depth, id, repeated });
        if !repeated && depth < deepest {
            stack.extend(below.into_iter().rev().map(|id| (depth + 1, id)));
        }
    }
    lines
}
