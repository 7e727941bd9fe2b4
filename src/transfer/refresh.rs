//! When a zone that lives elsewhere is looked at again, and when it may be used no more
//! (RFC 1034 §4.3.5): the SOA's timers, with bounds, so that a slip in them harms nobody.

use std::time::{Duration, Instant};

/// A zone's timers. Its moments are handed in.
#[derive(Clone, Debug)]
pub struct Refresh {
    refresh: Duration,
    retry: Duration,
    expire: Duration,
    due: Instant,
    /// When the primary last said that we are in step; `None` before it ever did.
    confirmed: Option<Instant>,
    /// When the last look ended; `None` before the first.
    looked: Option<Instant>,
    failures: u32,
}

/// Looks closer together than this are a burden for the primary.
const LEAST: Duration = Duration::from_secs(1);
/// Looks further apart than a day forget the primary (RFC 1912 §2.2 has 12 hours as the most).
const MOST: Duration = Duration::from_secs(86_400);
/// Until a first transfer says otherwise.
const FIRST_RETRY: Duration = Duration::from_secs(5);
/// Where nothing else says how long to wait for a primary that was never reached.
const MOST_FIRST_RETRY: Duration = Duration::from_secs(300);

impl Refresh {
    /// To be looked at now.
    #[must_use]
    pub fn new(at: Instant) -> Self {
        Self {
            refresh: FIRST_RETRY,
            retry: FIRST_RETRY,
            expire: Duration::ZERO,
            due: at,
            confirmed: None,
            looked: None,
            failures: 0,
        }
    }

    /// With what a copy on disk says: it was confirmed at `confirmed`.
    #[must_use]
    pub fn restored(at: Instant, confirmed: Instant, soa: [u32; 5]) -> Self {
        let mut own = Self::new(at);
        own.timers(soa);
        own.confirmed = Some(confirmed);
        own
    }

    /// When to look next.
    #[must_use]
    pub fn due(&self) -> Instant {
        self.due
    }

    /// The primary says that we are in step, with an SOA of these numbers.
    pub fn confirmed(&mut self, at: Instant, soa: [u32; 5]) {
        self.confirmed_through(at, Duration::ZERO, soa);
    }

    /// The same of a server that has the zone from others, and was in step so long ago itself
    /// (RFC 7314 §4). Never takes back what was confirmed before.
    pub fn confirmed_through(&mut self, at: Instant, age: Duration, soa: [u32; 5]) {
        self.timers(soa);
        let confirmed = at.checked_sub(age).unwrap_or(at);
        self.confirmed = Some(self.confirmed.map_or(confirmed, |own| own.max(confirmed)));
        self.looked = Some(at);
        self.failures = 0;
        self.due = at + self.refresh;
    }

    /// The look failed.
    pub fn failed(&mut self, at: Instant) {
        self.looked = Some(at);
        self.failures = self.failures.saturating_add(1);
        let wait = if self.confirmed.is_some() {
            self.retry
        } else {
            (FIRST_RETRY * 2_u32.saturating_pow(self.failures.min(8) - 1)).min(MOST_FIRST_RETRY)
        };
        self.due = at + wait;
    }

    /// A notice came: to be looked at now, or when the primary has had its rest: anybody can write
    /// its address on a datagram, and no number of them is to become as many looks.
    pub fn notified(&mut self, at: Instant) {
        let rested = self.looked.map_or(at, |looked| at.max(looked + LEAST));
        self.due = self.due.min(rested);
    }

    /// When the copy may be used no more; `None` without one.
    #[must_use]
    pub fn expires(&self) -> Option<Instant> {
        self.confirmed.map(|confirmed| confirmed + self.expire)
    }

    /// Whether there is no copy that may be used.
    #[must_use]
    pub fn is_expired(&self, at: Instant) -> bool {
        self.expires().is_none_or(|end| at >= end)
    }

    fn timers(&mut self, [_, refresh, retry, expire, _]: [u32; 5]) {
        let bounded = |seconds: u32| Duration::from_secs(seconds.into()).clamp(LEAST, MOST);
        self.refresh = bounded(refresh);
        self.retry = bounded(retry);
        // It must outlast one look that fails, or every hiccup would take the zone away.
        let expire = Duration::from_secs(expire.into());
        self.expire = expire.max(self.refresh + self.retry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOA: [u32; 5] = [1, 3_600, 600, 86_400, 30];

    #[allow(clippy::disallowed_methods)] // a test may read the clock
    fn start() -> Instant {
        Instant::now()
    }

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn a_zone_that_was_never_had_is_asked_for_more_and_more_seldom() {
        let at = start();
        let mut own = Refresh::new(at);
        assert!(own.due() == at && own.is_expired(at));
        let mut waits = Vec::new();
        for _ in 0..9 {
            own.failed(at);
            waits.push((own.due() - at).as_secs());
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
    }

    #[test]
    fn refresh_retry_and_expire_are_the_soas() {
        let at = start();
        let mut own = Refresh::new(at);
        own.confirmed(at, SOA);
        assert_eq!(own.due(), at + seconds(3_600));
        let later = at + seconds(3_600);
        own.failed(later);
        assert_eq!(own.due(), later + seconds(600));
        assert!(!own.is_expired(at + seconds(86_399)));
        assert!(own.is_expired(at + seconds(86_400)));
        own.notified(later + seconds(60));
        assert_eq!(own.due(), later + seconds(60));
    }

    #[test]
    fn what_a_server_confirms_that_was_in_step_a_while_ago_is_as_old() {
        let at = start() + seconds(100_000);
        let mut own = Refresh::new(at);
        own.confirmed_through(at, seconds(86_000), SOA);
        assert_eq!((own.due(), own.expires()), (at + seconds(3_600), Some(at + seconds(400))));
        own.confirmed_through(at, seconds(86_300), SOA);
        assert_eq!(own.expires(), Some(at + seconds(400)), "another one knows no better");
        own.confirmed(at, SOA);
        assert_eq!(own.expires(), Some(at + seconds(86_400)));
    }

    #[test]
    fn however_many_notices_come_the_primary_is_looked_at_once_in_a_second() {
        let at = start();
        let mut own = Refresh::new(at);
        own.confirmed(at, SOA);
        let mut looks = 0;
        for millis in (0..10_000).step_by(10) {
            let now = at + Duration::from_millis(millis);
            own.notified(now);
            if own.due() <= now {
                looks += 1;
                if looks % 2 == 0 { own.confirmed(now, SOA) } else { own.failed(now) }
            }
        }
        assert_eq!(looks, 9);
    }

    #[test]
    fn strange_timers_are_bounded() {
        let at = start();
        let mut own = Refresh::new(at);
        own.confirmed(at, [1, 0, 0, 0, 0]);
        assert_eq!((own.due() - at, own.expires().unwrap() - at), (seconds(1), seconds(2)));
        own.confirmed(at, [1, u32::MAX, u32::MAX, u32::MAX, 0]);
        assert_eq!(own.due() - at, seconds(86_400));
    }
}
