//! The duniverse: one unit that unpacks the sources of a workspace, each into a folder of its own.
//!
//! Packages of one repository share a folder and an archive; what else they bring (extra sources, files
//! beside their opam files, patches, files to substitute variables in) is put there too, each once. The
//! output is the folder that a project has as `duniverse/`: dune takes what lies in it for vendored.

use super::source::{folder, repository};
use crate::plugin::build::{Artifacts, Builder, Package, runtime, sources::stays};
use std::collections::{BTreeMap, BTreeSet};
use x2nix_protocol::{
    Blob, Build, Diagnostic, LatePart, Meta, Part, Phase, PluginResult, Purpose, Recipe, Role,
    Step, Unit, UnitEdge, Word,
};

/// What dune reads in the duniverse.
const DUNE: &str = "(vendored_dirs *)\n";

/// What is left out of each folder: the history, and what was vendored there before.
const TRIMMED: [&str; 2] = [".git", "duniverse"];

/// A folder of the duniverse.
pub(in crate::plugin) struct Folder<'p, 's> {
    /// Its name.
    pub(in crate::plugin) name: String,
    /// Its packages; the first says where the source is.
    pub(in crate::plugin) packages: Vec<&'p Package<'s>>,
}

/// The folders of vendored packages, sorted.
pub(in crate::plugin) fn folders<'p, 's>(
    packages: impl Iterator<Item = &'p Package<'s>>,
) -> PluginResult<Vec<Folder<'p, 's>>> {
    let mut groups: BTreeMap<String, Vec<&Package<'_>>> = BTreeMap::new();
    for package in packages {
        let place = package.read(package.file.dev_repo())?.filter(|place| !place.trim().is_empty());
        let group = match place {
            Some(place) => repository(&place),
            // A folder of its own.
            None => package.owner.name.to_owned(),
        };
        groups.entry(group).or_default().push(package);
    }
    let mut taken = BTreeSet::new();
    let mut found = Vec::new();
    for (group, mut packages) in groups {
        let wanted = folder(&group);
        let mut name = wanted.clone();
        let mut number = 1;
        while !taken.insert(name.clone()) {
            number += 1;
            name = format!("{wanted}_{number}");
        }
        // Where some of a repository are pinned, the pin is where all of them are from.
        packages.sort_by_key(|package| !package.owner.local);
        found.push(Folder { name, packages });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The unit of some folders.
pub(super) fn unit(
    builder: &Builder<'_>,
    name: &str,
    version: &str,
    folders: &[Folder<'_, '_>],
) -> PluginResult<(Unit, Artifacts)> {
    let mut artifacts = Artifacts::new();
    let mut build = Build::default();
    build.files.insert("dune".into(), Blob(DUNE.into()));
    let mut trimmed = vec![Word::text("rm"), Word::text("-rf")];
    for folder in folders {
        for (position, package) in folder.packages.iter().enumerate() {
            add(builder, folder, package, position == 0, &mut build, &mut artifacts)?;
        }
        let left_out = TRIMMED.iter().map(|part| Word::text(format!("{}/{part}", folder.name)));
        trimmed.extend(left_out);
    }
    build.steps.push(Step { phase: Phase::Prepare, words: trimmed });
    let out = Word(vec![Part::Late(LatePart::Out(String::new()))]);
    let copy = ["cp", "-R", "."].map(Word::text).into_iter().chain([out]).collect();
    build.steps.push(Step { phase: Phase::Install, words: copy });
    let of_runtime = |word: &Word| {
        let is_it = |part: &Part| matches!(part, Part::Late(LatePart::Unit { unit, .. }) if unit == runtime::KEY);
        word.0.iter().any(is_it)
    };
    let substitutes = build.steps.iter().flat_map(|step| &step.words).any(of_runtime);
    let (role, purpose) = (Role::Build, Purpose::Normal);
    let edge = UnitEdge { unit: runtime::KEY.into(), role, purpose };
    let count = folders.iter().map(|folder| folder.packages.len()).sum::<usize>();
    let unit = Unit {
        name: name.into(),
        version: version.into(),
        recipe: Recipe::Build(build),
        depends: Some(edge).filter(|_| substitutes).into_iter().collect(),
        exports: Vec::new(),
        meta: Meta {
            description: Some(format!(
                "The sources of {count} packages, to compile with a project"
            )),
            ..Meta::default()
        },
    };
    Ok((unit, artifacts))
}

/// Adds what a package brings to its folder; the archive only where it is the first there.
fn add(
    builder: &Builder<'_>,
    folder: &Folder<'_, '_>,
    package: &Package<'_>,
    first: bool,
    build: &mut Build,
    artifacts: &mut Artifacts,
) -> PluginResult<()> {
    let within = |path: &str| match path {
        "" => folder.name.clone(),
        path => format!("{}/{path}", folder.name),
    };
    let mut own = Build::default();
    let mut fetched = Artifacts::new();
    builder.sources(package, &mut own, &mut fetched)?;
    package.add_files(&mut own)?;
    for mut source in own.sources {
        let is_main = source.to.is_empty();
        source.to = within(&source.to);
        let is_new = build.sources.iter().all(|known| known.to != source.to);
        if is_new && (first || !is_main) {
            // Packages of one archive may lie in different folders of it.
            if folder.packages.len() > 1 && is_main {
                source.from = String::new();
            }
            artifacts.extend(fetched.remove_entry(&source.artifact));
            build.sources.push(source);
        }
    }
    for (path, content) in own.files {
        build.files.entry(within(&path)).or_insert(content);
    }
    let environment = &builder.session.environment;
    let patches = package.read(package.file.patches())?;
    let (of_patches, others): (Vec<_>, Vec<_>) = package
        .read(package.file.substs())?
        .into_iter()
        .partition(|name| patches.iter().any(|patch| patch.value == *name));
    let mut step = |words: Vec<Word>| {
        let step = Step { phase: Phase::Prepare, words };
        if !step.words.is_empty() && !build.steps.contains(&step) {
            build.steps.push(step);
        }
    };
    step(substitute(package, &folder.name, &of_patches));
    for patch in patches {
        let filter = patch.filter.as_ref();
        if !filter.is_none_or(|filter| filter.eval(&|it| environment.global(it), false)) {
            continue;
        }
        let name = patch.value.to_string();
        if !stays(&name) {
            return Err(outside(package, &name));
        }
        step(["patch", "-p1", "-d", &folder.name, "-i", &name].map(Word::text).to_vec());
    }
    step(substitute(package, &folder.name, &others));
    Ok(())
}

/// The words that make files of a package from `FILE.in`; none where there are no such files.
fn substitute(package: &Package<'_>, folder: &str, files: &[Box<str>]) -> Vec<Word> {
    if files.is_empty() {
        return Vec::new();
    }
    let set = |variable: &str, value: LatePart| {
        Word(vec![Part::Text(format!("{variable}=")), Part::Late(value)])
    };
    let mut words = ["env", "-C", folder].map(Word::text).to_vec();
    words.extend([
        Word::text(format!("OPAM_PACKAGE_NAME={}", package.owner.name)),
        Word::text(format!("OPAM_PACKAGE_VERSION={}", package.owner.version)),
        set("X2NIX_OPAM", LatePart::Unit { unit: runtime::KEY.into(), path: String::new() }),
        set("OPAM_SWITCH_PREFIX", LatePart::Out(String::new())),
        runtime::program(),
        Word::text("subst"),
    ]);
    words.extend(files.iter().map(|file| Word::text(file.to_string())));
    words
}

fn outside(package: &Package<'_>, name: &str) -> Box<Diagnostic> {
    package.refuse("patches", &format!("the patch {name:?} is outside of its source"))
}
