//! From a request to its operation: who asks, whether they may, whether too fast, what goes wrong.

use super::{
    endpoints, profiles,
    refused::{Refused, Reply},
    tokens,
    world::{Denied, GROUP, SUBSCRIPTION, World},
    zones::{self, failed},
};
use crate::double::common::{Control, Fault};
use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, Method, Response},
};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

/// What an operation is given.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) now: Duration,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
    pub(super) body: Value,
    /// What is done, in the words of roles.
    pub(super) verb: &'static str,
    /// Scheme and host as the client wrote them.
    pub(super) base: String,
    path: String,
    query: BTreeMap<String, String>,
}

type Act = fn(&mut World, &Call, &[String]) -> Result<Reply, Refused>;

/// An operation, by the name that the vendor's description has for it.
struct Operation {
    name: &'static str,
    access: Access,
    act: Act,
    args: Vec<String>,
    /// The zone's own limit that it counts against.
    bucket: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Access {
    Token,
    Read,
    Write,
    Delete,
}

pub(super) async fn serve(
    world: Arc<Mutex<World>>,
    control: Arc<Control>,
    scheme: &'static str,
    request: Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, 1 << 20).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let host = parts.headers.get("host").and_then(|own| own.to_str().ok()).unwrap_or_default();
    let pairs = parts.uri.query().unwrap_or_default().split('&');
    let call = Call {
        now: control.now(),
        verb: match parts.method.as_str() {
            "GET" | "POST" => "read",
            "DELETE" => "delete",
            _ => "write",
        },
        base: format!("{scheme}://{host}"),
        body: serde_json::from_str(&text).unwrap_or(Value::Null),
        text,
        path: parts.uri.path().to_owned(),
        query: pairs
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| {
                (tokens::decoded(name).to_ascii_lowercase(), tokens::decoded(value))
            })
            .collect(),
        headers: parts.headers,
    };
    let segments: Vec<String> =
        call.path.split('/').skip(1).map(|own| tokens::decoded(&own.replace('+', "%2B"))).collect();
    let Some(operation) = operation(&parts.method, &segments) else {
        control.count("unknown");
        let message =
            format!("No HTTP resource was found that matches the request URI '{}'.", call.path);
        return Refused::arm(404, "InvalidResourceType", message).response();
    };
    let fault = {
        control.count(operation.name);
        control.fault(operation.name)
    };
    let tear = fault == Some(Fault::TornAfter);
    let result = match fault {
        Some(Fault::Throttled(after)) => Err(throttled(after)),
        Some(Fault::Status(status)) => Err(broken(status)),
        Some(Fault::TornBefore) => torn(),
        Some(Fault::Slow(long)) => {
            tokio::time::sleep(long).await;
            carry_out(&world, &control, &call, &operation, &segments)
        }
        Some(Fault::TornAfter) | None => carry_out(&world, &control, &call, &operation, &segments),
    };
    if tear {
        torn();
    }
    match result {
        Ok(reply) => reply.response(),
        Err(refused) => refused.response(),
    }
}

/// Ends the connection's own task, which closes the connection; nothing is printed.
fn torn() -> ! {
    std::panic::resume_unwind(Box::new("torn"))
}

fn carry_out(
    world: &Mutex<World>,
    control: &Control,
    call: &Call,
    operation: &Operation,
    segments: &[String],
) -> Result<Reply, Refused> {
    let world = &mut *world.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if operation.access != Access::Token {
        tokens::check(world, call)?;
        check_version(call, segments)?;
        check_scope(segments)?;
        check_rights(world.denied, operation, call)?;
        check_speed(world, control, operation)?;
        if !call.text.is_empty() && call.body.is_null() {
            return Err(Refused::arm(
                400,
                "InvalidRequestContent",
                "The request content was invalid and could not be deserialized.",
            ));
        }
    }
    let done = (operation.act)(world, call, &operation.args);
    let (status, answered) = match &done {
        Ok(reply) => (reply.status, reply.body.clone()),
        Err(refused) => refused.parts(),
    };
    world.note(json!({
        "operation": operation.name,
        "sent": call.body,
        "status": status,
        "answered": answered,
    }));
    done
}

fn operation(method: &Method, segments: &[String]) -> Option<Operation> {
    let lower: Vec<String> = segments.iter().map(|own| own.to_ascii_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    let args = |from: usize| segments[from..].to_vec();
    let make = |name, access, act, args| Operation { name, access, act, args, bucket: None };
    let (method, path) = (method.as_str(), lower.as_slice());
    let found = match (method, path) {
        ("POST", [_, "oauth2", "v2.0", "token"]) => {
            make("Token", Access::Token, tokens::token as Act, args(0))
        }
        ("GET", [_, "v2.0", ".well-known", "openid-configuration"]) => {
            make("OpenIdConfiguration", Access::Token, tokens::openid, args(0))
        }
        ("GET", ["metadata", "identity", "oauth2", "token"]) => {
            make("MetadataToken", Access::Token, tokens::machine, Vec::new())
        }
        (
            "GET",
            ["providers", "microsoft.network", "trafficmanagergeographichierarchies", "default"],
        ) => {
            make("GeographicHierarchies_GetDefault", Access::Read, profiles::hierarchy, Vec::new())
        }
        ("POST", ["providers", "microsoft.network", "checktrafficmanagernameavailability"]) => {
            make(
                "Profiles_CheckTrafficManagerRelativeDnsNameAvailability",
                Access::Read,
                profiles::available,
                Vec::new(),
            )
        }
        (_, ["subscriptions", _, "providers", "microsoft.network", rest @ ..]) => {
            match (method, rest) {
                ("GET", ["dnszones"]) => make("Zones_List", Access::Read, zones::list, Vec::new()),
                ("GET", ["trafficmanagerprofiles"]) => {
                    make("Profiles_ListBySubscription", Access::Read, profiles::list, Vec::new())
                }
                ("POST", ["checktrafficmanagernameavailabilityv2"]) => make(
                    "Profiles_CheckTrafficManagerNameAvailabilityV2",
                    Access::Read,
                    profiles::available,
                    Vec::new(),
                ),
                _ => return None,
            }
        }
        (
            _,
            ["subscriptions", _, "resourcegroups", _, "providers", "microsoft.network", rest @ ..],
        ) => {
            return dns(method, rest, &segments[6..])
                .or_else(|| traffic_manager(method, rest, &segments[6..]));
        }
        _ => return None,
    };
    Some(found)
}

fn dns(method: &str, rest: &[&str], given: &[String]) -> Option<Operation> {
    use Access::{Delete, Read, Write};
    let (name, access, act, bucket): (_, _, Act, _) = match (method, rest) {
        ("GET", ["dnszones"]) => ("Zones_ListByResourceGroup", Read, zones::list, None),
        ("GET", ["dnszones", _]) => ("Zones_Get", Read, zones::get, None),
        ("PUT", ["dnszones", _]) => ("Zones_CreateOrUpdate", Write, zones::put, None),
        ("PATCH", ["dnszones", _]) => ("Zones_Update", Write, zones::patch, None),
        ("DELETE", ["dnszones", _]) => ("Zones_Delete", Delete, zones::delete, None),
        ("GET", ["dnszones", _, "recordsets"]) => {
            ("RecordSets_ListByDnsZone", Read, zones::list_sets, Some("list"))
        }
        ("GET", ["dnszones", _, "all"]) => {
            ("RecordSets_ListAllByDnsZone", Read, zones::list_sets, Some("list"))
        }
        ("GET", ["dnszones", _, _]) => {
            ("RecordSets_ListByType", Read, zones::list_sets, Some("list"))
        }
        ("GET", ["dnszones", _, _, _]) => ("RecordSets_Get", Read, zones::get_set, Some("get")),
        ("PUT", ["dnszones", _, _, _]) => {
            ("RecordSets_CreateOrUpdate", Write, zones::put_set, Some("put"))
        }
        ("PATCH", ["dnszones", _, _, _]) => {
            ("RecordSets_Update", Write, zones::patch_set, Some("update"))
        }
        ("DELETE", ["dnszones", _, _, _]) => {
            ("RecordSets_Delete", Delete, zones::delete_set, Some("delete"))
        }
        _ => return None,
    };
    let mut args = given[1..].to_vec();
    if ["recordsets", "all"].contains(&rest[rest.len() - 1]) && rest.len() == 3 {
        args.pop();
    }
    Some(Operation { name, access, act, args, bucket })
}

fn traffic_manager(method: &str, rest: &[&str], given: &[String]) -> Option<Operation> {
    use Access::{Delete, Read, Write};
    let (name, access, act): (_, _, Act) = match (method, rest) {
        ("GET", ["trafficmanagerprofiles"]) => {
            ("Profiles_ListByResourceGroup", Read, profiles::list)
        }
        ("GET", ["trafficmanagerprofiles", _]) => ("Profiles_Get", Read, profiles::get),
        ("PUT", ["trafficmanagerprofiles", _]) => ("Profiles_CreateOrUpdate", Write, profiles::put),
        ("PATCH", ["trafficmanagerprofiles", _]) => ("Profiles_Update", Write, profiles::patch),
        ("DELETE", ["trafficmanagerprofiles", _]) => ("Profiles_Delete", Delete, profiles::delete),
        ("GET", ["trafficmanagerprofiles", _, _, _]) => ("Endpoints_Get", Read, endpoints::get),
        ("PUT", ["trafficmanagerprofiles", _, _, _]) => {
            ("Endpoints_CreateOrUpdate", Write, endpoints::put)
        }
        ("PATCH", ["trafficmanagerprofiles", _, _, _]) => {
            ("Endpoints_Update", Write, endpoints::patch)
        }
        ("DELETE", ["trafficmanagerprofiles", _, _, _]) => {
            ("Endpoints_Delete", Delete, endpoints::delete)
        }
        _ => return None,
    };
    Some(Operation { name, access, act, args: given[1..].to_vec(), bucket: None })
}

fn check_version(call: &Call, segments: &[String]) -> Result<(), Refused> {
    let dns = segments.iter().any(|own| own.eq_ignore_ascii_case("dnszones"));
    let known = if dns { "2018-05-01" } else { "2022-04-01" };
    match call.query("api-version") {
        None => Err(Refused::arm(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )),
        Some(version) if version != known => Err(Refused::arm(
            400,
            "InvalidResourceType",
            format!(
                "The resource type could not be found in the namespace 'Microsoft.Network' for api version '{version}'. The supported api-versions are '{known}'."
            ),
        )),
        Some(_) => Ok(()),
    }
}

fn check_scope(segments: &[String]) -> Result<(), Refused> {
    let lower = |at: usize| segments.get(at).map(|own| own.to_ascii_lowercase());
    if lower(0).as_deref() == Some("subscriptions") && lower(1).as_deref() != Some(SUBSCRIPTION) {
        let message = format!("The subscription '{}' could not be found.", segments[1]);
        return Err(Refused::arm(404, "SubscriptionNotFound", message));
    }
    if lower(2).as_deref() == Some("resourcegroups") && !segments[3].eq_ignore_ascii_case(GROUP) {
        let message = format!("Resource group '{}' could not be found.", segments[3]);
        return Err(Refused::arm(404, "ResourceGroupNotFound", message));
    }
    Ok(())
}

fn check_rights(denied: Denied, operation: &Operation, call: &Call) -> Result<(), Refused> {
    if denied == Denied::None || denied == Denied::ReadOnly && operation.access == Access::Read {
        return Ok(());
    }
    let kind = if operation.bucket.is_some() { "dnsZones/recordsets" } else { "resources" };
    let message = format!(
        "The client '{}' with object id '{}' does not have authorization to perform action 'Microsoft.Network/{kind}/{}' over scope '{}' or the scope is invalid. If access was recently granted, please refresh your credentials.",
        tokens::CLIENT,
        tokens::CLIENT,
        call.verb,
        call.path
    );
    Err(Refused::arm(403, "AuthorizationFailed", message))
}

/// The Resource Manager's limits of the subscription, and the zone's own per minute.
fn check_speed(world: &mut World, control: &Control, operation: &Operation) -> Result<(), Refused> {
    let manager = match operation.access {
        Access::Token | Access::Read => "reads",
        Access::Write => "writes",
        Access::Delete => "deletes",
    };
    if !control.admit(&[(manager, 1.0)]) {
        let message = format!(
            "Number of '{manager}' for subscription '{SUBSCRIPTION}' exceeded the limit. Please try again after '1' seconds."
        );
        return Err(Refused::arm(429, "TooManyRequests", message).with("retry-after", "1"));
    }
    let Some(bucket) = operation.bucket else { return Ok(()) };
    let zone = operation.args[0].to_ascii_lowercase();
    let bucket = match bucket {
        "put" if exists(world, &zone, &operation.args) => "update",
        "put" => "create",
        bucket => bucket,
    };
    if world.limited.insert(zone.clone()) {
        limits(control, Some(&zone));
    }
    let name = limit(&zone, bucket);
    if world.zones.contains_key(&zone) && !control.admit(&[(&name, 1.0)]) {
        let message =
            format!("The zone '{zone}' has reached its limit of '{bucket}' operations per minute.");
        return Err(Refused::dns(429, "TooManyRequests", message).with("retry-after", "1"));
    }
    Ok(())
}

fn exists(world: &World, zone: &str, args: &[String]) -> bool {
    let Some(kind) = super::records::Kind::named(&args[1]) else { return false };
    let key = (args[2].to_ascii_lowercase(), kind.name);
    world.zones.get(zone).is_some_and(|zone| zone.sets.contains_key(&key))
}

/// The name of a zone's limit.
fn limit(zone: &str, bucket: &str) -> String {
    format!("{zone} {bucket}")
}

/// What may be done to one zone in a minute, and by one subscription in all.
pub(super) fn limits(control: &Control, zone: Option<&str>) {
    match zone {
        None => {
            control.limit("reads", 250.0, 25.0);
            control.limit("writes", 200.0, 10.0);
            control.limit("deletes", 200.0, 10.0);
        }
        Some(zone) => {
            for (bucket, most) in [
                ("create", 200.0),
                ("update", 200.0),
                ("delete", 200.0),
                ("get", 2000.0),
                ("list", 60.0),
            ] {
                control.limit(&limit(zone, bucket), most, most / 60.0);
            }
        }
    }
}

fn throttled(after: Option<u64>) -> Refused {
    let refused = Refused::arm(
        429,
        "RetryableErrorDueToAnotherOperation",
        "Operation was throttled due to another operation in progress. It is retryable.",
    );
    match after {
        Some(seconds) => refused.with("retry-after", seconds.to_string()),
        None => refused,
    }
}

fn broken(status: u16) -> Refused {
    let (code, message) = match status {
        500 => ("InternalServerError", "Encountered internal server error."),
        502 => ("BadGateway", "Bad gateway."),
        503 => ("ServiceUnavailable", "The service is unavailable."),
        504 => ("GatewayTimeout", "The gateway did not receive a response in time."),
        _ => ("Error", "An error has occurred."),
    };
    Refused::arm(status, code, message)
}

impl Call {
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// Whether what there is now (its etag, if it is there) is what the headers ask for.
    pub(super) fn conditions(&self, there: Option<&str>) -> Result<(), Refused> {
        let header = |name: &str| self.headers.get(name).and_then(|own| own.to_str().ok());
        let asked = header("if-match").map(|tag| tag.trim_matches('"'));
        match (asked, there) {
            (None, _) | (Some("*"), Some(_)) => {}
            (Some(etag), Some(own)) if etag == own => {}
            (Some(etag), own) => {
                return Err(failed(&format!(
                    "The condition '{etag}' in the If-Match header was not satisfied. The current was '{}'.",
                    own.unwrap_or_default()
                )));
            }
        }
        match (header("if-none-match"), there) {
            (Some("*"), Some(own)) => Err(failed(&format!(
                "The condition '*' in the If-None-Match header was not satisfied. The current was '{own}'."
            ))),
            (Some("*") | None, _) => Ok(()),
            (Some(other), _) => Err(Refused::dns(
                400,
                "BadRequest",
                format!("The value '{other}' of the If-None-Match header is invalid; only '*' is."),
            )),
        }
    }

    /// The key that the page before this one ended with.
    pub(super) fn after(&self) -> Result<Option<String>, Refused> {
        let Some(token) = self.query("$skiptoken") else { return Ok(None) };
        let text = BASE64URL_NOPAD.decode(token.as_bytes()).ok().map(String::from_utf8);
        match text {
            Some(Ok(key)) => Ok(Some(key)),
            _ => Err(Refused::dns(400, "BadRequest", "The '$skipToken' is invalid.")),
        }
    }

    /// The same list, after that key.
    pub(super) fn next_link(&self, last: &str) -> String {
        let mut query = vec![format!("$skipToken={}", BASE64URL_NOPAD.encode(last.as_bytes()))];
        for (name, value) in self.query.iter().filter(|(name, _)| *name != "$skiptoken") {
            query.push(format!("{name}={value}"));
        }
        format!("{}{}?{}", self.base, self.path, query.join("&"))
    }
}
