//! A new configuration, taken up: what stays goes on as it was, what is new begins with what was
//! saved of it.

use super::{
    Fleet, FleetConfig, cluster::Cluster, federation::FederationState, policies::Policies,
    snapshot::Snapshot,
};
use crate::{
    model::{
        ClusterName, Federation, FederationName, Kind, Member, Moment, ObjectKey, Serial,
        ServiceKey,
    },
    records::Zone,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

impl Fleet {
    /// The same again is no news: a directory is read every few seconds.
    pub(super) fn configure(&mut self, at: Moment, config: FleetConfig) {
        if self.configured.as_ref().is_some_and(|before| is_same(before, &config)) {
            return;
        }
        self.configured = Some(config.clone());
        self.configure_members(at, config.members);
        self.configure_federations(at, config.federations);
        let policies = Policies::new(&config.policies);
        if self.policies != policies {
            self.policies = policies;
            self.federations.values_mut().for_each(FederationState::touch_all);
        }
        self.plain = config.zones;
        self.problems = config.problems;
        self.zones_due = true;
    }

    fn configure_members(&mut self, at: Moment, members: BTreeMap<ClusterName, Member>) {
        let gone: Vec<_> =
            self.clusters.keys().filter(|name| !members.contains_key(*name)).cloned().collect();
        gone.iter().for_each(|name| self.remove_cluster(name));
        for (name, member) in members {
            self.views_due.insert(name.clone());
            match self.clusters.get_mut(&name) {
                Some(cluster) => {
                    let touched = cluster.configure(member, at);
                    self.touch(&name, touched);
                }
                None => self.add_cluster(at, &name, member),
            }
        }
    }

    fn add_cluster(&mut self, at: Moment, name: &ClusterName, member: Member) {
        let mut cluster = Cluster::new(name.clone(), member, at);
        cluster.forced = self.forced.get(name).cloned();
        let saved = self.saved_clusters.remove(name);
        let restored = saved.map(|saved| cluster.restore(saved, at)).is_some();
        let claiming = |(key, kind): (&ServiceKey, Kind)| ObjectKey { kind, key: key.clone() };
        let services = cluster.services.keys().map(|key| (key, Kind::Service));
        let objects = services.chain(cluster.ingresses.keys().map(|key| (key, Kind::Ingress)));
        let objects: Vec<ObjectKey> = objects.map(claiming).collect();
        self.clusters.insert(name.clone(), cluster);
        if restored {
            objects.into_iter().for_each(|object| self.touch_hosts(name, object));
            self.touch_cluster(name);
        }
    }

    /// The operator took the cluster out: what it offered is withdrawn.
    fn remove_cluster(&mut self, name: &ClusterName) {
        self.touch_cluster(name);
        self.views_due.insert(name.clone());
        self.clusters.remove(name);
        let own: Vec<_> = self.claimed.keys().filter(|(own, _)| own == name).cloned().collect();
        own.into_iter().for_each(|(_, object)| self.touch_hosts(name, object));
    }

    fn configure_federations(
        &mut self,
        at: Moment,
        federations: Vec<(Arc<Federation>, Arc<Zone>)>,
    ) {
        let names: BTreeSet<_> =
            federations.iter().map(|(federation, _)| federation.name.clone()).collect();
        self.federations.retain(|name, _| names.contains(name));
        self.forget_units(&names);
        for (federation, base) in federations {
            let name = federation.name.clone();
            let moved = |state: &FederationState| state.federation.zone != federation.zone;
            if self.federations.get(&name).is_some_and(moved) {
                self.federations.remove(&name);
            }
            if let Some(state) = self.federations.get_mut(&name) {
                state.configure(federation, base);
                continue;
            }
            let state = self.new_federation(at, federation, base);
            self.federations.insert(name, state);
        }
    }

    fn new_federation(
        &mut self,
        at: Moment,
        federation: Arc<Federation>,
        base: Arc<Zone>,
    ) -> FederationState {
        let saved = self.saved.remove(&federation.name);
        let saved = saved.filter(|saved| saved.zone == federation.zone);
        // What was published behind the last writing to disk is not known: secondaries must not
        // see its serials again, and take what is compiled now for what they have.
        let seconds = u64::try_from(at.wall.as_second()).unwrap_or_default();
        let ahead = |serial: Serial| Serial(serial.next(seconds).0.wrapping_add(UNSAVED));
        let serial: Option<Serial> = saved.as_ref().map(|saved| ahead(saved.serial));
        let mut state = FederationState::new(federation, base, serial);
        if let Some(saved) = saved {
            state.last_known = saved.last_known.into_iter().collect();
            state.completed = saved.completed;
        }
        state
    }

    fn forget_units(&mut self, federations: &BTreeSet<FederationName>) {
        let gone = self.published.units.keys().filter(|(name, _)| !federations.contains(name));
        let gone: Vec<_> = gone.cloned().collect();
        if gone.is_empty() {
            return;
        }
        let mut next = Snapshot::clone(&self.published);
        gone.iter().for_each(|id| drop(next.units.remove(id)));
        self.published = Arc::new(next);
    }
}

fn is_same(one: &FleetConfig, other: &FleetConfig) -> bool {
    let federations = one.federations.iter().zip(&other.federations);
    let zones = one.zones.iter().zip(&other.zones);
    let policies = one.policies.iter().zip(&other.policies);
    one.federations.len() == other.federations.len()
        && one.zones.len() == other.zones.len()
        && one.policies.len() == other.policies.len()
        && one.members == other.members
        && one.problems == other.problems
        && federations
            .into_iter()
            .all(|(one, other)| one.0 == other.0 && same_zone(&one.1, &other.1))
        && zones.into_iter().all(|(one, other)| same_zone(one, other))
        && policies.into_iter().all(|(one, other)| Arc::ptr_eq(one, other) || one == other)
}

/// Whether two zones that were read are answered alike.
fn same_zone(one: &Arc<Zone>, other: &Arc<Zone>) -> bool {
    Arc::ptr_eq(one, other)
        || (one.apex() == other.apex()
            && (one.completeness, one.serial()) == (other.completeness, other.serial())
            && one.nodes().eq(other.nodes()))
}

/// How far the serials of changes that follow each other fast can be ahead of the clock, and of
/// what was written to disk up to five seconds before.
const UNSAVED: u32 = 1_024;
