//! Accidents that others had with records at providers, told again: nothing is deleted. Each names
//! the issues or incidents that it comes from.

use crate::{
    site::{Site, owner},
    world::{World, name},
};
use meridian::{
    model::{Kind, KindState, Ttl},
    plan::{Capabilities, Phase, RecordSet, SetKey, mark_name},
    records::RecordType,
};
use std::time::Duration;

const SHOP: &str = "default/shop";
const DAY: Duration = Duration::from_secs(86_400);

/// aws and gke with twelve services each, all written.
fn written() -> (Site, Vec<String>) {
    let mut world = World::new("fed", "example.com");
    world.join("aws", &["us-west-2/us-west-2a"]);
    world.join("gke", &["asia-east1/asia-east1-a"]);
    world.serve("aws", SHOP, &["1.2.3.1"]);
    for one in 0..12 {
        world.serve("gke", &format!("default/s{one}"), &[&format!("1.2.4.{one}")]);
    }
    world.ingress("aws", "default/web", "www.example.com", "shop", &["1.2.3.9"]);
    let mut site = Site::new(world, Capabilities::MEMORY);
    site.sync();
    let data = site.data();
    assert!(data.len() > 40, "{data:#?}");
    (site, data)
}

/// external-dns#2858, #3997: a list that failed was an empty one, and everything was deleted.
#[test]
fn a_cluster_that_cannot_be_read_deletes_nothing() {
    let (mut site, before) = written();
    site.world.silence("gke", Duration::from_secs(200));
    site.sync();
    site.world.pass(DAY);
    site.world.silence("gke", Duration::from_secs(200));
    site.sync();
    assert_eq!(site.data(), before);
}

/// The same after a restart without memory: a cluster that was never seen makes no plan at all.
#[test]
fn a_cluster_that_was_never_seen_makes_no_plan() {
    let (mut site, before) = written();
    let mut world = World::new("fed", "example.com");
    world.join("aws", &["us-west-2/us-west-2a"]);
    world.serve("aws", SHOP, &["1.2.3.1"]);
    world.config.members.insert("gke".into(), meridian::model::Member::default());
    world.configure();
    world.now = site.world.now;
    site.world = world;
    site.restart();
    let status = site.sync();
    assert_eq!((status.phase, site.data()), (Phase::Incomplete, before));
}

/// external-dns#2677, #414, #1289: an Ingress controller that shuts down clears every status.
#[test]
fn a_load_balancer_status_that_went_empty_deletes_nothing() {
    let (mut site, before) = written();
    for one in 0..12 {
        site.world.service("gke", &format!("default/s{one}"), &[]);
    }
    site.world.ingress("aws", "default/web", "www.example.com", "shop", &[]);
    site.sync();
    assert_eq!(site.data(), before);
    for _ in 0..48 {
        site.world.pass(Duration::from_secs(1_800));
        site.sync();
    }
    // A day later a level points one up, as one without endpoints does, and where that ends the
    // last addresses stand: no name is gone, none leads nowhere.
    let names = |lines: &[String]| {
        lines.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let after = site.data();
    assert_eq!(names(&after), names(&before));
    let global = |line: &&String| line.contains(".fed.svc.example.com. A ");
    assert_eq!(
        after.iter().filter(global).collect::<Vec<_>>(),
        before.iter().filter(global).collect::<Vec<_>>()
    );
}

/// external-dns#4023, #4595: one broken route took all names of its gateway.
#[test]
fn a_broken_object_costs_no_other_object_its_names() {
    let (mut site, before) = written();
    site.world.serve("aws", "default/broken", &["0.0.0.0"]);
    site.world.ingress(
        "aws",
        "default/odd",
        &format!("{}.example.com", "y".repeat(63)),
        "shop",
        &["127.0.0.1"],
    );
    site.sync();
    let after = site.data();
    assert!(before.iter().all(|line| after.contains(line)), "{after:#?}");
}

/// external-dns source/service.go: a resolver that fails dropped a target without a word.
#[test]
fn a_load_balancer_whose_name_stops_resolving_keeps_its_addresses() {
    let mut world = World::new("fed", "example.com");
    world.join("aws", &["us-west-2/us-west-2a"]);
    world.join("gke", &["asia-east1/asia-east1-a"]);
    world.serve("aws", SHOP, &["lb-1.example.net"]);
    world.serve("gke", SHOP, &["1.2.3.2"]);
    world.snapshot();
    world.resolves("lb-1.example.net", &["1.2.3.1"]);
    let mut site = Site::new(world, Capabilities::MEMORY);
    site.sync();
    let before = site.data();
    assert!(before.iter().any(|line| line.contains("1.2.3.1,1.2.3.2")), "{before:#?}");
    site.world.does_not_resolve("lb-1.example.net");
    site.sync();
    site.world.pass(DAY);
    site.sync();
    assert_eq!(site.data(), before);
}

/// external-dns's advice for operators: LIST allowed, WATCH denied, and the view freezes unseen.
#[test]
fn a_kind_that_may_no_longer_be_watched_deletes_nothing_and_shows() {
    let (mut site, before) = written();
    let denied = KindState::Denied("services is forbidden".into());
    site.world.watch_is("gke", Kind::Service, denied.clone());
    site.world.pass(DAY);
    site.sync();
    assert_eq!(site.data(), before);
    let gke = meridian::model::ClusterName::from("gke");
    let view = site.world.snapshot().clusters.get(&gke).cloned().unwrap();
    assert_eq!(view.kinds[&Kind::Service], denied);
}

/// external-dns#1717: a new version saw less, and deleted the rest. The same input is no change.
#[test]
fn a_restart_with_the_same_input_writes_nothing() {
    let (mut site, before) = written();
    site.restart();
    let calls = site.calls;
    let status = site.sync();
    assert_eq!((status.phase, site.calls), (Phase::InStep, calls + 1), "one read");
    assert_eq!(site.data(), before);
}

/// external-dns#2834, #3007: marks of another version could be neither read nor removed.
#[test]
fn a_mark_of_a_later_version_is_somebody_elses() {
    let (mut site, _) = written();
    let at = name("shop.default.fed.svc.example.com");
    let mark = SetKey::plain(&mark_name(&name("example.com"), &at), RecordType::TXT);
    let old = site.there.get(&mark).unwrap().texts().next().unwrap();
    let later = old.replace(",v=1,", ",v=2,");
    site.put(RecordSet::text(&mark.name(), Ttl::WRITTEN, &later));
    site.world.delete("aws", "default/shop");
    site.writer.look();
    site.sync();
    assert!(site.there.get(&SetKey::plain(&at, RecordType::A)).is_some());
}

/// external-dns#262, #3757: a TXT record at the name of a CNAME.
#[test]
fn no_mark_stands_at_a_name_that_is_an_alias() {
    let (site, _) = written();
    for set in site.there.sets().filter(|set| set.key.rtype == RecordType::CNAME) {
        assert_eq!(site.types(&set.key.owner), [RecordType::CNAME], "{}", set.key);
    }
}

/// helm/charts#22196, external-dns docs on owner migration: two installations with one owner id.
#[test]
fn a_second_installation_with_the_same_id_deletes_nothing() {
    let (mut site, before) = written();
    let mut other = World::new("fed", "example.com");
    other.join("other", &["eu-west-1/eu-west-1a"]);
    other.now = site.world.now;
    let zone = site.there.zone().clone();
    for instance in ["two", "one-with-another-key"] {
        site.world = other;
        let own = match instance {
            "two" => owner("two"),
            _ => meridian::plan::Owner::new("meridian", "one", &[vec![9; 32]]).unwrap(),
        };
        site.writer = meridian::plan::Writer::new(
            own,
            zone.clone(),
            Capabilities::MEMORY,
            meridian::plan::Manner::default(),
        );
        site.approve(1_000);
        let status = site.sync();
        assert_eq!((status.phase, site.data()), (Phase::Refused, before.clone()), "{instance}");
        other = World::new("fed", "example.com");
        other.join("other", &["eu-west-1/eu-west-1a"]);
        other.now = site.world.now;
    }
}

/// external-dns#3217: without a registry, `sync` wiped the zone.
#[test]
fn records_without_a_mark_are_never_removed_whatever_is_approved() {
    let (mut site, before) = written();
    let theirs: Vec<RecordSet> = site.there.sets().cloned().collect();
    site.there = meridian::plan::Listing::whole(
        name("example.com"),
        theirs.into_iter().filter(|set| !meridian::plan::is_bookkeeping(&set.key)),
    );
    site.restart();
    for one in 0..12 {
        site.world.delete("gke", &format!("default/s{one}"));
    }
    site.world.delete("aws", "default/shop");
    site.approve(1_000);
    let status = site.sync();
    assert_eq!(site.data(), before);
    // What is wanted still is named: the host, which nobody deleted.
    let www = status.conflicts.iter().find(|one| one.name == name("www.example.com"));
    assert!(www.is_some_and(|one| one.reason.contains("did not write")), "{:?}", status.conflicts);
}
