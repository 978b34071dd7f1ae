//! What was read, gathered and written out as settings.

use crate::{Imported, inputs::Inputs};
use std::collections::BTreeMap;
use toml::{Table, Value};
use x2nix_protocol::{Diagnostic, Origin};

/// Where opam-nix takes the repository from, unless a flake says otherwise.
const DEFAULT_REPOSITORY: &str = "git+https://github.com/ocaml/opam-repository.git";

/// The settings as they are gathered.
#[derive(Default)]
pub(crate) struct Settings {
    label: String,
    /// The project's folder, relative to the flake.
    pub(crate) project: Option<String>,
    pub(crate) roots: Vec<String>,
    pub(crate) repositories: Vec<String>,
    /// The input that a repository comes from where the flake names none: `opam-nix`, `hillingar`.
    pub(crate) provider: Option<String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) options: BTreeMap<String, Value>,
    pub(crate) overrides: Vec<Override>,
    left: Vec<Diagnostic>,
}

/// A change of one package that is data.
#[derive(Default)]
pub(crate) struct Override {
    pub(crate) package: String,
    pub(crate) line: u32,
    pub(crate) host: Vec<String>,
    pub(crate) build: Vec<String>,
    pub(crate) patches: Vec<String>,
    pub(crate) skip_tests: bool,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) source: Option<Table>,
    pub(crate) attribute: Option<String>,
}

impl Override {
    fn says_nothing(&self) -> bool {
        self.host.is_empty()
            && self.build.is_empty()
            && self.patches.is_empty()
            && !self.skip_tests
            && self.environment.is_empty()
            && self.source.is_none()
            && self.attribute.is_none()
    }
}

impl Settings {
    pub(crate) fn new(label: &str) -> Self {
        Self { label: label.to_owned(), ..Self::default() }
    }

    /// Tells of something that is not carried over.
    pub(crate) fn leave(&mut self, line: u32, what: impl Into<String>, instead: &str) {
        let note = Diagnostic::warning("import::left", what)
            .at(Origin::new(self.label.clone(), Some(line)))
            .help(instead);
        if !self.left.contains(&note) {
            self.left.push(note);
        }
    }

    /// Adds a root, unless it is there.
    pub(crate) fn root(&mut self, root: String) {
        if !self.roots.contains(&root) {
            self.roots.push(root);
        }
    }

    /// Writes the settings out.
    pub(crate) fn finish(mut self, inputs: &Inputs) -> Imported {
        if self.repositories.is_empty() {
            self.default_repositories(inputs);
        }
        let texts = |texts: &[String]| -> Value {
            Value::Array(texts.iter().cloned().map(Value::String).collect())
        };
        let mut text = format!(
            "# Made by `x2nix import` from {}; it is yours to change.\n",
            comment(&self.label)
        );
        let mut line = |key: &str, value: Value| text.push_str(&format!("{key} = {value}\n"));
        line("ecosystem", Value::String("opam".into()));
        line("repositories", texts(&self.repositories));
        if !self.roots.is_empty() {
            line("roots", texts(&self.roots));
        }
        let table = |map: BTreeMap<String, Value>| Value::Table(map.into_iter().collect());
        let strings = |map: &BTreeMap<String, String>| {
            table(
                map.iter()
                    .map(|(key, value)| (key.clone(), Value::String(value.clone())))
                    .collect(),
            )
        };
        if !self.environment.is_empty() {
            line("environment", strings(&self.environment));
        }
        if !self.options.is_empty() {
            line("options", table(self.options.clone()));
        }
        for change in self.overrides.iter().filter(|change| !change.says_nothing()) {
            let mut line = |key: &str, value: Value| text.push_str(&format!("{key} = {value}\n"));
            line("\n[[override]]\npackage", Value::String(change.package.clone()));
            line("reason", Value::String(format!("{}, line {}", self.label, change.line)));
            let mut inputs = BTreeMap::new();
            for (role, needs) in [("host", &change.host), ("build", &change.build)] {
                if !needs.is_empty() {
                    inputs.insert(role.to_owned(), texts(needs));
                }
            }
            if !inputs.is_empty() {
                line("inputs", table(inputs));
            }
            if !change.patches.is_empty() {
                line("patches", texts(&change.patches));
            }
            if change.skip_tests {
                line("skip-tests", Value::Boolean(true));
            }
            if !change.environment.is_empty() {
                line("environment", strings(&change.environment));
            }
            if let Some(source) = &change.source {
                line("source", Value::Table(source.clone()));
            }
            if let Some(attribute) = &change.attribute {
                line("attribute", Value::String(attribute.clone()));
            }
        }
        self.left.sort_by_key(|note| note.origin.as_ref().and_then(|origin| origin.line));
        Imported {
            settings: text,
            project: self.project.unwrap_or_else(|| ".".into()),
            left: self.left,
        }
    }

    /// The repositories that opam-nix or Hillingar would take.
    fn default_repositories(&mut self, inputs: &Inputs) {
        let provider = self.provider.clone().unwrap_or_else(|| "opam-nix".into());
        let within = |name: &str| {
            inputs
                .place(name)
                .filter(|_| provider == "hillingar")
                .or_else(|| inputs.place_within(&provider, name))
        };
        if self.options.contains_key("monorepo") {
            self.repositories
                .extend(["opam-overlays", "mirage-opam-overlays"].into_iter().filter_map(within));
        }
        let repository = inputs.place_within(&provider, "opam-repository");
        self.repositories.push(repository.unwrap_or_else(|| DEFAULT_REPOSITORY.into()));
    }
}

/// A text that stays in a comment.
fn comment(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
