//! What Route 53 answers a client: wildcards, CNAMEs and aliases inside the zone, and the set of
//! each group that its routing policy and its health checks choose.

use super::{
    places,
    state::{Set, State, Zone},
};
use crate::double::common;
use std::net::IpAddr;

/// What a query finds.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) records: Vec<Record>,
    /// Whether there is anything at the name that was asked for, or below it.
    pub(crate) exists: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) rtype: String,
    pub(crate) ttl: u32,
    pub(crate) data: String,
}

/// A query within one zone.
struct Query<'a> {
    state: &'a State,
    zone: &'a Zone,
    client: IpAddr,
}

impl State {
    pub(crate) fn found(&self, zone: &Zone, name: &str, rtype: &str, client: IpAddr) -> Found {
        let query = Query { state: self, zone, client };
        let mut found = Found::default();
        let mut name = name.to_owned();
        for step in 0..MAX_CHAIN {
            let Some(owner) = query.owner(&name) else { break };
            found.exists |= step == 0;
            let records = query.records(&owner, rtype, 0);
            if !records.is_empty() || rtype == "CNAME" {
                found.records.extend(records.into_iter().map(|own| own.at(&name)));
                break;
            }
            let Some(alias) = query.records(&owner, "CNAME", 0).pop() else { break };
            let next = super::names::canonical(&alias.data).unwrap_or_default();
            found.records.push(alias.at(&name));
            name = next;
        }
        found
    }
}

impl Record {
    fn at(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }
}

impl Query<'_> {
    /// The name whose sets answer: itself, or the wildcard of the closest name that is there.
    fn owner(&self, name: &str) -> Option<String> {
        if !super::names::within(name, &self.zone.name) {
            return None;
        }
        if self.is_there(name) {
            return Some(name.to_owned());
        }
        let mut encloser = super::names::parent(name);
        while let Some(own) = encloser.filter(|own| !self.is_there(own)) {
            encloser = super::names::parent(own);
        }
        let wildcard = format!("\\052.{}", encloser?);
        self.is_there(&wildcard).then_some(wildcard)
    }

    /// Whether there is a set at the name, or below it.
    fn is_there(&self, name: &str) -> bool {
        let order = super::names::order(name);
        let from =
            super::state::Key { order: order.clone(), rtype: String::new(), set: String::new() };
        self.zone.sets.range(from..).next().is_some_and(|(key, _)| key.order.starts_with(&order))
    }

    fn records(&self, name: &str, rtype: &str, depth: usize) -> Vec<Record> {
        let group = Zone::group(&self.zone.sets, name, rtype);
        let chosen = self.chosen(&group, depth);
        chosen.into_iter().flat_map(|set| self.records_of(set, depth)).collect()
    }

    fn records_of(&self, set: &Set, depth: usize) -> Vec<Record> {
        let record =
            |ttl, data| Record { name: set.name.clone(), rtype: set.rtype.clone(), ttl, data };
        let Some(alias) = &set.alias_target else {
            let ttl = set.ttl.unwrap_or_default();
            return set.data().into_iter().map(|data| record(ttl, data)).collect();
        };
        if alias.hosted_zone_id == self.zone.id {
            let own = if depth < MAX_CHAIN {
                self.records(&alias.dns_name, &set.rtype, depth + 1)
            } else {
                Vec::new()
            };
            return own.into_iter().map(|own| record(own.ttl, own.data)).collect();
        }
        let addresses = self.state.services.get(&alias.dns_name).into_iter().flatten();
        let fits = |address: &&String| address.contains(':') == (set.rtype == "AAAA");
        addresses.filter(fits).map(|address| record(SERVICE_TTL, address.clone())).collect()
    }

    /// Whether a set may answer: its own check, and what its alias targets.
    fn healthy(&self, set: &Set, depth: usize) -> bool {
        let own = set.health_check_id.as_deref().is_none_or(|id| self.state.healthy(id));
        own && set.alias_target.as_ref().is_none_or(|alias| {
            if !alias.evaluate_target_health || depth >= MAX_CHAIN {
                return true;
            }
            if alias.hosted_zone_id != self.zone.id {
                let addresses = self.state.services.get(&alias.dns_name);
                return addresses.is_none_or(|addresses| !addresses.is_empty());
            }
            let group = Zone::group(&self.zone.sets, &alias.dns_name, &set.rtype);
            group.into_iter().any(|target| self.healthy(target, depth + 1))
        })
    }

    /// The sets of one name and type that answer this client.
    fn chosen<'s>(&self, group: &[&'s Set], depth: usize) -> Vec<&'s Set> {
        let up: Vec<&Set> = group.iter().copied().filter(|set| self.healthy(set, depth)).collect();
        let Some(first) = group.first() else { return Vec::new() };
        let one = match first.policy() {
            None => return group.to_vec(),
            Some("multivalue answer") => {
                return self.several(if up.is_empty() { group } else { &up });
            }
            Some("failover") => failover(group, &up),
            Some("geolocation") => self.located(&up).or_else(|| self.located(group)),
            Some("CIDR") => self.by_network(&up).or_else(|| self.by_network(group)),
            // Nobody healthy counts as everybody healthy.
            Some(policy) => {
                let from = if up.is_empty() { group } else { &up };
                match policy {
                    "weighted" => self.weighted(from),
                    _ => self.nearest(from),
                }
            }
        };
        one.into_iter().collect()
    }

    fn several<'s>(&self, from: &[&'s Set]) -> Vec<&'s Set> {
        let mut sets = from.to_vec();
        if sets.len() > MAX_ANSWERS {
            let at = share(self.state.draw(), sets.len());
            sets.rotate_left(at);
            sets.truncate(MAX_ANSWERS);
        }
        sets
    }

    /// By weights; sets of weight 0 only where no other is left.
    fn weighted<'s>(&self, from: &[&'s Set]) -> Option<&'s Set> {
        let weight = |set: &Set| set.weight.unwrap_or_default();
        let total: u64 = from.iter().map(|set| weight(set)).sum();
        let draw = self.state.draw();
        if total == 0 {
            return from.get(share(draw, from.len())).copied();
        }
        let mut left = draw * total as f64;
        from.iter().copied().find(|set| {
            left -= weight(set) as f64;
            left < 0.0
        })
    }

    /// The set of the smallest region that the client is in.
    fn located<'s>(&self, from: &[&'s Set]) -> Option<&'s Set> {
        let country = common::country(self.client);
        let continent = country.and_then(places::continent);
        let rank = |set: &Set| {
            let geo = set.geo_location.as_ref()?;
            let own = |code: &Option<String>, told: Option<&str>| {
                code.is_some() && code.as_deref() == told
            };
            if geo.subdivision_code.is_some() {
                None
            } else if own(&geo.country_code, country) {
                Some(3)
            } else if own(&geo.continent_code, continent) {
                Some(2)
            } else {
                own(&geo.country_code, Some("*")).then_some(1)
            }
        };
        let ranked = from.iter().copied().filter_map(|set| Some((rank(set)?, set)));
        ranked.max_by_key(|(rank, _)| *rank).map(|(_, set)| set)
    }

    /// The set of the longest network that the client is in, else the default's.
    fn by_network<'s>(&self, from: &[&'s Set]) -> Option<&'s Set> {
        let length = |set: &Set| {
            let config = set.cidr_routing_config.as_ref()?;
            if config.location_name == "*" {
                return Some(0);
            }
            let collection = self.state.collections.get(&config.collection_id)?;
            let own = collection.blocks.iter().filter(|(_, at)| **at == config.location_name);
            let networks = own.filter_map(|(block, _)| block.parse::<ipnet::IpNet>().ok());
            let networks = networks.filter(|network| network.contains(&self.client));
            networks.map(|network| u16::from(network.prefix_len()) + 1).max()
        };
        let known = from.iter().copied().filter_map(|set| Some((length(set)?, set)));
        known.max_by_key(|(length, _)| *length).map(|(_, set)| set)
    }

    /// By distance: of latency, to the set's region; of geoproximity, as its bias bends it.
    fn nearest<'s>(&self, from: &[&'s Set]) -> Option<&'s Set> {
        let here = places::country(common::country(self.client).unwrap_or("US"));
        let distance = |set: &Set| {
            let proximity = set.geo_proximity_location.as_ref();
            let region =
                set.region.as_deref().or(proximity.and_then(|own| own.aws_region.as_deref()));
            let point = proximity.and_then(|own| own.coordinates.as_ref());
            let there = match point {
                Some(point) => (point.latitude.parse().unwrap(), point.longitude.parse().unwrap()),
                None => places::region(region.unwrap_or_default()),
            };
            let bias = proximity.and_then(|own| own.bias).unwrap_or_default() as f64;
            let factor = if bias < 0.0 { 1.0 / (1.0 + bias / 100.0) } else { 1.0 - bias / 100.0 };
            places::distance(here, there) * factor
        };
        from.iter().copied().min_by(|one, other| distance(one).total_cmp(&distance(other)))
    }
}

/// The primary if it is up, else the secondary if that is up, else the primary.
fn failover<'s>(group: &[&'s Set], up: &[&'s Set]) -> Option<&'s Set> {
    let role = |sets: &[&'s Set], role: &str| {
        sets.iter().copied().find(|set| set.failover.as_deref() == Some(role))
    };
    role(up, "PRIMARY")
        .or_else(|| role(up, "SECONDARY"))
        .or_else(|| role(group, "PRIMARY"))
        .or_else(|| role(group, "SECONDARY"))
}

fn share(draw: f64, of: usize) -> usize {
    ((draw * of as f64) as usize).min(of - 1)
}

/// Records in one multivalue answer.
const MAX_ANSWERS: usize = 8;

/// CNAMEs, or aliases, one behind the other.
const MAX_CHAIN: usize = 16;

/// What the vendor's services have, in seconds.
const SERVICE_TTL: u32 = 60;
