//! Cloud DNS' own JSON: record sets, routing policies and changes, with no field that it has not.

use super::refusal::Refusal;
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned, de::Error};
use serde_json::Value;

/// A `ResourceRecordSet`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Rrset {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default, rename = "type")]
    pub(super) rtype: String,
    #[serde(default, deserialize_with = "int32")]
    pub(super) ttl: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rrdatas: Option<Vec<String>>,
    /// The vendor's to say; taken from no request.
    #[serde(default, skip_serializing)]
    signature_rrdatas: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) routing_policy: Option<Policy>,
}

/// An `RRSetRoutingPolicy`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Policy {
    #[serde(default)]
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) geo: Option<Geo>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) wrr: Option<Wrr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) primary_backup: Option<PrimaryBackup>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) health_check: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Geo {
    #[serde(default)]
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) enable_fencing: Option<bool>,
    #[serde(default)]
    pub(super) items: Vec<Item>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Wrr {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    pub(super) items: Vec<Item>,
}

/// An item of a geo policy (then with a location) or of a wrr policy (then with a weight).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Item {
    #[serde(default)]
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) location: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) weight: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rrdatas: Option<Vec<String>>,
    #[serde(default, skip_serializing)]
    signature_rrdatas: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) health_checked_targets: Option<Checked>,
}

/// `RRSetRoutingPolicyHealthCheckTargets`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Checked {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) external_endpoints: Vec<String>,
    /// Only for private zones, which this double has none of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) internal_load_balancers: Vec<Value>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PrimaryBackup {
    #[serde(default)]
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) primary_targets: Option<Checked>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) backup_geo_targets: Option<Geo>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trickle_traffic: Option<f64>,
}

/// A `Change`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Change {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    pub(super) id: String,
    #[serde(default)]
    pub(super) start_time: String,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) additions: Vec<Rrset>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) deletions: Vec<Rrset>,
    #[serde(default)]
    pub(super) is_serving: bool,
}

impl Rrset {
    pub(super) fn plain(name: &str, rtype: &str, ttl: i32, data: Vec<String>) -> Self {
        let mut set = Self {
            name: name.to_owned(),
            rtype: rtype.to_owned(),
            ttl: Some(ttl),
            rrdatas: Some(data),
            ..Self::default()
        };
        set.mark();
        set
    }

    /// Gives every part the kind that the vendor gives it, and takes out what only it may say.
    pub(super) fn mark(&mut self) {
        "dns#resourceRecordSet".clone_into(&mut self.kind);
        self.signature_rrdatas = None;
        let Some(policy) = &mut self.routing_policy else { return };
        "dns#rRSetRoutingPolicy".clone_into(&mut policy.kind);
        policy.geo.iter_mut().for_each(Geo::mark);
        if let Some(wrr) = &mut policy.wrr {
            "dns#rRSetRoutingPolicyWrrPolicy".clone_into(&mut wrr.kind);
            wrr.items
                .iter_mut()
                .for_each(|item| item.mark("dns#rRSetRoutingPolicyWrrPolicyWrrPolicyItem"));
        }
        if let Some(pair) = &mut policy.primary_backup {
            "dns#rRSetRoutingPolicyPrimaryBackupPolicy".clone_into(&mut pair.kind);
            pair.backup_geo_targets.iter_mut().for_each(Geo::mark);
        }
    }

    /// Whether both say the same, whatever the order of their values.
    pub(super) fn says(&self, other: &Self) -> bool {
        self.sorted() == other.sorted()
    }

    fn sorted(&self) -> Self {
        let mut set = self.clone();
        set.lists().into_iter().for_each(|list| list.sort());
        set
    }

    /// All lists of values in it, of whatever policy.
    pub(super) fn lists(&mut self) -> Vec<&mut Vec<String>> {
        let mut lists: Vec<&mut Vec<String>> = self.rrdatas.iter_mut().collect();
        let Some(policy) = &mut self.routing_policy else { return lists };
        let mut items: Vec<&mut Item> = Vec::new();
        items.extend(policy.geo.iter_mut().flat_map(|geo| &mut geo.items));
        items.extend(policy.wrr.iter_mut().flat_map(|wrr| &mut wrr.items));
        if let Some(pair) = &mut policy.primary_backup {
            lists.extend(pair.primary_targets.iter_mut().map(|own| &mut own.external_endpoints));
            items.extend(pair.backup_geo_targets.iter_mut().flat_map(|geo| &mut geo.items));
        }
        for item in items {
            lists.extend(item.rrdatas.as_mut());
            lists.extend(
                item.health_checked_targets.iter_mut().map(|own| &mut own.external_endpoints),
            );
        }
        lists
    }

    /// How many endpoints it has checked over the Internet.
    pub(super) fn endpoints(&self) -> usize {
        let Some(policy) = &self.routing_policy else { return 0 };
        let pair = policy.primary_backup.as_ref();
        let backup = pair.and_then(|pair| pair.backup_geo_targets.as_ref());
        let geo = policy.geo.iter().chain(backup).flat_map(|geo| &geo.items);
        let items = geo.chain(policy.wrr.iter().flat_map(|wrr| &wrr.items));
        let checked = items.filter_map(|item| item.health_checked_targets.as_ref());
        let primary = pair.and_then(|pair| pair.primary_targets.as_ref());
        checked.chain(primary).map(|targets| targets.external_endpoints.len()).sum()
    }

    /// Whether a zone with DNSSEC takes it: of each answer one address is checked, and nothing
    /// stands beside it (`signatureRrdatas` and `WrrPolicyItem` in dns.v1).
    pub(super) fn can_be_signed(&self) -> bool {
        let Some(policy) = &self.routing_policy else { return true };
        let pair = policy.primary_backup.as_ref();
        let backup = pair.and_then(|pair| pair.backup_geo_targets.as_ref());
        let geo = policy.geo.iter().chain(backup).flat_map(|geo| &geo.items);
        let mut items = geo.chain(policy.wrr.iter().flat_map(|wrr| &wrr.items));
        let alone = |own: &Checked| own.external_endpoints.len() == 1;
        items.all(|item| {
            let checked = item.health_checked_targets.as_ref();
            checked.is_none_or(|own| alone(own) && item.rrdatas.is_none())
        }) && pair.and_then(|pair| pair.primary_targets.as_ref()).is_none_or(alone)
    }

    /// How many bytes of data it holds, as `totalRrdataSizePerChange` counts them.
    pub(super) fn size(&self) -> usize {
        self.clone().lists().into_iter().flatten().map(|value| value.len()).sum()
    }
}

impl Geo {
    fn mark(&mut self) {
        "dns#rRSetRoutingPolicyGeoPolicy".clone_into(&mut self.kind);
        self.items
            .iter_mut()
            .for_each(|item| item.mark("dns#rRSetRoutingPolicyGeoPolicyGeoPolicyItem"));
    }
}

impl Item {
    fn mark(&mut self, kind: &str) {
        kind.clone_into(&mut self.kind);
        self.signature_rrdatas = None;
    }
}

impl Change {
    pub(super) fn new(id: usize, additions: Vec<Rrset>, deletions: Vec<Rrset>) -> Self {
        Self {
            kind: "dns#change".to_owned(),
            id: id.to_string(),
            start_time: timestamp(),
            status: "pending".to_owned(),
            additions,
            deletions,
            is_serving: true,
        }
    }
}

/// Reads a request's body as the vendor does: JSON, and no name that it does not know.
pub(super) fn read<T: DeserializeOwned>(body: &[u8], within: &str) -> Result<T, Refusal> {
    if body.is_empty() {
        return Err(Refusal::required(&format!("entity.{within}")));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.inner().to_string();
        let said = match inner.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`'))
        {
            Some((field, _)) => {
                let (parent, _) = path.rsplit_once('.').unwrap_or(("", ""));
                format!("Unknown name \"{field}\" at '{within}.{parent}': Cannot find field.")
            }
            None => format!("Invalid value at '{within}.{path}': {inner}"),
        };
        Refusal::malformed(&format!("Invalid JSON payload received. {said}"))
    })
}

pub(super) fn timestamp() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// An int32 as proto3's JSON takes it: a number, or the same in quotes.
fn int32<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i32>, D::Error> {
    let number = match Option::<Value>::deserialize(from)? {
        None => return Ok(None),
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.parse().ok(),
        Some(_) => None,
    };
    let number = number.and_then(|number| i32::try_from(number).ok());
    number.map(Some).ok_or_else(|| D::Error::custom("not a TYPE_INT32"))
}
