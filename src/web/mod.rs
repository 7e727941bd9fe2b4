//! The web listener: readiness, metrics and the JSON API that the CLI asks. Reads snapshots only.

use crate::{
    fleet::{self, ClusterView, Explanation, Snapshot, Unit, UnitView},
    model::Name,
    records::{self, MasterFile, Row, Zone},
};
use axum::{
    Json, Router,
    extract::{Path, Query, State as Extract},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr, sync::Arc};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What the listener reads.
#[derive(Clone)]
pub struct State(Arc<Readers>);

struct Readers {
    snapshot: Box<dyn Fn() -> Arc<Snapshot> + Send + Sync>,
    metrics: Box<dyn Fn() -> String + Send + Sync>,
}

impl State {
    /// Reads the snapshot in force and the metrics through these.
    pub fn new(
        snapshot: impl Fn() -> Arc<Snapshot> + Send + Sync + 'static,
        metrics: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Readers { snapshot: Box::new(snapshot), metrics: Box::new(metrics) }))
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
    let app = router(state);
    let serving = axum::serve(listener, app).with_graceful_shutdown(shutdown.cancelled_owned());
    if let Err(error) = serving.await {
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
        .with_state(state)
}

async fn ready(Extract(state): Extract<State>) -> Response {
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
    Json(state.snapshot().zones.iter().map(summary).collect())
}

async fn zone(
    Extract(state): Extract<State>,
    Path(zone): Path<String>,
) -> Result<Json<Vec<Row>>, Refused> {
    Ok(Json(records::rows(&*find(&state, &zone)?).collect()))
}

async fn master(
    Extract(state): Extract<State>,
    Path(zone): Path<String>,
) -> Result<String, Refused> {
    Ok(MasterFile(&*find(&state, &zone)?).to_string())
}

fn find(state: &State, zone: &str) -> Result<Arc<Zone>, Refused> {
    let name: Name = zone.parse().map_err(|error| {
        Refused(StatusCode::BAD_REQUEST, format!("{zone:?} is not a zone name: {error}"))
    })?;
    let snapshot = state.snapshot();
    let found = snapshot.zones.get(&name).cloned();
    found.ok_or_else(|| {
        let served: Vec<_> = snapshot.zones.iter().map(|zone| zone.apex().to_string()).collect();
        let text = format!("zone {name} is not served; there is {}", served.join(", "));
        Refused(StatusCode::NOT_FOUND, text)
    })
}

#[derive(Deserialize)]
struct Asked {
    name: String,
    client: Option<String>,
}

async fn explain(
    Extract(state): Extract<State>,
    Query(asked): Query<Asked>,
) -> Result<Json<Explanation>, Refused> {
    let bad = |text: String| Refused(StatusCode::BAD_REQUEST, text);
    let name: Name = asked
        .name
        .parse()
        .map_err(|error| bad(format!("{:?} is not a domain name: {error}", asked.name)))?;
    let client: Option<IpAddr> = match asked.client {
        None => None,
        Some(text) => {
            Some(text.parse().map_err(|_| bad(format!("{text:?} is not an IP address")))?)
        }
    };
    Ok(Json(fleet::explain(&state.snapshot(), &name, client)))
}

/// An error as text, since its reader is a person.
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, self.1 + "\n").into_response()
    }
}
