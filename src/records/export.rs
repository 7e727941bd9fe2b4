//! Prints a zone: as a master file that every name server and importer reads, and as the rows of
//! a listing.

use super::{
    RecordType, Rrset, Zone,
    full::{in_full, in_order},
    rdata_to_text,
};
use crate::model::{Key, Name, Ttl};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A zone as a master file (RFC 1035 §5): SOA first, then names in canonical order and types by
/// number, one record a line, names relative to the apex. The same zone prints the same text.
#[derive(Clone, Copy, Debug)]
pub struct MasterFile<'z>(pub &'z Zone);

impl fmt::Display for MasterFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zone = self.0;
        let ttl = zone.soa().map_or(Ttl::SERVED, |soa| soa.ttl);
        writeln!(f, "$ORIGIN {}\n$TTL {ttl}", zone.apex())?;
        let width = owner_width(zone);
        for (key, rrset) in in_full(zone) {
            write_rrset(f, &relative(zone, key), width, rrset)?;
        }
        Ok(())
    }
}

fn write_rrset(
    f: &mut fmt::Formatter<'_>,
    owner: &str,
    width: usize,
    rrset: &Rrset,
) -> fmt::Result {
    let Rrset { rtype, ttl, .. } = rrset;
    rrset.rdata().try_for_each(|rdata| {
        let data = rdata_to_text(*rtype, rdata);
        writeln!(f, "{owner:<width$} {ttl:>6} IN {rtype:<5} {data}")
    })
}

/// One rrset of a listing, with all its data on one line; prints as `NAME TTL TYPE DATA`.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Row {
    /// The owner.
    pub name: Name,
    /// In seconds.
    pub ttl: Ttl,
    /// The type, by its mnemonic.
    #[serde(rename = "type")]
    pub rtype: RecordType,
    /// The records' data, with commas between.
    pub data: String,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.name, self.ttl, self.rtype, self.data)
    }
}

/// All rrsets of a zone, in the order of [`MasterFile`].
pub fn rows(zone: &Zone) -> impl Iterator<Item = Row> {
    zone.nodes().flat_map(|(key, node)| {
        let name = key.to_name();
        in_order(node).map(move |rrset| row(name.clone(), rrset))
    })
}

fn row(name: Name, rrset: &Rrset) -> Row {
    let data: Vec<_> = rrset.rdata().map(|rdata| rdata_to_text(rrset.rtype, rdata)).collect();
    Row { name, ttl: rrset.ttl, rtype: rrset.rtype, data: data.join(",") }
}

/// The owner without the apex's labels; `@` for the apex itself.
fn relative(zone: &Zone, key: &Key) -> String {
    let name = key.to_name();
    if zone.apex().is_root() {
        return name.to_string();
    }
    let own = name.label_count() - zone.apex().label_count();
    if own == 0 {
        return "@".to_owned();
    }
    Name::from_labels(name.labels().take(own))
        .expect("the first labels of a valid name are a valid name")
        .without_dot()
}

/// Of the owners' column: as wide as the widest, but not wider than reads well.
fn owner_width(zone: &Zone) -> usize {
    let widths = zone.nodes().map(|(key, _)| relative(zone, key).len());
    widths.max().unwrap_or_default().min(MAX_WIDTH)
}

const MAX_WIDTH: usize = 48;

#[cfg(test)]
mod tests {
    use super::super::{Node, no_includes, parse_master};
    use super::*;
    use proptest::{collection::vec, prelude::*};

    /// Labels of any octets, and those that a master file could take for something else.
    fn label() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            vec(any::<u8>(), 1..6),
            prop::sample::select(vec![
                "*", "@", "$TTL", "IN", "A", "60", "\"", "(", "\\", ";", " "
            ])
            .prop_map(|label| label.as_bytes().to_vec()),
        ]
    }

    fn below(apex: &'static str) -> impl Strategy<Value = Name> {
        vec(label(), 0..4).prop_map(move |labels| {
            let apex: Name = apex.parse().unwrap();
            Name::from_labels(labels.iter().map(Vec::as_slice).chain(apex.labels())).unwrap()
        })
    }

    fn strings() -> impl Strategy<Value = Vec<u8>> {
        vec(vec(any::<u8>(), 0..20), 1..4).prop_map(|strings| {
            let counted =
                |text: &Vec<u8>| [&[u8::try_from(text.len()).unwrap()], &text[..]].concat();
            strings.iter().flat_map(counted).collect()
        })
    }

    fn data() -> impl Strategy<Value = (RecordType, Vec<u8>)> {
        let of = |rtype: RecordType| move |rdata: Vec<u8>| (rtype, rdata);
        prop_oneof![
            vec(any::<u8>(), 4).prop_map(of(RecordType::A)),
            vec(any::<u8>(), 16).prop_map(of(RecordType::AAAA)),
            strings().prop_map(of(RecordType::TXT)),
            (any::<[u8; 2]>(), below("z.test"))
                .prop_map(|(preference, host)| [&preference, host.as_wire()].concat())
                .prop_map(of(RecordType::MX)),
            (65_280..65_400_u16, vec(any::<u8>(), 0..20))
                .prop_map(|(number, rdata)| (RecordType(number), rdata)),
        ]
    }

    fn zone(apex: &'static str) -> impl Strategy<Value = Zone> {
        let rrset = (0..=Ttl::MAX.as_secs(), data(), data()).prop_map(|(ttl, one, two)| {
            let rdata = [Some(one.1), (two.0 == one.0).then_some(two.1)].into_iter().flatten();
            Rrset::new(one.0, Ttl::from_secs(ttl), rdata).unwrap()
        });
        vec((below(apex), vec(rrset, 1..4)), 0..12).prop_map(move |names| {
            let apex: Name = apex.parse().unwrap();
            let soa = [b"\x01a\0\x01b\0".as_slice(), &[0; 20]].concat();
            let mut nodes = std::collections::BTreeMap::<Key, Node>::new();
            for (name, rrsets) in names {
                let node = nodes.entry(name.key()).or_default();
                rrsets.into_iter().for_each(|rrset| node.put(rrset));
            }
            let top = nodes.entry(apex.key()).or_default();
            top.put(Rrset::new(RecordType::SOA, Ttl::SERVED, [soa]).unwrap());
            top.put(Rrset::new(RecordType::NS, Ttl::SERVED, [b"\x01a\0"]).unwrap());
            Zone::new(apex, nodes)
        })
    }

    fn check_round_trip(zone: &Zone) -> Result<(), TestCaseError> {
        let text = MasterFile(zone).to_string();
        let back = parse_master(zone.apex(), "export", &text, &mut no_includes);
        let back = back.map_err(|faults| TestCaseError::fail(format!("{faults}\n{text}")))?.zone;
        prop_assert_eq!(back.serial(), zone.serial());
        prop_assert!(back.nodes().eq(zone.nodes()), "{}", text);
        prop_assert_eq!(MasterFile(&back).to_string(), text);
        Ok(())
    }

    proptest! {
        #[test]
        fn an_exported_zone_reads_back_as_itself(zone in zone("z.test")) {
            check_round_trip(&zone)?;
        }

        #[test]
        fn so_does_one_at_the_root(zone in zone(".")) {
            check_round_trip(&zone)?;
        }
    }

    #[test]
    fn rows_are_written_like_a_listing() {
        let text = "@ 60 SOA a. b. 1 2 3 4 5\n@ 60 NS b.\n@ 60 NS a.\n";
        let zone =
            parse_master(&"z.test".parse().unwrap(), "z", text, &mut no_includes).unwrap().zone;
        let row = serde_json::to_string(&rows(&zone).nth(1)).unwrap();
        assert_eq!(row, r#"{"name":"z.test.","ttl":60,"type":"NS","data":"a.,b."}"#);
    }
}
