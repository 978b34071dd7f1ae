//! The sections of the reader.

use crate::READER;

/// What starts a section.
const MARK: &str = "\n  # --- ";

/// The text of a shared section of the reader; of the empty name, what stands before all sections.
/// It is empty where the reader has no such section, which a test excludes.
pub(super) fn section(name: &str) -> &'static str {
    let start = if name.is_empty() {
        READER.find("\nlet\n").map(|at| at + "\nlet\n".len())
    } else {
        let title = format!("{MARK}{name} (shared) -");
        let rest = |at: usize| READER[at + 1..].find('\n').map(|end| at + 1 + end + 1);
        READER.find(&title).and_then(rest)
    };
    let Some(start) = start else { return "" };
    let rest = &READER[start..];
    rest[..rest.find(MARK).unwrap_or(rest.len())].trim_matches('\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_section_is_there_and_whole() {
        assert!(section("").contains("inherit (builtins)"));
        for (name, holds) in [
            ("Files", "tree = top: path:"),
            ("Shell", "helpers = toFile"),
            ("Package set", "purlOf = "),
            ("The result", "project = "),
        ] {
            let text = section(name);
            assert!(
                text.contains(holds) && text.ends_with(';') || text.ends_with("};"),
                "{name}: {text}"
            );
            assert!(!text.contains("# ---"), "{name}");
        }
        assert_eq!(section("no such"), "");
    }
}
