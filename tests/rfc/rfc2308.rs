//! RFC 2308: negative answers.

use crate::battery::{Dns, example_org, parse};
use meridian::records::Outcome::{NoData, NxDomain};

const SOA: &str =
    "example.org 300 SOA ns1.example.org. hostmaster.example.org. 2026010101 7200 600 1209600 300";

#[test]
fn s2_1_nxdomain_brings_the_soa() {
    example_org()
        .ask("nowhere.example.org A")
        .gives(NxDomain, &[])
        .authority(&[SOA])
        .authoritative(true);
}

#[test]
fn s2_1_an_alias_to_a_missing_name_is_nxdomain_with_the_chain() {
    example_org()
        .ask("dangling.example.org A")
        .gives(NxDomain, &["dangling.example.org 3600 CNAME nowhere.example.org."])
        .authority(&[SOA]);
}

#[test]
fn s2_1_the_soa_is_of_the_zone_where_the_chain_ended() {
    example_org()
        .and("example.com", "")
        .ask("away.example.org A")
        .gives(NxDomain, &["away.example.org 3600 CNAME www.example.com."])
        .authority(&[
            "example.com 300 SOA ns.example.net. hostmaster.example.net. 1 7200 600 1209600 300",
        ]);
}

#[test]
fn s2_2_nodata_brings_the_soa() {
    example_org().ask("mail.example.org AAAA").gives(NoData, &[]).authority(&[SOA]);
}

#[test]
fn s5_the_soa_is_kept_for_the_lower_of_its_ttl_and_minimum() {
    for (ttl, minimum) in [(60, 300), (300, 60)] {
        let text = format!("@ {ttl} SOA a. b. 1 2 3 4 {minimum}\n@ 600 NS a.\n");
        let dns = Dns::default().with(parse("z.test", &text).zone);
        dns.ask("x.z.test A").authority(&[&format!("z.test 60 SOA a. b. 1 2 3 4 {minimum}")]);
        dns.ask("z.test SOA").gives(
            meridian::records::Outcome::Data,
            &[&format!("z.test {ttl} SOA a. b. 1 2 3 4 {minimum}")],
        );
    }
}
