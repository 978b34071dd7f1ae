//! What a package needs from the package set of Nix (`depexts`).

use super::{Builder, Package};
use crate::depexts::{SystemPackages, system_packages};
use x2nix_protocol::{Diagnostic, PluginResult, Role, SystemNeed, UnitPart};

impl Builder<'_> {
    /// The attributes that the package's system packages are, and the compiler of the package set
    /// where the package stands for that.
    pub(in crate::plugin) fn system(&self, package: &Package<'_>) -> PluginResult<Vec<SystemNeed>> {
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
        let version = package.owner.version;
        // What the user says is the answer to both, for all packages that name it or for this one.
        let help = |said: &str| {
            format!(
                "in x2nix.toml, say what it is: [system] {said} = [\"ATTRIBUTE\"]; or, for this package alone, [[override]] package = \"{name}\" with system = [\"ATTRIBUTE\"]; an empty list ignores it"
            )
        };
        let refuse = |message: String, said: &str| {
            let diagnostic = Diagnostic::error("opam::depexts", message);
            let diagnostic = diagnostic.at(package.at("depexts")).help(help(said));
            self.problem(&package.key(), UnitPart::System, diagnostic);
        };
        match system_packages(name, &depexts, &globals, self.system) {
            SystemPackages::Known(known) => needs.extend(known),
            SystemPackages::Missing { reason } => {
                let message = format!("{name} {version}: nixpkgs lacks what it needs: {reason}");
                refuse(message, "NAME");
            }
            SystemPackages::Unknown { names } => {
                let message = format!(
                    "{name} {version}: it is not known which attributes of nixpkgs are the system packages {}",
                    names.join(", ")
                );
                refuse(message, &format!("{:?}", names[0]));
            }
        }
        needs.sort_unstable();
        needs.dedup();
        Ok(needs)
    }
}
