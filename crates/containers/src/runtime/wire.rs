//! HTTP/1.1 to the container engine, over its unix socket. Each call has a connection of its own, a time limit and
//! a largest answer.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use hoody_engine::tasks;

/// The version of the API that calls are made with: Podman 4 and Docker 20.10 have it.
const VERSION: &str = "/v1.41";
/// The largest answer that is read.
const LARGEST: usize = 8 * 1024 * 1024;
/// The most characters of an engine's own words that are kept.
const MAX_WORDS: usize = 300;
/// How long a connection to the socket may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Why the engine did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Nothing listens on the socket, or the connection broke.
    #[error("the container engine cannot be reached: {0}")]
    Down(String),
    /// No answer within the time limit.
    #[error("the container engine did not answer in time")]
    Slow,
    /// The answer is not one of the Docker Engine API.
    #[error("the container engine answered something that is not its API: {0}")]
    Unreadable(String),
    /// There is no such thing: the one refusal that all engines agree on.
    #[error("the container engine does not have it: {0}")]
    NotFound(String),
    /// Any other refusal. The same mistake has different statuses in different engines.
    #[error("the container engine refused it with {status}: {words}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The engine's own words.
        words: String,
    },
}

/// The engine's socket.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    socket: PathBuf,
}

impl Wire {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// Sends a request; its answer's head.
    async fn open(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response<Incoming>, EngineError> {
        let stream = tokio::time::timeout(CONNECT_LIMIT, UnixStream::connect(&self.socket)).await;
        let stream = stream.map_err(|_| EngineError::Slow)?.map_err(|error| down(&error))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| down(&error))?;
        // It ends with the answer, or when the caller is gone.
        drop(tasks::once("container-engine", async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the container engine broke");
            }
        }));
        let text = body.map(ToString::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(format!("{VERSION}{path}"))
            .header(header::HOST, "engine")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(text)))
            .map_err(|error| EngineError::Unreadable(error.to_string()))?;
        sender.send_request(request).await.map_err(|error| down(&error))
    }

    /// Sends a request and reads its whole answer within `limit`.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        limit: Duration,
    ) -> Result<(StatusCode, Bytes), EngineError> {
        let answer = async {
            let response = self.open(method, path, body).await?;
            let status = response.status();
            let read = Limited::new(response.into_body(), LARGEST).collect().await;
            let bytes = read.map_err(|error| EngineError::Down(error.to_string()))?.to_bytes();
            accept(status, &bytes).map(|()| (status, bytes))
        };
        tokio::time::timeout(limit, answer).await.map_err(|_| EngineError::Slow)?
    }

    /// The same, where the answer is JSON.
    pub(super) async fn json(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        limit: Duration,
    ) -> Result<Value, EngineError> {
        let (_, bytes) = self.call(method, path, body, limit).await?;
        serde_json::from_slice(&bytes).map_err(|error| EngineError::Unreadable(error.to_string()))
    }

    /// Sends a request whose answer is a stream; `limit` is for its head.
    pub(super) async fn stream(
        &self,
        path: &str,
        body: &Value,
        limit: Duration,
    ) -> Result<Incoming, EngineError> {
        let answer = async {
            let response = self.open(Method::POST, path, Some(body)).await?;
            let status = response.status();
            if status == StatusCode::OK {
                return Ok(response.into_body());
            }
            let read = Limited::new(response.into_body(), LARGEST).collect().await;
            let bytes = read.map_err(|error| EngineError::Down(error.to_string()))?.to_bytes();
            accept(status, &bytes)?;
            Err(EngineError::Unreadable(format!("status {status} where a stream begins")))
        };
        tokio::time::timeout(limit, answer).await.map_err(|_| EngineError::Slow)?
    }
}

fn down(error: &(dyn std::error::Error + 'static)) -> EngineError {
    EngineError::Down(hoody_core::causes::in_full(error))
}

/// 304 says that nothing is left to do.
fn accept(status: StatusCode, body: &[u8]) -> Result<(), EngineError> {
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        return Ok(());
    }
    let words = words(body);
    match status {
        StatusCode::NOT_FOUND => Err(EngineError::NotFound(words)),
        _ => Err(EngineError::Refused { status: status.as_u16(), words }),
    }
}

/// The engine's own words on one line: `message`, and Podman's `cause`.
fn words(body: &[u8]) -> String {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let (message, cause) = (text("message"), text("cause"));
    let words = if message.contains(&cause) { message } else { format!("{message} ({cause})") };
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_the_engines_words_short_and_on_one_line() {
        let body = br#"{"cause":"that name is already in use","message":"creating container:\nthat name is already in use","response":500}"#;
        let error = accept(StatusCode::INTERNAL_SERVER_ERROR, body).unwrap_err();
        let EngineError::Refused { status, words } = error else { panic!() };
        assert_eq!((status, words.as_str()), (500, "creating container: that name is already in use"));
        let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(5_000));
        let EngineError::NotFound(words) = accept(StatusCode::NOT_FOUND, long.as_bytes()).unwrap_err() else {
            panic!()
        };
        assert_eq!(words.len(), MAX_WORDS);
        assert_eq!(accept(StatusCode::NOT_MODIFIED, b""), Ok(()));
        assert!(matches!(
            accept(StatusCode::CONFLICT, b"\xff<html>"),
            Err(EngineError::Refused { status: 409, .. })
        ));
    }
}
