//! The table of system packages: how it is looked up, and that it covers the whole of the opam
//! repository's snapshot, and no more.

mod reading_support;

use std::collections::{BTreeMap, BTreeSet};

use reading_support::snapshot;
use x2nix_opam::depexts::{Said, SystemPackages, SystemTable, system_packages};
use x2nix_opam::filter::{Scope, Value, Variable};
use x2nix_opam::package::name::split_package;
use x2nix_opam::package::{OpamFile, SystemPackages as Depexts};
use x2nix_protocol::{Role, SystemNeed};

/// What a user says who says nothing.
fn none() -> Said {
    Said::new()
}

/// The global variables of a request; `switches` are those that the user may turn on.
fn globals(variable: &Variable<'_>, os: &str, switches: bool) -> Option<Value> {
    let text = match (variable.scope, variable.name) {
        (Scope::Global, "arch") => "x86_64",
        (Scope::Global, "os") => os,
        (Scope::Global, "os-distribution" | "os-family") => "nixos",
        (Scope::Global, "opam-version") => "2.3.0",
        (Scope::Global, "with-test" | "with-doc" | "with-dev-setup" | "cataladevmode") => {
            return switches.then_some(Value::Bool(true));
        }
        _ => return None,
    };
    Some(Value::String(text.into()))
}

fn linux(variable: &Variable<'_>) -> Option<Value> {
    globals(variable, "linux", false)
}

fn depexts(text: &str) -> Vec<Depexts> {
    let text = format!("opam-version: \"2.0\" depexts: [{text}]");
    let file = OpamFile::parse(text.as_bytes()).expect("an opam file");
    file.depexts().expect("depexts")
}

fn known<const N: usize>(needs: [(&str, Role); N]) -> SystemPackages {
    let need = |(attribute, role): (&str, Role)| SystemNeed { attribute: attribute.into(), role };
    SystemPackages::Known(needs.map(need).into())
}

fn unknown<const N: usize>(names: [&str; N]) -> SystemPackages {
    SystemPackages::Unknown { names: names.map(String::from).into() }
}

fn missing(reason: &str) -> SystemPackages {
    SystemPackages::Missing { reason: reason.into() }
}

fn answer(table: &str, package: &str, text: &str) -> SystemPackages {
    let table = SystemTable::parse(table).expect("a table");
    table.system_packages(package, &depexts(text), &linux, &none())
}

const TABLE: &str = r#"
    [package]
    "special" = { nothing = "built in" }
    "windows-*" = { missing = "not for Linux" }
    [nixos]
    "a" = "nix-a"
    [debian]
    "a-dev" = ["a", "c"]
    "b-dev" = { host = "b", build = "b.tool" }
    "c-dev" = "c"
    "tool" = { build = "tool" }
    "x-dev" = { missing = "too old" }
    "y-dev" = { missing = "too old" }
    "z-dev" = { missing = "too new" }
    [alpine]
    "a-dev" = "alpine-a"
"#;

#[test]
fn the_first_distribution_that_is_named_is_looked_up() {
    let debian = r#"["a-dev"] {os-family = "debian"}"#;
    let alpine = r#"["a-dev"] {os-distribution = "alpine"}"#;
    let nixos = r#"["a"] {os-distribution = "nixos"}"#;
    let of = |parts: &[&str]| answer(TABLE, "p", &parts.join(" "));
    let host = Role::Host;
    assert_eq!(of(&[alpine, debian, nixos]), known([("nix-a", host)]));
    assert_eq!(of(&[alpine, debian]), known([("a", host), ("c", host)]));
    assert_eq!(of(&[alpine]), known([("alpine-a", host)]));
    assert_eq!(of(&[r#"["a"] {os = "linux"}"#, debian]), known([("nix-a", host)]));
    assert_eq!(of(&[r#"["a-dev"] {os-distribution = "ubuntu"}"#, alpine]), unknown(["a-dev"]));
}

#[test]
fn what_is_named_for_no_distribution_is_not_needed() {
    let elsewhere = r#"["a"] {os = "freebsd"} ["b"] {os = "macos" & os-distribution = "homebrew"}"#;
    assert_eq!(answer(TABLE, "p", elsewhere), known([]));
    assert_eq!(answer(TABLE, "p", r#"["a"] {npm-version = "1"}"#), known([]));
    assert_eq!(answer(TABLE, "p", r#"["a"] {os-distribution = "gentoo"}"#), unknown(["a"]));
}

#[test]
fn several_names_are_taken_together() {
    let names = |names: &str| answer(TABLE, "p", &format!("[{names}] {{os-family = \"debian\"}}"));
    let (build, host) = (Role::Build, Role::Host);
    assert_eq!(names(r#""c-dev" "a-dev" "c-dev""#), known([("a", host), ("c", host)]));
    assert_eq!(
        names(r#""tool" "b-dev""#),
        known([("b", host), ("b.tool", build), ("tool", build)])
    );
    assert_eq!(names(r#""v-dev" "a-dev" "u-dev" "x-dev""#), unknown(["v-dev", "u-dev"]));
    assert_eq!(
        names(r#""x-dev" "a-dev" "z-dev" "y-dev""#),
        missing("z-dev: too new; x-dev, y-dev: too old")
    );
}

#[test]
fn what_stands_for_a_package_wins() {
    let debian = r#"["u-dev"] {os-family = "debian"}"#;
    assert_eq!(answer(TABLE, "special", debian), known([]));
    assert_eq!(answer(TABLE, "windows-zlib", debian), missing("not for Linux"));
    assert_eq!(answer(TABLE, "window", debian), unknown(["u-dev"]));
}

#[test]
fn other_systems_have_the_same_attributes() {
    let depexts = depexts(
        r#"["libgmp-dev"] {os-family = "debian"} ["gmp"] {os = "macos" & os-distribution = "homebrew"}"#,
    );
    let macos = |variable: &Variable<'_>| globals(variable, "macos", false);
    assert_eq!(
        SystemTable::parse("[debian]\n\"libgmp-dev\" = \"gmp\"").expect("a table").system_packages(
            "p",
            &depexts,
            &macos,
            &none()
        ),
        known([("gmp", Role::Host)])
    );
}

#[test]
fn a_table_with_a_slip_is_refused() {
    for entry in [r#"{ biuld = "m4" }"#, r#"{ host = "a", missing = "b" }"#, "1", "{}"] {
        let table = format!("[debian]\n\"name\" = {entry}");
        assert!(SystemTable::parse(&table).is_err(), "{entry}");
    }
}

#[test]
fn well_known_packages_are_what_they_should_be() {
    let conf_gmp = depexts(r#"["gmp"] {os-distribution = "nixos"}"#);
    assert_eq!(
        system_packages("conf-gmp", &conf_gmp, &linux, &none()),
        known([("gmp", Role::Host)])
    );
    let pkg_config = depexts(r#"["pkg-config"] {os-distribution = "nixos"}"#);
    assert_eq!(
        system_packages("conf-pkg-config", &pkg_config, &linux, &none()),
        known([("pkg-config", Role::Build)])
    );
    let sdpa = depexts(r#"["sdpa"] {os-family = "debian"}"#);
    assert_eq!(system_packages("conf-sdpa", &sdpa, &linux, &none()), missing("sdpa: not packaged"));
}

/// A package with its version, as in `conf-gmp.5`, and its depexts.
type Version = (String, Vec<Depexts>);

/// Each version of the snapshot that has depexts.
fn versions() -> Vec<Version> {
    let mut versions = Vec::new();
    for (path, bytes) in snapshot() {
        let file = OpamFile::parse(&bytes).expect("a file that parses");
        if file.field("depexts").is_some() {
            let version = path.split('/').rev().nth(1).expect("the folder of a version");
            versions.push((version.to_owned(), file.depexts().expect("depexts")));
        }
    }
    versions
}

fn name(version: &str) -> &str {
    split_package(version).expect("a package with its version").0
}

/// Nothing of the snapshot is unknown, whatever is turned on.
#[test]
fn the_table_covers_the_snapshot() {
    let versions = versions();
    let mut names = BTreeSet::new();
    let mut attributes = BTreeSet::new();
    let mut problems = Vec::new();
    let mut without = BTreeSet::new();
    for (version, depexts) in &versions {
        names.insert(name(version));
        for switches in [false, true] {
            let env = |variable: &Variable<'_>| globals(variable, "linux", switches);
            match system_packages(name(version), depexts, &env, &none()) {
                SystemPackages::Known(needs) => {
                    assert!(needs.is_sorted_by(|a, b| a < b), "{version}: {needs:?}");
                    attributes.extend(needs.into_iter().map(|need| need.attribute));
                }
                SystemPackages::Missing { reason } => {
                    assert!(!reason.is_empty(), "{version}");
                    without.insert(name(version));
                }
                SystemPackages::Unknown { names } => {
                    problems.push(format!("{version}: {}", names.join(", ")));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_eq!(names.len(), 536, "the packages of the snapshot that have depexts");
    assert!(attributes.len() > 250, "{} attributes", attributes.len());
    let for_linux = without.iter().filter(|name| !name.starts_with("conf-mingw-w64-")).count();
    assert!(for_linux < 40, "{for_linux} packages are without what they need: {without:?}");
    for attribute in &attributes {
        assert!(is_attribute_path(attribute), "{attribute}");
    }
}

/// Attributes that need no quotes, joined by dots. An output is left to nixpkgs.
fn is_attribute_path(path: &str) -> bool {
    let attribute = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && part.chars().all(|it| it.is_ascii_alphanumeric() || "_-'".contains(it))
    };
    path.split('.').all(attribute) && !path.ends_with(".dev")
}

/// The lines of the table that are entries: its section and its name.
fn entries() -> Vec<(String, String, &'static str)> {
    let mut section = "";
    let mut entries = Vec::new();
    for line in SystemTable::TEXT.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else if let Some((name, _)) = line.strip_prefix('"').and_then(|it| it.split_once("\" = "))
        {
            entries.push((section.to_owned(), name.to_owned(), line));
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "one entry a line: {line}");
        }
    }
    entries
}

#[test]
fn the_table_is_sorted() {
    let mut last = BTreeMap::new();
    for (section, name, _) in entries() {
        if let Some(last) = last.insert(section, name.clone()) {
            assert!(last < name, "{last:?} stands before {name:?}");
        }
    }
}

/// Without any one of its lines, the table would not say what some package needs.
#[test]
fn every_entry_is_needed() {
    let versions = versions();
    let bare = SystemTable::parse("").expect("no table");
    // The versions that a name may matter to, and whether the switches are on.
    let mut named: BTreeMap<String, Vec<(&Version, bool)>> = BTreeMap::new();
    for version @ (text, depexts) in &versions {
        for switches in [false, true] {
            let env = |variable: &Variable<'_>| globals(variable, "linux", switches);
            if let SystemPackages::Unknown { names } =
                bare.system_packages(name(text), depexts, &env, &none())
            {
                for it in names {
                    named.entry(it).or_default().push((version, switches));
                }
            }
        }
    }
    let mut idle = Vec::new();
    for (section, entry, line) in entries() {
        let less = SystemTable::parse(&without(&section, line)).expect("a table with a line less");
        let is_needed = if section == "package" {
            versions.iter().any(|(version, depexts)| {
                let matches = match entry.strip_suffix('*') {
                    Some(prefix) => name(version).starts_with(prefix),
                    None => name(version) == entry,
                };
                matches
                    && less.system_packages(name(version), depexts, &linux, &none())
                        != system_packages(name(version), depexts, &linux, &none())
            })
        } else {
            named.get(&entry).into_iter().flatten().any(|&((version, depexts), switches)| {
                let env = |variable: &Variable<'_>| globals(variable, "linux", switches);
                less.system_packages(name(version), depexts, &env, &none()) == unknown([&*entry])
            })
        };
        if !is_needed {
            idle.push(format!("[{section}] {line}"));
        }
    }
    assert!(idle.is_empty(), "no package needs:\n{}", idle.join("\n"));
}

/// The table without one line of one section.
fn without(section: &str, line: &str) -> String {
    let mut current = "";
    let mut text = String::new();
    for it in SystemTable::TEXT.lines() {
        if let Some(name) = it.strip_prefix('[') {
            current = name.trim_end_matches(']');
        }
        if it != line || current != section {
            text.push_str(it);
            text.push('\n');
        }
    }
    text
}
