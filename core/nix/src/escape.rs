//! Strings from outside as Nix or shell text, each by what it is there.

/// A Nix string, quotes included.
///
/// Inside of quotes, `"` and `\` mean something, and `${` starts an expression. A carriage return is
/// written out because Nix reads a bare one as a line feed.
pub fn nix_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '$' if rest.peek() == Some(&'{') => out.push_str("\\$"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The name of an attribute: bare where Nix takes it so, or a string.
pub fn nix_attribute(name: &str) -> String {
    const KEYWORDS: [&str; 10] =
        ["assert", "else", "if", "in", "inherit", "let", "or", "rec", "then", "with"];
    let mut bytes = name.bytes();
    let bare = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'\''))
        && !KEYWORDS.contains(&name);
    if bare { name.to_owned() } else { nix_string(name) }
}

/// A path as an expression: relative to the file that holds it, or absolute.
pub fn nix_path(path: &str) -> String {
    if path.starts_with('/') {
        format!("/. + {}", nix_string(path))
    } else {
        format!("./. + {}", nix_string(&format!("/{path}")))
    }
}

/// One word of a POSIX shell. Between single quotes only the single quote means something.
pub fn shell_word(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"%+,-./:@_".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nix_strings() {
        assert_eq!(nix_string(""), r#""""#);
        assert_eq!(nix_string("a\"b\\c"), r#""a\"b\\c""#);
        assert_eq!(nix_string("${x} $x $${x} $"), r#""\${x} $x $\${x} $""#);
        assert_eq!(nix_string("\\${x}"), r#""\\\${x}""#);
        assert_eq!(nix_string("a\nb\tc\rd"), r#""a\nb\tc\rd""#);
        assert_eq!(nix_string("''é''"), "\"''é''\"");
    }

    #[test]
    fn nix_attributes() {
        for bare in ["a", "_a1", "dune_3", "a-b", "a'"] {
            assert_eq!(nix_attribute(bare), bare);
        }
        for quoted in ["", "1a", "a.b", "a b", "-a", "if", "or", "é", "a@1"] {
            assert_eq!(nix_attribute(quoted), format!("\"{quoted}\""));
        }
        assert_eq!(nix_attribute("${x}"), r#""\${x}""#);
    }

    #[test]
    fn nix_paths() {
        assert_eq!(nix_path("x.json"), r#"./. + "/x.json""#);
        assert_eq!(nix_path("../a b/x.json"), r#"./. + "/../a b/x.json""#);
        assert_eq!(nix_path("/a/x.json"), r#"/. + "/a/x.json""#);
    }

    #[test]
    fn shell_words() {
        assert_eq!(shell_word(""), "''");
        assert_eq!(shell_word("--prefix=/a"), "'--prefix=/a'");
        assert_eq!(shell_word("a/b-c.1:d"), "a/b-c.1:d");
        assert_eq!(shell_word("it's $(x) `y`\n"), "'it'\\''s $(x) `y`\n'");
        assert_eq!(shell_word("~"), "'~'");
    }
}
