//! Opening and reading the opam repository: X2NIX_OPAM_REPOSITORY, or the snapshot beside this
//! workspace; without either there is nothing to measure.
#![allow(clippy::unwrap_used)]

use criterion::{Criterion, criterion_group, criterion_main};
use std::{
    env, fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};
use x2nix_plugin_host::inputs::{Inputs, OpenOptions, Opener};
use x2nix_protocol::{Host as _, ListRequest, ReadRequest, TreeId};

fn inputs(criterion: &mut Criterion) {
    let beside = "../../../shared/opam/opam-repository.tar.gz";
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join(beside);
    let path = env::var_os("X2NIX_OPAM_REPOSITORY").map_or(beside, PathBuf::from);
    if !path.is_file() {
        return;
    }
    let options = OpenOptions { markers: vec!["packages".into()], ..OpenOptions::default() };
    let cache = tempfile::tempdir().unwrap();
    let opener = Opener::new(Some(cache.path().to_owned()));
    let open = || opener.open(&path, &options).unwrap();

    let mut group = criterion.benchmark_group("opam-repository");
    group.sample_size(10);
    group.bench_function("cold", |bench| {
        bench.iter(|| {
            let _ = fs::remove_dir_all(cache.path().join("packs"));
            open()
        });
    });
    let folder = tempfile::tempdir().unwrap();
    for (format, path) in compressed(&path, folder.path()) {
        let open = || Opener::new(None).open(&path, &options).unwrap();
        group.bench_function(format!("cold {format}"), |bench| bench.iter(open));
    }
    open();
    group.bench_function("warm", |bench| bench.iter(open));

    let inputs = Inputs::new();
    let tree = inputs.add(open());
    let paths = list_all(&inputs, tree);
    group.bench_function("list all", |bench| bench.iter(|| list_all(&inputs, tree)));
    let request = ReadRequest { tree, paths };
    group.bench_function("read all", |bench| bench.iter(|| inputs.read(&request).unwrap()));

    let folder = tempfile::tempdir().unwrap();
    let gzip = flate2::read::GzDecoder::new(fs::File::open(&path).unwrap());
    tar::Archive::new(gzip).unpack(folder.path()).unwrap();
    let open = || Opener::new(None).open(folder.path(), &options).unwrap();
    group.bench_function("folder hash", |bench| bench.iter(|| open().hash().unwrap().to_owned()));
    let inputs = Inputs::new();
    let tree = inputs.add(open());
    group.bench_function("folder list all", |bench| bench.iter(|| list_all(&inputs, tree)));
    let request = ReadRequest { tree, ..request };
    group.bench_function("folder read all", |bench| bench.iter(|| inputs.read(&request).unwrap()));
}

/// The same archive in the other formats.
fn compressed(path: &Path, folder: &Path) -> [(&'static str, PathBuf); 2] {
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(fs::File::open(path).unwrap()).read_to_end(&mut tar).unwrap();
    let (xz, zst) = (folder.join("repository.tar.xz"), folder.join("repository.tar.zst"));
    let options = lzma_rust2::XzOptions::with_preset(6);
    let mut writer = lzma_rust2::XzWriter::new(fs::File::create(&xz).unwrap(), options).unwrap();
    writer.write_all(&tar).unwrap();
    writer.finish().unwrap();
    fs::write(&zst, zstd::encode_all(&tar[..], 19).unwrap()).unwrap();
    [("xz", xz), ("zst", zst)]
}

/// Every file, found wave by wave as a plugin does it.
fn list_all(inputs: &Inputs, tree: TreeId) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![String::new()];
    while !folders.is_empty() {
        let request = ListRequest::new(tree, std::mem::take(&mut folders));
        let answer = inputs.list(&request).unwrap();
        for (folder, entries) in request.folders.iter().zip(answer.listings) {
            for entry in entries.unwrap() {
                let slash = if folder.is_empty() { "" } else { "/" };
                let path = format!("{folder}{slash}{}", entry.name);
                if entry.folder { folders.push(path) } else { files.push(path) }
            }
        }
    }
    files
}

criterion_group!(benches, inputs);
criterion_main!(benches);
