//! The door for Envoy: `envoy.service.auth.v3.Authorization/Check` and `grpc.health.v1.Health/Check`.
//!
//! A unary call of gRPC is a message behind a prefix of five bytes, and trailers; HTTP/2 is the listener's.
//! The messages are read and written here by hand (`messages`): it takes a few of their fields.

mod messages;
mod wire;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use hoody_core::address::canonical_ip;
use hoody_core::grant::Deny;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};

use crate::answer::{IDENTITY, SIGNED, refused};
use crate::ask::{Ask, Asked, Original, credential_of};
use crate::door::decided;
use crate::judge::{Judge, Passed};
use crate::refusal::Refusal;
use messages::{Check, allow, deny, health, service_of_health};

/// The most bytes of a message that is read.
pub const MAX_MESSAGE: usize = 64 * 1024;
/// The most streams that a listener should let one connection open.
pub const MAX_STREAMS: u32 = 1_000;

const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
const HEALTH: &str = "/grpc.health.v1.Health/Check";
/// The service whose health is asked for; none is the whole server's.
const SERVICE: &str = "envoy.service.auth.v3.Authorization";
/// What stands before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// What the door knows of the server.
#[derive(Debug, Clone, Copy)]
pub struct Server<'a> {
    /// The public URL of hoody: who issues identities.
    pub issuer: &'a str,
    /// Its host: the realm of challenges.
    pub realm: &'a str,
    /// Whether it can decide now, for the health service.
    pub is_serving: bool,
}

/// A status of gRPC, as far as it is used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Status {
    Ok = 0,
    InvalidArgument = 3,
    NotFound = 5,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

/// The body of an answer: at most one message, then trailers.
#[derive(Debug)]
pub struct Frames(VecDeque<Frame<Bytes>>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let bytes = self.0.iter().filter_map(Frame::data_ref).map(Bytes::len).sum::<usize>();
        SizeHint::with_exact(bytes as u64)
    }
}

/// Answers one call. The listener lets in only peers that may ask (loopback, or a client certificate), so what
/// they tell about the client is believed.
pub async fn answer<J, B>(judge: &J, server: Server<'_>, request: Request<B>) -> Response<Frames>
where
    J: Judge,
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    let is_grpc =
        head.headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
    if head.method != Method::POST || !is_grpc {
        let mut response = Response::new(Frames(VecDeque::new()));
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    let path = head.uri.path();
    if !matches!(path, CHECK | HEALTH) {
        return ended(Status::Unimplemented, "this server answers Authorization/Check and Health/Check only");
    }
    let encoding = head.headers.get("grpc-encoding");
    if encoding.is_some_and(|encoding| encoding != "identity") {
        return ended(Status::Unimplemented, "messages must not be compressed");
    }
    let Ok(collected) = Limited::new(body, PREFIX + MAX_MESSAGE).collect().await else {
        return ended(
            Status::ResourceExhausted,
            "the message is larger than 64 KiB, or was not sent to its end",
        );
    };
    let bytes = collected.to_bytes();
    let message = match unframed(&bytes) {
        Ok(message) => message,
        Err((status, rule)) => return ended(status, rule),
    };
    if path == HEALTH {
        return match service_of_health(message) {
            Ok("" | SERVICE) => sent(&health(server.is_serving)),
            Ok(_) => ended(Status::NotFound, "unknown service"),
            Err(_) => ended(Status::InvalidArgument, "the message cannot be read"),
        };
    }
    match Check::read(message) {
        Ok(check) => checked(judge, server, &check).await,
        Err(_) => ended(Status::InvalidArgument, "the message cannot be read"),
    }
}

/// The one message of a body.
fn unframed(bytes: &[u8]) -> Result<&[u8], (Status, &'static str)> {
    const ONE: (Status, &str) = (Status::Internal, "a call has exactly one message");
    let (prefix, message) = bytes.split_at_checked(PREFIX).ok_or(ONE)?;
    let [compressed, length @ ..] = prefix else { return Err(ONE) };
    if *compressed != 0 {
        return Err((Status::Unimplemented, "messages must not be compressed"));
    }
    let length = length.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
    if length == message.len() { Ok(message) } else { Err(ONE) }
}

async fn checked<J: Judge>(judge: &J, server: Server<'_>, check: &Check<'_>) -> Response<Frames> {
    let ask = match ask(check) {
        Ok(ask) => ask,
        Err(refusal) => {
            judge.passed(Passed::default(), Some(&refusal));
            return refuse(&refusal, server.realm, None);
        }
    };
    let (mut headers, signed) = match decided(judge, server.issuer, &ask).await {
        Ok(identity) => identity,
        Err((refusal, resource)) => return refuse(&refusal, server.realm, resource.as_deref()),
    };
    headers.extend(signed.map(|signed| (SIGNED, signed)));
    // An empty value would leave what the client sent, or nothing; taken out it is certainly nothing.
    let told = [IDENTITY.as_slice(), &[SIGNED]].concat();
    let is_empty = |name: &&HeaderName| headers.get(*name).is_none_or(HeaderValue::is_empty);
    let removed: Vec<&str> = told.iter().filter(is_empty).map(HeaderName::as_str).collect();
    let set: Vec<(&str, &[u8])> = headers
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    sent(&allow(&set, &removed))
}

/// The question of a call.
fn ask<'a>(check: &Check<'a>) -> Result<Ask<'a>, Refusal> {
    let asked = Asked::of_extensions(check.extensions.iter().copied())?;
    let original = Original { method: check.method, target: check.path, host: check.host };
    original.check()?;
    let address = check.address.parse().map(canonical_ip);
    let address = address.map_err(|_| Refusal::Headers("source.address must be the client's address"))?;
    let credential = match check.authorization[..] {
        [] => Err(Deny::Missing),
        [text] => credential_of(text),
        _ => Err(Deny::Unknown),
    };
    let is_preflight = check.method == "OPTIONS" && check.has_origin && check.has_request_method;
    Ok(Ask { asked, original: Some(original), address, credential, is_preflight })
}

/// What Envoy is told when nothing can be decided, or a decision cannot be logged.
#[must_use]
pub fn unavailable() -> Response<Frames> {
    refuse(&Refusal::Unavailable, "", None)
}

fn refuse(refusal: &Refusal, realm: &str, resource: Option<&str>) -> Response<Frames> {
    // The proxy decides what its clients are told when hoody cannot decide: `status_on_error`.
    if matches!(refusal, Refusal::Unavailable) {
        return ended(Status::Unavailable, "the credential cannot be checked now");
    }
    let told = refused(refusal, realm, resource, true);
    let headers: Vec<(&str, &[u8])> = told
        .headers()
        .iter()
        .filter(|(name, _)| *name != http::header::CONTENT_LENGTH)
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    let status = if told.status() == StatusCode::UNAUTHORIZED {
        Status::Unauthenticated
    } else {
        Status::PermissionDenied
    };
    sent(&deny(status as u8, told.status().as_u16(), &headers, told.body()))
}

/// An answer with a message.
fn sent(message: &[u8]) -> Response<Frames> {
    let mut framed = BytesMut::with_capacity(PREFIX + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    let mut response = ended(Status::Ok, "");
    response.body_mut().0.push_front(Frame::data(framed.freeze()));
    response
}

/// An answer without a message. `rule` is plain ASCII, so it needs no encoding.
fn ended(status: Status, rule: &'static str) -> Response<Frames> {
    let mut trailers = HeaderMap::with_capacity(2);
    trailers.insert("grpc-status", HeaderValue::from(u16::from(status as u8)));
    if !rule.is_empty() {
        trailers.insert("grpc-message", HeaderValue::from_static(rule));
    }
    let mut response = Response::new(Frames(VecDeque::from([Frame::trailers(trailers)])));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

#[cfg(test)]
mod tests;
