//! Crates that mean harm, or are broken.

use super::{build, place, run, x2nix};
use crate::support::Place;

/// The fixture with a crate `odd` 1.0.0 of these files, on which its program depends.
pub(super) fn with_odd(files: &[(&str, &str)], index: &str) -> Option<Place> {
    let place = place()?;
    for (file, text) in files {
        place.write(&format!("odd/odd-1.0.0/{file}"), text);
    }
    place.edit("project/app/Cargo.toml", "counted = \"2\"\n", "counted = \"2\"\nodd = \"1\"\n");
    run(&place, "tar -C odd -czf registry/odd-1.0.0.crate odd-1.0.0");
    let checksum = run(&place, "sha256sum registry/odd-1.0.0.crate | cut -c 1-64");
    place.write(
        "registry/index/3/o/odd",
        format!("{{\"name\":\"odd\",\"vers\":\"1.0.0\",\"deps\":[],\"yanked\":false,{index},\"cksum\":\"{checksum}\"}}\n"),
    );
    Some(place)
}

const PLAIN: (&str, &str) = ("Cargo.toml", "[package]\nname = \"odd\"\nversion = \"1.0.0\"\n");

#[test]
fn names_that_no_crate_has_are_refused() {
    let refused = |files: &[(&str, &str)], index: &str, text: &str| {
        let Some(place) = with_odd(files, index) else { return };
        x2nix(&place, "resolve --ecosystem cargo project").exits(2).says(text);
        assert!(!place.path("project/x2nix.lock.json").exists());
    };
    let library = ("src/lib.rs", "");
    refused(&[PLAIN, library], "\"features\":{},\"links\":\"a=b\\n'c\"", "which is no name");
    let with = |text: &str| format!("[package]\nname = \"odd\"\nversion = \"1.0.0\"\n{text}");
    for (text, message) in [
        ("build = \"../../x.rs\"", "lies outside of the package"),
        ("build = \"/etc/passwd\"", "lies outside of the package"),
        ("[lib]\npath = \"-Clinker=evil.rs\"", "lies outside of the package"),
        ("[lib]\nname = \"a=b\"", "cannot be the name of a library"),
        ("[lib]\ncrate-type = [\"lib\", \"$(id)\"]", "there is no crate type"),
        ("[[bin]]\nname = \"../x\"\npath = \"src/x.rs\"", "cannot be the name of a program"),
        ("edition = \"2021 --evil\"", "there is no edition"),
    ] {
        refused(&[("Cargo.toml", &with(text)), library], "\"features\":{}", message);
    }
    // The index says another checksum than the file has.
    let Some(place) = with_odd(&[PLAIN, library], "\"features\":{}") else { return };
    run(&place, "echo x >> registry/odd-1.0.0.crate");
    x2nix(&place, "resolve --ecosystem cargo project").exits(2).says("does not have the checksum");
    run(&place, "rm registry/odd-1.0.0.crate");
    x2nix(&place, "resolve --ecosystem cargo project")
        .exits(3)
        .says("the source of odd-1.0.0 is not there");
    x2nix(&place, "resolve --ecosystem cargo --build nothing project").exits(0);
}

#[test]
fn what_a_build_script_says_is_taken_for_what_it_is() {
    let script = |body: &str| {
        with_odd(
            &[
                (
                    "Cargo.toml",
                    "[package]\nname = \"odd\"\nversion = \"1.0.0\"\nedition = \"2021\"\n",
                ),
                ("build.rs", &format!("fn main() {{ {body} }}")),
                ("src/lib.rs", "pub const SAID: &str = env!(\"SAID\");"),
            ],
            "\"features\":{}",
        )
    };
    // Quotes and all that a shell would look at reach the code as they are.
    let Some(place) = script(
        r#"println!("cargo:rustc-env=SAID=a 'b' \"c\" $HOME `id` $(id) ; \\ * ~");
           println!("cargo:rustc-env=TOLD=\ncargo:rustc-env=X=1");"#,
    ) else {
        return;
    };
    place.edit(
        "project/app/src/main.rs",
        "fn main() {",
        "fn main() { println!(\"said {}\", odd::SAID);",
    );
    x2nix(&place, "resolve --ecosystem cargo project").exits(0);
    let app = build(&place, "app").unwrap();
    let said = super::says(&app, "app");
    assert!(said.starts_with("said a 'b' \"c\" $HOME `id` $(id) ; \\ * ~\n"), "{said}");

    for (body, message) in [
        (r#"println!("cargo::rustc-nonsense=1")"#, "there is no such instruction"),
        (r#"println!("cargo::error=this cannot be")"#, "it gives up"),
        (r#"println!("cargo:rustc-flags=-l x --evil")"#, "only -l and -L may be among rustc-flags"),
        (r#"println!("cargo:rustc-env=NOTHING")"#, "it is NAME=VALUE"),
        ("std::process::exit(7)", "ended with status 7"),
    ] {
        let Some(place) = script(body) else { return };
        x2nix(&place, "resolve --ecosystem cargo project").exits(0);
        let error = build(&place, "app").unwrap_err();
        assert!(error.contains(message), "{error}");
    }
}
