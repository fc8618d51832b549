//! The process's own streams, where no [`Output`](super::output::Output) is at hand: help, questions, the
//! client's log.

use std::io::{self, Write as _};

use tracing_subscriber::prelude::*;

use super::failure::Failure;
use super::output::not_written;
use super::printable;

/// What clap says: help to standard output, wrong usage to standard error.
pub fn usage(error: &clap::Error) {
    let text = error.render().to_string();
    // It quotes what was given, which a script may have from others.
    let _ = if printable::is_changed(&text) {
        let text = printable::lines(&text);
        if error.use_stderr() {
            io::stderr().write_all(text.as_bytes())
        } else {
            io::stdout().write_all(text.as_bytes())
        }
    } else {
        error.print()
    };
}

/// Text that is not the client's to shape: completion scripts.
pub(crate) fn script(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| not_written(&error))
}

/// Bytes that a command elsewhere wrote to its standard error.
pub(crate) fn errors(bytes: &[u8]) {
    let mut err = io::stderr();
    let _ = err.write_all(bytes).and_then(|()| err.flush());
}

/// Where to ask questions: standard error, so that results stay clean.
pub(crate) fn ask(question: &str) {
    let mut err = io::stderr();
    let question = printable::lines(question);
    let _ = err.write_all(question.as_bytes()).and_then(|()| err.flush());
}

/// Sends the client's own log to standard error: pauses always, every request when `is_verbose`.
pub(crate) fn trace(is_verbose: bool) {
    let level = if is_verbose { tracing::Level::DEBUG } else { tracing::Level::WARN };
    let filter = tracing_subscriber::filter::Targets::new().with_target("hoody_client", level);
    let lines = tracing_subscriber::fmt::layer()
        // A line that cannot be written is lost; telling of it would be a panic.
        .log_internal_errors(false)
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .with_filter(filter);
    // A second one is refused; the first is as good.
    let _ = tracing_subscriber::registry().with(lines).try_init();
}
