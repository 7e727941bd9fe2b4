//! Writes an answer's OPT (RFC 6891 §6.1): what the query's options are answered with, in one
//! place for all who write answers.
//!
//! ```text
//! option          written
//! client subnet   where one came
//! COOKIE          where a client cookie came and cookies are on
//! NSID            where it was asked for and the server has a name
//! EXPIRE          where it was asked for with the SOA of a zone of ours
//! keepalive       where it was asked for, on a connection that has an idle time
//! error           where there is more to say than the response code, and room to say it
//! padding         last, where the query was padded, and nobody can read along
//! ```

use super::{
    cookies::WHOLE,
    edns::{Edns, OPTION_HEAD},
    message::Rcode,
};

/// What the OPT is to say, beside what the query alone makes it say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extras<'g> {
    /// Client cookie and server cookie (RFC 7873).
    pub(super) cookie: Option<[u8; WHOLE]>,
    /// The server's name; none where it is empty (RFC 5001).
    pub(super) nsid: &'g [u8],
    /// How many seconds a copy of the zone may be used yet (RFC 7314).
    pub(super) expire: Option<u32>,
    /// How long a connection may stay idle, in units of 100 milliseconds (RFC 7828).
    pub(super) idle: Option<u16>,
    /// Why it went as it did (RFC 8914); left out where there is no room.
    pub(super) error: Option<Extended>,
    /// The length is to tell nothing (RFC 7830).
    pub(super) padded: bool,
    /// The zone denies compactly: the answer to CO is CO (RFC 9824 §5.1).
    pub(super) compact: bool,
}

/// An extended error (RFC 8914): a code for machines, a word for people.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Extended {
    pub(super) code: u16,
    pub(super) text: &'static str,
}

impl Extended {
    /// §4.4: no cluster of the zone was heard lately.
    pub(super) const STALE: Self = Self { code: 3, text: "no cluster was heard lately" };
    /// §4.20: the same of a name that did not exist then.
    pub(super) const STALE_NXDOMAIN: Self = Self { code: 19, ..Self::STALE };
    /// §4.15: not all clusters have been heard yet.
    pub(super) const NOT_READY: Self = Self { code: 14, text: "not all sources were heard yet" };
    /// §4.18: those whom the name belongs to have clients from there left without an answer.
    pub(super) const FILTERED: Self = Self { code: 17, text: "a fence keeps the client out" };
    /// §4.19: transfers are refused.
    pub(super) const PROHIBITED: Self = Self { code: 18, text: "no zone transfers" };
    /// §4.21: the name is in none of our zones.
    pub(super) const NOT_AUTHORITATIVE: Self = Self { code: 20, text: "" };
    /// §4.22: we do not know such queries.
    pub(super) const NOT_SUPPORTED: Self = Self { code: 21, text: "" };
}

/// What there is to say to an answer from a zone that is stale.
pub(super) fn stale(rcode: Rcode) -> Extended {
    if rcode == Rcode::NXDOMAIN { Extended::STALE_NXDOMAIN } else { Extended::STALE }
}

/// How many octets must be kept for the OPT, and cannot be had for records.
pub(super) fn room(edns: Option<&Edns<'_>>, extras: &Extras<'_>) -> usize {
    edns.map_or(0, |edns| {
        let subnet = edns.subnet.map_or(0, |subnet| subnet.room());
        let cookie = extras.cookie.map_or(0, |cookie| OPTION_HEAD + cookie.len());
        let nsid = if extras.nsid.is_empty() { 0 } else { OPTION_HEAD + extras.nsid.len() };
        let idle = extras.idle.map_or(0, |_| OPTION_HEAD + 2);
        let expire = extras.expire.map_or(0, |_| OPTION_HEAD + 4);
        BARE + subnet + cookie + nsid + expire + idle
    })
}

/// Writes the OPT behind a message without one, where the query had one (RFC 6891 §7), and counts
/// it in the header. The message has been kept [`room`] shorter than `limit`, which it will not be longer than. `scope` says how far the
/// answer holds (RFC 7871 §7.2.1).
pub(super) fn write(
    edns: Option<&Edns<'_>>,
    rcode: Rcode,
    scope: u8,
    extras: &Extras<'_>,
    limit: usize,
    out: &mut Vec<u8>,
) {
    let Some(edns) = edns else { return };
    let [extended, _] = (rcode.0 << 4).to_be_bytes();
    let [high, low] = OUR_UDP_SIZE.to_be_bytes();
    let compact = extras.compact && edns.compact_ok;
    let flags = u8::from(edns.dnssec_ok) << 7 | u8::from(compact) << 6;
    out.extend_from_slice(&[0, 0, 41, high, low, extended, 0, flags, 0, 0, 0]);
    let options = out.len();
    if let Some(subnet) = edns.subnet {
        subnet.write(scope, out);
    }
    if let Some(cookie) = &extras.cookie {
        option(COOKIE, cookie, out);
    }
    if !extras.nsid.is_empty() {
        option(NSID, extras.nsid, out);
    }
    if let Some(seconds) = extras.expire {
        option(EXPIRE, &seconds.to_be_bytes(), out);
    }
    if let Some(idle) = extras.idle {
        option(KEEPALIVE, &idle.to_be_bytes(), out);
    }
    if let Some(error) = extras.error {
        write_error(error, limit, out);
    }
    if extras.padded {
        pad(limit, out);
    }
    let length = u16::try_from(out.len() - options).unwrap_or(u16::MAX);
    out[options - 2..options].copy_from_slice(&length.to_be_bytes());
    let count = u16::from_be_bytes([out[ARCOUNT], out[ARCOUNT + 1]]).saturating_add(1);
    out[ARCOUNT..ARCOUNT + 2].copy_from_slice(&count.to_be_bytes());
}

fn option(code: u16, data: &[u8], out: &mut Vec<u8>) {
    let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(data);
}

/// The code and the text, or the code alone, or nothing: never more than there is room for
/// (RFC 8914 §3).
fn write_error(error: Extended, limit: usize, out: &mut Vec<u8>) {
    let room = limit.saturating_sub(out.len());
    let text = if room < OPTION_HEAD + 2 + error.text.len() { "" } else { error.text };
    if room < OPTION_HEAD + 2 {
        return;
    }
    option(ERROR, &error.code.to_be_bytes(), out);
    let at = out.len() - 4;
    let length = u16::try_from(2 + text.len()).unwrap_or(u16::MAX);
    out[at..at + 2].copy_from_slice(&length.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Fills the message up to a whole number of blocks (RFC 8467 §4.1), as far as it may grow.
fn pad(limit: usize, out: &mut Vec<u8>) {
    let least = out.len() + OPTION_HEAD;
    let most = limit.saturating_sub(least);
    if least > limit {
        return;
    }
    let zeros = (least.next_multiple_of(BLOCK) - least).min(most);
    let length = u16::try_from(zeros).unwrap_or(u16::MAX);
    out.extend_from_slice(&PADDING.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    out.resize(out.len() + zeros, 0);
}

/// An OPT without options (RFC 6891 §6.1.2).
const BARE: usize = 11;
/// What we say we can take in UDP: fits every path without fragments (DNS flag day 2020).
const OUR_UDP_SIZE: u16 = 1232;
/// Where the header counts additional records.
const ARCOUNT: usize = 10;
/// What answers are padded to (RFC 8467 §4.1).
const BLOCK: usize = 468;

/// Options' codes, of RFC 5001, RFC 7314, RFC 7873, RFC 7828, RFC 7830 and RFC 8914.
pub(super) const NSID: u16 = 3;
pub(super) use crate::transfer::EXPIRE;
pub(super) const COOKIE: u16 = 10;
pub(super) const KEEPALIVE: u16 = 11;
pub(super) const PADDING: u16 = 12;
const ERROR: u16 = 15;
