//! The endpoints of the device flow (`contract/authentication.md` 12).

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hoody_core::wire;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::{LookedUp, PAGE, SignedIn, Start, body, cookie, status};
use crate::sign_in::SignIn;
use hoody_engine::error::Error;
use hoody_engine::web::caller::{Origin, Visit};
use hoody_engine::web::{Answer, JsonBody, Query};

/// Asks for a code that somebody can approve on another device
#[utoipa::path(post, path = "/api/v1/auth/device/code", operation_id = "start_device", tag = "device",
    request_body = wire::StartDevice, responses((status = 200, body = wire::Envelope<wire::DeviceCode>),
    (status = 400, body = wire::ErrorBody), (status = 422, body = wire::ErrorBody), (status = 429, body = wire::ErrorBody)))]
pub async fn start_device(
    State(sign_in): State<Arc<SignIn>>,
    origin: Origin,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::DeviceCode>, Error> {
    let start = Start::parse(&body)?;
    let codes = super::begin(&sign_in, &start, origin.address).await?;
    Ok(Answer::ok("Device code issued", codes).secret())
}

/// Says what a user code is for; while it waits, with a ticket and a cookie for signing in
#[utoipa::path(post, path = "/api/v1/auth/device/verify_code", operation_id = "verify_user_code", tag = "device",
    request_body = wire::VerifyUserCode, responses((status = 200, body = wire::Envelope<wire::UserCodeAnswer>),
    (status = 404, body = wire::ErrorBody), (status = 410, body = wire::ErrorBody),
    (status = 422, body = wire::ErrorBody), (status = 429, body = wire::ErrorBody)))]
pub async fn verify_user_code(
    State(sign_in): State<Arc<SignIn>>,
    origin: Origin,
    JsonBody(body): JsonBody,
) -> Result<Response, Error> {
    let code = body::parse_user_code(&body)?;
    match super::look_up(&sign_in, &code, origin.address).await? {
        LookedUp::Approved => {
            let data = wire::UserCodeAnswer::Status(status("approved"));
            Ok(Answer::ok("Device code verified", data).secret().into_response())
        }
        LookedUp::Pending(request, ticket) => {
            let expires_in = request.expires_in(sign_in.clock.now());
            let data = wire::UserCodeAnswer::Pending(wire::PendingDevice {
                status: "pending".to_owned(),
                client_name: request.client_name,
                expires_in,
                device_verify_ticket: ticket.ticket.expose().into(),
                client_ip: Some(request.ip),
                requested_at: Some(request.created_at),
            });
            let mut response = Answer::ok("Device code verified", data).secret().into_response();
            cookie::set(&sign_in, &mut response, &ticket.cookie, expires_in);
            Ok(response)
        }
    }
}

/// Leads to another service that signs people in: this server knows none, and leads back
#[utoipa::path(get, path = "/api/v1/auth/device/authorize", operation_id = "authorize_device", tag = "device",
    params(("ticket" = String, Query), ("provider" = String, Query, description = "`github` or `google`")),
    responses((status = 302, description = "Back to the page, with `error=provider_unavailable`; the ticket stays good", body = wire::ErrorBody),
    (status = 400, body = wire::ErrorBody), (status = 403, body = wire::ErrorBody), (status = 410, body = wire::ErrorBody)))]
pub async fn authorize_device(
    State(sign_in): State<Arc<SignIn>>,
    _origin: Origin,
    query: Query,
    parts: Parts,
) -> Result<Response, Error> {
    query.choice("provider", &["github", "google"])?;
    let ticket = query.text("ticket")?.unwrap_or_default();
    super::find_waiting(&sign_in, ticket, cookie::read(&sign_in, &parts.headers)).await?;
    let back = format!("{}{PAGE}?error=provider_unavailable", sign_in.access.public_url);
    let back = HeaderValue::from_str(&back).map_err(Error::internal)?;
    let headers = [
        (header::LOCATION, back),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    Ok((StatusCode::FOUND, headers).into_response())
}

/// Approves the request of a device by signing in; the session goes to the device alone
#[utoipa::path(post, path = "/api/v1/auth/device/login", operation_id = "login_for_device", tag = "device",
    request_body = wire::DeviceLogin, responses((status = 200, body = wire::Envelope<wire::DeviceLoginAnswer>),
    (status = 401, body = wire::ErrorBody), (status = 403, body = wire::ErrorBody),
    (status = 410, body = wire::ErrorBody), (status = 422, body = wire::ErrorBody), (status = 429, body = wire::ErrorBody)))]
pub async fn login_for_device(
    State(sign_in): State<Arc<SignIn>>,
    origin: Origin,
    visit: Visit,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::DeviceLoginAnswer>, Error> {
    let (ticket, credentials) = body::parse_login(&body)?;
    drop(body);
    let request = super::find_waiting(&sign_in, ticket.expose(), cookie::read(&sign_in, &headers)).await?;
    Ok(match super::sign_in(&sign_in, &request, &credentials, (&visit, origin)).await? {
        SignedIn::Approved => {
            Answer::ok("Device approved", wire::DeviceLoginAnswer::Status(status("approved"))).secret()
        }
        SignedIn::Challenge(challenge) => {
            let data = wire::DeviceLoginAnswer::Challenge(challenge);
            Answer::ok("Two-factor authentication required", data).secret()
        }
    })
}

/// Refuses the request of a device
#[utoipa::path(post, path = "/api/v1/auth/device/deny", operation_id = "deny_device", tag = "device",
    request_body = wire::DenyDevice, responses((status = 200, body = wire::Envelope<wire::DeviceStatus>),
    (status = 403, body = wire::ErrorBody), (status = 410, body = wire::ErrorBody), (status = 422, body = wire::ErrorBody)))]
pub async fn deny_device(
    State(sign_in): State<Arc<SignIn>>,
    _origin: Origin,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::DeviceStatus>, Error> {
    let ticket = body::parse_deny(&body)?;
    // Whoever has the ticket may refuse; a cookie that is there must be the ticket's.
    let request = match cookie::read(&sign_in, &headers) {
        Some(cookie) => super::find_waiting(&sign_in, ticket.expose(), Some(cookie)).await?,
        None => super::find_by_ticket(&sign_in, ticket.expose()).await?,
    };
    super::deny(&sign_in, &request).await?;
    Ok(Answer::ok("Device denied", status("denied")))
}

/// Asks whether somebody has signed in; the session, once, when somebody has
#[utoipa::path(post, path = "/api/v1/auth/device/token", operation_id = "poll_device", tag = "device",
    request_body = wire::PollDevice, responses((status = 200, body = wire::Envelope<wire::LoginData>),
    (status = 400, body = wire::ErrorBody, description = "`data.error` says why: `authorization_pending`, `slow_down`, `access_denied`, `expired_token`"),
    (status = 422, body = wire::ErrorBody), (status = 429, body = wire::ErrorBody)))]
pub async fn poll_device(
    State(sign_in): State<Arc<SignIn>>,
    origin: Origin,
    JsonBody(body): JsonBody,
) -> Result<Answer<wire::LoginData>, Error> {
    let (device_code, verifier) = body::parse_poll(&body)?;
    let session = super::poll(&sign_in, device_code.expose(), verifier.as_ref(), origin.address).await?;
    Ok(Answer::ok("Login successful", session).secret())
}
