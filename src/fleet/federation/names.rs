//! The names of one service or host: written into the zone's changes, or taken out of it.

use super::{FederationState, Inventory, Writing};
use crate::{
    fleet::{
        cluster::Cluster,
        levels::{Names, Targets},
        offers::{Offer, Selection},
        view::{Serving, Unit},
    },
    model::{Address, ClusterName, Key, Locality, Name, ServiceKey},
    records::{Led, Node, RecordType},
};
use smallvec::SmallVec;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

impl FederationState {
    pub(super) fn write_names(
        &mut self,
        writing: &Writing<'_>,
        offers: &[(&Cluster, Offer)],
        selection: &Selection,
        zone: &mut BTreeMap<Key, Option<Node>>,
        problems: &mut Vec<String>,
    ) {
        let Writing { unit, name, policy, inventory } = writing;
        let ttl = self.plain_ttl(selection);
        let mut levels = vec![Level { name: (*name).clone(), within: Within::All, up: None }];
        if let Unit::Service(key) = unit {
            levels.extend(self.lower_levels(key, name, selection));
        }
        if policy.is_some_and(|policy| !policy.steer.is_plain()) {
            self.want_all(unit, selection);
        }
        // Each cluster is looked up once, not once for each level.
        let chosen: Vec<(Option<&Cluster>, &[Address])> = selection
            .chosen
            .iter()
            .map(|(cluster, addresses)| (inventory.clusters.get(cluster), addresses.as_slice()))
            .collect();
        for Level { name, within, up } in levels {
            let mut targets = Targets::default();
            for (_, addresses) in chosen.iter().filter(|(cluster, _)| within.has(*cluster)) {
                targets.extend(*addresses);
            }
            let of = |cluster: &ClusterName| within.has(inventory.clusters.get(cluster));
            if up.is_none() {
                targets.extend(&selection.fallback);
            }
            for host in targets.to_resolve() {
                self.want(unit, host);
            }
            let steered = self.steered(writing, offers, selection, &of);
            let steered = steered.filter(|_| !targets.is_empty());
            if up.is_none() {
                problems.extend(steered.iter().flat_map(left_out));
            }
            let clusters: SmallVec<[ClusterName; 2]> = (selection.chosen.iter())
                .filter(|(cluster, addresses)| !addresses.is_empty() && of(cluster))
                .map(|(cluster, _)| cluster.clone())
                .collect();
            let led = self.led(inventory, &clusters);
            // A CNAME cannot stand beside the apex's SOA, so there it is addresses or nothing.
            let node = if name == *self.zone.apex() {
                let plain = || targets.address_node(ttl, inventory.resolved).leading(led);
                Some(self.apex_with(&steered.unwrap_or_else(plain)))
            } else {
                let plain = || targets.node(ttl, up.as_ref(), inventory.resolved);
                steered.or_else(|| plain().map(|node| node.leading(led)))
            };
            self.write(&name, node, zone, problems);
        }
    }

    /// The number of these clusters.
    pub(super) fn led(&self, inventory: &Inventory<'_>, clusters: &[ClusterName]) -> Led {
        let name = &self.federation.name;
        if let Some(known) = inventory.leads.borrow().find(name, clusters) {
            return known;
        }
        Arc::make_mut(&mut inventory.leads.borrow_mut()).add(name, clusters)
    }

    /// Region and zone names, each with its clusters and the name above it.
    fn lower_levels(&self, key: &ServiceKey, global: &Name, selection: &Selection) -> Vec<Level> {
        let names = self.names(key);
        let healthy = matches!(selection.serving, Serving::Healthy | Serving::Reluctant);
        let or_none = |within: Within| if healthy { within } else { Within::None };
        let mut levels = Vec::new();
        let regions: BTreeSet<_> = self.localities.iter().map(|l| l.region.clone()).collect();
        for region in regions {
            let Ok(name) = names.region(&region) else { continue };
            let within = or_none(Within::Region(region));
            levels.push(Level { name, within, up: Some(global.clone()) });
        }
        for locality in self.localities.iter() {
            let Some(zone) = &locality.zone else { continue };
            let name = names.zone(zone, &locality.region);
            let (Ok(name), Ok(up)) = (name, names.region(&locality.region)) else { continue };
            let within = or_none(Within::Locality(locality.clone()));
            levels.push(Level { name, within, up: Some(up) });
        }
        levels
    }

    /// Puts a node in place, unless the zone's static part has the name already.
    fn write(
        &self,
        name: &Name,
        node: Option<Node>,
        zone: &mut BTreeMap<Key, Option<Node>>,
        problems: &mut Vec<String>,
    ) {
        let key = name.key();
        let own = self.base.node(key.as_bytes()).filter(|_| key != *self.zone.key());
        if let Some(own) = own {
            problems.push(format!(
                "{name} is among the zone's static records, which stand; \
                 what the clusters offer under it is left out"
            ));
            zone.insert(key, Some(own.clone()));
        } else {
            zone.insert(key, node);
        }
    }

    /// The static apex with these addresses, unless it has addresses of its own.
    fn apex_with(&self, addresses: &Node) -> Node {
        let mut apex = self.base.node(self.zone.key().as_bytes()).cloned().unwrap_or_default();
        let own = [RecordType::A, RecordType::AAAA].iter().any(|rtype| apex.get(*rtype).is_some());
        if own {
            return apex;
        }
        addresses.iter().for_each(|rrset| apex.put(rrset.clone()));
        apex.with_steering_of(addresses)
    }

    pub(super) fn remove_names(&self, unit: &Unit, zone: &mut BTreeMap<Key, Option<Node>>) {
        let mut remove = |name: Name| {
            let key = name.key();
            let stays = self.base.node(key.as_bytes()).cloned();
            zone.insert(key, stays);
        };
        match unit {
            Unit::Host(host) if !host.is_within(&self.federation.zone) => {}
            Unit::Host(host) if self.is_generated(host) => {}
            Unit::Host(host) => remove(host.clone()),
            Unit::Service(key) => {
                let names = self.names(key);
                let all = self.localities.iter().flat_map(|locality| {
                    let zone = locality.zone.as_ref();
                    let zone = zone.and_then(|zone| names.zone(zone, &locality.region).ok());
                    [names.region(&locality.region).ok(), zone]
                });
                all.chain([names.global().ok()]).flatten().for_each(&mut remove);
            }
        }
    }

    pub(super) fn names(&self, key: &ServiceKey) -> Names {
        Names::new(key, &self.federation.name, &self.federation.zone)
    }
}

/// Families that nobody is answered, for people.
fn left_out(node: &Node) -> Vec<String> {
    let Some(steered) = node.steering() else { return Vec::new() };
    let says = |(v6, family): (bool, &str)| {
        let text = format!(
            "{family} is left out: not every cluster has such an address, and clients' choice of \
             family would decide the cluster; `family: independent` in TrafficPolicy {} answers it",
            steered.steering().policy
        );
        steered.steering().leaves_out(v6).then_some(text)
    };
    [(false, "A"), (true, "AAAA")].into_iter().filter_map(says).collect()
}

/// One name of a unit.
struct Level {
    name: Name,
    within: Within,
    /// The name above it; `None` at the top.
    up: Option<Name>,
}

/// Which clusters a level is made of.
enum Within {
    All,
    Region(Arc<str>),
    Locality(Locality),
    None,
}

impl Within {
    fn has(&self, cluster: Option<&Cluster>) -> bool {
        let any = |test: &dyn Fn(&Locality) -> bool| {
            cluster.is_some_and(|cluster| cluster.localities().any(test))
        };
        match self {
            Self::All => true,
            Self::Region(region) => any(&|own| own.region == *region),
            Self::Locality(locality) => any(&|own| own == locality),
            Self::None => false,
        }
    }
}
