//! The answer as a lock file of opam-monorepo.
//!
//! That is an opam file, which says
//!
//! ```text
//! depends                          all packages at their versions; `?vendor` marks those of the duniverse
//! pin-depends                      where the source of each of these is
//! x-opam-monorepo-duniverse-dirs   the folder and the checksums of each such source
//! depexts                          what all of them need from the system
//! ```
//!
//! and repeats what the project's opam files say of their monorepo. A package has one version there. Where
//! a project's two sets are separate, the host may have another: for opam, `?vendor` is undefined and such
//! a line says nothing, so it is the workspace's version that is written, and the host's that is told of.
//!
//! opam-monorepo fetches archives and unpacks them, and does no more: patches and further files of a
//! package are told of, too.
//!
//! Reference: `lib/lockfile.ml` and `lib/duniverse.ml` of opam-monorepo 0.4.

use super::{
    build::{Place, groups, names, places},
    duniverse::{Folder, folders},
    source::Settings,
};
use crate::{
    filter::{Filter, Variable, filter_depends},
    package::checksum::ChecksumKind,
    plugin::{
        build::{Builder, Choice, Contents, Package, View, packages, version},
        dictionary::Side,
        environment::Owner,
        request::Local,
        session::OpamSession,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};
use x2nix_protocol::{
    Artifact, Blob, Diagnostic, ExportAnswer, ExportRequest, ExportSpec, FileContent, PluginResult,
    ReadRequest, Severity,
};

/// The name of the form.
const FORMAT: &str = "opam-locked";

/// The version of the format (`Version.current` of `lib/lockfile.ml`).
const VERSION: &str = "0.3";

/// What such a file is called.
const SUFFIX: &str = ".opam.locked";

/// What can be exported.
pub(in crate::plugin) fn specs() -> Vec<ExportSpec> {
    vec![ExportSpec {
        name: FORMAT.into(),
        help: "The lock file of opam-monorepo: NAME.opam.locked".into(),
    }]
}

/// Writes what was chosen for opam-monorepo: a file for each program of its own.
pub(in crate::plugin) fn export(
    session: &OpamSession,
    request: &ExportRequest,
) -> PluginResult<ExportAnswer> {
    if session.monorepo.is_none() {
        return Err(refuse("this lock is not that of a monorepo")
            .help("resolve with --monorepo, which opam-monorepo's lock files are for")
            .into());
    }
    let chosen: Vec<Choice<'_>> = request
        .chosen
        .iter()
        .map(|chosen| version(session, chosen))
        .filter(|choice| choice.as_ref().is_ok_and(|it| it.side != Side::Source) || choice.is_err())
        .collect::<PluginResult<_>>()?;
    let contents = Contents::of(session, chosen.iter().copied())?;
    let both = Both::new(session, &chosen, &contents)?;
    let mut answer = ExportAnswer::default();
    for group in groups(session, &both.workspace.chosen) {
        let is_project = |name: &&&str| both.places.get(**name) == Some(&Place::Project);
        let roots: Vec<&str> = group.iter().filter(is_project).copied().collect();
        if roots.is_empty() {
            continue;
        }
        let (name, _) = names(session, &both.workspace.chosen, &group);
        let path = path(session, &roots, &name)?;
        let text = both.lock(&roots, &request.artifacts, &mut answer.notes)?;
        answer.files.insert(path, Blob(text.into_bytes()));
    }
    if answer.files.is_empty() {
        return Err(refuse("there is no package of a project in this lock")
            .help("opam-monorepo locks the packages of a project; write a NAME.opam file")
            .into());
    }
    Ok(answer)
}

fn refuse(message: impl Into<String>) -> Diagnostic {
    Diagnostic::error("opam::export", message)
}

/// Both sets of a monorepo.
struct Both<'s> {
    session: &'s OpamSession,
    /// The packages of the workspace, and those that it has from its host.
    workspace: Builder<'s>,
    /// The packages of the host, which see each other.
    host: BTreeMap<&'s str, Package<'s>>,
    host_view: View<'s>,
    places: BTreeMap<&'s str, Place>,
}

/// A line of `depends`.
struct Entry<'s> {
    version: &'s str,
    vendored: bool,
}

impl<'s> Both<'s> {
    fn new(
        session: &'s OpamSession,
        chosen: &[Choice<'s>],
        contents: &'s Contents,
    ) -> PluginResult<Self> {
        static NONE: BTreeMap<String, Vec<x2nix_protocol::SystemNeed>> = BTreeMap::new();
        let on = |side: Side| {
            let here = chosen.iter().filter(move |choice| choice.side == side);
            here.map(|choice| (choice.name, choice.version))
        };
        let host_view: View<'s> = on(Side::Host).collect();
        let crosses = |name: &str| session.monorepo.as_ref().is_some_and(|it| it.crosses(name));
        let across = on(Side::Host).filter(|(name, _)| crosses(name));
        let view: View<'s> = on(Side::Main).chain(across).collect();
        let packages_of = |side, view: &View<'s>| packages(session, side, view, contents);
        let own = packages_of(Side::Main, &view)?;
        let places = places(session, on(Side::Main).map(|(name, _)| name), &own)?;
        let host = packages_of(Side::Host, &host_view)?;
        let problems = RefCell::default();
        let workspace = Builder { session, chosen: view, packages: own, system: &NONE, problems };
        Ok(Self { session, workspace, host, host_view, places })
    }

    /// All that some packages of the project need, near and far, on both sides, even if only afterwards.
    fn reached(&self, roots: &[&'s str]) -> PluginResult<BTreeSet<(Side, &'s str)>> {
        let session = self.session;
        let separate = session.monorepo.as_ref().is_some_and(|monorepo| monorepo.separate);
        let mut seen = BTreeSet::new();
        let mut next: Vec<(Side, &str)> = roots.iter().map(|root| (Side::Main, *root)).collect();
        while let Some((side, name)) = next.pop() {
            if !seen.insert((side, name)) {
                continue;
            }
            let (package, view) = match side {
                Side::Host => (self.host.get(name), &self.host_view),
                Side::Main | Side::Source => {
                    (self.workspace.packages.get(name), &self.workspace.chosen)
                }
            };
            let Some(package) = package else { continue };
            next.extend(self.named(package, package.owner, view)?);
            if separate && roots.contains(&name) && side == Side::Main {
                let owner = Owner { side: Side::Host, ..package.owner };
                next.extend(self.named(package, owner, &self.host_view)?);
            }
        }
        Ok(seen)
    }

    /// The chosen packages that one speaks of, and where they are.
    fn named(
        &self,
        package: &Package<'s>,
        owner: Owner<'_>,
        view: &View<'s>,
    ) -> PluginResult<Vec<(Side, &'s str)>> {
        let variables = |it: &Variable<'_>| self.session.environment.depends(owner, it);
        let mut found = Vec::new();
        for formula in [package.file.depends(), package.file.depopts()] {
            filter_depends(&package.read(formula)?, &variables).for_each(&mut |atom| {
                let Some((&name, version)) = view.get_key_value(&*atom.name) else { return };
                if crate::filter::check(&atom.constraint, &version.version) {
                    let monorepo = self.session.monorepo.as_ref();
                    let side = monorepo.map_or(Side::Main, |it| it.side(owner.side, name));
                    found.push((side, name));
                }
            });
        }
        Ok(found)
    }

    /// The lock file of some packages of the project.
    fn lock(
        &self,
        roots: &[&'s str],
        artifacts: &BTreeMap<String, Artifact>,
        notes: &mut Vec<Diagnostic>,
    ) -> PluginResult<String> {
        let reached = self.reached(roots)?;
        let mut depends: BTreeMap<&str, Entry<'_>> = BTreeMap::new();
        let mut vendored: Vec<&Package<'_>> = Vec::new();
        let mut depexts = BTreeSet::new();
        let mut elsewhere = Vec::new();
        // The workspace comes first.
        for &(side, name) in &reached {
            let (package, version) = match side {
                Side::Host => (self.host.get(name), self.host_view.get(name)),
                Side::Main | Side::Source => {
                    (self.workspace.packages.get(name), self.workspace.chosen.get(name))
                }
            };
            if let Some(package) = package {
                for needs in package.read(package.file.depexts())? {
                    let mut names: Vec<String> =
                        needs.names.iter().map(|name| quoted(name)).collect();
                    names.sort_unstable();
                    let filter = Some(needs.filter).filter(|it| *it != Filter::Bool(true));
                    depexts.insert((names, filter.map(|filter| filter.to_string())));
                }
            }
            if roots.contains(&name) {
                continue;
            }
            let Some(version) = version.map(|version| version.version.as_str()) else { continue };
            let place = (side == Side::Main).then(|| self.places.get(name)).flatten();
            let is_vendored = place == Some(&Place::Vendored);
            if is_vendored {
                vendored.extend(package);
            }
            match depends.get(name) {
                None => {
                    depends.insert(name, Entry { version, vendored: is_vendored });
                }
                Some(known) if known.version != version => {
                    elsewhere.push(format!("{name} {version}"));
                }
                Some(_) => {}
            }
        }
        if !elsewhere.is_empty() {
            let message = format!(
                "for {}, the host has other versions than the workspace, and they are left out, as the lock file has one version of each name: {}",
                roots.join(", "),
                elsewhere.join(", ")
            );
            notes.push(note(message));
        }
        self.tell_of_what_is_left_out(&vendored, notes)?;
        let mut pins = BTreeMap::new();
        let mut dirs: BTreeMap<String, String> = BTreeMap::new();
        for Folder { name, packages } in folders(vendored.into_iter())? {
            let Some(first) = packages.first() else { continue };
            let (url, hashes) = self.source(first, artifacts)?;
            let hashes = lines(hashes.iter().map(|hash| format!("\n      {}", quoted(hash))));
            let hashes = match hashes.as_str() {
                "" => String::new(),
                hashes => format!("\n    [{hashes}\n    ]"),
            };
            let dir = format!("  [\n    {}\n    {}{hashes}\n  ]\n", quoted(&url), quoted(&name));
            dirs.entry(url.clone()).or_insert(dir);
            for package in packages {
                let Owner { name, version, .. } = package.owner;
                let pinned = quoted(&format!("{name}.{version}"));
                pins.insert(name, format!("  [\n    {pinned}\n    {}\n  ]\n", quoted(&url)));
            }
        }
        let depends = depends.iter().map(|(name, Entry { version, vendored })| {
            let mark = if *vendored { " & ?vendor" } else { "" };
            format!("  {} {{= {}{mark}}}\n", quoted(name), quoted(version))
        });

        let mut text = String::from(
            "opam-version: \"2.0\"\nsynopsis: \"opam-monorepo generated lockfile\"\nmaintainer: \"opam-monorepo\"\n",
        );
        let mut field = |name: &str, entries: String| {
            if !entries.is_empty() {
                // Writing to a string cannot fail.
                let _ = write!(text, "{name}: [\n{entries}]\n");
            }
        };
        field("depends", lines(depends));
        let depexts = depexts.into_iter().map(|(names, filter)| {
            let filter = filter.map_or(String::new(), |filter| format!(" {{{filter}}}"));
            format!("  [{}]{filter}\n", names.join(" "))
        });
        field("depexts", lines(depexts));
        field("pin-depends", lines(pins.into_values()));
        let settings = self.settings(roots)?;
        let words = |words: &mut dyn Iterator<Item = &String>| {
            lines(words.map(|word| format!("  {}\n", quoted(word))))
        };
        field("x-opam-monorepo-cli-args", words(&mut self.arguments().iter()));
        field("x-opam-monorepo-duniverse-dirs", lines(dirs.into_values()));
        let variables = settings.variables.iter();
        let variables = variables.map(|(n, v)| format!("  [{} {}]\n", quoted(n), quoted(v)));
        field("x-opam-monorepo-global-opam-vars", lines(variables));
        let provided = self.session.monorepo.as_ref().map(|monorepo| &monorepo.provided);
        field("x-opam-monorepo-opam-provided", words(&mut provided.into_iter().flatten()));
        field("x-opam-monorepo-opam-repositories", words(&mut settings.written.iter()));
        let roots: Vec<String> = roots.iter().map(|root| (*root).to_owned()).collect();
        field("x-opam-monorepo-root-packages", words(&mut roots.iter()));
        let _ = writeln!(text, "x-opam-monorepo-version: {}", quoted(VERSION));
        Ok(text)
    }

    /// Where the source of a package is, and its checksums.
    fn source(
        &self,
        package: &Package<'_>,
        artifacts: &BTreeMap<String, Artifact>,
    ) -> PluginResult<(String, Vec<String>)> {
        let url = package.read(package.file.url())?;
        match artifacts.get(&package.key()) {
            Some(Artifact::Git { url, commit, .. }) => {
                let scheme = if url.starts_with("git://") { "" } else { "git+" };
                Ok((format!("{scheme}{url}#{commit}"), Vec::new()))
            }
            Some(Artifact::Fetch { urls, hashes, .. }) => {
                let place = urls.first().cloned().unwrap_or_default();
                let own = url.filter(|url| *url.src == *place && !url.checksums.is_empty());
                let hashes = match own {
                    Some(url) => url.checksums.iter().map(ToString::to_string).collect(),
                    None => hashes.iter().filter_map(|hash| checksum(hash)).collect(),
                };
                Ok((place, hashes))
            }
            _ => {
                let pin = self.session.locals.iter().flat_map(Local::pins);
                let mut pin = pin.filter(|pin| *pin.name == *package.owner.name);
                if let Some(pin) = pin.next().filter(|pin| pin.url.contains("://")) {
                    return Ok((pin.url.to_string(), Vec::new()));
                }
                let Owner { name, version, .. } = package.owner;
                let what = format!("{name} {version}: its source has no address of its own");
                Err(refuse(what)
                    .at(package.at("url"))
                    .help("opam-monorepo fetches archives and Git repositories; give it one")
                    .into())
            }
        }
    }

    /// What is done to the sources of vendored packages that opam-monorepo does not do.
    fn tell_of_what_is_left_out(
        &self,
        vendored: &[&Package<'_>],
        notes: &mut Vec<Diagnostic>,
    ) -> PluginResult<()> {
        let environment = &self.session.environment;
        let applies = |filter: Option<&Filter>| {
            filter.is_none_or(|filter| filter.eval(&|it| environment.global(it), false))
        };
        for package in vendored {
            let patches = package.read(package.file.patches())?;
            let mut left_out: Vec<String> = patches
                .iter()
                .filter(|patch| applies(patch.filter.as_ref()))
                .map(|patch| format!("the patch {}", patch.value))
                .collect();
            let extra = package.read(package.file.extra_sources())?;
            left_out.extend(extra.iter().map(|extra| format!("the file {}", extra.name)));
            if !left_out.is_empty() {
                let Owner { name, version, .. } = package.owner;
                let what = format!(
                    "{name} {version}: opam-monorepo does not bring {}",
                    left_out.join(", ")
                );
                notes.push(note(what).at(package.at("patches")));
            }
        }
        Ok(())
    }

    /// What the opam files of some packages say of their monorepo.
    fn settings(&self, roots: &[&str]) -> PluginResult<Settings> {
        let mut settings = Settings::default();
        for package in roots.iter().filter_map(|root| self.workspace.packages.get(root)) {
            settings.add(&package.file, &package.place.file())?;
        }
        Ok(settings)
    }

    /// The arguments with which opam-monorepo would read the project as it was read.
    fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        let Some(monorepo) = &self.session.monorepo else { return arguments };
        if !monorepo.tests {
            arguments.push("--build-only".into());
        }
        if monorepo.cross_compile {
            arguments.push("--require-cross-compile".into());
        }
        if let Some(version) = &monorepo.ocaml {
            arguments.extend(["--ocaml-version".into(), version.clone()]);
        }
        arguments
    }
}

fn note(message: String) -> Diagnostic {
    Diagnostic { severity: Severity::Note, ..Diagnostic::warning("opam::export", message) }
}

/// A string of an opam file.
fn quoted(text: &str) -> String {
    Filter::String(text.into()).to_string()
}

/// Text of several lines.
fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().concat()
}

/// A hash in SRI form as opam writes it.
fn checksum(sri: &str) -> Option<String> {
    let (kind, digits) = sri.split_once('-')?;
    let kinds = [ChecksumKind::Md5, ChecksumKind::Sha256, ChecksumKind::Sha512];
    let kind = kinds.into_iter().find(|known| known.name() == kind)?;
    let mut text = format!("{}=", kind.name());
    for byte in BASE64.decode(digits).ok()? {
        let _ = write!(text, "{byte:02x}");
    }
    Some(text)
}

/// Where the lock file of some packages lies: beside the opam file of the only one, or at the top by the
/// name of the project (`Project.lockfile` of `lib/project.ml`).
fn path(session: &OpamSession, roots: &[&str], name: &str) -> PluginResult<String> {
    let local = |root: &str| session.locals.iter().find(|local| local.name == root);
    if let [root] = roots
        && let Some(local) = local(root)
    {
        let stem = local.path.strip_suffix(".locked").unwrap_or(&local.path);
        let folder = stem.rsplit_once('/').map_or("", |(folder, _)| folder);
        let separator = if folder.is_empty() { "" } else { "/" };
        return Ok(format!("{folder}{separator}{root}{SUFFIX}"));
    }
    let tree = roots.iter().find_map(|root| local(root)).map(|local| local.tree);
    let mut project = None;
    if let Some(tree) = tree {
        let request = ReadRequest { tree, paths: vec!["dune-project".into()] };
        if let Some(FileContent::Found(bytes)) = session.host.read(&request)?.files.pop() {
            project = project_name(&String::from_utf8_lossy(&bytes.0));
        }
    }
    Ok(format!("{}{SUFFIX}", project.as_deref().unwrap_or(name)))
}

/// The name that a `dune-project` gives its project, if it can be part of a file's name.
fn project_name(text: &str) -> Option<String> {
    let lines = text.lines().map(|line| line.split(';').next().unwrap_or_default());
    let text: String = lines.flat_map(|line| [line, " "]).collect();
    let mut depth = 0_usize;
    for (at, character) in text.char_indices() {
        match character {
            '(' if depth == 0 => {
                if let Some(rest) = text[at + 1..].trim_start().strip_prefix("name")
                    && rest.starts_with(char::is_whitespace)
                {
                    let name = rest.split(')').next().unwrap_or_default().trim();
                    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
                    return Some(name.to_owned())
                        .filter(|it| !it.is_empty() && it.chars().all(plain));
                }
                depth += 1;
            }
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_written_as_opam_does() {
        assert_eq!(
            checksum("sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=").as_deref(),
            Some("sha256=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        );
        assert_eq!(checksum("sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk="), None);
    }

    #[test]
    fn a_project_says_its_name() {
        let name = |text| project_name(text);
        assert_eq!(name("(lang dune 3.0)\n(name hello)\n").as_deref(), Some("hello"));
        assert_eq!(name("(lang dune 3.0); (name no)\n(package (name inner))"), None);
        assert_eq!(name("( name\n  a-b )").as_deref(), Some("a-b"));
        assert_eq!(name("(name ../a)"), None);
    }
}
