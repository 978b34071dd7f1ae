//! Crates in Git repositories.

use super::{build, lock, place, run, says, x2nix};
use std::process::Command;

const LIBRARY: &str = r#"
mkdir -p lib/core/src lib/macros/src
cat > lib/Cargo.toml << END
[workspace]
members = ["core", "macros"]
[workspace.package]
version = "3.1.4"
edition = "2021"
[workspace.dependencies]
git-macros = { path = "macros" }
END
printf '[package]\nname = "git-core"\nversion.workspace = true\nedition.workspace = true\n[dependencies]\ngit-macros.workspace = true\n' > lib/core/Cargo.toml
printf '[package]\nname = "git-macros"\nversion.workspace = true\nedition.workspace = true\n[lib]\nproc-macro = true\n' > lib/macros/Cargo.toml
echo '#[proc_macro] pub fn number(_: proc_macro::TokenStream) -> proc_macro::TokenStream { "3".parse().unwrap() }' > lib/macros/src/lib.rs
echo 'pub fn number() -> u32 { git_macros::number!() }' > lib/core/src/lib.rs
mkdir -p other/deep/src
printf '[package]\nname = "shout"\nversion = "1.9.0"\n[features]\nloud = []\n' > other/deep/Cargo.toml
echo 'pub fn shout(_: &str) -> String { "patched".to_owned() }' > other/deep/src/lib.rs
commit() { git -C $1 add -A; git -C $1 -c user.name=a -c user.email=a@b.invalid commit -qm "$2"; }
for repository in lib other; do git init -q -b main $repository; commit $repository one; done
git -C lib tag v3
"#;

/// What is in a repository is found by its name, wherever it lies there; so is what stands in for a crate of
/// a registry. The commit stays that of the lock file, and cargo writes the same file.
#[test]
fn crates_in_git_are_locked_and_built() {
    let Some(place) = place() else { return };
    run(&place, LIBRARY);
    let top = place.path(".").canonicalize().unwrap();
    let at = |repository: &str| format!("git = \"file://{}/{repository}\"", top.display());
    place.write(
        "project/app/Cargo.toml",
        format!(
            "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[features]\ndefault = [\"shout/loud\"]\n[dependencies]\ngit-core = {{ {}, branch = \"main\" }}\nshout = \"1\"\n",
            at("lib")
        ),
    );
    place.write(
        "project/app/src/main.rs",
        "fn main() { println!(\"{} {}\", git_core::number(), shout::shout(\"\")) }\n",
    );
    run(&place, "rm -r project/app/src/{bin,lib.rs} project/words project/clib");
    place.write(
        "project/Cargo.toml",
        format!(
            "[workspace]\nmembers = [\"app\"]\nresolver = \"2\"\n[patch.crates-io]\nshout = {{ {} }}\n",
            at("other")
        ),
    );
    x2nix(&place, "resolve --ecosystem cargo project").exits(0);
    x2nix(&place, "export --cargo-lock --lock project/x2nix.lock.json").exits(0);
    let own = place.read("project/Cargo.lock");
    let accepted = Command::new(env!("CARGO"))
        .args(["fetch", "--locked"])
        .current_dir(place.path("project"))
        .env("CARGO_HOME", place.path("home"))
        .env("CARGO_NET_GIT_FETCH_WITH_CLI", "true")
        .output()
        .unwrap();
    assert!(accepted.status.success(), "{}", String::from_utf8_lossy(&accepted.stderr));
    assert_eq!(place.read("project/Cargo.lock"), own);

    x2nix(&place, "fetch --lock project/x2nix.lock.json").exits(0);
    assert_eq!(says(&build(&place, "app").unwrap(), "app"), "3 patched\n");
    let units = lock(&place)["units"].clone();
    let from = |unit: &str| units[unit]["recipe"]["sources"][0].clone();
    assert_eq!(from("git-core@3.1.4")["from"], "core");
    // Both are from one source.
    assert_eq!(from("git-core@3.1.4")["artifact"], from("git-macros@3.1.4:build")["artifact"]);

    // The branch moves on; what was locked stays, in either lock, until both are gone.
    run(&place, &format!("{LIBRARY_AGAIN}\ncommit lib two"));
    let commit = |place: &crate::support::Place| {
        let text = place.read("project/x2nix.lock.json");
        let commit = run(place, "git -C lib rev-parse HEAD");
        text.contains(&commit)
    };
    x2nix(&place, "resolve --ecosystem cargo project").exits(0);
    assert!(!commit(&place));
    run(&place, "rm project/x2nix.lock.json");
    x2nix(&place, "resolve --ecosystem cargo project").exits(0);
    assert!(!commit(&place));
    run(&place, "rm project/x2nix.lock.json project/Cargo.lock");
    x2nix(&place, "resolve --ecosystem cargo project").exits(0);
    assert!(commit(&place));

    place.edit("project/app/Cargo.toml", "git-core =", "git-cor =");
    x2nix(&place, "resolve --ecosystem cargo project")
        .exits(2)
        .says("there is no package git-cor")
        .says("git-core, git-macros");
    place.edit("project/app/Cargo.toml", "git-cor =", "git-core =");
    place.edit("project/app/Cargo.toml", "branch = \"main\"", "tag = \"v3\"");
    x2nix(&place, "resolve --ecosystem cargo project").exits(0);
    assert!(!commit(&place));
    x2nix(&place, "resolve --ecosystem cargo --build workspace project")
        .exits(2)
        .says("no crates from Git");
}

const LIBRARY_AGAIN: &str = r#"
commit() { git -C $1 add -A; git -C $1 -c user.name=a -c user.email=a@b.invalid commit -qm "$2"; }
echo 'pub fn number() -> u32 { 4 }' > lib/core/src/lib.rs
"#;
