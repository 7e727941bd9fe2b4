//! RFC 5001: which of many servers this one is.

use crate::wire::{BADVERS, NOERROR, NSID, Server, query, server};

fn named() -> Server {
    let mut server = server();
    server.guard.nsid = Box::from(*b"ns1.fra");
    server
}

#[test]
fn s2_2_the_name_is_given_where_it_was_asked_for() {
    let told = named().ask(&query("www.example.org A").option(NSID, &[]));
    assert_eq!((told.rcode(), told.answers()), (NOERROR, 1));
    assert_eq!(told.options(), [(NSID, b"ns1.fra".to_vec())]);
}

#[test]
fn s2_2_and_nowhere_else() {
    for packet in [query("www.example.org A"), query("www.example.org A").edns(1_232)] {
        assert_eq!(named().ask(&packet).options(), []);
    }
}

#[test]
fn s2_1_what_the_query_has_in_the_option_says_nothing() {
    let told = named().ask(&query("www.example.org A").option(NSID, b"who?").option(NSID, &[]));
    assert_eq!(told.options(), [(NSID, b"ns1.fra".to_vec())]);
}

#[test]
fn s2_2_a_server_without_a_name_says_nothing() {
    assert_eq!(server().ask(&query("www.example.org A").option(NSID, &[])).options(), []);
}

#[test]
fn a_later_version_of_edns_is_told_so_even_if_it_asks() {
    let mut packet = query("www.example.org A").option(NSID, &[]);
    packet.opt.as_mut().unwrap()[5] = 1;
    let told = named().ask(&packet);
    assert_eq!((told.rcode(), told.answers()), (BADVERS, 0));
}

#[test]
fn the_name_takes_its_room_from_records_and_never_from_the_limit() {
    let mut server = server();
    server.guard.nsid = vec![7; 128].into();
    let told = server.ask(&query("big.example.org A").edns(512).option(NSID, &[]));
    assert!(told.truncated() && told.octets.len() <= 512);
    assert_eq!(told.option(NSID).unwrap().len(), 128);
}
