//! Prints a zone: as a master file that every name server and importer reads, and as the rows of
//! a listing.

use super::{Node, RecordType, Rrset, Zone, rdata_to_text};
use crate::model::{Key, Name, Ttl};
use serde::Serialize;
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
        for (key, node) in zone.nodes() {
            let owner = relative(zone, key);
            for rrset in in_order(node) {
                write_rrset(f, &owner, width, rrset)?;
            }
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
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
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

/// By type number, but the SOA first, as RFC 1035 §5.2 wants it.
fn in_order(node: &Node) -> impl Iterator<Item = &Rrset> {
    let others = node.iter().filter(|rrset| rrset.rtype != RecordType::SOA);
    node.get(RecordType::SOA).into_iter().chain(others)
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
