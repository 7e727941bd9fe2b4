//! What operators ask and order about zones at providers: plans, approvals, the freeze switch, the
//! audit trail.

use super::{
    Order, Refused, State, bad, name,
    orders::{carry_out, duration},
};
use crate::{
    model::{FederationName, Name},
    plan::{Adoptable, Adoption, Entry, Origin, Phase, Plan, Status},
};
use axum::{
    Json,
    extract::{Query, State as Extract},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::sync::oneshot;

/// Where the answer to an order goes.
type Reply<T> = oneshot::Sender<Result<T, String>>;

/// Gives an order, and waits for what comes of it.
async fn ask<T>(
    state: &State,
    order: impl FnOnce(Reply<T>) -> ProviderOrder,
) -> Result<T, Refused> {
    let (reply, outcome) = oneshot::channel();
    carry_out(state, Order::Provider(order(reply)), outcome).await
}

/// An answer that comes later from each writer.
pub type Plans = Vec<oneshot::Receiver<(Status, Option<Plan>)>>;

/// See [`Order::Provider`].
#[derive(Debug)]
pub enum ProviderOrder {
    /// What each writer would do, from a fresh look at the provider.
    Plans {
        /// Of one zone, or all.
        zone: Option<Name>,
        /// Where the plans come from.
        reply: oneshot::Sender<Result<Plans, String>>,
    },
    /// So many names may go.
    Approve {
        /// Of one zone, or all.
        zone: Option<Name>,
        /// At most.
        ceiling: usize,
        /// Who says so.
        by: Option<String>,
        /// How long the word is good.
        lasting: Duration,
        /// Whether it reached anybody.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// Another copy of this installation is gone.
    TakeOver {
        /// Of one zone, or all.
        zone: Option<Name>,
        /// Which.
        instance: String,
        /// Whether it reached anybody.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// Names are taken over, or listed.
    Adopt {
        /// Of one zone, or all.
        zone: Option<Name>,
        /// From whom.
        adoption: Adoption,
        /// Done, not only listed.
        go: bool,
        /// What each writer would take over, or has.
        reply: oneshot::Sender<Result<Vec<oneshot::Receiver<Adopted>>, String>>,
    },
    /// Stops all writes, or lets them go on.
    Freeze {
        /// Why and by whom; `None` lets go.
        freeze: Option<Freezing>,
        /// What is wrong with it.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// What was written.
    History {
        /// Of one name, or all.
        name: Option<Name>,
        /// The last so many.
        most: usize,
        /// Oldest first.
        reply: oneshot::Sender<Result<Vec<Entry>, String>>,
    },
}

/// The freeze switch, as it is sent.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Freezing {
    /// Why, for whoever looks at it later.
    pub reason: String,
    /// Who says so.
    #[serde(default)]
    pub by: Option<String>,
}

/// What is to be applied, as it is sent.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Applying {
    /// Of one zone, or all.
    #[serde(default)]
    pub zone: Option<Name>,
    /// So many names may go.
    #[serde(default)]
    pub approve: Option<usize>,
    /// How long that is good, as in `10m`, which it is when not given.
    #[serde(default)]
    pub lasting: Option<String>,
    /// Another copy of this installation that is gone.
    #[serde(default)]
    pub take_over: Option<String>,
    /// Who says so.
    #[serde(default)]
    pub by: Option<String>,
}

/// What of one zone is taken over; `None` where the zone could not be read. Last, why nothing is
/// written there at all.
pub type Adopted = (Status, Option<Adoptable>, Option<String>);

/// What is to be taken over, as it is sent.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Adopting {
    /// Of one zone, or all.
    #[serde(default)]
    pub zone: Option<Name>,
    /// From whom, and which names.
    pub adoption: Adoption,
    /// Do it.
    #[serde(default)]
    pub go: bool,
}

/// What is taken over, for people and programs.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AdoptedView {
    /// At which provider.
    pub provider: String,
    /// Of which zone.
    pub zone: Name,
    /// Names that are, or would be, ours.
    pub taken: Vec<Name>,
    /// Names that match and are left, with the reason.
    pub left: Vec<(Name, String)>,
    /// Whether they are being taken over, and not only listed.
    #[serde(default)]
    pub begun: bool,
    /// Why it could not be found out, or is not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

pub(super) async fn adopt(
    Extract(state): Extract<State>,
    Json(adopting): Json<Adopting>,
) -> Result<Json<Vec<AdoptedView>>, Refused> {
    let Adopting { zone, adoption, go } = adopting;
    if adoption.from == Origin::Unmarked && adoption.names.is_empty() {
        return Err(bad("names: empty; what nobody marked is taken over by name only".to_owned()));
    }
    let order = |reply| ProviderOrder::Adopt { zone, adoption, go, reply };
    let mut views = Vec::new();
    for coming in ask(&state, order).await? {
        let Ok(Ok((status, found, stopped))) = tokio::time::timeout(PATIENCE, coming).await else {
            return Err(ended());
        };
        let unread = found.is_none().then(|| status.problem.clone().unwrap_or_default());
        let problem = unread.or(stopped);
        let begun = go && problem.is_none();
        let Adoptable { changes, left } = found.unwrap_or_default();
        let taken = changes.into_iter().map(|change| change.name).collect();
        let (provider, zone) = (status.provider.to_owned(), status.zone);
        views.push(AdoptedView { provider, zone, taken, left, begun, problem });
    }
    Ok(Json(views))
}

/// One writer's plan, for people and programs.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanView {
    /// At which provider.
    pub provider: String,
    /// Of which zone.
    pub zone: Name,
    /// What its writer is at.
    pub phase: Phase,
    /// What there is to do.
    pub outcome: Outcome,
    /// Why there is no plan, or why it stands still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The plan as it is printed.
    pub text: String,
    /// The plan.
    pub plan: serde_json::Value,
}

/// What there is to do.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Nothing: all is as it should be.
    Nothing,
    /// Something, and nothing waits for a person.
    Changes,
    /// Something waits for a person.
    Held,
    /// It could not be planned.
    Unknown,
}

impl PlanView {
    fn of(status: &Status, plan: Option<&Plan>) -> Self {
        let outcome = match plan {
            None => Outcome::Unknown,
            Some(plan) if !plan.held.is_empty() => Outcome::Held,
            Some(plan) if !plan.changes.is_empty() => Outcome::Changes,
            Some(_) => Outcome::Nothing,
        };
        let why = [&status.frozen, &status.incomplete, &status.problem];
        Self {
            provider: status.provider.to_owned(),
            zone: status.zone.clone(),
            phase: status.phase,
            outcome,
            problem: why.into_iter().flatten().next().cloned(),
            text: plan.map(ToString::to_string).unwrap_or_default(),
            plan: serde_json::to_value(plan).unwrap_or_default(),
        }
    }
}

/// How one zone at one provider stands.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WriterView {
    /// Whose zone.
    pub federation: FederationName,
    /// The rest.
    #[serde(flatten)]
    pub status: Status,
}

#[derive(Deserialize)]
pub(super) struct Asked {
    zone: Option<String>,
}

fn zone(asked: Option<&str>) -> Result<Option<Name>, Refused> {
    asked.map(name).transpose()
}

/// Longer than a provider may take for a large zone at its own pace.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) async fn plan(
    Extract(state): Extract<State>,
    Query(asked): Query<Asked>,
) -> Result<Json<Vec<PlanView>>, Refused> {
    let zone = zone(asked.zone.as_deref())?;
    plans(&state, zone).await.map(Json)
}

async fn plans(state: &State, zone: Option<Name>) -> Result<Vec<PlanView>, Refused> {
    let mut views = Vec::new();
    for coming in ask(state, |reply| ProviderOrder::Plans { zone, reply }).await? {
        match tokio::time::timeout(PATIENCE, coming).await {
            Ok(Ok((status, plan))) => views.push(PlanView::of(&status, plan.as_ref())),
            Ok(Err(_)) => return Err(ended()),
            Err(_) => {
                let text = format!("no plan within {PATIENCE:?}; see `meridian get providers`");
                return Err(Refused(StatusCode::GATEWAY_TIMEOUT, text));
            }
        }
    }
    Ok(views)
}

pub(super) async fn apply(
    Extract(state): Extract<State>,
    Json(applying): Json<Applying>,
) -> Result<Json<Vec<PlanView>>, Refused> {
    let Applying { zone, approve, lasting, take_over, by } = applying;
    let lasting = lasting.as_deref().map(duration).transpose()?;
    if let Some(instance) = take_over {
        let zone = zone.clone();
        ask(&state, |reply| ProviderOrder::TakeOver { zone, instance, reply }).await?;
    }
    if let Some(ceiling) = approve {
        let (zone, lasting) = (zone.clone(), lasting.unwrap_or(APPROVAL));
        ask(&state, |reply| ProviderOrder::Approve { zone, ceiling, by, lasting, reply }).await?;
    }
    plans(&state, zone).await.map(Json)
}

/// Nothing said is not nothing to do.
fn ended() -> Refused {
    let text = "a writer ended or did not answer meanwhile; ask again".to_owned();
    Refused(StatusCode::SERVICE_UNAVAILABLE, text)
}

/// How long an approval is good when nobody says otherwise.
const APPROVAL: Duration = Duration::from_secs(600);

pub(super) async fn providers(Extract(state): Extract<State>) -> Json<Vec<WriterView>> {
    let all = (state.0.written)();
    let view = |(federation, status)| WriterView { federation, status };
    Json(all.into_iter().map(view).collect())
}

pub(super) async fn freeze(
    Extract(state): Extract<State>,
    Json(freezing): Json<Freezing>,
) -> Result<Json<()>, Refused> {
    if freezing.reason.trim().is_empty() {
        return Err(bad("reason: empty; say why, for whoever looks at it later".to_owned()));
    }
    switch(&state, Some(freezing)).await
}

pub(super) async fn thaw(Extract(state): Extract<State>) -> Result<Json<()>, Refused> {
    switch(&state, None).await
}

async fn switch(state: &State, freeze: Option<Freezing>) -> Result<Json<()>, Refused> {
    ask(state, |reply| ProviderOrder::Freeze { freeze, reply }).await.map(Json)
}

#[derive(Deserialize)]
pub(super) struct AskedHistory {
    name: Option<String>,
    most: Option<usize>,
}

pub(super) async fn history(
    Extract(state): Extract<State>,
    Query(asked): Query<AskedHistory>,
) -> Result<Json<Vec<Entry>>, Refused> {
    let name = asked.name.as_deref().map(name).transpose()?;
    let most = asked.most.unwrap_or(1_000);
    ask(&state, |reply| ProviderOrder::History { name, most, reply }).await.map(Json)
}
