//! All clusters as they are known right now: events in, a frozen [`Snapshot`] out.
//!
//! The fleet is a plain value that eats events: losing a cluster for ten minutes is a test that
//! hands in a [`Moment`] ten minutes later. One change costs what its service costs: events mark
//! services and hosts, and a snapshot compiles the marked ones alone.
//!
//! Three rules hold everywhere here: absence is not deletion (only `Deleted` and a complete list
//! remove, invariant I5), a name that had an answer keeps one until its objects were seen deleted
//! (I1, I6), and nothing is denied before all clusters have been seen (I13).

mod checking;
mod cluster;
mod configure;
mod drill;
mod explain;
mod federation;
mod leads;
pub mod levels;
mod offers;
mod policies;
mod snapshot;
mod state;
mod subjects;
mod view;
mod whatif;
mod workshop;

pub use cluster::{LOCALITY_HOLD, STATUS_HOLD, SavedCluster};
pub use drill::{Drill, DrillCountry, DrillName, Shares, drill};
pub use explain::{Explanation, Place, ShownAnswer, ShownRrset, ShownSteering, explain};
pub use leads::Leads;
pub use snapshot::{FederationView, Snapshot};
pub use state::{Saved, SavedFederation};
pub use view::{
    AddressHealth, ClusterStatus, ClusterView, Counts, EndpointState, EndpointView, Serving, Unit,
    UnitView,
};
pub use whatif::{Supposed, SupposedState, served_by_alone};

use crate::{
    geo::Database,
    health::{self, Outcome, Report, Tracker},
    model::{
        ClusterEvent, ClusterName, Federation, FederationName, IngressObject, Kind, Member, Moment,
        Name, ObjectKey, ServiceObject,
    },
    policy::TrafficPolicy,
    records::{Zone, ZoneSet},
};
use checking::Checking;
use cluster::{Cluster, Touched, is_federated};
use federation::{Claims, Clusters, FederationState, Inventory};
use policies::Policies;
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};
use workshop::Workshop;

/// How long all clusters are waited for after the start. Then what is known is answered, and
/// denials stay SERVFAIL until the last cluster has been seen (invariant I13).
pub const START_GRACE: Duration = Duration::from_secs(10);

/// What the fleet is to be, as configured now.
#[derive(Clone, Debug, Default)]
pub struct FleetConfig {
    /// Each federation with the static part of its zone (SOA, NS, glue, anything else).
    pub federations: Vec<(Arc<Federation>, Arc<Zone>)>,
    /// The member clusters.
    pub members: BTreeMap<ClusterName, Member>,
    /// Zones that belong to no federation.
    pub zones: Vec<Arc<Zone>>,
    /// How clients are spread, and endpoints checked.
    pub policies: Vec<Arc<TrafficPolicy>>,
    /// What could not be taken up, for people.
    pub problems: Vec<String>,
}

/// One piece of news.
#[derive(Clone, Debug)]
pub enum Event {
    /// The configuration is now this; clusters and federations that it omits are gone.
    Configured(FleetConfig),
    /// A member cluster has news.
    Cluster(ClusterName, ClusterEvent),
    /// A host name was looked up; a failure keeps the last good addresses.
    Resolved(Name, Result<Vec<IpAddr>, String>),
    /// An endpoint was checked.
    Checked(Outcome),
    /// Another vantage point told what it finds; its name, and its report.
    Reported(String, Box<Report>),
    /// Clients are located by this database from now on.
    Geography(Arc<Database>),
    /// An operator's word on a cluster, or its end.
    Forced(ClusterName, Option<health::Override>),
}

/// Everything known, and what of it must be compiled again.
#[derive(Clone, Debug)]
pub struct Fleet {
    started: Moment,
    clusters: Clusters,
    federations: BTreeMap<FederationName, FederationState>,
    /// The configuration that was taken up last.
    configured: Option<FleetConfig>,
    plain: Vec<Arc<Zone>>,
    policies: Policies,
    workshop: RefCell<Workshop>,
    leads: RefCell<Arc<Leads>>,
    tracker: Tracker,
    checking: Checking,
    /// What operators said of clusters, also of those that are not configured now.
    forced: BTreeMap<ClusterName, health::Override>,
    problems: Vec<String>,
    claims: Claims,
    /// The hosts that each object claims: [`Claims`] the other way round.
    claimed: HashMap<(ClusterName, ObjectKey), BTreeSet<Name>>,
    resolved: levels::Resolved,
    lookups_failing: BTreeMap<Name, String>,
    /// What is wrong with other vantage points' reports.
    deaf: BTreeMap<String, String>,
    /// In which federations a cluster counted as offline at the last tick.
    offline: BTreeMap<ClusterName, Vec<FederationName>>,
    views_due: BTreeSet<ClusterName>,
    zones_due: bool,
    published: Arc<Snapshot>,
    /// From the disk: serials and last known addresses of federations not configured yet.
    saved: BTreeMap<FederationName, SavedFederation>,
    saved_clusters: BTreeMap<ClusterName, SavedCluster>,
}

impl Fleet {
    /// A fleet that knows nothing yet.
    #[must_use]
    pub fn new(at: Moment) -> Self {
        Self {
            started: at,
            clusters: Clusters::new(),
            federations: BTreeMap::new(),
            configured: None,
            plain: Vec::new(),
            policies: Policies::default(),
            workshop: RefCell::new(Workshop::new()),
            leads: RefCell::default(),
            tracker: Tracker::new(health::Settings::default()),
            checking: Checking::default(),
            forced: BTreeMap::new(),
            problems: Vec::new(),
            claims: Claims::new(),
            claimed: HashMap::new(),
            resolved: levels::Resolved::new(),
            lookups_failing: BTreeMap::new(),
            deaf: BTreeMap::new(),
            offline: BTreeMap::new(),
            views_due: BTreeSet::new(),
            zones_due: true,
            published: Arc::new(Snapshot::empty(at.wall)),
            saved: BTreeMap::new(),
            saved_clusters: BTreeMap::new(),
        }
    }

    /// Folds in one piece of news. Costs what it concerns; nothing is compiled here.
    pub fn apply(&mut self, at: Moment, event: Event) {
        match event {
            Event::Configured(config) => self.configure(at, config),
            Event::Cluster(name, event) => {
                let Some(cluster) = self.clusters.get_mut(&name) else { return };
                let touched = cluster.apply(at, event);
                self.views_due.insert(name.clone());
                self.touch(&name, touched);
            }
            Event::Resolved(host, outcome) => self.resolve(host, outcome),
            Event::Checked(outcome) => self.check(at, &outcome),
            Event::Reported(vantage, report) => self.hear(at, &vantage, &report),
            Event::Geography(database) => self.locate(database),
            Event::Forced(cluster, word) => self.force(&cluster, word),
        }
    }

    /// What time alone changes: holds that end, silence that makes a view stale. Once a second.
    pub fn tick(&mut self, at: Moment) {
        let names: Vec<ClusterName> = self.clusters.keys().cloned().collect();
        for name in names {
            let Some(cluster) = self.clusters.get_mut(&name) else { continue };
            let mut touched = cluster.tick(at);
            let offline = self.offline_in(&name, at);
            if self.offline.get(&name).map_or(&[] as &[_], Vec::as_slice) != offline {
                touched.push(Touched::Everything);
                self.offline.insert(name.clone(), offline);
            }
            self.views_due.insert(name.clone());
            self.touch(&name, touched);
        }
        self.tick_checks(at);
    }

    /// Freezes what is known. The same snapshot as before when nothing that a reader could see
    /// has changed; else one that shares all the rest with it.
    pub fn snapshot(&mut self, at: Moment) -> Arc<Snapshot> {
        let old = self.published.clone();
        let mut next = Snapshot::clone(&old);
        let mut changed = self.compile(at, &mut next);
        let views = self.refresh_views(&mut next);
        changed |= views == Views::Changed;
        if changed {
            next.generation = old.generation.next();
        }
        if changed || views == Views::Touched {
            next.at = at.wall;
            self.published = Arc::new(next);
        }
        self.published.clone()
    }

    /// Whether anything has changed since the last snapshot that a new one could show.
    #[must_use]
    pub fn has_news(&self) -> bool {
        let due = self.federations.values().any(FederationState::is_due);
        due || self.zones_due || !self.views_due.is_empty()
    }

    // === Compiling ===

    fn compile(&mut self, at: Moment, next: &mut Snapshot) -> bool {
        let inventory = Inventory {
            clusters: &self.clusters,
            claims: &self.claims,
            resolved: &self.resolved,
            policies: &self.policies,
            tracker: &self.tracker,
            workshop: &self.workshop,
            leads: &self.leads,
            at,
            overdue: at.mono.saturating_duration_since(self.started.mono) >= START_GRACE,
        };
        let mut changed = std::mem::take(&mut self.zones_due);
        for state in self.federations.values_mut() {
            if state.compile(&inventory, &mut next.units) {
                next.zones.put(state.zone.clone());
                if state.federation.served {
                    next.served.put(state.zone.clone());
                }
                changed = true;
            }
        }
        if changed {
            next.leads = self.leads.borrow().clone();
            self.show_federations(next);
            self.workshop.borrow_mut().tidy();
        }
        changed |= self.retarget(at, next);
        changed
    }

    fn show_federations(&self, next: &mut Snapshot) {
        let view = |state: &FederationState| FederationView {
            name: state.federation.name.clone(),
            zone: state.federation.zone.clone(),
            complete: state.completed,
        };
        next.federations = self.federations.values().map(view).collect();
        let mut served = ZoneSet::default();
        self.plain.iter().for_each(|zone| served.put(zone.clone()));
        let mut zones = served.clone();
        for state in self.federations.values() {
            zones.put(state.zone.clone());
            if state.federation.served {
                served.put(state.zone.clone());
            }
        }
        (next.zones, next.served) = (zones, served);
        let wanted = self.federations.values().flat_map(|state| state.wanted.keys().cloned());
        next.unresolved = Arc::new(wanted.collect());
        next.geography = self.workshop.borrow().located().cloned();
        let lookups = self.lookups_failing.iter().map(|(host, error)| {
            format!("load balancer {host} does not resolve ({error}); its last addresses stand")
        });
        let deaf = self.deaf.iter().map(|(vantage, problem)| {
            format!(
                "vantage {vantage}: its report is left out ({problem}); what it said before \
                 counts as long as it is fresh"
            )
        });
        next.problems = self.problems.iter().cloned().chain(lookups).chain(deaf).collect();
    }

    fn refresh_views(&mut self, next: &mut Snapshot) -> Views {
        let mut outcome = Views::Same;
        for name in std::mem::take(&mut self.views_due) {
            let Some(cluster) = self.clusters.get(&name) else {
                next.clusters.remove(&name);
                outcome = Views::Changed;
                continue;
            };
            let view = cluster.view();
            outcome = outcome.max(Views::between(next.clusters.get(&name), &view));
            next.clusters.insert(name, Arc::new(view));
        }
        outcome
    }

    // === Events ===

    fn touch(&mut self, cluster: &ClusterName, touched: Vec<Touched>) {
        for one in touched {
            match one {
                Touched::Service(key) => {
                    self.touch_unit(&Unit::Service(key.clone()));
                    self.touch_hosts(cluster, ObjectKey { kind: Kind::Service, key });
                }
                Touched::Ingress(key) => {
                    self.touch_hosts(cluster, ObjectKey { kind: Kind::Ingress, key });
                }
                // A federation notices by itself that localities differ from those it used.
                Touched::Localities => {}
                Touched::Everything => self.touch_cluster(cluster),
            }
        }
    }

    fn touch_cluster(&mut self, cluster: &ClusterName) {
        let Some(state) = self.clusters.get(cluster) else { return };
        let federated = state.services.iter().filter(|(_, service)| is_federated(service));
        let mut units: Vec<Unit> = federated.map(|(key, _)| Unit::Service(key.clone())).collect();
        let own = self.claimed.iter().filter(|((name, _), _)| name == cluster);
        units.extend(own.flat_map(|(_, hosts)| hosts.iter().cloned().map(Unit::Host)));
        units.iter().for_each(|unit| self.touch_unit(unit));
    }

    /// Marks the hosts that an object claimed before and those it claims now.
    fn touch_hosts(&mut self, cluster: &ClusterName, object: ObjectKey) {
        let now = self.clusters.get(cluster).map(|state| hosts_of(state, &object));
        let now = now.unwrap_or_default();
        let id = (cluster.clone(), object);
        let before = match now.is_empty() {
            true => self.claimed.remove(&id),
            false => self.claimed.insert(id.clone(), now.clone()),
        };
        let before = before.unwrap_or_default();
        for gone in before.difference(&now) {
            if let Some(claims) = self.claims.get_mut(gone) {
                claims.remove(&id);
                if claims.is_empty() {
                    self.claims.remove(gone);
                }
            }
        }
        for new in now.difference(&before) {
            self.claims.entry(new.clone()).or_default().insert(id.clone());
        }
        for host in before.union(&now) {
            self.touch_unit(&Unit::Host(host.clone()));
        }
    }

    fn touch_unit(&mut self, unit: &Unit) {
        for state in self.federations.values_mut() {
            state.touch(unit.clone());
        }
    }

    fn resolve(&mut self, host: Name, outcome: Result<Vec<IpAddr>, String>) {
        match outcome {
            Err(error) => {
                self.zones_due |= self.lookups_failing.insert(host, error).is_none();
            }
            Ok(mut addresses) => {
                addresses.sort_unstable();
                addresses.dedup();
                self.zones_due |= self.lookups_failing.remove(&host).is_some();
                if self.resolved.get(&host) != Some(&addresses) {
                    self.touch_wanting(&host);
                    self.resolved.insert(host, addresses);
                }
            }
        }
    }

    fn touch_wanting(&mut self, host: &Name) {
        for state in self.federations.values_mut() {
            for unit in state.wanted.get(host).cloned().into_iter().flatten() {
                state.touch(unit);
            }
        }
    }

    /// In which federations that cluster counts as offline.
    fn offline_in(&self, name: &ClusterName, at: Moment) -> Vec<FederationName> {
        let Some(cluster) = self.clusters.get(name) else { return Vec::new() };
        let offline = |state: &&FederationState| offers::is_offline(cluster, &state.federation, at);
        let states = self.federations.values().filter(offline);
        states.map(|state| state.federation.name.clone()).collect()
    }
}

/// Whether the clusters' views differ in what a person would notice.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Views {
    Same,
    /// Only the time of the last contact moved on.
    Touched,
    Changed,
}

impl Views {
    fn between(old: Option<&Arc<ClusterView>>, new: &ClusterView) -> Self {
        let Some(old) = old else { return Self::Changed };
        if **old == *new {
            return Self::Same;
        }
        let same = ClusterView { last_contact: old.last_contact, ..new.clone() };
        if **old == same { Self::Touched } else { Self::Changed }
    }
}

/// The hosts that an object claims as it is now.
fn hosts_of(cluster: &Cluster, object: &ObjectKey) -> BTreeSet<Name> {
    match object.kind {
        Kind::Service => cluster.services.get(&object.key).map(|own| service_hosts(own)),
        Kind::Ingress => cluster.ingresses.get(&object.key).map(|own| ingress_hosts(own)),
        Kind::EndpointSlice | Kind::Node => None,
    }
    .unwrap_or_default()
}

fn service_hosts(service: &ServiceObject) -> BTreeSet<Name> {
    let annotations = service.annotations.iter().filter(|_| is_federated(service));
    annotations.flat_map(|annotations| annotations.hostnames.iter().cloned()).collect()
}

fn ingress_hosts(ingress: &IngressObject) -> BTreeSet<Name> {
    let annotations = ingress.annotations.as_deref();
    if annotations.is_some_and(|annotations| annotations.exclude) {
        return BTreeSet::new();
    }
    let ruled = ingress.rules.iter().filter_map(|rule| rule.host.clone());
    let annotated = annotations.into_iter().flat_map(|own| own.hostnames.iter().cloned());
    ruled.chain(annotated).collect()
}
