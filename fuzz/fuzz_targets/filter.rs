//! Text as a filter and as a string with variables in it.
//!
//! What is printed of a filter is read back as the same filter, and no value that a variable has can
//! make the reader loop: values name variables again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use x2nix_opam::{
    filter::{Filter, FilterIdent, Value, Variable, expand_string},
    package::OpamFile,
};

fn environment(variable: &Variable<'_>) -> Option<Value> {
    match variable.name {
        "yes" => Some(Value::Bool(true)),
        "no" => Some(Value::Bool(false)),
        "loop" => Some(Value::String("%{loop}%%{pool}%".into())),
        "pool" => Some(Value::String("%{loop?loop:pool}%".into())),
        "half" => Some(Value::String("%{".into())),
        name if name.len() > 3 => Some(Value::String(name.into())),
        _ => None,
    }
}

fn filter_of(text: &str) -> Option<Filter> {
    let file = format!("opam-version: \"2.0\"\navailable: {text}\n");
    OpamFile::parse(file.as_bytes()).ok()?.available().ok()
}

fuzz_target!(|text: &str| {
    for interpolation in [true, false] {
        if let Ok(ident) = FilterIdent::parse(text, interpolation) {
            ident.resolve(&environment);
        }
    }
    let _ = expand_string(text, &environment);
    let Some(filter) = filter_of(text) else { return };
    let value = filter.reduce(&environment);
    for default in [true, false] {
        filter.eval(&environment, default);
    }
    let printed = filter.to_string();
    let again = filter_of(&printed);
    assert!(again.is_some(), "{text:?} is printed as {printed:?}, which is no filter");
    if let Some(again) = again {
        assert_eq!(again.to_string(), printed, "{text:?}");
        assert_eq!(again.reduce(&environment), value, "{text:?} is printed as {printed:?}");
    }
});
