//! Files that are substituted in, the stand-in for `opam`, and the programs' own form.

use crate::support::{each, stderr, stdout, with_dependencies};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

#[test]
fn subst_expands_files() {
    each(|build| {
        build.depends("odd", "1", &[("path", "a\\b \"c\"")]);
        build.file(
            "bin/run.sh.in",
            "#!/bin/sh\necho '%{version}%' \"%{odd:path}%\" %% %{nope}%.\nlast",
        );
        build.mode("source/bin/run.sh.in", 0o755);
        // What reads as opam's syntax is kept to the byte, and values are escaped in strings.
        let opam = "p: \"%{odd:path}%\" # %{odd:path}%\nq: \"\"\"\"%{odd:path}%\\\"\n%{os}%\"\"\" r: \"\\\"%{os}%\"";
        build.file("foo.config.in", opam);
        build.file("empty.in", "");
        build.file("foo.config", "older, and longer than what replaces it: ".repeat(20));
        let output = build.x2nix(&["subst", "bin/run.sh", "foo.config", "empty"]);
        assert!(output.status.success(), "{output:?}");
        let read = |name: &str| fs::read_to_string(build.source().join(name)).expect(name);
        assert_eq!(read("bin/run.sh"), "#!/bin/sh\necho '1.5~rc1' \"a\\b \"c\"\" % .\nlast\n");
        let mode =
            fs::metadata(build.source().join("bin/run.sh")).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
        let escaped = "a\\\\b \\\"c\\\"";
        assert_eq!(
            read("foo.config"),
            format!(
                "p: \"{escaped}\" # a\\b \"c\"\nq: \"\"\"\"{escaped}\\\"\nlinux\"\"\" r: \"\\\"linux\""
            )
        );
        assert_eq!(read("empty"), "");
        // Through no link.
        build.place("elsewhere", "before");
        build.file("link.in", "%{os}%");
        symlink(build.top.join("elsewhere"), build.source().join("link")).expect("a link");
        assert!(build.x2nix(&["subst", "link"]).status.success());
        assert_eq!(fs::read_to_string(build.top.join("elsewhere")).expect("a file"), "before");
        assert_eq!(read("link"), "linux\n");
        build.file("nul.in", "a\0b");
        for name in ["missing", "../elsewhere", "/etc/passwd", "nul"] {
            let output = build.x2nix(&["subst", name]);
            assert!(!output.status.success() && !output.stderr.is_empty(), "{name}: {output:?}");
        }
    });
}

#[test]
fn the_stand_in_answers_what_packages_ask() {
    each(|build| {
        with_dependencies(build);
        let out = build.out().display().to_string();
        let ocaml = build.prefixes[0].clone();
        let header = "# Packages matching: installed\n# Name       # Installed # Synopsis\n";
        for (words, expected) in [
            ("--version", "2.3.0\n".to_owned()),
            ("var prefix", format!("{out}\n")),
            ("config var --root=/x ocaml:lib", format!("{ocaml}/lib/ocaml\n")),
            ("--cli=2.0 --switch x -y config var ocaml:version --safe", "5.2.0\n".into()),
            ("var nope:installed", "false\n".into()),
            ("switch show", "default\n".into()),
            ("env", String::new()),
            ("config env --shell=sh", String::new()),
            ("env --switch=x --set-switch", String::new()),
            ("exec -- printf %s -y", "-y".into()),
            ("config exec printf %s --safe", "--safe".into()),
            (
                "list",
                format!(
                    "{header}base-unix    base\nconf-g++     1.0\nocaml        5.2.0\nocaml-system 5.3.0\n"
                ),
            ),
            ("list -s", "base-unix\nconf-g++\nocaml\nocaml-system\n".into()),
            ("list --installed --short --columns=name,version ocaml", "ocaml 5.2.0\n".into()),
            ("list -i --columns package conf-g++ -s", "conf-g++.1.0\n".into()),
            ("list -is ocaml.5.2.0 ocaml.4.14.0", "ocaml\n".into()),
            ("list -s ocaml", "ocaml.5.2.0\n".into()),
            ("list -is OCAML", "ocaml\n".into()),
            ("list -is nope", String::new()),
            ("list --silent -i ocaml", String::new()),
        ] {
            let output = build.run("opam", &words.split(' ').collect::<Vec<_>>());
            assert!(output.status.success(), "{words}: {output:?}");
            assert_eq!(stdout(&output), expected, "{words}");
        }
        for words in [&["var"][..], &["config", "list"]] {
            let output = build.run("opam", words);
            assert!(output.status.success());
            let line = format!("{:<20} {out}/lib\n", "lib");
            assert!(
                stdout(&output).contains(&line) && stdout(&output).contains("x86_64"),
                "{output:?}"
            );
        }
        for (words, status, said) in [
            ("var nope", 5, "[ERROR] Variable nope not found in the global configuration\n"),
            (
                "config var nope:lib",
                5,
                "[ERROR] Variable nope:lib not found in switch default; package nope is not installed in this switch\n",
            ),
            ("var ocaml:nope", 5, "[ERROR] Variable ocaml:nope not found in switch default\n"),
            ("list --silent nope", 1, ""),
            ("install lwt", 2, "x2nix's|x2nix builds this package without opam"),
            ("", 2, "x2nix builds"),
            ("switch create x", 2, "It answers: opam var"),
            ("list --required-by=x", 2, "x2nix builds"),
            ("var x=y", 2, "x2nix builds"),
            ("config set x y", 2, "x2nix builds"),
        ] {
            let words: Vec<_> = words.split(' ').filter(|word| !word.is_empty()).collect();
            let output = build.run("opam", &words);
            assert_eq!(output.status.code(), Some(status), "{words:?}: {output:?}");
            assert!(
                said.split('|').any(|said| stderr(&output).contains(said)),
                "{words:?}: {output:?}"
            );
        }
        build.file("x.in", "%{ocaml:version}%");
        assert!(build.run("opam", &["config", "subst", "x"]).status.success());
    });
}

/// Every program and what it sources is well-formed, and ends in a builtin of the shell: a program
/// whose last command is another one would leave its status to that.
#[test]
fn programs_are_well_formed() {
    each(|build| {
        for name in ["bin/opam", "bin/x2nix-opam", "share/x2nix-opam/variables.bash"] {
            let path = build.top.join("x2nix-opam").join(name);
            let output = Command::new("bash").arg("-n").arg(&path).output().expect("bash");
            assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
            let text = fs::read_to_string(&path).expect("a program");
            if name.starts_with("bin/") {
                assert!(text.ends_with("\nexit\n"), "{name}");
            }
            assert!(
                text.lines().skip(1).all(|line| !line.contains("/bin/")
                    || line.contains("$X2NIX_OPAM")
                    || line.starts_with('#')),
                "{name}: an absolute path"
            );
        }
    });
}
