//! When which target is checked. Pure: time is an argument, and chance has a seed.
//!
//! Each target has one place in the queue, so lateness never piles up: whoever waits too long is
//! checked once, later.

use crate::health::{Check, Target};
use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant},
};

/// Names a target while it is wanted; never used twice.
pub(super) type Id = u64;

/// Targets in the order of their next checks.
#[derive(Debug)]
pub(super) struct Schedule {
    places: BTreeMap<Id, Place>,
    ids: BTreeMap<Target, Id>,
    queue: BTreeSet<(Instant, Id)>,
    next_id: Id,
    seed: u64,
    chance: fastrand::Rng,
}

#[derive(Debug)]
struct Place {
    target: Target,
    /// When the last check started.
    started: Instant,
    due: Instant,
}

/// A check that should start.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Due {
    pub(super) id: Id,
    pub(super) target: Target,
    /// By how much it is late.
    pub(super) late: Duration,
}

/// What the last check says about the time of the next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pace {
    /// It succeeded.
    Usual,
    /// It failed: look again sooner.
    Soon,
    /// It is not allowed, and that will hardly change.
    Rare,
}

impl Schedule {
    /// Seeds differ so that two observers do not check at the same moments.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            places: BTreeMap::new(),
            ids: BTreeMap::new(),
            queue: BTreeSet::new(),
            next_id: 0,
            seed,
            chance: fastrand::Rng::with_seed(seed),
        }
    }

    /// Takes over what is wanted from now on. Who stays keeps its time.
    pub(super) fn want(&mut self, at: Instant, wanted: &BTreeSet<Target>) {
        let gone: Vec<_> = self.ids.iter().filter(|(target, _)| !wanted.contains(target)).collect();
        let gone: Vec<Id> = gone.into_iter().map(|(_, id)| *id).collect();
        for id in gone {
            self.remove(id);
        }
        for target in wanted {
            if !self.ids.contains_key(target) {
                self.add(at, target);
            }
        }
    }

    /// The time of the next check, which may be past.
    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(due, _)| *due)
    }

    /// How many targets are wanted.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The next check that should have started by `at`. Should it never be finished, it starts
    /// again after its timeout and an interval.
    pub(super) fn start(&mut self, at: Instant) -> Option<Due> {
        let (due, id) = *self.queue.first().filter(|(due, _)| *due <= at)?;
        let place = self.places.get_mut(&id)?;
        place.started = at;
        let target = place.target.clone();
        let patience = interval(&target.check) + target.check.timeout.min(LONGEST);
        self.requeue(id, at + patience);
        Some(Due { id, target, late: at - due })
    }

    /// Plans the check after the one that has ended; false when it is no longer wanted.
    pub(super) fn finish(&mut self, at: Instant, id: Id, pace: Pace) -> bool {
        let Some(place) = self.places.get(&id) else { return false };
        let jitter = JITTER.mul_add(2.0 * self.chance.f64() - 1.0, 1.0);
        let due = place.started + step(&place.target.check, pace).mul_f64(jitter);
        self.requeue(id, due.max(at));
        true
    }

    fn add(&mut self, at: Instant, target: &Target) {
        let id = self.next_id;
        self.next_id += 1;
        let due = at + interval(&target.check).mul_f64(phase(self.seed, target));
        self.places.insert(id, Place { target: target.clone(), started: at, due });
        self.ids.insert(target.clone(), id);
        self.queue.insert((due, id));
    }

    fn remove(&mut self, id: Id) {
        if let Some(place) = self.places.remove(&id) {
            self.ids.remove(&place.target);
            self.queue.remove(&(place.due, id));
        }
    }

    fn requeue(&mut self, id: Id, due: Instant) {
        if let Some(place) = self.places.get_mut(&id) {
            self.queue.remove(&(place.due, id));
            place.due = due;
            self.queue.insert((due, id));
        }
    }
}

/// From one check's start to the next.
fn step(check: &Check, pace: Pace) -> Duration {
    match pace {
        Pace::Usual => interval(check),
        Pace::Soon => interval(check).min(UNHEALTHY.max(check.timeout)),
        Pace::Rare => interval(check).max(RARELY),
    }
}

fn interval(check: &Check) -> Duration {
    check.interval.clamp(SHORTEST, LONGEST)
}

/// Where in its first interval a target is checked, from 0 to 1.
fn phase(seed: u64, target: &Target) -> f64 {
    let mut hasher = DefaultHasher::new();
    (seed, target).hash(&mut hasher);
    hasher.finish() as f64 / u64::MAX as f64
}

/// Between two checks of a target that fails, unless its interval is shorter.
const UNHEALTHY: Duration = Duration::from_secs(5);
/// Between two tellings that a target may not be checked.
const RARELY: Duration = Duration::from_secs(3_600);
/// Intervals are kept between these, whatever was asked for.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(86_400);
/// The share of an interval by which a check may be early or late, so that checks that once
/// coincided do not go on doing so.
const JITTER: f64 = 0.1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Protocol;
    use proptest::prelude::*;
    use std::{net::Ipv4Addr, sync::Arc};

    const SECOND: Duration = Duration::from_secs(1);

    fn targets(count: u32) -> BTreeSet<Target> {
        let check = Arc::new(Check::new(Protocol::Tcp, 80));
        (0..count)
            .map(|at| Target {
                address: Ipv4Addr::from_bits(0x0a00_0000 + at).into(),
                check: check.clone(),
            })
            .collect()
    }

    #[allow(clippy::disallowed_methods)] // the start of a made-up time
    fn start() -> Instant {
        Instant::now()
    }

    /// Everything that starts from `from` to `to` in steps of 10 ms, each finished at once.
    fn play(schedule: &mut Schedule, from: Instant, to: Instant, pace: Pace) -> Vec<(Instant, Id)> {
        let (mut now, mut started) = (from, Vec::new());
        while now < to {
            while let Some(due) = schedule.start(now) {
                started.push((now, due.id));
                schedule.finish(now, due.id, pace);
            }
            now += Duration::from_millis(10);
        }
        started
    }

    #[test]
    fn first_checks_are_spread_over_the_whole_interval() {
        let (mut schedule, now) = (Schedule::new(7), start());
        schedule.want(now, &targets(10_000));
        for second in 0..10 {
            let from = now + SECOND * second;
            let started = play(&mut schedule, from, from + SECOND, Pace::Rare).len();
            assert!((850..1_150).contains(&started), "{started} in second {second}");
        }
    }

    #[test]
    fn a_healthy_target_is_checked_once_an_interval_within_ten_percent() {
        let (mut schedule, now) = (Schedule::new(7), start());
        schedule.want(now, &targets(1));
        let started = play(&mut schedule, now, now + SECOND * 200, Pace::Usual);
        for pair in started.windows(2) {
            let gap = pair[1].0 - pair[0].0;
            assert!(gap >= SECOND * 9 && gap <= SECOND * 11 + SECOND / 50, "{gap:?}");
        }
        assert!((18..=22).contains(&started.len()));
    }

    #[test]
    fn a_failing_target_is_checked_twice_as_often_and_a_blocked_one_hardly_ever() {
        for (pace, expected) in [(Pace::Soon, 18..=22), (Pace::Rare, 1..=1)] {
            let (mut schedule, now) = (Schedule::new(7), start());
            schedule.want(now, &targets(1));
            let started = play(&mut schedule, now, now + SECOND * 100, pace).len();
            assert!(expected.contains(&started), "{started} at pace {pace:?}");
        }
    }

    #[test]
    fn an_interval_below_five_seconds_is_not_prolonged_by_failures() {
        let mut check = Check::new(Protocol::Tcp, 80);
        check.interval = SECOND;
        check.timeout = SECOND / 2;
        assert_eq!(step(&check, Pace::Soon), SECOND);
        (check.interval, check.timeout) = (SECOND * 30, SECOND * 8);
        assert_eq!(step(&check, Pace::Soon), SECOND * 8);
    }

    #[test]
    fn who_stays_keeps_its_time_and_who_goes_is_gone() {
        let (mut schedule, now) = (Schedule::new(7), start());
        schedule.want(now, &targets(10));
        let before: BTreeMap<_, _> =
            schedule.places.values().map(|place| (place.target.clone(), place.due)).collect();
        schedule.want(now + SECOND, &targets(4));
        assert_eq!((schedule.len(), schedule.queue.len(), schedule.ids.len()), (4, 4, 4));
        for place in schedule.places.values() {
            assert_eq!(before[&place.target], place.due);
        }
    }

    #[test]
    fn a_check_that_was_removed_meanwhile_counts_no_more() {
        let (mut schedule, now) = (Schedule::new(7), start());
        schedule.want(now, &targets(1));
        let due = schedule.start(now + SECOND * 20).unwrap();
        schedule.want(now, &targets(0));
        schedule.want(now, &targets(1));
        assert!(!schedule.finish(now + SECOND * 20, due.id, Pace::Usual));
        assert_eq!(schedule.len(), 1);
    }

    #[test]
    fn lateness_is_told_and_does_not_pile_up() {
        let (mut schedule, now) = (Schedule::new(7), start());
        schedule.want(now, &targets(1));
        let late = now + SECOND * 1_000;
        let due = schedule.start(late).unwrap();
        assert!(due.late >= SECOND * 990);
        assert_eq!(schedule.start(late), None);
        schedule.finish(late + SECOND, due.id, Pace::Usual);
        assert!(schedule.next().unwrap() >= late + SECOND * 9);
    }

    #[test]
    fn a_check_that_never_ends_starts_again_after_its_time() {
        let (mut schedule, now) = (Schedule::new(7), start());
        schedule.want(now, &targets(1));
        let at = now + SECOND * 20;
        assert!(schedule.start(at).is_some());
        assert_eq!(schedule.start(at + SECOND * 12), None);
        assert!(schedule.start(at + SECOND * 13).is_some());
    }

    proptest! {
        #[test]
        fn every_wanted_target_has_exactly_one_place_whatever_happens(
            moves in proptest::collection::vec((0u32..20, 0u64..30, 0u8..4), 1..60),
            interval in 0u64..=u64::MAX,
        ) {
            let (mut schedule, mut now, mut running) = (Schedule::new(1), start(), Vec::new());
            for (count, seconds, kind) in moves {
                now += SECOND * u32::try_from(seconds).unwrap();
                let mut wanted = targets(count);
                let mut odd = Check::new(Protocol::Tcp, 1);
                (odd.interval, odd.timeout) = (Duration::from_secs(interval), Duration::MAX);
                wanted.insert(Target { address: Ipv4Addr::LOCALHOST.into(), check: Arc::new(odd) });
                match kind {
                    0 => schedule.want(now, &wanted),
                    1 => running.extend(schedule.start(now)),
                    _ => if let Some(due) = running.pop() {
                        schedule.finish(now, due.id, [Pace::Usual, Pace::Soon][usize::from(kind) % 2]);
                    },
                }
                let places = schedule.places.len();
                prop_assert_eq!((schedule.ids.len(), schedule.queue.len()), (places, places));
            }
        }
    }
}
