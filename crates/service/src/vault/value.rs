//! Sealing values, opening them, and sending them.

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use hoody_core::id::{VaultKeyId, VaultValueId};
use hoody_core::json::escape_into;
use hoody_core::seal::Place;
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use zeroize::Zeroizing;

use super::{Entry, LARGE, Turn, Vault, store};
use hoody_engine::db::{DbError, Tx, args};
use hoody_engine::error::Error;
use hoody_engine::keys::Keys;
use hoody_engine::keys::sealed::{KeyColumn, Sealed, Value};

/// How much of a value is sealed together, and sent together.
const PIECE: usize = 1024 * 1024;
/// How often a read begins again when the key is set meanwhile.
const TRIES: u32 = 5;

/// A value in the clear, and the turn that it takes if it is large.
pub struct Text {
    pub bytes: Zeroizing<Vec<u8>>,
    pub turn: Option<Turn>,
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Text({} bytes)", self.bytes.len())
    }
}

impl Text {
    /// In how many pieces it is sealed; at least one, so that a lost one is missed.
    pub fn pieces(&self) -> u32 {
        u32::try_from(self.bytes.len().div_ceil(PIECE).max(1)).unwrap_or(u32::MAX)
    }
}

/// What names a piece of a value: the value, the place of how many, and the key.
fn piece_row(value: &VaultValueId, place: u32, pieces: u32, name: &str) -> Vec<u8> {
    [&value.bytes()[..], &place.to_be_bytes(), &pieces.to_be_bytes(), name.as_bytes()].concat()
}

/// What names the metadata of a value: the value and the key.
fn metadata_row(value: &VaultValueId, name: &str) -> Vec<u8> {
    [&value.bytes()[..], name.as_bytes()].concat()
}

/// How the sealed values are moved to another master key. A value that is set again has another id and
/// other pieces, so that the one that was read is simply not there any more.
pub static SEALED: [Sealed; 2] = [
    Sealed {
        table: "vault_keys",
        column: "metadata",
        key: KeyColumn::Named("key_id"),
        count: "SELECT COUNT(*) AS n FROM vault_keys WHERE key_id = $1",
        list: "SELECT id, user_id, realm_id, name, value_id, metadata AS sealed FROM vault_keys \
               WHERE key_id = $1 ORDER BY id LIMIT 20 OFFSET $2",
        read: |row| {
            let (id, value): (VaultKeyId, VaultValueId) = (row.get("id")?, row.get("value_id")?);
            let name: String = row.get("name")?;
            let sealed: Vec<u8> = row.get("sealed")?;
            let which = args![id, value, sealed.clone()];
            let realm = store::read_realm(row)?;
            let row_name = metadata_row(&value, &name);
            Ok(Value { sealed, account: row.get("user_id")?, realm, row: row_name, which })
        },
        replace: "UPDATE vault_keys SET metadata = $1, key_id = $2 \
                  WHERE id = $3 AND value_id = $4 AND metadata = $5",
    },
    Sealed {
        table: "vault_pieces",
        column: "sealed",
        key: KeyColumn::Named("key_id"),
        count: "SELECT COUNT(*) AS n FROM vault_pieces WHERE key_id = $1",
        // A piece is up to a megabyte.
        list: "SELECT p.vault_id, p.value_id, p.place, p.key_id, p.sealed, k.user_id, k.realm_id, k.name, \
               k.pieces FROM vault_pieces p JOIN vault_keys k ON k.id = p.vault_id WHERE p.key_id = $1 \
               ORDER BY p.vault_id, p.value_id, p.place LIMIT 4 OFFSET $2",
        read: |row| {
            let (vault, value): (VaultKeyId, VaultValueId) = (row.get("vault_id")?, row.get("value_id")?);
            let (place, pieces): (i64, i64) = (row.get("place")?, row.get("pieces")?);
            let (name, key): (String, String) = (row.get("name")?, row.get("key_id")?);
            let number = |number| u32::try_from(number).map_err(|_| DbError::Unreadable("place"));
            let row_name = piece_row(&value, number(place)?, number(pieces)?, &name);
            let which = args![vault, value, place, key];
            let realm = store::read_realm(row)?;
            Ok(Value {
                sealed: row.get("sealed")?,
                account: row.get("user_id")?,
                realm,
                row: row_name,
                which,
            })
        },
        replace: "UPDATE vault_pieces SET sealed = $1, key_id = $2 \
                  WHERE vault_id = $3 AND value_id = $4 AND place = $5 AND key_id = $6",
    },
];

impl Entry {
    fn piece(&self, place: u32) -> Vec<u8> {
        piece_row(&self.value, place, self.pieces, &self.name)
    }

    fn place<'a>(&self, table: &'a str, column: &'a str, row: &'a [u8]) -> Place<'a> {
        Place { table, column, account: self.account, realm: self.realm, row }
    }

    fn fault(&self, what: &str) -> Error {
        Error::internal(anyhow::anyhow!("{what} of key {} in the vault of account {}", self.id, self.account))
    }

    /// Seals this metadata for the value that the entry has.
    pub fn seal_metadata(&mut self, keys: &Keys, json: Option<&[u8]>) {
        let row = metadata_row(&self.value, &self.name);
        let place = self.place("vault_keys", "metadata", &row);
        self.metadata = json.map(|json| keys.seal(&place, json));
    }

    /// The metadata in the clear: JSON of an object. It was checked when it was sealed, and is not read again.
    pub fn open_metadata(&self, keys: &Keys) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let Some(sealed) = &self.metadata else { return Ok(None) };
        let row = metadata_row(&self.value, &self.name);
        let opened = keys.open(&self.place("vault_keys", "metadata", &row), sealed);
        let opened = opened.map_err(|error| self.fault(&format!("metadata: {error},")))?;
        Ok(Some(opened))
    }

    /// Appends the key as it is on the wire (`wire::VaultKey`), with this JSON as its metadata.
    pub fn write(&self, metadata: Option<&[u8]>, out: &mut Vec<u8>) {
        let realm = self.realm.map(|realm| realm.to_string()).unwrap_or_default();
        let head = json!({ "key": self.name, "realm_id": realm });
        let tail = json!({
            "size_bytes": self.size_bytes,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        });
        let (head, tail) = (head.to_string(), tail.to_string());
        out.extend_from_slice(head.trim_end_matches('}').as_bytes());
        out.extend_from_slice(b",\"metadata\":");
        out.extend_from_slice(metadata.unwrap_or(b"null"));
        out.push(b',');
        out.extend_from_slice(tail.trim_start_matches('{').as_bytes());
    }
}

/// Seals and writes every piece of the entry's value.
pub async fn write(keys: &Keys, tx: &mut Tx, entry: &Entry, text: &Text) -> Result<(), Error> {
    let mut rest = text.bytes.as_slice();
    for index in 0..entry.pieces {
        let (piece, after) = rest.split_at(rest.len().min(PIECE));
        rest = after;
        let row = entry.piece(index);
        let sealed = keys.seal(&entry.place("vault_pieces", "sealed", &row), piece);
        store::insert_piece(tx, entry, index, sealed).await?;
    }
    Ok(())
}

/// The key of this name with its value, if it is there. A value is read piece by piece, and again from
/// the beginning when it is set meanwhile.
pub async fn read(vault: &Vault, wanted: &Wanted<'_>) -> Result<Option<(Entry, Text)>, Error> {
    for _ in 0..TRIES {
        let found = store::find_entry(&vault.db, wanted.account, wanted.realm, wanted.name).await?;
        let Some(entry) = found else { return Ok(None) };
        if let Some(text) = read_pieces(vault, &entry).await? {
            return Ok(Some((entry, text)));
        }
        let again = store::find_entry(&vault.db, wanted.account, wanted.realm, wanted.name).await?;
        if again.is_some_and(|again| again.value == entry.value) {
            return Err(entry.fault("a missing piece"));
        }
    }
    Err(Error::Unavailable("The key is being set over and over; try again"))
}

/// Which key is read.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub account: hoody_core::id::UserId,
    pub realm: Option<hoody_core::id::RealmId>,
    pub name: &'a str,
}

/// `None` when a piece is not there.
async fn read_pieces(vault: &Vault, entry: &Entry) -> Result<Option<Text>, Error> {
    let length = usize::try_from(entry.value_bytes).unwrap_or(0).min(entry.pieces as usize * PIECE);
    let turn = if length > LARGE { Some(vault.large.turn(entry.account, length).await?) } else { None };
    let mut text = Text { bytes: Zeroizing::new(Vec::with_capacity(length)), turn };
    for index in 0..entry.pieces {
        let Some(sealed) = store::find_piece(&vault.db, entry, index).await? else { return Ok(None) };
        let row = entry.piece(index);
        let piece = vault.keys.open(&entry.place("vault_pieces", "sealed", &row), &sealed);
        let piece = piece.map_err(|error| entry.fault(&format!("value: {error},")))?;
        text.bytes.extend_from_slice(&piece);
    }
    Ok(Some(text))
}

/// The answer with a key and its value, which is escaped while it is sent.
pub fn answer(
    status: StatusCode,
    message: &str,
    entry: &Entry,
    metadata: Option<&[u8]>,
    text: Text,
) -> Response {
    let mut head =
        format!("{{\"statusCode\":{},\"message\":\"{message}\",\"data\":", status.as_u16()).into_bytes();
    entry.write(metadata, &mut head);
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
    response
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
