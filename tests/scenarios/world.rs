//! A small world: clusters whose objects are set by hand, a clock that is turned by hand.

use jiff::Timestamp;
use meridian::{
    fleet::{Event, Fleet, FleetConfig, Snapshot},
    model::{
        Address, AllDown, Annotations, ClusterEvent, ClusterName, Federation, FederationName,
        IngressObject, IngressRule, Kind, KindState, Member, Moment, Name, NodeObject, Object,
        ObjectKey, Offline, ServiceKey, ServiceObject, ServiceSelector, SliceCounts, Ttl,
    },
    policy::{PolicyTarget, TrafficPolicy},
    records::{Node, RecordType, Rrset, Zone},
};
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::{Duration, Instant},
};

/// Everything that a story needs.
pub(crate) struct World {
    pub(crate) fleet: Fleet,
    pub(crate) now: Moment,
    pub(crate) config: FleetConfig,
}

impl World {
    /// Federation `fed` in `zone`, TTL 180 as federation v1 had it, no clusters yet.
    pub(crate) fn new(fed: &str, zone: &str) -> Self {
        let federation = Federation {
            served: true,
            name: FederationName(fed.into()),
            zone: name(zone),
            ttl: Ttl::WRITTEN,
            min_ttl: Ttl::LEAST,
            clusters: None,
            services: ServiceSelector::All,
            targets: Default::default(),
            offline: Offline::Keep,
            all_down: AllDown::LastKnown,
        };
        let wall: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let now = Moment { mono: start(), wall };
        let federations = vec![(Arc::new(federation), Arc::new(base(zone, &[])))];
        let config = FleetConfig { federations, ..FleetConfig::default() };
        Self { fleet: Fleet::new(now), now, config }
    }

    /// Changes the federation.
    pub(crate) fn federation(&mut self, change: impl FnOnce(&mut Federation)) {
        let mut federation = Federation::clone(&self.config.federations[0].0);
        change(&mut federation);
        self.config.federations[0].0 = Arc::new(federation);
        self.configure();
    }

    /// Adds static records to the zone.
    pub(crate) fn static_records(&mut self, records: &[(&str, Rrset)]) {
        let zone = self.config.federations[0].0.zone.without_dot();
        self.config.federations[0].1 = Arc::new(base(&zone, records));
        self.configure();
    }

    /// A TrafficPolicy for one service, of the service's own name.
    pub(crate) fn policy(&mut self, service: &str, change: impl FnOnce(&mut TrafficPolicy)) {
        let mut policy = TrafficPolicy {
            key: key(service),
            targets: vec![PolicyTarget::Service(key(service))],
            steer: Arc::default(),
            ttl: None,
            all_down: None,
            health: None,
        };
        change(&mut policy);
        self.config.policies.retain(|own| own.key != policy.key);
        self.config.policies.push(Arc::new(policy));
        self.configure();
    }

    /// A member cluster with one node per `region/zone`, everything listed and empty.
    pub(crate) fn join(&mut self, cluster: &str, places: &[&str]) {
        self.config.members.insert(cluster.into(), Member::default());
        self.configure();
        let node = |(at, place): (usize, &&str)| {
            let (region, zone) =
                place.split_once('/').map_or((*place, None), |(r, z)| (r, Some(z)));
            Object::Node(NodeObject {
                name: format!("node-{at}").into(),
                region: Some(region.into()).filter(|region: &Arc<str>| !region.is_empty()),
                zone: zone.map(Into::into),
                external: vec![],
                ready: true,
            })
        };
        let nodes = places.iter().enumerate().map(node).collect();
        self.tell(cluster, ClusterEvent::Listed(Kind::Node, nodes));
        for kind in [Kind::Service, Kind::EndpointSlice, Kind::Ingress] {
            self.tell(cluster, ClusterEvent::Listed(kind, vec![]));
        }
    }

    /// The operator takes the cluster out.
    pub(crate) fn unjoin(&mut self, cluster: &str) {
        self.config.members.remove(cluster);
        self.configure();
    }

    /// Changes what the operator says of a cluster.
    pub(crate) fn member(&mut self, cluster: &str, change: impl FnOnce(&mut Member)) {
        change(self.config.members.get_mut(cluster).unwrap());
        self.configure();
    }

    /// A Service of type LoadBalancer with these addresses.
    pub(crate) fn service(&mut self, cluster: &str, service: &str, addresses: &[&str]) {
        self.annotated(cluster, service, addresses, None);
    }

    /// The same, with annotations.
    pub(crate) fn annotated(
        &mut self,
        cluster: &str,
        service: &str,
        addresses: &[&str],
        annotations: Option<Annotations>,
    ) {
        let object = Object::Service(ServiceObject {
            key: key(service),
            load_balancer: true,
            ingress: addresses.iter().map(|text| address(text)).collect(),
            port: None,
            labels: vec![],
            created: 0,
            annotations: annotations.map(Box::new),
        });
        self.tell(cluster, ClusterEvent::Applied(object));
    }

    /// So many of the Service's endpoints are ready (of at least one).
    pub(crate) fn ready(&mut self, cluster: &str, service: &str, ready: u32) {
        let key = key(service);
        let slice = SliceCounts {
            key: ServiceKey::new(key.namespace.clone(), format!("{}-slice", key.name)),
            service: key,
            ready,
            total: ready.max(1),
        };
        self.tell(cluster, ClusterEvent::Applied(Object::Slice(slice)));
    }

    /// A Service with these addresses and one ready endpoint.
    pub(crate) fn serve(&mut self, cluster: &str, service: &str, addresses: &[&str]) {
        self.service(cluster, service, addresses);
        self.ready(cluster, service, 1);
    }

    /// The Service was seen deleted.
    pub(crate) fn delete(&mut self, cluster: &str, service: &str) {
        let key = ObjectKey { kind: Kind::Service, key: key(service) };
        self.tell(cluster, ClusterEvent::Deleted(key));
    }

    /// An Ingress for one host with one backend Service of its namespace.
    pub(crate) fn ingress(
        &mut self,
        cluster: &str,
        ingress: &str,
        host: &str,
        backend: &str,
        addresses: &[&str],
    ) {
        let rule = IngressRule { host: Some(name(host)), backends: vec![backend.into()] };
        let object = IngressObject {
            key: key(ingress),
            rules: vec![rule],
            ingress: addresses.iter().map(|text| address(text)).collect(),
            tls: false,
            created: 0,
            annotations: None,
        };
        self.tell(cluster, ClusterEvent::Applied(Object::Ingress(object)));
    }

    /// The cluster's API stops answering and its watches fall silent, for that long.
    pub(crate) fn silence(&mut self, cluster: &str, lasting: Duration) {
        let others: Vec<ClusterName> = self.config.members.keys().cloned().collect();
        for _ in 0..lasting.as_secs() {
            self.now = self.now.after(Duration::from_secs(1));
            for other in others.iter().filter(|name| *name.0 != *cluster) {
                self.alive(&other.0.clone());
            }
            self.tell(cluster, ClusterEvent::Probed(false));
            self.fleet.tick(self.now);
        }
    }

    /// Time passes while all clusters are well.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
        let names: Vec<ClusterName> = self.config.members.keys().cloned().collect();
        names.iter().for_each(|name| self.alive(&name.0));
        self.fleet.tick(self.now);
    }

    fn alive(&mut self, cluster: &str) {
        Kind::ALL.iter().for_each(|kind| self.tell(cluster, ClusterEvent::Contact(*kind)));
        self.tell(cluster, ClusterEvent::Probed(true));
    }

    pub(crate) fn tell(&mut self, cluster: &str, event: ClusterEvent) {
        self.fleet.apply(self.now, Event::Cluster(cluster.into(), event));
    }

    pub(crate) fn watch_is(&mut self, cluster: &str, kind: Kind, state: KindState) {
        self.tell(cluster, ClusterEvent::Kind(kind, state));
    }

    /// A host name's lookup came back.
    pub(crate) fn resolves(&mut self, host: &str, addresses: &[&str]) {
        let ips = addresses.iter().map(|ip| ip.parse().unwrap()).collect();
        self.fleet.apply(self.now, Event::Resolved(name(host), Ok(ips)));
    }

    /// A host name's lookup failed.
    pub(crate) fn does_not_resolve(&mut self, host: &str) {
        let failed = Err("SERVFAIL".to_owned());
        self.fleet.apply(self.now, Event::Resolved(name(host), failed));
    }

    pub(crate) fn configure(&mut self) {
        self.fleet.apply(self.now, Event::Configured(self.config.clone()));
    }

    pub(crate) fn snapshot(&mut self) -> Arc<Snapshot> {
        self.fleet.snapshot(self.now)
    }

    pub(crate) fn zone(&mut self) -> Arc<Zone> {
        let apex = self.config.federations[0].0.zone.clone();
        self.snapshot().zones.get(&apex).unwrap().clone()
    }

    /// What stands at a name below the zone, as `A 192.0.2.1, 192.0.2.2`; `-` for nothing.
    pub(crate) fn at(&mut self, below: &str) -> String {
        let zone = self.zone();
        let apex = zone.apex().without_dot();
        let full = name(&format!("{below}.{apex}"));
        zone.node(full.key().as_bytes()).map_or_else(|| "-".to_owned(), show)
    }

    /// All records but SOA and NS, as in a master file, in canonical order.
    pub(crate) fn records(&mut self) -> Vec<String> {
        let zone = self.zone();
        let mut lines = Vec::new();
        for (key, node) in zone.nodes() {
            for rrset in
                node.iter().filter(|r| ![RecordType::SOA, RecordType::NS].contains(&r.rtype))
            {
                for data in texts(rrset) {
                    lines.push(format!(
                        "{} {} {} {data}",
                        key.to_name(),
                        rrset.ttl,
                        type_text(rrset)
                    ));
                }
            }
        }
        lines
    }
}

/// A node in one line, types in order of number.
pub(crate) fn show(node: &Node) -> String {
    let line = |rrset: &Rrset| format!("{} {}", type_text(rrset), texts(rrset).join(", "));
    node.iter().map(line).collect::<Vec<_>>().join("; ")
}

fn texts(rrset: &Rrset) -> Vec<String> {
    let one = |data: &[u8]| match rrset.rtype {
        RecordType::A => Ipv4Addr::from(<[u8; 4]>::try_from(data).unwrap()).to_string(),
        RecordType::AAAA => Ipv6Addr::from(<[u8; 16]>::try_from(data).unwrap()).to_string(),
        RecordType::CNAME => Name::from_wire(data).unwrap().to_string(),
        _ => "…".to_owned(),
    };
    rrset.rdata().map(one).collect()
}

fn type_text(rrset: &Rrset) -> &'static str {
    match rrset.rtype {
        RecordType::A => "A",
        RecordType::AAAA => "AAAA",
        RecordType::CNAME => "CNAME",
        _ => "OTHER",
    }
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn key(text: &str) -> ServiceKey {
    text.parse().unwrap()
}

pub(crate) fn address(text: &str) -> Address {
    text.parse().map_or_else(|_| Address::Host(name(text)), Address::Ip)
}

fn base(zone: &str, records: &[(&str, Rrset)]) -> Zone {
    let apex = name(zone);
    let mut soa = apex.prepend(b"ns1").unwrap().as_wire().to_vec();
    soa.extend_from_slice(apex.prepend(b"hostmaster").unwrap().as_wire());
    [1_u32, 7200, 900, 1_209_600, 30].iter().for_each(|n| soa.extend_from_slice(&n.to_be_bytes()));
    let top = Node::new(Rrset::new(RecordType::SOA, Ttl::WRITTEN, [soa]));
    let mut nodes: BTreeMap<_, _> = [(apex.key(), top)].into();
    for (owner, rrset) in records {
        nodes.entry(name(owner).key()).or_default().put(rrset.clone());
    }
    Zone::new(apex, nodes)
}

#[allow(clippy::disallowed_methods)] // the one reading that all moments of a story count from
fn start() -> Instant {
    Instant::now()
}
