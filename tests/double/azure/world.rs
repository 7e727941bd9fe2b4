//! What the double knows: zones with their record sets, profiles, tokens, and who may do what.

use super::{profile::Profile, records::Kind};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

pub(crate) const SUBSCRIPTION: &str = "33333333-3333-3333-3333-333333333333";
pub(crate) const GROUP: &str = "meridian-dns";

/// What is wrong with the caller's rights.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Denied {
    /// Nothing.
    #[default]
    None,
    /// The secret is wrong, and tokens issued before are good no more.
    Credentials,
    /// No role at all.
    Permission,
    /// The role of a reader.
    ReadOnly,
}

#[derive(Debug, Default)]
pub(super) struct World {
    /// By name in lower case.
    pub(super) zones: BTreeMap<String, Zone>,
    /// By name in lower case.
    pub(super) profiles: BTreeMap<String, Profile>,
    /// When each token ends.
    pub(super) tokens: BTreeMap<String, Duration>,
    pub(super) denied: Denied,
    /// Targets whose checks fail.
    pub(super) ill: BTreeSet<String>,
    /// Names under trafficmanager.net that others in the world have.
    pub(super) taken: BTreeSet<String>,
    /// Zones of the same names in other resource groups, which lists of the subscription have.
    pub(super) twins: BTreeSet<(String, String)>,
    /// How many profiles the subscription may have.
    pub(super) most_profiles: usize,
    /// The zones whose limits are set.
    pub(super) limited: BTreeSet<String>,
    /// Calls with their bodies, oldest first; the last of very many.
    pub(super) seen: VecDeque<Value>,
    made: u64,
}

#[derive(Debug)]
pub(super) struct Zone {
    pub(super) name: String,
    pub(super) tags: Value,
    pub(super) etag: String,
    /// Which of the vendor's name servers it got.
    pub(super) servers: Vec<String>,
    /// By name in lower case and type.
    pub(super) sets: BTreeMap<(String, &'static str), Set>,
}

#[derive(Clone, Debug)]
pub(super) struct Set {
    /// Relative to the zone, `@` at its apex.
    pub(super) name: String,
    pub(super) kind: &'static Kind,
    pub(super) ttl: u64,
    pub(super) records: Vec<Value>,
    /// The resource that an alias stands for.
    pub(super) target: Option<String>,
    pub(super) metadata: Option<Map<String, Value>>,
    pub(super) etag: String,
}

impl World {
    pub(super) fn new() -> Self {
        // Profiles of a subscription, as practitioners report it.
        Self { most_profiles: 200, ..Self::default() }
    }

    pub(super) fn note(&mut self, call: Value) {
        if self.seen.len() >= MOST_SEEN {
            self.seen.pop_front();
        }
        self.seen.push_back(call);
    }

    /// Counts what is made: names that never come again.
    pub(super) fn next(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    pub(super) fn etag(&mut self) -> String {
        format!("{:08x}-0000-4000-8000-{:012x}", self.next(), 0xa2_72e0_u64)
    }

    /// A zone as the vendor makes it: an SOA record and four name servers.
    pub(super) fn make_zone(&mut self, name: &str) {
        let number = self.next() % 9 + 1;
        let servers: Vec<String> = ["com", "net", "org", "info"]
            .iter()
            .zip(1..)
            .map(|(tld, at)| format!("ns{at}-{number:02}.azure-dns.{tld}."))
            .collect();
        let zone = Zone {
            name: name.to_owned(),
            tags: json!({}),
            etag: self.etag(),
            servers: servers.clone(),
            sets: BTreeMap::new(),
        };
        let key = name.to_ascii_lowercase();
        self.zones.insert(key.clone(), zone);
        let host = &servers[0];
        let soa = format!("{host} azuredns-hostmaster.microsoft.com. 1 3600 300 2419200 300");
        self.plain_set(&key, "@", "SOA", 3600, &[soa]);
        self.plain_set(&key, "@", "NS", 172_800, &servers);
    }

    /// What stood for a resource that is gone is an empty record set.
    pub(super) fn forget(&mut self, id: &str) {
        let of = |set: &Set| set.target.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(id));
        let zones = self.zones.values();
        let count = zones.flat_map(|zone| zone.sets.values()).filter(|set| of(set)).count();
        let etags: Vec<String> = (0..count).map(|_| self.etag()).collect();
        let sets = self.zones.values_mut().flat_map(|zone| zone.sets.values_mut());
        for (set, etag) in sets.filter(|set| of(set)).zip(etags) {
            set.target = None;
            set.etag = etag;
        }
    }

    pub(super) fn plain_set(
        &mut self,
        zone: &str,
        name: &str,
        rtype: &str,
        ttl: u64,
        data: &[String],
    ) {
        let kind = Kind::named(rtype).unwrap();
        let set = Set {
            name: name.to_owned(),
            kind,
            ttl,
            records: data.iter().map(|text| kind.parsed(text)).collect(),
            target: None,
            metadata: None,
            etag: self.etag(),
        };
        let zone = self.zones.get_mut(zone).unwrap();
        zone.sets.insert((name.to_ascii_lowercase(), kind.name), set);
    }
}

impl Zone {
    pub(super) fn shown(&self) -> Value {
        json!({
            "id": format!("{}/dnszones/{}", scope(), self.name),
            "name": self.name,
            "type": "Microsoft.Network/dnszones",
            "etag": self.etag,
            "location": "global",
            "tags": self.tags,
            "properties": {
                "maxNumberOfRecordSets": MOST_SETS,
                "maxNumberOfRecordsPerRecordSet": MOST_RECORDS,
                "nameServers": self.servers,
                "numberOfRecordSets": self.sets.len(),
                "zoneType": "Public",
            },
        })
    }

    pub(super) fn show(&self, set: &Set) -> Value {
        let fqdn = match set.name.as_str() {
            "@" => format!("{}.", self.name),
            name => format!("{name}.{}.", self.name),
        };
        let mut properties = json!({
            "TTL": set.ttl,
            "fqdn": fqdn,
            "provisioningState": "Succeeded",
            "targetResource": {},
        });
        match &set.target {
            Some(id) => properties["targetResource"] = json!({"id": id}),
            None => {
                if let Some(records) = set.kind.written(&set.records) {
                    properties[set.kind.key] = records;
                }
            }
        }
        if let Some(metadata) = &set.metadata {
            properties["metadata"] = json!(metadata);
        }
        json!({
            "id": set_id(&self.name, set.kind.name, &set.name),
            "name": set.name,
            "type": format!("Microsoft.Network/dnszones/{}", set.kind.name),
            "etag": set.etag,
            "properties": properties,
        })
    }
}

/// What the ids of all resources here begin with.
pub(super) fn scope() -> String {
    format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Network")
}

pub(super) fn set_id(zone: &str, rtype: &str, name: &str) -> String {
    format!("{}/dnszones/{zone}/{rtype}/{name}", scope())
}

/// What an id says after the provider's name, in lower case: `dnszones`, the zone, and so on.
pub(super) fn within(id: &str) -> Option<Vec<String>> {
    let id = id.to_ascii_lowercase();
    let rest = id.strip_prefix(&format!("{}/", scope().to_ascii_lowercase()))?;
    Some(rest.split('/').map(str::to_owned).collect())
}

/// Record sets in a zone.
pub(super) const MOST_SETS: usize = 10_000;
/// Records in a record set; of TXT, there may be more.
pub(super) const MOST_RECORDS: usize = 20;
const MOST_SEEN: usize = 5_000;
