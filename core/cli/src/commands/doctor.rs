//! `x2nix doctor`: is everything as it should be, here and in the project?
//!
//! It looks at what the other commands take for granted: that the settings still mean something, that
//! lock and Nix file belong together, and that this machine can build and keep a cache.

use super::{is_standalone, lock_path, nix_text, read_lock};
use crate::{
    ecosystems::{self, Ecosystem},
    package_set::{agree, wishes},
    paths::{folder_of, from_folder},
    project::NIX,
    report::{Format, Stop, answer, answer_json},
    settings::{SETTINGS, Settings},
};
use clap::ArgMatches;
use serde_json::json;
use std::{path::Path, process::Command};
use x2nix_core::{
    RequestOverride,
    lock::{Lock, LockedOverride, check_claims},
    protocol::Diagnostic,
};

/// One thing that was looked at: what is as it should be, or what is not.
type Finding = Result<String, Box<Diagnostic>>;

fn bad(code: &str, message: impl Into<String>, help: impl Into<String>) -> Finding {
    Err(Box::new(Diagnostic::error(format!("doctor::{code}"), message).help(help)))
}

/// Runs the command.
pub(crate) fn run(
    ecosystems: &[Ecosystem],
    matches: &ArgMatches,
    format: Format,
) -> Result<(), Stop> {
    let path = lock_path(matches);
    let settings = Settings::read(folder_of(&path))?;
    let mut findings = Vec::new();
    if path.exists() {
        let lock = read_lock(&path)?;
        findings.extend(of_lock(&lock, &path));
        findings.extend(of_overrides(&lock, &settings));
        let ecosystem = &ecosystems::find(ecosystems, &lock.ecosystem)?;
        findings.extend(of_provided(&lock, &settings, ecosystem));
    } else {
        let message = format!("there is no lock file {}", path.display());
        findings.push(bad("lock", message, "make one with `x2nix resolve`"));
    }
    findings.push(of_nix());
    findings.push(of_cache());
    let (good, bad): (Vec<_>, Vec<_>) = findings.into_iter().partition(Result::is_ok);
    let good: Vec<String> = good.into_iter().flatten().collect();
    let bad: Vec<Diagnostic> = bad.into_iter().filter_map(Result::err).map(|it| *it).collect();
    match format {
        Format::Text if good.is_empty() => {}
        Format::Text => answer(&format!("ok: {}\n", good.join("\nok: ")))?,
        Format::Json if bad.is_empty() => {
            answer_json(&json!({ "status": "done", "findings": good }))?;
        }
        Format::Json => {}
    }
    if bad.is_empty() { Ok(()) } else { Err(Stop::Failed(bad)) }
}

/// The lock by itself, and the Nix file beside it.
fn of_lock(lock: &Lock, path: &Path) -> Vec<Finding> {
    let shown = path.display();
    let mut findings: Vec<Finding> =
        check_claims(lock).into_iter().map(|found| Err(Box::new(found))).collect();
    if findings.is_empty() {
        let platforms: Vec<&str> = lock.platforms.keys().map(String::as_str).collect();
        let (count, on) = (lock.packages.len(), platforms.join(", "));
        findings.push(Ok(format!("{shown} locks {count} packages for {on}")));
    }
    let nix = folder_of(path).join(NIX);
    let name = from_folder(folder_of(&nix), path);
    let told = nix.display();
    match std::fs::read_to_string(&nix) {
        Ok(text) if nix_text(lock, &name, &nix).is_ok_and(|fresh| fresh == text) => {
            findings.push(Ok(format!("{told} is this version's, and of this lock")));
        }
        Ok(_) => {
            let flag = if is_standalone(&nix) { " --standalone" } else { "" };
            findings.push(bad(
                "nix-file",
                format!("{told} is of another version or lock, or was changed by hand"),
                format!("write it anew with `x2nix emit{flag}`; changes belong into overrides.nix"),
            ));
        }
        // It may have been written elsewhere.
        Err(_) => {}
    }
    findings
}

/// Whether each override still means something.
fn of_overrides(lock: &Lock, settings: &Settings) -> Vec<Finding> {
    if !settings.changes().eq(lock.overrides.iter().map(|it| &it.change)) {
        let message = format!("the overrides of {SETTINGS} are not those of the lock");
        return vec![bad("stale", message, "run `x2nix resolve`")];
    }
    let finding = |(it, locked): (&RequestOverride, &LockedOverride)| {
        let at = it.origin.as_ref().map(|origin| format!(" ({origin})")).unwrap_or_default();
        let (package, reason) = (&it.change.package, &it.change.reason);
        if locked.packages.is_empty() {
            let message =
                format!("the override of {package}{at} no longer means any package: {reason}");
            bad("override", message, "remove it, or mend its name and bound")
        } else {
            let packages = locked.packages.join(", ");
            Ok(format!("the override of {package}{at} changes {packages}: {reason}"))
        }
    };
    settings.overrides.iter().zip(&lock.overrides).map(finding).collect()
}

/// Whether what the package set of Nix is to provide is needed.
fn of_provided(lock: &Lock, settings: &Settings, ecosystem: &Ecosystem) -> Vec<Finding> {
    if !agree(&wishes(settings, ecosystem, &lock.request.options), &lock.request.provided) {
        let message = format!("what {SETTINGS} provides is not what the lock was resolved with");
        return vec![bad("stale", message, "run `x2nix resolve`")];
    }
    let is_used = |name: &str| {
        // Of several ecosystems, its own may stand before it.
        let name = name.split_once(':').map_or(name, |(_, name)| name);
        lock.packages.values().any(|package| package.name == name)
    };
    let unused = settings.provided.keys().filter(|name| !is_used(name)).map(|name| {
        let message = format!("[provided.{name}] provides a package that nothing needs");
        bad("provided", message, format!("remove it from {SETTINGS}"))
    });
    unused.collect()
}

/// Whether this machine can build.
fn of_nix() -> Finding {
    let version = Command::new("nix-build").arg("--version").output();
    match version {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            Ok(text.lines().next().unwrap_or("Nix is there").to_owned())
        }
        _ => bad(
            "nix",
            "there is no Nix on this machine's PATH",
            "resolving works without; install Nix to fetch and to build",
        ),
    }
}

/// Whether what was read once is kept.
fn of_cache() -> Finding {
    let Some(folder) = dirs::cache_dir().map(|folder| folder.join("x2nix")) else {
        return bad("cache", "there is no folder for a cache", "set HOME or XDG_CACHE_HOME");
    };
    let writable = std::fs::create_dir_all(&folder).and_then(|()| tempfile_in(&folder));
    match writable {
        Ok(()) => Ok(format!("the cache is {}", folder.display())),
        Err(error) => bad(
            "cache",
            format!("the cache {} cannot be written: {error}", folder.display()),
            "every run reads the repositories anew; mend it, or set XDG_CACHE_HOME",
        ),
    }
}

/// Whether a file can be made in a folder.
fn tempfile_in(folder: &Path) -> std::io::Result<()> {
    let file = folder.join(format!("doctor-{}", std::process::id()));
    std::fs::write(&file, "")?;
    std::fs::remove_file(file)
}
