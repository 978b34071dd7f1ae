//! What opam's own libraries (2.3.0) make of every version of opam-repository at commit 97014be in
//! nine environments: nixos, as `metadata-nixos.jsonl.gz` has it, and others with another system,
//! another architecture, another compiler, or nothing known at all; in each of them as it is, with
//! tests, with documentation, with what development needs, and as a development version.
//!
//! `data/environments/opam-2.3.0.jsonl.gz` holds that in full, though not twice. Its first line has
//! the variables of the environments. Every other line is about one version: its `package`, and for
//! some of the environments the fields that are not as follows from the rest:
//!
//! - in `nixos`, a field is what `metadata-nixos.jsonl.gz` says, which does not know all of them:
//!   `depends_with_test`, `depends_with_doc`, `depends_with_dev_setup` and `depends_dev` are
//!   otherwise `depends`, and `depopts` is `[]`;
//! - in any other environment, a field is what it is in `nixos`.
//!
//! So what no line speaks of is compared too. The file is the output of a program that links with
//! opam's libraries (`OpamSwitchState.load_virtual`, then `OpamPackageVar.all_depends` and
//! `filter_depends_formula`, and `OpamFilter.filter_formula` for conflicts, all with undefined as
//! false), compressed by `gzip -n9`.

mod reading_support;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::path::Path;
use std::thread;

use reading_support::{lines_of, oracle, package_of, snapshot};
use serde_json::Value as Json;
use x2nix_opam::filter::{Scope, Value, Variable, filter_conflicts, filter_depends};
use x2nix_opam::package::OpamFile;
use x2nix_opam::package::name::split_package;

/// The ways to ask for dependencies: the field that has the answer, and the variable that is true.
const DEPENDS: [(&str, &str); 5] = [
    ("depends", ""),
    ("depends_with_test", "with-test"),
    ("depends_with_doc", "with-doc"),
    ("depends_with_dev_setup", "with-dev-setup"),
    ("depends_dev", "dev"),
];

/// The fields that are read besides.
const OTHERS: [&str; 4] = ["available", "avoid", "depopts", "conflicts"];

/// A name and the global variables.
type Environment = (String, BTreeMap<String, String>);

/// What the reference made of the versions.
struct Reference {
    environments: Vec<Environment>,
    /// The lines of the nixos environment.
    nixos: Vec<Json>,
    /// By package, what differs.
    differing: BTreeMap<String, Json>,
    /// How the reference prints the empty formula.
    no_formula: Json,
}

impl Reference {
    fn read() -> Self {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/environments/opam-2.3.0.jsonl.gz");
        let parsed = |line: &String| serde_json::from_str::<Json>(line).expect("a line of JSON");
        let lines: Vec<Json> = lines_of(Path::new(path)).iter().map(parsed).collect();
        let (header, lines) = lines.split_first().expect("a header");
        let environments: BTreeMap<_, _> =
            serde_json::from_value(header["environments"].clone()).expect("environments");
        let differing =
            lines.iter().map(|line| (text(&line["package"]).to_owned(), line.clone())).collect();
        let nixos = lines_of(&oracle("metadata-nixos.jsonl.gz")).iter().map(parsed).collect();
        let environments = environments.into_iter().collect();
        Self { environments, nixos, differing, no_formula: "[]".into() }
    }

    /// A field of a line of the nixos environment as it is in some environment.
    fn field<'a>(&'a self, line: &'a Json, environment: &str, field: &str) -> &'a Json {
        let differing = self.differing.get(text(&line["package"])).unwrap_or(&Json::Null);
        let places = [&differing[environment], &differing["nixos"], line];
        match places.into_iter().find_map(|place| place.get(field)) {
            Some(value) => value,
            None if field == "depopts" => &self.no_formula,
            None if field.starts_with("depends_") => self.field(line, "nixos", "depends"),
            None => panic!("no {field}"),
        }
    }
}

fn text(value: &Json) -> &str {
    value.as_str().expect("a string")
}

/// What a global variable is.
fn global((_, variables): &Environment, variable: &Variable<'_>) -> Option<Value> {
    let value = (variable.scope == Scope::Global).then(|| variables.get(variable.name));
    value.flatten().map(|value| Value::String(value.clone()))
}

/// The same with the name and the version of the package (`OpamPackageVar.resolve_switch`).
fn of_package(
    environment: &Environment,
    (name, version): (&str, &str),
    variable: &Variable<'_>,
) -> Option<Value> {
    let own = match variable.scope {
        Scope::Global | Scope::Own => true,
        Scope::Package(package) => package == name,
    };
    match variable.name {
        "name" if own => Some(Value::String(name.to_owned())),
        "version" if own => Some(Value::String(version.to_owned())),
        _ => global(environment, variable),
    }
}

/// What the reader makes of a file in every environment, where it is not what the reference does.
fn differences_of(reference: &Reference, line: &Json, bytes: &[u8]) -> Vec<String> {
    let package = text(&line["package"]);
    let own = split_package(package).expect("a name and a version");
    let file = OpamFile::parse(bytes).expect("a file that parses");
    let (available, avoid) = (file.available().expect("available"), file.avoid().expect("flags"));
    let depends = file.depends().expect("dependencies");
    let depopts = file.depopts().expect("optional dependencies");
    let conflicts = file.conflicts().expect("conflicts");
    let mut differences = Vec::new();
    for environment in &reference.environments {
        let expected = |field: &str| reference.field(line, &environment.0, field);
        let dev = expected("dev").as_bool().expect("a boolean");
        let asking = |asked: &'static str| {
            move |variable: &Variable<'_>| match (variable.scope, variable.name) {
                (Scope::Global, "build" | "post") => Some(Value::Bool(true)),
                (Scope::Global, "dev") => Some(Value::Bool(dev || asked == "dev")),
                (Scope::Global, name @ ("with-test" | "with-doc" | "with-dev-setup")) => {
                    Some(Value::Bool(name == asked))
                }
                _ => of_package(environment, own, variable),
            }
        };
        let mut differ = |field: &str, ours: Json| {
            let theirs = expected(field);
            if *theirs != ours {
                let name = &environment.0;
                differences.push(format!("{package} in {name}, {field}:\n  {theirs}\n  {ours}"));
            }
        };
        for (field, asked) in DEPENDS {
            differ(field, filter_depends(&depends, &asking(asked)).to_string().into());
        }
        differ("available", available.eval(&|it| global(environment, it), false).into());
        differ("avoid", avoid.into());
        differ("depopts", filter_depends(&depopts, &asking("")).to_string().into());
        let conflicts = filter_conflicts(&conflicts, &|it| of_package(environment, own, it));
        differ("conflicts", conflicts.to_string().into());
    }
    differences
}

#[test]
fn formulas_are_those_of_the_reference_in_every_environment() {
    let reference = Reference::read();
    let files: BTreeMap<String, Vec<u8>> =
        snapshot().map(|(path, bytes)| (package_of(&path).to_owned(), bytes)).collect();
    let parts = thread::available_parallelism().map_or(1, NonZero::get);
    let differences: Vec<String> = thread::scope(|scope| {
        let compare = |lines: &[Json]| -> Vec<String> {
            let differences =
                lines.iter().map(|it| differences_of(&reference, it, &files[text(&it["package"])]));
            differences.flatten().collect()
        };
        let chunks = reference.nixos.chunks(reference.nixos.len().div_ceil(parts));
        let threads: Vec<_> = chunks.map(|lines| scope.spawn(move || compare(lines))).collect();
        threads.into_iter().flat_map(|it| it.join().expect("no panic")).collect()
    });
    let shown = &differences[..differences.len().min(20)];
    assert!(shown.is_empty(), "{} differences:\n{}", differences.len(), shown.join("\n"));
    assert_eq!(reference.nixos.len(), 18_792, "the number of versions compared");
    assert_eq!(reference.environments.len(), 9, "the number of environments");
}

/// What the file of the differences speaks of is something that is compared.
#[test]
fn every_difference_is_of_a_known_field() {
    let reference = Reference::read();
    let packages: BTreeSet<&str> = reference.nixos.iter().map(|it| text(&it["package"])).collect();
    let known = |name: &str| reference.environments.iter().any(|(it, _)| it == name);
    let mut fields = 0;
    for (package, line) in &reference.differing {
        assert!(packages.contains(package.as_str()), "{package}");
        for (environment, differing) in line.as_object().expect("an object") {
            if environment == "package" {
                continue;
            }
            assert!(known(environment), "{package}: {environment}");
            for field in differing.as_object().expect("an object").keys() {
                let compared = DEPENDS.iter().map(|(it, _)| it).chain(&OTHERS);
                assert!(compared.into_iter().any(|it| it == field), "{package}: {field}");
                fields += 1;
            }
        }
    }
    assert!(fields > 10_000, "only {fields} fields differ in {} lines", reference.differing.len());
}
