//! What builds start from, as expressions.

use crate::tree::{Expr, Text};
use std::collections::BTreeMap;
use x2nix_lock::{Lock, LockedInput};
use x2nix_protocol::{Artifact, InputKind, Recipe, Source, Unit};

/// The sources of a unit's recipe.
pub(super) fn of(unit: &Unit) -> &[Source] {
    match &unit.recipe {
        Recipe::Build(build) => &build.sources,
        Recipe::Provided { .. } => &[],
    }
}

/// How an artifact is reached: in `sources`, if several units start from it, or where it is used.
pub(super) struct Sources<'a> {
    lock: &'a Lock,
    uses: BTreeMap<&'a str, usize>,
}

impl<'a> Sources<'a> {
    pub(super) fn new(lock: &'a Lock) -> Self {
        let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
        for source in lock.units.values().flat_map(of) {
            *uses.entry(&source.artifact).or_default() += 1;
        }
        Self { lock, uses }
    }

    /// The value of `sources`.
    pub(super) fn shared(&self) -> Expr {
        let shared = self.lock.artifacts.iter().filter(|(id, _)| self.is_shared(id));
        Expr::set(shared.map(|(id, artifact)| (id.as_str(), self.artifact(artifact))))
    }

    fn is_shared(&self, id: &str) -> bool {
        self.uses.get(id).is_some_and(|count| *count > 1)
    }

    /// An artifact where a unit uses it.
    pub(super) fn used(&self, id: &str) -> Expr {
        match self.lock.artifacts.get(id) {
            Some(artifact) if !self.is_shared(id) => self.artifact(artifact),
            _ => Expr::Name("sources").get(id),
        }
    }

    /// Whether it is a folder of the project itself.
    pub(super) fn is_local(&self, id: &str) -> bool {
        matches!(self.lock.artifacts.get(id), Some(Artifact::Local { .. }))
    }

    /// What unpacking it needs beyond the standard environment.
    pub(super) fn unpackers(&self, id: &str) -> Vec<Expr> {
        let name = match self.lock.artifacts.get(id) {
            Some(Artifact::Fetch { name, .. }) => name,
            Some(Artifact::Local { path } | Artifact::Input { path, .. }) => path,
            // A checkout is not unpacked.
            Some(Artifact::Git { .. }) | None => return Vec::new(),
        };
        let tool = |name: &str| Expr::Name("pkgs").get("buildPackages").get(name);
        let tools = [(".zip", "unzip"), ("zst", "zstd")];
        tools.into_iter().filter(|(end, _)| name.ends_with(end)).map(|(_, it)| tool(it)).collect()
    }

    fn artifact(&self, artifact: &Artifact) -> Expr {
        match artifact {
            Artifact::Fetch { urls, name, hashes } => {
                Expr::Name("pkgs").get("fetchurl").call([Expr::set([
                    ("name", safe_name(name)),
                    ("urls", Expr::texts(urls.iter().map(String::as_str))),
                    ("hash", Expr::text(hashes.first().map_or("", String::as_str))),
                ])])
            }
            Artifact::Git { url, name, commit, submodules, hash, .. } => {
                Expr::Name("pkgs").get("fetchgit").call([Expr::set([
                    ("name", safe_name(name)),
                    ("url", Expr::text(url)),
                    ("rev", Expr::text(commit)),
                    ("hash", Expr::text(hash)),
                    ("fetchSubmodules", Expr::Bool(*submodules)),
                ])])
            }
            Artifact::Local { path } => {
                let project = self.lock.inputs.iter().find(|one| one.kind == InputKind::Project);
                tree(folder(project.map_or(".", |input| &input.location)), path)
            }
            Artifact::Input { input, path } => {
                let input: Option<&LockedInput> = self.lock.inputs.get(*input as usize);
                tree(folder(input.map_or(".", |input| &input.location)), path)
            }
        }
    }
}

/// The folder of an input.
fn folder(location: &str) -> Expr {
    if location.starts_with('/') {
        Expr::Path(location.to_owned())
    } else if location.contains("://") {
        Expr::Name("noFolder").call([Expr::text(location)])
    } else {
        let below = Expr::text(&format!("/{location}"));
        Expr::Join(vec![Expr::Name("dirOf").call([Expr::Name("lockFile")]), below])
    }
}

fn tree(top: Expr, path: &str) -> Expr {
    Expr::Name("tree").call([top, Expr::text(path)])
}

/// A name that the store takes.
pub(super) fn safe_name(name: &str) -> Expr {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+._?=-".contains(&b);
    let is_safe =
        (1..=207).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(plain);
    if is_safe { Expr::text(name) } else { Expr::Name("safeName").call([Expr::text(name)]) }
}

/// Text that copies a source to its place.
pub(super) fn place(from: Text, source: &Source) -> Text {
    let mut text = Text::from("x2nixPlace ");
    text.append(from);
    for argument in [&source.to, &source.from] {
        text.push(" ").append(super::shell::quote(argument));
    }
    text.push("\n");
    text
}
