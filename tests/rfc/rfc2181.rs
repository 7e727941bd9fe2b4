//! RFC 2181: clarifications.

use crate::battery::{SOA, example_org, parse};
use meridian::records::{Outcome::Referral, rows};

#[test]
fn s5_2_an_rrset_has_one_ttl_the_lowest() {
    let parsed = parse("z.test", &format!("{SOA}a 300 A 192.0.2.1\na 60 A 192.0.2.2\n"));
    assert_eq!(
        rows(&parsed.zone).last().unwrap().to_string(),
        "a.z.test. 60 A 192.0.2.1,192.0.2.2"
    );
    assert_eq!(
        parsed.warnings[0].to_string(),
        "zone:4: the A records of a.z.test. have different TTLs; the lowest, 60, is used for all"
    );
}

#[test]
fn s5_an_rrset_holds_each_record_once() {
    let parsed = parse("z.test", &format!("{SOA}a A 192.0.2.1\na A 192.0.2.1\n"));
    assert_eq!(rows(&parsed.zone).last().unwrap().data, "192.0.2.1");
}

#[test]
fn s6_1_glue_is_never_an_answer() {
    example_org().ask("ns.sub.example.org A").gives(Referral, &[]).authoritative(false);
}
