//! The zones that are asked: one with one of everything, one signed with a chain of names, one that
//! denies compactly, and a federation whose names are steered.

use meridian::{
    dnssec::{Algorithm, Key, Keys, OnlineSigner, Role, Signing, Validity},
    fleet::{Event, Fleet, FleetConfig},
    model::{
        Address, Client, ClusterEvent, ClusterName, Federation, FederationName, Kind, Member,
        Moment, Name, NodeObject, Object, Offline, Serial, ServiceKey, ServiceObject,
        ServiceSelector, SliceCounts, SoaValues, Ttl,
    },
    policy::{
        Fence, GeoRow, GeoTable, Order, Pick, Places, PolicyTarget, Proximity, Steer, TrafficPolicy,
    },
    records::{self, Answer, Denial, Question, Zone, ZoneSet},
    server::{Answers, Arrival, Compiled, Compiler, Messages, Transfers},
    transfer::{self, Allow, Rules, ZoneRules},
};
use ring::rand::SystemRandom;
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, OnceLock, atomic::AtomicUsize},
    time::Instant,
};

/// Seconds since 1970, while the zones are signed.
pub const NOW: u32 = 1_800_000_000;
const CLUSTERS: [(&str, &str); 3] =
    [("aws", "us-west-2"), ("azure", "westeurope"), ("gke", "asia-east1")];

/// One of everything; every record that the lookup treats in its own way.
pub const LINES: &str = "\
    $TTL 60\n@ SOA ns1 host 7 7200 600 1209600 300\n@ NS ns1\n@ NS ns.example.net.\n@ MX 10 mail\n\
    @ CAA 0 issue \"ca.test\"\n@ HTTPS 1 . alpn=h2\nns1 A 192.0.2.53\nns1 AAAA 2001:db8::53\n\
    mail A 192.0.2.25\na A 192.0.2.1\na A 192.0.2.2\na AAAA 2001:db8::1\ndeep.ent TXT deep\n\
    alias CNAME a\nalias2 CNAME alias\ngone CNAME nothing\nout CNAME www.example.net.\n\
    loop1 CNAME loop2\nloop2 CNAME loop1\n*.wild A 192.0.2.9\n*.wild MX 10 a\nx.wild TXT closer\n\
    *.walias CNAME a\nb.*.went A 192.0.2.10\nsub NS ns.sub\nns.sub A 192.0.2.3\n\
    safe NS ns.safe\nsafe DS 60485 13 2 \
    d4b7d520e7bb5f0f67674a0cceb1e3e0614b93c4f9e99b8383f6a1e4469da50a\nns.safe A 192.0.2.4\n\
    moved DNAME wild\nround DNAME round2\nround2 DNAME round\nsvc SVCB 0 a\n_x._tcp SRV 1 2 3 a\n\
    odd TYPE65280 \\# 3 010203\nn NAPTR 1 1 S x !a!b! a\nl LOC 1 N 1 E 0m\n";

/// What is asked.
pub struct World {
    /// The zones.
    pub zones: ZoneSet,
    compiled: Arc<Compiled>,
    transfers: Transfers,
    online: Arc<OnlineSigner>,
    /// Those who share a key with the server.
    pub rules: Arc<Rules>,
}

/// The world as the server sees it.
pub struct Side {
    /// With answers put together ahead, or without.
    pub fast: bool,
    /// With those who give zones away, or without.
    pub gives: bool,
}

impl Answers for Side {
    fn answer<R>(
        &self,
        question: &Question<'_>,
        client: &Client,
        encode: impl FnOnce(&Answer<'_>) -> R,
    ) -> R {
        world().zones.answer(question, client, encode)
    }

    fn transfer(&self, packet: &[u8], arrival: &Arrival<'_>) -> Option<Box<dyn Messages>> {
        world().transfers.open(packet, arrival).filter(|_| self.gives)
    }

    fn transfers(&self) -> Option<&Transfers> {
        Some(&world().transfers).filter(|_| self.gives)
    }

    fn compiled(&self) -> Arc<Compiled> {
        if self.fast { world().compiled.clone() } else { Arc::default() }
    }
}

/// The one there is.
pub fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(World::new)
}

impl World {
    fn new() -> Self {
        let mut zones = ZoneSet::default();
        let mut big: String = LINES.into();
        (0..80).for_each(|n| big.push_str(&format!("big A 198.51.100.{n}\n")));
        (0..20).for_each(|n| big.push_str(&format!("mx MX {n} mail{n}.far.example.net.\n")));
        zones.put(Arc::new(zone("z.test", &big)));
        zones.put(Arc::new(zone("sub.a.z.test", "@ 60 SOA a b 1 2 3 4 5\n@ 60 NS ns.other.\n")));
        zones.put(Arc::new(sign(&zone("signed.test", LINES), Denial::Chain)));
        let apex = name("compact.test");
        let validity = Validity { inception: 0, expiration: i64::from(NOW) + 86_400 };
        let online = Arc::new(OnlineSigner::new(apex, vec![key()], validity));
        let compact = zone("compact.test", LINES);
        zones.put(Arc::new(sign(&compact, Denial::Compact(online.clone()))));
        for steered in fleet().snapshot(moment()).served.iter() {
            zones.put(steered.clone());
        }
        let compiled = Arc::new(Compiler::default().update(&zones));
        let (transfers, rules) = (Transfers::new(4, None, Arc::default()), Arc::new(rules()));
        transfers.publish(&zones);
        transfers.rule(rules.clone());
        let next = zone("z.test", &big.replace("@ SOA ns1 host 7", "@ SOA ns1 host 6"));
        let mut before = zones.clone();
        before.put(Arc::new(next));
        transfers.publish(&before);
        transfers.publish(&zones);
        Self { zones, compiled, transfers, online, rules }
    }

    /// A second has passed for whoever signs when asked.
    pub fn refill(&self) {
        self.online.refill();
    }
}

/// A name that is well known to be one.
pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A zone of these lines.
pub fn zone(apex: &str, lines: &str) -> Zone {
    let parsed = records::parse_master(&name(apex), "world", lines, &mut records::no_includes);
    parsed.unwrap_or_else(|faults| panic!("{faults}")).zone
}

/// Now, as far as anything here can tell.
pub fn moment() -> Moment {
    static START: OnceLock<Instant> = OnceLock::new();
    let mono = *START.get_or_init(Instant::now);
    Moment { mono, wall: jiff::Timestamp::from_second(i64::from(NOW)).unwrap() }
}

// === Keys ===

/// A key whose signatures are the same in every run.
fn key() -> Arc<Key> {
    use data_encoding::BASE64;
    let (secret, public) = (
        BASE64.decode(b"ODIyNjAzODQ2MjgwODAxMjI2NDUxOTAyMDQxNDIyNjI=").unwrap(),
        BASE64.decode(b"l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=").unwrap(),
    );
    let flags = Role::Csk.flags();
    let key = Key::new(Algorithm::Ed25519, flags, &secret, &public, &SystemRandom::new());
    Arc::new(key.unwrap())
}

fn sign(zone: &Zone, denial: Denial) -> Zone {
    let all = || vec![key()];
    let keys = Keys { published: all(), sign_keys: all(), sign_zone: all(), wished: all() };
    let (key_ttl, now) = (Ttl::from_secs(3_600), i64::from(NOW));
    let signing = Signing { keys, key_ttl, lifetime: 14 * 86_400, denial, now, threads: 1 };
    let (random, progress) = (SystemRandom::new(), AtomicUsize::new(0));
    signing.sign(zone, zone.serial(), None, [], &random, &progress).unwrap()
}

/// The keys that servers share with ours.
pub fn shared_keys() -> [transfer::Key; 3] {
    [
        ("k.test", transfer::Algorithm::Sha256, [7; 32]),
        ("long.key.test", transfer::Algorithm::Sha512, [8; 32]),
        ("other.test", transfer::Algorithm::Sha384, [9; 32]),
    ]
    .map(|(own, algorithm, secret)| transfer::Key::new(name(own), algorithm, &secret))
}

fn rules() -> Rules {
    let mut rules = Rules::default();
    for key in shared_keys() {
        rules.keys.put(key);
    }
    let near = Allow { key: None, networks: vec!["192.0.2.0/24".parse().unwrap()], tls: false };
    let known = Allow { key: Some(name("k.test")), networks: Vec::new(), tls: false };
    for zone in ["z.test", "signed.test"] {
        let own = ZoneRules { allow: vec![near.clone(), known.clone()], ..ZoneRules::default() };
        rules.zones.insert(name(zone).key(), own);
    }
    rules
}

// === The federation ===

/// A federation of three clusters and six services, each steered in another way.
pub fn fleet() -> Fleet {
    let mut fleet = Fleet::new(moment());
    fleet.apply(moment(), Event::Configured(config()));
    for (index, (cluster, region)) in (1_u8..).zip(CLUSTERS) {
        let node = Object::Node(NodeObject {
            name: "node".into(),
            region: Some(region.into()),
            zone: None,
            external: vec![],
            ready: true,
        });
        let (services, slices) = (0..6).map(|service| objects(index, service)).unzip();
        for (kind, objects) in [
            (Kind::Node, vec![node]),
            (Kind::Service, services),
            (Kind::EndpointSlice, slices),
            (Kind::Ingress, vec![]),
        ] {
            let event = ClusterEvent::Listed(kind, objects);
            fleet.apply(moment(), Event::Cluster(ClusterName(cluster.into()), event));
        }
    }
    fleet
}

fn objects(cluster: u8, service: u8) -> (Object, Object) {
    let key = ServiceKey::new("default", format!("svc{service}"));
    let ip = Ipv4Addr::new(20 + cluster, 0, service, 1);
    let second: IpAddr = format!("2001:db8:{cluster}::{service}").parse().unwrap();
    let object = ServiceObject {
        key: key.clone(),
        load_balancer: true,
        ingress: vec![Address::Ip(ip.into()), Address::Ip(second)],
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

/// What the federation is configured to be.
pub fn config() -> FleetConfig {
    let zone = name("fed.test");
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
    let members = CLUSTERS.map(|(cluster, _)| (ClusterName(cluster.into()), Member::default()));
    FleetConfig {
        federations: vec![(Arc::new(federation), Arc::new(base))],
        members: members.into(),
        policies: steers().into_iter().zip(0..).map(policy).collect(),
        ..FleetConfig::default()
    }
}

fn policy((steer, service): (Steer, u8)) -> Arc<TrafficPolicy> {
    let key = ServiceKey::new("default", format!("svc{service}"));
    Arc::new(TrafficPolicy {
        targets: vec![PolicyTarget::Service(key.clone())],
        key,
        steer: Arc::new(steer),
        ttl: None,
        all_down: None,
        health: None,
    })
}

/// Of the six services the last is not steered.
fn steers() -> [Steer; 5] {
    let all = || CLUSTERS.map(|(own, _)| ClusterName(own.into())).to_vec();
    let places =
        |continent: &str| Places { continents: vec![continent.into()], ..Places::default() };
    let row = |(continent, at): (&str, usize)| GeoRow {
        places: places(continent),
        clusters: vec![all()[at].clone()],
    };
    let rows = [("EU", 1), ("NA", 0), ("AS", 2)].map(row).into();
    let geo = Order::Geo(GeoTable { rows, default: all() });
    let near = Order::Proximity(Proximity { default: all(), ..Proximity::default() });
    let fence = Fence {
        allow: all().into_iter().map(|own| (own, places("EU"))).collect(),
        ..Fence::default()
    };
    [
        Steer { order: geo, pick: Pick::Sticky, ..Steer::default() },
        Steer { order: near, pick: Pick::Random, ..Steer::default() },
        Steer { order: Order::Failover(all()), pick: Pick::All, ..Steer::default() },
        Steer { pick: Pick::Random, ..Steer::default() },
        Steer { fence, pick: Pick::Sticky, ..Steer::default() },
    ]
}
