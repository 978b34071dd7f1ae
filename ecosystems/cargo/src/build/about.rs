//! What a package says of itself to its code (`CARGO_PKG_…`) and to people, with what it inherits.

use crate::manifest::{Inheritance, Manifest};
use cargo_util_schemas::manifest::{InheritableField, InheritablePackage, StringOrBool};
use std::collections::BTreeSet;
use x2nix_protocol::Meta;

/// What a package says of itself; empty where it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct About {
    pub(super) authors: String,
    pub(super) description: String,
    pub(super) homepage: String,
    pub(super) repository: String,
    pub(super) license: String,
    pub(super) license_file: String,
    pub(super) readme: String,
    pub(super) rust_version: String,
    /// The program that `cargo run` runs.
    pub(super) default_run: Option<String>,
}

impl About {
    /// Reads a manifest, given the files of the package.
    pub(super) fn read(
        manifest: &Manifest,
        inherited: Option<Inheritance<'_>>,
        files: &BTreeSet<String>,
    ) -> Self {
        let Some(package) = manifest.toml.package() else { return Self::default() };
        let shared = inherited.and_then(|it| it.workspace.package.as_ref());
        let text = |own: &Option<InheritableField<String>>,
                    of: fn(&InheritablePackage) -> Option<&String>| {
            value(own.as_ref(), || shared.and_then(of)).cloned().unwrap_or_default()
        };
        let authors = value(package.authors.as_ref(), || shared.and_then(|it| it.authors.as_ref()));
        let readme = value(package.readme.as_ref(), || shared.and_then(|it| it.readme.as_ref()));
        let usual = ["README.md", "README.txt", "README"];
        let readme = match readme {
            Some(StringOrBool::String(path)) => path.clone(),
            Some(StringOrBool::Bool(true)) => usual[0].to_owned(),
            Some(StringOrBool::Bool(false)) => String::new(),
            None => {
                usual.into_iter().find(|path| files.contains(*path)).unwrap_or_default().to_owned()
            }
        };
        let rust_version =
            value(package.rust_version.as_ref(), || shared.and_then(|it| it.rust_version.as_ref()));
        Self {
            authors: authors.map(|authors| authors.join(":")).unwrap_or_default(),
            description: text(&package.description, |it| it.description.as_ref()),
            homepage: text(&package.homepage, |it| it.homepage.as_ref()),
            repository: text(&package.repository, |it| it.repository.as_ref()),
            license: text(&package.license, |it| it.license.as_ref()),
            license_file: text(&package.license_file, |it| it.license_file.as_ref()),
            readme,
            rust_version: rust_version.map(ToString::to_string).unwrap_or_default(),
            default_run: package.default_run.clone(),
        }
    }

    /// The variables `CARGO_PKG_…` that have a value, by the end of their names.
    pub(super) fn facts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("authors", &self.authors),
            ("description", &self.description),
            ("homepage", &self.homepage),
            ("repository", &self.repository),
            ("license", &self.license),
            ("license-file", &self.license_file),
            ("readme", &self.readme),
            ("rust-version", &self.rust_version),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| (key, value.as_str()))
    }

    /// The same for people.
    pub(super) fn meta(&self, purl: Option<String>) -> Meta {
        let page = if self.homepage.is_empty() { &self.repository } else { &self.homepage };
        let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let line = self.description.split_whitespace().collect::<Vec<_>>().join(" ");
        Meta {
            description: some(&line),
            homepage: some(page),
            // Before it was SPDX, a slash stood for `OR`.
            licenses: some(&self.license.replace('/', " OR ")).into_iter().collect(),
            purl,
            ..Meta::default()
        }
    }
}

fn value<'a, T>(
    own: Option<&'a InheritableField<T>>,
    inherited: impl FnOnce() -> Option<&'a T>,
) -> Option<&'a T> {
    match own? {
        InheritableField::Value(value) => Some(value),
        InheritableField::Inherit(_) => inherited(),
    }
}
