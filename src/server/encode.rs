//! Writes an answer (RFC 1035 §4.1): whole rrsets or none, names compressed, room for OPT kept.

use super::{
    message::{HEADER, Query, Rcode, plain_name},
    opt::{self, Extended, Extras},
};
use crate::records::{Answer, Entry, Led, Outcome, Owner, RecordType};
use smallvec::SmallVec;

/// Writes the answer to `query` into `out`, at most `limit` octets; whether it had to be cut (TC).
pub(super) fn answer(
    query: &Query<'_>,
    answer: &Answer<'_>,
    extras: &Extras<'_>,
    limit: usize,
    out: &mut Vec<u8>,
) -> Written {
    let rcode = rcode(answer.outcome);
    let mut writer = Writer::begin(query, extras, limit, out);
    writer.flags(rcode, answer.authoritative);
    writer.compact = answer.compact;
    // Without its glue a referral may lead nowhere (RFC 9471 §3), so there it is worth a TC.
    let glue = answer.outcome == Outcome::Referral;
    let whole = writer.section(Count::Answer, &answer.answer)
        && writer.section(Count::Authority, &answer.authority)
        && (writer.section(Count::Additional, &answer.additional) || !glue);
    let leads = whole && matches!(answer.outcome, Outcome::Data | Outcome::Alias);
    let led = answer.answer.last().filter(|_| leads).map(|last| last.rrset.led());
    let written = writer.finish(query, rcode, scope(answer), extras, !whole);
    Written { led: led.unwrap_or_default(), ..written }
}

/// Begins a message: the query's id, opcode and flags, and its question.
pub(super) fn head(query: &Query<'_>, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&query.id);
    out.extend_from_slice(&[0; HEADER - 2]);
    out[2] = query.opcode << 3 | u8::from(query.recursion_desired);
    out[3] = u8::from(query.checking_disabled) << 4;
    out.extend_from_slice(query.question);
    out[5] = u8::from(!query.question.is_empty());
}

/// Writes an answer that is an error and nothing else.
pub(super) fn error(
    query: &Query<'_>,
    rcode: Rcode,
    extras: &Extras<'_>,
    limit: usize,
    out: &mut Vec<u8>,
) -> Written {
    let mut writer = Writer::begin(query, extras, limit, out);
    writer.flags(rcode, false);
    writer.finish(query, rcode, 0, extras, false)
}

/// Writes what makes a client come back: over TCP, or with the cookie that this brings. It is no
/// longer than the query by more than that cookie.
pub(super) fn slip(
    query: &Query<'_>,
    extras: &Extras<'_>,
    limit: usize,
    out: &mut Vec<u8>,
) -> Written {
    let extras = Extras { cookie: extras.cookie, ..Extras::default() };
    if extras.cookie.is_some() {
        return error(query, Rcode::BADCOOKIE, &extras, limit, out);
    }
    let mut writer = Writer::begin(query, &extras, limit, out);
    writer.flags(Rcode::NOERROR, false);
    writer.finish(query, Rcode::NOERROR, 0, &extras, true)
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) rcode: Rcode,
    pub(super) truncated: bool,
    /// What else was said, where there was an OPT to say it in.
    pub(super) error: Option<Extended>,
    /// Whom the last records of the answer lead to, where it was not cut.
    pub(super) led: Led,
    /// What it is counted as by its zone; 0 for none.
    pub(super) zone: u16,
}

/// The response code that an outcome is told by.
pub(super) fn rcode(outcome: Outcome) -> Rcode {
    match outcome {
        Outcome::Data | Outcome::NoData | Outcome::Referral | Outcome::Alias => Rcode::NOERROR,
        Outcome::NxDomain => Rcode::NXDOMAIN,
        Outcome::YxDomain => Rcode::YXDOMAIN,
        Outcome::Refused => Rcode::REFUSED,
        Outcome::NotReady => Rcode::SERVFAIL,
    }
}

/// How far the answer holds. Only the answer section is of one network (RFC 7871 §7.3.1): a plain
/// "no", an error or a delegation holds for everyone (§7.4), but not an alias that leads to one.
fn scope(answer: &Answer<'_>) -> u8 {
    if answer.answer.is_empty() { 0 } else { answer.scope }
}

/// Where a section's count stands in the header.
#[derive(Clone, Copy)]
enum Count {
    Answer = 6,
    Authority = 8,
    Additional = 10,
}

struct Writer<'w> {
    out: &'w mut Vec<u8>,
    /// Where the message must end, and where records must, so that there is room for the OPT.
    end: usize,
    limit: usize,
    /// How many octets the question's name takes; nothing, where it is not repeated.
    asked: usize,
    /// The names behind it that a pointer may point at.
    names: SmallVec<[Known; MAX_NAMES]>,
    /// Whether CO is answered with CO (RFC 9824 §5.1).
    compact: bool,
}

/// A name that stands in the message, or the end of one.
#[derive(Clone, Copy)]
struct Known {
    at: u16,
    /// How many octets it takes without compression; names of other lengths are not compared, so
    /// each remembered name is compared at most once with each name to be written.
    octets: u16,
}

/// More names than this are not remembered: what is compared per name stays bounded.
const MAX_NAMES: usize = 24;
/// Where pointers of 14 bits end (RFC 1035 §4.1.4).
const POINTERS_END: usize = 0x4000;
/// Where the question's name stands: right behind the header.
const QUESTION: u16 = 12;

impl<'w> Writer<'w> {
    fn begin(query: &Query<'_>, extras: &Extras<'_>, end: usize, out: &'w mut Vec<u8>) -> Self {
        head(query, out);
        let limit = end.saturating_sub(opt::room(query.edns.as_ref(), extras));
        let asked = if query.question.is_empty() { 0 } else { query.name.len() };
        Self { out, end, limit, asked, names: SmallVec::new(), compact: false }
    }

    fn flags(&mut self, rcode: Rcode, authoritative: bool) {
        self.out[2] |= 0x80 | u8::from(authoritative) << 2;
        self.out[3] |= u8::try_from(rcode.0 & 0x0f).unwrap_or_default();
    }

    fn finish(
        self,
        query: &Query<'_>,
        rcode: Rcode,
        scope: u8,
        extras: &Extras<'_>,
        truncated: bool,
    ) -> Written {
        if truncated {
            self.out[2] |= 0x02;
        }
        let compact = self.compact;
        let extras = &Extras { compact, ..*extras };
        opt::write(query.edns.as_ref(), rcode, scope, extras, self.end, self.out);
        Written { rcode, truncated, error: extras.error, led: Led::default(), zone: 0 }
    }

    /// Whether all of the section's rrsets fit.
    fn section(&mut self, section: Count, entries: &[Entry<'_>]) -> bool {
        entries.iter().all(|entry| self.rrset(section, entry))
    }

    /// Whether the rrset fits with its signatures: without them, it would be taken for a forgery.
    fn rrset(&mut self, section: Count, entry: &Entry<'_>) -> bool {
        let (start, known) = (self.out.len(), self.names.len());
        let (mut records, mut owner) = (0_u16, None);
        let rrsets = [Some(&entry.rrset), entry.rrsig.as_ref()];
        let all = rrsets.into_iter().flatten();
        for (rtype, data) in all.flat_map(|own| own.rdata().map(|data| (own.rtype, data))) {
            match owner {
                Some(at) => self.pointer(at),
                None => owner = self.owner(&entry.owner),
            }
            self.out.extend_from_slice(&rtype.0.to_be_bytes());
            self.out.extend_from_slice(&[0, 1]);
            self.out.extend_from_slice(&entry.ttl.as_secs().to_be_bytes());
            self.data(rtype, data);
            records = records.saturating_add(1);
            if self.out.len() > self.limit {
                self.out.truncate(start);
                self.names.truncate(known);
                return false;
            }
        }
        count(self.out, section, records);
        true
    }

    /// Writes the owner; where the next record of the same one may point.
    fn owner(&mut self, owner: &Owner<'_>) -> Option<u16> {
        match owner {
            // The root's one octet is shorter than a pointer to it.
            Owner::Asked if self.out.get(HEADER) == Some(&0) => {
                self.out.push(0);
                None
            }
            Owner::Asked => {
                self.pointer(QUESTION);
                Some(QUESTION)
            }
            Owner::Name(name) => self.name(name.as_wire()),
        }
    }

    fn data(&mut self, rtype: RecordType, data: &[u8]) {
        let at = self.out.len();
        self.out.extend_from_slice(&[0, 0]);
        match split_names(rtype, data) {
            Some((before, names, after)) => {
                self.out.extend_from_slice(before);
                for name in names {
                    self.name(name);
                }
                self.out.extend_from_slice(after);
            }
            None => self.out.extend_from_slice(data),
        }
        let length = u16::try_from(self.out.len() - at - 2).unwrap_or(u16::MAX);
        self.out[at..at + 2].copy_from_slice(&length.to_be_bytes());
    }

    /// Writes the name, its end replaced by a pointer where that end was written before. Where a
    /// pointer to the whole may lead, if one can and is shorter.
    fn name(&mut self, wire: &[u8]) -> Option<u16> {
        let start = self.out.len();
        let mut at = 0;
        while let Some(length) = wire.get(at).copied().filter(|length| *length > 0) {
            if let Some(known) = self.find(&wire[at..]) {
                self.pointer(known);
                self.remember(wire, start, at);
                return if at == 0 { Some(known) } else { pointable(start) };
            }
            let next = at + 1 + usize::from(length);
            self.out.extend_from_slice(&wire[at..next]);
            at = next;
        }
        self.out.push(0);
        self.remember(wire, start, at);
        pointable(start).filter(|_| at > 0)
    }

    fn find(&self, suffix: &[u8]) -> Option<u16> {
        self.in_question(suffix).or_else(|| self.behind_question(suffix))
    }

    /// The question's name is whole, so where an end of that length would begin needs no search; and
    /// however many labels it has, they take no other name's place.
    fn in_question(&self, suffix: &[u8]) -> Option<u16> {
        let start = (HEADER + self.asked).checked_sub(suffix.len()).filter(|at| *at >= HEADER)?;
        if !self.out.get(start..start + suffix.len())?.eq_ignore_ascii_case(suffix) {
            return None;
        }
        let mut at = HEADER;
        while at < start {
            at += 1 + usize::from(*self.out.get(at)?);
        }
        pointable(start).filter(|_| at == start)
    }

    fn behind_question(&self, suffix: &[u8]) -> Option<u16> {
        let mut known = self.names.iter();
        let same = |known: &&Known| {
            usize::from(known.octets) == suffix.len()
                && same_name(self.out, usize::from(known.at), suffix)
        };
        known.find(same).map(|known| known.at)
    }

    fn pointer(&mut self, at: u16) {
        self.out.extend_from_slice(&(0xc000 | at).to_be_bytes());
    }

    /// Remembers the labels before `end` of a name that begins at `start`.
    fn remember(&mut self, wire: &[u8], start: usize, end: usize) {
        let mut at = 0;
        while at < end && self.names.len() < MAX_NAMES {
            let octets = u16::try_from(wire.len() - at);
            let (Some(offset), Ok(octets)) = (pointable(start + at), octets) else { return };
            self.names.push(Known { at: offset, octets });
            at += 1 + usize::from(wire[at]);
        }
    }
}

/// The offset, if a pointer reaches it.
fn pointable(offset: usize) -> Option<u16> {
    u16::try_from(offset).ok().filter(|_| offset < POINTERS_END)
}

/// Whether the name at `at` in the message is `suffix`, without case.
fn same_name(message: &[u8], mut at: usize, mut suffix: &[u8]) -> bool {
    loop {
        let Some(length) = message.get(at).copied() else { return false };
        if length >= 0xc0 {
            let Some(low) = message.get(at + 1) else { return false };
            let target = usize::from(u16::from_be_bytes([length & 0x3f, *low]));
            // The pointers that we wrote lead backwards, so this ends.
            if target >= at {
                return false;
            }
            at = target;
            continue;
        }
        let end = 1 + usize::from(length);
        let (Some(own), Some(other)) = (message.get(at..at + end), suffix.get(..end)) else {
            return false;
        };
        if !own.eq_ignore_ascii_case(other) {
            return false;
        }
        if length == 0 {
            return true;
        }
        at += end;
        suffix = &suffix[end..];
    }
}

type Split<'d> = (&'d [u8], SmallVec<[&'d [u8]; 2]>, &'d [u8]);

/// The names within the data of types whose names may be compressed (RFC 3597 §4), what stands
/// before and what behind them; `None` also where they are no names, and stay as they are.
fn split_names(rtype: RecordType, data: &[u8]) -> Option<Split<'_>> {
    let (skip, names) = match rtype.0 {
        2 | 5 | 12 => (0, 1),
        6 => (0, 2),
        15 => (2, 1),
        _ => return None,
    };
    let (before, mut rest) = data.split_at_checked(skip)?;
    let mut found: SmallVec<[&[u8]; 2]> = SmallVec::new();
    for _ in 0..names {
        let (name, after) = rest.split_at_checked(plain_name(rest)?)?;
        found.push(name);
        rest = after;
    }
    Some((before, found, rest))
}

fn count(out: &mut [u8], section: Count, add: u16) {
    let at = section as usize;
    let sum = u16::from_be_bytes([out[at], out[at + 1]]).saturating_add(add);
    out[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}
