//! What carrying the opam plugin costs: starting it from its file, and a request of median size on the real
//! repository over each carrier, the inputs warm.
//!
//! `plugin-abi/build-plugin x2nix-opam-plugin` first, then
//! `cargo bench -p x2nix-plugin-carriers --bench carriers`; the repository comes from `X2NIX_OPAM_REPOSITORY`.
//! `benches/plugins` measures whole processes.

#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{Criterion, criterion_group, criterion_main};
use std::{hint::black_box, path::PathBuf, sync::Arc};
use x2nix_core::{
    Request, RequestInput,
    protocol::{Host, Input, InputKind, Plugin, TreeId},
    resolve,
};
use x2nix_opam::OpamPlugin;
use x2nix_plugin_carriers::Loader;
use x2nix_plugin_host::{
    carrier::through_json,
    inputs::{Inputs, OpenOptions, Opener},
};

/// The median of all requests for one package has as many packages as this one.
const ROOT: &str = "mirage";

fn carriers(c: &mut Criterion) {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let folder = target.parent().unwrap().join("plugins");
    let loader = Loader { cache: Some(target.join("bench-cache")), ..Loader::default() };
    let beside =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/opam/opam-repository.tar.gz");
    let repository = std::env::var_os("X2NIX_OPAM_REPOSITORY");
    let repository = repository.map_or_else(|| beside.into(), PathBuf::from);
    let tree =
        Opener::new(loader.cache.clone()).open(&repository, &OpenOptions::default()).unwrap();
    let inputs = Inputs::new();
    inputs.add(tree);
    let host: Arc<dyn Host> = Arc::new(inputs);
    let (tree, kind, label) = (TreeId(0), InputKind::Repository, "opam-repository".to_owned());
    let request = Request {
        inputs: vec![RequestInput {
            input: Input { tree, kind, label: label.clone() },
            location: label,
            hash: Some("sha256-".into()),
        }],
        roots: vec![ROOT.into(), "ocaml-base-compiler".into()],
        platforms: vec!["x86_64-linux".into()],
        build: true,
        ..Request::default()
    };
    let mut group = c.benchmark_group(ROOT);
    let mut run = |name: &str, plugin: &dyn Plugin| {
        group.bench_function(name, |b| b.iter(|| resolve(plugin, &host, &request).unwrap()));
    };
    run("linked in", &OpamPlugin);
    run("linked in, through JSON", &through_json(Arc::new(OpamPlugin)));
    let files = [("native", "so"), ("component", "wasm")]
        .map(|(name, extension)| (name, folder.join(format!("x2nix_opam_plugin.{extension}"))));
    for (name, file) in &files {
        run(name, &loader.load(&loader.read(file).unwrap()).unwrap());
    }
    group.finish();
    let mut group = c.benchmark_group("start");
    for (name, file) in &files {
        group.bench_function(*name, |b| {
            b.iter(|| black_box(loader.load(&loader.read(file).unwrap()).unwrap()));
        });
    }
    group.finish();
}

criterion_group!(benches, carriers);
criterion_main!(benches);
