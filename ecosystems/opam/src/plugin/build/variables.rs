//! What a variable is when a package is built (`OpamPackageVar.resolve`).

use super::{Builder, Package, key};
use crate::{
    filter::{Scope, Value, Variable},
    package::OpamFile,
    plugin::word::LateParts,
};
use std::{borrow::Cow, cell::RefCell, collections::BTreeSet};
use x2nix_protocol::{BuildVariable, LatePart, Purpose};

/// Where a package finds its opam file if it asks for that, below the top of its source.
pub(super) const OPAM_FILE: &str = ".x2nix/opam";

/// What is known of a variable when locking.
pub(super) enum Known {
    /// Its value, or that it has none.
    Value(Option<Value>),
    /// Nothing: it is for a package's `.config` file to say, which its build makes.
    Config,
}

impl<'s> Builder<'s> {
    /// A variable as commands see it. Names of packages that are no direct needs go to `far`.
    pub(super) fn variable(
        &self,
        package: &Package<'s>,
        late: &LateParts,
        far: &RefCell<BTreeSet<&'s str>>,
        variable: &Variable<'_>,
    ) -> Known {
        let owner = package.owner;
        let text = |text: &str| Known::Value(Some(Value::String(text.into())));
        let flag = |flag: bool| Known::Value(Some(Value::Bool(flag)));
        let name = match variable.scope {
            Scope::Global => {
                match variable.name {
                    "jobs" => {
                        let jobs = LatePart::Variable(BuildVariable::Jobs);
                        return Known::Value(Some(late.value(jobs)));
                    }
                    "with-test" | "with-doc" | "with-dev-setup" => {
                        return Known::Value(self.session.environment.depends(owner, variable));
                    }
                    _ => {}
                }
                if let Some(path) = directory(variable.name, None) {
                    return Known::Value(Some(late.value(LatePart::Out(path.into_owned()))));
                }
                if let Some(value) = self.session.environment.in_build(variable.name) {
                    return Known::Value(Some(value));
                }
                owner.name
            }
            Scope::Own => owner.name,
            Scope::Package(name) => name,
        };
        if name == owner.name {
            return match variable.name {
                "name" => text(name),
                "version" => text(owner.version),
                "installed" => flag(false),
                "pinned" => flag(owner.local),
                "dev" => flag(owner.local || is_unfixed(&package.file)),
                "build" => {
                    let top = LatePart::Variable(BuildVariable::SourceTop);
                    Known::Value(Some(late.value(top)))
                }
                "hash" => Known::Value(hash(&package.file)),
                "depends" => text(&self.depends(package)),
                "opamfile" => {
                    let top = late.value(LatePart::Variable(BuildVariable::SourceTop));
                    text(&format!("{}/{OPAM_FILE}", top.into_text()))
                }
                // What else opam defines (`build-id`) is about its own root.
                other => Known::Value(
                    directory(other, Some(name))
                        .map(|path| late.value(LatePart::Out(path.into_owned()))),
                ),
            };
        }
        let found = self.chosen.get_key_value(name).filter(|(name, _)| self.sees(package, name));
        let Some((&name, version)) = found else {
            return match variable.name {
                "installed" => flag(false),
                "pinned" => flag(self.session.local(name).is_some()),
                _ => Known::Value(None),
            };
        };
        let far_name = || {
            if !package.edges.contains_key(name) {
                far.borrow_mut().insert(name);
            }
        };
        let other = self.packages.get(name);
        match variable.name {
            "name" => return text(name),
            "version" => return text(&version.version),
            "installed" => return flag(true),
            "pinned" => return flag(self.session.local(name).is_some()),
            "hash" => return Known::Value(other.and_then(|other| hash(&other.file))),
            "dev" => {
                return flag(other.is_some_and(|it| it.owner.local || is_unfixed(&it.file)));
            }
            "depends" => return text(&other.map(|it| self.depends(it)).unwrap_or_default()),
            _ => {}
        }
        if let Some(path) = directory(variable.name, Some(name)) {
            far_name();
            let unit = key(name, &version.version);
            let part = LatePart::Unit { unit, path: path.into_owned() };
            return Known::Value(Some(late.value(part)));
        }
        if let Some(value) = of_compiler(name, variable.name, other.is_none()) {
            return Known::Value(Some(Value::Bool(value)));
        }
        if other.is_none() {
            return Known::Value(None);
        }
        far_name();
        Known::Config
    }

    /// The direct needs of a package, as the variable `depends` lists them.
    fn depends(&self, package: &Package<'_>) -> String {
        let normal = package.edges.iter().filter(|(_, edge)| edge.purpose == Purpose::Normal);
        let shown = normal.map(|(name, _)| format!("{name}.{}", self.chosen[name].version));
        shown.collect::<Vec<_>>().join(" ")
    }

    /// Whether a package is there when another is built: it is among what that needs, near or far.
    fn sees(&self, package: &Package<'_>, name: &str) -> bool {
        if package.edges.contains_key(name) {
            return true;
        }
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut next: Vec<&str> = package.edges.keys().copied().collect();
        while let Some(near) = next.pop() {
            let Some(near) = self.packages.get(near) else { continue };
            for (&far, edge) in &near.edges {
                if edge.purpose == Purpose::Normal && seen.insert(far) {
                    if far == name {
                        return true;
                    }
                    next.push(far);
                }
            }
        }
        false
    }
}

/// Where a directory variable points below a prefix; those of a package have a folder of its own
/// where several packages share one (`OpamPath.Switch`).
fn directory(variable: &str, package: Option<&str>) -> Option<Cow<'static, str>> {
    let (path, shared) = match variable {
        "prefix" if package.is_none() => ("", false),
        "lib" => ("lib", true),
        "libexec" if package.is_none() => ("lib", false),
        "share" => ("share", true),
        "doc" => ("doc", true),
        "etc" => ("etc", true),
        "bin" => ("bin", false),
        "sbin" => ("sbin", false),
        "man" => ("man", false),
        "stublibs" if package.is_none() => ("lib/stublibs", false),
        "toplevel" if package.is_none() => ("lib/toplevel", false),
        _ => return None,
    };
    Some(match package.filter(|_| shared) {
        Some(package) => format!("{path}/{package}").into(),
        None => path.into(),
    })
}

/// What holds of OCaml however it was built. Each package has a prefix of its own, so the compiler
/// never shares one with what is built by it, which is what opam calls preinstalled: findlib, for
/// one, must not write into the compiler's folders then. A compiler of Nix's package set has no
/// `.config` file, but is a native one.
fn of_compiler(package: &str, variable: &str, provided: bool) -> Option<bool> {
    match (package, variable) {
        ("ocaml", "preinstalled") => Some(true),
        ("ocaml", "native" | "native-dynlink" | "native-tools") if provided => Some(true),
        _ => None,
    }
}

/// The best checksum of a package's source, as opam writes it.
fn hash(file: &OpamFile<'_>) -> Option<Value> {
    let url = file.url().ok().flatten()?;
    let best = url.checksums.iter().max_by_key(|checksum| checksum.kind)?;
    Some(Value::String(format!("{}={}", best.kind.name(), best.hex)))
}

/// Whether a package's source may change: it has no checksum (`OpamPackageVar.is_dev_package`).
fn is_unfixed(file: &OpamFile<'_>) -> bool {
    let url = file.url().ok().flatten();
    url.is_some_and(|url| {
        let is_file = url.src.starts_with("http://") || url.src.starts_with("https://");
        url.checksums.is_empty() && !is_file
    })
}
