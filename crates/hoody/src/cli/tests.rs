//! The whole command line: its help, and which flags go where.

use super::*;

#[test]
fn the_command_is_well_formed() {
    command().debug_assert();
}

#[test]
fn every_command_has_a_description_and_an_example() {
    fn walk(command: &clap::Command, path: &str) {
        let path = format!("{path} {}", command.get_name());
        assert!(command.get_about().is_some(), "{path} has no description");
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        // The groups of the service are described as a whole: their commands have the examples.
        let is_service = SERVER_GROUPS.iter().any(|(group, _)| path.starts_with(&format!("hoody {group}")));
        if !is_service || !command.has_subcommands() {
            assert!(examples.starts_with("EXAMPLES:\n  "), "{path} has no example");
        }
        for below in command.get_subcommands() {
            walk(below, &path);
        }
    }
    let command = command();
    assert!(command.get_after_help().is_some());
    command.get_subcommands().for_each(|group| walk(group, "hoody"));
}

#[test]
fn the_examples_in_the_help_can_be_read() {
    fn walk(command: &clap::Command) {
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in examples.replace("\\\n", " ").lines().skip(1) {
            let words = words(line);
            let start = words.iter().position(|word| word == "hoody" || word.ends_with("(hoody")).unwrap();
            let is_end = |word: &String| matches!(word.as_str(), "&&" | "|" | ">" | "<" | "#");
            let words = words[start..].iter().take_while(|word| !is_end(word));
            let words: Vec<OsString> = words.map(OsString::from).collect();
            assert!(Cli::parse_all(&words).is_ok(), "{line}: {words:?}");
        }
        command.get_subcommands().for_each(walk);
    }
    walk(&command());
}

/// Splits a line as a shell would, as far as the examples need it.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.trim().trim_end_matches(')').chars() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, ' ') => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            (_, c) => word.push(c),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

#[test]
fn the_services_own_groups_have_none_of_the_flags_but_output() {
    let read = |line: &[&str]| {
        let words: Vec<_> = ["hoody"].iter().chain(line).map(OsString::from).collect();
        Cli::parse_all(&words)
    };
    assert!(read(&["serve", "--print-config"]).is_ok());
    assert!(read(&["admin", "users", "list", "-o", "json"]).is_ok());
    for line in [
        &["serve", "--token", "hdy_x"][..],
        &["--token", "hdy_x", "serve"],
        &["serve", "-o", "json"],
        &["admin", "users", "list", "--base-url", "http://x"],
        &["-q", "admin", "users", "list"],
    ] {
        assert!(read(line).is_err(), "{line:?}");
    }
}
