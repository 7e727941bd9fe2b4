//! RFC 8945: Secret Key Transaction Authentication for DNS (TSIG).

use crate::{
    battery::name,
    transfers::{AXFR, KEY, NOW, SOA, STRANGER, Server, query, signed, version},
};
use meridian::{
    server::Transport,
    transfer::{Algorithm, Checker, Event, Key, read_response},
};
use std::sync::Arc;

fn server() -> Server {
    Server::new(&[version(1, "")])
}

/// What a TSIG record at the end of an answer says: the length of its MAC, its error and its other
/// data. Its names are not compressed.
fn tsig(answer: &[u8]) -> (usize, u16, Vec<u8>) {
    let at = read_response(answer).unwrap().tsig.expect("there is a TSIG");
    let end = |from: usize| from + answer[from..].iter().position(|octet| *octet == 0).unwrap() + 1;
    let data = end(end(at) + 10);
    let pair = |at: usize| u16::from_be_bytes([answer[at], answer[at + 1]]);
    let mac = usize::from(pair(data + 8));
    let rest = data + 10 + mac;
    (mac, pair(rest + 2), answer[rest + 6..].to_vec())
}

#[test]
fn s5_2_a_signature_that_is_not_taken_is_counted_once_over_any_transport() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Quic] {
        let server = server();
        let (late, _) = signed(query("z.test", AXFR), NOW - 4_000);
        assert_eq!(server.one(&late, STRANGER, transport).rcode, 9);
        let counted = server.stats.view().events;
        assert_eq!(counted, [(Event::Tsig("BADTIME"), 1)].into(), "over {transport:?}");
    }
}

#[test]
fn s5_3_an_answer_to_a_signed_request_is_signed() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let (packet, mut checker) = signed(query("z.test", SOA), NOW);
        let answer = server().all(&packet, STRANGER, transport).remove(0);
        let rows = read_response(&answer).unwrap();
        assert_eq!((rows.rcode, rows.answer.len()), (0, 1));
        assert_eq!(checker.check(&answer, rows.tsig, NOW.into()), Ok(()));
    }
}

#[test]
fn s5_3_1_every_message_of_a_transfer_is_signed_in_a_chain() {
    let lines: String = (0..6_000).map(|n| format!("n{n} TXT \"{}\"\n", "x".repeat(60))).collect();
    let server = Server::new(&[version(1, &lines)]);
    let (packet, mut checker) = signed(query("z.test", AXFR), NOW);
    let all = server.all(&packet, STRANGER, Transport::Tcp);
    assert!(all.len() > 3);
    for message in &all {
        let rows = read_response(message).unwrap();
        assert!(rows.tsig.is_some() && message.len() <= 65_535);
        assert_eq!(checker.check(message, rows.tsig, NOW.into()), Ok(()));
        assert!(checker.is_settled());
    }
    // In another order the chain is broken.
    let (packet, mut checker) = signed(query("z.test", AXFR), NOW);
    let all = server.all(&packet, STRANGER, Transport::Tcp);
    let rows = read_response(&all[1]).unwrap();
    assert!(checker.check(&all[1], rows.tsig, NOW.into()).is_err());
}

#[test]
fn s5_2_1_an_unknown_key_or_another_algorithm_is_badkey_without_a_mac() {
    let secret = b"an octet string of thirty-two oc";
    for other in [
        Key::new(name("other"), Algorithm::Sha256, secret),
        Key::new(name(KEY), Algorithm::Sha512, secret),
    ] {
        let mut packet = query("z.test", AXFR);
        let _ = Checker::sign(Arc::new(other), &mut packet, NOW.into());
        let answer = server().all(&packet, STRANGER, Transport::Tcp).remove(0);
        assert_eq!((read_response(&answer).unwrap().rcode, tsig(&answer)), (9, (0, 17, vec![])));
    }
}

#[test]
fn s5_2_2_a_wrong_signature_is_badsig_without_a_mac() {
    let (mut packet, _) = signed(query("z.test", AXFR), NOW);
    packet[3] ^= 0x10;
    let answer = server().all(&packet, STRANGER, Transport::Tcp).remove(0);
    assert_eq!((read_response(&answer).unwrap().rcode, tsig(&answer)), (9, (0, 16, vec![])));
}

#[test]
fn s5_2_3_clocks_that_are_apart_are_badtime_signed_with_our_time() {
    for at in [NOW - 301, NOW + 301] {
        let (packet, _) = signed(query("z.test", AXFR), at);
        let answer = server().all(&packet, STRANGER, Transport::Tcp).remove(0);
        let ours = u64::from(NOW).to_be_bytes()[2..].to_vec();
        assert_eq!((read_response(&answer).unwrap().rcode, tsig(&answer)), (9, (32, 18, ours)));
    }
    for at in [NOW - 300, NOW + 300] {
        let (packet, _) = signed(query("z.test", SOA), at);
        assert_eq!(server().one(&packet, STRANGER, Transport::Udp).rcode, 0);
    }
}

#[test]
fn s5_1_a_tsig_that_is_not_the_last_record_is_malformed() {
    let (mut packet, _) = signed(query("z.test", SOA), NOW);
    packet[11] = 2;
    packet.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    let answer = server().one(&packet, STRANGER, Transport::Udp);
    assert_eq!((answer.rcode, answer.tsig), (1, None));
    // Nor may there be two.
    let (packet, _) = signed(signed(query("z.test", SOA), NOW).0, NOW);
    assert_eq!(server().one(&packet, STRANGER, Transport::Udp).rcode, 1);
}

#[test]
fn s5_3_an_answer_that_leaves_no_room_for_its_signature_is_cut_to_the_question() {
    let many: String = (0..26).map(|n| format!("many A 192.0.2.{n}\n")).collect();
    let server = Server::new(&[version(1, &many)]);
    let (packet, mut checker) = signed(query("many.z.test", 1), NOW);
    let answer = server.all(&packet, STRANGER, Transport::Udp).remove(0);
    let rows = read_response(&answer).unwrap();
    assert!(rows.truncated && rows.answer.is_empty() && answer.len() <= 512);
    assert_eq!(checker.check(&answer, rows.tsig, NOW.into()), Ok(()));
    let (packet, _) = signed(query("many.z.test", 1), NOW);
    assert_eq!(server.one(&packet, STRANGER, Transport::Tcp).answer.len(), 26);
}

#[test]
fn s4_2_names_of_keys_are_compared_without_case() {
    let secret = b"an octet string of thirty-two oc";
    let upper = Arc::new(Key::new(name("TRANSFER-Key"), Algorithm::Sha256, secret));
    let mut packet = query("z.test", SOA);
    let mut checker = Checker::sign(upper, &mut packet, NOW.into());
    let answer = server().all(&packet, STRANGER, Transport::Udp).remove(0);
    let rows = read_response(&answer).unwrap();
    assert_eq!(checker.check(&answer, rows.tsig, NOW.into()), Ok(()));
}
