//! The compilers for Unikraft look for each other below one prefix, as opam has it; here each has its own.

use super::{build, place, resolve, run};

#[test]
fn compilers_for_unikraft_find_each_other_below_their_own_prefix() {
    let installs = |folder: &str, file: &str| {
        format!(
            "install: [[\"sh\" \"-c\" \"mkdir -p $1 && echo %{{name}}% > $1/{file}\" \"sh\" \"%{{{folder}}}%\"]]"
        )
    };
    let needs = |needs: &str, rest: &str| format!("depends: [\"{needs}\"]\n{rest}");
    let sources = installs("_:lib", "uk.h");
    let backend = needs("unikraft", &installs("_:share", "cflags"));
    // What its wrapper is made of, and where the wrapper looks when it runs.
    let tool = r#"
build: ["sh" "-c" "test $(cat $1/ocaml-unikraft-backend-x-cpu/cflags) = ocaml-unikraft-backend-x-cpu" "sh" "%{share}%"]
install: ["sh" "-euc" "mkdir -p $1; { echo '#!/bin/sh'; echo 'cat $(dirname $0)/../lib/unikraft/uk.h'; } > $1/cpu-unikraft-ocaml-gcc; chmod +x $1/*-gcc" "sh" "%{bin}%"]"#;
    let toolchain = needs("ocaml-unikraft-backend-x-cpu", tool);
    let compiler = r#"
build: ["sh" "-c" "test $(cpu-unikraft-ocaml-gcc) = unikraft && test $($1/cpu-unikraft-ocaml-gcc) = unikraft" "sh" "%{bin}%"]"#;
    let compiler = needs(
        "ocaml-unikraft-toolchain-cpu",
        &format!("{compiler}\n{}", installs("_:lib", "stdlib")),
    );
    let default = r#"
build: ["sh" "-c" "test $(cat $1/lib/ocaml-unikraft-cpu/stdlib) = ocaml-unikraft-cpu" "sh" "%{prefix}%"]"#;
    let default = needs("ocaml-unikraft-cpu", default);
    let Some(place) = place(&[
        ("unikraft.1", &sources),
        ("ocaml-unikraft-backend-x-cpu.1", &backend),
        ("ocaml-unikraft-toolchain-cpu.1", &toolchain),
        ("ocaml-unikraft-cpu.1", &compiler),
        ("ocaml-unikraft-default-cpu.1", &default),
    ]) else {
        return;
    };
    resolve(&place, &["ocaml-unikraft-default-cpu"]).exits(0);
    let made = build(&place, "ocaml-unikraft-default-cpu").unwrap();
    let tool = made.join("bin/cpu-unikraft-ocaml-gcc");
    assert_eq!(run(&place, &format!("sh {}", tool.display())), "unikraft");
}
