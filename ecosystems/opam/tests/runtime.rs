//! The programs that run inside of the build of an opam package (`runtime/`), as real processes:
//! each scenario under every awk that is installed (mawk, gawk).

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use x2nix_opam::filter::{Scope, Value, Variable, expand_string};
use x2nix_opam::{syntax, version};

const VARIABLES: &str =
    "arch\tx86_64\nos\tlinux\nos-version\t13\nopam-version\t2.3.0\nmake\tgmake\n";

/// A build of the package `foo` 1.5~rc1: its source, its prefix, and those of its dependencies.
struct Build {
    top: PathBuf,
    awk: &'static str,
    prefixes: Vec<String>,
}

impl Build {
    fn new(awk: &'static str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let top = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("runtime-{}-{number}", std::process::id()));
        let build = Self { top, awk, prefixes: Vec::new() };
        let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).join("runtime");
        let bash = program("bash").expect("bash");
        for name in [
            "bin/opam",
            "bin/x2nix-opam",
            "share/x2nix-opam/syntax.awk",
            "share/x2nix-opam/variables.bash",
        ] {
            let text = fs::read_to_string(runtime.join(name)).expect(name);
            let path = format!("x2nix-opam/{name}");
            build.place(&path, text.replacen("@bash@", bash.to_str().expect("a path"), 1));
            build.mode(&path, 0o755);
        }
        build.place("x2nix-opam/share/x2nix-opam/variables", VARIABLES);
        fs::create_dir_all(build.top.join("awk")).expect("a folder");
        symlink(program(awk).expect(awk), build.top.join("awk/awk")).expect("a link");
        fs::create_dir_all(build.source()).expect("a folder");
        build
    }

    fn source(&self) -> PathBuf {
        self.top.join("source")
    }

    fn out(&self) -> PathBuf {
        self.top.join("store/foo")
    }

    fn place(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.top.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.top.join(path), fs::Permissions::from_mode(mode)).expect("a mode");
    }

    /// A file of the source.
    fn file(&self, name: &str, text: impl AsRef<[u8]>) {
        self.place(&format!("source/{name}"), text);
    }

    /// A dependency, nearest first.
    fn depends(&mut self, name: &str, version: &str, variables: &[(&str, &str)]) {
        let prefix = format!("store/{}-{name}", self.prefixes.len());
        let record = format!("{prefix}/nix-support/opam/{name}");
        self.place(&format!("{record}/version"), format!("{version}\n"));
        for (variable, value) in variables {
            self.place(&format!("{record}/variables/{variable}"), format!("{value}\n"));
        }
        self.prefixes.push(self.top.join(prefix).to_str().expect("a path").to_owned());
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let path = std::env::var("PATH").expect("PATH");
        let own = |name: &str| self.top.join(name).display().to_string();
        let mut command = Command::new(program);
        command
            .current_dir(self.source())
            .env("PATH", format!("{}:{}:{path}", own("awk"), own("x2nix-opam/bin")))
            .env("X2NIX_OPAM", self.top.join("x2nix-opam"))
            .env("X2NIX_OPAM_PREFIXES", self.prefixes.join(":"))
            .env("out", self.out())
            .env("OPAM_PACKAGE_NAME", "foo")
            .env("OPAM_PACKAGE_VERSION", "1.5~rc1")
            .env("NIX_BUILD_CORES", "3")
            .env("NIX_BUILD_TOP", "/build");
        command
    }

    fn run(&self, name: &str, words: &[&str]) -> Output {
        let program = self.top.join("x2nix-opam/bin").join(name);
        self.command(program).args(words).output().expect("a program")
    }

    fn x2nix(&self, words: &[&str]) -> Output {
        self.run("x2nix-opam", words)
    }

    /// Installs files that a `.install` file lists; the answer is what went wrong.
    fn install(&self, text: impl AsRef<[u8]>) -> Result<String, String> {
        self.file("foo.install", text);
        let output = self.x2nix(&["install"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(said) } else { Err(said) }
    }

    /// What a filter makes of itself.
    fn holds(&self, filter: &str) -> bool {
        let output = self.x2nix(&["run", "-w", "echo", "-f", filter, "-w", "yes"]);
        assert!(output.status.success(), "{filter}: {output:?}");
        String::from_utf8_lossy(&output.stdout).ends_with("\nyes\n")
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            fs::remove_dir_all(&self.top).ok();
        }
    }
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Runs a scenario under every awk.
fn each(scenario: impl Fn(&mut Build)) {
    let awks: Vec<_> = ["mawk", "gawk"].into_iter().filter(|awk| program(awk).is_some()).collect();
    assert!(!awks.is_empty(), "neither mawk nor gawk is installed");
    for awk in awks {
        scenario(&mut Build::new(awk));
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// All files below a folder: by path, whether it may be executed, and the content.
fn tree(folder: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            let path = entry.path();
            let meta = entry.metadata().expect("a file");
            if meta.is_dir() {
                folders.push(path);
            } else {
                assert!(meta.is_file(), "{} is special", path.display());
                let inside = path.strip_prefix(folder).expect("inside").to_owned();
                files.insert(
                    inside,
                    (meta.permissions().mode() & 0o777, fs::read(&path).expect("a file")),
                );
            }
        }
    }
    files
}

/// What was installed, as lines, without the record.
fn installed(build: &Build) -> Vec<String> {
    let own = Path::new("nix-support/opam/foo");
    tree(&build.out())
        .into_iter()
        .filter(|(path, _)| !path.starts_with(own))
        .map(|(path, (mode, content))| {
            format!("{mode:o} {} {}", path.display(), String::from_utf8_lossy(&content))
        })
        .collect()
}

// --- install -------------------------------------------------------------------------------------

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

/// A megabyte of anything is read at once: nothing is quadratic.
#[test]
fn large_files_are_read_in_linear_time() {
    each(|build| {
        let escapes = format!("bin: [\"?{}\"]", "\\n".repeat(500_000));
        let one_line = format!("bin: [{}]", "\"?a/b\" ".repeat(140_000));
        let comment = format!("(*{}*) bin: []", "(* *)".repeat(200_000));
        let blanks = format!("bin: [{}]", " ".repeat(1_000_000));
        let brackets = "[".repeat(300_000);
        for (what, text, good) in [
            ("escapes", escapes, true),
            ("one line", one_line, true),
            ("comments", comment, true),
            ("blanks", blanks, true),
            ("brackets", format!("bin: {brackets}"), false),
        ] {
            let start = std::time::Instant::now();
            let mut child = reader(build).stdin(Stdio::piped()).spawn().expect("awk");
            child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("a pipe");
            assert_eq!(child.wait().expect("awk").success(), good, "{what}");
            assert!(start.elapsed().as_secs() < 20, "{what}: {:?}", start.elapsed());
        }
    });
}

/// Whether the reader takes what it is given.
fn reader(build: &Build) -> Command {
    let mut command = build.command(program(build.awk).expect("awk"));
    command
        .env("LC_ALL", "C")
        .args(["-v", "mode=check", "-f"])
        .arg(build.top.join("x2nix-opam/share/x2nix-opam/syntax.awk"));
    command
}

/// The reader in awk takes what the plugin's own reader takes, of arbitrary rows of tokens.
#[test]
fn the_grammar_is_the_plugin_s() {
    let tokens = [
        "a",
        "a",
        "b-c",
        "x+y:z",
        "true",
        "12",
        "\"s\"",
        "\"\"\"t\"t\"\"\"",
        ":",
        ":",
        ":",
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "&",
        "|",
        "=",
        "!=",
        ">=",
        "!",
        "?",
        "+=",
        "\n",
        "# x\n",
        "(* y *)",
        "\"\\\n z\"",
        "_",
        "-",
    ];
    each(|build| {
        let mut random = Random(7);
        let mut good = 0;
        for _ in 0..600 {
            let mut text = String::new();
            // Begun like a file, so that more of them are good.
            for _ in 0..=random.below(3) {
                text += "a: ";
                for _ in 0..random.below(4) {
                    text += tokens[random.below(tokens.len())];
                    text += " ";
                }
            }
            let expected = syntax::parse(text.as_bytes()).is_ok();
            good += u32::from(expected);
            let mut child = reader(build).stdin(Stdio::piped()).spawn().expect("awk");
            child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("a pipe");
            assert_eq!(child.wait().expect("awk").success(), expected, "{}: {text:?}", build.awk);
        }
        assert!(good > 20, "only {good} good files");
    });
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % limit as u64).expect("small")
    }
}

/// The same files through opam's own installer: the same paths, modes and contents.
///
/// Left out is where the two differ on purpose: `misc` (opam asks a person), missing files (the
/// installer only complains, opam fails), and what opam would write outside of its prefix.
#[test]
fn install_is_what_opam_installer_does() {
    let Some(installer) = program("opam-installer") else {
        let mut console = std::io::stderr();
        writeln!(console, "skipped: opam-installer is not installed (apt: opam-installer)").ok();
        return;
    };
    let sections = [
        "bin",
        "sbin",
        "lib",
        "libexec",
        "lib_root",
        "libexec_root",
        "toplevel",
        "stublibs",
        "share",
        "share_root",
        "etc",
        "doc",
        "man",
    ];
    let sources = [
        "a",
        "b.1",
        "c d.3.gz",
        "sub/a",
        "sub/deep/e.8x",
        "q\"uote",
        "back\\slash",
        "li\nne",
        "é",
        "l",
    ];
    let targets = [
        "", "", "x", "y/z", "./p//q", "dir/", "man1/a.1", "t\tab", "\"", "-n", "a b/c$d", "../up/x",
    ];
    each(|build| {
        let mut random = Random(42);
        for name in sources {
            if name != "l" {
                build.file(name, name);
            }
        }
        build.mode("source/a", 0o755);
        symlink("sub/a", build.source().join("l")).expect("a link");
        for round in 0..25 {
            let mut text =
                String::from(if round % 2 == 0 { "opam-version: \"2.0\"\n" } else { "" });
            for section in sections {
                if random.below(3) == 0 {
                    continue;
                }
                text += &format!("{section}: [");
                for _ in 0..random.below(4) {
                    let source = sources[random.below(sources.len())];
                    let mut target = targets[random.below(targets.len())];
                    if section == "man" && target.is_empty() && !source.contains(['1', '3', '8']) {
                        target = "man5/x.5";
                    }
                    let optional = if random.below(4) == 0 { "?" } else { "" };
                    let missing =
                        if optional.is_empty() || random.below(2) == 0 { "" } else { "no" };
                    text += &literal(&format!("{optional}{missing}{source}"), &mut random);
                    if !target.is_empty() {
                        text += &format!(" {{{}}}", literal(target, &mut random));
                    }
                    text += if random.below(2) == 0 { "\n" } else { " (* c \" *) " };
                }
                text += "]\n";
            }
            fs::remove_dir_all(build.out()).ok();
            let theirs = build.top.join("theirs");
            fs::remove_dir_all(&theirs).ok();
            let ours = build.install(&text);
            let output = Command::new(&installer)
                .current_dir(build.source())
                .arg(format!("--prefix={}", theirs.display()))
                .arg("foo.install")
                .output()
                .expect("opam-installer");
            // Both may find that one file's place is another's folder.
            if ours.is_err() && !output.status.success() {
                continue;
            }
            ours.unwrap_or_else(|said| panic!("{said}\n{text}\n{output:?}"));
            fs::remove_dir_all(build.out().join("nix-support")).expect("the record");
            assert_eq!(tree(&build.out()), tree(&theirs), "{text}");
        }
    });
}

/// A string in one of its notations.
fn literal(text: &str, random: &mut Random) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    let bytes = |code: &dyn Fn(u8) -> String| {
        let codes: Vec<_> = text.bytes().map(code).collect();
        format!("\"{}\"", codes.concat())
    };
    match random.below(4) {
        0 if !text.contains('"') => format!("\"\"\"{escaped}\"\"\""),
        1 => bytes(&|byte| format!("\\{byte:03}")),
        2 => bytes(&|byte| format!("\\x{byte:02X}")),
        _ => format!("\"\\\n   {escaped}\""),
    }
}

// --- variables, strings, filters -----------------------------------------------------------------

fn with_dependencies(build: &mut Build) {
    build.depends(
        "ocaml",
        "5.2.0",
        &[("native", "true"), ("preinstalled", "false"), ("sys", "os")],
    );
    build.depends("conf-g++", "1.0", &[("lib", "own/lib")]);
    build.depends("ocaml", "4.14.0", &[("native", "false"), ("far", "x")]);
}

#[test]
fn variables_have_opam_s_values() {
    each(|build| {
        with_dependencies(build);
        let out = build.out().display().to_string();
        let ocaml = build.prefixes[0].clone();
        let source = build.source().display().to_string();
        build.file("foo.config", "variables { early: true lib: \"nowhere\" }");
        for (text, expected) in [
            ("%{os}% %{arch}% %{opam-version}%", "linux x86_64 2.3.0".into()),
            (
                "%{jobs}% %{make}% %{switch}% %{root}% %{exe}%",
                "3 gmake default /build/.opam ".into(),
            ),
            ("%{name}% %{version}% %{_:name}% %{_:version}%", "foo 1.5~rc1 foo 1.5~rc1".into()),
            ("%{prefix}% %{lib}% %{libexec}%", format!("{out} {out}/lib {out}/lib")),
            ("%{stublibs}% %{toplevel}%", format!("{out}/lib/stublibs {out}/lib/toplevel")),
            ("%{bin}% %{sbin}% %{man}%", format!("{out}/bin {out}/sbin {out}/man")),
            ("%{share}% %{doc}% %{etc}%", format!("{out}/share {out}/doc {out}/etc")),
            ("%{build}%", source),
            (
                "%{foo:share}% %{_:doc}% %{_:bin}%",
                format!("{out}/share/foo {out}/doc/foo {out}/bin"),
            ),
            ("%{ocaml:lib}% %{ocaml:bin}%", format!("{ocaml}/lib/ocaml {ocaml}/bin")),
            ("%{ocaml:prefix}% %{ocaml:stublibs}%", format!("{ocaml} {ocaml}/lib/stublibs")),
            ("%{ocaml:version}% %{ocaml:name}%", "5.2.0 ocaml".into()),
            ("%{ocaml:native}% %{ocaml:sys}% [%{ocaml:far}%]", "true os []".into()),
            ("%{ocaml:installed}% %{nope:installed}%", "true false".into()),
            ("%{foo:installed}% %{_:installed}% %{installed}%", "false false false".into()),
            ("%{ocaml:enable}% %{nope:enable}%", "enable disable".into()),
            ("[%{nope:version}%] [%{nope:lib}%] [%{undefined}%]", "[] [] []".into()),
            ("%{nope:name}% %{ocaml:pinned}% %{ocaml:dev}%", "nope false false".into()),
            ("%{early}% %{_:early}% %{_:lib}%", "true true nowhere".into()),
            ("%{ocaml:native?yes:no}% %{os?yes:no}% %{nope:x?yes:}%", "yes no ".into()),
            ("%{ocaml+nope:installed}% %{ocaml+_:native}%", "false ".into()),
            ("%{ocaml+ocaml:native?a b:c}%", "a b".into()),
            ("%{?conf-g++:version:}% %{?conf-g++:lib:}% %{?x:os}%", "1.0 own/lib linux".into()),
            ("100%% %%{os}%% 5% %{os", "100% %{os}% 5% %{os".into()),
            ("%{os}}% %{os}%|%{os}}%|%{o\ns}%", "|%{os}}%|%{o\ns}%".into()),
            ("%{ocaml:../../version}% %{ocaml:/etc/passwd}%", " ".into()),
        ] {
            let output = build.x2nix(&["run", "-w", "printf", "-w", "%s", "-i", text]);
            let printed = stdout(&output);
            let (_, value) = printed.split_once('\n').expect("two lines");
            assert!(output.status.success() && output.stderr.is_empty(), "{text}: {output:?}");
            let value = if text.contains('\n') {
                printed.rsplit_once("'\n").expect("lines").1
            } else {
                value
            };
            assert_eq!(value, expected, "{text}");
        }
        for text in ["%{../../x:lib}%", "%{1:lib}%", "%{a b:lib}%"] {
            let output = build.x2nix(&["run", "-w", "echo", "-i", text]);
            assert!(
                !output.status.success() && stderr(&output).contains("name of a package"),
                "{output:?}"
            );
        }
    });
}

/// Arbitrary texts expand as the plugin itself expands them.
#[test]
fn strings_expand_as_in_the_plugin() {
    let bits = [
        "%",
        "%",
        "{",
        "}",
        "}%",
        "%{",
        "%%",
        "os",
        "arch",
        "ocaml",
        "_",
        ":",
        "?",
        "+",
        "native",
        "version",
        "installed",
        "enable",
        " ",
        "\n",
        "x",
        "é",
        "\\",
        "\"",
    ];
    let environment = |variable: &Variable<'_>| {
        let text = |text: &str| Some(Value::String(text.into()));
        let truth = |truth| Some(Value::Bool(truth));
        match (variable.scope, variable.name) {
            (Scope::Global, "os") => text("linux"),
            (Scope::Global, "arch") => text("x86_64"),
            (Scope::Global | Scope::Own, "version") => text("1.5~rc1"),
            (_, "installed") => truth(variable.scope == Scope::Package("ocaml")),
            (Scope::Package("ocaml"), "version") => text("5.2.0"),
            (Scope::Package("ocaml"), "native") => truth(true),
            _ => None,
        }
    };
    each(|build| {
        with_dependencies(build);
        let mut random = Random(3);
        let mut texts = String::new();
        let mut expected = Vec::new();
        while expected.len() < 3000 {
            let text: String =
                (0..=random.below(13)).map(|_| bits[random.below(bits.len())]).collect();
            // A name that is none ends the build.
            if let Ok(value) = expand_string(&text, &environment) {
                expected.push((text.clone(), value.into_owned()));
                texts += &text;
                texts.push('\0');
            }
        }
        let script = r#"
            source "$X2NIX_OPAM/share/x2nix-opam/variables.bash"
            while IFS= read -r -d '' text; do expand "$text"; printf '%s\0' "$REPLY"; done"#;
        let output = fed(build.command("bash").args(["-c", script]), texts.as_bytes());
        let values: Vec<_> = output.split('\0').collect();
        assert_eq!(values.len(), expected.len() + 1);
        for ((text, value), seen) in expected.iter().zip(values) {
            assert_eq!(seen, value, "{text:?}");
        }
    });
}

fn fed(command: &mut Command, input: &[u8]) -> String {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a program");
    let mut pipe = child.stdin.take().expect("a pipe");
    let output = std::thread::scope(|scope| {
        scope.spawn(move || pipe.write_all(input).expect("a pipe"));
        child.wait_with_output().expect("output")
    });
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn versions_compare_as_in_the_plugin() {
    let mut random = Random(11);
    let alphabet = ["0", "1", "10", "9", "~", "a", "Z", "+", ".", "-", "_", "é", "00", "rc"];
    let mut pairs = Vec::new();
    let mut input = String::new();
    for _ in 0..4000 {
        let mut one =
            || (0..random.below(6)).map(|_| alphabet[random.below(alphabet.len())]).collect();
        let (a, b): (String, String) = (one(), one());
        input += &format!("{a}\n{b}\n");
        pairs.push((a, b));
    }
    let script = r#"
        source "$X2NIX_OPAM/share/x2nix-opam/variables.bash"
        while IFS= read -r a && IFS= read -r b; do compare "$a" "$b"; echo "$REPLY"; done"#;
    each(|build| {
        let output = fed(build.command("bash").args(["-c", script]), input.as_bytes());
        for ((a, b), seen) in pairs.iter().zip(output.lines()) {
            assert_eq!(seen, (version::compare(a, b) as i8).to_string(), "{a:?} {b:?}");
        }
        assert_eq!(output.lines().count(), pairs.len());
    });
}

#[test]
fn filters_have_three_values() {
    each(|build| {
        with_dependencies(build);
        for (filter, expected) in [
            ("b:true", true),
            ("b:false", false),
            ("v:nope", false),
            ("v:nope !", false),
            ("v:nope ?", false),
            ("v:nope ? !", true),
            ("v:nope s:x =", false),
            ("v:nope s:x = !", false),
            ("v:nope b:true |", true),
            ("b:true v:nope |", true),
            ("v:nope b:false &", false),
            ("v:nope b:false & !", true),
            ("b:false v:nope & !", true),
            ("v:nope b:true & ?", false),
            ("v:nope b:false | ?", false),
            ("b:true b:true &", true),
            ("b:true b:false &", false),
            ("b:false b:false |", false),
            ("s:true", true),
            ("s:yes", false),
            ("s:yes !", false),
            ("s:yes ?", true),
            ("s: s: =", true),
            ("v:os s:linux =", true),
            ("v:os s:lin%75x =", true),
            ("s:%25%7Bos%7D%25 s:linux =", true),
            ("s:a%20b s:a%20%62 =", true),
            ("s:a%5Cnb s:a%5Cnb =", true),
            ("v:os-version s:9 >=", true),
            ("v:ocaml:version s:5.2.0~ >", true),
            ("v:ocaml:version s:5.2 <=", false),
            ("v:ocaml:version s:5.2.0 <", false),
            ("v:ocaml:version s:5.2.00 !=", false),
            ("v:ocaml:native v:nope:installed ! &", true),
            ("v:ocaml:native v:ocaml:preinstalled &", false),
            ("v:ocaml:preinstalled v:nope:x | v:ocaml:native |", true),
            ("v:ocaml+nope:installed", false),
            ("v:ocaml:enable s:enable =", true),
            ("b:true s:true =", true),
        ] {
            assert_eq!(build.holds(filter), expected, "{filter}");
        }
        for filter in ["", "&", "!", "b:true &", "b:true b:true", "x", "b:maybe", "v:os = s:linux"]
        {
            let output = build.x2nix(&["run", "-c", filter, "-w", "echo"]);
            assert!(!output.status.success() && output.stdout.is_empty(), "{filter}: {output:?}");
            assert!(stderr(&output).contains("is no filter"), "{filter}: {output:?}");
        }
    });
}

#[test]
fn run_runs_what_is_left_of_a_command() {
    each(|build| {
        with_dependencies(build);
        let list = "for word; do printf '<%s>' \"$word\"; done; exit 7";
        build.file("list", format!("#!/bin/sh\n{list}\n"));
        build.mode("source/list", 0o755);
        let output = build.x2nix(&[
            "run",
            "-c",
            "v:ocaml:native",
            "-w",
            "./list",
            "-f",
            "b:false",
            "-w",
            "no",
            "-w",
            "%{os}% it's",
            "-f",
            "b:true",
            "-i",
            "--prefix=%{prefix}%",
            "-v",
            "nope",
            "-v",
            "jobs",
            "-f",
            "b:false",
            "-v",
            "jobs",
            "-w",
            "$(touch pwned)\n*",
            "-w",
            "",
        ]);
        assert_eq!(output.status.code(), Some(7));
        let out = build.out().display().to_string();
        let printed = stdout(&output);
        assert!(printed.starts_with("+ './list' '%{os}% it'\\''s' "), "{printed}");
        let words = format!("<%{{os}}% it's><--prefix={out}><><3><$(touch pwned)\n*><>");
        assert!(printed.ends_with(&words), "{printed}");
        assert!(!build.source().join("pwned").exists());
        // Nothing is left of these.
        for words in [
            &["run", "-c", "b:false", "-w", "false"][..],
            &["run", "-f", "b:false", "-w", "false"],
            &["run"],
        ] {
            let output = build.x2nix(words);
            assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
        }
        assert_eq!(build.x2nix(&["run", "-w", "no-such-program"]).status.code(), Some(127));
        for words in [
            &["run", "-w"][..],
            &["run", "-x", "y"],
            &["run", "echo"],
            &["nope"],
            &[],
            &["install", "x"],
        ] {
            assert_eq!(build.x2nix(words).status.code(), Some(2), "{words:?}");
        }
    });
}

// --- subst ---------------------------------------------------------------------------------------

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

// --- opam ----------------------------------------------------------------------------------------

#[test]
fn the_stand_in_answers_what_packages_ask() {
    each(|build| {
        with_dependencies(build);
        let out = build.out().display().to_string();
        let ocaml = build.prefixes[0].clone();
        let header = "# Packages matching: installed\n# Name   # Installed # Synopsis\n";
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
            ("list", format!("{header}conf-g++ 1.0\nocaml    5.2.0\n")),
            ("list -s", "conf-g++\nocaml\n".into()),
            ("list --installed --short --columns=name,version oca*", "ocaml 5.2.0\n".into()),
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
