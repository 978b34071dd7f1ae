//! The joint build graph.

use super::session::{Bridge, JoinedSession, Part, positions, sets};
use crate::prepare::rename;
use std::collections::{BTreeMap, BTreeSet};
use x2nix_protocol::{
    Artifact, BuildAnswer, BuildRequest, Chosen, Diagnostic, ExportAnswer, ExportRequest,
    PluginResult, Purpose, Recipe, Role, Selection, UnitEdge,
};

impl Part {
    /// The joint number of an input that the part knows by its own.
    fn joint(&self, own: u32) -> u32 {
        let count = u32::try_from(self.inputs.len()).unwrap_or(u32::MAX);
        match self.inputs.get(own as usize) {
            Some(&input) => input,
            None => self.opened.saturating_add(own.saturating_sub(count)),
        }
    }

    /// The other way round; none where it is not one of the part's.
    fn own(&self, joint: u32) -> Option<u32> {
        let count = u32::try_from(self.inputs.len()).ok()?;
        if let Some(own) = self.inputs.iter().position(|&input| input == joint) {
            return u32::try_from(own).ok();
        }
        let further = joint.checked_sub(self.opened)?;
        self.session.as_ref().and_then(|_| count.checked_add(further))
    }
}

/// What is chosen of one part: where it stands in the question, and in the part's own numbers.
type Share = (Vec<u32>, Vec<Chosen>);

impl JoinedSession {
    fn shares(&self, chosen: &[Chosen]) -> PluginResult<Vec<Share>> {
        let mut shares: Vec<Share> = self.parts.iter().map(|_| Share::default()).collect();
        for (place, chosen) in (0..).zip(chosen) {
            let (part, name) = self.numbers.name_of(chosen.name)?;
            shares[part].0.push(place);
            shares[part].1.push(Chosen { name, ..chosen.clone() });
        }
        for (places, chosen) in &mut shares {
            // A part is asked in the order of its own numbers.
            let mut order: Vec<_> = places.drain(..).zip(chosen.drain(..)).collect();
            order.sort_by_key(|(_, chosen)| (chosen.name, chosen.candidate));
            (*places, *chosen) = order.into_iter().unzip();
        }
        Ok(shares)
    }

    /// The part that the words of a selection are about, and the words there.
    fn part_of<'t>(&self, text: &'t str) -> (usize, &'t str) {
        let named = text.split_once(':').and_then(|(name, rest)| {
            Some((self.describes.iter().position(|it| it.ecosystem == name)?, rest))
        });
        named.unwrap_or((0, text))
    }

    pub(super) fn build_all(&mut self, request: &BuildRequest) -> PluginResult<BuildAnswer> {
        let mut answer = BuildAnswer {
            unit_of: request.chosen.iter().map(|_| None).collect(),
            selected: request.selections.iter().map(|_| Vec::new()).collect(),
            ..BuildAnswer::default()
        };
        for (part, (places, chosen)) in self.shares(&request.chosen)?.into_iter().enumerate() {
            if self.parts[part].session.is_none() {
                continue;
            }
            let mut asked = Vec::new();
            let mut selections = Vec::new();
            for (number, selection) in request.selections.iter().enumerate() {
                let (of, text) = self.part_of(&selection.text);
                if of == part {
                    asked.push(number);
                    selections.push(Selection { text: text.to_owned(), ..selection.clone() });
                }
            }
            let system = request.system.clone();
            let count = (chosen.len(), selections.len());
            let told = self.session(part)?.build(&BuildRequest { chosen, system, selections })?;
            let ecosystem = &self.describes[part].ecosystem;
            if (told.unit_of.len(), told.selected.len()) != count {
                let what =
                    "build: as many units as packages and as many answers as selections are due";
                let message = format!("{ecosystem}: {what}");
                return Err(Box::new(Diagnostic::error("plugin::protocol", message)));
            }
            for (number, own) in asked.iter().zip(&told.selected) {
                let joint = own.iter().filter_map(|own| places.get(*own as usize).copied());
                answer.selected[*number] = joint.collect();
            }
            join(&mut answer, told, &places, &self.parts[part], ecosystem);
        }
        for bridge in std::mem::take(&mut self.bridges) {
            self.cross(&bridge, &request.chosen, &mut answer)?;
            self.bridges.push(bridge);
        }
        Ok(answer)
    }

    /// The positions of the chosen versions that lie in some sets.
    fn chosen_of(
        &mut self,
        sets: &[x2nix_protocol::SetId],
        chosen: &[Chosen],
    ) -> PluginResult<Vec<usize>> {
        let mut found = Vec::new();
        for &set in sets {
            let (_, _, name) = self.numbers.set_of(set)?;
            // Of a name that came up nowhere, nobody knows the members.
            if !chosen.iter().any(|it| it.name == name) {
                continue;
            }
            let members: BTreeSet<u32> = positions(&self.members_of(set)?).collect();
            let inside = |it: &Chosen| it.name == name && members.contains(&it.candidate);
            found.extend((0..chosen.len()).filter(|&at| inside(&chosen[at])));
        }
        Ok(found)
    }

    /// Lets the units on one side of an edge depend on the unit of the other.
    fn cross(
        &mut self,
        bridge: &Bridge,
        chosen: &[Chosen],
        answer: &mut BuildAnswer,
    ) -> PluginResult<()> {
        let from = self.chosen_of(&bridge.from, chosen)?;
        if from.is_empty() {
            let message = format!("an edge has no effect: {} is not chosen", bridge.edge.from);
            let mut note = Diagnostic::warning("edge::unused", message);
            note.origin.clone_from(&bridge.edge.origin);
            answer.notes.push(note.help("remove the [[edge]], or ask for what it is about"));
            return Ok(());
        }
        let needed = self.chosen_of(&sets(&bridge.needs), chosen)?.first().copied();
        let Some(unit) = needed.and_then(|at| answer.unit_of[at].clone()) else { return Ok(()) };
        let edge = UnitEdge { unit, role: Role::Host, purpose: Purpose::Normal };
        for at in from {
            let at_number = u32::try_from(at).unwrap_or(u32::MAX);
            let further = answer.further.iter().filter(|it| it.package == at_number);
            let placed = answer.placed.iter().filter(|it| it.package == at_number);
            let units: BTreeSet<String> = answer.unit_of[at]
                .iter()
                .cloned()
                .chain(further.map(|it| it.unit.clone()))
                .chain(placed.flat_map(|it| it.compiled_by.iter().cloned()))
                .collect();
            for key in units {
                let Some(unit) = answer.units.get_mut(&key) else { continue };
                if matches!(unit.recipe, Recipe::Build(_)) {
                    unit.depends.push(edge.clone());
                    unit.depends.sort_unstable();
                    unit.depends.dedup();
                }
            }
        }
        Ok(())
    }

    pub(super) fn export_from(&mut self, request: &ExportRequest) -> PluginResult<ExportAnswer> {
        let has = |it: &x2nix_protocol::Describe| {
            it.exports.iter().any(|export| export.name == request.format)
        };
        let Some(part) = self.describes.iter().position(has) else {
            let what = format!("the export {:?}", request.format);
            return Err(Box::new(Diagnostic::not_supported(&what)));
        };
        let (_, chosen) = self.shares(&request.chosen)?.swap_remove(part);
        let suffix = format!(":{}", self.describes[part].ecosystem);
        let mut artifacts = BTreeMap::new();
        for (key, artifact) in &request.artifacts {
            let mut artifact = artifact.clone();
            if let Artifact::Input { input, .. } = &mut artifact {
                let Some(own) = self.parts[part].own(*input) else { continue };
                *input = own;
            }
            match key.strip_suffix(&suffix) {
                Some(own) => drop(artifacts.insert(own.to_owned(), artifact)),
                None => drop(artifacts.entry(key.clone()).or_insert(artifact)),
            }
        }
        let format = request.format.clone();
        self.session(part)?.export(&ExportRequest { format, chosen, artifacts })
    }
}

/// Adds what a part says. What is there already by the same key gets another one.
fn join(answer: &mut BuildAnswer, told: BuildAnswer, places: &[u32], part: &Part, ecosystem: &str) {
    fn keys<T>(
        own: &BTreeMap<String, T>,
        there: &BTreeMap<String, T>,
        ecosystem: &str,
    ) -> BTreeMap<String, String> {
        let clashing = own.keys().filter(|key| there.contains_key(*key));
        clashing.map(|key| (key.clone(), format!("{key}:{ecosystem}"))).collect()
    }
    let units = keys(&told.units, &answer.units, ecosystem);
    let artifacts = keys(&told.artifacts, &answer.artifacts, ecosystem);
    let unit = |key: String| units.get(&key).cloned().unwrap_or(key);
    for (key, mut artifact) in told.artifacts {
        if let Artifact::Input { input, .. } = &mut artifact {
            *input = part.joint(*input);
        }
        answer.artifacts.insert(artifacts.get(&key).cloned().unwrap_or(key), artifact);
    }
    for (key, mut it) in told.units {
        rename(&mut it, &units, &artifacts);
        answer.units.insert(unit(key), it);
    }
    for (own, key) in told.unit_of.into_iter().enumerate() {
        answer.unit_of[places[own] as usize] = key.map(unit);
    }
    let place = |own: u32| places.get(own as usize).copied();
    answer.further.extend(told.further.into_iter().filter_map(|mut it| {
        (it.package, it.unit) = (place(it.package)?, unit(it.unit));
        Some(it)
    }));
    answer.placed.extend(told.placed.into_iter().filter_map(|mut it| {
        (it.package, it.unit) = (place(it.package)?, unit(it.unit));
        it.compiled_by = it.compiled_by.into_iter().map(unit).collect();
        Some(it)
    }));
    answer.problems.extend(told.problems.into_iter().map(|mut it| {
        it.unit = unit(it.unit);
        it
    }));
    for (alias, key) in told.aliases {
        answer.aliases.entry(alias).or_insert(unit(key));
    }
    answer.notes.extend(told.notes);
}
