//! Counting true literals: the totalizer of Bailleux and Boufkhad ("Efficient CNF encoding of
//! Boolean cardinality constraints", 2003), grown only as far as it is asked.
//!
//! A tree over the literals; each node has outputs in unary, "at least k of my leaves hold". Only
//! the direction from leaves to root is needed, since outputs are only ever assumed false.

use batsat::{Lit, SolverInterface, lbool};

/// A counter of literals.
pub(super) struct Totalizer {
    /// In order, children before parents; the last is the root.
    nodes: Vec<Node>,
}

struct Node {
    /// The positions of its children; none for a leaf.
    children: Option<(usize, usize)>,
    leaves: usize,
    /// "At least k", from 1 on.
    outputs: Vec<Lit>,
}

impl Totalizer {
    /// A counter of at least one literal.
    pub(super) fn new(literals: &[Lit]) -> Self {
        let leaf = |&literal| Node { children: None, leaves: 1, outputs: vec![literal] };
        let mut nodes: Vec<_> = literals.iter().map(leaf).collect();
        // Pairs of the not yet joined, front to back, make a balanced tree.
        let mut front = 0;
        while nodes.len() - front > 1 {
            let leaves = nodes[front].leaves + nodes[front + 1].leaves;
            nodes.push(Node { children: Some((front, front + 1)), leaves, outputs: Vec::new() });
            front += 2;
        }
        Self { nodes }
    }

    /// The literal that must hold if at least `count` of the literals do; nothing where there are
    /// not as many.
    pub(super) fn at_least(
        &mut self,
        count: usize,
        solver: &mut impl SolverInterface,
    ) -> Option<Lit> {
        if count > self.nodes.last()?.leaves {
            return None;
        }
        for position in 0..self.nodes.len() {
            self.grow(position, count, solver);
        }
        self.nodes.last()?.outputs.get(count - 1).copied()
    }

    /// Grows a node's outputs up to a count; its children have theirs already.
    fn grow(&mut self, position: usize, count: usize, solver: &mut impl SolverInterface) {
        let Some((left, right)) = self.nodes[position].children else { return };
        let before = self.nodes[position].outputs.len();
        let after = count.min(self.nodes[position].leaves);
        for _ in before..after {
            let output = Lit::new(solver.new_var(lbool::FALSE, true), true);
            self.nodes[position].outputs.push(output);
        }
        let outputs =
            |node: usize, k: usize| self.nodes[node].outputs.get(k.wrapping_sub(1)).copied();
        for total in before + 1..=after {
            for from_left in 0..=total {
                let (a, b) = (outputs(left, from_left), outputs(right, total - from_left));
                if (from_left > 0 && a.is_none()) || (from_left < total && b.is_none()) {
                    continue;
                }
                let mut clause: Vec<Lit> = a.into_iter().chain(b).map(|literal| !literal).collect();
                clause.extend(outputs(position, total));
                solver.add_clause_reuse(&mut clause);
            }
        }
    }
}
