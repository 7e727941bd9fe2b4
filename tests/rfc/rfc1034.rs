//! RFC 1034: concepts and facilities.

use crate::ask::{Asked, parse, zone};
use meridian::records::{Completeness, MAX_ALIASES, Outcome, ZoneSet};
use std::sync::Arc;

#[test]
fn s4_3_2_step_3a_the_asked_type_is_answered_with_authority() {
    let zones = Asked::example_org();
    let given = zones.ask("www.example.org A");
    given.gives(Outcome::Data, &["www.example.org. 300 A 192.0.2.80"]);
    assert!(given.authoritative);
}

#[test]
fn s4_3_2_names_match_without_case() {
    Asked::example_org()
        .ask("WWW.Example.ORG A")
        .gives(Outcome::Data, &["WWW.Example.ORG. 300 A 192.0.2.80"]);
}

#[test]
fn s4_3_2_step_3a_a_cname_is_followed_through_the_zone() {
    Asked::example_org().ask("chain.example.org A").gives(
        Outcome::Data,
        &[
            "chain.example.org. 3600 CNAME ftp.example.org.",
            "ftp.example.org. 3600 CNAME www.example.org.",
            "www.example.org. 300 A 192.0.2.80",
        ],
    );
}

#[test]
fn s3_6_2_a_question_for_the_cname_itself_is_not_followed() {
    Asked::example_org()
        .ask("chain.example.org CNAME")
        .gives(Outcome::Data, &["chain.example.org. 3600 CNAME ftp.example.org."]);
}

#[test]
fn s4_3_2_a_cname_out_of_our_zones_ends_the_answer() {
    Asked::example_org()
        .ask("out.example.org A")
        .gives(Outcome::Alias, &["out.example.org. 3600 CNAME www.example.net."])
        .authority(&[]);
}

#[test]
fn s5_2_2_a_loop_of_cnames_ends() {
    let zones = Asked::example_org();
    zones.ask("loop1.example.org A").gives(
        Outcome::Alias,
        &[
            "loop1.example.org. 3600 CNAME loop2.example.org.",
            "loop2.example.org. 3600 CNAME loop1.example.org.",
        ],
    );
    zones
        .ask("self.example.org A")
        .gives(Outcome::Alias, &["self.example.org. 3600 CNAME self.example.org."]);
}

#[test]
fn a_long_chain_of_cnames_is_cut_at_the_limit() {
    let mut text = String::from("$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\n");
    (0..100).for_each(|n| text.push_str(&format!("a{n} CNAME a{}\n", n + 1)));
    let zones = Asked(parse("example.org", &text).into());
    let given = zones.ask("a0.example.org A");
    assert_eq!((given.outcome, given.answer.len()), (Outcome::Alias, MAX_ALIASES + 1));
}

#[test]
fn s4_3_2_step_3b_a_delegation_is_a_referral_with_its_glue() {
    let zones = Asked::example_org();
    for question in [
        "sub.example.org A",
        "sub.example.org NS",
        "deep.in.sub.example.org A",
        "ns.sub.example.org A",
    ] {
        let given = zones.ask(question);
        given
            .gives(Outcome::Referral, &[])
            .authority(&[
                "sub.example.org. 3600 NS ns.sub.example.org.",
                "sub.example.org. 3600 NS ns2.example.net.",
            ])
            .additional(&["ns.sub.example.org. 3600 A 192.0.2.54"]);
        assert!(!given.authoritative, "{question}");
    }
}

#[test]
fn rfc4035_s3_1_4_1_ds_at_a_cut_is_answered_by_the_upper_zone() {
    let zones = Asked::example_org();
    let given = zones.ask("sub.example.org DS");
    assert_eq!((given.outcome, given.answer.len()), (Outcome::Data, 1));
    zones.ask("far.example.org DS").gives(Outcome::NoData, &[]);
    // Also where both zones are ours.
    let mut both: ZoneSet = zone("example.org", "example.org.zone").into();
    both.put(Arc::new(parse(
        "sub.example.org",
        "$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\n@ A 192.0.2.99\n",
    )));
    let zones = Asked(both);
    assert_eq!(zones.ask("sub.example.org DS").answer.len(), 1);
    zones.ask("sub.example.org A").gives(Outcome::Data, &["sub.example.org. 60 A 192.0.2.99"]);
}

#[test]
fn s4_3_2_step_6_addresses_of_mail_name_and_service_hosts_are_added() {
    let zones = Asked::example_org();
    zones
        .ask("example.org MX")
        .gives(Outcome::Data, &["example.org. 3600 MX 10 mail.example.org."])
        .additional(&["mail.example.org. 3600 A 192.0.2.25"]);
    zones.ask("example.org NS").additional(&[
        "ns1.example.org. 3600 A 192.0.2.53",
        "ns1.example.org. 3600 AAAA 2001:db8::53",
    ]);
    zones.ask("_sip._tcp.example.org SRV").additional(&["mail.example.org. 3600 A 192.0.2.25"]);
}

#[test]
fn names_outside_all_zones_are_refused() {
    let given = Asked::example_org().ask("www.example.net A");
    given.gives(Outcome::Refused, &[]);
    assert!(!given.authoritative);
}

#[test]
fn of_several_zones_the_lowest_answers() {
    let mut zones: ZoneSet = parse("example.org", "$TTL 60\n@ SOA a b 1 2 3 4 5\n@ NS a\n").into();
    let lower = "$TTL 60\n@ SOA a b 1 2 3 4 5\n@ NS a\nwww A 192.0.2.1\n";
    zones.put(Arc::new(parse("deep.example.org", lower)));
    let zones = Asked(zones);
    zones
        .ask("www.deep.example.org A")
        .gives(Outcome::Data, &["www.deep.example.org. 60 A 192.0.2.1"]);
    zones.ask("www.example.org A").gives(Outcome::NxDomain, &[]);
}

#[test]
fn before_all_is_known_nothing_is_denied() {
    let mut zone = zone("example.org", "example.org.zone");
    zone.completeness = Completeness::Partial;
    let zones = Asked(zone.clone().into());
    zones.ask("www.example.org A").gives(Outcome::Data, &["www.example.org. 300 A 192.0.2.80"]);
    for question in ["missing.example.org A", "www.example.org TXT", "nowhere.example.org A"] {
        zones.ask(question).gives(Outcome::NotReady, &[]).authority(&[]);
    }
    zone.completeness = Completeness::Pending;
    Asked(zone.into()).ask("www.example.org A").gives(Outcome::NotReady, &[]);
}

/// RFC 8482 §4.1: one rrset is enough for ANY.
#[test]
fn rfc8482_s4_1_any_is_answered_with_one_rrset() {
    let given = Asked::example_org().ask("www.example.org ANY");
    given.gives(Outcome::Data, &["www.example.org. 300 A 192.0.2.80"]);
}
