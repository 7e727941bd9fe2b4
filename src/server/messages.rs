//! Answers that take more than one message: zone transfers (RFC 5936 §2.2, RFC 1995 §4).
//!
//! A connection asks for the next message when there is room for it, so a transfer holds one
//! message in memory at most, waits for a slow client without a task of its own, and leaves the
//! connection's other queries their turns.

use super::{
    Stats,
    clock::Stamp,
    guard::Notes,
    message::{HEADER, plain_name},
    respond::{Answers, Arrival},
};
use crate::records::RecordType;

/// The messages that answer one query, made one at a time as the client takes them.
pub trait Messages: Send {
    /// Writes the next message, without its length, into `out`, which is empty. Must not wait, and
    /// must cost a bounded amount of work. `at` is the time now, which signatures bear.
    fn next(&mut self, at: Stamp, out: &mut Vec<u8>) -> Next;
}

/// What came of asking for the next message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// `out` holds it, at most 65,535 octets.
    Message,
    /// There are no more, and nothing was written.
    End,
    /// It cannot be made: the connection is closed, so that the client does not take the part that
    /// it has for the whole (RFC 5936 §2.2).
    Abort,
}

/// The messages that answer a query for a transfer, which is counted as one answer of its type and
/// zone; `None` where one message answers it.
pub(super) fn begin<A: Answers>(
    answers: &A,
    packet: &[u8],
    arrival: &Arrival<'_>,
    stats: &Stats,
) -> Option<Box<dyn Messages>> {
    if !asks_for_transfer(packet) {
        return None;
    }
    let begun = answers.transfer(packet, arrival)?;
    stats.noted(&noted(answers, packet, Notes::default()));
    Some(begun)
}

/// The same notes, with what was asked for.
pub(super) fn noted<A: Answers>(answers: &A, packet: &[u8], notes: Notes) -> Notes {
    let Some((name, rtype)) = asked(packet) else { return notes };
    Notes { rtype: Some(rtype), zone: answers.compiled().zone_of(name), ..notes }
}

/// Looked at for every query over a connection, so nothing is read that is not needed for it.
fn asks_for_transfer(packet: &[u8]) -> bool {
    // A query, of opcode 0.
    packet.get(2).is_some_and(|flags| flags & 0xf8 == 0)
        && asked(packet).is_some_and(|(_, rtype)| [IXFR, AXFR].contains(&rtype.0))
}

/// Name and type of the first question.
fn asked(packet: &[u8]) -> Option<(&[u8], RecordType)> {
    let question = packet.get(HEADER..)?;
    let (name, rest) = question.split_at_checked(plain_name(question)?)?;
    Some((name, RecordType(u16::from_be_bytes(*rest.first_chunk()?))))
}

/// RFC 1995 §2.
const IXFR: u16 = 251;
/// RFC 1035 §3.2.3.
const AXFR: u16 = 252;
