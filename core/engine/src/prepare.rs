//! Preparations: what a tool of the ecosystem makes of the project before the request can be read.
//!
//! A plugin that cannot say what a project needs, because a program has to write that down first,
//! answers `open` with [`Preparation`]s. For each of them
//!
//! ```text
//! roots   -> resolve, by themselves      -> a lock with the tool's units
//!         -> the preparation's unit, with edges to those of the roots
//!         -> Preparer: built by Nix      -> a tree, offered as one more input
//! open again, with that input            -> the answer, or further preparations
//! ```
//!
//! Whoever calls the engine brings the [`Preparer`]; nothing here runs a program. Once the main answer
//! has its units, those of the preparations are grafted onto them, so that what reads a lock's units
//! (Nix, fetching, graphs) need not know where they came from: a unit that is the same in both stays
//! one, another one gets the preparation's name behind its key.

use crate::resolve::{Failure, Request, Resolution, question, resolve};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use x2nix_lock::{Lock, LockedPreparation, check_claims};
use x2nix_protocol::{
    BuildAnswer, Diagnostic, EnvironmentOperation, Host, Input, InputKind, LatePart, Opened,
    OpenedTree, Part, Plugin, PluginResult, Preparation, Purpose, Recipe, Role, Unit, UnitEdge,
    Word,
};

/// Builds what has to be made before a request can be read.
pub trait Preparer: Send + Sync {
    /// Builds a unit of a lock for a platform, and offers what it has put out as a tree.
    ///
    /// # Errors
    ///
    /// Where it cannot be built.
    fn prepare(&self, lock: &Lock, unit: &str, platform: &str) -> PluginResult<OpenedTree>;
}

/// A preparation that was made on one platform.
pub(crate) struct Prepared {
    pub(crate) name: String,
    pub(crate) tree: OpenedTree,
    roots: Vec<String>,
    /// The tool's answer, and the unit.
    lock: Lock,
}

/// More preparations than any project has: a plugin that asks for ever more does not end.
const MOST: usize = 64;

/// Opens a session, making whatever has to be made first.
pub(crate) fn open(
    plugin: &dyn Plugin,
    host: &Arc<dyn Host>,
    request: &Request,
    platform: &str,
    previous: Option<&Lock>,
) -> Result<(Opened, Vec<Prepared>), Failure> {
    let mut question = question(request, platform);
    let mut made: Vec<Prepared> = Vec::new();
    loop {
        let mut opened = plugin.open(Arc::clone(host), &question)?;
        let wanted = std::mem::take(&mut opened.answer.preparations);
        if wanted.is_empty() {
            return Ok((opened, made));
        }
        for preparation in wanted {
            check(&preparation, &made)?;
            let name = preparation.name.clone();
            let tool = Tool { plugin, host, request, platform };
            let prepared = tool.prepare(preparation, previous, &made)?;
            question.inputs.push(Input {
                tree: prepared.tree.tree,
                kind: InputKind::Generated,
                label: name,
            });
            made.push(prepared);
        }
    }
}

fn refuse(what: impl Into<String>) -> Box<Diagnostic> {
    Box::new(
        Diagnostic::error("plugin::protocol", what)
            .help("this is a fault of the plugin; report it to its author"),
    )
}

fn check(preparation: &Preparation, made: &[Prepared]) -> Result<(), Box<Diagnostic>> {
    let name = &preparation.name;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._+".contains(&byte);
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(refuse(format!("{name:?} cannot be the name of a preparation")));
    }
    if made.len() >= MOST || made.iter().any(|made| made.name == *name) {
        return Err(refuse(format!("asks again and again for preparations, such as {name}")));
    }
    if preparation.roots.is_empty() {
        return Err(refuse(format!("the preparation {name} needs no package")));
    }
    Ok(())
}

/// What a preparation is made with.
struct Tool<'a> {
    plugin: &'a dyn Plugin,
    host: &'a Arc<dyn Host>,
    request: &'a Request,
    platform: &'a str,
}

impl Tool<'_> {
    fn prepare(
        &self,
        preparation: Preparation,
        previous: Option<&Lock>,
        made: &[Prepared],
    ) -> Result<Prepared, Failure> {
        let Preparation { name, roots, options, unit, artifacts, origin } = preparation;
        let Some(preparer) = &self.request.preparer else {
            let message = format!("{name} has to be made by Nix before this can be resolved");
            let help =
                "install Nix, or put it on the PATH; or keep what is generated in the project";
            let diagnostic = Diagnostic::error("preparation::unavailable", message);
            return Err(Box::new(Diagnostic { origin, ..diagnostic }.access().help(help)).into());
        };
        // One tool mostly makes all.
        let same = |made: &&Prepared| made.roots == roots && made.lock.request.options == options;
        let mut lock = match made.iter().find(same) {
            Some(made) => {
                let mut lock = made.lock.clone();
                lock.units.remove(&made.name);
                lock
            }
            None => self.resolve(&roots, &options, previous, &name)?,
        };
        for (key, artifact) in artifacts {
            if lock.artifacts.get(&key).is_some_and(|known| *known != artifact) {
                return Err(refuse(format!("two artifacts are called {key}")).into());
            }
            lock.artifacts.insert(key, artifact);
        }
        let unit = self.with_roots(unit, &lock);
        if let Some(answer) = lock.platforms.get_mut(self.platform) {
            answer.aliases = BTreeMap::from([(name.clone(), name.clone())]);
        }
        if lock.units.insert(name.clone(), unit).is_some() {
            return Err(refuse(format!("a package and a preparation are called {name}")).into());
        }
        if let Some(claim) = check_claims(&lock).into_iter().next() {
            return Err(refuse(format!("preparation {name}: {}", claim.message)).into());
        }
        let tree = preparer.prepare(&lock, &name, self.platform).map_err(|error| {
            let at = error.origin.clone().or(origin);
            Box::new(Diagnostic { origin: at, ..*error })
        })?;
        Ok(Prepared { name, tree, roots, lock })
    }

    /// Resolves the roots by themselves: the session sees no project.
    fn resolve(
        &self,
        roots: &[String],
        options: &BTreeMap<String, Vec<String>>,
        previous: Option<&Lock>,
        name: &str,
    ) -> Result<Lock, Failure> {
        let mut request = Request {
            roots: roots.to_vec(),
            platforms: vec![self.platform.to_owned()],
            options: options.clone(),
            previous: previous.and_then(|lock| view(lock, name)),
            build: true,
            preparer: None,
            ..self.request.clone()
        };
        // Every input keeps its number, but states no roots.
        for input in &mut request.inputs {
            if input.input.kind == InputKind::Project {
                input.input.kind = InputKind::Pin;
            }
        }
        let Resolution { mut lock, .. } = resolve(self.plugin, self.host, &request)?;
        for (input, own) in lock.inputs.iter_mut().zip(&self.request.inputs) {
            input.kind = own.input.kind;
        }
        Ok(lock)
    }

    /// The unit with edges to those that build the roots.
    fn with_roots(&self, mut unit: Unit, lock: &Lock) -> Unit {
        let answer = lock.platforms.get(self.platform);
        let roots = answer.into_iter().flat_map(|answer| &answer.roots).flat_map(|need| &need.by);
        let units = roots.filter_map(|id| lock.package(id, self.platform)?.unit.clone());
        let edge = |unit| UnitEdge { unit, role: Role::Build, purpose: Purpose::Normal };
        unit.depends.extend(units.map(edge));
        unit.depends.sort_unstable();
        unit.depends.dedup();
        unit
    }
}

/// What a lock has of a preparation, as a lock: its choices are kept.
fn view(lock: &Lock, name: &str) -> Option<Lock> {
    let LockedPreparation { platforms, packages, .. } = lock.preparations.get(name)?.clone();
    Some(Lock {
        platforms,
        packages,
        inputs: Vec::new(),
        overrides: Vec::new(),
        artifacts: BTreeMap::new(),
        units: BTreeMap::new(),
        preparations: BTreeMap::new(),
        version: lock.version,
        ecosystem: lock.ecosystem.clone(),
        plugin: lock.plugin.clone(),
        request: lock.request.clone(),
    })
}

impl Prepared {
    /// Whether an override, by its position, changed something here.
    pub(crate) fn has_used(&self, position: usize) -> bool {
        self.lock.overrides.get(position).is_some_and(|it| !it.packages.is_empty())
    }

    /// Adds the units to those of the main answer, and gives what the lock says of the preparation.
    pub(crate) fn graft(
        mut self,
        build: Option<&mut BuildAnswer>,
        platform: &str,
    ) -> Result<LockedPreparation, Box<Diagnostic>> {
        match build {
            Some(build) => {
                if build.units.contains_key(&self.name) {
                    let name = &self.name;
                    return Err(refuse(format!("a package and a preparation are called {name}")));
                }
                build.aliases.insert(self.name.clone(), self.name.clone());
                let names = Graft { build, from: &self.lock, name: &self.name }.all();
                for package in self.lock.packages.values_mut() {
                    package.unit = package.unit.take().and_then(|unit| names.get(&unit).cloned());
                }
            }
            None => self.lock.packages.values_mut().for_each(|package| package.unit = None),
        }
        for answer in self.lock.platforms.values_mut() {
            answer.aliases.clear();
        }
        Ok(LockedPreparation {
            roots: self.roots,
            generated: BTreeMap::from([(platform.to_owned(), self.tree.hash)]),
            platforms: self.lock.platforms,
            packages: self.lock.packages,
        })
    }
}

/// Adds what another platform has.
pub(crate) fn join(
    all: &mut BTreeMap<String, LockedPreparation>,
    name: String,
    more: LockedPreparation,
) {
    let Some(known) = all.get_mut(&name) else {
        all.insert(name, more);
        return;
    };
    for platform in more.platforms.keys() {
        for (id, package) in &more.packages {
            match known.packages.get(id) {
                Some(present) if present == package => {}
                Some(_) => {
                    known.packages.insert(format!("{id}/{platform}"), package.clone());
                }
                None => {
                    known.packages.insert(id.clone(), package.clone());
                }
            }
        }
    }
    known.generated.extend(more.generated);
    known.platforms.extend(more.platforms);
}

/// Units on their way from a preparation's lock to the main answer.
struct Graft<'a> {
    build: &'a mut BuildAnswer,
    from: &'a Lock,
    name: &'a str,
}

impl Graft<'_> {
    /// Adds all units, and gives the key of each by the key that it had.
    fn all(mut self) -> BTreeMap<String, String> {
        let mut artifacts = BTreeMap::new();
        for (key, artifact) in &self.from.artifacts {
            let known = &mut self.build.artifacts;
            let (place, artifact) = free(known, key, self.name, |_| artifact.clone());
            known.insert(place.clone(), artifact);
            artifacts.insert(key.clone(), place);
        }
        let mut names = BTreeMap::new();
        for key in self.order() {
            let (place, unit) = free(&self.build.units, &key, self.name, |place| {
                // What it exports may speak of itself.
                names.insert(key.clone(), place.to_owned());
                let mut unit = self.from.units[&key].clone();
                rename(&mut unit, &names, &artifacts);
                unit
            });
            self.build.units.insert(place.clone(), unit);
            names.insert(key, place);
        }
        names
    }

    /// The keys of the units, each behind those that it needs; there is no cycle.
    fn order(&mut self) -> Vec<String> {
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        // A unit goes onto the stack twice: to be entered, and to be left once all that it needs was.
        let mut stack: Vec<(&str, bool)> =
            self.from.units.keys().rev().map(|key| (key.as_str(), false)).collect();
        while let Some((key, leave)) = stack.pop() {
            if leave {
                order.push(key.to_owned());
            } else if seen.insert(key) {
                stack.push((key, true));
                let unit = self.from.units.get(key);
                let needs = unit.into_iter().flat_map(|unit| &unit.depends);
                stack.extend(needs.map(|edge| (edge.unit.as_str(), false)));
            }
        }
        order
    }
}

/// The key for an entry: its own, where nothing or the same has it, or one that tells where it is from;
/// and the entry as it is there.
fn free<T: PartialEq>(
    known: &BTreeMap<String, T>,
    key: &str,
    name: &str,
    mut entry: impl FnMut(&str) -> T,
) -> (String, T) {
    let start = format!("{key}:");
    let others = known.range(start.clone()..).take_while(|(other, _)| other.starts_with(&start));
    for place in std::iter::once(key).chain(others.map(|(other, _)| other.as_str())) {
        let entry = entry(place);
        if known.get(place).is_none_or(|present| *present == entry) {
            return (place.to_owned(), entry);
        }
    }
    let place = format!("{start}{name}");
    let entry = entry(&place);
    (place, entry)
}

/// Lets a unit speak of others by their new keys.
pub(crate) fn rename(
    unit: &mut Unit,
    names: &BTreeMap<String, String>,
    artifacts: &BTreeMap<String, String>,
) {
    let change = |key: &mut String, table: &BTreeMap<String, String>| {
        if let Some(new) = table.get(key) {
            key.clone_from(new);
        }
    };
    let in_word = |word: &mut Word| {
        for part in &mut word.0 {
            if let Part::Late(LatePart::Unit { unit, .. } | LatePart::Content { unit, .. }) = part {
                change(unit, names);
            }
        }
    };
    let in_all = |operations: &mut Vec<EnvironmentOperation>| {
        for operation in operations {
            in_word(&mut operation.value);
        }
    };
    unit.depends.iter_mut().for_each(|edge| change(&mut edge.unit, names));
    unit.depends.sort_unstable();
    in_all(&mut unit.exports);
    if let Recipe::Build(build) = &mut unit.recipe {
        build.sources.iter_mut().for_each(|source| change(&mut source.artifact, artifacts));
        in_all(&mut build.environment);
        build.steps.iter_mut().flat_map(|step| &mut step.words).for_each(in_word);
    }
}
