//! Resolving: ask, solve, verify, lock.

use crate::{
    fix::{self, Fixer},
    kept::{Kept, is_own},
    overrides::{self, RequestOverride},
    prepare::{self, Prepared, Preparer},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use rustc_hash::{FxHashMap, FxHashSet};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use x2nix_lock::{
    CriterionValue, Lock, LockedInput, LockedOverride, LockedRequest, Optimality, PlatformAnswer,
    assemble, check_claims,
};
use x2nix_model::{CandidateId, Loader, Universe};
use x2nix_protocol::{
    BuildAnswer, BuildRequest, Chosen, Criterion, Describe, Diagnostic, Edge, FileContent, Host,
    Input, InputKind, Manifest, OpenRequest, OpenedTree, PROTOCOL_OLDEST, PROTOCOL_VERSION, Plugin,
    Provided, ReadRequest, Session, SystemNeed,
};
use x2nix_solve::{
    Answer, Explanation, Outcome, Preference, SolveError, Stop, score, solve, verify,
};

/// What to resolve.
#[derive(Clone, Default)]
pub struct Request {
    /// What may be read, in order of precedence.
    pub inputs: Vec<RequestInput>,
    /// Packages by name.
    pub roots: Vec<String>,
    /// The platforms, at least one.
    pub platforms: Vec<String>,
    /// Variables that the user set.
    pub environment: BTreeMap<String, String>,
    /// Options of the plugin.
    pub options: BTreeMap<String, Vec<String>>,
    /// Packages taken from the package set of Nix.
    pub provided: BTreeMap<String, Provided>,
    /// Where the package set is that versions of such packages were read from, if any were.
    pub package_set: Option<String>,
    /// What the user says system packages are, by the ecosystem's names for them.
    pub system: BTreeMap<String, Vec<SystemNeed>>,
    /// What needs what across ecosystems, where several are joined.
    pub edges: Vec<Edge>,
    /// What the user changes of how packages are built.
    pub overrides: Vec<RequestOverride>,
    /// The policy that says what a good answer is; empty for `default`.
    pub policy: String,
    /// A lock whose choices are kept where they still fit.
    pub previous: Option<Lock>,
    /// What is chosen anew, whatever the project's own lock file has: names, or the empty text for all.
    pub renewed: Vec<String>,
    /// Whether to ask how the answer is built.
    pub build: bool,
    /// What builds what has to be made before the request can be read.
    pub preparer: Option<Arc<dyn Preparer>>,
    /// What fetches sources that do not name their content; without it they are refused.
    pub fixer: Option<Arc<dyn Fixer>>,
}

/// One input: what the plugin is told of it, and what the lock says.
#[derive(Debug, Clone)]
pub struct RequestInput {
    /// What the plugin is told.
    pub input: Input,
    /// Where it is, as the lock names it.
    pub location: String,
    /// The hash of its content; of a project, nothing: its manifests are hashed.
    pub hash: Option<String>,
}

/// A lock, and what the user should know.
#[derive(Debug)]
pub struct Resolution {
    /// The lock.
    pub lock: Lock,
    /// Messages, such as broken files that were left out.
    pub notes: Vec<Diagnostic>,
}

/// Why there is no lock.
#[derive(Debug)]
pub enum Failure {
    /// Something is wrong with the request or its inputs.
    Refused(Box<Diagnostic>),
    /// There is no answer.
    Unsolvable {
        /// On which platform.
        platform: String,
        /// Why.
        explanation: Explanation,
        /// Messages that came before.
        notes: Vec<Diagnostic>,
    },
    /// A bug of x2nix.
    Bug(SolveError),
}

impl From<Box<Diagnostic>> for Failure {
    fn from(diagnostic: Box<Diagnostic>) -> Self {
        Self::Refused(diagnostic)
    }
}

impl From<Failure> for Box<Diagnostic> {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(diagnostic) => diagnostic,
            Failure::Unsolvable { platform, .. } => Diagnostic::error(
                "preparation::unsolvable",
                format!("there is no answer on {platform} for what has to be built first"),
            )
            .help("`x2nix resolve` explains why")
            .into(),
            Failure::Bug(error) => {
                Diagnostic::error("solve::bug", error.to_string()).help("please report this").into()
            }
        }
    }
}

/// Resolves a request.
///
/// # Errors
///
/// See [`Failure`].
pub fn resolve(
    plugin: &dyn Plugin,
    host: &Arc<dyn Host>,
    request: &Request,
) -> Result<Resolution, Failure> {
    let result = resolve_all(plugin, host, request);
    // Whatever came of it, or of what broke off: nobody waits for it.
    if host.cancelled() {
        return Err(Failure::Refused(Diagnostic::cancelled().into()));
    }
    result
}

fn resolve_all(
    plugin: &dyn Plugin,
    host: &Arc<dyn Host>,
    request: &Request,
) -> Result<Resolution, Failure> {
    let describe = plugin.describe();
    check_protocol(&describe)?;
    let policy = policy_of(request);
    let criteria = criteria_of(&describe, policy)?;
    let mut notes = Vec::new();
    let mut manifests = Vec::new();
    let mut further = Vec::new();
    let mut solved = Vec::new();
    let mut preparations = BTreeMap::new();
    let mut generated: Vec<LockedInput> = Vec::new();
    // What each override was applied to.
    let mut applied = vec![BTreeSet::new(); request.overrides.len()];
    // Whether it was applied to something of a preparation.
    let mut used = vec![false; request.overrides.len()];
    // What earlier platforms have: the same versions are preferred on all.
    let mut elsewhere: FxHashSet<String> = FxHashSet::default();
    for platform in &request.platforms {
        let previous = request.previous.as_ref();
        let mut opened = Opened::new(plugin, host, request, platform, previous)?;
        notes.append(&mut opened.notes);
        let prepared = std::mem::take(&mut opened.prepared);
        generated = generated_inputs(&prepared, generated)?;
        let goal = Goal { criteria, previous, request, platform, elsewhere: &elsewhere };
        let answer = match opened.answer(host, &goal)? {
            Outcome::Solved(answer) => answer,
            Outcome::Unsolvable(explanation) => {
                return Err(Failure::Unsolvable { platform: platform.clone(), explanation, notes });
            }
        };
        let mut build = if request.build {
            let mut build = opened.build(&answer.chosen, request, platform, &mut applied)?;
            notes.append(&mut build.notes);
            Some(build)
        } else {
            None
        };
        for prepared in prepared {
            (0..).zip(&mut used).for_each(|(position, used)| *used |= prepared.has_used(position));
            let name = prepared.name.clone();
            prepare::join(&mut preparations, name, prepared.graft(build.as_mut(), platform)?);
        }
        manifests = std::mem::take(&mut opened.manifests);
        further = std::mem::take(&mut opened.further);
        elsewhere.extend(answer.chosen.iter().map(|&id| opened.universe.candidate_key(id)));
        solved.push((opened, answer, build));
    }
    if request.build {
        notes.extend(overrides::unused(request, &applied, &used));
    }
    // Platforms mostly say the same.
    let mut seen = FxHashSet::default();
    notes
        .retain(|note| seen.insert((note.code.clone(), note.message.clone(), note.origin.clone())));

    let locked_request = LockedRequest {
        roots: request.roots.clone(),
        environment: request.environment.clone(),
        options: request.options.clone(),
        provided: request.provided.clone(),
        package_set: request.package_set.clone(),
        system: request.system.clone(),
        edges: request.edges.iter().map(|edge| Edge { origin: None, ..edge.clone() }).collect(),
        policy: policy.to_owned(),
    };
    let inputs = locked_inputs(host.as_ref(), request, &manifests, generated, &further)?;
    let answers = solved
        .iter_mut()
        .zip(&request.platforms)
        .map(|((opened, answer, build), platform)| PlatformAnswer {
            platform,
            universe: &opened.universe,
            environment: &opened.environment,
            chosen: &answer.chosen,
            criteria: criteria
                .iter()
                .zip(&answer.score)
                .map(|(&criterion, &value)| CriterionValue { criterion, value })
                .collect(),
            optimality: if answer.optimal { Optimality::Optimal } else { Optimality::BestFound },
            build: build.take(),
        })
        .collect();
    let mut lock = assemble(&describe, locked_request, inputs, answers);
    let overrides = request.overrides.iter().zip(applied);
    let overrides = overrides.map(|(it, packages)| LockedOverride {
        change: it.change.clone(),
        packages: packages.into_iter().collect(),
    });
    lock.overrides = overrides.collect();
    lock.preparations = preparations;
    if request.build {
        require_sound(&lock)?;
    }
    Ok(Resolution { lock, notes })
}

/// A plugin may say anything; what would not hold together, or leave its place, is not written.
fn require_sound(lock: &Lock) -> Result<(), Box<Diagnostic>> {
    let help = "the plugin told of builds that cannot be right: tell its authors, and see [[override]] in the guide for a way round it";
    let mut wrong = check_claims(lock).into_iter().map(|found| found.help(help));
    match wrong.next() {
        None => Ok(()),
        Some(first) => Err(Box::new(Diagnostic { also: wrong.collect(), ..first })),
    }
}

/// All names that the inputs of a request know, sorted.
///
/// # Errors
///
/// Where the inputs cannot be read, or the ecosystem is too large to list.
pub fn names(
    plugin: &dyn Plugin,
    host: &Arc<dyn Host>,
    request: &Request,
) -> Result<Vec<String>, Box<Diagnostic>> {
    let platform = request.platforms.first().cloned().unwrap_or_default();
    let (mut opened, _) = prepare::open(plugin, host, request, &platform, None)?;
    Ok(opened.session.names()?.names)
}

/// What a plugin is asked to open.
pub(crate) fn question(request: &Request, platform: &str) -> OpenRequest {
    OpenRequest {
        inputs: request.inputs.iter().map(|input| input.input.clone()).collect(),
        roots: request.roots.clone(),
        platform: platform.to_owned(),
        environment: request.environment.clone(),
        options: request.options.clone(),
        provided: request.provided.clone(),
        user_environment: BTreeMap::new(),
        mentions: Vec::new(),
        edges: request.edges.clone(),
    }
}

pub(crate) fn check_protocol(describe: &Describe) -> Result<(), Box<Diagnostic>> {
    if (PROTOCOL_OLDEST..=PROTOCOL_VERSION).contains(&describe.protocol) {
        return Ok(());
    }
    let message = format!(
        "plugin {} {} speaks protocol {}, this x2nix speaks {PROTOCOL_OLDEST} to {PROTOCOL_VERSION}",
        describe.ecosystem, describe.version, describe.protocol
    );
    Err(Box::new(
        Diagnostic::error("plugin::protocol-version", message)
            .help("take versions of x2nix and the plugin that speak the same protocol"),
    ))
}

/// The policy that a request is resolved by.
pub(crate) fn policy_of(request: &Request) -> &str {
    if request.policy.is_empty() { "default" } else { &request.policy }
}

pub(crate) fn criteria_of<'d>(
    describe: &'d Describe,
    policy: &str,
) -> Result<&'d [Criterion], Box<Diagnostic>> {
    describe.policies.get(policy).map(Vec::as_slice).ok_or_else(|| {
        let known: Vec<_> = describe.policies.keys().map(String::as_str).collect();
        Box::new(
            Diagnostic::error("request::policy", format!("there is no policy {policy:?}"))
                .help(format!("choose one of: {}", known.join(", "))),
        )
    })
}

/// Candidates as a plugin knows them, each with the features that are on; in the order of numbers.
pub(crate) fn chosen(universe: &Universe, candidates: &[CandidateId]) -> Vec<Chosen> {
    let mut features: FxHashMap<CandidateId, Vec<String>> = FxHashMap::default();
    for &id in candidates {
        if let Some(feature) = universe.feature(id) {
            features.entry(universe.base(id)).or_default().push(feature.to_owned());
        }
    }
    let chosen = |&id: &CandidateId| {
        let name = universe.name(universe.candidate(id).name);
        let mut features = features.remove(&id).unwrap_or_default();
        features.sort_unstable();
        Some(Chosen { name: name.asked_as?, candidate: id.0 - name.candidates.start, features })
    };
    candidates.iter().filter_map(chosen).collect()
}

/// What a good answer for one platform is, beside what holds of it anyway.
pub(crate) struct Goal<'a> {
    pub(crate) criteria: &'a [Criterion],
    pub(crate) previous: Option<&'a Lock>,
    pub(crate) request: &'a Request,
    pub(crate) platform: &'a str,
    /// What earlier platforms have.
    pub(crate) elsewhere: &'a FxHashSet<String>,
}

/// One platform's session with a plugin, and the universe that it told.
pub(crate) struct Opened {
    pub(crate) session: Box<dyn Session>,
    pub(crate) universe: Universe,
    loader: Loader,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) manifests: Vec<Manifest>,
    /// What the plugin opened beside the inputs of the request.
    pub(crate) further: Vec<OpenedTree>,
    pub(crate) notes: Vec<Diagnostic>,
    /// What was made first.
    pub(crate) prepared: Vec<Prepared>,
}

impl Opened {
    pub(crate) fn new(
        plugin: &dyn Plugin,
        host: &Arc<dyn Host>,
        request: &Request,
        platform: &str,
        lock: Option<&Lock>,
    ) -> Result<Self, Failure> {
        let (mut opened, prepared) = prepare::open(plugin, host, request, platform, lock)?;
        let environment = std::mem::take(&mut opened.answer.environment);
        let manifests = std::mem::take(&mut opened.answer.manifests);
        let further = std::mem::take(&mut opened.answer.opened);
        let keep = Kept::new(lock, platform, &request.renewed);
        let (universe, loader, notes) =
            Loader::load(opened.session.as_mut(), opened.answer, keep.predicate())
                .map_err(|error| Box::new(error.into_diagnostic()))?;
        let session = opened.session;
        let mut opened =
            Self { session, universe, loader, environment, manifests, further, notes, prepared };
        // All that a lock has is known, whatever else could be chosen.
        while let Some(lock) = lock {
            let mut locked: Vec<_> = opened.locked(lock, platform).into_iter().collect();
            locked.sort_unstable();
            if !opened.learn(&locked)? {
                break;
            }
        }
        Ok(opened)
    }

    /// Asks about those of some candidates that are not known; says whether there were any.
    pub(crate) fn learn(&mut self, candidates: &[CandidateId]) -> Result<bool, Box<Diagnostic>> {
        let unknown: Vec<_> =
            candidates.iter().copied().filter(|&id| !self.universe.candidate(id).known).collect();
        if unknown.is_empty() {
            return Ok(false);
        }
        let notes = self.loader.learn(&mut self.universe, self.session.as_mut(), &unknown);
        self.notes.extend(notes.map_err(|error| Box::new(error.into_diagnostic()))?);
        Ok(true)
    }

    pub(crate) fn answer(
        &mut self,
        host: &Arc<dyn Host>,
        goal: &Goal<'_>,
    ) -> Result<Outcome, Failure> {
        loop {
            let outcome = self.attempt(host, goal)?;
            // An answer with candidates that are not known is only a guess at what to ask for.
            match &outcome {
                Outcome::Solved(answer) if self.learn(&answer.chosen.clone())? => {}
                _ => return Ok(outcome),
            }
        }
    }

    fn attempt(&self, host: &Arc<dyn Host>, goal: &Goal<'_>) -> Result<Outcome, Failure> {
        let &Goal { criteria, previous, request, platform, elsewhere } = goal;
        let mut kept = previous.map(|lock| self.locked(lock, platform)).unwrap_or_default();
        // What the project's own lock file has goes before what ours has.
        let name = |id: CandidateId| self.universe.candidate(id).name;
        let own: FxHashSet<_> = self
            .candidates()
            .filter(|&id| self.universe.candidate(id).reached)
            .filter(|&id| is_own(&self.universe, id, &request.renewed))
            .collect();
        let decided: FxHashSet<_> = own.iter().map(|&id| name(id)).collect();
        let overruled = kept.iter().any(|&id| {
            let of = self.universe.base(id);
            decided.contains(&name(of)) && !own.contains(&of)
        });
        // A lock that still holds as it is stays as it is.
        let mut chosen: Vec<_> = kept.iter().copied().collect();
        chosen.sort_unstable();
        if !overruled && !chosen.is_empty() && verify(&self.universe, &chosen).is_ok() {
            let score = score(&self.universe, &chosen, criteria);
            let before = previous.and_then(|lock| lock.platforms.get(platform));
            // Proved then, and as good now: still proved. Newer versions would show in the score.
            let optimal = before.is_some_and(|before| {
                before.optimality == Optimality::Optimal
                    && before
                        .criteria
                        .iter()
                        .map(|criterion| criterion.value)
                        .eq(score.iter().copied())
            });
            return Ok(Outcome::Solved(Answer { chosen, score, optimal }));
        }
        // Features are not kept for themselves: whoever needs them asks for them.
        kept.retain(|&id| self.universe.feature(id).is_none() && !decided.contains(&name(id)));
        kept.extend(own);
        let decided: FxHashSet<_> =
            kept.iter().map(|&id| self.universe.candidate(id).name).collect();
        kept.extend(self.candidates().filter(|&id| {
            let candidate = self.universe.candidate(id);
            !decided.contains(&candidate.name)
                && candidate.reached
                && !elsewhere.is_empty()
                && elsewhere.contains(&self.universe.candidate_key(id))
        }));
        let host = Arc::clone(host);
        let stop = Stop::new(move || host.cancelled());
        solve(&self.universe, &Preference { criteria, kept, stop }).map_err(Failure::Bug)
    }

    fn candidates(&self) -> impl Iterator<Item = CandidateId> + use<> {
        (0..).map(CandidateId).take(self.universe.candidates.len())
    }

    /// The candidates that a lock has chosen for a platform and that are still there; for a platform
    /// that it does not know, those of all.
    pub(crate) fn locked(&self, lock: &Lock, platform: &str) -> FxHashSet<CandidateId> {
        let kept = Kept::new(Some(lock), platform, &[]);
        self.candidates()
            .filter(|&id| self.universe.candidate(id).reached && kept.is_locked(&self.universe, id))
            .collect()
    }

    /// How the chosen packages are built, overrides applied; adds to each what it was applied to.
    fn build(
        &mut self,
        candidates: &[CandidateId],
        request: &Request,
        platform: &str,
        applied: &mut [BTreeSet<String>],
    ) -> Result<BuildAnswer, Box<Diagnostic>> {
        let chosen = chosen(&self.universe, candidates);
        let packages = candidates.iter().copied();
        let candidates: Vec<CandidateId> =
            packages.filter(|&id| self.universe.feature(id).is_none()).collect();
        let count = chosen.len();
        let selections = overrides::selections(request);
        let system = request.system.clone();
        let mut answer = self.session.build(&BuildRequest { chosen, system, selections })?;
        let refuse = |what: &str| Box::new(Diagnostic::error("plugin::protocol", what));
        if answer.unit_of.len() != count {
            return Err(refuse("build: as many units as packages are due"));
        }
        if answer.selected.len() != request.overrides.len() {
            return Err(refuse("build: as many answers as selections are due"));
        }
        for (packages, selected) in applied.iter_mut().zip(&answer.selected) {
            for &position in selected {
                let candidate = candidates.get(position as usize);
                let candidate =
                    candidate.ok_or_else(|| refuse("build: selected what is not chosen"))?;
                packages.insert(self.universe.candidate_key(*candidate));
            }
        }
        overrides::apply(request, &mut answer)?;
        fix::fix(request, platform, &mut answer)?;
        Ok(answer)
    }
}

/// The inputs as the lock names them, projects with the hash of their manifests.
pub(crate) fn locked_inputs(
    host: &dyn Host,
    request: &Request,
    manifests: &[Manifest],
    generated: Vec<LockedInput>,
    opened: &[OpenedTree],
) -> Result<Vec<LockedInput>, Box<Diagnostic>> {
    let mut inputs = Vec::new();
    for input in &request.inputs {
        let hash = match (&input.hash, input.input.kind) {
            (Some(hash), InputKind::Repository) => hash.clone(),
            _ => manifest_hash(host, input, manifests)?,
        };
        inputs.push(LockedInput { kind: input.input.kind, location: input.location.clone(), hash });
    }
    inputs.extend(generated);
    inputs.extend(opened.iter().map(|opened| LockedInput {
        kind: InputKind::Pin,
        location: opened.location.clone(),
        hash: opened.hash.clone(),
    }));
    Ok(inputs)
}

/// The inputs that were made, as the lock names them. They are numbered, so all platforms have the same.
pub(crate) fn generated_inputs(
    prepared: &[Prepared],
    known: Vec<LockedInput>,
) -> Result<Vec<LockedInput>, Box<Diagnostic>> {
    let input = |it: &Prepared| LockedInput {
        kind: InputKind::Generated,
        location: it.name.clone(),
        hash: it.tree.hash.clone(),
    };
    let same = || known.iter().map(|it| &it.location).eq(prepared.iter().map(|it| &it.name));
    if known.is_empty() {
        return Ok(prepared.iter().map(input).collect());
    }
    if same() {
        Ok(known)
    } else {
        Err(Box::new(Diagnostic::error(
            "plugin::protocol",
            "prepares something else on another platform",
        )))
    }
}

/// A hash over the manifests of one tree: lengths and bytes of path and content, in order of path.
fn manifest_hash(
    host: &dyn Host,
    input: &RequestInput,
    manifests: &[Manifest],
) -> Result<String, Box<Diagnostic>> {
    let tree = input.input.tree;
    let mut paths: Vec<_> =
        manifests.iter().filter(|file| file.tree == tree).map(|file| file.path.clone()).collect();
    paths.sort_unstable();
    paths.dedup();
    let contents = host.read(&ReadRequest { tree, paths: paths.clone() })?;
    let mut hasher = Sha256::new();
    let mut feed = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    for (path, content) in paths.iter().zip(&contents.files) {
        feed(path.as_bytes());
        if let FileContent::Found(bytes) = content {
            feed(&bytes.0);
        }
    }
    Ok(format!("sha256-{}", BASE64.encode(hasher.finalize())))
}
