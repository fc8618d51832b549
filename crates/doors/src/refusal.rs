//! The reasons why a gate refuses a request, each with its status, code and message.

use std::borrow::Cow;

use hoody_core::grant::Deny;
use hoody_core::refusal::told;

use crate::path::Fault;

/// Why a gate refuses. Each has one status, code and sentence at every door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A forwarded header is missing, there twice, or unreadable: the proxy is not set up for this gate.
    Headers(&'static str),
    /// `X-Forwarded-For` does not tell the caller's address.
    ForwardedFor,
    /// The URL or the extensions that the proxy was given are wrong.
    Parameter(String),
    /// The original target is not canonical.
    Path(Fault),
    /// The gate needs forwarded headers, and the peer is none of the trusted proxies.
    ProxyUntrusted,
    /// No gate has this id, or its account may not have one.
    UnknownGate,
    /// The gate does not answer for this host.
    Host,
    /// No row of the gate matches.
    NoRoute,
    /// The gate does not let this account's credentials in.
    Account,
    /// The credential lacks what the row needs; these permissions, joined by spaces.
    Permission(Box<str>),
    /// A rule of the credential itself.
    Denied(Deny),
    /// A limit of the token is used up.
    Limited {
        /// When to try again, in seconds; `None` where that would not help.
        retry_after: Option<u64>,
        /// The fields `RateLimit-Policy` and `RateLimit`.
        fields: Option<(Box<str>, Box<str>)>,
    },
    /// It cannot be decided now.
    Unavailable,
    /// The operator's set-up of hoody does not allow what the proxy asks.
    Config(&'static str),
}

/// What kind of challenge a refusal has (RFC 6750, 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge<'a> {
    /// Nothing was sent: no error attribute.
    Missing,
    /// `error="invalid_token"`.
    InvalidToken,
    /// `error="insufficient_scope"`, with the scope that is needed.
    InsufficientScope(&'a str),
}

impl Refusal {
    /// The HTTP status: 400, 401, 403, 429, 500 or 503.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Headers(_) | Self::ForwardedFor | Self::Parameter(_) | Self::Path(_) => 400,
            Self::ProxyUntrusted
            | Self::UnknownGate
            | Self::Host
            | Self::NoRoute
            | Self::Account
            | Self::Permission(_) => 403,
            Self::Denied(deny) => told(*deny, None).status,
            Self::Limited { .. } => 429,
            Self::Config(_) => 500,
            Self::Unavailable => 503,
        }
    }

    /// The machine code: `X-Hoody-Code`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Headers(_) => "GATE_HEADERS",
            Self::ForwardedFor => "INVALID_FORWARDED_FOR",
            Self::Parameter(_) => "INVALID_PARAMETER_VALUE",
            Self::Path(_) => "PATH_NOT_CANONICAL",
            Self::ProxyUntrusted => "GATE_PROXY_UNTRUSTED",
            Self::UnknownGate => "GATE_UNKNOWN",
            Self::Host => "GATE_HOST",
            Self::NoRoute => "NO_ROUTE",
            Self::Account => "GATE_ACCOUNT",
            Self::Permission(_) => "INSUFFICIENT_PERMISSIONS",
            Self::Denied(deny) => told(*deny, None).code,
            Self::Limited { .. } => "RATE_LIMIT_EXCEEDED",
            Self::Config(_) => "GATE_CONFIG",
            Self::Unavailable => "UNAVAILABLE",
        }
    }

    /// The rule's name in logs and metrics: short, fixed, without data.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Headers(_) => "gate_headers",
            Self::ForwardedFor => "forwarded_for",
            Self::Parameter(_) => "parameter",
            Self::Path(_) => "path_not_canonical",
            Self::ProxyUntrusted => "proxy_untrusted",
            Self::UnknownGate => "gate_unknown",
            Self::Host => "gate_host",
            Self::NoRoute => "no_route",
            Self::Account => "gate_account",
            Self::Permission(_) => "permission",
            Self::Denied(deny) => deny.name(),
            Self::Limited { .. } => "rate_limited",
            Self::Config(_) => "gate_config",
            Self::Unavailable => "unavailable",
        }
    }

    /// The sentence for people. It repeats no address, path or credential.
    #[must_use]
    pub fn message(&self) -> Cow<'static, str> {
        match self {
            Self::Headers(rule) => (*rule).into(),
            Self::ForwardedFor => {
                "X-Forwarded-For of the proxy does not tell the caller's address, or has more than 32 entries"
                    .into()
            }
            Self::Parameter(rule) => rule.clone().into(),
            Self::Path(fault) => format!("The path is not canonical: {fault}").into(),
            Self::ProxyUntrusted => {
                "The peer is not a trusted proxy; add its address to --trusted-proxies".into()
            }
            Self::UnknownGate => "No gate has this id".into(),
            Self::Host => "The gate does not answer for this host; add it to the gate's hosts".into(),
            Self::NoRoute => "No route of the gate allows this request".into(),
            Self::Account => "The gate does not accept tokens of this account".into(),
            Self::Permission(scope) if scope.is_empty() => "Insufficient permissions".into(),
            Self::Permission(scope) => format!("Insufficient permissions: {scope} is required").into(),
            Self::Denied(Deny::TokenRequired) => {
                "Insufficient permissions: the gate accepts tokens, not sessions".into()
            }
            Self::Denied(deny) => told(*deny, None).message.into(),
            Self::Limited { .. } => "Rate limit exceeded".into(),
            Self::Config(rule) => (*rule).into(),
            Self::Unavailable => "The credential cannot be checked now; try again".into(),
        }
    }

    /// The challenge of a refusal, where it has one: with every 401, and with 403 where a permission is missing.
    #[must_use]
    pub fn challenge(&self) -> Option<Challenge<'_>> {
        match self {
            Self::Permission(scope) => Some(Challenge::InsufficientScope(scope)),
            Self::Denied(Deny::Missing) => Some(Challenge::Missing),
            Self::Denied(_) if self.status() == 401 => Some(Challenge::InvalidToken),
            Self::Denied(_) if self.code() == "INSUFFICIENT_PERMISSIONS" => {
                Some(Challenge::InsufficientScope(""))
            }
            _ => None,
        }
    }
}
