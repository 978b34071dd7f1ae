//! What the user has said for all projects: files of configuration around a project and in folders of the
//! user's own, and environment variables. A plugin that is linked in asks for it by name.

use std::{
    env, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};
use x2nix_core::protocol::{Diagnostic, Origin, PluginResult, UserAnswer, UserRequest};

/// More folders around a project than anybody has.
const DEEPEST: usize = 100;

/// Looks up what is asked for.
pub(crate) fn look_up(project: Option<&Path>, request: &UserRequest) -> PluginResult<UserAnswer> {
    let mut answer = UserAnswer::default();
    let project = project.and_then(|project| fs::canonicalize(project).ok());
    for folder in project.iter().flat_map(|project| project.ancestors().skip(1).take(DEEPEST)) {
        answer.files.extend(first(folder, &request.around)?);
    }
    let (variable, name) = &request.home;
    if let Some(folder) = folder(variable, name) {
        answer.files.extend(first(&folder, &request.files)?);
    }
    for (name, value) in env::vars_os() {
        let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) else { continue };
        if request.environment.iter().any(|pattern| is_meant(pattern, &name)) {
            answer.environment.insert(name, value);
        }
    }
    Ok(answer)
}

/// A folder of the user's that a variable names, or that lies in the home.
pub(crate) fn folder(variable: &str, name: &str) -> Option<PathBuf> {
    let named = env::var_os(variable).filter(|path| !path.is_empty());
    let folder = named.map(PathBuf::from).or_else(|| Some(dirs::home_dir()?.join(name)))?;
    std::path::absolute(folder).ok()
}

/// The first of some files that is there.
fn first(folder: &Path, names: &[String]) -> PluginResult<Option<(String, Vec<u8>)>> {
    for name in names {
        let path = folder.join(name);
        let shown = path.to_string_lossy().into_owned();
        match fs::read(&path) {
            Ok(content) => return Ok(Some((shown, content))),
            Err(error) if is_absent(error.kind()) => {}
            Err(error) => {
                let message = format!("cannot read {shown}: {error}");
                return Err(Diagnostic::error("input::unreadable", message)
                    .access()
                    .at(Origin::new(shown, None))
                    .help("check the permissions")
                    .into());
            }
        }
    }
    Ok(None)
}

const fn is_absent(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory)
}

/// Whether a pattern with at most one `*` means a name.
fn is_meant(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, end)) => {
            name.len() > start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        }
    }
}
