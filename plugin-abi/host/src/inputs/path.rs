//! Which paths and names a plugin can see.

/// The most folders within folders, and so the most parts of a path.
pub(super) const DEPTH: usize = 64;

/// The longest path, in bytes.
pub(super) const LENGTH: usize = 4096;

/// Build results and version control: never part of an input, wherever they lie.
const NEVER: [&str; 2] = [".git", "_build"];

/// Whether a name can be a part of a path.
///
/// A backslash separates folders on some systems, so a name with one means two things.
pub(super) fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\\', '\0'])
}

/// Whether a path is the top, or plain names with `/` between.
pub(super) fn is_plain(path: &str) -> bool {
    path.is_empty()
        || (path.len() <= LENGTH
            && path.split('/').all(is_name)
            && path.split('/').count() <= DEPTH)
}

/// The path of an entry of a folder.
pub(super) fn join(folder: &str, name: &str) -> String {
    match (folder, name) {
        ("", only) | (only, "") => only.to_owned(),
        _ => format!("{folder}/{name}"),
    }
}

/// Whether a path is never part of an input, whatever the caller excludes.
pub(super) fn is_never_seen(path: &str) -> bool {
    path.split('/').any(|name| NEVER.contains(&name))
}

/// What is left out of a tree.
#[derive(Debug)]
pub(super) struct Hidden {
    exclude: Vec<String>,
}

impl Hidden {
    pub(super) fn new(exclude: &[String]) -> Self {
        Self { exclude: exclude.iter().filter(|path| !path.is_empty()).cloned().collect() }
    }

    /// Whether the path, or a folder that it lies in, is left out.
    pub(super) fn hides(&self, path: &str) -> bool {
        is_never_seen(path)
            || self.exclude.iter().any(|hidden| {
                path.strip_prefix(hidden.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
    }
}

/// Foreign text for a message: no control characters, and not without end.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 200;
    let mut shown: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}
