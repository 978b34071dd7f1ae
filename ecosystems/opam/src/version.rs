//! The order of opam versions.
//!
//! A version is split at its last `-` into an upstream part and a revision. Each part is read as
//! alternating runs of non-digits and digits: digits count as numbers (leading zeros mean nothing,
//! a missing number is zero), other characters are compared one by one in the order `~`, then the
//! end of the part, then letters, then everything else. Equality is equality under this order:
//! `1.0` and `1.00` are one version.
//!
//! Reference: `src/core/opamVersionCompare.ml`.

use std::cmp::Ordering;

/// Compares two versions as opam does (`OpamVersionCompare.compare`).
#[must_use]
pub fn compare(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let (upstream_a, revision_a) = split(a);
    let (upstream_b, revision_b) = split(b);
    compare_part(upstream_a, upstream_b).then_with(|| compare_part(revision_a, revision_b))
}

fn split(version: &str) -> (&[u8], &[u8]) {
    let (upstream, revision) = version.rsplit_once('-').unwrap_or((version, ""));
    (upstream.as_bytes(), revision.as_bytes())
}

fn compare_part(mut x: &[u8], mut y: &[u8]) -> Ordering {
    loop {
        match (x, y) {
            ([], []) => return Ordering::Equal,
            ([], rest) => return against_end(rest).reverse(),
            (rest, []) => return against_end(rest),
            ([a, rest_x @ ..], [b, rest_y @ ..]) => {
                match (a.is_ascii_digit(), b.is_ascii_digit()) {
                    (true, true) => {
                        let (number_x, after_x) = take_number(x);
                        let (number_y, after_y) = take_number(y);
                        // Without leading zeros, the longer number is the larger one.
                        let order = number_x.len().cmp(&number_y.len());
                        let order = order.then_with(|| number_x.cmp(number_y));
                        if order.is_ne() {
                            return order;
                        }
                        (x, y) = (after_x, after_y);
                    }
                    // Where the other part goes on without a number, only `~` is below a digit.
                    (true, false) if *b == b'~' => return Ordering::Greater,
                    (true, false) => return Ordering::Less,
                    (false, true) if *a == b'~' => return Ordering::Less,
                    (false, true) => return Ordering::Greater,
                    (false, false) => {
                        let order = (class(*a), a).cmp(&(class(*b), b));
                        if order.is_ne() {
                            return order;
                        }
                        (x, y) = (rest_x, rest_y);
                    }
                }
            }
        }
    }
}

/// How what is left of one part compares to the end of the other: zeros are worth nothing.
fn against_end(rest: &[u8]) -> Ordering {
    match skip_zeros(rest) {
        [] => Ordering::Equal,
        [b'~', ..] => Ordering::Less,
        _ => Ordering::Greater,
    }
}

fn take_number(bytes: &[u8]) -> (&[u8], &[u8]) {
    let bytes = skip_zeros(bytes);
    let length = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    bytes.split_at(length)
}

fn skip_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == b'0').count();
    bytes.split_at(zeros).1
}

fn class(byte: u8) -> u8 {
    match byte {
        b'~' => 0,
        b'a'..=b'z' | b'A'..=b'Z' => 1,
        _ => 2,
    }
}
