//! The one decision: whether this credential may do this, here, now.
//!
//! A [`Grant`] is what a credential stands for, read from storage or a cache; an [`Attempt`] is what a
//! request wants. [`decide`] puts them together and names the first rule that fails, in the order of
//! `design.md` 3: enabled, not expired, account in good standing, address, realm, kind, permission, flag.
//! The same function serves the API, `auth check` and everything else that judges a credential.
//!
//! A token that was made by a token is never more than any of its ancestors: [`crate::lineage`] puts
//! what they all allow into its grant, so that one comparison judges the whole lineage.

use std::net::IpAddr;
use std::sync::Arc;

use crate::address::AddressList;
use crate::extras::Extras;
use crate::id::{RealmId, SessionId, TokenId, UserId};
use crate::memory::SHARED;
use crate::permissions::{AnyPermission, PermissionSet};
use crate::time::Timestamp;

/// What a credential stands for.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The account that it acts for.
    pub account: UserId,
    /// Which credential it is.
    pub credential: Credential,
    /// False once somebody switched it or one of its ancestors off.
    pub is_enabled: bool,
    /// Whether the account is banned.
    pub is_banned: bool,
    /// What it is limited to: for a token of a lineage, what its ancestors allow too.
    pub limits: Bounds,
}

/// Which credential a grant belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Credential {
    /// A long-lived token.
    Token(TokenId),
    /// A signed-in session.
    Session(SessionId),
}

impl Credential {
    /// The token; `None` for a session.
    #[must_use]
    pub fn token(self) -> Option<TokenId> {
        match self {
            Self::Token(id) => Some(id),
            Self::Session(_) => None,
        }
    }
}

/// The dimensions in which a credential is limited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// What it may do.
    pub permissions: PermissionSet,
    /// In which realms.
    pub realms: Realms,
    /// From which addresses.
    pub addresses: AddressList,
    /// Until when; `None` is for ever.
    pub expires_at: Option<Timestamp>,
    /// Whether it may open the vault, given the permission.
    pub vault_access: bool,
    /// Whether it may read events.
    pub event_access: bool,
    /// The operator's leaves that it holds. In a grant also its lineage and its label, which share the pointer
    /// so that a cached grant stays small.
    pub extras: Extras,
}

/// In which realms a credential works: everywhere, or where it is bound to. Everywhere takes no room
/// beside itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Realms(Option<Arc<Binding>>);

/// What binds a credential. An empty list of a request means no list, so no set that was asked for is
/// empty.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Binding {
    /// In every realm, but not on the base host.
    AnyRealm,
    /// In these realms only. Sorted, without duplicates. Empty only where a lineage leaves none: nowhere.
    Only(Box<[RealmId]>),
}

/// What a request wants.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// Where the caller is.
    pub address: IpAddr,
    /// The realm that the host named; `None` on the base host.
    pub realm: Option<RealmId>,
    /// What the route asks of its caller.
    pub rule: Rule,
}

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Which kind of credential it takes.
    pub accepts: Accepts,
    /// The permission it needs of a token, if any.
    pub permission: Option<AnyPermission>,
    /// Permissions of which a token needs any one, if not none: those that write.
    pub any_of: Option<PermissionSet>,
    /// Whether it needs of a token that it may open the vault.
    pub vault: bool,
    /// Whether it needs of a token that it may read events.
    pub events: bool,
    /// Whether a banned account may use it: profile reads and logout.
    pub banned: bool,
    /// Whether a token bound to realms may use it on the base host: to learn its realms.
    pub unscoped: bool,
}

/// Which kind of credential a route takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepts {
    /// Sessions and tokens.
    Any,
    /// Sessions, and tokens with the permission; others are told that minting needs a session.
    Minter,
    /// Sessions; a token is told that it is not allowed.
    Session,
    /// Tokens.
    Token,
}

/// The rule that an attempt broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deny {
    /// No credential was sent.
    Missing,
    /// It has not the form of a credential, or nobody knows it.
    Unknown,
    /// It was deleted.
    Revoked,
    /// It is switched off.
    Disabled,
    /// Its time is over.
    Expired,
    /// Its account is banned.
    Banned,
    /// Not from here.
    Address,
    /// It is bound to realms, and the host names none.
    RealmRequired,
    /// It is not valid in the realm of the host.
    Realm(RealmId),
    /// Only a session, or a token that may, can mint tokens.
    MintingNeedsSession,
    /// Only a session may do this.
    SessionRequired,
    /// Only a token may do this.
    TokenRequired,
    /// It lacks this permission.
    Permission(AnyPermission),
    /// It has the permission, but was not made to open the vault.
    VaultAccess,
    /// It has the permission, but was not made to read events.
    EventAccess,
    /// It holds none of the permissions of which one is needed: it may only read.
    ReadOnly,
}

impl Deny {
    /// The rule's name in logs and metrics: short, fixed, without data.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unknown => "unknown",
            Self::Revoked => "revoked",
            Self::Disabled => "disabled",
            Self::Expired => "expired",
            Self::Banned => "banned",
            Self::Address => "address",
            Self::RealmRequired => "realm_required",
            Self::Realm(_) => "realm",
            Self::MintingNeedsSession => "minting_needs_session",
            Self::SessionRequired => "session_required",
            Self::TokenRequired => "token_required",
            Self::Permission(_) => "permission",
            Self::VaultAccess => "vault_access",
            Self::EventAccess => "event_access",
            Self::ReadOnly => "read_only",
        }
    }
}

impl Grant {
    /// The tokens it descends from, the root first and itself last; empty for a session.
    #[must_use]
    pub fn lineage(&self) -> &[TokenId] {
        match (self.limits.extras.line(), &self.credential) {
            ([], Credential::Token(own)) => std::slice::from_ref(own),
            (line, _) => line,
        }
    }

    /// How many bytes it has beside itself: its extras, realms and addresses.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.limits.extras.held_bytes() + self.limits.realms.held_bytes() + self.limits.addresses.held_bytes()
    }
}

/// Decides one attempt at the instant `now`.
///
/// # Errors
/// The first rule that fails.
pub fn decide(grant: &Grant, attempt: &Attempt, now: Timestamp) -> Result<(), Deny> {
    if !grant.is_enabled {
        return Err(Deny::Disabled);
    }
    if grant.limits.expires_at.is_some_and(|end| end <= now) {
        return Err(Deny::Expired);
    }
    if grant.is_banned && !attempt.rule.banned {
        return Err(Deny::Banned);
    }
    if !grant.limits.addresses.allows(attempt.address) {
        return Err(Deny::Address);
    }
    grant.limits.realms.admit(attempt.realm, attempt.rule.unscoped)?;
    attempt.rule.accepts.admit(grant.credential)?;
    match attempt.rule.permission {
        Some(needed) if !grant.limits.holds(needed) => Err(match attempt.rule.accepts {
            Accepts::Minter => Deny::MintingNeedsSession,
            _ => Deny::Permission(needed),
        }),
        _ if attempt.rule.vault && !grant.limits.vault_access => Err(Deny::VaultAccess),
        _ if attempt.rule.events && !grant.limits.event_access => Err(Deny::EventAccess),
        _ if attempt.rule.any_of.is_some_and(|any| grant.limits.permissions.intersection(any).is_empty()) => {
            Err(Deny::ReadOnly)
        }
        _ => Ok(()),
    }
}

impl Rule {
    /// Any credential that is in force; the start of every other rule.
    pub const ANY: Self = Self {
        accepts: Accepts::Any,
        permission: None,
        any_of: None,
        vault: false,
        events: false,
        banned: false,
        unscoped: false,
    };
}

impl Accepts {
    fn admit(self, credential: Credential) -> Result<(), Deny> {
        match (self, credential) {
            (Self::Session, Credential::Token(_)) => Err(Deny::SessionRequired),
            (Self::Token, Credential::Session(_)) => Err(Deny::TokenRequired),
            _ => Ok(()),
        }
    }
}

impl Realms {
    /// On the base host and in every realm.
    pub const EVERYWHERE: Self = Self(None);

    /// In every realm, but not on the base host.
    #[must_use]
    pub fn any_realm() -> Self {
        Self(Some(Arc::new(Binding::AnyRealm)))
    }

    fn only(realms: Box<[RealmId]>) -> Self {
        Self(Some(Arc::new(Binding::Only(realms))))
    }

    /// What a token's list and its `allow_no_realm` flag mean (`contract/tokens.md` 8).
    #[must_use]
    pub fn of(realm_ids: &[RealmId], allow_no_realm: bool) -> Self {
        if realm_ids.is_empty() {
            return if allow_no_realm { Self::EVERYWHERE } else { Self::any_realm() };
        }
        let mut realms = realm_ids.to_vec();
        realms.sort_unstable();
        realms.dedup();
        Self::only(realms.into_boxed_slice())
    }

    /// Whether it holds in `realm` (`None`: on the base host).
    ///
    /// # Errors
    /// [`Deny::RealmRequired`] or [`Deny::Realm`].
    pub fn admit(&self, realm: Option<RealmId>, unscoped: bool) -> Result<(), Deny> {
        match (self.bound(), realm) {
            (None, _) | (Some(Binding::AnyRealm), Some(_)) => Ok(()),
            (_, None) => {
                if unscoped {
                    Ok(())
                } else {
                    Err(Deny::RealmRequired)
                }
            }
            (Some(Binding::Only(realms)), Some(realm)) => {
                realms.binary_search(&realm).map(drop).map_err(|_| Deny::Realm(realm))
            }
        }
    }

    /// Whether every place where this holds is one where `other` holds.
    #[must_use]
    pub fn within(&self, other: &Self) -> bool {
        match (self.bound(), other.bound()) {
            (_, None) | (Some(_), Some(Binding::AnyRealm)) => true,
            (Some(Binding::Only(mine)), Some(Binding::Only(theirs))) => {
                mine.iter().all(|realm| theirs.binary_search(realm).is_ok())
            }
            (None | Some(Binding::AnyRealm), _) => false,
        }
    }

    /// The places where both hold.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        match (self.bound(), other.bound()) {
            (Some(Binding::Only(mine)), Some(Binding::Only(_))) => {
                let both = mine.iter().copied().filter(|realm| other.admit(Some(*realm), false).is_ok());
                Self::only(both.collect())
            }
            _ if self.within(other) => self.clone(),
            _ => other.clone(),
        }
    }

    /// Whether it holds in no place at all.
    #[must_use]
    pub fn is_nowhere(&self) -> bool {
        matches!(self.bound(), Some(Binding::Only(realms)) if realms.is_empty())
    }

    /// Whether it is bound to realms by name.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        matches!(self.bound(), Some(Binding::Only(_)))
    }

    /// The realms it is bound to by name; empty when there is no list.
    #[must_use]
    pub fn listed(&self) -> &[RealmId] {
        match self.bound() {
            Some(Binding::Only(realms)) => realms,
            None | Some(Binding::AnyRealm) => &[],
        }
    }

    fn bound(&self) -> Option<&Binding> {
        self.0.as_deref()
    }

    fn held_bytes(&self) -> usize {
        self.bound().map_or(0, |bound| SHARED + size_of_val(bound)) + size_of_val(self.listed())
    }
}

impl Bounds {
    /// The limits of a session: none but its end.
    #[must_use]
    pub fn of_session(expires_at: Timestamp) -> Self {
        Self {
            permissions: PermissionSet::ALL,
            realms: Realms::EVERYWHERE,
            addresses: AddressList::any(),
            expires_at: Some(expires_at),
            vault_access: true,
            event_access: true,
            extras: Extras::of_session(),
        }
    }

    /// Whether it holds this permission, one of hoody's or of the operator's.
    #[must_use]
    pub fn holds(&self, permission: AnyPermission) -> bool {
        match permission {
            AnyPermission::Hoody(leaf) => self.permissions.has(leaf),
            AnyPermission::Own(leaf) => self.extras.has(leaf),
        }
    }

    /// What both allow, in every dimension.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        Self {
            permissions: self.permissions.intersection(other.permissions),
            realms: self.realms.meet(&other.realms),
            addresses: self.addresses.meet(&other.addresses),
            expires_at: self.expires_at.into_iter().chain(other.expires_at).min(),
            vault_access: self.vault_access && other.vault_access,
            event_access: self.event_access && other.event_access,
            extras: self.extras.meet(&other.extras),
        }
    }

    /// Whether it can do nothing that `other` cannot: permissions, realms and flags. Where it may be
    /// used from and for how long is not compared.
    #[must_use]
    pub fn does_no_more_than(&self, other: &Self) -> bool {
        self.permissions.within(other.permissions)
            && self.extras.own().within(other.extras.own())
            && self.realms.within(&other.realms)
            && self.vault_access <= other.vault_access
            && self.event_access <= other.event_access
    }

    /// Whether it ends when `other` does, or before.
    #[must_use]
    pub fn ends_within(&self, other: &Self) -> bool {
        match (self.expires_at, other.expires_at) {
            (_, None) => true,
            (Some(mine), Some(theirs)) => mine <= theirs,
            (None, Some(_)) => false,
        }
    }

    /// Whether it lies within `other` in every dimension.
    #[must_use]
    pub fn within(&self, other: &Self) -> bool {
        self.ends_within(other) && self.does_no_more_than(other) && self.addresses.within(&other.addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permissions::Catalogue;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::MIN;

    fn token() -> Grant {
        Grant {
            account: UserId::from_bytes([1; 12]),
            credential: Credential::Token(TokenId::from_bytes([2; 12])),
            is_enabled: true,
            is_banned: false,
            limits: Bounds {
                permissions: PermissionSet::EMPTY,
                realms: Realms::EVERYWHERE,
                addresses: AddressList::any(),
                expires_at: None,
                vault_access: false,
                event_access: true,
                extras: Extras::NONE,
            },
        }
    }

    fn attempt() -> Attempt {
        Attempt { address: "203.0.113.7".parse().unwrap(), realm: None, rule: Rule::ANY }
    }

    fn realm(byte: u8) -> RealmId {
        RealmId::from_bytes([byte; 12])
    }

    #[test]
    fn the_first_rule_that_fails_answers() {
        let read = Catalogue::hoody().leaf("projects.read").unwrap();
        let mut grant = token();
        grant.is_enabled = false;
        grant.is_banned = true;
        grant.limits.expires_at = Some(NOW);
        grant.limits.addresses = AddressList::parse_entries(["10.0.0.0/8"]).unwrap();
        grant.limits.realms = Realms::only(Box::new([realm(1)]));
        let mut attempt = attempt();
        attempt.rule.permission = Some(read.into());
        attempt.rule.vault = true;
        attempt.rule.accepts = Accepts::Session;
        let mut seen = Vec::new();
        for _ in 0..9 {
            let Err(deny) = decide(&grant, &attempt, NOW) else { break };
            seen.push(deny);
            match deny {
                Deny::Disabled => grant.is_enabled = true,
                Deny::Expired => grant.limits.expires_at = Some(NOW.plus(1)),
                Deny::Banned => grant.is_banned = false,
                Deny::Address => grant.limits.addresses = AddressList::any(),
                Deny::RealmRequired => attempt.realm = Some(realm(2)),
                Deny::Realm(_) => attempt.realm = Some(realm(1)),
                Deny::SessionRequired => attempt.rule.accepts = Accepts::Any,
                Deny::Permission(_) => grant.limits.permissions = PermissionSet::EMPTY.with(read),
                Deny::VaultAccess => grant.limits.vault_access = true,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(
            seen,
            [
                Deny::Disabled,
                Deny::Expired,
                Deny::Banned,
                Deny::Address,
                Deny::RealmRequired,
                Deny::Realm(realm(2)),
                Deny::SessionRequired,
                Deny::Permission(read.into()),
                Deny::VaultAccess
            ]
        );
        assert_eq!(decide(&grant, &attempt, NOW), Ok(()));
    }

    #[test]
    fn expiry_is_judged_at_the_instant_itself() {
        let mut grant = token();
        grant.limits.expires_at = Some(NOW.plus(10));
        assert_eq!(decide(&grant, &attempt(), NOW.plus(9)), Ok(()));
        assert_eq!(decide(&grant, &attempt(), NOW.plus(10)), Err(Deny::Expired));
    }

    #[test]
    fn a_token_bound_to_realms_may_learn_them_on_the_base_host() {
        for realms in [Realms::any_realm(), Realms::of(&[realm(1)], true)] {
            assert_eq!(realms.admit(None, false), Err(Deny::RealmRequired));
            assert_eq!(realms.admit(None, true), Ok(()));
        }
        assert_eq!(Realms::of(&[realm(1)], true).admit(Some(realm(2)), true), Err(Deny::Realm(realm(2))));
    }

    #[test]
    fn an_empty_list_means_no_list() {
        assert_eq!(Realms::of(&[], true), Realms::EVERYWHERE);
        assert_eq!(Realms::of(&[], false), Realms::any_realm());
        assert_eq!(Realms::of(&[realm(2), realm(1), realm(2)], true).listed(), [realm(1), realm(2)]);
    }

    #[test]
    fn sessions_and_tokens_are_told_apart() {
        let mut attempt = attempt();
        let token = token();
        let mut session = token.clone();
        session.credential = Credential::Session(SessionId::from_bytes([3; 12]));
        for (accepts, of_token, of_session) in [
            (Accepts::Any, Ok(()), Ok(())),
            (Accepts::Session, Err(Deny::SessionRequired), Ok(())),
            (Accepts::Token, Ok(()), Err(Deny::TokenRequired)),
        ] {
            attempt.rule.accepts = accepts;
            assert_eq!(decide(&token, &attempt, NOW), of_token);
            assert_eq!(decide(&session, &attempt, NOW), of_session);
        }
    }

    #[test]
    fn a_token_mints_with_the_permission_alone() {
        let create = Catalogue::hoody().leaf("resources.create_tokens").unwrap();
        let mut attempt = attempt();
        attempt.rule = Rule { accepts: Accepts::Minter, permission: Some(create.into()), ..attempt.rule };
        let mut grant = token();
        assert_eq!(decide(&grant, &attempt, NOW), Err(Deny::MintingNeedsSession));
        grant.limits.permissions = PermissionSet::EMPTY.with(create);
        assert_eq!(decide(&grant, &attempt, NOW), Ok(()));
        grant.limits.permissions = PermissionSet::ALL.without(create);
        assert_eq!(decide(&grant, &attempt, NOW), Err(Deny::MintingNeedsSession));
    }

    #[test]
    fn the_vault_needs_both_the_permission_and_the_flag() {
        let vault = Catalogue::hoody().leaf("resources.vault").unwrap();
        let mut attempt = attempt();
        attempt.rule.permission = Some(vault.into());
        attempt.rule.vault = true;
        for (permissions, flag, expected) in [
            (PermissionSet::EMPTY, false, Err(Deny::Permission(vault.into()))),
            (PermissionSet::EMPTY, true, Err(Deny::Permission(vault.into()))),
            (PermissionSet::ALL, false, Err(Deny::VaultAccess)),
            (PermissionSet::EMPTY.with(vault), true, Ok(())),
        ] {
            let mut grant = token();
            grant.limits.permissions = permissions;
            grant.limits.vault_access = flag;
            assert_eq!(decide(&grant, &attempt, NOW), expected);
        }
        let mut session = token();
        session.credential = Credential::Session(SessionId::from_bytes([3; 12]));
        session.limits = Bounds::of_session(NOW.plus(1));
        assert_eq!(decide(&session, &attempt, NOW), Ok(()));
    }

    fn realms() -> impl Strategy<Value = Realms> {
        (proptest::collection::vec(0_u8..6, 0..4), any::<bool>())
            .prop_map(|(ids, flag)| Realms::of(&ids.into_iter().map(realm).collect::<Vec<_>>(), flag))
    }

    proptest! {
        #[test]
        fn what_lies_within_is_admitted_nowhere_else(inner in realms(), outer in realms(), place in 0_u8..7) {
            let place = (place < 6).then(|| realm(place));
            if inner.within(&outer) && inner.admit(place, false).is_ok() {
                prop_assert!(outer.admit(place, false).is_ok());
            }
            prop_assert!(inner.within(&inner));
        }
    }
}
