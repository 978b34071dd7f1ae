//! The unit of a unikernel.

use super::Configured;
use crate::{
    filter::{Argument, Command, Word as Spoken},
    plugin::{monorepo::shell, script},
};
use std::collections::BTreeMap;
use x2nix_protocol::{
    Blob, Build, BuildAnswer, BuildVariable, EnvironmentOperation, LatePart, Meta, Operation, Part,
    Phase, Purpose, Recipe, Role, Source, Step, SystemNeed, Unit, UnitEdge, Word,
};

/// The key of the unit that has the script; no package can be called that.
const RUNTIME: &str = "x2nix-mirage@runtime";

/// Where the opam file that was locked lies in a build.
const LOCKED: &str = ".x2nix/locked.opam";

/// What a unikernel is made of.
pub(crate) struct Made<'a> {
    /// Where it is configured.
    pub(crate) configured: &'a Configured,
    /// The version of its package.
    pub(crate) version: &'a str,
    /// Its opam file as it was read.
    pub(crate) opam: &'a [u8],
    /// What its opam file says that it is.
    pub(crate) synopsis: Option<String>,
    /// The file that its opam file installs: `hello.hvt`.
    pub(crate) image: String,
    /// The unit of the vendored sources.
    pub(crate) duniverse: Option<&'a str>,
    /// The derivations that it needs.
    pub(crate) edges: Vec<UnitEdge>,
    /// The unit of dune.
    pub(crate) dune: Option<&'a str>,
    /// What it needs from the package set of Nix.
    pub(crate) system: Vec<SystemNeed>,
    /// The artifact that is the project.
    pub(crate) project: &'a str,
}

/// The file that a command of an opam file installs, if it is `cp FILE PLACE`.
pub(crate) fn installed(command: &Command) -> Option<String> {
    let text = |argument: &Argument| match &argument.word {
        Spoken::String(text) => Some(text.to_string()),
        Spoken::Ident(_) => None,
    };
    let words: Vec<String> = command.arguments.iter().filter_map(text).collect();
    match words.as_slice() {
        [copy, file, _] if copy == "cp" => file.rsplit('/').next().map(str::to_owned),
        _ => None,
    }
}

/// The unit of a unikernel, which is to have a key. Its script and its names are added to the answer.
pub(crate) fn add(mut made: Made<'_>, key: &str, answer: &mut BuildAnswer) -> Unit {
    made.edges.extend(unikraft_behind(&made.edges, answer));
    let target = made.configured.target.clone();
    if let Some(duniverse) = made.duniverse {
        answer.aliases.insert(format!("{target}-monorepo"), duniverse.to_owned());
    }
    answer.aliases.insert(target, key.to_owned());
    answer.units.entry(RUNTIME.to_owned()).or_insert_with(runtime);
    answer.units.entry(shell::KEY.to_owned()).or_insert_with(shell::unit);
    unit(made)
}

/// The compilers for Unikraft that only packages stand for which have nothing themselves.
fn unikraft_behind(edges: &[UnitEdge], answer: &BuildAnswer) -> Vec<UnitEdge> {
    let is_meant = |unit: &str| is_unikraft(unit.split('@').next().unwrap_or(unit));
    let mut found: Vec<&UnitEdge> = edges.iter().filter(|edge| is_meant(&edge.unit)).collect();
    let near = found.len();
    let mut at = 0;
    while let Some(edge) = found.get(at) {
        let depends = answer.units.get(&edge.unit).map(|unit| &unit.depends);
        for edge in depends.into_iter().flatten().filter(|edge| is_meant(&edge.unit)) {
            if !found.iter().any(|known| known.unit == edge.unit) {
                found.push(edge);
            }
        }
        at += 1;
    }
    let edge = |edge: &&UnitEdge| UnitEdge { role: Role::Build, ..(*edge).clone() };
    found[near..].iter().map(edge).collect()
}

/// The unit of a unikernel: the project, what was generated for it and its vendored sources, compiled by
/// one dune for the target.
fn unit(made: Made<'_>) -> Unit {
    let late = |part| Word(vec![Part::Late(part)]);
    let of = |unit: &str, path: &str| {
        late(LatePart::Unit { unit: unit.to_owned(), path: path.to_owned() })
    };
    let Configured { package, target, path, folder, unit: configure, .. } = made.configured;
    let edge = |unit: &str| UnitEdge {
        unit: unit.to_owned(),
        role: Role::Build,
        purpose: Purpose::Normal,
    };
    let mut steps = Vec::new();
    let mut run = |phase, command: &str, arguments: Vec<Word>| {
        let mut words = vec![of(RUNTIME, "bin/x2nix-mirage"), Word::text(command)];
        words.extend(arguments);
        steps.push(Step { phase, words });
    };
    let mut depends = made.edges;
    let mut files = BTreeMap::new();
    if let Some(configure) = configure {
        files.insert(LOCKED.to_owned(), Blob(made.opam.to_vec()));
        let words = vec![of(configure, ""), Word::text(path.as_str()), Word::text(LOCKED)];
        run(Phase::Prepare, "configured", words);
    }
    if let Some(duniverse) = made.duniverse {
        run(Phase::Prepare, "duniverse", vec![of(duniverse, "")]);
    }
    let mut build =
        vec![Word::text(folder.as_str()), late(LatePart::Variable(BuildVariable::Jobs))];
    build.extend(depends.iter().map(|edge| of(&edge.unit, "")));
    let mut toolchains = vec![Word::text("source"), of(RUNTIME, "share/x2nix-mirage/shell.bash")];
    toolchains.extend(depends.iter().map(|edge| of(&edge.unit, "")));
    run(Phase::Build, "build", build);
    let out = late(LatePart::Out(String::new()));
    let install = vec![Word::text(folder.as_str()), Word::text(made.image.as_str()), out];
    run(Phase::Install, "install", install);
    steps.push(shell::step(
        made.configured.config(),
        made.duniverse,
        configure.as_deref(),
        made.dune,
    ));
    steps.push(Step { phase: Phase::Shell, words: toolchains });

    depends.extend(configure.iter().map(String::as_str).chain(made.duniverse).map(edge));
    depends.extend([edge(RUNTIME), shell::edge()]);
    depends.sort_unstable();
    depends.dedup();
    let mut info = BTreeMap::from([
        ("target".to_owned(), target.clone()),
        ("image".to_owned(), made.image.clone()),
    ]);
    if ["hvt", "spt", "virtio", "muen", "genode", "xen", "qubes"].contains(&target.as_str()) {
        info.insert("manifest".to_owned(), "manifest.json".to_owned());
    }
    let mut environment = Vec::new();
    // The host may have a dune of its own that its tools were built with.
    if let Some(dune) = made.dune {
        let bin = of(dune, "bin");
        environment.push(EnvironmentOperation::new("PATH", Operation::Prepend, bin));
    }
    if !matches!(target.as_str(), "unix" | "macosx") {
        environment.push(unhardened());
    }
    Unit {
        name: package.clone(),
        version: made.version.to_owned(),
        recipe: Recipe::Build(Build {
            sources: vec![Source { artifact: made.project.to_owned(), ..Source::default() }],
            files,
            system: made.system,
            environment,
            steps,
            ..Build::default()
        }),
        depends,
        exports: Vec::new(),
        meta: Meta { description: made.synopsis, info, ..Meta::default() },
    }
}

/// Whether a package is one of those that make up the compilers for Unikraft.
pub(crate) fn is_unikraft(package: &str) -> bool {
    package.starts_with("ocaml-unikraft") || package.starts_with("unikraft")
}

/// Whether a package looks below its own prefix for those of Unikraft, when it is built and when it is used.
/// The back ends are told where they are.
pub(crate) fn wants_one_prefix(package: &str) -> bool {
    is_unikraft(package) && !package.starts_with("ocaml-unikraft-backend")
}

/// Links what packages of Unikraft installed into the prefix of another, before that is built.
const ONE_PREFIX: &str = r#"
out=$1
shift
for prefix; do
  for found in "$prefix"/{lib,share}/*unikraft* "$prefix"/bin/*-unikraft-ocaml-*; do
    [ -e "$found" ] || continue
    mkdir -p "$out/$(basename "${found%/*}")"
    ln -sfn "$found" "$out/$(basename "${found%/*}")/"
  done
done
"#;

/// Mends what the cross compilers do not expect of Nix. The units `beside` a package are those that it expects
/// below its own prefix.
pub(crate) fn adjust(package: &str, version: &str, beside: &[String], build: &mut Build) {
    let is = |names: &[&str]| names.iter().any(|name| package.starts_with(name));
    if is(&["solo5", "ocaml-solo5", "ocaml-unikraft"]) {
        build.environment.push(unhardened());
    }
    if is(&["solo5"]) {
        // Its archives say which version they are; of a revision it would ask Git, which is not there.
        let unless_known = r#"[ ! -d "${1%/*}" ] || [ -e "$1" ] || printf '%s\n' "$2" > "$1""#;
        let says = format!("#define SOLO5_VERSION \"v{version}\"");
        let words = ["sh", "-c", unless_known, "sh", "include/version.h.distrib", &says];
        let words = words.map(Word::text).to_vec();
        build.steps.insert(0, Step { phase: Phase::Prepare, words });
    }
    if package.starts_with("ocaml-unikraft-backend") {
        // Unikraft's makefiles look for their tools with it.
        let which = SystemNeed { attribute: "which".to_owned(), role: Role::Build };
        build.system.push(which);
        build.system.sort_unstable();
        build.system.dedup();
    }
    if !beside.is_empty() {
        let mut words = ["bash", "-c", ONE_PREFIX, "bash"].map(Word::text).to_vec();
        words.push(Word(vec![Part::Late(LatePart::Out(String::new()))]));
        let prefix = |unit: &String| LatePart::Unit { unit: unit.clone(), path: String::new() };
        words.extend(beside.iter().map(|unit| Word(vec![Part::Late(prefix(unit))])));
        build.steps.insert(0, Step { phase: Phase::Prepare, words });
    }
    // Both copy the compiler's sources, which nobody may write to, and patch them.
    let mut copied = String::from(r"/^\tcp -r .*ocamlfind query ocaml-src/ a\\tchmod -R u+w $@");
    if is(&["ocaml-solo5"]) {
        let words = ["sed", "-i", &copied, "Makefile"].map(Word::text).to_vec();
        build.steps.insert(0, Step { phase: Phase::Prepare, words });
    }
    if is(&["ocaml-unikraft"]) {
        // One patch is of bits, not of lines: it wants the first line that Nix has replaced.
        copied.push_str(" && sed -i '1s,^#!.*,#! /bin/sh,' $@/configure");
        let where_it_is = r#"[ ! -f Makefile ] || sed -i "$1" Makefile"#;
        let words = ["sh", "-c", where_it_is, "sh", &copied].map(Word::text).to_vec();
        build.steps.insert(0, Step { phase: Phase::Prepare, words });
    }
}

/// The C compiler of nixpkgs adds flags that what runs without an operating system cannot have.
fn unhardened() -> EnvironmentOperation {
    EnvironmentOperation::new("NIX_HARDENING_ENABLE", Operation::Set, Word::default())
}

/// The unit of the script.
fn runtime() -> Unit {
    script::unit(
        "x2nix-mirage",
        "What only the build of a unikernel knows",
        &[
            ("bin/x2nix-mirage", include_str!("x2nix-mirage")),
            ("share/x2nix-mirage/shell.bash", include_str!("shell.bash")),
        ],
    )
}
