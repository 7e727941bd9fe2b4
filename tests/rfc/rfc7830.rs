//! RFC 7830 and RFC 8467: answers whose length tells nothing.

use crate::wire::{EDE, NOERROR, PADDING, REFUSED, Server, query, server};
use meridian::server::Transport;

const ENCRYPTED: [Transport; 3] = [Transport::Tls, Transport::Https, Transport::Quic];

#[test]
fn rfc8467_s4_1_who_pads_gets_blocks_of_468_octets() {
    for transport in ENCRYPTED {
        for asked in ["www.example.org A", "big.example.org A", "nowhere.example.org A"] {
            let told = server().over(transport).ask(&query(asked).option(PADDING, &[0; 30]));
            assert_eq!(told.octets.len() % 468, 0, "{asked}");
            let padding = told.option(PADDING).unwrap();
            assert!(padding.iter().all(|octet| *octet == 0), "s3: zeros");
            assert!(padding.len() < 468 && !told.truncated());
        }
    }
}

#[test]
fn s4_who_does_not_pad_gets_none() {
    for transport in ENCRYPTED {
        let told = server().over(transport).ask(&query("www.example.org A").edns(1_232));
        assert_eq!(told.options(), []);
        assert_eq!(server().over(transport).ask(&query("www.example.org A")).opt(), None);
    }
}

#[test]
fn s6_what_anyone_can_read_is_not_padded() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let told = server().over(transport).ask(&query("www.example.org A").option(PADDING, &[]));
        assert_eq!((told.rcode(), told.options()), (NOERROR, vec![]));
    }
}

#[test]
fn the_padding_stands_last() {
    let packet = query("www.example.net A").option(PADDING, &[]).option(3, &[]);
    let mut named: Server = server().over(Transport::Tls);
    named.guard.nsid = Box::from(*b"ns1");
    let told = named.ask(&packet);
    let codes: Vec<_> = told.options().into_iter().map(|option| option.0).collect();
    assert_eq!((told.rcode(), codes), (REFUSED, vec![3, EDE, PADDING]));
    assert_eq!(told.octets.len(), 468);
}

/// Answers of every length around the ends of blocks, and around the longest message.
#[test]
fn padding_ends_at_a_block_or_at_the_longest_message() {
    for length in (1..=255_usize).step_by(7).chain(180..=200) {
        let mut named = server().over(Transport::Tls);
        named.guard.nsid = vec![7; length].into();
        let packet = query("big.example.org A").option(PADDING, &[]).option(3, &[]);
        assert_eq!(named.ask(&packet).octets.len() % 468, 0, "{length}");
    }
    let lines: String =
        (0..4_000_u16).map(|n| format!("big A 198.{}.{}.1\n", n >> 8, n & 255)).collect();
    let dns = crate::battery::zone("example.org", &lines);
    let full = Server { dns, ..server().over(Transport::Tls) };
    let told = full.ask(&query("big.example.org A").option(PADDING, &[]));
    assert_eq!((told.octets.len(), told.answers(), told.truncated()), (64_116, 4_000, false));
}
