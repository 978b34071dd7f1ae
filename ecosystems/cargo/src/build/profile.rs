//! How crates are compiled: the profile `release`, as the root's manifest changes it.

use crate::manifest::{HelpBoxed as _, Manifest};
use cargo_util_schemas::manifest::{ProfilePackageSpec, StringOrBool, TomlDebugInfo, TomlProfile};
use semver::Version;
use x2nix_protocol::{Diagnostic, PluginResult};

/// The only profile that is built with.
const RELEASE: &str = "release";

/// How one crate is compiled, as words for rustc and as its build script is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) optimisation: String,
    pub(super) debug: bool,
    pub(super) debug_assertions: bool,
    /// For all that is compiled of the crate.
    pub(super) words: Vec<String>,
    /// For what is linked in the end.
    pub(super) finally: Vec<String>,
}

/// The profile of a project.
pub(super) struct Profile<'m> {
    manifest: Option<&'m Manifest>,
    stated: TomlProfile,
}

/// A crate as profiles speak of it.
pub(super) struct Subject<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a Version,
    /// Whether it is of the project.
    pub(super) member: bool,
    /// Whether it runs on the machine that builds.
    pub(super) builder: bool,
}

impl<'m> Profile<'m> {
    /// The profile that a root's manifest states.
    pub(super) fn new(manifest: Option<&'m Manifest>) -> Self {
        let profiles = manifest.and_then(|manifest| manifest.toml.profile.as_ref());
        let stated = profiles.and_then(|profiles| profiles.get(RELEASE)).cloned();
        Self { manifest, stated: stated.unwrap_or_default() }
    }

    fn refuse(&self, key: &str, value: &str) -> Box<Diagnostic> {
        let message = format!(
            "the profile {RELEASE} has {key} = {value:?}, which a stable cargo does not know"
        );
        let fault = match self.manifest {
            Some(manifest) => manifest.fault(message, key),
            None => Box::new(Diagnostic::error("cargo::manifest", message)),
        };
        fault.help_boxed("see the chapter on profiles in cargo's book")
    }

    /// How a crate is compiled.
    pub(super) fn flags(&self, subject: &Subject<'_>) -> PluginResult<Flags> {
        let mut merged = self.stated.clone();
        if subject.builder {
            // What runs while building is compiled fast, and by nothing that is said of the result.
            merged = TomlProfile {
                debug_assertions: merged.debug_assertions,
                overflow_checks: merged.overflow_checks,
                ..TomlProfile::default()
            };
            if let Some(changed) = &self.stated.build_override {
                merged.merge(changed);
            }
        }
        for (spec, changed) in self.stated.package.iter().flatten() {
            if *spec == ProfilePackageSpec::All && !subject.member {
                merged.merge(changed);
            }
        }
        for (spec, changed) in self.stated.package.iter().flatten() {
            let ProfilePackageSpec::Spec(spec) = spec else { continue };
            let version = spec.partial_version().is_none_or(|it| it.matches(subject.version));
            if spec.name() == subject.name && version {
                merged.merge(changed);
            }
        }
        self.words(&merged, subject)
    }

    fn words(&self, profile: &TomlProfile, subject: &Subject<'_>) -> PluginResult<Flags> {
        let fast = if subject.builder { "0" } else { "3" };
        let optimisation =
            profile.opt_level.as_ref().map_or(fast, |level| level.0.as_str()).to_owned();
        if !["0", "1", "2", "3", "s", "z"].contains(&optimisation.as_str()) {
            return Err(self.refuse("opt-level", &optimisation));
        }
        if profile.codegen_backend.is_some()
            || profile.rustflags.is_some()
            || profile.trim_paths.is_some()
        {
            return Err(self.refuse("codegen-backend, rustflags or trim-paths", "…"));
        }
        let mut words = Vec::new();
        let mut code = |option: &str, value: &str| {
            words.push(format!("-C{option}={value}"));
        };
        if optimisation != "0" {
            code("opt-level", &optimisation);
        }
        match profile.panic.as_deref() {
            // Macros and build scripts unwind always.
            Some("abort") if !subject.builder => code("panic", "abort"),
            None | Some("unwind" | "abort") => {}
            Some(other) => return Err(self.refuse("panic", other)),
        }
        let lto = self.lto()?;
        match lto {
            Some("off") => code("lto", "off"),
            Some(_) if !subject.builder => {}
            _ => code("embed-bitcode", "no"),
        }
        let units = profile.codegen_units.or((subject.builder).then_some(256));
        if let Some(units) = units {
            code("codegen-units", &units.to_string());
        }
        let debug = profile.debug.unwrap_or(TomlDebugInfo::None);
        let has_debug = debug != TomlDebugInfo::None;
        if has_debug {
            code("debuginfo", &debug.to_string());
            match profile.split_debuginfo.as_deref() {
                Some(split @ ("off" | "packed" | "unpacked")) => code("split-debuginfo", split),
                Some(other) => return Err(self.refuse("split-debuginfo", other)),
                None => {}
            }
        }
        let debug_assertions = profile.debug_assertions.unwrap_or(false);
        let overflow = profile.overflow_checks.unwrap_or(debug_assertions);
        if debug_assertions != (optimisation == "0") {
            code("debug-assertions", if debug_assertions { "on" } else { "off" });
        }
        if overflow != debug_assertions {
            code("overflow-checks", if overflow { "on" } else { "off" });
        }
        let mut finally = Vec::new();
        if let Some(lto @ ("fat" | "thin")) = lto.filter(|_| !subject.builder) {
            finally.push(format!("-Clto={lto}"));
        }
        let strip = match &profile.strip {
            // Debug information that nobody asked for is that of the standard library.
            None if !has_debug => "debuginfo",
            Some(StringOrBool::Bool(true)) => "symbols",
            None | Some(StringOrBool::Bool(false)) => "none",
            Some(StringOrBool::String(text))
                if ["none", "debuginfo", "symbols"].contains(&text.as_str()) =>
            {
                text
            }
            Some(StringOrBool::String(text)) => return Err(self.refuse("strip", text)),
        };
        if strip != "none" {
            finally.push(format!("-Cstrip={strip}"));
        }
        Ok(Flags { optimisation, debug: has_debug, debug_assertions, words, finally })
    }

    /// What of optimisation while linking is asked for; it is the same for all crates.
    fn lto(&self) -> PluginResult<Option<&str>> {
        Ok(match &self.stated.lto {
            None | Some(StringOrBool::Bool(false)) => None,
            Some(StringOrBool::Bool(true)) => Some("fat"),
            Some(StringOrBool::String(text)) => match text.as_str() {
                "fat" | "true" => Some("fat"),
                "thin" => Some("thin"),
                "off" | "n" | "no" => Some("off"),
                "false" => None,
                other => return Err(self.refuse("lto", other)),
            },
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn flags(profile: &str, member: bool, builder: bool) -> Result<Flags, String> {
        let text = format!("[workspace]\n{profile}");
        let manifest = Manifest::parse("", "Cargo.toml", text.as_bytes()).unwrap();
        let version = Version::new(1, 2, 3);
        let subject = Subject { name: "a", version: &version, member, builder };
        Profile::new(Some(&manifest)).flags(&subject).map_err(|error| error.message)
    }

    fn words(profile: &str, member: bool, builder: bool) -> String {
        let flags = flags(profile, member, builder).unwrap();
        format!("{} | {}", flags.words.join(" "), flags.finally.join(" ")).replace("-C", "")
    }

    #[test]
    fn a_release_is_compiled_as_cargo_compiles_it() {
        assert_eq!(words("", true, false), "opt-level=3 embed-bitcode=no | strip=debuginfo");
        assert_eq!(
            words("", true, true),
            "embed-bitcode=no codegen-units=256 debug-assertions=off | strip=debuginfo"
        );
        let profile = "[profile.release]\nlto = true\npanic = \"abort\"\ncodegen-units = 1\nstrip = true\nopt-level = \"z\"";
        assert_eq!(
            words(profile, true, false),
            "opt-level=z panic=abort codegen-units=1 | lto=fat strip=symbols"
        );
        // Macros and build scripts are nobody's release.
        assert_eq!(words(profile, true, true), words("", true, true));
        assert_eq!(
            words("[profile.release]\ndebug = 1\nlto = \"off\"", true, false),
            "opt-level=3 lto=off embed-bitcode=no debuginfo=1 | ".replace(" embed-bitcode=no", "")
        );
        assert_eq!(
            words("[profile.release]\ndebug-assertions = true", true, false),
            "opt-level=3 embed-bitcode=no debug-assertions=on | strip=debuginfo"
        );
        assert_eq!(
            words("[profile.release]\noverflow-checks = true", true, false),
            "opt-level=3 embed-bitcode=no overflow-checks=on | strip=debuginfo"
        );
    }

    #[test]
    fn packages_and_the_building_machine_may_have_their_own() {
        let profile = "[profile.release.package.\"*\"]\nopt-level = 1\n[profile.release.package.a]\nopt-level = 2\n[profile.release.package.\"b\"]\nopt-level = 0\n[profile.release.build-override]\nopt-level = 3\n";
        let optimisation =
            |profile: &str, member, builder| flags(profile, member, builder).unwrap().optimisation;
        assert_eq!(optimisation(profile, false, false), "2");
        let profile = profile.replace("package.a]", "package.\"a@2\"]");
        assert_eq!(optimisation(&profile, false, false), "1");
        assert_eq!(optimisation(&profile, true, false), "3");
        assert_eq!(optimisation(&profile, true, true), "3");
    }

    #[test]
    fn what_cargo_does_not_know_is_refused() {
        for profile in
            ["panic = \"run\"", "lto = \"much\"", "strip = \"all\"", "rustflags = [\"-x\"]"]
        {
            let told = flags(&format!("[profile.release]\n{profile}"), true, false).unwrap_err();
            assert!(told.contains("a stable cargo does not know"), "{told}");
        }
    }
}
