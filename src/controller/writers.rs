//! A task for each zone at each provider: it does what its [`Writer`] says and tells it what came
//! of it.

use super::{
    handover::WRITES,
    history::History,
    installation, now,
    writing::{Remembered, Task, file_name, read_json, write_json},
};
use crate::{
    config::{Config, Publish},
    fleet::Snapshot,
    model::{FederationName, Name},
    plan::{Adoption, Approval, Entry, Manner, Owner, Plan, Status, Writer},
    web::{Adopted, Plans},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// All writers of this process.
#[derive(Debug)]
pub(super) struct Writers {
    /// `None` without a state directory.
    directory: Option<PathBuf>,
    owner: Option<Owner>,
    running: BTreeMap<Key, Running>,
    board: Board,
    snapshots: watch::Sender<Arc<Snapshot>>,
    history: Option<Arc<History>>,
    frozen: Option<Freeze>,
    /// Why all writes are stopped: seen by every writer, however busy.
    switch: watch::Sender<Option<String>>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

/// Federation, provider, and what tells two of one provider apart.
pub(super) type Key = (FederationName, &'static str, String);

#[derive(Debug)]
struct Running {
    zone: Name,
    publish: Publish,
    words: mpsc::Sender<Word>,
    end: CancellationToken,
    task: JoinHandle<()>,
}

/// How every writer last stood.
#[derive(Clone, Debug, Default)]
pub(super) struct Board(Arc<Mutex<BTreeMap<Key, Status>>>);

impl Board {
    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Status>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By federation.
    pub(super) fn all(&self) -> Vec<(FederationName, Status)> {
        self.lock().iter().map(|(key, status)| (key.0.clone(), status.clone())).collect()
    }
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
pub(super) enum Word {
    Approve(Approval),
    TakeOver(String),
    /// Read the zone, plan, and show the plan.
    Plan(oneshot::Sender<(Status, Option<Plan>)>),
    /// Read the zone, and list what is taken over, or take it.
    Adopt(Adoption, bool, oneshot::Sender<Adopted>),
}

const WORDS: usize = 16;
const FROZEN: &str = "frozen.json";

impl Writers {
    pub(super) fn new(
        directory: Option<PathBuf>,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Self {
        let frozen = directory.as_ref().and_then(|own| read_frozen(&own.join(FROZEN)));
        Self {
            history: directory.clone().map(|own| Arc::new(History::new(own))),
            directory,
            owner: None,
            running: BTreeMap::new(),
            board: Board::default(),
            snapshots: watch::Sender::new(Arc::new(Snapshot::empty(now().wall))),
            switch: watch::Sender::new(frozen.as_ref().map(Freeze::text)),
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
                let key = (name.clone(), settings.name(), settings.place());
                wanted.insert(key, (own.federation.zone.clone(), publish.clone()));
            }
        }
        self.running.retain(|key, running| {
            let stays = wanted
                .get(key)
                .is_some_and(|(zone, own)| *zone == running.zone && *own == running.publish);
            if !stays {
                running.end.cancel();
                self.board.lock().remove(key);
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
        let end = self.shutdown.child_token();
        let provider = publish.settings.provider(now);
        let manner = Manner {
            limits: publish.limits,
            look: publish.look,
            dry_run: publish.dry_run,
            seed: fastrand::u64(..),
        };
        let mut writer = Writer::new(owner, zone.clone(), provider.capabilities(), manner);
        writer.freeze(self.switch.borrow().clone());
        let memory = self.directory.as_ref().map(|own| own.join(file_name(key, &zone)));
        let kept = self.directory.as_ref().map(|own| Remembered::read(own, key, &zone));
        writer.remember(kept.unwrap_or_default().into());
        let task = Task {
            federation: key.0.clone(),
            publish: publish.clone(),
            writer,
            provider,
            words: heard,
            switch: self.switch.subscribe(),
            snapshots: self.snapshots.subscribe(),
            key: key.clone(),
            board: self.board.clone(),
            history: self.history.clone(),
            memory,
            seen: None,
            waiting: Vec::new(),
            adopting: Vec::new(),
            told: None,
            end: end.clone(),
        };
        let task = self.tasks.spawn(task.run());
        Running { zone, publish, words, end, task }
    }

    /// Ends all writers, so that another process may write; whether they did within their time.
    /// What they were to write is kept for [`Self::wake`].
    pub(super) async fn rest(&mut self) -> bool {
        self.running.values().for_each(|running| running.end.cancel());
        let ended = async {
            for running in self.running.values_mut().filter(|own| !own.task.is_finished()) {
                let _ = (&mut running.task).await;
            }
        };
        tokio::time::timeout(WRITES, ended).await.is_ok()
    }

    /// Starts again whom [`Self::rest`] ended. One that is at a write still is left to a later call:
    /// two writers would change the zone beside each other.
    pub(super) fn wake(&mut self) {
        let Some(owner) = self.owner.clone().filter(|_| !self.shutdown.is_cancelled()) else {
            return;
        };
        let has_ended = |own: &Running| own.end.is_cancelled() && own.task.is_finished();
        let ended: Vec<_> = self.running.extract_if(.., |_, own| has_ended(own)).collect();
        for (key, old) in ended {
            let running = self.start(&key, old.zone, old.publish, owner.clone());
            self.running.insert(key, running);
        }
    }

    /// Hands on what is to be written.
    pub(super) fn want(&self, snapshot: &Arc<Snapshot>) {
        if !self.running.is_empty() {
            self.snapshots.send_replace(snapshot.clone());
        }
    }

    // === Orders ===

    /// How every writer stands, for whoever asks.
    pub(super) fn board(&self) -> Board {
        self.board.clone()
    }

    /// Stops or lets go on all writes, also after a restart.
    pub(super) fn freeze(&mut self, freeze: Option<Freeze>) -> Result<(), String> {
        self.switch.send_replace(freeze.as_ref().map(Freeze::text));
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
        self.ask(zone, Word::Plan)
    }

    /// A person's word that so many names may go.
    pub(super) fn approve(&self, zone: Option<&Name>, approval: &Approval) -> Result<(), String> {
        self.say(zone, || Word::Approve(approval.clone()))
    }

    /// Has the writers list what an adoption covers, or carry it out.
    pub(super) fn adopt(
        &self,
        zone: Option<&Name>,
        adoption: &Adoption,
        go: bool,
    ) -> Result<Vec<oneshot::Receiver<Adopted>>, String> {
        self.ask(zone, |reply| Word::Adopt(adoption.clone(), go, reply))
    }

    /// A person's word that another copy of this installation is gone.
    pub(super) fn take_over(&self, zone: Option<&Name>, instance: &str) -> Result<(), String> {
        self.say(zone, || Word::TakeOver(instance.to_owned()))
    }

    /// Asks every writer of a zone, or of all.
    fn ask<T>(
        &self,
        zone: Option<&Name>,
        word: impl Fn(oneshot::Sender<T>) -> Word,
    ) -> Result<Vec<oneshot::Receiver<T>>, String> {
        let mut coming = Vec::new();
        self.say(zone, || {
            let (reply, answer) = oneshot::channel();
            coming.push(answer);
            word(reply)
        })?;
        Ok(coming)
    }

    /// Says a word to every writer of a zone, or of all; one that does not hear it is an error.
    fn say(&self, zone: Option<&Name>, mut word: impl FnMut() -> Word) -> Result<(), String> {
        for running in self.of(zone)? {
            running.words.try_send(word()).map_err(|_| {
                format!("the writer of {} has too much to do; try again", running.zone)
            })?;
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

/// The switch as it was left. A file that cannot be read stops writes too: somebody meant it to.
fn read_frozen(path: &std::path::Path) -> Option<Freeze> {
    if matches!(fs::metadata(path), Err(error) if error.kind() == std::io::ErrorKind::NotFound) {
        return None;
    }
    let unread = || {
        let reason = format!("{} cannot be read; `meridian thaw` removes it", path.display());
        Freeze { reason, by: None, since: now().wall }
    };
    Some(read_json(path).unwrap_or_else(unread))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Loader;

    const OBJECTS: &str = "apiVersion: meridian.dev/v1alpha1\nkind: Federation\nmetadata: {name: fed}\n\
        spec:\n  zone: z.test\n  publish: [{provider: memory, dryRun: true}]\n";

    async fn until(is_so: impl Fn() -> bool) {
        while !is_so() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    fn only(writers: &Writers) -> &Running {
        writers.running.values().next().unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_writer_that_was_to_rest_and_still_writes_gets_no_other_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("config")).unwrap();
        fs::write(directory.path().join("config/fed.yaml"), OBJECTS).unwrap();
        let loaded = Loader::new(directory.path().join("config")).load();
        assert!(loaded.errors.is_empty(), "{:?}", loaded.errors);
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let mut writers = Writers::new(Some(directory.path().to_owned()), &tasks, &shutdown);
        assert!(writers.run(&loaded.config).is_empty());
        assert!(writers.rest().await && only(&writers).task.is_finished());
        let (writes, written) = oneshot::channel::<()>();
        let slow = tasks.spawn(async move { drop(written.await) });
        let id = slow.id();
        writers.running.values_mut().next().unwrap().task = slow;

        writers.wake();
        assert_eq!(only(&writers).task.id(), id, "it is at its write");
        drop(writes);
        until(|| only(&writers).task.is_finished()).await;
        writers.wake();
        let again = only(&writers);
        assert!(again.task.id() != id && !again.end.is_cancelled());
        shutdown.cancel();
    }
}
