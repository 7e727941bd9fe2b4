//! One writer at work: a task that does what its [`Writer`] says, and what it keeps on disk.

use super::{
    history::History,
    now,
    writers::{Board, Key, Word},
};
use crate::{
    config::Publish,
    fleet::{Snapshot, Unit, UnitView},
    model::{FederationName, Name},
    plan::{
        Adoption, Desired, Incomplete, Plan, Provenance, Sight, Source, Status, Step, Writer,
        render,
    },
    provider::Provider,
    records::Zone,
    web::Adopted,
};
use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// Who is to be told the plan.
type Asker = oneshot::Sender<(Status, Option<Plan>)>;

/// What a wish was made from.
pub(super) struct Seen {
    zone: Arc<Zone>,
    sight: Sight,
    units: OrdMap<(FederationName, Unit), Arc<UnitView>>,
    at: Instant,
}

impl Seen {
    /// Whether a snapshot asks for nothing else. Views of services change with every verdict, and
    /// seldom what is written: where they alone did, it is looked at now and then.
    fn covers(&self, snapshot: &Snapshot) -> bool {
        let zone = snapshot.zones.get(self.zone.apex());
        let same = zone.is_some_and(|zone| Arc::ptr_eq(zone, &self.zone));
        let settled = || now().mono - self.at < VIEWS || self.units.ptr_eq(&snapshot.units);
        same && Sight::of(snapshot) == self.sight && settled()
    }
}

/// How long a change of views alone may wait.
const VIEWS: Duration = Duration::from_secs(10);

/// One writer at work.
pub(super) struct Task {
    pub(super) federation: FederationName,
    pub(super) publish: Publish,
    pub(super) writer: Writer,
    pub(super) provider: Provider,
    pub(super) words: mpsc::Receiver<Word>,
    /// Why all writes are stopped, if they are.
    pub(super) switch: watch::Receiver<Option<String>>,
    pub(super) snapshots: watch::Receiver<Arc<Snapshot>>,
    pub(super) key: Key,
    pub(super) board: Board,
    pub(super) history: Option<Arc<History>>,
    pub(super) memory: Option<PathBuf>,
    /// What the last wish was made from.
    pub(super) seen: Option<Seen>,
    /// Who waits for a plan.
    pub(super) waiting: Vec<(Instant, Asker)>,
    /// Who waits for what is taken over; begun once the zone has been read.
    pub(super) adopting: Vec<(Adoption, bool, oneshot::Sender<Adopted>)>,
    pub(super) told: Option<String>,
    /// Once this is set, somebody else may show the same zone.
    pub(super) end: CancellationToken,
}

impl Task {
    pub(super) async fn run(mut self) {
        let end = self.end.clone();
        self.look_at_snapshot();
        while !end.is_cancelled() {
            if self.switch.has_changed().unwrap_or_default() {
                let reason = self.switch.borrow_and_update().clone();
                self.writer.freeze(reason);
            }
            self.begin_adoptions();
            let step = tokio::task::block_in_place(|| self.writer.next(now()));
            self.show(matches!(step, Step::Sleep(_)));
            match step {
                Step::Read => self.read(&end).await,
                Step::Write(batch) => {
                    // Not given up at shutdown: whether it was carried out should be known.
                    let outcome = self.provider.write(&batch).await;
                    self.writer.wrote(now(), outcome);
                    self.record();
                }
                Step::Sleep(until) => {
                    tokio::select! {
                        () = end.cancelled() => {}
                        () = sleep_until(until) => {}
                        // Looked at above, before anything is written.
                        _ = self.switch.changed() => self.switch.mark_changed(),
                        word = self.words.recv() => match word {
                            Some(word) => self.hear(word),
                            None => return,
                        },
                        changed = self.snapshots.changed() => match changed {
                            Ok(()) => self.look_at_snapshot(),
                            Err(_) => return,
                        },
                    }
                }
            }
            while let Ok(word) = self.words.try_recv() {
                self.hear(word);
            }
            if self.snapshots.has_changed().unwrap_or_default() {
                self.look_at_snapshot();
            }
        }
        self.remember();
    }

    async fn read(&mut self, end: &CancellationToken) {
        let (zone, names) = (self.writer.status().zone, self.writer.names());
        let could = self.provider.capabilities();
        tokio::select! {
            () = end.cancelled() => {}
            outcome = self.provider.read(&zone, &names) => self.writer.read(now(), outcome),
        }
        if self.provider.capabilities() != could {
            // What can be said there hangs on what was read, such as whether the zone is signed.
            self.seen = None;
            self.look_at_snapshot();
        }
    }

    fn hear(&mut self, word: Word) {
        match word {
            Word::Approve(approval) => self.writer.approve(approval),
            Word::TakeOver(instance) => self.writer.take_over(&instance),
            Word::Adopt(adoption, go, reply) => {
                self.adopting.push((adoption, go, reply));
                self.writer.look();
            }
            Word::Plan(reply) => {
                self.waiting.push((now().mono, reply));
                self.writer.look();
            }
        }
    }

    /// Answers what would be taken over as the zone is now, and begins to where that was asked.
    fn begin_adoptions(&mut self) {
        let status = self.writer.status();
        let stuck = status.problem.is_some() || status.incomplete.is_some();
        for (adoption, go, reply) in std::mem::take(&mut self.adopting) {
            match self.writer.adoptable(&adoption) {
                None if !stuck => self.adopting.push((adoption, go, reply)),
                found => {
                    if go && found.is_some() {
                        self.writer.adopt(adoption);
                    }
                    drop(reply.send((status.clone(), found)));
                }
            }
        }
    }

    /// Takes over what is wanted now, if that may be something else than before.
    fn look_at_snapshot(&mut self) {
        let snapshot = self.snapshots.borrow_and_update().clone();
        if self.seen.as_ref().is_some_and(|seen| seen.covers(&snapshot)) {
            return;
        }
        let wish = tokio::task::block_in_place(|| {
            let desired = Desired::of(&snapshot, &self.federation, self.publish.ttl)?;
            let wanted = render(&desired, &self.provider.capabilities());
            Ok::<_, Incomplete>((desired, Arc::new(wanted)))
        });
        match wish {
            Ok((desired, wanted)) => {
                let zone = snapshot.zones.get(&desired.zone).cloned();
                let (sight, units) = (desired.sight, snapshot.units.clone());
                let at = now().mono;
                self.seen = zone.map(|zone| Seen { zone, sight, units, at });
                self.writer.want(Ok(wanted));
            }
            Err(why) => {
                self.seen = None;
                self.writer.want(Err(why.to_string()));
            }
        }
    }

    /// Writes down what was written.
    fn record(&mut self) {
        let entries = self.writer.take_entries();
        for entry in &entries {
            tracing::debug!(
                "{} {}: {} {} ({})",
                entry.provider,
                entry.zone,
                entry.action,
                entry.name,
                entry.object
            );
        }
        let Some(history) = self.history.as_ref().filter(|_| !entries.is_empty()) else { return };
        if let Err(error) = tokio::task::block_in_place(|| history.append(&entries)) {
            tracing::error!("the audit trail cannot be written: {error}; writing goes on");
        }
    }

    fn remember(&mut self) {
        let Some(path) = &self.memory else { return };
        let remembered = Remembered::from(self.writer.provenance());
        if let Err(error) = tokio::task::block_in_place(|| write_json(path, &remembered)) {
            tracing::warn!("{}: {error}; removals may wait for approval later", path.display());
        }
    }

    /// Shows how it stands; once at rest, whoever waits for the plan gets it.
    fn show(&mut self, at_rest: bool) {
        let status = self.writer.status();
        self.tell(&status);
        if at_rest {
            // A provider's pace is waited for, but not longer than who asks would.
            let due = |since: Instant| !status.is_paced() || now().mono - since > PACED;
            for (_, reply) in self.waiting.extract_if(.., |(since, _)| due(*since)) {
                drop(reply.send((status.clone(), self.writer.plan().cloned())));
            }
        }
        if self.end.is_cancelled() {
            return;
        }
        let mut board = self.board.lock();
        let changed = board.get(&self.key).is_none_or(|old| old.written != status.written);
        board.insert(self.key.clone(), status);
        drop(board);
        if at_rest && changed {
            self.remember();
        }
    }

    /// Logs what went wrong, and that it no longer does, once each.
    fn tell(&mut self, status: &Status) {
        let problem = status.problem.clone().or_else(|| {
            let held = status.held.len();
            (held > 0).then(|| format!("{held} changes wait: {}", status.held[0].reason))
        });
        if problem == self.told {
            return;
        }
        let (provider, zone) = (status.provider, &status.zone);
        match &problem {
            Some(problem) => tracing::warn!("{provider} {zone}: {problem}"),
            None => tracing::info!("{provider} {zone}: {} again", status.phase),
        }
        self.told = problem;
    }
}

const PACED: Duration = Duration::from_secs(60);

async fn sleep_until(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until.into()).await,
        None => std::future::pending().await,
    }
}

// === Files ===

/// Where names came from, as it is kept.
#[derive(Default, Deserialize, Serialize)]
pub(super) struct Remembered(BTreeMap<Name, Source>);

impl From<Remembered> for Provenance {
    fn from(own: Remembered) -> Self {
        own.0.into_iter().map(|(name, source)| (name.key(), source)).collect()
    }
}

impl From<&Provenance> for Remembered {
    fn from(own: &Provenance) -> Self {
        Self(own.iter().map(|(key, source)| (key.to_name(), source.clone())).collect())
    }
}

pub(super) fn file_name((federation, provider, place): &Key, zone: &Name) -> String {
    let safe = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    let text = format!("{federation}-{}-{provider}-{place}", zone.without_dot());
    format!("written-{}.json", text.chars().map(safe).collect::<String>())
}

pub(super) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

pub(super) fn write_json(path: &Path, value: &impl Serialize) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let file = super::state::create_private(&new)?;
    serde_json::to_writer(std::io::BufWriter::new(&file), value)?;
    file.sync_all()?;
    fs::rename(new, path)
}
