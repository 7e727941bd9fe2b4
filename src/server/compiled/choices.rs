//! What the clients of a steered name are answered with: all of it side by side, so that the answer
//! for one of them is copied from one place.

use super::Records;
use crate::{
    model::{Client, Ttl},
    records::{Led, RecordType, Rrset, Settled, SignedFamily, Steered},
};
use std::sync::Arc;

/// Owner (a pointer), type, class and TTL (RFC 1035 §4.1.3).
const RECORD_HEAD: usize = 10;

/// A steered name's answers in one family.
#[derive(Debug)]
pub(super) struct Choices {
    /// A [`PART`] for each of these: the list of them itself; the alias chain, if any; the records
    /// for each of the decision's variants, with their signatures where those are wanted.
    octets: Box<[u8]>,
    settled: Settled,
    steered: Arc<Steered>,
}

/// Where a part of the octets ends, how many records it has and whom they lead to: two octets each.
const PART: usize = 6;

/// Octets that come into the processor's cache together.
const CACHE_LINE: usize = 64;

/// Octets of the answer section.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'c> {
    pub(super) octets: &'c [u8],
    /// How many records.
    pub(super) count: u16,
    /// Whom they lead to.
    pub(super) led: Led,
}

/// What one client is answered with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice<'c> {
    pub(super) records: Part<'c>,
    /// Another TTL than theirs.
    pub(super) ttl: Option<Ttl>,
    /// Leading bits of the client's subnet that they hold for.
    pub(super) scope: u8,
    /// Whom the records lead to.
    pub(super) led: Led,
}

impl Choices {
    /// `None` where a family is answered to nobody, or there is more than two octets can count.
    /// `owner` is the pointer to the name whose records they are.
    pub(super) fn new(
        chain: &Records,
        owner: u16,
        rtype: RecordType,
        steered: &Arc<Steered>,
        signed: Option<&SignedFamily>,
    ) -> Option<Self> {
        let v6 = rtype == RecordType::AAAA;
        let settled = steered.settled(v6)?;
        let variants = steered.variants(v6);
        let nobody = Led::default();
        let mut octets = vec![0; PART * (variants.len() + 2)];
        end_part(&mut octets, 0, 0, nobody)?;
        octets.extend_from_slice(&chain.octets);
        end_part(&mut octets, 1, usize::from(chain.count), nobody)?;
        for (at, variant) in variants.iter().enumerate() {
            let rrsig = signed.and_then(|signed| signed.variants.get(at)?.as_ref());
            let all = match variant.as_ref().filter(|rrset| rrset.rtype == rtype) {
                Some(rrset) if signed.is_none() || rrsig.is_some() => [Some(rrset), rrsig],
                _ => [None, None],
            };
            let mut count = 0;
            for rrset in all.into_iter().flatten() {
                write(rrset, owner, settled.ttl, &mut octets);
                count += rrset.len();
            }
            let led = all[0].map(Rrset::led).unwrap_or_default();
            end_part(&mut octets, at + 2, count, led)?;
        }
        let (octets, steered) = (octets.into(), steered.clone());
        Some(Self { octets, settled, steered })
    }

    /// What a client is answered with; `None` where it is not put together: a fence leaves nothing,
    /// or an alias stands outside of it.
    pub(super) fn choose(&self, rtype: RecordType, client: &Client) -> Option<Choice<'_>> {
        let (variant, ttl, scope) = match self.settled.decide(client) {
            Some((variant, scope)) => (variant, self.settled.ttl, scope),
            None => {
                let chosen = self.steered.choose(rtype, client)?;
                (chosen.variant?, chosen.ttl, chosen.scope)
            }
        };
        let records = self.part(usize::try_from(variant).ok()?.checked_add(2)?)?;
        let ttl = (ttl != self.settled.ttl).then_some(ttl);
        (records.count > 0).then_some(Choice { records, ttl, scope, led: records.led })
    }

    /// The alias chain.
    pub(super) fn chain(&self) -> Option<Part<'_>> {
        self.part(1)
    }

    /// Reads of its memory what answers are copied from, as far as that is little.
    pub(super) fn touch(&self) -> u8 {
        self.octets.iter().step_by(CACHE_LINE).take(4).fold(0, |sum, octet| sum ^ octet)
    }

    fn part(&self, at: usize) -> Option<Part<'_>> {
        let (start, ..) = self.end(at.checked_sub(1)?)?;
        let (end, count, led) = self.end(at)?;
        Some(Part { octets: self.octets.get(start..end)?, count, led })
    }

    fn end(&self, part: usize) -> Option<(usize, u16, Led)> {
        let [e0, e1, c0, c1, l0, l1] = *self.octets.get(PART * part..)?.first_chunk::<PART>()?;
        let [end, count, led] = [[e0, e1], [c0, c1], [l0, l1]].map(u16::from_be_bytes);
        Some((usize::from(end), count, Led(led)))
    }
}

/// Equal when all clients get the same octets.
impl PartialEq for Choices {
    fn eq(&self, other: &Self) -> bool {
        self.octets == other.octets && self.steered == other.steered
    }
}

impl Eq for Choices {}

/// Notes that a part ends here.
fn end_part(octets: &mut [u8], part: usize, count: usize, led: Led) -> Option<()> {
    let [end, count] = [octets.len(), count].map(u16::try_from);
    let entry = octets.get_mut(PART * part..)?.first_chunk_mut::<PART>()?;
    entry[..2].copy_from_slice(&end.ok()?.to_be_bytes());
    entry[2..4].copy_from_slice(&count.ok()?.to_be_bytes());
    entry[4..].copy_from_slice(&led.0.to_be_bytes());
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

/// Gives records under pointers another TTL.
pub(super) fn set_ttl(mut records: &mut [u8], ttl: Ttl) {
    while let Some((head, rest)) = records.split_first_chunk_mut::<{ RECORD_HEAD + 2 }>() {
        head[6..RECORD_HEAD].copy_from_slice(&ttl.as_secs().to_be_bytes());
        let length = usize::from(u16::from_be_bytes([head[RECORD_HEAD], head[RECORD_HEAD + 1]]));
        records = rest.get_mut(length..).unwrap_or_default();
    }
}
