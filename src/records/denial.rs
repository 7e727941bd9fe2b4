//! What goes with an answer from a signed zone: its signatures, and the proof that nothing else is
//! there (RFC 4035 §3.1), by the NSEC chain or compactly (RFC 9824).
//!
//! ```text
//!                        NSEC chain                              compact
//! NODATA                 NSEC of the name                        the same
//! empty non-terminal     NSEC before the name                    NSEC made for the name
//! NXDOMAIN               NSEC before the name, before the `*`    NSEC made for the name: NXNAME
//! from a wildcard        signatures of the `*`, and the          signatures made for the name
//!                        NSEC before the name
//! referral               DS, or NSEC of the delegation           the same
//! ```

use super::{
    Denial, DnssecOk, Entry, Online, Outcome, Owner, Proof, RecordType, Rrset, Signed, SignedName,
    Zone,
    lookup::{Found, Search, Step, owner},
    octets::wildcard_of,
};
use crate::model::{Name, Ttl};
use std::borrow::Cow;

impl<'z> Search<'z, '_> {
    /// The signatures over an rrset of the node that was found: those of the node, or where a
    /// wildcard stands in and nothing denies the name, new ones.
    pub(super) fn signature(
        &mut self,
        zone: &'z Zone,
        found: &Found<'z, '_>,
        rrset: &'z Rrset,
        known: Option<&'z Rrset>,
        alias: Option<&Name>,
    ) -> Option<Cow<'z, Rrset>> {
        let signed = self.signed(zone)?;
        match signed.denial() {
            Denial::Compact(online) if found.wildcard.is_some() && known.is_some() => {
                let made = online.sign(&self.asked(alias)?, rrset);
                self.unproven |= made.is_none();
                self.answer.compact = true;
                made.map(Cow::Owned)
            }
            _ => known.map(Cow::Borrowed),
        }
    }

    /// The signatures over an rrset of that name.
    pub(super) fn known_signature(
        &self,
        zone: &'z Zone,
        key: &[u8],
        rtype: RecordType,
    ) -> Option<Cow<'z, Rrset>> {
        self.signed(zone)?.name(key)?.rrsig(rtype).map(Cow::Borrowed)
    }

    /// What is answered to questions for NSEC, and for RRSIG: one set of signatures, as ANY gets
    /// one rrset (RFC 8482 §4.1).
    pub(super) fn own_proof(&self, zone: &'z Zone, found: &Found<'z, '_>) -> Option<&'z Rrset> {
        let signed = zone.signed()?;
        let name = match found.wildcard {
            None => signed.name(found.key)?,
            // What a wildcard's own NSEC says is not true of the names that it stands in for.
            Some(_) => return None,
        };
        match self.question.rtype {
            RecordType::NSEC => Some(&name.nsec.nsec),
            _ => Some(name.rrsigs.first().map_or(&name.nsec.rrsig, |(_, rrsig)| rrsig)),
        }
    }

    // === Proofs ===

    /// RFC 4035 §3.1.3.3: no name is closer than the wildcard.
    pub(super) fn prove_expanded(&mut self, zone: &'z Zone, found: &Found<'z, '_>) {
        if found.wildcard.is_some()
            && let Some(signed) = self.signed(zone)
            && matches!(signed.denial(), Denial::Chain)
        {
            self.add_covering(signed, found.key);
        }
    }

    /// RFC 4035 §3.1.3.1 and §3.1.3.4: the name, or its wildcard, is without that type.
    pub(super) fn prove_no_data(
        &mut self,
        zone: &'z Zone,
        found: &Found<'z, '_>,
        alias: Option<&Name>,
    ) {
        let (Some(signed), Some(name)) = (self.signed(zone), found.signed) else { return };
        let family = match self.question.rtype {
            RecordType::A => Some(false),
            RecordType::AAAA => Some(true),
            _ => None,
        };
        let proof = name.proof(family);
        match (signed.denial(), found.wildcard) {
            (Denial::Compact(online), wildcard) => {
                self.answer.compact = true;
                match wildcard {
                    None => self.add(name, proof),
                    Some(_) => {
                        let types = proof.nsec.rdata().next().and_then(types_of);
                        self.add_made(zone, &**online, types.unwrap_or_default(), alias);
                    }
                }
            }
            (Denial::Chain, None) => self.add(name, proof),
            (Denial::Chain, Some(_)) => {
                self.add(name, proof);
                self.add_covering(signed, found.key);
            }
        }
    }

    /// No data at a name that others lie below.
    pub(super) fn prove_empty(
        &mut self,
        zone: &'z Zone,
        key: &[u8],
        wildcard: Option<usize>,
        alias: Option<&Name>,
    ) {
        let Some(signed) = self.signed(zone) else { return };
        match signed.denial() {
            Denial::Chain => {
                self.add_covering(signed, key);
                if let Some(encloser) = wildcard {
                    self.add_covering(signed, &wildcard_of(&key[..encloser]));
                }
            }
            Denial::Compact(online) => {
                self.answer.compact = true;
                self.add_made(zone, &**online, EMPTY, alias);
            }
        }
    }

    /// RFC 4035 §3.1.3.2, or RFC 9824 §3.1: neither the name nor a wildcard for it is there.
    pub(super) fn prove_nowhere(
        &mut self,
        zone: &'z Zone,
        key: &[u8],
        encloser: usize,
        alias: Option<&Name>,
        step: Step,
    ) -> Step {
        let Some(signed) = self.signed(zone) else { return step };
        match signed.denial() {
            Denial::Chain => {
                self.add_covering(signed, key);
                self.add_covering(signed, &wildcard_of(&key[..encloser]));
                step
            }
            Denial::Compact(online) => {
                self.answer.compact = true;
                self.add_made(zone, &**online, NOWHERE, alias);
                match step {
                    // RFC 9824 §5.1: only who says so understands both at once.
                    Step::Done(Outcome::NxDomain) if self.question.dnssec != DnssecOk::Compact => {
                        Step::Done(Outcome::NoData)
                    }
                    step => step,
                }
            }
        }
    }

    /// RFC 4035 §3.1.4: the delegation's DS, or that it has none.
    pub(super) fn prove_delegation(&mut self, zone: &'z Zone, cut: &[u8]) {
        let Some(name) = self.signed(zone).and_then(|signed| signed.name(cut)) else { return };
        let node = zone.node(cut);
        let ds = node.and_then(|node| node.get(RecordType::DS)).zip(name.rrsig(RecordType::DS));
        match ds {
            Some((ds, rrsig)) => self.answer.authority.push(Entry {
                owner: Owner::Name(Cow::Borrowed(&name.owner)),
                rrset: Cow::Borrowed(ds),
                ttl: ds.ttl,
                rrsig: Some(Cow::Borrowed(rrsig)),
            }),
            None => self.add(name, &name.nsec),
        }
    }

    // === Into the authority section ===

    fn add_covering(&mut self, signed: &'z Signed, key: &[u8]) {
        if let Some(name) = signed.covering(key) {
            self.add(name, &name.nsec);
        }
    }

    /// Adds a proof, once.
    fn add(&mut self, name: &'z SignedName, proof: &'z Proof) {
        let same = |entry: &Entry<'_>| match &entry.owner {
            Owner::Name(own) => entry.rrset.rtype == RecordType::NSEC && **own == name.owner,
            Owner::Asked => false,
        };
        if self.answer.authority.iter().any(same) {
            return;
        }
        self.answer.authority.push(Entry {
            owner: Owner::Name(Cow::Borrowed(&name.owner)),
            rrset: Cow::Borrowed(&proof.nsec),
            ttl: proof.nsec.ttl,
            rrsig: Some(Cow::Borrowed(&proof.rrsig)),
        });
    }

    /// Adds an NSEC made for the name that was asked for, with these types.
    fn add_made(&mut self, zone: &Zone, online: &dyn Online, types: &[u8], alias: Option<&Name>) {
        let made = self.asked(alias).and_then(|asked| {
            let nsec = compact_nsec(&asked, types, denial_ttl(zone))?;
            let rrsig = online.sign(&asked, &nsec)?;
            Some((nsec, rrsig))
        });
        let Some((nsec, rrsig)) = made else {
            self.unproven = true;
            return;
        };
        let (owner, ttl) = (owner(alias), nsec.ttl);
        let (rrset, rrsig) = (Cow::Owned(nsec), Some(Cow::Owned(rrsig)));
        self.answer.authority.push(Entry { owner, rrset, ttl, rrsig });
    }

    fn asked(&self, alias: Option<&Name>) -> Option<Name> {
        alias.cloned().or_else(|| Name::from_wire(self.question.name).ok())
    }
}

/// How long "no" may be kept: as the SOA of a negative answer (RFC 9077 §3).
#[must_use]
pub fn denial_ttl(zone: &Zone) -> Ttl {
    let soa = zone.soa();
    let minimum = soa.and_then(|soa| soa.rdata().next()?.last_chunk::<4>().copied());
    let minimum = minimum.map_or(Ttl::SERVED, |octets| Ttl::from_secs(u32::from_be_bytes(octets)));
    soa.map_or(minimum, |soa| soa.ttl.min(minimum))
}

/// An NSEC that speaks of one name alone (RFC 9824 §3): the next is the first that can be.
#[must_use]
pub fn compact_nsec(owner: &Name, types: &[u8], ttl: Ttl) -> Option<Rrset> {
    let next = owner.prepend(&[0]).ok().or_else(|| longer_label(owner))?;
    Rrset::new(RecordType::NSEC, ttl, [[next.to_lowercase().as_wire(), types].concat()])
}

/// A name that no label can be put in front of has none below it: the first behind it has one more
/// in the last octet of its first label that can have one.
fn longer_label(owner: &Name) -> Option<Name> {
    let first = owner.labels().next()?.to_ascii_lowercase();
    let at = first.iter().rposition(|octet| *octet < u8::MAX)?;
    let mut label = first[..=at].to_vec();
    // The octet behind `@` is `A`, which counts as `a`; `[` is the first that counts as itself.
    label[at] = if label[at] == b'@' { b'[' } else { label[at] + 1 };
    owner.parent()?.prepend(&label).ok()
}

/// The type bitmap within an NSEC's data.
fn types_of(nsec: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    while *nsec.get(at)? != 0 {
        at += 1 + usize::from(nsec[at]);
    }
    nsec.get(at + 1..)
}

/// RRSIG and NSEC: nothing but the proof (RFC 4034 §4.1.2: window 0, octets up to that of 47).
const EMPTY: &[u8] = &[0, 6, 0, 0, 0, 0, 0, 0b11];
/// The same and NXNAME (RFC 9824 §3.1).
const NOWHERE: &[u8] = &[0, 17, 0, 0, 0, 0, 0, 0b11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0b1000_0000];
