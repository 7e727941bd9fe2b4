//! RFC 1034: domain names, the algorithm of §4.3.2.

use crate::battery::{Dns, example_org, read, zone};
use meridian::records::{
    Completeness,
    Outcome::{Alias, Data, NoData, NotReady, NxDomain, Referral, Refused},
};

const SOA: &str =
    "example.org 300 SOA ns1.example.org. hostmaster.example.org. 2026010101 7200 600 1209600 300";

#[test]
fn s4_3_2_a_name_with_data_answers_with_all_of_them() {
    example_org()
        .ask("www.example.org A")
        .gives(Data, &["www.example.org 300 A 192.0.2.80", "www.example.org 300 A 192.0.2.81"])
        .authority(&[])
        .additional(&[])
        .authoritative(true);
}

#[test]
fn s4_3_2_a_question_is_found_in_any_case_and_answered_in_its_own() {
    example_org().ask("MAIL.Example.Org A").gives(Data, &["MAIL.Example.Org 300 A 192.0.2.25"]);
}

#[test]
fn s4_3_2_step2_the_lowest_zone_answers() {
    let dns = zone("example.org", "www.sub A 192.0.2.1\nsub NS ns.example.net.")
        .and("sub.example.org", "www A 192.0.2.2");
    dns.ask("www.sub.example.org A").gives(Data, &["www.sub.example.org 3600 A 192.0.2.2"]);
}

#[test]
fn s4_3_2_step2_a_name_of_no_zone_is_refused() {
    let dns = example_org();
    dns.ask("example.com A").gives(Refused, &[]).authority(&[]).authoritative(false);
    dns.ask("org A").gives(Refused, &[]);
    dns.ask("badexample.org A").gives(Refused, &[]);
}

#[test]
fn s4_3_2_step3a_an_alias_is_followed_inside_the_zone() {
    example_org().ask("web.example.org AAAA").gives(
        Data,
        &["web.example.org 3600 CNAME www.example.org.", "www.example.org 300 AAAA 2001:db8::80"],
    );
}

#[test]
fn s4_3_2_step3a_a_federated_name_leads_from_zone_to_region_to_global() {
    let dns = Dns::default().with(read("fed.example.org", "fed.example.org.zone").zone);
    let asked = "web.shop.fed.svc.eu-b.eu.fed.example.org A";
    dns.ask(asked).gives(
        Data,
        &[
            "web.shop.fed.svc.eu-b.eu.fed.example.org 30 CNAME web.shop.fed.svc.eu.fed.example.org.",
            "web.shop.fed.svc.eu.fed.example.org 30 CNAME web.shop.fed.svc.fed.example.org.",
            "web.shop.fed.svc.fed.example.org 30 A 203.0.113.1",
        ],
    );
}

#[test]
fn s4_3_2_step3a_an_alias_is_followed_into_another_zone_of_ours() {
    let dns = example_org().and("example.com", "www A 198.51.100.1");
    dns.ask("away.example.org A").gives(
        Data,
        &["away.example.org 3600 CNAME www.example.com.", "www.example.com 3600 A 198.51.100.1"],
    );
}

#[test]
fn s4_3_2_step3a_an_alias_out_of_our_zones_ends_the_answer() {
    example_org()
        .ask("away.example.org A")
        .gives(Alias, &["away.example.org 3600 CNAME www.example.com."])
        .authority(&[])
        .authoritative(true);
}

#[test]
fn s4_3_2_step3a_a_question_for_the_alias_itself_is_not_followed() {
    let dns = example_org();
    let only = ["web.example.org 3600 CNAME www.example.org."];
    dns.ask("web.example.org CNAME").gives(Data, &only);
    dns.ask("web.example.org ANY").gives(Data, &only);
}

#[test]
fn s3_6_2_a_loop_of_aliases_ends_with_each_of_them_once() {
    example_org().ask("loop-a.example.org A").gives(
        Alias,
        &[
            "loop-a.example.org 3600 CNAME loop-b.example.org.",
            "loop-b.example.org 3600 CNAME loop-a.example.org.",
        ],
    );
    let dns = zone("example.org", "self CNAME SELF");
    dns.ask("Self.example.org A").gives(Alias, &["Self.example.org 3600 CNAME SELF.example.org."]);
}

#[test]
fn s3_6_2_a_chain_is_followed_sixteen_steps() {
    let mut lines: String = (0..30).map(|at| format!("c{at} CNAME c{}\n", at + 1)).collect();
    lines.push_str("c30 A 192.0.2.1\n");
    let dns = zone("example.org", &lines);
    assert_eq!(dns.ask("c14.example.org A").answer.outcome, Data);
    let cut = dns.ask("c13.example.org A");
    assert_eq!((cut.answer.outcome, cut.answer.answer.len()), (Alias, 17));
}

#[test]
fn s4_3_2_step3a_an_alias_may_lead_to_a_name_without_the_type() {
    example_org()
        .ask("web.example.org MX")
        .gives(NoData, &["web.example.org 3600 CNAME www.example.org."])
        .authority(&[SOA]);
}

#[test]
fn s4_3_2_step3b_below_a_delegation_stands_a_referral() {
    let dns = example_org();
    let servers = [
        "sub.example.org 3600 NS ns.sub.example.org.",
        "sub.example.org 3600 NS ns.example.net.",
        "sub.example.org 3600 NS ns1.example.org.",
    ];
    for question in ["sub.example.org A", "www.sub.example.org A", "a.b.sub.example.org NS"] {
        dns.ask(question).gives(Referral, &[]).authority(&servers).authoritative(false);
    }
}

#[test]
fn s4_3_2_an_alias_into_a_delegation_brings_chain_and_referral() {
    let dns = example_org();
    let reply = dns.ask("deep.example.org A");
    reply.gives(Referral, &["deep.example.org 3600 CNAME host.sub.example.org."]);
    reply.authoritative(true); // of the alias, the first owner in the answer (RFC 1035 §4.1.1)
}

#[test]
fn s4_3_2_step3c_a_missing_name_is_denied() {
    example_org().ask("nowhere.example.org A").gives(NxDomain, &[]).authority(&[SOA]);
}

#[test]
fn s4_3_2_step6_addresses_of_targets_are_added() {
    let dns = example_org();
    let mail = ["mail.example.org 300 A 192.0.2.25"];
    dns.ask("example.org MX")
        .gives(
            Data,
            &[
                "example.org 3600 MX 10 mail.example.org.",
                "example.org 3600 MX 20 mail.example.net.",
            ],
        )
        .additional(&mail);
    dns.ask("_imap._tcp.example.org SRV")
        .gives(Data, &["_imap._tcp.example.org 3600 SRV 0 1 993 mail.example.org."])
        .additional(&mail);
    dns.ask("example.org NS").additional(&[
        "ns1.example.org 3600 A 192.0.2.53",
        "ns1.example.org 3600 AAAA 2001:db8::53",
    ]);
}

#[test]
fn s4_2_an_apex_answers_its_own_ns_and_the_root_can_be_one() {
    let root = zone(".", "org NS a.org.\na.org A 192.0.2.1");
    root.ask(". NS").gives(Data, &[". 3600 NS ns.example.net."]).authoritative(true);
    root.ask("www.example.org A")
        .gives(Referral, &[])
        .authority(&["org 3600 NS a.org."])
        .additional(&["a.org 3600 A 192.0.2.1"]);
    root.ask("com A").gives(NxDomain, &[]);
}

/// RFC 4035 §3.1.4.1.
#[test]
fn ds_is_answered_above_the_cut() {
    let ds = "sub DS 1 13 2 0102";
    let dns = zone("example.org", &format!("sub NS ns.example.net.\n{ds}"));
    let answer = ["sub.example.org 3600 DS 1 13 2 0102"];
    dns.ask("sub.example.org DS").gives(Data, &answer).authoritative(true);
    let both = dns.and("sub.example.org", "");
    both.ask("sub.example.org DS").gives(Data, &answer);
    both.ask("example.org DS").gives(NoData, &[]);
}

/// RFC 4035 §3.1.4.1: NODATA from above the cut; from the zone itself when nobody else can.
#[test]
fn ds_that_is_missing_is_denied_from_above_the_cut() {
    let dns = zone("example.org", "sub NS ns.example.net.").and("sub.example.org", "");
    let reply = dns.ask("sub.example.org DS");
    reply.gives(NoData, &[]);
    assert!(format!("{:?}", reply.answer.authority).contains("Name(example.org.)"));
    let parent_without_cut = zone("example.org", "").and("sub.example.org", "");
    parent_without_cut.ask("sub.example.org DS").gives(NoData, &[]);
}

/// Invariant I13: no premature "no".
#[test]
fn a_zone_that_is_not_known_yet_denies_nothing() {
    let pending = example_org().known(Completeness::Pending);
    pending.ask("www.example.org A").gives(NotReady, &[]).authority(&[]).authoritative(false);
    let partial = example_org().known(Completeness::Partial);
    partial.ask("nowhere.example.org A").gives(NotReady, &[]).authority(&[]);
    partial.ask("www.example.org MX").gives(NotReady, &[]);
    partial.ask("dangling.example.org A").gives(NotReady, &[]);
    assert_eq!(partial.ask("web.example.org A").answer.outcome, Data);
}
