//! What a package needs from the package set of Nix (`depexts`).

use super::{Builder, Package};
use crate::depexts::{SystemPackages, system_packages};
use x2nix_protocol::{Diagnostic, PluginResult, Role, SystemNeed};

impl Builder<'_> {
    /// The attributes that the package's system packages are, and the compiler of the package set
    /// where the package stands for that.
    pub(super) fn system(&self, package: &Package<'_>) -> PluginResult<Vec<SystemNeed>> {
        let name = package.owner.name;
        let mut needs = Vec::new();
        if name == "ocaml-system" {
            needs.push(SystemNeed { attribute: "ocaml".into(), role: Role::Build });
        }
        let depexts = package.read(package.file.depexts())?;
        if depexts.is_empty() {
            return Ok(needs);
        }
        let globals =
            |variable: &crate::filter::Variable<'_>| self.session.environment.global(variable);
        match system_packages(name, &depexts, &globals) {
            SystemPackages::Known(known) => needs.extend(known),
            SystemPackages::Missing { reason } => {
                return Err(
                    package.refuse("depexts", &format!("nixpkgs lacks what it needs: {reason}"))
                );
            }
            SystemPackages::Unknown { names } => {
                let message = format!(
                    "{name} {}: it is not known which attributes of nixpkgs are the system packages {}",
                    package.owner.version,
                    names.join(", ")
                );
                return Err(Box::new(
                    Diagnostic::error("opam::depexts", message).at(package.at("depexts")).help(format!(
                        "take it from the package set of Nix: [provided.{name}] in x2nix.toml; `--dry-run` resolves without building"
                    )),
                ));
            }
        }
        needs.sort_unstable();
        needs.dedup();
        Ok(needs)
    }
}
