//! An SOA record as it stands in negative answers: octets whose pointers are set for each question.

use super::Lowered;
use crate::server::message::HEADER;
use smallvec::SmallVec;

/// A zone's SOA record, from its owner to its last number, and the signatures over it.
#[derive(Clone, Debug)]
pub(super) struct Soa {
    octets: Box<[u8]>,
    /// How many records.
    count: u16,
    pointers: SmallVec<[Pointer; 3]>,
    /// The last labels of the primary's and the mailbox's name, one more than the apex has.
    ends: SmallVec<[Lowered; 2]>,
    apex: Lowered,
}

/// Where a pointer stands, and where it leads.
#[derive(Clone, Copy, Debug)]
struct Pointer {
    at: usize,
    to: Place,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// Into the question's name, so many octets before its end.
    BeforeEnd(usize),
    /// Into these octets.
    Own(usize),
}

/// The last labels of a name within the apex, one more than that has.
fn end(name: &[u8], apex: &[u8]) -> Option<Lowered> {
    let front = name.strip_suffix(apex)?;
    let starts = super::label_starts(name);
    let last = starts.iter().rfind(|at| **at < front.len())?;
    Some(Lowered::from_slice(&name[*last..]))
}

/// Type, class, TTL and length of data (RFC 1035 §4.1.3).
const FIXED: usize = 10;
/// An SOA's numbers (RFC 1035 §3.3.13).
const NUMBERS: usize = 20;
/// Type and class of a question.
const QUESTION_END: usize = 4;

impl Soa {
    /// From a message that asks for the apex and has nothing but its SOA, and signatures, behind the
    /// question; `None` for a form that cannot be moved.
    pub(super) fn read(message: &[u8], apex: &[u8], names: &[Lowered; 2]) -> Option<Self> {
        let apex_octets = apex.len();
        let start = HEADER + apex_octets + QUESTION_END;
        let octets = message.get(start..)?;
        let ends = names.iter().filter_map(|name| end(name, apex)).collect();
        let apex = Lowered::from_slice(apex);
        let pointers = SmallVec::new();
        let mut soa = Self { octets: octets.into(), count: 1, pointers, ends, apex };
        let owner = soa.pass_name(0, start, apex_octets)?;
        let primary = soa.pass_name(owner + FIXED, start, apex_octets)?;
        let mailbox = soa.pass_name(primary, start, apex_octets)?;
        let mut end = mailbox + NUMBERS;
        // A signature's names are not compressed (RFC 4034 §3.1.7), but its owner is.
        while end < octets.len() {
            let fixed = soa.pass_name(end, start, apex_octets)?;
            let length = octets.get(fixed + FIXED - 2..)?.first_chunk()?;
            end = fixed + FIXED + usize::from(u16::from_be_bytes(*length));
            soa.count = soa.count.checked_add(1)?;
        }
        (end == octets.len()).then_some(soa)
    }

    /// How many records.
    pub(super) fn count(&self) -> u16 {
        self.count
    }

    /// The zone's name.
    pub(super) fn apex(&self) -> &[u8] {
        &self.apex
    }

    /// Whether a name has more labels in common with one of the record's than the apex has: then
    /// that would be compressed otherwise.
    pub(super) fn is_near(&self, lowered: &[u8]) -> bool {
        self.ends.iter().any(|end| lowered.ends_with(end))
    }

    /// Adds the record to a message whose question's name has so many octets; `None` where a
    /// pointer would not reach.
    pub(super) fn write(&self, name_octets: usize, out: &mut Vec<u8>) -> Option<()> {
        let start = out.len();
        out.extend_from_slice(&self.octets);
        for pointer in &self.pointers {
            let to = match pointer.to {
                Place::BeforeEnd(octets) => (HEADER + name_octets).checked_sub(octets)?,
                Place::Own(at) => start + at,
            };
            let to = u16::try_from(to).ok().filter(|to| *to < 0x4000)?;
            let at = start + pointer.at;
            out.get_mut(at..at + 2)?.copy_from_slice(&(0xc000 | to).to_be_bytes());
        }
        Some(())
    }

    /// Where the name at `at` ends; its pointer, if it ends in one, is remembered.
    fn pass_name(&mut self, mut at: usize, start: usize, apex_octets: usize) -> Option<usize> {
        loop {
            let length = *self.octets.get(at)?;
            if length < 0xc0 {
                at += 1 + usize::from(length);
                if length == 0 {
                    return Some(at);
                }
                continue;
            }
            let target =
                usize::from(u16::from_be_bytes([length & 0x3f, *self.octets.get(at + 1)?]));
            let to = match target.checked_sub(start) {
                Some(own) => Place::Own(own),
                None => Place::BeforeEnd((HEADER + apex_octets).checked_sub(target)?),
            };
            self.pointers.push(Pointer { at, to });
            return Some(at + 2);
        }
    }
}
