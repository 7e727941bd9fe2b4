//! A steered name in words that providers' own routing can be compiled from: which answers clients
//! get, by place, by distance, or by share. Decided by the code that serves, from today's health.

use super::{Fidelity, Notes};
use crate::{
    geo,
    model::{ClusterName, Location, Name},
    policy::{Order, Places, Share, Steering},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// What one family of a steered name answers.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Route {
    /// The same for all clients.
    Same(Vec<IpAddr>),
    /// So many clients each, wherever they are.
    Shares(Vec<Share>),
    /// By place, and by share within it; the default is for clients that no place names.
    Places { places: BTreeMap<Place, Vec<Share>>, default: Vec<Share> },
    /// The nearest, with its bias.
    Nearest(Vec<Near>),
}

/// A place that a policy names.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Place {
    /// Two letters.
    Continent(String),
    /// ISO 3166-1 alpha-2.
    Country(String),
    /// Country and part.
    Part(String, String),
}

/// A cluster that serves those who are nearest to it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Near {
    pub(super) cluster: ClusterName,
    pub(super) point: (f64, f64),
    pub(super) bias: f64,
    pub(super) addresses: Vec<IpAddr>,
}

impl Place {
    pub(super) fn location(&self) -> Location {
        let (continent, country, subdivision) = match self {
            Self::Continent(own) => (Some(own.as_str()), None, None),
            Self::Country(own) => (geo::continent_of(own), Some(own), None),
            Self::Part(own, part) => (geo::continent_of(own), Some(own), Some(part)),
        };
        let text = |text: &String| text.as_str().into();
        let country = country.map(text);
        let subdivision = subdivision.map(text);
        Location {
            continent: continent.map(Into::into),
            country,
            subdivision,
            ..Location::default()
        }
    }
}

/// The route of one family; `None` where nobody is answered in it.
pub(super) fn route(
    name: &Name,
    steering: &Steering,
    v6: bool,
    notes: &mut Notes,
) -> Option<Result<Route, String>> {
    let default = steering.answers_at(v6, &Location::default(), &[])?;
    Some(match &steering.steer.order {
        Order::None | Order::Failover(_) if steering.steer.fence.is_empty() => {
            Ok(same_or_shares(default))
        }
        Order::Proximity(_) if steering.steer.fence.is_empty() => {
            Ok(nearest(name, steering, v6, default, notes))
        }
        Order::None | Order::Failover(_) | Order::Geo(_) | Order::Proximity(_) => {
            by_place(name, steering, v6, default, notes)
        }
    })
}

fn same_or_shares(shares: Vec<Share>) -> Route {
    if let [only] = shares.as_slice() {
        return Route::Same(only.addresses.clone());
    }
    Route::Shares(shares)
}

/// Clusters that serve at all, at their places.
fn nearest(
    name: &Name,
    steering: &Steering,
    v6: bool,
    default: Vec<Share>,
    notes: &mut Notes,
) -> Route {
    let Order::Proximity(wish) = &steering.steer.order else { return same_or_shares(default) };
    let mut near = Vec::new();
    for site in steering.shape.sites.iter() {
        // What clients in that very place get: the cluster itself, if it is healthy.
        let own = steering.answers_at(v6, &site.location, &[]).unwrap_or_default();
        let own = own.into_iter().find(|share| share.clusters == [site.cluster.clone()]);
        let (Some(own), Some(point)) = (own, site.location.coordinates) else { continue };
        let bias = wish.bias.get(&site.cluster).copied().unwrap_or_default();
        near.push(Near { cluster: site.cluster.clone(), point, bias, addresses: own.addresses });
    }
    if wish.slack_km > 0.0 || wish.slack_percent > 0.0 {
        let text = "clusters that are about equally near do not share clients: the nearest serves";
        notes.note(name, "order.proximity.slack", Fidelity::Approximate, text.to_owned());
    }
    match near.len() {
        0 => same_or_shares(default),
        _ => Route::Nearest(near),
    }
}

fn by_place(
    name: &Name,
    steering: &Steering,
    v6: bool,
    default: Vec<Share>,
    notes: &mut Notes,
) -> Result<Route, String> {
    let mut answers = BTreeMap::new();
    for place in places(name, steering, notes) {
        let shares = steering.answers_at(v6, &place.location(), &[]).unwrap_or_default();
        answers.insert(place, shares);
    }
    let fenced = answers.values().chain([&default]).any(Vec::is_empty);
    if fenced {
        // Leaving a place out would send its clients elsewhere: what a fence forbids.
        return Err("the fence leaves some places without an answer, which this provider cannot \
                    say: it would send them on; give the fence a target for those it keeps out"
            .to_owned());
    }
    Ok(Route::Places { places: answers, default })
}

/// The places that a policy names, rows and fences alike.
fn places(name: &Name, steering: &Steering, notes: &mut Notes) -> BTreeSet<Place> {
    let steer = &steering.steer;
    let rows = match &steer.order {
        Order::Geo(table) => table.rows.as_slice(),
        Order::None | Order::Proximity(_) | Order::Failover(_) => &[],
    };
    let rows = rows.iter().map(|row| &row.places);
    let named: Vec<&Places> =
        rows.chain(steer.fence.allow.values()).chain(steer.fence.deny.values()).collect();
    if named.iter().any(|own| !own.networks.is_empty()) {
        let text = "networks are not told apart: their clients are taken by country";
        notes.note(name, "order.geo.networks", Fidelity::Unsupported, text.to_owned());
    }
    let continents = named.iter().flat_map(|own| &own.continents);
    let countries = named.iter().flat_map(|own| &own.countries);
    let parts = named.iter().flat_map(|own| &own.subdivisions);
    continents
        .map(|own| Place::Continent(own.to_string()))
        .chain(countries.map(|own| Place::Country(own.to_string())))
        .chain(parts.map(|(own, part)| Place::Part(own.to_string(), part.to_string())))
        .collect()
}

/// Says that shares are drawn with each query, for clients that were to stay.
pub(super) fn note_draws(name: &Name, notes: &mut Notes) {
    let text = "clients do not stay with their cluster: each query is drawn anew";
    notes.note(name, "pick", Fidelity::Approximate, text.to_owned());
}

/// One place, one answer: where several share its clients, the addresses of all.
pub(super) fn merged(name: &Name, shares: &[Share], notes: &mut Notes) -> Vec<IpAddr> {
    if shares.len() > 1 {
        let text = "several clusters share the clients of a place: all of them are answered, \
                    without their weights";
        notes.note(name, "weights", Fidelity::Approximate, text.to_owned());
    }
    let mut all: Vec<IpAddr> = Vec::new();
    for ip in shares.iter().flat_map(|share| share.addresses.iter().copied()) {
        if !all.contains(&ip) {
            all.push(ip);
        }
    }
    all
}

/// Of a failover list, what is answered now, and what comes next: one cluster each. `None` where
/// there is no next, or clients are shared out.
pub(super) fn failover(steering: &Steering, v6: bool) -> Option<[Share; 2]> {
    let Tiers { first, mut next, .. } = tiers(steering, v6)?;
    let alone = next.pop().filter(|_| next.is_empty())?;
    Some([first, alone])
}

/// The first tiers of a failover list.
pub(super) struct Tiers {
    /// What is answered now.
    pub(super) first: Share,
    /// What would be answered without that: at least one share.
    pub(super) next: Vec<Share>,
    /// Whether there is something behind both.
    pub(super) more: bool,
}

/// See [`Tiers`]. `None` where there is no next, or clients are shared out now.
pub(super) fn tiers(steering: &Steering, v6: bool) -> Option<Tiers> {
    let listed = matches!(steering.steer.order, Order::Failover(_));
    let shares = |steering: &Steering| steering.answers_at(v6, &Location::default(), &[]);
    let mut now = shares(steering).filter(|_| listed && steering.steer.fence.is_empty())?;
    let first = now.pop().filter(|_| now.is_empty())?;
    let rest = without(steering, &first.clusters);
    let next = shares(&rest).filter(|next| !next.is_empty())?;
    let gone: Vec<ClusterName> = next.iter().flat_map(|share| share.clusters.clone()).collect();
    let more = shares(&without(&rest, &gone)).is_some_and(|more| !more.is_empty());
    Some(Tiers { first, next, more })
}

/// The same without what these clusters offer.
fn without(steering: &Steering, clusters: &[ClusterName]) -> Steering {
    let sites = steering.shape.sites.clone();
    steering.with(|subject| {
        let site = sites.get(usize::from(subject.candidate.site));
        if site.is_some_and(|site| clusters.contains(&site.cluster)) {
            subject.addresses.clear();
        }
    })
}
