//! Terminals: `{project}-{container}-terminal-{n}.{server}.{domain}/execute` runs a command and answers with its
//! output. Such a host never reaches the API's router.
//!
//! In this order: a credential decides as everywhere, at any of the container's realms; without one, the container's
//! default decides, then its project's, then the operator's. Where terminals are open, pages of other sites are kept
//! out: their requests need no preflight.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use serde_json::json;

use hoody_core::container::{ServiceHost, is_below, service_host};
use hoody_core::grant::Deny;
use hoody_core::host::host_of_request;
use hoody_core::id::{ContainerId, RealmId, noun};
use hoody_core::wire::{self, PermissionLevel};
use hoody_engine::error::Error;
use hoody_engine::web::caller::{
    Caller, Head, Origin, Who, address, credential, denied, judge_at, needs, rule, visit,
};
use hoody_engine::web::layers::Branch;
use hoody_engine::web::{IdPath, JsonBody};
use hoody_service::projects::http::forbidden;

use crate::access::{NOT_FOUND, check, find_visible};
use crate::execute::{Command, Session, Told};
use crate::model::Container;
use crate::runtime::Output;
use crate::state::Containers;
use crate::store;

needs! {
    /// Running commands.
    ContainersExec { LEAF = "containers.actions.exec" }
}

/// The largest body: the longest command, with every character escaped.
const MAX_BODY: usize = 512 * 1024;
/// The paths that run a command: the short one, and the terminal kit's.
const PATHS: [&str; 2] = ["/execute", "/api/v1/terminal/execute"];

const NO_KIT: Error = Error::NotFound {
    code: "KIT_NOT_INSTALLED",
    message: "The container does not have this service; containers with hoody_kit have terminal",
};

/// Answers everything below the domain of containers.
#[derive(Debug)]
pub struct Terminals(Arc<Containers>);

impl Terminals {
    #[must_use]
    pub fn new(state: &Arc<Containers>) -> Self {
        Self(Arc::clone(state))
    }
}

impl Branch for Terminals {
    fn takes(&self, request: &Request<Body>) -> bool {
        // The router says what is wrong with a host that cannot be read.
        host(request).is_some_and(|host| is_below(host, &self.0.settings.domain).unwrap_or(false))
    }

    fn answer(&self, request: Request<Body>) -> BoxFuture<'static, Response> {
        let state = Arc::clone(&self.0);
        Box::pin(async move {
            match answer(&state, request).await {
                Ok(executed) => {
                    let body = serde_json::to_vec(&executed).unwrap_or_default();
                    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
                }
                Err(error) => error.into_response(),
            }
        })
    }
}

fn host<B>(request: &Request<B>) -> Option<&str> {
    let lines = request.headers().get_all(HOST).iter().map(HeaderValue::as_bytes);
    let target = request.uri().authority().map(http::uri::Authority::as_str);
    host_of_request(lines, target).ok().flatten()
}

async fn answer(state: &Arc<Containers>, request: Request<Body>) -> Result<wire::Executed, Error> {
    let named = host(&request).and_then(|host| service_host(host, &state.settings.domain));
    let (parts, body) = request.into_parts();
    let container = authorize(state, &parts, named.as_ref()).await?;
    let named = named.ok_or(NOT_FOUND)?;
    if named.service != "terminal" || !container.hoody_kit {
        return Err(NO_KIT);
    }
    if !PATHS.contains(&parts.uri.path()) {
        return Err(Error::NotFound {
            code: "RESOURCE_NOT_FOUND",
            message: "A terminal has POST /execute and POST /api/v1/terminal/execute",
        });
    }
    if parts.method != Method::POST {
        return Err(Error::MethodNotAllowed);
    }
    check_server(state, &container)?;
    let body =
        Limited::new(body, MAX_BODY).collect().await.map_err(|_| Error::TooLarge { limit: MAX_BODY })?;
    let body = hoody_core::json::parse(&body.to_bytes())?;
    let command = Command::parse(&body)?;
    let session = Session::begin(state, &container, &command).await?;
    session.collect(&named.index.to_string()).await
}

fn check_server(state: &Containers, container: &Container) -> Result<(), Error> {
    if container.server == state.settings.server.name() {
        return Ok(());
    }
    Err(Error::Other {
        status: StatusCode::MISDIRECTED_REQUEST,
        code: "MISDIRECTED_REQUEST",
        message: format!("The container runs on the server {}: send the request there", container.server),
        retry_after: None,
    })
}

/// The container, if the request may run commands in it. Without a credential, a container that is not there and one
/// that is closed are the same.
async fn authorize(
    state: &Containers,
    parts: &Parts,
    named: Option<&ServiceHost>,
) -> Result<Container, Error> {
    let address = address(Head::of(parts)?, &state.access)?;
    let found = match named {
        Some(named) => store::find(&state.db, named.container).await?,
        None => None,
    };
    let found = found.filter(|found| {
        named.is_some_and(|named| named.project == found.project && named.server == found.server)
    });
    if parts.headers.contains_key(AUTHORIZATION) {
        return with_credential(state, parts, found, address).await;
    }
    let container = found.ok_or_else(|| denied(Deny::Missing))?;
    let is_open = container.proxy.or(container.project_proxy).unwrap_or(state.settings.is_open);
    if !is_open || store::is_banned(&state.db, container.owner).await? {
        return Err(denied(Deny::Missing));
    }
    let site = parts.headers.get("sec-fetch-site");
    let is_other_site = site.is_some_and(|site| site != "none" && site != "same-origin");
    if is_other_site || parts.headers.contains_key(ORIGIN) {
        return Err(forbidden("an open terminal takes no requests of web pages"));
    }
    let origin = Origin { address, realm: None };
    let permission = rule::<ContainersExec>()?.permission;
    visit(&parts.extensions)?.note(Who { account: container.owner, credential: None, origin, permission });
    Ok(container)
}

async fn with_credential(
    state: &Containers,
    parts: &Parts,
    found: Option<Container>,
    address: std::net::IpAddr,
) -> Result<Container, Error> {
    let text = credential(Head::of(parts)?)?;
    // The host names no realm: the credential counts as on the base host, or on the host of one of the realms.
    let realms = found.iter().flat_map(|found| found.realm_ids.iter().copied().map(Some));
    let mut refusal = None;
    for realm in std::iter::once(None).chain(realms.collect::<Vec<Option<RealmId>>>()) {
        let origin = Origin { address, realm };
        match judge_at(parts, text, &state.access, rule::<ContainersExec>()?, origin).await {
            Ok(caller) => {
                let id = found.as_ref().map(|found| found.id).ok_or(NOT_FOUND)?;
                let (container, access) = find_visible(&state.db, &caller, id).await?;
                check(access, PermissionLevel::Edit)?;
                return Ok(container);
            }
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    Err(refusal.unwrap_or(NOT_FOUND))
}

/// Runs a command and streams its output: events `stdout` and `stderr` with base64 in `data`, then one `end`
#[utoipa::path(post, path = "/api/v1/containers/{id}/execute", operation_id = "execute_in_container",
    tag = "containers", params(("id" = ContainerId, Path)), request_body = wire::Execute,
    security(("bearer" = [])), responses((status = 200, content_type = "text/event-stream", body = String),
    (status = 400, body = wire::ErrorBody), (status = 404, body = wire::ErrorBody),
    (status = 409, body = wire::ErrorBody), (status = 503, body = wire::ErrorBody)))]
pub async fn execute_in_container(
    State(state): State<Arc<Containers>>,
    caller: Caller<ContainersExec>,
    IdPath(id): IdPath<noun::Container>,
    JsonBody(body): JsonBody,
) -> Result<Response, Error> {
    let (container, access) = find_visible(&state.db, &caller, id).await?;
    check(access, PermissionLevel::Edit)?;
    let command = Command::parse(&body)?;
    if !container.hoody_kit {
        return Err(NO_KIT);
    }
    check_server(&state, &container)?;
    let session = Session::begin(&state, &container, &command).await?;
    let events = stream::unfold(Some(session), async |session| {
        let mut session = session?;
        let told = session.next().await;
        let (event, data, is_over) = match told {
            Ok(Told::Piece(Output::Out, piece)) => ("stdout", json!(STANDARD.encode(piece)), false),
            Ok(Told::Piece(Output::Err, piece)) => ("stderr", json!(STANDARD.encode(piece)), false),
            Ok(Told::Ended(code)) => {
                let status = if code.is_some() { "completed" } else { "unknown" };
                ("end", json!({ "command_id": session.id(), "status": status, "exit_code": code }), true)
            }
            Ok(Told::TimedOut) => {
                ("end", json!({ "command_id": session.id(), "status": "timeout", "exit_code": null }), true)
            }
            Err(_) => {
                ("end", json!({ "command_id": session.id(), "status": "unknown", "exit_code": null }), true)
            }
        };
        let text = Bytes::from(format!("event: {event}\ndata: {data}\n\n"));
        Some((Ok::<_, std::convert::Infallible>(text), (!is_over).then_some(session)))
    });
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (http::header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, Body::from_stream(events)).into_response())
}
