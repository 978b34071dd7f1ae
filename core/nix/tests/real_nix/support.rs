//! A project in a temporary folder, and Nix to build it with.
//!
//! What is built or evaluated is so in both forms, that which reads the lock and that which stands alone,
//! and they must agree: on derivations, values and refusals.

use serde_json::{Value, json};
use std::cell::RefCell;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};
use tempfile::TempDir;
use x2nix_nix::escape::nix_string;

/// A project folder, where x2nix's own files lie once there is a lock.
pub(crate) struct Project {
    folder: TempDir,
    /// What `x2nix.nix` is in the form that stands alone; none for a lock that contradicts itself.
    standalone: RefCell<Option<String>>,
}

impl Project {
    /// None where there is no Nix to test with.
    pub(crate) fn new() -> Option<Self> {
        let found = Command::new("nix-build").arg("--version").output().is_ok()
            && env::var_os("X2NIX_TOOLCHAIN").is_some();
        let required = env::var_os("X2NIX_REQUIRE_NIX").is_some();
        assert!(
            found || !required,
            "X2NIX_REQUIRE_NIX is set, but not nix-build and X2NIX_TOOLCHAIN"
        );
        if !found {
            #[allow(clippy::print_stderr)]
            {
                eprintln!("skipped: no nix-build on PATH, or no X2NIX_TOOLCHAIN; see tests/nix/");
            }
            return None;
        }
        Some(Self { folder: tempfile::tempdir().unwrap(), standalone: RefCell::default() })
    }

    /// A project with a lock of these units.
    pub(crate) fn of(units: &Value, artifacts: &Value) -> Option<Self> {
        let project = Self::new()?;
        project.lock(&lock(units, artifacts));
        Some(project)
    }

    /// Writes the lock and its reader. The lock goes by way of its types, so that the reader is held
    /// to what they write.
    pub(crate) fn lock(&self, lock: &Value) {
        let lock: x2nix_lock::Lock = serde_json::from_value(lock.clone()).unwrap();
        self.write("x2nix.lock.json", &serde_json::to_string_pretty(&lock).unwrap());
        self.write("x2nix.nix", &x2nix_nix::emit("x2nix.lock.json"));
        *self.standalone.borrow_mut() = x2nix_nix::standalone(&lock, "x2nix.lock.json").ok();
    }

    /// Makes sure that the lock can be written out.
    pub(crate) fn stands_alone(self) -> Self {
        assert!(self.standalone.borrow().is_some(), "the lock contradicts itself");
        self
    }

    /// What happens in both forms.
    fn in_both<T: PartialEq + Debug>(&self, run: impl Fn() -> T) -> T {
        let read = run();
        if let Some(text) = &*self.standalone.borrow() {
            self.write("x2nix.nix", text);
            assert_eq!(run(), read, "the standalone form and the reader disagree");
            self.write("x2nix.nix", &x2nix_nix::emit("x2nix.lock.json"));
        }
        read
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Runs a script in the project and gives what it prints.
    pub(crate) fn run(&self, script: &str) -> String {
        let mut shell = Command::new("sh");
        done(shell.args(["-ec", script]).current_dir(self.folder.path()))
    }

    /// Builds an attribute and gives its output.
    pub(crate) fn build(&self, attribute: &str) -> PathBuf {
        self.realise(|| {
            let mut command = self.nix("nix-instantiate", "x2nix.nix");
            command.args(["-A", attribute]);
            command
        })
    }

    /// Builds an attribute, or gives what was said where that fails.
    pub(crate) fn try_build(&self, attribute: &str) -> Result<PathBuf, String> {
        let derivation =
            self.in_both(|| done(self.nix("nix-instantiate", "x2nix.nix").args(["-A", attribute])));
        let output = Command::new("nix-store").args(["--realise", &derivation]).output().unwrap();
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout).unwrap().trim_end().into());
        }
        Err(message(&output))
    }

    /// Builds what a command makes a derivation of.
    fn realise(&self, instantiate: impl Fn() -> Command) -> PathBuf {
        let derivation = self.in_both(|| done(&mut instantiate()));
        done(Command::new("nix-store").args(["--realise", &derivation])).into()
    }

    /// The value of an expression over the result, `x`.
    pub(crate) fn eval(&self, expression: &str) -> Value {
        self.in_both(|| serde_json::from_str(&done(&mut self.evaluation(expression))).unwrap())
    }

    /// What Nix says of an expression that it refuses.
    pub(crate) fn refusal(&self, expression: &str) -> String {
        self.in_both(|| {
            let output = self.evaluation(expression).output().unwrap();
            assert!(!output.status.success(), "{expression} was to be refused");
            let all = message(&output);
            // Where in which file is another matter.
            all.rsplit("error: ").next().unwrap_or_default().to_owned()
        })
    }

    /// Builds an expression over the result, `x`, and `pkgs`, and gives its output.
    pub(crate) fn build_expression(&self, expression: &str) -> PathBuf {
        self.realise(|| self.over("nix-instantiate", expression))
    }

    fn evaluation(&self, expression: &str) -> Command {
        let mut command = self.over("nix-instantiate", expression);
        command.args(["--eval", "--strict", "--json"]);
        command
    }

    fn over(&self, program: &str, expression: &str) -> Command {
        let head = "{ pkgs }: let x = import ./x2nix.nix { inherit pkgs; }; in";
        self.write("expression.nix", &format!("{head} {expression}"));
        self.nix(program, "expression.nix")
    }

    fn nix(&self, program: &str, file: &str) -> Command {
        let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/nix/pkgs.nix");
        let packages = nix_string(packages.canonicalize().unwrap().to_str().unwrap());
        let toolchain = nix_string(&env::var("X2NIX_TOOLCHAIN").unwrap());
        // The stand-in's, or that of nixpkgs.
        let lib = env::var("X2NIX_NIXPKGS_LIB")
            .map_or_else(|_| String::new(), |lib| format!("lib = import {};", nix_string(&lib)));
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .args([file, "--option", "allow-import-from-derivation", "false", "--arg", "pkgs"])
            .arg(format!("import {packages} {{ toolchain = {toolchain}; {lib} }}"));
        command
    }
}

/// Runs a command that has to succeed, and gives what it prints.
fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", message(&output));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn message(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A lock of units that are all roots, each with a package of its own.
pub(crate) fn lock(units: &Value, artifacts: &Value) -> Value {
    let Value::Object(units) = units else { panic!("units are an object") };
    let ids: Vec<&String> = units.keys().collect();
    let packages: serde_json::Map<_, _> = units
        .iter()
        .map(|(id, unit)| {
            let package = json!({ "name": unit["name"], "version": unit["version"], "unit": id });
            (id.clone(), package)
        })
        .collect();
    json!({
        "version": 1,
        "ecosystem": "test",
        "plugin": { "version": "0", "protocol": 1 },
        "request": { "policy": "default" },
        "inputs": [
            { "kind": "project", "location": ".", "hash": "sha256-" },
            { "kind": "repository", "location": "repo", "hash": "sha256-" },
        ],
        "platforms": { "x86_64-linux": {
            "optimality": "optimal",
            "criteria": [],
            "roots": [{ "need": "all", "by": ids }],
            "packages": ids,
        } },
        "packages": packages,
        "artifacts": artifacts,
        "units": units,
    })
}

/// A step that writes its arguments from the third on, each ended by a NUL, to a file of the output.
pub(crate) fn record(phase: &str, file: &str, words: &[Value]) -> Value {
    let script = r#"mkdir -p "${0%/*}"; for word; do printf '%s\0' "$word"; done > "$0""#;
    let mut all = vec![json!(["sh"]), json!(["-c"]), json!([script]), json!([{ "out": file }])];
    all.extend_from_slice(words);
    json!({ "phase": phase, "words": all })
}

pub(crate) fn recorded(file: &Path) -> Vec<String> {
    let text = String::from_utf8(fs::read(file).unwrap()).unwrap();
    text.strip_suffix('\0').unwrap().split('\0').map(str::to_owned).collect()
}
