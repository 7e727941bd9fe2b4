//! How much of the processor one source may use over connections: there nobody can pretend to be
//! somebody else, so time is counted instead of answers, as Knot does.
//!
//! The table of networks is the one of [`rrl`](super::rrl), without classes. Nothing here measures:
//! the time that a turn took is handed in.

use super::{
    meter::Table,
    rrl::{Counted, Networks, networks},
};
use ipnet::IpNet;
use siphasher::sip::SipHasher13;
use std::{net::IpAddr, time::Duration};

/// What each source has used lately; shared by all connections.
#[derive(Debug)]
pub struct Budget {
    table: Table,
    hash: SipHasher13,
    /// Microseconds of the processor per second, for one address.
    per_second: u64,
    exempt: Networks,
}

/// 2^13 sets of eight: 512 KiB, for 16 times as many sources as there are connections.
const TABLE_BITS: u32 = 13;
/// A second's worth may be used at once, in microseconds of that second.
const BURST: u64 = 1_000_000;

impl Budget {
    /// A tenth of a processor: some ten thousand queries on connections that are kept, or some
    /// hundred handshakes of TLS. Twenty times what Knot suggests, since all clients behind a
    /// Kubernetes node may come with that node's address.
    pub const PER_SECOND: u32 = 100_000;
    /// All of one processor.
    pub const MOST: u32 = 1_000_000;

    /// So many microseconds per second for one address, 1 to [`Budget::MOST`], but for networks that
    /// may use what they like; nobody may guess the key.
    #[must_use]
    pub fn new(per_second: u32, exempt: &[IpNet], key: [u8; 16]) -> Self {
        Self {
            table: Table::new(TABLE_BITS),
            hash: SipHasher13::new_with_key(&key),
            per_second: u64::from(per_second.clamp(1, Self::MOST)),
            exempt: Networks::new(exempt),
        }
    }

    /// Whether the source is counted at all.
    pub(super) fn counts(&self, source: IpAddr) -> bool {
        !self.exempt.holds(source)
    }

    /// How long the source has to wait until it may use more; nothing, where it may now.
    #[must_use]
    pub fn wait(&self, source: IpAddr, millis: u64) -> Duration {
        let now = millis.wrapping_mul(1_000);
        let levels = networks(source).map(|network| self.table.level(self.key(&network), now));
        let over = levels.max().unwrap_or_default().saturating_sub(BURST - 1);
        Duration::from_micros(over)
    }

    /// The source has used so much.
    pub fn used(&self, source: IpAddr, millis: u64, time: Duration) {
        let now = millis.wrapping_mul(1_000);
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        for network in networks(source) {
            let share = self.per_second * network.times;
            let add = nanos.saturating_mul(BURST / 1_000).div_ceil(share);
            self.table.add(self.key(&network), now, add.max(1));
        }
    }

    fn key(&self, network: &Counted) -> u64 {
        self.hash.hash(&network.key(0, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn budget() -> Budget {
        Budget::new(5_000, &["198.51.100.0/24".parse().unwrap()], [7; 16])
    }

    impl Budget {
        fn has_some(&self, source: IpAddr, millis: u64) -> bool {
            self.wait(source, millis).is_zero()
        }

        fn micros(&self, source: IpAddr, millis: u64, micros: u32) {
            self.used(source, millis, Duration::from_micros(micros.into()));
        }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_source_gets_a_seconds_worth_at_once_and_then_waits() {
        let (budget, one) = (budget(), address("192.0.2.1"));
        assert!(budget.has_some(one, 0));
        budget.micros(one, 0, 4_999);
        assert!(budget.has_some(one, 0));
        budget.micros(one, 0, 1);
        assert!(!budget.has_some(one, 0));
        assert_eq!(budget.wait(one, 0), Duration::from_micros(1));
        assert!(budget.has_some(one, 1), "five microseconds more each millisecond");
        budget.micros(one, 1, 5_000);
        assert_eq!(budget.wait(one, 501), Duration::from_micros(499_001));
    }

    #[test]
    fn less_than_a_microsecond_counts_too_and_who_is_exempt_is_not_counted() {
        let (budget, one) = (budget(), address("192.0.2.1"));
        (0..50_000).for_each(|_| budget.used(one, 0, Duration::from_nanos(100)));
        assert!(!budget.has_some(one, 0));
        assert!(budget.counts(one) && !budget.counts(address("::ffff:198.51.100.7")));
    }

    #[test]
    fn a_network_of_hosts_gets_four_times_as_much() {
        let budget = budget();
        (1..=4).for_each(|host| budget.micros(address(&format!("192.0.2.{host}")), 0, 5_000));
        assert!(!budget.has_some(address("192.0.2.200"), 0));
        assert!(budget.has_some(address("192.0.3.1"), 0));
    }

    #[test]
    fn hosts_of_one_v6_subnet_share_and_other_subnets_do_not() {
        let budget = budget();
        budget.micros(address("2001:db8::1"), 0, 5_000);
        budget.micros(address("2001:db8::2"), 0, 5_000);
        assert!(!budget.has_some(address("2001:db8::3"), 0));
        assert!(budget.has_some(address("2001:db8:0:1::3"), 0));
    }

    proptest! {
        /// One message may take longer than what is left; after it the source waits.
        #[test]
        fn no_source_uses_more_than_its_share_and_one_message(
            messages in prop::collection::vec((0..50_u64, 1..2_000_u32), 1..500),
        ) {
            let (budget, one) = (budget(), address("192.0.2.1"));
            let (mut now, mut used, mut longest) = (0, 0, 0);
            for (pause, micros) in messages {
                now += pause;
                if budget.has_some(one, now) {
                    budget.micros(one, now, micros);
                    (used, longest) = (used + u64::from(micros), longest.max(u64::from(micros)));
                }
            }
            prop_assert!(used <= 5_000 + now * 5 + longest);
        }
    }
}
