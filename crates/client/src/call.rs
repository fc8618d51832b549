//! One call: the request built, sent, sent again where that is safe, and its answer read.

use std::fmt::Display;
use std::time::Duration;

use hoody_core::wire::{ErrorBody, PageMetadata};
use http::{Method, StatusCode, header};
use reqwest::{Response, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::client::Client;
use crate::error::{ApiError, Error};
use crate::retry;

/// What is read of an answer at most, unless the call says otherwise.
const LARGEST: usize = 16 * 1024 * 1024;

/// How long a stream may last.
const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);

/// A request to be.
pub(crate) struct Call {
    method: Method,
    segments: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Option<Zeroizing<Vec<u8>>>,
    is_signed: bool,
    is_repeatable: bool,
    largest: usize,
}

/// The part of an envelope that a caller gets.
#[derive(Deserialize)]
pub(crate) struct Answer<T> {
    pub(crate) data: T,
    #[serde(default)]
    pub(crate) truncated: bool,
    /// Of a log.
    pub(crate) metadata: Option<PageMetadata>,
}

impl Call {
    /// A call of `route`, a path below `/api/v1/`.
    pub(crate) fn new(method: Method, route: &'static str) -> Self {
        let segments = route.split('/').map(str::to_owned).collect();
        let is_repeatable = method.is_idempotent();
        Self {
            method,
            segments,
            query: Vec::new(),
            body: None,
            is_signed: true,
            is_repeatable,
            largest: LARGEST,
        }
    }

    pub(crate) fn get(route: &'static str) -> Self {
        Self::new(Method::GET, route)
    }

    pub(crate) fn post(route: &'static str) -> Self {
        Self::new(Method::POST, route)
    }

    pub(crate) fn put(route: &'static str) -> Self {
        Self::new(Method::PUT, route)
    }

    pub(crate) fn delete(route: &'static str) -> Self {
        Self::new(Method::DELETE, route)
    }

    /// One more segment of the path; whatever is in it stays in it.
    pub(crate) fn at(mut self, segment: impl Display) -> Self {
        self.segments.push(segment.to_string());
        self
    }

    pub(crate) fn query(mut self, name: &'static str, value: Option<impl Display>) -> Self {
        self.query.extend(value.map(|value| (name, value.to_string())));
        self
    }

    pub(crate) fn json<T: Serialize>(mut self, body: &T) -> Self {
        self.body = Some(Zeroizing::new(serde_json::to_vec(body).expect("wire types are plain JSON")));
        self
    }

    /// Reads an answer of so many bytes.
    pub(crate) fn up_to(mut self, largest: usize) -> Self {
        self.largest = largest;
        self
    }

    /// Leaves the credential out.
    pub(crate) fn unsigned(mut self) -> Self {
        self.is_signed = false;
        self
    }

    /// Not to be sent again where it may have been done, whatever its method: a code in it is good once.
    pub(crate) fn once(mut self) -> Self {
        self.is_repeatable = false;
        self
    }

    /// Whether it changes something.
    fn is_change(&self) -> bool {
        !self.method.is_safe()
    }

    /// What it is called in messages: method and path.
    fn route(&self) -> String {
        format!("{} /api/v1/{}", self.method, self.segments.join("/"))
    }

    fn url(&self, client: &Client) -> Url {
        let mut url = client.base().url().clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1"]).extend(&self.segments);
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        url
    }

    fn request(&self, client: &Client) -> reqwest::RequestBuilder {
        let mut request = client.http().request(self.method.clone(), self.url(client));
        if let Some(body) = &self.body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body.to_vec());
        }
        if self.is_signed
            && let Some(value) = client.authorization()
        {
            request = request.header(header::AUTHORIZATION, value);
        }
        request.header(header::ACCEPT, "application/json")
    }

    /// Sends the call and reads `data` of its answer.
    pub(crate) async fn send<T: DeserializeOwned>(&self, client: &Client) -> Result<T, Error> {
        Ok(self.answer(client).await?.data)
    }

    /// Sends the call and takes any success for an answer.
    pub(crate) async fn done(&self, client: &Client) -> Result<(), Error> {
        self.exchange(client).await.map(drop)
    }

    pub(crate) async fn answer<T: DeserializeOwned>(&self, client: &Client) -> Result<Answer<T>, Error> {
        let (status, body) = self.exchange(client).await?;
        serde_json::from_slice(&body).map_err(|error| Error::Decode {
            route: self.route(),
            status,
            line: error.line(),
            column: error.column(),
        })
    }

    /// The body of the first answer that is a success, or why there is none.
    async fn exchange(&self, client: &Client) -> Result<(StatusCode, Zeroizing<Vec<u8>>), Error> {
        let mut tried = 0;
        loop {
            tried += 1;
            let pause = match self.request(client).send().await {
                Ok(response) => {
                    let status = response.status();
                    tracing::debug!(route = self.route(), status = status.as_u16(), tried, "answer");
                    if status.is_success() {
                        return Ok((status, self.read(client, response).await?));
                    }
                    let refusal = self.refusal(client, response).await;
                    let pause =
                        refusal.api().and_then(|api| retry::after_refusal(self.is_repeatable, api, tried));
                    match pause {
                        Some(pause) => pause,
                        None => return Err(refusal),
                    }
                }
                Err(error) => match retry::after_failure(self.is_repeatable, error.is_connect(), tried) {
                    // What took its whole time once will take it again.
                    Some(pause) if !error.is_timeout() => pause,
                    _ => return Err(self.failure(client, error)),
                },
            };
            tracing::info!(
                route = self.route(),
                pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
                "asking again"
            );
            tokio::time::sleep(pause).await;
        }
    }

    /// Sends the call and leaves the answer open: a stream, which may last as long as it likes.
    pub(crate) async fn open(&self, client: &Client) -> Result<Incoming, Error> {
        let request = self.request(client).header(header::ACCEPT, "text/event-stream").timeout(FOR_EVER);
        let response = request.send().await.map_err(|error| self.failure(client, error))?;
        if response.status().is_success() {
            return Ok(Incoming { client: client.clone(), route: self.route(), response });
        }
        Err(self.refusal(client, response).await)
    }

    async fn read(&self, client: &Client, mut response: Response) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut body = Zeroizing::new(Vec::new());
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failure(client, error))? {
            if body.len() + chunk.len() > self.largest {
                return Err(Error::TooLarge { route: self.route(), limit: self.largest });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// Why there is no answer, or no whole one.
    fn failure(&self, client: &Client, error: reqwest::Error) -> Error {
        failure(client, self.route(), self.is_change(), error)
    }

    /// The refusal that the answer is.
    async fn refusal(&self, client: &Client, response: Response) -> Error {
        let status = response.status();
        if status.is_redirection() {
            let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            return Error::Redirected {
                location: location.map_or_else(|| "another address".to_owned(), origin_of),
            };
        }
        let retry_after = retry::retry_after(response.headers());
        let body = match self.read(client, response).await {
            Ok(body) => serde_json::from_slice::<ErrorBody>(&body).ok(),
            Err(error) => return error,
        };
        Error::Api(Box::new(match body {
            Some(body) => {
                let code = if body.code.is_empty() { code_in(&body.error) } else { body.code };
                ApiError { status, code, message: body.message, data: body.data, retry_after }
            }
            // Something in between answered: a proxy, a gateway.
            None => ApiError {
                status,
                code: String::new(),
                message: match self.is_change() && status.is_server_error() {
                    true => {
                        format!("The server answered {status} to {}; it may have been done", self.route())
                    }
                    false => format!("The server answered {status} to {}", self.route()),
                },
                data: None,
                retry_after,
            },
        }))
    }
}

/// An answer that is still coming.
#[derive(Debug)]
pub(crate) struct Incoming {
    client: Client,
    route: String,
    response: Response,
}

impl Incoming {
    /// The next piece, at most `room` bytes; `None` at the end.
    pub(crate) async fn next(&mut self, silence: Duration, room: usize) -> Result<Option<Vec<u8>>, Error> {
        let chunk = tokio::time::timeout(silence, self.response.chunk()).await;
        let Ok(chunk) = chunk else {
            let origin = self.client.base().url().origin().ascii_serialization();
            return Err(Error::Timeout { origin, route: self.route.clone(), is_change: false });
        };
        match chunk.map_err(|error| failure(&self.client, self.route.clone(), false, error))? {
            Some(chunk) if chunk.len() > room => {
                Err(Error::TooLarge { route: self.route.clone(), limit: room })
            }
            chunk => Ok(chunk.map(|chunk| chunk.to_vec())),
        }
    }

    /// A piece was not what the route gives.
    pub(crate) fn unreadable(&self, error: &serde_json::Error) -> Error {
        Error::Decode {
            route: self.route.clone(),
            status: self.response.status(),
            line: error.line(),
            column: error.column(),
        }
    }
}

/// Other servers of this contract give some codes in `error` alone.
fn code_in(error: &str) -> String {
    let is_code =
        !error.is_empty() && error.bytes().all(|b| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit());
    if is_code { error.to_owned() } else { String::new() }
}

/// Scheme, host and port of a redirect's target; its path and query may hold what must not be shown.
fn origin_of(location: &str) -> String {
    Url::parse(location).map_or_else(|_| "another path".to_owned(), |url| url.origin().ascii_serialization())
}

fn failure(client: &Client, route: String, is_change: bool, error: reqwest::Error) -> Error {
    let origin = client.base().url().origin().ascii_serialization();
    // Before anything else: a connection that took too long to open carried nothing.
    if error.is_connect() {
        Error::Network { origin, source: error.without_url() }
    } else if error.is_timeout() {
        Error::Timeout { origin, route, is_change }
    } else {
        Error::Broken { origin, route, is_change, source: error.without_url() }
    }
}
