//! Archives: what is read from good, broken and hostile ones.
#![allow(clippy::unwrap_used)]

mod support;

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::{fs, io::Write as _};
use support::*;
use tar::EntryType;
use x2nix_plugin_host::inputs::{Limits, OpenOptions, read_archive};
use x2nix_protocol::{Fault, FileContent};

fn code_of(bytes: &[u8], limits: &Limits) -> String {
    read_archive(bytes, limits).unwrap_err().code
}

#[test]
fn names_that_could_lead_astray_are_left_out_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar.gz");
    Tgz::new()
        .file("./good//name/", "")
        .file("good/x", "fine")
        .file("../up", "bad")
        .file("good/../../up", "bad")
        .file("/absolute", "bad")
        .file("back\\slash", "bad")
        .entry(EntryType::Regular, b"not-\xff-utf8", b"", b"bad")
        .entry(EntryType::Block, b"device", b"", b"")
        .file("\u{1b}[31m/..", "a terminal escape")
        .save(&path);
    let cache = folder.path().join("cache");
    let tree = open(&path, Some(&cache));
    let markers = vec!["good".to_owned()];
    let options = OpenOptions { markers, label: "repo".into(), ..OpenOptions::default() };
    let whole = opener(Some(&cache)).open(&path, &options).unwrap();
    assert_eq!(names(&whole, ""), ["good/"]);
    assert_eq!(names(&tree, ""), ["name/", "x"]);
    assert_eq!(tree.read("x"), found("fine"));
    for bad in ["../up", "..", "/x", "x/", "./x", "name/../x", "x\0", "name//x", "."] {
        assert_eq!(tree.read(bad), FileContent::Missing, "{bad}");
        assert_eq!(tree.list(bad).unwrap(), None, "{bad}");
    }
    let notes = whole.notes(); // of a warm opening
    assert_eq!(notes.len(), 6, "{notes:#?}");
    assert!(notes.iter().all(|note| note.code == "input::unsafe-path"));
    assert_eq!(notes[0].origin.as_ref().unwrap().file, "repo:../up");
    assert!(notes.iter().all(|note| !note.message.contains('\u{1b}')));
}

#[test]
fn links_stay_inside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tgz");
    Tgz::new()
        .file("top/d/file", "content")
        .link("top/near", "d/file")
        .link("top/d/up", "../near")
        .link("top/folder", "d")
        .entry(EntryType::Link, b"top/d/hard", b"top/d/file", b"")
        .link("top/out", "../../etc/passwd")
        .link("top/absolute", "/etc/passwd")
        .link("top/nothing", "nowhere")
        .link("top/through", "out/passwd")
        .entry(EntryType::Link, b"top/hard-out", b"../secret", b"")
        .link("top/swap", "/etc")
        .file("top/swap/passwd", "mine")
        .save(&path);
    let tree = open(&path, None);
    for link in ["near", "d/up", "folder/file", "d/hard", "folder/hard", "folder/up"] {
        assert_eq!(tree.read(link), found("content"), "{link}");
    }
    assert_eq!(tree.read("swap/passwd"), found("mine"));
    assert_eq!(names(&tree, ""), ["d/", "folder/", "near", "swap/"]);
    let codes: Vec<_> = tree.notes().into_iter().map(|note| note.code).collect();
    assert_eq!(codes.iter().filter(|code| *code == "input::lost-link").count(), 5);
    assert_eq!(codes.iter().filter(|code| *code == "input::odd-entry").count(), 1);
}

#[test]
fn long_names_and_extended_headers_are_read() {
    let name = format!("{}/{}", "d".repeat(180), "f".repeat(180));
    let too_deep = "d/".repeat(64) + "f";
    let too_long = format!("{}f", "long/".repeat(1000));
    let sized = b"10 size=3\n17 xattr=a\n5 b=\xff\n17 path=pax/name\n";
    let bytes = Tgz::new()
        .long(&name, "gnu")
        .entry(EntryType::XGlobalHeader, b"pax_global_header", b"", b"20 comment=1234abcd\n")
        .entry(EntryType::XHeader, b"x", b"", sized)
        .file("overridden", "pax")
        .long(&too_deep, "")
        .long(&too_long, "")
        .bytes();
    let pack = read_archive(&bytes[..], &Limits::default()).unwrap();
    assert_eq!(pack.read(&name), found("gnu"));
    assert_eq!(pack.read("pax/name"), found("pax"));
    assert_eq!(pack.read("overridden"), FileContent::Missing);
    assert_eq!(pack.notes().len(), 2);
}

#[test]
fn files_with_holes_are_left_out_without_losing_the_place() {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..4].copy_from_slice(b"hole");
    header.set_entry_type(EntryType::GNUSparse);
    header.set_size(5);
    header.as_gnu_mut().unwrap().isextended[0] = 1;
    header.set_cksum();
    let mut further = [[0u8; 512]; 2];
    further[0][504] = 1;
    let mut content = [0; 512];
    content[..5].copy_from_slice(b"bytes");
    let archive = Tgz::new().file("a", "before").raw(header.as_bytes());
    let archive = archive.raw(further.as_flattened()).raw(&content).file("b", "after");
    let pack = read_archive(&archive.bytes()[..], &Limits::default()).unwrap();
    assert_eq!(pack.read("b"), found("after"));
    assert_eq!(pack.read("hole"), FileContent::Missing);
    assert_eq!(pack.notes()[0].code, "input::odd-entry");
}

#[test]
fn bombs_are_refused_early() {
    // 64 MiB of zeros in one file, and a limit of 8 MiB for all.
    let limits = Limits { unpacked: 8 << 20, ..Limits::default() };
    let zeros = vec![0; 1 << 20];
    let mut bomb = Tgz::new().declared(EntryType::Regular, "zeros", 64 << 20);
    for _ in 0..64 {
        bomb = bomb.raw(&zeros);
    }
    assert_eq!(code_of(&bomb.bytes(), &limits), "input::too-large");

    // Zeros behind the end mark.
    let mut tail = GzEncoder::new(Vec::new(), Compression::fast());
    for _ in 0..64 {
        tail.write_all(&zeros).unwrap();
    }
    let mut bytes = Tgz::new().file("a", "").bytes();
    bytes.extend(tail.finish().unwrap());
    assert_eq!(code_of(&bytes, &limits), "input::too-large");

    // A long name that would fill the memory, declared and not there.
    let name = Tgz::new().declared(EntryType::GNULongName, "name", 1 << 40);
    assert_eq!(code_of(&name.bytes(), &Limits::default()), "input::too-large");

    let many = (0..20).fold(Tgz::new(), |tgz, i| tgz.file(&format!("file-{i}"), "")).bytes();
    assert_eq!(code_of(&many, &Limits { entries: 19, ..Limits::default() }), "input::too-large");
    assert_eq!(code_of(&many, &Limits { names: 19, ..Limits::default() }), "input::too-large");
}

#[test]
fn a_huge_file_is_there_without_its_content() {
    let content = "x".repeat(3000);
    let bytes = Tgz::new().file("huge", &content).file("small", "y").bytes();
    let pack = read_archive(&bytes[..], &Limits { file: 2999, ..Limits::default() }).unwrap();
    let FileContent::Unreadable(reason) = pack.read("huge") else { panic!() };
    assert!(reason.contains("3000") && reason.contains("2999"), "{reason}");
    assert_eq!(pack.read("small"), found("y"));

    // A gibibyte declared, nothing there.
    let bytes = Tgz::new().file("small", "y").declared(EntryType::Regular, "huge", 1 << 30).cut();
    assert_eq!(code_of(&bytes, &Limits::default()), "input::broken-archive");
    let bytes = Tgz::new().declared(EntryType::Regular, "huge", u64::MAX).cut();
    assert_eq!(code_of(&bytes, &Limits::default()), "input::too-large");
}

#[test]
fn an_archive_that_is_large_is_put_aside_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.tar.gz");
    let content =
        |i: usize| char::from(b'a' + u8::try_from(i).unwrap()).to_string().repeat(14 << 20);
    (0..5).fold(Tgz::new(), |tgz, i| tgz.file(&format!("f{i}"), &content(i))).save(&path);
    let cache = folder.path().join("cache");
    for _cold_and_warm in 0..2 {
        let tree = open(&path, Some(&cache));
        for i in 0..5 {
            assert!(tree.read(&format!("f{i}")) == found(&content(i)), "f{i}");
        }
    }
}

#[test]
fn an_archive_that_is_cut_off_is_an_error_wherever_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.tar.gz");
    let whole = (0..30)
        .fold(Tgz::new(), |tgz, i| tgz.file(&format!("packages/p{i}/opam"), &"text ".repeat(i * 7)))
        .bytes();
    for end in 2..whole.len() {
        fs::write(&path, &whole[..end]).unwrap();
        let error = opener(None).open(&path, &OpenOptions::default()).unwrap_err();
        assert_eq!(error.code, "input::broken-archive", "cut at {end}");
        assert_eq!(error.fault, Fault::Input);
        assert!(error.message.contains("byte"), "{}", error.message);
        assert!(error.help.is_some());
        assert_eq!(error.origin.unwrap().file, path.display().to_string());
    }
    // Cut before it was compressed: the end mark is not needed, the rest is.
    let tar = |tgz: Tgz| tgz.file("a", "content").file("b", "content");
    assert!(read_archive(&tar(Tgz::new()).cut()[..], &Limits::default()).is_ok());
    let half = tar(Tgz::new()).declared(EntryType::Regular, "c", 100).raw(b"half").cut();
    let error = read_archive(&half[..], &Limits::default()).unwrap_err();
    assert_eq!(error.code, "input::broken-archive");
    assert!(error.message.contains("in or after c"), "{}", error.message);
}

#[test]
fn other_kinds_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("looks-fine.tar.gz");
    let cases: [(&[u8], &str); 5] = [
        (b"7z\xbc\xaf\x27\x1c...", "7z"),
        (b"PK\x03\x04...", "zip"),
        (b"<!DOCTYPE html>", "web page"),
        (b"opam-version: \"2.0\"", "not an archive"),
        (b"", "empty"),
    ];
    for (bytes, name) in cases {
        fs::write(&path, bytes).unwrap();
        let error = opener(None).open(&path, &OpenOptions::default()).unwrap_err();
        assert_eq!(error.code, "input::unsupported-archive");
        assert!(error.message.contains(name), "{}", error.message);
        assert!(error.help.unwrap().contains(".tar.gz"));
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&[b'x'; 2000]).unwrap();
    let error = read_archive(&gzip.finish().unwrap()[..], &Limits::default()).unwrap_err();
    assert!(error.message.contains("not a tar"), "{}", error.message);
}

#[test]
fn the_top_folder_is_left_out_unless_it_is_a_marker() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar.gz");
    let top = |tgz: Tgz, options: &OpenOptions| {
        tgz.save(&path);
        names(&opener(None).open(&path, options).unwrap(), "")
    };
    let any = OpenOptions::default();
    assert_eq!(top(Tgz::new().file("repo-abc/packages/p/opam", ""), &any), ["packages/"]);
    assert_eq!(top(Tgz::new().file("packages/p/opam", ""), &opam()), ["packages/"]);
    assert_eq!(top(Tgz::new().file("repo", "").file("d/f", ""), &any), ["d/", "repo"]);
    assert_eq!(top(Tgz::new().file("only", ""), &any), ["only"]);
    assert_eq!(top(Tgz::new().entry(EntryType::Directory, b"d/", b"", b""), &any), ["d/"]);
}

proptest! {
    /// Whatever the bytes are, the reader answers, and a pack that it gives can be walked.
    #[test]
    fn any_bytes_are_answered(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        inside: bool,
    ) {
        let tgz = || Tgz::new().file("d/a", "text").link("l", "d/a").long(&"n".repeat(150), "");
        let bytes = if inside {
            let mut tar = Vec::new();
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&tgz().bytes()[..]), &mut tar)?;
            for (at, byte) in flips {
                *at.get_mut(&mut tar) = byte;
            }
            // Headers with right sums, so that the damage gets past them.
            for block in tar.chunks_exact_mut(512) {
                if block[257..262] == *b"ustar" {
                    block[148..156].fill(b' ');
                    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
                    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
                }
            }
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            gzip.write_all(&tar)?;
            gzip.finish()?
        } else {
            let mut bytes = tgz().bytes();
            for (at, byte) in flips {
                *at.get_mut(&mut bytes) = byte;
            }
            bytes
        };
        let limits = Limits { unpacked: 1 << 20, ..Limits::default() };
        if let Ok(pack) = read_archive(&bytes[..], &limits) {
            for entry in pack.list("").unwrap() {
                pack.read(&entry.name);
                pack.list(&entry.name);
            }
        }
    }
}
