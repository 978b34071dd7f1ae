//! The reader of opam's syntax, in awk.

use crate::support::{Random, each, reader};
use std::io::Write as _;
use std::process::Stdio;
use x2nix_opam::syntax;

/// A megabyte of anything is read at once. A reader with anything quadratic would not end here.
#[test]
fn large_files_are_read() {
    each(|build| {
        let escapes = format!("bin: [\"?{}\"]", "\\n".repeat(500_000));
        let one_line = format!("bin: [{}]", "\"?a/b\" ".repeat(140_000));
        let comment = format!("(*{}*) bin: []", "(* *)".repeat(200_000));
        let blanks = format!("bin: [{}]", " ".repeat(1_000_000));
        let brackets = "[".repeat(300_000);
        for (what, text, good) in [
            ("escapes", escapes, true),
            ("one line", one_line, true),
            ("comments", comment, true),
            ("blanks", blanks, true),
            ("brackets", format!("bin: {brackets}"), false),
        ] {
            let mut child = reader(build).stdin(Stdio::piped()).spawn().expect("awk");
            child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("a pipe");
            assert_eq!(child.wait().expect("awk").success(), good, "{what}");
        }
    });
}

/// The reader in awk takes what the plugin's own reader takes, of arbitrary rows of tokens.
#[test]
fn the_grammar_is_the_plugin_s() {
    let tokens = [
        "a",
        "a",
        "b-c",
        "x+y:z",
        "true",
        "12",
        "\"s\"",
        "\"\"\"t\"t\"\"\"",
        ":",
        ":",
        ":",
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "&",
        "|",
        "=",
        "!=",
        ">=",
        "!",
        "?",
        "+=",
        "\n",
        "# x\n",
        "(* y *)",
        "\"\\\n z\"",
        "_",
        "-",
    ];
    each(|build| {
        let mut random = Random(7);
        let mut good = 0;
        for _ in 0..600 {
            let mut text = String::new();
            // Begun like a file, so that more of them are good.
            for _ in 0..=random.below(3) {
                text += "a: ";
                for _ in 0..random.below(4) {
                    text += tokens[random.below(tokens.len())];
                    text += " ";
                }
            }
            let expected = syntax::parse(text.as_bytes()).is_ok();
            good += u32::from(expected);
            let mut child = reader(build).stdin(Stdio::piped()).spawn().expect("awk");
            child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("a pipe");
            assert_eq!(child.wait().expect("awk").success(), expected, "{}: {text:?}", build.awk);
        }
        assert!(good > 20, "only {good} good files");
    });
}
