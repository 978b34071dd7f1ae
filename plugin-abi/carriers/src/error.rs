//! What can be wrong with a plugin's file, in words.

use x2nix_protocol::Diagnostic;

/// A file that is no plugin, or says two things.
pub(crate) fn bad(label: &str, what: &str) -> Box<Diagnostic> {
    Diagnostic::error("plugin::file", format!("plugin {label}: {what}"))
        .help("this is a fault of the plugin's file; build it anew, or tell its authors")
        .into()
}

/// A plugin that broke down.
pub(crate) fn broken(label: &str, method: &str, what: &str) -> Box<Diagnostic> {
    Diagnostic::error("plugin::crash", format!("plugin {label}, call `{method}`: {what}"))
        .help("this is a fault of the plugin; tell its authors")
        .into()
}

/// The code of a limit that was met.
pub(crate) const LIMIT: &str = "plugin::limit";

/// A plugin that says too much at once.
pub(crate) fn too_long(label: &str, method: &str, most: usize) -> Box<Diagnostic> {
    limit(label, method, &format!("it says more at once than the {} MiB that it may", most >> 20))
}

/// A plugin that wants too much.
pub(crate) fn limit(label: &str, method: &str, what: &str) -> Box<Diagnostic> {
    Diagnostic::error(LIMIT, format!("plugin {label}, call `{method}`: {what}"))
        .help("if the request is that large, raise the limit: --plugin-memory MIB, --plugin-time SECONDS")
        .into()
}
