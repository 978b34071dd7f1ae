//! Flakes: the one that is emitted for a lock, and what the project's own offers. The stand-in for
//! nixpkgs is the flake's nixpkgs here, without its toolchain, so nothing is built.

use crate::{empty, support::Project};
use serde_json::{Value, json};

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A project with a root `a` that has tests, its flake, and a flake that stands for nixpkgs.
fn flake() -> Option<Project> {
    let mut a = empty("a", &["b@1"]);
    a["recipe"]["steps"] = json!([{ "phase": "check", "words": [["true"]] }]);
    let mut lock = crate::lock(&json!({ "a@1": a, "b@1": empty("b", &[]) }), &json!({}));
    for platform in lock["platforms"].as_object_mut().unwrap().values_mut() {
        platform["roots"] = json!([{ "need": "a", "by": ["a@1"] }]);
    }
    let project = Project::new()?;
    project.lock(&lock);
    project.write("flake.nix", &x2nix_nix::flake("x2nix.lock.json", "x2nix.nix"));
    project.write(
        "nixpkgs/flake.nix",
        "{ outputs = _: { lib = import ./stand-in/lib.nix;
           legacyPackages.x86_64-linux = import ./pkgs.nix { system = \"x86_64-linux\"; }; }; }",
    );
    project.run(&format!(
        "cp -R '{WORKSPACE}/tests/nix/pkgs.nix' '{WORKSPACE}/tests/nix/stand-in' nixpkgs"
    ));
    Some(project)
}

/// What a pure evaluation of an attribute of the project's flake gives.
fn eval(project: &Project, attribute: &str, apply: &str) -> Value {
    let text = project.run(&format!(
        "mv nixpkgs ../nixpkgs-$$; trap 'mv ../nixpkgs-$$ nixpkgs' EXIT
         nix --option allow-import-from-derivation false eval --pure-eval --json --no-write-lock-file \
           --override-input nixpkgs \"path:$(realpath ../nixpkgs-$$)\" 'path:.#{attribute}' --apply '{apply}'"
    ));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_emitted_flake_has_packages_checks_and_a_shell() {
    let Some(project) = flake() else { return };
    let names = |attribute: &str| eval(&project, attribute, "builtins.attrNames");
    assert_eq!(names("packages.x86_64-linux"), json!(["a", "default"]));
    assert_eq!(names("legacyPackages.x86_64-linux"), json!(["a", "b"]));
    assert_eq!(names("checks.x86_64-linux"), json!(["a"]));
    assert_eq!(names("devShells.x86_64-linux"), json!(["default"]));
    let default = eval(&project, "packages.x86_64-linux.default", "x: x.drvPath");
    assert!(default.as_str().unwrap().ends_with("-a-1.drv"), "{default}");
}

#[test]
fn the_plain_files_build_the_roots_and_the_shell() {
    let Some(project) = flake() else { return };
    let [default, shell] = x2nix_nix::plain("x2nix.nix");
    project.write("default.nix", &default);
    project.write("shell.nix", &shell);
    let pkgs = "import ./nixpkgs/pkgs.nix { system = \"x86_64-linux\"; }";
    let drvs = |words: &str| project.run(&format!("nix-instantiate {words} --arg pkgs '{pkgs}'"));
    let drvs = |words: &str| {
        drvs(words).lines().map(|it| it.split_once('-').unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(drvs(""), ["a-1.drv"]);
    assert_eq!(drvs("-A packages.b -A checks.a"), ["b-1.drv", "a-1.drv"]);
    assert_eq!(drvs("shell.nix"), ["shell.drv"]);
}

/// The project's own flake, as a flake that uses it sees it.
fn own(expression: &str) -> String {
    format!(
        "let own = (import {WORKSPACE}/flake.nix).outputs {{
           self = {{ outPath = {WORKSPACE}; }};
           nixpkgs = {{ lib = pkgs.lib // {{ importTOML = file: fromTOML (builtins.readFile file); }};
             legacyPackages = builtins.throw \"not needed\"; }};
         }}; in {expression}"
    )
}

#[test]
fn make_project_gives_what_the_nix_file_beside_the_lock_gives() {
    let Some(project) = Project::new() else { return };
    project.run(&format!("cp -R '{WORKSPACE}/examples/hello/.' . && rm -rf _build result*"));
    let made =
        |rest: &str| own(&format!("own.lib.mkProject {{ inherit pkgs; src = ./.; {rest} }}"));
    // In one expression, since its file lies among the sources.
    let same = |made: &str| project.eval(&format!("({made}).hello.drvPath == x.hello.drvPath"));
    assert_eq!(same(&made("")), json!(true));
    // Settings and overrides are no sources of what they are about.
    project.write("overrides.nix", "final: prev: { greet = prev.shout; }");
    project.write("flake.nix", "{ }");
    assert_eq!(project.eval(&format!("({}).greet.name", made(""))), json!("shout-1.0"));
    assert_eq!(same(&made("")), json!(true));
    assert_eq!(same(&made("overrides = _: _: { };")), json!(false));
    let list = r#"pkgs.runCommand "names" { } "ls ${x.hello.src} > $out""#;
    let sources = std::fs::read_to_string(project.build_expression(list)).unwrap();
    let sources: Vec<&str> = sources.lines().collect();
    assert!(sources.contains(&"dune-project"), "{sources:?}");
    for file in ["overrides.nix", "flake.nix", "x2nix.nix", "x2nix.lock.json", "x2nix.toml"] {
        assert!(!sources.contains(&file), "{file} is among {sources:?}");
    }

    let missing = project.refusal(&format!("({}).roots", made("lockFile = ./none.json;")));
    assert!(missing.contains("there is no") && missing.contains("x2nix resolve"), "{missing}");
}

#[test]
fn the_template_and_the_overlay_are_there() {
    let Some(project) = Project::of(&json!({ "a@1": empty("a", &[]) }), &json!({})) else { return };
    let names = "builtins.attrNames (builtins.readDir own.templates.default.path)";
    let names = project.eval(&own(names));
    assert!(names.as_array().unwrap().contains(&json!("flake.nix")), "{names}");
    let package =
        "(own.overlays.default { rustPlatform.buildRustPackage = x: x.pname; } { }).x2nix";
    assert_eq!(project.eval(&own(package)), json!("x2nix"));
}
