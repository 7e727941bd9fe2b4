//! Reads a query (RFC 1035 §4.1, RFC 6891): one pass, no allocation, bounded by the packet.

use super::edns::Edns;
use crate::{model::Name, records::RecordType};

/// What a packet turned out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Parsed {
    /// No answer is due.
    Drop(super::Dropped),
    /// An error is the answer; or NOERROR, where a cookie came without a question (RFC 7873 §5.4).
    Refuse(Rcode),
    /// A query to be looked up.
    Query,
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
    pub(super) edns: Option<Edns<'p>>,
}

impl<'p> Query<'p> {
    /// One of which nothing was read yet.
    pub(super) fn unread() -> Self {
        Self::plain(&[], &[0], RecordType(0))
    }

    /// A query without EDNS and flags, as answers are put together for ahead of queries.
    pub(super) fn plain(question: &'p [u8], name: &'p [u8], rtype: RecordType) -> Self {
        Self {
            id: [0; 2],
            opcode: 0,
            recursion_desired: false,
            checking_disabled: false,
            question,
            name,
            rtype,
            edns: None,
        }
    }
}

/// Response codes that this server gives (RFC 1035 §4.1.1, RFC 6891 §9,
/// RFC 7873 §8).
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
    pub(super) const BADCOOKIE: Self = Self(23);
}

pub(super) const HEADER: usize = 12;
const CLASS_IN: u16 = 1;
const CLASS_ANY: u16 = 255;

/// Reads a packet into `query`, which nothing was read into before: it is large, and not moved.
/// `client_subnet` says whether that option is heeded.
pub(super) fn parse<'p>(packet: &'p [u8], client_subnet: bool, query: &mut Query<'p>) -> Parsed {
    let Some(header) = packet.first_chunk::<HEADER>() else {
        return Parsed::Drop(super::Dropped::Short);
    };
    if header[2] & 0x80 != 0 {
        return Parsed::Drop(super::Dropped::Response);
    }
    query.id = [header[0], header[1]];
    query.opcode = header[2] >> 3 & 0x0f;
    query.recursion_desired = header[2] & 1 != 0;
    query.checking_disabled = header[3] & 0x10 != 0;
    let class = read_sections(packet, header, client_subnet, query);
    // Other opcodes first: what their sections mean is theirs, so what could not be read of them
    // is no error, and what could be read is echoed (RFC 8906 §3.1.4, RFC 6891 §6.1.1).
    let refused = match class {
        _ if query.opcode != 0 => Some(Rcode::NOTIMP),
        None if asks_nothing(header, query) => Some(Rcode::NOERROR),
        None => Some(Rcode::FORMERR),
        Some(class) => refusal(query, class),
    };
    refused.map_or(Parsed::Query, Parsed::Refuse)
}

/// The question's class, once all that follows the header stands in `query`.
fn read_sections<'p>(
    packet: &'p [u8],
    header: &[u8; HEADER],
    client_subnet: bool,
    query: &mut Query<'p>,
) -> Option<u16> {
    // RFC 9619: one question, checked before anything is read that the count would size.
    if header[4..6] != [0, 1] {
        if header[4..6] == [0, 0] && read_records(packet, header, client_subnet, query).is_none() {
            query.edns = None;
        }
        return None;
    }
    let class = read_question(packet, query)?;
    let read = read_records(packet, header, client_subnet, query);
    if read.is_none() {
        query.edns = None;
    }
    read.map(|()| class)
}

/// Whether there is no question, but a cookie to be answered.
fn asks_nothing(header: &[u8; HEADER], query: &Query<'_>) -> bool {
    let edns = query.edns.as_ref().filter(|edns| edns.version == 0);
    header[4..6] == [0, 0] && edns.is_some_and(|edns| edns.cookie.is_some())
}

fn refusal(query: &Query<'_>, class: u16) -> Option<Rcode> {
    let edns = query.edns.as_ref();
    if edns.is_some_and(|edns| edns.version > 0) {
        return Some(Rcode::BADVERS);
    }
    if edns.is_some_and(|edns| edns.malformed) {
        return Some(Rcode::FORMERR);
    }
    if class != CLASS_IN && class != CLASS_ANY {
        return Some(Rcode::REFUSED);
    }
    match query.rtype.0 {
        // OPT is no type to ask for; TKEY and TSIG are not either (RFC 2930, RFC 8945).
        // NXNAME stands in type bitmaps alone (RFC 9824 §3.5).
        0 | 41 | 128 | 249 | 250 => Some(Rcode::FORMERR),
        // Transfers are not given to anyone.
        251 | 252 => Some(Rcode::REFUSED),
        // MAILB and MAILA are obsolete (RFC 1035 §3.2.3).
        253 | 254 => Some(Rcode::NOTIMP),
        _ => None,
    }
}

/// The class, once name, type and class stand in `query`.
fn read_question<'p>(packet: &'p [u8], query: &mut Query<'p>) -> Option<u16> {
    // Nothing stands before this name that a pointer could point at: a compressed one is an error.
    let end = HEADER + plain_name(packet.get(HEADER..)?)?;
    let fixed = packet.get(end..end + 4)?;
    query.name = &packet[HEADER..end];
    query.question = &packet[HEADER..end + 4];
    query.rtype = RecordType(u16::from_be_bytes([fixed[0], fixed[1]]));
    Some(u16::from_be_bytes([fixed[2], fixed[3]]))
}

/// Walks the other sections for the OPT; each record takes eleven octets of the packet or more, so
/// the packet bounds the walk, whatever the counts say.
///
/// Octets behind the last record are an error, as Knot has it (NSD and BIND let them pass): a
/// message that is longer than it says was not understood, and no client sends one.
fn read_records<'p>(
    packet: &'p [u8],
    header: &[u8; HEADER],
    client_subnet: bool,
    query: &mut Query<'p>,
) -> Option<()> {
    let count = |at: usize| u32::from(u16::from_be_bytes([header[at], header[at + 1]]));
    let (others, additional) = (count(6) + count(8), count(10));
    let mut at = HEADER + query.question.len();
    for index in 0..others + additional {
        let root = *packet.get(at)? == 0;
        at = skip_name(packet, at)?;
        let fixed = packet.get(at..)?.first_chunk::<10>()?;
        let end = at + 10 + usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        let data = packet.get(at + 10..end)?;
        if fixed[..2] == RecordType::OPT.0.to_be_bytes() {
            if index < others || !root || query.edns.is_some() {
                return None;
            }
            query.edns = Some(Edns::read(fixed, data, client_subnet));
        }
        at = end;
    }
    (at == packet.len()).then_some(())
}

/// How many octets the name without compression takes that `octets` begin with.
pub(super) fn plain_name(octets: &[u8]) -> Option<usize> {
    let mut end = 0;
    loop {
        let length = usize::from(*octets.get(end)?);
        end += 1 + length;
        if length > Name::MAX_LABEL || end > Name::MAX_OCTETS {
            return None;
        }
        if length == 0 {
            return Some(end);
        }
    }
}

/// Past a name that may end in a pointer. The pointer is not followed, but must lead to before the
/// name and behind the header, as every pointer does that was written in order.
pub(super) fn skip_name(packet: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        let length = *packet.get(at)?;
        if length >= 0xc0 {
            let target = usize::from(u16::from_be_bytes([length & 0x3f, *packet.get(at + 1)?]));
            return (HEADER..start).contains(&target).then_some(at + 2);
        }
        at += 1 + usize::from(length);
        if usize::from(length) > Name::MAX_LABEL || at - start > Name::MAX_OCTETS {
            return None;
        }
        if length == 0 {
            return Some(at);
        }
    }
}
