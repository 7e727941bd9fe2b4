//! The static part of a federation's zone when no master file gives it: SOA, NS and glue.

use super::{Node, RecordType, Rrset, Zone};
use crate::model::{Key, Name, NameServer, Serial, SoaValues, Ttl};
use std::collections::BTreeMap;

/// A zone of SOA, NS and, for name servers inside the zone, their addresses.
#[must_use]
pub fn generated(
    apex: &Name,
    soa: &SoaValues,
    name_servers: &[NameServer],
    serial: Serial,
    ttl: Ttl,
) -> Zone {
    let mut nodes: BTreeMap<Key, Node> = BTreeMap::new();
    let top = nodes.entry(apex.key()).or_default();
    let names = name_servers.iter().map(|server| server.name.as_wire());
    let rrsets = [
        Rrset::new(RecordType::SOA, soa.ttl, [soa_data(soa, serial)]),
        Rrset::new(RecordType::NS, ttl, names),
    ];
    rrsets.into_iter().flatten().for_each(|rrset| top.put(rrset));
    for server in name_servers.iter().filter(|server| server.name.is_within(apex)) {
        let node = nodes.entry(server.name.key()).or_default();
        let addresses = || server.addresses.iter().copied();
        let glue = [Rrset::a(ttl, addresses()), Rrset::aaaa(ttl, addresses())];
        glue.into_iter().flatten().for_each(|rrset| node.put(rrset));
    }
    nodes.retain(|_, node| !node.is_empty());
    Zone::new(apex.clone(), nodes)
}

fn soa_data(soa: &SoaValues, serial: Serial) -> Vec<u8> {
    let mut data = [soa.mname.as_wire(), soa.rname.as_wire()].concat();
    for number in [serial.0, soa.refresh, soa.retry, soa.expire, soa.minimum] {
        data.extend_from_slice(&number.to_be_bytes());
    }
    data
}
