//! How master keys follow one another.
//!
//! ```text
//! waits ──→ is in force ──→ is older ──→ is retired
//!   │        seals, signs     opens and     nothing
//!   └────────────────────────  verifies ──────↑
//! ```
//!
//! A key that waits opens and verifies already, so that nodes may disagree for a while about which key is
//! in force: whatever one of them seals, all of them open. It comes into force only when every live node
//! lists it. The database remembers the order; a key file says which keys a node has, and its first line
//! which key its operator wants in force.

use crate::keys::KeyId;
use crate::time::Timestamp;

/// What the database knows of a master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownKey {
    /// Its name.
    pub id: KeyId,
    /// When it came into the database.
    pub created_at: Timestamp,
    /// When it came into force; `None` while it waits.
    pub promoted_at: Option<Timestamp>,
    /// When it was retired.
    pub retired_at: Option<Timestamp>,
}

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Opens and verifies, and is not in force yet.
    Waiting,
    /// Seals and signs.
    InForce,
    /// Opens and verifies what was made while it was in force.
    Older,
    /// Nothing is under it any more.
    Retired,
}

/// What a node does with the keys that it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    /// What it opens and verifies with; the first seals and signs.
    pub held: Vec<KeyId>,
    /// Keys that the database does not know yet: to be entered, as keys that wait.
    pub unknown: Vec<KeyId>,
    /// Keys that were retired: the file is better without them.
    pub retired: Vec<KeyId>,
    /// The file's first key, where it waits: its operator wants it in force.
    pub wanted: Option<KeyId>,
}

/// Why a node must not serve with the keys that it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The first key is none of the database's, or a retired one with no other behind it.
    Foreign {
        /// The first key that was given.
        given: KeyId,
        /// What the database is under.
        wanted: Vec<KeyId>,
    },
    /// Keys that something may hang on are missing.
    Missing(
        /// Their names.
        Vec<KeyId>,
    ),
}

/// The key that is in force: the last that was promoted and is not retired.
#[must_use]
pub fn in_force(known: &[KnownKey]) -> Option<KeyId> {
    let promoted = known.iter().filter(|key| key.retired_at.is_none() && key.promoted_at.is_some());
    promoted.max_by_key(|key| (key.promoted_at, key.id)).map(|key| key.id)
}

/// Where the key `id` stands; `None` when the database does not know it.
#[must_use]
pub fn standing(known: &[KnownKey], id: KeyId) -> Option<Standing> {
    let key = known.iter().find(|key| key.id == id)?;
    Some(match key {
        KnownKey { retired_at: Some(_), .. } => Standing::Retired,
        KnownKey { promoted_at: None, .. } => Standing::Waiting,
        _ if in_force(known) == Some(id) => Standing::InForce,
        _ => Standing::Older,
    })
}

/// What a node does that was given the keys `given`, in the order of its file, on a database that knows
/// `known`.
///
/// # Errors
/// When it would seal, sign or refuse what the other nodes do not.
pub fn judge(given: &[KeyId], known: &[KnownKey]) -> Result<Ring, Refusal> {
    let first = given.first().copied();
    let stands = |id: KeyId| standing(known, id);
    let Some(in_force) = in_force(known) else {
        // An empty database takes what it is given.
        return Ok(Ring { held: given.to_vec(), unknown: given.to_vec(), retired: Vec::new(), wanted: None });
    };
    let usable: Vec<KeyId> =
        given.iter().copied().filter(|id| stands(*id) != Some(Standing::Retired)).collect();
    if let Some(given) = first
        && (stands(given).is_none() || usable.is_empty())
    {
        let live = known.iter().filter(|key| key.retired_at.is_none());
        return Err(Refusal::Foreign { given, wanted: live.map(|key| key.id).collect() });
    }
    let needed = known.iter().filter(|key| key.retired_at.is_none() && key.promoted_at.is_some());
    let missing: Vec<KeyId> = needed.map(|key| key.id).filter(|id| !usable.contains(id)).collect();
    if !missing.is_empty() {
        return Err(Refusal::Missing(missing));
    }
    let mut held = vec![in_force];
    held.extend(usable.iter().copied().filter(|id| *id != in_force));
    Ok(Ring {
        held,
        unknown: usable.iter().copied().filter(|id| stands(*id).is_none()).collect(),
        retired: given.iter().copied().filter(|id| stands(*id) == Some(Standing::Retired)).collect(),
        wanted: first.filter(|id| stands(*id) == Some(Standing::Waiting)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::MasterKey;
    use proptest::prelude::*;

    fn id(seed: u8) -> KeyId {
        MasterKey::from_bytes([seed; 32]).id()
    }

    fn at(millis: i64) -> Option<Timestamp> {
        Some(Timestamp::from_millis(millis))
    }

    fn key(seed: u8, promoted: Option<i64>, retired: Option<i64>) -> KnownKey {
        KnownKey {
            id: id(seed),
            created_at: Timestamp::from_millis(i64::from(seed)),
            promoted_at: promoted.and_then(at),
            retired_at: retired.and_then(at),
        }
    }

    #[test]
    fn an_empty_database_takes_what_it_is_given() {
        let ring = judge(&[id(1), id(2)], &[]).unwrap();
        assert_eq!((ring.held, ring.unknown), (vec![id(1), id(2)], vec![id(1), id(2)]));
    }

    #[test]
    fn a_key_waits_until_the_database_says_that_it_is_in_force() {
        let mut known = [key(1, Some(1), None), key(2, None, None)];
        for given in [[id(1), id(2)], [id(2), id(1)]] {
            let ring = judge(&given, &known).unwrap();
            assert_eq!(ring.held, [id(1), id(2)], "whatever the order of the lines");
            assert_eq!(ring.wanted, (given[0] == id(2)).then_some(id(2)));
        }
        known[1].promoted_at = at(5);
        for given in [[id(1), id(2)], [id(2), id(1)]] {
            let ring = judge(&given, &known).unwrap();
            assert_eq!(
                (ring.held, ring.wanted),
                (vec![id(2), id(1)], None),
                "lines swapped back change nothing"
            );
        }
        assert_eq!(standing(&known, id(1)), Some(Standing::Older));
        assert_eq!(standing(&known, id(2)), Some(Standing::InForce));
        assert_eq!(standing(&known, id(3)), None);
    }

    #[test]
    fn a_key_that_nobody_knows_waits_behind_one_that_is_known_and_is_refused_in_front() {
        let known = [key(1, Some(1), None)];
        let ring = judge(&[id(1), id(7)], &known).unwrap();
        assert_eq!((ring.held, ring.unknown), (vec![id(1), id(7)], vec![id(7)]));
        let foreign = Err(Refusal::Foreign { given: id(7), wanted: vec![id(1)] });
        assert_eq!(judge(&[id(7), id(1)], &known), foreign);
        assert_eq!(judge(&[id(7)], &known), foreign);
    }

    #[test]
    fn what_something_may_hang_on_must_be_there() {
        let known = [key(1, Some(1), None), key(2, Some(2), None), key(3, None, None)];
        assert_eq!(judge(&[id(2)], &known), Err(Refusal::Missing(vec![id(1)])));
        assert_eq!(judge(&[id(1)], &known), Err(Refusal::Missing(vec![id(2)])));
        assert_eq!(
            judge(&[id(1), id(2)], &known).unwrap().held,
            [id(2), id(1)],
            "nothing hangs on the third yet"
        );
    }

    #[test]
    fn a_retired_key_is_left_out_and_no_key_alone() {
        let known = [key(1, Some(1), Some(9)), key(2, Some(2), None)];
        let ring = judge(&[id(1), id(2)], &known).unwrap();
        assert_eq!((ring.held, ring.retired), (vec![id(2)], vec![id(1)]));
        assert_eq!(judge(&[id(1)], &known), Err(Refusal::Foreign { given: id(1), wanted: vec![id(2)] }));
        assert_eq!(standing(&known, id(1)), Some(Standing::Retired));
    }

    proptest! {
        /// Two nodes with any files that may serve open what the other seals.
        #[test]
        fn whatever_one_node_seals_the_others_open(
            states in prop::collection::vec((any::<bool>(), any::<bool>()), 1..6),
            files in prop::collection::vec(prop::collection::vec(0_u8..7, 0..7), 2),
        ) {
            let known: Vec<KnownKey> = (0_u8..).zip(&states).map(|(seed, (promoted, retired))| {
                key(seed, promoted.then_some(i64::from(seed)), retired.then_some(99))
            }).collect();
            let rings: Vec<Ring> = files.iter().filter_map(|seeds| {
                let mut given: Vec<KeyId> = Vec::new();
                for seed in seeds {
                    if !given.contains(&id(*seed)) {
                        given.push(id(*seed));
                    }
                }
                judge(&given, &known).ok()
            }).collect();
            if in_force(&known).is_some() {
                for (one, other) in rings.iter().zip(rings.iter().skip(1)) {
                    prop_assert!(other.held.contains(&one.held[0]) && one.held.contains(&other.held[0]));
                }
            }
        }
    }
}
