//! `x2nix diff`: what changed between two lock files.

use super::read_lock;
use crate::report::{Format, Stop, answer, answer_json};
use clap::ArgMatches;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};
use x2nix_core::lock::Lock;

/// One change of one package.
#[derive(Debug, Serialize)]
struct Change<'l> {
    name: &'l str,
    /// The versions that only the old lock has.
    old: Vec<&'l str>,
    /// The versions that only the new lock has.
    new: Vec<&'l str>,
}

/// Runs the command.
pub(crate) fn run(matches: &ArgMatches, format: Format) -> Result<(), Stop> {
    let read = |name: &str| match matches.get_one::<PathBuf>(name) {
        Some(path) => read_lock(path),
        None => Err(Stop::Bug("diff without two files".into())),
    };
    let (old, new) = (read("old")?, read("new")?);
    let changes = changes(&old, &new);
    if format == Format::Json {
        return answer_json(&serde_json::json!({ "changes": changes }));
    }
    let mut text = String::new();
    for change in &changes {
        let (old, new) = (change.old.join(", "), change.new.join(", "));
        text.push_str(&match (change.old.is_empty(), change.new.is_empty()) {
            (true, _) => format!("+ {} {new}\n", change.name),
            (_, true) => format!("- {} {old}\n", change.name),
            _ => format!("~ {} {old} -> {new}\n", change.name),
        });
    }
    answer(&text)
}

/// What changed, in a few words: `2 new, 1 gone, 3 other versions`; nothing where nothing did.
pub(super) fn summary(old: &Lock, new: &Lock) -> Option<String> {
    let changes = changes(old, new);
    let count = |is: fn(&Change<'_>) -> bool| changes.iter().filter(|change| is(change)).count();
    let words = [
        (count(|it| it.old.is_empty()), "new"),
        (count(|it| it.new.is_empty()), "gone"),
        (count(|it| !it.old.is_empty() && !it.new.is_empty()), "in another version"),
    ];
    let words = words.iter().filter(|(count, _)| *count > 0);
    let words: Vec<_> = words.map(|(count, what)| format!("{count} {what}")).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

fn changes<'l>(old: &'l Lock, new: &'l Lock) -> Vec<Change<'l>> {
    let (before, after) = (versions(old), versions(new));
    let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let empty = BTreeSet::new();
    let change = |name: &'l str| {
        let (old, new) = (before.get(name).unwrap_or(&empty), after.get(name).unwrap_or(&empty));
        (old != new).then(|| Change {
            name,
            old: old.difference(new).copied().collect(),
            new: new.difference(old).copied().collect(),
        })
    };
    names.into_iter().filter_map(change).collect()
}

/// The versions of each name, on whatever platform.
fn versions(lock: &Lock) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in lock.packages.values() {
        versions.entry(&package.name).or_default().insert(&package.version);
    }
    versions
}
