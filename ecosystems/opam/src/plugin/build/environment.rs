//! Environments: what a package's own build finds (`build-env`), and what it leaves for those that
//! need it (`setenv`, and the folders of its prefix).
//!
//! In opam all packages share a prefix, and a variable names one folder of it. Here each has its own,
//! so the variables that hold lists of folders get one of each package.

use super::{Builder, Package, runtime, variables::Known};
use crate::{
    filter::{FilterIdent, Piece, Scope, Value, Variable, pieces},
    package::EnvUpdate,
    plugin::{session::Version, word::LateParts},
    syntax::EnvOp,
};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
};
use x2nix_protocol::{
    Diagnostic, EnvironmentOperation, LatePart, Operation, Part, PluginResult, Word,
};

/// What is put before a variable, for whoever needs a package: its folders.
const FOLDERS: [(&str, &str); 5] = [
    ("OCAMLPATH", "lib"),
    ("CAML_LD_LIBRARY_PATH", "lib/stublibs"),
    ("OCAMLTOP_INCLUDE_PATH", "lib/toplevel"),
    ("PATH", "bin"),
    ("X2NIX_OPAM_PREFIXES", ""),
];

/// What tells builds that a package is there that leaves no record: it installs nothing, or it is the
/// package set's and `has_prefix`.
pub(super) fn presence(name: &str, version: &Version, has_prefix: bool) -> EnvironmentOperation {
    let mut parts = vec![Part::Text(format!("{name}={}=", version.version))];
    if has_prefix {
        parts.push(Part::Late(LatePart::Out(String::new())));
    }
    EnvironmentOperation::new("X2NIX_OPAM_OTHERS", Operation::Prepend, Word(parts))
}

impl<'s> Builder<'s> {
    /// What those that need a package find.
    pub(super) fn exports(
        &self,
        package: &Package<'s>,
        far: &RefCell<BTreeSet<&'s str>>,
    ) -> PluginResult<Vec<EnvironmentOperation>> {
        let prepend = |(variable, path): (&str, &str)| {
            let folder = Word(vec![Part::Late(LatePart::Out(path.into()))]);
            EnvironmentOperation::new(variable, Operation::Prepend, folder)
        };
        let mut operations: Vec<_> = FOLDERS.into_iter().map(prepend).collect();
        for update in package.read(package.file.setenv())? {
            // A compiler sets the folders of its own stubs; those of packages come before them.
            let operation = match (&*update.variable, update.op) {
                ("CAML_LD_LIBRARY_PATH", EnvOp::Eq) => Operation::Prepend,
                (_, op) => operation(op),
            };
            let mut changed = self.update(package, far, &update, true)?;
            changed.operation = operation;
            if !changed.value.0.is_empty() || operation == Operation::Set {
                operations.push(changed);
            }
        }
        Ok(operations)
    }

    /// What its own build finds: opam's environment of a build (`compilation_env` of
    /// `opamAction.ml`), where findlib installs, and no cache outside.
    pub(super) fn own_environment(
        &self,
        package: &Package<'s>,
        far: &RefCell<BTreeSet<&'s str>>,
    ) -> PluginResult<Vec<EnvironmentOperation>> {
        let set = |variable: &str, value: Word| {
            EnvironmentOperation::new(variable, Operation::Set, value)
        };
        let out = |path: &str| Word(vec![Part::Late(LatePart::Out(path.into()))]);
        let runtime = |path: &str| {
            Word(vec![Part::Late(LatePart::Unit { unit: runtime::KEY.into(), path: path.into() })])
        };
        let mut operations = vec![
            set("OPAM_PACKAGE_NAME", Word::text(package.owner.name)),
            set("OPAM_PACKAGE_VERSION", Word::text(package.owner.version)),
            set("OPAM_SWITCH_PREFIX", out("")),
            set("OPAMCLI", Word::text("2.0")),
            set("CDPATH", Word::text("")),
            set("MAKEFLAGS", Word::text("")),
            set("MAKELEVEL", Word::text("")),
            set("OCAMLFIND_DESTDIR", out("lib")),
            set("OCAMLFIND_LDCONF", Word::text("ignore")),
            set("DUNE_CACHE", Word::text("disabled")),
            set("X2NIX_OPAM", runtime("")),
            EnvironmentOperation::new("PATH", Operation::Prepend, runtime("bin")),
            EnvironmentOperation::new("PATH", Operation::Prepend, out("bin")),
        ];
        for update in package.read(package.file.build_env())? {
            operations.push(self.update(package, far, &update, false)?);
        }
        Ok(operations)
    }

    fn update(
        &self,
        package: &Package<'s>,
        far: &RefCell<BTreeSet<&'s str>>,
        update: &EnvUpdate,
        installed: bool,
    ) -> PluginResult<EnvironmentOperation> {
        let field = if installed { "setenv" } else { "build-env" };
        let variable = &*update.variable;
        let refuse = |what: String| {
            Box::new(
                Diagnostic::error("opam::environment", what)
                    .at(package.at(field))
                    .help("mend the file, or take the package from elsewhere"),
            )
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if variable.is_empty()
            || !variable.chars().all(is_name)
            || variable.starts_with(|c: char| c.is_ascii_digit())
        {
            return Err(refuse(format!(
                "{variable:?} cannot be the name of an environment variable"
            )));
        }
        let late = LateParts::default();
        let mut text = String::new();
        for piece in pieces(&update.value).map_err(|error| refuse(error.to_string()))? {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Variable(ident) => {
                    let value =
                        self.piece(package, far, &late, &ident, installed).map_err(refuse)?;
                    text.push_str(&value.map(Value::into_text).unwrap_or_default());
                }
            }
        }
        let value =
            late.word(&text).ok_or_else(|| refuse(format!("{variable} gets a NUL character")))?;
        let value = if value == Word::text("") { Word::default() } else { value };
        let globals = |variable: &Variable<'_>| self.session.environment.global(variable);
        let separator = package.file.env_separator(variable, &globals).to_string();
        Ok(EnvironmentOperation {
            variable: variable.into(),
            operation: operation(update.op),
            value,
            separator,
        })
    }

    /// A variable in the value of an update. One of a `.config` file, the package's own included once
    /// it is installed, is the text of a file; what depends on one in any other way cannot be told to
    /// those that need the package, and the error says so.
    fn piece(
        &self,
        package: &Package<'s>,
        far: &RefCell<BTreeSet<&'s str>>,
        late: &LateParts,
        ident: &FilterIdent,
        installed: bool,
    ) -> Result<Option<Value>, String> {
        let config = Cell::new(false);
        let value = ident.resolve(&|variable| {
            let own = match variable.scope {
                Scope::Own => true,
                Scope::Package(name) => name == package.owner.name,
                Scope::Global => false,
            };
            match self.variable(package, late, far, variable) {
                Known::Value(None) if own && installed => config.set(true),
                Known::Value(value) => return value,
                Known::Config => config.set(true),
            }
            None
        });
        if !config.get() {
            return Ok(value);
        }
        let [of] = ident.packages.as_slice() else {
            return Err(format!("{ident} is for several packages, which only a build knows"));
        };
        if ident.converter.is_some() {
            return Err(format!("{ident} depends on what only a build knows"));
        }
        let name = of.as_deref().unwrap_or(package.owner.name);
        let unit = super::key(name, &self.chosen[name].version);
        let path = runtime::variable_file(name, &ident.variable)
            .ok_or_else(|| format!("{:?} cannot be the name of a variable", ident.variable))?;
        Ok(Some(late.value(LatePart::Content { unit, path })))
    }
}

fn operation(op: EnvOp) -> Operation {
    match op {
        EnvOp::Eq => Operation::Set,
        // Where an earlier value was: none of this binding's own is in a fresh environment.
        EnvOp::PlusEq | EnvOp::EqPlusEq => Operation::Prepend,
        EnvOp::EqPlus => Operation::Append,
        EnvOp::ColonEq => Operation::PrependSeparated,
        EnvOp::EqColon => Operation::AppendSeparated,
    }
}
