//! RFC 6891: EDNS itself.

use crate::wire::{BADVERS, FORMERR, NOERROR, query, server};
use meridian::server::Transport;

#[test]
fn s6_1_1_an_opt_is_answered_with_one_and_none_with_none() {
    assert_eq!(server().ask(&query("www.example.org A")).opt(), None);
    for question in ["www.example.org A", "nowhere.example.org A", "www.example.net A"] {
        assert!(server().ask(&query(question).edns(1_232)).opt().is_some(), "{question}");
    }
    // Of a query without a question too.
    let told = server().ask(&query("www.example.org A").edns(1_232).bare());
    assert_eq!((told.rcode(), told.opt().is_some()), (FORMERR, true));
}

#[test]
fn s6_1_1_two_opts_are_formerr() {
    let mut packet = query("www.example.org A").edns(1_232).octets();
    packet[11] = 2;
    packet.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    let mut twice = query("www.example.org A");
    twice.question = packet[12..].to_vec();
    twice.header[11] = 2;
    assert_eq!(server().ask(&twice).rcode(), FORMERR);
}

#[test]
fn s6_1_2_unknown_options_are_ignored_and_not_echoed() {
    let packet = query("www.example.org A").option(65_001, b"x").option(5, &[8, 13]).option(9, &[]);
    let told = server().ask(&packet);
    assert_eq!((told.rcode(), told.answers(), told.options()), (NOERROR, 1, vec![]));
}

#[test]
fn s6_1_3_a_later_version_is_badvers_with_version_0_and_no_answer() {
    for version in [1, 2, 100, 255] {
        let mut packet = query("www.example.org A").option(65_001, b"x");
        packet.opt.as_mut().unwrap()[5] = version;
        let told = server().ask(&packet);
        let opt = told.opt().unwrap();
        assert_eq!((told.rcode(), told.answers()), (BADVERS, 0));
        assert_eq!((told.octets[opt + 5], told.options()), (0, vec![]));
    }
}

#[test]
fn s6_1_4_unknown_flags_are_ignored_and_not_echoed_but_do_is() {
    let mut packet = query("www.example.org A").edns(1_232);
    packet.opt.as_mut().unwrap()[6..8].copy_from_slice(&[0xff, 0xff]);
    let told = server().ask(&packet);
    let opt = told.opt().unwrap();
    assert_eq!((told.rcode(), &told.octets[opt + 6..opt + 8]), (NOERROR, &[0x80, 0][..]));
}

#[test]
fn s6_2_3_sizes_below_512_mean_512_and_ours_is_1232() {
    for size in [0, 1, 511, 512] {
        let told = server().ask(&query("big.example.org A").edns(size));
        assert!(told.truncated() && told.octets.len() <= 512, "{size}");
    }
    let told = server().ask(&query("big.example.org A").edns(65_535));
    assert!(!told.truncated() && told.octets.len() <= 1_232);
    let opt = told.opt().unwrap();
    assert_eq!(told.octets[opt + 2..opt + 4], 1_232_u16.to_be_bytes());
}

#[test]
fn s6_2_5_over_tcp_the_size_says_nothing() {
    let told = server().over(Transport::Tcp).ask(&query("big.example.org A").edns(512));
    assert_eq!((told.truncated(), told.answers()), (false, 60));
}
