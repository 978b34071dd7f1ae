//! Any bytes as an opam file: all of its fields, and all of its filters under two environments.

#![no_main]

use libfuzzer_sys::fuzz_target;
use x2nix_opam::{
    filter::{
        Command, FilteredFormula, Value, Variable, check, commands, counts, filter_conflicts,
        filter_depends,
    },
    package::OpamFile,
    syntax,
};

/// Nothing has a value.
fn nothing(_: &Variable<'_>) -> Option<Value> {
    None
}

/// Every kind of value, one of which names the variable that it is the value of.
fn something(variable: &Variable<'_>) -> Option<Value> {
    match variable.name.len() % 4 {
        0 => Some(Value::Bool(true)),
        1 => Some(Value::Bool(false)),
        2 => Some(Value::String(format!("%{{{}}}%", variable.name))),
        _ => None,
    }
}

fn evaluate(formula: &FilteredFormula) {
    for environment in [nothing, something] {
        for filtered in [filter_depends, filter_conflicts] {
            let atoms = filtered(formula, &environment);
            atoms.for_each(&mut |atom| {
                for version in ["", "0", "1.0~rc1", "dev"] {
                    check(&atom.constraint, version);
                }
            });
        }
    }
}

fn run(list: &[Command]) {
    for environment in [nothing, something] {
        let _ = commands(list, &environment);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let items = syntax::parse(bytes);
    let Ok(file) = OpamFile::parse(bytes) else { return };
    assert!(items.is_ok(), "a file is read that does not parse");
    file.warnings();
    for item in file.items() {
        file.position(item.name);
        file.extension(item.name);
    }
    for formula in [file.depends(), file.depopts(), file.conflicts()].into_iter().flatten() {
        evaluate(&formula);
    }
    for feature in file.features().into_iter().flatten() {
        evaluate(&feature.packages);
    }
    for list in [file.build(), file.install(), file.remove(), file.run_test(), file.build_doc()] {
        run(&list.unwrap_or_default());
    }
    if let Ok(available) = file.available() {
        available.eval(&nothing, false);
        available.eval(&something, true);
    }
    for patch in file.patches().into_iter().flatten() {
        counts(patch.filter.as_ref(), &something);
    }
    for message in [file.messages(), file.post_messages()].into_iter().flatten().flatten() {
        counts(message.filter.as_ref(), &something);
    }
    for system in file.depexts().into_iter().flatten() {
        system.filter.eval(&something, false);
    }
    let _ = (file.name(), file.version(), file.synopsis(), file.description(), file.dev_repo());
    let _ = (file.maintainer(), file.authors(), file.license(), file.homepage(), file.doc());
    let _ = (file.bug_reports(), file.tags(), file.flags(), file.avoid(), file.conflict_class());
    let _ = (file.substs(), file.setenv(), file.build_env(), file.pin_depends());
    let _ = (file.extra_files(), file.url(), file.subpath(), file.extra_sources());
});
