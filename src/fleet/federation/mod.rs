//! One federation's zone, kept in step with the clusters: which names changed, and to what.

mod freshness;
mod names;
mod steer;

use super::{
    cluster::{Cluster, is_federated},
    leads::Leads,
    levels::Resolved,
    offers::{self, Chosen, Judging, Offer, Selection},
    policies::Policies,
    view::{Serving, Unit, UnitView},
    workshop::Workshop,
};
use crate::{
    health::{self, Target},
    model::{
        Address, ClusterName, Federation, FederationName, Key, Locality, Moment, Name, ObjectKey,
        Serial, ServiceKey,
    },
    policy::{Site, TrafficPolicy},
    records::{Completeness, Node, RecordType, Zone},
};
use imbl::OrdMap;
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

pub(in crate::fleet) type Clusters = BTreeMap<ClusterName, Cluster>;
/// Which objects claim a host.
pub(in crate::fleet) type Claims = HashMap<Name, BTreeSet<(ClusterName, ObjectKey)>>;
pub(in crate::fleet) type Units = OrdMap<(FederationName, Unit), Arc<UnitView>>;

/// All that a compilation reads beside the federation itself.
pub(in crate::fleet) struct Inventory<'i> {
    pub(in crate::fleet) clusters: &'i Clusters,
    pub(in crate::fleet) claims: &'i Claims,
    pub(in crate::fleet) resolved: &'i Resolved,
    pub(in crate::fleet) policies: &'i Policies,
    pub(in crate::fleet) tracker: &'i health::Tracker,
    pub(in crate::fleet) workshop: &'i RefCell<Workshop>,
    pub(in crate::fleet) leads: &'i RefCell<Arc<Leads>>,
    pub(in crate::fleet) at: Moment,
    /// Whether the clusters have had their time to show themselves since the start.
    pub(in crate::fleet) overdue: bool,
}

/// A federation, its zone as published last, and what must be compiled again.
#[derive(Clone, Debug)]
pub(in crate::fleet) struct FederationState {
    pub(in crate::fleet) federation: Arc<Federation>,
    pub(in crate::fleet) base: Arc<Zone>,
    pub(in crate::fleet) zone: Arc<Zone>,
    pub(in crate::fleet) last_known: BTreeMap<Unit, Chosen>,
    /// Which units need a host name resolved, and which host names a unit needs.
    pub(in crate::fleet) wanted: BTreeMap<Name, BTreeSet<Unit>>,
    wants: HashMap<Unit, BTreeSet<Name>>,
    /// What is checked for each unit; units without checks are left out.
    pub(in crate::fleet) targets: BTreeMap<Unit, BTreeSet<Target>>,
    /// Units whose checks are others since the last look.
    pub(in crate::fleet) retargeted: BTreeSet<Unit>,
    localities: BTreeSet<Locality>,
    /// All member clusters with their places, in order of names.
    sites: Arc<[Site]>,
    dirty: HashSet<Unit>,
    /// Set when all names must be compiled again.
    rebuild: bool,
    /// Once complete, a zone stays so: a cluster that joins later makes it no less true.
    pub(in crate::fleet) completed: bool,
}

impl FederationState {
    pub(in crate::fleet) fn new(
        federation: Arc<Federation>,
        base: Arc<Zone>,
        serial: Option<Serial>,
    ) -> Self {
        let mut zone = base.with([], serial.unwrap_or(base.serial()));
        zone.completeness = Completeness::Pending;
        Self {
            federation,
            base,
            zone: Arc::new(zone),
            last_known: BTreeMap::new(),
            wanted: BTreeMap::new(),
            wants: HashMap::new(),
            targets: BTreeMap::new(),
            retargeted: BTreeSet::new(),
            localities: BTreeSet::new(),
            sites: Arc::new([]),
            dirty: HashSet::new(),
            rebuild: true,
            completed: false,
        }
    }

    /// Takes over a changed configuration; the zone is compiled again where it differs.
    pub(in crate::fleet) fn configure(&mut self, federation: Arc<Federation>, base: Arc<Zone>) {
        let same = self.federation == federation
            && self.base.completeness == base.completeness
            && self.base.nodes().eq(base.nodes());
        if !same {
            self.federation = federation;
            self.base = base;
            self.rebuild = true;
        }
    }

    pub(in crate::fleet) fn touch(&mut self, unit: Unit) {
        if !self.rebuild {
            self.dirty.insert(unit);
        }
    }

    /// Whether something is to be compiled again.
    pub(in crate::fleet) fn is_due(&self) -> bool {
        self.rebuild || !self.dirty.is_empty()
    }

    pub(in crate::fleet) fn touch_all(&mut self) {
        self.rebuild = true;
    }

    /// Brings zone and views up to date; whether anything changed.
    pub(in crate::fleet) fn compile(
        &mut self,
        inventory: &Inventory<'_>,
        units: &mut Units,
    ) -> bool {
        let completeness = self.completeness(inventory);
        let stale = self.is_stale(inventory);
        let as_it_was = (self.zone.completeness, self.zone.stale) == (completeness, stale);
        let mut changed = !as_it_was;
        if completeness != Completeness::Pending {
            changed |= self.compile_names(inventory, units);
        }
        if !as_it_was {
            let mut zone = Zone::clone(&self.zone);
            (zone.completeness, zone.stale) = (completeness, stale);
            self.zone = Arc::new(zone);
        }
        changed
    }

    fn compile_names(&mut self, inventory: &Inventory<'_>, units: &mut Units) -> bool {
        let localities = self.localities_of(inventory.clusters);
        if self.localities != localities {
            self.localities = localities;
            self.rebuild = true;
        }
        let sites = self.sites_of(inventory.clusters);
        if *self.sites != *sites {
            self.sites = sites.into();
            self.rebuild = true;
        }
        let mut zone = BTreeMap::new();
        let mut views_changed = false;
        let rebuild = std::mem::take(&mut self.rebuild);
        let dirty = if rebuild { self.all_units(inventory, units) } else { self.dirty_units() };
        for unit in dirty {
            views_changed |= self.compile_unit(unit, inventory, units, &mut zone);
        }
        if rebuild {
            self.dirty.clear();
            self.clear_leftovers(&mut zone);
        }
        self.put(zone, inventory.at) || views_changed
    }

    /// Every unit that there is, and those that were.
    fn all_units(&self, inventory: &Inventory<'_>, units: &Units) -> Vec<Unit> {
        let services = inventory.clusters.values().flat_map(|cluster| {
            let federated = cluster.services.iter().filter(|(_, service)| is_federated(service));
            federated.map(|(key, _)| Unit::Service(key.clone()))
        });
        let hosts = inventory.claims.keys().map(|host| Unit::Host(host.clone()));
        let name = &self.federation.name;
        let known = units.keys().filter(|(federation, _)| federation == name);
        let all: BTreeSet<Unit> =
            services.chain(hosts).chain(known.map(|(_, unit)| unit.clone())).collect();
        all.into_iter().collect()
    }

    fn dirty_units(&mut self) -> Vec<Unit> {
        self.dirty.drain().collect()
    }

    /// After a rebuild, names that nothing made again go back to what the static part says.
    fn clear_leftovers(&self, changes: &mut BTreeMap<Key, Option<Node>>) {
        for (key, _) in self.zone.nodes() {
            if !changes.contains_key(key) {
                changes.insert(key.clone(), self.base.node(key.as_bytes()).cloned());
            }
        }
        for (key, node) in self.base.nodes() {
            changes.entry(key.clone()).or_insert_with(|| Some(node.clone()));
        }
    }

    /// Publishes what differs from the zone as it is; whether anything does.
    fn put(&mut self, changes: BTreeMap<Key, Option<Node>>, at: Moment) -> bool {
        let zone = &self.zone;
        let differs = |key: &Key, node: &Option<Node>| match node {
            Some(node) if key == zone.key() => !same_but_soa(zone.node(key.as_bytes()), node),
            node => zone.node(key.as_bytes()) != node.as_ref(),
        };
        let changes: Vec<_> =
            changes.into_iter().filter(|(key, node)| differs(key, node)).collect();
        if changes.is_empty() {
            return false;
        }
        let seconds = u64::try_from(at.wall.as_second()).unwrap_or_default();
        self.zone = Arc::new(self.zone.with(changes, self.zone.serial().next(seconds)));
        true
    }

    fn completeness(&mut self, inventory: &Inventory<'_>) -> Completeness {
        let mut members =
            inventory.clusters.values().filter(|cluster| self.federation.has(&cluster.name));
        if self.completed || members.clone().all(Cluster::is_settled) {
            self.completed = true;
            // Also where the static part lives elsewhere and is not there.
            self.base.completeness
        } else if members.any(Cluster::is_settled) && inventory.overdue {
            Completeness::Partial
        } else {
            Completeness::Pending
        }
    }

    fn localities_of(&self, clusters: &Clusters) -> BTreeSet<Locality> {
        let members = clusters.values().filter(|cluster| self.federation.has(&cluster.name));
        members.flat_map(Cluster::localities).cloned().collect()
    }

    // === One service or host ===

    fn compile_unit(
        &mut self,
        unit: Unit,
        inventory: &Inventory<'_>,
        units: &mut Units,
        zone: &mut BTreeMap<Key, Option<Node>>,
    ) -> bool {
        let (offers, mut problems) = self.offers(&unit, inventory);
        let id = (self.federation.name.clone(), unit.clone());
        self.forget_wanted(&unit);
        let Some(name) = self.name_of(&unit, &mut problems).filter(|_| !offers.is_empty()) else {
            self.last_known.remove(&unit);
            self.aim(&unit, BTreeSet::new());
            self.remove_names(&unit, zone);
            return self.show_refusal(id, offers.is_empty(), problems, units);
        };
        let own = offers.iter().map(|(_, offer)| offer);
        let policy = inventory.policies.of(&unit, &own, &mut problems);
        let checks = self.checks(&name, policy.as_deref(), &offers);
        let selection = self.select(&unit, &offers, policy.as_deref(), &checks, inventory);
        self.remember(&unit, &selection);
        problems.extend(selection.problems.iter().cloned());
        let writing = Writing { unit: &unit, name: &name, policy: policy.as_deref(), inventory };
        self.write_names(&writing, &offers, &selection, zone, &mut problems);
        self.watch(&unit, &checks, &selection, inventory);
        let policy = policy.map(|policy| policy.key.clone());
        let view = self.view(unit, name, selection, inventory, problems).with(policy, checks);
        let changed = units.get(&id).map(|old| &**old) != Some(&view);
        if changed {
            units.insert(id, Arc::new(view));
        }
        changed
    }

    fn offers<'i>(
        &self,
        unit: &Unit,
        inventory: &Inventory<'i>,
    ) -> (Vec<(&'i Cluster, Offer)>, Vec<String>) {
        let members = inventory.clusters.values().filter(|c| self.federation.has(&c.name));
        match unit {
            Unit::Service(key) => {
                let of =
                    |cluster| Some((cluster, offers::of_service(cluster, key, &self.federation)?));
                (members.filter_map(of).collect(), Vec::new())
            }
            Unit::Host(host) => {
                let claims = inventory.claims.get(host).into_iter().flatten();
                let find = |(cluster, object): &(ClusterName, ObjectKey)| {
                    let cluster = inventory.clusters.get(cluster)?;
                    let taken = self.federation.has(&cluster.name);
                    let federation = &self.federation;
                    let offer = offers::of_claim(cluster, object, host, federation)?;
                    taken.then(|| (cluster, object.clone(), offer))
                };
                granted(host, claims.filter_map(find).collect())
            }
        }
    }

    /// The global name or the host; `None` with a problem when it cannot be one of this zone's.
    fn name_of(&self, unit: &Unit, problems: &mut Vec<String>) -> Option<Name> {
        let refused = match unit {
            Unit::Service(key) => match self.check_service_names(key) {
                Ok(name) => return Some(name),
                Err(problem) => problem,
            },
            Unit::Host(host) if !host.is_within(&self.federation.zone) => return None,
            Unit::Host(host) if self.is_generated(host) => format!(
                "host {host} lies among the names that federation {} makes by itself (…{}.svc…); \
                 the host is left out",
                self.federation.name, self.federation.name
            ),
            Unit::Host(host) => return Some(host.clone()),
        };
        problems.push(refused);
        None
    }

    /// All names of a service must fit, or none is made: half a chain would be a dead end.
    fn check_service_names(&self, key: &ServiceKey) -> Result<Name, String> {
        let refused = |error| {
            format!(
                "service {key}: its names in federation {} do not fit into DNS ({error}); \
                 the service is left out, shorten its name or namespace",
                self.federation.name
            )
        };
        let names = self.names(key);
        for locality in &self.localities {
            names.region(&locality.region).map_err(refused)?;
            if let Some(zone) = &locality.zone {
                names.zone(zone, &locality.region).map_err(refused)?;
            }
        }
        names.global().map_err(refused)
    }

    fn is_generated(&self, host: &Name) -> bool {
        let labels: Vec<&[u8]> = host.labels().collect();
        labels.windows(2).any(|pair| {
            pair[0].eq_ignore_ascii_case(self.federation.name.0.as_bytes())
                && pair[1].eq_ignore_ascii_case(b"svc")
        })
    }

    fn select(
        &self,
        unit: &Unit,
        offers: &[(&Cluster, Offer)],
        policy: Option<&TrafficPolicy>,
        checks: &Checks,
        inventory: &Inventory<'_>,
    ) -> Selection {
        let all_down = policy.and_then(|own| own.all_down.as_ref());
        let all_down = all_down.unwrap_or(&self.federation.all_down);
        let last = self.last_known.get(unit);
        let judging = |checked: Option<offers::Checked<'_>>| {
            let (federation, at) = (&*self.federation, inventory.at);
            let resolved = |address: &Address| addresses(address, inventory.resolved);
            let judging = Judging { federation, resolved: &resolved, checked, at };
            offers::choose(offers, all_down, last, judging)
        };
        let mut selection = match checks {
            None => judging(None),
            Some(check) => judging(Some(&|ip| Some(steer::found(ip, check, inventory)))),
        };
        selection.ttl = selection.ttl.or(policy.and_then(|own| own.ttl));
        selection
    }

    fn remember(&mut self, unit: &Unit, selection: &Selection) {
        if matches!(selection.serving, Serving::Healthy | Serving::Reluctant) {
            self.last_known.insert(unit.clone(), selection.chosen.clone());
        }
    }

    fn forget_wanted(&mut self, unit: &Unit) {
        for host in self.wants.remove(unit).into_iter().flatten() {
            if let Some(units) = self.wanted.get_mut(&host) {
                units.remove(unit);
                if units.is_empty() {
                    self.wanted.remove(&host);
                }
            }
        }
    }

    fn want(&mut self, unit: &Unit, host: &Name) {
        self.wanted.entry(host.clone()).or_default().insert(unit.clone());
        self.wants.entry(unit.clone()).or_default().insert(host.clone());
    }

    fn show_refusal(
        &self,
        id: (FederationName, Unit),
        gone: bool,
        problems: Vec<String>,
        units: &mut Units,
    ) -> bool {
        if gone || problems.is_empty() {
            return units.remove(&id).is_some();
        }
        let view = UnitView::refused(&id, self.federation.zone.clone(), problems);
        let changed = units.get(&id).map(|old| &**old) != Some(&view);
        units.insert(id, Arc::new(view));
        changed
    }

    fn view(
        &self,
        unit: Unit,
        name: Name,
        selection: Selection,
        inventory: &Inventory<'_>,
        problems: Vec<String>,
    ) -> UnitView {
        let mut endpoints = selection.endpoints;
        for endpoint in &mut endpoints {
            if let Some(Address::Host(host)) = &endpoint.address {
                endpoint.resolved = inventory.resolved.get(host).cloned().unwrap_or_default();
            }
        }
        UnitView {
            federation: self.federation.name.clone(),
            unit,
            name,
            serving: selection.serving,
            ttl: selection.ttl,
            endpoints,
            policy: None,
            detection: None,
            check: None,
            problems,
        }
    }
}

/// What one unit's endpoints are checked by; `None` when they are not.
type Checks = Option<Arc<health::Check>>;

/// The names of one unit, on their way into the zone.
struct Writing<'w> {
    unit: &'w Unit,
    /// The global name or the host.
    name: &'w Name,
    policy: Option<&'w TrafficPolicy>,
    inventory: &'w Inventory<'w>,
}

/// An address, or those of a host name.
fn addresses(address: &Address, resolved: &Resolved) -> Vec<IpAddr> {
    match address {
        Address::Ip(ip) => vec![*ip],
        Address::Host(host) => resolved.get(host).cloned().unwrap_or_default(),
    }
}

/// A host belongs to one namespace: the one whose claim is oldest (then first by name). Claims
/// from others are reported and left out (invariant I4).
fn granted<'i>(
    host: &Name,
    claims: Vec<(&'i Cluster, ObjectKey, Offer)>,
) -> (Vec<(&'i Cluster, Offer)>, Vec<String>) {
    let age = |(cluster, object, _): &(&Cluster, ObjectKey, Offer)| {
        let created = offers::created(cluster, object);
        (if created == 0 { i64::MAX } else { created }, object.key.namespace.clone())
    };
    let Some((_, owner)) = claims.iter().map(age).min() else { return Default::default() };
    let (kept, others): (Vec<_>, Vec<_>) =
        claims.into_iter().partition(|(_, object, _)| object.key.namespace == owner);
    let conflict = |(cluster, object, _): (&Cluster, ObjectKey, Offer)| {
        format!(
            "{object} in {} claims host {host}, which namespace {owner} claimed first; \
             its claim is left out",
            cluster.name
        )
    };
    let problems = others.into_iter().map(conflict).collect();
    (kept.into_iter().map(|(cluster, _, offer)| (cluster, offer)).collect(), problems)
}

/// The SOA's serial is set at publication, so it does not make a node different.
fn same_but_soa(old: Option<&Node>, new: &Node) -> bool {
    let rest = |node: &Node| {
        node.iter().filter(|rrset| rrset.rtype != RecordType::SOA).cloned().collect::<Vec<_>>()
    };
    let numbers = |node: &Node| {
        // All but the serial's four octets, which stand sixteen before the end.
        node.get(RecordType::SOA).and_then(|soa| {
            let data = soa.rdata().next()?;
            let (names, tail) = data.split_at(data.len().checked_sub(20)?);
            Some((soa.ttl, names.to_vec(), tail[4..].to_vec()))
        })
    };
    old.is_some_and(|old| rest(old) == rest(new) && numbers(old) == numbers(new))
}
