//! Traffic Manager: what is done to single endpoints (2022-04-01).

use super::{
    endpoint::{Endpoint, is_nested},
    http::Call,
    profile::Profile,
    profiles::merge,
    refused::{Refused, Reply},
    rules,
    world::World,
};
use serde_json::Value;

pub(super) fn get(world: &mut World, call: &Call, args: &[String]) -> Result<Reply, Refused> {
    shown(world, call, args).and_then(Reply::ok)
}

pub(super) fn put(world: &mut World, call: &Call, args: &[String]) -> Result<Reply, Refused> {
    let nested = is_nested(&args[1])?;
    let new = parent(world, call, args)?.endpoint(&args[2], nested).is_none();
    write(world, call, args, &call.body).and_then(|shown| Reply::made(new, shown))
}

/// What the body has takes the place of what was there; lists are replaced whole.
pub(super) fn patch(world: &mut World, call: &Call, args: &[String]) -> Result<Reply, Refused> {
    let mut merged = shown(world, call, args)?;
    merge(&mut merged, &call.body);
    write(world, call, args, &merged).and_then(Reply::ok)
}

pub(super) fn delete(world: &mut World, call: &Call, args: &[String]) -> Result<Reply, Refused> {
    let nested = is_nested(&args[1])?;
    parent(world, call, args)?;
    let profile = world.profiles.get_mut(&args[0].to_ascii_lowercase()).unwrap();
    let before = profile.endpoints.len();
    let this = |own: &Endpoint| own.nested == nested && own.name.eq_ignore_ascii_case(&args[2]);
    profile.endpoints.retain(|own| !this(own));
    if profile.endpoints.len() == before {
        return Reply::empty(204);
    }
    Reply::ok(serde_json::json!({"boolean": true}))
}

fn write(world: &mut World, call: &Call, args: &[String], body: &Value) -> Result<Value, Refused> {
    let mut profile = parent(world, call, args)?.clone();
    let mut endpoint = Endpoint::read(Some((&args[1], &args[2])), body, world)?;
    let same = |own: &Endpoint| {
        own.nested == endpoint.nested && own.name.eq_ignore_ascii_case(&endpoint.name)
    };
    let at = profile.endpoints.iter().position(same);
    match at {
        Some(at) => {
            let old = &profile.endpoints[at];
            endpoint.since = if old.target == endpoint.target { old.since } else { call.now };
            if endpoint.priority == 0 {
                endpoint.priority = old.priority;
            }
            endpoint.name.clone_from(&old.name);
            profile.endpoints[at] = endpoint;
        }
        None => {
            endpoint.since = call.now;
            profile.add(endpoint);
        }
    }
    rules::check(world, &profile)?;
    world.profiles.insert(args[0].to_ascii_lowercase(), profile);
    shown(world, call, args)
}

fn shown(world: &World, call: &Call, args: &[String]) -> Result<Value, Refused> {
    let nested = is_nested(&args[1])?;
    let profile = parent(world, call, args)?;
    match profile.endpoint(&args[2], nested) {
        Some(endpoint) => Ok(endpoint.shown(profile, world, call.now)),
        None => Err(Refused::arm(
            404,
            "NotFound",
            format!("The endpoint '{}' of profile '{}' was not found.", args[2], args[0]),
        )),
    }
}

/// The profile of an endpoint.
fn parent<'w>(world: &'w World, call: &Call, args: &[String]) -> Result<&'w Profile, Refused> {
    world.profiles.get(&args[0].to_ascii_lowercase()).ok_or_else(|| {
        let kind = format!("trafficManagerProfiles/{}", args[1]);
        Refused::orphan(call.verb, &kind, &format!("trafficManagerProfiles/{}", args[0]))
    })
}
