//! Figures for the spine: 100 clusters × 1,000 services, compiled cold and changed one at a time.
//!
//! `cargo bench --bench spine`. CPU time is this process's own, so a busy machine does not count.

#![allow(missing_docs)] // a bench has no public side
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a bench may panic and read the clock

use meridian::{
    controller::{Published, now},
    fleet::{Event, Fleet, FleetConfig},
    model::{
        Address, ClusterEvent, ClusterName, Federation, FederationName, Kind, Member, Name,
        NodeObject, Object, Offline, Serial, ServiceKey, ServiceObject, ServiceSelector,
        SliceCounts, SoaValues, Ttl,
    },
    records::{self, Client, Question, RecordType},
    server::{self, Listen, Stats},
};
use std::{
    fs,
    hint::black_box,
    net::{Ipv4Addr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const CLUSTERS: u32 = 100;
const SERVICES: u32 = 1_000;

fn main() {
    // `cargo test` runs benches too, with an argument that says so: there is nothing to test.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    println!("{CLUSTERS} clusters × {SERVICES} services, one zone a cluster, five a region");
    let (mut fleet, names) = cold();
    one_change(&mut fleet);
    lookups(&mut fleet);
    under_load(fleet, names);
}

fn cold() -> (Fleet, usize) {
    let before = resident();
    let mut fleet = Fleet::new(now());
    fleet.apply(now(), Event::Configured(config()));
    for cluster in 0..CLUSTERS {
        let (services, slices) = (0..SERVICES).map(|service| objects(cluster, service, 0)).unzip();
        for (kind, objects) in [
            (Kind::Node, vec![node(cluster)]),
            (Kind::Service, services),
            (Kind::EndpointSlice, slices),
            (Kind::Ingress, vec![]),
        ] {
            tell(&mut fleet, cluster, ClusterEvent::Listed(kind, objects));
        }
    }
    let (start, cpu) = (Instant::now(), cpu());
    let snapshot = fleet.snapshot(now());
    let names = snapshot.zones.iter().map(|zone| zone.len()).sum();
    let (wall, cpu) = (start.elapsed(), self::cpu() - cpu);
    println!("cold compile            {names} names in {wall:.2?} (CPU {cpu:.2?})");
    println!("resident memory         {} MB for fleet and snapshot", (resident() - before) / 1_000);
    (fleet, names)
}

fn one_change(fleet: &mut Fleet) {
    const CHANGES: u32 = 1_000;
    let (start, cpu) = (Instant::now(), cpu());
    let mut slowest = Duration::ZERO;
    for change in 0..CHANGES {
        let each = Instant::now();
        let (service, _) = objects(change % CLUSTERS, change % SERVICES, 1 + change % 200);
        tell(fleet, change % CLUSTERS, ClusterEvent::Applied(service));
        black_box(fleet.snapshot(now()));
        slowest = slowest.max(each.elapsed());
    }
    let (wall, cpu) = (start.elapsed() / CHANGES, (self::cpu() - cpu) / CHANGES);
    println!("publication, one change {wall:.2?} (CPU {cpu:.2?}), slowest {slowest:.2?}");
}

fn lookups(fleet: &mut Fleet) {
    const LOOKUPS: u32 = 1_000_000;
    let snapshot = fleet.snapshot(now());
    for (what, pattern) in [
        ("zone name, A", "svc{}.default.magic.svc.z7.r1.fed.bench"),
        ("global name, A", "svc{}.default.magic.svc.fed.bench"),
        ("no such name", "nope{}.default.magic.svc.fed.bench"),
    ] {
        let names: Vec<Name> =
            (0..SERVICES).map(|n| pattern.replace("{}", &n.to_string()).parse().unwrap()).collect();
        let start = Instant::now();
        for n in 0..LOOKUPS {
            let name = &names[(n % SERVICES) as usize];
            let question = Question { name: name.as_wire(), rtype: RecordType::A };
            black_box(records::lookup(&snapshot.zones, &question, &Client::NEUTRAL));
        }
        let each = start.elapsed().as_nanos() / u128::from(LOOKUPS);
        println!("lookup                  {each} ns ({what})");
    }
}

/// 1,000 publications while queries come in one after another: each must be answered.
fn under_load(mut fleet: Fleet, _names: usize) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.unwrap();
    let published = Arc::new(Published::new(now()));
    published.store(fleet.snapshot(now()));
    let listen = Listen::at(vec!["127.0.0.1:0".parse().unwrap()]);
    let bound = server::bind(&listen).unwrap();
    let address = bound.local_addrs()[0];
    let shutdown = CancellationToken::new();
    let guard = runtime.enter();
    let stats = Arc::new(Stats::default());
    server::serve(bound, &published, &stats, &TaskTracker::new(), &shutdown).unwrap();
    drop(guard);

    let (done, asked, lost) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| ask_until(address, &done, &asked, &lost));
        for change in 0..1_000 {
            let (service, _) = objects(change % CLUSTERS, change % SERVICES, 201 + change % 50);
            tell(&mut fleet, change % CLUSTERS, ClusterEvent::Applied(service));
            published.store(fleet.snapshot(now()));
        }
        done.store(true, Relaxed);
    });
    shutdown.cancel();
    println!(
        "1,000 publications      {} queries asked meanwhile, {} lost",
        asked.load(Relaxed),
        lost.load(Relaxed)
    );
}

fn ask_until(
    address: std::net::SocketAddr,
    done: &AtomicBool,
    asked: &AtomicU64,
    lost: &AtomicU64,
) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let name: Name = "svc7.default.magic.svc.fed.bench".parse().unwrap();
    let mut packet = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    packet.extend_from_slice(name.as_wire());
    packet.extend_from_slice(&[0, 1, 0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    let mut answer = [0; 2_000];
    while !done.load(Relaxed) {
        socket.send(&packet).unwrap();
        asked.fetch_add(1, Relaxed);
        let answered = socket.recv(&mut answer).is_ok_and(|length| {
            // NOERROR, or cut short because a hundred addresses do not fit.
            length > 12 && answer[3] & 0x0f == 0
        });
        lost.fetch_add(u64::from(!answered), Relaxed);
    }
}

// === The fleet ===

fn tell(fleet: &mut Fleet, cluster: u32, event: ClusterEvent) {
    fleet.apply(now(), Event::Cluster(name(cluster), event));
}

fn name(cluster: u32) -> ClusterName {
    ClusterName(format!("c{cluster}").into())
}

fn config() -> FleetConfig {
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
    FleetConfig {
        federations: vec![(Arc::new(federation), Arc::new(base))],
        members: (0..CLUSTERS).map(|cluster| (name(cluster), Member::default())).collect(),
        ..FleetConfig::default()
    }
}

fn node(cluster: u32) -> Object {
    Object::Node(NodeObject {
        name: "node".into(),
        region: Some(format!("r{}", cluster / 5).into()),
        zone: Some(format!("z{cluster}").into()),
        external: vec![],
        ready: true,
    })
}

fn objects(cluster: u32, service: u32, version: u32) -> (Object, Object) {
    let key = ServiceKey::new("default", format!("svc{service}"));
    let ip =
        Ipv4Addr::from_bits(0x0a00_0000 | version << 20 & 0x00f0_0000 | cluster << 10 | service);
    let object = Object::Service(ServiceObject {
        key: key.clone(),
        load_balancer: true,
        ingress: vec![Address::Ip(Ipv4Addr::from_bits(ip.to_bits() + (version << 24)).into())],
        port: None,
        labels: vec![],
        created: 0,
        annotations: None,
    });
    let slice = Object::Slice(SliceCounts {
        key: ServiceKey::new("default", format!("svc{service}-x1")),
        service: key,
        ready: 3,
        total: 3,
    });
    (object, slice)
}

// === This process ===

/// User and system time so far (proc(5), fields 14 and 15, in hundredths of a second), refined by
/// the scheduler's own count in nanoseconds where there is one.
fn cpu() -> Duration {
    let text = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or_default();
    Duration::from_nanos(nanos)
}

/// Resident memory in kB (proc(5), VmRSS).
fn resident() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or_default()
}
