//! A route as one Cloud DNS routing policy (providers.md §2): shares as weighted round robin, places
//! and distances as answers by Google Cloud region, whichever is nearest to the client.

use super::{
    Fidelity, Notes,
    native::{self, Route},
};
use crate::{
    geo,
    model::{Location, Name, Ttl},
    plan::RecordSet,
    policy::{Share, Steering},
    records::RecordType,
};
use serde_json::{Map, Number, Value, json};
use std::net::IpAddr;

/// The set of one family: plain where all clients get the same.
pub(super) fn set(
    name: &Name,
    ttl: Ttl,
    v6: bool,
    route: &Route,
    steering: &Steering,
    notes: &mut Notes,
) -> Option<RecordSet> {
    let rtype = if v6 { RecordType::AAAA } else { RecordType::A };
    let policy = match route {
        Route::Same(ips) => return plain(name, ttl, rtype, ips),
        Route::Shares(shares) => weighted(shares),
        Route::Places { .. } | Route::Nearest(_) => {
            let text = "each client gets what clients in the nearest Google Cloud region would: at \
                        borders that may be a neighbour's";
            notes.note(name, "order", Fidelity::Approximate, text.to_owned());
            note_merged(name, route, notes);
            by_region(steering, v6)
        }
    };
    routed(name, ttl, v6, policy)
}

/// A set that holds nothing but a policy.
pub(super) fn routed(name: &Name, ttl: Ttl, v6: bool, policy: Value) -> Option<RecordSet> {
    let rtype = if v6 { RecordType::AAAA } else { RecordType::A };
    let mut set = plain(name, ttl, rtype, &[std::net::Ipv4Addr::UNSPECIFIED.into()])?;
    set.data.clear();
    set.more.insert("policy".into(), policy_text(policy).into());
    Some(set)
}

/// Says that weights within a place are lost, where there are some.
fn note_merged(name: &Name, route: &Route, notes: &mut Notes) {
    if let Route::Places { places, default } = route {
        for shares in places.values().chain([default]) {
            native::merged(name, shares, notes);
        }
    }
}

fn plain(name: &Name, ttl: Ttl, rtype: RecordType, ips: &[IpAddr]) -> Option<RecordSet> {
    let octets = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    (!ips.is_empty()).then(|| RecordSet::plain(name, rtype, ttl, ips.iter().map(octets)))
}

fn weighted(shares: &[Share]) -> Value {
    let item = |share: &Share| json!({"rrdatas": texts(&share.addresses), "weight": (share.part * 1e6).round() / 1e6});
    json!({"wrr": {"items": shares.iter().map(item).collect::<Vec<_>>()}})
}

/// What clients in each of Google's regions get; a region that gets nothing is left out.
fn by_region(steering: &Steering, v6: bool) -> Value {
    let mut items: Vec<(&str, Value)> = Vec::new();
    for region in geo::regions().filter(|region| region.provider == "gcp") {
        let location = Location { approximate: false, ..region.location() };
        let shares = steering.answers_at(v6, &location, &[]).unwrap_or_default();
        let ips: Vec<IpAddr> = shares.into_iter().flat_map(|share| share.addresses).collect();
        if !ips.is_empty() {
            items.push((region.name, json!({"location": region.name, "rrdatas": texts(&ips)})));
        }
    }
    items.sort_by_key(|(name, _)| *name);
    let items: Vec<Value> = items.into_iter().map(|(_, item)| item).collect();
    json!({"geo": {"items": items}})
}

pub(super) fn texts(ips: &[IpAddr]) -> Vec<String> {
    let mut texts: Vec<String> = ips.iter().map(ToString::to_string).collect();
    texts.sort();
    texts.dedup();
    texts
}

// === One form ===

/// The text of a policy, the same for all that say the same: keys and lists of values sorted, whole
/// numbers without a fraction, and nothing that only the service says. The order of items stays.
#[must_use]
pub fn policy_text(policy: Value) -> String {
    canonical(policy).to_string()
}

fn canonical(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let own = fields.into_iter().filter(|(key, value)| is_said(key, value));
            let mut own: Vec<_> = own.map(|(key, value)| (key, canonical(value))).collect();
            own.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(own.into_iter().collect::<Map<_, _>>())
        }
        Value::Array(items) => {
            let mut items: Vec<Value> = items.into_iter().map(canonical).collect();
            if items.iter().all(Value::is_string) {
                items.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
            }
            Value::Array(items)
        }
        Value::Number(number) => Value::Number(whole(&number).unwrap_or(number)),
        other => other,
    }
}

/// Whether a field says something: not one that the service adds, nor one that says what is so
/// without it.
fn is_said(key: &str, value: &Value) -> bool {
    let by_default = match key {
        "enableFencing" => *value == json!(false),
        "trickleTraffic" => value.as_f64() == Some(0.0),
        "externalEndpoints" | "internalLoadBalancers" | "rrdatas" => *value == json!([]),
        _ => false,
    };
    !by_default && !THEIRS.contains(&key)
}

/// The same number as an integer, where it is one.
fn whole(number: &Number) -> Option<Number> {
    let float = number.as_f64().filter(|_| number.is_f64())?;
    // Below 2^53 every whole number has one float, and prints without an exponent.
    let exact = float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0;
    exact.then(|| format!("{float:.0}").parse::<i64>().ok()).flatten().map(Number::from)
}

/// What the service adds to each object and nobody may say.
const THEIRS: [&str; 2] = ["kind", "signatureRrdatas"];
