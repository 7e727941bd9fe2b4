//! What one API server says, asked under limits of time and size.
//!
//! Below kube's `Api`, since two things are lost there: the header `Retry-After` of a server that
//! sheds load, and any limit to how much a server may send.

use super::kubeconfig::chain;
use axum::{
    body::{Body, BodyDataStream, to_bytes},
    http::{HeaderMap, Request, Response, StatusCode, header::RETRY_AFTER},
};
use futures_util::StreamExt;
use kube::{
    Client, Resource,
    api::{ListParams, WatchEvent, WatchParams},
    core::{ListMeta, Status},
};
use serde::{Deserialize, de::DeserializeOwned};
use std::{marker::PhantomData, time::Duration};
use tokio::time::timeout;

/// One API server, with the time that an answer may take.
#[derive(Clone)]
pub(super) struct Api {
    client: Client,
    /// For everything but watches, and for a watch to begin.
    patience: Duration,
    /// For a probe.
    probe_patience: Duration,
}

impl Api {
    pub(super) fn new(client: Client, patience: Duration, probe_patience: Duration) -> Self {
        Self { client, patience, probe_patience }
    }

    /// One page of a list, from `token` on; a consistent read, since no version is named.
    pub(super) async fn page<K>(&self, limit: u32, token: Option<&str>) -> Result<Page<K>, Failure>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let mut params = ListParams::default().limit(limit);
        params.continue_token = token.map(str::to_owned);
        let request = resource::<K>().list(&params).map_err(|error| Failure::broken(&error))?;
        let answer = async {
            let body = self.send(request).await?.into_body();
            to_bytes(body, MAX_PAGE).await.map_err(|error| Failure::broken(&error))
        };
        let text = in_time(self.patience, answer).await?;
        let page = &mut serde_json::Deserializer::from_slice(&text);
        serde_path_to_error::deserialize(page).map_err(|error| Failure::unreadable(&error))
    }

    /// Begins a watch behind `version` that the server ends after so many seconds.
    pub(super) async fn watch<K>(&self, version: &str, seconds: u32) -> Result<Events<K>, Failure>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let params = WatchParams::default().timeout(seconds);
        let request = resource::<K>().watch(&params, version);
        let request = request.map_err(|error| Failure::broken(&error))?;
        let answer = in_time(self.patience, self.send(request)).await?;
        let body = answer.into_body().into_data_stream();
        Ok(Events { body, buffer: Vec::new(), scanned: 0, ended: false, object: PhantomData })
    }

    /// Whether the server says that it is ready: `/readyz`, or `/healthz` where it is too old.
    pub(super) async fn is_ready(&self) -> bool {
        let answered = match self.get("/readyz").await {
            Err(Failure::Status { code: 404, .. }) => self.get("/healthz").await,
            other => other,
        };
        // Refusing us is an answer all the same: the watches say what is wrong.
        matches!(answered, Ok(()) | Err(Failure::Status { code: 401 | 403, .. }))
    }

    /// Whether there is a server at all: any answer is one, also that it is not ready.
    pub(super) async fn answers(&self) -> Result<(), Failure> {
        match self.get("/readyz").await {
            Ok(()) | Err(Failure::Status { .. }) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    async fn get(&self, path: &str) -> Result<(), Failure> {
        let request = Request::get(path).body(Vec::new()).expect("a path of ours makes a request");
        // Read to its end, so that the connection can be used again.
        let answer =
            async { Ok(to_bytes(self.send(request).await?.into_body(), MAX_REFUSAL).await) };
        in_time(self.probe_patience, answer).await.map(drop)
    }

    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Body>, Failure> {
        let answer = self.client.send(request.map(kube::client::Body::from)).await;
        let answer = answer.map_err(|error| Failure::broken(&error))?.map(Body::new);
        if answer.status().is_success() { Ok(answer) } else { Err(refusal(answer).await) }
    }
}

/// A page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Page<K> {
    #[serde(default)]
    pub(super) metadata: ListMeta,
    /// `null` where there is none.
    #[serde(default = "Option::default")]
    pub(super) items: Option<Vec<K>>,
}

/// The events of one watch: a JSON object a line.
pub(super) struct Events<K> {
    body: BodyDataStream,
    buffer: Vec<u8>,
    /// So much of the buffer is known to hold no end of a line.
    scanned: usize,
    ended: bool,
    object: PhantomData<fn() -> K>,
}

impl<K: DeserializeOwned> Events<K> {
    /// The next event; `None` when the server ended the watch in order. Loses nothing when it is
    /// dropped half way.
    pub(super) async fn next(&mut self) -> Result<Option<WatchEvent<K>>, Failure> {
        loop {
            while let Some(line) = self.line() {
                if !line.trim_ascii().is_empty() {
                    return parse_event(&line).map(Some);
                }
            }
            if self.ended {
                return Ok(None);
            }
            match self.body.next().await {
                Some(Ok(bytes)) if self.buffer.len() + bytes.len() > MAX_PAGE => {
                    return Err(Failure::TooLong);
                }
                Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
                Some(Err(error)) => return Err(Failure::broken(&error)),
                None => self.ended = true,
            }
        }
    }

    fn line(&mut self) -> Option<Vec<u8>> {
        let end = self.buffer[self.scanned..].iter().position(|byte| *byte == b'\n');
        let Some(end) = end else {
            self.scanned = self.buffer.len();
            return None;
        };
        let rest = self.buffer.split_off(self.scanned + end + 1);
        self.scanned = 0;
        Some(std::mem::replace(&mut self.buffer, rest))
    }
}

fn parse_event<K: DeserializeOwned>(line: &[u8]) -> Result<WatchEvent<K>, Failure> {
    match serde_json::from_slice(line) {
        Ok(WatchEvent::Error(status)) => Err(Failure::from_status(*status, None)),
        Ok(event) => Ok(event),
        Err(error) => Err(Failure::unreadable(&error)),
    }
}

/// Why a call gave nothing; each variant is a different next step.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The server said so.
    #[error("{message} ({code})")]
    Status { code: u16, message: String, retry_after: Option<Duration> },
    /// Nothing came in time.
    #[error("the API server did not answer within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    /// A watch went quiet, without even bookmarks.
    #[error("the watch was silent for {} s, as if dead", .0.as_secs_f32())]
    Silence(Duration),
    /// The connection did not come about, or broke.
    #[error("{0}")]
    Broken(String),
    /// What came is not what was asked for.
    #[error("the API server's answer cannot be read: {0}")]
    Unreadable(String),
    /// More than any sound answer.
    #[error("the API server's answer is longer than {} MiB", MAX_PAGE >> 20)]
    TooLong,
}

impl Failure {
    /// The version is too old to go on from: everything is to be listed again.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Self::Status { code: 410, .. })
    }

    fn broken(error: &dyn std::error::Error) -> Self {
        Self::Broken(chain(error))
    }

    fn unreadable(error: &dyn std::fmt::Display) -> Self {
        Self::Unreadable(error.to_string())
    }

    fn from_status(status: Status, header: Option<Duration>) -> Self {
        let seconds = status.details.map_or(0, |details| details.retry_after_seconds);
        let own = (seconds > 0).then(|| Duration::from_secs(seconds.into()));
        let message = if status.message.is_empty() { status.reason } else { status.message };
        Self::Status { code: status.code, message, retry_after: header.or(own) }
    }
}

/// What an answer other than 2xx says. Not each comes from the API server itself: proxies send
/// HTML, and the server's own load shedding sends plain text.
async fn refusal(answer: Response<Body>) -> Failure {
    let (code, retry_after) = (answer.status(), retry_after(answer.headers()));
    let text = to_bytes(answer.into_body(), MAX_REFUSAL).await.unwrap_or_default();
    match serde_json::from_slice::<Status>(&text) {
        Ok(status) => Failure::from_status(status.with_code(code.as_u16()), retry_after),
        Err(_) => Failure::Status {
            code: code.as_u16(),
            message: first_line(code, &String::from_utf8_lossy(&text)),
            retry_after,
        },
    }
}

fn first_line(code: StatusCode, text: &str) -> String {
    match text.trim().lines().next() {
        Some(line) if !line.starts_with('<') => line.chars().take(MAX_MESSAGE).collect(),
        _ => code.canonical_reason().unwrap_or("refused").to_owned(),
    }
}

/// In seconds (RFC 9110 §10.2.3); the form with a date is not used by API servers.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn resource<K: Resource<DynamicType = ()>>() -> kube::core::Request {
    kube::core::Request::new(K::url_path(&(), None))
}

async fn in_time<T>(
    patience: Duration,
    answer: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    timeout(patience, answer).await.unwrap_or(Err(Failure::Timeout(patience)))
}

/// Octets of a page or a watch event. An object has at most 1.5 MiB (etcd's limit), and pages of
/// the usual ones take about 2 MiB.
const MAX_PAGE: usize = 128 << 20;
const MAX_REFUSAL: usize = 64 << 10;
/// Characters of a refusal that is no `Status`.
const MAX_MESSAGE: usize = 200;
