//! Building with Nix while locking: what the engine's preparations are made by.

use crate::{
    paths::folder_of,
    progress::Bar,
    project::{LOCK, OpenInputs},
    settings::Settings,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf, absolute},
    sync::{Arc, Mutex, PoisonError},
};
use x2nix_core::{
    Preparer,
    lock::{self, Lock},
    protocol::{Diagnostic, OpenedTree, PluginResult},
};
use x2nix_fetch::Error;
use x2nix_nix::{Packages, READER, UnitExpression};
use x2nix_plugin_host::inputs::{Inputs, OpenOptions, Opener, Progress};

/// The code of the message that there is no Nix to build with.
pub(crate) const NO_NIX: &str = "preparation::no-nix";

/// Makes preparations by Nix on this machine.
pub(crate) struct Builder {
    trees: Arc<Inputs>,
    lock_file: PathBuf,
    packages: Packages,
    /// What was made, by the text of its lock and its unit: a resolution may ask several times.
    made: Mutex<BTreeMap<(String, String), OpenedTree>>,
}

impl Builder {
    /// For a lock that is to lie at a path, with the package set that flags or settings name.
    pub(crate) fn new(
        opened: &OpenInputs,
        lock_file: &Path,
        project: &Path,
        given: Option<&Path>,
        settings: &Settings,
    ) -> Self {
        let stdout = lock_file == Path::new("-");
        let lock_file = if stdout { project.join(LOCK) } else { lock_file.to_owned() };
        let named = settings.nixpkgs.as_ref().map(|path| project.join(path));
        let packages = given.map(Path::to_owned).or(named);
        let packages = packages.map_or(Packages::Nixpkgs, |path| Packages::Path(text(&path)));
        Self {
            trees: Arc::clone(&opened.trees),
            lock_file: absolute(&lock_file).unwrap_or(lock_file),
            packages,
            made: Mutex::default(),
        }
    }
}

/// A path as Nix is told it: absolute, with no `.` or `..` in it where the system knows it.
fn text(path: &Path) -> String {
    let whole = path.canonicalize().or_else(|_| absolute(path));
    whole.as_deref().unwrap_or(path).to_string_lossy().into_owned()
}

impl Preparer for Builder {
    fn prepare(&self, lock: &Lock, unit: &str, platform: &str) -> PluginResult<OpenedTree> {
        let key = (lock::write(lock), unit.to_owned());
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = made.get(&key) {
            return Ok(known.clone());
        }
        let bar = Bar::default();
        bar.begins(&format!("building {unit}"), None);
        let built = self.build(&key.0, unit, platform);
        bar.ends();
        let path = built.map_err(|error| refused(lock, unit, &error))?;
        let options = OpenOptions { label: unit.to_owned(), ..OpenOptions::default() };
        let tree = Opener::default().open(&path, &options)?;
        let hash = tree.hash()?.to_owned();
        let opened = OpenedTree { tree: self.trees.add(tree), location: unit.to_owned(), hash };
        made.insert(key, opened.clone());
        Ok(opened)
    }
}

impl Builder {
    fn build(&self, lock: &str, unit: &str, system: &str) -> Result<PathBuf, Error> {
        let io = |what: &str, error| Error::Io { what: what.to_owned(), error };
        let folder = tempfile::Builder::new().prefix("x2nix-prepare").tempdir();
        let folder = folder.map_err(|error| io("cannot make a temporary folder", error))?;
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            let written = fs::write(&path, text);
            written.map_err(|error| io("cannot write a temporary file", error)).map(|()| path)
        };
        let (reader, content) = (file("x2nix.nix", READER)?, file("lock.json", lock)?);
        let overrides = folder_of(&self.lock_file).join("overrides.nix");
        let overrides = overrides.exists().then(|| overrides.to_string_lossy().into_owned());
        let expression = UnitExpression {
            reader: &reader.to_string_lossy(),
            content: &content.to_string_lossy(),
            lock_file: &self.lock_file.to_string_lossy(),
            overrides: overrides.as_deref(),
            packages: &self.packages,
            system,
            unit,
        };
        x2nix_fetch::build(&file("unit.nix", &expression.text())?)
    }
}

fn refused(lock: &Lock, unit: &str, error: &Error) -> Box<Diagnostic> {
    /// What a build says last tells why it failed.
    const LINES: usize = 30;
    let own = lock.units.get(unit).map(|it| format!("-{}-{}.drv", it.name, it.version));
    let diagnostic = match error {
        Error::NoNix(program) => Diagnostic::error(
            NO_NIX,
            format!("{unit} has to be built before this can be resolved, and there is no `{program}` on the PATH"),
        )
        .help("install Nix, or put it on the PATH; or keep what is generated in the project"),
        Error::Nix { program, said } => {
            let lines: Vec<_> = said.lines().collect();
            let last = lines[lines.len().saturating_sub(LINES)..].join("\n");
            // Its own step fails over what the project says, all others over what is there to build with.
            if own.is_some_and(|own| is_own_fault(&lines, &own)) {
                let message = format!("{unit} cannot be made of the project:\n{last}");
                let refused = Diagnostic::error("preparation::refused", message);
                return Box::new(refused.help("mend what it says in the project"));
            }
            Diagnostic::error(
                "preparation::build",
                format!("{program} could not build {unit}:\n{last}"),
            )
            .help("mend what it says; --nixpkgs FILE, or `nixpkgs` in x2nix.toml, names the package set to build with")
        }
        _ => Diagnostic::error("preparation::build", format!("{unit}: {error}"))
            .help("check that the temporary folder can be written to"),
    };
    Box::new(diagnostic.access())
}

/// Whether it was this very derivation that failed, and not one that it needs: as Nix up to 2.29 says it, and
/// as later ones do.
fn is_own_fault(said: &[&str], derivation: &str) -> bool {
    let named = |line: &str| line.contains(derivation);
    let now = said.iter().any(|line| named(line) && line.contains("builder for"));
    let later = said.windows(2).any(|lines| {
        named(lines[0]) && lines[0].contains("Cannot build") && lines[1].contains("builder failed")
    });
    now || later
}
