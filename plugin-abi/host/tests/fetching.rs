//! Archives behind an address: a small server on this machine answers well, badly, or not at all.
#![allow(clippy::unwrap_used)]

#[path = "support/server.rs"]
mod server;
mod support;

use server::{Reply, Server};
use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use support::*;
use x2nix_plugin_host::inputs::{Locked, Network, OpenOptions, Opener, Place, Progress, Tree};
use x2nix_protocol::{Fault, PluginResult};

fn network() -> Network {
    let moment = Duration::from_millis(300);
    let pause = Duration::from_millis(1);
    let (connect, silence, total) = (moment, moment, 10 * moment);
    Network { size: 64 << 10, connect, silence, total, pause, proxies: false, ..Network::default() }
}

fn offline() -> Network {
    Network { offline: true, ..network() }
}

fn fetch(url: &str, cache: &Path, network: Network) -> PluginResult<Tree> {
    fetch_locked(url, cache, network, None)
}

fn fetch_locked(
    url: &str,
    cache: &Path,
    network: Network,
    locked: Option<Locked>,
) -> PluginResult<Tree> {
    let options = OpenOptions { locked, ..OpenOptions::default() };
    opener(Some(cache)).with_network(network).open_place(&Place::parse(url).unwrap(), &options)
}

fn archive(text: &str) -> Vec<u8> {
    Tgz::new().file("d/f", text).file("e/g", "other").bytes()
}

#[track_caller]
fn refused(result: PluginResult<Tree>, code: &str, fault: Fault) {
    let error = result.unwrap_err();
    assert_eq!((error.code.as_str(), error.fault), (code, fault), "{error:?}");
    assert!(error.help.is_some(), "{error:?}");
}

#[test]
fn an_archive_is_fetched_once_and_asked_for_again_only_if_it_changed() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path();
    let server = Server::new(|asked, number| {
        let (tag, text) = if number < 3 { ("\"one\"", "one") } else { ("\"two\"", "two") };
        match asked.header("if-none-match") {
            Some(known) if known == tag => Reply::new(304, ""),
            _ => Reply::new(200, archive(text)).header("ETag", tag),
        }
    });
    let url = server.url("repo.tar.gz");
    let tree = fetch(&url, cache, network()).unwrap();
    assert_eq!(tree.read("d/f"), found("one"));
    assert_eq!((tree.location(), tree.label()), (Some(url.as_str()), url.as_str()));
    let path = folder.path().join("same.tar.gz");
    fs::write(&path, archive("one")).unwrap();
    assert_eq!(tree.hash(), open(&path, None).hash(), "as of the same file");
    let one = Locked { location: url.clone(), hash: tree.hash().unwrap().to_owned() };

    for _ in 0..2 {
        assert_eq!(fetch(&url, cache, network()).unwrap().read("d/f"), found("one"));
    }
    assert_eq!(fetch(&url, cache, offline()).unwrap().read("d/f"), found("one"));
    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked[0].line.starts_with("GET /repo.tar.gz "));
    assert_eq!(asked[0].header("if-none-match"), None);
    assert_eq!(asked[2].header("if-none-match"), Some("\"one\""));
    assert!(asked[0].header("user-agent").unwrap().starts_with("x2nix/"));

    assert_eq!(fetch(&url, cache, network()).unwrap().read("d/f"), found("two"));
    // What the lock names stays, without a word to the server, although upstream has moved on.
    server.asked();
    let tree = fetch_locked(&url, cache, network(), Some(one.clone())).unwrap();
    assert_eq!((tree.read("d/f"), tree.notes().len()), (found("one"), 0));
    assert_eq!(server.asked().len(), 0);
    // Where nobody has it any more, what there is now is taken, and said.
    let empty = tempfile::tempdir().unwrap();
    let tree = fetch_locked(&url, empty.path(), network(), Some(one.clone())).unwrap();
    assert_eq!((tree.read("d/f"), &*tree.notes()[0].code), (found("two"), "input::moved"));
    assert_ne!(tree.hash().unwrap(), one.hash);
}

#[test]
fn the_time_of_change_serves_where_there_is_no_tag() {
    let folder = tempfile::tempdir().unwrap();
    let time = "Wed, 21 Oct 2015 07:28:00 GMT";
    let server = Server::new(move |asked, _| match asked.header("if-modified-since") {
        Some(_) => Reply::new(304, ""),
        None => Reply::new(200, archive("text")).header("Last-Modified", time),
    });
    for _ in 0..2 {
        let tree = fetch(&server.url("a"), folder.path(), network()).unwrap();
        assert_eq!(tree.read("d/f"), found("text"));
    }
    assert_eq!(server.asked()[1].header("if-modified-since"), Some(time));
    // Without the pack, there is nothing to keep.
    fs::remove_dir_all(folder.path().join("packs")).unwrap();
    refused(fetch(&server.url("a"), folder.path(), offline()), "input::offline", Fault::Access);
    assert!(fetch(&server.url("a"), folder.path(), network()).is_ok());
    // A record that is none is no record.
    let urls = folder.path().join("urls");
    let record = fs::read_dir(&urls).unwrap().next().unwrap().unwrap().path();
    for text in ["", "{}", "no JSON", "{\"place\": \"another\"}"] {
        fs::write(&record, text).unwrap();
        server.asked();
        assert!(fetch(&server.url("a"), folder.path(), network()).is_ok());
        assert_eq!(server.asked()[0].header("if-modified-since"), None);
    }
}

#[test]
fn offline_without_a_cache_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let error = fetch("http://127.0.0.1:9/x", folder.path(), offline()).unwrap_err();
    assert_eq!((error.code.as_str(), error.fault), ("input::offline", Fault::Access));
    assert!(error.message.contains("http://127.0.0.1:9/x"), "{}", error.message);
}

#[test]
fn what_may_pass_is_tried_again_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    for status in [500, 503, 429] {
        let server = Server::new(move |_, number| match number {
            0 => Reply::new(status, "sorry").header("Retry-After", "0"),
            _ => Reply::new(200, archive("text")),
        });
        let tree = fetch(&server.url("a"), folder.path(), network()).unwrap();
        assert_eq!(tree.read("d/f"), found("text"));
        assert_eq!(server.asked().len(), 2);
    }
    for (status, times) in [(404, 1), (403, 1), (204, 1), (304, 1), (502, 4)] {
        let server = Server::new(move |_, _| Reply::new(status, ""));
        let error = fetch(&server.url("a"), folder.path(), network()).unwrap_err();
        assert_eq!((&*error.code, error.fault), ("input::http-status", Fault::Access));
        assert!(error.message.contains(&status.to_string()), "{}", error.message);
        assert_eq!(server.asked().len(), times, "{status}");
    }
    // Nobody is there any more.
    let url = Server::new(|_, _| Reply::new(200, "")).url("a");
    refused(fetch(&url, folder.path(), network()), "input::unreachable", Fault::Access);
}

#[test]
fn a_body_of_the_wrong_length_is_no_archive() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::new(|_, number| {
        let body = archive("text");
        let length = body.len() + 10;
        if number == 0 { Reply::new(200, body).length(length) } else { Reply::new(200, body) }
    });
    assert!(fetch(&server.url("a"), folder.path(), network()).is_ok());
    assert_eq!(server.asked().len(), 2, "cut off once");
    let server = Server::new(|_, _| Reply::new(200, archive("text")).length(1 << 15));
    refused(fetch(&server.url("a"), folder.path(), network()), "input::unreachable", Fault::Access);
    // The server says less than it sends: what it says counts, and that is not whole.
    let server = Server::new(|_, _| Reply::new(200, archive("text")).length(40));
    let result = fetch(&server.url("a"), folder.path(), network());
    refused(result, "input::broken-archive", Fault::Input);
    let server = Server::new(|_, _| Reply::new(200, "<!doctype html>"));
    let result = fetch(&server.url("a"), folder.path(), network());
    refused(result, "input::unsupported-archive", Fault::Input);
}

#[test]
fn what_is_too_large_or_too_slow_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let large = || Server::new(|_, _| Reply::new(200, vec![b'x'; 65 << 10]));
    let server = large();
    refused(fetch(&server.url("a"), folder.path(), network()), "input::too-large", Fault::Input);
    assert_eq!(server.asked().len(), 1);
    // Without a length, it is counted.
    let server = Server::new(|_, _| {
        let body = format!("{:x}\r\n{}\r\n0\r\n\r\n", 70 << 10, "x".repeat(70 << 10));
        Reply::new(200, body).header("Transfer-Encoding", "chunked")
    });
    refused(fetch(&server.url("a"), folder.path(), network()), "input::too-large", Fault::Input);

    let server = Server::new(|_, _| Reply::new(200, archive("text")).pause(Duration::from_secs(2)));
    let started = Instant::now();
    refused(fetch(&server.url("a"), folder.path(), network()), "input::timeout", Fault::Access);
    assert!(started.elapsed() < Duration::from_millis(1900), "did not wait for the server");
}

#[test]
fn redirections_are_followed_but_not_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::new(|asked, _| match asked.line.split(' ').nth(1).unwrap() {
        "/start" => Reply::new(302, "").header("Location", "/next"),
        "/next" => Reply::new(200, archive("text")),
        "/out" => Reply::new(302, "").header("Location", "file:///etc/passwd"),
        _ => Reply::new(302, "").header("Location", "/loop"),
    });
    let tree = fetch(&server.url("start"), folder.path(), network()).unwrap();
    assert_eq!(tree.location(), Some(server.url("start").as_str()));
    refused(
        fetch(&server.url("loop"), folder.path(), network()),
        "input::redirects",
        Fault::Access,
    );
    assert!(server.asked().len() <= 12);
    let error = fetch(&server.url("out"), folder.path(), network()).unwrap_err();
    assert_eq!(error.fault, Fault::Access);
}

#[test]
fn a_damaged_pack_is_fetched_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::new(|_, _| Reply::new(200, archive("text")));
    let tree = fetch(&server.url("a"), folder.path(), network()).unwrap();
    drop(tree);
    let tree = fetch(&server.url("a"), folder.path(), network()).unwrap();
    let locked = Locked { location: server.url("a"), hash: tree.hash().unwrap().to_owned() };
    let warm = fetch_locked(&server.url("a"), folder.path(), network(), Some(locked)).unwrap();
    let pack = pack_in(folder.path());
    let length = fs::metadata(&pack).unwrap().len();
    let file = fs::File::options().write(true).open(pack).unwrap();
    file.set_len(length - 9).unwrap();
    file.set_len(length).unwrap();
    server.asked();
    assert_eq!(warm.read("e/g"), found("other"));
    assert_eq!(warm.read("d/f"), found("text"));
    assert_eq!(server.asked().len(), 1);
}

#[derive(Debug, Default)]
struct Seen(Mutex<Vec<String>>);

impl Progress for Seen {
    fn begins(&self, what: &str, size: Option<u64>) {
        self.0.lock().unwrap().push(format!("{} {}", what.ends_with("/a"), size.is_some()));
    }

    fn reached(&self, _: u64) {
        self.0.lock().unwrap().push("more".into());
    }

    fn ends(&self) {
        self.0.lock().unwrap().push("end".into());
    }
}

#[test]
fn progress_is_told_and_nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::new(|_, _| Reply::new(200, archive("text")));
    let seen = Arc::new(Seen::default());
    let opener = Opener::new(Some(folder.path().to_owned()))
        .with_network(network())
        .with_progress(Arc::clone(&seen) as Arc<dyn Progress>);
    let place = Place::parse(&server.url("a")).unwrap();
    opener.open_place(&place, &OpenOptions::default()).unwrap();
    let seen = seen.0.lock().unwrap();
    assert_eq!((&*seen[0], &**seen.last().unwrap()), ("true true", "end"));
    assert!(seen.iter().any(|line| line == "more"));
    assert_eq!(fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
    // A cache that cannot be used is done without.
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(fetch(&server.url("a"), &file, network()).is_ok());
}
