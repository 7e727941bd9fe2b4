//! Signed zones: how they stand, and what operators order of their keys.

use super::{Order, Refused, State, name, orders::carry_out};
use crate::{
    dnssec::{Role, View},
    model::Name,
};
use axum::{
    Json,
    extract::{Path, State as Extract},
};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

/// What operators order of a zone's keys; the reply says what came of it, or why nothing did.
#[derive(Debug)]
pub enum DnssecOrder {
    /// A key is to give way to another.
    Roll {
        /// Whose.
        zone: Name,
        /// Which; the only one when `None`.
        role: Option<Role>,
        /// Where the outcome goes.
        reply: oneshot::Sender<Result<String, String>>,
    },
    /// All keys are to give way to keys of the algorithm that is configured.
    ChangeAlgorithm {
        /// Whose.
        zone: Name,
        /// Where the outcome goes.
        reply: oneshot::Sender<Result<String, String>>,
    },
    /// The parent has DS records of these keys.
    DsSeen {
        /// Whose.
        zone: Name,
        /// Their tags.
        tags: Vec<u16>,
        /// Where the outcome goes.
        reply: oneshot::Sender<Result<String, String>>,
    },
}

/// A roll, as it is sent.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rolling {
    /// Which key; the only one when not given.
    #[serde(default)]
    pub role: Option<Role>,
    /// All keys, for others of the algorithm that is configured.
    #[serde(default)]
    pub algorithm: bool,
}

/// What was seen at the parent, as it is sent.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DsSeen {
    /// The tags of the keys that its DS records are of.
    pub tags: Vec<u16>,
}

pub(super) async fn zones(Extract(state): Extract<State>) -> Json<Vec<View>> {
    Json((state.0.dnssec)())
}

pub(super) async fn roll(
    Extract(state): Extract<State>,
    Path(zone): Path<String>,
    Json(rolling): Json<Rolling>,
) -> Result<Json<String>, Refused> {
    let (zone, role) = (name(&zone)?, rolling.role);
    let (reply, outcome) = oneshot::channel();
    let order = Order::Dnssec(match rolling.algorithm {
        true => DnssecOrder::ChangeAlgorithm { zone, reply },
        false => DnssecOrder::Roll { zone, role, reply },
    });
    carry_out(&state, order, outcome).await.map(Json)
}

pub(super) async fn ds_seen(
    Extract(state): Extract<State>,
    Path(zone): Path<String>,
    Json(seen): Json<DsSeen>,
) -> Result<Json<String>, Refused> {
    let (zone, tags) = (name(&zone)?, seen.tags);
    let (reply, outcome) = oneshot::channel();
    let order = Order::Dnssec(DnssecOrder::DsSeen { zone, tags, reply });
    carry_out(&state, order, outcome).await.map(Json)
}
