//! From chosen crates to build units.
//!
//! A crate is compiled by itself, once for each of the places that it runs in: where the result runs, and
//! where the build runs (build scripts, macros, and all that they need). So a crate of a registry makes the
//! same derivation in all projects that want the same features of it and of what it needs.
//!
//! ```text
//! build    package, depends, build-script, library, binary   (the program of the runtime)
//! ```
//!
//! What a project shows in the end is made apart from what its other crates link: programs and C libraries
//! refer to no library of Rust.
//!
//! The alternative is one unit for the whole workspace, which cargo itself builds ([`whole`]).

mod about;
mod archive;
mod plan;
mod profile;
mod recipe;
mod runtime;
mod sources;
mod system;
mod targets;
mod whole;

use crate::{
    chosen::Graph,
    plugin::{BUILD, NOTHING, WHOLE},
    session::{CargoSession, parse_root},
};
use semver::VersionReq;
use x2nix_protocol::{BuildAnswer, BuildRequest, PluginResult, Purpose, Role, Selection, UnitEdge};

/// Makes the units of the chosen crates.
pub(crate) fn build(session: &CargoSession, request: &BuildRequest) -> PluginResult<BuildAnswer> {
    let graph = Graph::new(session, &request.chosen)?;
    let selected = request
        .selections
        .iter()
        .map(|selection| selected(selection, &graph))
        .collect::<PluginResult<_>>()?;
    let way = session.request.options.get(BUILD).and_then(|values| values.last());
    let answer = match way.map(String::as_str) {
        Some(NOTHING) => BuildAnswer {
            unit_of: request.chosen.iter().map(|_| None).collect(),
            ..BuildAnswer::default()
        },
        Some(WHOLE) => whole::build(session, &graph, &request.system)?,
        _ => recipe::build(session, &graph, &request.system)?,
    };
    Ok(BuildAnswer { selected, ..answer })
}

/// The positions of the chosen versions that a selection means.
fn selected(selection: &Selection, graph: &Graph<'_>) -> PluginResult<Vec<u32>> {
    let (wanted, req) = parse_root(&selection.text).map_err(|mut error| {
        error.origin.clone_from(&selection.origin);
        error
    })?;
    let meant = (0..).zip(&graph.of_chosen).filter(|(_, at)| {
        let package = &graph.packages[**at];
        let fits = req == VersionReq::STAR || req.matches(&package.told.version);
        package.name == wanted && fits
    });
    Ok(meant.map(|(position, _)| position).collect())
}

/// A plain edge.
fn edge(unit: &str, role: Role) -> UnitEdge {
    UnitEdge { unit: unit.to_owned(), role, purpose: Purpose::Normal }
}

/// Whether a text can be the name of a file, and be told from an option and from `NAME=VALUE`.
fn is_word(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(['-', '.'])
        && !text.chars().any(|it| it.is_control() || it.is_whitespace() || "/\\=\"'".contains(it))
}
