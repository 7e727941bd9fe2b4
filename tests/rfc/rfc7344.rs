//! RFC 7344 and RFC 8078: what the zone wishes for at its parent.

use crate::{
    battery::{SOA, parse},
    validator::{sign, signing},
};
use meridian::{
    dnssec::Algorithm,
    records::{RecordType, rdata_to_text},
};

#[test]
fn s3_cds_and_cdnskey_say_what_the_keys_say() {
    let zone = parse("z.test", SOA).zone;
    let with = signing(false, Algorithm::EcdsaP256, &zone);
    let signed = sign(&with, &zone, None);
    let apex = signed.node(signed.key().as_bytes()).unwrap();
    let data = |rtype| apex.get(rtype).unwrap().rdata().next().unwrap().to_vec();
    assert_eq!(data(RecordType::CDNSKEY), data(RecordType::DNSKEY));
    let key = &with.keys.wished[0];
    assert_eq!(data(RecordType::CDS), key.ds(zone.apex()));
    let text = rdata_to_text(RecordType::CDS, &data(RecordType::CDS));
    assert!(text.starts_with(&format!("{} 13 2 ", key.tag())), "{text}");
}

#[test]
fn s4_1_nothing_is_wished_for_before_every_cache_knows_the_key() {
    let zone = parse("z.test", SOA).zone;
    let mut with = signing(false, Algorithm::Ed25519, &zone);
    with.keys.wished.clear();
    let signed = sign(&with, &zone, None);
    let apex = signed.node(signed.key().as_bytes()).unwrap();
    assert!(apex.get(RecordType::DNSKEY).is_some());
    assert!(apex.get(RecordType::CDS).is_none() && apex.get(RecordType::CDNSKEY).is_none());
}
