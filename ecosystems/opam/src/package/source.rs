//! Where the sources of a package are.
//!
//! Reference: modules `URL` and `OPAMSyntax` of `src/format/opamFile.ml`.

use std::collections::BTreeSet;

use crate::syntax::{Body, Error, ErrorKind, Item, Position};

use super::OpamFile;
use super::checksum::Checksum;
use super::read::{self, Nested, Result, error};

/// Sources: one archive or one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where they are, as opam writes it: `https://…`, `git+https://…#branch`.
    pub src: Box<str>,
    /// Where else they are; a `swhid:` address may be among these.
    pub mirrors: Vec<Box<str>>,
    /// Their checksums.
    pub checksums: Vec<Checksum>,
    /// Where the section begins.
    pub position: Position,
}

/// A file to put among the sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraSource {
    /// What it is called there.
    pub name: Box<str>,
    /// Where it is from.
    pub source: Source,
}

/// The fields that have the address, and the version control system that they are about.
const ADDRESSES: [(&str, &str); 7] = [
    ("src", ""),
    ("archive", ""),
    ("http", ""),
    ("local", ""),
    ("git", "git+"),
    ("hg", "hg+"),
    ("darcs", "darcs+"),
];

impl<'a> OpamFile<'a> {
    fn sections(&self, kind: &str) -> impl Iterator<Item = (&Item<'a>, Option<&str>, &[Item<'a>])> {
        self.items.iter().filter(move |item| item.name == kind).filter_map(|item| {
            match &item.body {
                Body::Section { title, items } => Some((item, title.as_deref(), items.as_slice())),
                Body::Field(_) => None,
            }
        })
    }

    /// The sources of the package, if it has any.
    pub fn url(&self) -> Result<Option<Source>> {
        match self.sections("url").next() {
            None => Ok(None),
            Some((section, None, items)) => source(section.position, items).map(Some),
            Some((section, Some(_), _)) => {
                let message = "the section `url` has no title";
                Err(Error::new(ErrorKind::Field, section.position, message))
            }
        }
    }

    /// In which directory of its sources the package is. Before format 2.1, which no package file
    /// may have, that is the field `x-subpath` (`handle_subpath_2_0`).
    pub fn subpath(&self) -> Result<Option<Box<str>>> {
        let mut inside = self.sections("url").flat_map(|(_, _, items)| items);
        if let Some(item) = inside.find(|item| item.name == "subpath") {
            let message = "`subpath` is `x-subpath`, outside of `url`, in this format";
            return Err(Error::new(ErrorKind::Field, item.position, message));
        }
        let subpath = self.extension("x-subpath").map(read::string).transpose()?;
        Ok(subpath.map(|path| path.strip_prefix("./").unwrap_or(path).into()))
    }

    /// The files to put among the sources: those of the sections, or else those of the deprecated
    /// field `extra-sources`.
    pub fn extra_sources(&self) -> Result<Vec<ExtraSource>> {
        let mut sources = Vec::new();
        let mut names = BTreeSet::new();
        for (section, title, items) in self.sections("extra-source") {
            let Some(name) = title else {
                let message = "the section `extra-source` has a title, the name of the file";
                return Err(Error::new(ErrorKind::Field, section.position, message));
            };
            if names.insert(name) {
                let source = source(section.position, items)?;
                sources.push(ExtraSource { name: name.into(), source });
            }
        }
        if !sources.is_empty() {
            return Ok(sources);
        }
        self.list("extra-sources", 2, extra_source)
    }
}

/// An element of the deprecated field: `["url" {"name"} "checksum"]`.
fn extra_source(part: Nested<'_, '_>) -> Result<ExtraSource> {
    let (url, checksum) = part.pair()?;
    let (url, options) = url.options();
    let src = read::string(url.value)?;
    let name = match options {
        [] => src.split('#').next().and_then(|path| path.rsplit('/').next()).unwrap_or(src),
        [name] => read::string(name)?,
        _ => return Err(error(url.value, "expected one name for this source, found more")),
    };
    let source = Source {
        src: src.into(),
        mirrors: Vec::new(),
        checksums: vec![read::checksum(checksum.value)?],
        position: url.value.position,
    };
    Ok(ExtraSource { name: name.into(), source })
}

fn source(position: Position, items: &[Item<'_>]) -> Result<Source> {
    let mut src: Option<Box<str>> = None;
    let mut mirrors = None;
    let mut checksums = None;
    for item in items {
        let Body::Field(value) = &item.body else { continue };
        match item.name {
            "mirrors" if mirrors.is_none() => mirrors = Some(read::strings(value)?),
            "checksum" if checksums.is_none() => {
                let list = Nested::new(value, 1).list(|part| read::checksum(part.value))?;
                checksums = Some(list);
            }
            name => {
                let Some((_, system)) = ADDRESSES.iter().find(|(field, _)| *field == name) else {
                    continue;
                };
                if src.is_some() {
                    return Err(error(value, "the sources have two addresses"));
                }
                let address = read::string(value)?;
                let address = address.strip_prefix(system).unwrap_or(address);
                src = Some(format!("{system}{address}").into());
            }
        }
    }
    match src {
        Some(src) => Ok(Source {
            src,
            mirrors: mirrors.unwrap_or_default(),
            checksums: checksums.unwrap_or_default(),
            position,
        }),
        None => Err(Error::new(ErrorKind::Field, position, "the sources have no address")),
    }
}
