//! Plugins in files: the same answer from all carriers, and nothing that a bad one does harms.

#![allow(clippy::unwrap_used)] // these are tests

#[path = "support/mod.rs"]
#[allow(dead_code, unused_imports)]
mod support;

use serde_json::Value;
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, OnceLock},
    thread,
};
use support::{Place, opam_repository};

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A plugin of the workspace as a component and as a native library.
struct Built {
    component: PathBuf,
    native: PathBuf,
}

/// Builds a plugin of the workspace, as `plugin-abi/build-plugin` tells.
fn built(cell: &'static OnceLock<Built>, package: &str) -> &'static Built {
    cell.get_or_init(|| {
        let output = Command::new(Path::new(WORKSPACE).join("plugin-abi/build-plugin"))
            .args([package, "dev"])
            .env("X2NIX", env!("CARGO_BIN_EXE_x2nix"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let files = String::from_utf8(output.stdout).unwrap();
        let mut files = files.lines().map(PathBuf::from);
        Built { component: files.next().unwrap(), native: files.next().unwrap() }
    })
}

fn opam() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    built(&BUILT, "x2nix-opam-plugin")
}

fn hostile() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    built(&BUILT, "x2nix-hostile-plugin")
}

fn remote() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    built(&BUILT, "x2nix-remote-plugin")
}

const REQUESTS: [&str; 12] = [
    "lwt",
    "dune",
    "mirage",
    "core",
    "irmin-git",
    "coq",
    "ocaml-lsp-server",
    "cohttp-lwt-unix",
    "utop",
    "zarith",
    "ppx_deriving",
    "no-such-package",
];

#[test]
fn locks_are_the_same_but_for_the_plugin_whatever_carries_it() {
    let repository = opam_repository();
    let place = Place::new();
    let files = opam();
    let carriers = [
        String::new(),
        format!("--plugin {}", files.component.display()),
        format!("--plugin {} --trust-native", files.native.display()),
        format!("--plugin {} --trust-native --isolate", files.native.display()),
    ];
    for name in REQUESTS {
        let mut answers = carriers.iter().map(|carrier| {
            let words = format!(
                "--repo {} --root {name} --root ocaml-base-compiler --lock - --nix /dev/null {carrier}",
                repository.display()
            );
            let run = place.resolve(&words);
            let Ok(mut lock) = serde_json::from_str::<Value>(&run.stdout) else {
                return (None, run.stderr);
            };
            let plugin = lock.as_object_mut().unwrap().remove("plugin").unwrap();
            assert_eq!(plugin.get("hash").is_some(), !carrier.is_empty(), "{plugin}");
            (Some(lock), run.stderr)
        });
        let linked_in = answers.next().unwrap();
        assert_eq!(linked_in.0.is_some(), name != "no-such-package", "{}", linked_in.1);
        for (answer, carrier) in answers.zip(&carriers[1..]) {
            assert_eq!(answer, linked_in, "{name} {carrier}");
        }
    }
    assert!(place.names(".cache/x2nix/plugins")[0].ends_with(".cwasm"));
}

#[test]
fn a_plugin_tells_who_it_is_before_it_runs() {
    let place = Place::new();
    let file = opam().component.display().to_string();
    let about: Value = serde_json::from_str(
        &place.x2nix(&format!("plugin inspect {file} --format json")).exits(0).stdout,
    )
    .unwrap();
    assert_eq!((&about["ecosystem"], &about["protocol"]), (&"opam".into(), &1.into()));
    place.write("junk.wasm", b"\0asm\x0d\0\x01\0nothing");
    place.write("junk.so", b"\x7fELFnothing");
    let module = b"\0asm\x01\0\0\0";
    place.write("module.wasm", module);
    for (file, code) in [
        ("junk.wasm", "plugin::file"),
        ("junk.so", "plugin::file"),
        ("module.wasm", "plugin::module"),
        ("none.wasm", "plugin::unreadable"),
    ] {
        let run = place.x2nix(&format!("plugin inspect {file}"));
        assert!(run.stderr.contains(code), "{file}: {}", run.stderr);
    }
    let newer = place.path("newer.wasm");
    place.write(
        "newer.json",
        r#"{ "protocol": 99, "ecosystem": "opam", "version": "9", "more": 1 }"#,
    );
    place.write("empty.wasm", b"\0asm\x0d\0\x01\0");
    place
        .x2nix(&format!(
            "plugin pack empty.wasm --manifest newer.json --output {}",
            newer.display()
        ))
        .exits(0);
    let run = place.resolve("--root lwt --dry-run --plugin newer.wasm").exits(2);
    assert!(
        run.stderr.contains("speaks protocol 99, this x2nix speaks protocol 1"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("take a newer x2nix"), "{}", run.stderr);
}

#[test]
fn installed_plugins_are_found_and_a_changed_one_is_refused() {
    let place = Place::with(&[("a.1", "")]);
    let file = opam().component.display().to_string();
    place.x2nix(&format!("plugin add {file}")).exits(0);
    let list = place.x2nix("plugin list").exits(0).stdout;
    assert!(list.contains("WebAssembly component"), "{list}");
    place.x2nix(&format!("plugin precompile {file}")).exits(0);
    assert!(place.x2nix(&format!("plugin precompile {file}")).exits(0).stderr.contains("already"));
    // What is linked in goes first, so the plugin is named.
    place.resolve(&format!("--repo repo --root a --plugin {file}")).exits(0);
    let lock: Value = serde_json::from_str(&place.read("x2nix.lock.json")).unwrap();
    let hash = lock["plugin"]["hash"].as_str().unwrap().to_owned();
    // The same, with a section more.
    place.write("plugin.json", r#"{ "protocol": 1, "ecosystem": "opam", "version": "0.1.0" }"#);
    place.x2nix(&format!("plugin pack {file} --manifest plugin.json --output other.wasm")).exits(0);
    let changed = "--repo repo --root a --plugin other.wasm";
    for words in [changed, "--repo repo --root a"] {
        let run = place.resolve(words).exits(2);
        assert!(
            run.stderr.contains("plugin::changed") && run.stderr.contains(&hash),
            "{}",
            run.stderr
        );
    }
    place.resolve(&format!("{changed} --accept-plugin")).exits(0);
    assert!(!place.read("x2nix.lock.json").contains(&hash));
    place.x2nix("plugin remove opam").exits(0);
    assert!(!place.x2nix("plugin list").exits(0).stdout.contains("component"));
    // A home that cannot be written costs time only.
    let mut command = place.command(&format!(
        "resolve --ecosystem opam --repo repo --root a --dry-run --plugin {file} --accept-plugin"
    ));
    assert!(command.env("XDG_CACHE_HOME", "/proc/none").status().unwrap().success());
}

#[test]
fn a_native_library_runs_only_where_the_user_says_so() {
    let place = Place::with(&[("a.1", "")]);
    let file = opam().native.display().to_string();
    let request = format!("--repo repo --root a --dry-run --plugin {file}");
    let run = place.resolve(&request).exits(2);
    assert!(
        run.stderr.contains("plugin::native") && run.stderr.contains("all your rights"),
        "{}",
        run.stderr
    );
    place.resolve(&format!("{request} --trust-native")).exits(0);
    let about = place.x2nix(&format!("plugin inspect {file} --format json")).exits(0).stdout;
    let about: Value = serde_json::from_str(&about).unwrap();
    let hash = about["hash"].as_str().unwrap();
    let settings = |hash: &str| {
        format!("[plugin.opam]\nfile = \"{file}\"\nhash = \"{hash}\"\nnative = true\n")
    };
    place.write("x2nix.toml", settings(hash));
    place.resolve("--repo repo --root a --dry-run").exits(0);
    place.write("x2nix.toml", settings("sha256-AAAA"));
    let run = place.resolve("--repo repo --root a --dry-run").exits(2);
    assert!(run.stderr.contains("plugin::changed"), "{}", run.stderr);
}

/// Runs the hostile plugin.
fn hostile_run(place: &Place, root: &str, more: &str) -> support::Run {
    place.repository("repo", &[]);
    let mut command = place.command(&format!(
        "resolve --ecosystem hostile --platform x86_64-linux --repo repo --root {root} --dry-run \
         --allow fetch=example.org --allow env=HOSTILE_TOKEN {more}"
    ));
    let output = command.output().unwrap();
    // Not as other runs are taken: it is the plugin that may panic here, and that is told of.
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    support::Run { status: output.status.code(), stdout, stderr }
}

#[test]
fn a_hostile_component_is_stopped_and_named() {
    let place = Place::new();
    let plugin = format!(
        "--plugin {} --plugin-memory 256 --plugin-time TIME",
        hostile().component.display()
    );
    hostile_run(&place, "good", &plugin.replace("TIME", "100")).exits(0);
    for (root, code, words) in [
        ("loop", "plugin::limit", "computed for more than 2 seconds"),
        ("allocate", "plugin::limit", "more memory than the 256 MiB"),
        ("recurse", "plugin::crash", "trapped"),
        ("panic", "plugin::crash", "on purpose"),
        ("abort", "plugin::crash", "trapped"),
        ("ask", "plugin::limit", "asked its host more than"),
        ("nest", "plugin::crash", "call stack exhausted"),
        ("numbers", "plugin::protocol", "set 77 was never announced"),
        ("members", "plugin::protocol", "members: runs of set"),
        ("fetch", "plugin::not-granted", "may not fetch from example.net"),
        ("read", "plugin::not-granted", "may not read /etc"),
        ("up", "plugin::not-granted", "may not read"),
        ("token", "hostile::token", "None"),
    ] {
        // A slow machine may take its time for all but the loop.
        let time = if root == "loop" { "2" } else { "100" };
        let plugin = plugin.replace("TIME", time);
        let run = hostile_run(&place, root, &plugin).exits(2);
        assert!(run.stderr.contains(code), "{root}: {}", run.stderr);
        assert!(run.stderr.contains(words), "{root}: {}", run.stderr);
        let named = run.stderr.contains("x2nix_hostile_plugin.wasm");
        assert!(named || root == "token", "{root}: {}", run.stderr);
    }
    let large = plugin.replace("256", "2048").replace("TIME", "100");
    let run = hostile_run(&place, "large", &large).exits(2);
    assert!(run.stderr.contains("plugin::"), "{}", run.stderr);
    // What was said is kept, and does the same again.
    let kept = place.names(".cache/x2nix/failures");
    assert!(!kept.is_empty());
    let mut command = place.command(&format!(
        "plugin test {} --plugin-time 2 --plugin-memory 256 --replay .cache/x2nix/failures/{}",
        hostile().component.display(),
        kept[0]
    ));
    assert_eq!(command.output().unwrap().status.code(), Some(4));
}

#[test]
fn a_hostile_library_is_stopped_where_it_is_isolated() {
    let place = Place::new();
    let native = format!(
        "--plugin {} --trust-native --isolate --plugin-memory 1024 --plugin-time TIME",
        hostile().native.display()
    );
    hostile_run(&place, "good", &native.replace("TIME", "100")).exits(0);
    for (root, code, words) in [
        ("loop", "plugin::limit", "computed for more than 2 seconds"),
        ("allocate", "plugin::crash", "its process ended"),
        ("recurse", "plugin::crash", "its process ended"),
        ("panic", "plugin::crash", "on purpose"),
        ("abort", "plugin::crash", "its process ended"),
        ("ask", "plugin::limit", "asked its host more than"),
    ] {
        let time = if root == "loop" { "2" } else { "100" };
        let run = hostile_run(&place, root, &native.replace("TIME", time)).exits(2);
        assert!(run.stderr.contains(code), "{root}: {}", run.stderr);
        assert!(run.stderr.contains(words), "{root}: {}", run.stderr);
    }
    // In this process, a panic is stopped at the border all the same.
    let run = hostile_run(&place, "panic", &native.replace("--isolate", "").replace("TIME", "100"))
        .exits(2);
    assert!(run.stderr.contains("on purpose"), "{}", run.stderr);
}

#[test]
fn what_a_plugin_asks_for_is_granted_or_it_does_not_run() {
    let place = Place::new();
    place.repository("repo", &[]);
    let words = format!(
        "resolve --ecosystem hostile --platform x86_64-linux --repo repo --root token --plugin {}",
        hostile().component.display()
    );
    let run = place.x2nix(&words).exits(2);
    assert!(run.stderr.contains("asks for env=HOSTILE_TOKEN, fetch=example.org"), "{}", run.stderr);
    assert!(
        run.stderr.contains("--allow env=HOSTILE_TOKEN --allow fetch=example.org"),
        "{}",
        run.stderr
    );
    let all =
        format!("{words} --allow env=HOSTILE_TOKEN --allow fetch=*.org --allow fetch=example.org");
    let mut command = place.command(&all);
    let output = command.env("HOSTILE_TOKEN", "secret").env("OTHER", "x").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("Some(\"secret\")"), "{told}");
    place.x2nix(&all.replace("--root token", "--root good")).exits(0);
    let lock: Value = serde_json::from_str(&place.read("x2nix.lock.json")).unwrap();
    assert_eq!(
        lock["plugin"]["grants"],
        serde_json::json!(["env=HOSTILE_TOKEN", "fetch=example.org"])
    );
}

#[test]
fn what_is_said_is_recorded_and_plays_again() {
    let place = Place::with(&[("a.1", "depends: [\"b\"]"), ("b.1", ""), ("b.2", "")]);
    let file = opam().component.display().to_string();
    place
        .resolve(&format!(
            "--repo repo --root a --plugin {file} --validate-plugin --record said.json"
        ))
        .exits(0);
    for plugin in [&opam().component, &opam().native] {
        let words = format!("plugin test {} --trust-native --replay said.json", plugin.display());
        let run = place.x2nix(&words).exits(0);
        assert!(run.stdout.contains("build"), "{}", run.stdout);
    }
    // Asked in waves, never version by version.
    let said: Value = serde_json::from_str(&place.read("said.json")).unwrap();
    assert!(said["calls"].as_array().unwrap().len() < 10);
    place.edit("said.json", "\"version\": \"2\"", "\"version\": \"3\"");
    place.x2nix(&format!("plugin test {file} --replay said.json")).exits(4);
}

/// Makes, builds and tests a project.
fn new_project(place: &Place, lang: &str, path: Option<&Path>) {
    let sdk = Path::new(WORKSPACE).join("plugin-abi/sdk");
    place.x2nix(&format!("plugin new toy --lang {lang} --sdk {}", sdk.display())).exits(0);
    let mut build = Command::new(place.path("toy/build"));
    build.env("X2NIX", env!("CARGO_BIN_EXE_x2nix"));
    if lang == "rust" {
        build.env("CARGO_TARGET_DIR", Path::new(WORKSPACE).join("target/new-plugin"));
    }
    if let Some(path) = path {
        let old = std::env::var("PATH").unwrap();
        build.env("PATH", format!("{}:{old}", path.display()));
    }
    let output = build.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for file in ["toy.wasm", "toy.so"] {
        if !place.path("toy").join(file).exists() {
            assert_eq!((file, ["python", "javascript"].contains(&lang)), ("toy.so", true));
            continue;
        }
        let run = place
            .x2nix(&format!("plugin test toy/{file} --trust-native --scenarios toy/scenarios"))
            .exits(0);
        assert!(run.stdout.lines().count() > 10, "{}", run.stdout);
    }
}

#[test]
fn a_new_project_in_rust_passes_the_kit() {
    new_project(&Place::new(), "rust", None);
}

#[test]
fn a_new_project_in_c_passes_the_kit() {
    new_project(&Place::new(), "c", None);
}

/// A tool that `tests/run` installs; without it the test says so and does nothing.
fn tool(variable: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable).map(PathBuf::from);
    assert!(
        folder.is_some() || std::env::var_os("X2NIX_REQUIRE_NIX").is_none(),
        "tests/run sets {variable}"
    );
    folder
}

#[test]
fn a_new_project_in_python_passes_the_kit() {
    let Some(tools) = tool("X2NIX_COMPONENTIZE_PY") else { return };
    new_project(&Place::new(), "python", Some(&tools));
}

#[test]
fn a_new_project_in_javascript_passes_the_kit() {
    let Some(tools) = tool("X2NIX_COMPONENTIZE_JS") else { return };
    new_project(&Place::new(), "javascript", Some(&tools));
}

/// Follows `docs/plugins.md` word by word: all its `sh` blocks, in a fresh folder.
#[test]
fn the_tutorial_holds() {
    let text = fs::read_to_string(Path::new(WORKSPACE).join("docs/plugins.md")).unwrap();
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut script = String::from("set -eu\n");
    for block in blocks {
        if block.contains("nix-build") {
            let Ok(toolchain) = std::env::var("X2NIX_TOOLCHAIN") else { continue };
            let stand_in =
                format!("import {WORKSPACE}/tests/nix/pkgs.nix {{ toolchain = \"{toolchain}\"; }}");
            assert!(block.contains("import <nixpkgs> { }"));
            script.push_str(&block.replace("import <nixpkgs> { }", &stand_in));
            script.push_str("cat result/share/greeting.txt\n");
        } else {
            script.push_str(block);
        }
    }
    let place = Place::new();
    let folder = Path::new(env!("CARGO_BIN_EXE_x2nix")).parent().unwrap();
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(place.path("."))
        .env("PATH", format!("{}:{}", folder.display(), std::env::var("PATH").unwrap()))
        .env("XDG_CACHE_HOME", place.path(".cache"))
        .env("X2NIX_SOURCE", WORKSPACE)
        .env("CARGO_TARGET_DIR", Path::new(WORKSPACE).join("target/new-plugin"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    if std::env::var_os("X2NIX_TOOLCHAIN").is_some() {
        assert!(String::from_utf8_lossy(&output.stdout).ends_with("Good morning"));
    }
    let lock: Value = serde_json::from_str(&place.read("x2nix.lock.json")).unwrap();
    assert_eq!(lock["units"]["greeting@2.0"]["depends"][0]["unit"], "name@1.5");
}

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
