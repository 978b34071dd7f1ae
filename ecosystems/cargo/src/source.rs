//! Where crates are from.

use std::fmt;

/// Where a crate is from. The same name from two sources is two crates.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Source {
    /// A registry.
    Registry(Registry),
    /// A folder, by its path in the project or beside it, without `.` parts; empty for the top.
    Path(String),
    /// A Git repository: its place as the project names it, with what is asked of it.
    Git(String),
}

/// A registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Registry {
    /// The one that is meant where none is named.
    Default,
    /// One that the user's configuration names.
    Named(String),
    /// One by its index.
    Index(String),
}

impl Source {
    /// The context of names from here; empty for the registry that is meant where none is named.
    pub(crate) fn context(&self) -> String {
        match self {
            Self::Registry(Registry::Default) => String::new(),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(Registry::Default) => f.write_str("the registry"),
            Self::Registry(Registry::Named(name)) => write!(f, "registry {name}"),
            Self::Registry(Registry::Index(index)) => write!(f, "registry {index}"),
            Self::Path(path) if path.is_empty() => f.write_str("path ."),
            Self::Path(path) => write!(f, "path {path}"),
            Self::Git(place) => write!(f, "git {place}"),
        }
    }
}

/// A path without `.` and `..` parts, as far as they cancel; nothing where it is absolute.
pub(crate) fn join(folder: &str, path: &str) -> Option<String> {
    if path.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
