//! Identifiers: 12 bytes inside, 24 lowercase hex digits outside, one type for each noun.
//!
//! Four bytes of time and eight of randomness, so that ids sort roughly by age and cannot be guessed
//! from one another. An [`Id`] carries its noun in its type: a session's id does not fit where an
//! account's is wanted.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The nouns that have identifiers.
pub mod noun {
    macro_rules! nouns {
        ($($(#[$doc:meta])* $name:ident),* $(,)?) => { $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub enum $name {}
        )* };
    }
    nouns! {
        /// An account of a person.
        User,
        /// A signed-in session of an account.
        Session,
        /// A long-lived `hdy_` token.
        Token,
        /// A realm: a label inside one account.
        Realm,
        /// A project.
        Project,
        /// A grant of a project to another account.
        Member,
        /// A key of the vault.
        VaultKey,
        /// One value of a key of the vault.
        VaultValue,
        /// A row of the request log.
        LogRow,
        /// A process that serves.
        Node,
        /// Something to be done outside the database.
        Job,
        /// What opens sign-up to whoever has it.
        Invitation,
        /// Somebody's request to be signed in on another device.
        Device,
        /// An event.
        Event,
        /// Whatever an event is about.
        Resource,
        /// An endpoint that events are sent to.
        Webhook,
        /// An event on its way to an endpoint.
        Delivery,
        /// Something that its account should know.
        Alert,
        /// A container.
        Container,
        /// A saved state of a container.
        Snapshot,
        /// What a proxy asks before it lets a request through to another service.
        Gate,
    }
}

/// An account.
pub type UserId = Id<noun::User>;
/// A session.
pub type SessionId = Id<noun::Session>;
/// A token.
pub type TokenId = Id<noun::Token>;
/// A realm.
pub type RealmId = Id<noun::Realm>;
/// A project.
pub type ProjectId = Id<noun::Project>;
/// A project's permission row.
pub type MemberId = Id<noun::Member>;
/// A container.
pub type ContainerId = Id<noun::Container>;
/// A saved state of a container.
pub type SnapshotId = Id<noun::Snapshot>;
/// A key of the vault.
pub type VaultKeyId = Id<noun::VaultKey>;
/// An event.
pub type EventId = Id<noun::Event>;
/// An endpoint that events are sent to.
pub type WebhookId = Id<noun::Webhook>;
/// An event on its way to an endpoint.
pub type DeliveryId = Id<noun::Delivery>;
/// Something that its account should know.
pub type AlertId = Id<noun::Alert>;
/// What a proxy asks before it lets a request through.
pub type GateId = Id<noun::Gate>;
/// Whatever an event is about.
pub type ResourceId = Id<noun::Resource>;
/// One value of a key of the vault.
pub type VaultValueId = Id<noun::VaultValue>;
/// A process that serves.
pub type NodeId = Id<noun::Node>;
/// Something to be done outside the database.
pub type JobId = Id<noun::Job>;
/// What opens sign-up to whoever has it.
pub type InvitationId = Id<noun::Invitation>;
/// A row of the request log.
pub type LogRowId = Id<noun::LogRow>;

/// A request to be signed in on another device.
pub type DeviceId = Id<noun::Device>;

/// Twelve bytes that name one thing of the noun `K`.
pub struct Id<K> {
    bytes: [u8; 12],
    noun: PhantomData<fn() -> K>,
}

/// The text is not 24 lowercase hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is 24 lowercase hex digits")]
pub struct ParseIdError;

impl<K> Id<K> {
    /// The id made at `seconds` since 1970 with these random bytes.
    #[must_use]
    pub fn from_parts(seconds: u32, random: [u8; 8]) -> Self {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&seconds.to_be_bytes());
        bytes[4..].copy_from_slice(&random);
        Self::from_bytes(bytes)
    }

    /// The id with exactly these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 12]) -> Self {
        Self { bytes, noun: PhantomData }
    }

    /// Its bytes, as they are stored.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 12] {
        &self.bytes
    }
}

impl<K> TryFrom<&[u8]> for Id<K> {
    type Error = ParseIdError;
    fn try_from(bytes: &[u8]) -> Result<Self, ParseIdError> {
        bytes.try_into().map(Self::from_bytes).map_err(|_| ParseIdError)
    }
}

impl<K> FromStr for Id<K> {
    type Err = ParseIdError;

    /// Reads 24 lowercase hex digits.
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let text = text.as_bytes();
        if text.len() != 24 {
            return Err(ParseIdError);
        }
        let mut bytes = [0; 12];
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            *byte = lower_hex(pair[0])? << 4 | lower_hex(pair[1])?;
        }
        Ok(Self::from_bytes(bytes))
    }
}

fn lower_hex(digit: u8) -> Result<u8, ParseIdError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(ParseIdError),
    }
}

impl<K> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<K> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// Derives would ask the same of the noun.
impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.bytes.cmp(&other.bytes)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

impl<K> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "openapi")]
mod openapi {
    use utoipa::openapi::{ObjectBuilder, RefOr, Schema, schema::Type};

    impl<K> utoipa::PartialSchema for super::Id<K> {
        fn schema() -> RefOr<Schema> {
            ObjectBuilder::new()
                .schema_type(Type::String)
                .pattern(Some("^[0-9a-f]{24}$"))
                .examples(["65a1b2c3d4e5f60718293a4b"])
                .into()
        }
    }

    impl<K> utoipa::ToSchema for super::Id<K> {
        fn name() -> std::borrow::Cow<'static, str> {
            "Id".into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_shows_its_time_first() {
        let id = UserId::from_parts(0x65a1_b2c3, [0xd4, 0xe5, 0xf6, 7, 0x18, 0x29, 0x3a, 0x4b]);
        assert_eq!(id.to_string(), "65a1b2c3d4e5f60718293a4b");
    }

    #[test]
    fn upper_case_and_other_lengths_are_refused() {
        for text in [
            "",
            "65A1B2C3D4E5F60718293A4B",
            "65a1b2c3d4e5f60718293a4",
            "65a1b2c3d4e5f60718293a4b0",
            "65a1b2c3d4e5f60718293a4g",
        ] {
            assert_eq!(text.parse::<UserId>(), Err(ParseIdError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_bytes_agree(bytes: [u8; 12]) {
            let id = TokenId::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse::<TokenId>(), Ok(id));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,30}") {
            if let Ok(id) = text.parse::<TokenId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
