//! RFC 6840: what RFC 4033 to 4035 left unclear.

use crate::{
    battery::{SOA, parse},
    validator::{NOW, serve, sign, signing},
};
use hickory_proto::rr::{Name as Theirs, RecordType as Type};
use meridian::{dnssec::Algorithm, model::Name, records::RecordType};

/// §5.1: names in NSEC stay as they are where they are signed; ours are in lower case anyway, so
/// that both readings of the RFCs before give the same signature.
#[test]
fn s5_1_next_names_and_signers_are_in_lower_case() {
    let zone = parse("Z.Test", &format!("{SOA}Host 60 A 192.0.2.1\n")).zone;
    let signed = sign(&signing(false, Algorithm::Ed25519, &zone), &zone, None);
    for name in signed.signed().unwrap().names().values() {
        assert!(!name.owner.as_wire().iter().any(u8::is_ascii_uppercase));
        let next = name.nsec.nsec.rdata().next().unwrap();
        let end = next.iter().position(|octet| *octet == 0).unwrap();
        assert!(!next[..end].iter().any(u8::is_ascii_uppercase), "{}", name.owner);
    }
}

/// §5.7 and §5.9: CD is copied, and asks nothing of a server that does not validate.
#[test]
fn s5_7_ad_is_never_set() {
    let zone = parse("z.test", &format!("{SOA}a 60 A 192.0.2.1\n")).zone;
    let signer = serve(sign(&signing(false, Algorithm::Ed25519, &zone), &zone, None));
    let message = signer.ask(&Theirs::from_ascii("a.z.test.").unwrap(), Type::A, 0x80, None);
    assert!(!message.authentic_data);
}

/// RFC 4034 §3.1.5: an hour for clocks that are behind, and not all signatures end at once.
#[test]
fn signatures_hold_from_an_hour_ago_and_end_apart() {
    let lines: String = (0..200).map(|at| format!("n{at} 60 A 192.0.2.1\n")).collect();
    let zone = parse("z.test", &format!("{SOA}{lines}")).zone;
    let with = signing(false, Algorithm::Ed25519, &zone);
    let signed = sign(&with, &zone, None);
    let mut ends = std::collections::BTreeSet::new();
    for at in 0..200 {
        let name: Name = format!("n{at}.z.test").parse().unwrap();
        let own = signed.signed().unwrap().name(name.key().as_bytes()).unwrap();
        let rrsig = own.rrsig(RecordType::A).unwrap().rdata().next().unwrap().to_vec();
        let number =
            |at: usize| i64::from(u32::from_be_bytes(rrsig[at..at + 4].try_into().unwrap()));
        assert_eq!(number(12), NOW - 3_600);
        let lasts = number(8) - NOW;
        assert!((with.lifetime * 3 / 4..=with.lifetime).contains(&lasts), "{lasts}");
        ends.insert(lasts);
    }
    assert!(ends.len() > 150);
    let mut later = with.clone();
    assert_eq!(later.due(&signed).count(), 0);
    later.now += with.lifetime * 5 / 8;
    let some = later.due(&signed).count();
    assert!((1..200).contains(&some), "{some} are due");
    later.now = NOW + with.lifetime * 3 / 4 + 1;
    assert_eq!(later.due(&signed).count(), 201);
}
