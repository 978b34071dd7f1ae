//! The order of versions: the reference's order of every version in the repository, its corner
//! cases, and that it is an order at all.

mod reading_support;

use std::cmp::Ordering;

use proptest::prelude::*;
use reading_support::{lines_of, oracle};
use x2nix_opam::version::compare;

#[test]
fn the_versions_of_each_package_are_in_the_order_of_the_reference() {
    let mut names = 0;
    let mut equal = Vec::new();
    for line in lines_of(&oracle("versions.jsonl.gz")) {
        let line: serde_json::Value = serde_json::from_str(&line).expect("a line of JSON");
        let versions = line["versions"].as_array().expect("a list of versions");
        let versions: Vec<&str> = versions.iter().filter_map(|it| it.as_str()).collect();
        for (index, earlier) in versions.iter().enumerate() {
            for later in &versions[index + 1..] {
                let order = compare(earlier, later);
                assert_eq!(order, compare(later, earlier).reverse(), "{earlier} and {later}");
                match order {
                    Ordering::Less => {}
                    Ordering::Equal => equal.push((*earlier).to_owned()),
                    Ordering::Greater => panic!("{earlier} is not after {later}"),
                }
            }
        }
        names += 1;
    }
    assert!(names > 4_000, "{names} names");
    // In the whole repository, one version is written in two ways.
    assert_eq!(equal, ["5.5.0+introcaml"]);
}

#[test]
fn corner_cases() {
    // Letters are above the end, and numbers below letters.
    let order = |a, b, expected| {
        assert_eq!(compare(a, b), expected, "{a} and {b}");
        assert_eq!(compare(b, a), expected.reverse(), "{b} and {a}");
    };
    for (less, greater) in [
        ("~~", "~~a"),
        ("~~a", "~"),
        ("~", ""),
        ("", "a"),
        ("3~rc1", "3"),
        ("3~~", "3~"),
        ("3~", "3~rc1"),
        ("0.17", "v0.17"),
        ("999", "base"),
        ("999", "dev"),
        ("1.0", "1.0.0"),
        ("1", "1."),
        ("1.0", "1.0+x"),
        ("1.9", "1.10"),
        ("1.0", "1.0a"),
        ("1.0a", "1.0+"),
        ("1a", "1b"),
        ("1A", "1a"),
        ("1-1", "1-2"),
        ("1", "1-1"),
        ("1-2", "1-1-9"),
        ("99999999999999999999998", "99999999999999999999999"),
        ("9", "10000000000000000000000"),
    ] {
        order(less, greater, Ordering::Less);
    }
    for (one, other) in [
        ("1.0", "1.00"),
        ("1.01", "1.1"),
        ("", "0"),
        ("", "000"),
        ("1.", "1.0"),
        ("1-", "1"),
        ("1-0", "1"),
        ("5.5.0+introcaml", "5.5.0+introcaml0"),
    ] {
        order(one, other, Ordering::Equal);
    }
}

proptest! {
    #[test]
    fn it_is_a_total_order(
        a in "[019azA~+.-]{0,6}", b in "[019azA~+.-]{0,6}", c in "[019azA~+.-]{0,6}",
    ) {
        prop_assert_eq!(compare(&a, &a), Ordering::Equal);
        prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
            prop_assert!(compare(&a, &c).is_le(), "{} {} {}", a, b, c);
        }
    }
}
