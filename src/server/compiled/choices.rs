//! What the clients of a steered name are answered with: all of it side by side, so that the answer
//! for one of them is copied from one place.

use super::Records;
use crate::{
    model::{Client, Ttl},
    policy::Settled,
    records::{Led, RecordType, Rrset, Steered},
};
use std::sync::Arc;

/// A steered name's answers in one family.
#[derive(Debug)]
pub(super) struct Choices {
    /// Where each of the next parts ends and whom it leads to, two octets each; the alias chain, if
    /// any; the records for each of the decision's variants, with what stands before each.
    octets: Box<[u8]>,
    /// Where the alias chain begins in there: behind the ends.
    start: usize,
    /// How many records the alias chain has.
    count: u16,
    settled: Settled,
    /// The pointer to the owner's name.
    owner: u16,
    pub(super) steered: Arc<Steered>,
}

/// The records that are settled ahead for a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice<'c> {
    pub(super) records: &'c [u8],
    /// How many, those of the alias chain included.
    pub(super) count: u16,
    /// Leading bits of the client's subnet that they hold for.
    pub(super) scope: u8,
    /// Whom they lead to.
    pub(super) led: Led,
}

/// Owner (a pointer), type, class and TTL (RFC 1035 §4.1.3).
const RECORD_HEAD: usize = 10;
/// Where a part ends and whom it leads to.
const PART: usize = 4;

impl Choices {
    /// `None` where a family is answered to nobody, or there is more than two octets can count.
    pub(super) fn new(
        chain: &Records,
        owner: u16,
        rtype: RecordType,
        steered: &Arc<Steered>,
    ) -> Option<Self> {
        let v6 = rtype == RecordType::AAAA;
        let settled = steered.steering().settled(v6)?;
        let variants = steered.variants(v6);
        let start = PART * (variants.len() + 1);
        let mut octets = vec![0; start];
        octets.extend_from_slice(&chain.octets);
        set_end(&mut octets, 0, Led::default())?;
        for (at, variant) in variants.iter().enumerate() {
            let rrset = variant.as_ref().filter(|rrset| rrset.rtype == rtype);
            if let Some(rrset) = rrset {
                write(rrset, owner, settled.ttl, &mut octets);
            }
            set_end(&mut octets, at + 1, rrset.map(Rrset::led).unwrap_or_default())?;
        }
        let (octets, steered) = (octets.into(), steered.clone());
        Some(Self { octets, start, count: chain.count, settled, owner, steered })
    }

    /// What is settled ahead for a client; `None` where the steering has to choose.
    pub(super) fn settled(&self, rtype: RecordType, client: &Client) -> Option<Choice<'_>> {
        let (variant, scope) = self.settled.decide(client)?;
        let variant = usize::try_from(variant).ok()?;
        let (end, led) = self.end(variant + 1)?;
        let records = self.octets.get(self.end(variant)?.0..end)?;
        let each = RECORD_HEAD + 2 + if rtype == RecordType::AAAA { 16 } else { 4 };
        let count = self.count.saturating_add(u16::try_from(records.len() / each).ok()?);
        (count > self.count).then_some(Choice { records, count, scope, led })
    }

    /// The alias chain, and how many records it has.
    pub(super) fn chain(&self) -> (&[u8], u16) {
        let (end, _) = self.end(0).unwrap_or_default();
        (self.octets.get(self.start..end).unwrap_or_default(), self.count)
    }

    /// Adds an rrset's records under this name.
    pub(super) fn write(&self, rrset: &Rrset, ttl: Ttl, out: &mut Vec<u8>) {
        write(rrset, self.owner, ttl, out);
    }

    fn end(&self, part: usize) -> Option<(usize, Led)> {
        let [high, low, led @ ..] = *self.octets.get(PART * part..)?.first_chunk::<PART>()?;
        let end = usize::from(u16::from_be_bytes([high, low]));
        Some((end, Led(u16::from_be_bytes(led))))
    }
}

/// Equal when all clients get the same octets.
impl PartialEq for Choices {
    fn eq(&self, other: &Self) -> bool {
        self.octets == other.octets && self.steered == other.steered
    }
}

impl Eq for Choices {}

fn set_end(octets: &mut [u8], part: usize, led: Led) -> Option<()> {
    let end = u16::try_from(octets.len()).ok()?;
    let place = octets.get_mut(PART * part..)?.first_chunk_mut::<PART>()?;
    place[..2].copy_from_slice(&end.to_be_bytes());
    place[2..].copy_from_slice(&led.0.to_be_bytes());
    Some(())
}

fn write(rrset: &Rrset, owner: u16, ttl: Ttl, out: &mut Vec<u8>) {
    let mut head = [0; RECORD_HEAD];
    head[..2].copy_from_slice(&owner.to_be_bytes());
    head[2..4].copy_from_slice(&rrset.rtype.0.to_be_bytes());
    head[5] = 1; // class IN
    head[6..].copy_from_slice(&ttl.as_secs().to_be_bytes());
    for data in rrset.framed() {
        out.extend_from_slice(&head);
        out.extend_from_slice(data);
    }
}
