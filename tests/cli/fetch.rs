//! `x2nix fetch`: sources reach the real Nix store, every checksum verified, from folders alone.
#![allow(clippy::unwrap_used)]

mod package_set;
#[path = "../../plugin-abi/host/tests/support/server.rs"]
mod server;
mod sources;
#[allow(dead_code)] // the other test programs use all of it
mod support;

use sha2::{Digest, Sha256};
use std::{env, process::Command, time};
use support::{Place, Run};

/// None where there is no Nix to test with.
fn place() -> Option<Place> {
    let found = Command::new("nix-store").arg("--version").output().is_ok();
    assert!(
        found || env::var_os("X2NIX_REQUIRE_NIX").is_none(),
        "X2NIX_REQUIRE_NIX is set, but there is no nix-store"
    );
    found.then(Place::new)
}

/// Runs the command with the Nix of this test run.
fn fetch(place: &Place, words: &str) -> Run {
    let mut command = place.command(words);
    for variable in ["PATH", "NIX_CONF_DIR"] {
        command.envs(env::var_os(variable).map(|value| (variable, value)));
    }
    Run::of(&mut command)
}

fn hex(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// A project whose one package has a source with this content, which no store has yet.
fn project(place: &Place, checksum: &str) {
    place.repository(
        "repo",
        &[("a.1", &format!("build: [\"make\"]\nurl {{ src: \"https://host.invalid/a-1.tar.gz\" checksum: \"sha256={checksum}\" }}\n"))],
    );
    place.resolve("--repo repo --root a").exits(0);
}

fn fresh() -> Vec<u8> {
    let now = time::SystemTime::now().duration_since(time::UNIX_EPOCH).unwrap();
    format!("{} {now:?}", std::process::id()).into_bytes()
}

#[test]
fn a_source_comes_from_a_folder_by_name_or_by_hash_and_only_once() {
    for layout in ["a-1.tar.gz", "sha256/XX/HASH", "sha256/HASH"] {
        let Some(place) = place() else { return };
        let content = fresh();
        let hash = hex(&content);
        project(&place, &hash);
        place.write(
            &format!("from/{}", layout.replace("XX", &hash[..2]).replace("HASH", &hash)),
            &content,
        );
        let first = fetch(&place, "fetch --offline --from from --format json").exits(0).json();
        assert_eq!(
            (&first["from_folders"], &first["already_there"]),
            (&1.into(), &0.into()),
            "{layout}"
        );
        let again = fetch(&place, "fetch --offline --format json").exits(0).json();
        assert_eq!(
            (&again["from_folders"], &again["already_there"]),
            (&0.into(), &1.into()),
            "{layout}"
        );
    }
}

/// A cache of opam's has what is no longer at its own address, and may not have something else.
#[test]
fn a_source_comes_from_a_cache_behind_an_address() {
    let Some(place) = place() else { return };
    let content = fresh();
    let hash = hex(&content);
    project(&place, &hash);
    let path = format!("/cache/sha256/{}/{hash}", &hash[..2]);
    let (there, served) = (path.clone(), content.clone());
    let server = server::Server::new(move |asked, _| {
        let right = asked.line.split(' ').nth(1) == Some(&there);
        server::Reply::new(200, if right { served.clone() } else { b"another".to_vec() })
    });
    let words = |cache: &str| format!("fetch --from {} --format json", server.url(cache));
    fetch(&place, &words("other")).exits(4).answers("fetch::checksum");
    let done = fetch(&place, &words("cache/")).exits(0).json();
    assert_eq!((&done["fetched"], &done["from_folders"]), (&1.into(), &0.into()));
    assert_eq!(done["sources"]["a@1"]["from"], server.url(&path[1..]));
}

#[test]
fn a_file_with_another_checksum_is_not_taken() {
    let Some(place) = place() else { return };
    project(&place, &hex(&fresh()));
    place.write("from/a-1.tar.gz", "something else");
    let run = fetch(&place, "fetch --offline --from from").exits(4);
    run.says("fetch::checksum").says("a-1.tar.gz (a@1)").says("is sha256-").says("--from");
}

#[test]
fn a_source_that_is_nowhere_is_named() {
    let Some(place) = place() else { return };
    project(&place, &hex(&fresh()));
    let run = fetch(&place, "fetch --offline").exits(3);
    run.says("fetch::missing").says("a-1.tar.gz (a@1)").says("--from");
}

#[test]
fn a_name_that_leads_elsewhere_becomes_a_plain_one() {
    let Some(place) = place() else { return };
    let content = fresh();
    project(&place, &hex(&content));
    place.write(&format!("from/{}", hex(&content)), &content);
    place.edit("x2nix.lock.json", "\"name\": \"a-1.tar.gz\"", "\"name\": \"../../a\"");
    let done = fetch(&place, "fetch --offline --from from --format json").exits(0).json();
    let path = done["sources"]["a@1"]["path"].as_str().unwrap_or_default().to_owned();
    assert_eq!(path.matches('/').count(), "/nix/store/name".matches('/').count(), "{path}");
}
