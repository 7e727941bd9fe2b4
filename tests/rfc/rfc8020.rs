//! RFC 8020: below a name that does not exist, nothing does.

use crate::ask::Asked;
use meridian::{model::Name, records::Outcome};

#[test]
fn s2_an_empty_non_terminal_exists() {
    let zones = Asked::example_org();
    for name in ["ent.example.org", "b.ent.example.org", "_tcp.example.org"] {
        zones.ask(&format!("{name} A")).gives(Outcome::NoData, &[]);
    }
    zones.ask("c.ent.example.org A").gives(Outcome::NxDomain, &[]);
    zones.ask("x.nothing.example.org A").gives(Outcome::NxDomain, &[]);
}

#[test]
fn s2_an_empty_non_terminal_goes_with_the_last_name_below_it() {
    let Asked(set) = Asked::example_org();
    let apex: Name = "example.org".parse().unwrap();
    let zone = set.get(&apex).unwrap();
    let leaf: Name = "a.b.ent.example.org".parse().unwrap();
    let next = zone.with([(leaf.key(), None)], zone.serial());
    Asked(next.into()).ask("ent.example.org A").gives(Outcome::NxDomain, &[]);
}
