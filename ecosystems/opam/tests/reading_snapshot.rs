//! The whole of the opam repository's snapshot: every file parses, every field is read, and what
//! the formulas are in one environment is what opam's own libraries made of them.

mod reading_support;

use std::collections::BTreeMap;

use reading_support::{lines_of, oracle, package_of, snapshot};
use serde_json::Value as Json;
use x2nix_opam::filter::{
    Filter, Scope, Value, Variable, check, commands, filter_conflicts, filter_depends,
};
use x2nix_opam::package::OpamFile;
use x2nix_opam::package::name::{check_name, check_version, split_package};

/// The environment of `metadata-nixos.jsonl.gz`.
fn nixos(variable: &Variable<'_>) -> Option<Value> {
    let text = match (variable.scope, variable.name) {
        (Scope::Global, "arch") => "x86_64",
        (Scope::Global, "os") => "linux",
        (Scope::Global, "os-distribution" | "os-family") => "nixos",
        (Scope::Global, "os-version") => "25.05",
        (Scope::Global, "opam-version") => "2.3.0",
        _ => return None,
    };
    Some(Value::String(text.to_owned()))
}

/// The same with the name and the version of the package.
fn of_package(package: &str, variable: &Variable<'_>) -> Option<Value> {
    let (name, version) = split_package(package)?;
    match (variable.scope, variable.name) {
        (Scope::Global | Scope::Own, "name") => Some(Value::String(name.to_owned())),
        (Scope::Global | Scope::Own, "version") => Some(Value::String(version.to_owned())),
        _ => nixos(variable),
    }
}

/// The same with what is true of dependencies.
fn of_dependency(package: &str, dev: bool, test: bool, variable: &Variable<'_>) -> Option<Value> {
    let value = match (variable.scope, variable.name) {
        (Scope::Global, "build" | "post") => true,
        (Scope::Global, "with-test") => test,
        (Scope::Global, "with-doc" | "with-dev-setup") => false,
        (Scope::Global, "dev") => dev,
        _ => return of_package(package, variable),
    };
    Some(Value::Bool(value))
}

#[test]
fn every_field_of_every_file_is_read() {
    let mut files = 0;
    let mut problems = Vec::new();
    for (path, bytes) in snapshot() {
        files += 1;
        if let Err(error) = read_all(&bytes) {
            problems.push(format!("{path}: {error}"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_eq!(files, 18_793, "the number of files in the snapshot");
}

fn read_all(bytes: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    let file = OpamFile::parse(bytes)?;
    if let Some(name) = file.name()? {
        check_name(&name)?;
    }
    if let Some(version) = file.version()? {
        check_version(&version)?;
    }
    file.synopsis()?;
    file.description()?;
    file.maintainer()?;
    file.authors()?;
    file.license()?;
    file.homepage()?;
    file.doc()?;
    file.bug_reports()?;
    file.dev_repo()?;
    file.tags()?;
    file.avoid()?;
    file.available()?;
    file.conflict_class()?;
    for formula in [file.depends()?, file.depopts()?, file.conflicts()?] {
        for atom in formula.atoms() {
            assert!(atom.position.line > 0);
            check_name(&atom.name)?;
        }
    }
    for list in
        [file.build()?, file.install()?, file.remove()?, file.run_test()?, file.build_doc()?]
    {
        commands(&list, &nixos)?;
    }
    file.substs()?;
    file.patches()?;
    file.messages()?;
    file.post_messages()?;
    file.depexts()?;
    file.setenv()?;
    file.build_env()?;
    file.features()?;
    file.pin_depends()?;
    file.extra_files()?;
    file.url()?;
    file.subpath()?;
    file.extra_sources()?;
    file.warnings();
    Ok(())
}

#[test]
fn formulas_are_those_of_the_reference() {
    let files: BTreeMap<String, Vec<u8>> =
        snapshot().map(|(path, bytes)| (package_of(&path).to_owned(), bytes)).collect();
    let mut compared = 0;
    let mut differences = Vec::new();
    for line in lines_of(&oracle("metadata-nixos.jsonl.gz")) {
        let expected: Json = serde_json::from_str(&line).expect("a line of JSON");
        let package = expected["package"].as_str().expect("a package");
        let dev = expected["dev"].as_bool().expect("a boolean");
        let file = OpamFile::parse(&files[package]).expect("a file that parses");
        let depends = file.depends().expect("dependencies");
        let printed = |test| {
            let env = |variable: &Variable<'_>| of_dependency(package, dev, test, variable);
            filter_depends(&depends, &env).to_string()
        };
        let conflicts = filter_conflicts(&file.conflicts().expect("conflicts"), &|variable| {
            of_package(package, variable)
        });
        let available = file.available().expect("available").eval(&nixos, false);
        let mut differ = |what: &str, ours: Json| {
            // Where tests ask for nothing more, the reference does not repeat itself.
            let theirs = match &expected[what] {
                Json::Null if what == "depends_with_test" => &expected["depends"],
                value => value,
            };
            if *theirs != ours {
                differences.push(format!("{package} {what}:\n  {theirs}\n  {ours}"));
            }
        };
        differ("available", available.into());
        differ("avoid", file.avoid().expect("flags").into());
        differ("depends", printed(false).into());
        differ("depends_with_test", printed(true).into());
        differ("conflicts", conflicts.to_string().into());
        let classes = file.conflict_class().expect("classes");
        differ("conflict_class", classes.iter().map(ToString::to_string).collect());
        compared += 1;
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert_eq!(compared, 18_792, "the number of lines compared");
}

/// Printing an `available` filter and reading it again gives the same filter.
#[test]
fn filters_print_as_what_they_are() {
    for (path, bytes) in snapshot() {
        let file = OpamFile::parse(&bytes).expect("a file that parses");
        let filter = file.available().expect("available");
        if filter == Filter::Bool(true) {
            continue;
        }
        let again = format!("opam-version: \"2.0\"\navailable: {filter}");
        let again = OpamFile::parse(again.as_bytes()).expect("a printed filter that parses");
        let again = again.available().expect("a printed filter");
        assert_eq!(again.to_string(), filter.to_string(), "{path}");
        assert_eq!(again.eval(&nixos, false), filter.eval(&nixos, false), "{path}");
    }
}

/// `build` and `post` mark the atoms that would go without them, and no other.
#[test]
fn build_and_post_are_marked() {
    let mut marked = 0;
    for (path, bytes) in snapshot().step_by(7) {
        let package = package_of(&path);
        let depends = OpamFile::parse(&bytes).and_then(|file| file.depends()).expect("depends");
        let full = filter_depends(&depends, &|it| of_dependency(package, false, false, it));
        let without = |name: &str| {
            let left = filter_depends(&depends, &|variable| match variable.scope {
                Scope::Global if variable.name == name => Some(Value::Bool(false)),
                _ => of_dependency(package, false, false, variable),
            });
            left.atoms().len()
        };
        let atoms = full.atoms();
        let (build, post) =
            (atoms.iter().filter(|it| it.build).count(), atoms.iter().filter(|it| it.post).count());
        assert_eq!(atoms.len() - build, without("build"), "{path}");
        assert_eq!(atoms.len() - post, without("post"), "{path}");
        marked += build + post;
    }
    assert!(marked > 0, "some dependencies are only for the build");
}

#[test]
fn constraints_are_checked_by_version() {
    let file = OpamFile::parse(
        br#"opam-version: "2.0" depends: "a" {>= "1.0" & < "3~" & != "2.0" | = "dev"}"#,
    );
    let depends = file.and_then(|file| file.depends()).expect("depends");
    let filtered = filter_depends(&depends, &|_| None);
    let [atom] = filtered.atoms()[..] else { panic!("one atom") };
    let met: Vec<bool> = ["0.9", "1", "1.00", "2.0", "2.0.1", "3~rc1", "3~~", "3", "dev"]
        .map(|version| check(&atom.constraint, version))
        .to_vec();
    assert_eq!(met, [false, false, true, false, true, false, true, false, true]);
}
