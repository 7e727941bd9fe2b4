//! How much of the processor one source may use over connections: there nobody can pretend to be
//! somebody else, so time is counted instead of answers, as Knot does.
//!
//! The table of networks is the one of [`rrl`](super::rrl), without classes. Nothing here measures:
//! the time that a message took is handed in.

use super::{
    meter::Table,
    rrl::{Counted, networks},
};
use siphasher::sip::SipHasher13;
use std::net::IpAddr;

/// What each source has used lately; shared by all connections.
#[derive(Debug)]
pub struct Budget {
    table: Table,
    hash: SipHasher13,
    /// Microseconds of the processor per second, for one address.
    per_second: u64,
}

/// 2^13 sets of eight: 512 KiB, for 16 times as many sources as there are connections.
const TABLE_BITS: u32 = 13;
/// A second's worth may be used at once, in microseconds of that second.
const BURST: u64 = 1_000_000;

impl Budget {
    /// As Knot's `time-rate-limit`: half a percent of one processor, some thousand answers.
    pub const PER_SECOND: u32 = 5_000;

    /// So many microseconds per second for one address, 1 to 1,000,000; nobody may guess the key.
    #[must_use]
    pub fn new(per_second: u32, key: [u8; 16]) -> Self {
        Self {
            table: Table::new(TABLE_BITS),
            hash: SipHasher13::new_with_key(&key),
            per_second: u64::from(per_second.clamp(1, 1_000_000)),
        }
    }

    /// Whether the source may use more now.
    #[must_use]
    pub fn has_some(&self, source: IpAddr, millis: u64) -> bool {
        let now = millis.wrapping_mul(1_000);
        networks(source).all(|network| self.table.level(self.key(&network), now) < BURST)
    }

    /// The source has used so many microseconds, rounded up.
    pub fn used(&self, source: IpAddr, millis: u64, micros: u32) {
        let now = millis.wrapping_mul(1_000);
        for network in networks(source) {
            let share = self.per_second * network.times;
            let add = (u64::from(micros.max(1)) * BURST).div_ceil(share);
            self.table.add(self.key(&network), now, add);
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
        Budget::new(Budget::PER_SECOND, [7; 16])
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_source_gets_a_seconds_worth_at_once_and_then_waits() {
        let (budget, one) = (budget(), address("192.0.2.1"));
        assert!(budget.has_some(one, 0));
        budget.used(one, 0, 4_999);
        assert!(budget.has_some(one, 0));
        budget.used(one, 0, 1);
        assert!(!budget.has_some(one, 0));
        assert!(budget.has_some(one, 1), "five microseconds more each millisecond");
    }

    #[test]
    fn a_network_of_hosts_gets_four_times_as_much() {
        let budget = budget();
        (1..=4).for_each(|host| budget.used(address(&format!("192.0.2.{host}")), 0, 5_000));
        assert!(!budget.has_some(address("192.0.2.200"), 0));
        assert!(budget.has_some(address("192.0.3.1"), 0));
    }

    #[test]
    fn hosts_of_one_v6_subnet_share_and_other_subnets_do_not() {
        let budget = budget();
        budget.used(address("2001:db8::1"), 0, 5_000);
        budget.used(address("2001:db8::2"), 0, 5_000);
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
                    budget.used(one, now, micros);
                    (used, longest) = (used + u64::from(micros), longest.max(u64::from(micros)));
                }
            }
            prop_assert!(used <= 5_000 + now * 5 + longest);
        }
    }
}
