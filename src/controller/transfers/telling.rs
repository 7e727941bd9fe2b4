//! Tells secondaries of changes, again and again until each has answered.

use super::seconds;
use crate::{
    controller::now,
    records::Zone,
    replica,
    transfer::{Due, Event, Key, Notices, Record, Rules, Stats, Target},
};
use std::sync::Arc;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Notices that wait for an answer at a time.
const MOST: usize = 64;

/// The zones as they are now, and whom each is told to.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) zones: Vec<(Arc<Zone>, Vec<Target>)>,
    pub(super) rules: Arc<Rules>,
}

impl Told {
    pub(super) fn same(&self, other: &Self) -> bool {
        let pairs = self.zones.iter().zip(&other.zones);
        Arc::ptr_eq(&self.rules, &other.rules)
            && self.zones.len() == other.zones.len()
            && pairs.into_iter().all(|(a, b)| Arc::ptr_eq(&a.0, &b.0) && a.1 == b.1)
    }

    fn soa(&self, due: &Due) -> Option<Record> {
        let (zone, _) = self.zones.iter().find(|(zone, _)| *zone.apex() == due.zone)?;
        Record::soa(zone)
    }
}

pub(super) async fn tell(
    mut changes: watch::Receiver<Arc<Told>>,
    stats: Arc<Stats>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
) {
    let (mut notices, mut told) = (Notices::default(), Arc::<Told>::default());
    let (done, mut answers) = mpsc::channel::<Due>(MOST);
    let places = Arc::new(Semaphore::new(MOST));
    loop {
        let wait = notices.next().map(|due| due.saturating_duration_since(now().mono));
        tokio::select! {
            () = shutdown.cancelled() => return,
            changed = changes.changed() => {
                if changed.is_err() {
                    return;
                }
                told = changes.borrow_and_update().clone();
                let zones = told.zones.iter();
                let zones = zones.map(|(zone, own)| (zone.apex(), zone.serial(), &own[..]));
                notices.set(now().mono, zones);
            }
            Some(due) = answers.recv() => notices.answered(&due),
            () = sleep(wait.unwrap_or_default()), if wait.is_some() => {
                for due in notices.due(now().mono) {
                    // Who finds no place is told the next time.
                    let Ok(place) = places.clone().try_acquire_owned() else { continue };
                    let key = due.target.key.as_ref().and_then(|key| told.rules.keys.get(key)).cloned();
                    let (soa, stats, done) = (told.soa(&due), stats.clone(), done.clone());
                    let stop = shutdown.clone();
                    tasks.spawn(async move {
                        tokio::select! {
                            () = stop.cancelled() => {}
                            () = one(due, key, soa, &stats, &done) => {}
                        }
                        drop(place);
                    });
                }
            }
        }
    }
}

async fn one(
    due: Due,
    key: Option<Arc<Key>>,
    soa: Option<Record>,
    stats: &Stats,
    done: &mpsc::Sender<Due>,
) {
    let (zone, to) = (&due.zone, due.target.address);
    match replica::tell(to, key, zone, soa.as_ref(), seconds).await {
        Ok(rcode) => {
            stats.count(Event::NoticeOut(if rcode == 0 { "answered" } else { "refused" }));
            if rcode != 0 {
                tracing::warn!(
                    "{to} answers the notice of {zone} with response code {rcode}; it must take \
                     notices of the zone from here"
                );
            }
            let _ = done.send(due).await;
        }
        Err(error) => {
            stats.count(Event::NoticeOut("unanswered"));
            if due.attempt == FIRST_WARNED {
                tracing::warn!("{to} is told of {zone} again and again: {error}");
            }
        }
    }
}

/// One lost datagram is no news; this many in a row are.
const FIRST_WARNED: u32 = 3;
