//! What changed between a zone's versions, kept for as long as it is worth keeping (RFC 1995 §5).

use super::{Past, Record};
use crate::{
    model::{Key, Serial, Ttl},
    records::{RecordType, Zone, changed_in_full, node_in_full},
};
use imbl::Vector;
use std::{collections::BTreeSet, sync::Arc};

/// The way from one version of a zone to a later one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delta {
    /// The older version's SOA.
    pub from: Record,
    /// The newer version's SOA.
    pub to: Record,
    /// What the newer version has no more, without the SOA.
    pub removed: Vec<Record>,
    /// What it has instead, without the SOA.
    pub added: Vec<Record>,
}

impl Delta {
    /// What makes `newer` of `older`, signatures and NSEC records included; `None` where one has no
    /// SOA. Costs what changed, as long as the two share what did not.
    #[must_use]
    pub fn between(older: &Zone, newer: &Zone) -> Option<Self> {
        let (from, to) = (Record::soa(older)?, Record::soa(newer)?);
        let mut delta = Self { from, to, removed: Vec::new(), added: Vec::new() };
        for key in changed_in_full(newer, older) {
            delta.name(key, &rows(older, key), &rows(newer, key));
        }
        Some(delta)
    }

    /// Records, not sets: of the signatures of one name, each has a TTL of its own, that of what it
    /// covers (RFC 4034 §3). In other sets another TTL changes every record (RFC 2181 §5.2).
    fn name(&mut self, key: &Key, before: &[Part<'_>], after: &[Part<'_>]) {
        let owner = key.to_name();
        let only = |own: &[Part<'_>], others: &[Part<'_>]| {
            let others: BTreeSet<&Part<'_>> = others.iter().collect();
            let gone = own.iter().filter(|part| !others.contains(part));
            gone.map(|(rtype, ttl, data)| Record {
                owner: owner.clone(),
                rtype: *rtype,
                ttl: *ttl,
                data: data.to_vec(),
            })
            .collect::<Vec<_>>()
        };
        self.removed.extend(only(before, after));
        self.added.extend(only(after, before));
    }

    /// Of several versions the way from the first to the last: what came and went again on the way
    /// is left out (RFC 1995 §5). `None` for none.
    pub fn condensed<'d>(deltas: impl IntoIterator<Item = &'d Self>) -> Option<Self> {
        let mut deltas = deltas.into_iter();
        let mut whole = deltas.next()?.clone();
        let Some(second) = deltas.next() else { return Some(whole) };
        let mut removed: BTreeSet<Row> = whole.removed.iter().map(row).collect();
        let mut added: BTreeSet<Row> = whole.added.iter().map(row).collect();
        for delta in std::iter::once(second).chain(deltas) {
            for gone in delta.removed.iter().map(row) {
                if !added.remove(&gone) {
                    removed.insert(gone);
                }
            }
            for new in delta.added.iter().map(row) {
                if !removed.remove(&new) {
                    added.insert(new);
                }
            }
            whole.to = delta.to.clone();
        }
        whole.removed = removed.into_iter().map(record).collect();
        whole.added = added.into_iter().map(record).collect();
        Some(whole)
    }

    /// How many records it names, both SOAs counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.removed.len() + self.added.len() + 2
    }

    /// Whether nothing but the SOA changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }

    fn octets(&self) -> usize {
        let own = |record: &Record| record.owner.as_wire().len() + record.data.len() + 64;
        self.removed.iter().chain(&self.added).map(own).sum::<usize>() + 256
    }

    fn begins(&self) -> Option<Serial> {
        self.from.soa_numbers().map(|numbers| Serial(numbers[0]))
    }
}

/// A record of a name that is known.
type Part<'z> = (RecordType, Ttl, &'z [u8]);

/// All records of a name but the SOA.
fn rows<'z>(zone: &'z Zone, key: &'z Key) -> Vec<Part<'z>> {
    let node = zone.node(key.as_bytes());
    let sets = node.into_iter().flat_map(|node| node_in_full(zone, key, node));
    sets.filter(|own| own.rtype != RecordType::SOA)
        .flat_map(|own| own.rdata().map(|data| (own.rtype, own.ttl, data)))
        .collect()
}

pub(super) type Row = (Key, RecordType, Ttl, Vec<u8>);

pub(super) fn row(record: &Record) -> Row {
    (record.owner.key(), record.rtype, record.ttl, record.data.clone())
}

pub(super) fn record((key, rtype, ttl, data): Row) -> Record {
    Record { owner: key.to_name(), rtype, ttl, data }
}

/// How much of a zone's past is kept.
#[derive(Clone, Copy, Debug)]
pub struct Journal {
    /// Versions at most.
    pub versions: usize,
    /// Octets at most, about.
    pub octets: usize,
}

impl Default for Journal {
    /// An hour of a change every few seconds, or a large change once.
    fn default() -> Self {
        Self { versions: 1_000, octets: 4 << 20 }
    }
}

/// A zone and the way there; cloning shares all of it.
#[derive(Clone, Debug)]
pub struct History {
    zone: Arc<Zone>,
    /// Oldest first; each begins where the one before it ends.
    deltas: Vector<(Arc<Delta>, usize)>,
    octets: usize,
    line: Line,
}

/// Versions that grew out of one beginning are of one line. A serial is no proof of that: where a
/// past was forgotten, the same serial may stand for something else.
#[derive(Clone, Debug)]
pub struct Line(Arc<()>);

impl PartialEq for Line {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Line {}

impl History {
    /// A zone without a past.
    #[must_use]
    pub fn new(zone: Arc<Zone>) -> Self {
        Self { zone, deltas: Vector::new(), octets: 0, line: Line(Arc::new(())) }
    }

    /// The version in force.
    #[must_use]
    pub fn zone(&self) -> &Arc<Zone> {
        &self.zone
    }

    /// What all versions share that grew out of the one that this began with.
    #[must_use]
    pub fn line(&self) -> &Line {
        &self.line
    }

    /// How many older versions it can lead on from.
    #[must_use]
    pub fn versions(&self) -> usize {
        self.deltas.len()
    }

    /// How many octets its past takes, about.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.octets
    }

    /// With a newer version in force. Where its serial is not after the one before (RFC 1982), the
    /// past leads nowhere and is forgotten: secondaries take such a zone whole.
    #[must_use]
    pub fn with(&self, zone: Arc<Zone>, journal: Journal) -> Self {
        // The same version, of which something else is known.
        let same = zone.serial() == self.zone.serial();
        if same && changed_in_full(&zone, &self.zone).is_empty() {
            return Self { zone, ..self.clone() };
        }
        if !zone.serial().is_after(self.zone.serial()) {
            return Self::new(zone);
        }
        let Some(delta) = Delta::between(&self.zone, &zone) else { return Self::new(zone) };
        let mut next = Self { zone, ..self.clone() };
        next.push(Arc::new(delta), journal);
        next
    }

    /// A zone with what a process before this one knew of its past, if that leads to it.
    #[must_use]
    pub fn resumed(past: Past, zone: Arc<Zone>, journal: Journal) -> Self {
        let ways = past.ways_to(&zone).unwrap_or_default();
        let mut own = Self::new(zone);
        ways.into_iter().for_each(|way| own.push(way, journal));
        own
    }

    fn push(&mut self, delta: Arc<Delta>, journal: Journal) {
        let octets = delta.octets();
        self.deltas.push_back((delta, octets));
        self.octets += octets;
        while self.deltas.len() > journal.versions || self.octets > journal.octets {
            let Some((_, octets)) = self.deltas.pop_front() else { break };
            self.octets -= octets;
        }
    }

    /// The ways to it that are known, oldest first.
    pub(super) fn ways(&self) -> impl Iterator<Item = &Arc<Delta>> {
        self.deltas.iter().map(|(delta, _)| delta)
    }

    /// The ways on from that version, in order; `None` where it is not known (any more).
    #[must_use]
    pub fn since(&self, serial: Serial) -> Option<Vec<Arc<Delta>>> {
        let known = |(delta, _): &(Arc<Delta>, usize)| delta.begins() == Some(serial);
        // A serial comes round again after 2³² versions: the youngest is the one that is meant.
        let back = self.deltas.iter().rev().position(known)?;
        let first = self.deltas.len() - 1 - back;
        Some(self.deltas.iter().skip(first).map(|(delta, _)| delta.clone()).collect())
    }
}
