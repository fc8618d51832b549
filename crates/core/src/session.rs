//! Sessions on the wire: JWTs (RFC 7519) signed with HS256 and nothing else.
//!
//! The header of every JWT that this server makes is one constant text for each key, and a JWT is read
//! only when its header is that text, byte for byte. So there is no algorithm to negotiate: `none`,
//! other algorithms, `jwk`, `jku`, `x5u`, `crit` and every spelling of them are simply not the text.
//! A pair of tokens is a function of its session's row, so the current pair can be signed again.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::id::{DeviceId, SessionId, UserId};
use crate::keys::{KeyId, MacKey, MasterKey};
use crate::pkce::Challenge;
use crate::time::{DAY, MINUTE, SECOND, Timestamp};

/// How long an access token lives, in milliseconds: one day.
pub const ACCESS_LIFETIME: i64 = DAY;
/// How long a refresh token lives, in milliseconds: seven days.
pub const REFRESH_LIFETIME: i64 = 7 * DAY;
/// For how long after a refresh the pair before it is still good, in milliseconds.
pub const REUSE_GRACE: i64 = 60 * SECOND;
/// How long somebody who gave a password has to give the second factor, in milliseconds.
pub const PARTIAL_LIFETIME: i64 = 5 * MINUTE;
/// Longer texts are not read.
pub const MAX_LENGTH: usize = 1024;

/// What a session token is for. Each is refused where the other is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Opens the API.
    Access,
    /// Gets the next pair, and nothing else.
    Refresh,
}

/// What a session token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// The account.
    pub sub: UserId,
    /// The session.
    pub sid: SessionId,
    /// How often the session was refreshed when this was signed.
    pub seq: i64,
    /// The account's generation: logout and a new password raise it.
    #[serde(rename = "gen")]
    pub generation: i64,
    /// Access or refresh.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// When it was signed, in seconds since 1970.
    pub iat: i64,
    /// When it ends, in seconds since 1970.
    pub exp: i64,
    /// Names this token in logs.
    pub jti: String,
}

/// What the token between password and second factor says. It names no session, because there is none
/// yet: neither kind of claims can be read as the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartialClaims {
    /// The account.
    pub sub: UserId,
    /// The account's generation: a new password and a second factor turned on or off raise it.
    #[serde(rename = "gen")]
    pub generation: i64,
    /// Always `partial`.
    #[serde(rename = "type")]
    pub kind: PartialKind,
    /// When it was signed, in seconds since 1970.
    pub iat: i64,
    /// When it ends, in seconds since 1970.
    pub exp: i64,
    /// Names this token in logs.
    pub jti: String,
    /// What comes of it is an intent for this challenge, and no session (RFC 7636).
    #[serde(rename = "cha", default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<Challenge>,
    /// What comes of it is an approval of this request of a device, and no session (RFC 8628).
    #[serde(rename = "dev", default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
}

/// What a [`PartialClaims`] is for, and nothing else is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PartialKind {
    /// Gets a session for a code of the second factor.
    Partial,
}

impl PartialClaims {
    /// The claims for an account whose password was given at `now`; `nonce` must be random.
    #[must_use]
    pub fn new(account: UserId, generation: i64, now: Timestamp, nonce: [u8; 8]) -> Self {
        let iat = now.seconds();
        Self {
            sub: account,
            generation,
            kind: PartialKind::Partial,
            iat,
            exp: iat + PARTIAL_LIFETIME / SECOND,
            jti: format!("{account}.{:016x}p", u64::from_be_bytes(nonce)),
            challenge: None,
            device: None,
        }
    }
}

/// The key that sessions are signed with, and the header it goes with.
#[derive(Debug, Clone)]
pub struct SessionKey {
    header: String,
    mac: MacKey,
}

/// A signed session token. Cannot be printed.
pub struct SignedSession(Zeroizing<String>);

/// The text is no session token of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a session token")]
pub struct ParseSessionError;

impl SessionKey {
    /// The session key of `master` in the database with this id.
    #[must_use]
    pub fn derive(master: &MasterKey, database_id: &[u8]) -> Self {
        Self { header: header(master.id()), mac: master.derive(database_id, "session") }
    }

    /// Signs `claims`.
    #[must_use]
    pub fn sign(&self, claims: &Claims) -> SignedSession {
        self.sign_any(claims)
    }

    /// Signs the claims of somebody whose second factor is missing.
    #[must_use]
    pub fn sign_partial(&self, claims: &PartialClaims) -> SignedSession {
        self.sign_any(claims)
    }

    fn sign_any(&self, claims: &impl Serialize) -> SignedSession {
        let claims = serde_json::to_vec(claims).expect("claims are plain strings and numbers");
        let mut text = Zeroizing::new(String::with_capacity(512));
        text.push_str(&self.header);
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut text);
        let signature = self.mac.mac(text.as_bytes());
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut text);
        SignedSession(text)
    }
}

fn header(key: KeyId) -> String {
    URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{key}"}}"#))
}

/// Reads a session token that one of `keys` signed. Does not judge its times: they are judged where
/// the clock is.
///
/// # Errors
/// When the header is not one of ours, the signature is wrong, or the claims are not exactly ours.
pub fn verify(text: &str, keys: &[SessionKey]) -> Result<Claims, ParseSessionError> {
    verify_any(text, keys)
}

/// Reads the token between password and second factor, as [`verify`] does a session's.
///
/// # Errors
/// As [`verify`]; an access or refresh token is none.
pub fn verify_partial(text: &str, keys: &[SessionKey]) -> Result<PartialClaims, ParseSessionError> {
    verify_any(text, keys)
}

fn verify_any<T: serde::de::DeserializeOwned>(
    text: &str,
    keys: &[SessionKey],
) -> Result<T, ParseSessionError> {
    if text.len() > MAX_LENGTH {
        return Err(ParseSessionError);
    }
    let (signed, signature) = text.rsplit_once('.').ok_or(ParseSessionError)?;
    let (header, claims) = signed.split_once('.').ok_or(ParseSessionError)?;
    let key = keys.iter().find(|key| key.header == header).ok_or(ParseSessionError)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| ParseSessionError)?;
    if signature.len() != 32 || !key.mac.verifies(signed.as_bytes(), &signature) {
        return Err(ParseSessionError);
    }
    let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| ParseSessionError)?;
    serde_json::from_slice(&claims).map_err(|_| ParseSessionError)
}

/// Whether a text that is no `hdy_` token has the outer form of a JWT.
#[must_use]
pub fn looks_like_jwt(text: &str) -> bool {
    text.len() <= MAX_LENGTH && text.bytes().filter(|&byte| byte == b'.').count() == 2
}

/// The state of a session that its current pair of tokens is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// The account.
    pub account: UserId,
    /// The session.
    pub session: SessionId,
    /// The account's generation.
    pub generation: i64,
    /// How often it was refreshed.
    pub seq: i64,
    /// When it was last refreshed, or made.
    pub rotated_at: Timestamp,
}

impl Rotation {
    /// The claims of the current access or refresh token.
    #[must_use]
    pub fn claims(&self, kind: Kind) -> Claims {
        let lifetime = match kind {
            Kind::Access => ACCESS_LIFETIME,
            Kind::Refresh => REFRESH_LIFETIME,
        };
        let iat = self.rotated_at.seconds();
        let letter = if kind == Kind::Access { 'a' } else { 'r' };
        Claims {
            sub: self.account,
            sid: self.session,
            seq: self.seq,
            generation: self.generation,
            kind,
            iat,
            exp: iat + lifetime / SECOND,
            jti: format!("{}.{}{letter}", self.session, self.seq),
        }
    }

    /// How a token of the sequence `seq` stands at `now`.
    #[must_use]
    pub fn standing(&self, seq: i64, now: Timestamp) -> Standing {
        if seq == self.seq {
            Standing::Current
        } else if seq == self.seq - 1 && now < self.rotated_at.plus(REUSE_GRACE) {
            Standing::JustReplaced
        } else {
            Standing::Replayed
        }
    }
}

/// How a session token's sequence relates to its session's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is of the current pair.
    Current,
    /// It is of the pair before, replaced less than [`REUSE_GRACE`] ago: a retry or a parallel refresh.
    JustReplaced,
    /// Anything else: somebody holds a copy.
    Replayed,
}

impl SignedSession {
    /// The token itself: for the answer that carries it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SignedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedSession(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(seed: u8) -> SessionKey {
        SessionKey::derive(&MasterKey::from_bytes([seed; 32]), b"database")
    }

    fn rotation() -> Rotation {
        Rotation {
            account: UserId::from_bytes([1; 12]),
            session: SessionId::from_bytes([2; 12]),
            generation: 3,
            seq: 4,
            rotated_at: Timestamp::from_millis(1_772_442_942_118),
        }
    }

    fn encode(text: &str) -> String {
        URL_SAFE_NO_PAD.encode(text)
    }

    #[test]
    fn what_is_signed_is_read_by_every_key_of_the_ring() {
        let claims = rotation().claims(Kind::Access);
        let signed = key(1).sign(&claims);
        assert_eq!(verify(signed.expose(), &[key(2), key(1)]), Ok(claims));
        assert_eq!(verify(signed.expose(), &[key(2)]), Err(ParseSessionError));
    }

    #[test]
    fn the_same_row_gives_the_same_pair_and_kinds_differ() {
        let access = rotation().claims(Kind::Access);
        assert_eq!(key(1).sign(&access).expose(), key(1).sign(&rotation().claims(Kind::Access)).expose());
        assert_eq!(access.exp - access.iat, 86_400);
        let refresh = rotation().claims(Kind::Refresh);
        assert_eq!(refresh.exp - refresh.iat, 604_800);
        assert_ne!(access.jti, refresh.jti);
    }

    /// Threat 6: algorithm confusion, header injection and every spelling of `none`.
    #[test]
    fn threat_06_only_our_own_header_is_read() {
        let signed = key(1).sign(&rotation().claims(Kind::Access));
        let text = signed.expose();
        let (header, rest) = text.split_once('.').unwrap();
        let (claims, signature) = rest.split_once('.').unwrap();
        let kid = MasterKey::from_bytes([1; 32]).id();
        let headers = [
            r#"{"alg":"none","typ":"JWT"}"#.to_owned(),
            r#"{"alg":"None","typ":"JWT"}"#.to_owned(),
            r#"{"alg":"HS256","typ":"JWT"}"#.to_owned(),
            r#"{"alg":"HS512","typ":"JWT"}"#.to_owned(),
            r#"{"alg":"RS256","typ":"JWT"}"#.to_owned(),
            r#"{"alg":"EdDSA","typ":"JWT"}"#.to_owned(),
            format!(r#" {{"alg":"HS256","typ":"JWT","kid":"{kid}"}}"#),
            format!(r#"{{"alg":"HS256","typ":"JWS","kid":"{kid}"}}"#),
            format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{kid}","crit":["exp"]}}"#),
            format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{kid}","jwk":{{}}}}"#),
            format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{kid}","jku":"https://x.example/"}}"#),
            format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{kid}","x5u":"https://x.example/"}}"#),
            r#"{"alg":"HS256","typ":"JWT","kid":"../../dev/null"}"#.to_owned(),
            r#"{"alg":"dir","enc":"A256GCM","zip":"DEF"}"#.to_owned(),
        ];
        for other in headers {
            for signature in [signature, ""] {
                let forged = format!("{}.{claims}.{signature}", encode(&other));
                assert_eq!(verify(&forged, &[key(1)]), Err(ParseSessionError), "{other}");
            }
        }
        for forged in [
            format!("{header}.{claims}."),
            format!("{header}.{claims}"),
            format!("{header}.{claims}.{}", &signature[..20]),
            format!(" {text}"),
            format!("{text}."),
            format!("{header}.{claims}.x.{signature}"),
            format!("{header}.{}.{signature}", encode("{}")),
        ] {
            assert_eq!(verify(&forged, &[key(1)]), Err(ParseSessionError), "{forged}");
        }
        assert!(verify(text, &[key(1)]).is_ok());
    }

    #[test]
    fn what_lacks_the_second_factor_is_no_session_and_no_session_is_that() {
        let partial = PartialClaims::new(UserId::from_bytes([1; 12]), 3, rotation().rotated_at, [7; 8]);
        assert_eq!(partial.exp - partial.iat, 300);
        let signed = key(1).sign_partial(&partial);
        assert_eq!(verify_partial(signed.expose(), &[key(1)]), Ok(partial));
        assert_eq!(verify(signed.expose(), &[key(1)]), Err(ParseSessionError));
        for kind in [Kind::Access, Kind::Refresh] {
            let session = key(1).sign(&rotation().claims(kind));
            assert_eq!(verify_partial(session.expose(), &[key(1)]), Err(ParseSessionError));
        }
    }

    #[test]
    fn a_replaced_pair_is_good_for_a_minute() {
        let rotation = rotation();
        let at = |millis| rotation.rotated_at.plus(millis);
        assert_eq!(rotation.standing(4, at(6 * DAY)), Standing::Current);
        assert_eq!(rotation.standing(3, at(REUSE_GRACE - 1)), Standing::JustReplaced);
        assert_eq!(rotation.standing(3, at(REUSE_GRACE)), Standing::Replayed);
        assert_eq!(rotation.standing(2, at(0)), Standing::Replayed);
        assert_eq!(rotation.standing(5, at(0)), Standing::Replayed);
    }

    #[test]
    fn a_signed_session_cannot_be_printed() {
        let signed = key(1).sign(&rotation().claims(Kind::Access));
        assert_eq!(format!("{signed:?}"), "SignedSession(..)");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[A-Za-z0-9_.=-]{0,200}") {
            prop_assert_eq!(verify(&text, &[key(1)]), Err(ParseSessionError));
        }

        #[test]
        fn a_changed_character_is_refused(place in 0_usize..300, to in "[A-Za-z0-9_.-]") {
            let signed = key(1).sign(&rotation().claims(Kind::Access));
            let place = place % signed.expose().len();
            let mut changed = signed.expose().to_owned();
            changed.replace_range(place..=place, &to);
            prop_assert_eq!(verify(&changed, &[key(1)]).is_ok(), changed == signed.expose());
        }
    }
}
