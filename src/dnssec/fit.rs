//! What a zone must be to be signed here: nothing in it is another signer's, and nothing outlives
//! the signatures over it.

use crate::{
    model::Ttl,
    records::{Node, RecordType, Rrset, Zone},
};

/// Types that are made in signing; what a zone has of them before is another signer's.
pub const SIGNERS_OWN: [RecordType; 4] =
    [RecordType::RRSIG, RecordType::NSEC, RecordType::NSEC3, RecordType::NSEC3PARAM];

/// A zone that was signed elsewhere, perhaps, as it may be signed here: without what another signer
/// made, since two kinds of proofs contradict each other, and with no TTL and no SOA expire over
/// what [`longest`] says.
#[must_use]
pub fn fitted(zone: &Zone, lifetime: i64) -> Zone {
    let most = longest(lifetime);
    let changed = zone.nodes().filter_map(|(key, node)| {
        let rrsets = node.iter().filter(|own| !SIGNERS_OWN.contains(&own.rtype));
        let fits = Node::new(rrsets.map(|own| shortened(own, most))).with_steering_of(node);
        (fits != *node).then(|| (key.clone(), Some(fits)))
    });
    with_expire(&zone.with(changed, zone.serial()), lifetime)
}

/// The zone with an SOA expire of at most what [`longest`] says: a secondary that cannot reach us
/// must not serve signatures that have ended (RFC 6781 §4.4.2).
#[must_use]
pub fn with_expire(zone: &Zone, lifetime: i64) -> Zone {
    let apex = zone.node(zone.key().as_bytes());
    let changed = apex.zip(zone.soa().and_then(|soa| expiring(soa, longest(lifetime))));
    let changed = changed.map(|(apex, soa)| {
        let mut apex = apex.clone();
        apex.put(soa);
        (zone.key().clone(), Some(apex))
    });
    zone.with(changed, zone.serial())
}

/// How long anything may be kept beside signatures that hold for `lifetime` seconds: a quarter of
/// it, which is what is left of them when they are made again.
#[must_use]
pub fn longest(lifetime: i64) -> Ttl {
    Ttl::from_secs(u32::try_from(lifetime / 4).unwrap_or(u32::MAX))
}

fn shortened(rrset: &Rrset, most: Ttl) -> Rrset {
    let mut rrset = rrset.clone();
    rrset.ttl = rrset.ttl.min(most);
    rrset
}

/// `None` where its expire, the last number but one (RFC 1035 §3.3.13), is short enough.
fn expiring(soa: &Rrset, most: Ttl) -> Option<Rrset> {
    let mut data = soa.rdata().next()?.to_vec();
    let at = data.len().checked_sub(8)?;
    let expire = data.get_mut(at..)?.first_chunk_mut::<4>()?;
    if u32::from_be_bytes(*expire) <= most.as_secs() {
        return None;
    }
    *expire = most.as_secs().to_be_bytes();
    Rrset::new(soa.rtype, soa.ttl, [data])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{MasterFile, no_includes, parse_master};

    fn zone(text: &str) -> Zone {
        parse_master(&"z.test".parse().unwrap(), "z", text, &mut no_includes).unwrap().zone
    }

    #[test]
    fn what_another_signer_made_is_left_out_and_nothing_outlives_signatures() {
        let of = |expire: u32, ttl: u32| {
            format!("$TTL 300\n@ SOA ns h 7 3600 600 {expire} 300\n@ NS ns\nns {ttl} A 192.0.2.1\n")
        };
        let signed = "@ 0 NSEC3PARAM 1 0 0 -\nns NSEC z.test. A RRSIG NSEC\nns RRSIG A 13 3 300 \
                      20300101000000 20290101000000 1 z.test. YWJj\nonly NSEC z.test. RRSIG NSEC\n";
        let (from, wanted) = (zone(&(of(1_209_600, 86_400) + signed)), zone(&of(21_600, 21_600)));
        let fits = fitted(&from, 86_400);
        assert_eq!(MasterFile(&fits).to_string(), MasterFile(&wanted).to_string());
        assert_eq!((fits.len(), fits.serial()), (2, from.serial()));
        let again = fitted(&fits, 86_400);
        assert_eq!(again.changes(&fits).count(), 0, "what fits stays as it is");
    }
}
