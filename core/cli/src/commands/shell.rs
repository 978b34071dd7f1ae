//! `x2nix completions` and `x2nix man`.

use super::write;
use crate::{
    ecosystems::Ecosystem,
    interface,
    report::{Stop, answer},
};
use clap::ArgMatches;
use clap_complete::Shell;
use std::path::{Path, PathBuf};
use x2nix_core::protocol::Diagnostic;

/// Prints completions for a shell.
pub(crate) fn completions(ecosystems: &[Ecosystem], matches: &ArgMatches) -> Result<(), Stop> {
    let Some(&shell) = matches.get_one::<Shell>("shell") else { return Ok(()) };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut interface::command(ecosystems), "x2nix", &mut script);
    answer(&String::from_utf8_lossy(&script))
}

/// Writes one manual page for the program and one for each command.
pub(crate) fn man(ecosystems: &[Ecosystem], matches: &ArgMatches) -> Result<(), Stop> {
    let Some(folder) = matches.get_one::<PathBuf>("folder") else { return Ok(()) };
    let failed = |error: std::io::Error| {
        let message = format!("cannot make the folder {}: {error}", folder.display());
        Stop::from(Diagnostic::error("output::write", message).access())
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut command = interface::command(ecosystems);
    command.build();
    page(folder, &command, "x2nix")?;
    for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help")
    {
        page(folder, subcommand, &format!("x2nix-{}", subcommand.get_name()))?;
    }
    Ok(())
}

fn page(folder: &Path, command: &clap::Command, title: &str) -> Result<(), Stop> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .title(title)
        .render(&mut page)
        .map_err(|error| Stop::Bug(error.to_string()))?;
    write(&folder.join(format!("{title}.1")), &String::from_utf8_lossy(&page))
}
