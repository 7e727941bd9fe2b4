//! Limits answers to strangers' addresses, since over UDP anyone can write anyone's address on a
//! query: response-rate limiting, with Knot's networks of several sizes and BIND's classes.
//!
//! ```text
//! counted for each     at most, of R per second    apart for each
//! IPv4 /32             R                           -
//! IPv4 /24             4 R                         class, and zone of a denial
//! IPv6 /128            R                           -
//! IPv6 /64             2 R                         class, and zone of a denial
//! IPv6 /56             3 R                         class, and zone of a denial
//! IPv6 /48             4 R                         class, and zone of a denial
//! ```
//! Each lets 2.5 seconds' worth through at once. Answers that are not counted by name need nothing
//! more for wildcards and floods of random names: they all count as one.

use super::meter::Table;
use crate::model::Name;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use siphasher::sip::SipHasher13;
use std::net::IpAddr;

/// What the limiter is to do.
#[derive(Clone, Debug)]
pub struct Rates {
    /// Answers per second to one address, 1 to [`Rates::MOST`].
    pub rate: u32,
    /// Of answers above the rate, one in so many is sent empty with TC, so that a client whose
    /// address is being abused can come over TCP; 0 for none, at most [`Rates::MOST_SLIP`].
    pub slip: u8,
    /// Networks that may ask as they like.
    pub exempt: Vec<IpNet>,
    /// Only count what would be held back.
    pub dry_run: bool,
}

impl Rates {
    /// More would be no limit.
    pub const MOST: u32 = 100_000;
    /// As in BIND.
    pub const MOST_SLIP: u8 = 10;
}

impl Default for Rates {
    fn default() -> Self {
        Self { rate: 50, slip: 2, exempt: Vec::new(), dry_run: false }
    }
}

/// What kind of answer it is: a flood is of one kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind<'z> {
    /// Records, also those of a wildcard.
    Positive,
    /// The name has no such records, in the zone of that name.
    NoData(&'z [u8]),
    /// There is no such name, in the zone of that name.
    NxDomain(&'z [u8]),
    /// Ask those.
    Referral,
    /// REFUSED, SERVFAIL, FORMERR and all others.
    Error,
}

impl<'z> Kind<'z> {
    /// A number of the class, and the zone where it counts.
    fn parts(self) -> (u8, &'z [u8]) {
        match self {
            Self::Positive => (1, &[]),
            Self::NoData(zone) => (2, zone),
            Self::NxDomain(zone) => (3, zone),
            Self::Referral => (4, &[]),
            Self::Error => (5, &[]),
        }
    }
}

/// What is to become of an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It is sent.
    Pass,
    /// It is sent empty, with TC.
    Slip,
    /// It is not sent.
    Drop,
}

/// Counts answers by whom they go to; shared by all sockets.
#[derive(Debug)]
pub struct Limiter {
    table: Table,
    hash: SipHasher13,
    rates: Rates,
    exempt: Networks,
}

/// 2^16 sets of eight: 524,288 buckets in 4 MiB, as Knot has by default. Clients below
/// the rate stay unlimited while fewer than some ten million queries with random addresses come per
/// second: that many fill all buckets faster than time empties them.
const TABLE_BITS: u32 = 16;
/// For how long a client may save up, in microseconds.
const BURST: u64 = 2_500_000;
const SECOND: u64 = 1_000_000;

impl Limiter {
    /// At those rates; nobody may guess the key, or they could fill other clients' buckets.
    #[must_use]
    pub fn new(rates: Rates, key: [u8; 16]) -> Self {
        Self::sized(rates, key, TABLE_BITS)
    }

    fn sized(rates: Rates, key: [u8; 16], bits: u32) -> Self {
        let rate = rates.rate.clamp(1, Rates::MOST);
        Self {
            table: Table::new(bits),
            hash: SipHasher13::new_with_key(&key),
            exempt: Networks::new(&rates.exempt),
            rates: Rates { rate, ..rates },
        }
    }

    /// How much memory the buckets take, for ever.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.table.octets()
    }

    /// Whether it holds nothing back.
    pub(super) fn is_dry(&self) -> bool {
        self.rates.dry_run
    }

    /// Counts an answer to `to`; `draw` is any number, of which `slip` hangs.
    pub(super) fn judge(&self, to: IpAddr, kind: Kind<'_>, millis: u64, draw: u64) -> Verdict {
        let now = millis.wrapping_mul(1_000);
        if self.exempt.holds(to) || self.admits(to, kind, now) {
            return Verdict::Pass;
        }
        match u64::from(self.rates.slip) {
            0 => Verdict::Drop,
            slip if draw.is_multiple_of(slip) => Verdict::Slip,
            _ => Verdict::Drop,
        }
    }

    /// All buckets are looked at before any is filled: what is refused counts against nobody, and
    /// the memory that they stand in is fetched at once.
    fn admits(&self, to: IpAddr, kind: Kind<'_>, now: u64) -> bool {
        let mut buckets = [(0, 0); V6.len()];
        let buckets = self.buckets(to, kind, &mut buckets);
        let room = buckets.iter().map(|(hash, add)| self.table.level(*hash, now) + add <= BURST);
        // Not `all`, which would wait for one bucket before it looks at the next.
        room.fold(true, |all, one| all & one)
            && buckets.iter().all(|(hash, add)| self.table.take(*hash, now, *add, BURST))
    }

    /// The hash of each network that the answer counts in, and what it adds there.
    fn buckets<'b>(
        &self,
        to: IpAddr,
        kind: Kind<'_>,
        buckets: &'b mut [(u64, u64); V6.len()],
    ) -> &'b [(u64, u64)] {
        let (class, zone) = kind.parts();
        let zone = if zone.is_empty() { 0 } else { self.zone(zone) };
        let mut count = 0;
        for (bucket, network) in buckets.iter_mut().zip(networks(to)) {
            let (class, zone) = if network.whole { (0, 0) } else { (class, zone) };
            let rate = u64::from(self.rates.rate) * network.times;
            *bucket = (self.hash.hash(&network.key(class, zone)), SECOND / rate);
            count += 1;
        }
        &buckets[..count]
    }

    /// A zone's number, however its name is written.
    fn zone(&self, wire: &[u8]) -> u64 {
        let mut lowered = [0; Name::MAX_OCTETS];
        let Some(lowered) = lowered.get_mut(..wire.len()) else { return 0 };
        lowered.copy_from_slice(wire);
        lowered.make_ascii_lowercase();
        self.hash.hash(lowered)
    }
}

// === Networks ===

/// A network that an address is counted in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    bits: u128,
    length: u8,
    /// How many times the rate of one address it may have.
    pub(super) times: u64,
    /// All classes count together: it is one address.
    whole: bool,
}

/// Length, times.
const V4: [(u8, u64); 2] = [(32, 1), (24, 4)];
const V6: [(u8, u64); 4] = [(128, 1), (64, 2), (56, 3), (48, 4)];

impl Counted {
    fn new(bits: u128, of: u8, (length, times): (u8, u64)) -> Self {
        let rest = u32::from(of - length);
        let whole = length == of;
        // An IPv4 network and an IPv6 one are told apart by their lengths.
        let length = if of == 32 { length | 0x80 } else { length };
        Self { bits: bits >> rest << rest, length, times, whole }
    }

    /// What is hashed.
    pub(super) fn key(&self, class: u8, zone: u64) -> [u8; 26] {
        let mut key = [0; 26];
        key[..16].copy_from_slice(&self.bits.to_be_bytes());
        key[16] = self.length;
        key[17] = class;
        key[18..].copy_from_slice(&zone.to_be_bytes());
        key
    }
}

/// The networks that an address is counted in, the narrowest first.
pub(super) fn networks(address: IpAddr) -> impl Iterator<Item = Counted> {
    let (bits, of, lengths) = match address.to_canonical() {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32, &V4[..]),
        IpAddr::V6(v6) => (v6.to_bits(), 128, &V6[..]),
    };
    lengths.iter().map(move |own| Counted::new(bits, of, *own))
}

/// Some networks, in order and none within another.
#[derive(Debug)]
pub(super) struct Networks {
    v4: Vec<Ipv4Net>,
    v6: Vec<Ipv6Net>,
}

impl Networks {
    pub(super) fn new(networks: &[IpNet]) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network {
                IpNet::V4(own) => v4.push(own.trunc()),
                IpNet::V6(own) => v6.push(own.trunc()),
            }
        }
        let (mut v4, mut v6) = (Ipv4Net::aggregate(&v4), Ipv6Net::aggregate(&v6));
        v4.sort_unstable();
        v6.sort_unstable();
        Self { v4, v6 }
    }

    pub(super) fn holds(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(own) => {
                let at = self.v4.partition_point(|network| network.network() <= own);
                at > 0 && self.v4[at - 1].contains(&own)
            }
            IpAddr::V6(own) => {
                let at = self.v6.partition_point(|network| network.network() <= own);
                at > 0 && self.v6[at - 1].contains(&own)
            }
        }
    }
}

#[cfg(test)]
mod tests;
