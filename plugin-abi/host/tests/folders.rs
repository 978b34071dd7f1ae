//! Folders: what is read, what is left out, and what the hash depends on.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod support;

use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _, fs::symlink},
    path::Path,
};
use support::*;
use x2nix_plugin_host::inputs::{Limits, OpenOptions};
use x2nix_protocol::{Fault, FileContent};

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn hash(folder: &Path) -> String {
    open(folder, None).hash().unwrap().to_owned()
}

#[test]
fn links_are_followed_within_and_refused_else() {
    let top = tempfile::tempdir().unwrap();
    let folder = top.path().join("in");
    write(&folder, "d/f", "content");
    write(&folder, "_build/secret", "hidden");
    write(top.path(), "outside", "secret");
    write(top.path(), "inside-by-name/f", "secret");
    for (link, target) in [
        ("near", "d/f"),
        ("folder", "d"),
        ("absolute", folder.join("d/f").to_str().unwrap()),
        ("out", "../outside"),
        ("out-folder", "../inside-by-name"),
        ("back", "../in/d/f"),
        ("hidden", "_build/secret"),
        ("dangling", "nowhere"),
        ("circle", "circle"),
    ] {
        symlink(target, folder.join(link)).unwrap();
    }
    let tree = open(&folder, None);
    for link in ["near", "folder/f", "absolute", "back"] {
        assert_eq!(tree.read(link), found("content"), "{link}");
    }
    for link in ["out", "out-folder/f", "out-folder", "hidden", "circle"] {
        assert!(matches!(tree.read(link), FileContent::Unreadable(_)), "{link}");
        assert_eq!(tree.list(link).unwrap(), None, "{link}");
    }
    assert_eq!(tree.read("dangling"), FileContent::Missing);
    assert_eq!(tree.read("_build/secret"), FileContent::Missing);
    for bad in [
        "../outside",
        "d/../../outside",
        "/etc/passwd",
        "d//f",
        "./d/f",
        "d/f/",
        "d/f/x",
        "\0",
        "d",
    ] {
        assert_eq!(tree.read(bad), FileContent::Missing, "{bad}");
    }
    assert_eq!(
        names(&tree, ""),
        ["absolute", "back", "circle", "d/", "folder/", "hidden", "near", "out", "out-folder"]
    );
    // The link's own folder may be reached through links.
    let by_link = top.path().join("link");
    symlink(&folder, &by_link).unwrap();
    assert_eq!(everything(&open(&by_link, None)), everything(&tree));
    assert_eq!(hash(&by_link), hash(&folder));
}

#[test]
fn what_cannot_be_read_is_said() {
    let top = tempfile::tempdir().unwrap();
    let options = OpenOptions { label: "the project".into(), ..OpenOptions::default() };
    for missing in ["nowhere", "file/x"] {
        write(top.path(), "file", "");
        let error = opener(None).open(&top.path().join(missing), &options).unwrap_err();
        assert_eq!((error.code.as_str(), error.fault), ("input::unreadable", Fault::Access));
        assert!(error.message.contains("the project"), "{}", error.message);
    }
    let error = opener(None).open(Path::new("/dev/null"), &options).unwrap_err();
    assert_eq!(error.code, "input::unreadable");

    let small = Limits { file: 5, ..Limits::default() };
    write(top.path(), "large", "123456");
    write(top.path(), "fits", "12345");
    let tree = opener(None).with_limits(small).open(top.path(), &options).unwrap();
    assert_eq!(tree.read("fits"), found("12345"));
    assert!(matches!(tree.read("large"), FileContent::Unreadable(_)));

    let closed = top.path().join("closed");
    write(&closed, "f", "");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read_dir(&closed).is_err() {
        assert!(matches!(tree.read("closed/f"), FileContent::Unreadable(_)));
        assert_eq!(tree.list("closed").unwrap_err().code, "input::unreadable");
        assert_eq!(tree.hash().unwrap_err().fault, Fault::Access);
    } // else this is root, whom permissions do not bind
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_pipe_is_no_file_and_odd_names_are_reported() {
    let top = tempfile::tempdir().unwrap();
    write(top.path(), "f", "");
    let socket = std::os::unix::net::UnixListener::bind(top.path().join("socket")).unwrap();
    let odd = std::ffi::OsStr::from_bytes(b"odd-\xff");
    let odd_names = fs::write(top.path().join(odd), "").is_ok(); // not every file system has them
    fs::write(top.path().join("back\\slash"), "").unwrap();
    let tree = open(top.path(), None);
    assert_eq!(names(&tree, ""), ["f"]);
    assert_eq!(tree.read("socket"), FileContent::Missing);
    tree.hash().unwrap();
    assert_eq!(tree.notes().len(), 1 + usize::from(odd_names));
    drop(socket);
}

#[test]
fn the_hash_tells_apart_what_can_be_seen_and_nothing_else() {
    let top = tempfile::tempdir().unwrap();
    let folder = top.path();
    write(folder, "a/f", "text");
    let mut seen = vec![hash(folder)];
    assert!(seen[0].starts_with("sha256-"));
    let mut changed = |what: &str| {
        let hash = hash(folder);
        assert!(!seen.contains(&hash), "{what}");
        seen.push(hash);
    };
    write(folder, "a/f", "other");
    changed("content");
    fs::rename(folder.join("a/f"), folder.join("a/g")).unwrap();
    changed("name");
    fs::set_permissions(folder.join("a/g"), fs::Permissions::from_mode(0o755)).unwrap();
    changed("executable");
    fs::create_dir(folder.join("empty")).unwrap();
    changed("an empty folder");
    symlink("a/g", folder.join("l")).unwrap();
    changed("a link");
    let before = hash(folder);
    write(folder, ".git/HEAD", "x");
    write(folder, "a/_build/log", "x");
    write(folder, "x2nix.nix", "x");
    let exclude = vec!["x2nix.nix".to_owned(), "a/out".to_owned()];
    let options = OpenOptions { exclude, ..OpenOptions::default() };
    write(folder, "a/out/x", "x");
    let tree = opener(None).open(folder, &options).unwrap();
    assert_eq!(tree.hash().unwrap(), before);
    assert_eq!(names(&tree, ""), ["a/", "empty/", "l"]);
    assert_eq!(names(&tree, "a"), ["g"]);
    assert_eq!(tree.read("x2nix.nix"), FileContent::Missing);
    write(folder, "a/x2nix.nix", "only the top one is left out");
    let tree = opener(None).open(folder, &options).unwrap();
    assert_ne!(tree.hash().unwrap(), before);
    assert_eq!(names(&tree, "a"), ["g", "x2nix.nix"]);
}

/// Pins the format: a change of it must be meant, for locks have these hashes.
#[test]
fn the_hash_is_what_it_always_was() {
    let top = tempfile::tempdir().unwrap();
    write(top.path(), "a-b", "1");
    write(top.path(), "a/b", "2");
    symlink("a/b", top.path().join("c")).unwrap();
    assert_eq!(hash(top.path()), "sha256-i7hX3bLS6y7RPSOioNGFOD2bd96UthrQns/I/ot1mOg=");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_folder_and_its_archive_are_the_same_in_any_order(
        files in prop::collection::btree_map("[a-c.-]{1,2}(/[a-c.-]{1,2}){0,3}", "[a-z]{0,9}", 1..12),
        links in prop::collection::btree_map("[k-l](/[k-l])?", "(\\.\\./|[a-ck]/|\\./){0,3}[a-ck]", 0..4),
        seed: u64,
    ) {
        let top = tempfile::tempdir()?;
        let build = |name: &str, reversed: bool| -> std::io::Result<_> {
            let folder = top.path().join(name);
            fs::create_dir(&folder)?;
            let mut order: Vec<_> = files.iter().collect();
            if reversed {
                order.reverse();
            }
            order.rotate_left(usize::try_from(seed % 5).unwrap() % files.len());
            let mut made = BTreeMap::new();
            for (path, text) in order {
                // Names like `..`, and files where folders are, do not come to be.
                let plain = path.split('/').all(|name| name != "." && name != "..");
                let clash = files.keys().any(|other| {
                    path.starts_with(&format!("{other}/"))
                });
                if plain && !clash {
                    write(&folder, path, text);
                    made.insert(path, text);
                }
            }
            Ok(folder)
        };
        let one = build("one", false)?;
        let two = build("two", true)?;
        prop_assert_eq!(hash(&one), hash(&two));

        for (link, target) in &links {
            let path = one.join(link);
            let parent = path.parent().unwrap();
            if fs::create_dir_all(parent).is_ok() {
                let _ = symlink(target, &path);
            }
        }
        let archive = top.path().join("one.tar.gz");
        let gzip = flate2::write::GzEncoder::new(fs::File::create(&archive)?, flate2::Compression::fast());
        let mut tar = tar::Builder::new(gzip);
        tar.follow_symlinks(false);
        tar.append_dir_all(".", &one)?;
        tar.into_inner()?.finish()?;
        let folder = open(&one, None);
        let markers = names(&folder, "").iter().map(|name| name.trim_end_matches('/').to_owned()).collect();
        let options = OpenOptions { markers, ..OpenOptions::default() };
        let archive = opener(None).open(&archive, &options).unwrap();
        // A link out of the folder is there, and cannot be read; from an archive it is left out.
        let lost = |(_, content): &(String, Option<FileContent>)| {
            !matches!(content, Some(FileContent::Unreadable(_)))
        };
        let bounded = |tree| {
            let mut all: Vec<_> = walk(tree).into_iter().filter(lost).collect();
            all.sort_by(|a, b| a.0.cmp(&b.0));
            all
        };
        prop_assert_eq!(bounded(&folder), bounded(&archive));
    }
}

/// Like `everything`, but not for ever through folders that links make lie in themselves.
fn walk(tree: &x2nix_plugin_host::inputs::Tree) -> Vec<(String, Option<FileContent>)> {
    let mut all = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in tree.list(&folder).unwrap().unwrap() {
            let path =
                if folder.is_empty() { entry.name } else { format!("{folder}/{}", entry.name) };
            if entry.folder && path.matches('/').count() < 5 {
                folders.push(path.clone());
            }
            let content = (!entry.folder).then(|| tree.read(&path));
            all.push((path, content));
        }
    }
    all
}
