//! Unikernels: a project that a tool has to configure is locked, built for a target that is not the
//! host, and run. All of it is real: the tool is built and run by Nix while locking, the cross compiler
//! has a runtime, a C library and a program format of its own, and only its loader can run the result.
//!
//! `tests/mirage` has the packages and the project. The build needs what `tests/nix/up.sh` makes; without
//! that it is left out, unless `X2NIX_REQUIRE_NIX` is set.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // the other test programs use all of it
mod support;
mod workspace;

use serde_json::Value;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use support::{Place, Run};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests");

/// A copy of the miniature's packages and project.
fn miniature() -> Place {
    let place = Place::new();
    copy(Path::new(&format!("{SOURCES}/mirage")), &place.path("."));
    place
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Writes the package set; nothing where there is no Nix to test with.
fn package_set(place: &Place) -> Option<()> {
    let toolchain = env::var("X2NIX_TOOLCHAIN").ok();
    let found = Command::new("nix-build").arg("--version").output().is_ok() && toolchain.is_some();
    let required = env::var_os("X2NIX_REQUIRE_NIX").is_some();
    assert!(found || !required, "X2NIX_REQUIRE_NIX is set, but there is no Nix or toolchain");
    let toolchain = toolchain.filter(|_| found)?;
    let text =
        format!("{{ ... }}: import {SOURCES}/nix/pkgs.nix {{ toolchain = {toolchain:?}; }}\n");
    place.write("pkgs.nix", text);
    Some(())
}

/// Resolves the project with the Nix of this test run.
fn resolve(place: &Place, words: &str) {
    x2nix(place, &format!("resolve --ecosystem opam --nixpkgs pkgs.nix {words} project")).exits(0);
}

fn x2nix(place: &Place, words: &str) -> Run {
    let mut command = place.command(words);
    for variable in ["PATH", "NIX_CONF_DIR"] {
        command.envs(env::var_os(variable).map(|value| (variable, value)));
    }
    Run::of(&mut command)
}

fn build(place: &Place, attribute: &str, more: &[&str]) -> Output {
    let mut command = Command::new("nix-build");
    command
        .current_dir(place.path("."))
        .args(["project/x2nix.nix", "--no-out-link", "-A", attribute])
        .args(["--option", "allow-import-from-derivation", "false"])
        .args(["--arg", "pkgs", "import ./pkgs.nix { }"])
        .args(more);
    command.output().unwrap()
}

fn built(place: &Place, attribute: &str) -> PathBuf {
    let output = build(place, attribute, &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
}

fn said(program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_unikernel_is_configured_locked_built_for_its_target_and_run() {
    let place = miniature();
    let Some(()) = package_set(&place) else { return };
    let words = "--target spt --target unix --mirage-arg you";
    resolve(&place, words);
    let lock: Value = serde_json::from_str(&place.read("project/x2nix.lock.json")).unwrap();

    // The tool is the one that config.ml asks for, not the newest, and it is locked apart.
    let made = &lock["preparations"]["spt-configured"];
    assert_eq!(made["roots"], serde_json::json!(["mirage>=4.11.0", "mirage<4.12.0"]));
    assert_eq!(made["packages"]["mirage@4.11.0"]["unit"], "mirage@4.11.0");
    assert!(made["generated"]["x86_64-linux"].as_str().unwrap().starts_with("sha256-"));
    // It is a tool of the host: ports to dune are for the workspace.
    assert_eq!(made["packages"]["wordlist@1.0"]["unit"], "wordlist@1.0");
    // Two sets: what is compiled with the unikernel, and what compiles it. opam-monorepo is in neither.
    let packages = lock["packages"].as_object().unwrap();
    let workspace = packages.iter().filter(|(_, it)| it["placement"] == "workspace");
    let workspace: Vec<_> = workspace.map(|(id, _)| id.as_str()).collect();
    assert_eq!(workspace, ["greeting@1.0", "platform@1.0", "shout-ppx@1.0", "wordlist@1.0+dune"]);
    assert!(packages.contains_key("ocaml-mini@1.0:host"));
    assert!(!place.read("project/x2nix.lock.json").contains("opam-monorepo@"));
    // It changes nothing to do it again.
    let before = place.read("project/x2nix.lock.json");
    resolve(&place, words);
    assert_eq!(place.read("project/x2nix.lock.json"), before);

    // What was built to lock is what is built.
    let configured = build(&place, "spt-configured", &["--dry-run"]);
    let message = String::from_utf8_lossy(&configured.stderr);
    assert!(configured.status.success() && !message.contains("will be built"), "{message}");

    // The ppx ran on the host, the C code is the target's, and one package is on both.
    let (unix, spt) = (built(&place, "unix"), built(&place, "spt"));
    let lines = |from: &str| format!("HELLO! WORLD!, from {from}\nHELLO! YOU!, from {from}\n");
    assert_eq!(said(&unix.join("hello"), &[]), lines("the host"));
    // It does not keep the compilers, which its debug information would name.
    let image = fs::read(unix.join("hello")).unwrap();
    assert!(image.starts_with(b"\x7fELF"));
    assert!(!image.windows(11).any(|bytes| bytes == b".debug_info"));
    let image = spt.join("hello.spt");
    let refused = Command::new(&image).spawn().unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(8), "{refused}"); // ENOEXEC
    let loader = built(&place, "spt-scope.mini").join("bin/mini-run");
    assert_eq!(said(&loader, &[image.to_str().unwrap()]), lines("mini"));
    assert!(spt.join("manifest.json").is_file());
    assert!(built(&place, "spt-configured").join("mirage/hello-spt.opam").is_file());
    assert!(built(&place, "spt-monorepo").join("dune").is_file());
    // Nix builds it once more and compares every bit.
    let again = build(&place, "spt", &["--check"]);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));

    // Another config.ml that needs something else is noticed where it is built.
    place.edit("project/config.ml", ">= \\\"1.0\\\"", ">= \\\"0.9\\\"");
    let refused = build(&place, "spt", &[]);
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success());
    let stale =
        "mirage/hello-spt.opam is not what the lock was made from; run `x2nix resolve` again";
    assert!(message.contains(stale), "{message}");
    let lock = "--lock project/x2nix.lock.json --nixpkgs pkgs.nix";
    x2nix(&place, &format!("check {lock}")).exits(4).says("check::stale");

    // One that is no OCaml is refused, in the words of the tool, with its place.
    place.edit("project/config.ml", "let () =", "let ( =");
    x2nix(&place, "resolve --ecosystem opam --nixpkgs pkgs.nix --target spt project")
        .exits(2)
        .says("preparation::refused")
        .says("--> config.ml")
        .says("yntax error");
}

#[test]
fn what_is_configured_already_needs_no_tool() {
    let place = miniature();
    place.write(
        "project/mirage/hello-spt.opam",
        "opam-version: \"2.0\"\ninstall: [\"cp\" \"dist/hello.spt\" \"%{bin}%/hello.spt\"]\n\
         depends: [ \"ocaml-mini\" { build } \"greeting\" { ?monorepo } ]\n\
         x-opam-monorepo-opam-provided: [\"ocaml-mini\"]\n",
    );
    place.resolve("project").exits(0);
    let lock: Value = serde_json::from_str(&place.read("project/x2nix.lock.json")).unwrap();
    assert_eq!(lock.get("preparations"), None);
    let unit = &lock["units"]["hello-spt@dev"];
    assert_eq!(unit["meta"]["info"]["image"], "hello.spt");
    assert_eq!(lock["platforms"]["x86_64-linux"]["aliases"]["spt"], "hello-spt@dev");
}

#[test]
fn every_target_has_its_names() {
    let place = miniature();
    place.write(
        "repo/packages/solo5/solo5.0.12.1/opam",
        "opam-version: \"2.0\"\nbuild: [\"make\"]\nurl { src: \"sources/mini\" }\n",
    );
    for (target, image, is_solo5) in [
        ("unix", "hello", false),
        ("hvt", "hello.hvt", true),
        ("spt", "hello.spt", true),
        ("virtio", "hello.virtio", true),
        ("muen", "hello.muen", true),
        ("xen", "hello.xen", true),
        ("qubes", "hello.xen", true),
        ("genode", "hello.genode", true),
        ("macosx", "hello", false),
        ("unikraft-firecracker", "hello.fc", false),
        ("unikraft-qemu", "hello.qemu", false),
    ] {
        // It says what it installs, or has the name that the tool gives.
        place.write(
            &format!("project/mirage/hello-{target}.opam"),
            "opam-version: \"2.0\"\ndepends: [ \"solo5\" { build } \"greeting\" { ?monorepo } ]\n\
             x-opam-monorepo-opam-provided: [\"solo5\"]\n",
        );
        let run = place.resolve(&format!("--target {target} project")).exits(0);
        // solo5 has no bindings for it any more.
        assert_eq!(run.stderr.contains("does not link"), target == "genode", "{}", run.stderr);
        let lock: Value = serde_json::from_str(&place.read("project/x2nix.lock.json")).unwrap();
        let info = &lock["units"][format!("hello-{target}@dev")]["meta"]["info"];
        assert_eq!((&info["target"], &info["image"]), (&target.into(), &image.into()));
        assert_eq!(info.get("manifest").is_some(), is_solo5, "{target}");
        let aliases = lock["platforms"]["x86_64-linux"]["aliases"].as_object().unwrap();
        let names: Vec<_> = aliases.keys().cloned().collect();
        assert_eq!(names, [target.to_owned(), format!("{target}-monorepo")]);
        // A revision of solo5 has no file that says its version; the step that makes one is the first.
        let first = &lock["units"]["solo5@0.12.1"]["recipe"]["steps"][0];
        assert_eq!(first["words"][5][0], "#define SOLO5_VERSION \"v0.12.1\"");
    }
}

#[test]
fn what_cannot_be_is_said() {
    let place = miniature();
    let resolve = |words: &str| place.resolve(&format!("{words} project"));
    resolve("--target vax").exits(2).says("there is no target \"vax\"").says("unikraft-qemu");
    resolve("--target spt --mirage-config ../config.ml")
        .exits(2)
        .says("is no path below the project");
    resolve("--target spt --mirage-config sub/config.ml")
        .exits(2)
        .says("there is no sub/config.ml");
    place
        .x2nix("resolve --ecosystem opam --root mini --repo repo --target spt")
        .exits(2)
        .says("--target is for a project");
    // Without Nix there is nothing to configure with.
    resolve("--target spt").exits(3).says("preparation::no-nix").says("config.ml");
    place.edit("project/config.ml", ">= 4.11.0", "> 4.11.0");
    resolve("--target spt").exits(2).says("config.ml:1").says("is no bound on the mirage tool");
}
