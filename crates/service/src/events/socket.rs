//! The stream of the published SDKs: Socket.IO v4 on `/api/v1/events` (`contract/events.md`, *Live
//! stream*), the path of the history too; who says `EIO=` in the query means this one.
//!
//! The credential comes in `auth: {token}` of the handshake; `after`, `event_type` and `realm_id` there
//! choose what to tell, as with SSE. A refusal is a `connect_error` whose message begins with status and
//! code. A stream that ends says why in a last message and is disconnected.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use hoody_core::address::neighbourhood;
use hoody_core::event::Patterns;
use hoody_core::grant::Deny;
use hoody_core::id::RealmId;
use hoody_core::invalid::Invalid;
use hoody_core::wire;
use hoody_engine::error::Error;
use hoody_engine::shares::{Share, Shares};
use hoody_engine::tasks;
use hoody_engine::web::caller::{Head, denied, judge, origin, rule};
use hoody_engine::web::layers::Branch;
use http::Request;
use serde::{Deserialize, Serialize};
use serde_json::json;
use socketioxide::SocketIo;
use socketioxide::extract::{SocketRef, TryData};
use socketioxide::handler::ConnectHandler as _;
use tokio::sync::Notify;
use tower::ServiceExt as _;

use super::stream::{self, End, Holder, Stream, Told, Wanted};
use super::{Events, Scope};
use crate::realms;

/// The path that both share.
const PATH: &str = "/api/v1/events";
/// How long a connection may be open before it says who it is.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How many connections that have not said who they are one address, for IPv6 one /64, and all together may
/// have. Once half of all places are taken, an address gets fewer.
const MAX_OPENING_OF_ADDRESS: usize = 64;
const MAX_OPENING: usize = 2_048;
/// The most bytes that a client may send at once: it says who it is, and nothing more.
const MAX_MESSAGE: usize = 16 * 1024;
/// How many packets wait for a client that does not read.
const BUFFER: usize = 64;
/// How often, and how many times, a packet is offered to one that does not read.
const OFFER_INTERVAL: Duration = Duration::from_millis(100);
const MAX_OFFERS: u32 = 300;

/// What serves Socket.IO.
#[derive(Clone)]
pub struct Sockets {
    events: Arc<Events>,
    service: Router,
    opening: Arc<Shares<IpAddr>>,
}

impl std::fmt::Debug for Sockets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sockets")
    }
}

/// What a client says in its handshake.
#[derive(Deserialize, Default)]
struct Auth {
    #[serde(default)]
    token: Option<wire::Secret>,
    #[serde(default)]
    after: Option<String>,
    #[serde(default)]
    event_type: Option<String>,
    #[serde(default)]
    realm_id: Option<RealmId>,
}

/// What a client is told.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    r#type: &'static str,
    event: &'a str,
    data: &'a wire::Event,
    timestamp: String,
    event_id: String,
}

/// Handed from the check of the credential to the connection that it let in.
#[derive(Clone)]
struct Opened(Arc<Mutex<Option<Stream>>>);

/// The place of a connection that has not said who it is. It goes with the request that opened it, which
/// Socket.IO keeps as long as the connection.
#[derive(Clone)]
struct Opening(Arc<Mutex<Option<Share<IpAddr>>>>);

/// A refusal in one line.
struct Refused(Error);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (status, code, message) = self.0.in_short();
        write!(f, "{status} {code}: {message}")
    }
}

impl Sockets {
    pub fn new(events: &Arc<Events>) -> Self {
        let (service, io) = SocketIo::builder()
            .req_path(PATH)
            .connect_timeout(CONNECT_LIMIT)
            .max_buffer_size(BUFFER)
            .max_payload(MAX_MESSAGE as u64)
            .ws_max_message_size(MAX_MESSAGE)
            .ws_max_frame_size(MAX_MESSAGE)
            .build_svc();
        let state = Arc::clone(events);
        let check = move |socket: SocketRef, auth: TryData<Auth>| {
            let events = Arc::clone(&state);
            async move { open(&events, &socket, auth).await.map_err(Refused) }
        };
        io.ns("/", on_connect.with(check));
        if tokio::runtime::Handle::try_current().is_ok() {
            let live = Arc::clone(&events.live);
            tasks::once("streams-end", async move {
                live.stopped().await;
                io.close().await;
            });
        }
        let service = Router::new().fallback_service(service);
        let opening = Arc::new(Shares::new(MAX_OPENING, MAX_OPENING_OF_ADDRESS));
        Self { events: Arc::clone(events), service, opening }
    }

    /// Bounds how many connections are open that have not said who they are.
    fn admit(&self, request: &mut Request<Body>) -> Result<(), Error> {
        let query = request.uri().query().unwrap_or_default();
        if query.split('&').any(|pair| pair.starts_with("sid=")) {
            return Ok(());
        }
        let address = origin(Head::of_request(request)?, &self.events.access)?.address;
        let place = self.opening.take(neighbourhood(address));
        let place = place.map_err(|_| Error::RateLimited { seconds: CONNECT_LIMIT.as_secs() })?;
        request.extensions_mut().insert(Opening(Arc::new(Mutex::new(Some(place)))));
        Ok(())
    }
}

impl Branch for Sockets {
    /// Whether the request is for Socket.IO and not for the route of the same path.
    fn takes(&self, request: &Request<Body>) -> bool {
        let uri = request.uri();
        uri.path() == PATH
            && uri.query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("EIO=")))
    }

    /// Answers a request of Engine.IO.
    fn answer(&self, mut request: Request<Body>) -> BoxFuture<'static, Response> {
        let admitted = self.admit(&mut request);
        let service = self.service.clone();
        Box::pin(async move {
            if let Err(error) = admitted {
                return error.into_response();
            }
            match service.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        })
    }
}

/// Lets a client in that may read events, with its stream.
async fn open(events: &Arc<Events>, socket: &SocketRef, TryData(auth): TryData<Auth>) -> Result<(), Error> {
    let auth = auth.map_err(|_| Invalid::validation("auth: an object with the text `token`"))?;
    let missing = || denied(Deny::Missing);
    let token = auth.token.filter(|token| !token.is_empty()).ok_or_else(missing)?;
    let caller =
        judge(socket.req_parts(), token.expose(), &events.access, rule::<super::http::EventsRead>()?).await?;
    let scope = Scope { account: caller.account(), realm: realms::select(&caller, auth.realm_id)? };
    let types = auth.event_type.as_deref().unwrap_or_default().split(',').filter(|text| !text.is_empty());
    let types = Patterns::parse(types).map_err(|why| Invalid::validation(format!("event_type: {why}")))?;
    let after = stream::start(events, scope, auth.after.as_deref()).await?;
    let holder = Holder { credential: token.expose().to_owned().into(), attempt: caller.attempt };
    let stream = Stream::open(events, holder, Wanted { scope, types, resource_type: None, after }).await?;
    if let Some(Opening(place)) = socket.req_parts().extensions.get::<Opening>() {
        // It said who it is: from now on its account's streams are counted.
        drop(place.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
    socket.extensions.insert(Opened(Arc::new(Mutex::new(Some(stream)))));
    Ok(())
}

async fn on_connect(socket: SocketRef) {
    let opened = socket.extensions.remove::<Opened>();
    let stream = opened.and_then(|Opened(slot)| slot.lock().unwrap_or_else(PoisonError::into_inner).take());
    let Some(stream) = stream else { return };
    let gone = Arc::new(Notify::new());
    socket.on_disconnect({
        let gone = Arc::clone(&gone);
        async move || gone.notify_one()
    });
    tasks::once("stream", async move {
        tokio::select! {
            () = gone.notified() => {}
            () = tell(&socket, stream) => {}
        }
    });
}

/// Tells a client what its stream tells, until one of them ends.
async fn tell(socket: &SocketRef, mut stream: Stream) {
    while let Some(told) = stream.next().await {
        match told {
            Told::Event(event) => {
                let message = Message {
                    r#type: "event",
                    event: &event.event_type,
                    timestamp: event.created_at.to_string(),
                    event_id: event.id.to_string(),
                    data: &event,
                };
                if !offer(socket, &stream, &message).await {
                    break;
                }
            }
            Told::Alive => {}
            // The connection goes with the process, and the client comes again, to another node.
            Told::End(End { is_stop: true, .. }) => return,
            Told::End(End { code, message, .. }) => {
                let end = json!({
                    "type": "end", "code": code, "message": message, "resume_after": stream.cursor(),
                });
                // One that does not read learns it from being disconnected.
                let _ = socket.emit("message", &end);
                break;
            }
        }
    }
    for _ in 0..MAX_OFFERS {
        if socket.clone().disconnect().is_ok() {
            return;
        }
        tokio::time::sleep(OFFER_INTERVAL).await;
    }
}

/// Gives a packet to a client, who may be slow to take it; false when it does not, or may no longer.
async fn offer(socket: &SocketRef, stream: &Stream, message: &Message<'_>) -> bool {
    for _ in 0..MAX_OFFERS {
        match socket.emit("message", message) {
            Ok(()) => return true,
            Err(socketioxide::SendError::Socket(socketioxide::SocketError::InternalChannelFull)) => {}
            Err(_) => return false,
        }
        tokio::time::sleep(OFFER_INTERVAL).await;
        if !stream.may_still().await {
            return false;
        }
    }
    false
}
