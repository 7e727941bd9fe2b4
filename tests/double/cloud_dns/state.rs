//! What the double holds: zones with their sets and changes, health checks, tokens, quotas.

use super::{
    compute::Check,
    refusal::Refusal,
    tokens::Token,
    validate::Reader,
    values,
    wire::{Change, Rrset, timestamp},
};
use crate::double::common::Denied;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// A set's place in a zone: its labels from the right, as listings go, and its type.
pub(super) type Key = (Vec<String>, String);

#[derive(Debug)]
pub(super) struct State {
    pub(super) zones: BTreeMap<String, Zone>,
    pub(super) checks: BTreeMap<String, Check>,
    /// Operations of compute by name, with when they are done.
    pub(super) operations: BTreeMap<String, (Value, Duration)>,
    pub(super) tokens: BTreeMap<String, Token>,
    pub(super) denied: Denied,
    /// Endpoints that fail their checks.
    pub(super) down: BTreeSet<String>,
    pub(super) quotas: BTreeMap<String, u64>,
    /// Whether health checks may be made and seen.
    pub(super) checks_allowed: bool,
    /// Health checks that the project may have (compute's quota HEALTH_CHECKS).
    pub(super) most_checks: usize,
    /// The clock's time, as of the call that is being answered.
    pub(super) now: Duration,
    numbers: u64,
}

#[derive(Debug)]
pub(super) struct Zone {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) dns_name: String,
    pub(super) visibility: &'static str,
    /// Whether it has DNSSEC.
    pub(super) signed: bool,
    created: String,
    pub(super) sets: BTreeMap<Key, Rrset>,
    /// Each with the time at which it is done.
    pub(super) changes: Vec<(Change, Duration)>,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            zones: BTreeMap::new(),
            checks: BTreeMap::new(),
            operations: BTreeMap::new(),
            tokens: BTreeMap::new(),
            denied: Denied::None,
            down: BTreeSet::new(),
            checks_allowed: true,
            most_checks: 75,
            quotas: QUOTAS.into_iter().map(|(name, most)| (name.to_owned(), most)).collect(),
            now: Duration::ZERO,
            numbers: 4_000_000_000_000_000_000,
        }
    }

    /// A number that was not given out before.
    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 7_919;
        self.numbers
    }

    pub(super) fn quota(&self, name: &str) -> u64 {
        self.quotas[name]
    }

    /// The zone of that name or number.
    pub(super) fn zone(&self, named: &str) -> Result<&Zone, Refusal> {
        let mut zones = self.zones.values();
        let found = self.zones.get(named).or_else(|| zones.find(|zone| zone.id == named));
        found.ok_or_else(|| Refusal::not_found("parameters.managedZone", named))
    }

    fn zone_mut(&mut self, named: &str) -> Result<&mut Zone, Refusal> {
        let name = self.zone(named)?.name.clone();
        Ok(self.zones.get_mut(&name).unwrap())
    }

    /// Makes a zone for that domain; gives its name.
    pub(super) fn create(&mut self, dns_name: &str) -> String {
        let name = dns_name.trim_end_matches('.').replace('.', "-");
        self.create_as(&name, dns_name, "public");
        name
    }

    /// Makes a zone of that name for that domain, which another may be for already.
    pub(super) fn create_as(&mut self, name: &str, dns_name: &str, visibility: &'static str) {
        let servers: Vec<String> = SERVERS.iter().map(|&server| server.to_owned()).collect();
        let soa =
            format!("{} cloud-dns-hostmaster.google.com. 1 21600 3600 259200 300", SERVERS[0]);
        let sets = vec![
            Rrset::plain(dns_name, "NS", 21600, servers),
            Rrset::plain(dns_name, "SOA", 21600, vec![soa]),
        ];
        let zone = Zone {
            id: self.number().to_string(),
            name: name.to_owned(),
            dns_name: dns_name.to_owned(),
            visibility,
            signed: false,
            created: timestamp(),
            sets: sets.iter().map(|set| (key(&set.name, &set.rtype), set.clone())).collect(),
            changes: vec![(Change::new(0, sets, Vec::new()), Duration::ZERO)],
        };
        self.zones.insert(name.to_owned(), zone);
    }

    /// Carries a change out, whole or not at all.
    pub(super) fn change(
        &mut self,
        zone: &str,
        asked: Change,
        now: Duration,
    ) -> Result<Change, Refusal> {
        let dns_name = self.zone(zone)?.dns_name.clone();
        if asked.additions.is_empty() && asked.deletions.is_empty() {
            return Err(Refusal::required("entity.change"));
        }
        for (list, quota, of) in [
            (&asked.additions, "rrsetAdditionsPerChange", "additions per change"),
            (&asked.deletions, "rrsetDeletionsPerChange", "deletions per change"),
        ] {
            if list.len() as u64 > self.quota(quota) {
                return Err(Refusal::quota(of));
            }
        }
        let additions = self.all(asked.additions, "additions", &dns_name)?;
        let deletions = self.all(asked.deletions, "deletions", &dns_name)?;
        let size: usize = additions.iter().chain(&deletions).map(|(_, set)| set.size()).sum();
        if size as u64 > self.quota("totalRrdataSizePerChange") {
            return Err(Refusal::quota("total rrdata size per change"));
        }
        let sets = self.applied(zone, &additions, &deletions)?;
        let own = self.zone_mut(zone)?;
        own.sets = sets;
        let bare = |list: Vec<(String, Rrset)>| list.into_iter().map(|(_, set)| set).collect();
        let change = Change::new(own.changes.len(), bare(additions), bare(deletions));
        own.changes.push((change.clone(), now + PENDING));
        Ok(change)
    }

    /// Reads a list of sets; each with the path that answers speak of it by.
    fn all(
        &self,
        list: Vec<Rrset>,
        field: &str,
        zone: &str,
    ) -> Result<Vec<(String, Rrset)>, Refusal> {
        let mut read = Vec::new();
        for (at, set) in list.into_iter().enumerate() {
            let path = match set.name.is_empty() || set.rtype.is_empty() {
                true => format!("entity.change.{field}[{at}]"),
                false => format!("entity.change.{field}[{}][{}]", set.name, set.rtype),
            };
            let set = Reader { state: self, path: path.clone() }.read(set, zone)?;
            read.push((path, set));
        }
        Ok(read)
    }

    /// The zone's sets after these deletions and additions.
    pub(super) fn applied(
        &self,
        zone: &str,
        additions: &[(String, Rrset)],
        deletions: &[(String, Rrset)],
    ) -> Result<BTreeMap<Key, Rrset>, Refusal> {
        let zone = self.zone(zone)?;
        if let Some((path, _)) =
            additions.iter().find(|(_, set)| zone.signed && !set.can_be_signed())
        {
            return Err(Refusal::invalid(
                &format!("{path}.routingPolicy"),
                "more than one health-checked address in an item of a DNSSEC-enabled zone",
            ));
        }
        let mut sets = zone.sets.clone();
        for (path, set) in deletions {
            let own = sets.remove(&key(&set.name, &set.rtype));
            let own = own.ok_or_else(|| Refusal::not_found(path, &named(&set.name, &set.rtype)))?;
            if !own.says(set) {
                return Err(Refusal::condition(path));
            }
        }
        for (path, set) in additions {
            if sets.insert(key(&set.name, &set.rtype), set.clone()).is_some() {
                return Err(Refusal::exists(path, &named(&set.name, &set.rtype)));
            }
        }
        for (path, set) in additions {
            let mut beside =
                sets.values().filter(|other| other.name == set.name && other.rtype != set.rtype);
            if beside.any(|other| set.rtype == "CNAME" || other.rtype == "CNAME") {
                let message = format!(
                    "The resource record set '{path}' is invalid because the DNS name '{}' may have \
                     either one CNAME resource record set or resource record sets of other types, but \
                     not both.",
                    set.name
                );
                return Err(Refusal::new(400, "cnameResourceRecordSetConflict", &message));
            }
        }
        for rtype in ["SOA", "NS"] {
            let gone =
                deletions.iter().find(|(_, set)| set.rtype == rtype && set.name == zone.dns_name);
            if let Some((path, _)) =
                gone.filter(|_| !sets.contains_key(&key(&zone.dns_name, rtype)))
            {
                return Err(zone.apex(path, rtype));
            }
        }
        if sets.len() as u64 > self.quota("rrsetsPerManagedZone") {
            return Err(Refusal::quota("resource record sets per managed zone"));
        }
        let checks: usize = sets.values().map(Rrset::endpoints).sum();
        if checks as u64 > self.quota("internetHealthChecksPerManagedZone") {
            return Err(Refusal::quota("internet health checks per managed zone"));
        }
        Ok(sets)
    }

    /// Puts one set in place of what is there, or of nothing.
    pub(super) fn store(&mut self, zone: &str, set: Rrset) {
        let zone = self.zones.get_mut(zone).unwrap();
        zone.sets.insert(key(&set.name, &set.rtype), set);
    }

    /// Whether that is the address of a health check that can check endpoints on the Internet.
    pub(super) fn checks_endpoints(&self, url: &str) -> bool {
        let path = format!("projects/{}/global/healthChecks/", super::PROJECT);
        let hosts = [
            "https://www.googleapis.com/compute/v1/",
            "https://compute.googleapis.com/compute/v1/",
        ];
        let rest = hosts.iter().find_map(|host| url.strip_prefix(host));
        let name = rest.and_then(|rest| rest.strip_prefix(path.as_str()));
        name.and_then(|name| self.checks.get(name)).is_some_and(|check| check.is_global(self.now))
    }

    pub(super) fn quota_json(&self) -> Value {
        let mut quota: serde_json::Map<String, Value> =
            self.quotas.iter().map(|(name, most)| (name.clone(), json!(most))).collect();
        quota.insert("kind".to_owned(), json!("dns#quota"));
        quota.insert(
            "whitelistedKeySpecs".to_owned(),
            json!([{ "kind": "dns#dnsKeySpec", "keyType": "keySigning", "algorithm": "rsasha256", "keyLength": 2048 }]),
        );
        Value::Object(quota)
    }
}

impl Zone {
    pub(super) fn json(&self) -> Value {
        json!({
            "kind": "dns#managedZone",
            "id": self.id,
            "name": self.name,
            "dnsName": self.dns_name,
            "description": "",
            "creationTime": self.created,
            "nameServers": SERVERS,
            "visibility": self.visibility,
            "dnssecConfig": {
                "kind": "dns#managedZoneDnsSecConfig",
                "state": if self.signed { "on" } else { "off" },
            },
            "cloudLoggingConfig": { "kind": "dns#managedZoneCloudLoggingConfig" },
        })
    }

    pub(super) fn set(&self, name: &str, rtype: &str) -> Result<&Rrset, Refusal> {
        let found = values::name(name).and_then(|name| self.sets.get(&key(&name, rtype)));
        found.ok_or_else(|| Refusal::not_found("parameters.name", &named(name, rtype)))
    }

    /// A change as it is at that time.
    pub(super) fn change_at(&self, at: usize, now: Duration) -> Option<Change> {
        let (change, done) = self.changes.get(at)?;
        let mut change = change.clone();
        let status = if now >= *done { "done" } else { "pending" };
        status.clone_into(&mut change.status);
        Some(change)
    }

    pub(super) fn apex(&self, path: &str, rtype: &str) -> Refusal {
        let message = format!(
            "The resource record set '{path}' is invalid because a zone must contain exactly one \
             resource record set of type '{rtype}' at the apex."
        );
        Refusal::new(400, "invalidZoneApex", &message)
    }
}

pub(super) fn key(name: &str, rtype: &str) -> Key {
    let labels = name.trim_end_matches('.').rsplit('.').map(str::to_owned).collect();
    (labels, rtype.to_owned())
}

pub(super) fn named(name: &str, rtype: &str) -> String {
    format!("{name} ({rtype})")
}

/// How long a change is pending, and an operation of compute running.
pub(super) const PENDING: Duration = Duration::from_millis(200);

const SERVERS: [&str; 4] = [
    "ns-cloud-a1.googledomains.com.",
    "ns-cloud-a2.googledomains.com.",
    "ns-cloud-a3.googledomains.com.",
    "ns-cloud-a4.googledomains.com.",
];

/// What a project may have, as `projects.get` says it; what the vendor publishes of it, else
/// figures of that order.
const QUOTAS: [(&str, u64); 12] = [
    ("managedZones", 10_000),
    ("rrsetsPerManagedZone", 10_000),
    ("rrsetAdditionsPerChange", 1_000),
    ("rrsetDeletionsPerChange", 1_000),
    ("totalRrdataSizePerChange", 100_000),
    ("resourceRecordsPerRrset", 100),
    ("itemsPerRoutingPolicy", 100),
    ("internetHealthChecksPerManagedZone", 100),
    ("nameserversPerDelegation", 8),
    ("dnsKeysPerManagedZone", 4),
    ("networksPerManagedZone", 200),
    ("policies", 100),
];
