//! The grammar: strings, comments, precedences, and files that nobody wrote in good faith.

mod reading_support;

use std::borrow::Cow;

use reading_support::oracle;
use x2nix_opam::package::OpamFile;
use x2nix_opam::syntax::{Body, Error, Item, LogOp, Position, PrefixOp, Value, ValueKind, parse};

fn items(text: &str) -> Vec<Item<'_>> {
    parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: impl AsRef<[u8]>) -> Error {
    match parse(text.as_ref()) {
        Ok(_) => panic!("{} parses", String::from_utf8_lossy(text.as_ref())),
        Err(error) => error,
    }
}

/// A value without positions, in a notation where all precedences show.
fn show(value: &Value<'_>) -> String {
    let all = |values: &[Value<'_>]| values.iter().map(show).collect::<Vec<_>>();
    match &value.kind {
        ValueKind::Bool(value) => value.to_string(),
        ValueKind::Int(value) => value.to_string(),
        ValueKind::String(text) => format!("{text:?}"),
        ValueKind::Ident(name) => (*name).to_owned(),
        ValueKind::List(values) => format!("[{}]", all(values).join(" ")),
        ValueKind::Group(values) => format!("group({})", all(values).join(" ")),
        ValueKind::Option(value, options) => {
            format!("{}{{{}}}", show(value), all(options).join(" "))
        }
        ValueKind::Relop(op, pair) => format!("({} {op} {})", show(&pair.0), show(&pair.1)),
        ValueKind::PrefixRelop(op, value) => format!("({op} {})", show(value)),
        ValueKind::Logop(LogOp::And, values) => format!("and({})", all(values).join(" ")),
        ValueKind::Logop(LogOp::Or, values) => format!("or({})", all(values).join(" ")),
        ValueKind::Prefix(PrefixOp::Not, value) => format!("not({})", show(value)),
        ValueKind::Prefix(PrefixOp::Defined, value) => format!("defined({})", show(value)),
        ValueKind::EnvBinding(op, pair) => {
            format!("({} {op:?} {})", show(&pair.0), show(&pair.1))
        }
    }
}

fn shown(value: &str) -> String {
    let text = format!("field: {value}");
    match items(&text).pop().map(|item| item.body) {
        Some(Body::Field(value)) => show(&value),
        _ => panic!("{value} is not one value"),
    }
}

fn string(literal: &str) -> String {
    let text = format!("field: {literal}");
    match items(&text).pop().map(|item| item.body) {
        Some(Body::Field(Value { kind: ValueKind::String(text), .. })) => text.into_owned(),
        _ => panic!("{literal} is not a string"),
    }
}

#[test]
fn escapes_in_strings() {
    assert_eq!(string(r#""a\n\t\r\b\\\"\'\ z""#), "a\n\t\r\u{8}\\\"' z");
    assert_eq!(string(r#""\065\x41\x6a\x4A""#), "AAjJ");
    assert_eq!(string(r#""\195\169\xc3\xA9""#), "éé");
    assert_eq!(string("\"one\\\n   \t two\""), "onetwo");
    assert_eq!(string("\"one\\\r\n  two\""), "onetwo");
    assert_eq!(string("\"one\r\ntwo\rthree\nfour\""), "one\ntwo\rthree\nfour");
    assert_eq!(string("\"\""), "");
    assert_eq!(string("\"# (* no comment *)\""), "# (* no comment *)");
    for bad in [r#""\q""#, r#""\256""#, r#""\12""#, r#""\xg0""#, r#""\x4""#, r#""\N""#] {
        assert_eq!(refused(format!("field: {bad}")).code(), "opam::syntax", "{bad}");
    }
    // Opam's strings are bytes; ours are text.
    assert_eq!(refused(r#"field: "\200""#).code(), "opam::encoding");
}

#[test]
fn triple_quotes() {
    assert_eq!(string(r#""""a "quoted" word""""#), r#"a "quoted" word"#);
    assert_eq!(string("\"\"\"\\\"\"x\ny\"\"\""), "\"\"x\ny");
    assert_eq!(string("\"\"\"\"\"\""), "");
}

#[test]
fn strings_without_escapes_are_borrowed() {
    let text = "field: [\"plain\" \"a\\nb\"]";
    let items = items(text);
    let Body::Field(Value { kind: ValueKind::List(values), .. }) = &items[0].body else {
        panic!("a list")
    };
    assert!(matches!(&values[0].kind, ValueKind::String(Cow::Borrowed("plain"))));
    assert!(matches!(&values[1].kind, ValueKind::String(Cow::Owned(_))));
}

#[test]
fn comments() {
    let text = "# first\n(* nested (* \" *) \n *) a: # \"x\"\n 1 (**) b: 2(*\r\n*)c: 3 # the end";
    let names: Vec<&str> = items(text).iter().map(|item| item.name).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(refused("a: 1\n (* (* *)").position, Position { line: 2, column: 2 });
}

#[test]
fn precedences() {
    assert_eq!(shown("a | b & c | d"), "or(a and(b c) d)");
    assert_eq!(shown("!a & ?b | !!c"), "or(and(not(a) defined(b)) not(not(c)))");
    assert_eq!(shown("!a = b"), "not((a = b))");
    assert_eq!(shown("!a {b}"), "not(a{b})");
    assert_eq!(shown("a = \"1\" {b}"), "(a = \"1\"){b}");
    assert_eq!(shown("a {b} {c d}"), "a{b}{c d}");
    assert_eq!(shown("a & b {c}"), "and(a b{c})");
    assert_eq!(shown("(a | b) & c"), "and(group(or(a b)) c)");
    assert_eq!(shown("\"a\" {>= \"1\" & < \"2\"}"), "\"a\"{and((>= \"1\") (< \"2\"))}");
    assert_eq!(shown("[a = b = c !d]"), "[(a = b) (= c) not(d)]");
    assert_eq!(shown("[[a] () {}]"), "[[a] group(){}]");
    assert_eq!(shown("a ~ \"1\""), "(a >= \"1\")");
    assert_eq!(
        shown("[a += \"x\" b:= \"y\" c =: d e =+ f g=+=h]"),
        "[(a PlusEq \"x\") (b ColonEq \"y\") (c EqColon d) (e EqPlus f) (g EqPlusEq h)]"
    );
}

#[test]
fn words() {
    assert_eq!(
        shown("[a+b:c _:name a+_+b:v -x 0x10 a-b_c]"),
        "[a+b:c _:name a+_+b:v -x 0x10 a-b_c]"
    );
    assert_eq!(shown("[12 -3 1_000 007 1_]"), "[12 -3 1000 7 1]");
    assert_eq!(shown("[true false true-ish true:x]"), "[true false true-ish true:x]");
    assert_eq!(shown("[4x a+_1 1-2]"), "[4x a+_ 1 1 -2]");
    assert_eq!(shown("9223372036854775807"), "9223372036854775807");
    for bad in ["9223372036854775808", "_", "__", "--5", "-_1", "a+1", "@", "é", "\r", "a =:= b"] {
        assert_eq!(refused(format!("field: {bad}")).code(), "opam::syntax", "{bad}");
    }
}

#[test]
fn fields_and_sections() {
    let text = "a: 1 url { src: \"u\" inner \"t\" { b: 2 } }\nextra-source \"\"\"n\"\"\" {}";
    let items = items(text);
    let Body::Section { title: None, items: inner } = &items[1].body else { panic!("a section") };
    assert_eq!(inner[0].name, "src");
    assert_eq!(inner[1].name, "inner");
    let Body::Section { title, items: inner } = &items[2].body else { panic!("a section") };
    assert_eq!(title.as_deref(), Some("n"));
    assert!(inner.is_empty());
    assert!(parse(b"").expect("an empty file").is_empty());
    for bad in ["a", "a 1", "a { b", "1: a", "a: ", "a: [1", "a: 1)", "a: b =", "a: = [b]", "a:b"] {
        assert_eq!(refused(bad).code(), "opam::syntax", "{bad}");
    }
}

#[test]
fn positions() {
    let text = "a: 1\r\n  b: [\n\"x\ny\" \"\"\"\n\"\"\"   \"é\" c\n]";
    let items = items(text);
    assert_eq!(items[1].position, Position { line: 2, column: 3 });
    let Body::Field(Value { kind: ValueKind::List(values), .. }) = &items[1].body else {
        panic!("a list")
    };
    let positions: Vec<(u32, u32)> =
        values.iter().map(|value| (value.position.line, value.position.column)).collect();
    assert_eq!(positions, [(3, 1), (4, 4), (5, 7), (5, 12)]);
    let error = refused("a: 1\n\nb: [ } ]");
    assert_eq!(error.position, Position { line: 3, column: 6 });
    assert_eq!(error.expected, Some("a value"));
    assert_eq!(error.to_string(), "line 3, column 6: expected a value, found `}`");
}

#[test]
fn hostile_files() {
    let deep = |open: &str| format!("a: {}", open.repeat(10_000));
    for open in ["(", "[", "a {", "!", "?!", "(!", "[ x {"] {
        let error = refused(deep(open));
        assert!(error.message.contains("deeper"), "{open}: {error}");
    }
    assert!(refused(format!("a: b {}", "{} ".repeat(10_000))).message.contains("deeper"));
    assert!(refused("a {".repeat(10_000)).message.contains("deeper"));
    assert!(refused(format!("a: {}", "!".repeat(10_000_000))).message.contains("deeper"));
    // As deep as may be, and dropped again.
    assert!(parse(format!("a: {}{}", "(".repeat(199), ")".repeat(199)).as_bytes()).is_ok());
    // Long is not deep.
    for chain in [" & b", " | b", " | b & c", " = b", " !c"] {
        let text = format!("a: [b{}]", chain.repeat(100_000));
        assert!(parse(text.as_bytes()).is_ok(), "{chain}");
    }
    let chain = format!("opam-version: \"2.0\" depends: \"b\"{}", " & \"b\"".repeat(100_000));
    let chain = OpamFile::parse(chain.as_bytes()).expect("a long chain");
    assert_eq!(chain.depends().expect("dependencies").atoms().len(), 100_001);
    for text in ["a: \"x", "a: \"\"\"x\"\"", "a: \"x\\", "a: \"x\\\n"] {
        assert_eq!(refused(text).code(), "opam::syntax", "{text}");
    }
    assert!(refused("(* ".repeat(1_000_000)).message.contains("comment"));
    let error = refused(b"a: 1\nb: \"\xff\"");
    assert_eq!((error.code(), error.position), ("opam::encoding", Position { line: 2, column: 5 }));
    assert_eq!(refused(b"a: 1\n\0").code(), "opam::syntax");
    assert_eq!(refused("a: 99999999999999999999999999").code(), "opam::syntax");
    // Whatever a prefix of a file is, it does not panic.
    let file = "opam-version: \"2.0\" (* c *) depends: [\"a\" {>= \"1\\x41\" & !b:c} | (\"d\")] u \"t\" {}";
    for end in 0..=file.len() {
        let _ = parse(&file.as_bytes()[..end]);
    }
}

#[test]
fn format_versions() {
    let of = |text: &str| OpamFile::parse(text.as_bytes()).map(|_| ()).map_err(|e| e.code());
    for good in ["2.0", "1.2", "2", "2.0.5", "2.0~rc"] {
        assert_eq!(of(&format!("opam-version: \"{good}\"")), Ok(()), "{good}");
    }
    assert_eq!(of("name: \"a\" opam-version: \"2.0\""), Ok(()));
    for bad in [
        "opam-version: \"2.1\"",
        "opam-version: \"3.0\"",
        // Newer files may have a grammar that is not known.
        "opam-version: \"3.0\" a: <<>>",
        "opam-version: \"2.0\" opam-version: \"2.0\"",
        "opam-version: \"2.1\" opam-version: \"2.1\"",
        "name: \"a\" opam-version: \"2.1\"",
        "name: \"a\"",
        "",
    ] {
        assert_eq!(of(bad), Err("opam::format-version"), "{bad}");
    }
    assert_eq!(of("opam-version: \"2.0\" a: <<>>"), Err("opam::syntax"));
    assert_eq!(of("opam-version: 2"), Err("opam::field"));
}

#[test]
fn the_corner_cases_parse() {
    let mut files = 0;
    let packages = oracle("corner-cases/repo/packages");
    for name in std::fs::read_dir(packages).expect("the packages") {
        for version in std::fs::read_dir(name.expect("a name").path()).expect("the versions") {
            let path = version.expect("a version").path().join("opam");
            let bytes = std::fs::read(&path).expect("a file");
            let file = OpamFile::parse(&bytes).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            for formula in [file.depends(), file.depopts(), file.conflicts()] {
                formula.unwrap_or_else(|error| panic!("{path:?}: {error}"));
            }
            // Two filters side by side are no filter; the reference warns and ignores the field.
            assert_eq!(file.available().is_ok(), !path.ends_with("avail-list.1/opam"), "{path:?}");
            files += 1;
        }
    }
    assert!(files > 50, "{files} files");
}
