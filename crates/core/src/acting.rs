//! What a credential may do to tokens (`design.md` 4, *A token acting on tokens*).
//!
//! A session acts on every token of its account. A token sees, disables and deletes what can do no more
//! than itself, wherever that may be used from and however long it lives; any other change must leave
//! the target within the caller in every dimension. So no sequence of changes by a token yields a right
//! that its maker lacked.

use crate::grant::{Credential, Grant, Limits};
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
        after: &'a Limits,
        /// Whether the change asks for it to be switched on.
        enables: bool,
    },
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The caller must not learn that the target exists.
    Hidden,
    /// The caller may see the target, but not do this.
    Forbidden,
}

/// Whether `caller` may do `act` to the token `target` of its own account, which has the limits `before`.
/// `caller_writes` says whether the caller holds any permission that changes something.
///
/// # Errors
/// [`Refusal::Hidden`] or [`Refusal::Forbidden`].
pub fn may_act(
    caller: &Grant,
    caller_writes: bool,
    target: TokenId,
    before: &Limits,
    act: Act<'_>,
) -> Result<(), Refusal> {
    let Credential::Token(own) = caller.credential else { return Ok(()) };
    if !before.does_no_more_than(&caller.limits) {
        return Err(Refusal::Hidden);
    }
    let allowed = match act {
        Act::See => true,
        Act::Disable | Act::Delete => caller_writes,
        Act::Change { after, enables } => {
            caller_writes && after.within(&caller.limits) && !(enables && target == own)
        }
    };
    if allowed { Ok(()) } else { Err(Refusal::Forbidden) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::AddressList;
    use crate::grant::Realms;
    use crate::id::{RealmId, SessionId, UserId};
    use crate::permissions::{Catalogue, PermissionSet};
    use crate::time::Timestamp;
    use proptest::prelude::*;

    fn id(byte: u8) -> TokenId {
        TokenId::from_bytes([byte; 12])
    }

    fn grant(own: u8, limits: Limits) -> Grant {
        Grant {
            account: UserId::from_bytes([9; 12]),
            credential: Credential::Token(id(own)),
            lineage: Box::new([id(own)]),
            is_enabled: true,
            is_banned: false,
            limits,
        }
    }

    fn limits() -> impl Strategy<Value = Limits> {
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
        (permissions, realms, addresses, expiry, any::<bool>(), any::<bool>()).prop_map(
            |(permissions, realms, addresses, expiry, vault_access, event_access)| Limits {
                permissions,
                realms,
                addresses,
                expires_at: expiry.map(Timestamp::from_millis),
                vault_access,
                event_access,
            },
        )
    }

    #[test]
    fn a_session_may_do_everything_to_its_accounts_tokens() {
        let mut caller = grant(1, Limits::of_session(Timestamp::MAX));
        caller.credential = Credential::Session(SessionId::from_bytes([1; 12]));
        let wide = Limits { expires_at: None, ..Limits::of_session(Timestamp::MAX) };
        let act = Act::Change { after: &wide, enables: true };
        assert_eq!(may_act(&caller, true, id(2), &wide, act), Ok(()));
    }

    #[test]
    fn a_token_never_switches_itself_on_and_a_reading_one_changes_nothing() {
        let own = Limits { expires_at: None, ..Limits::of_session(Timestamp::MAX) };
        let caller = grant(1, own.clone());
        let enable = Act::Change { after: &own, enables: true };
        assert_eq!(may_act(&caller, true, id(1), &own, enable), Err(Refusal::Forbidden));
        assert_eq!(may_act(&caller, true, id(2), &own, enable), Ok(()));
        assert_eq!(may_act(&caller, true, id(1), &own, Act::Disable), Ok(()));
        for act in [Act::Disable, Act::Delete, Act::Change { after: &own, enables: false }] {
            assert_eq!(may_act(&caller, false, id(2), &own, act), Err(Refusal::Forbidden));
        }
        assert_eq!(may_act(&caller, false, id(2), &own, Act::See), Ok(()));
    }

    #[test]
    fn what_may_be_used_from_elsewhere_can_be_stopped_but_not_changed() {
        let wide = Limits { expires_at: None, ..Limits::of_session(Timestamp::MAX) };
        let mut here = wide.clone();
        here.addresses = AddressList::parse_entries(["10.0.0.0/8"]).unwrap();
        here.expires_at = Some(Timestamp::MAX);
        let caller = grant(1, here);
        assert_eq!(may_act(&caller, true, id(2), &wide, Act::Disable), Ok(()));
        assert_eq!(may_act(&caller, true, id(2), &wide, Act::Delete), Ok(()));
        let rename = Act::Change { after: &wide, enables: false };
        assert_eq!(may_act(&caller, true, id(2), &wide, rename), Err(Refusal::Forbidden));
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
                let name = id(u8::try_from(target).unwrap());
                if may_act(&acting, true, name, &tokens[target], act).is_ok() {
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
