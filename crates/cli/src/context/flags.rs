//! The client's flags that every group takes, before or after the subcommand (`contract/cli.md` 1).
//!
//! They are added to each level of the command by hand instead of being clap's own global ones, because
//! `serve` and `admin` must not have them, and a command may need one of their names for itself:
//! `users update --password` is the new password.

use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};
use hoody_client::wire::Secret;

use crate::terminal::output::Format;

/// What was given on the command line, wherever it stood. The last one wins.
#[derive(Debug, Clone, Default)]
pub struct ClientFlags {
    /// How results look.
    pub output: Option<Format>,
    pub(crate) is_quiet: bool,
    pub(crate) is_verbose: bool,
    pub(crate) is_plain: bool,
    pub(crate) config: Option<PathBuf>,
    pub(crate) profile: Option<String>,
    pub(crate) base_url: Option<String>,
    pub(crate) token: Option<Secret>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) reads_password: bool,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) is_confirmed: bool,
    pub(crate) realm: Option<String>,
    pub(crate) proxy: Option<String>,
    pub(crate) ca_file: Option<String>,
    pub(crate) never_asks: bool,
}

impl ClientFlags {
    /// Collects them from every level.
    pub fn read(matches: &ArgMatches) -> Self {
        let mut flags = Self::default();
        let mut level = Some(matches);
        while let Some(matches) = level {
            flags.take(matches);
            level = matches.subcommand().map(|(_, below)| below);
        }
        flags
    }

    /// Whether any but `--output` stands in front of a subcommand of `matches`.
    pub fn is_any_before(matches: &ArgMatches) -> bool {
        let is_given = |flag: &Arg| {
            let id = flag.get_id().as_str();
            matches!(matches.try_contains_id(id), Ok(true))
                && matches.value_source(id) == Some(ValueSource::CommandLine)
        };
        arguments().iter().skip(1).any(is_given)
    }

    fn take(&mut self, matches: &ArgMatches) {
        replace(&mut self.output, matches, "output");
        replace(&mut self.config, matches, "config");
        replace(&mut self.profile, matches, "profile");
        replace(&mut self.base_url, matches, "base-url");
        replace(&mut self.token, matches, "token");
        replace(&mut self.username, matches, "username");
        replace(&mut self.password, matches, "password");
        replace(&mut self.password_file, matches, "password-file");
        replace(&mut self.realm, matches, "realm");
        replace(&mut self.proxy, matches, "proxy");
        replace(&mut self.ca_file, matches, "ca-file");
        self.is_quiet |= is_set(matches, "quiet");
        self.is_verbose |= is_set(matches, "verbose");
        self.is_plain |= is_set(matches, "no-color");
        self.reads_password |= is_set(matches, "password-stdin");
        self.is_confirmed |= is_set(matches, "yes");
        self.never_asks |= is_set(matches, "non-interactive");
    }
}

fn replace<T: Clone + Send + Sync + 'static>(slot: &mut Option<T>, matches: &ArgMatches, id: &str) {
    // A level that does not have the flag, or has it as something else, is passed over.
    if let Ok(Some(value)) = matches.try_get_one::<T>(id) {
        *slot = Some(value.clone());
    }
}

fn is_set(matches: &ArgMatches, id: &str) -> bool {
    matches!(matches.try_get_one::<bool>(id), Ok(Some(true)))
}

/// Which of the client's flags a group that is not the client's has too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// None.
    None,
    /// `--output`: it shows results too.
    Output,
    /// All of them.
    All,
}

/// The command with the flags on every level; `others` are the groups that have flags of their own.
pub fn with_client_flags(command: Command, others: &[(&str, Share)]) -> Command {
    let flags = arguments();
    names(&command).into_iter().fold(add_here(command, &flags), |command, name| {
        let share = others.iter().find(|(other, _)| *other == name).map_or(Share::All, |(_, share)| *share);
        let shared = match share {
            Share::None => return command,
            Share::Output => &flags[..1],
            Share::All => &flags,
        };
        command.mut_subcommand(name, |below| add(below, shared))
    })
}

fn add(command: Command, flags: &[Arg]) -> Command {
    let below = names(&command);
    below.into_iter().fold(add_here(command, flags), |command, name| {
        command.mut_subcommand(name, |below| add(below, flags))
    })
}

/// Those of `flags` that the command has no flag of its own for, on its own level.
fn add_here(command: Command, flags: &[Arg]) -> Command {
    let is_new = |flag: &&Arg| {
        !command.get_arguments().any(|own| {
            own.get_id() == flag.get_id()
                || own.get_long() == flag.get_long()
                || (own.get_short().is_some() && own.get_short() == flag.get_short())
        })
    };
    let missing: Vec<Arg> = flags.iter().filter(is_new).cloned().collect();
    command.args(missing)
}

fn names(command: &Command) -> Vec<String> {
    command.get_subcommands().map(|below| below.get_name().to_owned()).collect()
}

fn arguments() -> Vec<Arg> {
    let value = |id: &'static str, name: &'static str, help: &'static str| {
        Arg::new(id).long(id).value_name(name).help(help)
    };
    let switch =
        |id: &'static str, help: &'static str| Arg::new(id).long(id).action(ArgAction::SetTrue).help(help);
    let flags = vec![
        value(
            "output",
            "FORMAT",
            "How results look: table, json, yaml, wide or raw; of a stream also ndjson or pretty",
        )
        .short('o')
        .value_parser(|text: &str| text.parse::<Format>()),
        switch("quiet", "Say nothing but results, warnings and errors").short('q'),
        switch("verbose", "Show every request on standard error").short('v'),
        switch("no-color", "No colour [env: NO_COLOR]"),
        value("config", "FILE", "Configuration file [default: ~/.hoody/config.json]")
            .value_parser(value_parser!(PathBuf))
            .value_hint(ValueHint::FilePath),
        value("profile", "NAME", "Named profile of the configuration [env: HOODY_PROFILE]"),
        value(
            "base-url",
            "URL",
            "Where the server is [env: HOODY_BASE_URL] [default: http://127.0.0.1:8080]",
        )
        .value_hint(ValueHint::Url),
        value("token", "TOKEN", "Token or session to use; better in the environment [env: HOODY_TOKEN]")
            .short('t')
            .value_parser(value_parser!(Secret)),
        value("username", "NAME", "Sign in for this command alone [env: HOODY_USERNAME]").short('u'),
        value("password", "PASSWORD", "Its password; better by one of the next two [env: HOODY_PASSWORD]")
            .short('p')
            .value_parser(value_parser!(Secret)),
        switch("password-stdin", "Read the password from standard input"),
        value("password-file", "FILE", "Read the password from a file")
            .value_parser(value_parser!(PathBuf))
            .value_hint(ValueHint::FilePath),
        switch("yes", "Do not ask before deleting").short('y'),
        value("realm", "ID", "Speak to this realm's host; `all` for none [env: HOODY_REALM]"),
        value("proxy", "URL", "Go through this HTTP proxy [env: HTTPS_PROXY, HTTP_PROXY]")
            .value_hint(ValueHint::Url),
        value(
            "ca-file",
            "FILE",
            "Trust the certificates in this PEM file, and no others [env: HOODY_CA_FILE]",
        )
        .value_hint(ValueHint::FilePath),
        switch("non-interactive", "Never ask anything"),
    ];
    let seldom =
        ["no-color", "config", "password-stdin", "password-file", "proxy", "ca-file", "non-interactive"];
    let placed = |(place, flag): (usize, Arg)| {
        let is_hidden = seldom.contains(&flag.get_id().as_str());
        flag.help_heading("Client options").display_order(900 + place).hide_short_help(is_hidden)
    };
    flags.into_iter().enumerate().map(placed).collect()
}
