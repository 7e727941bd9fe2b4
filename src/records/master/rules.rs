//! Turns the records of a file into a zone, and says where they do not make one.
//!
//! Faults: no or several SOA, no NS at the apex, names outside, CNAME beside other data, several
//! CNAMEs or DNAMEs at a name, DNAME beside NS. Warnings: what would never be answered, or not as
//! its author thinks.

use super::{
    super::{Node, RecordType, Rrset, Zone},
    Notes, Place, Record,
};
use crate::model::{Key, Name};
use std::collections::BTreeMap;

/// The zone of these records, as far as there is one; it counts only when no fault was noted.
pub(super) fn build(apex: &Name, file: &str, records: Vec<Record>, notes: &mut Notes) -> Zone {
    let mut names: BTreeMap<Key, Records> = BTreeMap::new();
    for record in records {
        if record.owner.is_within(apex) {
            let of_type = names.entry(record.owner.key()).or_default();
            of_type.entry(record.rtype.0).or_default().push(record);
        } else {
            let text = format!("{} lies outside the zone {apex}", record.owner);
            notes.fault(&record.place, text);
        }
    }
    for types in names.values() {
        check_name(apex, types, notes);
    }
    check_apex(apex, file, &names, notes);
    let nodes: Vec<(Key, Node)> =
        names.iter().map(|(key, types)| (key.clone(), node(types, notes))).collect();
    let zone = Zone::new(apex.clone(), nodes);
    for (key, types) in &names {
        check_reach(&zone, key, types, notes);
    }
    zone
}

/// Of one name, by type number.
type Records = BTreeMap<u16, Vec<Record>>;

fn of(types: &Records, rtype: RecordType) -> &[Record] {
    types.get(&rtype.0).map_or(&[], Vec::as_slice)
}

// === Faults ===

fn check_name(apex: &Name, types: &Records, notes: &mut Notes) {
    check_alias(types, notes);
    for rtype in [RecordType::CNAME, RecordType::DNAME, RecordType::SOA] {
        check_single(types, rtype, notes);
    }
    let dname = of(types, RecordType::DNAME).first();
    if let (Some(dname), Some(ns)) = (dname, of(types, RecordType::NS).first())
        && dname.owner != *apex
    {
        let text = format!(
            "{} has DNAME and, in line {}, NS: only an apex may (RFC 6672 §2.3)",
            dname.owner, ns.place.line
        );
        notes.fault(&dname.place, text);
    }
    if let Some(soa) = of(types, RecordType::SOA).first().filter(|soa| soa.owner != *apex) {
        notes.fault(
            &soa.place,
            format!("found an SOA at {}, expected one only at {apex}", soa.owner),
        );
    }
}

/// RFC 1034 §3.6.2: where a CNAME is, nothing else may be.
fn check_alias(types: &Records, notes: &mut Notes) {
    let Some(cname) = of(types, RecordType::CNAME).first() else { return };
    let other =
        |record: &&Record| record.rtype != RecordType::CNAME && !goes_with_cname(record.rtype);
    if let Some(other) = types.values().flatten().find(other) {
        let text = format!(
            "{} has a CNAME and, in line {}, {} records: a CNAME stands alone (RFC 1034 §3.6.2)",
            cname.owner, other.place.line, other.rtype
        );
        notes.fault(&cname.place, text);
    }
}

/// RFC 4035 §2.5: RRSIG, NSEC and KEY.
fn goes_with_cname(rtype: RecordType) -> bool {
    matches!(rtype.0, 25 | 46 | 47)
}

fn check_single(types: &Records, rtype: RecordType, notes: &mut Notes) {
    let [first, rest @ ..] = of(types, rtype) else { return };
    for other in rest.iter().filter(|other| other.rdata != first.rdata) {
        let text = format!(
            "{} has a second {rtype}, the first is in line {}: there can be one",
            other.owner, first.place.line
        );
        notes.fault(&other.place, text);
    }
}

fn check_apex(apex: &Name, file: &str, names: &BTreeMap<Key, Records>, notes: &mut Notes) {
    let whole = Place { file: file.into(), line: 0 };
    let own = names.get(&apex.key());
    for rtype in [RecordType::SOA, RecordType::NS] {
        if own.is_none_or(|types| of(types, rtype).is_empty()) && !notes.is_full() {
            notes.fault(&whole, format!("found no {rtype} record at {apex}, expected one"));
        }
    }
}

// === Rrsets ===

fn node(types: &Records, notes: &mut Notes) -> Node {
    Node::new(types.values().filter_map(|records| rrset(records, notes)))
}

/// RFC 2181 §5.2: one TTL for all; of several the lowest.
fn rrset(records: &[Record], notes: &mut Notes) -> Option<Rrset> {
    let first = records.first()?;
    let lowest = records.iter().map(|record| record.ttl).min()?;
    if let Some(other) = records.iter().find(|record| record.ttl != first.ttl) {
        let text = format!(
            "the {} records of {} have different TTLs; the lowest, {lowest}, is used for all",
            other.rtype, other.owner
        );
        notes.warn(&other.place, text);
    }
    Rrset::new(first.rtype, lowest, records.iter().map(|record| &record.rdata))
}

// === Warnings ===

fn check_reach(zone: &Zone, key: &Key, types: &Records, notes: &mut Notes) {
    let Some(first) = types.values().flatten().next() else { return };
    if first.owner.is_wildcard()
        && let Some(cut) =
            of(types, RecordType::NS).first().or(of(types, RecordType::DNAME).first())
    {
        let text =
            format!("{} at a wildcard cuts off no name but `*` itself (RFC 4592 §4)", cut.rtype);
        notes.warn(&cut.place, text);
    }
    if zone.has_cuts() {
        check_below_cut(zone, key, types, notes);
    }
    for ns in of(types, RecordType::NS) {
        check_server(zone, ns, notes);
    }
}

fn check_below_cut(zone: &Zone, key: &Key, types: &Records, notes: &mut Notes) {
    let Some((cut, rtype)) = cut_above(zone, key) else { return };
    let is_glue = |record: &&Record| matches!(record.rtype, RecordType::A | RecordType::AAAA);
    let is_hidden = |record: &&Record| rtype == RecordType::DNAME || !is_glue(record);
    if let Some(record) = types.values().flatten().find(is_hidden) {
        let text =
            format!("{} lies below the {rtype} at {cut} and is never answered", record.owner);
        notes.warn(&record.place, text);
    }
}

/// The lowest cut that the name lies below.
fn cut_above(zone: &Zone, key: &Key) -> Option<(Name, RecordType)> {
    let mut above = key.to_name().parent();
    while let Some(name) = above.filter(|name| name.is_within(zone.apex())) {
        if let Some(node) = zone.node(name.key().as_bytes()) {
            if node.get(RecordType::DNAME).is_some() {
                return Some((name, RecordType::DNAME));
            }
            if node.get(RecordType::NS).is_some() && name != *zone.apex() {
                return Some((name, RecordType::NS));
            }
        }
        above = name.parent();
    }
    None
}

/// A name server inside the zone needs addresses (RFC 9471 §2), and must not be an alias
/// (RFC 2181 §10.3).
fn check_server(zone: &Zone, ns: &Record, notes: &mut Notes) {
    let Ok(server) = Name::from_wire(&ns.rdata) else { return };
    if !server.is_within(zone.apex()) {
        return;
    }
    let node = zone.node(server.key().as_bytes());
    let has = |rtype| node.is_some_and(|node| node.get(rtype).is_some());
    if has(RecordType::CNAME) {
        notes.warn(&ns.place, format!("the name server {server} is an alias (RFC 2181 §10.3)"));
    } else if !has(RecordType::A) && !has(RecordType::AAAA) {
        notes.warn(&ns.place, format!("the name server {server} has no address in the zone"));
    }
}
