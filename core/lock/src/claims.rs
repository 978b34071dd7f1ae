//! What a lock claims of itself, checked without its inputs.

use crate::{Lock, LockedNeed};
use rustc_hash::FxHashMap;
use serde_json::Value;
use x2nix_protocol::{Artifact, Diagnostic, LatePart, Part, Recipe, Unit, Word};

/// Checks that everything a lock refers to is in it, that units form no cycle, and that no path
/// leaves its place. It says nothing about whether the facts were right.
pub fn check_claims(lock: &Lock) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let has_nul = serde_json::to_value(lock).is_ok_and(|value| has_nul(&value));
    let mut report = |code: &str, message: String| {
        found.push(
            Diagnostic::error(code, message)
                .help("the lock file was changed by hand or by a merge: run `x2nix resolve`"),
        );
    };
    if has_nul {
        let message = "a text of the lock holds a NUL, which neither Nix nor a shell can take";
        report("lock::nul", message.to_owned());
    }
    for (platform, answer) in &lock.platforms {
        let known = |id: &String| answer.packages.binary_search(id).is_ok();
        let mut check_need = |owner: &str, need: &LockedNeed| {
            for id in need.by.iter().filter(|id| !known(id)) {
                report(
                    "lock::dangling",
                    format!("{owner} is satisfied by {id}, which is not chosen on {platform}"),
                );
            }
        };
        for root in &answer.roots {
            check_need("the request", root);
        }
        for id in &answer.packages {
            if let Some(package) = lock.package(id, platform) {
                package.depends.iter().for_each(|need| check_need(id, need));
            }
        }
        for id in &answer.packages {
            match lock.package(id, platform) {
                None => {
                    report("lock::dangling", format!("package {id} of {platform} has no entry"));
                }
                Some(package) => {
                    if let Some(unit) =
                        package.unit.as_ref().filter(|unit| lock.unit(unit, platform).is_none())
                    {
                        report(
                            "lock::dangling",
                            format!("package {id} is built by {unit}, which has no entry"),
                        );
                    }
                }
            }
        }
        for (alias, unit) in &answer.aliases {
            if lock.unit(unit, platform).is_none() {
                report("lock::dangling", format!("{alias} stands for {unit}, which has no entry"));
            }
        }
        let mut walk = Walk { lock, platform, state: FxHashMap::default() };
        for id in lock.units.keys().filter(|id| !id.contains('/')) {
            if let Err(message) = walk.visit(id) {
                report("lock::units", message);
            }
        }
    }
    for (id, unit) in &lock.units {
        check_unit(lock, id, unit, &mut report);
    }
    for (key, artifact) in &lock.artifacts {
        check_artifact(lock, key, artifact, &mut report);
    }
    found
}

/// Whether a text in a document holds a NUL.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(name, it)| name.contains('\0') || has_nul(it)),
        _ => false,
    }
}

/// Whether an environment may have a variable of this name.
fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether a relative path stays below where it starts.
fn stays(path: &str) -> bool {
    !path.starts_with('/') && !path.split('/').any(|part| part == "..") && !path.contains('\0')
}

fn check_unit(lock: &Lock, id: &str, unit: &Unit, report: &mut impl FnMut(&str, String)) {
    let Recipe::Build(build) = &unit.recipe else { return };
    for operation in build.environment.iter().chain(&unit.exports) {
        if !is_variable(&operation.variable) {
            let name = &operation.variable;
            report(
                "lock::variable",
                format!("unit {id} sets {name:?}, which is no name of a variable"),
            );
        }
    }
    for source in &build.sources {
        if !lock.artifacts.contains_key(&source.artifact) {
            report(
                "lock::dangling",
                format!("unit {id} starts from {}, which has no entry", source.artifact),
            );
        }
        for path in [&source.from, &source.to].into_iter().filter(|path| !stays(path)) {
            report("lock::path", format!("unit {id} unpacks {path:?}, outside its source"));
        }
    }
    let paths = build.files.keys().chain(&build.patches);
    for path in paths.filter(|path| !stays(path)) {
        report("lock::path", format!("unit {id} has a file {path:?} outside its source"));
    }
    let mut check_word = |word: &Word| {
        for part in &word.0 {
            let (other, own) = match part {
                Part::Late(LatePart::Unit { unit: other, .. }) => (other, false),
                // The unit's own key may have a platform behind it.
                Part::Late(LatePart::Content { unit: other, .. }) => {
                    let rest = id.strip_prefix(other.as_str());
                    (other, rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
                }
                _ => continue,
            };
            if !own && !unit.depends.iter().any(|edge| edge.unit == *other) {
                report(
                    "lock::dangling",
                    format!("unit {id} uses {other}, on which it does not depend"),
                );
            }
        }
    };
    build.steps.iter().flat_map(|step| &step.words).for_each(&mut check_word);
    let operations = build.environment.iter().chain(&unit.exports);
    operations.map(|operation| &operation.value).for_each(&mut check_word);
}

fn check_artifact(
    lock: &Lock,
    key: &str,
    artifact: &Artifact,
    report: &mut impl FnMut(&str, String),
) {
    match artifact {
        Artifact::Fetch { urls, hashes, name } => {
            if urls.is_empty() || hashes.is_empty() {
                report("lock::artifact", format!("artifact {key} has no address or no hash"));
            }
            if name.contains('/') || name.is_empty() {
                report("lock::path", format!("artifact {key} is called {name:?}"));
            }
        }
        Artifact::Git { url, commit, hash, name, .. } => {
            if url.is_empty() || commit.is_empty() || hash.is_empty() {
                report("lock::artifact", format!("artifact {key} has no address, commit or hash"));
            }
            if name.contains('/') || name.is_empty() {
                report("lock::path", format!("artifact {key} is called {name:?}"));
            }
        }
        Artifact::Local { path } => {
            if !stays(path) {
                report(
                    "lock::path",
                    format!("artifact {key} lies at {path:?}, outside the project"),
                );
            }
        }
        Artifact::Input { input, path } => {
            if *input as usize >= lock.inputs.len() || !stays(path) {
                report(
                    "lock::path",
                    format!(
                        "artifact {key} lies at {path:?} of input {input}: there is no such place"
                    ),
                );
            }
        }
    }
}

/// A depth-first walk over the units of one platform.
struct Walk<'a> {
    lock: &'a Lock,
    platform: &'a str,
    /// Whether a unit is done (true) or on the way (false).
    state: FxHashMap<&'a str, bool>,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, start: &'a str) -> Result<(), String> {
        // An explicit stack: a hostile lock may chain a million units.
        let mut stack: Vec<(&'a str, usize)> = vec![(start, 0)];
        if self.state.contains_key(start) {
            return Ok(());
        }
        self.state.insert(start, false);
        while let Some((id, next)) = stack.pop() {
            let Some(unit) = self.lock.unit(id, self.platform) else { continue };
            let Some(edge) = unit.depends.get(next) else {
                self.state.insert(id, true);
                continue;
            };
            stack.push((id, next + 1));
            if self.lock.unit(&edge.unit, self.platform).is_none() {
                return Err(format!("unit {id} needs {}, which has no entry", edge.unit));
            }
            match self.state.get(edge.unit.as_str()) {
                Some(true) => {}
                Some(false) => return Err(format!("units {id} and {} need each other", edge.unit)),
                None => {
                    self.state.insert(&edge.unit, false);
                    stack.push((&edge.unit, 0));
                }
            }
        }
        Ok(())
    }
}
