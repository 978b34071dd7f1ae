//! The public interface of the crates that others build on, as `tests/api.txt` has it: whoever changes it sees
//! that, and raises the version that it needs.
//!
//! It is read from the sources, which `rustfmt` has laid out: what begins at the left edge with `pub` is an
//! item, four blanks further in are its members.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// Makes the test write what it would compare.
const UPDATE: &str = "X2NIX_UPDATE_SCHEMAS";

const CRATES: [&str; 3] = ["core/engine", "plugin-abi/protocol", "plugin-abi/sdk"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

/// From a line to where what it begins has said its type: before its body.
fn head(lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines {
        text += line.trim();
        if line.ends_with(['{', ';', '}', ','])
            && text.matches('(').count() == text.matches(')').count()
        {
            break;
        }
        text.push(' ');
    }
    text.trim_end_matches(['{', ';', ',', ' ']).replace("( ", "(").replace(", )", ")")
}

/// Whether a line begins a member.
type IsMember = fn(&str) -> bool;

/// The items of a file with their members, sorted.
fn items(text: &str) -> BTreeMap<String, Vec<String>> {
    let lines: Vec<_> = text.lines().collect();
    let mut items: BTreeMap<String, Vec<String>> = BTreeMap::new();
    // The item whose members follow, and how they begin.
    let mut within: Option<(String, IsMember)> = None;
    let public = |line: &str| line.starts_with("    pub ");
    let method = |line: &str| line.starts_with("    fn ") || line.starts_with("    const ");
    let variant =
        |line: &str| line.starts_with("    ") && line[4..].starts_with(char::is_uppercase);
    for (number, line) in lines.iter().enumerate() {
        if *line == "#[cfg(test)]" {
            break;
        }
        if *line == "}" {
            within = None;
        } else if line.starts_with("pub ") || line.starts_with("impl") {
            let name = head(&lines[number..]);
            let members: IsMember = match name.split(' ').nth(1) {
                Some("trait") => method,
                Some("enum") => variant,
                _ => public,
            };
            if name.starts_with("pub ") {
                items.entry(name.clone()).or_default();
            }
            within = line.ends_with('{').then_some((name, members));
        } else if let Some((name, _)) = within.as_ref().filter(|(_, is_member)| is_member(line)) {
            items.entry(name.clone()).or_default().push(head(&lines[number..]));
        }
    }
    items.retain(|name, members| name.starts_with("pub ") || !members.is_empty());
    items
}

#[test]
fn the_public_interface_is_the_one_that_is_written_down() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    for name in CRATES {
        let folder = here.join("../..").join(name).join("src");
        let mut files = Vec::new();
        sources(&folder, &mut files);
        files.sort();
        for file in files {
            let shown = file.strip_prefix(&folder).unwrap().display();
            writeln!(text, "# {name} {shown}").unwrap();
            for (item, mut members) in items(&fs::read_to_string(&file).unwrap()) {
                members.sort();
                writeln!(text, "{item}").unwrap();
                for member in members {
                    writeln!(text, "    {member}").unwrap();
                }
            }
        }
    }
    let file = here.join("tests/api.txt");
    if std::env::var_os(UPDATE).is_some() {
        fs::write(file, text).unwrap();
        return;
    }
    let known = fs::read_to_string(file).unwrap_or_default();
    let differs = text.lines().zip(known.lines()).find(|(now, then)| now != then);
    assert!(
        text == known,
        "the public interface changed, first at {differs:?}. Taking something away or changing it needs a new \
         version of the crate; if it is meant, run it with {UPDATE}=1"
    );
}
