//! Formulas: atoms joined by "and" and "or".
//!
//! The reference's formulas are binary trees with a node for parentheses; here "and" and "or" have
//! any number of parts, so that a list of ten thousand dependencies is ten thousand parts and not
//! ten thousand levels. Parentheses survive as an `And` (or, once negated, an `Or`) of exactly one
//! part: whoever evaluates a formula need not know, and whoever prints it prints what opam prints.
//!
//! [`Formula::Empty`] is the formula that asks nothing. It is *true* when evaluated, and yet an
//! atom that a filter removes does not make its disjunction true: it vanishes from it. [`map`] has
//! the second meaning, [`holds`] and [`partial_eval`] the first.
//!
//! Reference: `src/format/opamFormula.ml`.
//!
//! [`map`]: Formula::map
//! [`holds`]: Formula::holds
//! [`partial_eval`]: Formula::partial_eval

use std::fmt;

/// A formula over atoms of type `A`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Formula<A> {
    /// Nothing is asked.
    #[default]
    Empty,
    /// One atom.
    Atom(A),
    /// All of the parts; with one part, a parenthesis.
    And(Vec<Formula<A>>),
    /// Any of the parts; with one part, a parenthesis.
    Or(Vec<Formula<A>>),
}

/// What a partly evaluated formula is (`OpamFormula.partial_eval`).
///
/// `True` and `False` are both *neutral* beside a formula that is left: in an "or" a `False` part
/// goes, in an "and" a `True` part goes, and what remains stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<A> {
    /// It holds whatever the rest is.
    True,
    /// It cannot hold.
    False,
    /// It holds if this holds.
    Formula(Formula<A>),
}

impl<A> Formula<A> {
    /// The conjunction of the parts, without empty ones (`OpamFormula.ands`).
    pub fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut joined = Vec::new();
        for part in parts {
            match part {
                Self::Empty => {}
                Self::And(inner) if inner.len() > 1 => joined.extend(inner),
                part => joined.push(part),
            }
        }
        Self::one_or(joined, Self::And)
    }

    /// The disjunction of the parts, without empty ones (`OpamFormula.ors`).
    pub fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut joined = Vec::new();
        for part in parts {
            match part {
                Self::Empty => {}
                Self::Or(inner) if inner.len() > 1 => joined.extend(inner),
                part => joined.push(part),
            }
        }
        Self::one_or(joined, Self::Or)
    }

    fn one_or(mut parts: Vec<Self>, join: fn(Vec<Self>) -> Self) -> Self {
        match parts.len() {
            0 => Self::Empty,
            1 => parts.pop().unwrap_or_default(),
            _ => join(parts),
        }
    }

    /// The formula in parentheses.
    #[must_use]
    pub fn group(self) -> Self {
        match self {
            Self::Empty => Self::Empty,
            inner => Self::And(vec![inner]),
        }
    }

    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// Whether the formula holds when its atoms are what `atom` says (`OpamFormula.eval`).
    pub fn holds(&self, atom: &mut impl FnMut(&A) -> bool) -> bool {
        match self {
            Self::Empty => true,
            Self::Atom(a) => atom(a),
            Self::And(parts) => parts.iter().all(|part| part.holds(atom)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(atom)),
        }
    }

    /// Replaces each atom; parts that become empty vanish (`OpamFormula.map`).
    pub fn map<B>(&self, atom: &mut impl FnMut(&A) -> Formula<B>) -> Formula<B> {
        match self {
            Self::Empty => Formula::Empty,
            Self::Atom(a) => atom(a),
            Self::And(parts) | Self::Or(parts) if parts.len() == 1 => {
                Formula::all(parts.iter().map(|part| part.map(atom))).group()
            }
            Self::And(parts) => Formula::all(parts.iter().map(|part| part.map(atom))),
            Self::Or(parts) => Formula::any(parts.iter().map(|part| part.map(atom))),
        }
    }

    /// Evaluates the atoms that can be evaluated and keeps the rest (`OpamFormula.partial_eval`).
    /// Parentheses are not kept.
    pub fn partial_eval<B>(&self, atom: &mut impl FnMut(&A) -> Verdict<B>) -> Verdict<B> {
        match self {
            Self::Empty => Verdict::Formula(Formula::Empty),
            Self::Atom(a) => atom(a),
            Self::And(parts) => {
                let mut rest = Vec::new();
                for part in parts {
                    match part.partial_eval(atom) {
                        Verdict::True => {}
                        Verdict::False => return Verdict::False,
                        Verdict::Formula(formula) => rest.push(formula),
                    }
                }
                if rest.is_empty() { Verdict::True } else { Verdict::Formula(Formula::all(rest)) }
            }
            Self::Or(parts) => {
                let mut rest = Vec::new();
                for part in parts {
                    match part.partial_eval(atom) {
                        Verdict::True => return Verdict::True,
                        Verdict::False => {}
                        Verdict::Formula(formula) => rest.push(formula),
                    }
                }
                if rest.is_empty() {
                    Verdict::False
                } else if rest.iter().any(Formula::is_empty) {
                    // Here an empty formula is a part that holds, so the whole asks nothing.
                    Verdict::Formula(Formula::Empty)
                } else {
                    Verdict::Formula(Formula::any(rest))
                }
            }
        }
    }

    /// The negation, given that of an atom (`OpamFormula.neg`; the empty formula stays empty).
    #[must_use]
    pub fn neg(self, atom: &impl Fn(A) -> A) -> Self {
        let negate = |parts: Vec<Self>| parts.into_iter().map(|part| part.neg(atom)).collect();
        match self {
            Self::Empty => Self::Empty,
            Self::Atom(a) => Self::Atom(atom(a)),
            Self::And(parts) => Self::Or(negate(parts)),
            Self::Or(parts) => Self::And(negate(parts)),
        }
    }

    /// Calls `visit` with every atom, from left to right.
    pub fn for_each<'f>(&'f self, visit: &mut impl FnMut(&'f A)) {
        match self {
            Self::Empty => {}
            Self::Atom(a) => visit(a),
            Self::And(parts) | Self::Or(parts) => {
                for part in parts {
                    part.for_each(visit);
                }
            }
        }
    }

    /// Every atom, from left to right.
    pub fn atoms(&self) -> Vec<&A> {
        let mut atoms = Vec::new();
        self.for_each(&mut |atom| atoms.push(atom));
        atoms
    }
}

impl<A: fmt::Display> Formula<A> {
    fn write(&self, f: &mut fmt::Formatter<'_>, in_and: bool) -> fmt::Result {
        let (parts, word, parentheses) = match self {
            Self::Empty => return f.write_str("[]"),
            Self::Atom(atom) => return atom.fmt(f),
            Self::And(parts) => (parts, " & ", parts.len() == 1),
            Self::Or(parts) => (parts, " | ", in_and || parts.len() == 1),
        };
        if parentheses {
            f.write_str("(")?;
        }
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                f.write_str(word)?;
            }
            part.write(f, word == " & " && parts.len() > 1)?;
        }
        if parentheses {
            f.write_str(")")?;
        }
        Ok(())
    }
}

/// As `OpamFormula.string_of_formula` prints it.
impl<A: fmt::Display> fmt::Display for Formula<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, false)
    }
}
