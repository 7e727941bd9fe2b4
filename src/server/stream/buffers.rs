//! What a connection holds: octets that came and are no whole message yet, and octets that wait to
//! be taken. Both shrink again, so that a connection at rest holds little, whatever it did before.

use crate::server::message::HEADER;
use std::ops::Range;

/// Octets that came.
#[derive(Debug, Default)]
pub(super) struct Input {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

/// A length that no message has: what follows cannot be read.
#[derive(Debug)]
pub(super) struct TooShort;

impl Input {
    /// Where the next whole message lies, once it has come (RFC 1035 §4.2.2).
    pub(super) fn message(&self) -> Result<Option<Range<usize>>, TooShort> {
        let Some(length) = self.length() else { return Ok(None) };
        if length < HEADER {
            return Err(TooShort);
        }
        let start = self.start + LENGTH;
        let whole = start + length <= self.end;
        Ok(whole.then_some(start..start + length))
    }

    pub(super) fn octets(&self, message: Range<usize>) -> &[u8] {
        &self.buffer[message]
    }

    /// Done with the message that ends there.
    pub(super) fn past(&mut self, end: usize) {
        self.start = end;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.buffer.len() > KEPT {
                self.buffer.truncate(KEPT);
                self.buffer.shrink_to_fit();
            }
        }
    }

    /// Whether part of a message has come.
    pub(super) fn is_partial(&self) -> bool {
        self.start < self.end
    }

    /// Where the next octets go. Room is made for what has come, not for what a length promises: it
    /// doubles each time that it was filled.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.start > 0 && self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.buffer.len() {
            let longest = LENGTH + usize::from(u16::MAX);
            self.buffer.resize((2 * self.end).clamp(KEPT, longest), 0);
        }
        &mut self.buffer[self.end..]
    }

    /// So many octets came into the room.
    pub(super) fn came(&mut self, octets: usize) {
        self.end += octets;
    }

    fn length(&self) -> Option<usize> {
        let head = self.buffer[self.start..self.end].first_chunk::<LENGTH>()?;
        Some(usize::from(u16::from_be_bytes(*head)))
    }
}

/// Octets that wait to be taken.
#[derive(Debug, Default)]
pub(super) struct Output {
    buffer: Vec<u8>,
    taken: usize,
    /// Messages since nothing waited.
    messages: usize,
}

impl Output {
    /// Adds a message, with its length before it.
    pub(super) fn add(&mut self, message: &[u8]) {
        let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
        self.make_room(LENGTH + usize::from(length));
        self.buffer.extend_from_slice(&length.to_be_bytes());
        self.buffer.extend_from_slice(&message[..usize::from(length)]);
        self.messages += 1;
    }

    /// What was taken makes room where it is most of what is held: a client that always leaves some
    /// must not have all that it ever got held for it. Doubling would hold as much again for nothing.
    fn make_room(&mut self, wanted: usize) {
        let free = |buffer: &Vec<u8>| buffer.capacity() - buffer.len();
        if free(&self.buffer) < wanted && self.taken >= self.octets().len() {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
        if free(&self.buffer) < wanted {
            self.buffer.reserve_exact(wanted.max(KEPT_OUT));
        }
    }

    pub(super) fn octets(&self) -> &[u8] {
        &self.buffer[self.taken..]
    }

    pub(super) fn messages(&self) -> usize {
        self.messages
    }

    pub(super) fn taken(&mut self, octets: usize) {
        self.taken += octets;
        if self.taken == self.buffer.len() {
            self.buffer.clear();
            self.buffer.shrink_to(KEPT_OUT);
            (self.taken, self.messages) = (0, 0);
        }
    }
}

/// The octets of a message's length.
const LENGTH: usize = 2;
/// What a connection keeps for what comes: some hundred queries fit.
const KEPT: usize = 4_096;
/// And for what goes: together with the above, all connections keep 80 MB at most.
const KEPT_OUT: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_client_that_always_leaves_some_has_little_held_for_it() {
        let mut output = Output::default();
        for message in 0..10_000_u16 {
            output.add(&[message.to_be_bytes()[1]; 1_000]);
            if output.octets().len() > 8_000 {
                output.taken(7_990);
            }
            assert!(output.buffer.capacity() <= 2 * 9_100 + 2 * KEPT_OUT, "after {message}");
        }
        // What is left is in order still.
        output.add(&[7; 1_000]);
        assert!(output.octets().ends_with(&[7; 1_000]));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        #[test]
        fn messages_come_out_as_they_went_in_however_they_are_cut(
            lengths in proptest::collection::vec(
                prop_oneof![12_usize..300, 4_000_usize..9_000, Just(65_535_usize)], 1..8),
            cuts in proptest::collection::vec(1_usize..20_000, 1..20),
        ) {
            let mut wire = Vec::new();
            for (at, length) in lengths.iter().enumerate() {
                wire.extend_from_slice(&u16::try_from(*length).unwrap().to_be_bytes());
                wire.extend(std::iter::repeat_n(u8::try_from(at).unwrap(), *length));
            }
            let (mut input, mut rest, mut found) = (Input::default(), &wire[..], Vec::new());
            let mut cuts = cuts.iter().cycle();
            while !rest.is_empty() {
                let room = input.room();
                let octets = room.len().min(rest.len()).min(*cuts.next().unwrap());
                room[..octets].copy_from_slice(&rest[..octets]);
                rest = &rest[octets..];
                input.came(octets);
                while let Some(message) = input.message().unwrap() {
                    let octets = input.octets(message.clone());
                    found.push((octets.len(), octets.iter().all(|octet| *octet == octets[0])));
                    input.past(message.end);
                }
                prop_assert!(input.buffer.len() <= 65_537);
            }
            let expected: Vec<_> = lengths.iter().map(|length| (*length, true)).collect();
            prop_assert_eq!(found, expected);
            prop_assert!(!input.is_partial());
            prop_assert!(input.buffer.capacity() <= KEPT, "a connection at rest holds little");
        }
    }

    #[test]
    fn a_length_alone_takes_no_room() {
        let mut input = Input::default();
        input.room()[..2].copy_from_slice(&[0xff, 0xff]);
        input.came(2);
        assert!(matches!(input.message(), Ok(None)) && input.is_partial());
        assert_eq!(input.buffer.len(), KEPT);
    }

    #[test]
    fn no_message_is_shorter_than_a_header() {
        let mut input = Input::default();
        input.room()[..2].copy_from_slice(&[0, 11]);
        input.came(2);
        assert!(input.message().is_err());
    }

    #[test]
    fn what_was_taken_makes_room() {
        let mut output = Output::default();
        (0..3).for_each(|_| output.add(&[7; 60_000]));
        assert_eq!((output.octets().len(), output.messages()), (180_006, 3));
        output.taken(180_005);
        assert_eq!(output.octets(), [7]);
        output.taken(1);
        assert_eq!((output.messages(), output.octets().len()), (0, 0));
        assert!(output.buffer.capacity() <= KEPT_OUT);
    }
}
