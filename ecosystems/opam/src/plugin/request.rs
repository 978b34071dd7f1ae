//! The user's words: `--root` arguments, and the opam files of a project.

use crate::{
    filter::Bound,
    formula::Formula,
    mirage::Configured,
    package::{
        OpamFile, PinDepend,
        name::{check_name, check_version, split_package},
    },
    syntax::{self, RelOp},
};
use std::collections::BTreeMap;
use x2nix_protocol::{
    Blob, Diagnostic, FileContent, Host, Input, InputKind, ListRequest, OpenTreeRequest,
    OpenedTree, Origin, PluginResult, ReadRequest, Selection, TreeId,
};

/// A package asked for by name.
pub(super) struct Root {
    pub(super) name: String,
    pub(super) constraint: Formula<Bound>,
    pub(super) origin: Origin,
}

/// A package of the project itself, or one that it takes from elsewhere (`pin-depends`).
pub(super) struct Local {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) tree: TreeId,
    /// The path of its opam file.
    pub(super) path: String,
    /// What to put before the path in messages.
    pub(super) prefix: String,
    /// What it pins.
    pins: Vec<(PinDepend, Origin)>,
}

impl Local {
    /// What it pins.
    pub(super) fn pins(&self) -> impl Iterator<Item = &PinDepend> {
        self.pins.iter().map(|(pin, _)| pin)
    }
}

/// What the packages of a project are taken from elsewhere: the packages, and the trees that they
/// are in, in the order in which they were opened.
#[derive(Default)]
pub(super) struct Pinned {
    pub(super) packages: Vec<Local>,
    pub(super) opened: Vec<OpenedTree>,
}

/// The version of a package of a project whose opam file states none (opam's word for a pin of
/// something that no repository knows).
const LOCAL_VERSION: &str = "dev";

/// What `opam lock` and opam-monorepo append to the name of an opam file.
const LOCKED: &str = ".locked";

/// Reads the value of a `--root` argument.
pub(super) fn parse_root(text: &str) -> PluginResult<Root> {
    let refuse = |what: String| {
        Box::new(Diagnostic::error("opam::root", format!("`--root {text}`: {what}")).help(BOUNDED))
    };
    let (name, constraint) = parse_bounded(text).map_err(refuse)?;
    Ok(Root { name, constraint, origin: Origin::new(format!("--root {text}"), None) })
}

/// Reads what an edge from or to another ecosystem says of a package.
pub(super) fn mention(said: &Selection) -> PluginResult<Root> {
    let origin = said.origin.clone().unwrap_or_else(|| Origin::new(said.text.clone(), None));
    let (name, constraint) = parse_bounded(&said.text).map_err(|what| {
        let message = format!("{:?} does not name a package: {what}", said.text);
        Box::new(Diagnostic::error("opam::mention", message).at(origin.clone()).help(BOUNDED))
    })?;
    Ok(Root { name, constraint, origin })
}

/// What a package with a bound looks like.
pub(super) const BOUNDED: &str =
    "write a package name, or one with a bound: lwt, 'lwt>=5.6', lwt=5.9.1, lwt.5.9.1";

/// Reads `NAME`, `NAME=VERSION`, `NAME.VERSION` or `NAME` with another relational operator.
pub(super) fn parse_bounded(text: &str) -> Result<(String, Formula<Bound>), String> {
    const OPERATORS: [(&str, RelOp); 7] = [
        (">=", RelOp::Geq),
        ("<=", RelOp::Leq),
        ("!=", RelOp::Neq),
        ("=", RelOp::Eq),
        (">", RelOp::Gt),
        ("<", RelOp::Lt),
        (".", RelOp::Eq),
    ];
    let end = text.find(['<', '>', '=', '!', '.']).unwrap_or(text.len());
    let (name, bound) = (text[..end].trim(), &text[end..]);
    check_name(name).map_err(|error| error.to_string())?;
    let constraint = if bound.is_empty() {
        Formula::Empty
    } else {
        let operator =
            OPERATORS.iter().find_map(|&(sign, op)| Some((op, bound.strip_prefix(sign)?)));
        let (op, version) = operator.ok_or_else(|| format!("{bound:?} is no bound"))?;
        let version = version.trim();
        check_version(version).map_err(|error| error.to_string())?;
        Formula::Atom(Bound { op, version: version.into() })
    };
    Ok((name.into(), constraint))
}

/// The packages of all projects among the inputs: `*.opam`, `opam`, `opam/*.opam` and `opam/opam`
/// (the places of `OpamPinned.files_in_source`). Where `locked` is set, `NAME.opam.locked` stands in
/// for `NAME.opam`.
pub(super) fn locals(host: &dyn Host, inputs: &[Input], locked: bool) -> PluginResult<Vec<Local>> {
    let mut found: Vec<Local> = Vec::new();
    for input in inputs.iter().filter(|input| input.kind == InputKind::Project) {
        for local in in_tree(host, input.tree, &input.label, "", locked)? {
            if let Some(other) = found.iter().find(|other| other.name == local.name) {
                let message = format!(
                    "package {} is described twice: here and in {}",
                    local.name, other.path
                );
                return Err(Box::new(
                    Diagnostic::error("opam::duplicate", message)
                        .at(Origin::new(local.path, None))
                        .help("remove one of the two files, or give one another name"),
                ));
            }
            found.push(local);
        }
    }
    Ok(found)
}

/// The packages that unikernels of a project are. Its other opam files, if there are any, are of
/// libraries that dune compiles with them.
pub(super) fn configured(host: &dyn Host, unikernels: &[Configured]) -> PluginResult<Vec<Local>> {
    let each = unikernels.iter().map(|it| {
        let paths = vec![it.path.clone()];
        let content = host.read(&ReadRequest { tree: it.tree, paths })?.files.pop();
        let content = content.unwrap_or(FileContent::Missing);
        local(it.tree, &it.label, "", it.path.clone(), content)
    });
    each.collect()
}

/// The packages whose opam files lie in a source.
fn in_tree(
    host: &dyn Host,
    tree: TreeId,
    label: &str,
    prefix: &str,
    locked: bool,
) -> PluginResult<Vec<Local>> {
    let folders = vec![String::new(), "opam".into()];
    let listings = host.list(&ListRequest::new(tree, folders))?.listings;
    let mut paths = Vec::new();
    for (folder, listing) in ["", "opam/"].into_iter().zip(listings) {
        let entries = listing.unwrap_or_default();
        for entry in &entries {
            if !entry.folder && (entry.name == "opam" || entry.name.ends_with(".opam")) {
                let twin = format!("{}{LOCKED}", entry.name);
                let stands_in = locked && entries.iter().any(|entry| entry.name == twin);
                let name = if stands_in { &twin } else { &entry.name };
                paths.push(format!("{folder}{name}"));
            }
        }
    }
    let files = host.read(&ReadRequest { tree, paths: paths.clone() })?.files;
    let each = paths.into_iter().zip(files);
    each.map(|(path, content)| local(tree, label, prefix, path, content)).collect()
}

/// The packages that those of a project pin. What a pinned package pins itself does not count
/// (`handle_pin_depends` of `opamPinCommand.ml`); nor does a pin of a package of the project.
pub(super) fn pinned(host: &dyn Host, locals: &[Local]) -> PluginResult<Pinned> {
    let mut pinned = Pinned::default();
    let mut places: BTreeMap<String, (String, Origin)> = BTreeMap::new();
    for (pin, origin) in locals.iter().flat_map(|local| &local.pins) {
        let (name, url) = (pin.name.to_string(), pin.url.to_string());
        if locals.iter().any(|local| local.name == name) {
            continue;
        }
        if let Some((known, at)) = places.get(&name) {
            if *known == url {
                continue;
            }
            let message = format!("{name} is pinned twice: to {url} here, to {known} at {at}");
            return Err(Box::new(
                Diagnostic::error("opam::pin-depends", message)
                    .at(origin.clone())
                    .help("let all packages of the project pin it to the same address"),
            ));
        }
        places.insert(name.clone(), (url.clone(), origin.clone()));
        // opam writes `https://…` for archives, and for repositories that end in `.git`.
        let is_repository = url.starts_with("http")
            && url.split('#').next().is_some_and(|url| url.ends_with(".git"));
        let place = match url.strip_prefix("file://") {
            Some(path) => path.to_owned(),
            None if is_repository => format!("git+{url}"),
            None => url,
        };
        let opened = host
            .open(&OpenTreeRequest { place: place.clone() })
            .map_err(|error| Box::new(Diagnostic { origin: Some(origin.clone()), ..*error }))?;
        let prefix = format!("{place}:");
        let found = in_tree(host, opened.tree, &place, &prefix, false)?;
        let only = found.len() == 1;
        let package = found.into_iter().find(|local| {
            local.name == name || (only && local.path.rsplit('/').next() == Some("opam"))
        });
        let Some(package) = package else {
            let message = format!("{place} has no opam file for {name}");
            return Err(Box::new(
                Diagnostic::error("opam::pin-depends", message).at(origin.clone()).help(format!(
                    "it is looked for as {name}.opam and opam, at the top and in a folder `opam`"
                )),
            ));
        };
        pinned.packages.push(Local { name, version: pin.version.to_string(), ..package });
        pinned.open(opened);
    }
    Ok(pinned)
}

impl Pinned {
    /// Notes that a tree was opened.
    pub(super) fn open(&mut self, opened: OpenedTree) {
        if !self.opened.iter().any(|known| known.tree == opened.tree) {
            self.opened.push(opened);
        }
    }
}

/// A repository that the project's own files name.
pub(super) fn repository(
    host: &dyn Host,
    place: String,
    origin: Origin,
) -> PluginResult<(OpenedTree, Input)> {
    let opened = host
        .open(&OpenTreeRequest { place: place.clone() })
        .map_err(|error| Box::new(Diagnostic { origin: Some(origin), ..*error }))?;
    let input = Input { tree: opened.tree, kind: InputKind::Repository, label: place };
    Ok((opened, input))
}

/// The packages of a switch that `opam switch export` wrote to a file of a project: each installed
/// package at its version.
pub(super) fn exported(host: &dyn Host, inputs: &[Input], path: &str) -> PluginResult<Vec<Root>> {
    let refuse = |message: String, line| {
        Box::new(
            Diagnostic::error("opam::switch-export", message)
                .at(Origin::new(path, line))
                .help("name a file of the project that `opam switch export FILE` wrote"),
        )
    };
    let project = inputs.iter().find(|input| input.kind == InputKind::Project);
    let tree = project
        .ok_or_else(|| refuse("there is no project folder to read it from".into(), None))?
        .tree;
    let content = host.read(&ReadRequest { tree, paths: vec![path.into()] })?.files.pop();
    let bytes = readable(path, content.unwrap_or(FileContent::Missing))?;
    let items = syntax::parse(&bytes.0).map_err(|error| syntax_error(&error, path))?;
    let field = items.iter().find_map(|item| match &item.body {
        syntax::Body::Field(value) if item.name == "installed" => Some(value),
        _ => None,
    });
    let Some(syntax::ValueKind::List(entries)) = field.map(|value| &value.kind) else {
        return Err(refuse("it has no list `installed`".into(), None));
    };
    let root = |entry: &syntax::Value<'_>| {
        let line = Some(entry.position.line);
        let syntax::ValueKind::String(text) = &entry.kind else {
            return Err(refuse("an entry of `installed` is no string".into(), line));
        };
        let (name, version) = split_package(text)
            .ok_or_else(|| refuse(format!("{text:?} is not of the form NAME.VERSION"), line))?;
        let constraint = Formula::Atom(Bound { op: RelOp::Eq, version: version.into() });
        Ok(Root { name: name.into(), constraint, origin: Origin::new(path, line) })
    };
    entries.iter().map(root).collect()
}

fn local(
    tree: TreeId,
    label: &str,
    prefix: &str,
    path: String,
    content: FileContent,
) -> PluginResult<Local> {
    let shown = format!("{prefix}{path}");
    let bytes = readable(&shown, content)?;
    let file = OpamFile::parse(&bytes.0).map_err(|error| syntax_error(&error, &shown))?;
    let field = |value: Result<Option<Box<str>>, syntax::Error>| {
        value.map_err(|error| syntax_error(&error, &shown)).map(|text| text.map(String::from))
    };
    let line = file.position("pin-depends").map(|position| position.line);
    let pins = file.pin_depends().map_err(|error| syntax_error(&error, &shown))?;
    let pins = pins.into_iter().map(|pin| (pin, Origin::new(shown.clone(), line))).collect();
    let stem = path
        .rsplit('/')
        .next()
        .map(|file| file.strip_suffix(LOCKED).unwrap_or(file))
        .and_then(|file| file.strip_suffix(".opam"))
        .filter(|stem| !stem.is_empty());
    let folder = label.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let name = match stem {
        Some(stem) => stem.to_owned(),
        None => field(file.name())?.unwrap_or_else(|| folder.to_owned()),
    };
    check_name(&name).map_err(|error| {
        Box::new(
            Diagnostic::error("opam::name", error.to_string())
                .at(Origin::new(shown.clone(), None))
                .help("name the file NAME.opam, or give it a field `name`"),
        )
    })?;
    let version = field(file.version())?.unwrap_or_else(|| LOCAL_VERSION.into());
    Ok(Local { name, version, tree, path, prefix: prefix.to_owned(), pins })
}

/// The bytes of a file that must be there.
pub(super) fn readable(path: &str, content: FileContent) -> PluginResult<Blob> {
    let message = match content {
        FileContent::Found(bytes) => return Ok(bytes),
        FileContent::Missing => "the file is gone".to_owned(),
        FileContent::Unreadable(reason) => reason,
    };
    Err(Box::new(
        Diagnostic::error("opam::unreadable", message).at(Origin::new(path, None)).access(),
    ))
}

/// A mistake in a file that must be right.
pub(super) fn syntax_error(error: &syntax::Error, path: &str) -> Box<Diagnostic> {
    let origin = Origin::new(path, Some(error.position.line));
    let help = match error.expected {
        Some(expected) if !error.message.contains(expected) => format!("expected {expected}"),
        _ => "mend the file; `opam lint` shows more".into(),
    };
    Box::new(Diagnostic::error(error.code(), error.message.to_string()).at(origin).help(help))
}
