//! Figures for steering: what a decision costs, what the world's map costs, what 10,000 policies
//! of five shapes take up, and how soon a failed check shows in an answer.
//!
//! `cargo bench --bench steering`. Each figure stands beside a limit or a peer of the same run.

#![allow(missing_docs)] // a bench has no public side
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a bench may panic and read the clock

use ipnet::IpNet;
use meridian::{
    controller::now,
    fleet::{Event, Fleet, FleetConfig, Snapshot},
    geo::{Database, RecordId},
    health::{Failure, Outcome, Protocol},
    model::{
        Address, Client, ClusterEvent, ClusterName, Federation, FederationName, Kind, Location,
        Member, Name, NodeObject, Object, Offline, Serial, ServiceKey, ServiceObject,
        ServiceSelector, SliceCounts, SoaValues, Ttl,
    },
    policy::{
        Fence, GeoRow, GeoTable, HealthCheck, Order, Pick, Places, PolicyTarget, Proximity, Shape,
        Site, Steer, TrafficPolicy, Weights,
    },
    records::{self, DnssecOk, Question, RecordType},
};
use std::{
    fs,
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::{Duration, Instant},
};

const CLUSTERS: [(&str, &str, f64, f64); 3] = [
    ("aws", "us-west-2", 45.8, -119.7),
    ("azure", "westeurope", 52.4, 4.9),
    ("gke", "asia-east1", 24.1, 120.5),
];
const SERVICES: u32 = 10_000;
const LOOKUPS: u32 = 1_000_000;

fn main() {
    // `cargo test` runs benches too, with an argument that says so: there is nothing to test.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    map();
    let plain = resident();
    let mut fleet = fleet(None);
    let before = resident();
    let snapshot = fleet.snapshot(now());
    println!("{SERVICES} services × 3 clusters, no policy: {} MB", (resident() - plain) / 1_000);
    decisions(&snapshot, "not steered");
    drop((fleet, snapshot));
    steered(before);
}

/// The map of the world, from the database that is built in.
fn map() {
    let start = Instant::now();
    let database = Database::embedded();
    println!("built-in database       read in {:.1?}: {:?}", start.elapsed(), database.info());
    for (what, order) in [("geo map", classic()), ("proximity", near())] {
        let mut least = Duration::MAX;
        let mut shape = None;
        for _ in 0..5 {
            let start = Instant::now();
            shape = Some(compile(&database, &order));
            least = least.min(start.elapsed());
        }
        let shape = shape.unwrap();
        let leaves = shape.leaves().count();
        let start = Instant::now();
        for n in 0..LOOKUPS {
            black_box(shape.find(IpAddr::V4(address(n))));
        }
        let each = start.elapsed().as_nanos() / u128::from(LOOKUPS);
        println!(
            "map, {what:<18} compiled in {least:.1?} (aim < 150 ms), {leaves} leaves, {} orders; \
             look-up {each} ns (aim < 100)",
            shape.orders.len()
        );
    }
}

fn compile(database: &Database, order: &Order) -> Shape {
    let site = |(cluster, _, north, east): &(&str, &str, f64, f64)| Site {
        cluster: (*cluster).into(),
        location: Location { coordinates: Some((*north, *east)), ..Location::default() },
    };
    let networks = database.networks().map(|(net, record)| (net, record.map(|record| record.0)));
    let location = |record| database.location(RecordId(record));
    let sites = CLUSTERS.iter().map(site).collect();
    Shape::compile(order, &Fence::default(), sites, networks, location)
}

fn steered(before: u64) {
    let shapes = [classic(), near(), failover(), Order::None, reversed()];
    let mut fleet = fleet(Some(&shapes));
    let start = Instant::now();
    let snapshot = fleet.snapshot(now());
    println!(
        "{SERVICES} policies of 5 shapes   {} MB (limit 300 MB), compiled cold in {:.2?}",
        (resident() - before) / 1_000,
        start.elapsed()
    );
    decisions(&snapshot, "steered");
    failures(&mut fleet);
}

/// One query's decision, client subnets of 100,000 networks.
fn decisions(snapshot: &Snapshot, what: &str) {
    let names: Vec<Name> = (0..SERVICES)
        .map(|n| format!("svc{n}.default.magic.svc.fed.bench").parse().unwrap())
        .collect();
    let clients: Vec<Client> = (0..100_000)
        .map(|n| {
            let net = IpNet::new(IpAddr::V4(address(n)), 24).unwrap().trunc();
            Client { address: Some(net.addr()), subnet: Some(net), draw: u64::from(n) }
        })
        .collect();
    for (names, pattern) in [(&names[..1], "one name"), (&names[..], "all names in turn")] {
        let start = Instant::now();
        for n in 0..LOOKUPS as usize {
            let name = &names[n % names.len()];
            let question =
                Question { name: name.as_wire(), rtype: RecordType::A, dnssec: DnssecOk::No };
            black_box(records::lookup(&snapshot.zones, &question, &clients[n % clients.len()]));
        }
        let each = start.elapsed().as_nanos() / u128::from(LOOKUPS);
        println!("look-up, {what:<14} {each} ns ({pattern})");
    }
}

/// From the failed check that decides to the snapshot that no longer answers the address.
fn failures(fleet: &mut Fleet) {
    let targets: Vec<_> = fleet.snapshot(now()).targets.iter().cloned().collect();
    let mut took = Vec::new();
    for target in targets.iter().step_by(targets.len() / 1_000).take(1_000) {
        for _ in 0..3 {
            let outcome = Outcome {
                target: target.clone(),
                took: Duration::from_millis(1),
                result: Err(Failure::Timeout("connecting")),
                expires: None,
            };
            let start = Instant::now();
            fleet.apply(now(), Event::Checked(outcome));
            black_box(fleet.snapshot(now()));
            took.push(start.elapsed());
        }
    }
    took.sort_unstable();
    let at = |part: usize| took[took.len() * part / 1_000];
    println!(
        "check → publication     p50 {:.2?}, p99 {:.2?}, most {:.2?} ({} outcomes)",
        at(500),
        at(990),
        took.last().unwrap(),
        took.len()
    );
}

// === The fleet ===

fn fleet(shapes: Option<&[Order]>) -> Fleet {
    let mut fleet = Fleet::new(now());
    fleet.apply(now(), Event::Configured(config(shapes)));
    for (index, (cluster, region, ..)) in (1_u8..).zip(CLUSTERS) {
        let node = Object::Node(NodeObject {
            name: "node".into(),
            region: Some(region.into()),
            zone: None,
            external: vec![],
            ready: true,
        });
        let (services, slices) = (0..SERVICES).map(|service| objects(index, service)).unzip();
        for (kind, objects) in [
            (Kind::Node, vec![node]),
            (Kind::Service, services),
            (Kind::EndpointSlice, slices),
            (Kind::Ingress, vec![]),
        ] {
            let event = ClusterEvent::Listed(kind, objects);
            fleet.apply(now(), Event::Cluster(ClusterName(cluster.into()), event));
        }
    }
    fleet
}

fn objects(cluster: u8, service: u32) -> (Object, Object) {
    let key = ServiceKey::new("default", format!("svc{service}"));
    let [_, _, high, low] = service.to_be_bytes();
    let ip = Ipv4Addr::new(20 + cluster, high, low, 1);
    let object = ServiceObject {
        key: key.clone(),
        load_balancer: true,
        ingress: vec![Address::Ip(ip.into())],
        port: Some(443),
        labels: vec![],
        created: 0,
        annotations: None,
    };
    let slice = SliceCounts {
        key: ServiceKey::new("default", format!("svc{service}-slice")),
        service: key,
        ready: 2,
        total: 2,
    };
    (Object::Service(object), Object::Slice(slice))
}

fn config(shapes: Option<&[Order]>) -> FleetConfig {
    let zone: Name = "fed.bench".parse().unwrap();
    let soa = SoaValues {
        mname: zone.clone(),
        rname: zone.clone(),
        refresh: 7_200,
        retry: 900,
        expire: 1_209_600,
        minimum: 30,
        ttl: Ttl::SERVED,
    };
    let base = records::generated(&zone, &soa, &[], Serial(1), Ttl::SERVED);
    let federation = Federation {
        served: true,
        name: FederationName("magic".into()),
        zone,
        ttl: Ttl::SERVED,
        min_ttl: Ttl::LEAST,
        clusters: None,
        services: ServiceSelector::All,
        targets: Default::default(),
        offline: Offline::Keep,
        all_down: Default::default(),
    };
    let members = CLUSTERS.map(|(cluster, ..)| (ClusterName(cluster.into()), Member::default()));
    FleetConfig {
        federations: vec![(Arc::new(federation), Arc::new(base))],
        members: members.into(),
        policies: shapes.map(policies).unwrap_or_default(),
        ..FleetConfig::default()
    }
}

fn policies(shapes: &[Order]) -> Vec<Arc<TrafficPolicy>> {
    let one = |service: u32| {
        let key = ServiceKey::new("default", format!("svc{service}"));
        let order = shapes[service as usize % shapes.len()].clone();
        let health = HealthCheck {
            protocol: Protocol::Tcp,
            port: None,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(3),
            fall: 3,
            rise: 2,
            expected: None,
        };
        Arc::new(TrafficPolicy {
            targets: vec![PolicyTarget::Service(key.clone())],
            key,
            // As a user would have it: each policy is an object of its own.
            steer: Arc::new(Steer {
                order,
                pick: Pick::Sticky,
                weights: Weights::Clusters,
                ..Steer::default()
            }),
            ttl: None,
            all_down: None,
            health: Some(health),
        })
    };
    (0..SERVICES).map(one).collect()
}

fn names(all: [&str; 3]) -> Vec<ClusterName> {
    all.map(|own| ClusterName(own.into())).to_vec()
}

fn classic() -> Order {
    geo([
        ("EU", ["azure", "aws", "gke"]),
        ("NA", ["aws", "azure", "gke"]),
        ("AS", ["gke", "aws", "azure"]),
    ])
}

fn reversed() -> Order {
    geo([
        ("EU", ["gke", "aws", "azure"]),
        ("NA", ["azure", "gke", "aws"]),
        ("AS", ["aws", "gke", "azure"]),
    ])
}

fn geo(rows: [(&str, [&str; 3]); 3]) -> Order {
    let row = |(continent, clusters): (&str, [&str; 3])| GeoRow {
        places: Places { continents: vec![continent.into()], ..Places::default() },
        clusters: names(clusters),
    };
    let default = names(["aws", "azure", "gke"]);
    Order::Geo(GeoTable { rows: rows.into_iter().map(row).collect(), default })
}

fn near() -> Order {
    Order::Proximity(Proximity { default: names(["aws", "azure", "gke"]), ..Proximity::default() })
}

fn failover() -> Order {
    Order::Failover(names(["aws", "azure", "gke"]))
}

/// Addresses all over the world, the same in every run.
fn address(n: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(n.wrapping_mul(0x9e37_79b9))
}

/// In kilobytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
