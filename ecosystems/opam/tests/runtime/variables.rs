//! Variables, strings, versions, filters, and the commands that depend on them.

use crate::support::{Random, each, fed, stderr, stdout, with_dependencies};
use x2nix_opam::filter::{Scope, Value, Variable, expand_string};
use x2nix_opam::version;

#[test]
fn variables_have_opam_s_values() {
    each(|build| {
        with_dependencies(build);
        let out = build.out().display().to_string();
        let ocaml = build.prefixes[0].clone();
        let source = build.source().display().to_string();
        build.file("foo.config", "variables { early: true lib: \"nowhere\" }");
        for (text, expected) in [
            ("%{os}% %{arch}% %{opam-version}%", "linux x86_64 2.3.0".into()),
            (
                "%{jobs}% %{make}% %{switch}% %{root}% %{exe}%",
                "3 gmake default /build/.opam ".into(),
            ),
            ("%{name}% %{version}% %{_:name}% %{_:version}%", "foo 1.5~rc1 foo 1.5~rc1".into()),
            ("%{prefix}% %{lib}% %{libexec}%", format!("{out} {out}/lib {out}/lib")),
            ("%{stublibs}% %{toplevel}%", format!("{out}/lib/stublibs {out}/lib/toplevel")),
            ("%{bin}% %{sbin}% %{man}%", format!("{out}/bin {out}/sbin {out}/man")),
            ("%{share}% %{doc}% %{etc}%", format!("{out}/share {out}/doc {out}/etc")),
            ("%{build}%", source),
            (
                "%{foo:share}% %{_:doc}% %{_:bin}%",
                format!("{out}/share/foo {out}/doc/foo {out}/bin"),
            ),
            ("%{ocaml:lib}% %{ocaml:bin}%", format!("{ocaml}/lib/ocaml {ocaml}/bin")),
            ("%{ocaml:prefix}% %{ocaml:stublibs}%", format!("{ocaml} {ocaml}/lib/stublibs")),
            ("%{ocaml:version}% %{ocaml:name}%", "5.2.0 ocaml".into()),
            ("%{ocaml:native}% %{ocaml:sys}% [%{ocaml:far}%]", "true os []".into()),
            ("%{ocaml:installed}% %{nope:installed}%", "true false".into()),
            // They leave no record: the one installs nothing, the other is the package set's.
            ("%{base-unix:installed}% %{base-unix:version}%", "true base".into()),
            ("[%{base-unix:lib}%] %{base:installed}%", "[] false".into()),
            (
                "%{ocaml-system:installed?system:}% %{ocaml-system:bin}%",
                "system /store/ocaml/bin".into(),
            ),
            ("%{foo:installed}% %{_:installed}% %{installed}%", "false false false".into()),
            ("%{ocaml:enable}% %{nope:enable}%", "enable disable".into()),
            ("[%{nope:version}%] [%{nope:lib}%] [%{undefined}%]", "[] [] []".into()),
            ("%{nope:name}% %{ocaml:pinned}% %{ocaml:dev}%", "nope false false".into()),
            ("%{early}% %{_:early}% %{_:lib}%", "true true nowhere".into()),
            ("%{ocaml:native?yes:no}% %{os?yes:no}% %{nope:x?yes:}%", "yes no ".into()),
            ("%{ocaml+nope:installed}% %{ocaml+_:native}%", "false ".into()),
            ("%{ocaml+ocaml:native?a b:c}%", "a b".into()),
            ("%{?conf-g++:version:}% %{?conf-g++:lib:}% %{?x:os}%", "1.0 own/lib linux".into()),
            ("100%% %%{os}%% 5% %{os", "100% %{os}% 5% %{os".into()),
            ("%{os}}% %{os}%|%{os}}%|%{o\ns}%", "|%{os}}%|%{o\ns}%".into()),
            ("%{ocaml:../../version}% %{ocaml:/etc/passwd}%", " ".into()),
        ] {
            let output = build.x2nix(&["run", "-w", "printf", "-w", "%s", "-i", text]);
            let printed = stdout(&output);
            let (_, value) = printed.split_once('\n').expect("two lines");
            assert!(output.status.success() && output.stderr.is_empty(), "{text}: {output:?}");
            let value = if text.contains('\n') {
                printed.rsplit_once("'\n").expect("lines").1
            } else {
                value
            };
            assert_eq!(value, expected, "{text}");
        }
        for text in ["%{../../x:lib}%", "%{1:lib}%", "%{a b:lib}%"] {
            let output = build.x2nix(&["run", "-w", "echo", "-i", text]);
            assert!(
                !output.status.success() && stderr(&output).contains("name of a package"),
                "{output:?}"
            );
        }
    });
}

/// Arbitrary texts expand as the plugin itself expands them.
#[test]
fn strings_expand_as_in_the_plugin() {
    let bits = [
        "%",
        "%",
        "{",
        "}",
        "}%",
        "%{",
        "%%",
        "os",
        "arch",
        "ocaml",
        "_",
        ":",
        "?",
        "+",
        "native",
        "version",
        "installed",
        "enable",
        " ",
        "\n",
        "x",
        "é",
        "\\",
        "\"",
    ];
    let environment = |variable: &Variable<'_>| {
        let text = |text: &str| Some(Value::String(text.into()));
        let truth = |truth| Some(Value::Bool(truth));
        match (variable.scope, variable.name) {
            (Scope::Global, "os") => text("linux"),
            (Scope::Global, "arch") => text("x86_64"),
            (Scope::Global | Scope::Own, "version") => text("1.5~rc1"),
            (_, "installed") => truth(variable.scope == Scope::Package("ocaml")),
            (Scope::Package("ocaml"), "version") => text("5.2.0"),
            (Scope::Package("ocaml"), "native") => truth(true),
            _ => None,
        }
    };
    each(|build| {
        with_dependencies(build);
        let mut random = Random(3);
        let mut texts = String::new();
        let mut expected = Vec::new();
        while expected.len() < 3000 {
            let text: String =
                (0..=random.below(13)).map(|_| bits[random.below(bits.len())]).collect();
            // A name that is none ends the build.
            if let Ok(value) = expand_string(&text, &environment) {
                expected.push((text.clone(), value.into_owned()));
                texts += &text;
                texts.push('\0');
            }
        }
        let script = r#"
            source "$X2NIX_OPAM/share/x2nix-opam/variables.bash"
            while IFS= read -r -d '' text; do expand "$text"; printf '%s\0' "$REPLY"; done"#;
        let output = fed(build.command("bash").args(["-c", script]), texts.as_bytes());
        let values: Vec<_> = output.split('\0').collect();
        assert_eq!(values.len(), expected.len() + 1);
        for ((text, value), seen) in expected.iter().zip(values) {
            assert_eq!(seen, value, "{text:?}");
        }
    });
}

#[test]
fn versions_compare_as_in_the_plugin() {
    let mut random = Random(11);
    let alphabet = ["0", "1", "10", "9", "~", "a", "Z", "+", ".", "-", "_", "é", "00", "rc"];
    let mut pairs = Vec::new();
    let mut input = String::new();
    for _ in 0..4000 {
        let mut one =
            || (0..random.below(6)).map(|_| alphabet[random.below(alphabet.len())]).collect();
        let (a, b): (String, String) = (one(), one());
        input += &format!("{a}\n{b}\n");
        pairs.push((a, b));
    }
    let script = r#"
        source "$X2NIX_OPAM/share/x2nix-opam/variables.bash"
        while IFS= read -r a && IFS= read -r b; do compare "$a" "$b"; echo "$REPLY"; done"#;
    each(|build| {
        let output = fed(build.command("bash").args(["-c", script]), input.as_bytes());
        for ((a, b), seen) in pairs.iter().zip(output.lines()) {
            assert_eq!(seen, (version::compare(a, b) as i8).to_string(), "{a:?} {b:?}");
        }
        assert_eq!(output.lines().count(), pairs.len());
    });
}

#[test]
fn filters_have_three_values() {
    each(|build| {
        with_dependencies(build);
        for (filter, expected) in [
            ("b:true", true),
            ("b:false", false),
            ("v:nope", false),
            ("v:nope !", false),
            ("v:nope ?", false),
            ("v:nope ? !", true),
            ("v:nope s:x =", false),
            ("v:nope s:x = !", false),
            ("v:nope b:true |", true),
            ("b:true v:nope |", true),
            ("v:nope b:false &", false),
            ("v:nope b:false & !", true),
            ("b:false v:nope & !", true),
            ("v:nope b:true & ?", false),
            ("v:nope b:false | ?", false),
            ("b:true b:true &", true),
            ("b:true b:false &", false),
            ("b:false b:false |", false),
            ("s:true", true),
            ("s:yes", false),
            ("s:yes !", false),
            ("s:yes ?", true),
            ("s: s: =", true),
            ("v:os s:linux =", true),
            ("v:os s:lin%75x =", true),
            ("s:%25%7Bos%7D%25 s:linux =", true),
            ("s:a%20b s:a%20%62 =", true),
            ("s:a%5Cnb s:a%5Cnb =", true),
            ("v:os-version s:9 >=", true),
            ("v:ocaml:version s:5.2.0~ >", true),
            ("v:ocaml:version s:5.2 <=", false),
            ("v:ocaml:version s:5.2.0 <", false),
            ("v:ocaml:version s:5.2.00 !=", false),
            ("v:ocaml:native v:nope:installed ! &", true),
            ("v:ocaml:native v:ocaml:preinstalled &", false),
            ("v:ocaml:preinstalled v:nope:x | v:ocaml:native |", true),
            ("v:ocaml+nope:installed", false),
            ("v:ocaml:enable s:enable =", true),
            ("b:true s:true =", true),
        ] {
            assert_eq!(build.holds(filter), expected, "{filter}");
        }
        for filter in ["", "&", "!", "b:true &", "b:true b:true", "x", "b:maybe", "v:os = s:linux"]
        {
            let output = build.x2nix(&["run", "-c", filter, "-w", "echo"]);
            assert!(!output.status.success() && output.stdout.is_empty(), "{filter}: {output:?}");
            assert!(stderr(&output).contains("is no filter"), "{filter}: {output:?}");
        }
    });
}

#[test]
fn run_runs_what_is_left_of_a_command() {
    each(|build| {
        with_dependencies(build);
        let list = "for word; do printf '<%s>' \"$word\"; done; exit 7";
        build.file("list", format!("#!/bin/sh\n{list}\n"));
        build.mode("source/list", 0o755);
        let output = build.x2nix(&[
            "run",
            "-c",
            "v:ocaml:native",
            "-w",
            "./list",
            "-f",
            "b:false",
            "-w",
            "no",
            "-w",
            "%{os}% it's",
            "-f",
            "b:true",
            "-i",
            "--prefix=%{prefix}%",
            "-v",
            "nope",
            "-v",
            "jobs",
            "-f",
            "b:false",
            "-v",
            "jobs",
            "-w",
            "$(touch pwned)\n*",
            "-w",
            "",
        ]);
        assert_eq!(output.status.code(), Some(7));
        let out = build.out().display().to_string();
        let printed = stdout(&output);
        assert!(printed.starts_with("+ './list' '%{os}% it'\\''s' "), "{printed}");
        let words = format!("<%{{os}}% it's><--prefix={out}><><3><$(touch pwned)\n*><>");
        assert!(printed.ends_with(&words), "{printed}");
        assert!(!build.source().join("pwned").exists());
        // Nothing is left of these.
        for words in [
            &["run", "-c", "b:false", "-w", "false"][..],
            &["run", "-f", "b:false", "-w", "false"],
            &["run"],
        ] {
            let output = build.x2nix(words);
            assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
        }
        assert_eq!(build.x2nix(&["run", "-w", "no-such-program"]).status.code(), Some(127));
        for words in [
            &["run", "-w"][..],
            &["run", "-x", "y"],
            &["run", "echo"],
            &["nope"],
            &[],
            &["install", "x"],
        ] {
            assert_eq!(build.x2nix(words).status.code(), Some(2), "{words:?}");
        }
    });
}
