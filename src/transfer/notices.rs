//! Whom to tell that a zone changed, and when to tell again (RFC 1996 §3).

use crate::model::{Name, Serial};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::{Duration, Instant},
};

/// A secondary that is told of changes.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    /// The key that the notice is signed with.
    pub key: Option<Name>,
}

/// A notice to be sent now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Due {
    /// Of which zone.
    pub zone: Name,
    /// Its serial.
    pub serial: Serial,
    /// To whom.
    pub target: Target,
    /// How many went unanswered before it.
    pub attempt: u32,
}

/// All notices under way: at most one for each zone and secondary, so a storm of changes is one
/// notice of the newest serial.
#[derive(Clone, Debug, Default)]
pub struct Notices {
    told: BTreeMap<Name, Serial>,
    open: BTreeMap<(Name, Target), Open>,
}

#[derive(Clone, Debug)]
struct Open {
    serial: Serial,
    attempt: u32,
    due: Instant,
}

/// Changes that follow each other within this are told once.
const SETTLE: Duration = Duration::from_millis(100);
/// Before the second notice; each wait after that is twice as long.
const RETRY: Duration = Duration::from_secs(2);
/// Secondaries look by themselves too: more seldom than this a notice is of little use.
const MOST: Duration = Duration::from_secs(900);

impl Notices {
    /// The zones as they are now, and whom each is to be told to. Zones and secondaries that are
    /// not named any more are forgotten.
    pub fn set<'z>(
        &mut self,
        at: Instant,
        zones: impl IntoIterator<Item = (&'z Name, Serial, &'z [Target])>,
    ) {
        let mut wanted = BTreeSet::new();
        let mut told = BTreeMap::new();
        for (zone, serial, targets) in zones {
            let changed = self.told.get(zone) != Some(&serial);
            for target in targets {
                let id = (zone.clone(), target.clone());
                if changed {
                    self.change(id.clone(), serial, at);
                }
                wanted.insert(id);
            }
            told.insert(zone.clone(), serial);
        }
        self.told = told;
        self.open.retain(|id, _| wanted.contains(id));
    }

    /// A notice that waits to be sent goes with the newer serial; one that was sent begins anew.
    fn change(&mut self, id: (Name, Target), serial: Serial, at: Instant) {
        let due = at + SETTLE;
        let open = self.open.entry(id).or_insert(Open { serial, attempt: 0, due });
        open.serial = serial;
        if open.attempt > 0 {
            (open.attempt, open.due) = (0, due);
        }
    }

    /// When something is next to be done.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.open.values().map(|open| open.due).min()
    }

    /// What is to be sent now; each is due again later, unless it is answered.
    pub fn due(&mut self, at: Instant) -> Vec<Due> {
        let mut all = Vec::new();
        for ((zone, target), open) in self.open.iter_mut().filter(|(_, open)| open.due <= at) {
            let attempt = open.attempt;
            let (zone, target) = (zone.clone(), target.clone());
            all.push(Due { zone, serial: open.serial, target, attempt });
            let wait = RETRY * 2_u32.saturating_pow(attempt.min(10));
            open.due = at + wait.min(MOST);
            open.attempt = attempt.saturating_add(1);
        }
        all
    }

    /// The secondary has answered: it is told no more of this serial.
    pub fn answered(&mut self, due: &Due) {
        let id = (due.zone.clone(), due.target.clone());
        if self.open.get(&id).is_some_and(|open| open.serial == due.serial && open.attempt > 0) {
            self.open.remove(&id);
        }
    }

    /// How many wait for an answer.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::disallowed_methods)] // a test may read the clock
    fn start() -> Instant {
        Instant::now()
    }

    fn target() -> Target {
        Target { address: "192.0.2.1:53".parse().unwrap(), key: None }
    }

    #[test]
    fn a_storm_of_changes_is_one_notice_and_silence_is_told_again() {
        let (mut at, zone, targets) = (start(), "z.test".parse().unwrap(), [target()]);
        let mut notices = Notices::default();
        for serial in 1..=50 {
            notices.set(at, [(&zone, Serial(serial), &targets[..])]);
            at += Duration::from_millis(1);
        }
        assert!(notices.due(at).is_empty());
        at = notices.next().unwrap();
        let sent = notices.due(at);
        assert_eq!((sent.len(), sent[0].serial, sent[0].attempt), (1, Serial(50), 0));
        let mut waits = Vec::new();
        for _ in 0..11 {
            let next = notices.next().unwrap();
            waits.push((next - at).as_secs());
            at = next;
            assert_eq!(notices.due(at).len(), 1);
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
        notices.set(at, [(&zone, Serial(51), &targets[..])]);
        assert_eq!(notices.next(), Some(at + SETTLE), "news begins anew");
    }

    #[test]
    fn an_answer_to_an_older_notice_does_not_end_a_newer_one() {
        let (at, zone, targets) = (start(), "z.test".parse().unwrap(), [target()]);
        let mut notices = Notices::default();
        notices.set(at, [(&zone, Serial(1), &targets[..])]);
        let first = notices.due(at + SETTLE).remove(0);
        notices.set(at, [(&zone, Serial(2), &targets[..])]);
        notices.answered(&first);
        assert_eq!(notices.len(), 1);
        let second = notices.due(at + SETTLE).remove(0);
        notices.answered(&second);
        assert!(notices.is_empty());
        notices.set(at, [(&zone, Serial(2), &targets[..])]);
        assert!(notices.is_empty(), "nothing changed");
        notices.set(at, [(&zone, Serial(3), &targets[..])]);
        notices.set(at, []);
        assert!(notices.is_empty(), "the zone is gone");
    }
}
