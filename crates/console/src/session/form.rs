//! What forms of the console send, and the mark by which a form is known to be one that this server made for
//! this session and this address.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::FromRequest;
use axum::response::Response;
use hoody_core::id::SessionId;
use hoody_core::one_time::Purpose;
use hoody_core::time::{HOUR, Timestamp};
use hoody_core::wire::Secret;
use hoody_engine::keys::Keys;
use hoody_engine::web::body;
use hoody_engine::web::caller::{Head, Origin, Visit, origin, visit};
use http::request::Parts;
use http::{HeaderMap, Request, StatusCode};
use maud::{Markup, html};
use subtle::ConstantTimeEq as _;

use super::cookie::Jar;
use super::{LIFETIME, Looked, Visitor, jar, look, note, sign_in};
use crate::parts::page::{dialog_with, failed};
use crate::{Console, guard};

/// The field of the mark.
pub(crate) const MARK: &str = "mark";
/// Fields that are never written back into a page.
const SECRETS: [&str; 9] = [
    "password",
    "new_password",
    "code",
    "temp_token",
    "value",
    "proof_password",
    "proof_code",
    "proof_name",
    MARK,
];

/// The fields of a form, in their order; a name may come more than once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields(Vec<(String, Secret)>);

impl Fields {
    /// The text of a field without space around it; empty where there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.first(name).map_or("", |value| value.expose().trim())
    }

    /// A field as it was typed.
    pub(crate) fn secret(&self, name: &str) -> Secret {
        self.first(name).cloned().unwrap_or_default()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.first(name).is_some_and(|value| !value.is_empty())
    }

    /// The texts of every field of this name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.expose())
    }

    /// Every field that may be written back into a page.
    pub(crate) fn open(&self) -> impl Iterator<Item = (&str, &str)> {
        let open = self.0.iter().filter(|(name, _)| !SECRETS.contains(&name.as_str()));
        open.map(|(name, value)| (name.as_str(), value.expose()))
    }

    /// Every field that may be written back, hidden.
    pub(crate) fn keep(&self) -> Markup {
        html! { @for (name, value) in self.open() { input type="hidden" name=(name) value=(value); } }
    }

    fn first(&self, name: &str) -> Option<&Secret> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

/// A form that somebody who is signed in sent from a page of ours.
#[derive(Debug)]
pub(crate) struct Act {
    pub(crate) visitor: Visitor,
    pub(crate) fields: Fields,
    /// Where it was sent.
    pub(crate) path: String,
}

/// A form of somebody who may not be signed in.
#[derive(Debug)]
pub(crate) struct Posting {
    pub(crate) fields: Fields,
    pub(crate) origin: Origin,
    pub(crate) visit: Visit,
    pub(crate) headers: HeaderMap,
    pub(crate) jar: Jar,
}

/// The mark of a form that is sent to `action` by this session, made at `now`.
pub(crate) fn mark(keys: &Keys, session: SessionId, action: &str, now: Timestamp) -> String {
    let hour = now.millis().div_euclid(HOUR);
    let digest = keys.one_time_digest(Purpose::ConsoleForm, &format!("{session} {action} {hour}"));
    format!("{hour}.{}", hex(&digest))
}

/// Whether `given` is such a mark, made within the life of a session.
fn is_marked(keys: &Keys, session: SessionId, action: &str, now: Timestamp, given: &str) -> bool {
    let Some((hour, digest)) = given.split_once('.') else { return false };
    let Ok(hour) = hour.parse::<i64>() else { return false };
    let age = now.millis().div_euclid(HOUR) - hour;
    let text = format!("{session} {action} {hour}");
    let expected = keys.one_time_digests(Purpose::ConsoleForm, &text);
    // All are compared, each in constant time.
    let is_known = expected.iter().fold(false, |is, expected| is | same(&hex(expected), digest));
    is_known && (0..=LIFETIME / HOUR).contains(&age)
}

/// Whether two texts are the same, in a time that does not tell where they differ.
pub(crate) fn same(expected: &str, given: &str) -> bool {
    expected.as_bytes().ct_eq(given.as_bytes()).into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn read(parts: &Parts, body: Body) -> Result<Fields, Response> {
    let request = Request::from_parts(parts.clone(), body);
    let (bytes, _held) = body::read(request).await.map_err(|error| failed(&error))?;
    let request = Request::from_parts(parts.clone(), Body::from(bytes));
    let form = axum::Form::<Vec<(String, Secret)>>::from_request(request, &()).await;
    form.map(|form| Fields(form.0)).map_err(|_| {
        let why = html! { p { "Its content is not what a browser sends. Nothing was changed." } };
        dialog_with(StatusCode::BAD_REQUEST, "This form cannot be read", &why)
    })
}

impl FromRequest<Arc<Console>> for Act {
    type Rejection = Response;

    async fn from_request(request: Request<Body>, console: &Arc<Console>) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let head = Head::of(&parts).map_err(|error| failed(&error))?;
        if let Some(page) = guard::refusal_of_foreign(console, head) {
            return Err(page);
        }
        let path = parts.uri.path().to_owned();
        let visitor = match look(&parts, console).await.map_err(|error| failed(&error))? {
            Looked::Visitor(visitor) => *visitor,
            Looked::Nobody => {
                // What was typed is kept, and sent again once somebody has signed in.
                let fields = read(&parts, body).await?;
                return Err(sign_in::again(&path, &fields));
            }
        };
        note(&parts, &visitor);
        let fields = read(&parts, body).await?;
        if !is_marked(&console.keys, visitor.session, &path, visitor.now, fields.text(MARK)) {
            return Err(too_old(&visitor, &path, &fields));
        }
        Ok(Self { visitor, fields, path })
    }
}

impl FromRequest<Arc<Console>> for Posting {
    type Rejection = Response;

    async fn from_request(request: Request<Body>, console: &Arc<Console>) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let head = Head::of(&parts).map_err(|error| failed(&error))?;
        if let Some(page) = guard::refusal_of_foreign(console, head) {
            return Err(page);
        }
        let origin = origin(head, &console.access).map_err(|error| failed(&error))?;
        let visit = visit(&parts.extensions).map_err(|error| failed(&error))?.clone();
        let fields = read(&parts, body).await?;
        Ok(Self { fields, origin, visit, jar: jar(&parts), headers: parts.headers })
    }
}

/// The form is of another session, or of a page that was open for very long.
fn too_old(visitor: &Visitor, path: &str, fields: &Fields) -> Response {
    let body = html! {
        p { "It was made for another sign-in, or too long ago. Nothing was changed." }
        (visitor.form(path, "", html! {
            (fields.keep())
            div.choices { button type="submit" { "Send it again" } a.button href=(crate::HOME) { "Leave it" } }
        }))
    };
    dialog_with(StatusCode::FORBIDDEN, "This form is too old", &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_in_order_and_its_secrets_stay() {
        let pairs =
            [("alias", " ci run "), ("p", "a.b"), ("p", "c.d"), ("password", "hunter2"), ("empty", "")];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), Secret::from(value)));
        let fields = Fields(pairs.to_vec());
        assert_eq!(fields.text("alias"), "ci run");
        assert_eq!(fields.all("p").collect::<Vec<_>>(), ["a.b", "c.d"]);
        assert!(!fields.has("empty") && !fields.has("none"));
        let open: Vec<_> = fields.open().map(|(name, _)| name).collect();
        assert_eq!(open, ["alias", "p", "p", "empty"]);
        assert!(!format!("{fields:?}").contains("hunter2"));
    }

    #[test]
    fn texts_are_the_same_whole_or_not_at_all() {
        assert!(same("a5", "a5") && !same("a5", "a5a5") && !same("a5", "") && !same("a5", "a6"));
        assert_eq!(hex(&[0, 0xa5]), "00a5");
    }
}
