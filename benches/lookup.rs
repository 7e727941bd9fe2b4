//! How long one lookup takes in a federation's zone of 120,000 names: 10,000 services in 3 regions
//! and 8 zones, where a zone without endpoints is an alias of its region, and a region without
//! any of the global name.

#![allow(clippy::unwrap_used, reason = "a bench that cannot be set up may as well stop")]

use criterion::{Criterion, criterion_group, criterion_main};
use meridian::{
    model::{Key, Name, Ttl},
    records::{Client, Node, Outcome, Question, RecordType, Rrset, Zone, ZoneSet, lookup},
};
use std::{hint::black_box, sync::Arc};

const APEX: &str = "fed.example.org";
const SERVICES: usize = 10_000;
const ZONES: [(&str, &str); 8] = [
    ("eu-a", "eu"),
    ("eu-b", "eu"),
    ("eu-c", "eu"),
    ("us-a", "us"),
    ("us-b", "us"),
    ("us-c", "us"),
    ("ap-a", "ap"),
    ("ap-b", "ap"),
];

fn lookups(c: &mut Criterion) {
    for (cuts, zones) in [("no cuts", federation(false)), ("a delegation", federation(true))] {
        let mut group = c.benchmark_group(format!("lookup, {cuts}"));
        for (case, name, outcome) in [
            ("exact hit", "s5000.shop.fed.svc", Outcome::Data),
            ("zone, region, global", "s5000.shop.fed.svc.eu-b.eu", Outcome::Data),
            ("nxdomain", "s5000x.shop.fed.svc", Outcome::NxDomain),
            ("nxdomain, far below", "a.b.c.d.e.f.g.h.shop.fed.svc", Outcome::NxDomain),
            ("empty non-terminal", "shop.fed.svc", Outcome::NoData),
            ("wildcard", "anything.apps", Outcome::Data),
        ] {
            let name: Name = format!("{name}.{APEX}").parse().unwrap();
            let question = Question { name: name.as_wire(), rtype: RecordType::A };
            assert_eq!(lookup(&zones, &question, &Client::NEUTRAL).outcome, outcome, "{case}");
            group.bench_function(case, |b| {
                b.iter(|| lookup(black_box(&zones), black_box(&question), &Client::NEUTRAL));
            });
        }
    }
}

fn federation(with_cut: bool) -> ZoneSet {
    let mut nodes = vec![node("", vec![soa(), ns()]), node("*.apps.", vec![addresses(0)])];
    if with_cut {
        nodes.push(node("elsewhere.", vec![ns()]));
    }
    for service in 0..SERVICES {
        let global = format!("s{service}.shop.fed.svc.");
        nodes.push(node(&global, vec![addresses(service)]));
        for region in ["eu", "us", "ap"] {
            nodes.push(node(&format!("{global}{region}."), vec![alias(&global)]));
        }
        for (zone, region) in ZONES {
            let to_region = alias(&format!("{global}{region}."));
            nodes.push(node(&format!("{global}{zone}.{region}."), vec![to_region]));
        }
    }
    let zone = Zone::new(APEX.parse().unwrap(), nodes);
    assert!(zone.len() >= 120_000);
    let mut zones = ZoneSet::default();
    zones.put(Arc::new(zone));
    zones
}

fn full(name: &str) -> Name {
    format!("{name}{APEX}").parse().unwrap()
}

fn node(name: &str, rrsets: Vec<Rrset>) -> (Key, Node) {
    (full(name).key(), Node::new(rrsets))
}

fn alias(to: &str) -> Rrset {
    Rrset::cname(Ttl::SERVED, &full(to))
}

fn addresses(service: usize) -> Rrset {
    let [.., high, low] = service.to_be_bytes();
    Rrset::a(Ttl::SERVED, (1..=3).map(|cluster| [10, cluster, high, low].into())).unwrap()
}

fn soa() -> Rrset {
    let name = full("ns1.");
    let numbers = [1_u32, 7_200, 600, 1_209_600, 5].map(u32::to_be_bytes).concat();
    Rrset::new(RecordType::SOA, Ttl::SERVED, [[name.as_wire(), name.as_wire(), &numbers].concat()])
        .unwrap()
}

fn ns() -> Rrset {
    Rrset::new(RecordType::NS, Ttl::SERVED, [full("ns1.").as_wire()]).unwrap()
}

criterion_group!(benches, lookups);
criterion_main!(benches);
