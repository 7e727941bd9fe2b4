//! Good records are not deleted for a bad reason: invariants I1, I2, I5, I6 and I13.

use crate::world::{World, key, name};
use meridian::{
    fleet::{ClusterStatus, EndpointState, Fleet, LOCALITY_HOLD, STATUS_HOLD, Serving, Unit},
    model::{ClusterEvent, Drain, Freshness, Kind, KindState, Object, ObjectKey, ServiceKey},
    records::Completeness,
};
use std::time::Duration;

const BOT: &str = "default/bot";
const P: &str = "bot.default.ring.svc";

fn two() -> World {
    let mut world = World::new("ring", "example.org");
    world.join("a", &["us/us-1"]);
    world.join("b", &["eu/eu-1"]);
    world.serve("a", BOT, &["192.0.2.1"]);
    world.serve("b", BOT, &["192.0.2.2"]);
    world.snapshot();
    world
}

#[test]
fn a_cleared_load_balancer_status_is_held_for_its_time_then_withdrawn() {
    let mut world = two();
    world.service("a", BOT, &[]);
    assert_eq!(world.at(P), "A 192.0.2.1, 192.0.2.2");
    world.pass(STATUS_HOLD - Duration::from_secs(1));
    assert_eq!(world.at(P), "A 192.0.2.1, 192.0.2.2");
    world.pass(Duration::from_secs(2));
    assert_eq!(world.at(P), "A 192.0.2.2");
}

#[test]
fn a_status_that_comes_back_with_another_address_ends_the_hold_at_once() {
    let mut world = two();
    world.service("a", BOT, &[]);
    world.service("a", BOT, &["192.0.2.7"]);
    assert_eq!(world.at(P), "A 192.0.2.2, 192.0.2.7");
}

#[test]
fn all_statuses_cleared_at_once_never_empty_the_name() {
    let mut world = two();
    world.service("a", BOT, &[]);
    world.service("b", BOT, &[]);
    world.snapshot();
    world.pass(STATUS_HOLD * 10);
    assert_eq!(world.at(P), "A 192.0.2.1, 192.0.2.2");
    let unit = (name_of_federation(), Unit::Service(key(BOT)));
    assert_eq!(world.snapshot().units[&unit].serving, Serving::LastKnown);
}

#[test]
fn a_service_that_stops_being_a_load_balancer_is_withdrawn_at_once() {
    let mut world = two();
    let plain = meridian::model::ServiceObject {
        key: key(BOT),
        load_balancer: false,
        ingress: vec![],
        port: None,
        labels: vec![],
        created: 0,
        annotations: None,
    };
    world.tell("a", ClusterEvent::Applied(Object::Service(plain)));
    assert_eq!(world.at(P), "A 192.0.2.2");
}

#[test]
fn a_deletion_counts_also_while_everything_is_down() {
    let mut world = two();
    world.ready("a", BOT, 0);
    world.ready("b", BOT, 0);
    world.snapshot();
    assert_eq!(world.at(P), "A 192.0.2.1, 192.0.2.2");
    world.delete("a", BOT);
    assert_eq!(world.at(P), "A 192.0.2.2");
    world.delete("b", BOT);
    assert_eq!(world.at(P), "-");
}

#[test]
fn a_list_that_omits_a_service_is_a_deletion_and_an_error_is_not() {
    let mut world = two();
    let failing = KindState::Failing("500: etcd leader changed".to_owned());
    world.watch_is("a", Kind::Service, failing);
    world.watch_is("a", Kind::Service, KindState::Denied("403".to_owned()));
    assert_eq!(world.at(P), "A 192.0.2.1, 192.0.2.2");
    world.tell("a", ClusterEvent::Listed(Kind::Service, vec![]));
    assert_eq!(world.at(P), "A 192.0.2.2");
}

#[test]
fn a_cluster_that_may_not_list_endpoint_slices_counts_as_ready() {
    let mut world = two();
    world.ready("a", BOT, 0);
    assert_eq!(world.at(P), "A 192.0.2.2");
    world.watch_is("a", Kind::EndpointSlice, KindState::Denied("403".to_owned()));
    assert_eq!(world.at(P), "A 192.0.2.1, 192.0.2.2");
}

#[test]
fn silence_makes_a_cluster_stale_then_unreachable_and_changes_no_answer() {
    let mut world = two();
    world.pass(Duration::from_secs(1));
    let (before, serial) = (world.records(), world.zone().serial());
    world.silence("a", Duration::from_secs(30));
    let view = |world: &mut World| world.snapshot().clusters["a"].clone();
    assert_eq!(view(&mut world).freshness, Freshness::Stale);
    assert_eq!(view(&mut world).status, ClusterStatus::NotReady);
    world.silence("a", Duration::from_secs(60));
    assert_eq!(view(&mut world).freshness, Freshness::Unreachable);
    assert_eq!(world.records(), before);
    assert_eq!(world.zone().serial(), serial);
}

#[test]
fn nothing_is_answered_before_all_clusters_were_seen_then_only_what_is_known() {
    let mut world = World::new("ring", "example.org");
    world.config.members.insert("late".into(), Default::default());
    world.join("a", &["us/us-1"]);
    world.serve("a", BOT, &["192.0.2.1"]);
    assert_eq!(world.zone().completeness, Completeness::Pending);
    world.pass(Duration::from_secs(11));
    assert_eq!(world.zone().completeness, Completeness::Partial);
    assert_eq!(world.at(P), "A 192.0.2.1");
    for kind in Kind::ALL {
        world.tell("late", ClusterEvent::Listed(kind, vec![]));
    }
    assert_eq!(world.zone().completeness, Completeness::Complete);
    // A cluster that joins later does not take the zone's word back.
    world.config.members.insert("later".into(), Default::default());
    world.configure();
    assert_eq!(world.zone().completeness, Completeness::Complete);
}

#[test]
fn a_zone_whose_last_node_went_keeps_its_name_for_a_day() {
    let mut world = two();
    let node = ObjectKey { kind: Kind::Node, key: ServiceKey::new("", "node-0") };
    world.tell("a", ClusterEvent::Deleted(node));
    assert_eq!(world.at(&format!("{P}.us-1.us")), "A 192.0.2.1");
    world.pass(LOCALITY_HOLD + Duration::from_secs(1));
    assert_eq!(world.at(&format!("{P}.us-1.us")), "-");
    assert_eq!(world.at(P), "A 192.0.2.1, 192.0.2.2");
}

#[test]
fn a_drained_cluster_serves_only_while_no_other_can_until_its_drain_ends() {
    let mut world = two();
    let until = world.now.after(Duration::from_secs(60)).wall;
    let drain = Drain { reason: "upgrade".to_owned(), until: Some(until) };
    world.member("a", |member| member.drain = Some(drain));
    assert_eq!(world.at(P), "A 192.0.2.2");
    assert_eq!(world.at(&format!("{P}.us")), format!("CNAME {P}.example.org."));
    world.ready("b", BOT, 0);
    assert_eq!(world.at(P), "A 192.0.2.1");
    world.ready("b", BOT, 1);
    world.pass(Duration::from_secs(61));
    assert_eq!(world.at(P), "A 192.0.2.1, 192.0.2.2");
}

#[test]
fn a_restart_with_every_cluster_out_of_reach_answers_as_before_with_higher_numbers() {
    let mut world = two();
    world.ready("a", BOT, 0);
    world.resolves("lb.example.net", &["192.0.2.9"]);
    let before = world.records();
    let (serial, generation) = (world.zone().serial(), world.snapshot().generation);
    let saved = serde_json::to_string(&world.fleet.save(world.now)).unwrap();

    world.now = world.now.after(Duration::from_secs(3600));
    world.fleet = Fleet::restore(serde_json::from_str(&saved).unwrap(), world.now);
    world.configure();
    assert_eq!(world.records(), before);
    assert_eq!(world.zone().completeness, Completeness::Complete);
    assert!(world.zone().serial().is_after(serial));
    assert!(world.snapshot().generation > generation);
    assert_eq!(world.snapshot().clusters["a"].freshness, Freshness::Unreachable);

    // One cluster comes back and says otherwise; the other's last view still stands.
    for kind in Kind::ALL {
        world.tell("b", ClusterEvent::Listed(kind, vec![]));
    }
    world.ready("b", BOT, 1);
    world.serve("b", BOT, &["192.0.2.22"]);
    assert_eq!(world.at(P), "A 192.0.2.22");
    assert_eq!(world.at(&format!("{P}.us-1.us")), format!("CNAME {P}.us.example.org."));
}

#[test]
fn an_address_that_is_no_target_is_refused_with_a_reason_and_the_rest_goes_on() {
    let mut world = two();
    world.service("a", BOT, &["127.0.0.1", "192.0.2.5"]);
    assert_eq!(world.at(P), "A 192.0.2.2, 192.0.2.5");
    let unit = (name_of_federation(), Unit::Service(key(BOT)));
    let view = world.snapshot().units[&unit].clone();
    assert_eq!(view.endpoints[0].state, EndpointState::Refused);
    assert!(view.endpoints[0].reason.contains("loopback"), "{}", view.endpoints[0].reason);
}

#[test]
fn a_name_that_does_not_fit_is_refused_on_that_object_alone() {
    let mut world = two();
    let long = format!("default/{}", "x".repeat(64));
    world.serve("a", &long, &["192.0.2.3"]);
    assert_eq!(world.at(P), "A 192.0.2.1, 192.0.2.2");
    let unit = (name_of_federation(), Unit::Service(key(&long)));
    let problems = world.snapshot().units[&unit].problems.clone();
    assert!(problems[0].contains("64 octets"), "{problems:?}");
}

#[test]
fn nothing_new_is_published_when_nothing_changed() {
    let mut world = two();
    let before = world.snapshot();
    world.serve("a", BOT, &["192.0.2.1"]);
    let after = world.snapshot();
    assert_eq!(after.generation, before.generation);
    assert_eq!(after.zones.get(&name("example.org")).unwrap().serial(), world.zone().serial());
}

fn name_of_federation() -> meridian::model::FederationName {
    meridian::model::FederationName("ring".into())
}

#[test]
fn a_zone_is_stale_while_none_of_its_clusters_is_fresh_and_keeps_its_serial() {
    let mut world = two();
    let (serial, generation) = (world.zone().serial(), world.snapshot().generation);
    assert!(!world.zone().stale);
    world.silence("a", Duration::from_secs(200));
    assert!(!world.zone().stale, "b is heard");
    // Then b, too; a is heard of no more either.
    for _ in 0..200 {
        world.now = world.now.after(Duration::from_secs(1));
        world.fleet.tick(world.now);
    }
    assert!(world.zone().stale);
    assert_eq!(world.zone().serial(), serial, "no record is another");
    assert!(world.snapshot().generation > generation, "readers see that something changed");
    assert_eq!(world.at(P), "A 192.0.2.1, 192.0.2.2");
    world.pass(Duration::from_secs(1));
    assert!(!world.zone().stale);

    let saved = serde_json::to_string(&world.fleet.save(world.now)).unwrap();
    world.fleet = Fleet::restore(serde_json::from_str(&saved).unwrap(), world.now);
    world.configure();
    assert!(world.zone().stale, "what a restart found on disk was not heard yet");
    assert_eq!(world.zone().completeness, Completeness::Complete);
}
