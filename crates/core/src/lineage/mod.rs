//! Tokens made by tokens (`contract/tokens.md` 9).
//!
//! A token made by a token is a child; the chain from a root, which a session made, down to a token is
//! its lineage. A child is never more than any of its ancestors, in any dimension, at any moment. Two
//! things hold that: what is written is bounded when it is written ([`clamp`], [`raised`]), and the grant
//! of a token is what *all* of its lineage allows ([`Lineage::grant`]), whatever was written. So a child
//! follows an ancestor that is narrowed, disabled or expires at once, and gets back no more than what it
//! was given when the ancestor is widened again.

#[cfg(test)]
mod model;

use crate::grant::{Bounds, Credential, Grant};
use crate::id::{TokenId, UserId};

/// The deepest that delegation can go on any server; what a server allows is a setting below this. A
/// longer chain is none that this code wrote.
pub const MAX_DEPTH: u32 = 16;

/// One token of a lineage, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// Which token.
    pub id: TokenId,
    /// The token that made it; `None` when a session did.
    pub creator: Option<TokenId>,
    /// Its own switch.
    pub is_enabled: bool,
    /// Its own limits.
    pub limits: Bounds,
}

/// A token and all that it descends from.
#[derive(Debug, Clone, PartialEq)]
pub struct Lineage {
    own: Link,
    /// Its parent first, the root last; empty for a root.
    ancestors: Vec<Link>,
}

impl Lineage {
    /// The lineage of `links`, itself first and the root last; `None` when there is none.
    #[must_use]
    pub fn new(links: impl IntoIterator<Item = Link>) -> Option<Self> {
        let mut links = links.into_iter();
        Some(Self { own: links.next()?, ancestors: links.collect() })
    }

    /// The tokens, the root first and itself last.
    #[must_use]
    pub fn ids(&self) -> Box<[TokenId]> {
        let ancestors = self.ancestors.iter().rev().map(|link| link.id);
        ancestors.chain([self.own.id]).collect()
    }

    /// What its ancestors allow all together; `None` for a root.
    #[must_use]
    pub fn above(&self) -> Option<Bounds> {
        let (parent, further) = self.ancestors.split_first()?;
        Some(further.iter().fold(parent.limits.clone(), |met, link| met.meet(&link.limits)))
    }

    /// Whether it goes from itself to a root without a gap. One that does not (a row is missing, or the
    /// chain bites its own tail) stands for nothing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let mut next = self.own.creator;
        for link in &self.ancestors {
            if next != Some(link.id) {
                return false;
            }
            next = link.creator;
        }
        next.is_none() && self.ancestors.len() <= MAX_DEPTH as usize
    }

    /// The grant of the token: what every token of its lineage allows, and switched off when any is.
    #[must_use]
    pub fn grant(self, account: UserId, is_banned: bool) -> Grant {
        let is_enabled =
            self.own.is_enabled && self.ancestors.iter().all(|link| link.is_enabled) && self.is_whole();
        let lineage = self.ids();
        let mut limits = match self.above() {
            None => self.own.limits,
            Some(above) => self.own.limits.meet(&above),
        };
        limits.extras = limits.extras.in_line(lineage);
        Grant { account, credential: Credential::Token(self.own.id), is_enabled, is_banned, limits }
    }
}

/// What a token gets of the limits that are `asked` for it, below `above`: a request without a list, or
/// with more than `above` has, is cut to that.
///
/// # Errors
/// The field of which nothing would be left. Nothing is not the same as no list.
pub fn clamp(asked: &Bounds, above: &Bounds) -> Result<Bounds, &'static str> {
    let limits = asked.meet(above);
    if limits.addresses.is_nothing() {
        return Err("ip_whitelist");
    }
    if limits.realms.is_nowhere() {
        return Err("realm_ids");
    }
    Ok(limits)
}

/// The first field in which a change from `before` to `after` would lift a token over `above`, if any.
/// What it had before it may keep: an ancestor that was narrowed since holds it down all the same.
#[must_use]
pub fn raised(before: &Bounds, after: &Bounds, above: &Bounds) -> Option<&'static str> {
    let permissions = before.permissions.union(above.permissions);
    let own = before.extras.own().union(above.extras.own());
    [
        ("permissions", after.permissions.within(permissions) && after.extras.own().within(&own)),
        ("realm_ids", after.realms.within(&before.realms) || after.realms.within(&above.realms)),
        ("ip_whitelist", {
            after.addresses.within(&before.addresses) || after.addresses.within(&above.addresses)
        }),
        ("expires_at", after.ends_within(before) || after.ends_within(above)),
        ("vault_access", after.vault_access <= (before.vault_access || above.vault_access)),
        ("event_access", after.event_access <= (before.event_access || above.event_access)),
    ]
    .into_iter()
    .find_map(|(field, is_below)| (!is_below).then_some(field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::AddressList;
    use crate::extras::Extras;
    use crate::grant::Realms;
    use crate::id::RealmId;
    use crate::permissions::{Catalogue, PermissionSet};
    use crate::time::Timestamp;

    fn id(byte: u8) -> TokenId {
        TokenId::from_bytes([byte; 12])
    }

    fn wide() -> Bounds {
        Bounds { expires_at: None, ..Bounds::of_session(Timestamp::MAX) }
    }

    fn link(own: u8, creator: Option<u8>, limits: Bounds) -> Link {
        Link { id: id(own), creator: creator.map(id), is_enabled: true, limits }
    }

    fn grant(links: Vec<Link>) -> Grant {
        Lineage::new(links).unwrap().grant(UserId::from_bytes([9; 12]), false)
    }

    #[test]
    fn a_grant_is_what_the_whole_lineage_allows() {
        let addresses = |entry| AddressList::parse_entries([entry]).unwrap();
        let read = PermissionSet::EMPTY.with(Catalogue::hoody().leaf("projects.read").unwrap());
        let child = Bounds { addresses: addresses("10.0.0.0/8"), ..wide() };
        let middle = Bounds { permissions: read, expires_at: Some(Timestamp::from_millis(5)), ..wide() };
        let root = Bounds { addresses: addresses("10.1.0.0/16"), vault_access: false, ..wide() };
        let grant = grant(vec![link(3, Some(2), child), link(2, Some(1), middle), link(1, None, root)]);
        assert_eq!(grant.credential, Credential::Token(id(3)));
        assert_eq!(grant.lineage(), [id(1), id(2), id(3)]);
        assert!(grant.is_enabled);
        let limits = grant.limits;
        assert_eq!((limits.permissions, limits.expires_at), (read, Some(Timestamp::from_millis(5))));
        assert_eq!(limits.addresses.entries(), ["10.1.0.0/16"]);
        assert!(!limits.vault_access && limits.event_access);
    }

    #[test]
    fn one_that_is_off_or_missing_puts_out_all_below_it() {
        let chain = || vec![link(3, Some(2), wide()), link(2, Some(1), wide()), link(1, None, wide())];
        assert!(grant(chain()).is_enabled);
        for off in 0..3 {
            let mut links = chain();
            links[off].is_enabled = false;
            assert!(!grant(links).is_enabled);
        }
        assert!(!grant(chain()[..2].to_vec()).is_enabled, "the root's row is gone");
        assert!(!grant(vec![link(3, Some(2), wide()), link(1, None, wide())]).is_enabled, "a gap");
        let circle = vec![link(2, Some(1), wide()), link(1, Some(2), wide()), link(2, Some(1), wide())];
        assert!(!grant(circle).is_enabled);
        assert!(!grant(vec![link(1, Some(1), wide())]).is_enabled, "its own creator");
    }

    #[test]
    fn a_new_child_is_cut_to_its_parent_and_refused_where_nothing_is_left() {
        let realm = |byte| RealmId::from_bytes([byte; 12]);
        let above = Bounds {
            realms: Realms::of(&[realm(1), realm(2)], true),
            addresses: AddressList::parse_entries(["10.0.0.0/8"]).unwrap(),
            expires_at: Some(Timestamp::from_millis(9)),
            event_access: false,
            ..wide()
        };
        assert_eq!(clamp(&wide(), &above).unwrap(), above, "what is not asked for is the parent's");
        let later = Bounds { expires_at: Some(Timestamp::MAX), ..wide() };
        assert_eq!(clamp(&later, &above).unwrap().expires_at, above.expires_at);
        let two = Bounds { realms: Realms::of(&[realm(2), realm(3)], true), ..wide() };
        assert_eq!(clamp(&two, &above).unwrap().realms.listed(), [realm(2)]);
        let elsewhere = Bounds { realms: Realms::of(&[realm(3)], true), ..wide() };
        assert_eq!(clamp(&elsewhere, &above), Err("realm_ids"));
        let outside = Bounds { addresses: AddressList::parse_entries(["192.0.2.1"]).unwrap(), ..wide() };
        assert_eq!(clamp(&outside, &above), Err("ip_whitelist"));
    }

    #[test]
    fn a_change_names_the_field_that_it_lifts_too_high() {
        let small = Bounds {
            permissions: PermissionSet::EMPTY,
            realms: Realms::of(&[RealmId::from_bytes([1; 12])], true),
            addresses: AddressList::parse_entries(["10.0.0.0/8"]).unwrap(),
            expires_at: Some(Timestamp::from_millis(9)),
            vault_access: false,
            event_access: false,
            extras: Extras::NONE,
        };
        assert_eq!(raised(&small, &small, &small), None);
        assert_eq!(raised(&small, &wide(), &wide()), None);
        // An ancestor was narrowed since: what it had it may keep, and nothing else.
        assert_eq!(raised(&wide(), &wide(), &small), None);
        for (field, after) in [
            ("permissions", Bounds { permissions: PermissionSet::ALL, ..small.clone() }),
            ("permissions", Bounds { extras: Extras::of_session(), ..small.clone() }),
            ("realm_ids", Bounds { realms: Realms::EVERYWHERE, ..small.clone() }),
            ("realm_ids", Bounds { realms: Realms::any_realm(), ..small.clone() }),
            ("ip_whitelist", Bounds { addresses: AddressList::any(), ..small.clone() }),
            ("expires_at", Bounds { expires_at: None, ..small.clone() }),
            ("vault_access", Bounds { vault_access: true, ..small.clone() }),
            ("event_access", Bounds { event_access: true, ..small.clone() }),
        ] {
            assert_eq!(raised(&small, &after, &small), Some(field));
            assert_eq!(raised(&small, &after, &wide()), None);
        }
    }
}
