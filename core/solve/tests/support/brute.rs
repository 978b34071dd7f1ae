//! Brute force: what holds, tried on every subset. It reads the plain data of [`Small`] and shares
//! no code with the model, the encoding or the verifier.

use super::small::{Formula, Name, Small, Version};
use x2nix_protocol::{Criterion, Granularity, Measure, Scope};

/// Chosen versions: for each name, bits by position.
pub(crate) type Choice = Vec<u8>;

/// Every choice that granularity allows.
pub(crate) fn choices(small: &Small) -> Vec<Choice> {
    let mut all = vec![Choice::new()];
    for name in &small.names {
        let allowed = (0..1_u8 << name.versions.len()).filter(|&bits| {
            let mut taken = Vec::new();
            name.versions.iter().enumerate().all(|(position, version)| {
                let bucket = match name.granularity {
                    Granularity::One => 0,
                    Granularity::Bucket => usize::from(version.bucket),
                    Granularity::Any => position,
                };
                let chosen = bits >> position & 1 == 1;
                let free = !chosen || !taken.contains(&bucket);
                taken.extend(chosen.then_some(bucket));
                free
            })
        });
        let allowed: Vec<_> = allowed.collect();
        all = all
            .iter()
            .flat_map(|choice| {
                allowed.iter().map(move |&bits| [choice.as_slice(), &[bits]].concat())
            })
            .collect();
    }
    all
}

/// The chosen versions: name, position, what they say.
fn chosen<'s>(
    small: &'s Small,
    choice: &'s Choice,
) -> impl Iterator<Item = (usize, usize, &'s Version)> {
    let names = small.names.iter().zip(choice).enumerate();
    names.flat_map(|(number, (name, bits))| {
        let versions = name.versions.iter().enumerate();
        let taken = versions.filter(move |(position, _)| bits >> position & 1 == 1);
        taken.map(move |(position, version)| (number, position, version))
    })
}

fn holds(formula: &Formula, choice: &Choice) -> bool {
    match formula {
        Formula::Leaf { set, .. } => choice[set.name] & set.bits != 0,
        Formula::All(parts) => parts.iter().all(|part| holds(part, choice)),
        Formula::Any(parts) => parts.iter().any(|part| holds(part, choice)),
    }
}

/// Whether everything that is chosen, and the request, has what it needs and nothing that it bars.
pub(crate) fn holds_together(small: &Small, choice: &Choice) -> bool {
    let mut class_of = [None; 8];
    small.roots.iter().all(|root| holds(root, choice))
        && chosen(small, choice).all(|(name, _, version)| {
            let barred = version
                .conflicts
                .iter()
                .any(|set| set.name != name && choice[set.name] & set.bits != 0);
            let classed =
                version.classes.iter().all(|&class| *class_of[class].get_or_insert(name) == name);
            !version.excluded
                && !barred
                && classed
                && version.requires.iter().all(|formula| holds(formula, choice))
        })
        && acyclic(small, choice)
}

/// Every chosen version that a formula mentions, bits by name; without those needed only later
/// where `built` asks for what must be built before.
fn mentions(formula: &Formula, choice: &Choice, built: bool, into: &mut Choice) {
    match formula {
        Formula::Leaf { set, post } => {
            if !(built && *post) {
                into[set.name] |= choice[set.name] & set.bits;
            }
        }
        Formula::All(parts) | Formula::Any(parts) => {
            for part in parts {
                mentions(part, choice, built, into);
            }
        }
    }
}

/// Whether the chosen versions can be built one after the other: built ones are taken away until
/// nothing is left, or nothing can be taken.
fn acyclic(small: &Small, choice: &Choice) -> bool {
    let mut left = choice.clone();
    loop {
        let ready = chosen(small, &left).find(|(_, _, version)| {
            let mut waits = vec![0; left.len()];
            let needs = version.requires.iter().chain(&version.optional);
            needs.for_each(|need| mentions(need, &left, true, &mut waits));
            waits.iter().all(|&bits| bits == 0)
        });
        match ready {
            Some((name, position, _)) => left[name] &= !(1 << position),
            None => return left.iter().all(|&bits| bits == 0),
        }
    }
}

/// Whether a chain of mentions leads from the request to everything that is chosen.
pub(crate) fn wanted(small: &Small, choice: &Choice) -> bool {
    let mut reached = vec![0; choice.len()];
    small.roots.iter().for_each(|root| mentions(root, choice, false, &mut reached));
    loop {
        let mut more = reached.clone();
        for (_, _, version) in chosen(small, &reached) {
            version.requires.iter().for_each(|need| mentions(need, choice, false, &mut more));
        }
        if more == reached {
            return reached == *choice;
        }
        reached = more;
    }
}

/// Notes the names in a formula.
fn names(formula: &Formula, into: &mut [bool]) {
    match formula {
        Formula::Leaf { set, .. } => into[set.name] = true,
        Formula::All(parts) | Formula::Any(parts) => {
            for part in parts {
                names(part, into);
            }
        }
    }
}

/// How much a choice costs, criterion by criterion; before all, how many of `kept` it gives up for
/// another version in their place.
pub(crate) fn costs(
    small: &Small,
    kept: &Choice,
    criteria: &[Criterion],
    choice: &Choice,
) -> Vec<u64> {
    let mut requested = vec![false; choice.len()];
    small.roots.iter().for_each(|root| names(root, &mut requested));
    // Of a name of which something is kept, whatever else is chosen.
    let given_up = chosen(small, choice)
        .filter(|&(name, position, _)| kept[name] != 0 && kept[name] >> position & 1 == 0);
    let mut costs = vec![given_up.count() as u64];
    for criterion in criteria {
        let counted = chosen(small, choice)
            .filter(|&(name, ..)| criterion.over == Scope::All || requested[name]);
        let cost = counted.map(|(name, position, version)| {
            let Name { granularity, versions } = &small.names[name];
            let apart = *granularity == Granularity::Bucket;
            let fine = |versions: &[Version]| {
                let fine = versions.iter().filter(|other| !other.excluded && !other.avoid);
                fine.filter(|other| !apart || other.bucket == version.bucket).count() as u64
            };
            match criterion.measure {
                Measure::Avoided => u64::from(version.avoid),
                Measure::Lag => fine(&versions[..position]),
                Measure::Lead => fine(&versions[position + 1..]),
                Measure::Count => 1,
                Measure::PassedOver => unreachable!("no policy that is tried here has it"),
            }
        });
        costs.push(cost.sum());
    }
    costs
}
