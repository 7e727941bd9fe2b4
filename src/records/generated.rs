//! The zone that a federation's settings make, before any service has a record in it.

use super::{Node, RecordType, Rrset, Zone};
use crate::model::{Key, Name, NameServer, Serial, SoaValues, Ttl};
use std::collections::BTreeMap;

/// SOA and NS at `apex`, and the addresses of the name servers that lie inside the zone. `ttl` is
/// for all but the SOA, which has its own.
#[must_use]
pub fn generated(
    apex: &Name,
    soa: &SoaValues,
    servers: &[NameServer],
    serial: Serial,
    ttl: Ttl,
) -> Zone {
    let mut nodes: BTreeMap<Key, Node> = BTreeMap::new();
    for server in servers.iter().filter(|server| server.name.is_within(apex)) {
        let addresses = || server.addresses.iter().copied();
        let rrsets = [Rrset::a(ttl, addresses()), Rrset::aaaa(ttl, addresses())];
        let node = nodes.entry(server.name.key()).or_default();
        rrsets.into_iter().flatten().for_each(|rrset| node.put(rrset));
    }
    let names = servers.iter().map(|server| server.name.as_wire());
    let at_apex = [
        Rrset::new(RecordType::SOA, soa.ttl, [soa_rdata(soa, serial)]),
        Rrset::new(RecordType::NS, ttl, names),
    ];
    let node = nodes.entry(apex.key()).or_default();
    at_apex.into_iter().flatten().for_each(|rrset| node.put(rrset));
    Zone::new(apex.clone(), nodes.into_iter().filter(|(_, node)| !node.is_empty()))
}

/// RFC 1035 §3.3.13: two names and five numbers.
fn soa_rdata(soa: &SoaValues, serial: Serial) -> Vec<u8> {
    let numbers = [serial.0, soa.refresh, soa.retry, soa.expire, soa.minimum];
    let mut rdata = [soa.mname.as_wire(), soa.rname.as_wire()].concat();
    rdata.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    rdata
}

#[cfg(test)]
mod tests {
    use super::{super::rows, *};

    #[test]
    fn a_federation_without_services_has_soa_ns_and_glue() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let soa = SoaValues {
            mname: name("ns1.fed.example.org"),
            rname: name("dns.example.org"),
            refresh: 3_600,
            retry: 600,
            expire: 604_800,
            minimum: 5,
            ttl: Ttl::from_secs(60),
        };
        let servers = [
            NameServer {
                name: name("ns1.fed.example.org"),
                addresses: vec!["192.0.2.53".parse().unwrap(), "2001:db8::53".parse().unwrap()],
            },
            NameServer { name: name("ns.example.net"), addresses: vec![] },
        ];
        let apex = name("fed.example.org");
        let zone = generated(&apex, &soa, &servers, Serial(7), Ttl::from_secs(300));
        assert_eq!(zone.serial(), Serial(7));
        let rows: Vec<_> = rows(&zone).map(|row| row.to_string()).collect();
        assert_eq!(
            rows,
            [
                "fed.example.org. 60 SOA ns1.fed.example.org. dns.example.org. 7 3600 600 604800 5",
                "fed.example.org. 300 NS ns.example.net.,ns1.fed.example.org.",
                "ns1.fed.example.org. 300 A 192.0.2.53",
                "ns1.fed.example.org. 300 AAAA 2001:db8::53",
            ]
        );
    }
}
