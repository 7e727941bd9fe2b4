//! Queries as octets, and replies as sets of records.
//!
//! Normalised: the order of records, compression, and the case of names in owners and in data
//! (RFC 4343 §3, RFC 4034 §6.2).

use super::zones::Asked;
use meridian::{
    model::Name,
    records::{RecordType, rdata_to_text},
};
use std::{collections::BTreeSet, fmt};

pub(crate) fn query(id: u16, asked: &Asked) -> Vec<u8> {
    let mut octets = [&id.to_be_bytes()[..], &[0, 0, 0, 1, 0, 0, 0, 0, 0]].concat();
    octets.push(u8::from(asked.edns.is_some()));
    octets.extend_from_slice(asked.name.as_wire());
    octets.extend_from_slice(&asked.rtype.to_be_bytes());
    octets.extend_from_slice(&[0, 1]);
    if let Some((size, dnssec_ok)) = asked.edns {
        octets.extend_from_slice(&[0, 0, 41]);
        octets.extend_from_slice(&size.to_be_bytes());
        octets.extend_from_slice(&[0, 0, u8::from(dnssec_ok) << 7, 0, 0, 0]);
    }
    octets
}

/// What was said.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Reply {
    pub(crate) rcode: u16,
    pub(crate) authoritative: bool,
    pub(crate) truncated: bool,
    /// Whether there is an OPT, and its DO.
    pub(crate) edns: Option<bool>,
    /// Whether a section has a record twice.
    pub(crate) repeats: bool,
    pub(crate) answer: Section,
    pub(crate) authority: Section,
    pub(crate) additional: Section,
}

pub(crate) type Section = BTreeSet<Record>;

/// A record; names in lower case, without compression.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Record {
    pub(crate) owner: Vec<u8>,
    pub(crate) rtype: u16,
    pub(crate) ttl: u32,
    pub(crate) data: Vec<u8>,
}

impl Reply {
    /// Reads a reply to that query; a message that is none is a mistake, whoever made it.
    pub(crate) fn read(octets: &[u8], asked: &Asked) -> Self {
        let mut reader = Reader { octets, at: 12 };
        let counts = [4, 6, 8, 10].map(|at| reader.number(at));
        assert_eq!(counts[0], 1, "a reply has the question");
        assert_eq!(reader.name(), lowered(asked.name.as_wire()), "a reply has our question");
        reader.at += 4;
        let mut reply = Self {
            rcode: u16::from(octets[3] & 15),
            authoritative: octets[2] & 4 != 0,
            truncated: octets[2] & 2 != 0,
            ..Self::default()
        };
        for (section, count) in counts[1..].iter().enumerate() {
            for _ in 0..*count {
                let record = reader.record();
                if record.rtype == OPT {
                    let [high, _, flags, _] = record.ttl.to_be_bytes();
                    reply.rcode |= u16::from(high) << 4;
                    reply.edns = Some(flags & 0x80 != 0);
                    continue;
                }
                reply.repeats |= !reply.sections_mut()[section].insert(record);
            }
        }
        assert_eq!(reader.at, octets.len(), "nothing stands behind the message");
        reply
    }

    /// The names that the chain of aliases from that name comes by, until it ends or goes round.
    pub(crate) fn chain(&self, from: &[u8]) -> Vec<Vec<u8>> {
        let mut names = vec![lowered(from)];
        loop {
            let last = names.last().unwrap();
            let is_next = |record: &&Record| record.rtype == 5 && record.owner == *last;
            let Some(alias) = self.answer.iter().find(is_next) else { return names };
            let goes_round = names.contains(&alias.data);
            names.push(alias.data.clone());
            if goes_round {
                return names;
            }
        }
    }

    /// What was said further on.
    pub(crate) fn go_on(&mut self, next: Self) {
        self.answer.extend(next.answer);
        self.rcode = next.rcode;
        (self.authority, self.additional) = (next.authority, next.additional);
    }

    fn sections_mut(&mut self) -> [&mut Section; 3] {
        [&mut self.answer, &mut self.authority, &mut self.additional]
    }
}

struct Reader<'o> {
    octets: &'o [u8],
    at: usize,
}

impl Reader<'_> {
    fn number(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.octets[at], self.octets[at + 1]])
    }

    fn name(&mut self) -> Vec<u8> {
        let (name, end) = name(self.octets, self.at);
        self.at = end;
        name
    }

    fn record(&mut self) -> Record {
        let owner = self.name();
        let (rtype, head) = (self.number(self.at), self.at);
        let ttl = self.octets[head + 4..head + 8].try_into().unwrap();
        let (start, length) = (head + 10, usize::from(self.number(head + 8)));
        self.at = start + length;
        let data = data(&self.octets[..self.at], rtype, start);
        Record { owner, rtype, ttl: u32::from_be_bytes(ttl), data }
    }
}

/// The name at `at`, and where what follows it stands.
fn name(octets: &[u8], mut at: usize) -> (Vec<u8>, usize) {
    let (mut name, mut end) = (Vec::new(), None);
    loop {
        let length = octets[at];
        if length >= 0xc0 {
            let target = usize::from(u16::from_be_bytes([length & 0x3f, octets[at + 1]]));
            assert!(target < at, "pointers lead backwards");
            end = end.or(Some(at + 2));
            at = target;
            continue;
        }
        let next = at + 1 + usize::from(length);
        name.extend_from_slice(&octets[at..next]);
        at = next;
        if length == 0 {
            return (lowered(&name), end.unwrap_or(next));
        }
    }
}

/// Record data with its names in full: NS, CNAME, SOA, MX, SRV, DNAME.
fn data(octets: &[u8], rtype: u16, start: usize) -> Vec<u8> {
    let (skip, names) = match rtype {
        2 | 5 | 39 => (0, 1),
        6 => (0, 2),
        15 => (2, 1),
        33 => (6, 1),
        _ => return octets[start..].to_vec(),
    };
    let mut data = octets[start..start + skip].to_vec();
    let mut at = start + skip;
    for _ in 0..names {
        let (name, end) = name(octets, at);
        data.extend_from_slice(&name);
        at = end;
    }
    data.extend_from_slice(&octets[at..]);
    data
}

/// Octets of lengths are below those of letters.
pub(crate) fn lowered(wire: &[u8]) -> Vec<u8> {
    wire.to_ascii_lowercase()
}

const OPT: u16 = 41;

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rtype = RecordType(self.rtype);
        let owner = Name::from_wire(&self.owner).unwrap();
        write!(f, "{owner} {} {rtype} {}", self.ttl, rdata_to_text(rtype, &self.data))
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rcode, authoritative, truncated, edns, repeats, .. } = self;
        writeln!(f, "rcode {rcode}, AA {authoritative}, TC {truncated}, EDNS {edns:?}")?;
        if *repeats {
            writeln!(f, "    with a record twice")?;
        }
        let sections = [("an", &self.answer), ("au", &self.authority), ("ad", &self.additional)];
        for (title, section) in sections {
            section.iter().try_for_each(|record| writeln!(f, "    {title} {record}"))?;
        }
        Ok(())
    }
}
