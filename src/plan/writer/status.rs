//! What a writer shows to people: how it stands, and what it wrote.

use super::Permitted;
use crate::{
    model::{Moment, Name},
    plan::{Action, Approval, Change, Conflict, Degraded, Failure, FailureKind, Held, Owner, Plan},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// How one zone at one provider stands.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The zone.
    pub zone: Name,
    /// The provider.
    pub provider: &'static str,
    /// The installation that writes.
    pub owner: Arc<str>,
    /// This copy of it.
    pub instance: Arc<str>,
    /// What it is at.
    pub phase: Phase,
    /// How many writes this installation has made there; 0 before the first read.
    pub generation: u64,
    /// Names that are ours there.
    pub owned: usize,
    /// What is being written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// What waits.
    pub held: Vec<Held>,
    /// Names that somebody else has.
    pub conflicts: Vec<Conflict>,
    /// What the provider cannot say.
    pub degraded: Vec<Degraded>,
    /// Names that are left alone for a while, with the reason.
    pub set_aside: Vec<(Name, String)>,
    /// Why all writes are stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen: Option<String>,
    /// Why it is not known what should be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
    /// Another copy of this installation that wrote here last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_instance: Option<Arc<str>>,
    /// What went wrong last, until something goes well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The kind of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureKind>,
    /// When the zone was read last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looked: Option<Timestamp>,
    /// When it was written last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<Timestamp>,
    /// Reads, writes, races lost and names that others changed, since the start.
    pub reads: u64,
    /// See `reads`.
    pub writes: u64,
    /// See `reads`.
    pub lost: u64,
    /// See `reads`.
    pub drift: u64,
    /// Failed calls since the start.
    pub failures: u64,
}

/// What a writer is at.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// It is not known whole what should be there.
    Incomplete,
    /// Reading the zone.
    Reading,
    /// Writing.
    Writing,
    /// Waiting for its turn, or after a failure.
    Waiting,
    /// All is as it should be.
    InStep,
    /// All is, but for what waits for a person.
    Held,
    /// Stopped by an operator.
    Frozen,
    /// Configured to plan only.
    DryRun,
    /// Another copy of this installation writes here.
    Refused,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 9] = [
        Self::Incomplete,
        Self::Reading,
        Self::Writing,
        Self::Waiting,
        Self::InStep,
        Self::Held,
        Self::Frozen,
        Self::DryRun,
        Self::Refused,
    ];
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Incomplete => "Incomplete",
            Self::Reading => "Reading",
            Self::Writing => "Writing",
            Self::Waiting => "Waiting",
            Self::InStep => "InStep",
            Self::Held => "Held",
            Self::Frozen => "Frozen",
            Self::DryRun => "DryRun",
            Self::Refused => "Refused",
        })
    }
}

/// How far a plan has got.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Names written.
    pub done: usize,
    /// Names in all.
    pub total: usize,
    /// When it began.
    pub since: Timestamp,
    /// Seconds that the rest will take at the pace so far; `None` before the first batch.
    pub left: Option<u64>,
}

impl Status {
    pub(super) fn new(zone: Name, provider: &'static str, owner: &Owner) -> Self {
        Self {
            zone,
            provider,
            owner: owner.id.clone(),
            instance: owner.instance.clone(),
            phase: Phase::Incomplete,
            generation: 0,
            owned: 0,
            progress: None,
            held: Vec::new(),
            conflicts: Vec::new(),
            degraded: Vec::new(),
            set_aside: Vec::new(),
            frozen: None,
            incomplete: None,
            other_instance: None,
            problem: None,
            failure: None,
            looked: None,
            written: None,
            reads: 0,
            writes: 0,
            lost: 0,
            drift: 0,
            failures: 0,
        }
    }

    /// How one name stands there, in a sentence; `None` for names outside the zone.
    #[must_use]
    pub fn of_name(&self, name: &Name) -> Option<String> {
        if !name.is_within(&self.zone) {
            return None;
        }
        let held = self.held.iter().find(|held| held.change.name == *name);
        let held = held.map(|held| format!("{} is held: {}", held.change.action, held.reason));
        let conflict = self.conflicts.iter().find(|conflict| conflict.name == *name);
        let aside = self.set_aside.iter().find(|(own, _)| own == name);
        let stuck = [&self.frozen, &self.incomplete, &self.problem].into_iter().flatten().next();
        let word = held
            .or_else(|| conflict.map(|conflict| conflict.reason.clone()))
            .or_else(|| aside.map(|(_, reason)| reason.clone()))
            .or_else(|| stuck.cloned())
            .unwrap_or_else(|| self.phase.to_string());
        let degraded = self.degraded.iter().filter(|one| one.name == *name);
        let degraded: String =
            degraded.map(|one| format!("; {} degraded: {}", one.clause, one.text)).collect();
        Some(format!("{}: {word}{degraded}", self.provider))
    }

    /// Whether it waits for nothing but the provider's pace.
    #[must_use]
    pub fn is_paced(&self) -> bool {
        self.phase == Phase::Waiting && self.problem.is_none()
    }

    pub(super) fn planned(&mut self, at: Moment, plan: &Plan, total: usize) {
        self.generation = plan.generation;
        self.owned = plan.owned;
        self.held.clone_from(&plan.held);
        self.conflicts.clone_from(&plan.conflicts);
        self.degraded.clone_from(&plan.degraded);
        self.progress =
            (total > 0).then_some(Progress { done: 0, total, since: at.wall, left: None });
    }

    pub(super) fn applied(&mut self, at: Moment, batch: &Permitted) {
        self.generation = batch.generation();
        self.written = Some(at.wall);
        let gone = |action| batch.changes().iter().filter(|one| one.action == action).count();
        self.owned = (self.owned + gone(Action::Create) + gone(Action::Adopt))
            .saturating_sub(gone(Action::Remove));
        let Some(progress) = &mut self.progress else { return };
        progress.done += batch.changes().len();
        let taken = at.wall.duration_since(progress.since).unsigned_abs().as_secs_f64();
        let (done, left) = (progress.done, progress.total.saturating_sub(progress.done));
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss
        )]
        let estimate = (taken / done.max(1) as f64 * left as f64).ceil() as u64;
        progress.left = Some(estimate);
        if left == 0 {
            self.progress = None;
        }
    }

    pub(super) fn failed(&mut self, failure: &Failure) {
        self.failures += 1;
        self.problem = Some(failure.to_string());
        self.failure = Some(failure.kind());
    }

    pub(super) fn refused(&mut self, other: &str) {
        self.problem = Some(format!(
            "instance {other} of installation {} wrote here last, and this is instance {}; nothing \
             is written. If that one is gone for good, say `meridian apply --take-over {other}`; if \
             it runs, give this one an id of its own",
            self.owner, self.instance
        ));
    }
}

/// One change as it was written, for the audit trail: a line of JSON each.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// Which zone.
    pub zone: Name,
    /// At which provider.
    pub provider: String,
    /// The write's number.
    pub generation: u64,
    /// Who: installation and instance.
    pub by: String,
    /// The name.
    pub name: Name,
    /// What was done to it.
    pub action: String,
    /// From which object.
    pub object: String,
    /// What went, a record set each.
    pub deleted: Vec<String>,
    /// What came.
    pub created: Vec<String>,
    /// Who approved it, where it had to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<String>,
}

impl Entry {
    pub(super) fn of(
        at: Timestamp,
        status: &Status,
        generation: u64,
        change: &Change,
        approval: Option<&Approval>,
    ) -> Self {
        let approver = || approval.map(|one| one.by.clone().unwrap_or_else(|| "somebody".into()));
        Self {
            at,
            zone: status.zone.clone(),
            provider: status.provider.to_owned(),
            generation,
            by: format!("{}/{}", status.owner, status.instance),
            name: change.name.clone(),
            action: change.action.to_string(),
            object: change.object.to_string(),
            deleted: change.delete.iter().map(ToString::to_string).collect(),
            created: change.create.iter().map(ToString::to_string).collect(),
            approved: approver().filter(|_| change.action == Action::Remove),
        }
    }
}
