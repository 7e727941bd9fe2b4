//! A policy in every provider's words: what is written, and what is said not to be. Printed plans
//! are compared with files; `UPDATE_GOLDEN=1` rewrites them.

use crate::{
    site::first_plan,
    steering::{checked, classic, steer, three, weighted},
    world::World,
};
use meridian::{
    plan::{Capabilities, Checking, Routing},
    policy::{Fence, Order, Pick, Places, Proximity, Steer},
};
use std::{fs, path::PathBuf, sync::Arc};

/// Each policy shape with a name of its own.
fn shapes() -> Vec<(&'static str, Arc<Steer>)> {
    let random =
        Steer { pick: Pick::Random, ..Steer::clone(&weighted(&[("aws", 80), ("azure", 20)])) };
    let failover = Order::Failover(vec!["azure".into(), "aws".into(), "gke".into()]);
    let proximity =
        Order::Proximity(Proximity { bias: [("gke".into(), 20.0)].into(), ..Proximity::default() });
    let us = Places { countries: vec!["US".into()], ..Places::default() };
    let fence = Fence { allow: [("aws".into(), us)].into(), ..Fence::default() };
    let fenced = Steer { fence, ..Steer::clone(&steer(classic())) };
    vec![
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

/// What Google checks, it leaves out and turns away from by itself; in a signed zone only where
/// each answer is one address, and where a check cannot be made, plain records are ready.
#[test]
fn what_google_checks_it_fails_over_itself() {
    let mut text = String::new();
    let two = Order::Failover(vec!["azure".into(), "aws".into()]);
    let more = [
        ("failover, the rest behind it", steer(Order::Failover(vec!["azure".into()]))),
        ("failover of two of three", steer(two)),
    ];
    for (title, shape) in shapes().into_iter().chain(more) {
        let plan = first_plan(&mut checked_world(shape), &Capabilities::CLOUD_DNS_CHECKING);
        text += &format!("=== {title} ===\n{}\n", sections(&plan.to_string()));
    }
    let signed = Capabilities {
        checks: Checking::Policies { signed: true },
        ..Capabilities::CLOUD_DNS_CHECKING
    };
    for (title, shape) in [shapes().remove(0), shapes().remove(3)] {
        let own = sections(&first_plan(&mut checked_world(shape), &signed).to_string());
        text += &format!("=== {title}, in a signed zone ===\n{own}\n");
    }
    golden("google-clouddns-checking", &text);
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
