//! One module per command.

pub(crate) mod check;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod emit;
pub(crate) mod export;
pub(crate) mod fetch;
pub(crate) mod graph;
pub(crate) mod import;
pub(crate) mod plugin;
pub(crate) mod resolve;
pub(crate) mod schema;
pub(crate) mod shell;
pub(crate) mod sweep;
pub(crate) mod tree;
pub(crate) mod why;
pub(crate) mod why_not;

use crate::{
    project::{self, LOCK},
    report::Stop,
};
use clap::ArgMatches;
use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};
use x2nix_core::{
    lock::{self, Lock},
    protocol::Diagnostic,
};
use x2nix_plugin_host::kept;

/// The platform of this machine, as Nix names it.
pub(crate) fn this_platform() -> String {
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        os => os,
    };
    format!("{}-{os}", std::env::consts::ARCH)
}

/// The lock file that a command is about.
fn lock_path(matches: &ArgMatches) -> PathBuf {
    matches.get_one::<PathBuf>("lock").cloned().unwrap_or_else(|| PathBuf::from(LOCK))
}

/// Reads a lock file that must be there.
fn read_lock(path: &Path) -> Result<Lock, Stop> {
    let bytes = lock_bytes(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            let message = format!("there is no lock file {}", path.display());
            let help = "make one with `x2nix resolve`, or name it with --lock";
            Diagnostic::error("lock::missing", message).help(help).access().into()
        }
        _ => project::unreadable(path, &error),
    })?;
    Ok(lock::read(&bytes, &path.to_string_lossy())?)
}

/// The bytes of a lock file, or as many of something endless as it takes to see that it is none.
fn lock_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(lock::LARGEST as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The platform that a command is about: the one asked for, this machine's, or the first.
fn platform_of(matches: &ArgMatches, lock: &Lock) -> Result<String, Stop> {
    let known = || lock.platforms.keys().cloned().collect::<Vec<_>>().join(", ");
    match matches.get_one::<String>("platform") {
        Some(platform) if lock.platforms.contains_key(platform) => Ok(platform.clone()),
        Some(platform) => {
            let message = format!("the lock has no platform {platform:?}");
            Err(Diagnostic::error("lock::platform", message)
                .help(format!("it has: {}", known()))
                .into())
        }
        None => {
            let this = this_platform();
            let first = || lock.platforms.keys().next().cloned().unwrap_or_default();
            Ok(if lock.platforms.contains_key(&this) { this } else { first() })
        }
    }
}

/// The Nix file of a lock: in the form that the file has already, the reader where there is none.
fn nix_text(lock: &Lock, lock_name: &str, nix: &Path) -> Result<String, Box<Diagnostic>> {
    if is_standalone(nix) {
        x2nix_nix::standalone(lock, lock_name)
    } else {
        Ok(x2nix_nix::emit(lock_name))
    }
}

/// Whether there is a Nix file that reads no lock; its first line says so.
fn is_standalone(nix: &Path) -> bool {
    const ENOUGH: u64 = 256;
    let mut start = Vec::new();
    nix.is_file()
        && File::open(nix).and_then(|file| file.take(ENOUGH).read_to_end(&mut start)).is_ok()
        && x2nix_nix::is_standalone(&String::from_utf8_lossy(&start))
}

/// Writes a file whole or not at all; `-` is standard output.
fn write(path: &Path, text: &str) -> Result<(), Stop> {
    if path == Path::new("-") {
        return crate::report::answer(text);
    }
    kept::write_atomically(path, text.as_bytes()).map_err(Into::into)
}
