//! RFC 9471: glue in referrals.

use crate::battery::{example_org, zone};
use meridian::records::Outcome::Referral;

#[test]
fn s3_1_all_glue_of_the_zone_comes_with_a_referral() {
    example_org().ask("www.sub.example.org A").gives(Referral, &[]).additional(&[
        "ns.sub.example.org 3600 A 192.0.2.54",
        "ns.sub.example.org 3600 AAAA 2001:db8::54",
        "ns1.example.org 3600 A 192.0.2.53",
        "ns1.example.org 3600 AAAA 2001:db8::53",
    ]);
}

#[test]
fn s3_2_glue_below_a_sibling_delegation_is_given_too() {
    zone("z.test", "a NS ns.b\nb NS ns.b\nns.b A 192.0.2.1")
        .ask("x.a.z.test A")
        .gives(Referral, &[])
        .additional(&["ns.b.z.test 3600 A 192.0.2.1"]);
}
