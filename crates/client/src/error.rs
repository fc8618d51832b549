//! What can go wrong. Nothing here holds a secret: answers that cannot be read are described by place,
//! never quoted, because a quotation could be a token.

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use crate::base::BaseError;

/// The code of a change that may have been made, or not.
pub(crate) const OUTCOME_UNKNOWN: &str = "OUTCOME_UNKNOWN";

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server refused.
    #[error(transparent)]
    Api(Box<ApiError>),
    /// The call was not sent: its credential cannot be.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The server could not be reached: nothing was done.
    #[error("cannot reach {origin}")]
    Network {
        /// Scheme, host and port that were tried.
        origin: String,
        /// What the connection says.
        source: reqwest::Error,
    },
    /// The connection broke after the request was sent.
    #[error("the connection to {origin} broke before the answer to {route} was complete")]
    Broken {
        /// Scheme, host and port that were asked.
        origin: String,
        /// Which route was called.
        route: String,
        /// Whether the call changes something: it may have done so.
        is_change: bool,
        /// What the connection says.
        source: reqwest::Error,
    },
    /// No answer in time.
    #[error("no answer from {origin} to {route} in time")]
    Timeout {
        /// Scheme, host and port that were tried.
        origin: String,
        /// Which route was called.
        route: String,
        /// Whether the call changes something: it may have done so.
        is_change: bool,
    },
    /// The server answers with a redirect, which is never followed: the credential stays here.
    #[error("the server redirects to {location}: use that as the base address if you trust it")]
    Redirected {
        /// Where to; `another address` when the answer does not say.
        location: String,
    },
    /// The answer is not what the contract says.
    #[error("cannot read the answer to {route} (HTTP {status}): unexpected at line {line}, column {column}")]
    Decode {
        /// Which route was called.
        route: String,
        /// With which status it answered.
        status: StatusCode,
        /// Where in the body, from 1; 0 when it is empty.
        line: usize,
        /// Where in the line.
        column: usize,
    },
    /// The answer is larger than any that the contract has.
    #[error("the answer to {route} is larger than {limit} bytes")]
    TooLarge {
        /// Which route was called.
        route: String,
        /// What is read at most.
        limit: usize,
    },
}

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The base address is none, or has no host for the realm.
    #[error("base address {address:?} cannot be used")]
    Base {
        /// As given, without a user, a password, a query and a fragment: they may be secrets.
        address: String,
        /// What is wrong with it.
        source: BaseError,
    },
    /// The address of the proxy is none: requests would pass it by.
    #[error("{from} is not the address of an HTTP proxy, such as http://proxy.example.com:3128")]
    Proxy {
        /// Where it was given: a variable of the environment, or the setting.
        from: &'static str,
    },
    /// A header's name or value cannot be sent.
    #[error("the header {0:?} cannot be sent")]
    Header(String),
    /// The credential is empty, or has characters that no header can carry.
    #[error("the credential cannot be sent: it is empty or has control characters, e.g. a line break")]
    Credential,
    /// What should be trusted holds no certificate in PEM.
    #[error("the certificates to trust cannot be read: they must be PEM")]
    Authorities,
    /// TLS could not be set up.
    #[error("cannot set up the HTTP client")]
    Http(#[source] reqwest::Error),
}

/// A refusal, as the server gives it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The machine code to branch on, e.g. `INVALID_TOKEN`; empty when the answer has none.
    pub code: String,
    /// What is wrong, for people.
    pub message: String,
    /// More about it: for a 422 the list of violations.
    pub data: Option<Value>,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
}

impl Error {
    /// The server's refusal, if it is one.
    #[must_use]
    pub fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            _ => None,
        }
    }

    /// Whether the server refused with this machine code.
    #[must_use]
    pub fn has_code(&self, code: &str) -> bool {
        self.api().is_some_and(|error| error.code == code)
    }

    /// Whether a change may have been made all the same: look before you make it again.
    #[must_use]
    pub fn is_outcome_unknown(&self) -> bool {
        match self {
            Self::Api(error) => error.code == OUTCOME_UNKNOWN,
            Self::Broken { is_change, .. } | Self::Timeout { is_change, .. } => *is_change,
            _ => false,
        }
    }

    /// Whether the credential was missing, unknown or at its end. A wrong code or password given beside a
    /// good credential is not that: another credential would not help.
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        const BESIDE: [&str; 3] = ["INVALID_OTP_CODE", "INVALID_BACKUP_CODE", "INCORRECT_PASSWORD"];
        self.api().is_some_and(|error| {
            error.status == StatusCode::UNAUTHORIZED && !BESIDE.contains(&error.code.as_str())
        })
    }
}
