//! Numbers: each part counts its names, sets and classes from 0, and so does the joint session.

use x2nix_protocol::{
    Candidate, ClassId, Diagnostic, Dictionary, Leaf, NameId, Need, PackageFacts, PluginResult,
    SetId,
};

/// Which joint number stands for which number of a part, and the other way round.
pub(super) struct Numbers {
    parts: Vec<Table>,
    names: Vec<(usize, NameId)>,
    /// With the joint number of the name.
    sets: Vec<(usize, SetId, NameId)>,
    classes: u32,
}

/// The joint numbers of one part.
struct Table {
    ecosystem: String,
    names: Vec<NameId>,
    sets: Vec<SetId>,
    classes: Vec<ClassId>,
}

fn next(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl Numbers {
    pub(super) fn new(ecosystems: impl Iterator<Item = String>) -> Self {
        let table = |ecosystem| Table {
            ecosystem,
            names: Vec::new(),
            sets: Vec::new(),
            classes: Vec::new(),
        };
        let parts = ecosystems.map(table).collect();
        Self { parts, names: Vec::new(), sets: Vec::new(), classes: 0 }
    }

    fn unknown(&self, part: usize, what: &str, number: u32) -> Box<Diagnostic> {
        let ecosystem = &self.parts[part].ecosystem;
        let message = format!("{ecosystem}: {what} {number} was never announced");
        Box::new(Diagnostic::error("plugin::protocol", message))
    }

    /// Adds what a part has announced to the joint dictionary.
    pub(super) fn announce(
        &mut self,
        part: usize,
        news: Dictionary,
        joint: &mut Dictionary,
    ) -> PluginResult<()> {
        for mut name in news.names {
            let table = &mut self.parts[part];
            if part > 0 {
                let context = if name.context.is_empty() { "" } else { "/" };
                name.context = format!("{}{context}{}", table.ecosystem, name.context);
            }
            name.ecosystem = next(part);
            let own = NameId(next(table.names.len()));
            table.names.push(NameId(next(self.names.len())));
            self.names.push((part, own));
            joint.names.push(name);
        }
        for mut set in news.sets {
            set.name = self.name(part, set.name)?;
            let table = &mut self.parts[part];
            let own = SetId(next(table.sets.len()));
            table.sets.push(SetId(next(self.sets.len())));
            self.sets.push((part, own, set.name));
            joint.sets.push(set);
        }
        for class in news.classes {
            let table = &mut self.parts[part];
            table.classes.push(ClassId(self.classes));
            self.classes += 1;
            joint.classes.push(format!("{}: {class}", table.ecosystem));
        }
        Ok(())
    }

    fn name(&self, part: usize, own: NameId) -> PluginResult<NameId> {
        let joint = self.parts[part].names.get(own.index()).copied();
        joint.ok_or_else(|| self.unknown(part, "name", own.0))
    }

    fn set(&self, part: usize, own: SetId) -> PluginResult<SetId> {
        let joint = self.parts[part].sets.get(own.index()).copied();
        joint.ok_or_else(|| self.unknown(part, "set", own.0))
    }

    /// The part that a joint name is of, and its number there.
    pub(super) fn name_of(&self, joint: NameId) -> PluginResult<(usize, NameId)> {
        let own = self.names.get(joint.index()).copied();
        own.ok_or_else(|| self.unknown(0, "name", joint.0))
    }

    /// The part that a joint set is of, its number there, and the joint number of its name.
    pub(super) fn set_of(&self, joint: SetId) -> PluginResult<(usize, SetId, NameId)> {
        let own = self.sets.get(joint.index()).copied();
        own.ok_or_else(|| self.unknown(0, "set", joint.0))
    }

    /// A formula of a part in joint numbers.
    pub(super) fn need(&self, part: usize, need: &Need) -> PluginResult<Need> {
        let all = |parts: &[Need]| {
            parts.iter().map(|need| self.need(part, need)).collect::<PluginResult<Vec<_>>>()
        };
        Ok(match need {
            Need::Set(set) => Need::Set(self.set(part, *set)?),
            Need::Leaf(leaf) => Need::Leaf(Leaf { set: self.set(part, leaf.set)?, ..leaf.clone() }),
            Need::All { all: parts } => Need::All { all: all(parts)? },
            Need::Any { any } => Need::Any { any: all(any)? },
        })
    }

    /// What a part says of a name, in joint numbers.
    pub(super) fn package(&self, part: usize, facts: &mut PackageFacts) -> PluginResult<()> {
        facts.name = self.name(part, facts.name)?;
        facts.candidates.iter_mut().try_for_each(|candidate| self.candidate(part, candidate))
    }

    /// What a part says of a version, in joint numbers.
    pub(super) fn candidate(&self, part: usize, candidate: &mut Candidate) -> PluginResult<()> {
        let features = candidate.features.iter_mut().flat_map(|feature| &mut feature.requires);
        for requirement in candidate.requires.iter_mut().chain(features) {
            requirement.need = self.need(part, &requirement.need)?;
        }
        for conflict in &mut candidate.conflicts {
            conflict.set = self.set(part, conflict.set)?;
        }
        for class in candidate.classes.iter_mut().chain(&mut candidate.exclusive) {
            let joint = self.parts[part].classes.get(class.index()).copied();
            *class = joint.ok_or_else(|| self.unknown(part, "class", class.0))?;
        }
        Ok(())
    }
}
