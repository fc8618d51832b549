//! Who asks: a token by its id and its text, or a credential as everywhere (RFC 6749, 2.3.1; RFC 7662, 2.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hoody_core::grant::Rule;
use hoody_core::wire::Secret;
use hoody_engine::error::Error;
use hoody_engine::web::Access;
use hoody_engine::web::body::FormBody;
use hoody_engine::web::caller::{AnyCaller, judge};
use http::request::Parts;
use http::{StatusCode, header};

use super::answer::Refused;

/// A credential, and the id that was sent with it.
struct Shown {
    id: Option<String>,
    secret: Secret,
}

/// Lets the asker in under `rule`.
///
/// # Errors
/// `invalid_client` for what is missing, unknown or not in force; `insufficient_scope` where it may not ask;
/// `invalid_request` for two at once.
pub(super) async fn admit(
    parts: &Parts,
    form: &FormBody,
    access: &Access,
    rule: Rule,
) -> Result<AnyCaller, Refused> {
    let shown = shown(parts, form)?.ok_or(Refused::Client)?;
    let caller = judge(parts, shown.secret.expose(), access, rule).await.map_err(refused)?;
    match (shown.id, caller.token()) {
        (None, _) => Ok(caller),
        (Some(id), Some(token)) if id == token.to_string() => Ok(caller),
        // Whoever sends an id means that token; a session has none.
        (Some(_), _) => Err(Refused::Client),
    }
}

fn refused(error: Error) -> Refused {
    match error.status() {
        StatusCode::UNAUTHORIZED => Refused::Client,
        StatusCode::FORBIDDEN => {
            Refused::Scope("The token needs resources.introspect, and must be usable from here")
        }
        _ => Refused::Other(error),
    }
}

fn shown(parts: &Parts, form: &FormBody) -> Result<Option<Shown>, Refused> {
    let id = form.one("client_id").map_err(Refused::twice)?;
    let secret = form.one("client_secret").map_err(Refused::twice)?;
    let mut headers = parts.headers.get_all(header::AUTHORIZATION).iter();
    let header = headers.next();
    if headers.next().is_some() || (header.is_some() && secret.is_some()) {
        return Err(Refused::Request(
            "Authenticate in one way: the Authorization header or the form".to_owned(),
        ));
    }
    let Some(header) = header else {
        return Ok(secret.map(|secret| Shown {
            id: Some(id.map_or_else(String::new, |id| id.expose().to_owned())),
            secret: secret.clone(),
        }));
    };
    let text = header.to_str().map_err(|_| Refused::Client)?;
    let (scheme, rest) = text.split_once(' ').unwrap_or(("", text));
    if scheme.eq_ignore_ascii_case("basic") {
        return basic(rest.trim()).map(Some).ok_or(Refused::Client);
    }
    let secret = hoody_core::secret::of_authorization(text).ok_or(Refused::Client)?;
    Ok(Some(Shown { id: None, secret: Secret::new(secret) }))
}

/// The id and the text in a value of Basic. Clients form-encode both (RFC 6749, 2.3.1), or do not; ours have nothing
/// that decoding changes.
fn basic(value: &str) -> Option<Shown> {
    let bytes = zeroize::Zeroizing::new(STANDARD.decode(value).ok()?);
    let (id, secret) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    Some(Shown { id: Some(form_decoded(id)?), secret: Secret::new(form_decoded(secret)?) })
}

/// Text in which `%xx` stands for a byte, and `+` for a space.
fn form_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_of_basic_are_form_decoded() {
        for (text, id, secret) in [
            ("65a1:hdy_x", "65a1", "hdy_x"),
            ("65a1:hdy%5Fx", "65a1", "hdy_x"),
            ("a%3Ab:c:d+e", "a:b", "c:d e"),
            (":x", "", "x"),
        ] {
            let shown = basic(&STANDARD.encode(text)).unwrap();
            assert_eq!((shown.id.as_deref(), shown.secret.expose()), (Some(id), secret), "{text}");
        }
        for text in ["nocolon", "a:%5", "a:%zz", "%ff:x"] {
            assert!(basic(&STANDARD.encode(text)).is_none(), "{text}");
        }
        assert!(basic("!").is_none());
    }
}
