//! `x2nix emit`: write the Nix file of a lock file anew.

use super::{lock_path, read_lock, write};
use crate::{
    paths::{folder_of, from_folder},
    project::NIX,
    report::Stop,
};
use clap::ArgMatches;
use std::path::{Path, PathBuf};
use x2nix_core::{lock::check_claims, protocol::Diagnostic};

/// Runs the command.
pub(crate) fn run(matches: &ArgMatches) -> Result<(), Stop> {
    let lock = lock_path(matches);
    let read = read_lock(&lock)?;
    let beside = folder_of(&lock).join(NIX);
    let nix = matches.get_one::<PathBuf>("nix").cloned().unwrap_or_else(|| beside.clone());
    if matches.get_flag("flake") {
        return flake(&lock, &nix);
    }
    if matches.get_flag("default") {
        return plain(&lock, &nix);
    }
    let folder = if nix == Path::new("-") { folder_of(&beside) } else { folder_of(&nix) };
    let place = from_folder(folder, &lock);
    if matches.get_flag("standalone") {
        let text = x2nix_nix::standalone(&read, &place)?;
        return write(&nix, &text);
    }
    let mut wrong = check_claims(&read).into_iter();
    if let Some(first) = wrong.next() {
        return Err(Diagnostic { also: wrong.collect(), ..first }.into());
    }
    write(&nix, &x2nix_nix::emit(&place))
}

/// Writes files for `nix-build` and `nix-shell` beside the lock: both or, where one is there, none.
fn plain(lock: &Path, nix: &Path) -> Result<(), Stop> {
    let folder = folder_of(lock);
    let [default, shell] = x2nix_nix::plain(&from_folder(folder, nix));
    let files = [("default.nix", default), ("shell.nix", shell)];
    for (name, _) in &files {
        let path = folder.join(name);
        if path.exists() {
            let message = format!("there is a {} already", path.display());
            let help = "import x2nix.nix from it, as the guide shows, or remove it";
            return Err(Diagnostic::error("emit::default", message).help(help).into());
        }
    }
    files.iter().try_for_each(|(name, text)| write(&folder.join(name), text))
}

/// Writes a flake beside the lock. It is the user's from then on, so one that is there stays.
fn flake(lock: &Path, nix: &Path) -> Result<(), Stop> {
    let folder = folder_of(lock);
    let path = folder.join("flake.nix");
    let refuse = |message: String, help: &str| {
        Err(Stop::from(Diagnostic::error("emit::flake", message).help(help)))
    };
    let (lock, nix) = (from_folder(folder, lock), from_folder(folder, nix));
    if nix.starts_with('/') || nix.split('/').any(|part| part == "..") {
        let message = format!("a flake cannot see {nix}, which is outside of its folder");
        return refuse(message, "keep the Nix file beside or below the lock file");
    }
    if path.exists() {
        let message = format!("there is a {} already", path.display());
        return refuse(message, "import x2nix.nix from it, as the guide shows, or remove it");
    }
    write(&path, &x2nix_nix::flake(&lock, &nix))
}
