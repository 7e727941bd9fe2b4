//! What the double keeps: zones with their sets, health checks, changes, collections of networks.

use super::names;
use crate::double::common::{Denied, Shown};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) zones: BTreeMap<String, Zone>,
    pub(crate) checks: BTreeMap<String, Check>,
    /// Caller references of checks that are gone: the vendor takes none of them twice.
    pub(crate) spent: BTreeSet<String>,
    pub(crate) changes: BTreeMap<String, Change>,
    pub(crate) collections: BTreeMap<String, Collection>,
    pub(crate) tags: BTreeMap<(String, String), BTreeMap<String, String>>,
    /// What load balancers and the like resolve to, by their names.
    pub(crate) services: BTreeMap<String, Vec<String>>,
    /// Health checks that others of the account have, which count for its quota.
    pub(crate) others_checks: usize,
    pub(crate) denied: Denied,
    /// How far the vendor's clock is ahead of ours.
    pub(crate) ahead: Duration,
    /// How long changes are PENDING.
    pub(crate) propagation: Duration,
    /// How long a zone refuses further changes after one.
    pub(crate) processing: Duration,
    /// Whether elements must come in the order of the documents.
    pub(crate) ordered: bool,
    ids: u64,
    asked: AtomicU64,
}

#[derive(Clone, Debug)]
pub(crate) struct Zone {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) private: bool,
    pub(crate) comment: Option<String>,
    pub(crate) reference: String,
    pub(crate) servers: Vec<String>,
    pub(crate) sets: Sets,
    pub(crate) busy_until: Duration,
    /// Names and types that are protected from changes.
    pub(crate) protected: BTreeSet<(String, String)>,
}

/// Sets in the order in which they are listed.
pub(crate) type Sets = BTreeMap<Key, Set>;

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    pub(crate) order: Vec<u8>,
    pub(crate) rtype: String,
    pub(crate) set: String,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Set {
    pub(crate) name: String,
    #[serde(rename = "Type")]
    pub(crate) rtype: String,
    pub(crate) set_identifier: Option<String>,
    pub(crate) weight: Option<u64>,
    pub(crate) region: Option<String>,
    pub(crate) geo_location: Option<Geo>,
    pub(crate) failover: Option<String>,
    pub(crate) multi_value_answer: Option<bool>,
    #[serde(rename = "TTL")]
    pub(crate) ttl: Option<u32>,
    pub(crate) resource_records: Option<Vec<Datum>>,
    pub(crate) alias_target: Option<Alias>,
    pub(crate) health_check_id: Option<String>,
    pub(crate) traffic_policy_instance_id: Option<String>,
    pub(crate) cidr_routing_config: Option<Cidr>,
    pub(crate) geo_proximity_location: Option<Proximity>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Datum {
    pub(crate) value: String,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Geo {
    pub(crate) continent_code: Option<String>,
    pub(crate) country_code: Option<String>,
    pub(crate) subdivision_code: Option<String>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Alias {
    pub(crate) hosted_zone_id: String,
    #[serde(rename = "DNSName")]
    pub(crate) dns_name: String,
    pub(crate) evaluate_target_health: bool,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Cidr {
    pub(crate) collection_id: String,
    pub(crate) location_name: String,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Proximity {
    #[serde(rename = "AWSRegion")]
    pub(crate) aws_region: Option<String>,
    pub(crate) local_zone_group: Option<String>,
    pub(crate) coordinates: Option<Coordinates>,
    pub(crate) bias: Option<i64>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Coordinates {
    pub(crate) latitude: String,
    pub(crate) longitude: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) id: String,
    pub(crate) reference: String,
    /// By the vendor's names, with the defaults that it fills in.
    pub(crate) config: Value,
    /// As it was asked for, to tell a repeated request from another.
    pub(crate) asked: Value,
    pub(crate) version: u64,
    /// What its checkers see, which only tests decide.
    pub(crate) up: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) at: Duration,
    pub(crate) submitted: String,
    pub(crate) comment: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Collection {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) reference: String,
    pub(crate) version: u64,
    /// Networks, and the locations that they are.
    pub(crate) blocks: BTreeMap<String, String>,
}

impl State {
    /// An identifier as hosted zones and changes have it.
    pub(crate) fn id(&mut self, first: char) -> String {
        self.ids += 1;
        let spread = self.ids.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 12;
        format!("{first}{spread:013X}")
    }

    /// An identifier as health checks and collections have it.
    pub(crate) fn uuid(&mut self) -> String {
        self.ids += 1;
        let spread = self.ids.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("{:08x}-{:04x}-4000-8000-{:012x}", spread >> 32, spread >> 16 & 0xffff, self.ids)
    }

    /// A number in 0..1, which over many queries covers that range evenly.
    pub(crate) fn draw(&self) -> f64 {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let spread = u32::try_from(asked.wrapping_mul(0x9e37_79b9) & 0xffff_ffff).unwrap();
        f64::from(spread) / (f64::from(u32::MAX) + 1.0)
    }

    /// Makes a zone with the SOA and NS sets of the vendor, and gives its identifier.
    pub(crate) fn create_zone(&mut self, name: &str, reference: &str) -> String {
        let id = self.id('Z');
        let number = self.ids;
        let servers: Vec<String> = ["com", "net", "org", "co.uk"]
            .iter()
            .zip([0, 512, 1024, 1536])
            .map(|(tld, base)| format!("ns-{}.awsdns-{:02}.{tld}", base + number, number % 64))
            .collect();
        let soa = format!("{}. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400", servers[3]);
        let hosts = servers.iter().map(|server| server.clone() + ".").collect();
        let own =
            [Set::simple(name, "SOA", 900, vec![soa]), Set::simple(name, "NS", 172_800, hosts)];
        let zone = Zone {
            id: id.clone(),
            name: name.to_owned(),
            private: false,
            comment: None,
            reference: reference.to_owned(),
            servers,
            sets: own.into_iter().map(|set| (set.key(), set)).collect(),
            busy_until: Duration::ZERO,
            protected: BTreeSet::new(),
        };
        self.zones.insert(id.clone(), zone);
        id
    }

    /// Notes a change, and says it as the vendor does.
    pub(crate) fn changed(&mut self, now: Duration, comment: Option<&str>) -> Value {
        let id = self.id('C');
        let submitted = written(wall_clock());
        let change = Change { at: now, submitted, comment: comment.map(str::to_owned) };
        let shown = change.shown(&id, false);
        self.changes.insert(id, change);
        shown
    }
}

impl Change {
    pub(crate) fn shown(&self, id: &str, synced: bool) -> Value {
        let status = if synced { "INSYNC" } else { "PENDING" };
        json!({
            "Id": format!("/change/{id}"),
            "Status": status,
            "SubmittedAt": self.submitted,
            "Comment": self.comment,
        })
    }
}

impl Key {
    pub(crate) fn new(name: &str, rtype: &str, set: &str) -> Self {
        Self { order: names::order(name), rtype: rtype.to_owned(), set: set.to_owned() }
    }
}

impl Zone {
    /// All sets of one name and type.
    pub(crate) fn group<'a>(sets: &'a Sets, name: &str, rtype: &str) -> Vec<&'a Set> {
        let first = Key::new(name, rtype, "");
        let same = |key: &Key| key.order == first.order && key.rtype == first.rtype;
        sets.range(first.clone()..).take_while(|(key, _)| same(key)).map(|(_, set)| set).collect()
    }

    /// All sets of one name.
    pub(crate) fn at<'a>(sets: &'a Sets, name: &str) -> Vec<&'a Set> {
        let first = Key::new(name, "", "");
        let same = |key: &Key| key.order == first.order;
        sets.range(first.clone()..).take_while(|(key, _)| same(key)).map(|(_, set)| set).collect()
    }
}

impl Set {
    pub(crate) fn simple(name: &str, rtype: &str, ttl: u32, data: Vec<String>) -> Self {
        let records = data.into_iter().map(|value| Datum { value }).collect();
        Self {
            name: name.to_owned(),
            rtype: rtype.to_owned(),
            ttl: Some(ttl),
            resource_records: Some(records),
            ..Self::default()
        }
    }

    pub(crate) fn key(&self) -> Key {
        Key::new(&self.name, &self.rtype, self.set_identifier.as_deref().unwrap_or_default())
    }

    pub(crate) fn data(&self) -> Vec<String> {
        let records = self.resource_records.iter().flatten();
        let mut data: Vec<String> = records.map(|record| record.value.clone()).collect();
        data.sort();
        data
    }

    /// By the vendor's names, without what is not set.
    pub(crate) fn shape(&self) -> Value {
        let mut value = serde_json::to_value(self).unwrap();
        without_nulls(&mut value);
        value
    }

    /// As scenarios see it.
    pub(crate) fn shown(&self) -> Shown {
        let mut extra = self.shape();
        for field in ["Name", "Type", "TTL", "ResourceRecords", "SetIdentifier"] {
            extra.as_object_mut().unwrap().remove(field);
        }
        Shown {
            name: self.name.clone(),
            rtype: self.rtype.clone(),
            ttl: self.ttl,
            data: self.data(),
            set: self.set_identifier.clone(),
            extra,
        }
    }

    /// As a foreign hand writes it.
    pub(crate) fn of(shown: &Shown) -> Self {
        let mut own = match &shown.extra {
            Value::Object(_) => shown.extra.clone(),
            _ => json!({}),
        };
        own["Name"] = names::canonical(&shown.name).unwrap().into();
        own["Type"] = shown.rtype.clone().into();
        let mut set: Self = serde_json::from_value(own).unwrap();
        set.ttl = shown.ttl;
        set.set_identifier.clone_from(&shown.set);
        let data = shown.data.iter().map(|value| Datum { value: value.clone() }).collect();
        set.resource_records = Some(data).filter(|_| set.alias_target.is_none());
        set
    }

    /// By what it is chosen from its group, in the vendor's word.
    pub(crate) fn policy(&self) -> Option<&'static str> {
        let policies = self.policies();
        policies.first().copied()
    }

    pub(crate) fn policies(&self) -> Vec<&'static str> {
        let all = [
            ("weighted", self.weight.is_some()),
            ("latency", self.region.is_some()),
            ("failover", self.failover.is_some()),
            ("geolocation", self.geo_location.is_some()),
            ("multivalue answer", self.multi_value_answer.is_some()),
            ("CIDR", self.cidr_routing_config.is_some()),
            ("geoproximity", self.geo_proximity_location.is_some()),
        ];
        all.into_iter().filter(|(_, has)| *has).map(|(policy, _)| policy).collect()
    }
}

/// The time that signatures and answers carry; nothing waits by it.
pub(crate) fn wall_clock() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// A time as answers have it.
pub(crate) fn written(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

pub(crate) fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, inner| !inner.is_null());
            map.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}
