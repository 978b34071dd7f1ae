//! The command line: its commands and flags. Options of an ecosystem come from its plugin.

use crate::{ecosystems::Ecosystem, plugins};
use clap::{
    Arg, ArgAction, ArgGroup, Command,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
    value_parser,
};
use std::{ffi::OsStr, path::PathBuf};
use x2nix_core::{
    lock::AND,
    protocol::{ExportSpec, OptionSpec, OptionValue},
};

const EXIT_STATUS: &str = "Exit status: 0 done, 1 no solution, 2 refused input, 3 something could not be read, \
fetched or found, 4 a check failed, 101 a bug.";

/// The whole command line.
pub(crate) fn command(ecosystems: &[Ecosystem]) -> Command {
    Command::new("x2nix")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Resolve the packages of any ecosystem and build them with Nix")
        .after_help(EXIT_STATUS)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(resolve(ecosystems))
        .subcommand(emit())
        .subcommand(check())
        .subcommand(doctor())
        .subcommand(fetch())
        .subcommands(export(ecosystems))
        .subcommand(import())
        .subcommand(tree())
        .subcommand(why())
        .subcommand(why_not())
        .subcommand(diff())
        .subcommand(graph())
        .subcommand(sweep(ecosystems))
        .subcommand(plugin())
        .subcommand(schema())
        .subcommand(
            Command::new("completions")
                .about("Print completions for a shell")
                .arg(Arg::new("shell").required(true).value_name("SHELL").value_parser(value_parser!(clap_complete::Shell)))
                .after_help("Example:\n  x2nix completions bash > ~/.local/share/bash-completion/completions/x2nix"),
        )
        .subcommand(
            Command::new("man")
                .about("Write the manual pages to a folder")
                .arg(Arg::new("folder").required(true).value_name("DIR").value_parser(value_parser!(PathBuf)))
                .after_help("Example:\n  x2nix man ~/.local/share/man/man1"),
        )
}

fn resolve(ecosystems: &[Ecosystem]) -> Command {
    let command = Command::new("resolve")
        .about("Choose versions, write the lock file and the Nix file")
        .arg(ecosystem(ecosystems))
        .arg(folder().help("The project [default: . unless --root is given]"))
        .arg(
            texts("root", "NAME[=VERSION]")
                .help("A package by name; a bound may follow: lwt, 'lwt>=5.6', lwt=5.9.1 (repeatable)"),
        )
        .args(request_flags())
        .arg(
            Arg::new("update")
                .long("update")
                .value_name("NAME")
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("")
                .action(ArgAction::Append)
                .help("Choose anew instead of keeping what the lock has; =NAME for one package (repeatable)"),
        )
        .arg(switch("locked").help("Fail if the lock file would change; write nothing"))
        .arg(output("lock", "The lock file to write; `-` for standard output [default: DIR/x2nix.lock.json]"))
        .arg(output("nix", "The Nix file to write; `-` for standard output [default: DIR/x2nix.nix]"))
        .arg(switch("dry-run").help("Print the answer, write nothing"))
        .args(plugins::flags())
        .arg(switch("verbose").short('v').help("Tell all reasons where there is no solution"))
        .arg(format())
        .after_help(
            "Examples:\n  x2nix resolve --ecosystem opam examples/hello\n  \
             x2nix resolve --ecosystem opam --repo opam-repository.tar.gz --root 'lwt>=5.6' --dry-run",
        );
    with_plugin_options(command, ecosystems)
}

fn sweep(ecosystems: &[Ecosystem]) -> Command {
    let command = Command::new("sweep")
        .about(
            "Resolve every package of the repositories, one by one: a health check of a repository",
        )
        .arg(ecosystem(ecosystems))
        .arg(
            texts("root", "NAME[=VERSION]")
                .help("A package to resolve beside each of them (repeatable)"),
        )
        .args(request_flags())
        .args(plugins::flags())
        .arg(output(
            "output",
            "Write one JSON object a line to this file; packages that it has already are skipped",
        ))
        .arg(
            format()
                .value_parser(PossibleValuesParser::new(["text", "json", "jsonl"]))
                .help("A summary for people or as JSON, or a line of JSON for each package"),
        )
        .after_help(
            "Example:\n  x2nix sweep --ecosystem opam --repo opam-repository.tar.gz \
             --root ocaml-base-compiler --output sweep.jsonl",
        );
    with_plugin_options(command, ecosystems)
}

fn ecosystem(ecosystems: &[Ecosystem]) -> Arg {
    Arg::new("ecosystem")
        .long("ecosystem")
        .value_name("NAME")
        .help("Whose packages these are; NAME+NAME joins two [default: `ecosystem` in x2nix.toml]")
        .value_parser(Names(PossibleValuesParser::new(
            ecosystems.iter().map(|ecosystem| ecosystem.describe.ecosystem.clone()),
        )))
}

/// Names of ecosystems with `+` between them.
#[derive(Clone)]
struct Names(PossibleValuesParser);

impl TypedValueParser for Names {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        for name in value.to_string_lossy().split(AND) {
            self.0.parse_ref(command, argument, name.as_ref())?;
        }
        Ok(value.to_string_lossy().into_owned())
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        self.0.possible_values()
    }
}

/// What `resolve` and `sweep` have in common.
fn request_flags() -> [Arg; 6] {
    [
        Arg::new("repo")
            .long("repo")
            .value_name("DIR|FILE|URL|git+URL")
            .action(ArgAction::Append)
            .value_parser(value_parser!(PathBuf))
            .help(
                "A package repository: a folder, an archive (.tar.gz, .xz, .zst, .bz2), the address of one, \
                 or git+https://…#REVISION; of several the first that has a version wins (repeatable)",
            ),
        offline(),
        texts("env", "KEY=VALUE")
            .help("Set a variable of the ecosystem; an empty value unsets it (repeatable)"),
        texts("platform", "SYSTEM")
            .help("Resolve for this platform [default: this machine's] (repeatable)"),
        package_set().help(
            "The package set of Nix: versions that nobody states are read from it, and it builds what has to be \
             built to resolve at all [default: `nixpkgs` in x2nix.toml, or <nixpkgs>]",
        ),
        Arg::new("prefer")
            .long("prefer")
            .value_name("POLICY")
            .help("What a good answer is [default: default]"),
    ]
}

fn package_set() -> Arg {
    Arg::new("nixpkgs")
        .long("nixpkgs")
        .value_name("DIR|FILE")
        .value_parser(value_parser!(PathBuf))
        .help(
            "The package set of Nix that builds what has to be built to read the project at all, such as the tool \
             that configures a unikernel [default: `nixpkgs` in x2nix.toml, or <nixpkgs>]",
        )
}

fn with_plugin_options(command: Command, ecosystems: &[Ecosystem]) -> Command {
    ecosystems.iter().fold(command, |command, ecosystem| {
        let heading = format!("Options of {}", ecosystem.describe.ecosystem);
        let options = ecosystem.describe.options.iter();
        options.fold(command, |command, option| {
            command.arg(plugin_option(option).help_heading(heading.clone()))
        })
    })
}

fn plugin_option(option: &OptionSpec) -> Arg {
    let arg = Arg::new(option.name.clone()).long(option.name.clone()).help(option.help.clone());
    match &option.value {
        OptionValue::Flag => arg.action(ArgAction::SetTrue),
        OptionValue::OneOf(words) => arg.value_parser(PossibleValuesParser::new(words.clone())),
        OptionValue::Texts => arg.action(ArgAction::Append),
    }
}

fn emit() -> Command {
    Command::new("emit")
        .about("Write the Nix file of a lock file anew")
        .arg(lock())
        .arg(output(
            "nix",
            "The Nix file to write; `-` for standard output [default: x2nix.nix beside the lock]",
        ))
        .arg(switch("standalone").help(
            "Write the derivations out, as one file that does not read the lock",
        ))
        .arg(switch("default").conflicts_with_all(["standalone", "flake"]).help(
            "Write a default.nix and a shell.nix beside the lock instead, for nix-build and nix-shell; those that are there stay",
        ))
        .arg(switch("flake").conflicts_with("standalone").help(
            "Write a flake.nix beside the lock instead, with its packages, checks and shell; one that is there stays",
        ))
        .after_help(
            "Examples:\n  x2nix emit --lock examples/hello/x2nix.lock.json --nix -\n  x2nix emit --flake",
        )
}

fn check() -> Command {
    Command::new("check")
        .about("Check a lock file: its form, its claims, and whether it still holds for its inputs")
        .arg(lock())
        .arg(offline())
        .arg(package_set())
        .args(plugins::flags())
        .arg(format())
        .after_help("Example:\n  x2nix check --lock examples/hello/x2nix.lock.json")
}

fn doctor() -> Command {
    Command::new("doctor")
        .about("Look whether overrides still apply, lock and Nix file belong together, and this machine can build")
        .arg(lock())
        .arg(format())
        .after_help("Example:\n  x2nix doctor --lock examples/hello/x2nix.lock.json")
}

/// The command `export`, if there is anything to export to.
fn export(ecosystems: &[Ecosystem]) -> Option<Command> {
    let exports: Vec<_> =
        ecosystems.iter().flat_map(|ecosystem| &ecosystem.describe.exports).collect();
    let first = &exports.first()?.name;
    let flag = |export: &&ExportSpec| {
        let flag = Arg::new(export.name.clone()).long(export.name.clone());
        flag.action(ArgAction::SetTrue).help(export.help.clone())
    };
    let group = ArgGroup::new("form").args(exports.iter().map(|export| &export.name));
    let command = Command::new("export")
        .about("Write what a lock file has chosen for another tool of its ecosystem")
        .args(exports.iter().map(flag))
        .group(group.required(true))
        .arg(lock())
        .arg(platform())
        .arg(
            Arg::new("output")
                .long("output")
                .value_name("DIR")
                .value_parser(value_parser!(PathBuf))
                .help("Where to write; `-` for standard output [default: beside the lock]"),
        )
        .arg(package_set())
        .arg(format())
        .after_help(format!("Example:\n  x2nix export --{first} --output -"));
    Some(command)
}

fn fetch() -> Command {
    Command::new("fetch")
        .about("Bring all sources of a lock file into the Nix store, every checksum verified, so that building needs no network")
        .arg(lock())
        .arg(
            Arg::new("from")
                .long("from")
                .value_name("DIR|URL")
                .action(ArgAction::Append)
                .value_parser(value_parser!(PathBuf))
                .help(
                    "A folder that has sources, by hash in any layout (opam's cache is one) or by file name, or the \
                     address of a cache laid out as opam's (sha256/ab/abcd...); asked before the sources' own \
                     addresses, of several the first (repeatable)",
                ),
        )
        .arg(switch("offline").help("Use no network: only the folders"))
        .arg(format())
        .after_help("Examples:\n  x2nix fetch\n  x2nix fetch --offline --from ~/.opam/download-cache")
}

fn import() -> Command {
    Command::new("import")
        .about("Write x2nix.toml from the settings of an opam-nix or Hillingar flake, and tell what it could not carry over")
        .arg(folder().help("The folder of the flake [default: .]"))
        .arg(output("output", "The file to write; `-` for standard output [default: x2nix.toml in the project's folder]"))
        .arg(format())
        .after_help("Examples:\n  x2nix import\n  x2nix import path/to/project --output -")
}

fn tree() -> Command {
    Command::new("tree")
        .about("Print the dependency tree of a lock file")
        .arg(lock())
        .arg(platform())
        .arg(
            Arg::new("depth")
                .long("depth")
                .value_name("N")
                .value_parser(value_parser!(usize))
                .help("Go this deep"),
        )
        .arg(
            Arg::new("invert")
                .long("invert")
                .value_name("NAME")
                .help("Show what needs this package instead, up to the request"),
        )
        .arg(format())
        .after_help("Example:\n  x2nix tree --lock examples/hello/x2nix.lock.json --depth 1")
}

fn why() -> Command {
    Command::new("why")
        .about("Tell why a package was chosen: the shortest way from the request to it")
        .arg(Arg::new("name").required(true).value_name("NAME").help("The package"))
        .arg(lock())
        .arg(platform())
        .arg(format())
        .after_help("Example:\n  x2nix why greet --lock examples/hello/x2nix.lock.json")
}

fn why_not() -> Command {
    Command::new("why-not")
        .about("Tell why newer versions of a package, or the one given, were not chosen")
        .arg(
            Arg::new("name")
                .required(true)
                .value_name("NAME[=VERSION]")
                .help("The package, perhaps with a version"),
        )
        .arg(lock())
        .arg(platform())
        .arg(package_set())
        .args(plugins::flags())
        .arg(format())
        .after_help("Example:\n  x2nix why-not greet=2.0 --lock examples/hello/x2nix.lock.json")
}

fn diff() -> Command {
    let file = |name: &'static str, value: &'static str| {
        Arg::new(name).required(true).value_name(value).value_parser(value_parser!(PathBuf))
    };
    Command::new("diff")
        .about("Print what changed between two lock files: + added, - removed, ~ another version")
        .arg(file("old", "OLD"))
        .arg(file("new", "NEW"))
        .arg(format())
        .after_help("Example:\n  x2nix diff old.lock.json x2nix.lock.json")
}

fn graph() -> Command {
    Command::new("graph")
        .about("Print the dependency graph of a lock file; dashed: needed to build, dotted: not a reason to choose")
        .arg(lock())
        .arg(platform())
        .arg(
            Arg::new("syntax")
                .long("syntax")
                .value_name("SYNTAX")
                .value_parser(PossibleValuesParser::new(["dot", "mermaid"]))
                .default_value("dot")
                .help("For Graphviz or for Mermaid"),
        )
        .after_help("Example:\n  x2nix graph --lock examples/hello/x2nix.lock.json | dot -Tsvg > graph.svg")
}

fn plugin() -> Command {
    let file =
        || Arg::new("file").required(true).value_name("FILE").value_parser(value_parser!(PathBuf));
    let path = |name: &'static str, help| output(name, help);
    Command::new("plugin")
        .about("Make, look at, install and test plugins")
        .after_help("Examples:\n  x2nix plugin list\n  x2nix plugin new toy --lang python")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("list")
                .about("Print all plugins: those that are linked in, and those that are installed")
                .arg(format()),
        )
        .subcommand(
            Command::new("inspect")
                .about("Print what a plugin's file says of itself, without running it")
                .arg(file())
                .arg(format()),
        )
        .subcommand(
            Command::new("add")
                .about("Install a plugin for this user, in place of one for the same ecosystem")
                .arg(file())
                .arg(format()),
        )
        .subcommand(
            Command::new("remove")
                .about("Remove an installed plugin")
                .arg(Arg::new("name").required(true).value_name("ECOSYSTEM"))
                .arg(format()),
        )
        .subcommand(
            Command::new("precompile")
                .about("Compile a component ahead of its first use")
                .arg(file())
                .arg(format()),
        )
        .subcommand(
            Command::new("new")
                .about("Make the project of a new plugin, with scenarios that it passes")
                .arg(Arg::new("name").required(true).value_name("DIR").value_parser(value_parser!(PathBuf)).help("The folder to make; its name is that of the ecosystem"))
                .arg(path("sdk", "The folder of the Rust library, in place of the published crate").value_name("DIR"))
                .arg(
                    Arg::new("lang")
                        .long("lang")
                        .value_name("LANGUAGE")
                        .default_value("rust")
                        .value_parser(PossibleValuesParser::new(["rust", "c", "python", "javascript"]))
                        .help("The language to write it in"),
                )
                .after_help("Example:\n  x2nix plugin new toy --lang python"),
        )
        .subcommand(
            Command::new("pack")
                .about("Make a plugin's file of a WebAssembly module or component, and put its manifest in")
                .arg(file())
                .arg(path("manifest", "The manifest, unless the file has one: plugin.json"))
                .arg(path("output", "The file to write").required(true)),
        )
        .subcommand(
            Command::new("test")
                .about("Check that a plugin does what every plugin must, and what its scenarios say")
                .arg(file())
                .arg(path("scenarios", "The folder of its scenarios [default: scenarios, where it is there]").value_name("DIR"))
                .arg(path("replay", "Play a kept conversation again instead"))
                .args(plugins::flags().into_iter().filter(|flag| {
                    ["trust-native", "isolate", "plugin-memory", "plugin-time"].iter().any(|it| flag.get_id() == *it)
                }))
                .arg(format())
                .after_help("Example:\n  x2nix plugin test target/toy.wasm --scenarios scenarios"),
        )
}

fn schema() -> Command {
    Command::new("schema")
        .about("Print the JSON Schema of a document")
        .arg(
            Arg::new("name")
                .value_name("NAME")
                .help("The document; without it, the names of all documents"),
        )
        .after_help("Example:\n  x2nix schema lock")
}

fn folder() -> Arg {
    Arg::new("folder").value_name("DIR").value_parser(value_parser!(PathBuf))
}

fn lock() -> Arg {
    output("lock", "The lock file [default: x2nix.lock.json]")
}

fn output(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("FILE").value_parser(value_parser!(PathBuf)).help(help)
}

fn platform() -> Arg {
    Arg::new("platform")
        .long("platform")
        .value_name("SYSTEM")
        .help("The platform [default: this machine's, or the first]")
}

fn texts(name: &'static str, value: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).action(ArgAction::Append)
}

fn switch(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue)
}

fn offline() -> Arg {
    switch("offline").help("Use no network: only what is here, and what the cache has")
}

fn format() -> Arg {
    Arg::new("format")
        .long("format")
        .value_name("FORMAT")
        .value_parser(PossibleValuesParser::new(["text", "json"]))
        .default_value("text")
        .help("Text for people or JSON for programs")
}

#[cfg(test)]
mod tests;
