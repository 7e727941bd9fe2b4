//! The wire: which call a request is, whether it may be made now, and how its answer is written.

use super::{
    Refusal, Reply, Shared, changes, checks, extras, shapes, signature, state::State, xml, zones,
};
use crate::double::common::{Denied, Fault};
use axum::{
    body::{Body, to_bytes},
    extract::{Request, State as Own},
    http::{Method, header, request::Parts},
    response::Response,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

impl Reply {
    pub(crate) fn ok(root: &str, shape: &xml::Shape, body: &serde_json::Value) -> Self {
        let mut body = body.clone();
        super::state::without_nulls(&mut body);
        Self { status: 200, location: None, body: xml::write(root, shape, &body) }
    }

    /// The same as the answer to something new, which is there.
    pub(crate) fn created(mut self, path: &str) -> Self {
        self.status = 201;
        self.location = Some(format!("https://route53.amazonaws.com/2013-04-01/{path}"));
        self
    }
}

/// What stands behind the question mark.
#[derive(Debug, Default)]
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    fn of(text: Option<&str>) -> Self {
        let pairs = text.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        Self(pairs.map(|(key, value)| (decoded(key), decoded(value))).collect())
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// How many items a page may have: what is asked, and at most so many.
    pub(crate) fn most(&self, most: usize) -> Result<usize, Refusal> {
        let Some(asked) = self.text("maxitems") else { return Ok(most) };
        let number = asked.parse::<usize>().ok().filter(|number| *number > 0);
        let number = number.ok_or_else(|| Refusal::input("MaxItems is not a valid number"))?;
        Ok(number.min(most))
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let hex: Option<Vec<u8>> = (byte == b'%').then(|| rest.by_ref().take(2).collect());
        let known = hex.and_then(|hex| data_encoding::HEXLOWER_PERMISSIVE.decode(&hex).ok());
        match (byte, known) {
            (_, Some(own)) => bytes.extend(own),
            (b'+', None) => bytes.push(b' '),
            (other, None) => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A call: the vendor's name of it, and what of its path names things.
#[derive(Debug)]
struct Call {
    name: &'static str,
    ids: Vec<String>,
    query: Query,
    body: Vec<u8>,
}

impl Call {
    fn of(method: &Method, uri: &axum::http::Uri, body: Vec<u8>) -> Option<Self> {
        let path = uri.path().strip_prefix("/2013-04-01/")?.trim_end_matches('/');
        let parts: Vec<String> = path.split('/').map(decoded).collect();
        let words: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (get, post) = (method == Method::GET, method == Method::POST);
        let delete = method == Method::DELETE;
        let (name, ids): (_, &[&str]) = match words.as_slice() {
            ["hostedzone"] if get => ("ListHostedZones", &[]),
            ["hostedzone"] if post => ("CreateHostedZone", &[]),
            ["hostedzone", id] if get => ("GetHostedZone", &[*id]),
            ["hostedzone", id] if delete => ("DeleteHostedZone", &[*id]),
            ["hostedzone", id, "rrset"] if get => ("ListResourceRecordSets", &[*id]),
            ["hostedzone", id, "rrset"] if post => ("ChangeResourceRecordSets", &[*id]),
            ["hostedzonesbyname"] if get => ("ListHostedZonesByName", &[]),
            ["hostedzonecount"] if get => ("GetHostedZoneCount", &[]),
            ["hostedzonelimit", id, kind] if get => ("GetHostedZoneLimit", &[*id, *kind]),
            ["accountlimit", kind] if get => ("GetAccountLimit", &[*kind]),
            ["change", id] if get => ("GetChange", &[*id]),
            ["healthcheck"] if get => ("ListHealthChecks", &[]),
            ["healthcheck"] if post => ("CreateHealthCheck", &[]),
            ["healthcheck", id] if get => ("GetHealthCheck", &[*id]),
            ["healthcheck", id] if post => ("UpdateHealthCheck", &[*id]),
            ["healthcheck", id] if delete => ("DeleteHealthCheck", &[*id]),
            ["healthcheck", id, "status"] if get => ("GetHealthCheckStatus", &[*id]),
            ["healthcheckcount"] if get => ("GetHealthCheckCount", &[]),
            ["tags", kind, id] if get => ("ListTagsForResource", &[*kind, *id]),
            ["tags", kind, id] if post => ("ChangeTagsForResource", &[*kind, *id]),
            ["cidrcollection"] if get => ("ListCidrCollections", &[]),
            ["cidrcollection"] if post => ("CreateCidrCollection", &[]),
            ["cidrcollection", id] if post => ("ChangeCidrCollection", &[*id]),
            ["cidrcollection", id, "cidrblocks"] if get => ("ListCidrBlocks", &[*id]),
            _ => return None,
        };
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        Some(Self { name, ids, query: Query::of(uri.query()), body })
    }

    /// What its body must look like.
    fn shape(&self) -> Option<&'static xml::Shape> {
        Some(match self.name {
            "CreateHostedZone" => &shapes::CREATE_ZONE,
            "ChangeResourceRecordSets" => &shapes::CHANGE_SETS,
            "CreateHealthCheck" => &shapes::CREATE_CHECK,
            "UpdateHealthCheck" => &shapes::UPDATE_CHECK,
            "ChangeTagsForResource" => &shapes::CHANGE_TAGS,
            "CreateCidrCollection" => &shapes::CREATE_COLLECTION,
            "ChangeCidrCollection" => &shapes::CHANGE_COLLECTION,
            _ => return None,
        })
    }

    fn writes(&self) -> bool {
        !self.name.starts_with("Get") && !self.name.starts_with("List")
    }

    fn run(&self, state: &mut State, now: Duration) -> Result<Reply, Refusal> {
        let id = |at: usize| self.ids[at].as_str();
        match self.name {
            "ListHostedZones" => zones::list(state, &self.query),
            "CreateHostedZone" => zones::create(state, now, &self.body),
            "GetHostedZone" => zones::get(state, id(0)),
            "DeleteHostedZone" => zones::delete(state, now, id(0)),
            "ListResourceRecordSets" => zones::sets(state, id(0), &self.query),
            "ChangeResourceRecordSets" => changes::change(state, now, id(0), &self.body),
            "ListHostedZonesByName" => zones::list_by_name(state, &self.query),
            "GetHostedZoneCount" => Ok(zones::count(state)),
            "GetHostedZoneLimit" => zones::zone_limit(state, id(0), id(1)),
            "GetAccountLimit" => zones::account_limit(state, id(0)),
            "GetChange" => zones::change(state, now, id(0)),
            "ListHealthChecks" => checks::list(state, &self.query),
            "CreateHealthCheck" => checks::create(state, &self.body),
            "GetHealthCheck" => checks::get(state, id(0)),
            "UpdateHealthCheck" => checks::update(state, id(0), &self.body),
            "DeleteHealthCheck" => checks::delete(state, id(0)),
            "GetHealthCheckStatus" => checks::status(state, id(0)),
            "GetHealthCheckCount" => Ok(checks::count(state)),
            "ListTagsForResource" => extras::tags(state, id(0), id(1)),
            "ChangeTagsForResource" => extras::change_tags(state, id(0), id(1), &self.body),
            "ListCidrCollections" => Ok(extras::collections(state)),
            "CreateCidrCollection" => extras::create_collection(state, &self.body),
            "ChangeCidrCollection" => extras::change_collection(state, id(0), &self.body),
            _ => extras::blocks(state, id(0), self.query.text("location")),
        }
    }
}

/// Every call of the vendor's that has a bucket, with its burst and what it regains each second.
pub(crate) const BUCKETS: &[(&str, f64, f64)] = &[
    ("all", 50.0, 10.0),
    ("changes", 1_500.0, 100.0),
    ("ListHostedZones", 50.0, 10.0),
    ("CreateHostedZone", 40.0, 2.0),
    ("GetHostedZone", 50.0, 10.0),
    ("DeleteHostedZone", 50.0, 10.0),
    ("ListResourceRecordSets", 50.0, 10.0),
    ("ChangeResourceRecordSets", 50.0, 10.0),
    ("ListHostedZonesByName", 50.0, 10.0),
    ("GetHostedZoneCount", 50.0, 10.0),
    ("GetHostedZoneLimit", 50.0, 10.0),
    ("GetAccountLimit", 50.0, 10.0),
    ("GetChange", 50.0, 10.0),
    ("ListHealthChecks", 50.0, 10.0),
    ("CreateHealthCheck", 50.0, 0.5),
    ("GetHealthCheck", 50.0, 10.0),
    ("UpdateHealthCheck", 50.0, 5.0),
    ("DeleteHealthCheck", 15.0, 3.0),
    ("GetHealthCheckStatus", 4.0, 1.0),
    ("GetHealthCheckCount", 50.0, 10.0),
    ("ListTagsForResource", 50.0, 10.0),
    ("ChangeTagsForResource", 50.0, 10.0),
    ("ListCidrCollections", 50.0, 10.0),
    ("CreateCidrCollection", 50.0, 10.0),
    ("ChangeCidrCollection", 50.0, 10.0),
    ("ListCidrBlocks", 50.0, 10.0),
];

pub(crate) fn app(shared: Arc<Shared>) -> axum::Router {
    axum::Router::new().fallback(answered).with_state(shared)
}

async fn answered(Own(shared): Own<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default().to_vec();
    let Some(call) = Call::of(&parts.method, &parts.uri, body) else {
        shared.control.count("unknown");
        let why = "The requested operation is not known";
        return refusal(&Refusal::new(404, "UnknownOperationException", why), None);
    };
    shared.control.count(call.name);
    let fault = shared.control.fault(call.name);
    match fault {
        Some(Fault::Throttled(after)) => return refusal(&Refusal::throttled(), after),
        Some(Fault::Status(status)) => return refusal(&Refusal::of(status), None),
        Some(Fault::TornBefore) => torn(),
        Some(Fault::Slow(long)) => {
            // Meanwhile the zone is at work on this change, and takes no other.
            shared.hold(&call, long);
            tokio::time::sleep(long).await;
        }
        Some(Fault::TornAfter) | None => {}
    }
    let held = matches!(fault, Some(Fault::Slow(_)));
    let result = judged(&shared, &parts, &call, held);
    if fault == Some(Fault::TornAfter) {
        torn();
    }
    match result {
        Ok(reply) => {
            let location = reply.location.map(|place| (header::LOCATION, place));
            respond(reply.status, reply.body, location)
        }
        Err(why) => refusal(&why, None),
    }
}

fn judged(shared: &Shared, parts: &Parts, call: &Call, held: bool) -> Result<Reply, Refusal> {
    let mut state = shared.state();
    allowed(&state, parts, call)?;
    let changes = match call.name {
        "ChangeResourceRecordSets" => changes::tokens(&call.body),
        _ => 0.0,
    };
    let buckets = [("all", 1.0), (call.name, 1.0), ("changes", changes)];
    if !shared.control.admit(&buckets) {
        return Err(Refusal::throttled());
    }
    if state.ordered
        && let Some(shape) = call.shape()
    {
        xml::in_order(&call.body, shape)?;
    }
    if held && let Some(zone) = call.ids.first().and_then(|id| state.zones.get_mut(id)) {
        zone.busy_until = Duration::ZERO;
    }
    call.run(&mut state, shared.control.now())
}

impl Shared {
    fn hold(&self, call: &Call, long: Duration) {
        if call.name == "ChangeResourceRecordSets" {
            let until = self.control.now() + long;
            if let Some(zone) = self.state().zones.get_mut(&call.ids[0]) {
                zone.busy_until = until;
            }
        }
    }
}

fn allowed(state: &State, parts: &Parts, call: &Call) -> Result<(), Refusal> {
    signature::verify(parts, &call.body, state.ahead)?;
    match state.denied {
        Denied::None => Ok(()),
        Denied::ReadOnly if !call.writes() => Ok(()),
        Denied::Credentials => {
            let why = "The security token included in the request is invalid.";
            Err(Refusal::new(403, "InvalidClientTokenId", why))
        }
        Denied::Permission | Denied::ReadOnly => {
            let why = format!(
                "User: arn:aws:iam::123456789012:user/tester is not authorized to perform: \
                 route53:{} because no identity-based policy allows the route53:{} action",
                call.name, call.name
            );
            Err(Refusal::new(403, "AccessDenied", &why))
        }
    }
}

/// Ends the connection without an answer: the task that serves it goes.
fn torn() -> ! {
    std::panic::resume_unwind(Box::new("the connection is torn"))
}

fn refusal(why: &Refusal, retry_after: Option<u64>) -> Response {
    let fault = if why.status < 500 { "Sender" } else { "Receiver" };
    let text = |text: &str| quick_xml::escape::escape(text).into_owned();
    let error = xml::tagged("Type", fault)
        + &xml::tagged("Code", why.code)
        + &xml::tagged("Message", &text(&why.message));
    let inner = xml::tagged("Error", &error) + &xml::tagged("RequestId", REQUEST);
    let body = format!(
        "<?xml version=\"1.0\"?>\n<ErrorResponse xmlns=\"{}\">{inner}</ErrorResponse>",
        xml::NAMESPACE
    );
    let after = retry_after.map(|seconds| (header::RETRY_AFTER, seconds.to_string()));
    respond(why.status, body, after)
}

fn respond(status: u16, body: String, more: Option<(header::HeaderName, String)>) -> Response {
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "text/xml")
        .header("x-amzn-RequestId", REQUEST);
    if let Some((name, value)) = more {
        response = response.header(name, value);
    }
    response.body(Body::from(body)).unwrap()
}

impl Refusal {
    pub(crate) fn new(status: u16, code: &'static str, message: &str) -> Self {
        Self { status, code, message: message.to_owned() }
    }

    pub(crate) fn input(message: &str) -> Self {
        Self::new(400, "InvalidInput", message)
    }

    /// All that is wrong with a batch, as the vendor lists it.
    pub(crate) fn batch(why: &[String]) -> Self {
        Self::new(400, "InvalidChangeBatch", &format!("[{}]", why.join(", ")))
    }

    pub(crate) fn no_zone(id: &str) -> Self {
        Self::new(404, "NoSuchHostedZone", &format!("No hosted zone found with ID: {id}"))
    }

    pub(crate) fn no_check(id: &str) -> Self {
        Self::new(
            404,
            "NoSuchHealthCheck",
            &format!("No health check exists with the specified ID {id}"),
        )
    }

    fn throttled() -> Self {
        Self::new(400, "Throttling", "Rate exceeded")
    }

    fn of(status: u16) -> Self {
        let code = match status {
            403 => "AccessDenied",
            404 => "NoSuchHostedZone",
            429 => "Throttling",
            503 => "ServiceUnavailable",
            status if status >= 500 => "InternalFailure",
            _ => "InvalidInput",
        };
        Self::new(status, code, "As the test asked for")
    }
}

const REQUEST: &str = "b25f48e8-84fd-11e6-80d9-574e0c4664cb";
