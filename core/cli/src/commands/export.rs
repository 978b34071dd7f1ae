//! `x2nix export`: write what a lock has chosen for another tool of its ecosystem.

use super::{check::reopen, lock_path, platform_of, read_lock, write};
use crate::{
    ecosystems::{self, Ecosystem},
    paths::folder_of,
    project::unreadable,
    report::{Format, Stop, done, note_all},
};
use clap::ArgMatches;
use std::{
    fs,
    path::{Path, PathBuf},
};
use x2nix_core::protocol::{Blob, Diagnostic};

/// Runs the command.
pub(crate) fn run(
    ecosystems: &[Ecosystem],
    matches: &ArgMatches,
    format: Format,
) -> Result<(), Stop> {
    let path = lock_path(matches);
    let lock = read_lock(&path)?;
    let platform = platform_of(matches, &lock)?;
    let ecosystem = &ecosystems::find(ecosystems, &lock.ecosystem)?;
    let wanted = |name: &String| matches.get_flag(name);
    let mut names = ecosystems.iter().flat_map(|one| &one.describe.exports).map(|it| &it.name);
    let wanted = names.find(|name| wanted(name)).map(String::as_str).unwrap_or_default();
    let own = &ecosystem.describe.exports;
    if !own.iter().any(|export| export.name == wanted) {
        let message = format!("a lock of {} cannot be exported as {wanted}", lock.ecosystem);
        let known: Vec<_> = own.iter().map(|export| format!("--{}", export.name)).collect();
        let help = match known.as_slice() {
            [] => "this ecosystem has no exports".into(),
            known => format!("it can be exported with {}", known.join(", ")),
        };
        return Err(Diagnostic::error("export::format", message).help(help).into());
    }
    let (host, request) = reopen(ecosystem, matches, &lock, &path)?;
    let plugin = ecosystem.plugin.as_ref();
    let answer = x2nix_core::export(plugin, &host, &request, &lock, &platform, wanted)?;
    note_all(&answer.notes, format);

    let given = matches.get_one::<PathBuf>("output").map(PathBuf::as_path);
    let folder = given.unwrap_or_else(|| folder_of(&path));
    let mut written = Vec::new();
    for (file, Blob(bytes)) in &answer.files {
        let text = String::from_utf8_lossy(bytes);
        if folder == Path::new("-") {
            crate::report::answer(&text)?;
            continue;
        }
        let place = folder.join(file);
        // The file may belong into a folder of the project that only a tool would have made.
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).map_err(|error| unreadable(parent, &error))?;
        }
        write(&place, &text)?;
        written.push(place.display().to_string());
    }
    if !written.is_empty() {
        done(&format!("written: {}", written.join(", ")), format);
    }
    Ok(())
}
