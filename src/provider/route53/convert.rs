//! Between record sets and Route 53's own: names with octal escapes, values as text, and routing
//! by attributes:
//!
//! ```text
//! weight=10  region=eu-west-1  failover=PRIMARY  multivalue=true
//! geo=continent/EU | country/DE | country/US/CA | country/*
//! near=coordinates/52.52/13.40 | region/eu-west-1 | group/us-east-1-bos-1   bias=-10
//! cidr=<collection>/<location>   check=<health check id, or its text: `checks`>
//! alias=<zone id>/<name>   evaluate=true|false   instance=<traffic policy instance>
//! ```

use crate::{
    model::{Name, Ttl},
    plan::{Attributes, RecordSet, SetKey},
    records::{RecordType, rdata_from_text, rdata_to_text},
};
use aws_sdk_route53::types::{
    AliasTarget, CidrRoutingConfig, Coordinates, GeoLocation, GeoProximityLocation, ResourceRecord,
    ResourceRecordSet, ResourceRecordSetFailover, ResourceRecordSetRegion, RrType,
};
use std::{fmt::Write as _, sync::Arc};

/// As Route 53 writes it: lower case, all but letters, digits, hyphens and underscores as `\ooo`.
pub(super) fn name(name: &Name) -> String {
    let mut text = String::new();
    for label in name.to_lowercase().labels() {
        for byte in label {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => text.push(char::from(*byte)),
                other => drop(write!(text, "\\{other:03o}")),
            }
        }
        text.push('.');
    }
    if text.is_empty() { ".".to_owned() } else { text }
}

/// Reads a name with octal escapes; whatever cannot be one is taken letter by letter.
fn read_name(text: &str) -> Option<Name> {
    let mut labels: Vec<Vec<u8>> = vec![Vec::new()];
    let mut rest = text.strip_suffix('.').unwrap_or(text).bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'.' => labels.push(Vec::new()),
            b'\\' => labels.last_mut()?.push(octal(&mut rest)?),
            other => labels.last_mut()?.push(other.to_ascii_lowercase()),
        }
    }
    Name::from_labels(labels.iter().map(Vec::as_slice)).ok()
}

fn octal(rest: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let mut value = 0_u16;
    for _ in 0..3 {
        let digit = rest.next().filter(|byte| (b'0'..=b'7').contains(byte))?;
        value = value * 8 + u16::from(digit - b'0');
    }
    u8::try_from(value).ok()
}

// === Reading ===

/// A set as Route 53 has it. What we cannot read is kept as an attribute, so that it is seen, is
/// nobody's but its owner's, and does not spoil the rest of the zone.
pub(super) fn read(set: &ResourceRecordSet) -> RecordSet {
    let mut more = attributes(set);
    let mut note = |word: &str, text: &str| drop(more.insert(word.into(), text.into()));
    let owner = read_name(set.name()).unwrap_or_else(|| {
        note("unreadable-name", set.name());
        Name::root()
    });
    let rtype = set.r#type().as_str().parse().unwrap_or_else(|_| {
        note("unreadable-type", set.r#type().as_str());
        RecordType(0)
    });
    let mut data: Vec<Arc<[u8]>> = Vec::new();
    for record in set.resource_records() {
        match read_value(rtype, record.value()) {
            Some(octets) => data.push(octets.into()),
            None => note("unreadable-value", record.value()),
        }
    }
    data.sort();
    let ttl = set.ttl().and_then(|ttl| u32::try_from(ttl).ok()).map(Ttl::from_secs);
    let id = set.set_identifier().map(Into::into);
    RecordSet { key: SetKey { owner: owner.key(), rtype, id }, ttl, data, more, version: None }
}

fn read_value(rtype: RecordType, text: &str) -> Option<Vec<u8>> {
    if rtype == RecordType::TXT {
        return read_text(text);
    }
    rdata_from_text(rtype, text, &Name::root()).ok()
}

/// Strings in quotes, with `\"`, `\\` and octal escapes.
fn read_text(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    let mut rest = text.bytes().peekable();
    loop {
        while rest.next_if(u8::is_ascii_whitespace).is_some() {}
        match rest.next() {
            None => return (!octets.is_empty()).then_some(octets),
            Some(b'"') => {}
            Some(_) => return None,
        }
        let mut string = Vec::new();
        loop {
            match rest.next()? {
                b'"' => break,
                b'\\' => match rest.peek()? {
                    b'0'..=b'7' => string.push(octal(&mut rest)?),
                    _ => string.push(rest.next()?),
                },
                other => string.push(other),
            }
        }
        octets.push(u8::try_from(string.len()).ok()?);
        octets.extend(string);
    }
}

fn attributes(set: &ResourceRecordSet) -> Attributes {
    let mut more = Attributes::new();
    let mut put = |word: &str, value: Option<String>| {
        if let Some(value) = value {
            more.insert(word.into(), value.into());
        }
    };
    put("weight", set.weight().map(|weight| weight.to_string()));
    put("region", set.region().map(|region| region.as_str().to_owned()));
    put("failover", set.failover().map(|role| role.as_str().to_owned()));
    put("multivalue", set.multi_value_answer().map(|own| own.to_string()));
    put("check", set.health_check_id().map(str::to_owned));
    put("instance", set.traffic_policy_instance_id().map(str::to_owned));
    put("geo", set.geo_location().map(geo));
    put("near", set.geo_proximity_location().and_then(near));
    let bias = set.geo_proximity_location().and_then(GeoProximityLocation::bias);
    put("bias", bias.map(|bias| bias.to_string()));
    put(
        "cidr",
        set.cidr_routing_config()
            .map(|own| format!("{}/{}", own.collection_id(), own.location_name())),
    );
    if let Some(alias) = set.alias_target() {
        let target = read_name(alias.dns_name()).map(|own| own.to_string());
        let target = target.unwrap_or_else(|| alias.dns_name().to_owned());
        put("alias", Some(format!("{}/{target}", alias.hosted_zone_id())));
        put("evaluate", Some(alias.evaluate_target_health().to_string()));
    }
    more
}

fn geo(own: &GeoLocation) -> String {
    match (own.continent_code(), own.country_code(), own.subdivision_code()) {
        (Some(continent), ..) => format!("continent/{continent}"),
        (_, Some(country), Some(part)) => format!("country/{country}/{part}"),
        (_, country, _) => format!("country/{}", country.unwrap_or_default()),
    }
}

fn near(own: &GeoProximityLocation) -> Option<String> {
    let point = own.coordinates();
    let point = point.map(|at| format!("coordinates/{}/{}", at.latitude(), at.longitude()));
    let region = own.aws_region().map(|region| format!("region/{region}"));
    let group = own.local_zone_group().map(|group| format!("group/{group}"));
    point.or(region).or(group)
}

// === Writing ===

/// The set as Route 53 wants it, or what of it cannot be said.
pub(super) fn write(set: &RecordSet) -> Result<ResourceRecordSet, String> {
    let wrong = |error: aws_sdk_route53::error::BuildError| format!("{set}: {error}");
    let mut own = ResourceRecordSet::builder()
        .name(name(&set.key.name()))
        .r#type(RrType::from(set.key.rtype.to_string().as_str()))
        .set_set_identifier(set.key.id.as_deref().map(str::to_owned))
        .set_ttl(set.ttl.map(|ttl| i64::from(ttl.as_secs())));
    for data in &set.data {
        let value = write_value(set.key.rtype, data);
        own = own.resource_records(ResourceRecord::builder().value(value).build().map_err(wrong)?);
    }
    for (word, value) in &set.more {
        let bad = || format!("{set}: {word}={value} cannot be said");
        own = match &**word {
            "weight" => own.weight(value.parse().map_err(|_| bad())?),
            "region" => own.region(ResourceRecordSetRegion::from(&**value)),
            "failover" => own.failover(ResourceRecordSetFailover::from(&**value)),
            "multivalue" => own.multi_value_answer(value.parse().map_err(|_| bad())?),
            "check" => own.health_check_id(&**value),
            "geo" => own.geo_location(write_geo(value).ok_or_else(bad)?),
            "near" => {
                let bias = set.more.get("bias").map(|bias| bias.parse()).transpose();
                let bias = bias.map_err(|_| bad())?;
                own.geo_proximity_location(write_near(value, bias).ok_or_else(bad)?)
            }
            "cidr" => {
                let (collection, location) = value.split_once('/').ok_or_else(bad)?;
                let own_cidr = CidrRoutingConfig::builder().collection_id(collection);
                own.cidr_routing_config(own_cidr.location_name(location).build().map_err(wrong)?)
            }
            "alias" => own.alias_target(write_alias(set, value).ok_or_else(bad)?),
            "bias" | "evaluate" => own,
            _ => return Err(bad()),
        };
    }
    own.build().map_err(wrong)
}

fn write_value(rtype: RecordType, data: &[u8]) -> String {
    if rtype != RecordType::TXT {
        return rdata_to_text(rtype, data);
    }
    let mut text = String::new();
    let mut rest = data;
    while let Some((length, tail)) = rest.split_first() {
        let (string, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        text.push_str(if text.is_empty() { "\"" } else { " \"" });
        for byte in string {
            match byte {
                b'"' | b'\\' => drop(write!(text, "\\{}", char::from(*byte))),
                0x20..=0x7e => text.push(char::from(*byte)),
                other => drop(write!(text, "\\{other:03o}")),
            }
        }
        text.push('"');
        rest = tail;
    }
    text
}

fn write_geo(value: &str) -> Option<GeoLocation> {
    let own = GeoLocation::builder();
    Some(match value.split('/').collect::<Vec<_>>()[..] {
        ["continent", code] => own.continent_code(code).build(),
        ["country", code] => own.country_code(code).build(),
        ["country", code, part] => own.country_code(code).subdivision_code(part).build(),
        _ => return None,
    })
}

fn write_near(value: &str, bias: Option<i32>) -> Option<GeoProximityLocation> {
    let own = GeoProximityLocation::builder().set_bias(bias);
    Some(match value.split('/').collect::<Vec<_>>()[..] {
        ["coordinates", latitude, longitude] => {
            let at = Coordinates::builder().latitude(latitude).longitude(longitude).build().ok()?;
            own.coordinates(at).build()
        }
        ["region", region] => own.aws_region(region).build(),
        ["group", group] => own.local_zone_group(group).build(),
        _ => return None,
    })
}

fn write_alias(set: &RecordSet, value: &str) -> Option<AliasTarget> {
    let (zone, target) = value.split_once('/')?;
    let evaluate = set.more.get("evaluate").is_some_and(|own| &**own == "true");
    let target = name(&target.parse().ok()?);
    let own = AliasTarget::builder().hosted_zone_id(zone).dns_name(target);
    own.evaluate_target_health(evaluate).build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_escaped_in_octal() {
        let own: Name = r"*.a_b.x\255y.z.test".parse().unwrap();
        assert_eq!(name(&own), r"\052.a_b.x\377y.z.test.");
        assert_eq!(read_name(r"\052.a_b.x\377y.z.test."), Some(own));
        assert_eq!(read_name(r"\9"), None);
    }

    fn attribute() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
        prop::sample::select(vec![
            vec![],
            vec![("weight", "10"), ("check", "abc")],
            vec![("region", "eu-west-1")],
            vec![("failover", "PRIMARY")],
            vec![("multivalue", "true")],
            vec![("geo", "continent/EU")],
            vec![("geo", "country/US/CA")],
            vec![("geo", "country/*")],
            vec![("near", "coordinates/52.52/13.40"), ("bias", "-10")],
            vec![("near", "region/eu-west-1")],
            vec![("cidr", "collection/place")],
            vec![("alias", "Z1/a.b.test."), ("evaluate", "true")],
        ])
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            more in attribute(),
            text in prop::collection::vec(any::<u8>(), 0..600),
            label in prop::collection::vec(any::<u8>(), 1..20),
        ) {
            let owner = Name::from_labels([&label[..], b"z", b"test"]).unwrap().to_lowercase();
            let strings: Vec<u8> = text.chunks(255).flat_map(|part| {
                std::iter::once(u8::try_from(part.len()).unwrap()).chain(part.iter().copied())
            }).collect();
            let strings = if strings.is_empty() { vec![0] } else { strings };
            let mut set = RecordSet::plain(&owner, RecordType::TXT, Ttl::SERVED, [strings]);
            set.more = more.into_iter().map(|(word, value)| (word.into(), value.into())).collect();
            set.key.id = (!set.more.is_empty()).then(|| "meridian/x".into());
            prop_assert_eq!(read(&write(&set).unwrap()), set);
        }
    }
}
