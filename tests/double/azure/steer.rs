//! What Traffic Manager answers a client: which endpoints are well, and which of them the routing
//! method takes.

use super::{endpoint::Endpoint, geo, profile::Profile, world::World};
use crate::double::common::country;
use std::{net::IpAddr, time::Duration};

impl World {
    /// Whether a name under trafficmanager.net is one of theirs, or someone else's in the world.
    pub(super) fn has<'p>(
        &self,
        relative: &str,
        mut profiles: impl Iterator<Item = &'p Profile>,
    ) -> bool {
        self.taken.contains(relative)
            || profiles.any(|own| own.relative.eq_ignore_ascii_case(relative))
    }

    pub(super) fn profile_status(&self, profile: &Profile, now: Duration) -> &'static str {
        let all = || profile.endpoints.iter().map(|own| self.endpoint_status(profile, own, now));
        if !profile.enabled {
            "Disabled"
        } else if !profile.endpoints.iter().any(|own| own.enabled) {
            "Inactive"
        } else if all().any(|status| status == "Degraded") {
            "Degraded"
        } else if all().any(|status| status == "CheckingEndpoint") {
            "CheckingEndpoints"
        } else {
            "Online"
        }
    }

    pub(super) fn endpoint_status(
        &self,
        profile: &Profile,
        endpoint: &Endpoint,
        now: Duration,
    ) -> &'static str {
        if !endpoint.enabled {
            "Disabled"
        } else if !profile.enabled {
            "Inactive"
        } else if endpoint.always == Some(true) {
            "Unmonitored"
        } else if !self.well(endpoint) {
            "Degraded"
        } else if !endpoint.nested && now < endpoint.since + FIRST_CHECK {
            "CheckingEndpoint"
        } else {
            "Online"
        }
    }

    /// Whether its checks succeed, or enough of them in the profile behind it.
    fn well(&self, endpoint: &Endpoint) -> bool {
        if !endpoint.nested {
            return endpoint.always == Some(true)
                || !self.ill.contains(&endpoint.target.to_ascii_lowercase());
        }
        let child = endpoint.child.as_ref().and_then(|name| self.profiles.get(name));
        let Some(child) = child.filter(|child| child.enabled) else { return false };
        let well = |rtype: Option<&str>| {
            let own = child.endpoints.iter().filter(|own| own.enabled && self.well(own));
            own.filter(|own| rtype.is_none_or(|rtype| own.rtype() == rtype)).count() as u64
        };
        let [all, v4, v6] = endpoint.least.map(|least| least.unwrap_or(0));
        well(None) >= all
            && (v4 == 0 || well(Some("A")) >= v4)
            && (v6 == 0 || well(Some("AAAA")) >= v6)
    }

    /// The targets that a client is given, each with the type of its record.
    pub(super) fn steer(
        &mut self,
        name: &str,
        rtype: &str,
        client: IpAddr,
    ) -> Vec<(&'static str, String)> {
        let turn = self.next();
        self.chosen(name, rtype, client, turn)
    }

    fn chosen(
        &self,
        name: &str,
        rtype: &str,
        client: IpAddr,
        turn: u64,
    ) -> Vec<(&'static str, String)> {
        let Some(profile) = self.profiles.get(name).filter(|own| own.enabled) else {
            return Vec::new();
        };
        let enabled: Vec<&Endpoint> = profile
            .endpoints
            .iter()
            .filter(|own| own.enabled && self.can_answer(own, rtype))
            .collect();
        let mut well = enabled.clone();
        well.retain(|own| self.well(own));
        // Where all fail, all are taken for well.
        let usable = if well.is_empty() { &enabled } else { &well };
        let country = country(client);
        let one = match profile.method {
            "MultiValue" => {
                let most = usize::try_from(profile.most.unwrap_or(1)).unwrap();
                return usable
                    .iter()
                    .take(most)
                    .map(|own| (own.rtype(), own.target.clone()))
                    .collect();
            }
            "Priority" => usable.iter().min_by_key(|own| own.priority).copied(),
            "Weighted" => weighted(usable, turn),
            "Performance" => {
                let far =
                    |own: &&&Endpoint| geo::distance(country, own.location.unwrap_or_default());
                usable.iter().min_by(|a, b| far(a).total_cmp(&far(b))).copied()
            }
            // A region and a subnet have one endpoint, which answers whether it is well or not.
            "Geographic" => geo::codes(country).into_iter().find_map(|code| {
                enabled.iter().find(|own| own.regions.iter().any(|own| own == code)).copied()
            }),
            _ => enabled
                .iter()
                .find(|own| own.subnets.iter().any(|subnet| subnet.has(client)))
                .or_else(|| enabled.iter().find(|own| own.subnets.is_empty()))
                .copied(),
        };
        match one {
            None => Vec::new(),
            Some(Endpoint { child: Some(child), .. }) => self.chosen(child, rtype, client, turn),
            Some(own) => vec![(own.rtype(), own.target.clone())],
        }
    }

    /// Whether there may be an answer of that type behind it.
    fn can_answer(&self, endpoint: &Endpoint, rtype: &str) -> bool {
        match endpoint.child.as_ref().map(|child| self.profiles.get(child)) {
            Some(child) => child
                .is_some_and(|child| child.endpoints.iter().any(|own| self.can_answer(own, rtype))),
            None => endpoint.rtype() == "CNAME" || endpoint.rtype() == rtype,
        }
    }
}

/// By the golden ratio: any number of turns in a row is spread over the weights as they say.
fn weighted<'e>(endpoints: &[&'e Endpoint], turn: u64) -> Option<&'e Endpoint> {
    let total: u64 = endpoints.iter().map(|own| own.weight).sum();
    let part = turn.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut at = u64::try_from((u128::from(part) * u128::from(total)) >> 64).unwrap();
    endpoints.iter().copied().find(|own| {
        let here = at < own.weight;
        at = at.wrapping_sub(own.weight);
        here
    })
}

/// How long an endpoint is being checked for the first time.
const FIRST_CHECK: Duration = Duration::from_secs(30);
