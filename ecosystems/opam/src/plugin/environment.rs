//! The variables that opam files are read under.
//!
//! Nothing comes from the machine: the platform gives `arch` and `os`, the distribution is NixOS,
//! and opam's own version is fixed. What the user sets with `--env` replaces exactly those keys;
//! what is not set is undefined, which is not the same as empty.

use super::{COMPILER, SYSTEM_COMPILER, dictionary::Side, request::Root};
use crate::filter::{Scope, Value, Variable};
use std::collections::BTreeMap;
use x2nix_protocol::{Diagnostic, OpenRequest, PluginResult};

/// The version of opam whose semantics these are.
const OPAM_VERSION: &str = "2.3.0";

/// The global variables that only builds have.
const OF_BUILDS: [(&str, &str); 6] = [
    ("exe", ""),
    ("group", "nixbld"),
    ("make", "make"),
    ("root", "/homeless-shelter/.opam"),
    ("switch", "default"),
    ("user", "nixbld"),
];

/// The global variables of a request.
pub(super) struct Environment {
    /// Their values.
    pub(super) globals: BTreeMap<String, String>,
    /// Whether some names are in a workspace; what its tests need counts if this is true.
    monorepo: Option<bool>,
    with_test: bool,
    with_doc: bool,
    with_dev_setup: bool,
}

/// Whose opam file is read.
#[derive(Clone, Copy)]
pub(super) struct Owner<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    /// Which side it is on.
    pub(super) side: Side,
    /// Whether the user asked for the package by name.
    pub(super) requested: bool,
    /// Whether its source has no fixed content: a local folder.
    pub(super) local: bool,
}

impl<'a> Owner<'a> {
    /// A package of the project.
    pub(super) fn of_project(name: &'a str, version: &'a str, side: Side) -> Self {
        Self { name, version, side, requested: side == Side::Main, local: true }
    }
}

impl Environment {
    /// The variables of a request.
    pub(super) fn new(request: &OpenRequest) -> PluginResult<Self> {
        let mut globals = platform_variables(&request.platform)?;
        for (key, value) in
            [("opam-version", OPAM_VERSION), ("os-distribution", "nixos"), ("os-family", "nixos")]
        {
            globals.insert(key.into(), value.into());
        }
        let compiler = request.provided.get(SYSTEM_COMPILER);
        if let Some(compiler) = compiler.filter(|_| Compiler::of(request) != Some(Compiler::Source))
        {
            globals.extend(system_compiler(&compiler.version, &globals));
        }
        for (key, value) in &request.environment {
            if value.is_empty() {
                globals.remove(key);
            } else {
                globals.insert(key.clone(), value.clone());
            }
        }
        let given = |option: &str| request.options.contains_key(option);
        Ok(Self {
            globals,
            monorepo: None,
            with_test: given("with-test"),
            with_doc: given("with-doc"),
            with_dev_setup: given("with-dev-setup"),
        })
    }

    /// Reads facts for a monorepo from now on: what is in the main context is its workspace.
    pub(super) fn set_monorepo(&mut self, tests: bool) {
        self.monorepo = Some(tests);
        self.with_test = tests;
    }

    /// Sets variables that the user has not set.
    pub(super) fn set_defaults(&mut self, request: &OpenRequest, values: BTreeMap<String, String>) {
        let unset = values.into_iter().filter(|(name, _)| !request.environment.contains_key(name));
        self.globals.extend(unset);
    }

    /// A variable as `depends` would see it in a monorepo: `monorepo` is defined in the workspace
    /// (with the value that mirage's own build gives it), and on the host it is not.
    pub(super) fn in_monorepo(&self, owner: Owner<'_>, variable: &Variable<'_>) -> Option<Value> {
        match (variable.name, variable.scope) {
            ("monorepo", Scope::Global) => {
                (owner.side == Side::Main).then(|| Value::String("opam-monorepo".into()))
            }
            // opam-monorepo locks what is released (`filter_deps` of opam-0install).
            ("dev", Scope::Global) if owner.side == Side::Main => Some(Value::Bool(false)),
            _ => self.of_package(owner, variable),
        }
    }

    /// A global variable, as `available` sees it.
    pub(super) fn global(&self, variable: &Variable<'_>) -> Option<Value> {
        match variable.scope {
            Scope::Global => self.globals.get(variable.name).map(|value| typed(value)),
            Scope::Own | Scope::Package(_) => None,
        }
    }

    /// A variable as `depends` sees it (`OpamPackageVar.resolve_switch` with the switches of
    /// `OpamFilter.deps_var_env`).
    pub(super) fn depends(&self, owner: Owner<'_>, variable: &Variable<'_>) -> Option<Value> {
        match self.monorepo {
            Some(_) => self.in_monorepo(owner, variable),
            None => self.of_package(owner, variable),
        }
    }

    fn of_package(&self, owner: Owner<'_>, variable: &Variable<'_>) -> Option<Value> {
        let own = match variable.scope {
            Scope::Global | Scope::Own => true,
            Scope::Package(name) => name == owner.name,
        };
        match variable.name {
            "name" if own => return Some(Value::String(owner.name.into())),
            "version" if own => return Some(Value::String(owner.version.into())),
            _ => {}
        }
        if variable.scope != Scope::Global {
            return None;
        }
        match variable.name {
            "build" | "post" => Some(Value::Bool(true)),
            "with-test" => Some(Value::Bool(owner.requested && self.with_test)),
            "with-doc" => Some(Value::Bool(owner.requested && self.with_doc)),
            "with-dev-setup" => Some(Value::Bool(owner.requested && self.with_dev_setup)),
            "dev" => Some(Value::Bool(owner.local)),
            _ => self.global(variable),
        }
    }

    /// A global variable as commands see it: those of the system, and what opam adds of its own
    /// (`OpamPackageVar.resolve_global`; `user` and `group` are whoever Nix builds as).
    pub(super) fn in_build(&self, name: &str) -> Option<Value> {
        let own = OF_BUILDS.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
        self.globals.get(name).map(|value| typed(value)).or_else(|| own.map(typed))
    }

    /// All that [`Self::in_build`] knows, sorted.
    pub(super) fn all_in_build(&self) -> BTreeMap<&str, &str> {
        let mut all: BTreeMap<_, _> = OF_BUILDS.into_iter().collect();
        all.extend(self.globals.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        all
    }

    /// Whether the documentation of a package is wanted.
    pub(super) fn documents(&self, owner: Owner<'_>) -> bool {
        owner.requested && self.with_doc
    }

    /// Whether the tests of a package are wanted.
    pub(super) fn tests(&self, owner: Owner<'_>) -> bool {
        owner.requested && self.with_test
    }
}

/// Where the user wants the compiler to come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Compiler {
    Source,
    Nixpkgs,
}

impl Compiler {
    /// What the request says of it, if anything.
    pub(super) fn of(request: &OpenRequest) -> Option<Self> {
        match request.options.get(COMPILER)?.last()?.as_str() {
            "source" => Some(Self::Source),
            "nixpkgs" => Some(Self::Nixpkgs),
            _ => None,
        }
    }

    /// The package that stands for it among what is asked for, and the option's value. From source that
    /// is a released compiler, as by default in opam, unless one or its options are asked for by name.
    pub(super) fn package(self, roots: &[Root]) -> Option<(&'static str, &'static str)> {
        let is_compiler = |name: &str| {
            matches!(name, "ocaml-base-compiler" | "ocaml-variants" | "ocaml-compiler")
                || name.starts_with("ocaml-option-")
        };
        match self {
            Self::Nixpkgs => Some((SYSTEM_COMPILER, "nixpkgs")),
            Self::Source if roots.iter().any(|root| is_compiler(&root.name)) => None,
            Self::Source => Some(("ocaml-base-compiler", "source")),
        }
    }
}

/// What opam asks `ocamlc -config` about a compiler of the system (`OpamEnv.sys_ocaml_eval_variables`),
/// as it is for one of the platform.
fn system_compiler(version: &str, globals: &BTreeMap<String, String>) -> [(String, String); 5] {
    let global = |name: &str| globals.get(name).map(String::as_str).unwrap_or_default();
    // OCaml's own words, `i386` and `amd64` as opam has them.
    let arch = match global("arch") {
        "x86_32" => "i686",
        "arm32" => "arm",
        "ppc64" | "ppc64le" => "power",
        "riscv64" => "riscv",
        other => other,
    };
    let system = match global("os") {
        "macos" => "macosx",
        other => other,
    };
    [
        ("sys-ocaml-version", version),
        ("sys-ocaml-arch", arch),
        ("sys-ocaml-cc", "cc"),
        ("sys-ocaml-libc", "libc"),
        ("sys-ocaml-system", system),
    ]
    .map(|(name, value)| (name.into(), value.into()))
}

/// A variable's value as opam types it: `true` and `false` are booleans.
fn typed(value: &str) -> Value {
    match value {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        text => Value::String(text.into()),
    }
}

/// `arch` and `os` of a platform, in opam's words (`OpamSysPoll`).
fn platform_variables(platform: &str) -> PluginResult<BTreeMap<String, String>> {
    let unknown = || {
        Box::new(
            Diagnostic::error(
                "opam::platform",
                format!("opam has no name for the platform {platform:?}"),
            )
            .help("use a name like x86_64-linux, aarch64-linux, x86_64-darwin or aarch64-darwin"),
        )
    };
    let (arch, os) = platform.split_once('-').ok_or_else(unknown)?;
    let arch = match arch {
        "x86_64" => "x86_64",
        "aarch64" => "arm64",
        "i686" => "x86_32",
        "armv6l" | "armv7l" => "arm32",
        "powerpc64" => "ppc64",
        "powerpc64le" => "ppc64le",
        "riscv64" => "riscv64",
        "s390x" => "s390x",
        _ => return Err(unknown()),
    };
    let os = match os {
        "linux" => "linux",
        "darwin" => "macos",
        "freebsd" => "freebsd",
        "openbsd" => "openbsd",
        "netbsd" => "netbsd",
        _ => return Err(unknown()),
    };
    Ok(BTreeMap::from([("arch".into(), arch.into()), ("os".into(), os.into())]))
}
