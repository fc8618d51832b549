//! An error and its causes in one line.

use std::error::Error;

/// `error` and its causes, separated by colons. A library that repeats a cause in its own words does not make
/// it be said twice.
#[must_use]
pub fn in_full(error: &(dyn Error + 'static)) -> String {
    std::iter::successors(Some(error), |&error| error.source()).fold(String::new(), |text, cause| {
        let cause = cause.to_string();
        match text.as_str() {
            "" => cause,
            said if said.ends_with(&cause) => text,
            said => format!("{said}: {cause}"),
        }
    })
}
