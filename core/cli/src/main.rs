//! The `x2nix` command.

#![deny(missing_docs)]

mod commands;
mod ecosystems;
mod fixer;
mod interface;
mod package_set;
mod paths;
mod plugins;
mod preparer;
mod progress;
mod project;
mod report;
mod settings;
mod user;

use report::{Format, Stop};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let format = Format::of_arguments(&arguments);
    match run(arguments, format) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => stop.report(format),
    }
}

fn run(arguments: Vec<std::ffi::OsString>, format: Format) -> Result<(), Stop> {
    if arguments.get(1).is_some_and(|it| it == plugins::SERVE) {
        return plugins::serve(&arguments[2..]);
    }
    let mut ecosystems = ecosystems::linked_in();
    plugins::add(&mut ecosystems, &arguments)?;
    let matches = interface::command(&ecosystems).try_get_matches_from(arguments)?;
    let Some((name, matches)) = matches.subcommand() else { return Ok(()) };
    let done = match name {
        "resolve" => commands::resolve::run(&ecosystems, matches, format),
        "emit" => commands::emit::run(matches),
        "check" => commands::check::run(&ecosystems, matches, format),
        "export" => commands::export::run(&ecosystems, matches, format),
        "import" => commands::import::run(matches, format),
        "fetch" => commands::fetch::run(matches, format),
        "tree" => commands::tree::run(matches, format),
        "why" => commands::why::run(matches, format),
        "why-not" => commands::why_not::run(&ecosystems, matches, format),
        "doctor" => commands::doctor::run(&ecosystems, matches, format),
        "diff" => commands::diff::run(matches, format),
        "graph" => commands::graph::run(matches),
        "sweep" => commands::sweep::run(&ecosystems, matches, format),
        "plugin" => commands::plugin::run(&ecosystems, matches, format),
        "schema" => commands::schema::run(matches),
        "completions" => commands::shell::completions(&ecosystems, matches),
        "man" => commands::shell::man(&ecosystems, matches),
        _ => Ok(()),
    };
    // Also of what failed: that is when it is looked at.
    plugins::keep_records(&ecosystems)?;
    done
}
