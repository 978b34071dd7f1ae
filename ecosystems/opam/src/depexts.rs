//! System packages (`depexts`) as attributes of nixpkgs.
//!
//! An opam file names what it needs of the system once for each distribution, and few files name it
//! for NixOS. So the distributions are asked in turn, those first whose names are best known here,
//! and the names of the first that has any are looked up in its table (`data/system-packages.toml`).
//! Where a file names nothing for any of them, it needs nothing: that is how opam reads it, too.
//!
//! NixOS is asked under the variables of the request. The others are asked as a recent release of
//! theirs on Linux, whatever is built for, because their names only stand for what is needed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;
use x2nix_protocol::{Role, SystemNeed};

use crate::filter::{Env, Scope, Value, Variable};
use crate::package;

/// What a package needs of nixpkgs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SystemPackages {
    /// These attributes, sorted; perhaps none.
    Known(Vec<SystemNeed>),
    /// Something that nixpkgs does not have.
    Missing {
        /// What it is and why it is not there.
        reason: String,
    },
    /// Something that the table does not know.
    Unknown {
        /// The names that are not in the table, of one distribution, in the file's order.
        names: Vec<String>,
    },
}

/// What the user says that names of system packages are.
pub type Said = BTreeMap<String, Vec<SystemNeed>>;

/// What the system packages of a package are in nixpkgs. The environment is that of `available`:
/// the global variables. What the user says of a name goes before the table.
pub fn system_packages(
    package: &str,
    depexts: &[package::SystemPackages],
    env: &Env<'_>,
    said: &Said,
) -> SystemPackages {
    static TABLE: LazyLock<SystemTable> =
        LazyLock::new(|| SystemTable::parse(SystemTable::TEXT).expect("tests read the table"));
    TABLE.system_packages(package, depexts, env, said)
}

/// A distribution whose names are known, and the variables that it is asked under.
struct Distribution {
    name: &'static str,
    family: &'static str,
    version: &'static str,
}

const NIXOS: &str = "nixos";

/// In the order in which they are asked, after NixOS. Those without a table are here so that what
/// is needed only there is told of as unknown, and not taken for nothing.
const DISTRIBUTIONS: [Distribution; 8] = [
    Distribution { name: "debian", family: "debian", version: "13" },
    Distribution { name: "ubuntu", family: "debian", version: "24.04" },
    Distribution { name: "alpine", family: "alpine", version: "3.22" },
    Distribution { name: "fedora", family: "fedora", version: "42" },
    Distribution { name: "arch", family: "arch", version: "" },
    Distribution { name: "opensuse-leap", family: "suse", version: "16.0" },
    Distribution { name: "centos", family: "rhel", version: "10" },
    Distribution { name: "gentoo", family: "gentoo", version: "" },
];

impl Distribution {
    fn variable(&self, variable: &Variable<'_>, env: &Env<'_>) -> Option<Value> {
        let text = match (variable.scope, variable.name) {
            (Scope::Global, "os") => "linux",
            (Scope::Global, "os-distribution") => self.name,
            (Scope::Global, "os-family") => self.family,
            (Scope::Global, "os-version") => self.version,
            _ => return env(variable),
        };
        (!text.is_empty()).then(|| Value::String(text.into()))
    }
}

/// The names of system packages, by distribution, and what they are in nixpkgs.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct SystemTable {
    tables: BTreeMap<String, BTreeMap<String, Entry>>,
}

/// What one name is. A string or a list of strings are libraries.
#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Entry {
    Libraries(Attributes),
    ByRole {
        host: Option<Attributes>,
        build: Attributes,
    },
    Missing {
        missing: String,
    },
    Nothing {
        /// For those who read the table.
        #[serde(rename = "nothing")]
        _why: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Attributes {
    One(String),
    Several(Vec<String>),
}

impl Attributes {
    fn needs(&self, role: Role) -> impl Iterator<Item = SystemNeed> {
        let attributes = match self {
            Self::One(attribute) => std::slice::from_ref(attribute),
            Self::Several(attributes) => attributes,
        };
        attributes.iter().map(move |attribute| SystemNeed { attribute: attribute.clone(), role })
    }
}

impl SystemTable {
    /// The table that is built in, as text.
    pub const TEXT: &str = include_str!("../data/system-packages.toml");

    /// Reads a table; how it is written stands at the top of the one that is built in.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// As [`system_packages`], by this table.
    pub fn system_packages(
        &self,
        package: &str,
        depexts: &[package::SystemPackages],
        env: &Env<'_>,
        said: &Said,
    ) -> SystemPackages {
        if let Some(entry) = self.of_package(package) {
            return answer([(None, entry)]);
        }
        let Some((distribution, names)) = named(depexts, env) else {
            return SystemPackages::Known(Vec::new());
        };
        let table = self.tables.get(distribution);
        let entry = |name: &str| table.and_then(|table| table.get(name));
        let (of_user, of_table): (Vec<&str>, Vec<&str>) =
            names.into_iter().partition(|name| said.contains_key(*name));
        let unknown = of_table.iter().filter(|name| entry(name).is_none());
        let unknown: Vec<String> = unknown.map(|name| (*name).to_owned()).collect();
        if !unknown.is_empty() {
            return SystemPackages::Unknown { names: unknown };
        }
        let known = of_table.into_iter().filter_map(|name| Some((Some(name), entry(name)?)));
        match answer(known) {
            SystemPackages::Known(mut needs) => {
                needs.extend(of_user.iter().flat_map(|name| &said[*name]).cloned());
                needs.sort_unstable();
                needs.dedup();
                SystemPackages::Known(needs)
            }
            other => other,
        }
    }

    /// What stands for the package itself; `prefix*` is for all packages of this prefix.
    fn of_package(&self, package: &str) -> Option<&Entry> {
        let table = self.tables.get("package")?;
        table.get(package).or_else(|| {
            let mut entries = table.iter();
            entries.find_map(|(key, entry)| {
                package.starts_with(key.strip_suffix('*')?).then_some(entry)
            })
        })
    }
}

/// The first distribution that something is named for, and what.
fn named<'d>(
    depexts: &'d [package::SystemPackages],
    env: &Env<'_>,
) -> Option<(&'static str, Vec<&'d str>)> {
    let names = |env: &Env<'_>| {
        let mut names: Vec<&str> = Vec::new();
        for part in depexts.iter().filter(|part| part.filter.eval(env, false)) {
            for name in &part.names {
                if !names.contains(&&**name) {
                    names.push(name);
                }
            }
        }
        (!names.is_empty()).then_some(names)
    };
    let of = |distribution: &Distribution| {
        let names = names(&|variable: &Variable<'_>| distribution.variable(variable, env))?;
        Some((distribution.name, names))
    };
    names(env).map(|names| (NIXOS, names)).or_else(|| DISTRIBUTIONS.iter().find_map(of))
}

/// What several entries are together, each with the name that it was found by.
fn answer<'e>(entries: impl IntoIterator<Item = (Option<&'e str>, &'e Entry)>) -> SystemPackages {
    let mut needs = BTreeSet::new();
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, entry) in entries {
        match entry {
            Entry::Libraries(attributes) => needs.extend(attributes.needs(Role::Host)),
            Entry::ByRole { host, build } => {
                needs.extend(host.iter().flat_map(|host| host.needs(Role::Host)));
                needs.extend(build.needs(Role::Build));
            }
            Entry::Missing { missing } => reasons.entry(missing).or_default().extend(name),
            Entry::Nothing { .. } => {}
        }
    }
    if reasons.is_empty() {
        return SystemPackages::Known(needs.into_iter().collect());
    }
    let reasons: Vec<String> = reasons
        .into_iter()
        .map(|(reason, names)| match names.as_slice() {
            [] => reason.to_owned(),
            names => format!("{}: {reason}", names.join(", ")),
        })
        .collect();
    SystemPackages::Missing { reason: reasons.join("; ") }
}
