//! A Traffic Manager profile: how it is read from what callers send and written as the vendor
//! shows it (2022-04-01).

use super::{
    endpoint::Endpoint,
    refused::Refused,
    world::{World, scope},
};
use serde_json::{Map, Value, json};
use std::time::Duration;

#[derive(Clone, Debug)]
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) tags: Value,
    pub(super) enabled: bool,
    pub(super) method: &'static str,
    /// Its name under trafficmanager.net, as it was written.
    pub(super) relative: String,
    pub(super) ttl: u64,
    /// The settings of its checks, without what they found.
    pub(super) monitor: Map<String, Value>,
    pub(super) most: Option<u64>,
    view: Option<&'static str>,
    types: Option<Value>,
    pub(super) endpoints: Vec<Endpoint>,
}

impl Profile {
    /// A profile from the body of a call; each field by itself, not yet the rules between them.
    pub(super) fn read(
        name: &str,
        body: &Value,
        world: &World,
        now: Duration,
    ) -> Result<Self, Refused> {
        let properties = body.get("properties").filter(|own| own.is_object());
        let Some(properties) = properties else {
            return Err(Refused::invalid("The 'properties' of the profile are required."));
        };
        let old = world.profiles.get(&name.to_ascii_lowercase());
        let method = one_of(properties, "trafficRoutingMethod", METHODS)?;
        let dns = &properties["dnsConfig"];
        let types = properties.get("allowedEndpointRecordTypes").filter(|own| !own.is_null());
        let mut profile = Self {
            name: old.map_or(name, |old| &old.name).to_owned(),
            tags: body
                .get("tags")
                .filter(|own| own.is_object())
                .cloned()
                .unwrap_or_else(|| json!({})),
            enabled: one_of(properties, "profileStatus", SWITCH)? != Some("Disabled"),
            method: method.ok_or_else(|| missing("trafficRoutingMethod"))?,
            relative: relative(dns)?,
            ttl: number(dns, "ttl", 0, 2_147_483_647)?.unwrap_or(60),
            monitor: monitor(&properties["monitorConfig"])?,
            most: number(properties, "maxReturn", 1, 8)?,
            view: one_of(properties, "trafficViewEnrollmentStatus", SWITCH)?,
            types: types.cloned(),
            endpoints: Vec::new(),
        };
        let endpoints = match properties.get("endpoints") {
            None | Some(Value::Null) => &[][..],
            Some(Value::Array(all)) => all,
            Some(_) => return Err(Refused::invalid("The 'endpoints' must be a list.")),
        };
        let mut read = Vec::new();
        for body in endpoints {
            let mut endpoint = Endpoint::read(None, body, world)?;
            let before = old.and_then(|old| old.endpoint(&endpoint.name, endpoint.nested));
            endpoint.since =
                before.filter(|own| own.target == endpoint.target).map_or(now, |own| own.since);
            read.push(endpoint);
        }
        if read.iter().any(|own| own.priority > 0) && read.iter().any(|own| own.priority == 0) {
            return Err(Refused::invalid("The 'priority' is there for all endpoints or for none."));
        }
        read.into_iter().for_each(|endpoint| profile.add(endpoint));
        Ok(profile)
    }

    /// An endpoint without a priority comes after all others.
    pub(super) fn add(&mut self, mut endpoint: Endpoint) {
        if endpoint.priority == 0 {
            let last = self.endpoints.iter().map(|own| own.priority).max();
            endpoint.priority = last.unwrap_or(0) + 1;
        }
        self.endpoints.push(endpoint);
    }

    pub(super) fn endpoint(&self, name: &str, nested: bool) -> Option<&Endpoint> {
        self.endpoints
            .iter()
            .find(|own| own.name.eq_ignore_ascii_case(name) && own.nested == nested)
    }

    pub(super) fn id(&self) -> String {
        format!("{}/trafficManagerProfiles/{}", scope(), self.name)
    }

    pub(super) fn fqdn(&self) -> String {
        format!("{}.trafficmanager.net", self.relative)
    }

    /// Whether an alias of that type may be made for it: addresses of that family alone.
    pub(super) fn plain(&self, rtype: &str) -> bool {
        self.endpoints.iter().all(|own| !own.nested && own.rtype() == rtype)
    }

    pub(super) fn shown(&self, world: &World, now: Duration) -> Value {
        let endpoints: Vec<Value> =
            self.endpoints.iter().map(|own| own.shown(self, world, now)).collect();
        let mut monitor = self.monitor.clone();
        let status = world.profile_status(self, now);
        monitor.insert("profileMonitorStatus".to_owned(), json!(status));
        let mut properties = json!({
            "profileStatus": if self.enabled { "Enabled" } else { "Disabled" },
            "trafficRoutingMethod": self.method,
            "dnsConfig": {"relativeName": self.relative, "fqdn": self.fqdn(), "ttl": self.ttl},
            "monitorConfig": monitor,
            "endpoints": endpoints,
            "trafficViewEnrollmentStatus": self.view.unwrap_or("Disabled"),
        });
        if let Some(most) = self.most {
            properties["maxReturn"] = json!(most);
        }
        if let Some(types) = &self.types {
            properties["allowedEndpointRecordTypes"] = types.clone();
        }
        json!({
            "id": self.id(),
            "name": self.name,
            "type": "Microsoft.Network/trafficManagerProfiles",
            "location": "global",
            "tags": self.tags,
            "properties": properties,
        })
    }
}

fn relative(dns: &Value) -> Result<String, Refused> {
    let Some(name) = dns["relativeName"].as_str() else { return Err(missing("relativeName")) };
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if !name.split('.').all(label) || name.len() > 200 {
        return Err(Refused::invalid(format!(
            "The relative DNS name '{name}' is invalid. It may have letters, digits and hyphens only."
        )));
    }
    Ok(name.to_owned())
}

/// How endpoints are checked, with what the vendor fills in.
fn monitor(config: &Value) -> Result<Map<String, Value>, Refused> {
    let Some(protocol) = one_of(config, "protocol", &["HTTP", "HTTPS", "TCP"])? else {
        return Err(missing("monitorConfig.protocol"));
    };
    let port = number(config, "port", 1, 65_535)?.ok_or_else(|| missing("monitorConfig.port"))?;
    let interval = number(config, "intervalInSeconds", 10, 30)?.unwrap_or(30);
    if ![10, 30].contains(&interval) {
        return Err(Refused::invalid("The 'intervalInSeconds' must be 10 or 30."));
    }
    let longest = if interval == 10 { 9 } else { 10 };
    let timeout = number(config, "timeoutInSeconds", 5, longest)?.unwrap_or(longest);
    let failures = number(config, "toleratedNumberOfFailures", 0, 9)?.unwrap_or(3);
    let mut read = json!({
        "protocol": protocol,
        "port": port,
        "intervalInSeconds": interval,
        "timeoutInSeconds": timeout,
        "toleratedNumberOfFailures": failures,
    });
    let path = config["path"].as_str().unwrap_or_default();
    let headers = headers(config)?;
    let ranges = ranges(config)?;
    match protocol {
        "TCP" if !path.is_empty() || !headers.is_empty() || !ranges.is_empty() => {
            return Err(Refused::invalid(
                "A monitor of protocol TCP has no path, custom headers or expected status codes.",
            ));
        }
        "TCP" => {}
        _ if !path.starts_with('/') || path.len() > 1000 => {
            return Err(Refused::invalid(
                "The monitor's 'path' is required and must begin with '/'.",
            ));
        }
        _ => read["path"] = json!(path),
    }
    if !headers.is_empty() {
        read["customHeaders"] = json!(headers);
    }
    if !ranges.is_empty() {
        read["expectedStatusCodeRanges"] = json!(ranges);
    }
    Ok(read.as_object().unwrap().clone())
}

/// Headers of checks, eight at most.
pub(super) fn headers(config: &Value) -> Result<Vec<Value>, Refused> {
    let all = config["customHeaders"].as_array().cloned().unwrap_or_default();
    let good = |own: &Value| {
        own["name"].as_str().is_some_and(|name| !name.is_empty()) && own["value"].is_string()
    };
    if all.len() > 8 || !all.iter().all(good) {
        return Err(Refused::invalid(
            "There may be 8 custom headers, each with a name and a value.",
        ));
    }
    Ok(all)
}

fn ranges(config: &Value) -> Result<Vec<Value>, Refused> {
    let all = config["expectedStatusCodeRanges"].as_array().cloned().unwrap_or_default();
    let good = |own: &Value| {
        let (low, high) = (own["min"].as_u64().unwrap_or(0), own["max"].as_u64().unwrap_or(0));
        low >= 200 && low <= high && high <= 999
    };
    if all.len() > 8 || !all.iter().all(good) {
        return Err(Refused::invalid(
            "There may be 8 ranges of expected status codes, each within 200 to 999.",
        ));
    }
    Ok(all)
}

/// A whole number of that property within bounds, if it is there.
pub(super) fn number(
    from: &Value,
    name: &str,
    least: u64,
    most: u64,
) -> Result<Option<u64>, Refused> {
    match from.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(Refused::invalid(format!(
                "The value {value} of '{name}' is not within {least} to {most}."
            ))),
        },
    }
}

/// One of those words, however it is capitalised, if it is there.
pub(super) fn one_of(
    from: &Value,
    name: &str,
    words: &[&'static str],
) -> Result<Option<&'static str>, Refused> {
    let text = match from.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value.as_str().unwrap_or_default(),
    };
    match words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
        Some(word) => Ok(Some(word)),
        None => Err(Refused::invalid(format!(
            "The value '{text}' of '{name}' is not one of {}.",
            words.join(", ")
        ))),
    }
}

pub(super) fn missing(name: &str) -> Refused {
    Refused::invalid(format!("The property '{name}' is required."))
}

const METHODS: &[&str] =
    &["Performance", "Priority", "Weighted", "Geographic", "MultiValue", "Subnet"];
pub(super) const SWITCH: &[&str] = &["Enabled", "Disabled"];
