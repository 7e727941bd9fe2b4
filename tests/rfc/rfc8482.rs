//! RFC 8482: minimal answers to ANY.

use crate::battery::example_org;
use meridian::records::Outcome::{Data, NoData, NxDomain, Referral};

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
