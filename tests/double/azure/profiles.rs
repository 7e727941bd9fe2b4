//! Traffic Manager: what is done to profiles (2022-04-01).

use super::{
    geo,
    http::Call,
    profile::{Profile, missing},
    refused::{Refused, Reply},
    rules,
    world::{GROUP, World},
};
use serde_json::{Value, json};

/// All profiles; the vendor gives them in one page.
pub(super) fn list(world: &mut World, call: &Call, _: &[String]) -> Result<Reply, Refused> {
    let all: Vec<Value> = world.profiles.values().map(|own| own.shown(world, call.now)).collect();
    Reply::ok(json!({"value": all}))
}

pub(super) fn get(world: &mut World, call: &Call, args: &[String]) -> Result<Reply, Refused> {
    Reply::ok(found(world, &args[0])?.shown(world, call.now))
}

pub(super) fn put(world: &mut World, call: &Call, args: &[String]) -> Result<Reply, Refused> {
    if call.body["location"].as_str().is_none_or(|at| !at.eq_ignore_ascii_case("global")) {
        return Err(Refused::arm(
            400,
            "LocationRequired",
            "The location property is required for this definition and must be 'global'.",
        ));
    }
    let new = !world.profiles.contains_key(&args[0].to_ascii_lowercase());
    let shown = write(world, call, &args[0], &call.body)?;
    Reply::made(new, shown)
}

/// What the body has takes the place of what was there; lists are replaced whole.
pub(super) fn patch(world: &mut World, call: &Call, args: &[String]) -> Result<Reply, Refused> {
    let mut merged = found(world, &args[0])?.shown(world, call.now);
    merge(&mut merged, &call.body);
    write(world, call, &args[0], &merged).and_then(Reply::ok)
}

/// Parents keep their endpoint for it, which is then not well; its aliases are emptied.
pub(super) fn delete(world: &mut World, _: &Call, args: &[String]) -> Result<Reply, Refused> {
    let Some(gone) = world.profiles.remove(&args[0].to_ascii_lowercase()) else {
        return Reply::empty(204);
    };
    world.forget(&gone.id());
    Reply::ok(json!({"boolean": true}))
}

/// Whether a name under trafficmanager.net is still free.
pub(super) fn available(world: &mut World, call: &Call, _: &[String]) -> Result<Reply, Refused> {
    let name = call.body["name"].as_str().ok_or_else(|| missing("name"))?;
    let kind = call.body["type"].as_str().ok_or_else(|| missing("type"))?;
    if !kind.eq_ignore_ascii_case("Microsoft.Network/trafficManagerProfiles") {
        return Err(Refused::invalid(format!("The type '{kind}' is not supported.")));
    }
    let taken = world.has(&name.to_ascii_lowercase(), world.profiles.values());
    let mut shown = json!({"name": name, "type": kind, "nameAvailable": !taken});
    if taken {
        shown["reason"] = json!("AlreadyExists");
        shown["message"] = json!(rules::taken(name));
    }
    Reply::ok(shown)
}

pub(super) fn hierarchy(_: &mut World, _: &Call, _: &[String]) -> Result<Reply, Refused> {
    Reply::ok(json!({
        "id": "/providers/Microsoft.Network/trafficManagerGeographicHierarchies/default",
        "name": "default",
        "type": "Microsoft.Network/trafficManagerGeographicHierarchies",
        "properties": {"geographicHierarchy": geo::hierarchy()},
    }))
}

fn write(world: &mut World, call: &Call, name: &str, body: &Value) -> Result<Value, Refused> {
    let letters = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'.' || c == b'_';
    if !(1..=260).contains(&name.len()) || !name.bytes().all(letters) {
        return Err(Refused::invalid(format!("The profile name '{name}' is invalid.")));
    }
    let profile = Profile::read(name, body, world, call.now)?;
    rules::check(world, &profile)?;
    let shown = profile.shown(world, call.now);
    world.profiles.insert(name.to_ascii_lowercase(), profile);
    Ok(shown)
}

fn found<'w>(world: &'w World, name: &str) -> Result<&'w Profile, Refused> {
    world.profiles.get(&name.to_ascii_lowercase()).ok_or_else(|| {
        Refused::arm(
            404,
            "ResourceNotFound",
            format!(
                "The Resource 'Microsoft.Network/trafficManagerProfiles/{name}' under resource group '{GROUP}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix"
            ),
        )
    })
}

pub(super) fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}
