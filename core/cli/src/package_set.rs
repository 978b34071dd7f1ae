//! What the package set of Nix provides: what the user and the ecosystem say of it, and the versions
//! that it has.
//!
//! A version that nobody states is read from the set when the lock is made, and then kept as all else
//! that the lock has: with a lock present no Nix is needed, until `--update` asks anew.

use crate::{
    ecosystems::Ecosystem,
    paths,
    report::Stop,
    settings::{ProvidedSetting, SETTINGS, Settings},
};
use clap::ArgMatches;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use x2nix_core::{
    Request,
    lock::LockedRequest,
    protocol::{Diagnostic, Origin, Provided},
};
use x2nix_fetch::{Error, FoundVersion, versions};

/// What is to be provided, by name.
pub(crate) type Wishes = BTreeMap<String, ProvidedSetting>;

/// What the settings provide, and what options of the ecosystem do beside that.
pub(crate) fn wishes(
    settings: &Settings,
    ecosystem: &Ecosystem,
    options: &BTreeMap<String, Vec<String>>,
) -> Wishes {
    let mut wishes = settings.provided.clone();
    for option in &ecosystem.describe.options {
        let Some(given) = options.get(&option.name) else { continue };
        let value = given.last().map(String::as_str).unwrap_or_default();
        for it in option.provides.get(value).into_iter().flatten() {
            wishes.entry(it.name.clone()).or_insert_with(|| ProvidedSetting {
                version: None,
                attribute: Some(it.attribute.clone()),
            });
        }
    }
    wishes
}

/// Whether a lock was made with what is wished for.
pub(crate) fn agree(wishes: &Wishes, locked: &BTreeMap<String, Provided>) -> bool {
    wishes.len() == locked.len()
        && wishes.iter().all(|(name, wish)| locked.get(name).is_some_and(|it| fits(wish, it)))
}

fn fits(wish: &ProvidedSetting, locked: &Provided) -> bool {
    let version = match &wish.version {
        Some(version) => !locked.read && *version == locked.version,
        None => locked.read,
    };
    version && wish.attribute == locked.attribute
}

/// Where the package set is.
pub(crate) struct PackageSetPlace {
    /// Its file or folder; without one it is `<nixpkgs>`.
    path: Option<PathBuf>,
    /// As the lock names it.
    location: String,
}

impl PackageSetPlace {
    /// What a flag says, or else the settings of a folder.
    pub(crate) fn new(
        matches: &ArgMatches,
        settings: &Settings,
        folder: &Path,
        lock_folder: &Path,
    ) -> Self {
        let given = matches.get_one::<PathBuf>("nixpkgs").cloned();
        let path = given.or_else(|| settings.nixpkgs.as_ref().map(|path| folder.join(path)));
        let location = match &path {
            Some(path) => paths::from_folder(lock_folder, path),
            None => "<nixpkgs>".into(),
        };
        Self { path, location }
    }

    /// Settles what a request has provided; what a lock has is kept, but for the names that are to
    /// be chosen anew.
    pub(crate) fn provide(
        &self,
        request: &mut Request,
        wishes: &Wishes,
        kept: Option<(&LockedRequest, &[String])>,
    ) -> Result<(), Stop> {
        let kept = |name: &String, wish: &ProvidedSetting| {
            let (locked, anew) = kept?;
            let is_same = locked.package_set.as_deref() == Some(&self.location);
            let it = locked.provided.get(name).filter(|it| is_same && fits(wish, it))?;
            (!anew.contains(name)).then(|| it.version.clone())
        };
        let mut known = BTreeMap::new();
        let mut unknown = BTreeMap::new();
        for (name, wish) in wishes {
            match (&wish.version, &wish.attribute) {
                (Some(version), _) => drop(known.insert(name, version.clone())),
                (None, Some(attribute)) => match kept(name, wish) {
                    Some(version) => drop(known.insert(name, version)),
                    None => drop(unknown.insert(name, attribute)),
                },
                (None, None) => {}
            }
        }
        known.extend(self.read(&unknown, &request.platforms)?);
        request.provided = wishes
            .iter()
            .filter_map(|(name, wish)| {
                let provided = Provided {
                    version: known.get(name)?.clone(),
                    attribute: wish.attribute.clone(),
                    read: wish.version.is_none(),
                    origin: Some(Origin::new(SETTINGS, None)),
                };
                Some((name.clone(), provided))
            })
            .collect();
        let any = request.provided.values().any(|it| it.read);
        request.package_set = any.then(|| self.location.clone());
        Ok(())
    }

    /// The versions of attributes, by the names of packages.
    fn read<'n>(
        &self,
        wanted: &BTreeMap<&'n String, &String>,
        platforms: &[String],
    ) -> Result<BTreeMap<&'n String, String>, Stop> {
        if wanted.is_empty() {
            return Ok(BTreeMap::new());
        }
        let attributes: BTreeSet<String> = wanted.values().map(ToString::to_string).collect();
        let found = versions(self.path.as_deref(), platforms, &attributes)
            .map_err(|error| self.unreadable(wanted, &error))?;
        let mut read = BTreeMap::new();
        for (name, attribute) in wanted {
            let of = |platform: &String| found.get(platform)?.get(*attribute);
            let versions: BTreeSet<_> = platforms
                .iter()
                .map(|platform| match of(platform) {
                    Some(FoundVersion::Version(version)) => Ok(version),
                    Some(FoundVersion::Versionless) => Err("has no version"),
                    Some(FoundVersion::Missing) | None => Err("is not there"),
                })
                .collect::<Result<_, _>>()
                .map_err(|what| self.refused(name, &format!("{attribute} {what}")))?;
            let [version] = versions.into_iter().collect::<Vec<_>>()[..] else {
                let what = format!("{attribute} has several versions, by platform");
                return Err(self.refused(name, &what));
            };
            read.insert(*name, version.clone());
        }
        Ok(read)
    }

    fn refused(&self, name: &str, what: &str) -> Stop {
        let message = format!("in the package set {}, {what}", self.location);
        Diagnostic::error("package-set::attribute", message)
            .help(format!("say another in {SETTINGS}: [provided.{name}] with an attribute, and perhaps a version"))
            .into()
    }

    fn unreadable(&self, wanted: &BTreeMap<&String, &String>, error: &Error) -> Stop {
        let names: Vec<_> = wanted.keys().map(|name| name.as_str()).collect();
        let names = names.join(", ");
        let message = format!(
            "the package set {} is asked for the version of {names}: {error}",
            self.location
        );
        let help = match error {
            Error::NoNix(_) => format!("install Nix, or state the version in {SETTINGS}"),
            _ => format!(
                "name a package set with --nixpkgs, or `nixpkgs` in {SETTINGS}; or state the version there"
            ),
        };
        Diagnostic::error("package-set::unreadable", message).access().help(help).into()
    }
}
