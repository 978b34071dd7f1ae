//! Credential providers: those that cargo has built in, and programs that speak its protocol.
//!
//! ```text
//! program  -- {"v":[1]} ------------------------------->  (what it speaks)
//! program  <- {"v":1,"kind":"get","operation":"read",…} -
//! program  -- {"Ok":{"kind":"get","token":"…",…}} ----->  or {"Err":{"kind":"not-found"}}
//! ```

use crate::{
    config::{Config, Registry},
    failed,
};
use serde::Deserialize;
use serde_json::json;
use std::{
    io::{self, BufReader, Read, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use x2nix_protocol::{Diagnostic, PluginResult};

/// The version of the protocol.
const VERSION: u32 = 1;

/// A program says no more than this in one line.
const LONGEST: u64 = 64 << 10;

/// What the first provider that knows a registry says.
pub(crate) fn token(config: &Config, registry: &Registry) -> PluginResult<Option<String>> {
    for words in config.providers(registry) {
        let Some((name, arguments)) = words.split_first() else { continue };
        let token = match name.as_str() {
            "cargo:token" => config.token(registry),
            "cargo:token-from-stdout" => Some(from_stdout(config, registry, arguments)?),
            built_in if built_in.starts_with("cargo:") => {
                let what =
                    format!("its credential provider {built_in} is built into cargo, and not here");
                let help = "use cargo:token, cargo:token-from-stdout or a program";
                return Err(failed(registry, &what).help(help).into());
            }
            program => ask(&place(config, program), arguments, registry)?,
        };
        if token.is_some() {
            return Ok(token);
        }
    }
    Ok(None)
}

/// Where a program is: on the PATH, or at a path, which starts from the folder of the configuration's.
fn place(config: &Config, program: &str) -> PathBuf {
    match config.folder().filter(|_| program.contains('/')) {
        Some(folder) => folder.join(program),
        None => PathBuf::from(program),
    }
}

/// Does not say what a program said: that may be a secret.
fn broken(registry: &Registry, program: &Path, what: &str) -> Box<Diagnostic> {
    let what = format!("the credential provider {} {what}", program.display());
    failed(registry, &what).help("try it with cargo itself: cargo login").into()
}

fn start(registry: &Registry, program: &Path, command: &mut Command) -> PluginResult<Child> {
    command.stdout(Stdio::piped());
    let child = command.spawn();
    child.map_err(|error| broken(registry, program, &format!("cannot be run: {error}")))
}

/// The token that a program writes.
fn from_stdout(config: &Config, registry: &Registry, words: &[String]) -> PluginResult<String> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(failed(registry, "cargo:token-from-stdout names no program").into());
    };
    let program = place(config, program);
    let mut command = Command::new(&program);
    command.args(arguments).env("CARGO_REGISTRY_INDEX_URL", &registry.index);
    if let Some(name) = &registry.name {
        command.env("CARGO_REGISTRY_NAME_OPT", name);
    }
    let mut child = start(registry, &program, command.stdin(Stdio::null()))?;
    let mut text = String::new();
    let read = child.stdout.take().map(|out| out.take(LONGEST).read_to_string(&mut text));
    let done = child.wait().is_ok_and(|status| status.success());
    let token = text.trim_end_matches(['\n', '\r']);
    if !done || token.is_empty() || token.contains('\n') || !matches!(read, Some(Ok(_))) {
        return Err(broken(registry, &program, "does not write one line with a token"));
    }
    Ok(token.to_owned())
}

#[derive(Deserialize)]
struct Hello {
    v: Vec<u32>,
}

#[derive(Deserialize)]
enum Answer {
    Ok(Given),
    Err(Refused),
}

#[derive(Deserialize)]
struct Given {
    token: String,
}

#[derive(Deserialize)]
struct Refused {
    kind: String,
    #[serde(default)]
    message: Option<String>,
}

/// Asks a program in cargo's protocol; nothing where it does not know the registry.
fn ask(program: &Path, words: &[String], registry: &Registry) -> PluginResult<Option<String>> {
    let mut command = Command::new(program);
    let command = command.arg("--cargo-plugin").stdin(Stdio::piped());
    let mut child = start(registry, program, command)?;
    let said = talk(&mut child, words, registry);
    // Without its standard input, it ends.
    drop(child.stdin.take());
    let Ok(answer) = said else {
        let _ = child.kill(); // or it has ended
        let _ = child.wait();
        let what = format!("does not speak version {VERSION} of cargo's protocol");
        return Err(broken(registry, program, &what));
    };
    let _ = child.wait(); // it has said what there is to say
    match answer {
        Answer::Ok(Given { token }) => Ok(Some(token)),
        Answer::Err(Refused { kind, .. })
            if ["not-found", "url-not-supported"].contains(&kind.as_str()) =>
        {
            Ok(None)
        }
        Answer::Err(Refused { message, kind }) => {
            let what = format!("refuses: {}", message.unwrap_or(kind).escape_debug());
            Err(broken(registry, program, &what))
        }
    }
}

fn talk(child: &mut Child, words: &[String], registry: &Registry) -> io::Result<Answer> {
    let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
    let out = child.stdout.take().ok_or_else(closed)?;
    let mut lines = BufReader::new(out.take(2 * LONGEST));
    let hello: Hello = line(&mut lines)?;
    if !hello.v.contains(&VERSION) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let mut about = json!({ "index-url": registry.index });
    if let Some(name) = &registry.name {
        about["name"] = json!(name);
    }
    let question = json!({
        "v": VERSION, "kind": "get", "operation": "read", "registry": about, "args": words,
    });
    let input = child.stdin.as_mut().ok_or_else(closed)?;
    writeln!(input, "{question}")?;
    input.flush()?;
    line(&mut lines)
}

fn line<T: serde::de::DeserializeOwned>(lines: &mut impl io::BufRead) -> io::Result<T> {
    let mut line = Vec::new();
    lines.read_until(b'\n', &mut line)?;
    Ok(serde_json::from_slice(&line)?)
}
