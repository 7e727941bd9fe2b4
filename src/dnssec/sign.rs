//! RRSIG records (RFC 4034 §3): what they say, and the signature over it.

use super::{canonical, key::Key};
use crate::{
    model::Name,
    records::{RecordType, Rrset},
};
use ring::rand::SecureRandom;

/// From when to when a signature holds, in seconds since 1970 modulo 2³² (RFC 4034 §3.1.5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Validity {
    /// Not before.
    pub inception: i64,
    /// Not after.
    pub expiration: i64,
}

/// One signature over the rrset by each key, as one rrset; `None` without keys, or when one cannot
/// sign.
#[must_use]
pub fn rrsig<'k>(
    zone: &Name,
    owner: &Name,
    rrset: &Rrset,
    keys: impl IntoIterator<Item = &'k Key>,
    validity: Validity,
    random: &dyn SecureRandom,
) -> Option<Rrset> {
    let records = canonical::records(owner, rrset);
    let sign = |key: &Key| {
        let head = head(zone, owner, rrset, key, validity);
        let signature = key.sign(&[&*head, &*records].concat(), random)?;
        Some([head, signature].concat())
    };
    let all: Option<Vec<Vec<u8>>> = keys.into_iter().map(sign).collect();
    Rrset::new(RecordType::RRSIG, rrset.ttl, all?)
}

/// The record's data up to the signature (RFC 4034 §3.1).
fn head(zone: &Name, owner: &Name, rrset: &Rrset, key: &Key, validity: Validity) -> Vec<u8> {
    // §3.1.3: `*` does not count, so that a validator sees what the wildcard stood in for.
    let labels = owner.label_count() - usize::from(owner.is_wildcard());
    let mut head = Vec::with_capacity(FIXED + zone.as_wire().len());
    head.extend_from_slice(&rrset.rtype.0.to_be_bytes());
    head.extend_from_slice(&[key.algorithm.number(), u8::try_from(labels).unwrap_or_default()]);
    head.extend_from_slice(&rrset.ttl.as_secs().to_be_bytes());
    head.extend_from_slice(&wire_time(validity.expiration));
    head.extend_from_slice(&wire_time(validity.inception));
    head.extend_from_slice(&key.tag().to_be_bytes());
    head.extend(zone.as_wire().iter().map(u8::to_ascii_lowercase));
    head
}

/// Of an RRSIG's data: the tag of the key that made it, and when it ends.
pub(super) fn made_by(rrsig: &[u8]) -> Option<(u16, u32)> {
    let expiration = rrsig.get(8..12)?.first_chunk()?;
    let tag = rrsig.get(16..18)?.first_chunk()?;
    Some((u16::from_be_bytes(*tag), u32::from_be_bytes(*expiration)))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // modulo 2³² by RFC 4034 §3.1.5
fn wire_time(seconds: i64) -> [u8; 4] {
    (seconds as u32).to_be_bytes()
}

/// Octets before the signer's name.
const FIXED: usize = 18;
