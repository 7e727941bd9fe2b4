//! Invariants over random histories of clusters, probes, holds and restarts.

use crate::world::World;
use meridian::{
    fleet::Fleet,
    model::{ClusterEvent, ClusterName, Drain, Kind, KindState},
    records::RecordType,
};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

const CLUSTERS: [&str; 3] = ["a", "b", "c"];
pub(crate) const SERVICES: [&str; 2] = ["default/bot", "default/web"];

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Serve(usize, usize, u8),
    Clear(usize, usize),
    Ready(usize, usize, u32),
    Delete(usize, usize),
    Silence(usize, u64),
    Fail(usize),
    Drain(usize, bool),
    Pass(u64),
    Restart,
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let cluster = 0..CLUSTERS.len();
    let service = 0..SERVICES.len();
    prop_oneof![
        4 => (cluster.clone(), service.clone(), 1_u8..20).prop_map(|(c, s, ip)| Step::Serve(c, s, ip)),
        2 => (cluster.clone(), service.clone()).prop_map(|(c, s)| Step::Clear(c, s)),
        4 => (cluster.clone(), service.clone(), 0_u32..3).prop_map(|(c, s, n)| Step::Ready(c, s, n)),
        1 => (cluster.clone(), service).prop_map(|(c, s)| Step::Delete(c, s)),
        1 => (cluster.clone(), 1_u64..200).prop_map(|(c, s)| Step::Silence(c, s)),
        1 => cluster.clone().prop_map(Step::Fail),
        1 => (cluster, any::<bool>()).prop_map(|(c, on)| Step::Drain(c, on)),
        2 => (1_u64..1_000).prop_map(Step::Pass),
        1 => Just(Step::Restart),
    ]
}

pub(crate) fn take(world: &mut World, step: &Step) {
    match *step {
        Step::Serve(c, s, ip) => {
            world.service(CLUSTERS[c], SERVICES[s], &[&format!("192.0.2.{ip}")]);
        }
        Step::Clear(c, s) => world.service(CLUSTERS[c], SERVICES[s], &[]),
        Step::Ready(c, s, n) => world.ready(CLUSTERS[c], SERVICES[s], n),
        Step::Delete(c, s) => world.delete(CLUSTERS[c], SERVICES[s]),
        Step::Silence(c, seconds) => world.silence(CLUSTERS[c], Duration::from_secs(seconds)),
        Step::Fail(c) => {
            world.watch_is(CLUSTERS[c], Kind::Service, KindState::Failing("500".into()));
            world.tell(CLUSTERS[c], ClusterEvent::Problems(vec!["broken".into()]));
        }
        Step::Drain(c, on) => world.member(CLUSTERS[c], |member| {
            member.drain = on.then(|| Drain { reason: "test".into(), until: None });
        }),
        Step::Pass(seconds) => world.pass(Duration::from_secs(seconds)),
        Step::Restart => {
            let saved = serde_json::to_string(&world.fleet.save(world.now)).unwrap();
            world.fleet = Fleet::restore(serde_json::from_str(&saved).unwrap(), world.now);
            world.configure();
        }
    }
}

pub(crate) fn start() -> World {
    let mut world = World::new("ring", "example.org");
    world.join("a", &["us/us-1", "us/us-2"]);
    world.join("b", &["us/us-2"]);
    world.join("c", &["eu/eu-1"]);
    world.snapshot();
    world
}

#[test]
fn the_same_configuration_again_is_no_news() {
    let mut world = start();
    world.serve("a", SERVICES[0], &["192.0.2.1"]);
    let before = world.snapshot();
    world.configure();
    assert!(Arc::ptr_eq(&before, &world.snapshot()));
    world.member("a", |member| {
        member.drain = Some(Drain { reason: "test".into(), until: None });
    });
    assert!(!Arc::ptr_eq(&before, &world.snapshot()));
}

fn global(service: usize) -> String {
    let (namespace, name) = SERVICES[service].split_once('/').unwrap();
    format!("{name}.{namespace}.ring.svc")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// I1, I2, I6: a name that had addresses keeps some until its last object is deleted, every
    /// CNAME of the chain leads on, and neither serial nor generation ever falls.
    #[test]
    fn a_name_that_had_an_answer_keeps_one(steps in proptest::collection::vec(step(), 1..40)) {
        let mut world = start();
        // Objects that are there, and whether their status has an address.
        let mut present: BTreeMap<(usize, usize), bool> = BTreeMap::new();
        let mut answered: BTreeSet<usize> = BTreeSet::new();
        let (mut serial, mut generation) = (world.zone().serial(), world.snapshot().generation);
        for step in &steps {
            take(&mut world, step);
            match *step {
                Step::Serve(c, s, _) => { present.insert((c, s), true); }
                Step::Clear(c, s) => { present.insert((c, s), false); }
                Step::Delete(c, s) => { present.remove(&(c, s)); }
                _ => {}
            }
            let zone = world.zone();
            for service in 0..SERVICES.len() {
                let now = world.at(&global(service));
                let offered = present.iter().any(|((_, s), _)| *s == service);
                let addressed = present.iter().any(|((_, s), has)| *s == service && *has);
                if !offered {
                    answered.remove(&service);
                    prop_assert_eq!(&now, "-", "deleted everywhere, yet {} stands", now);
                } else if now != "-" {
                    answered.insert(service);
                } else if addressed {
                    prop_assert!(!answered.contains(&service), "emptied by {:?}", step);
                }
            }
            for (key, node) in zone.nodes() {
                if let Some(cname) = node.get(RecordType::CNAME) {
                    prop_assert_eq!(node.iter().count(), 1, "{} has data beside its CNAME", key.to_name());
                    prop_assert_eq!(cname.len(), 1);
                }
            }
            let now = world.snapshot();
            for (at, cluster) in CLUSTERS.iter().enumerate() {
                let counted = now.clusters[&ClusterName::from(*cluster)].counts.services;
                prop_assert_eq!(counted, present.keys().filter(|(own, _)| *own == at).count());
            }
            prop_assert!(zone.serial() == serial || zone.serial().is_after(serial));
            prop_assert!(now.generation >= generation);
            (serial, generation) = (zone.serial(), now.generation);
        }
    }

    /// Compiling one change at a time gives the same zone as compiling all anew (I11).
    #[test]
    fn one_change_at_a_time_equals_all_at_once(steps in proptest::collection::vec(step(), 1..30)) {
        let mut world = start();
        for step in &steps {
            take(&mut world, step);
            world.snapshot();
        }
        let piecewise = world.records();
        let saved = world.fleet.save(world.now);
        world.fleet = Fleet::restore(saved, world.now);
        world.configure();
        prop_assert_eq!(world.records(), piecewise);
        // And then there is silence: nothing more is published.
        let before = world.snapshot();
        let after = world.snapshot();
        prop_assert_eq!(before.generation, after.generation);
    }
}
