//! What crates need from the package set of Nix: tools that their build scripts run, and libraries.

use crate::chosen::Chosen;
use serde::Deserialize;
use std::{collections::BTreeMap, sync::LazyLock};
use x2nix_protocol::{Role, SystemNeed};

/// What the user says that system packages are.
pub(super) type Said = BTreeMap<String, Vec<SystemNeed>>;

/// The table of what is known; see the file.
#[derive(Debug, Deserialize)]
struct Table {
    links: BTreeMap<String, Entry>,
    uses: BTreeMap<String, Entry>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(default)]
    host: Vec<String>,
    #[serde(default)]
    build: Vec<String>,
    /// A feature with which nothing of the system is needed.
    #[serde(default)]
    unless: Vec<String>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    toml::from_str(include_str!("../../data/system-packages.toml")).expect("a test reads the table")
});

impl Entry {
    fn needs(&self) -> impl Iterator<Item = SystemNeed> + '_ {
        let need = |role: Role| {
            move |attribute: &String| SystemNeed { attribute: attribute.clone(), role }
        };
        self.host.iter().map(need(Role::Host)).chain(self.build.iter().map(need(Role::Build)))
    }
}

/// What the user says that a tool is, or the attribute of its own name.
pub(super) fn tool(said: &Said, name: &str) -> Vec<SystemNeed> {
    let own = || vec![SystemNeed { attribute: name.to_owned(), role: Role::Build }];
    said.get(name).cloned().unwrap_or_else(own)
}

/// What a crate with a build script needs: by the library that it links or its own name, and by the
/// crates that its build script uses.
pub(super) fn needs<'a>(
    package: &Chosen<'_>,
    features: impl Fn(&str) -> bool,
    used: impl Iterator<Item = &'a str>,
    said: &Said,
) -> Vec<SystemNeed> {
    let mut needs = Vec::new();
    let links = package.summary.links.as_deref();
    let names = links.into_iter().chain([package.name.as_str()]);
    let mut names = names.filter_map(|name| said.get(name));
    if let Some(said) = names.next() {
        needs.extend(said.iter().cloned());
    } else if let Some(entry) = links.and_then(|links| TABLE.links.get(links))
        && !entry.unless.iter().any(|feature| features(feature))
    {
        needs.extend(entry.needs());
    }
    for name in used {
        match said.get(name) {
            Some(said) => needs.extend(said.iter().cloned()),
            None => needs.extend(TABLE.uses.get(name).into_iter().flat_map(Entry::needs)),
        }
    }
    needs.sort_unstable();
    needs.dedup();
    needs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_and_its_entries_say_something() {
        for entry in TABLE.links.values().chain(TABLE.uses.values()) {
            assert!(entry.needs().next().is_some());
        }
    }
}
