//! Before and after: what each cluster gets of the clients of every country, in two snapshots.
//!
//! Shares are those of the compiled steering itself, weighed by how many addresses of a country
//! the database knows in each order; nothing is sampled.

use super::{Serving, Snapshot, UnitView};
use crate::{
    geo::{Class, Database},
    model::{Client, ClusterName, Name, Ttl},
    policy::{Shape, Steering},
    records::{self, RecordType},
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::Arc,
};

/// What each cluster gets, 0 to 1 each; nothing when no client gets an address.
pub type Shares = BTreeMap<ClusterName, f64>;

/// A comparison of two snapshots.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Drill {
    /// What was supposed, as in `aws=down`.
    pub supposed: Vec<String>,
    /// Every name that was looked at.
    pub names: Vec<DrillName>,
    /// Over all those names alike, by country; those whose clients move most come first.
    pub countries: Vec<DrillCountry>,
}

/// One name, before and after.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DrillName {
    /// Which.
    pub name: Name,
    /// Over all the world's addresses.
    pub before: Shares,
    /// The same afterwards.
    pub after: Shares,
    /// How it is served afterwards.
    pub serving: Serving,
    /// Seconds until the last failure is noticed, where checks do that; 0 where readiness does.
    pub detection: u64,
    /// Seconds that resolvers may keep the answer of before.
    pub ttl: u32,
}

impl DrillName {
    /// Seconds until the last client notices.
    #[must_use]
    pub fn notice(&self) -> u64 {
        self.detection + u64::from(self.ttl)
    }

    /// Which part of its clients goes elsewhere, 0 to 1.
    #[must_use]
    pub fn moved(&self) -> f64 {
        moved(&self.before, &self.after)
    }
}

/// The clients of one country, before and after.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DrillCountry {
    /// ISO 3166-1; `-` for networks that the database has in no country.
    pub country: String,
    /// Its part of all IPv4 addresses, 0 to 1.
    pub part: f64,
    /// What each cluster gets of it.
    pub before: Shares,
    /// The same afterwards.
    pub after: Shares,
}

impl DrillCountry {
    /// Which part of its clients goes elsewhere, 0 to 1.
    #[must_use]
    pub fn moved(&self) -> f64 {
        moved(&self.before, &self.after)
    }
}

/// Compares two snapshots for one name, or for all services and hosts.
///
/// # Errors
/// When the name belongs to no service or host.
pub fn drill(
    before: &Snapshot,
    after: &Snapshot,
    supposed: Vec<String>,
    name: Option<&Name>,
) -> Result<Drill, String> {
    let units: Vec<&Arc<UnitView>> = match name {
        Some(name) => vec![before.owner(name).map(|(unit, _)| unit).ok_or_else(|| {
            format!(
                "{name} is no federated service's name and no host; see `meridian get services`"
            )
        })?],
        None => before.units.values().collect(),
    };
    let mut worlds = Worlds::new(before.geography.clone());
    let mut names = Vec::new();
    let mut sums: BTreeMap<Arc<str>, (Shares, Shares)> = BTreeMap::new();
    for unit in &units {
        let (was, is) = (worlds.split(before, unit), worlds.split(after, unit));
        names.push(compared(before, after, unit, (&was, &is)));
        for country in was.countries.keys() {
            let sum = sums.entry(country.clone()).or_default();
            add(&mut sum.0, &was.countries[country], 1.0);
            add(&mut sum.1, is.countries.get(country).unwrap_or(&Shares::new()), 1.0);
        }
    }
    let countries = worlds.countries(&sums, units.len());
    names.sort_by(|one, other| other.moved().total_cmp(&one.moved()));
    Ok(Drill { supposed, names, countries })
}

fn compared(
    before: &Snapshot,
    after: &Snapshot,
    unit: &UnitView,
    (was, is): (&Split, &Split),
) -> DrillName {
    let id = (unit.federation.clone(), unit.unit.clone());
    let serving = after.units.get(&id).map_or(Serving::Nothing, |unit| unit.serving);
    DrillName {
        name: unit.name.clone(),
        before: was.world.clone(),
        after: is.world.clone(),
        serving,
        detection: unit.detection.unwrap_or(0),
        ttl: ttl(before, &unit.name).as_secs(),
    }
}

/// What a resolver may keep the name's addresses for.
fn ttl(snapshot: &Snapshot, name: &Name) -> Ttl {
    let key = name.key();
    let node =
        snapshot.zones.find(key.as_bytes()).and_then(|zone| zone.node(key.as_bytes()).cloned());
    let steering = node.as_ref().and_then(|node| node.steering()).map(|own| own.steering());
    let decided = steering.and_then(|own| {
        let decided = [false, true].map(|v6| own.decide(v6, &Client::NEUTRAL));
        decided.into_iter().flatten().map(|decision| decision.ttl).max()
    });
    if let Some(ttl) = decided {
        return ttl;
    }
    let ttls = node.iter().flat_map(records::Node::iter).filter(|rrset| {
        matches!(rrset.rtype, RecordType::A | RecordType::AAAA | RecordType::CNAME)
    });
    ttls.map(|rrset| rrset.ttl).max().unwrap_or(Ttl::from_secs(0))
}

/// How one unit's clients are split.
struct Split {
    world: Shares,
    countries: BTreeMap<Arc<str>, Shares>,
}

/// How many addresses each country has in each order of a shape, by shape.
struct Worlds {
    database: Option<Arc<Database>>,
    /// Addresses by country.
    sizes: BTreeMap<Arc<str>, f64>,
    shapes: HashMap<usize, Arc<Histogram>>,
}

type Histogram = BTreeMap<(Arc<str>, Class), f64>;

impl Worlds {
    fn new(database: Option<Arc<Database>>) -> Self {
        let database = database.or_else(|| Some(Database::embedded()));
        let mut sizes = BTreeMap::new();
        for (first, last, country) in database.iter().flat_map(ranges) {
            *sizes.entry(country).or_insert(0.0) += size(first, last);
        }
        Self { database, sizes, shapes: HashMap::new() }
    }

    fn split(&mut self, snapshot: &Snapshot, unit: &UnitView) -> Split {
        let key = unit.name.key();
        let zone = snapshot.zones.find(key.as_bytes());
        let node = zone.and_then(|zone| zone.node(key.as_bytes()));
        match node.and_then(|node| node.steering()) {
            Some(steered) => self.steered(steered.steering()),
            None => self.plain(&evenly(snapshot, unit)),
        }
    }

    /// Everybody gets the same.
    fn plain(&self, shares: &Shares) -> Split {
        let countries = self.sizes.keys().map(|country| (country.clone(), shares.clone()));
        Split { world: shares.clone(), countries: countries.collect() }
    }

    fn steered(&mut self, steering: &Arc<Steering>) -> Split {
        let v6 = steering.table(false).is_none();
        let histogram = self.histogram(&steering.shape);
        let mut plans: HashMap<Class, Shares> = HashMap::new();
        let mut split = Split { world: Shares::new(), countries: BTreeMap::new() };
        let whole: f64 = self.sizes.values().sum();
        for ((country, class), addresses) in histogram.iter() {
            let shares = plans.entry(*class).or_insert_with(|| {
                let plan = steering.plan(v6, *class);
                let shares = plan.map(|plan| steering.shares(v6, plan)).unwrap_or_default();
                shares.into_iter().filter(|(_, share)| *share > 0.0).collect()
            });
            let of_country = self.sizes.get(country).copied().unwrap_or(1.0);
            add(
                split.countries.entry(country.clone()).or_default(),
                shares,
                addresses / of_country,
            );
            add(&mut split.world, shares, addresses / whole);
        }
        split
    }

    fn histogram(&mut self, shape: &Arc<Shape>) -> Arc<Histogram> {
        let id = Arc::as_ptr(shape).addr();
        if let Some(known) = self.shapes.get(&id) {
            return known.clone();
        }
        let own = Arc::new(self.count(shape));
        self.shapes.insert(id, own.clone());
        own
    }

    /// Walks the database's networks and the shape's side by side; both are in order.
    fn count(&self, shape: &Shape) -> Histogram {
        let mut histogram = Histogram::new();
        let mut leaves = shape.leaves().filter_map(|(net, class)| {
            let (first, last) = bounds(&net)?;
            Some((first, last, class))
        });
        let mut leaf = leaves.next();
        for (first, last, country) in self.database.iter().flat_map(ranges) {
            let mut from = first;
            while from <= last {
                while leaf.is_some_and(|(_, end, _)| end < from) {
                    leaf = leaves.next();
                }
                // Without a map all clients are in one class.
                let (end, class) =
                    leaf.map_or((last, shape.unknown()), |(_, end, class)| (end, class));
                let to = end.min(last);
                *histogram.entry((country.clone(), class)).or_insert(0.0) += size(from, to);
                let Some(next) = to.checked_add(1) else { break };
                from = next;
            }
        }
        histogram
    }

    fn countries(
        &self,
        sums: &BTreeMap<Arc<str>, (Shares, Shares)>,
        names: usize,
    ) -> Vec<DrillCountry> {
        let whole: f64 = self.sizes.values().sum();
        #[allow(clippy::cast_precision_loss)] // far fewer than 2⁵³ names
        let each = 1.0 / names.max(1) as f64;
        let mean = |shares: &Shares| -> Shares {
            shares.iter().map(|(own, share)| (own.clone(), share * each)).collect()
        };
        let of = |(country, (before, after)): (&Arc<str>, &(Shares, Shares))| DrillCountry {
            country: country.to_string(),
            part: self.sizes.get(country).map_or(0.0, |size| size / whole),
            before: mean(before),
            after: mean(after),
        };
        let mut all: Vec<DrillCountry> = sums.iter().map(of).collect();
        let affected = |own: &DrillCountry| own.moved() * own.part;
        all.sort_by(|one, other| affected(other).total_cmp(&affected(one)));
        all
    }
}

/// Where no policy steers, every address is answered to all, and clients take any.
fn evenly(snapshot: &Snapshot, unit: &UnitView) -> Shares {
    let id = (unit.federation.clone(), unit.unit.clone());
    let own = snapshot.units.get(&id);
    let serving = own.iter().flat_map(|unit| &unit.endpoints).filter(|one| one.serving);
    let mut shares = Shares::new();
    for endpoint in serving {
        *shares.entry(endpoint.cluster.clone()).or_default() += 1.0;
    }
    let whole: f64 = shares.values().sum();
    shares.values_mut().for_each(|share| *share /= whole);
    shares
}

/// The database's IPv4 networks with their countries, in order.
fn ranges(database: &Arc<Database>) -> impl Iterator<Item = (u32, u32, Arc<str>)> + '_ {
    let none: Arc<str> = "-".into();
    let mut known: HashMap<u32, Arc<str>> = HashMap::new();
    database.networks().filter_map(move |(net, record)| {
        let (first, last) = bounds(&net)?;
        let record = record?;
        let country = known.entry(record.0).or_insert_with(|| {
            database.location(record).country.clone().unwrap_or_else(|| none.clone())
        });
        Some((first, last, country.clone()))
    })
}

fn bounds(net: &IpNet) -> Option<(u32, u32)> {
    match (net.network(), net.broadcast()) {
        (IpAddr::V4(first), IpAddr::V4(last)) => Some((first.to_bits(), last.to_bits())),
        _ => None,
    }
}

fn size(first: u32, last: u32) -> f64 {
    f64::from(last - first) + 1.0
}

fn add(sum: &mut Shares, shares: &Shares, factor: f64) {
    for (cluster, share) in shares {
        *sum.entry(cluster.clone()).or_default() += share * factor;
    }
}

/// Half of what the shares differ by: what one loses another gets.
fn moved(before: &Shares, after: &Shares) -> f64 {
    let lost = before
        .iter()
        .map(|(cluster, share)| (share - after.get(cluster).copied().unwrap_or_default()).max(0.0));
    lost.sum()
}
