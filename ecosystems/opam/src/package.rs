//! What the file of a package says.
//!
//! [`OpamFile::parse`] reads the grammar and checks the format version, nothing more; each field is
//! given its meaning when it is asked for, because the solver asks for a handful of them and the
//! builder for others. A field that is absent has the value that the reference gives it: no
//! dependencies, available everywhere. A field that is *malformed* is an error here, where the
//! reference drops the field with a warning and goes on, for a package without its dependencies is
//! a wrong answer; [`OpamFile::warnings`] has what the reference ignores without harm.
//!
//! Of a field that is given twice the first counts, as in the reference; of extension fields, the
//! last.
//!
//! Reference: module `OPAMSyntax` of `src/format/opamFile.ml`.

pub mod checksum;
mod environment;
pub mod name;
mod read;
mod source;

use std::collections::BTreeSet;

use crate::filter::{Command, Filter, FilteredFormula};
use crate::formula::Formula;
use crate::syntax::{self, Body, Error, ErrorKind, Item, LogOp, Position, Value, ValueKind};
pub use environment::EnvUpdate;
use read::{Nested, Result, error, expected};

pub use source::{ExtraSource, Source};

/// The newest format of package files (not of the grammar) that opam reads.
const FORMAT: (u32, u32) = (2, 0);

const FIELDS: &[&str] = &[
    "opam-version",
    "name",
    "version",
    "synopsis",
    "description",
    "maintainer",
    "authors",
    "author",
    "license",
    "tags",
    "homepage",
    "doc",
    "bug-reports",
    "depends",
    "depopts",
    "conflicts",
    "conflict-class",
    "available",
    "flags",
    "setenv",
    "build",
    "run-test",
    "install",
    "remove",
    "substs",
    "patches",
    "build-env",
    "features",
    "messages",
    "post-messages",
    "depexts",
    "libraries",
    "syntax",
    "dev-repo",
    "pin-depends",
    "extra-files",
    "configure-style",
    "ocaml-version",
    "os",
    "descr",
    "extra-sources",
    "build-test",
    "build-doc",
];

/// A property of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flag {
    /// Removing it does not need its sources.
    LightUninstall,
    /// Its output is shown.
    Verbose,
    /// It is a plugin of opam.
    Plugin,
    /// It is a compiler.
    Compiler,
    /// It only checks for something of the system.
    Conf,
    /// It is to be avoided if there is another way.
    AvoidVersion,
    /// It is no longer maintained.
    Deprecated,
}

impl Flag {
    /// The flag of this name; others are ignored, as the reference does.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "light-uninstall" => Self::LightUninstall,
            "verbose" => Self::Verbose,
            "plugin" => Self::Plugin,
            "compiler" => Self::Compiler,
            "conf" => Self::Conf,
            "avoid-version" => Self::AvoidVersion,
            "deprecated" => Self::Deprecated,
            _ => return None,
        })
    }
}

/// Something that counts if a filter lets it through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filtered<T> {
    /// The thing.
    pub value: T,
    /// When it counts, if not always.
    pub filter: Option<Filter>,
}

/// Packages of the system that a package needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemPackages {
    /// Their names.
    pub names: Vec<Box<str>>,
    /// On which systems.
    pub filter: Filter,
}

/// A package that is to be taken from elsewhere while this one is developed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinDepend {
    /// The package.
    pub name: Box<str>,
    /// Its version.
    pub version: Box<str>,
    /// Where it is.
    pub url: Box<str>,
}

/// A variable that tells whether some packages are installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// The variable.
    pub variable: Box<str>,
    /// The packages.
    pub packages: FilteredFormula,
    /// What it is for.
    pub documentation: Box<str>,
}

/// The file of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpamFile<'a> {
    items: Vec<Item<'a>>,
}

impl<'a> OpamFile<'a> {
    /// Reads a file. Its fields are not looked at, but for `opam-version`: it must be there, once,
    /// and not above 2.0 (`check_opam_version` of `opamFormat.ml`).
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let file = Self { items: syntax::parse(bytes)? };
        file.check_format()?;
        Ok(file)
    }

    fn check_format(&self) -> Result<()> {
        let mut versions = self.fields().filter(|(name, _)| *name == "opam-version");
        let Some((_, value)) = versions.next() else {
            let start = Position { line: 1, column: 1 };
            let message = "the field `opam-version` is missing";
            return Err(Error::new(ErrorKind::FormatVersion, start, message));
        };
        if let Some((_, again)) = versions.next() {
            let message = "`opam-version` is given twice";
            return Err(Error::new(ErrorKind::FormatVersion, again.position, message));
        }
        let version = read::string(value)?;
        if syntax::major_minor(version) > FORMAT {
            return Err(syntax::too_new(value.position, version));
        }
        Ok(())
    }

    /// All items, as they stand in the file.
    pub fn items(&self) -> &[Item<'a>] {
        &self.items
    }

    fn fields(&self) -> impl DoubleEndedIterator<Item = (&'a str, &Value<'a>)> {
        self.items.iter().filter_map(|item| match &item.body {
            Body::Field(value) => Some((item.name, value)),
            Body::Section { .. } => None,
        })
    }

    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&Value<'a>> {
        self.fields().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// Where the value of a field begins.
    pub fn position(&self, name: &str) -> Option<Position> {
        self.field(name).map(|value| value.position)
    }

    /// The value of an extension field (`x-…`).
    pub fn extension(&self, name: &str) -> Option<&Value<'a>> {
        self.extensions().rev().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// The extension fields (`x-…`), as they stand in the file.
    pub fn extensions(&self) -> impl DoubleEndedIterator<Item = (&'a str, &Value<'a>)> {
        self.fields().filter(|(name, _)| name.starts_with("x-"))
    }

    /// What the reference ignores: unknown fields and sections, and those given again.
    pub fn warnings(&self) -> Vec<Error> {
        let mut seen = BTreeSet::new();
        let mut warnings = Vec::new();
        for item in &self.items {
            let (known, title, what) = match &item.body {
                Body::Field(_) if item.name.starts_with("x-") => continue,
                Body::Field(_) => (FIELDS.contains(&item.name), None, "field"),
                Body::Section { title, .. } => {
                    (matches!(item.name, "url" | "extra-source"), title.as_deref(), "section")
                }
            };
            let problem = if !known {
                "unknown"
            } else if !seen.insert((what, item.name, title)) {
                "given again, and ignored"
            } else {
                continue;
            };
            let message = format!("the {what} `{}` is {problem}", item.name);
            warnings.push(Error::new(ErrorKind::Field, item.position, message));
        }
        warnings
    }

    /// What a function makes of a field, or nothing if there is no such field.
    fn read<T>(&self, name: &str, read: impl Fn(&Value<'a>) -> Result<T>) -> Result<Option<T>> {
        self.field(name).map(read).transpose()
    }

    /// What a function makes of each part of a field where lists nest to this depth.
    fn list<T>(
        &self,
        name: &str,
        depth: usize,
        part: impl Fn(Nested<'_, 'a>) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.field(name).map_or(Ok(Vec::new()), |value| Nested::new(value, depth).list(part))
    }

    /// The name, if the file gives it.
    pub fn name(&self) -> Result<Option<Box<str>>> {
        self.read("name", read::package_name)
    }

    /// The version, if the file gives it.
    pub fn version(&self) -> Result<Option<Box<str>>> {
        self.read("version", read::package_version)
    }

    /// What the package is, in a line.
    pub fn synopsis(&self) -> Result<Option<Box<str>>> {
        match self.descr()? {
            Some((first_line, _)) => Ok(Some(first_line)),
            None => self.read("synopsis", |value| read::trimmed(value).map(Into::into)),
        }
    }

    /// What the package is, at length.
    pub fn description(&self) -> Result<Option<Box<str>>> {
        let body = match self.descr()? {
            Some((_, body)) => Some(body),
            None => self.read("description", |value| read::trimmed(value).map(Into::into))?,
        };
        Ok(body.filter(|body| !body.is_empty()))
    }

    /// The deprecated field that has both in one.
    fn descr(&self) -> Result<Option<(Box<str>, Box<str>)>> {
        self.read("descr", |value| {
            let text = read::trimmed(value)?;
            let (synopsis, body) = text.split_once('\n').unwrap_or((text, ""));
            Ok((synopsis.trim().into(), body.trim().into()))
        })
    }

    fn strings(&self, name: &str) -> Result<Vec<Box<str>>> {
        self.field(name).map_or(Ok(Vec::new()), read::strings)
    }

    /// Who looks after the package.
    pub fn maintainer(&self) -> Result<Vec<Box<str>>> {
        self.strings("maintainer")
    }

    /// Who wrote the software.
    pub fn authors(&self) -> Result<Vec<Box<str>>> {
        let authors = self.strings("authors")?;
        if authors.is_empty() { self.strings("author") } else { Ok(authors) }
    }

    /// Its licences, which should be SPDX expressions.
    pub fn license(&self) -> Result<Vec<Box<str>>> {
        self.strings("license")
    }

    /// Its home pages.
    pub fn homepage(&self) -> Result<Vec<Box<str>>> {
        self.strings("homepage")
    }

    /// Its documentation.
    pub fn doc(&self) -> Result<Vec<Box<str>>> {
        self.strings("doc")
    }

    /// Where bugs are reported.
    pub fn bug_reports(&self) -> Result<Vec<Box<str>>> {
        self.strings("bug-reports")
    }

    /// Where it is developed.
    pub fn dev_repo(&self) -> Result<Option<Box<str>>> {
        self.read("dev-repo", |value| read::string(value).map(Into::into))
    }

    /// Its tags.
    pub fn tags(&self) -> Result<Vec<Box<str>>> {
        self.strings("tags")
    }

    /// Its flags, those from tags (`flags:conf`) included (`handle_flags_in_tags`). Unknown ones
    /// are left out.
    pub fn flags(&self) -> Result<Vec<Flag>> {
        let mut flags: Vec<Flag> = Vec::new();
        let named = self.list("flags", 1, |part| read::ident(part.value))?;
        // Tags that are malformed are no reason to do without the flags.
        let tags = self.strings("tags").unwrap_or_default();
        let tagged = tags.iter().filter_map(|tag| tag.strip_prefix("flags:"));
        for flag in named.into_iter().chain(tagged).filter_map(Flag::parse) {
            if !flags.contains(&flag) {
                flags.push(flag);
            }
        }
        Ok(flags)
    }

    /// Whether a solver should rather take another version: `avoid-version` or `deprecated`.
    pub fn avoid(&self) -> Result<bool> {
        let flags = self.flags()?;
        Ok(flags.contains(&Flag::AvoidVersion) || flags.contains(&Flag::Deprecated))
    }

    /// What it depends on.
    pub fn depends(&self) -> Result<FilteredFormula> {
        let depends = self.read("depends", |value| read::package_formula(value, LogOp::And))?;
        Ok(depends.unwrap_or_default())
    }

    /// What it uses if that is there: a disjunction of packages, whatever is written
    /// (`cleanup_depopts`).
    pub fn depopts(&self) -> Result<FilteredFormula> {
        let depopts = self.read("depopts", |value| read::package_formula(value, LogOp::Or))?;
        let depopts = depopts.unwrap_or_default();
        Ok(Formula::any(depopts.atoms().into_iter().cloned().map(Formula::Atom)))
    }

    /// What it cannot be installed with; conjunctions are read as disjunctions
    /// (`cleanup_conflicts`).
    pub fn conflicts(&self) -> Result<FilteredFormula> {
        fn disjunction<A>(formula: Formula<A>) -> Formula<A> {
            match formula {
                Formula::And(parts) if parts.len() == 1 => {
                    Formula::any(parts.into_iter().map(disjunction)).group()
                }
                Formula::And(parts) | Formula::Or(parts) => {
                    Formula::any(parts.into_iter().map(disjunction))
                }
                simple => simple,
            }
        }
        let conflicts = self.read("conflicts", |value| read::package_formula(value, LogOp::Or))?;
        Ok(disjunction(conflicts.unwrap_or_default()))
    }

    /// The classes of which it is: packages of one class exclude one another.
    pub fn conflict_class(&self) -> Result<Vec<Box<str>>> {
        self.list("conflict-class", 1, |part| read::package_name(part.value))
    }

    /// Where it can be installed; the deprecated fields `ocaml-version` and `os` are part of this
    /// (`handle_deprecated_available`).
    pub fn available(&self) -> Result<Filter> {
        let mut available = self.read("available", read::listed_filter)?;
        for older in [self.read("ocaml-version", read::ocaml_version)?, self.read("os", read::os)?]
        {
            available = match (older, available) {
                (Some(filter), None | Some(Filter::Bool(true))) => Some(filter),
                (Some(filter), Some(rest)) => Some(Filter::And(vec![filter, rest])),
                (None, rest) => rest,
            };
        }
        Ok(available.unwrap_or(Filter::Bool(true)))
    }

    fn commands(&self, name: &str) -> Result<Vec<Command>> {
        self.field(name).map_or(Ok(Vec::new()), read::commands)
    }

    /// How it is built.
    pub fn build(&self) -> Result<Vec<Command>> {
        self.commands("build")
    }

    /// How it is installed, besides its `.install` file.
    pub fn install(&self) -> Result<Vec<Command>> {
        self.commands("install")
    }

    /// How it is removed.
    pub fn remove(&self) -> Result<Vec<Command>> {
        self.commands("remove")
    }

    /// How it is tested, the deprecated field `build-test` included.
    pub fn run_test(&self) -> Result<Vec<Command>> {
        let mut commands = self.commands("build-test")?;
        commands.extend(self.commands("run-test")?);
        Ok(commands)
    }

    /// How its documentation was built; the field is deprecated.
    pub fn build_doc(&self) -> Result<Vec<Command>> {
        self.commands("build-doc")
    }

    /// The files that are made from those of the same name and `.in`.
    pub fn substs(&self) -> Result<Vec<Box<str>>> {
        self.strings("substs")
    }

    fn filtered_strings(
        &self,
        field: &str,
        string: for<'v> fn(&'v Value<'_>) -> Result<&'v str>,
    ) -> Result<Vec<Filtered<Box<str>>>> {
        self.list(field, 1, |part| {
            let (value, options) = part.options();
            let filter = read::optional_filter(options)?;
            Ok(Filtered { value: string(value.value)?.into(), filter })
        })
    }

    /// The patches to apply.
    pub fn patches(&self) -> Result<Vec<Filtered<Box<str>>>> {
        self.filtered_strings("patches", read::string)
    }

    /// What is shown before it is installed.
    pub fn messages(&self) -> Result<Vec<Filtered<Box<str>>>> {
        self.filtered_strings("messages", read::trimmed)
    }

    /// What is shown after it was installed, or was not.
    pub fn post_messages(&self) -> Result<Vec<Filtered<Box<str>>>> {
        self.filtered_strings("post-messages", read::trimmed)
    }

    /// The packages of the system that it needs. Before opam 2 the systems stood in a list in
    /// front of the packages; that is still read.
    pub fn depexts(&self) -> Result<Vec<SystemPackages>> {
        let Some(field) = self.field("depexts") else {
            return Ok(Vec::new());
        };
        let names = |part: Nested<'_, '_>| part.list(|it| read::string(it.value).map(Into::into));
        let now = Nested::new(field, 2).list(|part| {
            let (list, options) = part.options();
            Ok(SystemPackages { names: names(list)?, filter: read::filter(options)? })
        });
        now.or_else(|error| {
            let once = Nested::new(field, 3).list(|part| {
                let (tags, list) = part.pair()?;
                let mut tags: Vec<_> = names(tags)?.into_iter().map(Filter::String).collect();
                let filter = match tags.len() {
                    0 => Filter::Bool(true),
                    1 => tags.remove(0),
                    _ => Filter::And(tags),
                };
                Ok(SystemPackages { names: names(list)?, filter })
            });
            once.map_err(|_| error)
        })
    }

    /// Its features.
    pub fn features(&self) -> Result<Vec<Feature>> {
        self.list("features", 1, |part| {
            let wrong = || expected(part.value, "a feature: `name {packages} {\"text\"}`");
            let ValueKind::Option(inner, text) = &part.value.kind else { return Err(wrong()) };
            let ValueKind::Option(variable, packages) = &inner.kind else { return Err(wrong()) };
            let [text] = text.as_slice() else { return Err(wrong()) };
            Ok(Feature {
                variable: read::ident(variable)?.into(),
                packages: read::package_formula_items(packages, LogOp::And)?,
                documentation: read::string(text)?.into(),
            })
        })
    }

    /// The packages that are pinned along with it.
    pub fn pin_depends(&self) -> Result<Vec<PinDepend>> {
        self.list("pin-depends", 2, |part| {
            let (package, url) = part.pair()?;
            let (name, version) = name::split_package(read::string(package.value)?)
                .ok_or_else(|| error(package.value, "this is not a package and a version"))?;
            Ok(PinDepend {
                name: name.into(),
                version: version.into(),
                url: read::string(url.value)?.into(),
            })
        })
    }

    /// The files beside it and their checksums.
    pub fn extra_files(&self) -> Result<Vec<(Box<str>, checksum::Checksum)>> {
        self.list("extra-files", 2, |part| {
            let (file, checksum) = part.pair()?;
            Ok((read::string(file.value)?.into(), read::checksum(checksum.value)?))
        })
    }
}
