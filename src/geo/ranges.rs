//! One family of a database: ranges of addresses in order, each with what is known of it.

use super::RecordId;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{Ipv4Addr, Ipv6Addr};

/// An address as a number.
pub(super) trait Bits: Copy + Ord {
    /// The last address of the family.
    const LAST: Self;
    /// The next address; `None` behind the last.
    fn next(self) -> Option<Self>;
    /// The one before; the first stays.
    fn before(self) -> Self;
    /// The largest block that holds this address and lies within the range, and its last address.
    fn block(self, first: Self, last: Self) -> (IpNet, Self);
}

macro_rules! bits {
    ($number:ty, $net:ident, $address:ident) => {
        impl Bits for $number {
            const LAST: Self = Self::MAX;

            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }

            fn before(self) -> Self {
                self.saturating_sub(1)
            }

            fn block(self, first: Self, last: Self) -> (IpNet, Self) {
                let whole = u8::try_from(Self::BITS).unwrap_or(u8::MAX);
                let of = |length: u8| {
                    // All bits behind the length; a shift by the whole width would overflow.
                    let hosts = Self::MAX.checked_shr(u32::from(length)).unwrap_or(0);
                    (self & !hosts, self | hosts)
                };
                let within = |length: &u8| {
                    let (from, to) = of(*length);
                    from >= first && to <= last
                };
                let length = (0..whole).find(within).unwrap_or(whole);
                let (from, to) = of(length);
                ($net::new_assert($address::from_bits(from), length).into(), to)
            }
        }
    };
}

bits!(u32, Ipv4Net, Ipv4Addr);
bits!(u128, Ipv6Net, Ipv6Addr);

/// Ranges that begin at each number and end before the next; what lies before the first is
/// unknown.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges<B> {
    starts: Vec<B>,
    records: Vec<Option<RecordId>>,
}

impl<B: Bits> Ranges<B> {
    /// Adds a range; all of them in order. Neighbours of one record become one range.
    pub(super) fn push(&mut self, first: B, last: B, record: Option<RecordId>) {
        // A range begins where the one before it was said to end, or nothing is known between.
        if self.starts.last().is_some_and(|start| *start == first) {
            self.starts.pop();
            self.records.pop();
        }
        self.begin(first, record);
        if let Some(next) = last.next() {
            self.begin(next, None);
        }
    }

    fn begin(&mut self, first: B, record: Option<RecordId>) {
        if self.records.last().copied().unwrap_or_default() != record {
            self.starts.push(first);
            self.records.push(record);
        }
    }

    /// The block around an address that has a record, and the record.
    pub(super) fn find(&self, address: B) -> Option<(IpNet, RecordId)> {
        let at = self.starts.partition_point(|start| *start <= address).checked_sub(1)?;
        let record = self.records[at]?;
        Some((address.block(self.starts[at], self.end(at)).0, record))
    }

    fn end(&self, at: usize) -> B {
        self.starts.get(at + 1).map_or(B::LAST, |next| next.before())
    }

    /// All blocks with a record, in order and disjoint.
    pub(super) fn blocks(&self) -> impl Iterator<Item = (IpNet, RecordId)> + '_ {
        let known = (0..self.starts.len()).filter_map(|at| Some((at, self.records[at]?)));
        known.flat_map(move |(at, record)| {
            let (first, last) = (self.starts[at], self.end(at));
            Blocks { from: Some(first), last }.map(move |net| (net, record))
        })
    }

    /// All ranges with a record, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (B, B, RecordId)> + '_ {
        (0..self.starts.len())
            .filter_map(|at| Some((self.starts[at], self.end(at), self.records[at]?)))
    }

    /// How many ranges have a record.
    pub(super) fn len(&self) -> usize {
        self.records.iter().flatten().count()
    }
}

/// A range as the fewest blocks.
struct Blocks<B> {
    from: Option<B>,
    last: B,
}

impl<B: Bits> Iterator for Blocks<B> {
    type Item = IpNet;

    fn next(&mut self) -> Option<IpNet> {
        let from = self.from?;
        let (net, end) = from.block(from, self.last);
        self.from = if end < self.last { end.next() } else { None };
        Some(net)
    }
}
