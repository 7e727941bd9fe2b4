//! What an answer brings beside what was asked for, so that nobody has to ask again: addresses of
//! the names that its records lead to (RFC 1034 §4.3.2, step 6; RFC 9471 §3 for name servers), and
//! what services that are aliases lead to (RFC 9460 §4.1).
//!
//! Names that a wildcard stands in for have its addresses, as in an answer (RFC 4592 §3.2), but
//! not where signatures are wanted: those would need the proof that the name itself does not exist
//! (RFC 4035 §3.1.3.3), which is for answers, and a validator would throw away what has none.
//! Names that are steered have none here: which of their addresses are for this client is told to
//! who asks for them.

use super::{
    Entry, Node, Owner, RecordType, Rrset, Zone,
    lookup::{Found, Place, Search, entry, owner, place, topmost_cut},
    octets::{labels, name_prefix},
};
use crate::model::{Key, Name};
use std::borrow::Cow;

/// Targets of one MX, SRV or SVCB rrset that are looked up on top: all that fits an answer.
const MAX_TARGETS: usize = 16;
const FAMILIES: [RecordType; 2] = [RecordType::A, RecordType::AAAA];
/// The target that is the owner itself (RFC 9460 §2.5.2).
const OWNER: &[u8] = &[0];

impl<'z> Search<'z, '_> {
    /// Adds what helps with a rrset that was found there.
    pub(super) fn add_useful(
        &mut self,
        zone: &'z Zone,
        found: &Found<'z, '_>,
        rrset: &'z Rrset,
        alias: Option<&Name>,
    ) {
        match rrset.rtype {
            RecordType::SVCB | RecordType::HTTPS => {
                if leads_to_owner(rrset) {
                    self.put_addresses(zone, found, &owner(alias));
                }
                self.add_services(zone, rrset);
            }
            _ => self.add_addresses(zone, rrset),
        }
    }

    /// Adds what the zone knows of the addresses of the names that the records point at: all of
    /// them for name servers (RFC 9471 §3), the first few otherwise.
    pub(super) fn add_addresses(&mut self, zone: &'z Zone, rrset: &Rrset) {
        let Some(offset) = target_offset(rrset.rtype) else { return };
        let is_ns = rrset.rtype == RecordType::NS;
        let limit = if is_ns { usize::MAX } else { MAX_TARGETS };
        for data in rrset.rdata().take(limit) {
            let Some(name) = data.get(offset..).and_then(name_prefix) else { continue };
            let key = Key::of(labels(name).into_iter());
            if is_ns || !behind_cut(zone, key.as_bytes()) {
                self.add_addresses_of(zone, &key, name, is_ns);
            }
        }
    }

    /// The addresses of all targets; where a service is another's alias, also what that one is,
    /// and its targets' addresses. An alias of an alias is left to who asks.
    fn add_services(&mut self, zone: &'z Zone, rrset: &'z Rrset) {
        self.add_addresses(zone, rrset);
        for data in rrset.rdata().take(MAX_TARGETS).filter(|data| data.starts_with(&[0, 0])) {
            let Some(name) = data.get(2..).and_then(name_prefix) else { continue };
            let key = Key::of(labels(name).into_iter());
            let node = zone.node(key.as_bytes());
            let node = node.filter(|_| !behind_cut(zone, key.as_bytes()));
            let known = self.answer.additional.iter().any(|own| own.rrset.rtype == rrset.rtype);
            let service = node.and_then(|node| node.get(rrset.rtype)).filter(|_| !known);
            let (Some(service), Ok(name)) = (service, Name::from_wire(name)) else { continue };
            self.put_more(zone, key.as_bytes(), &Owner::Name(Cow::Owned(name)), service);
            self.add_addresses(zone, service);
        }
    }

    fn add_addresses_of(&mut self, zone: &'z Zone, key: &Key, wire: &[u8], is_ns: bool) {
        let Some(node) = self.node_or_wildcard(zone, key.as_bytes()) else { return };
        let hidden = node.steering().is_some() && !is_ns;
        let has_addresses = FAMILIES.into_iter().any(|family| node.get(family).is_some());
        let Ok(name) = Name::from_wire(wire) else { return };
        let mut known = self.answer.additional.iter().take(2 * MAX_TARGETS);
        let asked = Name::from_wire(self.question.name).is_ok_and(|asked| asked == name);
        let of_it = |own: &Entry<'_>| {
            let is_owner = own.owner.is(&name) || (asked && matches!(own.owner, Owner::Asked));
            is_owner && FAMILIES.contains(&own.rrset.rtype)
        };
        if hidden || !has_addresses || known.any(of_it) {
            return;
        }
        let owner = Owner::Name(Cow::Owned(name));
        for addresses in FAMILIES.into_iter().filter_map(|family| node.get(family)) {
            self.put_more(zone, key.as_bytes(), &owner, addresses);
        }
    }

    /// The addresses of the name that was found itself.
    fn put_addresses(&mut self, zone: &'z Zone, found: &Found<'z, '_>, owner: &Owner<'z>) {
        let unproven = found.wildcard.is_some() && self.signed(zone).is_some();
        if unproven || found.node.steering().is_some() {
            return;
        }
        for addresses in FAMILIES.into_iter().filter_map(|family| found.node.get(family)) {
            self.put_more(zone, found.key, owner, addresses);
        }
    }

    fn put_more(&mut self, zone: &'z Zone, key: &[u8], owner: &Owner<'z>, rrset: &'z Rrset) {
        let signed = self.signed(zone).and_then(|signed| signed.name(key));
        let rrsig = signed.and_then(|signed| signed.rrsig(rrset.rtype)).map(Cow::Borrowed);
        self.answer.additional.push(Entry { rrsig, ..entry(owner.clone(), rrset) });
    }

    fn node_or_wildcard(&self, zone: &'z Zone, key: &[u8]) -> Option<&'z Node> {
        let own = zone.node(key);
        if own.is_some() || !key.starts_with(zone.key().as_bytes()) || self.signed(zone).is_some() {
            return own;
        }
        match place(zone, key, RecordType::A) {
            Place::Node { node, wildcard: Some(_) } => Some(node),
            _ => None,
        }
    }
}

/// Whether some service, not an alias, is at the owner itself.
fn leads_to_owner(rrset: &Rrset) -> bool {
    rrset.rdata().any(|data| {
        !data.starts_with(&[0, 0]) && data.get(2..).and_then(name_prefix) == Some(OWNER)
    })
}

fn behind_cut(zone: &Zone, key: &[u8]) -> bool {
    let inside = key.starts_with(zone.key().as_bytes());
    zone.has_cuts() && inside && topmost_cut(zone, key, RecordType::A).is_some()
}

/// How far into the data of a type stands the name whose addresses help the asker
/// (RFC 1035 §3.3, RFC 2782, RFC 9460 §4.1).
fn target_offset(rtype: RecordType) -> Option<usize> {
    match rtype {
        RecordType::NS => Some(0),
        RecordType::MX | RecordType::SVCB | RecordType::HTTPS => Some(2),
        RecordType::SRV => Some(6),
        _ => None,
    }
}
