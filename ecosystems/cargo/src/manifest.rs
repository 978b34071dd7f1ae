//! One manifest: `Cargo.toml` as its package's [`Summary`], what it inherits filled in.

use crate::{
    source::{Registry, Source, join},
    summary::{Dependency, Kind, Summary, feature_map},
};
use cargo_platform::Platform;
use cargo_util_schemas::manifest::{
    InheritableDependency, InheritableField, TomlDependency, TomlDetailedDependency, TomlManifest,
    TomlWorkspace,
};
use semver::{Version, VersionReq};
use std::collections::BTreeMap;
use x2nix_protocol::{Diagnostic, Origin, PluginResult};

/// A manifest and where it lies.
#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    /// Its folder, seen from the project.
    pub(crate) folder: String,
    /// What it is called in messages.
    pub(crate) file: String,
    text: String,
    pub(crate) toml: TomlManifest,
}

/// What members inherit, and the folder that its paths are relative to.
#[derive(Clone, Copy)]
pub(crate) struct Inheritance<'w> {
    pub(crate) workspace: &'w TomlWorkspace,
    pub(crate) folder: &'w str,
}

/// An edition as it is written; that of 2015 where none is said.
pub(crate) fn edition_text<'m>(
    manifest: &'m Manifest,
    inherited: Option<Inheritance<'m>>,
) -> &'m str {
    let package = manifest.toml.package();
    let own = package.and_then(|package| package.edition.as_ref());
    let text = match own {
        Some(InheritableField::Value(edition)) => Some(edition.as_str()),
        Some(InheritableField::Inherit(_)) => inherited
            .and_then(|it| it.workspace.package.as_ref())
            .and_then(|package| package.edition.as_deref()),
        None => None,
    };
    text.unwrap_or("2015")
}

/// The year of an edition.
fn edition(manifest: &Manifest, inherited: Option<Inheritance<'_>>) -> u32 {
    edition_text(manifest, inherited).parse().unwrap_or(2015)
}

impl Manifest {
    /// Reads the text of a manifest.
    pub(crate) fn parse(folder: &str, file: &str, bytes: &[u8]) -> PluginResult<Self> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        match toml::from_str::<TomlManifest>(&text) {
            Ok(toml) => Ok(Self { folder: folder.to_owned(), file: file.to_owned(), text, toml }),
            Err(error) => {
                let line = error.span().map(|span| line_at(&text, span.start));
                Err(Box::new(
                    Diagnostic::error("cargo::manifest", error.message().trim().to_owned())
                        .at(Origin::new(file, line)),
                ))
            }
        }
    }

    /// A complaint about a manifest, at the line that begins with a word if there is one.
    pub(crate) fn fault(&self, message: impl Into<String>, word: &str) -> Box<Diagnostic> {
        Box::new(
            Diagnostic::error("cargo::manifest", message)
                .at(Origin::new(self.file.clone(), self.line_of(word))),
        )
    }

    /// The line that states a key or opens its table.
    pub(crate) fn line_of(&self, word: &str) -> Option<u32> {
        let states = |line: &str| {
            let line = line.trim_start();
            let key =
                line.strip_prefix(word).or_else(|| line.strip_prefix('"')?.strip_prefix(word));
            key.is_some_and(|rest| rest.starts_with([' ', '=', '.', '"']))
                || (line.starts_with('[') && line.trim_end().trim_end_matches(']').ends_with(word))
        };
        (1..).zip(self.text.lines()).find(|(_, line)| states(line)).map(|(line, _)| line)
    }

    /// Which of cargo's resolvers the manifest of a workspace's root asks for.
    pub(crate) fn resolver(&self) -> PluginResult<u8> {
        let workspace = self.toml.workspace.as_ref();
        let stated = workspace.and_then(|workspace| workspace.resolver.as_deref());
        let package = self.toml.package();
        let stated = stated.or(package.and_then(|package| package.resolver.as_deref()));
        let inherited = workspace.map(|workspace| Inheritance { workspace, folder: &self.folder });
        match stated {
            Some("1") => Ok(1),
            Some("2") => Ok(2),
            Some("3") => Ok(3),
            Some(other) => Err(self.fault(format!("there is no resolver {other:?}"), "resolver")),
            None if package.is_none() => Ok(1),
            None => Ok(match edition(self, inherited) {
                2024.. => 3,
                2021.. => 2,
                _ => 1,
            }),
        }
    }

    /// Whether the library is a procedural macro.
    pub(crate) fn is_macro(&self) -> bool {
        self.toml.lib.as_ref().is_some_and(|lib| {
            lib.proc_macro().unwrap_or(false)
                || lib.crate_types().is_some_and(|types| types.iter().any(|it| it == "proc-macro"))
        })
    }

    /// The package of the manifest.
    pub(crate) fn summary(&self, inherited: Option<Inheritance<'_>>) -> PluginResult<Summary> {
        let Some(package) = self.toml.package() else {
            return Err(self.fault("there is no package in this manifest", "workspace"));
        };
        let Some(name) = &package.name else {
            return Err(self.fault("the package has no name", "package"));
        };
        let shared = inherited.and_then(|it| it.workspace.package.as_ref());
        let missing = |what: &str| {
            self.fault(format!("{what} is inherited, but the workspace does not state it"), what)
        };
        let version = match &package.version {
            Some(InheritableField::Value(version)) => version.clone(),
            Some(InheritableField::Inherit(_)) => {
                let shared = shared.and_then(|package| package.version.clone());
                shared.ok_or_else(|| missing("version"))?
            }
            None => Version::new(0, 0, 0),
        };
        let rust_version = match &package.rust_version {
            Some(InheritableField::Value(version)) => Some(*version),
            Some(InheritableField::Inherit(_)) => {
                let shared = shared.and_then(|package| package.rust_version);
                Some(shared.ok_or_else(|| missing("rust-version"))?)
            }
            None => None,
        };
        let dependencies = self.dependencies(inherited)?;
        let stated = self.toml.features().into_iter().flatten();
        let stated = stated
            .map(|(name, values)| (name.as_str(), values.iter().map(String::as_str).collect()));
        let (features, default_is_implied) =
            feature_map(stated, &dependencies).map_err(|fault| self.fault(fault, "features"))?;
        Ok(Summary {
            name: name.to_string(),
            version,
            dependencies,
            features,
            default_is_implied,
            links: package.links.clone(),
            rust_version,
        })
    }

    fn dependencies(&self, inherited: Option<Inheritance<'_>>) -> PluginResult<Vec<Dependency>> {
        type Table<'a> =
            Option<&'a BTreeMap<cargo_util_schemas::manifest::PackageName, InheritableDependency>>;
        let toml = &self.toml;
        let mut tables: Vec<(Option<Platform>, Kind, Table<'_>)> = vec![
            (None, Kind::Normal, toml.dependencies.as_ref()),
            (None, Kind::Dev, toml.dev_dependencies()),
            (None, Kind::Build, toml.build_dependencies()),
        ];
        for (target, table) in toml.target.iter().flatten() {
            let platform: Platform = target.parse().map_err(|error| {
                self.fault(format!("cannot read the target {target:?}: {error}"), "target")
            })?;
            tables.push((Some(platform.clone()), Kind::Normal, table.dependencies.as_ref()));
            tables.push((Some(platform.clone()), Kind::Build, table.build_dependencies()));
            tables.push((Some(platform), Kind::Dev, table.dev_dependencies()));
        }
        let mut dependencies = Vec::new();
        for (target, kind, table) in tables {
            for (name, stated) in table.into_iter().flatten() {
                let detailed = self.inherit(name.as_str(), stated, inherited)?;
                let mut dependency = self.dependency(name.as_str(), &detailed, kind)?;
                dependency.target.clone_from(&target);
                dependencies.push(dependency);
            }
        }
        Ok(dependencies)
    }

    /// What a table says of a dependency, with what is inherited; paths are relative to the project.
    fn inherit(
        &self,
        name: &str,
        stated: &InheritableDependency,
        inherited: Option<Inheritance<'_>>,
    ) -> PluginResult<TomlDetailedDependency> {
        let own = match stated {
            InheritableDependency::Value(value) => {
                return self.placed(name, detailed(value), &self.folder);
            }
            InheritableDependency::Inherit(own) => own,
        };
        let shared = inherited.and_then(|it| {
            let dependencies = it.workspace.dependencies.as_ref()?;
            let found = dependencies.iter().find(|(other, _)| other.as_str() == name)?;
            Some((detailed(found.1), it.folder))
        });
        let Some((shared, folder)) = shared else {
            let message = format!("{name} is inherited, but not in [workspace.dependencies]");
            return Err(self.fault(message, name));
        };
        let mut merged = self.placed(name, shared, folder)?;
        let own_default = own.default_features();
        merged.default_features = if edition(self, inherited) >= 2024 {
            own_default.or(merged.default_features())
        } else if own_default == Some(true) {
            Some(true)
        } else {
            merged.default_features()
        };
        merged.default_features2 = None;
        let features = merged.features.take().into_iter().chain(own.features.clone());
        merged.features = Some(features.flatten().collect());
        merged.optional = own.optional;
        Ok(merged)
    }

    fn placed(
        &self,
        name: &str,
        mut dependency: TomlDetailedDependency,
        folder: &str,
    ) -> PluginResult<TomlDetailedDependency> {
        if let Some(path) = &dependency.path {
            let Some(joined) = join(folder, path) else {
                let message = format!("{name} lies at {path}, an absolute path");
                return Err(self.fault(message, name).help_boxed(
                    "write it relative to the manifest, so that it means the same on every machine",
                ));
            };
            dependency.path = Some(joined);
        }
        Ok(dependency)
    }

    /// A dependency as a table says it; paths are relative to the project.
    pub(crate) fn dependency(
        &self,
        name: &str,
        stated: &TomlDetailedDependency,
        kind: Kind,
    ) -> PluginResult<Dependency> {
        let refuse = |what: &str| self.fault(format!("the dependency {name} {what}"), name);
        if stated.artifact.is_some() || stated.base.is_some() {
            return Err(refuse("uses `artifact` or `base`, which only a nightly cargo knows"));
        }
        let source = if let Some(path) = &stated.path {
            Source::Path(path.clone())
        } else if let Some(url) = &stated.git {
            let references =
                [("branch", &stated.branch), ("tag", &stated.tag), ("rev", &stated.rev)];
            let mut given = references.iter().filter_map(|(key, it)| Some((*key, it.as_ref()?)));
            let reference = given.next();
            if given.next().is_some() {
                return Err(refuse("names more than one of branch, tag and rev"));
            }
            let reference = reference.map(|(key, it)| format!("?{key}={it}")).unwrap_or_default();
            Source::Git(format!("{url}{reference}"))
        } else if let Some(registry) = &stated.registry {
            Source::Registry(Registry::Named(registry.to_string()))
        } else if let Some(index) = &stated.registry_index {
            Source::Registry(Registry::Index(index.clone()))
        } else {
            Source::Registry(Registry::Default)
        };
        let req = match &stated.version {
            Some(version) => VersionReq::parse(version.trim()).map_err(|error| {
                refuse(&format!("has the version {version:?}, which cannot be read: {error}"))
            })?,
            None if matches!(source, Source::Registry(_)) => {
                return Err(refuse("says neither version nor path nor git"));
            }
            None => VersionReq::STAR,
        };
        let package = stated.package.as_ref().map_or(name, |package| package.as_str());
        Ok(Dependency {
            name_in_toml: name.to_owned(),
            package: package.to_owned(),
            source,
            req,
            kind,
            optional: stated.optional.unwrap_or(false),
            default_features: stated.default_features().unwrap_or(true),
            features: stated.features.clone().unwrap_or_default(),
            target: None,
        })
    }

    /// The `[patch]` tables: which source is patched, and what takes the place of its crates.
    pub(crate) fn patches(&self) -> PluginResult<Vec<(String, Dependency)>> {
        if let Some(name) = self.toml.replace.iter().flatten().next().map(|(name, _)| name) {
            return Err(self
                .fault(format!("[replace] is not supported (it replaces {name})"), "replace")
                .help_boxed("say the same with [patch], which took its place"));
        }
        let mut patches = Vec::new();
        for (source, table) in self.toml.patch.iter().flatten() {
            for (name, stated) in table {
                let stated = self.placed(name.as_str(), detailed(stated), &self.folder)?;
                patches
                    .push((source.clone(), self.dependency(name.as_str(), &stated, Kind::Normal)?));
            }
        }
        Ok(patches)
    }
}

/// Advice on what is already in a box.
pub(crate) trait HelpBoxed {
    /// The same with advice.
    fn help_boxed(self, help: &str) -> Box<Diagnostic>;
}

impl HelpBoxed for Box<Diagnostic> {
    fn help_boxed(self, help: &str) -> Box<Diagnostic> {
        Box::new((*self).help(help))
    }
}

fn detailed(dependency: &TomlDependency) -> TomlDetailedDependency {
    match dependency {
        TomlDependency::Simple(version) => TomlDetailedDependency {
            version: Some(version.clone()),
            ..TomlDetailedDependency::default()
        },
        TomlDependency::Detailed(detailed) => detailed.clone(),
    }
}

/// The line of a position, counted from 1.
fn line_at(text: &str, position: usize) -> u32 {
    let before = text.get(..position).unwrap_or(text);
    u32::try_from(before.matches('\n').count() + 1).unwrap_or(u32::MAX)
}
