//! A build of a package in a folder of its own, and what the scenarios share.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) const VARIABLES: &str =
    "arch\tx86_64\nos\tlinux\nos-version\t13\nopam-version\t2.3.0\nmake\tgmake\n";

/// A build of the package `foo` 1.5~rc1: its source, its prefix, and those of its dependencies.
pub(crate) struct Build {
    pub(crate) top: PathBuf,
    pub(crate) awk: &'static str,
    pub(crate) prefixes: Vec<String>,
}

impl Build {
    pub(crate) fn new(awk: &'static str) -> Self {
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

    pub(crate) fn source(&self) -> PathBuf {
        self.top.join("source")
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.top.join("store/foo")
    }

    pub(crate) fn place(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.top.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    pub(crate) fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.top.join(path), fs::Permissions::from_mode(mode)).expect("a mode");
    }

    /// A file of the source.
    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) {
        self.place(&format!("source/{name}"), text);
    }

    /// A dependency, nearest first.
    pub(crate) fn depends(&mut self, name: &str, version: &str, variables: &[(&str, &str)]) {
        let prefix = format!("store/{}-{name}", self.prefixes.len());
        let record = format!("{prefix}/nix-support/opam/{name}");
        self.place(&format!("{record}/version"), format!("{version}\n"));
        for (variable, value) in variables {
            self.place(&format!("{record}/variables/{variable}"), format!("{value}\n"));
        }
        self.prefixes.push(self.top.join(prefix).to_str().expect("a path").to_owned());
    }

    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let path = std::env::var("PATH").expect("PATH");
        let own = |name: &str| self.top.join(name).display().to_string();
        let mut command = Command::new(program);
        command
            .current_dir(self.source())
            .env("PATH", format!("{}:{}:{path}", own("awk"), own("x2nix-opam/bin")))
            .env("X2NIX_OPAM", self.top.join("x2nix-opam"))
            .env("X2NIX_OPAM_PREFIXES", self.prefixes.join(":"))
            .env("X2NIX_OPAM_OTHERS", "base-unix=base=:ocaml-system=5.3.0=/store/ocaml")
            .env("out", self.out())
            .env("OPAM_PACKAGE_NAME", "foo")
            .env("OPAM_PACKAGE_VERSION", "1.5~rc1")
            .env("NIX_BUILD_CORES", "3")
            .env("NIX_BUILD_TOP", "/build");
        command
    }

    pub(crate) fn run(&self, name: &str, words: &[&str]) -> Output {
        let program = self.top.join("x2nix-opam/bin").join(name);
        self.command(program).args(words).output().expect("a program")
    }

    pub(crate) fn x2nix(&self, words: &[&str]) -> Output {
        self.run("x2nix-opam", words)
    }

    /// Installs files that a `.install` file lists; the answer is what went wrong.
    pub(crate) fn install(&self, text: impl AsRef<[u8]>) -> Result<String, String> {
        self.file("foo.install", text);
        let output = self.x2nix(&["install"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(said) } else { Err(said) }
    }

    /// What a filter makes of itself.
    pub(crate) fn holds(&self, filter: &str) -> bool {
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

pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Runs a scenario under every awk.
pub(crate) fn each(scenario: impl Fn(&mut Build)) {
    let awks: Vec<_> = ["mawk", "gawk"].into_iter().filter(|awk| program(awk).is_some()).collect();
    assert!(!awks.is_empty(), "neither mawk nor gawk is installed");
    for awk in awks {
        scenario(&mut Build::new(awk));
    }
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// All files below a folder: by path, whether it may be executed, and the content.
pub(crate) fn tree(folder: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
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
pub(crate) fn installed(build: &Build) -> Vec<String> {
    let own = Path::new("nix-support/opam/foo");
    tree(&build.out())
        .into_iter()
        .filter(|(path, _)| !path.starts_with(own))
        .map(|(path, (mode, content))| {
            format!("{mode:o} {} {}", path.display(), String::from_utf8_lossy(&content))
        })
        .collect()
}

/// Whether the reader takes what it is given.
pub(crate) fn reader(build: &Build) -> Command {
    let mut command = build.command(program(build.awk).expect("awk"));
    command
        .env("LC_ALL", "C")
        .args(["-v", "mode=check", "-f"])
        .arg(build.top.join("x2nix-opam/share/x2nix-opam/syntax.awk"));
    command
}

/// The same numbers each time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % limit as u64).expect("small")
    }
}

/// A build that sees an OCaml, a package with a `+` in its name, and behind them another OCaml.
pub(crate) fn with_dependencies(build: &mut Build) {
    build.depends(
        "ocaml",
        "5.2.0",
        &[("native", "true"), ("preinstalled", "false"), ("sys", "os")],
    );
    build.depends("conf-g++", "1.0", &[("lib", "own/lib")]);
    build.depends("ocaml", "4.14.0", &[("native", "false"), ("far", "x")]);
}

/// What a program makes of its input.
pub(crate) fn fed(command: &mut Command, input: &[u8]) -> String {
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
