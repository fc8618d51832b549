//! How the service's own commands print: results to standard output, all else to standard error.

use std::sync::OnceLock;

use hoody_cli::terminal::cell::{text_or, yes_no};
use hoody_cli::terminal::failure::{Exit, Failure};
use hoody_cli::terminal::output::{Format, Output};
use hoody_core::wire::User;
use serde::Serialize;

use hoody_engine::telemetry;

pub(crate) use hoody_cli::terminal::output::View;

/// How the service's own commands show results; set once, before one of them runs.
static SERVICE_FORMAT: OnceLock<Format> = OnceLock::new();

/// Chooses how the service's own commands show results.
pub(crate) fn set_format(format: Format) {
    // A second choice is the first one again.
    let _ = SERVICE_FORMAT.set(format);
}

/// Lines of a result that is too long to be held; false when nobody reads on.
pub(crate) fn lines(text: &str) -> bool {
    kept(of_service().exact(text))
}

/// What the service's own commands have to say to people.
pub(crate) fn note(text: &str) {
    of_service().must_say(text);
}

/// The end of one of the service's own commands that failed.
pub(crate) fn fail(text: &str) {
    of_service().fail(&Failure::failed(text));
}

/// Settings of the service: name, value, where it comes from.
pub(crate) fn settings(rows: impl Iterator<Item = (&'static str, String, String)>) {
    let rows: Vec<_> = rows.map(|(name, value, source)| vec![name.to_owned(), value, source]).collect();
    let view = View::List { titles: &["SETTING", "VALUE", "FROM"], narrow: 3, rows, empty: "Nothing." };
    kept(of_service().show_view(view));
}

/// The accounts of this server.
pub(crate) fn users(users: &[User]) {
    let row = |user: &User| {
        vec![
            user.id.to_string(),
            user.username.clone(),
            text_or(user.email.as_ref(), "-"),
            yes_no(user.is_banned),
            user.created_at.to_string(),
        ]
    };
    let shown = of_service().show(&users, || View::List {
        titles: &["ID", "USERNAME", "E-MAIL", "BANNED", "CREATED"],
        narrow: 5,
        rows: users.iter().map(row).collect(),
        empty: "No accounts.",
    });
    kept(shown);
}

/// A result of one of the service's own commands.
pub(crate) fn of_the_service<T: Serialize>(data: &T, view: impl FnOnce() -> View) {
    kept(of_service().show(data, view));
}

/// Sees to it that a result of one of the service's own commands can be written, where it is shown only once.
pub(crate) fn expect_to_show() -> anyhow::Result<()> {
    of_service().expect_to_show().map_err(|failure| anyhow::anyhow!(failure.message))
}

/// The first result of the service's own commands that could not be written: it ends the command as failed.
static LOST: OnceLock<String> = OnceLock::new();

/// Whether a result was written. A reader that has gone is no error.
fn kept(written: Result<(), Failure>) -> bool {
    let Err(failure) = written else { return true };
    if failure.exit != Exit::PipeClosed {
        // The first one says it all.
        let _ = LOST.set(failure.message);
    }
    false
}

/// What one of the service's own commands could not write.
pub(crate) fn lost() -> Option<&'static str> {
    LOST.get().map(String::as_str)
}

fn of_service() -> Output {
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let output = Output::to_process(SERVICE_FORMAT.get().copied().unwrap_or_default(), false, is_plain);
    match telemetry::lines::to_stderr() {
        // Beside the log, which waits for no reader.
        Some(lines) => output.with_stderr(Box::new(lines)),
        None => output,
    }
}
