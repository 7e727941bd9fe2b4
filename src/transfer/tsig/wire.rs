//! The TSIG record in a message (RFC 8945 §4.2), and the octets that are signed (§4.3).

use super::super::message::{Malformed, name_end};
use crate::model::Name;
use ring::hmac::Context;

/// A TSIG record as it was read.
#[derive(Clone, Debug)]
pub(super) struct Tsig {
    pub(super) key: Name,
    pub(super) algorithm: Name,
    pub(super) time: u64,
    pub(super) fudge: u16,
    pub(super) mac: Vec<u8>,
    pub(super) original_id: [u8; 2],
    pub(super) error: u16,
    pub(super) other: Vec<u8>,
}

impl Tsig {
    /// Reads the record that begins at `at` and is the message's last.
    pub(super) fn read(packet: &[u8], at: usize) -> Result<Self, Malformed> {
        Self::try_read(packet, at).ok_or(Malformed("a TSIG record"))
    }

    fn try_read(packet: &[u8], at: usize) -> Option<Self> {
        // Names in it are not compressed by anyone; a pointer would make it not the last to say so.
        let end = name_end(packet, at)?;
        let key = Name::from_wire(packet.get(at..end)?).ok()?;
        let fixed = packet.get(end..end + 10)?;
        let (class, ttl) = (&fixed[2..4], &fixed[4..8]);
        if class != [0, 255] || ttl != [0; 4] {
            return None;
        }
        let data = packet.get(end + 10..)?;
        if data.len() != usize::from(u16::from_be_bytes([fixed[8], fixed[9]])) {
            return None;
        }
        let name = name_end(data, 0)?;
        let algorithm = Name::from_wire(data.get(..name)?).ok()?;
        let (times, rest) = data.get(name..)?.split_first_chunk::<8>()?;
        let time = times[..6].iter().fold(0, |all, octet| all << 8 | u64::from(*octet));
        let fudge = u16::from_be_bytes([times[6], times[7]]);
        let (mac, rest) = counted(rest)?;
        let (ends, rest) = rest.split_first_chunk::<4>()?;
        let (other, rest) = counted(rest)?;
        let [high, low, error @ ..] = *ends;
        let error = u16::from_be_bytes(error);
        let tsig = Self {
            key,
            algorithm,
            time,
            fudge,
            mac: mac.to_vec(),
            original_id: [high, low],
            error,
            other: other.to_vec(),
        };
        rest.is_empty().then_some(tsig)
    }

    /// Appends the record to a message.
    pub(super) fn write(&self, message: &mut Vec<u8>) {
        message.extend_from_slice(self.key.as_wire());
        message.extend_from_slice(&[0, 250, 0, 255, 0, 0, 0, 0]);
        let mut data = self.algorithm.as_wire().to_vec();
        data.extend_from_slice(&self.timers());
        put_counted(&mut data, &self.mac);
        data.extend_from_slice(&self.original_id);
        data.extend_from_slice(&self.error.to_be_bytes());
        put_counted(&mut data, &self.other);
        put_counted(message, &data);
        let count = u16::from_be_bytes([message[10], message[11]]).saturating_add(1);
        message[10..12].copy_from_slice(&count.to_be_bytes());
    }

    /// Time and fudge (§4.3.3).
    pub(super) fn timers(&self) -> [u8; 8] {
        let time = self.time.to_be_bytes();
        let fudge = self.fudge.to_be_bytes();
        [time[2], time[3], time[4], time[5], time[6], time[7], fudge[0], fudge[1]]
    }

    /// The variables of a message that is not one of many (§4.3.3): names in lower case, class and
    /// TTL as they always are.
    pub(super) fn sign_variables(&self, context: &mut Context) {
        context.update(self.key.to_lowercase().as_wire());
        context.update(&[0, 255, 0, 0, 0, 0]);
        context.update(self.algorithm.to_lowercase().as_wire());
        context.update(&self.timers());
        context.update(&self.error.to_be_bytes());
        let mut other = Vec::new();
        put_counted(&mut other, &self.other);
        context.update(&other);
    }
}

/// The message as it was before its TSIG record was appended (§4.3.2).
pub(super) fn without(packet: &[u8], at: usize, original_id: [u8; 2]) -> Vec<u8> {
    let mut message = packet[..at].to_vec();
    message[..2].copy_from_slice(&original_id);
    let count = u16::from_be_bytes([message[10], message[11]]).saturating_sub(1);
    message[10..12].copy_from_slice(&count.to_be_bytes());
    message
}

/// Signs the MAC that came before, with its length (§4.3.1).
pub(super) fn sign_prior(context: &mut Context, prior: &[u8]) {
    if !prior.is_empty() {
        let length = u16::try_from(prior.len()).unwrap_or(u16::MAX);
        context.update(&length.to_be_bytes());
        context.update(prior);
    }
}

fn counted(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = octets.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

fn put_counted(out: &mut Vec<u8>, octets: &[u8]) {
    let length = u16::try_from(octets.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(octets);
}
