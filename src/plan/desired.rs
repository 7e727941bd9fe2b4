//! What a federation's zone should hold at a provider: made from a snapshot whose view is whole,
//! with the object and clusters behind every name.

use crate::{
    fleet::{ClusterStatus, ClusterView, EndpointState, Snapshot, Unit, UnitView},
    health::Check,
    model::{Address, ClusterName, FederationName, Freshness, Key, Name, Ttl},
    records::{Node, RecordType, Rrset},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

/// One federation's wishes, whole: a view that misses a cluster cannot become one (invariant I5).
#[derive(Clone, Debug)]
pub struct Desired {
    /// The zone.
    pub zone: Name,
    /// Every name that owns records, but the apex's SOA and NS, which are the provider's.
    pub names: BTreeMap<Key, Wanted>,
    /// How far absence can be believed.
    pub sight: Sight,
    /// Clusters that are in no answer, while others answer for all that they offer.
    pub away: BTreeSet<ClusterName>,
    /// The region that each cluster is in, where it says one.
    pub regions: BTreeMap<ClusterName, Arc<str>>,
}

/// One name.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its rrsets, with the TTLs they are written with.
    pub node: Node,
    /// What it comes from, as in `service prod/shop`.
    pub object: Arc<str>,
    /// The clusters that offer it.
    pub clusters: Arc<BTreeSet<ClusterName>>,
    /// For names that are steered: all that native routing needs.
    pub unit: Option<Arc<UnitView>>,
    /// Which of its addresses are checked, and how.
    pub checks: Checked,
    /// Whose its addresses are.
    pub owners: Arc<BTreeMap<IpAddr, ClusterName>>,
}

/// The cluster that offers each address.
pub(super) type Owners = BTreeMap<IpAddr, ClusterName>;

/// Addresses that are checked, and how.
pub type Checked = BTreeMap<IpAddr, Arc<Check>>;

/// Which clusters are in sight: only then does what they no longer offer count as gone.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Sight {
    /// Members whose view is fresh.
    pub fresh: BTreeSet<ClusterName>,
    /// Members whose view is not, with what is wrong.
    pub blind: BTreeMap<ClusterName, String>,
}

impl Sight {
    /// What a snapshot sees of its clusters.
    #[must_use]
    pub fn of(snapshot: &Snapshot) -> Self {
        let mut sight = Self::default();
        for view in snapshot.clusters.values() {
            let name = view.name.clone();
            match view.freshness {
                Freshness::Fresh => drop(sight.fresh.insert(name)),
                other => {
                    let since = view.last_contact.map(|at| format!(" since {at:.0}"));
                    let text = format!("is {other}{}", since.unwrap_or_default());
                    sight.blind.insert(name, text);
                }
            }
        }
        sight
    }

    /// Why a name that these clusters offered cannot be believed to be gone; `None` when it can.
    /// Of a name that nothing is known of, any cluster may have been the one.
    #[must_use]
    pub fn doubt(&self, clusters: Option<&BTreeSet<ClusterName>>) -> Option<String> {
        let mut blind = self.blind.iter();
        let found = blind.find(|(name, _)| clusters.is_none_or(|own| own.contains(*name)));
        found.map(|(name, why)| format!("cluster {name} {why}"))
    }
}

/// Why nothing can be planned.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Incomplete {
    /// There is no such federation.
    #[error("there is no federation {0}")]
    NoFederation(FederationName),
    /// A member cluster has never been seen.
    #[error(
        "federation {federation} is not known whole: {}; nothing is written or removed meanwhile",
        .missing.join(", ")
    )]
    Unseen {
        /// Which.
        federation: FederationName,
        /// The clusters, with what is wrong.
        missing: Vec<String>,
    },
}

impl Desired {
    /// What a snapshot asks for.
    ///
    /// # Errors
    /// When the snapshot does not know the federation whole.
    pub fn of(
        snapshot: &Snapshot,
        federation: &FederationName,
        ttl: Ttl,
    ) -> Result<Self, Incomplete> {
        let view = snapshot.federations.iter().find(|view| view.name == *federation);
        let none = || Incomplete::NoFederation(federation.clone());
        let view = view.ok_or_else(none)?;
        let zone = snapshot.zones.get(&view.zone).ok_or_else(none)?;
        if !view.complete {
            return Err(Incomplete::Unseen {
                federation: federation.clone(),
                missing: unseen(snapshot),
            });
        }
        let mut desired = Self {
            zone: view.zone.clone(),
            names: BTreeMap::new(),
            sight: Sight::of(snapshot),
            away: away(snapshot, federation),
            regions: regions(snapshot),
        };
        let mut offering = Offering::default();
        for (key, node) in zone.nodes() {
            let apex = key == zone.key();
            let name = key.to_name();
            let unit = snapshot.owner(&name).map(|(unit, _)| unit);
            let written = written(node, apex, unit, ttl);
            if written.is_empty() {
                continue;
            }
            let (object, clusters) = offering.of(unit);
            let owners = offering.owners(unit);
            let checks = unit.map(|unit| checked(unit)).unwrap_or_default();
            let unit = unit.filter(|_| node.steering().is_some()).cloned();
            let wanted = Wanted { node: written, object, clusters, unit, checks, owners };
            desired.names.insert(key.clone(), wanted);
        }
        Ok(desired)
    }
}

/// A node as it is written: TTLs do not follow what health might do next, or every check would
/// be a write.
fn written(node: &Node, apex: bool, unit: Option<&Arc<UnitView>>, ttl: Ttl) -> Node {
    let provided = |rtype| apex && [RecordType::SOA, RecordType::NS].contains(&rtype);
    let rrsets = node.iter().filter(|rrset| !provided(rrset.rtype));
    let of = |rrset: &Rrset| {
        let mut rrset = rrset.clone();
        if let Some(unit) = unit {
            rrset.ttl = unit.ttl.unwrap_or(ttl);
        }
        rrset
    };
    Node::new(rrsets.map(of)).with_steering_of(node)
}

/// Clusters of which no endpoint is answered although they offer some, and others are answered in
/// their place everywhere.
fn away(snapshot: &Snapshot, federation: &FederationName) -> BTreeSet<ClusterName> {
    let mut offers: BTreeMap<&ClusterName, bool> = BTreeMap::new();
    for ((_, _), unit) in snapshot.units.iter().filter(|((own, _), _)| own == federation) {
        for one in unit.endpoints.iter().filter(|one| one.address.is_some()) {
            let elsewhere =
                unit.endpoints.iter().any(|other| other.serving && other.cluster != one.cluster);
            let gone = !one.serving && elsewhere;
            *offers.entry(&one.cluster).or_insert(true) &= gone;
        }
    }
    offers.into_iter().filter(|(_, away)| *away).map(|(cluster, _)| cluster.clone()).collect()
}

/// The first, where a cluster has nodes in several.
fn regions(snapshot: &Snapshot) -> BTreeMap<ClusterName, Arc<str>> {
    let of = |view: &ClusterView| {
        view.localities.first().map(|own| (view.name.clone(), own.region.clone()))
    };
    snapshot.clusters.values().filter_map(|view| of(view)).collect()
}

fn owners(unit: &UnitView) -> Owners {
    let mut owners = Owners::new();
    for one in &unit.endpoints {
        let own = one.address.iter().filter_map(|address| match address {
            Address::Ip(ip) => Some(*ip),
            Address::Host(_) => None,
        });
        for ip in own.chain(one.resolved.iter().copied()) {
            owners.entry(ip).or_insert_with(|| one.cluster.clone());
        }
    }
    owners
}

fn checked(unit: &UnitView) -> Checked {
    let addresses = unit.endpoints.iter().flat_map(|one| &one.health).map(|one| one.address);
    let check = unit.check.iter();
    check.flat_map(|check| addresses.clone().map(|ip| (ip, check.clone()))).collect()
}

/// The object and clusters of each unit, put together once for its many names.
#[derive(Default)]
struct Offering {
    last: Option<(Unit, Arc<str>, Arc<BTreeSet<ClusterName>>)>,
    owners: Option<(Unit, Arc<Owners>)>,
}

impl Offering {
    fn owners(&mut self, unit: Option<&Arc<UnitView>>) -> Arc<Owners> {
        let Some(view) = unit else { return Arc::default() };
        if let Some((_, own)) = self.owners.as_ref().filter(|last| last.0 == view.unit) {
            return own.clone();
        }
        let own = Arc::new(owners(view));
        self.owners = Some((view.unit.clone(), own.clone()));
        own
    }

    fn of(&mut self, unit: Option<&Arc<UnitView>>) -> (Arc<str>, Arc<BTreeSet<ClusterName>>) {
        let Some(view) = unit else { return (STATIC.into(), Arc::default()) };
        if let Some((_, object, clusters)) = self.last.as_ref().filter(|last| last.0 == view.unit) {
            return (object.clone(), clusters.clone());
        }
        let offers = view.endpoints.iter().filter(|one| one.state != EndpointState::Refused);
        let clusters = Arc::new(offers.map(|one| one.cluster.clone()).collect());
        let object: Arc<str> = view.unit.to_string().into();
        self.last = Some((view.unit.clone(), object.clone(), Arc::clone(&clusters)));
        (object, clusters)
    }
}

/// The object of records that come from the configuration.
const STATIC: &str = "static records";

fn unseen(snapshot: &Snapshot) -> Vec<String> {
    let pending = snapshot.clusters.values().filter(|view| view.status == ClusterStatus::Pending);
    pending.map(|view| format!("cluster {} has not been seen yet", view.name)).collect()
}
