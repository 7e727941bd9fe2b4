//! One zone that lives elsewhere: followed by a task, its last good copy kept through failures and
//! restarts until the primary's SOA says that it expires.

use super::{
    task::Task,
    whole::{Base, Whole, alone},
};
use crate::{
    model::{FederationName, Name, Serial},
    records::Zone,
    transfer::{Key, Primary, Replicated, Stats},
};
use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};
use tokio::sync::{mpsc, watch};
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
    pub(super) content: Content,
    pub(super) error: Option<String>,
    pub(super) confirmed: Option<u64>,
    pub(super) ends: Option<u64>,
    pub(super) whole: Option<Arc<Whole>>,
}

/// What the task is to lay its copy over.
pub(super) struct Wanted {
    pub(super) base: Arc<Base>,
    /// That was done already.
    pub(super) whole: Option<Arc<Whole>>,
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
    wanted: watch::Sender<Option<Wanted>>,
    /// What came of laying a copy over what the settings make, the latest.
    whole: Option<Arc<Whole>>,
    /// The last zone of those.
    last: Option<Arc<Zone>>,
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
        let (wanted, want) = watch::channel(None);
        let stop = place.shutdown.child_token();
        let task = Task::new(place, &federation, &zone, &primary);
        let content = task.content();
        let (confirmed, ends) = (task.confirmed(), task.ends());
        let stopped = stop.clone();
        place.tasks.spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = task.run(key, heard, want) => {}
            }
        });
        Self {
            zone,
            primary,
            federation,
            content,
            error: None,
            confirmed,
            ends,
            keys,
            notices,
            stop,
            lifetime: None,
            wanted,
            whole: None,
            last: None,
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
        let usable = report.content.zone().is_some();
        let whole = report
            .whole
            .filter(|new| usable && self.whole.as_ref().is_none_or(|own| !Arc::ptr_eq(own, new)));
        let put_together = whole.is_some();
        self.whole = whole.or(self.whole.take());
        self.content = report.content;
        self.error = report.error;
        self.confirmed = report.confirmed;
        self.ends = report.ends;
        changed || said || put_together
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

    /// The copy over what the settings make; without a copy, what is known not to be all.
    ///
    /// Where the two do not go together, the last that did stays in force, and why is told.
    pub(super) fn over(&mut self, generated: &Arc<Zone>) -> (Arc<Zone>, Option<String>) {
        let base = self.base(generated);
        let Content::Usable(copy) = &self.content else {
            // What was put together of a copy that expired may not come back.
            (self.whole, self.last) = (None, None);
            self.want(base, None);
            return (alone(generated), None);
        };
        // The first is put together at once, since nothing stands meanwhile; so is one that is to be
        // signed, or no longer: what was put together for the other is not fit for that. All others
        // come with a report.
        let stands = self.whole.as_ref().is_some_and(|own| own.base.lifetime == base.lifetime);
        let made = (!stands).then(|| Arc::new(Whole::of(copy, &base)));
        self.whole = made.clone().or(self.whole.take());
        self.want(base, made);
        let Some(whole) = &self.whole else { return (alone(generated), None) };
        match &whole.outcome {
            Ok(zone) => {
                self.last = Some(zone.clone());
                (zone.clone(), None)
            }
            Err(error) => {
                let problem = format!(
                    "Federation {}: spec.transferFrom: serial {} cannot be taken up, what was \
                     before it stays in force: {error}",
                    self.federation,
                    whole.copy.serial()
                );
                (self.last.clone().unwrap_or_else(|| alone(generated)), Some(problem))
            }
        }
    }

    /// What copies are to be laid over from now on.
    fn base(&self, generated: &Arc<Zone>) -> Arc<Base> {
        let known = self.wanted.borrow().as_ref().map(|own| own.base.clone());
        let known = known.filter(|own| own.is_like(generated, self.lifetime));
        let base = || Base { generated: generated.clone(), lifetime: self.lifetime };
        known.unwrap_or_else(|| Arc::new(base()))
    }

    /// Has the task lay its copy over this from now on, but where that was done here.
    fn want(&self, base: Arc<Base>, whole: Option<Arc<Whole>>) {
        self.wanted.send_if_modified(|own| {
            let known = own.as_ref().is_some_and(|own| Arc::ptr_eq(&own.base, &base));
            let is_news = !known || whole.is_some();
            if is_news {
                *own = Some(Wanted { base, whole });
            }
            is_news
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{copy, seconds},
        *,
    };
    use crate::records::{no_includes, parse_master};
    use std::time::Duration;
    use tokio::time::sleep;

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

    fn generated(text: &str) -> Arc<Zone> {
        let apex: Name = "z.test".parse().unwrap();
        let text = format!("@ 60 SOA a. b. 1 1 1 1 1\n@ 60 NS b.\n{text}");
        Arc::new(parse_master(&apex, "z", &text, &mut no_includes).unwrap().zone)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_stands_stays_until_the_task_has_laid_the_copy_over_what_is_new() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (mut own, mut heard, _place) =
            replica(Primary { address, key: None, tls: None }, 3_600);
        let has = |zone: &Zone, name: &str| {
            zone.node(name.parse::<Name>().unwrap().key().as_bytes()).is_some()
        };
        let (first, _) = own.over(&generated("y 60 A 192.0.2.2\n"));
        assert!(has(&first, "x.z.test") && has(&first, "y.z.test"), "at once, from the start");
        let new = generated("w 60 A 192.0.2.3\n");
        assert!(Arc::ptr_eq(&own.over(&new).0, &first));
        while !own.take(next(&mut heard).await) {}
        let (second, problem) = own.over(&new);
        assert_eq!(problem, None);
        assert!(has(&second, "x.z.test") && has(&second, "w.z.test"), "{second:?}");
        assert!(!has(&second, "y.z.test"));
        // Signed from now on: what was made for the other is not fit for that.
        own.sign_for(Some(14 * 86_400));
        assert!(!Arc::ptr_eq(&own.over(&new).0, &second));
        // The two do not go together: what was before stays, and why is told.
        let (third, _) = own.over(&new);
        let clash = generated("x 60 CNAME elsewhere.\n");
        assert!(Arc::ptr_eq(&own.over(&clash).0, &third));
        while !own.take(next(&mut heard).await) {}
        let (kept, problem) = own.over(&clash);
        assert!(Arc::ptr_eq(&kept, &third));
        let problem = problem.unwrap();
        assert!(problem.contains("serial 7 cannot be taken up"), "{problem}");
    }
}
