//! The one error of the service, and the one place where it becomes an answer.
//!
//! Every refusal of a credential, every broken rule of input and every fault ends here; the table below
//! is the contract's (`contract/README.md` 4). An internal fault is logged once, with its sources, and
//! shows the client nothing but that it happened.

use axum::response::{IntoResponse, Response};
use hoody_core::grant::Deny;
use hoody_core::invalid::Invalid;
use hoody_core::permissions::AnyPermission;
use hoody_core::refusal;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::catalogue::catalogue;
use crate::db::DbError;

/// Why a request was not answered with what it asked for.
#[derive(Debug)]
pub enum Error {
    /// The credential may not do this. With the path of the permission that is missing, if one is.
    Denied(Deny, Option<String>),
    /// The request breaks a rule.
    Invalid(Invalid),
    /// Name and password do not open an account.
    BadCredentials,
    /// The password is right, and nobody has shown that the address is theirs.
    EmailNotVerified { email: String },
    /// The address is proved, and the account has no password: those set before are void.
    PasswordRequired { email: Option<String> },
    /// There is no such thing, or the caller must not know.
    NotFound { code: &'static str, message: &'static str },
    /// The caller may not do this, for a reason beyond its permissions.
    Forbidden { code: &'static str, message: String },
    /// It is well-formed, and more than there is room for.
    Refused { code: &'static str, message: &'static str },
    /// There was one, and its time is over.
    Gone { code: &'static str, message: &'static str },
    /// A device gets no session, or not yet.
    Poll(PollError),
    /// It contradicts what is there.
    Conflict { code: &'static str, message: String },
    /// The caller is known and what it gave to prove itself once more is wrong.
    Unauthorized { code: &'static str, message: &'static str },
    /// A wrong code of the second factor, and how many more may be wrong.
    WrongCode { code: &'static str, remaining: i64 },
    /// Too many wrong codes: none is checked for so many seconds.
    CodesLocked { seconds: u64 },
    /// Counted more often than a limit allows: come back in so many seconds.
    RateLimited { seconds: u64 },
    /// The body is larger than the route takes, in bytes.
    TooLarge { limit: usize },
    /// The path takes other methods.
    MethodNotAllowed,
    /// A cursor points to what is not there any more; where to go on instead.
    CursorGone { code: &'static str, message: &'static str, data: Value },
    /// It took too long.
    Timeout,
    /// Not now, and surely nothing was done: a database that cannot be reached, or more work than the machine
    /// takes.
    Unavailable(&'static str),
    /// A change that may have been made: nobody can tell.
    OutcomeUnknown(&'static str),
    /// A refusal that only one part of the service has. With `Retry-After` in seconds where it says so.
    Other { status: StatusCode, code: &'static str, message: String, retry_after: Option<u64> },
    /// A fault of ours.
    Internal(anyhow::Error),
}

/// Why a poll of a device gives no session (RFC 8628, 3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PollError {
    AuthorizationPending,
    SlowDown,
    AccessDenied,
    ExpiredToken,
}

/// A refusal, with the path of the permission that is missing.
#[must_use]
pub fn denied(deny: Deny) -> Error {
    let leaf = match deny {
        Deny::Permission(AnyPermission::Hoody(leaf)) => Some(catalogue().path(leaf).to_owned()),
        // Who asks for one of the operator's leaves knows its path, and tells it.
        _ => None,
    };
    Error::Denied(deny, leaf)
}

/// `error` carries the code itself for these; everything else has the reason phrase there
/// (`contract/README.md` 3).
const NEWER_CODES: [&str; 9] = [
    "EMAIL_NOT_VERIFIED",
    "DUPLICATE_ALIAS",
    "IP_WHITELIST_TOO_LARGE",
    "AUTH_TOKEN_LIMIT_REACHED",
    "VAULT_LIMIT_EXCEEDED",
    "EVENTS_CURSOR_INVALID",
    "EVENTS_QUERY_CONFLICT",
    "EVENTS_CURSOR_EXPIRED",
    "EVENTS_HISTORY_RESET",
];

/// An error with its causes.
pub fn in_full(error: &anyhow::Error) -> String {
    hoody_core::causes::in_full(error.as_ref())
}

/// On an answer: why somebody who was signing in was refused, in a word for the request log.
#[derive(Debug, Clone, Copy)]
pub struct Refused(pub &'static str);

/// What an error says on the wire.
struct Told {
    status: StatusCode,
    code: &'static str,
    message: String,
    data: Option<Value>,
}

impl Error {
    pub fn internal(error: impl Into<anyhow::Error>) -> Self {
        Self::Internal(error.into())
    }

    /// The machine code, e.g. `INVALID_TOKEN`.
    pub fn code(&self) -> &'static str {
        self.told().code
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.told().status
    }

    /// After how many seconds to try again, where it says so.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::CodesLocked { seconds } | Self::RateLimited { seconds } => Some(*seconds),
            Self::Other { retry_after, .. } => *retry_after,
            // Who repeats it may do it twice.
            Self::OutcomeUnknown(_) => None,
            _ if self.status() == StatusCode::SERVICE_UNAVAILABLE => Some(1),
            _ => None,
        }
    }

    fn refused_for(&self) -> Option<&'static str> {
        match self {
            Self::BadCredentials | Self::PasswordRequired { .. } => Some("credentials"),
            Self::WrongCode { .. } => Some("second_factor"),
            Self::CodesLocked { .. } => Some("locked"),
            Self::RateLimited { .. } => Some("rate_limited"),
            _ => None,
        }
    }

    /// Logs what is a fault of ours; once, where it becomes an answer.
    pub fn log(&self) {
        if let Self::Internal(error) = self {
            tracing::error!(error = in_full(error), "a request failed");
        }
    }

    /// Status, machine code and sentence, as the client is shown them.
    pub fn in_short(&self) -> (u16, &'static str, String) {
        let told = self.told();
        (told.status.as_u16(), told.code, told.message)
    }

    fn told(&self) -> Told {
        let plain =
            |status, code, message: &str| Told { status, code, message: message.to_owned(), data: None };
        match self {
            Self::Denied(deny, leaf) => told_deny(*deny, leaf.as_deref()),
            Self::Invalid(invalid) => told_invalid(invalid),
            Self::BadCredentials => {
                plain(StatusCode::UNAUTHORIZED, "INVALID_CREDENTIALS", "Invalid credentials")
            }
            Self::EmailNotVerified { email } => Told {
                status: StatusCode::UNAUTHORIZED,
                code: "EMAIL_NOT_VERIFIED",
                message: "Email not verified: open the link in the mail, or ask for another one".to_owned(),
                data: Some(json!({ "email": email })),
            },
            Self::PasswordRequired { email } => Told {
                status: StatusCode::UNAUTHORIZED,
                code: "PASSWORD_REQUIRED",
                message: "The address is verified, but nobody is signed in: the password of the sign-up was \
                          missing or wrong, and is void. Ask for an email to set a new one with POST \
                          /api/v1/auth/forgot-password, then sign in"
                    .to_owned(),
                data: Some(json!({ "email": email, "reset": "/api/v1/auth/forgot-password" })),
            },
            Self::NotFound { code, message } => plain(StatusCode::NOT_FOUND, code, message),
            Self::Forbidden { code, message } => plain(StatusCode::FORBIDDEN, code, message),
            Self::Refused { code, message } => plain(StatusCode::BAD_REQUEST, code, message),
            Self::Gone { code, message } => plain(StatusCode::GONE, code, message),
            Self::Poll(error) => told_poll(*error),
            Self::Conflict { code, message } => plain(StatusCode::CONFLICT, code, message),
            Self::Unauthorized { code, message } => plain(StatusCode::UNAUTHORIZED, code, message),
            Self::WrongCode { code, remaining } => told_wrong_code(code, *remaining),
            Self::CodesLocked { seconds } => Told {
                status: StatusCode::TOO_MANY_REQUESTS,
                code: "TWOFACTOR_RATE_LIMIT",
                message: "Too many failed attempts. Account locked for 15 minutes.".to_owned(),
                data: Some(json!({ "lockout_seconds": seconds })),
            },
            Self::RateLimited { .. } => {
                plain(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMIT_EXCEEDED", "Rate limit exceeded")
            }
            Self::TooLarge { limit } => plain(
                StatusCode::PAYLOAD_TOO_LARGE,
                "PAYLOAD_TOO_LARGE",
                &format!("The body is larger than {limit} bytes"),
            ),
            Self::CursorGone { code, message, data } => Told {
                status: StatusCode::GONE,
                code,
                message: (*message).to_owned(),
                data: Some(data.clone()),
            },
            Self::MethodNotAllowed => plain(
                StatusCode::METHOD_NOT_ALLOWED,
                "METHOD_NOT_ALLOWED",
                "This path does not take this method",
            ),
            Self::Timeout => plain(StatusCode::SERVICE_UNAVAILABLE, "TIMEOUT", "The request took too long"),
            Self::Unavailable(message) => plain(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message),
            Self::OutcomeUnknown(message) => {
                plain(StatusCode::SERVICE_UNAVAILABLE, "OUTCOME_UNKNOWN", message)
            }
            Self::Other { status, code, message, .. } => plain(*status, code, message),
            Self::Internal(_) => plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                "INTERNAL_ERROR",
                "Internal error; the request id names it in the server's log",
            ),
        }
    }
}

fn told_deny(deny: Deny, leaf: Option<&str>) -> Told {
    let refusal::Told { status, code, message } = refusal::told(deny, leaf);
    // The table has no other statuses than 401 and 403.
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
    Told { status, code, message, data: None }
}

/// `data.error` is what RFC 8628 calls it.
fn told_poll(error: PollError) -> Told {
    let (code, word, message) = match error {
        PollError::AuthorizationPending => {
            ("AUTHORIZATION_PENDING", "authorization_pending", "Nobody has signed in yet")
        }
        PollError::SlowDown => ("SLOW_DOWN", "slow_down", "Wait for the interval between two polls"),
        PollError::AccessDenied => ("ACCESS_DENIED", "access_denied", "The sign-in was refused"),
        PollError::ExpiredToken => ("EXPIRED_TOKEN", "expired_token", "This device code is no longer valid"),
    };
    let data = Some(json!({ "error": word }));
    Told { status: StatusCode::BAD_REQUEST, code, message: message.to_owned(), data }
}

/// A wrong backup code is 400 where it is told from others, as the contract's samples have it.
fn told_wrong_code(code: &'static str, remaining: i64) -> Told {
    let (status, message) = match code {
        "INVALID_BACKUP_CODE" => (StatusCode::BAD_REQUEST, "Invalid or already used backup code"),
        _ => (StatusCode::UNAUTHORIZED, "Invalid or expired 2FA code"),
    };
    let data = Some(json!({ "attempts_remaining": remaining }));
    Told { status, code, message: message.to_owned(), data }
}

fn told_invalid(invalid: &Invalid) -> Told {
    match invalid {
        Invalid::Rule { code, message } => {
            Told { status: StatusCode::BAD_REQUEST, code, message: message.clone(), data: None }
        }
        Invalid::Schema(violations) => {
            let first = violations.first();
            let message = first.map_or_else(
                || "Validation failed".to_owned(),
                |violation| {
                    let place = match violation.instance_path.as_str() {
                        "" => "the body",
                        pointer => pointer,
                    };
                    format!("Validation failed: {place} {}", violation.message)
                },
            );
            let data = serde_json::to_value(violations).ok();
            Told { status: StatusCode::UNPROCESSABLE_ENTITY, code: "VALIDATION_ERROR", message, data }
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (told, retry_after) = (self.told(), self.retry_after());
        self.log();
        let reason = told.status.canonical_reason().unwrap_or("Error");
        let is_projects_alias = told.code == "DUPLICATE_ALIAS" && told.status == StatusCode::CONFLICT;
        let error = if NEWER_CODES.contains(&told.code) && !is_projects_alias { told.code } else { reason };
        let mut body = json!({
            "statusCode": told.status.as_u16(),
            "error": error,
            "message": told.message,
            "code": told.code,
        });
        if let Some(data) = told.data {
            body["data"] = data;
        }
        let mut response = (told.status, axum_json(&body)).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(word) = self.refused_for() {
            response.extensions_mut().insert(Refused(word));
        }
        if let Self::Denied(deny, _) = self {
            response.extensions_mut().insert(deny);
        }
        response
    }
}

fn axum_json(body: &Value) -> impl IntoResponse + use<> {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body.to_string())
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<PollError> for Error {
    fn from(error: PollError) -> Self {
        Self::Poll(error)
    }
}

impl From<DbError> for Error {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Unavailable(source) => {
                tracing::warn!(error = %source, "the database cannot answer");
                Self::Unavailable("The database cannot answer now; try again")
            }
            DbError::Unknown(source) => {
                tracing::warn!(error = %source, "the result of a COMMIT was lost");
                Self::OutcomeUnknown(
                    "The database did not confirm the change: check whether it was made before you try again",
                )
            }
            other => Self::internal(other),
        }
    }
}
