//! Every request: which call it is, counted; what is to go wrong with it; who asks; and the answer.

use super::{
    PROJECT, Shared, compute, dns_api,
    refusal::{Refusal, answer},
    state::State,
    tokens::{self, Answer, Fields, Token},
};
use crate::double::common::{Denied, Fault};
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Query, Request, State as Held},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::Response,
};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) const DNS_QUERIES: &str = "Queries per minute";
pub(super) const COMPUTE_QUERIES: &str = "Queries per minute of compute";

pub(super) fn app(shared: Arc<Shared>) -> Router {
    Router::new().fallback(serve).with_state(shared)
}

/// A request, taken apart.
pub(super) struct Asked {
    pub(super) segments: Vec<String>,
    pub(super) query: Fields,
    headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Which call a request is; by these names tests count calls and make them fail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Call {
    Dns(&'static str),
    Compute(&'static str),
    Token(&'static str),
    Unknown,
}

impl Call {
    fn of(method: &Method, segments: &[&str]) -> Self {
        let get = method == Method::GET;
        let zones = match segments {
            ["dns", "v1", "projects", _, "managedZones", rest @ ..] => Some(rest),
            _ => None,
        };
        match (method.as_str(), zones) {
            ("GET", Some([])) => return Self::Dns("dns.managedZones.list"),
            ("GET", Some([_])) => return Self::Dns("dns.managedZones.get"),
            ("GET", Some([_, "rrsets"])) => return Self::Dns("dns.resourceRecordSets.list"),
            ("POST", Some([_, "rrsets"])) => return Self::Dns("dns.resourceRecordSets.create"),
            ("GET", Some([_, "rrsets", _, _])) => return Self::Dns("dns.resourceRecordSets.get"),
            ("PATCH", Some([_, "rrsets", _, _])) => {
                return Self::Dns("dns.resourceRecordSets.patch");
            }
            ("DELETE", Some([_, "rrsets", _, _])) => {
                return Self::Dns("dns.resourceRecordSets.delete");
            }
            ("GET", Some([_, "changes"])) => return Self::Dns("dns.changes.list"),
            ("POST", Some([_, "changes"])) => return Self::Dns("dns.changes.create"),
            ("GET", Some([_, "changes", _])) => return Self::Dns("dns.changes.get"),
            _ => {}
        }
        match segments {
            ["dns", "v1", "projects", _] if get => Self::Dns("dns.projects.get"),
            ["compute", "v1", "projects", _, "global", "healthChecks", rest @ ..] => {
                match (method.as_str(), rest) {
                    ("GET", []) => Self::Compute("compute.healthChecks.list"),
                    ("POST", []) => Self::Compute("compute.healthChecks.insert"),
                    ("GET", [_]) => Self::Compute("compute.healthChecks.get"),
                    ("PATCH", [_]) => Self::Compute("compute.healthChecks.patch"),
                    ("DELETE", [_]) => Self::Compute("compute.healthChecks.delete"),
                    _ => Self::Unknown,
                }
            }
            ["compute", "v1", "projects", _, "global", "operations", _] if get => {
                Self::Compute("compute.globalOperations.get")
            }
            ["token"] if method == Method::POST => Self::Token("oauth2.token"),
            ["v1", "token"] if method == Method::POST => Self::Token("sts.token"),
            ["v1", "projects", "-", "serviceAccounts", account]
                if method == Method::POST && account.ends_with(":generateAccessToken") =>
            {
                Self::Token("iamcredentials.generateAccessToken")
            }
            ["v1", "projects", .., "allowedLocations"] if get => {
                Self::Token("iamcredentials.getAllowedLocations")
            }
            ["computeMetadata", "v1", ..] | [""] if get => Self::Token("metadata"),
            _ => Self::Unknown,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Dns(name) | Self::Compute(name) | Self::Token(name) => name,
            Self::Unknown => "unknown",
        }
    }

    fn service(self) -> &'static str {
        if let Self::Compute(_) = self { "compute.googleapis.com" } else { "dns.googleapis.com" }
    }

    /// The last word of a call's name that changes nothing.
    fn reads(self) -> bool {
        self.name().ends_with(".get") || self.name().ends_with(".list")
    }
}

async fn serve(Held(shared): Held<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path: Vec<&str> = head.uri.path().trim_start_matches('/').split('/').collect();
    let call = Call::of(&head.method, &path);
    shared.control.count(call.name());
    let fault = shared.control.fault(call.name());
    let asked = Asked {
        segments: path.iter().map(|segment| decoded(segment)).collect(),
        query: fields(&head.uri).unwrap_or_default(),
        headers: head.headers,
        body: to_bytes(body, 16 << 20).await.unwrap_or_default(),
    };
    match &fault {
        Some(Fault::Throttled(after)) => {
            return Refusal::throttled(call.service(), DNS_QUERIES, *after).response();
        }
        Some(Fault::Status(code)) => return Refusal::status(*code).response(),
        Some(Fault::TornBefore) => torn(),
        Some(Fault::Slow(long)) => tokio::time::sleep(*long).await,
        Some(Fault::TornAfter) | None => {}
    }
    let answered = carry_out(&shared, call, &asked).unwrap_or_else(|refusal| refusal.response());
    if fault == Some(Fault::TornAfter) {
        torn();
    }
    answered
}

/// Ends the connection's task, and the connection with it, without a word on either side.
fn torn() -> ! {
    std::panic::resume_unwind(Box::new("torn"))
}

fn carry_out(shared: &Shared, call: Call, asked: &Asked) -> Result<Response, Refusal> {
    let bucket = match call {
        Call::Dns(_) => Some(DNS_QUERIES),
        Call::Compute(_) => Some(COMPUTE_QUERIES),
        Call::Token(_) | Call::Unknown => None,
    };
    if let Some(limit) = bucket.filter(|limit| !shared.control.admit(&[(limit, 1.0)])) {
        return Err(Refusal::throttled(call.service(), limit, None));
    }
    let mut state = shared.state();
    let json = |body: Value| answer(StatusCode::OK, &body);
    match call {
        Call::Token(name) => token(&mut state, name, asked, shared.url.get().unwrap()),
        Call::Dns(name) => {
            permitted(&state, call, asked)?;
            known_query(asked, dns_api::parameters(name))?;
            dns_api::carry_out(&mut state, name, asked).map(json)
        }
        Call::Compute(name) => {
            permitted(&state, call, asked)?;
            known_query(asked, &["maxResults", "pageToken", "filter", "requestId"])?;
            health_checks(&mut state, name, asked).map(json)
        }
        Call::Unknown => Err(Refusal::no_such_method()),
    }
}

/// Whether who asks may.
fn permitted(state: &State, call: Call, asked: &Asked) -> Result<(), Refusal> {
    let token = bearer(state, asked)?;
    let own = if let Call::Compute(_) = call { "compute" } else { "ndev.clouddns" };
    let good = |scope: &String| {
        let scope = scope.trim_start_matches("https://www.googleapis.com/auth/");
        match scope {
            "cloud-platform" | "compute" | "ndev.clouddns.readwrite" => {
                scope == "cloud-platform" || scope.starts_with(own)
            }
            "cloud-platform.read-only" => call.reads(),
            "compute.readonly" | "ndev.clouddns.readonly" => call.reads() && scope.starts_with(own),
            _ => false,
        }
    };
    if !token.scopes.iter().any(good) {
        return Err(Refusal::scope(call.service()));
    }
    let project = &asked.segments[3];
    let allowed = match state.denied {
        Denied::Permission => false,
        Denied::ReadOnly => call.reads(),
        Denied::Credentials | Denied::None => project == PROJECT,
    };
    let allowed = allowed && (state.checks_allowed || !matches!(call, Call::Compute(_)));
    match (allowed, call) {
        (true, _) => Ok(()),
        (false, Call::Compute(name)) => {
            let permission = name.replace(".insert", ".create").replace(".patch", ".update");
            Err(Refusal::permission(&permission, &asked.segments[2..].join("/")))
        }
        (false, _) => Err(Refusal::forbidden()),
    }
}

fn health_checks(state: &mut State, call: &str, asked: &Asked) -> Result<Value, Refusal> {
    let now = state.now;
    let name = asked.segments.get(6).map_or("", String::as_str);
    let request = asked.query.get("requestId").map(String::as_str);
    match call {
        "compute.healthChecks.list" => compute::list(state, &asked.query, now),
        "compute.healthChecks.insert" => compute::insert(state, &asked.body, request, now),
        "compute.healthChecks.get" => compute::get(state, name, now),
        "compute.healthChecks.patch" => compute::patch(state, name, &asked.body, request, now),
        "compute.healthChecks.delete" => compute::delete(state, name, request, now),
        _ => compute::operation_get(state, name, now),
    }
}

fn token(state: &mut State, call: &str, asked: &Asked, url: &str) -> Result<Response, Refusal> {
    let now = state.now;
    let denied = state.denied == Denied::Credentials;
    if denied && call != "metadata" {
        return Err(Refusal::oauth("invalid_grant", "Invalid JWT Signature."));
    }
    let json = |body: Value| answer(StatusCode::OK, &body);
    match call {
        "oauth2.token" => {
            let aud = format!("{url}/token");
            tokens::service_account(state, &form(asked)?, &aud, now).map(json)
        }
        "sts.token" => tokens::exchange(state, &form(asked)?, now).map(json),
        "iamcredentials.generateAccessToken" => {
            let scopes = &bearer(state, asked)?.scopes;
            let good = |own: &String| own == tokens::CLOUD_PLATFORM || own.ends_with("/auth/iam");
            if !scopes.iter().any(good) {
                return Err(Refusal::scope("iamcredentials.googleapis.com"));
            }
            let account = asked.segments[4].trim_end_matches(":generateAccessToken");
            tokens::impersonate(state, account, &asked.body, now).map(json)
        }
        "iamcredentials.getAllowedLocations" => {
            bearer(state, asked)?;
            Ok(json(tokens::allowed_locations()))
        }
        _ => metadata(state, asked),
    }
}

fn metadata(state: &mut State, asked: &Asked) -> Result<Response, Refusal> {
    let path: Vec<&str> = asked.segments.iter().skip(2).map(String::as_str).collect();
    let now = state.now;
    let answered = tokens::metadata(state, &path, &asked.query, &asked.headers, now);
    let mut response = match answered {
        Ok(Answer::Json(body)) => answer(StatusCode::OK, &body),
        Ok(Answer::Text(text)) => Response::builder()
            .header(header::CONTENT_TYPE, "application/text")
            .body(Body::from(text))
            .unwrap(),
        Err(refusal) => refusal.response(),
    };
    response.headers_mut().insert("metadata-flavor", HeaderValue::from_static("Google"));
    Ok(response)
}

/// The token that came with a request, if it is good still.
fn bearer<'a>(state: &'a State, asked: &Asked) -> Result<&'a Token, Refusal> {
    let given = asked.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = given.and_then(|value| value.strip_prefix("Bearer "));
    let token = state.tokens.get(bearer.ok_or_else(|| Refusal::unauthenticated(false))?);
    let token = token.filter(|token| state.now < token.until);
    let token = token.filter(|_| state.denied != Denied::Credentials);
    token.ok_or_else(|| Refusal::unauthenticated(true))
}

/// Refuses a query parameter that the call has not.
fn known_query(asked: &Asked, own: &[&str]) -> Result<(), Refusal> {
    const ALL: [&str; 8] =
        ["alt", "prettyPrint", "fields", "key", "quotaUser", "userIp", "$.xgafv", "callback"];
    let unknown = asked
        .query
        .keys()
        .find(|name| !own.contains(&name.as_str()) && !ALL.contains(&name.as_str()));
    unknown.map_or(Ok(()), |name| {
        let message = format!(
            "Invalid JSON payload received. Unknown name \"{name}\": Cannot bind query parameter. \
             Field '{name}' could not be found in request message."
        );
        Err(Refusal::malformed(&message))
    })
}

fn form(asked: &Asked) -> Result<Fields, Refusal> {
    let kind = asked.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let bad = || Refusal::oauth("invalid_request", "Bad Request");
    kind.filter(|kind| kind.starts_with("application/x-www-form-urlencoded")).ok_or_else(bad)?;
    let text = std::str::from_utf8(&asked.body).map_err(|_| bad())?;
    let uri: Uri = format!("/?{text}").parse().map_err(|_| bad())?;
    fields(&uri).ok_or_else(bad)
}

fn fields(uri: &Uri) -> Option<Fields> {
    Query::<Fields>::try_from_uri(uri).ok().map(|Query(fields)| fields)
}

/// A path's segment without its percent signs.
fn decoded(segment: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = segment.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = |two: &[u8]| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok();
        match after.get(..2).and_then(hex).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An empty object, which a deletion answers.
pub(super) fn nothing() -> Value {
    json!({})
}
