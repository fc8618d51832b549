//! Whole commands, in process, against a small server that plays its part on loopback.

mod caution;
mod manners;
mod sign_in;
mod stage;

use std::ffi::OsString;
use std::sync::atomic::Ordering;

use clap::Subcommand as _;
use http::StatusCode;
use serde_json::{Value, json};

use self::stage::{REALM, Stage, TOKEN_ID};
use crate::commands::{Process, execute};
use crate::context::config_file::ConfigFile;
use crate::context::settings::Environment;
use crate::terminal::output::tests::Captured;
use crate::terminal::output::{Format, Output};
use crate::{ClientCommand, ClientFlags, with_client_flags};

/// A command line of the client's groups alone.
fn whole() -> clap::Command {
    let groups = ClientCommand::augment_subcommands(clap::Command::new("hoody"));
    with_client_flags(groups.subcommand_required(true), &[])
}

fn parse_all(line: &[OsString]) -> Result<(ClientCommand, ClientFlags), clap::Error> {
    let matches = whole().try_get_matches_from(line)?;
    Ok((clap::FromArgMatches::from_arg_matches(&matches)?, ClientFlags::read(&matches)))
}

/// One run of a command: how it ended and what it printed.
#[derive(Debug)]
struct Run {
    code: u8,
    out: String,
    err: String,
}

/// A home directory and an environment.
struct Desk {
    home: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Desk {
    fn at(base_url: &str) -> Self {
        Self { home: tempfile::tempdir().unwrap(), variables: vec![("HOODY_BASE_URL", base_url.to_owned())] }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    async fn run(&self, line: &[&str]) -> Run {
        let out = Captured::default();
        let run = self.run_into(line, &|| Box::new(out.clone())).await;
        Run { out: out.text(), ..run }
    }

    /// Runs it with another standard output.
    async fn run_into(&self, line: &[&str], out: &dyn Fn() -> Box<dyn std::io::Write + Send>) -> Run {
        let arguments = ["hoody"].iter().chain(line).chain(&["--non-interactive"]).map(OsString::from);
        let (command, flags) = parse_all(&arguments.collect::<Vec<_>>()).unwrap();
        let home = self.home.path().to_str().unwrap();
        let mut variables: Vec<(&str, &str)> = vec![("HOME", home)];
        variables.extend(self.variables.iter().map(|(name, value)| (*name, value.as_str())));
        let err = Captured::default();
        let printer = |format, is_quiet, _| Output::new(format, is_quiet, out(), Box::new(err.clone()));
        let environment = &Environment::of(&variables);
        let process = Process { environment, printer: &printer, random: || [7; 32], whole };
        let code = execute(command, flags, process).await;
        Run { code, out: String::new(), err: err.text() }
    }

    fn config(&self) -> Value {
        let path = self.home.path().join(".hoody/config.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }
}

const LOGIN: [&str; 6] = ["auth", "login", "--email", "you@example.com", "--password", "correct horse"];

#[test]
fn flags_may_stand_before_and_after_the_subcommand() {
    let read = |line: &[&str]| {
        parse_all(&["hoody"].iter().chain(line).map(OsString::from).collect::<Vec<_>>()).unwrap().1
    };
    for line in [
        &["-o", "json", "-t", "hdy_x", "auth", "list"][..],
        &["auth", "-o", "json", "list", "-t", "hdy_x"],
        &["auth", "list", "-o", "json", "--token", "hdy_x"],
        &["-o", "yaml", "token", "ls", "-o", "json", "--token=hdy_x"],
    ] {
        let flags = read(line);
        assert_eq!(flags.output, Some(Format::Json), "{line:?}");
        assert_eq!(flags.token.as_ref().map(hoody_client::wire::Secret::expose), Some("hdy_x"), "{line:?}");
    }
    // Here the password is the new one.
    assert!(read(&["users", "update", "me", "--password", "x"]).password.is_none());
    assert!(read(&["-p", "x", "users", "update", "me"]).password.is_some());
}

#[tokio::test]
async fn the_lines_of_the_seeds_work_one_after_another() {
    let (stage, address) = Stage::open().await;
    let desk = Desk::at(&address);
    for line in [
        &LOGIN[..],
        &["projects", "list"],
        &["auth", "login", "--username", "ada", "--password", "correct horse"],
        &[
            "auth",
            "create",
            "--alias",
            "Production Automation Token",
            "--ip-whitelist",
            "203.0.113.10,203.0.113.20",
            "--expires-at",
            "2027-04-12T00:00:00Z",
        ],
        &["auth", "list"],
        &["auth", "update", TOKEN_ID, "--enabled", "false"],
        &["auth", "delete", TOKEN_ID],
    ] {
        let run = desk.run(line).await;
        assert_eq!(run.code, 0, "{line:?}: {run:?}");
    }
    let with_token = Desk::at(&address).with("HOODY_TOKEN", "hdy_good");
    assert_eq!(with_token.run(&["projects", "list"]).await.code, 0);
    assert_eq!(stage.seen().last().unwrap().1, "Bearer hdy_good");
}

#[tokio::test]
async fn a_new_token_is_alone_on_standard_output() {
    let (_, address) = Stage::open().await;
    let desk = Desk::at(&address).with("HOODY_TOKEN", "hdy_good");
    let run = desk.run(&["auth", "create", "--alias", "ci"]).await;
    assert_eq!((run.code, run.out.as_str()), (0, "hdy_made\n"));
    assert!(run.err.contains("not be shown again") && run.err.contains("full access"), "{}", run.err);
    let run = desk.run(&["auth", "create", "--permission", "projects.read", "-o", "json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&run.out).unwrap()["token"], "hdy_made");
    assert!(!run.err.contains("full access"), "{}", run.err);
}

#[tokio::test]
async fn taking_the_last_realm_away_says_what_it_widened() {
    let (_, address) = Stage::open().await;
    let desk = Desk::at(&address).with("HOODY_TOKEN", "hdy_good");
    let run = desk.run(&["auth", "realms", "remove", TOKEN_ID, "--realm-id", REALM]).await;
    assert_eq!(run.code, 0);
    assert!(run.err.contains("widened the token") && run.err.contains("every realm"), "{}", run.err);
}

#[tokio::test]
async fn a_question_without_a_terminal_ends_with_6() {
    let (_, address) = Stage::open().await;
    let desk = Desk::at(&address);
    let run = desk.run(&["login", "--username", "ada"]).await;
    assert!(run.code == 6 && run.err.contains("--password-stdin"), "{run:?}");
    let run = desk.run(&["login"]).await;
    assert!(run.code == 6 && run.err.contains("--username"), "{run:?}");
    let run = desk.run(&["config", "reset"]).await;
    assert!(run.code == 6 && run.err.contains("--yes"), "{run:?}");
}

#[tokio::test]
async fn the_configuration_is_set_shown_and_mended() {
    let (_, address) = Stage::open().await;
    let desk = Desk::at(&address);
    assert_eq!(desk.run(&["config", "set", "output", "json"]).await.code, 0);
    assert_eq!(desk.run(&["config", "set", "token", "hdy_good"]).await.code, 0);
    assert_eq!(desk.run(&["projects", "list"]).await.out.trim_start().chars().next(), Some('{'));
    let run = desk.run(&["config", "show"]).await;
    assert!(!run.out.contains("hdy_good") && run.out.contains("(hidden)"), "{run:?}");
    assert_eq!(desk.run(&["config", "get", "token", "-o", "raw"]).await.out, "hdy_good\n");
    let run = desk.run(&["config", "show", "--resolved", "-o", "table"]).await;
    assert!(run.out.contains("environment HOODY_BASE_URL"), "{run:?}");
    assert_eq!(desk.run(&["config", "set", "output", "xml"]).await.code, 1);
    assert_eq!(desk.run(&["config", "unset", "output"]).await.code, 0);
    assert_eq!(desk.run(&["config", "validate"]).await.code, 0);

    std::fs::write(desk.home.path().join(".hoody/config.json"), "{broken").unwrap();
    assert_eq!(desk.run(&["projects", "list"]).await.code, 1);
    assert_eq!(desk.run(&["config", "validate"]).await.code, 1);
    assert_eq!(desk.run(&["config", "path"]).await.code, 0);
    assert_eq!(desk.run(&["config", "reset", "--yes"]).await.code, 0);
    assert!(!desk.home.path().join(".hoody/config.json").exists());
}

#[tokio::test]
async fn a_value_of_the_vault_goes_in_and_comes_out_as_it_is() {
    let (stage, address) = Stage::open().await;
    let desk = Desk::at(&address).with("HOODY_TOKEN", "hdy_good");
    let file = desk.home.path().join("value");
    std::fs::write(&file, "-----BEGIN\nx\n").unwrap();
    let file = file.to_str().unwrap();
    for (line, sent, metadata) in [
        (&["vault", "set", "tls.key", "--value-file", file][..], "-----BEGIN\nx\n", "kept"),
        (&["v", "set", "tls.key", "--value", "-x"], "-x", "kept"),
        (&["v", "put", "k", "--value", "", "--metadata", r#"{"a":1}"#], "", r#"{"a":1}"#),
        (
            &["v", "set", "k", "--value", "x", "--metadata", "null", "--realm-id", REALM],
            "realm_id=507f1f77bcf86cd799439012x",
            "null",
        ),
    ] {
        let run = desk.run(line).await;
        assert_eq!(run.code, 0, "{line:?}: {run:?}");
        assert_eq!(stage.seen().last().unwrap(), &(sent.to_owned(), metadata.to_owned()), "{line:?}");
        assert!(!run.out.contains("BEGIN") && run.out.starts_with("Set "), "{run:?}");
    }
    let as_json = desk.run(&["vault", "set", "tls.key", "--value-file", file, "-o", "json"]).await;
    assert!(!as_json.out.contains("BEGIN"), "{as_json:?}");
    // Ends its line once for people, and is exact for programs.
    assert_eq!(desk.run(&["vault", "get", "tls.key"]).await.out, "-----BEGIN\nx\n");
    assert_eq!(desk.run(&["vault", "get", "tls.key", "-o", "raw"]).await.out, "-----BEGIN\nx\n");
    let record: Value =
        serde_json::from_str(&desk.run(&["vault", "get", "tls.key", "-o", "json"]).await.out).unwrap();
    assert_eq!(record["value"], "-----BEGIN\nx\n");
    assert_eq!(desk.run(&["vault", "list"]).await.err, "No keys. `hoody vault set` makes one.\n");
    assert_eq!(desk.run(&["vault", "clear"]).await.out, "Deleted 3 keys.\n");
    let not_text = desk.home.path().join("bytes");
    std::fs::write(&not_text, [0xff]).unwrap();
    let run = desk.run(&["vault", "set", "k", "--value-file", not_text.to_str().unwrap()]).await;
    assert_eq!(run.code, 1);
    assert!(run.err.contains("as text"), "{run:?}");
    let read = |line: &[&str]| parse_all(&line.iter().map(OsString::from).collect::<Vec<_>>());
    for key in ["", ".", "..", "a/b", "a b"] {
        assert!(read(&["hoody", "vault", "delete", key]).is_err(), "{key:?}");
    }
}

#[tokio::test]
async fn a_token_is_named_by_its_alias_too() {
    let (_stage, address) = Stage::open().await;
    let desk = Desk::at(&address).with("HOODY_TOKEN", "hdy_good");
    for line in [
        &["auth", "get", "ci"][..],
        &["auth", "update", "ci", "--enabled", "false"],
        &["auth", "realms", "remove", "ci", "--realm-id", REALM, "--yes"],
        &["auth", "delete", "ci", "--yes"],
        &["auth", "get", TOKEN_ID],
    ] {
        let run = desk.run(line).await;
        assert_eq!(run.code, 0, "{line:?}: {run:?}");
        assert!(run.err.contains(TOKEN_ID) || run.out.contains(TOKEN_ID), "{line:?}: {run:?}");
    }
    for line in [&["auth", "get", "cj"][..], &["auth", "delete", "CI", "--yes"]] {
        let run = desk.run(line).await;
        assert_eq!(run.code, 1, "{line:?}: {run:?}");
        assert!(run.err.contains("there is no token") && run.err.contains("auth list"), "{run:?}");
    }
}

#[tokio::test]
async fn a_template_says_that_it_wins() {
    let (_stage, address) = Stage::open().await;
    let desk = Desk::at(&address).with("HOODY_TOKEN", "hdy_good");
    let both = ["auth", "create", "--permission-template", "read_only", "--permissions-projects-create"];
    let run = desk.run(&both).await;
    assert!(run.code == 0 && run.err.contains("--permission-template wins"), "{run:?}");
    let run = desk.run(&["auth", "create", "--permission-template", "read_only"]).await;
    assert!(run.code == 0 && !run.err.contains("wins"), "{run:?}");
}
