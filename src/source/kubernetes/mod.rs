//! An API server's list and watch, one loop per kind (`reference/kubernetes.md` §1.3–1.8).
//!
//! Our own thin loop over kube's list and watch, since a library's watcher hides what matters
//! here: each bookmark is a sign of life, and silence is noticed within seconds.
//!
//! ```text
//! list (pages) ─▶ Listed ─▶ watch from there ─┬─ event ──────▶ Applied / Deleted
//!    ▲                                        ├─ bookmark ───▶ Contact
//!    │ 410, or the view is old                ├─ end ────────▶ Contact, watch on from there
//!    └────────────────────────────────────────┴─ error ──────▶ Failing, wait, watch on
//! ```

use super::{
    Reporter,
    convert::Convert,
    kubeconfig::{self, Wanted},
    objects::{EndpointSlice, Ingress, Node, Service},
};
use crate::model::{ClusterEvent, Kind, KindState, Object};
use futures_util::{StreamExt, TryStreamExt};
use kube::{
    Api, Client, Error, Resource, ResourceExt,
    api::{ListParams, WatchEvent, WatchParams},
    core::Status,
};
use serde::de::DeserializeOwned;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

const LIST_TIMEOUT: Duration = Duration::from_secs(30);
const PROBE_EVERY: Duration = Duration::from_secs(5);
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
/// A watch gets a bookmark about once a minute; after this much silence it is dead.
const WATCH_SILENCE: Duration = Duration::from_secs(100);
/// Watches end after this, each at another time, so that they do not all start anew together.
const WATCH_SECONDS: std::ops::Range<u32> = 240..290;
/// A view is listed anew after this, in case the API server's own memory went back in time.
const RELIST_SECONDS: std::ops::Range<u64> = 1_800..3_600;
const DENIED_SECONDS: std::ops::Range<u64> = 30..60;
/// So many refusals in a row (some seconds) until one counts.
const REFUSALS: u32 = 4;
const CONFIRM_AFTER: Duration = Duration::from_secs(2);
const RELOAD_EVERY: Duration = Duration::from_secs(10);
/// Problems that are shown per cluster; more would drown them all.
const MAX_PROBLEMS: usize = 100;

/// Watches until dropped. A kubeconfig that changes, or credentials that are refused, begin anew.
pub(super) async fn watch(reporter: &Reporter, wanted: &Wanted, starts: &Semaphore) {
    let mut backoff = Backoff::default();
    loop {
        match connect(wanted).await {
            Ok((client, fingerprint)) => {
                let cluster = Cluster {
                    reporter,
                    client,
                    starts,
                    problems: Mutex::default(),
                    told: Mutex::default(),
                };
                tokio::select! {
                    () = cluster.unauthorized() => {}
                    () = changed(wanted, fingerprint) => backoff.reset(),
                }
            }
            Err(reason) => reporter.send(ClusterEvent::Refused(reason)).await,
        }
        backoff.wait().await;
    }
}

async fn connect(wanted: &Wanted) -> Result<(Client, [u8; 32]), String> {
    let loaded = kubeconfig::load(wanted).await.map_err(|error| error.to_string())?;
    let config = loaded.config;
    // Building a client may run a credentials command, which has no time limit of its own.
    let build = tokio::task::spawn_blocking(move || Client::try_from(config));
    let built = timeout(LIST_TIMEOUT, build).await;
    let built = built.map_err(|_| "the credentials command did not end within 30 s".to_owned())?;
    let client = built.map_err(|error| error.to_string())?;
    let client = client.map_err(|error| kubeconfig::chain(&error))?;
    Ok((client, loaded.fingerprint))
}

/// Ends when the kubeconfig's content is another.
async fn changed(wanted: &Wanted, fingerprint: [u8; 32]) {
    loop {
        sleep(RELOAD_EVERY).await;
        // A file that is being written, or is gone, leaves the connection that works alone.
        if kubeconfig::fingerprint(wanted).is_ok_and(|now| now != fingerprint) {
            return;
        }
    }
}

struct Cluster<'c> {
    reporter: &'c Reporter,
    client: Client,
    starts: &'c Semaphore,
    problems: Mutex<BTreeMap<(Kind, String), Vec<String>>>,
    /// The problems that were sent last.
    told: Mutex<Vec<String>>,
}

/// The API server does not know our credentials any more.
struct Unauthorized;

/// Why a watch is to be begun with a new list.
struct Relist;

impl Cluster<'_> {
    /// Watches all kinds until the credentials are refused.
    async fn unauthorized(&self) {
        tokio::select! {
            Unauthorized = self.kind::<Node>(Kind::Node) => {}
            Unauthorized = self.kind::<Service>(Kind::Service) => {}
            Unauthorized = self.kind::<EndpointSlice>(Kind::EndpointSlice) => {}
            Unauthorized = self.kind::<Ingress>(Kind::Ingress) => {}
            () = self.probe() => {}
        }
    }

    async fn kind<K>(&self, kind: Kind) -> Unauthorized
    where
        K: Convert + Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
    {
        let api: Api<K> = Api::all(self.client.clone());
        let (mut backoff, mut known) = (Backoff::default(), 0);
        loop {
            match self.list(&api, kind, &mut known).await {
                Ok(version) => {
                    backoff.reset();
                    match self.follow(&api, kind, version).await {
                        Ok(Relist) => {}
                        Err(unauthorized) => return unauthorized,
                    }
                }
                Err(error) => {
                    let Some(pause) = self.failed(kind, &error, &mut backoff).await else {
                        return Unauthorized;
                    };
                    sleep(pause).await;
                }
            }
        }
    }

    // === List ===

    /// Reads the whole kind and says so; the resource version to watch from.
    async fn list<K>(&self, api: &Api<K>, kind: Kind, known: &mut usize) -> Result<String, Failure>
    where
        K: Convert + Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let _turn = self.starts.acquire().await;
        let (mut objects, mut version) = self.pages(api, kind).await?;
        if objects.is_empty() && *known > 0 {
            // All gone at once is more often a fault than the truth: ask again before believing.
            sleep(CONFIRM_AFTER).await;
            (objects, version) = self.pages(api, kind).await?;
        }
        *known = objects.len();
        self.reporter.send(ClusterEvent::Listed(kind, objects)).await;
        self.report_problems().await;
        Ok(version)
    }

    async fn pages<K>(&self, api: &Api<K>, kind: Kind) -> Result<(Vec<Object>, String), Failure>
    where
        K: Convert + Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        // Slices are the largest objects (`reference/kubernetes.md` §7).
        let limit = if kind == Kind::EndpointSlice { 250 } else { 500 };
        let mut params = ListParams::default().limit(limit);
        let (mut objects, mut seen) = (Vec::new(), BTreeSet::new());
        loop {
            let page = timeout(LIST_TIMEOUT, api.list(&params)).await;
            let page = page.map_err(|_| Failure::Timeout)?.map_err(Failure::Api)?;
            for object in page.items {
                seen.insert(id(&object));
                objects.extend(self.convert(kind, object));
            }
            let version = page.metadata.resource_version.unwrap_or_default();
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => {
                    self.lock().retain(|(own, id), _| *own != kind || seen.contains(id));
                    return Ok((objects, version));
                }
            }
        }
    }

    // === Watch ===

    /// Follows changes until the view must be listed anew.
    async fn follow<K>(
        &self,
        api: &Api<K>,
        kind: Kind,
        mut version: String,
    ) -> Result<Relist, Unauthorized>
    where
        K: Convert + Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
    {
        let relist = sleep(Duration::from_secs(fastrand::u64(RELIST_SECONDS)));
        tokio::pin!(relist);
        let mut backoff = Backoff::default();
        loop {
            let outcome = tokio::select! {
                () = &mut relist => return Ok(Relist),
                outcome = self.watch_once(api, kind, &mut version) => outcome,
            };
            match outcome {
                Ok(Some(Relist)) => return Ok(Relist),
                Ok(None) => backoff.reset(),
                Err(error) if error.is_gone() => return Ok(Relist),
                Err(error) => {
                    let Some(pause) = self.failed(kind, &error, &mut backoff).await else {
                        return Err(Unauthorized);
                    };
                    sleep(pause).await;
                }
            }
        }
    }

    /// One watch to its end: in order (`None`), or because the version is too old.
    async fn watch_once<K>(
        &self,
        api: &Api<K>,
        kind: Kind,
        version: &mut String,
    ) -> Result<Option<Relist>, Failure>
    where
        K: Convert + Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
    {
        let params = WatchParams::default().timeout(fastrand::u32(WATCH_SECONDS));
        let started = timeout(LIST_TIMEOUT, api.watch(&params, version)).await;
        let stream = started.map_err(|_| Failure::Timeout)?.map_err(Failure::Api)?;
        let mut stream = stream.map_err(Failure::Api).boxed();
        self.reporter.send(ClusterEvent::Kind(kind, KindState::Watching)).await;
        self.reporter.send(ClusterEvent::Contact(kind)).await;
        loop {
            let next = timeout(WATCH_SILENCE, stream.try_next()).await;
            match next.map_err(|_| Failure::Timeout)?? {
                None => {
                    self.reporter.send(ClusterEvent::Contact(kind)).await;
                    return Ok(None);
                }
                Some(WatchEvent::Error(status)) if status.code == 410 => return Ok(Some(Relist)),
                Some(WatchEvent::Error(status)) => return Err(Failure::Api(Error::Api(status))),
                Some(event) => self.event(kind, event, version).await,
            }
        }
    }

    async fn event<K>(&self, kind: Kind, event: WatchEvent<K>, version: &mut String)
    where
        K: Convert + Resource<DynamicType = ()> + Clone + Debug,
    {
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                *version = object.resource_version().unwrap_or_else(|| version.clone());
                match self.convert(kind, object) {
                    Some(object) => self.reporter.send(ClusterEvent::Applied(object)).await,
                    None => self.reporter.send(ClusterEvent::Contact(kind)).await,
                }
                self.report_problems().await;
            }
            WatchEvent::Deleted(object) => {
                *version = object.resource_version().unwrap_or_else(|| version.clone());
                self.lock().remove(&(kind, id(&object)));
                let converted = object.convert(&mut Vec::new());
                if let Some(object) = converted {
                    self.reporter.send(ClusterEvent::Deleted(object.key())).await;
                }
            }
            WatchEvent::Bookmark(bookmark) => {
                *version = bookmark.metadata.resource_version;
                self.reporter.send(ClusterEvent::Contact(kind)).await;
            }
            WatchEvent::Error(_) => {}
        }
    }

    /// As the model has it; what could not be read of it is remembered.
    fn convert<K: Convert + Resource<DynamicType = ()>>(
        &self,
        kind: Kind,
        object: K,
    ) -> Option<Object> {
        let (id, mut problems) = (id(&object), Vec::new());
        let converted = object.convert(&mut problems);
        let mut all = self.lock();
        if problems.is_empty() {
            all.remove(&(kind, id));
        } else {
            all.insert((kind, id), problems);
        }
        converted
    }

    async fn report_problems(&self) {
        let all: Vec<String> = self.lock().values().flatten().take(MAX_PROBLEMS).cloned().collect();
        {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if *told == all {
                return;
            }
            told.clone_from(&all);
        }
        self.reporter.send(ClusterEvent::Problems(all)).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(Kind, String), Vec<String>>> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // === Health of the API itself ===

    /// `/readyz`, and `/healthz` where a server does not have it.
    async fn probe(&self) {
        loop {
            let answered = match self.get("/readyz").await {
                Err(Failure::Api(Error::Api(status))) if status.code == 404 => {
                    self.get("/healthz").await
                }
                other => other,
            };
            // Refusing us is an answer all the same: the watches say what is wrong.
            let alive = match answered {
                Ok(()) => true,
                Err(Failure::Api(Error::Api(status))) => matches!(status.code, 401 | 403),
                Err(_) => false,
            };
            self.reporter.send(ClusterEvent::Probed(alive)).await;
            sleep(PROBE_EVERY).await;
        }
    }

    async fn get(&self, path: &str) -> Result<(), Failure> {
        let request = axum::http::Request::get(path).body(Vec::new());
        let request = request.map_err(|error| Failure::Api(Error::HttpError(error)))?;
        let answer = timeout(PROBE_TIMEOUT, self.client.request_text(request)).await;
        answer.map_err(|_| Failure::Timeout)?.map_err(Failure::Api).map(drop)
    }

    /// Says what failed; how long to wait, or `None` when the credentials were refused.
    async fn failed(&self, kind: Kind, error: &Failure, backoff: &mut Backoff) -> Option<Duration> {
        let status = error.status();
        let said = || error.to_string();
        let (state, pause) = match status.map_or(0, |status| status.code) {
            401 => {
                let text = format!("the API server refuses our credentials (401): {}", said());
                self.reporter.send(ClusterEvent::Kind(kind, KindState::Failing(text))).await;
                return None;
            }
            // An API server that has just started denies everything for a moment, so only a
            // refusal that stands is believed.
            403 | 404 if backoff.failures < REFUSALS => {
                (KindState::Failing(said()), backoff.next())
            }
            403 => (KindState::Denied(said()), denied_pause()),
            404 => (KindState::Missing(said()), denied_pause()),
            429 | 503 => {
                let after = status.and_then(retry_after).unwrap_or_else(|| backoff.next());
                (KindState::Failing(format!("the API server is busy: {}", said())), after)
            }
            _ => (KindState::Failing(said()), backoff.next()),
        };
        self.reporter.send(ClusterEvent::Kind(kind, state)).await;
        Some(pause)
    }
}

fn denied_pause() -> Duration {
    Duration::from_secs(fastrand::u64(DENIED_SECONDS))
}

/// What the server asks for, within reason.
fn retry_after(status: &Status) -> Option<Duration> {
    let seconds = status.details.as_ref().map(|details| details.retry_after_seconds)?;
    (seconds > 0).then(|| Duration::from_secs(u64::from(seconds.min(60))))
}

fn id<K: Resource>(object: &K) -> String {
    let meta = object.meta();
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    format!("{}/{}", part(&meta.namespace), part(&meta.name))
}

/// Why a call gave nothing.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the API server did not answer in time")]
    Timeout,
    #[error("{}", kubeconfig::chain(.0))]
    Api(Error),
}

impl Failure {
    fn status(&self) -> Option<&Status> {
        match self {
            Self::Api(Error::Api(status)) => Some(status),
            Self::Api(_) | Self::Timeout => None,
        }
    }

    /// 410 as an HTTP status: the version is too old, as when it comes as an event.
    fn is_gone(&self) -> bool {
        self.status().is_some_and(|status| status.code == 410)
    }
}

/// 0.5 s doubling to 10 s, each time a random part of it, so that many clusters that come back
/// at once do not ask at once.
#[derive(Debug, Default)]
struct Backoff {
    failures: u32,
}

impl Backoff {
    fn next(&mut self) -> Duration {
        let cap = Duration::from_millis(500 << self.failures.min(5)).min(Duration::from_secs(10));
        self.failures += 1;
        cap.mul_f64(0.1 + 0.9 * fastrand::f64())
    }

    fn reset(&mut self) {
        self.failures = 0;
    }

    async fn wait(&mut self) {
        sleep(self.next()).await;
    }
}

#[cfg(test)]
mod tests;
