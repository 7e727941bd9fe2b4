//! What is sent to a secondary, message by message: a whole zone (RFC 5936) or what changed
//! (RFC 1995). Made from frozen values while it is sent, so memory is bounded by a message.

use super::{Delta, Head, History, Packer, Record};
use crate::{
    model::{Key, Serial},
    records::{RecordType, Zone, node_in_full},
};
use std::{collections::VecDeque, sync::Arc};

/// What a secondary asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wanted {
    /// The whole zone.
    Whole,
    /// What changed since that version.
    Since(Serial),
}

/// A transfer under way.
#[derive(Debug)]
pub struct Outgoing {
    head: Head,
    rows: Rows,
    /// What did not fit into the message before.
    waiting: Option<Record>,
    kind: &'static str,
}

#[derive(Debug)]
enum Rows {
    List(VecDeque<Record>),
    Zone(Cursor),
}

/// How many names are taken out of the zone at a time.
const CHUNK: usize = 64;

#[derive(Debug)]
struct Cursor {
    zone: Arc<Zone>,
    soa: Record,
    after: Option<Key>,
    rows: VecDeque<Record>,
    ended: bool,
}

impl Outgoing {
    /// What answers that wish; `None` when the zone has no SOA.
    ///
    /// The same or a newer serial gets the SOA alone (RFC 1995 §2). A version that is not known, or
    /// whose way here is longer than the zone, gets the zone whole (§4). All others get one
    /// sequence that leads here at once (§5): the old SOA, what goes, the new SOA, what comes.
    #[must_use]
    pub fn new(history: &History, wanted: Wanted, head: Head) -> Option<Self> {
        let zone = history.zone();
        let soa = Record::soa(zone)?;
        let (rows, kind) = match wanted {
            Wanted::Since(serial) if !zone.serial().is_after(serial) => {
                (Rows::List([soa].into()), "soa")
            }
            Wanted::Since(serial) => match changes(history, serial) {
                Some(delta) => (Rows::List(sequence(soa, delta)), "ixfr"),
                None => (Rows::Zone(Cursor::new(zone.clone(), soa)), "axfr"),
            },
            Wanted::Whole => (Rows::Zone(Cursor::new(zone.clone(), soa)), "axfr"),
        };
        Some(Self { head, rows, waiting: None, kind })
    }

    /// `axfr`, `ixfr`, or `soa` where the secondary is in step.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The one datagram that answers an IXFR: whole if it fits, else the SOA alone, which has the
    /// secondary ask again over TCP (RFC 1995 §2).
    #[must_use]
    pub fn datagram(mut self, history: &History, limit: usize) -> Option<Vec<u8>> {
        let head = self.head.clone();
        if let Rows::List(_) = self.rows {
            let whole = self.next(limit)?;
            if self.is_done() {
                return Some(whole);
            }
        }
        let mut packer = Packer::begin(&head, limit);
        packer.push(&Record::soa(history.zone())?).then(|| packer.finish())
    }

    /// The next message, of at most `limit` octets; `None` after the last.
    ///
    /// A record that fits into no message cannot be in a zone: 65,535 octets are a message's and a
    /// record's limit alike. Such a transfer ends early, which no secondary takes as complete.
    pub fn next(&mut self, limit: usize) -> Option<Vec<u8>> {
        let mut packer = Packer::begin(&self.head, limit);
        while let Some(record) = self.waiting.take().or_else(|| self.rows.next()) {
            if !packer.push(&record) {
                self.waiting = (!packer.is_empty()).then_some(record);
                break;
            }
        }
        if packer.is_empty() {
            return None;
        }
        // The question stands in the first message; RFC 5936 §2.2.1 leaves it out of the others.
        self.head.question.clear();
        Some(packer.finish())
    }

    /// Whether the last message has been made.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let rest = match &self.rows {
            Rows::List(rows) => rows.is_empty(),
            Rows::Zone(cursor) => cursor.ended && cursor.rows.is_empty(),
        };
        rest && self.waiting.is_none()
    }
}

fn changes(history: &History, serial: Serial) -> Option<Delta> {
    let deltas = history.since(serial)?;
    let delta = Delta::condensed(deltas.iter().map(|own| &**own))?;
    // A name has about two records, and in a signed zone two signatures and an NSEC.
    let usual = if history.zone().signed().is_some() { 5 } else { 2 };
    (delta.len() <= 16 + usual * history.zone().len()).then_some(delta)
}

/// RFC 1995 §4: between two copies of the newest SOA.
fn sequence(newest: Record, delta: Delta) -> VecDeque<Record> {
    let mut rows = VecDeque::with_capacity(delta.len() + 2);
    rows.push_back(newest.clone());
    rows.push_back(delta.from);
    rows.extend(delta.removed);
    rows.push_back(delta.to);
    rows.extend(delta.added);
    rows.push_back(newest);
    rows
}

impl Rows {
    fn next(&mut self) -> Option<Record> {
        match self {
            Self::List(rows) => rows.pop_front(),
            Self::Zone(cursor) => cursor.next(),
        }
    }
}

impl Cursor {
    fn new(zone: Arc<Zone>, soa: Record) -> Self {
        let rows = [soa.clone()].into();
        Self { zone, soa, after: None, rows, ended: false }
    }

    fn next(&mut self) -> Option<Record> {
        while self.rows.is_empty() && !self.ended {
            self.refill();
        }
        self.rows.pop_front()
    }

    /// All that the zone holds, glue and what lies behind cuts too (RFC 5936 §3.2, §3.5), and its
    /// signatures and NSEC records (RFC 4035 §2), without which a secondary's answers are bogus.
    fn refill(&mut self) {
        let mut last = None;
        for (key, node) in self.zone.after(self.after.as_ref()).take(CHUNK) {
            let owner = key.to_name();
            let sets = node_in_full(&self.zone, key, node);
            let sets = sets.filter(|own| own.rtype != RecordType::SOA);
            self.rows.extend(sets.flat_map(|own| Record::of(&owner, own)));
            last = Some(key.clone());
        }
        if last.is_none() {
            self.rows.push_back(self.soa.clone());
            self.ended = true;
        }
        self.after = last;
    }
}
