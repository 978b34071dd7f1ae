//! The ecosystem `@NAME@`: a repository has one file, `packages.json`, which says of each package and
//! version what it needs and what text it holds.

use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};
use x2nix_plugin::*;

x2nix_plugin::export!(Ecosystem, include_str!("../plugin.json"));

struct Ecosystem;

/// What the file says of a version.
#[derive(Clone, Default, Deserialize)]
struct Version {
    /// `NAME`, or `NAME>=VERSION`.
    #[serde(default)]
    needs: Vec<String>,
    text: String,
}

/// The file: versions by package.
type Packages = BTreeMap<String, BTreeMap<String, Version>>;

struct Conversation {
    packages: Packages,
    /// The names that were announced, by number.
    names: Vec<String>,
    /// The version sets that were announced: the number of a name, and the oldest version.
    sets: Vec<(NameId, String)>,
}

impl Plugin for Ecosystem {
    fn describe(&self) -> Describe {
        Describe {
            ecosystem: "@NAME@".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            protocol: PROTOCOL_VERSION,
            title: "Packages of @NAME@".into(),
            purl_type: None,
            platforms: PlatformMode::Each,
            finds_repositories: false,
            options: vec![],
            exports: vec![],
            policies: BTreeMap::from([(
                "default".into(),
                vec![
                    Criterion::new(Measure::Lag, Scope::Requested),
                    Criterion::new(Measure::Lag, Scope::All),
                    Criterion::new(Measure::Count, Scope::All),
                ],
            )]),
        }
    }

    fn open(&self, host: Arc<dyn Host>, request: &OpenRequest) -> PluginResult<Opened> {
        let mut packages = Packages::new();
        for input in &request.inputs {
            let paths = vec!["packages.json".to_owned()];
            let read = host.read(&ReadRequest { tree: input.tree, paths })?;
            if let Some(FileContent::Found(Blob(text))) = read.files.first() {
                let file: Packages = serde_json::from_slice(text).map_err(|error| {
                    let line = u32::try_from(error.line()).ok();
                    Diagnostic::error("@NAME@::syntax", error.to_string())
                        .at(Origin::new(format!("{}:packages.json", input.label), line))
                })?;
                packages.extend(file);
            }
        }
        let mut conversation = Conversation { packages, names: vec![], sets: vec![] };
        let mut dictionary = Dictionary::default();
        let roots = request.roots.iter();
        let roots = roots.map(|root| conversation.need(root, &mut dictionary)).collect();
        let answer = OpenAnswer { dictionary, roots, ..OpenAnswer::default() };
        Ok(Opened { session: Box::new(conversation), answer })
    }
}

impl Conversation {
    /// Announces a name, unless it was before.
    fn name(&mut self, text: &str, dictionary: &mut Dictionary) -> NameId {
        let known = self.names.iter().position(|name| name == text);
        let number = known.unwrap_or_else(|| {
            self.names.push(text.into());
            dictionary.names.push(NameEntry { text: text.into(), ..NameEntry::default() });
            self.names.len() - 1
        });
        NameId(number as u32)
    }

    /// A requirement of `NAME` or `NAME>=VERSION`.
    fn need(&mut self, text: &str, dictionary: &mut Dictionary) -> Requirement {
        let (name, oldest) = text.split_once(">=").unwrap_or((text, ""));
        let set = (self.name(name.trim(), dictionary), oldest.trim().to_owned());
        let known = self.sets.iter().position(|known| *known == set);
        let number = known.unwrap_or_else(|| {
            let text = if oldest.is_empty() { String::new() } else { format!(">= {}", set.1) };
            dictionary.sets.push(SetEntry { name: set.0, text });
            self.sets.push(set);
            self.sets.len() - 1
        });
        Requirement::new(Need::Set(SetId(number as u32)))
    }

    /// The versions of a name, the newest first.
    fn versions(&self, name: NameId) -> PluginResult<Vec<(String, Version)>> {
        let unknown = || Diagnostic::error("@NAME@::number", "there is no such number");
        let name = self.names.get(name.index()).ok_or_else(unknown)?;
        let mut versions: Vec<_> =
            self.packages.get(name).cloned().unwrap_or_default().into_iter().collect();
        versions.sort_by_key(|(version, _)| std::cmp::Reverse(order(version)));
        Ok(versions)
    }
}

/// A version as numbers, to compare by.
fn order(version: &str) -> Vec<u64> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

impl Session for Conversation {
    fn facts(&mut self, request: &FactsRequest) -> PluginResult<FactsAnswer> {
        let mut answer = FactsAnswer::default();
        for &name in &request.names {
            let mut candidates = vec![];
            for (version, about) in self.versions(name)? {
                let needs = about.needs.iter();
                let requires = needs.map(|it| self.need(it, &mut answer.dictionary)).collect();
                candidates.push(Candidate { version, requires, ..Candidate::default() });
            }
            let (granularity, similar) = (Granularity::One, vec![]);
            answer.packages.push(PackageFacts { name, granularity, candidates, similar });
        }
        Ok(answer)
    }

    fn members(&mut self, request: &MembersRequest) -> PluginResult<MembersAnswer> {
        let mut answer = MembersAnswer::default();
        for set in &request.sets {
            let unknown = || Diagnostic::error("@NAME@::number", "there is no such number");
            let (name, oldest) = self.sets.get(set.index()).cloned().ok_or_else(unknown)?;
            let versions = self.versions(name)?;
            let new_enough = |(_, (version, _)): &(usize, &(String, Version))| {
                oldest.is_empty() || order(version) >= order(&oldest)
            };
            let members = versions.iter().enumerate().filter(new_enough);
            answer.sets.push(Members::from_positions(members.map(|(at, _)| at as u32)));
        }
        Ok(answer)
    }

    fn build(&mut self, request: &BuildRequest) -> PluginResult<BuildAnswer> {
        let mut keys = BTreeMap::new();
        let mut chosen = vec![];
        for one in &request.chosen {
            let versions = self.versions(one.name)?;
            let (version, about) = versions[one.candidate as usize].clone();
            let name = self.names[one.name.index()].clone();
            keys.insert(name.clone(), format!("{name}@{version}"));
            chosen.push((name, version, about));
        }
        let mut answer = BuildAnswer::default();
        for (name, version, about) in chosen {
            let needs = about.needs.iter();
            let needs = needs.map(|it| it.split_once(">=").unwrap_or((it, "")).0.trim());
            let depends: Vec<_> = needs.filter_map(|need| keys.get(need).cloned()).collect();
            // A package is built by copying its text to where it belongs.
            let path = format!("share/{name}.txt");
            let step = |words| Step { phase: Phase::Install, words };
            let out = |path: &str| Word(vec![Part::Late(LatePart::Out(path.into()))]);
            let build = Build {
                files: BTreeMap::from([("text".into(), Blob(about.text.into_bytes()))]),
                steps: vec![
                    step(vec![Word::text("mkdir"), Word::text("-p"), out("share")]),
                    step(vec![Word::text("cp"), Word::text("text"), out(&path)]),
                ],
                ..Build::default()
            };
            let edge = |unit| UnitEdge { unit, role: Role::Host, purpose: Purpose::Normal };
            let unit = Unit {
                name: name.clone(),
                version,
                recipe: Recipe::Build(build),
                depends: depends.into_iter().map(edge).collect(),
                exports: vec![],
                meta: Meta::default(),
            };
            answer.unit_of.push(keys.get(&name).cloned());
            answer.units.insert(keys[&name].clone(), unit);
        }
        // None of the user's overrides means a package here.
        answer.selected = vec![vec![]; request.selections.len()];
        Ok(answer)
    }
}
