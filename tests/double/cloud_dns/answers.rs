//! What Cloud DNS' name servers answer a client: policies, health, aliases, CNAMEs, wildcards.

use super::{
    places,
    state::{State, Zone, key},
    values,
    wire::{Checked, Geo, Item, Policy, Rrset},
};
use std::{collections::BTreeSet, net::IpAddr};

/// One record of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) rtype: String,
    pub(super) ttl: u32,
    pub(super) data: String,
}

/// Records, or none; and whether the name exists.
#[derive(Debug, PartialEq)]
pub(super) struct Found {
    pub(super) records: Vec<Record>,
    pub(super) exists: bool,
}

/// Looks a name up in a zone for a client there.
pub(super) fn look_up(
    state: &State,
    zone: &Zone,
    name: &str,
    rtype: &str,
    client: IpAddr,
) -> Found {
    let mut found = Found { records: Vec::new(), exists: true };
    let mut name = name.to_ascii_lowercase();
    for _ in 0..16 {
        let Some(owner) = owner(zone, &name) else {
            found.exists = !found.records.is_empty();
            break;
        };
        if delegated(zone, &name, rtype) {
            break;
        }
        let at = |rtype: &str| zone.sets.get(&key(&owner, rtype));
        if let Some(set) = at(rtype) {
            found.records.extend(records(state, set, &name, client));
            break;
        }
        let alias = at("ALIAS").filter(|_| matches!(rtype, "A" | "AAAA"));
        let Some(link) = at("CNAME").or(alias) else { break };
        let next = records(state, link, &name, client);
        let Some(target) = next.first().map(|record| record.data.clone()) else { break };
        if link.rtype == "CNAME" {
            found.records.extend(next);
        }
        if !values::within(&target, &zone.dns_name) {
            break;
        }
        name = target;
    }
    found
}

/// Whether a name is another zone's, by NS below this one's top (RFC 1034 §4.2.1).
fn delegated(zone: &Zone, name: &str, rtype: &str) -> bool {
    zone.sets.values().any(|set| {
        let cut = set.rtype == "NS" && set.name != zone.dns_name && values::within(name, &set.name);
        cut && !(set.name == name && matches!(rtype, "NS" | "DS"))
    })
}

/// The name whose sets stand for that one: itself, or the wildcard over it (RFC 4592).
fn owner(zone: &Zone, name: &str) -> Option<String> {
    if !values::within(name, &zone.dns_name) {
        return None;
    }
    let exists = |name: &str| zone.sets.values().any(|set| values::within(&set.name, name));
    if exists(name) {
        return Some(name.to_owned());
    }
    let mut encloser = name;
    while !exists(encloser) {
        encloser = encloser.split_once('.')?.1;
    }
    let wildcard = format!("*.{encloser}");
    zone.sets.values().any(|set| set.name == wildcard).then_some(wildcard)
}

fn records(state: &State, set: &Rrset, name: &str, client: IpAddr) -> Vec<Record> {
    let data = match (&set.rrdatas, &set.routing_policy) {
        (Some(list), _) => list.clone(),
        (None, Some(policy)) => steered(policy, &state.down, client),
        (None, None) => Vec::new(),
    };
    let ttl = u32::try_from(set.ttl.unwrap_or_default()).unwrap();
    let record = |data| Record { name: name.to_owned(), rtype: set.rtype.clone(), ttl, data };
    data.into_iter().map(record).collect()
}

/// What a policy gives a client, with these endpoints failing.
fn steered(policy: &Policy, down: &BTreeSet<String>, client: IpAddr) -> Vec<String> {
    if let Some(wrr) = &policy.wrr {
        let serving: Vec<&Item> = wrr.items.iter().filter(|item| serves(item, down)).collect();
        let some = if serving.is_empty() { wrr.items.iter().collect() } else { serving };
        return drawn(&some).map_or(Vec::new(), |item| of(item, down));
    }
    if let Some(geo) = &policy.geo {
        return nearest(geo, down, client);
    }
    let Some(pair) = &policy.primary_backup else { return Vec::new() };
    let backup =
        || pair.backup_geo_targets.as_ref().map_or(Vec::new(), |geo| nearest(geo, down, client));
    if fastrand::f64() < pair.trickle_traffic.unwrap_or_default() {
        return backup();
    }
    let primary = pair.primary_targets.as_ref().map_or(Vec::new(), |own| healthy(own, down));
    if primary.is_empty() { backup() } else { primary }
}

/// The nearest item; without a fence, the nearest that serves, if any does.
fn nearest(geo: &Geo, down: &BTreeSet<String>, client: IpAddr) -> Vec<String> {
    let mut items: Vec<&Item> = geo.items.iter().collect();
    let distance = |item: &Item| {
        let region = item.location.as_deref().unwrap_or_default();
        places::distance(client, region).unwrap_or(f64::MAX)
    };
    items.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
    let fenced = geo.enable_fencing == Some(true);
    let first = items.first();
    let chosen = items.iter().find(|item| fenced || serves(item, down)).or(first);
    chosen.map_or(Vec::new(), |item| of(item, down))
}

/// One item, each as likely as its weight says.
fn drawn<'a>(items: &[&'a Item]) -> Option<&'a Item> {
    let weight = |item: &&Item| item.weight.unwrap_or_default();
    let total: f64 = items.iter().map(weight).sum();
    let mut left = fastrand::f64() * total;
    let within = |item: &&&'a Item| {
        left -= weight(item);
        left < 0.0
    };
    items.iter().find(within).or(items.first()).copied()
}

/// Whether an item has something to answer with that is not known to fail.
fn serves(item: &Item, down: &BTreeSet<String>) -> bool {
    let checked = item.health_checked_targets.as_ref();
    item.rrdatas.is_some() || checked.is_some_and(|own| !healthy(own, down).is_empty())
}

/// An item's data: those not checked, and of the checked those that serve; all, where none does.
fn of(item: &Item, down: &BTreeSet<String>) -> Vec<String> {
    let mut data = item.rrdatas.clone().unwrap_or_default();
    if let Some(checked) = &item.health_checked_targets {
        data.extend(healthy(checked, down));
        if data.is_empty() {
            data.clone_from(&checked.external_endpoints);
        }
    }
    data
}

fn healthy(targets: &Checked, down: &BTreeSet<String>) -> Vec<String> {
    targets.external_endpoints.iter().filter(|own| !down.contains(*own)).cloned().collect()
}
