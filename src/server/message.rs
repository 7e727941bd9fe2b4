//! Reads a query (RFC 1035 §4.1, RFC 6891): one pass, no allocation, bounded by the packet.

use crate::{model::Name, records::RecordType};

/// What a packet turned out to be.
#[derive(Debug)]
pub(super) enum Parsed<'p> {
    /// No answer is due.
    Drop(super::Dropped),
    /// An error is the answer.
    Refuse(Query<'p>, Rcode),
    /// A query to be looked up.
    Query(Query<'p>),
}

/// A query as far as it could be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<'p> {
    pub(super) id: [u8; 2],
    pub(super) opcode: u8,
    pub(super) recursion_desired: bool,
    pub(super) checking_disabled: bool,
    /// The question section's octets, to be echoed; empty when it could not be read.
    pub(super) question: &'p [u8],
    /// The name's wire form within the question.
    pub(super) name: &'p [u8],
    pub(super) rtype: RecordType,
    pub(super) edns: Option<Edns>,
}

/// What an OPT record says (RFC 6891 §6.1.3).
#[derive(Clone, Copy, Debug)]
pub(super) struct Edns {
    pub(super) udp_size: u16,
    pub(super) version: u8,
    pub(super) dnssec_ok: bool,
}

/// Response codes that this server gives (RFC 1035 §4.1.1, RFC 6891 §9).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Rcode(pub(super) u16);

impl Rcode {
    pub(super) const NOERROR: Self = Self(0);
    pub(super) const FORMERR: Self = Self(1);
    pub(super) const SERVFAIL: Self = Self(2);
    pub(super) const NXDOMAIN: Self = Self(3);
    pub(super) const NOTIMP: Self = Self(4);
    pub(super) const REFUSED: Self = Self(5);
    pub(super) const YXDOMAIN: Self = Self(6);
    pub(super) const BADVERS: Self = Self(16);
}

pub(super) const HEADER: usize = 12;
const CLASS_IN: u16 = 1;
const CLASS_ANY: u16 = 255;

pub(super) fn parse(packet: &[u8]) -> Parsed<'_> {
    let Some(header) = packet.first_chunk::<HEADER>() else {
        return Parsed::Drop(super::Dropped::Short);
    };
    if header[2] & 0x80 != 0 {
        return Parsed::Drop(super::Dropped::Response);
    }
    let mut query = Query {
        id: [header[0], header[1]],
        opcode: header[2] >> 3 & 0x0f,
        recursion_desired: header[2] & 1 != 0,
        checking_disabled: header[3] & 0x10 != 0,
        question: &[],
        name: &[0],
        rtype: RecordType(0),
        edns: None,
    };
    if query.opcode != 0 {
        return Parsed::Refuse(query, Rcode::NOTIMP);
    }
    // RFC 9619: one question, checked before anything is read that the count would size.
    if header[4..6] != [0, 1] {
        return Parsed::Refuse(query, Rcode::FORMERR);
    }
    let Some(class) = read_question(packet, &mut query) else {
        return Parsed::Refuse(query, Rcode::FORMERR);
    };
    if read_records(packet, header, &mut query).is_none() {
        query.edns = None;
        return Parsed::Refuse(query, Rcode::FORMERR);
    }
    match refusal(&query, class) {
        Some(rcode) => Parsed::Refuse(query, rcode),
        None => Parsed::Query(query),
    }
}

fn refusal(query: &Query<'_>, class: u16) -> Option<Rcode> {
    if query.edns.is_some_and(|edns| edns.version > 0) {
        return Some(Rcode::BADVERS);
    }
    if class != CLASS_IN && class != CLASS_ANY {
        return Some(Rcode::REFUSED);
    }
    match query.rtype.0 {
        // OPT is no type to ask for; TKEY and TSIG are not either (RFC 2930, RFC 8945).
        0 | 41 | 249 | 250 => Some(Rcode::FORMERR),
        // Transfers are not given to anyone.
        251 | 252 => Some(Rcode::REFUSED),
        // MAILB and MAILA are obsolete (RFC 1035 §3.2.3).
        253 | 254 => Some(Rcode::NOTIMP),
        _ => None,
    }
}

/// The class, once name, type and class stand in `query`.
fn read_question<'p>(packet: &'p [u8], query: &mut Query<'p>) -> Option<u16> {
    let end = plain_name_end(packet)?;
    let fixed = packet.get(end..end + 4)?;
    query.name = &packet[HEADER..end];
    query.question = &packet[HEADER..end + 4];
    query.rtype = RecordType(u16::from_be_bytes([fixed[0], fixed[1]]));
    Some(u16::from_be_bytes([fixed[2], fixed[3]]))
}

/// Where the question's name ends. Nothing stands before it that a pointer could point at, so a
/// compressed one is an error, and no loop can be made.
fn plain_name_end(packet: &[u8]) -> Option<usize> {
    let mut at = HEADER;
    loop {
        let length = usize::from(*packet.get(at)?);
        at += 1 + length;
        if length > Name::MAX_LABEL || at - HEADER > Name::MAX_OCTETS {
            return None;
        }
        if length == 0 {
            return Some(at);
        }
    }
}

/// Walks the other sections for the OPT. Octets behind the last record are an error, as BIND and
/// Knot have it: a message that is longer than it says was not understood.
fn read_records(packet: &[u8], header: &[u8; HEADER], query: &mut Query<'_>) -> Option<()> {
    let count = |at: usize| u32::from(u16::from_be_bytes([header[at], header[at + 1]]));
    let (others, additional) = (count(6) + count(8), count(10));
    let mut at = HEADER + query.question.len();
    for index in 0..others + additional {
        let root = *packet.get(at)? == 0;
        at = skip_name(packet, at)?;
        let fixed = packet.get(at..at + 10)?;
        let end = at + 10 + usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        let data = packet.get(at + 10..end)?;
        if fixed[..2] == RecordType::OPT.0.to_be_bytes() {
            let misplaced = index < others || !root || query.edns.is_some();
            query.edns = Some(read_opt(fixed, data).filter(|_| !misplaced)?);
        }
        at = end;
    }
    (at == packet.len()).then_some(())
}

fn read_opt(fixed: &[u8], options: &[u8]) -> Option<Edns> {
    let mut rest = options;
    while !rest.is_empty() {
        let length = u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]);
        rest = rest.get(4 + usize::from(length)..)?;
    }
    Some(Edns {
        udp_size: u16::from_be_bytes([fixed[2], fixed[3]]),
        version: fixed[5],
        dnssec_ok: fixed[6] & 0x80 != 0,
    })
}

/// Past a name that may end in a pointer; the pointer is not followed.
fn skip_name(packet: &[u8], mut at: usize) -> Option<usize> {
    let start = at;
    loop {
        let length = *packet.get(at)?;
        match length >> 6 {
            0 if length == 0 => return Some(at + 1),
            0 => at += 1 + usize::from(length),
            0b11 => return Some(at + 2),
            _ => return None,
        }
        if at - start > Name::MAX_OCTETS {
            return None;
        }
    }
}
