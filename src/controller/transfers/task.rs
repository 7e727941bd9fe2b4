//! The task that follows a zone which lives elsewhere: asks its primary when that is due, keeps the
//! copy on disk, lays it over what the settings make, and reports.

use super::{
    copy,
    replica::{Content, Place, Report, Wanted},
    seconds,
    whole::Whole,
};
use crate::{
    controller::now,
    model::{FederationName, Name, Serial},
    records::Zone,
    replica::{Fetched, fetch},
    transfer::{Event, Key, Primary, Record, Refresh},
};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

/// A replica's own task.
pub(super) struct Task {
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
    /// What came of laying the copy over what the settings make.
    whole: Option<Arc<Whole>>,
}

impl Task {
    /// With the copy that is on disk.
    pub(super) fn new(
        place: &Place,
        federation: &FederationName,
        zone: &Name,
        primary: &Primary,
    ) -> Self {
        let mut task = Self {
            place: place.clone(),
            federation: federation.clone(),
            zone: zone.clone(),
            primary: primary.clone(),
            path: place.directory.as_deref().map(|own| copy::path(own, federation)),
            refresh: Refresh::new(now().mono),
            have: None,
            stored: false,
            held_times: 0,
            error: None,
            confirmed: None,
            usable: false,
            whole: None,
        };
        task.restore();
        task
    }

    /// When the primary last said that the copy is its own, in seconds since 1970.
    pub(super) fn confirmed(&self) -> Option<u64> {
        self.confirmed
    }

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

    pub(super) fn ends(&self) -> Option<u64> {
        let at = now();
        let end = self.refresh.expires().filter(|_| self.is_usable())?;
        Some(seconds() + end.saturating_duration_since(at.mono).as_secs())
    }

    pub(super) fn content(&self) -> Content {
        match self.have.clone().filter(|_| self.is_usable()) {
            Some(zone) => Content::Usable(zone),
            None => Content::Missing,
        }
    }

    pub(super) async fn run(
        mut self,
        mut key: watch::Receiver<Option<Arc<Key>>>,
        mut heard: mpsc::Receiver<Option<Serial>>,
        mut want: watch::Receiver<Option<Wanted>>,
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
                Ok(()) = want.changed() => {}
            }
            let due = self.refresh.due() <= now().mono;
            if due {
                let key = key.borrow().clone();
                self.look(key, &mut want).await;
            }
            let was_usable = self.usable;
            self.usable = self.is_usable();
            // A notice that comes too soon is no news.
            if self.put_together(&mut want) || due || was_usable != self.usable {
                self.report().await;
            }
        }
    }

    /// Lays the copy over what the settings make, where that was not done; whether it was now.
    fn put_together(&mut self, want: &mut watch::Receiver<Option<Wanted>>) -> bool {
        let (base, done) = match &*want.borrow_and_update() {
            Some(wanted) => (wanted.base.clone(), wanted.whole.clone()),
            None => return false,
        };
        let Some(copy) = self.have.as_ref().filter(|_| self.is_usable()) else { return false };
        let known = [self.whole.take(), done].into_iter().flatten();
        let known = known.into_iter().find(|whole| whole.is_of(copy, &base));
        let is_new = known.is_none();
        self.whole = known.or_else(|| Some(Arc::new(Whole::of(copy, &base))));
        is_new
    }

    async fn look(&mut self, key: Option<Arc<Key>>, want: &mut watch::Receiver<Option<Wanted>>) {
        let fetched = self.fetched_in_time(key, want).await;
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

    /// A primary may take minutes: where the copy expires before it has answered, or what it is laid
    /// over changes, that is told then.
    async fn fetched_in_time(
        &mut self,
        key: Option<Arc<Key>>,
        want: &mut watch::Receiver<Option<Wanted>>,
    ) -> Result<Fetched, String> {
        let (primary, zone) = (self.primary.clone(), self.zone.clone());
        let fetched = fetched(primary, key, zone, self.have.clone());
        tokio::pin!(fetched);
        let mut ends = self.refresh.expires().filter(|_| self.usable);
        loop {
            let left = ends.map(|end| end.saturating_duration_since(now().mono));
            tokio::select! {
                fetched = &mut fetched => return fetched,
                () = sleep(left.unwrap_or_default()), if left.is_some() => {
                    ends = None;
                    self.report().await;
                }
                Ok(()) = want.changed() => if self.put_together(want) {
                    self.report().await;
                },
            }
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
            whole: self.whole.clone(),
        };
        let _ = self.place.reports.send(report).await;
    }
}

/// Nothing is taken unsigned from a primary that a key is shared with.
async fn fetched(
    primary: Primary,
    key: Option<Arc<Key>>,
    zone: Name,
    have: Option<Arc<Zone>>,
) -> Result<Fetched, String> {
    match (&primary.key, &key) {
        (Some(name), None) => Err(format!(
            "TSIG key {name} is in no --tsig-key-file, and the primary {} is not asked without it",
            primary.address
        )),
        _ => fetch(&primary, key.as_ref(), &zone, have.as_ref(), seconds).await,
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
    use super::{super::replica::Held, *};
    use crate::records::{no_includes, parse_master};
    use tokio_util::{sync::CancellationToken, task::TaskTracker};

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
        let federation = FederationName("fed".into());
        let primary = Primary { address: "127.0.0.1:53".parse().unwrap(), key: None, tls: None };
        let mut task = Task::new(&place, &federation, &zone, &primary);
        (task.have, task.path) = (Some(Arc::new(have)), Some(path.clone()));
        *place.held.lock().unwrap() = Held { is_now: true, times: 1 };
        task.confirm([7, 2, 3, 4, 5], None);
        assert!(!path.exists() && task.is_usable());
        place.held.lock().unwrap().is_now = false;
        task.confirm([7, 2, 3, 4, 5], None);
        assert!(path.exists());
    }
}
