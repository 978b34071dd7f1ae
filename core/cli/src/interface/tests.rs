//! Every command that the help shows is one that is understood.

use super::command;
use crate::ecosystems;

/// The words of the first command on a line of shell; what follows a pipe or goes to a file is not
/// x2nix's.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '|' | '>' | ';' | '&' | '#') => break,
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[track_caller]
fn understood(line: &str) {
    let words = words(line);
    assert_eq!(words.first().map(String::as_str), Some("x2nix"), "{line}");
    let matches = command(&ecosystems::linked_in()).try_get_matches_from(words);
    // Help and version are errors to clap, of a kind that is none.
    if let Err(error) = matches
        && error.use_stderr()
    {
        panic!("{line}\n{error}");
    }
}

#[test]
fn the_command_line_holds_together() {
    command(&ecosystems::linked_in()).debug_assert();
}

#[test]
fn examples_in_the_help_are_understood() {
    for subcommand in command(&ecosystems::linked_in()).get_subcommands() {
        let help =
            subcommand.get_after_help().unwrap_or_else(|| panic!("{subcommand}: no example"));
        let help = help.to_string();
        let examples: Vec<_> =
            help.lines().map(str::trim).filter(|line| line.starts_with("x2nix ")).collect();
        let own = format!("x2nix {} ", subcommand.get_name());
        assert!(
            examples.iter().any(|line| line.starts_with(&own)),
            "{own} has no example of its own"
        );
        examples.into_iter().for_each(understood);
    }
}
