//! One member cluster as its watches told it: what is there, what is held, and how fresh that is.

mod disk;
mod freshness;
mod shown;

pub use disk::SavedCluster;

use crate::{
    geo, health,
    model::{
        Address, ClusterEvent, ClusterName, Freshness, IngressObject, Kind, KindState, Locality,
        Location, Member, Moment, NodeObject, Object, ObjectKey, ServiceKey, ServiceObject,
        SliceCounts,
    },
};
use imbl::{HashMap, OrdMap};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, collections::BTreeSet, sync::Arc, time::Duration};

/// How long the last addresses of an object stand after its load-balancer status went empty
/// while the object is still there: ingress controllers clear it when they restart
/// (`reference/federation-records.md` §5 no. 2), and are back within minutes.
pub const STATUS_HOLD: Duration = Duration::from_secs(300);

/// How long a topology zone keeps its names after its last node went: an autoscaler may have
/// emptied it, and clients there still ask.
pub const LOCALITY_HOLD: Duration = Duration::from_secs(24 * 3600);

/// What changed, for whoever compiles names from it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::fleet) enum Touched {
    /// A Service or its readiness.
    Service(ServiceKey),
    /// An Ingress, its backends' readiness or the nodes it stands for.
    Ingress(ServiceKey),
    /// Where the cluster is.
    Localities,
    /// Whether it is offline, drained or settled: all it offers.
    Everything,
}

/// The state of one member cluster. Its maps share structure, so a copy for the disk is cheap.
#[derive(Clone, Debug)]
pub(in crate::fleet) struct Cluster {
    pub(in crate::fleet) name: ClusterName,
    pub(in crate::fleet) member: Member,
    /// An operator's word on it, beside its configuration.
    pub(in crate::fleet) forced: Option<health::Override>,
    /// In place of every weight, in a supposition.
    pub(in crate::fleet) supposed_weight: Option<u32>,
    joined: Timestamp,
    pub(in crate::fleet) services: OrdMap<ServiceKey, Arc<ServiceObject>>,
    /// How many of them are federated: it is shown every second.
    federated: usize,
    slices: HashMap<ServiceKey, SliceCounts>,
    /// Ready and all endpoints per Service, summed over its slices.
    readiness: HashMap<ServiceKey, (u32, u32)>,
    pub(in crate::fleet) ingresses: OrdMap<ServiceKey, Arc<IngressObject>>,
    /// Which Ingresses have a Service among their backends.
    behind: HashMap<ServiceKey, BTreeSet<ServiceKey>>,
    nodes: OrdMap<Arc<str>, NodeObject>,
    /// Where it is: as configured, else as its region is known.
    pub(in crate::fleet) place: Location,
    /// Regions and topology zones, each with the time since when no node is there.
    localities: BTreeMap<Locality, Option<Timestamp>>,
    /// Last addresses of objects whose load-balancer status went empty, and since when.
    held: OrdMap<ObjectKey, Held>,
    kinds: BTreeMap<Kind, Watch>,
    failed_probes: u32,
    freshness: Freshness,
    /// Since when it is not fresh, once it has been settled.
    stale_since: Option<Moment>,
    refused: Option<String>,
    problems: Vec<String>,
    /// Whether it was settled before this process began, as its state on disk says.
    restored: bool,
}

#[derive(Clone, Debug, Default)]
struct Watch {
    state: KindState,
    contact: Option<Moment>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Held {
    addresses: Vec<Address>,
    since: Timestamp,
}

impl Cluster {
    pub(in crate::fleet) fn new(name: ClusterName, member: Member, at: Moment) -> Self {
        let mut cluster = Self {
            name,
            member,
            forced: None,
            supposed_weight: None,
            joined: at.wall,
            services: OrdMap::new(),
            federated: 0,
            slices: HashMap::new(),
            readiness: HashMap::new(),
            ingresses: OrdMap::new(),
            behind: HashMap::new(),
            nodes: OrdMap::new(),
            place: Location::default(),
            localities: BTreeMap::new(),
            held: OrdMap::new(),
            kinds: Kind::ALL.map(|kind| (kind, Watch::default())).into(),
            failed_probes: 0,
            freshness: Freshness::Unreachable,
            stale_since: None,
            refused: None,
            problems: Vec::new(),
            restored: false,
        };
        cluster.locate(at);
        cluster
    }

    /// Takes over what the operator says of it now.
    pub(in crate::fleet) fn configure(&mut self, member: Member, at: Moment) -> Vec<Touched> {
        if self.member == member {
            return Vec::new();
        }
        self.member = member;
        let mut touched = vec![Touched::Everything];
        touched.extend(self.locate(at));
        touched
    }

    /// Folds in one piece of news; says what it touched.
    pub(in crate::fleet) fn apply(&mut self, at: Moment, event: ClusterEvent) -> Vec<Touched> {
        match event {
            ClusterEvent::Applied(object) => {
                self.heard(object.key().kind, at);
                self.put(at, object)
            }
            ClusterEvent::Deleted(key) => {
                self.heard(key.kind, at);
                self.remove(at, &key)
            }
            ClusterEvent::Listed(kind, objects) => self.list(at, kind, objects),
            ClusterEvent::Contact(kind) => {
                self.heard(kind, at);
                Vec::new()
            }
            ClusterEvent::Kind(kind, state) => self.watch_is(kind, state, at),
            ClusterEvent::Probed(answered) => {
                self.failed_probes = if answered { 0 } else { self.failed_probes + 1 };
                Vec::new()
            }
            ClusterEvent::Refused(reason) => {
                self.refused = Some(reason);
                Vec::new()
            }
            ClusterEvent::Problems(problems) => {
                self.problems = problems;
                Vec::new()
            }
        }
    }

    /// What the passing of time alone changed.
    pub(in crate::fleet) fn tick(&mut self, at: Moment) -> Vec<Touched> {
        let mut touched = self.expire_held(at);
        if self.localities.values().flatten().any(|since| expired(*since, LOCALITY_HOLD, at)) {
            touched.extend(self.locate(at));
        }
        self.refresh(at);
        if self.member.drain.as_ref().is_some_and(|drain| !drain.holds(at)) {
            self.member.drain = None;
            touched.push(Touched::Everything);
        }
        touched
    }

    /// Whether all kinds have been listed (or cannot be), now or before a restart.
    pub(in crate::fleet) fn is_settled(&self) -> bool {
        self.restored || self.is_listed()
    }

    fn is_listed(&self) -> bool {
        self.kinds.values().all(|watch| watch.state.is_settled())
    }

    /// Regions and topology zones in lower case.
    pub(in crate::fleet) fn localities(&self) -> impl Iterator<Item = &Locality> {
        self.localities.keys()
    }

    /// For how long it has not been fresh; zero while it is, or was never seen.
    pub(in crate::fleet) fn stale_for(&self, at: Moment) -> Duration {
        let since = self.stale_since.map(|since| at.mono.saturating_duration_since(since.mono));
        since.unwrap_or_default()
    }

    /// Ready and all endpoints of a Service; `None` when this cluster does not tell.
    pub(in crate::fleet) fn readiness(&self, service: &ServiceKey) -> Option<(u32, u32)> {
        let known = self.kinds[&Kind::EndpointSlice].state == KindState::Watching || self.restored;
        if !known || matches!(self.slices_state(), KindState::Denied(_) | KindState::Missing(_)) {
            return None;
        }
        Some(self.readiness.get(service).copied().unwrap_or_default())
    }

    /// The addresses of an object whose status is empty now, while they are held.
    pub(in crate::fleet) fn held(&self, key: &ObjectKey) -> Option<&[Address]> {
        self.held.get(key).map(|held| held.addresses.as_slice())
    }

    /// The external addresses of its nodes that take traffic.
    pub(in crate::fleet) fn node_addresses(&self) -> BTreeSet<Address> {
        let ready = self.nodes.values().filter(|node| node.ready);
        ready.flat_map(|node| node.external.iter().copied().map(Address::Ip)).collect()
    }

    // === Objects ===

    fn put(&mut self, at: Moment, object: Object) -> Vec<Touched> {
        match object {
            Object::Service(service) => self.put_service(at, service),
            Object::Slice(slice) => self.put_slice(&slice),
            Object::Ingress(ingress) => self.put_ingress(at, ingress),
            Object::Node(node) => self.put_node(at, node),
        }
    }

    fn put_service(&mut self, at: Moment, service: ServiceObject) -> Vec<Touched> {
        let key = service.key.clone();
        let old = self.services.get(&key).cloned();
        if old.as_deref() == Some(&service) {
            return Vec::new();
        }
        let object = ObjectKey { kind: Kind::Service, key: key.clone() };
        let before = old.filter(|old| old.load_balancer).map(|old| old.ingress.clone());
        let lost = service.load_balancer && service.ingress.is_empty();
        self.hold(at, object, before.unwrap_or_default(), lost);
        self.federated += count_of(Some(&service));
        let old = self.services.insert(key.clone(), Arc::new(service));
        self.federated -= count_of(old.as_deref());
        vec![Touched::Service(key)]
    }

    fn put_ingress(&mut self, at: Moment, ingress: IngressObject) -> Vec<Touched> {
        let key = ingress.key.clone();
        let old = self.ingresses.get(&key).cloned();
        if old.as_deref() == Some(&ingress) {
            return Vec::new();
        }
        let object = ObjectKey { kind: Kind::Ingress, key: key.clone() };
        let before = old.as_ref().map(|old| old.ingress.clone()).unwrap_or_default();
        self.hold(at, object, before, ingress.ingress.is_empty());
        if let Some(old) = old {
            self.unlink(&old);
        }
        for service in backends(&ingress) {
            self.behind.entry(service).or_default().insert(key.clone());
        }
        self.ingresses.insert(key.clone(), Arc::new(ingress));
        vec![Touched::Ingress(key)]
    }

    /// Remembers the addresses that an object had when its status goes empty, forgets them when
    /// it has some again.
    fn hold(&mut self, at: Moment, key: ObjectKey, before: Vec<Address>, lost: bool) {
        if !lost {
            self.held.remove(&key);
        } else if !before.is_empty() {
            self.held.insert(key, Held { addresses: before, since: at.wall });
        }
    }

    fn put_slice(&mut self, slice: &SliceCounts) -> Vec<Touched> {
        let mut touched = Vec::new();
        if self.slices.get(&slice.key) == Some(slice) {
            return touched;
        }
        let service = slice.service.clone();
        if let Some(old) = self.slices.insert(slice.key.clone(), slice.clone()) {
            self.count(&old, false);
            if old.service != service {
                touched.extend(self.readiness_changed(&old.service));
            }
        }
        self.count(slice, true);
        touched.extend(self.readiness_changed(&service));
        touched
    }

    fn count(&mut self, slice: &SliceCounts, add: bool) {
        let (ready, total) = self.readiness.get(&slice.service).copied().unwrap_or_default();
        let sum = if add {
            (ready.saturating_add(slice.ready), total.saturating_add(slice.total))
        } else {
            (ready.saturating_sub(slice.ready), total.saturating_sub(slice.total))
        };
        self.readiness.insert(slice.service.clone(), sum);
    }

    fn readiness_changed(&self, service: &ServiceKey) -> Vec<Touched> {
        let ingresses = self.behind.get(service).into_iter().flatten();
        let ingresses = ingresses.map(|key| Touched::Ingress(key.clone()));
        std::iter::once(Touched::Service(service.clone())).chain(ingresses).collect()
    }

    fn put_node(&mut self, at: Moment, node: NodeObject) -> Vec<Touched> {
        if self.nodes.get(&node.name) == Some(&node) {
            return Vec::new();
        }
        self.nodes.insert(node.name.clone(), node);
        self.nodes_changed(at)
    }

    fn nodes_changed(&mut self, at: Moment) -> Vec<Touched> {
        let mut touched = Vec::from_iter(self.locate(at));
        let on_nodes = |ingress: &&Arc<IngressObject>| {
            ingress.annotations.as_ref().is_some_and(|annotations| annotations.nodes)
        };
        let ingresses = self.ingresses.values().filter(on_nodes);
        touched.extend(ingresses.map(|ingress| Touched::Ingress(ingress.key.clone())));
        touched
    }

    fn remove(&mut self, at: Moment, object: &ObjectKey) -> Vec<Touched> {
        self.held.remove(object);
        let key = object.key.clone();
        match object.kind {
            Kind::Service => {
                let old = self.services.remove(&key);
                self.federated -= count_of(old.as_deref());
                old.map(|_| Touched::Service(key)).into_iter().collect()
            }
            Kind::EndpointSlice => {
                let Some(old) = self.slices.remove(&key) else { return Vec::new() };
                self.count(&old, false);
                self.readiness_changed(&old.service)
            }
            Kind::Ingress => {
                let Some(old) = self.ingresses.remove(&key) else { return Vec::new() };
                self.unlink(&old);
                vec![Touched::Ingress(key)]
            }
            Kind::Node => match self.nodes.remove(&key.name) {
                Some(_) => self.nodes_changed(at),
                None => Vec::new(),
            },
        }
    }

    fn unlink(&mut self, ingress: &IngressObject) {
        for service in backends(ingress) {
            if let Some(keys) = self.behind.get_mut(&service) {
                keys.remove(&ingress.key);
            }
        }
    }

    /// A complete list: what it holds is put, what it omits is gone.
    fn list(&mut self, at: Moment, kind: Kind, objects: Vec<Object>) -> Vec<Touched> {
        self.heard(kind, at);
        let listed: BTreeSet<ServiceKey> = objects.iter().map(|object| object.key().key).collect();
        let gone = self.keys(kind).filter(|key| !listed.contains(key));
        let gone: Vec<_> = gone.map(|key| ObjectKey { kind, key }).collect();
        let mut touched = self.watch_is(kind, KindState::Watching, at);
        for object in objects.into_iter().filter(|object| object.key().kind == kind) {
            touched.extend(self.put(at, object));
        }
        for key in &gone {
            touched.extend(self.remove(at, key));
        }
        touched
    }

    fn keys(&self, kind: Kind) -> Box<dyn Iterator<Item = ServiceKey> + '_> {
        match kind {
            Kind::Service => Box::new(self.services.keys().cloned()),
            Kind::EndpointSlice => Box::new(self.slices.keys().cloned()),
            Kind::Ingress => Box::new(self.ingresses.keys().cloned()),
            Kind::Node => Box::new(self.nodes.keys().map(|name| ServiceKey::new("", name.clone()))),
        }
    }

    // === Where it is ===

    /// Works out regions and zones again; `Some` when they changed. One without a node stays for
    /// [`LOCALITY_HOLD`].
    fn locate(&mut self, at: Moment) -> Option<Touched> {
        let now = self.present_localities();
        let mut next: BTreeMap<Locality, Option<Timestamp>> = BTreeMap::new();
        if self.member.localities.is_none() {
            for (locality, gone) in &self.localities {
                let since = gone.unwrap_or(at.wall);
                if !expired(since, LOCALITY_HOLD, at) {
                    next.insert(locality.clone(), Some(since));
                }
            }
        }
        next.extend(now.into_iter().map(|locality| (locality, None)));
        let changed = !next.keys().eq(self.localities.keys());
        self.localities = next;
        self.place = self.find_place();
        changed.then_some(Touched::Localities)
    }

    fn find_place(&self) -> Location {
        let known = || {
            let mut regions = self.localities.keys().filter_map(|own| geo::region(&own.region));
            regions.next().map(|region| region.location())
        };
        geo::completed(self.member.location.clone().or_else(known).unwrap_or_default())
    }

    fn present_localities(&self) -> BTreeSet<Locality> {
        if let Some(said) = &self.member.localities {
            return said.iter().map(lowercase).collect();
        }
        let of = |node: &NodeObject| {
            let locality = Locality { region: node.region.clone()?, zone: node.zone.clone() };
            Some(lowercase(&locality))
        };
        self.nodes.values().filter_map(of).collect()
    }

    fn slices_state(&self) -> &KindState {
        &self.kinds[&Kind::EndpointSlice].state
    }

    fn expire_held(&mut self, at: Moment) -> Vec<Touched> {
        let over = |held: &Held| expired(held.since, STATUS_HOLD, at);
        let keys: Vec<ObjectKey> =
            self.held.iter().filter(|(_, held)| over(held)).map(|(key, _)| key.clone()).collect();
        let touched = |key: ObjectKey| match key.kind {
            Kind::Ingress => Touched::Ingress(key.key),
            Kind::Service | Kind::EndpointSlice | Kind::Node => Touched::Service(key.key),
        };
        keys.into_iter()
            .inspect(|key| {
                self.held.remove(key);
            })
            .map(touched)
            .collect()
    }
}

/// Whether a Service takes part at all: of type LoadBalancer, and not excluded.
pub(in crate::fleet) fn is_federated(service: &ServiceObject) -> bool {
    let excluded = service.annotations.as_ref().is_some_and(|annotations| annotations.exclude);
    service.load_balancer && !excluded
}

/// What a service adds to the number of those that are federated.
fn count_of(service: Option<&ServiceObject>) -> usize {
    service.is_some_and(is_federated).into()
}

fn backends(ingress: &IngressObject) -> BTreeSet<ServiceKey> {
    let names = ingress.rules.iter().flat_map(|rule| &rule.backends);
    names.map(|name| ServiceKey::new(ingress.key.namespace.clone(), name.clone())).collect()
}

fn lowercase(locality: &Locality) -> Locality {
    Locality {
        region: locality.region.to_lowercase().into(),
        zone: locality.zone.as_ref().map(|zone| zone.to_lowercase().into()),
    }
}

fn expired(since: Timestamp, hold: Duration, at: Moment) -> bool {
    since.checked_add(hold).is_ok_and(|end| end <= at.wall)
}
