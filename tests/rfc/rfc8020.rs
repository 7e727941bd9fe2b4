//! RFC 8020: NXDOMAIN means that there is nothing below.

use crate::battery::{example_org, name, zone};
use meridian::{
    model::Serial,
    records::Outcome::{NoData, NxDomain},
};

#[test]
fn s2_below_a_missing_name_everything_is_missing() {
    let dns = example_org();
    for question in
        ["nowhere.example.org A", "a.nowhere.example.org A", "b.a.nowhere.example.org TXT"]
    {
        dns.ask(question).gives(NxDomain, &[]);
    }
}

#[test]
fn s2_an_empty_non_terminal_is_not_missing() {
    let dns = example_org();
    dns.ask("_tcp.example.org A").gives(NoData, &[]);
    dns.ask("b.wild.example.org A").gives(NoData, &[]);
    dns.ask("wild.example.org A").gives(NoData, &[]);
}

#[test]
fn s2_an_empty_non_terminal_appears_and_vanishes_with_what_is_below() {
    let dns = zone("z.test", "a.b.c A 192.0.2.1");
    dns.ask("b.c.z.test A").gives(NoData, &[]);
    let without =
        dns.0.get(&name("z.test")).unwrap().with([(name("a.b.c.z.test").key(), None)], Serial(2));
    let dns = dns.with(without);
    dns.ask("b.c.z.test A").gives(NxDomain, &[]);
    dns.ask("c.z.test A").gives(NxDomain, &[]);
}
