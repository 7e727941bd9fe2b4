//! Answers that are put together ahead are the ones that would be decided for each query: through
//! random histories of clusters, with and without steering, for clients all over the world.

use crate::{
    random::{self, Step},
    steering,
    world::World,
};
use meridian::{
    fleet::Snapshot,
    model::Name,
    policy::{Fence, GeoRow, GeoTable, Order, Places, Steer},
    records::{Answer, Client, Question, lookup},
    server::{Answers, Arrival, Compiled, Compiler, Reply, Transport, respond},
};
use proptest::prelude::*;
use std::{net::IpAddr, sync::Arc};

/// Answers from a snapshot, with what was put together from it or without.
struct From(Arc<Snapshot>, Arc<Compiled>);

impl Answers for From {
    fn answer<R>(
        &self,
        question: &Question<'_>,
        client: &Client,
        encode: impl FnOnce(&Answer<'_>) -> R,
    ) -> R {
        encode(&lookup(&self.0.served, question, client))
    }

    fn compiled(&self) -> Arc<Compiled> {
        self.1.clone()
    }
}

/// A query for `name`, with EDNS and that client subnet (an IPv4 network of 24 bits).
fn packet(name: &Name, rtype: u16, subnet: Option<[u8; 3]>) -> Vec<u8> {
    let mut packet = vec![1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    packet.extend_from_slice(name.as_wire());
    packet.extend_from_slice(&rtype.to_be_bytes());
    packet.extend_from_slice(&[0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0]);
    match subnet {
        Some([a, b, c]) => packet.extend_from_slice(&[0, 11, 0, 8, 0, 7, 0, 1, 24, 0, a, b, c]),
        None => packet.extend_from_slice(&[0, 0]),
    }
    packet
}

fn said(from: &From, packet: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let client: IpAddr = [203, 0, 113, 9].into();
    match respond(from, packet, &Arrival::new(client, Transport::Udp), &mut out) {
        Reply::Send { .. } => out,
        Reply::Drop(why) => panic!("{why:?}"),
    }
}

/// Networks of Germany, the United States, Japan and nowhere.
const NETWORKS: [[u8; 3]; 4] = [[2, 160, 0], [3, 80, 0], [133, 11, 0], [192, 0, 2]];

/// Every name of the zones, one below each, and one that an alias might lead to.
fn names(snapshot: &Snapshot) -> Vec<Name> {
    let zones = snapshot.served.iter();
    let owned: Vec<Name> =
        zones.flat_map(|zone| zone.nodes()).map(|(key, _)| key.to_name()).collect();
    let below = owned.iter().filter_map(|name| name.prepend(b"no-such").ok()).collect::<Vec<_>>();
    let above = owned.iter().filter_map(Name::parent).collect::<Vec<_>>();
    owned.into_iter().chain(below).chain(above).collect()
}

fn same_both_ways(world: &mut World, compiler: &mut Compiler) -> Result<usize, TestCaseError> {
    let snapshot = world.snapshot();
    let compiled = Arc::new(compiler.update(&snapshot.served));
    let (ahead, each) = (From(snapshot.clone(), compiled), From(snapshot, Arc::default()));
    let subnets = NETWORKS.iter().map(|net| Some(*net)).chain([None]);
    for name in names(&each.0) {
        for (rtype, subnet) in
            [1, 28, 65].iter().flat_map(|t| subnets.clone().map(move |s| (*t, s)))
        {
            let packet = packet(&name, rtype, subnet);
            prop_assert_eq!(said(&ahead, &packet), said(&each, &packet), "{} {}", name, rtype);
        }
    }
    Ok(ahead.1.len())
}

fn europe() -> Places {
    Places { continents: vec!["EU".into()], ..Places::default() }
}

/// Europe to `c`, all others to `a` and then `b`.
fn by_continent() -> Order {
    let list = |names: &[&str]| names.iter().map(|name| (*name).into()).collect();
    let rows = vec![GeoRow { places: europe(), clusters: list(&["c", "a"]) }];
    Order::Geo(GeoTable { rows, default: list(&["a", "b"]) })
}

fn europe_only() -> Fence {
    let allow = ["a", "b", "c"].map(|cluster| (cluster.into(), europe()));
    Fence { allow: allow.into(), ..Fence::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn both_ways_say_the_same_through_any_history(
        steps in proptest::collection::vec(random::step(), 1..25),
    ) {
        let (mut world, mut compiler) = (random::start(), Compiler::default());
        for step in &steps {
            random::take(&mut world, step);
            same_both_ways(&mut world, &mut compiler)?;
        }
    }

    #[test]
    fn also_where_clients_are_told_apart(
        steps in proptest::collection::vec(random::step(), 1..12),
        fenced in any::<bool>(),
    ) {
        let (mut world, mut compiler) = (random::start(), Compiler::default());
        for service in random::SERVICES {
            world.policy(service, |policy| {
                let mut steer = Steer::clone(&steering::steer(by_continent()));
                steer.fence = if fenced { europe_only() } else { Fence::default() };
                policy.steer = steer.into();
            });
        }
        for step in &steps {
            random::take(&mut world, step);
            same_both_ways(&mut world, &mut compiler)?;
        }
    }
}

#[test]
fn one_change_of_one_service_is_put_together_alone() {
    let mut world = steering::three();
    let mut compiler = Compiler::default();
    let names = same_both_ways(&mut world, &mut compiler).unwrap();
    assert!(names > 5, "{names}");
    world.serve("aws", "default/shop", &["198.51.100.9"]);
    let snapshot = world.snapshot();
    assert!(!compiler.is_long_work(&snapshot.served));
    same_both_ways(&mut world, &mut compiler).unwrap();
}

/// So that a step of a history is not left out by mistake.
#[test]
fn a_step_can_be_taken_twice() {
    let mut world = random::start();
    let mut compiler = Compiler::default();
    for _ in 0..2 {
        random::take(&mut world, &Step::Pass(60));
        same_both_ways(&mut world, &mut compiler).unwrap();
    }
}
