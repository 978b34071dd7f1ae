//! What the printer writes is what Nix reads.

use crate::support::Project;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use x2nix_nix::tree::{Binding, Expr, Text};

/// Text of what Nix's strings make much of.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => proptest::sample::select(vec![
            "'", "''", "'''", "$", "${", "$${", "{", "}", "\\", "\"", "\n", "\r", "\r\n", "\t", " ",
            "  ", "\n ", "\n  \n", "#", "/*", "//", "é", "\u{1b}", "\u{7f}", "''\\", "''$", "a", "if",
        ]).prop_map(str::to_owned),
        1 => "[^\0]",
    ];
    proptest::collection::vec(piece, 0..9).prop_map(|pieces| pieces.concat())
}

/// An expression, and its value.
fn expression() -> impl Strategy<Value = (Expr, Value)> {
    let leaf = prop_oneof![
        1 => Just((Expr::Null, Value::Null)),
        1 => any::<bool>().prop_map(|it| (Expr::Bool(it), json!(it))),
        1 => (i64::MIN + 1..).prop_map(|it| (Expr::Integer(it), json!(it))),
        6 => text().prop_map(|it| (Expr::text(&it), json!(it))),
        3 => proptest::collection::vec((text(), any::<bool>()), 0..5).prop_map(|pieces| {
            let (mut all, mut value) = (Text::new(), String::new());
            for (piece, is_literal) in pieces {
                value.push_str(&piece);
                if is_literal { all.push(&piece) } else { all.push_value(Expr::text(&piece)) };
            }
            (Expr::Text(all), json!(value))
        }),
        1 => proptest::collection::vec(text(), 0..4).prop_map(|texts| {
            let joined = texts.concat();
            (Expr::Join(texts.iter().map(|it| Expr::text(it)).collect()), json!(joined))
        }),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        let set = proptest::collection::btree_map(text(), inner.clone(), 0..6).boxed();
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(|items| {
                let (items, values): (Vec<_>, Vec<_>) = items.into_iter().unzip();
                (Expr::List(items), json!(values))
            }),
            set.clone().prop_map(|set| {
                let value: BTreeMap<_, _> = set.iter().map(|(name, it)| (name, &it.1)).collect();
                let value = json!(value);
                (Expr::set(set.iter().map(|(name, it)| (name.as_str(), it.0.clone()))), value)
            }),
            (set, text(), inner.clone()).prop_map(|(set, name, (chosen, value))| {
                let mut set: Vec<Binding> = set
                    .into_iter()
                    .map(|(name, it)| Binding::new(&format!("{name}_"), it.0))
                    .collect();
                set.push(Binding::new(&name.replace('_', "-"), chosen));
                (Expr::Set(set).get(&name.replace('_', "-")), value)
            }),
            (inner.clone(), inner.clone(), any::<bool>()).prop_map(|(yes, no, it)| {
                let value = if it { yes.1 } else { no.1 };
                (Expr::If(Box::new([Expr::Bool(it), yes.0, no.0])), value)
            }),
            (inner.clone(), inner).prop_map(|((kept, value), (other, _))| {
                let both = vec![Binding::new("a", kept), Binding::new("b", other)];
                let call = Expr::function("x", Expr::Name("x").get("a")).call([Expr::Set(both)]);
                (Expr::Let(vec![Binding::new("y", call)], Box::new(Expr::Name("y"))), value)
            }),
        ]
    })
}

#[test]
fn nix_reads_back_what_is_printed() {
    let Some(project) = Project::new() else { return };
    let mut runner = TestRunner::deterministic();
    let cases: Vec<(Expr, Value)> =
        (0..1500).map(|_| expression().new_tree(&mut runner).unwrap().current()).collect();
    let list = Expr::List(cases.iter().map(|(expression, _)| expression.clone()).collect());
    project.write("printed.nix", &list.print());
    let read = project.run("nix-instantiate --eval --strict --json printed.nix");
    let read: Vec<Value> = serde_json::from_str(&read).unwrap();
    for ((expression, value), read) in cases.iter().zip(&read) {
        assert_eq!(read, value, "{}", expression.print());
    }
    assert_eq!(read.len(), cases.len());
}
