//! Units of scripts of our own.

use x2nix_protocol::{Blob, Build, LatePart, Meta, Part, Phase, Recipe, Step, Unit, Word};

/// A unit of scripts, by their places in its output; those in `bin` are programs.
pub(crate) fn unit(name: &str, description: &str, files: &[(&str, &str)]) -> Unit {
    let shell = |script: &str| ["bash", "-eu", "-c", script].map(Word::text).to_vec();
    // The first line of a program names the shell of the build, wherever that lies.
    let programs = "for f in bin/*; do sed -i \"1s|^#!.*|#!$BASH|\" \"$f\"; chmod +x \"$f\"; done";
    let out = Word(vec![Part::Late(LatePart::Out(String::new()))]);
    let mut install = ["cp", "-R", "."].map(Word::text).to_vec();
    install.push(out);
    let steps = vec![
        Step { phase: Phase::Build, words: shell(programs) },
        Step { phase: Phase::Install, words: install },
    ];
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), Blob((*text).into())));
    Unit {
        name: name.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        recipe: Recipe::Build(Build { files: files.collect(), steps, ..Build::default() }),
        depends: Vec::new(),
        exports: Vec::new(),
        meta: Meta {
            description: Some(description.into()),
            licenses: vec!["ISC".into()],
            ..Meta::default()
        },
    }
}
