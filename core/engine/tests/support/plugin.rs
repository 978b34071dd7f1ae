//! The plugin that speaks for a scenario. It reads the file through its host, orders versions by
//! itself and announces a name, set or class when it first uses it.

use super::{
    formula::{Formula, SetText, compare, parse, parse_set},
    scenario::{NameText, NeedText, PackageText, Scenario},
    shelf::{FILE, TREE},
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};
use x2nix_protocol::*;

/// Says which of a scenario's two requests a session is about.
pub(crate) const PREVIOUS: &str = "previous";

/// The form in which it writes what was chosen.
pub(crate) const EXPORT: &str = "list";

/// The plugin.
pub(crate) struct ScenarioPlugin;

impl Plugin for ScenarioPlugin {
    fn describe(&self) -> Describe {
        let all = |measure| Criterion::new(measure, Scope::All);
        let policies = [
            ("default", vec![all(Measure::Avoided), all(Measure::Lag), all(Measure::Count)]),
            ("oldest", vec![all(Measure::Avoided), all(Measure::Lead), all(Measure::Count)]),
            (
                "nearest",
                vec![all(Measure::PassedOver), Criterion::new(Measure::Lag, Scope::Nearest)],
            ),
        ];
        let previous = OptionSpec {
            name: PREVIOUS.into(),
            help: "ask what was asked for before".into(),
            value: OptionValue::Flag,
            ..OptionSpec::default()
        };
        Describe {
            ecosystem: "scenario".into(),
            version: "1".into(),
            protocol: PROTOCOL_VERSION,
            title: "Scenarios of the tests".into(),
            purl_type: None,
            platforms: PlatformMode::Each,
            finds_repositories: false,
            options: vec![previous],
            exports: vec![ExportSpec {
                name: EXPORT.into(),
                help: "what was chosen, one a line".into(),
            }],
            policies: policies.map(|(name, policy)| (name.to_owned(), policy)).into(),
        }
    }

    fn open(&self, host: Arc<dyn Host>, request: &OpenRequest) -> PluginResult<Opened> {
        let listed = host.list(&ListRequest::new(TREE, vec![String::new()]))?;
        assert_eq!(listed.listings[0].as_ref().map(Vec::len), Some(1));
        let read = host.read(&ReadRequest { tree: TREE, paths: vec![FILE.into()] })?;
        let [FileContent::Found(Blob(bytes))] = read.files.as_slice() else {
            return Err(Diagnostic::error("scenario::missing", "there is no scenario").into());
        };
        let text = String::from_utf8_lossy(bytes);
        let scenario: Scenario = toml::from_str(&text)
            .map_err(|error| Diagnostic::error("scenario::syntax", error.to_string()))?;
        let scenario = scenario.at(request.options.contains_key(PREVIOUS));
        let mut session = ScenarioSession::new(scenario, request.platform.clone());
        let mut roots = session.requirements(&session.scenario.roots.clone());
        for root in &mut roots {
            root.origin = Some(Origin::new("request", root.line.take()));
        }
        let answer = OpenAnswer {
            dictionary: std::mem::take(&mut session.news),
            roots,
            environment: BTreeMap::from([("platform".into(), request.platform.clone())]),
            manifests: vec![Manifest { tree: TREE, path: FILE.into() }],
            ..OpenAnswer::default()
        };
        Ok(Opened { session: Box::new(session), answer })
    }
}

struct ScenarioSession {
    scenario: Scenario,
    platform: String,
    /// The versions of each name, the newest first.
    versions: BTreeMap<String, Vec<String>>,
    names: Vec<String>,
    sets: Vec<SetText>,
    classes: Vec<String>,
    /// What was announced since the last answer.
    news: Dictionary,
    /// Of which versions the rest was asked for.
    asked: HashSet<(String, String)>,
}

/// The number of an entry, which is new if it was not there before.
fn number<T: PartialEq>(entries: &mut Vec<T>, entry: T) -> (u32, bool) {
    let known = entries.iter().position(|other| *other == entry);
    let position = known.unwrap_or(entries.len());
    if known.is_none() {
        entries.push(entry);
    }
    (u32::try_from(position).expect("few"), known.is_none())
}

impl ScenarioSession {
    fn new(scenario: Scenario, platform: String) -> Self {
        let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for key in scenario.packages.keys() {
            let (name, version) = key.split_once(' ').expect("`NAME VERSION`");
            versions.entry(name.into()).or_default().push(version.into());
        }
        for versions in versions.values_mut() {
            versions.sort_by(|a, b| compare(b, a));
        }
        Self {
            scenario,
            platform,
            versions,
            names: vec![],
            sets: vec![],
            classes: vec![],
            news: Dictionary::default(),
            asked: HashSet::new(),
        }
    }

    fn about(&self, name: &str) -> NameText {
        self.scenario.names.get(name).cloned().unwrap_or_default()
    }

    fn name(&mut self, key: &str) -> NameId {
        let (id, new) = number(&mut self.names, key.to_owned());
        if new {
            let (text, context) =
                key.rsplit_once('@').filter(|(text, _)| !text.is_empty()).unwrap_or((key, ""));
            let kind = self.about(key).kind.unwrap_or_default();
            self.news.names.push(NameEntry {
                text: text.into(),
                context: context.into(),
                kind,
                ecosystem: 0,
            });
        }
        NameId(id)
    }

    fn set(&mut self, set: SetText) -> SetId {
        let name = self.name(&set.name);
        let text = set.text();
        let (id, new) = number(&mut self.sets, set);
        if new {
            self.news.sets.push(SetEntry { name, text });
        }
        SetId(id)
    }

    fn class(&mut self, class: &str) -> ClassId {
        let (id, new) = number(&mut self.classes, class.to_owned());
        if new {
            self.news.classes.push(class.into());
        }
        ClassId(id)
    }

    fn need(&mut self, formula: Formula) -> Need {
        match formula {
            Formula::Leaf(edge) => {
                let set = self.set(edge.set);
                if edge.post || edge.role != Role::Host || !edge.features.is_empty() {
                    let (role, post, features) = (edge.role, edge.post, edge.features);
                    Need::Leaf(Leaf { set, role, post, features })
                } else {
                    Need::Set(set)
                }
            }
            Formula::All(parts) => {
                Need::All { all: parts.into_iter().map(|part| self.need(part)).collect() }
            }
            Formula::Any(parts) => {
                Need::Any { any: parts.into_iter().map(|part| self.need(part)).collect() }
            }
        }
    }

    fn requirements(&mut self, needs: &[NeedText]) -> Vec<Requirement> {
        let mut requirements = Vec::new();
        for (line, need) in (1..).zip(needs) {
            match need {
                NeedText::Plain(text) => {
                    let need = self.need(parse(text));
                    requirements.push(Requirement { line: Some(line), ..Requirement::new(need) });
                }
                NeedText::More(more) => {
                    if more.only.as_ref().is_some_and(|only| *only != self.platform) {
                        continue;
                    }
                    requirements.push(Requirement {
                        need: self.need(parse(&more.need)),
                        purpose: more.purpose,
                        optional: more.optional,
                        peer: more.peer,
                        visible: more.visible,
                        platforms: more.platforms.clone(),
                        line: Some(line),
                        origin: None,
                    });
                }
            }
        }
        requirements
    }

    fn candidate(&mut self, name: &str, version: &str) -> Candidate {
        let facts: PackageText = self.scenario.packages[&format!("{name} {version}")].clone();
        let file = Some(format!("{name}/{version}"));
        let elsewhere = facts.only.as_ref().is_some_and(|only| !only.contains(&self.platform));
        let elsewhere = elsewhere.then(|| format!("it is not for {}", self.platform));
        if let Some(reason) = facts.excluded.or(elsewhere) {
            return Candidate {
                version: version.into(),
                excluded: Some(reason),
                file,
                ..Candidate::default()
            };
        }
        let conflicts = (1..).zip(&facts.conflicts);
        let features = facts.features.iter();
        Candidate {
            version: version.into(),
            bucket: version.split('.').next().unwrap_or_default().into(),
            placement: facts.placement,
            marks: facts.marks,
            excluded: None,
            file,
            line: None,
            requires: self.requirements(&facts.requires),
            conflicts: conflicts
                .map(|(line, set)| Conflict { set: self.set(parse_set(set)), line: Some(line) })
                .collect(),
            classes: facts.classes.iter().map(|class| self.class(class)).collect(),
            exclusive: facts.exclusive.iter().map(|class| self.class(class)).collect(),
            features: features
                .map(|(name, needs)| {
                    let own = |need: &NeedText| match need {
                        NeedText::Plain(text) => text.strip_prefix('+').map(str::to_owned),
                        NeedText::More(_) => None,
                    };
                    let (enables, requires): (Vec<_>, Vec<_>) =
                        needs.iter().cloned().partition(|need| own(need).is_some());
                    Feature {
                        name: name.clone(),
                        enables: enables.iter().filter_map(own).collect(),
                        requires: self.requirements(&requires),
                    }
                })
                .collect(),
            deferred: false,
        }
    }

    /// What is told of a version at once.
    fn brief(&mut self, name: &str, version: &str) -> Candidate {
        let facts = &self.scenario.packages[&format!("{name} {version}")];
        if !facts.deferred {
            return self.candidate(name, version);
        }
        Candidate {
            version: version.into(),
            bucket: version.split('.').next().unwrap_or_default().into(),
            marks: facts.marks.clone(),
            deferred: true,
            ..Candidate::default()
        }
    }

    fn package(&mut self, id: NameId) -> PackageFacts {
        let name = self.names[id.index()].clone();
        let versions = self.versions.get(&name).cloned().unwrap_or_default();
        let candidates = versions.iter().map(|version| self.brief(&name, version)).collect();
        let alike = |other: &&String| other.get(..2) == name.get(..2);
        let similar = if versions.is_empty() {
            self.versions.keys().filter(alike).cloned().collect()
        } else {
            vec![]
        };
        PackageFacts { name: id, granularity: self.about(&name).granularity, candidates, similar }
    }

    /// The chosen packages that a formula leads to, whatever virtual names lie between.
    fn built_before(&mut self, need: &Need, chosen: &HashMap<NameId, Vec<u32>>) -> Vec<String> {
        match need {
            Need::All { all: parts } | Need::Any { any: parts } => {
                parts.iter().flat_map(|part| self.built_before(part, chosen)).collect()
            }
            Need::Leaf(leaf) if leaf.post => vec![],
            Need::Set(set) | Need::Leaf(Leaf { set, .. }) => {
                let set = self.sets[set.index()].clone();
                let id = self.name(&set.name);
                let versions = self.versions.get(&set.name).cloned().unwrap_or_default();
                let mut found = Vec::new();
                for &position in chosen.get(&id).into_iter().flatten() {
                    let version = &versions[position as usize];
                    if set.contains(version) {
                        found.extend(self.units(&set.name, version, chosen));
                    }
                }
                found
            }
        }
    }

    /// The units that stand for a chosen version: its own, or those of its providers.
    fn units(
        &mut self,
        name: &str,
        version: &str,
        chosen: &HashMap<NameId, Vec<u32>>,
    ) -> Vec<String> {
        match self.about(name).kind.unwrap_or_default() {
            NameKind::Package => vec![unit_key(name, version)],
            NameKind::Variable => vec![],
            NameKind::Virtual => {
                let requires = self.candidate(name, version).requires;
                requires.iter().flat_map(|need| self.built_before(&need.need, chosen)).collect()
            }
        }
    }
}

fn unit_key(name: &str, version: &str) -> String {
    format!("{name}-{version}")
}

impl Session for ScenarioSession {
    fn names(&mut self) -> PluginResult<NamesAnswer> {
        Ok(NamesAnswer { names: self.versions.keys().cloned().collect() })
    }

    fn facts(&mut self, request: &FactsRequest) -> PluginResult<FactsAnswer> {
        let packages = request.names.iter().map(|&name| self.package(name)).collect();
        Ok(FactsAnswer { dictionary: std::mem::take(&mut self.news), packages, notes: vec![] })
    }

    fn members(&mut self, request: &MembersRequest) -> PluginResult<MembersAnswer> {
        let members = |id: &SetId| {
            let set = &self.sets[id.index()];
            let versions = self.versions.get(&set.name).map(Vec::as_slice).unwrap_or_default();
            let inside = (0..).zip(versions).filter(|(_, version)| set.contains(version));
            Members::from_positions(inside.map(|(position, _)| position))
        };
        Ok(MembersAnswer { sets: request.sets.iter().map(members).collect() })
    }

    fn details(&mut self, request: &DetailsRequest) -> PluginResult<DetailsAnswer> {
        let mut candidates = Vec::new();
        for place in &request.candidates {
            let name = self.names[place.name.index()].clone();
            let version = self.versions[&name][place.candidate as usize].clone();
            assert!(self.asked.insert((name.clone(), version.clone())), "asked for twice");
            candidates.push(self.candidate(&name, &version));
        }
        Ok(DetailsAnswer { dictionary: std::mem::take(&mut self.news), candidates, notes: vec![] })
    }

    fn export(&mut self, request: &ExportRequest) -> PluginResult<ExportAnswer> {
        assert_eq!(request.format, EXPORT);
        let mut lines: Vec<_> = request
            .chosen
            .iter()
            .map(|one| {
                let name = &self.names[one.name.index()];
                format!("{name} {}\n", self.versions[name][one.candidate as usize])
            })
            .collect();
        lines.sort();
        let files = [("list.txt".to_owned(), Blob(lines.concat().into_bytes()))];
        Ok(ExportAnswer { files: files.into(), notes: vec![] })
    }

    fn build(&mut self, request: &BuildRequest) -> PluginResult<BuildAnswer> {
        let mut chosen: HashMap<NameId, Vec<u32>> = HashMap::new();
        for one in &request.chosen {
            chosen.entry(one.name).or_default().push(one.candidate);
        }
        let mut answer = BuildAnswer::default();
        for one in &request.chosen {
            let name = self.names[one.name.index()].clone();
            if self.about(&name).kind.unwrap_or_default() != NameKind::Package {
                answer.unit_of.push(None);
                continue;
            }
            let version = self.versions[&name][one.candidate as usize].clone();
            let key = unit_key(&name, &version);
            let requires = self.candidate(&name, &version).requires;
            let mut depends: Vec<_> =
                requires.iter().flat_map(|need| self.built_before(&need.need, &chosen)).collect();
            depends.sort_unstable();
            depends.dedup();
            let edge = |unit| UnitEdge { unit, role: Role::default(), purpose: Purpose::default() };
            let unit = Unit {
                name,
                version,
                recipe: Recipe::Provided { attribute: None },
                depends: depends.into_iter().map(edge).collect(),
                exports: vec![],
                meta: Meta::default(),
            };
            answer.units.insert(key.clone(), unit);
            answer.unit_of.push(Some(key));
        }
        Ok(answer)
    }
}
