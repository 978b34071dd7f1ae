//! The inputs of a project, as the user names them and as a lock does.

use crate::{ecosystems::Ecosystem, paths, progress, report::Stop, settings::SETTINGS, user};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use x2nix_core::{
    RequestInput,
    lock::{Lock, LockedInput},
    protocol::{Diagnostic, Host, Hosts, Input, InputKind, Origin, PluginResult},
};
use x2nix_plugin_host::inputs::{Inputs, Locked, Network, OpenOptions, Opener, Place, Tree};

/// The name of a lock file, where none is given.
pub(crate) const LOCK: &str = "x2nix.lock.json";
/// The name of the emitted Nix file, where none is given.
pub(crate) const NIX: &str = "x2nix.nix";

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
    /// The same, for those that add trees.
    pub(crate) trees: Arc<Inputs>,
    pub(crate) inputs: Vec<RequestInput>,
    pub(crate) notes: Vec<Diagnostic>,
}

/// An input that is to be opened.
pub(crate) struct Wanted {
    kind: InputKind,
    place: Place,
    locked: Option<Locked>,
    /// Whether what the lock names, and nothing else, is to be opened.
    only_locked: bool,
}

impl Wanted {
    /// An input as the user gives it. Of what is elsewhere, the content that the lock names is kept.
    pub(crate) fn new(kind: InputKind, place: Place, previous: Option<&Lock>) -> Self {
        let mut inputs = previous.into_iter().flat_map(|lock| &lock.inputs);
        let locked = inputs.find(|input| place.is_locked_as(&input.location)).map(locked);
        Self { kind, place, locked, only_locked: false }
    }

    /// An input that a lock names; paths are as seen from the lock's folder.
    pub(crate) fn of_lock(input: &LockedInput, lock_folder: &Path) -> Result<Self, Stop> {
        if input.kind == InputKind::Generated {
            // Nothing that can be opened: it is made again.
            let place = Place::Path(lock_folder.to_owned());
            return Ok(Self { kind: input.kind, place, locked: None, only_locked: true });
        }
        let (place, locked) = match Place::parse(&input.location)? {
            Place::Path(path) => (Place::Path(lock_folder.join(path)), None),
            elsewhere => (elsewhere, Some(locked(input))),
        };
        Ok(Self { kind: input.kind, place, locked, only_locked: true })
    }

    /// The path, if the input is on this machine.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.place.path()
    }
}

fn locked(input: &LockedInput) -> Locked {
    Locked { location: input.location.clone(), hash: input.hash.clone() }
}

/// A place as `x2nix.toml` names it; paths are relative to that file.
pub(crate) fn place_in_settings(text: &str, folder: &Path) -> Result<Place, Stop> {
    match Place::parse(text) {
        Ok(Place::Path(path)) => Ok(Place::Path(folder.join(path))),
        Ok(place) => Ok(place),
        Err(error) => {
            let file = folder.join(SETTINGS).to_string_lossy().into_owned();
            Err(error.at(Origin::new(file, None)).into())
        }
    }
}

/// Opens the inputs of an ecosystem; locations are as seen from the lock's folder.
pub(crate) fn open_inputs(
    ecosystem: &Ecosystem,
    wanted: &[Wanted],
    lock_folder: &Path,
    offline: bool,
) -> Result<OpenInputs, Stop> {
    let project = wanted.iter().find(|wanted| wanted.kind == InputKind::Project);
    let project = project.and_then(Wanted::path).map(Path::to_owned);
    let credentials = ecosystem.credentials(project.as_deref());
    let opener = Opener::new(dirs::cache_dir().map(|folder| folder.join("x2nix")))
        .with_network(Network { offline, credentials, ..Network::default() })
        .with_progress(Arc::new(progress::Bar::default()));
    let trees = Inputs::new();
    let mut inputs = Vec::new();
    let mut notes = Vec::new();
    let mut pins = Vec::new();
    for Wanted { kind, place, locked, only_locked } in wanted {
        if *kind == InputKind::Pin {
            pins.extend(locked.clone());
        }
        if matches!(kind, InputKind::Pin | InputKind::Generated) {
            continue;
        }
        let label = place.text();
        let exclude = [NIX, LOCK].map(str::to_owned).into_iter().collect();
        let markers = ["packages", "repo"].map(str::to_owned).into_iter().collect();
        let locked = locked.clone();
        let hash_of_lock = locked.as_ref().filter(|_| *only_locked).map(|it| it.hash.clone());
        let options = OpenOptions { label: label.clone(), exclude, markers, locked };
        let tree = opener.open_place(place, &options)?;
        let hash = match kind {
            InputKind::Project => None,
            _ => Some(tree.hash()?.to_owned()),
        };
        if hash_of_lock.is_some() && hash_of_lock != hash {
            return Err(moved(&label));
        }
        notes.extend(tree.notes());
        let location = location(&tree, place, lock_folder);
        let input = Input { tree: trees.add(tree), kind: *kind, label };
        inputs.push(RequestInput { input, location, hash });
    }
    let pins = Pins { opener, folder: project, lock_folder: lock_folder.to_owned(), locked: pins };
    let around = pins.folder.clone();
    let trees = trees
        .with_user(Box::new(move |request| user::look_up(around.as_deref(), request)))
        .with_files(pins.opener.files(&ecosystem.cached_as, ecosystem.cache()))
        .with_further(Box::new(move |place, hosts| pins.open(place, hosts)));
    let trees = Arc::new(trees);
    Ok(OpenInputs { host: Arc::clone(&trees) as Arc<dyn Host>, trees, inputs, notes })
}

/// Opens the sources that a project pins.
struct Pins {
    opener: Opener,
    /// The project; paths are relative to it.
    folder: Option<PathBuf>,
    lock_folder: PathBuf,
    /// What a lock has of them: their content is kept.
    locked: Vec<Locked>,
}

impl Pins {
    fn open(&self, text: &str, hosts: &Hosts) -> PluginResult<(Tree, String)> {
        let mut place = Place::parse(text)?;
        if let (Place::Path(path), Some(folder)) = (&place, &self.folder) {
            place = Place::Path(folder.join(path));
        }
        let locked = self.locked.iter().find(|locked| place.is_locked_as(&locked.location));
        let options = OpenOptions {
            label: text.to_owned(),
            locked: locked.cloned(),
            ..OpenOptions::default()
        };
        let tree = self.opener.clone().within(hosts.clone()).open_place(&place, &options)?;
        let location = location(&tree, &place, &self.lock_folder);
        Ok((tree, location))
    }
}

/// Where a tree was found, as the lock is to say it.
fn location(tree: &Tree, place: &Place, lock_folder: &Path) -> String {
    match (tree.location(), place) {
        (Some(location), _) => location.to_owned(),
        (None, Place::Path(path)) => paths::from_folder(lock_folder, path),
        (None, place) => place.text(),
    }
}

/// What a lock names is not to be had any more.
fn moved(label: &str) -> Stop {
    let message = format!("{label} no longer has the content that the lock names");
    Diagnostic::error("input::moved", message)
        .at(Origin::new(label, None))
        .help("run `x2nix resolve` to lock what it has now")
        .access()
        .into()
}
