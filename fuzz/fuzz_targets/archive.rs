//! Any bytes as an archive, and as the tar in one: it is read whole or refused, within its limits.

#![no_main]

use flate2::{Compression, write::GzEncoder};
use libfuzzer_sys::fuzz_target;
use std::io::Write as _;
use x2nix_plugin_host::inputs::{Limits, Pack, read_archive};

/// Reads all that an archive has, a few folders deep: links may lead in circles.
fn look_at(pack: Option<Pack>) {
    let Some(pack) = pack else { return };
    let mut folders = vec![(String::new(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in pack.list(&folder).unwrap_or_default() {
            assert!(!matches!(entry.name.as_str(), "" | "." | ".."), "{:?}", entry.name);
            assert!(!entry.name.contains(['/', '\0']), "{:?}", entry.name);
            let path =
                if folder.is_empty() { entry.name } else { format!("{folder}/{}", entry.name) };
            pack.read(&path);
            if entry.folder && depth < 3 && folders.len() < 100 {
                folders.push((path, depth + 1));
            }
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { unpacked: 1 << 20, entries: 1000, names: 1 << 14, file: 1 << 12 };
    look_at(read_archive(bytes, &limits).ok());

    let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
    let packed = gzip.write_all(bytes).and_then(|()| gzip.finish());
    look_at(read_archive(packed.unwrap_or_default().as_slice(), &limits).ok());
});
