//! RFC 7828: how long a connection may stay idle.

use crate::wire::{FORMERR, KEEPALIVE, NOERROR, Packet, Server, query, server};
use meridian::server::Transport;

fn over(transport: Transport) -> Server {
    Server { idle: Some(100), ..server().over(transport) }
}

fn asking(data: &[u8]) -> Packet {
    query("www.example.org A").option(KEEPALIVE, data)
}

#[test]
fn s3_3_2_over_connections_the_time_is_told_in_two_octets() {
    for transport in [Transport::Tcp, Transport::Tls] {
        let told = over(transport).ask(&asking(&[]));
        assert_eq!((told.rcode(), told.answers()), (NOERROR, 1));
        assert_eq!(told.options(), [(KEEPALIVE, vec![0, 100])]);
    }
}

#[test]
fn s3_3_2_who_does_not_ask_is_not_told() {
    assert_eq!(over(Transport::Tcp).ask(&query("www.example.org A").edns(1_232)).options(), []);
    assert_eq!(over(Transport::Tcp).ask(&query("www.example.org A")).opt(), None);
}

#[test]
fn s3_3_1_over_udp_the_option_is_ignored_whatever_it_holds() {
    for data in [&[][..], &[0], &[0, 100], &[1, 2, 3]] {
        let told = over(Transport::Udp).ask(&asking(data));
        assert_eq!((told.rcode(), told.answers(), told.options()), (NOERROR, 1, vec![]));
    }
}

#[test]
fn s3_1_over_connections_a_client_sends_it_empty() {
    for data in [&[0][..], &[0, 100], &[1, 2, 3]] {
        let told = over(Transport::Tcp).ask(&asking(data));
        assert_eq!((told.rcode(), told.answers(), told.options()), (FORMERR, 0, vec![]));
    }
}

#[test]
fn over_https_it_means_nothing_and_over_quic_it_breaks_the_protocol() {
    let told = over(Transport::Https).ask(&asking(&[]));
    assert_eq!((told.rcode(), told.options()), (NOERROR, vec![]));
    // RFC 9250 §4.3.3: a fatal error.
    assert!(over(Transport::Quic).try_ask(&asking(&[])).is_none());
    assert!(over(Transport::Quic).try_ask(&query("www.example.org A")).is_some());
}
