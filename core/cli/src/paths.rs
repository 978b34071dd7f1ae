//! Paths: as the user gave them, as the lock names them, and back.

use std::path::{Component, Path, PathBuf};

/// `path` as seen from `folder`, with `/` between parts: relative where the user gave it so, since a
/// lock is to be the same on every machine; absolute where the user did.
pub(crate) fn from_folder(folder: &Path, path: &Path) -> String {
    if path.is_absolute() {
        return path.to_string_lossy().into_owned();
    }
    let (Ok(from), Ok(to)) = (absolute(folder), absolute(path)) else {
        return path.to_string_lossy().into_owned();
    };
    let shared = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(shared).map(|_| "..".to_owned());
    let down =
        to.components().skip(shared).map(|part| part.as_os_str().to_string_lossy().into_owned());
    let parts: Vec<_> = up.chain(down).collect();
    if parts.is_empty() { ".".into() } else { parts.join("/") }
}

/// The absolute form of a path, without `.` and `..`; links are not looked at.
fn absolute(path: &Path) -> std::io::Result<PathBuf> {
    let mut plain = PathBuf::new();
    for part in std::path::absolute(path)?.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    Ok(plain)
}

/// The folder that a file lies in.
pub(crate) fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_relative_to_the_lock() {
        assert_eq!(from_folder(Path::new("."), Path::new("repo")), "repo");
        assert_eq!(
            from_folder(Path::new("examples/hello"), Path::new("examples/hello/repo")),
            "repo"
        );
        assert_eq!(
            from_folder(Path::new("examples/hello"), Path::new("shared/x.tar.gz")),
            "../../shared/x.tar.gz"
        );
        assert_eq!(from_folder(Path::new("a"), Path::new("a/.")), ".");
        assert_eq!(from_folder(Path::new("a"), Path::new("/b/c")), "/b/c");
    }
}
