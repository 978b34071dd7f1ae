//! `x2nix resolve`: choose versions, write the lock file and the Nix file.

use super::{diff::summary, lock_bytes, nix_text, this_platform, write};
use crate::{
    ecosystems::{self, Ecosystem},
    fixer::Fetcher,
    package_set::{PackageSetPlace, wishes},
    paths::{folder_of, from_folder},
    plugins,
    preparer::Builder,
    project::{LOCK, NIX, Wanted, open_inputs, place_in_settings, unreadable},
    report::{Format, Stop, answer, answer_json, done, note_all},
    settings::Settings,
};
use clap::ArgMatches;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::Metadata,
    path::{Path, PathBuf},
    sync::Arc,
};
use x2nix_core::{
    Failure, Request, RequestInput, Resolution,
    lock::{self, AND, Lock, Optimality},
    protocol::{Describe, Diagnostic, InputKind, OptionValue, Recipe, Role},
};
use x2nix_plugin_host::inputs::Place;

/// Runs the command.
pub(crate) fn run(
    ecosystems: &[Ecosystem],
    matches: &ArgMatches,
    format: Format,
) -> Result<(), Stop> {
    let places = Places::new(matches);
    let mut settings = Settings::read(&places.folder)?;
    if !places.project {
        // Packages by name are wanted instead of the project's.
        settings.roots.clear();
    }
    let ecosystem = &ecosystem(ecosystems, matches, &settings)?;
    let name = ecosystem.describe.ecosystem.as_str();
    let dry_run = matches.get_flag("dry-run");

    let there = match present(&places.lock) {
        // One that cannot be read is made anew with --update.
        Err(_) if texts(matches, "update").iter().any(String::is_empty) => None,
        there => there?,
    };
    if !dry_run && !places.named {
        require_same_kind(there.as_ref(), &places)?;
    }
    let previous = previous(matches, there.clone(), name);
    if let Some(lock) = &previous {
        plugins::check_lock(ecosystem, lock)?;
    }
    let mut wanted = Vec::new();
    if places.project {
        let folder = Place::Path(places.folder.clone());
        wanted.push(Wanted::new(InputKind::Project, folder, None));
    }
    wanted.extend(repositories(
        &ecosystem.describe,
        matches,
        &settings,
        &places.folder,
        previous.as_ref(),
    )?);
    // What the project pins stays at the content that the lock names.
    let pins = previous.iter().flat_map(|lock| &lock.inputs);
    for pin in pins.filter(|input| input.kind == InputKind::Pin) {
        wanted.push(Wanted::of_lock(pin, folder_of(&places.lock))?);
    }
    let opened =
        open_inputs(ecosystem, &wanted, folder_of(&places.lock), matches.get_flag("offline"))?;
    let mut request = request(ecosystem, matches, opened.inputs.clone(), &settings)?;
    let package_set =
        PackageSetPlace::new(matches, &settings, &places.folder, folder_of(&places.lock));
    let anew = texts(matches, "update");
    let kept = previous.as_ref().map(|lock| (&lock.request, anew.as_slice()));
    let wishes = wishes(&settings, ecosystem, &request.options);
    package_set.provide(&mut request, &wishes, kept)?;
    request.previous = previous;
    request.renewed = texts(matches, "update");
    request.build = !dry_run;
    request.fixer = Some(Arc::new(Fetcher::new(matches.get_flag("offline"))));
    let nixpkgs = matches.get_one::<PathBuf>("nixpkgs").map(PathBuf::as_path);
    request.preparer =
        Some(Arc::new(Builder::new(&opened, &places.lock, &places.folder, nixpkgs, &settings)));
    let resolved = x2nix_core::resolve(ecosystem.plugin.as_ref(), &opened.host, &request);
    let Resolution { mut lock, notes } =
        resolved.map_err(|failure| match (failure, matches.get_flag("verbose")) {
            (Failure::Unsolvable { platform, mut explanation, notes }, verbose) => {
                let plugin = ecosystem.plugin.as_ref();
                let help =
                    x2nix_core::suggest(plugin, &opened.host, &request, &platform, &explanation);
                explanation.suggestions = help.unwrap_or_default();
                Stop::Unsolvable { platform, explanation, verbose, notes }
            }
            (failure, _) => plugins::blame(ecosystem, failure).into(),
        })?;
    plugins::sign(ecosystem, &mut lock);
    let updates = unknown_updates(matches, there.as_ref(), &lock);
    let notes: Vec<Diagnostic> = opened.notes.into_iter().chain(notes).chain(updates).collect();
    note_all(&notes, format);
    if matches.get_flag("locked") {
        require_unchanged(&lock, &places.lock)?;
    } else if !dry_run {
        let lock_name = from_folder(folder_of(&places.nix), &places.lock);
        let text = nix_text(&lock, &lock_name, &places.nix)?;
        write(&places.lock, &lock::write(&lock))?;
        write(&places.nix, &text)?;
    }
    tell(&lock, there.as_ref(), &notes, &places, dry_run, format)
}

/// The ecosystem that the flag or the settings name.
pub(super) fn ecosystem(
    ecosystems: &[Ecosystem],
    matches: &ArgMatches,
    settings: &Settings,
) -> Result<Ecosystem, Stop> {
    let given = matches.get_one::<String>("ecosystem").or(settings.ecosystem.as_ref());
    match given {
        Some(name) => ecosystems::find(ecosystems, name),
        None => Err(Diagnostic::error("cli::ecosystem", "nobody says whose packages these are")
            .help("give --ecosystem opam, or write ecosystem = \"opam\" into x2nix.toml")
            .into()),
    }
}

/// What the flags that `resolve` and `sweep` share ask for; what they leave open, the settings say.
pub(super) fn request(
    ecosystem: &Ecosystem,
    matches: &ArgMatches,
    inputs: Vec<RequestInput>,
    settings: &Settings,
) -> Result<Request, Stop> {
    let mut platforms = texts(matches, "platform");
    if platforms.is_empty() {
        platforms.clone_from(&settings.platforms);
    }
    if platforms.is_empty() {
        platforms.push(this_platform());
    }
    let mut variables = settings.environment.clone();
    variables.extend(environment(matches)?);
    if let (Some(edge), false) =
        (settings.edges.first(), ecosystem.describe.ecosystem.contains(AND))
    {
        let message =
            format!("an [[edge]] joins ecosystems, and {} is one", ecosystem.describe.ecosystem);
        let diagnostic = Diagnostic::error("settings::edge", message);
        let help = "name both: ecosystem = \"opam+cargo\"";
        return Err(Diagnostic { origin: edge.origin.clone(), ..diagnostic }.help(help).into());
    }
    let mut chosen = settings.options(&ecosystem.describe)?;
    chosen.extend(options(ecosystem, matches));
    Ok(Request {
        inputs,
        roots: settings.roots.iter().cloned().chain(texts(matches, "root")).collect(),
        platforms,
        environment: variables,
        options: chosen,
        system: settings.system.clone(),
        edges: settings.edges.clone(),
        overrides: settings.overrides.clone(),
        policy: matches
            .get_one::<String>("prefer")
            .or(settings.prefer.as_ref())
            .cloned()
            .unwrap_or_default(),
        ..Request::default()
    })
}

/// Where things are read from and written to.
struct Places {
    folder: PathBuf,
    /// Whether the folder is a project, or only the place for the outputs.
    project: bool,
    lock: PathBuf,
    nix: PathBuf,
    /// Whether the user named the lock.
    named: bool,
}

impl Places {
    fn new(matches: &ArgMatches) -> Self {
        let given = matches.get_one::<PathBuf>("folder");
        let folder = given.cloned().unwrap_or_else(|| PathBuf::from("."));
        let file = |name: &str, default: &str| {
            matches.get_one::<PathBuf>(name).cloned().unwrap_or_else(|| folder.join(default))
        };
        Self {
            lock: file("lock", LOCK),
            nix: file("nix", NIX),
            project: given.is_some() || !matches.contains_id("root"),
            named: matches.contains_id("lock"),
            folder,
        }
    }
}

fn texts(matches: &ArgMatches, name: &str) -> Vec<String> {
    matches.get_many::<String>(name).into_iter().flatten().cloned().collect()
}

pub(super) fn repositories(
    describe: &Describe,
    matches: &ArgMatches,
    settings: &Settings,
    folder: &Path,
    previous: Option<&Lock>,
) -> Result<Vec<Wanted>, Stop> {
    let given = matches.get_many::<PathBuf>("repo").into_iter().flatten();
    let mut places = given.map(|given| place_of(given)).collect::<Result<Vec<_>, _>>()?;
    if places.is_empty() {
        let named = settings.repositories.iter();
        places = named.map(|text| place_in_settings(text, folder)).collect::<Result<_, _>>()?;
    }
    if places.is_empty() && !describe.finds_repositories {
        return Err(Diagnostic::error("request::repository", "there is no repository to choose packages from")
            .help("give one with --repo DIR, FILE.tar.gz, URL or git+URL, or as `repositories = [\"…\"]` in x2nix.toml")
            .into());
    }
    let wanted = |place| Wanted::new(InputKind::Repository, place, previous);
    Ok(places.into_iter().map(wanted).collect())
}

/// A place as a flag gives it; what is not text can only be a path.
fn place_of(given: &Path) -> Result<Place, Stop> {
    match given.to_str() {
        Some(text) => Ok(Place::parse(text)?),
        None => Ok(Place::Path(given.to_owned())),
    }
}

fn environment(matches: &ArgMatches) -> Result<BTreeMap<String, String>, Stop> {
    let pair = |text: String| match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(Diagnostic::error("cli::env", format!("--env {text}: not of the form KEY=VALUE"))
            .help("for example: --env os-distribution=debian")
            .into()),
    };
    texts(matches, "env").into_iter().map(pair).collect()
}

fn options(ecosystem: &Ecosystem, matches: &ArgMatches) -> BTreeMap<String, Vec<String>> {
    let mut given = BTreeMap::new();
    for option in &ecosystem.describe.options {
        let values = match &option.value {
            OptionValue::Flag => matches.get_flag(&option.name).then(Vec::new),
            OptionValue::OneOf(_) | OptionValue::Texts => {
                Some(texts(matches, &option.name)).filter(|values| !values.is_empty())
            }
        };
        given.extend(values.map(|values| (option.name.clone(), values)));
    }
    given
}

/// The lock that is there.
fn present(path: &Path) -> Result<Option<Lock>, Stop> {
    if path == Path::new("-") {
        return Ok(None);
    }
    // A device or a pipe is there to be written to.
    let writable_only = |about: Metadata| !about.is_file() && !about.is_dir();
    if std::fs::metadata(path).is_ok_and(writable_only) {
        return Ok(None);
    }
    let bytes = match lock_bytes(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(path, &error)),
    };
    Ok(Some(lock::read(&bytes, &path.to_string_lossy())?))
}

/// A project's lock is not replaced by one of packages that were only named.
fn require_same_kind(there: Option<&Lock>, places: &Places) -> Result<(), Stop> {
    let of_project = |lock: &Lock| lock.inputs.iter().any(|it| it.kind == InputKind::Project);
    if places.project || !there.is_some_and(of_project) {
        return Ok(());
    }
    let lock = places.lock.display();
    let message =
        format!("{lock} is the lock of a project, and --root alone asks for packages without it");
    let help = "give the project's folder as well (`.`), or other files to write to: --lock FILE --nix FILE; --dry-run writes none";
    Err(Diagnostic::error("request::other-lock", message).help(help).into())
}

/// The lock whose choices are kept, without what `--update` names.
fn previous(matches: &ArgMatches, there: Option<Lock>, ecosystem: &str) -> Option<Lock> {
    let update = texts(matches, "update");
    let mut lock = there.filter(|_| !update.iter().any(String::is_empty))?;
    let anew: BTreeSet<String> = lock
        .packages
        .values()
        .filter(|package| update.contains(&package.name))
        .filter_map(|package| package.unit.clone())
        .collect();
    for (id, unit) in &lock.units {
        let is_anew = anew.iter().any(|key| id == key || id.starts_with(&format!("{key}/")));
        if let (true, Recipe::Build(build)) = (is_anew, &unit.recipe) {
            build.sources.iter().for_each(|it| drop(lock.artifacts.remove(&it.artifact)));
        }
    }
    lock.packages.retain(|_, package| !update.contains(&package.name));
    for prepared in lock.preparations.values_mut() {
        prepared.packages.retain(|_, package| !update.contains(&package.name));
    }
    Some(lock).filter(|lock| lock.ecosystem == ecosystem)
}

/// Names that were to be chosen anew, and that neither the lock of before nor this one has.
fn unknown_updates(
    matches: &ArgMatches,
    before: Option<&Lock>,
    now: &Lock,
) -> impl Iterator<Item = Diagnostic> {
    let locks: Vec<&Lock> = before.into_iter().chain([now]).collect();
    let of_preparations = |lock: &Lock, name: &str| {
        lock.preparations.values().any(|it| it.packages.values().any(|it| it.name == name))
    };
    let is_known = |name: &String| {
        locks.iter().any(|lock| {
            lock.packages.values().any(|it| it.name == *name) || of_preparations(lock, name)
        })
    };
    let mut unknown = texts(matches, "update");
    unknown.retain(|name| !name.is_empty() && !is_known(name));
    unknown.into_iter().map(|name| {
        let message =
            format!("--update={name} has no effect: the lock has no package of that name");
        Diagnostic::warning("cli::update", message).help("`x2nix tree` shows the names")
    })
}

fn require_unchanged(lock: &Lock, path: &Path) -> Result<(), Stop> {
    let present = lock_bytes(path).map_err(|error| unreadable(path, &error))?;
    if present == lock::write(lock).as_bytes() {
        return Ok(());
    }
    let message = format!("the lock file {} is not up to date", path.display());
    let help = "run `x2nix resolve` without --locked and commit the result";
    Err(Stop::Failed(vec![Diagnostic::error("check::stale", message).help(help)]))
}

/// Says what was chosen.
fn tell(
    lock: &Lock,
    before: Option<&Lock>,
    notes: &[Diagnostic],
    places: &Places,
    dry_run: bool,
    format: Format,
) -> Result<(), Stop> {
    let to_stdout = [&places.lock, &places.nix].into_iter().any(|path| path == Path::new("-"));
    match format {
        Format::Json if dry_run || !to_stdout => answer_json(&document(lock, notes)),
        Format::Json => Ok(()),
        Format::Text if dry_run => answer(&listing(lock)),
        Format::Text => {
            let (answer, count) = (lock, lock.packages.len());
            let (lock, nix) = (places.lock.display(), places.nix.display());
            let changed = before.and_then(|before| summary(before, answer));
            let changed = changed.map(|words| format!(" ({words})")).unwrap_or_default();
            done(
                &format!("{count} packages locked in {lock}{changed}; build them with {nix}"),
                format,
            );
            Ok(())
        }
    }
}

/// The answer for people: one package a line.
fn listing(lock: &Lock) -> String {
    let mut text = String::new();
    for (platform, answer) in &lock.platforms {
        if lock.platforms.len() > 1 {
            text.push_str(&format!("# {platform}\n"));
        }
        let packages = answer.packages.iter().filter_map(|id| lock.package(id, platform));
        let mut packages: Vec<_> = packages.collect();
        packages.sort_by_key(|package| &package.name);
        for package in packages {
            text.push_str(&format!("{} {}\n", package.name, package.version));
        }
    }
    text
}

/// The answer for programs.
fn document(lock: &Lock, notes: &[Diagnostic]) -> Value {
    let mut roles: BTreeMap<&str, BTreeSet<Role>> = BTreeMap::new();
    let mut on: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (platform, answer) in &lock.platforms {
        let packages = answer.packages.iter().filter_map(|id| lock.package(id, platform));
        for need in answer.roots.iter().chain(packages.flat_map(|package| &package.depends)) {
            for id in &need.by {
                roles.entry(id).or_default().insert(need.role);
            }
        }
        answer.packages.iter().for_each(|id| on.entry(id).or_default().push(platform));
    }
    let package = |(id, platforms): (&&str, &Vec<&str>)| {
        let package = lock.package(id, platforms[0])?;
        Some(json!({
            "name": package.name, "version": package.version, "ecosystem": lock.ecosystem_of(package),
            "context": package.context, "placement": package.placement, "roles": roles.get(id), "platforms": platforms,
            "marks": package.marks, "file": package.file, "unit": package.unit,
        }))
    };
    // By name: the ids sort otherwise, as `@` comes after `-`.
    let mut packages: Vec<_> = on.iter().filter_map(package).collect();
    packages.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    let first = lock.platforms.values().next();
    let optimal = lock.platforms.values().all(|answer| answer.optimality == Optimality::Optimal);
    json!({
        "status": "solved",
        "optimality": if optimal { Optimality::Optimal } else { Optimality::BestFound },
        "criteria": first.map(|answer| &answer.criteria),
        "environment": first.map(|answer| &answer.environment),
        "packages": packages,
        "notes": notes,
    })
}
