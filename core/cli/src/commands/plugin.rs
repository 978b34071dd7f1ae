//! `x2nix plugin`: make, look at, install and test plugins.

mod new;

use crate::{
    ecosystems::Ecosystem,
    plugins,
    project::unreadable,
    report::{Format, Stop, answer, answer_json, done},
};
use clap::ArgMatches;
use serde_json::{Value, json};
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};
use x2nix_core::protocol::Diagnostic;
use x2nix_plugin_carriers::{Compiled, Form, PluginFile, grants, pack::pack};
use x2nix_plugin_host::{
    carrier::{Tape, TapeSize},
    kept::write_atomically,
};
use x2nix_plugin_kit::{Check, conform, read_scenarios, replay};

/// Runs the command.
pub(crate) fn run(
    ecosystems: &[Ecosystem],
    matches: &ArgMatches,
    format: Format,
) -> Result<(), Stop> {
    let Some((name, matches)) = matches.subcommand() else { return Ok(()) };
    match name {
        "list" => list(ecosystems, format),
        "inspect" => inspect(&path(matches, "file"), format),
        "add" => add(&path(matches, "file"), format),
        "remove" => remove(matches, format),
        "precompile" => precompile(&path(matches, "file"), format),
        "pack" => write_packed(matches),
        "test" => test(matches, format),
        "new" => new::run(matches),
        _ => Ok(()),
    }
}

fn path(matches: &ArgMatches, name: &str) -> PathBuf {
    matches.get_one::<PathBuf>(name).cloned().unwrap_or_default()
}

fn list(ecosystems: &[Ecosystem], format: Format) -> Result<(), Stop> {
    let mut rows: Vec<_> = ecosystems
        .iter()
        .map(|it| {
            let about = &it.describe;
            json!({
                "ecosystem": about.ecosystem, "version": about.version, "form": "linked in",
                "protocol": about.protocol, "title": about.title,
            })
        })
        .collect();
    let mut bad = Vec::new();
    for path in plugins::installed() {
        match plugins::loader().read(&path) {
            Ok(file) => rows.push(about(&file)),
            Err(error) => bad.push(*error),
        }
    }
    if format == Format::Json {
        return answer_json(&json!({ "plugins": rows, "notes": bad }));
    }
    crate::report::note_all(&bad, format);
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let lines = rows.iter().map(|row| {
        let place = row["file"].as_str().map(|file| format!("  {file}")).unwrap_or_default();
        let (name, version) = (text(row, "ecosystem"), text(row, "version"));
        format!("{name} {version}  {}{place}\n", text(row, "form"))
    });
    answer(&lines.collect::<String>())
}

/// What a file says of itself.
fn about(file: &PluginFile) -> Value {
    json!({
        "ecosystem": file.manifest.ecosystem, "version": file.manifest.version,
        "protocol": file.manifest.protocol, "form": file.form.text(), "hash": file.hash,
        "asks": grants::texts(&file.manifest.asks), "file": file.path.to_string_lossy(),
    })
}

fn inspect(path: &Path, format: Format) -> Result<(), Stop> {
    let file = plugins::loader().read(path)?;
    if format == Format::Json {
        return answer_json(&about(&file));
    }
    let asks = match grants::texts(&file.manifest.asks) {
        asks if asks.is_empty() => "nothing".to_owned(),
        asks => asks.join(", "),
    };
    let manifest = &file.manifest;
    answer(&format!(
        "ecosystem  {}\nversion    {}\nprotocol   {}\nform       {}\nhash       {}\nasks for   {asks}\n",
        manifest.ecosystem,
        manifest.version,
        manifest.protocol,
        file.form.text(),
        file.hash
    ))
}

/// The folder of installed plugins.
fn folder() -> Result<PathBuf, Stop> {
    plugins::folder().ok_or_else(|| {
        Diagnostic::error("plugin::folder", "there is no folder for plugins")
            .help("set XDG_DATA_HOME or HOME")
            .access()
            .into()
    })
}

fn add(path: &Path, format: Format) -> Result<(), Stop> {
    let file = plugins::loader().read(path)?;
    let name = &file.manifest.ecosystem;
    check_name(name)?;
    let folder = folder()?;
    fs::create_dir_all(&folder).map_err(|error| unreadable(&folder, &error))?;
    let extension = match file.form {
        Form::Component => "wasm",
        Form::Native => std::env::consts::DLL_EXTENSION,
    };
    let place = folder.join(format!("{name}.{extension}"));
    write_atomically(&place, &file.content()?)?;
    // One plugin for each ecosystem.
    for old in files_of(&folder, name).into_iter().filter(|old| *old != place) {
        fs::remove_file(&old).map_err(|error| unreadable(&old, &error))?;
    }
    if format == Format::Json {
        return answer_json(&about(&PluginFile { path: place, ..file }));
    }
    done(&format!("installed as {}", place.display()), format);
    answer(&format!("[plugin.{name}]\nhash = \"{}\"\n", file.hash))
}

/// A name that goes into a file name.
fn check_name(name: &str) -> Result<(), Stop> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.is_empty() && name.len() < 64 && name.chars().all(plain) && !name.starts_with('-') {
        return Ok(());
    }
    let message = format!("{name:?} is no name of an ecosystem");
    Err(Diagnostic::error("plugin::name", message).help("use a-z, 0-9 and `-`").into())
}

fn files_of(folder: &Path, name: &str) -> Vec<PathBuf> {
    let files = ["wasm", "so", "dylib"].map(|it| folder.join(format!("{name}.{it}")));
    files.into_iter().filter(|file| file.exists()).collect()
}

fn remove(matches: &ArgMatches, format: Format) -> Result<(), Stop> {
    let name = matches.get_one::<String>("name").map(String::as_str).unwrap_or_default();
    check_name(name)?;
    let files = files_of(&folder()?, name);
    if files.is_empty() {
        let message = format!("no plugin for {name} is installed");
        let help = "`x2nix plugin list` shows those that are";
        return Err(Diagnostic::error("plugin::missing", message).help(help).access().into());
    }
    for file in files {
        fs::remove_file(&file).map_err(|error| unreadable(&file, &error))?;
        done(&format!("removed {}", file.display()), format);
    }
    Ok(())
}

fn precompile(path: &Path, format: Format) -> Result<(), Stop> {
    let file = plugins::loader().read(path)?;
    if file.form == Form::Native {
        done("a native library is compiled already", format);
        return Ok(());
    }
    let text = match plugins::loader().precompile(&file)? {
        Compiled::Found => "it was compiled already",
        Compiled::Kept => "compiled, and kept in the cache",
        Compiled::NotKept => {
            "compiled; the cache cannot be written, so it will be compiled each time"
        }
    };
    done(text, format);
    Ok(())
}

fn write_packed(matches: &ArgMatches) -> Result<(), Stop> {
    let path = path(matches, "file");
    let read = |path: &Path| fs::read(path).map_err(|error| unreadable(path, &error));
    let manifest = matches.get_one::<PathBuf>("manifest").map(|it| read(it)).transpose()?;
    let label = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let packed = pack(&label, &read(&path)?, manifest.as_deref())?;
    let output = matches.get_one::<PathBuf>("output").cloned().unwrap_or_default();
    // What is written can be loaded.
    PluginFile::of(&output, &packed)?;
    Ok(write_atomically(&output, &packed)?)
}

fn test(matches: &ArgMatches, format: Format) -> Result<(), Stop> {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let carrier = plugins::carrier(&path(matches, "file"), &arguments)?;
    let mut border = None;
    let checks = if let Some(path) = matches.get_one::<PathBuf>("replay") {
        let text = fs::read(path).map_err(|error| unreadable(path, &error))?;
        let tape = Tape::read(&text, &path.to_string_lossy())?;
        border = Some(tape.size());
        replay(carrier.as_ref(), &tape)?
    } else {
        let given = matches.get_one::<PathBuf>("scenarios").cloned();
        let beside = Some(PathBuf::from("scenarios")).filter(|folder| folder.is_dir());
        let scenarios = given.or(beside).map(|it| read_scenarios(&it)).transpose()?;
        conform(&carrier, &scenarios.unwrap_or_default())
    };
    tell(&checks, border, format)
}

/// What was checked; of a conversation, how much was said in it as well.
fn tell(checks: &[Check], border: Option<TapeSize>, format: Format) -> Result<(), Stop> {
    let wrong: Vec<_> = checks
        .iter()
        .filter_map(|check| {
            let message = format!("{}: {}", check.name, check.wrong.as_ref()?);
            Some(Diagnostic::error("kit::check", message))
        })
        .collect();
    match format {
        Format::Text => {
            let line = |check: &Check| match check.wrong {
                None => format!("ok   {}\n", check.name),
                Some(_) => format!("FAIL {}\n", check.name),
            };
            let said = border.map(|TapeSize { calls, bytes, host_calls, host_bytes }| {
                format!("{calls} calls with {bytes} bytes, {host_calls} questions to the host with {host_bytes}\n")
            });
            answer(&checks.iter().map(line).chain(said).collect::<String>())?;
        }
        Format::Json if wrong.is_empty() => {
            let names: Vec<_> = checks.iter().map(|check| &check.name).collect();
            answer_json(&json!({ "status": "passed", "checks": names, "border": border }))?;
        }
        Format::Json => {}
    }
    if wrong.is_empty() { Ok(()) } else { Err(Stop::Failed(wrong)) }
}
