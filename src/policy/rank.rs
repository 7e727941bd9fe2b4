//! In which order one place's clients are sent to clusters: fence, then tiers.
//!
//! A function of the place alone. Health never changes an order, so failover needs nothing to be
//! compiled again.

use super::intent::{Fence, GeoTable, Order, Proximity};
use crate::model::{ClusterName, Location};
use ipnet::IpNet;
use serde::Serialize;

/// A cluster and where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// Which.
    pub cluster: ClusterName,
    /// Where; its coordinates count for proximity.
    pub location: Location,
}

/// The order for one place: sites by their index, in tiers.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// The first tier that is healthy serves; each tier in order of names.
    pub tiers: Vec<Vec<u16>>,
    /// Sites that the fence keeps these clients from.
    pub fenced: Vec<u16>,
    /// What decided the order.
    pub because: Because,
    /// Kilometres to each site, for orders by distance; `None` where one end's place is unknown.
    pub distances: Vec<Option<f64>>,
}

/// What decided an order.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Because {
    /// No order is asked for.
    AllEqual,
    /// The list.
    Failover,
    /// That row of the table, counted from 0.
    GeoRow(usize),
    /// No row fits this place.
    GeoDefault,
    /// The distances.
    Proximity,
    /// The client's place is not known.
    UnknownPlace,
}

/// Ranks the sites for clients at that location, in those networks (of the policy's own).
#[must_use]
pub fn rank(
    order: &Order,
    fence: &Fence,
    sites: &[Site],
    location: &Location,
    networks: &[IpNet],
) -> Ranked {
    let admitted = |site: &Site| fence.admits(&site.cluster, location, networks);
    let (open, fenced): (Vec<u16>, Vec<u16>) =
        indices(sites).partition(|site| admitted(&sites[usize::from(*site)]));
    let mut ranked = match order {
        Order::None => Ranked::new(vec![open.clone()], Because::AllEqual),
        Order::Failover(list) => Ranked::new(listed(list, &[], sites), Because::Failover),
        Order::Geo(table) => by_table(table, sites, location, networks),
        Order::Proximity(wish) => by_distance(wish, &open, sites, location),
    };
    for tier in &mut ranked.tiers {
        tier.retain(|site| open.contains(site));
    }
    ranked.tiers.retain(|tier| !tier.is_empty());
    Ranked { fenced, ..ranked }
}

impl Ranked {
    fn new(tiers: Vec<Vec<u16>>, because: Because) -> Self {
        Self { tiers, fenced: Vec::new(), because, distances: Vec::new() }
    }
}

fn by_table(table: &GeoTable, sites: &[Site], location: &Location, networks: &[IpNet]) -> Ranked {
    let rows = table.rows.iter().enumerate();
    let fitting =
        rows.filter_map(|(at, row)| Some((row.places.closeness(location, networks)?, at, row)));
    // Two rows that name a place equally closely are refused when the policy is read.
    match fitting.max_by_key(|(closeness, at, _)| (*closeness, usize::MAX - at)) {
        Some((_, at, row)) => {
            Ranked::new(listed(&row.clusters, &table.default, sites), Because::GeoRow(at))
        }
        None => Ranked::new(listed(&table.default, &[], sites), Because::GeoDefault),
    }
}

/// One tier for each site, in the order of the lists; sites in no list come last, in order of
/// names, for a cluster that nobody thought of still serves better than one that is down.
fn listed(first: &[ClusterName], second: &[ClusterName], sites: &[Site]) -> Vec<Vec<u16>> {
    let mut order: Vec<u16> = Vec::new();
    let named = first.iter().chain(second);
    let found =
        named.filter_map(|name| indices(sites).find(|at| sites[usize::from(*at)].cluster == *name));
    for site in found.chain(indices(sites)) {
        if !order.contains(&site) {
            order.push(site);
        }
    }
    order.into_iter().map(|site| vec![site]).collect()
}

fn by_distance(wish: &Proximity, open: &[u16], sites: &[Site], location: &Location) -> Ranked {
    let Some(client) = location.coordinates else {
        return Ranked::new(listed(&wish.default, &[], sites), Because::UnknownPlace);
    };
    let distance = |site: &Site| Some(distance_km(client, site.location.coordinates?));
    let distances: Vec<Option<f64>> = sites.iter().map(distance).collect();
    let felt = |site: u16| {
        let bias = wish.bias.get(&sites[usize::from(site)].cluster).copied().unwrap_or_default();
        Some(biased(distances[usize::from(site)]?, bias))
    };
    let mut near: Vec<(f64, u16)> =
        open.iter().filter_map(|site| Some((felt(*site)?, *site))).collect();
    near.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    let far = near.split_off(near.len().min(NEAREST));
    let mut tiers = tiers_of(&near, wish);
    tiers.extend(behind(&far, near.first(), sites).into_iter().map(|site| vec![site]));
    // Sites whose place is not known come after all that are.
    tiers.extend(
        indices(sites).filter(|site| distances[usize::from(*site)].is_none()).map(|s| vec![s]),
    );
    Ranked { distances, ..Ranked::new(tiers, Because::Proximity) }
}

/// Sites that are about as near as the nearest of their tier stand in one.
fn tiers_of(near: &[(f64, u16)], wish: &Proximity) -> Vec<Vec<u16>> {
    let mut tiers: Vec<(f64, Vec<u16>)> = Vec::new();
    for (felt, site) in near {
        match tiers.last_mut() {
            Some((least, tier)) if is_as_near(*felt, *least, wish) => tier.push(*site),
            _ => tiers.push((*felt, vec![*site])),
        }
    }
    let sorted = |(_, mut tier): (f64, Vec<u16>)| {
        tier.sort_unstable();
        tier
    };
    tiers.into_iter().map(sorted).collect()
}

fn is_as_near(felt: f64, least: f64, wish: &Proximity) -> bool {
    let (percent, km) = (wish.slack_percent.max(0.0), wish.slack_km.max(0.0));
    felt <= least * (1.0 + percent / 100.0) + EQUAL_KM || felt - least <= km + EQUAL_KM
}

/// The sites beyond the nearest few, in the order in which they lie around the nearest: exact
/// enough for a third failover, and few orders in all, so that the compiled map stays small.
fn behind(far: &[(f64, u16)], nearest: Option<&(f64, u16)>, sites: &[Site]) -> Vec<u16> {
    let home = nearest.and_then(|(_, site)| sites[usize::from(*site)].location.coordinates);
    let mut far: Vec<(f64, u16)> = far
        .iter()
        .map(|(felt, site)| {
            let there = sites[usize::from(*site)].location.coordinates;
            (home.zip(there).map_or(*felt, |(home, there)| distance_km(home, there)), *site)
        })
        .collect();
    far.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    far.into_iter().map(|(_, site)| site).collect()
}

/// As Route 53 geoproximity has it: a bias above 0 shrinks the distance that is felt, one below 0
/// stretches it; 0 changes nothing.
fn biased(km: f64, bias: f64) -> f64 {
    if bias > 0.0 {
        km * (1.0 - bias.min(99.0) / 100.0)
    } else {
        km / (1.0 + bias.max(-99.0) / 100.0)
    }
}

/// Great-circle distance (haversine) on a sphere of the earth's mean radius; places are degrees
/// north and east. Good to half a percent, at the poles and across the antimeridian too.
#[must_use]
pub fn distance_km(one: (f64, f64), other: (f64, f64)) -> f64 {
    // libm, so that replicas on different machines agree to the last bit.
    let (north, other_north) = (one.0.to_radians(), other.0.to_radians());
    let half_north = libm::sin((other_north - north) / 2.0);
    let half_east = libm::sin((other.1 - one.1).to_radians() / 2.0);
    let cosines = libm::cos(north) * libm::cos(other_north);
    let square = half_north * half_north + cosines * half_east * half_east;
    2.0 * EARTH_KM * libm::asin(square.clamp(0.0, 1.0).sqrt())
}

fn indices(sites: &[Site]) -> impl Iterator<Item = u16> + use<> {
    // Configuration refuses more clusters than this long before.
    0..u16::try_from(sites.len()).unwrap_or(u16::MAX)
}

/// So many clusters are told apart by their distance from the client.
const NEAREST: usize = 3;
/// Mean radius of the earth (IUGG).
const EARTH_KM: f64 = 6_371.008_8;
/// Distances that differ by less than a metre are equal.
const EQUAL_KM: f64 = 0.001;
