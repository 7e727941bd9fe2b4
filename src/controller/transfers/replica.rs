//! One zone that lives elsewhere: followed by a task, its last good copy kept through failures and
//! restarts until the primary's SOA says that it expires.

use super::{copy, merged, seconds};
use crate::{
    controller::now,
    model::{FederationName, Name, Serial},
    records::{Completeness, Zone},
    replica::{Fetched, fetch},
    transfer::{Event, Key, Primary, Record, Refresh, Replicated, Stats},
};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Whether another process has the directory, and how often one took it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held {
    pub(super) is_now: bool,
    pub(super) times: u32,
}

/// What all replicas share.
#[derive(Clone)]
pub(super) struct Place {
    /// Where copies are kept; nowhere when `None`.
    pub(super) directory: Option<PathBuf>,
    /// Whether another process has the directory; locked while something is written there.
    pub(super) held: Arc<Mutex<Held>>,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) stats: Arc<Stats>,
    pub(super) tasks: TaskTracker,
    pub(super) shutdown: CancellationToken,
}

/// What may be served of a zone.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// Nothing: it was never had, or it expired.
    Missing,
    /// The last good copy.
    Usable(Arc<Zone>),
}

/// What a task found.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) federation: FederationName,
    content: Content,
    error: Option<String>,
    confirmed: Option<u64>,
    ends: Option<u64>,
}

/// A replica as the controller has it.
pub(super) struct Replica {
    pub(super) zone: Name,
    primary: Primary,
    federation: FederationName,
    content: Content,
    error: Option<String>,
    confirmed: Option<u64>,
    ends: Option<u64>,
    keys: watch::Sender<Option<Arc<Key>>>,
    notices: mpsc::Sender<Option<Serial>>,
    stop: CancellationToken,
    /// For how many seconds signatures hold, where the zone is signed here.
    lifetime: Option<i64>,
    /// What came of merging.
    whole: Option<Whole>,
}

/// A copy over what the settings make.
struct Whole {
    copy: Arc<Zone>,
    generated: Arc<Zone>,
    lifetime: Option<i64>,
    zone: Arc<Zone>,
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Replica {
    pub(super) fn start(
        place: &Place,
        federation: FederationName,
        zone: Name,
        primary: Primary,
        key: Option<Arc<Key>>,
    ) -> Self {
        let (keys, key) = watch::channel(key);
        let (notices, heard) = mpsc::channel(1);
        let stop = place.shutdown.child_token();
        let path = place.directory.as_deref().map(|own| copy::path(own, &federation));
        let mut task = Task {
            place: place.clone(),
            federation: federation.clone(),
            zone: zone.clone(),
            primary: primary.clone(),
            path,
            refresh: Refresh::new(now().mono),
            have: None,
            stored: false,
            held_times: 0,
            error: None,
            confirmed: None,
            usable: false,
        };
        task.restore();
        let content = task.content();
        let (error, confirmed, ends) = (task.error.clone(), task.confirmed, task.ends());
        let stopped = stop.clone();
        place.tasks.spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = task.run(key, heard) => {}
            }
        });
        Self {
            zone,
            primary,
            federation,
            content,
            error,
            confirmed,
            ends,
            keys,
            notices,
            stop,
            lifetime: None,
            whole: None,
        }
    }

    pub(super) fn is_of(&self, zone: &Name, primary: &Primary) -> bool {
        self.zone == *zone && self.primary == *primary
    }

    /// The key as it is now; one that comes or goes is looked at at once.
    pub(super) fn rekey(&self, key: Option<Arc<Key>>) {
        self.keys.send_if_modified(|own| {
            let differs = own.is_some() != key.is_some();
            *own = key;
            differs
        });
    }

    /// The zone is signed here, with signatures that hold for so many seconds; or it is not.
    pub(super) fn sign_for(&mut self, lifetime: Option<i64>) {
        self.lifetime = lifetime;
    }

    /// A notice came. One that says no newer serial than ours is no news (RFC 1996 §3.11).
    pub(super) fn hear(&self, serial: Option<Serial>) {
        let own = self.content.zone().map(|zone| zone.serial());
        let old = serial.zip(own).is_some_and(|(serial, own)| !serial.is_after(own));
        if !old {
            let _ = self.notices.try_send(serial);
        }
    }

    /// Takes up what the task found; whether what may be served changed.
    pub(super) fn take(&mut self, report: Report) -> bool {
        let changed = match (self.content.zone(), report.content.zone()) {
            (Some(old), Some(new)) => !Arc::ptr_eq(old, new),
            (None, None) => false,
            _ => true,
        };
        let said = self.error != report.error;
        self.content = report.content;
        self.error = report.error;
        self.confirmed = report.confirmed;
        self.ends = report.ends;
        changed || said
    }

    /// Until when the copy may be used, in seconds since 1970.
    pub(super) fn ends(&self) -> Option<u64> {
        self.ends
    }

    pub(super) fn view(&self) -> Replicated {
        let serial = self.content.zone().map(|zone| zone.serial());
        Replicated { zone: self.zone.clone(), serial, confirmed: self.confirmed }
    }

    /// What is wrong now, for people.
    pub(super) fn problem(&self) -> Option<String> {
        let error = self.error.as_ref()?;
        let stands = match &self.content {
            Content::Usable(zone) => format!("its serial {} stays in force", zone.serial()),
            Content::Missing => {
                "names that no cluster has are answered SERVFAIL until it can be had".to_owned()
            }
        };
        Some(format!("Federation {}: spec.transferFrom: {error}; {stands}", self.federation))
    }

    /// The zone's static part over what the settings make, fit to be signed here; incomplete without a copy, so that
    /// nothing is denied that the primary may have (invariant I13).
    ///
    /// Where the two do not go together, the last that did stays in force, and why is told.
    pub(super) fn over(&mut self, generated: &Arc<Zone>) -> (Arc<Zone>, Option<String>) {
        let Content::Usable(copy) = &self.content else { return (alone(generated), None) };
        if let Some(whole) = &self.whole
            && Arc::ptr_eq(&whole.copy, copy)
            && whole.lifetime == self.lifetime
            && whole.generated.nodes().eq(generated.nodes())
        {
            return (whole.zone.clone(), None);
        }
        // A large copy takes a while: other tasks of this thread move over.
        match tokio::task::block_in_place(|| merged(generated, copy, self.lifetime)) {
            Ok(zone) => {
                let (zone, lifetime) = (Arc::new(zone), self.lifetime);
                let (copy, generated) = (copy.clone(), generated.clone());
                self.whole = Some(Whole { copy, generated, lifetime, zone: zone.clone() });
                (zone, None)
            }
            Err(error) => {
                let last = self.whole.as_ref().map(|whole| whole.zone.clone());
                let problem = format!(
                    "Federation {}: spec.transferFrom: serial {} cannot be taken up, what was \
                     before it stays in force: {error}",
                    self.federation,
                    copy.serial()
                );
                (last.unwrap_or_else(|| alone(generated)), Some(problem))
            }
        }
    }
}

fn alone(generated: &Zone) -> Arc<Zone> {
    let mut alone = generated.clone();
    alone.completeness = Completeness::Partial;
    Arc::new(alone)
}

/// A replica's own task.
struct Task {
    place: Place,
    federation: FederationName,
    zone: Name,
    primary: Primary,
    path: Option<PathBuf>,
    refresh: Refresh,
    have: Option<Arc<Zone>>,
    /// Whether what we have is what the file has.
    stored: bool,
    /// How often another process had taken the directory then.
    held_times: u32,
    error: Option<String>,
    confirmed: Option<u64>,
    /// What was last reported.
    usable: bool,
}

impl Task {
    /// Begins with the copy on disk, as old as it is.
    fn restore(&mut self) {
        let Some(path) = &self.path else { return };
        match copy::read(path, &self.zone) {
            Ok(Some((zone, confirmed))) => {
                let at = now();
                let numbers = Record::soa(&zone).and_then(|soa| soa.soa_numbers());
                let since = copy::instant(at, confirmed);
                self.refresh = Refresh::restored(at.mono, since, numbers.unwrap_or_default());
                (self.have, self.confirmed) = (Some(Arc::new(zone)), Some(confirmed));
                self.stored = true;
            }
            Ok(None) => {}
            Err(error) => tracing::warn!("{}: {error}; the zone is read anew", path.display()),
        }
        self.usable = self.is_usable();
    }

    fn is_usable(&self) -> bool {
        self.have.is_some() && !self.refresh.is_expired(now().mono)
    }

    fn ends(&self) -> Option<u64> {
        let at = now();
        let end = self.refresh.expires().filter(|_| self.is_usable())?;
        Some(seconds() + end.saturating_duration_since(at.mono).as_secs())
    }

    fn content(&self) -> Content {
        match self.have.clone().filter(|_| self.is_usable()) {
            Some(zone) => Content::Usable(zone),
            None => Content::Missing,
        }
    }

    async fn run(
        mut self,
        mut key: watch::Receiver<Option<Arc<Key>>>,
        mut heard: mpsc::Receiver<Option<Serial>>,
    ) {
        loop {
            let at = now().mono;
            let ends = self.refresh.expires().filter(|end| self.usable && *end > at);
            let next = ends.map_or(self.refresh.due(), |end| end.min(self.refresh.due()));
            tokio::select! {
                () = sleep(next.saturating_duration_since(at)) => {}
                notice = heard.recv() => {
                    if notice.is_none() {
                        return;
                    }
                    self.refresh.notified(now().mono);
                }
                Ok(()) = key.changed() => self.refresh.notified(now().mono),
            }
            let due = self.refresh.due() <= now().mono;
            if due {
                let key = key.borrow().clone();
                self.look(key.as_ref()).await;
            }
            let was_usable = self.usable;
            self.usable = self.is_usable();
            // A notice that comes too soon is no news.
            if due || was_usable != self.usable {
                self.report().await;
            }
        }
    }

    async fn look(&mut self, key: Option<&Arc<Key>>) {
        let fetched = self.fetched_in_time(key).await;
        let count = |what| self.place.stats.count(Event::Taken(what));
        match fetched {
            Ok(Fetched::Current(numbers, left)) => {
                count("current");
                let own = self.have.as_ref().map(|zone| zone.serial());
                if own.is_some_and(|own| own != Serial(numbers[0])) {
                    tracing::warn!(
                        "{} has serial {} of {}, which is before ours; ours stays in force",
                        self.primary.address,
                        numbers[0],
                        self.zone
                    );
                }
                self.confirm(numbers, left);
            }
            Ok(Fetched::Newer(zone, left)) => {
                count("newer");
                let numbers = Record::soa(&zone).and_then(|soa| soa.soa_numbers());
                tracing::info!("{} is serial {} at its primary", self.zone, zone.serial());
                (self.have, self.stored) = (Some(Arc::new(zone)), false);
                self.confirm(numbers.unwrap_or_default(), left);
            }
            Err(error) => {
                count("failed");
                self.refresh.failed(now().mono);
                self.error = Some(error);
            }
        }
    }

    /// A primary may take minutes: where the copy expires before it has answered, that is told then.
    async fn fetched_in_time(&self, key: Option<&Arc<Key>>) -> Result<Fetched, String> {
        let fetched = self.fetched(key);
        tokio::pin!(fetched);
        let Some(ends) = self.refresh.expires().filter(|_| self.usable) else {
            return fetched.await;
        };
        tokio::select! {
            fetched = &mut fetched => return fetched,
            () = sleep(ends.saturating_duration_since(now().mono)) => {}
        }
        self.report().await;
        fetched.await
    }

    /// Nothing is taken unsigned from a primary that a key is shared with.
    async fn fetched(&self, key: Option<&Arc<Key>>) -> Result<Fetched, String> {
        match (&self.primary.key, key) {
            (Some(name), None) => Err(format!(
                "TSIG key {name} is in no --tsig-key-file, and the primary {} is not asked without \
                 it",
                self.primary.address
            )),
            _ => fetch(&self.primary, key, &self.zone, self.have.as_ref(), seconds).await,
        }
    }

    /// `left` is for how many seconds the primary may use the zone itself, where it has it from
    /// others: then what it says is as old as that leaves of the SOA's expire (RFC 7314 §4).
    fn confirm(&mut self, numbers: [u32; 5], left: Option<u32>) {
        let age = u64::from(left.map_or(0, |left| numbers[3].saturating_sub(left)));
        self.refresh.confirmed_through(now().mono, Duration::from_secs(age), numbers);
        self.error = None;
        let confirmed = seconds().saturating_sub(age).max(self.confirmed.unwrap_or_default());
        self.confirmed = Some(confirmed);
        let (Some(path), Some(zone)) = (&self.path, &self.have) else { return };
        let held = self.place.held.lock().unwrap_or_else(PoisonError::into_inner);
        // What another process made of the file is not known.
        self.stored &= held.times == self.held_times;
        self.held_times = held.times;
        if held.is_now {
            return; // Where this process goes on, the next confirmation is written again.
        }
        let saved = tokio::task::block_in_place(|| save(path, zone, confirmed, self.stored));
        self.stored = saved.is_ok();
        if let Err(error) = saved {
            tracing::warn!(
                "the copy of {} in {} cannot be written ({error}); after a restart it would be \
                 missing until its primary can be reached",
                self.zone,
                path.display()
            );
        }
    }

    async fn report(&self) {
        let report = Report {
            federation: self.federation.clone(),
            content: self.content(),
            error: self.error.clone(),
            confirmed: self.confirmed,
            ends: self.ends(),
        };
        let _ = self.place.reports.send(report).await;
    }
}

/// Of a copy that is there already, the time alone is written: a look that finds nothing new must
/// not cost what the zone costs.
fn save(path: &Path, zone: &Zone, confirmed: u64, stored: bool) -> std::io::Result<()> {
    if stored && copy::confirm(path, confirmed).unwrap_or_default() {
        return Ok(());
    }
    copy::write(path, zone, confirmed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{no_includes, parse_master};

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A replica of `z.test` with a copy on disk that may be used for that many seconds yet.
    fn replica(
        primary: Primary,
        left: u32,
    ) -> (Replica, mpsc::Receiver<Report>, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let apex: Name = "z.test".parse().unwrap();
        let federation = FederationName("fed".into());
        let text = format!("@ 60 SOA a. b. 7 1 1 {left} 5\n@ 60 NS b.\nx 60 A 192.0.2.1\n");
        let zone = parse_master(&apex, "z", &text, &mut no_includes).unwrap().zone;
        copy::write(&copy::path(directory.path(), &federation), &zone, seconds()).unwrap();
        let (reports, heard) = mpsc::channel(8);
        let place = Place {
            directory: Some(directory.path().to_owned()),
            held: Arc::default(),
            reports,
            stats: Arc::default(),
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
        };
        let own = Replica::start(&place, federation, apex, primary, None);
        (own, heard, directory)
    }

    async fn next(heard: &mut mpsc::Receiver<Report>) -> Report {
        tokio::time::timeout(PATIENCE, heard.recv()).await.unwrap().unwrap()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_primary_is_not_asked_without_its_key_and_the_copy_stays() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let primary = Primary { address, key: Some("k".parse().unwrap()), tls: None };
        let (mut own, mut heard, _place) = replica(primary, 3_600);
        own.take(next(&mut heard).await);
        assert!(own.content.zone().is_some());
        let problem = own.problem().unwrap();
        assert!(problem.contains("TSIG key k. is in no --tsig-key-file"), "{problem}");
        assert!(problem.ends_with("its serial 7 stays in force"), "{problem}");
        assert!(listener.accept().is_err(), "nobody came");
        // It is asked as soon as the key is there.
        let keys = crate::transfer::Keys::parse("k:hmac-sha256:MDEyMzQ1Njc4OTAxMjM0NQ==");
        let key = keys.unwrap().get(&"k".parse().unwrap()).cloned();
        let asked = async {
            own.rekey(key);
            while listener.accept().is_err() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_copy_that_expires_while_the_primary_is_asked_is_gone_at_once() {
        // It takes the connection, and never answers.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (mut own, mut heard, _place) = replica(Primary { address, key: None, tls: None }, 2);
        assert!(own.content.zone().is_some());
        assert!(own.take(next(&mut heard).await));
        assert!(own.content.zone().is_none());
        assert_eq!((&own.error, own.ends), (&None, None), "it was not waited for");
    }

    #[test]
    fn copies_are_written_but_while_another_process_has_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let zone: Name = "z.test".parse().unwrap();
        let text = "@ 60 SOA a. b. 7 2 3 4 5\n@ 60 NS b.\n";
        let have = parse_master(&zone, "z", text, &mut no_includes).unwrap().zone;
        let path = directory.path().join("z");
        let place = Place {
            directory: Some(directory.path().to_owned()),
            held: Arc::default(),
            reports: mpsc::channel(1).0,
            stats: Arc::default(),
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
        };
        let address = "127.0.0.1:53".parse().unwrap();
        let mut task = Task {
            place: place.clone(),
            federation: FederationName("fed".into()),
            zone,
            primary: Primary { address, key: None, tls: None },
            path: Some(path.clone()),
            refresh: Refresh::new(now().mono),
            have: Some(Arc::new(have)),
            error: None,
            confirmed: None,
            usable: false,
            stored: false,
            held_times: 0,
        };
        *place.held.lock().unwrap() = Held { is_now: true, times: 1 };
        task.confirm([7, 2, 3, 4, 5], None);
        assert!(!path.exists() && task.is_usable());
        place.held.lock().unwrap().is_now = false;
        task.confirm([7, 2, 3, 4, 5], None);
        assert!(path.exists());
    }
}
