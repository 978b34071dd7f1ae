//! `.install` and `.config` files: what is installed, what is recorded, what is refused.

use crate::support::{each, installed, stderr, stdout, tree};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

#[test]
fn install_places_every_section() {
    each(|build| {
        for name in ["a", "b", "sub/c", "foo.1", "foo.3.gz", "x y"] {
            build.file(name, name);
        }
        build.mode("source/b", 0o600);
        let out = build.out();
        build
            .install(format!(
                r#"
                # every section
                opam-version: "2.0"
                bin: ["a" "b" {{"renamed"}} "?missing"]  sbin: "a"
                lib: ["sub/c" "a" {{"deep/er/a"}} "?x y" {{"./with//space/"}}]
                libexec: ["b"]
                lib_root: ["a"]  libexec_root: ["b"]
                toplevel: "a"  stublibs: ["b" {{"dllb.so"}}]
                man: ["foo.1" "foo.3.gz" "a" {{"man7/a.7"}}]
                share: ["a"]  share_root: ["a" {{"emacs/a"}}]
                etc: ["a"]  doc: "a" {{"\x41\098\n"}}
                misc: ["b" {{"{}/misc/b"}}]
                (* (* nested *) bin: "nope" *)
                "#,
                out.display()
            ))
            .expect("a good file");
        let expected = [
            "755 bin/a a",
            "755 bin/renamed b",
            "644 doc/foo/Ab\n a",
            "644 etc/foo/a a",
            "644 lib/a a",
            "755 lib/b b",
            "755 lib/foo/b b",
            "644 lib/foo/c sub/c",
            "644 lib/foo/deep/er/a a",
            "644 lib/foo/with/space x y",
            "755 lib/stublibs/dllb.so b",
            "644 lib/toplevel/a a",
            "644 man/man1/foo.1 foo.1",
            "644 man/man3/foo.3.gz foo.3.gz",
            "644 man/man7/a.7 a",
            "644 misc/b b",
            "755 sbin/a a",
            "644 share/emacs/a a",
            "644 share/foo/a a",
        ];
        assert_eq!(installed(build), expected);
    });
}

#[test]
fn install_leaves_out_what_opam_leaves_out() {
    each(|build| {
        build.file("a", "a");
        build.file("b", "b");
        let said = build
            .install(
                "bin: [\"a\"]\nbin: [\"b\"]\nlibb: [\"a\"]\nlib: [a]\nshare: [[\"a\"]]\n\
                 doc: [\"a\" {\"b\" \"c\"}]\netc: [\"a\" {os = \"x\"}]\nmisc: [\"a\" {\"b\"}]\n\
                 extra { bin: [\"b\"] }\n",
            )
            .expect("warnings only");
        assert_eq!(installed(build), ["755 bin/a a"]);
        for (line, what) in [
            (2, "bin is a duplicate"),
            (3, "libb is unknown"),
            (4, "lib is not a list of files"),
            (5, "share is"),
            (6, "doc is"),
            (7, "etc is"),
            (8, "misc is"),
            (9, "section extra is left out"),
        ] {
            assert!(said.contains(&format!("warning: foo.install:{line}: ")), "{line}: {said}");
            assert!(said.contains(what), "{what}: {said}");
        }
    });
}

/// Of two files for one place opam installs both, in the order of its sections.
#[test]
fn install_lets_the_last_one_win() {
    each(|build| {
        for name in ["a", "b", "c"] {
            build.file(name, name);
        }
        build
            .install(
                "libexec: [\"b\" {\"x\"}] lib: [\"a\" {\"x\"} \"a\" {\"y\"} \"b\" {\"y\"} \"?d\" {\"y\"}] \
                 lib_root: [\"c\" {\"foo/x\"}]",
            )
            .expect("a good file");
        assert_eq!(installed(build), ["644 lib/foo/x c", "644 lib/foo/y b"]);
    });
}

#[test]
fn install_names_what_is_missing() {
    each(|build| {
        build.file("a", "a");
        build.file("folder/a", "a");
        let said = build
            .install("lib: [\"a\"\n\"gone\" \"?gone\"\n\"folder\" {\"x\"}]")
            .expect_err("files are missing");
        assert!(said.contains("installation of foo.1.5~rc1 failed"), "{said}");
        assert!(said.contains("'gone' to ") && said.contains("(foo.install:2)"), "{said}");
        assert!(said.contains("'folder' to ") && said.contains("(foo.install:3)"), "{said}");
        // opam, too, installs the others first.
        assert_eq!(installed(build), ["644 lib/foo/a a"]);
        assert!(!build.out().join("nix-support").exists());
    });
}

#[test]
fn install_without_files_records_the_package() {
    each(|build| {
        assert!(build.x2nix(&["install"]).status.success());
        assert_eq!(
            fs::read_to_string(build.out().join("nix-support/opam/foo/version")).expect("a record"),
            "1.5~rc1\n"
        );
    });
}

#[test]
fn install_records_the_variables() {
    each(|build| {
        build.file(
            "foo.config",
            "opam-version: \"2.0\"\nfile-depends: [[\"/x\" \"md5=00\"]]\nvariables {\n  yes: true\n  \
             text: \"two\\nlines\\\n   on\"\n  list: [\"a b\" \"c\"]\n  none: []\n  yes: false }\nother: 1\n",
        );
        let output = build.x2nix(&["install"]);
        assert!(output.status.success(), "{output:?}");
        assert!(stderr(&output).contains("foo.config:10: the field other"), "{output:?}");
        let folder = build.out().join("nix-support/opam/foo/variables");
        let values: Vec<_> = tree(&folder)
            .into_iter()
            .map(|(path, (_, content))| {
                format!("{}={}", path.display(), String::from_utf8_lossy(&content))
            })
            .collect();
        assert_eq!(values, ["list=a b c\n", "none=\n", "text=two\nlineson\n", "yes=true\n"]);
        // And the next package sees them.
        build.prefixes.push(build.out().display().to_string());
        let seen = build.run("opam", &["var", "foo:text"]);
        assert_eq!(stdout(&seen), "two\nlineson\n");
        // An old file, without a section; and one that opam leaves out as a whole.
        build.file("foo.config", "a: \"x\" b: true");
        assert!(build.x2nix(&["install"]).status.success());
        let names: Vec<_> = tree(&folder).into_keys().collect();
        assert_eq!(names, [Path::new("a"), Path::new("b")]);
        build.file("foo.config", "opam-version: \"2.0\" variables { a: \"x\" b: 1 }");
        let output = build.x2nix(&["install"]);
        assert!(stderr(&output).contains("the variable b is no string"), "{output:?}");
        assert!(tree(&folder).is_empty());
    });
}

#[test]
fn install_refuses_what_leaves_its_place() {
    each(|build| {
        build.file("a", "a");
        build.file("folder/a", "a");
        build.place("elsewhere/secret", "s");
        symlink(build.top.join("elsewhere/secret"), build.source().join("link")).expect("a link");
        symlink(build.top.join("elsewhere"), build.source().join("links")).expect("a link");
        for (line, what) in [
            ("bin: [\"a\" {\"../../x\"}]", "leaves|outside of $out"),
            ("lib: [\"a\" {\"b/../../../../x\"}]", "outside of $out"),
            ("lib: [\"a\" {\"/etc/x\"}]", "absolute"),
            ("lib: [\"/etc/passwd\"]", "absolute"),
            ("lib: [\"../elsewhere/secret\"]", "outside of the source"),
            ("lib: [\"link\"]", "outside of the source"),
            ("lib: [\"links/secret\"]", "outside of the source"),
            ("lib: [\"a\" {\"\"}]", "is a folder"),
            ("lib: [\"a\" {\"b/..\"}]", "is a folder"),
            ("lib: [\"a\" {\"..\"}]", "is a folder"),
            ("lib_root: [\"a\" {\"x\"} \"a\" {\".\"}]", "is a folder"),
            ("misc: [\"a\" {\"/etc/x\"}]", "outside of $out"),
            ("misc: [\"a\" {\"OUT/../x\"}]", "outside of $out"),
            ("misc: [\"a\" {\"OUT2\"}]", "outside of $out"),
            ("man: [\"a\"]", "man file without destination"),
            ("man: [\"a.9\"]", "man file without destination"),
            ("bin: [\"a\"", "too early"),
            ("bin: [\"a", "unterminated string"),
            ("bin: [\"\\q\"]", "illegal escape"),
            ("bin: [\"\\000\"]", "illegal escape"),
            ("bin: [\"\\256\"]", "illegal escape"),
            ("bin: ] ", "syntax error"),
            ("(* bin: [] ", "unterminated comment"),
            ("bin: [ $ ]", "not a valid token"),
        ] {
            let text =
                format!("\n\n{}", line.replace("OUT", build.out().to_str().expect("a path")));
            let said = build.install(text).expect_err(line);
            assert!(what.split('|').any(|what| said.contains(what)), "{line}: {said}");
            assert!(said.contains("foo.install:3: "), "{line}: {said}");
            assert!(tree(&build.out()).is_empty(), "{line} installed something");
        }
        let said = build.install("bin: [\"a\0\"]").expect_err("NUL");
        assert!(said.contains("NUL"), "{said}");
        // Inside of $out, opam lets `..` be, and so do links from one place of the source to another.
        symlink("a", build.source().join("inside")).expect("a link");
        build.install("lib: [\"inside\" {\"../bar/x\"} \"folder/../a\"]").expect("a good file");
        assert_eq!(installed(build), ["644 lib/bar/x a", "644 lib/foo/a a"]);
    });
}

#[test]
fn install_refuses_links_out_of_the_prefix() {
    each(|build| {
        build.file("a", "a");
        build.place("elsewhere/a", "before");
        fs::create_dir_all(build.out().join("share")).expect("a folder");
        symlink(build.top.join("elsewhere"), build.out().join("lib")).expect("a link");
        symlink(build.top.join("elsewhere/a"), build.out().join("share/a")).expect("a link");
        let said = build.install("lib_root: [\"a\"]").expect_err("a link");
        assert!(said.contains("foo.install:1: a link leads out of $out"), "{said}");
        // A link where the file goes is replaced, not followed.
        build.install("share_root: [\"a\"]").expect("a good file");
        let before = fs::read_to_string(build.top.join("elsewhere/a")).expect("a file");
        assert_eq!(before, "before");
        symlink(build.top.join("elsewhere"), build.out().join("nix")).expect("a link");
        fs::remove_dir_all(build.out().join("nix-support")).expect("a folder");
        symlink(build.top.join("elsewhere"), build.out().join("nix-support")).expect("a link");
        let said = build.install("share_root: [\"a\"]").expect_err("a link");
        assert!(said.contains("nix-support"), "{said}");
    });
}

/// Names that would be something else in a shell, in an option or in arithmetic.
#[test]
fn install_takes_names_literally() {
    each(|build| {
        let names = [
            "$(touch pwned)",
            "`touch pwned`",
            "a b",
            "-rf",
            "--",
            "@",
            "*",
            "]",
            "x[$(touch pwned)]",
            "it's",
            "\"",
            "\\",
            "a\nb",
            "~",
            "~root",
            "a=b",
            "%s",
            "é",
            "#",
            "{x,y}",
            "=",
        ];
        let mut text = String::from("lib: [");
        for name in names {
            build.file(name, name);
            let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
            text += &format!("\"{quoted}\" \"{quoted}\" {{\"renamed/{quoted}x\"}} ");
        }
        build.install(text + "]").expect("a good file");
        let mut expected: Vec<_> = names
            .iter()
            .flat_map(|name| {
                [
                    format!("644 lib/foo/{name} {name}"),
                    format!("644 lib/foo/renamed/{name}x {name}"),
                ]
            })
            .collect();
        expected.sort_by_key(|line| PathBuf::from(line.split(" lib/").nth(1).expect("a path")));
        let mut seen = installed(build);
        seen.sort();
        expected.sort();
        assert_eq!(seen, expected);
        assert!(!build.source().join("pwned").exists());
    });
}
