//! The calls of opam-nix's and Hillingar's functions, and what their arguments say.

use crate::{
    inputs::Inputs,
    reader::{Item, Reader, Set, Value, function_name},
    settings::{Override, Settings},
};
use toml::Value as Toml;

/// What an argument is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The set of named arguments.
    Arguments,
    /// The name of the project's package.
    Name,
    /// The project's folder.
    Project,
    /// The query.
    Query,
    /// A file that `opam switch export` made.
    Export,
    /// A file that is made once and read from then on.
    Made,
    /// Hillingar's set of named arguments.
    Unikernel,
}

/// The arguments of each function (opam-nix's DOCUMENTATION.md, Hillingar's README).
fn shape(function: &str) -> Option<&'static [Role]> {
    use Role::{Arguments, Export, Made, Name, Project, Query, Unikernel};
    Some(match function {
        "buildOpamProject" | "buildDuneProject" | "materializeOpamProject" => {
            &[Arguments, Name, Project, Query]
        }
        "buildOpamProject'"
        | "materializeOpamProject'"
        | "buildOpamMonorepo"
        | "materializeBuildOpamMonorepo" => &[Arguments, Project, Query],
        "queryToScope" | "materialize" | "queryToMonorepo" | "materializeQueryToMonorepo" => {
            &[Arguments, Query]
        }
        "opamImport" => &[Arguments, Export],
        "materializedDefsToScope" | "unmaterializeQueryToMonorepo" => &[Arguments, Made],
        "mkUnikernelPackages" => &[Unikernel, Project],
        _ => return None,
    })
}

/// Reads all calls; says whether there was one.
pub(crate) fn gather(reader: &Reader<'_>, inputs: &Inputs, settings: &mut Settings) -> bool {
    let mut found = false;
    for (function, arguments) in reader.calls() {
        let Some(name) = function_name(&function) else { continue };
        let Some(shape) = shape(&name).filter(|shape| shape.len() == arguments.len()) else {
            continue;
        };
        found = true;
        if name.contains("Monorepo") {
            settings.options.insert("monorepo".into(), Toml::Boolean(true));
        }
        let mut own = None;
        for (role, argument) in shape.iter().zip(&arguments) {
            let item = reader.item(argument);
            match (role, &item.value) {
                (Role::Arguments, Value::Set(set)) => named(set, inputs, settings),
                (Role::Name, Value::Text(name)) => own = Some(name.clone()),
                (Role::Name, _) => {}
                // Hillingar's own argument for the folder goes before the flake's.
                (Role::Project, Value::Path(_))
                    if name == "mkUnikernelPackages" && settings.project.is_some() => {}
                (Role::Project, Value::Path(path)) => project(path, item.line, settings),
                (Role::Query, Value::Set(set)) => query(set, own.as_deref(), settings),
                (Role::Export, Value::Path(path)) => {
                    let file = path.trim_start_matches("./").to_owned();
                    settings
                        .options
                        .insert("switch-export".into(), Toml::Array(vec![Toml::String(file)]));
                }
                (Role::Made, _) => settings.leave(
                    item.line,
                    format!("{name} reads definitions that were made before"),
                    "x2nix.lock.json takes their place; remove the file once x2nix has resolved",
                ),
                (Role::Unikernel, Value::Set(set)) => unikernel(set, settings),
                (role, _) => {
                    settings.leave(item.line, unread(*role), "state it in x2nix.toml by hand");
                }
            }
        }
    }
    found
}

fn unread(role: Role) -> &'static str {
    match role {
        Role::Query => "the query is computed",
        Role::Project => "the project's folder is computed",
        Role::Export => "the file of the switch is computed",
        _ => "the arguments are computed",
    }
}

/// The named arguments of opam-nix's functions.
fn named(set: &Set, inputs: &Inputs, settings: &mut Settings) {
    rest(set, settings);
    for (name, item) in &set.members {
        let line = item.line;
        match (name.as_str(), &item.value) {
            ("repos", Value::List(list)) => repositories(list, inputs, settings),
            ("resolveArgs", Value::Set(arguments)) => resolve_arguments(arguments, settings),
            ("pinDepends", Value::Bool(false)) => settings.leave(
                line,
                "pinDepends = false",
                "x2nix follows `pin-depends`; take them out of the opam file to have them ignored",
            ),
            ("recursive", Value::Bool(true)) => settings.leave(
                line,
                "recursive = true: opam files in subfolders",
                "x2nix reads the opam files of the project's folder and of its folder opam",
            ),
            ("pkgs", Value::Attribute(path)) if path.is_empty() => {}
            ("pkgs", Value::Attribute(path)) => settings.leave(
                line,
                format!("pkgs = pkgs.{}", path.join(".")),
                "give that set to x2nix.nix as `pkgs`",
            ),
            ("pinDepends" | "recursive", Value::Bool(_)) | ("sourceMap" | "overlays", _) => {}
            (name, _) => settings.leave(
                line,
                format!("the argument {name}"),
                "state it in x2nix.toml or overrides.nix by hand",
            ),
        }
    }
}

/// Tells of the parts of a set that only evaluation tells.
fn rest(set: &Set, settings: &mut Settings) {
    for &line in &set.unread {
        settings.leave(line, "a part of a set is computed", "state it in x2nix.toml by hand");
    }
}

fn repositories(list: &[Item], inputs: &Inputs, settings: &mut Settings) {
    for item in list {
        let place = match &item.value {
            Value::Input(name) => inputs.place(name),
            Value::Path(path) => Some(path.trim_start_matches("./").to_owned())
                .filter(|it| !it.is_empty() && it != "."),
            Value::Attribute(path) if path.len() == 1 => inputs.place(&path[0]),
            _ => None,
        };
        match place {
            Some(place) if !settings.repositories.contains(&place) => {
                settings.repositories.push(place);
            }
            Some(_) => {}
            None if matches!(item.value, Value::Path(_)) => {}
            None => settings.leave(
                item.line,
                "a repository is computed",
                "add it to `repositories`: a folder, an archive, an address or git+URL#REVISION",
            ),
        }
    }
}

fn resolve_arguments(set: &Set, settings: &mut Settings) {
    rest(set, settings);
    for (name, item) in &set.members {
        match (name.as_str(), &item.value) {
            ("with-test" | "with-doc", Value::Bool(yes)) => {
                if *yes {
                    settings.options.insert(name.clone(), Toml::Boolean(true));
                }
            }
            ("env", Value::Set(variables)) => {
                rest(variables, settings);
                for (variable, item) in &variables.members {
                    match &item.value {
                        Value::Text(value) => {
                            settings.environment.insert(variable.clone(), value.clone());
                        }
                        _ => settings.leave(
                            item.line,
                            format!("the variable {variable} is computed"),
                            "state it in [environment]",
                        ),
                    }
                }
            }
            // opam-nix passes these on to `opam admin list`; they change no answer of x2nix.
            ("depopts" | "dev" | "with-test" | "with-doc", _)
            | ("best-effort", Value::Bool(false)) => {}
            (name, _) => settings.leave(
                item.line,
                format!("resolveArgs.{name}"),
                "`prefer` in x2nix.toml says what the best answer is",
            ),
        }
    }
}

fn project(path: &str, line: u32, settings: &mut Settings) {
    let folder = path.trim_start_matches("./").trim_end_matches('/');
    let folder = if folder.is_empty() { "." } else { folder };
    let inside = !folder.starts_with('/') && folder.split('/').all(|part| part != "..");
    match &settings.project {
        Some(first) if first != folder => {
            let instead = "run `x2nix resolve` in each of them, with settings of its own";
            settings.leave(line, format!("a second project, {path}"), instead);
        }
        _ if inside => settings.project = Some(folder.to_owned()),
        _ => settings.leave(
            line,
            format!("the project {path} is outside of the flake"),
            "write x2nix.toml there by hand",
        ),
    }
}

fn query(set: &Set, own: Option<&str>, settings: &mut Settings) {
    rest(set, settings);
    for (name, item) in &set.members {
        let version = match &item.value {
            Value::Text(version) if version == "*" => None,
            Value::Null => None,
            Value::Text(version) => Some(version),
            _ => {
                let instead = "add the package to `roots`, with its version: NAME=VERSION";
                settings.leave(item.line, format!("the version of {name} is computed"), instead);
                continue;
            }
        };
        match (name.as_str(), version) {
            // The project's own packages are resolved anyway.
            (name, _) if own == Some(name) => {}
            (name, Some(version)) if version == "dev" || version == "local" => {
                let _ = name;
            }
            ("ocaml-system", version) => {
                settings.options.insert("compiler".into(), Toml::String("nixpkgs".into()));
                if let Some(version) = version {
                    settings.root(format!("ocaml-system={version}"));
                }
            }
            (name, None) => settings.root(name.to_owned()),
            (name, Some(version)) => settings.root(format!("{name}={version}")),
        }
    }
}

/// The arguments of Hillingar's `mkUnikernelPackages`.
fn unikernel(set: &Set, settings: &mut Settings) {
    rest(set, settings);
    settings.provider = Some("hillingar".into());
    settings.options.insert("monorepo".into(), Toml::Boolean(true));
    let name = match set.get("unikernelName").map(|it| &it.value) {
        Some(Value::Text(name)) => Some(name.clone()),
        _ => None,
    };
    for (argument, item) in &set.members {
        match (argument.as_str(), &item.value) {
            ("unikernelName", Value::Text(_)) => {}
            ("query" | "monorepoQuery", Value::Set(query_set)) => query(query_set, None, settings),
            ("mirageDir", Value::Text(folder)) if folder == "." => {}
            ("mirageDir", Value::Text(folder)) => project(folder, item.line, settings),
            ("depexts", Value::List(list)) => {
                let mut change = Override { line: item.line, ..Override::default() };
                for item in list {
                    match &item.value {
                        Value::Attribute(path) if !path.is_empty() => {
                            change.host.push(path.join("."));
                        }
                        _ => settings.leave(
                            item.line,
                            "a system package is computed",
                            "name it in an [[override]]",
                        ),
                    }
                }
                if let Some(package) = &name {
                    change.package.clone_from(package);
                    settings.overrides.push(change);
                } else if !list.is_empty() {
                    settings.leave(
                        item.line,
                        "depexts",
                        "name the unikernel, and its system packages in an [[override]]",
                    );
                }
            }
            (argument, _) => settings.leave(
                item.line,
                format!("the argument {argument}"),
                "state it in x2nix.toml by hand",
            ),
        }
    }
    let line = set.members.first().map_or(1, |(_, item)| item.line);
    settings.leave(
        line,
        "Hillingar builds for every target",
        "say which you want: `target = [\"unix\", \"spt\"]` in [options]",
    );
}
