//! Events: their names, the ids that follow from where they stand in the feed, and cursors.
//!
//! A cursor names a place in the feed to one account. It is 46 characters of base64url: the place (14
//! bytes), encrypted with a pad that follows from its authentication code (20 bytes), so that a cursor
//! tells nobody how much happens on a server, and one that the server did not give is refused.
//!
//! ```text
//! place   pos 6 | seq 4 | at 4         seconds since 1970, to know a place of another history
//! tag     HMAC(cursor key, account | place)[..20]
//! cursor  base64url( place xor HMAC(pad key, tag)[..14] | tag )
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::id::{EventId, UserId};
use crate::keys::{MacKey, MasterKey};
use crate::time::Timestamp;

/// How many characters a cursor has.
pub const CURSOR_LENGTH: usize = 46;
/// The most characters of an event's type, or of the type of what it is about.
pub const MAX_NAME: usize = 64;
/// The most patterns at a time.
pub const MAX_PATTERNS: usize = 50;

const PLACE: usize = 14;
const TAG: usize = 20;

/// A place in the feed: the row `seq` of the mutation at `pos`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Place {
    /// The position of the mutation.
    pub pos: i64,
    /// Which of its rows.
    pub seq: i64,
}

/// Which types of events somebody wants: `auth.token.created`, `auth.token.*`, `*`; none is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns(Vec<String>);

/// What a cursor says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Everything up to here was read.
    pub place: Place,
    /// When that happened, in seconds since 1970; 0 where it is not known.
    pub at: u32,
}

/// The keys of cursors, of one master key.
#[derive(Debug, Clone)]
pub struct CursorKey {
    tag: MacKey,
    pad: MacKey,
}

/// What makes ids of events. Not secret to who has the database, and the same whatever its master keys
/// are: an event has one id on every node and for ever.
#[derive(Clone)]
pub struct EventIds(Hmac<Sha256>);

impl Patterns {
    /// Reads patterns. A `*` stands for the rest of a type and only at its end, after a dot or alone.
    ///
    /// # Errors
    /// Names the first that is none, or says that there are more than 50.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut patterns = Vec::new();
        for text in texts {
            let stem = text.strip_suffix(".*").unwrap_or(text);
            if text != "*" && !is_name(stem) {
                let rule = "must be a type like auth.token.created, or end in .*";
                return Err(format!("{} {rule}", crate::json::quoted(text)));
            }
            if patterns.len() == MAX_PATTERNS {
                return Err(format!("there are more than {MAX_PATTERNS} patterns"));
            }
            patterns.push(text.to_owned());
        }
        Ok(Self(patterns))
    }

    /// Whether events of this type are wanted.
    #[must_use]
    pub fn want(&self, event_type: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| is_match(pattern, event_type))
    }

    /// Whether this very type is asked for, by its name or a pattern that is not just `*`.
    #[must_use]
    pub fn name(&self, event_type: &str) -> bool {
        self.0.iter().any(|pattern| pattern != "*" && is_match(pattern, event_type))
    }

    /// The patterns as they were given.
    #[must_use]
    pub fn texts(&self) -> &[String] {
        &self.0
    }
}

fn is_match(pattern: &str, event_type: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(stem) => event_type.starts_with(stem),
        None => event_type == pattern,
    }
}

/// Whether the text can be the name of a type of events or resources.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    text.len() <= MAX_NAME && text.split('.').all(is_word)
}

impl Cursor {
    /// The cursor after what happened at `place`, at the instant `at`.
    #[must_use]
    pub fn new(place: Place, at: Timestamp) -> Self {
        Self { place, at: u32::try_from(at.seconds()).unwrap_or(0) }
    }

    fn bytes(self) -> [u8; PLACE] {
        let mut bytes = [0; PLACE];
        let pos = self.place.pos.to_be_bytes();
        let seq = u32::try_from(self.place.seq).unwrap_or(u32::MAX);
        bytes[..6].copy_from_slice(&pos[2..]);
        bytes[6..10].copy_from_slice(&seq.to_be_bytes());
        bytes[10..].copy_from_slice(&self.at.to_be_bytes());
        bytes
    }

    fn of_bytes(bytes: [u8; PLACE]) -> Self {
        let mut pos = [0; 8];
        pos[2..].copy_from_slice(&bytes[..6]);
        let four = |from: usize| [bytes[from], bytes[from + 1], bytes[from + 2], bytes[from + 3]];
        let place = Place { pos: i64::from_be_bytes(pos), seq: i64::from(u32::from_be_bytes(four(6))) };
        Self { place, at: u32::from_be_bytes(four(10)) }
    }
}

impl CursorKey {
    /// The keys for cursors into the feed of the database with this id.
    #[must_use]
    pub fn derive(master: &MasterKey, database_id: &[u8]) -> Self {
        Self {
            tag: master.derive(database_id, "event-cursor"),
            pad: master.derive(database_id, "event-cursor-pad"),
        }
    }

    /// The text of `cursor` for `account`.
    #[must_use]
    pub fn write(&self, account: UserId, cursor: Cursor) -> String {
        let place = cursor.bytes();
        let tag = self.tag.mac(&message(account, place));
        let mut bytes = [0; PLACE + TAG];
        bytes[PLACE..].copy_from_slice(&tag[..TAG]);
        bytes[..PLACE].copy_from_slice(&self.padded(place, &tag[..TAG]));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What `text` says, if this key wrote it for `account`.
    #[must_use]
    pub fn read(&self, account: UserId, text: &str) -> Option<Cursor> {
        if text.len() != CURSOR_LENGTH {
            return None;
        }
        let bytes: [u8; PLACE + TAG] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (place, tag) = bytes.split_first_chunk::<PLACE>()?;
        let place = self.padded(*place, tag);
        self.tag.verifies(&message(account, place), tag).then(|| Cursor::of_bytes(place))
    }

    fn padded(&self, mut place: [u8; PLACE], tag: &[u8]) -> [u8; PLACE] {
        for (byte, pad) in place.iter_mut().zip(self.pad.mac(tag)) {
            *byte ^= pad;
        }
        place
    }
}

fn message(account: UserId, place: [u8; PLACE]) -> [u8; 12 + PLACE] {
    let mut message = [0; 12 + PLACE];
    message[..12].copy_from_slice(account.bytes());
    message[12..].copy_from_slice(&place);
    message
}

impl EventIds {
    /// The ids of the events of the database with this id.
    ///
    /// # Panics
    /// Never: HMAC takes keys of any length.
    #[must_use]
    pub fn of_database(database_id: &[u8]) -> Self {
        Self(Hmac::new_from_slice(database_id).expect("HMAC takes keys of any length"))
    }

    /// The id of what happened at `place`, at the instant `at`: the same however often it is asked for.
    #[must_use]
    pub fn id(&self, place: Place, at: Timestamp) -> EventId {
        let mut mac = self.0.clone();
        mac.update(b"hoody/1/event-id");
        mac.update(&place.pos.to_be_bytes());
        mac.update(&place.seq.to_be_bytes());
        let code = mac.finalize().into_bytes();
        let mut random = [0; 8];
        random.copy_from_slice(&code[..8]);
        EventId::from_parts(u32::try_from(at.seconds()).unwrap_or(0), random)
    }
}

impl std::fmt::Debug for EventIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventIds(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(seed: u8) -> CursorKey {
        CursorKey::derive(&MasterKey::from_bytes([seed; 32]), b"database")
    }

    const ADA: UserId = UserId::from_bytes([1; 12]);
    const BOB: UserId = UserId::from_bytes([2; 12]);

    #[test]
    fn threat_23_a_cursor_of_another_account_or_server_or_one_that_was_changed_is_refused() {
        let cursor = Cursor { place: Place { pos: 7, seq: 1 }, at: 1_772_442_942 };
        let text = key(1).write(ADA, cursor);
        assert_eq!(key(1).read(ADA, &text), Some(cursor));
        assert_eq!(key(1).read(BOB, &text), None);
        assert_eq!(key(2).read(ADA, &text), None);
        for index in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(key(1).read(ADA, &changed), None, "character {index}");
            assert_eq!(key(1).read(ADA, &text[..index]), None);
        }
    }

    #[test]
    fn neighbouring_places_look_nothing_alike() {
        let text = |pos| key(1).write(ADA, Cursor { place: Place { pos, seq: 0 }, at: 0 });
        let (one, two) = (text(1), text(2));
        let same = one.bytes().zip(two.bytes()).filter(|(a, b)| a == b).count();
        assert!(same < 10, "{one} {two}");
    }

    #[test]
    fn patterns_name_types_and_families() {
        let patterns = Patterns::parse(["auth.token.*", "project.created"]).unwrap();
        for (event_type, is_wanted) in [
            ("auth.token.created", true),
            ("auth.tokens", false),
            ("auth.token", false),
            ("project.created", true),
            ("project.created.twice", false),
            ("project.deleted", false),
        ] {
            assert_eq!(patterns.want(event_type), is_wanted, "{event_type}");
        }
        assert!(Patterns::default().want("project.deleted"));
        let all = Patterns::parse(["*"]).unwrap();
        assert!(all.want("activity.logged") && !all.name("activity.logged"));
        assert!(patterns.name("project.created"));
        for bad in ["", "auth.*.created", "auth*", ".*", "Auth.token", "a..b", "**", "a b", &"a".repeat(65)] {
            assert!(Patterns::parse([bad]).is_err(), "{bad}");
        }
        assert!(Patterns::parse(std::iter::repeat_n("a", 51)).is_err());
    }

    #[test]
    fn an_event_has_one_id() {
        let ids = EventIds::of_database(b"database");
        let (place, at) = (Place { pos: 1, seq: 0 }, Timestamp::from_millis(1_772_442_942_118));
        assert_eq!(ids.id(place, at), ids.id(place, at));
        assert_ne!(ids.id(place, at), ids.id(Place { pos: 0, seq: 1 }, at));
        assert_ne!(ids.id(place, at), EventIds::of_database(b"other").id(place, at));
        assert!(
            ids.id(place, at).to_string().starts_with(&format!("{:08x}", 1_772_442_942)),
            "its time first"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(pos in 0..1_i64 << 48, seq: u32, at: u32) {
            let cursor = Cursor { place: Place { pos, seq: i64::from(seq) }, at };
            let text = key(1).write(ADA, cursor);
            prop_assert_eq!(text.len(), CURSOR_LENGTH);
            prop_assert_eq!(key(1).read(ADA, &text), Some(cursor));
        }

        #[test]
        fn any_text_is_refused(text in ".{0,60}") {
            prop_assert_eq!(key(1).read(ADA, &text), None);
        }
    }
}
