//! The web listener: readiness, metrics and the JSON API that the CLI asks. It reads snapshots;
//! what an operator orders is handed on ([`Order`]).

mod dnssec;
mod door;
mod orders;
mod writing;

pub use dnssec::{DnssecOrder, DsSeen, Rolling};
pub use orders::{Forcing, Order};
pub use writing::{
    Adopted, AdoptedView, Adopting, Applying, Freezing, Outcome, PlanView, Plans, ProviderOrder,
    WriterView,
};

use crate::{
    fleet::{self, ClusterView, Drill, Explanation, Snapshot, Supposed, Unit, UnitView},
    health,
    model::{FederationName, Name},
    plan,
    records::{self, MasterFile, Row, Zone},
};
use axum::{
    Json, Router,
    extract::{Path, Query, State as Extract},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::sync::CancellationToken;

/// What the listener reads, and where orders go.
#[derive(Clone)]
pub struct State(Arc<Readers>);

/// What is asked for while a request is answered; none of it waits.
pub struct Readers {
    /// The snapshot in force.
    pub snapshot: Box<dyn Fn() -> Arc<Snapshot> + Send + Sync>,
    /// The metrics, as Prometheus reads them.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
    /// How every zone at a provider stands.
    pub written: Box<dyn Fn() -> Vec<(FederationName, plan::Status)> + Send + Sync>,
    /// How every signed zone stands.
    pub dnssec: Box<dyn Fn() -> Vec<crate::dnssec::View> + Send + Sync>,
    /// Where orders go.
    pub orders: mpsc::Sender<Order>,
    /// Whether the process was told to end: it answers on, but is not to be sent new clients.
    pub draining: Box<dyn Fn() -> bool + Send + Sync>,
    /// Where DNS is served.
    pub dns: Vec<SocketAddr>,
}

impl State {
    /// Reads through these.
    #[must_use]
    pub fn new(readers: Readers) -> Self {
        Self(Arc::new(readers))
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        (self.0.snapshot)()
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

/// One zone, for people.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ZoneSummary {
    /// Its apex.
    pub zone: Name,
    /// Its SOA serial.
    pub serial: u32,
    /// How many names own records.
    pub names: usize,
    /// `Pending`, `Partial` or `Complete`.
    pub state: String,
}

/// Serves until shut down.
pub async fn serve(listener: TcpListener, state: State, shutdown: CancellationToken) {
    if let Err(error) = door::serve(listener, router(state), shutdown).await {
        tracing::error!("the web listener ended: {error}; DNS is served on");
    }
}

fn router(state: State) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/v1/clusters", get(clusters))
        .route("/api/v1/services", get(services))
        .route("/api/v1/hosts", get(hosts))
        .route("/api/v1/problems", get(problems))
        .route("/api/v1/zones", get(zones))
        .route("/api/v1/zones/{zone}", get(zone))
        .route("/api/v1/zones/{zone}/master", get(master))
        .route("/api/v1/explain", get(explain))
        .route("/api/v1/drill", get(drill))
        .route("/api/v1/health/report", get(report))
        .route("/api/v1/clusters/{cluster}/force", post(orders::force).delete(orders::release))
        .route("/api/v1/providers", get(writing::providers))
        .route("/api/v1/plan", get(writing::plan))
        .route("/api/v1/apply", post(writing::apply))
        .route("/api/v1/adopt", post(writing::adopt))
        .route("/api/v1/freeze", post(writing::freeze).delete(writing::thaw))
        .route("/api/v1/history", get(writing::history))
        .route("/api/v1/dnssec", get(dnssec::zones))
        .route("/api/v1/dnssec/{zone}/roll", post(dnssec::roll))
        .route("/api/v1/dnssec/{zone}/ds-seen", post(dnssec::ds_seen))
        .with_state(state)
}

async fn ready(Extract(state): Extract<State>) -> Response {
    if (state.0.draining)() {
        let text = "not ready: this process was told to end, and answers until then\n";
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    }
    let snapshot = state.snapshot();
    if snapshot.is_ready() {
        return format!("ok, generation {}\n", snapshot.generation).into_response();
    }
    let text = "not ready: not all clusters have been seen yet\n";
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn metrics(Extract(state): Extract<State>) -> String {
    (state.0.metrics)()
}

async fn clusters(Extract(state): Extract<State>) -> Json<Vec<ClusterView>> {
    let snapshot = state.snapshot();
    Json(snapshot.clusters.values().map(|view| ClusterView::clone(view)).collect())
}

async fn services(Extract(state): Extract<State>) -> Json<Vec<UnitView>> {
    Json(units(&state.snapshot(), |unit| matches!(unit, Unit::Service(_))))
}

async fn hosts(Extract(state): Extract<State>) -> Json<Vec<UnitView>> {
    Json(units(&state.snapshot(), |unit| matches!(unit, Unit::Host(_))))
}

async fn problems(Extract(state): Extract<State>) -> Json<Vec<String>> {
    Json(state.snapshot().problems.to_vec())
}

fn units(snapshot: &Snapshot, wanted: fn(&Unit) -> bool) -> Vec<UnitView> {
    let found = snapshot.units.iter().filter(|((_, unit), _)| wanted(unit));
    found.map(|(_, view)| UnitView::clone(view)).collect()
}

async fn zones(Extract(state): Extract<State>) -> Json<Vec<ZoneSummary>> {
    let summary = |zone: &Arc<Zone>| ZoneSummary {
        zone: zone.apex().clone(),
        serial: zone.serial().0,
        names: zone.len(),
        state: format!("{:?}", zone.completeness),
    };
    let snapshot = state.snapshot();
    let all = snapshot.zones.iter();
    let served = all.map(|zone| snapshot.served.get(zone.apex()).unwrap_or(zone));
    Json(served.map(summary).collect())
}

async fn zone(
    Extract(state): Extract<State>,
    Path(zone): Path<String>,
) -> Result<Json<Vec<Row>>, Refused> {
    Ok(Json(records::rows(&*find(&state, &zone, false)?).collect()))
}

#[derive(Deserialize)]
struct Exported {
    /// Without what signs it.
    #[serde(default)]
    unsigned: bool,
}

async fn master(
    Extract(state): Extract<State>,
    Path(zone): Path<String>,
    Query(asked): Query<Exported>,
) -> Result<String, Refused> {
    Ok(MasterFile(&*find(&state, &zone, asked.unsigned)?).to_string())
}

/// A zone as it is served, with its keys and signatures, unless it is wanted without.
fn find(state: &State, zone: &str, unsigned: bool) -> Result<Arc<Zone>, Refused> {
    let name: Name = zone.parse().map_err(|error| {
        Refused(StatusCode::BAD_REQUEST, format!("{zone:?} is not a zone name: {error}"))
    })?;
    let snapshot = state.snapshot();
    let served = snapshot.served.get(&name).filter(|_| !unsigned);
    let found = served.or(snapshot.zones.get(&name)).cloned();
    found.ok_or_else(|| {
        let served: Vec<_> = snapshot.zones.iter().map(|zone| zone.apex().to_string()).collect();
        let text = format!("zone {name} is not served; there is {}", served.join(", "));
        Refused(StatusCode::NOT_FOUND, text)
    })
}

async fn report(Extract(state): Extract<State>) -> Result<Json<health::Report>, Refused> {
    orders::report(&state).await.map(Json)
}

#[derive(Deserialize)]
struct Asked {
    name: String,
    /// An address, or a network.
    client: Option<String>,
    /// As in `aws=down,azure=50`.
    at: Option<String>,
}

async fn explain(
    Extract(state): Extract<State>,
    Query(asked): Query<Asked>,
) -> Result<Json<Explanation>, Refused> {
    let name = name(&asked.name)?;
    let client = asked.client.as_deref().map(network).transpose()?;
    let supposed = supposed(asked.at.as_deref())?;
    let snapshot = match supposed.is_empty() {
        true => state.snapshot(),
        false => orders::suppose(&state, &supposed).await?,
    };
    let mut own = fleet::explain(&snapshot, &name, client);
    own.supposed = supposed.iter().map(ToString::to_string).collect();
    own.dns = state.0.dns.first().copied();
    let all = (state.0.written)();
    own.providers = all.iter().filter_map(|(_, status)| status.of_name(&name)).collect();
    Ok(Json(own))
}

#[derive(Deserialize)]
struct Drilled {
    at: String,
    name: Option<String>,
}

async fn drill(
    Extract(state): Extract<State>,
    Query(asked): Query<Drilled>,
) -> Result<Json<Drill>, Refused> {
    let only = asked.name.as_deref().map(name).transpose()?;
    let supposed = supposed(Some(&asked.at))?;
    let before = state.snapshot();
    let after = orders::suppose(&state, &supposed).await?;
    let texts = supposed.iter().map(ToString::to_string).collect();
    // Counting the world's networks takes a while: other tasks of this thread move over.
    let drill = tokio::task::block_in_place(|| fleet::drill(&before, &after, texts, only.as_ref()));
    drill.map(Json).map_err(|text| Refused(StatusCode::NOT_FOUND, text))
}

fn name(text: &str) -> Result<Name, Refused> {
    text.parse().map_err(|error| bad(format!("{text:?} is not a domain name: {error}")))
}

/// An address stands for the network of that address alone.
fn network(text: &str) -> Result<IpNet, Refused> {
    let address = text.parse::<IpAddr>().map(IpNet::from);
    address.or_else(|_| text.parse::<IpNet>()).map_err(|_| {
        bad(format!("{text:?} is neither an IP address nor a network as in 192.0.2.0/24"))
    })
}

fn supposed(text: Option<&str>) -> Result<Vec<Supposed>, Refused> {
    let words = text.into_iter().flat_map(|text| text.split(',')).filter(|word| !word.is_empty());
    words.map(|word| word.parse().map_err(bad)).collect()
}

fn bad(text: String) -> Refused {
    Refused(StatusCode::BAD_REQUEST, text)
}

/// An error as text, since its reader is a person.
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, self.1 + "\n").into_response()
    }
}
