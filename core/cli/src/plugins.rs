//! Plugins in files: which one a command is to use, whether the user trusts it, and what it may do.
//!
//! The options of an ecosystem come from its plugin, so the flags that name a plugin are read before
//! the command line is.

use crate::{
    ecosystems::Ecosystem,
    report::Stop,
    settings::{PluginSetting, SETTINGS, Settings},
};
use clap::{Arg, ArgAction, value_parser};
use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io::{BufRead as _, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
    time::Duration,
};
use x2nix_core::{
    Failure,
    lock::{AND, Lock},
    protocol::{Capabilities, Diagnostic, Plugin as _},
};
use x2nix_plugin_carriers::{
    Form, Limits, Loader, PluginFile,
    grants::{self, Granted},
    isolate,
};
use x2nix_plugin_host::{
    carrier::{Carrier, Record, kept_help},
    kept::write_atomically,
};

/// The hidden command that serves a library in a process of its own.
pub(crate) const SERVE: &str = "plugin-serve";

/// A plugin that came from a file.
pub(crate) struct Source {
    pub(crate) file: PluginFile,
    /// What it may do.
    pub(crate) capabilities: Capabilities,
    /// What is said, and where to write it.
    record: Record,
    record_to: Option<PathBuf>,
    /// Whether the user accepts that it is not the one that a lock names.
    accepted: bool,
}

/// The flags that are about plugins.
pub(crate) fn flags() -> Vec<Arg> {
    let heading = "Plugins";
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).help(help).help_heading(heading)
    };
    let number = |name, value, help| {
        flag(name, help).value_name(value).value_parser(value_parser!(u32).range(1..))
    };
    vec![
        flag("plugin", "Use the plugin in this file: a WebAssembly component or a native library")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf)),
        flag("allow", "Let the plugin do what it asks for: read=DIR, fetch=HOST, env=NAME, cache=BYTES (repeatable)")
            .value_name("GRANT")
            .action(ArgAction::Append),
        flag("deny", "Run the plugin without this that it asks for: read=DIR, fetch=HOST, env=NAME, cache=BYTES (repeatable)")
            .value_name("GRANT")
            .action(ArgAction::Append),
        flag("trust-native", "Run a native library with all rights that you have")
            .action(ArgAction::SetTrue),
        flag("accept-plugin", "Go on with a plugin that is not the one that the lock names")
            .action(ArgAction::SetTrue),
        flag("isolate", "Run a native library in a process of its own, with the limits")
            .action(ArgAction::SetTrue),
        flag("validate-plugin", "Check each message of the plugin by its schema")
            .action(ArgAction::SetTrue),
        flag("record", "Write all that is said between x2nix and the plugin to this file")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf)),
        number("plugin-memory", "MIB", "The memory that the plugin may use [default: 2048]"),
        number("plugin-time", "SECONDS", "How long it may compute for one answer [default: 60]"),
    ]
}

/// What those flags say, as far as they can be read without the rest.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // flags are
struct Given {
    plugin: Option<PathBuf>,
    ecosystem: Option<String>,
    /// The folder whose settings count.
    folder: PathBuf,
    allow: Vec<String>,
    deny: Vec<String>,
    trust_native: bool,
    accept: bool,
    isolate: bool,
    validate: bool,
    record: Option<PathBuf>,
    memory: Option<u64>,
    seconds: Option<u64>,
}

impl Given {
    fn read(arguments: &[OsString]) -> Self {
        let mut given = Self { folder: PathBuf::from("."), ..Self::default() };
        let mut rest = arguments.iter().skip(1).peekable();
        while let Some(argument) = rest.next() {
            let text = argument.to_string_lossy();
            if !text.starts_with("--") {
                if Path::new(argument).join(SETTINGS).is_file() {
                    given.folder = PathBuf::from(argument);
                }
                continue;
            }
            let (name, joined) = match text.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(OsString::from(value))),
                None => (text.into_owned(), None),
            };
            let mut value = || joined.clone().or_else(|| rest.next().cloned());
            match name.as_str() {
                "--plugin" => given.plugin = value().map(PathBuf::from),
                "--record" => given.record = value().map(PathBuf::from),
                "--ecosystem" => given.ecosystem = value().as_deref().map(text_of),
                "--allow" => given.allow.extend(value().as_deref().map(text_of)),
                "--deny" => given.deny.extend(value().as_deref().map(text_of)),
                "--plugin-memory" => {
                    given.memory = value().and_then(|it| text_of(&it).parse().ok());
                }
                "--plugin-time" => given.seconds = value().and_then(|it| text_of(&it).parse().ok()),
                "--trust-native" => given.trust_native = true,
                "--accept-plugin" => given.accept = true,
                "--isolate" => given.isolate = true,
                "--validate-plugin" => given.validate = true,
                _ => {}
            }
        }
        given
    }

    fn loader(&self) -> Loader {
        let own = Limits::default();
        let limits = Limits {
            memory: self.memory.map_or(own.memory, |mebibytes| mebibytes << 20),
            time: self.seconds.map_or(own.time, Duration::from_secs),
            ..own
        };
        let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("x2nix"));
        let isolate = self.isolate.then(|| vec![program.into_os_string(), SERVE.into()]);
        Loader { limits, isolate, ..loader() }
    }
}

fn text_of(text: &OsStr) -> String {
    text.to_string_lossy().into_owned()
}

/// A loader with the cache of the user.
pub(crate) fn loader() -> Loader {
    Loader { cache: dirs::cache_dir().map(|cache| cache.join("x2nix")), ..Loader::default() }
}

/// Where plugins are installed.
pub(crate) fn folder() -> Option<PathBuf> {
    dirs::data_dir().map(|data| data.join("x2nix/plugins"))
}

/// The files in the folder of installed plugins, sorted.
pub(crate) fn installed() -> Vec<PathBuf> {
    let entries = folder().and_then(|folder| std::fs::read_dir(folder).ok());
    let files = entries.into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> = files
        .filter(|path| {
            let known = ["wasm", "so", "dylib"];
            path.extension().is_some_and(|it| known.iter().any(|known| it == *known))
        })
        .collect();
    files.sort();
    files
}

/// Adds the plugin that the arguments, the settings or the folder of plugins name, if any does.
pub(crate) fn add(ecosystems: &mut Vec<Ecosystem>, arguments: &[OsString]) -> Result<(), Stop> {
    let command = arguments.get(1).and_then(|it| it.to_str()).unwrap_or_default();
    if !["resolve", "sweep", "check", "why-not", "export", "doctor"].contains(&command) {
        return Ok(());
    }
    let given = Given::read(arguments);
    let settings = Settings::read(&given.folder)?;
    let Some((path, setting)) = find(&given, &settings, ecosystems) else { return Ok(()) };
    let file = loader().read(&path)?;
    check_setting(&file, setting)?;
    trust(&file, &given, setting)?;
    let capabilities = capabilities(&file, &given, setting)?;
    let mut loader = given.loader();
    loader.validate = given.validate;
    let record = Record::default();
    let foreign = loader.load(&file)?.with_record(Some(Arc::clone(&record)));
    let plugin = Granted {
        plugin: Arc::new(foreign),
        label: file.label.clone(),
        capabilities: capabilities.clone(),
        project: Some(given.folder),
        environment: capabilities
            .environment
            .iter()
            .filter_map(|name| Some((name.clone(), std::env::var(name).ok()?)))
            .collect::<BTreeMap<_, _>>(),
    };
    let describe = plugin.describe();
    ecosystems.retain(|known| known.describe.ecosystem != describe.ecosystem);
    let accepted = given.accept || setting.is_some_and(|it| it.hash.is_some());
    let source = Source { file, capabilities, record, record_to: given.record, accepted };
    let source = Some(Arc::new(source));
    ecosystems.push(Ecosystem::new(Arc::new(plugin), source));
    Ok(())
}

/// The file that is to be used, and what the settings say of it.
fn find<'s>(
    given: &Given,
    settings: &'s Settings,
    ecosystems: &[Ecosystem],
) -> Option<(PathBuf, Option<&'s PluginSetting>)> {
    let names = given.ecosystem.as_deref().or(settings.ecosystem.as_deref());
    let mut parts = names.into_iter().flat_map(|names| names.split(AND));
    let setting = parts.clone().find_map(|name| settings.plugins.get(name));
    if let Some(path) = &given.plugin {
        return Some((path.clone(), setting));
    }
    if let Some(file) = setting.and_then(|setting| setting.file.as_ref()) {
        return Some((given.folder.join(file), setting));
    }
    let linked_in = |name: &str| ecosystems.iter().any(|it| it.describe.ecosystem == name);
    let name = parts.find(|name| !linked_in(name))?;
    for path in installed() {
        if loader().read(&path).is_ok_and(|file| file.manifest.ecosystem == name) {
            return Some((path, setting));
        }
    }
    None
}

fn check_setting(file: &PluginFile, setting: Option<&PluginSetting>) -> Result<(), Stop> {
    let Some(hash) = setting.and_then(|setting| setting.hash.as_ref()) else { return Ok(()) };
    if *hash == file.hash {
        return Ok(());
    }
    let message = format!(
        "the plugin {} has the hash {}, and {SETTINGS} names {hash}",
        file.path.display(),
        file.hash
    );
    let help = format!(
        "if you trust the new file, write its hash to [plugin.{}]",
        file.manifest.ecosystem
    );
    Err(Diagnostic::error("plugin::changed", message).help(help).into())
}

/// Whether the user lets a native library run.
fn trust(file: &PluginFile, given: &Given, setting: Option<&PluginSetting>) -> Result<(), Stop> {
    let named = setting.is_some_and(|it| it.native && it.hash.is_some());
    if file.form == Form::Component || given.trust_native || named {
        return Ok(());
    }
    let (shown, hash) = (file.path.display(), &file.hash);
    let message = format!(
        "{shown} is a native library: it would run with all your rights, and nothing would bind it"
    );
    if ask(&format!("{message}.\nIts hash is {hash}. Run it?")) {
        return Ok(());
    }
    let name = &file.manifest.ecosystem;
    let help = format!(
        "if you trust it, say --trust-native, or in {SETTINGS}: \
         [plugin.{name}] file = \"…\", hash = \"{hash}\", native = true"
    );
    Err(Diagnostic::error("plugin::native", message).help(help).into())
}

/// What the plugin may do: what it asks for, if the user grants it.
fn capabilities(
    file: &PluginFile,
    given: &Given,
    setting: Option<&PluginSetting>,
) -> Result<Capabilities, Stop> {
    let mut granted = Capabilities::default();
    let settled = setting.into_iter().flat_map(|setting| &setting.allow);
    for text in given.allow.iter().chain(settled) {
        grants::add(&mut granted, text)?;
    }
    let mut denied = Capabilities::default();
    let settled = setting.into_iter().flat_map(|setting| &setting.deny);
    for text in given.deny.iter().chain(settled) {
        grants::add(&mut denied, text)?;
    }
    // What is denied, it runs without; the rest has to be granted.
    let asked = grants::without(&file.manifest.asks, &denied);
    let missing = grants::texts(&grants::missing(&asked, &granted));
    if missing.is_empty() {
        return Ok(grants::of_both(&asked, &granted));
    }
    let message = format!("the plugin {} asks for {}", file.label, missing.join(", "));
    if ask(&format!("{message}.\nGrant it?")) {
        return Ok(asked);
    }
    let flags: Vec<_> = missing.iter().map(|it| format!("--allow {it}")).collect();
    let help = format!(
        "grant it with {}, or as `allow = [\"…\"]` in [plugin.{}] of {SETTINGS}; --deny runs the plugin without it",
        flags.join(" "),
        file.manifest.ecosystem
    );
    Err(Diagnostic::error("plugin::not-granted", message).help(help).into())
}

/// Asks the user, where there is one.
#[allow(clippy::print_stderr)] // a question needs an answer before the command goes on
fn ask(question: &str) -> bool {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return false;
    }
    eprint!("{question} [y/N] ");
    let _ = std::io::stderr().flush();
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).is_ok() && matches!(line.trim(), "y" | "Y" | "yes")
}

/// Refuses a plugin that is not the one that a lock names.
pub(crate) fn check_lock(ecosystem: &Ecosystem, lock: &Lock) -> Result<(), Stop> {
    let own = ecosystem.source.as_ref().map(|source| &source.file.hash);
    let (Some(locked), true) = (&lock.plugin.hash, lock.plugin.hash.as_ref() != own) else {
        return Ok(());
    };
    if ecosystem.source.as_ref().is_some_and(|source| source.accepted) {
        return Ok(());
    }
    let found =
        own.map_or("the plugin that is linked in".to_owned(), |it| format!("the plugin {it}"));
    let message = format!("the lock was made with the plugin {locked}, and this is {found}");
    if ecosystem.source.is_some() && ask(&format!("{message}.\nGo on with it?")) {
        return Ok(());
    }
    let help = match ecosystem.source {
        Some(_) => "if you trust it, say --accept-plugin",
        None => "name its file with --plugin FILE, or write the lock anew with --update",
    };
    Err(Diagnostic::error("plugin::changed", message).help(help).into())
}

/// Writes down which plugin it was, and what it was granted.
pub(crate) fn sign(ecosystem: &Ecosystem, lock: &mut Lock) {
    if let Some(source) = &ecosystem.source {
        lock.plugin.hash = Some(source.file.hash.clone());
        lock.plugin.grants = grants::texts(&source.capabilities);
    }
}

/// Serves a library to the x2nix that started this one.
pub(crate) fn serve(arguments: &[OsString]) -> Result<(), Stop> {
    let [path, hash, memory, most] = arguments else { return Ok(()) };
    let own = Limits::default();
    let memory = text_of(memory).parse().unwrap_or(own.memory);
    let most = text_of(most).parse().unwrap_or(own.message);
    Ok(isolate::serve(Path::new(path), &text_of(hash), memory, most)?)
}

/// Writes what was said to the file that `--record` names.
pub(crate) fn keep_records(ecosystems: &[Ecosystem]) -> Result<(), Stop> {
    for source in ecosystems.iter().filter_map(|it| it.source.as_ref()) {
        if let Some(path) = &source.record_to {
            let tape = source.record.lock().unwrap_or_else(PoisonError::into_inner);
            write_atomically(path, &tape.text())?;
        }
    }
    Ok(())
}

/// Says whose fault it is where an answer was a document, and still no sense; keeps what was said.
pub(crate) fn blame(ecosystem: &Ecosystem, failure: Failure) -> Failure {
    let (Failure::Refused(error), Some(source)) = (&failure, &ecosystem.source) else {
        return failure;
    };
    if error.code != "plugin::protocol" {
        return failure;
    }
    let message = format!("plugin {}: {}", source.file.label, error.message);
    let error = Diagnostic { message, ..error.as_ref().clone() };
    let tape = source.record.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = loader().cache.and_then(|cache| tape.keep(&cache.join("failures")));
    Failure::Refused(Box::new(match kept {
        Some(file) => error.help(kept_help(&file)),
        None => error,
    }))
}

/// The carrier of a file that is to be tested; its messages are checked.
pub(crate) fn carrier(path: &Path, arguments: &[OsString]) -> Result<Arc<dyn Carrier>, Stop> {
    let given = Given::read(arguments);
    let file = loader().read(path)?;
    trust(&file, &given, None)?;
    Ok(Loader { validate: true, ..given.loader() }.carrier(&file)?)
}
