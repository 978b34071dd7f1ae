//! The user's side: `x2nix.toml`, the inputs, and the request that they make.

use crate::{paths, report::Stop};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};
use x2nix_core::{
    RequestInput,
    lock::LockedInput,
    protocol::{Diagnostic, Host, Input, InputKind, Origin, Provided},
};
use x2nix_plugin_host::inputs::{Inputs, OpenOptions, Opener};

/// The name of the settings file.
pub(crate) const SETTINGS: &str = "x2nix.toml";
/// The name of a lock file, where none is given.
pub(crate) const LOCK: &str = "x2nix.lock.json";
/// The name of the emitted Nix file, where none is given.
pub(crate) const NIX: &str = "x2nix.nix";

/// What `x2nix.toml` says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Repositories, the first wins; paths are relative to the file.
    #[serde(default)]
    pub(crate) repositories: Vec<String>,
    /// Packages that the package set of Nix provides.
    #[serde(default)]
    pub(crate) provided: BTreeMap<String, ProvidedSetting>,
}

/// One package that the package set of Nix provides.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProvidedSetting {
    version: String,
    attribute: Option<String>,
}

impl Settings {
    /// Reads the settings of a folder; nothing where there is no such file.
    pub(crate) fn read(folder: &Path) -> Result<Self, Stop> {
        let file = folder.join(SETTINGS);
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(unreadable(&file, &error)),
        };
        toml::from_str(&text).map_err(|error| {
            let line = error.span().map(|span| 1 + text[..span.start].matches('\n').count());
            let line = line.and_then(|line| u32::try_from(line).ok());
            Diagnostic::error("settings::syntax", error.message().to_owned())
                .at(Origin::new(file.to_string_lossy(), line))
                .help("known settings: repositories = [\"…\"], [provided.NAME] with version and attribute")
                .into()
        })
    }

    /// What is provided, in the protocol's form.
    pub(crate) fn provided(&self) -> BTreeMap<String, Provided> {
        let provided = |(name, setting): (&String, &ProvidedSetting)| {
            let origin = Some(Origin::new(SETTINGS, None));
            let (version, attribute) = (setting.version.clone(), setting.attribute.clone());
            (name.clone(), Provided { version, attribute, origin })
        };
        self.provided.iter().map(provided).collect()
    }
}

/// A file that cannot be read.
pub(crate) fn unreadable(file: &Path, error: &std::io::Error) -> Stop {
    Diagnostic::error("input::unreadable", format!("cannot read {}: {error}", file.display()))
        .help("check that it exists and that you may read it")
        .access()
        .into()
}

/// Inputs that are open, and what the request and the lock say of them.
pub(crate) struct OpenInputs {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) inputs: Vec<RequestInput>,
    pub(crate) notes: Vec<Diagnostic>,
}

/// Opens inputs given by kind and path; locations are as seen from the lock's folder.
pub(crate) fn open_inputs(
    wanted: &[(InputKind, PathBuf)],
    lock_folder: &Path,
) -> Result<OpenInputs, Stop> {
    let opener = Opener::new(dirs::cache_dir().map(|folder| folder.join("x2nix")));
    let mut trees = Inputs::new();
    let mut inputs = Vec::new();
    let mut notes = Vec::new();
    for (kind, path) in wanted {
        let label = path.to_string_lossy().into_owned();
        let exclude = [NIX, LOCK].map(str::to_owned).into_iter().collect();
        let markers = ["packages", "repo"].map(str::to_owned).into_iter().collect();
        let tree = opener.open(path, &OpenOptions { label: label.clone(), exclude, markers })?;
        let hash = match kind {
            InputKind::Project => None,
            InputKind::Repository => Some(tree.hash()?.to_owned()),
        };
        notes.extend(tree.notes());
        let input = Input { tree: trees.add(tree), kind: *kind, label };
        inputs.push(RequestInput { input, location: paths::from_folder(lock_folder, path), hash });
    }
    Ok(OpenInputs { host: Arc::new(trees), inputs, notes })
}

/// The inputs of a lock, as paths from here.
pub(crate) fn locked_paths(
    inputs: &[LockedInput],
    lock_folder: &Path,
) -> Vec<(InputKind, PathBuf)> {
    inputs.iter().map(|input| (input.kind, lock_folder.join(&input.location))).collect()
}
