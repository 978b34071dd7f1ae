//! `x2nix fetch`: bring the sources of a lock into the Nix store before building.

use super::{lock_path, read_lock};
use crate::{
    ecosystems,
    paths::folder_of,
    report::{Format, Stop, answer_json, done},
};
use clap::ArgMatches;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};
use x2nix_core::protocol::{Diagnostic, Origin as Place};
use x2nix_fetch::{
    Attempt, Error, Failure, Observer, Options, Origin, Report, Source, Store, fetch,
};
use x2nix_plugin_host::inputs::Network;

/// No released source is larger: 2 GiB.
const LARGEST: u64 = 2 << 30;

/// Runs the command.
pub(crate) fn run(matches: &ArgMatches, format: Format) -> Result<(), Stop> {
    let path = lock_path(matches);
    let lock = read_lock(&path)?;
    let refused = |error| refused(&path, &error);
    let sources = Source::of_lock(&lock.artifacts).map_err(refused)?;
    let offline = matches.get_flag("offline");
    let from = matches.get_many::<PathBuf>("from").into_iter().flatten();
    let is_address = |place: &&PathBuf| place.to_string_lossy().contains("://");
    let (caches, folders): (Vec<_>, Vec<_>) = from.partition(is_address);
    let options = Options {
        folders: folders.into_iter().cloned().collect(),
        caches: caches.iter().map(|cache| cache.to_string_lossy().into_owned()).collect(),
        network: Network {
            offline,
            size: LARGEST,
            credentials: ecosystems::credentials(&lock.ecosystem, Some(folder_of(&path))),
            ..Network::default()
        },
    };
    let report = if sources.is_empty() {
        Report::default() // which needs no Nix
    } else {
        let store = Store::open().map_err(refused)?;
        fetch(&sources, &store, &options, &Bar::default()).map_err(refused)?
    };
    if report.failures.is_empty() { tell(&report, format) } else { Err(failed(&report, offline)) }
}

fn tell(report: &Report, format: Format) -> Result<(), Stop> {
    let count = |test: fn(&Origin) -> bool| {
        report.present.values().filter(|(_, origin)| test(origin)).count()
    };
    let there = count(|origin| *origin == Origin::Store);
    let copied = count(|origin| matches!(origin, Origin::File(_)));
    let fetched = count(|origin| matches!(origin, Origin::Url(_)));
    if format == Format::Json {
        let source = |(id, (path, origin)): (&String, &(String, Origin))| {
            let from = match origin {
                Origin::Store => Value::Null,
                Origin::File(file) => json!(file),
                Origin::Url(url) => json!(url),
            };
            (id.clone(), json!({ "path": path, "from": from }))
        };
        let sources: serde_json::Map<_, _> = report.present.iter().map(source).collect();
        return answer_json(&json!({
            "status": "done", "already_there": there, "from_folders": copied, "fetched": fetched,
            "sources": sources,
        }));
    }
    let all = report.present.len();
    let message = match (all, there == all) {
        (0, _) => "the lock has no sources to fetch".to_owned(),
        (1, true) => "the one source is in the store already".to_owned(),
        (_, true) => format!("all {all} sources are in the store already"),
        _ => format!(
            "{all} sources are in the store: {there} were there, {copied} from folders, {fetched} fetched"
        ),
    };
    done(&message, format);
    Ok(())
}

/// All failures at once. What has other content fails a check; what cannot be had is out of reach.
fn failed(report: &Report, offline: bool) -> Stop {
    let help = if offline {
        "give a folder that has it with --from, or run without --offline"
    } else {
        "fetch it yourself and give its folder with --from"
    };
    let failures = &report.failures;
    let all = failures.len() + report.present.len();
    let is_mismatch = |failure: &Failure| {
        failure.attempts.iter().any(|attempt| !matches!(attempt, Attempt::Unreachable(_)))
    };
    if failures.iter().any(is_mismatch) {
        let diagnostic = |failure: &Failure| {
            let message = format!(
                "{} could not be brought into the store{}",
                title(failure),
                details(failure)
            );
            if is_mismatch(failure) {
                Diagnostic::error("fetch::checksum", message).help(
                    "remove the damaged file, or give a folder that has the right one with --from; if it was \
                     released anew under the same name, resolve with a repository that knows the new checksum",
                )
            } else {
                Diagnostic::error("fetch::missing", message).access().help(help)
            }
        };
        return Stop::Failed(failures.iter().map(diagnostic).collect());
    }
    let list: Vec<_> =
        failures.iter().map(|it| format!("\n  {}{}", title(it), details(it))).collect();
    let message = format!("{} of {all} sources could not be had:{}", failures.len(), list.join(""));
    Diagnostic::error("fetch::missing", message).access().help(help).into()
}

/// A source as messages name it: names alone are often no more than a version.
fn title(failure: &Failure) -> String {
    let Failure { id, name, .. } = failure;
    if id == name {
        name.escape_debug().to_string()
    } else {
        format!("{} ({})", name.escape_debug(), id.escape_debug())
    }
}

fn details(failure: &Failure) -> String {
    let line = |attempt: &Attempt| match attempt {
        Attempt::Mismatch { place, expected, found } => {
            format!("\n    {}\n      is {found}\n      not {expected}", place.escape_debug())
        }
        Attempt::TooLarge { place, limit } => {
            format!("\n    {} is larger than {} MiB", place.escape_debug(), limit >> 20)
        }
        Attempt::Unreachable(error) => format!("\n    {}", error.message),
    };
    failure.attempts.iter().map(line).collect()
}

/// What stops everything.
fn refused(lock: &Path, error: &Error) -> Stop {
    let lock = || Place::new(lock.to_string_lossy(), None);
    match error {
        Error::NoNix(_) => Diagnostic::error("fetch::no-nix", error.to_string())
            .access()
            .help("install Nix, or put it on the PATH"),
        Error::Nix { .. } | Error::Strange { .. } => {
            Diagnostic::error("fetch::nix", error.to_string())
                .access()
                .help("see what Nix says; `nix-store --version` tells whether it works at all")
        }
        Error::Hash { .. } => Diagnostic::error("lock::hash", error.to_string())
            .at(lock())
            .help("known are md5, sha1, sha256 and sha512 as SRI; make the lock anew with `x2nix resolve`"),
        Error::Changed { .. } => Diagnostic::error("fetch::changed", error.to_string())
            .access()
            .help("somebody writes to the folder; try again when that is done"),
        Error::Io { .. } => Diagnostic::error("input::unreadable", error.to_string())
            .access()
            .help("check that it exists and that you may read it"),
    }
    .into()
}

/// A bar on standard error, where that is a terminal.
#[derive(Default)]
struct Bar(Mutex<Shown>);

#[derive(Default)]
struct Shown {
    bar: Option<ProgressBar>,
    under_way: Vec<String>,
}

impl Bar {
    fn change(&self, change: impl FnOnce(&mut Shown)) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut shown);
        if let Some(bar) = &shown.bar {
            bar.set_message(shown.under_way.join(", "));
        }
    }
}

impl Observer for Bar {
    fn missing(&self, count: usize) {
        let bar = ProgressBar::new(count as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} sources {wide_msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        self.change(|shown| shown.bar = Some(bar));
    }

    fn begins(&self, name: &str) {
        let name = name.escape_debug().to_string(); // a lock's word, on a terminal
        self.change(|shown| shown.under_way.push(name));
    }

    fn ends(&self, name: &str) {
        let name = name.escape_debug().to_string();
        self.change(|shown| {
            if let Some(place) = shown.under_way.iter().position(|known| *known == name) {
                shown.under_way.remove(place);
            }
            if let Some(bar) = &shown.bar {
                bar.inc(1);
            }
        });
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.change(|shown| {
            if let Some(bar) = shown.bar.take() {
                bar.finish_and_clear();
            }
        });
    }
}
