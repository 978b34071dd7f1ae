//! Help, manual pages, completions, schemas; and what is said to flags that are none.

use crate::support::Place;

/// The names of all commands, as the help lists them.
fn commands(place: &Place) -> Vec<String> {
    let help = place.x2nix("--help").exits(0).stdout;
    let list = help.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    // What stands further in is a description's second line.
    let names = list.lines().filter(|line| !line.starts_with("   "));
    let names = names.map(|line| line.split_whitespace().next().unwrap().to_owned());
    names.filter(|name| name != "help").collect()
}

#[test]
fn every_command_shows_an_example() {
    let place = Place::new();
    let commands = commands(&place);
    for known in ["resolve", "emit", "check", "tree", "why", "schema", "completions", "man"] {
        assert!(commands.iter().any(|name| name == known), "{known} in {commands:?}");
    }
    for command in commands {
        let help = place.x2nix(&format!("{command} --help")).exits(0).stdout;
        assert!(help.contains("Example"), "{help}");
        assert!(help.contains(&format!("  x2nix {command}")), "{help}");
        assert_eq!(place.x2nix(&format!("help {command}")).exits(0).stdout, help);
    }
    place.x2nix("--help").exits(0).answers("Exit status");
    place.x2nix("--version").exits(0).answers(env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_flags_of_a_plugin_are_shown_as_its_own() {
    let help = Place::new().x2nix("resolve --help").stdout;
    let own = help.split_once("Options of opam").unwrap().1;
    assert!(own.contains("--with-test") && own.contains("--with-doc"), "{own}");
}

#[test]
fn flags_that_are_none_are_refused() {
    let place = Place::new();
    for words in [
        "",
        "frobnicate",
        "resolve --ecosystem opam --frobnicate",
        "resolve --ecosystem cobol",
        "tree --depth minus",
        "schema --loud",
        "completions klingon",
        "check one two",
        "check --format xml",
    ] {
        let run = place.x2nix(words).exits(2);
        assert_eq!(run.stdout, "", "{words}");
        run.says("--help");
    }
    place.x2nix("resolve --ecosystem opam --with-tests").exits(2).says("--with-test");
    for words in ["resolve --frobnicate --format json", "check --format=json --frobnicate"] {
        let run = place.x2nix(words).exits(2);
        assert_eq!(run.stderr, "");
        assert_eq!(run.code(), "cli::usage");
        run.answers("--frobnicate");
    }
}

#[test]
fn schemas_are_printed_by_name() {
    let place = Place::new();
    let names = place.x2nix("schema").exits(0).stdout;
    assert!(names.lines().any(|name| name == "lock"), "{names}");
    for name in names.lines() {
        let schema = place.x2nix(&format!("schema {name}")).exits(0).json();
        assert!(schema["$schema"].is_string(), "{name}: {schema}");
    }
    place.x2nix("schema poem").exits(2).says("schema::unknown").says("lock");
}

#[test]
fn shells_and_man_get_their_files() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.x2nix(&format!("completions {shell}")).exits(0);
        script.answers("x2nix").answers("with-test");
    }
    place.x2nix("man pages/man1").exits(0);
    let pages = place.names("pages/man1");
    for command in commands(&place) {
        assert!(pages.contains(&format!("x2nix-{command}.1")), "{pages:?}");
    }
    assert!(place.read("pages/man1/x2nix-resolve.1").contains("with\\-test"));
    place.write("file", "");
    place.x2nix("man file/man1").exits(3).says("output::write");
}
