//! A zone that lists zones, so that secondaries serve whatever is served here (RFC 9432).

use crate::{
    model::{Key, Name, Serial, Ttl},
    records::{Node, RecordType, Rrset, Zone},
};
use sha2::{Digest, Sha256};

/// Seconds: nobody resolves a catalog zone, secondaries are told of its changes, and look when a
/// notice got lost.
const NUMBERS: [u32; 4] = [300, 60, 1_209_600, 30];
/// Octets of a member's label, twice as many digits: two zones with one label would take 2³²
/// zones.
const LABEL: usize = 8;

/// The catalog zone `name` of these zones (RFC 9432 §4): `version` is "2", and each member is a PTR
/// under a label that stays the same for as long as the zone has its name. Members that a name
/// below the catalog cannot be made for are left out.
#[must_use]
pub fn catalog<'z>(
    name: &Name,
    members: impl IntoIterator<Item = &'z Name>,
    serial: Serial,
) -> Zone {
    // §4.1: the SOA is as any; there is one NS, which nobody uses: "invalid." is suggested.
    let mut soa = [INVALID, INVALID].concat();
    let numbers = std::iter::once(serial.0).chain(NUMBERS);
    soa.extend(numbers.flat_map(u32::to_be_bytes));
    let ttl = Ttl::from_secs(0);
    let sets = [(RecordType::SOA, soa), (RecordType::NS, INVALID.to_vec())];
    let apex = sets.into_iter().filter_map(|(rtype, data)| Rrset::new(rtype, ttl, [data]));
    let mut nodes: Vec<(Key, Node)> = vec![(name.key(), Node::new(apex))];
    let version = name.prepend(b"version").ok();
    let text = Rrset::new(RecordType::TXT, ttl, [b"\x012"]);
    nodes.extend(version.zip(text).map(|(owner, text)| (owner.key(), Node::new([text]))));
    nodes
        .extend(members.into_iter().filter(|own| *own != name).filter_map(|own| member(name, own)));
    Zone::new(name.clone(), nodes)
}

fn member(catalog: &Name, zone: &Name) -> Option<(Key, Node)> {
    let zone = zone.to_lowercase();
    let digest = Sha256::digest(zone.as_wire());
    let label: String = digest.iter().take(LABEL).map(|octet| format!("{octet:02x}")).collect();
    let owner = catalog.prepend(b"zones").and_then(|zones| zones.prepend(label.as_bytes())).ok()?;
    let pointer = Rrset::new(RecordType(12), Ttl::from_secs(0), [zone.as_wire()])?;
    Some((owner.key(), Node::new([pointer])))
}

/// `invalid.` (RFC 2606 §2).
const INVALID: &[u8] = b"\x07invalid\0";
