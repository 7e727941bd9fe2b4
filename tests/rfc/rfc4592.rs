//! RFC 4592 §2.2.1: its example zone, and every question it asks of it.

use crate::ask::{Asked, parse, zone};
use meridian::records::Outcome;

fn zones() -> Asked {
    Asked(zone("example", "rfc4592.zone").into())
}

#[test]
fn s2_2_1_questions_that_the_wildcard_answers() {
    let zones = zones();
    zones
        .ask("host3.example MX")
        .gives(Outcome::Data, &["host3.example. 3600 MX 10 host1.example."]);
    zones.ask("host3.example A").gives(Outcome::NoData, &[]);
    zones
        .ask("foo.bar.example TXT")
        .gives(Outcome::Data, &["foo.bar.example. 3600 TXT \"this is a wildcard\""]);
}

#[test]
fn s2_2_1_questions_that_it_does_not_answer() {
    let zones = zones();
    // The name exists.
    zones.ask("host1.example MX").gives(Outcome::NoData, &[]);
    // It is asked for literally, below it, and below an existing name.
    zones.ask("sub.*.example MX").gives(Outcome::NoData, &[]);
    zones.ask("_telnet._tcp.host1.example SRV").gives(Outcome::NxDomain, &[]);
    // A delegation stands in the way.
    assert_eq!(zones.ask("host.subdel.example A").outcome, Outcome::Referral);
    // The closest encloser is an asterisk label, with no wildcard below it.
    zones.ask("ghost.*.example MX").gives(Outcome::NxDomain, &[]);
}

#[test]
fn s2_2_2_an_empty_non_terminal_blocks_the_wildcard() {
    let zones = zones();
    zones.ask("_tcp.host1.example MX").gives(Outcome::NoData, &[]);
    zones.ask("host2.example MX").gives(Outcome::NoData, &[]);
    zones.ask("other.host2.example MX").gives(Outcome::NxDomain, &[]);
}

#[test]
fn s2_3_an_asterisk_may_be_asked_for() {
    zones().ask("*.example MX").gives(Outcome::Data, &["*.example. 3600 MX 10 host1.example."]);
}

#[test]
fn s4_4_a_cname_at_a_wildcard_is_followed_under_the_asked_name() {
    let text = "$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\n* CNAME www\nwww A 192.0.2.1\n";
    Asked(parse("example.org", text).into()).ask("any.thing.example.org A").gives(
        Outcome::Data,
        &["any.thing.example.org. 60 CNAME www.example.org.", "www.example.org. 60 A 192.0.2.1"],
    );
}
