//! RFC 3597: unknown record types.

use crate::ask::{Asked, parse};
use meridian::records::Outcome;

#[test]
fn s3_an_unknown_type_is_served_as_it_is() {
    let zones = Asked::example_org();
    zones
        .ask("unknown.example.org TYPE65280")
        .gives(Outcome::Data, &[r"unknown.example.org. 3600 TYPE65280 \# 4 0a0b0c0d"]);
    zones.ask("unknown.example.org TYPE65281").gives(Outcome::NoData, &[]);
}

#[test]
fn s5_a_known_type_may_be_written_in_the_unknown_form() {
    let zone = parse(
        "example.org",
        "$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nw CLASS1 TYPE1 \\# 4 c0000201\n",
    );
    Asked(zone.into())
        .ask("w.example.org A")
        .gives(Outcome::Data, &["w.example.org. 60 A 192.0.2.1"]);
}
