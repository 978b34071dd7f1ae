//! What a package is made of: its library, its programs, its build script; as its manifest says, and as
//! cargo finds where the manifest does not (`toml/targets.rs`).

use super::is_word;
use crate::{
    manifest::{self, Inheritance, Manifest},
    source::join,
};
use cargo_util_schemas::manifest::{TomlPackageBuild, TomlTarget};
use std::collections::{BTreeMap, BTreeSet};
use x2nix_protocol::{Diagnostic, PluginResult};

/// A library or a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) edition: String,
    /// What a library is made as; empty for a program.
    pub(super) kinds: Vec<String>,
    /// Features without which there is no such program.
    pub(super) required: Vec<String>,
}

impl Target {
    pub(super) fn is_macro(&self) -> bool {
        self.kinds.iter().any(|kind| kind == "proc-macro")
    }
}

/// All that a package is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Targets {
    pub(super) library: Option<Target>,
    pub(super) programs: Vec<Target>,
    /// The path of the build script.
    pub(super) script: Option<String>,
    /// The edition of the package.
    pub(super) edition: String,
}

const EDITIONS: [&str; 4] = ["2015", "2018", "2021", "2024"];
const KINDS: [&str; 6] = ["lib", "rlib", "dylib", "cdylib", "staticlib", "proc-macro"];

/// Whether a manifest says by itself what there is, so that nobody has to look at the files.
pub(super) fn is_explicit(manifest: &Manifest) -> bool {
    let Some(package) = manifest.toml.package() else { return false };
    let libraries =
        manifest.toml.lib.as_ref().map_or(package.autolib == Some(false), |lib| lib.path.is_some());
    let mut programs = manifest.toml.bin.iter().flatten();
    libraries
        && package.autobins == Some(false)
        && package.build.is_some()
        && package.readme.is_some()
        && programs.all(|program| program.path.is_some())
}

/// Reads a manifest, given the files of the package.
pub(super) fn read(
    manifest: &Manifest,
    inherited: Option<Inheritance<'_>>,
    files: &BTreeSet<String>,
) -> PluginResult<Targets> {
    let Some(package) = manifest.toml.package() else {
        return Err(manifest.fault("there is no package in this manifest", "package"));
    };
    let reader = Reader {
        manifest,
        files,
        name: package.name.as_ref().map_or("", |name| name.as_str()),
        edition: manifest::edition_text(manifest, inherited).to_owned(),
    };
    if !EDITIONS.contains(&reader.edition.as_str()) {
        return Err(reader.refuse(format!("there is no edition {:?}", reader.edition), "edition"));
    }
    let script = match &package.build {
        Some(TomlPackageBuild::Auto(false)) => None,
        Some(TomlPackageBuild::Auto(true)) => Some("build.rs".to_owned()),
        Some(TomlPackageBuild::SingleScript(path)) => Some(reader.path(path, "build")?),
        Some(TomlPackageBuild::MultipleScript(_)) => {
            let message = "it has several build scripts, which only a nightly cargo knows";
            return Err(reader.refuse(message.to_owned(), "build"));
        }
        None => files.contains("build.rs").then(|| "build.rs".to_owned()),
    };
    Ok(Targets {
        library: reader.library(package.autolib)?,
        programs: reader.programs(package.autobins)?,
        script,
        edition: reader.edition.clone(),
    })
}

struct Reader<'a> {
    manifest: &'a Manifest,
    files: &'a BTreeSet<String>,
    name: &'a str,
    edition: String,
}

impl Reader<'_> {
    fn refuse(&self, message: String, word: &str) -> Box<Diagnostic> {
        let mut fault = self.manifest.fault(message, word);
        fault.code = "cargo::target".into();
        fault
    }

    /// A path of the package: relative, and within it.
    fn path(&self, path: &str, word: &str) -> PluginResult<String> {
        let joined = join("", path).filter(|path| {
            !path.is_empty() && !path.split('/').any(|part| part == "..") && !path.contains('\0')
        });
        // What begins with a dash would be an option to rustc.
        joined.filter(|path| !path.starts_with('-')).ok_or_else(|| {
            self.refuse(format!("the path {path:?} lies outside of the package"), word)
        })
    }

    fn stated(
        &self,
        target: &TomlTarget,
        found: Option<String>,
        word: &str,
    ) -> PluginResult<Option<String>> {
        match &target.path {
            Some(path) => self.path(&path.0.to_string_lossy(), word).map(Some),
            None => Ok(found),
        }
    }

    fn edition_of(&self, target: &TomlTarget, word: &str) -> PluginResult<String> {
        let edition = target.edition.as_ref().unwrap_or(&self.edition);
        if EDITIONS.contains(&edition.as_str()) {
            return Ok(edition.clone());
        }
        Err(self.refuse(format!("there is no edition {edition:?}"), word))
    }

    fn library(&self, auto: Option<bool>) -> PluginResult<Option<Target>> {
        let usual = "src/lib.rs".to_owned();
        let stated = match &self.manifest.toml.lib {
            Some(stated) => stated.clone(),
            None if auto != Some(false) && self.files.contains(&usual) => TomlTarget::default(),
            None => return Ok(None),
        };
        let name = stated.name.clone().unwrap_or_else(|| self.name.replace('-', "_"));
        if !is_identifier(&name) {
            return Err(self.refuse(format!("{name:?} cannot be the name of a library"), "lib"));
        }
        // Before the edition of 2018, a library could lie in a file of its own name.
        let other = format!("src/{name}.rs");
        let found =
            if !self.files.contains(&usual) && self.files.contains(&other) { other } else { usual };
        let path = self.stated(&stated, Some(found.clone()), "lib")?.unwrap_or(found);
        let kinds = match stated.crate_types() {
            _ if stated.proc_macro() == Some(true) => vec!["proc-macro".to_owned()],
            Some(kinds) if !kinds.is_empty() => kinds.clone(),
            _ => vec!["lib".to_owned()],
        };
        if let Some(kind) = kinds.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
            return Err(self.refuse(format!("there is no crate type {kind:?}"), "crate-type"));
        }
        let edition = self.edition_of(&stated, "lib")?;
        Ok(Some(Target { name, path, edition, kinds, required: Vec::new() }))
    }

    fn programs(&self, auto: Option<bool>) -> PluginResult<Vec<Target>> {
        let stated = self.manifest.toml.bin.as_deref().unwrap_or_default();
        let found = self.found();
        let mut programs = BTreeMap::new();
        for target in stated {
            let Some(name) = &target.name else {
                return Err(self.refuse("a program has no name".to_owned(), "bin"));
            };
            let known = found.get(name).cloned().or_else(|| {
                // Before the edition of 2018.
                [format!("src/{name}.rs"), "src/main.rs".to_owned(), "src/bin/main.rs".to_owned()]
                    .into_iter()
                    .find(|path| self.files.contains(path))
            });
            let Some(path) = self.stated(target, known, "bin")? else {
                return Err(self.refuse(format!("the program {name:?} has no file"), "bin"));
            };
            let edition = self.edition_of(target, "bin")?;
            let required = target.required_features.clone().unwrap_or_default();
            let program = Target { name: name.clone(), path, edition, kinds: Vec::new(), required };
            programs.insert(name.clone(), program);
        }
        let wanted = auto.unwrap_or(self.edition != "2015" || stated.is_empty());
        for (name, path) in found.into_iter().filter(|_| wanted) {
            let taken = programs.values().any(|program| program.path == path);
            if !taken && !programs.contains_key(&name) {
                let edition = self.edition.clone();
                let program = Target {
                    name: name.clone(),
                    path,
                    edition,
                    kinds: Vec::new(),
                    required: Vec::new(),
                };
                programs.insert(name, program);
            }
        }
        // It is the name of a file, and with dashes replaced that of a crate.
        let odd =
            programs.keys().find(|name| !is_word(name) || !is_identifier(&name.replace('-', "_")));
        match odd {
            Some(odd) => {
                Err(self.refuse(format!("{odd:?} cannot be the name of a program"), "bin"))
            }
            None => Ok(programs.into_values().collect()),
        }
    }

    /// The programs that lie where programs lie, by their name.
    fn found(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        if self.files.contains("src/main.rs") {
            found.insert(self.name.to_owned(), "src/main.rs".to_owned());
        }
        for path in self.files {
            let Some(rest) = path.strip_prefix("src/bin/") else { continue };
            let name = match rest.split_once('/') {
                None => rest.strip_suffix(".rs"),
                Some((folder, "main.rs")) => Some(folder),
                Some(_) => None,
            };
            if let Some(name) = name {
                found.entry(name.to_owned()).or_insert_with(|| path.clone());
            }
        }
        found
    }
}

/// Whether a text can be an identifier of Rust.
pub(super) fn is_identifier(text: &str) -> bool {
    let plain = |letter: char| letter == '_' || letter.is_alphanumeric();
    !text.is_empty() && text.chars().all(plain) && !text.starts_with(|it: char| it.is_ascii_digit())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(text: &str, files: &[&str]) -> Result<Targets, String> {
        let text = format!("[package]\nname = \"a-b\"\nversion = \"1.0.0\"\n{text}");
        let manifest = Manifest::parse("", "Cargo.toml", text.as_bytes()).unwrap();
        let files = files.iter().map(|file| (*file).to_owned()).collect();
        read(&manifest, None, &files).map_err(|error| error.message)
    }

    fn programs(text: &str, files: &[&str]) -> Vec<String> {
        let programs = of(text, files).unwrap().programs.into_iter();
        programs.map(|it| format!("{} {}", it.name, it.path)).collect()
    }

    #[test]
    fn targets_are_found_where_cargo_finds_them() {
        let targets = of("", &["src/lib.rs", "build.rs", "README.md"]).unwrap();
        let library = targets.library.unwrap();
        assert_eq!((library.name.as_str(), library.path.as_str()), ("a_b", "src/lib.rs"));
        assert_eq!((library.kinds, library.edition), (vec!["lib".to_owned()], "2015".to_owned()));
        assert_eq!(targets.script.as_deref(), Some("build.rs"));
        assert_eq!(of("build = false", &["build.rs"]).unwrap().script, None);
        assert_eq!(of("build = true", &[]).unwrap().script.as_deref(), Some("build.rs"));
        assert_eq!(of("build = \"./x/y.rs\"", &[]).unwrap().script.as_deref(), Some("x/y.rs"));
        assert_eq!(of("autolib = false", &["src/lib.rs"]).unwrap().library, None);
        assert_eq!(of("", &["src/main.rs"]).unwrap().library, None);
        // A library in a file of its own name is of old.
        let library = of("[lib]\nname = \"c\"", &["src/c.rs"]).unwrap().library.unwrap();
        assert_eq!(library.path, "src/c.rs");
        let library = of("[lib]\nproc-macro = true", &["src/lib.rs"]).unwrap().library.unwrap();
        assert!(library.is_macro());
        let library = of("[lib]\ncrate-type = [\"proc-macro\"]", &[]).unwrap().library.unwrap();
        assert!(library.is_macro());
        let kinds = "edition = \"2021\"\n[lib]\ncrate_type = [\"cdylib\", \"rlib\"]";
        assert_eq!(of(kinds, &[]).unwrap().library.unwrap().kinds, ["cdylib", "rlib"]);
    }

    #[test]
    fn programs_are_found_where_cargo_finds_them() {
        let files = ["src/main.rs", "src/bin/c.rs", "src/bin/d/main.rs", "src/bin/d/e.rs"];
        let all = ["a-b src/main.rs", "c src/bin/c.rs", "d src/bin/d/main.rs"];
        assert_eq!(programs("", &files), all);
        assert_eq!(programs("edition = \"2021\"", &files), all);
        assert!(programs("autobins = false", &files).is_empty());
        // What is stated hides the others in the edition of 2015, and what lies in the same file always.
        let stated = "[[bin]]\nname = \"x\"\npath = \"src/main.rs\"";
        assert_eq!(programs(stated, &files), ["x src/main.rs"]);
        let stated = format!("edition = \"2021\"\n{stated}");
        assert_eq!(
            programs(&stated, &files),
            ["c src/bin/c.rs", "d src/bin/d/main.rs", "x src/main.rs"]
        );
        assert_eq!(programs("[[bin]]\nname = \"d\"", &files), ["d src/bin/d/main.rs"]);
        assert_eq!(programs("[[bin]]\nname = \"y\"", &["src/y.rs"]), ["y src/y.rs"]);
        assert!(of("[[bin]]\nname = \"y\"", &[]).unwrap_err().contains("has no file"));
        assert!(of("[[bin]]\npath = \"y.rs\"", &[]).unwrap_err().contains("has no name"));
    }

    #[test]
    fn a_manifest_made_by_cargo_says_all() {
        let explicit = |text: &str| {
            let text = format!("[package]\nname = \"a\"\n{text}");
            is_explicit(&Manifest::parse("", "Cargo.toml", text.as_bytes()).unwrap())
        };
        let made = "build = false\nautolib = false\nautobins = false\nreadme = false\n";
        assert!(explicit(&format!("{made}[lib]\npath = \"src/lib.rs\"")));
        assert!(explicit(made));
        assert!(!explicit(&format!("{made}[lib]\nname = \"b\"")));
        assert!(!explicit(&format!("{made}[[bin]]\nname = \"b\"")));
        assert!(!explicit("build = false\nautolib = false"));
    }
}
