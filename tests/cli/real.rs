//! The real opam repository: the same answer from whatever form it comes in.

use crate::support::{Place, opam_repository};
use flate2::read::GzDecoder;
use std::fs::File;

const REQUESTS: [&str; 6] = ["mirage", "lwt", "core", "irmin-git", "coq", "ocaml-lsp-server"];

fn dry_run(place: &Place, repository: &str, name: &str) -> String {
    let words = format!(
        "--repo {repository} --root {name} --root ocaml-base-compiler --dry-run --format json"
    );
    let run = place.resolve(&words).exits(0);
    assert_eq!(run.stderr, "");
    run.stdout
}

#[test]
fn known_projects_have_the_same_answer_with_a_cold_and_a_warm_cache() {
    let repository = opam_repository().to_string_lossy().into_owned();
    let warm = Place::new();
    for name in REQUESTS {
        let text = dry_run(&warm, &repository, name);
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["status"], "solved");
        let packages = answer["packages"].as_array().unwrap();
        let names: Vec<_> =
            packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
        assert!(names.is_sorted(), "{names:?}");
        assert!(names.contains(&name) && names.contains(&"ocaml-base-compiler"), "{names:?}");
        for package in packages {
            assert_eq!(package["ecosystem"], "opam");
            assert_eq!(package["placement"], "derivation");
            assert!(!package["roles"].as_array().unwrap().is_empty(), "{package}");
        }
        assert_eq!(dry_run(&warm, &repository, name), text, "{name}, warm");
        assert_eq!(dry_run(&Place::new(), &repository, name), text, "{name}, cold");
    }
    assert!(!warm.names(".cache/x2nix").is_empty(), "nothing was cached");
}

#[test]
fn a_folder_has_the_answers_of_its_archive() {
    let repository = opam_repository();
    let place = Place::new();
    let folder = if repository.is_dir() {
        repository.clone()
    } else {
        let folder = place.path("unpacked");
        tar::Archive::new(GzDecoder::new(File::open(&repository).unwrap()))
            .unpack(&folder)
            .unwrap();
        // Archives of hosts have one folder around all.
        let inner = place.names("unpacked");
        match &inner[..] {
            [only] if only != "packages" => folder.join(only),
            _ => folder,
        }
    };
    let (folder, repository) = (folder.to_string_lossy(), repository.to_string_lossy());
    for name in ["mirage", "ocaml-lsp-server"] {
        assert_eq!(dry_run(&place, &folder, name), dry_run(&place, &repository, name), "{name}");
    }
}
