//! Hosted zones and their sets, page by page; changes asked after; limits.

use super::{
    Refusal, Reply,
    http::Query,
    names, rules, shapes,
    state::{Key, State, Zone},
    xml,
};
use serde_json::{Value, json};
use std::time::Duration;

impl Zone {
    fn shown(&self) -> Value {
        let mut config = json!({ "PrivateZone": self.private });
        if let Some(comment) = &self.comment {
            config["Comment"] = comment.clone().into();
        }
        json!({
            "Id": format!("/hostedzone/{}", self.id),
            "Name": self.name,
            "CallerReference": self.reference,
            "Config": config,
            "ResourceRecordSetCount": self.sets.len(),
        })
    }

    fn delegation(&self) -> Value {
        json!({ "NameServers": self.servers })
    }
}

pub(crate) fn create(state: &mut State, now: Duration, body: &[u8]) -> Result<Reply, Refusal> {
    let asked = xml::read(body, "CreateHostedZoneRequest", &shapes::CREATE_ZONE)?;
    if !asked["VPC"].is_null() || !asked["DelegationSetId"].is_null() {
        return Err(Refusal::input("Private zones and delegation sets are none of this double's"));
    }
    let text = |field: &str| asked[field].as_str().unwrap_or_default();
    let name = names::canonical(text("Name"))
        .map_err(|why| Refusal::new(400, "InvalidDomainName", &why))?;
    let reference = text("CallerReference");
    if state.zones.values().any(|zone| zone.reference == reference) {
        let why = format!("A hosted zone has already been created with: {reference}");
        return Err(Refusal::new(409, "HostedZoneAlreadyExists", &why));
    }
    if state.zones.len() >= MAX_ZONES {
        return Err(Refusal::new(400, "TooManyHostedZones", "Limits Exceeded: MAX_HOSTED_ZONES"));
    }
    let id = state.create_zone(&name, reference);
    let zone = state.zones.get_mut(&id).unwrap();
    zone.comment = asked["HostedZoneConfig"]["Comment"].as_str().map(str::to_owned);
    let (shown, delegation) = (zone.shown(), zone.delegation());
    let info = state.changed(now, None);
    let body = json!({ "HostedZone": shown, "ChangeInfo": info, "DelegationSet": delegation });
    let reply = Reply::ok("CreateHostedZoneResponse", &shapes::ZONE_CREATED, &body);
    Ok(reply.created(&format!("hostedzone/{id}")))
}

pub(crate) fn get(state: &State, id: &str) -> Result<Reply, Refusal> {
    let zone = state.zones.get(id).ok_or_else(|| Refusal::no_zone(id))?;
    let mut body = json!({ "HostedZone": zone.shown() });
    if !zone.private {
        body["DelegationSet"] = zone.delegation();
    }
    Ok(Reply::ok("GetHostedZoneResponse", &shapes::ONE_ZONE, &body))
}

pub(crate) fn delete(state: &mut State, now: Duration, id: &str) -> Result<Reply, Refusal> {
    let zone = state.zones.get(id).ok_or_else(|| Refusal::no_zone(id))?;
    let own = |key: &Key| {
        key.order == names::order(&zone.name) && matches!(key.rtype.as_str(), "NS" | "SOA")
    };
    if !zone.sets.keys().all(own) {
        let why = "The specified hosted zone contains non-required resource record sets and so \
                   cannot be deleted.";
        return Err(Refusal::new(400, "HostedZoneNotEmpty", why));
    }
    state.zones.remove(id);
    let info = state.changed(now, None);
    let body = json!({ "ChangeInfo": info });
    Ok(Reply::ok("DeleteHostedZoneResponse", &shapes::CHANGED, &body))
}

pub(crate) fn count(state: &State) -> Reply {
    let body = json!({ "HostedZoneCount": state.zones.len() });
    Reply::ok("GetHostedZoneCountResponse", &shapes::ZONE_COUNT, &body)
}

pub(crate) fn list(state: &State, query: &Query) -> Result<Reply, Refusal> {
    let most = query.most(100)?;
    let marker = query.text("marker").unwrap_or_default();
    let private = query.text("hostedzonetype") == Some("PrivateHostedZone");
    let from = state.zones.range(marker.to_owned()..).map(|(_, zone)| zone);
    let mut zones = from.filter(|zone| zone.private || !private);
    let page: Vec<_> = zones.by_ref().take(most).map(Zone::shown).collect();
    let next = zones.next();
    let mut body = json!({
        "HostedZones": page,
        "Marker": marker,
        "IsTruncated": next.is_some(),
        "MaxItems": most.to_string(),
    });
    if let Some(zone) = next {
        body["NextMarker"] = zone.id.clone().into();
    }
    Ok(Reply::ok("ListHostedZonesResponse", &shapes::ZONES, &body))
}

pub(crate) fn list_by_name(state: &State, query: &Query) -> Result<Reply, Refusal> {
    let most = query.most(100)?;
    let (name, id) = (query.text("dnsname"), query.text("hostedzoneid"));
    if id.is_some() && name.is_none() {
        return Err(Refusal::input("hostedzoneid is only valid together with dnsname"));
    }
    let start = name.map(names::canonical).transpose();
    let start = start.map_err(|why| Refusal::new(400, "InvalidDomainName", &why))?;
    let from = (start.as_deref().map(names::order).unwrap_or_default(), id.unwrap_or_default());
    let mut all: Vec<_> = state.zones.values().collect();
    all.sort_by_key(|zone| (names::order(&zone.name), zone.id.as_str()));
    all.retain(|zone| (names::order(&zone.name), zone.id.as_str()) >= from);
    let page: Vec<_> = all.iter().take(most).map(|zone| zone.shown()).collect();
    let next = all.get(most);
    let mut body = json!({
        "HostedZones": page,
        "IsTruncated": next.is_some(),
        "MaxItems": most.to_string(),
    });
    let told = [("DNSName", name.map(str::to_owned)), ("HostedZoneId", id.map(str::to_owned))];
    let following = [
        ("NextDNSName", next.map(|zone| zone.name.clone())),
        ("NextHostedZoneId", next.map(|zone| zone.id.clone())),
    ];
    for (field, value) in told.into_iter().chain(following) {
        if let Some(value) = value {
            body[field] = value.into();
        }
    }
    Ok(Reply::ok("ListHostedZonesByNameResponse", &shapes::ZONES_BY_NAME, &body))
}

/// ListResourceRecordSets: from a name, type and identifier on, at most 300.
pub(crate) fn sets(state: &State, id: &str, query: &Query) -> Result<Reply, Refusal> {
    let zone = state.zones.get(id).ok_or_else(|| Refusal::no_zone(id))?;
    let most = query.most(300)?;
    let (name, rtype) = (query.text("name"), query.text("type"));
    let identifier = query.text("identifier");
    if rtype.is_some() && name.is_none() || identifier.is_some() && rtype.is_none() {
        let why = "The input is not valid: a type needs a name, and an identifier a type";
        return Err(Refusal::input(why));
    }
    if let Some(why) = rtype.and_then(|rtype| xml::constraint(rtype, &shapes::RR_TYPES)) {
        let value = rtype.unwrap_or_default();
        let why = format!(
            "1 validation error detected: Value '{value}' at 'startRecordType' failed to satisfy \
             constraint: {why}"
        );
        return Err(Refusal::input(&why));
    }
    let start = name.map(names::canonical).transpose().map_err(|why| Refusal::input(&why))?;
    let from = match &start {
        Some(name) => Key::new(name, rtype.unwrap_or_default(), identifier.unwrap_or_default()),
        None => Key { order: Vec::new(), rtype: String::new(), set: String::new() },
    };
    let mut rest = zone.sets.range(from..).map(|(_, set)| set);
    let page: Vec<_> = rest.by_ref().take(most).map(super::state::Set::shape).collect();
    let next = rest.next();
    let mut body = json!({
        "ResourceRecordSets": page,
        "IsTruncated": next.is_some(),
        "MaxItems": most.to_string(),
    });
    if let Some(set) = next {
        body["NextRecordName"] = set.name.clone().into();
        body["NextRecordType"] = set.rtype.clone().into();
        if let Some(identifier) = &set.set_identifier {
            body["NextRecordIdentifier"] = identifier.clone().into();
        }
    }
    Ok(Reply::ok("ListResourceRecordSetsResponse", &shapes::SETS, &body))
}

pub(crate) fn change(state: &State, now: Duration, id: &str) -> Result<Reply, Refusal> {
    let Some(change) = state.changes.get(id) else {
        let why = format!("Could not find resource with ID: {id}");
        return Err(Refusal::new(404, "NoSuchChange", &why));
    };
    let synced = now >= change.at + state.propagation;
    let mut body = json!({ "ChangeInfo": change.shown(id, synced) });
    super::state::without_nulls(&mut body);
    Ok(Reply::ok("GetChangeResponse", &shapes::CHANGED, &body))
}

pub(crate) fn zone_limit(state: &State, id: &str, kind: &str) -> Result<Reply, Refusal> {
    let zone = state.zones.get(id).ok_or_else(|| Refusal::no_zone(id))?;
    match kind {
        "MAX_RRSETS_BY_ZONE" => {
            let value = rules::MAX_SETS;
            Ok(limit("GetHostedZoneLimitResponse", kind, value, zone.sets.len()))
        }
        "MAX_VPCS_ASSOCIATED_BY_ZONE" if zone.private => {
            Ok(limit("GetHostedZoneLimitResponse", kind, 300, 1))
        }
        "MAX_VPCS_ASSOCIATED_BY_ZONE" => {
            let why = "The specified hosted zone is not a private hosted zone";
            Err(Refusal::new(400, "HostedZoneNotPrivate", why))
        }
        _ => Err(unknown_limit(kind)),
    }
}

pub(crate) fn account_limit(state: &State, kind: &str) -> Result<Reply, Refusal> {
    let (value, count) = match kind {
        "MAX_HEALTH_CHECKS_BY_OWNER" => (super::checks::MAX_CHECKS, state.checks.len()),
        "MAX_HOSTED_ZONES_BY_OWNER" => (MAX_ZONES, state.zones.len()),
        "MAX_TRAFFIC_POLICY_INSTANCES_BY_OWNER" => (5, 0),
        "MAX_REUSABLE_DELEGATION_SETS_BY_OWNER" => (100, 0),
        "MAX_TRAFFIC_POLICIES_BY_OWNER" => (50, 0),
        _ => return Err(unknown_limit(kind)),
    };
    Ok(limit("GetAccountLimitResponse", kind, value, count))
}

fn limit(root: &str, kind: &str, value: usize, count: usize) -> Reply {
    let body = json!({ "Limit": { "Type": kind, "Value": value }, "Count": count });
    Reply::ok(root, &shapes::LIMIT, &body)
}

fn unknown_limit(kind: &str) -> Refusal {
    let why = "failed to satisfy constraint: Member must satisfy enum value set";
    Refusal::input(&format!("1 validation error detected: Value '{kind}' at 'type' {why}"))
}

/// Hosted zones of one account.
const MAX_ZONES: usize = 500;
