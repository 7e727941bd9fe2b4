//! One kind of one API server: listed whole, then followed (`reference/kubernetes.md` §1.3–1.8).
//!
//! ```text
//! list (pages) ─▶ Listed ─▶ watch from there ─┬─ event ──────▶ Applied / Deleted
//!    ▲                                        ├─ bookmark ───▶ Contact
//!    │ 410, or twice silence                  ├─ end ────────▶ Contact, watch on from there
//!    └────────────────────────────────────────┴─ error ──────▶ Failing, wait, watch on
//! ```
//!
//! A library's watcher hides what matters here: each bookmark is a sign of life, and silence is
//! noticed within seconds.

use super::{
    Reporter, Timing,
    client::{Api, Events, Failure},
    convert::{Convert, object_key},
    problems::{Problems, Subject},
};
use crate::model::{ClusterEvent, Kind, KindState, Object, ObjectKey};
use kube::{Resource, api::WatchEvent};
use serde::de::DeserializeOwned;
use std::{collections::BTreeMap, pin::Pin, time::Duration};
use tokio::{
    sync::Semaphore,
    time::{Sleep, sleep, timeout},
};

/// An object as an API server's list and watch give it.
pub(super) trait Watched: Convert + Resource<DynamicType = ()> + DeserializeOwned {
    /// Which kind this is.
    const KIND: Kind;
    /// Objects per page of a list.
    const PAGE: u32;
}

/// What all kinds of one connection share.
pub(super) struct Session<'s> {
    pub(super) reporter: &'s Reporter,
    pub(super) api: Api,
    /// Turns for lists.
    pub(super) starts: &'s Semaphore,
    pub(super) problems: &'s Problems,
    pub(super) timing: &'s Timing,
}

/// How far a kind has been read. Outlives connections, so that the next one goes on from there.
#[derive(Debug, Default)]
pub(super) struct View {
    /// Where to watch from; `None` when it must be listed first.
    version: Option<String>,
    /// Objects there are.
    known: usize,
    /// The state that was told last.
    told: Option<KindState>,
}

impl View {
    /// To be listed again, as when the next connection may lead to another cluster.
    pub(super) fn forget_version(&mut self) {
        self.version = None;
    }
}

/// The API server does not know our credentials any more.
#[derive(Debug)]
pub(super) struct Unauthorized;

/// Lists and watches a kind until the credentials are refused.
pub(super) async fn follow<K: Watched>(session: &Session<'_>, view: &mut View) -> Unauthorized {
    let relist = Box::pin(sleep(session.timing.relist()));
    let backoff = Backoff::new(session.timing.backoff_limit);
    let mut follower = Follower { session, view, backoff, silences: 0, refusals: 0, relist };
    loop {
        let Err(failure) = follower.step::<K>().await else { continue };
        match follower.failed::<K>(&failure).await {
            Some(pause) => sleep(pause).await,
            None => return Unauthorized,
        }
    }
}

struct Follower<'f> {
    session: &'f Session<'f>,
    view: &'f mut View,
    backoff: Backoff,
    /// Watches in a row that said nothing.
    silences: u32,
    /// Refusals (403, 404) in a row.
    refusals: u32,
    /// When to list again all the same, in case the server's own memory is wrong.
    relist: Pin<Box<Sleep>>,
}

impl Follower<'_> {
    /// A list if one is due, then one watch to its end.
    async fn step<K: Watched>(&mut self) -> Result<(), Failure> {
        let version = match self.view.version.clone() {
            Some(version) => version,
            None => {
                // Dead servers must not take the turns of those that are there.
                self.session.api.answers().await?;
                self.list::<K>().await?
            }
        };
        self.watch::<K>(&version).await
    }

    // === List ===

    /// Reads the whole kind and tells it; the version to watch from.
    async fn list<K: Watched>(&mut self) -> Result<String, Failure> {
        let mut listing = self.listing::<K>().await?;
        if listing.count == 0 && self.view.known > 0 {
            // All gone at once is more often a fault than the truth: ask again before believing.
            sleep(self.session.timing.confirm).await;
            listing = self.listing::<K>().await?;
        }
        self.session.problems.replace_objects(K::KIND, listing.problems);
        self.tell(ClusterEvent::Listed(K::KIND, listing.objects)).await;
        self.session.problems.tell(self.session.reporter).await;
        // A list is told as watched; whatever the state was before, it is to be told again.
        self.view.told = None;
        self.view.known = listing.count;
        self.view.version = Some(listing.version.clone());
        self.relist.set(sleep(self.session.timing.relist()));
        Ok(listing.version)
    }

    async fn listing<K: Watched>(&self) -> Result<Listing, Failure> {
        let _turn = self.session.starts.acquire().await;
        let mut attempt = 1;
        loop {
            match self.pages::<K>().await {
                // The token to the next page has expired: the pages so far are of an old list.
                Err(failure) if failure.is_gone() && attempt < LIST_ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    async fn pages<K: Watched>(&self) -> Result<Listing, Failure> {
        let mut listing = Listing::default();
        let mut token: Option<String> = None;
        loop {
            let page = self.session.api.page::<K>(K::PAGE, token.as_deref()).await?;
            for object in page.items.unwrap_or_default() {
                listing.take(object);
            }
            if listing.version.is_empty() {
                listing.version = page.metadata.resource_version.unwrap_or_default();
            }
            token = page.metadata.continue_.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(listing);
            }
        }
    }

    // === Watch ===

    async fn watch<K: Watched>(&mut self, version: &str) -> Result<(), Failure> {
        let timing = self.session.timing;
        let mut events = self.session.api.watch::<K>(version, timing.watch_seconds()).await?;
        // A server that ends each watch at once is asked again no sooner than this.
        let mut floor = Box::pin(sleep(timing.watch_floor));
        self.session.problems.set(Subject::Kind(K::KIND), Vec::new());
        self.session.problems.tell(self.session.reporter).await;
        self.say(K::KIND, KindState::Watching).await;
        self.tell(ClusterEvent::Contact(K::KIND)).await;
        while self.view.version.is_some() {
            let event = tokio::select! {
                () = &mut self.relist => return self.list_again::<K>().await,
                event = next_event(&mut events, timing.silence) => event?,
            };
            match event {
                Some(event) => self.event(event).await,
                None => {
                    self.tell(ClusterEvent::Contact(K::KIND)).await;
                    floor.as_mut().await;
                    self.backoff.reset();
                    self.refusals = 0;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The periodic list. If it fails, the watch goes on from where it was.
    async fn list_again<K: Watched>(&mut self) -> Result<(), Failure> {
        self.relist.set(sleep(self.session.timing.relist_retry));
        self.list::<K>().await.map(drop)
    }

    async fn event<K: Watched>(&mut self, event: WatchEvent<K>) {
        self.backoff.reset();
        self.silences = 0;
        self.refusals = 0;
        match event {
            WatchEvent::Added(object) => {
                self.view.known += 1;
                self.apply(object).await;
            }
            WatchEvent::Modified(object) => self.apply(object).await,
            WatchEvent::Deleted(object) => {
                self.view.known = self.view.known.saturating_sub(1);
                self.delete(&object).await;
            }
            WatchEvent::Bookmark(bookmark) => {
                self.move_to(Some(&bookmark.metadata.resource_version));
                self.tell(ClusterEvent::Contact(K::KIND)).await;
            }
            // The client makes a failure of it.
            WatchEvent::Error(_) => {}
        }
        self.session.problems.tell(self.session.reporter).await;
    }

    async fn apply<K: Watched>(&mut self, object: K) {
        self.move_to(object.meta().resource_version.as_deref());
        let Some(key) = object_key(K::KIND, object.meta()) else { return };
        let mut problems = Vec::new();
        let event = match object.convert(&mut problems) {
            Some(object) => ClusterEvent::Applied(object),
            // It says nothing to us, or no longer: a slice that has left its Service.
            None => ClusterEvent::Deleted(key.clone()),
        };
        self.session.problems.set(Subject::Object(key), problems);
        self.tell(event).await;
    }

    async fn delete<K: Watched>(&mut self, object: &K) {
        self.move_to(object.meta().resource_version.as_deref());
        let Some(key) = object_key(K::KIND, object.meta()) else { return };
        self.session.problems.set(Subject::Object(key.clone()), Vec::new());
        self.tell(ClusterEvent::Deleted(key)).await;
    }

    fn move_to(&mut self, version: Option<&str>) {
        if let Some(version) = version.filter(|version| !version.is_empty()) {
            self.view.version = Some(version.to_owned());
        }
    }

    // === Failures ===

    /// Says what failed; how long to wait, or `None` when the credentials were refused.
    async fn failed<K: Watched>(&mut self, failure: &Failure) -> Option<Duration> {
        let failures = self.backoff.failures;
        let mut pause = self.backoff.next();
        let refused = matches!(failure, Failure::Status { code: 403 | 404, .. });
        self.refusals = if refused { self.refusals.saturating_add(1) } else { 0 };
        let state = match failure {
            Failure::Status { code: 401, .. } => {
                let text = format!(
                    "the API server refuses our credentials: {failure}; the kubeconfig is read again"
                );
                self.say(K::KIND, KindState::Failing(text)).await;
                return None;
            }
            Failure::Status { code: 410, .. } => {
                self.view.version = None;
                return Some(if failures == 0 { Duration::ZERO } else { pause });
            }
            // An API server that has just started denies everything for a moment, so only a
            // refusal that stands is believed; whatever failed before it was no refusal.
            Failure::Status { code: 403 | 404, .. } if self.refusals < REFUSALS => {
                pause = self.session.timing.refused;
                KindState::Failing(failure.to_string())
            }
            Failure::Status { code: 403 | 404, .. } => {
                pause = self.session.timing.denied();
                return Some(self.denied::<K>(failure, pause).await);
            }
            Failure::Status { code: 429 | 503, retry_after, .. } => {
                pause = retry_after.map_or(pause, |asked| asked.min(MAX_RETRY_AFTER).max(pause));
                KindState::Failing(format!("the API server is busy: {failure}"))
            }
            Failure::Silence(_) => {
                self.silences += 1;
                if self.silences > 1 {
                    // A server that starts watches and tells nothing, not even bookmarks, has
                    // lost the version that we ask for: its memory was restored.
                    self.view.version = None;
                }
                KindState::Failing(failure.to_string())
            }
            Failure::Timeout(_)
            | Failure::Status { .. }
            | Failure::Broken(_)
            | Failure::Unreadable(_)
            | Failure::TooLong => KindState::Failing(failure.to_string()),
        };
        // One broken connection is not worth a word, as long as the next one holds.
        if failures > 0 || self.view.version.is_none() {
            self.say(K::KIND, state).await;
        }
        Some(pause)
    }

    /// The kind may not be listed, or not watched: in that case it is listed again and again.
    async fn denied<K: Watched>(&mut self, failure: &Failure, pause: Duration) -> Duration {
        if self.view.version.take().is_some() {
            let text = format!(
                "{} may be listed but not watched, so it is listed every minute instead; allow \
                 the verb watch: {failure}",
                K::KIND
            );
            self.session.problems.set(Subject::Kind(K::KIND), vec![text]);
            self.session.problems.tell(self.session.reporter).await;
        } else {
            let state = match failure {
                Failure::Status { code: 404, .. } => KindState::Missing(failure.to_string()),
                _ => KindState::Denied(failure.to_string()),
            };
            self.say(K::KIND, state).await;
        }
        pause
    }

    async fn say(&mut self, kind: Kind, state: KindState) {
        if self.view.told.as_ref() != Some(&state) {
            self.view.told = Some(state.clone());
            self.tell(ClusterEvent::Kind(kind, state)).await;
        }
    }

    async fn tell(&self, event: ClusterEvent) {
        self.session.reporter.send(event).await;
    }
}

async fn next_event<K: Watched>(
    events: &mut Events<K>,
    silence: Duration,
) -> Result<Option<WatchEvent<K>>, Failure> {
    timeout(silence, events.next()).await.unwrap_or(Err(Failure::Silence(silence)))
}

/// A kind as it was read, whole.
#[derive(Debug, Default)]
struct Listing {
    objects: Vec<Object>,
    /// Of the server's objects; not all need be of use to us.
    count: usize,
    problems: BTreeMap<ObjectKey, Vec<String>>,
    version: String,
}

impl Listing {
    fn take<K: Watched>(&mut self, object: K) {
        self.count += 1;
        let key = object_key(K::KIND, object.meta());
        let mut problems = Vec::new();
        self.objects.extend(object.convert(&mut problems));
        if let (Some(key), false) = (key, problems.is_empty()) {
            self.problems.insert(key, problems);
        }
    }
}

/// 0.5 s doubling to a limit, each time a random part of it, so that many clusters that come
/// back at once do not ask at once.
#[derive(Debug)]
pub(super) struct Backoff {
    failures: u32,
    limit: Duration,
}

impl Backoff {
    pub(super) fn new(limit: Duration) -> Self {
        Self { failures: 0, limit }
    }

    pub(super) fn next(&mut self) -> Duration {
        let cap = Duration::from_millis(500 << self.failures.min(6)).min(self.limit);
        self.failures = self.failures.saturating_add(1);
        cap.mul_f64(0.1 + 0.9 * fastrand::f64())
    }

    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A list that outlives its continue token so many times is a failure.
const LIST_ATTEMPTS: u32 = 3;
/// So many refusals in a row (some fifteen seconds) until one counts: as long as a busy API
/// server takes from its first answer to having read its roles.
const REFUSALS: u32 = 8;
/// A server that asks for more patience than this is asked earlier all the same.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_limit_and_are_never_nothing() {
        let limit = Duration::from_secs(10);
        let mut backoff = Backoff::new(limit);
        for attempt in 0..100 {
            let cap = Duration::from_millis(500 << attempt.min(5)).min(limit);
            let pause = backoff.next();
            assert!(pause <= cap && pause >= cap / 10, "{attempt}: {pause:?}");
        }
    }
}
