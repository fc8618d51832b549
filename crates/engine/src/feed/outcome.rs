//! What became of a request that changes something, told truthfully: 503 with `Retry-After` promises that
//! nothing was done.

use std::cell::Cell;

use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode, header};

use crate::error::Error;

tokio::task_local! {
    /// Whether this request committed a change.
    static IS_DONE: Cell<bool>;
    /// The last position that this request committed at, if it waits for that to be in force everywhere.
    static COMMITTED: Cell<i64>;
}

/// This request committed at `pos`.
pub(super) fn note_committed(pos: i64) {
    let _ = COMMITTED.try_with(|committed| committed.set(pos));
}

/// Runs `request`: its answer, and the last position that it committed at, 0 when it committed nothing.
pub async fn committed<T>(request: impl Future<Output = T>) -> (T, i64) {
    let answered = async {
        let answer = request.await;
        (answer, COMMITTED.with(Cell::get))
    };
    COMMITTED.scope(Cell::new(0), answered).await
}

/// This request committed a change.
pub(super) fn note_done() {
    let _ = IS_DONE.try_with(|is_done| is_done.set(true));
}

/// What a request that took too long is told.
pub fn too_late(method: &Method) -> Error {
    if method.is_safe() {
        return Error::Timeout;
    }
    Error::OutcomeUnknown("The request took too long: check whether the change was made before you try again")
}

/// What a request is told that was answered and could not be logged.
pub fn not_logged(method: &Method) -> Error {
    if method.is_safe() {
        return Error::Unavailable("The request could not be logged; try again");
    }
    Error::OutcomeUnknown(
        "The request could not be logged: check whether the change was made before you try again",
    )
}

/// Runs `request`. When it committed a change and then failed for want of the database, the answer does not
/// invite to repeat it.
pub async fn told(request: impl Future<Output = Response>) -> Response {
    let answered = async {
        let answer = request.await;
        (answer, IS_DONE.with(Cell::get))
    };
    let (answer, is_done) = IS_DONE.scope(Cell::new(false), answered).await;
    let invites = answer.status() == StatusCode::SERVICE_UNAVAILABLE
        && answer.headers().contains_key(header::RETRY_AFTER);
    if is_done && invites {
        return Error::OutcomeUnknown(
            "The change was made, but its result could not be read: look at it again",
        )
        .into_response();
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_that_was_committed_is_never_to_be_repeated() {
        let unavailable = || Error::Unavailable("not now").into_response();
        let answer = told(async {
            note_done();
            unavailable()
        });
        assert!(!answer.await.headers().contains_key(header::RETRY_AFTER));
        assert!(told(async { unavailable() }).await.headers().contains_key(header::RETRY_AFTER));
    }

    #[test]
    fn only_what_changes_nothing_is_invited_to_try_again() {
        for (method, code, invites) in [
            (Method::GET, "TIMEOUT", true),
            (Method::POST, "OUTCOME_UNKNOWN", false),
            (Method::PATCH, "OUTCOME_UNKNOWN", false),
            (Method::PUT, "OUTCOME_UNKNOWN", false),
            (Method::DELETE, "OUTCOME_UNKNOWN", false),
        ] {
            let error = too_late(&method);
            assert_eq!((error.code(), error.retry_after().is_some()), (code, invites), "{method}");
            assert_eq!(not_logged(&method).retry_after().is_some(), invites, "{method}");
        }
    }
}
