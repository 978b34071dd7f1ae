//! A project on disk, resolved in this process and exported.
#![allow(dead_code, clippy::expect_used)] // each test program uses some of it

use std::{collections::BTreeMap, path::Path, sync::Arc};
use x2nix_cargo::CargoPlugin;
use x2nix_core::{
    Failure, Request, RequestInput, export,
    lock::{Lock, Optimality},
    resolve,
};
use x2nix_plugin_host::inputs::{Inputs, OpenOptions, Opener, Place, Tree};
use x2nix_protocol::{Blob, Diagnostic, Host, Hosts, Input, InputKind, PluginResult};

/// What is asked beside the project's own manifest.
#[derive(Default)]
pub(crate) struct Wish {
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) options: BTreeMap<String, Vec<String>>,
    pub(crate) roots: Vec<String>,
    pub(crate) renewed: Vec<String>,
    /// Folders given as repositories.
    pub(crate) repositories: Vec<std::path::PathBuf>,
    /// The export; `cargo-lock` where it is empty.
    pub(crate) format: String,
}

/// What came of a project.
pub(crate) struct Answer {
    pub(crate) lock: Lock,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn optimality(&self) -> Optimality {
        self.lock.platforms.values().next().expect("one platform").optimality
    }
}

/// Resolves a project and exports the answer; a refusal as one text.
pub(crate) fn lock(project: &Path, wish: &Wish) -> Result<Answer, String> {
    let told = |diagnostic: Box<Diagnostic>| {
        let place = diagnostic.origin.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
        format!("{}: {}{place}", diagnostic.code, diagnostic.message)
    };
    let opener = Opener::new(None);
    let trees = Inputs::new();
    let mut inputs = Vec::new();
    let folders = std::iter::once((InputKind::Project, project))
        .chain(wish.repositories.iter().map(|it| (InputKind::Repository, it.as_path())));
    for (kind, folder) in folders {
        let label = folder.display().to_string();
        let options = OpenOptions { label: label.clone(), ..OpenOptions::default() };
        let tree = opener.open(folder, &options).map_err(told)?;
        let hash = (kind == InputKind::Repository).then(|| "sha256-test".to_owned());
        let input = Input { tree: trees.add(tree), kind, label };
        inputs.push(RequestInput { input, location: ".".into(), hash });
    }
    let home = project.to_owned();
    let further = move |place: &str, _: &Hosts| -> PluginResult<(Tree, String)> {
        let Place::Path(path) = Place::parse(place)? else {
            return Err(Box::new(Diagnostic::not_supported("anything but folders")));
        };
        let tree = Opener::new(None).open(&home.join(path), &OpenOptions::default())?;
        Ok((tree, place.to_owned()))
    };
    let host: Arc<dyn Host> = Arc::new(trees.with_further(Box::new(further)));
    let request = Request {
        inputs,
        roots: wish.roots.clone(),
        platforms: vec!["x86_64-linux".into()],
        environment: wish.environment.clone(),
        options: wish.options.clone(),
        renewed: wish.renewed.clone(),
        ..Request::default()
    };
    let plugin = CargoPlugin;
    let lock = resolve(&plugin, &host, &request).map_err(|failure| match failure {
        Failure::Refused(diagnostic) => told(diagnostic),
        Failure::Unsolvable { explanation, .. } => {
            let lines = explanation.reasons.iter();
            lines
                .map(|it| format!("{}{}", "  ".repeat(it.depth), it.text))
                .collect::<Vec<_>>()
                .join("\n")
        }
        Failure::Bug(error) => format!("BUG: {error}"),
    })?;
    let format = if wish.format.is_empty() { "cargo-lock" } else { &wish.format };
    let answer =
        export(&plugin, &host, &request, &lock.lock, "x86_64-linux", format).map_err(told)?;
    let Blob(bytes) = answer.files.into_values().next().expect("one file");
    Ok(Answer { lock: lock.lock, text: String::from_utf8(bytes).expect("text") })
}
