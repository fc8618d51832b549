//! What a row of the request log is a sign of.

use crate::grant::Credential;
use crate::id::{SessionId, TokenId};

/// What counts of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// Who asked; `None` for somebody who was signing in.
    pub credential: Option<Credential>,
    /// The rule that refused it: [`crate::grant::Deny::name`], or why a login failed.
    pub reason: Option<&'a str>,
}

/// Something that may be worth an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// A token that is in force came from somewhere, refused there or not.
    TokenSeen(TokenId),
    /// A token was refused.
    TokenRefused(TokenId),
    /// A session was refused.
    SessionRefused(SessionId),
    /// A token that is deleted, expired or disabled was sent.
    DeadToken(TokenId),
    /// A password or a code was wrong.
    LoginFailed,
}

/// A credential that is over: of tokens an alert of its own, of sessions what happens every day.
const OVER: [&str; 4] = ["disabled", "expired", "revoked", "unknown"];
/// What is said of a login that failed.
const FAILED: [&str; 4] = ["credentials", "second_factor", "locked", "rate_limited"];

/// What a request is a sign of: at most two things.
pub fn signs(request: Request<'_>) -> impl Iterator<Item = Sign> + use<> {
    let is_over = request.reason.is_some_and(|reason| OVER.contains(&reason));
    let is_refused = request.reason.is_some();
    let [first, second] = match request.credential {
        Some(Credential::Token(token)) if is_over => [Some(Sign::DeadToken(token)), None],
        Some(Credential::Token(token)) => {
            [Some(Sign::TokenSeen(token)), is_refused.then_some(Sign::TokenRefused(token))]
        }
        Some(Credential::Session(session)) if is_refused && !is_over => {
            [Some(Sign::SessionRefused(session)), None]
        }
        Some(Credential::Session(_)) => [None, None],
        None => {
            let is_failed = request.reason.is_some_and(|reason| FAILED.contains(&reason));
            [is_failed.then_some(Sign::LoginFailed), None]
        }
    };
    first.into_iter().chain(second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id;

    fn of(credential: Option<Credential>, reason: Option<&str>) -> Vec<Sign> {
        signs(Request { credential, reason }).collect()
    }

    #[test]
    fn a_request_is_a_sign_of_what_it_says() {
        let (token, session): (TokenId, SessionId) = (Id::from_bytes([1; 12]), Id::from_bytes([2; 12]));
        let by_token = |reason| of(Some(Credential::Token(token)), reason);
        let by_session = |reason| of(Some(Credential::Session(session)), reason);
        assert_eq!(by_token(None), [Sign::TokenSeen(token)]);
        for reason in ["address", "permission", "realm", "read_only", "banned", "rate_limited"] {
            assert_eq!(by_token(Some(reason)), [Sign::TokenSeen(token), Sign::TokenRefused(token)]);
            assert_eq!(by_session(Some(reason)), [Sign::SessionRefused(session)]);
        }
        for reason in ["disabled", "expired", "revoked"] {
            assert_eq!(by_token(Some(reason)), [Sign::DeadToken(token)]);
        }
        assert_eq!(by_session(Some("expired")), [], "every session ends");
        assert_eq!(by_session(None), []);
        for reason in ["credentials", "second_factor", "locked", "rate_limited"] {
            assert_eq!(of(None, Some(reason)), [Sign::LoginFailed]);
        }
        assert_eq!(of(None, None), []);
    }
}
