//! How one unit's names are steered, and what of it is checked: the policy, the places of the
//! clusters and the verdicts, joined.

use super::{Checks, Clusters, FederationState, Inventory, Writing, addresses};
use crate::{
    fleet::{
        cluster::Cluster,
        offers::{Offer, Selection},
        subjects::{Subjects, subjects},
        view::{AddressHealth, Serving, Unit},
    },
    health::{Check, Target},
    model::{Address, ClusterName, Name, Ttl},
    policy::{Site, Steering, Subject, TrafficPolicy, Ttls},
    records::{Node, Steered},
};
use smallvec::SmallVec;
use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};

impl FederationState {
    /// The member clusters and where they are: as their MemberCluster says, else as the table of
    /// cloud regions knows their region.
    pub(super) fn sites_of(&self, clusters: &Clusters) -> Vec<Site> {
        let members = clusters.values().filter(|cluster| self.federation.has(&cluster.name));
        let site = |cluster: &Cluster| Site {
            cluster: cluster.name.clone(),
            location: cluster.place.clone(),
        };
        members.map(site).collect()
    }

    /// The node of one level, steered where its policy tells clients apart; `None` where it does
    /// not, and the level's targets are answered to all.
    pub(super) fn steered(
        &self,
        writing: &Writing<'_>,
        offers: &[(&Cluster, Offer)],
        selection: &Selection,
        of: &dyn Fn(&ClusterName) -> bool,
    ) -> Option<Node> {
        let policy = writing.policy.filter(|policy| !policy.steer.is_plain())?;
        let all = self.subjects(writing, policy, offers, selection);
        let within = |one: &Subject| {
            let site = self.sites.get(usize::from(one.candidate.site));
            site.is_some_and(|site| of(&site.cluster))
        };
        let subjects: Vec<Subject> = all.into_iter().filter(within).collect();
        let told_apart = subjects.len() > 1 || !policy.steer.fence.is_empty();
        if !told_apart || subjects.iter().all(|one| one.addresses.is_empty()) {
            return None;
        }
        let ttls = self.ttls(selection);
        let workshop = writing.inventory.workshop;
        let shape = workshop.borrow_mut().shape(&policy.steer, &self.sites);
        let steering = Steering::compile(
            policy.key.clone(),
            policy.steer.clone(),
            shape,
            subjects,
            ttls,
            |shape, candidates, steer| workshop.borrow_mut().table(shape, candidates, steer),
        );
        let led = |sites: &[u16]| {
            let clusters = sites.iter().filter_map(|site| self.sites.get(usize::from(*site)));
            let clusters: SmallVec<[ClusterName; 2]> =
                clusters.map(|site| site.cluster.clone()).collect();
            self.led(writing.inventory, &clusters)
        };
        Some(Node::steered(ttls.configured, Steered::new(Arc::new(steering), led)))
    }

    fn subjects(
        &self,
        writing: &Writing<'_>,
        policy: &TrafficPolicy,
        offers: &[(&Cluster, Offer)],
        selection: &Selection,
    ) -> Vec<Subject> {
        let inventory = writing.inventory;
        let resolved = |address: &Address| addresses(address, inventory.resolved);
        let with = Subjects { policy, sites: &self.sites, offers, selection, resolved: &resolved };
        match selection.serving {
            Serving::Fallback | Serving::Nothing => Vec::new(),
            Serving::Healthy | Serving::Reluctant | Serving::LastKnown | Serving::AllConfigured => {
                subjects(&with)
            }
        }
    }

    fn ttls(&self, selection: &Selection) -> Ttls {
        let configured = selection.ttl.unwrap_or(self.federation.ttl);
        Ttls { configured, least: self.federation.min_ttl }
    }

    /// The TTL of a name that is the same for all clients: what is configured, but where endpoints
    /// are checked no longer than until a verdict could turn.
    pub(super) fn plain_ttl(&self, selection: &Selection) -> Ttl {
        let Ttls { configured, least } = self.ttls(selection);
        let mut checks = selection.endpoints.iter().flat_map(|one| &one.health).peekable();
        if checks.peek().is_none() {
            return configured;
        }
        let well = matches!(selection.serving, Serving::Healthy);
        let soonest = checks.filter_map(|one| one.flips_in).min().unwrap_or(u64::MAX);
        let cap = u32::try_from(soonest).unwrap_or(u32::MAX);
        let seconds = if well { cap } else { least.as_secs() };
        let least = least.as_secs().min(configured.as_secs());
        Ttl::from_secs(seconds.clamp(least, configured.as_secs()))
    }

    // === Checks ===

    /// How the endpoints of a unit are checked: as its policy says, on its first port.
    pub(super) fn checks(
        &self,
        name: &Name,
        policy: Option<&TrafficPolicy>,
        offers: &[(&Cluster, Offer)],
    ) -> Checks {
        let health = policy.and_then(|policy| policy.health.as_ref())?;
        let port = health.port.or_else(|| offers.iter().find_map(|(_, offer)| offer.port))?;
        Some(Arc::new(health.check(name, port)))
    }

    /// Has the unit's addresses checked, and its host names looked up for that.
    pub(super) fn watch(
        &mut self,
        unit: &Unit,
        checks: &Checks,
        selection: &Selection,
        inventory: &Inventory<'_>,
    ) {
        let Some(check) = checks else { return self.aim(unit, BTreeSet::new()) };
        let offered = || selection.endpoints.iter().filter_map(|one| one.address.as_ref());
        for host in offered().filter_map(host_of) {
            self.want(unit, host);
        }
        let ips = offered().flat_map(|address| addresses(address, inventory.resolved));
        let ips = ips.filter(|ip| self.federation.targets.check(*ip).is_ok());
        let target = |address| Target { address, check: check.clone() };
        let targets = ips.map(target).collect();
        self.aim(unit, targets);
    }

    /// Replaces what is checked for a unit.
    pub(super) fn aim(&mut self, unit: &Unit, targets: BTreeSet<Target>) {
        let same = match self.targets.get(unit) {
            Some(own) => *own == targets,
            None => targets.is_empty(),
        };
        if same {
            return;
        }
        self.retargeted.insert(unit.clone());
        match targets.is_empty() {
            true => self.targets.remove(unit),
            false => self.targets.insert(unit.clone(), targets),
        };
    }

    /// Host names that a steered unit needs the addresses of, whether alone or not.
    pub(super) fn want_all(&mut self, unit: &Unit, selection: &Selection) {
        // Also of those that are down: a fence may leave some clients nothing else.
        let targets = selection.endpoints.iter().filter_map(|one| one.address.as_ref());
        let hosts: Vec<Name> = targets.filter_map(host_of).cloned().collect();
        hosts.iter().for_each(|host| self.want(unit, host));
    }
}

/// What checks found at an address.
pub(super) fn found(ip: IpAddr, check: &Arc<Check>, inventory: &Inventory<'_>) -> AddressHealth {
    let target = Target { address: ip, check: check.clone() };
    let verdict = inventory.tracker.verdict(inventory.at, &target);
    AddressHealth {
        address: ip,
        state: verdict.state,
        ramp: verdict.ramp,
        flips_in: verdict.flips_in.as_ref().map(Duration::as_secs),
        reason: verdict.reason,
    }
}

fn host_of(address: &Address) -> Option<&Name> {
    match address {
        Address::Host(host) => Some(host),
        Address::Ip(_) => None,
    }
}
