//! What requests of signing up contain. Unknown keys are ignored, as on login.

use hoody_core::invalid::Invalid;
use hoody_core::json::Fields;
use hoody_core::pkce::Challenge;
use hoody_core::{names, one_time, password, wire};
use serde_json::Value;

use crate::mail;
use crate::sign_in::pkce;
use crate::sign_in::sessions::client_name;

/// The longest text that a client may call itself, in characters.
const MAX_CLIENT: usize = 64;
/// The longest invitation.
const MAX_INVITATION: usize = 128;

/// `POST /auth/signup`.
#[derive(Debug)]
pub(super) struct SignUp {
    pub(super) email: String,
    pub(super) password: wire::Secret,
    pub(super) invite_code: Option<wire::Secret>,
}

impl SignUp {
    pub(super) fn parse(body: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of_body(body)?;
        let email = fields.string("email");
        let given = fields.string("password");
        let region = fields.nullable_string("region").flatten();
        let code = fields.nullable_string("invite_code").flatten();
        let client = fields.nullable_string("client").flatten();
        fields.close_open()?;
        let email = read_email(email)?;
        let given = given.ok_or_else(|| Invalid::missing("password"))?;
        password::check_new(given)?;
        if region.is_some() {
            return Err(Invalid::validation("region must be left out: this server has no regions"));
        }
        if code.is_some_and(|code| !(1..=MAX_INVITATION).contains(&code.chars().count())) {
            return Err(Invalid::validation(format!(
                "invite_code must have 1 to {MAX_INVITATION} characters"
            )));
        }
        check_client(client)?;
        Ok(Self { email, password: given.into(), invite_code: code.map(Into::into) })
    }
}

/// `POST /auth/verify-email`.
#[derive(Debug)]
pub(super) struct Verify {
    pub(super) token: wire::Secret,
    /// Of the sign-up that the mail belongs to.
    pub(super) password: Option<wire::Secret>,
    pub(super) client: &'static str,
    /// Of an intent.
    pub(super) challenge: Option<Challenge>,
}

impl Verify {
    pub(super) fn parse(body: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of_body(body)?;
        let token = fields.string("token");
        let given = fields.string("password");
        let is_intent = pkce::is_intent(&mut fields);
        let challenge = fields.nullable_string("code_challenge").flatten();
        let client = fields.nullable_string("client").flatten();
        fields.close_open()?;
        let token = read_token(token)?;
        given.map_or(Ok(()), |given| password::check_given(given, "password"))?;
        check_client(client)?;
        let challenge = match (is_intent, challenge) {
            (Some(true), None) => return Err(Invalid::missing("code_challenge")),
            (Some(true), Some(challenge)) => Some(Challenge::parse(challenge)?),
            _ => None,
        };
        Ok(Self { token, password: given.map(Into::into), client: client_name(client), challenge })
    }
}

/// `POST /auth/resend-verification` and `/auth/forgot-password`: the address.
pub(super) fn parse_request(body: &Value) -> Result<String, Invalid> {
    let mut fields = Fields::of_body(body)?;
    let email = fields.string("email");
    fields.close_open()?;
    read_email(email)
}

/// `POST /auth/reset-password`.
#[derive(Debug)]
pub(super) struct Reset {
    pub(super) token: wire::Secret,
    /// The new one.
    pub(super) password: wire::Secret,
    pub(super) ends_tokens: bool,
}

impl Reset {
    pub(super) fn parse(body: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of_body(body)?;
        let token = fields.string("token");
        let given = fields.string("password");
        let ends_tokens = fields.boolean("end_tokens");
        fields.close_open()?;
        let token = read_token(token)?;
        let given = given.ok_or_else(|| Invalid::missing("password"))?;
        password::check_new(given)?;
        Ok(Self { token, password: given.into(), ends_tokens: ends_tokens.unwrap_or(false) })
    }
}

fn read_email(email: Option<&str>) -> Result<String, Invalid> {
    let email = names::compose(email.ok_or_else(|| Invalid::missing("email"))?);
    if !mail::is_deliverable(names::email(&email)?) {
        return Err(Invalid::validation("email must be an address that mail can be sent to"));
    }
    Ok(email)
}

fn read_token(token: Option<&str>) -> Result<wire::Secret, Invalid> {
    let token = token.ok_or_else(|| Invalid::missing("token"))?;
    if token.chars().take(one_time::LENGTH + 1).count() != one_time::LENGTH {
        return Err(Invalid::validation(format!("token must have {} characters", one_time::LENGTH)));
    }
    Ok(token.into())
}

fn check_client(client: Option<&str>) -> Result<(), Invalid> {
    if client.is_some_and(|client| client.chars().take(MAX_CLIENT + 1).count() > MAX_CLIENT) {
        return Err(Invalid::validation(format!("client must have at most {MAX_CLIENT} characters")));
    }
    Ok(())
}
