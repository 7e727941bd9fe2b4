//! A zone as text: as a master file for other servers, and as rows for people.

use super::{Node, RecordType, Rrset, Zone, text};
use crate::model::{Name, Ttl};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One rrset for people, as provider tools list it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Row {
    /// The owner.
    pub name: Name,
    /// As in `A`.
    #[serde(rename = "type")]
    pub rtype: String,
    /// In seconds.
    pub ttl: Ttl,
    /// Each record's data in master-file form.
    pub data: Vec<String>,
}

/// All rrsets of a zone: SOA first, then in canonical order.
pub fn rows(zone: &Zone) -> impl Iterator<Item = Row> {
    zone.nodes().flat_map(|(key, node)| {
        let name = key.to_name();
        soa_first(node).into_iter().map(move |rrset| row(name.clone(), rrset))
    })
}

/// A zone in BIND's master format: loads in `named-checkzone`, imports into Cloud DNS.
#[derive(Clone, Copy, Debug)]
pub struct MasterFile<'z>(pub &'z Zone);

impl fmt::Display for MasterFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let apex = self.0.apex();
        writeln!(f, "; zone {apex} at serial {}", self.0.serial())?;
        writeln!(f, "$ORIGIN {apex}")?;
        for row in rows(self.0) {
            let owner = relative(&row.name, apex);
            for data in &row.data {
                writeln!(f, "{owner:<40} {:>6} IN {:<6} {data}", row.ttl.as_secs(), row.rtype)?;
            }
        }
        Ok(())
    }
}

fn row(name: Name, rrset: &Rrset) -> Row {
    let data = rrset.rdata().map(|data| text::rdata_text(rrset.rtype, data)).collect();
    Row { name, rtype: rrset.rtype.to_string(), ttl: rrset.ttl, data }
}

fn soa_first(node: &Node) -> Vec<&Rrset> {
    let mut rrsets: Vec<_> = node.iter().collect();
    rrsets.sort_by_key(|rrset| (rrset.rtype != RecordType::SOA, rrset.rtype));
    rrsets
}

/// The name below the origin, `@` for the origin itself.
fn relative(name: &Name, origin: &Name) -> String {
    if name == origin {
        return "@".to_owned();
    }
    let own = name.label_count() - origin.label_count();
    let below = Name::from_labels(name.labels().take(own));
    below.map_or_else(|_| name.to_string(), |below| below.without_dot())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Records;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn again(zone: &Zone) -> Zone {
        let text = MasterFile(zone).to_string();
        let records = Records::parse("export", &text, zone.apex(), &mut |_| Err(String::new()))
            .unwrap_or_else(|errors| panic!("{errors:?} in\n{text}"));
        records.into_zone("export", zone.apex()).unwrap()
    }

    fn any_rrset() -> impl Strategy<Value = Rrset> {
        let octets = || proptest::collection::vec(any::<u8>(), 0..40);
        let txt = proptest::collection::vec(octets(), 1..3).prop_map(|strings| {
            strings.iter().flat_map(|one| [&[one.len() as u8], one.as_slice()].concat()).collect()
        });
        let data = prop_oneof![
            any::<[u8; 4]>().prop_map(|ip| (RecordType::A, ip.to_vec())),
            any::<[u8; 16]>().prop_map(|ip| (RecordType::AAAA, ip.to_vec())),
            txt.prop_map(|data| (RecordType::TXT, data)),
            octets().prop_map(|data| (RecordType(65_280), data)),
            octets().prop_map(|data| (RecordType(64), data)),
            octets().prop_map(|data| (RecordType(257), data)),
            octets().prop_map(|data| (RecordType(13), data)),
        ];
        (data, 0_u32..1_000).prop_filter_map("an rrset", |((rtype, data), ttl)| {
            Rrset::new(rtype, Ttl::from_secs(ttl), [data])
        })
    }

    fn any_zone() -> impl Strategy<Value = Zone> {
        let label = proptest::collection::vec(any::<u8>(), 1..10);
        let labels = proptest::collection::vec(label, 0..4);
        proptest::collection::vec((labels, any_rrset()), 0..20).prop_map(|records| {
            let apex: Name = "example.org".parse().unwrap();
            let mut nodes: BTreeMap<_, Node> = BTreeMap::new();
            for (labels, rrset) in records {
                let labels = labels.iter().map(Vec::as_slice).chain(apex.labels());
                nodes.entry(Name::from_labels(labels).unwrap().key()).or_default().put(rrset);
            }
            let top = nodes.entry(apex.key()).or_default();
            let mut soa = [apex.as_wire(), apex.as_wire()].concat();
            soa.extend_from_slice(&[1; 20]);
            top.put(Rrset::new(RecordType::SOA, Ttl::SERVED, [soa]).unwrap());
            top.put(Rrset::new(RecordType::NS, Ttl::SERVED, [b"\x02ns\0"]).unwrap());
            Zone::new(apex, nodes)
        })
    }

    proptest! {
        #[test]
        fn every_zone_survives_export_and_import(zone in any_zone()) {
            let again = again(&zone);
            prop_assert_eq!(again.serial(), zone.serial());
            prop_assert!(again.nodes().eq(zone.nodes()), "{}", MasterFile(&zone));
        }
    }
}
