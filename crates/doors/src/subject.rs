//! What a question is about: the client's request, and who holds the credential.

use hoody_core::host::name_of;
use hoody_core::id::{TokenId, UserId};
use http::HeaderValue;

use crate::refusal::Refusal;

/// The request that a client sent to the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Original<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its target with the query, as it was sent.
    pub target: &'a str,
    /// Its host, as it was sent.
    pub host: &'a str,
}

impl Original<'_> {
    /// Checks that method and host are what they say.
    ///
    /// # Errors
    /// [`Refusal::Headers`].
    pub fn check(&self) -> Result<(), Refusal> {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if self.method.is_empty() || self.method.len() > 32 || !self.method.bytes().all(is_token) {
            return Err(Refusal::Headers("The original method must be one method of HTTP"));
        }
        // A proxy that joins two hosts with a comma is refused here too: no name has one.
        if !name_of(self.host).is_ok_and(|name| !name.is_empty()) {
            return Err(Refusal::Headers("The original host must be one host name"));
        }
        Ok(())
    }
}

/// The holder of a credential that a gate let in, as the service behind it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The account that the credential acts for.
    pub account: UserId,
    /// The token; `None` for a session.
    pub token: Option<TokenId>,
    /// The token's alias.
    pub alias: Box<str>,
    /// What the operator's service calls whom the token is for.
    pub external_id: Box<str>,
    /// The permissions that it holds: [`crate::answer::permissions`].
    pub permissions: HeaderValue,
}
