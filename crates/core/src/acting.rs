//! What a credential may do to tokens (`design.md` 4, *A token acting on tokens*).
//!
//! A session acts on every token of its account. A token that a token made acts on its own subtree
//! alone: on itself and on what descends from it. A token that a session made sees, disables and deletes what can do no more
//! than itself, wherever that may be used from and however long it lives, and its own subtree whatever
//! that was given. Any other change must leave the target within the caller in every dimension. So no sequence of changes by a token yields a right
//! that its maker lacked.

use crate::grant::{Bounds, Credential, Grant};
use crate::id::TokenId;

/// What is to be done to a token.
#[derive(Debug, Clone, Copy)]
pub enum Act<'a> {
    /// Show it.
    See,
    /// Switch it off, and nothing else.
    Disable,
    /// Delete it.
    Delete,
    /// Leave it with these limits.
    Change {
        /// Its limits afterwards.
        after: &'a Bounds,
        /// Whether the change asks for it to be switched on.
        enables: bool,
    },
}

/// The token that something is to be done to; it is of the caller's account.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Which one.
    pub id: TokenId,
    /// The tokens it descends from, in any order, with or without itself.
    pub lineage: &'a [TokenId],
    /// Its own limits, as they are.
    pub limits: &'a Bounds,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The caller must not learn that the target exists.
    Hidden,
    /// The caller may see the target, but not do this.
    Forbidden,
}

/// Whether `caller` may do `act` to a token. `caller_writes` says whether the caller holds any permission
/// that changes something.
///
/// # Errors
/// [`Refusal::Hidden`] or [`Refusal::Forbidden`].
pub fn may_act(caller: &Grant, caller_writes: bool, target: Target<'_>, act: Act<'_>) -> Result<(), Refusal> {
    let Credential::Token(own) = caller.credential else { return Ok(()) };
    let is_delegated = caller.lineage().len() > 1;
    let is_its_own = target.id == own || target.lineage.contains(&own);
    // The operator's leaves give no power here: without one of hoody's a token acts on its own subtree alone.
    let is_outside = caller.limits.permissions.is_empty();
    if !is_its_own && (is_delegated || is_outside || !target.limits.does_no_more_than(&caller.limits)) {
        return Err(Refusal::Hidden);
    }
    let allowed = match act {
        Act::See => true,
        Act::Disable | Act::Delete => caller_writes,
        Act::Change { after, enables } if target.id == own => {
            // What it was given may be more than what its ancestors leave of it: it may keep that.
            caller_writes && !enables && (after.within(&caller.limits) || after.within(target.limits))
        }
        Act::Change { after, .. } => caller_writes && after.within(&caller.limits),
    };
    if allowed { Ok(()) } else { Err(Refusal::Forbidden) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::address::AddressList;
    use crate::extras::Extras;
    use crate::grant::Realms;
    use crate::id::{RealmId, SessionId, UserId};
    use crate::permissions::own::{OwnId, OwnSet};
    use crate::permissions::{Catalogue, PermissionSet};
    use crate::time::Timestamp;
    use proptest::prelude::*;

    fn id(byte: u8) -> TokenId {
        TokenId::from_bytes([byte; 12])
    }

    fn grant(own: u8, limits: Bounds) -> Grant {
        Grant {
            account: UserId::from_bytes([9; 12]),
            credential: Credential::Token(id(own)),
            is_enabled: true,
            is_banned: false,
            limits,
        }
    }

    fn target(own: u8, limits: &Bounds) -> Target<'_> {
        Target { id: id(own), lineage: &[], limits }
    }

    pub(crate) fn limits() -> impl Strategy<Value = Bounds> {
        let leaves: Vec<_> = Catalogue::hoody().leaves().map(|(leaf, _)| leaf).take(4).collect();
        let permissions = proptest::collection::vec(0..leaves.len(), 0..4).prop_map(move |chosen| {
            chosen.into_iter().fold(PermissionSet::EMPTY, |set, index| set.with(leaves[index]))
        });
        let realms = (proptest::collection::vec(0_u8..3, 0..3), any::<bool>()).prop_map(|(ids, flag)| {
            let ids: Vec<_> = ids.into_iter().map(|byte| RealmId::from_bytes([byte; 12])).collect();
            Realms::of(&ids, flag)
        });
        let addresses = prop_oneof![
            Just(AddressList::any()),
            Just(AddressList::parse_entries(["10.0.0.0/8"]).unwrap()),
            Just(AddressList::parse_entries(["10.1.0.0/16", "2001:db8::/32"]).unwrap()),
            Just(AddressList::parse_entries(["10.1.2.3"]).unwrap()),
        ];
        let expiry = proptest::option::of(0_i64..4);
        let own = proptest::collection::vec(1_u16..4, 0..3)
            .prop_map(|ids| ids.into_iter().filter_map(OwnId::new).collect::<OwnSet>());
        (permissions, realms, addresses, expiry, any::<bool>(), any::<bool>(), own).prop_map(
            |(permissions, realms, addresses, expiry, vault_access, event_access, own)| Bounds {
                permissions,
                realms,
                addresses,
                expires_at: expiry.map(Timestamp::from_millis),
                vault_access,
                event_access,
                extras: Extras::of_own(own, false),
            },
        )
    }

    #[test]
    fn a_session_may_do_everything_to_its_accounts_tokens() {
        let mut caller = grant(1, Bounds::of_session(Timestamp::MAX));
        caller.credential = Credential::Session(SessionId::from_bytes([1; 12]));
        let wide = Bounds { expires_at: None, ..Bounds::of_session(Timestamp::MAX) };
        let act = Act::Change { after: &wide, enables: true };
        assert_eq!(may_act(&caller, true, target(2, &wide), act), Ok(()));
    }

    #[test]
    fn a_token_never_switches_itself_on_and_a_reading_one_changes_nothing() {
        let own = Bounds { expires_at: None, ..Bounds::of_session(Timestamp::MAX) };
        let caller = grant(1, own.clone());
        let enable = Act::Change { after: &own, enables: true };
        assert_eq!(may_act(&caller, true, target(1, &own), enable), Err(Refusal::Forbidden));
        assert_eq!(may_act(&caller, true, target(2, &own), enable), Ok(()));
        assert_eq!(may_act(&caller, true, target(1, &own), Act::Disable), Ok(()));
        for act in [Act::Disable, Act::Delete, Act::Change { after: &own, enables: false }] {
            assert_eq!(may_act(&caller, false, target(2, &own), act), Err(Refusal::Forbidden));
        }
        assert_eq!(may_act(&caller, false, target(2, &own), Act::See), Ok(()));
    }

    #[test]
    fn the_operators_leaves_give_no_power_over_other_tokens() {
        let orders: OwnSet = [OwnId::new(1).unwrap()].into_iter().collect();
        let own = Bounds {
            permissions: PermissionSet::EMPTY,
            extras: Extras::of_own(orders, true),
            expires_at: None,
            ..Bounds::of_session(Timestamp::MAX)
        };
        let caller = grant(1, own.clone());
        assert_eq!(may_act(&caller, true, target(2, &own), Act::See), Err(Refusal::Hidden));
        assert_eq!(may_act(&caller, false, target(1, &own), Act::See), Ok(()));
        // With a leaf of hoody's it sees what holds no more, also of the operator's.
        let read = Catalogue::hoody().leaf("projects.read").unwrap();
        let reads = Bounds { permissions: PermissionSet::EMPTY.with(read), ..own.clone() };
        let caller = grant(1, reads.clone());
        assert_eq!(may_act(&caller, false, target(2, &own), Act::See), Ok(()));
        let more = [OwnId::new(1).unwrap(), OwnId::new(2).unwrap()].into_iter().collect();
        let more = Bounds { extras: Extras::of_own(more, true), ..reads };
        assert_eq!(may_act(&caller, false, target(2, &more), Act::See), Err(Refusal::Hidden));
    }

    #[test]
    fn what_may_be_used_from_elsewhere_can_be_stopped_but_not_changed() {
        let wide = Bounds { expires_at: None, ..Bounds::of_session(Timestamp::MAX) };
        let mut here = wide.clone();
        here.addresses = AddressList::parse_entries(["10.0.0.0/8"]).unwrap();
        here.expires_at = Some(Timestamp::MAX);
        let caller = grant(1, here);
        assert_eq!(may_act(&caller, true, target(2, &wide), Act::Disable), Ok(()));
        assert_eq!(may_act(&caller, true, target(2, &wide), Act::Delete), Ok(()));
        let rename = Act::Change { after: &wide, enables: false };
        assert_eq!(may_act(&caller, true, target(2, &wide), rename), Err(Refusal::Forbidden));
    }

    #[test]
    fn a_delegated_token_acts_on_its_subtree_and_on_nothing_else() {
        let own = Bounds { expires_at: None, ..Bounds::of_session(Timestamp::MAX) };
        let small = Bounds { permissions: PermissionSet::EMPTY, vault_access: false, ..own.clone() };
        let mut caller = grant(2, own.clone());
        caller.limits.extras = caller.limits.extras.in_line(Box::new([id(1), id(2)]));
        let change = Act::Change { after: &small, enables: false };
        for (name, lineage, expected) in [
            (1, &[][..], Err(Refusal::Hidden)),
            (2, &[id(1)], Ok(())),
            (3, &[id(1), id(2)], Ok(())),
            (4, &[id(1), id(2), id(3)], Ok(())),
            (5, &[id(1)], Err(Refusal::Hidden)),
            (6, &[], Err(Refusal::Hidden)),
        ] {
            let target = Target { id: id(name), lineage, limits: &small };
            for act in [Act::See, Act::Disable, Act::Delete, change] {
                assert_eq!(may_act(&caller, true, target, act), expected, "{name} {act:?}");
            }
        }
        // Its child stays its own when it was narrowed below what that was given, and may only shrink.
        let narrow = Bounds { vault_access: false, ..own.clone() };
        caller.limits = Bounds { extras: narrow.extras.in_line(Box::new([id(1), id(2)])), ..narrow.clone() };
        let child = Target { id: id(3), lineage: &[id(1), id(2)], limits: &own };
        assert_eq!(may_act(&caller, true, child, Act::Delete), Ok(()));
        let keep = Act::Change { after: &own, enables: false };
        assert_eq!(may_act(&caller, true, child, keep), Err(Refusal::Forbidden));
        assert_eq!(may_act(&caller, true, child, Act::Change { after: &narrow, enables: true }), Ok(()));
    }

    proptest! {
        /// Threat 16: whatever tokens do to one another, no token gains what no session gave.
        #[test]
        fn threat_16_no_sequence_of_changes_by_tokens_yields_a_new_right(
            given in proptest::collection::vec(limits(), 1..4),
            steps in proptest::collection::vec((0_usize..4, 0_usize..4, limits(), any::<bool>()), 0..24),
        ) {
            let mut tokens = given.clone();
            for (caller, target, after, enables) in steps {
                let (caller, target) = (caller % tokens.len(), target % tokens.len());
                let acting = grant(u8::try_from(caller).unwrap(), tokens[caller].clone());
                let act = Act::Change { after: &after, enables };
                let name = u8::try_from(target).unwrap();
                if may_act(&acting, true, self::target(name, &tokens[target]), act).is_ok() {
                    tokens[target] = after;
                }
                // Everything that a token can now do, one token could do at the start.
                for now in &tokens {
                    prop_assert!(given.iter().any(|first| now.does_no_more_than(first)));
                    prop_assert!(given.iter().any(|first| now.within(first)));
                }
            }
        }
    }
}
