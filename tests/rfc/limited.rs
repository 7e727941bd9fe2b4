//! What answers transfers, notices and signatures in one datagram is limited like all answers over
//! UDP: anybody can write a secondary's address on a request.

use crate::{
    battery::name,
    transfers::{
        AXFR, FRIEND, NOW, PRIMARY, SOA, STRANGER, Server, ixfr, notice, query, signed, version,
    },
};
use meridian::{
    server::{Arrival, Dropped, Guard, Limiter, Rates, Reply, Stamp, Transport, respond},
    transfer::{Algorithm, Checker, Event, Key, read_response},
};
use std::sync::Arc;

fn server() -> Server {
    let many: String = (0..20).map(|n| format!("n{n} A 192.0.2.1\n")).collect();
    Server::new(&[version(1, ""), version(2, &many)])
}

/// What became of so many of them at once, at one a second: sent whole, sent cut, not sent.
fn flood(packet: &[u8], from: &str, transport: Transport, slip: u8) -> (usize, usize, usize) {
    flood_of(&server(), packet, from, transport, slip)
}

fn flood_of(
    server: &Server,
    packet: &[u8],
    from: &str,
    transport: Transport,
    slip: u8,
) -> (usize, usize, usize) {
    let rates = Rates { rate: 1, slip, ..Rates::default() };
    let guard = Guard { limiter: Some(Limiter::new(rates, [5; 16])), ..Guard::default() };
    let at = Stamp { seconds: NOW, millis: 10_000 };
    let arrival =
        Arrival { at, guard: Some(&guard), ..Arrival::new(from.parse().unwrap(), transport) };
    let mut counts = (0, 0, 0);
    for _ in 0..100 {
        let mut out = Vec::new();
        match respond(server, packet, &arrival, &mut out) {
            Reply::Send { truncated: false, .. } => counts.0 += 1,
            Reply::Send { truncated: true, .. } => {
                assert!(out[2] & 2 != 0 && out[6..8] == [0, 0], "TC, and nothing else");
                counts.1 += 1;
            }
            Reply::Drop(why) => {
                assert_eq!(why, Dropped::Limited);
                counts.2 += 1;
            }
        }
    }
    counts
}

#[test]
fn differences_refusals_and_errors_over_udp_are_limited() {
    let (late, _) = signed(query("z.test", SOA), NOW - 4_000);
    for (packet, from) in [
        (ixfr(1), FRIEND),
        (ixfr(1), STRANGER),
        (query("z.test", AXFR), FRIEND),
        (signed(ixfr(1), NOW).0, STRANGER),
        (signed(query("z.test", SOA), NOW).0, STRANGER),
        (late, STRANGER),
        (notice("elsewhere.test", Some(3)), STRANGER),
        (notice("elsewhere.test", Some(3)), PRIMARY),
    ] {
        assert_eq!(flood(&packet, from, Transport::Udp, 0), (2, 0, 98));
        assert_eq!(flood(&packet, from, Transport::Tcp, 0), (100, 0, 0));
    }
}

#[test]
fn what_is_limited_may_come_over_tcp_but_a_notice_cannot() {
    assert_eq!(flood(&ixfr(1), FRIEND, Transport::Udp, 1), (2, 98, 0));
    assert_eq!(flood(&signed(ixfr(1), NOW).0, STRANGER, Transport::Udp, 1), (2, 98, 0));
    assert_eq!(flood(&notice("elsewhere.test", None), PRIMARY, Transport::Udp, 1), (2, 0, 98));
}

#[test]
fn a_notice_that_is_not_answered_is_not_heeded_and_each_is_counted_once() {
    let mut server = server();
    let packet = notice("elsewhere.test", Some(3));
    assert_eq!(flood_of(&server, &packet, PRIMARY, Transport::Udp, 0), (2, 0, 98));
    assert!(server.notices.try_recv().is_ok() && server.notices.try_recv().is_ok());
    assert!(server.notices.try_recv().is_err());
    flood_of(&server, &packet, STRANGER, Transport::Udp, 0);
    let counted = server.stats.view().events;
    let all = [("heeded", 2), ("source", 2), ("limited", 196)];
    assert_eq!(counted, all.map(|(what, times)| (Event::NoticeIn(what), times)).into());
}

/// RFC 8945 §5.3.
#[test]
fn no_datagram_is_longer_than_it_may_be_however_long_the_names_of_a_signature_are() {
    let long = |last: char| {
        let label = "x".repeat(63);
        name(&format!("{label}.{label}.{label}.{}", last.to_string().repeat(61)))
    };
    let key = Arc::new(Key::new(long('k'), Algorithm::Sha512, &[7; 32]));
    let mut packet = query(&long('q').to_string(), SOA);
    let _ = Checker::sign(key, &mut packet, NOW.into());
    let answer = server().all(&packet, STRANGER, Transport::Udp).remove(0);
    assert!(answer.len() <= 512, "{}", answer.len());
    assert_eq!(answer[2] & 2, 2, "it can be had over TCP");
    let whole = server().all(&packet, STRANGER, Transport::Tcp).remove(0);
    let rows = read_response(&whole).unwrap();
    assert!(rows.rcode == 9 && rows.tsig.is_some());
}
