//! RFC 5936: DNS Zone Transfer Protocol (AXFR).

use crate::{
    transfers::{AXFR, FRIEND, IXFR, SOA, STRANGER, Server, ixfr, line, query, version},
    validator::{sign, signing},
};
use meridian::{
    dnssec::Algorithm,
    records::{Completeness, Zone, in_full},
    server::{Stamp, Transport},
    transfer::{Event, Record, read_response},
};
use std::sync::Arc;

#[test]
fn s2_2_the_soa_comes_first_and_last_and_all_else_between() {
    let server = Server::new(&[version(5, "www A 192.0.2.80\n")]);
    assert_eq!(
        server.rows(&query("z.test", AXFR), FRIEND, Transport::Tcp),
        [
            "z.test SOA ns.z.test. host.z.test. 5 7200 900 86400 30",
            "z.test NS ns.z.test.",
            "ns.z.test A 192.0.2.53",
            "sub.z.test NS ns.sub.z.test.",
            "hidden.sub.z.test A 192.0.2.55",
            "ns.sub.z.test A 192.0.2.54",
            "www.z.test A 192.0.2.80",
            "z.test SOA ns.z.test. host.z.test. 5 7200 900 86400 30",
        ]
    );
}

#[test]
fn s2_2_a_zone_of_many_records_takes_many_messages_each_as_large_as_can_be() {
    let lines: String = (0..9_000).map(|n| format!("n{n} TXT \"{}\"\n", "x".repeat(60))).collect();
    let server = Server::new(&[version(5, &lines)]);
    let all = server.all(&query("z.test", AXFR), FRIEND, Transport::Tcp);
    assert!(all.len() > 5, "{} messages", all.len());
    assert!(all[..all.len() - 1].iter().all(|own| own.len() > 60_000), "messages are filled");
    let rows: usize = all.iter().map(|own| read_response(own).unwrap().answer.len()).sum();
    assert_eq!(rows, 9_000 + 7);
    // §3.4: names are compressed.
    let octets: usize = all.iter().map(Vec::len).sum();
    assert!(octets < 9_000 * 90, "{octets} octets");
}

#[test]
fn s2_2_1_the_question_stands_in_the_first_message_and_the_id_in_all() {
    let lines: String = (0..3_000).map(|n| format!("n{n} TXT \"{}\"\n", "x".repeat(60))).collect();
    let server = Server::new(&[version(5, &lines)]);
    let all = server.all(&query("z.test", AXFR), FRIEND, Transport::Tls);
    for (at, message) in all.iter().enumerate() {
        assert_eq!(message[..2], [0xab, 0xcd]);
        assert_eq!(message[2..4], [0x84, 0], "QR and AA, NOERROR");
        assert_eq!(message[5], u8::from(at == 0));
    }
}

#[test]
fn s2_2_1_a_zone_that_is_not_ours_is_notauth() {
    let server = Server::new(&[version(5, "")]);
    for zone in ["example.net", "www.z.test"] {
        assert_eq!(server.one(&query(zone, AXFR), FRIEND, Transport::Tcp).rcode, 9);
    }
}

#[test]
fn s5_who_is_not_allowed_is_refused() {
    let server = Server::new(&[version(5, "")]);
    let refused = server.one(&query("z.test", AXFR), STRANGER, Transport::Tcp);
    assert_eq!((refused.rcode, refused.answer.len()), (5, 0));
    assert_eq!(server.one(&query("z.test", SOA), STRANGER, Transport::Tcp).rcode, 0);
}

#[test]
fn s4_2_there_is_no_axfr_over_udp() {
    let server = Server::new(&[version(5, "")]);
    let refused = server.one(&query("z.test", AXFR), FRIEND, Transport::Udp);
    assert_eq!((refused.rcode, refused.answer.len()), (5, 0));
}

/// One stream of HTTP holds one answer (RFC 8484 §4.2).
#[test]
fn s4_transfers_are_refused_over_https_and_that_is_no_matter_of_the_quota() {
    let server = Server::new(&[version(1, ""), version(2, "www A 192.0.2.80\n")]);
    for packet in [query("z.test", AXFR), ixfr(1)] {
        assert_eq!(server.one(&packet, FRIEND, Transport::Https).rcode, 5);
    }
    assert_eq!(server.one(&query("z.test", AXFR), STRANGER, Transport::Https).rcode, 5);
    let denied = [("https", 2), ("rules", 1)].map(|(why, times)| (Event::Denied(why), times));
    assert_eq!(server.stats.view().events, denied.into());
}

#[test]
fn s6_the_quota_counts_only_those_who_may_have_the_zone() {
    let server = Server::with_places(&[version(5, "")], 1);
    let at = Stamp::default();
    let arrival =
        |from: &str| meridian::server::Arrival::new(from.parse().unwrap(), Transport::Tcp);
    for _ in 0..5 {
        assert!(server.transfers.open(&query("z.test", AXFR), &arrival(STRANGER)).is_none());
    }
    let first = server.transfers.open(&query("z.test", AXFR), &arrival(FRIEND));
    assert!(first.is_some() && server.transfers.running() == 1);
    assert_eq!(server.one(&query("z.test", AXFR), FRIEND, Transport::Tcp).rcode, 2);
    drop(first);
    let mut again = server.transfers.open(&query("z.test", AXFR), &arrival(FRIEND)).unwrap();
    assert_eq!(again.next(at, &mut Vec::new()), meridian::server::Next::Message);
}

#[test]
fn s3_a_signed_zone_goes_with_all_that_proves_its_answers() {
    let plain = version(5, "www A 192.0.2.80\n");
    let signed = sign(&signing(false, Algorithm::EcdsaP256, &plain), &plain, None);
    let rows: Vec<String> = in_full(&signed)
        .flat_map(|(key, own)| Record::of(&key.to_name(), own).collect::<Vec<_>>())
        .map(|own| line(&own))
        .collect();
    let server = Server::new(&[Arc::new(signed)]);
    let given = server.rows(&query("z.test", AXFR), FRIEND, Transport::Tcp);
    let (last, all) = given.split_last().unwrap();
    assert_eq!((last, all), (&rows[0], &rows[..]));
    let starts = |own: &String, with: &str| own.split_once(' ').unwrap().1.starts_with(with);
    let count = |with: &str| all.iter().filter(|own| starts(own, with)).count();
    // The names: apex, ns, sub, www; glue has neither.
    assert_eq!((count("NSEC "), count("RRSIG NSEC "), count("RRSIG A ")), (4, 4, 2));
    assert_eq!((count("DNSKEY 257 "), count("CDS "), count("RRSIG CDS ")), (1, 1, 1));
}

/// What denies a name is only made when it is asked for: no copy could answer (RFC 9824 §3).
#[test]
fn s3_a_zone_that_denies_compactly_is_given_to_nobody() {
    let plain = version(5, "");
    let signed = sign(&signing(true, Algorithm::EcdsaP256, &plain), &plain, None);
    let server = Server::new(&[plain, Arc::new(signed)]);
    for transport in [Transport::Tcp, Transport::Udp] {
        for packet in [query("z.test", AXFR), ixfr(4)] {
            assert_eq!(server.one(&packet, FRIEND, transport).rcode, 5);
        }
    }
    assert_eq!(server.one(&query("z.test", IXFR), STRANGER, Transport::Tcp).rcode, 5);
}

#[test]
fn s3_a_zone_that_is_not_complete_is_not_given() {
    let mut server = Server::new(&[version(5, "")]);
    let mut part = Zone::clone(&version(6, ""));
    part.completeness = Completeness::Partial;
    server.publish(Arc::new(part));
    assert_eq!(server.one(&query("z.test", AXFR), FRIEND, Transport::Tcp).rcode, 2);
}

#[test]
fn s3_3_one_transfer_is_of_one_version() {
    let lines: String = (0..3_000).map(|n| format!("n{n} TXT \"{}\"\n", "x".repeat(60))).collect();
    let mut server = Server::new(&[version(5, &lines)]);
    let arrival = meridian::server::Arrival::new(FRIEND.parse().unwrap(), Transport::Tcp);
    let mut many = server.transfers.open(&query("z.test", AXFR), &arrival).unwrap();
    let mut first = Vec::new();
    many.next(Stamp::default(), &mut first);
    server.publish(version(6, ""));
    let (mut rows, mut out) = (read_response(&first).unwrap().answer, Vec::new());
    while many.next(Stamp::default(), &mut out) == meridian::server::Next::Message {
        rows.extend(read_response(&out).unwrap().answer);
        out.clear();
    }
    assert_eq!((rows.len(), rows.first()), (3_007, rows.last()));
}
