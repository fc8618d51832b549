//! Request bodies: read up to a limit, taken as JSON under any content type.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Form;
use axum::body::{Body, Bytes};
use axum::extract::FromRequest;
use hoody_core::address::neighbourhood;
use hoody_core::invalid::Invalid;
use hoody_core::json::Fields;
use hoody_core::wire::Secret;
use http::{Request, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::Value;

use super::access::Lends;
use super::caller::{Head, origin, visit};
use super::memory::Held;
use crate::error::Error;
use crate::shares::{Share, Shares};
use crate::work;

/// The largest body that ordinary routes take, in bytes.
pub const MAX_BODY: usize = 2 * 1024 * 1024;
/// The largest body of a request without a credential that is known: a name and a password need 1 KiB.
pub const MAX_ANONYMOUS: usize = 16 * 1024;

/// How long the rest of a body that is too large is read.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// For a client that sends more than its share at a time. Nothing was done for the request.
const CROWDED: Error =
    Error::Unavailable("Too many large requests of this client are under way; send the request again later");

/// How many large bodies are read as JSON, or wait for it, and how many of one address (for IPv6 of one /64).
const LARGE: usize = 64;
const LARGE_OF_ADDRESS: usize = 8;

/// The large bodies that are read as JSON at the moment.
#[derive(Debug)]
pub struct Bodies(Shares<IpAddr>);

impl Default for Bodies {
    fn default() -> Self {
        Self(Shares::new(LARGE, LARGE_OF_ADDRESS))
    }
}

impl Bodies {
    fn take(&self, address: IpAddr) -> Result<Share<IpAddr>, Error> {
        let place = self.0.take(neighbourhood(address));
        place.map_err(|_| Error::Unavailable("Too many large bodies at once; try again"))
    }
}

/// A JSON body, read strictly; an empty one is `{}`.
#[derive(Debug)]
pub struct JsonBody(pub Value);

/// For what takes no body: an empty one, or `{}`.
#[derive(Debug)]
pub struct NoBody;

/// Reads a whole body. How large it may be depends on whether a credential was recognised before; until it
/// is dealt with, it counts as held by its client.
///
/// # Errors
/// 413 when it is too large, 503 when its client holds too much, 400 when it does not come to its end.
pub async fn read(request: Request<Body>) -> Result<(Bytes, Held), Error> {
    let visit = visit(request.extensions())?;
    let limit = if visit.has_credential() { MAX_BODY } else { MAX_ANONYMOUS };
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if let Some(length) = announced.filter(|length| *length > limit) {
        if length <= MAX_BODY {
            drain(request.into_body()).await;
        }
        return Err(Error::TooLarge { limit });
    }
    let held = visit.memory().hold(announced.unwrap_or(limit)).ok_or(CROWDED)?;
    let mut body = request.into_body();
    match Limited::new(&mut body, limit).collect().await {
        Ok(bytes) => Ok((bytes.to_bytes(), held)),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => {
            drain(body).await;
            Err(Error::TooLarge { limit })
        }
        Err(_) => Err(Invalid::validation("The body could not be read to its end").into()),
    }
}

/// Reads the rest of a body and keeps nothing of it: a client that first sends everything would see a broken
/// connection instead of the answer. It ends after [`MAX_BODY`] bytes or [`DRAIN_LIMIT`].
async fn drain(mut body: Body) {
    let rest = async {
        let mut left = MAX_BODY;
        while let Some(Ok(frame)) = body.frame().await {
            let Some(less) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
            left = less;
        }
    };
    // The answer is given all the same.
    let _ = tokio::time::timeout(DRAIN_LIMIT, rest).await;
}

/// Counts a body of so many bytes as held by the client of `request`; nobody's where there is no client.
pub fn hold(request: &Request<Body>, bytes: usize) -> Result<Option<Held>, Error> {
    let Ok(visit) = visit(request.extensions()) else { return Ok(None) };
    visit.memory().hold(bytes).ok_or(CROWDED).map(Some)
}

/// A form, as OAuth's endpoints take it (RFC 7662, 2.1): its fields in the order in which they were sent.
#[derive(Debug)]
pub struct FormBody(Vec<(String, Secret)>);

impl FormBody {
    /// The field of this name.
    ///
    /// # Errors
    /// Nothing but its name when it was sent more than once (RFC 6749, 3.2).
    pub fn one<'n>(&self, name: &'n str) -> Result<Option<&Secret>, &'n str> {
        let mut found = self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value);
        let one = found.next();
        if found.next().is_some() { Err(name) } else { Ok(one) }
    }
}

/// The fields of a form in a body.
///
/// # Errors
/// As [`read`]; 400 for what is no form.
pub async fn read_form(request: Request<Body>) -> Result<Vec<(String, Secret)>, Error> {
    let (parts, body) = request.into_parts();
    let (bytes, _held) = read(Request::from_parts(parts.clone(), body)).await?;
    let form = Form::from_request(Request::from_parts(parts, bytes.into()), &()).await;
    let Form(fields) = form.map_err(|_| {
        Invalid::validation("The body must be a form: Content-Type: application/x-www-form-urlencoded")
    })?;
    Ok(fields)
}

impl<S: Lends> FromRequest<Arc<S>> for FormBody {
    type Rejection = Error;

    async fn from_request(request: Request<Body>, _: &Arc<S>) -> Result<Self, Error> {
        read_form(request).await.map(Self)
    }
}

impl<S: Lends> FromRequest<Arc<S>> for NoBody {
    type Rejection = Error;

    async fn from_request(request: Request<Body>, state: &Arc<S>) -> Result<Self, Error> {
        let JsonBody(body) = JsonBody::from_request(request, state).await?;
        Fields::of_body(&body)?.close()?;
        Ok(Self)
    }
}

impl<S: Lends> FromRequest<Arc<S>> for JsonBody {
    type Rejection = Error;

    async fn from_request(request: Request<Body>, state: &Arc<S>) -> Result<Self, Error> {
        let access = state.access();
        let origin = origin(Head::of_request(&request)?, access);
        let (bytes, _held) = read(request).await?;
        let size = bytes.len();
        if bytes.trim_ascii().is_empty() {
            return Ok(Self(Value::Object(serde_json::Map::new())));
        }
        let _place =
            if bytes.len() > work::SMALL { Some(access.bodies.take(origin?.address)?) } else { None };
        let parse = move || hoody_core::json::parse(&bytes);
        Ok(Self(work::run(size, parse).await??))
    }
}
