//! Reads messages that others wrote: requests for transfers, and transfers themselves
//! (RFC 1035 §4.1). Each octet is looked at a bounded number of times, whatever it says.

use super::{Expire, Record};
use crate::{
    model::{Name, Serial, Ttl},
    records::{RecordType, names_in},
};

const HEADER: usize = 12;
const OPT: u16 = 41;
const TSIG: u16 = 250;
const CLASS_IN: u16 = 1;
const CLASS_ANY: u16 = 255;
const OPCODE_NOTIFY: u8 = 4;
/// More pointers than this in one name are no compression but an attack.
const MOST_POINTERS: usize = 64;

/// The octets are not a message, or not one that belongs here.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// A request as far as transfers, notices and signatures ask.
#[derive(Clone, Debug)]
pub struct Request {
    /// To be copied into the answer.
    pub id: [u8; 2],
    /// 0 for queries, 4 for notices.
    pub opcode: u8,
    /// The header's second pair of octets, for RD and CD.
    pub flags: [u8; 2],
    /// The question section's octets; empty when it could not be read.
    pub question: Vec<u8>,
    /// The name asked for.
    pub name: Name,
    /// The type asked for.
    pub rtype: RecordType,
    /// The class asked for.
    pub class: u16,
    /// The serial of the SOA that came along: in the authority section of an IXFR query
    /// (RFC 1995 §3), in the answer section of a notice (RFC 1996 §3.7).
    pub serial: Option<Serial>,
    /// How large a UDP answer may be (RFC 6891); `None` without EDNS.
    pub udp_size: Option<u16>,
    /// Whether it is asked how long a copy may be used (RFC 7314 §2).
    pub expire: Expire,
    /// Where the TSIG record begins, when the last record is one.
    pub tsig: Option<usize>,
}

impl Request {
    /// Whether this is a notice (RFC 1996).
    #[must_use]
    pub fn is_notice(&self) -> bool {
        self.opcode == OPCODE_NOTIFY
    }
}

/// Whether a packet is for transfers rather than for a lookup: it is a notice, asks for a
/// transfer, or is signed. Cheap for all others: a look at the question and, behind it, at one
/// record.
#[must_use]
pub fn concerns(packet: &[u8]) -> bool {
    let Some(header) = packet.first_chunk::<HEADER>() else { return false };
    let opcode = header[2] >> 3 & 0x0f;
    if header[2] & 0x80 != 0 || !(opcode == 0 || opcode == OPCODE_NOTIFY) {
        return false;
    }
    if opcode == OPCODE_NOTIFY {
        return true;
    }
    if header[4..6] != [0, 1] {
        return false;
    }
    let Some(end) = plain_end(packet, HEADER) else { return false };
    let Some(fixed) = packet.get(end..end + 4) else { return false };
    let rtype = u16::from_be_bytes([fixed[0], fixed[1]]);
    matches!(rtype, 251 | 252) || (header[10..12] != [0, 0] && is_signed(packet, header, end + 4))
}

fn is_signed(packet: &[u8], header: &[u8; HEADER], mut at: usize) -> bool {
    // Nearly every query has an OPT and nothing else.
    let alone = header[6..12] == [0, 0, 0, 0, 0, 1];
    if alone && packet.get(at..at + 3) == Some(&[0, 0, 41]) {
        return false;
    }
    for _ in 0..records(header) {
        let Some((rtype, _, _, end)) = raw_record(packet, at) else { return false };
        if rtype == TSIG {
            return true;
        }
        at = end;
    }
    false
}

/// Reads a request.
///
/// # Errors
/// When a section cannot be read, or a TSIG is not the last record (RFC 8945 §5.1). What could be
/// read of header and question comes along, for the answer.
pub fn read_request(packet: &[u8]) -> Result<Request, (Request, Malformed)> {
    let header = packet.first_chunk::<HEADER>().copied().unwrap_or_default();
    let mut request = Request {
        id: [header[0], header[1]],
        opcode: header[2] >> 3 & 0x0f,
        flags: [header[2], header[3]],
        question: Vec::new(),
        name: Name::root(),
        rtype: RecordType(0),
        class: 0,
        serial: None,
        udp_size: None,
        expire: Expire::Silent,
        tsig: None,
    };
    match read_into(packet, &header, &mut request) {
        Ok(()) => Ok(request),
        Err(why) => Err((request, why)),
    }
}

fn read_into(packet: &[u8], header: &[u8; HEADER], request: &mut Request) -> Result<(), Malformed> {
    if header[4..6] != [0, 1] {
        return Err(Malformed("there is not exactly one question"));
    }
    let end = plain_end(packet, HEADER).ok_or(Malformed("the question's name"))?;
    let fixed = packet.get(end..end + 4).ok_or(Malformed("the question"))?;
    request.name = Name::from_wire(&packet[HEADER..end]).map_err(|_| Malformed("the name"))?;
    request.question = packet[HEADER..end + 4].to_vec();
    request.rtype = RecordType(u16::from_be_bytes([fixed[0], fixed[1]]));
    request.class = u16::from_be_bytes([fixed[2], fixed[3]]);
    let count = records(header);
    let mut at = end + 4;
    for index in 0..count {
        let broken = Malformed("a record");
        let (rtype, class, data, next) = raw_record(packet, at).ok_or(broken)?;
        match rtype {
            // The class of an OPT is a size (RFC 6891 §6.1.2).
            OPT => (request.udp_size, request.expire) = (Some(class), Expire::read(data)),
            6 if request.serial.is_none() => request.serial = soa_serial(data),
            TSIG if index + 1 < count => {
                return Err(Malformed("a TSIG that is not the last record"));
            }
            TSIG => request.tsig = Some(at),
            _ => {}
        }
        at = next;
    }
    if at == packet.len() { Ok(()) } else { Err(Malformed("octets behind the last record")) }
}

/// The serial stands twenty octets before the end, however the names are compressed.
fn soa_serial(data: &[u8]) -> Option<Serial> {
    let numbers = data.get(data.len().checked_sub(20)?..)?;
    Some(Serial(u32::from_be_bytes(*numbers.first_chunk()?)))
}

fn records(header: &[u8; HEADER]) -> u32 {
    let count = |at: usize| u32::from(u16::from_be_bytes([header[at], header[at + 1]]));
    count(6) + count(8) + count(10)
}

/// Type, class, data and end of the record that begins at `at`.
fn raw_record(packet: &[u8], at: usize) -> Option<(u16, u16, &[u8], usize)> {
    let at = name_end(packet, at)?;
    let fixed = packet.get(at..at + 10)?;
    let end = at + 10 + usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
    let data = packet.get(at + 10..end)?;
    let pair = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
    Some((pair(0), pair(2), data, end))
}

/// The end of a name without pointers.
fn plain_end(packet: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        let length = usize::from(*packet.get(at)?);
        at += 1 + length;
        if length > Name::MAX_LABEL || at - start > Name::MAX_OCTETS {
            return None;
        }
        if length == 0 {
            return Some(at);
        }
    }
}

/// The end of a name that may end in a pointer, which is not followed.
pub(super) fn name_end(packet: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        let length = *packet.get(at)?;
        if length >= 0xc0 {
            return packet.get(at + 1).map(|_| at + 2);
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

/// A name without its compression, and where it ends. Every pointer must lead to before the label
/// that it stands behind, so following them ends.
pub(super) fn name_at(packet: &[u8], start: usize) -> Option<(Name, usize)> {
    let end = name_end(packet, start)?;
    let (mut wire, mut at, mut pointers) = (Vec::with_capacity(64), start, 0);
    loop {
        let length = *packet.get(at)?;
        if length >= 0xc0 {
            let target = usize::from(u16::from_be_bytes([length & 0x3f, *packet.get(at + 1)?]));
            pointers += 1;
            if target >= at || target < HEADER || pointers > MOST_POINTERS {
                return None;
            }
            at = target;
            continue;
        }
        let next = at + 1 + usize::from(length);
        wire.extend_from_slice(packet.get(at..next)?);
        if usize::from(length) > Name::MAX_LABEL || wire.len() > Name::MAX_OCTETS {
            return None;
        }
        if length == 0 {
            return Some((Name::from_wire(&wire).ok()?, end));
        }
        at = next;
    }
}

// === Responses ===

/// A message of a transfer as it came: what the header says, and its answer records.
#[derive(Clone, Debug)]
pub struct Rows {
    /// As it was asked with.
    pub id: [u8; 2],
    /// The response code, without extended bits.
    pub rcode: u8,
    /// Whether it says that it is from authority (AA).
    pub authoritative: bool,
    /// Whether it was cut short (TC).
    pub truncated: bool,
    /// The opcode.
    pub opcode: u8,
    /// The answer section.
    pub answer: Vec<Record>,
    /// How long a copy may be used yet, where that is said (RFC 7314 §3).
    pub expire: Expire,
    /// Where the TSIG record begins, when the last record is one.
    pub tsig: Option<usize>,
}

/// Reads a response with its answer records.
///
/// # Errors
/// When it is none, or a section cannot be read.
pub fn read_response(packet: &[u8]) -> Result<Rows, Malformed> {
    let header = packet.first_chunk::<HEADER>().ok_or(Malformed("shorter than a header"))?;
    if header[2] & 0x80 == 0 {
        return Err(Malformed("is no response"));
    }
    let mut rows = Rows {
        id: [header[0], header[1]],
        rcode: header[3] & 0x0f,
        authoritative: header[2] & 0x04 != 0,
        truncated: header[2] & 0x02 != 0,
        opcode: header[2] >> 3 & 0x0f,
        answer: Vec::new(),
        expire: Expire::Silent,
        tsig: None,
    };
    let mut at = HEADER;
    for _ in 0..u16::from_be_bytes([header[4], header[5]]) {
        let end = name_end(packet, at).ok_or(Malformed("the question"))?;
        at = end + 4;
    }
    let answers = u32::from(u16::from_be_bytes([header[6], header[7]]));
    let count = records(header);
    for index in 0..count {
        let (rtype, class, data, next) = raw_record(packet, at).ok_or(Malformed("a record"))?;
        if index < answers {
            if class != CLASS_IN {
                return Err(Malformed("a record of another class than IN"));
            }
            rows.answer.push(record_at(packet, at).ok_or(Malformed("a record's data"))?);
        } else if rtype == OPT {
            rows.expire = Expire::read(data);
        } else if rtype == TSIG && index + 1 == count && class == CLASS_ANY {
            rows.tsig = Some(at);
        } else if rtype == TSIG {
            return Err(Malformed("a TSIG that is not the last record"));
        }
        at = next;
    }
    if at == packet.len() { Ok(rows) } else { Err(Malformed("octets behind the last record")) }
}

fn record_at(packet: &[u8], at: usize) -> Option<Record> {
    let (owner, fixed) = name_at(packet, at)?;
    let (rtype, _, data, end) = raw_record(packet, at)?;
    let ttl = u32::from_be_bytes(*packet.get(fixed + 4..)?.first_chunk()?);
    // RFC 2181 §8: a TTL with the highest bit set counts as zero.
    let ttl = Ttl::from_secs(if ttl > Ttl::MAX.as_secs() { 0 } else { ttl });
    let data = expanded(packet, rtype, end - data.len(), end)?;
    Some(Record { owner, rtype: RecordType(rtype), ttl, data })
}

/// The data without compression.
fn expanded(packet: &[u8], rtype: u16, start: usize, end: usize) -> Option<Vec<u8>> {
    let own = packet.get(start..end)?;
    let (before, names) = names_in(RecordType(rtype), own)?;
    let mut data = own.get(..before)?.to_vec();
    let mut at = start + before;
    for _ in 0..names {
        let (name, next) = name_at(packet, at)?;
        data.extend_from_slice(name.as_wire());
        at = next;
    }
    data.extend_from_slice(packet.get(at..end)?);
    Some(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn query(rtype: u16) -> Vec<u8> {
        let head = [0xab, 0xcd, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        [&head[..], b"\x01z\x04test\0", &rtype.to_be_bytes(), &[0, 1]].concat()
    }

    #[test]
    fn only_notices_transfers_and_signed_packets_are_ours() {
        assert!(!concerns(&query(1)));
        assert!(concerns(&query(252)) && concerns(&query(251)));
        let mut notice = query(6);
        notice[2] = 0x20;
        assert!(concerns(&notice));
        notice[2] |= 0x80;
        assert!(!concerns(&notice));
        let mut signed = query(1);
        signed[11] = 1;
        signed.extend_from_slice(&[0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 0]);
        assert!(concerns(&signed));
        let mut edns = query(1);
        edns[11] = 1;
        edns.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        assert!(!concerns(&edns));
    }

    /// RFC 3597 §4: NXT (RFC 2535 §5.2) is among the types whose names may come compressed.
    #[test]
    fn rfc3597_s4_so_is_the_name_before_the_types_of_an_nxt() {
        let mut packet = query(252);
        (packet[2], packet[7]) = (0x80, 1);
        packet.extend_from_slice(&[0xc0, 12, 0, 30, 0, 1, 0, 0, 0, 60, 0, 3, 0xc0, 14, 0x40]);
        let data = &read_response(&packet).unwrap().answer[0].data;
        assert_eq!(data, b"\x04test\0\x40");
    }

    #[test]
    fn compressed_names_in_data_are_written_out() {
        let mut packet = query(252);
        packet[2] = 0x80;
        packet[7] = 1;
        packet.extend_from_slice(&[0xc0, 12, 0, 15, 0, 1, 0, 0, 0, 60, 0, 7, 0, 10, 2]);
        packet.extend_from_slice(b"mx\xc0\x0c");
        let rows = read_response(&packet).unwrap();
        assert_eq!(rows.answer[0].data, b"\0\x0a\x02mx\x01z\x04test\0");
        assert_eq!(rows.answer[0].ttl, Ttl::from_secs(60));
    }

    #[test]
    fn a_pointer_to_itself_is_no_name() {
        let mut packet = query(252);
        packet[2] = 0x80;
        packet[7] = 1;
        let at = u8::try_from(packet.len()).unwrap();
        packet.extend_from_slice(&[0xc0, at, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 1, 2, 3, 4]);
        assert!(read_response(&packet).is_err());
    }

    proptest! {
        #[test]
        fn no_octets_are_too_strange(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = (concerns(&octets), read_request(&octets), read_response(&octets));
        }

        #[test]
        fn nor_is_a_question_with_strange_octets_behind_it(
            counts in any::<[u8; 6]>(), octets in prop::collection::vec(any::<u8>(), 0..200)
        ) {
            for flags in [0, 0x20, 0x80] {
                let mut packet = query(252);
                packet[2] = flags;
                packet[6..12].copy_from_slice(&counts);
                packet.extend_from_slice(&octets);
                let _ = (concerns(&packet), read_request(&packet), read_response(&packet));
            }
        }
    }
}
