//! A task for each zone at each provider: it does what its [`Writer`] says and tells it what came
//! of it.

use super::{history::History, installation, now};
use crate::{
    config::{Config, Publish},
    fleet::Snapshot,
    model::{FederationName, Name},
    plan::{
        Approval, Desired, Entry, Manner, Owner, Plan, Provenance, Sight, Status, Step, Writer,
        render,
    },
    provider::Provider,
    records::Zone,
    web::Plans,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// All writers of this process.
#[derive(Debug)]
pub(super) struct Writers {
    /// `None` without a state directory.
    directory: Option<PathBuf>,
    owner: Option<Owner>,
    running: BTreeMap<Key, Running>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    history: Option<Arc<History>>,
    frozen: Option<Freeze>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

/// Federation, provider, and what tells two of one provider apart.
type Key = (FederationName, &'static str, String);

#[derive(Debug)]
struct Running {
    zone: Name,
    publish: Publish,
    words: mpsc::Sender<Word>,
    shown: Arc<Mutex<Shown>>,
    end: CancellationToken,
}

/// What a writer last showed.
#[derive(Clone, Debug, Default)]
struct Shown {
    status: Option<Status>,
}

/// A switch that stops all writes.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Freeze {
    pub(super) reason: String,
    pub(super) by: Option<String>,
    pub(super) since: jiff::Timestamp,
}

impl Freeze {
    fn text(&self) -> String {
        let by = self.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
        format!("frozen{by} since {:.0}: {}", self.since, self.reason)
    }
}

/// What is said to a writer.
#[derive(Debug)]
enum Word {
    Freeze(Option<String>),
    Approve(Approval),
    TakeOver(String),
    /// Read the zone, plan, and show the plan.
    Plan(oneshot::Sender<(Status, Option<Plan>)>),
}

const WORDS: usize = 16;
const FROZEN: &str = "frozen.json";

impl Writers {
    pub(super) fn new(
        directory: Option<PathBuf>,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Self {
        let frozen = directory.as_ref().and_then(|own| read_json(&own.join(FROZEN)));
        Self {
            history: directory.clone().map(|own| Arc::new(History::new(own))),
            directory,
            owner: None,
            running: BTreeMap::new(),
            snapshots: watch::Sender::new(Arc::new(Snapshot::empty(now().wall))),
            frozen,
            tasks: tasks.clone(),
            shutdown: shutdown.clone(),
        }
    }

    /// Starts and ends writers as the configuration says; what could not be started, for people.
    pub(super) fn run(&mut self, config: &Config) -> Vec<String> {
        let mut wanted = BTreeMap::new();
        for (name, own) in &config.federations {
            for publish in &own.publish {
                let settings = &publish.settings;
                let key = (name.clone(), settings.name(), settings.place().into_owned());
                wanted.insert(key, (own.federation.zone.clone(), publish.clone()));
            }
        }
        self.running.retain(|key, running| {
            let stays = wanted
                .get(key)
                .is_some_and(|(zone, own)| *zone == running.zone && *own == running.publish);
            if !stays {
                running.end.cancel();
            }
            stays
        });
        wanted.retain(|key, _| !self.running.contains_key(key));
        if wanted.is_empty() {
            return Vec::new();
        }
        match self.identity() {
            Ok(owner) => {
                for (key, (zone, publish)) in wanted {
                    let running = self.start(&key, zone, publish, owner.clone());
                    self.running.insert(key, running);
                }
                Vec::new()
            }
            Err(problem) => vec![problem],
        }
    }

    fn identity(&mut self) -> Result<Owner, String> {
        if let Some(owner) = &self.owner {
            return Ok(owner.clone());
        }
        let directory = self.directory.as_ref().ok_or(
            "writing to a provider needs a state directory, for the key of its ownership marks; \
             start without --no-state. Nothing is written",
        )?;
        let owner = installation::owner(directory)?;
        tracing::info!("writes to providers as installation {} ({})", owner.id, owner.instance);
        self.owner = Some(owner.clone());
        Ok(owner)
    }

    fn start(&self, key: &Key, zone: Name, publish: Publish, owner: Owner) -> Running {
        let (words, heard) = mpsc::channel(WORDS);
        let shown = Arc::new(Mutex::new(Shown::default()));
        let end = self.shutdown.child_token();
        let provider = publish.settings.provider(now);
        let manner = Manner {
            limits: publish.limits,
            look: publish.look,
            dry_run: publish.dry_run,
            seed: fastrand::u64(..),
        };
        let mut writer = Writer::new(owner, zone.clone(), provider.capabilities(), manner);
        writer.freeze(self.frozen.as_ref().map(Freeze::text));
        let memory = self.directory.as_ref().map(|own| own.join(file_name(key, &zone)));
        writer.remember(
            memory.as_deref().and_then(read_json::<Remembered>).unwrap_or_default().into(),
        );
        let task = Task {
            federation: key.0.clone(),
            publish: publish.clone(),
            writer,
            provider,
            words: heard,
            snapshots: self.snapshots.subscribe(),
            shown: shown.clone(),
            history: self.history.clone(),
            memory,
            seen: None,
            waiting: Vec::new(),
            told: None,
        };
        self.tasks.spawn(task.run(end.clone()));
        Running { zone, publish, words, shown, end }
    }

    /// Hands on what is to be written.
    pub(super) fn want(&self, snapshot: &Arc<Snapshot>) {
        if !self.running.is_empty() {
            self.snapshots.send_replace(snapshot.clone());
        }
    }

    // === Orders ===

    /// How every writer stands.
    pub(super) fn statuses(&self) -> Vec<(FederationName, Status)> {
        let of = |(key, running): (&Key, &Running)| {
            Some((key.0.clone(), lock(&running.shown).status.clone()?))
        };
        self.running.iter().filter_map(of).collect()
    }

    /// Stops or lets go on all writes, also after a restart.
    pub(super) fn freeze(&mut self, freeze: Option<Freeze>) -> Result<(), String> {
        let text = freeze.as_ref().map(Freeze::text);
        for running in self.running.values() {
            // A full channel is one that is read at once: it only ever holds such words.
            drop(running.words.try_send(Word::Freeze(text.clone())));
        }
        self.frozen = freeze;
        let Some(directory) = &self.directory else { return Ok(()) };
        let path = directory.join(FROZEN);
        let kept = match &self.frozen {
            Some(freeze) => write_json(&path, freeze),
            None => fs::remove_file(&path).or_else(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            }),
        };
        kept.map_err(|error| {
            format!("it is in force now, but not after a restart: {}: {error}", path.display())
        })
    }

    /// What all writes are stopped for.
    pub(super) fn frozen(&self) -> Option<String> {
        self.frozen.as_ref().map(Freeze::text)
    }

    /// Has the writers of a zone, or of all, make their plans now; they come one by one.
    pub(super) fn plans(&self, zone: Option<&Name>) -> Result<Plans, String> {
        let ask = |running: &Running| {
            let (reply, plan) = oneshot::channel();
            running.words.try_send(Word::Plan(reply)).ok().map(|()| plan)
        };
        Ok(self.of(zone)?.into_iter().filter_map(ask).collect())
    }

    /// A person's word that so many names may go.
    pub(super) fn approve(&self, zone: Option<&Name>, approval: &Approval) -> Result<(), String> {
        for running in self.of(zone)? {
            drop(running.words.try_send(Word::Approve(approval.clone())));
        }
        Ok(())
    }

    /// A person's word that another copy of this installation is gone.
    pub(super) fn take_over(&self, zone: Option<&Name>, instance: &str) -> Result<(), String> {
        for running in self.of(zone)? {
            drop(running.words.try_send(Word::TakeOver(instance.to_owned())));
        }
        Ok(())
    }

    pub(super) fn history(&self, name: Option<&Name>, most: usize) -> Vec<Entry> {
        self.history.as_ref().map(|own| own.read(name, most)).unwrap_or_default()
    }

    fn of(&self, zone: Option<&Name>) -> Result<Vec<&Running>, String> {
        let fits = |running: &&Running| zone.is_none_or(|zone| running.zone == *zone);
        let found: Vec<_> = self.running.values().filter(fits).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let zones: Vec<_> = self.running.values().map(|own| own.zone.to_string()).collect();
        Err(match (zone, zones.is_empty()) {
            (_, true) => "no zone is written to a provider; see spec.publish of a Federation",
            (Some(zone), false) => {
                return Err(format!(
                    "{zone} is not written to a provider; {} is",
                    zones.join(", ")
                ));
            }
            (None, false) => "no zone is written to a provider",
        }
        .to_owned())
    }
}

fn lock(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One writer at work.
struct Task {
    federation: FederationName,
    publish: Publish,
    writer: Writer,
    provider: Provider,
    words: mpsc::Receiver<Word>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    shown: Arc<Mutex<Shown>>,
    history: Option<Arc<History>>,
    memory: Option<PathBuf>,
    /// What the last wish was made from.
    seen: Option<(Arc<Zone>, Sight)>,
    /// Who waits for a plan.
    waiting: Vec<oneshot::Sender<(Status, Option<Plan>)>>,
    told: Option<String>,
}

impl Task {
    async fn run(mut self, end: CancellationToken) {
        self.look_at_snapshot();
        while !end.is_cancelled() {
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
        tokio::select! {
            () = end.cancelled() => {}
            outcome = self.provider.read(&zone, &names) => self.writer.read(now(), outcome),
        }
    }

    fn hear(&mut self, word: Word) {
        match word {
            Word::Freeze(reason) => self.writer.freeze(reason),
            Word::Approve(approval) => self.writer.approve(approval),
            Word::TakeOver(instance) => self.writer.take_over(&instance),
            Word::Plan(reply) => {
                self.waiting.push(reply);
                self.writer.look();
            }
        }
    }

    /// Takes over what is wanted now, if that is something else than before.
    fn look_at_snapshot(&mut self) {
        let snapshot = self.snapshots.borrow_and_update().clone();
        let wish = tokio::task::block_in_place(|| {
            Desired::of(&snapshot, &self.federation, self.publish.ttl)
        });
        match wish {
            Ok(desired) => {
                let Some(zone) = snapshot.zones.get(&desired.zone).cloned() else { return };
                let same = self
                    .seen
                    .as_ref()
                    .is_some_and(|(old, sight)| Arc::ptr_eq(old, &zone) && *sight == desired.sight);
                if !same {
                    let capabilities = self.provider.capabilities();
                    self.seen = Some((zone, desired.sight.clone()));
                    self.writer.want(Ok(Arc::new(render(&desired, &capabilities))));
                }
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
            for reply in self.waiting.drain(..) {
                drop(reply.send((status.clone(), self.writer.plan().cloned())));
            }
        }
        let changed =
            lock(&self.shown).status.as_ref().is_none_or(|old| old.written != status.written);
        lock(&self.shown).status = Some(status);
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

async fn sleep_until(until: Option<std::time::Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until.into()).await,
        None => std::future::pending().await,
    }
}

// === Files ===

/// Where names came from, as it is kept.
#[derive(Default, Deserialize, Serialize)]
struct Remembered(BTreeMap<Name, crate::plan::Source>);

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

fn file_name((federation, provider, place): &Key, zone: &Name) -> String {
    let safe = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    let text = format!("{federation}-{}-{provider}-{place}", zone.without_dot());
    format!("written-{}.json", text.chars().map(safe).collect::<String>())
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn write_json(path: &Path, value: &impl Serialize) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let file = super::state::create_private(&new)?;
    serde_json::to_writer(std::io::BufWriter::new(&file), value)?;
    file.sync_all()?;
    fs::rename(new, path)
}
