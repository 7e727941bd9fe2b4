//! Signatures over names that are only known when they are asked for (RFC 9824): remembered, and
//! no more new ones than a budget that somebody with a clock refills.

use super::{
    key::Key,
    sign::{self, Validity},
};
use crate::{
    model::Name,
    records::{Online, Rrset},
};
use ring::rand::SystemRandom;
use std::{
    collections::HashMap,
    fmt, mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

/// Signs for one zone until its keys or times are others.
pub struct OnlineSigner {
    zone: Name,
    keys: Vec<Arc<Key>>,
    validity: Validity,
    random: SystemRandom,
    budget: AtomicI64,
    remembered: Mutex<Remembered>,
}

/// What was signed lately: when the newer half is full it becomes the older one, so that both
/// together hold what is asked most.
#[derive(Default)]
struct Remembered {
    newer: HashMap<Box<[u8]>, Rrset>,
    older: HashMap<Box<[u8]>, Rrset>,
}

/// Signatures in each half, some 4 MB for both.
const HALF: usize = 8_192;
/// New signatures in each second: about a tenth of a core.
pub const ONLINE_RATE: i64 = 3_000;

impl OnlineSigner {
    /// Signs with these keys, for that time.
    #[must_use]
    pub fn new(zone: Name, keys: Vec<Arc<Key>>, validity: Validity) -> Self {
        let (random, budget) = (SystemRandom::new(), AtomicI64::new(ONLINE_RATE));
        Self { zone, keys, validity, random, budget, remembered: Mutex::default() }
    }

    /// From when to when its signatures hold.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// The keys that it signs with.
    #[must_use]
    pub fn keys(&self) -> &[Arc<Key>] {
        &self.keys
    }

    /// A second has passed.
    pub fn refill(&self) {
        self.budget.store(ONLINE_RATE, Ordering::Relaxed);
    }

    fn recall(&self, id: &[u8]) -> Option<Rrset> {
        // Whoever panicked with the lock held left at worst an entry out.
        let known = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        known.newer.get(id).or_else(|| known.older.get(id)).cloned()
    }

    fn remember(&self, id: Box<[u8]>, rrsig: Rrset) {
        let mut known = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if known.newer.len() >= HALF {
            known.older = mem::take(&mut known.newer);
        }
        known.newer.insert(id, rrsig);
    }
}

impl Online for OnlineSigner {
    fn sign(&self, owner: &Name, rrset: &Rrset) -> Option<Rrset> {
        let id = id(owner, rrset);
        if let Some(known) = self.recall(&id) {
            return Some(known);
        }
        if self.budget.fetch_sub(1, Ordering::Relaxed) <= 0 {
            return None;
        }
        let keys = self.keys.iter().map(|key| &**key);
        let rrsig = sign::rrsig(&self.zone, owner, rrset, keys, self.validity, &self.random)?;
        self.remember(id, rrsig.clone());
        Some(rrsig)
    }
}

impl fmt::Debug for OnlineSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OnlineSigner({})", self.zone)
    }
}

/// All that a signature is over, but for times and keys.
fn id(owner: &Name, rrset: &Rrset) -> Box<[u8]> {
    let mut id = owner.as_wire().to_ascii_lowercase();
    id.extend_from_slice(&rrset.rtype.0.to_be_bytes());
    id.extend_from_slice(&rrset.ttl.as_secs().to_be_bytes());
    rrset.rdata().for_each(|own| {
        id.extend_from_slice(&u16::try_from(own.len()).unwrap_or(u16::MAX).to_be_bytes());
        id.extend_from_slice(own);
    });
    id.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dnssec::key::Algorithm,
        model::Ttl,
        records::{RecordType, compact_nsec},
    };

    #[test]
    fn new_names_are_signed_within_the_budget_and_known_ones_always() {
        let key = Key::generate(Algorithm::Ed25519, 257, &SystemRandom::new()).unwrap();
        let zone: Name = "z.test".parse().unwrap();
        let validity = Validity { inception: 0, expiration: 1_000 };
        let signer = OnlineSigner::new(zone, vec![Arc::new(key)], validity);
        let ask = |at: i64| {
            let owner: Name = format!("n{at}.z.test").parse().unwrap();
            let nsec = compact_nsec(&owner, &[], Ttl::SERVED).unwrap();
            signer.sign(&owner, &nsec)
        };
        for at in 0..ONLINE_RATE {
            assert_eq!(ask(at).map(|own| own.rtype), Some(RecordType::RRSIG));
        }
        assert_eq!(ask(ONLINE_RATE), None, "the budget is used up");
        assert_eq!(ask(0), ask(0));
        assert!(ask(0).is_some(), "what was signed is remembered");
        signer.refill();
        assert!(ask(ONLINE_RATE).is_some());
    }
}
