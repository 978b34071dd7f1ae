//! `x2nix import`: settings from a flake of another tool.

use super::write;
use crate::{
    project::unreadable,
    report::{Format, Stop, answer_json, done, note_all},
    settings::SETTINGS,
};
use clap::ArgMatches;
use serde_json::json;
use std::{
    fs::File,
    io::{ErrorKind, Read as _},
    path::{Path, PathBuf},
};
use x2nix_core::protocol::{Diagnostic, Origin};
use x2nix_opam_flakes::{Imported, LARGEST};

/// The largest `flake.lock` that is read, in bytes.
const LARGEST_LOCK: usize = 4 * 1024 * 1024;

/// Runs the command.
pub(crate) fn run(matches: &ArgMatches, format: Format) -> Result<(), Stop> {
    let folder = matches.get_one::<PathBuf>("folder").map_or(Path::new("."), PathBuf::as_path);
    let path = folder.join("flake.nix");
    let flake = read(&path, LARGEST)?.ok_or_else(|| {
        let message = format!("there is no {}", path.display());
        let help = "name the folder of a flake that uses opam-nix or Hillingar";
        Stop::from(Diagnostic::error("import::missing", message).help(help).access())
    })?;
    let lock = read(&folder.join("flake.lock"), LARGEST_LOCK)?;
    let label = path.to_string_lossy();
    let label = label.strip_prefix("./").unwrap_or(&label);
    let Imported { settings, project, left } =
        x2nix_opam_flakes::import(&flake, lock.as_deref(), label)?;

    let given = matches.get_one::<PathBuf>("output").cloned();
    let output = given.unwrap_or_else(|| match project.as_str() {
        "." => folder.join(SETTINGS),
        project => folder.join(project).join(SETTINGS),
    });
    let to_stdout = output == Path::new("-");
    if !to_stdout && output.exists() {
        let message = format!("there is a {} already", output.display());
        return Err(Diagnostic::error("import::exists", message)
            .help("give another file with --output, or `-` to see what would be written")
            .into());
    }
    write(&output, &settings)?;
    note_all(&left, format);
    match format {
        Format::Json if to_stdout => Ok(()),
        Format::Json => answer_json(&json!({ "status": "imported", "file": output, "left": left })),
        Format::Text => {
            let count = match left.len() {
                0 => "all of it was carried over".to_owned(),
                1 => "one thing was left out".to_owned(),
                count => format!("{count} things were left out"),
            };
            done(&format!("{} written; {count}", output.display()), format);
            Ok(())
        }
    }
}

/// The text of a file; nothing where there is none. One byte more than may be is enough to refuse it.
fn read(path: &Path, largest: usize) -> Result<Option<String>, Stop> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(path, &error)),
    };
    let mut bytes = Vec::new();
    let limit = largest as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    let refuse = |what: &str| {
        let message = format!("{} {what}", path.display());
        Stop::from(
            Diagnostic::error("import::unreadable", message)
                .at(Origin::new(path.to_string_lossy(), None))
                .help("give a flake that Nix reads"),
        )
    };
    if bytes.len() > largest {
        return Err(refuse(&format!("is larger than {largest} bytes")));
    }
    String::from_utf8(bytes).map(Some).map_err(|_| refuse("is not UTF-8"))
}
