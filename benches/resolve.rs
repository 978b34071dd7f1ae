//! The stages of resolving, on the real opam repository: opening it, parsing all of it, and for a
//! small and a large request loading, solving with and without optimising, verifying, locking.
//!
//! `cargo bench -p x2nix-core --bench resolve`; the repository comes from `X2NIX_OPAM_REPOSITORY`.

#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{Criterion, criterion_group, criterion_main};
use std::{hint::black_box, path::PathBuf, sync::Arc};
use x2nix_core::{
    Request, RequestInput, lock,
    model::{self, Universe},
    protocol::{
        FileContent, Host, Input, InputKind, ListRequest, OpenRequest, Plugin, ReadRequest, TreeId,
    },
    resolve,
    solve::{Outcome, Preference, solve, verify},
};
use x2nix_opam::{OpamPlugin, package::OpamFile};
use x2nix_plugin_host::inputs::{Inputs, OpenOptions, Opener};

const REQUESTS: [&str; 2] = ["lwt", "irmin-git"];
const PLATFORM: &str = "x86_64-linux";

fn repository() -> PathBuf {
    let beside =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/opam/opam-repository.tar.gz");
    let path =
        std::env::var_os("X2NIX_OPAM_REPOSITORY").map_or_else(|| beside.into(), PathBuf::from);
    assert!(path.exists(), "set X2NIX_OPAM_REPOSITORY to an archive of the opam repository");
    path
}

fn input() -> Input {
    Input { tree: TreeId(0), kind: InputKind::Repository, label: "opam-repository".into() }
}

fn universe(host: &Arc<dyn Host>, root: &str) -> Universe {
    let question = OpenRequest {
        inputs: vec![input()],
        roots: vec![root.into(), "ocaml-base-compiler".into()],
        platform: PLATFORM.into(),
        ..OpenRequest::default()
    };
    let mut opened = OpamPlugin.open(Arc::clone(host), &question).unwrap();
    model::load(opened.session.as_mut(), opened.answer).unwrap().0
}

/// All opam files of the repository.
fn opam_files(host: &dyn Host) -> Vec<Vec<u8>> {
    let list = |folders: Vec<String>| {
        let listings = host.list(&ListRequest::new(TreeId(0), folders.clone())).unwrap().listings;
        let below = |(folder, listing): (String, Option<Vec<_>>)| {
            let entries: Vec<x2nix_core::protocol::Entry> = listing.unwrap_or_default();
            entries
                .into_iter()
                .filter(|entry| entry.folder)
                .map(move |entry| format!("{folder}/{}", entry.name))
        };
        folders.into_iter().zip(listings).flat_map(below).collect::<Vec<_>>()
    };
    let paths = list(list(vec!["packages".into()]))
        .into_iter()
        .map(|folder| format!("{folder}/opam"))
        .collect();
    let files = host.read(&ReadRequest { tree: TreeId(0), paths }).unwrap().files;
    files
        .into_iter()
        .filter_map(|file| match file {
            FileContent::Found(bytes) => Some(bytes.0),
            _ => None,
        })
        .collect()
}

fn stages(c: &mut Criterion) {
    let cache = cache_folder();
    let open = || {
        let opener = Opener::new(Some(cache.clone()));
        let tree = opener.open(&repository(), &OpenOptions::default()).unwrap();
        let inputs = Inputs::new();
        inputs.add(tree);
        Arc::new(inputs) as Arc<dyn Host>
    };
    let host = open();
    c.bench_function("index: open the cached repository", |b| b.iter(&open));
    let files = opam_files(host.as_ref());
    c.bench_function("parse: all opam files", |b| {
        b.iter(|| files.iter().filter(|file| OpamFile::parse(black_box(file)).is_ok()).count());
    });

    let criteria = OpamPlugin.describe().policies.remove("default").unwrap();
    for root in REQUESTS {
        let mut group = c.benchmark_group(root);
        group.bench_function("load", |b| b.iter(|| universe(&host, root)));
        let facts = universe(&host, root);
        let first = Preference::default();
        group.bench_function("encode and solve", |b| b.iter(|| solve(&facts, &first).unwrap()));
        let best = Preference { criteria: &criteria, ..Preference::default() };
        group.bench_function("encode, solve and improve", |b| {
            b.iter(|| solve(&facts, &best).unwrap());
        });
        let Outcome::Solved(answer) = solve(&facts, &best).unwrap() else {
            panic!("{root} has an answer")
        };
        group.bench_function("verify", |b| b.iter(|| verify(&facts, &answer.chosen)));
        let request = Request {
            inputs: vec![RequestInput {
                input: input(),
                location: "opam-repository".into(),
                hash: Some("sha256-".into()),
            }],
            roots: vec![root.into(), "ocaml-base-compiler".into()],
            platforms: vec![PLATFORM.into()],
            ..Request::default()
        };
        let resolution = resolve(&OpamPlugin, &host, &request).unwrap();
        group.bench_function("lock", |b| b.iter(|| lock::write(&resolution.lock)));
        group.bench_function("all", |b| b.iter(|| resolve(&OpamPlugin, &host, &request).unwrap()));
        group.finish();
    }
}

/// A cache of the benchmark's own, under the build folder.
fn cache_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench-cache")
}

criterion_group!(benches, stages);
criterion_main!(benches);
