//! One endpoint of a profile: an address or a name outside of Azure, or another profile.

use super::{
    geo,
    profile::{Profile, SWITCH, headers, missing, number, one_of},
    records::is_host,
    refused::Refused,
    world::{World, within},
};
use serde_json::{Value, json};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) name: String,
    /// A profile stands behind it, and no address.
    pub(super) nested: bool,
    pub(super) target: String,
    /// The profile behind it, by name in lower case.
    pub(super) child: Option<String>,
    resource: Option<String>,
    pub(super) enabled: bool,
    pub(super) always: Option<bool>,
    pub(super) weight: u64,
    /// 0 until it is given one.
    pub(super) priority: u64,
    pub(super) location: Option<&'static str>,
    /// How many must be well behind it: of all, of IPv4, of IPv6.
    pub(super) least: [Option<u64>; 3],
    pub(super) regions: Vec<String>,
    pub(super) subnets: Vec<Subnet>,
    headers: Vec<Value>,
    /// When this target was first named.
    pub(super) since: Duration,
}

/// Addresses from the first to the last.
#[derive(Clone, Debug)]
pub(super) struct Subnet {
    pub(super) first: IpAddr,
    pub(super) last: IpAddr,
    shown: Value,
}

impl Endpoint {
    /// An endpoint from the body of a call; `path` has type and name where the path has them.
    pub(super) fn read(
        path: Option<(&str, &str)>,
        body: &Value,
        world: &World,
    ) -> Result<Self, Refused> {
        let (name, nested) = identity(path, body)?;
        let properties = body.get("properties").filter(|own| own.is_object());
        let properties = properties.ok_or_else(|| missing("properties"))?;
        let always = one_of(properties, "alwaysServe", SWITCH)?.map(|word| word == "Enabled");
        if nested && always == Some(true) {
            return Err(Refused::invalid("'alwaysServe' cannot be enabled for nested endpoints."));
        }
        let (target, child) =
            if nested { child(properties, world)? } else { (target(properties)?, None) };
        let least = [
            number(properties, "minChildEndpoints", 1, 1000)?,
            number(properties, "minChildEndpointsIPv4", 0, 1000)?,
            number(properties, "minChildEndpointsIPv6", 0, 1000)?,
        ];
        if !nested && least.iter().any(Option::is_some) {
            return Err(Refused::invalid("'minChildEndpoints' is for nested endpoints only."));
        }
        Ok(Self {
            name,
            nested,
            target,
            child,
            resource: properties["targetResourceId"].as_str().map(str::to_owned),
            enabled: one_of(properties, "endpointStatus", SWITCH)? != Some("Disabled"),
            always,
            weight: number(properties, "weight", 1, 1000)?.unwrap_or(1),
            priority: number(properties, "priority", 1, 1000)?.unwrap_or(0),
            location: location(properties)?,
            least: if nested { [least[0].or(Some(1)), least[1], least[2]] } else { least },
            regions: regions(properties)?,
            subnets: subnets(properties)?,
            headers: headers(properties)?,
            since: Duration::ZERO,
        })
    }

    /// The type of record that its target answers.
    pub(super) fn rtype(&self) -> &'static str {
        match self.target.parse() {
            Ok(IpAddr::V4(_)) => "A",
            Ok(IpAddr::V6(_)) => "AAAA",
            Err(_) => "CNAME",
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        if self.nested { "nestedEndpoints" } else { "externalEndpoints" }
    }

    pub(super) fn shown(&self, profile: &Profile, world: &World, now: Duration) -> Value {
        let mut properties = json!({
            "endpointStatus": if self.enabled { "Enabled" } else { "Disabled" },
            "endpointMonitorStatus": world.endpoint_status(profile, self, now),
            "target": self.target,
            "weight": self.weight,
            "priority": self.priority,
        });
        let optional = [
            ("targetResourceId", self.resource.as_ref().map(|id| json!(id))),
            ("endpointLocation", self.location.map(|at| json!(at))),
            ("alwaysServe", self.always.map(|on| json!(if on { "Enabled" } else { "Disabled" }))),
            ("geoMapping", (!self.regions.is_empty()).then(|| json!(self.regions))),
            (
                "subnets",
                (!self.subnets.is_empty())
                    .then(|| self.subnets.iter().map(|own| own.shown.clone()).collect()),
            ),
            ("customHeaders", (!self.headers.is_empty()).then(|| json!(self.headers))),
            ("minChildEndpoints", self.least[0].map(|least| json!(least))),
            ("minChildEndpointsIPv4", self.least[1].map(|least| json!(least))),
            ("minChildEndpointsIPv6", self.least[2].map(|least| json!(least))),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                properties[name] = value;
            }
        }
        json!({
            "id": format!("{}/{}/{}", profile.id(), self.kind(), self.name),
            "name": self.name,
            "type": format!("Microsoft.Network/trafficManagerProfiles/{}", self.kind()),
            "properties": properties,
        })
    }
}

impl Subnet {
    pub(super) fn has(&self, client: IpAddr) -> bool {
        client.is_ipv4() == self.first.is_ipv4() && self.first <= client && client <= self.last
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.has(other.first) || other.has(self.first)
    }
}

fn identity(path: Option<(&str, &str)>, body: &Value) -> Result<(String, bool), Refused> {
    let given = body["type"].as_str().and_then(|own| own.rsplit('/').next());
    let name = body["name"].as_str();
    let (kind, name) = match path {
        Some((kind, own)) if name.is_some_and(|name| !name.eq_ignore_ascii_case(own)) => {
            let message =
                format!("The name of the endpoint in the body is not '{own}' of '{kind}'.");
            return Err(Refused::invalid(message));
        }
        Some((kind, name)) => (kind, name),
        None => (
            given.ok_or_else(|| missing("endpoints.type"))?,
            name.ok_or_else(|| missing("endpoints.name"))?,
        ),
    };
    let letters = |c: char| c.is_ascii_graphic() && !"<>*%&:\\?+/".contains(c) || c == ' ';
    if !(1..=260).contains(&name.len()) || !name.chars().all(letters) {
        return Err(Refused::invalid(format!("The endpoint name '{name}' is invalid.")));
    }
    Ok((name.to_owned(), is_nested(kind)?))
}

/// Of the three types, those that have no other Azure resource behind them.
pub(super) fn is_nested(kind: &str) -> Result<bool, Refused> {
    match kind.to_ascii_lowercase().as_str() {
        "externalendpoints" => Ok(false),
        "nestedendpoints" => Ok(true),
        "azureendpoints" => {
            Err(Refused::invalid("The target resource of the endpoint was not found."))
        }
        _ => Err(Refused::invalid(format!("The endpoint type '{kind}' is not supported."))),
    }
}

/// The profile that an endpoint names, by its id or by its name in DNS.
fn child(properties: &Value, world: &World) -> Result<(String, Option<String>), Refused> {
    let (id, target) = (properties["targetResourceId"].as_str(), properties["target"].as_str());
    let path = id.and_then(within).unwrap_or_default();
    let by_id = match path.as_slice() {
        [kind, name] if kind == "trafficmanagerprofiles" => world.profiles.get(name),
        _ => None,
    };
    let by_name = || {
        world
            .profiles
            .values()
            .find(|own| target.is_some_and(|name| name.eq_ignore_ascii_case(&own.fqdn())))
    };
    match if id.is_some() { by_id } else { by_name() } {
        Some(profile) => Ok((profile.fqdn(), Some(profile.name.to_ascii_lowercase()))),
        None => Err(Refused::invalid(format!(
            "The target resource '{}' of the nested endpoint was not found.",
            id.or(target).unwrap_or_default()
        ))),
    }
}

/// An address on the open internet or a host name.
fn target(properties: &Value) -> Result<String, Refused> {
    let Some(target) = properties["target"].as_str() else { return Err(missing("target")) };
    if properties["targetResourceId"].is_string() {
        return Err(Refused::invalid("An external endpoint has no 'targetResourceId'."));
    }
    let reserved = match target.parse() {
        Ok(IpAddr::V4(ip)) => reserved_v4(ip),
        Ok(IpAddr::V6(ip)) => reserved_v6(ip),
        Err(_) => {
            let name = target.strip_suffix('.').unwrap_or(target);
            let digits = name
                .rsplit('.')
                .next()
                .is_some_and(|last| last.bytes().all(|c| c.is_ascii_digit()));
            if !is_host(target) || !name.contains('.') || digits {
                return Err(Refused::invalid(format!(
                    "The target '{target}' is not a valid name or address."
                )));
            }
            false
        }
    };
    if reserved {
        return Err(Refused::invalid(format!(
            "The target '{target}' is within a reserved range of addresses, which Traffic Manager does not support."
        )));
    }
    Ok(target.to_owned())
}

fn reserved_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || ip.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (18..20).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
}

fn reserved_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    // Global unicast is 2000::/3; of that, 2001::/23 and the documentation's are reserved.
    a & 0xe000 != 0x2000
        || (a == 0x2001 && (b < 0x0200 || b == 0x0db8))
        || (a == 0x3fff && b < 0x1000)
}

fn location(properties: &Value) -> Result<Option<&'static str>, Refused> {
    match properties["endpointLocation"].as_str() {
        None => Ok(None),
        Some(name) => geo::location(name).map(Some).ok_or_else(|| {
            Refused::invalid(format!("The location '{name}' is not a location of Azure."))
        }),
    }
}

fn regions(properties: &Value) -> Result<Vec<String>, Refused> {
    let mut read: Vec<String> = Vec::new();
    for code in properties["geoMapping"].as_array().unwrap_or(&Vec::new()) {
        let code = code.as_str().unwrap_or_default().to_owned();
        if !geo::known(&code) {
            return Err(Refused::invalid(format!("The geographic region '{code}' is not known.")));
        }
        if read.contains(&code) {
            return Err(Refused::invalid(format!("The region '{code}' is there more than once.")));
        }
        read.push(code);
    }
    Ok(read)
}

fn subnets(properties: &Value) -> Result<Vec<Subnet>, Refused> {
    let all = properties["subnets"].as_array().cloned().unwrap_or_default();
    all.into_iter().map(subnet).collect()
}

/// A first address with either the last one or the length of the common prefix.
fn subnet(shown: Value) -> Result<Subnet, Refused> {
    let wrong = || Refused::invalid(format!("The subnet {shown} is invalid."));
    let address = |name: &str| shown[name].as_str().and_then(|own| own.parse::<IpAddr>().ok());
    let first = address("first").ok_or_else(wrong)?;
    let last = match (shown["scope"].as_u64(), shown.get("last").filter(|own| !own.is_null())) {
        (Some(scope), None) => end(first, scope).ok_or_else(wrong)?,
        (None, Some(_)) => address("last").ok_or_else(wrong)?,
        _ => return Err(wrong()),
    };
    if first > last || first.is_ipv4() != last.is_ipv4() {
        return Err(wrong());
    }
    Ok(Subnet { first, last, shown })
}

fn end(first: IpAddr, scope: u64) -> Option<IpAddr> {
    let scope = u32::try_from(scope).ok()?;
    match first {
        IpAddr::V4(ip) if scope <= 32 => {
            let rest = u32::MAX.checked_shr(scope).unwrap_or(0);
            (ip.to_bits() & rest == 0).then(|| Ipv4Addr::from_bits(ip.to_bits() | rest).into())
        }
        IpAddr::V6(ip) if scope <= 128 => {
            let rest = u128::MAX.checked_shr(scope).unwrap_or(0);
            (ip.to_bits() & rest == 0).then(|| Ipv6Addr::from_bits(ip.to_bits() | rest).into())
        }
        _ => None,
    }
}
