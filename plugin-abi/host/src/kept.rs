//! Files that x2nix leaves behind, whole or not at all.

use std::{
    fs::{self, File, Permissions},
    io::{self, ErrorKind, Write as _},
    path::Path,
};
use tempfile::Builder;
use x2nix_protocol::{Diagnostic, Origin, PluginResult};

/// Writes a file so that there is never a moment at which it is half written.
///
/// The bytes go to a new file beside it, to the disk, and only then under the name; on any error the
/// old file is as it was. A file that was there keeps its permissions, a link keeps pointing to the
/// file that is written, and a device (`/dev/null`) just gets the bytes.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> PluginResult<()> {
    replace(path, |file| file.write_all(bytes)).map_err(|error| {
        let help = match error.kind() {
            ErrorKind::NotFound => "make the folder first",
            ErrorKind::IsADirectory => "choose another name; a folder is in the way",
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room on the disk",
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                "check the permissions of the folder that it lies in"
            }
            _ => "check that a file can be made there",
        };
        let shown = path.display().to_string();
        Diagnostic::error("output::write", format!("cannot write {shown}: {error}"))
            .access()
            .at(Origin::new(shown, None))
            .help(help)
            .into()
    })
}

fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let (path, old) = match fs::canonicalize(path) {
        Ok(real) => {
            let about = fs::metadata(&real)?;
            if about.is_dir() {
                return Err(ErrorKind::IsADirectory.into());
            }
            if !about.is_file() {
                // A device or a pipe is there to be written to, not to be replaced.
                return write(&mut File::options().write(true).open(&real)?);
            }
            (real, Some(about.permissions()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => (path.to_owned(), None),
        Err(error) => return Err(error),
    };
    // A bare name has an empty parent.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut builder = Builder::new();
    builder.prefix(".x2nix-");
    if let Some(permissions) = usual_permissions() {
        builder.permissions(permissions);
    }
    // The file removes itself unless it gets its name.
    let mut file = builder.tempfile_in(folder)?;
    write(file.as_file_mut())?;
    if let Some(permissions) = old {
        file.as_file().set_permissions(permissions)?;
    }
    file.as_file().sync_all()?;
    file.persist(&path)?;
    // So that the name, too, outlives a loss of power. Not every system can do this to a folder.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// What a new file may be used for, before the user's mask; temporary files are stricter by default.
#[cfg(unix)]
#[allow(clippy::unnecessary_wraps)] // other systems have none
fn usual_permissions() -> Option<Permissions> {
    Some(std::os::unix::fs::PermissionsExt::from_mode(0o666))
}

#[cfg(not(unix))]
fn usual_permissions() -> Option<Permissions> {
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_disk_that_fills_up_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        write_atomically(&path, b"old").unwrap();
        let failed = replace(&path, |file| {
            file.write_all(b"half of the n")?;
            Err(ErrorKind::StorageFull.into())
        });
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["lock"]);
    }
}
