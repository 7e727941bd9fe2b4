//! Counts how fast keys come, without a lock and in memory of one size: a table of leaky buckets.
//!
//! A bucket's level is a time: how long it takes to run empty. So nothing has to drain it, and a
//! bucket is one word: 20 bits of its key's hash, and 44 bits of the microsecond at which it will
//! be empty. A hash names a set of eight buckets, which is one line of the processor's cache.
//!
//! ```text
//! the set holds       the key takes
//! its tag             that bucket
//! else                the lowest bucket of the set, with the level that is in it
//! ```
//! A key that comes into another's bucket is taken to have caused what that one did. The lowest
//! level of a set only falls as time passes, so a key that lost its bucket never comes back to a
//! lower one: whatever is asked in whatever order, no key is let through faster than its rate.
//! The price is paid by new keys, and only where all eight buckets are high at once.
//!
//! A key that is refused writes nothing: a flood costs reads, which processors share.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The buckets.
#[derive(Debug)]
pub(super) struct Table {
    sets: Box<[Set]>,
}

/// One line of the cache.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Set([AtomicU64; WAYS]);

/// Buckets of a set.
const WAYS: usize = 8;
/// How many bits of a bucket are its time: of microseconds, half a year.
const TIME_BITS: u32 = 44;
const TIME: u64 = (1 << TIME_BITS) - 1;
/// No bucket takes longer to run empty, in microseconds: what seems to is of half a year ago.
pub(super) const FULL: u64 = 1 << 25;
/// How often a bucket that other threads take at the same time is tried.
const TRIES: usize = 16;

impl Table {
    /// Eight times 2^`bits` buckets of eight octets.
    pub(super) fn new(bits: u32) -> Self {
        Self { sets: (0..1_usize << bits).map(|_| Set::default()).collect() }
    }

    /// What it takes up, for ever.
    pub(super) fn octets(&self) -> usize {
        size_of_val(&*self.sets)
    }

    /// The level of the key's bucket.
    pub(super) fn level(&self, hash: u64, now: u64) -> u64 {
        level(self.set(hash).find(hash >> TIME_BITS, now).1, now)
    }

    /// Adds to the key's bucket unless that would bring it above `most`; whether it did. A bucket
    /// that so many threads fill at once that this one has no turn is taken for full.
    pub(super) fn take(&self, hash: u64, now: u64, add: u64, most: u64) -> bool {
        self.raise(hash, now, |level| Some(level + add).filter(|level| *level <= most))
    }

    /// Adds to the key's bucket, however high it is.
    pub(super) fn add(&self, hash: u64, now: u64, add: u64) {
        self.raise(hash, now, |level| Some(level.saturating_add(add)));
    }

    fn raise(&self, hash: u64, now: u64, to: impl Fn(u64) -> Option<u64>) -> bool {
        let (set, tag) = (self.set(hash), hash >> TIME_BITS);
        for _ in 0..TRIES {
            let (bucket, seen) = set.find(tag, now);
            let Some(raised) = to(level(seen, now)) else { return false };
            let empty_at = now.wrapping_add(raised.min(FULL)) & TIME;
            let new = tag << TIME_BITS | empty_at;
            if bucket.compare_exchange(seen, new, Relaxed, Relaxed).is_ok() {
                return true;
            }
        }
        false
    }

    fn set(&self, hash: u64) -> &Set {
        let last = self.sets.len() - 1;
        // The number of sets is a power of two, and the tag is of the other end of the hash.
        &self.sets[usize::try_from(hash & TIME).unwrap_or_default() & last]
    }
}

impl Set {
    /// The tag's bucket, or the lowest, and what stood in it.
    fn find(&self, tag: u64, now: u64) -> (&AtomicU64, u64) {
        let (mut lowest, mut seen) = (&self.0[0], self.0[0].load(Relaxed));
        for bucket in &self.0 {
            let word = bucket.load(Relaxed);
            if word >> TIME_BITS == tag {
                return (bucket, word);
            }
            if level(word, now) < level(seen, now) {
                (lowest, seen) = (bucket, word);
            }
        }
        (lowest, seen)
    }
}

/// How long the bucket takes to run empty; one that was never used is.
fn level(word: u64, now: u64) -> u64 {
    let ahead = word.wrapping_sub(now) & TIME;
    if word == 0 || ahead > FULL { 0 } else { ahead }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// A hash of set `set` with the tag `tag`.
    fn hash(set: u64, tag: u64) -> u64 {
        tag << TIME_BITS | set
    }

    proptest! {
        /// Few sets and many keys, so that keys lose their buckets all the time.
        #[test]
        fn no_key_is_let_through_faster_than_its_rate_whatever_else_comes(
            steps in prop::collection::vec((0..40_u64, 0..3_000_u64), 1..2_000),
            start in any::<u64>(),
        ) {
            const ADD: u64 = 5_000;
            const MOST: u64 = 50_000;
            let (table, mut now) = (Table::new(1), start >> 1);
            let mut let_through: HashMap<u64, Vec<u64>> = HashMap::new();
            for (key, pause) in steps {
                now += pause;
                if table.take(hash(key % 2, key), now, ADD, MOST) {
                    let_through.entry(key).or_default().push(now);
                }
            }
            for times in let_through.values() {
                for (first, from) in times.iter().enumerate() {
                    for (count, until) in times[first..].iter().enumerate() {
                        let most = (MOST + (until - from)) / ADD;
                        prop_assert!(u64::try_from(count).unwrap() < most);
                    }
                }
            }
        }

        #[test]
        fn a_key_below_its_rate_is_let_through_while_a_bucket_of_its_set_is_low(
            noise in prop::collection::vec((0..7_u64, 0..2_000_u64), 1..2_000),
            start in any::<u64>(),
        ) {
            let (table, mut now, mut last) = (Table::new(0), start >> 1, 0);
            for (key, pause) in noise {
                now += pause;
                // Seven others do what they like; the eighth bucket is the honest one's.
                table.take(hash(0, key + 1), now, 5_000, 50_000);
                if now - last >= 5_000 {
                    prop_assert!(table.take(hash(0, 99), now, 5_000, 10_000));
                    last = now;
                }
            }
        }
    }

    #[test]
    fn memory_is_what_it_was_made_with() {
        let table = Table::new(16);
        assert_eq!(table.octets(), 4 << 20);
        (0..100_000).for_each(|key| {
            table.take(hash(key, key), key, 1, 100);
        });
        assert_eq!(table.octets(), 4 << 20);
    }

    #[test]
    fn a_bucket_runs_empty_with_time_and_across_the_end_of_its_clock() {
        for start in [0, TIME - 5, u64::MAX - TIME] {
            let table = Table::new(0);
            assert!(table.take(hash(0, 1), start, 10, 10));
            assert!(!table.take(hash(0, 1), start + 9, 10, 10), "{start}");
            assert_eq!(table.level(hash(0, 1), start + 4), 6);
            assert!(table.take(hash(0, 1), start + 10, 10, 10), "{start}");
        }
    }

    #[test]
    fn what_is_added_without_a_limit_ends_at_one() {
        let table = Table::new(0);
        table.add(hash(0, 1), 0, u64::MAX);
        table.add(hash(0, 1), 0, u64::MAX);
        assert_eq!(table.level(hash(0, 1), 0), FULL);
    }

    #[test]
    fn threads_together_get_no_more_than_one_would() {
        let table = Table::new(4);
        let count = std::sync::atomic::AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        count.fetch_add(u64::from(table.take(7, 0, 1, 500)), Relaxed);
                    }
                });
            }
        });
        assert_eq!(count.into_inner(), 500);
    }
}
