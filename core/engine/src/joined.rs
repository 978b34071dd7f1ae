//! Several ecosystems as one: a plugin that asks others.
//!
//! A project may have packages of two ecosystems in one program, such as a library of OCaml over one of
//! Rust. [`Joined`] opens a session with the plugin of each, gives all their names, sets and classes numbers
//! of one count, and so the core solves, locks and emits them together; it knows nothing of this.
//!
//! ```text
//! question  -> the share of each part  -> its answer  -> joint numbers  -> the joint answer
//! ```
//!
//! Names of parts but the first have the ecosystem as their context: `serde (cargo)` in messages,
//! `serde@1.0.0:cargo` in a lock. In the user's words a package of one ecosystem stands behind its name,
//! `cargo:serde@1`; without a name it is one of the first. What crosses the border is an [`Edge`]: its two
//! sides are put to the plugins as mentions, the requirement is added to the facts of the versions that it
//! is of, and an edge of the build graph to the units.
//!
//! Each criterion of a policy looks at the packages of its own ecosystem only, so where no edge has a say,
//! the answer is what each ecosystem has by itself.

mod build;
mod numbers;
mod session;

use crate::resolve::check_protocol;
use numbers::Numbers;
use session::{Bridge, JoinedSession, Part};
use std::{collections::BTreeMap, sync::Arc};
use x2nix_lock::AND;
use x2nix_protocol::{
    Criterion, Describe, Diagnostic, Edge, Host, InputKind, Measure, Need, OpenAnswer, OpenRequest,
    Opened, OptionSpec, PROTOCOL_VERSION, PlatformMode, Plugin, PluginResult, Selection,
};

/// The plugins of several ecosystems as one.
pub struct Joined {
    parts: Vec<(Describe, Arc<dyn Plugin>)>,
}

impl Joined {
    /// Joins plugins; the order counts, as packages without a name of an ecosystem are of the first.
    pub fn new(plugins: Vec<Arc<dyn Plugin>>) -> Self {
        Self { parts: plugins.into_iter().map(|plugin| (plugin.describe(), plugin)).collect() }
    }

    /// The part that a package is of, and its words there.
    fn part<'t>(&self, text: &'t str) -> Option<(usize, &'t str)> {
        let (name, rest) = text.split_once(':')?;
        let part = self.parts.iter().position(|(describe, _)| describe.ecosystem == name)?;
        Some((part, rest))
    }

    /// The same, of the first where no name stands before it.
    fn part_or_first<'t>(&self, text: &'t str) -> (usize, &'t str) {
        self.part(text).unwrap_or((0, text))
    }

    fn side<'t>(&self, edge: &'t Edge, text: &'t str) -> PluginResult<(usize, Selection)> {
        let origin = edge.origin.clone();
        let Some((part, text)) = self.part(text) else {
            let known: Vec<_> =
                self.parts.iter().map(|(part, _)| format!("{}:NAME", part.ecosystem)).collect();
            let message = format!("{text:?} does not say whose package it is");
            let diagnostic = Diagnostic::error("edge::ecosystem", message);
            let help = format!("write one of: {}", known.join(", "));
            return Err(Box::new(Diagnostic { origin, ..diagnostic }.help(help)));
        };
        Ok((part, Selection { text: text.to_owned(), origin }))
    }

    /// The share of one part in a question, and where its inputs are among all.
    fn share(
        &self,
        part: usize,
        request: &OpenRequest,
        mentions: Vec<Selection>,
    ) -> (OpenRequest, Vec<u32>) {
        let describe = &self.parts[part].0;
        let own = |text: &str| {
            let (of, rest) = self.part_or_first(text);
            (of == part).then(|| rest.to_owned())
        };
        // Repositories are for those who do not know where packages come from.
        let inputs = (0..).zip(&request.inputs).filter(|(_, input)| {
            input.kind != InputKind::Repository || !describe.finds_repositories
        });
        let (places, inputs) = inputs.map(|(place, input)| (place, input.clone())).unzip();
        let known = |name: &String| describe.options.iter().any(|option| option.name == *name);
        let options = request.options.iter().filter(|(name, _)| known(name));
        let provided = request.provided.iter();
        let provided = provided.filter_map(|(name, it)| Some((own(name)?, it.clone())));
        let share = OpenRequest {
            inputs,
            roots: request.roots.iter().filter_map(|root| own(root)).collect(),
            options: options.map(|(name, values)| (name.clone(), values.clone())).collect(),
            provided: provided.collect(),
            mentions,
            edges: Vec::new(),
            platform: request.platform.clone(),
            environment: request.environment.clone(),
            user_environment: request.user_environment.clone(),
        };
        (share, places)
    }
}

impl Plugin for Joined {
    fn describe(&self) -> Describe {
        let parts = || self.parts.iter().map(|(describe, _)| describe);
        let joint = |text: fn(&Describe) -> String, with: &str| {
            parts().map(text).collect::<Vec<_>>().join(with)
        };
        let mut options: Vec<OptionSpec> = Vec::new();
        for (number, describe) in parts().enumerate() {
            for option in &describe.options {
                if options.iter().any(|known| known.name == option.name) {
                    continue;
                }
                let mut option = option.clone();
                for provided in option.provides.values_mut().flatten().filter(|_| number > 0) {
                    provided.name = format!("{}:{}", describe.ecosystem, provided.name);
                }
                options.push(option);
            }
        }
        let each = parts().any(|part| part.platforms == PlatformMode::Each);
        Describe {
            ecosystem: joint(|part| part.ecosystem.clone(), &AND.to_string()),
            version: joint(|part| format!("{} {}", part.ecosystem, part.version), ", "),
            protocol: PROTOCOL_VERSION,
            title: joint(|part| part.title.clone(), ", with "),
            purl_type: None,
            platforms: if each { PlatformMode::Each } else { PlatformMode::Joint },
            options,
            finds_repositories: parts().all(|part| part.finds_repositories),
            exports: parts().flat_map(|part| part.exports.clone()).collect(),
            policies: policies(&parts().collect::<Vec<_>>()),
        }
    }

    fn open(&self, host: Arc<dyn Host>, request: &OpenRequest) -> PluginResult<Opened> {
        let mut mentions: Vec<Vec<Selection>> = vec![Vec::new(); self.parts.len()];
        let mut sides = Vec::new();
        for edge in &request.edges {
            let mut place = |text| {
                let (part, selection) = self.side(edge, text)?;
                mentions[part].push(selection);
                Ok::<_, Box<Diagnostic>>((part, mentions[part].len() - 1))
            };
            let (from, needs) = (place(&edge.from)?, place(&edge.needs)?);
            if from.0 == needs.0 {
                let ecosystem = &self.parts[from.0].0.ecosystem;
                let message = format!("both sides of this edge are of {ecosystem}");
                let diagnostic = Diagnostic::error("edge::ecosystem", message);
                let help = "what a package needs of its own ecosystem, its manifest says";
                return Err(Box::new(
                    Diagnostic { origin: edge.origin.clone(), ..diagnostic }.help(help),
                ));
            }
            sides.push([from, needs]);
        }
        let project = request.inputs.iter().any(|input| input.kind == InputKind::Project);
        let mut answer = OpenAnswer::default();
        let mut numbers = Numbers::new(self.parts.iter().map(|(part, _)| part.ecosystem.clone()));
        let mut parts = Vec::new();
        let mut meant: Vec<Vec<Need>> = Vec::new();
        for ((part, (describe, plugin)), mentions) in self.parts.iter().enumerate().zip(mentions) {
            check_protocol(describe)?;
            let count = mentions.len();
            let (share, inputs) = self.share(part, request, mentions);
            if !project && share.roots.is_empty() && count == 0 {
                // Nobody asks for anything of it, such as where only a tool of the other is resolved.
                parts.push(Part { session: None, inputs, opened: 0 });
                meant.push(Vec::new());
                continue;
            }
            let Opened { session, answer: told } = plugin.open(Arc::clone(&host), &share)?;
            answer.preparations.extend(told.preparations.into_iter().map(|mut preparation| {
                for root in &mut preparation.roots {
                    *root = format!("{}:{root}", describe.ecosystem);
                }
                preparation
            }));
            if !answer.preparations.is_empty() {
                continue;
            }
            numbers.announce(part, told.dictionary, &mut answer.dictionary)?;
            for mut root in told.roots {
                root.need = numbers.need(part, &root.need)?;
                answer.roots.push(root);
            }
            if told.mentions.len() != count {
                let message = format!(
                    "the plugin of {} does not take part in edges between ecosystems",
                    describe.ecosystem
                );
                return Err(Box::new(Diagnostic::error("plugin::mentions", message).help(
                    "it has to answer `mentions` of the request; take a version that does, or remove the [[edge]]",
                )));
            }
            let needs = told.mentions.iter().map(|need| numbers.need(part, need));
            meant.push(needs.collect::<PluginResult<_>>()?);
            let first = u32::try_from(request.inputs.len() + answer.opened.len());
            parts.push(Part { session: Some(session), inputs, opened: first.unwrap_or(u32::MAX) });
            for (name, value) in told.environment {
                answer.environment.entry(name).or_insert(value);
            }
            answer.manifests.extend(told.manifests);
            answer.opened.extend(told.opened);
            answer.notes.extend(told.notes);
        }
        answer.manifests.sort_unstable();
        answer.manifests.dedup();
        let mut bridges = Vec::new();
        if answer.preparations.is_empty() {
            for (edge, [from, needs]) in request.edges.iter().zip(&sides) {
                let meant = |&(part, at): &(usize, usize)| meant[part][at].clone();
                bridges.push(Bridge::new(edge, &meant(from), meant(needs)));
            }
        }
        let describes = self.parts.iter().map(|(describe, _)| describe.clone()).collect();
        let session = JoinedSession::new(describes, parts, numbers, bridges);
        Ok(Opened { session: Box::new(session), answer })
    }
}

/// What a good answer is: what it is for each ecosystem, one after another. Where alternatives are passed
/// over is counted over all, so those who look at that first come last.
fn policies(parts: &[&Describe]) -> BTreeMap<String, Vec<Criterion>> {
    let names = parts.iter().flat_map(|part| part.policies.keys());
    let policy = |name: &String| {
        let mut criteria: Vec<Vec<Criterion>> = Vec::new();
        for (number, part) in (0..).zip(parts) {
            let own = part.policies.get(name).or_else(|| part.policies.get("default"));
            let within = |it: &Criterion| Criterion { within: Some(number), ..*it };
            criteria.push(own.into_iter().flatten().map(within).collect());
        }
        criteria.sort_by_key(|own| own.iter().any(|it| it.measure == Measure::PassedOver));
        (name.clone(), criteria.concat())
    };
    names.map(policy).collect()
}
