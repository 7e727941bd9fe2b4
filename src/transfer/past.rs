//! A zone's past on disk, so that secondaries get differences after a restart too (RFC 1995 §5): the
//! ways to the version that was in force, and that version whole, since only what it was tells how
//! it differs from what is made anew.
//!
//! ```text
//! MAGIC │ frame … frame        frame: kind, length, payload, the first octets of their SHA-256
//! ```
//! Frames are appended as versions come: a way before the whole version led to it, one behind it
//! leads on. What is torn or damaged ends the reading; without a whole version there is no past.

use super::{
    History, Record,
    journal::{Delta, Row, record, row},
};
use crate::{
    model::{Name, Serial, Ttl},
    records::{RecordType, Zone, in_full},
};
use ring::digest;
use std::{collections::BTreeSet, sync::Arc};

const MAGIC: &[u8] = b"meridian-journal-1\n";
const WAY: u8 = 1;
const WHOLE: u8 = 2;
/// Kind and length.
const HEAD: usize = 5;
const DIGEST: usize = 16;

/// A zone as it was last known to secondaries, and how it came there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Past {
    soa: Record,
    /// Without the SOA.
    rows: BTreeSet<Row>,
    ways: Vec<Arc<Delta>>,
}

impl Past {
    /// A zone of more octets than this is not kept, nor read.
    pub const MOST: usize = 64 << 20;

    /// All of a zone's past, as a file of its own; `None` where it is too large.
    #[must_use]
    pub fn write(history: &History) -> Option<Vec<u8>> {
        let mut out = MAGIC.to_vec();
        for way in history.ways() {
            append(WAY, &way_payload(way), &mut out);
        }
        let mut payload = Vec::new();
        put(&Record::soa(history.zone())?, &mut payload);
        for own in records(history.zone()) {
            put(&own, &mut payload);
            if payload.len() > Self::MOST {
                return None;
            }
        }
        append(WHOLE, &payload, &mut out);
        Some(out)
    }

    /// How many octets a zone's records take in it, which are at most [`Past::MOST`].
    #[must_use]
    pub fn size(zone: &Zone) -> usize {
        Record::soa(zone).into_iter().chain(records(zone)).map(|own| size(&own)).sum()
    }

    /// The same of the version that a way leads to, from that of the version where it begins.
    #[must_use]
    pub fn size_after(from: usize, way: &Delta) -> usize {
        let sum = |all: &[Record]| all.iter().map(size).sum::<usize>();
        let grown = from + size(&way.to) + sum(&way.added);
        grown.saturating_sub(size(&way.from) + sum(&way.removed))
    }

    /// What is appended to such a file for a further version.
    #[must_use]
    pub fn write_way(way: &Delta) -> Vec<u8> {
        let mut out = Vec::new();
        append(WAY, &way_payload(way), &mut out);
        out
    }

    /// What such a file holds of that zone, as far as it is whole.
    #[must_use]
    pub fn read(apex: &Name, octets: &[u8]) -> Option<Self> {
        let mut rest = octets.strip_prefix(MAGIC)?;
        let (mut before, mut past) = (Vec::new(), None::<Self>);
        while let Some((kind, payload, behind)) = frame(rest) {
            rest = behind;
            match (kind, &mut past) {
                (WAY, None) => before.push(Arc::new(read_way(payload)?)),
                (WAY, Some(own)) => own.go(read_way(payload)?)?,
                (WHOLE, None) => past = Some(read_whole(payload, std::mem::take(&mut before))?),
                _ => return None,
            }
        }
        past.filter(|own| own.soa.owner == *apex)
    }

    /// The version that it knows whole.
    #[must_use]
    pub fn serial(&self) -> Option<Serial> {
        serial(&self.soa)
    }

    /// The ways to that version, and on to this zone; `None` where it is no later version.
    pub(super) fn ways_to(self, zone: &Zone) -> Option<Vec<Arc<Delta>>> {
        let (from, to) = (self.serial()?, Record::soa(zone)?);
        let now: BTreeSet<Row> = records(zone).map(|own| row(&own)).collect();
        let mut ways = self.ways;
        if from == zone.serial() {
            return (now == self.rows).then_some(ways);
        }
        let only = |one: &BTreeSet<Row>, other: &BTreeSet<Row>| {
            one.difference(other).cloned().map(record).collect()
        };
        let (removed, added) = (only(&self.rows, &now), only(&now, &self.rows));
        ways.push(Arc::new(Delta { from: self.soa, to, removed, added }));
        zone.serial().is_after(from).then_some(ways)
    }

    /// One version on; `None` where the way begins elsewhere.
    fn go(&mut self, way: Delta) -> Option<()> {
        if serial(&way.from) != self.serial() {
            return None;
        }
        for gone in &way.removed {
            self.rows.remove(&row(gone));
        }
        self.rows.extend(way.added.iter().map(row));
        self.soa = way.to.clone();
        self.ways.push(Arc::new(way));
        Some(())
    }
}

fn serial(soa: &Record) -> Option<Serial> {
    soa.soa_numbers().map(|numbers| Serial(numbers[0]))
}

/// All records of a zone as secondaries have it, without the SOA.
fn records(zone: &Zone) -> impl Iterator<Item = Record> + '_ {
    let sets = in_full(zone).filter(|(_, own)| own.rtype != RecordType::SOA);
    sets.flat_map(|(key, own)| Record::of(&key.to_name(), own).collect::<Vec<_>>())
}

// === Frames ===

fn append(kind: u8, payload: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.push(kind);
    out.extend_from_slice(&length(payload.len()));
    out.extend_from_slice(payload);
    let own = digest(&out[start..]);
    out.extend_from_slice(&own);
}

fn digest(octets: &[u8]) -> Vec<u8> {
    let whole = digest::digest(&digest::SHA256, octets);
    whole.as_ref().iter().take(DIGEST).copied().collect()
}

/// Kind, payload, and what is behind the frame that octets begin with.
fn frame(octets: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (head, rest) = octets.split_first_chunk::<HEAD>()?;
    let [kind, length @ ..] = *head;
    let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
    let (payload, rest) = rest.split_at_checked(length)?;
    let (own, behind) = rest.split_at_checked(DIGEST)?;
    (digest(&octets[..HEAD + length]) == own).then_some((kind, payload, behind))
}

fn length(octets: usize) -> [u8; 4] {
    u32::try_from(octets).unwrap_or(u32::MAX).to_be_bytes()
}

fn way_payload(way: &Delta) -> Vec<u8> {
    let mut out = Vec::new();
    put(&way.from, &mut out);
    put(&way.to, &mut out);
    out.extend_from_slice(&length(way.removed.len()));
    way.removed.iter().chain(&way.added).for_each(|own| put(own, &mut out));
    out
}

fn read_way(mut payload: &[u8]) -> Option<Delta> {
    let (from, to) = (take(&mut payload)?, take(&mut payload)?);
    let (count, rest) = payload.split_first_chunk::<4>()?;
    payload = rest;
    let mut all = take_all(payload)?;
    let count = usize::try_from(u32::from_be_bytes(*count)).ok().filter(|own| *own <= all.len())?;
    let added = all.split_off(count);
    serial(&from).and(serial(&to))?;
    Some(Delta { from, to, removed: all, added })
}

/// Ways that do not lead there are of no use.
fn read_whole(mut payload: &[u8], ways: Vec<Arc<Delta>>) -> Option<Past> {
    let soa = take(&mut payload)?;
    let own = serial(&soa)?;
    let rows = take_all(payload)?.iter().map(row).collect();
    let chained = ways.windows(2).all(|two| serial(&two[0].to) == serial(&two[1].from));
    let leads = ways.last().is_none_or(|last| serial(&last.to) == Some(own));
    Some(Past { soa, rows, ways: if chained && leads { ways } else { Vec::new() } })
}

// === Records ===

/// Owner, type, TTL, length, data.
fn put(record: &Record, out: &mut Vec<u8>) {
    out.extend_from_slice(record.owner.as_wire());
    out.extend_from_slice(&record.rtype.0.to_be_bytes());
    out.extend_from_slice(&record.ttl.as_secs().to_be_bytes());
    out.extend_from_slice(&u16::try_from(record.data.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(&record.data);
}

/// How many octets [`put`] writes.
fn size(record: &Record) -> usize {
    record.owner.as_wire().len() + 8 + record.data.len()
}

fn take(rest: &mut &[u8]) -> Option<Record> {
    let mut end = 0;
    while let Some(length) = rest.get(end).copied().filter(|length| *length > 0) {
        end += 1 + usize::from(length);
    }
    let (owner, behind) = rest.split_at_checked(end + 1)?;
    let (head, behind) = behind.split_first_chunk::<8>()?;
    let [t0, t1, a, b, c, d, l0, l1] = *head;
    let (data, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
    *rest = behind;
    Some(Record {
        owner: Name::from_wire(owner).ok()?,
        rtype: RecordType(u16::from_be_bytes([t0, t1])),
        ttl: Ttl::from_secs(u32::from_be_bytes([a, b, c, d])),
        data: data.to_vec(),
    })
}

fn take_all(mut rest: &[u8]) -> Option<Vec<Record>> {
    let mut all = Vec::new();
    while !rest.is_empty() {
        all.push(take(&mut rest)?);
    }
    Some(all)
}
