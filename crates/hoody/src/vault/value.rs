//! Sealing values, opening them, and sending them.

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use hoody_core::json::escape_into;
use hoody_core::seal::Place;
use hoody_core::wire;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{Entry, LARGE, Turn, store};
use crate::app::App;
use crate::db::Tx;
use crate::error::Error;
use crate::keys::Keys;

/// How much of a value is sealed together, and sent together.
const PIECE: usize = 1024 * 1024;
/// How often a read begins again when the key is set meanwhile.
const TRIES: u32 = 5;

/// A value in the clear, and the turn that it takes if it is large.
pub(crate) struct Text {
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    pub(crate) turn: Option<Turn>,
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Text({} bytes)", self.bytes.len())
    }
}

impl Text {
    /// In how many pieces it is sealed; at least one, so that a lost one is missed.
    pub(crate) fn pieces(&self) -> u32 {
        u32::try_from(self.bytes.len().div_ceil(PIECE).max(1)).unwrap_or(u32::MAX)
    }
}

impl Entry {
    /// What names a piece of the value: the value, the place of how many, and the key.
    fn piece(&self, place: u32) -> Vec<u8> {
        let parts =
            [&self.value.bytes()[..], &place.to_be_bytes(), &self.pieces.to_be_bytes(), self.name.as_bytes()];
        parts.concat()
    }

    fn place<'a>(&self, table: &'a str, column: &'a str, row: &'a [u8]) -> Place<'a> {
        Place { table, column, account: self.account, realm: self.realm, row }
    }

    fn fault(&self, what: &str) -> Error {
        Error::internal(anyhow::anyhow!("{what} of key {} in the vault of account {}", self.id, self.account))
    }

    /// Seals this metadata for the value that the entry has.
    pub(crate) fn seal_metadata(&mut self, keys: &Keys, json: Option<&[u8]>) {
        let row = [&self.value.bytes()[..], self.name.as_bytes()].concat();
        let place = self.place("vault_keys", "metadata", &row);
        self.metadata = json.map(|json| keys.seal(&place, json));
    }

    /// The metadata in the clear.
    pub(crate) fn open_metadata(&self, keys: &Keys) -> Result<Option<Map<String, Value>>, Error> {
        let Some(sealed) = &self.metadata else { return Ok(None) };
        let row = [&self.value.bytes()[..], self.name.as_bytes()].concat();
        let opened = keys.open(&self.place("vault_keys", "metadata", &row), sealed);
        let opened = opened.map_err(|error| self.fault(&format!("metadata: {error},")))?;
        serde_json::from_slice(&opened).map(Some).map_err(|_| self.fault("unreadable metadata"))
    }

    /// The key on the wire.
    pub(crate) fn shown(&self, metadata: Option<Map<String, Value>>) -> wire::VaultKey {
        wire::VaultKey {
            key: self.name.clone(),
            realm_id: self.realm,
            metadata,
            size_bytes: self.size_bytes.unsigned_abs(),
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

/// Seals and writes every piece of the entry's value.
pub(crate) async fn write(app: &App, tx: &mut Tx, entry: &Entry, text: &Text) -> Result<(), Error> {
    let (key, _) = app.keys.minting();
    let mut rest = text.bytes.as_slice();
    for index in 0..entry.pieces {
        let (piece, after) = rest.split_at(rest.len().min(PIECE));
        rest = after;
        let row = entry.piece(index);
        let sealed = app.keys.seal(&entry.place("vault_pieces", "sealed", &row), piece);
        store::insert_piece(tx, entry, index, key, sealed).await?;
    }
    Ok(())
}

/// The key of this name with its value, if it is there. A value is read piece by piece, and again from
/// the beginning when it is set meanwhile.
pub(crate) async fn read(app: &App, wanted: &Wanted<'_>) -> Result<Option<(Entry, Text)>, Error> {
    for _ in 0..TRIES {
        let found = store::find_entry(&app.db, wanted.account, wanted.realm, wanted.name).await?;
        let Some(entry) = found else { return Ok(None) };
        if let Some(text) = read_pieces(app, &entry).await? {
            return Ok(Some((entry, text)));
        }
        let again = store::find_entry(&app.db, wanted.account, wanted.realm, wanted.name).await?;
        if again.is_some_and(|again| again.value == entry.value) {
            return Err(entry.fault("a missing piece"));
        }
    }
    Err(Error::Unavailable("The key is being set over and over; try again"))
}

/// Which key is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) account: hoody_core::id::UserId,
    pub(crate) realm: Option<hoody_core::id::RealmId>,
    pub(crate) name: &'a str,
}

/// `None` when a piece is not there.
async fn read_pieces(app: &App, entry: &Entry) -> Result<Option<Text>, Error> {
    let length = usize::try_from(entry.value_bytes).unwrap_or(0).min(entry.pieces as usize * PIECE);
    let turn = if length > LARGE { Some(app.vault.turn().await?) } else { None };
    let mut text = Text { bytes: Zeroizing::new(Vec::with_capacity(length)), turn };
    for index in 0..entry.pieces {
        let Some(sealed) = store::find_piece(&app.db, entry, index).await? else { return Ok(None) };
        let row = entry.piece(index);
        let piece = app.keys.open(&entry.place("vault_pieces", "sealed", &row), &sealed);
        let piece = piece.map_err(|error| entry.fault(&format!("value: {error},")))?;
        text.bytes.extend_from_slice(&piece);
    }
    Ok(Some(text))
}

/// The answer with a key and its value, which is escaped while it is sent.
pub(crate) fn answer(
    status: StatusCode,
    message: &str,
    key: &wire::VaultKey,
    text: Text,
) -> Result<Response, Error> {
    let mut head =
        format!("{{\"statusCode\":{},\"message\":\"{message}\",\"data\":", status.as_u16()).into_bytes();
    serde_json::to_writer(&mut head, key).map_err(Error::internal)?;
    // The value is the last key of the object.
    head.pop();
    head.extend_from_slice(b",\"value\":\"");
    let body = if text.bytes.len() <= PIECE {
        escape_into(&mut head, &text.bytes);
        head.extend_from_slice(b"\"}}");
        Body::from(head)
    } else {
        Body::from_stream(in_pieces(head, text))
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// `head`, the text escaped piece by piece, and the end of the answer. The text keeps its turn until
/// all of it is sent.
fn in_pieces(
    head: Vec<u8>,
    text: Text,
) -> impl stream::Stream<Item = Result<Bytes, std::convert::Infallible>> {
    stream::unfold((head, Some(text), 0), async |(mut out, text, at)| {
        let text = text?;
        let end = text.bytes.len().min(at + PIECE);
        escape_into(&mut out, &text.bytes[at..end]);
        let text = if end == text.bytes.len() {
            out.extend_from_slice(b"\"}}");
            None
        } else {
            Some(text)
        };
        Some((Ok(Bytes::from(out)), (Vec::new(), text, end)))
    })
}
