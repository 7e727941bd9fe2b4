//! Finds what is put together for a name: a table that shares all that a change leaves alone, so
//! that a state is frozen by copying a few pointers, and in which a query touches little memory.
//!
//! ```text
//! hash of the name │ shard │ place in it, then the next ones │ octets compared
//! ```
//!
//! The hash is SipHash-1-3 under a key drawn at start: nobody can choose names that collide.

use super::Entry;
use siphasher::sip::SipHasher13;
use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
};

/// Entries by their names.
#[derive(Clone, Debug)]
pub(super) struct Names {
    hasher: SipHasher13,
    /// A power of two of them, once there is any.
    shards: Vec<Arc<[Slot]>>,
    len: usize,
}

/// A place for an entry: open addressing, where the next place is the next one.
#[derive(Clone, Debug, Default)]
struct Slot {
    /// The upper half of the hash: of names that differ, few are compared.
    tag: u32,
    entry: Option<Arc<Entry>>,
}

/// Entries of a shard on average, when there are as many as are right for the number of shards.
/// Small enough that copying one with a change costs less than putting an answer together.
const PER_SHARD: usize = 32;
/// So many places at least.
const LEAST: usize = 8;

impl Default for Names {
    fn default() -> Self {
        // The standard library's keys are the system's random numbers.
        let random = RandomState::new();
        let [one, other] = [0_u8, 1].map(|half| random.hash_one(half));
        Self { hasher: SipHasher13::new_with_keys(one, other), shards: Vec::new(), len: 0 }
    }
}

impl Names {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The entry of a name in wire form and lower case.
    pub(super) fn get(&self, lowered: &[u8]) -> Option<&Entry> {
        let hash = self.hash(lowered);
        let shard = self.shards.get(self.shard_of(hash))?;
        match shard.get(find(shard, hash, lowered)?)? {
            Slot { entry: Some(entry), .. } => Some(entry),
            Slot { entry: None, .. } => None,
        }
    }

    /// The hash of a name in wire form and lower case, for [`Self::lead`].
    pub(super) fn hash(&self, lowered: &[u8]) -> u64 {
        hash(self.hasher, lowered)
    }

    /// Reads what a look-up for that hash reads first.
    pub(super) fn touch(&self, hash: u64) -> u32 {
        let shard = self.shards.get(self.shard_of(hash));
        let first = shard.and_then(|shard| shard.get(middle(hash) & shard.len().wrapping_sub(1)));
        first.map_or(0, |slot| slot.tag)
    }

    /// The entry that a name's hash leads to, which is the name's if there is one; its own octets
    /// are not looked at.
    pub(super) fn lead(&self, hash: u64) -> Option<&Entry> {
        let shard = self.shards.get(self.shard_of(hash))?;
        let mask = shard.len().checked_sub(1)?;
        let mut at = middle(hash) & mask;
        while let Slot { tag: own, entry: Some(entry) } = &shard[at] {
            if *own == tag(hash) {
                return Some(entry);
            }
            at = (at + 1) & mask;
        }
        None
    }

    /// Puts an entry in its name's place.
    pub(super) fn insert(&mut self, entry: Entry) {
        self.resize();
        let hash = self.hash(&entry.name);
        let at = self.shard_of(hash);
        let Some(shard) = self.shards.get_mut(at) else { return };
        let Some(mut place) = find(shard, hash, &entry.name) else { return };
        let is_new = shard[place].entry.is_none();
        if is_new && is_full(shard) {
            *shard = shard_of(shard.iter().cloned(), shard.len() * 2, &self.hasher);
            let Some(found) = find(shard, hash, &entry.name) else { return };
            place = found;
        }
        Arc::make_mut(shard)[place] = Slot { tag: tag(hash), entry: Some(Arc::new(entry)) };
        self.len += usize::from(is_new);
    }

    /// Takes a name's entry away.
    pub(super) fn remove(&mut self, lowered: &[u8]) {
        let hash = self.hash(lowered);
        let at = self.shard_of(hash);
        let Some(shard) = self.shards.get_mut(at) else { return };
        let Some(place) = find(shard, hash, lowered) else { return };
        if shard[place].entry.is_none() {
            return;
        }
        // Those behind it may stand there for its sake, so all are placed anew.
        let others = shard.iter().enumerate().filter(|(at, _)| *at != place);
        let others: Vec<Slot> = others.map(|(_, slot)| slot.clone()).collect();
        let many = others.iter().filter(|slot| slot.entry.is_some()).count();
        *shard = shard_of(others.into_iter(), places(many), &self.hasher);
        self.len -= 1;
        self.resize();
    }

    /// All entries, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.shards.iter().flat_map(|shard| shard.iter()).filter_map(|slot| slot.entry.as_ref())
    }

    fn shard_of(&self, hash: u64) -> usize {
        low(hash) & self.shards.len().wrapping_sub(1)
    }

    /// Brings the number of shards to what is right for the entries that there are and one more.
    fn resize(&mut self) {
        let wanted = (self.len + 1).div_ceil(PER_SHARD).next_power_of_two();
        let now = self.shards.len();
        // Far below, so that a name that comes and goes does not move all others each time.
        if now >= wanted && now <= wanted.saturating_mul(8) {
            return;
        }
        let mut parts = vec![Vec::new(); wanted];
        for entry in self.iter() {
            let hash = self.hash(&entry.name);
            parts[low(hash) & (wanted - 1)]
                .push(Slot { tag: tag(hash), entry: Some(entry.clone()) });
        }
        let shard = |part: Vec<Slot>| {
            let places = places(part.len());
            shard_of(part.into_iter(), places, &self.hasher)
        };
        self.shards = parts.into_iter().map(shard).collect();
    }
}

fn hash(mut hasher: SipHasher13, lowered: &[u8]) -> u64 {
    hasher.write(lowered);
    hasher.finish()
}

/// The part of a hash that says which shard.
fn low(hash: u64) -> usize {
    usize::try_from(hash & 0x00ff_ffff).unwrap_or_default()
}

/// The part that says where in the shard.
fn middle(hash: u64) -> usize {
    usize::try_from(hash >> 24 & 0xff).unwrap_or_default()
}

fn tag(hash: u64) -> u32 {
    u32::try_from(hash >> 32).unwrap_or_default()
}

/// Where the name stands, or would: `None` alone for a shard without places.
fn find(shard: &[Slot], hash: u64, lowered: &[u8]) -> Option<usize> {
    let mask = shard.len().checked_sub(1)?;
    let tag = tag(hash);
    let mut at = middle(hash) & mask;
    // A quarter of the places is empty, so it ends.
    while let Slot { tag: own, entry: Some(entry) } = &shard[at] {
        if *own == tag && *entry.name == *lowered {
            break;
        }
        at = (at + 1) & mask;
    }
    Some(at)
}

/// Whether one more would leave too few places empty.
fn is_full(shard: &[Slot]) -> bool {
    let taken = shard.iter().filter(|slot| slot.entry.is_some()).count();
    (taken + 1) * 4 > shard.len() * 3
}

/// How many places are right for so many entries: a power of two, at most three quarters taken.
fn places(many: usize) -> usize {
    (many * 4 / 3 + 1).next_power_of_two().max(LEAST)
}

/// A shard of so many places, a power of two.
fn shard_of(slots: impl Iterator<Item = Slot>, places: usize, hasher: &SipHasher13) -> Arc<[Slot]> {
    let mut shard = vec![Slot::default(); places];
    for slot in slots {
        let Some(entry) = &slot.entry else { continue };
        let hash = hash(*hasher, &entry.name);
        if let Some(at) = find(&shard, hash, &entry.name) {
            shard[at] = slot;
        }
    }
    shard.into()
}

#[cfg(test)]
mod tests {
    use super::{super::entry_of, *};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// As a map says, whatever comes and goes; and what was frozen stays.
    fn follow(steps: &[(u16, bool)]) -> Result<(), TestCaseError> {
        let mut names = Names::default();
        let mut map = BTreeMap::new();
        let mut frozen = Vec::new();
        for (at, (number, add)) in steps.iter().enumerate() {
            let name = number.to_be_bytes();
            if *add {
                names.insert(entry_of(&name, at));
                map.insert(name, at);
            } else {
                names.remove(&name);
                map.remove(&name);
            }
            prop_assert_eq!(names.len(), map.len());
            if at % 50 == 0 {
                frozen.push((names.clone(), map.clone()));
            }
        }
        frozen.push((names, map));
        for (names, map) in frozen {
            prop_assert_eq!(names.iter().count(), map.len());
            for number in 0..400_u16 {
                let name = number.to_be_bytes();
                prop_assert_eq!(names.get(&name).map(|own| own.zone), map.get(&name).copied());
            }
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn it_holds_what_a_map_would_hold_and_what_was_frozen_stays(
            steps in proptest::collection::vec((0..400_u16, prop::bool::weighted(0.6)), 0..1_500),
        ) {
            follow(&steps)?;
        }
    }

    #[test]
    fn names_that_come_and_go_leave_no_room_behind() {
        let mut names = Names::default();
        let all = || (0..20_000_u32).map(u32::to_be_bytes);
        all().for_each(|name| names.insert(entry_of(&name, 0)));
        assert_eq!(names.len(), 20_000);
        let places = |names: &Names| names.shards.iter().map(|own| own.len()).sum::<usize>();
        assert!(places(&names) < 20_000 * 4, "{}", places(&names));
        all().for_each(|name| names.remove(&name));
        assert_eq!(names.len(), 0);
        assert!(places(&names) <= 16 * LEAST, "{}", places(&names));
    }
}
