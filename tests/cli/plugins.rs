//! Plugins in files: the same answer from all carriers, and nothing that a bad one does harms.

#![allow(clippy::unwrap_used)] // these are tests

#[path = "../../plugin-abi/host/tests/support/server.rs"]
mod server;
#[path = "support/mod.rs"]
#[allow(dead_code, unused_imports)]
mod support;

use serde_json::Value;
use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    thread,
    time::Duration,
};
use support::{Place, opam_repository};

#[path = "plugins/cargo.rs"]
mod cargo;
#[path = "plugins/elsewhere.rs"]
mod elsewhere;
#[path = "plugins/grants.rs"]
mod grants;
#[path = "plugins/hostile.rs"]
mod hostile;
#[path = "plugins/oldest.rs"]
mod oldest;
#[path = "plugins/projects.rs"]
mod projects;

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

fn hostile_plugin() -> &'static Built {
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
    assert!(place.names(".cache/x2nix/plugins").iter().any(|name| name.ends_with(".cwasm")));
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
fn what_is_kept_of_a_file_is_believed_only_while_it_is_the_same_file() {
    let place = Place::new();
    let library = fs::read(&hostile_plugin().native).unwrap();
    place.write("plugin.so", &library);
    let inspect = || place.x2nix("plugin inspect plugin.so --format json").exits(0).json();
    let kept = || {
        let names = place.names(".cache/x2nix/plugins");
        names.into_iter().map(|name| format!(".cache/x2nix/plugins/{name}")).collect::<Vec<_>>()
    };
    // Written just now, it could change again without showing it.
    let first = inspect();
    assert_eq!(first["version"], "1");
    assert!(!place.path(".cache/x2nix/plugins").exists());
    thread::sleep(Duration::from_secs(5));
    assert_eq!(inspect(), first);
    assert_eq!(kept().len(), 1);
    // What the record says is said again.
    let record = place.read(&kept()[0]);
    let lie = record.replace("\"version\":\"1\"", "\"version\":\"7\"");
    assert_ne!(lie, record);
    place.write(&kept()[0], &lie);
    assert_eq!(inspect()["version"], "7");
    // Others may have written this one.
    let open = fs::Permissions::from_mode(0o666);
    fs::set_permissions(place.path(&kept()[0]), open).unwrap();
    assert_eq!(inspect(), first);
    let closed = fs::Permissions::from_mode(0o644);
    fs::set_permissions(place.path(&kept()[0]), closed).unwrap();
    place.write(&kept()[0], &lie);
    // As large as before, and as old; but not the same.
    let path = place.path("plugin.so");
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let text = br#""version": "1""#;
    let start = library.windows(text.len()).position(|part| part == text).unwrap();
    let mut other = library.clone();
    other[start + text.len() - 2] = b'2';
    let file = fs::File::options().write(true).open(&path).unwrap();
    (&file).write_all(&other).unwrap();
    file.set_modified(modified).unwrap();
    let changed = inspect();
    assert_eq!(changed["version"], "2");
    assert_ne!(changed["hash"], first["hash"]);
    place.write(&kept()[0], "{");
    assert_eq!(inspect(), changed);
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
        format!(
            "ecosystem = \"opam\"\n[plugin.opam]\nfile = \"{file}\"\nhash = \"{hash}\"\nnative = true\n"
        )
    };
    place.write("x2nix.toml", settings(hash));
    place.resolve("--repo repo --root a --dry-run").exits(0);
    // What asks about a lock knows the plugin as well.
    place.resolve("--repo repo --root a").exits(0);
    place.x2nix("check").exits(0);
    let run = place.x2nix("doctor");
    assert!(!run.stderr.contains("plugin::"), "{}", run.stderr);
    let run = place.x2nix("export --opam-locked --output -");
    assert!(!run.stderr.contains("plugin::changed"), "{}", run.stderr);
    fs::remove_file(place.path("x2nix.lock.json")).unwrap();
    place.write("x2nix.toml", settings("sha256-AAAA"));
    let run = place.resolve("--repo repo --root a --dry-run").exits(2);
    assert!(run.stderr.contains("plugin::changed"), "{}", run.stderr);
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

#[test]
fn no_call_is_made_for_each_version() {
    let place = Place::new();
    let words = format!(
        "--repo {} --root irmin-git --root ocaml-base-compiler --lock - --nix /dev/null --plugin {} --record said.json",
        opam_repository().display(),
        opam().component.display()
    );
    place.resolve(&words).exits(0);
    let said: Value = serde_json::from_str(&place.read("said.json")).unwrap();
    let list = |value: &Value| value.as_array().map_or(0, Vec::len);
    let calls = said["calls"].as_array().unwrap();
    let (mut names, mut versions, mut waves) = (0, 0, 0);
    for call in calls.iter().filter(|call| call["method"] == "facts") {
        // A list of folders and a list of files for all of a wave.
        assert!(list(&call["host"]) <= 4, "{}", call["host"]);
        names += list(&call["request"]["names"]);
        for package in call["answer"]["packages"].as_array().unwrap() {
            versions += list(&package["candidates"]);
        }
        waves += 1;
    }
    assert!(names > 100 && versions > 1000, "{names} names, {versions} versions");
    assert!(waves < 20 && calls.len() < 40, "{waves} waves, {} calls", calls.len());
}

/// Compiles a plugin in C from its folder, as a component and as a native library.
fn compiled(place: &Place, folder: &str) -> Built {
    let folder = Path::new(WORKSPACE).join("plugin-abi/carriers/tests").join(folder);
    let header = Path::new(WORKSPACE).join("plugin-abi/sdk/include");
    let run = |compiler: &str, flags: &[&str], output: &str| {
        let output = place.path(output);
        let mut command = Command::new(compiler);
        command.args(["-O2", "-std=c11", "-Wall", "-Werror"]).args(flags);
        // The folder's own header is taken before ours.
        command.arg("-iquote").arg(&folder).arg("-I").arg(&header).arg("-o").arg(&output);
        let output = command.arg(folder.join("plugin.c")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run("gcc", &["-shared", "-fPIC"], "plugin.so");
    run("clang", &["--target=wasm32", "-nostdlib", "-Wl,--no-entry"], "module.wasm");
    let manifest = folder.join("plugin.json");
    let words = "plugin pack module.wasm --output plugin.wasm --manifest";
    place.x2nix(&format!("{words} {}", manifest.display())).exits(0);
    Built { component: place.path("plugin.wasm"), native: place.path("plugin.so") }
}
