//! Files that are written whole or not at all.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};
use x2nix_plugin_host::kept::write_atomically;
use x2nix_protocol::Fault;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[test]
fn a_file_is_made_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x2nix.lock.json");
    write_atomically(&path, b"one").unwrap();
    let plain = folder.path().join("plain");
    fs::write(&plain, "").unwrap();
    assert_eq!(mode(&path), mode(&plain), "as any other new file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    write_atomically(&path, b"two").unwrap();
    assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"two".to_vec(), 0o640));
    let link = folder.path().join("link");
    symlink("x2nix.lock.json", &link).unwrap();
    write_atomically(&link, b"three").unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read(&path).unwrap(), b"three");
    assert_eq!(count(folder.path()), 3);
}

#[test]
fn what_is_in_the_way_stays() {
    let folder = tempfile::tempdir().unwrap();
    let way = folder.path().join("way");
    fs::create_dir(&way).unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let cases = [way.clone(), folder.path().join("nowhere/file"), folder.path().join("file/x")];
    for path in cases {
        let error = write_atomically(&path, b"text").unwrap_err();
        assert_eq!((error.code.as_str(), error.fault), ("output::write", Fault::Access));
        assert!(error.message.contains(path.to_str().unwrap()));
        assert!(error.help.is_some());
    }
    assert!(way.is_dir());
    assert_eq!(count(folder.path()), 2);
}

#[test]
fn devices_are_written_to() {
    use std::os::unix::fs::FileTypeExt as _;
    write_atomically(Path::new("/dev/null"), b"text").unwrap();
    let full = Path::new("/dev/full");
    if full.exists() {
        let error = write_atomically(full, b"text").unwrap_err();
        assert!(error.help.unwrap().contains("room"));
        assert!(fs::metadata(full).unwrap().file_type().is_char_device());
    }
}
