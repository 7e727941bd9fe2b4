//! Azure DNS: zones and record sets, with etags, pages and limits (2018-05-01).

use super::{
    http::Call,
    records::{self, Kind, bad},
    refused::{Refused, Reply},
    world::{MOST_RECORDS, MOST_SETS, Set, World, Zone, set_id, within},
};
use serde_json::{Map, Value, json};
use std::ops::Bound;

// === Zones ===

pub(super) fn list(world: &mut World, call: &Call, _: &[String]) -> Result<Reply, Refused> {
    let (all, after) = (&world.zones, call.after()?);
    let rest = all.range::<String, _>((from(after.as_ref()), Bound::Unbounded));
    let twins = world.twins.iter().filter_map(|(name, group)| {
        let mut shown = world.zones.get(name)?.shown();
        let id = shown["id"].as_str()?.replace(super::world::GROUP, group);
        shown["id"] = json!(id);
        Some((format!("{name}/{group}"), shown))
    });
    let twins = twins.filter(|(name, _)| after.as_ref().is_none_or(|after| name > after));
    let rest = rest.map(|(name, zone)| (name.clone(), zone.shown()));
    let page = page(call, rest.chain(twins))?;
    Reply::ok(page)
}

pub(super) fn get(world: &mut World, _: &Call, args: &[String]) -> Result<Reply, Refused> {
    Reply::ok(zone(world, &args[0])?.shown())
}

pub(super) fn put(world: &mut World, call: &Call, args: &[String]) -> Result<Reply, Refused> {
    let name = args[0].trim_end_matches('.').to_owned();
    let key = name.to_ascii_lowercase();
    let labels = name.split('.').count();
    if !(2..=34).contains(&labels) || !records::is_host(&name) || args[0].ends_with('.') {
        return Err(bad(format!("The zone name '{}' is invalid.", args[0])));
    }
    if call.body["location"].as_str().is_none_or(|at| !at.eq_ignore_ascii_case("global")) {
        return Err(Refused::arm(
            400,
            "LocationRequired",
            "The location property is required for this definition and must be 'global'.",
        ));
    }
    if call.body["properties"]["zoneType"].as_str().is_some_and(|kind| kind != "Public") {
        return Err(bad("The zone type must be 'Public'."));
    }
    call.conditions(world.zones.get(&key).map(|zone| zone.etag.as_str()))?;
    let new = !world.zones.contains_key(&key);
    if new {
        world.make_zone(&name);
    }
    tag(world, &key, call).and_then(|zone| Reply::made(new, zone))
}

pub(super) fn patch(world: &mut World, call: &Call, args: &[String]) -> Result<Reply, Refused> {
    call.conditions(Some(&zone(world, &args[0])?.etag))?;
    tag(world, &args[0].to_ascii_lowercase(), call).and_then(Reply::ok)
}

fn tag(world: &mut World, key: &str, call: &Call) -> Result<Value, Refused> {
    let etag = world.etag();
    let zone = world.zones.get_mut(key).unwrap();
    zone.etag = etag;
    if let Some(tags) = call.body.get("tags").filter(|tags| tags.is_object()) {
        zone.tags = tags.clone();
    }
    Ok(zone.shown())
}

pub(super) fn delete(world: &mut World, call: &Call, args: &[String]) -> Result<Reply, Refused> {
    let key = args[0].to_ascii_lowercase();
    let there = world.zones.get(&key).map(|zone| zone.etag.as_str());
    call.conditions(there)?;
    let status = if there.is_some() { 200 } else { 204 };
    world.zones.remove(&key);
    Reply::empty(status)
}

// === Record sets ===

pub(super) fn list_sets(world: &mut World, call: &Call, args: &[String]) -> Result<Reply, Refused> {
    let zone = parent(world, call, args)?;
    let kind = args.get(1).map(|rtype| named(rtype)).transpose()?;
    let suffix = call.query("$recordsetnamesuffix").map(str::to_ascii_lowercase);
    let after = call.after()?;
    let wanted = |set: &Set| {
        let name = set.name.to_ascii_lowercase();
        kind.is_none_or(|kind| kind.name == set.kind.name)
            && suffix
                .as_ref()
                .is_none_or(|suffix| name == *suffix || name.ends_with(&format!(".{suffix}")))
    };
    let key = |set: &Set| format!("{}/{}", set.name.to_ascii_lowercase(), set.kind.name);
    let all = zone.sets.values().filter(|set| wanted(set)).map(|set| (key(set), set));
    let mut all: Vec<(String, &Set)> =
        all.filter(|(key, _)| after.as_ref().is_none_or(|after| key > after)).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    let all = all.into_iter().map(|(key, set)| (key, zone.show(set)));
    Reply::ok(page(call, all)?)
}

pub(super) fn get_set(world: &mut World, call: &Call, args: &[String]) -> Result<Reply, Refused> {
    let zone = parent(world, call, args)?;
    let kind = named(&args[1])?;
    match zone.sets.get(&(args[2].to_ascii_lowercase(), kind.name)) {
        Some(set) => Reply::ok(zone.show(set)),
        None => Err(Refused::dns(
            404,
            "NotFound",
            format!(
                "The resource record '{}' does not exist in resource group '{}' of subscription '{}'.",
                args[2],
                super::world::GROUP,
                super::world::SUBSCRIPTION
            ),
        )),
    }
}

pub(super) fn put_set(world: &mut World, call: &Call, args: &[String]) -> Result<Reply, Refused> {
    let properties = properties(&call.body)?;
    write(world, call, args, &properties)
}

/// What the body has takes the place of what was there, and the rest stays.
pub(super) fn patch_set(world: &mut World, call: &Call, args: &[String]) -> Result<Reply, Refused> {
    let there = get_set(world, call, args)?.body.unwrap();
    let mut merged = there["properties"].as_object().unwrap().clone();
    merged.extend(properties(&call.body)?);
    write(world, call, args, &merged)
}

fn write(
    world: &mut World,
    call: &Call,
    args: &[String],
    properties: &Map<String, Value>,
) -> Result<Reply, Refused> {
    let zone = parent(world, call, args)?;
    let kind = named(&args[1])?;
    let (name, key) = (&args[2], (args[2].to_ascii_lowercase(), kind.name));
    let there = zone.sets.get(&key);
    call.conditions(there.map(|set| set.etag.as_str()))?;
    check_name(zone, kind, name)?;
    let set = Set {
        name: there.map_or(name, |set| &set.name).clone(),
        kind,
        ttl: ttl(properties)?,
        records: kind.read(properties)?,
        target: target(properties)?,
        metadata: metadata(properties)?,
        etag: String::new(),
    };
    check_size(zone, &set, there.is_none())?;
    check_neighbours(zone, &key)?;
    check_apex(zone, &set)?;
    if let Some(id) = &set.target {
        check_alias(world, &set, id, &args[0])?;
    }
    let (new, etag) = (there.is_none(), world.etag());
    let zone = world.zones.get_mut(&args[0].to_ascii_lowercase()).unwrap();
    zone.sets.insert(key.clone(), Set { etag, ..set });
    Reply::made(new, zone.show(&zone.sets[&key]))
}

pub(super) fn delete_set(
    world: &mut World,
    call: &Call,
    args: &[String],
) -> Result<Reply, Refused> {
    let zone = parent(world, call, args)?;
    let kind = named(&args[1])?;
    let key = (args[2].to_ascii_lowercase(), kind.name);
    if kind.name == "SOA" || kind.name == "NS" && key.0 == "@" {
        let message =
            format!("RecordSets of type '{}' with name '@' cannot be deleted.", kind.name);
        return Err(bad(message));
    }
    let there = zone.sets.get(&key).map(|set| set.etag.as_str());
    call.conditions(there)?;
    if there.is_none() {
        return Reply::empty(204);
    }
    let id = set_id(&zone.name, kind.name, &args[2]);
    world.zones.get_mut(&args[0].to_ascii_lowercase()).unwrap().sets.remove(&key);
    world.forget(&id);
    Reply::empty(200)
}

/// What a zone still has when all that may be deleted is deleted.
pub(super) fn stays(set: &Set) -> bool {
    set.name == "@" && ["SOA", "NS"].contains(&set.kind.name)
}

// === Rules ===

fn zone<'w>(world: &'w World, name: &str) -> Result<&'w Zone, Refused> {
    world.zones.get(&name.to_ascii_lowercase()).ok_or_else(|| {
        Refused::arm(
            404,
            "ResourceNotFound",
            format!(
                "The Resource 'Microsoft.Network/dnszones/{name}' under resource group '{}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
                super::world::GROUP
            ),
        )
    })
}

/// The zone of a record set.
fn parent<'w>(world: &'w World, call: &Call, args: &[String]) -> Result<&'w Zone, Refused> {
    let kind = args.get(1).map_or("recordsets", String::as_str);
    let zone = world.zones.get(&args[0].to_ascii_lowercase());
    zone.ok_or_else(|| {
        Refused::orphan(call.verb, &format!("dnszones/{kind}"), &format!("dnszones/{}", args[0]))
    })
}

fn named(rtype: &str) -> Result<&'static Kind, Refused> {
    Kind::named(rtype).ok_or_else(|| bad(format!("The record type '{rtype}' is not supported.")))
}

fn properties(body: &Value) -> Result<Map<String, Value>, Refused> {
    match body.get("properties") {
        Some(Value::Object(own)) => Ok(own.clone()),
        _ => Err(bad("The request content was invalid: 'properties' is required.")),
    }
}

fn ttl(properties: &Map<String, Value>) -> Result<u64, Refused> {
    // Names of properties are compared without their case.
    let given = properties.iter().find(|(name, _)| name.eq_ignore_ascii_case("TTL"));
    match given.map(|(_, ttl)| ttl.as_u64()) {
        Some(Some(ttl)) if (1..=2_147_483_647).contains(&ttl) => Ok(ttl),
        None => Err(bad("The 'TTL' of the record set is required.")),
        Some(_) => Err(bad("The 'TTL' of the record set must be within 1 to 2147483647.")),
    }
}

fn target(properties: &Map<String, Value>) -> Result<Option<String>, Refused> {
    match properties.get("targetResource").map(|target| target.get("id")) {
        None | Some(None | Some(Value::Null)) => Ok(None),
        Some(Some(Value::String(id))) if !id.is_empty() => Ok(Some(id.clone())),
        Some(Some(_)) => Err(bad("The id of 'targetResource' is invalid.")),
    }
}

fn metadata(properties: &Map<String, Value>) -> Result<Option<Map<String, Value>>, Refused> {
    match properties.get("metadata") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(own)) if own.values().all(Value::is_string) => Ok(Some(own.clone())),
        Some(_) => Err(bad("The values of 'metadata' must be strings.")),
    }
}

fn check_name(zone: &Zone, kind: &Kind, name: &str) -> Result<(), Refused> {
    let rest = name.strip_prefix("*.").unwrap_or(name);
    let good = ["@", "*"].contains(&rest) || rest.split('.').all(records::is_label);
    if !good || name == "*.@" || name.len() + zone.name.len() > 252 {
        return Err(bad(format!("The relative record set name '{name}' is invalid.")));
    }
    match kind.name {
        "SOA" if name != "@" => Err(bad("RecordSets of type 'SOA' must have the name '@'.")),
        "CNAME" if name == "@" => {
            Err(bad("A CNAME record set cannot be created at the apex of a zone (name '@')."))
        }
        "NS" | "SOA" if name.starts_with('*') => {
            Err(bad(format!("RecordSets of type '{}' cannot be wildcards.", kind.name)))
        }
        _ => Ok(()),
    }
}

fn check_size(zone: &Zone, set: &Set, new: bool) -> Result<(), Refused> {
    let most = if set.kind.name == "TXT" { 400 } else { MOST_RECORDS };
    if set.records.len() > most {
        let message = format!("The record set has more than the maximum of {most} records.");
        return Err(Refused::dns(400, "RecordSetRecordsLimitExceeded", message));
    }
    if new && zone.sets.len() >= MOST_SETS {
        let message = format!("The zone has reached the maximum of {MOST_SETS} record sets.");
        return Err(Refused::dns(400, "RecordSetsLimitExceeded", message));
    }
    if set.target.is_some() && !set.records.is_empty() {
        return Err(bad("A record set has either records or a 'targetResource', not both."));
    }
    Ok(())
}

/// A name with CNAME records has no others, whether or not there are records in them.
fn check_neighbours(zone: &Zone, key: &(String, &'static str)) -> Result<(), Refused> {
    let others = zone.sets.keys().filter(|(name, kind)| *name == key.0 && *kind != key.1);
    for (_, kind) in others {
        if key.1 == "CNAME" {
            return Err(Refused::dns(409, "Conflict", OTHER));
        }
        if *kind == "CNAME" {
            return Err(Refused::dns(409, "Conflict", ALIAS));
        }
    }
    Ok(())
}

/// The vendor's own name servers stay, and so do the host and serial number of the SOA record.
fn check_apex(zone: &Zone, set: &Set) -> Result<(), Refused> {
    let shown: Vec<String> = set.records.iter().map(|own| set.kind.shown(own)).collect();
    match set.kind.name {
        "NS" if set.name == "@" && zone.servers.iter().any(|own| !shown.contains(own)) => Err(bad(
            "The record set of type 'NS' with name '@' must have the name servers of Azure DNS.",
        )),
        "SOA" if set.records.len() != 1 => Err(bad("The SOA record is required.")),
        "SOA" if !shown[0].starts_with(&zone.servers[0]) => {
            Err(bad("The 'host' of the SOA record cannot be changed."))
        }
        _ => Ok(()),
    }
}

/// What aliases may stand for: a profile, or a record set of the same type in the same zone.
fn check_alias(world: &World, set: &Set, id: &str, zone: &str) -> Result<(), Refused> {
    if !["A", "AAAA", "CNAME"].contains(&set.kind.name) {
        return Err(bad(format!("RecordSets of type {} cannot be aliases.", set.kind.name)));
    }
    let path = within(id).unwrap_or_default();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let found = match path[..] {
        ["trafficmanagerprofiles", name] => {
            let Some(profile) = world.profiles.get(name) else { return Err(no_target(id)) };
            if set.kind.name != "CNAME" && !profile.plain(set.kind.name) {
                return Err(bad(
                    "RecordSets of type A or AAAA must reference a traffic manager profile with endpoints containing valid IP addresses.",
                ));
            }
            true
        }
        ["dnszones", of, kind, name] if of.eq_ignore_ascii_case(zone) => {
            if !kind.eq_ignore_ascii_case(set.kind.name) || name.eq_ignore_ascii_case(&set.name) {
                return Err(bad("An alias can reference another record set of its own type only."));
            }
            let target = world.zones[of].sets.get(&(name.to_owned(), set.kind.name));
            if target.is_some_and(|target| target.target.is_some()) {
                return Err(bad("An alias cannot reference an alias record set."));
            }
            target.is_some()
        }
        _ => false,
    };
    if !found {
        return Err(no_target(id));
    }
    let others = world.zones.values().flat_map(|zone| zone.sets.values());
    let same = |other: &&Set| {
        other.target.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(id))
            && (other.kind.name, &other.name) != (set.kind.name, &set.name)
    };
    if others.filter(same).count() >= MOST_ALIASES {
        let message = format!("A resource cannot have more than {MOST_ALIASES} alias record sets.");
        return Err(Refused::dns(400, "AliasRecordSetsLimitExceeded", message));
    }
    Ok(())
}

fn no_target(id: &str) -> Refused {
    bad(format!("The resource '{id}' that the record set references was not found."))
}

pub(super) fn failed(message: &str) -> Refused {
    Refused::dns(412, "PreconditionFailed", message)
}

// === Pages ===

fn from(after: Option<&String>) -> Bound<&String> {
    after.map_or(Bound::Unbounded, Bound::Excluded)
}

/// As many as `$top` says, 100 if it says nothing, and where the next page is.
fn page(call: &Call, mut all: impl Iterator<Item = (String, Value)>) -> Result<Value, Refused> {
    let top = match call.query("$top") {
        None => 100,
        Some(top) => match top.parse::<usize>() {
            Ok(top @ 1..) => top.min(500),
            _ => return Err(bad(format!("The value '{top}' of '$top' is invalid."))),
        },
    };
    let mut last = String::new();
    let mut value = Vec::new();
    for (key, shown) in all.by_ref().take(top) {
        last = key;
        value.push(shown);
    }
    let mut page = json!({"value": value});
    if all.next().is_some() {
        page["nextLink"] = json!(call.next_link(&last));
    }
    Ok(page)
}

/// Alias record sets that one resource may have.
const MOST_ALIASES: usize = 50;
const OTHER: &str = "The CNAME record could not be created because another record with the same name already exists in this zone.";
const ALIAS: &str = "The record could not be created because a CNAME record with the same name already exists in this zone.";
