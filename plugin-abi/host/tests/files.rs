//! Single files behind addresses, as a plugin fetches them: a small server on this machine.
#![allow(clippy::unwrap_used)]

#[path = "support/server.rs"]
mod server;

use server::{Reply, Server};
use std::{fs, path::Path, time::Duration};
use x2nix_plugin_host::{
    hash::{Algorithm, Hash, copy},
    inputs::{Inputs, Network, OpenOptions, Opener, Place},
};
use x2nix_protocol::{
    Blob, Diagnostic, Fault, FetchFile, FetchRequest, Fetched, Host, Hosts, PluginResult,
};

const MUCH: u64 = 1 << 20;

fn network() -> Network {
    let moment = Duration::from_millis(500);
    let pause = Duration::from_millis(1);
    let (connect, silence, total) = (moment, moment, 10 * moment);
    Network { size: 64 << 10, connect, silence, total, pause, proxies: false, ..Network::default() }
}

fn offline() -> Network {
    Network { offline: true, ..network() }
}

/// The host of a new conversation.
fn host(cache: &Path, network: Network, keep: u64) -> Inputs {
    let opener = Opener::new(Some(cache.to_owned())).with_network(network);
    Inputs::new().with_files(opener.files("toy", keep))
}

fn file(url: &str) -> FetchFile {
    FetchFile { url: url.to_owned(), ..FetchFile::default() }
}

fn fetch(host: &Inputs, files: Vec<FetchFile>) -> Vec<Fetched> {
    host.fetch(&FetchRequest { files }).unwrap().files
}

fn hash_of(text: &str, algorithm: Algorithm) -> String {
    let hashes = copy(&mut text.as_bytes(), &mut std::io::sink(), &[algorithm], 1 << 20).unwrap();
    hashes.unwrap()[0].to_string()
}

fn found(text: &str) -> Fetched {
    let hash = hash_of(text, Algorithm::Sha256);
    Fetched::Found { content: Blob(text.as_bytes().to_vec()), hash }
}

#[track_caller]
fn failed<'f>(fetched: &'f Fetched, code: &str) -> &'f Diagnostic {
    let Fetched::Failed(error) = fetched else { panic!("{fetched:?}") };
    assert_eq!(error.code, code, "{error:?}");
    error
}

fn entries(cache: &Path) -> Vec<fs::DirEntry> {
    fs::read_dir(cache.join("files/toy")).unwrap().map(Result::unwrap).collect()
}

#[test]
fn many_files_come_in_their_order_and_each_is_asked_for_once() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::new(|asked, _| match asked.line.split(' ').nth(1).unwrap() {
        "/none" => Reply::new(404, "no"),
        "/gone" => Reply::new(410, "no"),
        "/bytes" => Reply::new(200, vec![0xff, 0]),
        path => Reply::new(200, path.to_owned()),
    });
    let names: Vec<String> = (0..30).map(|number| format!("{number}")).collect();
    let mut files: Vec<_> = names.iter().map(|name| file(&server.url(name))).collect();
    files.extend(["none", "7", "gone", "bytes"].map(|name| file(&server.url(name))));
    let inputs = host(cache.path(), network(), MUCH);
    let answer = fetch(&inputs, files.clone());
    for (name, fetched) in names.iter().zip(&answer) {
        assert_eq!(*fetched, found(&format!("/{name}")));
    }
    assert_eq!(answer[30..33], [Fetched::Missing, found("/7"), Fetched::Missing]);
    let Fetched::Found { content, .. } = &answer[33] else { panic!() };
    assert_eq!(content.0, [0xff, 0]);
    assert_eq!(server.asked().len(), 33, "7 is asked for once");
    // In the same conversation all is settled; in the next, nothing needs the network.
    assert_eq!(fetch(&inputs, files.clone()), answer);
    let later = host(cache.path(), offline(), MUCH);
    assert_eq!(fetch(&later, files), answer);
    assert_eq!(server.asked().len(), 0);
    let other = server.url("other");
    let error = fetch(&later, vec![file(&other)]).remove(0);
    let error = failed(&error, "input::offline");
    assert_eq!(error.fault, Fault::Access);
    assert!(error.message.contains(&other), "{}", error.message);
}

#[test]
fn what_has_no_hash_is_asked_for_again_only_if_it_changed() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::new(|asked, number| {
        let (tag, text) = if number < 2 { ("\"one\"", "one") } else { ("\"two\"", "two") };
        match asked.header("if-none-match") {
            Some(known) if known == tag => Reply::new(304, ""),
            _ => Reply::new(200, text).header("ETag", tag),
        }
    });
    let url = server.url("a");
    for text in ["one", "one", "two"] {
        let inputs = host(cache.path(), network(), MUCH);
        for _ in 0..2 {
            assert_eq!(fetch(&inputs, vec![file(&url)]), [found(text)]);
        }
    }
    let asked = server.asked();
    let tags: Vec<_> = asked.iter().map(|asked| asked.header("if-none-match")).collect();
    assert_eq!(tags, [None, Some("\"one\""), Some("\"one\"")]);
    // The time serves where there is no tag.
    let time = "Wed, 21 Oct 2015 07:28:00 GMT";
    let server = Server::new(move |asked, _| match asked.header("if-modified-since") {
        Some(_) => Reply::new(304, ""),
        None => Reply::new(200, "text").header("Last-Modified", time),
    });
    for _ in 0..2 {
        let inputs = host(cache.path(), network(), MUCH);
        assert_eq!(fetch(&inputs, vec![file(&server.url("b"))]), [found("text")]);
    }
    assert_eq!(server.asked()[1].header("if-modified-since"), Some(time));
}

#[test]
fn a_server_that_changes_its_mind_gives_no_second_answer() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::new(|_, number| Reply::new(200, format!("{number}")));
    let url = server.url("a");
    let inputs = host(cache.path(), network(), MUCH);
    assert_eq!(fetch(&inputs, vec![file(&url)]), [found("0")]);
    fs::remove_dir_all(cache.path().join("files")).unwrap();
    failed(&fetch(&inputs, vec![file(&url)])[0], "input::changed");
    // What cannot be kept at all is held.
    for keep in [0, 40] {
        let inputs = host(cache.path(), network(), keep);
        let first = fetch(&inputs, vec![file(&url)]);
        assert_eq!(fetch(&inputs, vec![file(&url)]), first);
    }
}

#[test]
fn what_has_a_hash_is_fetched_once_and_has_to_be_that() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::new(|_, number| Reply::new(200, if number < 4 { "text" } else { "evil" }));
    let with = |path: &str, hash: String| FetchFile { hash: Some(hash), ..file(&server.url(path)) };
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512, Algorithm::Sha1, Algorithm::Md5] {
        let hash = hash_of("text", algorithm);
        for network in [network(), network(), offline()] {
            let inputs = host(cache.path(), network, MUCH);
            assert_eq!(fetch(&inputs, vec![with("a", hash.clone())]), [found("text")]);
            // Named by its content, from wherever.
            assert_eq!(fetch(&inputs, vec![with("b", hash.clone())]), [found("text")]);
        }
    }
    assert_eq!(server.asked().len(), 4);
    let inputs = host(cache.path(), network(), MUCH);
    let other = hash_of("other", Algorithm::Sha512);
    let answer = fetch(&inputs, vec![with("a", other.clone())]);
    let error = failed(&answer[0], "input::hash");
    let own = hash_of("evil", Algorithm::Sha512);
    assert!(error.message.contains(&own) && error.message.contains(&other), "{}", error.message);
    // A damaged entry is none.
    for entry in entries(cache.path()) {
        let mut bytes = fs::read(entry.path()).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(entry.path(), bytes).unwrap();
    }
    let inputs = host(cache.path(), offline(), MUCH);
    let answer = fetch(&inputs, vec![with("a", hash_of("text", Algorithm::Sha256))]);
    failed(&answer[0], "input::offline");
    for (bad, code) in [
        (with("a", "sha256-AAAA".into()), "input::hash"),
        (file("file:///etc/passwd"), "input::unsupported-place"),
        (file("/etc/passwd"), "input::address"),
        (file("git+https://127.0.0.1/a"), "input::address"),
        (file(""), "input::address"),
    ] {
        let Fetched::Failed(error) = &fetch(&inputs, vec![bad.clone()])[0] else { panic!() };
        assert!(error.code == code || bad.url.starts_with("file"), "{bad:?} {error:?}");
    }
}

#[test]
fn sizes_are_bounded() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::new(|_, _| Reply::new(200, "0123456789"));
    let limited = |limit| FetchFile { limit: Some(limit), ..file(&server.url("a")) };
    let inputs = host(cache.path(), network(), MUCH);
    failed(&fetch(&inputs, vec![limited(9)])[0], "input::too-large");
    assert_eq!(fetch(&inputs, vec![limited(10)]), [found("0123456789")]);
    // What is kept is not given either.
    let answer = fetch(&inputs, vec![limited(10), limited(9)]);
    failed(&answer[1], "input::too-large");
    assert_eq!(answer[0], found("0123456789"));
    // Nor is more than the host allows.
    let large = Server::new(|_, _| Reply::new(200, vec![b'x'; 65 << 10]));
    failed(&fetch(&inputs, vec![file(&large.url("a"))])[0], "input::too-large");
    let many = vec![file(&server.url("a")); 20_001];
    let error = inputs.fetch(&FetchRequest { files: many }).unwrap_err();
    assert_eq!(error.code, "host::fetch-too-much");
}

#[test]
fn no_more_is_kept_than_may_be() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::new(|asked, _| Reply::new(200, asked.line.repeat(20)));
    let inputs = host(cache.path(), network(), 4000);
    for number in 0..12 {
        let Fetched::Found { .. } =
            fetch(&inputs, vec![file(&server.url(&format!("{number}")))])[0]
        else {
            panic!()
        };
        let all: u64 = entries(cache.path()).iter().map(|it| it.metadata().unwrap().len()).sum();
        assert!((1..=4000).contains(&all), "{all}");
    }
    // A cache that cannot be used is done without.
    let nowhere = cache.path().join("file");
    fs::write(&nowhere, "").unwrap();
    let inputs = host(&nowhere, network(), MUCH);
    assert!(matches!(fetch(&inputs, vec![file(&server.url("a"))])[0], Fetched::Found { .. }));
}

#[test]
fn what_may_pass_is_tried_again_and_a_dead_server_costs_little() {
    let cache = tempfile::tempdir().unwrap();
    for status in [500, 503, 429] {
        let server = Server::new(move |_, number| match number {
            0 => Reply::new(status, "sorry").header("Retry-After", "0"),
            _ => Reply::new(200, "text"),
        });
        let inputs = host(cache.path(), network(), MUCH);
        assert_eq!(fetch(&inputs, vec![file(&server.url("a"))]), [found("text")]);
        assert_eq!(server.asked().len(), 2);
    }
    for (status, times) in [(403, 1), (502, 4)] {
        let server = Server::new(move |_, _| Reply::new(status, ""));
        let inputs = host(cache.path(), network(), MUCH);
        let answer = fetch(&inputs, vec![file(&server.url("a"))]);
        assert_eq!(failed(&answer[0], "input::http-status").fault, Fault::Access);
        assert_eq!(server.asked().len(), times);
    }
    let dead = Server::new(|_, _| Reply::new(200, "")).url("");
    let files: Vec<_> = (0..5000).map(|number| file(&format!("{dead}{number}"))).collect();
    // With attempts for each of them, this would take a long time.
    let patient = Network { pause: Duration::from_secs(1), attempts: 2, ..network() };
    for fetched in fetch(&host(cache.path(), patient, MUCH), files) {
        assert_eq!(failed(&fetched, "input::unreachable").fault, Fault::Access);
    }
}

#[test]
fn redirections_lead_only_to_hosts_that_may_be_reached() {
    let cache = tempfile::tempdir().unwrap();
    let other = Server::new(|_, _| Reply::new(200, "elsewhere"));
    let elsewhere = other.url("b").replace("127.0.0.1", "localhost");
    let target = elsewhere.clone();
    let server = Server::new(move |asked, _| match asked.line.split(' ').nth(1).unwrap() {
        "/out" => Reply::new(302, "").header("Location", &target),
        "/near" => Reply::new(307, "").header("Location", "a/../there#part"),
        "/there" => Reply::new(200, "there"),
        "/loop" => Reply::new(302, "").header("Location", "/loop"),
        "/file" => Reply::new(302, "").header("Location", "file:///etc/passwd"),
        "/user" => Reply::new(302, "").header("Location", "http://127.0.0.1@localhost/"),
        _ => Reply::new(302, ""),
    });
    let within = |path: &str, hosts: &[&str]| -> PluginResult<Fetched> {
        let hosts = Hosts::Only(hosts.iter().map(|&host| host.to_owned()).collect());
        let inputs = host(cache.path(), network(), MUCH);
        let request = FetchRequest { files: vec![file(&server.url(path))] };
        Ok(inputs.fetch_within(&request, &hosts)?.files.remove(0))
    };
    let out = within("out", &["127.0.0.1"]).unwrap();
    let error = failed(&out, "input::redirects");
    assert!(error.message.contains("redirected to localhost"), "{}", error.message);
    assert!(error.help.as_ref().unwrap().contains("--allow fetch=localhost"));
    assert_eq!(other.asked().len(), 0);
    assert_eq!(within("near", &["127.0.0.1"]).unwrap(), found("there"));
    failed(&within("there", &["localhost"]).unwrap(), "input::redirects");
    for path in ["loop", "file", "user", "nowhere"] {
        failed(&within(path, &["127.0.0.1"]).unwrap(), "input::redirects");
    }
    assert_eq!(within("out", &["127.0.0.1", "localhost"]).unwrap(), found("elsewhere"));
    // An archive that is opened is led no further.
    let opener = Opener::new(None).with_network(network());
    let place = Place::parse(&server.url("out")).unwrap();
    let opener = opener.within(Hosts::Only(vec!["127.0.0.1".into()]));
    let error = opener.open_place(&place, &OpenOptions::default()).unwrap_err();
    assert_eq!(error.code, "input::redirects");
    // Nor is git.
    let place = Place::parse("git+http://localhost:9/a").unwrap();
    let error = opener.open_place(&place, &OpenOptions::default()).unwrap_err();
    assert!(error.message.contains("none of the hosts"), "{}", error.message);
    assert!(Hash::of_sri(&hash_of("", Algorithm::Md5)).is_some());
}

#[test]
fn who_sends_a_byte_now_and_then_is_not_waited_for() {
    let cache = tempfile::tempdir().unwrap();
    let slow = || Reply::new(200, "text".repeat(100)).drip(Duration::from_millis(200));
    let server = Server::new(move |_, _| slow());
    let host = host(cache.path(), network(), MUCH);
    let files = (0..20).map(|number| file(&server.url(&number.to_string()))).collect();
    for fetched in fetch(&host, files) {
        assert_eq!(failed(&fetched, "input::timeout").fault, Fault::Access);
    }
    // Not tried again, nor for each file anew.
    assert!(server.asked().len() < 20);
}
