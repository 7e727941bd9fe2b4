//! RFC 1995: Incremental Zone Transfer in DNS (IXFR).

use crate::transfers::{FRIEND, IXFR, STRANGER, Server, ixfr, query, serial_of, version};
use meridian::{model::Serial, server::Transport};

const NEWEST: &str = "z.test SOA ns.z.test. host.z.test. 3 7200 900 86400 30";

/// Three versions: www moves, then mail comes and www goes.
fn server() -> Server {
    Server::new(&[
        version(1, "www A 192.0.2.80\n"),
        version(2, "www A 192.0.2.81\n"),
        version(3, "mail A 192.0.2.25\n"),
    ])
}

#[test]
fn s4_differences_stand_between_two_copies_of_the_newest_soa() {
    assert_eq!(
        server().rows(&ixfr(2), FRIEND, Transport::Tcp),
        [
            NEWEST,
            "z.test SOA ns.z.test. host.z.test. 2 7200 900 86400 30",
            "www.z.test A 192.0.2.81",
            NEWEST,
            "mail.z.test A 192.0.2.25",
            NEWEST,
        ]
    );
}

#[test]
fn s5_several_versions_are_condensed_to_one_sequence() {
    assert_eq!(
        server().rows(&ixfr(1), FRIEND, Transport::Tcp),
        [
            NEWEST,
            "z.test SOA ns.z.test. host.z.test. 1 7200 900 86400 30",
            "www.z.test A 192.0.2.80",
            NEWEST,
            "mail.z.test A 192.0.2.25",
            NEWEST,
        ]
    );
}

#[test]
fn s2_the_same_or_a_newer_serial_gets_one_soa() {
    for serial in [3, 4, 0x7fff_ffff] {
        for transport in [Transport::Tcp, Transport::Udp] {
            assert_eq!(server().rows(&ixfr(serial), FRIEND, transport), [NEWEST]);
        }
    }
}

#[test]
fn s4_a_version_that_is_not_known_gets_the_zone_whole() {
    let rows = server().rows(&ixfr(0), FRIEND, Transport::Tcp);
    assert_eq!((rows.len(), rows.first(), rows.last()), (8, rows.last(), rows.first()));
    assert!(!rows[1].contains("SOA"));
}

#[test]
fn s2_over_udp_differences_come_if_they_fit_and_else_the_soa_alone() {
    assert_eq!(server().rows(&ixfr(2), FRIEND, Transport::Udp).len(), 6);
    assert_eq!(server().rows(&ixfr(0), FRIEND, Transport::Udp), [NEWEST]);
    let many: String = (0..60).map(|n| format!("n{n} A 192.0.2.1\n")).collect();
    let large = Server::new(&[version(1, ""), version(2, &many)]);
    let rows = large.rows(&ixfr(1), FRIEND, Transport::Udp);
    assert_eq!((rows.len(), serial_of(&rows[0])), (1, Serial(2)));
}

#[test]
fn s3_a_query_without_the_clients_version_is_malformed() {
    assert_eq!(server().one(&query("z.test", IXFR), FRIEND, Transport::Tcp).rcode, 1);
}

#[test]
fn s2_who_may_not_have_the_zone_may_not_have_its_differences() {
    for transport in [Transport::Tcp, Transport::Udp] {
        assert_eq!(server().one(&ixfr(2), STRANGER, transport).rcode, 5);
    }
}

/// RFC 1982 §3.2: serials wrap around.
#[test]
fn s2_serials_are_compared_as_they_wrap_around() {
    let high = u32::MAX - 1;
    let server =
        Server::new(&[version(high, ""), version(u32::MAX, ""), version(0, "a A 192.0.2.1\n")]);
    let rows = server.rows(&ixfr(high), FRIEND, Transport::Tcp);
    assert_eq!(serial_of(&rows[0]), Serial(0));
    assert!(rows.contains(&"a.z.test A 192.0.2.1".to_owned()) && rows.len() == 5, "{rows:?}");
}

#[test]
fn s5_a_serial_that_falls_back_leads_nowhere_so_the_zone_is_given_whole() {
    let server = Server::new(&[version(9, ""), version(2, "a A 192.0.2.1\n")]);
    assert_eq!(server.rows(&ixfr(1), FRIEND, Transport::Tcp).len(), 8);
}
