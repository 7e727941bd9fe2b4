//! Between record sets and Cloud DNS' own: names and values as text, and a routing policy as one
//! attribute, `policy=<JSON>`, in the one form that two policies which say the same share.

use crate::{
    model::{Name, Ttl},
    plan::{Attributes, RecordSet, SetKey, policy_text},
    records::{RecordType, rdata_from_text, rdata_to_text},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// A `ResourceRecordSet`, without what only the service says.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rrset {
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rrdatas: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    routing_policy: Option<Value>,
}

/// The attribute that holds a routing policy.
const POLICY: &str = "policy";

// === Reading ===

/// A set as Cloud DNS has it. What we cannot read is kept as an attribute, so that it is seen, is
/// nobody's but its owner's, and does not spoil the rest of the zone.
pub(super) fn read(set: Rrset) -> RecordSet {
    let mut more = Attributes::new();
    let mut note = |word: &str, text: &str| drop(more.insert(word.into(), text.into()));
    let owner = set.name.to_lowercase().parse::<Name>().unwrap_or_else(|_| {
        note("unreadable-name", &set.name);
        Name::root()
    });
    let rtype = set.rtype.parse().unwrap_or_else(|_| {
        note("unreadable-type", &set.rtype);
        RecordType(0)
    });
    let mut data: Vec<Arc<[u8]>> = Vec::new();
    for text in &set.rrdatas {
        match rdata_from_text(rtype, text, &Name::root()) {
            Ok(octets) => data.push(octets.into()),
            Err(_) => note("unreadable-value", text),
        }
    }
    data.sort();
    data.dedup();
    if let Some(policy) = set.routing_policy {
        note(POLICY, &policy_text(policy));
    }
    let ttl = set.ttl.map(Ttl::from_secs);
    let key = SetKey { owner: owner.key(), rtype, id: None };
    RecordSet { key, ttl, data, more, version: None }
}

// === Writing ===

/// The set as Cloud DNS wants it, or what of it cannot be said.
pub(super) fn write(set: &RecordSet) -> Result<Rrset, String> {
    let mut routing_policy = None;
    for (word, value) in &set.more {
        let bad = || format!("{set}: {word}={value} cannot be said");
        match &**word {
            POLICY => routing_policy = Some(serde_json::from_str(value).map_err(|_| bad())?),
            _ => return Err(bad()),
        }
    }
    if let Some(id) = &set.key.id {
        return Err(format!("{set}: [{id}] cannot be said, sets have no identifiers here"));
    }
    let rtype = set.key.rtype;
    Ok(Rrset {
        name: set.key.name().to_string(),
        rtype: rtype.to_string(),
        ttl: set.ttl.map(Ttl::as_secs),
        rrdatas: set.data.iter().map(|data| rdata_to_text(rtype, data)).collect(),
        routing_policy,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn of(set: Value) -> RecordSet {
        read(serde_json::from_value(set).unwrap())
    }

    #[test]
    fn a_policy_has_one_form_whoever_wrote_it() {
        let theirs = of(json!({
            "kind": "dns#resourceRecordSet", "name": "Shop.z.test.", "type": "A", "ttl": 30,
            "routingPolicy": { "kind": "dns#rRSetRoutingPolicy", "wrr": { "items": [
                { "weight": 1.0, "kind": "k", "rrdatas": ["1.2.3.4"], "signatureRrdatas": [] },
                { "weight": 0.5, "rrdatas": ["1.2.3.6", "1.2.3.5"] },
            ], "kind": "w" } },
        }));
        let own = r#"{"wrr":{"items":[{"rrdatas":["1.2.3.4"],"weight":1},{"rrdatas":["1.2.3.5","1.2.3.6"],"weight":0.5}]}}"#;
        assert_eq!(theirs.more.get(POLICY).map(|text| &**text), Some(own));
        assert_eq!((theirs.data.len(), theirs.ttl), (0, Some(Ttl::from_secs(30))));
        assert_eq!(theirs.key.name().to_string(), "shop.z.test.");
        let back = serde_json::to_value(write(&theirs).unwrap()).unwrap();
        assert_eq!(back["routingPolicy"].to_string(), own);
        assert_eq!(back.get("rrdatas"), None);
    }

    #[test]
    fn what_cannot_be_read_is_kept_and_never_written() {
        for set in [
            json!({ "name": "z.test.", "type": "ALIAS", "ttl": 60, "rrdatas": ["a.test."] }),
            json!({ "name": "a..test.", "type": "A", "ttl": 60, "rrdatas": ["1.2.3.4"] }),
            json!({ "name": "z.test.", "type": "A", "ttl": 60, "rrdatas": ["1.2.3"] }),
        ] {
            let set = of(set);
            assert!(!set.more.is_empty(), "{set}");
            assert!(write(&set).unwrap_err().contains("cannot be said"), "{set}");
        }
    }

    #[test]
    fn text_is_read_bare_and_in_quotes() {
        let set = |data: &str| of(json!({ "name": "t.", "type": "TXT", "rrdatas": [data] })).data;
        assert_eq!(set("bare"), set("\"bare\""));
        assert_eq!(set(r#""a\"b\\\255" "c""#), [Arc::from(&b"\x05a\"b\\\xff\x01c"[..])]);
    }

    fn policy() -> impl Strategy<Value = Option<Value>> {
        let weight = prop_oneof![Just(json!(0)), Just(json!(2.0)), Just(json!(0.25))];
        let item = (weight, 0..4_u8).prop_map(
            |(weight, last)| json!({ "weight": weight, "rrdatas": [format!("1.2.3.{last}")] }),
        );
        prop::option::of(prop_oneof![
            prop::collection::vec(item, 1..4)
                .prop_map(|items| json!({ "wrr": { "items": items } })),
            Just(json!({ "healthCheck": "https://check", "primaryBackup": {
                "trickleTraffic": 0.1,
                "primaryTargets": { "externalEndpoints": ["1.2.3.4"] },
                "backupGeoTargets": { "enableFencing": true, "items": [
                    { "location": "us-east1", "rrdatas": ["1.2.3.5"] }] },
            } })),
        ])
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            policy in policy(),
            text in prop::collection::vec(any::<u8>(), 0..600),
            label in prop::collection::vec(any::<u8>(), 1..20),
            ttl in 0..=i32::MAX.unsigned_abs(),
        ) {
            let owner = Name::from_labels([&label[..], b"z", b"test"]).unwrap().to_lowercase();
            let strings: Vec<u8> = text.chunks(255).flat_map(|part| {
                std::iter::once(u8::try_from(part.len()).unwrap()).chain(part.iter().copied())
            }).collect();
            let strings = if strings.is_empty() { vec![0] } else { strings };
            let ttl = Ttl::from_secs(ttl);
            let mut set = RecordSet::plain(&owner, RecordType::TXT, ttl, [strings]);
            if let Some(policy) = policy {
                set.data.clear();
                set.more.insert(POLICY.into(), policy_text(policy).into());
            }
            let wire = serde_json::to_string(&write(&set).unwrap()).unwrap();
            let back = read(serde_json::from_str(&wire).unwrap());
            prop_assert!(back.says_as(&set), "{back} is not {set}");
            prop_assert_eq!(back, set);
        }
    }
}
