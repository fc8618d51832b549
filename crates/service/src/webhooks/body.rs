//! What requests about webhooks say.

use hoody_core::event::Patterns;
use hoody_core::id::RealmId;
use hoody_core::invalid::Invalid;
use hoody_core::json::Fields;
use serde_json::Value;

use super::egress::Egress;

/// The most bytes of an address, and of a description.
const MAX_URL: usize = 2_048;
const MAX_DESCRIPTION: usize = 200;
const MAX_REALMS: usize = 100;

/// What an endpoint is to be; what was left out is `None`.
#[derive(Debug, Default)]
pub struct Given {
    pub url: Option<String>,
    pub description: Option<String>,
    pub types: Option<Patterns>,
    pub realm_ids: Option<Vec<RealmId>>,
    pub is_enabled: Option<bool>,
}

impl Given {
    /// Reads a body; `is_enabled` only where it may be.
    ///
    /// # Errors
    /// 422 for a wrong type or an unknown key, 400 for an address that is none or not allowed, a pattern or a
    /// realm that is none.
    pub fn parse(body: &Value, egress: &Egress, is_change: bool) -> Result<Self, Invalid> {
        let mut fields = Fields::of_body(body)?;
        let url = fields.string("url").map(|text| check_url(text, egress));
        let url = url.and_then(|read| fields.absorb(read));
        let description = fields.string("description").map(|text| {
            let is_plain = text.len() <= MAX_DESCRIPTION && !text.chars().any(char::is_control);
            let rule = format!("description must be at most {MAX_DESCRIPTION} printable characters");
            if is_plain { Ok(text.to_owned()) } else { Err(Invalid::validation(rule)) }
        });
        let description = description.and_then(|read| fields.absorb(read));
        let types = texts(&mut fields, "event_types").map(|texts| {
            Patterns::parse(texts).map_err(|why| Invalid::validation(format!("event_types: {why}")))
        });
        let types = types.and_then(|read| fields.absorb(read));
        let realm_ids = texts(&mut fields, "realm_ids").map(|texts| realms(&texts));
        let realm_ids = realm_ids.and_then(|read| fields.absorb(read));
        let is_enabled = if is_change { fields.boolean("is_enabled") } else { None };
        fields.close()?;
        Ok(Self { url, description, types, realm_ids, is_enabled })
    }
}

fn texts<'a>(fields: &mut Fields<'a>, name: &'static str) -> Option<Vec<&'a str>> {
    let values = fields.array(name)?;
    let texts: Option<Vec<_>> = values.iter().map(Value::as_str).collect();
    if texts.is_none() {
        let pointer = fields.pointer(name);
        fields.violate(pointer, "must be an array of strings");
    }
    texts
}

fn realms(texts: &[&str]) -> Result<Vec<RealmId>, Invalid> {
    if texts.len() > MAX_REALMS {
        return Err(Invalid::validation(format!("realm_ids must have at most {MAX_REALMS} entries")));
    }
    let read = texts.iter().map(|text| {
        let rule = "Invalid realm ID format: realm_ids must be 24 lowercase hex digits each";
        text.parse().map_err(|_| Invalid::rule("INVALID_REALM_ID_FORMAT", rule))
    });
    read.collect()
}

fn check_url(text: &str, egress: &Egress) -> Result<String, Invalid> {
    if text.len() > MAX_URL {
        return Err(Invalid::validation(format!("url must be at most {MAX_URL} bytes")));
    }
    let url = egress.parse(text).map_err(|why| Invalid::validation(format!("url {why}")))?;
    Ok(url.to_string())
}
