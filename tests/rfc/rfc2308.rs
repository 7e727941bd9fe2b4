//! RFC 2308: negative caching.

use crate::ask::Asked;
use meridian::records::Outcome;

/// MINIMUM is 60, the SOA's own TTL 3600.
const SOA: &str =
    "example.org. 60 SOA ns1.example.org. hostmaster.example.org. 2026010101 7200 900 1209600 60";

#[test]
fn s2_1_a_name_error_brings_the_soa_for_at_most_its_minimum() {
    let zones = Asked::example_org();
    let given = zones.ask("nothing.example.org A");
    given.gives(Outcome::NxDomain, &[]).authority(&[SOA]);
    assert!(given.authoritative);
}

#[test]
fn s2_2_a_missing_type_is_no_error_and_brings_the_soa() {
    Asked::example_org().ask("www.example.org TXT").gives(Outcome::NoData, &[]).authority(&[SOA]);
}

#[test]
fn s2_1_1_a_cname_to_a_missing_name_is_a_name_error_with_the_chain() {
    Asked::example_org()
        .ask("nowhere.example.org A")
        .gives(Outcome::NxDomain, &["nowhere.example.org. 3600 CNAME missing.example.org."])
        .authority(&[SOA]);
}

#[test]
fn s2_2_1_a_cname_to_a_name_without_the_type_is_no_data_with_the_chain() {
    Asked::example_org()
        .ask("ftp.example.org TXT")
        .gives(Outcome::NoData, &["ftp.example.org. 3600 CNAME www.example.org."])
        .authority(&[SOA]);
}
