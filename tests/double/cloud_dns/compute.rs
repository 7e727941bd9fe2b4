//! Global health checks of compute.v1, and the operations that make them.

use super::{
    PROJECT, places,
    refusal::Refusal,
    state::{PENDING, State},
    wire::timestamp,
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, time::Duration};

/// A health check, and from when on others can see it.
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub(super) resource: Value,
    ready: Duration,
}

impl Check {
    /// One that has been there for long.
    pub(super) fn there(resource: Value) -> Self {
        Self { resource, ready: Duration::ZERO }
    }

    /// Whether it is there, and checks from three regions over the Internet.
    pub(super) fn is_global(&self, now: Duration) -> bool {
        now >= self.ready
            && self.resource["sourceRegions"].as_array().is_some_and(|regions| regions.len() == 3)
    }
}

pub(super) fn insert(
    state: &mut State,
    body: &[u8],
    request: Option<&str>,
    now: Duration,
) -> Result<Value, Refusal> {
    if let Some(operation) = again(state, request, now) {
        return Ok(operation);
    }
    let mut resource = object(body)?;
    fill(&mut resource)?;
    let name = resource["name"].as_str().unwrap().to_owned();
    if state.checks.contains_key(&name) {
        let message = format!("The resource '{}' already exists", path(&name));
        return Err(Refusal::new(409, "alreadyExists", &message));
    }
    if state.checks.len() >= state.most_checks {
        let message =
            format!("Quota 'HEALTH_CHECKS' exceeded.  Limit: {}.0 globally.", state.most_checks);
        return Err(Refusal::new(403, "quotaExceeded", &message));
    }
    resource.insert("kind".to_owned(), json!("compute#healthCheck"));
    resource.insert("id".to_owned(), json!(state.number().to_string()));
    resource.insert("creationTimestamp".to_owned(), json!(timestamp()));
    resource.insert("selfLink".to_owned(), json!(link(&path(&name))));
    let check = Check { resource: Value::Object(resource), ready: now + PENDING };
    state.checks.insert(name.clone(), check);
    Ok(operation(state, "insert", &name, request, now))
}

pub(super) fn get(state: &State, name: &str, now: Duration) -> Result<Value, Refusal> {
    let check = state.checks.get(name).filter(|check| now >= check.ready);
    check.map(|check| check.resource.clone()).ok_or_else(|| missing(&path(name)))
}

pub(super) fn list(
    state: &State,
    query: &BTreeMap<String, String>,
    now: Duration,
) -> Result<Value, Refusal> {
    let most = match query.get("maxResults") {
        None => 500,
        Some(text) => match text.parse::<usize>() {
            Ok(most) if most <= 500 => most,
            _ => return Err(invalid("maxResults", text, "Must be between 0 and 500.")),
        },
    };
    let filter = query.get("filter").map(|text| condition(text)).transpose()?;
    let after = query.get("pageToken").map_or("", String::as_str);
    let seen = state.checks.iter().filter(|(_, check)| now >= check.ready);
    let matching =
        seen.filter(|(_, check)| filter.as_ref().is_none_or(|own| own.admits(&check.resource)));
    let mut rest = matching.filter(|(name, _)| name.as_str() > after);
    let page: Vec<(&String, &Check)> = rest.by_ref().take(most).collect();
    let mut answer = json!({
        "kind": "compute#healthCheckList",
        "id": format!("projects/{PROJECT}/global/healthChecks"),
        "selfLink": link(&format!("projects/{PROJECT}/global/healthChecks")),
    });
    if !page.is_empty() {
        answer["items"] = page.iter().map(|(_, check)| check.resource.clone()).collect();
    }
    if let (Some(_), Some((last, _))) = (rest.next(), page.last()) {
        answer["nextPageToken"] = json!(last);
    }
    Ok(answer)
}

pub(super) fn patch(
    state: &mut State,
    name: &str,
    body: &[u8],
    request: Option<&str>,
    now: Duration,
) -> Result<Value, Refusal> {
    if let Some(operation) = again(state, request, now) {
        return Ok(operation);
    }
    let mut resource = get(state, name, now)?;
    let asked = Value::Object(object(body)?);
    if asked.get("name").is_some_and(|own| own != name) {
        return Err(invalid(
            "resource.name",
            &asked["name"].to_string(),
            "The name cannot change.",
        ));
    }
    merge(&mut resource, asked);
    let mut resource = resource.as_object().unwrap().clone();
    fill(&mut resource)?;
    let used = users(state, name);
    let check = state.checks.get_mut(name).unwrap();
    let was_global = check.is_global(now);
    let after = Check { resource: Value::Object(resource), ready: check.ready };
    if was_global && !after.is_global(now) && !used.is_empty() {
        return Err(in_use(name, &used[0]));
    }
    *check = after;
    Ok(operation(state, "patch", name, request, now))
}

pub(super) fn delete(
    state: &mut State,
    name: &str,
    request: Option<&str>,
    now: Duration,
) -> Result<Value, Refusal> {
    if let Some(operation) = again(state, request, now) {
        return Ok(operation);
    }
    get(state, name, now)?;
    if let Some(user) = users(state, name).first() {
        return Err(in_use(name, user));
    }
    state.checks.remove(name);
    Ok(operation(state, "delete", name, request, now))
}

/// An operation as it is at that time.
pub(super) fn operation_get(state: &State, name: &str, now: Duration) -> Result<Value, Refusal> {
    let (operation, done) = state
        .operations
        .get(name)
        .ok_or_else(|| missing(&format!("projects/{PROJECT}/global/operations/{name}")))?;
    let mut operation = operation.clone();
    if now >= *done {
        operation["status"] = json!("DONE");
        operation["progress"] = json!(100);
        operation["endTime"] = json!(timestamp());
    }
    Ok(operation)
}

/// The operation that the same request began before.
fn again(state: &State, request: Option<&str>, now: Duration) -> Option<Value> {
    let same =
        |(operation, _): &&(Value, Duration)| operation["clientOperationId"].as_str() == request;
    let (operation, _) = request.and_then(|_| state.operations.values().find(same))?;
    operation_get(state, operation["name"].as_str()?, now).ok()
}

fn operation(
    state: &mut State,
    kind: &str,
    target: &str,
    request: Option<&str>,
    now: Duration,
) -> Value {
    let id = state.number();
    let name = format!("operation-{id:x}");
    let path = path(target);
    let mut operation = json!({
        "kind": "compute#operation",
        "id": id.to_string(),
        "name": name,
        "operationType": kind,
        "targetLink": link(&path),
        "targetId": state.checks.get(target).map_or_else(|| json!("0"), |check| check.resource["id"].clone()),
        "status": "RUNNING",
        "progress": 0,
        "insertTime": timestamp(),
        "startTime": timestamp(),
        "selfLink": link(&format!("projects/{PROJECT}/global/operations/{name}")),
    });
    if let Some(request) = request {
        operation["clientOperationId"] = json!(request);
    }
    state.operations.insert(name, (operation.clone(), now + PENDING));
    operation
}

/// The sets that use a check.
fn users(state: &State, name: &str) -> Vec<String> {
    let suffix = format!("/{}", path(name));
    let sets = state.zones.values().flat_map(|zone| zone.sets.values());
    let using = sets.filter(|set| {
        let url = set.routing_policy.as_ref().and_then(|policy| policy.health_check.as_ref());
        url.is_some_and(|url| url.ends_with(&suffix))
    });
    using.map(|set| set.name.clone()).collect()
}

fn in_use(name: &str, user: &str) -> Refusal {
    let message =
        format!("The health_check resource '{}' is already being used by '{user}'", path(name));
    Refusal::new(400, "resourceInUseByAnotherResource", &message)
}

/// A condition of a listing: `name = x`, or `name eq x` with a regular expression that is to match
/// whole, of which this double knows letters and one `.*` at the end; the same with `!=` and `ne`.
struct Condition {
    field: String,
    value: String,
    equal: bool,
    is_pattern: bool,
}

impl Condition {
    fn admits(&self, resource: &Value) -> bool {
        let own = resource[&self.field].as_str();
        let same = match self.value.strip_suffix(".*").filter(|_| self.is_pattern) {
            Some(begin) => own.is_some_and(|own| own.starts_with(begin)),
            None => own == Some(self.value.as_str()),
        };
        same == self.equal
    }
}

fn condition(text: &str) -> Result<Condition, Refusal> {
    let words: Vec<&str> = text.trim_matches(['(', ')']).split_ascii_whitespace().collect();
    let [field, comparison, value] = words.as_slice() else {
        return Err(invalid("filter", text, "Invalid list filter expression."));
    };
    let (equal, is_pattern) = match *comparison {
        "=" => (true, false),
        "!=" => (false, false),
        "eq" => (true, true),
        "ne" => (false, true),
        _ => return Err(invalid("filter", text, "Invalid list filter expression.")),
    };
    let value = value.trim_matches(['"', '\'']).to_owned();
    Ok(Condition { field: (*field).to_owned(), value, equal, is_pattern })
}

/// Checks every field, and fills in what the vendor fills in.
fn fill(resource: &mut Map<String, Value>) -> Result<(), Refusal> {
    let known =
        |field: &str| PROTOCOLS.iter().any(|(_, own)| *own == field) || FIELDS.contains(&field);
    if let Some(field) = resource.keys().find(|field| !known(field)) {
        return Err(unknown(field, "resource"));
    }
    let name = resource.get("name").and_then(Value::as_str).unwrap_or_default();
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !starts || name.len() > 63 || name.ends_with('-') || !name.chars().all(letters) {
        return Err(invalid(
            "resource.name",
            name,
            "Must be a match of regex '(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)'",
        ));
    }
    for (field, default, most) in [
        ("checkIntervalSec", 5, 300),
        ("timeoutSec", 5, 300),
        ("healthyThreshold", 2, 10),
        ("unhealthyThreshold", 2, 10),
    ] {
        within(resource, "resource", field, default, most)?;
    }
    if resource["timeoutSec"].as_u64() > resource["checkIntervalSec"].as_u64() {
        let text = resource["timeoutSec"].to_string();
        return Err(invalid("resource.timeoutSec", &text, "Must not exceed checkIntervalSec."));
    }
    let kind = resource.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let Some((_, own)) = PROTOCOLS.iter().find(|(name, _)| *name == kind) else {
        return Err(invalid("resource.type", &kind, "Unknown type of health check."));
    };
    if let Some((_, other)) =
        PROTOCOLS.iter().find(|(_, field)| field != own && resource.contains_key(*field))
    {
        return Err(invalid(
            &format!("resource.{other}"),
            &kind,
            "Exactly one protocol-specific field must match type.",
        ));
    }
    let details = resource.entry(*own).or_insert_with(|| json!({}));
    let details = details
        .as_object_mut()
        .ok_or_else(|| invalid(&format!("resource.{own}"), "", "Not an object."))?;
    protocol(&kind, own, details)?;
    from_regions(resource, &kind, own)
}

fn protocol(kind: &str, own: &str, details: &mut Map<String, Value>) -> Result<(), Refusal> {
    let http = matches!(kind, "HTTP" | "HTTPS" | "HTTP2");
    let fields: &[&str] = match kind {
        _ if http => &[
            "host",
            "port",
            "portName",
            "portSpecification",
            "proxyHeader",
            "requestPath",
            "response",
        ],
        "TCP" | "SSL" => {
            &["port", "portName", "portSpecification", "proxyHeader", "request", "response"]
        }
        _ => &["grpcServiceName", "port", "portName", "portSpecification"],
    };
    if let Some(field) = details.keys().find(|field| !fields.contains(&field.as_str())) {
        return Err(unknown(field, &format!("resource.{own}")));
    }
    let port = if kind == "HTTP" || kind == "TCP" { 80 } else { 443 };
    within(details, &format!("resource.{own}"), "port", port, 65535)?;
    if http {
        let path = details.entry("requestPath").or_insert_with(|| json!("/"));
        if !path.as_str().is_some_and(|path| path.starts_with('/')) {
            return Err(invalid(
                &format!("resource.{own}.requestPath"),
                &path.to_string(),
                "Must begin with '/'.",
            ));
        }
    }
    if http || kind == "TCP" || kind == "SSL" {
        let header = details.entry("proxyHeader").or_insert_with(|| json!("NONE"));
        if header != "NONE" && header != "PROXY_V1" {
            return Err(invalid(
                &format!("resource.{own}.proxyHeader"),
                &header.to_string(),
                "Unknown header.",
            ));
        }
    }
    Ok(())
}

/// What a check from three regions must be, and must not have.
fn from_regions(resource: &Map<String, Value>, kind: &str, own: &str) -> Result<(), Refusal> {
    let Some(regions) = resource.get("sourceRegions") else { return Ok(()) };
    let regions: Vec<&str> = regions
        .as_array()
        .map_or(Vec::new(), |list| list.iter().filter_map(Value::as_str).collect());
    if regions.is_empty() {
        return Ok(());
    }
    let mut once = regions.clone();
    once.sort_unstable();
    once.dedup();
    if once.len() != 3 || regions.len() != 3 {
        return Err(invalid(
            "resource.sourceRegions",
            &regions.join(","),
            "Exactly 3 regions must be specified.",
        ));
    }
    if let Some(region) = regions.iter().find(|region| !places::is_region(region)) {
        return Err(invalid("resource.sourceRegions", region, "Unknown region."));
    }
    let details = &resource[own];
    let wrong = match kind {
        "HTTP" | "HTTPS" | "TCP" if resource["checkIntervalSec"].as_u64() < Some(30) => {
            "checkIntervalSec"
        }
        "HTTP" | "HTTPS" | "TCP" if details["proxyHeader"] != "NONE" => "proxyHeader",
        "TCP" if details.get("request").is_some() => "tcpHealthCheck.request",
        "HTTP" | "HTTPS" | "TCP" => return Ok(()),
        _ => "type",
    };
    let value = resource.get(wrong).map_or_else(String::new, Value::to_string);
    Err(invalid(&format!("resource.{wrong}"), &value, "Not supported with sourceRegions."))
}

/// A number from 1 to that, filled in when it is not given.
fn within(
    object: &mut Map<String, Value>,
    path: &str,
    field: &str,
    default: u64,
    most: u64,
) -> Result<(), Refusal> {
    let value = object.entry(field).or_insert_with(|| json!(default));
    match value.as_u64().is_some_and(|number| (1..=most).contains(&number)) {
        true => Ok(()),
        false => Err(invalid(
            &format!("{path}.{field}"),
            &value.to_string(),
            &format!("Must be between 1 and {most}."),
        )),
    }
}

/// JSON merge patch (RFC 7396).
pub(super) fn merge(into: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *into = patch;
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    let object = into.as_object_mut().unwrap();
    for (field, value) in patch {
        if value.is_null() {
            object.remove(&field);
        } else {
            merge(object.entry(field).or_insert(Value::Null), value);
        }
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let read = serde_json::from_slice(body);
    read.map_err(|error| Refusal::malformed(&format!("Invalid JSON payload received. {error}")))
}

fn unknown(field: &str, within: &str) -> Refusal {
    Refusal::malformed(&format!(
        "Invalid JSON payload received. Unknown name \"{field}\" at '{within}': Cannot find field."
    ))
}

fn invalid(field: &str, value: &str, why: &str) -> Refusal {
    Refusal::new(400, "invalid", &format!("Invalid value for field '{field}': '{value}'. {why}"))
}

fn missing(path: &str) -> Refusal {
    Refusal::new(404, "notFound", &format!("The resource '{path}' was not found"))
}

fn path(name: &str) -> String {
    format!("projects/{PROJECT}/global/healthChecks/{name}")
}

fn link(path: &str) -> String {
    format!("https://www.googleapis.com/compute/v1/{path}")
}

const PROTOCOLS: [(&str, &str); 7] = [
    ("HTTP", "httpHealthCheck"),
    ("HTTPS", "httpsHealthCheck"),
    ("HTTP2", "http2HealthCheck"),
    ("TCP", "tcpHealthCheck"),
    ("SSL", "sslHealthCheck"),
    ("GRPC", "grpcHealthCheck"),
    ("GRPC_WITH_TLS", "grpcTlsHealthCheck"),
];

const FIELDS: [&str; 14] = [
    "checkIntervalSec",
    "creationTimestamp",
    "description",
    "healthyThreshold",
    "id",
    "kind",
    "logConfig",
    "name",
    "region",
    "selfLink",
    "sourceRegions",
    "timeoutSec",
    "type",
    "unhealthyThreshold",
];
