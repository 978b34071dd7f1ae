//! Which versions a workspace can have.

use crate::{
    filter::{Bound, FilteredFormula},
    formula::Formula,
    package::{Flag, OpamFile},
    syntax::{self, RelOp},
};
use serde::Deserialize;
use std::{collections::BTreeMap, sync::LazyLock};

/// What a workspace makes of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Its source goes into the duniverse.
    Vendored,
    /// There is nothing to compile: it is a derivation as ever.
    Bare,
    /// It cannot be there.
    NotDune,
}

/// Why a version without the tag `cross-compile` is left out.
pub(super) const NOT_CROSS: &str =
    "it is not tagged `cross-compile`, and other versions of it are (--require-cross-compile)";

/// Why a port is left out among the tools of the host.
pub(super) const PORT: &str = "it is a port to dune, for workspaces";

/// What the versions of ports have behind the version that they port.
const PORTED: &str = "+dune";

/// The first text after all that begins with [`PORTED`].
const BEYOND_PORTED: &str = "+dunf";

/// Whether a version is a port to dune of another (`0.9.0+dune2`).
pub(super) fn is_port(version: &str) -> bool {
    version.contains(PORTED)
}

/// All versions but this one and its ports.
pub(super) fn others(version: &str) -> Formula<Bound> {
    let bound = |op, suffix: &str| {
        Formula::Atom(Bound { op, version: format!("{version}{suffix}").into() })
    };
    let no_port = Formula::any([bound(RelOp::Lt, PORTED), bound(RelOp::Geq, BEYOND_PORTED)]);
    Formula::all([bound(RelOp::Neq, ""), no_port])
}

/// Tools of builds that dune takes the place of (`skip_packages` of `lib/config.ml`).
const SKIPPED: [&str; 6] = ["jbuilder", "dune", "ocamlbuild", "ocamlmod", "oasis", "ocamlify"];

/// Whether a name is that of a compiler, or of what chooses one.
pub(super) fn is_compiler(name: &str) -> bool {
    matches!(
        name,
        "ocaml"
            | "ocaml-base-compiler"
            | "ocaml-compiler"
            | "ocaml-config"
            | "ocaml-system"
            | "ocaml-variants"
    ) || name.starts_with("ocaml-option-")
        || name.starts_with("ocaml-options-")
}

/// Whether a name is that of a compiler other than the released one, or of an option of such.
pub(super) fn is_variant(name: &str) -> bool {
    is_compiler(name)
        && !matches!(
            name,
            "ocaml" | "ocaml-base-compiler" | "ocaml-config" | "ocaml-options-vanilla"
        )
}

/// What a workspace makes of a version (`validate_candidate` of `lib/opam_solve.ml`); one that is pinned
/// has its source there, whatever its file says (`pull_pin_depends` of `cli/lock.ml`).
pub(super) fn verdict(
    name: &str,
    file: &OpamFile<'_>,
    pinned: bool,
) -> Result<Verdict, syntax::Error> {
    let flags = file.flags()?;
    let is_bare = flags.contains(&Flag::Compiler)
        || is_compiler(name)
        || SKIPPED.contains(&name)
        || is_virtual(file, &flags, pinned)?;
    Ok(if is_bare {
        Verdict::Bare
    } else if mentions_dune(&file.depends()?) || mentions_dune(&file.depopts()?) {
        Verdict::Vendored
    } else {
        Verdict::NotDune
    })
}

/// `Package_summary.is_virtual` of `lib/opam.ml`.
fn is_virtual(file: &OpamFile<'_>, flags: &[Flag], pinned: bool) -> Result<bool, syntax::Error> {
    let no_place = file.dev_repo()?.is_none_or(|place| place.is_empty());
    Ok((file.url()?.is_none() && !pinned)
        || (flags.contains(&Flag::Conf) && no_place)
        || (file.build()?.is_empty() && file.install()?.is_empty()))
}

fn mentions_dune(formula: &FilteredFormula) -> bool {
    let mut found = false;
    formula.for_each(&mut |atom| found |= &*atom.name == "dune");
    found
}

/// Repositories of ports to dune.
#[derive(Deserialize)]
struct Ports {
    overlay: Vec<Overlay>,
}

#[derive(Deserialize)]
struct Overlay {
    name: String,
    place: String,
    packages: Vec<String>,
}

/// The overlay that has a port, by the name of the package.
static PORTS: LazyLock<BTreeMap<String, (String, String)>> = LazyLock::new(|| {
    // That the table reads is tested below.
    let ports = toml::from_str(include_str!("../../../data/dune-ports.toml"));
    let ports: Ports = ports.unwrap_or(Ports { overlay: Vec::new() });
    let each = |overlay: Overlay| {
        let place = (overlay.name, overlay.place);
        overlay.packages.into_iter().map(move |package| (package, place.clone()))
    };
    ports.overlay.into_iter().flat_map(each).collect()
});

/// Why a version that does not build with dune is left out, and where there is one that does.
pub(super) fn not_dune(name: &str) -> String {
    let port = PORTS
        .get(name)
        .map(|(overlay, place)| format!("; {overlay} has a port of it (--repo {place})"));
    format!("it does not build with dune{}", port.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_ports_reads_and_is_sorted() {
        let ports: Ports =
            toml::from_str(include_str!("../../../data/dune-ports.toml")).expect("it reads");
        assert!(ports.overlay.iter().all(|overlay| overlay.packages.is_sorted()));
        assert_eq!(PORTS["zarith"].0, "mirage-opam-overlays");
        assert!(not_dune("fmt").contains("; opam-overlays has a port"), "{}", not_dune("fmt"));
        assert_eq!(not_dune("camlp5"), "it does not build with dune");
    }

    #[test]
    fn a_version_and_its_ports_are_one() {
        let others = others("1.2");
        let is_other = |version| crate::filter::check(&others, version);
        assert!(!["1.2", "1.2+dune", "1.2+dune2", "1.2+dune+mirage1"].into_iter().any(is_other));
        assert!(
            ["1.1", "1.2.0", "1.2~beta", "1.2+overlay", "1.3", "1.3+dune"]
                .into_iter()
                .all(is_other)
        );
        assert!(is_port("1.2+dune2") && !is_port("1.2+overlay"));
    }

    #[track_caller]
    fn is(name: &str, text: &str, expected: Verdict) {
        let text = format!("opam-version: \"2.0\"\n{text}");
        let file = OpamFile::parse(text.as_bytes()).expect("it reads");
        assert_eq!(verdict(name, &file, false).expect("it reads"), expected, "{name}: {text}");
    }

    #[test]
    fn versions_are_told_apart_as_opam_monorepo_does() {
        use Verdict::{Bare, NotDune, Vendored};
        let dune = r#"depends: ["dune" {>= "2.0"}] build: [["dune" "build"]]"#;
        let make = r#"depends: ["ocaml"] build: [["make"]]"#;
        let url = r#"url { src: "https://a.example/a.tbz" }"#;
        is("a", &format!("{dune} {url}"), Vendored);
        is("a", &format!("{make} {url}"), NotDune);
        is("a", &format!(r#"depopts: ["dune"] build: [["make"]] {url}"#), Vendored);
        is("a", dune, Bare);
        let file = format!("opam-version: \"2.0\"\n{dune}");
        let file = OpamFile::parse(file.as_bytes()).expect("it reads");
        assert_eq!(verdict("a", &file, true).expect("it reads"), Vendored);
        is("a", &format!(r#"depends: ["dune"] {url}"#), Bare);
        is("a", &format!("flags: conf {make} {url}"), Bare);
        is(
            "a",
            &format!(r#"flags: conf dev-repo: "git+https://a.example/a" {make} {url}"#),
            NotDune,
        );
        is("a", &format!("flags: compiler {make} {url}"), Bare);
        for name in ["dune", "ocamlbuild", "ocaml", "ocaml-option-flambda"] {
            is(name, &format!("{make} {url}"), Bare);
        }
    }
}
