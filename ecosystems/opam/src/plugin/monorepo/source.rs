//! Where the packages of a workspace come from, and what a project's files say of its monorepo.

use crate::{
    package::OpamFile,
    syntax::{self, Value, ValueKind},
};
use std::collections::{BTreeMap, BTreeSet};
use x2nix_protocol::{Diagnostic, Origin, PluginResult};

/// An archive of a repository.
pub(super) struct Source {
    repository: String,
    /// Its strongest checksum.
    checksum: String,
}

impl Source {
    /// The source of a version, if it says what it is.
    pub(super) fn of(file: &OpamFile<'_>) -> Result<Option<Self>, syntax::Error> {
        let (Some(place), Some(url)) = (file.dev_repo()?, file.url()?) else { return Ok(None) };
        let strongest = url.checksums.iter().max_by_key(|checksum| checksum.kind);
        Ok(strongest.map(|checksum| Self {
            repository: repository(&place),
            checksum: format!("{}={}", checksum.kind.name(), checksum.hex.to_ascii_lowercase()),
        }))
    }

    /// The name that stands for the archive.
    pub(super) fn name(&self) -> String {
        /// Enough to tell the archives of one repository apart.
        const DIGITS: usize = 40;
        let short: String = self.checksum.chars().take(DIGITS).collect();
        format!("{} at {short}", self.repository)
    }

    /// The class of the archives of its repository.
    pub(super) fn class(&self) -> String {
        format!("archives of {}", self.repository)
    }
}

/// A `dev-repo`, however it is written: `git+https://HOST/a.git` and `https://HOST/a/` are one.
pub(super) fn repository(dev_repo: &str) -> String {
    let place = dev_repo.trim().split('#').next().unwrap_or_default();
    let place = place.strip_prefix("git+").unwrap_or(place);
    let place = match place.split_once("://") {
        Some((_, rest)) => rest,
        // `git@HOST:a/b.git`
        None => place,
    };
    let place = place.rsplit_once('@').map_or(place, |(_, rest)| rest);
    let place = place.trim_end_matches('/');
    let place = place.strip_suffix(".git").unwrap_or(place).trim_end_matches('/');
    match place.split_once(['/', ':']) {
        Some((host, path)) => format!("{}/{path}", host.to_ascii_lowercase()),
        None => place.to_owned(),
    }
}

/// The folder that a repository's packages are unpacked to: the last part of its address up to the
/// first `.`, but `dune_` for dune, as a folder `dune` would stand in the way of dune's own file
/// (`dir_name_from_dev_repo` of `lib/duniverse.ml`).
pub(super) fn folder(repository: &str) -> String {
    let last = repository.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default();
    let name = last.trim_start_matches('.').split('.').next().unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_+-".contains(c) { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    match name.trim_start_matches('-') {
        "" => "source".into(),
        "dune" => "dune_".into(),
        name => name.into(),
    }
}

/// What the fields `x-opam-monorepo-…` of a project's files say.
#[derive(Debug, Default)]
pub(in crate::plugin) struct Settings {
    /// `opam-provided`: names of the host.
    pub(in crate::plugin) provided: BTreeSet<String>,
    /// `global-opam-vars`: variables and their values.
    pub(in crate::plugin) variables: BTreeMap<String, String>,
    /// `opam-repositories`: where packages are looked for, too, and where that is said.
    pub(in crate::plugin) repositories: BTreeMap<String, Origin>,
    /// The same as they are written.
    pub(super) written: BTreeSet<String>,
    /// `cli-args`: arguments of `opam monorepo lock`, by long name.
    pub(super) arguments: BTreeMap<String, String>,
}

impl Settings {
    /// Adds what one file says.
    pub(super) fn add(&mut self, file: &OpamFile<'_>, shown: &str) -> PluginResult<()> {
        let wrong = |value: &Value<'_>, what: &str| {
            Box::new(
                Diagnostic::error("opam::monorepo", what)
                    .at(Origin::new(shown, Some(value.position.line)))
                    .help("mend the field, or remove it"),
            )
        };
        let text = |value: &Value<'_>| match &value.kind {
            ValueKind::String(text) => Ok(text.to_string()),
            ValueKind::Bool(value) => Ok(value.to_string()),
            ValueKind::List(parts) => {
                let texts = parts.iter().map(|part| match &part.kind {
                    ValueKind::String(text) => Ok(text.to_string()),
                    _ => Err(wrong(part, "this is not a string")),
                });
                Ok(texts.collect::<PluginResult<Vec<_>>>()?.join(" "))
            }
            _ => Err(wrong(value, "this is not a string")),
        };
        let field = |name: &str| file.extension(&format!("x-opam-monorepo-{name}"));
        for value in field("opam-provided").map(list).unwrap_or_default() {
            let name = text(value)?;
            crate::package::name::check_name(&name)
                .map_err(|error| wrong(value, &error.to_string()))?;
            self.provided.insert(name);
        }
        for pair in field("global-opam-vars").map(list).unwrap_or_default() {
            let ValueKind::List(parts) = &pair.kind else {
                return Err(wrong(pair, "a variable is a list of its name and its value"));
            };
            let [name, value] = parts.as_slice() else {
                return Err(wrong(pair, "a variable is a list of its name and its value"));
            };
            let (name, value) = (text(name)?, text(value)?);
            if self.variables.get(&name).is_some_and(|known| *known != value) {
                return Err(wrong(pair, &format!("the variable {name} has two values")));
            }
            self.variables.insert(name, value);
        }
        for value in field("opam-repositories").map(list).unwrap_or_default() {
            const HERE: &str = "$OPAM_MONOREPO_CWD";
            let place = text(value)?;
            self.written.insert(place.clone());
            let place = match place.strip_prefix("file://") {
                Some(path) => match path.strip_prefix(HERE) {
                    Some(rest) => format!("./{}", rest.trim_start_matches('/')),
                    None => path.to_owned(),
                },
                None => place,
            };
            if place.contains(HERE) {
                let what = format!("{HERE} can only begin the path of a file:// address");
                return Err(wrong(value, &what));
            }
            let origin = Origin::new(shown, Some(value.position.line));
            self.repositories.entry(place).or_insert(origin);
        }
        let arguments = field("cli-args").map(list).unwrap_or_default();
        let arguments = arguments.into_iter().map(text).collect::<PluginResult<Vec<_>>>()?;
        let mut arguments = arguments.iter().map(String::as_str).peekable();
        while let Some(argument) = arguments.next() {
            match argument {
                "--build-only" | "--require-cross-compile" => {
                    self.arguments.insert(argument[2..].into(), String::new());
                }
                "--ocaml-version" => {
                    if let Some(version) = arguments.next() {
                        self.arguments.insert("ocaml-version".into(), version.into());
                    }
                }
                _ => {
                    if let Some(version) = argument.strip_prefix("--ocaml-version=") {
                        self.arguments.insert("ocaml-version".into(), version.into());
                    }
                }
            }
        }
        Ok(())
    }
}

/// The values of a list; a single value counts as one.
fn list<'v, 'a>(value: &'v Value<'a>) -> Vec<&'v Value<'a>> {
    match &value.kind {
        ValueKind::List(parts) => parts.iter().collect(),
        _ => vec![value],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_repository_has_one_name() {
        for written in [
            "git+https://Host.example/mirage/ocaml-gmp.git",
            "https://host.example/mirage/ocaml-gmp/",
            "git://host.example/mirage/ocaml-gmp.git#main",
            "git@host.example:mirage/ocaml-gmp.git",
            "git+ssh://git@host.example/mirage/ocaml-gmp",
        ] {
            assert_eq!(repository(written), "host.example/mirage/ocaml-gmp", "{written}");
        }
    }

    #[test]
    fn folders_are_named_as_opam_monorepo_names_them() {
        for (place, name) in [
            ("git+https://host.example/ocaml/dune.git", "dune_"),
            ("git+https://host.example/a/lwt.git", "lwt"),
            ("git://host.example/a/js_of.ocaml", "js_of"),
            ("https://host.example/a/.hidden.git", "hidden"),
            ("https://host.example/a/$(rm -rf ~)", "__rm_-rf___"),
            ("https://host.example/a/-rf", "rf"),
            ("..", "source"),
            ("", "source"),
        ] {
            assert_eq!(folder(&repository(place)), name, "{place}");
        }
    }
}
