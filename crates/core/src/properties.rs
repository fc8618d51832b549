//! What must hold for any input: each function takes one, and panics when a promise is broken.
//!
//! The property tests call these with random input, the fuzz targets in `fuzz/` with input that is
//! bred for new paths, so that both say the same. Not part of the interface.

use std::net::IpAddr;

use crate::address::{AddressList, TrustedProxies, canonical_ip, client_address};
use crate::expiry::parse_expires_at;
use crate::host::{Domain, HostError, host_of_request, realm_of_host};
use crate::id::{RealmId, TokenId};
use crate::invalid::Invalid;
use crate::json;
use crate::keys::{Keyring, MasterKey};
use crate::permissions::own::OwnCatalogue;
use crate::permissions::{Catalogue, Catalogues};
use crate::secret::{TokenKeys, TokenText};
use crate::session::SessionKey;
use crate::time::Timestamp;
use crate::token::{NewToken, ProfileChange, RealmChange, TokenChange, TokenCopy};

/// 2026-03-02T09:15:42.118Z, the present of these checks.
const NOW: i64 = 1_772_442_942_118;

/// An error is fit to be shown: it names a code or places, and repeats little of its input.
fn shown_safely(error: &Invalid) {
    match error {
        Invalid::Rule { code, message } => {
            assert!(!code.is_empty() && !message.is_empty());
            assert!(message.chars().count() <= 1000, "a message of {} characters", message.chars().count());
            assert!(!message.contains(char::is_control), "{message:?}");
        }
        Invalid::Schema(violations) => {
            assert!((1..=json::MAX_VIOLATIONS).contains(&violations.len()), "{}", violations.len());
            assert!(violations.iter().all(|v| v.instance_path.len() < 2000 && v.message.len() < 500));
        }
    }
}

/// A list that is read has one canonical form, which is read as itself and allows its own addresses.
pub fn address_list(text: &str) {
    match AddressList::parse_json(&text.into()) {
        Err(error) => shown_safely(&error),
        Ok(list) => {
            let again = AddressList::parse_stored(&list.to_stored()).expect("the canonical form is read");
            assert_eq!(again, list);
            assert_eq!(again.entries(), list.entries());
            assert!(list.within(&again) && list.within(&AddressList::any()));
            for entry in list.entries() {
                let base = entry.split('/').next().unwrap_or_default();
                assert!(entry == "*" || base.parse().is_ok_and(|base| list.allows(base)), "{entry}");
            }
        }
    }
}

/// The lines of a request, cut at line feeds: an untrusted peer is the caller; a trusted one's caller
/// is canonical, and stands in the header or is the peer.
pub fn forwarded_for(bytes: &[u8]) {
    let trusted = TrustedProxies::parse("127.0.0.0/8,10.0.0.0/8,::1").expect("a list of proxies");
    let lines = || bytes.split(|byte| *byte == b'\n');
    let stranger: IpAddr = [192, 0, 2, 9].into();
    assert_eq!(client_address(stranger, lines(), &trusted), Ok(stranger));

    let proxy: IpAddr = [127, 0, 0, 1].into();
    if let Ok(caller) = client_address(proxy, lines(), &trusted) {
        assert_eq!(caller, canonical_ip(caller));
    }
    // Whoever sends through the proxy can only put entries in front of what the proxy appends.
    let appended: &[u8] = b"198.51.100.7";
    let mut longer: Vec<&[u8]> = lines().collect();
    longer.push(appended);
    // Only their number can still have the request refused.
    if bytes.iter().filter(|byte| matches!(byte, b',' | b'\n')).count() < 31 {
        assert_eq!(client_address(proxy, longer, &trusted), Ok(IpAddr::from([198, 51, 100, 7])));
    }
}

/// A host is the base, the realm it spells, or refused; port, dot and case never matter.
pub fn host(text: &str) {
    let domain = Domain::parse("api.localhost").expect("a domain");
    let realm = realm_of_host(text, &domain);
    assert_eq!(realm, realm_of_host(&text.to_ascii_uppercase(), &domain).map_err(|e| same_host(e, &realm)));
    match &realm {
        Ok(Some(realm)) => {
            let lower = text.to_ascii_lowercase();
            assert!(lower.starts_with(&format!("{realm}.{domain}")), "{text:?}");
        }
        Ok(None) => {
            assert!(!text.to_ascii_lowercase().ends_with(".api.localhost") || !begins_like_a_realm(text));
        }
        Err(error) => shown_safely(&error.clone().into()),
    }
    let _ = host_of_request([text.as_bytes()], Some("api.localhost"));
    if let Ok(domain) = Domain::parse(text) {
        assert_eq!(Domain::parse(domain.as_str()), Ok(domain));
    }
}

/// The refusal repeats the host as it was written; two spellings of it are refused for the same reason.
fn same_host(error: HostError, other: &Result<Option<RealmId>, HostError>) -> HostError {
    match (&error, other) {
        (HostError::RealmHostUnknown { .. }, Err(other @ HostError::RealmHostUnknown { .. })) => {
            other.clone()
        }
        _ => error,
    }
}

fn begins_like_a_realm(text: &str) -> bool {
    let label = text.split('.').next().unwrap_or_default();
    label.to_ascii_lowercase().parse::<RealmId>().is_ok()
}

/// An expiry that is read, from text or from any JSON, is in the future and can be written.
pub fn expiry(text: &str) {
    let now = Timestamp::from_millis(NOW);
    let values = [Some(text.into()), serde_json::from_str(text).ok()];
    for value in values.into_iter().flatten() {
        match parse_expires_at(&value, now) {
            Err(error) => shown_safely(&error),
            Ok(None) => assert!(value.is_null()),
            Ok(Some(expiry)) => {
                assert!(expiry > now);
                assert_eq!(parse_expires_at(&expiry.to_string().into(), now), Ok(Some(expiry)));
            }
        }
    }
}

/// What the strict reader takes, `serde_json` takes with the same meaning; what only that takes has a
/// key twice or is too deep. What was read can be written and read again (a float perhaps not exactly).
pub fn strict_json(bytes: &[u8]) {
    let lenient = serde_json::from_slice::<serde_json::Value>(bytes);
    match json::parse(bytes) {
        Ok(value) => {
            assert!(json::parse(value.to_string().as_bytes()).is_ok());
            assert_eq!(lenient.ok(), Some(value));
        }
        Err(error) => {
            shown_safely(&error);
            if lenient.is_ok() {
                let Invalid::Rule { message, .. } = error else { panic!("{error:?}") };
                assert!(message.contains("duplicate key") || message.contains("nested deeper"), "{message}");
            }
        }
    }
}

/// A tree that is read says the same when written, in both forms.
pub fn permission_tree(bytes: &[u8]) {
    let Ok(value) = json::parse(bytes) else { return };
    let catalogue = Catalogue::hoody();
    match catalogue.parse(&value, "/permissions") {
        Err(error) => shown_safely(&error),
        Ok(set) => {
            assert_eq!(catalogue.parse(&catalogue.to_tree(set), ""), Ok(set));
            assert_eq!(catalogue.parse_paths(&catalogue.to_paths(set)), set);
            assert!(catalogue.grantable(set).within(set));
        }
    }
}

/// Any body of a token route is read or refused with an error that is fit to be shown, and what is
/// read keeps the rules that the rest of the code relies on.
pub fn token_body(bytes: &[u8]) {
    if let Ok(body) = json::parse(bytes) {
        token_value(&body);
    }
}

/// [`token_body`] for a body that is already JSON.
pub fn token_value(body: &serde_json::Value) {
    let catalogue = Catalogue::hoody();
    let now = Timestamp::from_millis(NOW);
    let own = OwnCatalogue::default();
    let catalogues = Catalogues { hoody: &catalogue, own: &own };
    match NewToken::parse(body, now, catalogues, false) {
        Err(error) => shown_safely(&error),
        Ok(token) => {
            assert!(token.expires_at.is_none_or(|expiry| expiry > now));
            assert!(token.alias.is_none_or(|alias| (1..=254).contains(&alias.len()) && alias.is_ascii()));
            let mut realms = token.realm_ids.clone();
            realms.sort();
            realms.dedup();
            assert!(realms.len() == token.realm_ids.len() && realms.len() <= 500);
            if body.get("deny_reauthorization") == Some(&true.into()) {
                let paths = catalogue.to_paths(token.permissions.hoody);
                assert!(!paths.contains("create_tokens") && !paths.contains("vault"));
                assert!(!token.vault_access && token.expires_at.is_some());
            }
        }
    }
    let refusals = [
        TokenChange::parse(body, now, catalogues, false).err(),
        TokenCopy::parse(body, now).err(),
        RealmChange::parse(body).err(),
        ProfileChange::parse(body).err(),
    ];
    refusals.iter().flatten().for_each(shown_safely);
}

/// An id that is read is written as it was.
pub fn id(text: &str) {
    if let Ok(id) = text.parse::<TokenId>() {
        assert_eq!(id.to_string(), text);
    }
}

/// An instant that is read can be written and read again, and lies in the years that can be written.
pub fn timestamp(text: &str) {
    if let Ok(instant) = Timestamp::parse(text) {
        assert!((Timestamp::MIN..=Timestamp::MAX).contains(&instant));
        assert_eq!(Timestamp::parse(&instant.to_string()), Ok(instant));
    }
}

/// A token's text: read or refused; what is read has our form, and only keys that made it say so.
pub fn token_text(text: &str) {
    let keys = |seed| TokenKeys::derive(&MasterKey::from_bytes([seed; 32]), b"database");
    let Ok(read) = TokenText::parse(text) else { return };
    assert_eq!(text.len(), crate::secret::LENGTH);
    assert!(text.starts_with(crate::secret::PREFIX));
    assert!(!(read.is_made_with(&keys(1)) && read.is_made_with(&keys(2))));
}

/// A session token that nobody signed: refused, whatever it is.
pub fn session_token(text: &str) {
    let key = SessionKey::derive(&MasterKey::from_bytes([1; 32]), b"database");
    assert!(crate::session::verify(text, &[key]).is_err());
}

/// A key file: read or refused without showing any of it; what is read has a first key.
pub fn key_file(bytes: &[u8]) {
    match Keyring::parse(bytes) {
        Ok(ring) => assert!(ring.iter().next().is_some()),
        Err(error) => assert!(error.to_string().len() < 100),
    }
}
