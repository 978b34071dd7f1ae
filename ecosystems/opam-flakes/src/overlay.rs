//! Changes of packages in overlays, as far as they are data.

use crate::{
    reader::{Item, Reader, Value, behind, flat, function_name, names},
    settings::{Override, Settings},
};
use rnix::ast::{AttrSet, BinOpKind, Entry, Expr, HasEntry as _};
use rowan::ast::AstNode as _;
use toml::{Table, Value as Toml};

const BY_HAND: &str = "carry it over to overrides.nix by hand";

/// Reads the overlays that scopes are changed with.
pub(crate) fn gather(reader: &Reader<'_>, settings: &mut Settings) {
    for (function, arguments) in reader.calls() {
        let name = function_name(&function);
        if let (Some("overrideScope" | "overrideScope'"), [overlay]) =
            (name.as_deref(), arguments.as_slice())
        {
            changes(reader, overlay, settings);
        }
    }
    for set in reader.syntax().descendants().filter_map(AttrSet::cast) {
        for entry in set.entries() {
            let Entry::AttrpathValue(entry) = entry else { continue };
            let is_overlays = entry.attrpath().and_then(|path| names(&path)).as_deref()
                == Some(&["overlays".to_owned()]);
            if let (true, Some(Expr::List(list))) = (is_overlays, entry.value()) {
                list.items().for_each(|overlay| changes(reader, &overlay, settings));
            }
        }
    }
}

/// Reads one overlay: a function of two arguments, or several joined.
fn changes(reader: &Reader<'_>, overlay: &Expr, settings: &mut Settings) {
    let line = reader.line(overlay.syntax());
    match behind(overlay) {
        Some(Expr::Lambda(outer)) => match outer.body() {
            Some(Expr::Lambda(inner)) => {
                if let Some(body) = inner.body() {
                    members(reader, &body, settings);
                }
            }
            _ => settings.leave(line, "an overlay that is no function of two arguments", BY_HAND),
        },
        Some(call @ Expr::Apply(_)) => {
            let (function, arguments) = flat(&call);
            match (function_name(&function).as_deref(), arguments.as_slice()) {
                (Some("composeExtensions"), [first, second]) => {
                    changes(reader, first, settings);
                    changes(reader, second, settings);
                }
                (Some("composeManyExtensions"), [list]) => match behind(list) {
                    Some(Expr::List(list)) => {
                        list.items().for_each(|it| changes(reader, &it, settings));
                    }
                    _ => settings.leave(line, "overlays that are computed", BY_HAND),
                },
                _ => settings.leave(line, "an overlay that is computed", BY_HAND),
            }
        }
        _ => settings.leave(line, "an overlay that is not written out here", BY_HAND),
    }
}

/// The changes of an overlay's set.
fn members(reader: &Reader<'_>, body: &Expr, settings: &mut Settings) {
    let line = reader.line(body.syntax());
    match behind(body) {
        Some(Expr::AttrSet(set)) => {
            for entry in set.entries() {
                let line = reader.line(entry.syntax());
                let change = match &entry {
                    Entry::AttrpathValue(entry) => {
                        entry.attrpath().and_then(|path| names(&path)).zip(entry.value())
                    }
                    Entry::Inherit(_) => None,
                };
                match change {
                    Some((names, value)) if names.len() == 1 => {
                        package(reader, &names[0], &value, line, settings);
                    }
                    _ => settings.leave(line, "a change whose package is computed", BY_HAND),
                }
            }
        }
        Some(Expr::BinOp(op)) if op.operator() == Some(BinOpKind::Update) => {
            for side in [op.lhs(), op.rhs()].into_iter().flatten() {
                members(reader, &side, settings);
            }
        }
        _ => settings.leave(line, "a change of packages that is computed", BY_HAND),
    }
}

/// The change of one package.
fn package(reader: &Reader<'_>, name: &str, value: &Expr, line: u32, settings: &mut Settings) {
    let mut change = Override { package: name.to_owned(), line, ..Override::default() };
    match (reader.value(value), behind(value)) {
        (Value::Attribute(path), _) if !path.is_empty() => change.attribute = Some(path.join(".")),
        (_, Some(call @ Expr::Apply(_))) => {
            let (function, arguments) = flat(&call);
            let attributes = arguments.first().and_then(behind).and_then(|it| match it {
                Expr::Lambda(lambda) => behind(&lambda.body()?),
                other => Some(other),
            });
            match (function_name(&function).as_deref(), attributes) {
                (Some("overrideAttrs"), Some(Expr::AttrSet(set))) => {
                    attributes_of(reader, &set, &mut change, settings);
                }
                _ => settings.leave(line, format!("the change of {name} is computed"), BY_HAND),
            }
        }
        (Value::Null, _) => {
            settings.leave(line, format!("{name} = null takes the package away"), BY_HAND);
        }
        _ => settings.leave(line, format!("the change of {name} is computed"), BY_HAND),
    }
    settings.overrides.push(change);
}

/// What `overrideAttrs` sets.
fn attributes_of(
    reader: &Reader<'_>,
    set: &AttrSet,
    change: &mut Override,
    settings: &mut Settings,
) {
    for entry in set.entries() {
        let line = reader.line(entry.syntax());
        let read = match &entry {
            Entry::AttrpathValue(entry) => {
                entry.attrpath().and_then(|path| names(&path)).zip(entry.value())
            }
            Entry::Inherit(_) => None,
        };
        let Some((path, value)) = read else {
            settings.leave(
                line,
                format!("an attribute of {} is computed", change.package),
                BY_HAND,
            );
            continue;
        };
        let path: Vec<_> = path.iter().map(String::as_str).collect();
        let carried = match path.as_slice() {
            ["buildInputs" | "propagatedBuildInputs" | "depsBuildBuild"] => {
                inputs(reader, &value, &mut change.host)
            }
            ["nativeBuildInputs"] => inputs(reader, &value, &mut change.build),
            ["patches"] => patches(reader, &value, &mut change.patches),
            ["doCheck"] if matches!(reader.value(&value), Value::Bool(false)) => {
                change.skip_tests = true;
                true
            }
            // opam-nix's own switch for tests.
            ["opam__with_test"] if matches!(reader.value(&value), Value::Text(text) if text == "false") =>
            {
                change.skip_tests = true;
                true
            }
            // x2nix does without these.
            [
                "withFakeOpam"
                | "doNixSupport"
                | "propagateInputs"
                | "exportSetupHook"
                | "dontPatchShebangsEarly",
            ] => true,
            ["src"] => match source(reader, &value) {
                Some(source) => {
                    change.source = Some(source);
                    true
                }
                None => false,
            },
            ["env", variable] | [variable] if is_variable(variable) => match reader.value(&value) {
                Value::Text(text) => {
                    change.environment.insert((*variable).to_owned(), text);
                    true
                }
                _ => false,
            },
            _ => false,
        };
        if !carried {
            let what = format!("{} of {}", path.join("."), change.package);
            settings.leave(line, what, BY_HAND);
        }
    }
}

/// Whether an attribute is there for its environment variable.
fn is_variable(name: &str) -> bool {
    name.starts_with(|it: char| it.is_ascii_uppercase())
        && name.chars().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit() || it == '_')
}

/// The lists that are joined to what is there already; false where one of their items is computed.
fn added(reader: &Reader<'_>, value: &Expr, each: &mut dyn FnMut(&Item) -> bool) -> bool {
    match behind(value) {
        Some(Expr::List(list)) => list.items().all(|item| each(&reader.item(&item))),
        Some(Expr::BinOp(op)) if op.operator() == Some(BinOpKind::Concat) => {
            [op.lhs(), op.rhs()].into_iter().flatten().all(|side| added(reader, &side, each))
        }
        // `old.buildInputs`, `old.buildInputs or [ ]`
        Some(Expr::Select(_)) => true,
        _ => false,
    }
}

fn inputs(reader: &Reader<'_>, value: &Expr, needs: &mut Vec<String>) -> bool {
    let mut found = Vec::new();
    let all = added(reader, value, &mut |item| match &item.value {
        Value::Attribute(path) if !path.is_empty() => {
            found.push(path.join("."));
            true
        }
        _ => false,
    });
    if all {
        needs.extend(found);
    }
    all
}

fn patches(reader: &Reader<'_>, value: &Expr, patches: &mut Vec<String>) -> bool {
    let mut found = Vec::new();
    let all = added(reader, value, &mut |item| match &item.value {
        Value::Path(path) if !path.starts_with("../") => {
            found.push(path.trim_start_matches("./").to_owned());
            true
        }
        _ => false,
    });
    if all {
        patches.extend(found);
    }
    all
}

/// A source with an address and a hash, or a folder of the flake.
fn source(reader: &Reader<'_>, value: &Expr) -> Option<Table> {
    let mut table = Table::new();
    if let Value::Path(path) = reader.value(value) {
        let path = path.strip_prefix("./")?.to_owned();
        table.insert("path".into(), Toml::String(path));
        return Some(table);
    }
    let (function, arguments) = flat(&behind(value)?);
    let (Some("fetchurl" | "fetchTarball"), [argument]) =
        (function_name(&function).as_deref(), arguments.as_slice())
    else {
        return None;
    };
    let Value::Set(set) = reader.value(argument) else { return None };
    let text = |key: &str| match set.get(key).map(|it| &it.value) {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    };
    let hash =
        text("hash").or_else(|| text("sha256").filter(|hash| hash.starts_with("sha256-")))?;
    table.insert("url".into(), Toml::String(text("url")?));
    table.insert("hash".into(), Toml::String(hash));
    Some(table)
}
