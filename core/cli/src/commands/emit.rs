//! `x2nix emit`: write the Nix file of a lock file anew.

use super::{lock_path, read_lock, write};
use crate::{
    paths::{folder_of, from_folder},
    project::NIX,
    report::Stop,
};
use clap::ArgMatches;
use std::path::{Path, PathBuf};

/// Runs the command.
pub(crate) fn run(matches: &ArgMatches) -> Result<(), Stop> {
    let lock = lock_path(matches);
    read_lock(&lock)?;
    let beside = folder_of(&lock).join(NIX);
    let nix = matches.get_one::<PathBuf>("nix").cloned().unwrap_or_else(|| beside.clone());
    let folder = if nix == Path::new("-") { folder_of(&beside) } else { folder_of(&nix) };
    write(&nix, &x2nix_nix::emit(&from_folder(folder, &lock)))
}
