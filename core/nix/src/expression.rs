//! One unit of a lock as an expression, to be built before the lock is written.

use crate::escape::{nix_path, nix_string};

/// Where the package set of Nix comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packages {
    /// `<nixpkgs>`, as `NIX_PATH` has it.
    Nixpkgs,
    /// A file or folder that is imported as nixpkgs is: an absolute path.
    Path(String),
}

/// A unit of a lock; all paths are absolute.
#[derive(Debug, Clone)]
pub struct UnitExpression<'a> {
    /// A file with [`crate::READER`].
    pub reader: &'a str,
    /// A file with the lock as it is now.
    pub content: &'a str,
    /// Where the lock is to lie: its paths are as seen from there.
    pub lock_file: &'a str,
    /// The user's overrides, if there are any.
    pub overrides: Option<&'a str>,
    /// The package set.
    pub packages: &'a Packages,
    /// The platform, as Nix names it.
    pub system: &'a str,
    /// The unit's key.
    pub unit: &'a str,
}

impl UnitExpression<'_> {
    /// The expression as Nix text.
    pub fn text(&self) -> String {
        let packages = match self.packages {
            Packages::Nixpkgs => "<nixpkgs>".to_owned(),
            Packages::Path(path) => format!("({})", nix_path(path)),
        };
        let overrides =
            self.overrides.map(|path| format!(" overrides = import ({});", nix_path(path)));
        format!(
            "(import ({}) {{ pkgs = import {packages} {{ system = {}; }}; lockFile = {}; \
             content = builtins.fromJSON (builtins.readFile ({}));{} }}).units.{}\n",
            nix_path(self.reader),
            nix_string(self.system),
            nix_path(self.lock_file),
            nix_path(self.content),
            overrides.unwrap_or_default(),
            nix_string(self.unit),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_nix_by_its_type() {
        let mut it = UnitExpression {
            reader: "/r.nix",
            content: "/c.json",
            lock_file: "/a \"b\"/x2nix.lock.json",
            overrides: None,
            packages: &Packages::Nixpkgs,
            system: "x86_64-linux",
            unit: "${evil}\"",
        };
        let text = it.text();
        assert!(text.contains("import <nixpkgs> { system = \"x86_64-linux\"; }"), "{text}");
        assert!(text.contains(r#"lockFile = /. + "/a \"b\"/x2nix.lock.json";"#), "{text}");
        assert!(text.ends_with("}).units.\"\\${evil}\\\"\"\n"), "{text}");
        let packages = Packages::Path("/p/pkgs.nix".into());
        (it.packages, it.overrides) = (&packages, Some("/o.nix"));
        let text = it.text();
        assert!(text.contains("import (/. + \"/p/pkgs.nix\") {"), "{text}");
        assert!(text.contains(" overrides = import (/. + \"/o.nix\");"), "{text}");
    }
}
