//! A policy in every provider's words: what is written, and what is said not to be. Printed plans
//! are compared with files; `UPDATE_GOLDEN=1` rewrites them.

use crate::{
    site::first_plan,
    steering::{checked, classic, steer, three, weighted},
    world::World,
};
use meridian::{
    health::{Grpc, Http, Method, Protocol, Statuses, Tls},
    plan::{Capabilities, Checking, Routing},
    policy::{Fence, HealthCheck, Order, Pick, Places, Proximity, Steer},
};
use std::{collections::BTreeSet, fs, path::PathBuf, sync::Arc};

/// Each policy shape with a name of its own.
fn shapes() -> [(&'static str, Arc<Steer>); 6] {
    let random =
        Steer { pick: Pick::Random, ..Steer::clone(&weighted(&[("aws", 80), ("azure", 20)])) };
    let failover = Order::Failover(vec!["azure".into(), "aws".into(), "gke".into()]);
    let proximity =
        Order::Proximity(Proximity { bias: [("gke".into(), 20.0)].into(), ..Proximity::default() });
    let us = Places { countries: vec!["US".into()], ..Places::default() };
    let fence = Fence { allow: [("aws".into(), us)].into(), ..Fence::default() };
    let fenced = Steer { fence, ..Steer::clone(&steer(classic())) };
    [
        ("all", Arc::default()),
        ("geo", steer(classic())),
        ("weighted", Arc::new(random)),
        ("failover", steer(failover)),
        ("proximity", steer(proximity)),
        ("fenced", Arc::new(fenced)),
    ]
}

/// Traffic Manager refuses the addresses that documents use.
fn world(shape: Arc<Steer>, can: &Capabilities) -> World {
    let mut world = three();
    let open = [("aws", "1.2.3.1"), ("azure", "1.2.3.2"), ("gke", "1.2.3.3")];
    for (cluster, ip) in open.into_iter().filter(|_| can.routing == Routing::TrafficManager) {
        world.serve(cluster, "default/shop", &[ip]);
    }
    world.policy("default/shop", |policy| policy.steer = shape);
    world
}

/// With checks of its own, Route 53 fails over by itself between what we wrote last; with a switch
/// for each cluster, one call takes a cluster out of it.
#[test]
fn what_route_53_checks_itself_it_fails_over_itself() {
    for (file, can) in [
        ("aws-route53-checking", Capabilities::ROUTE53_CHECKING),
        ("aws-route53-switching", Capabilities::ROUTE53_SWITCHING),
    ] {
        let mut text = String::new();
        for (title, shape) in shapes() {
            let own = sections(&first_plan(&mut checked_world(shape), &can).to_string());
            text += &format!("=== {title} ===\n{own}\n");
        }
        golden(file, &text);
    }
}

/// What Google checks, it leaves out and turns away from by itself; what it cannot check is written
/// as without checks, and said.
#[test]
fn what_google_checks_it_fails_over_itself() {
    let signed = Capabilities {
        checks: Checking::Policies { signed: true },
        ..Capabilities::CLOUD_DNS_CHECKING
    };
    let checking = Capabilities::CLOUD_DNS_CHECKING;
    let mut cases: Vec<(&str, Arc<Steer>, Turn, &Capabilities)> = Vec::new();
    cases.extend(
        shapes().into_iter().map(|(title, shape)| (title, shape, as_is as Turn, &checking)),
    );
    let [all, _, _, failover, ..] = shapes().map(|(_, shape)| shape);
    let more: [(&str, &Arc<Steer>, Turn, &Capabilities); 9] = [
        ("failover of two", &failover, without_gke, &checking),
        ("failover of several addresses", &failover, with_two, &checking),
        ("failover to a private address", &failover, privately, &checking),
        ("failover, by gRPC", &failover, by_grpc, &checking),
        ("failover, by HTTPS", &failover, by_https, &checking),
        ("one for all", &failover, with_one, &checking),
        ("all, in a signed zone", &all, as_is, &signed),
        ("failover, in a signed zone", &failover, as_is, &signed),
        ("failover of several addresses, in a signed zone", &failover, with_two, &signed),
    ];
    cases.extend(more.map(|(title, shape, turn, can)| (title, shape.clone(), turn, can)));
    let mut text = String::new();
    for (title, shape, turn, can) in cases {
        let mut world = checked_world(shape);
        turn(&mut world);
        world.rounds(&[], 3);
        text +=
            &format!("=== {title} ===\n{}\n", sections(&first_plan(&mut world, can).to_string()));
    }
    golden("google-clouddns-checking", &text);
    said_in_documents(&text);
}

/// What a world is made to differ in.
type Turn = fn(&mut World);

fn as_is(_: &mut World) {}

fn without_gke(world: &mut World) {
    world.delete("gke", "default/shop");
}

fn with_one(world: &mut World) {
    world.delete("gke", "default/shop");
    world.delete("aws", "default/shop");
}

fn with_two(world: &mut World) {
    world.serve("azure", "default/shop", &["1.2.3.2", "1.2.3.20"]);
}

fn privately(world: &mut World) {
    world.serve("aws", "default/shop", &["10.0.0.1"]);
}

fn by_grpc(world: &mut World) {
    let own = Grpc { service: "".into(), host: "".into() };
    by(world, Protocol::Grpc(own, None));
}

fn by_https(world: &mut World) {
    let statuses = Statuses::default();
    let body = Some("fine".into());
    let http =
        Http { method: Method::Head, path: "/ready".into(), host: "".into(), statuses, body };
    by(world, Protocol::Https(http, Tls::default()));
}

fn by(world: &mut World, protocol: Protocol) {
    let steer = shapes().map(|(_, shape)| shape)[3].clone();
    world.policy("default/shop", |policy| {
        policy.steer = steer;
        policy.health = Some(HealthCheck { protocol, fall: 20, ..checked() });
    });
}

/// Every loss that a plan tells stands in the documents, word by word but for numbers and addresses.
fn said_in_documents(plans: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/providers.md");
    let words = |text: &str| {
        let plain = text.replace(|c: char| c.is_ascii_digit(), "#").replace('`', "");
        let mut words: Vec<String> = plain.split_whitespace().map(str::to_owned).collect();
        words.dedup();
        words.join(" ").replace("##", "#").replace("##", "#").replace("#.#.#.#", "#")
    };
    let documents = words(&fs::read_to_string(path).unwrap());
    let said =
        plans.lines().filter_map(|line| line.strip_prefix("DEGRADED ")?.split_once(" health: "));
    let missing: BTreeSet<String> = said
        .map(|(_, text)| words(text))
        .filter(|text| !documents.contains(text.as_str()))
        .collect();
    assert!(missing.is_empty(), "docs/providers.md does not say: {missing:#?}");
}

fn checked_world(shape: Arc<Steer>) -> World {
    let mut world = three();
    for (cluster, ip) in [("aws", "1.2.3.1"), ("azure", "1.2.3.2"), ("gke", "1.2.3.3")] {
        world.serve(cluster, "default/shop", &[ip]);
    }
    world.policy("default/shop", |policy| {
        policy.steer = shape;
        policy.health = Some(checked());
    });
    world.rounds(&[], 3);
    world
}

#[test]
fn every_policy_in_every_providers_words() {
    let providers = [
        Capabilities::RFC2136,
        Capabilities::ROUTE53,
        Capabilities::CLOUD_DNS,
        Capabilities::AZURE,
    ];
    for can in providers {
        let mut text = String::new();
        for (title, shape) in shapes() {
            let plan = first_plan(&mut world(shape, &can), &can).to_string();
            // Only the steered name: the levels below it are the same everywhere.
            let own = sections(&plan);
            text += &format!("=== {title} ===\n{own}\n");
        }
        golden(can.name, &text);
    }
}

/// The global name's part of a plan, and what it says of degradation.
fn sections(plan: &str) -> String {
    let mut out = String::new();
    let mut own = false;
    for line in plan.lines() {
        if !line.starts_with(' ') {
            own = line.contains(" shop.default.fed.svc.example.com.");
        }
        if own {
            out += line;
            out.push('\n');
        }
    }
    out
}

#[track_caller]
fn golden(provider: &str, found: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(format!("tests/golden/plans/{provider}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == found, "{} differs; found:\n{found}", path.display());
}
