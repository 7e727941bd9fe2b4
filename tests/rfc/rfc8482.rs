//! RFC 8482: minimal answers to ANY.

use crate::{
    battery::example_org,
    wire::{query, server},
};
use meridian::{
    records::Outcome::{Data, NoData, NxDomain, Referral},
    server::Transport,
};

#[test]
fn s4_1_one_rrset_stands_for_all() {
    let dns = example_org();
    let reply = dns.ask("www.example.org ANY");
    assert_eq!((reply.answer.outcome, reply.answer.answer.len()), (Data, 1));
    assert_eq!(dns.ask("example.org ANY").answer.answer.len(), 1);
}

#[test]
fn s4_the_rest_is_as_for_any_type() {
    let dns = example_org();
    dns.ask("nowhere.example.org ANY").gives(NxDomain, &[]);
    dns.ask("_tcp.example.org ANY").gives(NoData, &[]);
    dns.ask("sub.example.org ANY").gives(Referral, &[]);
    dns.ask("x.wild.example.org ANY").gives(Data, &["x.wild.example.org 3600 TXT \"anything\""]);
}

/// §4.1, on the wire: a name with two types gives one of them, over UDP and TCP alike.
#[test]
fn s4_1_a_packet_that_asks_for_any_gets_one_type() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let told = server().over(transport).ask(&query("www.example.org ANY").edns(1_232));
        assert_eq!((told.answers(), told.truncated()), (1, false));
        assert!(told.octets.len() < 100);
    }
}
