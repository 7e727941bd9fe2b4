//! Packs records into messages (RFC 5936 §2.2): whole records, names compressed.

use super::Record;
use crate::records::RecordType;
use std::collections::HashMap;

/// Where pointers of 14 bits end (RFC 1035 §4.1.4).
const POINTERS_END: usize = 0x4000;
const HEADER: usize = 12;

/// What an answer's header and question say.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The request's.
    pub id: [u8; 2],
    /// The request's.
    pub opcode: u8,
    /// The request's RD.
    pub recursion_desired: bool,
    /// Whether the answer is from authority (AA).
    pub authoritative: bool,
    /// Four bits.
    pub rcode: u8,
    /// The question section's octets; none in a transfer's later messages (RFC 5936 §2.2.1).
    pub question: Vec<u8>,
}

/// One message that is being filled.
#[derive(Debug)]
pub struct Packer {
    out: Vec<u8>,
    limit: usize,
    count: u16,
    /// Where names and their ends stand, octet by octet: case is kept (RFC 5936 §3.4).
    names: HashMap<Vec<u8>, u16>,
}

impl Packer {
    /// A message that may take `limit` octets.
    #[must_use]
    pub fn begin(head: &Head, limit: usize) -> Self {
        let mut out = Vec::with_capacity(4_096);
        out.extend_from_slice(&head.id);
        let flags = 0x80 | head.opcode << 3;
        let authoritative = u8::from(head.authoritative) << 2;
        out.push(flags | authoritative | u8::from(head.recursion_desired));
        out.push(head.rcode & 0x0f);
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&head.question);
        out[5] = u8::from(!head.question.is_empty());
        let mut packer = Self { out, limit, count: 0, names: HashMap::new() };
        let name = head.question.len().checked_sub(4).and_then(|end| head.question.get(..end));
        if let Some(name) = name {
            packer.remember(name, HEADER, name.len());
        }
        packer
    }

    /// Adds a record; `false` when it does not fit, and the message is full.
    #[must_use]
    pub fn push(&mut self, record: &Record) -> bool {
        let start = self.out.len();
        self.name(record.owner.as_wire());
        self.out.extend_from_slice(&record.rtype.0.to_be_bytes());
        self.out.extend_from_slice(&[0, 1]);
        self.out.extend_from_slice(&record.ttl.as_secs().to_be_bytes());
        self.data(record.rtype, &record.data);
        if self.out.len() > self.limit || self.count == u16::MAX {
            // Names of what is taken back may be pointed at no more: nothing is added behind.
            self.out.truncate(start);
            return false;
        }
        self.count += 1;
        true
    }

    /// Whether it has no record yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The message.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.out[6..8].copy_from_slice(&self.count.to_be_bytes());
        self.out
    }

    fn data(&mut self, rtype: RecordType, data: &[u8]) {
        let at = self.out.len();
        self.out.extend_from_slice(&[0, 0]);
        let (before, names) = match rtype.0 {
            2 | 5 | 12 => (0, 1),
            6 => (0, 2),
            15 => (2, 1),
            _ => (0, 0),
        };
        let (head, mut rest) = data.split_at_checked(before).unwrap_or((data, &[]));
        self.out.extend_from_slice(head);
        for _ in 0..names {
            let Some((name, after)) = split_name(rest) else { break };
            self.name(name);
            rest = after;
        }
        self.out.extend_from_slice(rest);
        let length = u16::try_from(self.out.len() - at - 2).unwrap_or(u16::MAX);
        self.out[at..at + 2].copy_from_slice(&length.to_be_bytes());
    }

    /// Writes the name, its end replaced by a pointer where that end stands already.
    fn name(&mut self, wire: &[u8]) {
        let (start, mut at) = (self.out.len(), 0);
        while let Some(length) = wire.get(at).copied().filter(|length| *length > 0) {
            if let Some(known) = self.names.get(&wire[at..]).copied() {
                self.out.extend_from_slice(&(0xc000 | known).to_be_bytes());
                return self.remember(wire, start, at);
            }
            let next = at + 1 + usize::from(length);
            self.out.extend_from_slice(&wire[at..next]);
            at = next;
        }
        self.out.push(0);
        self.remember(wire, start, at);
    }

    /// Remembers the labels before `end` of a name that begins at `start`.
    fn remember(&mut self, wire: &[u8], start: usize, end: usize) {
        let mut at = 0;
        while at < end && wire[at] > 0 && start + at < POINTERS_END {
            let Ok(offset) = u16::try_from(start + at) else { return };
            self.names.entry(wire[at..].to_vec()).or_insert(offset);
            at += 1 + usize::from(wire[at]);
        }
    }
}

/// The name that octets begin with, and what follows.
fn split_name(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    loop {
        let length = usize::from(*octets.get(at)?);
        at += 1 + length;
        if length == 0 {
            return octets.split_at_checked(at);
        }
    }
}
