//! The scripts of the runtime, without Nix and with a compiler that only says what it was told.
#![allow(clippy::expect_used)]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

const RUNTIME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/runtime");

/// A build in a folder of its own.
struct Build(TempDir);

impl Build {
    fn new() -> Self {
        let build = Self(tempfile::tempdir().expect("a folder"));
        let bash = find("bash").expect("bash");
        let text = fs::read_to_string(format!("{RUNTIME}/bin/x2nix-cargo")).expect("the program");
        let text = text.replacen("@bash@", bash.to_str().expect("a path"), 1);
        build.program("runtime/bin/x2nix-cargo", &text);
        for file in ["cfg.awk", "directives.awk"] {
            let text = fs::read(format!("{RUNTIME}/share/x2nix-cargo/{file}")).expect(file);
            build.write(&format!("runtime/share/x2nix-cargo/{file}"), text);
        }
        build.write(
            "runtime/share/x2nix-cargo/platforms",
            "aarch64-linux aarch64-unknown-linux-gnu\nx86_64-linux x86_64-unknown-linux-gnu\n",
        );
        // It writes its words, a line each, makes what it was to make, and knows one platform.
        build.program(
            "bin/rustc",
            &format!(
                r#"#!{}
case $* in
  -vV) echo 'host: x86_64-unknown-linux-gnu'; exit ;;
  '--print cfg'*) printf 'unix\ndebug_assertions\ntarget_os="linux"\ntarget_feature="fxsr"\ntarget_feature="sse"\n'; exit ;;
esac
printf '%s\n' "$@" > "$LOG"
env > "$LOG.env"
while (($#)); do
  case $1 in
    -o) made=$2 ;;
    --out-dir) folder=$2 ;;
    --crate-name) name=$2 ;;
    extra-filename=*) end=${{1#*=}} ;;
  esac
  shift
done
if [ -n "${{made-}}" ]; then
  mkdir -p "$(dirname "$made")"
  cp "$SCRIPT" "$made"
else
  touch "$folder/lib$name$end.rlib"
fi
"#,
                bash.display()
            ),
        );
        build.program("script", &format!("#!{}\n", bash.display()));
        fs::create_dir_all(build.path("build/source")).expect("a folder");
        build
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().canonicalize().expect("a path").join(path)
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn program(&self, path: &str, text: &str) {
        self.write(path, text);
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(0o755)).expect("a mode");
    }

    /// What the build script says, as a program.
    fn script(&self, text: &str) {
        let bash = find("bash").expect("bash");
        let log = self.path("script.env");
        self.program("script", &format!("#!{}\nenv > {}\n{text}\n", bash.display(), log.display()));
    }

    fn command(&self, words: &[&str]) -> Output {
        let path = std::env::var("PATH").expect("PATH");
        Command::new(self.path("runtime/bin/x2nix-cargo"))
            .args(words)
            .current_dir(self.path("build/source"))
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("NIX_BUILD_TOP", self.path("build"))
            .env("NIX_BUILD_CORES", "3")
            .env("out", self.path("store/out"))
            .env("LOG", self.path("log"))
            .env("SCRIPT", self.path("script"))
            .env("CC", "target-cc")
            .env("CC_FOR_BUILD", "build-cc")
            .output()
            .expect("a program")
    }

    /// Runs it; it must succeed.
    fn run(&self, words: &[&str]) {
        let output = self.command(words);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs it; it must not succeed. What it says of that.
    fn refuses(&self, words: &[&str]) -> String {
        let output = self.command(words);
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn package(&self, words: &[&str]) {
        let plain = ["package", "name=a-b", "version=1.2.3-rc.1+x-y", "opt-level=3", "publish=1"];
        self.run(&[&plain, words].concat());
    }

    /// What the compiler was told last.
    fn told(&self) -> Vec<String> {
        self.read("log").lines().map(str::to_owned).collect()
    }

    /// Whether the compiler was told these words, one after the other.
    fn has(&self, words: &[&str]) -> bool {
        self.told().windows(words.len()).any(|told| told == words)
    }

    /// A variable of the last compiler, or of the last build script.
    fn variable(&self, whose: &str, name: &str) -> Option<String> {
        let text = self.read(whose);
        let start = format!("{name}=");
        text.lines().find_map(|line| line.strip_prefix(&start)).map(str::to_owned)
    }
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|it| it.is_file())
}

#[test]
fn a_package_is_told_to_its_code() {
    let build = Build::new();
    build.package(&["authors=A:B", "description=one\n'two' $x \"y\"", "feature=a", "feature=b-c"]);
    build.run(&["library", "a_b", "src/lib.rs", "2021", "lib"]);
    assert!(build.has(&["--cfg", "feature=\"a\"", "--cfg", "feature=\"b-c\""]));
    assert!(build.has(&[
        "--crate-name",
        "a_b",
        "--edition=2021",
        "src/lib.rs",
        "--cap-lints",
        "allow"
    ]));
    assert!(!build.told().contains(&"--target".to_owned()));
    for (name, value) in [
        ("CARGO_PKG_NAME", "a-b"),
        ("CARGO_PKG_VERSION", "1.2.3-rc.1+x-y"),
        ("CARGO_PKG_VERSION_MAJOR", "1"),
        ("CARGO_PKG_VERSION_MINOR", "2"),
        ("CARGO_PKG_VERSION_PATCH", "3"),
        ("CARGO_PKG_VERSION_PRE", "rc.1"),
        ("CARGO_PKG_AUTHORS", "A:B"),
        ("CARGO_PKG_LICENSE_FILE", ""),
        ("CARGO_CRATE_NAME", "a_b"),
        ("CARGO_PKG_DESCRIPTION", "one"),
    ] {
        assert_eq!(build.variable("log.env", name).as_deref(), Some(value), "{name}");
    }
    assert!(build.read("log.env").contains("=one\n'two' $x \"y\"\n"));
    let library = build.read("store/out/nix-support/x2nix-cargo/library");
    assert!(build.path("store/out").join(library.trim_end()).exists());
}

#[test]
fn another_platform_is_told_to_the_compiler_and_to_the_build_script() {
    let build = Build::new();
    build.package(&["platform=aarch64-linux", "feature=x-y", "debug-assertions=1"]);
    build.script("");
    build.run(&["build-script", "build.rs", "2021"]);
    // It runs here itself.
    assert!(!build.told().contains(&"--target".to_owned()));
    assert!(build.has(&["-C", "linker=build-cc"]));
    for (name, value) in [
        ("TARGET", "aarch64-unknown-linux-gnu"),
        ("HOST", "x86_64-unknown-linux-gnu"),
        ("NUM_JOBS", "3"),
        ("OPT_LEVEL", "3"),
        ("DEBUG", "false"),
        ("PROFILE", "release"),
        ("CARGO_FEATURE_X_Y", "1"),
        ("CARGO_CFG_FEATURE", "x-y"),
        ("CARGO_CFG_UNIX", ""),
        ("CARGO_CFG_DEBUG_ASSERTIONS", ""),
        ("CARGO_CFG_TARGET_FEATURE", "fxsr,sse"),
        ("CARGO_CFG_TARGET_OS", "linux"),
        ("RUSTC_LINKER", "target-cc"),
        ("TARGET_CC", "target-cc"),
        ("HOST_CC", "build-cc"),
    ] {
        assert_eq!(build.variable("script.env", name).as_deref(), Some(value), "{name}");
    }
    build.run(&["library", "a_b", "src/lib.rs", "2021", "lib"]);
    assert!(build.has(&["--target", "aarch64-unknown-linux-gnu", "-C", "linker=target-cc"]));

    let build = Build::new();
    build.package(&["platform=x86_64-linux"]);
    build.run(&["library", "a_b", "src/lib.rs", "2021", "lib"]);
    assert!(!build.told().contains(&"--target".to_owned()));
}

#[test]
fn instructions_of_a_build_script_are_followed() {
    let build = Build::new();
    build.package(&["links=some-lib"]);
    build.script(
        r#"cat << END
cargo:rustc-cfg=plain
cargo::rustc-cfg=key="a value"
cargo::rustc-check-cfg=cfg(key, values("a value"))
cargo:rustc-link-lib=static=x
cargo:rustc-link-search=native=$OUT_DIR
cargo:rustc-link-search=/elsewhere
cargo:rustc-flags=-l y -L/z
  cargo:rustc-env=KEY=a  "b" 'c' \$d   
cargo:rustc-link-arg=-Wl,--all
cargo:rustc-link-arg-bins=-Wl,--bins
cargo:rustc-link-arg-bin=one=-Wl,--one
cargo:rustc-cdylib-link-arg=-Wl,--cdylib
cargo:root=$CARGO_MANIFEST_DIR/deep
cargo::metadata=made-in=$OUT_DIR
cargo:rerun-if-changed=x
not cargo:rustc-cfg=indeed
cargo:rustc-env=RUSTC_BOOTSTRAP=1
END"#,
    );
    build.write("build/source/deep/file", "kept");
    build.run(&["build-script", "build.rs", "2021"]);
    build.run(&["library", "a_b", "src/lib.rs", "2021", "lib"]);
    assert!(build.has(&["--cfg", "plain", "--cfg", "key=\"a value\""]));
    assert!(build.has(&["--check-cfg", "cfg(key, values(\"a value\"))"]));
    assert!(build.has(&["-l", "static=x", "-l", "y"]));
    assert!(build.has(&["-L", "/elsewhere", "-L", "/z"]));
    assert!(!build.told().iter().any(|word| word.contains("indeed") || word.contains("--bins")));
    assert_eq!(build.variable("log.env", "KEY").as_deref(), Some("a  \"b\" 'c' $d"));
    assert_eq!(build.variable("log.env", "RUSTC_BOOTSTRAP"), None);

    // What dependants are told is still there after the build.
    let support = build.path("store/out/nix-support/x2nix-cargo");
    let told = build.read("store/out/nix-support/x2nix-cargo/metadata");
    let expected = format!("root={0}/source/deep\nmade-in={0}/out\n", support.display());
    assert_eq!(told, expected);
    assert_eq!(build.read("store/out/nix-support/x2nix-cargo/source/deep/file"), "kept");
    let search = build.read("store/out/nix-support/x2nix-cargo/search");
    assert!(search.contains(&format!("native={}/out\n", support.display())), "{search}");

    let user = Build::new();
    user.package(&[]);
    let prefix = build.path("store/out");
    user.run(&["depends", "normal", &format!("renamed={}", prefix.display())]);
    user.script("");
    user.run(&["build-script", "build.rs", "2021"]);
    let root = user.variable("script.env", "DEP_SOME_LIB_ROOT");
    assert_eq!(root, Some(format!("{}/source/deep", support.display())));
    assert!(user.variable("script.env", "DEP_SOME_LIB_MADE_IN").is_some());
    user.run(&["library", "a_b", "src/lib.rs", "2021", "lib"]);
    assert!(user.told().iter().any(|word| word.starts_with("renamed=")));
    assert!(user.has(&["-L", "/elsewhere"]));

    // Programs get what is for them.
    let shown = Build::new();
    shown.run(&["package", "name=p", "version=1.0.0", "opt-level=3"]);
    shown.script("echo cargo:rustc-link-lib=x\necho cargo:rustc-link-arg-bin=one=-Wl,--one\necho cargo:rustc-link-arg-bins=-Wl,--bins");
    shown.run(&["build-script", "build.rs", "2021"]);
    shown.run(&["binary", "one", "src/main.rs", "2021"]);
    assert!(
        shown.has(&["-l", "x"])
            && shown.has(&["-C", "link-arg=-Wl,--bins", "-C", "link-arg=-Wl,--one"])
    );
    assert_eq!(shown.variable("log.env", "CARGO_BIN_NAME").as_deref(), Some("one"));
    shown.run(&["binary", "two", "src/two.rs", "2021"]);
    assert!(!shown.told().iter().any(|word| word.contains("--one")));
    assert!(
        shown.path("store/out/bin/two").exists() && !shown.path("store/out/nix-support").exists()
    );
}

#[test]
fn instructions_that_make_no_sense_end_the_build() {
    for (said, text) in [
        ("cargo::rustc-nonsense=1", "there is no such instruction"),
        ("cargo::rustc-cfg", "there is no `=` in it"),
        ("cargo:nothing", "there is no `=` in it"),
        ("cargo::metadata=x", "metadata is KEY=VALUE"),
        ("cargo:rustc-env=x", "it is NAME=VALUE"),
        ("cargo:rustc-flags=--evil", "only -l and -L"),
        ("cargo:rustc-flags=-l", "a flag lacks its value"),
        ("cargo:rustc-link-arg-bin=x", "it is BINARY=ARGUMENT"),
        ("cargo::error=no", "it gives up"),
    ] {
        let build = Build::new();
        build.package(&[]);
        build.script(&format!("echo '{said}'"));
        let told = build.refuses(&["build-script", "build.rs", "2021"]);
        assert!(told.contains(text) && told.contains("the build script of a-b"), "{said}: {told}");
    }
}

/// All kinds of awk that are here say the same.
#[test]
fn every_awk_reads_the_same() {
    let said =
        "cargo:rustc-cfg=a=\"b\"\r\ncargo::metadata=k=v=w\ncargo:rustc-flags=-lx -L y\nplain\n";
    let cfg = "unix\ntarget_has_atomic\ntarget_has_atomic=\"8\"\ntarget_has_atomic=\"16\"\ntarget_env=\"\"\n";
    let run = |awk: &Path, script: &str, text: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let input = folder.path().join("input");
        fs::write(&input, text).expect("a file");
        let script = format!("{RUNTIME}/share/x2nix-cargo/{script}");
        let output = Command::new(awk).args(["-v", "name=a", "-f", &script]).arg(&input).output();
        String::from_utf8(output.expect("awk").stdout).expect("text")
    };
    for awk in ["awk", "gawk", "mawk", "original-awk"].iter().filter_map(|name| find(name)) {
        let told = run(&awk, "directives.awk", said);
        assert_eq!(told, "cfg a=\"b\"\nmetadata k=v=w\nlink-lib x\nlink-search y\n");
        let told = run(&awk, "cfg.awk", cfg);
        assert_eq!(
            told,
            "CARGO_CFG_UNIX=\nCARGO_CFG_TARGET_HAS_ATOMIC=8,16\nCARGO_CFG_TARGET_ENV=\n"
        );
    }
}
