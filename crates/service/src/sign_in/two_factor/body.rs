//! What requests about the second factor contain: closed objects, like those about tokens.

use hoody_core::invalid::Invalid;
use hoody_core::json::Fields;
use hoody_core::totp::Code;
use hoody_core::{password, wire};
use serde_json::Value;

use crate::sign_in::pkce;

/// The longest text that may be a code; longer ones are not read.
const MAX_CODE: usize = 32;

/// `POST /2fa/verify`.
#[derive(Debug)]
pub(super) struct Verify {
    pub(super) code: Code,
    pub(super) temp_token: Option<wire::Secret>,
    pub(super) client: Option<String>,
    /// Whether an intent is wanted; `None` leaves it to the login.
    pub(super) is_intent: Option<bool>,
}

impl Verify {
    pub(super) fn parse(body: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of_body(body)?;
        let code = fields.string("code");
        let temp_token = fields.string("temp_token");
        let is_intent = pkce::is_intent(&mut fields);
        let client = fields.string("client");
        fields.close()?;
        let code = any_code(required(code, "code")?)?;
        let client = client.map(str::to_owned);
        Ok(Self { code, temp_token: temp_token.map(Into::into), client, is_intent })
    }
}

/// `POST /2fa/setup`: the password.
pub(super) fn parse_setup(body: &Value) -> Result<wire::Secret, Invalid> {
    let mut fields = Fields::of_body(body)?;
    let password = fields.string("password");
    fields.close()?;
    read_password(password)
}

/// `POST /2fa/verify-setup`: six digits.
pub(super) fn parse_confirm(body: &Value) -> Result<Code, Invalid> {
    let mut fields = Fields::of_body(body)?;
    let code = fields.string("code");
    fields.close()?;
    digits(required(code, "code")?)
}

/// `DELETE /2fa`: the password, and a code of either kind.
pub(super) fn parse_disable(body: &Value) -> Result<(wire::Secret, Code), Invalid> {
    let (password, code) = read_both(body)?;
    Ok((read_password(password)?, any_code(required(code, "code")?)?))
}

/// `POST /2fa/backup-codes/regenerate`: the password, and six digits.
pub(super) fn parse_regenerate(body: &Value) -> Result<(wire::Secret, Code), Invalid> {
    let (password, code) = read_both(body)?;
    Ok((read_password(password)?, digits(required(code, "code")?)?))
}

fn read_both(body: &Value) -> Result<(Option<&str>, Option<&str>), Invalid> {
    let mut fields = Fields::of_body(body)?;
    let (password, code) = (fields.string("password"), fields.string("code"));
    fields.close()?;
    Ok((password, code))
}

/// `PUT /2fa/token-gate`.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) is_on: bool,
    password: Option<wire::Secret>,
    otp_code: Option<wire::Secret>,
}

impl Gate {
    pub(super) fn parse(body: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of_body(body)?;
        let is_on = fields.boolean("enabled");
        let password = fields.string("password");
        let otp_code = fields.string("otp_code");
        if otp_code.is_some_and(|code| code.chars().count() > 12) {
            fields.violate("/otp_code", "must have at most 12 characters");
        }
        fields.close()?;
        let is_on = is_on.ok_or_else(|| Invalid::missing("enabled"))?;
        Ok(Self { is_on, password: password.map(Into::into), otp_code: otp_code.map(Into::into) })
    }

    /// What turning it off takes.
    pub(super) fn proof(&self) -> Result<(wire::Secret, Option<Code>), Invalid> {
        let password = read_password(self.password.as_ref().map(wire::Secret::expose))?;
        let code = self.otp_code.as_ref().filter(|code| !code.expose().trim().is_empty());
        let code = code.ok_or_else(super::otp_required)?;
        Ok((password, Code::parse(code.expose())))
    }
}

fn required<'a>(value: Option<&'a str>, field: &str) -> Result<&'a str, Invalid> {
    value.filter(|value| !value.is_empty()).ok_or_else(|| Invalid::missing(field))
}

fn read_password(given: Option<&str>) -> Result<wire::Secret, Invalid> {
    let given = required(given, "password")?;
    password::check_given(given, "password")?;
    Ok(given.into())
}

pub fn any_code(text: &str) -> Result<Code, Invalid> {
    let code = if text.len() <= MAX_CODE { Code::parse(text) } else { None };
    code.ok_or_else(|| {
        Invalid::validation("code must be six digits, or a backup code of ten letters and digits")
    })
}

/// Six digits and nothing else: where no backup code is taken.
fn digits(text: &str) -> Result<Code, Invalid> {
    let code = <[u8; 6]>::try_from(text.as_bytes()).ok().filter(|code| code.iter().all(u8::is_ascii_digit));
    code.map(Code::Totp).ok_or_else(|| Invalid::validation("code must be six digits"))
}
