//! What a record set must look like: by itself, beside the others of its name, and in its zone.

use super::{
    Refusal,
    changes::{Change, which},
    names,
    state::{Alias, Geo, Proximity, Set, Sets, State, Zone},
    values,
};
use std::collections::BTreeSet;

// === By itself ===

/// Which elements go together.
pub(crate) fn form(change: &Change) -> Result<(), Refusal> {
    let set = &change.resource_record_set;
    let refuse =
        |why: &str| Refusal::input(&format!("Invalid request: {why} in {}", change.named()));
    let plain = (set.ttl.is_some(), set.resource_records.is_some());
    let targets = "Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or \
                   TrafficPolicyInstanceId]";
    match (set.alias_target.is_some(), plain) {
        _ if set.traffic_policy_instance_id.is_some() => {
            return Err(refuse("TrafficPolicyInstanceId can only be set by traffic flow"));
        }
        (true, (false, false)) | (false, (true, true)) => {}
        (true, _) => return Err(refuse(&format!("{targets}, but found more than one"))),
        (false, (false, false)) => return Err(refuse(&format!("{targets}, but found none"))),
        (false, (false, true)) => return Err(refuse("Missing field 'TTL'")),
        (false, (true, false)) => return Err(refuse("Missing field 'ResourceRecords'")),
    }
    let policies = "Expected exactly one of [Weight, Region, Failover, GeoLocation, \
                    MultiValueAnswer, CidrRoutingConfig, or GeoProximityLocation]";
    match (set.policies().len(), set.set_identifier.is_some()) {
        (0, false) | (1, true) => {}
        (0, true) => return Err(refuse(&format!("{policies}, but found none"))),
        (1, false) => return Err(refuse("Missing field 'SetIdentifier'")),
        _ => return Err(refuse(&format!("{policies}, but found more than one"))),
    }
    let wrong = if set.health_check_id.is_some() && set.policy().is_none() {
        Some("HealthCheckId needs a routing policy, but found none".to_owned())
    } else {
        policy_form(set)
    };
    wrong.map_or(Ok(()), |why| Err(refuse(&why)))
}

fn policy_form(set: &Set) -> Option<String> {
    let kind = set.policy()?;
    if matches!(set.rtype.as_str(), "NS" | "SOA") {
        return Some(format!("Type {} cannot be {kind}", set.rtype));
    }
    match (kind, &set.geo_location, &set.geo_proximity_location) {
        ("multivalue answer", ..) if set.alias_target.is_some() => {
            Some("AliasTarget cannot be used with MultiValueAnswer".to_owned())
        }
        ("multivalue answer", ..) if set.rtype == "CNAME" => {
            Some("Type CNAME cannot be used with MultiValueAnswer".to_owned())
        }
        ("multivalue answer", ..) if set.multi_value_answer == Some(false) => {
            Some("MultiValueAnswer can only be true".to_owned())
        }
        (_, Some(geo), _) => geo_form(geo),
        (_, _, Some(place)) => proximity_form(place),
        _ => None,
    }
}

fn geo_form(geo: &Geo) -> Option<String> {
    let location = (&geo.continent_code, &geo.country_code, &geo.subdivision_code);
    let known = match location {
        (Some(continent), None, None) => CONTINENTS.contains(&continent.as_str()),
        (None, Some(country), None) => country == "*" || is_country(country),
        (None, Some(country), Some(state)) => country == "US" && is_country(state),
        _ => false,
    };
    (!known).then(|| format!("The location {location:?} is not a supported GeoLocation"))
}

fn is_country(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn proximity_form(place: &Proximity) -> Option<String> {
    let given =
        [place.aws_region.is_some(), place.local_zone_group.is_some(), place.coordinates.is_some()];
    if given.into_iter().filter(|given| *given).count() != 1 {
        let places = "[AWSRegion, LocalZoneGroup, or Coordinates]";
        return Some(format!("Expected exactly one of {places}"));
    }
    let point = place.coordinates.as_ref()?;
    let within = |text: &str, most: f64| text.parse::<f64>().is_ok_and(|value| value.abs() <= most);
    let known = within(&point.latitude, 90.0) && within(&point.longitude, 180.0);
    (!known).then(|| "The coordinates are not on Earth".to_owned())
}

/// What is wrong with a set's values.
pub(crate) fn values(set: &Set) -> Vec<String> {
    let mut why = Vec::new();
    let data = set.data();
    for value in &data {
        if let Err(problem) = values::wire(&set.rtype, value) {
            why.push(format!("Invalid Resource Record: '{problem}'"));
        }
    }
    let once: BTreeSet<_> = data.iter().collect();
    if once.len() < data.len() {
        why.push(format!("Duplicate Resource Record in {}", which(set)));
    }
    if data.len() > MAX_VALUES {
        why.push(format!("Number of records limit of {MAX_VALUES} exceeded in {}", which(set)));
    }
    let single = matches!(set.rtype.as_str(), "CNAME" | "SOA");
    if single && data.len() > 1 {
        why.push(format!("{} must have exactly one value", which(set)));
    }
    if matches!(set.policy(), Some("weighted" | "latency")) && data.len() > 1 {
        why.push(format!("{} may have only one ResourceRecord", which(set)));
    }
    why
}

// === Beside others ===

/// Why a set cannot be created or replaced, at this point of the batch.
pub(crate) fn created(
    state: &State,
    zone: &Zone,
    sets: &Sets,
    set: &Set,
    new: bool,
    later: &[Change],
) -> Vec<String> {
    if new && sets.contains_key(&set.key()) {
        let which = which(set);
        return vec![format!("Tried to create resource record set {which} but it already exists")];
    }
    let mut why = Vec::new();
    why.extend(beside(sets, set));
    why.extend(place(zone, sets, set));
    if let Some(alias) = &set.alias_target {
        why.extend(target(zone, sets, set, alias, later));
    }
    if let Some(cidr) = &set.cidr_routing_config {
        let collection = state.collections.get(&cidr.collection_id);
        let known = |name| collection.is_some_and(|own| own.blocks.values().any(|at| at == name));
        if collection.is_none() || cidr.location_name != "*" && !known(&cidr.location_name) {
            why.push(format!("The CIDR location of {} does not exist", which(set)));
        }
    }
    why
}

/// Why a set cannot stand beside those of its name and type.
fn beside(sets: &Sets, set: &Set) -> Option<String> {
    let key = set.key();
    let group = Zone::group(sets, &set.name, &set.rtype);
    let others: Vec<_> = group.into_iter().filter(|other| other.key() != key).collect();
    let named = described(set);
    let kind = set.policy();
    // Of a set that is replaced, the kind must stay.
    let replaced = sets.get(&key).filter(|present| present.policy() != kind);
    let foreign = replaced.or_else(|| others.iter().copied().find(|other| other.policy() != kind));
    match (kind, foreign) {
        (None, Some(_)) => {
            return Some(format!(
                "{named} cannot be created as other RRSets exist with the same name and type."
            ));
        }
        (Some("weighted"), Some(_)) => {
            return Some(format!(
                "{named} cannot be created as a non-weighted set exists with the same name and type."
            ));
        }
        (Some(kind), Some(_)) => {
            return Some(format!(
                "{named} cannot be created because a non-{kind} RRSet with the same name and type \
                 already exists."
            ));
        }
        _ => {}
    }
    if others.iter().any(|other| same_place(other, set)) {
        return Some(format!(
            "{named} cannot be created because a {} RRSet with the same name, type, and location \
             already exists.",
            kind.unwrap_or_default()
        ));
    }
    let most = if kind == Some("geoproximity") { MAX_PROXIMITY } else { MAX_GROUP };
    (others.len() >= most).then(|| {
        format!("{named} cannot be created as there are {most} RRSets of its name and type.")
    })
}

/// Whether two sets of one policy answer for the same: one of each is allowed.
fn same_place(one: &Set, other: &Set) -> bool {
    let cidr = |set: &Set| set.cidr_routing_config.as_ref().map(|own| own.location_name.clone());
    match one.policy() {
        Some("latency") => one.region == other.region,
        Some("geolocation") => one.geo_location == other.geo_location,
        Some("failover") => one.failover == other.failover,
        Some("CIDR") => cidr(one) == cidr(other),
        Some("geoproximity") => {
            let place = |set: &Set| {
                let own = set.geo_proximity_location.clone();
                own.map(|own| Proximity { bias: None, ..own })
            };
            place(one) == place(other)
        }
        _ => false,
    }
}

fn described(set: &Set) -> String {
    let mut named = format!("RRSet with DNS name {}, type {}", set.name, set.rtype);
    if let Some(identifier) = &set.set_identifier {
        named += &format!(", SetIdentifier {identifier}");
    }
    if let Some(region) = &set.region {
        named += &format!(", and Region Name={region}");
    }
    named
}

// === In its zone ===

/// CNAMEs stand alone, and not at the apex.
fn place(zone: &Zone, sets: &Sets, set: &Set) -> Option<String> {
    let (name, apex) = (&set.name, &zone.name);
    if set.rtype == "CNAME" && name == apex {
        return Some(format!(
            "RRSet of type CNAME with DNS name {name} is not permitted at apex in zone {apex}"
        ));
    }
    if set.rtype == "SOA" && name != apex {
        return Some(format!("RRSet of type SOA with DNS name {name} is not permitted in {apex}"));
    }
    let at = Zone::at(sets, name);
    let conflicts = at.iter().any(|other| (other.rtype == "CNAME") != (set.rtype == "CNAME"));
    conflicts.then(|| {
        format!(
            "RRSet of type {} with DNS name {name} is not permitted as it conflicts with other \
             records with the same DNS name in zone {apex}",
            set.rtype
        )
    })
}

/// Why an alias cannot have that target.
fn target(zone: &Zone, sets: &Sets, set: &Set, alias: &Alias, later: &[Change]) -> Option<String> {
    let tried = format!(
        "Tried to create an alias that targets {}, type {} in zone {}, but",
        alias.dns_name, set.rtype, alias.hosted_zone_id
    );
    if matches!(set.rtype.as_str(), "NS" | "SOA") {
        return Some(format!("{tried} alias records of type {} are not allowed", set.rtype));
    }
    if let Some((_, what)) = SERVICES.iter().find(|(id, _)| *id == alias.hosted_zone_id) {
        let address = matches!(set.rtype.as_str(), "A" | "AAAA" | "HTTPS");
        return match *what {
            _ if !address => Some(format!("{tried} that target has no records of that type")),
            "CloudFront" if alias.evaluate_target_health => {
                Some("EvaluateTargetHealth cannot be true for CloudFront distributions".to_owned())
            }
            _ => None,
        };
    }
    if alias.hosted_zone_id != zone.id {
        return Some(format!("{tried} that hosted zone was not found"));
    }
    if !names::within(&alias.dns_name, &zone.name) {
        return Some(format!("{tried} the alias target name does not lie within the target zone"));
    }
    let own = alias.dns_name == set.name;
    let rewritten = |change: &Change| {
        let other = &change.resource_record_set;
        change.action == "UPSERT" && other.name == alias.dns_name && other.rtype == set.rtype
    };
    let missing = Zone::group(sets, &alias.dns_name, &set.rtype).is_empty();
    (own || missing || later.iter().any(rewritten))
        .then(|| format!("{tried} that target was not found"))
}

/// What is wrong with a zone as it would be after a batch.
pub(crate) fn whole(zone: &Zone, sets: &Sets) -> Vec<String> {
    let mut why = Vec::new();
    for (rtype, must) in
        [("SOA", "exactly one SOA record."), ("NS", "at least one NS record for the zone itself.")]
    {
        if Zone::group(sets, &zone.name, rtype).is_empty() {
            why.push(format!("A HostedZone must contain {must}"));
        }
    }
    if sets.len() > MAX_SETS {
        why.push(format!("Number of resource record sets limit of {MAX_SETS} exceeded."));
    }
    let weighted = sets.values().filter(|set| set.weight.is_some() && set.ttl.is_some());
    let mut last: Option<&Set> = None;
    for set in weighted {
        let other = last.filter(|other| (&other.name, &other.rtype) == (&set.name, &set.rtype));
        if other.is_some_and(|other| other.ttl != set.ttl) {
            why.push(format!("{} must have the TTL of its group", described(set)));
        }
        last = Some(set);
    }
    for set in sets.values() {
        let Some(alias) = set.alias_target.as_ref().filter(|own| own.hosted_zone_id == zone.id)
        else {
            continue;
        };
        let there = |sets| !Zone::group(sets, &alias.dns_name, &set.rtype).is_empty();
        if there(&zone.sets) && !there(sets) {
            why.push(format!(
                "{} is an alias that targets {}, which would not be there",
                described(set),
                alias.dns_name
            ));
        }
    }
    why
}

const CONTINENTS: &[&str] = &["AF", "AN", "AS", "EU", "NA", "OC", "SA"];

/// Hosted zones of the vendor's own services, which aliases may target.
pub(crate) const SERVICES: &[(&str, &str)] = &[
    ("Z35SXDOTRQ7X7K", "ELB"),
    ("Z26RNL4JYFTOTI", "ELB"),
    ("Z215JYRZR1TBD5", "ELB"),
    ("Z3F0SRJ5LGBH90", "ELB"),
    ("Z2FDTNDATAQYW2", "CloudFront"),
];

/// Values in one set.
const MAX_VALUES: usize = 400;

/// Sets with the same name and type.
const MAX_GROUP: usize = 100;

/// Geoproximity sets with the same name and type.
const MAX_PROXIMITY: usize = 30;

/// Sets in one zone.
pub(crate) const MAX_SETS: usize = 10_000;
