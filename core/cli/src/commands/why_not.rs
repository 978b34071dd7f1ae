//! `x2nix why-not`: why another version of a package was not chosen.

use super::{check::reopen, lock_path, platform_of, read_lock};
use crate::{
    ecosystems::{self, Ecosystem},
    report::{Format, Stop, answer, answer_json},
};
use clap::ArgMatches;
use serde_json::json;
use x2nix_core::WhyNot;

/// Runs the command.
pub(crate) fn run(
    ecosystems: &[Ecosystem],
    matches: &ArgMatches,
    format: Format,
) -> Result<(), Stop> {
    let path = lock_path(matches);
    let lock = read_lock(&path)?;
    let platform = platform_of(matches, &lock)?;
    let wanted = matches.get_one::<String>("name").map(String::as_str).unwrap_or_default();
    let (name, version) =
        wanted.split_once('=').map_or((wanted, None), |(name, version)| (name, Some(version)));
    let ecosystem = &ecosystems::find(ecosystems, &lock.ecosystem)?;
    let (host, request) = reopen(ecosystem, matches, &lock, &path)?;
    let found = x2nix_core::why_not(
        ecosystem.plugin.as_ref(),
        &host,
        &request,
        &lock,
        &platform,
        (name, version),
    )?;
    match format {
        Format::Text => answer(&text(name, &found)),
        Format::Json => {
            let alternatives: Vec<_> = found
                .alternatives
                .iter()
                .map(|alternative| {
                    let obstacles: Vec<_> = alternative
                        .obstacles
                        .iter()
                        .map(|obstacle| json!({ "text": obstacle.text, "origin": obstacle.origin }))
                        .collect();
                    json!({ "version": alternative.version, "obstacles": obstacles })
                })
                .collect();
            answer_json(&json!({
                "platform": platform, "package": name, "chosen": found.chosen, "alternatives": alternatives,
            }))
        }
    }
}

fn text(name: &str, found: &WhyNot) -> String {
    /// More versions would repeat the same obstacles.
    const SHOWN: usize = 8;
    let mut text = match &found.chosen {
        Some(chosen) => format!("{name} {chosen} is chosen\n"),
        None => format!("no version of {name} is chosen\n"),
    };
    if found.alternatives.is_empty() {
        text.push_str("that is the newest version\n");
    }
    for alternative in found.alternatives.iter().take(SHOWN) {
        text.push_str(&format!("{name} {}:\n", alternative.version));
        if alternative.obstacles.is_empty() {
            let why = match &found.chosen {
                Some(chosen) if alternative.newer => format!(
                    "it fits: the lock keeps {chosen}, or this is a version to avoid; `x2nix resolve --update={name}` chooses anew"
                ),
                _ => "it fits, but the answer is better without it".to_owned(),
            };
            text.push_str(&format!("  {why}\n"));
        }
        for obstacle in &alternative.obstacles {
            let place =
                obstacle.origin.as_ref().map(|origin| format!("  ({origin})")).unwrap_or_default();
            text.push_str(&format!("  {}{place}\n", obstacle.text));
        }
    }
    if found.alternatives.len() > SHOWN {
        text.push_str(&format!(
            "… and {} older ones; name one: {name}=VERSION\n",
            found.alternatives.len() - SHOWN
        ));
    }
    text
}
