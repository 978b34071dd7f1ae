//! What the README and the guide show: every `x2nix` line of their `sh` blocks is run, one after
//! another, in a folder that holds what they speak of.

use crate::support::{Place, opam_repository};
use std::{fs, path::Path, process::Command};

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The lines of all `sh` blocks that run x2nix.
fn commands(text: &str) -> Vec<String> {
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines = blocks.flat_map(str::lines).filter(|line| line.starts_with("x2nix "));
    lines.map(str::to_owned).collect()
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").args(["-R"]).arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

/// Runs the lines of a document by a shell, since they are quoted for one.
fn run(document: &str) {
    let text = fs::read_to_string(Path::new(WORKSPACE).join(document)).unwrap();
    let lines = commands(&text);
    assert!(lines.len() > 2, "{document} shows commands");
    let place = Place::new();
    copy(&Path::new(WORKSPACE).join("examples"), &place.path("examples"));
    std::os::unix::fs::symlink(opam_repository(), place.path("opam-repository.tar.gz")).unwrap();
    for line in lines {
        // All of the repository takes minutes; that the flags are known is enough here.
        let line = if line.starts_with("x2nix sweep") { format!("{line} --help") } else { line };
        // `.` is the project that the guide speaks of.
        let line = line.replace("opam .", "opam examples/hello");
        let words = line.strip_prefix("x2nix ").unwrap();
        let command = place.command("");
        let program = command.get_program().to_owned();
        let script = format!("exec \"$0\" {words}");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).arg(program).current_dir(place.path("."));
        shell.stdin(std::process::Stdio::null());
        shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = shell.output().unwrap();
        assert!(
            output.status.success(),
            "{document}: {line}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn the_commands_of_the_readme_run() {
    run("README.md");
}

#[test]
fn the_commands_of_the_guide_run() {
    run("docs/guide.md");
}

#[test]
fn the_commands_of_the_chapter_on_cargo_run() {
    run("docs/cargo.md");
}

#[test]
fn the_template_resolves_against_the_real_repository() {
    let place = Place::new();
    copy(&Path::new(WORKSPACE).join("examples/template"), &place.path("template"));
    let repository = opam_repository();
    let words = format!("resolve --ecosystem opam --repo {} template", repository.display());
    place.x2nix(&words).exits(0);
    let lock: serde_json::Value =
        serde_json::from_str(&place.read("template/x2nix.lock.json")).unwrap();
    assert_eq!(lock["units"]["greeting@dev"]["recipe"]["kind"], "build");
    assert_eq!(lock["units"]["dune@3.17.2"]["recipe"]["attribute"], "dune_3");
}

#[test]
fn the_example_is_locked_as_it_is() {
    let place = Place::new();
    copy(&Path::new(WORKSPACE).join("examples"), &place.path("examples"));
    place.x2nix("resolve --ecosystem opam examples/hello --locked").exits(0);
    place.x2nix("resolve examples/ocaml-and-rust --locked").exits(0);
}
