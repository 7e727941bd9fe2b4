//! The stage of the stories: a cluster that is watched, and an API server with a script.

use crate::model::{ClusterEvent, ClusterName, Kind, KindState};
use crate::source::{Reporter, Sender, Timing, kubeconfig::Wanted, kubernetes};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{Request, Response, StatusCode},
};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc},
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;

pub(super) fn quick() -> Timing {
    Timing {
        patience: Duration::from_millis(500),
        probe_every: Duration::from_millis(100),
        probe_patience: Duration::from_millis(500),
        silence: Duration::from_secs(20),
        watch_floor: Duration::from_millis(10),
        confirm: Duration::from_millis(10),
        relist_retry: Duration::from_secs(20),
        reload: Duration::from_millis(50),
        backoff_limit: Duration::from_millis(20),
        refused: Duration::from_millis(10),
        denied_seconds: 0.05..0.1,
        relist_seconds: 20.0..30.0,
    }
}

/// A cluster that is watched, and what was told of it.
pub(super) struct Story {
    events: mpsc::Receiver<(ClusterName, ClusterEvent)>,
    sender: Sender,
    seen: Vec<ClusterEvent>,
    port: u16,
    pub(super) kubeconfig: std::path::PathBuf,
    tasks: TaskTracker,
    _directory: tempfile::TempDir,
}

impl Story {
    pub(super) async fn start(fake: &Fake) -> Self {
        Self::start_with(fake, quick()).await
    }

    pub(super) async fn start_with(fake: &Fake, timing: Timing) -> Self {
        let story = Self::idle(fake).await;
        story.run(timing);
        story
    }

    pub(super) async fn idle(fake: &Fake) -> Self {
        // Another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the stage stands");
        let port = listener.local_addr().expect("the stage stands").port();
        let tasks = TaskTracker::new();
        let router = Router::new().fallback(answer).with_state(fake.clone());
        tasks.spawn(async move { axum::serve(listener, router).await });
        let directory = tempfile::tempdir().expect("the stage stands");
        let kubeconfig = directory.path().join("config");
        let (sender, events) = mpsc::channel(64);
        let seen = Vec::new();
        let story = Self { events, sender, seen, port, kubeconfig, tasks, _directory: directory };
        story.write_kubeconfig("token");
        story
    }

    pub(super) fn run(&self, timing: Timing) {
        let (path, events) = (Some(self.kubeconfig.clone()), self.sender.clone());
        self.tasks.spawn(async move {
            let reporter = Reporter { name: ClusterName::from("a"), events };
            let wanted = Wanted { path, context: None, trusted: true };
            kubernetes::watch(&reporter, wanted, &Semaphore::new(2), &timing).await;
        });
    }

    pub(super) fn write_kubeconfig(&self, token: &str) {
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters:\n- name: a\n  cluster: \
             {{server: \"http://127.0.0.1:{}\"}}\nusers:\n- name: a\n  user: {{token: {token}}}\n\
             contexts:\n- name: a\n  context: {{cluster: a, user: a}}\n",
            self.port
        );
        fs::write(&self.kubeconfig, text).expect("the stage stands");
    }

    /// The next event that fits.
    pub(super) async fn until(&mut self, fits: impl Fn(&ClusterEvent) -> bool) -> ClusterEvent {
        let (events, seen) = (&mut self.events, &mut self.seen);
        let found = timeout(Duration::from_secs(10), async {
            loop {
                let (_, event) = events.recv().await.expect("the stage stands");
                seen.push(event.clone());
                if fits(&event) {
                    return event;
                }
            }
        });
        let found = found.await;
        let probe = |event: &&ClusterEvent| !matches!(event, ClusterEvent::Probed(_));
        let told = || self.seen.iter().filter(probe).collect::<Vec<_>>();
        assert!(found.is_ok(), "not told; only {:#?}", told());
        found.expect("it was told")
    }

    pub(super) async fn listed(&mut self, kind: Kind) -> Vec<String> {
        match self.until(|e| matches!(e, ClusterEvent::Listed(own, _) if *own == kind)).await {
            ClusterEvent::Listed(_, objects) => {
                objects.iter().map(|object| object.key().key.to_string()).collect()
            }
            _ => vec![],
        }
    }

    pub(super) async fn state(&mut self, kind: Kind, fits: impl Fn(&KindState) -> bool) {
        let own = |event: &ClusterEvent| match event {
            ClusterEvent::Kind(own, state) => *own == kind && fits(state),
            _ => false,
        };
        self.until(own).await;
    }

    pub(super) fn saw(&self, fits: impl Fn(&ClusterEvent) -> bool) -> bool {
        self.seen.iter().any(fits)
    }
}

/// An API server that gives the answers it was told to, then empty lists and silent watches.
#[derive(Clone, Default)]
pub(super) struct Fake(Arc<Mutex<Script>>);

#[derive(Default)]
pub(super) struct Script {
    /// By path, with `?watch` behind it for watches.
    answers: BTreeMap<String, VecDeque<Answer>>,
    asked: Vec<String>,
    /// The only token that is accepted; any when `None`.
    token: Option<String>,
}

pub(super) enum Answer {
    Whole { code: u16, body: String, retry_after: Option<&'static str> },
    Stream(Vec<String>, End),
    Hang,
}

#[derive(Clone, Copy)]
pub(super) enum End {
    InOrder,
    Reset,
    Hang,
}

impl Answer {
    pub(super) fn text(code: u16, body: impl Into<String>) -> Self {
        Self::Whole { code, body: body.into(), retry_after: None }
    }

    pub(super) fn retry_after(&mut self, seconds: &'static str) {
        if let Self::Whole { retry_after, .. } = self {
            *retry_after = Some(seconds);
        }
    }
}

impl Fake {
    pub(super) fn list(&self, path: &str, answer: Answer) {
        self.push(path, answer);
    }

    pub(super) fn watch(&self, path: &str, answer: Answer) {
        self.push(&format!("{path}?watch"), answer);
    }

    pub(super) fn push(&self, key: &str, answer: Answer) {
        self.0
            .lock()
            .expect("the stage stands")
            .answers
            .entry(key.to_owned())
            .or_default()
            .push_back(answer);
    }

    pub(super) fn accept(&self, token: &str) {
        self.0.lock().expect("the stage stands").token = Some(token.to_owned());
    }

    /// The requests for a path that contain `part`.
    pub(super) fn asked(&self, path: &str, part: &str) -> Vec<String> {
        let script = self.0.lock().expect("the stage stands");
        let fits = |asked: &&String| asked.starts_with(path) && asked.contains(part);
        script.asked.iter().filter(fits).cloned().collect()
    }

    fn next(&self, request: &Request<Body>) -> Answer {
        let mut script = self.0.lock().expect("the stage stands");
        let uri = request.uri();
        script.asked.push(uri.to_string());
        let watch = uri.query().is_some_and(|query| query.contains("watch=true"));
        let token = request
            .headers()
            .get("authorization")
            .map(|value| value.to_str().expect("the stage stands"));
        if let Some(only) = &script.token
            && token != Some(&format!("Bearer {only}"))
        {
            return status(401, "Unauthorized");
        }
        let key = if watch { format!("{}?watch", uri.path()) } else { uri.path().to_owned() };
        let scripted = script.answers.get_mut(&key).and_then(VecDeque::pop_front);
        scripted.unwrap_or_else(|| match uri.path() {
            "/readyz" | "/healthz" => Answer::text(200, "ok"),
            _ if watch => Answer::Stream(vec![], End::Hang),
            _ => list(1, &[], ""),
        })
    }
}

pub(super) async fn answer(State(fake): State<Fake>, request: Request<Body>) -> Response<Body> {
    match fake.next(&request) {
        Answer::Whole { code, body, retry_after } => {
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = StatusCode::from_u16(code).expect("the stage stands");
            if let Some(seconds) = retry_after {
                response
                    .headers_mut()
                    .insert("retry-after", seconds.parse().expect("the stage stands"));
            }
            response
        }
        Answer::Stream(lines, end) => Response::new(streamed(lines, end)),
        Answer::Hang => {
            sleep(Duration::from_secs(60)).await;
            Response::default()
        }
    }
}

pub(super) fn streamed(lines: Vec<String>, end: End) -> Body {
    let lines = stream::iter(lines.into_iter().map(|line| Ok(Bytes::from(line))));
    let last = stream::once(async move {
        // What was sent before is to arrive first.
        sleep(Duration::from_millis(50)).await;
        match end {
            End::InOrder => Ok(Bytes::new()),
            End::Reset => Err(std::io::Error::other("reset")),
            End::Hang => std::future::pending().await,
        }
    });
    Body::from_stream(lines.chain(last))
}

pub(super) fn detail(state: &KindState) -> &str {
    match state {
        KindState::Failing(text) | KindState::Denied(text) | KindState::Missing(text) => text,
        KindState::Pending | KindState::Watching => "",
    }
}

pub(super) fn list(version: u32, items: &[Value], token: &str) -> Answer {
    let metadata = json!({"resourceVersion": version.to_string(), "continue": token});
    let body = json!({"kind": "List", "metadata": metadata, "items": items});
    Answer::text(200, body.to_string())
}

pub(super) fn status(code: u16, message: &str) -> Answer {
    let body = json!({"kind": "Status", "status": "Failure", "code": code, "message": message});
    Answer::text(code, body.to_string())
}

pub(super) fn event(kind: &str, object: impl Into<Value>) -> String {
    format!("{}\n", json!({"type": kind, "object": object.into()}))
}

pub(super) fn bookmark(version: u32) -> Value {
    let metadata = json!({"resourceVersion": version.to_string(), "creationTimestamp": null});
    json!({"kind": "Service", "apiVersion": "v1", "metadata": metadata})
}

pub(super) fn service(name: &str, version: u32) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "shop", "resourceVersion": version.to_string()},
        "spec": {"type": "LoadBalancer"},
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
    })
}

pub(super) fn slice(name: &str, labels: &Value) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "shop", "resourceVersion": "5", "labels": labels},
        "endpoints": [{"conditions": {"ready": true}}]
    })
}
