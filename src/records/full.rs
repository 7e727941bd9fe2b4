//! A zone as others have it who answer from a copy: with the signatures and NSEC records that lie
//! beside its nodes. A copy cannot steer, so it has the view of nobody in particular.

use super::{Denial, Node, RecordType, Rrset, Zone};
use crate::model::Key;
use imbl::ordmap::DiffItem;
use std::collections::BTreeSet;

/// All rrsets of a zone as transfers have them: SOA first, names in canonical order, and of a
/// signed zone each rrset's signatures behind it, and the name's NSEC behind all.
pub fn in_full(zone: &Zone) -> impl Iterator<Item = (&Key, &Rrset)> {
    let of = move |(key, node)| node_in_full(zone, key, node).map(move |rrset| (key, rrset));
    zone.nodes().flat_map(of)
}

/// The rrsets of one of its nodes, in the order of [`in_full`].
pub fn node_in_full<'z>(
    zone: &'z Zone,
    key: &'z Key,
    node: &'z Node,
) -> impl Iterator<Item = &'z Rrset> {
    let signed = zone.signed().and_then(|signed| signed.name(key.as_bytes()));
    let rrsets = in_order(node).flat_map(move |rrset| {
        let rrsig = signed.and_then(|signed| signed.rrsig(rrset.rtype));
        [Some(rrset), rrsig].into_iter().flatten()
    });
    let proof = signed.map(|own| own.neutral.as_ref().unwrap_or(&own.nsec));
    rrsets.chain(proof.into_iter().flat_map(|own| [&own.nsec, &own.rrsig]))
}

/// The names whose rrsets in full may not be as in an older version. Passes by what both share,
/// records and signatures alike.
pub fn changed_in_full<'z>(newer: &'z Zone, older: &'z Zone) -> BTreeSet<&'z Key> {
    let mut names: BTreeSet<&Key> = newer.changes(older).map(|(key, _)| key).collect();
    match (newer.signed(), older.signed()) {
        (Some(newer), Some(older)) => {
            names.extend(older.names().diff(newer.names()).map(|change| match change {
                DiffItem::Add(key, _) | DiffItem::Remove(key, _) => key,
                DiffItem::Update { new: (key, _), .. } => key,
            }));
        }
        (Some(one), None) | (None, Some(one)) => names.extend(one.names().keys()),
        (None, None) => {}
    }
    names
}

/// Whether a copy can answer as the zone does. Where names that do not exist are denied compactly
/// (RFC 9824), it cannot: what proves it is only made when it is asked for, with the zone's keys.
#[must_use]
pub fn can_be_copied(zone: &Zone) -> bool {
    zone.signed().is_none_or(|signed| matches!(signed.denial(), Denial::Chain))
}

/// By type number, but the SOA first, as RFC 1035 §5.2 wants it.
pub(super) fn in_order(node: &Node) -> impl Iterator<Item = &Rrset> {
    let others = node.iter().filter(|rrset| rrset.rtype != RecordType::SOA);
    node.get(RecordType::SOA).into_iter().chain(others)
}
