//! How facts read in messages.

use crate::{CandidateId, Universe};
use std::fmt::Write as _;
use x2nix_protocol::{Leaf, NameId, Need, Origin, Requirement, SetId};

impl Universe {
    /// A name as messages show it: `dune`, or `dune (host tools)` outside the main context.
    pub fn name_text(&self, id: NameId) -> String {
        let name = self.name(id);
        if name.context.is_empty() {
            name.text.clone()
        } else {
            format!("{} ({})", name.text, name.context)
        }
    }

    /// A candidate as messages show it: `dune 3.17.2`.
    pub fn candidate_text(&self, id: CandidateId) -> String {
        let candidate = self.candidate(id);
        format!("{} {}", self.name_text(candidate.name), candidate.facts.version)
    }

    /// A name as the lock names it: `os`, with `:CONTEXT` outside the main one.
    pub fn name_key(&self, id: NameId) -> String {
        let name = self.name(id);
        if name.context.is_empty() {
            name.text.clone()
        } else {
            format!("{}:{}", name.text, name.context)
        }
    }

    /// A candidate as the lock names it: `dune@3.17.2`, with `:CONTEXT` outside the main one.
    pub fn candidate_key(&self, id: CandidateId) -> String {
        let candidate = self.candidate(id);
        let name = self.name(candidate.name);
        let mut key = format!("{}@{}", name.text, candidate.facts.version);
        if !name.context.is_empty() {
            key.push(':');
            key.push_str(&name.context);
        }
        key
    }

    /// A version set with its name: `dune >= 3.0`.
    pub fn set_text(&self, id: SetId) -> String {
        let set = self.set(id);
        let name = self.name_text(set.name);
        if set.text.is_empty() { name } else { format!("{name} {}", set.text) }
    }

    /// A formula in the ecosystem's words: `ocaml >= 4.08 & (gmp | conf-gmp)`.
    pub fn need_text(&self, need: &Need) -> String {
        let mut text = String::new();
        self.write_need(&mut text, need, false);
        text
    }

    fn write_need(&self, out: &mut String, need: &Need, nested: bool) {
        let (parts, joint, empty) = match need {
            Need::Set(set) => return out.push_str(&self.set_text(*set)),
            Need::Leaf(leaf) => return out.push_str(&self.leaf_text(leaf)),
            Need::All { all } => (all, " & ", "nothing"),
            Need::Any { any } => (any, " | ", "something that does not exist"),
        };
        // A package with features is a package and its features, in one bucket or another; that is
        // how it is reduced, and not what anybody wrote.
        let with_features =
            parts.iter().any(|part| matches!(part, Need::Leaf(leaf) if !leaf.features.is_empty()));
        let shown = |part: &&Need| match part {
            Need::Leaf(leaf) if with_features => {
                self.name(self.set(leaf.set).name).feature_of.is_none()
            }
            _ => true,
        };
        let count = parts.iter().filter(shown).count();
        let mut texts: Vec<String> = Vec::with_capacity(count);
        for part in parts.iter().filter(shown) {
            let mut text = String::new();
            self.write_need(&mut text, part, nested || count > 1);
            if texts.last() != Some(&text) {
                texts.push(text);
            }
        }
        match texts.as_slice() {
            [] => out.push_str(empty),
            [only] => out.push_str(only),
            texts => {
                let (open, close) = if nested { ("(", ")") } else { ("", "") };
                out.push_str(open);
                out.push_str(&texts.join(joint));
                out.push_str(close);
            }
        }
    }

    /// One edge: `serde[derive] ^1.0`.
    fn leaf_text(&self, leaf: &Leaf) -> String {
        const SHOWN: usize = 3;
        /// What is on if nobody says otherwise, and what nobody writes.
        const IMPLIED: &str = "default";
        let set = self.set(leaf.set);
        let name = self.name(set.name);
        let mut text = name.text.clone();
        let written = leaf.features.iter().map(String::as_str).filter(|it| *it != IMPLIED);
        let written: Vec<&str> = written.collect();
        if let Some(shown) = written.get(..SHOWN.min(written.len()))
            && !shown.is_empty()
        {
            let more = if written.len() > SHOWN { ", …" } else { "" };
            let _ = write!(text, "[{}{more}]", shown.join(", "));
        }
        if !name.context.is_empty() {
            let _ = write!(text, " ({})", name.context);
        }
        if !set.text.is_empty() {
            let _ = write!(text, " {}", set.text);
        }
        text
    }

    /// Where a requirement is written: its own place, or a line of its owner's file.
    pub fn requirement_origin(
        &self,
        owner: Option<CandidateId>,
        requirement: &Requirement,
    ) -> Option<Origin> {
        requirement.origin.clone().or_else(|| self.fact_origin(owner?, requirement.line))
    }

    /// A line of the file that states a candidate's facts.
    pub fn fact_origin(&self, owner: CandidateId, line: Option<u32>) -> Option<Origin> {
        let file = self.candidate(owner).facts.file.as_ref()?;
        Some(Origin::new(file.clone(), line))
    }

    /// Some versions of one name: `1.0, 1.1 and 12 more`; all of them are given newest first.
    pub fn versions_text(&self, candidates: &[CandidateId]) -> String {
        const SHOWN: usize = 4;
        let mut text = String::new();
        for (position, &id) in candidates.iter().take(SHOWN).enumerate() {
            let joint = if position == 0 { "" } else { ", " };
            let _ = write!(text, "{joint}{}", self.candidate(id).facts.version);
        }
        if candidates.len() > SHOWN {
            let _ = write!(text, " and {} more", candidates.len() - SHOWN);
        }
        text
    }
}
