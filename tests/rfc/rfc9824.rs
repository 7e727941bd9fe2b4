//! RFC 9824: compact denial of existence.

use crate::{
    battery::{SOA, parse},
    validator::{Signer, Verdict, serve, sign, signing},
};
use hickory_proto::{
    dnssec::rdata::DNSSECRData,
    op::ResponseCode,
    rr::{Name as Theirs, RData, RecordType as Type},
};
use meridian::dnssec::Algorithm;

const LINES: &str = "\
    a      60 A 192.0.2.1\n\
    deep.ent 60 TXT deep\n\
    gone   60 CNAME nothing\n\
    *.wild 60 A 192.0.2.9\n\
    x.wild 60 TXT closer\n\
    sub    60 NS ns.example.net.\n\
    moved  60 DNAME wild\n";

fn served() -> Signer {
    let zone = parse("z.test", &format!("{SOA}{LINES}")).zone;
    serve(sign(&signing(true, Algorithm::EcdsaP256, &zone), &zone, None))
}

fn name(text: &str) -> Theirs {
    Theirs::from_ascii(text).unwrap()
}

/// Next name and types of the NSEC that a question is answered with.
fn nsec(signer: &Signer, asked: &str, rtype: Type) -> (String, Vec<u16>) {
    let message = signer.ask(&name(asked), rtype, 0x80, None);
    let found = message.authorities.iter().find_map(|record| match &record.data {
        RData::DNSSEC(DNSSECRData::NSEC(nsec)) => {
            assert_eq!(record.name, name(asked), "it is of the name that was asked for");
            let types = nsec.type_bit_maps().map(u16::from).collect();
            Some((nsec.next_domain_name().to_string(), types))
        }
        _ => None,
    });
    found.unwrap()
}

#[test]
fn s3_every_answer_validates_and_unknown_names_are_there_without_data() {
    let signer = served();
    for (asked, rtype, expected) in [
        ("a.z.test.", Type::A, Verdict::Data),
        ("a.z.test.", Type::TXT, Verdict::NoData),
        ("ent.z.test.", Type::A, Verdict::NoData),
        ("nothing.z.test.", Type::A, Verdict::Compact),
        ("gone.z.test.", Type::A, Verdict::Compact),
        ("y.wild.z.test.", Type::A, Verdict::Data),
        ("y.wild.z.test.", Type::TXT, Verdict::NoData),
        ("y.moved.z.test.", Type::A, Verdict::Data),
        ("sub.z.test.", Type::A, Verdict::Referral),
        ("sub.z.test.", Type::DS, Verdict::NoData),
    ] {
        assert_eq!(signer.validate(&name(asked), rtype, None).unwrap(), expected, "{asked}");
    }
}

#[test]
fn s3_1_a_name_that_is_not_there_has_nxname() {
    let signer = served();
    let (next, types) = nsec(&signer, "Nothing.z.test.", Type::A);
    assert_eq!(next, "\\000.nothing.z.test.");
    assert_eq!(types, [46, 47, 128], "RRSIG, NSEC, NXNAME");
    let message = signer.ask(&name("nothing.z.test."), Type::A, 0x80, None);
    assert_eq!(message.response_code, ResponseCode::NoError);
}

#[test]
fn s3_2_an_empty_non_terminal_and_a_name_without_that_type_have_not() {
    let signer = served();
    assert_eq!(nsec(&signer, "ent.z.test.", Type::A).1, [46, 47]);
    assert_eq!(nsec(&signer, "a.z.test.", Type::MX).1, [1, 46, 47]);
    let wild = nsec(&signer, "y.wild.z.test.", Type::MX);
    assert_eq!(wild.1, [1, 46, 47], "what the wildcard gives it");
}

#[test]
fn s3_5_nxname_is_no_type_to_ask_for() {
    let message = served().ask(&name("a.z.test."), Type::Unknown(128), 0x80, None);
    assert_eq!(message.response_code, ResponseCode::FormErr);
}

#[test]
fn s5_1_who_says_co_gets_nxdomain_and_co() {
    let signer = served();
    let co = |asked: &str| {
        let message = signer.ask(&name(asked), Type::A, 0xc0, None);
        let flags = message.edns.as_ref().unwrap().flags().z;
        (message.response_code, flags & 0x4000 != 0)
    };
    assert_eq!(co("nothing.z.test."), (ResponseCode::NXDomain, true));
    assert_eq!(co("gone.z.test."), (ResponseCode::NXDomain, true));
    assert_eq!(co("ent.z.test."), (ResponseCode::NoError, true));
    // Without DO, all is as ever.
    let plain = signer.ask(&name("nothing.z.test."), Type::A, 0x40, None);
    assert_eq!(plain.response_code, ResponseCode::NXDomain);
}
