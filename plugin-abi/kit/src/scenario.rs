//! The form of a scenario file.

use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::Path};
use x2nix_core::{Request, RequestInput};
use x2nix_protocol::{Diagnostic, Input, InputKind, Origin, PluginResult, TreeId};

/// Files, a request, and what must come of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The name of its file.
    #[serde(skip)]
    pub name: String,
    /// What it shows.
    pub about: String,
    /// Packages asked for by name.
    #[serde(default)]
    pub roots: Vec<String>,
    /// The platform.
    #[serde(default = "linux")]
    pub platform: String,
    /// Variables of the ecosystem.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Options of the plugin.
    #[serde(default)]
    pub options: BTreeMap<String, Vec<String>>,
    /// The files of the project, by path; without any there is no project.
    #[serde(default)]
    pub project: BTreeMap<String, String>,
    /// The files of a repository, by path.
    #[serde(default)]
    pub repository: BTreeMap<String, String>,
    /// The files that are elsewhere, by address.
    #[serde(default)]
    pub elsewhere: BTreeMap<String, String>,
    /// What must come of it.
    pub expect: Expected,
}

/// What must come of a scenario: one of these.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Expected {
    /// These are chosen, and nothing else: `NAME VERSION`, sorted.
    Packages(Vec<String>),
    /// There is no answer.
    Unsolvable(bool),
    /// The plugin refuses with this code.
    Error(String),
}

fn linux() -> String {
    "x86_64-linux".into()
}

impl Scenario {
    /// The trees, in the order of their numbers, and the request.
    pub(crate) fn request(&self) -> (Vec<&BTreeMap<String, String>>, Request) {
        let mut trees = Vec::new();
        let mut inputs = Vec::new();
        let parts =
            [(InputKind::Project, &self.project), (InputKind::Repository, &self.repository)];
        for (kind, files) in parts.into_iter().filter(|(_, files)| !files.is_empty()) {
            let label = if kind == InputKind::Project { "project" } else { "repository" };
            let tree = TreeId(u32::try_from(trees.len()).unwrap_or_default());
            trees.push(files);
            let hash = (kind == InputKind::Repository).then(|| "sha256-scenario".to_owned());
            inputs.push(RequestInput {
                input: Input { tree, kind, label: label.into() },
                location: label.into(),
                hash,
            });
        }
        let request = Request {
            inputs,
            roots: self.roots.clone(),
            platforms: vec![self.platform.clone()],
            environment: self.environment.clone(),
            options: self.options.clone(),
            build: true,
            ..Request::default()
        };
        (trees, request)
    }
}

/// Reads the scenarios of a folder: all its `.toml` files, sorted.
pub fn read_scenarios(folder: &Path) -> PluginResult<Vec<Scenario>> {
    let unreadable = |path: &Path, error: &std::io::Error| {
        let message = format!("cannot read {}: {error}", path.display());
        Diagnostic::error("kit::unreadable", message).access()
    };
    let entries = fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|it| it == "toml"));
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let text = fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
        let mut scenario: Scenario = toml::from_str(&text).map_err(|error| {
            let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
            let line = line.and_then(|line| u32::try_from(line).ok());
            Diagnostic::error("kit::scenario", error.message().to_owned())
                .at(Origin::new(path.to_string_lossy(), line))
                .help("a scenario has about, roots, [project], [repository], [elsewhere] and [expect]")
        })?;
        scenario.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(scenario)
    };
    files.iter().map(read).collect()
}
