//! The same `.install` files through opam's own installer.

use crate::support::{Random, each, program, tree};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::process::Command;

/// The same files through opam's own installer: the same paths, modes and contents.
///
/// Left out is where the two differ on purpose: `misc` (opam asks a person), missing files (the
/// installer only complains, opam fails), and what opam would write outside of its prefix.
#[test]
fn install_is_what_opam_installer_does() {
    let Some(installer) = program("opam-installer") else {
        let mut console = std::io::stderr();
        writeln!(console, "skipped: opam-installer is not installed (apt: opam-installer)").ok();
        return;
    };
    let sections = [
        "bin",
        "sbin",
        "lib",
        "libexec",
        "lib_root",
        "libexec_root",
        "toplevel",
        "stublibs",
        "share",
        "share_root",
        "etc",
        "doc",
        "man",
    ];
    let sources = [
        "a",
        "b.1",
        "c d.3.gz",
        "sub/a",
        "sub/deep/e.8x",
        "q\"uote",
        "back\\slash",
        "li\nne",
        "é",
        "l",
    ];
    let targets = [
        "", "", "x", "y/z", "./p//q", "dir/", "man1/a.1", "t\tab", "\"", "-n", "a b/c$d", "../up/x",
    ];
    each(|build| {
        let mut random = Random(42);
        for name in sources {
            if name != "l" {
                build.file(name, name);
            }
        }
        build.mode("source/a", 0o755);
        symlink("sub/a", build.source().join("l")).expect("a link");
        for round in 0..25 {
            let mut text =
                String::from(if round % 2 == 0 { "opam-version: \"2.0\"\n" } else { "" });
            for section in sections {
                if random.below(3) == 0 {
                    continue;
                }
                text += &format!("{section}: [");
                for _ in 0..random.below(4) {
                    let source = sources[random.below(sources.len())];
                    let mut target = targets[random.below(targets.len())];
                    if section == "man" && target.is_empty() && !source.contains(['1', '3', '8']) {
                        target = "man5/x.5";
                    }
                    let optional = if random.below(4) == 0 { "?" } else { "" };
                    let missing =
                        if optional.is_empty() || random.below(2) == 0 { "" } else { "no" };
                    text += &literal(&format!("{optional}{missing}{source}"), &mut random);
                    if !target.is_empty() {
                        text += &format!(" {{{}}}", literal(target, &mut random));
                    }
                    text += if random.below(2) == 0 { "\n" } else { " (* c \" *) " };
                }
                text += "]\n";
            }
            fs::remove_dir_all(build.out()).ok();
            let theirs = build.top.join("theirs");
            fs::remove_dir_all(&theirs).ok();
            let ours = build.install(&text);
            let output = Command::new(&installer)
                .current_dir(build.source())
                .arg(format!("--prefix={}", theirs.display()))
                .arg("foo.install")
                .output()
                .expect("opam-installer");
            // Both may find that one file's place is another's folder.
            if ours.is_err() && !output.status.success() {
                continue;
            }
            ours.unwrap_or_else(|said| panic!("{said}\n{text}\n{output:?}"));
            fs::remove_dir_all(build.out().join("nix-support")).expect("the record");
            assert_eq!(tree(&build.out()), tree(&theirs), "{text}");
        }
    });
}

/// A string in one of its notations.
fn literal(text: &str, random: &mut Random) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    let bytes = |code: &dyn Fn(u8) -> String| {
        let codes: Vec<_> = text.bytes().map(code).collect();
        format!("\"{}\"", codes.concat())
    };
    match random.below(4) {
        0 if !text.contains('"') => format!("\"\"\"{escaped}\"\"\""),
        1 => bytes(&|byte| format!("\\{byte:03}")),
        2 => bytes(&|byte| format!("\\x{byte:02X}")),
        _ => format!("\"\\\n   {escaped}\""),
    }
}
