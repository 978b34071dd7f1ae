//! A project and a registry of its own, on disk, for x2nix and for cargo alike.

use std::{fs, path::Path, process::Command};
use tempfile::TempDir;

/// A folder with `project` and `registry`.
pub(crate) struct Place(TempDir);

/// The manifest of a package that tests are about; dependencies come after it.
pub(crate) const APP: &str = "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n";

impl Place {
    /// A project with a manifest, and a registry with these entries; see [`Place::publish`].
    pub(crate) fn new(manifest: &str, registry: &[&str]) -> Self {
        let place = Self(tempfile::tempdir().expect("a folder"));
        place.write("project/Cargo.toml", manifest);
        place.write("project/src/lib.rs", "");
        place.write(
            "project/.cargo/config.toml",
            "[source.crates-io]\nreplace-with = \"own\"\n[source.own]\nlocal-registry = \"../registry\"\n",
        );
        fs::create_dir_all(place.path("registry/index")).expect("a folder");
        for entry in registry {
            place.publish(entry);
        }
        place
    }

    pub(crate) fn path(&self, path: &str) -> std::path::PathBuf {
        self.0.path().join(path)
    }

    pub(crate) fn project(&self) -> std::path::PathBuf {
        self.path("project")
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    /// Another package beside the project's own.
    pub(crate) fn package(&self, folder: &str, manifest: &str) {
        self.write(&format!("project/{folder}/Cargo.toml"), manifest);
        self.write(&format!("project/{folder}/src/lib.rs"), "");
    }

    /// Adds a version to the registry: `NAME VERSION`, then parts after `;`:
    /// `NAME REQ`, with `optional`, `bare` (no default features), `dev`, `build`, `as:OTHER` (what it is
    /// called), `cfg:EXPRESSION` and `+FEATURE` after it; `[NAME] VALUE VALUE` for a feature;
    /// `!yanked`, `!links NAME`, `!rust VERSION`.
    pub(crate) fn publish(&self, entry: &str) {
        let mut parts = entry.split(';').map(str::trim);
        let head = parts.next().expect("a name");
        let (name, version) = head.split_once(' ').expect("NAME VERSION");
        let (mut dependencies, mut features) = (Vec::new(), serde_json::Map::new());
        let mut line = serde_json::json!({
            "name": name, "vers": version, "cksum": format!("{:064}", 7), "yanked": false, "v": 2,
        });
        for part in parts {
            let words: Vec<&str> = part.split_whitespace().collect();
            match words.as_slice() {
                ["!yanked"] => line["yanked"] = true.into(),
                ["!links", links] => line["links"] = (*links).into(),
                ["!rust", version] => line["rust_version"] = (*version).into(),
                [feature, values @ ..] if feature.starts_with('[') => {
                    let name = feature.trim_matches(['[', ']']).to_owned();
                    features.insert(name, values.to_vec().into());
                }
                [package, req, more @ ..] => dependencies.push(dependency(package, req, more)),
                other => panic!("cannot read {other:?}"),
            }
        }
        line["deps"] = dependencies.into();
        line["features2"] = features.into();
        line["features"] = serde_json::json!({});
        let folder = match name.len() {
            1 | 2 => name.len().to_string(),
            3 => format!("3/{}", &name[..1]),
            _ => format!("{}/{}", &name[..2], &name[2..4]),
        };
        let path = format!("registry/index/{folder}/{name}");
        let before = fs::read_to_string(self.path(&path)).unwrap_or_default();
        self.write(&path, &format!("{before}{line}\n"));
    }

    /// What cargo itself makes of the project; nothing where it refuses.
    pub(crate) fn cargo_lock(&self) -> Option<String> {
        let run = Command::new(env!("CARGO"))
            .args(["generate-lockfile", "--offline", "--quiet"])
            .current_dir(self.project())
            .env("CARGO_HOME", self.path("home"))
            .output()
            .expect("cargo runs");
        let text = run.status.success().then(|| read(&self.path("project/Cargo.lock")));
        let _ = fs::remove_file(self.path("project/Cargo.lock"));
        text
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a file")
}

fn dependency(package: &str, req: &str, more: &[&str]) -> serde_json::Value {
    let mut dependency = serde_json::json!({
        "name": package, "req": req, "features": [], "optional": false, "default_features": true,
        "target": null, "kind": "normal",
    });
    for word in more {
        match *word {
            "optional" => dependency["optional"] = true.into(),
            "bare" => dependency["default_features"] = false.into(),
            "dev" | "build" => dependency["kind"] = (*word).into(),
            word if word.starts_with("as:") => {
                dependency["name"] = word[3..].into();
                dependency["package"] = package.into();
            }
            word if word.starts_with("cfg:") => {
                dependency["target"] = format!("cfg({})", &word[4..]).into();
            }
            word => {
                let feature = word.strip_prefix('+').expect("+FEATURE").into();
                dependency["features"].as_array_mut().expect("a list").push(feature);
            }
        }
    }
    dependency
}
