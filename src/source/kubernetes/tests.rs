//! An API server that says what a test wants it to say: the odd answers that a real one gives
//! too seldom to wait for.

use super::super::{Access, watch};
use crate::model::{ClusterEvent, ClusterName, Kind, KindState, Object};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::{Semaphore, mpsc};

/// What the server says to one request.
enum Say {
    /// That object, with that status.
    Json(u16, Value),
    /// These watch events; then the watch stays open, or ends.
    Events(Vec<Value>, bool),
    /// Half an answer, and the connection is gone.
    Reset,
}

/// What is left to say, by plural and verb (`services list`), and what was asked.
#[derive(Default)]
struct Script {
    says: HashMap<String, VecDeque<Say>>,
    asked: Vec<String>,
}

#[derive(Clone, Default)]
struct Server(Arc<Mutex<Script>>);

impl Server {
    fn says(&self, what: &str, says: impl IntoIterator<Item = Say>) {
        self.0.lock().unwrap().says.entry(what.to_owned()).or_default().extend(says);
    }

    fn asked(&self, part: &str) -> bool {
        self.0.lock().unwrap().asked.iter().any(|asked| asked.contains(part))
    }

    fn answer(&self, request: &Request) -> Response {
        let uri = request.uri();
        let plural = uri.path().rsplit('/').next().unwrap_or_default().to_owned();
        let query = uri.query().unwrap_or_default();
        let watching = query.contains("watch=true");
        let what = format!("{plural} {}", if watching { "watch" } else { "list" });
        let mut script = self.0.lock().unwrap();
        script.asked.push(format!("{what} {query}"));
        let say = script.says.get_mut(&what).and_then(VecDeque::pop_front);
        match say {
            Some(Say::Json(status, value)) => {
                (StatusCode::from_u16(status).unwrap(), value.to_string()).into_response()
            }
            Some(Say::Events(events, open)) => events_then(&events, open),
            Some(Say::Reset) => {
                let broken = stream::iter([Ok(Bytes::from("{\"kind\"")), Err("gone")]);
                Body::from_stream(broken).into_response()
            }
            None if watching => events_then(&[], true),
            None => list("1", &[]).to_string().into_response(),
        }
    }
}

fn events_then(events: &[Value], open: bool) -> Response {
    let lines: Vec<Result<Bytes, Infallible>> =
        events.iter().map(|event| Ok(Bytes::from(format!("{event}\n")))).collect();
    let rest = if open { stream::pending().left_stream() } else { stream::empty().right_stream() };
    Body::from_stream(stream::iter(lines).chain(rest)).into_response()
}

fn service(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "spec": {"type": "LoadBalancer"},
           "metadata": {"name": name, "namespace": "shop", "resourceVersion": "5"}})
}

fn list(version: &str, items: &[Value]) -> Value {
    json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": version}, "items": items})
}

fn status(code: u16, reason: &str, details: &Value) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
           "message": reason, "details": details, "metadata": {}})
}

/// A watched cluster whose API server follows a script.
struct Watched {
    server: Server,
    events: mpsc::Receiver<(ClusterName, ClusterEvent)>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    _place: tempfile::TempDir,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

#[allow(clippy::disallowed_methods)] // a test's tasks are aborted when it ends
async fn watched(script: impl FnOnce(&Server)) -> Watched {
    let server = Server::default();
    script(&server);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer =
        |State(server): State<Server>, request: Request| async move { server.answer(&request) };
    let app = Router::new().fallback(answer).with_state(server.clone());
    let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });

    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("config");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters: [{{name: a, cluster: {{server: \
         \"http://{address}\"}}}}]\nusers: [{{name: a, user: {{token: t}}}}]\ncontexts: [{{name: a, \
         context: {{cluster: a, user: a}}}}]\n"
    );
    std::fs::write(&path, text).unwrap();
    let access = Access::Kubeconfig { path: Some(path), context: None, trusted: true };
    let (sender, events) = mpsc::channel(100);
    let watching = tokio::spawn(watch("a".into(), access, Arc::new(Semaphore::new(8)), sender));
    Watched { server, events, tasks: vec![serving, watching], _place: place }
}

impl Watched {
    /// The first event that is looked for.
    async fn until<T>(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&ClusterEvent) -> Option<T>,
    ) -> T {
        let search = async {
            loop {
                let (_, event) = self.events.recv().await.unwrap();
                if let Some(found) = wanted(&event) {
                    return found;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), search)
            .await
            .unwrap_or_else(|_| panic!("waited in vain for {what}"))
    }

    /// The names in the next list of Services.
    async fn listed(&mut self) -> Vec<String> {
        self.until("a list of Services", |event| match event {
            ClusterEvent::Listed(Kind::Service, objects) => {
                Some(objects.iter().map(|object| object.key().key.name.to_string()).collect())
            }
            _ => None,
        })
        .await
    }

    async fn state(&mut self, kind: Kind, what: &str, wanted: fn(&KindState) -> bool) -> String {
        self.until(what, |event| match event {
            ClusterEvent::Kind(own, state) if *own == kind && wanted(state) => {
                Some(format!("{state:?}"))
            }
            _ => None,
        })
        .await
    }
}

#[tokio::test]
async fn a_list_of_several_pages_is_one_list() {
    let mut first = list("7", &[service("a")]);
    first["metadata"]["continue"] = json!("token-of-page-2");
    let mut cluster = watched(|server| {
        server.says(
            "services list",
            [Say::Json(200, first), Say::Json(200, list("7", &[service("b")]))],
        );
    })
    .await;
    assert_eq!(cluster.listed().await, ["a", "b"]);
    assert!(cluster.server.asked("continue=token-of-page-2"));
}

#[tokio::test]
async fn a_version_that_is_too_old_is_listed_anew_whether_it_comes_as_event_or_as_status() {
    let gone = status(410, "Expired", &json!({}));
    let mut cluster = watched(|server| {
        server.says(
            "services list",
            [
                Say::Json(200, list("7", &[service("a"), service("b")])),
                Say::Json(200, list("8", &[service("b")])),
                Say::Json(200, list("9", &[service("c")])),
            ],
        );
        server.says(
            "services watch",
            [
                Say::Events(vec![json!({"type": "ERROR", "object": gone})], true),
                Say::Json(410, gone.clone()),
            ],
        );
    })
    .await;
    assert_eq!(cluster.listed().await, ["a", "b"]);
    assert_eq!(cluster.listed().await, ["b"]);
    assert_eq!(cluster.listed().await, ["c"]);
}

#[tokio::test]
async fn events_are_told_and_a_bookmark_is_a_sign_of_life_and_the_place_to_go_on_from() {
    let bookmark = json!({"type": "BOOKMARK", "object": {"kind": "Service", "apiVersion": "v1",
                          "metadata": {"resourceVersion": "4711", "creationTimestamp": null}}});
    let mut cluster = watched(|server| {
        let events = vec![
            json!({"type": "ADDED", "object": service("new")}),
            json!({"type": "DELETED", "object": service("old")}),
            bookmark,
        ];
        server.says("services watch", [Say::Events(events, false)]);
    })
    .await;
    let added = cluster.until("the addition", |event| match event {
        ClusterEvent::Applied(Object::Service(own)) => Some(own.key.to_string()),
        _ => None,
    });
    assert_eq!(added.await, "shop/new");
    let deleted = cluster.until("the deletion", |event| match event {
        ClusterEvent::Deleted(key) => Some(key.to_string()),
        _ => None,
    });
    assert_eq!(deleted.await, "Service shop/old");
    cluster
        .until("a sign of life", |event| {
            matches!(event, ClusterEvent::Contact(Kind::Service)).then_some(())
        })
        .await;
    cluster.state(Kind::Service, "the next watch", |state| *state == KindState::Watching).await;
    assert!(cluster.server.asked("resourceVersion=4711"));
}

#[tokio::test]
async fn a_busy_server_is_failing_and_asked_again_when_it_says() {
    let busy = status(429, "TooManyRequests", &json!({"retryAfterSeconds": 1}));
    let mut cluster = watched(|server| {
        server.says(
            "services list",
            [Say::Json(429, busy), Say::Json(200, list("7", &[service("a")]))],
        );
    })
    .await;
    let failing = |state: &KindState| matches!(state, KindState::Failing(_));
    assert!(cluster.state(Kind::Service, "the refusal", failing).await.contains("busy"));
    assert_eq!(cluster.listed().await, ["a"]);
}

#[tokio::test]
async fn a_refusal_that_stands_degrades_its_kind_alone() {
    let denied = || Say::Json(403, status(403, "Forbidden", &json!({})));
    let mut cluster = watched(|server| {
        server.says("ingresses list", (0..50).map(|_| denied()));
        server.says("services list", [Say::Json(200, list("7", &[service("a")]))]);
    })
    .await;
    assert_eq!(cluster.listed().await, ["a"]);
    let denied = |state: &KindState| matches!(state, KindState::Denied(_));
    assert!(cluster.state(Kind::Ingress, "the refusal", denied).await.contains("Forbidden"));
}

#[tokio::test]
async fn a_refusal_of_a_server_that_has_just_started_is_not_believed() {
    let mut cluster = watched(|server| {
        server.says(
            "services list",
            [
                Say::Json(403, status(403, "Forbidden", &json!({}))),
                Say::Json(200, list("7", &[service("a")])),
            ],
        );
    })
    .await;
    let denied = cluster.until("a list", |event| match event {
        ClusterEvent::Kind(Kind::Service, KindState::Denied(_)) => Some(true),
        ClusterEvent::Listed(Kind::Service, _) => Some(false),
        _ => None,
    });
    assert!(!denied.await);
}

#[tokio::test]
async fn a_list_that_breaks_off_deletes_nothing() {
    let mut cluster = watched(|server| {
        server.says("services list", [Say::Reset, Say::Json(200, list("7", &[service("a")]))]);
    })
    .await;
    assert_eq!(cluster.listed().await, ["a"]);
}

#[tokio::test]
async fn all_gone_at_once_is_asked_again_before_it_is_believed() {
    let gone = || {
        Say::Events(
            vec![json!({"type": "ERROR", "object": status(410, "Expired", &json!({}))})],
            true,
        )
    };
    let mut cluster = watched(|server| {
        server.says(
            "services list",
            [
                Say::Json(200, list("7", &[service("a")])),
                Say::Json(200, list("8", &[])),
                Say::Json(200, list("9", &[service("a")])),
            ],
        );
        server.says("services watch", [gone()]);
    })
    .await;
    assert_eq!(cluster.listed().await, ["a"]);
    assert_eq!(cluster.listed().await, ["a"], "the empty list was believed");
}
