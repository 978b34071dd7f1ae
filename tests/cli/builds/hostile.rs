//! Hostile metadata: what a stranger writes into a field reaches Nix and the shell as that text and nothing
//! else, or is refused before anything is run.

use super::{build, place, resolve, run, x2nix};
use std::fs;

/// What would do something where it was pasted into Nix, a shell word, a script or a path.
const TEXT: &str = "it's ''${x} ${builtins.abort 1} \"$(touch /build/pwned)\" `touch /build/pwned` \\n \n; touch /build/pwned #\u{e9}\u{202e}*?~";

/// The same as a string of an opam file.
fn opam_string() -> String {
    format!("\"{}\"", TEXT.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%"))
}

#[test]
fn every_text_reaches_the_build_as_it_is() {
    let text = opam_string();
    // Each is compared with what the file `text` beside the opam file has.
    let compare = "printf %s \\\"$1\\\" | cmp - text";
    let packages = [
        ("argument", format!("build: [\"sh\" \"-exc\" \"{compare}\" \"sh\" {text}]")),
        ("command", format!("build: [[\"sh\" \"-c\" \"exit 0\" {text}] [{text}] {{false}}]")),
        ("filtered", format!("build: [\"sh\" \"-exc\" \"{compare}\" \"sh\" {text} {{name != {text}}}]")),
        ("installs", format!("install: [\"sh\" \"-exc\" \"{compare}\" \"sh\" {text}]")),
        (
            "environment",
            format!("build-env: [TEXT = {text}]\nbuild: [\"sh\" \"-exc\" \"printf %s \\\"$TEXT\\\" | cmp - text\"]"),
        ),
        ("exporter", format!("setenv: [[TEXT = {text}] [TEXTS += {text}]]")),
        (
            "importer",
            "depends: [\"exporter\"]\nbuild: [\"sh\" \"-exc\" \"printf %s \\\"$TEXT\\\" | cmp - text\"]".into(),
        ),
        (
            "described",
            format!(
                "synopsis: {text}\ndescription: {text}\nmaintainer: {text}\nauthors: {text}\nlicense: {text}\nhomepage: {text}\nbug-reports: {text}\ndoc: {text}\ndev-repo: \"git+https://host.invalid/\"\ntags: [{text}]\nmessages: [{text}]\npost-messages: [{text}]\nx-more: {text}\nbuild: [\"true\"]"
            ),
        ),
        ("substituted", "substs: [\"out\"]\nbuild: [\"sh\" \"-exc\" \"cmp out out.in\"]".into()),
        (
            "configured",
            "depends: [\"config\"]\nbuild: [\"sh\" \"-exc\" \"printf %s \\\"$1\\\" | cmp - text\" \"sh\" config:text]".into(),
        ),
        (
            "config",
            "build: [\"cp\" \"text.config\" \"config.config\"]".into(),
        ),
    ];
    let opams: Vec<_> =
        packages.iter().map(|(name, opam)| (format!("{name}.1"), opam.as_str())).collect();
    let opams: Vec<_> = opams.iter().map(|(name, opam)| (name.as_str(), *opam)).collect();
    let Some(place) = place(&opams) else { return };
    for (name, _) in &packages {
        let files = format!("repo/packages/{name}/{name}.1/files");
        place.write(&format!("{files}/text"), TEXT);
        // opam writes whole lines, so the last one must end for the two to be the same.
        place.write(&format!("{files}/out.in"), format!("{TEXT}\n"));
        place.write(
            &format!("{files}/text.config"),
            format!("opam-version: \"2.0\"\nvariables {{ text: {text} }}\n"),
        );
        place.write(&format!("{files}/{name}.install"), "doc: [\"text\"]\n");
    }
    let names: Vec<&str> = packages.iter().map(|(name, _)| *name).collect();
    resolve(&place, &names).exits(0);
    for form in ["emit", "emit --standalone"] {
        x2nix(&place, form).exits(0);
        for name in &names {
            match build(&place, name) {
                Ok(out) => {
                    let copied = fs::read(out.join(format!("doc/{name}/text")));
                    assert!(*name == "exporter" || copied.unwrap() == TEXT.as_bytes(), "{name}");
                }
                Err(said) => panic!("{name}: {said}"),
            }
        }
    }
}

#[test]
fn what_cannot_be_a_name_is_refused() {
    let zeros = "0".repeat(64);
    let url = |src: &str| {
        format!("build: [\"true\"]\nurl {{ src: \"{src}\" checksum: \"sha256={zeros}\" }}")
    };
    let text = opam_string();
    for (opam, said) in [
        ("build: [\"a\\000b\"]".to_owned(), "NUL"),
        ("build: [\"true\"]\nextra-source \"../../x\" { src: \"https://host.invalid/x\" checksum: \"md5=00000000000000000000000000000000\" }".into(), "outside its package"),
        ("build: [\"true\"]\nextra-source \"/x\" { src: \"https://host.invalid/x\" checksum: \"md5=00000000000000000000000000000000\" }".into(), "outside its package"),
        (format!("{}\nx-subpath: \"../x\"", url("https://host.invalid/x.tgz")), "outside its source"),
        (url("../../x"), "outside its repository"),
        ("patches: [\"../x\"]\nbuild: [\"true\"]".into(), "../x"),
        ("patches: [\"/etc/passwd\"]\nbuild: [\"true\"]".into(), "/etc/passwd"),
        (format!("build-env: [[{text} = \"a\"]]\nbuild: [\"true\"]"), "opam:2"),
        ("build: [\"true\"]\ndepexts: [[\"x; rm -rf /\" \"'${y}\"]]".into(), "x2nix.toml"),
    ] {
        let Some(place) = place(&[("a.1", &opam)]) else { return };
        let run = resolve(&place, &["a"]);
        assert_eq!(run.status, Some(2), "{opam}: {run:?}");
        run.says(said);
        assert!(!place.path("x2nix.lock.json").exists(), "{opam}");
    }
}

/// What only the build can find out: it stops there, and nothing has left its place.
#[test]
fn a_build_refuses_what_leaves_its_place() {
    let install = |to: &str| {
        format!(
            "build: [\"sh\" \"-c\" \"echo x > x; printf 'etc: [ \\\"x\\\" {{\\\"{to}\\\"}} ]' > a.install\"]"
        )
    };
    for (opam, said) in [
        (install("../../../pwned"), "pwned"),
        (install("/pwned"), "pwned"),
        ("build: [\"sh\" \"-c\" \"ln -s /build/outside x; echo 'etc: [\\\"../x\\\"]' > a.install\"]".into(), "../x"),
        ("substs: [\"../pwned\"]\nbuild: [\"true\"]".into(), "outside of the source"),
    ] {
        let Some(place) = place(&[("a.1", &opam)]) else { return };
        resolve(&place, &["a"]).exits(0);
        let refused = build(&place, "a").expect_err(&opam);
        assert!(refused.contains(said) && refused.contains("x2nix-opam"), "{opam}: {refused}");
    }
}

#[test]
fn archives_do_not_leave_their_place() {
    let Some(place) = place(&[]) else { return };
    run(
        &place,
        "mkdir -p archives top deep/er; echo one > top/a; echo x > pwned; ln -s /build top/out
         tar -cf archives/link.tar top --transform 's,^pwned,top/out/pwned,' top/a pwned
         (cd deep/er; zip -qX ../../archives/climbs.zip ../../pwned ../../top/a)
         rm top/out; mkfifo top/pipe; tar -cf archives/fifo.tar top; rm top/pipe
         echo 'top/device' > list
         tar -cf archives/device.tar top --transform 's,^dev/null,top/device,' -C / dev/null
         rm pwned",
    );
    let mut names = Vec::new();
    for file in ["link.tar", "climbs.zip", "fifo.tar", "device.tar"] {
        let name = file.split_once('.').unwrap().0;
        let sum = run(&place, &format!("sha256sum archives/{file} | cut -d' ' -f1"));
        place.write(
            &format!("repo/packages/{name}/{name}.1/opam"),
            format!("opam-version: \"2.0\"\nbuild: [\"sh\" \"-exc\" \"test ! -e /build/pwned\"]\nurl {{ src: \"https://host.invalid/{file}\" checksum: \"sha256={sum}\" }}\n"),
        );
        names.push(name);
    }
    resolve(&place, &names).exits(0);
    x2nix(&place, "fetch --offline --from archives").exits(0);
    for name in names {
        // What is built has kept to its place; what is not was refused while unpacking.
        if let Err(said) = build(&place, name) {
            assert!(
                said.contains("tar: ") || said.contains("unzip") || said.contains("skipped"),
                "{name}: {said}"
            );
            assert!(!said.contains("+ sh"), "{name}: {said}");
        }
    }
}

#[test]
fn settings_are_no_code_either() {
    let text = TEXT.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let opam = "build: [\"sh\" \"-exc\" \"printf %s \\\"$TEXT\\\" | cmp - text\"]\ndepexts: [[\"libodd\"]]";
    for (settings, built) in [
        (
            format!(
                "[[override]]\npackage = \"a\"\nreason = \"{text}\"\nenvironment = {{ TEXT = \"{text}\" }}\nsystem = []\n"
            ),
            true,
        ),
        (format!("[system]\nlibodd = [\"{text}\"]\n"), false),
        (
            format!(
                "[[override]]\npackage = \"a\"\nreason = \"x\"\nsystem = []\ninputs = {{ host = [\"{text}\"] }}\n"
            ),
            false,
        ),
        (
            format!(
                "[[override]]\npackage = \"a\"\nreason = \"x\"\nsystem = []\nattribute = \"{text}\"\n"
            ),
            false,
        ),
    ] {
        let Some(place) = place(&[("a.1", opam)]) else { return };
        place.write("repo/packages/a/a.1/files/text", TEXT);
        place.write("x2nix.toml", &settings);
        let run = resolve(&place, &["a"]);
        if run.status == Some(0) {
            match build(&place, "a") {
                Ok(_) => assert!(built, "{settings}"),
                Err(said) => assert!(
                    !built && said.contains("x2nix: the unit a@1 needs"),
                    "{settings}: {said}"
                ),
            }
        } else {
            let refused = run.exits(2);
            assert!(!built && refused.stderr.contains("x2nix.toml"), "{refused:?}");
        }
    }
}
