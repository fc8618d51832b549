//! Lists of any length, read and written a page at a time while they are sent: however long one is, it takes
//! the memory of a page, and no thread works longer than a page takes.

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use hoody_core::id::UserId;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::Answer;
use crate::error::Error;
use crate::work::{self, Room, Rooms};

/// How many stored bytes a page aims at.
pub const PAGE: usize = 512 * 1024;
/// What one list takes at a time: a page as it is stored, opened, and as it is sent.
const ROOM: usize = 2 * 1024 * 1024;
/// What the lists of all accounts may take together, and those of one.
const ALL_ROOM: usize = 128 * 1024 * 1024;
const ROOM_OF_ACCOUNT: usize = 8 * 1024 * 1024;

/// The memory of all lists.
pub type ListRooms = Rooms<UserId>;

/// The memory of all lists, empty.
pub fn rooms() -> ListRooms {
    Rooms::new(ALL_ROOM, ROOM_OF_ACCOUNT)
}

/// The most bytes that a row takes: one with as many realms as there may be, as text and as ids.
const ROW: usize = 40 * 1024;
/// So many rows are made into an answer where the request runs: most have no realms.
const FEW_ROWS: usize = 64;

/// Waits for room for a page of so many rows, before any is read.
///
/// # Errors
/// [`Error::Unavailable`] when there is none for a while.
pub async fn room(rooms: &ListRooms, account: UserId, rows: i64) -> Result<Room<UserId>, Error> {
    rooms.take(account, usize::try_from(rows).unwrap_or(0).saturating_mul(ROW)).await
}

/// Makes the answer with so many rows, which have this room: many of them on another thread.
///
/// # Errors
/// [`Error::Unavailable`] when none is free for a while.
pub async fn page<T: Serialize>(
    room: Room<UserId>,
    rows: usize,
    make: impl FnOnce() -> Answer<T> + Send + 'static,
) -> Result<Response, Error> {
    let make = move || {
        let response = make().into_response();
        drop(room);
        response
    };
    work::run(if rows > FEW_ROWS { work::SMALL + 1 } else { 0 }, make).await
}

/// A list that is read a page at a time.
pub trait Pages: Send + 'static {
    /// The items of the next page as JSON with commas between; `None` after the last.
    fn next(&mut self) -> impl Future<Output = Result<Option<Vec<u8>>, Error>> + Send;
    /// Whether it leaves something out, once all pages are read.
    fn is_truncated(&self) -> bool {
        false
    }
}

/// A list on its way.
struct Sent<P> {
    pages: P,
    /// The page that is sent next, if it was made already.
    ready: Option<Vec<u8>>,
    stage: Stage,
    _room: Room<UserId>,
}

#[derive(PartialEq, Eq)]
enum Stage {
    First,
    Items,
    Over,
}

/// Waits for room for a list, before anything of it is read.
///
/// # Errors
/// [`Error::Unavailable`] when there is none for a while.
pub async fn begin(rooms: &ListRooms, account: UserId) -> Result<Room<UserId>, Error> {
    rooms.take(account, ROOM).await
}

/// Answers 200 with the list as `data`. What fits on one page comes as a whole; errors of the first page have
/// their status, and later ones break the answer off.
pub async fn answer<P: Pages>(room: Room<UserId>, message: &str, mut pages: P) -> Result<Response, Error> {
    let mut body = format!("{{\"statusCode\":200,\"message\":\"{message}\",\"data\":[").into_bytes();
    let mut ready = None;
    let mut stage = Stage::First;
    if let Some(page) = pages.next().await? {
        body.extend_from_slice(&page);
        stage = if page.is_empty() { Stage::First } else { Stage::Items };
        ready = pages.next().await?;
    }
    if ready.is_none() {
        body.extend_from_slice(end(&pages));
        return Ok(respond(Body::from(body)));
    }
    let sent = Sent { pages, ready, stage, _room: room };
    let rest = stream::unfold((Some(body), sent), async |(first, mut sent)| {
        if let Some(first) = first {
            return Some((Ok(Bytes::from(first)), (None, sent)));
        }
        let next = sent.next().await?;
        let next = next.map(Bytes::from).map_err(|error| {
            tracing::warn!(?error, "a list broke off while it was sent");
            std::io::Error::other("the list could not be read to its end")
        });
        Some((next, (None, sent)))
    });
    Ok(respond(Body::from_stream(rest)))
}

fn end<P: Pages>(pages: &P) -> &'static [u8] {
    if pages.is_truncated() { b"],\"truncated\":true}" } else { b"]}" }
}

/// Not kept by any cache: lists show what is somebody's own.
fn respond(body: Body) -> Response {
    let mut response = (StatusCode::OK, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl<P: Pages> Sent<P> {
    async fn next(&mut self) -> Option<Result<Vec<u8>, Error>> {
        if self.stage == Stage::Over {
            return None;
        }
        let page = match self.ready.take() {
            Some(page) => Ok(Some(page)),
            None => self.pages.next().await,
        };
        match page {
            Ok(Some(mut page)) => {
                if self.stage == Stage::Items && !page.is_empty() {
                    page.insert(0, b',');
                }
                if !page.is_empty() {
                    self.stage = Stage::Items;
                }
                Some(Ok(page))
            }
            Ok(None) => {
                self.stage = Stage::Over;
                Some(Ok(end(&self.pages).to_vec()))
            }
            Err(error) => {
                self.stage = Stage::Over;
                Some(Err(error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    struct Fixed(VecDeque<&'static str>);

    impl Pages for Fixed {
        async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
            Ok(self.0.pop_front().map(|page| page.as_bytes().to_vec()))
        }
        fn is_truncated(&self) -> bool {
            true
        }
    }

    #[tokio::test]
    async fn pages_are_one_array_whatever_is_on_them() {
        for (pages, expected) in [
            (&[][..], "[]"),
            (&[""], "[]"),
            (&["1,2"], "[1,2]"),
            (&["1", "2,3"], "[1,2,3]"),
            (&["", "1", "", "", "2"], "[1,2]"),
            (&["", "", ""], "[]"),
        ] {
            let list = Fixed(pages.iter().copied().collect());
            let account = UserId::from_bytes([1; 12]);
            let room = begin(&rooms(), account).await.unwrap();
            let response = answer(room, "Read", list).await.unwrap();
            let body = axum::body::to_bytes(response.into_body(), 1_000).await.unwrap();
            let whole =
                format!(r#"{{"statusCode":200,"message":"Read","data":{expected},"truncated":true}}"#);
            assert_eq!(body, whole, "{pages:?}");
        }
    }

    #[tokio::test]
    async fn an_account_has_so_many_lists_on_their_way_and_no_more() {
        let rooms = rooms();
        let (ada, grace) = (UserId::from_bytes([1; 12]), UserId::from_bytes([2; 12]));
        let mut unread = Vec::new();
        for _ in 0..ROOM_OF_ACCOUNT / ROOM {
            let room = begin(&rooms, ada).await.unwrap();
            unread.push(answer(room, "Read", Fixed(["1"; 3].into())).await.unwrap());
        }
        let mut next = Box::pin(begin(&rooms, ada));
        assert!(futures_util::poll!(next.as_mut()).is_pending(), "it waits for room");
        assert!(begin(&rooms, grace).await.is_ok());
        unread.pop();
        assert!(next.await.is_ok());
    }
}
