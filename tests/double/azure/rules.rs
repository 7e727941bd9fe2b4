//! What a profile must hold to as a whole: between its endpoints, and with the other profiles.

use super::{endpoint::Endpoint, profile::Profile, refused::Refused, world::World};
use std::collections::BTreeSet;

/// Refuses a profile that Traffic Manager would refuse; `world` is without it or has it as it was.
pub(super) fn check(world: &World, profile: &Profile) -> Result<(), Refused> {
    unique(world, profile)?;
    if profile.endpoints.len() > MOST_ENDPOINTS {
        return invalid(format!("A profile has {MOST_ENDPOINTS} endpoints at most."));
    }
    distinct(profile, "name", |own| Some(own.name.to_ascii_lowercase()))?;
    distinct(profile, "target", |own| Some(own.target.to_ascii_lowercase()))?;
    distinct(profile, "priority", |own| Some(own.priority.to_string()))?;
    if profile.endpoints.iter().any(|own| own.priority > 1000) {
        return invalid("The priority of an endpoint is within 1 to 1000.");
    }
    families(profile)?;
    match profile.method {
        "Performance" if profile.endpoints.iter().any(|own| own.location.is_none()) => {
            return invalid(
                "The 'endpointLocation' is required for external and nested endpoints of a profile with routing method 'Performance'.",
            );
        }
        "Geographic" => geographic(profile)?,
        "Subnet" => subnets(profile)?,
        "MultiValue" => many(profile)?,
        _ => {}
    }
    if profile.method != "MultiValue" && profile.most.is_some() {
        return invalid("'maxReturn' is for profiles with routing method 'MultiValue' only.");
    }
    nesting(world, profile)?;
    let old = world.profiles.get(&profile.name.to_ascii_lowercase());
    if old.is_none() && world.profiles.len() >= world.most_profiles {
        let message = format!(
            "The subscription has reached its maximum of {} profiles.",
            world.most_profiles
        );
        return Err(Refused::arm(409, "ResourceQuotaExceeded", message));
    }
    Ok(())
}

/// Its name under trafficmanager.net is nobody else's, and stays what it was.
fn unique(world: &World, profile: &Profile) -> Result<(), Refused> {
    let key = profile.name.to_ascii_lowercase();
    let relative = profile.relative.to_ascii_lowercase();
    let old = world.profiles.get(&key);
    if old.is_some_and(|old| !old.relative.eq_ignore_ascii_case(&relative)) {
        return invalid("The relative DNS name of a profile cannot be changed.");
    }
    let others = world.profiles.iter().filter(|(name, _)| **name != key);
    if world.has(&relative, others.map(|(_, own)| own)) {
        return Err(Refused::arm(409, "Conflict", taken(&profile.relative)));
    }
    Ok(())
}

pub(super) fn taken(relative: &str) -> String {
    format!(
        "Domain name {relative}.trafficmanager.net already exists. Please choose a different DNS prefix."
    )
}

fn distinct(
    profile: &Profile,
    what: &str,
    key: fn(&Endpoint) -> Option<String>,
) -> Result<(), Refused> {
    let mut seen = BTreeSet::new();
    for own in profile.endpoints.iter().filter_map(key) {
        if !seen.insert(own.clone()) {
            return invalid(format!(
                "More than one endpoint of the profile has the {what} '{own}'."
            ));
        }
    }
    Ok(())
}

/// Names, IPv4 and IPv6 are not mixed, but for addresses where many are answered.
fn families(profile: &Profile) -> Result<(), Refused> {
    let external = profile.endpoints.iter().filter(|own| !own.nested);
    let types: BTreeSet<&str> = external.map(Endpoint::rtype).collect();
    if types.len() > 1 && profile.method != "MultiValue" {
        return invalid(
            "The external endpoints of a profile are either all names, all IPv4 addresses or all IPv6 addresses.",
        );
    }
    Ok(())
}

fn geographic(profile: &Profile) -> Result<(), Refused> {
    let mut seen = BTreeSet::new();
    for own in &profile.endpoints {
        if own.regions.is_empty() {
            return invalid(format!("The 'geoMapping' of endpoint '{}' is required.", own.name));
        }
        for region in &own.regions {
            if !seen.insert(region) {
                return invalid(format!(
                    "The region '{region}' is mapped to more than one endpoint."
                ));
            }
        }
    }
    Ok(())
}

fn subnets(profile: &Profile) -> Result<(), Refused> {
    if profile.endpoints.iter().filter(|own| own.subnets.is_empty()).count() > 1 {
        return invalid("Only one endpoint of a profile can be without subnets.");
    }
    let all: Vec<_> = profile.endpoints.iter().flat_map(|own| &own.subnets).collect();
    for (at, one) in all.iter().enumerate() {
        if all[at + 1..].iter().any(|other| one.overlaps(other)) {
            return invalid("The subnets of endpoints must not overlap.");
        }
    }
    Ok(())
}

fn many(profile: &Profile) -> Result<(), Refused> {
    if profile.endpoints.iter().any(|own| own.nested || own.rtype() == "CNAME") {
        return invalid(
            "The endpoints of a profile with routing method 'MultiValue' are addresses only.",
        );
    }
    if profile.most.is_none() {
        return invalid("'maxReturn' is required for the routing method 'MultiValue'.");
    }
    Ok(())
}

/// Ten levels at most, and none within itself; above it, too.
fn nesting(world: &World, profile: &Profile) -> Result<(), Refused> {
    let name = profile.name.to_ascii_lowercase();
    let below = depth(world, profile, &name, 1)?;
    let above = height(world, &name, 0);
    if above + below > MOST_LEVELS {
        return invalid(format!("Profiles can be nested in {MOST_LEVELS} levels at most."));
    }
    Ok(())
}

fn depth(world: &World, profile: &Profile, top: &str, level: usize) -> Result<usize, Refused> {
    let mut deepest = level;
    for child in profile.endpoints.iter().filter_map(|own| own.child.as_ref()) {
        if child == top {
            return Err(Refused::invalid("A profile cannot be nested within itself."));
        }
        if let Some(child) = world.profiles.get(child).filter(|_| level <= MOST_LEVELS) {
            deepest = deepest.max(depth(world, child, top, level + 1)?);
        }
    }
    Ok(deepest)
}

fn height(world: &World, name: &str, level: usize) -> usize {
    let parents = world
        .profiles
        .values()
        .filter(|own| own.endpoints.iter().any(|endpoint| endpoint.child.as_deref() == Some(name)));
    let above = parents.filter(|_| level <= MOST_LEVELS);
    above.map(|own| height(world, &own.name.to_ascii_lowercase(), level + 1)).max().unwrap_or(level)
}

fn invalid(message: impl Into<String>) -> Result<(), Refused> {
    Err(Refused::invalid(message))
}

const MOST_ENDPOINTS: usize = 200;
const MOST_LEVELS: usize = 10;
