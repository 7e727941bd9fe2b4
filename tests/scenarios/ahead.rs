//! Answers that are put together ahead are the ones that would be decided for each query: through
//! random histories of clusters, with and without steering, for clients all over the world.

use crate::{
    random::{self, Step},
    steering,
    world::World,
};
use meridian::{
    controller::Published,
    dnssec::{Algorithm, Before, Key, Keys, Role, Signing},
    model::{Name, Ttl},
    policy::{Fence, GeoRow, GeoTable, Order, Places, Steer},
    records::{Answer, Client, Denial, Question, ZoneSet},
    server::{Answers, Arrival, Compiled, Compiler, Reply, Transport, respond},
};
use proptest::prelude::*;
use ring::rand::SystemRandom;
use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, atomic::AtomicUsize},
    thread,
    time::{Duration, Instant},
};

/// Answers from zones, with what was put together from them or without.
struct From(ZoneSet, Arc<Compiled>);

impl Answers for From {
    fn answer<R>(
        &self,
        question: &Question<'_>,
        client: &Client,
        encode: impl FnOnce(&Answer<'_>) -> R,
    ) -> R {
        self.0.answer(question, client, encode)
    }

    fn compiled(&self) -> Arc<Compiled> {
        self.1.clone()
    }
}

/// A query for `name`, with EDNS, its flags (DO is 0x80, CO 0x40) and that client subnet (an IPv4
/// network of 24 bits).
fn packet(name: &Name, rtype: u16, flags: u8, subnet: Option<[u8; 3]>) -> Vec<u8> {
    let mut packet = vec![1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    packet.extend_from_slice(name.as_wire());
    packet.extend_from_slice(&rtype.to_be_bytes());
    packet.extend_from_slice(&[0, 1, 0, 0, 41, 4, 208, 0, 0, flags, 0]);
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
fn names(zones: &ZoneSet) -> Vec<Name> {
    let zones = zones.iter();
    let owned: Vec<Name> =
        zones.flat_map(|zone| zone.nodes()).map(|(key, _)| key.to_name()).collect();
    let below = owned.iter().filter_map(|name| name.prepend(b"no-such").ok()).collect::<Vec<_>>();
    let above = owned.iter().filter_map(Name::parent).collect::<Vec<_>>();
    owned.into_iter().chain(below).chain(above).collect()
}

fn same_both_ways(world: &mut World, compiler: &mut Compiler) -> Result<usize, TestCaseError> {
    let zones = world.snapshot().served.clone();
    let compiled = Arc::new(compiler.update(&zones));
    same(&zones, &compiled, &[0])?;
    Ok(compiled.len())
}

/// Whether all questions with these flags are answered alike.
fn same(zones: &ZoneSet, compiled: &Arc<Compiled>, flags: &[u8]) -> Result<(), TestCaseError> {
    let ahead = From(zones.clone(), compiled.clone());
    let each = From(zones.clone(), Arc::default());
    let subnets: Vec<_> = NETWORKS.iter().map(|net| Some(*net)).chain([None]).collect();
    for name in names(zones) {
        for (rtype, subnet, flags) in [1, 28, 65].iter().flat_map(|rtype| {
            let all = subnets.iter().flat_map(|subnet| flags.iter().map(move |own| (subnet, own)));
            all.map(move |(subnet, flags)| (*rtype, *subnet, *flags))
        }) {
            let packet = packet(&name, rtype, flags, subnet);
            let answers = [&ahead, &each].map(|own| said(own, &packet));
            prop_assert_eq!(&answers[0], &answers[1], "{} {} {}", name, rtype, flags);
        }
    }
    Ok(())
}

/// Signs zones as they change.
#[derive(Default)]
struct Signer {
    with: BTreeMap<Name, (Signing, Before)>,
    /// Has all signatures made anew.
    again: bool,
}

impl Signer {
    fn sign(&mut self, zones: &ZoneSet, now: i64) -> ZoneSet {
        let mut all = ZoneSet::default();
        for zone in zones.iter() {
            let known = self.with.remove(zone.apex());
            let (mut with, before) = match known {
                Some((with, before)) => (with, Some(before)),
                None => (signing(), None),
            };
            with.now = now;
            let due: Vec<_> = match &before {
                Some(before) if self.again => {
                    before.signed.nodes().map(|own| own.0.clone()).collect()
                }
                _ => Vec::new(),
            };
            let random = SystemRandom::new();
            let progress = AtomicUsize::new(0);
            let signed =
                with.sign(zone, zone.serial(), before.as_ref(), due, &random, &progress).unwrap();
            let signed = Arc::new(signed);
            all.put(signed.clone());
            let before = Before { source: zone.clone(), signed };
            self.with.insert(zone.apex().clone(), (with, before));
        }
        all
    }
}

fn signing() -> Signing {
    let random = SystemRandom::new();
    let key = Arc::new(Key::generate(Algorithm::Ed25519, Role::Csk.flags(), &random).unwrap());
    let all = || vec![key.clone()];
    let keys = Keys { published: all(), sign_keys: all(), sign_zone: all(), wished: all() };
    let (key_ttl, lifetime) = (Ttl::from_secs(3_600), 14 * 86_400);
    Signing { keys, key_ttl, lifetime, denial: Denial::Chain, now: 0, threads: 1 }
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn also_with_signatures_where_they_are_wanted(
        steps in proptest::collection::vec((random::step(), any::<bool>()), 1..8),
    ) {
        let (mut world, mut compiler) = (random::start(), Compiler::default());
        for service in random::SERVICES {
            world.policy(service, |policy| policy.steer = steering::steer(by_continent()));
        }
        let mut signer = Signer::default();
        for (at, (step, again)) in steps.iter().enumerate() {
            random::take(&mut world, step);
            signer.again = *again;
            let now = 1_800_000_000 + i64::try_from(at).unwrap();
            let zones = signer.sign(&world.snapshot().served, now);
            let compiled = Arc::new(compiler.update(&zones));
            same(&zones, &compiled, &[0, 0x80, 0xc0])?;
        }
    }
}

/// RFC 8914 §4.18.
#[test]
fn clients_that_a_fence_leaves_without_data_are_told_so() {
    let mut world = steering::three();
    world.policy("default/shop", |policy| {
        let mut steer = Steer::clone(&steering::steer(steering::classic()));
        let allow = ["aws", "azure", "gke"].map(|cluster| (cluster.into(), europe()));
        steer.fence = Fence { allow: allow.into(), ..Fence::default() };
        policy.steer = steer.into();
    });
    let zones = world.snapshot().served.clone();
    let name = "shop.default.fed.svc.example.com".parse().unwrap();
    let from = From(zones.clone(), Arc::new(Compiler::default().update(&zones)));
    let is_told = |rtype: u16, network: [u8; 3]| {
        let said = said(&from, &packet(&name, rtype, 0, Some(network)));
        let filtered = [0, 15, 0, 30, 0, 17];
        (said[7], said.windows(filtered.len()).any(|own| own == filtered))
    };
    let [germany, america, ..] = NETWORKS;
    assert_eq!(is_told(1, germany), (1, false));
    assert_eq!(is_told(1, america), (0, true));
    assert_eq!(is_told(16, america), (0, false), "nobody gets that");
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

#[test]
fn a_large_fleet_is_answered_at_once_and_put_together_behind_it() {
    let mut world = World::new("fed", "example.com");
    world.join("aws", &["us-west-2/us-west-2a"]);
    let published = Arc::new(Published::new(world.now));
    let mut latest = None;
    // The second comes while the first is put together.
    for last in [1, 2] {
        for at in 0..1_500 {
            world.serve("aws", &format!("default/s{at}"), &[&format!("198.51.100.{last}")]);
        }
        let snapshot = world.snapshot();
        published.store(snapshot.clone());
        latest = Some(snapshot.generation);
        assert_eq!(published.load().generation, snapshot.generation, "in force at once");
        if last == 1 {
            let ahead = Answers::compiled(&*published).len();
            assert!(ahead < 4_500, "{ahead} answers were put together before it was in force");
        }
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while Answers::compiled(&*published).len() < 4_500 {
        assert!(Instant::now() < deadline, "{}", Answers::compiled(&*published).len());
        thread::sleep(Duration::from_millis(5));
    }
    let zones = published.load().served.clone();
    assert_eq!(Some(published.load().generation), latest);
    let name = "s7.default.fed.svc.example.com".parse().unwrap();
    let packet = packet(&name, 1, 0, None);
    let ahead = said(&From(zones, Answers::compiled(&*published)), &packet);
    assert!(ahead.windows(4).any(|own| own == [198, 51, 100, 2]), "{ahead:?}");
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
