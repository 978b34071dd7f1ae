//! What the package set of Nix has: the versions of attributes, read while a lock is made.
//!
//! One evaluation answers for all attributes and platforms. It gets the question as one JSON text, so
//! nothing is pasted into Nix; the set is called with the platform and nothing else, as emitted files
//! call it.

use crate::{Error, store::run};
use serde::Deserialize;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// What a package set has under an attribute.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// A package with this version.
    Version(String),
    /// Something that has no version.
    Versionless,
    /// Nothing.
    Missing,
}

/// The question is `request`, in JSON. An attribute's names are between its dots.
const EXPRESSION: &str = r#"
{ request }:
let
  inherit (builtins) filter head isAttrs isFunction isString listToAttrs split tail;
  asked = builtins.fromJSON request;
  imported = import (if asked.file == null then <nixpkgs> else /. + asked.file);
  set = system:
    if isFunction imported then
      imported (builtins.intersectAttrs (builtins.functionArgs imported) { inherit system; })
    else imported;
  find = value: path:
    if path == [ ] then { inherit value; }
    else if isAttrs value && value ? ${head path} then find value.${head path} (tail path)
    else null;
  version = top: attribute:
    let found = find top (filter isString (split "[.]" attribute)); in
    if found == null then "missing"
    else if isAttrs found.value && isString (found.value.version or null) then {
      version = found.value.version;
    }
    else "versionless";
  each = names: f: listToAttrs (map (name: { inherit name; value = f name; }) names);
in
each asked.systems (system: let top = set system; in each asked.attributes (version top))
"#;

/// What a package set has under some attributes, by platform and attribute. The set is a file or folder
/// of Nix; without one it is `<nixpkgs>`.
pub fn versions(
    set: Option<&Path>,
    systems: &[String],
    attributes: &BTreeSet<String>,
) -> Result<BTreeMap<String, BTreeMap<String, Found>>, Error> {
    let whole = |path: &Path| {
        let what = || format!("cannot use the package set {}", path.display());
        path.canonicalize().map_err(|error| Error::Io { what: what(), error })
    };
    let file = set.map(whole).transpose()?;
    let file = file.as_ref().map(|path| path.to_string_lossy());
    let request = json!({ "file": file, "systems": systems, "attributes": attributes }).to_string();
    let words =
        ["--eval", "--strict", "--json", "--expr", EXPRESSION, "--argstr", "request", &request];
    let answer = run("nix-instantiate", words)?;
    serde_json::from_str(&answer).map_err(|_| Error::Strange { program: "nix-instantiate", answer })
}
