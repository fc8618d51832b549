//! What requests of the device flow contain. Unknown keys are ignored, as on login.

use hoody_core::device::{MAX_CLIENT_NAME, MAX_USER_CODE};
use hoody_core::invalid::Invalid;
use hoody_core::json::Fields;
use hoody_core::pkce::{Challenge, Verifier};
use hoody_core::{names, one_time, wire};
use serde_json::Value;

use super::Start;
use crate::sign_in::sessions::client_name;
use crate::sign_in::sessions::login::Credentials;

impl Start {
    /// `POST /auth/device/code`.
    pub(super) fn parse(body: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of_body(body)?;
        let name = fields.string("client_name");
        let client = fields.string("client");
        let challenge = fields.string("code_challenge");
        for (field, text) in [("/client_name", name), ("/client", client)] {
            if text.is_some_and(|text| text.chars().count() > MAX_CLIENT_NAME) {
                fields.violate(field, format!("must have at most {MAX_CLIENT_NAME} characters"));
            }
        }
        fields.close_open()?;
        let name = name.map(str::trim).filter(|name| !name.is_empty());
        let client_name_ = name.map(names::client_name).transpose()?.map(str::to_owned);
        let challenge = challenge.map(Challenge::parse).transpose()?;
        Ok(Self { client_name: client_name_, client: client_name(client), challenge })
    }
}

/// `POST /auth/device/verify_code`: the code as it was typed.
pub(super) fn parse_user_code(body: &Value) -> Result<String, Invalid> {
    let mut fields = Fields::of_body(body)?;
    let code = fields.string("user_code");
    if code.is_some_and(|code| code.chars().count() > MAX_USER_CODE) {
        fields.violate("/user_code", format!("must have at most {MAX_USER_CODE} characters"));
    }
    fields.close_open()?;
    Ok(code.filter(|code| !code.trim().is_empty()).ok_or_else(|| Invalid::missing("user_code"))?.to_owned())
}

/// `POST /auth/device/login`: the ticket, and who signs in.
pub(super) fn parse_login(body: &Value) -> Result<(wire::Secret, Credentials), Invalid> {
    let mut fields = Fields::of_body(body)?;
    let (ticket, given) = (fields.string("ticket"), fields.string("password").map(wire::Secret::from));
    let (username, email) = (fields.string("username"), fields.string("email"));
    check_hex(&mut fields, "/ticket", ticket);
    fields.close_open()?;
    let ticket = ticket.ok_or_else(|| Invalid::missing("ticket"))?;
    Ok((ticket.into(), Credentials::read(username, email, given)?))
}

/// `POST /auth/device/deny`: the ticket.
pub(super) fn parse_deny(body: &Value) -> Result<wire::Secret, Invalid> {
    let mut fields = Fields::of_body(body)?;
    let ticket = fields.string("ticket");
    check_hex(&mut fields, "/ticket", ticket);
    fields.close_open()?;
    ticket.map(wire::Secret::from).ok_or_else(|| Invalid::missing("ticket"))
}

/// `POST /auth/device/token`: the device code, and the verifier of its challenge.
pub(super) fn parse_poll(body: &Value) -> Result<(wire::Secret, Option<Verifier>), Invalid> {
    let mut fields = Fields::of_body(body)?;
    let (code, verifier) = (fields.string("device_code"), fields.string("code_verifier"));
    check_hex(&mut fields, "/device_code", code);
    fields.close_open()?;
    let code = code.ok_or_else(|| Invalid::missing("device_code"))?;
    Ok((code.into(), verifier.map(Verifier::parse).transpose()?))
}

fn check_hex(fields: &mut Fields<'_>, pointer: &str, text: Option<&str>) {
    if text.is_some_and(|text| !one_time::is_well_formed(text)) {
        fields.violate(pointer, "must be 64 lowercase hex digits");
    }
}
