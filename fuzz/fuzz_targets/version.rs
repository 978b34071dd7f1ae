//! Opam's order of versions is a total preorder: whatever three texts are compared.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::cmp::Ordering;
use x2nix_opam::{syntax::RelOp, version::compare};

fuzz_target!(|texts: (&str, &str, &str)| {
    let (a, b, c) = texts;
    assert_eq!(compare(a, a), Ordering::Equal, "{a:?} is not itself");
    let order = compare(a, b);
    assert_eq!(compare(b, a), order.reverse(), "{a:?} and {b:?}, in the other order");
    // What is equal to something compares as that does, and the order is transitive.
    let (left, right, both) = (order, compare(b, c), compare(a, c));
    if left == Ordering::Equal {
        assert_eq!(both, right, "{a:?} equals {b:?}, but not beside {c:?}");
    } else if right == Ordering::Equal || right == left {
        assert_eq!(both, left, "{a:?}, {b:?}, {c:?}");
    }
    for op in [RelOp::Eq, RelOp::Neq, RelOp::Geq, RelOp::Gt, RelOp::Leq, RelOp::Lt] {
        assert_ne!(op.holds(order), op.negated().holds(order), "{op:?}");
    }
    assert_eq!(compare(&format!("{a}~"), a), Ordering::Less, "{a:?}~ is not before it");
});
