//! What operators order over the web listener: words on clusters, and suppositions.

use super::{Refused, State, bad, writing::ProviderOrder};
use crate::{
    fleet::{Snapshot, Supposed},
    health::{Forced, Override, Report},
    model::{ClusterName, parse_duration},
};
use axum::{
    Json,
    extract::{Path, State as Extract},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use tokio::sync::{mpsc, oneshot};

/// An order, with where its outcome goes.
#[derive(Debug)]
pub enum Order {
    /// An operator's word on a cluster.
    Force {
        /// Which.
        cluster: ClusterName,
        /// What.
        forcing: Forcing,
        /// From now on.
        lasting: Option<Duration>,
        /// The word as it is in force, or why it is not.
        reply: oneshot::Sender<Result<Override, String>>,
    },
    /// The end of such a word.
    Release {
        /// Which.
        cluster: ClusterName,
        /// What ended, or why there is nothing to end.
        reply: oneshot::Sender<Result<Override, String>>,
    },
    /// What this process's own checks find.
    Report {
        /// The votes.
        reply: oneshot::Sender<Result<Report, String>>,
    },
    /// What concerns providers.
    Provider(ProviderOrder),
    /// What concerns the keys of signed zones.
    Dnssec(super::DnssecOrder),
    /// What would be answered then.
    Suppose {
        /// What is supposed.
        all: Vec<Supposed>,
        /// The snapshot as it would be, or what is wrong with the supposition.
        reply: oneshot::Sender<Result<Arc<Snapshot>, String>>,
    },
}

/// An operator's word on a cluster, as it is sent.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Forcing {
    /// Up, down or drain.
    pub kind: Forced,
    /// Why, for whoever looks at it later.
    pub reason: String,
    /// Who says so.
    #[serde(default)]
    pub by: Option<String>,
    /// How long, as in `2h`; until it is ended when not given.
    #[serde(default)]
    pub lasting: Option<String>,
    /// Do it even if names are left without a healthy target.
    #[serde(default)]
    pub anyway: bool,
}

pub(super) async fn force(
    Extract(state): Extract<State>,
    Path(cluster): Path<String>,
    Json(forcing): Json<Forcing>,
) -> Result<Json<Override>, Refused> {
    if forcing.reason.trim().is_empty() {
        return Err(bad("reason: empty; say why, for whoever looks at it later".to_owned()));
    }
    let lasting = forcing.lasting.as_deref().map(duration).transpose()?;
    let (reply, outcome) = oneshot::channel();
    let order = Order::Force { cluster: cluster.as_str().into(), forcing, lasting, reply };
    carry_out(&state, order, outcome).await.map(Json)
}

pub(super) async fn release(
    Extract(state): Extract<State>,
    Path(cluster): Path<String>,
) -> Result<Json<Override>, Refused> {
    let (reply, outcome) = oneshot::channel();
    let order = Order::Release { cluster: cluster.as_str().into(), reply };
    carry_out(&state, order, outcome).await.map(Json)
}

/// What this process's own checks find.
pub(super) async fn report(state: &State) -> Result<Report, Refused> {
    let (reply, outcome) = oneshot::channel();
    carry_out(state, Order::Report { reply }, outcome).await
}

/// The snapshot as it would be.
pub(super) async fn suppose(state: &State, all: &[Supposed]) -> Result<Arc<Snapshot>, Refused> {
    let (reply, outcome) = oneshot::channel();
    carry_out(state, Order::Suppose { all: all.to_vec(), reply }, outcome).await
}

pub(super) async fn carry_out<T>(
    state: &State,
    order: Order,
    outcome: oneshot::Receiver<Result<T, String>>,
) -> Result<T, Refused> {
    let ended = |_| Refused(StatusCode::SERVICE_UNAVAILABLE, "shutting down".to_owned());
    let sent = state.0.orders.send(order).await;
    sent.map_err(|mpsc::error::SendError(_)| ended(()))?;
    let outcome = outcome.await.map_err(|_| ended(()))?;
    outcome.map_err(|text| Refused(StatusCode::CONFLICT, text))
}

pub(super) fn duration(text: &str) -> Result<Duration, Refused> {
    parse_duration(text)
        .filter(|time| !time.is_zero())
        .ok_or_else(|| bad(format!("{text:?} is not a length of time; expected as in 30m or 2h")))
}
