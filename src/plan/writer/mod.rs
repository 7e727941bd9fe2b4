//! Keeps one zone at one provider in step, as a machine without a clock, a socket or a task: it
//! says what to do next and is told what came of it.
//!
//! ```text
//! want ──▶ plan (diff, guard) ──▶ batches ──▶ permit ──▶ Write ──▶ applied   known zone moves on
//!            ▲                                              ├────▶ lost      read, plan again
//!            └── Read ◀── nothing known, or time to look ◀──┼────▶ unknown   read, plan again
//!                                                           ├────▶ unchecked plan without checks
//!                                                           ├────▶ refused   halve; a name alone waits
//!                                                           └────▶ too fast, out of reach   wait
//! ```
//!
//! What is known of the zone comes from a whole read, and moves on only with batches that were
//! confirmed. After anything doubtful nothing is known, so it is read again. While all is as it
//! should be, nothing is called but a slow look for what others changed.

mod outcomes;
mod status;
mod tokens;
mod unchecked;

pub use status::{Entry, Phase, Progress, Status};

use super::{
    Adoptable, Adoption, Capabilities, Change, Listing, Permitted, Plan, Provenance, RecordSet,
    Rendered, Source, adoptable,
    batch::batches,
    diff::{Held, diff},
    guard::{Approval, Limits, WINDOW, Watch},
    mark::Owner,
    permit::permit,
};
use crate::model::{Key, Moment, Name};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};
use tokens::Tokens;
use unchecked::Lacking;

/// What a writer wants done next.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // made once per call to a provider
pub enum Step {
    /// Read the zone whole, then call [`Writer::read`].
    Read,
    /// Write this batch, then call [`Writer::wrote`].
    Write(Permitted),
    /// Nothing until then, or until something is wanted.
    Sleep(Option<Instant>),
}

/// What a write brought beside being done: the provider's new versions of what was created.
pub type Versions = Vec<(super::SetKey, Arc<str>)>;

/// How a writer goes about it.
#[derive(Clone, Debug)]
pub struct Manner {
    /// How much may be removed without asking.
    pub limits: Limits,
    /// How often it looks for what others changed; jittered by a tenth.
    pub look: Duration,
    /// Plans and writes nothing.
    pub dry_run: bool,
    /// Seeds its jitter.
    pub seed: u64,
}

impl Default for Manner {
    fn default() -> Self {
        let look = Duration::from_secs(1_800);
        Self { limits: Limits::default(), look, dry_run: false, seed: 1 }
    }
}

/// One zone at one provider.
#[derive(Debug)]
pub struct Writer {
    owner: Owner,
    can: Capabilities,
    manner: Manner,
    random: fastrand::Rng,
    wanted: Option<Arc<Rendered>>,
    /// Why nothing can be wanted, for people.
    incomplete: Option<String>,
    known: Option<Listing>,
    /// The last that was known, to tell what others changed.
    last: Option<Listing>,
    /// Names in a batch of which nobody knows whether it was carried out.
    uncertain: BTreeSet<Key>,
    plan: Option<Plan>,
    queue: VecDeque<Vec<Change>>,
    /// Names that a batch may have: fewer after a refusal, where batches are not carried out whole.
    most: usize,
    flight: Option<Permitted>,
    reading: bool,
    set_aside: BTreeMap<Key, SetAside>,
    lacking: Lacking,
    provenance: Provenance,
    removed: VecDeque<(Instant, usize)>,
    repaired: BTreeMap<Key, Instant>,
    approval: Option<Approval>,
    adopting: Option<Adoption>,
    frozen: Option<String>,
    /// Another copy of this installation that wrote here, and may be taken over from.
    other: Option<Arc<str>>,
    taking_over: Option<Arc<str>>,
    pause: Option<Instant>,
    failures: u32,
    look_at: Option<Instant>,
    calls: Tokens,
    changes: Tokens,
    status: Status,
    entries: Vec<Entry>,
}

/// A name that is left alone for a while.
#[derive(Clone, Debug)]
struct SetAside {
    reason: String,
    until: Instant,
    /// What was wanted when it was set aside: something else is tried at once.
    wanted: Option<Vec<RecordSet>>,
}

/// After a failure, doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Never longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Where people must act, a call now and then shows whether they have.
const DENIED_PAUSE: Duration = Duration::from_secs(30);
/// A name that the provider refuses, or that somebody else keeps changing, is left that long.
const ASIDE: Duration = Duration::from_secs(300);

impl Writer {
    /// One that knows nothing of the zone yet.
    #[must_use]
    pub fn new(owner: Owner, zone: Name, can: Capabilities, manner: Manner) -> Self {
        Self {
            random: fastrand::Rng::with_seed(manner.seed),
            calls: Tokens::new(can.pace.calls),
            changes: Tokens::new(can.pace.changes),
            status: Status::new(zone, can.name, &owner),
            owner,
            can,
            manner,
            wanted: None,
            incomplete: None,
            known: None,
            last: None,
            uncertain: BTreeSet::new(),
            plan: None,
            queue: VecDeque::new(),
            most: usize::MAX,
            flight: None,
            reading: false,
            set_aside: BTreeMap::new(),
            lacking: Lacking::default(),
            provenance: Provenance::new(),
            removed: VecDeque::new(),
            repaired: BTreeMap::new(),
            approval: None,
            adopting: None,
            frozen: None,
            other: None,
            taking_over: None,
            pause: None,
            failures: 0,
            look_at: None,
            entries: Vec::new(),
        }
    }

    // === What others say ===

    /// The zone as it should be. `Err` says why that is not known: nothing is written meanwhile.
    pub fn want(&mut self, wanted: Result<Arc<Rendered>, String>) {
        match wanted {
            Ok(wanted) => {
                self.wanted = Some(wanted);
                self.incomplete = None;
            }
            Err(why) => self.incomplete = Some(why),
        }
        self.plan_again();
    }

    /// Stops all writes (invariant I15), or lets them go on with `None`.
    pub fn freeze(&mut self, reason: Option<String>) {
        self.frozen = reason;
        self.plan_again();
    }

    /// A person's word on removals.
    pub fn approve(&mut self, approval: Approval) {
        self.approval = Some(approval);
        self.plan_again();
    }

    /// A person's word that names are ours from now on.
    pub fn adopt(&mut self, adoption: Adoption) {
        self.adopting = Some(adoption);
        self.plan_again();
    }

    /// What that word would cover; `None` before the zone is known.
    #[must_use]
    pub fn adoptable(&self, adoption: &Adoption) -> Option<Adoptable> {
        let (wanted, known) = (self.wanted.as_ref()?, self.known.as_ref()?);
        Some(adoptable(adoption, wanted, known, &self.owner))
    }

    /// A person's word that this other copy of the installation is gone.
    pub fn take_over(&mut self, instance: &str) {
        self.taking_over = Some(instance.into());
        self.look();
    }

    /// Looks at the zone as soon as it may.
    pub fn look(&mut self) {
        self.known = None;
        self.pause = None;
        self.plan_again();
    }

    /// Where names came from, kept over a restart.
    pub fn remember(&mut self, provenance: Provenance) {
        self.provenance = provenance;
    }

    /// See [`Writer::remember`].
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// The names that are wanted or were written: those to ask for, where a provider cannot list.
    #[must_use]
    pub fn names(&self) -> Vec<Name> {
        let wanted = self.wanted.iter().flat_map(|wanted| wanted.names.keys());
        let keys: BTreeSet<&Key> = wanted.chain(self.provenance.keys()).collect();
        let epoch = super::epoch_name(&self.owner, &self.status.zone);
        keys.into_iter().map(Key::to_name).chain([epoch]).collect()
    }

    /// What was written since the last call.
    pub fn take_entries(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries)
    }

    /// The last plan, as it was made: some of it may have been done since.
    #[must_use]
    pub fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }

    fn plan_again(&mut self) {
        self.plan = None;
        self.queue.clear();
    }

    // === What to do ===

    /// What to do now; asked again after each outcome and each word.
    pub fn next(&mut self, at: Moment) -> Step {
        if self.flight.is_some() || self.reading {
            return Step::Sleep(None);
        }
        if let Some(phase) = self.idle_phase() {
            self.status.phase = phase;
            return Step::Sleep(None);
        }
        if let Some(until) = self.pause.filter(|until| *until > at.mono) {
            self.status.phase = Phase::Waiting;
            return Step::Sleep(Some(until));
        }
        self.pause = None;
        if self.known.is_none() || self.look_at.is_some_and(|due| due <= at.mono) {
            return self.start_read(at);
        }
        if self.lacking.expire(at.mono) {
            self.plan_again();
        }
        self.make_plan(at);
        if self.frozen.is_some() || self.manner.dry_run {
            // It is planned and shown; nothing is written (invariant I15).
            let frozen = self.frozen.is_some();
            self.status.phase = if frozen { Phase::Frozen } else { Phase::DryRun };
            return Step::Sleep(self.look_at);
        }
        match self.queue.pop_front() {
            Some(changes) => self.start_write(at, changes),
            None => self.rest(at),
        }
    }

    /// Why nothing is to be done until somebody says something.
    fn idle_phase(&self) -> Option<Phase> {
        let blind = self.incomplete.is_some() || self.wanted.is_none();
        blind.then_some(Phase::Incomplete)
    }

    fn rest(&mut self, at: Moment) -> Step {
        self.adopting = None;
        if self.other.is_some() {
            self.status.phase = Phase::Refused;
            return Step::Sleep(self.look_at);
        }
        let held = self.plan.as_ref().is_some_and(|plan| !plan.held.is_empty());
        self.status.phase = if held { Phase::Held } else { Phase::InStep };
        if self.approval.as_ref().is_some_and(|approval| approval.until > at.wall) && !held {
            self.approval = None;
        }
        let retries = self.set_aside.values().map(|aside| aside.until).filter(|due| *due > at.mono);
        Step::Sleep(retries.chain(self.look_at).chain(self.lacking.due()).min())
    }

    fn start_read(&mut self, at: Moment) -> Step {
        let wait = self.calls.wait(at.mono, 1.0);
        if !wait.is_zero() {
            return self.paced(at, wait);
        }
        self.calls.take(at.mono, 1.0);
        self.reading = true;
        self.status.phase = Phase::Reading;
        Step::Read
    }

    fn start_write(&mut self, at: Moment, changes: Vec<Change>) -> Step {
        let Some(known) = &self.known else { return Step::Sleep(None) };
        let word = self.adopting.as_ref().zip(self.wanted.as_deref());
        let batch = match permit(&self.owner, known, changes.clone(), word) {
            Ok(batch) => batch,
            Err(refusal) => {
                self.refuse(at, &changes, &format!("it may not be written: {refusal}"));
                return Step::Sleep(Some(at.mono));
            }
        };
        let (calls, sets) = self.cost(&batch);
        let wait = self.calls.wait(at.mono, calls).max(self.changes.wait(at.mono, sets));
        if !wait.is_zero() {
            self.queue.push_front(changes);
            return self.paced(at, wait);
        }
        self.calls.take(at.mono, calls);
        self.changes.take(at.mono, sets);
        self.status.phase = Phase::Writing;
        self.flight = Some(batch.clone());
        Step::Write(batch)
    }

    #[allow(clippy::cast_precision_loss)] // thousands at most
    fn cost(&self, batch: &Permitted) -> (f64, f64) {
        if self.can.atomic {
            return (1.0, (batch.deletes().count() + batch.creates().count()) as f64);
        }
        // A call for each set: one that is replaced is written over.
        let keys: BTreeSet<_> =
            batch.deletes().chain(batch.creates()).map(|set| &set.key).collect();
        (keys.len() as f64, keys.len() as f64)
    }

    fn paced(&mut self, at: Moment, wait: Duration) -> Step {
        self.status.phase = Phase::Waiting;
        let until = at.mono + wait.min(LONGEST_PAUSE);
        self.pause = Some(until);
        Step::Sleep(Some(until))
    }

    // === Planning ===

    fn make_plan(&mut self, at: Moment) {
        if self.plan.is_some() || self.other.is_some() {
            return;
        }
        let (Some(wanted), Some(known)) = (&self.wanted, &self.known) else { return };
        let wanted = &self.lacking.applied(wanted);
        self.removed.retain(|(when, _)| at.mono.duration_since(*when) < WINDOW);
        let good = self.approval.as_ref().filter(|approval| approval.until > at.wall);
        let watch = Watch {
            limits: self.manner.limits,
            recent: self.removed.iter().map(|(_, names)| names).sum(),
            sight: &wanted.sight,
            provenance: &self.provenance,
            approval: good,
        };
        let mut plan = diff(wanted, known, &self.owner).guarded(&watch);
        if let Some(adoption) = &self.adopting {
            let adopted = adoptable(adoption, wanted, known, &self.owner).changes;
            let own: BTreeSet<_> = adopted.iter().map(|change| change.name.clone()).collect();
            plan.conflicts.retain(|conflict| !own.contains(&conflict.name));
            plan.changes.retain(|change| !own.contains(&change.name));
            plan.changes.splice(0..0, adopted);
        }
        let changes = self.without_set_aside(at, &mut plan);
        self.trace_sources();
        let whole = batches(changes, &self.can.batch);
        self.queue =
            whole.iter().flat_map(|own| own.chunks(self.most)).map(<[_]>::to_vec).collect();
        self.status.planned(at, &plan, self.queue.iter().map(Vec::len).sum());
        self.plan = Some(plan);
    }

    /// What may be done now; names that are set aside are shown as held.
    fn without_set_aside(&mut self, at: Moment, plan: &mut Plan) -> Vec<Change> {
        let wanted = self.wanted.clone();
        let say = |key: &Key| wanted.as_ref()?.names.get(key)?.sets.clone();
        self.set_aside.retain(|key, aside| aside.until > at.mono && aside.wanted == say(key));
        let (held, changes): (Vec<_>, Vec<_>) = std::mem::take(&mut plan.changes)
            .into_iter()
            .partition(|change| self.set_aside.contains_key(&change.name.key()));
        plan.changes.clone_from(&changes);
        plan.held.extend(held.into_iter().map(|change| {
            let reason = self.set_aside[&change.name.key()].reason.clone();
            Held { change, reason }
        }));
        changes
    }

    fn trace_sources(&mut self) {
        let Some(wanted) = &self.wanted else { return };
        for (key, say) in &wanted.names {
            let same = self
                .provenance
                .get(key)
                .is_some_and(|own| own.object == say.object && own.clusters == say.clusters);
            if !same {
                let source = Source { object: say.object.clone(), clusters: say.clusters.clone() };
                self.provenance.insert(key.clone(), source);
            }
        }
    }

    /// How things stand, for people.
    #[must_use]
    pub fn status(&self) -> Status {
        let mut status = self.status.clone();
        status.frozen.clone_from(&self.frozen);
        status.incomplete.clone_from(&self.incomplete);
        status.other_instance.clone_from(&self.other);
        status.set_aside = self.set_aside.iter().map(aside).collect();
        status
    }
}

fn aside((key, aside): (&Key, &SetAside)) -> (Name, String) {
    (key.to_name(), aside.reason.clone())
}
