//! The places that connections take: so many in all, and of these a share for each address and each
//! network, so that one client cannot keep all others out.
//!
//! When all are taken, an idle connection of whoever has the most is put out for one of somebody who has
//! less. An eighth is kept for neighbourhoods from which a credential was let in before. Connections that
//! idle for too long, or do not end the head of a request, are asked to end by [`Places::sweep`]: one timer
//! for all.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hoody_core::address::neighbourhood;
use tokio::sync::Notify;

use super::connection::{Connection, End, Look};
use super::server::LEAVING;

/// The part of all places that a neighbourhood may have: an eighth. As much is kept for who is known.
const SHARE: usize = 8;
/// The part that a network of IPv6 may have, a /48 that one customer has to itself: a quarter.
const WIDE_SHARE: usize = 4;
/// What one address may have however few places there are.
const LEAST_SHARE: usize = 16;
/// How many are put out at a time, since looking for them takes a look at all.
const AT_ONCE: usize = 16;
/// How many neighbourhoods are remembered as known, twice over.
const KNOWN: usize = 4_096;

/// All places.
#[derive(Debug, Clone)]
pub(super) struct Places(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    places: usize,
    /// How many connections that were asked to leave may still be there beyond `places`.
    most_leaving: usize,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    held: HashMap<u64, Seat>,
    /// Those that were asked to leave and are not gone yet.
    leaving: usize,
    /// The server stops: nobody gets a place any more.
    is_stopped: bool,
    counts: Counts,
    known: Known,
}

/// How many connections each neighbourhood and each network has. Trusted proxies and those that were asked to
/// leave do not count.
#[derive(Debug, Default)]
struct Counts {
    near: HashMap<IpAddr, usize>,
    wide: HashMap<IpAddr, usize>,
}

/// A connection's place, as the list has it.
#[derive(Debug)]
struct Seat {
    connection: Arc<Connection>,
    near: IpAddr,
    wide: IpAddr,
    /// A trusted proxy, which speaks for many: no limit, and never put out.
    is_exempt: bool,
    is_leaving: bool,
    seen: Look,
    /// Sweeps since something happened, and since a head began to arrive.
    idle: u32,
    in_head: u32,
}

/// A connection's place; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    id: u64,
    connection: Arc<Connection>,
}

/// What became of a wish for a place.
#[derive(Debug)]
pub(super) enum Taken {
    Place(Place),
    /// The address or its network has its share.
    Refused,
    /// All are taken: one may become free, and does so soon if somebody was asked to leave.
    Full {
        is_soon: bool,
    },
}

/// After how many sweeps a connection is asked to end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sweeps {
    pub(super) idle: u32,
    pub(super) idle_proxy: u32,
    pub(super) in_head: u32,
}

/// The neighbourhoods from which a credential was let in, the last ones: two generations, of which the
/// older is forgotten when the younger is full.
#[derive(Debug, Default)]
struct Known {
    young: HashSet<IpAddr>,
    old: HashSet<IpAddr>,
}

impl Known {
    fn insert(&mut self, near: IpAddr) {
        if self.young.len() >= KNOWN {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(near);
    }

    fn contains(&self, near: &IpAddr) -> bool {
        self.young.contains(near) || self.old.contains(near)
    }
}

impl Counts {
    fn more(&mut self, near: IpAddr, wide: IpAddr) {
        *self.near.entry(near).or_default() += 1;
        *self.wide.entry(wide).or_default() += 1;
    }

    fn less(&mut self, near: IpAddr, wide: IpAddr) {
        for (counts, key) in [(&mut self.near, near), (&mut self.wide, wide)] {
            if let Some(count) = counts.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(&key);
                }
            }
        }
    }

    fn near(&self, near: IpAddr) -> usize {
        self.near.get(&near).copied().unwrap_or_default()
    }

    fn wide(&self, wide: IpAddr) -> usize {
        self.wide.get(&wide).copied().unwrap_or_default()
    }
}

impl Places {
    pub(super) fn new(places: usize) -> Self {
        let most_leaving = (places / 4).clamp(1, 32);
        Self(Arc::new(Inner { places, most_leaving, state: Mutex::default(), freed: Notify::new() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a place to a connection of `peer`. An exempt one (a trusted proxy) has no limit of its own.
    pub(super) fn take(&self, peer: SocketAddr, is_exempt: bool) -> Taken {
        let (near, wide) = (neighbourhood(peer.ip()), network(peer.ip()));
        let all = self.0.places;
        let mut state = self.state();
        if state.is_stopped || !is_exempt && state.has_its_share(near, wide, all) {
            return Taken::Refused;
        }
        let is_known = is_exempt || state.known.contains(&near);
        let limit = if is_known { all } else { all - all / SHARE };
        if state.held.len() - state.leaving >= limit && state.put_out(near, wide, is_known) == 0 {
            return Taken::Full { is_soon: state.leaving > 0 };
        }
        if state.held.len() >= all + self.0.most_leaving {
            return Taken::Full { is_soon: true };
        }
        let connection = Connection::new(peer);
        let id = state.next;
        state.next += 1;
        let seen = connection.look();
        let seat = Seat {
            connection: Arc::clone(&connection),
            near,
            wide,
            is_exempt,
            is_leaving: false,
            seen,
            idle: 0,
            in_head: 0,
        };
        state.held.insert(id, seat);
        if !is_exempt {
            state.counts.more(near, wide);
        }
        Taken::Place(Place { places: self.clone(), id, connection })
    }

    /// Waits until [`take`](Self::take) says something else than that all are taken.
    pub(super) async fn wait(&self, peer: SocketAddr, is_exempt: bool) -> Taken {
        loop {
            let freed = self.0.freed.notified();
            match self.take(peer, is_exempt) {
                Taken::Full { .. } => freed.await,
                taken => return taken,
            }
        }
    }

    /// The same, but no longer than those take that leave.
    pub(super) async fn wait_for_leaving(&self, peer: SocketAddr, is_exempt: bool) -> Taken {
        let leaving = async {
            loop {
                let freed = self.0.freed.notified();
                match self.take(peer, is_exempt) {
                    Taken::Full { is_soon: true } => freed.await,
                    taken => return taken,
                }
            }
        };
        let taken = tokio::time::timeout(2 * LEAVING, leaving).await;
        taken.unwrap_or(Taken::Full { is_soon: false })
    }

    /// Asks those to leave on which nothing happened for too long.
    pub(super) fn sweep(&self, sweeps: Sweeps) {
        let mut state = self.state();
        let state = &mut *state;
        for seat in state.held.values_mut() {
            if seat.connection.is_known() && !seat.is_exempt {
                state.known.insert(seat.near);
            }
            let Some(reason) = seat.look(sweeps) else { continue };
            metrics::counter!("hoody_connections_cut_total", "reason" => reason).increment(1);
            seat.leave();
            state.leaving += 1;
            if !seat.is_exempt {
                state.counts.less(seat.near, seat.wide);
            }
        }
    }

    /// Asks all connections to end when what runs on them is done.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        state.is_stopped = true;
        for seat in state.held.values() {
            seat.connection.ask_to_end(End::Stop);
        }
        self.0.freed.notify_waiters();
    }

    /// An idle connection makes room for the process: its files have run out.
    pub(super) fn make_room(&self) {
        let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        self.state().put_out(nobody, nobody, true);
    }
}

impl State {
    fn has_its_share(&self, near: IpAddr, wide: IpAddr, all: usize) -> bool {
        let is_over = |count: usize, part: usize| count >= (all / part).max(LEAST_SHARE);
        is_over(self.counts.near(near), SHARE)
            || wide.is_ipv6() && is_over(self.counts.wide(wide), WIDE_SHARE)
    }

    /// Puts idle connections of the largest network out, if it has more than `wide` has, or is it; how many.
    /// Who is not known cannot put out who is.
    fn put_out(&mut self, near: IpAddr, wide: IpAddr, is_known: bool) -> usize {
        let may_go = |seat: &Seat| {
            let is_idle = !seat.is_exempt && !seat.is_leaving && !seat.connection.is_busy();
            is_idle && (is_known || !seat.connection.is_known() || seat.near == near)
        };
        let size = |of: &IpAddr| self.counts.wide(*of);
        let candidates = self.held.iter().filter(|(_, seat)| may_go(seat));
        let Some(largest) = candidates.map(|(_, seat)| seat.wide).max_by_key(size) else { return 0 };
        let surplus = size(&largest).saturating_sub(size(&wide));
        if surplus == 0 && largest != wide {
            return 0;
        }
        let mut going: Vec<_> = self
            .held
            .iter()
            .filter(|(_, seat)| seat.wide == largest && may_go(seat))
            .map(|(id, seat)| {
                let look = seat.connection.look();
                let is_used = look.begun != seat.seen.begun;
                let of_address = self.counts.near(seat.near);
                // Who has the most first, then what was not used lately, then the oldest.
                (std::cmp::Reverse(of_address), seat.connection.is_known(), is_used, *id)
            })
            .collect();
        going.sort_unstable();
        going.truncate(surplus.div_ceil(2).clamp(1, AT_ONCE));
        for (.., id) in &going {
            if let Some(seat) = self.held.get_mut(id) {
                seat.leave();
                self.leaving += 1;
                self.counts.less(seat.near, seat.wide);
            }
        }
        metrics::counter!("hoody_connections_cut_total", "reason" => "place_needed")
            .increment(u64::try_from(going.len()).unwrap_or(u64::MAX));
        going.len()
    }
}

impl Seat {
    /// Asks the connection to leave, once.
    fn leave(&mut self) {
        self.is_leaving = true;
        self.connection.ask_to_end(End::Leave);
    }

    /// Notes what happened since the last sweep; why it has to go, if it has to.
    fn look(&mut self, sweeps: Sweeps) -> Option<&'static str> {
        let look = self.connection.look();
        let is_active = look.is_busy || look.begun != self.seen.begun;
        self.seen = look;
        if is_active {
            (self.idle, self.in_head) = (0, 0);
            return None;
        }
        self.idle += 1;
        // The first request is not waited for longer than for the rest of one; proxies connect ahead.
        let is_in_head = look.is_in_head || look.begun == 0 && !self.is_exempt;
        self.in_head = if is_in_head { self.in_head + 1 } else { 0 };
        let idle = if self.is_exempt { sweeps.idle_proxy } else { sweeps.idle };
        match self {
            _ if self.is_leaving => None,
            _ if self.in_head > sweeps.in_head => Some("slow_head"),
            _ if self.idle > idle => Some("idle"),
            _ => None,
        }
    }
}

impl Place {
    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.places.state();
        let state = &mut *state;
        let Some(seat) = state.held.remove(&self.id) else { return };
        if seat.is_leaving {
            state.leaving -= 1;
        } else if !seat.is_exempt {
            state.counts.less(seat.near, seat.wide);
        }
        if self.connection.is_known() && !seat.is_exempt {
            state.known.insert(seat.near);
        }
        self.places.0.freed.notify_waiters();
    }
}

/// The network that an address is counted with when all places are taken: 24 bits of IPv4, 48 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match neighbourhood(address) {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() >> 8 << 8).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 80 << 80).into(),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::super::connection::Busy;
    use super::*;

    fn peer(address: &str) -> SocketAddr {
        (address.parse::<IpAddr>().unwrap(), 40_000).into()
    }

    fn take(places: &Places, address: &str) -> Option<Place> {
        match places.take(peer(address), false) {
            Taken::Place(place) => Some(place),
            _ => None,
        }
    }

    /// A place on which a credential was let in.
    fn known(places: &Places, address: &str) -> Place {
        let place = take(places, address).unwrap();
        place.connection.note_known();
        place.connection.note_request();
        place
    }

    fn is_leaving(place: &Place) -> bool {
        place.connection.asked() == Some(End::Leave)
    }

    #[test]
    fn an_address_has_its_share_and_gets_it_again() {
        let places = Places::new(256);
        let mut held: Vec<_> = (0..32).map(|_| take(&places, "192.0.2.1").unwrap()).collect();
        assert!(take(&places, "192.0.2.1").is_none());
        assert!(take(&places, "::ffff:192.0.2.1").is_none());
        assert!(take(&places, "192.0.2.2").is_some());
        assert!(matches!(places.take(peer("192.0.2.1"), true), Taken::Place(_)));
        held.pop();
        held.push(take(&places, "192.0.2.1").unwrap());
        assert!(take(&places, "192.0.2.1").is_none());
        drop(held);
        let state = places.state();
        assert!(state.counts.near.is_empty() && state.counts.wide.is_empty() && state.held.is_empty());
    }

    #[test]
    fn a_network_of_64_bits_is_one_client_and_one_of_48_has_a_quarter() {
        let places = Places::new(256);
        let mut held: Vec<_> = (0..32).map(|n| take(&places, &format!("2001:db8::{n:x}")).unwrap()).collect();
        assert!(take(&places, "2001:db8::ffff:1").is_none());
        // The next /64 of the same /56 shares what the /48 has.
        held.extend((0..32).map(|n| take(&places, &format!("2001:db8:0:{:x}::1", n + 1)).unwrap()));
        assert!(take(&places, "2001:db8:0:ff::1").is_none());
        assert!(take(&places, "2001:db8:1::1").is_some());
    }

    #[test]
    fn when_all_are_taken_an_idle_one_of_who_has_the_most_goes() {
        let places = Places::new(64);
        let mut flood: Vec<_> = (0..4)
            .flat_map(|n| (0..13).map(move |_| format!("192.0.2.{n}")))
            .map(|address| take(&places, &address).unwrap())
            .collect();
        let few: Vec<_> = (0..4).map(|_| take(&places, "198.51.100.7").unwrap()).collect();
        // What runs is not put out.
        let busy: Vec<_> = flood[..50].iter().map(|place| Busy::new(&place.connection)).collect();
        assert!(take(&places, "203.0.113.5").is_some());
        assert!(flood[..50].iter().chain(&few).all(|place| !is_leaving(place)));
        assert!(flood[50..].iter().all(is_leaving));
        // They are not gone yet, and then they are.
        flood.truncate(50);
        drop(busy);
        let more: Vec<_> = (0..30).filter_map(|_| take(&places, "203.0.113.5")).collect();
        assert!(more.len() >= 16, "{}", more.len());
        assert!(few.iter().chain(&more).all(|place| !is_leaving(place)));
    }

    #[test]
    fn who_is_known_finds_a_place_that_is_kept_and_keeps_its_own() {
        let places = Places::new(64);
        drop(known(&places, "198.51.100.7"));
        let idle = known(&places, "198.51.100.7");
        let flood: Vec<_> = (0..55).map(|n| take(&places, &format!("10.{n}.0.1")).unwrap()).collect();
        let _busy: Vec<_> = flood.iter().map(|place| Busy::new(&place.connection)).collect();
        assert!(take(&places, "10.99.0.1").is_none(), "nobody can be put out for a stranger");
        assert!(!is_leaving(&idle));
        assert!(take(&places, "198.51.100.8").is_none(), "a neighbour is a stranger");
        let kept: Vec<_> = (0..8).map(|_| take(&places, "198.51.100.7").unwrap()).collect();
        assert_eq!(kept.len(), 8);
    }

    #[test]
    fn when_nobody_can_be_put_out_the_next_waits() {
        let places = Places::new(1);
        let held = take(&places, "192.0.2.1").unwrap();
        let busy = Busy::new(&held.connection);
        let mut wait = Box::pin(places.wait(peer("192.0.2.1"), false));
        assert!(wait.as_mut().now_or_never().is_none());
        drop((busy, held));
        assert!(matches!(wait.now_or_never(), Some(Taken::Place(_))));
    }

    #[test]
    fn what_idles_and_what_stays_in_a_head_is_asked_to_leave() {
        let places = Places::new(64);
        let sweeps = Sweeps { idle: 4, idle_proxy: 6, in_head: 2 };
        let silent = take(&places, "192.0.2.1").unwrap();
        let slow = known(&places, "192.0.2.2");
        slow.connection.note_read(20);
        let idle = known(&places, "192.0.2.3");
        let Taken::Place(proxy) = places.take(peer("192.0.2.4"), true) else { panic!("a place") };
        proxy.connection.note_request();
        let busy = known(&places, "192.0.2.5");
        let _busy = Busy::new(&busy.connection);
        let all = [&silent, &slow, &idle, &proxy, &busy];
        let mut left = Vec::new();
        for sweep in 0..10 {
            places.sweep(sweeps);
            let going = all.iter().map(|place| is_leaving(place)).collect::<Vec<_>>();
            left.push((sweep, going));
        }
        let first = |place: usize| left.iter().position(|(_, going)| going[place]);
        assert_eq!([0, 1, 2, 3, 4].map(first), [Some(2), Some(3), Some(5), Some(7), None]);
    }
}
