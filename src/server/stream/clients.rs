//! Who is connected: places for connections, and the one task that closes what is overdue.
//!
//! A connection has no timer of its own. It notes what it waits for, and since which tick; one
//! task looks at all notes ten times a second. So a query costs no timer, and a connection that was
//! within its time may be overdue the moment that places get scarce.

use super::Limits;
use futures_util::task::AtomicWaker;
use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// All open connections, so that none can crowd out the others.
#[derive(Debug)]
pub(in crate::server) struct Clients {
    limits: Limits,
    open: Mutex<Open>,
    /// Ticks since some beginning; it stands while nobody is connected.
    now: AtomicU64,
    /// Rises with each message, so the least is the longest idle.
    turn: AtomicU64,
    pressed: AtomicBool,
    /// How many are open, as of when one came last.
    many: AtomicUsize,
    came: Notify,
    /// Set once clients are to go to another process.
    leaving: CancellationToken,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    ending: bool,
    seats: HashMap<u64, Arc<Place>>,
    /// Who took which turn, as of when we last looked: the least may have moved on since.
    turns: BTreeMap<u64, u64>,
    by_client: HashMap<IpAddr, usize>,
    by_network: HashMap<IpAddr, usize>,
}

/// What a connection notes, and is told.
#[derive(Debug)]
struct Place {
    turn: AtomicU64,
    /// The turn that it is filed under; changed under the lock alone.
    filed: AtomicU64,
    /// Since when it may send its first message.
    begun: AtomicU64,
    phase: AtomicU8,
    since: AtomicU64,
    /// The tick after that at which the client took nothing more; 0 while it does.
    stalled: AtomicU64,
    ending: AtomicU8,
    waker: AtomicWaker,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(in crate::server) enum Phase {
    /// A handshake.
    Handshake,
    /// The first octet of the first message.
    First,
    /// The rest of the first message.
    FirstRest,
    /// The rest of a message.
    Rest,
    /// A message.
    Idle,
    /// Nothing that the client must send.
    Busy,
}

/// Why a connection has to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::server) enum Ending {
    /// The server goes: what was read is answered, then it is closed.
    Orderly = 1,
    /// Its time was up.
    Overdue = 2,
    /// Its place was needed, and it was idle longest.
    Kicked = 3,
    /// The server has gone.
    Cut = 4,
}

/// One connection's place; dropping it gives the place back.
#[derive(Debug)]
pub(in crate::server) struct Seat {
    id: u64,
    client: Option<IpAddr>,
    place: Arc<Place>,
    clients: Arc<Clients>,
}

impl Clients {
    pub(in crate::server) fn new(limits: Limits, leaving: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            limits,
            open: Mutex::default(),
            now: AtomicU64::new(0),
            turn: AtomicU64::new(0),
            pressed: AtomicBool::new(false),
            many: AtomicUsize::new(0),
            came: Notify::new(),
            leaving,
        })
    }

    /// A place for one more connection, or `None` when its client or network has enough; a
    /// client that is not known yet is named later ([`Seat::belongs_to`]).
    pub(in crate::server) fn seat(self: &Arc<Self>, client: Option<IpAddr>) -> Option<Seat> {
        let mut open = self.lock();
        if !client.is_none_or(|client| open.count(client, &self.limits)) {
            return None;
        }
        if open.seats.len() >= self.limits.connections {
            open.kick_longest_idle();
        }
        let (id, turn) = (open.next, self.turn());
        open.next += 1;
        let place = Arc::new(Place::new(self.now.load(Relaxed), turn));
        open.turns.insert(turn, id);
        if open.ending {
            place.end(Ending::Orderly);
        }
        open.seats.insert(id, place.clone());
        self.pressed.store(self.limits.pressed(open.seats.len()), Relaxed);
        self.many.store(open.seats.len(), Relaxed);
        self.came.notify_one();
        Some(Seat { id, client, place, clients: self.clone() })
    }

    pub(in crate::server) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How many octets of answers may wait for one client before no more is made: the more clients
    /// there are, the fewer, so that those who never read cannot take all memory together.
    pub(in crate::server) fn much(&self) -> usize {
        (WAITING / self.many.load(Relaxed).max(1)).clamp(LEAST_WAITING, MOST_WAITING)
    }

    /// How long a client may be idle as things stand, in units of 100 milliseconds (RFC 7828).
    pub(in crate::server) fn idle(&self) -> Option<u16> {
        if self.leaving.is_cancelled() {
            // Close it as soon as you can (RFC 7828 §3.2.2).
            return Some(0);
        }
        let pressed = self.pressed.load(Relaxed);
        let idle = if pressed { self.limits.idle_pressed } else { self.limits.idle };
        u16::try_from(idle.as_millis() / 100).ok()
    }

    /// Closes what is overdue, until shut down; then everything, in order.
    pub(in crate::server) async fn watch(self: Arc<Self>, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                () = self.tick() => self.end_overdue(),
            }
        }
        self.end_all(Ending::Orderly);
        for _ in 0..ticks(GRACE) {
            if self.lock().seats.is_empty() {
                return;
            }
            tokio::time::sleep(TICK).await;
        }
        self.end_all(Ending::Cut);
    }

    /// One tick of time; while nobody is connected, none passes.
    async fn tick(&self) {
        while self.lock().seats.is_empty() {
            self.came.notified().await;
        }
        tokio::time::sleep(TICK).await;
        self.now.fetch_add(1, Relaxed);
    }

    fn end_overdue(&self) {
        let mut open = self.lock();
        let pressed = self.leaving.is_cancelled() || self.limits.pressed(open.seats.len());
        self.pressed.store(pressed, Relaxed);
        self.many.store(open.seats.len(), Relaxed);
        let now = self.now.load(Relaxed);
        let overdue = |_: &u64, place: &mut Arc<Place>| {
            let overdue = place.is_overdue(now, &self.limits, pressed);
            if overdue {
                place.end(Ending::Overdue);
            }
            !overdue
        };
        open.seats.retain(overdue);
    }

    fn end_all(&self, how: Ending) {
        let mut open = self.lock();
        open.ending = true;
        open.seats.values().for_each(|place| place.end(how));
    }

    fn turn(&self) -> u64 {
        self.turn.fetch_add(1, Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Counts one more of a client; `false`, and nothing counted, when it has enough.
    fn count(&mut self, client: IpAddr, limits: &Limits) -> bool {
        let full = |count: Option<&usize>, limit| count.copied().unwrap_or_default() >= limit;
        if full(self.by_client.get(&client), limits.per_client)
            || full(self.by_network.get(&network(client)), limits.per_network)
        {
            return false;
        }
        *self.by_client.entry(client).or_default() += 1;
        *self.by_network.entry(network(client)).or_default() += 1;
        true
    }

    /// Whoever has the least turn. Those that took another one since we last looked are filed
    /// under it first: one step for each message, whenever it came.
    fn kick_longest_idle(&mut self) {
        for left in (0..2 * self.turns.len()).rev() {
            let Some((turn, id)) = self.turns.pop_first() else { return };
            let Some(place) = self.seats.get(&id) else { continue };
            let latest = place.turn.load(Relaxed);
            // Where all are so busy that the end is reached, any will do.
            if latest == turn || left == 0 {
                place.end(Ending::Kicked);
                self.seats.remove(&id);
                return;
            }
            place.filed.store(latest, Relaxed);
            self.turns.insert(latest, id);
        }
    }

    fn leave(counts: &mut HashMap<IpAddr, usize>, who: IpAddr) {
        if let Some(count) = counts.get_mut(&who) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&who);
            }
        }
    }
}

impl Place {
    fn new(now: u64, turn: u64) -> Self {
        Self {
            turn: AtomicU64::new(turn),
            filed: AtomicU64::new(turn),
            begun: AtomicU64::new(now),
            phase: AtomicU8::new(Phase::First as u8),
            since: AtomicU64::new(now),
            stalled: AtomicU64::new(0),
            ending: AtomicU8::new(0),
            waker: AtomicWaker::new(),
        }
    }

    fn is_overdue(&self, now: u64, limits: &Limits, pressed: bool) -> bool {
        // A tick may be about to end when it is noted, so none is counted before the next.
        let over = |since: u64, limit| now.saturating_sub(since) > ticks(limit);
        let (begun, since) = (self.begun.load(Relaxed), self.since.load(Relaxed));
        let stalled = self.stalled.load(Relaxed).checked_sub(1);
        if stalled.is_some_and(|since| over(since, limits.write)) {
            return true;
        }
        let idle = if pressed { limits.idle_pressed } else { limits.idle };
        match Phase::from(self.phase.load(Relaxed)) {
            Phase::Handshake => over(begun, limits.handshake),
            Phase::First => over(begun, limits.first),
            Phase::FirstRest => over(begun, limits.first) || over(since, limits.message),
            Phase::Rest => over(since, limits.message),
            Phase::Idle => over(since, idle),
            Phase::Busy => false,
        }
    }

    fn end(&self, how: Ending) {
        self.ending.fetch_max(how as u8, Relaxed);
        self.waker.wake();
    }
}

impl From<u8> for Phase {
    fn from(number: u8) -> Self {
        let all = [Self::Handshake, Self::First, Self::FirstRest, Self::Rest, Self::Idle];
        all.into_iter().find(|phase| *phase as u8 == number).unwrap_or(Self::Busy)
    }
}

impl Seat {
    /// Says whose place it is; `false` when the client has enough of them.
    pub(super) fn belongs_to(&mut self, client: IpAddr) -> bool {
        let counted = self.clients.lock().count(client, &self.clients.limits);
        if counted {
            self.client = Some(client);
        }
        counted
    }

    /// Notes what is waited for from now on. The tick is noted first, so that no new phase is ever
    /// seen with an old tick.
    pub(in crate::server) fn waits_for(&self, phase: Phase) {
        let now = self.clients.now.load(Relaxed);
        if matches!(phase, Phase::Handshake | Phase::First) {
            self.place.begun.store(now, Relaxed);
        }
        self.place.since.store(now, Relaxed);
        self.place.phase.store(phase as u8, Relaxed);
    }

    /// A message came: others have been idle for longer.
    pub(in crate::server) fn touch(&self) {
        self.place.turn.store(self.clients.turn(), Relaxed);
    }

    /// Notes that the client takes nothing from now on.
    pub(super) fn stalls(&self) {
        self.place.stalled.store(self.clients.now.load(Relaxed) + 1, Relaxed);
    }

    /// Notes that it takes what is sent.
    pub(super) fn flows(&self) {
        self.place.stalled.store(0, Relaxed);
    }

    /// How many octets of answers may wait for it.
    pub(super) fn much(&self) -> usize {
        self.clients.much()
    }

    /// What its client is told of idling.
    pub(in crate::server) fn idle(&self) -> Option<u16> {
        self.clients.idle()
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.clients.limits
    }

    /// Ready when the connection has to end.
    pub(in crate::server) fn poll_ended(&self, cx: &Context<'_>) -> Poll<Ending> {
        self.place.waker.register(cx.waker());
        match self.place.ending.load(Relaxed) {
            0 => Poll::Pending,
            1 => Poll::Ready(Ending::Orderly),
            2 => Poll::Ready(Ending::Overdue),
            3 => Poll::Ready(Ending::Kicked),
            _ => Poll::Ready(Ending::Cut),
        }
    }

    /// Ends when the connection has to.
    pub(in crate::server) async fn ended(&self) -> Ending {
        self.ended_but(false).await
    }

    /// The same; while the connection is `closing` in order, when it has to end at once.
    pub(in crate::server) async fn ended_but(&self, closing: bool) -> Ending {
        std::future::poll_fn(|cx| match self.poll_ended(cx) {
            Poll::Ready(Ending::Orderly) if closing => Poll::Pending,
            ended => ended,
        })
        .await
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.clients.lock();
        open.seats.remove(&self.id);
        open.turns.remove(&self.place.filed.load(Relaxed));
        if let Some(client) = self.client {
            Open::leave(&mut open.by_client, client);
            Open::leave(&mut open.by_network, network(client));
        }
    }
}

/// The /24 or /56 that an address lies in.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() & !0xff).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 72 << 72).into(),
    }
}

fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u64::MAX)
}

/// How often is looked for what is overdue; so much later than its limit, and up to as much again,
/// a connection may be closed.
const TICK: Duration = Duration::from_millis(100);
/// Octets of answers that may wait for all clients together, but for the least that each may have;
/// with the longest message behind them, no more than twice as much ever waits for one.
const WAITING: usize = 1 << 26;
const LEAST_WAITING: usize = 16_384;
const MOST_WAITING: usize = 65_536;
/// How long clients may take for their last answers when the server goes.
const GRACE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(number: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(192, 0, number / 8, number))
    }

    fn small() -> Limits {
        Limits { connections: 6, per_client: 2, per_network: 3, ..Limits::default() }
    }

    fn ending(seat: &Seat) -> u8 {
        seat.place.ending.load(Relaxed)
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Come(u8),
        ComeBehindProxy(u8),
        Ask(usize),
        Go(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0_u8..24).prop_map(Step::Come),
            1 => (0_u8..24).prop_map(Step::ComeBehindProxy),
            3 => (0_usize..8).prop_map(Step::Ask),
            2 => (0_usize..8).prop_map(Step::Go),
        ]
    }

    #[test]
    fn the_more_are_connected_the_less_waits_for_each() {
        let clients = Clients::new(Limits::default(), CancellationToken::new());
        let much = |seats: usize| {
            let all: Vec<_> = (0..seats).map(|_| clients.seat(None)).collect();
            assert_eq!(all.len(), seats);
            clients.much()
        };
        assert_eq!([1, 1_000, 2_048, 4_096].map(much), [65_536, 65_536, 32_768, 16_384]);
        assert_eq!(clients.limits().connections, 4_096);
    }

    proptest! {
        #[test]
        fn shares_hold_the_longest_idle_goes_and_places_come_back(
            steps in proptest::collection::vec(step(), 0..120),
        ) {
            let clients = Clients::new(small(), CancellationToken::new());
            // From the longest idle on; those that were kicked are gone.
            let mut seats: Vec<Seat> = Vec::new();
            for step in steps {
                let oldest = seats.first().map(|seat| seat.id);
                let full = seats.len() == 6;
                let came = match step {
                    Step::Come(who) => clients.seat(Some(address(who))),
                    Step::ComeBehindProxy(who) => clients
                        .seat(None)
                        .and_then(|mut seat| seat.belongs_to(address(who)).then_some(seat)),
                    Step::Ask(at) if at < seats.len() => {
                        let seat = seats.remove(at);
                        seat.touch();
                        seats.push(seat);
                        None
                    }
                    Step::Go(at) if at < seats.len() => {
                        seats.remove(at);
                        None
                    }
                    Step::Ask(_) | Step::Go(_) => None,
                };
                let comes = matches!(step, Step::ComeBehindProxy(_)) || came.is_some();
                let kicked = seats.iter().filter(|seat| ending(seat) == Ending::Kicked as u8);
                let kicked: Vec<_> = kicked.map(|seat| seat.id).collect();
                let expected = oldest.filter(|_| full && comes);
                prop_assert_eq!(kicked, expected.into_iter().collect::<Vec<_>>());
                seats.retain(|seat| ending(seat) == 0);
                seats.extend(came);
                let open = clients.lock();
                let of = |who: IpAddr| seats.iter().filter(|seat| seat.client == Some(who)).count();
                prop_assert!(open.by_client.iter().all(|(who, count)| *count == of(*who) && *count <= 2));
                prop_assert!(open.by_network.values().all(|count| *count <= 3));
                prop_assert_eq!(open.by_client.values().sum::<usize>(), seats.len());
                prop_assert_eq!((open.seats.len(), open.turns.len()), (seats.len(), seats.len()));
            }
            drop(seats);
            let open = clients.lock();
            prop_assert!(open.by_client.is_empty() && open.by_network.is_empty());
            prop_assert!(open.seats.is_empty() && open.turns.is_empty());
        }
    }

    #[test]
    fn each_phase_has_its_limit_and_pressure_shortens_one() {
        let (limits, place) = (Limits::default(), Place::new(0, 0));
        let overdue = |phase: Phase, now, pressed| {
            place.phase.store(phase as u8, Relaxed);
            place.is_overdue(now, &limits, pressed)
        };
        for (phase, last) in [
            (Phase::Handshake, 20),
            (Phase::First, 20),
            (Phase::FirstRest, 5),
            (Phase::Rest, 5),
            (Phase::Idle, 100),
        ] {
            assert!(!overdue(phase, last, false) && overdue(phase, last + 1, false), "{phase:?}");
        }
        assert!(!overdue(Phase::Idle, 20, true) && overdue(Phase::Idle, 21, true));
        assert!(!overdue(Phase::Busy, 1_000_000, true));
        place.stalled.store(1, Relaxed);
        assert!(!overdue(Phase::Busy, 20, false) && overdue(Phase::Busy, 21, false), "stalled");
    }

    #[test]
    fn who_begins_in_time_must_end_in_time_too() {
        let (limits, place) = (Limits::default(), Place::new(0, 0));
        place.phase.store(Phase::FirstRest as u8, Relaxed);
        place.since.store(18, Relaxed);
        assert!(place.is_overdue(21, &limits, false), "the first message has one deadline");
    }
}
