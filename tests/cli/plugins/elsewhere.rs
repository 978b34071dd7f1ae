//! What a plugin fetches through its host.

use super::{remote, support::Place};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
};

/// A server of files on this machine, for as long as a test runs; it counts what it is asked.
struct Server {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(files: impl Fn(&str) -> Option<String> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        // Ends with the test program.
        thread::spawn(move || {
            for stream in listener.incoming().take(500) {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let first = lines.next().unwrap_or_default();
                lines.take_while(|line| !line.is_empty()).for_each(drop);
                let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
                let (status, body) = match files(&path) {
                    Some(to) if to.starts_with("http:") => {
                        (format!("302 Found\r\nLocation: {to}"), String::new())
                    }
                    Some(body) => ("200 OK".to_owned(), body),
                    None => ("404 Not Found".to_owned(), String::new()),
                };
                log.lock().unwrap().push(path);
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        Self { address, asked }
    }

    /// How often something was asked since the last look.
    fn asked(&self) -> usize {
        std::mem::take(&mut *self.asked.lock().unwrap()).len()
    }
}

#[test]
fn files_elsewhere_are_fetched_by_the_host_whatever_carries_the_plugin() {
    let server = Server::new(|path| match path {
        "/app" => Some("2.0 lib gone\n1.0 lib tool\n".into()),
        "/lib" => Some("1.1\n1.0\n".into()),
        "/tool" => Some("3 lib\n".into()),
        _ => None,
    });
    let files = remote();
    let mut locks = Vec::new();
    for carrier in [
        format!("--plugin {}", files.component.display()),
        format!("--plugin {} --trust-native", files.native.display()),
        format!("--plugin {} --trust-native --isolate --validate-plugin", files.native.display()),
    ] {
        let place = Place::new();
        fs::create_dir(place.path("repo")).unwrap();
        let words = format!(
            "resolve --ecosystem remote --platform x86_64-linux --repo repo --root app \
             --env INDEX={} --lock - --nix /dev/null {carrier}",
            server.address
        );
        let run = place.x2nix(&words).exits(2);
        let grants = "asks for cache=65536, fetch=@configured";
        assert!(run.stderr.contains(grants), "{}", run.stderr);
        let granted = format!("{words} --allow cache=65536 --allow fetch=@configured");
        assert_eq!(server.asked(), 0);
        let run = place.x2nix(&format!("{granted} --record said.json")).exits(0);
        // Name by name, and each once: of `gone` the server says that there is no such file.
        assert_eq!(server.asked(), 4);
        let mut lock: Value = serde_json::from_str(&run.stdout).unwrap();
        let packages = lock["packages"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(packages, ["app@1.0", "lib@1.1", "tool@3"]);
        lock.as_object_mut().unwrap().remove("plugin");
        locks.push(lock);
        // What is kept serves offline, and what was said plays again without any server.
        assert_eq!(place.x2nix(&format!("{granted} --offline")).exits(0).stdout, run.stdout);
        let file = carrier.split(' ').nth(1).unwrap();
        place.x2nix(&format!("plugin test {file} --trust-native --replay said.json")).exits(0);
        assert_eq!(server.asked(), 0);
        let run = place.x2nix(&format!("{granted} --offline --root other")).exits(3);
        assert!(run.stderr.contains("input::offline"), "{}", run.stderr);
    }
    assert!(locks.iter().all(|lock| *lock == locks[0]));
}

#[test]
fn no_other_hosts_are_reached_than_those_that_were_granted() {
    let inner = Server::new(|_| Some("1.0\n".into()));
    let elsewhere = inner.address.replace("127.0.0.1", "localhost") + "/app";
    let server = Server::new(move |_| Some(elsewhere.clone()));
    let place = Place::new();
    fs::create_dir(place.path("repo")).unwrap();
    let words = |more: &str| {
        format!(
            "resolve --ecosystem remote --platform x86_64-linux --repo repo --root app --dry-run \
             --allow cache=65536 --plugin {} {more}",
            remote().component.display()
        )
    };
    let index = &server.address;
    let run =
        place.x2nix(&words(&format!("--allow fetch=@configured --env INDEX={index}"))).exits(3);
    assert!(run.stderr.contains("redirected to localhost"), "{}", run.stderr);
    assert_eq!((server.asked(), inner.asked()), (1, 0));
    // An address in another part of the configuration names a host as well.
    let both =
        format!("--allow fetch=@configured --env INDEX={index} --env MIRROR=http://localhost");
    place.x2nix(&words(&both)).exits(0);
    assert_eq!((server.asked(), inner.asked()), (1, 1));
}
