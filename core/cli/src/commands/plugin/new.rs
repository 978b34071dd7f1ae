//! `x2nix plugin new`: the project of a new plugin.

use super::check_name;
use crate::{
    project::unreadable,
    report::{Format, Stop, done},
};
use clap::ArgMatches;
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};
use x2nix_core::protocol::Diagnostic;
use x2nix_plugin_carriers::pack::WIT;
use x2nix_plugin_host::kept::write_atomically;

macro_rules! template {
    ($file:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugin-abi/templates/", $file))
    };
}

/// What all languages have.
const SHARED: &[(&str, &str)] = &[
    ("plugin.json", template!("shared/plugin.json")),
    ("scenarios/newest.toml", template!("shared/scenarios/newest.toml")),
    ("scenarios/too-new.toml", template!("shared/scenarios/too-new.toml")),
    ("scenarios/broken.toml", template!("shared/scenarios/broken.toml")),
];

const RUST: &[(&str, &str)] = &[
    ("Cargo.toml", template!("rust/Cargo.toml")),
    ("src/lib.rs", template!("rust/src/lib.rs")),
    ("build", template!("rust/build")),
];

const C: &[(&str, &str)] = &[
    ("plugin.c", template!("c/plugin.c")),
    ("json.h", template!("c/json.h")),
    ("x2nix_plugin.h", include_str!("../../../../../plugin-abi/sdk/include/x2nix_plugin.h")),
    ("build", template!("c/build")),
];

const PYTHON: &[(&str, &str)] = &[
    ("app.py", template!("python/app.py")),
    ("requirements.txt", template!("python/requirements.txt")),
    ("wit/plugin.wit", WIT),
    ("build", template!("python/build")),
];

const JAVASCRIPT: &[(&str, &str)] = &[
    ("app.js", template!("javascript/app.js")),
    ("package.json", template!("javascript/package.json")),
    ("wit/plugin.wit", WIT),
    ("build", template!("javascript/build")),
];

/// Runs the command.
pub(crate) fn run(matches: &ArgMatches) -> Result<(), Stop> {
    let folder = matches.get_one::<PathBuf>("name").cloned().unwrap_or_default();
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    check_name(&name)?;
    if folder.exists() {
        let message = format!("{} is there already", folder.display());
        let help = "choose another name, or remove it";
        return Err(Diagnostic::error("plugin::exists", message).help(help).into());
    }
    let files = match matches.get_one::<String>("lang").map(String::as_str) {
        Some("c") => C,
        Some("python") => PYTHON,
        Some("javascript") => JAVASCRIPT,
        _ => RUST,
    };
    let library = library(matches.get_one::<PathBuf>("sdk").map(PathBuf::as_path))?;
    for (path, text) in SHARED.iter().chain(files) {
        let text = text
            .replace("@NAME@", &name)
            .replace("@IDENT@", &name.replace('-', "_"))
            .replace("@SDK@", &library);
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(&folder);
        fs::create_dir_all(parent).map_err(|error| unreadable(parent, &error))?;
        write_atomically(&path, text.as_bytes())?;
        if path.ends_with("build") {
            fs::set_permissions(&path, Permissions::from_mode(0o755))
                .map_err(|error| unreadable(&path, &error))?;
        }
    }
    let shown = folder.display();
    let next = format!(
        "made {shown}; now: {shown}/build && x2nix plugin test {shown}/{name}.wasm --scenarios {shown}/scenarios"
    );
    done(&next, Format::Text);
    Ok(())
}

/// The Rust library of plugins, as Cargo takes it.
fn library(folder: Option<&Path>) -> Result<String, Stop> {
    let Some(folder) = folder else { return Ok(format!("{:?}", env!("CARGO_PKG_VERSION"))) };
    let whole = fs::canonicalize(folder).map_err(|error| unreadable(folder, &error))?;
    // A string of TOML has the escapes of JSON.
    let path = serde_json::to_string(&whole.to_string_lossy())
        .map_err(|error| Stop::Bug(error.to_string()))?;
    Ok(format!("{{ path = {path} }}"))
}
