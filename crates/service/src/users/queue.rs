//! Who waits to have a password hashed, and in which order.
//!
//! Strangers and those who are known (signed in, or signing in from where they signed in lately) wait in
//! two lines, each with places of its own, shared out so that no address and no account fills a line. Of
//! four turns three go to the known line first. So a flood of sign-ins from anywhere keeps neither places
//! nor turns from the owner.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hoody_core::address::neighbourhood;
use hoody_core::id::UserId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use hoody_engine::shares::{Share, Shares};

/// How many strangers may wait, and how many of one address (for IPv6 of one /64).
const STRANGERS: usize = 40;
const STRANGERS_OF_ADDRESS: usize = 16;
/// How many known ones may wait, and how many of one account.
const KNOWN: usize = 24;
const KNOWN_OF_ACCOUNT: usize = 6;
/// How many may wait to be looked up, how many of one address, and how many are at a time.
const LOOKS: usize = 1_024;
const LOOKS_OF_ADDRESS: usize = 128;
const LOOKS_AT_ONCE: usize = 8;
/// How long one may wait.
const WAIT_LIMIT: Duration = Duration::from_secs(2);
/// One turn in so many goes to the strangers first.
const TURNS: u64 = 4;

/// Who asks for a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// Somebody at this address.
    Stranger(IpAddr),
    /// Somebody who is signed in to this account, or signs in to it from where it signed in lately.
    Known(UserId),
    /// The operator, at the machine.
    Operator,
}

#[derive(Debug)]
pub(super) struct Queue {
    strangers: Shares<IpAddr>,
    known: Shares<UserId>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    most: usize,
    free: usize,
    strangers: VecDeque<oneshot::Sender<Slot>>,
    known: VecDeque<oneshot::Sender<Slot>>,
    turns: u64,
}

/// Leave to compute; goes to whoever is next when dropped.
#[derive(Debug)]
struct Slot(Option<Arc<Queue>>);

/// A place in a line; given back when dropped.
#[derive(Debug)]
enum Place {
    Stranger(#[expect(dead_code, reason = "held")] Share<IpAddr>),
    Known(#[expect(dead_code, reason = "held")] Share<UserId>),
    Operator,
}

/// A place in a line, and leave to compute.
#[derive(Debug)]
pub(super) struct Permit {
    _slot: Slot,
    _place: Place,
}

/// Who is looked up before it waits: few at a time, so that a flood of what is refused right after takes
/// the database from nobody.
#[derive(Debug)]
pub(super) struct Looks {
    places: Shares<IpAddr>,
    slots: Arc<Semaphore>,
}

/// Leave to look; given back when dropped.
#[derive(Debug)]
pub struct Look {
    _slot: OwnedSemaphorePermit,
    _place: Share<IpAddr>,
}

impl Default for Looks {
    fn default() -> Self {
        Self { places: Shares::new(LOOKS, LOOKS_OF_ADDRESS), slots: Arc::new(Semaphore::new(LOOKS_AT_ONCE)) }
    }
}

impl Looks {
    /// Waits for leave; `None` when there is no place to wait, or it takes longer than two seconds.
    pub(super) async fn enter(&self, address: IpAddr) -> Option<Look> {
        let place = self.places.take(neighbourhood(address)).ok()?;
        let slot =
            tokio::time::timeout(WAIT_LIMIT, Arc::clone(&self.slots).acquire_owned()).await.ok()?.ok()?;
        Some(Look { _slot: slot, _place: place })
    }
}

impl Queue {
    /// A queue of which `most` compute at a time.
    pub(super) fn new(most: usize) -> Self {
        let (strangers, known) = (VecDeque::new(), VecDeque::new());
        Self {
            strangers: Shares::new(STRANGERS + most, STRANGERS_OF_ADDRESS),
            known: Shares::new(KNOWN + most, KNOWN_OF_ACCOUNT),
            state: Mutex::new(State { most, free: most, strangers, known, turns: 0 }),
        }
    }

    /// Waits for a turn; `None` when there is no place to wait, or none comes within two seconds.
    pub(super) async fn enter(self: &Arc<Self>, asker: Asker) -> Option<Permit> {
        let place = self.place(asker)?;
        let slot = match self.slot(&place) {
            Ok(slot) => slot,
            Err(waiting) => tokio::time::timeout(WAIT_LIMIT, waiting).await.ok()?.ok()?,
        };
        Some(Permit { _slot: slot, _place: place })
    }

    /// How many compute at a time.
    #[cfg(test)]
    pub(super) fn most(&self) -> usize {
        self.lock().most
    }

    /// Whether one at most computes, and nobody waits.
    pub(super) fn is_quiet(&self) -> bool {
        let mut state = self.lock();
        let State { strangers, known, .. } = &mut *state;
        for line in [strangers, known] {
            line.retain(|waiting| !waiting.is_closed());
        }
        state.free + 1 >= state.most && state.strangers.is_empty() && state.known.is_empty()
    }

    fn place(&self, asker: Asker) -> Option<Place> {
        Some(match asker {
            Asker::Stranger(address) => Place::Stranger(self.strangers.take(neighbourhood(address)).ok()?),
            Asker::Known(account) => Place::Known(self.known.take(account).ok()?),
            Asker::Operator => Place::Operator,
        })
    }

    /// A slot that is free, or what one will come through.
    fn slot(self: &Arc<Self>, place: &Place) -> Result<Slot, oneshot::Receiver<Slot>> {
        let mut state = self.lock();
        if state.free > 0 {
            state.free -= 1;
            return Ok(Slot(Some(Arc::clone(self))));
        }
        let (sender, receiver) = oneshot::channel();
        match place {
            Place::Stranger(_) => state.strangers.push_back(sender),
            Place::Known(_) | Place::Operator => state.known.push_back(sender),
        }
        Err(receiver)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Who is next. Who gave up waiting is passed over.
    fn next(&mut self) -> Option<oneshot::Sender<Slot>> {
        self.turns = self.turns.wrapping_add(1);
        let (first, second) = if self.turns.is_multiple_of(TURNS) {
            (&mut self.strangers, &mut self.known)
        } else {
            (&mut self.known, &mut self.strangers)
        };
        let mut waiting = std::iter::from_fn(|| first.pop_front().or_else(|| second.pop_front()));
        waiting.find(|waiting| !waiting.is_closed())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(queue) = self.0.take() else { return };
        loop {
            let next = {
                let mut state = queue.lock();
                let next = state.next();
                if next.is_none() {
                    state.free += 1;
                }
                next
            };
            let Some(next) = next else { return };
            match next.send(Self(Some(Arc::clone(&queue)))) {
                Ok(()) => return,
                // It gave up this very moment: the next one gets it.
                Err(mut slot) => slot.0 = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use futures_util::future::BoxFuture;

    use super::*;

    fn stranger(n: u32) -> Asker {
        Asker::Stranger(IpAddr::from((0xc000_0200 + n).to_be_bytes()))
    }

    fn known(n: u8) -> Asker {
        Asker::Known(UserId::from_bytes([n; 12]))
    }

    fn enter(queue: &Arc<Queue>, asker: Asker) -> BoxFuture<'static, Option<Permit>> {
        let queue = Arc::clone(queue);
        async move { queue.enter(asker).await }.boxed()
    }

    /// Those who got a place and wait; nobody gets a slot.
    fn wait(
        queue: &Arc<Queue>,
        askers: impl Iterator<Item = Asker>,
    ) -> Vec<BoxFuture<'static, Option<Permit>>> {
        let mut waiting = Vec::new();
        for asker in askers {
            let mut one = enter(queue, asker);
            match (&mut one).now_or_never() {
                None => waiting.push(one),
                Some(entered) => assert!(entered.is_none(), "a slot was free"),
            }
        }
        waiting
    }

    #[tokio::test]
    async fn a_flood_of_one_address_keeps_nobody_else_from_waiting() {
        let queue = Arc::new(Queue::new(1));
        let computes = enter(&queue, stranger(1)).await.unwrap();
        let flood = wait(&queue, std::iter::repeat_n(stranger(1), 1_000));
        assert_eq!(flood.len(), STRANGERS_OF_ADDRESS - 1);
        assert_eq!(wait(&queue, std::iter::once(stranger(2))).len(), 1);
        drop((computes, flood));
    }

    #[tokio::test]
    async fn a_flood_of_many_addresses_leaves_places_and_turns_to_who_is_known() {
        let queue = Arc::new(Queue::new(1));
        let computes = enter(&queue, stranger(0)).await.unwrap();
        let flood = wait(&queue, (0..200_000).map(|n| stranger(n % 2_000)));
        assert_eq!(flood.len(), STRANGERS);
        let mut owner = enter(&queue, known(1));
        assert!((&mut owner).now_or_never().is_none(), "it waits, and is not refused");
        drop(computes);
        assert!(owner.now_or_never().flatten().is_some(), "the owner is next");
    }

    #[tokio::test]
    async fn one_account_fills_no_line_and_strangers_get_a_turn_in_four() {
        let queue = Arc::new(Queue::new(1));
        let computes = enter(&queue, Asker::Operator).await.unwrap();
        let mut accounts = wait(&queue, std::iter::repeat_n(known(1), 100));
        assert_eq!(accounts.len(), KNOWN_OF_ACCOUNT);
        accounts.extend(wait(&queue, std::iter::once(known(2))));
        assert_eq!(accounts.len(), KNOWN_OF_ACCOUNT + 1);
        let mut strangers = wait(&queue, (0..2).map(stranger));
        assert_eq!(strangers.len(), 2);
        let mut running = Some(computes);
        for _ in 0..4 {
            // The one that computes is done, and the next begins.
            drop(running.take());
            for line in [&mut accounts, &mut strangers] {
                line.retain_mut(|one| match one.now_or_never() {
                    Some(permit) => {
                        running = permit;
                        false
                    }
                    None => true,
                });
            }
            assert!(running.is_some());
        }
        assert_eq!((accounts.len(), strangers.len()), (KNOWN_OF_ACCOUNT + 1 - 3, 1));
    }
}
