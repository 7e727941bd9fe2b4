//! Hosts that Ingresses and annotations claim.

use crate::world::{World, address, key, name};
use meridian::{
    fleet::Unit,
    model::{Annotations, ClusterEvent, FederationName, IngressObject, IngressRule, Kind},
    model::{NodeObject, Object, ObjectKey, Ttl},
    records::Rrset,
};

fn two() -> World {
    let mut world = World::new("ring", "example.org");
    world.join("a", &["us/us-1"]);
    world.join("b", &["eu/eu-1"]);
    world
}

#[test]
fn an_ingress_host_is_answered_from_every_cluster_whose_backends_are_ready() {
    let mut world = two();
    for (cluster, ip) in [("a", "192.0.2.1"), ("b", "192.0.2.2")] {
        world.ingress(cluster, "default/whoami", "who.example.org", "whoami", &[ip]);
        world.ready(cluster, "default/whoami", 1);
    }
    assert_eq!(world.at("who"), "A 192.0.2.1, 192.0.2.2");
    world.ready("a", "default/whoami", 0);
    assert_eq!(world.at("who"), "A 192.0.2.2");
    let gone = ObjectKey { kind: Kind::Ingress, key: key("default/whoami") };
    world.tell("b", ClusterEvent::Deleted(gone.clone()));
    assert_eq!(world.at("who"), "A 192.0.2.1");
    world.tell("a", ClusterEvent::Deleted(gone));
    assert_eq!(world.at("who"), "-");
}

#[test]
fn a_host_outside_the_zone_is_none_of_ours() {
    let mut world = two();
    world.ingress("a", "default/x", "www.example.net", "x", &["192.0.2.1"]);
    assert!(world.records().is_empty());
    assert!(world.snapshot().units.is_empty());
}

#[test]
fn annotations_name_hosts_targets_and_ttl() {
    let mut world = two();
    let annotations = Annotations {
        hostnames: vec![name("www.example.org"), name("*.apps.example.org")],
        targets: vec![address("198.51.100.8")],
        ttl: Some(Ttl::from_secs(20)),
        ..Annotations::default()
    };
    world.annotated("a", "default/web", &["192.0.2.1"], Some(annotations));
    world.ready("a", "default/web", 1);
    assert!(world.records().contains(&"www.example.org. 20 A 198.51.100.8".to_owned()));
    assert!(world.records().contains(&"*.apps.example.org. 20 A 198.51.100.8".to_owned()));
    assert_eq!(world.at("web.default.ring.svc"), "A 198.51.100.8");
    // Taking the annotation away takes the hosts away, not the service's own names.
    world.annotated("a", "default/web", &["192.0.2.1"], None);
    assert_eq!(world.at("www"), "-");
    assert_eq!(world.at("web.default.ring.svc"), "A 192.0.2.1");
}

#[test]
fn an_excluded_service_has_no_names() {
    let mut world = two();
    let annotations = Annotations { exclude: true, ..Annotations::default() };
    world.annotated("a", "default/web", &["192.0.2.1"], Some(annotations));
    world.ready("a", "default/web", 1);
    assert!(world.records().is_empty());
}

#[test]
fn an_ingress_without_load_balancer_may_stand_on_its_nodes() {
    let mut world = two();
    let node = |name: &str, ip: &str, ready| {
        Object::Node(NodeObject {
            name: name.into(),
            region: None,
            zone: None,
            external: vec![ip.parse().unwrap()],
            ready,
        })
    };
    world.tell("a", ClusterEvent::Applied(node("n1", "192.0.2.11", true)));
    world.tell("a", ClusterEvent::Applied(node("n2", "192.0.2.12", false)));
    let ingress = IngressObject {
        key: key("default/juju"),
        rules: vec![IngressRule { host: Some(name("juju.example.org")), backends: vec![] }],
        ingress: vec![],
        tls: false,
        created: 0,
        annotations: Some(Box::new(Annotations { nodes: true, ..Annotations::default() })),
    };
    world.tell("a", ClusterEvent::Applied(Object::Ingress(ingress)));
    assert_eq!(world.at("juju"), "A 192.0.2.11");
    world.tell("a", ClusterEvent::Applied(node("n2", "192.0.2.12", true)));
    assert_eq!(world.at("juju"), "A 192.0.2.11, 192.0.2.12");
}

#[test]
fn static_records_stand_before_what_clusters_claim() {
    let mut world = two();
    let own = Rrset::a(Ttl::SERVED, ["203.0.113.80".parse().unwrap()]).unwrap();
    world.static_records(&[("who.example.org", own)]);
    world.ingress("a", "default/whoami", "who.example.org", "whoami", &["192.0.2.1"]);
    world.ready("a", "default/whoami", 1);
    assert_eq!(world.at("who"), "A 203.0.113.80");
    let unit = (FederationName("ring".into()), Unit::Host(name("who.example.org")));
    assert!(world.snapshot().units[&unit].problems[0].contains("static records"));
}

#[test]
fn a_host_belongs_to_the_namespace_that_claimed_it_first() {
    let mut world = two();
    world.ingress("a", "alpha/who", "who.example.org", "who", &["192.0.2.1"]);
    world.ready("a", "alpha/who", 1);
    world.ingress("b", "evil/who", "who.example.org", "who", &["192.0.2.66"]);
    world.ready("b", "evil/who", 1);
    assert_eq!(world.at("who"), "A 192.0.2.1");
    let unit = (FederationName("ring".into()), Unit::Host(name("who.example.org")));
    assert!(world.snapshot().units[&unit].problems[0].contains("namespace alpha"));
}

#[test]
fn a_host_at_the_apex_gets_addresses_beside_the_soa() {
    let mut world = two();
    world.ingress("a", "default/top", "example.org", "top", &["192.0.2.1"]);
    world.ready("a", "default/top", 1);
    let serial = world.zone().serial();
    let zone = world.zone();
    let apex = zone.node(zone.key().as_bytes()).unwrap();
    assert_eq!(crate::world::show(apex), "A 192.0.2.1; OTHER …");
    world.ready("a", "default/top", 2);
    assert_eq!(world.zone().serial(), serial);
}

#[test]
fn a_host_among_the_generated_names_is_refused() {
    let mut world = two();
    world.ingress("a", "default/x", "web.shop.ring.svc.example.org", "x", &["192.0.2.1"]);
    assert_eq!(world.at("web.shop.ring.svc"), "-");
}
