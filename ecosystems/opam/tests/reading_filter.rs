//! Filters in three values, what they leave of dependencies, and commands.

use x2nix_opam::filter::{
    Command, Env, FilterIdent, Scope, Value, Variable, commands, counts, expand_string,
    filter_conflicts, filter_depends,
};
use x2nix_opam::formula::{Formula, Verdict};
use x2nix_opam::package::OpamFile;

/// What the variables are: `package:variable`, with `_` for the package itself.
fn env(variable: &Variable<'_>) -> Option<Value> {
    let name = match variable.scope {
        Scope::Global => variable.name.to_owned(),
        Scope::Own => format!("_:{}", variable.name),
        Scope::Package(package) => format!("{package}:{}", variable.name),
    };
    Some(match name.as_str() {
        "yes" | "build" | "post" | "foo:installed" | "here:installed" => Value::Bool(true),
        "no" | "with-test" | "away:installed" => Value::Bool(false),
        "words" => Value::List(vec!["a".into(), "b".into()]),
        "none" => Value::List(Vec::new()),
        "os" | "same-os" => text("linux"),
        "os-version" => text("13"),
        "spelled-yes" => text("true"),
        "spelled-no" => text("false"),
        "indirect" => text("<%{os}%>"),
        "name" | "_:name" => text("me"),
        "version" | "_:version" => text("1.5"),
        "a+b:lib" => text("/lib/a+b"),
        _ => return None,
    })
}

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

fn reduced(filter: &str) -> Option<Value> {
    let file = format!("opam-version: \"2.0\" available: {filter}");
    let file = OpamFile::parse(file.as_bytes()).expect("a file");
    file.available().unwrap_or_else(|error| panic!("{filter}: {error}")).reduce(&env)
}

#[test]
fn three_values() {
    let (yes, no) = (Some(Value::Bool(true)), Some(Value::Bool(false)));
    for (filter, value) in [
        ("true", &yes),
        ("yes & no", &no),
        ("yes | no", &yes),
        ("!no", &yes),
        ("foo", &None),
        ("!foo", &None),
        ("foo = \"x\"", &None),
        ("foo != \"x\"", &None),
        ("!(foo = \"x\")", &None),
        ("foo | true", &yes),
        ("true | foo", &yes),
        ("foo & false", &no),
        ("false & foo", &no),
        ("foo & true", &None),
        ("foo | false", &None),
        ("foo & true & false", &no),
        ("foo | false | yes", &yes),
        ("?foo", &no),
        ("!?foo", &yes),
        ("?(foo & false)", &yes),
        ("?(foo & true)", &no),
        ("os = same-os", &yes),
        ("os-version >= 9", &yes),
        ("os-version < \"13.0\"", &yes),
        ("\"1.0\" = \"1.00\"", &yes),
        ("\"%{os}%-%{foo}%\" = \"linux-\"", &yes),
        ("yes = \"true\"", &yes),
        // Strings that spell booleans are booleans, others are undefined; but only a boolean
        // settles an "and" or "or" that has something undefined.
        ("spelled-yes & yes", &yes),
        ("!spelled-no", &yes),
        ("spelled-no & foo", &None),
        ("os & yes", &None),
        ("os | yes", &yes),
        ("!os", &None),
        ("(yes)", &yes),
        ("[]", &yes),
        ("[os = \"linux\"]", &yes),
        ("(yes & ())", &yes),
        ("foo:installed", &yes),
        ("away:installed", &no),
        ("foo+here:installed", &yes),
        ("foo+away:installed", &no),
        ("foo+gone:installed", &None),
        ("gone+away:installed", &no),
        ("_:name = \"me\"", &yes),
        ("ocaml:version = \"5\"", &None),
        ("gone:enable = \"disable\"", &yes),
        ("foo:enable = \"enable\"", &yes),
    ] {
        let filter =
            if filter.starts_with(['[', '(']) { filter.to_owned() } else { format!("[{filter}]") };
        assert_eq!(reduced(filter.trim_start_matches("[()]")), *value, "{filter}");
    }
    for bad in ["()", "[yes no]", "(yes no)", "[[yes]]", "[yes {no}]", "[>= \"1\"]"] {
        let file = format!("opam-version: \"2.0\" available: {bad}");
        let file = OpamFile::parse(file.as_bytes()).expect("a file");
        assert_eq!(file.available().expect_err(bad).code(), "opam::field");
    }
    assert_eq!(reduced("indirect"), Some(text("<linux>")));
    assert_eq!(reduced("words"), Some(text("a b")));
    let file = OpamFile::parse(b"opam-version: \"2.0\" available: foo").expect("a file");
    let filter = file.available().expect("a filter");
    assert!(filter.eval(&env, true) && !filter.eval(&env, false));
    assert!(counts(None, &env) && !counts(Some(&filter), &env));
}

#[test]
fn interpolation() {
    for (template, result) in [
        ("plain", "plain"),
        ("%{os}%", "linux"),
        ("a%{os}%b%{version}%c", "alinuxb1.5c"),
        ("100%% %{os}%%%", "100% linux%"),
        ("50% of %{os}%", "50% of linux"),
        ("%{foo}%|", "|"),
        ("%{unclosed", "%{unclosed"),
        ("%{a\nb}%", "%{a\nb}%"),
        ("%", "%"),
        ("%{os}", "%{os}"),
        ("%{words}%", "a b"),
        ("%{none}%", ""),
        ("%{yes?on:off}% %{no?on:off}% %{foo?on:off}% %{os?on:off}%", "on off off off"),
        ("%{foo:installed?with:without}%", "with"),
        ("%{foo+away:installed?with:without}%", "without"),
        ("%{foo:enable}%-foo %{gone:enable}%-gone", "enable-foo disable-gone"),
        ("%{?a+b:lib:}%", "/lib/a+b"),
        ("%{_:version}%", "1.5"),
        ("é%{os}%é%%é", "élinuxé%é"),
        // A `}` takes along what is after it, so this goes on to the second end.
        ("%{a}}%", ""),
        ("%{a}é}%|", "|"),
        ("%{}%|", "|"),
    ] {
        let expanded = expand_string(template, &env).unwrap_or_else(|e| panic!("{template}: {e}"));
        assert_eq!(expanded, result, "{template:?}");
    }
    assert!(expand_string("%{a b:lib}%", &env).is_err());
    assert!(FilterIdent::parse("../x:lib", false).is_err());
    let ident = FilterIdent::parse("_+a:v?x:y", true).expect("an identifier");
    assert_eq!(ident.to_string(), "_+a:v?x:y");
}

fn depends(field: &str) -> String {
    filtered(field, &env)
}

fn filtered(field: &str, env: &Env<'_>) -> String {
    let file = format!("opam-version: \"2.0\" depends: {field}");
    let file = OpamFile::parse(file.as_bytes()).expect("a file");
    let formula = file.depends().unwrap_or_else(|error| panic!("{field}: {error}"));
    filter_depends(&formula, env).to_string()
}

#[test]
fn filtered_dependencies() {
    for (field, left) in [
        ("\"a\"", "a"),
        ("[\"a\" \"b\" | \"c\"]", "a & (b | c)"),
        ("[(\"a\" | \"b\") \"c\"]", "(a | b) & c"),
        ("[]", "[]"),
        ("[()]", "[]"),
        ("[\"a\" {}]", "a"),
        ("[\"a\" {with-test} | \"c\"]", "c"),
        ("[\"a\" {with-test} | \"b\" {no}]", "[]"),
        ("[(\"a\" {with-test}) \"c\"]", "c"),
        ("[\"b\" {with-test | = \"1\"}]", "b = 1"),
        ("[\"b\" {with-test & = \"1\"}]", "[]"),
        ("[\"b\" {!with-test & = \"1\"}]", "b = 1"),
        ("[\"b\" {os = \"linux\" | = \"1\"}]", "b"),
        ("[\"b\" {build}]", "b"),
        ("[\"b\" {foo != \"x\"}]", "[]"),
        ("[\"b\" {!foo}]", "[]"),
        ("[\"b\" {!?foo}]", "b"),
        ("[\"b\" {= version}]", "b = 1.5"),
        ("[\"b\" {>= \"%{version}%~\" & < \"%{version}%-2\"}]", "b (>= 1.5~ & < 1.5-2)"),
        ("[\"b\" {>= foo}]", "[]"),
        ("[\"b\" {>= foo | = \"1\"}]", "b = 1"),
        ("[\"b\" {(>= \"1\" & < \"2\") | > \"3~\"}]", "b (>= 1 & < 2 | > 3~)"),
        ("[\"b\" {(>= \"1\" | < \"2\") & > \"3~\"}]", "b ((>= 1 | < 2) & > 3~)"),
        ("[\"b\" {>= \"1\" < \"2\"}]", "b (>= 1 & < 2)"),
        ("[\"b\" {!(>= \"1\" & < \"2\")}]", "b (< 1 | >= 2)"),
        ("[\"b\" {!(with-test & < \"2\")}]", "b"),
        ("[\"b\" {~ \"2\"}]", "b >= 2"),
    ] {
        assert_eq!(depends(field), left, "{field}");
    }
    // Here `foo` is nothing that could be a version, so it does not bound.
    assert_eq!(depends("[\"b\" {= \"%{foo}%\"}]"), "b");
    for bad in [
        "[a]",
        "[1]",
        "[\"a\" = \"b\"]",
        "[\"a/b\"]",
        "[\"..\"]",
        "[\"1\"]",
        "[\"\"]",
        "[\"a\" {= \"x y\"}]",
        "[\"a\" {= \"\"}]",
        "[\"a\" {= 1}]",
        "[\"a\" {\"b\" {c}}]",
        "[[\"a\"]]",
    ] {
        let file = format!("opam-version: \"2.0\"\ndepends: {bad}");
        let error = OpamFile::parse(file.as_bytes()).expect("a file").depends();
        let error = error.expect_err(bad);
        assert_eq!((error.code(), error.position.line), ("opam::field", 2), "{bad}");
    }
}

#[test]
fn conflicts_and_depopts() {
    let file = OpamFile::parse(
        b"opam-version: \"2.0\" conflicts: [\"a\" & \"b\" (\"c\" & \"d\") \"e\" {> foo} \"f\" {no}]
          depopts: [\"a\" (\"b\" & \"c\" {with-test})]",
    )
    .expect("a file");
    let conflicts = filter_conflicts(&file.conflicts().expect("conflicts"), &env);
    assert_eq!(conflicts.to_string(), "a | b | (c | d) | e");
    let depopts = filter_depends(&file.depopts().expect("depopts"), &env);
    assert_eq!(depopts.to_string(), "a | b");
    assert_eq!(conflicts.atoms()[0].position.column, 33);
}

#[test]
fn build_and_post_flags() {
    let file = OpamFile::parse(
        b"opam-version: \"2.0\" depends: [\"a\" {build} \"b\" {post} \"c\" {build | yes} \"d\" {build | post}
          \"e\" {build & post} \"f\" {build & >= \"1\"} \"g\" {build | >= \"1\"} \"h\" {!build | yes} \"i\"]",
    )
    .expect("a file");
    let formula = filter_depends(&file.depends().expect("depends"), &env);
    let flags: Vec<String> = formula
        .atoms()
        .iter()
        .map(|atom| format!("{}{}{}", atom.name, u8::from(atom.build), u8::from(atom.post)))
        .collect();
    assert_eq!(flags, ["a10", "b01", "c00", "d00", "e11", "f10", "g00", "h00", "i00"]);
}

fn run(field: &str) -> Vec<Vec<String>> {
    let file = format!("opam-version: \"2.0\" build: {field}");
    let file = OpamFile::parse(file.as_bytes()).expect("a file");
    let list: Vec<Command> = file.build().unwrap_or_else(|error| panic!("{field}: {error}"));
    commands(&list, &env).unwrap_or_else(|error| panic!("{field}: {error}"))
}

#[test]
fn commands_are_evaluated() {
    assert_eq!(
        run("[[\"./configure\" \"--%{foo:enable}%-foo\" name] [make]]"),
        [vec!["./configure", "--enable-foo", "me"], vec![""]]
    );
    assert_eq!(run("[\"make\" \"-j\" {no} words \"%{words}%\" none]"), [["make", "a", "b", "a b"]]);
    assert_eq!(run("\"make\""), [["make"]]);
    assert_eq!(run("[[\"a\"] {with-test} [\"b\"] {os = \"linux\"} [\"c\"] {foo} []]"), [["b"]]);
    // Two lists are left out around this, one around the next; the filter is the word's there.
    assert_eq!(run("\"make\" {no}"), Vec::<Vec<String>>::new());
    assert_eq!(run("[\"make\"] {yes}"), [["make"]]);
    // A variable that stands as a word is not expanded again.
    assert_eq!(run("[\"x\" indirect]"), [["x", "<%{os}%>"]]);
    assert!(run("[]").is_empty());
}

#[test]
fn formulas() {
    let atom = |name: &'static str| Formula::Atom(name);
    let formula = Formula::all([atom("a"), Formula::any([atom("b"), atom("c")]), Formula::Empty]);
    assert_eq!(formula.to_string(), "a & (b | c)");
    assert!(formula.holds(&mut |name| *name != "c"));
    assert!(!formula.holds(&mut |name| *name == "a"));
    assert_eq!(formula.clone().neg(&|name| name).to_string(), "a | b & c");
    let verdict = formula.partial_eval(&mut |name| match *name {
        "a" => Verdict::True,
        "b" => Verdict::False,
        name => Verdict::Formula(atom(name)),
    });
    assert_eq!(verdict, Verdict::Formula(atom("c")));
    let nothing: Verdict<&str> = formula.partial_eval(&mut |_| Verdict::True);
    assert_eq!(nothing, Verdict::True);
    // A part that asks nothing holds, where formulas are evaluated...
    let verdict = formula.partial_eval(&mut |name| match *name {
        "b" => Verdict::Formula(Formula::Empty),
        name => Verdict::Formula(atom(name)),
    });
    assert_eq!(verdict, Verdict::Formula(atom("a")));
    // ... but vanishes where atoms are removed.
    let mapped = formula.map(&mut |name| if *name == "b" { Formula::Empty } else { atom(name) });
    assert_eq!(mapped.to_string(), "a & c");
    assert_eq!(atom("a").group().group().to_string(), "((a))");
}
