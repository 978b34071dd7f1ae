//! The formats that an archive may have: the same tree in each, and no harm from broken ones.
#![allow(clippy::unwrap_used)]

mod support;

use flate2::read::GzDecoder;
use lzma_rust2::{XzOptions, XzWriter};
use proptest::prelude::*;
use std::{
    fs,
    io::{Read as _, Write as _},
};
use support::*;
use tar::EntryType;
use x2nix_plugin_host::inputs::{Limits, OpenOptions, read_archive};
use x2nix_protocol::Fault;

const FORMATS: [&str; 5] = ["tar", "tar.gz", "tar.xz", "tar.zst", "tar.bz2"];

fn compressed(tar: &[u8], format: &str) -> Vec<u8> {
    match format {
        "tar" => tar.to_vec(),
        "tar.gz" => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(tar).unwrap();
            gzip.finish().unwrap()
        }
        "tar.xz" => {
            let mut xz = XzWriter::new(Vec::new(), XzOptions::with_preset(1)).unwrap();
            xz.write_all(tar).unwrap();
            xz.finish().unwrap()
        }
        "tar.zst" => {
            let mut zstd = zstd::Encoder::new(Vec::new(), 1).unwrap();
            zstd.include_checksum(true).unwrap();
            zstd.write_all(tar).unwrap();
            zstd.finish().unwrap()
        }
        "tar.bz2" => {
            let mut bzip = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            bzip.write_all(tar).unwrap();
            bzip.finish().unwrap()
        }
        _ => panic!("{format}"),
    }
}

fn plain(tgz: Tgz) -> Vec<u8> {
    let mut tar = Vec::new();
    GzDecoder::new(&tgz.bytes()[..]).read_to_end(&mut tar).unwrap();
    tar
}

fn small() -> Vec<u8> {
    plain((0..30).fold(Tgz::new().link("l", "p7/opam"), |tgz, i| {
        tgz.file(&format!("p{i}/opam"), &format!("text {i} ").repeat(i * 7))
    }))
}

#[test]
fn every_format_gives_the_same_tree() {
    let folder = tempfile::tempdir().unwrap();
    let mut trees = Vec::new();
    for format in FORMATS {
        // By its bytes, whatever its name is.
        let path = folder.path().join(format!("{format}.txt"));
        fs::write(&path, compressed(&small(), format)).unwrap();
        let cache = folder.path().join(format);
        let cold = open(&path, Some(&cache));
        assert_eq!(everything(&cold), everything(&open(&path, Some(&cache))), "{format}");
        trees.push((format, everything(&cold)));
    }
    assert_eq!(trees[0].1.len(), 61);
    for (format, tree) in &trees {
        assert_eq!(*tree, trees[0].1, "{format}");
    }
}

#[test]
fn an_archive_in_several_parts_is_read_to_its_end() {
    let tar = small();
    for format in &FORMATS[1..] {
        let (one, two) = tar.split_at(tar.len() / 2);
        let parts = [compressed(one, format), compressed(two, format)].concat();
        let pack = read_archive(&parts[..], &Limits::default()).unwrap();
        assert_eq!(pack.list("").unwrap().len(), 31, "{format}");
        // And what is behind it is not just dropped.
        let more = [&parts[..], b"something else"].concat();
        assert!(*format == "tar.gz" || read_archive(&more[..], &Limits::default()).is_err());
    }
}

#[test]
fn an_archive_that_is_cut_off_is_an_error_wherever_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut");
    for format in FORMATS {
        let whole = compressed(&small(), format);
        // A plain tar tells its end by two blocks of zeros, of which one is enough; its first block
        // is no tar until the magic bytes are there.
        let (from, to) = if format == "tar" {
            let end = whole.iter().rposition(|&byte| byte != 0).unwrap();
            (262, end.next_multiple_of(512) + 512)
        } else {
            (6, whole.len())
        };
        let near = [from, from + 1, to - 2, to - 1];
        for end in (from..to).step_by((to / 200).max(1)).chain(near) {
            fs::write(&path, &whole[..end]).unwrap();
            let error = opener(None).open(&path, &OpenOptions::default()).unwrap_err();
            assert_eq!(error.code, "input::broken-archive", "{format} cut at {end}: {error}");
            assert_eq!(error.fault, Fault::Input);
        }
    }
}

#[test]
fn bombs_are_refused_early() {
    let zeros = vec![0; 64 << 20];
    let header = plain(Tgz::new().declared(EntryType::Regular, "zeros", 64 << 20));
    let bomb = [&header[..512], &zeros].concat();
    let limits = Limits { unpacked: 8 << 20, ..Limits::default() };
    for format in FORMATS {
        let bytes = compressed(&bomb, format);
        let error = read_archive(&bytes[..], &limits).unwrap_err();
        assert_eq!(error.code, "input::too-large", "{format}");
        // Zeros behind the end mark.
        let bytes = compressed(&[&small()[..], &zeros].concat(), format);
        let error = read_archive(&bytes[..], &limits).unwrap_err();
        assert_eq!(error.code, "input::too-large", "{format}");
    }
}

#[test]
fn what_asks_for_too_much_memory_is_refused() {
    // A dictionary of 1.5 GiB, in a header that is right in all else.
    let mut xz = compressed(&small(), "tar.xz");
    let header = 12;
    let length = (usize::from(xz[header]) + 1) * 4;
    assert_eq!(xz[header + 2..header + 4], [0x21, 1], "LZMA2 with one byte of properties");
    xz[header + 4] = 37;
    let check = crc32fast::hash(&xz[header..header + length - 4]);
    xz[header + length - 4..header + length].copy_from_slice(&check.to_le_bytes());

    let mut zstd = zstd::Encoder::new(Vec::new(), 1).unwrap();
    zstd.window_log(30).unwrap();
    zstd.long_distance_matching(true).unwrap();
    zstd.write_all(&small()).unwrap();
    let zstd = zstd.finish().unwrap();

    for (bytes, format) in [(xz, "xz"), (zstd, "zstd")] {
        let error = read_archive(&bytes[..], &Limits::default()).unwrap_err();
        assert_eq!((&*error.code, error.fault), ("input::too-large", Fault::Input), "{format}");
        assert!(error.message.contains("memory"), "{format}: {error}");
    }
}

proptest! {
    /// Whatever is changed, the reader answers; and no change goes unseen where there are checksums.
    #[test]
    fn damage_is_an_error(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..5),
        format in prop::sample::select(&FORMATS[2..]),
    ) {
        let whole = compressed(&small(), format);
        let mut bytes = whole.clone();
        for (at, byte) in flips {
            *at.get_mut(&mut bytes) ^= byte;
        }
        let limits = Limits { unpacked: 1 << 20, ..Limits::default() };
        let before = read_archive(&whole[..], &limits).unwrap();
        if let Ok(pack) = read_archive(&bytes[..], &limits) {
            for i in 0..30 {
                let path = format!("p{i}/opam");
                prop_assert_eq!(pack.read(&path), before.read(&path));
            }
        }
    }
}
