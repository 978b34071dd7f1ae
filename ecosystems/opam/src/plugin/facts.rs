//! From an opam file to a candidate.

use super::{
    dictionary::{Numbers, Side},
    environment::{Environment, Owner},
};
use crate::{
    filter::{Filter, PackageAtom, Scope, Value, Variable, filter_conflicts, filter_depends},
    formula::Formula,
    package::OpamFile,
    syntax,
};
use x2nix_protocol::{Candidate, Conflict, Leaf, Mark, Need, Purpose, Requirement, Role, SetId};

/// How formulas become needs: the numbers of their sets, and where the names in them live.
pub(super) struct Reader<'r> {
    pub(super) numbers: &'r mut Numbers,
    pub(super) side: &'r dyn Fn(&str) -> Side,
    /// What a formula is to its reader; in a monorepo, some of it is not asked there.
    pub(super) adapt: &'r dyn Fn(Formula<PackageAtom>) -> Formula<PackageAtom>,
}

impl Reader<'_> {
    fn set(&mut self, atom: &PackageAtom) -> SetId {
        self.numbers.set((self.side)(&atom.name), &atom.name, &atom.constraint)
    }
}

/// What an opam file says about its version.
pub(super) fn candidate(
    reader: &mut Reader<'_>,
    environment: &Environment,
    owner: Owner<'_>,
    provided: bool,
    file: &OpamFile<'_>,
) -> Result<Candidate, syntax::Error> {
    let mut candidate = Candidate { version: owner.version.into(), ..Candidate::default() };
    if file.avoid()? {
        candidate.marks.push(Mark::Avoid);
    }
    // What the package set of Nix provides is there, whatever the file thinks of the platform.
    let available = file.available()?;
    if !provided && !available.eval(&|variable| environment.global(variable), false) {
        candidate.excluded = Some(unavailable(&available, environment));
        candidate.line = file.position("available").map(|position| position.line);
        return Ok(candidate);
    }
    let variables = |variable: &Variable<'_>| environment.depends(owner, variable);
    let depends = file.depends()?;
    let wanted = (reader.adapt)(filter_depends(&depends, &variables));
    requirements(reader, &wanted, &mut candidate.requires);
    if environment.tests(owner) {
        let untested = |variable: &Variable<'_>| match variable.name {
            "with-test" if variable.scope == Scope::Global => Some(Value::Bool(false)),
            _ => variables(variable),
        };
        let mut normal = Vec::new();
        let wanted = (reader.adapt)(filter_depends(&depends, &untested));
        requirements(reader, &wanted, &mut normal);
        for requirement in &mut candidate.requires {
            if !normal.contains(requirement) {
                requirement.purpose = Purpose::Test;
            }
        }
    }
    (reader.adapt)(filter_depends(&file.depopts()?, &variables)).for_each(&mut |atom| {
        let mut requirement = Requirement::new(leaf(reader, atom));
        requirement.optional = true;
        requirement.line = Some(atom.position.line);
        candidate.requires.push(requirement);
    });
    // Conflicts do not know the switches of dependencies: `with-test` and the like are undefined.
    let conflicts = filter_conflicts(&file.conflicts()?, &|variable| match variable.name {
        "build" | "post" | "with-test" | "with-doc" | "with-dev-setup" | "dev" => None,
        _ => environment.depends(owner, variable),
    });
    conflicts.for_each(&mut |atom| {
        if &*atom.name != owner.name {
            let set = reader.set(atom);
            candidate.conflicts.push(Conflict { set, line: Some(atom.position.line) });
        }
    });
    candidate.classes =
        file.conflict_class()?.iter().map(|class| reader.numbers.class(class)).collect();
    Ok(candidate)
}

/// Why a version is not available: its own filter, and what its variables are here.
fn unavailable(available: &Filter, environment: &Environment) -> String {
    let mut names = Vec::new();
    variables(available, &mut names);
    let here = names.into_iter().map(|name| {
        match environment.global(&Variable { scope: Scope::Global, name }) {
            Some(value) => format!("{name} is {}", value.into_text()),
            None => format!("{name} is not set"),
        }
    });
    let here: Vec<_> = here.collect();
    match here.as_slice() {
        [] => format!("marked `available: {}`", brief(available)),
        here => {
            format!("available only where `{}`, and here {}", brief(available), here.join(", "))
        }
    }
}

/// The global variables that a filter mentions, outside of strings.
fn variables<'f>(filter: &'f Filter, names: &mut Vec<&'f str>) {
    match filter {
        Filter::Bool(_) | Filter::String(_) => {}
        Filter::Ident(ident) => {
            if ident.packages.is_empty() && !names.contains(&&*ident.variable) {
                names.push(&ident.variable);
            }
        }
        Filter::Op(_, operands) => {
            variables(&operands.0, names);
            variables(&operands.1, names);
        }
        Filter::And(parts) | Filter::Or(parts) => {
            for part in parts {
                variables(part, names);
            }
        }
        Filter::Not(inner) | Filter::Defined(inner) => variables(inner, names),
    }
}

/// A filter as text, cut where it would fill the screen.
fn brief(filter: &Filter) -> String {
    const LONGEST: usize = 100;
    let text = filter.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The requirements of a formula: one for each part of its outermost conjunction.
pub(super) fn requirements(
    reader: &mut Reader<'_>,
    formula: &Formula<PackageAtom>,
    into: &mut Vec<Requirement>,
) {
    match formula {
        Formula::Empty => {}
        Formula::And(parts) => parts.iter().for_each(|part| requirements(reader, part, into)),
        Formula::Or(parts) if parts.len() == 1 => requirements(reader, &parts[0], into),
        Formula::Atom(_) | Formula::Or(_) => {
            let mut line = None;
            formula.for_each(&mut |atom| line = line.or(Some(atom.position.line)));
            let mut requirement = Requirement::new(need(reader, formula));
            requirement.line = line;
            into.push(requirement);
        }
    }
}

fn need(reader: &mut Reader<'_>, formula: &Formula<PackageAtom>) -> Need {
    match formula {
        Formula::Empty => Need::All { all: Vec::new() },
        Formula::Atom(atom) => leaf(reader, atom),
        Formula::And(parts) => {
            Need::All { all: parts.iter().map(|part| need(reader, part)).collect() }
        }
        Formula::Or(parts) => {
            Need::Any { any: parts.iter().map(|part| need(reader, part)).collect() }
        }
    }
}

fn leaf(reader: &mut Reader<'_>, atom: &PackageAtom) -> Need {
    let set = reader.set(atom);
    if atom.build || atom.post {
        let role = if atom.build { Role::Build } else { Role::Host };
        Need::Leaf(Leaf { set, role, post: atom.post, features: Vec::new() })
    } else {
        Need::Set(set)
    }
}
