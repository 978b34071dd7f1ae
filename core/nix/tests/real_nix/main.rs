//! Real Nix builds what is emitted, in its sandbox, without import from derivation.
//!
//! Needs what `tests/nix/up.sh` makes: `nix-build` on PATH and `X2NIX_TOOLCHAIN`. Without them each
//! test says so and passes, unless `X2NIX_REQUIRE_NIX` is set.

#![allow(clippy::unwrap_used)]

mod flakes;
mod forms;
mod hostile;
mod nixos;
mod printing;
mod shells;
mod support;

use serde_json::{Value, json};
use std::fs;
use support::{Project, lock, record, recorded};

/// Texts that mean something to Nix, to a shell, to JSON, or to a terminal.
const HOSTILE: [&str; 12] = [
    "",
    "$(touch pwned)`touch pwned`",
    "${builtins.abort \"pwned\"} $${x} \\${x}",
    "''quotes'' 'single' \"double\" '''' ''${x} ''\\n",
    "line\nbreaks\r\n\ttabs\u{1b}[31m\u{7f}",
    "; touch pwned & | > pwned < #",
    "* ? [a-z] ~ {a,b} !!",
    "-n --flag=value",
    "été 日本語 🐫",
    "back\\slash\\",
    "  blanks  ",
    "$out $NIX_BUILD_TOP %s %%",
];

#[test]
fn hostile_strings_reach_the_build_unchanged() {
    let words: Vec<Value> = HOSTILE.iter().map(|text| json!([text])).collect();
    let files: serde_json::Map<_, _> = HOSTILE
        .iter()
        .enumerate()
        .map(|(i, text)| (format!("files/{i} $(x)`y`'\"${{z}}\n"), json!(text)))
        .collect();
    let environment: Vec<Value> = HOSTILE
        .iter()
        .enumerate()
        .map(
            |(i, text)| json!({ "variable": format!("V{i}"), "operation": "set", "value": [text] }),
        )
        .collect();
    let show =
        r#"for i in 0 1 2 3 4 5 6 7 8 9 10 11; do eval "printf '%s\0' \"\$V$i\""; done > "$0""#;
    let dependant = json!({
        "name": "dependant", "version": "1", "depends": [{ "unit": "evil@1" }],
        "recipe": { "kind": "build", "steps": [
            { "phase": "install", "words": [["sh"], ["-c"], [show], [{ "out": "env" }]] },
        ] },
    });
    let evil = json!({
        "name": "évil $(touch pwned) ${x} '\"\n/..", "version": ".1/\"${y}\"",
        "recipe": { "kind": "build", "files": files, "environment": environment, "steps": [
            record("install", "words", &words),
            { "phase": "install", "words": [["sh"], ["-c"], [show], [{ "out": "env" }]] },
            { "phase": "install", "words": [["cp"], ["-R"], ["files"], [{ "out": "" }]] },
            { "phase": "install", "words": [["sh"], ["-c"], ["find .. -name pwned > \"$0\""], [{ "out": "pwned" }]] },
        ] },
        "exports": environment,
        "meta": {
            "description": HOSTILE[2], "homepage": HOSTILE[3], "licenses": ["ISC", HOSTILE[1]],
            "purl": HOSTILE[5], "main_program": HOSTILE[7],
        },
    });
    let units = json!({ "evil@1": evil, "dependant@1": dependant });
    let Some(project) = Project::of(&units, &json!({})) else { return };
    let project = project.stands_alone();

    let out = project.build("units.\"evil@1\"");
    assert_eq!(recorded(&out.join("words")), HOSTILE);
    assert_eq!(recorded(&out.join("env")), HOSTILE);
    for (i, text) in HOSTILE.iter().enumerate() {
        let file = out.join(format!("files/{i} $(x)`y`'\"${{z}}\n"));
        assert_eq!(fs::read_to_string(file).unwrap(), *text);
    }
    assert_eq!(fs::read_to_string(out.join("pwned")).unwrap(), "");
    assert_eq!(recorded(&project.build("dependant").join("env")), HOSTILE);

    let meta = project.eval("builtins.removeAttrs x.units.\"evil@1\".meta [ \"position\" ]");
    assert_eq!(meta["description"], HOSTILE[2]);
    assert_eq!(meta["homepage"], HOSTILE[3]);
    assert_eq!(meta["identifiers"]["purl"], HOSTILE[5]);
    assert_eq!(meta["mainProgram"], HOSTILE[7]);
    assert_eq!(meta["license"][0]["spdxId"], "ISC");
    assert_eq!(meta["license"][1], json!({ "fullName": HOSTILE[1], "free": true }));
}

#[test]
fn every_form_of_source_is_placed() {
    let step = |script: &str| json!({ "phase": "build", "words": [["sh"], ["-ec"], [script]] });
    let all = json!({
        "name": "all", "version": "1",
        "recipe": {
            "kind": "build",
            "sources": [
                { "artifact": "local" },
                { "artifact": "fetched", "to": "vendor/one" },
                { "artifact": "bare", "to": "vendor/bare" },
                { "artifact": "fetched", "to": "kept.tar.gz" },
                { "artifact": "folder", "to": "vendor/two" },
                { "artifact": "patch", "to": "fix it.patch" },
                { "artifact": "revision", "to": "checkout" },
            ],
            "files": { "added/bytes": { "base64": "//4A/w==" }, "added/text": "text\n" },
            "patches": ["fix it.patch"],
            "steps": [
                step("test -f a.txt -a -f sub/run -a -x sub/run -a ! -e _build -a ! -e .git -a ! -e target"),
                step("test ! -e x2nix.nix -a ! -e x2nix.lock.json -a ! -e result"),
                step("test \"$(cat vendor/one/in-top)\" = 'one' -a -f vendor/bare/x -a -f vendor/bare/y"),
                step("test -f kept.tar.gz -a \"$(cat vendor/two/b)\" = b"),
                step("test \"$(cat checkout/sub/c)\" = c"),
                step("test \"$(od -An -tx1 added/bytes | tr -d ' ')\" = fffe00ff"),
                step("test \"$(cat added/text)\" = text -a \"$(cat a.txt)\" = patched"),
                { "phase": "install", "words": [["test"], [{ "variable": "jobs" }], ["-ge"], ["1"]] },
                { "phase": "install", "words": [["cp"], [{ "variable": "source-top" }, "/a.txt"], [{ "out": "a.txt" }]] },
                { "phase": "install", "words": [["test"], ["x", { "variable": "platform" }], ["="], ["xx86_64-linux"]] },
            ],
        },
    });
    let single = json!({
        "name": "single", "version": "1",
        "recipe": { "kind": "build", "sources": [{ "artifact": "patch" }], "steps": [
            { "phase": "install", "words": [["cp"], ["fix-it.patch"], [{ "out": "" }]] },
        ] },
    });
    let Some(project) = Project::new() else { return };
    project.write("a.txt", "a\n");
    project.write("sub/run", "#!/bin/sh\n");
    project.write("repo/fix it.patch", "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-a\n+patched\n");
    project.write("repo/two/b", "b");
    project.run(
        "chmod +x sub/run; mkdir .git _build target; touch .git/x _build/x; ln -s a.txt result",
    );
    project.run("touch target/CACHEDIR.TAG");
    project.run("mkdir -p tmp/top; echo one > tmp/top/in-top; touch tmp/x tmp/y");
    project.run("tar -C tmp -czf one.tgz top; tar -C tmp -cf bare.tar x y; rm -r tmp");
    // What lies in the store under the name and the hash needs no network.
    project.run("nix-store --add-fixed sha256 one.tgz");
    let hash = project.run("nix-hash --type sha256 --flat --sri one.tgz");
    project.run("mkdir -p revision/sub; echo c > revision/sub/c");
    project.run("nix-store --add-fixed --recursive sha256 revision");
    let checkout = project.run("nix-hash --type sha256 --sri revision");
    project.run("rm -r revision");
    let artifacts = json!({
        "local": { "kind": "local", "path": "." },
        "fetched": {
            "kind": "fetch", "urls": ["https://x2nix.invalid/one.tgz"], "name": "one.tgz",
            "hashes": [hash],
        },
        "revision": {
            "kind": "git", "url": "https://x2nix.invalid/r.git", "name": "revision",
            "commit": "0123456789012345678901234567890123456789", "hash": checkout,
        },
        "bare": { "kind": "local", "path": "bare.tar" },
        "folder": { "kind": "input", "input": 1, "path": "two" },
        "patch": { "kind": "input", "input": 1, "path": "fix it.patch" },
    });
    project.lock(&lock(&json!({ "all@1": all, "single@1": single }), &artifacts));
    assert_eq!(fs::read_to_string(project.build("all").join("a.txt")).unwrap(), "patched\n");
    assert!(project.build("single").join("fix-it.patch").is_file());
}

/// Where the store does not have it, Nix fetches a revision of Git as it was locked.
#[test]
fn a_revision_is_fetched_by_nix() {
    let Some(project) = Project::new() else { return };
    let git = "git -c user.name=n -c user.email=e -c commit.gpgSign=false";
    let fresh = std::process::id();
    project.run(&format!(
        "mkdir -p up/sub; echo {fresh} > up/sub/c; cd up; {git} init -q; {git} add .; {git} commit -qm one; \
         {git} config uploadpack.allowAnySHA1InWant true; chmod -R a+rX . .."
    ));
    let commit = project.run("git -C up rev-parse HEAD");
    project.run("cp -R up copy; rm -rf copy/.git");
    let hash = project.run("nix-hash --type sha256 --sri copy; rm -r copy");
    let url = format!("file://{}", project.path("up").display());
    let artifact = json!({
        "kind": "git", "url": url, "name": "up", "commit": commit, "hash": hash, "submodules": true,
    });
    let unit = json!({
        "name": "a", "version": "1",
        "recipe": { "kind": "build", "sources": [{ "artifact": "up" }] },
    });
    project.lock(&lock(&json!({ "a@1": unit }), &json!({ "up": artifact })));
    let pkgs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/nix/pkgs.nix");
    let built = project.run(&format!(
        "nix-build --no-out-link --option extra-sandbox-paths \"$PWD\" x2nix.nix -A a.src \
         --arg pkgs 'import {pkgs} {{ toolchain = builtins.getEnv \"X2NIX_TOOLCHAIN\"; }}'"
    ));
    let text = fs::read_to_string(format!("{built}/sub/c")).unwrap();
    assert_eq!(text, format!("{fresh}\n"));
}

/// A folder of a source, a step before the patches, the text of another unit's file, and separators
/// that stay where nothing is there.
#[test]
fn what_a_build_finds_late_is_there() {
    let shell = |phase: &str, script: &str| json!({ "phase": phase, "words": [["bash"], ["-euc"], [script]] });
    let says = json!({
        "name": "says", "version": "1",
        "recipe": { "kind": "build", "steps": [
            { "phase": "install", "words": [["cp"], ["word"], [{ "out": "" }]] },
        ], "files": { "word": "it's $HOME\n" } },
        "exports": [
            { "variable": "SAID", "operation": "set", "value": [{ "content": { "unit": "says@1", "path": "word" } }] },
            { "variable": "GONE", "operation": "set", "value": ["<", { "content": { "unit": "says@1", "path": "gone" } }, ">"] },
            { "variable": "FRONT", "operation": "prepend-separated", "value": ["a"] },
            { "variable": "BACK", "operation": "append-separated", "value": ["a"] },
            { "variable": "LIST", "operation": "prepend", "value": ["a b"], "separator": ";" },
        ],
    });
    let hears = json!({
        "name": "hears", "version": "1",
        "depends": [{ "unit": "says@1" }],
        "recipe": {
            "kind": "build",
            "sources": [{ "artifact": "local", "from": "deep/inside" }],
            "patches": ["made.patch"],
            "environment": [
                { "variable": "LIST", "operation": "append", "value": ["c"], "separator": ";" },
            ],
            "steps": [
                shell("prepare", "sed s/WORD/patched/ made.patch.in > made.patch"),
                shell("build", "test \"$(cat a.txt)\" = patched -a ! -e deep"),
                shell("build", "test \"$SAID\" = \"it's \\$HOME\" -a \"$GONE\" = '<>'"),
                shell("build", "test \"$FRONT\" = a: -a \"$BACK\" = :a -a \"$LIST\" = 'a b;c'"),
                { "phase": "install", "words": [["cp"], ["a.txt"], [{ "out": "" }]] },
            ],
        },
    });
    let Some(project) = Project::new() else { return };
    project.write("deep/inside/a.txt", "a\n");
    project
        .write("deep/inside/made.patch.in", "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-a\n+WORD\n");
    let artifacts = json!({ "local": { "kind": "local", "path": "." } });
    project.lock(&lock(&json!({ "says@1": says, "hears@1": hears }), &artifacts));
    assert_eq!(fs::read_to_string(project.build("hears").join("a.txt")).unwrap(), "patched\n");
}

/// The example's own sources and commands, as the opam plugin states them.
#[test]
fn the_example_builds_and_runs() {
    let Some(project) = Project::new() else { return };
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/hello");
    project.run(&format!("cp -R '{example}/.' . && rm -rf _build result*"));

    let dune = |phase: &str, words: &[&str], name: &str| {
        let mut words: Vec<Value> = words.iter().map(|word| json!([word])).collect();
        words.extend([
            json!(["-p"]),
            json!([name]),
            json!(["-j"]),
            json!([{ "variable": "jobs" }]),
        ]);
        json!({ "phase": phase, "words": words })
    };
    let package = |name: &str, artifact: &str, depends: Value| {
        let place = |option: &str, path: &str| json!([option, { "out": path }]);
        json!({
            "name": name, "version": "1.0", "depends": depends,
            "recipe": {
                "kind": "build",
                "sources": [{ "artifact": artifact }],
                "steps": [
                    dune("build", &["dune", "build"], name),
                    dune("check", &["dune", "runtest"], name),
                    { "phase": "install", "words": [
                        ["dune"], ["install"], place("--prefix=", ""), place("--libdir=", "lib"),
                        place("--docdir=", "share/doc"), place("--mandir=", "share/man"), [name],
                    ] },
                ],
            },
            "exports": [
                { "variable": "PATH", "operation": "prepend", "value": [{ "out": "bin" }] },
                { "variable": "OCAMLPATH", "operation": "prepend", "value": [{ "out": "lib" }] },
                { "variable": "CAML_LD_LIBRARY_PATH", "operation": "prepend",
                  "value": [{ "out": "lib/stublibs" }] },
            ],
            "meta": { "main_program": name },
        })
    };
    let provided = |name: &str, version: &str, attribute: &str| {
        json!({
            "name": name, "version": version,
            "recipe": { "kind": "provided", "attribute": attribute },
        })
    };
    let tools = || json!([{ "unit": "ocaml@5.3.0" }, { "unit": "dune@3.17.2", "role": "build" }]);
    let mut needed = tools();
    needed.as_array_mut().unwrap().extend([
        json!({ "unit": "greet@1.0" }),
        json!({ "unit": "shout@1.0" }),
        json!({ "unit": "assay@1.0", "purpose": "test" }),
    ]);
    let units = json!({
        "ocaml-system@5.3.0": provided("ocaml-system", "5.3.0", "ocaml"),
        "ocaml@5.3.0": {
            "name": "ocaml", "version": "5.3.0", "recipe": { "kind": "build" },
            "depends": [{ "unit": "ocaml-system@5.3.0" }],
        },
        "dune@3.17.2": provided("dune", "3.17.2", "dune_3"),
        "greet@1.0": package("greet", "greet", tools()),
        "shout@1.0": package("shout", "shout", tools()),
        "assay@1.0": package("assay", "assay", tools()),
        "hello@dev": package("hello", "hello", needed),
    });
    let source =
        |name: &str| json!({ "kind": "input", "input": 1, "path": format!("sources/{name}.1.0") });
    let mut lock = lock(
        &units,
        &json!({
            "hello": { "kind": "local", "path": "." },
            "greet": source("greet"), "shout": source("shout"), "assay": source("assay"),
        }),
    );
    lock["platforms"]["x86_64-linux"]["roots"] = json!([{ "need": "hello", "by": ["hello@dev"] }]);
    project.lock(&lock);

    let hello = project.build("hello");
    let says = project.run(&format!("'{}/bin/hello' Nix", hello.display()));
    assert_eq!(says, "HELLO, NIX! (8 letters, as C counts them)");
    let greet = project.build("greet");
    assert!(greet.join("lib/greet/greet.cmxa").is_file());
    assert!(greet.join("lib/stublibs/dllgreet_stubs.so").is_file());

    // Tests need `assay`; the build itself does not.
    project.build("checks.hello");
    let needs = |attribute: &str| {
        project.eval(&format!("x.{attribute}.postHook")).as_str().unwrap().contains("-assay-")
    };
    assert!(needs("checks.hello") && !needs("hello"));

    // The shell holds all that the project needs, for tests too, but not the project.
    let shell = project.build_expression(
        r#"pkgs.runCommand "in-shell" { inherit (x.devShells.default) nativeBuildInputs buildInputs; } ''
          ${x.devShells.default.shellHook}
          { echo "$OCAMLPATH"; command -v dune ocamlopt; } > $out
        ''"#,
    );
    let shell = fs::read_to_string(shell).unwrap();
    for part in ["-assay-1.0/lib", "-greet-1.0/lib", "-shout-1.0/lib", "/bin/dune", "/bin/ocamlopt"]
    {
        assert!(shell.contains(part), "{part}: {shell}");
    }
    assert!(!shell.contains("-hello-"), "{shell}");
    // And in it the project is built, tested and run by hand.
    let by_hand = project.build_expression(
        r#"pkgs.runCommand "by-hand" { inherit (x.devShells.default) nativeBuildInputs buildInputs; } ''
          ${x.devShells.default.shellHook}
          cp -R ${x.hello.src} project
          chmod -R u+w project
          cd project
          export HOME=$PWD
          dune build --root .
          dune runtest --root .
          dune exec --root . -- hello "by hand" > $out
        ''"#,
    );
    let says = fs::read_to_string(by_hand).unwrap();
    assert_eq!(says, "HELLO, BY HAND! (11 letters, as C counts them)\n");
    assert_eq!(project.eval("builtins.attrNames x.roots"), json!(["hello"]));
    assert_eq!(project.eval("builtins.attrNames x.checks"), json!(["hello"]));
}

/// A unit that does nothing.
fn empty(name: &str, depends: &[&str]) -> Value {
    let depends: Vec<Value> = depends.iter().map(|unit| json!({ "unit": unit })).collect();
    json!({ "name": name, "version": "1", "recipe": { "kind": "build" }, "depends": depends })
}

/// A step that records a variable.
fn show(variable: &str) -> Value {
    let script = format!("printf '%s' \"${variable}\" > \"$0\"");
    json!({ "phase": "install", "words": [["sh"], ["-c"], [script], [{ "out": "shown" }]] })
}

#[test]
fn nearer_units_and_the_unit_itself_come_first() {
    let change = |operation: &str, value: Value| json!({ "variable": "V", "operation": operation, "value": value });
    let mut far = empty("far", &[]);
    far["exports"] = json!([
        change("set", json!(["lost"])),
        change("set", json!(["base"])),
        change("prepend", json!([{ "out": "far" }])),
        change("append", json!(["behind-far"])),
    ]);
    let mut near = empty("near", &["far"]);
    near["exports"] = json!([
        change("prepend", json!(["near"])),
        change("prepend", json!(["nearer"])),
        change("append", json!(["behind near", { "unit": { "unit": "far", "path": "x" } }])),
    ]);
    let mut top = empty("top", &["near", "far"]);
    top["recipe"]["environment"] = json!([change("prepend", json!(["own"]))]);
    top["recipe"]["steps"] = json!([show("V")]);
    let mut hidden = empty("hidden", &["near"]);
    hidden["recipe"]["environment"] =
        json!([change("set", json!([])), change("append", json!(["a"]))]);
    hidden["recipe"]["steps"] = json!([show("V")]);
    let mut path = empty("path", &[]);
    path["recipe"]["environment"] = json!([
        { "variable": "PATH", "operation": "append", "value": ["/last"] },
        { "variable": "UNSET", "operation": "append", "value": ["/only"] },
    ]);
    path["recipe"]["steps"] = json!([show("UNSET:${PATH##*:}")]);
    let units = json!({ "far": far, "near": near, "top": top, "hidden": hidden, "path": path });
    let Some(project) = Project::of(&units, &json!({})) else { return };

    let shown =
        |attribute: &str| fs::read_to_string(project.build(attribute).join("shown")).unwrap();
    let far = project.build("far").display().to_string();
    assert_eq!(
        shown("top"),
        format!("own:nearer:near:{far}/far:base:behind-far:behind near{far}/x")
    );
    assert_eq!(shown("hidden"), "a");
    assert_eq!(shown("path"), "/only:/last");
}

#[test]
fn platforms_names_and_overrides() {
    let mut units = json!({
        "a@1": empty("a", &["b@1"]),
        "b@1": empty("b", &[]),
        "b@2": empty("b", &[]),
        "packages@1": empty("packages", &[]),
        "gmp@1": { "name": "gmp", "version": "5.3.0", "recipe": { "kind": "provided", "attribute": "ocamlPackages.ocaml" } },
        "none@1": { "name": "none", "version": "6", "recipe": { "kind": "provided" } },
        "conf@1": { "name": "conf", "version": "1", "recipe": { "kind": "build", "system": [
            { "attribute": "pkg-config", "role": "build" }, { "attribute": "gmp" },
        ] } },
        "user@1": empty("user", &["conf@1", "gmp@1"]),
    });
    units["a@1"]["recipe"]["steps"] = json!([show("V")]);
    units["b@1"]["exports"] =
        json!([{ "variable": "V", "operation": "set", "value": [{ "out": "" }] }]);
    let mut lock = lock(&units, &json!({}));
    let mut other = units["a@1"].clone();
    other["version"] = json!("2");
    lock["units"]["a@1/x86_64-linux"] = other;
    lock["platforms"]["x86_64-linux"]["roots"] = json!([{ "need": "a", "by": ["a@1"] }]);
    let Some(project) = Project::new() else { return };
    project.lock(&lock);

    assert_eq!(project.eval("x.a.version"), "2");
    assert_eq!(project.eval("x.gmp.name"), "ocaml-5.3.0");
    assert_eq!(
        project.eval("map (p: p.name) (x.user.nativeBuildInputs ++ x.user.buildInputs)"),
        json!(["pkg-config-1.8.1", "ocaml-5.3.0", "gmp-6.3.0", "ocaml-5.3.0"])
    );
    assert_eq!(project.eval("x.a.x2nix"), json!({ "unit": "a@1", "packages": ["a@1"] }));
    assert_eq!(
        project.eval("[ x.units.\"b@2\".x2nix.unit x.\"b@2\".x2nix.unit ]"),
        json!(["b@2", "b@2"])
    );
    assert_eq!(project.eval("x.packages.packages.x2nix.unit"), "packages@1");
    project.build("none");

    // What is overridden is what others see; and again, on top.
    project.write(
        "overrides.nix",
        "final: prev: { \"b@1\" = prev.\"b@1\".overrideAttrs { version = \"9\"; }; }",
    );
    assert_eq!(project.eval("x.b.name"), "b-9");
    let seen = fs::read_to_string(project.build("a").join("shown")).unwrap();
    assert!(seen.ends_with("-b-9"), "{seen}");
    let again = "(x.overrideScope (final: prev: { a = prev.a.overrideAttrs (old: { version = \"3\"; }); }))";
    assert_eq!(
        project.eval(&format!("[ {again}.a.name {again}.roots.a.name {again}.b.name ]")),
        json!(["a-3", "a-3", "b-9"])
    );
    assert_eq!(project.eval("builtins.attrNames x.roots"), json!(["a"]));
}

#[test]
fn refusals_name_what_is_wrong() {
    let mut units = json!({
        "lost@1": { "name": "lost", "version": "1", "recipe": { "kind": "provided", "attribute": "no.such" } },
        "older@1": { "name": "older", "version": "1", "recipe": { "kind": "provided", "attribute": "dune_3" } },
        "variable@1": empty("variable", &[]),
        "outside@1": empty("outside", &[]),
        "remote@1": empty("remote", &[]),
        "unhashed@1": empty("unhashed", &[]),
    });
    units["variable@1"]["recipe"]["environment"] =
        json!([{ "variable": "A=1; touch pwned", "operation": "set", "value": ["x"] }]);
    for name in ["outside", "remote", "unhashed"] {
        units[format!("{name}@1")]["recipe"]["sources"] = json!([{ "artifact": name }]);
    }
    let artifacts = json!({
        "outside": { "kind": "local", "path": "a/../../b" },
        "remote": { "kind": "input", "input": 2, "path": "x" },
        "unhashed": { "kind": "fetch", "urls": ["https://x2nix.invalid/a"], "name": "a", "hashes": [] },
    });
    let mut lock = lock(&units, &artifacts);
    lock["inputs"].as_array_mut().unwrap().push(
        json!({ "kind": "repository", "location": "https://x2nix.invalid/repo", "hash": "sha256-" }),
    );
    let Some(project) = Project::new() else { return };
    project.lock(&lock);
    project.write("newer.json", "{\"version\": 2}");

    for (expression, message) in [
        ("x.lost.outPath", "the unit lost@1 needs pkgs.no.such, which is not there"),
        (
            "x.older.outPath",
            "pkgs.dune_3 is version 3.17.2, but x2nix.lock.json was resolved for 1",
        ),
        ("x.variable.postHook", "`A=1; touch pwned` cannot be the name of an environment variable"),
        ("x.outside.outPath", "the source a/../../b lies outside of its input"),
        ("x.remote.outPath", "a source lies in https://x2nix.invalid/repo, which is no folder"),
        ("x.unhashed.outPath", "the artifact unhashed has no checksum"),
        (
            "(import ./x2nix.nix { inherit pkgs; system = \"riscv64-linux\"; }).lost",
            "x2nix.lock.json has no answer for riscv64-linux, only for x86_64-linux; run `x2nix resolve --platform riscv64-linux`",
        ),
        (
            "(import ./x2nix.nix { inherit pkgs; lockFile = ./newer.json; }).lost",
            "newer.json has format 2, this file reads format 1",
        ),
    ] {
        let said = project.refusal(expression);
        assert!(said.contains(message), "{expression}: {said}");
    }
}

#[test]
fn the_shell_leaves_out_the_projects_own_roots() {
    let mut units = json!({
        "app@dev": empty("app", &["core@dev"]),
        "core@dev": empty("core", &["far@1"]),
        "far@1": empty("far", &[]),
    });
    for (id, unit) in units.as_object_mut().unwrap() {
        unit["exports"] =
            json!([{ "variable": "V", "operation": "prepend", "value": [{ "out": "" }] }]);
        if id.ends_with("dev") {
            unit["recipe"]["sources"] = json!([{ "artifact": "." }]);
        }
    }
    let artifacts = json!({ ".": { "kind": "local", "path": "." } });
    let Some(project) = Project::of(&units, &artifacts) else { return };
    let shell = project.eval("x.devShells.default.shellHook");
    let shell = shell.as_str().unwrap();
    assert!(shell.contains("-far-1'"), "{shell}");
    assert!(!shell.contains("-core-") && !shell.contains("-app-"), "{shell}");
}
