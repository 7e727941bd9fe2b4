//! Health checks: what they may look like, how they change, and whether they say healthy.

use super::{
    Refusal, Reply,
    http::Query,
    shapes,
    state::{Check, State},
    xml,
};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

impl Check {
    fn shown(&self) -> Value {
        json!({
            "Id": self.id,
            "CallerReference": self.reference,
            "HealthCheckConfig": self.config,
            "HealthCheckVersion": self.version,
        })
    }
}

impl State {
    /// What Route 53 takes a check to say.
    pub(crate) fn healthy(&self, id: &str) -> bool {
        // Of a check that is gone nothing is known; the double takes it for healthy.
        let Some(check) = self.checks.get(id) else { return true };
        let config = &check.config;
        let children = config["ChildHealthChecks"].as_array();
        let seen = match config["Type"].as_str() {
            _ if config["Disabled"] == true => true,
            Some("CALCULATED") => {
                let up = children.into_iter().flatten().filter_map(Value::as_str);
                let up = up.filter(|child| *child != id && self.healthy(child)).count();
                up as u64 >= config["HealthThreshold"].as_u64().unwrap_or_default()
            }
            _ => check.up,
        };
        seen != (config["Inverted"] == true)
    }
}

pub(crate) fn create(state: &mut State, body: &[u8]) -> Result<Reply, Refusal> {
    let asked = xml::read(body, "CreateHealthCheckRequest", &shapes::CREATE_CHECK)?;
    let reference = asked["CallerReference"].as_str().unwrap_or_default();
    let config = asked["HealthCheckConfig"].clone();
    let used = state.checks.values().find(|check| check.reference == reference);
    if let Some(check) = used.filter(|check| check.asked == config) {
        return Ok(told("CreateHealthCheckResponse", check).created_check(&check.id));
    }
    if used.is_some() || state.spent.contains(reference) {
        let why = "A health check with that CallerReference has already been created";
        return Err(Refusal::new(409, "HealthCheckAlreadyExists", why));
    }
    valid(state, &config)?;
    if state.checks.len() + state.others_checks >= MAX_CHECKS {
        let why = "Limits Exceeded: MAX_HEALTH_CHECKS_BY_OWNER";
        return Err(Refusal::new(400, "TooManyHealthChecks", why));
    }
    let id = state.uuid();
    let check = Check {
        id: id.clone(),
        reference: reference.to_owned(),
        config: with_defaults(config.clone()),
        asked: config,
        version: 1,
        up: true,
    };
    let reply = told("CreateHealthCheckResponse", &check).created_check(&id);
    state.checks.insert(id, check);
    Ok(reply)
}

fn told(root: &str, check: &Check) -> Reply {
    Reply::ok(root, &shapes::ONE_CHECK, &json!({ "HealthCheck": check.shown() }))
}

impl Reply {
    fn created_check(self, id: &str) -> Self {
        self.created(&format!("healthcheck/{id}"))
    }
}

/// What the vendor fills in where nothing is said.
fn with_defaults(mut config: Value) -> Value {
    let kind = config["Type"].as_str().unwrap_or_default().to_owned();
    let mut defaults = vec![("Inverted", json!(false)), ("Disabled", json!(false))];
    if kind != "CALCULATED" {
        defaults.extend([
            ("RequestInterval", json!(30)),
            ("FailureThreshold", json!(3)),
            ("MeasureLatency", json!(false)),
            ("EnableSNI", json!(kind.starts_with("HTTPS"))),
        ]);
    }
    if kind.starts_with("HTTP") {
        defaults.push(("Port", json!(if kind.starts_with("HTTPS") { 443 } else { 80 })));
    }
    for (field, value) in defaults {
        if config[field].is_null() {
            config[field] = value;
        }
    }
    super::state::without_nulls(&mut config);
    config
}

fn valid(state: &State, config: &Value) -> Result<(), Refusal> {
    let refuse = |why: &str| Err(Refusal::input(&format!("Invalid parameter : {why}")));
    let has = |field: &str| !config[field].is_null();
    let kind = config["Type"].as_str().unwrap_or_default();
    let endpoint = matches!(kind, "HTTP" | "HTTPS" | "HTTP_STR_MATCH" | "HTTPS_STR_MATCH" | "TCP");
    if matches!(kind, "CLOUDWATCH_METRIC" | "RECOVERY_CONTROL") {
        return refuse("Checks of that type are none of this double's");
    }
    if !endpoint {
        let foreign = ["IPAddress", "Port", "ResourcePath", "FullyQualifiedDomainName"];
        let foreign = foreign.iter().chain(&["SearchString", "RequestInterval", "Regions"]);
        if let Some(field) = foreign.into_iter().find(|field| has(field)) {
            return refuse(&format!("{field} is not allowed for type {kind}"));
        }
        return valid_children(state, config);
    }
    if has("ChildHealthChecks") || has("HealthThreshold") {
        return refuse("ChildHealthChecks and HealthThreshold are for type CALCULATED only");
    }
    if !has("IPAddress") && (kind == "TCP" || !has("FullyQualifiedDomainName")) {
        return refuse("IPAddress or FullyQualifiedDomainName must be specified");
    }
    if kind == "TCP" && !has("Port") {
        return refuse("Port must be specified for type TCP");
    }
    if kind == "TCP" && has("ResourcePath") {
        return refuse("ResourcePath is not allowed for type TCP");
    }
    let searched = config["SearchString"].as_str().is_some_and(|text| !text.is_empty());
    if kind.ends_with("_STR_MATCH") != searched {
        return refuse("SearchString must be specified for the STR_MATCH types, and for no other");
    }
    if config["RequestInterval"].as_u64().is_some_and(|seconds| !matches!(seconds, 10 | 30)) {
        return refuse("RequestInterval must be 10 or 30");
    }
    let address = config["IPAddress"].as_str().and_then(|text| text.parse::<IpAddr>().ok());
    if address.is_some_and(is_special) {
        return refuse("IPAddress must not be of a private or special-use range");
    }
    Ok(())
}

fn valid_children(state: &State, config: &Value) -> Result<(), Refusal> {
    let refuse = |why: &str| Err(Refusal::input(&format!("Invalid parameter : {why}")));
    if config["HealthThreshold"].is_null() {
        return refuse("HealthThreshold must be specified for type CALCULATED");
    }
    let children: Vec<_> = config["ChildHealthChecks"].as_array().into_iter().flatten().collect();
    if children.len() > MAX_CHILDREN {
        return refuse("There are too many ChildHealthChecks");
    }
    for child in children {
        let id = child.as_str().unwrap_or_default();
        if !state.checks.contains_key(id) {
            return refuse(&format!("ChildHealthChecks: {id} does not exist"));
        }
    }
    Ok(())
}

/// Whether an address is none that a checker on the Internet reaches (RFC 5735, 6598, 5156).
fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => {
            let octets = ip.octets();
            let special = matches!(
                octets,
                [0 | 10 | 127 | 224..=255, ..]
                    | [100, 64..=127, ..]
                    | [169, 254, ..]
                    | [172, 16..=31, ..]
                    | [192, 168, ..]
                    | [192, 0, 0 | 2, _]
                    | [192, 88, 99, _]
                    | [198, 18 | 19, ..]
                    | [198, 51, 100, _]
                    | [203, 0, 113, _]
            );
            special
        }
        IpAddr::V6(ip) => {
            let first = ip.segments()[0];
            let documentation = first == 0x2001 && ip.segments()[1] == 0xdb8;
            first & 0xe000 != 0x2000 || documentation || first == 0x2002
        }
    }
}

pub(crate) fn get(state: &State, id: &str) -> Result<Reply, Refusal> {
    let check = state.checks.get(id).ok_or_else(|| Refusal::no_check(id))?;
    Ok(told("GetHealthCheckResponse", check))
}

pub(crate) fn list(state: &State, query: &Query) -> Result<Reply, Refusal> {
    let most = query.most(100)?;
    let marker = query.text("marker").unwrap_or_default();
    if !marker.is_empty() && !state.checks.contains_key(marker) {
        return Err(Refusal::input("The marker is not valid"));
    }
    let mut rest = state.checks.range(marker.to_owned()..).map(|(_, check)| check);
    let page: Vec<_> = rest.by_ref().take(most).map(Check::shown).collect();
    let next = rest.next();
    let mut body = json!({
        "HealthChecks": page,
        "Marker": marker,
        "IsTruncated": next.is_some(),
        "MaxItems": most.to_string(),
    });
    if let Some(check) = next {
        body["NextMarker"] = check.id.clone().into();
    }
    Ok(Reply::ok("ListHealthChecksResponse", &shapes::CHECKS, &body))
}

pub(crate) fn count(state: &State) -> Reply {
    let body = json!({ "HealthCheckCount": state.checks.len() });
    Reply::ok("GetHealthCheckCountResponse", &shapes::CHECK_COUNT, &body)
}

/// Changes what is told, takes back what is reset, and leaves the rest.
pub(crate) fn update(state: &mut State, id: &str, body: &[u8]) -> Result<Reply, Refusal> {
    let asked = xml::read(body, "UpdateHealthCheckRequest", &shapes::UPDATE_CHECK)?;
    let check = state.checks.get(id).ok_or_else(|| Refusal::no_check(id))?;
    let version = asked["HealthCheckVersion"].as_u64();
    if version.is_some_and(|version| version != check.version) {
        let why = format!("The health check's version is {}", check.version);
        return Err(Refusal::new(409, "HealthCheckVersionMismatch", &why));
    }
    let mut config = check.config.clone();
    let own = config.as_object_mut().unwrap();
    for field in asked["ResetElements"].as_array().into_iter().flatten() {
        own.remove(field.as_str().unwrap_or_default());
    }
    let told: Map<_, _> = asked.as_object().cloned().unwrap_or_default();
    let told = told.into_iter();
    own.extend(told.filter(|(key, _)| key != "HealthCheckVersion" && key != "ResetElements"));
    valid(state, &config)?;
    let check = state.checks.get_mut(id).unwrap();
    check.config = config;
    check.version += 1;
    Ok(self::told("UpdateHealthCheckResponse", check))
}

/// Never refused because of use: sets that name it stay.
pub(crate) fn delete(state: &mut State, id: &str) -> Result<Reply, Refusal> {
    let Some(check) = state.checks.remove(id) else { return Err(Refusal::no_check(id)) };
    state.spent.insert(check.reference);
    Ok(Reply::ok("DeleteHealthCheckResponse", &shapes::NOTHING, &json!({})))
}

pub(crate) fn status(state: &State, id: &str) -> Result<Reply, Refusal> {
    let check = state.checks.get(id).ok_or_else(|| Refusal::no_check(id))?;
    if check.config["Type"] == "CALCULATED" {
        return Err(Refusal::input("GetHealthCheckStatus is not for calculated health checks"));
    }
    let says =
        if check.up { "Success: HTTP Status Code 200, OK" } else { "Failure: no connection" };
    let at = super::state::written(super::state::wall_clock());
    let observation = |region: &str| {
        let report = json!({ "Status": says, "CheckedTime": at });
        json!({ "Region": region, "IPAddress": "15.177.2.2", "StatusReport": report })
    };
    let seen: Vec<_> = ["us-east-1", "eu-west-1", "ap-northeast-1"].map(observation).into();
    let body = json!({ "HealthCheckObservations": seen });
    Ok(Reply::ok("GetHealthCheckStatusResponse", &shapes::CHECK_STATUS, &body))
}

/// Health checks of one account.
pub(crate) const MAX_CHECKS: usize = 200;

/// Children of one calculated check.
const MAX_CHILDREN: usize = 255;
