//! The cache: what is in it is used, and what is wrong with it is mended.
#![allow(clippy::unwrap_used)]

mod support;

use std::{fs, path::Path, thread};
use support::*;
use x2nix_plugin_host::inputs::Inputs;
use x2nix_protocol::{FileContent, Host as _, ListRequest, ReadRequest};

fn archive(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("a.tar.gz");
    let many =
        (0..200).fold(Tgz::new(), |tgz, i| tgz.file(&format!("d{i}/f"), &format!("text {i}")));
    many.link("link", "d7/f").link("lost", "/etc").save(&path);
    path
}

#[test]
fn the_real_repository_is_the_same_cold_and_warm() {
    let path = opam_repository();
    let cache = tempfile::tempdir().unwrap();
    let cold = opener(Some(cache.path())).open(&path, &opam()).unwrap();
    let warm = opener(Some(cache.path())).open(&path, &opam()).unwrap();
    let without = opener(None).open(&path, &opam()).unwrap();
    let all = everything(&cold);
    assert!(all.iter().filter(|(_, content)| content.is_some()).count() > 18_000);
    assert!(all.iter().all(|(_, content)| !matches!(content, Some(FileContent::Unreadable(_)))));
    assert!(all == everything(&warm) && all == everything(&without));
    assert_eq!(cold.hash().unwrap(), warm.hash().unwrap());
    assert!(cold.notes().is_empty());
}

#[test]
fn any_damage_to_a_pack_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path());
    let cache = folder.path().join("cache");
    let expected = everything(&open(&path, Some(&cache)));
    let notes = open(&path, Some(&cache)).notes();
    assert_eq!(notes.len(), 1);
    let pack = pack_in(&cache);
    let good = fs::read(&pack).unwrap();
    let check = |bytes: &[u8], what: &str| {
        fs::write(&pack, bytes).unwrap();
        let tree = open(&path, Some(&cache));
        assert_eq!(everything(&tree), expected, "{what}");
        assert_eq!(tree.notes(), notes, "{what}");
        assert_eq!(fs::read(pack_in(&cache)).unwrap(), good, "{what}");
    };
    for end in [0, 1, 7, 8, 60, 79, 80, 81, 500, 5000, good.len() / 2, good.len() - 1] {
        check(&good[..end], &format!("cut at {end}"));
    }
    for at in (0..120).chain((120..good.len()).step_by(97)).chain([good.len() - 1]) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x55;
        check(&bytes, &format!("byte {at}"));
    }
    check(b"something else altogether", "foreign");
    check(&[&good[..], b"more"].concat(), "longer");
    check(&vec![0xff; good.len()], "noise");
}

#[test]
fn a_pack_of_another_archive_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let path = folder.path().join("b.tar.gz");
    Tgz::new().file("other", "text").save(&path);
    open(&path, Some(&cache));
    let foreign = fs::read(pack_in(&cache)).unwrap();
    fs::remove_dir_all(&cache).unwrap();

    let path = archive(folder.path());
    let expected = everything(&open(&path, Some(&cache)));
    fs::write(pack_in(&cache), foreign).unwrap();
    assert_eq!(everything(&open(&path, Some(&cache))), expected);
}

#[test]
fn a_pack_that_is_damaged_while_in_use_is_read_anew_if_the_archive_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path());
    let cache = folder.path().join("cache");
    open(&path, Some(&cache));
    let damage = || {
        let pack = pack_in(&cache);
        let length = fs::metadata(&pack).unwrap().len();
        let file = fs::File::options().write(true).open(pack).unwrap();
        file.set_len(length / 2).unwrap();
        file.set_len(length).unwrap();
    };
    let tree = open(&path, Some(&cache));
    damage();
    assert_eq!(tree.read("d99/f"), found("text 99"));

    let tree = open(&path, Some(&cache));
    damage();
    Tgz::new().file("d99/f", "something else").save(&path);
    let FileContent::Unreadable(reason) = tree.read("d99/f") else { panic!() };
    assert!(reason.contains("changed"), "{reason}");
}

#[test]
fn a_cache_that_cannot_be_written_is_done_without() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path());
    let expected = everything(&open(&path, None));
    // A file where the cache, or its folder of packs, should be; permissions do not bind root.
    let in_the_way = folder.path().join("file");
    fs::write(&in_the_way, "").unwrap();
    assert_eq!(everything(&open(&path, Some(&in_the_way))), expected);
    let cache = folder.path().join("cache");
    fs::create_dir(&cache).unwrap();
    fs::write(cache.join("packs"), "").unwrap();
    assert_eq!(everything(&open(&path, Some(&cache))), expected);
    // A folder where the pack should be.
    fs::remove_file(cache.join("packs")).unwrap();
    open(&path, Some(&cache));
    let pack = pack_in(&cache);
    fs::remove_file(&pack).unwrap();
    fs::create_dir(&pack).unwrap();
    assert_eq!(everything(&open(&path, Some(&cache))), expected);
    assert_eq!(fs::read_dir(cache.join("packs")).unwrap().count(), 1);
}

#[test]
fn many_may_open_the_same_archive_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path());
    let expected = everything(&open(&path, None));
    for round in 0..10 {
        let cache = folder.path().join(format!("cache-{round}"));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert_eq!(everything(&open(&path, Some(&cache))), expected));
            }
        });
        assert_eq!(everything(&open(&path, Some(&cache))), expected);
        pack_in(&cache);
    }
}

#[test]
fn a_session_asks_in_batches() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive(folder.path());
    let inputs = Inputs::new();
    inputs.add(open(folder.path(), None));
    let tree = inputs.add(open(&path, None));
    let paths = (0..300).map(|i| format!("d{i}/f")).chain(["../x".into(), String::new()]).collect();
    let answer = inputs.read(&ReadRequest { tree, paths }).unwrap();
    assert_eq!(answer.files.len(), 302);
    assert_eq!(answer.files[150], found("text 150"));
    assert!(answer.files[200..].iter().all(|file| *file == FileContent::Missing));
    let folders = vec!["d1".into(), "nothing".into(), "../d1".into(), "d1/f".into()];
    let answer = inputs.list(&ListRequest::new(tree, folders)).unwrap();
    assert_eq!(answer.listings[0].as_ref().unwrap().len(), 1);
    assert_eq!(answer.listings[1..], [None, None, None]);
    let unknown = ReadRequest { tree: x2nix_protocol::TreeId(7), paths: vec![] };
    assert_eq!(inputs.read(&unknown).unwrap_err().code, "host::unknown-tree");
}
