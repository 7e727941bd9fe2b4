//! What the name servers answer a client: record sets, aliases, wildcards, and chains of CNAME
//! records through the zones and trafficmanager.net.

use super::world::{Set, World, Zone, within};
use std::net::IpAddr;

/// One record of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    /// In lower case, with its final dot.
    pub(super) name: String,
    pub(super) rtype: &'static str,
    pub(super) ttl: u32,
    pub(super) data: String,
}

/// An answer, as far as the double knows the names.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) records: Vec<Record>,
    /// Whether the last name of the chain has records of any type.
    pub(super) exists: bool,
    /// Whether any of the names is the double's.
    pub(super) known: bool,
}

impl World {
    pub(super) fn answer(&mut self, name: &str, rtype: &str, client: IpAddr) -> Answer {
        let mut answer = Answer::default();
        let mut at = format!("{}.", name.trim_end_matches('.').to_ascii_lowercase());
        for _ in 0..LONGEST {
            let Some(step) = self.step(&at, rtype, client) else { return answer };
            answer.known = true;
            answer.exists = step.1;
            let next = step.0.iter().find(|own| own.rtype == "CNAME" && rtype != "CNAME");
            let next = next.map(|own| own.data.clone());
            answer.records.extend(step.0);
            let Some(next) = next else { return answer };
            at = next;
        }
        answer
    }

    /// The records of one name, and whether it exists; nothing if it is not the double's.
    fn step(&mut self, name: &str, rtype: &str, client: IpAddr) -> Option<(Vec<Record>, bool)> {
        let plain = name.trim_end_matches('.');
        if let Some(relative) = plain.strip_suffix(".trafficmanager.net") {
            let found =
                self.profiles.iter().find(|(_, own)| own.relative.eq_ignore_ascii_case(relative));
            let Some((key, ttl)) = found.map(|(key, own)| (key.clone(), own.ttl)) else {
                return Some((Vec::new(), false));
            };
            return Some((self.steered(name, &key, ttl, rtype, client), true));
        }
        let apex = apexes(plain).find(|apex| self.zones.contains_key(*apex))?.to_owned();
        let zone = &self.zones[&apex];
        let relative = plain.strip_suffix(&apex).unwrap().trim_end_matches('.');
        let owner = owner(zone, if relative.is_empty() { "@" } else { relative });
        let Some(owner) = owner else {
            return Some((Vec::new(), is_above(zone, relative)));
        };
        let set = [rtype, "CNAME"].iter().find_map(|rtype| {
            zone.sets.values().find(|own| own.kind.name == *rtype && same(own, &owner))
        });
        let Some(set) = set.cloned() else { return Some((Vec::new(), true)) };
        Some((self.records(name, &apex, &set, client), true))
    }

    fn records(&mut self, name: &str, apex: &str, set: &Set, client: IpAddr) -> Vec<Record> {
        let Some(id) = &set.target else { return plain(name, set) };
        let path = within(id).unwrap_or_default();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match path[..] {
            ["trafficmanagerprofiles", profile] => {
                let Some(own) = self.profiles.get(profile) else { return Vec::new() };
                if set.kind.name == "CNAME" {
                    let data = format!("{}.", own.fqdn().to_ascii_lowercase());
                    let ttl = u32::try_from(set.ttl).unwrap();
                    return vec![Record { name: name.to_owned(), rtype: "CNAME", ttl, data }];
                }
                let ttl = own.ttl;
                let mut found = self.steered(name, profile, ttl, set.kind.name, client);
                found.retain(|own| own.rtype == set.kind.name);
                found
            }
            ["dnszones", _, _, other] => {
                let zone = &self.zones[apex];
                let other = zone.sets.get(&(other.to_owned(), set.kind.name));
                other.map(|other| plain(name, other)).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    fn steered(
        &mut self,
        name: &str,
        profile: &str,
        ttl: u64,
        rtype: &str,
        client: IpAddr,
    ) -> Vec<Record> {
        let ttl = u32::try_from(ttl).unwrap();
        let chosen = self.steer(profile, rtype, client).into_iter();
        chosen
            .map(|(rtype, target)| {
                let target = match rtype {
                    "CNAME" => format!("{}.", target.trim_end_matches('.').to_ascii_lowercase()),
                    _ => target,
                };
                Record { name: name.to_owned(), rtype, ttl, data: target }
            })
            .filter(|own| own.rtype == rtype || own.rtype == "CNAME")
            .collect()
    }
}

fn plain(name: &str, set: &Set) -> Vec<Record> {
    let ttl = u32::try_from(set.ttl).unwrap();
    let record = |data| Record { name: name.to_owned(), rtype: set.kind.name, ttl, data };
    set.records.iter().map(|own| record(set.kind.shown(own))).collect()
}

/// The name and its parents, one label less each.
fn apexes(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |own| own.split_once('.').map(|(_, rest)| rest))
}

/// The name itself if it has records or names below it, or the wildcard of its closest encloser.
fn owner(zone: &Zone, relative: &str) -> Option<String> {
    let has = |name: &str| zone.sets.values().any(|own| served(own) && same(own, name));
    if has(relative) {
        return Some(relative.to_owned());
    }
    if relative == "@" || is_above(zone, relative) {
        return None;
    }
    let mut above = relative;
    while let Some((_, rest)) = above.split_once('.') {
        above = rest;
        if has(rest) || is_above(zone, rest) {
            return Some(format!("*.{rest}")).filter(|name| has(name));
        }
    }
    Some("*".to_owned()).filter(|name| has(name))
}

fn is_above(zone: &Zone, relative: &str) -> bool {
    let below = format!(".{relative}");
    zone.sets.values().any(|own| served(own) && own.name.to_ascii_lowercase().ends_with(&below))
}

fn same(set: &Set, name: &str) -> bool {
    set.name.eq_ignore_ascii_case(name)
}

/// An empty record set is not seen by the name servers.
fn served(set: &Set) -> bool {
    set.target.is_some() || !set.records.is_empty()
}

const LONGEST: usize = 16;
